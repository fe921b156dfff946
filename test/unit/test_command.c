// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/call/command.c: which command a name stands for, and what becomes of parameters, results and progress
 * that fit and that do not. What the shapes accept is for test_conformance.c and test/documents.
 */
#include "rig.h"
#include "unit.h"

#include "base/instance.h"
#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Three kinds of devices ---- */

struct level {
    int32_t level;
    bool soft;
    rpc_json note;
};

static const rpc_field level_fields[] = {
    RPC_INT32(struct level, level, .doc = "how bright", .range = {0, 9}),
    RPC_BOOL(struct level, soft, .doc = "slowly", .default_json = "true"),
    RPC_JSON(struct level, note, .doc = "anything", .optional = true),
};
static const rpc_shape level_shape = RPC_OBJECT_SHAPE(struct level, level_fields);
static const rpc_field number_fields[] = {
    RPC_INT32(struct level, level, .doc = "how bright", .range = {0, 9})};
static const rpc_shape number_shape = RPC_VALUE_SHAPE(struct level, number_fields);

static const rpc_command lamp_commands[] = {
    {.name = "light", .params = &level_shape, .result = &level_shape, .progress = &number_shape},
    {.name = "strict", .params = &level_shape, .result = &level_shape, .strict = true},
    {.name = "value", .params = &number_shape},
    {.name = "bare"},
    {.name = "strictly.bare", .strict = true},
};
static const rpc_command fan_commands[] = {{.name = "light"}, {.name = "turn"}};
static const rpc_command door_commands[] = {{.name = "light"}, {.name = "open"}};
static const rpc_module lamp = {.name = "lamp", .commands = RPC_TABLE(lamp_commands)};
static const rpc_module fan = {.name = "fan", .commands = RPC_TABLE(fan_commands)};
static const rpc_module door = {.name = "door", .commands = RPC_TABLE(door_commands)};
static const rpc_module asker = {.name = "asker"};

static struct rig rig;
static rpc_instance *instance;

static void open_with(int undeclared, int32_t max_reply)
{
    rig_init(&rig);
    rig.options.undeclared = undeclared;
    rig.options.max_reply = max_reply;
    rig_start(&rig);
    rig_add(&rig, &lamp, NULL);
    rig_add(&rig, &fan, NULL);
    rig_add(&rig, &door, NULL);
    rig_add(&rig, &asker, NULL);
    instance = rig_instance(&rig);
}

static void open_rig(void)
{
    open_with(UNDECLARED_IGNORE, 1000);
}

static void close_rig(void)
{
    rig_close(&rig);
}

/* ---- Finding ---- */

static const struct search {
    const char *kind, *name;
    const rpc_command *found;
} searches[] = {
    {"lamp", "light", &lamp_commands[0]},
    {"fan", "light", &fan_commands[0]},
    {"door", "light", &door_commands[0]},
    {NULL, "light", NULL}, /* three declare it */
    {NULL, "strictly.bare", &lamp_commands[4]},
    {NULL, "turn", &fan_commands[1]},
    {"fan", "turn", &fan_commands[1]},
    {"lamp", "turn", NULL},
    {"asker", "turn", NULL},
    {"nobody", "turn", NULL},
    {"", "turn", NULL},
    {NULL, "", NULL},
    {NULL, "tur", NULL},
    {NULL, "turns", NULL},
    {"lamp", "device/{device}/light", NULL},
};

/* Every instance may ask. */
START_TEST(finds)
{
    const struct search *search = &searches[_i];
    for (const rpc_instance *any = instance; any; any = any->next)
        ck_assert_ptr_eq(rpc_command_find(any, search->kind, search->name), search->found);
}
END_TEST

START_TEST(prefixes_are_apart)
{
    struct rig other;
    rig_open(&other, &asker);
    ck_assert_ptr_null(rpc_command_find(rig_instance(&other), NULL, "turn"));
    ck_assert_ptr_null(rpc_command_find(rig_instance(&other), "fan", "turn"));
    rig_close(&other);
}
END_TEST

/* ---- Checking ---- */

#define DEEP "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"

static const struct check {
    const char *name; /* of lamp */
    rpc_command_part part;
    const char *json;
    rpc_status status;
    const char *text; /* what was checked, or why it does not fit */
} checks[] = {
    /* Parameters get their defaults and lose what nobody declared. */
    {"light", RPC_COMMAND_PARAMS, "{\"level\":3}", RPC_OK, "{\"level\":3,\"soft\":true}"},
    {"light", RPC_COMMAND_PARAMS, " {\"soft\" : false, \"level\" : 3.0, \"x\" : [1] } ", RPC_OK,
     "{\"level\":3,\"soft\":false}"},
    {"light", RPC_COMMAND_PARAMS, "{\"level\":3,\"note\":[9007199254740993,0.1,{\"a\":null}]}", RPC_OK,
     "{\"level\":3,\"soft\":true,\"note\":[9007199254740993,0.1,{\"a\":null}]}"},
    {"light", RPC_COMMAND_PARAMS, NULL, RPC_INVALID_PARAMS, "level is required"},
    {"light", RPC_COMMAND_PARAMS, "{}", RPC_INVALID_PARAMS, "level is required"},
    {"light", RPC_COMMAND_PARAMS, "{\"level\":10}", RPC_INVALID_PARAMS, "level: 10 is outside 0..9"},
    {"light", RPC_COMMAND_PARAMS, "{\"level\":1,\"level\":1}", RPC_INVALID_PARAMS, "level is given twice"},
    {"light", RPC_COMMAND_PARAMS, "", RPC_PARSE_ERROR, ""},
    {"light", RPC_COMMAND_PARAMS, "{\"level\":1", RPC_PARSE_ERROR, ""},
    {"light", RPC_COMMAND_PARAMS, DEEP, RPC_PARSE_ERROR, ""},
    {"strict", RPC_COMMAND_PARAMS, "{\"level\":3,\"x\":1}", RPC_INVALID_PARAMS, "x is not declared"},
    {"strict", RPC_COMMAND_RESULT, "{\"level\":3,\"x\":1,\"soft\":true}", RPC_OK,
     "{\"level\":3,\"x\":1,\"soft\":true}"},
    {"value", RPC_COMMAND_PARAMS, "7", RPC_OK, "7"},
    {"value", RPC_COMMAND_PARAMS, "{}", RPC_INVALID_PARAMS, "level must be a whole number from 0 to 9"},
    /* Without a shape there are none. */
    {"bare", RPC_COMMAND_PARAMS, NULL, RPC_OK, "{}"},
    {"bare", RPC_COMMAND_PARAMS, "{\"x\":[1,2]}", RPC_OK, "{}"},
    {"bare", RPC_COMMAND_PARAMS, "[]", RPC_INVALID_PARAMS, "the parameters must be a JSON object"},
    {"bare", RPC_COMMAND_PARAMS, "null", RPC_INVALID_PARAMS, "the parameters must be a JSON object"},
    {"strictly.bare", RPC_COMMAND_PARAMS, "{}", RPC_OK, "{}"},
    {"strictly.bare", RPC_COMMAND_PARAMS, "{\"x\":1}", RPC_INVALID_PARAMS,
     "x is not declared: the command takes no parameters"},
    {"strictly.bare", RPC_COMMAND_PARAMS, "1", RPC_INVALID_PARAMS, "the parameters must be a JSON object"},
    /* Results and progress stay as they are. */
    {"light", RPC_COMMAND_RESULT, "{ \"level\":3, \"volts\":1.5 }", RPC_OK, "{\"level\":3,\"volts\":1.5}"},
    {"light", RPC_COMMAND_RESULT, "{\"level\":\"3\"}", RPC_INVALID_PARAMS,
     "level must be a whole number from 0 to 9"},
    {"light", RPC_COMMAND_RESULT, "true", RPC_INVALID_PARAMS, "the result must be a JSON object"},
    {"light", RPC_COMMAND_PROGRESS, "4", RPC_OK, "4"},
    {"light", RPC_COMMAND_PROGRESS, "\"4\"", RPC_INVALID_PARAMS, "level must be a whole number from 0 to 9"},
    {"bare", RPC_COMMAND_RESULT, "[12345678901234567890,\"a\\u00e9\",null]", RPC_OK,
     "[12345678901234567890,\"a\xC3\xA9\",null]"},
    {"bare", RPC_COMMAND_RESULT, NULL, RPC_OK, "{}"},
    {"bare", RPC_COMMAND_PROGRESS, "true", RPC_OK, "true"},
    {"bare", RPC_COMMAND_RESULT, "tru", RPC_PARSE_ERROR, ""},
    {"bare", RPC_COMMAND_RESULT, "{\"a\":1,\"a\":2}", RPC_INVALID_PARAMS, ""},
    {"bare", RPC_COMMAND_PROGRESS, "\"\\u0000\"", RPC_INVALID_PARAMS, ""},
};

static void expect(const struct check *check)
{
    char why[RPC_WHY_BYTES] = "before", *checked = why;
    const rpc_command *command = rpc_command_find(instance, "lamp", check->name);
    const rpc_status status = rpc_command_check(instance, command, check->part, check->json, &checked, why);
    ck_assert_msg(status == check->status, "%s: %s: %s", check->json, status_name(status), why);
    ck_assert_int_eq(checked != NULL, status == RPC_OK);
    ck_assert_int_eq(*why != '\0', status != RPC_OK);
    if (*check->text)
        ck_assert_str_eq(checked ? checked : why, check->text);
    ck_assert_uint_eq(rig.host.line_count, 0);
    free(checked);
}

START_TEST(checks_parts)
{
    expect(&checks[_i]);
}
END_TEST

/* The option `undeclared` makes parameters strict, and nothing else. */
START_TEST(undeclared_members)
{
    static const struct check strict[] = {
        {"light", RPC_COMMAND_PARAMS, "{\"level\":3,\"x\":1}", RPC_INVALID_PARAMS, "x is not declared"},
        {"bare", RPC_COMMAND_PARAMS, "{\"x\":1}", RPC_INVALID_PARAMS,
         "x is not declared: the command takes no parameters"},
        {"light", RPC_COMMAND_RESULT, "{\"level\":3,\"x\":1}", RPC_OK, "{\"level\":3,\"x\":1}"},
    };
    close_rig();
    open_with(UNDECLARED_REFUSE, 1000);
    for (int i = 0; i < UNIT_ROWS(strict); i++)
        expect(&strict[i]);
}
END_TEST

/* What just fits max_reply, and what does not. */
START_TEST(large_values)
{
    char json[100] = "\"";
    memset(json + 1, 'x', 62 + (size_t)_i);
    strcat(json, "\"");
    close_rig();
    open_with(UNDECLARED_IGNORE, 64);
    expect(&(const struct check){"bare", RPC_COMMAND_RESULT, json, _i ? RPC_INVALID_PARAMS : RPC_OK,
                                 _i ? "the value is larger than max_reply, 64 bytes" : json});
}
END_TEST

/* A member's name of any length leaves the explanation one line of whole characters. */
START_TEST(explanations_are_bounded)
{
    char json[1000] = "{\"", why[RPC_WHY_BYTES], *checked;
    for (int i = 0; i < 300; i++)
        strcat(json, "\xC3\xA9");
    strcat(json, "\":1}");
    const rpc_command *command = rpc_command_find(instance, NULL, "strictly.bare");
    ck_assert_int_eq(rpc_command_check(instance, command, RPC_COMMAND_PARAMS, json, &checked, why),
                     RPC_INVALID_PARAMS);
    ck_assert_uint_lt(strlen(why), 130);
    ck_assert_ptr_nonnull(strstr(why, "\xC3\xA9 is not declared"));
}
END_TEST

/* ---- Mistakes of a module ---- */

START_TEST(mistakes_are_logged)
{
    static const rpc_command copy = {.name = "turn"}, stranger = {.name = "strange"};
    static const struct {
        const rpc_command *command;
        rpc_command_part part;
    } mistakes[] = {
        {&copy, RPC_COMMAND_PARAMS},
        {&stranger, RPC_COMMAND_RESULT},
        {&fan_commands[1], (rpc_command_part)3},
        {&fan_commands[1], (rpc_command_part)-1},
    };
    char why[RPC_WHY_BYTES] = "before", *checked = why;
    ck_assert_int_eq(
        rpc_command_check(instance, mistakes[_i].command, mistakes[_i].part, "{}", &checked, why),
        RPC_INTERNAL_ERROR);
    ck_assert_ptr_null(checked);
    ck_assert_str_eq(why, "");
    ck_assert(fake_host_logged(&rig.host, "module asker checks a command"));
}
END_TEST

UNIT_MAIN("command", open_rig, close_rig, {finds, UNIT_ROWS(searches)}, {prefixes_are_apart, 0},
          {checks_parts, UNIT_ROWS(checks)}, {undeclared_members, 0}, {large_values, 2},
          {explanations_are_bounded, 0}, {mistakes_are_logged, 4})

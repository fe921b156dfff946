// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/call/foreign.c and foreign_answer.c: methods and events that workers declare, beside those of the
 * lab's module. Calls go to a handler of this file, which stands for what takes them to a worker.
 */
#include "lab.h"
#include "unit.h"

#include "call/engine_parts.h"
#include "call/foreign_answer.h"
#include "call/task.h"
#include "failing_malloc.h"
#include "shape/fields_check.h"
#include "stats/recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const rpc_module rpc_module_rpc, rpc_module_observe;

static struct rig rig;
static struct lab_options options;
static const char one[] = "w1", two[] = "w2"; /* workers: an address and a name */

/* What the worker answers. */
static const char *answer_code, *answer;
static bool answer_waits;
static rpc_call *waiting;
static const char *answer_why;

static rpc_status give_answer(rpc_call *call)
{
    static char why[FIELDS_WHY];
    rpc_status status = strcmp(answer_code, "ok") == 0
                            ? foreign_take_result(call, answer, strlen(answer), why)
                            : foreign_take_error(call, answer_code, answer, strlen(answer), why);
    answer_why = why;
    if (strcmp(answer_code, "ok") != 0 && status == RPC_OK)
        status = RPC_INTERNAL_ERROR;
    return status == RPC_INVALID_PARAMS && strcmp(answer_code, "ok") == 0 ? RPC_INTERNAL_ERROR : status;
}

static rpc_status end_waiting(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)state, (void)data, (void)result;
    return outcome == RPC_OK ? give_answer(call) : outcome;
}

static rpc_status run(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)result;
    ck_assert_ptr_null(params);
    if (!answer_waits)
        return give_answer(call);
    waiting = call;
    return task_await(call, end_waiting, NULL, true);
}

static bool place(struct engine *engine, struct registry_method *method)
{
    (void)engine;
    method->run = run;
    method->may_pend = true;
    return true;
}

static void open_lab(void)
{
    rig_init(&rig);
    rig.options.jsonrpc_methods = "*";
    rig.options.sys_interval = 1000;
    rig.options.max_pending = 100;
    rig.options.timeout = rig.options.timeout_max = 3600000;
    lab_start(&rig, &options, NULL);
    rig_add(&rig, &rpc_module_rpc, NULL);
    rig_add(&rig, &rpc_module_observe, NULL);
    rig.engine->foreign->ways.place = place;
    answer_code = "ok";
    answer = "{}";
    answer_waits = false;
}

static void close_lab(void)
{
    rig_close(&rig);
}

/* ---- Declaring ---- */

struct both {
    const struct foreign_method_card *declares;
    const struct foreign_event_card *events;
    size_t declares_count, events_count;
};

static const rpc_field both_fields[] = {
    RPC_OBJECT_ARRAY(struct both, declares, declares_count, struct foreign_method_card, .doc = "methods",
                     .optional = true, .items = {0, 10000}, .shape = &foreign_method_shape),
    RPC_OBJECT_ARRAY(struct both, events, events_count, struct foreign_event_card, .doc = "events",
                     .optional = true, .items = {0, 10000}, .shape = &foreign_event_shape),
};

static const rpc_shape both_shape = RPC_OBJECT_SHAPE(struct both, both_fields);

static char why[FIELDS_WHY];

/* Declares what a JSON text has, as rpc.attach does. */
static rpc_status declare_text(const char *worker, const char *text)
{
    struct fields fields;
    struct arena arena;
    struct json_error error;
    void *decoded = NULL;
    arena_init(&arena);
    ck_assert_int_eq(fields_init(&fields, &both_shape, why), RPC_OK);
    const cJSON *tree = json_parse(text, strlen(text), &arena, &error);
    snprintf(why, sizeof why, "%s", error.why);
    rpc_status status =
        error.fault == JSON_FINE ? fields_decode(&fields, tree, &arena, &decoded, why) : RPC_INVALID_PARAMS;
    const struct both *both = decoded;
    if (status == RPC_OK) {
        const struct foreign_cards cards = {both->declares,       both->events,       NULL,
                                            both->declares_count, both->events_count, 0};
        status = foreign_declare(rig.engine, worker, worker, &cards, why);
    }
    fields_fini(&fields);
    arena_fini(&arena);
    return status;
}

static void declare(const char *worker, const char *text)
{
    const rpc_status status = declare_text(worker, text);
    ck_assert_msg(status == RPC_OK, "%d: %s", (int)status, why);
}

static struct foreign_row *row_of(const char *name)
{
    const struct registry_method *method = registry_find_exactly(&rig.engine->registry, name, strlen(name));
    return method ? method->foreign : NULL;
}

static void pass(uint64_t seconds)
{
    rig.host.monotonic += seconds * RIG_SECOND;
    engine_tick(rig.engine);
}

#define DOOR                                                                                             \
    "{\"events\":[{\"name\":\"opened\",\"doc\":\"a door is open\",\"key\":\"door\",\"retained\":true}]," \
    "\"declares\":[{\"name\":\"door.open\",\"doc\":\"Opens a door.\",\"event\":\"opened\","              \
    "\"params\":{\"type\":\"object\",\"properties\":{\"door\":{\"type\":\"string\"},\"fast\":{}},"       \
    "\"required\":[\"door\"]},\"result\":{\"type\":\"object\",\"title\":\"Door\"},\"lane\":\"door\","    \
    "\"idempotent\":true,\"timeout_ms\":5000}]}"
#define PLAIN "{\"declares\":[{\"name\":\"plain\"}]}"

/* ---- Calls ---- */

/* The result comes byte for byte; the event is keyed by it. */
START_TEST(result)
{
    declare(one, DOOR);
    answer = "{ \"door\" : \"front\", \"n\":1.50 }";
    rig_expect(&rig, "door.open", "{\"door\":\"front\"}", "ok", "{ \"door\" : \"front\", \"n\":1.50 }");
    rig_expect_event(&rig, "rpc/event/opened/front", "{ \"door\" : \"front\", \"n\":1.50 }");
    ck_assert(rig_last(&rig.host.events)->retain);
    static const char *const keys[][2] = {
        {"{\"door\":17}", "rpc/event/opened/17"},
        {"{\"door\":9007199254740993}", "rpc/event/opened/9007199254740993"},
        {"{\"door\":1.5}", "rpc/event/opened"},
        {"{\"door\":\"a/b\"}", "rpc/event/opened"},
        {"[1,2]", "rpc/event/opened"},
        {"null", "rpc/event/opened"},
        {"{\"door\":\"\xC3\xA4\"}", "rpc/event/opened/\xC3\xA4"}};
    for (int i = 0; i < UNIT_ROWS(keys); i++) {
        answer = keys[i][0];
        rig_expect(&rig, "door.open", "{}", "ok", answer);
        rig_expect_event(&rig, keys[i][1], answer);
    }
    char longest[200] = "";
    memset(longest, 'k', 129);
    char text[256];
    snprintf(text, sizeof text, "{\"door\":\"%s\"}", longest);
    answer = text;
    rig_expect(&rig, "door.open", "{}", "ok", text);
    rig_expect_event(&rig, "rpc/event/opened", text);
    answer = "";
    rig_expect(&rig, "door.open", "", "ok", "{}");
}
END_TEST

START_TEST(announce_unanswered)
{
    declare(one, "{\"events\":[{\"name\":\"done\"}],\"declares\":[{\"name\":\"plain\",\"event\":\"done\","
                 "\"announce\":\"unanswered\"}]}");
    answer = "1";
    rig_expect(&rig, "plain", "{}", "ok", "1");
    ck_assert_uint_eq(rig.host.events.count, 0);
    rig_tell(&rig, "plain", "{}");
    rig_expect_event(&rig, "rpc/event/done", "1");
}
END_TEST

/* Parameters are any object, and no other value. */
START_TEST(params)
{
    declare(one, PLAIN);
    rig_expect(&rig, "plain", "{\"any\":[1,{}],\"thing\":null}", "ok", "{}");
    rig_expect(
        &rig, "plain", "[1]", "invalid_params",
        "{\"method\":\"plain\",\"err\":\"invalid_params\",\"msg\":\"the parameters must be a JSON object\"}");
    rig_expect(
        &rig, "plain", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"plain\",\"params\":[]}", "invalid_params",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32602,\"message\":\"the parameters must be a "
        "JSON object\",\"data\":{\"method\":\"plain\",\"err\":\"invalid_params\",\"msg\":\"the parameters "
        "must be a JSON object\"}}}");
    rig_expect(&rig, "plain", "{\"a\":1,\"a\":2}", "invalid_params",
               "{\"method\":\"plain\",\"err\":\"invalid_params\",\"msg\":\"a is given twice\"}");
}
END_TEST

static const struct {
    const char *code, *answer, *status, *reply;
} errors[] = {
    {"door_stuck", "{\"msg\":\"it is stuck\",\"force\":[1,2.50],\"door\":\"x\"}", "door_stuck",
     "{\"method\":\"plain\",\"err\":\"door_stuck\",\"msg\":\"it is "
     "stuck\",\"force\":[1,2.5],\"door\":\"x\"}"},
    {"door_stuck", "{\"err\":\"other\",\"method\":\"x\",\"client\":\"me\"}", "door_stuck",
     "{\"method\":\"plain\",\"err\":\"door_stuck\",\"msg\":\"an error that the method "
     "declares\",\"client\":\"me\"}"},
    {"invalid_params", "{\"msg\":\"no such door\",\"client\":\"me\"}", "invalid_params",
     "{\"method\":\"plain\",\"err\":\"invalid_params\",\"msg\":\"no such door\"}"},
    {"bare", "", "bare",
     "{\"method\":\"plain\",\"err\":\"bare\",\"msg\":\"an error that the method declares\"}"},
    {"bare", "[1]", "bare",
     "{\"method\":\"plain\",\"err\":\"bare\",\"msg\":\"an error that the method declares\"}"},
    {"bare", "{\"msg\":", "bare",
     "{\"method\":\"plain\",\"err\":\"bare\",\"msg\":\"an error that the method declares\"}"},
    {"Bad-Code", "{}", "internal_error",
     "{\"method\":\"plain\",\"err\":\"internal_error\",\"msg\":\"the handler failed\"}"},
    {"progress", "{}", "internal_error",
     "{\"method\":\"plain\",\"err\":\"internal_error\",\"msg\":\"the handler failed\"}"},
    {"raised", "{}", "internal_error",
     "{\"method\":\"plain\",\"err\":\"internal_error\",\"msg\":\"the handler failed\"}"},
    {"ok", "{\"a\":", "internal_error",
     "{\"method\":\"plain\",\"err\":\"internal_error\",\"msg\":\"the handler failed\"}"},
    {"ok", "nul", "internal_error",
     "{\"method\":\"plain\",\"err\":\"internal_error\",\"msg\":\"the handler failed\"}"},
};

START_TEST(error)
{
    declare(one, PLAIN);
    answer_code = errors[_i].code;
    answer = errors[_i].answer;
    rig_expect(&rig, "plain", "{}", errors[_i].status, errors[_i].reply);
}
END_TEST

/* Each code is counted; those beyond the limits are errors of the engine's own. */
START_TEST(codes)
{
    char code[32];
    declare(one, PLAIN);
    answer_code = code;
    for (int i = 0; i <= FOREIGN_ERRORS_MAX; i++) {
        snprintf(code, sizeof code, "code_%d", i);
        const struct fake_message *reply = rig_ask(&rig, "plain", "{}");
        ck_assert_str_eq(reply->status, i < FOREIGN_ERRORS_MAX ? code : "internal_error");
    }
    ck_assert_ptr_nonnull(strstr(answer_why, "code_32"));
    strcpy(code, "code_3");
    rig_expect(&rig, "plain", "{}", "code_3",
               "{\"method\":\"plain\",\"err\":\"code_3\",\"msg\":\"an error that the method declares\"}");
    const struct fake_message *reply = rig_ask(&rig, "rpc.stats", "{\"method\":\"plain\"}");
    ck_assert_ptr_nonnull(strstr(reply->text, "\"code_3\":2,"));
    ck_assert_ptr_nonnull(strstr(reply->text, "\"internal_error\":1,"));
    ck_assert_ptr_nonnull(strstr(reply->text, "\"err\":\"code_3\""));
    ck_assert_uint_eq(strlen(answer_why) > 0, 1);
}
END_TEST

/* Of all methods, those that have gone included. */
START_TEST(all_codes)
{
    char code[32], text[100];
    int taken = 0;
    answer_code = code;
    for (int i = 0; i < FOREIGN_CODES_MAX / FOREIGN_ERRORS_MAX + 2; i++) {
        snprintf(text, sizeof text, "{\"declares\":[{\"name\":\"m%d\"}]}", i);
        declare(one, text);
        snprintf(text, sizeof text, "m%d", i);
        for (int j = 0; j < FOREIGN_ERRORS_MAX; j++) {
            snprintf(code, sizeof code, "code_%d_%d", i, j);
            taken += strcmp(rig_ask(&rig, text, "{}")->status, code) == 0;
        }
        foreign_forget(rig.engine, one);
        pass(61);
        ck_assert_ptr_null(row_of(text));
    }
    ck_assert_int_eq(taken, FOREIGN_CODES_MAX);
    rig_ask(&rig, "rpc.recent", "{\"limit\":256}");
}
END_TEST

/* ---- What is refused ---- */

static char deep[FOREIGN_DEPTH_MAX * 12 + 100], wide[FOREIGN_SCHEMA_MAX + 200];

#define NAMED(name) "{\"declares\":[{\"name\":" name "}]}"
#define EVENT(name) "{\"events\":[{\"name\":" name "}]}"
#define METHOD(rest) "{\"declares\":[{\"name\":\"m\"," rest "}]}"

static const struct {
    const char *text, *why;
} refused[] = {
    {NAMED("\"\""), "declares[0].name must have 1 to 128 characters"},
    {NAMED("\"a b\""), "declares[0], a b: a name has levels"},
    {NAMED("\"a//b\""), "a name has levels"},
    {NAMED("\"/a\""), "a name has levels"},
    {NAMED("\"a/request\""), "a name has levels"},
    {NAMED("\"a/+\""), "a name has levels"},
    {NAMED("\"a/#\""), "a name has levels"},
    {NAMED("\"a\\u001b[2J\""), "declares[0], a\\x1B[2J: a name has levels"},
    {NAMED("\"a\\u0000b\""), "U+0000"},
    {NAMED("\"{any}/open\""), "but not the first one"},
    {NAMED("\"a/{b\""), "a name has levels"},
    {NAMED("\"a/{b}/{b}\""), "a name has levels"},
    {NAMED("17"), "declares[0].name must be"},
    {NAMED("\"rpc.attach\""), "belong to the plugin"},
    {NAMED("\"rpc.mine\""), "belong to the plugin"},
    {NAMED("\"dead.mine\""), "belong to the plugin"},
    {NAMED("\"count\""), "declares[0], count: module lab has the method count"},
    {NAMED("\"door/{door}/open\""), "a call could also be one of door/{id}/{what}, which is declared, too"},
    {"{\"declares\":[{\"doc\":\"x\"}]}", "declares[0].name is required"},
    {"{\"declares\":[17]}", "declares[0] must be an object"},
    {"{\"declares\":{}}", "declares must be an array"},
    {"{\"declares\":[{\"name\":\"m\"},{\"name\":\"m\"}]}", "declares[1], m: declared twice"},
    {"{\"events\":[{\"name\":\"e\"},{\"name\":\"e\"}]}", "events[1], e: declared twice"},
    {"{\"declares\":[{\"name\":\"m\",\"name\":\"n\"}]}", "twice"},
    {METHOD("\"params\":17"), "its params is a JSON Schema, which is an object"},
    {METHOD("\"params\":null"), "params"},
    {METHOD("\"params\":true"), "its params is a JSON Schema, which is an object"},
    {METHOD("\"params\":{\"type\":\"string\"}"), "the type of their schema is \"object\""},
    {METHOD("\"params\":{\"type\":[\"object\",\"null\"]}"), "the type of their schema is \"object\""},
    {METHOD("\"result\":\"a string\""), "its result is a JSON Schema, which is an object"},
    {METHOD("\"doc\":\"two\\nlines\""), "control character"},
    {METHOD("\"doc\":\"\\u001b[31mred\""), "control character"},
    {METHOD("\"doc\":\"\\u009b31mred\""), "control character"},
    {METHOD("\"doc\":\"a\\u2028b\""), "control character"},
    {METHOD("\"timeout_ms\":-1"), "declares[0].timeout_ms"},
    {METHOD("\"timeout_ms\":86400001"), "declares[0].timeout_ms"},
    {METHOD("\"event\":\"counted\""), "its event, counted, is not one of `events`"},
    {METHOD("\"event\":\"nowhere\""), "its event, nowhere, is not one of `events`"},
    {METHOD("\"announce\":\"unanswered\""), "it also needs event"},
    {METHOD("\"announce\":\"never\""), "declares[0].announce"},
    {METHOD("\"lane\":\"\""), "declares[0].lane"},
    {METHOD("\"lane\":\"b\",\"params\":{\"properties\":{\"a\":{}}}"), "its params have no member b"},
    {METHOD("\"lane\":\"a\\u0007\""), "control character"},
    {METHOD("\"idempotent\":1"), "declares[0].idempotent"},
    {EVENT("\"error\""), "events[0], error: the name belongs to the plugin"},
    {EVENT("\"counted\""), "module lab has this event"},
    {EVENT("\"a b\""), "a name has levels"},
    {EVENT("\"a/{b}\""), "a name has levels"},
    {EVENT("\"opened/front\""), "lie where values of the key"},
    {EVENT("\"e\",\"doc\":\"a\\u0007\""), "control character"},
    {EVENT("\"e\",\"key\":\"a\\u0007\""), "control character"},
    {"{\"events\":[{\"name\":\"k\",\"key\":\"a\"},{\"name\":\"k/b\"}]}", "lie where values of the key"},
    {"{\"events\":[{\"name\":\"k/b\"},{\"name\":\"k\",\"key\":\"a\"}]}", "lie where values of the key"},
    {"{\"events\":[{\"name\":\"e\",\"key\":\"b\",\"data\":{\"properties\":{\"a\":{}}}}]}",
     "its data have no member b"},
    {"{\"events\":[{\"name\":\"e\",\"data\":[]}]}", "its data is a JSON Schema"},
    {"{\"declares\":[{\"name\":\"m\"}],\"events\":[{\"name\":\"e\",\"doc\":\"\\u0000\"}]}", "U+0000"},
    {deep, "levels of arrays and objects"},
    {wide, "bytes: at most 16384"},
};

static void make_texts(void)
{
    strcpy(deep, "{\"declares\":[{\"name\":\"m\",\"params\":{\"a\":");
    for (int i = 0; i < FOREIGN_DEPTH_MAX; i++)
        strcat(deep, "[");
    for (int i = 0; i < FOREIGN_DEPTH_MAX; i++)
        strcat(deep, "]");
    strcat(deep, "}}]}");
    strcpy(wide, "{\"declares\":[{\"name\":\"m\",\"params\":{\"a\":\"");
    memset(wide + strlen(wide), 'x', FOREIGN_SCHEMA_MAX);
    strcat(wide, "\"}}]}");
}

/* Nothing has changed then, and others' declarations hold. */
START_TEST(refuses)
{
    make_texts();
    declare(two, DOOR);
    declare(one, "{\"declares\":[{\"name\":\"door/{id}/{what}\"},{\"name\":\"mine\"}],"
                 "\"events\":[{\"name\":\"own\"}]}");
    const struct foreign before = *rig.engine->foreign;
    ck_assert_int_eq(declare_text(one, refused[_i].text), RPC_INVALID_PARAMS);
    ck_assert_msg(strstr(why, refused[_i].why), "%s", why);
    const struct foreign *after = rig.engine->foreign;
    ck_assert_uint_eq(after->bytes, before.bytes);
    ck_assert_uint_eq(after->methods, before.methods);
    ck_assert_uint_eq(after->families, before.families);
    ck_assert_uint_eq(after->events, before.events);
    ck_assert_uint_eq(after->changes, before.changes);
    ck_assert_ptr_null(row_of("m"));
    ck_assert(foreign_is_declared_by(row_of("mine"), one));
    /* Nor from a worker that has declared nothing. */
    ck_assert_int_eq(declare_text("w3", refused[_i].text), RPC_INVALID_PARAMS);
    ck_assert_uint_eq(rig.engine->foreign->bytes, before.bytes);
    answer = "{\"door\":\"x\"}";
    rig_expect(&rig, "mine", "{}", "ok", answer);
}
END_TEST

/* A module's method family comes before what is declared. */
static const rpc_method family_methods[] = {
    {.name = "lamp/{lamp}/set", .run = rig_do_nothing},
};
static const rpc_module family = {.name = "family", .methods = RPC_TABLE(family_methods)};

START_TEST(families)
{
    rig_add(&rig, &family, NULL);
    ck_assert_int_eq(declare_text(one, NAMED("\"lamp/one/set\"")), RPC_INVALID_PARAMS);
    ck_assert_ptr_nonnull(strstr(why, "module family has the method lamp/{lamp}/set"));
    ck_assert_int_eq(declare_text(one, NAMED("\"lamp/{lamp}/set\"")), RPC_INVALID_PARAMS);
    ck_assert_int_eq(declare_text(one, NAMED("\"lamp/{id}/{verb}\"")), RPC_INVALID_PARAMS);
    declare(one, "{\"declares\":[{\"name\":\"lamp/{lamp}/get\"},{\"name\":\"lamp/one/get\"}]}");
    answer = "1";
    rig_expect(&rig, "lamp/two/get", "{}", "ok", "1");
    rig_expect(&rig, "lamp/one/get", "{}", "ok", "1");
    ck_assert_uint_eq(row_of("lamp/{lamp}/get")->method.statistics.calls, 1);
    ck_assert_uint_eq(row_of("lamp/one/get")->method.statistics.calls, 1);
    rig_expect(&rig, "lamp/two/set", "{}", "ok", "{}");
    foreign_forget(rig.engine, one);
    pass(61);
    ck_assert_str_eq(rig_ask(&rig, "lamp/two/get", "{}")->status, "method_not_found");
}
END_TEST

/* ---- Limits ---- */

static char *make_many(const char *list, const char *pattern, int count)
{
    char *text = malloc((size_t)count * 100 + 100);
    int used = sprintf(text, "{\"%s\":[", list);
    for (int i = 0; i < count; i++)
        used += sprintf(text + used, pattern, i ? "," : "", i);
    strcpy(text + used, "]}");
    return text;
}

static const struct {
    const char *list, *pattern, *why;
    int max, count;
} many[] = {
    {"declares", "%s{\"name\":\"m%d\"}", "at most 1000 methods", FOREIGN_METHODS_MAX, 10000},
    {"declares", "%s{\"name\":\"m%d/{any}\"}", "at most 100 method families", FOREIGN_FAMILIES_MAX, 1000},
    {"events", "%s{\"name\":\"e%d\"}", "at most 250 events", FOREIGN_EVENTS_MAX, 1000},
};

START_TEST(too_many)
{
    char *text = make_many(many[_i].list, many[_i].pattern, many[_i].count);
    ck_assert_int_eq(declare_text(one, text), RPC_OVERLOADED);
    ck_assert_ptr_nonnull(strstr(why, many[_i].why));
    ck_assert_uint_eq(rig.engine->foreign->bytes, 0);
    free(text);
    text = make_many(many[_i].list, many[_i].pattern, many[_i].max);
    declare(one, text);
    declare(one, text);
    declare(two, text);
    free(text);
    ck_assert_int_eq(declare_text("w3", _i == 1   ? NAMED("\"more/{any}\"")
                                        : _i == 2 ? EVENT("\"more\"")
                                                  : NAMED("\"more\"")),
                     RPC_OVERLOADED);
    foreign_forget(rig.engine, one);
    pass(61);
    foreign_forget(rig.engine, two);
    ck_assert_ptr_nonnull(rig.engine->foreign->rows);
    pass(61);
    ck_assert_ptr_null(rig.engine->foreign->rows);
    ck_assert_uint_eq(rig.engine->foreign->bytes, 0);
    ck_assert_uint_eq(rig.engine->foreign->methods + rig.engine->foreign->events, 0);
}
END_TEST

START_TEST(too_large)
{
    static char text[FOREIGN_SCHEMA_MAX + 200];
    rpc_status status = RPC_OK;
    char name[8], *names = calloc(1000, sizeof name);
    int count = 0;
    for (; status == RPC_OK && count < 1000; count++) {
        const int used =
            snprintf(text, sizeof text, "{\"declares\":[{\"name\":\"m%d\",\"params\":{\"a\":\"", count);
        memset(text + used, 'x', FOREIGN_SCHEMA_MAX - 8);
        strcpy(text + used + FOREIGN_SCHEMA_MAX - 8, "\"}}]}");
        snprintf(names + (size_t)count * sizeof name, sizeof name, "w%d", count);
        status = declare_text(names + (size_t)count * sizeof name, text);
    }
    ck_assert_int_eq(status, RPC_OVERLOADED);
    ck_assert_ptr_nonnull(strstr(why, "bytes of schemas"));
    ck_assert_uint_le(rig.engine->foreign->bytes, FOREIGN_BYTES_MAX);
    ck_assert_int_gt(count, 400);
    for (int i = 0; i < count; i++)
        foreign_forget(rig.engine, names + (size_t)i * sizeof name);
    pass(61);
    ck_assert_uint_eq(rig.engine->foreign->bytes, 0);
    free(names);
}
END_TEST

/* ---- Coming and going ---- */

/* What was declared last holds, as long as anybody declares it. */
START_TEST(upgrade)
{
    declare(one, "{\"declares\":[{\"name\":\"m\",\"doc\":\"old\",\"read_only\":true,\"timeout_ms\":5}]}");
    struct foreign_row *row = row_of("m");
    declare(
        two,
        "{\"events\":[{\"name\":\"e\"}],\"declares\":[{\"name\":\"m\",\"doc\":\"new\",\"event\":\"e\"}]}");
    ck_assert_ptr_eq(row_of("m"), row);
    ck_assert_str_eq(row->method.declared->doc, "new");
    ck_assert(!row->method.declared->read_only);
    ck_assert_uint_eq(row->method.declared->timeout, 0);
    ck_assert_ptr_nonnull(row->method.event);
    foreign_forget(rig.engine, one);
    pass(1000);
    ck_assert_ptr_eq(row_of("m"), row);
    ck_assert_str_eq(row->method.declared->doc, "new");
    declare(two, "{\"declares\":[{\"name\":\"m\"}]}");
    ck_assert_ptr_null(row->method.declared->doc);
    ck_assert_ptr_null(row->method.event);
    ck_assert_ptr_nonnull(registry_find_event(&rig.engine->registry, "e"));
    pass(61);
    ck_assert_ptr_null(registry_find_event(&rig.engine->registry, "e"));
    /* Attaching again with nothing takes it back. */
    declare(two, "{}");
    pass(59);
    ck_assert_ptr_eq(row_of("m"), row);
    pass(2);
    ck_assert_ptr_null(row_of("m"));
}
END_TEST

/* An event whose new declaration is refused keeps its key. */
START_TEST(keeps_key)
{
    declare(one, DOOR);
    ck_assert_int_eq(declare_text(one, "{\"events\":[{\"name\":\"opened\",\"key\":\"other\"},"
                                       "{\"name\":\"a b\"}]}"),
                     RPC_INVALID_PARAMS);
    answer = "{\"door\":\"front\"}";
    rig_expect(&rig, "door.open", "{}", "ok", answer);
    rig_expect_event(&rig, "rpc/event/opened/front", answer);
}
END_TEST

/* A worker that is back in time finds all as it was, its statistics included. */
START_TEST(restart)
{
    declare(one, PLAIN);
    rig_ask(&rig, "plain", "{}");
    foreign_forget(rig.engine, one);
    pass(50);
    rig_ask(&rig, "plain", "{}");
    declare(two, PLAIN);
    pass(50);
    pass(50);
    ck_assert_uint_eq(row_of("plain")->method.statistics.calls, 2);
    foreign_forget(rig.engine, two);
    foreign_forget(rig.engine, two);
    pass(59);
    ck_assert_ptr_nonnull(row_of("plain"));
    pass(2);
    ck_assert_ptr_null(row_of("plain"));
}
END_TEST

/* What is left of a method that has gone: nothing that points at it. */
START_TEST(gone)
{
    declare(one, PLAIN);
    rig_ask(&rig, "plain", "{\"n\":1}");
    pass(2);
    foreign_forget(rig.engine, one);
    pass(61);
    const struct fake_message *last = rig_last(&rig.host.events);
    bool cleared = false;
    for (size_t i = 0; i < rig.host.events.count && i < FAKE_KEPT; i++) {
        last = &rig.host.events.kept[i];
        cleared |=
            strcmp(last->topic, "$SYS/broker/rpc/rpc/method/plain") == 0 && !last->size && last->retain;
    }
    ck_assert(cleared);
    ck_assert_str_eq(rig_ask(&rig, "plain", "{}")->status, "method_not_found");
    ck_assert_ptr_nonnull(strstr(rig_ask(&rig, "rpc.recent", "{\"method\":\"plain\"}")->text,
                                 "\"method\":\"plain\",\"caller\":\"tester\",\"status\":\"ok\""));
    ck_assert_str_eq(rig_ask(&rig, "rpc.metrics", "{}")->status, "ok");
    ck_assert_str_eq(rig_ask(&rig, "rpc.stats", "{}")->status, "ok");
}
END_TEST

/* Pending calls keep a method, of a batch, too. */
static const struct {
    const char *topic, *payload;
} pending[] = {
    {"rpc/call/plain", "{}"},
    {"rpc/batch/plain", "[{},{}]"},
    {"rpc/jsonrpc", "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"plain\"},"
                    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"count\"}]"},
};

START_TEST(pending_calls)
{
    declare(one, PLAIN);
    answer_waits = true;
    rig_send(&rig, pending[_i].topic, pending[_i].payload, RIG_REPLY, NULL);
    foreign_forget(rig.engine, one);
    pass(61);
    pass(61);
    ck_assert_ptr_nonnull(row_of("plain"));
    rpc_resume(waiting);
    if (_i == 1) {
        pass(61);
        ck_assert_ptr_nonnull(row_of("plain"));
        struct task *task;
        for (task = rig.engine->tasks->pending; task && !task->call; task = task->next)
            ;
        rpc_resume(task->call);
    }
    ck_assert_uint_eq(rig.host.replies.count, 1);
    pass(6);
    ck_assert_ptr_null(row_of("plain"));
}
END_TEST

/* The exchange of a batch whose last item is still pending refers to the method of the item before. */
START_TEST(settled_items)
{
    declare(one, PLAIN);
    declare(two, NAMED("\"slow\""));
    answer_waits = true;
    rig_send(&rig, "rpc/jsonrpc",
             "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"slow\"},"
             "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"nothing\"},"
             "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"plain\"}]",
             RIG_REPLY, NULL);
    rpc_resume(waiting); /* that of plain */
    foreign_forget(rig.engine, one);
    pass(61);
    pass(61);
    rpc_resume(rig.engine->tasks->pending->call);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    pass(61);
    ck_assert_ptr_null(row_of("plain"));
    ck_assert_ptr_nonnull(row_of("slow"));
}
END_TEST

/* ---- Discovery ---- */

START_TEST(described)
{
    declare(one, DOOR);
    declare(two, DOOR);
    rig_expect(
        &rig, "rpc.describe", "{\"method\":\"door.open\"}", "ok",
        "{\"method\":{\"name\":\"door.open\",\"summary\":\"Opens a "
        "door.\",\"tags\":[{\"name\":\"declared\"}],"
        "\"paramStructure\":\"by-name\",\"params\":[{\"name\":\"door\",\"required\":true,\"schema\":{"
        "\"type\":\"string\"}},{\"name\":\"fast\",\"required\":false,\"schema\":{}}],\"x-params\":{\"type\":"
        "\"object\",\"properties\":{\"door\":{\"type\":\"string\"},\"fast\":{}},\"required\":[\"door\"]},"
        "\"result\":{\"name\":\"result\",\"schema\":{\"type\":\"object\",\"title\":\"Door\"}},\"x-mqtt\":{"
        "\"topic\":\"rpc/call/door.open\",\"batchTopic\":\"rpc/batch/door.open\",\"jsonrpcTopic\":\"rpc/"
        "jsonrpc\","
        "\"payload\":\"object\",\"maxQos\":2,\"readOnly\":false,\"idempotent\":true,\"timeoutMs\":5000,"
        "\"announces\":{\"event\":\"opened\",\"topic\":\"rpc/event/opened\",\"key\":\"door\",\"keyedTopic\":"
        "\"rpc/event/opened/"
        "{key}\",\"when\":\"always\"}},\"x-workers\":[\"w1\",\"w2\"]},\"events\":[{\"name\":"
        "\"opened\",\"topic\":\"rpc/event/opened\",\"key\":\"door\",\"keyedTopic\":\"rpc/event/opened/"
        "{key}\","
        "\"description\":\"a door is open\",\"retained\":true,\"schema\":{\"anyOf\":[{\"type\":\"object\","
        "\"title\":\"Door\"}]},\"x-workers\":[\"w1\",\"w2\"]}]}");
}
END_TEST

/* Whether the reply of a method has this text, which may stand behind what a fake_message keeps as text. */
static bool is_shown(const char *method, const char *text)
{
    const struct fake_message *reply = rig_ask(&rig, method, "{}");
    return memmem(reply->payload, reply->size, text, strlen(text));
}

/* The document is made anew when workers declare something else. */
START_TEST(discovered)
{
    const char *const found = "{\"name\":\"door.open\",\"summary\":\"Opens a door.\"";
    ck_assert(!is_shown("rpc.discover", found));
    declare(one, DOOR);
    ck_assert(is_shown("rpc.discover", found));
    ck_assert(is_shown("rpc.discover", "\"x-workers\":[\"w1\"]"));
    ck_assert(is_shown("rpc.list", "{\"name\":\"door.open\",\"doc\":\"Opens a door.\"}"));
    ck_assert(is_shown("rpc.list", "{\"name\":\"opened\",\"doc\":\"a door is open\",\"key\":\"door\"}"));
    foreign_forget(rig.engine, one);
    ck_assert(is_shown("rpc.discover", "\"x-workers\":[]"));
    pass(61);
    ck_assert(!is_shown("rpc.discover", found));
}
END_TEST

/* Schemas may hold what they like; the document stays JSON. */
START_TEST(hostile_schemas)
{
    declare(one,
            "{\"declares\":[{\"name\":\"m\",\"params\":{\"properties\":{\"\":17,\"*/ \\u001b\\\"\":[1],"
            "\"a\":{\"$ref\":\"#/methods/0\",\"title\":\"*/ int x;\"}},\"required\":[17,\"a\",{\"b\":1}]},"
            "\"result\":{\"properties\":17,\"required\":{},\"$ref\":\"#\"}},"
            "{\"name\":\"n\",\"params\":{\"properties\":[1],\"required\":\"a\"}}]}");
    const struct fake_message *reply = rig_ask(&rig, "rpc.discover", "{}");
    cJSON *document = cJSON_ParseWithLength(reply->payload, reply->size);
    ck_assert_ptr_nonnull(document);
    cJSON_Delete(document);
    ck_assert_ptr_nonnull(
        strstr(rig_ask(&rig, "rpc.describe", "{\"method\":\"m\"}")->text,
               "\"params\":[{\"name\":\"a\",\"required\":true,\"schema\":{\"$ref\":\"#/methods/0\","
               "\"title\":\"*/ int x;\"}},{\"name\":\"\",\"required\":false,\"schema\":17},"));
}
END_TEST

/* Options that name methods know those of modules only: a worker may come and go. */
START_TEST(options_know_modules)
{
    char unknown[ENGINE_WORD];
    declare(one, PLAIN);
    ck_assert(!engine_has_methods(rig.engine, "count plain", unknown));
    ck_assert_str_eq(unknown, "plain");
}
END_TEST

/* ---- Failing allocations ---- */

static bool declares_all(void)
{
    static const struct foreign_method_card methods[] = {
        {.name = "m/{a}", .doc = "x", .params = {"{\"properties\":{\"l\":{}}}"}, .lane = "l", .event = "e"},
        {.name = "n"}};
    static const struct foreign_event_card events[] = {{.name = "e", .data = {"{}"}, .key = "k"}};
    static const struct foreign_cards cards = {methods, events, NULL, 2, 1, 0};
    const rpc_status first = foreign_declare(rig.engine, two, two, &cards, why);
    const rpc_status again = foreign_declare(rig.engine, two, two, &cards, why);
    foreign_forget(rig.engine, two);
    return first == RPC_OK && again == RPC_OK;
}

START_TEST(no_memory)
{
    declare(one, "{\"declares\":[{\"name\":\"n\",\"doc\":\"kept\"}]}");
    const size_t bytes = rig.engine->foreign->bytes;
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        failing_arm(_i ? FAILING_FROM : FAILING_ONCE, n);
        const bool worked = declares_all();
        failed = failing_disarm();
        ck_assert(worked || failed);
        ck_assert_uint_lt(n, 1000);
        foreign_forget(rig.engine, one);
        declare(one, "{\"declares\":[{\"name\":\"n\",\"doc\":\"kept\"}]}");
        pass(61);
        pass(61);
        ck_assert_uint_eq(rig.engine->foreign->bytes, bytes);
        ck_assert_uint_eq(rig.engine->foreign->methods, 1);
    }
}
END_TEST

int main(void)
{
    const struct unit_test tests[] = {
        {result, 0},
        {announce_unanswered, 0},
        {params, 0},
        {error, UNIT_ROWS(errors)},
        {codes, 0},
        {all_codes, 0},
        {refuses, UNIT_ROWS(refused)},
        {families, 0},
        {too_many, UNIT_ROWS(many)},
        {too_large, 0},
        {upgrade, 0},
        {restart, 0},
        {keeps_key, 0},
        {gone, 0},
        {pending_calls, UNIT_ROWS(pending)},
        {settled_items, 0},
        {described, 0},
        {discovered, 0},
        {hostile_schemas, 0},
        {options_know_modules, 0},
        {no_memory, 2},
    };
    failing_install();
    return unit_run("foreign", tests, sizeof tests / sizeof tests[0], open_lab, close_lab);
}

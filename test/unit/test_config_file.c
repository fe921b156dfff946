// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/config_file.c: the lines of a config_file, what they replace, and every reason to refuse a file; and
 * what core/config.c makes of such lines.
 */
#include "fake_host.h"
#include "unit.h"

#include "config_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct option_line given[] = {{.name = "rate_limit", .value = "7"},
                                     {.name = "qos", .value = "1"},
                                     {.name = "valve_room", .value = "4"}};
static struct option_lines broker = {.prefix = "opt_", .lines = given, .count = 3};

static struct option_lines merged;
static struct config *config;
static char why[OPTIONS_WHY];
static char *memory;

/* ---- A module with options ---- */

struct valve_options {
    int32_t room;
    const char *words;
};

static const rpc_field valve_fields[] = {
    RPC_INT32(struct valve_options, room, .doc = "one that stays", .default_json = "1"),
    RPC_STRING(struct valve_options, words, .doc = "one that changes", .unit = "words", .optional = true,
               .length = {1, 100}, .reloads = true),
};
static const rpc_shape valve_shape = RPC_OBJECT_SHAPE(struct valve_options, valve_fields);

static const rpc_module valve = {.name = "valve", .doc = "a module", .options = &valve_shape};
static const rpc_module *const modules[] = {&valve, NULL};

static void end(void)
{
    config_destroy(config);
    config = NULL;
    free(merged.lines);
    merged.lines = NULL;
    free(memory);
    memory = NULL;
}

static int merge_bytes(const char *text, size_t size)
{
    end();
    memory = malloc(size + 1); /* no more, so that a sanitizer sees what lies behind */
    ck_assert_ptr_nonnull(memory);
    memcpy(memory, text, size);
    why[0] = '\0';
    return config_file_merge(&merged, &broker, "some.conf", memory, size, why);
}

static int merge(const char *text)
{
    return merge_bytes(text, strlen(text));
}

static bool create(const char *text)
{
    ck_assert_msg(merge(text) >= 0, "%s", why);
    config = config_create(&merged, &fake_config_host, modules, why);
    return config;
}

/* ---- Lines ---- */

/* What is read of one text: "name=value@line;" for each setting. */
static const struct reading {
    const char *text, *settings;
} readings[] = {
    {"", ""},
    {"\n\n", ""},
    {"# a comment\n  # another\n#", ""},
    {"a b", "a=b@1;"},
    {"a b\n", "a=b@1;"},
    {"a b\r\nc d\r\n", "a=b@1;c=d@2;"},
    {"  a \t b  c \t\n", "a=b  c@1;"},
    {"\n#\n\na b", "a=b@4;"},
    {"opt_a b\nopt_ c\n", "a=b@1;=c@2;"},
    {"a b # c", "a=b # c@1;"},
    {"a \"b\"", "a=\"b\"@1;"},
    {"a b\na c", "a=b@1;a=c@2;"},
};

START_TEST(lines)
{
    char found[256] = "";
    const int count = merge(readings[_i].text);
    for (int i = 0; i < count; i++) {
        const struct option_line *line = &merged.lines[i];
        const size_t used = strlen(found);
        snprintf(found + used, sizeof found - used, "%s=%s@%u;", line->name, line->value, line->number);
    }
    ck_assert_str_eq(found, readings[_i].settings);
    ck_assert_uint_eq(merged.count, (size_t)count + 3);
}
END_TEST

START_TEST(settings_replace_those_of_the_broker)
{
    ck_assert_int_eq(merge("valve_room 5\nrate_limit 9\nerror_rate 3\n"), 3);
    ck_assert_uint_eq(merged.count, 4);
    ck_assert_str_eq(merged.lines[3].name, "qos");
    ck_assert_uint_eq(merged.lines[3].number, 0);
}
END_TEST

static const struct broken {
    const char *text;
    size_t size;
    const char *why;
} broken[] = {
    {"a b\nc\n", 6,
     ", line 2: a line is the name of an option, a space and its value, and this one has no value"},
    {"a \t\n", 4,
     ", line 1: a line is the name of an option, a space and its value, and this one has no value"},
    {"a b\0c\n", 6, ", line 1: it has a NUL byte"},
    {"a b\n\0", 5, ", line 2: it has a NUL byte"},
    {"\0", 1, ", line 1: it has a NUL byte"},
};

START_TEST(broken_files)
{
    char expected[OPTIONS_WHY];
    ck_assert_int_eq(merge_bytes(broken[_i].text, broken[_i].size), -1);
    snprintf(expected, sizeof expected, "config_file some.conf%s", broken[_i].why);
    ck_assert_str_eq(why, expected);
}
END_TEST

START_TEST(too_many_settings)
{
    char *text = malloc((CONFIG_FILE_SETTINGS + 1) * 4 + 1), *end_of_text = text;
    ck_assert_ptr_nonnull(text);
    for (int i = 0; i < CONFIG_FILE_SETTINGS; i++)
        end_of_text += sprintf(end_of_text, "a b\n");
    ck_assert_int_eq(merge(text), CONFIG_FILE_SETTINGS);
    sprintf(end_of_text, "a b\n");
    ck_assert_int_eq(merge(text), -1);
    ck_assert_str_eq(why, "config_file some.conf, line 1001: a file has at most 1000 settings");
    free(text);
}
END_TEST

/* A long file of lines without settings is no reason to refuse it. */
START_TEST(many_lines_without_settings)
{
    char *text = malloc(CONFIG_FILE_BYTES + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, '\n', CONFIG_FILE_BYTES);
    memcpy(text + CONFIG_FILE_BYTES - 3, "a b", 4);
    ck_assert_int_eq(merge(text), 1);
    ck_assert_uint_eq(merged.lines[0].number, CONFIG_FILE_BYTES - 2);
    free(text);
}
END_TEST

/* ---- What is made of them ---- */

START_TEST(the_file_comes_first)
{
    ck_assert_msg(create("rate_limit 9\nvalve_words a b\n"), "%s", why);
    ck_assert_int_eq(config->engine.rate_limit, 9);
    ck_assert_int_eq(config->engine.rate_burst, 18);
    ck_assert_int_eq(config->engine.qos, 1);
    const struct valve_options *options = config->modules[0].options;
    ck_assert_str_eq(options->words, "a b");
    ck_assert_int_eq(options->room, 4);
    ck_assert_msg(create("# rate_limit 9"), "%s", why);
    ck_assert_int_eq(config->engine.rate_limit, 7);
}
END_TEST

static const struct refused {
    const char *text, *why;
} refused[] = {
    {"\nrate_limit many",
     "line 2: rate_limit: 'many' is not accepted, it takes a whole number from 0 to 1000000"},
    {"nonsense 1", "line 1: nonsense: '1' is not accepted, there is no such option; the manual lists them in "
                   "docs/reference.md"},
    {"#\nopt_qos 2", "line 2: qos: '2' is not accepted, it does not change while the broker runs: it belongs "
                     "into the configuration of the broker"},
    {"place here", "line 1: place: 'here' is not accepted, it does not change while the broker runs: it "
                   "belongs into the configuration of the broker"},
    {"valve_room 5", "line 1: valve_room: '5' is not accepted, it does not change while the broker runs: it "
                     "belongs into the configuration of the broker"},
    {"prefix other", "line 1: prefix: 'other' is not accepted, it does not change while the broker runs: it "
                     "belongs into the configuration of the broker"},
    {"slow_call 1s\n\nslow_call 2s\nslow_call 3s",
     "line 3: slow_call: '2s' is not accepted, the option is given twice"},
    {"valve_words a,b", "line 1: valve_words: 'a,b' is not accepted, it takes words that are separated by "
                        "spaces, without quotation marks, commas and semicolons"},
    {"rate_limit 0\nrate_burst 5", "line 2: rate_burst: '5' is not accepted, it needs a rate_limit"},
    {"max_payload \033[31m",
     "line 1: max_payload: '\\x1B[31m' is not accepted, it takes a size in bytes from "
     "1 to 16m, such as 1500, 64k, 16m"},
};

START_TEST(refuses_and_says_where)
{
    char expected[OPTIONS_WHY];
    ck_assert(!create(refused[_i].text));
    snprintf(expected, sizeof expected, "config_file some.conf, %s", refused[_i].why);
    ck_assert_str_eq(why, expected);
}
END_TEST

/* The broker's line is at fault, and not the file. */
START_TEST(a_fault_of_the_broker_s_own_line)
{
    given[0].name = "rate_burst";
    ck_assert(!create("rate_limit 0"));
    ck_assert_str_eq(why, "opt_rate_burst: '7' is not accepted, it needs a rate_limit");
}
END_TEST

/* ---- Changes ---- */

static const struct change {
    const char *text, *other;
    size_t changes;
} changes[] = {
    {"", "", 0},
    {"rate_limit 7", "", 0},
    {"rate_limit 8", "", 1}, /* rate_burst, which follows it, is not given in either */
    {"rate_burst 14", "", 1},
    {"rate_limit 8\nrate_burst 20\nguard_events false\nslow_call 0\nsys_interval 1h", "", 5},
    {"event_publishers a", "event_publishers a", 0},
    {"event_publishers a", "event_publishers b", 1},
    {"event_publishers a", "", 1},
    {"valve_words a\nmethods_off b", "valve_words b", 2},
};

START_TEST(changes_are_counted)
{
    ck_assert(create(changes[_i].text));
    struct config *first = config;
    config = NULL;
    ck_assert(create(changes[_i].other));
    ck_assert_uint_eq(config_count_changes(first, config), changes[_i].changes);
    ck_assert_uint_eq(config_count_changes(config, first), changes[_i].changes);
    ck_assert_uint_eq(config_count_module_changes(first, config, 0),
                      strstr(changes[_i].text, "valve") != NULL);
    config_destroy(first);
}
END_TEST

/* ---- A file that is the whole configuration ---- */

static void begin_whole(void)
{
    broker.is_whole = true; /* each test is a process of its own */
}

START_TEST(a_whole_file_has_all_options_and_comes_last)
{
    begin_whole();
    ck_assert_msg(create("qos 2\nmax_batch 9\nplace here\nvalve_room 5\nworkers 3\n"), "%s", why);
    ck_assert_int_eq(config->engine.qos, 1);
    ck_assert_int_eq(config->engine.max_batch, 9);
    ck_assert_int_eq(config->engine.workers, 3);
    ck_assert_int_eq(((const struct valve_options *)config->modules[0].options)->room, 4);
    ck_assert(!create("workers many\n"));
    ck_assert_msg(strstr(why, "config_file some.conf, line 1: workers: 'many' is not accepted"), "%s", why);
}
END_TEST

static const struct fixed {
    const char *text, *other, *name;
} fixed[] = {
    {"workers 2", "", NULL},
    {"max_batch 3\nvalve_words a", "max_batch 4", NULL},
    {"workers 3", "", "workers"},
    {"place here", "place there", "place"},
    {"place here", "", "place"},
    {"valve_words a\nprefix a b", "prefix a c", "prefix"},
    {"prefix a", "prefix a b", "prefix"},
    {"modules valve", "", "modules"},
};

START_TEST(changes_that_take_a_new_start)
{
    begin_whole();
    ck_assert_msg(create(fixed[_i].text), "%s", why);
    struct config *first = config;
    config = NULL;
    ck_assert_msg(create(fixed[_i].other), "%s", why);
    ck_assert_pstr_eq(config_find_fixed_change(first, config), fixed[_i].name);
    ck_assert_pstr_eq(config_find_fixed_change(config, first), fixed[_i].name);
    config_destroy(first);
}
END_TEST

START_TEST(a_module_s_change_that_takes_a_new_start)
{
    begin_whole();
    given[2].name = "max_batch";
    ck_assert_msg(create("valve_room 5"), "%s", why);
    struct config *first = config;
    config = NULL;
    ck_assert_msg(create("valve_room 6"), "%s", why);
    ck_assert_str_eq(config_find_fixed_change(first, config), "valve_room");
    config_destroy(first);
}
END_TEST

UNIT_MAIN("config_file", NULL, end, {lines, UNIT_ROWS(readings)}, {settings_replace_those_of_the_broker, 0},
          {broken_files, UNIT_ROWS(broken)}, {too_many_settings, 0}, {many_lines_without_settings, 0},
          {the_file_comes_first, 0}, {refuses_and_says_where, UNIT_ROWS(refused)},
          {a_fault_of_the_broker_s_own_line, 0}, {changes_are_counted, UNIT_ROWS(changes)},
          {a_whole_file_has_all_options_and_comes_last, 0}, {changes_that_take_a_new_start, UNIT_ROWS(fixed)},
          {a_module_s_change_that_takes_a_new_start, 0})

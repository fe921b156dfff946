// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/config.c: the options of engines, of the host and of modules, their defaults, and every reason to
 * refuse a line.
 */
#include "fake_host.h"
#include "unit.h"

#include "config.h"
#include "dedup/accounts.h"
#include "modules.h"

#include <stdio.h>
#include <string.h>

enum { LINES = 4 };

static struct config *config;
static char why[OPTIONS_WHY];

static void close_config(void)
{
    config_destroy(config);
    config_destroy(NULL);
}

/* Names and values in turn, ending with a name that is NULL. */
static struct config *create_with(const char *const pairs[2 * LINES], const rpc_module *const *modules)
{
    struct option_line given[LINES];
    struct option_lines lines = {.lines = given, .count = 0};
    while (lines.count < LINES && pairs[2 * lines.count]) {
        given[lines.count] =
            (struct option_line){.name = pairs[2 * lines.count], .value = pairs[2 * lines.count + 1]};
        lines.count++;
    }
    config = config_create(&lines, &fake_config_host, modules, why);
    return config;
}

static void create(const char *name, const char *value)
{
    const char *const pairs[2 * LINES] = {name, value};
    ck_assert_msg(create_with(pairs, rpc_modules), "%s", why);
}

static const struct fake_options *host_options(void)
{
    return config->host_options;
}

/* ---- What is accepted ---- */

/* Those that docs/reference.md says. */
START_TEST(defaults)
{
    const char *const none[2 * LINES] = {NULL};
    ck_assert_msg(create_with(none, rpc_modules), "%s", why);
    ck_assert_uint_eq(config->prefix_count, 1);
    ck_assert_str_eq(config->prefixes[0], "rpc");
    ck_assert_ptr_null(host_options()->place);
    const struct engine_options *engine = &config->engine;
    ck_assert_int_eq(engine->qos, 2);
    ck_assert(!engine->forward_calls);
    ck_assert_int_eq(engine->unknown_methods, UNKNOWN_REJECT);
    ck_assert_str_eq(engine->response_topic_filter, "#");
    ck_assert(engine->guard_events);
    ck_assert_ptr_null(engine->event_publishers);
    ck_assert(!engine->bridge_calls);
    ck_assert_int_eq(engine->max_payload, 65536);
    ck_assert_int_eq(engine->max_reply, 131072);
    ck_assert_int_eq(engine->reply_expiry, 60);
    ck_assert_int_eq(engine->sys_interval, 10000);
    ck_assert_int_eq(engine->slow_call, 50);
    ck_assert_int_eq(engine->workers, 2);
    ck_assert_int_eq(engine->max_pending, 1024);
    ck_assert_int_eq(engine->max_pending_bytes, 67108864);
    ck_assert_int_eq(engine->timeout, 10000);
    ck_assert_int_eq(engine->timeout_max, 60000);
    ck_assert_int_eq(engine->max_batch, 100);
    ck_assert_ptr_null(engine->jsonrpc_methods);
    ck_assert_int_eq(engine->reply_delivery, DELIVERY_CLIENT);
    ck_assert_int_eq(engine->duplicate_window, 60000);
    ck_assert_int_eq(engine->duplicate_entries, 10000);
    ck_assert_int_eq(engine->duplicate_bytes, 16777216);
    ck_assert_int_eq(engine->redelivery_guard, 10000);
    ck_assert_int_eq(engine->rate_limit, 0);
    ck_assert_int_eq(engine->rate_burst, 0);
    ck_assert_int_eq(engine->rate_bytes, 0);
    ck_assert_int_eq(engine->rate_limit_by, ACCOUNTS_BY_CLIENT);
    ck_assert_int_eq(engine->error_rate, 20);
    size_t count = 0;
    while (rpc_modules[count])
        count++;
    ck_assert_uint_eq(config->module_count, count);
    for (size_t i = 0; i < count; i++)
        ck_assert_ptr_eq(config->modules[i].module, rpc_modules[i]);
}
END_TEST

START_TEST(each_option_is_read)
{
    create("qos", "0");
    ck_assert_int_eq(config->engine.qos, 0);
    close_config();
    create("forward_calls", "true");
    ck_assert(config->engine.forward_calls);
    close_config();
    create("unknown_methods", "forward");
    ck_assert_int_eq(config->engine.unknown_methods, UNKNOWN_FORWARD);
    close_config();
    create("response_topic_filter", "reply/+/#");
    ck_assert_str_eq(config->engine.response_topic_filter, "reply/+/#");
    close_config();
    create("guard_events", "false");
    ck_assert(!config->engine.guard_events);
    close_config();
    create("event_publishers", "bob  mary ");
    ck_assert_str_eq(config->engine.event_publishers, "bob  mary");
    close_config();
    create("bridge_calls", "true");
    ck_assert(config->engine.bridge_calls);
    close_config();
    create("place", "here");
    ck_assert_str_eq(host_options()->place, "here");
    close_config();
    create("max_payload", "1m");
    ck_assert_int_eq(config->engine.max_payload, 1048576);
    close_config();
    create("max_reply", "64");
    ck_assert_int_eq(config->engine.max_reply, 64);
    close_config();
    create("reply_expiry", "2h");
    ck_assert_int_eq(config->engine.reply_expiry, 7200);
    close_config();
    create("sys_interval", "0");
    ck_assert_int_eq(config->engine.sys_interval, 0);
    close_config();
    create("slow_call", "1s");
    ck_assert_int_eq(config->engine.slow_call, 1000);
}
END_TEST

START_TEST(each_limit_is_read)
{
    create("max_batch", "10000");
    ck_assert_int_eq(config->engine.max_batch, 10000);
    close_config();
    create("jsonrpc_methods", "echo  ping ");
    ck_assert_str_eq(config->engine.jsonrpc_methods, "echo  ping");
    close_config();
    create("jsonrpc_methods", "*");
    ck_assert_str_eq(config->engine.jsonrpc_methods, "*");
    close_config();
    create("reply_delivery", "subscribed");
    ck_assert_int_eq(config->engine.reply_delivery, DELIVERY_SUBSCRIBED);
    close_config();
    create("reply_delivery", "client");
    ck_assert_int_eq(config->engine.reply_delivery, DELIVERY_CLIENT);
    close_config();
    create("duplicate_window", "1500ms");
    ck_assert_int_eq(config->engine.duplicate_window, 1500);
    close_config();
    create("duplicate_window", "24h");
    ck_assert_int_eq(config->engine.duplicate_window, 86400000);
    close_config();
    create("duplicate_entries", "1");
    ck_assert_int_eq(config->engine.duplicate_entries, 1);
    close_config();
    create("duplicate_bytes", "1024m");
    ck_assert_int_eq(config->engine.duplicate_bytes, 1073741824);
    close_config();
    create("redelivery_guard", "0");
    ck_assert_int_eq(config->engine.redelivery_guard, 0);
    close_config();
    create("redelivery_guard", "1m");
    ck_assert_int_eq(config->engine.redelivery_guard, 60000);
    close_config();
    create("error_rate", "0");
    ck_assert_int_eq(config->engine.error_rate, 0);
}
END_TEST

/* The burst is twice the rate unless it is given, and may be smaller. */
static const struct rate {
    const char *pairs[2 * LINES];
    int32_t limit, burst;
} rates[] = {
    {{"rate_limit", "0"}, 0, 0},
    {{"rate_limit", "1"}, 1, 2},
    {{"rate_limit", "50"}, 50, 100},
    {{"rate_limit", "1000000"}, 1000000, 2000000},
    {{"rate_limit", "50", "rate_burst", "50"}, 50, 50},
    {{"rate_burst", "1", "rate_limit", "50"}, 50, 1},
    {{"rate_limit", "1", "rate_burst", "2000000"}, 1, 2000000},
};

START_TEST(rates_and_bursts)
{
    ck_assert_msg(create_with(rates[_i].pairs, rpc_modules), "%s", why);
    ck_assert_int_eq(config->engine.rate_limit, rates[_i].limit);
    ck_assert_int_eq(config->engine.rate_burst, rates[_i].burst);
}
END_TEST

START_TEST(several_prefixes)
{
    create("prefix", " prod/rpc  dev/rpc $mine $SYSTEM /rpc/v1 ");
    ck_assert_uint_eq(config->prefix_count, 5);
    ck_assert_str_eq(config->prefixes[0], "prod/rpc");
    ck_assert_str_eq(config->prefixes[1], "dev/rpc");
    ck_assert_str_eq(config->prefixes[2], "$mine");
    ck_assert_str_eq(config->prefixes[4], "/rpc/v1");
}
END_TEST

static char prefixes[65 * 4 + 1];

static void make_prefixes(int count)
{
    prefixes[0] = '\0';
    for (int i = 0; i < count; i++)
        sprintf(prefixes + strlen(prefixes), "p%02d ", i);
}

START_TEST(many_prefixes)
{
    make_prefixes(CONFIG_PREFIXES);
    create("prefix", prefixes);
    ck_assert_uint_eq(config->prefix_count, CONFIG_PREFIXES);
    close_config();
    make_prefixes(CONFIG_PREFIXES + 1);
    const char *const pairs[2 * LINES] = {"prefix", prefixes};
    ck_assert_ptr_null(create_with(pairs, rpc_modules));
    ck_assert_str_eq(why, "opt_prefix: 'p64' is not accepted, there are at most 64 prefixes");
}
END_TEST

START_TEST(some_modules)
{
    create("modules", "sensor  ping ");
    ck_assert_uint_eq(config->module_count, 2);
    ck_assert_str_eq(config->modules[0].module->name, "ping");
    ck_assert_str_eq(config->modules[1].module->name, "sensor");
    ck_assert_ptr_null(config->modules[0].options);
    ck_assert_ptr_nonnull(config->modules[1].options);
}
END_TEST

/* The first member of sensor's options is db. */
START_TEST(options_of_modules)
{
    create("sensor_db", "other.db");
    for (size_t i = 0; i < config->module_count; i++) {
        if (strcmp(config->modules[i].module->name, "sensor") == 0)
            ck_assert_str_eq(*(const char *const *)config->modules[i].options, "other.db");
    }
}
END_TEST

/* A module that is switched off is no reason to refuse its options. */
START_TEST(options_of_modules_that_are_off)
{
    const char *const pairs[2 * LINES] = {"modules", "ping", "sensor_max_sensors", "12"};
    ck_assert_msg(create_with(pairs, rpc_modules), "%s", why);
    ck_assert_uint_eq(config->module_count, 1);
}
END_TEST

START_TEST(values_may_end_with_blanks)
{
    const char *const pairs[2 * LINES] = {"qos",          "1 ",      "prefix",    "a b\t",
                                          "guard_events", "false  ", "max_reply", "1k \t"};
    ck_assert_msg(create_with(pairs, rpc_modules), "%s", why);
    ck_assert_int_eq(config->engine.qos, 1);
    ck_assert_uint_eq(config->prefix_count, 2);
    ck_assert_str_eq(config->prefixes[1], "b");
    ck_assert_int_eq(config->engine.max_reply, 1024);
}
END_TEST

/* Lines of options that stand for methods, whichever they are, become one text. */
START_TEST(placements)
{
    const char *const pairs[2 * LINES] = {
        "placement_slow", "remote",      "qos",  "1", "placement_door/{door}/open",
        "spill \t",       "placement_x", "local"};
    ck_assert_msg(create_with(pairs, rpc_modules), "%s", why);
    ck_assert_str_eq(config->engine.placements, "slow remote door/{door}/open spill x local");
    close_config();
    create("qos", "1");
    ck_assert_ptr_null(config->engine.placements);
}
END_TEST

/* ---- What is refused ---- */

#define PREFIX                                                                                             \
    "a prefix is a topic of at most 128 bytes without wildcards and empty levels, which may begin with a " \
    "slash"
#define RESERVED "the first level of a prefix must not be "
#define CLASH "its topics must not be those of another prefix"
#define FILTER "it takes a topic filter, in which + is a whole level and # the last one"
#define WORDS "it takes words that are separated by spaces, without quotation marks, commas and semicolons"
#define TEXT "it takes the text itself, without quotation marks around it"
#define UNKNOWN "there is no such option; the manual lists them in docs/reference.md"
#define NEAR "there is no such option, did you mean "
#define TWICE "the option is given twice"
#define PLACEMENT "it takes one of local, spill, remote"

static const struct refused {
    const char *pairs[2 * LINES];
    const char *option, *value, *because;
} refused[] = {
    {{"prefix", "a/+"}, "prefix", "a/+", PREFIX},
    {{"prefix", "a b/#"}, "prefix", "b/#", PREFIX},
    {{"prefix", "//rpc"}, "prefix", "//rpc", PREFIX},
    {{"prefix", "/"}, "prefix", "/", PREFIX},
    {{"prefix", "/rpc/"}, "prefix", "/rpc/", PREFIX},
    {{"prefix", "/rpc rpc /rpc/call"}, "prefix", "/rpc/call", CLASH},
    {{"prefix", "rpc/"}, "prefix", "rpc/", PREFIX},
    {{"prefix", "$SYS/rpc"}, "prefix", "$SYS/rpc", RESERVED "$SYS"},
    {{"prefix", "$SYS"}, "prefix", "$SYS", RESERVED "$SYS"},
    {{"prefix", "a $share/b"}, "prefix", "$share/b", RESERVED "$share"},
    {{"prefix", "rpc rpc"}, "prefix", "rpc", CLASH},
    {{"prefix", "rpc rpc/call"}, "prefix", "rpc/call", CLASH},
    {{"prefix", "rpc/event/x a rpc"}, "prefix", "rpc", CLASH},
    {{"prefix", ""}, "prefix", "", "it takes a string of 1 to 4096 characters"},
    {{"prefix", "  "}, "prefix", "  ", "it takes a string of 1 to 4096 characters"},
    {{"prefix", "a\xFF"}, "prefix", "a\\xFF", "it takes a string of 1 to 4096 characters"},
    {{"prefix", "a\x01"}, "prefix", "a\\x01", PREFIX},
    {{"prefix", "\"rpc\""}, "prefix", "\"rpc\"", WORDS},
    {{"prefix", "rpc, dev"}, "prefix", "rpc, dev", WORDS},
    {{"modules", "ping,echo"}, "modules", "ping,echo", WORDS},
    {{"event_publishers", "alice,bob"}, "event_publishers", "alice,bob", WORDS},
    {{"event_publishers", "alice;bob"}, "event_publishers", "alice;bob", WORDS},
    {{"event_publishers", "'alice' bob"}, "event_publishers", "'alice' bob", WORDS},
    {{"jsonrpc_methods", "\"*\""}, "jsonrpc_methods", "\"*\"", WORDS},
    {{"response_topic_filter", "\"a/#\""}, "response_topic_filter", "\"a/#\"", TEXT},
    {{"response_topic_filter", "'a/b'"}, "response_topic_filter", "'a/b'", TEXT},
    {{"place", "\"here\""}, "place", "\"here\"", TEXT},
    {{"undeclared", "deny"}, "undeclared", "deny", "it takes one of ignore, refuse"},
    {{"qos", "3"}, "qos", "3", "it takes a whole number from 0 to 2"},
    {{"qos", "-1"}, "qos", "-1", "it takes a whole number from 0 to 2"},
    {{"qos", "two"}, "qos", "two", "it takes a whole number from 0 to 2"},
    {{"forward_calls", "yes"}, "forward_calls", "yes", "it takes true or false"},
    {{"unknown_methods", "ignore"}, "unknown_methods", "ignore", "it takes one of reject, forward"},
    {{"response_topic_filter", "a#"}, "response_topic_filter", "a#", FILTER},
    {{"response_topic_filter", "#/a"}, "response_topic_filter", "#/a", FILTER},
    {{"response_topic_filter", "a+/b"}, "response_topic_filter", "a+/b", FILTER},
    {{"response_topic_filter", "+a"}, "response_topic_filter", "+a", FILTER},
    {{"response_topic_filter", "a/##"}, "response_topic_filter", "a/##", FILTER},
    {{"bridge_response_topics", "a/# b#"},
     "bridge_response_topics",
     "b#",
     "it takes topic filters, in which + is a whole level and # the last one"},
    {{"bridge_response_topics", "a/#, b/#"}, "bridge_response_topics", "a/#, b/#", WORDS},
    {{"place", "nowhere"}, "place", "nowhere", "it takes another place"},
    {{"place", ""}, "place", "", "it takes a string of 1 to 1024 characters"},
    {{"max_payload", "0"},
     "max_payload",
     "0",
     "it takes a size in bytes from 1 to 16m, such as 1500, 64k, 16m"},
    {{"max_reply", "63"},
     "max_reply",
     "63",
     "it takes a size in bytes from 64 to 16m, such as 1500, 64k, 16m"},
    {{"max_reply", "17m"},
     "max_reply",
     "17m",
     "it takes a size in bytes from 64 to 16m, such as 1500, 64k, 16m"},
    {{"slow_call", "50"}, "slow_call", "50", "it takes a duration from 0 to 1h, such as 500ms, 10s, 5m, 1h"},
    {{"sys_interval", "25h"},
     "sys_interval",
     "25h",
     "it takes a duration from 0 to 24h, such as 500ms, 10s, 5m, 1h"},
    {{"max_batch", "0"}, "max_batch", "0", "it takes a whole number from 1 to 10000"},
    {{"max_batch", "10001"}, "max_batch", "10001", "it takes a whole number from 1 to 10000"},
    {{"jsonrpc_methods", ""}, "jsonrpc_methods", "", "it takes a string of 1 to 65535 characters"},
    {{"reply_delivery", "public"}, "reply_delivery", "public", "it takes one of client, subscribed"},
    {{"duplicate_window", "25h"},
     "duplicate_window",
     "25h",
     "it takes a duration from 0 to 24h, such as 500ms, 10s, 5m, 1h"},
    {{"duplicate_window", "60"},
     "duplicate_window",
     "60",
     "it takes a duration from 0 to 24h, such as 500ms, 10s, 5m, 1h"},
    {{"duplicate_entries", "0"}, "duplicate_entries", "0", "it takes a whole number from 1 to 10000000"},
    {{"duplicate_entries", "10000001"},
     "duplicate_entries",
     "10000001",
     "it takes a whole number from 1 to 10000000"},
    {{"duplicate_bytes", "0"},
     "duplicate_bytes",
     "0",
     "it takes a size in bytes from 1 to 1024m, such as 1500, 64k, 16m"},
    {{"redelivery_guard", "2h"},
     "redelivery_guard",
     "2h",
     "it takes a duration from 0 to 1h, such as 500ms, 10s, 5m, 1h"},
    {{"rate_limit", "-1"}, "rate_limit", "-1", "it takes a whole number from 0 to 1000000"},
    {{"rate_limit", "1000001"}, "rate_limit", "1000001", "it takes a whole number from 0 to 1000000"},
    {{"rate_limit", "5", "rate_burst", "0"}, "rate_burst", "0", "it takes a whole number from 1 to 2000000"},
    {{"rate_limit", "5", "rate_burst", "2000001"},
     "rate_burst",
     "2000001",
     "it takes a whole number from 1 to 2000000"},
    {{"rate_burst", "5"}, "rate_burst", "5", "it needs a rate_limit"},
    {{"rate_burst", "5", "rate_limit", "0"}, "rate_burst", "5", "it needs a rate_limit"},
    {{"rate_bytes", "2048m"},
     "rate_bytes",
     "2048m",
     "it takes a size in bytes from 0 to 1024m, such as 1500, 64k, 16m"},
    {{"rate_limit_by", "ip"}, "rate_limit_by", "ip", "it takes one of client, user, address"},
    {{"max_pending_bytes", "1k"},
     "max_pending_bytes",
     "1k",
     "it takes a size in bytes from 64k to 1024m, such as 1500, 64k, 16m"},
    {{"error_rate", "1000001"}, "error_rate", "1000001", "it takes a whole number from 0 to 1000000"},
    {{"placement_x", "there"}, "placement_x", "there", PLACEMENT},
    {{"placement_x", ""}, "placement_x", "", PLACEMENT},
    {{"placement_x", "loc"}, "placement_x", "loc", PLACEMENT},
    {{"placement_x", "remotely"}, "placement_x", "remotely", PLACEMENT},
    {{"placement_x", "remote spill"}, "placement_x", "remote spill", PLACEMENT},
    {{"placement_x", "\"remote\""}, "placement_x", "\"remote\"", PLACEMENT},
    {{"placement_x", "spill", "placement_x", "spill"}, "placement_x", "spill", TWICE},
    {{"placement_METHOD", "there"}, "placement_METHOD", "there", PLACEMENT},
    {{"placement_", "local"}, "placement_", "local", UNKNOWN},
    {{"placement", "local"}, "placement", "local", UNKNOWN},
    {{"nonsense", "1"}, "nonsense", "1", UNKNOWN},
    {{"QOS", "1"}, "QOS", "1", NEAR "qos?"},
    {{"worker", "2"}, "worker", "2", NEAR "workers?"},
    {{"sensor_nonsense", "1"}, "sensor_nonsense", "1", UNKNOWN},
    {{"ping_x", "1"}, "ping_x", "1", UNKNOWN},
    {{"max_sensors", "1"}, "max_sensors", "1", UNKNOWN},
    {{"bad\nname", "v\x1B"}, "bad\\x0Aname", "v\\x1B", UNKNOWN},
    {{"qos", "1", "qos", "1"}, "qos", "1", TWICE},
    {{"qos", "1", "prefix", "a", "qos", "2"}, "qos", "2", TWICE},
    {{"sensor_max_sensors", "1", "sensor_max_sensors", "2"}, "sensor_max_sensors", "2", TWICE},
    {{"sensor_max_sensors", "0"}, "sensor_max_sensors", "0", "it takes a whole number from 1 to 10000"},
    {{"modules", "ping", "sensor_max_sensors", "x"},
     "sensor_max_sensors",
     "x",
     "it takes a whole number from 1 to 10000"},
    {{"probe_colour", "pink"}, "probe_colour", "pink", "it takes one of red, green, blue"},
};

START_TEST(refuses_and_tells)
{
    const struct refused *row = &refused[_i];
    char expected[OPTIONS_WHY];
    ck_assert_ptr_null(create_with(row->pairs, rpc_modules));
    snprintf(expected, sizeof expected, "opt_%s: '%s' is not accepted, %s", row->option, row->value,
             row->because);
    ck_assert_str_eq(why, expected);
}
END_TEST

/* All modules are named, whichever they are. */
START_TEST(refuses_other_modules)
{
    static const char *const lists[] = {"ping pong", "pong"};
    const char *const pairs[2 * LINES] = {"modules", lists[_i]};
    ck_assert_ptr_null(create_with(pairs, rpc_modules));
    char expected[OPTIONS_WHY] = "opt_modules: 'pong' is not accepted, the modules are";
    for (size_t i = 0; rpc_modules[i]; i++) {
        strcat(expected, " ");
        strcat(expected, rpc_modules[i]->name);
    }
    ck_assert_str_eq(why, expected);
}
END_TEST

/* One line of printable text for any configuration. */
START_TEST(explanations_are_one_line)
{
    const struct refused *row = &refused[_i];
    create_with(row->pairs, rpc_modules);
    for (const char *c = why; *c; c++)
        ck_assert(*c >= ' ' && *c <= '~');
}
END_TEST

/* What stands in a line that is given twice is as little to be trusted. */
START_TEST(also_where_a_line_is_given_twice)
{
    const char *const pairs[2 * LINES] = {"prefix", "a", "prefix", "b\nprinted\x1B[31m"};
    ck_assert_ptr_null(create_with(pairs, rpc_modules));
    for (const char *c = why; *c; c++)
        ck_assert_msg(*c >= ' ' && *c <= '~', "byte %d", *c);
}
END_TEST

/* ---- Wrong tables of modules ---- */

struct values {
    int32_t n;
    const char *text;
    rpc_json any;
};

static const rpc_field fine_fields[] = {RPC_INT32(struct values, n, .doc = "d", .default_json = "1")};
static const rpc_field required_fields[] = {RPC_INT32(struct values, n, .doc = "has no default")};
static const rpc_field broken_fields[] = {RPC_STRING(struct values, text, .default_json = "\"\"")};
static const rpc_field json_fields[] = {RPC_JSON(struct values, any, .doc = "d", .default_json = "{}")};
static const rpc_field clashing_fields[] = {
    RPC_INT32(struct values, n, .name = "payload", .doc = "d", .default_json = "1")};
static const rpc_shape fine_shape = RPC_OBJECT_SHAPE(struct values, fine_fields);
static const rpc_shape required_shape = RPC_OBJECT_SHAPE(struct values, required_fields);
static const rpc_shape broken_shape = RPC_OBJECT_SHAPE(struct values, broken_fields);
static const rpc_shape json_shape = RPC_OBJECT_SHAPE(struct values, json_fields);
static const rpc_shape value_shape = RPC_VALUE_SHAPE(struct values, required_fields);
static const rpc_shape bytes_shape = RPC_BYTES_SHAPE;
static const rpc_shape clashing_shape = RPC_OBJECT_SHAPE(struct values, clashing_fields);

/* The header says that options are an object, each field optional or with a default,
   of any kind but JSON. */
static const struct table {
    rpc_module module;
    const char *why; /* a part of it; NULL: nothing is wrong */
} tables[] = {
    {{.name = "m", .options = &fine_shape}, NULL},
    {{.name = "m"}, NULL},
    {{.name = "m", .options = &broken_shape}, "module m: its options: text needs a .length with a maximum"},
    {{.name = "max", .options = &clashing_shape},
     "module max: opt_max_payload is an option of the service itself"},
    {{.name = "m", .options = &required_shape}, "module m: "},
    {{.name = "m", .options = &value_shape}, "module m: "},
    {{.name = "m", .options = &bytes_shape}, "module m: "},
    {{.name = "m", .options = &json_shape}, "module m: "},
};

START_TEST(tables_of_modules)
{
    const char *const none[2 * LINES] = {NULL};
    const rpc_module *const modules[] = {&tables[_i].module, NULL};
    create_with(none, modules);
    ck_assert_int_eq(config != NULL, tables[_i].why == NULL);
    if (!tables[_i].why)
        return;
    ck_assert_msg(strstr(why, tables[_i].why), "%s", why);
    ck_assert_msg(!strstr(why, "memory"), "%s", why);
}
END_TEST

/* Faults in the second module free what the first was given. */
START_TEST(a_fault_behind_others)
{
    static const rpc_module bad = {.name = "bad", .options = &broken_shape};
    const rpc_module *const modules[] = {rpc_modules[3], rpc_modules[4], &bad, NULL};
    const char *const pairs[2 * LINES] = {"prefix", "a b c"};
    ck_assert_ptr_null(create_with(pairs, modules));
    ck_assert_str_eq(why, "module bad: its options: text needs a .length with a maximum");
}
END_TEST

/* The table of the engines is as right as it wants others to be, and every option has its words. */
START_TEST(the_own_table)
{
    for (size_t i = 0; i < config_engine_shape.count; i++) {
        const rpc_field *field = &config_engine_shape.fields[i];
        char words[FIELDS_WHY];
        ck_assert_msg(field->doc && *field->doc, "%s has no line of documentation", field->member);
        ck_assert_msg(fields_may_miss(field), "%s has no default", field->member);
        ck_assert_uint_gt(strlen(options_describe(field, words, sizeof words)), 0);
    }
}
END_TEST

UNIT_MAIN("config", NULL, close_config, {defaults, 0}, {each_option_is_read, 0}, {each_limit_is_read, 0},
          {rates_and_bursts, UNIT_ROWS(rates)}, {several_prefixes, 0}, {many_prefixes, 0}, {some_modules, 0},
          {options_of_modules, 0}, {options_of_modules_that_are_off, 0}, {values_may_end_with_blanks, 0},
          {placements, 0}, {refuses_and_tells, UNIT_ROWS(refused)}, {refuses_other_modules, 2},
          {explanations_are_one_line, UNIT_ROWS(refused)}, {also_where_a_line_is_given_twice, 0},
          {tables_of_modules, UNIT_ROWS(tables)}, {a_fault_behind_others, 0}, {the_own_table, 0})

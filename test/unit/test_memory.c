// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Failing allocations. Each scenario runs with its n-th allocation failing, for n = 0, 1, 2, … until none
 * fails any more; once with only that one failing, once with all from it on. Each run must neither crash nor
 * leak, must send no wrong reply or event, and must leave an engine that answers the next call.
 */
#include "lab.h"
#include "unit.h"
#include "works.h"

#include "call/engine_parts.h"
#include "config_file.h"
#include "call/task.h"
#include "failing_malloc.h"
#include "modules.h"
#include "work/pool.h"
#include "service.h"
#include "base/heap.h"

#include <semaphore.h>
#include <stdio.h>
#include <string.h>

enum { MANY = 400, PLENTY = 1000000 };

static const enum failing_mode modes[] = {FAILING_ONCE, FAILING_FROM};

static struct rig rig;

static void expect_nothing_left(void)
{
    ck_assert_uint_eq(failing_live(), 0);
}

/* A failure must have a reason. Check must not be called here, since allocations fail. */
static char why[SERVICE_WHY];
static bool unexplained;

static bool explained(bool worked)
{
    if (!worked && !why[0])
        unexplained = true;
    why[0] = '\0';
    return worked;
}

/* Runs a scenario with each of its allocations failing. The scenario returns whether it succeeded. */
static void sweep(const char *name, enum failing_mode mode, bool (*run)(void))
{
    for (size_t n = 0;; n++) {
        ck_assert_uint_lt(n, PLENTY);
        failing_arm(mode, n);
        const bool worked = run();
        const bool failed = failing_disarm();
        ck_assert_msg(!failing_live(), "%s: allocation %zu failed, and %zu pieces leaked", name, n,
                      failing_live());
        ck_assert_msg(!unexplained, "%s: allocation %zu failed without a reason", name, n);
        ck_assert_msg(worked || failed, "%s: failed although all allocations succeeded", name);
        if (!failed)
            return;
        ck_assert_msg(n || !worked, "%s: worked without any memory", name);
    }
}

/* ---- Starting ---- */

/* With three prefixes modules have their usual inbox roots, with one the root that an option sets. */
static struct config *read_config_of(const char *prefixes, const char *root)
{
    struct option_line lines[] = {
        {.name = "prefix", .value = prefixes},
        {.name = "modules", .value = "rpc observe ping echo clock sensor probe post lamp bulb"},
        {.name = "event_publishers", .value = "bob mary"},
        {.name = "response_topic_filter", .value = "reply/+/#"},
        {.name = "max_reply", .value = "128k"},
        {.name = "sensor_max_sensors", .value = "7"},
        {.name = "sensor_db", .value = ":memory:"},
        {.name = "probe_label", .value = "word"},
        {.name = "probe_room", .value = "1k"},
        {.name = "post_root", .value = root},
    };
    struct option_lines all = {.lines = lines, .count = sizeof lines / sizeof lines[0] - !root};
    return config_create(&all, &fake_config_host, rpc_modules, why);
}

static struct config *read_config(void)
{
    return read_config_of("prod/rpc dev/rpc  test/rpc ", NULL);
}

static bool create_config(void)
{
    struct config *config = read_config();
    config_destroy(config);
    return explained(config != NULL);
}

static bool refuse_config(void)
{
    struct option_line lines[] = {{.name = "prefix", .value = "a b"},
                                  {.name = "sensor_max_sensors", .value = "0"}};
    struct option_lines all = {.lines = lines, .count = 2};
    struct config *config = config_create(&all, &fake_config_host, rpc_modules, why);
    const bool refused = !config && why[0];
    config_destroy(config);
    return refused;
}

static bool add_modules(struct engine *engine, const struct config *config)
{
    for (size_t i = 0; i < config->module_count; i++) {
        const struct config_module *module = &config->modules[i];
        if (!engine_add_module(engine, module->module, module->options, why))
            return false;
    }
    return true;
}

static bool start_service(const struct config *config)
{
    struct service *service = service_create(config, &rig.host.host);
    const bool worked = !service || explained(service_start(service, why));
    if (service)
        service_stop(service, RIG_SECOND);
    service_destroy(service);
    return worked && service;
}

static bool start_with(const char *prefixes, const char *root)
{
    struct config *config = read_config_of(prefixes, root);
    const bool worked = explained(config != NULL) && start_service(config);
    config_destroy(config);
    return worked;
}

static bool start_everything(void)
{
    return start_with("prod/rpc dev/rpc  test/rpc ", NULL);
}

static bool start_with_root(void)
{
    return start_with("rpc", "plant/post");
}

static bool start_with_overlap(void)
{
    return start_with("rpc mole", "prefix");
}

START_TEST(starting)
{
    rig_init(&rig);
    sweep("config", modes[_i], create_config);
    sweep("a service with all modules", modes[_i], start_everything);
    sweep("a module with an inbox root of its own", modes[_i], start_with_root);
    sweep("inbox roots that overlap", modes[_i], start_with_overlap);
    rig_close(&rig);
}
END_TEST

/* ---- Settings that change ---- */

static struct service *running;
static struct config *at_start;

/* Either all settings are taken, or none. Then they are as before. */
static bool change_settings(void)
{
    char text[] = "max_batch 7\nevent_publishers mary\nmethods_off ping echo\nplacement_ping remote\n";
    struct option_line line = {.name = "sensor_db", .value = ":memory:"};
    const struct option_lines given = {.prefix = "opt_", .lines = &line, .count = 1};
    struct option_lines merged;
    const int settings = config_file_merge(&merged, &given, "f", text, sizeof text - 1, why);
    struct config *config = settings < 0 ? NULL : config_create(&merged, &fake_config_host, rpc_modules, why);
    free(merged.lines);
    struct engine_place place;
    const struct engine *engine = service_find(running, "rpc/call/ping", &place);
    const bool worked = config && service_reload(running, config, why);
    if (engine->env.options.max_batch != (worked ? 7 : 100))
        unexplained = true;
    if (worked && !service_reload(running, at_start, why))
        unexplained = true;
    config_destroy(config);
    return explained(worked);
}

START_TEST(changing_settings)
{
    const char *const databases[] = {"sensor_db", "device_db"};
    struct option_line lines[2];
    struct option_lines all = {.lines = lines, .count = 2};
    for (int i = 0; i < 2; i++)
        lines[i] = (struct option_line){.name = databases[i], .value = ":memory:"};
    rig_init(&rig);
    at_start = config_create(&all, &fake_config_host, rpc_modules, why);
    running = service_create(at_start, &rig.host.host);
    ck_assert_msg(service_start(running, why), "%s", why);
    ck_assert(change_settings()); /* a method that was placed elsewhere once keeps what it needs for that */
    sweep("settings", modes[_i], change_settings);
    ck_assert(service_stop(running, RIG_SECOND));
    service_destroy(running);
    config_destroy(at_start);
    rig_close(&rig);
}
END_TEST

static const rpc_method placed_methods[] = {{.name = "placed", .doc = "does nothing", .run = rig_do_nothing}};
static const rpc_module placed_module = {
    .name = "placed", .doc = "a module", .methods = RPC_TABLE(placed_methods)};

/* Without memory a method stays where it is, and the next change tries again. */
START_TEST(placing_a_method)
{
    rig_open(&rig, &placed_module);
    struct engine_options options = rig.options;
    options.placements = "placed remote";
    failing_arm(modes[_i], 0);
    engine_reload(rig.engine, &options);
    ck_assert(failing_disarm());
    ck_assert(fake_host_logged(&rig.host, "no memory to change the placement of method placed"));
    rig_expect(&rig, "placed", "", "ok", "{}");
    engine_reload(rig.engine, &options);
    fake_host_forget(&rig.host);
    rig_send(&rig, "rpc/call/placed", "", RIG_REPLY, NULL);
    ck_assert_uint_eq(rig.host.replies.count, 0); /* it waits for a worker */
    rig_close(&rig);
}
END_TEST

/* Without memory, the refusal of a wrong option says so. */
START_TEST(refusing)
{
    for (size_t n = 0, failed = 1; failed; n++) {
        failing_arm(modes[_i], n);
        const bool refused = refuse_config();
        failed = failing_disarm();
        ck_assert(refused);
        expect_nothing_left();
    }
}
END_TEST

/* ---- Many methods: the hash tables grow, or fail to ---- */

static char names[MANY][16];
static rpc_method many_methods[MANY];
static rpc_event many_events[MANY];
static rpc_command many_commands[MANY];
static rpc_module many = {.name = "many",
                          .methods = RPC_TABLE(many_methods),
                          .events = RPC_TABLE(many_events),
                          .commands = RPC_TABLE(many_commands)};

static rpc_status run_nothing(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params, (void)result;
    return RPC_OK;
}

static bool create_many(void)
{
    struct engine *engine = engine_create(&rig.options, &rig.host.host);
    const bool worked = engine && explained(engine_add_module(engine, &many, NULL, why));
    engine_destroy(engine, RIG_SECOND);
    return worked;
}

START_TEST(many_methods_events_and_commands)
{
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "m%d", i);
        many_methods[i] = (rpc_method){.name = names[i], .event = names[i], .run = run_nothing};
        many_events[i] = (rpc_event){.name = names[i]};
        many_commands[i] = (rpc_command){.name = names[i]};
    }
    rig_init(&rig);
    sweep("many methods", modes[_i], create_many);
    rig_close(&rig);
}
END_TEST

/* ---- Calls ---- */

static struct config *config;
static struct lab_options lab_options;

static rpc_status raise_trouble(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    const struct lab_trouble trouble = {"a", 1};
    if (rpc_raise(call, "plain", "%s", "the first") != RPC_RAISED)
        return RPC_INTERNAL_ERROR;
    return rpc_raise_with(call, "trouble", &trouble, "%s\xFF", "the second");
}

static void open_calls(void)
{
    rig_init(&rig);
    rig.options.max_reply = 20000;
    rig.options.max_payload = 20000;
    config = read_config();
    ck_assert_msg(config, "%s", why);
    lab_start(&rig, &lab_options, raise_trouble);
    ck_assert_msg(add_modules(rig.engine, config), "%s", why);
    for (int i = 0; i < 5; i++) {
        char payload[64];
        snprintf(payload, sizeof payload, "{\"sensor_id\":\"s%d\",\"value\":%d.5}", i, i);
        rig_ask(&rig, "updateSensor", payload);
    }
    fake_host_forget(&rig.host);
}

static void close_calls(void)
{
    rig_close(&rig);
    config_destroy(config);
    expect_nothing_left();
}

/* ---- Commands of devices ---- */

static const struct command_case {
    const char *kind, *name, *json;
    rpc_command_part part;
    rpc_status status;
} command_cases[] = {
    {"lamp", "light", "{\"on\":true}", RPC_COMMAND_PARAMS, RPC_OK},
    {"lamp", "light", "{\"on\":1}", RPC_COMMAND_PARAMS, RPC_INVALID_PARAMS},
    {"lamp", "light", "{", RPC_COMMAND_RESULT, RPC_PARSE_ERROR},
    {"lamp", "getStatus", NULL, RPC_COMMAND_PARAMS, RPC_OK},
    {"bulb", "off", "[1,\"two\",{\"three\":3.5},12345678901234567890]", RPC_COMMAND_RESULT, RPC_OK},
    {"bulb", "show",
     "{\"steps\":[{\"colour\":\"red\"},{\"colour\":\"blue\",\"seconds\":1}],\"name\":\"n\",\"note\":{\"a\":["
     "1]}}",
     RPC_COMMAND_PARAMS, RPC_OK},
};

static const struct command_case *command_case;

/* Returns whether the check came to what it comes to with memory; else there was none, and nothing is left.
 */
static bool check_command(void)
{
    rpc_instance *instance = rig_instance(&rig);
    const rpc_command *command = rpc_command_find(instance, command_case->kind, command_case->name);
    char reason[RPC_WHY_BYTES], *checked;
    const rpc_status status =
        rpc_command_check(instance, command, command_case->part, command_case->json, &checked, reason);
    const bool is_consistent =
        (checked != NULL) == (status == RPC_OK) &&
        (*reason != '\0') == (status == RPC_PARSE_ERROR || status == RPC_INVALID_PARAMS);
    unexplained =
        unexplained || !is_consistent || (status != RPC_INTERNAL_ERROR && status != command_case->status);
    free(checked);
    return status == command_case->status;
}

static char members[2000];   /* an object of many members */
static char deep[200];       /* 32 levels */
static char long_text[9001]; /* an object with a long string */

static void make_payloads(void)
{
    char *at = members + sprintf(members, "{\"text\":\"x\"");
    for (int i = 0; i < 60; i++)
        at += sprintf(at, ",\"m%d\":%d", i, i);
    strcpy(at, "}");
    for (int i = 0; i < 32; i++)
        strcat(deep, "[");
    for (int i = 0; i < 32; i++)
        strcat(deep, "]");
    memset(long_text, 'x', sizeof long_text - 1);
    memcpy(long_text, "{\"text\":\"", 9);
    memcpy(long_text + sizeof long_text - 3, "\"}", 2);
}

#define ALL_FIELDS                                                                                          \
    "{\"text\":\"a\",\"on\":true,\"small\":1,\"large\":9007199254740993,\"ratio\":0.1,\"colour\":\"blue\"," \
    "\"shade\":\"red\",\"count\":2,\"note\":\"n\",\"any\":{\"a\":[1,12345678901234567890]},\"class\":\"c\"}"

#define ALL_NESTED                                                                                        \
    "{\"place\":{\"lat\":1,\"lon\":2,\"label\":\"a\"},\"spare\":{\"lat\":3},\"values\":[" HUNDRED_NUMBERS \
    "],"                                                                                                  \
    "\"tags\":[\"a\",\"b\"],\"readings\":[{\"name\":\"r\",\"value\":1,\"marks\":[1,2]},{\"name\":\"s\","  \
    "\"value\":2}],"                                                                                      \
    "\"shades\":[\"red\",\"blue\"],\"offset\":null,\"note\":\"n\"}"
#define TEN_NUMBERS "1,2,3,4,5,6,7,8,9,10,"
#define HUNDRED_NUMBERS                                                                             \
    TEN_NUMBERS TEN_NUMBERS TEN_NUMBERS TEN_NUMBERS TEN_NUMBERS TEN_NUMBERS TEN_NUMBERS TEN_NUMBERS \
        TEN_NUMBERS "1,2,3,4,5,6,7,8,9,10"

static const struct scenario {
    const char *method, *payload;
    const char *status; /* "": no reply in any case */
    bool unsteady;      /* its result is another one each time */
} scenarios[] = {
    {"ping", "", "ok", false},
    {"ping", "{\"request_id\":\"1\"}", "ok", false},
    {"echo", "[1,\"two\",{\"three\":3.5},null,true,1234567890123456789]", "ok", false},
    {"echo", deep, "ok", false},
    {"echo", long_text, "ok", false},
    {"getTime", "", "ok", false},
    {"updateSensor", "{\"sensor_id\":\"s1\",\"value\":25.5,\"unit\":\"F\"}", "ok", false},
    {"updateSensor", "{\"sensor_id\":\"s1\",\"value\":-300}", "out_of_range", false},
    {"updateSensor", "{\"sensor_id\":\"s1\"}", "invalid_params", false},
    {"updateSensor", "{\"sensor_id\":\"s1\",\"value\":1,\"time\":1699999999}", "ok", false},
    {"updateSensor", "{\"sensor_id\":\"s2\",\"value\":1,\"time\":1}", "out_of_range", false},
    {"updateSensor", "{\"sensor_id\":\"s2\",\"value\":1,\"units\":1}", "invalid_params", false},
    {"getSensor", "{\"sensor_id\":\"s2\"}", "ok", false},
    {"sensorHistory", "{\"sensor_id\":\"s2\",\"limit\":1}", "ok", false},
    {"listSensors", "{\"limit\":1,\"after\":\"s0\"}", "ok", false},
    {"getSensor", "{\"sensor_id\":\"none\"}", "unknown_sensor", false},
    {"listSensors", "", "ok", false},
    {"forgetSensor", "{\"sensor_id\":\"none\"}", "ok", false},
    {"rpc.discover", "", "reply_too_large", false},
    {"rpc.list", "", "ok", false},
    {"rpc.describe", "{\"method\":\"act\"}", "ok", false},
    {"rpc.describe", "{\"method\":\"none\"}", "unknown_method", false},
    {"rpc.stats", "{\"method\":\"ping\"}", "ok", true},
    {"rpc.stats", "{\"method\":\"none\"}", "unknown_method", false},
    {"rpc.metrics", "", "ok", true},
    {"rpc.recent", "", "ok", true},
    {"rpc.running", "", "ok", true},
    {"rpc.health", "", "ok", true},
    {"rpc.metrics", "{\"after\":2147483647}", "ok", false},
    {"probe.fields", ALL_FIELDS, "ok", false},
    {"probe.fields", members, "ok", false},
    {"probe.fields", "{\"text\":\"\\u0000\"}", "invalid_params", false},
    {"probe.fields", "{\"text\":1,\"text\":2}", "invalid_params", false},
    {"probe.nested", ALL_NESTED, "ok", false},
    {"probe.nested", "{\"place\":{\"lat\":1},\"values\":[1],\"tags\":[1]}", "invalid_params", false},
    {"probe.nested", "{\"place\":{\"lat\":91}}", "invalid_params", false},
    {"probe.value", "41", "ok", false},
    {"probe.options", "", "ok", false},
    {"probe.caller", "", "ok", false},
    {"probe.bytes", "{\xFF", "ok", false},
    {"probe.big", "{\"size\":15000}", "ok", false},
    {"probe.big", "{\"size\":25000}", "reply_too_large", false},
    {"probe.bad_result", "", "internal_error", false},
    {"probe.fail", "", "internal_error", false},
    {"probe.raise", "{\"code\":\"probe_trouble\",\"with_data\":true}", "probe_trouble", false},
    {"probe.raise_common", "{\"code\":\"probe_plain\"}", "probe_plain", false},
    {"probe.raise", "{\"code\":\"undeclared\"}", "internal_error", false},
    {"probe.announce", "{\"text\":\"x\"}", "ok", false},
    {"probe.log", "{\"text\":\"x\"}", "ok", false},
    {"probe.count", "", "ok", true},
    {"probe/deep/name", "", "ok", true},
    {"box/a/open", "", "ok", false},
    {"box/a/shut", "", "box_shut", false},
    {"hall/box/a/size", "", "ok", false},
    {"act", "", "trouble", false},
    {"nothing", "{\"a\":", "parse_error", false},
    {"nothing", "[]", "invalid_params", false},
    {"nothing", "", "ok", false},
    {"nope", "{}", "method_not_found", false},
    {"nope", "{", "method_not_found", false},
};

/* How a call asks for a reply. */
enum way { BY_TOPIC, NOT_AT_ALL, BY_BAD_TOPIC, WAYS };

static struct host_message message;
static char topic[FAKE_TOPIC];

static void make_message(const struct scenario *scenario, enum way way)
{
    static const char *const response_topics[] = {RIG_REPLY, NULL, "a/#"};
    snprintf(topic, sizeof topic, "rpc/call/%s", scenario->method);
    message = rig_message(&rig, topic, scenario->payload);
    message.response_topic = response_topics[way];
    message.correlation = "c";
    message.correlation_size = 1;
}

/* The reply must be the one with memory, or an error that says that there was none. */
static void expect_truth(const struct scenario *scenario, const char *usual, size_t n)
{
    const struct fake_box *replies = &rig.host.replies;
    ck_assert_uint_le(replies->count, 1);
    if (!replies->count)
        return;
    const struct fake_message *reply = &replies->kept[0];
    const bool same = strcmp(reply->status, scenario->status) == 0;
    ck_assert_msg(same || strcmp(reply->status, "internal_error") == 0, "%s %s: allocation %zu failed: %s",
                  scenario->method, scenario->payload, n, reply->text);
    if (same && strcmp(reply->status, "ok") == 0 && !scenario->unsteady)
        ck_assert_str_eq(reply->text, usual);
}

static void call_with_failure(const struct scenario *scenario, enum failing_mode mode, const char *usual)
{
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        failing_arm(mode, n);
        const enum engine_verdict verdict = rig_receive(rig.engine, &message);
        failed = failing_disarm();
        rig_settle(&rig);
        ck_assert_int_eq(verdict, ENGINE_CONSUME);
        expect_truth(scenario, usual, n);
        fake_host_forget(&rig.host);
        dead_clear(&rig.engine->dead);
        ck_assert_msg(!failing_live(), "%s %s: allocation %zu failed, and %zu pieces leaked",
                      scenario->method, scenario->payload, n, failing_live());
        rig_expect(&rig, "value", "7", "ok", "7");
        fake_host_forget(&rig.host);
    }
}

/* The reply with enough memory. */
static void call_as_usual(const struct scenario *scenario, enum way way, char usual[FAKE_TEXT])
{
    rig_receive(rig.engine, &message);
    rig_settle(&rig);
    usual[0] = '\0';
    if (way == BY_TOPIC) {
        const struct fake_message *reply = rig_last(&rig.host.replies);
        ck_assert_str_eq(reply->status, scenario->status);
        strcpy(usual, reply->text);
    } else if (rig.host.replies.count) {
        strcpy(usual, rig.host.replies.kept[0].text);
    }
    fake_host_forget(&rig.host);
}

START_TEST(calls)
{
    const struct scenario *scenario = &scenarios[_i];
    make_payloads();
    open_calls();
    for (int way = 0; way < WAYS; way++) {
        char usual[FAKE_TEXT];
        make_message(scenario, (enum way)way);
        call_as_usual(scenario, (enum way)way, usual);
        call_with_failure(scenario, FAILING_ONCE, usual);
        call_with_failure(scenario, FAILING_FROM, usual);
    }
    close_calls();
}
END_TEST

START_TEST(checking_commands)
{
    command_case = &command_cases[_i];
    open_calls();
    sweep(command_case->name, FAILING_ONCE, check_command);
    sweep(command_case->name, FAILING_FROM, check_command);
    close_calls();
}
END_TEST

/* ---- Whole exchanges: JSON-RPC, batches, duplicates, limits ---- */

static const char text_many[] =
    "[{\"jsonrpc\":\"2.0\",\"id\":\"a:1\",\"method\":\"subtract\",\"params\":[3,2]},"
    "{\"jsonrpc\":\"2.0\",\"id\":2.5,\"method\":\"id\",\"params\":{}},"
    "{\"jsonrpc\":\"2.0\",\"id\":12345678901234567890,\"method\":\"nope\"},"
    "{\"jsonrpc\":\"2.0\",\"method\":\"subtract\"},1,"
    "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"act\"}]";

#define ASKED "{\"jsonrpc\":\"2.0\",\"id\":\"a:1\",\"method\":\"subtract\",\"params\":[3,2]}"
#define TERMS "{\"minuend\":3,\"subtrahend\":2}"
#define LONG_ID "sixteen-bytes-id"

static char long_id[3001];
static char long_reply[200]; /* too short to lie below it */

#define U10 "\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001\\u0001"
#define U100 U10 U10 U10 U10 U10 U10 U10 U10 U10 U10
#define LARGE_ID(end) "{\"jsonrpc\":\"2.0\",\"method\":\"id\",\"id\":\"x:" U100 U100 end "\"}"
#define LARGE_IDS "[" LARGE_ID("1") "," LARGE_ID("2") "," LARGE_ID("3") "]"

#define GATE(name) "{\"gate\":\"" name "\",\"open\":true}"

/* A method family whose names can be longer than what an arena has at once. */
static const rpc_method wide_methods[] = {{.name = "{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}", .run = run_nothing}};
static const rpc_module wide = {.name = "wide", .methods = RPC_TABLE(wide_methods)};

#define X32 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X128 X32 X32 X32 X32
#define WIDE X128 "/" X128 "/" X128 "/" X128 "/" X128 "/" X128 "/" X128 "/" X128
#define WIDE_CALL(id) "{\"jsonrpc\":\"2.0\",\"method\":\"" WIDE "\",\"id\":" id "}"

/* Messages of clients, some of them several times. */
static const struct sending {
    const char *topic, *payload, *response_topic, *correlation;
    int qos, times;
    bool reconnects; /* in between */
    bool subscribed; /* reply_delivery */
    bool long_id;    /* of the client: more than a call has room for */
    int32_t rate;    /* rate_limit */
    bool traced;     /* with a traceparent, sampled, and a tracestate */
} sendings[] = {
    /* Ids that do not fit into the first block of an arena. */
    {.topic = "rpc/jsonrpc", .payload = LARGE_IDS, .response_topic = "r", .times = 1},
    {.topic = "rpc/call/id/request", .payload = LARGE_IDS, .times = 1},
    /* Names that do not. */
    {.topic = "rpc/call/" WIDE, .payload = "{}", .response_topic = "r", .times = 1},
    {.topic = "rpc/call/" WIDE "/request", .payload = WIDE_CALL("\"t:1\""), .times = 1},
    {.topic = "rpc/jsonrpc", .payload = WIDE_CALL("1"), .response_topic = "r", .times = 1},
    {.topic = "rpc/jsonrpc",
     .payload = "[" WIDE_CALL("1") "," WIDE_CALL("2") "]",
     .response_topic = "r",
     .times = 1},
    {.topic = "rpc/jsonrpc", .payload = ASKED, .times = 1},
    {.topic = "rpc/jsonrpc", .payload = ASKED, .response_topic = "r", .times = 1},
    {.topic = "rpc/jsonrpc", .payload = ASKED, .response_topic = "#", .times = 1},
    {.topic = "rpc/jsonrpc", .payload = text_many, .times = 1},
    {.topic = "rpc/jsonrpc", .payload = text_many, .response_topic = "r", .correlation = "c", .times = 2},
    {.topic = "rpc/jsonrpc", .payload = "[]", .response_topic = "r", .times = 1},
    {.topic = "rpc/jsonrpc", .payload = "{", .response_topic = "r", .times = 1},
    {.topic = "rpc/jsonrpc", .payload = "{\"jsonrpc\":\"2.0\",\"id\":\"+\",\"method\":\"id\"}", .times = 1},
    {.topic = "rpc/jsonrpc", .payload = "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"id\"}", .times = 1},
    {.topic = "rpc/jsonrpc", .payload = "{\"jsonrpc\":\"2.0\",\"id\":\"x:1\",", .times = 1},
    {.topic = "rpc/jsonrpc", .payload = "{\"jsonrpc\":\"2.0\",\"id\":\"" U100 U100 "\",", .times = 1},
    {.topic = "rpc/call/id", .payload = "{\"request_id\":\"" U100 U100 "\",", .times = 1},
    {.topic = "rpc/call/id", .payload = "{\"request_id\":1e+7,", .times = 1},
    {.topic = "rpc/call/id", .payload = "{\"request_id\":1e+7,\"timeout_ms\":1}", .times = 1},
    {.topic = "rpc/call/id", .payload = "{\"request_id\":true}", .times = 1},
    {.topic = "rpc/call/isd", .payload = "{\"request_id\":7}", .times = 1},
    {.topic = "rpc/call/subtract/request", .payload = ASKED, .times = 1},
    {.topic = "rpc/call/subtract", .payload = ASKED, .times = 2},
    {.topic = "rpc/call/id", .payload = ASKED, .times = 1},
    {.topic = "rpc/batch/subtract", .payload = "[" TERMS "," TERMS ",{},{\"a\":1,\"a\":2}]", .times = 1},
    {.topic = "rpc/batch/subtract",
     .payload = "[" TERMS "," TERMS ",{},{\"a\":1,\"a\":2}]",
     .response_topic = "r",
     .times = 1},
    {.topic = "rpc/batch/subtract",
     .payload = "{\"request_id\":\"x\",\"calls\":[" TERMS "," TERMS ",{}]}",
     .times = 2},
    {.topic = "rpc/batch/subtract", .payload = "{\"request_id\":\"x\",\"calls\":1}", .times = 1},
    {.topic = "rpc/batch/act", .payload = "[{},{}]", .response_topic = "r", .times = 1},
    {.topic = "rpc/batch/nope", .payload = "[{}]", .response_topic = "r", .times = 1},
    /* Keyed events. */
    {.topic = "rpc/call/setGate", .payload = GATE("front"), .times = 1},
    {.topic = "rpc/call/setGate", .payload = GATE("a/b"), .response_topic = "r", .times = 1},
    {.topic = "rpc/call/setGate", .payload = GATE("stuck"), .times = 2},
    {.topic = "rpc/batch/moveGate", .payload = "[" GATE("front") "," GATE("stuck") "]", .times = 1},
    {.topic = "rpc/call/showGate", .payload = GATE("front"), .times = 1},
    {.topic = "rpc/call/removeGate", .payload = "{\"gate\":\"front\"}", .response_topic = "r", .times = 1},
    /* Duplicates. */
    {.topic = "rpc/call/subtract",
     .payload = TERMS,
     .response_topic = "r",
     .correlation = LONG_ID,
     .times = 3},
    {.topic = "rpc/call/subtract", .payload = TERMS, .response_topic = "r", .correlation = "1", .times = 3},
    {.topic = "rpc/call/subtract",
     .payload = TERMS,
     .response_topic = "r",
     .correlation = "1",
     .times = 3,
     .reconnects = true},
    {.topic = "rpc/call/subtract",
     .payload = TERMS,
     .response_topic = "r",
     .qos = 2,
     .times = 3,
     .reconnects = true},
    {.topic = "rpc/call/act", .payload = "", .qos = 2, .times = 3, .reconnects = true},
    {.topic = "rpc/call/subtract",
     .payload = TERMS,
     .response_topic = "r",
     .correlation = LONG_ID,
     .qos = 2,
     .times = 3,
     .reconnects = true},
    {.topic = "rpc/call/subtract", .payload = TERMS, .response_topic = "r", .times = 4, .reconnects = true},
    {.topic = "rpc/call/subtract",
     .payload = TERMS,
     .response_topic = "r",
     .correlation = LONG_ID,
     .times = 2,
     .traced = true},
    {.topic = "rpc/batch/act", .payload = "[{},{}]", .times = 1, .traced = true},
    {.topic = "rpc/call/id",
     .payload = "{\"request_id\":1,\"traceparent\":\"00-11111111111111111111111111111111-1111111111111111-"
                "01\"}",
     .times = 1},
    /* Limits. */
    {.topic = "rpc/call/subtract", .payload = TERMS, .response_topic = "r", .times = 4, .rate = 1},
    {.topic = "rpc/call/subtract",
     .payload = TERMS,
     .response_topic = "r",
     .correlation = LONG_ID,
     .qos = 2,
     .times = 4,
     .reconnects = true,
     .rate = 1},
    {.topic = "rpc/call/subtract",
     .payload = TERMS,
     .response_topic = "rpc/reply/tester/1",
     .times = 1,
     .subscribed = true},
    {.topic = "rpc/call/subtract", .payload = TERMS, .response_topic = "r", .times = 1, .subscribed = true},
    {.topic = "rpc/call/id", .payload = "{\"request_id\":\"x\"}", .times = 1, .subscribed = true},
    {.topic = "rpc/jsonrpc", .payload = ASKED, .times = 1, .subscribed = true},
    {.topic = "rpc/jsonrpc", .payload = ASKED, .times = 1, .subscribed = true, .long_id = true},
    {.topic = "rpc/call/id",
     .payload = "{\"request_id\":\"x\"}",
     .times = 2,
     .subscribed = true,
     .long_id = true},
    {.topic = "rpc/call/subtract",
     .payload = TERMS,
     .response_topic = long_reply,
     .times = 1,
     .subscribed = true,
     .long_id = true},
};

extern const rpc_module rpc_module_gate;

static char contexts[2]; /* their addresses stand for connections */

/* The span itself is left out, since its ids differ; test_trace.c has it. */
static const rpc_property trace_properties_sent[] = {
    {"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
    {"tracestate", "congo=t61rcWkgMzE"},
    {NULL, NULL},
};

static void open_sending(const struct sending *sending)
{
    rig_init(&rig);
    rig.client.connection = &contexts[0];
    memset(long_id, 'x', sizeof long_id - 1);
    strcpy(long_reply, "rpc/reply/x");
    if (sending->long_id)
        rig.client.id = long_id;
    rig.qos = sending->qos;
    rig.options.jsonrpc_methods = "*";
    rig.options.duplicate_window = 60000;
    rig.options.redelivery_guard = 10000;
    rig.options.rate_limit = sending->rate;
    if (sending->traced)
        rig.host.more = trace_properties_sent;
    rig.options.rate_burst = 2 * sending->rate;
    rig.options.error_rate = 20;
    rig.options.reply_delivery = sending->subscribed ? DELIVERY_SUBSCRIBED : DELIVERY_CLIENT;
    lab_start(&rig, &lab_options, raise_trouble);
    rig_add(&rig, &wide, NULL);
    rig_add(&rig, &rpc_module_gate, NULL);
    rig_open_methods(&rig);
}

static void begin_anew(void)
{
    const struct host_ending ending = {
        .id = rig.client.id, .connection = rig.client.connection, .kind = HOST_END_TAKEN_OVER};
    engine_client_ended(rig.engine, &ending);
    rig.client.connection = rig.client.connection == &contexts[0] ? &contexts[1] : &contexts[0];
}

/* Check must not be called here. Returns whether all messages were consumed. */
static bool send_all(const struct sending *sending)
{
    bool consumed = true;
    for (int i = 0; i < sending->times; i++) {
        if (i && sending->reconnects)
            begin_anew();
        consumed &= rig_send(&rig, sending->topic, sending->payload, sending->response_topic,
                             sending->correlation) == ENGINE_CONSUME;
    }
    rig.host.monotonic += RIG_SECOND;
    engine_tick(rig.engine);
    return consumed;
}

static bool is_said(const struct fake_box *box, const char *text)
{
    for (size_t i = 0; i < box->count; i++) {
        if (strcmp(box->kept[i].text, text) == 0)
            return true;
    }
    return false;
}

/* What is said without memory is what is said with it, or that there was none. A batch may tell of some of
   its calls that they failed. */
static void expect_usual(const struct fake_box *box, const struct fake_box *usual, size_t n)
{
    for (size_t i = 0; i < box->count; i++) {
        const char *text = box->kept[i].text;
        const bool failed =
            strstr(text, "internal_error") || strstr(text, "\"err\":\"overloaded\"") ||
            strstr(text, "\"err\":\"rate_limited\""); /* a duplicate is not recognised without memory */
        ck_assert_msg(failed || is_said(usual, text), "allocation %zu failed: %s", n, text);
    }
}

static struct rig usual;

static void keep_usual(const struct sending *sending)
{
    open_sending(sending);
    ck_assert(send_all(sending));
    usual = rig;
    for (size_t i = 0; i < FAKE_KEPT; i++) /* only the texts are compared */
        usual.host.replies.kept[i].payload = usual.host.events.kept[i].payload = NULL;
    rig_close(&rig);
}

START_TEST(exchanges)
{
    const struct sending *sending = &sendings[_i / UNIT_ROWS(modes)];
    keep_usual(sending);
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        open_sending(sending);
        failing_arm(modes[_i % UNIT_ROWS(modes)], n);
        const bool consumed = send_all(sending);
        failed = failing_disarm();
        ck_assert(consumed);
        expect_usual(&rig.host.replies, &usual.host.replies, n);
        expect_usual(&rig.host.events, &usual.host.events, n);
        ck_assert(failed || rig.host.replies.count == usual.host.replies.count);
        rig.host.monotonic += 10 * RIG_SECOND;
        fake_host_forget(&rig.host);
        rig.client.id = "tester";
        rig_send(&rig, "rpc/call/value", "7", sending->subscribed ? "rpc/reply/tester/1" : "r",
                 "another-identity");
        ck_assert_str_eq(rig_last(&rig.host.replies)->text, "7");
        rig_close(&rig);
        ck_assert_msg(!failing_live(), "allocation %zu failed, and %zu pieces leaked", n, failing_live());
    }
}
END_TEST

/* ---- Pending calls ---- */

static int backgrounds;

static void tell_one(void)
{
    rig_send(&rig, "rpc/call/tell", "{\"n\":1}", "r", NULL);
}

static void pass_time(void)
{
    rig.host.monotonic += 20 * RIG_SECOND;
    engine_tick(rig.engine);
}

static void lose_client(void)
{
    works_end_client(&rig, HOST_END_SESSION_WAITS);
}

static void end_client_and_tell(void)
{
    lose_client();
    if (works_slots[1].call)
        rpc_resume(works_slots[1].call);
}

/* Another client needs two pending slots. */
static void crowd(void)
{
    rig.client.id = "other";
    rig_send(&rig, "rpc/call/work", "{\"n\":2}", "r", NULL);
    rig_send(&rig, "rpc/call/wait", "{\"n\":2}", "r", NULL);
    rig.client.id = "tester";
}

static void stop_all(void)
{
    engine_stop(rig.engine);
}

static void do_nothing(rpc_job *job, void *data)
{
    (void)job, (void)data;
}

static rpc_status background_is_done(rpc_call *call, void *state, void *data, rpc_status outcome,
                                     void *result)
{
    (void)call, (void)state, (void)data, (void)outcome, (void)result;
    backgrounds--;
    return RPC_OK;
}

static void work_in_background(void)
{
    rpc_instance *instance = rig.engine->registry.instances;
    for (int i = 0; i < 3; i++)
        backgrounds +=
            rpc_background(instance, i ? "a" : NULL, do_nothing, background_is_done, NULL) == RPC_PENDING;
}

static void let_time_pass(rpc_instance *instance, void *state, void *data)
{
    (void)state;
    if (data)
        rpc_after(instance, 5, let_time_pass, NULL);
}

static void start_timers(void)
{
    rpc_instance *instance = rig.engine->registry.instances;
    rpc_timer timers[20];
    for (int i = 0; i < 20; i++)
        timers[i] = rpc_every(instance, 10, let_time_pass, &rig);
    rpc_after(instance, 10, let_time_pass, &rig);
    pass_time();
    for (int i = 0; i < 20; i++)
        rpc_timer_cancel(instance, timers[i]);
    pass_time();
}

/*
 * Messages of clients to methods that take time, and what happens then. Check must not be called until the
 * scenario has ended.
 */
static const struct slow_sending {
    const char *topic, *payload, *response_topic, *correlation;
    int times;
    void (*then)(void);
    int32_t max_pending; /* 0: as usual */
} slow_sendings[] = {
    {.topic = "rpc/call/work", .payload = "{\"n\":1}", .response_topic = "r", .times = 1},
    {.topic = "rpc/call/work", .payload = "{\"n\":1,\"lane\":\"a\"}", .response_topic = "r", .times = 3},
    {.topic = "rpc/call/work", .payload = "{\"n\":1,\"fail\":true}", .response_topic = "r", .times = 1},
    {.topic = "rpc/call/work", .payload = "{\"n\":1,\"request_id\":\"x\"}", .times = 1},
    {.topic = "rpc/call/work", .payload = "{\"n\":1}", .times = 2},
    {.topic = "rpc/call/bytes", .payload = "abc", .response_topic = "r", .times = 1},
    {.topic = "rpc/jsonrpc",
     .payload = "{\"jsonrpc\":\"2.0\",\"method\":\"work\",\"id\":1,\"params\":[1]}",
     .times = 1},
    {.topic = "rpc/batch/work",
     .payload = "[{\"n\":1},{\"n\":2},{\"n\":99}]",
     .response_topic = "r",
     .times = 1},
    {.topic = "rpc/batch/work",
     .payload = "{\"request_id\":\"x\",\"calls\":[{\"n\":1},{\"n\":2,\"fail\":true}]}",
     .times = 1},
    {.topic = "rpc/jsonrpc",
     .payload = "[{\"jsonrpc\":\"2.0\",\"method\":\"now\",\"id\":1,\"params\":[3]},{\"jsonrpc\":\"2.0\","
                "\"method\":\"work\",\"id\":2,\"params\":[1]},{\"jsonrpc\":\"2.0\",\"method\":\"wait\","
                "\"params\":[2]},{\"jsonrpc\":\"2.0\",\"method\":\"tell\",\"id\":3,\"params\":[2]}]",
     .response_topic = "r",
     .times = 1},
    {.topic = "rpc/call/work",
     .payload = "{\"n\":1}",
     .response_topic = "r",
     .correlation = LONG_ID,
     .times = 3},
    {.topic = "rpc/call/wait", .payload = "{\"n\":1}", .response_topic = "r", .times = 1, .then = tell_one},
    {.topic = "rpc/call/wait", .payload = "{\"n\":1}", .response_topic = "r", .times = 1, .then = pass_time},
    {.topic = "rpc/call/wait",
     .payload = "{\"n\":1}",
     .response_topic = "r",
     .times = 1,
     .then = lose_client},
    {.topic = "rpc/call/wait.firm",
     .payload = "{\"n\":1}",
     .response_topic = "r",
     .times = 1,
     .then = end_client_and_tell},
    {.topic = "rpc/batch/wait",
     .payload = "[{\"n\":1},{\"n\":2}]",
     .response_topic = "r",
     .times = 1,
     .then = pass_time},
    {.topic = "rpc/call/work",
     .payload = "{\"n\":1}",
     .response_topic = "r",
     .times = 3,
     .then = crowd,
     .max_pending = 2},
    {.topic = "rpc/call/wait",
     .payload = "{\"n\":1}",
     .response_topic = "r",
     .times = 4,
     .then = crowd,
     .max_pending = 4},
    {.topic = "rpc/call/work", .payload = "{\"n\":1}", .response_topic = "r", .times = 3, .then = stop_all},
    {.topic = "rpc/call/now", .payload = "", .response_topic = "r", .times = 1, .then = work_in_background},
    {.topic = "rpc/call/now", .payload = "", .response_topic = "r", .times = 1, .then = start_timers},
};

static void open_slow(const struct slow_sending *sending)
{
    works_init(&rig);
    rig.options.duplicate_window = 60000;
    rig.options.redelivery_guard = 10000;
    rig.options.workers = 1;
    if (sending->max_pending)
        rig.options.max_pending = sending->max_pending;
    works_open(&rig);
    backgrounds = 0;
}

/* Resumes deferred calls and waits until all work has ended. */
static void end_slow(void)
{
    struct task *task;
    while ((task = rig.engine->tasks->pending)) {
        if (!task->has_work)
            rpc_resume(task->call);
        else if (!fake_host_wait(&rig.host, WORKS_PATIENCE))
            return;
        engine_tick(rig.engine);
    }
}

static void send_slow(const struct slow_sending *sending)
{
    for (int i = 0; i < sending->times; i++)
        rig_send(&rig, sending->topic, sending->payload, sending->response_topic, sending->correlation);
    if (sending->then)
        sending->then();
    end_slow();
}

static void expect_one_done(size_t n)
{
    for (int i = 0; i < WORKS_SLOTS; i++)
        ck_assert_msg(works_slots[i].pending == works_slots[i].dones,
                      "allocation %zu failed: slot %d was pending %d times and done %d times", n, i,
                      works_slots[i].pending, works_slots[i].dones);
    ck_assert_int_eq(backgrounds, 0);
}

/* The thread is started before, since the C library allocates its memory. */
START_TEST(pending_calls)
{
    const struct slow_sending *sending = &slow_sendings[_i / UNIT_ROWS(modes)];
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        open_slow(sending);
        works_call(&rig, "work.firm", 5);
        works_wait_done(&rig, 5, 1);
        fake_host_forget(&rig.host);
        failing_arm(modes[_i % UNIT_ROWS(modes)], n);
        send_slow(sending);
        failed = failing_disarm();
        ck_assert_ptr_null(rig.engine->tasks->pending);
        ck_assert_ptr_null(rig.engine->connections);
        expect_one_done(n);
        if (!rig.engine->env.stopping) {
            fake_host_forget(&rig.host);
            works_call(&rig, "work.firm", 6);
            rig_wait(&rig, 1);
            works_expect(&rig, 1, "ok", "{\"n\":6,\"by\":\"work\"}");
        }
        rig_close(&rig);
        expect_one_done(n);
        ck_assert_msg(!failing_live(), "allocation %zu failed, and %zu pieces leaked", n, failing_live());
    }
}
END_TEST

/* ---- Adopted calls and interim replies ---- */

extern const rpc_module rpc_module_relay;

static const struct adopted {
    const char *topic, *response_topic, *correlation;
    int version;
} adopted[] = {
    {"cmd/a/ask/now/k7", "r", LONG_ID, 5},        {"cmd/a/ask/now/k7", NULL, NULL, 4},
    {"cmd/a/ask/wait/k7", "r", "c", 5},           {"cmd/a/quiet/wait/k7", NULL, NULL, 4},
    {"cmd/" X128 "/ask/wait/" X128, "r", "c", 5}, /* more than an arena has at once */
};

static void open_adopted(const struct adopted *row)
{
    static const struct {
        const char *root;
    } options = {"cmd"};
    rig_init(&rig);
    rig.options.duplicate_window = 60000;
    rig.client.version = row->version;
    rig.host.property = "progress";
    rig.host.value = "1";
    rig_start(&rig);
    rig_add(&rig, &rpc_module_relay, &options);
}

/* Three copies, an interim reply, the end. A message that is not adopted is the broker's. Returns how many
 * were adopted. */
static size_t adopt_all(const struct adopted *row)
{
    size_t consumed = 0;
    for (int i = 0; i < 3; i++)
        consumed += rig_send(&rig, row->topic, "{\"text\":\"x\"}", row->response_topic, row->correlation) ==
                    ENGINE_CONSUME;
    rig_tell(&rig, "relay.step", "{\"box\":\"a\",\"done\":1}");
    rig_tell(&rig, "relay.end", "{\"box\":\"a\"}");
    end_slow();
    return consumed;
}

START_TEST(adopting)
{
    const struct adopted *row = &adopted[_i / UNIT_ROWS(modes)];
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        open_adopted(row);
        failing_arm(modes[_i % UNIT_ROWS(modes)], n);
        const size_t consumed = adopt_all(row);
        failed = failing_disarm();
        ck_assert(failed || consumed == 3);
        ck_assert_uint_le(rig.host.replies.count, consumed + 1); /* with the interim reply */
        for (size_t i = 0; i < rig.host.replies.count; i++) {
            const char *status = rig.host.replies.kept[i].status;
            ck_assert_msg(strcmp(status, "ok") == 0 || strcmp(status, "progress") == 0 ||
                              strcmp(status, "internal_error") == 0 || strcmp(status, "overloaded") == 0,
                          "allocation %zu failed: %s", n, rig.host.replies.kept[i].text);
        }
        fake_host_forget(&rig.host);
        rig.client.version = 5;
        rig_send(&rig, "cmd/b/ask/now/k9", "", "r", "another-identity");
        ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok");
        rig_close(&rig);
        ck_assert_msg(!failing_live(), "allocation %zu failed, and %zu pieces leaked", n, failing_live());
    }
}
END_TEST

/* Guards and counters need memory only for their messages. */
START_TEST(ticking_and_refusing)
{
    rig_init(&rig);
    rig.options.sys_interval = 1;
    lab_start(&rig, &lab_options, run_nothing);
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        failing_arm(modes[_i], n);
        rig.host.monotonic += 10;
        engine_tick(rig.engine);
        const enum engine_verdict verdict = rig_publish(&rig, "rpc/event/x", "{}");
        failed = failing_disarm();
        ck_assert_int_eq(verdict, ENGINE_REFUSE);
        fake_host_forget(&rig.host);
    }
    rig_close(&rig);
    expect_nothing_left();
}
END_TEST

/* ---- Inboxes ---- */

extern const rpc_module rpc_module_post;

#define LARGE_FORM "{\"number\":1,\"value\":[" ITEMS ITEMS "{}]}"
#define ITEMS ITEMS_ ITEMS_ ITEMS_ ITEMS_
#define ITEMS_ "{\"a\":[]},{\"a\":[]},{\"a\":[]},{\"a\":[]},{\"a\":[]},{\"a\":[]},{\"a\":[]},"

/* A payload that needs more than the first block of an arena: the module gets it whole, or with the reason.
 */
START_TEST(decoding_a_payload)
{
    static const struct {
        const char *root;
    } options = {"prefix"};
    rig_init(&rig);
    rig_start(&rig);
    rig_add(&rig, &rpc_module_post, &options);
    bool failed = true;
    size_t whole = 0, without = 0;
    for (size_t n = 0; failed; n++) {
        failing_arm(modes[_i], n);
        const enum engine_verdict verdict = rig_publish(&rig, "post/form", LARGE_FORM);
        failed = failing_disarm();
        ck_assert_int_eq(verdict, ENGINE_CONSUME);
        if (rig.host.events.count) {
            const char *text = rig_last(&rig.host.events)->text;
            const bool is_without = strcmp(text, "{\"is_there\":false,\"why\":\"no memory\"}") == 0;
            ck_assert(is_without || strncmp(text, "{\"is_there\":true,\"value\":[{\"a\":[]},", 35) == 0);
            without += is_without;
            whole += !is_without;
        }
        fake_host_forget(&rig.host);
    }
    ck_assert_uint_ge(whole, 1);
    ck_assert_uint_ge(without, modes[_i] == FAILING_ONCE ? 2 : 0);
    rig_close(&rig);
    expect_nothing_left();
}
END_TEST

/* ---- Discovery, which keeps its first result ---- */

extern const rpc_module rpc_module_rpc;

START_TEST(discovering_for_the_first_time)
{
    bool failed = true;
    size_t answered = 0;
    for (size_t n = 0; failed; n++) {
        rig_init(&rig);
        lab_start(&rig, &lab_options, run_nothing);
        rig_add(&rig, &rpc_module_rpc, NULL);
        failing_arm(modes[_i], n);
        rig_send(&rig, "rpc/call/rpc.discover", "", RIG_REPLY, NULL);
        failed = failing_disarm();
        answered += rig.host.replies.count && strcmp(rig.host.replies.kept[0].status, "ok") == 0;
        ck_assert_str_eq(rig_ask(&rig, "rpc.discover", "")->status, "ok");
        rig_close(&rig);
        expect_nothing_left();
    }
    ck_assert_uint_gt(answered, 0);
}
END_TEST

/* ---- Dead letters ---- */

extern const rpc_module rpc_module_dead;

/* A call that waits fails with nobody to tell, and is run again: whatever allocation fails, the letter is
 * there or not, and is the only one. */
START_TEST(replaying)
{
    bool failed = true;
    size_t replayed = 0;
    char params[64];
    for (size_t n = 0; failed; n++) {
        works_init(&rig);
        works_open(&rig);
        rig_add(&rig, &rpc_module_dead, NULL);
        rig_tell(&rig, "wait", "{\"request_id\":true}");
        rig_tell(&rig, "wait", "{\"n\":1,\"lane\":\"a\"}");
        failing_arm(modes[_i], n);
        works_pass(&rig, 60000);
        failed = failing_disarm();
        const struct dead *dead = &rig.engine->dead;
        if (dead->count == 2) {
            const struct dead_letter *letter = dead->letters->prev;
            snprintf(params, sizeof params, "{\"id\":\"%s\"}", letter->id);
            failing_arm(modes[_i], n);
            rig_send(&rig, "rpc/call/dead.replay", params, RIG_REPLY, NULL);
            works_pass(&rig, 60000);
            failed |= failing_disarm();
            ck_assert_uint_eq(dead->count, 2);
            replayed += (size_t)letter->replays;
            ck_assert_str_eq(rig_ask(&rig, "dead.get", params)->status, "ok");
        }
        works_close(&rig);
        expect_nothing_left();
    }
    ck_assert_uint_gt(replayed, 0);
}
END_TEST

/* ---- Statistics of a service that has work to do ---- */

extern const rpc_module rpc_module_observe;

/* Asks until no allocation fails. What fails is said to have failed. Returns how often it was answered. */
static size_t observe_with(const char *method, enum failing_mode mode)
{
    char called[64];
    bool failed = true;
    size_t answered = 0;
    snprintf(called, sizeof called, "rpc/call/%s", method);
    for (size_t n = 0; failed; n++) {
        fake_host_forget(&rig.host);
        failing_arm(mode, n);
        rig_send(&rig, called, "", RIG_REPLY, NULL);
        works_pass(&rig, 1000);
        failed = failing_disarm();
        if (rig.host.replies.count == 0)
            continue;
        const bool is_answered = strcmp(rig.host.replies.kept[0].status, "ok") == 0;
        ck_assert(is_answered || strcmp(rig.host.replies.kept[0].status, "internal_error") == 0);
        answered += is_answered;
    }
    return answered;
}

/* Documents that could not be published are published later. */
START_TEST(observing)
{
    static const char *const asked[] = {"rpc.recent", "rpc.running", "rpc.health", "rpc.stats"};
    works_init(&rig);
    rig.options.sys_interval = 1000;
    rig.options.recorder_payloads = true;
    works_open(&rig);
    rig_add(&rig, &rpc_module_observe, NULL);
    rpc_trouble(rig_instance(&rig), "database", "it is full");
    works_slots[1].shut = true;
    for (int i = 0; i < 50; i++) {
        char payload[64];
        snprintf(payload, sizeof payload, "{\"n\":1,\"lane\":\"%d\"}", i);
        works_send(&rig, "rpc/call/work", payload, "r", NULL);
    }
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        ck_assert_uint_gt(observe_with(asked[i], modes[_i]), 0);
    ck_assert_str_eq(rig_last(&rig.host.events)->topic, "$SYS/broker/rpc/rpc/method/rpc.stats");
    works_close(&rig);
    expect_nothing_left();
}
END_TEST

/* ---- Sensors: each new one with all its allocations failing in turn ---- */

/*
 * Calls until no allocation of the broker's thread fails. The first that gets as far as the database adds the
 * sensor.
 */
static void report_sensor(int number, enum failing_mode mode)
{
    char payload[64];
    snprintf(payload, sizeof payload, "{\"sensor_id\":\"sensor-%d\",\"value\":%d}", number, number);
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        failing_arm(mode, n);
        rig_tell(&rig, "updateSensor", payload);
        failed = failing_disarm();
        rig_settle(&rig);
        fake_host_forget(&rig.host);
    }
}

static void expect_sensor(int number)
{
    char payload[64];
    char text[128];
    snprintf(payload, sizeof payload, "{\"sensor_id\":\"sensor-%d\"}", number);
    snprintf(text, sizeof text,
             "{\"sensor_id\":\"sensor-%d\",\"value\":%d,\"unit\":\"C\",\"time\":1700000000.25}", number,
             number);
    rig_expect(&rig, "getSensor", payload, "ok", text);
}

START_TEST(sensors_are_added_later)
{
    const struct option_line options[] = {{.name = "modules", .value = "sensor"},
                                          {.name = "sensor_max_per_client", .value = "1000"}};
    config = rig_config(options, 2);
    rig_init(&rig);
    rig_start(&rig);
    rig_add_modules(&rig, config);
    for (int i = 0; i < MANY; i++)
        report_sensor(i, modes[_i]);
    for (int i = 0; i < MANY; i++)
        expect_sensor(i);
    rig_close(&rig);
    config_destroy(config);
    expect_nothing_left();
}
END_TEST

/* ---- Workers and timers ---- */

enum { JOBS = 12 };

static struct {
    struct pool *pool;
    sem_t begun, posted;
    rpc_job held, jobs[JOBS];
    bool wrong;
} work;

static void ignore(void *context)
{
    (void)context;
}

static void wait_at_gate(rpc_job *job, void *data)
{
    (void)job;
    (void)data;
    sem_post(&work.begun);
    while (sem_wait(&work.posted))
        continue;
}

static bool create_pool(void)
{
    struct pool *pool = pool_create(4, ignore, NULL);
    pool_destroy(pool);
    return pool != NULL;
}

static bool start_job(int i)
{
    const struct digest lane = {{(uint64_t)i % 4, 1}};
    work.jobs[i] = (rpc_job){.work = wait_at_gate, .owner = {{(uint64_t)i % 5, 2}}};
    return pool_submit(work.pool, &work.jobs[i], i % 4 ? &lane : NULL);
}

/* The only thread is busy, so that all jobs wait until they are withdrawn. */
static bool start_jobs(void)
{
    bool started[JOBS];
    size_t count = 0;
    for (int i = 0; i < JOBS; i++)
        count += started[i] = start_job(i);
    for (int i = 0; i < JOBS; i++)
        work.wrong |= started[i] && !pool_withdraw(work.pool, &work.jobs[i]);
    return count == JOBS;
}

START_TEST(starting_work)
{
    sem_init(&work.begun, 0, 0);
    sem_init(&work.posted, 0, 0);
    work.held.work = wait_at_gate;
    work.pool = pool_create(1, ignore, NULL);
    ck_assert(pool_submit(work.pool, &work.held, NULL));
    while (sem_wait(&work.begun))
        continue;
    sweep("a pool", modes[_i], create_pool);
    sweep("work", modes[_i], start_jobs);
    ck_assert(!work.wrong);
    sem_post(&work.posted);
    ck_assert(pool_stop(work.pool, 60 * UINT64_C(1000000000)));
    pool_destroy(work.pool);
    expect_nothing_left();
}
END_TEST

/* The timers that could be set run in order. */
static bool set_timers(void)
{
    struct heap timers = {0};
    struct heap_node some[100] = {{0}};
    uint64_t last = 0;
    size_t count = 0;
    for (uint64_t i = 0; i < 100; i++)
        count += heap_set(&timers, &some[i], i * 37 % 100);
    work.wrong |= timers.count != count;
    for (struct heap_node *first = heap_first(&timers); first; first = heap_first(&timers)) {
        work.wrong |= first->key < last;
        last = first->key;
        heap_remove(&timers, first);
    }
    heap_fini(&timers);
    return count == 100;
}

START_TEST(setting_timers)
{
    sweep("timers", modes[_i], set_timers);
    ck_assert(!work.wrong);
}
END_TEST

/* Each slot that was entered can be found and left, and no record is left over. */
static bool enter_slots(void)
{
    const struct digest other = {{0}};
    struct slots slots = {0};
    struct slot some[100] = {{NULL, NULL, NULL}};
    size_t count = 0;
    for (uint64_t i = 0; i < 100; i++) {
        count += slots_enter(&slots, &some[i], &(struct digest){{1 + i * i % 30, 3}});
        work.wrong |= slots.count != count;
    }
    for (struct slot *slot; (slot = slots_find_evictable(&slots, &other));)
        slots_leave(&slots, slot);
    for (size_t i = 0; i < 100; i++)
        slots_leave(&slots, &some[i]);
    work.wrong |= slots.count || slots.clients;
    slots_fini(&slots);
    return count == 100;
}

START_TEST(entering_slots)
{
    sweep("slots", modes[_i], enter_slots);
    ck_assert(!work.wrong);
}
END_TEST

UNIT_MAIN("memory", failing_install, NULL, {changing_settings, UNIT_ROWS(modes)},
          {placing_a_method, UNIT_ROWS(modes)}, {starting, UNIT_ROWS(modes)}, {refusing, UNIT_ROWS(modes)},
          {many_methods_events_and_commands, UNIT_ROWS(modes)}, {calls, UNIT_ROWS(scenarios)},
          {checking_commands, UNIT_ROWS(command_cases)}, {exchanges, UNIT_ROWS(sendings) * UNIT_ROWS(modes)},
          {pending_calls, UNIT_ROWS(slow_sendings) * UNIT_ROWS(modes)},
          {adopting, UNIT_ROWS(adopted) * UNIT_ROWS(modes)}, {ticking_and_refusing, UNIT_ROWS(modes)},
          {decoding_a_payload, UNIT_ROWS(modes)}, {discovering_for_the_first_time, UNIT_ROWS(modes)},
          {replaying, UNIT_ROWS(modes)}, {observing, UNIT_ROWS(modes)},
          {sensors_are_added_later, UNIT_ROWS(modes)}, {starting_work, UNIT_ROWS(modes)},
          {setting_timers, UNIT_ROWS(modes)}, {entering_slots, UNIT_ROWS(modes)})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/engine.c: verdicts about messages, guards, bridges, options that forward, counters, the log; and two
 * engines side by side, which share nothing.
 */
#include "lab.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static const uint64_t second = 1000000000;

static struct rig rig;
static struct lab_options options;

static void open_rig(void)
{
    rig_init(&rig);
}

static void close_rig(void)
{
    rig_close(&rig);
}

static const struct counters *counters(void)
{
    return engine_counters(rig.engine);
}

/* ---- Verdicts ---- */

enum who { ANYBODY, PUBLISHER, NOBODY, BRIDGE, PUBLISHING_BRIDGE };

static const struct host_client clients[] = {
    [ANYBODY] = {.id = "c", .user = "bob", .address = "192.0.2.1", .version = 4},
    [PUBLISHER] = {.id = "c", .user = "gateway", .address = "192.0.2.1", .version = 5},
    [NOBODY] = {.id = "", .address = "192.0.2.1", .version = 4},
    [BRIDGE] = {.id = "b", .version = 4, .bridge = true},
    [PUBLISHING_BRIDGE] = {.id = "b", .user = "gateway", .version = 4, .bridge = true},
};

static void forward_calls(struct engine_options *changed)
{
    changed->forward_calls = true;
}

static void forward_unknown(struct engine_options *changed)
{
    changed->unknown_methods = UNKNOWN_FORWARD;
}

static void forward_both(struct engine_options *changed)
{
    changed->forward_calls = true;
    changed->unknown_methods = UNKNOWN_FORWARD;
}

static void forward_open(struct engine_options *changed)
{
    changed->unknown_methods = UNKNOWN_FORWARD;
    changed->jsonrpc_methods = "count";
}

static void no_guard(struct engine_options *changed)
{
    changed->guard_events = false;
}

static void publishers(struct engine_options *changed)
{
    changed->event_publishers = "robot gateway mary";
}

static void bridge_calls(struct engine_options *changed)
{
    changed->bridge_calls = true;
}

/* More bytes than any method's name has as it is called. */
#define X100 \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X1000 X100 X100 X100 X100 X100 X100 X100 X100 X100 X100

static const struct verdict {
    const char *topic;
    enum who who;
    void (*change)(struct engine_options *changed); /* NULL: defaults */
    enum engine_verdict verdict;
    int runs; /* of the handler */
} verdicts[] = {
    {"rpc/call/count", ANYBODY, NULL, ENGINE_CONSUME, 1},
    {"rpc/call/count", NOBODY, NULL, ENGINE_CONSUME, 1},
    {"rpc/call/nope", ANYBODY, NULL, ENGINE_CONSUME, 0},
    {"rpc/call/", ANYBODY, NULL, ENGINE_CONSUME, 0},
    {"rpc/call/request", ANYBODY, NULL, ENGINE_CONSUME, 0},
    {"rpc/call/nope/request", ANYBODY, NULL, ENGINE_CONSUME, 0},
    {"rpc/call/nope/request", ANYBODY, forward_unknown, ENGINE_PASS, 0},
    {"rpc/batch/nope", ANYBODY, NULL, ENGINE_CONSUME, 0},
    {"rpc/batch/nope", ANYBODY, forward_unknown, ENGINE_PASS, 0},
    /* Forwarding. */
    {"rpc/call/count", ANYBODY, forward_calls, ENGINE_FORWARD, 1},
    {"rpc/call/nope", ANYBODY, forward_calls, ENGINE_CONSUME, 0},
    {"rpc/call/count", ANYBODY, forward_unknown, ENGINE_CONSUME, 1},
    {"rpc/call/nope", ANYBODY, forward_unknown, ENGINE_PASS, 0},
    {"rpc/call/a b", ANYBODY, forward_unknown, ENGINE_PASS, 0},
    {"rpc/call/count", ANYBODY, forward_both, ENGINE_FORWARD, 1},
    {"rpc/call/nope", ANYBODY, forward_both, ENGINE_PASS, 0},
    /* Forged replies are refused with all options. */
    {"rpc/call/count/response/x", ANYBODY, NULL, ENGINE_REFUSE, 0},
    {"rpc/call/count/response", ANYBODY, NULL, ENGINE_REFUSE, 0},
    {"rpc/call/nope/response/x", ANYBODY, NULL, ENGINE_REFUSE, 0},
    {"rpc/call/count/response/x", ANYBODY, forward_both, ENGINE_REFUSE, 0},
    {"rpc/call/count/response", ANYBODY, forward_both, ENGINE_REFUSE, 0},
    {"rpc/call/count/response/a/response/b", ANYBODY, forward_both, ENGINE_REFUSE, 0},
    {"rpc/call/count/response/x", PUBLISHER, publishers, ENGINE_REFUSE, 0},
    {"rpc/call/count/response/x", ANYBODY, no_guard, ENGINE_REFUSE, 0},
    {"rpc/jsonrpc/response/x", ANYBODY, NULL, ENGINE_REFUSE, 0},
    {"rpc/jsonrpc/response/x", ANYBODY, forward_open, ENGINE_REFUSE, 0},
    /* Other servers may answer the calls that are left to them, and only those. */
    {"rpc/call/nope/response/x", ANYBODY, forward_both, ENGINE_PASS, 0},
    {"rpc/call/nope/response", ANYBODY, forward_unknown, ENGINE_PASS, 0},
    {"rpc/call/nope/response/count/response/x", ANYBODY, forward_unknown, ENGINE_PASS, 0},
    {"rpc/call/response/x", ANYBODY, forward_unknown, ENGINE_PASS, 0},
    {"rpc/call/counts/response/x", ANYBODY, forward_unknown, ENGINE_PASS, 0},
    {"rpc/call/count/request/response/x", ANYBODY, forward_unknown, ENGINE_PASS, 0},
    {"rpc/jsonrpc/response/x", ANYBODY, forward_unknown, ENGINE_PASS, 0},
    {"rpc/call/" X1000 X1000 "/response/x", ANYBODY, forward_unknown, ENGINE_PASS, 0},
    {"rpc/call/" X1000 X1000 "/response/x", ANYBODY, NULL, ENGINE_REFUSE, 0},
    {"rpc/event/pong", ANYBODY, forward_unknown, ENGINE_REFUSE, 0},
    /* Forged events. */
    {"rpc/event/pong", ANYBODY, NULL, ENGINE_REFUSE, 0},
    {"rpc/event/pong", NOBODY, NULL, ENGINE_REFUSE, 0},
    {"rpc/event", ANYBODY, NULL, ENGINE_REFUSE, 0},
    {"rpc/event/error", PUBLISHER, NULL, ENGINE_REFUSE, 0},
    {"rpc/event/error", PUBLISHER, publishers, ENGINE_PASS, 0},
    {"rpc/event/error", ANYBODY, publishers, ENGINE_REFUSE, 0},
    {"rpc/event/error", NOBODY, publishers, ENGINE_REFUSE, 0},
    {"rpc/event/pong", ANYBODY, no_guard, ENGINE_PASS, 0},
    {"rpc/event/pong", NOBODY, no_guard, ENGINE_PASS, 0},
    /* Forged dead letters. */
    {"rpc/dead/count", ANYBODY, NULL, ENGINE_REFUSE, 0},
    {"rpc/dead/nope", NOBODY, NULL, ENGINE_REFUSE, 0},
    {"rpc/dead", ANYBODY, NULL, ENGINE_REFUSE, 0},
    {"rpc/dead/count", PUBLISHER, publishers, ENGINE_REFUSE, 0},
    {"rpc/dead/count", ANYBODY, no_guard, ENGINE_REFUSE, 0},
    {"rpc/dead/count", BRIDGE, NULL, ENGINE_PASS, 0},
    /* Bridges of this broker. */
    {"rpc/call/count", BRIDGE, NULL, ENGINE_PASS, 0},
    {"rpc/call/nope", BRIDGE, NULL, ENGINE_PASS, 0},
    {"rpc/call/count", BRIDGE, bridge_calls, ENGINE_CONSUME, 1},
    {"rpc/call/nope", BRIDGE, bridge_calls, ENGINE_CONSUME, 0},
    {"rpc/call/count/response/x", BRIDGE, NULL, ENGINE_PASS, 0},
    {"rpc/call/count/response/x", BRIDGE, bridge_calls, ENGINE_PASS, 0},
    {"rpc/event/pong", BRIDGE, NULL, ENGINE_PASS, 0},
    {"rpc/event/pong", PUBLISHING_BRIDGE, publishers, ENGINE_PASS, 0},
    /* Topics that the engine does not serve. */
    {"rpc", ANYBODY, NULL, ENGINE_PASS, 0},
    {"rpc/call", ANYBODY, NULL, ENGINE_PASS, 0},
    {"rpc/batch", ANYBODY, NULL, ENGINE_PASS, 0},
    {"rpc/jsonrpc/x", ANYBODY, NULL, ENGINE_PASS, 0},
    {"rpc/reply/tester/x", ANYBODY, NULL, ENGINE_PASS, 0},
    {"other/call/count", ANYBODY, NULL, ENGINE_PASS, 0},
};

START_TEST(messages_get_their_verdict)
{
    const struct verdict *row = &verdicts[_i];
    if (row->change)
        row->change(&rig.options);
    rig.client = clients[row->who];
    lab_start(&rig, &options, NULL);
    ck_assert_int_eq(rig_publish(&rig, row->topic, "{}"), row->verdict);
    /* At /request all is JSON-RPC, and {} is none. */
    const bool is_answered = row->verdict == ENGINE_CONSUME && strstr(row->topic, "/request");
    ck_assert_uint_eq(rig.host.replies.count, is_answered && strcmp(row->topic, "rpc/call/request") != 0);
    ck_assert_uint_eq(rig.host.events.count, (size_t)row->runs);
    ck_assert_uint_eq(counters()->calls, (uint64_t)row->runs);
    ck_assert_uint_eq(counters()->refused, row->verdict == ENGINE_REFUSE ? 1 : 0);
}
END_TEST

/* A call that is passed to another server gets no reply here, and is not announced. */
START_TEST(passed_calls_get_no_reply)
{
    const struct verdict *row = &verdicts[_i];
    if (row->verdict != ENGINE_PASS)
        return;
    if (row->change)
        row->change(&rig.options);
    rig.client = clients[row->who];
    lab_start(&rig, &options, NULL);
    struct host_message message = rig_message(&rig, row->topic, "{\"request_id\":\"x\"}");
    rig_receive(rig.engine, &message);
    message.response_topic = "r";
    rig_receive(rig.engine, &message);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(rig.host.events.count, 0);
    ck_assert_uint_eq(rig.host.line_count, 0);
    ck_assert_uint_eq(counters()->unknown, 0);
}
END_TEST

static const struct served {
    const char *topic;
    bool served;
} served[] = {
    {"rpc/call/x", true},
    {"rpc/event/x", true},
    {"rpc/call/x/response/y", true},
    {"rpc/jsonrpc/response/y", true},
    {"rpc/batch/x", true},
    {"rpc/call/x/request", true},
    {"rpc/jsonrpc", true},
    {"rpc/jsonrpc/x", false},
    {"rpc/reply/x/y", false},
    {"rpc", false},
    {"other/call/x", false},
    {"", false},
};

START_TEST(engines_know_their_topics)
{
    lab_start(&rig, &options, NULL);
    ck_assert_int_eq(rig_serves(rig.engine, served[_i].topic), served[_i].served);
}
END_TEST

START_TEST(bridges_are_answered_where_allowed)
{
    rig.options.bridge_calls = true;
    rig.client = clients[BRIDGE];
    rig.options.bridge_response_topics = "reply/#";
    lab_start(&rig, &options, NULL);
    rig_expect(&rig, "count", "", "ok", "{\"n\":1}");
}
END_TEST

/* ---- The log ---- */

START_TEST(refusals_are_logged_at_debug)
{
    lab_start(&rig, &options, NULL);
    rig_publish(&rig, "rpc/event/x", "");
    ck_assert_uint_eq(rig.host.line_count, 1);
    ck_assert_int_eq(rig.host.lines[0].level, RPC_LOG_DEBUG);
    ck_assert_str_eq(rig.host.lines[0].text, "rpc: refused: client tester may not publish to rpc/event/x");
}
END_TEST

START_TEST(unknown_methods_are_logged)
{
    lab_start(&rig, &options, NULL);
    rig_tell(&rig, "nope", "");
    ck_assert_uint_eq(rig.host.line_count, 1);
    ck_assert_int_eq(rig.host.lines[0].level, RPC_LOG_WARNING);
    ck_assert_str_eq(rig.host.lines[0].text,
                     "rpc: client tester called nope: method_not_found: there is no method nope");
    ck_assert_uint_eq(counters()->unknown, 1);
    ck_assert_uint_eq(counters()->errors, 0);
}
END_TEST

/* Bytes that are not printable become \xNN. The fake host checks that every line is printable. */
START_TEST(hostile_names_are_made_printable)
{
    rig.client.id = "\x1B]0;evil\x07\n\xC3\xA4\\";
    lab_start(&rig, &options, NULL);
    rig_tell(&rig, "a\rb\xFF", "");
    ck_assert_str_eq(rig.host.lines[0].text,
                     "rpc: client \\x1B]0;evil\\x07\\x0A\\xC3\\xA4\\x5C called a\\x0Db\\xFF: "
                     "method_not_found: there is no method a\\x5Cx0Db\\x5CxFF");
}
END_TEST

START_TEST(endless_names_are_cut)
{
    static char id[60001];
    static char name[60001];
    memset(id, '\n', sizeof id - 1);
    memset(name, '\x01', sizeof name - 1);
    rig.client.id = id;
    lab_start(&rig, &options, NULL);
    char topic[512];
    snprintf(topic, sizeof topic, "rpc/call/%.400s", name);
    rig_publish(&rig, topic, "");
    ck_assert_uint_eq(rig.host.line_count, 1);
    ck_assert_uint_lt(strlen(rig.host.lines[0].text), 900);
}
END_TEST

START_TEST(clients_cannot_fill_the_log)
{
    lab_start(&rig, &options, NULL);
    for (int i = 0; i < 1000; i++)
        rig_tell(&rig, "nope", "");
    ck_assert_uint_eq(rig.host.line_count, 10);
    rig.host.monotonic += second;
    rig_tell(&rig, "last", "");
    ck_assert_uint_eq(rig.host.line_count, 12);
    ck_assert_str_eq(rig.host.lines[10].text, "rpc: 990 lines were held back");
    ck_assert_str_eq(rig.host.lines[11].text,
                     "rpc: client tester called last: method_not_found: there is no method last");
    ck_assert_uint_eq(counters()->unknown, 1001);
}
END_TEST

/* Refusals are logged at debug, and must not hold back warnings. */
START_TEST(each_level_has_its_own_limit)
{
    lab_start(&rig, &options, NULL);
    for (int i = 0; i < 100; i++)
        rig_publish(&rig, "rpc/event/forged", "");
    rig_tell(&rig, "nope", "");
    ck_assert_uint_eq(rig.host.line_count, 11);
    ck_assert_str_eq(rig.host.lines[10].text,
                     "rpc: client tester called nope: method_not_found: there is no method nope");
}
END_TEST

static rpc_status log_a_line(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    rpc_log(rpc_call_instance(call), RPC_LOG_INFO, "called by %s", rpc_caller_id(call));
    return RPC_OK;
}

/* The lines of a handler that logs each call are limited, too, apart from the engine's own. */
START_TEST(handlers_cannot_fill_the_log)
{
    lab_start(&rig, &options, log_a_line);
    for (int i = 0; i < 1000; i++)
        rig_tell(&rig, "act", "");
    ck_assert_uint_eq(rig.host.line_count, 10);
    rig_tell(&rig, "nope", "");
    ck_assert_uint_eq(rig.host.line_count, 11);
    rig.host.monotonic += second;
    rig_tell(&rig, "act", "");
    ck_assert_str_eq(rig.host.lines[11].text, "rpc: 990 lines were held back");
}
END_TEST

static rpc_status log_lines(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    rpc_instance *instance = rpc_call_instance(call);
    for (int level = RPC_LOG_DEBUG; level <= RPC_LOG_ERROR; level++)
        rpc_log(instance, (rpc_log_level)level, "%s %d\n", "number", level);
    char text[2001];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    rpc_log(instance, RPC_LOG_INFO, "%s", text);
    memset(text, '\n', sizeof text - 1);
    rpc_log(instance, RPC_LOG_INFO, "%s", text);
    return RPC_OK;
}

START_TEST(handlers_log)
{
    lab_start(&rig, &options, log_lines);
    rig_expect(&rig, "act", "", "ok", "{}");
    ck_assert_uint_eq(rig.host.line_count, 7);
    for (int level = RPC_LOG_DEBUG; level <= RPC_LOG_ERROR; level++) {
        char line[64];
        snprintf(line, sizeof line, "rpc: lab: number %d\\x0A", level);
        ck_assert_str_eq(rig.host.lines[level].text, line);
        ck_assert_int_eq((int)rig.host.lines[level].level, level);
    }
    ck_assert_uint_le(strlen(rig.host.lines[5].text), strlen("rpc: lab: ") + 512);
    ck_assert_uint_ge(strlen(rig.host.lines[5].text), 500);
    ck_assert_uint_lt(strlen(rig.host.lines[6].text), 900);
}
END_TEST

static rpc_status log_wrongly(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    rpc_log(rpc_call_instance(call), (rpc_log_level)(RPC_LOG_ERROR + 1), "over");
    rpc_log(rpc_call_instance(call), (rpc_log_level)-1, "under");
    return RPC_OK;
}

START_TEST(levels_that_are_none)
{
    lab_start(&rig, &options, log_wrongly);
    rig_expect(&rig, "act", "", "ok", "{}");
    ck_assert_uint_eq(rig.host.line_count, 2);
    ck_assert_str_eq(rig.host.lines[0].text, "rpc: lab: over");
    ck_assert_str_eq(rig.host.lines[1].text, "rpc: lab: under");
    ck_assert_int_eq((int)rig.host.lines[0].level, RPC_LOG_ERROR);
    ck_assert_int_eq((int)rig.host.lines[1].level, RPC_LOG_ERROR);
}
END_TEST

/* ---- Slow handlers ---- */

static uint64_t duration;

static rpc_status take_time(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params, (void)result;
    rig.host.monotonic += duration;
    return RPC_OK;
}

START_TEST(slow_calls_are_logged)
{
    rig.options.slow_call = 50;
    lab_start(&rig, &options, take_time);
    duration = 50000000;
    rig_expect(&rig, "act", "", "ok", "{}");
    ck_assert_uint_eq(counters()->slow, 0);
    ck_assert_uint_eq(rig.host.line_count, 0);
    duration = 1234567890;
    rig_expect(&rig, "act", "", "ok", "{}");
    ck_assert_uint_eq(counters()->slow, 1);
    ck_assert_uint_eq(rig.host.line_count, 1);
    ck_assert_int_eq(rig.host.lines[0].level, RPC_LOG_WARNING);
    ck_assert_str_eq(rig.host.lines[0].text,
                     "rpc: method act took 1234 ms, and all clients of the broker waited for it");
}
END_TEST

START_TEST(nothing_is_slow_without_a_limit)
{
    lab_start(&rig, &options, take_time);
    duration = 3600 * second;
    rig_expect(&rig, "act", "", "ok", "{}");
    ck_assert_uint_eq(counters()->slow, 0);
    ck_assert_uint_eq(rig.host.line_count, 0);
}
END_TEST

/* ---- Counters ---- */

START_TEST(everything_is_counted)
{
    lab_start(&rig, &options, NULL);
    rig_tell(&rig, "count", "");                       /* a call and an event */
    rig_ask(&rig, "count", "");                        /* a call, an event and a reply */
    rig_tell(&rig, "count", "{\"request_id\":\"1\"}"); /* likewise */
    rig_ask(&rig, "count", "[]");                      /* a call, an error and a reply */
    rig_tell(&rig, "count", "[]");                     /* a call, an error, an event and a dead letter */
    rig_tell(&rig, "nope", "");                        /* an unknown method */
    rig_ask(&rig, "nope", "");                         /* likewise, and a reply */
    rig_publish(&rig, "rpc/event/x", "");              /* refused */
    rig_publish(&rig, "rpc/call/x/response/y", "");    /* likewise */
    const struct counters expected = {
        .calls = 5, .errors = 2, .unknown = 2, .replies = 4, .events = 4, .refused = 2, .dead = 1};
    ck_assert_mem_eq(counters(), &expected, sizeof expected);
}
END_TEST

static void expect_counter(size_t place, const char *topic, const char *text)
{
    const struct fake_message *event = &rig.host.events.kept[place];
    ck_assert_str_eq(event->topic, topic);
    ck_assert_str_eq(event->text, text);
    ck_assert(event->retain);
    ck_assert_int_eq(event->qos, 0);
    ck_assert(!event->has_client);
}

#define COUNT(member, level, text) +1
enum { COUNTERS = ENGINE_COUNTERS(COUNT) };
#undef COUNT

START_TEST(counters_are_published)
{
    rig.options.prefix = "prod/rpc";
    rig.options.sys_interval = 10000;
    lab_start(&rig, &options, NULL);
    rig_tell(&rig, "nothing", "");
    engine_tick(rig.engine);
    ck_assert_uint_eq(rig.host.events.count, COUNTERS + 2);
    ck_assert_str_eq(rig.host.events.kept[0].topic, "$SYS/broker/rpc/prod/rpc/health");
    size_t place = 1;
#define EXPECT(member, level, text) \
    expect_counter(place++, "$SYS/broker/rpc/prod/rpc/" level, counters()->member ? "1" : "0");
    ENGINE_COUNTERS(EXPECT)
#undef EXPECT
    ck_assert_str_eq(rig.host.events.kept[place].topic, "$SYS/broker/rpc/prod/rpc/method/nothing");
}
END_TEST

START_TEST(only_changes_are_published)
{
    rig.options.sys_interval = 10000;
    lab_start(&rig, &options, NULL);
    engine_tick(rig.engine);
    fake_host_forget(&rig.host);
    rig_tell(&rig, "nothing", "");
    rig.host.monotonic += 10 * second - 1;
    engine_tick(rig.engine);
    ck_assert_uint_eq(rig.host.events.count, 0);
    rig.host.monotonic += 1;
    engine_tick(rig.engine);
    ck_assert_uint_eq(rig.host.events.count, 2);
    expect_counter(0, "$SYS/broker/rpc/rpc/calls", "1");
    ck_assert_str_eq(rig.host.events.kept[1].topic, "$SYS/broker/rpc/rpc/method/nothing");
    rig.host.monotonic += 100 * second;
    engine_tick(rig.engine);
    ck_assert_uint_eq(rig.host.events.count, 2);
}
END_TEST

START_TEST(counters_can_be_off)
{
    lab_start(&rig, &options, NULL);
    rig_tell(&rig, "nothing", "");
    for (int i = 0; i < 100; i++) {
        rig.host.monotonic += 3600 * second;
        engine_tick(rig.engine);
    }
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

/* A host that has no topic for them. */
START_TEST(counters_can_have_no_topic)
{
    rig.options.sys_interval = 1000;
    rig.host.host.counters_topic = NULL;
    lab_start(&rig, &options, NULL);
    rig_tell(&rig, "nothing", "");
    rig.host.monotonic += 3600 * second;
    engine_tick(rig.engine);
    ck_assert_uint_eq(rig.host.events.count, 0);
    ck_assert_uint_eq(counters()->calls, 1);
}
END_TEST

/* A counter that could not be published is tried again. */
START_TEST(counters_that_were_dropped_are_published_later)
{
    rig.options.sys_interval = 10000;
    lab_start(&rig, &options, NULL);
    rig.host.no_memory = _i == 0;
    rig.host.drop = _i == 1;
    engine_tick(rig.engine);
    ck_assert_uint_eq(rig.host.events.count, 0);
    rig.host.no_memory = rig.host.drop = false;
    rig.host.monotonic += 10 * second;
    engine_tick(rig.engine);
    ck_assert_uint_eq(rig.host.events.count, COUNTERS + 1); /* and the health */
}
END_TEST

/* ---- Two engines ---- */

static struct rig second_rig;

static rpc_status tell_whose(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    ((struct lab_text *)result)->text = rpc_printf(call, "%s", "second");
    return RPC_OK;
}

static rpc_status tell_first(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params;
    ((struct lab_text *)result)->text = "first";
    return RPC_OK;
}

START_TEST(two_engines_share_nothing)
{
    struct lab_options second_options;
    rig_init(&second_rig);
    second_rig.options.prefix = "dev/rpc";
    second_rig.options.max_reply = 100;
    second_rig.options.qos = 0;
    second_rig.options.reply_expiry = 1;
    second_rig.options.sys_interval = 1;
    second_rig.host.wall = 5;
    lab_start(&rig, &options, tell_first);
    lab_start(&second_rig, &second_options, tell_whose);

    /* State. */
    rig_expect(&rig, "count", "", "ok", "{\"n\":1}");
    rig_expect(&rig, "count", "", "ok", "{\"n\":2}");
    rig_expect(&second_rig, "count", "", "ok", "{\"n\":1}");
    rig_expect(&rig, "act", "", "ok", "{\"text\":\"first\"}");
    rig_expect(&second_rig, "act", "", "ok", "{\"text\":\"second\"}");
    /* Topics. */
    rig_tell(&rig, "count", "");
    rig_expect_event(&rig, "rpc/event/counted", "{\"n\":3}");
    rig_tell(&second_rig, "count", "{\"request_id\":\"1\"}");
    rig_expect_event(&second_rig, "dev/rpc/event/counted", "{\"n\":2}");
    ck_assert_str_eq(rig_last(&second_rig.host.replies)->topic, "dev/rpc/call/count/response/1");
    ck_assert(!rig_serves(rig.engine, "dev/rpc/call/count"));
    ck_assert(!rig_serves(second_rig.engine, "rpc/call/count"));
    ck_assert_int_eq(rig_publish(&rig, "dev/rpc/call/count", ""), ENGINE_PASS);
    /* Options. */
    ck_assert_int_eq(rig_ask(&rig, "get", "")->qos, 1);
    ck_assert_int_eq(rig_ask(&second_rig, "get", "")->qos, 0);
    ck_assert_uint_eq(rig_ask(&rig, "get", "")->expiry, 60);
    ck_assert_uint_eq(rig_ask(&second_rig, "get", "")->expiry, 1);
    /* The limit of the log, and the counters. */
    for (int i = 0; i < 20; i++)
        rig_tell(&rig, "nope", "");
    fake_host_forget(&second_rig.host);
    rig_tell(&second_rig, "nope", "");
    ck_assert_uint_eq(second_rig.host.line_count, 1);
    ck_assert_str_eq(second_rig.host.lines[0].text,
                     "dev/rpc: client tester called nope: method_not_found: there is no method nope");
    ck_assert_uint_eq(engine_counters(rig.engine)->unknown, 20);
    ck_assert_uint_eq(engine_counters(second_rig.engine)->unknown, 1);
    /* The end of one does not end the other. */
    rig_close(&second_rig);
    rig_expect(&rig, "get", "", "ok", "{\"n\":3}");
}
END_TEST

/* ---- Beginning and end ---- */

START_TEST(an_engine_can_be_empty)
{
    rig_start(&rig);
    rig_expect(&rig, "x", "", "method_not_found",
               "{\"method\":\"x\",\"err\":\"method_not_found\",\"msg\":\"there is no method x\"}");
    engine_tick(rig.engine);
    engine_destroy(NULL, RIG_SECOND);
}
END_TEST

/* engine_create() copies the options. */
START_TEST(options_are_copied)
{
    lab_start(&rig, &options, NULL);
    const struct engine_options copy = rig.options;
    memset(&rig.options, 0xFF, sizeof rig.options);
    rig.options.prefix = "rpc";
    rig_expect(&rig, "count", "", "ok", "{\"n\":1}");
    rig.options = copy;
}
END_TEST

UNIT_MAIN("engine", open_rig, close_rig, {messages_get_their_verdict, UNIT_ROWS(verdicts)},
          {passed_calls_get_no_reply, UNIT_ROWS(verdicts)}, {engines_know_their_topics, UNIT_ROWS(served)},
          {bridges_are_answered_where_allowed, 0}, {refusals_are_logged_at_debug, 0},
          {unknown_methods_are_logged, 0}, {hostile_names_are_made_printable, 0}, {endless_names_are_cut, 0},
          {clients_cannot_fill_the_log, 0}, {handlers_log, 0}, {levels_that_are_none, 0},
          {each_level_has_its_own_limit, 0}, {handlers_cannot_fill_the_log, 0}, {slow_calls_are_logged, 0},
          {nothing_is_slow_without_a_limit, 0}, {everything_is_counted, 0}, {counters_are_published, 0},
          {only_changes_are_published, 0}, {counters_can_be_off, 0}, {counters_can_have_no_topic, 0},
          {counters_that_were_dropped_are_published_later, 2}, {two_engines_share_nothing, 0},
          {an_engine_can_be_empty, 0}, {options_are_copied, 0})

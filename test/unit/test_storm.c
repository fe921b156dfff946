// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A random but reproducible sequence of calls of all kinds from a few clients, connections that begin, end
 * and are reported in any order, calls within calls, time, ticks, and a host without memory. After each step
 * the test checks that the engine's tables are sound and within their bounds; the fake host checks its own
 * rules.
 */
#include "lab.h"
#include "sound.h"
#include "unit.h"

#include "call/engine_parts.h"

#include <stdio.h>
#include <string.h>

enum { STEPS = 4000, DEPTH = 4 };

static struct rig rig;
static struct lab_options options;
static char contexts[6];
static uint64_t random_state;
static int depth;

static unsigned pick(unsigned among)
{
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(random_state >> 33) % among;
}

#define PICK(list) (list)[pick(UNIT_ROWS(list))]

static const char *const ids[] = {"a", "b", "c", "", "d/e", "+"};
static const char *const topics[] = {
    "rpc/call/act",   "rpc/call/act",         "rpc/call/count",     "rpc/call/count/request",
    "rpc/call/look",  "rpc/call/value",       "rpc/call/subtract",  "rpc/call/nope",
    "rpc/call/bytes", "rpc/batch/act",        "rpc/batch/count",    "rpc/batch/nope",
    "rpc/jsonrpc",    "rpc/jsonrpc",          "rpc/call/id",        "rpc/event/x",
    "rpc/reply/a/x",  "rpc/jsonrpc/response", "rpc/call/id/request"};
static const char *const payloads[] = {
    "",
    "{}",
    "[]",
    "{",
    "1",
    "[{},{}]",
    "[{},1,{\"a\":1,\"a\":2}]",
    "[\"\\u0000\",{}]",
    "{\"request_id\":\"1\"}",
    "{\"request_id\":\"sixteen-bytes-id\"}",
    "{\"request_id\":\"+\"}",
    "{\"request_id\":\"1\",\"calls\":[{},{},{}]}",
    "{\"minuend\":1,\"subtrahend\":2}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"act\",\"id\":1}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"act\",\"id\":\"a:1\"}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"act\"}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":1e999}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":\"sixteen-bytes-id\",\"params\":[]}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"subtract\",\"id\":null,\"params\":[3,4]}",
    "[{\"jsonrpc\":\"2.0\",\"method\":\"act\",\"id\":1},{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":2}]",
    "[{\"jsonrpc\":\"2.0\",\"method\":\"act\"},1,{\"jsonrpc\":\"2.0\",\"method\":\"get\",\"id\":\"#\"}]",
    "[{\"jsonrpc\":\"2.0\",\"method\":\"nope\"}]",
};
static const char *const response_topics[] = {NULL, NULL, "r", "r", "s", "a/#", "rpc/reply/a/1", "$SYS"};
static const char *const correlations[] = {NULL, NULL, "", "1", "2", "sixteen-bytes-id", "sixteen-bytes-di"};

static void choose_client(void)
{
    rig.client.id = PICK(ids);
    rig.client.connection = &contexts[pick(sizeof contexts)];
    rig.client.version = (int)(3 + pick(3));
    rig.client.clean_start = pick(4) == 0;
    rig.client.bridge = pick(20) == 0;
    rig.qos = (int)pick(3);
}

static void send(void)
{
    const struct rig before = {.client = rig.client, .qos = rig.qos};
    choose_client();
    const struct host_client client = rig.client; /* a copy, since act may change rig.client */
    struct host_message message = rig_message(&rig, PICK(topics), PICK(payloads));
    message.client = &client;
    message.response_topic = PICK(response_topics);
    message.correlation = PICK(correlations);
    message.correlation_size = message.correlation ? strlen(message.correlation) : 0;
    rig_receive(rig.engine, &message);
    rig.client = before.client;
    rig.qos = before.qos;
}

static void end(void)
{
    static const enum host_end kinds[] = {HOST_END_UNKNOWN, HOST_END_SESSION_OVER, HOST_END_SESSION_WAITS,
                                          HOST_END_TAKEN_OVER};
    const struct host_ending ending = {.id = PICK(ids),
                                       .connection = &contexts[pick(sizeof contexts)],
                                       .kind = PICK(kinds),
                                       .in_order = pick(2) == 0,
                                       .clean_start = pick(2) == 0};
    engine_client_ended(rig.engine, &ending);
}

static void do_something(void)
{
    const unsigned what = pick(20);
    if (what < 12)
        send();
    else if (what < 16)
        end();
    else if (what < 17)
        rig.host.monotonic += pick(2) ? RIG_SECOND / 10 : 10 * RIG_SECOND;
    else if (what < 18)
        engine_tick(rig.engine);
    else if (what < 19)
        rig.host.no_memory = pick(4) == 0;
    else
        rig.host.drop = pick(4) == 0;
}

static rpc_status act(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    for (unsigned i = pick(4); depth < DEPTH && i > 0; i--) {
        depth++;
        do_something();
        depth--;
    }
    ((struct lab_text *)result)->text = rpc_printf(call, "%u", pick(1000));
    return pick(4) ? RPC_OK : (rpc_status)pick(RPC_RAISED);
}

/* ---- The storms ---- */

/* Each with other options. */
static void start(int number)
{
    rig_init(&rig);
    random_state = (uint64_t)number;
    rig.options.jsonrpc_methods = number % 3 ? "*" : "act count";
    rig.options.unknown_methods = number % 5 == 1 ? UNKNOWN_FORWARD : UNKNOWN_REJECT;
    rig.options.bridge_calls = number % 2 == 0;
    rig.options.max_reply = number % 4 == 3 ? 64 : 1000;
    rig.options.max_batch = 2 + number % 3;
    rig.options.duplicate_window = number % 7 == 6 ? 0 : 20000;
    rig.options.duplicate_entries = number % 2 ? 3 : 50;
    rig.options.duplicate_bytes = number % 4 == 1 ? 200 : 10000;
    rig.options.redelivery_guard = number % 7 == 5 ? 0 : 10000;
    rig.options.rate_limit = number % 3 == 2 ? 2 : 0;
    rig.options.rate_burst = 4;
    rig.options.rate_bytes = number % 4 == 1 ? 50 : 0;
    rig.options.rate_limit_by = number % 5 % 3;
    rig.options.error_rate = number % 2 ? 5 : 0;
    rig.options.reply_delivery = number % 6 == 4 ? DELIVERY_SUBSCRIBED : DELIVERY_CLIENT;
    lab_start(&rig, &options, act);
    rig_open_methods(&rig);
}

START_TEST(storms)
{
    start(_i);
    for (int i = 0; i < STEPS; i++) {
        do_something();
        sound_tables(rig.engine);
        ck_assert_ptr_null(rig.engine->dedup.duplicates.unfinished); /* nothing runs between two steps */
        ck_assert_ptr_null(rig.engine->dedup.ordered.unfinished);
        ck_assert_msg(!rig.host.fault, "step %d: %s", i, rig.host.fault);
        if (i % 20 == 0)
            fake_host_forget(&rig.host);
    }
    ck_assert_uint_gt(engine_counters(rig.engine)->calls, 50);
    rig_close(&rig);
}
END_TEST

UNIT_MAIN("storm", NULL, NULL, {storms, 24})

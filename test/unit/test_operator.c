// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What an operator sees, where several parts of it meet: dead letters, their replays, the recorder, spans and
 * settings that change. Each part alone has a test of its own. */
#include "lab.h"
#include "unit.h"
#include "works.h"

#include "call/engine_parts.h"
#include "observe/letters.h"
#include "observe/observe.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#define SPANS "$SYS/broker/rpc/rpc/span"

static struct rig rig;
static struct lab_options options;

static void open_rig(void)
{
    works_init(&rig);
}

static void close_rig(void)
{
    works_close(&rig);
}

static void add_observers(void)
{
    rig_add(&rig, &rpc_module_dead, NULL);
    rig_add(&rig, &rpc_module_observe, NULL);
    rig_open_methods(&rig);
}

static void open_works(void)
{
    works_open(&rig);
    add_observers();
}

static void open_lab(rpc_handler act)
{
    lab_start(&rig, &options, act);
    add_observers();
}

static size_t count_spans(const char *text)
{
    size_t count = 0;
    for (size_t i = 0; i < rig.host.events.count && i < FAKE_KEPT; i++) {
        const struct fake_message *event = &rig.host.events.kept[i];
        count += strcmp(event->topic, SPANS) == 0 && strstr(event->text, text);
    }
    return count;
}

/* ---- Dead letters of batches ---- */

/* What fails at once in a batch whose other calls are pending has no memory of the host's when the reply is
 * lost. */
START_TEST(a_batch_that_is_kept)
{
    static const char *const batches[] = {
        "[{\"jsonrpc\":\"2.0\",\"method\":\"tell\",\"params\":[\"x\"],\"id\":1},"
        "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[1],\"id\":2}]",
        "[{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[1],\"id\":2},"
        "{\"jsonrpc\":\"2.0\",\"method\":\"tell\",\"params\":[\"x\"],\"id\":1}]",
    };
    open_works();
    works_send(&rig, "rpc/jsonrpc", batches[_i], "r", NULL);
    works_end_client(&rig, HOST_END_SESSION_OVER);
    ck_assert_uint_eq(rig.engine->dead.count, 1);
    ck_assert_str_eq(rig_newest_letter(&rig)->report.client.id, "tester");
    ck_assert_str_eq(rig_newest_letter(&rig)->report.client.user, "bob");
    ck_assert_str_eq(rig_newest_letter(&rig)->report.client.address, "192.0.2.7");
    ck_assert_str_eq(rig_newest_letter(&rig)->report.method, "tell");
    ck_assert_str_eq(rig_newest_letter(&rig)->report.text, "[\"x\"]");
}
END_TEST

/* ---- Methods that are switched off ---- */

static void switch_off(const char *methods)
{
    struct engine_options changed = rig.engine->env.options;
    changed.methods_off = methods;
    engine_reload(rig.engine, &changed);
}

/* Their calls are published as letters like others, within the rate of errors, and run when they are on
 * again. */
START_TEST(a_method_that_is_off)
{
    rig.options.error_rate = 8;
    open_lab(NULL);
    switch_off("value");
    for (int i = 0; i < 20; i++)
        rig_tell(&rig, _i ? "nope" : "value", "7");
    ck_assert_uint_eq(rig.engine->dead.count, _i ? 0 : 20);
    ck_assert_uint_eq(rig.host.letters.count, _i ? 0 : 6); /* three quarters are one client's */
    ck_assert_uint_eq(engine_counters(rig.engine)->suppressed, _i ? 0 : 14);
    if (_i)
        return;
    ck_assert_str_eq(rig_newest_letter(&rig)->err, "method_not_found");
    switch_off(NULL);
    ck_assert_ptr_nonnull(strstr(rig_replay_newest(&rig)->text, "\"status\":\"ok\""));
    ck_assert_uint_eq(rig.engine->dead.count, 19);
}
END_TEST

/* ---- Spans ---- */

static bool is_refusing;

static rpc_status act_slowly(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    rig.host.monotonic += RIG_SECOND;
    return is_refusing ? rpc_raise(call, "overloaded", "not yet") : RPC_OK;
}

static void open_with_spans(rpc_handler act)
{
    rig.options.sys_interval = 1000;
    rig.options.slow_call = 50;
    open_lab(act);
}

/* The span of a replay tells whose call it was, also when the letter is gone. */
START_TEST(a_slow_replay)
{
    is_refusing = true;
    open_with_spans(act_slowly);
    rig.client.id = "the one who called";
    rig_tell(&rig, "act.common", "");
    rig.client.id = "operator";
    is_refusing = _i;
    ck_assert_ptr_nonnull(strstr(rig_replay_newest(&rig)->text, _i ? "\"overloaded\"" : "\"ok\""));
    ck_assert_uint_eq(rig.engine->dead.count, _i ? 1 : 0);
    ck_assert_uint_eq(count_spans("the one who called"), 1);
    ck_assert_uint_eq(count_spans("operator"), 1);
}
END_TEST

/* A reply that reaches nobody is the outcome of a call like any other. */
START_TEST(the_span_of_a_call_whose_reply_is_lost)
{
    rig.options.sys_interval = 1000;
    rig.options.slow_call = 50;
    open_works();
    works_send(&rig, "rpc/call/wait.firm", "{\"n\":1,\"fail\":true}", "r", NULL);
    works_end_client(&rig, HOST_END_SESSION_OVER);
    rig.host.monotonic += RIG_SECOND;
    rig.client.id = "other";
    works_call(&rig, "tell", 1);
    ck_assert_uint_eq(rig.engine->dead.count, 1);
    ck_assert_uint_eq(count_spans("\"name\":\"wait.firm\""), 1);
}
END_TEST

/* A replay belongs to the trace of its call: so do its span and its events. */
START_TEST(the_trace_of_a_replay)
{
    static const rpc_property trace[] = {
        {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, {NULL, NULL}};
    char parent[64];
    is_refusing = true;
    open_with_spans(act_slowly);
    rig.host.more = trace;
    rig_tell(&rig, "act.told", "");
    rig.host.more = NULL;
    snprintf(parent, sizeof parent, "\"parentSpanId\":\"%.16s\"", rig_newest_letter(&rig)->report.trace + 36);
    is_refusing = false;
    fake_host_forget(&rig.host);
    rig_replay_newest(&rig);
    ck_assert_uint_eq(count_spans("\"traceId\":\"0af7651916cd43dd8448eb211c80319c\""), 1);
    ck_assert_uint_eq(count_spans(parent), 1);
    const struct fake_message *event = rig.host.events.kept;
    ck_assert_str_eq(event->topic, "rpc/event/acted");
    ck_assert_ptr_nonnull(strstr(event->properties, "traceparent=00-0af7651916cd43dd8448eb211c80319c-"));
}
END_TEST

/* ---- The recorder ---- */

/* A replay arrives later than the batch that it is a part of. */
START_TEST(the_time_of_a_replay)
{
    char batch[512];
    is_refusing = true;
    open_lab(act_slowly);
    rig.host.wall = 1700000000;
    rig_tell(&rig, "act.common", "");
    fake_host_forget(&rig.host);
    rig.host.step = 1000;
    snprintf(
        batch, sizeof batch,
        "[{\"jsonrpc\":\"2.0\",\"method\":\"dead.replay\",\"params\":{\"id\":\"%s\"},\"id\":1},"
        "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.recent\",\"params\":{\"method\":\"act.common\"},\"id\":2}]",
        rig_newest_letter(&rig)->id);
    rig_send(&rig, "rpc/jsonrpc", batch, "r", NULL);
    const struct fake_message *reply = rig_last(&rig.host.replies);
    cJSON *parsed = cJSON_ParseWithLength(reply->payload, reply->size);
    const cJSON *result = cJSON_GetObjectItem(cJSON_GetArrayItem(parsed, 1), "result"), *call;
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(result, "calls")), 2);
    cJSON_ArrayForEach(call, cJSON_GetObjectItem(result, "calls"))
    {
        const double at = cJSON_GetNumberValue(cJSON_GetObjectItem(call, "at"));
        ck_assert_msg(at > 1699999990 && at < 1700000010, "%f", at);
    }
    cJSON_Delete(parsed);
}
END_TEST

/* A payload that fills a reply alone does not hide the calls before its own. */
START_TEST(a_payload_that_fills_a_reply)
{
    char payload[2000];
    memset(payload, 1, sizeof payload - 1);
    payload[sizeof payload - 1] = '\0';
    rig.options.recorder_payloads = true;
    rig.options.max_reply = 4096;
    open_lab(NULL);
    rig_tell(&rig, "bytes", "abc");
    rig_tell(&rig, "bytes", payload);
    const struct fake_message *reply = rig_ask(&rig, "rpc.recent", "{}");
    ck_assert_ptr_nonnull(strstr(reply->text, "\"bytes\":1999"));
    ck_assert_ptr_nonnull(strstr(reply->text, "\"payload\":\"abc\""));
    ck_assert_ptr_nonnull(strstr(reply->text, "\"more\":false"));
}
END_TEST

START_TEST(a_payload_of_no_bytes)
{
    rig.options.recorder_payloads = true;
    open_lab(NULL);
    struct host_message message = rig_message(&rig, "rpc/call/bytes", "");
    message.response_topic = "a/#";
    rig_receive(rig.engine, &message);
    ck_assert_uint_eq(rig.engine->dead.count, 1);
    ck_assert_ptr_nonnull(strstr(rig_ask(&rig, "rpc.recent", "{}")->text, "\"payload\":\"\""));
    ck_assert_msg(strstr(rig_replay_newest(&rig)->text, "\"status\":\"ok\""), "%s",
                  rig.host.replies.kept[0].text);
}
END_TEST

UNIT_MAIN("operator", open_rig, close_rig, {a_batch_that_is_kept, 2}, {a_method_that_is_off, 2},
          {a_slow_replay, 2}, {the_trace_of_a_replay, 0}, {the_span_of_a_call_whose_reply_is_lost, 0},
          {the_time_of_a_replay, 0}, {a_payload_that_fills_a_reply, 0}, {a_payload_of_no_bytes, 0})

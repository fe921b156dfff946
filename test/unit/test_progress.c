// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What a pending call may ask and say: interim replies, user properties, the time that is left, members of
 * the engine's own errors. The module is test/modules/relay.c.
 */
#include "call/engine_parts.h"
#include "lab.h"
#include "rig.h"
#include "../modules/relay.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static const struct relay_options usual = {"cmd"};
static struct rig rig;

static void open_relay(void)
{
    rig_init(&rig);
    rig.options.duplicate_window = 60000;
    rig.options.jsonrpc_methods = "*";
    rig.client.connection = &rig;
    rig_start(&rig);
    rig_add(&rig, &rpc_module_relay, &usual);
    rig_open_methods(&rig);
}

static void close_rig(void)
{
    rig_close(&rig);
}

/* Calls a method without a reply. */
static void tell(const char *method, const char *payload)
{
    rig_tell(&rig, method, payload);
}

#define STATS(runs, adopted, refused, progress) \
    "{\"runs\":" #runs ",\"adopted\":" #adopted ",\"refused\":" #refused ",\"progress\":" #progress "}"

static const struct fake_message *last_reply(void)
{
    return rig_last(&rig.host.replies);
}

static size_t count_progress(void)
{
    size_t count = 0;
    for (size_t i = 0; i < rig.host.replies.count; i++)
        count += strcmp(rig.host.replies.kept[i].status, "progress") == 0;
    return count;
}

/* ---- Interim replies ---- */

START_TEST(a_caller_that_asks_gets_interim_replies)
{
    rig.host.property = "progress";
    rig.host.value = "1";
    rig_send(&rig, "rpc/call/relay/a/wait", "", "r", "c1");
    ck_assert_uint_eq(rig.host.replies.count, 0);
    for (int i = 1; i <= 2; i++) {
        char step[64], text[64];
        snprintf(step, sizeof step, "{\"box\":\"a\",\"done\":%d}", i);
        tell("relay.step", step);
        snprintf(text, sizeof text, "{\"box\":\"a\",\"done\":%d}", i);
        const struct fake_message *interim = last_reply();
        ck_assert_str_eq(interim->text, text);
        ck_assert_str_eq(interim->status, "progress");
        ck_assert_str_eq(interim->topic, "r");
        ck_assert_str_eq(interim->client, "tester");
        ck_assert_str_eq(interim->content_type, "application/json");
        ck_assert_ptr_eq(interim->connection, &rig);
        ck_assert_uint_eq(interim->correlation_size, 2);
        ck_assert_mem_eq(interim->correlation, "c1", 2);
        ck_assert_int_eq(interim->qos, 1);
        ck_assert(!interim->to_session && !interim->repeated && !interim->subscribed);
    }
    tell("relay.end", "{\"box\":\"a\"}");
    ck_assert_uint_eq(rig.host.replies.count, 3);
    ck_assert_str_eq(last_reply()->status, "ok");
    ck_assert_uint_eq(rig.engine->env.counters.replies, 3);
    ck_assert_uint_eq(rig.host.line_count, 0);
}
END_TEST

#define REQUEST "{\"jsonrpc\":\"2.0\",\"id\":\"t:1\",\"method\":\"relay/a/wait\"}"

static const struct silent {
    const char *topic, *payload, *response_topic, *property, *value;
    int version;
} silent[] = {
    {"rpc/call/relay/a/wait", "", "r", NULL, NULL, 5},
    {"rpc/call/relay/a/wait", "", "r", "progress", "0", 5},
    {"rpc/call/relay/a/wait", "", "r", "progress", "", 5},
    {"rpc/call/relay/a/wait", "", "r", "progress", "10", 5},
    {"rpc/call/relay/a/wait", "", "r", "Progress", "1", 5},
    {"rpc/call/relay/a/wait", "", NULL, "progress", "1", 5},
    {"rpc/call/relay/a/wait", "{\"request_id\":\"1\"}", NULL, "progress", "1", 5},
    {"rpc/call/relay/a/wait", "{\"request_id\":\"1\"}", NULL, "progress", "1", 4},
    {"rpc/call/relay/a/wait", REQUEST, "r", "progress", "1", 5},
    {"rpc/call/relay/a/wait/request", REQUEST, NULL, "progress", "1", 5},
    {"rpc/jsonrpc", REQUEST, "r", "progress", "1", 5},
    {"rpc/jsonrpc", "[" REQUEST "]", "r", "progress", "1", 5},
    {"rpc/batch/relay/a/wait", "[{}]", "r", "progress", "1", 5},
    {"cmd/a/ask/wait/k7", "", NULL, "progress", "1", 4},
    {"cmd/a/quiet/wait/k7", "", "r", "progress", "1", 5},
};

START_TEST(others_get_none)
{
    const struct silent *row = &silent[_i];
    rig.host.property = row->property;
    rig.host.value = row->value;
    rig.client.version = row->version;
    rig_send(&rig, row->topic, row->payload, row->response_topic, NULL);
    rig_expect(&rig, "relay.step", "{\"box\":\"a\",\"done\":1}", "ok", "{\"calls\":1,\"status\":0}");
    tell("relay.end", "{\"box\":\"a\"}");
    ck_assert_uint_eq(count_progress(), 0);
    ck_assert_uint_eq(rig.engine->env.counters.errors, 0);
    ck_assert_uint_eq(rig.host.line_count, 0);
}
END_TEST

START_TEST(an_adopted_call_has_interim_replies)
{
    rig.host.property = "progress";
    rig.host.value = "1";
    ck_assert_int_eq(rig_send(&rig, "cmd/a/ask/wait/-", "", "r", "c1"), ENGINE_CONSUME);
    tell("relay.step", "{\"box\":\"a\",\"done\":1}");
    ck_assert_str_eq(last_reply()->status, "progress");
    ck_assert_str_eq(last_reply()->topic, "r");
    tell("relay.end", "{\"box\":\"a\"}");
    ck_assert_str_eq(last_reply()->status, "ok");
}
END_TEST

/* The call goes on without its caller's connection, and its reply goes to the session. */
START_TEST(a_session_gets_no_interim_reply)
{
    rig.host.property = "progress";
    rig.host.value = "1";
    rig_send(&rig, "rpc/call/firm/a/wait", "", "r", "c1");
    engine_client_ended(rig.engine, &(const struct host_ending){.id = rig.client.id,
                                                                .connection = rig.client.connection,
                                                                .kind = HOST_END_SESSION_WAITS});
    rig.client.id = "other";
    rig.client.connection = &usual;
    tell("relay.step", "{\"box\":\"a\",\"done\":1}");
    ck_assert_uint_eq(rig.host.replies.count, 0);
    rig_expect(&rig, "relay.stats", "", "ok", STATS(1, 0, 0, 0));
    fake_host_forget(&rig.host);
    tell("relay.end", "{\"box\":\"a\"}");
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_str_eq(last_reply()->status, "ok");
    ck_assert(last_reply()->to_session);
}
END_TEST

/* Neither a copy that waits nor one that comes later gets what was sent meanwhile. */
START_TEST(interim_replies_are_not_cached)
{
    rig.host.property = "progress";
    rig.host.value = "1";
    rig_send(&rig, "rpc/call/relay/a/wait", "", "r", "c1");
    rig_send(&rig, "rpc/call/relay/a/wait", "", "r", "c1");
    tell("relay.step", "{\"box\":\"a\",\"done\":1}");
    ck_assert_uint_eq(count_progress(), 1);
    tell("relay.end", "{\"box\":\"a\"}");
    rig_send(&rig, "rpc/call/relay/a/wait", "", "r", "c1");
    ck_assert_uint_eq(count_progress(), 1);
    ck_assert_uint_eq(rig.host.replies.count, 4);
    ck_assert_str_eq(last_reply()->status, "ok");
    ck_assert(last_reply()->repeated);
}
END_TEST

/* Run may send one as soon as the call is pending; the reply comes behind it. */
START_TEST(run_may_send_one)
{
    rig.host.property = "progress";
    rig.host.value = "1";
    rig_send(&rig, "rpc/call/relay/a/eager", "", "r", NULL);
    ck_assert_uint_eq(count_progress(), 1);
    tell("relay.end", "{\"box\":\"a\"}");
    ck_assert_uint_eq(rig.host.replies.count, 2);
    ck_assert_str_eq(last_reply()->status, "ok");
}
END_TEST

START_TEST(what_is_not_pending_has_no_progress)
{
    rig.host.property = "progress";
    rig.host.value = "1";
    rig_send(&rig, "rpc/call/relay/a/hasty", "", "r", NULL);
    ck_assert(
        fake_host_logged(&rig.host, "method relay/a/hasty sends progress, but its call is not pending"));
    ck_assert_uint_eq(rig.host.replies.count, 0);
    fake_host_forget(&rig.host);
    rig.host.monotonic += 11 * RIG_SECOND;
    engine_tick(rig.engine); /* done sends one, too late */
    ck_assert_uint_eq(count_progress(), 0);
    ck_assert_str_eq(last_reply()->status, "timeout");
    char text[64];
    snprintf(text, sizeof text, "{\"runs\":1,\"adopted\":0,\"refused\":0,\"progress\":%d}", RPC_CANCELLED);
    rig_expect(&rig, "relay.stats", "", "ok", text);
}
END_TEST

START_TEST(progress_when_the_engine_stops)
{
    rig.host.property = "progress";
    rig.host.value = "1";
    rig_send(&rig, "rpc/call/relay/a/wait", "", "r", NULL);
    engine_stop(rig.engine); /* done sends one */
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert(!fake_host_logged(&rig.host, "progress"));
}
END_TEST

static rpc_status step_and_return(const char *payload)
{
    rig_tell(&rig, "relay.step", payload);
    const char *text = rig_ask(&rig, "relay.stats", "")->text;
    int status = -100;
    const char *at = strstr(text, "\"progress\":");
    ck_assert_ptr_nonnull(at);
    sscanf(at, "\"progress\":%d", &status);
    return (rpc_status)status;
}

START_TEST(progress_that_cannot_be_sent)
{
#define X32 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X128 X32 X32 X32 X32
    rig_close(&rig);
    rig_init(&rig);
    rig.options.max_reply = 140;
    rig_start(&rig);
    rig_add(&rig, &rpc_module_relay, &usual);
    rig.host.property = "progress";
    rig.host.value = "1";
    rig_send(&rig, "rpc/call/relay/a/wait", "", "r", NULL);
    rig_send(&rig, "rpc/call/relay/" X128 "/wait", "", "r", NULL);
    ck_assert_int_eq(step_and_return("{\"box\":\"a\",\"done\":100}"), RPC_OK);
    ck_assert_int_eq(step_and_return("{\"box\":\"" X128 "\",\"done\":1}"), RPC_REPLY_TOO_LARGE);
    rig.host.line_count = 0;
    rig_tell(&rig, "relay.step", "{\"box\":\"a\",\"done\":101}");
    ck_assert(fake_host_logged(&rig.host, "method relay/a/wait: its progress does not fit its shape: "));
    ck_assert_int_eq(step_and_return("{\"box\":\"a\",\"done\":101}"), RPC_INTERNAL_ERROR);
    rig.host.drop = true;
    rig_tell(&rig, "relay.step", "{\"box\":\"a\",\"done\":1}");
    rig.host.drop = false;
    rig.host.no_memory = true;
    rig_tell(&rig, "relay.step", "{\"box\":\"a\",\"done\":1}");
    rig.host.no_memory = false;
    ck_assert_uint_eq(rig.engine->env.counters.dropped, 2);
    rig_expect(&rig, "relay.stats", "", "ok", STATS(2, 0, 0, 0));
}
END_TEST

/* ---- User properties ---- */

#define RELAYED(note, is_gone, left) \
    "{\"box\":\"a\",\"action\":\"%s\"" note ",\"adopted\":false,\"is_gone\":" #is_gone ",\"left\":" #left "}"

static const char *relayed(const char *format, const char *action)
{
    static char text[FAKE_TEXT];
    snprintf(text, sizeof text, format, action);
    return text;
}

START_TEST(properties_last_until_run_has_returned)
{
    rig.host.property = "note";
    rig.host.value = "hello";
    rig_expect(&rig, "relay/a/now", "", "ok", relayed(RELAYED(",\"note\":\"hello\"", false, 10000), "now"));
    fake_host_forget(&rig.host);
    rig_send(&rig, "rpc/call/relay/a/wait", "", "r", NULL);
    tell("relay.end", "{\"box\":\"a\"}");
    ck_assert_str_eq(last_reply()->text, relayed(RELAYED(",\"note\":\"hello\"", true, 10000), "wait"));
    rig.client.version = 4;
    rig_expect(&rig, "relay/a/now", "", "ok", relayed(RELAYED("", true, 10000), "now"));
}
END_TEST

START_TEST(properties_of_a_batch)
{
    rig.host.property = "note";
    rig.host.value = "";
    rig_send(&rig, "rpc/batch/relay/a/wait", "[{},{}]", "r", NULL);
    tell("relay.end", "{\"box\":\"a\"}");
    const char *first = strstr(last_reply()->text, "\"note\":\"\"");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(strstr(first + 1, "\"note\":\"\""));
}
END_TEST

/* A method that is never pending, whose message is not copied. */
static rpc_status read_property(rpc_call *call, void *state, const void *params, void *result)
{
    char value[4];
    (void)state, (void)params;
    if (rpc_call_left(call) || !rpc_caller_property(call, "note", value, sizeof value))
        return RPC_INTERNAL_ERROR;
    ((struct lab_text *)result)->text = rpc_printf(call, "%s", value);
    return RPC_OK;
}

START_TEST(other_methods_have_properties_and_no_deadline)
{
    struct lab_options options;
    rig_close(&rig);
    rig_init(&rig);
    lab_start(&rig, &options, read_property);
    rig.host.property = "note";
    rig.host.value = "hello";
    rig_expect(&rig, "act", "", "ok", "{\"text\":\"hel\"}");
}
END_TEST

/* ---- The time that is left ---- */

static const struct left {
    const char *timeout; /* ms, of the caller; NULL: it sets none */
    uint64_t after;      /* nanoseconds */
    const char *text;
} lefts[] = {
    {NULL, 0, "\"left\":10000}"},
    {NULL, 1, "\"left\":10000}"},
    {NULL, 1000000, "\"left\":9999}"},
    {NULL, 9 * RIG_SECOND, "\"left\":1000}"},
    {NULL, 10 * RIG_SECOND - 1, "\"left\":1}"},
    {NULL, 10 * RIG_SECOND, "\"left\":0}"},
    {NULL, 50 * RIG_SECOND, "\"left\":0}"},
    {"50", 0, "\"left\":50}"},
    {"50", 49999999, "\"left\":1}"},
    {"60000", 0, "\"left\":60000}"},
};

START_TEST(time_left)
{
    const struct left *row = &lefts[_i];
    rig.host.property = row->timeout ? "timeout-ms" : NULL;
    rig.host.value = row->timeout;
    rig_send(&rig, "rpc/call/relay/a/wait", "", "r", NULL);
    rig.host.monotonic += row->after;
    tell("relay.end", "{\"box\":\"a\"}");
    ck_assert_ptr_nonnull(strstr(last_reply()->text, row->text));
}
END_TEST

/* ---- Errors of the engine's own, with members ---- */

#define LOST(action)                \
    "{\"method\":\"relay/a/" action \
    "\",\"err\":\"outcome_unknown\",\"msg\":\"the box a was lost\"%s,\"box\":\"a\"}"

START_TEST(an_engines_error_with_members)
{
    char text[FAKE_TEXT];
    snprintf(text, sizeof text, LOST("lose"), "");
    rig_expect(&rig, "relay/a/lose", "", "outcome_unknown", text);
    fake_host_forget(&rig.host);
    rig_send(&rig, "rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"relay/a/lose\"}", "r", NULL);
    char whole[2 * FAKE_TEXT];
    snprintf(whole, sizeof whole,
             "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32006,\"message\":\"the box a was lost\","
             "\"data\":%s}}",
             text);
    ck_assert_str_eq(last_reply()->text, whole);
    snprintf(text, sizeof text, LOST("lose"), ",\"client\":\"tester\"");
    tell("relay/a/lose", "");
    rig_expect_event(&rig, "rpc/event/error", text);
    rig_send(&rig, "rpc/call/relay/a/wait", "", "r", NULL);
    tell("relay.end", "{\"box\":\"a\",\"unknown\":true}");
    snprintf(text, sizeof text, LOST("wait"), "");
    ck_assert_str_eq(last_reply()->text, text);
    ck_assert(fake_host_logged(&rig.host, "outcome_unknown: the box a was lost"));
}
END_TEST

/* An error that the engine gives when done has returned, with what done has raised. */
#define ENDED(code) "{\"method\":\"relay/a/wait\",\"err\":\"" code "\",\"msg\":\"box a\",\"box\":\"a\"}"

START_TEST(ends_with_members)
{
    rig_close(&rig);
    rig_init(&rig);
    rig.options.max_pending = 2;
    rig.client.connection = &rig;
    rig_start(&rig);
    rig_add(&rig, &rpc_module_relay, &usual);
    for (int i = 0; i < 2; i++)
        rig_send(&rig, "rpc/call/relay/a/wait", "", "r", NULL);
    rig.client.id = "other";
    rig.client.connection = &usual;
    rig_send(&rig, "rpc/call/relay/a/wait", "", "r", NULL);
    ck_assert_str_eq(last_reply()->text, ENDED("overloaded"));
    engine_client_ended(rig.engine, &(const struct host_ending){
                                        .id = "other", .connection = &usual, .kind = HOST_END_SESSION_WAITS});
    ck_assert_str_eq(last_reply()->text, ENDED("cancelled"));
    rig.host.monotonic += 11 * RIG_SECOND;
    engine_tick(rig.engine);
    ck_assert_str_eq(last_reply()->text, ENDED("timeout"));
    ck_assert_uint_eq(rig.host.replies.count, 3);
    ck_assert_uint_eq(engine_counters(rig.engine)->timeouts, 1);
}
END_TEST

START_TEST(documents)
{
    extern const rpc_module rpc_module_rpc;
    rig_add(&rig, &rpc_module_rpc, NULL);
    const char *text = rig_ask(&rig, "rpc.describe", "{\"method\":\"relay/a/b\"}")->text;
    ck_assert_ptr_nonnull(strstr(text, "\"x-progress\":{\"name\":\"progress\",\"schema\":{\"title\":"
                                       "\"RelayBoxActionProgress\",\"type\":\"object\",\"properties\":{"
                                       "\"box\":"));
    ck_assert_ptr_nonnull(strstr(text, "\"errors\":[{\"code\":-32006,\"message\":\"it was begun, and its "
                                       "outcome is unknown\"},{\"code\":-32000,"));
    ck_assert_ptr_nonnull(
        strstr(text, "{\"code\":-32010,\"message\":\"an error that the method declares\"}],"));
    ck_assert_ptr_null(
        strstr(rig_ask(&rig, "rpc.describe", "{\"method\":\"relay.end\"}")->text, "x-progress"));
}
END_TEST

UNIT_MAIN("progress", open_relay, close_rig, {a_caller_that_asks_gets_interim_replies, 0},
          {others_get_none, UNIT_ROWS(silent)}, {an_adopted_call_has_interim_replies, 0},
          {a_session_gets_no_interim_reply, 0}, {interim_replies_are_not_cached, 0}, {run_may_send_one, 0},
          {what_is_not_pending_has_no_progress, 0}, {progress_when_the_engine_stops, 0},
          {progress_that_cannot_be_sent, 0}, {properties_last_until_run_has_returned, 0},
          {properties_of_a_batch, 0}, {other_methods_have_properties_and_no_deadline, 0},
          {time_left, UNIT_ROWS(lefts)}, {an_engines_error_with_members, 0}, {ends_with_members, 0},
          {documents, 0})

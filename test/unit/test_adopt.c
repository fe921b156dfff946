// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * rpc_adopt(): messages of inboxes that are carried out as calls of their senders. The module is
 * test/modules/relay.c, and for what it cannot do one of this file.
 */
#include "call/engine_parts.h"
#include "lab.h"
#include "rig.h"
#include "../modules/relay.h"
#include "unit.h"
#include "works.h"

#include <stdio.h>
#include <string.h>

static const struct relay_options usual = {"cmd"};
static struct rig rig;

static void init_rig(void)
{
    rig_init(&rig);
    rig.options.duplicate_window = 60000;
    rig.client.connection = &rig;
}

static void start_relay(void)
{
    rig_start(&rig);
    rig_add(&rig, &rpc_module_relay, &usual);
}

static void open_relay(void)
{
    init_rig();
    start_relay();
}

/* Closes the rig of the fixture, for one with other options: start_relay() starts it. */
static void reopen(void)
{
    rig_close(&rig);
    init_rig();
}

static void close_rig(void)
{
    rig_close(&rig);
}

static void end(const char *payload)
{
    rig_tell(&rig, "relay.end", payload);
}

static const struct fake_message *last_reply(void)
{
    return rig_last(&rig.host.replies);
}

/* The replies so far, and how the last of them ended. */
static void expect_replies(size_t count, const char *status, bool repeated)
{
    ck_assert_uint_eq(rig.host.replies.count, count);
    ck_assert_str_eq(last_reply()->status, status);
    ck_assert_int_eq(last_reply()->repeated, repeated);
}

/* How often the family's handler ran, and how many messages were adopted and were not. */
static void expect_stats(int runs, int adopted, int refused)
{
    char text[128];
    snprintf(text, sizeof text, "{\"runs\":%d,\"adopted\":%d,\"refused\":%d,", runs, adopted, refused);
    const char *stats = rig_ask(&rig, "relay.stats", "")->text;
    ck_assert_msg(strncmp(stats, text, strlen(text)) == 0, "%s", stats);
}

#define RELAYED(action, text) \
    "{\"box\":\"a\",\"action\":\"" action "\"" text ",\"adopted\":true,\"is_gone\":true,\"left\":10000}"

/* ---- The call ---- */

START_TEST(the_sender_gets_the_reply)
{
    ck_assert_int_eq(rig_send(&rig, "cmd/a/ask/now/-", "{\"text\":\"x\"}", "r", "c1"), ENGINE_CONSUME);
    expect_replies(1, "ok", false);
    const struct fake_message *reply = last_reply();
    ck_assert_str_eq(reply->text, RELAYED("now", ",\"text\":\"x\""));
    ck_assert_str_eq(reply->topic, "r");
    ck_assert_str_eq(reply->client, "tester");
    ck_assert_ptr_eq(reply->connection, &rig);
    ck_assert_uint_eq(reply->correlation_size, 2);
    ck_assert_mem_eq(reply->correlation, "c1", 2);
    ck_assert_int_eq(reply->qos, 1);
    ck_assert_uint_eq(rig.host.events.count, 0);
    ck_assert_uint_eq(rig.host.others.count, 0);
    ck_assert_uint_eq(engine_counters(rig.engine)->calls, 1);
    ck_assert_uint_eq(engine_counters(rig.engine)->replies, 1);
    expect_stats(1, 1, 0);
}
END_TEST

/* MQTT 3 has no Response Topic: the module names the topic of the reply. */
START_TEST(a_sender_of_mqtt_3)
{
    rig.client.version = 3 + _i;
    rig.qos = 0;
    ck_assert_int_eq(rig_publish(&rig, "cmd/a/ask/wait/k7", ""), ENGINE_CONSUME);
    end("{\"box\":\"a\"}");
    expect_replies(1, "ok", false);
    ck_assert_str_eq(last_reply()->topic, "cmd/a/resp/k7");
    ck_assert_str_eq(last_reply()->text, RELAYED("wait", ""));
    ck_assert_int_eq(last_reply()->qos, 0);
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

#define JSONRPC(more) "{\"jsonrpc\":\"2.0\",\"method\":\"relay/a/now\",\"params\":{\"text\":\"x\"}" more

static const struct payload {
    const char *payload, *status, *text;
} payloads[] = {
    {"", "ok", RELAYED("now", "")},
    {"{}", "ok", RELAYED("now", "")},
    {JSONRPC(",\"id\":1}"), "ok", RELAYED("now", "")},
    {JSONRPC("}"), "ok", RELAYED("now", "")},
    {"{\"request_id\":\"7\",\"text\":\"y\"}", "ok", RELAYED("now", ",\"text\":\"y\"")},
    {"[" JSONRPC(",\"id\":1}") "]", "invalid_params",
     "\"err\":\"invalid_params\",\"msg\":\"the parameters must"},
    {JSONRPC(",\"id\":1"), "parse_error", "{\"method\":\"relay/a/now\",\"err\":\"parse_error\""},
    {"{\"text\":1}", "invalid_params", "{\"method\":\"relay/a/now\",\"err\":\"invalid_params\""},
};

START_TEST(the_payload_is_parameters_and_no_more)
{
    const struct payload *row = &payloads[_i];
    ck_assert_int_eq(rig_send(&rig, "cmd/a/ask/now/-", row->payload, "r", NULL), ENGINE_CONSUME);
    expect_replies(1, row->status, false);
    ck_assert_msg(strstr(last_reply()->text, row->text) != NULL, "%s", last_reply()->text);
    ck_assert_str_eq(last_reply()->topic, "r");
    /* The next message, which uses the same memory, is read like any other. */
    rig_send(&rig, "rpc/call/relay/a/now", JSONRPC(",\"id\":1}"), "r", NULL);
    ck_assert_ptr_nonnull(strstr(last_reply()->text, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":"));
}
END_TEST

static const char *const large[] = {"{\"text\":\"", JSONRPC(",\"id\":\"x:1\",\"more\":\""),
                                    "{\"request_id\":\"7\",\"more\":\""};

START_TEST(a_payload_that_is_too_large)
{
    reopen();
    rig.options.max_payload = 200;
    start_relay();
    char payload[400];
    const int used = snprintf(payload, sizeof payload, "%s", large[_i]);
    memset(payload + used, 'x', 300 - (size_t)used);
    snprintf(payload + 300, 3, "\"}");
    ck_assert_int_eq(rig_send(&rig, "cmd/a/ask/now/-", payload, "r", "c1"), ENGINE_CONSUME);
    expect_replies(1, "payload_too_large", false);
    ck_assert_str_eq(last_reply()->topic, "r");
    ck_assert_int_eq(strncmp(last_reply()->text, "{\"method\":\"relay/a/now\",", 24), 0);
}
END_TEST

START_TEST(the_deadline_of_the_sender)
{
    rig.host.property = "timeout-ms";
    rig.host.value = "50";
    rig_send(&rig, "cmd/a/ask/wait/-", "", "r", NULL);
    rig_send(&rig, "cmd/a/quiet/wait/-", "", "q", NULL);
    rig.host.monotonic += 50000000;
    engine_tick(rig.engine);
    expect_replies(2, "timeout", false);
    ck_assert_str_eq(last_reply()->topic, "q");
    rig.host.value = "0";
    rig_send(&rig, "cmd/a/ask/wait/-", "", "r", NULL);
    expect_replies(3, "invalid_request", false);
}
END_TEST

START_TEST(rates)
{
    reopen();
    rig.options.rate_limit = 1;
    rig.options.rate_burst = 1;
    start_relay();
    rig_send(&rig, "cmd/a/ask/now/-", "", "r", NULL);
    expect_replies(1, "ok", false);
    ck_assert_int_eq(rig_send(&rig, "cmd/a/ask/now/-", JSONRPC(",\"id\":1}"), "r", NULL), ENGINE_CONSUME);
    expect_replies(2, "rate_limited", false);
    ck_assert_str_eq(last_reply()->topic, "r");
    ck_assert_int_eq(strncmp(last_reply()->text, "{\"method\":\"relay/a/now\",", 24), 0);
}
END_TEST

/* ---- Duplicates ---- */

START_TEST(duplicates)
{
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(rig_send(&rig, "cmd/a/ask/wait/-", "", "r", "c1"), ENGINE_CONSUME);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    end("{\"box\":\"a\"}");
    expect_replies(2, "ok", true);
    ck_assert_int_eq(rig_send(&rig, "cmd/a/ask/wait/-", "", "r", "c1"), ENGINE_CONSUME);
    expect_replies(3, "ok", true);
    ck_assert_str_eq(last_reply()->text, rig.host.replies.kept[0].text);
    ck_assert_mem_eq(last_reply()->correlation, "c1", 2);
    expect_stats(1, 3, 0);
}
END_TEST

START_TEST(duplicates_of_mqtt_3)
{
    rig.client.version = 4;
    for (int i = 0; i < 2; i++)
        rig_publish(&rig, "cmd/a/ask/now/k7", "");
    expect_replies(2, "ok", true);
    rig_publish(&rig, "cmd/a/ask/now/k8", "");
    expect_replies(3, "ok", false);
    expect_stats(2, 3, 0);
}
END_TEST

/* A client with a session, after a cut, sends again what was not acknowledged. */
START_TEST(redeliveries)
{
    reopen();
    rig.options.redelivery_guard = 10000;
    rig.client.version = 4;
    rig.qos = 2;
    start_relay();
    rig_send(&rig, "cmd/a/ask/now/-", "", "r", NULL);
    works_end_client(&rig, HOST_END_SESSION_WAITS);
    works_end_client(&rig, HOST_END_TAKEN_OVER);
    rig.client.connection = &usual;
    rig_send(&rig, "cmd/a/ask/now/-", "", "r", NULL);
    expect_replies(2, "ok", true);
    expect_stats(1, 2, 0);
}
END_TEST

/* ---- Errors only ---- */

START_TEST(a_success_stays_silent)
{
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(rig_send(&rig, "cmd/a/quiet/wait/-", "", "r", "c1"), ENGINE_CONSUME);
    end("{\"box\":\"a\"}");
    rig_send(&rig, "cmd/a/quiet/wait/-", "", "r", "c1");
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(engine_counters(rig.engine)->calls, 2); /* with relay.end */
    ck_assert_uint_eq(engine_counters(rig.engine)->duplicates, 2);
    ck_assert_uint_eq(engine_counters(rig.engine)->errors, 0);
    /* It is cached: who asks in another way gets it. */
    rig_send(&rig, "cmd/a/ask/wait/-", "", "r", "c1");
    expect_replies(1, "ok", true);
    rig_send(&rig, "rpc/call/relay/a/wait", "", "r", "c1");
    expect_replies(2, "ok", true);
    expect_stats(1, 4, 0);
}
END_TEST

START_TEST(an_error_is_sent_and_replayed)
{
    for (int i = 0; i < 2; i++)
        rig_send(&rig, "cmd/a/quiet/wait/-", "", "r", "c1");
    end("{\"box\":\"a\",\"unknown\":true}");
    expect_replies(2, "outcome_unknown", true);
    rig_send(&rig, "cmd/a/quiet/wait/-", "", "r", "c1");
    expect_replies(3, "outcome_unknown", true);
    ck_assert_str_eq(last_reply()->text,
                     "{\"method\":\"relay/a/wait\",\"err\":\"outcome_unknown\",\"msg\":\"the "
                     "box a was lost\",\"box\":\"a\"}");
    rig_send(&rig, "cmd/a/quiet/refuse/-", "", "r", "c2");
    expect_replies(4, "refused", false);
    rig_send(&rig, "cmd/a/quiet/now/-", "{", "r", "c3");
    expect_replies(5, "parse_error", false);
    expect_stats(2, 5, 0);
}
END_TEST

/* A quiet copy that waits for one that is not, and the other way round. */
START_TEST(each_copy_gets_what_it_asked_for)
{
    rig_send(&rig, "cmd/a/ask/wait/-", "", "r", "c1");
    rig_send(&rig, "cmd/a/quiet/wait/-", "", "q", "c1");
    rig_send(&rig, "cmd/a/quiet/wait/-", "", "q", "c2");
    rig_send(&rig, "cmd/a/ask/wait/-", "", "r", "c2");
    end("{\"box\":\"a\"}");
    ck_assert_uint_eq(rig.host.replies.count, 2);
    for (int i = 0; i < 2; i++)
        ck_assert_str_eq(rig.host.replies.kept[i].topic, "r");
}
END_TEST

/* ---- Ends ---- */

START_TEST(the_sender_goes_away)
{
    rig_send(&rig, "cmd/a/ask/wait/-", "", "r", "c1");
    rig_send(&rig, "cmd/a/quiet/wait/-", "", "r", "c2");
    works_end_client(&rig, HOST_END_SESSION_WAITS);
    ck_assert_uint_eq(engine_counters(rig.engine)->cancelled, 2);
    expect_replies(2, "cancelled", false);
    for (int i = 0; i < 2; i++)
        ck_assert(rig.host.replies.kept[i].to_session);
}
END_TEST

START_TEST(the_sender_and_its_session_go_away)
{
    rig_send(&rig, "cmd/a/ask/wait/-", "", "r", "c1");
    works_end_client(&rig, HOST_END_SESSION_OVER);
    ck_assert_uint_eq(engine_counters(rig.engine)->cancelled, 1);
    ck_assert_uint_eq(rig.host.replies.count, 0);
}
END_TEST

START_TEST(the_engine_stops)
{
    rig_send(&rig, "cmd/a/ask/wait/-", "", "r", "c1");
    engine_stop(rig.engine);
    ck_assert_int_eq(rig_send(&rig, "cmd/a/ask/now/-", "", "r", "c2"), ENGINE_PASS);
    ck_assert_uint_eq(rig.host.replies.count, 0);
}
END_TEST

/* ---- What cannot be adopted ---- */

START_TEST(bridges)
{
    rig.client.bridge = true;
    ck_assert_int_eq(rig_send(&rig, "cmd/a/ask/now/-", "", "r", "c1"), ENGINE_PASS);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    reopen();
    rig.options.bridge_calls = true;
    start_relay();
    rig.client.bridge = true;
    ck_assert_int_eq(rig_send(&rig, "cmd/a/ask/now/-", "", "rpc/reply/x", "c1"), ENGINE_CONSUME);
    expect_replies(1, "ok", false);
    ck_assert_int_eq(rig_send(&rig, "cmd/a/ask/now/-", "", "r", "c2"), ENGINE_PASS);
    ck_assert_uint_eq(rig.host.replies.count, 1);
}
END_TEST

/* A message with a topic that cannot be replied to is not adopted. */
static const char *const wrong_topics[] = {"a/#", "", "$SYS/x", "+"};

START_TEST(wrong_reply_topics)
{
    ck_assert_int_eq(rig_send(&rig, "cmd/a/ask/now/-", "{\"request_id\":\"1\"}", wrong_topics[_i], "c1"),
                     ENGINE_PASS);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(rig.host.events.count, 0);
    expect_stats(0, 0, 1);
}
END_TEST

START_TEST(response_topic_filter)
{
    reopen();
    rig.options.response_topic_filter = "cmd/+/resp/#";
    start_relay();
    rig_send(&rig, "cmd/a/ask/now/-", "", "r", "c1");
    ck_assert_uint_eq(rig.host.replies.count, 0);
    rig.client.version = 4;
    rig_publish(&rig, "cmd/a/ask/now/k7", "");
    expect_replies(1, "ok", false);
}
END_TEST

/* ---- Adoptions that relay.c does not make ---- */

static rpc_adoption adoption;
static rpc_instance *inbox_instance;
static const rpc_message *stale;
static rpc_message last; /* that was received */
static bool is_taken;

static rpc_inbox_verdict receive(rpc_instance *instance, void *state, const rpc_message *message)
{
    (void)state;
    inbox_instance = instance;
    last = *message;
    is_taken = rpc_adopt(instance, stale ? stale : message, &adoption);
    return is_taken ? RPC_INBOX_CONSUME : RPC_INBOX_PASS;
}

static rpc_status adopt_outside(rpc_call *call, void *state, const void *params, void *result)
{
    static const rpc_message message = {.payload = ""};
    (void)state, (void)params, (void)result;
    return rpc_adopt(rpc_call_instance(call), &message, &adoption) ? RPC_INTERNAL_ERROR : RPC_OK;
}

static const rpc_inbox inboxes[] = {{.topic = "in", .doc = "d", .receive = receive}};
static const rpc_method methods[] = {{.name = "outside", .run = adopt_outside}};
static const rpc_module module = {
    .name = "m", .methods = RPC_TABLE(methods), .inboxes = RPC_TABLE(inboxes), .inbox_root = "box"};
static struct lab_options lab_options;

static void start_module(void)
{
    lab_start(&rig, &lab_options, NULL);
    rig_add(&rig, &module, NULL);
    stale = NULL;
    adoption = (rpc_adoption){.method = "bytes", .params = "abcdef", .params_size = 3, .reply_topic = "r"};
}

/* The parameters are a part of a text, and an empty identity is none. */
START_TEST(raw_bytes)
{
    reopen();
    start_module();
    adoption.correlation = "";
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(rig_publish(&rig, "box/in", "x"), ENGINE_CONSUME);
        expect_replies((size_t)i + 1, "ok", false);
        ck_assert_str_eq(last_reply()->text, "{\"n\":3}");
        ck_assert(last_reply()->has_correlation);
        ck_assert_uint_eq(last_reply()->correlation_size, 0);
    }
    adoption.params_size = 0;
    adoption.params = NULL;
    ck_assert_int_eq(rig_publish(&rig, "box/in", "x"), ENGINE_CONSUME);
    ck_assert_str_eq(last_reply()->text, "{\"n\":0}");
}
END_TEST

/* Names that no method has, also those that are a call's of another kind where a client calls. */
static const char *const unknown[] = {"nope", "value/request", "value/response/x", "", "a/+", "#", "a\x01"};

START_TEST(unknown_methods)
{
    reopen();
    start_module();
    adoption.method = unknown[_i];
    ck_assert_int_eq(rig_publish(&rig, "box/in", "x"), ENGINE_CONSUME);
    expect_replies(1, "method_not_found", false);
    reopen();
    rig.options.unknown_methods = UNKNOWN_FORWARD;
    start_module();
    adoption.method = unknown[_i];
    ck_assert_int_eq(rig_publish(&rig, "box/in", "x"), ENGINE_PASS);
    ck_assert_uint_eq(rig.host.replies.count, 0);
}
END_TEST

/* That calls are forwarded to their topics says nothing of messages that are adopted. */
START_TEST(forwarded_calls)
{
    reopen();
    rig.options.forward_calls = true;
    start_module();
    ck_assert_int_eq(rig_publish(&rig, "box/in", "x"), ENGINE_CONSUME);
    expect_replies(1, "ok", false);
}
END_TEST

static char much[65536];

static const struct fault {
    rpc_adoption adoption;
    const char *text;
} faults[] = {
    {{.reply_topic = "r"}, "without a method or a topic for the reply"},
    {{.method = "value"}, "without a method or a topic for the reply"},
    {{.method = "value", .reply_topic = "r", .params_size = 1},
     "with parameters or Correlation Data that are NULL"},
    {{.method = "value", .reply_topic = "r", .correlation_size = 1},
     "with parameters or Correlation Data that are NULL"},
    {{.method = "value", .reply_topic = "r", .correlation = much, .correlation_size = sizeof much},
     "with Correlation Data over 65535 bytes"},
};

START_TEST(wrong_adoptions)
{
    char line[160];
    reopen();
    start_module();
    adoption = faults[_i].adoption;
    ck_assert_int_eq(rig_publish(&rig, "box/in", "x"), ENGINE_PASS);
    snprintf(line, sizeof line, "module m adopts a message %s", faults[_i].text);
    ck_assert(fake_host_logged(&rig.host, line));
    ck_assert_uint_eq(rig.host.replies.count + rig.host.events.count, 0);
}
END_TEST

START_TEST(only_what_is_received_can_be_adopted)
{
    static const rpc_message other = {.payload = "other"};
    reopen();
    start_module();
    rig_expect(&rig, "outside", "", "ok", "{}");
    ck_assert(fake_host_logged(&rig.host, "module m adopts a message which it does not receive now"));
    stale = &other;
    ck_assert_int_eq(rig_publish(&rig, "box/in", "x"), ENGINE_PASS);
    stale = NULL;
    const struct host_message message = rig_message(&rig, "box/in", "x"); /* exists until the end */
    ck_assert_int_eq(rig_receive(rig.engine, &message), ENGINE_CONSUME);
    ck_assert(!rpc_adopt(inbox_instance, &last, &adoption));
    expect_replies(2, "ok", false);
}
END_TEST

UNIT_MAIN("adopt", open_relay, close_rig, {the_sender_gets_the_reply, 0}, {a_sender_of_mqtt_3, 2},
          {the_payload_is_parameters_and_no_more, UNIT_ROWS(payloads)},
          {a_payload_that_is_too_large, UNIT_ROWS(large)}, {the_deadline_of_the_sender, 0}, {rates, 0},
          {duplicates, 0}, {duplicates_of_mqtt_3, 0}, {redeliveries, 0}, {a_success_stays_silent, 0},
          {an_error_is_sent_and_replayed, 0}, {each_copy_gets_what_it_asked_for, 0},
          {the_sender_goes_away, 0}, {the_sender_and_its_session_go_away, 0}, {the_engine_stops, 0},
          {bridges, 0}, {wrong_reply_topics, UNIT_ROWS(wrong_topics)}, {response_topic_filter, 0},
          {raw_bytes, 0}, {unknown_methods, UNIT_ROWS(unknown)}, {forwarded_calls, 0},
          {wrong_adoptions, UNIT_ROWS(faults)}, {only_what_is_received_can_be_adopted, 0})

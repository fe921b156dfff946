// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Limits for one client (docs/clients.md): rate_limit and rate_burst, error_rate, and
 * reply_delivery subscribed, where replies go to subscribers of the client's own topics only.
 */
#include "lab.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;
static struct lab_options options;
static char contexts[4];

static void open_rig(void)
{
    rig_init(&rig);
    rig.options.jsonrpc_methods = "*";
}

static void close_rig(void)
{
    rig_close(&rig);
}

static void start(void)
{
    lab_start(&rig, &options, NULL);
    rig_open_methods(&rig);
}

static void start_limited(uint32_t rate, uint32_t burst)
{
    rig.options.rate_limit = (int32_t)rate;
    rig.options.rate_burst = (int32_t)burst;
    start();
}

static const struct counters *counters(void)
{
    return engine_counters(rig.engine);
}

#define OVER(rate) "more calls than rate_limit allows, which is " rate " a second"
#define LIMITED_TO(rate, method) \
    "{\"method\":\"" method "\",\"err\":\"rate_limited\",\"msg\":\"" OVER(rate) "\"}"
#define LIMITED(method) LIMITED_TO("1", method)

static size_t count_replies(const char *status)
{
    size_t count = 0;
    for (size_t i = 0; i < rig.host.replies.count && i < FAKE_KEPT; i++)
        count += strcmp(rig.host.replies.kept[i].status, status) == 0;
    return count;
}

/* Calls several times at one moment. Returns how many ran; each other call gets an error or no reply. */
static size_t call(int times)
{
    fake_host_forget(&rig.host);
    for (int i = 0; i < times; i++)
        rig_send(&rig, "rpc/call/count", "", "r", NULL);
    const size_t replies = rig.host.replies.count < FAKE_KEPT ? rig.host.replies.count : FAKE_KEPT;
    ck_assert_uint_eq(count_replies("ok") + count_replies("rate_limited"), replies);
    return count_replies("ok");
}

/* ---- rate_limit ---- */

START_TEST(a_burst_and_then_the_rate)
{
    start_limited(5, 8);
    ck_assert_uint_eq(call(20), 8);
    for (int i = 0; i < 5; i++) {
        rig.host.monotonic += RIG_SECOND;
        ck_assert_uint_eq(call(20), 5);
    }
    rig.host.monotonic += RIG_SECOND / 5 - 1;
    ck_assert_uint_eq(call(1), 0);
    rig.host.monotonic += 1;
    ck_assert_uint_eq(call(2), 1);
    rig.host.monotonic += 1000 * RIG_SECOND;
    ck_assert_uint_eq(call(20), 8);
}
END_TEST

START_TEST(no_limit)
{
    start_limited(0, 0);
    ck_assert_uint_eq(call(60), 60);
    ck_assert_uint_eq(counters()->limited, 0);
}
END_TEST

START_TEST(high_limits)
{
    start_limited(1000000, 2000000);
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(call(60), 60);
}
END_TEST

START_TEST(limited_calls_do_not_run)
{
    start_limited(1, 1);
    rig_send(&rig, "rpc/call/count", "", "r", "c");
    rig_send(&rig, "rpc/call/count", "", "r", "c");
    const struct fake_message *reply = rig_last(&rig.host.replies);
    ck_assert_str_eq(reply->text, LIMITED("count"));
    ck_assert_str_eq(reply->status, "rate_limited");
    ck_assert_mem_eq(reply->correlation, "c", 1);
    ck_assert_uint_eq(rig.host.events.count, 1);
    ck_assert_uint_eq(counters()->limited, 1);
    ck_assert_uint_eq(rig.host.line_count, 1);
    ck_assert_str_eq(rig.host.lines[0].text, "rpc: client tester called count: rate_limited: " OVER("1"));
    ck_assert_int_eq(rig.host.lines[0].level, RPC_LOG_WARNING);
}
END_TEST

/* Messages of any kind are limited, before they are parsed. */
static const struct limited {
    const char *topic, *payload, *text; /* text: of the reply to the Response Topic */
} limited[] = {
    {"rpc/call/count", "{", LIMITED("count")},
    {"rpc/call/count", "[]", LIMITED("count")},
    {"rpc/call/look", "", LIMITED("look")},
    {"rpc/batch/count", "[{},{}]", LIMITED("count")},
    {"rpc/batch/count", "1", LIMITED("count")},
    {"rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"count\"}",
     "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"error\":{\"code\":-32003,\"message\":\"" OVER(
         "1") "\",\"data\":" LIMITED("") "}}"},
    {"rpc/jsonrpc", "[{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"count\"}]",
     "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32003,\"message\":\"" OVER(
         "1") "\",\"data\":" LIMITED("") "}}"},
    {"rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"method\":\"count\"}", NULL},
    {"rpc/call/nope", "", LIMITED("nope")},
};

START_TEST(everything_is_limited)
{
    const struct limited *row = &limited[_i];
    start_limited(1, 1);
    rig_tell(&rig, "nothing", "");
    rig_send(&rig, row->topic, row->payload, "r", NULL);
    ck_assert_uint_eq(counters()->limited, 1);
    ck_assert_uint_eq(rig.host.replies.count, row->text ? 1 : 0);
    if (row->text)
        ck_assert_str_eq(rig_last(&rig.host.replies)->text, row->text);
    rig.host.monotonic += 10 * RIG_SECOND;
    rig_expect(&rig, "get", "", "ok", "{\"n\":0}");
}
END_TEST

/* The error is sent a hundred times a second, or ten times as often as the client may call; then nothing is
 * sent. */
START_TEST(limited_replies_are_limited)
{
    start_limited(3, 10);
    ck_assert_uint_eq(call(60), 10);
    ck_assert_uint_eq(rig.host.replies.count, 60);
    ck_assert_uint_eq(call(100), 0);
    ck_assert_uint_eq(rig.host.replies.count, 50);
    ck_assert_uint_eq(call(10), 0);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(counters()->limited, 160);
    rig.host.monotonic += RIG_SECOND;
    ck_assert_uint_eq(call(200), 3);
    ck_assert_uint_eq(rig.host.replies.count, 103);
}
END_TEST

START_TEST(limited_replies_in_proportion)
{
    start_limited(20, 20);
    ck_assert_uint_eq(call(1000), 20);
    ck_assert_uint_eq(rig.host.replies.count, 220);
}
END_TEST

/* Events about limited calls have the same limit. */
START_TEST(limited_events)
{
    start_limited(3, 10);
    for (int i = 0; i < 60; i++)
        rig_tell(&rig, "nothing", "");
    ck_assert_uint_eq(rig.host.events.count, 50);
    rig_expect_error(&rig, LIMITED_TO("3", "nothing"));
}
END_TEST

START_TEST(each_client_has_its_own_bucket)
{
    char id[16];
    start_limited(1, 5);
    for (int i = 0; i < 10; i++) {
        snprintf(id, sizeof id, "client-%d", i);
        rig.client.id = id;
        ck_assert_uint_eq(call(10), 5);
    }
    rig.client.id = "tester";
}
END_TEST

/* A new connection of the client does not refill its bucket. */
START_TEST(connections_share_a_bucket)
{
    start_limited(1, 5);
    for (int i = 1; i < 4; i++) {
        rig.client.connection = &contexts[i];
        rig.client.clean_start = true;
        ck_assert_uint_eq(call(10), i == 1 ? 5 : 0);
        const struct host_ending ending = {
            .id = rig.client.id, .connection = &contexts[i], .kind = HOST_END_SESSION_OVER};
        engine_client_ended(rig.engine, &ending);
        engine_tick(rig.engine);
    }
}
END_TEST

/* A batch runs as a whole, and takes a token for each call. */
START_TEST(batches_pay_for_all)
{
    start_limited(10, 20);
    rig_send(&rig, "rpc/batch/count", "[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]", "r", NULL);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok");
    rig_send(&rig, "rpc/batch/count", "[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]", "r", NULL);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok"); /* five were left, and ten are owed */
    rig.host.monotonic += RIG_SECOND;
    ck_assert_uint_eq(call(1), 0);
    rig.host.monotonic += RIG_SECOND;
    ck_assert_uint_eq(call(20), 10);
}
END_TEST

START_TEST(jsonrpc_batches_pay_for_all)
{
    static const char three[] = "[{\"jsonrpc\":\"2.0\",\"method\":\"count\"},"
                                "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"count\"},1]";
    start_limited(1, 4);
    rig_publish(&rig, "rpc/jsonrpc", three);
    ck_assert_uint_eq(call(5), 1);
}
END_TEST

START_TEST(an_empty_batch_pays_for_one)
{
    start_limited(1, 2);
    rig_send(&rig, "rpc/batch/count", "[]", "r", NULL);
    ck_assert_uint_eq(call(5), 1);
}
END_TEST

/* Duplicates take tokens, too, but never get rate_limited, since the call did run. */
START_TEST(duplicates_pay)
{
    rig.options.duplicate_window = 60000;
    start_limited(1, 3);
    for (int i = 0; i < 10; i++)
        rig_send(&rig, "rpc/call/count", "", "r", "sixteen-bytes-id");
    ck_assert_uint_eq(count_replies("ok"), 10);
    ck_assert_uint_eq(counters()->limited, 7);
    ck_assert_uint_eq(count_replies("rate_limited"), 0);
    ck_assert_uint_eq(engine_counters(rig.engine)->calls, 1);
}
END_TEST

/* ---- error_rate ---- */

START_TEST(announced_errors_are_limited)
{
    rig.options.error_rate = 20;
    start();
    for (int i = 0; i < 60; i++)
        rig_tell(&rig, "value", "{");
    ck_assert_uint_eq(rig.host.events.count, 15);
    ck_assert_uint_eq(counters()->suppressed, 45);
    ck_assert_uint_eq(counters()->errors, 60);
    ck_assert_uint_eq(counters()->events, 15);
    rig.host.monotonic += RIG_SECOND / 2;
    for (int i = 0; i < 60; i++)
        rig_tell(&rig, "value", "{");
    ck_assert_uint_eq(rig.host.events.count, 20);
    /* The limit is for all clients together. */
    char id[16];
    rig.client.id = id;
    for (int i = 0; i < 60; i++) {
        snprintf(id, sizeof id, "%d", i);
        rig_tell(&rig, "value", "{");
    }
    ck_assert_uint_eq(rig.host.events.count, 30);
    rig.client.id = "tester";
}
END_TEST

/* One client alone never suppresses the errors of another one, at any rate and moment. */
static const int32_t error_rates[] = {1, 2, 3, 4, 5, 20, 1000000};

START_TEST(one_client_leaves_errors_to_others)
{
    enum { ROUNDS = 40 };
    rig.options.error_rate = error_rates[_i];
    start();
    for (int i = 0; i < ROUNDS; i++) {
        for (int j = 0; j < 60; j++)
            rig_tell(&rig, "value", "{");
        fake_host_forget(&rig.host);
        rig.client.id = "another";
        rig_tell(&rig, "value", "{");
        ck_assert_uint_eq(rig.host.events.count, 1);
        rig.client.id = "tester";
        for (int j = 0; j < 7; j++) { /* until the other client may have another one */
            rig.host.monotonic += 2 * RIG_SECOND / 7 / (uint64_t)error_rates[_i] + 1;
            rig_tell(&rig, "value", "{");
        }
    }
}
END_TEST

/* Replies, results and unknown methods are not limited by error_rate. */
START_TEST(nothing_else_is_limited)
{
    rig.options.error_rate = 1;
    start();
    for (int i = 0; i < 20; i++) {
        rig_send(&rig, "rpc/call/value", "{", "r", NULL);
        rig_tell(&rig, "count", "");
        rig_tell(&rig, "nope", "");
    }
    ck_assert_uint_eq(rig.host.replies.count, 20);
    ck_assert_uint_eq(rig.host.events.count, 20);
    ck_assert_uint_eq(counters()->suppressed, 0);
}
END_TEST

START_TEST(items_of_batches_are_limited)
{
    rig.options.error_rate = 2;
    start();
    rig_publish(&rig, "rpc/batch/value", "[true,true,true,true]");
    ck_assert_uint_eq(rig.host.events.count, 1);
    ck_assert_uint_eq(counters()->suppressed, 3);
}
END_TEST

/* ---- reply_delivery subscribed ---- */

static void start_subscribed(void)
{
    rig.options.reply_delivery = DELIVERY_SUBSCRIBED;
    start();
}

START_TEST(replies_go_to_the_client_alone)
{
    start();
    rig_send(&rig, "rpc/call/get", "", "r", NULL);
    rig_publish(&rig, "rpc/call/get", "{\"request_id\":\"1\"}");
    for (size_t i = 0; i < 2; i++)
        ck_assert(!rig.host.replies.kept[i].subscribed);
}
END_TEST

static const struct own {
    const char *id, *topic;
    bool fine;
} owns[] = {
    {"tester", "rpc/reply/tester/", true},
    {"tester", "rpc/reply/tester/a", true},
    {"tester", "rpc/reply/tester/a/b", true},
    {"a b", "rpc/reply/a b/c", true},
    {"\xC3\xA4", "rpc/reply/\xC3\xA4/c", true},
    {"$a", "rpc/reply/$a/c", true},
    {"tester", "rpc/reply/tester", false},
    {"tester", "rpc/reply/tester2/a", false},
    {"tester", "rpc/reply/teste/a", false},
    {"tester", "rpc/reply/Tester/a", false},
    {"tester", "rpc/reply/other/tester/a", false},
    {"tester", "rpc/reply//tester/a", false},
    {"tester", "rpc/reply/", false},
    {"tester", "xrpc/reply/tester/a", false},
    {"tester", "reply/here", false},
    {"tester", "rpc/call/count/response/x", false},
    {"tester", "rpc/event/counted", false},
    {"tester", "rpc/reply/tester/#", false},
    {"tester", "rpc/reply/tester/+", false},
    {"", "rpc/reply//a", false},
    {"", "rpc/reply/a", false},
    {"a/b", "rpc/reply/a/b/c", false},
    {"/", "rpc/reply///c", false},
    {"+", "rpc/reply/+/c", false},
    {"#", "rpc/reply/#", false},
    {"a+", "rpc/reply/a+/c", false},
    {"a\x01", "rpc/reply/a\x01/c", false},
};

START_TEST(response_topics_are_the_clients_own)
{
    const struct own *row = &owns[_i];
    start_subscribed();
    rig.client.id = row->id;
    rig_send(&rig, "rpc/call/count", "", row->topic, "c");
    ck_assert_uint_eq(rig.host.replies.count, row->fine ? 1 : 0);
    if (row->fine) {
        ck_assert_str_eq(rig_last(&rig.host.replies)->topic, row->topic);
        ck_assert(rig_last(&rig.host.replies)->subscribed);
        return;
    }
    const bool is_topic = !strpbrk(row->topic, "+#\x01");
    rig_expect_error(&rig, is_topic
                               ? "{\"method\":\"count\",\"err\":\"invalid_request\",\"msg\":\"the call has a "
                                 "Response Topic that is not below the client's own reply topic\"}"
                               : "{\"method\":\"count\",\"err\":\"invalid_request\",\"msg\":\"the call has a "
                                 "Response Topic that cannot be replied to (at most 256 bytes, no +, #, "
                                 "control characters, no $ first)\"}");
    ck_assert_uint_eq(rig.host.events.count, 1); /* it did not run */
}
END_TEST

static const struct below {
    const char *topic, *payload, *reply;
} belows[] = {
    {"rpc/call/get", "{\"request_id\":\"7\"}", "rpc/reply/tester/7"},
    {"rpc/call/get", "{\"request_id\":\"a/b\"}", "rpc/reply/tester/a/b"},
    {"rpc/batch/get", "{\"request_id\":\"7\",\"calls\":[]}", "rpc/reply/tester/7"},
    {"rpc/call/get", "{\"jsonrpc\":\"2.0\",\"id\":\"t:1\",\"method\":\"get\"}", "rpc/reply/tester/t"},
    {"rpc/call/get/request", "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"get\"}", "rpc/reply/tester/5"},
    {"rpc/jsonrpc", "[{\"jsonrpc\":\"2.0\",\"id\":\"t:1\",\"method\":\"get\"}]", "rpc/reply/tester/t"},
    {"rpc/call/nope", "{\"request_id\":\"7\"}", "rpc/reply/tester/7"},
};

START_TEST(tokens_go_below_the_reply_topic)
{
    const struct below *row = &belows[_i];
    start_subscribed();
    rig_publish(&rig, row->topic, row->payload);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, row->reply);
    ck_assert(rig_last(&rig.host.replies)->subscribed);
}
END_TEST

/* A client whose id cannot be a level of a topic has no reply topic. */
START_TEST(ids_that_are_no_level)
{
    static const char *const bad_ids[] = {"", "a/b", "+", "#", "a\n"};
    start_subscribed();
    rig.client.id = bad_ids[_i];
    rig_publish(&rig, "rpc/call/count", "{\"request_id\":\"7\"}");
    rig_publish(&rig, "rpc/call/count", "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"count\"}");
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(rig.host.events.count, 2);
    ck_assert_str_eq(rig_last(&rig.host.events)->topic, "rpc/event/error");
    rig_publish(&rig, "rpc/call/count", "{}"); /* a call that asks for no reply needs no topic */
    rig_expect_event(&rig, "rpc/event/counted", "{\"n\":1}");
}
END_TEST

/* An id of the largest length makes the reply topic too long. */
START_TEST(long_ids)
{
    static char id[65536];
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1 - (size_t)_i * 100] = '\0';
    start_subscribed();
    rig.client.id = id;
    rig_publish(&rig, "rpc/call/count", "{\"request_id\":\"7\"}");
    ck_assert_uint_eq(rig.host.replies.count, (size_t)_i);
    rig.client.id = "tester";
}
END_TEST

static const struct guarded {
    const char *topic;
    bool subscribed;
    enum engine_verdict verdict;
} guarded[] = {
    {"rpc/reply/tester/x", true, ENGINE_REFUSE},
    {"rpc/reply/other/x", true, ENGINE_REFUSE},
    {"rpc/reply", true, ENGINE_REFUSE},
    {"rpc/reply/", true, ENGINE_REFUSE},
    {"rpc/replyx/tester", true, ENGINE_PASS},
    {"rpc/reply/tester/x", false, ENGINE_PASS},
    {"rpc/call/count/response/x", true, ENGINE_REFUSE},
};

START_TEST(clients_may_not_publish_replies)
{
    const struct guarded *row = &guarded[_i];
    rig.options.reply_delivery = row->subscribed ? DELIVERY_SUBSCRIBED : DELIVERY_CLIENT;
    start();
    ck_assert_int_eq(rig_publish(&rig, row->topic, "{}"), row->verdict);
    ck_assert_int_eq(rig_serves(rig.engine, row->topic), row->verdict == ENGINE_REFUSE);
    ck_assert_uint_eq(counters()->refused, row->verdict == ENGINE_REFUSE ? 1 : 0);
    rig.client.bridge = true;
    ck_assert_int_eq(rig_publish(&rig, row->topic, "{}"), ENGINE_PASS);
}
END_TEST

UNIT_MAIN("limits", open_rig, close_rig, {a_burst_and_then_the_rate, 0}, {no_limit, 0}, {high_limits, 0},
          {limited_calls_do_not_run, 0}, {everything_is_limited, UNIT_ROWS(limited)},
          {limited_replies_are_limited, 0}, {limited_replies_in_proportion, 0}, {limited_events, 0},
          {each_client_has_its_own_bucket, 0}, {connections_share_a_bucket, 0}, {batches_pay_for_all, 0},
          {jsonrpc_batches_pay_for_all, 0}, {an_empty_batch_pays_for_one, 0}, {duplicates_pay, 0},
          {announced_errors_are_limited, 0}, {nothing_else_is_limited, 0}, {items_of_batches_are_limited, 0},
          {one_client_leaves_errors_to_others, UNIT_ROWS(error_rates)}, {replies_go_to_the_client_alone, 0},
          {response_topics_are_the_clients_own, UNIT_ROWS(owns)},
          {tokens_go_below_the_reply_topic, UNIT_ROWS(belows)}, {ids_that_are_no_level, 5}, {long_ids, 2},
          {clients_may_not_publish_replies, UNIT_ROWS(guarded)})

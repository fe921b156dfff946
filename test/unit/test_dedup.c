// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/dedup/dedup.c in an engine (docs/clients.md): which messages run only
 * once, what the reply to a redelivered or repeated call is, and when a call is not recognised.
 */
#include "lab.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rig rig;
static struct lab_options options;
static char contexts[10]; /* their addresses stand for connections */

#define LONG_ID "sixteen-bytes-id" /* long enough to be valid beyond its session */
#define COUNT "rpc/call/count"

static void open_rig(void)
{
    rig_init(&rig);
    rig.client.connection = &contexts[1];
    rig.options.duplicate_window = 60000;
    rig.options.jsonrpc_methods = "*";
}

static void close_rig(void)
{
    rig_close(&rig);
}

static void start(rpc_handler act)
{
    lab_start(&rig, &options, act);
    rig_open_methods(&rig);
}

static const struct fake_message *nth_reply(size_t place)
{
    ck_assert_uint_gt(rig.host.replies.count, place);
    return &rig.host.replies.kept[place];
}

static void expect_text(const char *text)
{
    ck_assert_str_eq(rig_last(&rig.host.replies)->text, text);
}

static uint64_t duplicates(void)
{
    return engine_counters(rig.engine)->duplicates;
}

static int runs(void)
{
    const int qos = rig.qos;
    rig.qos = 1; /* not guarded */
    const struct fake_message *reply = rig_ask(&rig, "get", "");
    rig.qos = qos;
    return atoi(reply->text + strlen("{\"n\":"));
}

static void end(const void *connection, enum host_end kind, bool clean_start, bool in_order)
{
    const struct host_ending ending = {.id = rig.client.id,
                                       .connection = connection,
                                       .kind = kind,
                                       .clean_start = clean_start,
                                       .in_order = in_order};
    engine_client_ended(rig.engine, &ending);
}

/* The connection is cut, and a new one takes up the session. */
static void reconnect(void)
{
    end(rig.client.connection, HOST_END_SESSION_WAITS, false, false);
    end(rig.client.connection, HOST_END_TAKEN_OVER, false, false);
    rig.client.connection = rig.client.connection == &contexts[1] ? &contexts[2] : &contexts[1];
}

/* ---- Which calls are duplicates ---- */

START_TEST(duplicates_get_the_cached_reply)
{
    start(NULL);
    rig_send(&rig, COUNT, "{\"a\":1}", "r", LONG_ID);
    rig_send(&rig, COUNT, "{\"a\":1}", "r", LONG_ID);
    rig_send(&rig, COUNT, "{\"a\":1}", "r", LONG_ID);
    ck_assert_uint_eq(rig.host.replies.count, 3);
    ck_assert_uint_eq(rig.host.events.count, 1);
    for (size_t i = 0; i < 3; i++) {
        const struct fake_message *reply = nth_reply(i);
        ck_assert_str_eq(reply->text, "{\"n\":1}");
        ck_assert_str_eq(reply->status, "ok");
        ck_assert_int_eq(reply->repeated, i > 0);
        ck_assert_str_eq(reply->topic, "r");
        ck_assert_str_eq(reply->client, "tester");
        ck_assert_int_eq(reply->qos, 1);
        ck_assert_uint_eq(reply->expiry, 60);
        ck_assert_uint_eq(reply->correlation_size, 16);
        ck_assert_mem_eq(reply->correlation, LONG_ID, 16);
    }
    ck_assert_uint_eq(duplicates(), 2);
    ck_assert_uint_eq(engine_counters(rig.engine)->calls, 1);
    ck_assert_int_eq(runs(), 1);
}
END_TEST

/* The reply to a duplicate goes to its own Response Topic, at its own QoS. */
START_TEST(duplicates_have_their_own_response_topic)
{
    start(NULL);
    rig.qos = 2;
    rig_send(&rig, COUNT, "", "first", LONG_ID);
    rig.qos = 0;
    rig_send(&rig, COUNT, "", "second", LONG_ID);
    ck_assert_str_eq(nth_reply(0)->topic, "first");
    ck_assert_str_eq(nth_reply(1)->topic, "second");
    ck_assert_int_eq(nth_reply(0)->qos, 2);
    ck_assert_int_eq(nth_reply(1)->qos, 0);
    ck_assert_str_eq(nth_reply(1)->text, "{\"n\":1}");
}
END_TEST

static const struct other {
    const char *client, *topic, *payload, *correlation;
    bool same;
} others[] = {
    {"tester", COUNT, "{}", LONG_ID, true},
    {"teste", COUNT, "{}", LONG_ID, false},
    {"Tester", COUNT, "{}", LONG_ID, false},
    {"", COUNT, "{}", LONG_ID, false},
    {"tester", COUNT "/request", "{}", LONG_ID, false},
    {"tester", "rpc/call/nothing", "{}", LONG_ID, false},
    {"tester", COUNT, "{ }", LONG_ID, false},
    {"tester", COUNT, "", LONG_ID, false},
    {"tester", COUNT, "{}", LONG_ID "2", false},
    {"tester", COUNT, "{}", "Sixteen-bytes-id", false},
    {"tester", COUNT, "{}", "short", false},
    {"tester", COUNT, "{}", "", false},
    {"tester", COUNT, "{}", NULL, false},
};

START_TEST(other_calls_run)
{
    const struct other *other = &others[_i];
    start(NULL);
    rig_send(&rig, COUNT, "{}", "r", LONG_ID);
    rig.client.id = other->client;
    rig_send(&rig, other->topic, other->payload, "r", other->correlation);
    ck_assert_uint_eq(rig.host.replies.count, 2);
    ck_assert_uint_eq(duplicates(), other->same ? 1 : 0);
    rig.client.id = "tester";
}
END_TEST

/* The identity includes where one part ends and the next begins. */
START_TEST(parts_are_not_run_together)
{
    start(NULL);
    rig_send(&rig, "rpc/call/bytes", "payload", "r", LONG_ID);
    rig_send(&rig, "rpc/call/bytes", "dpayload", "r", "sixteen-bytes-i");
    rig.client.id = "testerr";
    rig_send(&rig, "pc/call/bytes", "payload", "r", LONG_ID);
    ck_assert_uint_eq(duplicates(), 0);
    rig.client.id = "tester";
}
END_TEST

/* Two large messages that differ in the last byte only are two calls. */
START_TEST(large_messages)
{
    char payload[4000];
    start(NULL);
    memset(payload, ' ', sizeof payload);
    memcpy(payload, "{}", 2);
    payload[sizeof payload - 1] = '\0';
    rig_send(&rig, COUNT, payload, "r", LONG_ID);
    rig_send(&rig, COUNT, payload, "r", LONG_ID);
    ck_assert_int_eq(runs(), 1);
    payload[sizeof payload - 2] = '\n';
    rig_send(&rig, COUNT, payload, "r", LONG_ID);
    ck_assert_int_eq(runs(), 2);
}
END_TEST

START_TEST(the_window)
{
    start(NULL);
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    rig.host.monotonic += 60 * RIG_SECOND;
    engine_tick(rig.engine);
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    expect_text("{\"n\":1}");
    rig.host.monotonic += 1;
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    expect_text("{\"n\":2}");
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    expect_text("{\"n\":2}");
    rig.host.monotonic += 61 * RIG_SECOND;
    engine_tick(rig.engine);
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    expect_text("{\"n\":3}");
}
END_TEST

START_TEST(without_a_window_everything_runs)
{
    rig.options.duplicate_window = 0;
    start(NULL);
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    ck_assert_int_eq(runs(), 2);
    ck_assert_uint_eq(duplicates(), 0);
}
END_TEST

/* Calls without an identity, or without a request for a reply. */
START_TEST(calls_without_an_identity_run)
{
    start(NULL);
    for (int i = 0; i < 2; i++) {
        rig_send(&rig, COUNT, "", "r", NULL);
        rig_send(&rig, COUNT, "", "r", "");
        rig_send(&rig, COUNT, "", NULL, LONG_ID);
        rig_publish(&rig, COUNT, "{\"request_id\":\"\"}");
    }
    ck_assert_int_eq(runs(), 8);
    ck_assert_uint_eq(duplicates(), 0);
}
END_TEST

START_TEST(read_only_methods_run)
{
    start(NULL);
    for (int i = 0; i < 3; i++)
        rig_send(&rig, "rpc/call/look", "", "r", LONG_ID);
    expect_text("{\"n\":3}");
    for (int i = 0; i < 2; i++)
        rig_send(&rig, "rpc/batch/look", "[{}]", "r", LONG_ID);
    expect_text("[{\"result\":{\"n\":5}}]");
    for (int i = 0; i < 2; i++)
        rig_publish(&rig, "rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"id\":\"" LONG_ID "\",\"method\":\"look\"}");
    ck_assert_uint_eq(duplicates(), 0);
}
END_TEST

/* Calls of unknown methods and malformed calls are not recorded. */
START_TEST(calls_that_cannot_run_are_not_recorded)
{
    start(NULL);
    for (int i = 0; i < 2; i++) {
        rig_send(&rig, "rpc/call/nope", "", "r", LONG_ID);
        rig_send(&rig, COUNT, "{", "r", LONG_ID);
    }
    ck_assert_uint_eq(rig.host.replies.count, 4);
    ck_assert_uint_eq(duplicates(), 0);
}
END_TEST

/* ---- Identities ---- */

static const struct identity {
    const char *topic, *payload;
} identities[] = {
    {COUNT, "{\"request_id\":\"1234567890123456\"}"},
    {COUNT, "{\"request_id\":\"1\"}"},
    {COUNT, "{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":\"abc:1\"}"},
    {COUNT, "{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":7}"},
    {COUNT, "{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":12345678901234567890}"},
    {COUNT "/request", "{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":\"abc:1\"}"},
    {"rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":\"abc:1\"}"},
    {"rpc/jsonrpc", "[{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":\"abc:1\"}]"},
    {"rpc/jsonrpc", "[{\"jsonrpc\":\"2.0\",\"method\":\"look\",\"id\":\"abc:1\"},"
                    "{\"jsonrpc\":\"2.0\",\"method\":\"count\"}]"},
    {"rpc/jsonrpc", "[{\"jsonrpc\":\"2.0\",\"method\":\"count\"},"
                    "{\"jsonrpc\":\"2.0\",\"method\":\"look\",\"id\":5}]"},
    {"rpc/batch/count", "{\"request_id\":\"x\",\"calls\":[{}]}"},
};

START_TEST(identities_in_the_payload)
{
    const struct identity *row = &identities[_i];
    start(NULL);
    for (int i = 0; i < 3; i++)
        rig_publish(&rig, row->topic, row->payload);
    ck_assert_uint_eq(duplicates(), 2);
    ck_assert_uint_eq(rig.host.replies.count, 3);
    for (size_t i = 1; i < 3; i++) {
        ck_assert_str_eq(nth_reply(i)->text, nth_reply(0)->text);
        ck_assert_str_eq(nth_reply(i)->topic, nth_reply(0)->topic);
        ck_assert_str_eq(nth_reply(i)->status, nth_reply(0)->status);
    }
    ck_assert_int_eq(runs(), 1);
}
END_TEST

/* An id that is null identifies nothing. */
START_TEST(null_is_no_identity)
{
    start(NULL);
    for (int i = 0; i < 2; i++)
        rig_publish(&rig, COUNT, "{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":null}");
    ck_assert_int_eq(runs(), 2);
}
END_TEST

START_TEST(batches_are_one_message)
{
    start(NULL);
    rig_send(&rig, "rpc/batch/count", "[{},{},5]", "r", LONG_ID);
    rig_send(&rig, "rpc/batch/count", "[{},{},5]", "r", LONG_ID);
    ck_assert_uint_eq(rig.host.replies.count, 2);
    ck_assert_str_eq(nth_reply(0)->text, nth_reply(1)->text);
    ck_assert_uint_eq(rig.host.events.count, 2);
    ck_assert_int_eq(runs(), 2);
}
END_TEST

/* A notification asks for no reply, so that it has no identity, even with Correlation Data. */
START_TEST(notifications)
{
    start(NULL);
    for (int i = 0; i < 3; i++)
        rig_send(&rig, COUNT, "{\"jsonrpc\":\"2.0\",\"method\":\"count\"}", "r", LONG_ID);
    for (int i = 0; i < 3; i++)
        rig_send(&rig, COUNT, "[{\"jsonrpc\":\"2.0\",\"method\":\"count\"}]", "r", LONG_ID);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_int_eq(runs(), 6);
}
END_TEST

/* ---- Errors ---- */

static rpc_status next_status;
static int acted;

static rpc_status fail_with_status(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    acted++;
    return next_status == RPC_RAISED ? rpc_raise(call, "plain", "number %d", acted) : next_status;
}

/* Error replies are cached, except those of calls that were refused and did not run. */
START_TEST(errors_are_cached)
{
    next_status = (rpc_status)(_i + 1);
    const bool again = next_status == RPC_OVERLOADED || next_status == RPC_RATE_LIMITED;
    start(fail_with_status);
    rig_send(&rig, "rpc/call/act", "", "r", LONG_ID);
    rig_send(&rig, "rpc/call/act", "", "r", LONG_ID);
    ck_assert_int_eq(acted, again ? 2 : 1);
    ck_assert_uint_eq(rig.host.replies.count, 2);
    ck_assert_str_eq(nth_reply(0)->status, nth_reply(1)->status);
    ck_assert_str_eq(nth_reply(0)->text, nth_reply(1)->text);
}
END_TEST

START_TEST(rate_limited_replies_are_not_cached)
{
    rig.options.rate_limit = rig.options.rate_burst = 1;
    start(NULL);
    rig_send(&rig, COUNT, "", "r", "another-identity");
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "rate_limited");
    rig.host.monotonic += 5 * RIG_SECOND;
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    expect_text("{\"n\":2}");
}
END_TEST

/* ---- Short identities ---- */

START_TEST(short_identities_end_with_the_session)
{
    static const char *const correlations[] = {"1", "fifteen-bytes-i", LONG_ID};
    start(NULL);
    rig_send(&rig, COUNT, "", "r", correlations[_i]);
    rig_send(&rig, COUNT, "", "r", correlations[_i]);
    ck_assert_uint_eq(duplicates(), 1);
    end(&contexts[1], HOST_END_SESSION_OVER, false, false);
    rig.client.connection = &contexts[2];
    rig_send(&rig, COUNT, "", "r", correlations[_i]);
    ck_assert_uint_eq(duplicates(), _i == 2 ? 2 : 1);
}
END_TEST

START_TEST(short_identities_live_with_the_session)
{
    start(NULL);
    rig_send(&rig, COUNT, "", "r", "1");
    reconnect();
    rig_send(&rig, COUNT, "", "r", "1");
    ck_assert_uint_eq(duplicates(), 1);
    /* Taken over before the host has reported the end of the last one. */
    rig.client.connection = &contexts[3];
    rig_send(&rig, COUNT, "", "r", "1");
    ck_assert_uint_eq(duplicates(), 2);
    end(&contexts[2], HOST_END_TAKEN_OVER, false, false);
    rig_send(&rig, COUNT, "", "r", "1");
    ck_assert_uint_eq(duplicates(), 3);
    /* In a new session the same identity is another call. */
    rig.client.connection = &contexts[4];
    rig.client.clean_start = true;
    rig_send(&rig, COUNT, "", "r", "1");
    ck_assert_uint_eq(duplicates(), 3);
    expect_text("{\"n\":2}");
}
END_TEST

/* The same holds for a short request_id. */
START_TEST(short_request_ids)
{
    start(NULL);
    rig.client.version = 4;
    rig.client.clean_start = true;
    rig_publish(&rig, COUNT, "{\"request_id\":\"1\"}");
    end(&contexts[1], HOST_END_UNKNOWN, true, false);
    rig.client.connection = &contexts[2];
    rig_publish(&rig, COUNT, "{\"request_id\":\"1\"}");
    expect_text("{\"request_id\":\"1\",\"result\":{\"n\":2}}");
}
END_TEST

/* ---- While the first call still runs ---- */

static void (*meanwhile)(void); /* what happens while act runs for the first time */

static rpc_status run_meanwhile(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    if (++acted == 1 && meanwhile)
        meanwhile();
    ((struct lab_text *)result)->text = rpc_printf(call, "run %d", acted);
    return RPC_OK;
}

static void send_duplicate(void)
{
    rig_send(&rig, "rpc/call/act", "", "second", LONG_ID);
    rig.qos = 2;
    rig_send(&rig, "rpc/call/act", "", "third", LONG_ID);
    ck_assert_uint_eq(rig.host.replies.count, 0);
}

START_TEST(duplicates_wait_for_the_first)
{
    static const char *const topics[] = {"first", "second", "third"};
    meanwhile = send_duplicate;
    start(run_meanwhile);
    rig_send(&rig, "rpc/call/act", "", "first", LONG_ID);
    ck_assert_int_eq(acted, 1);
    ck_assert_uint_eq(rig.host.replies.count, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_eq(nth_reply(i)->topic, topics[i]);
        ck_assert_str_eq(nth_reply(i)->text, "{\"text\":\"run 1\"}");
        ck_assert_str_eq(nth_reply(i)->status, "ok");
        ck_assert_str_eq(nth_reply(i)->client, "tester");
        ck_assert_mem_eq(nth_reply(i)->correlation, LONG_ID, 16);
        ck_assert_int_eq(nth_reply(i)->qos, i == 2 ? 2 : 1);
    }
    ck_assert_uint_eq(duplicates(), 2);
}
END_TEST

static void send_many_duplicates(void)
{
    for (int i = 0; i < 100; i++)
        rig_send(&rig, "rpc/call/act", "", "again", LONG_ID);
}

/* A hundred duplicates of a call that runs take no more memory than sixteen. */
START_TEST(waiting_duplicates_are_bounded)
{
    meanwhile = send_many_duplicates;
    start(run_meanwhile);
    rig_send(&rig, "rpc/call/act", "", "first", LONG_ID);
    ck_assert_int_eq(acted, 1);
    ck_assert_uint_eq(rig.host.replies.count, 17);
    ck_assert_uint_eq(duplicates(), 100);
}
END_TEST

static void send_duplicate_and_end(void)
{
    send_duplicate();
    rig.client.connection = &contexts[2];
    rig_send(&rig, "rpc/call/act", "", "fourth", LONG_ID);
    end(&contexts[1], HOST_END_TAKEN_OVER, false, false);
}

/* The end of a connection ends the wait of its duplicates, and not of those from another connection. */
START_TEST(waiting_ends_with_the_connection)
{
    meanwhile = send_duplicate_and_end;
    start(run_meanwhile);
    rig_send(&rig, "rpc/call/act", "", "first", LONG_ID);
    ck_assert_int_eq(acted, 1);
    ck_assert_uint_eq(rig.host.replies.count, 2);
    ck_assert_str_eq(nth_reply(0)->topic, "first");
    ck_assert_str_eq(nth_reply(1)->topic, "fourth");
}
END_TEST

static void end_session(void)
{
    rig_send(&rig, "rpc/call/act", "", "second", "short");
    end(&contexts[1], HOST_END_SESSION_OVER, true, false);
    rig.client.connection = &contexts[2];
    rig_send(&rig, "rpc/call/act", "", "third", "short");
}

/* In the next session the same call is another one, even while the first still runs. */
START_TEST(sessions_may_end_meanwhile)
{
    meanwhile = end_session;
    start(run_meanwhile);
    rig_send(&rig, "rpc/call/act", "", "first", "short");
    ck_assert_int_eq(acted, 2);
    ck_assert_str_eq(nth_reply(0)->topic, "third");
    ck_assert_str_eq(nth_reply(1)->topic, "first");
    ck_assert_uint_eq(rig.host.replies.count, 2);
    rig_send(&rig, "rpc/call/act", "", "fourth", "short");
    expect_text("{\"text\":\"run 2\"}");
    ck_assert_int_eq(acted, 2);
}
END_TEST

static rpc_status wait_and_fail(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    if (++acted == 1)
        rig_send(&rig, "rpc/call/act", "", "second", LONG_ID);
    return rpc_raise(call, next_status == RPC_RAISED ? "plain" : "overloaded", "%s", "no");
}

/* Waiting duplicates also get an error, even one that is not cached. */
START_TEST(waiting_for_an_error)
{
    next_status = _i ? RPC_OVERLOADED : RPC_RAISED;
    start(wait_and_fail);
    rig_send(&rig, "rpc/call/act", "", "first", LONG_ID);
    ck_assert_int_eq(acted, 1);
    ck_assert_uint_eq(rig.host.replies.count, 2);
    ck_assert_str_eq(nth_reply(1)->topic, "second");
    ck_assert_str_eq(nth_reply(1)->status, _i ? "overloaded" : "plain");
    ck_assert_str_eq(nth_reply(1)->text, nth_reply(0)->text);
}
END_TEST

/* ---- Bounds ---- */

static int depth;

static rpc_status nest(rpc_call *call, void *state, const void *params, void *result)
{
    char correlation[32];
    (void)call, (void)state, (void)params, (void)result;
    if (++depth > 4)
        return RPC_OK;
    snprintf(correlation, sizeof correlation, "sixteen-bytes-%02d", depth);
    rig_send(&rig, "rpc/call/act", "", "nested", correlation);
    return RPC_OK;
}

/* When all entries are calls that still run, further calls with an identity are refused. */
START_TEST(a_table_full_of_unfinished_calls)
{
    rig.options.duplicate_entries = 3;
    start(nest);
    rig_send(&rig, "rpc/call/act", "", "outer", LONG_ID);
    ck_assert_int_eq(depth, 3);
    ck_assert_uint_eq(rig.host.replies.count, 4);
    ck_assert_str_eq(nth_reply(0)->status, "overloaded");
    ck_assert_str_eq(nth_reply(0)->text,
                     "{\"method\":\"act\",\"err\":\"overloaded\",\"msg\":\"no room (see "
                     "duplicate_entries) or no memory to keep the call from being carried out twice\"}");
    for (size_t i = 1; i < 4; i++)
        ck_assert_str_eq(nth_reply(i)->status, "ok");
    /* All calls that ran are recognised. */
    fake_host_forget(&rig.host);
    rig_send(&rig, "rpc/call/act", "", "outer", LONG_ID);
    ck_assert_int_eq(depth, 3);
    ck_assert_uint_eq(duplicates(), 1);
    ck_assert_str_eq(nth_reply(0)->status, "ok");
}
END_TEST

/* Calls without an identity need no entry. */
static rpc_status nest_plainly(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params, (void)result;
    if (++depth < 10)
        rig_send(&rig, "rpc/call/act", "", "nested", NULL);
    return RPC_OK;
}

START_TEST(others_run_in_a_full_table)
{
    rig.options.duplicate_entries = 1;
    rig.options.redelivery_guard = 10000;
    rig.qos = 2;
    start(nest_plainly);
    rig_send(&rig, "rpc/call/act", "", "outer", NULL);
    ck_assert_int_eq(depth, 10);
    ck_assert_uint_eq(rig.host.replies.count, 10);
}
END_TEST

START_TEST(the_oldest_is_evicted)
{
    char correlation[32];
    rig.options.duplicate_entries = 3;
    start(NULL);
    for (int i = 0; i < 4; i++) {
        snprintf(correlation, sizeof correlation, "sixteen-bytes-%02d", i);
        rig_send(&rig, COUNT, "", "r", correlation);
    }
    rig_send(&rig, COUNT, "", "r", "sixteen-bytes-01");
    expect_text("{\"n\":2}");
    rig_send(&rig, COUNT, "", "r", "sixteen-bytes-00");
    expect_text("{\"n\":5}");
}
END_TEST

static rpc_status write_much(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    acted++;
    ((struct lab_text *)result)->text = rpc_printf(call, "%0500d", acted);
    return RPC_OK;
}

/* Two replies do not fit: the first is evicted. A reply that does not fit alone is not cached. */
START_TEST(bytes_are_bounded)
{
    rig.options.duplicate_bytes = _i ? 400 : 1000;
    start(write_much);
    rig_send(&rig, "rpc/call/act", "", "r", "sixteen-bytes-01");
    rig_send(&rig, "rpc/call/act", "", "r", "sixteen-bytes-02");
    rig_send(&rig, "rpc/call/act", "", "r", "sixteen-bytes-02");
    ck_assert_int_eq(acted, _i ? 3 : 2);
    rig_send(&rig, "rpc/call/act", "", "r", "sixteen-bytes-01");
    ck_assert_int_eq(acted, _i ? 4 : 3);
    ck_assert_uint_eq(rig.host.replies.count, 4);
}
END_TEST

/* A reply that could not be sent is cached for a duplicate. */
START_TEST(dropped_replies_are_cached)
{
    start(NULL);
    rig.host.drop = true;
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    rig.host.drop = false;
    ck_assert_uint_eq(rig.host.replies.count, 0);
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    expect_text("{\"n\":1}");
}
END_TEST

START_TEST(many_identities)
{
    char correlation[32];
    rig.options.duplicate_entries = 1000;
    start(NULL);
    for (int i = 0; i < 200000; i++) {
        snprintf(correlation, sizeof correlation, "%020d", i);
        rig_send(&rig, COUNT, "", "r", _i ? correlation : correlation + 10);
        if (i % 1000 == 0)
            fake_host_forget(&rig.host);
    }
    ck_assert_uint_eq(duplicates(), 0);
    rig_send(&rig, COUNT, "", "r", _i ? correlation : correlation + 10);
    ck_assert_uint_eq(duplicates(), 1);
}
END_TEST

/* ---- The redelivery guard ---- */

static void open_guard(rpc_handler act)
{
    rig.options.redelivery_guard = 10000;
    rig.qos = 2;
    start(act);
}

static void send_at(int qos, const char *topic, const char *payload)
{
    rig.qos = qos;
    rig_publish(&rig, topic, payload);
    rig.qos = 2;
}

/* Calls count; the payload distinguishes the calls. Returns whether it ran. */
static bool call(const char *payload)
{
    const size_t before = rig.host.events.count;
    rig_tell(&rig, "count", payload);
    return rig.host.events.count > before &&
           strcmp(rig_last(&rig.host.events)->topic, "rpc/event/counted") == 0;
}

START_TEST(redeliveries_in_order)
{
    open_guard(NULL);
    ck_assert(call("{\"a\":1}"));
    ck_assert(call("{\"a\":2}"));
    ck_assert(call("{\"a\":1}"));
    reconnect();
    ck_assert(!call("{\"a\":1}"));
    ck_assert(!call("{\"a\":2}"));
    ck_assert(!call("{\"a\":1}"));
    ck_assert(call("{\"a\":1}"));
    ck_assert_uint_eq(duplicates(), 3);
}
END_TEST

/* On the same connection there are no redeliveries. */
START_TEST(no_redelivery_on_one_connection)
{
    open_guard(NULL);
    ck_assert(call("{}"));
    ck_assert(call("{}"));
    ck_assert_int_eq(runs(), 2);
}
END_TEST

START_TEST(the_first_mismatch_ends_the_guard)
{
    open_guard(NULL);
    call("{\"a\":1}");
    call("{\"a\":2}");
    reconnect();
    ck_assert(!call("{\"a\":1}"));
    ck_assert(call("{\"a\":3}"));
    ck_assert(call("{\"a\":2}"));
}
END_TEST

/* A malformed call that is new ends the guard, too: after a new message there are no redeliveries. */
START_TEST(malformed_calls_end_the_guard)
{
    static const struct {
        const char *topic, *payload, *response_topic;
    } malformed[] = {{COUNT, "{not json", "r"},
                     {COUNT, "{}", "a/#"},
                     {"rpc/batch/count", "{}", "r"},
                     {"rpc/jsonrpc", "[]", "r"},
                     {"rpc/call/nope", "{", "r"}};
    open_guard(NULL);
    call("{\"a\":1}");
    reconnect();
    rig_send(&rig, malformed[_i].topic, malformed[_i].payload, malformed[_i].response_topic, NULL);
    ck_assert(call("{\"a\":1}"));
}
END_TEST

/* The redelivery of a malformed call does not end the guard. */
START_TEST(malformed_calls_are_in_the_order)
{
    open_guard(NULL);
    rig_send(&rig, COUNT, "{not json", "r", NULL);
    call("{\"a\":1}");
    reconnect();
    rig_send(&rig, COUNT, "{not json", "r", NULL);
    ck_assert(!call("{\"a\":1}"));
    ck_assert_uint_eq(rig.host.replies.count, 2);
}
END_TEST

/* A call whose identity was evicted is still recognised by its position in the order. */
START_TEST(identities_are_guarded_too)
{
    rig.options.duplicate_entries = 2;
    open_guard(NULL);
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    rig.client.id = "another";
    for (int i = 0; i < 3; i++) {
        char correlation[20];
        snprintf(correlation, sizeof correlation, "another's-number-%d", i);
        rig.qos = 0;
        rig_send(&rig, COUNT, "", "r", correlation);
        rig.qos = 2;
    }
    rig.client.id = "tester";
    reconnect();
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    ck_assert_str_eq(rig_last(&rig.host.replies)->text, "{\"n\":1}");
    ck_assert_int_eq(runs(), 4);
}
END_TEST

/* A host that cannot tell how a connection ended: only a quick reconnect is taken for a cut connection. */
START_TEST(reconnects_that_come_late)
{
    open_guard(NULL);
    rig.client.version = 4;
    call("{\"a\":1}");
    end(rig.client.connection, HOST_END_UNKNOWN, false, false);
    rig.host.monotonic += (_i ? 31 : 29) * RIG_SECOND;
    rig.client.connection = &contexts[2];
    ck_assert_int_eq(call("{\"a\":1}"), _i);
}
END_TEST

/* A call that comes long after the reconnect is no redelivery. */
START_TEST(redeliveries_that_come_late)
{
    open_guard(NULL);
    call("{\"a\":1}");
    call("{\"a\":2}");
    reconnect();
    ck_assert(!call("{\"a\":1}"));
    rig.host.monotonic += (_i ? 31 : 29) * RIG_SECOND;
    ck_assert_int_eq(call("{\"a\":2}"), _i);
}
END_TEST

/* A recognised call is not recorded again: a new call that equals it runs after some time. */
START_TEST(recognised_calls_are_not_recorded_again)
{
    open_guard(NULL);
    ck_assert(call("{}"));
    for (int i = 0; i < 5; i++) {
        rig.host.monotonic += 6 * RIG_SECOND;
        reconnect();
        ck_assert_int_eq(call("{}"), i == 1 || i == 3);
    }
}
END_TEST

/* A reply that is too large to be cached does not end the guard for the calls behind it. */
START_TEST(large_replies_are_in_the_order)
{
    rig.options.duplicate_bytes = 20;
    open_guard(NULL);
    rig_send(&rig, "rpc/batch/count", "[{},{},{},{}]", "r", NULL);
    ck_assert(call("{\"a\":1}"));
    reconnect();
    rig_send(&rig, "rpc/batch/count", "[{},{},{},{}]", "r", NULL);
    ck_assert(!call("{\"a\":1}"));
    ck_assert_int_eq(runs(), 5);
}
END_TEST

/* A call that is recognised by its identity gets the cached reply. */
START_TEST(recognised_both_ways)
{
    open_guard(NULL);
    rig.qos = 1;
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    rig.qos = 2;
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    reconnect();
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    ck_assert_uint_eq(rig.host.replies.count, 3);
    ck_assert_str_eq(nth_reply(2)->text, "{\"n\":1}");
    ck_assert_int_eq(runs(), 1);
}
END_TEST

/* Redeliveries count towards rate_limit, too. */
START_TEST(redeliveries_pay)
{
    rig.options.rate_limit = rig.options.rate_burst = 1;
    open_guard(NULL);
    call("{}");
    for (int i = 0; i < 300; i++) {
        reconnect();
        rig_send(&rig, COUNT, "{}", NULL, NULL);
    }
    ck_assert_uint_eq(engine_counters(rig.engine)->limited, 300);
    ck_assert_uint_eq(duplicates(), 100);
    ck_assert_uint_eq(engine_counters(rig.engine)->calls, 1);
    ck_assert_uint_eq(rig.host.line_count, 10); /* of the 200 that were dropped, as the limit lets through */
    ck_assert_ptr_nonnull(strstr(rig.host.lines[9].text, "called count: rate_limited: "));
}
END_TEST

/* A redelivery without an identity gets the first call's reply. */
START_TEST(redeliveries_get_a_reply)
{
    open_guard(NULL);
    rig_send(&rig, COUNT, "", "r", NULL);
    reconnect();
    rig_send(&rig, COUNT, "", "r", NULL);
    ck_assert_uint_eq(rig.host.replies.count, 2);
    ck_assert_str_eq(nth_reply(1)->text, "{\"n\":1}");
    ck_assert_int_eq(nth_reply(1)->qos, 2);
    ck_assert(!nth_reply(1)->has_correlation);
    ck_assert_int_eq(runs(), 1);
}
END_TEST

/* A message with another Response Topic or QoS is no redelivery. */
START_TEST(other_messages_are_no_redeliveries)
{
    open_guard(NULL);
    rig_send(&rig, COUNT, "", "r", NULL);
    reconnect();
    rig_send(&rig, COUNT, "", "s", NULL);
    expect_text("{\"n\":2}");
    reconnect();
    rig.qos = 1;
    rig_send(&rig, COUNT, "", "s", NULL);
    expect_text("{\"n\":3}");
}
END_TEST

/* Calls that are not guarded are recorded in the order, and run again. */
START_TEST(others_in_between)
{
    open_guard(NULL);
    call("{\"a\":1}");
    send_at(1, COUNT, "{\"q\":1}");
    send_at(2, "rpc/call/look", "");
    rig_send(&rig, COUNT, "{\"i\":1}", "r", "short");
    send_at(2, "rpc/call/nope", "");
    call("{\"a\":2}");
    ck_assert_int_eq(runs(), 4);
    reconnect();
    const size_t before = rig.host.events.count;
    call("{\"a\":1}");
    send_at(1, COUNT, "{\"q\":1}");
    send_at(2, "rpc/call/look", "");
    rig_send(&rig, COUNT, "{\"i\":1}", "r", "short");
    send_at(2, "rpc/call/nope", "");
    ck_assert(!call("{\"a\":2}"));
    ck_assert_uint_eq(rig.host.events.count, before + 1); /* the one at QoS 1 */
    ck_assert_int_eq(runs(), 5);
}
END_TEST

/* Only some of the calls were still in flight. */
START_TEST(acknowledged_calls_are_skipped)
{
    open_guard(NULL);
    call("{\"a\":1}");
    send_at(1, COUNT, "{\"q\":1}");
    call("{\"a\":2}");
    reconnect();
    ck_assert(!call("{\"a\":2}"));
    ck_assert(call("{\"a\":1}"));
}
END_TEST

START_TEST(cut_twice)
{
    open_guard(NULL);
    call("{\"a\":1}");
    call("{\"a\":2}");
    call("{\"a\":3}");
    reconnect();
    ck_assert(!call("{\"a\":1}"));
    reconnect();
    ck_assert(!call("{\"a\":1}"));
    ck_assert(!call("{\"a\":2}"));
    reconnect();
    ck_assert(!call("{\"a\":2}"));
    ck_assert(!call("{\"a\":3}"));
    ck_assert(call("{\"a\":4}"));
    reconnect();
    ck_assert(!call("{\"a\":3}"));
    ck_assert(!call("{\"a\":4}"));
}
END_TEST

/* Each row: how the connection ends, and whether the next one begins a new session. */
static const struct ending {
    enum host_end kind;
    bool in_order, clean_start, guarded;
} endings[] = {
    {HOST_END_TAKEN_OVER, false, false, true},     {HOST_END_TAKEN_OVER, true, false, false},
    {HOST_END_TAKEN_OVER, false, true, false},     {HOST_END_SESSION_OVER, false, false, false},
    {HOST_END_SESSION_WAITS, false, false, false}, /* and has expired: the host has not reported that it was
                                                      taken up */
};

START_TEST(how_connections_end)
{
    const struct ending *row = &endings[_i];
    open_guard(NULL);
    call("{}");
    end(&contexts[1], row->kind, false, row->in_order);
    rig.client.connection = &contexts[2];
    rig.client.clean_start = row->clean_start;
    ck_assert_int_eq(call("{}"), !row->guarded);
}
END_TEST

/* The host reports the end of the old connection after the new one has begun. */
START_TEST(late_ends)
{
    open_guard(NULL);
    call("{\"a\":1}");
    call("{\"a\":2}");
    rig.client.connection = &contexts[2];
    ck_assert(!call("{\"a\":1}"));
    end(&contexts[1], HOST_END_TAKEN_OVER, false, false);
    ck_assert(!call("{\"a\":2}"));
    ck_assert(call("{\"a\":2}"));
}
END_TEST

START_TEST(too_long_before_the_end)
{
    open_guard(NULL);
    call("{}");
    rig.host.monotonic += 10 * RIG_SECOND + (uint64_t)_i;
    engine_tick(rig.engine);
    reconnect();
    rig.host.monotonic += 3600 * RIG_SECOND; /* the time between the connections does not matter */
    engine_tick(rig.engine);
    ck_assert_int_eq(call("{}"), _i);
}
END_TEST

START_TEST(qos_0_ends_the_guard)
{
    open_guard(NULL);
    call("{}");
    reconnect();
    send_at(0, "rpc/call/get", "");
    ck_assert(call("{}"));
}
END_TEST

START_TEST(the_guard_can_be_off)
{
    start(NULL);
    rig.qos = 2;
    call("{}");
    reconnect();
    ck_assert(call("{}"));
}
END_TEST

/* Without a duplicate window, the guard covers calls with an identity as well. */
START_TEST(the_guard_alone)
{
    rig.options.duplicate_window = 0;
    open_guard(NULL);
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    expect_text("{\"n\":2}");
    reconnect();
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    expect_text("{\"n\":1}");
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    expect_text("{\"n\":2}");
    ck_assert_mem_eq(rig_last(&rig.host.replies)->correlation, LONG_ID, 16);
}
END_TEST

START_TEST(batches_without_an_identity)
{
    open_guard(NULL);
    send_at(2, "rpc/batch/count", "[{},{}]");
    send_at(2, "rpc/jsonrpc", "[{\"jsonrpc\":\"2.0\",\"method\":\"count\"}]");
    reconnect();
    send_at(2, "rpc/batch/count", "[{},{}]");
    send_at(2, "rpc/jsonrpc", "[{\"jsonrpc\":\"2.0\",\"method\":\"count\"}]");
    ck_assert_int_eq(runs(), 3);
    ck_assert_uint_eq(duplicates(), 2);
}
END_TEST

static void cut_meanwhile(void)
{
    reconnect();
    rig_send(&rig, "rpc/call/act", "", "second", NULL);
}

/* The connection is cut while the call runs, and the redelivery comes before that has ended. */
START_TEST(redelivered_while_the_first_runs)
{
    meanwhile = cut_meanwhile;
    open_guard(run_meanwhile);
    rig_send(&rig, "rpc/call/act", "", "second", NULL);
    ck_assert_int_eq(acted, 1);
    ck_assert_uint_eq(rig.host.replies.count, 2);
    ck_assert_str_eq(nth_reply(1)->text, "{\"text\":\"run 1\"}");
}
END_TEST

/* The redelivery of a refused call is a new attempt, and the calls behind it are still guarded. */
START_TEST(refused_calls_are_in_the_order)
{
    next_status = RPC_OVERLOADED;
    open_guard(fail_with_status);
    call("{\"a\":1}");
    send_at(2, "rpc/call/act", "");
    call("{\"a\":2}");
    reconnect();
    ck_assert(!call("{\"a\":1}"));
    send_at(2, "rpc/call/act", "");
    ck_assert_int_eq(acted, 2);
    ck_assert(!call("{\"a\":2}"));
}
END_TEST

START_TEST(rate_limited_calls_are_in_the_order)
{
    rig.options.rate_limit = 1;
    rig.options.rate_burst = 1;
    open_guard(NULL);
    ck_assert(call("{\"a\":1}"));
    ck_assert(!call("{\"a\":2}"));
    rig.host.monotonic += RIG_SECOND;
    ck_assert(call("{\"a\":3}"));
    rig.host.monotonic += RIG_SECOND;
    reconnect();
    ck_assert(!call("{\"a\":1}"));
    rig.host.monotonic += RIG_SECOND;
    ck_assert(call("{\"a\":2}"));
    rig.host.monotonic += RIG_SECOND;
    ck_assert(!call("{\"a\":3}"));
}
END_TEST

/* Likewise when the refusal was not reported to anyone. */
START_TEST(refused_in_silence)
{
    rig.options.rate_limit = rig.options.rate_burst = 1;
    open_guard(NULL);
    ck_assert(call("{\"a\":1}"));
    for (int i = 0; i < 100; i++)
        send_at(0, COUNT, "{}");
    const size_t announced = rig.host.events.count;
    rig_tell(&rig, "count", "{\"a\":2}");
    rig_tell(&rig, "count", "{\"a\":3}");
    ck_assert_uint_eq(rig.host.events.count, announced);
    fake_host_forget(&rig.host);
    for (int i = 0; i < 2; i++) {
        reconnect();
        rig.host.monotonic += RIG_SECOND;
        ck_assert(!call("{\"a\":1}"));
        rig.host.monotonic += RIG_SECOND; /* redeliveries count towards the rate */
        ck_assert_int_eq(call("{\"a\":2}"), i == 0);
        rig.host.monotonic += i ? RIG_SECOND : 0;
        ck_assert_int_eq(call("{\"a\":3}"), i == 1);
    }
}
END_TEST

/* And when error_rate has suppressed the event. */
START_TEST(refused_and_suppressed)
{
    rig.options.error_rate = 1;
    next_status = RPC_OVERLOADED;
    open_guard(fail_with_status);
    send_at(2, "rpc/call/act", "{\"a\":1}");
    send_at(2, "rpc/call/act", "{\"a\":2}");
    ck_assert_uint_eq(rig.host.events.count, 1);
    reconnect();
    next_status = RPC_OK;
    send_at(2, "rpc/call/act", "{\"a\":1}");
    send_at(2, "rpc/call/act", "{\"a\":2}");
    ck_assert_int_eq(acted, 4);
    reconnect();
    send_at(2, "rpc/call/act", "{\"a\":1}");
    send_at(2, "rpc/call/act", "{\"a\":2}");
    ck_assert_int_eq(acted, 4);
}
END_TEST

/* Duplicates that are recognised by their identity are taken from the order, too. */
START_TEST(duplicates_leave_the_order)
{
    open_guard(NULL);
    for (int i = 0; i < 200; i++)
        rig_send(&rig, COUNT, "", "r", LONG_ID);
    ck_assert(call("{}"));
    reconnect();
    ck_assert(!call("{}"));
}
END_TEST

/* Each client has an order of its own. */
START_TEST(orders_are_the_clients_own)
{
    open_guard(NULL);
    call("{}");
    reconnect();
    rig.client.id = "another";
    ck_assert(call("{}"));
    rig.client.id = "tester";
    ck_assert(!call("{}"));
}
END_TEST

/* The newest calls are recognised, however many clients there have been. */
START_TEST(many_clients)
{
    char id[24];
    rig.options.duplicate_entries = 100;
    open_guard(NULL);
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "client-%d", i);
        rig.client.id = id;
        rig_tell(&rig, "nothing", "");
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "client-%d", i);
        end(&contexts[1], HOST_END_SESSION_OVER, false, false);
    }
    engine_tick(rig.engine);
    rig.client.id = "tester";
    call("{}");
    reconnect();
    ck_assert(!call("{}"));
}
END_TEST

UNIT_MAIN("once", open_rig, close_rig, {duplicates_get_the_cached_reply, 0},
          {duplicates_have_their_own_response_topic, 0}, {other_calls_run, UNIT_ROWS(others)},
          {parts_are_not_run_together, 0}, {large_messages, 0}, {the_window, 0},
          {without_a_window_everything_runs, 0}, {calls_without_an_identity_run, 0},
          {read_only_methods_run, 0}, {calls_that_cannot_run_are_not_recorded, 0},
          {identities_in_the_payload, UNIT_ROWS(identities)}, {null_is_no_identity, 0},
          {batches_are_one_message, 0}, {notifications, 0}, {errors_are_cached, RPC_RAISED},
          {rate_limited_replies_are_not_cached, 0}, {short_identities_end_with_the_session, 3},
          {short_identities_live_with_the_session, 0}, {short_request_ids, 0},
          {duplicates_wait_for_the_first, 0}, {waiting_duplicates_are_bounded, 0},
          {waiting_ends_with_the_connection, 0}, {sessions_may_end_meanwhile, 0}, {waiting_for_an_error, 2},
          {a_table_full_of_unfinished_calls, 0}, {others_run_in_a_full_table, 0}, {the_oldest_is_evicted, 0},
          {bytes_are_bounded, 2}, {dropped_replies_are_cached, 0}, {many_identities, 2},
          {redeliveries_in_order, 0}, {no_redelivery_on_one_connection, 0},
          {the_first_mismatch_ends_the_guard, 0}, {malformed_calls_end_the_guard, 5},
          {recognised_calls_are_not_recorded_again, 0}, {large_replies_are_in_the_order, 0},
          {recognised_both_ways, 0}, {redeliveries_pay, 0}, {malformed_calls_are_in_the_order, 0},
          {identities_are_guarded_too, 0}, {reconnects_that_come_late, 2}, {redeliveries_that_come_late, 2},
          {redeliveries_get_a_reply, 0}, {other_messages_are_no_redeliveries, 0}, {others_in_between, 0},
          {acknowledged_calls_are_skipped, 0}, {cut_twice, 0}, {how_connections_end, UNIT_ROWS(endings)},
          {late_ends, 0}, {too_long_before_the_end, 2}, {qos_0_ends_the_guard, 0}, {the_guard_can_be_off, 0},
          {the_guard_alone, 0}, {batches_without_an_identity, 0}, {redelivered_while_the_first_runs, 0},
          {refused_calls_are_in_the_order, 0}, {rate_limited_calls_are_in_the_order, 0},
          {refused_in_silence, 0}, {refused_and_suppressed, 0}, {duplicates_leave_the_order, 0},
          {orders_are_the_clients_own, 0}, {many_clients, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/dedup/dedup.c in an engine (protocol, section 6, and the redelivery guard): which messages are carried
 * out once only, how those that come again are answered, and what keeps a promise from being given or broken.
 */
#include "lab.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rig rig;
static struct lab_options options;
static char contexts[10]; /* their addresses stand for connections */

#define LONG_ID "sixteen-bytes-id" /* an identity that lasts */
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
    char why[ENGINE_WHY] = "";
    lab_start(&rig, &options, act);
    ck_assert_msg(engine_open_methods(rig.engine, why), "%s", why);
}

static const struct fake_message *reply_at(size_t place)
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
    rig.qos = 1; /* nothing that the guard knows */
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

/* The client comes back: its connection was cut, its session is taken up. */
static void reconnect(void)
{
    end(rig.client.connection, HOST_END_SESSION_WAITS, false, false);
    end(rig.client.connection, HOST_END_TAKEN_OVER, false, false);
    rig.client.connection = rig.client.connection == &contexts[1] ? &contexts[2] : &contexts[1];
}

/* ---- What is the same ---- */

START_TEST(the_same_is_answered_again)
{
    start(NULL);
    rig_send(&rig, COUNT, "{\"a\":1}", "r", LONG_ID);
    rig_send(&rig, COUNT, "{\"a\":1}", "r", LONG_ID);
    rig_send(&rig, COUNT, "{\"a\":1}", "r", LONG_ID);
    ck_assert_uint_eq(rig.host.replies.count, 3);
    ck_assert_uint_eq(rig.host.events.count, 1);
    for (size_t i = 0; i < 3; i++) {
        const struct fake_message *reply = reply_at(i);
        ck_assert_str_eq(reply->text, "{\"n\":1}");
        ck_assert_str_eq(reply->status, "ok");
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

/* The repetition is answered where it says, at the QoS that it has. */
START_TEST(the_repetition_says_where)
{
    start(NULL);
    rig.qos = 2;
    rig_send(&rig, COUNT, "", "first", LONG_ID);
    rig.qos = 0;
    rig_send(&rig, COUNT, "", "second", LONG_ID);
    ck_assert_str_eq(reply_at(0)->topic, "first");
    ck_assert_str_eq(reply_at(1)->topic, "second");
    ck_assert_int_eq(reply_at(0)->qos, 2);
    ck_assert_int_eq(reply_at(1)->qos, 0);
    ck_assert_str_eq(reply_at(1)->text, "{\"n\":1}");
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

START_TEST(what_is_not_the_same_runs)
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

/* Where one part ends and the next begins counts. */
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

/* A large message is told from another one by its last byte, too. */
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

/* No identity, or nobody who asked. */
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

/* Unknown methods and malformed calls have nothing that must not happen twice. */
START_TEST(what_cannot_run_is_not_remembered)
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
        ck_assert_str_eq(reply_at(i)->text, reply_at(0)->text);
        ck_assert_str_eq(reply_at(i)->topic, reply_at(0)->topic);
        ck_assert_str_eq(reply_at(i)->status, reply_at(0)->status);
    }
    ck_assert_int_eq(runs(), 1);
}
END_TEST

/* An id that is null tells nothing from anything. */
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
    ck_assert_str_eq(reply_at(0)->text, reply_at(1)->text);
    ck_assert_uint_eq(rig.host.events.count, 2);
    ck_assert_int_eq(runs(), 2);
}
END_TEST

/* A notification asks for no reply, whatever else it names, and so each is one of its own. */
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

static rpc_status fail_with_it(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    acted++;
    return next_status == RPC_RAISED ? rpc_raise(call, "plain", "number %d", acted) : next_status;
}

/* Errors are answers, but a call that was refused for the moment was not carried out. */
START_TEST(errors_are_remembered)
{
    next_status = (rpc_status)(_i + 1);
    const bool again = next_status == RPC_OVERLOADED || next_status == RPC_RATE_LIMITED;
    start(fail_with_it);
    rig_send(&rig, "rpc/call/act", "", "r", LONG_ID);
    rig_send(&rig, "rpc/call/act", "", "r", LONG_ID);
    ck_assert_int_eq(acted, again ? 2 : 1);
    ck_assert_uint_eq(rig.host.replies.count, 2);
    ck_assert_str_eq(reply_at(0)->status, reply_at(1)->status);
    ck_assert_str_eq(reply_at(0)->text, reply_at(1)->text);
}
END_TEST

START_TEST(rate_limited_calls_are_not_remembered)
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
    /* Taken over before anybody said that the last one has ended. */
    rig.client.connection = &contexts[3];
    rig_send(&rig, COUNT, "", "r", "1");
    ck_assert_uint_eq(duplicates(), 2);
    end(&contexts[2], HOST_END_TAKEN_OVER, false, false);
    rig_send(&rig, COUNT, "", "r", "1");
    ck_assert_uint_eq(duplicates(), 3);
    /* A new session is a new beginning. */
    rig.client.connection = &contexts[4];
    rig.client.clean_start = true;
    rig_send(&rig, COUNT, "", "r", "1");
    ck_assert_uint_eq(duplicates(), 3);
    expect_text("{\"n\":2}");
}
END_TEST

/* A counter begins again in another part of the message as well. */
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

/* ---- While the first still runs ---- */

static void (*meanwhile)(void); /* what happens while act runs for the first time */

static rpc_status let_it_happen(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    if (++acted == 1 && meanwhile)
        meanwhile();
    ((struct lab_text *)result)->text = rpc_printf(call, "run %d", acted);
    return RPC_OK;
}

static void come_again(void)
{
    rig_send(&rig, "rpc/call/act", "", "second", LONG_ID);
    rig.qos = 2;
    rig_send(&rig, "rpc/call/act", "", "third", LONG_ID);
    ck_assert_uint_eq(rig.host.replies.count, 0);
}

START_TEST(later_ones_wait_for_the_first)
{
    static const char *const topics[] = {"first", "second", "third"};
    meanwhile = come_again;
    start(let_it_happen);
    rig_send(&rig, "rpc/call/act", "", "first", LONG_ID);
    ck_assert_int_eq(acted, 1);
    ck_assert_uint_eq(rig.host.replies.count, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_eq(reply_at(i)->topic, topics[i]);
        ck_assert_str_eq(reply_at(i)->text, "{\"text\":\"run 1\"}");
        ck_assert_str_eq(reply_at(i)->status, "ok");
        ck_assert_str_eq(reply_at(i)->client, "tester");
        ck_assert_mem_eq(reply_at(i)->correlation, LONG_ID, 16);
        ck_assert_int_eq(reply_at(i)->qos, i == 2 ? 2 : 1);
    }
    ck_assert_uint_eq(duplicates(), 2);
}
END_TEST

static void come_again_and_again(void)
{
    for (int i = 0; i < 100; i++)
        rig_send(&rig, "rpc/call/act", "", "again", LONG_ID);
}

/* Whoever sends one call a hundred times while it runs takes no more memory than sixteen times would. */
START_TEST(not_too_many_wait)
{
    meanwhile = come_again_and_again;
    start(let_it_happen);
    rig_send(&rig, "rpc/call/act", "", "first", LONG_ID);
    ck_assert_int_eq(acted, 1);
    ck_assert_uint_eq(rig.host.replies.count, 17);
    ck_assert_uint_eq(duplicates(), 100);
}
END_TEST

static void come_again_and_go(void)
{
    come_again();
    rig.client.connection = &contexts[2];
    rig_send(&rig, "rpc/call/act", "", "fourth", LONG_ID);
    end(&contexts[1], HOST_END_TAKEN_OVER, false, false);
}

/* Those of a connection that has ended wait no more; what has come on another one does. */
START_TEST(waiting_ends_with_the_connection)
{
    meanwhile = come_again_and_go;
    start(let_it_happen);
    rig_send(&rig, "rpc/call/act", "", "first", LONG_ID);
    ck_assert_int_eq(acted, 1);
    ck_assert_uint_eq(rig.host.replies.count, 2);
    ck_assert_str_eq(reply_at(0)->topic, "first");
    ck_assert_str_eq(reply_at(1)->topic, "fourth");
}
END_TEST

static void go_with_the_session(void)
{
    rig_send(&rig, "rpc/call/act", "", "second", "short");
    end(&contexts[1], HOST_END_SESSION_OVER, true, false);
    rig.client.connection = &contexts[2];
    rig_send(&rig, "rpc/call/act", "", "third", "short");
}

/* The next session's call is another one, though the first is still being carried out. */
START_TEST(sessions_may_end_meanwhile)
{
    meanwhile = go_with_the_session;
    start(let_it_happen);
    rig_send(&rig, "rpc/call/act", "", "first", "short");
    ck_assert_int_eq(acted, 2);
    ck_assert_str_eq(reply_at(0)->topic, "third");
    ck_assert_str_eq(reply_at(1)->topic, "first");
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

/* Errors are told to those that wait, too, also those that are not remembered. */
START_TEST(waiting_for_an_error)
{
    next_status = _i ? RPC_OVERLOADED : RPC_RAISED;
    start(wait_and_fail);
    rig_send(&rig, "rpc/call/act", "", "first", LONG_ID);
    ck_assert_int_eq(acted, 1);
    ck_assert_uint_eq(rig.host.replies.count, 2);
    ck_assert_str_eq(reply_at(1)->topic, "second");
    ck_assert_str_eq(reply_at(1)->status, _i ? "overloaded" : "plain");
    ck_assert_str_eq(reply_at(1)->text, reply_at(0)->text);
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

/* A table that is full of calls that still run gives no promise, and breaks none. */
START_TEST(a_table_full_of_unfinished_calls)
{
    rig.options.duplicate_entries = 3;
    start(nest);
    rig_send(&rig, "rpc/call/act", "", "outer", LONG_ID);
    ck_assert_int_eq(depth, 3);
    ck_assert_uint_eq(rig.host.replies.count, 4);
    ck_assert_str_eq(reply_at(0)->status, "overloaded");
    ck_assert_str_eq(reply_at(0)->text,
                     "{\"method\":\"act\",\"err\":\"overloaded\",\"msg\":\"there is no room to keep the call "
                     "from being carried out twice\"}");
    for (size_t i = 1; i < 4; i++)
        ck_assert_str_eq(reply_at(i)->status, "ok");
    /* All that was promised is kept. */
    fake_host_forget(&rig.host);
    rig_send(&rig, "rpc/call/act", "", "outer", LONG_ID);
    ck_assert_int_eq(depth, 3);
    ck_assert_uint_eq(duplicates(), 1);
    ck_assert_str_eq(reply_at(0)->status, "ok");
}
END_TEST

/* Without an identity there is no promise, and no limit. */
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

START_TEST(the_oldest_makes_room)
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

/* Two replies do not fit: the first makes room. One that does not fit alone is not remembered. */
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

/* A reply that was dropped on its way is there for the next attempt. */
START_TEST(dropped_replies_come_later)
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

/* Calls of count, told apart by their payload. Returns whether it ran. */
static bool call(const char *payload)
{
    const size_t before = rig.host.events.count;
    rig_tell(&rig, "count", payload);
    return rig.host.events.count > before &&
           strcmp(rig_last(&rig.host.events)->topic, "rpc/event/counted") == 0;
}

START_TEST(what_is_sent_again_in_order)
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

/* On the same connection the same call is another one. */
START_TEST(nothing_is_sent_again_on_one_connection)
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

/* Also one that is refused for what it is: nobody repeats anything behind a new message. */
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

/* What was malformed then is so again, and does not end it. */
START_TEST(malformed_calls_have_their_place)
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

/* An identity that others have pushed out is still known by its place. */
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

/* A host that cannot tell a cut: only who is back soon is taken for one whose connection was. */
START_TEST(back_soon_or_not_at_all)
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

/* Nor does anybody send again long after having come back. */
START_TEST(sent_again_soon_or_not_at_all)
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

/* What was only recognised is no model for what comes after: a new call that equals it runs in the end. */
START_TEST(recognised_calls_grow_old)
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

/* A reply that there is no room for does not cost those behind it their place. */
START_TEST(large_replies_keep_their_place)
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

/* One that was answered by its identity has its reply there. */
START_TEST(known_both_ways)
{
    open_guard(NULL);
    rig.qos = 1;
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    rig.qos = 2;
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    reconnect();
    rig_send(&rig, COUNT, "", "r", LONG_ID);
    ck_assert_uint_eq(rig.host.replies.count, 3);
    ck_assert_str_eq(reply_at(2)->text, "{\"n\":1}");
    ck_assert_int_eq(runs(), 1);
}
END_TEST

/* Those that are known by their place are no way around the rate either. */
START_TEST(sent_again_pays)
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
}
END_TEST

/* With a reply that nothing identifies, it is answered with the first one's. */
START_TEST(what_is_sent_again_is_answered)
{
    open_guard(NULL);
    rig_send(&rig, COUNT, "", "r", NULL);
    reconnect();
    rig_send(&rig, COUNT, "", "r", NULL);
    ck_assert_uint_eq(rig.host.replies.count, 2);
    ck_assert_str_eq(reply_at(1)->text, "{\"n\":1}");
    ck_assert_int_eq(reply_at(1)->qos, 2);
    ck_assert(!reply_at(1)->has_correlation);
    ck_assert_int_eq(runs(), 1);
}
END_TEST

/* Another Response Topic or QoS is another message: what is sent again is the same in all. */
START_TEST(everything_counts)
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

/* Calls that are not guarded have their place in the order, and run again. */
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

/* Only some of them were still in flight. */
START_TEST(what_was_acknowledged_is_passed_over)
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

/* Each row: how the connection ends, and whether the next one begins anew. */
static const struct ending {
    enum host_end kind;
    bool in_order, clean_start, guarded;
} endings[] = {
    {HOST_END_TAKEN_OVER, false, false, true},     {HOST_END_TAKEN_OVER, true, false, false},
    {HOST_END_TAKEN_OVER, false, true, false},     {HOST_END_SESSION_OVER, false, false, false},
    {HOST_END_SESSION_WAITS, false, false, false}, /* and has expired: nobody said it was taken up */
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

/* A new connection before the end of the old one was told. */
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
    rig.host.monotonic += 3600 * RIG_SECOND; /* how long it was away does not matter */
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

/* The guard does without a window, and calls with an identity are guarded by it then. */
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

/* The connection is cut while the call is being carried out, and it comes again before that has ended. */
START_TEST(sent_again_while_the_first_runs)
{
    meanwhile = cut_meanwhile;
    open_guard(let_it_happen);
    rig_send(&rig, "rpc/call/act", "", "second", NULL);
    ck_assert_int_eq(acted, 1);
    ck_assert_uint_eq(rig.host.replies.count, 2);
    ck_assert_str_eq(reply_at(1)->text, "{\"text\":\"run 1\"}");
}
END_TEST

/* A call that was refused for the moment is a new attempt, and those behind it are still guarded. */
START_TEST(refused_calls_keep_their_place)
{
    next_status = RPC_OVERLOADED;
    open_guard(fail_with_it);
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

START_TEST(rate_limited_calls_keep_their_place)
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

/* Also when nobody was told that they were refused. */
START_TEST(refused_in_silence)
{
    rig.options.rate_limit = rig.options.rate_burst = 1;
    open_guard(NULL);
    ck_assert(call("{\"a\":1}"));
    for (int i = 0; i < 100; i++)
        send_at(0, COUNT, "{}");
    const size_t told = rig.host.events.count;
    rig_tell(&rig, "count", "{\"a\":2}");
    rig_tell(&rig, "count", "{\"a\":3}");
    ck_assert_uint_eq(rig.host.events.count, told);
    fake_host_forget(&rig.host);
    for (int i = 0; i < 2; i++) {
        reconnect();
        rig.host.monotonic += RIG_SECOND;
        ck_assert(!call("{\"a\":1}"));
        rig.host.monotonic += RIG_SECOND; /* what comes again takes its share of the rate */
        ck_assert_int_eq(call("{\"a\":2}"), i == 0);
        rig.host.monotonic += i ? RIG_SECOND : 0;
        ck_assert_int_eq(call("{\"a\":3}"), i == 1);
    }
}
END_TEST

/* And when too many errors have been announced already. */
START_TEST(refused_and_suppressed)
{
    rig.options.error_rate = 1;
    next_status = RPC_OVERLOADED;
    open_guard(fail_with_it);
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

/* Repetitions that are known by their identity have been dealt with in the order, too. */
START_TEST(repetitions_leave_room_in_the_order)
{
    open_guard(NULL);
    for (int i = 0; i < 200; i++)
        rig_send(&rig, COUNT, "", "r", LONG_ID);
    ck_assert(call("{}"));
    reconnect();
    ck_assert(!call("{}"));
}
END_TEST

/* Other clients' orders are theirs. */
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

/* However many have been there: the newest calls are known. */
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

UNIT_MAIN("once", open_rig, close_rig, {the_same_is_answered_again, 0}, {the_repetition_says_where, 0},
          {what_is_not_the_same_runs, UNIT_ROWS(others)}, {parts_are_not_run_together, 0},
          {large_messages, 0}, {the_window, 0}, {without_a_window_everything_runs, 0},
          {calls_without_an_identity_run, 0}, {read_only_methods_run, 0},
          {what_cannot_run_is_not_remembered, 0}, {identities_in_the_payload, UNIT_ROWS(identities)},
          {null_is_no_identity, 0}, {batches_are_one_message, 0}, {notifications, 0},
          {errors_are_remembered, RPC_RAISED}, {rate_limited_calls_are_not_remembered, 0},
          {short_identities_end_with_the_session, 3}, {short_identities_live_with_the_session, 0},
          {short_request_ids, 0}, {later_ones_wait_for_the_first, 0}, {not_too_many_wait, 0},
          {waiting_ends_with_the_connection, 0}, {sessions_may_end_meanwhile, 0}, {waiting_for_an_error, 2},
          {a_table_full_of_unfinished_calls, 0}, {others_run_in_a_full_table, 0}, {the_oldest_makes_room, 0},
          {bytes_are_bounded, 2}, {dropped_replies_come_later, 0}, {many_identities, 2},
          {what_is_sent_again_in_order, 0}, {nothing_is_sent_again_on_one_connection, 0},
          {the_first_mismatch_ends_the_guard, 0}, {malformed_calls_end_the_guard, 5},
          {recognised_calls_grow_old, 0}, {large_replies_keep_their_place, 0}, {known_both_ways, 0},
          {sent_again_pays, 0}, {malformed_calls_have_their_place, 0}, {identities_are_guarded_too, 0},
          {back_soon_or_not_at_all, 2}, {sent_again_soon_or_not_at_all, 2},
          {what_is_sent_again_is_answered, 0}, {everything_counts, 0}, {others_in_between, 0},
          {what_was_acknowledged_is_passed_over, 0}, {cut_twice, 0},
          {how_connections_end, UNIT_ROWS(endings)}, {late_ends, 0}, {too_long_before_the_end, 2},
          {qos_0_ends_the_guard, 0}, {the_guard_can_be_off, 0}, {the_guard_alone, 0},
          {batches_without_an_identity, 0}, {sent_again_while_the_first_runs, 0},
          {refused_calls_keep_their_place, 0}, {rate_limited_calls_keep_their_place, 0},
          {refused_in_silence, 0}, {refused_and_suppressed, 0}, {repetitions_leave_room_in_the_order, 0},
          {orders_are_the_clients_own, 0}, {many_clients, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Rates are taken before a payload is read: what a client over its rate sends is not parsed, and yet a copy
 * of a call gets the call's reply, and every other caller that a glance can find gets the error. rate_bytes
 * and rate_limit_by.
 */
#include "lab.h"
#include "unit.h"

#include "call/engine_parts.h"
#include "shape/codec.h"
#include "shape/codec_json.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;
static struct lab_options options;
static struct codec counting;
static int parsed;
static char contexts[4]; /* their addresses stand for connections */

static cJSON *count_parse(const char *bytes, size_t size, struct arena *arena, struct json_error *error)
{
    parsed++;
    return codec_json.parse(bytes, size, arena, error);
}

static void open_rig(void)
{
    rig_init(&rig);
    rig.client.connection = &contexts[0];
    counting = codec_json;
    counting.parse = count_parse;
}

static void close_rig(void)
{
    rig_close(&rig);
}

static void start(void)
{
    lab_start(&rig, &options, NULL);
    rig_open_methods(&rig);
    rig.engine->codec = &counting;
    parsed = 0;
}

/* The client has called once, and may not for a second. */
static void start_over(void)
{
    rig.options.rate_limit = rig.options.rate_burst = 1;
    rig.options.jsonrpc_methods = "*";
    start();
    rig_tell(&rig, "nothing", "");
    fake_host_forget(&rig.host);
    parsed = 0;
}

static const struct counters *counters(void)
{
    return engine_counters(rig.engine);
}

/* ---- Refusals ---- */

#define OVER "more calls than rate_limit allows, which is 1 a second"
#define ERROR(method) "{\"method\":\"" method "\",\"err\":\"rate_limited\",\"msg\":\"" OVER "\"}"
#define RPC(id, method)                                                                 \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":-32003,\"message\":\"" OVER \
    "\",\"data\":" ERROR(method) "}}"

#define NOTIFICATION "{\"jsonrpc\":\"2.0\",\"method\":\"count\"}"

static const struct refusal {
    const char *topic, *payload, *response_topic;
    const char *to, *text; /* NULL: nobody is answered */
} refusals[] = {
    {"rpc/call/count", "{\"x\":", "r", "r", ERROR("count")},
    {"rpc/call/count", "{\"request_id\":\"t\",\"x\":1}", NULL, "rpc/call/count/response/t",
     "{\"request_id\":\"t\",\"error\":" ERROR("count") "}"},
    {"rpc/call/count", "{\"request_id\":\"t\"}", "r", "r", ERROR("count")},
    {"rpc/call/count", "{\"jsonrpc\":\"2.0\",\"id\":\"t:1\",\"method\":\"count\"}", NULL,
     "rpc/call/count/response/t", RPC("\"t:1\"", "count")},
    {"rpc/call/count/request", "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"count\"}", "r", "r",
     RPC("7", "count")},
    {"rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"id\":\"t\",\"method\":\"count\"}", NULL, "rpc/jsonrpc/response/t",
     RPC("\"t\"", "")},
    {"rpc/jsonrpc", "[{\"jsonrpc\":\"2.0\",\"id\":\"t\",\"method\":\"count\"},{}]", "r", "r",
     RPC("null", "")},
    {"rpc/batch/count", "[{},{},{}]", "r", "r", ERROR("count")},
    {"rpc/batch/count", "{\"request_id\":\"t\",\"calls\":[{}]}", NULL, "rpc/call/count/response/t",
     "{\"request_id\":\"t\",\"error\":" ERROR("count") "}"},
    {"rpc/call/bytes", "{\"jsonrpc\":\"2.0\",\"id\":1}", "r", "r", ERROR("bytes")},
    {"rpc/call/nope", "{}", "r", "r", ERROR("nope")},
    {"rpc/call/count", "{}", "a/#", NULL, NULL},
    {"rpc/call/count", "{\"jsonrpc\":\"2.0\",\"method\":\"count\"}", "r", NULL, NULL},
    /* Batches ask for a reply unless they are notifications and nothing else. */
    {"rpc/call/count", "[" NOTIFICATION ",{\"jsonrpc\":\"2.0\",\"id\":\"t:1\"}]", NULL,
     "rpc/call/count/response/t", RPC("null", "count")},
    {"rpc/jsonrpc", "[" NOTIFICATION ",{\"jsonrpc\":\"2.0\",\"id\":\"t:1\"}]", "r", "r", RPC("null", "")},
    {"rpc/call/count", "[" NOTIFICATION "," NOTIFICATION "]", "r", NULL, NULL},
    {"rpc/jsonrpc", "[" NOTIFICATION ",7]", NULL, "rpc/jsonrpc/response/null", RPC("null", "")},
    {"rpc/call/count/request", "[1,2]", "r", "r", RPC("null", "count")},
    {"rpc/call/count/request", "[]", NULL, "rpc/call/count/response/null", RPC("null", "count")},
};

START_TEST(what_is_refused_is_not_parsed)
{
    const struct refusal *row = &refusals[_i];
    start_over();
    rig_send(&rig, row->topic, row->payload, row->response_topic, NULL);
    ck_assert_int_eq(parsed, 0);
    ck_assert_uint_eq(counters()->limited, 1);
    ck_assert_uint_eq(rig.host.replies.count, row->text ? 1 : 0);
    ck_assert_uint_eq(rig.host.events.count, row->text ? 0 : 1);
    if (!row->text) {
        ck_assert_ptr_nonnull(strstr(rig_last(&rig.host.events)->text, "\"msg\":\"" OVER "\""));
        return;
    }
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, row->to);
    ck_assert_str_eq(rig_last(&rig.host.replies)->text, row->text);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "rate_limited");
}
END_TEST

/* The rate comes first, also of a payload that is too large. */
START_TEST(what_is_too_large_is_limited)
{
    static const char *const statuses[] = {"rate_limited", "payload_too_large"};
    rig.options.max_payload = 8;
    start_over();
    for (int i = 0; i < 2; i++) {
        rig_send(&rig, "rpc/call/count", "{\"a\":12345}", "r", NULL);
        ck_assert_int_eq(parsed, 0);
        ck_assert_uint_eq(counters()->limited, 1);
        ck_assert_str_eq(rig_last(&rig.host.replies)->status, statuses[i]);
        rig.host.monotonic += RIG_SECOND;
    }
}
END_TEST

/* Neither is what may be for other servers. */
START_TEST(what_may_be_for_others_is_not_parsed)
{
    rig.options.unknown_methods = UNKNOWN_FORWARD;
    start_over();
    ck_assert_int_eq(
        rig_publish(&rig, "rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"id\":\"t\",\"method\":\"alien\"}"),
        ENGINE_CONSUME);
    ck_assert_int_eq(parsed, 0);
    ck_assert_int_eq(rig_publish(&rig, "rpc/call/alien", "{}"), ENGINE_PASS);
    rig.host.monotonic += RIG_SECOND;
    ck_assert_int_eq(
        rig_publish(&rig, "rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"id\":\"t\",\"method\":\"alien\"}"),
        ENGINE_PASS);
}
END_TEST

/* ---- Copies ---- */

static const struct copy {
    const char *topic, *payload, *response_topic, *correlation;
    int qos;
} copies[] = {
    {"rpc/call/count", "{}", "r", "sixteen-bytes-id", 0},
    {"rpc/call/count", "{}", "r", "short", 1},
    {"rpc/call/count", "{\"request_id\":\"sixteen-bytes-id\"}", NULL, NULL, 1},
    {"rpc/call/count", "{\"request_id\":\"t\"}", NULL, NULL, 0},
    {"rpc/call/count", "{\"jsonrpc\":\"2.0\",\"id\":\"t:1\",\"method\":\"count\"}", NULL, NULL, 1},
    {"rpc/call/count", "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"count\"}", "r", NULL, 1},
    {"rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"id\":\"t:1\",\"method\":\"count\"}", NULL, NULL, 1},
    {"rpc/jsonrpc", "[{\"jsonrpc\":\"2.0\",\"id\":\"t:1\",\"method\":\"count\"}]", NULL, NULL, 0},
    {"rpc/batch/count", "[{},{}]", "r", "c", 1},
    {"rpc/call/count", "{}", "r", NULL, 2},
    {"rpc/call/count", "{\"request_id\":\"t\"}", NULL, NULL, 2},
};

/* The connection is cut, and the session resumed on another one. */
static void reconnect(void *connection)
{
    struct host_ending ending = {
        .id = rig.client.id, .connection = rig.client.connection, .kind = HOST_END_SESSION_WAITS};
    engine_client_ended(rig.engine, &ending);
    rig.client.connection = connection;
    ending.kind = HOST_END_TAKEN_OVER;
    engine_client_ended(rig.engine, &ending);
}

static void send_copy(const struct copy *row)
{
    rig.qos = row->qos;
    rig_send(&rig, row->topic, row->payload, row->response_topic, row->correlation);
}

START_TEST(copies_are_answered_and_not_parsed)
{
    const struct copy *row = &copies[_i];
    rig.options.duplicate_window = 60000;
    rig.options.redelivery_guard = 10000;
    rig.options.rate_limit = rig.options.rate_burst = 1;
    rig.options.jsonrpc_methods = "*";
    start();
    send_copy(row);
    ck_assert_int_eq(parsed, 1);
    for (int i = 1; i < 4; i++) {
        if (row->qos == 2)
            reconnect(&contexts[i]);
        send_copy(row);
    }
    ck_assert_int_eq(parsed, 1);
    ck_assert_uint_eq(counters()->limited, 3);
    ck_assert_uint_eq(counters()->duplicates, 3);
    ck_assert_uint_eq(rig.host.replies.count, 4);
    for (size_t i = 1; i < 4; i++) {
        ck_assert_str_eq(rig.host.replies.kept[i].text, rig.host.replies.kept[0].text);
        ck_assert_str_eq(rig.host.replies.kept[i].topic, rig.host.replies.kept[0].topic);
        ck_assert_str_eq(rig.host.replies.kept[i].status, "ok");
    }
}
END_TEST

/* Another message of the same identity is no copy. */
START_TEST(others_are_refused)
{
    rig.options.duplicate_window = 60000;
    rig.options.rate_limit = rig.options.rate_burst = 1;
    start();
    rig_send(&rig, "rpc/call/count", "{}", "r", "sixteen-bytes-id");
    rig_send(&rig, "rpc/call/count", "{ }", "r", "sixteen-bytes-id");
    rig_send(&rig, "rpc/call/count", "{}", "r", "sixteen-bytes-id");
    ck_assert_str_eq(rig.host.replies.kept[1].status, "rate_limited");
    ck_assert_str_eq(rig.host.replies.kept[2].status, "ok");
    ck_assert_int_eq(parsed, 1);
}
END_TEST

/* ---- rate_bytes ---- */

static char text[60000];

static const char *make_text(size_t size)
{
    memset(text, ' ', size);
    text[size] = '\0';
    memcpy(text, "{}", 2);
    return text;
}

START_TEST(bytes_are_limited)
{
    static char correlation[1001];
    memset(correlation, 'c', sizeof correlation - 1);
    rig.options.rate_bytes = 1000;
    start();
    for (int i = 0; i < 5; i++)
        rig_send(&rig, "rpc/call/count", make_text(500), "r", NULL);
    ck_assert_int_eq(parsed, 4);
    ck_assert_str_eq(
        rig_last(&rig.host.replies)->text,
        "{\"method\":\"count\",\"err\":\"rate_limited\",\"msg\":\"more bytes of calls than rate_bytes "
        "allows, which is 1000 a second\"}");
    ck_assert(fake_host_logged(&rig.host,
                               "called count: rate_limited: more bytes of calls than rate_bytes allows"));
    ck_assert_uint_eq(counters()->limited, 1);
    rig.host.monotonic += RIG_SECOND / 2;
    for (int i = 0; i < 2; i++)
        rig_send(&rig, "rpc/call/count", make_text(500), "r", NULL);
    ck_assert_int_eq(parsed, 5);
    /* A large one is let in whole, and owed. Correlation Data counts. */
    rig.host.monotonic += 2 * RIG_SECOND;
    rig_send(&rig, "rpc/call/count", make_text(5000), "r", correlation);
    ck_assert_int_eq(parsed, 6);
    rig.host.monotonic += 3 * RIG_SECOND;
    rig_send(&rig, "rpc/call/count", "{}", "r", NULL);
    ck_assert_int_eq(parsed, 6);
    rig.host.monotonic += 2 * RIG_SECOND;
    rig_send(&rig, "rpc/call/count", "{}", "r", NULL);
    ck_assert_int_eq(parsed, 7);
}
END_TEST

/* At any rate, a client that keeps to it is never refused, and one that does not gets no more than twice
 * that. */
static const int32_t byte_rates[] = {1, 1000, 65536, 300000000, 600000000, 1073741824};

START_TEST(any_rate_of_bytes)
{
    enum { SIZE = 50000, ROUNDS = 200 };
    const uint64_t rate = (uint64_t)byte_rates[_i];
    rig.options.rate_bytes = byte_rates[_i];
    start();
    for (int i = 0; i < ROUNDS; i++) {
        rig_send(&rig, "rpc/call/count", make_text(SIZE), "r", NULL);
        rig.host.monotonic += (SIZE * RIG_SECOND + rate - 1) / rate;
    }
    ck_assert_uint_eq(counters()->limited, 0);
    rig.host.monotonic += 100000 * RIG_SECOND;
    const int before = parsed;
    const uint64_t begun = rig.host.monotonic;
    while (rig.host.monotonic < begun + ROUNDS * SIZE * RIG_SECOND / rate) {
        rig_send(&rig, "rpc/call/count", make_text(SIZE), "r", NULL);
        rig.host.monotonic += SIZE * RIG_SECOND / rate / 4 + 1;
    }
    const uint64_t burst = 2 * rate / SIZE + 2; /* calls */
    ck_assert_uint_le((uint64_t)(parsed - before), ROUNDS + burst);
    ck_assert_uint_ge((uint64_t)(parsed - before), ROUNDS);
}
END_TEST

/* ---- rate_limit_by ---- */

static void be(const char *id, const char *user, const char *address)
{
    rig.client = (struct host_client){
        .id = id, .user = user, .address = address, .version = 5, .connection = &contexts[0]};
}

static bool call_as(const char *id, const char *user, const char *address)
{
    fake_host_forget(&rig.host);
    be(id, user, address);
    rig_send(&rig, "rpc/call/count", "{}", "r", NULL);
    return strcmp(rig_last(&rig.host.replies)->status, "ok") == 0;
}

START_TEST(fresh_ids_do_not_help)
{
    char id[16];
    rig.options.rate_limit = rig.options.rate_burst = 1;
    rig.options.rate_limit_by = (int)_i;
    start();
    ck_assert(call_as("a", "u", "192.0.2.1"));
    int passed = 0;
    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof id, "%d", i);
        passed += call_as(id, "u", "192.0.2.1");
    }
    ck_assert_int_eq(passed, _i == ACCOUNTS_BY_CLIENT ? 50 : 0);
    ck_assert_int_eq(call_as("b", "v", "192.0.2.1"), _i != ACCOUNTS_BY_ADDRESS);
    ck_assert_int_eq(call_as("c", "u", "192.0.2.2"), _i != ACCOUNTS_BY_USER);
    ck_assert(call_as("d", "w", "192.0.2.3"));
}
END_TEST

UNIT_MAIN("rates", open_rig, close_rig, {what_is_refused_is_not_parsed, UNIT_ROWS(refusals)},
          {what_is_too_large_is_limited, 0}, {what_may_be_for_others_is_not_parsed, 0},
          {copies_are_answered_and_not_parsed, UNIT_ROWS(copies)}, {others_are_refused, 0},
          {bytes_are_limited, 0}, {any_rate_of_bytes, UNIT_ROWS(byte_rates)}, {fresh_ids_do_not_help, 3})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Errors of the engine's own on their way: each error in each style of calling either reaches its caller in
 * the envelope of the style, or is announced with the caller's client id; and it is logged once. Then what
 * their messages say.
 */
#include "lab.h"
#include "unit.h"
#include "works.h"

#include "base/status.h"
#include "call/engine_parts.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;

static void open_rig(void)
{
    works_init(&rig);
}

static void close_rig(void)
{
    rig_close(&rig);
}

/* ---- All errors in all styles ---- */

enum cause {
    BROKEN,     /* the payload is cut off by its last byte */
    NUL_BEHIND, /* the payload has a NUL at its end */
    HUGE_SIZE,  /* the payload is over max_payload */
    RETURNED,   /* the handler returns the status */
    BAD_TIMEOUT,
    BAD_PARAMS,
    LARGE_RESULT,
    OVER_RATE,
    UNKNOWN
};

static const struct cause_row {
    enum cause cause;
    rpc_status status;
    const char *method, *params;
} causes[] = {
    {BROKEN, RPC_PARSE_ERROR, "bare", "{}"},
    {NUL_BEHIND, RPC_PARSE_ERROR, "bare", "{}"},
    {HUGE_SIZE, RPC_PAYLOAD_TOO_LARGE, "bare", "{}"},
    {BAD_TIMEOUT, RPC_INVALID_REQUEST, "half", "{}"},
    {UNKNOWN, RPC_METHOD_NOT_FOUND, "nope", "{}"},
    {BAD_PARAMS, RPC_INVALID_PARAMS, "bare", "{\"n\":\"x\"}"},
    {RETURNED, RPC_INTERNAL_ERROR, "bare", "{}"},
    {RETURNED, RPC_TIMEOUT, "bare", "{}"},
    {RETURNED, RPC_CANCELLED, "bare", "{}"},
    {RETURNED, RPC_OVERLOADED, "bare", "{}"},
    {OVER_RATE, RPC_RATE_LIMITED, "bare", "{}"},
    {LARGE_RESULT, RPC_REPLY_TOO_LARGE, "bare", "{}"},
};

enum way { SINGLE, ITEMS, JSONRPC_ITEMS };

#define JSONRPC "{\"jsonrpc\":\"2.0\",\"id\":\"a:1\",\"method\":\"%1$s\",\"params\":%2$s}"

/* %1$s: the method; %2$s: its parameters. */
static const struct style {
    const char *name, *topic, *payload;
    const char *response_topic; /* NULL: none */
    enum way way;
    const char *replies; /* the topic of the reply; NULL: there is none */
    const char *whole;   /* how the reply to all of the message begins if that fails */
    const char *items;   /* how the reply to a batch begins */
} styles[] = {
    {"nothing", "rpc/call/%1$s", "%2$s", NULL, SINGLE, NULL, NULL, NULL},
    {"Response Topic", "rpc/call/%1$s", "%2$s", "r", SINGLE, "r", "{\"method\":", NULL},
    {"request_id", "rpc/call/%1$s", "{\"request_id\":\"7\",\"n\":%3$s}", NULL, SINGLE,
     "rpc/call/%1$s/response/7", "{\"request_id\":\"7\",\"error\":{\"method\":", NULL},
    {"number", "rpc/call/%1$s", "{\"request_id\":7.0,\"n\":%3$s}", NULL, SINGLE, "rpc/call/%1$s/response/7.0",
     "{\"request_id\":7.0,\"error\":{\"method\":", NULL},
    {"JSON-RPC", "rpc/call/%1$s", JSONRPC, NULL, SINGLE, "rpc/call/%1$s/response/a",
     "{\"jsonrpc\":\"2.0\",\"id\":\"a:1\",\"error\":{\"code\":", NULL},
    {"JSON-RPC at request", "rpc/call/%1$s/request", JSONRPC, NULL, SINGLE, "rpc/call/%1$s/response/a",
     "{\"jsonrpc\":\"2.0\",\"id\":\"a:1\",\"error\":{\"code\":", NULL},
    {"JSON-RPC at the endpoint", "rpc/jsonrpc", JSONRPC, NULL, SINGLE, "rpc/jsonrpc/response/a",
     "{\"jsonrpc\":\"2.0\",\"id\":\"a:1\",\"error\":{\"code\":", NULL},
    {"JSON-RPC with a Response Topic", "rpc/call/%1$s", JSONRPC, "r", SINGLE, "r",
     "{\"jsonrpc\":\"2.0\",\"id\":", NULL},
    {"batch of nothing", "rpc/batch/%1$s", "[%2$s,%2$s]", NULL, ITEMS, NULL, NULL, NULL},
    {"batch with a Response Topic", "rpc/batch/%1$s", "[%2$s,%2$s]", "r", ITEMS, "r",
     "{\"method\":", "[{\"error\":{\"method\":"},
    {"batch by request_id", "rpc/batch/%1$s", "{\"request_id\":\"7\",\"calls\":[%2$s,%2$s]}", NULL, ITEMS,
     "rpc/call/%1$s/response/7",
     "{\"request_id\":\"7\",\"error\":{\"method\":", "{\"request_id\":\"7\",\"result\":[{\"error\":"},
    {"batch by number", "rpc/batch/%1$s", "{\"request_id\":-1e2,\"calls\":[%2$s,%2$s]}", NULL, ITEMS,
     "rpc/call/%1$s/response/-1e2",
     "{\"request_id\":-1e2,\"error\":{\"method\":", "{\"request_id\":-1e2,\"result\":[{\"error\":"},
    {"JSON-RPC batch", "rpc/call/%1$s", "[" JSONRPC "," JSONRPC "]", NULL, JSONRPC_ITEMS,
     "rpc/call/%1$s/response/a", "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":",
     "[{\"jsonrpc\":\"2.0\",\"id\":\"a:1\",\"error\":"},
    {"JSON-RPC batch at request", "rpc/call/%1$s/request", "[" JSONRPC "," JSONRPC "]", NULL, JSONRPC_ITEMS,
     "rpc/call/%1$s/response/a", "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":",
     "[{\"jsonrpc\":\"2.0\",\"id\":\"a:1\",\"error\":"},
    {"JSON-RPC batch at the endpoint", "rpc/jsonrpc", "[" JSONRPC "," JSONRPC "]", NULL, JSONRPC_ITEMS,
     "rpc/jsonrpc/response/a", "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":",
     "[{\"jsonrpc\":\"2.0\",\"id\":\"a:1\",\"error\":"},
};

static const struct cause_row *now; /* what the handler is to do */

static rpc_status misbehave(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    if (now->cause != LARGE_RESULT)
        return now->status;
    ((struct works_result *)result)->by = rpc_printf(call, "%01000d", 1);
    return RPC_OK;
}

static rpc_status never_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)call, (void)state, (void)data, (void)result;
    return outcome;
}

/* The formats take their arguments by number, and not all of them. */
static void fill(char out[FAKE_TEXT], const char *format, const struct cause_row *row)
{
    const char *n = strchr(row->params, ':');
    char value[32] = "0";
    if (n)
        snprintf(value, sizeof value, "%.*s", (int)strlen(n + 1) - 1, n + 1);
    const char *const arguments[] = {row->method, row->params, value};
    size_t used = 0;
    for (const char *c = format; *c; c++) {
        if (c[0] == '%' && c[1] >= '1' && c[1] <= '3') {
            used += (size_t)snprintf(out + used, FAKE_TEXT - used, "%s", arguments[c[1] - '1']);
            c += 3;
        } else {
            out[used++] = *c;
        }
    }
    out[used] = '\0';
}

static void send_wrong(const struct cause_row *row, const struct style *style)
{
    char payload[FAKE_TEXT], topic[FAKE_TEXT];
    fill(payload, style->payload, row);
    fill(topic, style->topic, row);
    size_t size = strlen(payload);
    if (row->cause == BROKEN)
        payload[--size] = '\0';
    if (row->cause == NUL_BEHIND)
        size++;
    if (row->cause == HUGE_SIZE) {
        memmove(payload + size + 499, payload + size - 1, 1); /* the last bracket, behind much space */
        memset(payload + size - 1, ' ', 500);
        size += 500;
        payload[size] = '\0';
    }
    struct host_message message = rig_message(&rig, topic, payload);
    message.size = size;
    message.response_topic = style->response_topic;
    rig_receive(rig.engine, &message);
}

static bool fails_as_a_whole(const struct cause_row *row, const struct style *style)
{
    return style->way == SINGLE || row->cause == BROKEN || row->cause == NUL_BEHIND ||
           row->cause == HUGE_SIZE || row->cause == OVER_RATE || row->cause == LARGE_RESULT ||
           (row->cause == UNKNOWN && style->way == ITEMS);
}

static void expect_arrival(const struct cause_row *row, const struct style *style)
{
    char topic[FAKE_TEXT], err[64];
    const char *name = status_name(row->status);
    const bool is_whole = fails_as_a_whole(row, style);
    const char *head = is_whole ? style->whole : style->items;
    fill(topic, style->replies, row);
    ck_assert_msg(rig.host.replies.count == 1, "%s: %s: %zu replies", style->name, name,
                  rig.host.replies.count);
    const struct fake_message *reply = rig_last(&rig.host.replies);
    ck_assert_str_eq(reply->topic, topic);
    ck_assert_str_eq(reply->client, "tester");
    ck_assert_str_eq(reply->status, is_whole ? name : "ok");
    ck_assert_msg(strncmp(reply->text, head, strlen(head)) == 0, "%s: %s", style->name, reply->text);
    snprintf(err, sizeof err, "\"err\":\"%s\",\"msg\":", name);
    ck_assert_msg(strstr(reply->text, err), "%s: %s", style->name, reply->text);
    ck_assert_ptr_null(strstr(reply->text, "\"client\""));
    ck_assert_uint_eq(rig.host.events.count, 0);
}

static void expect_announcement(const struct cause_row *row, const struct style *style)
{
    char err[64];
    const bool is_told = row->status != RPC_METHOD_NOT_FOUND;
    ck_assert_uint_eq(rig.host.replies.count, 0);
    const size_t count = !is_told ? 0 : fails_as_a_whole(row, style) ? 1 : 2;
    ck_assert_msg(rig.host.events.count == count, "%s: %s: %zu events", style->name, status_name(row->status),
                  rig.host.events.count);
    if (!is_told)
        return;
    snprintf(err, sizeof err, "\"err\":\"%s\",\"msg\":", status_name(row->status));
    const struct fake_message *event = rig_last(&rig.host.events);
    ck_assert_str_eq(event->topic, "rpc/event/error");
    ck_assert_ptr_nonnull(strstr(event->text, err));
    ck_assert_ptr_nonnull(strstr(event->text, ",\"client\":\"tester\"}"));
}

static void expect_one_line(const struct cause_row *row, const struct style *style)
{
    char line[128];
    const bool is_endpoint_as_such = strcmp(style->topic, "rpc/jsonrpc") == 0;
    ck_assert_msg(rig.host.line_count == 1, "%s: %s: %zu lines", style->name, status_name(row->status),
                  rig.host.line_count);
    ck_assert_int_eq(rig.host.lines[0].level, row->status == RPC_CANCELLED ? RPC_LOG_DEBUG : RPC_LOG_WARNING);
    ck_assert_ptr_eq(strstr(rig.host.lines[0].text, "rpc: client tester called "), rig.host.lines[0].text);
    snprintf(line, sizeof line, ": %s: ", status_name(row->status));
    ck_assert_msg(strstr(rig.host.lines[0].text, line), "%s", rig.host.lines[0].text);
    if (!is_endpoint_as_such)
        ck_assert_ptr_nonnull(strstr(rig.host.lines[0].text, row->method));
}

static void walk(const struct cause_row *row, const struct style *style)
{
    now = row;
    rig.options.max_payload = 400;
    rig.options.max_reply = 700;
    works_hooks = (struct works_hooks){.run = misbehave, .done = never_done};
    rig.host.property = row->cause == BAD_TIMEOUT ? "timeout-ms" : NULL;
    rig.host.value = "never";
    if (row->cause == OVER_RATE)
        rig.options.rate_limit = rig.options.rate_burst = 1;
    works_open(&rig);
    if (row->cause == OVER_RATE)
        rig_publish(&rig, "rpc/call/now", "");
    fake_host_forget(&rig.host);
    send_wrong(row, style);
    /* Without a caller who asked, a result that is not announced is not even written. */
    if (row->cause == LARGE_RESULT && !style->replies)
        return;
    if (style->replies)
        expect_arrival(row, style);
    else
        expect_announcement(row, style);
    expect_one_line(row, style);
}

START_TEST(errors_find_their_way)
{
    walk(&causes[_i / UNIT_ROWS(styles)], &styles[_i % UNIT_ROWS(styles)]);
}
END_TEST

/* With replies to subscribers they go below the client's own topic. */
START_TEST(errors_find_their_way_to_subscribers)
{
    const struct style *style = &styles[2 + _i];
    if (!style->replies || style->response_topic)
        return;
    rig.options.reply_delivery = DELIVERY_SUBSCRIBED;
    works_open(&rig);
    send_wrong(&causes[0], style);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    const char *token = strstr(style->replies, "/response/") + strlen("/response/");
    char topic[64];
    snprintf(topic, sizeof topic, "rpc/reply/tester/%s", token);
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, topic);
}
END_TEST

/* ---- JSON-RPC whose id cannot be read ---- */

static const struct unread {
    const char *topic, *payload, *status, *replies;
} unread[] = {
    {"rpc/call/bare/request", "{\"jsonrpc\":\"2.0\",\"id\":\"cut o", "parse_error",
     "rpc/call/bare/response/null"},
    {"rpc/call/bare/request", "nonsense", "parse_error", "rpc/call/bare/response/null"},
    {"rpc/call/bare/request", "", "parse_error", "rpc/call/bare/response/null"},
    {"rpc/call/bare/request", "{}", "invalid_request", "rpc/call/bare/response/null"},
    {"rpc/call/bare/request", "[]", "invalid_request", "rpc/call/bare/response/null"},
    {"rpc/call/bare/request", "[1]", "ok", "rpc/call/bare/response/null"},
    {"rpc/call/bare/request", "{\"jsonrpc\":\"2.0\",\"method\":\"bare\",\"id\":[1]}", "invalid_request",
     "rpc/call/bare/response/null"},
    {"rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"id\":\"cut o", "parse_error", "rpc/jsonrpc/response/null"},
    {"rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"id\":\"a\\u0000b\",", "parse_error", "rpc/jsonrpc/response/null"},
    {"rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"id\":1e999,", "parse_error", "rpc/jsonrpc/response/null"},
    {"rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"id\":true,", "parse_error", "rpc/jsonrpc/response/null"},
    {"rpc/jsonrpc", "\xFF", "parse_error", "rpc/jsonrpc/response/null"},
    {"rpc/jsonrpc", "5", "invalid_request", "rpc/jsonrpc/response/null"},
    {"rpc/jsonrpc", "[]", "invalid_request", "rpc/jsonrpc/response/null"},
    {"rpc/jsonrpc", "[{\"jsonrpc\":\"2.0\",\"id\":{}}]", "ok", "rpc/jsonrpc/response/null"},
    {"rpc/call/bare", "{\"jsonrpc\":\"2.0\",\"id\":\"cut o", "parse_error", "rpc/call/bare/response/null"},
    {"rpc/call/bare", "{\"jsonrpc\":\"2.0\"}", "invalid_request", "rpc/call/bare/response/null"},
    {"rpc/call/nope", "{\"jsonrpc\":\"2.0\",\"id\":", "method_not_found", "rpc/call/nope/response/null"},
};

START_TEST(unread_ids_are_null)
{
    const struct unread *row = &unread[_i];
    works_open(&rig);
    rig_publish(&rig, row->topic, row->payload);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    const struct fake_message *reply = rig_last(&rig.host.replies);
    ck_assert_str_eq(reply->topic, row->replies);
    ck_assert_str_eq(reply->status, row->status);
    ck_assert_ptr_nonnull(strstr(reply->text, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":"));
    ck_assert_uint_eq(rig.host.events.count, 0);
    ck_assert_uint_eq(rig.host.line_count, 1);
}
END_TEST

/* An id that can be read comes back, also where it makes no topic. */
START_TEST(read_ids_come_back)
{
    static const struct {
        const char *payload, *topic, *id;
    } rows[] = {
        {"{\"jsonrpc\":\"2.0\",\"id\":\"a+b:1\",", "rpc/jsonrpc/response/null", "\"a+b:1\""},
        {"{\"jsonrpc\":\"2.0\",\"id\":1.50,", "rpc/jsonrpc/response/1.50", "1.50"},
        {"{\"jsonrpc\":\"2.0\",\"id\":1e+3,", "rpc/jsonrpc/response/1e3", "1e+3"},
        {"{\"jsonrpc\":\"2.0\",\"id\":12345678901234567890,", "rpc/jsonrpc/response/12345678901234567890",
         "12345678901234567890"},
        {"{\"jsonrpc\":\"2.0\",\"id\":\"\\u00e4\\\"\",", "rpc/jsonrpc/response/\xC3\xA4\"",
         "\"\xC3\xA4\\\"\""},
        {"{\"jsonrpc\":\"2.0\",\"id\":null,", "rpc/jsonrpc/response/null", "null"},
    };
    char head[128];
    works_open(&rig);
    rig_publish(&rig, "rpc/jsonrpc", rows[_i].payload);
    snprintf(head, sizeof head, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":{\"code\":-32700,", rows[_i].id);
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, rows[_i].topic);
    ck_assert_ptr_eq(strstr(rig_last(&rig.host.replies)->text, head), rig_last(&rig.host.replies)->text);
}
END_TEST

/* With a Response Topic the id is null where the text is no JSON, and comes back where it is only too large.
 */
START_TEST(ids_beside_a_response_topic)
{
    rig.options.max_payload = 60;
    works_open(&rig);
    rig_send(&rig, "rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"id\":7} x", "r", NULL);
    ck_assert_ptr_nonnull(
        strstr(rig_last(&rig.host.replies)->text, "\"id\":null,\"error\":{\"code\":-32700,"));
    rig_send(&rig, "rpc/jsonrpc",
             "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"bare\",\"params\":[1,2,3,4,5,6,7]}", "r", NULL);
    ck_assert_ptr_nonnull(strstr(rig_last(&rig.host.replies)->text, "\"id\":7,\"error\":{\"code\":-32004,"));
}
END_TEST

/* Plain calls whose request_id cannot be read are announced, and nothing else is mistaken for one. */
START_TEST(unread_request_ids_are_announced)
{
    static const char *const payloads[] = {"{\"request_id\":\"cut o",        "{\"request_id\":12",
                                           "{\"request_id\":null,",          "{\"request_id\":\"+\",",
                                           "{\"a\":{\"request_id\":\"x\"},", "[{\"request_id\":\"x\"},",
                                           "{\"request_id\":\"\\u0000\",",   "{\"id\":\"x\",",
                                           "{\"request_id\":1e999,"};
    works_open(&rig);
    rig_publish(&rig, "rpc/call/bare", payloads[_i]);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(rig.host.events.count, 1);
    ck_assert_ptr_nonnull(strstr(rig_last(&rig.host.events)->text, "\"err\":\"parse_error\""));
    ck_assert_ptr_nonnull(strstr(rig_last(&rig.host.events)->text, "\"client\":\"tester\""));
    ck_assert_uint_eq(rig.host.line_count, 1);
}
END_TEST

/* ---- The log ---- */

/* A client can cause no more lines than other lines' limit lets through, and hostile ids are printable. */
START_TEST(errors_cannot_fill_the_log)
{
    rig.client.id = "\x1B[2J\xFF";
    works_open(&rig);
    for (int i = 0; i < 1000; i++)
        rig_publish(&rig, "rpc/call/bare", "{");
    ck_assert_uint_eq(rig.host.line_count, 10);
    ck_assert_ptr_nonnull(strstr(rig.host.lines[0].text, "client \\x1B[2J\\xFF called bare: parse_error: "));
    ck_assert_ptr_nonnull(strstr(rig.host.events.kept[0].text, "\"client\":\"\\\\x1B[2J\\\\xFF\"}"));
}
END_TEST

/* Nor can it keep the lines of others from the log, or hide its error behind what it chose itself. */
START_TEST(errors_hide_no_lines)
{
    char id[200], method[200], topic[256];
    memset(id, 0xC3, sizeof id - 1);
    memset(method, 0xC3, sizeof method - 1);
    id[sizeof id - 1] = method[sizeof method - 1] = '\0';
    snprintf(topic, sizeof topic, "rpc/call/%s", method);
    rig.client.id = id;
    works_open(&rig);
    for (int i = 0; i < 1000; i++)
        rig_publish(&rig, topic, "{");
    ck_assert(fake_host_logged(&rig.host, ": method_not_found: there is no method "));
    env_log(&rig.engine->env, RPC_LOG_WARNING, "something else");
    ck_assert(fake_host_logged(&rig.host, "something else"));
}
END_TEST

START_TEST(correlation_without_a_topic_is_debugged)
{
    works_open(&rig);
    rig_send(&rig, "rpc/call/now", "{}", NULL, "c");
    ck_assert_uint_eq(rig.host.line_count, 1);
    ck_assert_int_eq(rig.host.lines[0].level, RPC_LOG_DEBUG);
    ck_assert(fake_host_logged(&rig.host,
                               "client tester called rpc/call/now with Correlation Data and without a "
                               "Response Topic"));
    ck_assert_uint_eq(rig.host.events.count, 1);
}
END_TEST

/* A batch whose items fail and whose reply does not fit has both said, and each once. */
START_TEST(a_batch_that_fails_twice)
{
    rig.options.max_reply = 100;
    works_open(&rig);
    rig_send(&rig, "rpc/batch/now", "[1,2,3,4,5,6]", "r", NULL);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "reply_too_large");
    ck_assert_uint_eq(rig.host.line_count, 2);
    ck_assert_ptr_nonnull(strstr(rig.host.lines[0].text, "called now in a batch: invalid_params: "));
    ck_assert_ptr_nonnull(strstr(rig.host.lines[1].text, "called now: reply_too_large: "));
}
END_TEST

/* ---- timeout_ms ---- */

static const struct beside {
    const char *topic, *payload, *status, *tail; /* tail: of the reply, if its status is not ok */
} besides[] = {
    {"rpc/call/wait", "{\"request_id\":1,\"timeout_ms\":5000}", "timeout", "\"}}"},
    {"rpc/batch/wait", "{\"request_id\":1,\"timeout_ms\":5000,\"calls\":[{}]}", "ok", "\"}}]}"},
    {"rpc/call/wait", "{\"request_id\":1,\"timeout_ms\":0}", "invalid_request",
     "\"msg\":\"timeout_ms must be a whole number of 1 to 60000 (timeout_max)\"}}"},
    {"rpc/call/wait", "{\"request_id\":1,\"timeout_ms\":60001}", "invalid_request", "(timeout_max)\"}}"},
    {"rpc/call/wait", "{\"request_id\":1,\"timeout_ms\":-1}", "invalid_request", "(timeout_max)\"}}"},
    {"rpc/call/wait", "{\"request_id\":1,\"timeout_ms\":1.5}", "invalid_request", "(timeout_max)\"}}"},
    {"rpc/call/wait", "{\"request_id\":1,\"timeout_ms\":1e99}", "invalid_request", "(timeout_max)\"}}"},
    {"rpc/call/wait", "{\"request_id\":1,\"timeout_ms\":\"5000\"}", "invalid_request", "(timeout_max)\"}}"},
    {"rpc/call/wait", "{\"request_id\":1,\"timeout_ms\":null}", "invalid_request", "(timeout_max)\"}}"},
};

/* The deadline of 5 s is the caller's own: that of the option is 10 s. */
START_TEST(timeouts_beside_a_request_id)
{
    const struct beside *row = &besides[_i];
    works_open(&rig);
    rig_publish(&rig, row->topic, row->payload);
    rig.host.monotonic += 6 * RIG_SECOND;
    engine_tick(rig.engine);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    const struct fake_message *reply = rig_last(&rig.host.replies);
    ck_assert_str_eq(reply->status, row->status);
    ck_assert_str_eq(reply->text + reply->size - strlen(row->tail), row->tail);
    ck_assert(_i > 1 || strstr(reply->text, "\"err\":\"timeout\""));
}
END_TEST

/* Without a request_id, and with a Response Topic, it is a member like others. */
START_TEST(timeouts_beside_nothing)
{
    works_open(&rig);
    rig_publish(&rig, "rpc/call/wait", "{\"timeout_ms\":0}");
    rig_send(&rig, "rpc/call/wait", "{\"request_id\":1,\"timeout_ms\":0}", "r", NULL);
    ck_assert_uint_eq(rig.host.replies.count + rig.host.events.count, 0);
    rig.host.monotonic += 6 * RIG_SECOND;
    engine_tick(rig.engine);
    ck_assert_uint_eq(rig.host.replies.count + rig.host.events.count, 0);
    rig.host.monotonic += 6 * RIG_SECOND;
    engine_tick(rig.engine);
    ck_assert_uint_eq(rig.host.replies.count + rig.host.events.count, 2);
}
END_TEST

/* A method that declares a parameter of the name gets it. */
struct own {
    int32_t timeout_ms;
};

static const rpc_field own_fields[] = {RPC_INT32(struct own, timeout_ms, .doc = "its own", .range = {7, 8})};
static const rpc_shape own_shape = RPC_OBJECT_SHAPE(struct own, own_fields);
struct own_value {
    struct own own;
};

static const rpc_field own_value[] = {
    RPC_OBJECT(struct own_value, own, struct own, .doc = "all", .shape = &own_shape)};
static const rpc_shape own_value_shape = {RPC_FORM_VALUE, sizeof(struct own), own_value, 1, NULL};

static rpc_status give_timeout(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state;
    *(struct own *)result = *(const struct own *)params;
    return RPC_OK;
}

static const rpc_method own_methods[] = {
    {.name = "own", .doc = "", .params = &own_shape, .result = &own_shape, .run = give_timeout},
    {.name = "own.value", .doc = "", .params = &own_value_shape, .result = &own_shape, .run = give_timeout},
};
static const rpc_module owns = {.name = "owns", .doc = "", .methods = RPC_TABLE(own_methods)};

START_TEST(timeouts_of_the_methods_own)
{
    rig_start(&rig);
    rig_add(&rig, &owns, NULL);
    for (int i = 0; i < 2; i++) {
        fake_host_forget(&rig.host);
        rig_publish(&rig, i ? "rpc/call/own.value" : "rpc/call/own", "{\"request_id\":1,\"timeout_ms\":7}");
        ck_assert_str_eq(rig_last(&rig.host.replies)->text,
                         "{\"request_id\":1,\"result\":{\"timeout_ms\":7}}");
    }
}
END_TEST

/* ---- What the messages say ---- */

/* Sends a call with a Response Topic; the reply must be this error with this message. */
static void expect_message(const char *topic, const char *payload, const char *err, const char *msg)
{
    char text[512];
    fake_host_forget(&rig.host);
    rig_send(&rig, topic, payload, "r", NULL);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, err);
    snprintf(text, sizeof text, "\"msg\":\"%s\"", msg);
    ck_assert_msg(strstr(rig_last(&rig.host.replies)->text, text), "%s", rig_last(&rig.host.replies)->text);
}

#define CLOSED " is not open at rpc/jsonrpc: the option jsonrpc_methods opens methods there"

START_TEST(unknown_methods_are_named)
{
    rig.options.jsonrpc_methods = "now";
    works_open(&rig);
    rig_open_methods(&rig);
    expect_message("rpc/call/nope", "", "method_not_found", "there is no method nope");
    expect_message("rpc/call/Bare", "", "method_not_found", "there is no method Bare, did you mean bare?");
    expect_message("rpc/call/work/brief", "", "method_not_found",
                   "there is no method work/brief, did you mean work.brief?");
    expect_message("rpc/batch/byte", "[]", "method_not_found",
                   "there is no method byte, did you mean bytes?");
    expect_message("rpc/call/x\x01", "", "method_not_found", "there is no method x\\\\x01");
    /* At the endpoint the error does not show whether a method is closed or does not exist. */
    expect_message("rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"bare\"}", "method_not_found",
                   "bare" CLOSED);
    expect_message("rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"bara\"}", "method_not_found",
                   "bara" CLOSED);
    expect_message("rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"Now\"}", "method_not_found",
                   "Now" CLOSED ", did you mean now?");
}
END_TEST

/* Looking for the nearest of many methods has a limit: of 2,000 the first 256 are looked at. */
START_TEST(the_nearest_of_many)
{
    enum { MANY = 2000 };
    static char names[MANY][32];
    static rpc_method methods[MANY];
    static const rpc_module module = {.name = "many", .doc = "", .methods = RPC_TABLE(methods)};
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "building/floor/room%04d", i);
        methods[i] = (rpc_method){.name = names[i], .doc = "", .run = misbehave};
    }
    rig_start(&rig);
    rig_add(&rig, &module, NULL);
    expect_message("rpc/call/building/flor/room0007", "", "method_not_found",
                   "there is no method building/flor/room0007, did you mean building/floor/room0007?");
    expect_message("rpc/call/house/hall7", "", "method_not_found", "there is no method house/hall7");
}
END_TEST

START_TEST(undeclared_members_are_refused)
{
    static struct lab_options lab_options;
    rig.options.undeclared = UNDECLARED_REFUSE;
    rig.options.jsonrpc_methods = "*";
    lab_start(&rig, &lab_options, NULL);
    rig_open_methods(&rig);
    expect_message("rpc/call/subtract", "{\"minuend\":1,\"subtrahent\":2}", "invalid_params",
                   "subtrahent is not declared, did you mean subtrahend?");
    expect_message("rpc/call/count", "{\"x\":1}", "invalid_params",
                   "x is not declared: the method takes no parameters");
    expect_message("rpc/batch/count", "[{},{\"x\":1}]", "ok",
                   "x is not declared: the method takes no parameters");
    expect_message("rpc/jsonrpc",
                   "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subtract\",\"params\":{\"minuent\":1}}",
                   "invalid_params", "minuent is not declared, did you mean minuend?");
    expect_message("rpc/call/count", "{\"request_id\":\"x\"}", "invalid_params",
                   "request_id is not declared: the method takes no parameters");
    /* What says where the reply goes is no parameter. */
    fake_host_forget(&rig.host);
    rig_tell(&rig, "get", "{\"request_id\":\"x\",\"timeout_ms\":5}");
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok");
    rig_expect(&rig, "subtract", "{\"minuend\":3,\"subtrahend\":2}", "ok", "1");
    rig_expect(&rig, "nothing", "{}", "ok", "{}");
}
END_TEST

static const rpc_method strict_methods[] = {
    {.name = "strict",
     .doc = "",
     .strict = true,
     .params = &own_shape,
     .result = &own_shape,
     .run = give_timeout},
    {.name = "loose", .doc = "", .params = &own_shape, .result = &own_shape, .run = give_timeout},
    {.name = "strict.value",
     .doc = "",
     .strict = true,
     .params = &own_value_shape,
     .result = &own_shape,
     .run = give_timeout},
};
static const rpc_module stricts = {.name = "stricts", .doc = "", .methods = RPC_TABLE(strict_methods)};

START_TEST(strict_methods_refuse_by_themselves)
{
    rig_start(&rig);
    rig_add(&rig, &stricts, NULL);
    expect_message("rpc/call/strict", "{\"timeout_ms\":7,\"timeout\":7}", "invalid_params",
                   "timeout is not declared");
    expect_message("rpc/batch/strict", "[{\"timeout_ms\":7},{\"timeout_ms\":7,\"timeout_sm\":7}]", "ok",
                   "timeout_sm is not declared, did you mean timeout_ms?");
    expect_message("rpc/call/strict.value", "{\"timeout_ms\":7,\"timeoutms\":7}", "invalid_params",
                   "own.timeoutms is not declared, did you mean timeout_ms?");
    rig_expect(&rig, "loose", "{\"timeout_ms\":7,\"timeout\":7}", "ok", "{\"timeout_ms\":7}");
}
END_TEST

UNIT_MAIN("errors", open_rig, close_rig, {errors_find_their_way, UNIT_ROWS(causes) * UNIT_ROWS(styles)},
          {errors_find_their_way_to_subscribers, UNIT_ROWS(styles) - 2},
          {unread_ids_are_null, UNIT_ROWS(unread)}, {read_ids_come_back, 6}, {ids_beside_a_response_topic, 0},
          {unread_request_ids_are_announced, 9}, {errors_cannot_fill_the_log, 0}, {errors_hide_no_lines, 0},
          {correlation_without_a_topic_is_debugged, 0}, {a_batch_that_fails_twice, 0},
          {timeouts_beside_a_request_id, UNIT_ROWS(besides)}, {timeouts_beside_nothing, 0},
          {timeouts_of_the_methods_own, 0}, {unknown_methods_are_named, 0}, {the_nearest_of_many, 0},
          {undeclared_members_are_refused, 0}, {strict_methods_refuse_by_themselves, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/call/jsonrpc.c, and JSON-RPC in exchange.c, route.c and answer.c (docs/clients.md): the examples
 * of the JSON-RPC 2.0 specification on our topics, ids and tokens, the spellings of a method, the error
 * codes, batches, notifications and open methods.
 */
#include "lab.h"
#include "unit.h"

#include "base/status.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;
static struct lab_options options;

static void open_rig(void)
{
    rig_init(&rig);
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

#define REQUEST(id, method, params) \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\",\"params\":" params "}"
#define NOTIFICATION(method) "{\"jsonrpc\":\"2.0\",\"method\":\"" method "\"}"
#define RESULT(id, result) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":" result "}"
#define ERROR(id, code, method, err, msg)                                                      \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":" code ",\"message\":\"" msg "\"," \
    "\"data\":{\"method\":\"" method "\",\"err\":\"" err "\",\"msg\":\"" msg "\"}}}"
#define NOT_FOUND(id, method) ERROR(id, "-32601", method, "method_not_found", "there is no method " method)
#define NOT_OPEN_BUT(id, method, more)              \
    ERROR(id, "-32601", method, "method_not_found", \
          method " is not open at rpc/jsonrpc: the option jsonrpc_methods opens methods there" more)
#define NOT_OPEN(id, method) NOT_OPEN_BUT(id, method, "")
#define INVALID(id, method, msg) ERROR(id, "-32600", method, "invalid_request", msg)
#define NO_OBJECT "the request is no object"
#define NO_VERSION "the request has no member jsonrpc that is \\\"2.0\\\""
#define NO_METHOD "the request has no member method that is a string"
#define OTHER_METHOD "the request's method is not the one that the topic names"
#define BAD_TOKEN                                                                                            \
    "the call has a JSON-RPC id whose token cannot be part of a topic (at most 256 bytes, no +, #, control " \
    "characters)"
#define BAD_ID "the request has an id that is too long, or no string, finite number or null"

/* ---- The examples of the specification, section 7 ---- */

static const struct example {
    const char *payload;
    const char *status; /* of the reply; NULL: there is none */
    const char *text;
} examples[] = {
    /* Positional parameters. */
    {REQUEST("1", "subtract", "[42,23]"), "ok", RESULT("1", "19")},
    {REQUEST("2", "subtract", "[23,42]"), "ok", RESULT("2", "-19")},
    /* Named parameters. */
    {REQUEST("3", "subtract", "{\"subtrahend\":23,\"minuend\":42}"), "ok", RESULT("3", "19")},
    {REQUEST("4", "subtract", "{\"minuend\":42,\"subtrahend\":23}"), "ok", RESULT("4", "19")},
    /* Notifications. */
    {"{\"jsonrpc\":\"2.0\",\"method\":\"subtract\",\"params\":[1,2]}", NULL, NULL},
    {NOTIFICATION("foobar"), NULL, NULL},
    /* A method that does not exist. */
    {"{\"jsonrpc\":\"2.0\",\"method\":\"foobar\",\"id\":\"1\"}", "method_not_found",
     NOT_OPEN("\"1\"", "foobar")},
    /* An invalid request. */
    {"{\"jsonrpc\":\"2.0\",\"method\":1,\"params\":\"bar\"}", "invalid_request",
     INVALID("null", "", NO_METHOD)},
    /* Batches: none, invalid ones, all sorts of them. */
    {"[]", "invalid_request", INVALID("null", "", "the batch is empty")},
    {"[1]", "ok", "[" INVALID("null", "", NO_OBJECT) "]"},
    {"[1,2,3]", "ok",
     "[" INVALID("null", "", NO_OBJECT) "," INVALID("null", "", NO_OBJECT) "," INVALID("null", "",
                                                                                       NO_OBJECT) "]"},
    {"[" REQUEST("\"1\"", "value", "[7]") "," NOTIFICATION("count") "," REQUEST(
         "\"2\"", "subtract", "[42,23]") ",{\"foo\":\"boo\"},"
                                         "{\"jsonrpc\":\"2.0\",\"method\":\"foo.get\",\"params\":{\"name\":"
                                         "\"myself\"},\"id\":\"5\"},"
                                         "{\"jsonrpc\":\"2.0\",\"method\":\"get\",\"id\":\"9\"}]",
     "ok",
     "[" RESULT("\"1\"", "7") "," RESULT("\"2\"", "19") "," INVALID("null", "", NO_VERSION) "," NOT_OPEN(
         "\"5\"", "foo.get") "," RESULT("\"9\"", "{\"n\":1}") "]"},
    {"[" NOTIFICATION("count") "," NOTIFICATION("get") "]", NULL, NULL},
};

static void expect_reply(const char *topic, const char *status, const char *text)
{
    ck_assert_uint_eq(rig.host.replies.count, status ? 1 : 0);
    if (!status)
        return;
    const struct fake_message *reply = rig_last(&rig.host.replies);
    ck_assert_str_eq(reply->topic, topic);
    ck_assert_str_eq(reply->text, text);
    ck_assert_str_eq(reply->status, status);
    ck_assert_str_eq(reply->client, "tester");
}

static void expect_silence(void)
{
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(rig.host.events.count, 0);
}

START_TEST(examples_at_the_endpoint)
{
    const struct example *row = &examples[_i];
    start(NULL);
    ck_assert_int_eq(rig_send(&rig, "rpc/jsonrpc", row->payload, "r", "c"), ENGINE_CONSUME);
    expect_reply("r", row->status, row->text);
    if (row->status)
        ck_assert_mem_eq(rig_last(&rig.host.replies)->correlation, "c", 1);
}
END_TEST

/* The reply to a payload that is not JSON has a message of the parser, which is not compared here. */
START_TEST(invalid_json)
{
    static const char *const payloads[] = {
        "{\"jsonrpc\":\"2.0\",\"method\":\"foobar, \"params\":\"bar\",\"baz]",
        "[{\"jsonrpc\":\"2.0\",\"method\":\"sum\",\"params\":[1,2],\"id\":\"1\"},{\"jsonrpc\"", "", " "};
    static const char *const topics[] = {"rpc/jsonrpc", "rpc/call/count/request"};
    start(NULL);
    for (int i = 0; i < 8; i++) {
        fake_host_forget(&rig.host);
        rig_send(&rig, topics[i % 2], payloads[i / 2], "r", NULL);
        const struct fake_message *reply = rig_last(&rig.host.replies);
        ck_assert_str_eq(reply->status, "parse_error");
        ck_assert_ptr_nonnull(
            strstr(reply->text, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":"));
        ck_assert_uint_eq(rig.host.events.count, 0);
    }
    /* At the topic of a method such a payload is recognised by its member jsonrpc. */
    const struct fake_message *reply = rig_ask(&rig, "count", payloads[0]);
    ck_assert_ptr_eq(strstr(reply->text, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":"), reply->text);
    reply = rig_ask(&rig, "count", "{\"jsonrpc\":\"1.0\",");
    ck_assert_ptr_eq(strstr(reply->text, "{\"method\":\"count\",\"err\":\"parse_error\""), reply->text);
}
END_TEST

/* ---- Topics where a payload is read as JSON-RPC, and the spellings of a method ---- */

#define SPELT(method) REQUEST("\"t:1\"", method, "{}")
#define SPELT_WRONG INVALID("\"t:1\"", "count", OTHER_METHOD)

static const struct place {
    const char *topic, *payload, *reply, *text; /* reply: its topic; NULL: none */
} places[] = {
    {"rpc/call/count", SPELT("count"), "rpc/call/count/response/t", RESULT("\"t:1\"", "{\"n\":1}")},
    {"rpc/call/count", SPELT("rpc/call/count"), "rpc/call/count/response/t", RESULT("\"t:1\"", "{\"n\":1}")},
    {"rpc/call/count/request", SPELT("count"), "rpc/call/count/response/t", RESULT("\"t:1\"", "{\"n\":1}")},
    {"rpc/call/count/request", SPELT("rpc/call/count"), "rpc/call/count/response/t",
     RESULT("\"t:1\"", "{\"n\":1}")},
    {"rpc/jsonrpc", SPELT("count"), "rpc/jsonrpc/response/t", RESULT("\"t:1\"", "{\"n\":1}")},
    /* Other spellings. */
    {"rpc/call/count", SPELT("get"), "rpc/call/count/response/t", SPELT_WRONG},
    {"rpc/call/count", SPELT(""), "rpc/call/count/response/t", SPELT_WRONG},
    {"rpc/call/count", SPELT("Count"), "rpc/call/count/response/t", SPELT_WRONG},
    {"rpc/call/count", SPELT("call/count"), "rpc/call/count/response/t", SPELT_WRONG},
    {"rpc/call/count", SPELT("rpc/call/counts"), "rpc/call/count/response/t", SPELT_WRONG},
    {"rpc/call/count", SPELT("rpc/call/coun"), "rpc/call/count/response/t", SPELT_WRONG},
    {"rpc/call/count", SPELT("rpc/call/count/request"), "rpc/call/count/response/t", SPELT_WRONG},
    {"rpc/call/count/request", SPELT("rpc/call/count/request"), "rpc/call/count/response/t", SPELT_WRONG},
    {"rpc/call/count/request", SPELT("rpc/call/count/"), "rpc/call/count/response/t", SPELT_WRONG},
    {"rpc/call/count/request", SPELT("rpc/call/get"), "rpc/call/count/response/t", SPELT_WRONG},
    {"rpc/jsonrpc", SPELT("rpc/call/count"), "rpc/jsonrpc/response/t", NOT_OPEN("\"t:1\"", "rpc/call/count")},
    /* A method that is not registered. */
    {"rpc/call/nope", SPELT("nope"), "rpc/call/nope/response/t", NOT_FOUND("\"t:1\"", "nope")},
    {"rpc/call/nope/request", SPELT("nope"), "rpc/call/nope/response/t", NOT_FOUND("\"t:1\"", "nope")},
    {"rpc/call/nope/request", SPELT("count"), "rpc/call/nope/response/t", NOT_FOUND("\"t:1\"", "nope")},
    /* Batches, and each item by itself. */
    {"rpc/call/count", "[" SPELT("count") "," SPELT("get") "]", "rpc/call/count/response/t",
     "[" RESULT("\"t:1\"", "{\"n\":1}") "," SPELT_WRONG "]"},
    {"rpc/call/count/request", "[" NOTIFICATION("count") "," SPELT("rpc/call/count") "]",
     "rpc/call/count/response/t", "[" RESULT("\"t:1\"", "{\"n\":2}") "]"},
    {"rpc/call/count/request", "[5," SPELT("count") "]", "rpc/call/count/response/t",
     "[" INVALID("null", "count", NO_OBJECT) "," RESULT("\"t:1\"", "{\"n\":1}") "]"},
    {"rpc/call/nope/request", "[" SPELT("nope") ",1]", "rpc/call/nope/response/t",
     "[" NOT_FOUND("\"t:1\"", "nope") "," INVALID("null", "nope", NO_OBJECT) "]"},
    /* At /request every payload is JSON-RPC, elsewhere one with a member jsonrpc. */
    {"rpc/call/count/request", "{\"id\":\"t\",\"method\":\"count\"}", "rpc/call/count/response/t",
     INVALID("\"t\"", "count", NO_VERSION)},
    {"rpc/call/count/request", "{\"id\":\"t\",\"method\":\"count\",\"jsonrpc\":\"1.0\"}",
     "rpc/call/count/response/t", INVALID("\"t\"", "count", NO_VERSION)},
    {"rpc/call/count/request", "{\"id\":\"t\",\"method\":\"count\",\"jsonrpc\":2.0}",
     "rpc/call/count/response/t", INVALID("\"t\"", "count", NO_VERSION)},
    {"rpc/call/count", "{\"id\":\"t\",\"method\":\"count\"}", NULL, NULL},
    {"rpc/call/count", "{\"id\":\"t\",\"method\":\"count\",\"jsonrpc\":\"2\"}", NULL, NULL},
    {"rpc/call/value", "4", NULL, NULL},
    {"rpc/call/count", "{\"jsonrpc\":\"2.0\",\"id\":\"t\"}", "rpc/call/count/response/t",
     INVALID("\"t\"", "count", NO_METHOD)},
    {"rpc/call/count", "{\"jsonrpc\":\"2.0\",\"id\":\"t\",\"method\":\"count\",\"params\":5}",
     "rpc/call/count/response/t",
     INVALID("\"t\"", "count", "the request has params that are neither an object nor an array")},
    {"rpc/call/count", "{\"jsonrpc\":\"2.0\",\"id\":\"t\",\"method\":\"count\",\"params\":null}",
     "rpc/call/count/response/t",
     INVALID("\"t\"", "count", "the request has params that are neither an object nor an array")},
    /* request_id has no meaning here. */
    {"rpc/call/count",
     "{\"jsonrpc\":\"2.0\",\"id\":\"t\",\"method\":\"count\",\"request_id\":\"x\",\"params\":{\"request_id\":"
     "\"x\"}}",
     "rpc/call/count/response/t", RESULT("\"t\"", "{\"n\":1}")},
};

START_TEST(methods_and_topics)
{
    const struct place *row = &places[_i];
    start(NULL);
    ck_assert_int_eq(rig_publish(&rig, row->topic, row->payload), ENGINE_CONSUME);
    ck_assert_uint_eq(rig.host.replies.count, row->reply ? 1 : 0);
    if (!row->reply)
        return;
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, row->reply);
    ck_assert_str_eq(rig_last(&rig.host.replies)->text, row->text);
    /* The same by Response Topic. */
    rig_close(&rig);
    open_rig();
    start(NULL);
    rig_send(&rig, row->topic, row->payload, "r", "");
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, "r");
    ck_assert_str_eq(rig_last(&rig.host.replies)->text, row->text);
    ck_assert(rig_last(&rig.host.replies)->has_correlation);
}
END_TEST

/* A plain call that is no JSON-RPC goes on as before. */
START_TEST(plain_calls_stay_plain)
{
    start(NULL);
    rig_expect(&rig, "count", "{\"jsonrpc\":\"2\",\"id\":1,\"method\":\"x\"}", "ok", "{\"n\":1}");
    rig_expect(&rig, "count", "{\"id\":1,\"method\":\"x\"}", "ok", "{\"n\":2}");
    ck_assert_str_eq(rig_ask(&rig, "value", "[1]")->status, "invalid_params");
}
END_TEST

/* ---- Ids and tokens ---- */

#define X16 "xxxxxxxxxxxxxxxx"
#define X128 X16 X16 X16 X16 X16 X16 X16 X16

static const struct id {
    const char *id;    /* JSON */
    const char *token; /* NULL: it has none, and without a Response Topic that of null stands for it */
    const char *echo;  /* as it comes back; NULL: unchanged */
} ids[] = {
    {"\"a:b:c\"", "a:b", NULL},
    {"\"abc\"", "abc", NULL},
    {"\"\"", "", NULL},
    {"\":\"", "", NULL},
    {"\"a:\"", "a", NULL},
    {"\":a\"", "", NULL},
    {"\"a/b/c:1\"", "a/b/c", NULL},
    {"\"\xC3\xA4\"", "\xC3\xA4", NULL},
    {"\"\\u00e4\\/\\\"\"", "\xC3\xA4/\"", "\"\xC3\xA4/\\\"\""},
    {"5", "5", NULL},
    {"-17", "-17", NULL},
    {"0", "0", NULL},
    {"9007199254740993", "9007199254740993", NULL},
    {"123456789012345678901234567890", "123456789012345678901234567890", NULL},
    {"1.5", "1.5", NULL},
    {"1.50", "1.50", NULL},
    {"1.0", "1.0", NULL},
    {"1e2", "1e2", NULL},
    {"1E30", "1E30", NULL},
    {"0.1", "0.1", NULL},
    {"0.12345678901234567890", "0.12345678901234567890", NULL},
    {"null", "null", NULL},
    {"\"" X128 X128 "\"", X128 X128, NULL},
    /* No part of a topic. */
    {"\"+\"", NULL, NULL},
    {"\"a/#\"", NULL, NULL},
    {"\"a+b:1\"", NULL, NULL},
    {"\"\\u0007:1\"", NULL, "\"\\u0007:1\""},
    {"\"\\uffff\"", NULL, "\"\xEF\xBF\xBF\""},
    /* The token ends before the last colon. */
    {"\"a:+\"", "a", NULL},
    {"\"a:\\n\"", "a", NULL},
};

static void make_request(char payload[FAKE_TEXT], const char *method, const char *id)
{
    snprintf(payload, FAKE_TEXT, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"id\":%s}", method, id);
}

static void make_result(char text[FAKE_TEXT], const struct id *row, const char *result)
{
    snprintf(text, FAKE_TEXT, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}",
             row->echo ? row->echo : row->id, result);
}

START_TEST(ids_are_echoed)
{
    char payload[FAKE_TEXT];
    char text[FAKE_TEXT];
    const struct id *row = &ids[_i];
    start(NULL);
    make_request(payload, "get", row->id);
    make_result(text, row, "{\"n\":0}");
    rig_send(&rig, "rpc/call/get", payload, "r", NULL);
    expect_reply("r", "ok", text);
}
END_TEST

static void expect_bad_token(const char *replies, const struct id *row)
{
    char text[FAKE_TEXT], topic[FAKE_TOPIC];
    snprintf(text, sizeof text, INVALID("%s", "count", BAD_TOKEN), row->echo ? row->echo : row->id);
    snprintf(topic, sizeof topic, "%s/null", replies);
    expect_reply(topic, "invalid_request", text);
    ck_assert_uint_eq(rig.host.events.count, 0);
    ck_assert_uint_eq(rig.host.line_count, 1);
    ck_assert(
        fake_host_logged(&rig.host, "invalid_request: the call has a JSON-RPC id whose token cannot be"));
}

START_TEST(tokens)
{
    static const struct {
        const char *topic, *replies;
    } where[] = {{"rpc/call/count", "rpc/call/count/response"},
                 {"rpc/call/count/request", "rpc/call/count/response"},
                 {"rpc/jsonrpc", "rpc/jsonrpc/response"}};
    char payload[FAKE_TEXT];
    char text[FAKE_TEXT];
    char topic[FAKE_TEXT];
    const struct id *row = &ids[_i / 3];
    start(NULL);
    make_request(payload, "count", row->id);
    make_result(text, row, "{\"n\":1}");
    rig_publish(&rig, where[_i % 3].topic, payload);
    snprintf(topic, sizeof topic, "%s/%s", where[_i % 3].replies, row->token ? row->token : "");
    if (row->token)
        expect_reply(topic, "ok", text);
    else
        expect_bad_token(where[_i % 3].replies, row);
    rig_expect(&rig, "get", "", "ok", row->token ? "{\"n\":1}" : "{\"n\":0}");
}
END_TEST

static const char *const bad_ids[] = {"{}",
                                      "{\"a\":1}",
                                      "[]",
                                      "[1]",
                                      "true",
                                      "false",
                                      "1e999",
                                      "-1e999",
                                      "\"" X128 X128 "x\"",
                                      "\"" X128 X128 ":x\""};

/* The reply has the id null, as if the id could not be read; such calls are not notifications. */
START_TEST(bad_ids_are_refused)
{
    char payload[FAKE_TEXT];
    start(NULL);
    make_request(payload, "count", bad_ids[_i]);
    rig_send(&rig, "rpc/call/count", payload, "r", NULL);
    expect_reply("r", "invalid_request", INVALID("null", "count", BAD_ID));
    ck_assert_uint_eq(rig.host.events.count, 0);
    fake_host_forget(&rig.host);
    rig_publish(&rig, "rpc/call/count", payload);
    expect_reply("rpc/call/count/response/null", "invalid_request", INVALID("null", "count", BAD_ID));
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

/* An id with U+0000 cannot be echoed. One with U+0001 can. */
START_TEST(ids_with_nul_are_refused)
{
    start(NULL);
    rig_send(&rig, "rpc/jsonrpc", REQUEST("\"a\\u0000\"", "count", "[]"), "r", NULL);
    expect_reply("r", "invalid_request", INVALID("null", "count", "the request has an id with U+0000"));
    fake_host_forget(&rig.host);
    rig_send(&rig, "rpc/jsonrpc", REQUEST("\"a\\u0001\"", "get", "[]"), "r", NULL);
    ck_assert_ptr_nonnull(strstr(rig_last(&rig.host.replies)->text, "\"id\":\"a\\u0001\""));
}
END_TEST

START_TEST(the_first_id_routes_a_batch)
{
    start(NULL);
    rig_publish(&rig, "rpc/jsonrpc",
                "[1," NOTIFICATION("count") "," REQUEST("\"first:1\"", "get",
                                                        "[]") "," REQUEST("\"+:2\"", "get", "[]") "]");
    expect_reply("rpc/jsonrpc/response/first", "ok",
                 "[" INVALID("null", "", NO_OBJECT) "," RESULT("\"first:1\"", "{\"n\":1}") "," RESULT(
                     "\"+:2\"", "{\"n\":1}") "]");
    fake_host_forget(&rig.host);
    rig_publish(&rig, "rpc/jsonrpc",
                "[" REQUEST("\"+:2\"", "count", "[]") "," REQUEST("1", "count", "[]") "]");
    expect_reply("rpc/jsonrpc/response/null", "invalid_request", INVALID("null", "", BAD_TOKEN));
    rig_expect(&rig, "get", "", "ok", "{\"n\":1}");
}
END_TEST

/* ---- Parameters ---- */

#define PARAMS_ERROR(method, msg) ERROR("1", "-32602", method, "invalid_params", msg)

static const struct params {
    const char *method, *params;
    const char *status, *text;
} params[] = {
    {"subtract", "[5,3]", "ok", RESULT("1", "2")},
    {"value", "[9]", "ok", RESULT("1", "9")},
    {"value", "[]", "invalid_params", NULL},
    {"value", "[1,2]", "invalid_params", NULL},
    {"value", "{}", "invalid_params", NULL},
    {"value", "[10]", "invalid_params", NULL},
    {"subtract", "[]", "invalid_params", NULL},
    {"subtract", "[5]", "invalid_params", NULL},
    {"subtract", "[5,3,1]", "invalid_params", NULL},
    {"subtract", "[5,\"3\"]", "invalid_params", NULL},
    {"subtract", "{\"minuend\":5}", "invalid_params", NULL},
    {"subtract", "{\"minuend\":5,\"subtrahend\":3,\"other\":1}", "ok", RESULT("1", "2")},
    {"subtract", "{\"minuend\":5,\"subtrahend\":3,\"minuend\":5}", "invalid_params",
     PARAMS_ERROR("subtract", "minuend is given twice")},
    {"id", "[\"x\"]", "ok", RESULT("1", "{\"request_id\":\"x\"}")},
    {"id", "{\"request_id\":\"x\"}", "ok", RESULT("1", "{\"request_id\":\"x\"}")},
    {"id", "[]", "ok", RESULT("1", "{}")},
    {"id", "[\"\\u0000\"]", "invalid_params", PARAMS_ERROR("id", "the payload has a string with U+0000")},
    {"nothing", "[]", "ok", RESULT("1", "{}")},
    {"nothing", "{}", "ok", RESULT("1", "{}")},
    {"nothing", "{\"a\":1}", "ok", RESULT("1", "{}")},
    {"nothing", "[1]", "invalid_params", PARAMS_ERROR("nothing", "the method takes no parameters")},
    {"bytes", "[]", "invalid_params",
     PARAMS_ERROR("bytes", "the method takes raw bytes, which only a plain call has")},
};

START_TEST(parameters)
{
    char payload[FAKE_TEXT];
    char topic[FAKE_TOPIC];
    const struct params *row = &params[_i];
    start(NULL);
    snprintf(payload, sizeof payload, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}",
             row->method, row->params);
    snprintf(topic, sizeof topic, "rpc/call/%s/request", row->method);
    rig_send(&rig, topic, payload, "r", NULL);
    expect_reply("r", row->status, row->text ? row->text : rig_last(&rig.host.replies)->text);
    if (strcmp(row->status, "ok") != 0)
        ck_assert_ptr_nonnull(strstr(rig_last(&rig.host.replies)->text, "\"error\":{\"code\":-32602,"));
    /* At the endpoint the same. */
    const struct fake_message first = *rig_last(&rig.host.replies);
    rig_send(&rig, "rpc/jsonrpc", payload, "r", NULL);
    ck_assert_str_eq(rig_last(&rig.host.replies)->text, first.text);
}
END_TEST

START_TEST(no_parameters_at_all)
{
    start(NULL);
    rig_publish(&rig, "rpc/call/nothing", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\"}");
    expect_reply("rpc/call/nothing/response/1", "ok", RESULT("1", "{}"));
    fake_host_forget(&rig.host);
    rig_publish(&rig, "rpc/call/value", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"value\"}");
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "invalid_params");
}
END_TEST

/* A method that takes any bytes takes a JSON-RPC request as such, except at /request. */
START_TEST(bytes_are_bytes)
{
    start(NULL);
    const char *payload = "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"bytes\"}";
    rig_expect(&rig, "bytes", payload, "ok", "{\"n\":43}");
    fake_host_forget(&rig.host);
    rig_publish(&rig, "rpc/call/bytes", payload);
    expect_silence();
}
END_TEST

/* ---- Errors ---- */

static rpc_status next_status;

static rpc_status fail_with_it(rpc_call *call, void *state, const void *given, void *result)
{
    (void)call, (void)state, (void)given, (void)result;
    return next_status;
}

static rpc_status raise_trouble(rpc_call *call, void *state, const void *given, void *result)
{
    (void)state, (void)given, (void)result;
    const struct lab_trouble trouble = {"big", 7};
    return rpc_raise_with(call, "trouble", &trouble, "%s", "so \"it\" is");
}

/* The codes that clients rely on. A new error may have any other code of the range for servers. */
static const int expected[] = {0,      -32700, -32600, -32601, -32602, -32603, -32000,
                               -32001, -32002, -32003, -32004, -32005, -32006};

START_TEST(codes)
{
    next_status = (rpc_status)(_i + 1);
    start(fail_with_it);
    rig_send(&rig, "rpc/jsonrpc", REQUEST("1", "act", "{}"), "r", NULL);
    const struct fake_message *reply = rig_last(&rig.host.replies);
    char text[256];
    snprintf(text, sizeof text,
             "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":%d,\"message\":\"%s\",\"data\":{\"method\":"
             "\"act\",\"err\":\"%s\",\"msg\":\"%s\"}}}",
             expected[_i + 1], status_text(next_status), status_name(next_status), status_text(next_status));
    ck_assert_str_eq(reply->text, text);
    ck_assert_str_eq(reply->status, status_name(next_status));
}
END_TEST

START_TEST(raised_errors)
{
    start(raise_trouble);
    rig_send(&rig, "rpc/jsonrpc", REQUEST("1", "act", "{}"), "r", NULL);
    expect_reply("r", "trouble",
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32010,\"message\":\"so \\\"it\\\" is\","
                 "\"data\":{\"method\":\"act\",\"err\":\"trouble\",\"msg\":\"so \\\"it\\\" is\","
                 "\"what\":\"big\",\"size\":7}}}");
}
END_TEST

START_TEST(payload_too_large)
{
    rig.options.max_payload = 30;
    start(NULL);
    rig_send(&rig, "rpc/jsonrpc", REQUEST("1", "act", "{}"), "r", NULL);
    expect_reply(
        "r", "payload_too_large",
        ERROR("1", "-32004", "", "payload_too_large", "the payload has 51 bytes, and max_payload is 30"));
}
END_TEST

/* ---- Notifications ---- */

START_TEST(notifications_announce)
{
    start(raise_trouble);
    rig_send(&rig, "rpc/jsonrpc", NOTIFICATION("count"), "r", "c");
    rig_expect_event(&rig, "rpc/event/counted", "{\"n\":1}");
    rig_publish(&rig, "rpc/call/get", NOTIFICATION("get"));
    rig_expect_event(&rig, "rpc/event/got", "{\"n\":1}");
    ck_assert_uint_eq(rig.host.events.count, 2);
    ck_assert_uint_eq(rig.host.replies.count, 0);
}
END_TEST

START_TEST(notifications_announce_errors)
{
    start(raise_trouble);
    rig_send(&rig, "rpc/jsonrpc", NOTIFICATION("act"), "r", "c");
    rig_expect_event(&rig, "rpc/event/actFailed",
                     "{\"method\":\"act\",\"err\":\"trouble\",\"msg\":\"so \\\"it\\\" is\",\"what\":\"big\","
                     "\"size\":7}");
    rig_send(&rig, "rpc/jsonrpc", NOTIFICATION("subtract"), "r", "c");
    ck_assert_str_eq(rig_last(&rig.host.events)->topic, "rpc/event/error");
    ck_assert_uint_eq(rig.host.events.count, 2);
    rig_send(&rig, "rpc/jsonrpc", NOTIFICATION("nope"), "r", "c");
    ck_assert_uint_eq(rig.host.events.count, 2);
    ck_assert_uint_eq(rig.host.replies.count, 0);
}
END_TEST

/* ---- Batches ---- */

START_TEST(batches_announce_item_by_item)
{
    start(raise_trouble);
    rig_publish(&rig, "rpc/jsonrpc",
                "[" NOTIFICATION("count") "," REQUEST("1", "count", "[]") "," NOTIFICATION("act") "," REQUEST(
                    "2", "act", "[]") "," NOTIFICATION("get") "," REQUEST("3", "get", "[]") "]");
    ck_assert_uint_eq(rig.host.events.count, 4);
    ck_assert_str_eq(rig.host.events.kept[0].text, "{\"n\":1}");
    ck_assert_str_eq(rig.host.events.kept[1].text, "{\"n\":2}");
    ck_assert_str_eq(rig.host.events.kept[2].topic, "rpc/event/actFailed");
    ck_assert_str_eq(rig.host.events.kept[3].topic, "rpc/event/got");
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, "rpc/jsonrpc/response/1");
    ck_assert_uint_eq(engine_counters(rig.engine)->calls, 6);
    ck_assert_uint_eq(engine_counters(rig.engine)->errors, 2);
}
END_TEST

START_TEST(max_batch)
{
    rig.options.max_batch = 2;
    start(NULL);
    rig_send(&rig, "rpc/jsonrpc",
             "[" NOTIFICATION("count") "," NOTIFICATION("count") "," NOTIFICATION("count") "]", "r", NULL);
    expect_reply("r", "invalid_request", INVALID("null", "", "the batch has 3 calls, and max_batch is 2"));
    ck_assert_uint_eq(rig.host.events.count, 0);
    rig_send(&rig, "rpc/jsonrpc", "[" NOTIFICATION("count") "," NOTIFICATION("count") "]", "r", NULL);
    ck_assert_uint_eq(rig.host.events.count, 2);
    ck_assert_uint_eq(rig.host.replies.count, 1);
}
END_TEST

/* The reply to a batch that is too large goes to the token of its first id, too. */
START_TEST(max_batch_by_token)
{
    rig.options.max_batch = 1;
    start(NULL);
    rig_publish(&rig, "rpc/jsonrpc", "[" REQUEST("\"t:1\"", "count", "[]") "," NOTIFICATION("count") "]");
    expect_reply("rpc/jsonrpc/response/t", "invalid_request",
                 INVALID("null", "", "the batch has 2 calls, and max_batch is 1"));
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

/* A notification over the rate gets no error either. */
START_TEST(notifications_over_the_rate)
{
    rig.options.rate_limit = 1;
    rig.options.rate_burst = 1;
    start(NULL);
    for (int i = 0; i < 3; i++)
        rig_send(&rig, "rpc/jsonrpc", "[" NOTIFICATION("count") "]", "r", NULL);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(engine_counters(rig.engine)->calls, 1);
}
END_TEST

/* The whole reply is replaced by an error, and all items run. */
START_TEST(replies_to_batches_may_be_too_large)
{
    rig.options.max_reply = 200;
    start(raise_trouble);
    rig_publish(&rig, "rpc/jsonrpc",
                "[" REQUEST("\"a:1\"", "count", "[]") "," REQUEST("2", "count", "[]") "," REQUEST(
                    "3", "count",
                    "[]") "," REQUEST("4", "count",
                                      "[]") "," NOTIFICATION("act") "," REQUEST("5", "count",
                                                                                "[]") "," REQUEST("6", "act",
                                                                                                  "[]") "]");
    expect_reply("rpc/jsonrpc/response/a", "reply_too_large",
                 ERROR("null", "-32005", "", "reply_too_large", "the results are over max_reply, 200 bytes"));
    ck_assert_uint_eq(rig.host.events.count, 6);
    ck_assert_str_eq(rig.host.events.kept[4].topic, "rpc/event/actFailed");
    ck_assert_str_eq(rig.host.events.kept[5].text, "{\"n\":5}");
}
END_TEST

/* Exactly as large as allowed, and a byte over it. */
START_TEST(the_last_byte_of_a_batch)
{
    static const char batch[] =
        "[" RESULT("1", "{\"n\":1}") "," RESULT("2", "{\"n\":2}") "," RESULT("3", "{\"n\":3}") "]";
    rig.options.max_reply = (int32_t)sizeof batch - 1 - _i;
    start(NULL);
    rig_send(
        &rig, "rpc/jsonrpc",
        "[" REQUEST("1", "count", "[]") "," REQUEST("2", "count", "[]") "," REQUEST("3", "count", "[]") "]",
        "r", NULL);
    ck_assert_uint_eq(rig.host.events.count, 3);
    if (_i)
        ck_assert_str_eq(rig_last(&rig.host.replies)->status, "reply_too_large");
    else
        expect_reply("r", "ok", batch);
}
END_TEST

/* ---- Open methods ---- */

static const struct open_methods {
    const char *list;
    bool subtract, count;
} open_methods[] = {
    {"", false, false},
    {"*", true, true},
    {"subtract", true, false},
    {" count  ", false, true},
    {"count subtract", true, true},
    {"count *", true, true},
    {"value get", false, false},
};

START_TEST(only_open_methods)
{
    const struct open_methods *row = &open_methods[_i];
    rig.options.jsonrpc_methods = row->list;
    start(NULL);
    rig_send(&rig, "rpc/jsonrpc", REQUEST("1", "subtract", "[2,1]"), "r", NULL);
    expect_reply("r", row->subtract ? "ok" : "method_not_found",
                 row->subtract ? RESULT("1", "1") : NOT_OPEN("1", "subtract"));
    rig_send(&rig, "rpc/jsonrpc", "[" REQUEST("1", "count", "[]") "]", "r", NULL);
    ck_assert_str_eq(rig_last(&rig.host.replies)->text,
                     row->count ? "[" RESULT("1", "{\"n\":1}") "]" : "[" NOT_OPEN("1", "count") "]");
    /* At its own topic a method need not be open. */
    rig_send(&rig, "rpc/call/subtract", REQUEST("1", "subtract", "[2,1]"), "r", NULL);
    ck_assert_str_eq(rig_last(&rig.host.replies)->text, RESULT("1", "1"));
}
END_TEST

START_TEST(unknown_words_are_refused)
{
    static const char *const lists[] = {"count nope get", "nope",          "Count", "c*", "**",
                                        "* nope",         "rpc/call/count"};
    char why[ENGINE_WHY] = "";
    rig.options.jsonrpc_methods = lists[_i];
    lab_start(&rig, &options, NULL);
    ck_assert(!engine_open_methods(rig.engine, why));
    ck_assert_ptr_eq(strstr(why, "jsonrpc_methods: '"), why);
    ck_assert_ptr_nonnull(strstr(why, "': it takes names of methods, separated by spaces, or *"));
}
END_TEST

START_TEST(hostile_words_are_made_printable)
{
    char why[ENGINE_WHY] = "";
    char list[200];
    memset(list, '\x1B', sizeof list - 1);
    list[sizeof list - 1] = '\0';
    rig.options.jsonrpc_methods = list;
    lab_start(&rig, &options, NULL);
    ck_assert(!engine_open_methods(rig.engine, why));
    for (const char *c = why; *c; c++)
        ck_assert(*c >= ' ' && *c <= '~');
}
END_TEST

/* ---- Methods of other servers ---- */

static const struct foreign {
    const char *payload;
    enum engine_verdict verdict;
} foreign[] = {
    {REQUEST("1", "theirs", "[]"), ENGINE_PASS},
    {NOTIFICATION("theirs"), ENGINE_PASS},
    {"[" REQUEST("1", "theirs", "[]") "," REQUEST("2", "also.theirs", "[]") "]", ENGINE_PASS},
    {REQUEST("1", "get", "[]"), ENGINE_CONSUME},
    {"[" REQUEST("1", "theirs", "[]") "," REQUEST("2", "get", "[]") "]", ENGINE_CONSUME},
    /* Calls of no method at all are answered here. */
    {"[" REQUEST("1", "theirs", "[]") ",1]", ENGINE_CONSUME},
    {"[]", ENGINE_CONSUME},
    {"1", ENGINE_CONSUME},
    {"{", ENGINE_CONSUME},
};

START_TEST(methods_of_others_are_left_to_them)
{
    rig.options.unknown_methods = UNKNOWN_FORWARD;
    start(NULL);
    ck_assert_int_eq(rig_send(&rig, "rpc/jsonrpc", foreign[_i].payload, "r", NULL), foreign[_i].verdict);
    ck_assert_uint_eq(rig.host.replies.count, foreign[_i].verdict == ENGINE_PASS ? 0 : 1);
    ck_assert_uint_eq(rig.host.events.count, 0);
    if (foreign[_i].verdict == ENGINE_PASS) {
        ck_assert_uint_eq(rig.host.line_count, 0);
        ck_assert_uint_eq(engine_counters(rig.engine)->unknown, 0);
    }
}
END_TEST

/* A method that is registered but not open is treated as unknown here, too. */
START_TEST(closed_methods_are_left_to_others)
{
    rig.options.unknown_methods = UNKNOWN_FORWARD;
    rig.options.jsonrpc_methods = "get";
    start(NULL);
    ck_assert_int_eq(rig_send(&rig, "rpc/jsonrpc", REQUEST("1", "count", "[]"), "r", NULL), ENGINE_PASS);
    ck_assert_int_eq(rig_send(&rig, "rpc/jsonrpc", REQUEST("1", "get", "[]"), "r", NULL), ENGINE_CONSUME);
}
END_TEST

/* The engine does not check tokens and Response Topics of calls for the other server. */
START_TEST(routes_of_others_are_not_checked)
{
    rig.options.unknown_methods = UNKNOWN_FORWARD;
    rig.options.response_topic_filter = "ours/#";
    start(NULL);
    ck_assert_int_eq(rig_publish(&rig, "rpc/jsonrpc", REQUEST("\"+\"", "theirs", "[]")), ENGINE_PASS);
    ck_assert_int_eq(rig_send(&rig, "rpc/jsonrpc", REQUEST("1", "theirs", "[]"), "theirs/1", NULL),
                     ENGINE_PASS);
    ck_assert_int_eq(
        rig_publish(&rig, "rpc/jsonrpc", "[" REQUEST("\"+\"", "theirs", "[]") "," NOTIFICATION("x") "]"),
        ENGINE_PASS);
    expect_silence();
    ck_assert_uint_eq(rig.host.line_count, 0);
}
END_TEST

/* ---- Bad routes at the endpoint ---- */

START_TEST(bad_response_topics)
{
    start(NULL);
    ck_assert_int_eq(rig_send(&rig, "rpc/jsonrpc", REQUEST("1", "count", "[]"), "a/#", NULL), ENGINE_CONSUME);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    rig_expect_error(
        &rig, "{\"method\":\"\",\"err\":\"invalid_request\",\"msg\":\"the call has a Response Topic "
              "that cannot be replied to (at most 256 bytes, no +, #, control characters, no $ first)\"}");
    ck_assert_str_eq(
        rig.host.lines[0].text,
        "rpc: client tester called rpc/jsonrpc: invalid_request: the call has a Response Topic that "
        "cannot be replied to (at most 256 bytes, no +, #, control characters, no $ first)");
    rig_expect(&rig, "get", "", "ok", "{\"n\":0}");
}
END_TEST

/* Names from the wire come back printable and bounded. */
START_TEST(hostile_method_names)
{
    static char payload[2000];
    char name[1201] = "";
    for (int i = 0; i < 200; i++)
        strcat(name, "\\u0007");
    snprintf(payload, sizeof payload, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\"}", name);
    start(NULL);
    rig_send(&rig, "rpc/jsonrpc", payload, "r", NULL);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "method_not_found");
    ck_assert_uint_lt(rig_last(&rig.host.replies)->size, 1024);
}
END_TEST

UNIT_MAIN("jsonrpc", open_rig, close_rig, {examples_at_the_endpoint, UNIT_ROWS(examples)}, {invalid_json, 0},
          {methods_and_topics, UNIT_ROWS(places)}, {plain_calls_stay_plain, 0},
          {ids_are_echoed, UNIT_ROWS(ids)}, {tokens, 3 * UNIT_ROWS(ids)},
          {bad_ids_are_refused, UNIT_ROWS(bad_ids)}, {ids_with_nul_are_refused, 0},
          {the_first_id_routes_a_batch, 0}, {parameters, UNIT_ROWS(params)}, {no_parameters_at_all, 0},
          {bytes_are_bytes, 0}, {codes, UNIT_ROWS(expected) - 1}, {raised_errors, 0}, {payload_too_large, 0},
          {notifications_announce, 0}, {notifications_announce_errors, 0}, {batches_announce_item_by_item, 0},
          {max_batch, 0}, {max_batch_by_token, 0}, {notifications_over_the_rate, 0},
          {replies_to_batches_may_be_too_large, 0}, {the_last_byte_of_a_batch, 2},
          {only_open_methods, UNIT_ROWS(open_methods)}, {unknown_words_are_refused, 7},
          {hostile_words_are_made_printable, 0}, {methods_of_others_are_left_to_them, UNIT_ROWS(foreign)},
          {closed_methods_are_left_to_others, 0}, {routes_of_others_are_not_checked, 0},
          {bad_response_topics, 0}, {hostile_method_names, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/call/exchange.c, answer.c and api.c: where replies go and what is in them, what is announced, limits,
 * what handlers may raise and what becomes of the mistakes they can make.
 */
#include "lab.h"
#include "unit.h"

#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rig rig;
static struct lab_options options;

static void open_rig(void)
{
    rig_init(&rig);
}

static void close_rig(void)
{
    rig_close(&rig);
}

#define ERROR(method, err, msg) "{\"method\":\"" method "\",\"err\":\"" err "\",\"msg\":\"" msg "\"}"

/* Nothing has left the engine. */
static void expect_silence(void)
{
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(rig.host.events.count, 0);
}

static void expect_runs(int runs)
{
    char text[32];
    snprintf(text, sizeof text, "{\"n\":%d}", runs);
    rig_expect(&rig, "get", "", "ok", text);
}

/* ---- Replies to a Response Topic ---- */

START_TEST(replies_carry_what_they_must)
{
    static const char correlation[] = {'\0', 'a', '\xFF', '\0'};
    rig.options.reply_expiry = 77;
    lab_start(&rig, &options, NULL);
    struct host_message message = rig_message(&rig, "rpc/call/count", "{}");
    message.response_topic = "somewhere/else";
    message.correlation = correlation;
    message.correlation_size = sizeof correlation;
    ck_assert_int_eq(rig_receive(rig.engine, &message), ENGINE_CONSUME);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    const struct fake_message *reply = &rig.host.replies.kept[0];
    ck_assert_str_eq(reply->topic, "somewhere/else");
    ck_assert_str_eq(reply->client, "tester");
    ck_assert_str_eq(reply->status, "ok");
    ck_assert_str_eq(reply->text, "{\"n\":1}");
    ck_assert_uint_eq(reply->expiry, 77);
    ck_assert_uint_eq(reply->correlation_size, sizeof correlation);
    ck_assert_mem_eq(reply->correlation, correlation, sizeof correlation);
}
END_TEST

START_TEST(correlation_is_neither_made_nor_lost)
{
    lab_start(&rig, &options, NULL);
    struct host_message message = rig_message(&rig, "rpc/call/get", "");
    message.response_topic = "r";
    rig_receive(rig.engine, &message);
    message.correlation = "";
    rig_receive(rig.engine, &message);
    ck_assert(!rig.host.replies.kept[0].has_correlation);
    ck_assert(rig.host.replies.kept[1].has_correlation);
    ck_assert_uint_eq(rig.host.replies.kept[1].correlation_size, 0);
}
END_TEST

/* All nine of a call's QoS and the configured one. */
START_TEST(qos_of_replies_and_events)
{
    const int called = _i % 3;
    const int configured = _i / 3;
    rig.qos = called;
    rig.options.qos = configured;
    lab_start(&rig, &options, NULL);
    ck_assert_int_eq(rig_ask(&rig, "count", "")->qos, called < configured ? called : configured);
    ck_assert_int_eq(rig_last(&rig.host.events)->qos, configured);
}
END_TEST

START_TEST(request_id_is_a_parameter_then)
{
    lab_start(&rig, &options, NULL);
    rig_expect(&rig, "id", "{\"request_id\":\"x\"}", "ok", "{\"request_id\":\"x\"}");
    rig_expect(&rig, "id", "{}", "ok", "{}");
}
END_TEST

static char long_topic[300];

static const struct response_topic {
    const char *topic;
    bool fine;
} response_topics[] = {
    {"a", true},
    {"a/b c/\xC3\xA4", true},
    {"rpc/call/x/response/y", true},
    {"a$", true},
    {long_topic, true}, /* 256 bytes; the next one has 257 */
    {long_topic, false},
    {"", false},
    {"+", false},
    {"a/#", false},
    {"a+", false},
    {"$SYS/x", false},
    {"$share/a/b", false},
    {"$", false},
    {"a\x01", false},
    {"a\n", false},
    {"a\x7F", false},
    {"a\xC2\x85", false},
    {"a\xFF", false},
    {"\xED\xA0\x80", false},
    {"\xEF\xBF\xBF", false},
};

static void expect_malformed(const char *method, const char *what)
{
    char text[256];
    char line[256];
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(rig.host.events.count, 1);
    snprintf(text, sizeof text, "{\"method\":\"%s\",\"err\":\"invalid_request\",\"msg\":\"the call has %s\"}",
             method, what);
    rig_expect_error(&rig, text);
    snprintf(line, sizeof line, "rpc: client tester called %s: invalid_request: the call has %s", method,
             what);
    ck_assert_uint_eq(rig.host.line_count, 1);
    ck_assert_str_eq(rig.host.lines[0].text, line);
    ck_assert_int_eq(rig.host.lines[0].level, RPC_LOG_WARNING);
    expect_runs(0);
}

START_TEST(response_topics_are_checked)
{
    const struct response_topic *row = &response_topics[_i];
    memset(long_topic, 'x', row->fine ? 256 : 257);
    lab_start(&rig, &options, NULL);
    struct host_message message = rig_message(&rig, "rpc/call/count", "{\"request_id\":\"not used\"}");
    message.response_topic = row->topic;
    ck_assert_int_eq(rig_receive(rig.engine, &message), ENGINE_CONSUME);
    if (row->fine)
        ck_assert_str_eq(rig_last(&rig.host.replies)->topic, row->topic);
    else
        expect_malformed("count", "a Response Topic that cannot be replied to (at most 256 bytes, no +, #, "
                                  "control characters, no $ first)");
}
END_TEST

START_TEST(response_topics_are_filtered)
{
    rig.options.response_topic_filter = "reply/+/#";
    lab_start(&rig, &options, NULL);
    rig_expect(&rig, "get", "", "ok", "{\"n\":0}");
    fake_host_forget(&rig.host);
    struct host_message message = rig_message(&rig, "rpc/call/count", "");
    message.response_topic = "other/here";
    rig_receive(rig.engine, &message);
    expect_malformed("count", "a Response Topic outside response_topic_filter");
}
END_TEST

/* The client id and the user name in a filter are those of the caller, if they can be a part of a topic. */
static const struct own_topic {
    const char *filter, *id, *user, *topic;
    bool fine;
} own_topics[] = {
    {"to/%c/#", "a", NULL, "to/a/x", true},
    {"to/%c/#", "a", NULL, "to/b/x", false},
    {"to/%u", "a", "u", "to/u", true},
    {"to/%u", "a", "u", "to/a", false},
    {"to/%u", "a", NULL, "to/", false},
    {"%u/%c", "a", "u", "u/a", true},
    {"to/%c/in", "+", NULL, "to/b/in", false},
    {"to/%c", "#", NULL, "to/b", false},
    {"to/%c/in", "a/b", NULL, "to/a/b/in", false},
    {"to/%x/%c", "a", NULL, "to/%x/a", true},
    {"to/%", "a", NULL, "to/%", true},
    /* Names that would be more than one level, none, or match other topics. */
    {"to/%u/in", "a", "+", "to/b/in", false},
    {"to/%u", "a", "#", "to/b", false},
    {"to/%u/in", "a", "b/c", "to/b/c/in", false},
    {"to/%u", "a", "", "to/", false},
    {"to/%c", "", "u", "to/", false},
    {"to/%u", "a", "b\x01", "to/b", false},
    {"to/+/%u", "a", NULL, "to/x/", false},
    /* A name is not expanded once more. */
    {"to/%c/%u", "%u", "%c", "to/%u/%c", true},
    {"to/%c/%u", "%u", "x", "to/x/x", false},
    {"to/%%c", "a", NULL, "to/%a", true},
    {"%c", "clients", NULL, "clients", true},
    {"to/+/%c/#", "a", NULL, "to/x/a/y/z", true},
};

START_TEST(response_topics_of_the_caller)
{
    const struct own_topic *row = &own_topics[_i];
    rig.options.response_topic_filter = row->filter;
    rig.client.id = row->id;
    rig.client.user = row->user;
    lab_start(&rig, &options, NULL);
    struct host_message message = rig_message(&rig, "rpc/call/get", "");
    message.response_topic = row->topic;
    rig_receive(rig.engine, &message);
    ck_assert_uint_eq(rig.host.replies.count, row->fine);
}
END_TEST

/* What a bridge gets is published by its broker. */
enum over { CLIENT, OWN_BRIDGE, FAR_BRIDGE, NAMED_BRIDGE };

static const struct bridge_topic {
    enum over over;
    const char *filters, *topic;
    bool fine;
} bridge_topics[] = {
    {CLIENT, NULL, "door/open", true},
    {OWN_BRIDGE, NULL, "door/open", false},
    {FAR_BRIDGE, NULL, "door/open", false},
    {NAMED_BRIDGE, NULL, "door/open", false},
    {FAR_BRIDGE, NULL, "rpc/event/counted", false},
    {FAR_BRIDGE, NULL, "rpc/call/count", false},
    {FAR_BRIDGE, NULL, "rpc/call/count/response/1", true},
    {NAMED_BRIDGE, NULL, "rpc/call/site/lamp/on/response/1/2", true},
    {OWN_BRIDGE, NULL, "rpc/reply/somebody/x", true},
    {OWN_BRIDGE, NULL, "other/reply/somebody/x", false},
    {FAR_BRIDGE, "  answers/+  mine/# ", "answers/a", true},
    {FAR_BRIDGE, "answers/+ mine/#", "mine/a/b", true},
    {FAR_BRIDGE, "answers/+ mine/#", "rpc/reply/x", false},
    {NAMED_BRIDGE, "to/%c", "to/bridge", true},
    {NAMED_BRIDGE, "to/%c", "to/door", false},
};

START_TEST(response_topics_over_bridges)
{
    const struct bridge_topic *row = &bridge_topics[_i];
    rig.options.bridge_calls = true;
    rig.options.bridge_response_topics = row->filters;
    rig.options.bridge_clients = "others bridge";
    rig.client.id = row->over == NAMED_BRIDGE ? "bridge" : "tester";
    rig.client.bridge = row->over == OWN_BRIDGE;
    rig.client.far_bridge = row->over == FAR_BRIDGE;
    lab_start(&rig, &options, NULL);
    struct host_message message = rig_message(&rig, "rpc/call/count", "");
    message.response_topic = row->topic;
    rig_receive(rig.engine, &message);
    ck_assert_uint_eq(rig.host.replies.count, row->fine);
    if (row->fine)
        ck_assert_str_eq(rig.host.replies.kept[0].topic, row->topic);
    else
        ck_assert(fake_host_logged(&rig.host, "outside bridge_response_topics"));
    rig.client.id = "tester";
    rig.client.bridge = rig.client.far_bridge = false;
    expect_runs(row->fine);
}
END_TEST

/* ---- Replies by request_id ---- */

static const struct by_id {
    const char *payload, *topic, *text;
} by_id[] = {
    {"{\"request_id\":\"7\"}", "rpc/call/id/response/7", "{\"request_id\":\"7\",\"result\":{}}"},
    {"{\"request_id\":\"\"}", "rpc/call/id/response/", "{\"request_id\":\"\",\"result\":{}}"},
    {"{\"request_id\":\"a/b\"}", "rpc/call/id/response/a/b", "{\"request_id\":\"a/b\",\"result\":{}}"},
    {"{\"request_id\":\"\\u0061\\\"\\\\\\/\"}", "rpc/call/id/response/a\"\\/",
     "{\"request_id\":\"a\\\"\\\\/\",\"result\":{}}"},
    {"{\"x\":1,\"request_id\":\"\xC3\xA4\",\"y\":2}", "rpc/call/id/response/\xC3\xA4",
     "{\"request_id\":\"\xC3\xA4\",\"result\":{}}"},
    {"{\"request_id\":\"a%s%n\"}", "rpc/call/id/response/a%s%n", "{\"request_id\":\"a%s%n\",\"result\":{}}"},
};

START_TEST(replies_by_request_id)
{
    lab_start(&rig, &options, NULL);
    ck_assert_int_eq(rig_tell(&rig, "id", by_id[_i].payload), ENGINE_CONSUME);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_str_eq(rig.host.replies.kept[0].topic, by_id[_i].topic);
    ck_assert_str_eq(rig.host.replies.kept[0].text, by_id[_i].text);
    ck_assert_str_eq(rig.host.replies.kept[0].status, "ok");
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

START_TEST(errors_by_request_id)
{
    lab_start(&rig, &options, NULL);
    rig_tell(&rig, "nope", "{\"request_id\":\"1\"}");
    const struct fake_message *reply = rig_last(&rig.host.replies);
    ck_assert_str_eq(reply->topic, "rpc/call/nope/response/1");
    ck_assert_str_eq(reply->status, "method_not_found");
    ck_assert_str_eq(reply->text, "{\"request_id\":\"1\",\"error\":" ERROR("nope", "method_not_found",
                                                                           "there is no method nope") "}");
    /* A payload that is unwanted, but JSON, tells where to reply. */
    rig_tell(&rig, "id", "{\"a\":1,\"request_id\":\"2\",\"a\":1}");
    reply = rig_last(&rig.host.replies);
    ck_assert_str_eq(reply->text, "{\"request_id\":\"2\",\"error\":" ERROR("id", "invalid_params",
                                                                           "a is given twice") "}");
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

/* Numbers come back as they are spelt; in a topic they have no plus. */
static const struct number_id {
    const char *id, *token;
} number_ids[] = {
    {"7", "7"},
    {"0", "0"},
    {"-0", "-0"},
    {"-17", "-17"},
    {"1.50", "1.50"},
    {"1e3", "1e3"},
    {"1E+3", "1E3"},
    {"1e-3", "1e-3"},
    {"9007199254740993", "9007199254740993"},
    {"12345678901234567890", "12345678901234567890"},
    {"0.12345678901234567890e+21", "0.12345678901234567890e21"},
};

START_TEST(numbers_are_request_ids)
{
    char payload[128], text[128], topic[128];
    const struct number_id *row = &number_ids[_i];
    lab_start(&rig, &options, NULL);
    snprintf(payload, sizeof payload, "{\"x\":1,\"request_id\":%s}", row->id);
    snprintf(topic, sizeof topic, "rpc/call/get/response/%s", row->token);
    snprintf(text, sizeof text, "{\"request_id\":%s,\"result\":{\"n\":0}}", row->id);
    rig_tell(&rig, "get", payload);
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, topic);
    ck_assert_str_eq(rig_last(&rig.host.replies)->text, text);
    snprintf(payload, sizeof payload, "{\"request_id\":%s,\"calls\":[{}]}", row->id);
    snprintf(text, sizeof text, "{\"request_id\":%s,\"result\":[{\"result\":{\"n\":0}}]}", row->id);
    rig_publish(&rig, "rpc/batch/get", payload);
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, topic);
    ck_assert_str_eq(rig_last(&rig.host.replies)->text, text);
}
END_TEST

/* Anything else than a string or a number is refused, whatever is called; with a Response Topic it is a
 * member like others. */
static const char *const no_ids[] = {"null", "[\"x\"]", "{\"a\":\"b\"}", "true", "false", "[]", "1e999"};

START_TEST(other_request_ids_are_refused)
{
    static const char *const topics[] = {"rpc/call/count", "rpc/batch/count", "rpc/call/nope"};
    const char *topic = topics[_i % 3], *method = _i % 3 == 2 ? "nope" : "count";
    char payload[64], text[256];
    snprintf(payload, sizeof payload, "{\"request_id\":%s,\"calls\":[{}]}", no_ids[_i / 3]);
    snprintf(text, sizeof text,
             ERROR("%s", "invalid_request", "request_id must be a string or a finite number"), method);
    lab_start(&rig, &options, NULL);
    rig_publish(&rig, topic, payload);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(rig.host.events.count, 1);
    rig_expect_error(&rig, text);
    ck_assert_uint_eq(rig.host.line_count, 1);
    ck_assert(fake_host_logged(&rig.host, "invalid_request: request_id must be a string or a finite number"));
    expect_runs(0);
    if (_i % 3 == 0 && !strstr(payload, "1e999"))
        rig_expect(&rig, "count", payload, "ok", "{\"n\":1}");
}
END_TEST

/* Members of other names, and deeper ones, ask for nothing. */
START_TEST(other_members_are_no_request_id)
{
    static const char *const payloads[] = {"{\"Request_Id\":\"x\"}", "{\"a\":{\"request_id\":\"x\"}}"};
    lab_start(&rig, &options, NULL);
    rig_tell(&rig, "count", payloads[_i]);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    rig_expect_event(&rig, "rpc/event/counted", "{\"n\":1}");
}
END_TEST

static const char *const bad_ids[] = {"+", "#", "a/+/b", "\\u0000", "\\u0007", "\\n", "\\u0085", "\\uffff"};

START_TEST(request_ids_are_checked)
{
    char payload[64];
    snprintf(payload, sizeof payload, "{\"request_id\":\"%s\"}", bad_ids[_i]);
    lab_start(&rig, &options, NULL);
    rig_tell(&rig, "count", payload);
    expect_malformed(
        "count",
        "a request_id that cannot be part of a topic (at most 256 bytes, no +, #, control characters)");
}
END_TEST

START_TEST(request_ids_are_bounded)
{
    char payload[400];
    char id[258];
    memset(id, 'x', sizeof id);
    id[256] = '\0';
    lab_start(&rig, &options, NULL);
    snprintf(payload, sizeof payload, "{\"request_id\":\"%s\"}", id);
    rig_tell(&rig, "get", payload);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    fake_host_forget(&rig.host);
    id[256] = 'x';
    id[257] = '\0';
    snprintf(payload, sizeof payload, "{\"request_id\":\"%s\"}", id);
    rig_tell(&rig, "count", payload);
    expect_malformed(
        "count",
        "a request_id that cannot be part of a topic (at most 256 bytes, no +, #, control characters)");
}
END_TEST

/* ---- Unknown methods ---- */

START_TEST(unknown_methods_are_answered)
{
    lab_start(&rig, &options, NULL);
    rig_expect(&rig, "nope", "", "method_not_found",
               ERROR("nope", "method_not_found", "there is no method nope"));
    rig_expect(&rig, "", "{", "method_not_found", ERROR("", "method_not_found", "there is no method "));
    rig_expect(&rig, "COUNT", "", "method_not_found",
               ERROR("COUNT", "method_not_found", "there is no method COUNT, did you mean count?"));
    rig_expect(&rig, "a\"\x01\xFF", "", "method_not_found",
               ERROR("a\\\"\\\\x01\\\\xFF", "method_not_found", "there is no method a\\\"\\\\x01\\\\xFF"));
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

static const char *const unanswered[] = {"", "{}", "{", "\xFF", "{\"a\":1,\"a\":2}", "[]", "1"};

START_TEST(unknown_methods_are_not_announced)
{
    lab_start(&rig, &options, NULL);
    ck_assert_int_eq(rig_tell(&rig, "nope", unanswered[_i]), ENGINE_CONSUME);
    expect_silence();
}
END_TEST

/* A route that cannot be answered on is what is wrong first, also where the method is unknown. */
START_TEST(an_unknown_method_and_a_bad_route)
{
    lab_start(&rig, &options, NULL);
    struct host_message message = rig_message(&rig, "rpc/call/nope", "{\"request_id\":\"x\"}");
    message.response_topic = "+";
    rig_receive(rig.engine, &message);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    rig_expect_error(&rig, ERROR("nope", "invalid_request",
                                 "the call has a Response Topic that cannot be replied to (at most 256 "
                                 "bytes, no +, #, control characters, no $ first)"));
    rig_tell(&rig, "nope", "{\"request_id\":\"#\"}");
    ck_assert_uint_eq(rig.host.replies.count, 0);
    rig_expect_error(&rig, ERROR("nope", "invalid_request",
                                 "the call has a request_id that cannot be part of a topic (at most 256 "
                                 "bytes, no +, #, control characters)"));
}
END_TEST

/* A name that is longer than any method's is cut; one that could be a method's comes back whole. */
START_TEST(long_unknown_names)
{
    char name[1001];
    char text[400];
    memset(name, 'n', sizeof name);
    lab_start(&rig, &options, NULL);
    name[sizeof name - 1] = '\0';
    ck_assert_uint_lt(rig_ask(&rig, name, "")->size, 400);
    name[128] = '\0';
    snprintf(text, sizeof text, ERROR("%.128s", "method_not_found", "there is no method %.128s"), name, name);
    rig_expect(&rig, name, "", "method_not_found", text);
}
END_TEST

/* ---- Parameters ---- */

static const struct payload {
    const char *method, *payload, *err, *msg;
} payloads[] = {
    {"count", "{", "parse_error",
     "the payload is not JSON: expected a name in double quotes at line 1, column 2, where it ends"},
    {"count", "{}x", "parse_error", "the payload goes on behind its JSON value at line 1, column 3"},
    {"count", "\xFF", "parse_error", "the payload is not JSON: expected a value at line 1, column 1"},
    {"count", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", "parse_error",
     "the payload is nested deeper than 32 levels at line 1, column 33"},
    {"count", "[]", "invalid_params", "the parameters must be a JSON object"},
    {"count", "null", "invalid_params", "the parameters must be a JSON object"},
    {"count", "{\"a\":1,\"a\":1}", "invalid_params", "a is given twice"},
    {"count", "{\"a\":1e999}", "invalid_params", "the payload has a number that is too large"},
    {"count", "{\"a\":\"\\u0000\"}", "invalid_params", "the payload has a string with U+0000"},
    {"id", "[]", "invalid_params", "the parameters must be a JSON object"},
    {"value", "", "invalid_params", "n must be a whole number from 0 to 9"},
    {"value", "{}", "invalid_params", "n must be a whole number from 0 to 9"},
    {"value", "10", "invalid_params", "n: 10 is outside 0..9"},
    {"value", "\"1\"", "invalid_params", "n must be a whole number from 0 to 9"},
};

static const char *error_text(const struct payload *row, char text[256])
{
    snprintf(text, 256, ERROR("%s", "%s", "%s"), row->method, row->err, row->msg);
    return text;
}

START_TEST(bad_payloads_are_answered)
{
    const struct payload *row = &payloads[_i];
    char text[256];
    lab_start(&rig, &options, NULL);
    rig_expect(&rig, row->method, row->payload, row->err, error_text(row, text));
    ck_assert_uint_eq(rig.host.events.count, 0);
    expect_runs(0);
}
END_TEST

START_TEST(bad_payloads_are_announced)
{
    const struct payload *row = &payloads[_i];
    char text[256];
    lab_start(&rig, &options, NULL);
    rig_tell(&rig, row->method, row->payload);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(rig.host.events.count, 1);
    rig_expect_error(&rig, error_text(row, text));
    ck_assert(!rig.host.events.kept[0].retain);
    ck_assert_str_eq(rig.host.events.kept[0].client, "tester");
    expect_runs(0);
}
END_TEST

START_TEST(good_payloads)
{
    lab_start(&rig, &options, NULL);
    rig_expect(&rig, "nothing", "", "ok", "{}");
    rig_expect(&rig, "nothing", " \n", "parse_error",
               ERROR("nothing", "parse_error",
                     "the payload is not JSON: expected a value at line 2, column 1, where it ends"));
    rig_expect(&rig, "nothing", "{\"any\":[\"thing\"]}", "ok", "{}");
    rig_expect(&rig, "nothing", " { } \r\n", "ok", "{}");
    rig_expect(&rig, "value", " 7 ", "ok", "7");
    rig_expect(&rig, "value", "7.0", "ok", "7");
    rig_expect(&rig, "bytes", "", "ok", "{\"n\":0}");
    rig_expect(&rig, "bytes", "{\"not\":\xFF", "ok", "{\"n\":8}");
}
END_TEST

START_TEST(bytes_with_nul)
{
    lab_start(&rig, &options, NULL);
    struct host_message message = rig_message(&rig, "rpc/call/bytes", "");
    message.payload = "\0a\0b";
    message.size = 4;
    message.response_topic = "r";
    rig_receive(rig.engine, &message);
    ck_assert_str_eq(rig_last(&rig.host.replies)->text, "{\"n\":4}");
    message.topic = "rpc/call/nothing";
    rig_receive(rig.engine, &message);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "parse_error");
}
END_TEST

START_TEST(max_payload)
{
    rig.options.max_payload = 20;
    lab_start(&rig, &options, NULL);
    const char *const error =
        ERROR("nothing", "payload_too_large", "the payload has 21 bytes, and max_payload is 20");
    rig_expect(&rig, "nothing", "{                  }", "ok", "{}");
    rig_expect(&rig, "nothing", "{                   }", "payload_too_large", error);
    rig_expect(&rig, "bytes", "12345678901234567890", "ok", "{\"n\":20}");
    rig_expect(&rig, "bytes", "123456789012345678901", "payload_too_large",
               ERROR("bytes", "payload_too_large", "the payload has 21 bytes, and max_payload is 20"));
    fake_host_forget(&rig.host);
    rig_tell(&rig, "nothing", "{                   }");
    ck_assert_uint_eq(rig.host.replies.count, 0);
    rig_expect_error(&rig, error);
    fake_host_forget(&rig.host);
    rig_tell(&rig, "nothing", "{\"request_id\":\"12345\"}");
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, "rpc/call/nothing/response/12345");
    ck_assert_str_eq(
        rig_last(&rig.host.replies)->text,
        "{\"request_id\":\"12345\",\"error\":" ERROR("nothing", "payload_too_large",
                                                     "the payload has 22 bytes, and max_payload is 20") "}");
    fake_host_forget(&rig.host);
    /* Raw bytes have no request_id, however they look. */
    rig_tell(&rig, "bytes", "{\"request_id\":\"12345\"}");
    ck_assert_uint_eq(rig.host.replies.count, 0);
    rig_expect_error(&rig,
                     ERROR("bytes", "payload_too_large", "the payload has 22 bytes, and max_payload is 20"));
}
END_TEST

/* ---- Events ---- */

START_TEST(result_events)
{
    lab_start(&rig, &options, NULL);
    rig_expect(&rig, "count", "", "ok", "{\"n\":1}");
    ck_assert_uint_eq(rig.host.events.count, 1);
    rig_expect_event(&rig, "rpc/event/counted", "{\"n\":1}");
    ck_assert_str_eq(rig.host.events.kept[0].client, "tester");
    ck_assert(!rig.host.events.kept[0].retain);
    rig_tell(&rig, "count", "{\"request_id\":\"x\"}");
    rig_expect_event(&rig, "rpc/event/counted", "{\"n\":2}"); /* not wrapped */
    rig_tell(&rig, "count", "");
    rig_expect_event(&rig, "rpc/event/counted", "{\"n\":3}");
    ck_assert_uint_eq(rig.host.replies.count, 2);
}
END_TEST

START_TEST(unanswered_events)
{
    lab_start(&rig, &options, NULL);
    rig_expect(&rig, "get", "", "ok", "{\"n\":0}");
    rig_tell(&rig, "get", "{\"request_id\":\"x\"}");
    ck_assert_uint_eq(rig.host.events.count, 0);
    rig_tell(&rig, "get", "");
    ck_assert_uint_eq(rig.host.events.count, 1);
    rig_expect_event(&rig, "rpc/event/got", "{\"n\":0}");
}
END_TEST

START_TEST(no_event_at_all)
{
    lab_start(&rig, &options, NULL);
    rig_tell(&rig, "nothing", "");
    expect_silence();
}
END_TEST

static rpc_status change_half(rpc_call *call, void *state, const void *params, void *result)
{
    static int runs;
    (void)state, (void)params, (void)result;
    if (runs++ % 2 == 0)
        rpc_call_set_unchanged(call);
    return RPC_OK;
}

/* What has changed nothing is answered, and not announced; what the next call does is another matter. */
static const struct {
    const char *topic, *payload;
    bool asks;
    size_t replies, events;
} half_changes[] = {
    {"rpc/call/act.told", "", true, 2, 1},
    {"rpc/call/act.told", "", false, 0, 1},
    {"rpc/call/act.told", "{\"request_id\":\"x\"}", false, 2, 1},
    {"rpc/call/act.told", "{\"jsonrpc\":\"2.0\",\"method\":\"act.told\",\"id\":1}", true, 2, 1},
    {"rpc/call/act.alone", "", true, 2, 0},
    {"rpc/call/act.alone", "", false, 0, 1},
    {"rpc/batch/act.told", "[{},{},{},{}]", true, 2, 4},
    {"rpc/batch/act.told", "[{},{},{},{}]", false, 0, 4},
};

START_TEST(what_changes_nothing_is_not_announced)
{
    lab_start(&rig, &options, change_half);
    for (int i = 0; i < 2; i++)
        rig_send(&rig, half_changes[_i].topic, half_changes[_i].payload,
                 half_changes[_i].asks ? RIG_REPLY : NULL, NULL);
    ck_assert_uint_eq(rig.host.replies.count, half_changes[_i].replies);
    ck_assert_uint_eq(rig.host.events.count, half_changes[_i].events);
    for (size_t i = 0; i < rig.host.replies.count; i++)
        ck_assert_str_eq(rig.host.replies.kept[i].status, "ok");
}
END_TEST

/* ---- What handlers see ---- */

static rpc_status look_around(rpc_call *call, void *state, const void *params, void *result)
{
    const volatile size_t impossible = SIZE_MAX; /* volatile: else the compiler warns */
    (void)state;
    ck_assert_ptr_null(params);
    ck_assert_str_eq(rpc_call_method(call), "act");
    ck_assert_double_eq(rpc_call_time(call), 1700000000.25);
    ck_assert_str_eq(rpc_caller_id(call), "tester");
    ck_assert_str_eq(rpc_caller_user(call), "bob");
    ck_assert_str_eq(rpc_caller_address(call), "192.0.2.7");
    ck_assert_int_eq(rpc_caller_version(call), 5);
    ck_assert_ptr_nonnull(rpc_call_instance(call));
    ck_assert_ptr_null(((struct lab_text *)result)->text);
    const char *zeroed = rpc_alloc(call, 10000);
    ck_assert_int_eq(zeroed[0] | zeroed[9999], 0);
    ck_assert_ptr_nonnull(rpc_alloc(call, 0));
    ck_assert_ptr_null(rpc_alloc(call, impossible));
    ((struct lab_text *)result)->text = rpc_printf(call, "%s=%05d", "x", 42);
    return RPC_OK;
}

START_TEST(handlers_see_the_call)
{
    lab_start(&rig, &options, look_around);
    rig_expect(&rig, "act", "{\"ignored\":1}", "ok", "{\"text\":\"x=00042\"}");
}
END_TEST

static rpc_status look_for_nobody(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    ck_assert_str_eq(rpc_caller_id(call), "");
    ck_assert_ptr_null(rpc_caller_user(call));
    ck_assert_ptr_null(rpc_caller_address(call));
    ck_assert_int_eq(rpc_caller_version(call), 3);
    return RPC_OK;
}

START_TEST(handlers_see_anonymous_callers)
{
    rig.client = (struct host_client){.id = "", .version = 3};
    lab_start(&rig, &options, look_for_nobody);
    rig_expect(&rig, "act", "", "ok", "{}");
}
END_TEST

/* ---- Outcomes ---- */

static rpc_status outcome;

static rpc_status return_outcome(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params, (void)result;
    return outcome;
}

/* Each status of the engine's own, just returned, is told with its standard text. */
START_TEST(plain_statuses)
{
    char text[256];
    outcome = (rpc_status)(RPC_OK + 1 + _i);
    const char *name = status_name(outcome);
    snprintf(text, sizeof text, ERROR("act", "%s", "%s"), name, status_text(outcome));
    lab_start(&rig, &options, return_outcome);
    rig_expect(&rig, "act", "", name, text);
    ck_assert_uint_eq(rig.host.line_count, 1);
    ck_assert_int_eq(rig.host.lines[0].level, outcome == RPC_CANCELLED ? RPC_LOG_DEBUG : RPC_LOG_WARNING);
    snprintf(text, sizeof text, "rpc: client tester called act: %s: %s", name, status_text(outcome));
    ck_assert_str_eq(rig.host.lines[0].text, text);
}
END_TEST

static const int misused[] = {RPC_RAISED, RPC_STATUS_COUNT_, 99, -1, -32603};

START_TEST(statuses_that_are_none)
{
    char line[128];
    outcome = (rpc_status)misused[_i];
    lab_start(&rig, &options, return_outcome);
    rig_expect(&rig, "act", "", "internal_error", ERROR("act", "internal_error", "the handler failed"));
    snprintf(line, sizeof line, "rpc: method act returned %d without raising an error", misused[_i]);
    ck_assert_uint_eq(rig.host.line_count, 2); /* the module's fault, and whose call met it */
    ck_assert_str_eq(rig.host.lines[1].text,
                     "rpc: client tester called act: internal_error: the handler failed");
    ck_assert_str_eq(rig.host.lines[0].text, line);
    ck_assert_int_eq(rig.host.lines[0].level, RPC_LOG_ERROR);
}
END_TEST

/* ---- Raising ---- */

static const struct lab_trouble trouble = {"a \"b\"", -5};

static rpc_status raise_plain(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    return rpc_raise(call, "plain", "%s \"%d\"\n", "no", 1);
}

static rpc_status raise_trouble(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    struct lab_trouble mine = trouble;
    const rpc_status status = rpc_raise_with(call, "trouble", &mine, "%d too many", 3);
    memset(&mine, 0xFF, sizeof mine); /* it was read before the function returned */
    return status;
}

static rpc_status raise_trouble_alone(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    return rpc_raise(call, "trouble", "no data");
}

static rpc_status raise_timeout(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    return rpc_raise(call, "timeout", "my own words");
}

static rpc_status raise_twice(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    ck_assert_int_eq(rpc_raise_with(call, "trouble", &trouble, "the first"), RPC_RAISED);
    return rpc_raise(call, "plain", "the second");
}

static rpc_status raise_twice_with_data(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    const struct lab_trouble first = {"first", 1};
    ck_assert_int_eq(rpc_raise_with(call, "trouble", &first, "the first"), RPC_RAISED);
    return rpc_raise_with(call, "trouble", &trouble, "the second");
}

static rpc_status raise_then_return_other(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    ck_assert_int_eq(rpc_raise_with(call, "trouble", &trouble, "void"), RPC_RAISED);
    return RPC_CANCELLED;
}

static rpc_status raise_then_succeed(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    ck_assert_int_eq(rpc_raise_with(call, "trouble", &trouble, "void"), RPC_RAISED);
    ((struct lab_text *)result)->text = "fine";
    return RPC_OK;
}

static rpc_status raise_timeout_then_raised(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    ck_assert_int_eq(rpc_raise(call, "timeout", "void"), RPC_TIMEOUT);
    return RPC_RAISED;
}

static rpc_status raise_bytes(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    return rpc_raise(call, "plain", "a\xFF\n\xC3\xA4");
}

static rpc_status raise_unknown(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    return rpc_raise(call, "of_my\nown", "x");
}

static rpc_status raise_ok(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    return rpc_raise(call, "ok", "x");
}

static rpc_status raise_raised(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    return rpc_raise(call, "raised", "x");
}

static rpc_status raise_plain_with_data(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    return rpc_raise_with(call, "plain", &trouble, "x");
}

static rpc_status raise_timeout_with_data(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    return rpc_raise_with(call, "timeout", &trouble, "x");
}

static rpc_status raise_unfit_data(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    const struct lab_trouble unfit = {"much too long", 1};
    return rpc_raise_with(call, "trouble", &unfit, "still told");
}

static rpc_status raise_with_no_data(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    return rpc_raise_with(call, "trouble", NULL, "nothing to add");
}

#define INTERNAL ERROR("act", "internal_error", "the handler failed")

static const struct raised {
    rpc_handler run;
    const char *status, *text, *line; /* line: in the log, %d for RPC_RAISED; NULL: none */
} raised[] = {
    {raise_plain, "plain", ERROR("act", "plain", "no \\\"1\\\"\\n"), NULL},
    {raise_trouble, "trouble",
     "{\"method\":\"act\",\"err\":\"trouble\",\"msg\":\"3 too many\",\"what\":\"a \\\"b\\\"\",\"size\":-5}",
     NULL},
    {raise_trouble_alone, "trouble", ERROR("act", "trouble", "no data"), NULL},
    {raise_with_no_data, "trouble", ERROR("act", "trouble", "nothing to add"), NULL},
    {raise_timeout, "timeout", ERROR("act", "timeout", "my own words"), NULL},
    {raise_twice, "plain", ERROR("act", "plain", "the second"), NULL},
    {raise_twice_with_data, "trouble",
     "{\"method\":\"act\",\"err\":\"trouble\",\"msg\":\"the second\",\"what\":\"a \\\"b\\\"\",\"size\":-5}",
     NULL},
    {raise_then_return_other, "cancelled",
     ERROR("act", "cancelled", "the caller went away, or the service is stopping"), NULL},
    {raise_then_succeed, "ok", "{\"text\":\"fine\"}", NULL},
    {raise_bytes, "plain", ERROR("act", "plain", "a\\\\xFF\\\\x0A\\\\xC3\\\\xA4"), NULL},
    {raise_timeout_then_raised, "internal_error", INTERNAL,
     "rpc: method act returned %d without raising an error"},
    {raise_unknown, "internal_error", INTERNAL,
     "rpc: method act raised of_my\\x0Aown: the method declares no such error"},
    {raise_ok, "internal_error", INTERNAL, "rpc: method act raised ok: the method declares no such error"},
    {raise_raised, "internal_error", INTERNAL,
     "rpc: method act raised raised: the method declares no such error"},
    {raise_plain_with_data, "internal_error", INTERNAL,
     "rpc: method act raised plain: the error declares no data"},
    {raise_timeout_with_data, "internal_error", INTERNAL,
     "rpc: method act raised timeout: the error declares no data"},
    {raise_unfit_data, "trouble", ERROR("act", "trouble", "still told"),
     "rpc: method act: data does not fit its shape: what must have 0 to 8 characters, not 13"},
};

START_TEST(errors_are_raised)
{
    const struct raised *row = &raised[_i];
    lab_start(&rig, &options, row->run);
    rig_expect(&rig, "act", "", row->status, row->text);
    /* The module's fault, if there is one, and whose call met an error of the engine's own. */
    ck_assert_uint_eq(rig.host.line_count, (row->line ? 1U : 0U) + (status_find(row->status) != RPC_RAISED));
    if (row->line) {
        char line[256];
        snprintf(line, sizeof line, row->line, RPC_RAISED);
        ck_assert_str_eq(rig.host.lines[0].text, line);
    }
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

/* The method's own event, which is retained, and only for what its handler raised. */
START_TEST(errors_are_announced)
{
    const struct raised *row = &raised[_i];
    if (row->run == raise_then_succeed)
        return;
    lab_start(&rig, &options, row->run);
    rig_tell(&rig, "act", "");
    ck_assert_uint_eq(rig.host.events.count, 1);
    ck_assert(rig.host.events.kept[0].retain);
    rig_expect_event(&rig, "rpc/event/actFailed", row->text);
    rig_tell(&rig, "act", "[]");
    ck_assert(!rig.host.events.kept[1].retain);
    rig_expect_error(&rig, ERROR("act", "invalid_params", "the parameters must be a JSON object"));
}
END_TEST

START_TEST(errors_without_an_event_of_their_own)
{
    lab_start(&rig, &options, raise_timeout);
    rig_tell(&rig, "act.common", "");
    rig_expect_error(&rig, ERROR("act.common", "timeout", "my own words"));
}
END_TEST

static rpc_status raise_not_found(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    return rpc_raise(call, "method_not_found", "switched off");
}

/* method_not_found is never announced, a handler's neither. */
START_TEST(method_not_found_is_never_announced)
{
    lab_start(&rig, &options, raise_not_found);
    rig_expect(&rig, "act", "", "method_not_found", ERROR("act", "method_not_found", "switched off"));
    fake_host_forget(&rig.host);
    rig_tell(&rig, "act", "");
    expect_silence();
}
END_TEST

static rpc_status raise_long(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    char message[2000];
    memset(message, 'a', 511);
    snprintf(message + 511, sizeof message - 511, "\xE2\x82\xAC and more");
    return rpc_raise(call, "plain", "%s", message);
}

START_TEST(messages_are_cut)
{
    char text[700];
    char message[512];
    memset(message, 'a', 511);
    message[511] = '\0';
    snprintf(text, sizeof text, ERROR("act", "plain", "%s"), message);
    lab_start(&rig, &options, raise_long);
    rig_expect(&rig, "act", "", "plain", text);
}
END_TEST

/* ---- Results that do not fit ---- */

static size_t result_size;

/* A result whose text is result_size bytes of JSON: {"text":"xxx"}. */
static rpc_status return_text(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    const size_t letters = result_size - strlen("{\"text\":\"\"}");
    char *text = rpc_alloc(call, letters + 1);
    memset(text, 'x', letters);
    ((struct lab_text *)result)->text = text;
    return RPC_OK;
}

static const size_t limits[] = {64, 65, 100, 1000, 65536};

START_TEST(max_reply_by_response_topic)
{
    rig.options.max_reply = (int32_t)limits[_i];
    lab_start(&rig, &options, return_text);
    result_size = limits[_i];
    const struct fake_message *reply = rig_ask(&rig, "act", "");
    ck_assert_uint_eq(reply->size, limits[_i]);
    ck_assert_str_eq(reply->status, "ok");
    result_size = limits[_i] + 1;
    reply = rig_ask(&rig, "act", "");
    ck_assert_str_eq(reply->status, "reply_too_large");
    ck_assert_uint_le(reply->size, limits[_i]);
}
END_TEST

START_TEST(max_reply_by_request_id)
{
    static const char around[] = "{\"request_id\":\"1\",\"result\":}";
    rig.options.max_reply = (int32_t)limits[_i];
    lab_start(&rig, &options, return_text);
    result_size = limits[_i] - strlen(around);
    rig_tell(&rig, "act", "{\"request_id\":\"1\"}");
    ck_assert_uint_eq(rig_last(&rig.host.replies)->size, limits[_i]);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok");
    result_size++;
    fake_host_forget(&rig.host);
    rig_tell(&rig, "act", "{\"request_id\":\"1\"}");
    /* With 64 or 65 bytes there is not even room for the code: dropped, and logged. */
    if (limits[_i] < 100)
        ck_assert(
            fake_host_logged(&rig.host, "the error reply_too_large of act does not fit into max_reply"));
    else
        ck_assert_str_eq(rig_last(&rig.host.replies)->status, "reply_too_large");
}
END_TEST

START_TEST(what_is_too_large_says_so)
{
    rig.options.max_reply = 200;
    lab_start(&rig, &options, return_text);
    result_size = 201;
    const char *const error = ERROR("act", "reply_too_large", "the result is over max_reply, 200 bytes");
    rig_expect(&rig, "act", "", "reply_too_large", error);
    rig_tell(&rig, "act", "{\"request_id\":\"1\"}");
    ck_assert_str_eq(rig_last(&rig.host.replies)->text,
                     "{\"request_id\":\"1\",\"error\":" ERROR("act", "reply_too_large",
                                                              "the result is over max_reply, 200 bytes") "}");
    ck_assert_uint_eq(engine_counters(rig.engine)->errors, 2);
    /* act has no result event: nobody wants the result, so nothing is too large. */
    fake_host_forget(&rig.host);
    rig_tell(&rig, "act", "");
    expect_silence();
}
END_TEST

/* The event fits, the reply with what stands around it does not. */
START_TEST(the_event_may_fit_alone)
{
    char payload[64];
    rig.options.max_reply = 64;
    lab_start(&rig, &options, NULL);
    snprintf(payload, sizeof payload, "{\"request_id\":\"%040d\"}", 7);
    rig_tell(&rig, "count", payload);
    ck_assert_uint_eq(rig.host.events.count, 1);
    rig_expect_event(&rig, "rpc/event/counted", "{\"n\":1}");
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(engine_counters(rig.engine)->dropped, 1);
}
END_TEST

/* An error is told with less and less detail, until it fits. */
#define WITH_EXTRA \
    "{\"method\":\"act\",\"err\":\"trouble\",\"msg\":\"3 too many\",\"what\":\"a \\\"b\\\"\",\"size\":-5}"
#define WITH_MESSAGE ERROR("act", "trouble", "3 too many")
#define CODE_ONLY "{\"method\":\"act\",\"err\":\"trouble\"}"

static const struct detail {
    size_t limit;
    const char *text; /* NULL: nothing fits */
} details[] = {
    {sizeof WITH_EXTRA - 1, WITH_EXTRA},     {sizeof WITH_EXTRA - 2, WITH_MESSAGE},
    {sizeof WITH_MESSAGE - 1, WITH_MESSAGE}, {sizeof WITH_MESSAGE - 2, CODE_ONLY},
    {sizeof CODE_ONLY - 1, CODE_ONLY},       {sizeof CODE_ONLY - 2, NULL},
};

START_TEST(errors_shrink_to_fit)
{
    const struct detail *row = &details[_i];
    rig.options.max_reply = (int32_t)row->limit;
    lab_start(&rig, &options, raise_trouble);
    if (row->text) {
        rig_expect(&rig, "act", "", "trouble", row->text);
        rig_tell(&rig, "act", "");
        rig_expect_event(&rig, "rpc/event/actFailed", row->text);
        return;
    }
    struct host_message message = rig_message(&rig, "rpc/call/act", "");
    message.response_topic = "r";
    rig_receive(rig.engine, &message);
    expect_silence();
    ck_assert_uint_eq(engine_counters(rig.engine)->dropped, 1);
    ck_assert(fake_host_logged(&rig.host, "rpc: the error trouble of act does not fit into max_reply"));
}
END_TEST

/* The same where the reply stands in {"request_id":…}. */
START_TEST(wrapped_errors_shrink_to_fit)
{
    static const char around[] = "{\"request_id\":\"1\",\"error\":}";
    const struct detail *row = &details[_i];
    rig.options.max_reply = (int32_t)(row->limit + strlen(around));
    lab_start(&rig, &options, raise_trouble);
    rig_tell(&rig, "act", "{\"request_id\":\"1\"}");
    ck_assert_uint_eq(rig.host.replies.count, row->text ? 1 : 0);
    if (!row->text)
        return;
    char text[256];
    snprintf(text, sizeof text, "{\"request_id\":\"1\",\"error\":%s}", row->text);
    ck_assert_str_eq(rig.host.replies.kept[0].text, text);
}
END_TEST

static rpc_status return_unfit(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params;
    ((struct lab_text *)result)->text = "\xFF";
    return RPC_OK;
}

START_TEST(unfit_results)
{
    lab_start(&rig, &options, return_unfit);
    rig_expect(&rig, "act", "", "internal_error", INTERNAL);
    ck_assert_uint_eq(rig.host.line_count, 2);
    ck_assert_str_eq(rig.host.lines[0].text,
                     "rpc: method act: its result does not fit its shape: text is not UTF-8");
    ck_assert_int_eq(rig.host.lines[0].level, RPC_LOG_ERROR);
    ck_assert_uint_eq(engine_counters(rig.engine)->errors, 1);
}
END_TEST

/* ---- rpc_announce() ---- */

static rpc_status announced;
static const char *event_name;
static struct lab_text event_data;

static rpc_status announce(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    announced = rpc_announce(rpc_call_instance(call), call, event_name, &event_data);
    return RPC_OK;
}

static rpc_status announce_from_nobody(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    announced = rpc_announce(rpc_call_instance(call), NULL, event_name, &event_data);
    return RPC_OK;
}

static char letters[300];

static const struct announcement {
    const char *event, *text;
    rpc_status status;
    const char *line;
} announcements[] = {
    {"noted", "x", RPC_OK, NULL},
    {"kept", "x", RPC_OK, NULL},
    {"noted", NULL, RPC_OK, NULL},
    {"noted", "\xFF", RPC_INTERNAL_ERROR,
     "rpc: module lab: the data of event noted does not fit its shape: text is not UTF-8"},
    {"counted", "x", RPC_INTERNAL_ERROR,
     "rpc: module lab announced counted, which it does not declare with data"},
    {"error", "x", RPC_INTERNAL_ERROR,
     "rpc: module lab announced error, which it does not declare with data"},
    {"un\nknown", "x", RPC_INTERNAL_ERROR,
     "rpc: module lab announced un\\x0Aknown, which it does not declare with data"},
    {"noted", letters, RPC_REPLY_TOO_LARGE, NULL},
};

START_TEST(handlers_announce)
{
    const struct announcement *row = &announcements[_i];
    memset(letters, 'x', sizeof letters - 1);
    event_name = row->event;
    event_data.text = row->text;
    rig.options.max_reply = 200;
    rig.options.qos = 1;
    lab_start(&rig, &options, announce);
    rig_expect(&rig, "act", "", "ok", "{}");
    ck_assert_int_eq(announced, row->status);
    ck_assert_uint_eq(rig.host.line_count, row->line ? 1 : 0);
    if (row->line)
        ck_assert_str_eq(rig.host.lines[0].text, row->line);
    ck_assert_uint_eq(rig.host.events.count, row->status == RPC_OK ? 1 : 0);
    if (row->status != RPC_OK)
        return;
    const struct fake_message *event = &rig.host.events.kept[0];
    ck_assert_str_eq(event->text, row->text ? "{\"text\":\"x\"}" : "{}");
    ck_assert_int_eq(event->qos, 1);
    ck_assert_int_eq(event->retain, strcmp(row->event, "kept") == 0);
    ck_assert_str_eq(event->client, "tester");
}
END_TEST

START_TEST(announcements_without_a_call)
{
    event_name = "noted";
    event_data.text = "x";
    lab_start(&rig, &options, announce_from_nobody);
    rig_tell(&rig, "act", "");
    rig_expect_event(&rig, "rpc/event/noted", "{\"text\":\"x\"}");
    ck_assert(!rig.host.events.kept[0].has_client);
}
END_TEST

/* ---- rpc_announce_for() ---- */

#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static char long_state[514];

static const struct traced {
    rpc_trace trace;
    const char *properties; /* NULL: it is no trace */
} traces[] = {
    {{PARENT, NULL}, "traceparent=" PARENT ";"},
    {{PARENT, "a=b"}, "traceparent=" PARENT ";tracestate=a=b;"},
    {{"", NULL}, NULL},
    {{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", NULL}, NULL},
    {{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\n", NULL}, NULL},
    {{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\xff", NULL}, NULL},
    {{PARENT, ""}, NULL},
    {{PARENT, "a\x01"}, NULL},
    {{PARENT, long_state}, NULL},
};

/* Outside of a call: no mount point, and the trace that the module has kept. */
START_TEST(announcements_for_a_trace)
{
    const struct traced *row = &traces[_i];
    const struct lab_text data = {.text = "x"};
    memset(long_state, 'x', sizeof long_state - 1);
    rig.client.mounted = true;
    lab_start(&rig, &options, NULL);
    ck_assert_int_eq(rpc_announce_for(rig_instance(&rig), &row->trace, "noted", &data),
                     row->properties ? RPC_OK : RPC_INTERNAL_ERROR);
    ck_assert_uint_eq(rig.host.events.count, row->properties ? 1 : 0);
    ck_assert_uint_eq(rig.host.line_count, row->properties ? 0 : 1);
    if (!row->properties) {
        ck_assert_str_eq(rig.host.lines[0].text, "rpc: module lab announced noted for what is no trace");
        return;
    }
    ck_assert_str_eq(rig.host.events.kept[0].properties, row->properties);
    ck_assert(!rig.host.events.kept[0].has_client);
    ck_assert_int_eq(rpc_announce_for(rig_instance(&rig), NULL, "noted", &data), RPC_OK);
    ck_assert_str_eq(rig.host.events.kept[1].properties, "");
    ck_assert_int_eq(rpc_announce_for(rig_instance(&rig), &row->trace, "nope", &data), RPC_INTERNAL_ERROR);
}
END_TEST

/* The events of one module are not another's to announce. */
static const rpc_module other = {
    .name = "other",
    .methods = RPC_TABLE((const rpc_method[]){{.name = "others", .run = announce}}),
};

START_TEST(other_modules_events)
{
    event_name = "noted";
    event_data.text = "x";
    lab_start(&rig, &options, NULL);
    rig_add(&rig, &other, NULL);
    rig_expect(&rig, "others", "", "ok", "{}");
    ck_assert_int_eq(announced, RPC_INTERNAL_ERROR);
    ck_assert_uint_eq(rig.host.events.count, 0);
    ck_assert(fake_host_logged(&rig.host, "rpc: module other announced noted, which it does not declare"));
}
END_TEST

/* ---- A host that takes nothing ---- */

/* _i: it has no memory, or it drops what it gets. */
START_TEST(dropped_messages)
{
    lab_start(&rig, &options, NULL);
    rig.host.no_memory = _i == 0;
    rig.host.drop = _i == 1;
    struct host_message message = rig_message(&rig, "rpc/call/count", "");
    message.response_topic = "r";
    ck_assert_int_eq(rig_receive(rig.engine, &message), ENGINE_CONSUME);
    expect_silence();
    const struct counters *counters = engine_counters(rig.engine);
    ck_assert_uint_eq(counters->dropped, 2);
    ck_assert_uint_eq(counters->replies, 0);
    ck_assert_uint_eq(counters->events, 0);
    ck_assert_uint_eq(counters->calls, 1);
    ck_assert_uint_eq(rig.host.line_count, 2);
    ck_assert_str_eq(
        rig.host.lines[0].text,
        "rpc: an event to rpc/event/counted was dropped: no memory, or too many messages are on their way");
    ck_assert_str_eq(rig.host.lines[1].text,
                     "rpc: a reply to r was dropped: no memory, or too many messages are on their way");
    rig.host.no_memory = rig.host.drop = false;
    expect_runs(1);
}
END_TEST

START_TEST(dropped_announcements)
{
    event_name = "noted";
    event_data.text = "x";
    lab_start(&rig, &options, announce);
    rig.host.no_memory = _i == 0;
    rig.host.drop = _i == 1;
    rig_tell(&rig, "act", "");
    ck_assert_int_eq(announced, RPC_INTERNAL_ERROR);
    expect_silence();
}
END_TEST

UNIT_MAIN("answer", open_rig, close_rig, {replies_carry_what_they_must, 0},
          {correlation_is_neither_made_nor_lost, 0}, {qos_of_replies_and_events, 9},
          {request_id_is_a_parameter_then, 0}, {response_topics_are_checked, UNIT_ROWS(response_topics)},
          {response_topics_are_filtered, 0}, {response_topics_of_the_caller, UNIT_ROWS(own_topics)},
          {response_topics_over_bridges, UNIT_ROWS(bridge_topics)}, {replies_by_request_id, UNIT_ROWS(by_id)},
          {errors_by_request_id, 0}, {numbers_are_request_ids, UNIT_ROWS(number_ids)},

          {other_request_ids_are_refused, 3 * UNIT_ROWS(no_ids)}, {other_members_are_no_request_id, 2},
          {request_ids_are_checked, UNIT_ROWS(bad_ids)}, {request_ids_are_bounded, 0},
          {unknown_methods_are_answered, 0}, {unknown_methods_are_not_announced, UNIT_ROWS(unanswered)},
          {an_unknown_method_and_a_bad_route, 0}, {long_unknown_names, 0},
          {bad_payloads_are_answered, UNIT_ROWS(payloads)}, {bad_payloads_are_announced, UNIT_ROWS(payloads)},
          {good_payloads, 0}, {bytes_with_nul, 0}, {max_payload, 0}, {result_events, 0},
          {unanswered_events, 0}, {what_changes_nothing_is_not_announced, UNIT_ROWS(half_changes)},
          {no_event_at_all, 0}, {handlers_see_the_call, 0}, {handlers_see_anonymous_callers, 0},
          {plain_statuses, RPC_RAISED - 1}, {statuses_that_are_none, UNIT_ROWS(misused)},
          {errors_are_raised, UNIT_ROWS(raised)}, {errors_are_announced, UNIT_ROWS(raised)},
          {errors_without_an_event_of_their_own, 0}, {method_not_found_is_never_announced, 0},
          {messages_are_cut, 0}, {max_reply_by_response_topic, UNIT_ROWS(limits)},
          {max_reply_by_request_id, UNIT_ROWS(limits)}, {what_is_too_large_says_so, 0},
          {the_event_may_fit_alone, 0}, {errors_shrink_to_fit, UNIT_ROWS(details)},
          {wrapped_errors_shrink_to_fit, UNIT_ROWS(details)}, {unfit_results, 0},
          {handlers_announce, UNIT_ROWS(announcements)}, {announcements_without_a_call, 0},
          {announcements_for_a_trace, UNIT_ROWS(traces)}, {other_modules_events, 0}, {dropped_messages, 2},
          {dropped_announcements, 2})

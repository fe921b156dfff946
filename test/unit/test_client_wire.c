// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* clients/c/client_wire.h: calls and replies as bytes. */
#include "unit.h"

#include "client_wire.h"

#include <stdio.h>
#include <string.h>

static const char id[] = "00112233445566778899aabbccddeeff";

START_TEST(identities)
{
    char one[WIRE_ID_SIZE], two[WIRE_ID_SIZE];
    ck_assert(wire_new_id(one) && wire_new_id(two));
    ck_assert(wire_is_id(one, strlen(one)) && wire_is_id(two, strlen(two)));
    ck_assert_str_ne(one, two);
    ck_assert(!wire_is_id(id, 31));
    ck_assert(!wire_is_id("00112233445566778899AABBCCDDEEFF", 32));
    ck_assert(!wire_is_id("0011223344556677\0899aabbccddeeff", 32));
    for (int at = 0; at < 100; at++)
        ck_assert_uint_lt(wire_random(3), 3);
}
END_TEST

START_TEST(names_of_methods)
{
    static const char *const good[] = {
        "a", "a/b", "rpc.list", "device/lamp 1/light", "responses", "device/\xc3\xa4/x"};
    static const char *const bad[] = {"",    "/",        "a/",        "/a",  "a//b", "a+",
                                      "a/#", "response", "a/request", "a\n", "\xff"};
    char large[WIRE_METHOD_MAX + 2];
    for (int at = 0; at < UNIT_ROWS(good); at++)
        ck_assert_msg(wire_is_method(good[at]), "%s", good[at]);
    for (int at = 0; at < UNIT_ROWS(bad); at++)
        ck_assert_msg(!wire_is_method(bad[at]), "%s", bad[at]);
    memset(large, 'a', sizeof large);
    large[WIRE_METHOD_MAX + 1] = 0;
    ck_assert(!wire_is_method(large) && !wire_is_method(NULL));
    large[WIRE_METHOD_MAX] = 0;
    ck_assert(wire_is_method(large));
}
END_TEST

START_TEST(traces)
{
    char large[WIRE_TRACE_SIZE + 1];
    memset(large, 'a', sizeof large);
    large[WIRE_TRACE_SIZE] = 0;
    ck_assert(wire_is_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    ck_assert(!wire_is_traceparent(large) && !wire_is_traceparent("") && !wire_is_traceparent("a b"));
    ck_assert(!wire_is_traceparent("a\"") && !wire_is_traceparent("a\\") && !wire_is_traceparent("\xc3\xa4"));
}
END_TEST

static const struct {
    const char *payload, *expected; /* what stands behind the identity; NULL: it is refused */
    bool is_batch;
} besides[] = {
    {"", ",\"timeout_ms\":5}", false},
    {" \n", ",\"timeout_ms\":5}", false},
    {"{}", ",\"timeout_ms\":5}", false},
    {" { } ", ",\"timeout_ms\":5} ", false},
    {"{\"a\":1}", ",\"timeout_ms\":5,\"a\":1}", false},
    {"{ \"a\":1.00}", ",\"timeout_ms\":5,\"a\":1.00}", false},
    {"{", ",\"timeout_ms\":5,", false},
    {"[]", NULL, false},
    {"5", NULL, false},
    {"\"{\"", NULL, false},
    {"[{}]", ",\"timeout_ms\":5,\"calls\":[{}]}", true},
    {" []", ",\"timeout_ms\":5,\"calls\":[]}", true},
    {"{}", NULL, true},
    {"", NULL, true},
};

START_TEST(members_beside_parameters)
{
    char out[100 + WIRE_MEMBERS_MAX], expected[200];
    struct wire_members members = {.id = id, .timeout_ms = 5, .is_batch = besides[_i].is_batch};
    size_t size = wire_beside(out, &members, besides[_i].payload, strlen(besides[_i].payload));
    if (!besides[_i].expected) {
        ck_assert_uint_eq(size, 0);
        return;
    }
    snprintf(expected, sizeof expected, "{\"request_id\":\"%s\"%s", id, besides[_i].expected);
    ck_assert_uint_eq(size, strlen(expected));
    ck_assert_mem_eq(out, expected, size);
}
END_TEST

START_TEST(members_have_room)
{
    char out[WIRE_MEMBERS_MAX], trace[WIRE_TRACE_SIZE];
    memset(trace, 'a', sizeof trace);
    trace[sizeof trace - 1] = 0;
    struct wire_members members = {.id = id, .timeout_ms = 86400000, .traceparent = trace, .is_batch = true};
    ck_assert_uint_lt(wire_beside(out, &members, "[", 1), sizeof out);
}
END_TEST

static const struct {
    const char *payload, *status;
    bool is_json;
    enum wire_kind kind;
} replies[] = {
    {"{}", "ok", true, WIRE_RESULT},
    {"{}", NULL, true, WIRE_RESULT},
    {" 5 ", "ok", true, WIRE_RESULT},
    {"raw", "ok", false, WIRE_RESULT},
    {"", "ok", false, WIRE_RESULT},
    {"", "ok", true, WIRE_BAD},
    {"{", "ok", true, WIRE_BAD},
    {"{}x", "ok", true, WIRE_BAD},
    {"{}", "progress", true, WIRE_PROGRESS},
    {"{", "progress", true, WIRE_BAD},
    {"{\"err\":\"e\"}", "e", true, WIRE_ERROR},
    {"{\"err\":\"e\"}", "e", false, WIRE_ERROR},
    {"{\"err\":5}", "e", true, WIRE_BAD},
    {"[]", "e", true, WIRE_BAD},
    {"", "e", true, WIRE_BAD},
};

START_TEST(replies_with_mqtt_5)
{
    struct wire_reply reply;
    wire_read(&reply, replies[_i].payload, strlen(replies[_i].payload), replies[_i].status,
              replies[_i].is_json);
    ck_assert_int_eq(reply.kind, replies[_i].kind);
    ck_assert(reply.text == replies[_i].payload);
    cJSON_Delete(reply.data);
}
END_TEST

static const struct {
    const char *payload, *text;
    enum wire_kind kind;
} besides_replies[] = {
    {"{\"request_id\":\"%s\",\"result\":{\"a\":1.00}}", "{\"a\":1.00}", WIRE_RESULT},
    {"{ \"request_id\":\"%s\",\"result\":{\"a\": 2}}", "{\"a\":2}", WIRE_RESULT},
    {"{\"result\":null,\"request_id\":\"%s\"}", "null", WIRE_RESULT},
    {"{\"request_id\":\"%s\",\"error\":{\"err\":\"e\"}}", "{\"err\":\"e\"}", WIRE_ERROR},
    {"{\"request_id\":\"%s\",\"error\":{}}", "{}", WIRE_BAD},
    {"{\"request_id\":\"%s\",\"error\":5}", "5", WIRE_BAD},
    {"{\"request_id\":\"%s\"}", NULL, WIRE_BAD},
    {"{\"request_id\":\"%s\",\"result\":1", NULL, WIRE_BAD},
    {"[]", NULL, WIRE_BAD},
    {"", NULL, WIRE_BAD},
};

START_TEST(replies_by_request_id)
{
    char payload[200];
    struct wire_reply reply;
    int size =
        strchr(besides_replies[_i].payload, '%')
            ? snprintf(payload, sizeof payload, "%.*s%s%s", (int)strcspn(besides_replies[_i].payload, "%"),
                       besides_replies[_i].payload, id, strchr(besides_replies[_i].payload, '%') + 2)
            : snprintf(payload, sizeof payload, "%s", besides_replies[_i].payload);
    wire_read_beside(&reply, payload, (size_t)size, id);
    ck_assert_int_eq(reply.kind, besides_replies[_i].kind);
    if (besides_replies[_i].text) {
        ck_assert_str_eq(reply.text, besides_replies[_i].text);
        ck_assert_uint_eq(reply.size, strlen(reply.text));
    }
    cJSON_Delete(reply.data);
    cJSON_free(reply.printed);
}
END_TEST

START_TEST(json_holds_no_0)
{
    ck_assert_ptr_null(wire_parse("{}\0", 3));
    ck_assert_ptr_null(wire_parse("\"a\0b\"", 5));
}
END_TEST

START_TEST(what_is_printed_is_ascii)
{
    char out[8];
    wire_print(out, sizeof out, "a\033\n\xc3\xa4xyz");
    ck_assert_str_eq(out, "a????xy");
}
END_TEST

UNIT_MAIN("client_wire", NULL, NULL, {identities, 0}, {names_of_methods, 0}, {traces, 0},
          {members_beside_parameters, UNIT_ROWS(besides)}, {members_have_room, 0},
          {replies_with_mqtt_5, UNIT_ROWS(replies)}, {replies_by_request_id, UNIT_ROWS(besides_replies)},
          {json_holds_no_0, 0}, {what_is_printed_is_ascii, 0})

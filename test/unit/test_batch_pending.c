// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Batches of pending calls: the items may end in any order; the reply has their outcomes in the order of the
 * batch, and is sent when the last item has ended.
 */
#include "unit.h"
#include "works.h"

#include "call/engine_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rig rig;
static struct works_slot *const slots = works_slots;

static void open_rig(void)
{
    works_init(&rig);
    rig.options.workers = 4;
}

static void close_rig(void)
{
    works_close(&rig);
}

static void shut(int first, int last)
{
    for (int n = first; n <= last; n++)
        slots[n].shut = true;
}

#define DID(n) "{\"n\":" #n ",\"by\":\"work\"}"
#define SAID(n) "{\"n\":" #n ",\"by\":\"now\"}"
#define WAITED(n) "{\"n\":" #n ",\"by\":\"done\"}"
#define RESULT(result) "{\"result\":" result "}"
#define FAILED(error) "{\"error\":" error "}"
#define A1 "\"a:1\""
#define X "\"x\""
#define REQUEST(id, method, n) \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\",\"params\":[" #n "]}"
#define NOTIFICATION(method, n) "{\"jsonrpc\":\"2.0\",\"method\":\"" method "\",\"params\":[" #n "]}"
#define RESPONSE(id, result) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":" result "}"

/* ---- In order ---- */

static const struct form {
    const char *topic, *payload, *response_topic, *reply_topic, *text;
} forms[] = {
    {"rpc/batch/work", "[{\"n\":1},{\"n\":2},{\"n\":3}]", "r", "r",
     "[" RESULT(DID(1)) "," RESULT(DID(2)) "," RESULT(DID(3)) "]"},
    {"rpc/batch/work", "{\"request_id\":\"x\",\"calls\":[{\"n\":1},{\"n\":2},{\"n\":3}]}", NULL,
     "rpc/call/work/response/x",
     "{\"request_id\":\"x\",\"result\":[" RESULT(DID(1)) "," RESULT(DID(2)) "," RESULT(DID(3)) "]}"},
    {"rpc/call/work",
     "[" REQUEST(A1, "work", 1) "," REQUEST("5", "work", 2) "," REQUEST("null", "work", 3) "]", NULL,
     "rpc/call/work/response/a",
     "[" RESPONSE(A1, DID(1)) "," RESPONSE("5", DID(2)) "," RESPONSE("null", DID(3)) "]"},
    {"rpc/call/work/request",
     "[" REQUEST("1", "work", 1) "," REQUEST("2", "work", 2) "," REQUEST("3", "work", 3) "]", "r", "r",
     "[" RESPONSE("1", DID(1)) "," RESPONSE("2", DID(2)) "," RESPONSE("3", DID(3)) "]"},
    {"rpc/jsonrpc",
     "[" REQUEST("1", "work", 1) "," REQUEST("2", "work.firm", 2) "," REQUEST("3", "work", 3) "]", NULL,
     "rpc/jsonrpc/response/1",
     "[" RESPONSE("1", DID(1)) "," RESPONSE("2", DID(2)) "," RESPONSE("3", DID(3)) "]"},
};

static const int orders[][3] = {{1, 2, 3}, {1, 3, 2}, {2, 1, 3}, {2, 3, 1}, {3, 1, 2}, {3, 2, 1}};

START_TEST(items_in_any_order)
{
    const struct form *form = &forms[_i / UNIT_ROWS(orders)];
    const int *order = orders[_i % UNIT_ROWS(orders)];
    works_open(&rig);
    shut(1, 3);
    works_send(&rig, form->topic, form->payload, form->response_topic, NULL);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(rig.host.replies.count, 0);
        works_let_go(&rig, order[i]);
    }
    works_expect(&rig, 1, "ok", form->text);
    ck_assert_str_eq(rig.host.replies.kept[0].topic, form->reply_topic);
    ck_assert_uint_eq(engine_counters(rig.engine)->calls, 3);
}
END_TEST

/* ---- Together with calls that are answered at once ---- */

static const struct mixed {
    const char *payload, *text;
} mixes[] = {
    {"[" REQUEST("1", "now", 9) "," REQUEST("2", "work", 1) "," REQUEST("3", "now", 8) "]",
     "[" RESPONSE("1", SAID(9)) "," RESPONSE("2", DID(1)) "," RESPONSE("3", SAID(8)) "]"},
    {"[" REQUEST("1", "work", 1) "," REQUEST("2", "now", 9) "]",
     "[" RESPONSE("1", DID(1)) "," RESPONSE("2", SAID(9)) "]"},
    {"[" REQUEST("1", "now", 9) "," REQUEST("2", "now", 8) "," REQUEST("3", "work", 1) "]",
     "[" RESPONSE("1", SAID(9)) "," RESPONSE("2", SAID(8)) "," RESPONSE("3", DID(1)) "]"},
    /* Notifications are not in the reply. */
    {"[" NOTIFICATION("work", 1) "," REQUEST("2", "now", 9) "]", "[" RESPONSE("2", SAID(9)) "]"},
    {"[" REQUEST("2", "now", 9) "," NOTIFICATION("work", 1) "]", "[" RESPONSE("2", SAID(9)) "]"},
    {"[" NOTIFICATION("now", 9) "," NOTIFICATION("work", 1) "," REQUEST(X, "work", 2) "]",
     "[" RESPONSE(X, DID(2)) "]"},
    {"[" NOTIFICATION("now", 9) "," NOTIFICATION("work", 1) "]", NULL},
    /* Items that are malformed. */
    {"[" REQUEST("1", "work", 1) ",1," REQUEST("2", "nope", 1) "]",
     "[" RESPONSE("1",
                  DID(1)) ",{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,\"message\":\"the "
                          "request is no object\",\"data\":" WORKS_ERROR(
                              "", "invalid_request",
                              "the request is no object") "}},{\"jsonrpc\":\"2.0\","
                                                          "\"id\":2,\"error\":{\"code\":-32601,\"message\":"
                                                          "\"nope is not open at rpc/jsonrpc: the option "
                                                          "jsonrpc_methods opens methods "
                                                          "there\",\"data\":" WORKS_ERROR(
                                                              "nope", "method_not_found",
                                                              "nope is not open at rpc/jsonrpc: the option "
                                                              "jsonrpc_methods opens methods there") "}}]"},
};

START_TEST(mixed_items)
{
    works_open(&rig);
    shut(1, 1);
    works_send(&rig, "rpc/jsonrpc", mixes[_i].payload, "r", NULL);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    works_finish(&rig);
    if (mixes[_i].text)
        works_expect(&rig, 1, "ok", mixes[_i].text);
    else
        ck_assert_uint_eq(rig.host.replies.count, 0);
}
END_TEST

START_TEST(items_that_fail)
{
    works_open(&rig);
    shut(1, 2);
    works_send(&rig, "rpc/batch/work", "[{\"n\":1,\"fail\":true},{\"n\":99},{\"n\":2}]", "r", NULL);
    works_let_go(&rig, 2);
    works_let_go(&rig, 1);
    works_expect(&rig, 1, "ok",
                 "[" FAILED(WORKS_ERROR("work", "plain", "slot 1")) "," FAILED(
                     WORKS_ERROR("work", "invalid_params", "n: 99 is outside 0..63")) "," RESULT(DID(2)) "]");
}
END_TEST

/* Items are announced, even if the batch asks for no reply. */
START_TEST(items_are_announced)
{
    works_open(&rig);
    shut(1, 2);
    works_send(&rig, "rpc/batch/work", "[{\"n\":1},{\"n\":2},{\"n\":3,\"fail\":true}]", _i ? "r" : NULL,
               NULL);
    works_let_go(&rig, 2);
    works_let_go(&rig, 1);
    works_wait_done(&rig, 3, 1);
    ck_assert_int_eq((int)rig.host.replies.count, _i);
    ck_assert_int_eq((int)rig.host.events.count, _i ? 2 : 3);
    for (size_t i = 0; i < rig.host.events.count; i++)
        ck_assert(strcmp(rig.host.events.kept[i].text, DID(1)) == 0 ||
                  strcmp(rig.host.events.kept[i].text, DID(2)) == 0 ||
                  strcmp(rig.host.events.kept[i].topic, "rpc/event/workFailed") == 0);
}
END_TEST

/* ---- What resumes an item ---- */

/* The second item ends the first while the batch still runs. */
START_TEST(an_item_resumes_another)
{
    works_open(&rig);
    works_send(&rig, "rpc/jsonrpc",
               "[" REQUEST("0", "now", 9) "," REQUEST("1", "wait", 1) "," REQUEST("2", "tell", 1) "," REQUEST(
                   "3", "now", 8) "]",
               "r", NULL);
    works_expect(&rig, 1, "ok",
                 "[" RESPONSE("0", SAID(9)) "," RESPONSE("1", WAITED(1)) "," RESPONSE(
                     "2", "{\"n\":1,\"by\":\"tell\"}") "," RESPONSE("3", SAID(8)) "]");
}
END_TEST

START_TEST(another_call_resumes_items)
{
    works_open(&rig);
    works_send(&rig, "rpc/batch/wait", "[{\"n\":1},{\"n\":2}]", "r", NULL);
    works_call(&rig, "tell", 2);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    works_call(&rig, "tell", 1);
    ck_assert_uint_eq(rig.host.replies.count, 3);
    ck_assert_str_eq(rig.host.replies.kept[1].text, "[" RESULT(WAITED(1)) "," RESULT(WAITED(2)) "]");
}
END_TEST

/* ---- Deadlines, ends, limits ---- */

START_TEST(items_time_out)
{
    works_open(&rig);
    shut(1, 3);
    works_send(&rig, "rpc/batch/work", "[{\"n\":1},{\"n\":2},{\"n\":3}]", "r", NULL);
    for (int n = 1; n <= 3; n++)
        works_wait_begun(n);
    works_let_go(&rig, 2);
    works_pass(&rig, 10000);
    works_expect(&rig, 1, "ok",
                 "[" FAILED(WORKS_TIMEOUT("work")) "," RESULT(DID(2)) "," FAILED(WORKS_TIMEOUT("work")) "]");
    ck_assert_int_eq(slots[1].dones, 0);
    works_let_go(&rig, 3);
    works_let_go(&rig, 1);
    ck_assert_int_eq(slots[1].outcome, RPC_TIMEOUT);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_uint_eq(engine_counters(rig.engine)->late, 2);
}
END_TEST

/* Each item has its own deadline. */
START_TEST(items_of_several_deadlines)
{
    works_open(&rig);
    works_send(&rig, "rpc/jsonrpc", "[" REQUEST("1", "wait", 1) "," REQUEST("2", "work.brief", 2) "]", "r",
               NULL);
    works_wait_done(&rig, 2, 1);
    works_pass(&rig, 300);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    works_call(&rig, "tell", 1);
    ck_assert_str_eq(rig.host.replies.kept[0].text,
                     "[" RESPONSE("1", WAITED(1)) "," RESPONSE("2", DID(2)) "]");
}
END_TEST

START_TEST(a_timeout_that_is_none)
{
    rig.host.property = "timeout-ms";
    rig.host.value = "x";
    works_open(&rig);
    works_send(&rig, "rpc/jsonrpc", "[" REQUEST("1", "work", 1) "," REQUEST("2", "now", 9) "]", "r", NULL);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_ptr_nonnull(strstr(rig.host.replies.kept[0].text, "\"err\":\"invalid_request\""));
    ck_assert_ptr_nonnull(strstr(rig.host.replies.kept[0].text, "timeout-ms must be a whole number"));
    ck_assert_ptr_nonnull(strstr(rig.host.replies.kept[0].text, RESPONSE("2", SAID(9))));
    ck_assert_int_eq(slots[1].runs, 0);
}
END_TEST

START_TEST(the_connection_ends)
{
    rig.options.workers = 1;
    works_open(&rig);
    shut(1, 1);
    works_send(&rig, "rpc/jsonrpc",
               "[" REQUEST("1", "work", 1) "," REQUEST("2", "work", 2) "," REQUEST(
                   "3", "wait", 3) "," REQUEST("4", "work.firm", 4) "]",
               "r", NULL);
    works_wait_begun(1);
    works_end_client(&rig, HOST_END_SESSION_WAITS);
    ck_assert_int_eq(slots[2].dones, 1);
    ck_assert_int_eq(slots[3].dones, 1);
    ck_assert_int_eq(slots[1].dones + slots[4].dones, 0);
    ck_assert_uint_eq(rig.host.replies.count, 0); /* one item goes on */
    works_let_go(&rig, 1);
    works_wait_done(&rig, 4, 1);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_ptr_nonnull(strstr(rig.host.replies.kept[0].text, RESPONSE("4", DID(4))));
    ck_assert_uint_eq(engine_counters(rig.engine)->cancelled, 3);
}
END_TEST

START_TEST(items_without_a_slot)
{
    rig.options.max_pending = 2;
    works_open(&rig);
    works_send(&rig, "rpc/batch/wait", "[{\"n\":1},{\"n\":2},{\"n\":3}]", "r", NULL);
    works_call(&rig, "tell", 1);
    works_call(&rig, "tell", 2);
    ck_assert_uint_eq(rig.host.replies.count, 3);
    ck_assert_str_eq(rig.host.replies.kept[1].text,
                     "[" RESULT(WAITED(1)) "," RESULT(WAITED(2)) "," FAILED(WORKS_ERROR(
                         "wait", "overloaded", "2 calls wait, and max_pending allows no more")) "]");
}
END_TEST

/* ---- Replies that are too large ---- */

/* Each size near the one that just fits. */
START_TEST(the_last_byte)
{
    static const char text[] =
        "{\"request_id\":\"x\",\"result\":[" RESULT(DID(1)) "," RESULT(DID(2)) "," RESULT(DID(3)) "]}";
    rig.options.max_reply = (int32_t)sizeof text - 1 + 3 - _i;
    works_open(&rig);
    works_send(&rig, "rpc/batch/work", "{\"request_id\":\"x\",\"calls\":[{\"n\":1},{\"n\":2},{\"n\":3}]}",
               NULL, NULL);
    rig_wait(&rig, 1);
    ck_assert_uint_eq(rig.host.events.count, 3);
    ck_assert_uint_le(rig.host.replies.kept[0].size, (size_t)rig.options.max_reply);
    if (_i <= 3)
        works_expect(&rig, 1, "ok", text);
    else
        ck_assert_str_eq(rig_last(&rig.host.replies)->status, "reply_too_large");
}
END_TEST

START_TEST(what_does_not_fit_at_once)
{
    rig.options.max_reply = 200;
    works_open(&rig);
    works_send(&rig, "rpc/jsonrpc",
               "[" REQUEST("1", "now", 1) "," REQUEST("2", "now", 2) "," REQUEST("3", "work", 3) "," REQUEST(
                   "4", "now", 4) "," REQUEST("5", "work", 5) "]",
               "r", NULL);
    rig_wait(&rig, 1);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "reply_too_large");
    ck_assert_int_eq(slots[3].dones + slots[5].dones, 2);
    ck_assert_uint_eq(rig.host.events.count, 5);
}
END_TEST

/* ---- Large ones ---- */

START_TEST(the_largest_batch)
{
    enum { ITEMS = 100 };
    char payload[4000];
    char *at = payload + sprintf(payload, "[");
    works_open(&rig);
    for (int i = 0; i < ITEMS; i++)
        at += sprintf(at, "%s{\"n\":%d}", i ? "," : "", i % WORKS_SLOTS);
    strcpy(at, "]");
    works_send(&rig, "rpc/batch/work", payload, "r", NULL);
    rig_wait(&rig, 1);
    const char *reply = rig.host.replies.kept[0].payload;
    for (int i = 0; i < ITEMS; i++) {
        const char *place = strstr(reply, "\"n\":");
        ck_assert_ptr_nonnull(place);
        reply = place + 4;
        ck_assert_int_eq(atoi(reply), i % WORKS_SLOTS);
    }
    ck_assert_uint_eq(rig.host.events.count, ITEMS);
}
END_TEST

UNIT_MAIN("open_batch", open_rig, close_rig, {items_in_any_order, UNIT_ROWS(forms) * UNIT_ROWS(orders)},
          {mixed_items, UNIT_ROWS(mixes)}, {items_that_fail, 0}, {items_are_announced, 2},
          {an_item_resumes_another, 0}, {another_call_resumes_items, 0}, {items_time_out, 0},
          {items_of_several_deadlines, 0}, {a_timeout_that_is_none, 0}, {the_connection_ends, 0},
          {items_without_a_slot, 0}, {the_last_byte, 7}, {what_does_not_fit_at_once, 0},
          {the_largest_batch, 0})

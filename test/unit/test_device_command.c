// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * handlers/device/command.c, lane.c and orders.c: from the call to the verdict. What is sent, in which order,
 * when again; when commands end that nobody answers; what is refused. Answers are tested in
 * test_device_answer.c, the queue on the disk in test_device_queue.c.
 */
#include "plant.h"
#include "unit.h"

#include "observe/observe.h"

#include <stdio.h>
#include <string.h>

#define LIGHT "device/lamp1/light"
#define OPEN "device/gate/open" /* nobody declares it */

static void hello_lamp(void)
{
    plant_hello("lamp1", "");
    plant_forget();
}

/* ---- What is sent ---- */

START_TEST(a_command_and_its_result)
{
    hello_lamp();
    ck_assert_int_eq(plant_call(LIGHT, "{\"on\":true}", "c1"), ENGINE_CONSUME);
    const struct fake_message *request = plant_request();
    char expected[200];
    snprintf(expected, sizeof expected,
             "{\"id\":\"%s\",\"cmd\":\"light\",\"params\":{\"on\":true,\"brightness\":100}}", plant_id());
    ck_assert_str_eq(request->text, expected);
    ck_assert_str_eq(request->topic, "cmd/lamp1/req");
    ck_assert_str_eq(request->response_topic, "cmd/lamp1/resp");
    ck_assert_str_eq(request->content_type, "application/json");
    ck_assert_str_eq(request->properties, "seq=1;");
    ck_assert_uint_eq(strlen(plant_id()), 8);
    ck_assert_uint_eq(request->correlation_size, 8);
    ck_assert_int_eq(memcmp(request->correlation, plant_id(), 8), 0);
    ck_assert_uint_eq(request->expiry, 10);
    ck_assert_int_eq(request->qos, 1);
    ck_assert(!request->retain && request->subscribed && !request->has_client);
    plant_expect_no_reply();
    plant_answer("lamp1", "\"result\":{\"on\":true,\"brightness\":100}}");
    plant_expect_reply("ok", "{\"on\":true,\"brightness\":100}");
    plant_expect_states("queued sent succeeded");
    plant_expect_event("\"seq\":1,\"state\":\"succeeded\",\"attempt\":1,");
    plant_pass(60000);
    plant_expect_no_reply();
    plant_expect_states("");
}
END_TEST

START_TEST(the_expiry_is_what_is_left)
{
    hello_lamp();
    plant_property("timeout-ms", "2500");
    plant_call(LIGHT, "{\"on\":true}", "c1");
    ck_assert_uint_eq(plant_request()->expiry, 3);
    plant_property("timeout-ms", "5000");
    plant_property("stale-ms", "4000");
    plant_call(LIGHT, "{\"on\":true}", "c2");
    plant_pass(2000);
    plant_answer("lamp1", "\"result\":null}");
    plant_pass(600);
    ck_assert_str_eq(plant_request()->properties, "seq=2;");
    ck_assert_uint_eq(plant_request()->expiry, 2);
}
END_TEST

START_TEST(delivery_to_the_client_alone)
{
    plant_open_with("device_delivery", "client");
    hello_lamp();
    plant_call(LIGHT, "{\"on\":true}", "c1");
    ck_assert(plant_request()->has_client);
    ck_assert_str_eq(plant_request()->client, "lamp1");
}
END_TEST

START_TEST(a_declared_timeout)
{
    hello_lamp();
    plant_call("device/lamp1/blink", "{\"times\":2}", "c1");
    ck_assert_uint_eq(plant_request()->expiry, 1010);
    plant_property("timeout-ms", "3000");
    plant_call(LIGHT, "{\"on\":true}", "c2");
    plant_pass(3100);
    plant_expect_reply("expired", "other commands");
}
END_TEST

/* ---- What is refused ---- */

static const struct refusal {
    const char *name, *value; /* a user property; NULL: none */
    const char *method, *payload;
    const char *status, *text;
} refusals[] = {
    {"offline", "perhaps", LIGHT, "{\"on\":true}", "invalid_params", "the user property offline"},
    {"ttl-ms", "0", LIGHT, "{\"on\":true}", "invalid_params", "the user property ttl-ms"},
    {"ttl-ms", "1e3", LIGHT, "{\"on\":true}", "invalid_params", "the user property ttl-ms"},
    {"ttl-ms", "2592000001", LIGHT, "{\"on\":true}", "invalid_params", "device_ttl_max"},
    {"ttl-ms", "99999999999999999999999", LIGHT, "{\"on\":true}", "invalid_params", "ttl-ms"},
    {"stale-ms", "-1", LIGHT, "{\"on\":true}", "invalid_params", "the user property stale-ms"},
    {"stale-ms", "", LIGHT, "{\"on\":true}", "invalid_params", "the user property stale-ms"},
    {"stale-ms", "4294967296", LIGHT, "{\"on\":true}", "invalid_params", "the user property stale-ms"},
    {"progress", "yes", LIGHT, "{\"on\":true}", "invalid_params", "the user property progress"},
    {"timeout-ms", "0", LIGHT, "{\"on\":true}", "invalid_request", "timeout-ms"},
    {NULL, NULL, LIGHT, "{}", "invalid_params", "on is required"},
    {NULL, NULL, LIGHT, "{\"on\":true,\"brightness\":101}", "invalid_params", "brightness"},
    {NULL, NULL, LIGHT, "[]", "invalid_params", "object"},
    {NULL, NULL, "device/lamp1/a b", "", "method_not_found", "no command has such a name"},
    {NULL, NULL, "device/nobody/light", "{\"on\":true}", "device_unknown", "\"device\":\"nobody\""},
    {NULL, NULL, "device/lamp1/text",
     "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"",
     "payload_too_large", "device_max_payload"},
    {NULL, NULL, "device.call", "{\"device\":\"lamp1\",\"command\":\"light\"}", "method_not_found",
     "device_call"},
};

START_TEST(refusals_cost_nothing)
{
    const struct refusal *row = &refusals[_i];
    hello_lamp();
    if (row->name)
        plant_property(row->name, row->value);
    plant_call(row->method, row->payload, "c1");
    plant_expect_reply(row->status, row->text);
    plant_expect_states("");
    ck_assert_uint_eq(plant_requests(), 0);
}
END_TEST

START_TEST(the_largest_message)
{
    char payload[400] = "";
    hello_lamp();
    plant_call("device/lamp1/t", "1", "c1");
    const size_t rest = 200 - (plant_request()->size - 1);
    plant_answer("lamp1", "\"result\":1}");
    snprintf(payload, sizeof payload, "\"%0*d\"", (int)rest - 2, 0);
    plant_call("device/lamp1/t", payload, "c2");
    ck_assert_uint_eq(plant_request()->size, 200);
    plant_answer("lamp1", "\"result\":1}");
    plant_forget();
    snprintf(payload, sizeof payload, "\"%0*d\"", (int)rest - 1, 0);
    plant_call("device/lamp1/t", payload, "c3");
    plant_expect_reply("payload_too_large", "");
}
END_TEST

START_TEST(undeclared_commands)
{
    plant_hello("gate", "");
    plant_call(OPEN, "{\"deep\":[1,2.50]}", "c1");
    ck_assert_ptr_nonnull(strstr(plant_request()->text, "\"params\":{\"deep\":[1,2.5"));
    plant_open_with("device_undeclared", "false");
    plant_hello("gate", "");
    plant_call(OPEN, "{}", "c1");
    plant_expect_reply("method_not_found", "device_undeclared");
}
END_TEST

START_TEST(commands_that_a_hello_does_not_name)
{
    plant_hello("lamp1", "{\"commands\":[\"light\"]}");
    plant_call(LIGHT, "{\"on\":true}", "c1");
    plant_answer("lamp1", "\"result\":{\"on\":true,\"brightness\":1}}");
    plant_expect_reply("ok", "");
    plant_call("device/lamp1/getStatus", "", "c2");
    plant_expect_reply("device_rejected", "\"device\":\"lamp1\"");
}
END_TEST

START_TEST(device_call)
{
    plant_open_with("device_call", "true");
    plant_hello("lamp1", "");
    plant_call("device.call",
               "{\"device\":\"lamp1\",\"command\":\"light\",\"params\":{\"on\":false},\"timeout-ms\":2000}",
               "c1");
    ck_assert_ptr_nonnull(strstr(plant_request()->text, "\"on\":false"));
    ck_assert_uint_eq(plant_request()->expiry, 2);
    plant_pass(2100);
    plant_expect_reply("device_timeout", "\"device\":\"lamp1\",\"id\":\"");
    plant_call("device.call",
               "{\"device\":\"lamp1\",\"command\":\"light\",\"params\":{\"on\":true},"
               "\"timeout-ms\":60001}",
               "c2");
    plant_expect_reply("invalid_params", "timeout-ms");
    plant_call("device.call", "{\"device\":\"lamp1\",\"command\":\"light\",\"ttl-ms\":0}", "c3");
    plant_expect_reply("invalid_params", "ttl-ms");
    plant_call("device.call", "{\"device\":\"lamp1\",\"command\":\"light\",\"stale-ms\":0}", "c4");
    plant_expect_reply("invalid_params", "stale-ms");
    plant_call("device.call", "{\"device\":\"lamp1\",\"command\":\"light\",\"offline\":\"x\"}", "c5");
    plant_expect_reply("invalid_params", "offline");
    plant_call("device.call", "{\"device\":\"a/b\",\"command\":\"light\"}", "c6");
    plant_expect_reply("invalid_params", "device");
}
END_TEST

START_TEST(topics_that_are_off)
{
    plant_open_with("device_topic", "none");
    plant_property("offline", "wait");
    plant_call(LIGHT, "{\"on\":true}", "c1");
    plant_expect_reply("device_unknown", "device_topic");
}
END_TEST

/* ---- Order ---- */

START_TEST(one_after_the_other)
{
    hello_lamp();
    plant_call("device/lamp1/a", "", "c1");
    plant_call("device/lamp1/b", "", "c2");
    plant_call("device/lamp1/c", "", "c3");
    plant_expect_states("queued sent queued queued");
    ck_assert_uint_eq(plant_requests(), 1);
    plant_answer("lamp1", "\"result\":1}");
    ck_assert_uint_eq(plant_requests(), 2);
    ck_assert_ptr_nonnull(strstr(plant_request()->text, "\"cmd\":\"b\""));
    ck_assert_str_eq(plant_request()->properties, "seq=2;");
    plant_answer("lamp1", "\"result\":2}");
    ck_assert_ptr_nonnull(strstr(plant_request()->text, "\"cmd\":\"c\""));
    plant_expect_states("succeeded sent succeeded sent");
}
END_TEST

START_TEST(a_wider_window)
{
    plant_open_with("device_window", "3");
    hello_lamp();
    for (int i = 0; i < 5; i++) {
        char method[40], id[8];
        snprintf(method, sizeof method, "device/lamp1/c%d", i);
        snprintf(id, sizeof id, "i%d", i);
        plant_call(method, "", id);
    }
    ck_assert_uint_eq(plant_requests(), 3);
    plant_answer("lamp1", "\"result\":1}"); /* the third one */
    ck_assert_uint_eq(plant_requests(), 4);
    ck_assert_ptr_nonnull(strstr(plant_request()->text, "\"cmd\":\"c3\""));
    plant_expect_reply("ok", "1");
}
END_TEST

START_TEST(a_mute_device_frees_its_lane)
{
    hello_lamp();
    plant_property("timeout-ms", "1000");
    plant_call("device/lamp1/a", "", "c1");
    plant_call("device/lamp1/b", "", "c2");
    plant_pass(1100);
    plant_expect_reply("device_timeout", "\"id\":\"");
    plant_expect_states("queued sent queued timeout sent");
    ck_assert_ptr_nonnull(strstr(plant_request()->text, "\"cmd\":\"b\""));
}
END_TEST

START_TEST(one_that_waits_too_long)
{
    hello_lamp();
    plant_call("device/lamp1/a", "", "c1");
    plant_property("timeout-ms", "1000");
    plant_call("device/lamp1/b", "", "c2");
    plant_pass(1100);
    plant_expect_reply("expired", "other commands of the device came first");
    plant_answer("lamp1", "\"result\":1}");
    plant_expect_reply("ok", "1");
    plant_call("device/lamp1/c", "", "c3");
    ck_assert_str_eq(plant_request()->properties, "seq=2;"); /* the expired one has left no gap */
}
END_TEST

START_TEST(too_many_wait)
{
    plant_open_with("device_queue", "2");
    hello_lamp();
    plant_call("device/lamp1/a", "", "c1");
    plant_call("device/lamp1/b", "", "c2");
    plant_call("device/lamp1/c", "", "c3");
    plant_expect_no_reply();
    plant_call("device/lamp1/d", "", "c4");
    plant_expect_reply("device_busy", "device_queue");
    plant_answer("lamp1", "\"result\":1}");
    plant_expect_reply("ok", "1");
    plant_call("device/lamp1/d", "", "c5");
    plant_expect_no_reply();
}
END_TEST

START_TEST(too_many_in_all)
{
    plant_open_with("device_commands_max", "1");
    plant_hello("lamp1", "");
    plant_hello("gate", "");
    plant_call("device/lamp1/a", "", "c1");
    plant_call(OPEN, "", "c2");
    plant_expect_reply("device_busy", "device_commands_max");
}
END_TEST

/* ---- Repetition ---- */

START_TEST(commands_that_may_be_repeated_are)
{
    hello_lamp();
    plant_call(LIGHT, "{\"on\":true}", "c1");
    char first[FAKE_TEXT];
    snprintf(first, sizeof first, "%s", plant_request()->text);
    plant_pass(490);
    ck_assert_uint_eq(plant_requests(), 1);
    plant_pass(600);
    ck_assert_uint_eq(plant_requests(), 2);
    ck_assert_str_eq(plant_request()->text, first);
    ck_assert_str_eq(plant_request()->properties, "seq=1;");
    plant_pass(2000 + 100);
    ck_assert_uint_eq(plant_requests(), 3);
    plant_pass(4000 + 100);
    ck_assert_uint_eq(plant_requests(), 4);
    plant_pass(5000);
    ck_assert_uint_eq(plant_requests(), 4);
    plant_expect_states("queued sent sent sent sent timeout");
    plant_expect_reply("device_timeout", "");
}
END_TEST

START_TEST(a_device_that_acts_once)
{
    plant_hello("gate", "{\"once\":true}");
    plant_forget();
    plant_call(OPEN, "", "c1");
    plant_pass(1100);
    ck_assert_uint_eq(plant_requests(), 2);
    plant_answer("gate", "\"result\":true}");
    plant_pass(9000);
    ck_assert_uint_eq(plant_requests(), 2);
    plant_expect_states("queued sent sent succeeded");
}
END_TEST

START_TEST(others_are_not_repeated)
{
    plant_hello("gate", "");
    plant_call(OPEN, "", "c1");
    plant_pass(11000);
    ck_assert_uint_eq(plant_requests(), 1);
    plant_expect_states("queued sent timeout");
}
END_TEST

START_TEST(no_repetition_of_what_runs)
{
    hello_lamp();
    plant_call("device/lamp1/getStatus", "", "c1");
    plant_answer("lamp1", "\"progress\":1}");
    plant_pass(9000);
    ck_assert_uint_eq(plant_requests(), 1);
    plant_expect_states("queued sent running");
}
END_TEST

START_TEST(no_repetition_of_what_is_stale)
{
    hello_lamp();
    plant_property("stale-ms", "400");
    plant_call("device/lamp1/getStatus", "", "c1");
    plant_pass(9000);
    ck_assert_uint_eq(plant_requests(), 1);
}
END_TEST

/* ---- Devices that are not there ---- */

START_TEST(fail)
{
    hello_lamp();
    plant_leave("lamp1");
    plant_call(LIGHT, "{\"on\":true}", "c1");
    plant_expect_reply("device_offline", "\"device\":\"lamp1\",\"seen\":17");
    ck_assert_uint_eq(plant_requests(), 0);
}
END_TEST

START_TEST(sleeping)
{
    plant_hello("lamp1", "{\"ttd\":5}");
    plant_pass(5100);
    plant_call(LIGHT, "{\"on\":true}", "c1");
    plant_expect_reply("device_offline", "sleeps");
    plant_property("offline", "wait");
    plant_call(LIGHT, "{\"on\":true}", "c2");
    ck_assert_uint_eq(plant_requests(), 0);
    plant_pass(1000);
    plant_hello("lamp1", "{\"ttd\":5}");
    ck_assert_uint_eq(plant_requests(), 1);
}
END_TEST

START_TEST(wait_until_it_comes)
{
    hello_lamp();
    plant_leave("lamp1");
    plant_property("offline", "wait");
    plant_call(LIGHT, "{\"on\":true}", "c1");
    plant_pass(3000);
    ck_assert_uint_eq(plant_requests(), 0);
    plant_hello("lamp1", "");
    ck_assert_uint_eq(plant_requests(), 1);
    ck_assert_uint_eq(plant_request()->expiry, 7);
    plant_answer("lamp1", "\"result\":{\"on\":true,\"brightness\":1}}");
    plant_expect_reply("ok", "");
}
END_TEST

START_TEST(wait_in_vain)
{
    hello_lamp();
    plant_leave("lamp1");
    plant_property("offline", "wait");
    plant_call(LIGHT, "{\"on\":true}", "c1");
    plant_pass(10100);
    plant_expect_reply("expired", "the device was not there");
    plant_expect_states("queued expired");
}
END_TEST

START_TEST(wait_until_it_is_stale)
{
    hello_lamp();
    plant_leave("lamp1");
    plant_property("offline", "wait");
    plant_property("stale-ms", "3000");
    plant_call(LIGHT, "{\"on\":true}", "c1");
    plant_pass(3100);
    plant_expect_reply("expired", "stale-ms");
}
END_TEST

START_TEST(wait_for_a_device_that_was_never_seen)
{
    plant_property("offline", "wait");
    plant_call(OPEN, "", "c1");
    ck_assert_uint_eq(plant_requests(), 0);
    plant_hello("gate", "");
    ck_assert_uint_eq(plant_requests(), 1);
}
END_TEST

START_TEST(devices_that_need_not_be_known)
{
    plant_open_with("device_known_only", "false");
    plant_call(OPEN, "", "c1");
    ck_assert_uint_eq(plant_requests(), 1);
}
END_TEST

START_TEST(it_leaves_before_it_was_sent)
{
    hello_lamp();
    plant_call("device/lamp1/a", "", "c1");
    plant_call("device/lamp1/b", "", "c2");
    plant_leave("lamp1");
    plant_expect_states("queued sent queued unknown expired");
    ck_assert_str_eq(plant.host.replies.kept[0].status, "outcome_unknown");
    ck_assert_str_eq(plant.host.replies.kept[1].status, "device_offline");
    ck_assert_ptr_nonnull(strstr(plant.host.replies.kept[1].text, "\"id\":\""));
}
END_TEST

START_TEST(it_leaves_in_mid_command_and_comes_back)
{
    hello_lamp();
    plant_call("device/lamp1/getStatus", "", "c1");
    plant_leave("lamp1"); /* the repetition comes due meanwhile */
    plant_expect_no_reply();
    plant_pass(2000);
    ck_assert_uint_eq(plant_requests(), 1);
    plant_hello("lamp1", "");
    ck_assert_uint_eq(plant_requests(), 2);
    plant_answer("lamp1", "\"result\":{\"on\":true,\"brightness\":1}}");
    plant_expect_reply("ok", "");
    plant_expect_states("queued sent sent succeeded");
}
END_TEST

START_TEST(it_leaves_in_mid_command_for_good)
{
    hello_lamp();
    plant_call("device/lamp1/getStatus", "", "c1");
    plant_leave("lamp1");
    plant_pass(9000);
    plant_expect_reply("device_timeout", "");
    plant_expect_states("queued sent timeout");
}
END_TEST

/* ---- Callers that go away, and cancelling ---- */

START_TEST(a_caller_goes_away)
{
    hello_lamp();
    plant_call("device/lamp1/a", "", "c1");
    plant_call("device/lamp1/b", "", "c2");
    plant_hang_up();
    plant_expect_states("queued sent queued cancelled");
    plant_answer("lamp1", "\"result\":1}");
    plant_expect_states("succeeded");
    plant_expect_no_reply();
    ck_assert_uint_eq(plant_requests(), 1);
}
END_TEST

START_TEST(cancelling)
{
    char cancel[PLANT_ID + 20], id[PLANT_ID];
    hello_lamp();
    plant_call("device/lamp1/a", "", "c1");
    plant_call("device/lamp1/b", "", "c2");
    const struct fake_message *event = rig_last(&plant.host.events);
    snprintf(id, sizeof id, "%.8s", strstr(event->text, "\"id\":\"") + 6);
    snprintf(cancel, sizeof cancel, "{\"id\":\"%s\"}", id);
    plant_call("device.cancel", cancel, NULL);
    ck_assert_str_eq(plant.host.replies.kept[0].status, "cancelled");
    ck_assert_ptr_nonnull(strstr(plant.host.replies.kept[0].text, id));
    ck_assert_str_eq(plant.host.replies.kept[1].text, "{\"cancelled\":true,\"state\":\"cancelled\"}");
    plant_forget();
    plant_call("device.cancel", cancel, NULL);
    plant_expect_reply("ok", "{\"cancelled\":false,\"state\":\"cancelled\"}");
    plant_call("device.cancel", "{\"id\":\"nothing\"}", NULL);
    plant_expect_reply("command_unknown", "");
}
END_TEST

START_TEST(what_was_sent_is_not_cancelled)
{
    char cancel[PLANT_ID + 20];
    hello_lamp();
    plant_call("device/lamp1/a", "", "c1");
    snprintf(cancel, sizeof cancel, "{\"id\":\"%s\"}", plant_id());
    plant_call("device.cancel", cancel, NULL);
    plant_expect_reply("ok", "{\"cancelled\":false,\"state\":\"sent\"}");
    plant_answer("lamp1", "\"result\":1}");
    plant_expect_reply("ok", "1");
}
END_TEST

START_TEST(the_history)
{
    hello_lamp();
    for (int i = 0; i < 20; i++) {
        plant_call("device/lamp1/a", "", NULL);
        plant_answer("lamp1", i % 2 ? "\"result\":1}" : "\"error\":{\"err\":\"jam\"}}");
        plant_forget();
        if (i < 19)
            plant_call("device/lamp1/a", "", NULL);
        if (i < 19)
            plant_answer("lamp1", "\"result\":1}");
        plant_forget();
    }
    plant_call("device.history", "{\"device\":\"lamp1\",\"limit\":100}", NULL);
    const char *text = plant.host.replies.kept[0].text;
    int count = 0;
    for (const char *at = text; (at = strstr(at, "\"id\"")); at++)
        count++;
    ck_assert_int_eq(count, 16);
    ck_assert_ptr_nonnull(strstr(text, "{\"commands\":[{\"id\":\""));
    ck_assert_ptr_nonnull(strstr(text, "\"seq\":39,\"state\":\"succeeded\",\"attempt\":1,"));
    plant_forget();
    plant_call("device.history", "{\"device\":\"lamp1\",\"limit\":1}", NULL);
    plant_expect_reply("ok", "\"seq\":39,");
    plant_call("device.history", "{\"device\":\"nobody\"}", NULL);
    plant_expect_reply("device_unknown", "");
    plant_call("device.counts", "", NULL);
    plant_expect_reply("ok",
                       "{\"live\":0,\"queued\":39,\"sent\":39,\"running\":0,\"succeeded\":29,\"failed\":10");
}
END_TEST

START_TEST(a_device_that_is_forgotten)
{
    hello_lamp();
    plant_call("device/lamp1/a", "", "c1");
    plant_call("device/lamp1/b", "", "c2");
    plant_call("device.forget", "{\"device\":\"lamp1\"}", NULL);
    ck_assert_str_eq(plant.host.replies.kept[0].status, "cancelled");
    ck_assert_str_eq(plant.host.replies.kept[1].status, "outcome_unknown");
    ck_assert_str_eq(plant.host.replies.kept[2].status, "ok");
}
END_TEST

/* A broker that cannot publish for a while. */
START_TEST(nothing_can_be_published)
{
    hello_lamp();
    plant.host.drop = true;
    plant_call("device/lamp1/a", "", "c1");
    plant.host.drop = false;
    plant_expect_no_reply();
    plant_pass(1100);
    ck_assert_uint_eq(plant_requests(), 1);
    ck_assert_str_eq(plant_request()->properties, "seq=1;");
    plant_answer("lamp1", "\"result\":1}");
    plant_expect_reply("ok", "1");
}
END_TEST

/* ---- Traces ---- */

#define TRACE_ID "4bf92f3577b34da6a3ce929d0e0e4736"

static void with_trace(void)
{
    plant_property("traceparent", "00-" TRACE_ID "-00f067aa0ba902b7-01");
    plant_property("tracestate", "a=b");
}

/* The last command has this number, and the context of its call. Returns its span. */
static const char *expect_traced(int seq)
{
    static char span[17];
    char head[80];
    const char *text = plant_request()->properties;
    snprintf(head, sizeof head, "seq=%d;traceparent=00-" TRACE_ID "-", seq);
    ck_assert_msg(strncmp(text, head, strlen(head)) == 0, "%s", text);
    snprintf(span, sizeof span, "%s", text + strlen(head));
    ck_assert_str_ne(span, "00f067aa0ba902b7");
    ck_assert_str_eq(text + strlen(head) + strlen(span), "-01;tracestate=a=b;");
    return span;
}

START_TEST(a_command_belongs_to_the_trace_of_its_call)
{
    plant_open_with("device_call", "true");
    hello_lamp();
    with_trace();
    plant_call(LIGHT, "{\"on\":true}", "c1");
    const char *span = expect_traced(1);
    plant_answer("lamp1", "\"result\":null}");
    ck_assert_ptr_nonnull(strstr(rig_last(&plant.host.replies)->properties, span));
    plant_call(LIGHT, "{\"on\":true}", "c2");
    ck_assert_str_eq(plant_request()->properties, "seq=2;");
    plant_answer("lamp1", "\"result\":null}");
    with_trace();
    plant_call("device.call", "{\"device\":\"lamp1\",\"command\":\"light\",\"params\":{\"on\":true}}", "c3");
    expect_traced(3);
    plant_answer("lamp1", "\"result\":null}");
    with_trace();
    plant_publish("cmd/lamp1/req", "{\"id\":\"own\",\"cmd\":\"light\"}", NULL, NULL); /* adopted */
    expect_traced(4);
    plant_answer("lamp1", "\"result\":null}");
    with_trace();
    plant_call("devices/*/light", "{\"on\":true}", "c5");
    plant_pass(100);
    expect_traced(5);
}
END_TEST

/* However it was called. */
START_TEST(rpc_running_says_what_waits_for_a_device)
{
    static const char state[] = "\"state\":\"device\"";
    plant_open_with("device_call", "true");
    rig_add(&plant, &rpc_module_observe, NULL);
    hello_lamp();
    plant_call(LIGHT, "{\"on\":true}", "c1");
    plant_call("device.call", "{\"device\":\"lamp1\",\"command\":\"light\",\"params\":{\"on\":true}}", "c2");
    plant_call("devices/*/light", "{\"on\":true}", "c3");
    plant_forget();
    plant_call("rpc.running", "", "c4");
    const char *at = rig_last(&plant.host.replies)->text;
    for (int i = 0; i < 3; i++) {
        at = strstr(at, state);
        ck_assert_msg(at, "%s", rig_last(&plant.host.replies)->text);
        at++;
    }
    plant_pass(120000);
}
END_TEST

/* From the first state to the last, and no others. */
START_TEST(so_do_its_events)
{
    static const char none[] = "";
    char expected[128];
    hello_lamp();
    plant_forget();
    with_trace();
    plant_property("offline", "queue");
    plant_property("ttl-ms", "60000");
    plant_call("device/lamp1/colour", "", "c1");
    snprintf(expected, sizeof expected, "traceparent=00-" TRACE_ID "-%s-01;tracestate=a=b;",
             expect_traced(1));
    plant_answer("lamp1", "\"progress\":1}");
    plant_answer("lamp1", "\"result\":1}");
    size_t events = 0;
    for (size_t i = 0; i < plant.host.events.count; i++) {
        const struct fake_message *event = &plant.host.events.kept[i];
        if (strcmp(event->topic, "rpc/event/device/command") != 0)
            continue;
        events++;
        ck_assert_str_eq(event->properties, expected);
        ck_assert(!event->mounted);
    }
    ck_assert_uint_eq(events, 4);
    plant_call(LIGHT, "{\"on\":true}", "c2");
    ck_assert_str_eq(rig_last(&plant.host.events)->properties, none);
}
END_TEST

START_TEST(so_does_a_command_that_waits_or_is_sent_again)
{
    hello_lamp();
    with_trace();
    plant_call("device/lamp1/colour", "", "c1");
    plant_leave("lamp1");
    plant_forget();
    with_trace();
    plant_property("offline", "wait");
    plant_property("timeout-ms", "60000");
    plant_call(LIGHT, "{\"on\":true}", "c2");
    ck_assert_uint_eq(plant_requests(), 0);
    plant_hello("lamp1", "");
    expect_traced(2);
    plant_pass(1000); /* the lamp's commands are idempotent */
    ck_assert_uint_eq(plant_requests(), 2);
    expect_traced(2);
}
END_TEST

UNIT_MAIN("device_command", plant_open, plant_close, {a_command_and_its_result, 0},
          {a_command_belongs_to_the_trace_of_its_call, 0}, {so_do_its_events, 0},
          {rpc_running_says_what_waits_for_a_device, 0}, {so_does_a_command_that_waits_or_is_sent_again, 0},
          {the_expiry_is_what_is_left, 0}, {delivery_to_the_client_alone, 0}, {a_declared_timeout, 0},
          {refusals_cost_nothing, UNIT_ROWS(refusals)}, {the_largest_message, 0}, {undeclared_commands, 0},
          {commands_that_a_hello_does_not_name, 0}, {device_call, 0}, {topics_that_are_off, 0},
          {one_after_the_other, 0}, {a_wider_window, 0}, {a_mute_device_frees_its_lane, 0},
          {one_that_waits_too_long, 0}, {too_many_wait, 0}, {too_many_in_all, 0},
          {commands_that_may_be_repeated_are, 0}, {a_device_that_acts_once, 0}, {others_are_not_repeated, 0},
          {no_repetition_of_what_runs, 0}, {no_repetition_of_what_is_stale, 0}, {fail, 0}, {sleeping, 0},
          {wait_until_it_comes, 0}, {wait_in_vain, 0}, {wait_until_it_is_stale, 0},
          {wait_for_a_device_that_was_never_seen, 0}, {devices_that_need_not_be_known, 0},
          {it_leaves_before_it_was_sent, 0}, {it_leaves_in_mid_command_and_comes_back, 0},
          {it_leaves_in_mid_command_for_good, 0}, {a_caller_goes_away, 0}, {cancelling, 0},
          {what_was_sent_is_not_cancelled, 0}, {the_history, 0}, {a_device_that_is_forgotten, 0},
          {nothing_can_be_published, 0})

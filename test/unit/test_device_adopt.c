// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* handlers/device/adopt.c: messages that applications publish to cmd/{device}/req themselves. */
#include "plant.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define REQ "cmd/gate/req"

static void hello_gate(void)
{
    plant_hello("gate", "");
    plant_forget();
}

static const struct passed {
    const char *payload, *response;
} passed[] = {
    {"", NULL},
    {"{\"cmd\":\"open\"}", NULL},
    {"open", NULL},
    {"{\"id\":true}", NULL},
    {"{\"id\":\"\"}", NULL},
    {"{\"id\":\"a/b\"}", NULL}, /* its reply would have no topic */
    {"{\"id\":\"+\"}", NULL},
    {"{\"tid\":{}}", NULL},
};

START_TEST(what_passes)
{
    hello_gate();
    ck_assert_int_eq(plant_publish(REQ, passed[_i].payload, passed[_i].response, NULL), ENGINE_PASS);
    plant_expect_states("");
    plant_expect_no_reply();
}
END_TEST

START_TEST(devices_that_are_not_managed)
{
    ck_assert_int_eq(plant_publish(REQ, "{\"id\":\"1\"}", "app/answers", "c"), ENGINE_PASS);
    plant_open_with("device_adopt", "false");
    hello_gate();
    ck_assert_int_eq(plant_publish(REQ, "{\"id\":\"1\"}", "app/answers", "c"), ENGINE_PASS);
    plant_open_with("device_guard_requests", "true");
    hello_gate();
    ck_assert_int_eq(plant_publish(REQ, "{\"id\":\"1\"}", "app/answers", "c"), ENGINE_REFUSE);
}
END_TEST

static const struct own {
    const char *payload, *answer;
} owns[] = {
    {"{\"id\":\"a7\",\"cmd\":\"open\",\"params\":{}}", "{\"id\":\"a7\",\"result\":true}"},
    {"{ \"tid\" : 5, \"on\":true }", "{\"tid\":5,\"state\":\"on\"}"},
    {"{\"request_id\":12345678901234567890,\"method\":\"x y\"}", "{\"request_id\":\"12345678901234567890\"}"},
    {"{\"transaction\":\"\\u00fc\"}", "{\"transaction\":\"\xc3\xbc\",\"error\":1}"},
};

/* The message goes to the device as it is; the device's own message is the answer. */
START_TEST(identities)
{
    hello_gate();
    ck_assert_int_eq(plant_publish(REQ, owns[_i].payload, NULL, NULL), ENGINE_CONSUME);
    ck_assert_uint_eq(plant_requests(), 1);
    ck_assert_str_eq(plant_request()->text, owns[_i].payload);
    ck_assert_str_eq(plant_request()->topic, REQ);
    ck_assert(!plant_request()->retain);
    ck_assert_int_eq(plant_say("gate", "resp", owns[_i].answer), ENGINE_PASS);
    plant_expect_no_reply();
    plant_expect_states(strstr(owns[_i].answer, "error") ? "queued sent failed" : "queued sent succeeded");
}
END_TEST

START_TEST(errors_go_to_the_caller_alone)
{
    hello_gate();
    plant_publish(REQ, "{\"id\":\"a7\",\"cmd\":\"open\"}", NULL, NULL);
    plant_pass(10100);
    plant_expect_reply("device_timeout", "\"method\":\"device/gate/open\",\"err\":\"device_timeout\"");
    const struct fake_message *reply = &plant.host.replies.kept[0];
    ck_assert_str_eq(reply->topic, "cmd/gate/resp/a7");
    ck_assert_str_eq(reply->client, "tester");
    ck_assert_ptr_nonnull(strstr(reply->text, "\"id\":\"a7\""));
    plant_leave("gate");
    plant_publish(REQ, "{\"id\":\"a8\"}", "cmd/gate/resp", "c8");
    plant_expect_reply("device_offline", "\"device\":\"gate\"");
    ck_assert_str_eq(plant.host.replies.kept[1].topic, "cmd/gate/resp");
    ck_assert_int_eq(memcmp(plant.host.replies.kept[1].correlation, "c8", 2), 0);
}
END_TEST

/* What an application says in its own words is not what the database keeps. */
START_TEST(it_cannot_be_queued)
{
    hello_gate();
    plant_leave("gate");
    plant_forget();
    plant_property("offline", "queue");
    plant_publish(REQ, "{\"id\":\"a\\\"7\"}", "app/answers", "c7");
    plant_expect_reply("invalid_params", "device/{device}/{command}");
    plant_hello("gate", "");
    ck_assert_uint_eq(plant_requests(), 0);
}
END_TEST

START_TEST(another_response_topic)
{
    hello_gate();
    plant_publish(REQ, "{\"id\":\"a7\"}", "app/answers", "c7");
    ck_assert_str_eq(plant_request()->response_topic, "cmd/gate/resp");
    ck_assert_int_eq(memcmp(plant_request()->correlation, "c7", 2), 0);
    plant_say("gate", "resp", "{\"id\":\"a7\",\"result\":5}");
    plant_expect_reply("ok", "{\"id\":\"a7\",\"result\":5}");
    ck_assert_str_eq(plant.host.replies.kept[0].topic, "app/answers");
    ck_assert_int_eq(memcmp(plant.host.replies.kept[0].correlation, "c7", 2), 0);
}
END_TEST

START_TEST(a_response_topic_alone)
{
    char payload[300];
    hello_gate();
    snprintf(payload, sizeof payload, "OPEN %0250d", 0); /* of any size */
    ck_assert_int_eq(plant_publish(REQ, payload, "app/answers", NULL), ENGINE_CONSUME);
    ck_assert_str_eq(plant_request()->text, payload);
    plant_say("gate", "resp", "\"done\"");
    plant_expect_reply("ok", "\"done\"");
}
END_TEST

/* What is neither JSON nor text has an identity all the same. */
START_TEST(bytes)
{
    hello_gate();
    ck_assert_int_eq(plant_publish(REQ, "\xff\x01", "app/answers", "c1"), ENGINE_CONSUME);
    ck_assert_str_eq(plant_request()->text, "\xff\x01");
    ck_assert(!plant_request()->retain);
    plant_publish(REQ, "\xff\x01", "app/answers", "c1"); /* once more */
    plant_publish(REQ, "\xff\x02", "app/answers", "c1"); /* another one */
    plant_say("gate", "resp", "\"done\"");
    ck_assert_uint_eq(plant_requests(), 2);
    ck_assert_str_eq(plant_request()->text, "\xff\x02");
    plant_say("gate", "resp", "\"done\"");
    plant_expect_states("queued sent queued succeeded sent succeeded");
}
END_TEST

START_TEST(in_the_lane)
{
    hello_gate();
    plant_call("device/gate/first", "", "c1");
    plant_publish(REQ, "{\"id\":\"a7\"}", NULL, NULL);
    ck_assert_uint_eq(plant_requests(), 1);
    plant_answer("gate", "\"result\":1}");
    ck_assert_str_eq(plant_request()->text, "{\"id\":\"a7\"}");
    ck_assert_str_eq(plant_request()->properties, "seq=2;");
}
END_TEST

START_TEST(one_id_is_in_flight_once)
{
    plant_open_with("device_window", "3");
    hello_gate();
    plant_publish(REQ, "{\"id\":\"a7\",\"n\":1}", NULL, NULL);
    plant_publish(REQ, "{\"id\":\"a7\",\"n\":2}", NULL, NULL);
    ck_assert_uint_eq(plant_requests(), 1);
    plant_say("gate", "resp", "{\"id\":\"a7\",\"result\":1}");
    ck_assert_uint_eq(plant_requests(), 2);
    plant_say("gate", "resp", "{\"id\":\"a7\",\"result\":1}");
    plant_expect_states("queued sent queued succeeded sent succeeded");
}
END_TEST

START_TEST(duplicates)
{
    hello_gate();
    plant_publish(REQ, "{\"id\":\"a7\"}", NULL, NULL);
    plant_publish(REQ, "{\"id\":\"a7\"}", NULL, NULL);
    plant_say("gate", "resp", "{\"id\":\"a7\",\"result\":1}");
    plant_publish(REQ, "{\"id\":\"a7\"}", NULL, NULL);
    ck_assert_uint_eq(plant_requests(), 1);
    plant_expect_states("queued sent succeeded");
}
END_TEST

START_TEST(cancelled_by_its_id)
{
    hello_gate();
    plant_call("device/gate/first", "", "c1");
    plant_publish(REQ, "{\"id\":\"a7\"}", NULL, NULL);
    plant_call("device.cancel", "{\"id\":\"a7\"}", NULL);
    plant_expect_reply("command_unknown", "");
    plant_call("device.cancel", "{\"id\":\"a7\",\"device\":\"gate\"}", NULL);
    ck_assert_str_eq(plant.host.replies.kept[1].status, "cancelled");
    ck_assert_str_eq(plant.host.replies.kept[1].topic, "cmd/gate/resp/a7");
}
END_TEST

START_TEST(repeated_only_if_it_may_be)
{
    plant_hello("lamp1", "");
    plant_forget();
    plant_publish("cmd/lamp1/req", "{\"id\":1,\"cmd\":\"getStatus\",\"params\":{\"any\":1}}", NULL, NULL);
    plant_pass(1100);
    ck_assert_uint_eq(plant_requests(), 2);
    plant_say("lamp1", "resp", "{\"id\":1,\"result\":\"not what a lamp says\"}");
    plant_expect_states("queued sent sent succeeded");
}
END_TEST

UNIT_MAIN("device_adopt", plant_open, plant_close, {what_passes, UNIT_ROWS(passed)},
          {devices_that_are_not_managed, 0}, {identities, UNIT_ROWS(owns)},
          {errors_go_to_the_caller_alone, 0}, {it_cannot_be_queued, 0}, {another_response_topic, 0},
          {a_response_topic_alone, 0}, {bytes, 0}, {in_the_lane, 0}, {one_id_is_in_flight_once, 0},
          {duplicates, 0}, {cancelled_by_its_id, 0}, {repeated_only_if_it_may_be, 0})

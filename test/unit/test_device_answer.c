// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * handlers/device/answer.c: which command an answer is for, what becomes of the command, and what is no
 * answer: late, doubled, forged, without an id, out of order, not what the command declares.
 */
#include "plant.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GET "device/lamp1/getStatus"
#define OPEN "device/gate/open" /* nobody declares it */

static void open_gate(void)
{
    plant_hello("gate", "");
    plant_forget();
    plant_call(OPEN, "", "c1");
}

/* An answer with Correlation Data, of an MQTT 5 device. */
static void answer_5(const char *device, const char *payload, const char *correlation)
{
    char topic[100];
    const struct host_client app = plant.client;
    plant.client = (struct host_client){.id = device, .version = 5, .connection = plant_connection(device)};
    snprintf(topic, sizeof topic, "cmd/%s/resp", device);
    rig_send(&plant, topic, payload, NULL, correlation);
    plant.client = app;
}

/* ---- What an answer says ---- */

static const struct said {
    const char *rest; /* behind the id */
    const char *states, *status, *text;
} said[] = {
    {"\"result\":{\"a\":[1,2]}}", "succeeded", "ok", "{\"a\":[1,2]}"},
    {"\"result\":null}", "succeeded", "ok", "null"},
    {"\"result\":12345678901234567890.5}", "succeeded", "ok", "12345678901234567890.5"},
    {"\"result\":1,\"error\":null}", "succeeded", "ok", "1"},
    {"\"more\":1}", "succeeded", "ok", "null"},
    {"\"error\":{\"err\":\"jam\",\"msg\":\"it is stuck\"}}", "failed", "device_failed",
     "\"msg\":\"it is stuck\",\"device\":\"gate\",\"id\":\""},
    {"\"error\":{\"err\":\"jam\",\"msg\":\"it is stuck\"}}", "failed", "device_failed",
     "\"cause\":{\"err\":\"jam\",\"msg\":\"it is stuck\"}"},
    {"\"error\":\"jam\"}", "failed", "device_failed", "\"cause\":\"jam\""},
    {"\"error\":5}", "failed", "device_failed", "\"cause\":5"},
    {"\"result\":1,\"error\":{\"err\":\"jam\"}}", "failed", "device_failed", "\"cause\":{\"err\":\"jam\"}"},
    {"\"error\":{\"err\":\"rejected\",\"msg\":\"no\"}}", "rejected", "device_rejected", "\"msg\":\"no\""},
    {"\"error\":{\"err\":\"out_of_order\",\"expected\":12}}", "rejected", "out_of_order", "\"expected\":12"},
    {"\"error\":{\"err\":\"out_of_order\",\"expected\":\"x\"}}", "rejected", "out_of_order",
     "\"device\":\"gate\""},
};

START_TEST(what_an_answer_says)
{
    open_gate();
    plant_expect_states("queued sent");
    plant_answer("gate", said[_i].rest);
    plant_expect_states(said[_i].states);
    plant_expect_reply(said[_i].status, said[_i].text);
}
END_TEST

START_TEST(another_order)
{
    open_gate();
    plant_answer("gate", "\"error\":{\"err\":\"out_of_order\",\"expected\":12}}");
    plant_call(OPEN, "", "c2");
    ck_assert_str_eq(plant_request()->properties, "seq=12;");
    plant_answer("gate", "\"result\":1}");
    plant_call(OPEN, "", "c3");
    ck_assert_str_eq(plant_request()->properties, "seq=13;");
}
END_TEST

/* ---- Progress ---- */

START_TEST(progress)
{
    plant_hello("lamp1", "");
    plant_forget();
    plant_property("progress", "1");
    plant_call("device/lamp1/blink", "{\"times\":3}", "c1");
    plant_answer("lamp1", "\"progress\":{\"done\":1,\"times\":3}}");
    plant_expect_reply("progress", "{\"done\":1,\"times\":3}");
    plant_expect_event("\"state\":\"running\"");
    plant_expect_event("\"progress\":{\"done\":1,\"times\":3}");
    plant_answer("lamp1", "\"progress\":{\"done\":\"all\"}}"); /* not what blink declares */
    plant_expect_no_reply();
    plant_answer("lamp1", "\"result\":{\"times\":3}}");
    plant_expect_reply("ok", "{\"times\":3}");
    plant_expect_states("queued sent running running succeeded");
}
END_TEST

START_TEST(progress_extends_nothing)
{
    open_gate();
    plant_pass(9000);
    plant_answer("gate", "\"progress\":1}");
    plant_expect_no_reply(); /* its caller has not asked */
    plant_pass(1100);
    plant_expect_reply("device_timeout", "");
    plant_expect_states("queued sent running timeout");
}
END_TEST

/* ---- What does not fit ---- */

START_TEST(a_result_that_is_not_declared)
{
    plant_hello("lamp1", "");
    plant_forget();
    plant_call(GET, "", "c1");
    plant_answer("lamp1", "\"result\":{\"on\":1}}");
    plant_expect_reply("device_failed", "the result of the device does not fit the command: ");
    plant_expect_states("queued sent failed");
}
END_TEST

static const char *const no_json[] = {"nonsense", "{\"id\":", "{\"a\":1,\"a\":2", "\xff", "[1,]"};

START_TEST(an_answer_that_is_no_json)
{
    open_gate();
    plant_say("gate", "resp", no_json[_i]);
    plant_expect_reply("device_failed", "the answer of the device is not taken: ");
    ck_assert(!fake_host_logged(&plant.host, "method"));
}
END_TEST

/* Objects that are JSON, and are no answers: not the bare results that they would be without a fault. */
static const struct broken {
    const char *rest, *why;
} broken[] = {
    {"\"result\":1,\"result\":2}", "result is given twice"},
    {"\"id\":\"other\",\"result\":1}", "id is given twice"},
    {"\"result\":1e400}", "a number that is too large"},
    {"\"result\":\"\\u0000\"}", "U+0000"},
};

START_TEST(an_object_that_is_no_answer)
{
    open_gate();
    plant_answer("gate", broken[_i].rest);
    plant_expect_reply("device_failed", broken[_i].why);
    plant_expect_states("queued sent failed");
}
END_TEST

START_TEST(an_object_that_is_no_answer_to_this_command)
{
    open_gate();
    plant_say("gate", "resp", "{\"id\":\"zzzzzzzz\",\"result\":1,\"result\":2}");
    plant_expect_no_reply();
    plant_expect_states("queued sent");
}
END_TEST

START_TEST(an_answer_over_max_payload)
{
    static char payload[70000];
    open_gate();
    snprintf(payload, sizeof payload, "{\"id\":\"%s\",\"result\":\"%069000d\"}", plant_id(), 0);
    plant_say("gate", "resp", payload);
    plant_expect_reply("device_failed", "over max_payload");
}
END_TEST

/* A text of a device that is too long is cut between two characters. */
START_TEST(a_long_message_of_a_device)
{
    char letters[301] = "", payload[PLANT_ID + 400], shown[320];
    open_gate();
    for (int i = 0; i < 150; i++)
        strcat(letters, "\xc3\xa9");
    snprintf(payload, sizeof payload, "{\"id\":\"%s\",\"error\":{\"err\":\"jam\",\"msg\":\"%s%s\"}}",
             plant_id(), _i ? "a" : "", letters);
    snprintf(shown, sizeof shown, "\"msg\":\"%s%.254s\"", _i ? "a" : "", letters);
    plant_say("gate", "resp", payload);
    plant_expect_reply("device_failed", shown);
}
END_TEST

/* ---- Late, doubled, forged ---- */

static const struct late {
    const char *rest, *states, *event;
} late[] = {
    {"\"result\":1}", "succeeded", "\"state\":\"succeeded\",\"attempt\":1,"},
    {"\"result\":1}", "succeeded", "\"late\":true"},
    {"\"error\":{\"err\":\"jam\"}}", "failed", "\"err\":\"device_failed\""},
    {"\"error\":{\"err\":\"rejected\"}}", "rejected", "\"late\":true"},
    {"\"progress\":1}", "", "\"state\":\"timeout\""},
};

START_TEST(late_answers)
{
    open_gate();
    plant_pass(10100);
    plant_expect_states("queued sent timeout");
    plant_expect_reply("device_timeout", "");
    plant_answer("gate", late[_i].rest);
    plant_expect_states(late[_i].states);
    plant_expect_event(late[_i].event);
    plant_expect_no_reply();
    plant_call("device.history", "{\"device\":\"gate\"}", NULL);
    plant_expect_reply("ok", *late[_i].states ? "\"late\":true" : "timeout");
}
END_TEST

/* A late answer is checked as any other. */
static const char *const late_misfits[] = {"{\"id\":\"%s\",\"result\":{\"on\":1}}", "{\"id\":\"%s\"}",
                                           "{\"id\":\"%s\",\"result\":{\"on\":true},\"result\":1}"};

START_TEST(late_answers_that_are_not_declared)
{
    char payload[PLANT_ID + 80];
    plant_hello("lamp1", "");
    plant_forget();
    plant_call("device/lamp1/light", "{\"on\":true}", "c1");
    plant_pass(10100);
    plant_expect_reply("device_timeout", "");
    plant_expect_states("queued sent sent sent sent timeout");
    snprintf(payload, sizeof payload, late_misfits[_i], plant_id());
    plant_say("lamp1", "resp", payload);
    plant_expect_states("failed");
    plant_expect_event("\"err\":\"device_failed\"");
}
END_TEST

START_TEST(only_one_late_answer)
{
    open_gate();
    plant_pass(10100);
    plant_answer("gate", "\"result\":1}");
    plant_answer("gate", "\"error\":{\"err\":\"jam\"}}");
    plant_expect_states("queued sent timeout succeeded");
}
END_TEST

START_TEST(every_other_end_is_final)
{
    open_gate();
    plant_leave("gate");
    plant_hello("gate", "");
    plant_expect_states("queued sent unknown");
    plant_answer("gate", "\"result\":1}");
    plant_expect_states("");
}
END_TEST

START_TEST(doubled_answers)
{
    open_gate();
    plant_answer("gate", "\"result\":1}");
    plant_answer("gate", "\"result\":2}");
    plant_expect_reply("ok", "1");
    plant_expect_states("queued sent succeeded");
}
END_TEST

START_TEST(a_doubled_answer_is_not_the_next_ones)
{
    open_gate();
    char first[PLANT_ID + 40];
    snprintf(first, sizeof first, "{\"id\":\"%s\",\"result\":1}", plant_id());
    plant_say("gate", "resp", first);
    plant_expect_reply("ok", "1");
    plant_call(OPEN, "", "c2");
    plant_say("gate", "resp", first);
    plant_expect_no_reply();
}
END_TEST

START_TEST(forged_answers)
{
    char payload[PLANT_ID + 40];
    open_gate();
    snprintf(payload, sizeof payload, "{\"id\":\"%s\",\"result\":1}", plant_id());
    const struct host_client neighbour = {.id = "neighbour", .version = 5};
    const struct host_client app = plant.client;
    plant.client = neighbour;
    ck_assert_int_eq(rig_send(&plant, "cmd/gate/resp", payload, NULL, plant_id()), ENGINE_REFUSE);
    ck_assert_int_eq(rig_publish(&plant, "cmd/gate/resp", "1"), ENGINE_REFUSE);
    plant.client = app;
    plant_say("neighbour", "resp", payload); /* of its own: it has no such command */
    plant_expect_no_reply();
    plant_expect_states("queued sent");
}
END_TEST

START_TEST(another_id)
{
    open_gate();
    plant_say("gate", "resp", "{\"id\":\"zzzzzzzz\",\"result\":1}");
    plant_say("gate", "resp", "{\"id\":7,\"result\":1}");
    answer_5("gate", "true", "zzzzzzzz");
    plant_expect_no_reply();
}
END_TEST

/* An id that no command can have is not the same as none. */
START_TEST(an_id_that_is_none)
{
    char payload[400];
    open_gate();
    snprintf(payload, sizeof payload, "{\"id\":\"%0300d\",\"result\":1}", 0);
    plant_say("gate", "resp", payload);
    plant_say("gate", "resp", "{\"id\":\"\",\"result\":1}");
    plant_say("gate", "resp", "{\"id\":[],\"result\":1}");
    plant_say("gate", "resp", "{\"tid\":true,\"result\":1}");
    plant_expect_no_reply();
    plant_say("gate", "resp", "{\"id\":null,\"result\":1}");
    plant_expect_reply("ok", "1");
}
END_TEST

/* ---- Correlation Data, and nothing at all ---- */

static const struct bare {
    const char *payload, *status, *text;
} bares[] = {
    {"true", "ok", "true"},
    {"{\"on\":true}", "ok", "{\"on\":true}"},
    {"{\"progress\":5,\"on\":true}", "ok", "{\"progress\":5,\"on\":true}"},
    {"{\"id\":\"sensor7\",\"value\":3}", "ok", "{\"id\":\"sensor7\",\"value\":3}"},
    {"{\"result\":5}", "ok", "5"},
    {"{\"error\":{\"err\":\"jam\"}}", "device_failed", "jam"},
    {"", "ok", "null"},
    {"\"text\"", "ok", "\"text\""},
};

START_TEST(correlation_data)
{
    open_gate();
    answer_5("gate", bares[_i].payload, plant_id());
    plant_expect_reply(bares[_i].status, bares[_i].text);
}
END_TEST

START_TEST(correlation_data_and_the_id)
{
    char payload[PLANT_ID + 40];
    open_gate();
    snprintf(payload, sizeof payload, "{\"id\":\"%s\",\"result\":5,\"more\":1}", plant_id());
    answer_5("gate", payload, plant_id());
    plant_expect_reply("ok", "5");
}
END_TEST

START_TEST(an_answer_without_an_id)
{
    open_gate();
    plant_say("gate", "resp", "");
    plant_expect_no_reply();
    plant_say("gate", "resp", "{\"result\":true}");
    plant_expect_reply("ok", "true");
    plant_say("gate", "resp", "{\"result\":true}");
    plant_expect_states("queued sent succeeded");
}
END_TEST

START_TEST(an_answer_without_an_id_for_two)
{
    plant_open_with("device_window", "2");
    open_gate();
    plant_call(OPEN, "", "c2");
    plant_say("gate", "resp", "{\"result\":true}");
    plant_expect_no_reply();
}
END_TEST

/* It may be the late answer to another command. */
START_TEST(an_answer_without_an_id_after_a_timeout)
{
    open_gate();
    plant_pass(10100);
    plant_expect_reply("device_timeout", "");
    plant_property("timeout-ms", "60000");
    plant_call(OPEN, "", "c2");
    plant_say("gate", "resp", "{\"result\":true}");
    plant_expect_no_reply();
    plant_pass(19000);
    plant_say("gate", "resp", "{\"result\":true}");
    plant_expect_no_reply();
    plant_pass(2000);
    plant_say("gate", "resp", "{\"result\":true}");
    plant_expect_reply("ok", "true");
}
END_TEST

UNIT_MAIN("device_answer", plant_open, plant_close, {what_an_answer_says, UNIT_ROWS(said)},
          {another_order, 0}, {progress, 0}, {progress_extends_nothing, 0},
          {a_result_that_is_not_declared, 0}, {an_answer_that_is_no_json, UNIT_ROWS(no_json)},
          {an_object_that_is_no_answer, UNIT_ROWS(broken)}, {an_object_that_is_no_answer_to_this_command, 0},
          {an_answer_over_max_payload, 0}, {a_long_message_of_a_device, 2}, {late_answers, UNIT_ROWS(late)},
          {late_answers_that_are_not_declared, UNIT_ROWS(late_misfits)}, {an_id_that_is_none, 0},
          {only_one_late_answer, 0}, {every_other_end_is_final, 0}, {doubled_answers, 0},
          {a_doubled_answer_is_not_the_next_ones, 0}, {forged_answers, 0}, {another_id, 0},
          {correlation_data, UNIT_ROWS(bares)}, {correlation_data_and_the_id, 0},
          {an_answer_without_an_id, 0}, {an_answer_without_an_id_for_two, 0},
          {an_answer_without_an_id_after_a_timeout, 0})

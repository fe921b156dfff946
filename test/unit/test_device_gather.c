// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * handlers/device/gather.c: calls to groups. A verdict for each member, what ends a call and what is said
 * then, how fast commands leave, and what happens in the middle of a call: devices that are forgotten, groups
 * that change, callers that go, timers that cannot be had.
 */
#include "device/module.h"
#include "plant.h"
#include "unit.h"

#include "base/instance.h"
#include "call/engine_parts.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HALL "devices/hall/go" /* nobody declares it */
#define RESULT "\"result\":1}"

static struct device_module *module(void)
{
    return rig_instance(&plant)->state;
}

static void open_hall(void)
{
    plant_set("device_groups", "hall=l1,l2,l3 lamps=l1,l2 tail=l6,l7,l8 long=l1,l2,l3,l4,l5,l6,l7,l8");
    plant_open();
    for (char name[] = "l1"; name[1] <= '8'; name[1]++)
        plant_hello(name, "");
    plant_forget();
}

static void reopen_with(const char *name, const char *value)
{
    plant_close();
    plant_set(name, value);
    open_hall();
}

/* The newest command that a device got, which it answers. */
static void answer(const char *device, const char *rest)
{
    char topic[100], payload[1000];
    snprintf(topic, sizeof topic, "cmd/%s/req", device);
    for (size_t i = plant.host.others.count; i-- > 0;) {
        const struct fake_message *request = &plant.host.others.kept[i];
        if (strcmp(request->topic, topic) != 0)
            continue;
        snprintf(payload, sizeof payload, "%.16s,%s", request->text, rest); /* {"id":"xxxxxxxx" */
        plant_say(device, "resp", payload);
        plant_settle();
        return;
    }
    ck_abort_msg("%s has got no command", device);
}

/* Lets the timer run that ends the call. */
static void turn(void)
{
    plant.host.monotonic += RIG_SECOND / 1000;
    engine_tick(plant.engine);
}

static void expect_result(const char *text)
{
    turn();
    plant_expect_reply("ok", text);
}

/* ---- Verdicts ---- */

START_TEST(all_answer)
{
    plant_call(HALL, "{\"far\":7}", "c1");
    plant_pass(100);
    ck_assert_uint_eq(plant_requests(), 3);
    ck_assert_ptr_nonnull(strstr(plant_request()->text, "\"cmd\":\"go\",\"params\":{\"far\":7}}"));
    answer("l3", RESULT);
    answer("l1", "\"result\":{\"a\":1}}");
    turn();
    plant_expect_no_reply();
    answer("l2", "\"result\":null}");
    expect_result("{\"total\":3,\"ok\":3,\"ended\":\"all\",\"results\":["
                  "{\"device\":\"l1\",\"status\":\"ok\",\"result\":{\"a\":1}},"
                  "{\"device\":\"l2\",\"status\":\"ok\",\"result\":null},"
                  "{\"device\":\"l3\",\"status\":\"ok\",\"result\":1}]}");
    plant_pass(60000);
    plant_expect_no_reply();
    ck_assert_ptr_null(module()->gathers.running);
    ck_assert_uint_eq(module()->gathers.pacer.id, 0);
}
END_TEST

static const struct said {
    const char *rest, *row;
} said[] = {
    {"\"error\":{\"err\":\"stuck\",\"msg\":\"it is stuck\"}}",
     "\"status\":\"failed\",\"err\":\"device_failed\",\"msg\":\"it is stuck\",\"cause\":{\"err\":\"stuck\","},
    {"\"error\":{\"err\":\"rejected\"}}", "\"status\":\"rejected\",\"err\":\"device_rejected\","},
    {"\"error\":{\"err\":\"out_of_order\"}}", "\"status\":\"rejected\",\"err\":\"out_of_order\","},
    {RESULT, "\"status\":\"ok\",\"result\":1}"},
};

START_TEST(what_a_member_says)
{
    plant_call("devices/lamps/go", "", "c1");
    plant_pass(100);
    answer("l1", said[_i].rest);
    answer("l2", RESULT);
    expect_result("\"ended\":\"all\"");
    const char *text = rig_last(&plant.host.replies)->text;
    ck_assert_msg(strstr(text, said[_i].row), "no %s in %s", said[_i].row, text);
    ck_assert_int_eq(strstr(text, "\"id\":") != NULL, said[_i].rest != said[3].rest);
}
END_TEST

START_TEST(the_deadline)
{
    plant_leave("l2");
    plant_property("timeout-ms", "1500");
    plant_call(HALL, "", "c1");
    plant_pass(100);
    answer("l1", RESULT);
    plant_pass(1600);
    expect_result(
        "{\"total\":3,\"ok\":1,\"ended\":\"deadline\",\"results\":[{\"device\":\"l1\",\"status\":\"ok\","
        "\"result\":1},{\"device\":\"l2\",\"status\":\"offline\",\"err\":\"device_offline\",\"seen\":");
    plant_expect_event("\"state\":\"timeout\",\"err\":\"device_timeout\"");
    ck_assert_ptr_nonnull(strstr(rig_last(&plant.host.replies)->text,
                                 "{\"device\":\"l3\",\"status\":\"timeout\",\"err\":\"device_timeout\","));
}
END_TEST

/* Timers count whole milliseconds: after its progress, that of the command is due a moment before the
 * deadline. */
START_TEST(a_moment_before_the_deadline)
{
    plant.host.monotonic += RIG_SECOND / 1000 - plant.host.monotonic % (RIG_SECOND / 1000) + 900000;
    plant_property("timeout-ms", "1500");
    plant_call("devices/lamps/go", "", "c1");
    plant_pass(100);
    answer("l1", RESULT);
    plant.host.monotonic += 100000;
    answer("l2", "\"progress\":1}");
    plant_pass(1350);
    plant.host.monotonic += 49 * (RIG_SECOND / 1000);
    engine_tick(plant.engine);
    plant_expect_event("\"state\":\"running\"");
    plant.host.monotonic += 500000;
    engine_tick(plant.engine);
    plant_expect_event("\"state\":\"timeout\"");
    expect_result("\"ok\":1,\"ended\":\"deadline\"");
}
END_TEST

START_TEST(a_member_that_leaves)
{
    plant_call("devices/lamps/go", "", "c1");
    plant_pass(100);
    plant_leave("l1");
    answer("l2", RESULT);
    expect_result("\"ok\":1,\"ended\":\"all\",\"results\":[{\"device\":\"l1\",\"status\":\"unknown\"");
}
END_TEST

START_TEST(a_device_that_names_its_commands)
{
    plant_hello("l1", "{\"commands\":[\"stay\"]}");
    plant_call("devices/lamps/go", "", "c1");
    plant_pass(100);
    answer("l2", RESULT);
    expect_result("{\"device\":\"l1\",\"status\":\"rejected\",\"err\":\"device_rejected\",");
}
END_TEST

/* ---- What is wrong with the call ---- */

static const struct refusal {
    const char *name, *value; /* a user property */
    const char *method, *payload, *status, *text;
} refusals[] = {
    {"want", "some", HALL, "", "invalid_params", "the user property want"},
    {"want", "0", HALL, "", "invalid_params", "the user property want"},
    {"want", "-1", HALL, "", "invalid_params", "the user property want"},
    {"want", "2x", HALL, "", "invalid_params", "the user property want"},
    {"stall-ms", "x", HALL, "", "invalid_params", "the user property stall-ms"},
    {"stall-ms", "4294967296", HALL, "", "invalid_params", "the user property stall-ms"},
    {"abort", "101", HALL, "", "invalid_params", "the user property abort"},
    {"abort", "0", HALL, "", "invalid_params", "the user property abort"},
    {"offline", "perhaps", HALL, "", "invalid_params", "the user property offline"},
    {"ttl-ms", "0", HALL, "", "invalid_params", "the user property ttl-ms"},
    {"stale-ms", "0", HALL, "", "invalid_params", "the user property stale-ms"},
    {"progress", "yes", HALL, "", "invalid_params", "the user property progress"},
    {NULL, NULL, "devices/cellar/go", "", "not_a_member", "\"group\":\"cellar\""},
    {NULL, NULL, "devices/hall/a b", "", "method_not_found", "no command"},
    {NULL, NULL, "devices/hall/light", "{\"on\":1}", "invalid_params", "on must be"},
};

START_TEST(refusals_cost_nothing)
{
    const struct refusal *row = &refusals[_i];
    if (row->name)
        plant_property(row->name, row->value);
    plant_call(row->method, row->payload, "c1");
    plant_expect_reply(row->status, row->text);
    plant_pass(1000);
    plant_expect_states("");
    ck_assert_ptr_null(module()->gathers.running);
}
END_TEST

/* ---- Kinds ---- */

/* Parameters that fit one kind of member and not the other. */
START_TEST(each_kind_has_its_own_check)
{
    plant_hello("l1", "{\"kind\":\"pump\"}");
    plant_call("devices/lamps/light", "{\"on\":1}", "c1");
    plant_pass(100);
    ck_assert_uint_eq(plant_requests(), 1);
    answer("l1", RESULT);
    expect_result(
        "{\"device\":\"l1\",\"status\":\"ok\",\"result\":1},{\"device\":\"l2\",\"status\":\"rejected\","
        "\"err\":\"invalid_params\",\"msg\":\"on must be");
    plant_call("devices/lamps/light", "{\"on\":true}", "c2");
    plant_pass(100);
    answer("l1", RESULT);
    answer("l2", RESULT);
    expect_result(
        "{\"device\":\"l1\",\"status\":\"ok\",\"result\":1},{\"device\":\"l2\",\"status\":\"failed\",");
    ck_assert_ptr_nonnull(strstr(plant_request()->text, "\"brightness\":100"));
}
END_TEST

START_TEST(nobody_has_declared_it)
{
    reopen_with("device_undeclared", "false");
    plant_call("devices/lamps/go", "", "c1");
    expect_result(
        "\"ok\":0,\"ended\":\"all\",\"results\":[{\"device\":\"l1\",\"status\":\"rejected\",\"err\":"
        "\"method_not_found\"");
    ck_assert_uint_eq(plant_requests(), 0);
}
END_TEST

START_TEST(a_declared_timeout)
{
    plant_call("devices/lamps/blink", "{\"times\":1}", "c1");
    ck_assert_uint_eq(plant_request()->expiry, 1010);
    plant_hang_up();
}
END_TEST

/* ---- What ends a call ---- */

START_TEST(enough)
{
    plant_property("want", "2");
    plant_call(HALL, "", "c1");
    plant_pass(100);
    answer("l1", RESULT);
    turn();
    plant_expect_no_reply();
    answer("l3", RESULT);
    expect_result("\"ok\":2,\"ended\":\"enough\",");
    ck_assert_ptr_nonnull(strstr(rig_last(&plant.host.replies)->text,
                                 "{\"device\":\"l2\",\"status\":\"unanswered\",\"id\":\""));
    answer("l2", RESULT); /* it goes on without its caller */
    plant_expect_event("\"state\":\"succeeded\"");
}
END_TEST

/* More than there are, and all of them at once. */
START_TEST(more_than_there_are)
{
    plant_property("want", _i ? "3" : "4");
    plant_call(HALL, "", "c1");
    plant_pass(100);
    answer("l1", RESULT);
    answer("l2", RESULT);
    answer("l3", RESULT);
    expect_result(_i ? "\"ended\":\"enough\"" : "\"ended\":\"all\"");
}
END_TEST

START_TEST(a_stall)
{
    plant_property("stall-ms", "1000");
    plant_property("timeout-ms", "50000");
    plant_call(HALL, "", "c1");
    plant_pass(900);
    answer("l1", RESULT);
    plant_pass(900);
    plant_expect_no_reply();
    plant_pass(200);
    expect_result("\"ok\":1,\"ended\":\"stall\",");
}
END_TEST

/* After five failures nothing is sent any more, also if an answer makes the share of failures small again. */
START_TEST(aborted)
{
    reopen_with("device_fanout_rate", "10");
    plant_property("abort", "90");
    plant_property("timeout-ms", "50000");
    plant_call("devices/long/go", "", "c1");
    plant_pass(450);
    ck_assert_uint_eq(plant_requests(), 5);
    for (char name[] = "l1"; name[1] <= '4'; name[1]++)
        answer(name, "\"error\":{\"err\":\"stuck\"}}");
    plant_pass(100);
    ck_assert_uint_eq(plant_requests(), 6);
    answer("l5", "\"error\":{\"err\":\"stuck\"}}");
    plant_pass(1000);
    ck_assert_uint_eq(plant_requests(), 6);
    plant_expect_no_reply();
    answer("l6", RESULT);
    expect_result("{\"total\":8,\"ok\":1,\"ended\":\"aborted\",");
    ck_assert_ptr_nonnull(
        strstr(rig_last(&plant.host.replies)->text, "{\"device\":\"l8\",\"status\":\"not_sent\"}"));
}
END_TEST

/* While it waits for the last answers, the deadline or a stall ends it: the reply says why nothing was sent.
 */
START_TEST(aborted_and_not_answered)
{
    reopen_with("device_fanout_rate", "10");
    plant_property("abort", "50");
    plant_property(_i ? "timeout-ms" : "stall-ms", "3000");
    plant_call("devices/long/go", "", "c1");
    plant_pass(550);
    for (char name[] = "l1"; name[1] <= '5'; name[1]++)
        answer(name, "\"error\":{\"err\":\"stuck\"}}");
    plant_pass(3100);
    expect_result("{\"total\":8,\"ok\":0,\"ended\":\"aborted\",");
    ck_assert_ptr_nonnull(
        strstr(rig_last(&plant.host.replies)->text, _i ? "{\"device\":\"l6\",\"status\":\"timeout\""
                                                       : "{\"device\":\"l6\",\"status\":\"unanswered\""));
}
END_TEST

/* All have been sent: there is nothing to abort. */
START_TEST(too_late_to_abort)
{
    plant_property("abort", "1");
    plant_call("devices/long/go", "", "c1");
    plant_pass(200);
    for (char name[] = "l1"; name[1] <= '8'; name[1]++)
        answer(name, "\"error\":{\"err\":\"stuck\"}}");
    expect_result("{\"total\":8,\"ok\":0,\"ended\":\"all\",");
}
END_TEST

/* ---- Members that are not there ---- */

START_TEST(all_are_wanted)
{
    plant_leave("l1");
    plant_leave("l2");
    plant_property("want", "all");
    plant_call(HALL, "", "c1");
    plant_pass(100);
    answer("l3", RESULT);
    plant_pass(1000);
    plant_expect_no_reply();
    plant_hello("l1", "");
    answer("l1", RESULT);
    plant_pass(9000);
    expect_result("\"ok\":2,\"ended\":\"deadline\",");
    ck_assert_ptr_nonnull(strstr(rig_last(&plant.host.replies)->text,
                                 "{\"device\":\"l2\",\"status\":\"offline\",\"err\":\"expired\","));
    plant_hello("l2", "");
    ck_assert_str_eq(plant_request()->topic, "cmd/l1/req");
}
END_TEST

/* What a caller says of offline comes before what want means. */
START_TEST(offline_comes_first)
{
    plant_leave("l1");
    plant_property("want", _i ? "present" : "all");
    plant_property("offline", _i ? "wait" : "fail");
    plant_call("devices/lamps/go", "", "c1");
    plant_pass(100);
    answer("l2", RESULT);
    turn();
    if (_i) {
        plant_expect_no_reply();
        plant_hello("l1", "");
        answer("l1", RESULT);
    }
    expect_result(_i ? "\"ok\":2,\"ended\":\"all\"" : "\"ok\":1,\"ended\":\"all\"");
}
END_TEST

START_TEST(a_queue)
{
    plant_leave("l1");
    plant_property("offline", "queue");
    plant_call("devices/lamps/go", "", "c1");
    plant_pass(100);
    answer("l2", RESULT);
    expect_result(
        "\"ok\":1,\"ended\":\"all\",\"results\":[{\"device\":\"l1\",\"status\":\"queued\",\"id\":\"");
    plant_hello("l1", "");
    ck_assert_str_eq(plant_request()->topic, "cmd/l1/req");
}
END_TEST

/* What is queued has not been carried out. */
START_TEST(a_queue_is_not_enough)
{
    plant_leave("l1");
    plant_property("offline", "queue");
    plant_property("want", "1");
    plant_call("devices/lamps/go", "", "c1");
    plant_pass(100);
    plant_expect_no_reply();
    answer("l2", RESULT);
    expect_result("\"ended\":\"enough\"");
}
END_TEST

/* A command whose turn comes after stale-ms is not sent. */
START_TEST(stale_before_its_turn)
{
    reopen_with("device_fanout_rate", "1");
    plant_property("stale-ms", "500");
    plant_call("devices/lamps/go", "", "c1");
    plant_pass(1100);
    answer("l1", RESULT);
    expect_result("{\"device\":\"l2\",\"status\":\"not_sent\",\"err\":\"expired\",\"msg\":\"it was not sent "
                  "before stale-ms");
    ck_assert_uint_eq(plant_requests(), 1);
}
END_TEST

START_TEST(a_full_lane)
{
    reopen_with("device_queue", "1");
    plant_call("device/l1/go", "", "c1");
    plant_call("device/l1/go", "", "c2");
    plant_call("devices/lamps/go", "", "c3");
    plant_pass(100);
    answer("l2", RESULT);
    expect_result("{\"device\":\"l1\",\"status\":\"not_sent\",\"err\":\"device_busy\"");
}
END_TEST

/* ---- In the middle of a call ---- */

START_TEST(a_device_is_forgotten)
{
    reopen_with("device_fanout_rate", "1");
    plant_call(HALL, "", "c1");
    plant_call("device.forget", "{\"device\":\"l1\"}", NULL); /* it has got its command */
    plant_expect_reply("ok", "true");
    plant_call("device.forget", "{\"device\":\"l3\"}", NULL); /* it has not */
    plant_expect_reply("ok", "true");
    plant_pass(2100);
    answer("l2", RESULT);
    expect_result("\"ok\":1,\"ended\":\"all\",\"results\":[{\"device\":\"l1\",\"status\":\"unknown\",");
    ck_assert_ptr_nonnull(strstr(rig_last(&plant.host.replies)->text,
                                 "{\"device\":\"l3\",\"status\":\"not_sent\",\"err\":\"device_unknown\""));
}
END_TEST

START_TEST(the_group_is_deleted)
{
    plant_call("device.group.set", "{\"group\":\"room\",\"devices\":[\"l1\",\"l2\"]}", "s1");
    plant_expect_reply("ok", "room");
    plant_call("devices/room/go", "", "c1");
    plant_call(_i ? "device.group.delete" : "device.group.set",
               _i ? "{\"group\":\"room\"}" : "{\"group\":\"room\",\"devices\":[\"l7\"]}", "s2");
    plant_expect_reply("ok", "room");
    plant_pass(100);
    answer("l1", RESULT);
    answer("l2", RESULT);
    expect_result("{\"device\":\"l1\",\"status\":\"ok\",\"result\":1},{\"device\":\"l2\",\"status\":\"ok\"");
}
END_TEST

/* What was not sent is not sent any more, what was goes on. */
START_TEST(the_caller_goes)
{
    reopen_with("device_fanout_rate", "1");
    plant_leave("l1");
    plant_forget();
    plant_property("offline", "wait");
    plant_call(HALL, "", "c1");
    plant_pass(1100);
    plant_hang_up();
    plant_pass(10000);
    ck_assert_uint_eq(plant_requests(), 1);
    plant_expect_states("queued queued sent cancelled timeout");
    plant_expect_no_reply();
    ck_assert_ptr_null(module()->gathers.unsent);
    ck_assert_ptr_null(module()->gathers.running);
}
END_TEST

/* The engine stops in the middle of one, and right after its end. */
START_TEST(the_engine_stops)
{
    plant_call("devices/lamps/go", "", "c1");
    if (!_i)
        return;
    answer("l1", RESULT);
    answer("l2", RESULT);
    ck_assert_ptr_nonnull(module()->gathers.over);
}
END_TEST

/* The answer that ends the call comes with the device's own deadline. */
START_TEST(everything_at_once)
{
    plant_property("want", "1");
    plant_property("stall-ms", "1000");
    plant_property("timeout-ms", "1000");
    plant_property("abort", "1");
    plant_call(HALL, "", "c1");
    plant_pass(950);
    plant.host.monotonic += 2 * RIG_SECOND; /* all timers are due */
    answer("l1", RESULT);
    plant_pass(100);
    plant_expect_reply("ok", "\"ok\":1,\"ended\":\"enough\"");
    plant_pass(5000);
    plant_expect_no_reply();
}
END_TEST

/* ---- The pace ---- */

START_TEST(calls_take_turns)
{
    static const char *const topics[] = {"cmd/l1/req", "cmd/l2/req", "cmd/l6/req",
                                         "cmd/l3/req", "cmd/l7/req", "cmd/l8/req"};
    reopen_with("device_fanout_rate", "20");
    plant_call(HALL, "", "c1");
    plant_call("devices/tail/go", "", "c2");
    plant.host.monotonic += RIG_SECOND / 1000; /* timers are due after their time */
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        ck_assert_uint_eq(plant_requests(), i + 1);
        ck_assert_str_eq(plant_request()->topic, topics[i]);
        plant_pass(50);
    }
    plant_pass(1000);
    ck_assert_uint_eq(plant_requests(), 6);
    plant_hang_up();
}
END_TEST

/* Those that are refused do not wait for turns. */
START_TEST(refused_ones_cost_little)
{
    reopen_with("device_fanout_rate", "1");
    for (char name[] = "l1"; name[1] <= '7'; name[1]++)
        plant_hello(name, "{\"commands\":[]}");
    plant_call("devices/long/go", "", "c1");
    plant_pass(1100);
    answer("l8", RESULT);
    expect_result("\"ok\":1,\"ended\":\"all\"");
}
END_TEST

enum { MANY = 10000 };

/* Ten thousand devices of which nothing was heard, and their group. */
static void make_crowd(void)
{
    char *list = malloc(MANY * 16 + 2), *end = list;
    ck_assert_ptr_nonnull(list);
    for (int i = 0; i < MANY; i++)
        end += sprintf(end, "%s\"d%d\"", i ? "," : "[", i);
    memcpy(end, "]", 2);
    groups_load(&module()->groups, "crowd", list);
    groups_meet(&module()->groups);
    free(list);
}

START_TEST(a_crowd)
{
    plant_close();
    plant_set("device_max", "20000");
    plant_set("max_reply", "2m");
    plant_set("timeout_max", "5m");
    open_hall();
    make_crowd();
    plant_property("timeout-ms", "200000");
    plant_call("devices/crowd/go", "", "c1");
    plant_expect_no_reply();
    for (unsigned second = 1; second <= 20; second++) {
        plant_pass(1000);
        ck_assert_uint_le(plant.host.others.count, 100 * second + 5);
        ck_assert_uint_ge(plant.host.others.count, 100 * second);
    }
    plant_expect_no_reply();
    plant_pass(200000);
    plant_expect_reply("ok", "{\"total\":10000,\"ok\":0,\"ended\":\"deadline\"");
    ck_assert_uint_eq(module()->commands.live, 0);
    plant_call("devices/*/go", "", "c2");
    plant_hang_up();
    plant_pass(11000);
    ck_assert_uint_eq(module()->commands.live, 0);
}
END_TEST

/* ---- All devices, and none ---- */

START_TEST(all_known_devices)
{
    plant_leave("l3");
    plant_call("devices/*/go", "", "c1");
    plant_say("l9", "hello", ""); /* too late */
    plant_pass(300);
    for (char name[] = "l1"; name[1] <= '8'; name[1]++) {
        if (name[1] != '3')
            answer(name, RESULT);
    }
    expect_result("{\"total\":8,\"ok\":7,\"ended\":\"all\"");
}
END_TEST

START_TEST(no_known_device)
{
    plant_close();
    plant_open();
    plant_call("devices/*/go", "", "c1");
    expect_result("{\"total\":0,\"ok\":0,\"ended\":\"all\",\"results\":[]}");
}
END_TEST

/* Names of full length, of characters that JSON escapes. */
START_TEST(names_at_their_limits)
{
    char device[NAME_MAX_BYTES + 1], payload[1000], method[300];
    memset(device, '"', sizeof device - 1);
    device[sizeof device - 1] = '\0';
    plant_hello(device, "");
    char escaped[2 * NAME_MAX_BYTES + 1];
    for (size_t i = 0; i < sizeof escaped - 1; i += 2)
        memcpy(escaped + i, "\\\"", 2);
    escaped[sizeof escaped - 1] = '\0';
    snprintf(payload, sizeof payload, "{\"group\":\"%s\",\"devices\":[\"%s\"]}", escaped, escaped);
    plant_call("device.group.set", payload, "s1");
    plant_expect_reply("ok", escaped);
    snprintf(method, sizeof method, "devices/%s/go", device);
    plant_call(method, "", "c1");
    plant_pass(100);
    plant_answer(device, RESULT);
    turn();
    plant_expect_reply("ok", "\"ok\":1,\"ended\":\"all\"");
    method[strlen("devices/")] = 'x';
    plant_call(method, "", "c2");
    plant_expect_reply("not_a_member", "\"group\":\"x\\\"");
}
END_TEST

/* ---- Progress, and replies that are too large ---- */

START_TEST(progress)
{
    plant_property("progress", "1");
    plant_call("devices/lamps/go", "", "c1");
    plant_pass(100);
    answer("l2", "\"progress\":{\"done\":1}}");
    plant_expect_reply("progress", "{\"device\":\"l2\",\"progress\":{\"done\":1}}");
    answer("l1", RESULT);
    answer("l2", RESULT);
    expect_result("\"ok\":2");
}
END_TEST

static const struct limit {
    int32_t max_reply;
    const char *text; /* that the reply contains */
    const char *none; /* that it does not contain */
} limits[] = {
    {2000, "{\"device\":\"l1\",\"status\":\"ok\",\"result\":\"xxxx", "omitted"},
    {500, "{\"device\":\"l1\",\"status\":\"ok\"},", "omitted"},
    {350, "\"omitted\":7", "\"l1\""},
    {170, "\"omitted\":7", "cause"},
};

START_TEST(replies_are_shortened)
{
    char text[140];
    snprintf(text, sizeof text, "\"result\":\"%.100s\"}",
             "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
             "xxxxx");
    plant_call("devices/long/go", "", "c1");
    plant_pass(300);
    for (char name[] = "l1"; name[1] <= '7'; name[1]++)
        answer(name, text);
    answer("l8", "\"error\":{\"err\":\"stuck\",\"msg\":\"it is stuck, and will not come loose\"}}");
    plant.engine->env.options.max_reply = limits[_i].max_reply;
    expect_result("{\"total\":8,\"ok\":7,\"ended\":\"all\",");
    const char *reply = rig_last(&plant.host.replies)->text;
    ck_assert_msg(strstr(reply, limits[_i].text), "no %s in %s", limits[_i].text, reply);
    ck_assert_msg(!strstr(reply, limits[_i].none), "%s in %s", limits[_i].none, reply);
    ck_assert_ptr_nonnull(strstr(reply, "{\"device\":\"l8\",\"status\":\"failed\","));
}
END_TEST

START_TEST(a_reply_that_is_still_too_large)
{
    plant_call(HALL, "", "c1");
    plant_pass(300);
    for (char name[] = "l1"; name[1] <= '3'; name[1]++)
        answer(name, "\"error\":{\"err\":\"stuck\"}}");
    plant.engine->env.options.max_reply = 150;
    turn();
    plant_expect_reply("reply_too_large", "max_reply");
}
END_TEST

/* No more is kept of what devices say than a reply can have. */
START_TEST(what_fits_into_no_reply)
{
    enum { SIZE = 60000, KEPT = 200000 };
    char *text = malloc(SIZE + 100);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', SIZE);
    const char *const begin = _i ? "{\"id\":\"12345678\",\"error\":\"" : "{\"id\":\"12345678\",\"result\":\"";
    memcpy(text, begin, strlen(begin));
    memcpy(text + SIZE, "\"}", 3);
    plant.engine->env.options.max_reply = 1000;
    plant_call("devices/long/go", "", "c1");
    plant_pass(300);
    const size_t before = mallinfo2().uordblks;
    for (size_t i = 0; i < 7; i++) {
        const char device[] = {'l', (char)('1' + i), '\0'};
        memcpy(text + 7, strstr(plant.host.others.kept[i].text, "\"id\":\"") + 6, 8);
        plant_say(device, "resp", text);
    }
    ck_assert_uint_lt(mallinfo2().uordblks, before + KEPT);
    free(text);
    answer("l8", RESULT);
    turn();
    plant_expect_reply("ok", _i ? "{\"device\":\"l7\",\"status\":\"failed\","
                                : "{\"device\":\"l8\",\"status\":\"ok\"}]");
}
END_TEST

/* ---- Without timers ---- */

static void ignore(rpc_instance *instance, void *state, void *data)
{
    (void)instance, (void)state, (void)data;
}

static void take_all_timers(void)
{
    while (rpc_after(rig_instance(&plant), 3600000, ignore, NULL).id)
        ;
}

START_TEST(no_timer_for_a_call)
{
    take_all_timers();
    plant_call(HALL, "", "c1");
    plant_expect_reply("overloaded", "");
    ck_assert_uint_eq(plant_requests(), 0);
}
END_TEST

/* A call that has begun ends without further timers, and members that can have none have verdicts. */
START_TEST(no_timer_for_its_end)
{
    reopen_with("device_fanout_rate", "1");
    plant_pass(2000);
    plant_call(HALL, "", "c1");
    answer("l1", RESULT);
    plant_pass(900);
    take_all_timers();
    plant_pass(300);
    ck_assert_uint_eq(plant_requests(), 1);
    plant_expect_reply("ok", "{\"total\":3,\"ok\":1,\"ended\":\"all\"");
    ck_assert_ptr_nonnull(strstr(rig_last(&plant.host.replies)->text,
                                 "{\"device\":\"l3\",\"status\":\"not_sent\",\"err\":\"internal_error\""));
}
END_TEST

UNIT_MAIN("device_gather", open_hall, plant_close, {all_answer, 0}, {what_a_member_says, UNIT_ROWS(said)},
          {the_deadline, 0}, {a_moment_before_the_deadline, 0}, {a_member_that_leaves, 0},
          {a_device_that_names_its_commands, 0}, {refusals_cost_nothing, UNIT_ROWS(refusals)},
          {each_kind_has_its_own_check, 0}, {nobody_has_declared_it, 0}, {a_declared_timeout, 0}, {enough, 0},
          {more_than_there_are, 2}, {a_stall, 0}, {aborted, 0}, {aborted_and_not_answered, 2},
          {too_late_to_abort, 0}, {all_are_wanted, 0}, {offline_comes_first, 2}, {a_queue, 0},
          {a_queue_is_not_enough, 0}, {stale_before_its_turn, 0}, {a_full_lane, 0},
          {a_device_is_forgotten, 0}, {the_group_is_deleted, 2}, {the_caller_goes, 0}, {the_engine_stops, 2},
          {everything_at_once, 0}, {calls_take_turns, 0}, {refused_ones_cost_little, 0}, {a_crowd, 0},
          {all_known_devices, 0}, {no_known_device, 0}, {names_at_their_limits, 0}, {progress, 0},
          {replies_are_shortened, UNIT_ROWS(limits)}, {a_reply_that_is_still_too_large, 0},
          {what_fits_into_no_reply, 2}, {no_timer_for_a_call, 0}, {no_timer_for_its_end, 0})

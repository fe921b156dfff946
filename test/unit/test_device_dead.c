// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Commands that become dead letters, since they have expired or their outcome is unknown; and their replays.
 */
#include "plant.h"
#include "unit.h"

#include "call/engine_parts.h"
#include "observe/letters.h"

#include <stdio.h>
#include <string.h>

#define OPEN "device/gate/open"

static void open_plant(void)
{
    plant_set("device_groups", "all=gate,door");
    plant_open();
    rig_add(&plant, &rpc_module_dead, NULL);
    plant_hello("gate", "");
    plant_forget();
}

static const struct dead *table(void)
{
    return &plant.engine->dead;
}

/* There is one letter, which was published with these members. */
static void expect_letter(const char *err, const char *members)
{
    ck_assert_uint_eq(table()->count, 1);
    ck_assert_str_eq(table()->letters->err, err);
    ck_assert_uint_eq(plant.host.letters.count, 1);
    const struct fake_message *sent = rig_last(&plant.host.letters);
    ck_assert_str_eq(sent->topic, "rpc/dead/" OPEN);
    ck_assert_msg(strstr(sent->text, members), "no %s in %s", members, sent->text);
}

static void expect_none(void)
{
    ck_assert_uint_eq(table()->count, 0);
    ck_assert_uint_eq(plant.host.letters.count, 0);
}

#define WHOSE "\"caller\":\"tester\",\"user\":\"bob\",\"arrived\":1700000002"

static void queue(const char *payload)
{
    plant_leave("gate");
    plant_property("offline", "queue");
    plant_property("ttl-ms", "5000");
    plant_call(OPEN, payload, NULL);
    plant_expect_reply("ok", "{\"queued\":true");
}

/* ---- What becomes a letter ---- */

/* Its caller has heard that it is queued, and nothing since. */
START_TEST(queued_and_expired)
{
    queue("{\"wide\": 1}");
    plant_pass(5100);
    expect_letter("expired", "\"params\":{\"wide\":1}," WHOSE);
    plant_pass(600000);
    expect_letter("expired", "it was not sent in time: the device was not there");
}
END_TEST

/* Whether or not its caller is told. */
START_TEST(waited_and_expired)
{
    plant_leave("gate");
    plant_property("offline", "wait");
    plant_publish("rpc/call/" OPEN, "{}", _i ? RIG_REPLY : NULL, NULL);
    plant_pass(60000);
    ck_assert_uint_eq(plant.host.replies.count, (size_t)_i);
    expect_letter("expired", "\"params\":{}," WHOSE);
}
END_TEST

START_TEST(sent_and_unknown)
{
    plant_pass(2100);
    plant_publish("rpc/call/" OPEN, "{\"wide\":1}", _i ? RIG_REPLY : NULL, NULL);
    ck_assert_uint_eq(plant_requests(), 1);
    plant_leave("gate");
    ck_assert_uint_eq(plant.host.replies.count, (size_t)_i);
    expect_letter("outcome_unknown", "\"params\":{\"wide\":1}," WHOSE);
}
END_TEST

/* Its caller leaves first: that it does not wait any more is none, what becomes of the command is one. */
START_TEST(nobody_waits_for_it)
{
    plant_pass(2100);
    plant_call(OPEN, "{\"wide\":1}", NULL);
    plant_hang_up();
    expect_none();
    plant_leave("gate");
    expect_letter("outcome_unknown", "\"params\":{\"wide\":1}," WHOSE);
}
END_TEST

/* It never was at the device, and nobody wants it any more. */
START_TEST(nobody_waits_for_it_any_more)
{
    plant_leave("gate");
    plant_property("offline", "wait");
    plant_call(OPEN, "", NULL);
    plant_hang_up();
    plant_pass(600000);
    expect_none();
}
END_TEST

/* The letter knows all of its caller, and lies where the events of its call lie. */
static void expect_whose(int version, const char *address)
{
    const struct host_client *client = &table()->letters->report.client;
    expect_letter("expired", "\"caller\":\"tester\",\"user\":\"bob\"");
    ck_assert(client->mounted && rig_last(&plant.host.letters)->mounted);
    ck_assert_int_eq(client->version, version);
    if (address)
        ck_assert_str_eq(client->address, address);
    else
        ck_assert(!client->address && client->bridge); /* so that limits go by its id */
}

START_TEST(whose_letter_it_is)
{
    plant.client.mounted = true;
    queue("");
    plant_pass(5100);
    expect_whose(5, "192.0.2.7");
}
END_TEST

/* The database has what tells whose command it is and where it belongs, until the command ends. */
START_TEST(whose_it_is_after_a_restart)
{
    plant_close();
    plant_set("device_db", plant_database());
    open_plant();
    plant_pass(2000);
    plant.client.mounted = true;
    queue("{\"wide\":1}");
    if (_i)
        plant_restart();
    else
        plant_reopen();
    rig_add(&plant, &rpc_module_dead, NULL);
    plant_pass(10000);
    expect_whose(0, NULL);
    plant_reopen();
    rig_add(&plant, &rpc_module_dead, NULL);
    plant_pass(10000);
    expect_none();
}
END_TEST

START_TEST(the_device_is_forgotten)
{
    plant_call(OPEN, "", NULL);
    plant_call("device.forget", "{\"device\":\"gate\"}", NULL);
    expect_letter("outcome_unknown", "the device was forgotten before it answered");
}
END_TEST

/* Other ends are told: to the caller, or by the method's answer to who asked for them. */
START_TEST(other_ends)
{
    static const char *const answers[] = {"\"result\":1}", "\"error\":{\"err\":\"jammed\",\"msg\":\"no\"}}"};
    plant_call(OPEN, "", NULL);
    if (_i < UNIT_ROWS(answers))
        plant_answer("gate", answers[_i]);
    plant_pass(600000);
    ck_assert_uint_eq(plant.host.replies.count, 1);
    expect_none();
}
END_TEST

START_TEST(cancelled)
{
    char params[64];
    queue("");
    const char *at = strstr(rig_last(&plant.host.replies)->text, "\"id\":\"");
    snprintf(params, sizeof params, "{\"id\":\"%.8s\"}", at + 6);
    plant_call("device.cancel", params, NULL);
    plant_expect_reply("ok", "\"cancelled\":true");
    plant_pass(600000);
    expect_none();
}
END_TEST

/* The result of a call to a group says what has become of its members, but of those that are queued. */
START_TEST(members_of_a_group)
{
    plant_leave("gate");
    plant_property("want", "all");
    plant_property("offline", _i ? "queue" : "wait");
    plant_property("ttl-ms", "5000");
    plant_call("devices/all/open", "", NULL);
    plant_pass(60000);
    ck_assert_uint_eq(plant.host.replies.count, 1);
    ck_assert_uint_eq(table()->count, _i ? 2 : 0);
    ck_assert_uint_eq(plant.host.letters.count, _i ? 2 : 0);
    for (size_t i = 0; i < plant.host.letters.count; i++)
        ck_assert_ptr_nonnull(strstr(plant.host.letters.kept[i].text, "\"params\":{}," WHOSE));
}
END_TEST

/* An application's own message, as it came; it is no call of the method, so that it cannot be replayed. */
START_TEST(an_adopted_command)
{
    char params[64];
    plant_publish("cmd/gate/req", "{\"id\":\"a1\",\"cmd\":\"open\"}", NULL, NULL);
    ck_assert_uint_eq(plant_requests(), 1);
    plant_leave("gate");
    expect_letter("outcome_unknown",
                  "\"payload\":\"eyJpZCI6ImExIiwiY21kIjoib3BlbiJ9\",\"caller\":\"tester\"");
    snprintf(params, sizeof params, "{\"id\":\"%s\"}", table()->letters->id);
    plant_forget();
    plant_call("dead.replay", params, NULL);
    plant_expect_reply("not_replayable", "no parameters");
}
END_TEST

/* ---- Replays ---- */

static void replay(void)
{
    char params[64];
    snprintf(params, sizeof params, "{\"id\":\"%s\"}", table()->letters->id);
    plant_forget();
    plant_call("dead.replay", params, NULL);
}

static void open_letter(void)
{
    queue("{\"wide\":1}");
    plant_pass(5100);
    ck_assert_uint_eq(table()->count, 1);
}

START_TEST(a_replay_reaches_the_device)
{
    open_letter();
    plant_hello("gate", "");
    replay();
    ck_assert_uint_eq(plant_requests(), 1);
    ck_assert_ptr_nonnull(strstr(plant_request()->text, "\"cmd\":\"open\",\"params\":{\"wide\":1}"));
    plant_expect_no_reply();
    plant_answer("gate", "\"result\":true}");
    plant_expect_reply("ok", "\"status\":\"ok\",\"replays\":0}");
    expect_none();
}
END_TEST

/* Whoever asks for it: its caller is the letter's, and so is the place of what it publishes. */
START_TEST(a_replay_is_its_callers)
{
    plant.engine->env.options.sys_interval = 3600000; /* else there are no spans */
    plant.client.mounted = true;
    plant_property("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    open_letter();
    plant.client.mounted = false;
    plant.client.id = "operator";
    plant.client.address = "192.0.2.8";
    replay();
    plant_expect_reply("ok", "\"status\":\"device_offline\"");
    const struct fake_message *error = &plant.host.events.kept[0], *span = error + 1;
    ck_assert_str_eq(error->topic, "rpc/event/error");
    ck_assert_str_eq(error->client, "tester");
    ck_assert(error->mounted);
    ck_assert_str_eq(span->topic, "$SYS/broker/rpc/rpc/span");
    ck_assert_ptr_nonnull(strstr(span->text, "\"4bf92f3577b34da6a3ce929d0e0e4736\""));
    ck_assert_ptr_nonnull(
        strstr(span->text, "{\"key\":\"network.protocol.version\",\"value\":{\"stringValue\":\"5.0\"}}"));
    ck_assert(!span->mounted);
}
END_TEST

/* The device is not there, or leaves: the letter says so, and there is no other. */
START_TEST(a_replay_fails)
{
    static const char *const errors[] = {"device_offline", "outcome_unknown", "device_timeout"};
    char status[64];
    open_letter();
    if (_i > 0)
        plant_hello("gate", "");
    replay();
    if (_i == 1)
        plant_leave("gate");
    if (_i == 2)
        plant_pass(60000);
    snprintf(status, sizeof status, "\"status\":\"%s\"", errors[_i]);
    plant_expect_reply("ok", status);
    ck_assert_uint_eq(table()->count, 1);
    ck_assert_str_eq(table()->letters->err, errors[_i]);
    ck_assert_int_eq(table()->letters->replays, 1);
    ck_assert_uint_eq(plant.host.letters.count, 0);
}
END_TEST

/* Who asked for the replay is gone, the call of the replay is over, and then the outcome becomes unknown. */
START_TEST(a_replay_that_nobody_waits_for)
{
    open_letter();
    plant_hello("gate", "");
    replay();
    plant_hang_up();
    plant_leave("gate");
    ck_assert_uint_eq(table()->count, 1);
    ck_assert_str_eq(table()->letters->err, "outcome_unknown");
    ck_assert_uint_eq(plant.host.letters.count, 0);
}
END_TEST

UNIT_MAIN("device_dead", open_plant, plant_close, {queued_and_expired, 0}, {waited_and_expired, 2},
          {sent_and_unknown, 2}, {nobody_waits_for_it, 0}, {nobody_waits_for_it_any_more, 0},
          {whose_letter_it_is, 0}, {whose_it_is_after_a_restart, 2}, {a_replay_is_its_callers, 0},
          {the_device_is_forgotten, 0}, {other_ends, 3}, {cancelled, 0}, {members_of_a_group, 2},
          {an_adopted_command, 0}, {a_replay_reaches_the_device, 0}, {a_replay_fails, 3},
          {a_replay_that_nobody_waits_for, 0})

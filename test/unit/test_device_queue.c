// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Commands that wait on the disk: what their callers hear, in which order they are sent, what becomes of them
 * in every state when the broker is killed, and when the database fails.
 */
#include "plant.h"
#include "unit.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN "device/gate/open"      /* nobody declares it: it is not idempotent */
#define GET "device/lamp1/getStatus" /* this is */

static const char *database;

static void open_on_file(void)
{
    database = plant_database();
    plant_set("device_db", database);
    plant_open();
}

static void queue(const char *method, const char *correlation)
{
    plant_property("offline", "queue");
    plant_call(method, "", correlation);
}

static void meet_and_leave(const char *device)
{
    plant_hello(device, "");
    plant_leave(device);
    plant_pass(1100); /* it is on the disk */
    plant_forget();
}

/* The state of the only command in the file. */
static const char *stored_state(void)
{
    static char state[40];
    sqlite3 *file;
    sqlite3_stmt *statement;
    ck_assert_int_eq(sqlite3_open(database, &file), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(file, "SELECT state FROM commands", -1, &statement, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    snprintf(state, sizeof state, "%s", (const char *)sqlite3_column_text(statement, 0));
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    sqlite3_close(file);
    return state;
}

/* ---- The way of a queued command ---- */

START_TEST(queued_and_sent)
{
    meet_and_leave("gate");
    queue(OPEN, "c1");
    plant_expect_reply("ok", "{\"queued\":true,\"id\":\"");
    ck_assert_str_eq(stored_state(), "queued");
    plant_expect_states("queued");
    plant_pass(600000);
    ck_assert_uint_eq(plant_requests(), 0);
    plant_hello("gate", "");
    ck_assert_uint_eq(plant_requests(), 1);
    ck_assert_str_eq(stored_state(), "sent");
    ck_assert_uint_eq(plant_request()->expiry, 10);
    plant_answer("gate", "\"result\":1}");
    ck_assert_str_eq(stored_state(), "succeeded");
    plant_expect_no_reply();
    plant_expect_states("sent succeeded");
}
END_TEST

START_TEST(in_order)
{
    meet_and_leave("gate");
    for (int i = 0; i < 3; i++) {
        char method[40], id[8];
        snprintf(method, sizeof method, "device/gate/c%d", i);
        snprintf(id, sizeof id, "i%d", i);
        queue(method, id);
    }
    plant_hello("gate", "");
    for (int i = 0; i < 3; i++) {
        char cmd[20], seq[20];
        snprintf(cmd, sizeof cmd, "\"cmd\":\"c%d\"", i);
        snprintf(seq, sizeof seq, "seq=%d;", i + 1);
        ck_assert_ptr_nonnull(strstr(plant_request()->text, cmd));
        ck_assert_str_eq(plant_request()->properties, seq);
        plant_answer("gate", "\"result\":1}");
    }
    ck_assert_uint_eq(plant_requests(), 3);
}
END_TEST

START_TEST(of_a_device_that_is_there)
{
    plant_hello("gate", "");
    plant_forget();
    queue(OPEN, "c1");
    plant_expect_no_reply();
    plant_answer("gate", "\"result\":1}");
    plant_expect_reply("ok", "1");
}
END_TEST

START_TEST(it_leaves_before_it_was_sent)
{
    plant_hello("gate", "");
    plant_forget();
    plant_call("device/gate/first", "", "c1");
    queue(OPEN, "c2");
    plant_expect_no_reply();
    plant_leave("gate");
    ck_assert_uint_eq(plant.host.replies.count, 2);
    ck_assert_str_eq(plant.host.replies.kept[0].status, "outcome_unknown");
    ck_assert_ptr_nonnull(strstr(plant.host.replies.kept[1].text, "\"queued\":true"));
    plant_hello("gate", "");
    ck_assert_ptr_nonnull(strstr(plant_request()->text, "\"cmd\":\"open\""));
}
END_TEST

/* The command in flight may still be answered; those behind it are treated by `offline`. */
START_TEST(it_sleeps_before_it_was_sent)
{
    plant_hello("gate", "{\"ttd\":2}");
    plant_forget();
    plant_call("device/gate/first", "", "c1");
    plant_call("device/gate/second", "", "c2");
    queue(OPEN, "c3");
    plant_property("offline", "wait");
    plant_call("device/gate/last", "", "c4");
    plant_expect_no_reply();
    plant_pass(2100);
    ck_assert_uint_eq(plant.host.replies.count, 2);
    ck_assert_str_eq(plant.host.replies.kept[0].status, "device_offline");
    ck_assert_ptr_nonnull(strstr(plant.host.replies.kept[1].text, "\"queued\":true"));
    plant_answer("gate", "\"result\":1}");
    ck_assert_uint_eq(plant.host.replies.count, 3);
    ck_assert_uint_eq(plant_requests(), 1);
    plant_hello("gate", "{\"ttd\":20}");
    ck_assert_ptr_nonnull(strstr(plant_request()->text, "\"cmd\":\"open\""));
    plant_answer("gate", "\"result\":1}");
    ck_assert_ptr_nonnull(strstr(plant_request()->text, "\"cmd\":\"last\""));
}
END_TEST

START_TEST(of_a_device_that_was_never_seen)
{
    queue(OPEN, "c1");
    plant_expect_reply("ok", "queued");
    plant_reopen();
    plant_hello("gate", "");
    ck_assert_uint_eq(plant_requests(), 1);
}
END_TEST

START_TEST(its_time_passes)
{
    meet_and_leave("gate");
    plant_property("ttl-ms", "5000");
    queue(OPEN, "c1");
    plant_pass(4900);
    plant_expect_states("queued");
    plant_pass(200);
    plant_expect_states("expired");
    ck_assert_str_eq(stored_state(), "expired");
    plant_hello("gate", "");
    ck_assert_uint_eq(plant_requests(), 0);
}
END_TEST

START_TEST(it_is_stale_before)
{
    meet_and_leave("gate");
    plant_property("stale-ms", "5000");
    queue(OPEN, "c1");
    plant_pass(5100);
    plant_expect_states("queued expired");
}
END_TEST

START_TEST(the_longest_times)
{
    meet_and_leave("gate");
    plant_property("ttl-ms", "2592000000");
    queue(OPEN, "c1");
    plant_pass(2591000000);
    plant_expect_states("queued");
    plant_pass(1100000);
    plant_expect_states("expired");
}
END_TEST

START_TEST(a_mute_device)
{
    meet_and_leave("gate");
    queue(OPEN, "c1");
    plant_hello("gate", "");
    plant_pass(10100);
    plant_expect_states("queued sent timeout");
    ck_assert_str_eq(stored_state(), "timeout");
    plant_answer("gate", "\"result\":1}");
    plant_expect_states("succeeded");
    ck_assert_str_eq(stored_state(), "succeeded");
}
END_TEST

START_TEST(too_many)
{
    plant_open_with("device_queue", "2");
    meet_and_leave("gate");
    queue(OPEN, "c1");
    queue(OPEN, "c2");
    plant_forget();
    queue(OPEN, "c3");
    plant_expect_reply("device_busy", "device_queue");
}
END_TEST

START_TEST(cancelled)
{
    char cancel[80];
    meet_and_leave("gate");
    queue(OPEN, "c1");
    const char *id = strstr(plant.host.replies.kept[0].text, "\"id\":\"");
    snprintf(cancel, sizeof cancel, "{\"id\":\"%.8s\"}", id + 6);
    plant_forget();
    plant_call("device.cancel", cancel, NULL);
    plant_expect_reply("ok", "true");
    plant_expect_states("cancelled");
    ck_assert_str_eq(stored_state(), "cancelled");
}
END_TEST

/* ---- After the end of the broker ---- */

START_TEST(killed_while_queued)
{
    meet_and_leave("gate");
    queue(OPEN, "c1");
    plant_reopen();
    plant_expect_states("");
    plant_hello("gate", "");
    ck_assert_uint_eq(plant_requests(), 1);
    plant_answer("gate", "\"result\":1}");
    plant_expect_states("sent succeeded");
    ck_assert_str_eq(stored_state(), "succeeded");
}
END_TEST

START_TEST(killed_while_queued_and_too_late)
{
    meet_and_leave("gate");
    plant_property("ttl-ms", "5000");
    queue(OPEN, "c1");
    plant.host.wall += 6;
    plant_reopen();
    plant_settle();
    plant_expect_states("expired");
    ck_assert_str_eq(stored_state(), "expired");
}
END_TEST

START_TEST(killed_and_the_clock_is_behind)
{
    meet_and_leave("gate");
    queue(OPEN, "c1");
    plant.host.wall -= 1000;
    plant_reopen();
    plant_expect_states("expired");
}
END_TEST

static const char *const in_flight[] = {"", "\"progress\":1}"};

START_TEST(killed_in_flight)
{
    meet_and_leave("gate");
    queue(OPEN, "c1");
    plant_hello("gate", "");
    if (*in_flight[_i])
        plant_answer("gate", in_flight[_i]);
    plant_reopen();
    plant_settle();
    plant_expect_states("unknown");
    plant_expect_event("\"err\":\"outcome_unknown\"");
    ck_assert_str_eq(stored_state(), "unknown");
    plant_hello("gate", "");
    ck_assert_uint_eq(plant_requests(), 0);
}
END_TEST

START_TEST(killed_in_flight_and_may_be_repeated)
{
    char first[FAKE_TEXT];
    meet_and_leave("lamp1");
    queue(GET, "c1");
    plant_hello("lamp1", "");
    snprintf(first, sizeof first, "%s", plant_request()->text);
    if (*in_flight[_i])
        plant_answer("lamp1", in_flight[_i]);
    plant_reopen();
    plant_expect_states("");
    plant_hello("lamp1", "");
    ck_assert_uint_eq(plant_requests(), 1);
    ck_assert_str_eq(plant_request()->text, first);
    ck_assert_str_eq(plant_request()->properties, "seq=1;");
    plant_answer("lamp1", "\"result\":{\"on\":true,\"brightness\":1}}");
    plant_expect_states("sent succeeded");
    plant_expect_event("\"attempt\":2");
}
END_TEST

START_TEST(killed_in_flight_and_too_late)
{
    meet_and_leave("lamp1");
    queue(GET, "c1");
    plant_hello("lamp1", "");
    plant.host.wall += 4000;
    plant_reopen();
    plant_expect_states("unknown");
}
END_TEST

START_TEST(killed_after_a_timeout)
{
    char answer[PLANT_ID + 40];
    meet_and_leave("gate");
    queue(OPEN, "c1");
    plant_hello("gate", "");
    plant_pass(10100);
    snprintf(answer, sizeof answer, "{\"id\":\"%s\",\"result\":1}", plant_id());
    plant_reopen();
    plant_say("gate", "resp", answer);
    plant_settle();
    plant_expect_states("succeeded");
    ck_assert_str_eq(stored_state(), "succeeded");
    plant_call("device.history", "{\"device\":\"gate\"}", NULL);
    plant_expect_reply("ok", "\"command\":\"open\",\"seq\":1,\"state\":\"succeeded\",\"attempt\":1");
}
END_TEST

START_TEST(killed_after_the_end)
{
    meet_and_leave("gate");
    queue(OPEN, "c1");
    plant_hello("gate", "");
    plant_answer("gate", "\"result\":1}");
    plant_reopen();
    plant_expect_states("");
    plant_hello("gate", "");
    ck_assert_uint_eq(plant_requests(), 0);
    plant_call(OPEN, "", "c2");
    ck_assert_str_eq(plant_request()->properties, "seq=2;"); /* it counts on */
}
END_TEST

START_TEST(killed_a_hundred_times)
{
    meet_and_leave("lamp1");
    queue(GET, "c1");
    for (int i = 0; i < 100; i++) {
        plant_reopen();
        plant_expect_states("");
    }
    plant_hello("lamp1", "");
    ck_assert_uint_eq(plant_requests(), 1);
}
END_TEST

/* The row says already that it was sent, and it was not. */
START_TEST(stopped_before_it_was_sent)
{
    meet_and_leave("gate");
    queue(OPEN, "c1");
    plant_say("gate", "hello", "");
    plant_restart();
    plant_expect_states("");
    plant_hello("gate", "");
    ck_assert_uint_eq(plant_requests(), 1);
    ck_assert_str_eq(plant_request()->properties, "seq=1;");
    ck_assert_str_eq(stored_state(), "sent");
}
END_TEST

/* Its device goes away while the row is written, and is back before device_grace has passed. */
START_TEST(its_device_is_away_for_a_moment)
{
    meet_and_leave("gate");
    queue("device/gate/first", "c1");
    queue("device/gate/second", "c2");
    plant_say("gate", "hello", "");
    plant_drop("gate");
    plant_settle();
    ck_assert_uint_eq(plant_requests(), 0);
    plant_hello("gate", "");
    ck_assert_uint_eq(plant_requests(), 1);
    ck_assert_ptr_nonnull(strstr(plant_request()->text, "first"));
    ck_assert_str_eq(plant_request()->properties, "seq=1;");
}
END_TEST

static const char *const bad_rows[] = {
    "UPDATE commands SET id='a\"b'",
    "UPDATE commands SET name='a b'",
    "UPDATE commands SET params='{'",
    "UPDATE commands SET device='a/b'",
};

/* Nothing is sent that is no message to a device. */
START_TEST(rows_of_another_program)
{
    sqlite3 *file;
    meet_and_leave("gate");
    queue(OPEN, "c1");
    ck_assert_int_eq(sqlite3_open(database, &file), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(file, bad_rows[_i], NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(file);
    plant_reopen();
    plant_hello("gate", "");
    ck_assert_uint_eq(plant_requests(), 0);
    plant_call(OPEN, "", "c2");
    ck_assert_uint_eq(plant_requests(), 1);
}
END_TEST

/* ---- A database that fails ---- */

static void forbid_writing(bool forbid)
{
    static sqlite3 *other;
    if (forbid) {
        ck_assert_int_eq(sqlite3_open(database, &other), SQLITE_OK);
        ck_assert_int_eq(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    } else {
        sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
        sqlite3_close(other);
    }
}

START_TEST(it_cannot_be_queued)
{
    meet_and_leave("gate");
    forbid_writing(true);
    queue(OPEN, "c1");
    plant_expect_reply("storage_failed", "\"cause\":\"locked\"");
    forbid_writing(false);
    plant_hello("gate", "");
    ck_assert_uint_eq(plant_requests(), 0);
    plant_forget();
    plant_call(OPEN, "", "c2");
    ck_assert_uint_eq(plant_requests(), 1);
}
END_TEST

/* Others go on, and it is sent when its row can say so. */
START_TEST(it_cannot_be_sent)
{
    meet_and_leave("gate");
    queue("device/gate/queued", "c1");
    plant_pass(2000);
    forbid_writing(true);
    plant_hello("gate", "");
    ck_assert_uint_eq(plant_requests(), 0);
    plant_call("device/gate/direct", "", "c2");
    ck_assert_uint_eq(plant_requests(), 1);
    ck_assert_ptr_nonnull(strstr(plant_request()->text, "direct"));
    plant_answer("gate", "\"result\":1}");
    forbid_writing(false);
    plant_pass(2100);
    ck_assert_uint_eq(plant_requests(), 2);
    ck_assert_ptr_nonnull(strstr(plant_request()->text, "queued"));
    ck_assert_str_eq(stored_state(), "sent");
}
END_TEST

/* Its caller goes away before its row is there: it is not carried out. */
START_TEST(its_caller_goes_away)
{
    meet_and_leave("gate");
    plant_property("offline", "queue");
    rig_send(&plant, "rpc/call/" OPEN, "", RIG_REPLY, "c1");
    plant_hang_up();
    plant_settle();
    plant_hello("gate", "");
    ck_assert_uint_eq(plant_requests(), 0);
    plant_expect_states("queued cancelled");
}
END_TEST

START_TEST(its_device_is_forgotten)
{
    meet_and_leave("gate");
    plant_property("offline", "queue");
    rig_send(&plant, "rpc/call/" OPEN, "", RIG_REPLY, "c1");
    rig_send(&plant, "rpc/call/device.forget", "{\"device\":\"gate\"}", RIG_REPLY, "c2");
    plant_settle();
    ck_assert_str_eq(plant.host.replies.kept[0].status, "cancelled");
    plant_hello("gate", "");
    ck_assert_uint_eq(plant_requests(), 0);
}
END_TEST

UNIT_MAIN("device_queue", open_on_file, plant_close, {queued_and_sent, 0}, {in_order, 0},
          {of_a_device_that_is_there, 0}, {it_leaves_before_it_was_sent, 0},
          {it_sleeps_before_it_was_sent, 0}, {of_a_device_that_was_never_seen, 0}, {its_time_passes, 0},
          {it_is_stale_before, 0}, {the_longest_times, 0}, {a_mute_device, 0}, {too_many, 0}, {cancelled, 0},
          {killed_while_queued, 0}, {killed_while_queued_and_too_late, 0},
          {killed_and_the_clock_is_behind, 0}, {killed_in_flight, UNIT_ROWS(in_flight)},
          {killed_in_flight_and_may_be_repeated, UNIT_ROWS(in_flight)}, {killed_in_flight_and_too_late, 0},
          {killed_after_a_timeout, 0}, {killed_after_the_end, 0}, {killed_a_hundred_times, 0},
          {stopped_before_it_was_sent, 0}, {its_device_is_away_for_a_moment, 0},
          {rows_of_another_program, UNIT_ROWS(bad_rows)}, {it_cannot_be_queued, 0}, {it_cannot_be_sent, 0},
          {its_caller_goes_away, 0}, {its_device_is_forgotten, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The sensor module over time: histories, averages, pruning, loading, and readings that cannot be stored. The
 * test sets the clock, so that months take no time; only waiting for locks takes real time. test_handlers.c
 * tests the methods in general, and test_store.c the files.
 */
#include "call/engine_parts.h"
#include "call/task.h"
#include "rig.h"
#include "unit.h"

#include <dirent.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH = 128, LINES = 4 };

static const double start_time = 1700000000;

static char folder[PATH / 2], path[PATH];
static struct rig rig;
static struct config *config;
static struct option_line lines[LINES];
static size_t line_count;

/* ---- Engines and files ---- */

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/rpc-sensor-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/sensors.db", folder);
    line_count = 0;
}

static void remove_folder(void)
{
    char name[PATH + 256];
    DIR *entries = opendir(folder);
    if (!entries)
        return;
    for (const struct dirent *entry; (entry = readdir(entries));) {
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        unlink(name);
    }
    closedir(entries);
    ck_assert_int_eq(rmdir(folder), 0);
}

static void set_option(const char *name, const char *value)
{
    ck_assert_uint_lt(line_count, LINES);
    lines[line_count++] = (struct option_line){.name = name, .value = value};
}

static void start_rig(struct rig *which, const char *prefix)
{
    rig_init(which);
    which->host.wall = start_time;
    which->options.prefix = prefix;
    rig_start(which);
    rig_add_modules(which, config);
    which->host.monotonic++; /* timers are due after their time */
}

/* Starts an engine with the options that are set. */
static void open_rig(void)
{
    config = rig_config(lines, line_count);
    start_rig(&rig, "rpc");
}

static void close_rig(void)
{
    rig_close(&rig);
    config_destroy(config);
}

/* Ends the engine and starts another one on the same file. */
static void reopen_rig(void)
{
    close_rig();
    open_rig();
}

static void open_on_file(void)
{
    set_option("sensor_db", path);
    open_rig();
}

static sqlite3 *other(const char *sql)
{
    sqlite3 *database;
    ck_assert_int_eq(sqlite3_open(path, &database), SQLITE_OK);
    sqlite3_busy_timeout(database, 10000);
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
        ck_abort_msg("%s: %s", sql, sqlite3_errmsg(database));
    return database;
}

static int count_rows(const char *table)
{
    char sql[80];
    sqlite3_stmt *statement;
    sqlite3 *database = other("");
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table);
    ck_assert_int_eq(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    const int count = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return count;
}

/* ---- Calls and time ---- */

static const char *reading_of(const char *sensor, double value, const char *unit)
{
    static char payload[200];
    snprintf(payload, sizeof payload, "{\"sensor_id\":\"%s\",\"value\":%.17g,\"unit\":\"%s\"}", sensor, value,
             unit);
    return payload;
}

/* Does not wait for the reply. */
static void report(const char *sensor, double value)
{
    rig_tell(&rig, "updateSensor", reading_of(sensor, value, "C"));
}

/* At a moment after the start. */
static void store_in(const char *sensor, double value, const char *unit, double moment)
{
    rig.host.wall = start_time + moment;
    const struct fake_message *reply = rig_ask(&rig, "updateSensor", reading_of(sensor, value, unit));
    ck_assert_str_eq(reply->status, "ok");
}

static void store_at(const char *sensor, double value, double moment)
{
    store_in(sensor, value, "C", moment);
}

/* Advances the clock second by second, with a tick for each. */
static void wait_for(unsigned seconds)
{
    while (seconds--) {
        rig.host.wall += 1;
        rig.host.monotonic += RIG_SECOND;
        engine_tick(rig.engine);
        rig_settle(&rig);
    }
}

static void expect_sensors(const char *text)
{
    char expected[1000];
    snprintf(expected, sizeof expected, "{\"sensors\":[%s]}", text);
    rig_expect(&rig, "listSensors", "", "ok", expected);
}

static void expect_unknown(const char *sensor)
{
    char payload[100];
    snprintf(payload, sizeof payload, "{\"sensor_id\":\"%s\"}", sensor);
    ck_assert_str_eq(rig_ask(&rig, "getSensor", payload)->status, "unknown_sensor");
}

/* ---- sensorHistory ---- */

static void make_history(void)
{
    open_rig();
    store_in("a", 1, "C", 10.5);
    store_in("a", 2, "F", 20);
    store_in("b", 9, "C", 20);
    store_in("a", 3, "K", 20);
    store_in("a", 4, "C", 30);
}

#define POINT_1 "{\"time\":1700000010.5,\"value\":1,\"unit\":\"C\"}"
#define POINT_2 "{\"time\":1700000020,\"value\":2,\"unit\":\"F\"}"
#define POINT_3 "{\"time\":1700000020,\"value\":3,\"unit\":\"K\"}"
#define POINT_4 "{\"time\":1700000030,\"value\":4,\"unit\":\"C\"}"

static const struct history {
    const char *limits, *points, *more;
} histories[] = {
    {"", POINT_1 "," POINT_2 "," POINT_3 "," POINT_4, "false"},
    {",\"limit\":4", POINT_1 "," POINT_2 "," POINT_3 "," POINT_4, "false"},
    {",\"limit\":3", POINT_2 "," POINT_3 "," POINT_4, "true"},
    {",\"limit\":1", POINT_4, "true"},
    {",\"from\":1700000020", POINT_2 "," POINT_3 "," POINT_4, "false"},
    {",\"from\":1700000020.0001", POINT_4, "false"},
    {",\"to\":1700000020", POINT_1 "," POINT_2 "," POINT_3, "false"},
    {",\"to\":1700000020,\"limit\":1", POINT_3, "true"},
    {",\"to\":1700000010.5", POINT_1, "false"},
    {",\"to\":1700000010.4999", "", "false"},
    {",\"from\":1700000010.5,\"to\":1700000010.5", POINT_1, "false"},
    {",\"from\":1700000020,\"to\":1700000020,\"limit\":1", POINT_3, "true"},
    {",\"from\":1700000031", "", "false"},
    {",\"from\":1700000030,\"to\":1700000020", "", "false"},
    {",\"from\":-1e308,\"to\":1e308", POINT_1 "," POINT_2 "," POINT_3 "," POINT_4, "false"},
};

START_TEST(histories_have_limits)
{
    const struct history *row = &histories[_i];
    char payload[200];
    char text[600];
    make_history();
    snprintf(payload, sizeof payload, "{\"sensor_id\":\"a\"%s}", row->limits);
    snprintf(text, sizeof text, "{\"sensor_id\":\"a\",\"readings\":[%s],\"more\":%s}", row->points,
             row->more);
    rig_expect(&rig, "sensorHistory", payload, "ok", text);
    ck_assert_uint_eq(rig.host.events.count, 0);
    close_rig();
}
END_TEST

static const char *const wrong_histories[] = {
    "{}",
    "{\"sensor_id\":\"\"}",
    "{\"sensor_id\":\"a\",\"limit\":0}",
    "{\"sensor_id\":\"a\",\"limit\":1001}",
    "{\"sensor_id\":\"a\",\"limit\":1.5}",
    "{\"sensor_id\":\"a\",\"from\":\"yesterday\"}",
    "{\"sensor_id\":\"a\",\"to\":1e999}",
};

START_TEST(histories_are_asked_for_rightly)
{
    make_history();
    ck_assert_str_eq(rig_ask(&rig, "sensorHistory", wrong_histories[_i])->status, "invalid_params");
    ck_assert_str_eq(rig_ask(&rig, "sensorHistory", "{\"sensor_id\":\"c\"}")->status, "unknown_sensor");
    close_rig();
}
END_TEST

/* ---- temperature ---- */

#define AVERAGE(temp, count) \
    "{\"temp\":" temp ",\"unit\":\"C\",\"source\":\"all_sensors\",\"sensors\":" count "}"

static void expect_average(const char *text)
{
    ck_assert_uint_eq(rig.host.events.count, 1);
    rig_expect_event(&rig, "rpc/event/temperature", text);
    ck_assert(rig_last(&rig.host.events)->retain);
    fake_host_forget(&rig.host);
}

START_TEST(the_average_is_announced)
{
    set_option("sensor_interval", "10s");
    set_option("sensor_window", "30s");
    open_rig();
    wait_for(9);
    ck_assert_uint_eq(rig.host.events.count, 0);
    store_in("c", 20, "C", 9);
    store_in("f", 86, "F", 9);
    store_in("k", 283.15, "K", 9);
    fake_host_forget(&rig.host);
    wait_for(1);
    expect_average(AVERAGE("20", "3"));
    store_at("c", 50, 15);
    fake_host_forget(&rig.host);
    wait_for(10);
    expect_average(AVERAGE("30", "3"));
    close_rig();
}
END_TEST

START_TEST(sensors_that_are_silent_do_not_count)
{
    set_option("sensor_interval", "10s");
    set_option("sensor_window", "30s");
    open_rig();
    store_at("early", 10, 0);
    store_at("late", 20, 1);
    fake_host_forget(&rig.host);
    rig.host.wall = start_time;
    wait_for(10);
    expect_average(AVERAGE("15", "2"));
    wait_for(20);
    fake_host_forget(&rig.host);
    wait_for(10);
    expect_average(AVERAGE("null", "0"));
    wait_for(50);
    ck_assert_uint_eq(rig.host.events.count, 0);
    store_at("early", 5, 100);
    fake_host_forget(&rig.host);
    wait_for(10);
    expect_average(AVERAGE("5", "1"));
    close_rig();
}
END_TEST

/* A reading counts as long as it is not older than the window. */
START_TEST(the_window_includes_its_end)
{
    set_option("sensor_interval", "10s");
    set_option("sensor_window", "30s");
    open_rig();
    store_at("a", 1, 0);
    store_at("b", 3, 1);
    rig.host.wall = start_time;
    wait_for(29);
    fake_host_forget(&rig.host);
    wait_for(1);
    expect_average(AVERAGE("2", "2"));
    store_at("b", 3, 31);
    rig.host.wall = start_time + 30.5;
    wait_for(9);
    fake_host_forget(&rig.host);
    wait_for(1);
    expect_average(AVERAGE("3", "1"));
    close_rig();
}
END_TEST

/* The event of an earlier broker may still be retained. */
START_TEST(an_old_average_is_replaced)
{
    open_rig();
    wait_for(60);
    expect_average(AVERAGE("null", "0"));
    wait_for(300);
    ck_assert_uint_eq(rig.host.events.count, 0);
    close_rig();
}
END_TEST

START_TEST(there_may_be_no_average)
{
    set_option("sensor_interval", "0");
    open_rig();
    store_at("a", 1, 0);
    fake_host_forget(&rig.host);
    wait_for(200);
    ck_assert_uint_eq(rig.host.events.count, 0);
    close_rig();
}
END_TEST

START_TEST(averages_of_extremes)
{
    set_option("sensor_interval", "10s");
    open_rig();
    store_at("a", 1.7976931348623157e308, 0);
    store_at("b", 1.7976931348623157e308, 0);
    store_in("c", 1.7976931348623157e308, "F", 0);
    fake_host_forget(&rig.host);
    wait_for(10);
    ck_assert_uint_eq(rig.host.events.count, 1);
    ck_assert_ptr_nonnull(strstr(rig_last(&rig.host.events)->text, "e+308"));
    close_rig();
}
END_TEST

/* ---- Pruning ---- */

START_TEST(keep_count)
{
    set_option("sensor_keep_count", "2");
    open_on_file();
    for (int i = 1; i <= 5; i++)
        store_at("a", i, i);
    store_at("b", 9, 6);
    wait_for(60);
    ck_assert_int_eq(count_rows("readings"), 3);
    rig_expect(&rig, "sensorHistory", "{\"sensor_id\":\"a\"}", "ok",
               "{\"sensor_id\":\"a\",\"readings\":[{\"time\":1700000004,\"value\":4,\"unit\":\"C\"},"
               "{\"time\":1700000005,\"value\":5,\"unit\":\"C\"}],\"more\":false}");
    close_rig();
}
END_TEST

START_TEST(keep_age)
{
    set_option("sensor_keep_age", "100s");
    open_on_file();
    store_at("gone", 1, 0);
    store_at("stays", 2, 0);
    wait_for(50);
    store_at("stays", 3, 50);
    wait_for(80);
    ck_assert_int_eq(count_rows("readings"), 1);
    ck_assert_int_eq(count_rows("sensors"), 1);
    expect_unknown("gone");
    expect_sensors("{\"sensor_id\":\"stays\",\"value\":3,\"unit\":\"C\",\"time\":1700000050}");
    reopen_rig();
    expect_sensors("{\"sensor_id\":\"stays\",\"value\":3,\"unit\":\"C\",\"time\":1700000050}");
    close_rig();
}
END_TEST

/* More readings than one job deletes. */
START_TEST(much_is_deleted_in_several_jobs)
{
    set_option("sensor_keep_count", "1");
    open_on_file();
    store_at("a", 1, 0);
    sqlite3_close(other("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)"
                        " INSERT INTO readings (sensor, time, value, unit) SELECT 1, i, i, 0 FROM n"));
    wait_for(60);
    ck_assert_int_eq(count_rows("readings"), 1);
    expect_sensors("{\"sensor_id\":\"a\",\"value\":1,\"unit\":\"C\",\"time\":1700000000}");
    close_rig();
}
END_TEST

START_TEST(pruned_sensors_do_not_count)
{
    set_option("sensor_keep_age", "10s");
    set_option("sensor_max_sensors", "1");
    open_on_file();
    store_at("old", 1, 0);
    ck_assert_str_eq(rig_ask(&rig, "updateSensor", reading_of("new", 1, "C"))->status, "too_many_sensors");
    wait_for(60);
    store_at("new", 1, 61);
    expect_unknown("old");
    close_rig();
}
END_TEST

/* ---- max_sensors ---- */

/* Sensors whose first reading is still being written count, too. */
START_TEST(many_new_sensors_at_once)
{
    char name[8];
    set_option("sensor_max_sensors", "5");
    open_on_file();
    sqlite3 *lock = other("BEGIN IMMEDIATE");
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "s%d", i % 10);
        report(name, i);
    }
    expect_sensors("");
    sqlite3_close(lock);
    rig_settle(&rig);
    ck_assert_int_eq(count_rows("sensors"), 5);
    ck_assert_int_eq(count_rows("readings"), 25);
    for (int i = 5; i < 10; i++) {
        snprintf(name, sizeof name, "s%d", i);
        expect_unknown(name);
    }
    close_rig();
}
END_TEST

/* A sensor whose first reading could not be stored does not count. */
START_TEST(failed_sensors_do_not_count)
{
    set_option("sensor_max_sensors", "1");
    set_option("sensor_db", "/nowhere/at/all/sensors.db");
    open_rig();
    for (int i = 0; i < 3; i++) {
        report("a", 1);
        rig_settle(&rig);
        ck_assert_str_eq(rig_ask(&rig, "updateSensor", reading_of("b", 1, "C"))->status, "storage_failed");
    }
    close_rig();
}
END_TEST

/* ---- Loading ---- */

START_TEST(sensors_are_loaded)
{
    open_on_file();
    store_in("b", 1, "F", 3);
    store_in("a", 2, "K", 1);
    store_in("b", 3, "K", 2);
    reopen_rig();
    expect_sensors("{\"sensor_id\":\"b\",\"value\":3,\"unit\":\"K\",\"time\":1700000002},"
                   "{\"sensor_id\":\"a\",\"value\":2,\"unit\":\"K\",\"time\":1700000001}");
    close_rig();
}
END_TEST

START_TEST(more_than_there_may_be)
{
    open_on_file();
    store_at("a", 1, 1);
    store_at("b", 2, 2);
    store_at("c", 3, 3);
    set_option("sensor_max_sensors", "2");
    reopen_rig();
    ck_assert(fake_host_logged(&rig.host, "more sensors than max_sensors allows: 2 are remembered"));
    expect_unknown("c");
    expect_sensors("{\"sensor_id\":\"a\",\"value\":1,\"unit\":\"C\",\"time\":1700000001},"
                   "{\"sensor_id\":\"b\",\"value\":2,\"unit\":\"C\",\"time\":1700000002}");
    close_rig();
}
END_TEST

/* Rows that the module cannot have written are skipped, and the others are loaded. */
START_TEST(rows_of_others)
{
    open_on_file();
    store_at("a", 1, 1);
    sqlite3_close(
        other("INSERT INTO sensors (prefix, name, value, unit, time) VALUES ('rpc', '', 1, 0, 1),"
              " ('rpc', 'a' || char(0) || 'b', 1, 0, 1), ('rpc', 'unit', 1, 3, 1), ('rpc', 'less', 1, -1, 1),"
              " ('rpc', printf('%.*c', 300, 'x'), 1, 0, 1), ('other', 'b', 1, 0, 1)"));
    store_at("z", 2, 2);
    reopen_rig();
    expect_sensors("{\"sensor_id\":\"a\",\"value\":1,\"unit\":\"C\",\"time\":1700000001},"
                   "{\"sensor_id\":\"z\",\"value\":2,\"unit\":\"C\",\"time\":1700000002}");
    close_rig();
}
END_TEST

/* A reading that was reported before the sensors were loaded is newer than the loaded one. */
START_TEST(loading_late)
{
    open_on_file();
    store_at("a", 1, 1);
    store_at("b", 2, 2);
    close_rig();
    sqlite3 *lock = other("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    open_rig();
    ck_assert_str_eq(rig_ask(&rig, "listSensors", "")->status, "storage_failed");
    ck_assert(strstr(rig_last(&rig.host.replies)->text, "\"cause\":\"locked\""));
    sqlite3_close(lock);
    const struct fake_message *reply;
    do
        reply = rig_ask(&rig, "updateSensor", reading_of("b", 5, "C"));
    while (strcmp(reply->status, "ok") != 0);
    wait_for(20);
    expect_sensors("{\"sensor_id\":\"b\",\"value\":5,\"unit\":\"C\",\"time\":1700000000},"
                   "{\"sensor_id\":\"a\",\"value\":1,\"unit\":\"C\",\"time\":1700000001}");
    close_rig();
}
END_TEST

/* Calls do not read the data of a worker that loads the sensors at the same time (for the thread sanitizer).
 */
START_TEST(asking_while_it_is_tried_again)
{
    set_option("sensor_db", "/nowhere/at/all/sensors.db");
    open_rig();
    for (int i = 0; i < 50; i++) {
        rig.host.monotonic += 5 * RIG_SECOND;
        engine_tick(rig.engine);
        ck_assert_str_eq(rig_ask(&rig, "listSensors", "")->status, "storage_failed");
        ck_assert(strstr(rig_last(&rig.host.replies)->text, "\"cause\":\"cannot_open\""));
        rig_settle(&rig);
    }
    close_rig();
}
END_TEST

START_TEST(prefixes_in_one_file)
{
    static struct rig dev;
    open_on_file();
    start_rig(&dev, "dev/rpc");
    store_at("a", 1, 1);
    dev.host.wall = start_time + 2;
    rig_expect(&dev, "listSensors", "", "ok", "{\"sensors\":[]}");
    ck_assert_str_eq(rig_ask(&dev, "updateSensor", reading_of("a", 2, "C"))->status, "ok");
    rig_expect(&dev, "sensorHistory", "{\"sensor_id\":\"a\"}", "ok",
               "{\"sensor_id\":\"a\",\"readings\":[{\"time\":1700000002,\"value\":2,\"unit\":\"C\"}],"
               "\"more\":false}");
    rig_expect(&rig, "sensorHistory", "{\"sensor_id\":\"a\"}", "ok",
               "{\"sensor_id\":\"a\",\"readings\":[{\"time\":1700000001,\"value\":1,\"unit\":\"C\"}],"
               "\"more\":false}");
    rig_close(&dev);
    reopen_rig();
    expect_sensors("{\"sensor_id\":\"a\",\"value\":1,\"unit\":\"C\",\"time\":1700000001}");
    close_rig();
}
END_TEST

/* ---- Order and lateness ---- */

START_TEST(events_come_in_order)
{
    char text[100];
    open_on_file();
    for (int i = 0; i < 50; i++)
        report(i % 2 ? "odd" : "even", i);
    rig_settle(&rig);
    ck_assert_uint_eq(rig.host.events.count, 50);
    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof text, "{\"sensor_id\":\"%s\",\"value\":%d,\"ok\":true}", i % 2 ? "odd" : "even",
                 i);
        ck_assert_str_eq(rig.host.events.kept[i].text, text);
    }
    close_rig();
}
END_TEST

static void wait_until_it_runs(void)
{
    while (!pool_take_begun(rig.engine->tasks->pool))
        sched_yield();
}

/* The deadline has passed, but the reading is stored all the same. */
START_TEST(a_reading_may_be_stored_too_late)
{
    open_on_file();
    store_at("a", 1, 1);
    fake_host_forget(&rig.host);
    sqlite3 *lock = other("BEGIN IMMEDIATE");
    rig.host.wall = start_time + 2;
    rig_send(&rig, "rpc/call/updateSensor", reading_of("a", 2, "C"), RIG_REPLY, NULL);
    wait_until_it_runs();
    rig.host.monotonic += 11 * RIG_SECOND;
    engine_tick(rig.engine);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "timeout");
    rig_expect(&rig, "getSensor", "{\"sensor_id\":\"a\"}", "ok",
               "{\"sensor_id\":\"a\",\"value\":1,\"unit\":\"C\",\"time\":1700000001}");
    ck_assert_uint_eq(rig.host.events.count, 0);
    sqlite3_close(lock);
    rig_settle(&rig);
    rig_expect_event(&rig, "rpc/event/sensorUpdated", "{\"sensor_id\":\"a\",\"value\":2,\"ok\":true}");
    rig_expect(&rig, "getSensor", "{\"sensor_id\":\"a\"}", "ok",
               "{\"sensor_id\":\"a\",\"value\":2,\"unit\":\"C\",\"time\":1700000002}");
    ck_assert_int_eq(count_rows("readings"), 2);
    close_rig();
}
END_TEST

/* A reading that still waits at its deadline is not stored, and its sensor is removed. */
START_TEST(a_reading_may_never_be_stored)
{
    open_on_file();
    sqlite3 *lock = other("BEGIN IMMEDIATE");
    report("first", 1);
    wait_until_it_runs();
    report("second", 1);
    rig.host.monotonic += 11 * RIG_SECOND;
    engine_tick(rig.engine);
    sqlite3_close(lock);
    rig_settle(&rig);
    ck_assert_int_eq(count_rows("sensors"), 1);
    expect_unknown("second");
    expect_sensors("{\"sensor_id\":\"first\",\"value\":1,\"unit\":\"C\",\"time\":1700000000}");
    close_rig();
}
END_TEST

/* The broker stops while a lock keeps readings waiting. */
START_TEST(stopping_while_locked)
{
    open_on_file();
    store_at("a", 1, 1);
    sqlite3 *lock = other("BEGIN IMMEDIATE");
    for (int i = 0; i < 20; i++)
        report("a", 2 + i);
    close_rig();
    sqlite3_close(lock);
    open_rig();
    expect_sensors("{\"sensor_id\":\"a\",\"value\":1,\"unit\":\"C\",\"time\":1700000001}");
    close_rig();
}
END_TEST

UNIT_MAIN("sensor", make_folder, remove_folder, {histories_have_limits, UNIT_ROWS(histories)},
          {histories_are_asked_for_rightly, UNIT_ROWS(wrong_histories)}, {the_average_is_announced, 0},
          {sensors_that_are_silent_do_not_count, 0}, {the_window_includes_its_end, 0},
          {an_old_average_is_replaced, 0}, {there_may_be_no_average, 0}, {averages_of_extremes, 0},
          {keep_count, 0}, {keep_age, 0}, {much_is_deleted_in_several_jobs, 0},
          {pruned_sensors_do_not_count, 0}, {many_new_sensors_at_once, 0}, {failed_sensors_do_not_count, 0},
          {sensors_are_loaded, 0}, {more_than_there_may_be, 0}, {rows_of_others, 0}, {loading_late, 0},
          {asking_while_it_is_tried_again, 0}, {prefixes_in_one_file, 0}, {events_come_in_order, 0},
          {a_reading_may_be_stored_too_late, 0}, {a_reading_may_never_be_stored, 0},
          {stopping_while_locked, 0})

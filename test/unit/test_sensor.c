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
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH = 128, LINES = 6 };

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

/* table: it may have a condition behind it. */
static int count_rows(const char *table)
{
    char sql[120];
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
    snprintf(expected, sizeof expected, "{\"sensors\":[%s],\"next\":null}", text);
    rig_expect(&rig, "listSensors", "", "ok", expected);
}

static void expect_unknown(const char *sensor)
{
    char payload[100];
    snprintf(payload, sizeof payload, "{\"sensor_id\":\"%s\"}", sensor);
    ck_assert_str_eq(rig_ask(&rig, "getSensor", payload)->status, "unknown_sensor");
}

/* The n-th event removes what the broker has retained at this topic. */
static void expect_retracted(size_t number, const char *topic)
{
    ck_assert_uint_lt(number, rig.host.events.count);
    const struct fake_message *event = &rig.host.events.kept[number];
    ck_assert_str_eq(event->topic, topic);
    ck_assert(event->retain);
    ck_assert_uint_eq(event->size, 0);
}

static size_t count_events(const char *topic)
{
    size_t count = 0;
    ck_assert_uint_le(rig.host.events.count, FAKE_KEPT);
    for (size_t i = 0; i < rig.host.events.count; i++)
        count += strcmp(rig.host.events.kept[i].topic, topic) == 0;
    return count;
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
    const char *limits, *points;
    const char *next; /* NULL: there are no earlier ones */
} histories[] = {
    {"", POINT_1 "," POINT_2 "," POINT_3 "," POINT_4, NULL},
    {",\"limit\":4", POINT_1 "," POINT_2 "," POINT_3 "," POINT_4, NULL},
    {",\"limit\":3", POINT_2 "," POINT_3 "," POINT_4, "2"},
    {",\"limit\":1", POINT_4, "5"},
    {",\"from\":1700000020", POINT_2 "," POINT_3 "," POINT_4, NULL},
    {",\"from\":1700000020.0001", POINT_4, NULL},
    {",\"to\":1700000020", POINT_1 "," POINT_2 "," POINT_3, NULL},
    {",\"to\":1700000020,\"limit\":1", POINT_3, "4"},
    {",\"to\":1700000010.5", POINT_1, NULL},
    {",\"to\":1700000010.4999", "", NULL},
    {",\"from\":1700000010.5,\"to\":1700000010.5", POINT_1, NULL},
    {",\"from\":1700000020,\"to\":1700000020,\"limit\":1", POINT_3, "4"},
    {",\"from\":1700000031", "", NULL},
    {",\"from\":1700000030,\"to\":1700000020", "", NULL},
    {",\"from\":-1e308,\"to\":1e308", POINT_1 "," POINT_2 "," POINT_3 "," POINT_4, NULL},
    {",\"after\":5", POINT_1 "," POINT_2 "," POINT_3, NULL},
    {",\"after\":5,\"limit\":2", POINT_2 "," POINT_3, "2"},
    {",\"after\":2,\"limit\":2", POINT_1, NULL},
    {",\"after\":3,\"limit\":1", POINT_2, "2"},
    {",\"after\":1", "", NULL},
    {",\"after\":null,\"limit\":3", POINT_2 "," POINT_3 "," POINT_4, "2"},
    {",\"after\":9223372036854775807,\"limit\":1", POINT_4, "5"},
    {",\"after\":5,\"to\":1700000020,\"from\":1700000020,\"limit\":1", POINT_3, "4"},
};

START_TEST(histories_have_limits)
{
    const struct history *row = &histories[_i];
    char payload[200];
    char text[600];
    make_history();
    snprintf(payload, sizeof payload, "{\"sensor_id\":\"a\"%s}", row->limits);
    snprintf(text, sizeof text, "{\"sensor_id\":\"a\",\"readings\":[%s],\"more\":%s,\"next\":%s}",
             row->points, row->next ? "true" : "false", row->next ? row->next : "null");
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
    "{\"sensor_id\":\"a\",\"after\":0}",
    "{\"sensor_id\":\"a\",\"after\":\"1\"}",
    "{\"sensor_id\":\"a\",\"after\":1.5}",
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
               "{\"time\":1700000005,\"value\":5,\"unit\":\"C\"}],\"more\":false,\"next\":null}");
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
    sqlite3_close(
        other("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)"
              " INSERT INTO readings (sensor, time, value, unit) SELECT 1, 1700000000, i, 0 FROM n"));
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
    expect_sensors("{\"sensor_id\":\"a\",\"value\":2,\"unit\":\"K\",\"time\":1700000001},"
                   "{\"sensor_id\":\"b\",\"value\":3,\"unit\":\"K\",\"time\":1700000002}");
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
    expect_sensors("{\"sensor_id\":\"a\",\"value\":1,\"unit\":\"C\",\"time\":1700000001},"
                   "{\"sensor_id\":\"b\",\"value\":5,\"unit\":\"C\",\"time\":1700000000}");
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
    rig_expect(&dev, "listSensors", "", "ok", "{\"sensors\":[],\"next\":null}");
    ck_assert_str_eq(rig_ask(&dev, "updateSensor", reading_of("a", 2, "C"))->status, "ok");
    rig_expect(&dev, "sensorHistory", "{\"sensor_id\":\"a\"}", "ok",
               "{\"sensor_id\":\"a\",\"readings\":[{\"time\":1700000002,\"value\":2,\"unit\":\"C\"}],"
               "\"more\":false,\"next\":null}");
    rig_expect(&rig, "sensorHistory", "{\"sensor_id\":\"a\"}", "ok",
               "{\"sensor_id\":\"a\",\"readings\":[{\"time\":1700000001,\"value\":1,\"unit\":\"C\"}],"
               "\"more\":false,\"next\":null}");
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
    for (int i = 0; i < 25; i++)
        report(i % 2 ? "odd" : "even", i);
    rig_settle(&rig);
    ck_assert_uint_eq(rig.host.events.count, 50);
    for (int i = 0; i < 25; i++) {
        const char *sensor = i % 2 ? "odd" : "even";
        const struct fake_message *events = &rig.host.events.kept[2 * i];
        snprintf(text, sizeof text, "{\"sensor_id\":\"%s\",\"value\":%d,\"unit\":\"C\",\"time\":1700000000}",
                 sensor, i);
        ck_assert_str_eq(events[0].text, text);
        snprintf(text, sizeof text, "{\"sensor_id\":\"%s\",\"value\":%d,\"ok\":true}", sensor, i);
        ck_assert_str_eq(events[1].text, text);
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

/* ---- Readings that were taken offline ---- */

/* A reading that was taken at a moment after the start, in the form of updateSensor's parameters. */
static const char *taken(const char *sensor, double value, double moment)
{
    static char payload[200];
    snprintf(payload, sizeof payload, "{\"sensor_id\":\"%s\",\"value\":%.17g,\"time\":%.17g}", sensor, value,
             start_time + moment);
    return payload;
}

static void expect_taken(const char *sensor, double value, double moment, const char *status)
{
    ck_assert_str_eq(rig_ask(&rig, "updateSensor", taken(sensor, value, moment))->status, status);
}

#define POINT(moment, value) "{\"time\":170000" moment ",\"value\":" value ",\"unit\":\"C\"}"

START_TEST(offline_readings_keep_their_time)
{
    set_option("sensor_interval", "0");
    open_on_file();
    rig.host.wall = start_time + 5000;
    expect_taken("a", 1, 1000, "ok"); /* its first reading */
    rig_expect_event(&rig, "rpc/event/sensorUpdated",
                     "{\"sensor_id\":\"a\",\"value\":1,\"ok\":true,\"time\":1700001000}");
    ck_assert_str_eq(rig.host.events.kept[0].topic, "rpc/event/sensor/a");
    ck_assert_str_eq(rig.host.events.kept[0].text,
                     "{\"sensor_id\":\"a\",\"value\":1,\"unit\":\"C\",\"time\":1700001000}");
    ck_assert(rig.host.events.kept[0].retain);
    store_at("a", 2, 5001);
    expect_taken("a", 3, 2000, "ok"); /* older than the last one */
    ck_assert_uint_eq(rig.host.events.count, 1);
    for (int round = 0; round < 2; round++) {
        rig_expect(&rig, "getSensor", "{\"sensor_id\":\"a\"}", "ok",
                   "{\"sensor_id\":\"a\",\"value\":2,\"unit\":\"C\",\"time\":1700005001}");
        rig_expect(&rig, "sensorHistory", "{\"sensor_id\":\"a\"}", "ok",
                   "{\"sensor_id\":\"a\",\"readings\":[" POINT("1000", "1") "," POINT("5001", "2") "," POINT(
                       "2000", "3") "],\"more\":false,\"next\":null}");
        rig_expect(
            &rig, "sensorHistory", "{\"sensor_id\":\"a\",\"from\":1700001500,\"to\":1700002500}", "ok",
            "{\"sensor_id\":\"a\",\"readings\":[" POINT("2000", "3") "],\"more\":false,\"next\":null}");
        reopen_rig();
        rig.host.wall = start_time + 5010;
    }
    expect_taken("a", 4, 5005, "ok"); /* newer than the last one */
    rig_expect(&rig, "getSensor", "{\"sensor_id\":\"a\"}", "ok",
               "{\"sensor_id\":\"a\",\"value\":4,\"unit\":\"C\",\"time\":1700005005}");
    close_rig();
}
END_TEST

/* It is answered as before, and neither stored nor announced, also after a restart. */
START_TEST(repeated_readings_change_nothing)
{
    static char before[FAKE_TEXT];
    set_option("sensor_interval", "0");
    open_on_file();
    rig.host.wall = start_time + 5000;
    snprintf(before, sizeof before, "%s", rig_ask(&rig, "updateSensor", taken("a", 1.5, 1000))->text);
    for (int round = 0; round < 3; round++) {
        rig.host.wall = start_time + 5001 + round;
        rig_expect(&rig, "updateSensor", taken("a", 1.5, 1000), "ok", before);
        fake_host_forget(&rig.host);
        rig_tell(&rig, "updateSensor", taken("a", 1.5, 1000)); /* its caller asks for no reply */
        rig_settle(&rig);
        ck_assert_uint_eq(count_events("rpc/event/sensorUpdated"), 0);
        ck_assert_uint_eq(count_events("rpc/event/sensor/a"), 0);
        rig_expect(&rig, "updateSensor", taken("a", 2, 1000), "already_stored",
                   "{\"method\":\"updateSensor\",\"err\":\"already_stored\",\"msg\":\"the sensor has another "
                   "reading of this time: 1.5 C\",\"sensor_id\":\"a\",\"value\":1.5,\"unit\":\"C\","
                   "\"time\":1700001000}");
        reopen_rig();
    }
    rig.host.wall = start_time + 5010;
    rig_tell(&rig, "updateSensor", taken("a", 2, 1000));
    rig_settle(&rig);
    ck_assert_uint_eq(count_events("rpc/event/sensorUpdateFailed"), 1);
    ck_assert_int_eq(count_rows("readings"), 1);
    close_rig();
}
END_TEST

/* A batch of a day's readings, as a device sends it that has been offline; and sends again, since it has got
 * no reply: to the same broker, and to the next one. */
static const char *days_batch(int first, int count)
{
    static char batch[100 * 100];
    size_t used = 0;
    for (int i = first; i < first + count; i++)
        used += (size_t)snprintf(batch + used, sizeof batch - used, "%s%s", i == first ? "[" : ",",
                                 taken("a", i, i * 864));
    snprintf(batch + used, sizeof batch - used, "]");
    return batch;
}

START_TEST(batches_of_offline_readings)
{
    set_option("sensor_interval", "0");
    open_on_file();
    rig.host.wall = start_time + 86400;
    rig_send(&rig, "rpc/batch/updateSensor", days_batch(0, 50), RIG_REPLY, NULL);
    rig_settle(&rig);
    fake_host_forget(&rig.host);
    for (int round = 0; round < 4; round++) {
        rig_send(&rig, "rpc/batch/updateSensor", days_batch(0, 100), RIG_REPLY, NULL);
        rig_settle(&rig);
        ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok");
        ck_assert_ptr_null(strstr(rig_last(&rig.host.replies)->text, "error"));
        ck_assert_int_eq(count_rows("readings"), 100);
        ck_assert_uint_eq(rig.host.events.count, round == 0   ? 100
                                                 : round == 2 ? 1
                                                              : 0); /* 1: after the start */
        if (round % 2)
            reopen_rig();
        rig.host.wall = start_time + 86500;
        fake_host_forget(&rig.host);
    }
    ck_assert_int_eq(count_rows("readings a JOIN readings b ON b.id = a.id + 1 AND b.time > a.time"), 99);
    rig_expect(&rig, "getSensor", "{\"sensor_id\":\"a\"}", "ok",
               "{\"sensor_id\":\"a\",\"value\":99,\"unit\":\"C\",\"time\":1700085536}");
    close_rig();
}
END_TEST

/* The same reading twice, and another one of its time, all waiting at once. */
START_TEST(the_same_reading_in_one_group)
{
    set_option("sensor_interval", "0");
    open_on_file();
    sqlite3 *lock = other("BEGIN IMMEDIATE");
    for (int i = 0; i < 5; i++)
        rig_send(&rig, "rpc/call/updateSensor", taken("a", i < 4 ? 1 : 2, -5), RIG_REPLY, NULL);
    sqlite3_close(lock);
    rig_settle(&rig);
    ck_assert_uint_eq(rig.host.replies.count, 5);
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(rig.host.replies.kept[i].status, i < 4 ? "ok" : "already_stored");
    ck_assert_uint_eq(count_events("rpc/event/sensorUpdated"), 1);
    ck_assert_uint_eq(count_events("rpc/event/sensor/a"), 1);
    ck_assert_int_eq(count_rows("readings"), 1);
    close_rig();
}
END_TEST

/* The first reading was stored too late for its caller, and announced; the repetition is not announced. */
START_TEST(a_late_repetition)
{
    set_option("sensor_interval", "0");
    open_on_file();
    for (int i = 0; i < 2; i++) {
        fake_host_forget(&rig.host);
        sqlite3 *lock = other("BEGIN IMMEDIATE");
        rig_send(&rig, "rpc/call/updateSensor", taken("a", 1, -5), RIG_REPLY, NULL);
        wait_until_it_runs();
        rig.host.monotonic += 11 * RIG_SECOND;
        engine_tick(rig.engine);
        ck_assert_str_eq(rig_last(&rig.host.replies)->status, "timeout");
        sqlite3_close(lock);
        rig_settle(&rig);
        ck_assert_uint_eq(count_events("rpc/event/sensorUpdated"), i ? 0 : 1);
    }
    expect_taken("a", 1, -5, "ok");
    ck_assert_uint_eq(rig.host.events.count, 0);
    close_rig();
}
END_TEST

/* The age that is configured, how long ago the reading was taken, and by how much the broker's clock is
 * wrong. */
static const struct {
    const char *keep_age;
    double ago, wrong;
    const char *status;
} moments[] = {
    {"1000s", 1000, 0, "ok"},
    {"1000s", 1000.5, 0, "out_of_range"},
    {"1000s", 1e300, 0, "out_of_range"},
    {"1000s", -60, 0, "ok"},
    {"1000s", -60.5, 0, "out_of_range"},
    {"1000s", -1e300, 0, "out_of_range"},
    {"0", 1e9, 0, "ok"},
    {"0", 1e300, 0, "ok"},
    {"0", -60.5, 0, "out_of_range"},
    {"1000s", 10, 1e8, "ok"}, /* the clock is ahead, and not believed */
    {"1000s", 1500, 1e8, "out_of_range"},
    {"1000s", 0, -1e8, "out_of_range"}, /* the clock is behind: the reading seems to be ahead */
};

START_TEST(times_are_checked)
{
    set_option("sensor_keep_age", moments[_i].keep_age);
    set_option("sensor_interval", "0");
    open_on_file();
    store_at("other", 1, 0);
    rig.host.wall = start_time + moments[_i].wrong;
    expect_taken("a", 1, -moments[_i].ago, moments[_i].status);
    if (strcmp(moments[_i].status, "ok") == 0)
        expect_taken("a", 1, -moments[_i].ago, "ok");
    else
        expect_unknown("a");
    close_rig();
}
END_TEST

/* What was taken long ago stays for as long as what was taken now, and its sensor, too; and does not keep
 * others for longer. */
START_TEST(offline_readings_grow_old)
{
    set_option("sensor_keep_age", "100s");
    set_option("sensor_interval", "0");
    open_on_file();
    store_at("live", 1, 0);
    expect_taken("offline", 2, -95, "ok");
    expect_taken("live", 3, -90, "ok");
    reopen_rig();
    wait_for(80);
    ck_assert_int_eq(count_rows("readings"), 3);
    expect_taken("late", 4, 20, "ok");
    ck_assert_str_eq(rig_ask(&rig, "getSensor", "{\"sensor_id\":\"offline\"}")->status, "ok");
    wait_for(40);
    ck_assert_int_eq(count_rows("readings"), 1);
    expect_unknown("offline");
    expect_unknown("live");
    expect_sensors("{\"sensor_id\":\"late\",\"value\":4,\"unit\":\"C\",\"time\":1700000020}");
    wait_for(50);
    ck_assert_int_eq(count_rows("readings"), 1);
    fake_host_forget(&rig.host);
    wait_for(40);
    ck_assert_int_eq(count_rows("readings"), 0);
    expect_sensors("");
    close_rig();
}
END_TEST

/* A sensor whose readings are old when they come is not silent, also after a restart, with a right clock and
 * with one that is behind. */
START_TEST(offline_sensors_are_heard)
{
    set_option("sensor_max_sensors", "2");
    set_option("sensor_max_silence", "500s");
    open_on_file();
    store_at("quiet", 1, 0);
    rig.host.wall = start_time + 300;
    expect_taken("offline", 1, -5000, "ok");
    close_rig();
    config = rig_config(lines, line_count);
    rig_init(&rig);
    rig.host.wall = start_time + (_i ? 300 : -300);
    rig.options.prefix = "rpc";
    rig_start(&rig);
    rig_add_modules(&rig, config);
    rig.host.monotonic++;
    rig.host.wall = start_time + 300;
    wait_for(_i ? 300 : 900);
    ck_assert_str_eq(rig_ask(&rig, "updateSensor", reading_of("new", 1, "C"))->status, "ok");
    expect_unknown("quiet");
    ck_assert_str_eq(rig_ask(&rig, "getSensor", "{\"sensor_id\":\"offline\"}")->status, "ok");
    close_rig();
}
END_TEST

/* The average goes by the times of the readings. */
START_TEST(offline_readings_in_the_average)
{
    set_option("sensor_interval", "10s");
    set_option("sensor_window", "30s");
    open_rig();
    expect_taken("old", 100, -25, "ok");
    expect_taken("new", 10, -5, "ok");
    fake_host_forget(&rig.host);
    wait_for(10);
    expect_average(AVERAGE("10", "1"));
    expect_taken("old", 20, 0, "ok");
    fake_host_forget(&rig.host);
    wait_for(10);
    expect_average(AVERAGE("15", "2"));
    close_rig();
}
END_TEST

/* ---- Pages of sensors ---- */

static const char *listed(const char *params)
{
    static char names[400];
    const char *text = rig_ask(&rig, "listSensors", params)->text, *next;
    names[0] = '\0';
    for (const char *at = text; (at = strstr(at, "\"sensor_id\":\"")); at++) {
        const size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%.*s ", (int)strcspn(at + 13, "\""), at + 13);
    }
    ck_assert_ptr_nonnull(next = strstr(text, "\"next\":"));
    const size_t used = strlen(names);
    snprintf(names + used, sizeof names - used, "%.*s", (int)strcspn(next + 7, "}"), next + 7);
    return names;
}

START_TEST(sensors_have_pages)
{
    static const char *const ids[] = {"d", "b", "e", "a/1", "c", "B"};
    open_on_file();
    ck_assert_str_eq(listed("{\"limit\":1}"), "null");
    for (int i = 0; i < 6; i++)
        store_at(ids[i], i, i);
    for (int round = 0; round < 2; round++) {
        ck_assert_str_eq(listed(""), "B a/1 b c d e null");
        ck_assert_str_eq(listed("{\"limit\":6}"), "B a/1 b c d e null");
        ck_assert_str_eq(listed("{\"limit\":2,\"after\":null}"), "B a/1 \"a/1\"");
        ck_assert_str_eq(listed("{\"limit\":2,\"after\":\"a/1\"}"), "b c \"c\"");
        ck_assert_str_eq(listed("{\"limit\":2,\"after\":\"c\"}"), "d e null");
        ck_assert_str_eq(listed("{\"after\":\"bb\"}"), "c d e null");
        ck_assert_str_eq(listed("{\"after\":\"e\"}"), "null");
        ck_assert_str_eq(listed("{\"limit\":1,\"after\":\"\"}"), "B \"B\"");
        reopen_rig();
    }
    rig_ask(&rig, "forgetSensor", "{\"sensor_id\":\"c\"}"); /* between two pages */
    store_at("a/2", 1, 10);
    store_at("cc", 1, 11);
    ck_assert_str_eq(listed("{\"limit\":2,\"after\":\"c\"}"), "cc d \"d\"");
    ck_assert_str_eq(rig_ask(&rig, "listSensors", "{\"limit\":0}")->status, "invalid_params");
    ck_assert_str_eq(rig_ask(&rig, "listSensors", "{\"limit\":10001}")->status, "invalid_params");
    close_rig();
}
END_TEST

/* Sensors whose first reading is still being written are in no page. */
START_TEST(pages_have_known_sensors)
{
    open_on_file();
    store_at("b", 1, 1);
    store_at("d", 1, 1);
    sqlite3 *lock = other("BEGIN IMMEDIATE");
    report("a", 1);
    report("c", 1);
    report("e", 1);
    ck_assert_str_eq(listed("{\"limit\":1}"), "b \"b\"");
    ck_assert_str_eq(listed("{\"limit\":1,\"after\":\"b\"}"), "d null");
    ck_assert_str_eq(listed("{\"limit\":2}"), "b d null");
    sqlite3_close(lock);
    rig_settle(&rig);
    ck_assert_str_eq(listed("{\"limit\":4}"), "a b c d \"d\"");
    close_rig();
}
END_TEST

/* ---- The event sensor ---- */

/* After a start all sensors are announced, a part at a time, in the order of their ids. */
START_TEST(sensors_are_announced_after_a_start)
{
    enum { COUNT = 250 };
    char name[16];
    set_option("sensor_interval", "0");
    set_option("sensor_max_per_client", "400");
    open_on_file();
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "s%03d", COUNT - 1 - i);
        rig_tell(&rig, "updateSensor", reading_of(name, i, "C"));
    }
    rig_settle(&rig);
    reopen_rig();
    size_t seen = 0;
    for (int ticks = 0; ticks < 10 && seen < COUNT; ticks++) {
        fake_host_forget(&rig.host);
        rig.host.monotonic += RIG_SECOND / 50;
        engine_tick(rig.engine);
        ck_assert_uint_le(rig.host.events.count, 100);
        for (size_t i = 0; i < rig.host.events.count && i < FAKE_KEPT; i++) {
            snprintf(name, sizeof name, "/s%03d", (int)(seen + i));
            ck_assert_ptr_nonnull(strstr(rig.host.events.kept[i].topic, name));
            ck_assert(rig.host.events.kept[i].retain);
        }
        seen += rig.host.events.count;
    }
    ck_assert_uint_eq(seen, COUNT);
    wait_for(2);
    ck_assert_uint_eq(rig_ask(&rig, "getSensor", "{\"sensor_id\":\"s000\"}")->retain, false);
    ck_assert_uint_eq(rig.host.events.count, 0);
    close_rig();
}
END_TEST

/* Ids that are no level of a topic have no topic of their own, where the broker could retain them. */
START_TEST(ids_that_are_no_level)
{
    open_rig();
    store_at("a/b", 1, 1);
    ck_assert_str_eq(rig.host.events.kept[0].topic, "rpc/event/sensor");
    ck_assert(!rig.host.events.kept[0].retain);
    rig_ask(&rig, "forgetSensor", "{\"sensor_id\":\"a/b\"}");
    ck_assert_uint_eq(rig.host.events.count, 1);
    close_rig();
}
END_TEST

START_TEST(pruned_sensors_are_retracted)
{
    set_option("sensor_keep_age", "10s");
    set_option("sensor_interval", "0");
    open_on_file();
    store_at("a", 1, 0);
    fake_host_forget(&rig.host);
    wait_for(30);
    expect_retracted(0, "rpc/event/sensor/a");
    ck_assert_uint_eq(rig.host.events.count, 1);
    close_rig();
}
END_TEST

/* ---- Clocks that are wrong ---- */

static const double years = 10 * 366 * 86400.0;

#define HISTORY_OF_A "{\"sensor_id\":\"a\",\"readings\":[%s],\"more\":false,\"next\":null}"

static void expect_history(const char *points)
{
    char text[1000];
    snprintf(text, sizeof text, HISTORY_OF_A, points);
    rig_expect(&rig, "sensorHistory", "{\"sensor_id\":\"a\"}", "ok", text);
}

/* A sensor with readings of 100 s, in a database that keeps them for 1000 s. */
static void keep_for_a_while(void)
{
    set_option("sensor_keep_age", "1000s");
    set_option("sensor_interval", "10s");
    set_option("sensor_window", "30s");
    open_on_file();
    store_at("quiet", 1, 0);
    for (int i = 0; i < 10; i++) {
        wait_for(10);
        store_at("a", i, 10 * (i + 1));
    }
}

/* By how much the clock is wrong, and for how many seconds. */
static const struct {
    double by;
    unsigned seconds;
    bool restarts;
} wrong_clocks[] = {{3600, 5, false},          {3600, 130, false},  {years, 5, false},
                    {years, 130, false},       {years, 500, false}, {3600, 130, true},
                    {years, 130, true},        {-3600, 130, false}, {-years, 130, false},
                    {-3600, 130, true},        {-years, 130, true}, {-1600000000.0, 300, false},
                    {-1600000000.0, 300, true}};

/* Nothing is deleted while the clock is wrong, nor after it, and what was stored meanwhile hides nothing. */
START_TEST(a_wrong_clock_destroys_nothing)
{
    keep_for_a_while();
    rig.host.wall += wrong_clocks[_i].by;
    if (wrong_clocks[_i].restarts) {
        const double wall = rig.host.wall;
        close_rig();
        config = rig_config(lines, line_count);
        rig_init(&rig);
        rig.host.wall = wall;
        rig.options.prefix = "rpc";
        rig_start(&rig);
        rig_add_modules(&rig, config);
        rig.host.monotonic++;
    }
    store_at("a", 77, rig.host.wall - start_time);
    store_at("early", 78, rig.host.wall - start_time);
    wait_for(wrong_clocks[_i].seconds);
    ck_assert_int_eq(count_rows("readings"), 13);
    rig.host.wall -= wrong_clocks[_i].by;
    wait_for(70);
    ck_assert_int_eq(count_rows("readings"), 13);
    store_at("a", 79, rig.host.wall - start_time);
    const struct fake_message *reply = rig_ask(&rig, "sensorHistory", "{\"sensor_id\":\"a\",\"limit\":1}");
    ck_assert_ptr_nonnull(strstr(reply->text, "\"value\":79"));
    ck_assert_ptr_null(strstr(reply->text, "\"value\":77"));
    reply = rig_ask(&rig, "sensorHistory", "{\"sensor_id\":\"a\",\"limit\":2}");
    ck_assert_ptr_nonnull(strstr(reply->text, "\"value\":77"));
    ck_assert_ptr_nonnull(strstr(rig_ask(&rig, "getSensor", "{\"sensor_id\":\"a\"}")->text, "\"value\":79"));
    ck_assert_str_eq(rig_ask(&rig, "getSensor", "{\"sensor_id\":\"quiet\"}")->status, "ok");
    ck_assert_str_eq(rig_ask(&rig, "getSensor", "{\"sensor_id\":\"early\"}")->status, "ok");
    close_rig();
}
END_TEST

/* A sensor that reported while the clock was ahead, and is silent since, leaves the average. */
START_TEST(the_future_does_not_count)
{
    keep_for_a_while();
    rig.host.wall += years;
    store_at("ahead", 1000, rig.host.wall - start_time);
    rig.host.wall -= years;
    store_at("a", 5, rig.host.wall - start_time);
    fake_host_forget(&rig.host);
    wait_for(10);
    expect_average(AVERAGE("5", "1"));
    close_rig();
}
END_TEST

/* A clock that stays ahead is believed when what it makes old has grown old by itself. */
START_TEST(a_clock_that_stays_ahead)
{
    keep_for_a_while();
    rig.host.wall += years;
    wait_for(800);
    ck_assert_int_eq(count_rows("readings"), 11);
    ck_assert(fake_host_logged(&rig.host, "the clock is 316224000 s ahead"));
    wait_for(500);
    ck_assert_int_eq(count_rows("readings"), 0);
    expect_sensors("");
    close_rig();
}
END_TEST

/* ---- Places for sensors ---- */

static void report_as(const char *client, const char *sensor, const char *status)
{
    rig.client.id = client;
    const struct fake_message *reply = rig_ask(&rig, "updateSensor", reading_of(sensor, 1, "C"));
    ck_assert_str_eq(reply->status, status);
}

static void expect_reason(const char *text)
{
    if (!strstr(rig.host.replies.kept[0].text, text))
        ck_abort_msg("%s: %s", text, rig.host.replies.kept[0].text);
}

START_TEST(a_client_has_few_places)
{
    set_option("sensor_max_per_client", "2");
    open_on_file();
    report_as("one", "1", "ok");
    report_as("one", "2", "ok");
    report_as("one", "3", "too_many_sensors");
    expect_reason("this client has 2 sensors (sensor_max_per_client)");
    report_as("two", "3", "ok");
    report_as("one", "3", "ok"); /* whoever reports it, it is the other one's */
    report_as("two", "1", "ok");
    report_as("two", "4", "ok");
    report_as("two", "5", "too_many_sensors");
    reopen_rig();
    report_as("one", "6", "too_many_sensors");
    report_as("two", "6", "too_many_sensors");
    report_as("three", "6", "ok");
    rig_ask(&rig, "forgetSensor", "{\"sensor_id\":\"2\"}");
    report_as("one", "7", "ok");
    report_as("one", "8", "too_many_sensors");
    close_rig();
}
END_TEST

/* Client ids of which only the beginning is kept, and one that is empty. */
START_TEST(clients_with_odd_names)
{
    static char long_name[60001], other_name[60001];
    memset(long_name, 'n', 60000);
    memcpy(other_name, long_name, sizeof other_name);
    long_name[100] = 'm';
    set_option("sensor_max_per_client", "1");
    open_on_file();
    static const char *ids[] = {"", long_name, other_name};
    char sensor[8];
    for (int i = 0; i < 3; i++) {
        rig.client.id = ids[i];
        snprintf(sensor, sizeof sensor, "s%d", i);
        rig_tell(&rig, "updateSensor", reading_of(sensor, 1, "C"));
        rig_settle(&rig);
        snprintf(sensor, sizeof sensor, "t%d", i);
        rig_tell(&rig, "updateSensor", reading_of(sensor, 1, "C"));
        rig_settle(&rig);
    }
    ck_assert_int_eq(count_rows("sensors WHERE name LIKE 's%'"), 3);
    ck_assert_int_eq(count_rows("sensors"), 3);
    rig.client.id = "tester";
    close_rig();
}
END_TEST

static const struct {
    const char *by, *word;
    bool user_counts, address_counts;
} countings[] = {
    {"client", "client", false, false}, {"user", "user", true, false}, {"address", "address", false, true}};

START_TEST(what_counts_as_a_client)
{
    set_option("sensor_max_per_client", "1");
    set_option("sensor_count_by", countings[_i].by);
    open_on_file();
    report_as("one", "1", "ok");
    report_as("one", "2", "too_many_sensors");
    expect_reason(countings[_i].word);
    report_as("two", "2",
              countings[_i].user_counts || countings[_i].address_counts ? "too_many_sensors" : "ok");
    rig.client.user = NULL;
    report_as("three", "3", countings[_i].address_counts ? "too_many_sensors" : "ok");
    report_as("four", "4",
              countings[_i].user_counts || countings[_i].address_counts ? "too_many_sensors" : "ok");
    rig.client.address = NULL;
    report_as("five", "5", countings[_i].user_counts ? "too_many_sensors" : "ok");
    rig.client.address = "192.0.2.7";
    rig.client.user = "bob";
    close_rig();
}
END_TEST

static void fill_places(void)
{
    set_option("sensor_max_sensors", "3");
    set_option("sensor_max_silence", "500s");
    open_on_file();
    report_as("c1", "first", "ok");
    wait_for(10);
    report_as("c2", "second", "ok");
    wait_for(10);
    report_as("c3", "third", "ok");
    wait_for(10);
    report_as("c1", "first", "ok");
}

/* The one that was silent longest, not the first one; and only if it was silent for long. */
START_TEST(silent_sensors_make_room)
{
    fill_places();
    wait_for(420);
    report_as("c4", "fourth", "too_many_sensors");
    expect_reason("each has reported within the last 500 s (sensor_max_silence)");
    wait_for(180);
    fake_host_forget(&rig.host);
    report_as("c4", "fourth", "ok");
    ck_assert(fake_host_logged(&rig.host, "the sensor second was silent"));
    ck_assert_uint_eq(rig.host.events.count, 4);
    ck_assert_str_eq(rig.host.events.kept[0].topic, "rpc/event/sensor/fourth");
    expect_retracted(1, "rpc/event/sensor/second");
    ck_assert_str_eq(rig.host.events.kept[2].topic, "rpc/event/sensorForgotten");
    ck_assert_str_eq(rig.host.events.kept[2].text, "{\"sensor_id\":\"second\"}");
    expect_unknown("second");
    ck_assert_int_eq(count_rows("sensors WHERE prefix = 'rpc'"), 3);
    wait_for(60);
    ck_assert_int_eq(count_rows("sensors"), 3);
    ck_assert_int_eq(count_rows("readings"), 4);
    report_as("c5", "fifth", "ok"); /* third's */
    expect_unknown("third");
    reopen_rig();
    expect_unknown("second");
    ck_assert_str_eq(rig_ask(&rig, "getSensor", "{\"sensor_id\":\"first\"}")->status, "ok");
    ck_assert_str_eq(rig_ask(&rig, "getSensor", "{\"sensor_id\":\"fourth\"}")->status, "ok");
    close_rig();
}
END_TEST

/* Neither many new names of many clients, nor a wrong clock, push out a sensor that reports. */
START_TEST(floods_push_nothing_out)
{
    char client[16], sensor[16];
    fill_places();
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 20; i++) {
            snprintf(client, sizeof client, "f%d", 20 * round + i);
            snprintf(sensor, sizeof sensor, "n%d", 20 * round + i);
            report_as(client, sensor, "too_many_sensors");
        }
        wait_for(100);
        rig.host.wall += round == 5 ? years : round == 7 ? -years : round == 10 ? -86400 : 0;
        report_as("c1", "first", "ok");
        report_as("c2", "second", "ok");
        report_as("c2", "third", "ok");
    }
    ck_assert_int_eq(count_rows("sensors"), 3);
    ck_assert_int_eq(count_rows("readings"), 64);
    rig.client.id = "tester";
    close_rig();
}
END_TEST

/* The order of silence survives a restart, and sensors without an owner, of an earlier version, make room,
 * too. */
START_TEST(silence_survives_a_restart)
{
    fill_places();
    close_rig();
    sqlite3_close(other("UPDATE sensors SET owner = ''"));
    open_rig();
    rig.host.wall = start_time + 30;
    wait_for(300);
    report_as("c4", "fourth", "too_many_sensors");
    wait_for(360);
    report_as("c4", "fourth", "ok");
    expect_unknown("second");
    ck_assert_str_eq(rig_ask(&rig, "getSensor", "{\"sensor_id\":\"first\"}")->status, "ok");
    close_rig();
}
END_TEST

/* If the new sensor cannot be stored, the silent one stays; and while it is leaving, it takes no reading. */
START_TEST(leaving_may_fail)
{
    fill_places();
    wait_for(600);
    sqlite3 *lock = other("BEGIN IMMEDIATE");
    report("fourth", 1);
    report("fifth", 1);
    report("sixth", 1);
    report("seventh", 1);
    report("second", 1);
    rig_settle(&rig);
    ck_assert(fake_host_logged(&rig.host, "a reading was not stored"));
    sqlite3_close(lock);
    ck_assert_int_eq(count_rows("sensors"), 3);
    ck_assert_str_eq(rig_ask(&rig, "getSensor", "{\"sensor_id\":\"second\"}")->status, "ok");
    report_as("c4", "fourth", "ok");
    report_as("c4", "fifth", "ok");
    report_as("c4", "sixth", "ok");
    report_as("c4", "seventh", "too_many_sensors");
    ck_assert_int_eq(count_rows("sensors WHERE prefix = 'rpc'"), 3);
    rig.client.id = "tester";
    close_rig();
}
END_TEST

/* ---- forgetSensor ---- */

#define FORGOTTEN(sensor, was) "{\"sensor_id\":\"" sensor "\",\"forgotten\":" was "}"

START_TEST(sensors_are_forgotten)
{
    open_on_file();
    store_at("a", 1, 1);
    store_at("a", 2, 2);
    store_at("b", 3, 3);
    rig_expect(&rig, "forgetSensor", "{\"sensor_id\":\"a\"}", "ok", FORGOTTEN("a", "true"));
    rig_expect_event(&rig, "rpc/event/sensorForgotten", "{\"sensor_id\":\"a\"}");
    expect_retracted(0, "rpc/event/sensor/a");
    expect_unknown("a");
    ck_assert_int_eq(count_rows("readings"), 1);
    ck_assert_int_eq(count_rows("sensors"), 1);
    rig_expect(&rig, "forgetSensor", "{\"sensor_id\":\"a\"}", "ok", FORGOTTEN("a", "false"));
    ck_assert_uint_eq(rig.host.events.count, 1);
    expect_retracted(0, "rpc/event/sensor/a"); /* a broker may still have it */
    store_at("a", 4, 4);
    expect_history("{\"time\":1700000004,\"value\":4,\"unit\":\"C\"}");
    reopen_rig();
    expect_history("{\"time\":1700000004,\"value\":4,\"unit\":\"C\"}");
    rig_expect(&rig, "forgetSensor", "{\"sensor_id\":\"b\"}", "ok", FORGOTTEN("b", "true"));
    ck_assert_str_eq(rig_ask(&rig, "forgetSensor", "{}")->status, "invalid_params");
    close_rig();
}
END_TEST

START_TEST(forgetting_in_memory)
{
    open_rig();
    store_at("a", 1, 1);
    rig_expect(&rig, "forgetSensor", "{\"sensor_id\":\"a\"}", "ok", FORGOTTEN("a", "true"));
    expect_sensors("");
    store_at("a", 2, 2);
    expect_history("{\"time\":1700000002,\"value\":2,\"unit\":\"C\"}");
    close_rig();
}
END_TEST

/* More readings than one job deletes; others report meanwhile. */
START_TEST(forgetting_much)
{
    open_on_file();
    store_at("a", 1, 0);
    sqlite3_close(other("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)"
                        " INSERT INTO readings (sensor, time, value, unit) SELECT 1, i, i, 0 FROM n"));
    rig_tell(&rig, "forgetSensor", "{\"sensor_id\":\"a\"}");
    report("b", 2);
    rig_settle(&rig);
    ck_assert_int_eq(count_rows("readings"), 1);
    ck_assert_int_eq(count_rows("sensors"), 1);
    expect_unknown("a");
    close_rig();
}
END_TEST

/* Readings that come before and after it, all waiting at once. */
START_TEST(forgetting_between_reports)
{
    open_on_file();
    sqlite3 *lock = other("BEGIN IMMEDIATE");
    report("a", 1);
    report("a", 2);
    rig_tell(&rig, "forgetSensor", "{\"sensor_id\":\"a\"}");
    report("a", 3);
    report("b", 4);
    rig_tell(&rig, "forgetSensor", "{\"sensor_id\":\"b\"}");
    sqlite3_close(lock);
    rig_settle(&rig);
    expect_history("{\"time\":1700000000,\"value\":3,\"unit\":\"C\"}");
    expect_unknown("b");
    expect_sensors("{\"sensor_id\":\"a\",\"value\":3,\"unit\":\"C\",\"time\":1700000000}");
    close_rig();
}
END_TEST

START_TEST(forgetting_may_fail)
{
    open_on_file();
    store_at("a", 1, 1);
    sqlite3 *lock = other("BEGIN IMMEDIATE");
    ck_assert_str_eq(rig_ask(&rig, "forgetSensor", "{\"sensor_id\":\"a\"}")->status, "storage_failed");
    expect_reason("the sensor was not forgotten (sensor_db): database is locked");
    ck_assert(fake_host_logged(&rig.host, "a sensor was not forgotten in "));
    sqlite3_close(lock);
    expect_sensors("{\"sensor_id\":\"a\",\"value\":1,\"unit\":\"C\",\"time\":1700000001}");
    expect_history("{\"time\":1700000001,\"value\":1,\"unit\":\"C\"}");
    close_rig();
}
END_TEST

/* ---- What the log says ---- */

static bool is_nobody(void)
{
    if (geteuid() != 0 || seteuid(65534) != 0)
        return false;
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* the leak sanitizer needs it at the end */
    return true;
}

/* The option, the path and the user are in the log; the caller gets the option and the reason. */
START_TEST(failures_are_explained)
{
    char text[2 * PATH];
    ck_assert_int_eq(chmod(folder, 0555), 0);
    if (!is_nobody()) {
        printf("failures_are_explained is left out: root cannot become anybody else here\n");
        return;
    }
    open_on_file();
    ck_assert_str_eq(rig_ask(&rig, "updateSensor", reading_of("a", 1, "C"))->status, "storage_failed");
    expect_reason(
        "the reading was not stored (sensor_db): the database's folder may not be written (Permission "
        "denied)");
    ck_assert_ptr_null(strstr(rig.host.replies.kept[0].text, folder));
    snprintf(text, sizeof text,
             "in %s: the database's folder may not be written (Permission denied) (plugin_opt_", path);
    ck_assert(fake_host_logged(&rig.host, text));
    ck_assert(fake_host_logged(&rig.host, "plugin_opt_sensor_db; user nobody, uid 65534)"));
    close_rig();
    ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(rights_that_stay_are_logged)
{
    open_on_file();
    store_at("a", 1, 1);
    close_rig();
    ck_assert_int_eq(chmod(path, 0666), 0);
    ck_assert_int_eq(chmod(folder, 0777), 0);
    if (!is_nobody()) {
        printf("rights_that_stay_are_logged is left out: root cannot become anybody else here\n");
        return;
    }
    open_rig();
    ck_assert(fake_host_logged(&rig.host, "their rights cannot be taken: Operation not permitted"));
    store_at("a", 2, 2);
    close_rig();
    ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

/* The second prefix says where its readings are. */
START_TEST(other_files_are_logged)
{
    static struct rig dev;
    open_on_file();
    ck_assert(!fake_host_logged(&rig.host, "the readings are in"));
    start_rig(&dev, "dev/rpc");
    ck_assert(fake_host_logged(&dev.host, "sensors.db.dev%2Frpc, since another prefix has taken"));
    rig_close(&dev);
    close_rig();
}
END_TEST

UNIT_MAIN("sensor", make_folder, remove_folder, {offline_readings_keep_their_time, 0},
          {repeated_readings_change_nothing, 0}, {batches_of_offline_readings, 0},
          {the_same_reading_in_one_group, 0}, {a_late_repetition, 0}, {times_are_checked, UNIT_ROWS(moments)},
          {offline_readings_grow_old, 0}, {offline_sensors_are_heard, 2},
          {offline_readings_in_the_average, 0}, {sensors_have_pages, 0}, {pages_have_known_sensors, 0},
          {sensors_are_announced_after_a_start, 0}, {ids_that_are_no_level, 0},
          {pruned_sensors_are_retracted, 0}, {a_wrong_clock_destroys_nothing, UNIT_ROWS(wrong_clocks)},
          {the_future_does_not_count, 0}, {a_clock_that_stays_ahead, 0}, {a_client_has_few_places, 0},
          {clients_with_odd_names, 0}, {what_counts_as_a_client, UNIT_ROWS(countings)},
          {silent_sensors_make_room, 0}, {floods_push_nothing_out, 0}, {silence_survives_a_restart, 0},
          {leaving_may_fail, 0}, {sensors_are_forgotten, 0}, {forgetting_in_memory, 0}, {forgetting_much, 0},
          {forgetting_between_reports, 0}, {forgetting_may_fail, 0}, {failures_are_explained, 0},
          {rights_that_stay_are_logged, 0}, {other_files_are_logged, 0},
          {histories_have_limits, UNIT_ROWS(histories)},
          {histories_are_asked_for_rightly, UNIT_ROWS(wrong_histories)}, {the_average_is_announced, 0},
          {sensors_that_are_silent_do_not_count, 0}, {the_window_includes_its_end, 0},
          {an_old_average_is_replaced, 0}, {there_may_be_no_average, 0}, {averages_of_extremes, 0},
          {keep_count, 0}, {keep_age, 0}, {much_is_deleted_in_several_jobs, 0},
          {pruned_sensors_do_not_count, 0}, {many_new_sensors_at_once, 0}, {failed_sensors_do_not_count, 0},
          {sensors_are_loaded, 0}, {more_than_there_may_be, 0}, {rows_of_others, 0}, {loading_late, 0},
          {asking_while_it_is_tried_again, 0}, {prefixes_in_one_file, 0}, {events_come_in_order, 0},
          {a_reading_may_be_stored_too_late, 0}, {a_reading_may_never_be_stored, 0},
          {stopping_while_locked, 0})

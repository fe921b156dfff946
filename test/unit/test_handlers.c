// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The shipped modules on the fake host. test_conformance.c tests what all methods have in common. */
#include "rig.h"
#include "unit.h"

#include "modules.h"
#include "config.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;
static struct config *config;

/* All modules, with room for three sensors. */
static void open_rig(void)
{
    const struct option_line line = {.name = "sensor_max_sensors", .value = "3"};
    config = rig_config(&line, 1);
    rig_init(&rig);
    rig_start(&rig);
    rig_add_modules(&rig, config);
}

/* Calls without asking for a reply, and waits until the call has ended. */
static void tell(const char *method, const char *payload)
{
    rig_tell(&rig, method, payload);
    rig_settle(&rig);
}

static void close_rig(void)
{
    rig_close(&rig);
    config_destroy(config);
}

/* ---- ping ---- */

START_TEST(ping)
{
    rig.host.wall = 1700000000.125;
    rig_expect(&rig, "ping", "", "ok", "{\"ok\":true,\"time\":1700000000.125}");
    rig_expect(&rig, "ping", "{\"any\":1}", "ok", "{\"ok\":true,\"time\":1700000000.125}");
    ck_assert_uint_eq(rig.host.events.count, 0);
    rig_tell(&rig, "ping", "");
    ck_assert_uint_eq(rig.host.events.count, 1);
    rig_expect_event(&rig, "rpc/event/pong", "{\"ok\":true,\"time\":1700000000.125}");
    ck_assert(!rig.host.events.kept[0].retain);
}
END_TEST

/* ---- echo ---- */

static const char *const values[] = {
    "{}",
    "{\"a\":1}",
    "[1,2,[3]]",
    "\"text \xC3\xA4 \\\"\\\\ \\n\"",
    "0",
    "-0.5",
    "12345678901234567890.123456789",
    "true",
    "null",
    "[]",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
};

START_TEST(echo)
{
    rig_expect(&rig, "echo", values[_i], "ok", values[_i]);
    rig_tell(&rig, "echo", values[_i]);
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

START_TEST(echo_without_the_request_id)
{
    rig_expect(&rig, "echo", "", "ok", "{}");
    rig_tell(&rig, "echo", "{\"request_id\":\"1\",\"a\":2}");
    ck_assert_str_eq(rig_last(&rig.host.replies)->text, "{\"request_id\":\"1\",\"result\":{\"a\":2}}");
}
END_TEST

/* ---- getTime ---- */

static const struct moment {
    double wall;
    const char *text;
} moments[] = {
    {0, "{\"unix\":0,\"iso\":\"1970-01-01T00:00:00.000Z\"}"},
    {0.5, "{\"unix\":0.5,\"iso\":\"1970-01-01T00:00:00.500Z\"}"},
    {951782400, "{\"unix\":951782400,\"iso\":\"2000-02-29T00:00:00.000Z\"}"},
    {1700000000.9990001, NULL}, /* checks only that the milliseconds are not over 999 */
    {1767225599.99951171875, NULL},
    {4102444799.75, "{\"unix\":4102444799.75,\"iso\":\"2099-12-31T23:59:59.750Z\"}"},
    {-0.25, "{\"unix\":-0.25,\"iso\":\"1969-12-31T23:59:59.750Z\"}"},
};

START_TEST(get_time)
{
    rig.host.wall = moments[_i].wall;
    const struct fake_message *reply = rig_ask(&rig, "getTime", "");
    ck_assert_str_eq(reply->status, "ok");
    if (moments[_i].text)
        ck_assert_str_eq(reply->text, moments[_i].text);
    else
        ck_assert_ptr_nonnull(strstr(reply->text, ".999Z\"}"));
    fake_host_forget(&rig.host);
    rig_tell(&rig, "getTime", "");
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

/* ---- updateSensor ---- */

#define RANGE(id, msg) \
    "{\"method\":\"updateSensor\",\"err\":\"out_of_range\",\"msg\":\"" msg "\",\"sensor_id\":\"" id "\"}"

static const struct update {
    const char *payload, *status, *text;
} updates[] = {
    {"{\"sensor_id\":\"temp1\",\"value\":25.5}", "ok",
     "{\"sensor_id\":\"temp1\",\"value\":25.5,\"ok\":true}"},
    {"{\"sensor_id\":\"t\",\"value\":0,\"unit\":\"K\"}", "ok",
     "{\"sensor_id\":\"t\",\"value\":0,\"ok\":true}"},
    {"{\"sensor_id\":\"t\",\"value\":-273.15}", "ok", "{\"sensor_id\":\"t\",\"value\":-273.15,\"ok\":true}"},
    {"{\"sensor_id\":\"t\",\"value\":-459.67,\"unit\":\"F\"}", "ok",
     "{\"sensor_id\":\"t\",\"value\":-459.67,\"ok\":true}"},
    {"{\"sensor_id\":\"\xC3\xA4\\n\",\"value\":1e20}", "ok",
     "{\"sensor_id\":\"\xC3\xA4\\n\",\"value\":1e+20,\"ok\":true}"},
    {"{\"sensor_id\":\"t\",\"value\":1,\"time\":1699999000.5}", "ok",
     "{\"sensor_id\":\"t\",\"value\":1,\"ok\":true,\"time\":1699999000.5}"},
    {"{\"sensor_id\":\"t\",\"value\":1,\"time\":1700000060.26}", "out_of_range",
     RANGE("t", "the time is 60.0099999904633 s ahead of the broker's clock, at most 60 s are allowed")},
    {"{\"sensor_id\":\"t\",\"value\":1,\"time\":1697407999}", "out_of_range",
     RANGE("t", "the reading is 2592001.25 s old, and is kept for 2592000 s (sensor_keep_age)")},
    {"{\"sensor_id\":\"t\",\"value\":1,\"time\":null}", "invalid_params",
     "{\"method\":\"updateSensor\",\"err\":\"invalid_params\",\"msg\":\"time must be a number\"}"},
    {"{\"sensor_id\":\"t\",\"value\":1,\"units\":\"K\"}", "invalid_params",
     "{\"method\":\"updateSensor\",\"err\":\"invalid_params\",\"msg\":\"units is not declared, did you mean "
     "unit?\"}"},
    {"{\"sensor_id\":\"t\",\"value\":1,\"times\":1}", "invalid_params",
     "{\"method\":\"updateSensor\",\"err\":\"invalid_params\",\"msg\":\"times is not declared, did you mean "
     "time?\"}"},
    {"{\"sensor_id\":\"t\",\"value\":-273.16}", "out_of_range",
     RANGE("t", "-273.16 C is below absolute zero")},
    {"{\"sensor_id\":\"t\",\"value\":-273.16,\"unit\":\"C\"}", "out_of_range",
     RANGE("t", "-273.16 C is below absolute zero")},
    {"{\"sensor_id\":\"t\",\"value\":-459.68,\"unit\":\"F\"}", "out_of_range",
     RANGE("t", "-459.68 F is below absolute zero")},
    {"{\"sensor_id\":\"t\",\"value\":-0.001,\"unit\":\"K\"}", "out_of_range",
     RANGE("t", "-0.001 K is below absolute zero")},
    {"{\"value\":1}", "invalid_params",
     "{\"method\":\"updateSensor\",\"err\":\"invalid_params\",\"msg\":\"sensor_id is required\"}"},
    {"{\"sensor_id\":\"t\"}", "invalid_params",
     "{\"method\":\"updateSensor\",\"err\":\"invalid_params\",\"msg\":\"value is required\"}"},
    {"{\"sensor_id\":\"t\",\"value\":1,\"unit\":\"c\"}", "invalid_params",
     "{\"method\":\"updateSensor\",\"err\":\"invalid_params\",\"msg\":\"unit must be one of C, F, K\"}"},
};

START_TEST(update_sensor_answers)
{
    const struct update *row = &updates[_i];
    rig_expect(&rig, "updateSensor", row->payload, row->status, row->text);
    const bool fine = strcmp(row->status, "ok") == 0;
    ck_assert_uint_eq(rig.host.events.count, fine ? 2 : 0); /* the sensor's state comes first */
    if (fine)
        rig_expect_event(&rig, "rpc/event/sensorUpdated", row->text);
}
END_TEST

START_TEST(update_sensor_announces)
{
    const struct update *row = &updates[_i];
    const char *topic = strcmp(row->status, "ok") == 0             ? "rpc/event/sensorUpdated"
                        : strcmp(row->status, "out_of_range") == 0 ? "rpc/event/sensorUpdateFailed"
                                                                   : "rpc/event/error";
    tell("updateSensor", row->payload);
    ck_assert_uint_eq(rig.host.events.count, strcmp(row->status, "ok") == 0 ? 2 : 1);
    if (strcmp(row->status, "invalid_params") == 0)
        rig_expect_error(&rig, row->text);
    else
        rig_expect_event(&rig, topic, row->text);
    ck_assert_uint_eq(rig.host.replies.count, 0);
}
END_TEST

/* A refused reading does not create a sensor. */
START_TEST(refused_readings_create_no_sensor)
{
    tell("updateSensor", "{\"sensor_id\":\"t\",\"value\":-300}");
    rig_expect(&rig, "listSensors", "", "ok", "{\"sensors\":[],\"next\":null}");
    tell("updateSensor", "{\"sensor_id\":\"t\",\"value\":20}");
    tell("updateSensor", "{\"sensor_id\":\"t\",\"value\":-300}");
    rig_expect(&rig, "getSensor", "{\"sensor_id\":\"t\"}", "ok",
               "{\"sensor_id\":\"t\",\"value\":20,\"unit\":\"C\",\"time\":1700000000.25}");
}
END_TEST

/* ---- getSensor, listSensors ---- */

START_TEST(the_last_reading_is_returned)
{
    rig.host.wall = 100.5;
    tell("updateSensor", "{\"sensor_id\":\"a\",\"value\":1,\"unit\":\"K\"}");
    rig.host.wall = 200;
    tell("updateSensor", "{\"sensor_id\":\"a\",\"value\":2,\"unit\":\"F\"}");
    rig.host.wall = 300;
    rig_expect(&rig, "getSensor", "{\"sensor_id\":\"a\"}", "ok",
               "{\"sensor_id\":\"a\",\"value\":2,\"unit\":\"F\",\"time\":200}");
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

START_TEST(unknown_sensors)
{
    static const char error[] =
        "{\"method\":\"getSensor\",\"err\":\"unknown_sensor\",\"msg\":\"no reading of this "
        "sensor has arrived\",\"sensor_id\":\"none\"}";
    rig_expect(&rig, "getSensor", "{\"sensor_id\":\"none\"}", "unknown_sensor", error);
    rig_tell(&rig, "getSensor", "{\"sensor_id\":\"none\"}");
    rig_expect_event(&rig, "rpc/event/error", error);
}
END_TEST

START_TEST(sensors_are_listed_in_order)
{
    rig_expect(&rig, "listSensors", "", "ok", "{\"sensors\":[],\"next\":null}");
    tell("updateSensor", "{\"sensor_id\":\"b\",\"value\":1}");
    tell("updateSensor", "{\"sensor_id\":\"a\\\"\",\"value\":2,\"unit\":\"K\"}");
    tell("updateSensor", "{\"sensor_id\":\"b\",\"value\":3}");
    rig_expect(&rig, "listSensors", "", "ok",
               "{\"sensors\":[{\"sensor_id\":\"a\\\"\",\"value\":2,\"unit\":\"K\",\"time\":1700000000.25},"
               "{\"sensor_id\":\"b\",\"value\":3,\"unit\":\"C\",\"time\":1700000000.25}],\"next\":null}");
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

/* getSensor and listSensors return the same numbers, to the last digit. */
START_TEST(lists_are_exact)
{
    rig.host.wall = 1700000000.1234567;
    tell("updateSensor", "{\"sensor_id\":\"a\",\"value\":0.30000000000000004}");
    const char *const reading =
        "{\"sensor_id\":\"a\",\"value\":0.30000000000000004,\"unit\":\"C\",\"time\":1700000000.1234567}";
    char list[256];
    snprintf(list, sizeof list, "{\"sensors\":[%s],\"next\":null}", reading);
    rig_expect(&rig, "getSensor", "{\"sensor_id\":\"a\"}", "ok", reading);
    rig_expect(&rig, "listSensors", "", "ok", list);
}
END_TEST

/* ---- max_sensors ---- */

START_TEST(sensors_are_bounded)
{
    static const char error[] =
        "{\"method\":\"updateSensor\",\"err\":\"too_many_sensors\",\"msg\":\"there are 3 sensors "
        "(sensor_max_sensors), and each has reported within the last 86400 s (sensor_max_silence)\","
        "\"sensor_id\":\"4\"}";
    tell("updateSensor", "{\"sensor_id\":\"1\",\"value\":1}");
    tell("updateSensor", "{\"sensor_id\":\"2\",\"value\":1}");
    tell("updateSensor", "{\"sensor_id\":\"3\",\"value\":1}");
    rig_expect(&rig, "updateSensor", "{\"sensor_id\":\"4\",\"value\":1}", "too_many_sensors", error);
    tell("updateSensor", "{\"sensor_id\":\"4\",\"value\":1}");
    rig_expect_event(&rig, "rpc/event/sensorUpdateFailed", error);
    rig_expect(&rig, "updateSensor", "{\"sensor_id\":\"3\",\"value\":2}", "ok",
               "{\"sensor_id\":\"3\",\"value\":2,\"ok\":true}");
}
END_TEST

/* The longest possible id: 64 characters of four bytes. */
START_TEST(long_ids)
{
    char id[64 * 4 + 1] = "";
    char payload[400];
    char text[400];
    for (int i = 0; i < 64; i++)
        strcat(id, "\xF0\x9F\x98\x80");
    snprintf(payload, sizeof payload, "{\"sensor_id\":\"%s\",\"value\":1}", id);
    snprintf(text, sizeof text, "{\"sensor_id\":\"%s\",\"value\":1,\"ok\":true}", id);
    rig_expect(&rig, "updateSensor", payload, "ok", text);
    snprintf(payload, sizeof payload, "{\"sensor_id\":\"%sx\",\"value\":1}", id);
    rig_expect(
        &rig, "updateSensor", payload, "invalid_params",
        "{\"method\":\"updateSensor\",\"err\":\"invalid_params\",\"msg\":\"sensor_id must have 1 to 64 "
        "characters, not 65\"}");
}
END_TEST

/* Each prefix has its own sensors. */
START_TEST(prefixes_have_their_own_sensors)
{
    static struct rig dev;
    rig_init(&dev);
    dev.options.prefix = "dev/rpc";
    rig_start(&dev);
    rig_add_modules(&dev, config);
    tell("updateSensor", "{\"sensor_id\":\"a\",\"value\":1}");
    rig_expect(&dev, "listSensors", "", "ok", "{\"sensors\":[],\"next\":null}");
    rig_close(&dev);
}
END_TEST

UNIT_MAIN("handlers", open_rig, close_rig, {ping, 0}, {echo, UNIT_ROWS(values)},
          {echo_without_the_request_id, 0}, {get_time, UNIT_ROWS(moments)},
          {update_sensor_answers, UNIT_ROWS(updates)}, {update_sensor_announces, UNIT_ROWS(updates)},
          {refused_readings_create_no_sensor, 0}, {the_last_reading_is_returned, 0}, {unknown_sensors, 0},
          {sensors_are_listed_in_order, 0}, {lists_are_exact, 0}, {sensors_are_bounded, 0}, {long_ids, 0},
          {prefixes_have_their_own_sensors, 0})

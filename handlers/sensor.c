// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Temperature sensors. Devices report readings with updateSensor, whose reply says that the reading is in the
 * database. Other clients call the other methods, or subscribe to the module's events. This file has the
 * tables and what connects the parts; sensor/ has the parts.
 *
 * Only worker threads use the database (sensor/store.h) while the broker runs. It has two connections, each
 * with a lane of its own: one writes, and commits all waiting readings as one group; the other reads the
 * history at the same time. The last readings are also in memory (sensor/table.h), for the broker's thread.
 */
#include "sensor/forget.h"
#include "sensor/history.h"
#include "sensor/load.h"
#include "sensor/prune.h"
#include "sensor/report.h"
#include "sensor/show.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BUSY_MS = 2000, /* max wait for another connection's lock of the database */
    DAY = 86400
};

/* ---- Options ---- */

static const rpc_field option_fields[] = {
    RPC_STRING(
        struct sensor_options, db,
        .doc =
            "file of the SQLite database; each further prefix that uses it gets a file of its own beside it; "
            "`:memory:`: a database in memory, which ends with the broker",
        .unit = "path", .default_json = "\"sensors.db\"", .length = {1, 4096}),
    RPC_INT32(
        struct sensor_options, max_sensors,
        .doc =
            "largest number of sensors; each takes about 150 bytes of max_reply in the reply to listSensors "
            "without limit",
        .default_json = "400", .range = {1, SENSORS_MAX}),
    RPC_INT32(struct sensor_options, max_per_client,
              .doc =
                  "largest number of sensors that one client has reported first, so that one client cannot "
                  "take all places",
              .default_json = "50", .range = {1, SENSORS_MAX}),
    RPC_CHOICE(struct sensor_options, count_by,
               .doc = "what counts as one client for sensor_max_per_client: a client id, a user name (all "
                      "anonymous clients are one), or a network address",
               .choices = RPC_TABLE(sensors_counted), .default_json = "\"client\""),
    RPC_INT32(struct sensor_options, max_silence,
              .doc = "when there are max_sensors sensors, a new one takes the place of the one that has been "
                     "silent longest, if that has been silent for longer than this; its readings are deleted",
              .unit = "s", .default_json = "86400", .range = {1, 366 * DAY}),
    RPC_INT32(struct sensor_options, interval,
              .doc = "time between two `temperature` events, which announce the average; 0: none",
              .unit = "s", .default_json = "60", .range = {0, DAY}),
    RPC_INT32(struct sensor_options, window,
              .doc = "the average includes the sensors whose last reading is not older than this",
              .unit = "s", .default_json = "300", .range = {1, 30 * DAY}),
    RPC_INT64(struct sensor_options, keep_age,
              .doc =
                  "readings older than this are deleted, and sensors without newer readings; 0: never. While "
                  "the clock may be wrong they stay longer",
              .unit = "s", .default_json = "2592000", .range = {0, INT64_C(3153600000)}),
    RPC_INT32(struct sensor_options, keep_count,
              .doc = "largest number of readings kept for each sensor; the oldest are deleted first",
              .default_json = "10000", .range = {1, 100000000}),
};

static const rpc_shape options_shape = RPC_OBJECT_SHAPE(struct sensor_options, option_fields);

/* ---- Events and methods ---- */

static const rpc_event events[] = {
    {.name = "sensorUpdated", .doc = "a reading was stored", .data = &report_result},
    {.name = "sensor",
     .doc = "the last reading of a sensor, whenever another one has become the last, and after a start",
     .data = &sensors_reading_shape,
     .retained = true,
     .key = "sensor_id"},
    {.name = "sensorUpdateFailed", .doc = "updateSensor failed, and its caller asked for no reply"},
    {.name = "sensorForgotten",
     .doc = "a sensor and its readings were deleted, by forgetSensor or to make room for a new sensor",
     .data = &sensors_which_shape},
    {.name = "temperature",
     .doc = "the average of the sensors that have reported within sensor_window, every sensor_interval",
     .data = &show_average_shape,
     .retained = true},
};

#define STORAGE_FAILED                                                                     \
    {                                                                                      \
        .code = "storage_failed", .doc = "the database could not be used; `msg` says why", \
        .data = &sensors_failed_shape                                                      \
    }

static const rpc_error update_errors[] = {
    {.code = "out_of_range",
     .doc = "the temperature is below absolute zero; or the time is older than sensor_keep_age, or more than "
            "60 s "
            "ahead of the broker's clock",
     .data = &sensors_which_shape},
    {.code = "already_stored",
     .doc = "the sensor has a reading of this `time`, with another value: this one",
     .data = &sensors_reading_shape},
    {.code = "too_many_sensors",
     .doc = "the sensor is new, and its client has sensor_max_per_client sensors, or there are "
            "sensor_max_sensors, and none has been silent for sensor_max_silence; `msg` says which",
     .data = &sensors_which_shape},
    STORAGE_FAILED,
};

static const rpc_error get_errors[] = {
    {.code = "unknown_sensor", .doc = "the sensor has no reading", .data = &sensors_which_shape},
    STORAGE_FAILED,
};

static const rpc_error storage_errors[] = {STORAGE_FAILED};

static const rpc_method methods[] = {
    {
        .name = "updateSensor",
        .doc = "Stores a reading of a sensor. The reply says that the reading is in the database.",
        .strict = true,
        .params = &report_params,
        .result = &report_result,
        .errors = RPC_TABLE(update_errors),
        .event = "sensorUpdated",
        .announce = RPC_ANNOUNCE_ALWAYS,
        .error_event = "sensorUpdateFailed",
        .run = report_run,
        .work = report_work,
        .done = report_done,
        .must_finish = true,
    },
    {
        .name = "getSensor",
        .doc = "Returns the last reading of a sensor.",
        .read_only = true,
        .params = &sensors_which_shape,
        .result = &sensors_reading_shape,
        .errors = RPC_TABLE(get_errors),
        .run = show_get,
    },
    {
        .name = "listSensors",
        .doc = "Returns the last readings of all sensors, or of a page of them.",
        .read_only = true,
        .params = &show_list_params,
        .result = &show_list_shape,
        .errors = RPC_TABLE(storage_errors),
        .run = show_list,
    },
    {
        .name = "sensorHistory",
        .doc = "Returns the readings of a sensor in a time range, those that were stored last.",
        .read_only = true,
        .params = &history_params,
        .result = &history_result,
        .errors = RPC_TABLE(get_errors),
        .run = history_run,
        .work = history_work,
        .done = history_done,
    },
    {
        .name = "forgetSensor",
        .doc =
            "Deletes a sensor and all its readings, whoever has reported it. The reply says that they are no "
            "longer in the database.",
        .idempotent = true,
        .params = &sensors_which_shape,
        .result = &forget_result,
        .errors = RPC_TABLE(storage_errors),
        .run = forget_run,
        .work = forget_work,
        .done = forget_done,
        .must_finish = true,
    },
};

/* ---- The module ---- */

static bool sensor_open_stores(struct sensors *sensors)
{
    const char *path = sensors->options->db, *prefix = rpc_prefix(sensors->instance);
    sensors->store = store_new(path, prefix, BUSY_MS);
    sensors->history = strcmp(path, ":memory:") == 0 ? sensors->store : store_new(path, prefix, BUSY_MS);
    sensors->loading.store = sensors->pruning.store = sensors->store;
    sensors->loading.max = sensors->table.max;
    const int64_t keep_age = sensors->options->keep_age;
    sensors->loading.max_step = (double)(keep_age ? keep_age : sensors->options->max_silence) / 10;
    return sensors->store && sensors->history;
}

static void sensor_find_user(struct sensors *sensors)
{
    struct passwd entry, *found = NULL;
    char buffer[4096];
    sensors->uid = geteuid();
    if (getpwuid_r(sensors->uid, &entry, buffer, sizeof buffer, &found) == 0 && found)
        snprintf(sensors->user, sizeof sensors->user, "%s", found->pw_name);
}

/* The broker starts even if the database cannot be used: calls fail with storage_failed until it can. */
static rpc_status sensor_init(rpc_instance *instance, void *state, const void *options)
{
    struct sensors *sensors = state;
    sensors->instance = instance;
    sensors->options = options;
    sensors->averaged = true;
    sensors->table.max = (size_t)sensors->options->max_sensors;
    sensors->table.max_per_owner = (size_t)sensors->options->max_per_client;
    sensors->table.max_silence = sensors->options->max_silence;
    sensor_find_user(sensors);
    if (!sensor_open_stores(sensors))
        return RPC_INTERNAL_ERROR;
    load_start(sensors);
    const uint32_t interval = (uint32_t)sensors->options->interval * 1000;
    const bool announces = !interval || rpc_every(instance, interval, show_average, NULL).id;
    const uint32_t pause = 1000 * prune_seconds(sensors);
    return announces && rpc_every(instance, pause, prune_begin, NULL).id ? RPC_OK : RPC_INTERNAL_ERROR;
}

static void sensor_fini(void *state)
{
    struct sensors *sensors = state;
    if (sensors->history != sensors->store)
        store_close(sensors->history);
    store_close(sensors->store);
    load_free(&sensors->loading);
    free(sensors->pruning.removed);
    table_clear(&sensors->table);
}

static void sensor_look(const void *state, rpc_use *use)
{
    const struct table *table = &((const struct sensors *)state)->table;
    use->entries = table_size(table) - table->leaving;
    use->max = table->max;
}

static const rpc_gauge gauges[] = {
    {"sensors", "sensors that have a place: the option max_sensors", sensor_look}};

RPC_MODULE(sensor, .doc = "Temperature sensors: their last readings, their history and their average.",
           .state_size = sizeof(struct sensors), .options = &options_shape, .methods = RPC_TABLE(methods),
           .events = RPC_TABLE(events), .gauges = RPC_TABLE(gauges), .init = sensor_init,
           .fini = sensor_fini);

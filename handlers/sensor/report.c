// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The method updateSensor: see report.h. */
#include "report.h"

#include "sensors.h"

#include <string.h>

enum { GROUP_MAX = 256 }; /* max readings in one transaction */

static const double absolute_zero[] = {[CELSIUS] = -273.15, [FAHRENHEIT] = -459.67, [KELVIN] = 0};

/* ---- Shapes ---- */

struct update {
    const char *sensor_id;
    double value;
    enum unit unit;
};

static const rpc_field report_param_fields[] = {
    SENSOR_ID(struct update),
    RPC_DOUBLE(struct update, value, .doc = "the temperature, not below absolute zero"),
    RPC_CHOICE(struct update, unit, .doc = "Celsius, Fahrenheit or Kelvin",
               .choices = RPC_TABLE(sensors_units), .default_json = "\"C\""),
};

const rpc_shape report_params = RPC_OBJECT_SHAPE(struct update, report_param_fields);

struct updated {
    const char *sensor_id;
    double value;
    bool ok;
};

static const rpc_field report_result_fields[] = {
    SENSOR_ID(struct updated),
    RPC_DOUBLE(struct updated, value, .doc = "the reported temperature, in the unit of the call"),
    RPC_BOOL(struct updated, ok, .doc = "always true"),
};

const rpc_shape report_result = RPC_OBJECT_SHAPE(struct updated, report_result_fields);

/* ---- The method ---- */

struct report {
    struct store *store;
    struct store_reading reading;
    struct sensor *sensor;
    struct sensor *leaver; /* makes room for it; NULL: none */
    struct report *before; /* the one before it in its group */
    bool stored;
    struct store_failure failure;
};

/* Stores all waiting reports in one transaction, since the disk takes as long for one report as for many. */
void report_work(rpc_job *job, void *data)
{
    struct report *last = NULL, *report = data;
    struct store *store = report->store;
    struct store_failure failure;
    store_begin(store, &failure);
    for (int count = 1; report; count++) {
        if (report->leaver)
            store_drop(store, report->leaver->id, strlen(report->leaver->id), &failure);
        store_add(store, &report->reading, &failure);
        report->before = last;
        last = report;
        report = count < GROUP_MAX ? rpc_job_take_next(job) : NULL;
    }
    const bool stored = store_commit(store, &failure);
    for (; last; last = last->before) {
        last->stored = stored;
        if (!stored)
            last->failure = failure;
    }
}

static rpc_status report_check_value(rpc_call *call, const struct update *given)
{
    if (given->value >= absolute_zero[given->unit])
        return RPC_OK;
    const struct which which = {given->sensor_id};
    return rpc_raise_with(call, "out_of_range", &which, "%.15g %s is below absolute zero", given->value,
                          sensors_units[given->unit]);
}

/* What sensors are counted by, with its value: "client lamp1". NULL: no memory. */
static const char *report_owner_of(rpc_call *call, const struct sensors *sensors)
{
    const enum counted by = sensors->options->count_by;
    const char *value = by == BY_CLIENT ? rpc_caller_id(call)
                        : by == BY_USER ? rpc_caller_user(call)
                                        : rpc_caller_address(call);
    return rpc_printf(call, "%s %.*s", sensors_counted[by], OWNER_BYTES, value ? value : "");
}

static rpc_status report_refuse(rpc_call *call, const struct sensors *sensors, const char *id,
                                enum table_refusal why)
{
    const struct sensor_options *options = sensors->options;
    const struct which which = {id};
    switch (why) {
    case TABLE_FULL:
        return rpc_raise_with(
            call, "too_many_sensors", &which,
            "there are %d sensors (sensor_max_sensors), and each has reported within the last "
            "%d s (sensor_max_silence)",
            (int)options->max_sensors, (int)options->max_silence);
    case TABLE_OWNER_FULL:
        return rpc_raise_with(call, "too_many_sensors", &which,
                              "this %s has %d sensors (sensor_max_per_client); forgetSensor makes room",
                              sensors_counted[options->count_by], (int)options->max_per_client);
    case TABLE_LEAVING:
        return rpc_raise_with(
            call, "too_many_sensors", &which,
            "the sensor was silent for %d s (sensor_max_silence), and another one is taking "
            "its place",
            (int)options->max_silence);
    case TABLE_NO_MEMORY:
        break;
    }
    return RPC_INTERNAL_ERROR;
}

static rpc_status report_start(rpc_call *call, struct sensors *sensors, const struct report *given)
{
    struct report *report = rpc_alloc(call, sizeof *report);
    if (!report)
        return RPC_INTERNAL_ERROR;
    *report = *given;
    report->store = sensors->store;
    return rpc_start(call, "writing", report);
}

static void report_give_up(struct sensors *sensors, const struct report *report)
{
    table_give_up(&sensors->table, report->sensor);
    if (report->leaver)
        table_stay(&sensors->table, report->leaver);
}

rpc_status report_run(rpc_call *call, void *state, const void *params, void *result)
{
    struct sensors *sensors = state;
    const struct update *given = params;
    const double now = rpc_call_time(call);
    (void)result;
    rpc_status status = report_check_value(call, given);
    if (status != RPC_OK)
        return status;
    const char *owner = report_owner_of(call, sensors);
    if (!owner)
        return RPC_INTERNAL_ERROR;
    enum table_refusal why;
    struct report report = {
        .reading = {given->sensor_id, strlen(given->sensor_id), given->value, now, (int)given->unit, owner},
    };
    report.sensor = table_expect(&sensors->table, given->sensor_id, owner, age_now(&sensors->age, now),
                                 &report.leaver, &why);
    if (!report.sensor)
        return report_refuse(call, sensors, given->sensor_id, why);
    status = report_start(call, sensors, &report);
    if (status != RPC_PENDING)
        report_give_up(sensors, &report);
    return status;
}

/* The reading of a new sensor is stored, and the sensor that made room is deleted. */
static void report_end_leaving(struct sensors *sensors, rpc_call *call, struct sensor *leaver)
{
    const struct which which = {leaver->id};
    rpc_log(sensors->instance, RPC_LOG_NOTICE, "the sensor %s was silent and makes room for a new one",
            leaver->id);
    rpc_announce(sensors->instance, call, "sensorForgotten", &which);
    table_leave(&sensors->table, leaver);
}

/* A stored reading becomes the sensor's last one and is announced, even if its call has already ended. */
rpc_status report_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct sensors *sensors = state;
    const struct report *report = data;
    const struct store_reading *reading = &report->reading;
    struct updated *updated = result;
    if (report->stored)
        table_take(&sensors->table, report->sensor, reading->value, (enum unit)reading->unit, reading->time);
    else
        report_give_up(sensors, report);
    if (report->stored && report->leaver)
        report_end_leaving(sensors, call, report->leaver);
    if (report->failure.why[0])
        sensors_log_failure(sensors, &report->failure, "a reading was not stored");
    if (!report->stored)
        return outcome == RPC_OK ? sensors_raise_failure(call, &report->failure, "the reading was not stored")
                                 : outcome;
    *updated = (struct updated){reading->sensor, reading->value, true};
    if (outcome != RPC_OK)
        rpc_announce(sensors->instance, call, "sensorUpdated", updated);
    return RPC_OK;
}

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
    double time;
    bool has_time;
};

static const rpc_field report_param_fields[] = {
    SENSOR_ID(struct update),
    RPC_DOUBLE(struct update, value, .doc = "the temperature, not below absolute zero"),
    RPC_CHOICE(struct update, unit, .doc = "Celsius, Fahrenheit or Kelvin",
               .choices = RPC_TABLE(sensors_units), .default_json = "\"C\""),
    RPC_DOUBLE(struct update, time,
               .doc = "when it was taken, Unix time; without it: now. Such a reading is stored once",
               .unit = "s", .optional = true, .flag = RPC_FLAG(struct update, has_time)),
};

const rpc_shape report_params = RPC_OBJECT_SHAPE(struct update, report_param_fields);

struct updated {
    const char *sensor_id;
    double value;
    bool ok;
    double time;
    bool has_time;
};

static const rpc_field report_result_fields[] = {
    SENSOR_ID(struct updated),
    RPC_DOUBLE(struct updated, value, .doc = "the reported temperature, in the unit of the call"),
    RPC_BOOL(struct updated, ok, .doc = "always true"),
    RPC_DOUBLE(struct updated, time, .doc = "the time of the call", .unit = "s", .optional = true,
               .flag = RPC_FLAG(struct updated, has_time)),
};

const rpc_shape report_result = RPC_OBJECT_SHAPE(struct updated, report_result_fields);

/* ---- The method ---- */

struct report {
    struct store *store;
    struct store_reading reading;
    struct sensor *sensor;
    struct sensor *leaver; /* makes room for it; NULL: none */
    struct report *before; /* the one before it in its group */
    bool stored;           /* the database has it, or has had it before; or has another one of its time: */
    struct store_added added;
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
        store_add(store, &report->reading, &report->added, &failure);
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

/* A reading may not be older than the age at which readings are deleted. `now` is the believed time (age.h),
 * so that a clock which is ahead by mistake does not refuse readings. */
static rpc_status report_check(rpc_call *call, const struct sensors *sensors, const struct update *given,
                               double now)
{
    const struct which which = {given->sensor_id};
    const double clock = rpc_call_time(call), keep_age = (double)sensors->options->keep_age;
    if (given->value < absolute_zero[given->unit])
        return rpc_raise_with(call, "out_of_range", &which, "%.15g %s is below absolute zero", given->value,
                              sensors_units[given->unit]);
    if (given->has_time && given->time > clock + STORE_AHEAD_S)
        return rpc_raise_with(call, "out_of_range", &which,
                              "the time is %.15g s ahead of the broker's clock, at most %d s are allowed",
                              given->time - clock, STORE_AHEAD_S);
    if (given->has_time && keep_age > 0 && given->time < now - keep_age)
        return rpc_raise_with(call, "out_of_range", &which,
                              "the reading is %.15g s old, and is kept for %.0f s (sensor_keep_age)",
                              now - given->time, keep_age);
    return RPC_OK;
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
    const double clock = rpc_call_time(call), now = age_now(&sensors->age, clock);
    (void)result;
    rpc_status status = report_check(call, sensors, given, now);
    if (status != RPC_OK)
        return status;
    const char *owner = report_owner_of(call, sensors);
    if (!owner)
        return RPC_INTERNAL_ERROR;
    enum table_refusal why;
    struct report report = {
        .reading = {given->sensor_id, strlen(given->sensor_id), given->value,
                    given->has_time ? given->time : clock, (int)given->unit, owner,
                    given->has_time ? clock : 0},
    };
    report.sensor = table_expect(&sensors->table, given->sensor_id, owner, now, &report.leaver, &why);
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
    sensors_retract(sensors, leaver->id);
    rpc_announce(sensors->instance, call, "sensorForgotten", &which);
    table_leave(&sensors->table, leaver);
}

static rpc_status report_raise_conflict(rpc_call *call, const struct report *report)
{
    const struct store_point *stored = &report->added.stored;
    const struct reading reading = sensors_reading_of_point(report->reading.sensor, stored);
    return rpc_raise_with(call, "already_stored", &reading,
                          "the sensor has another reading of this time: %.15g %s", reading.value,
                          sensors_units[reading.unit]);
}

/* The database has the reading. It is announced even if its call has already ended, but not if the database
 * has had it before. */
static rpc_status report_end(struct sensors *sensors, rpc_call *call, const struct report *report,
                             rpc_status outcome, struct updated *updated)
{
    const struct store_reading *reading = &report->reading;
    if (report->added.outcome == STORE_CONFLICT)
        return outcome == RPC_OK ? report_raise_conflict(call, report) : outcome;
    *updated = (struct updated){reading->sensor, reading->value, true, reading->time, reading->stored != 0};
    if (report->added.outcome == STORE_REPEATED)
        rpc_call_set_unchanged(call);
    else if (outcome != RPC_OK)
        rpc_announce(sensors->instance, call, "sensorUpdated", updated);
    return RPC_OK;
}

/* What the database has of the sensor becomes its last reading, even if the call has already ended. */
rpc_status report_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct sensors *sensors = state;
    const struct report *report = data;
    const struct reading last = sensors_reading_of_point(report->sensor->id, &report->added.last);
    if (!report->stored)
        report_give_up(sensors, report);
    else if (table_take(&sensors->table, report->sensor, last.value, last.unit, last.time))
        sensors_announce(sensors, report->sensor);
    if (report->stored && report->leaver)
        report_end_leaving(sensors, call, report->leaver);
    if (report->failure.why[0])
        sensors_note_failure(sensors, &report->failure, "a reading was not stored");
    else if (report->stored)
        sensors_note_success(sensors);
    if (!report->stored)
        return outcome == RPC_OK ? sensors_raise_failure(call, &report->failure, "the reading was not stored")
                                 : outcome;
    return report_end(sensors, call, report, outcome, result);
}

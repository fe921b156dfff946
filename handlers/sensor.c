// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Temperature sensors. Devices report readings with updateSensor, whose reply says that the reading is in the
 * database. Other clients call the other methods, or subscribe to the module's events.
 *
 * Only workers use the database (sensor/store.h) while the broker runs. It has two connections, each with a
 * lane of its own: one writes, and commits all waiting readings as one group; the other reads the history at
 * the same time. The last readings are also in memory (sensor/table.h), for the broker's thread.
 */
#include "sensor/age.h"
#include "sensor/store.h"
#include "sensor/table.h"

#include <math.h>
#include <mosquitto_rpc.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BUSY_MS = 2000,     /* max wait for another connection's lock of the database */
    GROUP_MAX = 256,    /* max readings in one transaction */
    HISTORY_MAX = 1000, /* max readings in one result */
    PRUNE_S = 60,       /* time between two prunings; a tenth of keep_age if that is less */
    PRUNE_ROWS = 2000,  /* max readings that one job deletes; other jobs of the lane wait for it */
    RELOAD_MS = 5000,   /* time between two attempts to load the sensors */
    NOTICE_S = 3600,    /* a clock that is further ahead than this is worth a line in the log */
    DAY = 86400
};

/* The database contains the indexes, so that the order must not change. */
static const char *const units[] = {[CELSIUS] = "C", [FAHRENHEIT] = "F", [KELVIN] = "K"};
static const double absolute_zero[] = {[CELSIUS] = -273.15, [FAHRENHEIT] = -459.67, [KELVIN] = 0};

/* Whose sensors are counted together. The database contains the words. */
enum counted { BY_CLIENT, BY_USER, BY_ADDRESS };

static const char *const counted_words[] = {
    [BY_CLIENT] = "client", [BY_USER] = "user", [BY_ADDRESS] = "address"};

struct options {
    const char *db;
    int32_t max_sensors, max_per_client, max_silence, interval, window, keep_count;
    enum counted count_by;
    int64_t keep_age;
};

/* The job that loads the sensors. There is at most one at a time, and its data is part of the state. */
struct loading {
    struct store *store;
    struct loaded *sensors; /* from malloc() */
    size_t count, capacity, max;
    bool more; /* the database has more than max sensors */
    bool no_memory;
    bool loaded;
    double max_step;  /* see store_last_time() */
    double last;      /* when a reading was stored last, by that; NAN: never */
    const char *path; /* of the file that is in use */
    int exposure;     /* see store_exposure() */
    struct store_failure failure;
};

struct loaded {
    struct sensor sensor; /* its id, value, unit and time */
    char owner[OWNER_BYTES];
};

/* Likewise the job that deletes old readings. */
struct pruning {
    struct store *store;
    struct store_limits limits;
    char *removed; /* the ids of sensors that were deleted, each with its NUL; from malloc() */
    size_t size;   /* of all of them, bytes */
    bool pruned, more;
    struct store_failure failure;
};

struct sensors {
    rpc_instance *instance;
    const struct options *options;
    struct table table;
    struct age age;
    uid_t uid;                     /* of the process when it started, */
    char user[64];                 /* and the user's name; "": it has none */
    struct store *store, *history; /* the same for a database in memory, which has only one connection */
    bool loaded;                   /* the table has the sensors of the database */
    struct store_failure why_not_loaded;
    bool pruning_runs;
    bool averaged; /* the retained average may be one of some sensors, and not null */
    struct loading loading;
    struct pruning pruning;
};

/* ---- Options ---- */

static const rpc_field option_fields[] = {
    RPC_STRING(
        struct options, db,
        .doc =
            "file of the SQLite database; each further prefix that uses it gets a file of its own beside it; "
            "`:memory:`: a database in memory, which ends with the broker",
        .unit = "path", .default_json = "\"sensors.db\"", .length = {1, 4096}),
    RPC_INT32(
        struct options, max_sensors,
        .doc =
            "largest number of sensors; each takes about 150 bytes of max_reply in the reply to listSensors",
        .default_json = "400", .range = {1, SENSORS_MAX}),
    RPC_INT32(struct options, max_per_client,
              .doc =
                  "largest number of sensors that one client has reported first, so that one client cannot "
                  "take all places",
              .default_json = "50", .range = {1, SENSORS_MAX}),
    RPC_CHOICE(struct options, count_by,
               .doc = "what counts as one client for sensor_max_per_client: a client id, a user name (all "
                      "anonymous clients are one), or a network address",
               .choices = RPC_TABLE(counted_words), .default_json = "\"client\""),
    RPC_INT32(struct options, max_silence,
              .doc = "when there are max_sensors sensors, a new one takes the place of the one that has been "
                     "silent longest, if that has been silent for longer than this; its readings are deleted",
              .unit = "s", .default_json = "86400", .range = {1, 366 * DAY}),
    RPC_INT32(struct options, interval,
              .doc = "time between two `temperature` events, which announce the average; 0: none",
              .unit = "s", .default_json = "60", .range = {0, DAY}),
    RPC_INT32(struct options, window,
              .doc = "the average includes the sensors whose last reading is not older than this",
              .unit = "s", .default_json = "300", .range = {1, 30 * DAY}),
    RPC_INT64(struct options, keep_age,
              .doc =
                  "readings older than this are deleted, and sensors without newer readings; 0: never. While "
                  "the clock may be wrong they stay longer",
              .unit = "s", .default_json = "2592000", .range = {0, INT64_C(3153600000)}),
    RPC_INT32(struct options, keep_count,
              .doc = "largest number of readings kept for each sensor; the oldest are deleted first",
              .default_json = "10000", .range = {1, 100000000}),
};

static const rpc_shape options_shape = RPC_OBJECT_SHAPE(struct options, option_fields);

/* ---- Shapes ---- */

#define SENSOR_ID(type) \
    RPC_STRING(type, sensor_id, .doc = "the id of the sensor", .length = {1, SENSOR_CHARACTERS})

struct update {
    const char *sensor_id;
    double value;
    enum unit unit;
};

static const rpc_field update_fields[] = {
    SENSOR_ID(struct update),
    RPC_DOUBLE(struct update, value, .doc = "the temperature, not below absolute zero"),
    RPC_CHOICE(struct update, unit, .doc = "Celsius, Fahrenheit or Kelvin", .choices = RPC_TABLE(units),
               .default_json = "\"C\""),
};

static const rpc_shape update_shape = RPC_OBJECT_SHAPE(struct update, update_fields);

struct updated {
    const char *sensor_id;
    double value;
    bool ok;
};

static const rpc_field updated_fields[] = {
    SENSOR_ID(struct updated),
    RPC_DOUBLE(struct updated, value, .doc = "the reported temperature, in the unit of the call"),
    RPC_BOOL(struct updated, ok, .doc = "always true"),
};

static const rpc_shape updated_shape = RPC_OBJECT_SHAPE(struct updated, updated_fields);

struct which {
    const char *sensor_id;
};

static const rpc_field which_fields[] = {SENSOR_ID(struct which)};

static const rpc_shape which_shape = RPC_OBJECT_SHAPE(struct which, which_fields);

struct forgotten {
    const char *sensor_id;
    bool forgotten;
};

static const rpc_field forgotten_fields[] = {
    SENSOR_ID(struct forgotten),
    RPC_BOOL(struct forgotten, forgotten, .doc = "whether there was such a sensor"),
};

static const rpc_shape forgotten_shape = RPC_OBJECT_SHAPE(struct forgotten, forgotten_fields);

struct reading {
    const char *sensor_id;
    double value;
    enum unit unit;
    double time;
};

static const rpc_field reading_fields[] = {
    SENSOR_ID(struct reading),
    RPC_DOUBLE(struct reading, value, .doc = "its last temperature"),
    RPC_CHOICE(struct reading, unit, .doc = "Celsius, Fahrenheit or Kelvin", .choices = RPC_TABLE(units)),
    RPC_DOUBLE(struct reading, time, .doc = "when it was reported, Unix time", .unit = "s"),
};

static const rpc_shape reading_shape = RPC_OBJECT_SHAPE(struct reading, reading_fields);

struct list {
    const struct reading *sensors;
    size_t count;
};

static const rpc_field list_fields[] = {
    RPC_OBJECT_ARRAY(struct list, sensors, count, struct reading,
                     .doc = "the result of getSensor for each sensor, ordered by first reading",
                     .items = {0, SENSORS_MAX}, .shape = &reading_shape),
};

static const rpc_shape list_shape = RPC_OBJECT_SHAPE(struct list, list_fields);

struct failed {
    enum store_cause cause;
};

static const rpc_field failed_fields[] = {
    RPC_CHOICE(struct failed, cause, .doc = "why the database could not be used",
               .choices = RPC_TABLE(store_cause_names)),
};

static const rpc_shape failed_shape = RPC_OBJECT_SHAPE(struct failed, failed_fields);

struct history_params {
    const char *sensor_id;
    double from, to;
    int32_t limit;
    bool has_from, has_to;
};

static const rpc_field history_params_fields[] = {
    SENSOR_ID(struct history_params),
    RPC_DOUBLE(struct history_params, from,
               .doc = "the start of the time range, Unix time; without it, the range is open", .unit = "s",
               .optional = true, .flag = RPC_FLAG(struct history_params, has_from)),
    RPC_DOUBLE(struct history_params, to,
               .doc = "the end of the time range, Unix time; without it, the range is open", .unit = "s",
               .optional = true, .flag = RPC_FLAG(struct history_params, has_to)),
    RPC_INT32(struct history_params, limit,
              .doc = "largest number of readings in the result, those of the range that were stored last",
              .default_json = "100", .range = {1, HISTORY_MAX}),
};

static const rpc_shape history_params_shape = RPC_OBJECT_SHAPE(struct history_params, history_params_fields);

struct point {
    double time, value;
    enum unit unit;
};

static const rpc_field point_fields[] = {
    RPC_DOUBLE(struct point, time, .doc = "when it was reported, Unix time", .unit = "s"),
    RPC_DOUBLE(struct point, value, .doc = "the temperature"),
    RPC_CHOICE(struct point, unit, .doc = "Celsius, Fahrenheit or Kelvin", .choices = RPC_TABLE(units)),
};

static const rpc_shape point_shape = RPC_OBJECT_SHAPE(struct point, point_fields);

struct history {
    const char *sensor_id;
    const struct point *readings;
    size_t count;
    bool more;
};

static const rpc_field history_fields[] = {
    SENSOR_ID(struct history),
    RPC_OBJECT_ARRAY(struct history, readings, count, struct point,
                     .doc = "the readings of the range, in the order in which they were stored",
                     .items = {0, HISTORY_MAX}, .shape = &point_shape),
    RPC_BOOL(struct history, more, .doc = "whether the range has earlier readings, which are over the limit"),
};

static const rpc_shape history_shape = RPC_OBJECT_SHAPE(struct history, history_fields);

struct average {
    double temp;
    bool has_temp;
    const char *unit, *source;
    int32_t sensors;
};

static const rpc_field average_fields[] = {
    RPC_DOUBLE(struct average, temp,
               .doc = "the average of the last readings; null: no sensor has reported within sensor_window",
               .nullable = true, .flag = RPC_FLAG(struct average, has_temp)),
    RPC_STRING(struct average, unit, .doc = "always C", .length = {1, 1}),
    RPC_STRING(struct average, source, .doc = "always all_sensors", .length = {1, 32}),
    RPC_INT32(struct average, sensors, .doc = "the number of sensors in the average"),
};

static const rpc_shape average_shape = RPC_OBJECT_SHAPE(struct average, average_fields);

/* ---- Failures of the database ---- */

/* The caller gets the reason, and the log also the path and the user, which are not the caller's business. */
static rpc_status sensor_raise_failure(rpc_call *call, const struct store_failure *failure, const char *what)
{
    const struct failed failed = {failure->cause};
    return rpc_raise_with(call, "storage_failed", &failed, "%s (sensor_db): %s", what, failure->why);
}

/* A line of the log has no room for the longest paths, whose ends say most. */
static const char *sensor_end_of(const char *path)
{
    enum { SHOWN = 250 };
    const size_t size = strlen(path);
    return size > SHOWN ? path + size - SHOWN : path;
}

static void sensor_log_failure(const struct sensors *sensors, const struct store_failure *failure,
                               const char *what)
{
    const char *path = sensor_end_of(failure->path ? failure->path : sensors->options->db);
    const char *user = geteuid() == sensors->uid && *sensors->user ? sensors->user : "without a name";
    rpc_log(sensors->instance, RPC_LOG_ERROR, "%s in %s: %s (plugin_opt_sensor_db; user %s, uid %lu)", what,
            path, failure->why, user, (unsigned long)geteuid());
}

/* ---- updateSensor ---- */

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
static void sensor_store_reports(rpc_job *job, void *data)
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

static rpc_status sensor_check_value(rpc_call *call, const struct update *given)
{
    if (given->value >= absolute_zero[given->unit])
        return RPC_OK;
    const struct which which = {given->sensor_id};
    return rpc_raise_with(call, "out_of_range", &which, "%.15g %s is below absolute zero", given->value,
                          units[given->unit]);
}

/* What sensors are counted by, with its value: "client lamp1". NULL: no memory. */
static const char *sensor_owner_of(rpc_call *call, const struct sensors *sensors)
{
    const enum counted by = sensors->options->count_by;
    const char *value = by == BY_CLIENT ? rpc_caller_id(call)
                        : by == BY_USER ? rpc_caller_user(call)
                                        : rpc_caller_address(call);
    return rpc_printf(call, "%s %.*s", counted_words[by], OWNER_BYTES, value ? value : "");
}

static rpc_status sensor_raise_refusal(rpc_call *call, const struct sensors *sensors, const char *id,
                                       enum table_refusal why)
{
    const struct options *options = sensors->options;
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
                              counted_words[options->count_by], (int)options->max_per_client);
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

static rpc_status sensor_start_report(rpc_call *call, struct sensors *sensors, const struct report *given)
{
    struct report *report = rpc_alloc(call, sizeof *report);
    if (!report)
        return RPC_INTERNAL_ERROR;
    *report = *given;
    report->store = sensors->store;
    return rpc_start(call, "writing", report);
}

static void sensor_give_up(struct sensors *sensors, const struct report *report)
{
    table_give_up(&sensors->table, report->sensor);
    if (report->leaver)
        table_stay(&sensors->table, report->leaver);
}

static rpc_status sensor_update(rpc_call *call, void *state, const void *params, void *result)
{
    struct sensors *sensors = state;
    const struct update *given = params;
    const double now = rpc_call_time(call);
    (void)result;
    rpc_status status = sensor_check_value(call, given);
    if (status != RPC_OK)
        return status;
    const char *owner = sensor_owner_of(call, sensors);
    if (!owner)
        return RPC_INTERNAL_ERROR;
    enum table_refusal why;
    struct report report = {
        .reading = {given->sensor_id, strlen(given->sensor_id), given->value, now, (int)given->unit, owner},
    };
    report.sensor = table_expect(&sensors->table, given->sensor_id, owner, age_now(&sensors->age, now),
                                 &report.leaver, &why);
    if (!report.sensor)
        return sensor_raise_refusal(call, sensors, given->sensor_id, why);
    status = sensor_start_report(call, sensors, &report);
    if (status != RPC_PENDING)
        sensor_give_up(sensors, &report);
    return status;
}

/* The reading of a new sensor is stored, and the sensor that made room is deleted. */
static void sensor_end_leaving(struct sensors *sensors, rpc_call *call, struct sensor *leaver)
{
    const struct which which = {leaver->id};
    rpc_log(sensors->instance, RPC_LOG_NOTICE, "the sensor %s was silent and makes room for a new one",
            leaver->id);
    rpc_announce(sensors->instance, call, "sensorForgotten", &which);
    table_leave(&sensors->table, leaver);
}

/* A stored reading becomes the sensor's last one and is announced, even if its call has already ended. */
static rpc_status sensor_end_update(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct sensors *sensors = state;
    const struct report *report = data;
    const struct store_reading *reading = &report->reading;
    struct updated *updated = result;
    if (report->stored)
        table_take(&sensors->table, report->sensor, reading->value, (enum unit)reading->unit, reading->time);
    else
        sensor_give_up(sensors, report);
    if (report->stored && report->leaver)
        sensor_end_leaving(sensors, call, report->leaver);
    if (report->failure.why[0])
        sensor_log_failure(sensors, &report->failure, "a reading was not stored");
    if (!report->stored)
        return outcome == RPC_OK ? sensor_raise_failure(call, &report->failure, "the reading was not stored")
                                 : outcome;
    *updated = (struct updated){reading->sensor, reading->value, true};
    if (outcome != RPC_OK)
        rpc_announce(sensors->instance, call, "sensorUpdated", updated);
    return RPC_OK;
}

/* ---- getSensor, listSensors ---- */

static struct reading sensor_reading_of(const struct sensor *sensor)
{
    return (struct reading){sensor->id, sensor->value, sensor->unit, sensor->time};
}

static rpc_status sensor_raise_unknown(rpc_call *call, const struct sensors *sensors, const char *id)
{
    const struct which which = {id};
    if (!sensors->loaded)
        return sensor_raise_failure(call, &sensors->why_not_loaded, "the sensors could not be read so far");
    return rpc_raise_with(call, "unknown_sensor", &which, "no reading of this sensor has arrived");
}

static rpc_status sensor_get(rpc_call *call, void *state, const void *params, void *result)
{
    const struct sensors *sensors = state;
    const struct which *given = params;
    const struct sensor *sensor = table_find(&sensors->table, given->sensor_id);
    if (!sensor)
        return sensor_raise_unknown(call, sensors, given->sensor_id);
    *(struct reading *)result = sensor_reading_of(sensor);
    return RPC_OK;
}

static rpc_status sensor_list(rpc_call *call, void *state, const void *params, void *result)
{
    (void)params;
    const struct sensors *sensors = state;
    struct list *list = result;
    if (!sensors->loaded)
        return sensor_raise_failure(call, &sensors->why_not_loaded, "the sensors could not be read so far");
    struct reading *readings = rpc_alloc(call, sensors->table.known * sizeof *readings);
    if (!readings)
        return RPC_INTERNAL_ERROR;
    for (const struct sensor *sensor = sensors->table.sensors; sensor; sensor = sensor->hh.next) {
        if (sensor->known)
            readings[list->count++] = sensor_reading_of(sensor);
    }
    list->sensors = readings;
    return RPC_OK;
}

/* ---- sensorHistory ---- */

struct question {
    struct store *store;
    struct store_query query;
    struct store_answer answer;
    bool answered;
    struct store_failure failure;
};

static void sensor_look_up(rpc_job *job, void *data)
{
    struct question *question = data;
    if (rpc_is_wanted(job))
        question->answered =
            store_history(question->store, &question->query, &question->answer, &question->failure);
}

static rpc_status sensor_history(rpc_call *call, void *state, const void *params, void *result)
{
    const struct sensors *sensors = state;
    const struct history_params *given = params;
    (void)result;
    if (!table_find(&sensors->table, given->sensor_id))
        return sensor_raise_unknown(call, sensors, given->sensor_id);
    struct question *question = rpc_alloc(call, sizeof *question);
    struct store_point *points = rpc_alloc(call, (size_t)given->limit * sizeof *points);
    if (!question || !points)
        return RPC_INTERNAL_ERROR;
    question->store = sensors->history;
    question->query = (struct store_query){
        .sensor = given->sensor_id,
        .size = strlen(given->sensor_id),
        .from = given->has_from ? given->from : -INFINITY,
        .to = given->has_to ? given->to : INFINITY,
        .limit = (size_t)given->limit,
    };
    question->answer.points = points;
    return rpc_start(call, sensors->history == sensors->store ? "writing" : "reading", question);
}

/* This module has not written a unit that it does not know; such a unit is taken for Celsius. */
static struct point sensor_point_of(const struct store_point *stored)
{
    const bool known = stored->unit >= 0 && stored->unit < UNITS;
    return (struct point){stored->time, stored->value, known ? (enum unit)stored->unit : CELSIUS};
}

static rpc_status sensor_end_history(rpc_call *call, void *state, void *data, rpc_status outcome,
                                     void *result)
{
    const struct question *question = data;
    struct history *history = result;
    if (outcome != RPC_OK)
        return outcome;
    if (!question->answered) {
        sensor_log_failure(state, &question->failure, "readings could not be looked up");
        return sensor_raise_failure(call, &question->failure, "the readings could not be looked up");
    }
    struct point *points = rpc_alloc(call, question->answer.count * sizeof *points);
    if (!points)
        return RPC_INTERNAL_ERROR;
    for (size_t i = 0; i < question->answer.count; i++)
        points[i] = sensor_point_of(&question->answer.points[i]);
    *history =
        (struct history){question->query.sensor, points, question->answer.count, question->answer.more};
    return RPC_OK;
}

/* ---- forgetSensor ---- */

struct parting {
    struct store *store;
    struct store_forgetting forgetting;
    bool done;   /* the last part of the work has succeeded */
    bool hidden; /* the first one has */
    struct store_failure failure;
};

static void sensor_delete(rpc_job *job, void *data)
{
    struct parting *parting = data;
    (void)job;
    parting->done = store_forget(parting->store, &parting->forgetting, &parting->failure);
}

/* Asks the database, and not the table, so that a sensor which could not be loaded can be forgotten, too. */
static rpc_status sensor_forget(rpc_call *call, void *state, const void *params, void *result)
{
    const struct sensors *sensors = state;
    const struct which *given = params;
    struct parting *parting = rpc_alloc(call, sizeof *parting);
    (void)result;
    if (!parting)
        return RPC_INTERNAL_ERROR;
    parting->store = sensors->store;
    parting->forgetting = (struct store_forgetting){
        .sensor = given->sensor_id, .size = strlen(given->sensor_id), .rows = PRUNE_ROWS};
    return rpc_start(call, "writing", parting);
}

/* Deletes many readings in several jobs, so that other jobs of the lane can run in between. What is left when
 * the call times out is deleted by pruning. */
static rpc_status sensor_end_forget(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct sensors *sensors = state;
    struct parting *parting = data;
    const struct store_forgetting *forgetting = &parting->forgetting;
    const struct which which = {forgetting->sensor};
    if (parting->done && forgetting->found && !parting->hidden) {
        parting->hidden = true;
        table_forget(&sensors->table, forgetting->sensor);
        rpc_announce(sensors->instance, call, "sensorForgotten", &which);
    }
    if (!parting->done && parting->failure.why[0])
        sensor_log_failure(sensors, &parting->failure, "a sensor was not forgotten");
    if (outcome != RPC_OK)
        return outcome;
    if (!parting->done)
        return sensor_raise_failure(call, &parting->failure, "the sensor was not forgotten");
    parting->done = !forgetting->more;
    if (forgetting->more)
        return rpc_start(call, "writing", parting);
    *(struct forgotten *)result = (struct forgotten){forgetting->sensor, forgetting->found};
    return RPC_OK;
}

/* ---- The average ---- */

/*
 * When no sensor reports any more, a last event with null replaces the retained average, so that clients do
 * not take that for a new one. The retained average may be from an earlier run of a broker with persistence.
 */
static void sensor_announce_average(rpc_instance *instance, void *state, void *data)
{
    struct sensors *sensors = state;
    size_t count;
    (void)data;
    const double temp = table_average(&sensors->table, rpc_time(instance), sensors->options->window, &count);
    const struct average average = {temp, count > 0, "C", "all_sensors", (int32_t)count};
    if (count || sensors->averaged)
        rpc_announce(instance, NULL, "temperature", &average);
    sensors->averaged = count > 0;
}

/* ---- Loading the sensors ---- */

/* Another program may have written to the file. */
static bool sensor_is_valid(const struct store_reading *last)
{
    return last->size && last->size < SENSOR_BYTES && !memchr(last->sensor, '\0', last->size) &&
           last->unit >= 0 && last->unit < UNITS;
}

static bool sensor_copy_one(struct loading *loading, const struct store_reading *last)
{
    if (loading->count == loading->capacity) {
        const size_t capacity = loading->capacity ? 2 * loading->capacity : 64;
        struct loaded *sensors = realloc(loading->sensors, capacity * sizeof *sensors);
        if (!sensors)
            return false;
        loading->sensors = sensors;
        loading->capacity = capacity;
    }
    struct loaded *loaded = &loading->sensors[loading->count++];
    *loaded =
        (struct loaded){.sensor = {.value = last->value, .time = last->time, .unit = (enum unit)last->unit}};
    memcpy(loaded->sensor.id, last->sensor, last->size);
    memcpy(loaded->owner, last->owner, strnlen(last->owner, OWNER_BYTES - 1));
    return true;
}

static bool sensor_load_one(void *data, const struct store_reading *last)
{
    struct loading *loading = data;
    if (!sensor_is_valid(last))
        return true;
    loading->more = loading->count == loading->max;
    loading->no_memory = !loading->more && !sensor_copy_one(loading, last);
    return !loading->more && !loading->no_memory;
}

static void sensor_load(rpc_job *job, void *data)
{
    struct loading *loading = data;
    (void)job;
    loading->more = loading->no_memory = false;
    loading->loaded = store_load(loading->store, sensor_load_one, loading, &loading->failure) &&
                      store_last_time(loading->store, loading->max_step, &loading->last, &loading->failure);
    loading->path = store_path(loading->store);
    loading->exposure = store_exposure(loading->store);
    if (!loading->loaded || !loading->no_memory)
        return;
    loading->loaded = false;
    loading->failure = (struct store_failure){STORE_NO_MEMORY, loading->path, "out of memory"};
}

static void sensor_free_loaded(struct loading *loading)
{
    free(loading->sensors);
    loading->sensors = NULL;
    loading->count = loading->capacity = 0;
}

/* Adds the loaded sensors to the table. One that is already in it has reported since, and keeps that reading.
 */
static void sensor_take_loaded(struct sensors *sensors, const struct loading *loading)
{
    struct table *table = &sensors->table;
    const double now = age_now(&sensors->age, rpc_time(sensors->instance));
    for (size_t i = 0; i < loading->count; i++) {
        struct sensor *sensor = &loading->sensors[i].sensor;
        sensor->heard = fmin(sensor->time, now);
        table_load(table, sensor, loading->sensors[i].owner);
    }
    table_sort(table);
}

/* Without loaded sensors, all is as new. */
static void sensor_start_age(struct sensors *sensors, double last)
{
    const struct options *options = sensors->options;
    const double patience = fmax((double)options->keep_age, options->max_silence);
    age_start(&sensors->age, rpc_time(sensors->instance), last, patience);
}

static void sensor_log_loaded(const struct sensors *sensors, const struct loading *loading)
{
    char buffer[64];
    const char *path = sensor_end_of(loading->path);
    if (loading->more)
        rpc_log(sensors->instance, RPC_LOG_WARNING,
                "%s has more sensors than max_sensors allows: %zu are remembered", path, loading->max);
    if (loading->exposure)
        rpc_log(
            sensors->instance, RPC_LOG_WARNING,
            "other users may read or write %s or the files beside it, and their rights cannot be taken: %s",
            path, strerror_r(loading->exposure, buffer, sizeof buffer));
    const size_t size = strlen(loading->path), asked = strlen(sensors->options->db);
    if (size < asked || strcmp(loading->path + size - asked, sensors->options->db) != 0)
        rpc_log(sensors->instance, RPC_LOG_NOTICE,
                "the readings are in %s, since another prefix has taken %s", path,
                sensor_end_of(sensors->options->db));
}

static void sensor_load_later(rpc_instance *instance, void *state, void *data);

static rpc_status sensor_end_load(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct sensors *sensors = state;
    struct loading *loading = data;
    (void)call, (void)result;
    sensors->loaded = loading->loaded;
    sensors->why_not_loaded = loading->failure;
    if (loading->loaded) {
        sensor_start_age(sensors, loading->last);
        sensor_take_loaded(sensors, loading);
        sensor_log_loaded(sensors, loading);
    } else {
        if (outcome == RPC_OK)
            sensor_log_failure(sensors, &loading->failure, "the sensors could not be read");
        rpc_after(sensors->instance, RELOAD_MS, sensor_load_later, NULL);
    }
    sensor_free_loaded(loading);
    return RPC_OK;
}

static void sensor_load_later(rpc_instance *instance, void *state, void *data)
{
    struct sensors *sensors = state;
    (void)data;
    if (rpc_background(instance, "writing", sensor_load, sensor_end_load, &sensors->loading) != RPC_PENDING)
        rpc_after(instance, RELOAD_MS, sensor_load_later, NULL);
}

/* ---- Deleting old readings ---- */

static bool sensor_note_removed(void *data, const char *sensor, size_t size)
{
    struct pruning *pruning = data;
    char *removed = realloc(pruning->removed, pruning->size + size + 1);
    if (!removed)
        return false;
    pruning->removed = removed;
    memcpy(removed + pruning->size, sensor, size);
    pruning->size += size + 1;
    removed[pruning->size - 1] = '\0';
    return true;
}

static void sensor_prune(rpc_job *job, void *data)
{
    struct pruning *pruning = data;
    (void)job;
    pruning->size = 0;
    pruning->pruned = store_prune(pruning->store, &pruning->limits, &pruning->more, &pruning->failure);
}

static rpc_status sensor_end_prune(rpc_call *call, void *state, void *data, rpc_status outcome, void *result);

static void sensor_start_pruning(struct sensors *sensors)
{
    sensors->pruning_runs = rpc_background(sensors->instance, "writing", sensor_prune, sensor_end_prune,
                                           &sensors->pruning) == RPC_PENDING;
}

/* Starts a new job for the rest, so that other jobs of the lane can run in between. */
static rpc_status sensor_end_prune(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct sensors *sensors = state;
    struct pruning *pruning = data;
    (void)call, (void)result;
    sensors->pruning_runs = false;
    for (size_t at = 0; pruning->pruned && at < pruning->size; at += strlen(pruning->removed + at) + 1)
        table_forget(&sensors->table, pruning->removed + at);
    free(pruning->removed);
    pruning->removed = NULL;
    pruning->size = 0;
    if (outcome != RPC_OK)
        return outcome;
    if (!pruning->pruned)
        sensor_log_failure(sensors, &pruning->failure, "old readings could not be deleted");
    else if (pruning->more)
        sensor_start_pruning(sensors);
    return RPC_OK;
}

static uint32_t sensor_prune_seconds(const struct sensors *sensors)
{
    const int64_t tenth = sensors->options->keep_age / 10;
    const int64_t seconds = tenth == 0 && sensors->options->keep_age ? 1 : tenth;
    return (uint32_t)(seconds && seconds < PRUNE_S ? seconds : PRUNE_S);
}

static void sensor_begin_pruning(rpc_instance *instance, void *state, void *data)
{
    struct sensors *sensors = state;
    const int64_t age = sensors->options->keep_age;
    const double clock = rpc_time(instance);
    (void)data;
    const bool is_ahead = age_tick(&sensors->age, clock, sensor_prune_seconds(sensors));
    const double now = age_now(&sensors->age, clock);
    if (is_ahead && clock - now > NOTICE_S)
        rpc_log(instance, RPC_LOG_NOTICE,
                "the clock is %.0f s ahead of the last reading and of the time since: until it has run "
                "evenly for "
                "%.0f s, nothing is too old by it",
                clock - now, sensors->age.patience);
    if (sensors->pruning_runs || !sensors->loaded)
        return;
    sensors->pruning.limits = (struct store_limits){
        .oldest = age ? now - (double)age : -INFINITY,
        .now = now,
        .keep = sensors->options->keep_count,
        .rows = PRUNE_ROWS,
        .removed = sensor_note_removed,
        .data = &sensors->pruning,
    };
    sensor_start_pruning(sensors);
}

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
    sensor_start_age(sensors, NAN);
    if (!sensor_open_stores(sensors))
        return RPC_INTERNAL_ERROR;
    sensor_load(NULL, &sensors->loading);
    sensor_end_load(NULL, sensors, &sensors->loading, RPC_OK, NULL);
    const uint32_t interval = (uint32_t)sensors->options->interval * 1000;
    const bool announces = !interval || rpc_every(instance, interval, sensor_announce_average, NULL).id;
    const uint32_t pause = 1000 * sensor_prune_seconds(sensors);
    return announces && rpc_every(instance, pause, sensor_begin_pruning, NULL).id ? RPC_OK
                                                                                  : RPC_INTERNAL_ERROR;
}

static void sensor_fini(void *state)
{
    struct sensors *sensors = state;
    if (sensors->history != sensors->store)
        store_close(sensors->history);
    store_close(sensors->store);
    sensor_free_loaded(&sensors->loading);
    free(sensors->pruning.removed);
    table_clear(&sensors->table);
}

static const rpc_event events[] = {
    {.name = "sensorUpdated", .doc = "a reading was stored", .data = &updated_shape},
    {.name = "sensorUpdateFailed", .doc = "updateSensor failed, and its caller asked for no reply"},
    {.name = "sensorForgotten",
     .doc = "a sensor and its readings were deleted, by forgetSensor or to make room for a new sensor",
     .data = &which_shape},
    {.name = "temperature",
     .doc = "the average of the sensors that have reported within sensor_window, every sensor_interval",
     .data = &average_shape,
     .retained = true},
};

#define STORAGE_FAILED                                                                     \
    {                                                                                      \
        .code = "storage_failed", .doc = "the database could not be used; `msg` says why", \
        .data = &failed_shape                                                              \
    }

static const rpc_error update_errors[] = {
    {.code = "out_of_range", .doc = "the temperature is below absolute zero", .data = &which_shape},
    {.code = "too_many_sensors",
     .doc = "the sensor is new, and its client has sensor_max_per_client sensors, or there are "
            "sensor_max_sensors, and none has been silent for sensor_max_silence; `msg` says which",
     .data = &which_shape},
    STORAGE_FAILED,
};

static const rpc_error get_errors[] = {
    {.code = "unknown_sensor", .doc = "the sensor has no reading", .data = &which_shape},
    STORAGE_FAILED,
};

static const rpc_error storage_errors[] = {STORAGE_FAILED};

static const rpc_method methods[] = {
    {
        .name = "updateSensor",
        .doc = "Stores a reading of a sensor. The reply says that the reading is in the database.",
        .params = &update_shape,
        .result = &updated_shape,
        .errors = RPC_TABLE(update_errors),
        .event = "sensorUpdated",
        .announce = RPC_ANNOUNCE_ALWAYS,
        .error_event = "sensorUpdateFailed",
        .run = sensor_update,
        .work = sensor_store_reports,
        .done = sensor_end_update,
        .must_finish = true,
    },
    {
        .name = "getSensor",
        .doc = "Returns the last reading of a sensor.",
        .read_only = true,
        .params = &which_shape,
        .result = &reading_shape,
        .errors = RPC_TABLE(get_errors),
        .run = sensor_get,
    },
    {
        .name = "listSensors",
        .doc = "Returns the last readings of all sensors.",
        .read_only = true,
        .result = &list_shape,
        .errors = RPC_TABLE(storage_errors),
        .run = sensor_list,
    },
    {
        .name = "sensorHistory",
        .doc = "Returns the readings of a sensor in a time range, those that were stored last.",
        .read_only = true,
        .params = &history_params_shape,
        .result = &history_shape,
        .errors = RPC_TABLE(get_errors),
        .run = sensor_history,
        .work = sensor_look_up,
        .done = sensor_end_history,
    },
    {
        .name = "forgetSensor",
        .doc =
            "Deletes a sensor and all its readings, whoever has reported it. The reply says that they are no "
            "longer in the database.",
        .idempotent = true,
        .params = &which_shape,
        .result = &forgotten_shape,
        .errors = RPC_TABLE(storage_errors),
        .run = sensor_forget,
        .work = sensor_delete,
        .done = sensor_end_forget,
        .must_finish = true,
    },
};

RPC_MODULE(sensor, .doc = "Temperature sensors: their last readings, their history and their average.",
           .state_size = sizeof(struct sensors), .options = &options_shape, .methods = RPC_TABLE(methods),
           .events = RPC_TABLE(events), .init = sensor_init, .fini = sensor_fini);

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Temperature sensors. Devices report with updateSensor, which answers when the reading is in the database;
 * everybody else asks, or listens to sensorUpdated and to the average that is told every so often.
 *
 * The database (sensor/store.h) is used by workers alone, each of its two connections in a lane of its own:
 * one writes, and commits what waits as one group, the other reads the history meanwhile. The last readings
 * are also in memory (sensor/table.h), which is the broker's thread's.
 */
#include "sensor/store.h"
#include "sensor/table.h"

#include <math.h>
#include <mosquitto_rpc.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUSY_MS = 2000,     /* to wait for others that have the database locked */
    GROUP_MAX = 256,    /* readings in one transaction */
    HISTORY_MAX = 1000, /* readings in one answer */
    PRUNE_S = 60,       /* between two looks at what is too old, or a tenth of keep_age if that is less */
    PRUNE_ROWS = 2000,  /* readings that are deleted in one go, while others wait */
    RELOAD_MS = 5000,   /* between two attempts to read what could not be read at the start */
    DAY = 86400
};

/* The order is what the database has kept. */
static const char *const units[] = {[CELSIUS] = "C", [FAHRENHEIT] = "F", [KELVIN] = "K", [UNITS] = NULL};
static const double absolute_zero[] = {[CELSIUS] = -273.15, [FAHRENHEIT] = -459.67, [KELVIN] = 0};

struct options {
    const char *db;
    int32_t max_sensors, interval, window, keep_count;
    int64_t keep_age;
};

/* Work without a call that there is at most one of at a time; its data lies in the state. */
struct loading {
    struct store *store;
    struct store_reading *readings; /* of malloc(), their texts too */
    size_t count, room, max;
    bool more; /* than there is room for */
    bool no_memory;
    bool loaded;
    struct store_failure failure;
};

struct pruning {
    struct store *store;
    struct store_limits limits;
    bool pruned, more;
    struct store_failure failure;
};

struct sensors {
    rpc_instance *instance;
    const struct options *options;
    struct table table;
    struct store *store, *history; /* the same one for a database in memory, which has but one connection */
    bool loaded;                   /* what the database knew is in the table */
    bool pruning_runs;
    struct store_failure why_not; /* not loaded */
    bool averaged;                /* the last average told was that of some sensors, or may have been */
    struct loading loading;
    struct pruning pruning;
};

/* ---- Options ---- */

static const rpc_field option_fields[] = {
    RPC_STRING(struct options, db,
               .doc = "file of the database; `:memory:` keeps nothing beyond the broker's end",
               .default_json = "\"sensors.db\"", .length = {1, 4096}),
    RPC_INT32(
        struct options, max_sensors,
        .doc = "the most sensors that are remembered; listSensors takes some 150 bytes of max_reply for each",
        .default_json = "400", .range = {1, SENSORS_MAX}),
    RPC_INT32(struct options, interval, .doc = "time between two announcements of the average; 0: none",
              .unit = "s", .default_json = "60", .range = {0, DAY}),
    RPC_INT32(struct options, window,
              .doc = "how long ago a sensor may have reported to count in the average", .unit = "s",
              .default_json = "300", .range = {1, 30 * DAY}),
    RPC_INT64(struct options, keep_age,
              .doc = "how long readings are kept, and sensors that report no more; 0: for ever", .unit = "s",
              .default_json = "2592000", .range = {0, INT64_C(3153600000)}),
    RPC_INT32(struct options, keep_count, .doc = "how many readings are kept of each sensor",
              .default_json = "10000", .range = {1, 100000000}),
};

static const rpc_shape options_shape = RPC_OBJECT_SHAPE(struct options, option_fields);

/* ---- Shapes ---- */

#define SENSOR_ID(type) RPC_STRING(type, sensor_id, .doc = "the sensor", .length = {1, SENSOR_CHARACTERS})

struct update {
    const char *sensor_id;
    double value;
    enum unit unit;
};

static const rpc_field update_fields[] = {
    SENSOR_ID(struct update),
    RPC_DOUBLE(struct update, value, .doc = "the temperature"),
    RPC_CHOICE(struct update, unit, .doc = "Celsius, Fahrenheit or Kelvin", .choices = units,
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
    RPC_DOUBLE(struct updated, value, .doc = "the temperature, as it was reported"),
    RPC_BOOL(struct updated, ok, .doc = "always true"),
};

static const rpc_shape updated_shape = RPC_OBJECT_SHAPE(struct updated, updated_fields);

struct which {
    const char *sensor_id;
};

static const rpc_field which_fields[] = {SENSOR_ID(struct which)};

static const rpc_shape which_shape = RPC_OBJECT_SHAPE(struct which, which_fields);

struct reading {
    const char *sensor_id;
    double value;
    enum unit unit;
    double time;
};

static const rpc_field reading_fields[] = {
    SENSOR_ID(struct reading),
    RPC_DOUBLE(struct reading, value, .doc = "the last temperature that it reported"),
    RPC_CHOICE(struct reading, unit, .doc = "Celsius, Fahrenheit or Kelvin", .choices = units),
    RPC_DOUBLE(struct reading, time, .doc = "when it did, Unix time", .unit = "s"),
};

static const rpc_shape reading_shape = RPC_OBJECT_SHAPE(struct reading, reading_fields);

struct list {
    const struct reading *sensors;
    size_t count;
};

static const rpc_field list_fields[] = {
    RPC_OBJECT_ARRAY(struct list, sensors, count, struct reading,
                     .doc = "what getSensor answers, for each sensor, in the order of their first readings",
                     .items = {0, SENSORS_MAX}, .shape = &reading_shape),
};

static const rpc_shape list_shape = RPC_OBJECT_SHAPE(struct list, list_fields);

struct failed {
    enum store_cause cause;
};

static const rpc_field failed_fields[] = {
    RPC_CHOICE(struct failed, cause, .doc = "what is wrong with the database", .choices = store_cause_names),
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
    RPC_DOUBLE(struct history_params, from, .doc = "no readings before this, Unix time", .unit = "s",
               .optional = true, .flag = RPC_FLAG(struct history_params, has_from)),
    RPC_DOUBLE(struct history_params, to, .doc = "no readings after this, Unix time", .unit = "s",
               .optional = true, .flag = RPC_FLAG(struct history_params, has_to)),
    RPC_INT32(struct history_params, limit, .doc = "the newest so many of them", .default_json = "100",
              .range = {1, HISTORY_MAX}),
};

static const rpc_shape history_params_shape = RPC_OBJECT_SHAPE(struct history_params, history_params_fields);

struct point {
    double time, value;
    enum unit unit;
};

static const rpc_field point_fields[] = {
    RPC_DOUBLE(struct point, time, .doc = "when it was reported, Unix time", .unit = "s"),
    RPC_DOUBLE(struct point, value, .doc = "the temperature"),
    RPC_CHOICE(struct point, unit, .doc = "Celsius, Fahrenheit or Kelvin", .choices = units),
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
    RPC_OBJECT_ARRAY(struct history, readings, count, struct point, .doc = "the readings, the oldest first",
                     .items = {0, HISTORY_MAX}, .shape = &point_shape),
    RPC_BOOL(struct history, more, .doc = "there are older ones within the time that was asked for"),
};

static const rpc_shape history_shape = RPC_OBJECT_SHAPE(struct history, history_fields);

struct average {
    double temp;
    bool has_temp;
    const char *unit, *source;
    int32_t sensors;
};

static const rpc_field average_fields[] = {
    RPC_DOUBLE(struct average, temp, .doc = "the average; null: no sensor reports any more", .nullable = true,
               .flag = RPC_FLAG(struct average, has_temp)),
    RPC_STRING(struct average, unit, .doc = "always C", .length = {1, 1}),
    RPC_STRING(struct average, source, .doc = "always all_sensors", .length = {1, 32}),
    RPC_INT32(struct average, sensors, .doc = "how many sensors it is the average of"),
};

static const rpc_shape average_shape = RPC_OBJECT_SHAPE(struct average, average_fields);

/* ---- What went wrong with the database ---- */

static rpc_status raise_failure(rpc_call *call, const struct store_failure *failure, const char *what)
{
    const struct failed failed = {failure->cause};
    return rpc_raise_with(call, "storage_failed", &failed, "%s: %s", what, failure->why);
}

static void log_failure(const struct sensors *sensors, const struct store_failure *failure, const char *what)
{
    rpc_log(sensors->instance, RPC_LOG_ERROR, "%s in %s: %s", what, sensors->options->db, failure->why);
}

/* ---- updateSensor ---- */

struct report {
    struct store *store;
    struct store_reading reading;
    struct sensor *sensor;
    struct report *before; /* in its group */
    bool stored;
    struct store_failure failure;
};

/* All that wait are stored in one transaction: a disk takes as long for one as for all of them. */
static void store_reports(rpc_job *job, void *data)
{
    struct report *last = NULL, *report = data;
    struct store *store = report->store;
    struct store_failure failure;
    store_begin(store, &failure);
    for (int count = 1; report; count++) {
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

static rpc_status check_value(rpc_call *call, const struct update *given)
{
    if (given->value >= absolute_zero[given->unit])
        return RPC_OK;
    const struct which which = {given->sensor_id};
    return rpc_raise_with(call, "out_of_range", &which, "%.15g %s is below absolute zero", given->value,
                          units[given->unit]);
}

static rpc_status refuse_new(rpc_call *call, const struct sensors *sensors, const struct update *given)
{
    const struct which which = {given->sensor_id};
    return rpc_raise_with(call, "too_many_sensors", &which, "%zu sensors are known, and that is the most",
                          sensors->table.max);
}

static rpc_status start_report(rpc_call *call, struct sensors *sensors, const struct update *given,
                               struct sensor *sensor)
{
    struct report *report = rpc_alloc(call, sizeof *report);
    if (!report)
        return RPC_INTERNAL_ERROR;
    *report = (struct report){
        .store = sensors->store,
        .sensor = sensor,
        .reading = {given->sensor_id, strlen(given->sensor_id), given->value, rpc_call_time(call),
                    (int)given->unit},
    };
    return rpc_start(call, "writing", report);
}

static rpc_status update_sensor(rpc_call *call, void *state, const void *params, void *result)
{
    struct sensors *sensors = state;
    const struct update *given = params;
    (void)result;
    rpc_status status = check_value(call, given);
    if (status != RPC_OK)
        return status;
    bool full;
    struct sensor *sensor = table_expect(&sensors->table, given->sensor_id, &full);
    if (!sensor)
        return full ? refuse_new(call, sensors, given) : RPC_INTERNAL_ERROR;
    status = start_report(call, sensors, given, sensor);
    if (status != RPC_PENDING)
        table_give_up(&sensors->table, sensor);
    return status;
}

/* A reading that was stored is the sensor's last one, and news, also when its sender does not wait any more.
 */
static rpc_status end_update(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct sensors *sensors = state;
    const struct report *report = data;
    const struct store_reading *reading = &report->reading;
    struct updated *updated = result;
    if (report->stored)
        table_take(&sensors->table, report->sensor, reading->value, (enum unit)reading->unit, reading->time);
    else
        table_give_up(&sensors->table, report->sensor);
    if (report->failure.why[0])
        log_failure(sensors, &report->failure, "a reading was not stored");
    if (!report->stored)
        return outcome == RPC_OK ? raise_failure(call, &report->failure, "the reading was not stored")
                                 : outcome;
    *updated = (struct updated){reading->sensor, reading->value, true};
    if (outcome != RPC_OK)
        rpc_announce(sensors->instance, call, "sensorUpdated", updated);
    return RPC_OK;
}

/* ---- getSensor, listSensors ---- */

static struct reading reading_of(const struct sensor *sensor)
{
    return (struct reading){sensor->id, sensor->value, sensor->unit, sensor->time};
}

static rpc_status raise_unknown(rpc_call *call, const struct sensors *sensors, const char *id)
{
    const struct which which = {id};
    if (!sensors->loaded)
        return raise_failure(call, &sensors->why_not, "the sensors could not be read so far");
    return rpc_raise_with(call, "unknown_sensor", &which, "no reading of this sensor has arrived");
}

static rpc_status get_sensor(rpc_call *call, void *state, const void *params, void *result)
{
    const struct sensors *sensors = state;
    const struct which *given = params;
    const struct sensor *sensor = table_find(&sensors->table, given->sensor_id);
    if (!sensor)
        return raise_unknown(call, sensors, given->sensor_id);
    *(struct reading *)result = reading_of(sensor);
    return RPC_OK;
}

static rpc_status list_sensors(rpc_call *call, void *state, const void *params, void *result)
{
    (void)params;
    const struct sensors *sensors = state;
    struct list *list = result;
    if (!sensors->loaded)
        return raise_failure(call, &sensors->why_not, "the sensors could not be read so far");
    struct reading *readings = rpc_alloc(call, sensors->table.known * sizeof *readings);
    if (!readings)
        return RPC_INTERNAL_ERROR;
    for (const struct sensor *sensor = sensors->table.sensors; sensor; sensor = sensor->hh.next) {
        if (sensor->known)
            readings[list->count++] = reading_of(sensor);
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

static void look_up(rpc_job *job, void *data)
{
    struct question *question = data;
    if (rpc_is_wanted(job))
        question->answered =
            store_history(question->store, &question->query, &question->answer, &question->failure);
}

static struct store_query query_of(const struct history_params *given)
{
    return (struct store_query){
        .sensor = given->sensor_id,
        .size = strlen(given->sensor_id),
        .from = given->has_from ? given->from : -INFINITY,
        .to = given->has_to ? given->to : INFINITY,
        .limit = (size_t)given->limit,
    };
}

static rpc_status sensor_history(rpc_call *call, void *state, const void *params, void *result)
{
    const struct sensors *sensors = state;
    const struct history_params *given = params;
    (void)result;
    if (!table_find(&sensors->table, given->sensor_id))
        return raise_unknown(call, sensors, given->sensor_id);
    struct question *question = rpc_alloc(call, sizeof *question);
    struct store_point *points = rpc_alloc(call, (size_t)given->limit * sizeof *points);
    if (!question || !points)
        return RPC_INTERNAL_ERROR;
    question->store = sensors->history;
    question->query = query_of(given);
    question->answer.points = points;
    return rpc_start(call, sensors->history == sensors->store ? "writing" : "reading", question);
}

/* A unit that this version does not know is none that it has written. */
static struct point point_of(const struct store_point *stored)
{
    const bool known = stored->unit >= 0 && stored->unit < UNITS;
    return (struct point){stored->time, stored->value, known ? (enum unit)stored->unit : CELSIUS};
}

static rpc_status end_history(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    const struct question *question = data;
    struct history *history = result;
    if (outcome != RPC_OK)
        return outcome;
    if (!question->answered) {
        log_failure(state, &question->failure, "readings could not be looked up");
        return raise_failure(call, &question->failure, "the readings could not be looked up");
    }
    struct point *points = rpc_alloc(call, question->answer.count * sizeof *points);
    if (!points)
        return RPC_INTERNAL_ERROR;
    for (size_t i = 0; i < question->answer.count; i++)
        points[i] = point_of(&question->answer.points[i]);
    *history =
        (struct history){question->query.sensor, points, question->answer.count, question->answer.more};
    return RPC_OK;
}

/* ---- The average ---- */

/*
 * That no sensor reports any more is told once, so that the retained average is not taken for a new one. It
 * may be that of an earlier broker, which has stored its retained messages.
 */
static void tell_average(rpc_instance *instance, void *state, void *data)
{
    struct sensors *sensors = state;
    size_t count;
    (void)data;
    const double oldest = rpc_time(instance) - sensors->options->window;
    const double temp = table_average(&sensors->table, oldest, &count);
    const struct average average = {temp, count > 0, "C", "all_sensors", (int32_t)count};
    if (count || sensors->averaged)
        rpc_announce(instance, NULL, "temperature", &average);
    sensors->averaged = count > 0;
}

/* ---- What the database knew before ---- */

static bool grow(struct loading *loading)
{
    if (loading->count < loading->room)
        return true;
    const size_t room = loading->room ? 2 * loading->room : 64;
    struct store_reading *readings = realloc(loading->readings, room * sizeof *readings);
    if (!readings)
        return false;
    loading->readings = readings;
    loading->room = room;
    return true;
}

/* Others may have written into the file, too. */
static bool is_ours(const struct store_reading *last)
{
    return last->size && last->size < SENSOR_BYTES && !memchr(last->sensor, '\0', last->size) &&
           last->unit >= 0 && last->unit < UNITS;
}

static bool copy_one(struct loading *loading, const struct store_reading *last)
{
    char *id = grow(loading) ? malloc(last->size + 1) : NULL;
    if (!id)
        return false;
    memcpy(id, last->sensor, last->size);
    id[last->size] = '\0';
    loading->readings[loading->count] = *last;
    loading->readings[loading->count++].sensor = id;
    return true;
}

static bool load_one(void *data, const struct store_reading *last)
{
    struct loading *loading = data;
    if (!is_ours(last))
        return true;
    loading->more = loading->count == loading->max;
    loading->no_memory = !loading->more && !copy_one(loading, last);
    return !loading->more && !loading->no_memory;
}

static void load(rpc_job *job, void *data)
{
    struct loading *loading = data;
    (void)job;
    loading->more = loading->no_memory = false;
    loading->loaded = store_load(loading->store, load_one, loading, &loading->failure);
    if (!loading->loaded || !loading->no_memory)
        return;
    loading->loaded = false;
    loading->failure = (struct store_failure){STORE_NO_MEMORY, "out of memory"};
}

static void free_loaded(struct loading *loading)
{
    for (size_t i = 0; i < loading->count; i++)
        free((char *)(uintptr_t)loading->readings[i].sensor);
    free(loading->readings);
    loading->readings = NULL;
    loading->count = loading->room = 0;
}

/* What has been reported since is newer. */
static void take_loaded(struct sensors *sensors, const struct store_reading *reading)
{
    bool full;
    if (table_find(&sensors->table, reading->sensor))
        return;
    struct sensor *sensor = table_expect(&sensors->table, reading->sensor, &full);
    if (sensor)
        table_take(&sensors->table, sensor, reading->value, (enum unit)reading->unit, reading->time);
}

static rpc_status end_load(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct sensors *sensors = state;
    struct loading *loading = data;
    (void)call, (void)result;
    sensors->loaded = loading->loaded;
    sensors->why_not = loading->failure;
    if (!loading->loaded && outcome == RPC_OK)
        log_failure(sensors, &loading->failure, "the sensors could not be read");
    if (loading->loaded && loading->more)
        rpc_log(sensors->instance, RPC_LOG_WARNING,
                "%s has more sensors than max_sensors allows: %zu are remembered", sensors->options->db,
                loading->max);
    for (size_t i = 0; loading->loaded && i < loading->count; i++)
        take_loaded(sensors, &loading->readings[i]);
    free_loaded(loading);
    return RPC_OK;
}

static void load_later(rpc_instance *instance, void *state, void *data);

static void load_again(struct sensors *sensors)
{
    if (!sensors->loaded)
        rpc_after(sensors->instance, RELOAD_MS, load_later, NULL);
}

static rpc_status end_load_again(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    end_load(call, state, data, outcome, result);
    load_again(state);
    return RPC_OK;
}

static void load_later(rpc_instance *instance, void *state, void *data)
{
    struct sensors *sensors = state;
    (void)data;
    if (rpc_background(instance, "writing", load, end_load_again, &sensors->loading) != RPC_PENDING)
        load_again(sensors);
}

/* ---- What is too old ---- */

static void prune(rpc_job *job, void *data)
{
    struct pruning *pruning = data;
    (void)job;
    pruning->pruned = store_prune(pruning->store, &pruning->limits, &pruning->more, &pruning->failure);
}

static rpc_status end_prune(rpc_call *call, void *state, void *data, rpc_status outcome, void *result);

static void start_pruning(struct sensors *sensors)
{
    sensors->pruning_runs =
        rpc_background(sensors->instance, "writing", prune, end_prune, &sensors->pruning) == RPC_PENDING;
}

/* Others have their turn between two goes. */
static rpc_status end_prune(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct sensors *sensors = state;
    const struct pruning *pruning = data;
    (void)call, (void)result;
    sensors->pruning_runs = false;
    if (outcome != RPC_OK)
        return outcome;
    if (!pruning->pruned)
        log_failure(sensors, &pruning->failure, "old readings could not be deleted");
    else if (pruning->more)
        start_pruning(sensors);
    else
        table_forget(&sensors->table, pruning->limits.oldest);
    return RPC_OK;
}

static void prune_now(rpc_instance *instance, void *state, void *data)
{
    struct sensors *sensors = state;
    const int64_t age = sensors->options->keep_age;
    (void)data;
    if (sensors->pruning_runs || !sensors->loaded)
        return;
    sensors->pruning.limits = (struct store_limits){
        .oldest = age ? rpc_time(instance) - (double)age : -INFINITY,
        .keep = sensors->options->keep_count,
        .rows = PRUNE_ROWS,
    };
    start_pruning(sensors);
}

static uint32_t prune_interval(const struct sensors *sensors)
{
    const int64_t tenth = sensors->options->keep_age / 10;
    const int64_t seconds = tenth == 0 && sensors->options->keep_age ? 1 : tenth;
    return 1000 * (uint32_t)(seconds && seconds < PRUNE_S ? seconds : PRUNE_S);
}

/* ---- The module ---- */

static bool open_stores(struct sensors *sensors)
{
    const char *path = sensors->options->db, *prefix = rpc_prefix(sensors->instance);
    sensors->store = store_new(path, prefix, BUSY_MS);
    sensors->history = strcmp(path, ":memory:") == 0 ? sensors->store : store_new(path, prefix, BUSY_MS);
    sensors->loading.store = sensors->pruning.store = sensors->store;
    sensors->loading.max = sensors->table.max;
    return sensors->store && sensors->history;
}

/* A database that cannot be used is no reason to stop the broker: callers are told, and it may be mended. */
static rpc_status init(rpc_instance *instance, void *state, const void *options)
{
    struct sensors *sensors = state;
    sensors->instance = instance;
    sensors->options = options;
    sensors->averaged = true;
    sensors->table.max = (size_t)sensors->options->max_sensors;
    if (!open_stores(sensors))
        return RPC_INTERNAL_ERROR;
    load(NULL, &sensors->loading);
    end_load_again(NULL, sensors, &sensors->loading, RPC_OK, NULL);
    const uint32_t interval = (uint32_t)sensors->options->interval * 1000;
    const bool tells = !interval || rpc_every(instance, interval, tell_average, NULL);
    return tells && rpc_every(instance, prune_interval(sensors), prune_now, NULL) ? RPC_OK
                                                                                  : RPC_INTERNAL_ERROR;
}

static void fini(void *state)
{
    struct sensors *sensors = state;
    if (sensors->history != sensors->store)
        store_close(sensors->history);
    store_close(sensors->store);
    free_loaded(&sensors->loading);
    table_clear(&sensors->table);
}

static const rpc_event events[] = {
    {.name = "sensorUpdated", .doc = "a sensor has reported a temperature", .data = &updated_shape},
    {.name = "sensorUpdateFailed", .doc = "a reading was refused, and its sender had asked for no reply"},
    {.name = "temperature",
     .doc = "the average of the sensors that have reported lately, every sensor_interval",
     .data = &average_shape,
     .retained = true},
    {.name = NULL},
};

#define STORAGE_FAILED                                                                   \
    {                                                                                    \
        .code = "storage_failed", .doc = "the database could not be used; msg says why", \
        .data = &failed_shape                                                            \
    }

static const rpc_error update_errors[] = {
    {.code = "out_of_range", .doc = "the temperature is below absolute zero", .data = &which_shape},
    {.code = "too_many_sensors",
     .doc = "the sensor is new, and no more are remembered",
     .data = &which_shape},
    STORAGE_FAILED,
    {.code = NULL},
};

static const rpc_error get_errors[] = {
    {.code = "unknown_sensor", .doc = "the sensor has not reported anything", .data = &which_shape},
    STORAGE_FAILED,
    {.code = NULL},
};

static const rpc_error list_errors[] = {STORAGE_FAILED, {.code = NULL}};

static const rpc_method methods[] = {
    {
        .name = "updateSensor",
        .doc = "Reports a temperature; answers when it is in the database.",
        .params = &update_shape,
        .result = &updated_shape,
        .errors = update_errors,
        .event = "sensorUpdated",
        .announce = RPC_ANNOUNCE_ALWAYS,
        .error_event = "sensorUpdateFailed",
        .run = update_sensor,
        .work = store_reports,
        .done = end_update,
        .must_finish = true,
    },
    {
        .name = "getSensor",
        .doc = "Tells the last temperature of a sensor.",
        .read_only = true,
        .params = &which_shape,
        .result = &reading_shape,
        .errors = get_errors,
        .run = get_sensor,
    },
    {
        .name = "listSensors",
        .doc = "Tells the last temperatures of all sensors.",
        .read_only = true,
        .result = &list_shape,
        .errors = list_errors,
        .run = list_sensors,
    },
    {
        .name = "sensorHistory",
        .doc = "Tells the temperatures that a sensor has reported.",
        .read_only = true,
        .params = &history_params_shape,
        .result = &history_shape,
        .errors = get_errors,
        .run = sensor_history,
        .work = look_up,
        .done = end_history,
    },
    {.name = NULL},
};

RPC_MODULE(sensor, .doc = "Temperature sensors, their last readings and the ones before.",
           .state_size = sizeof(struct sensors), .options = &options_shape, .methods = methods,
           .events = events, .init = init, .fini = fini);

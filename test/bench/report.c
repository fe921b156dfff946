// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * report.c: what the benchmark calls. `report` is the whole way of an ordinary call: parameters of several
 * kinds, an error of its own that it may raise, a look-up by name, a result that is announced. mark is for
 * counting.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#define HASH_NONFATAL_OOM 1
#include <mosquitto_rpc.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { ID_BYTES = 257, MOST = 10000 };

static const char *const units[] = {"C", "F", "K"};

struct sensor {
    char id[ID_BYTES];
    double value, time;
    UT_hash_handle hh;
};

struct sensors {
    struct sensor *table;
};

struct options {
    bool watch;
};

static const rpc_field options_fields[] = {
    RPC_BOOL(struct options, watch, .doc = "get a sign of each message", .default_json = "false")};
static const rpc_shape options_shape = RPC_OBJECT_SHAPE(struct options, options_fields);

/* ---- report ---- */

struct reading {
    const char *sensor_id;
    double value;
    int unit;
};

static const rpc_field reading_fields[] = {
    RPC_STRING(struct reading, sensor_id, .doc = "the sensor", .length = {1, 64}),
    RPC_DOUBLE(struct reading, value, .doc = "the temperature"),
    RPC_CHOICE(struct reading, unit, .doc = "its unit", .choices = RPC_TABLE(units), .default_json = "\"C\""),
};
static const rpc_shape reading_shape = RPC_OBJECT_SHAPE(struct reading, reading_fields);

struct reported {
    const char *sensor_id;
    double value;
    bool ok;
};

static const rpc_field reported_fields[] = {
    RPC_STRING(struct reported, sensor_id, .doc = "the sensor", .length = {1, 64}),
    RPC_DOUBLE(struct reported, value, .doc = "the temperature"),
    RPC_BOOL(struct reported, ok, .doc = "always true"),
};
static const rpc_shape reported_shape = RPC_OBJECT_SHAPE(struct reported, reported_fields);

static struct sensor *find_or_add(struct sensors *sensors, const char *id)
{
    struct sensor *sensor;
    HASH_FIND_STR(sensors->table, id, sensor);
    if (sensor || HASH_COUNT(sensors->table) >= MOST)
        return sensor;
    sensor = calloc(1, sizeof *sensor);
    if (!sensor)
        return NULL;
    memcpy(sensor->id, id, strlen(id) + 1);
    HASH_ADD_STR(sensors->table, id, sensor);
    if (sensor->hh.tbl)
        return sensor;
    free(sensor);
    return NULL;
}

static rpc_status report(rpc_call *call, void *state, const void *params, void *result)
{
    const struct reading *given = params;
    if (given->value < -273.15)
        return rpc_raise(call, "out_of_range", "%.15g is below absolute zero", given->value);
    struct sensor *sensor = find_or_add(state, given->sensor_id);
    if (!sensor)
        return RPC_INTERNAL_ERROR;
    sensor->value = given->value;
    sensor->time = rpc_call_time(call);
    *(struct reported *)result = (struct reported){given->sensor_id, given->value, true};
    return RPC_OK;
}

/* ---- mark ---- */

struct done {
    bool ok;
};

static const rpc_field done_fields[] = {RPC_BOOL(struct done, ok, .doc = "always true")};
static const rpc_shape done_shape = RPC_OBJECT_SHAPE(struct done, done_fields);

/* Counters that begin anew with each call of this function count what happens between two of them. */
__attribute__((noinline)) static rpc_status report_mark(rpc_call *call, void *state, const void *params,
                                                        void *result)
{
    (void)call, (void)state, (void)params;
    ((struct done *)result)->ok = true;
    return RPC_OK;
}

/* ---- The module ---- */

static void notice(rpc_instance *instance, void *state, const rpc_presence *presence)
{
    (void)instance, (void)state, (void)presence;
}

static rpc_status init(rpc_instance *instance, void *state, const void *options)
{
    (void)state;
    rpc_presence_watch(instance, ((const struct options *)options)->watch);
    return RPC_OK;
}

static void fini(void *state)
{
    struct sensors *sensors = state;
    struct sensor *sensor, *next;
    HASH_ITER(hh, sensors->table, sensor, next)
    {
        HASH_DEL(sensors->table, sensor);
        free(sensor);
    }
}

static const rpc_event events[] = {{.name = "reported", .doc = "follows every report"}};

static const rpc_error errors[] = {{.code = "out_of_range", .doc = "below absolute zero"}};

static const rpc_method methods[] = {
    {.name = "report",
     .doc = "Notes a temperature.",
     .params = &reading_shape,
     .result = &reported_shape,
     .errors = RPC_TABLE(errors),
     .event = "reported",
     .run = report},
    {.name = "mark", .doc = "Divides what is counted into parts.", .result = &done_shape, .run = report_mark},
};

RPC_MODULE(report, .doc = "What the benchmark calls.", .state_size = sizeof(struct sensors),
           .methods = RPC_TABLE(methods), .events = RPC_TABLE(events), .options = &options_shape,
           .init = init, .fini = fini, .presence = notice);

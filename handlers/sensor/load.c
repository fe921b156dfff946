// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Loading the sensors from the database: see load.h. */
#include "load.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RELOAD_MS = 5000,    /* time between two attempts */
    ANNOUNCE_MS = 10,    /* time between two parts of what is announced */
    ANNOUNCE_COUNT = 100 /* sensors in a part, so that the broker's clients do not wait for all */
};

/* Another program may have written to the file. */
static bool load_is_valid(const struct store_reading *last)
{
    return last->size && last->size < SENSOR_BYTES && !memchr(last->sensor, '\0', last->size) &&
           last->unit >= 0 && last->unit < UNITS;
}

static bool load_copy_one(struct loading *loading, const struct store_reading *last)
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
    loaded->sensor = (struct sensor){
        .value = last->value, .time = last->time, .unit = (enum unit)last->unit, .heard = last->stored};
    memset(loaded->owner, 0, sizeof loaded->owner);
    memcpy(loaded->sensor.id, last->sensor, last->size);
    memcpy(loaded->owner, last->owner, strnlen(last->owner, OWNER_BYTES - 1));
    return true;
}

static bool load_one(void *data, const struct store_reading *last)
{
    struct loading *loading = data;
    if (!load_is_valid(last))
        return true;
    loading->more = loading->count == loading->max;
    loading->no_memory = !loading->more && !load_copy_one(loading, last);
    return !loading->more && !loading->no_memory;
}

static int load_compare(const void *one, const void *other)
{
    const double first = ((const struct loaded *)one)->sensor.heard;
    const double second = ((const struct loaded *)other)->sensor.heard;
    return (first > second) - (first < second);
}

static void load_work(rpc_job *job, void *data)
{
    struct loading *loading = data;
    (void)job;
    loading->more = loading->no_memory = false;
    loading->loaded = store_load(loading->store, load_one, loading, &loading->failure) &&
                      store_last_time(loading->store, loading->max_step, &loading->last, &loading->failure);
    if (loading->count)
        qsort(loading->sensors, loading->count, sizeof *loading->sensors, load_compare);
    loading->path = store_path(loading->store);
    loading->exposure = store_exposure(loading->store);
    if (!loading->loaded || !loading->no_memory)
        return;
    loading->loaded = false;
    loading->failure = (struct store_failure){STORE_NO_MEMORY, loading->path, "out of memory"};
}

void load_free(struct loading *loading)
{
    free(loading->sensors);
    loading->sensors = NULL;
    loading->count = loading->capacity = 0;
}

/* Adds the loaded sensors to the table. One that is already in it has reported since, and keeps that reading.
 * If the clock is behind, all seem to have been heard now: then the order in which they are added says who
 * was first. */
static void load_take(struct sensors *sensors, const struct loading *loading)
{
    struct table *table = &sensors->table;
    const double now = age_now(&sensors->age, rpc_time(sensors->instance));
    for (size_t i = 0; i < loading->count; i++) {
        struct sensor *sensor = &loading->sensors[i].sensor;
        sensor->heard = fmin(sensor->heard, now);
        table_load(table, sensor, loading->sensors[i].owner);
    }
    table_sort(table);
}

/* Without loaded sensors, all is as new. */
static void load_start_age(struct sensors *sensors, double last)
{
    const struct sensor_options *options = sensors->options;
    const double patience = fmax((double)options->keep_age, options->max_silence);
    age_start(&sensors->age, rpc_time(sensors->instance), last, patience);
}

/* Announces the next sensors, in the order of their ids: a broker without persistence has lost their states.
 */
static void load_announce(rpc_instance *instance, void *state, void *data)
{
    struct sensors *sensors = state;
    const struct table *table = &sensors->table;
    size_t at = table_rank(table, sensors->announced);
    (void)data;
    for (int count = 0; at < table_size(table) && count < ANNOUNCE_COUNT; at++, count++) {
        const struct sensor *sensor = table->sorted[at];
        memcpy(sensors->announced, sensor->id, sizeof sensor->id);
        if (sensor->known)
            sensors_announce(sensors, sensor);
    }
    if (at < table_size(table))
        rpc_after(instance, ANNOUNCE_MS, load_announce, NULL);
}

static void load_log(const struct sensors *sensors, const struct loading *loading)
{
    char buffer[64];
    const char *path = sensors_end_of(loading->path);
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
                sensors_end_of(sensors->options->db));
}

static void load_again(rpc_instance *instance, void *state, void *data);

static rpc_status load_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct sensors *sensors = state;
    struct loading *loading = data;
    (void)call, (void)result;
    sensors->loaded = loading->loaded;
    sensors->why_not_loaded = loading->failure;
    if (loading->loaded) {
        sensors_note_success(sensors);
        load_start_age(sensors, loading->last);
        load_take(sensors, loading);
        load_log(sensors, loading);
        if (loading->count)
            rpc_after(sensors->instance, 0, load_announce, NULL);
    } else {
        if (outcome == RPC_OK)
            sensors_note_failure(sensors, &loading->failure, "the sensors could not be read");
        rpc_after(sensors->instance, RELOAD_MS, load_again, NULL);
    }
    load_free(loading);
    return RPC_OK;
}

static void load_again(rpc_instance *instance, void *state, void *data)
{
    struct sensors *sensors = state;
    (void)data;
    if (rpc_background(instance, "writing", load_work, load_done, &sensors->loading) != RPC_PENDING)
        rpc_after(instance, RELOAD_MS, load_again, NULL);
}

void load_start(struct sensors *sensors)
{
    load_start_age(sensors, NAN);
    load_work(NULL, &sensors->loading);
    load_done(NULL, sensors, &sensors->loading, RPC_OK, NULL);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The last readings as others see them: see show.h. */
#include "show.h"

#include "sensors.h"

/* ---- getSensor, listSensors ---- */

struct list_asked {
    int32_t limit;
    const char *after;
};

static const rpc_field show_list_param_fields[] = {
    RPC_INT32(struct list_asked, limit, .doc = "largest number of sensors in the result",
              .default_json = "10000", .range = {1, SENSORS_MAX}),
    RPC_STRING(struct list_asked, after, .doc = "the `next` of the last page", .optional = true,
               .nullable = true, .length = {0, SENSOR_CHARACTERS}),
};

const rpc_shape show_list_params = RPC_OBJECT_SHAPE(struct list_asked, show_list_param_fields);

struct list {
    const struct reading *sensors;
    size_t count;
    const char *next;
};

static const rpc_field show_list_fields[] = {
    RPC_OBJECT_ARRAY(struct list, sensors, count, struct reading,
                     .doc = "the result of getSensor for each sensor, in the order of the ids' bytes",
                     .items = {0, SENSORS_MAX}, .shape = &sensors_reading_shape),
    RPC_STRING(struct list, next, .doc = "the `after` of the next page; null: there is none",
               .nullable = true, .length = {1, SENSOR_CHARACTERS}),
};

const rpc_shape show_list_shape = RPC_OBJECT_SHAPE(struct list, show_list_fields);

rpc_status show_get(rpc_call *call, void *state, const void *params, void *result)
{
    const struct sensors *sensors = state;
    const struct which *given = params;
    const struct sensor *sensor = table_find(&sensors->table, given->sensor_id);
    if (!sensor)
        return sensors_raise_unknown(call, sensors, given->sensor_id);
    *(struct reading *)result = sensors_reading_of(sensor);
    return RPC_OK;
}

rpc_status show_list(rpc_call *call, void *state, const void *params, void *result)
{
    const struct sensors *sensors = state;
    const struct list_asked *given = params;
    struct list *list = result;
    if (!sensors->loaded)
        return sensors_raise_failure(call, &sensors->why_not_loaded, "the sensors could not be read so far");
    const struct table *table = &sensors->table;
    const size_t limit = (size_t)given->limit < table->known ? (size_t)given->limit : table->known;
    struct reading *readings = rpc_alloc(call, limit * sizeof *readings);
    if (!readings)
        return RPC_INTERNAL_ERROR;
    for (size_t i = given->after ? table_rank(table, given->after) : 0; i < table_size(table); i++) {
        if (!table->sorted[i]->known)
            continue;
        if (list->count == limit) {
            list->next = readings[limit - 1].sensor_id;
            break;
        }
        readings[list->count++] = sensors_reading_of(table->sorted[i]);
    }
    list->sensors = readings;
    return RPC_OK;
}

/* ---- The average ---- */

struct average {
    double temp;
    bool has_temp;
    const char *unit, *source;
    int32_t sensors;
};

static const rpc_field show_average_fields[] = {
    RPC_DOUBLE(struct average, temp,
               .doc = "the average of the last readings; null: no sensor has reported within sensor_window",
               .nullable = true, .flag = RPC_FLAG(struct average, has_temp)),
    RPC_STRING(struct average, unit, .doc = "always C", .length = {1, 1}),
    RPC_STRING(struct average, source, .doc = "always all_sensors", .length = {1, 32}),
    RPC_INT32(struct average, sensors, .doc = "the number of sensors in the average"),
};

const rpc_shape show_average_shape = RPC_OBJECT_SHAPE(struct average, show_average_fields);

/*
 * When no sensor reports any more, a last event with null replaces the retained average, so that clients do
 * not take that for a new one. The retained average may be from an earlier run of a broker with persistence.
 */
void show_average(rpc_instance *instance, void *state, void *data)
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

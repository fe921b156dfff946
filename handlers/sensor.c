// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Temperature sensors: the last reading of each, in memory. Devices report with updateSensor, everybody else
 * asks or listens to sensorUpdated. How many sensors there may be is bounded, since a device that makes up
 * its id anew with each reading must not fill the gateway's memory.
 */
#include <mosquitto_rpc.h>

#define HASH_NONFATAL_OOM 1
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { ID_CHARACTERS = 64, ID_BYTES = 4 * ID_CHARACTERS + 1, SENSORS_MAX = 10000 };

enum unit { CELSIUS, FAHRENHEIT, KELVIN };
static const char *const units[] = {"C", "F", "K", NULL};
static const double absolute_zero[] = {-273.15, -459.67, 0};

struct sensor {
    char id[ID_BYTES];
    double value, time;
    enum unit unit;
    UT_hash_handle hh;
};

struct sensors {
    struct sensor *table; /* in the order of their first readings */
    unsigned most;
};

/* ---- Shapes ---- */

struct options {
    int32_t max_sensors;
};

static const rpc_field option_fields[] = {
    RPC_INT32(
        struct options, max_sensors,
        .doc = "the most sensors that are remembered; listSensors takes some 150 bytes of max_reply for each",
        .default_json = "400", .range = {1, SENSORS_MAX}),
};

static const rpc_shape options_shape = RPC_OBJECT_SHAPE(struct options, option_fields);

#define SENSOR_ID(type) RPC_STRING(type, sensor_id, .doc = "the sensor", .length = {1, ID_CHARACTERS})

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

/* ---- The table ---- */

static struct sensor *find(const struct sensors *sensors, const char *id)
{
    struct sensor *sensor;
    HASH_FIND_STR(sensors->table, id, sensor);
    return sensor;
}

static struct sensor *add(struct sensors *sensors, const char *id)
{
    struct sensor *sensor = calloc(1, sizeof *sensor);
    if (!sensor)
        return NULL;
    memcpy(sensor->id, id, strlen(id) + 1);
    HASH_ADD_STR(sensors->table, id, sensor);
    if (sensor->hh.tbl)
        return sensor;
    free(sensor);
    return NULL;
}

/* ---- updateSensor ---- */

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
    return rpc_raise_with(call, "too_many_sensors", &which, "%u sensors are known, and that is the most",
                          sensors->most);
}

static rpc_status update_sensor(rpc_call *call, void *state, const void *params, void *result)
{
    struct sensors *sensors = state;
    const struct update *given = params;
    struct updated *updated = result;
    const rpc_status status = check_value(call, given);
    if (status != RPC_OK)
        return status;

    struct sensor *sensor = find(sensors, given->sensor_id);
    if (!sensor && HASH_COUNT(sensors->table) >= sensors->most)
        return refuse_new(call, sensors, given);
    if (!sensor)
        sensor = add(sensors, given->sensor_id);
    if (!sensor)
        return RPC_INTERNAL_ERROR;
    sensor->value = given->value;
    sensor->unit = given->unit;
    sensor->time = rpc_call_time(call);
    *updated = (struct updated){given->sensor_id, given->value, true};
    return RPC_OK;
}

/* ---- getSensor, listSensors ---- */

static struct reading reading_of(const struct sensor *sensor)
{
    return (struct reading){sensor->id, sensor->value, sensor->unit, sensor->time};
}

static rpc_status get_sensor(rpc_call *call, void *state, const void *params, void *result)
{
    const struct which *given = params;
    struct reading *reading = result;
    const struct sensor *sensor = find(state, given->sensor_id);
    if (!sensor)
        return rpc_raise_with(call, "unknown_sensor", given, "no reading of this sensor has arrived");
    *reading = reading_of(sensor);
    return RPC_OK;
}

static rpc_status list_sensors(rpc_call *call, void *state, const void *params, void *result)
{
    (void)params;
    const struct sensors *sensors = state;
    struct list *list = result;
    struct reading *readings = rpc_alloc(call, HASH_COUNT(sensors->table) * sizeof *readings);
    if (!readings)
        return RPC_INTERNAL_ERROR;
    for (const struct sensor *sensor = sensors->table; sensor; sensor = sensor->hh.next)
        readings[list->count++] = reading_of(sensor);
    list->sensors = readings;
    return RPC_OK;
}

/* ---- The module ---- */

static rpc_status init(rpc_instance *instance, void *state, const void *options)
{
    (void)instance;
    struct sensors *sensors = state;
    sensors->most = (unsigned)((const struct options *)options)->max_sensors;
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

static const rpc_event events[] = {
    {.name = "sensorUpdated", .doc = "a sensor has reported a temperature"},
    {.name = "sensorUpdateFailed", .doc = "a reading was refused, and its sender had asked for no reply"},
    {.name = NULL},
};

static const rpc_error update_errors[] = {
    {.code = "out_of_range", .doc = "the temperature is below absolute zero", .data = &which_shape},
    {.code = "too_many_sensors",
     .doc = "the sensor is new, and no more are remembered",
     .data = &which_shape},
    {.code = NULL},
};

static const rpc_error get_errors[] = {
    {.code = "unknown_sensor", .doc = "the sensor has not reported anything", .data = &which_shape},
    {.code = NULL},
};

static const rpc_method methods[] = {
    {
        .name = "updateSensor",
        .doc = "Reports a temperature.",
        .params = &update_shape,
        .result = &updated_shape,
        .errors = update_errors,
        .event = "sensorUpdated",
        .announce = RPC_ALWAYS,
        .error_event = "sensorUpdateFailed",
        .run = update_sensor,
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
        .run = list_sensors,
    },
    {.name = NULL},
};

RPC_MODULE(sensor, .doc = "Temperature sensors and their last readings.",
           .state_size = sizeof(struct sensors), .options = &options_shape, .methods = methods,
           .events = events, .init = init, .fini = fini);

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What the parts of the module sensor share: see sensors.h. */
#include "sensors.h"

#include <string.h>
#include <stdio.h>
#include <unistd.h>

const char *const sensors_counted[COUNTINGS] = {
    [BY_CLIENT] = "client", [BY_USER] = "user", [BY_ADDRESS] = "address"};

const char *const sensors_units[UNITS] = {[CELSIUS] = "C", [FAHRENHEIT] = "F", [KELVIN] = "K"};

/* ---- Shapes ---- */

static const rpc_field sensors_which_fields[] = {SENSOR_ID(struct which)};

const rpc_shape sensors_which_shape = RPC_OBJECT_SHAPE(struct which, sensors_which_fields);

static const rpc_field sensors_reading_fields[] = {
    SENSOR_ID(struct reading),
    RPC_DOUBLE(struct reading, value, .doc = "its last temperature"),
    RPC_CHOICE(struct reading, unit, .doc = "Celsius, Fahrenheit or Kelvin",
               .choices = RPC_TABLE(sensors_units)),
    RPC_DOUBLE(struct reading, time,
               .doc = "when it was taken or, if the call did not say, reported, Unix time", .unit = "s"),
};

const rpc_shape sensors_reading_shape = RPC_OBJECT_SHAPE(struct reading, sensors_reading_fields);

struct reading sensors_reading_of(const struct sensor *sensor)
{
    return (struct reading){sensor->id, sensor->value, sensor->unit, sensor->time};
}

struct reading sensors_reading_of_point(const char *id, const struct store_point *stored)
{
    const bool is_known = stored->unit >= 0 && stored->unit < UNITS;
    return (struct reading){id, stored->value, is_known ? (enum unit)stored->unit : CELSIUS, stored->time};
}

void sensors_announce(const struct sensors *sensors, const struct sensor *sensor)
{
    const struct reading reading = sensors_reading_of(sensor);
    rpc_announce(sensors->instance, NULL, "sensor", &reading);
}

void sensors_retract(const struct sensors *sensors, const char *id)
{
    rpc_retract(sensors->instance, NULL, "sensor", id);
}

struct failed {
    enum store_cause cause;
};

static const rpc_field sensors_failed_fields[] = {
    RPC_CHOICE(struct failed, cause, .doc = "why the database could not be used",
               .choices = RPC_TABLE(store_cause_names)),
};

const rpc_shape sensors_failed_shape = RPC_OBJECT_SHAPE(struct failed, sensors_failed_fields);

/* ---- Failures ---- */

rpc_status sensors_raise_failure(rpc_call *call, const struct store_failure *failure, const char *what)
{
    const struct failed failed = {failure->cause};
    return rpc_raise_with(call, "storage_failed", &failed, "%s (sensor_db): %s", what, failure->why);
}

const char *sensors_end_of(const char *path)
{
    enum { SHOWN = 250 };
    const size_t size = strlen(path);
    return size > SHOWN ? path + size - SHOWN : path;
}

void sensors_note_success(const struct sensors *sensors)
{
    rpc_trouble(sensors->instance, "database", NULL);
}

void sensors_note_failure(const struct sensors *sensors, const struct store_failure *failure,
                          const char *what)
{
    char text[2 * STORE_WHY_BYTES];
    const char *path = sensors_end_of(failure->path ? failure->path : sensors->options->db);
    const char *user = geteuid() == sensors->uid && *sensors->user ? sensors->user : "without a name";
    rpc_log(sensors->instance, RPC_LOG_ERROR, "%s in %s: %s (plugin_opt_sensor_db; user %s, uid %lu)", what,
            path, failure->why, user, (unsigned long)geteuid());
    snprintf(text, sizeof text, "%s (sensor_db): %s", what, failure->why);
    rpc_trouble(sensors->instance, "database", text);
}

rpc_status sensors_raise_unknown(rpc_call *call, const struct sensors *sensors, const char *id)
{
    const struct which which = {id};
    if (!sensors->loaded)
        return sensors_raise_failure(call, &sensors->why_not_loaded, "the sensors could not be read so far");
    return rpc_raise_with(call, "unknown_sensor", &which, "no reading of this sensor has arrived");
}

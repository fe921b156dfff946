// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Sensors in memory: see table.h. */
#include "table.h"

#include <stdlib.h>
#include <string.h>

static struct sensor *find(const struct table *table, const char *id)
{
    struct sensor *sensor;
    HASH_FIND_STR(table->sensors, id, sensor);
    return sensor;
}

const struct sensor *table_find(const struct table *table, const char *id)
{
    const struct sensor *sensor = find(table, id);
    return sensor && sensor->known ? sensor : NULL;
}

static struct sensor *add(struct table *table, const char *id)
{
    struct sensor *sensor = calloc(1, sizeof *sensor);
    if (!sensor)
        return NULL;
    memcpy(sensor->id, id, strlen(id) + 1);
    HASH_ADD_STR(table->sensors, id, sensor);
    if (sensor->hh.tbl)
        return sensor;
    free(sensor);
    return NULL;
}

struct sensor *table_expect(struct table *table, const char *id, bool *full)
{
    struct sensor *sensor = find(table, id);
    *full = !sensor && HASH_COUNT(table->sensors) >= table->max;
    if (!sensor && !*full)
        sensor = add(table, id);
    if (sensor)
        sensor->expected++;
    return sensor;
}

static void remove_sensor(struct table *table, struct sensor *sensor)
{
    HASH_DEL(table->sensors, sensor);
    table->known -= sensor->known;
    free(sensor);
}

void table_take(struct table *table, struct sensor *sensor, double value, enum unit unit, double time)
{
    sensor->expected--;
    sensor->value = value;
    sensor->unit = unit;
    sensor->time = time;
    table->known += !sensor->known;
    sensor->known = true;
}

void table_give_up(struct table *table, struct sensor *sensor)
{
    sensor->expected--;
    if (!sensor->known && !sensor->expected)
        remove_sensor(table, sensor);
}

void table_forget(struct table *table, double oldest)
{
    struct sensor *sensor, *next;
    HASH_ITER(hh, table->sensors, sensor, next)
    {
        if (!sensor->expected && sensor->time < oldest)
            remove_sensor(table, sensor);
    }
}

void table_clear(struct table *table)
{
    struct sensor *sensor, *next;
    HASH_ITER(hh, table->sensors, sensor, next)
    {
        remove_sensor(table, sensor);
    }
}

static double in_celsius(const struct sensor *sensor)
{
    switch (sensor->unit) {
    case FAHRENHEIT:
        return (sensor->value - 32) / 1.8;
    case KELVIN:
        return sensor->value - 273.15;
    case CELSIUS:
    case UNITS:
        break;
    }
    return sensor->value;
}

/* Each is divided before it is added: no number of readings, however large, makes it infinite. */
double table_average(const struct table *table, double oldest, size_t *count)
{
    const struct sensor *sensor;
    double average = 0;
    *count = 0;
    for (sensor = table->sensors; sensor; sensor = sensor->hh.next) {
        if (!sensor->known || sensor->time < oldest)
            continue;
        ++*count;
        average += in_celsius(sensor) / (double)*count - average / (double)*count;
    }
    return average;
}

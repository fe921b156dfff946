// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The sensors with their last readings, in memory: see table.h. */
#include "table.h"

#include <stdlib.h>
#include <string.h>

static struct sensor *table_look_up(const struct table *table, const char *id)
{
    struct sensor *sensor;
    HASH_FIND_STR(table->sensors, id, sensor);
    return sensor;
}

const struct sensor *table_find(const struct table *table, const char *id)
{
    const struct sensor *sensor = table_look_up(table, id);
    return sensor && sensor->known ? sensor : NULL;
}

static struct sensor *table_add(struct table *table, const char *id)
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
    struct sensor *sensor = table_look_up(table, id);
    *full = !sensor && HASH_COUNT(table->sensors) >= table->max;
    if (!sensor && !*full)
        sensor = table_add(table, id);
    if (sensor)
        sensor->expected++;
    return sensor;
}

static void table_remove(struct table *table, struct sensor *sensor)
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
        table_remove(table, sensor);
}

void table_forget(struct table *table, double oldest)
{
    struct sensor *sensor, *next;
    HASH_ITER(hh, table->sensors, sensor, next)
    {
        if (!sensor->expected && sensor->time < oldest)
            table_remove(table, sensor);
    }
}

void table_clear(struct table *table)
{
    struct sensor *sensor, *next;
    HASH_ITER(hh, table->sensors, sensor, next)
    {
        table_remove(table, sensor);
    }
}

static double table_celsius(const struct sensor *sensor)
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

/* Divides each reading before adding it, so that the sum of large readings does not become infinite. */
double table_average(const struct table *table, double oldest, size_t *count)
{
    const struct sensor *sensor;
    double average = 0;
    *count = 0;
    for (sensor = table->sensors; sensor; sensor = sensor->hh.next) {
        if (!sensor->known || sensor->time < oldest)
            continue;
        ++*count;
        average += table_celsius(sensor) / (double)*count - average / (double)*count;
    }
    return average;
}

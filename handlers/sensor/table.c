// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The sensors with their last readings, in memory: see table.h. */
#include "table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

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

/* ---- The order of the ids ---- */

size_t table_size(const struct table *table)
{
    return HASH_COUNT(table->sensors);
}

/* Among the first `count` of them. */
static size_t table_rank_in(const struct table *table, const char *id, size_t count)
{
    size_t first = 0;
    while (first < count) {
        const size_t middle = first + (count - first) / 2;
        if (strcmp(table->sorted[middle]->id, id) <= 0)
            first = middle + 1;
        else
            count = middle;
    }
    return first;
}

size_t table_rank(const struct table *table, const char *id)
{
    return table_rank_in(table, id, table_size(table));
}

/* Makes room for one more. */
static bool table_grow(struct table *table)
{
    if (table_size(table) < table->capacity)
        return true;
    const size_t capacity = table->capacity ? 2 * table->capacity : 64;
    struct sensor **sorted = realloc(table->sorted, capacity * sizeof(struct sensor *));
    if (!sorted)
        return false;
    table->sorted = sorted;
    table->capacity = capacity;
    return true;
}

/* The hash table has the sensor already. */
static void table_rank_add(struct table *table, struct sensor *sensor)
{
    const size_t others = table_size(table) - 1, at = table_rank_in(table, sensor->id, others);
    memmove(&table->sorted[at + 1], &table->sorted[at], (others - at) * sizeof(struct sensor *));
    table->sorted[at] = sensor;
}

static void table_rank_remove(struct table *table, const struct sensor *sensor)
{
    const size_t after = table_rank(table, sensor->id);
    memmove(&table->sorted[after - 1], &table->sorted[after],
            (table_size(table) - after) * sizeof(struct sensor *));
}

/* ---- Owners ---- */

static struct owner *table_find_owner(const struct table *table, const char *name)
{
    char cut[OWNER_BYTES];
    struct owner *owner;
    snprintf(cut, sizeof cut, "%.*s", OWNER_BYTES - 1, name);
    HASH_FIND_STR(table->owners, cut, owner);
    return owner;
}

static struct owner *table_get_owner(struct table *table, const char *name)
{
    struct owner *owner = table_find_owner(table, name);
    if (owner || !(owner = calloc(1, sizeof *owner)))
        return owner;
    snprintf(owner->name, sizeof owner->name, "%.*s", OWNER_BYTES - 1, name);
    HASH_ADD_STR(table->owners, name, owner);
    if (owner->hh.tbl)
        return owner;
    free(owner);
    return NULL;
}

/* Removes an owner without sensors. */
static void table_drop_owner(struct table *table, struct owner *owner)
{
    if (!owner || owner->sensors)
        return;
    HASH_DEL(table->owners, owner);
    free(owner);
}

/* ---- Sensors come and go ---- */

/* Without a name, the owner is not known. */
static struct sensor *table_add(struct table *table, const char *id, const char *name)
{
    struct owner *owner = *name ? table_get_owner(table, name) : NULL;
    struct sensor *sensor = *name && !owner ? NULL : calloc(1, sizeof *sensor);
    if (sensor && table_grow(table)) {
        memcpy(sensor->id, id, strlen(id) + 1);
        HASH_ADD_STR(table->sensors, id, sensor);
        if (sensor->hh.tbl) {
            DL_APPEND(table->silent, sensor);
            table_rank_add(table, sensor);
            sensor->owner = owner;
            if (owner)
                owner->sensors++;
            return sensor;
        }
    }
    free(sensor);
    table_drop_owner(table, owner);
    return NULL;
}

static void table_remove(struct table *table, struct sensor *sensor)
{
    table_rank_remove(table, sensor);
    HASH_DEL(table->sensors, sensor);
    DL_DELETE(table->silent, sensor);
    table->known -= sensor->known;
    table->leaving -= sensor->leaving;
    if (sensor->owner)
        sensor->owner->sensors--;
    table_drop_owner(table, sensor->owner);
    free(sensor);
}

static bool table_is_full(const struct table *table)
{
    return table_size(table) - table->leaving >= table->max;
}

/* Sensors that expect a reading or are leaving are at the end of the list. NULL: none has been silent for
 * long. */
static struct sensor *table_find_leaver(const struct table *table, double now)
{
    struct sensor *first = table->silent;
    const bool is_silent =
        first && !first->expected && !first->leaving && now - first->heard > table->max_silence;
    return is_silent ? first : NULL;
}

static void table_move_back(struct table *table, struct sensor *sensor)
{
    DL_DELETE(table->silent, sensor);
    DL_APPEND(table->silent, sensor);
}

static struct sensor *table_admit(struct table *table, const char *id, const char *name, double now,
                                  struct sensor **leaver, enum table_refusal *why)
{
    const struct owner *owner = table_find_owner(table, name);
    if (owner && owner->sensors >= table->max_per_owner) {
        *why = TABLE_OWNER_FULL;
        return NULL;
    }
    struct sensor *first = table_is_full(table) ? table_find_leaver(table, now) : NULL;
    *why = TABLE_FULL;
    if (!first && table_is_full(table))
        return NULL;
    *why = TABLE_NO_MEMORY;
    struct sensor *sensor = table_add(table, id, name);
    if (!sensor || !first)
        return sensor;
    first->leaving = true;
    table->leaving++;
    table_move_back(table, first);
    *leaver = first;
    return sensor;
}

struct sensor *table_expect(struct table *table, const char *id, const char *owner, double now,
                            struct sensor **leaver, enum table_refusal *why)
{
    struct sensor *sensor = table_look_up(table, id);
    *leaver = NULL;
    *why = TABLE_LEAVING;
    if (sensor && sensor->leaving)
        return NULL;
    if (!sensor)
        sensor = table_admit(table, id, owner, now, leaver, why);
    if (!sensor)
        return NULL;
    sensor->expected++;
    sensor->heard = now;
    table_move_back(table, sensor);
    return sensor;
}

bool table_take(struct table *table, struct sensor *sensor, double value, enum unit unit, double time)
{
    const bool is_same =
        sensor->known && sensor->value == value && sensor->unit == unit && sensor->time == time;
    sensor->expected--;
    sensor->value = value;
    sensor->unit = unit;
    sensor->time = time;
    table->known += !sensor->known;
    sensor->known = true;
    return !is_same;
}

void table_give_up(struct table *table, struct sensor *sensor)
{
    sensor->expected--;
    if (!sensor->known && !sensor->expected)
        table_remove(table, sensor);
}

void table_leave(struct table *table, struct sensor *sensor)
{
    table_remove(table, sensor);
}

void table_stay(struct table *table, struct sensor *sensor)
{
    sensor->leaving = false;
    table->leaving--;
    DL_DELETE(table->silent, sensor);
    DL_PREPEND(table->silent, sensor);
}

bool table_load(struct table *table, const struct sensor *loaded, const char *owner)
{
    struct sensor *sensor = table_look_up(table, loaded->id);
    if (sensor && sensor->known)
        return true;
    if (!sensor) {
        sensor = table_is_full(table) ? NULL : table_add(table, loaded->id, owner);
        if (!sensor)
            return false;
        sensor->heard = loaded->heard;
    }
    sensor->expected++;
    table_take(table, sensor, loaded->value, loaded->unit, loaded->time);
    return true;
}

static int table_compare(const struct sensor *one, const struct sensor *other)
{
    return (one->heard > other->heard) - (one->heard < other->heard);
}

void table_sort(struct table *table)
{
    // cppcheck-suppress nullPointer ; the macro looks whether the list is empty
    DL_SORT(table->silent, table_compare);
}

void table_forget(struct table *table, const char *id)
{
    struct sensor *sensor = table_look_up(table, id);
    if (!sensor || sensor->leaving)
        return;
    table->known -= sensor->known;
    sensor->known = false;
    if (!sensor->expected)
        table_remove(table, sensor);
}

void table_clear(struct table *table)
{
    struct sensor *sensor, *next;
    HASH_ITER(hh, table->sensors, sensor, next)
    {
        table_remove(table, sensor);
    }
    free(table->sorted);
    table->sorted = NULL;
    table->capacity = 0;
}

/* ---- The average ---- */

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
double table_average(const struct table *table, double now, double window, size_t *count)
{
    const struct sensor *sensor;
    double average = 0;
    *count = 0;
    for (sensor = table->sensors; sensor; sensor = sensor->hh.next) {
        if (!sensor->known || fabs(now - sensor->time) > window)
            continue;
        ++*count;
        average += table_celsius(sensor) / (double)*count - average / (double)*count;
    }
    return average;
}

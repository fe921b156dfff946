// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The sensors that are known, with their last readings, in memory: what is asked most is answered from here.
 * How many there may be is bounded, since a device that makes up its id anew with each reading must not fill
 * the gateway's memory.
 *
 * A sensor whose first reading is on its way to the database is expected, and has its place already, but
 * nobody is shown it. Thread: the broker's.
 */
#ifndef SENSOR_TABLE_H
#define SENSOR_TABLE_H

#define HASH_NONFATAL_OOM 1

#include <stdbool.h>
#include <stddef.h>
#include <uthash.h>

enum { SENSOR_CHARACTERS = 64, SENSOR_BYTES = 4 * SENSOR_CHARACTERS + 1, SENSORS_MAX = 10000 };

enum unit { CELSIUS, FAHRENHEIT, KELVIN, UNITS };

struct sensor {
    char id[SENSOR_BYTES];
    double value, time; /* of its last reading; in its unit, Unix time in seconds */
    enum unit unit;
    bool known;        /* it has a reading */
    unsigned expected; /* readings that are on their way; as long as there are some, it stays where it is */
    UT_hash_handle hh;
};

/* All zero but for `most`: empty. */
struct table {
    struct sensor *sensors; /* in the order in which they were added */
    size_t known;
    size_t max; /* set by its owner */
};

/* NULL: there is none of this id, or only an expected one. */
const struct sensor *table_find(const struct table *table, const char *id);

/* The sensor, expected if it was not known. NULL: there is no room (*full is true), or no memory. */
struct sensor *table_expect(struct table *table, const char *id, bool *full);

/* What was expected has come, or will not; then a sensor that has no reading and expects none is gone. */
void table_take(struct table *table, struct sensor *sensor, double value, enum unit unit, double time);
void table_give_up(struct table *table, struct sensor *sensor);

/* Removes the sensors whose last reading is older than this, Unix time, and that expect none. */
void table_forget(struct table *table, double oldest);

void table_clear(struct table *table);

/* The average in Celsius of the last readings that are not older than this; *count tells how many. */
double table_average(const struct table *table, double oldest, size_t *count);

#endif

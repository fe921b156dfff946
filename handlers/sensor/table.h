// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The sensors with their last readings, in memory, so that getSensor and listSensors need no database. A
 * limit bounds their number, since a device that invents a new id for each reading must not fill the memory.
 *
 * A sensor whose first reading is still being written to the database is in the table and counts towards the
 * limit, but is not known yet: table_find() does not return it.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a table is embedded in its owner, owns its sensors and copies their ids. A pointer to a sensor
 * is valid while a reading of it is expected; without one, until the next function that changes the table.
 *
 * Failure: only table_expect() can fail; then the table is unchanged.
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
    double value, time; /* of its last reading: in its unit, and Unix time in seconds */
    enum unit unit;
    bool known;        /* it has a reading */
    unsigned expected; /* readings that are being written; a sensor that expects some is not removed */
    UT_hash_handle hh;
};

/* All zero but for max: an empty table. */
struct table {
    struct sensor *sensors; /* in the order in which they were added */
    size_t known;           /* how many of them are known */
    size_t max;             /* the limit, set by the table's owner */
};

/* The known sensor with this id; NULL: there is none. */
const struct sensor *table_find(const struct table *table, const char *id);

/* Expects a reading of a sensor, which is added if the table does not have it. Returns NULL if the table is
 * full
 * (*full is true), or if there is no memory. */
struct sensor *table_expect(struct table *table, const char *id, bool *full);

/* An expected reading is in the database: it is the sensor's last one from now on. */
void table_take(struct table *table, struct sensor *sensor, double value, enum unit unit, double time);

/* An expected reading was not stored. Removes a sensor that has no reading and expects none. */
void table_give_up(struct table *table, struct sensor *sensor);

/* Removes the sensors whose last reading is older than `oldest`, Unix time, and that expect none. */
void table_forget(struct table *table, double oldest);

/* Removes all sensors. */
void table_clear(struct table *table);

/* The average in Celsius of the last readings that are not older than `oldest`; *count is their number. */
double table_average(const struct table *table, double oldest, size_t *count);

#endif

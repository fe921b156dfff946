// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The sensors with their last readings, in memory, so that getSensor and listSensors need no database. Two
 * limits bound their number, since a device that invents a new id for each reading must not fill the memory:
 * one for all sensors, and one for those of each owner, the client that reported a sensor first. When the
 * table is full, a new sensor takes the place of the one that has been silent longest, if that has been
 * silent for long; so no number of new ids pushes out a sensor that reports.
 *
 * A sensor whose first reading is still being written to the database is in the table and counts towards the
 * limits, but is not known yet: table_find() does not return it. A sensor that is to give up its place is
 * leaving until the database has deleted it: it is known, counts no longer, and takes no readings.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a table is embedded in its owner, owns its sensors and copies their ids. A pointer to a sensor
 * is valid while a reading of it is expected, or while it is leaving; without both, until the next function
 * that changes the table.
 *
 * Failure: only table_expect() and table_load() can fail; then the table is unchanged.
 */
#ifndef SENSOR_TABLE_H
#define SENSOR_TABLE_H

#define HASH_NONFATAL_OOM 1

#include <stdbool.h>
#include <stddef.h>
#include <uthash.h>

enum { SENSOR_CHARACTERS = 64, SENSOR_BYTES = 4 * SENSOR_CHARACTERS + 1, SENSORS_MAX = 10000 };

/* Owners whose names begin with the same so many bytes count as one: a client id may have 64 kB. */
enum { OWNER_BYTES = 256 };

enum unit { CELSIUS, FAHRENHEIT, KELVIN, UNITS };

struct owner {
    char name[OWNER_BYTES];
    size_t sensors; /* how many it has, those that are leaving included */
    UT_hash_handle hh;
};

struct sensor {
    char id[SENSOR_BYTES];
    double value, time; /* of its last reading: in its unit, and Unix time in seconds */
    enum unit unit;
    bool known;          /* it has a reading */
    bool leaving;        /* it gives up its place */
    unsigned expected;   /* readings that are being written; a sensor that expects some is not removed */
    double heard;        /* the believed time (age.h) at which a reading of it came last */
    struct owner *owner; /* NULL: not known */
    struct sensor *prev, *next; /* in the order in which they were heard */
    UT_hash_handle hh;
};

/* All zero but for the limits: an empty table. */
struct table {
    struct sensor *sensors; /* by id */
    struct sensor **sorted; /* the same ones in the order of their ids, byte by byte: for pages */
    size_t capacity;        /* of that array */
    struct sensor *silent;  /* the same ones; the one that was heard first comes first */
    struct owner *owners;
    size_t known;         /* how many of them are known */
    size_t leaving;       /* how many of them are leaving */
    size_t max;           /* the limits, set by the table's owner: of all sensors that are not leaving */
    size_t max_per_owner; /* and of each owner's */
    double max_silence;   /* a sensor that was silent for longer makes room, seconds */
};

/* The known sensor with this id; NULL: there is none. */
const struct sensor *table_find(const struct table *table, const char *id);

/* How many of the sorted sensors, known or not, come before `id` or have it; and how many there are. */
size_t table_rank(const struct table *table, const char *id);
size_t table_size(const struct table *table);

/* Why a reading cannot be expected. */
enum table_refusal {
    TABLE_NO_MEMORY,
    TABLE_FULL,       /* and no sensor has been silent for longer than max_silence */
    TABLE_OWNER_FULL, /* the owner has as many sensors as it may */
    TABLE_LEAVING     /* the sensor is leaving */
};

/*
 * Expects a reading of a sensor, which came at the believed time `now`. If the table does not have the
 * sensor, it is added as the owner's. Then *leaver is NULL or the sensor that makes room, which is leaving
 * from now on: table_leave() or table_stay() must follow. Returns NULL if the reading must be refused, and
 * the reason in *why.
 */
struct sensor *table_expect(struct table *table, const char *id, const char *owner, double now,
                            struct sensor **leaver, enum table_refusal *why);

/* An expected reading is in the database, and this is the sensor's last one from now on. Returns whether it
 * was another one before. */
bool table_take(struct table *table, struct sensor *sensor, double value, enum unit unit, double time);

/* An expected reading was not stored. Removes a sensor that has no reading and expects none. */
void table_give_up(struct table *table, struct sensor *sensor);

/* Ends the stay of a sensor that is leaving; or keeps it after all. */
void table_leave(struct table *table, struct sensor *sensor);
void table_stay(struct table *table, struct sensor *sensor);

/* Gives a sensor the last reading that the database has of it, unless it is known already. A sensor that the
 * table does not have is added, without asking for the owner's limit. Returns false if the table is full, or
 * if there is no memory. */
bool table_load(struct table *table, const struct sensor *loaded, const char *owner);

/* Puts the sensors into the order in which they were heard, after loading. Those of the same moment stay in
 * the order in which they were added. */
void table_sort(struct table *table);

/* The database has deleted a sensor: it is not known any more, and is removed if it expects no reading. A
 * sensor that is leaving, or that does not exist, is left alone. */
void table_forget(struct table *table, const char *id);

/* Removes all sensors. */
void table_clear(struct table *table);

/* The average in Celsius of the last readings that are at most `window` seconds from the time `now`; *count
 * is their number. A reading may lie ahead, since the clock may have been set back. */
double table_average(const struct table *table, double now, double window, size_t *count);

#endif

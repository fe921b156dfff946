// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The state of the module sensor in one prefix, for the files that handle its methods, and what these share.
 *
 * Threads: the broker's thread only, but for `loading` and `pruning` while their jobs run.
 *
 * Ownership: the engine owns the state. Its stores, and what its jobs have allocated, belong to the state;
 * the table belongs to its own header.
 *
 * Failure: sensors_raise_…() return a status; nothing else can fail.
 */
#ifndef SENSOR_SENSORS_H
#define SENSOR_SENSORS_H

#include "age.h"
#include "store.h"
#include "table.h"

#include <mosquitto_rpc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Max readings that one job deletes; other jobs of the lane wait for it. */
enum { SENSORS_ROWS = 2000 };

/* Whose sensors are counted together. The database contains the words. */
enum counted { BY_CLIENT, BY_USER, BY_ADDRESS, COUNTINGS };

extern const char *const sensors_counted[COUNTINGS];

/* The database contains the indexes, so that the order must not change. */
extern const char *const sensors_units[UNITS];

struct sensor_options {
    const char *db;
    int32_t max_sensors, max_per_client, max_silence, interval, window, keep_count;
    enum counted count_by;
    int64_t keep_age;
};

/* The job that loads the sensors. There is at most one at a time, and its data is part of the state. */
struct loading {
    struct store *store;
    struct loaded *sensors; /* from malloc() */
    size_t count, capacity, max;
    bool more; /* the database has more than max sensors */
    bool no_memory;
    bool loaded;
    double max_step;  /* see store_last_time() */
    double last;      /* when a reading was stored last, by that; NAN: never */
    const char *path; /* of the file that is in use */
    int exposure;     /* see store_exposure() */
    struct store_failure failure;
};

struct loaded {
    struct sensor sensor; /* its id, value, unit and time; and when a reading came last, by the clock */
    char owner[OWNER_BYTES];
};

/* Likewise the job that deletes old readings. */
struct pruning {
    struct store *store;
    struct store_limits limits;
    char *removed; /* the ids of sensors that were deleted, each with its NUL; from malloc() */
    size_t size;   /* of all of them, bytes */
    bool pruned, more;
    struct store_failure failure;
};

struct sensors {
    rpc_instance *instance;
    const struct sensor_options *options;
    struct table table;
    struct age age;
    uid_t uid;                     /* of the process when it started, */
    char user[64];                 /* and the user's name; "": it has none */
    struct store *store, *history; /* the same for a database in memory, which has only one connection */
    bool loaded;                   /* the table has the sensors of the database */
    struct store_failure why_not_loaded;
    bool pruning_runs;
    char announced[SENSOR_BYTES]; /* the sensor that load.c has announced last */
    bool averaged;                /* the retained average may be one of some sensors, and not null */
    struct loading loading;
    struct pruning pruning;
};

/* ---- Shapes ---- */

#define SENSOR_ID(type) \
    RPC_STRING(type, sensor_id, .doc = "the id of the sensor", .length = {1, SENSOR_CHARACTERS})

struct which {
    const char *sensor_id;
};

extern const rpc_shape sensors_which_shape;

/* The last reading of a sensor. */
struct reading {
    const char *sensor_id;
    double value;
    enum unit unit;
    double time;
};

extern const rpc_shape sensors_reading_shape;

struct reading sensors_reading_of(const struct sensor *sensor);

/* A stored reading. This module has not written a unit that it does not know; such a unit is taken for
 * Celsius. */
struct reading sensors_reading_of_point(const char *id, const struct store_point *stored);

/* Publishes a sensor's last reading, which the broker retains; or has the broker forget it. The topics are
 * the same whoever calls, so that no call is given to the engine. */
void sensors_announce(const struct sensors *sensors, const struct sensor *sensor);
void sensors_retract(const struct sensors *sensors, const char *id);

/* The members of storage_failed. */
extern const rpc_shape sensors_failed_shape;

/* ---- Failures ---- */

/* Raises storage_failed. The caller gets the reason, but neither the path nor the user, which are not the
 * caller's business. */
rpc_status sensors_raise_failure(rpc_call *call, const struct store_failure *failure, const char *what);

/* Note that the database has failed, in the log with the path and the user, and in rpc.health; or that it has
 * done what it should, which ends that trouble. */
void sensors_note_success(const struct sensors *sensors);
void sensors_note_failure(const struct sensors *sensors, const struct store_failure *failure,
                          const char *what);

/* The end of a path: a line of the log has no room for the longest ones, whose ends say most. */
const char *sensors_end_of(const char *path);

/* Raises unknown_sensor, or storage_failed while the sensors are not loaded. */
rpc_status sensors_raise_unknown(rpc_call *call, const struct sensors *sensors, const char *id);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Readings in an SQLite database: the last reading of each sensor, and the history of all sensors. A store
 * knows neither calls nor logs, so that a test needs nothing but a file. The module sensor decides what a
 * sensor and a reading are, and reports failures to clients and in the log.
 *
 * Threads: several threads may use a store one after the other, but never two at once. The user of the store
 * sees to that, and to memory barriers between them; a lane does both. Two stores share nothing, even if they
 * use the same file, as two stores of one prefix do. Stores of different prefixes use different files, so
 * that none waits for the locks of another one. Every function but store_new() may block: for the disk, and
 * for up to busy_ms while another connection has the database locked. They belong on a worker thread, or on
 * the broker's thread while it starts or stops.
 *
 * Ownership: a store copies path and prefix, and keeps no other pointer beyond a call. Results are written to
 * the caller's memory, except the readings that store_load() shows. The path in a failure is the store's, and
 * valid until store_close().
 *
 * Failure: a function that can fail returns whether it succeeded. If not, it writes the reason to *failure,
 * which may be NULL and is written on failure only. A store is usable after any failure: the next call tries
 * again, on a new connection if the last one may be damaged (see store_open()). A store never deletes or
 * replaces a file because its contents are damaged.
 */
#ifndef SENSOR_STORE_H
#define SENSOR_STORE_H

#include "store/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/*
 * Creates a store for the sensors of one prefix, in the file at path, or in memory if path is ":memory:". If
 * another prefix has taken the file, the store uses the one that place_beside() names. A file in which
 * several prefixes were stored by an earlier version belongs to the first prefix that opens it; each other
 * prefix takes its readings along into its own file.
 *
 * Only the owner of the files may read and write them (see store/place.h).
 *
 * Does not touch the disk yet, and does not block. busy_ms, in milliseconds, is how long a function waits for
 * another connection's lock. Returns NULL if there is no memory; else the caller owns the store and ends it
 * with store_close().
 */
struct store *store_new(const char *path, const char *prefix, int busy_ms);

/*
 * Opens the database if it is not open, creates it if there is none, and brings an older one up to date. All
 * other functions do this first; calling store_open() only reports a failure earlier.
 *
 * The store closes its connection when the file is damaged, unreadable or read-only, or is no longer the file
 * at path; so an administrator can repair it without restarting the broker. When opening has failed after
 * some time (because of a lock, or a slow disk), all functions fail at once with the same reason for ten
 * times as long, but at most five seconds, so that calls that wait for the store are not delayed by each
 * attempt.
 *
 * Only store_close() deletes a database in memory.
 */
bool store_open(struct store *store, struct store_failure *failure);

/* The path of the file that the store has used last. */
const char *store_path(const struct store *store);

/* The errno for which other users kept their rights to the files when they were opened; 0: they have none. */
int store_exposure(const struct store *store);

/*
 * Rolls back a group that has not been committed, closes the database and frees the store. The store may be
 * NULL, and need not have been opened.
 */
void store_close(struct store *store);

struct store_reading {
    const char *sensor; /* UTF-8, not necessarily terminated */
    size_t size;        /* of sensor, bytes */
    double value, time; /* time: Unix time, seconds; neither is NaN */
    int unit; /* the module's number for it. The file contains it, so that its meaning must not change; a
                 number that is read may have any value. */
    const char *owner; /* who reported the sensor first, terminated; NULL or "": not known. store_add() takes
                          it for a new sensor only */
    double stored; /* of a reading with a time of its own, one that was taken offline: when it came, by the
                      clock, Unix time; 0: `time` says that, too. What store_load() shows always has it */
};

/* By how many seconds a reading's own time may be ahead of the clock. */
#define STORE_AHEAD_S 60

/*
 * Begins a group of readings, which is stored as a whole or not at all:
 *
 *     store_begin(), store_add() for each reading, then store_commit() or store_rollback()
 *
 * After the first failure in a group, that of store_begin() included, the following functions up to
 * store_commit() do nothing and fail for the same reason. So it is enough to check store_commit(), whose
 * result holds for all readings of the group. No other function of the store may be called within a group.
 *
 * store_begin() rolls back an unfinished group.
 */
bool store_begin(struct store *store, struct store_failure *failure);

struct store_point {
    double time, value;
    int unit;
};

enum store_outcome {
    STORE_ADDED,    /* the reading is in the group */
    STORE_REPEATED, /* the store has this reading, and nothing is changed */
    STORE_CONFLICT  /* the store has another reading of the sensor for this time, and nothing is changed */
};

/* What store_add() has done, if the group is committed. */
struct store_added {
    enum store_outcome outcome;
    struct store_point stored; /* what the store has for the reading's time: of a conflict, the other one */
    struct store_point last;   /* the sensor's last reading now */
};

/*
 * Adds a reading to the history and makes it the sensor's last reading, even if an earlier one has a later
 * time. A reading with a time of its own is different: a sensor has one of each such time, and one that is
 * older than the last reading does not take its place; unless that has a time more than STORE_AHEAD_S after
 * this one came, so that it is of a wrong clock. Readings of the same group count. *added is written on
 * success.
 */
bool store_add(struct store *store, const struct store_reading *reading, struct store_added *added,
               struct store_failure *failure);

/* Forgets a sensor, if there is one of that name. store_prune() deletes its readings later; nothing shows
 * them any more. */
bool store_drop(struct store *store, const char *sensor, size_t size, struct store_failure *failure);

/*
 * Ends a group. When this returns true, the readings of the group are on the disk, in the file at path: they
 * survive the end of the process and a loss of power. When it returns false, none of them are; but after an
 * error of the disk, or STORE_REPLACED, that is not certain.
 */
bool store_commit(struct store *store, struct store_failure *failure);

/* Abandons a group. Without a group it does nothing. */
void store_rollback(struct store *store);

/* Receives a sensor's last reading, which is valid until it returns. Returns false to stop. */
typedef bool (*store_visit)(void *data, const struct store_reading *last);

/* Shows the last readings of all sensors to visit, in the order of the sensors' first readings. That visit
 * stopped is not a failure. */
bool store_load(struct store *store, store_visit visit, void *data, struct store_failure *failure);

/*
 * Writes to *time when a reading was stored last, of any sensor; NAN: there is none. Steps of
 * more than max_step seconds from one reading to the next, in the order in which they were stored, are left
 * out of it: between the two the clock may have been set, and they count as if they were of the same time.
 * Readings of a clock that was not set at all, which are from before 2020, are passed over.
 */
bool store_last_time(struct store *store, double max_step, double *time, struct store_failure *failure);

struct store_query {
    const char *sensor; /* as in struct store_reading */
    size_t size;
    double from, to; /* Unix time, seconds, both included */
    size_t limit;    /* of the readings in that time, only the `limit` ones that were stored last, */
    int64_t before;  /* and before the one with this key; 0: of all */
};

struct store_answer {
    struct store_point *points; /* an array of the caller's for `limit` points */
    size_t count;
    bool more;     /* there are earlier readings between from and to, */
    int64_t first; /* which are before this key, that of the first point; 0: there are no points */
};

/*
 * Looks up a sensor's readings, in the order in which they were stored, so that a reading which was stored
 * while the clock was ahead does not hide later ones. Keys grow in this order and stay, so that what is
 * stored or deleted meanwhile changes nothing of the readings before a key. Takes longer the more readings
 * the sensor has. An unknown sensor has none. The caller sets answer->points. The other members are written
 * even on failure; then count is 0.
 */
bool store_history(struct store *store, const struct store_query *query, struct store_answer *answer,
                   struct store_failure *failure);

struct store_forgetting {
    const char *sensor; /* as in struct store_reading */
    size_t size;
    int64_t rows; /* max readings that one call deletes, at least 1 */
    int64_t key;  /* for store_forget(); 0 at first */
    bool found;   /* there was such a sensor */
    bool more;    /* it has more readings, and the function is to be called again; false on failure */
};

/* Forgets a sensor and deletes its readings, also from the free space in the file and, if nobody reads it,
 * from its log. After the first call nothing shows the sensor any more; the rest can be left to
 * store_prune(). */
bool store_forget(struct store *store, struct store_forgetting *forgetting, struct store_failure *failure);

struct store_limits {
    double oldest; /* Unix time, seconds: readings that were stored before are deleted; -INFINITY: none */
    double now;    /* Unix time, seconds: a later time is one of a wrong clock; INFINITY: none is */
    int64_t
        keep; /* readings that each sensor keeps, those that were stored last, at least 1; INT64_MAX: all */
    int64_t rows; /* max readings that one call deletes, and max sensors that it looks at, at least 1 */

    /* Gets the name of each sensor that is deleted, and returns false if it has no memory for it; NULL: no
     * function does. If the call fails, no sensor was deleted. */
    bool (*removed)(void *data, const char *sensor, size_t size);
    void *data;
};

/*
 * Deletes the readings beyond the limits, each sensor that has no readings left and whose last reading is too
 * old, and what was forgotten. A reading is as old as its being stored is long ago, whatever time of its own
 * it has. A reading that was stored after one which is not too old stays, even if the clock said a time
 * before `oldest` then: the clock was wrong. A call takes a bounded time and goes on where the last one
 * stopped. *more says that there is more to do; it is false on failure. Everything that one call deletes is
 * deleted in one transaction. The file does not become smaller, but SQLite uses the free space in it again.
 */
bool store_prune(struct store *store, const struct store_limits *limits, bool *more,
                 struct store_failure *failure);

#endif

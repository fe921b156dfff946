// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Readings in an SQLite database: the last one of each sensor, and the history of all. The module decides
 * what is a sensor and a reading, and tells callers and the log what went wrong; this knows neither calls nor
 * logs, so that it can be tried with nothing but a file.
 *
 * Threads. A store may be used from one thread after the other, but never from two at once; whoever uses it
 * sees to that, and that what one thread did is seen by the next: a lane does both. Two stores share nothing,
 * also when they are in the same file. Every function but store_new() may block: for the disk, and for as
 * long as busy_ms while somebody else has the database locked. They belong on a worker, or on the broker's
 * thread while it starts or stops.
 *
 * Ownership. A store copies path and prefix. Of everything else that it is given it keeps no pointer beyond
 * the call, and what it hands out is the caller's memory, but for what store_load() shows.
 *
 * Failure. A function that can fail returns whether it succeeded. If not, it says why in *failure, which may
 * be NULL and is written on failure alone. A store is usable after any failure: the next call tries again, on
 * a new connection where the last one cannot be trusted any more (see store_open()). No file is ever deleted
 * or made anew because its contents are damaged.
 */
#ifndef SENSOR_STORE_H
#define SENSOR_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/* Why something failed. */
enum store_cause {
    STORE_LOCKED,      /* somebody else held the database for longer than busy_ms */
    STORE_FULL,        /* there is no room on the disk, in the quota, or in the database */
    STORE_CORRUPT,     /* the file is damaged, or no database */
    STORE_READ_ONLY,   /* file, folder or file system may not be written */
    STORE_CANNOT_OPEN, /* the file or its folder is not there, or may not be opened */
    STORE_FOREIGN,     /* the file is a database of something else; it is left as it is */
    STORE_NEWER,       /* the file was made by a later version of this; it is left as it is */
    STORE_REPLACED,    /* the file was moved or deleted while it was written to */
    STORE_IO,          /* reading or writing failed otherwise */
    STORE_NO_MEMORY,
    STORE_FAILED, /* anything else, a defect of this included */
    STORE_CAUSES
};

/* Their names, "locked", "read_only" and so on, the same for ever; ends with NULL. */
extern const char *const store_cause_names[STORE_CAUSES + 1];

enum { STORE_WHY_BYTES = 160 };

struct store_failure {
    enum store_cause cause;
    char why[STORE_WHY_BYTES]; /* for the log, in printable ASCII: "database is locked" */
};

/*
 * A store for the sensors of one prefix, in the file at path, or in memory if that is ":memory:". The disk is
 * not touched yet. busy_ms, in milliseconds, is how long a function waits for others that have the database
 * locked. Does not block. Returns NULL if there is no memory; else the caller closes it with store_close().
 */
struct store *store_new(const char *path, const char *prefix, int busy_ms);

/*
 * Opens the database if it is not open, makes it if there is none, and brings an older one up to date. All
 * other functions do the same first, so that calling this is only a way to learn early of what is wrong.
 *
 * The connection is closed when the file turns out to be damaged, unreadable or read-only, or is not the one
 * any more that lies at path; so whoever repairs it need not restart the broker. When opening has failed
 * after some time (because of a lock, or a slow disk), the next functions fail at once with the same reason
 * for ten times as long, five seconds at most, so that those who wait for their turn do not wait for that.
 *
 * What was in memory is lost with store_close() alone.
 */
bool store_open(struct store *store, struct store_failure *failure);

/*
 * Closes the database and frees the store; a group that has not been committed is rolled back. NULL and a
 * store that never could be opened are fine.
 */
void store_close(struct store *store);

struct store_reading {
    const char *sensor; /* UTF-8, not necessarily terminated */
    size_t size;        /* of sensor, bytes */
    double value, time; /* Unix time, seconds; neither is NaN */
    int unit; /* a number of the module's. It is kept in the file, so it has to mean the same for ever,
                 and one that is read may be any. */
};

/*
 * A group of readings is stored as a whole or not at all:
 *
 *     store_begin(), store_add() for each, then store_commit() or store_rollback()
 *
 * From the first failure in a group on, which may be that of store_begin(), all that follow up to
 * store_commit() do nothing and fail for the same reason. So it is enough to look at what store_commit()
 * returned, and to tell all of the group what it said. No other function of the store is called within a
 * group.
 *
 * store_begin() rolls back a group that was left unfinished.
 */
bool store_begin(struct store *store, struct store_failure *failure);

/* Adds a reading to the history and makes it the sensor's last, whichever times the ones before it had. */
bool store_add(struct store *store, const struct store_reading *reading, struct store_failure *failure);

/*
 * When this has returned true, the readings of the group are on the disk, in the file at path: they survive
 * the end of the process and of the power. When it has returned false, none of them are; but after
 * an error of the disk, or STORE_REPLACED, nobody can be sure of that.
 */
bool store_commit(struct store *store, struct store_failure *failure);

/* Gives a group up. Without one it does nothing. */
void store_rollback(struct store *store);

/* Is shown a sensor's last reading, which it copies as far as it needs it. Returns false to see no more. */
typedef bool (*store_visit)(void *data, const struct store_reading *last);

/* Shows the last readings of all sensors, in the order of their first. That visit stopped it is no failure.
 */
bool store_load(struct store *store, store_visit visit, void *data, struct store_failure *failure);

struct store_query {
    const char *sensor; /* as in struct store_reading */
    size_t size;
    double from, to; /* Unix time, seconds, both included */
    size_t limit;    /* the newest so many */
};

struct store_point {
    double time, value;
    int unit;
};

struct store_answer {
    struct store_point *points; /* the caller's: room for as many as the limit; the oldest comes first */
    size_t count;
    bool more; /* there are older ones between from and to */
};

/*
 * Looks a sensor's readings up. Those of the same time come in the order in which they arrived. A sensor that
 * is not known has none. The caller sets answer->points; the rest is written, also on failure (then count is
 * 0).
 */
bool store_history(struct store *store, const struct store_query *query, struct store_answer *answer,
                   struct store_failure *failure);

struct store_limits {
    double oldest; /* Unix time, seconds: readings from before go; -INFINITY: none */
    int64_t keep;  /* of each sensor its newest so many readings stay, at least 1; INT64_MAX: all */
    int64_t rows;  /* the most readings that one call deletes, and sensors that it looks at, at least 1 */
};

/*
 * Deletes what is beyond the limits, and sensors with their last readings when these are too old and no
 * others are left. It goes on where the last call stopped, so that one call takes a bounded time: while *more
 * is true, there is more to do (it is false on failure). All that one call deletes is deleted as a whole or
 * not at all. The file does not get smaller, but what is free in it is used again.
 */
bool store_prune(struct store *store, const struct store_limits *limits, bool *more,
                 struct store_failure *failure);

#endif

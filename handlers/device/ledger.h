// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Devices, their groups and their queued commands in an SQLite database. A ledger knows neither calls nor
 * logs, so that a test needs nothing but a file. The module device decides what is kept in it and what
 * becomes of it after a start, and reports failures to clients and in the log.
 *
 * Threads: several threads may use a ledger one after the other, but never two at once. The user of the
 * ledger sees to that, and to memory barriers between them; a lane does both. Every function but
 * ledger_new(), ledger_path() and ledger_exposure() may block: for the disk, and for up to busy_ms while
 * another connection has the database locked. They belong on a worker thread, or on the broker's thread while
 * it starts or stops.
 *
 * Ownership: a ledger copies path and prefix, and keeps no other pointer beyond a call. What ledger_load()
 * shows is valid until the function that it is shown to returns. The path in a failure is the ledger's, and
 * valid until ledger_close().
 *
 * Failure: a function that can fail returns whether it succeeded. If not, it writes the reason to *failure,
 * which may be NULL and is written on failure only. A ledger is usable after any failure: the next call tries
 * again, on a new connection if the last one may be damaged (see ledger_open()). A ledger never deletes or
 * replaces a file because its contents are damaged.
 */
#ifndef DEVICE_LEDGER_H
#define DEVICE_LEDGER_H

#include "store/failure.h"
#include "state.h"

#include <stdbool.h>
#include <stdint.h>

struct ledger;

/*
 * Creates a ledger for the devices of one prefix, in the file at path, or in memory if path is ":memory:". If
 * another prefix has taken the file, the ledger uses the one that place_beside() names. Only the owner of the
 * files may read and write them (see store/place.h).
 *
 * Does not touch the disk yet, and does not block. busy_ms, in milliseconds, is how long a function waits for
 * another connection's lock. Returns NULL if there is no memory; else the caller owns the ledger and ends it
 * with ledger_close().
 */
struct ledger *ledger_new(const char *path, const char *prefix, int busy_ms);

/*
 * Whether ledger_open() would find a file at path or, for this prefix, beside it. Neither opens nor creates
 * one. A file at path may turn out to be another prefix's; then ledger_open() makes one beside it. False for
 * ":memory:", and if there is no memory.
 */
bool ledger_file_exists(const char *path, const char *prefix);

/*
 * Opens the database if it is not open, creates it if there is none, and brings an older one up to date. All
 * other functions do this first; calling ledger_open() only reports a failure earlier.
 *
 * The ledger closes its connection when the file is damaged, unreadable or read-only, or is no longer the
 * file at path; so an administrator can repair it without restarting the broker. When opening has failed
 * after some time (because of a lock, or a slow disk), all functions fail at once with the same reason for
 * ten times as long, but at most five seconds.
 *
 * A file that was moved or deleted is made anew, and is empty: what the module still knows has to be put into
 * it again. ledger_connections() tells.
 *
 * Only ledger_close() deletes a database in memory.
 */
bool ledger_open(struct ledger *ledger, struct store_failure *failure);

/* How often the ledger has opened a database; 0: never. When this has grown, the file may be another one. */
int64_t ledger_connections(const struct ledger *ledger);

/* The path of the file that the ledger has used last. */
const char *ledger_path(const struct ledger *ledger);

/* The errno for which other users kept their rights to the files when they were opened; 0: they have none. */
int ledger_exposure(const struct ledger *ledger);

/*
 * Rolls back a group that has not been committed, closes the database and frees the ledger. The ledger may be
 * NULL, and need not have been opened.
 */
void ledger_close(struct ledger *ledger);

/* Texts are terminated. They may be any bytes otherwise. */
struct ledger_device {
    const char *name;
    const char *kind;     /* the module whose commands it takes; NULL: not known */
    const char *commands; /* JSON array of the names of its commands; NULL: not known */
    bool managed, once;
    int64_t seq; /* of its last command */
    double seen; /* Unix time, seconds; 0: never */
};

struct ledger_command {
    const char *id; /* no two commands of a device have the same one */
    const char *device, *name;
    const char *params; /* JSON text; NULL: none */
    enum command_state state;
    int64_t seq;                   /* 0: it has none yet */
    int attempt;                   /* how often it was sent */
    double queued, expires, stale; /* Unix time, seconds; stale 0: never */
    bool idempotent;
    const char *caller, *user; /* client id and user name of who called; NULL: unknown, anonymous */
    bool mounted;              /* as in rpc_caller */
    const char *err;           /* why it has not succeeded; NULL: nothing to say */
    double ended;              /* Unix time, seconds; 0: it has not ended */
};

/*
 * Begins a group of changes, which is stored as a whole or not at all:
 *
 *     ledger_begin(), ledger_put_…() or ledger_drop_…() for each change, then ledger_commit() or
 *     ledger_rollback()
 *
 * After the first failure in a group, that of ledger_begin() included, the following functions up to
 * ledger_commit() do nothing and fail for the same reason. So it is enough to check ledger_commit(), whose
 * result holds for all changes of the group. No other function of the ledger may be called within a group.
 *
 * ledger_begin() rolls back an unfinished group.
 */
bool ledger_begin(struct ledger *ledger, struct store_failure *failure);

/* Adds a device, or changes the one of its name. No number may be NaN. */
bool ledger_put_device(struct ledger *ledger, const struct ledger_device *device,
                       struct store_failure *failure);

/* Deletes a device with all its commands, if there is one of that name, or commands of it. */
bool ledger_drop_device(struct ledger *ledger, const char *name, struct store_failure *failure);

/* Adds a command, or changes the one of its device and id, which keeps its place in the order. Its device
 * need not be in the ledger. No number may be NaN. */
bool ledger_put_command(struct ledger *ledger, const struct ledger_command *command,
                        struct store_failure *failure);

/* Deletes a command, if there is one. */
bool ledger_drop_command(struct ledger *ledger, const char *device, const char *id,
                         struct store_failure *failure);

/* Adds a group of devices, or changes the one of that name. devices is the JSON array of their names. */
bool ledger_put_group(struct ledger *ledger, const char *name, const char *devices,
                      struct store_failure *failure);

/* Deletes a group of devices, if there is one of that name. */
bool ledger_drop_group(struct ledger *ledger, const char *name, struct store_failure *failure);

/*
 * Ends a group. When this returns true, the changes of the group are on the disk, in the file at path: they
 * survive the end of the process and a loss of power. When it returns false, none of them are; but after an
 * error of the disk, or STORE_REPLACED, that is not certain.
 */
bool ledger_commit(struct ledger *ledger, struct store_failure *failure);

/* Abandons a group. Without a group it does nothing. */
void ledger_rollback(struct ledger *ledger);

/* Receive what ledger_load() shows. Each returns false to stop; it may be NULL, and then sees nothing. */
struct ledger_visit {
    bool (*device)(void *data, const struct ledger_device *device);
    bool (*group)(void *data, const char *name, const char *devices);
    bool (*command)(void *data, const struct ledger_command *command);
    void *data;
};

/*
 * Shows all devices and then all groups, in the order in which they were added; then of each device the last
 * `ended` commands that have ended, in the order in which they ended; then all commands that have not ended,
 * in the order in which they were added. That a function stopped is not a failure; then nothing more is
 * shown.
 *
 * Another program may have written to the file. Rows with a text that is missing or contains a NUL are passed
 * over; a state that does not exist is shown as COMMAND_UNKNOWN, also if the command has not ended.
 */
bool ledger_load(struct ledger *ledger, const struct ledger_visit *visit, int64_t ended,
                 struct store_failure *failure);

struct ledger_limits {
    int64_t keep_per_device; /* ended commands that each device keeps, the last ones; INT64_MAX: all */
    int64_t keep;            /* ended commands of all devices, the last ones; INT64_MAX: all */
    double oldest;           /* Unix time, seconds: commands that ended before are deleted; -INFINITY: none */
    int64_t rows;            /* max commands that one call deletes, at least 1 */
};

/*
 * Deletes ended commands beyond the limits, in one transaction. The last ones are those that ended last, also
 * if the clock was wrong. *more says that there may be more to do; it is false on failure. A call takes
 * longer the more ended commands there are. The file does not become smaller, but SQLite uses the free space
 * in it again.
 */
bool ledger_prune(struct ledger *ledger, const struct ledger_limits *limits, bool *more,
                  struct store_failure *failure);

#endif

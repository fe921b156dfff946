// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The devices that are known, by name and by connection. The table is bounded: when it is full, a new device
 * takes the place of the one that has been offline longest and has no live command; if there is none, the new
 * one is refused.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a table is embedded in the module's state and owns its devices, with their texts. Commands that
 * hang on a device belong to command.h; a device with live commands is not removed.
 *
 * Failure: table_meet() and the setters of texts can fail for want of memory; then nothing has changed.
 */
#ifndef DEVICE_TABLE_H
#define DEVICE_TABLE_H

#define HASH_NONFATAL_OOM 1

#include <mosquitto_rpc.h>
#include <uthash.h>

struct command;

/* What the plugin knows of a device's presence. The order is that of state_names. */
enum device_state {
    DEVICE_UNKNOWN,  /* nothing was seen of it since the start */
    DEVICE_ONLINE,   /* it has published something, or has connected */
    DEVICE_READY,    /* it has said hello, or has subscribed to its topic */
    DEVICE_SLEEPING, /* the time that its hello named is over: it does not listen until the next one */
    DEVICE_SILENT,   /* it is connected, but has published nothing for 2.5 heartbeats */
    DEVICE_OFFLINE,  /* its connection has ended, and device_grace has passed */
    DEVICE_STATES
};

extern const char *const device_state_names[DEVICE_STATES];

struct device {
    const void *connection; /* as in rpc_presence; NULL: it has none */
    char *client;           /* its client id, if that is not its name; else NULL */
    char *kind;             /* the kind that its hello named; NULL: none */
    char *commands;         /* the commands that its hello named, separated by spaces; NULL: any */
    double since;           /* when it came into its state, Unix time */
    double seen;            /* when it published last, Unix time; 0: never */
    const char *why;        /* why it is in its state: a constant word */
    rpc_timer timer;        /* for the end of grace, of ttd, or of a heartbeat */
    int64_t seq;            /* of its last command */
    struct command *waiting, *flying, *ended; /* of command.h: lists, the oldest first */
    uint32_t waiting_count, flying_count, ended_count;
    enum device_state state;
    bool leaving; /* its connection has ended, and device_grace has not passed */
    bool managed;
    bool once;                            /* it carries out a command that is sent twice only once */
    bool dirty;                           /* to be written to the database, see disk.h */
    struct device *gone_prev, *gone_next; /* among those that are offline, the longest first */
    struct device *dirty_next;
    UT_hash_handle hh;            /* by name */
    UT_hash_handle by_connection; /* if it has a connection */
    char name[];
};

/* All zero but for max: empty. */
struct table {
    struct device *devices;     /* in the order in which they were met */
    struct device *connections; /* those that have a connection */
    struct device *gone;        /* those that are offline, the longest first */
    size_t max;                 /* set by the owner */
};

/* The device of this name; NULL: it is not known. */
struct device *table_find(const struct table *table, const char *name);

/* The device that a connection is; NULL: none. */
struct device *table_find_connection(const struct table *table, const void *connection);

/* The device of this name, a new one (DEVICE_UNKNOWN) if it was not known. *evicted gets the name of a device
 * that made room, to be freed by the caller with free(); else NULL. NULL: the table is full, or no memory. */
struct device *table_meet(struct table *table, const char *name, char **evicted);

/* Whether commands may be sent to it now. */
bool device_is_deliverable(const struct device *device);

/* Whether a command may still come to an end: it has some that wait or are in flight. */
static inline bool device_has_live_commands(const struct device *device)
{
    return device->waiting || device->flying;
}

/* Gives a device another connection, or none (NULL). */
bool table_connect(struct table *table, struct device *device, const void *connection);

/* Gives a device a state, and its place among those that are offline. */
void table_set_state(struct table *table, struct device *device, enum device_state state, const char *why,
                     double now);

/* Removes and frees a device. Its commands and its timer must be gone. */
void table_remove(struct table *table, struct device *device);

/* Removes all devices. */
void table_clear(struct table *table);

#endif

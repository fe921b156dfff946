// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The devices that are known, by name and by connection. The table is bounded: when it is full, a new device
 * can only take the place of the one that has been away longest and has no live command. The owner of the
 * table removes that one itself, since others know of it, too.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a table is embedded in the module's state and owns its devices, with their texts. Commands that
 * hang on a device belong to command.h, and its timer to presence.h; both must be gone before it is removed.
 *
 * Failure: devices_add(), devices_connect() and device_set_text() can fail for want of memory; then nothing
 * has changed.
 */
#ifndef DEVICE_TABLE_H
#define DEVICE_TABLE_H

#define HASH_NONFATAL_OOM 1

#include <mosquitto_rpc.h>
#include <uthash.h>

enum { DEVICE_CLIENT_MAX = 1024 };

struct command;

/* What the plugin knows of a device's presence. The order is that of device_state_names. */
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

struct device;

/* A connection over which devices are present that do not have its client id for a name: a gateway's, or, if
 * user names are devices' names, any. */
struct connection {
    const void *key;        /* as in rpc_presence */
    struct device *devices; /* at least one */
    UT_hash_handle hh;
};

struct device {
    const void *connection;     /* as in rpc_presence, if it has one */
    struct connection *shared;  /* the same, if its client id is not the device's name; else NULL */
    struct device *prev, *next; /* among those of `shared`; without a connection, among those that are away */
    char *client;               /* the client id of its connection, if that is not its name; else NULL */
    char *kind;                 /* the kind that its hello named; NULL: none */
    char *commands;             /* the commands that its hello named, separated by spaces; NULL: any */
    double since;               /* when it came into its state, Unix time */
    double seen;                /* when it sent something last, Unix time; 0: never */
    double written;             /* `seen` as it was last given to the database */
    const char *why;            /* why it is in its state: a constant word */
    uint64_t timer;             /* the id of presence.h's; 0: none */
    int64_t seq;                /* of its last command */
    struct command *waiting, *flying, *ended; /* of command.h: lists, the oldest first */
    uint32_t waiting_count, flying_count, ended_count;
    uint32_t ttd; /* s for which it listens after a hello; 0: as long as it is connected */
    enum device_state state;
    bool connected; /* it has a connection, as far as the plugin knows */
    bool leaving;   /* its connection has ended, and device_grace has not passed */
    bool settling;  /* it has just come back, and may not have subscribed yet */
    bool listening; /* it has said hello or subscribed since it came */
    bool managed;
    bool once;        /* it carries out a command that is sent twice only once */
    bool stored;      /* it has a row in the database, or is to get one; see disk.h */
    bool dirty;       /* that row is to be written */
    bool unpublished; /* its status is still to be published */
    struct device *dirty_prev, *dirty_next;
    UT_hash_handle hh; /* by name */
    char name[];
};

/*
 * A connection that was found to be of no device. Most messages are sent by clients that are none: they need
 * not be looked up by name each time. All are forgotten when a device is added.
 */
struct stranger {
    const void *key;  /* the connection; NULL: none */
    const char *name; /* by which it was looked up: only its address is compared */
};

enum { DEVICES_STRANGERS_BITS = 6, DEVICES_STRANGERS = 1 << DEVICES_STRANGERS_BITS };

/* All zero but for max: empty. */
struct devices {
    struct device *all;        /* in the order in which they were added */
    struct connection *shared; /* connections */
    struct device *away;       /* those without a connection, the longest first */
    size_t max;                /* set by the owner */
    struct stranger strangers[DEVICES_STRANGERS];
};

/* The device of this name; NULL: it is not known. */
struct device *devices_find(const struct devices *devices, const char *name);

/* A device of a connection, and of its client; NULL: there is none. */
struct device *devices_of_connection(const struct devices *devices, const void *key, const char *client);

/* Where it would be remembered that a connection is of no device. */
static inline struct stranger *devices_stranger(struct devices *devices, const void *key)
{
    const uint64_t mixed = (uint64_t)(uintptr_t)key * UINT64_C(0x9E3779B97F4A7C15);
    return &devices->strangers[mixed >> (64 - DEVICES_STRANGERS_BITS)];
}

/* A connection has ended, or is a device's now. */
static inline void devices_forget_stranger(struct devices *devices, const void *key)
{
    struct stranger *stranger = devices_stranger(devices, key);
    if (stranger->key == key)
        stranger->key = NULL;
}

bool devices_are_full(const struct devices *devices);

/* The device that has been away longest and has no live command; NULL: there is none. */
struct device *devices_find_leaver(const struct devices *devices);

/* Adds a device, which must not be known: DEVICE_UNKNOWN, since `now`. NULL: the table is full, or no memory.
 */
struct device *devices_add(struct devices *devices, const char *name, double now);

/* Whether commands may be sent to it now. */
bool device_is_deliverable(const struct device *device);

/* Whether it is there, or may be back in a moment: commands are sent or held, and do not fail. */
bool device_is_present(const struct device *device);

/* Whether a command may still come to an end: it has some that wait or are in flight. */
static inline bool device_has_live_commands(const struct device *device)
{
    return device->waiting || device->flying;
}

/* Whether its connection is this one. */
static inline bool device_is_on(const struct device *device, const void *key)
{
    return device->connected && device->connection == key;
}

/* The client id that it is reached by. */
static inline const char *device_client(const struct device *device)
{
    return device->client ? device->client : device->name;
}

/* Gives a device a connection and its client id. Returns false: no memory, or an id of more than
 * DEVICE_CLIENT_MAX bytes, which each device of a gateway would keep. */
bool devices_connect(struct devices *devices, struct device *device, const void *key, const char *client);

/* Takes its connection away. It keeps the client id. */
void devices_disconnect(struct devices *devices, struct device *device);

void device_set_state(struct device *device, enum device_state state, const char *why, double now);

/* Sets one of the device's texts to a copy; NULL: none. */
bool device_set_text(char **text, const char *value);

/* Removes and frees a device. */
void devices_remove(struct devices *devices, struct device *device);

/* Removes all devices. */
void devices_clear(struct devices *devices);

#endif

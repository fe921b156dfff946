// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Which devices are there: signs of clients, hellos, grace, ttd and silence; the retained status of each
 * managed device. It tells command.h when commands may be sent, and when a device is gone for good.
 *
 *     unknown → online → ready → sleeping → ready …
 *                 ↑↓        ↑↓
 *               silent    offline, once the connection has ended and device_grace has passed
 *
 * A device that comes back after it was offline gets held commands a moment later, unless it says hello or
 * subscribes: until then it may not have subscribed, and would miss them.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a presence is embedded in the module's state, and works on the state's table and commands.
 *
 * Failure: without memory a sign is passed over; the next one is as good. A status that could not be
 * published is published later.
 */
#ifndef DEVICE_PRESENCE_H
#define DEVICE_PRESENCE_H

#include "command.h"

/* What a hello says; its shape is hello_shape. */
struct hello {
    int32_t ttd; /* s; 0: not given */
    bool once;
    const char *kind;
    const char *const *commands;
    size_t command_count;
    bool has_ttd, has_once;
};

extern const rpc_shape hello_shape;

/* A retained status, whose shape is status_shape. */
struct status {
    const char *device;
    enum device_state state;
    double since, seen;
    bool has_seen;
    const char *why;
};

extern const rpc_shape status_shape;

struct presence {
    rpc_instance *instance;
    const struct device_options *options;
    struct devices *table;
    struct commands *commands;
    struct disk *disk;
    rpc_timer_handler due; /* calls presence_due() with the device that is its data */
    rpc_timer publishing;  /* for statuses that are still to be published */
    bool watching;         /* the module gets RPC_SIGN_SEEN */
    bool started;          /* presence_start() was called */
};

/* Begins, before anything of a former run is loaded: meets the devices of the option device_managed. Returns
 * false: the option is wrong, which is logged, or there is no memory. */
bool presence_init(struct presence *presence);

/* Takes over a device of a former run. */
void presence_load(struct presence *presence, const struct ledger_device *device);

/* Publishes what is known of the managed devices. From now on, a new device may take the place of another. */
void presence_start(struct presence *presence);

/* Cancels the timers of all devices. */
void presence_fini(struct presence *presence);

/* A sign of some client of the broker. */
void presence_sign(struct presence *presence, const rpc_presence *sign);

/* The timer of a device is due. */
void presence_due(struct presence *presence, struct device *device);

/* Whether the sender of a message may speak for a device: it is the device's own connection, or a gateway's.
 */
bool presence_is_own(const struct presence *presence, const char *name, const rpc_message *message);

/* The device has sent a message, directly or through a gateway: it is on this connection, and alive. */
void presence_heard(struct presence *presence, struct device *device, const rpc_message *message);

/* A hello, which was found to be the device's own, and whose payload is empty or fits hello_shape. */
void presence_hello(struct presence *presence, const char *name, const rpc_message *message);

/* Meets a device that gave a sign of being one, for example an answer, or that is to be commanded. Another
 * one may be forgotten for it, but none that has live commands. NULL: the table is full, or no memory. */
struct device *presence_meet(struct presence *presence, const char *name);

/* Makes a device a managed one. */
void presence_manage(struct presence *presence, struct device *device);

/* Whether the guards hold for topics of this device. */
bool presence_is_managed(const struct presence *presence, const char *name);

/* Forgets a device: its commands, its retained status, its row in the database. */
void presence_forget(struct presence *presence, struct device *device);

/* What is known of a device. Its text is the device's. */
struct status presence_status(const struct device *device);

#endif

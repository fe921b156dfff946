// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Which devices are there: signs of clients, hellos, grace, ttd and silence; the retained status of each
 * managed device. It tells command.h when commands may be sent, and when a device is gone for good.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a presence is embedded in the module's state, and works on the state's table and commands.
 *
 * Failure: without memory a sign is passed over; the next one is as good.
 */
#ifndef DEVICE_PRESENCE_H
#define DEVICE_PRESENCE_H

#include "command.h"

struct presence {
    rpc_instance *instance;
    const struct device_options *options;
    struct table *table;
    struct commands *commands;
    struct disk *disk;
};

/* A sign of some client of the broker. */
void presence_sign(struct presence *presence, const rpc_presence *sign);

/* The device that a message comes from, if its sender may speak for `name`: its own connection, or a
 * gateway's. */
bool presence_is_own(const struct presence *presence, const char *name, const rpc_message *message);

/* A hello, which was found to be the device's own. */
void presence_hello(struct presence *presence, const char *name, const rpc_message *message);

/* Meets a device that gave a sign of being one, for example an answer; NULL: the table is full. */
struct device *presence_meet(struct presence *presence, const char *name);

/* Whether the guards hold for topics of this device. */
bool presence_is_managed(const struct presence *presence, const char *name);

/* Forgets a device: its commands, its retained status, its row in the database. */
void presence_forget(struct presence *presence, struct device *device);

#endif

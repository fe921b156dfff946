// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The connections of bridges that other brokers have opened to this one. They are clients like any other, but
 * for what becomes of a reply: their broker publishes it, to whatever topic, without asking its own ACLs.
 *
 * Mosquitto's bridges tell their state to $SYS/broker/connection/{id}/state when they connect, unless their
 * configuration says `notifications false`. By that they are known; others can be named with the option
 * bridge_clients.
 *
 * Threads: the broker's.
 *
 * Ownership: the table owns its entries. A connection is only compared; its entry is removed when it ends.
 *
 * Failure: bridges_note() returns false without memory.
 */
#ifndef PLUGIN_BRIDGES_H
#define PLUGIN_BRIDGES_H

#include <stdbool.h>

struct bridge;

/* NULL: there are none. */
struct bridges {
    struct bridge *table;
};

/* A connection publishes to a topic: if it tells the state of a bridge, the connection is one. */
bool bridges_note(struct bridges *bridges, const void *connection, const char *topic);

bool bridges_has(const struct bridges *bridges, const void *connection);

/* A connection has ended. */
void bridges_forget(struct bridges *bridges, const void *connection);

void bridges_fini(struct bridges *bridges);

#endif

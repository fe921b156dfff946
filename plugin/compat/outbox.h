// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Replies that wait for the moment at which the broker takes what plugins publish.
 *
 * Needed by Mosquitto 2.0. To be deleted when the plugin no longer supports brokers before 2.1.
 *
 * The broker delivers what plugins publish at the top of its loop, by client id. A client whose connection
 * ends between its call and that moment has two bad effects: a client that took the id over gets the reply,
 * and a reply that the broker then drops is never freed. Before 2.1 the loop's TICK is the last thing before
 * that moment, so replies wait for it here, and replies to connections that have ended meanwhile are dropped.
 * From 2.1 on there is no such moment; there the outbox is never opened.
 *
 * Threads: the broker's.
 *
 * Ownership: outbox_add() takes the payload and the properties over, and copies the id and the topic. The
 * client is only compared.
 *
 * Failure: outbox_add() returns false without memory.
 */
#ifndef PLUGIN_COMPAT_OUTBOX_H
#define PLUGIN_COMPAT_OUTBOX_H

#include "host.h"

#include <mosquitto.h>
#include <mosquitto_broker.h>

/* Replies over this number are published at once, before the others, also to connections that end. */
enum { OUTBOX_MAX = 1024 };

struct outbox_letter;

/* All zero: empty and closed. */
struct outbox {
    struct outbox_letter *letters;
    struct outbox_letter *spare; /* memory for the next one; NULL: none */
    size_t count;
    bool open; /* replies wait for outbox_send(); else outbox_add() publishes them */
};

/*
 * Publishes a message to a topic, which stands for its own, now or with the next outbox_send(). Its
 * payload is of mosquitto_malloc(). Returns true: payload and properties are taken; false: no memory, and
 * they are still the caller's.
 */
bool outbox_add(struct outbox *outbox, const struct host_publication *message, const char *topic,
                mosquitto_property *properties);

/* Publishes all replies that wait. */
void outbox_send(struct outbox *outbox);

/*
 * The client's connection has ended. Its replies are dropped, but for those at QoS 1 and 2 to an MQTT 3
 * client that leaves a session behind: they still go there. Of an MQTT 5 client the broker does not say
 * whether it leaves one, and without a session the reply could reach another client that takes the id.
 */
void outbox_drop(struct outbox *outbox, const struct mosquitto *client);

/* Drops all replies that wait. */
void outbox_fini(struct outbox *outbox);

#endif

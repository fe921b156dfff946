// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Replies between a call and the moment at which the broker takes them.
 *
 * The broker delivers what plugins publish at the top of its loop, by client id. A caller that goes away
 * between its call and that moment has two bad effects: whoever took its id over gets the reply, and a
 * reply that the broker then drops is never freed. Before 2.1 the loop's TICK is the last thing before
 * that moment, so replies wait for it here and those of connections that have ended meanwhile go no
 * further. From 2.1 on there is no such moment, and they are published at once.
 */
#ifndef PLUGIN_OUTBOX_H
#define PLUGIN_OUTBOX_H

#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <stdbool.h>
#include <stddef.h>

enum { OUTBOX_MAX = 1024 }; /* more than wait between two ticks are published at once */

struct outbox_letter;

/* All zero: empty and closed. */
struct outbox {
    struct outbox_letter *letters;
    size_t count;
    bool open; /* letters wait for outbox_send(); else they are published at once */
};

/*
 * Publishes a reply to the client, now or with the next outbox_send(). payload is of mosquitto_malloc().
 * Returns true: payload and properties are taken; false: no memory, and they are still the caller's.
 */
bool outbox_add(struct outbox *outbox, struct mosquitto *client, const char *topic, void *payload,
                size_t size, int qos, mosquitto_property *properties);

/* Publishes what waits. */
void outbox_send(struct outbox *outbox);

/*
 * The client's connection has ended. Its QoS 0 replies are dropped, and all of them if it leaves no session
 * behind; the others still go to its session.
 */
void outbox_drop(struct outbox *outbox, const struct mosquitto *client);

/* Drops what waits. */
void outbox_clear(struct outbox *outbox);

#endif

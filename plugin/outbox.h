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

/* What is over this is published at once, before what waits, and is not dropped with its caller. */
enum { OUTBOX_MAX = 1024 };

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
bool outbox_add(struct outbox *outbox, const struct mosquitto *client, const char *topic, void *payload,
                size_t size, int qos, mosquitto_property *properties);

/* Publishes at once, to the client with this id or, if it is NULL, to whoever has subscribed. Likewise. */
bool outbox_publish(const char *id, const char *topic, void *payload, size_t size, int qos, bool retain,
                    mosquitto_property *properties);

/* Publishes what waits. */
void outbox_send(struct outbox *outbox);

/*
 * The client's connection has ended. Its replies are dropped, but for those at QoS 1 and 2 to an MQTT 3
 * client that leaves a session behind: they still go there. Of an MQTT 5 client the broker does not say
 * whether it does, and with no session the reply could reach a stranger who takes the id.
 */
void outbox_drop(struct outbox *outbox, const struct mosquitto *client);

/* Drops what waits. */
void outbox_fini(struct outbox *outbox);

#endif

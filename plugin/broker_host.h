// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The broker as the host of a service (core/host.h): its clients, messages, memory, log and clocks.
 *
 * Threads: the broker's, except that wake() of struct host may be called on any thread.
 *
 * Ownership: a broker_host is embedded in its plugin, which sets broker and mount_point and starts the wake;
 * it must outlive the service. A broker_message borrows from the event that it was made of.
 *
 * Failure: see core/host.h. Of a message whose properties cannot be read for want of memory, they seem to be
 * missing.
 */
#ifndef PLUGIN_BROKER_HOST_H
#define PLUGIN_BROKER_HOST_H

#include "bridges.h"
#include "compat/broker.h"
#include "compat/mosquitto_headers.h"
#include "host.h"
#include "notices.h"
#include "outbox.h"
#include "wake.h"

struct broker_host {
    struct broker broker;
    const char *mount_point; /* NULL: none */
    struct bridges bridges;
    struct outbox outbox;
    struct wake wake;
    struct notices notices;
    size_t watchers; /* instances that want a sign of each message */
    bool ticking;    /* what is published now may leave only with the round after the next */
};

/* One message as an engine sees it. */
struct broker_message {
    struct host_message seen;
    struct host_client client; /* its connection is the broker's own client */
    char *response_topic;
    void *correlation;
};

/* The host functions of this host. */
struct host broker_host_functions(struct broker_host *broker_host);

/* The time of CLOCK_MONOTONIC, nanoseconds. */
uint64_t broker_host_now(void);

/* Reads all of a client, as its connection shows it. Borrows from the broker. */
void broker_host_read_client(const struct broker_host *broker_host, const struct mosquitto *connection,
                             bool mounted, struct host_client *client);

/* Makes a message of an event. topic is without the mount point, which `mounted` tells was there. */
void broker_message_init(struct broker_message *message, const struct broker_host *broker_host,
                         const struct mosquitto_evt_message *event, const char *topic, bool mounted);

void broker_message_fini(struct broker_message *message, const struct broker_host *broker_host);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The broker as the engines' host (core/host.h): its clients, messages, memory, log and clocks. */
#ifndef PLUGIN_BROKER_HOST_H
#define PLUGIN_BROKER_HOST_H

#include "broker.h"
#include "host.h"
#include "outbox.h"
#include "wake.h"

#include <mosquitto.h>
#include <mosquitto_broker.h>

struct broker_host {
    struct broker broker;
    const char *mount_point; /* NULL: none */
    struct outbox outbox;
    struct wake wake;
    bool ticking; /* what is published now may leave only with the round after the next */
};

/* One message, taken apart for an engine. Borrows from the event; broker_message_fini() frees the rest. */
struct broker_message {
    struct host_message seen;
    struct host_client client; /* its connection is the broker's own client */
    char *response_topic;
    void *correlation;
};

/* The host functions of this host. */
struct host broker_host_functions(struct broker_host *broker_host);

/* CLOCK_MONOTONIC, nanoseconds. */
uint64_t broker_host_now(void);

/* The topic without the mount point, which *mounted tells was there. */
const char *broker_host_unmount(const struct broker_host *broker_host, const char *topic, bool *mounted);

/* Takes a message apart, of a client that has an id. topic and mounted are what broker_host_unmount() gave.
 */
void broker_message_init(struct broker_message *message, const struct mosquitto_evt_message *event,
                         const char *topic, bool mounted);

void broker_message_fini(struct broker_message *message, const struct broker_host *broker_host);

#endif

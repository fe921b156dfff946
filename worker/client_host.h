// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * An ordinary client of a broker as the host of a service (core/host.h): its messages, memory, log and
 * clocks.
 *
 * Threads: the worker's, except that wake() of struct host may be called on any thread.
 *
 * Ownership: a client_host is embedded in its worker, which sets what follows `wake`, and must outlive the
 * service. A client_message borrows
 * from the message that it was made of, and owns copies of its properties.
 *
 * Failure: client_host_open() returns false where no event descriptor is left. Of a message whose properties
 * cannot be read for want of memory, they seem to be missing.
 */
#ifndef WORKER_CLIENT_HOST_H
#define WORKER_CLIENT_HOST_H

#include "connection.h"
#include "host.h"

struct client_host {
    int wake; /* an eventfd: readable when the engine wants to be called */
    struct connection *connection;
    bool knows_caller, dispatched; /* see struct host */

    /* What struct host wants of these two; NULL: a message is published at its topic, and the properties of a
     * message are those of MQTT. */
    bool (*publish)(void *context, const struct host_publication *publication);
    bool (*user_property)(void *context, const struct host_message *message, const char *name, char *value,
                          size_t size);
    void (*handled)(void *context, const void *mark); /* see struct host; NULL: messages have no marks */
    void *context;                                    /* of these three */
};

/* One message as an engine sees it. */
struct client_message {
    struct host_message seen;
    struct host_client client;
    char *response_topic;
    void *correlation;
};

bool client_host_open(struct client_host *host);
void client_host_close(struct client_host *host);

struct host client_host_functions(struct client_host *host);

/* The time of CLOCK_MONOTONIC, nanoseconds. */
uint64_t client_host_now(void);

/* Writes a line to the standard error, with the time and the level. */
void client_host_log(rpc_log_level level, const char *line);

/* Makes a message of a caller that is not known. */
void client_message_init(struct client_message *message, const struct mosquitto_message *received,
                         const mosquitto_property *properties);
void client_message_fini(struct client_message *message);

/* Copies the value of the first user property of this name. Returns false: there is none. */
bool client_host_user_property(const mosquitto_property *properties, const char *name, char *value,
                               size_t size);

/*
 * Publishes a message at its topic, with the properties that it has: what struct host wants of publish(), for
 * a host whose replies go to the subscribers of their topics. Takes the payload if it returns true.
 */
bool client_host_publish(struct connection *connection, const struct host_publication *publication);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The worker's connection to its broker, on libmosquitto: made, lost, and made again with a delay that grows
 * from half a second to 30 and is random within its upper half, so that many workers do not come at once.
 *
 * libmosquitto does the protocol; the waiting is the owner's, which polls connection_socket(). All that is
 * published while a message is handled is written afterwards, in the same connection_step(), and so is the
 * PUBACK of the message.
 *
 * Threads: the owner's.
 *
 * Ownership: a connection is embedded where its address does not change, borrows its settings' texts and owns
 * the rest.
 *
 * Failure: connection_open() and connection_publish() return false. Whatever happens to the network, the
 * connection is tried again; connection_is_refused() tells when that would be of no use.
 */
#ifndef WORKER_CONNECTION_H
#define WORKER_CONNECTION_H

#include "options.h"

#include <mosquitto.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#if LIBMOSQUITTO_VERSION_NUMBER < 2001000
#include <mqtt_protocol.h> /* from 2.1 on a part of mosquitto.h */
#endif

enum {
    CONNECTION_WHY = 256,
    CONNECTION_MIDS = 65536,     /* ids of messages in MQTT */
    CONNECTION_MESSAGES = 20000, /* that wait to be written or acknowledged, at most */
    CONNECTION_IN_FLIGHT = 200   /* that wait for a PUBACK, unless the broker wants fewer */
};

struct connection_settings {
    const struct worker_options *options;
    const char *client_id;
    uint32_t max_packet; /* the largest packet that the broker may send */
    size_t max_waiting;  /* bytes of all that waits to be written or acknowledged */
    bool forgets;        /* what was not acknowledged when the connection is lost is not sent again, and
                            what has come and was not read is not read any more */
    const char *will;    /* topic of a retained, empty will at QoS 1; NULL: none */
};

/* What the connection tells. None of these functions may end the connection. */
struct connection_events {
    void *context; /* given back as the first argument */
    void (*connected)(void *context);
    void (*lost)(void *context, const char *why); /* it was connected */
    void (*message)(void *context, const struct mosquitto_message *message,
                    const mosquitto_property *properties);
    /* The broker has answered a subscription: reason is the QoS, or an error of MQTT from 0x80 on. */
    void (*subscribed)(void *context, int mid, int reason);
    void (*log)(void *context, rpc_log_level level, const char *line);
};

enum connection_state {
    CONNECTION_AWAY,    /* until `retry` */
    CONNECTION_BEGUN,   /* the broker has not accepted it yet */
    CONNECTION_THERE,   /* connected */
    CONNECTION_LEAVING, /* DISCONNECT is on its way */
    CONNECTION_OVER     /* ended by connection_leave() */
};

struct connection {
    struct mosquitto *mosq;
    struct connection_settings settings;
    struct connection_events events;
    struct broker_address address;
    enum connection_state state;
    uint64_t since, retry;    /* of the state, and when to try again, nanoseconds */
    uint64_t kept;            /* when it was last looked after, nanoseconds */
    bool tcp_is_up;           /* of CONNECTION_BEGUN: the socket is connected */
    uint64_t delay;           /* until the next attempt but one, nanoseconds */
    uint64_t random;          /* state of the jitter */
    bool is_stale;            /* the broker has closed it, and has given up what is still to be read */
    bool was_there;           /* it was connected at least once */
    bool refused;             /* the broker would refuse the next attempt, too */
    bool refusal_is_told;     /* of a message, on this connection */
    bool has_shared;          /* the broker has shared subscriptions */
    char why[CONNECTION_WHY]; /* why it was lost, or could not be made */
    size_t waiting, waiting_bytes;
    size_t unsubscribing; /* UNSUBSCRIBEs that the broker has not acknowledged */
    uint32_t *sizes;      /* of what waits, by message id, plus 1; 0: nothing waits */
    bool *transient;      /* by message id: it is lost with the connection */
};

/* Begins to connect in the next connection_step(). Returns false: no memory, or options that libmosquitto
 * refuses, such as certificates that cannot be read; connection->why says which. */
bool connection_open(struct connection *connection, const struct connection_settings *settings,
                     const struct connection_events *events, uint64_t now);

/* Accepts a connection that was not opened, all zero. */
void connection_close(struct connection *connection);

/* The socket to poll, -1: there is none; and, if there is one, whether something waits to be written. */
int connection_socket(const struct connection *connection);
bool connection_wants_write(const struct connection *connection);

/* When connection_step() is to be called at the latest. */
uint64_t connection_due(const struct connection *connection);

/* Reads, writes, keeps alive, connects. revents: as poll() says of the socket, POLLRDHUP included. */
void connection_step(struct connection *connection, short revents, uint64_t now);

/* Whether the broker has refused the connection for good, before it was ever made. */
static inline bool connection_is_refused(const struct connection *connection)
{
    return connection->refused && !connection->was_there;
}

/* Whether nothing waits to be written or acknowledged. */
static inline bool connection_is_idle(const struct connection *connection)
{
    return !connection->waiting && !connection->unsubscribing;
}

/* Subscribes, and ends a subscription. Returns the id that `subscribed` gets, or -1. options: of MQTT 5. */
int connection_subscribe(struct connection *connection, const char *filter, int qos, int options);
void connection_unsubscribe(struct connection *connection, const char *filter);

/* Publishes. The payload is copied; the properties stay the caller's. Returns false: too much waits, no
 * memory, or the broker would not take it. */
bool connection_publish(struct connection *connection, const char *topic, const void *payload, size_t size,
                        int qos, bool retain, const mosquitto_property *properties);

/* Ends the connection as the network does: without DISCONNECT, so that the broker publishes the will; the
 * next attempt follows. why: for the log. Does nothing without a connection. */
void connection_cut(struct connection *connection, const char *why, uint64_t now);

/* Sends DISCONNECT. The connection is over when that is written, or at once if there is none. */
void connection_leave(struct connection *connection, uint64_t now);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The engine's outside world, as one struct of functions. plugin/ implements it on the broker, the unit
 * tests on arrays; a worker process that is an ordinary client would be a third.
 *
 * Everything here runs on the broker's thread, and nothing here may wait.
 */
#ifndef CORE_HOST_H
#define CORE_HOST_H

#include <mosquitto_rpc.h>

/* A connected client, borrowed for the time of one engine_receive(). */
struct host_client {
    const char *id;      /* not NULL, may be ""; UTF-8, as MQTT has it checked */
    const char *user;    /* NULL: anonymous */
    const char *address; /* NULL: the other end of a bridge which this broker opened */
    int version;         /* 3: MQTT 3.1, 4: MQTT 3.1.1, 5: MQTT 5.0 */
    bool bridge;         /* a bridge which this broker opened: neither ACLs nor guards hold for it */
};

/* One incoming PUBLISH, borrowed for the time of one engine_receive(). */
struct host_message {
    const struct host_client *client;
    const char *topic;
    const char *payload; /* not NULL, also when size is 0; followed by a NUL that size does not count */
    size_t size;         /* bytes */
    int qos;
    const char *response_topic; /* NULL: none; may be "" */
    const void *correlation;    /* NULL: none; an empty one is not NULL */
    size_t correlation_size;    /* bytes, at most 65535 */
};

/* A message to one client. All that it points at is borrowed for the time of the call, but for the payload.
 */
struct host_reply {
    const struct host_client *client;
    const char *topic;
    void *payload; /* of host->allocate() */
    size_t size;   /* bytes, at least 1 */
    int qos;
    const char *status;      /* "ok" or an error's code */
    const void *correlation; /* as in host_message */
    size_t correlation_size;
    uint32_t expiry; /* seconds until nobody needs it; 0: never */
};

/* A message to whoever subscribed; likewise. */
struct host_event {
    const struct host_client *client; /* whose call caused it; NULL: no call */
    const char *topic;
    void *payload; /* of host->allocate() */
    size_t size;   /* bytes, at least 1 */
    int qos;
    bool retain;
};

struct host {
    void *context; /* given back as the first argument; the host's own */

    /* Memory for a payload: size bytes, not zeroed. NULL: there is none. release() takes it back. */
    void *(*allocate)(void *context, size_t size);
    void (*release)(void *context, void *memory);

    /*
     * Sends a message. Returns true: it is on its way and the payload is the host's; false: it was
     * dropped (no memory), and the payload is still the engine's.
     */
    bool (*reply)(void *context, const struct host_reply *reply);
    bool (*announce)(void *context, const struct host_event *event);

    /* Writes a line of printable ASCII, without a newline. */
    void (*log)(void *context, rpc_log_level level, const char *line);

    /* Whether a topic filter, wildcards and all, covers a topic. */
    bool (*topic_matches)(void *context, const char *filter, const char *topic);

    double (*wall_clock)(void *context);        /* Unix time, seconds */
    uint64_t (*monotonic_clock)(void *context); /* nanoseconds since any fixed moment */
};

#endif

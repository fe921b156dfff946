// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The engine's outside world, as one struct of functions. plugin/ implements it on the broker, the unit
 * tests on arrays; a worker process that is an ordinary client would be a third.
 *
 * Everything here runs on the broker's thread but for wake(), and nothing here may wait.
 */
#ifndef CORE_HOST_H
#define CORE_HOST_H

#include <mosquitto_rpc.h>

/*
 * A connected client, borrowed for the time of one engine_receive(). The engine may copy it, id and all, and
 * use the copy until it is told of the connection's end.
 */
struct host_client {
    const char *id;         /* not NULL, may be ""; UTF-8, as MQTT has it checked */
    const char *user;       /* NULL: anonymous */
    const char *address;    /* NULL: the other end of a bridge which this broker opened */
    int version;            /* 3: MQTT 3.1, 4: MQTT 3.1.1, 5: MQTT 5.0 */
    bool bridge;            /* a bridge which this broker opened: neither ACLs nor guards hold for it */
    bool clean_start;       /* it asked for a new session when it connected */
    bool mounted;           /* behind a listener that hides a part of all topics; the host's own */
    const void *connection; /* tells it from other connections under its id; only ever compared. In a reply:
                               NULL: it has ended, and what waits for the reply is a session under its id */
};

/* How a connection ended. */
enum host_end {
    HOST_END_UNKNOWN,       /* the host does not know whether a session stays behind */
    HOST_END_SESSION_OVER,  /* none does */
    HOST_END_SESSION_WAITS, /* one does; a second end of the same connection tells that it was taken up again
                             */
    HOST_END_TAKEN_OVER     /* another connection under the same id took over, or took the session up */
};

struct host_ending {
    const char *id; /* not NULL */
    const void *connection;
    enum host_end kind;
    bool in_order;    /* the client took the connection down as MQTT demands, for all that the host knows */
    bool clean_start; /* as in host_client; of HOST_END_UNKNOWN, also set on a connection that was taken over
                       */
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
    const void *properties;     /* the host's own, for user_property() */
};

/* A message to one client. All that it points at is borrowed for the time of the call, but for the payload.
 */
struct host_reply {
    bool subscribed; /* to whoever has subscribed to the topic, instead of to the client whether or not it has
                      */
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

/* None of these functions calls the engine back. */
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

    /*
     * Copies the value of a message's first user property of this name, cut at size - 1 bytes and with a NUL.
     * Returns false: there is none.
     */
    bool (*user_property)(void *context, const struct host_message *message, const char *name, char *value,
                          size_t size);

    /*
     * engine_tick() is to be called soon. Called on any thread, also of several engines and threads at once.
     */
    void (*wake)(void *context);

    /* Writes a line of printable ASCII, without a newline. */
    void (*log)(void *context, rpc_log_level level, const char *line);

    /* Whether a topic filter, wildcards and all, covers a topic. */
    bool (*topic_matches)(void *context, const char *filter, const char *topic);

    double (*wall_clock)(void *context);        /* Unix time, seconds */
    uint64_t (*monotonic_clock)(void *context); /* nanoseconds since any fixed moment */
};

#endif

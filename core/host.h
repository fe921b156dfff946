// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The engine's outside world: what a host tells the engine, and one struct of functions that the engine asks
 * of it. plugin/ implements the functions on the broker, the unit tests on arrays.
 *
 * Threads: everything here runs on the broker's thread but wake(), and nothing here may wait.
 *
 * Ownership: the engine borrows clients and messages for the time of the call that hands them over, and may
 * copy them. The host borrows what a publication points at for the time of publish(), except the payload,
 * which is the host's once publish() has returned true.
 *
 * Failure: allocate() and publish() may fail for want of memory; the other functions cannot fail.
 */
#ifndef CORE_HOST_H
#define CORE_HOST_H

#include <mosquitto_rpc.h>

/* A client, as the connection shows it over which its message came. */
struct host_client {
    const char *id;   /* not NULL, may be ""; UTF-8, as MQTT has it checked */
    const char *user; /* NULL: anonymous */
    const char
        *address;     /* network address as text; NULL: the other end of a bridge that this broker opened */
    int version;      /* 3: MQTT 3.1, 4: MQTT 3.1.1, 5: MQTT 5.0; 0, in a replay alone: not known */
    bool bridge;      /* a bridge that this broker opened: neither ACLs nor guards hold for it */
    bool far_bridge;  /* the host knows that another broker has opened it as a bridge: what it gets is
                         published  there */
    bool clean_start; /* the client asked for a new session when it connected */
    bool served_late; /* it may get messages only in the next round of the host's loop; for the host alone */
    bool mounted;     /* behind a listener that hides a part of all topics; for the host alone */
    bool told_late;   /* the host may notice the end of the connection only some time after it; likewise */
    const void *mark; /* of the message that it came with, given to handled() and shown in what the message
                         causes; likewise; NULL: none */
    const void *connection; /* tells this connection from others with the same client id; only ever compared.
                               In a publication, NULL: whoever has the id */
};

/* How a connection ended. */
enum host_end {
    HOST_END_UNKNOWN,       /* the host does not know whether a session stays behind */
    HOST_END_SESSION_OVER,  /* the session ended with the connection */
    HOST_END_SESSION_WAITS, /* the session waits; a second end of the same connection tells that a connection
                               has resumed it */
    HOST_END_TAKEN_OVER     /* another connection with the same client id took over, or resumed the session */
};

/* The end of a connection. */
struct host_ending {
    const char *id;         /* the client id, not NULL */
    const void *connection; /* as in host_client */
    enum host_end kind;
    bool in_order;    /* the client sent DISCONNECT, as far as the host knows */
    bool clean_start; /* as in host_client; with HOST_END_UNKNOWN also set on a connection that was taken over
                       */
};

/* One incoming PUBLISH. */
struct host_message {
    const struct host_client *client;
    const char *topic;
    const char *payload; /* not NULL, also when size is 0; followed by a NUL that size does not count */
    size_t size;         /* bytes */
    int qos;
    const char *response_topic; /* NULL: none; may be "" */
    const void *correlation;    /* Correlation Data; NULL: none; an empty one is not NULL */
    size_t correlation_size;    /* bytes, at most 65535 */
    const void *properties;     /* for user_property() alone; NULL: it has no user properties */
};

/* A sign of a client's presence. The end of a connection is no such sign, but a host_ending. */
struct host_presence {
    rpc_sign sign;                    /* not RPC_SIGN_GONE */
    const struct host_client *client; /* of which id, user and connection must be set */
    const char *filter;               /* RPC_SIGN_SUBSCRIBED: the topic filter; else NULL */
};

/* What the host is to do with an incoming PUBLISH. */
enum engine_verdict {
    ENGINE_PASS,    /* not ours: leave it as it is */
    ENGINE_CONSUME, /* handled: deliver and store it nowhere */
    ENGINE_FORWARD, /* handled: deliver it, but do not store it */
    ENGINE_REFUSE   /* forged: deliver and store it nowhere, tell the client where MQTT can */
};

/* One outgoing PUBLISH. Properties reach MQTT 5 clients only. */
struct host_publication {
    const struct host_client *client; /* the receiver, on its connection and on no other; of a publication to
                                         subscribers, the client whose call caused it, or NULL: no call
                                         caused it */
    bool to_session;     /* the connection has ended: the session that it left behind is meant, as long as no
                            other connection has resumed it */
    bool to_subscribers; /* to all clients that have subscribed to the topic; else to `client` alone, whether
                            or not it has subscribed */
    const char *topic;
    void *payload; /* of host->allocate() */
    size_t size;   /* bytes */
    int qos;
    bool retain;              /* to subscribers only */
    uint32_t expiry;          /* Message Expiry Interval in seconds; 0: none */
    const char *content_type; /* of a payload that is UTF-8; NULL: none is sent */
    const char *response_topic;
    const void *correlation; /* Correlation Data; NULL: none */
    size_t correlation_size;
    const char *status; /* user property `status`: "ok" or an error's code; NULL: none is sent */
    bool repeated;      /* user property `repeated`: 1; the same reply was sent before */
    bool unchanged;     /* user property `unchanged`: 1; a success that is not announced; of a dispatched host
                           alone */
    const rpc_property *properties; /* further user properties; NULL: none */
    size_t property_count;
};

/* None of these functions calls the engine back. */
struct host {
    void *context; /* given back as the first argument; the host's own */

    /*
     * What the host can do. A host that sets none of these may be an ordinary client of a broker.
     *
     * knows_caller: the client of a message is the client that published it. Else all messages seem to come
     * from one client, which has no id for modules; calls count as the same only if they have the same
     * Response Topic as well; and there are no limits for each client.
     */
    bool knows_caller;

    /* publish() can send to one client. Else replies go to the subscribers of their topics. */
    bool replies_to_caller;

    /*
     * The host tells of the end of every connection. Else nothing is kept until then, and the redelivery
     * guard, which needs both the caller and the endings, is off.
     */
    bool tells_endings;

    /*
     * The calls were handed to this host by an engine elsewhere, which has their callers: that one announces
     * results and keeps dead letters, so this one does not; payloads are parameters and nothing around them;
     * each call may have a connection of its own, so that the end of a connection cancels one call; and the
     * options about where callers may have replies sent do not concern it.
     */
    bool dispatched;

    /*
     * The root of the topics of the counters, which the prefix and the counter's name follow. NULL: the
     * engine publishes no counters.
     */
    const char *counters_topic;

    /* The broker and its version, for people: "mosquitto 2.0.18"; NULL: unknown. Outlives the engine. */
    const char *broker;

    /* Memory for a payload: size bytes, not zeroed. NULL: no memory. release() takes it back; it accepts
     * NULL. */
    void *(*allocate)(void *context, size_t size);
    void (*release)(void *context, void *memory);

    /*
     * Sends a message. Returns true: the message is on its way, and the payload is the host's; false: no
     * memory, or more messages are on their way than the host keeps, and the payload is still the engine's.
     */
    bool (*publish)(void *context, const struct host_publication *publication);

    /*
     * Copies the value of a message's first user property of this name, cut at size - 1 bytes and with a NUL.
     * Returns false: the message has none.
     */
    bool (*user_property)(void *context, const struct host_message *message, const char *name, char *value,
                          size_t size);

    /*
     * A message whose client has a mark has been handled: what it was to cause has been published, or never
     * will be. May be NULL. It is not called for a message that there was no memory to handle.
     */
    void (*handled)(void *context, const void *mark);

    /* The engine wants engine_tick() to be called soon. Thread: any, also several at once. */
    void (*wake)(void *context);

    /*
     * One instance of a module more, or one less, wants a sign of each message that the broker receives:
     * while there is none, engine_presence() need not be called with RPC_SIGN_SEEN.
     */
    void (*watch_messages)(void *context, bool more);

    /* Writes a line of printable ASCII, without a newline. */
    void (*log)(void *context, rpc_log_level level, const char *line);

    /* Whether a topic filter, wildcards included, matches a topic. */
    bool (*topic_matches)(void *context, const char *filter, const char *topic);

    double (*wall_clock)(void *context);        /* Unix time, seconds */
    uint64_t (*monotonic_clock)(void *context); /* nanoseconds since any fixed moment */
};

#endif

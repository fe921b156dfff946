// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A host (core/host.h) for tests: it keeps the messages and log lines of the engine in arrays. It also checks
 * the rules that hold in every test: the engine publishes or frees each payload exactly once, each payload is
 * JSON unless it says otherwise, log lines are printable ASCII, and required members are set.
 *
 * Threads: the test's thread, but for wake(), which any thread may call.
 *
 * Ownership: the test embeds the host, which outlives its engine. Kept messages are the host's.
 *
 * Failure: a broken rule is kept in `fault`; fake_host_close() returns it.
 */
#ifndef FAKE_HOST_H
#define FAKE_HOST_H

#include "config.h"
#include "host.h"

#include <semaphore.h>

enum {
    FAKE_KEPT = 64,    /* messages and lines that are kept; later ones are only counted */
    FAKE_TOPIC = 1024, /* bytes of texts that are kept, with their NULs */
    FAKE_TEXT = 2048,
    FAKE_BYTES = 64
};

/* A reply or an event. */
struct fake_message {
    char topic[FAKE_TOPIC];
    char text[FAKE_TEXT]; /* the payload, or its beginning, as a string */
    char *payload;        /* the payload itself */
    size_t size;
    int qos;
    bool retain;
    bool subscribed; /* it goes to all subscribers of its topic */
    bool has_client;
    bool mounted;           /* the client is */
    const void *connection; /* of the client; only ever compared */
    bool to_session;        /* that the connection has left behind */
    bool repeated, unchanged;
    char client[FAKE_BYTES]; /* its id */
    char status[FAKE_BYTES + 1];
    char content_type[FAKE_BYTES]; /* "": none */
    char response_topic[FAKE_TOPIC];
    bool has_correlation;
    char correlation[FAKE_BYTES];
    size_t correlation_size;
    uint32_t expiry;
    char properties[FAKE_TEXT]; /* further user properties, "name=value;" each, or their beginning */
    size_t property_count;
};

struct fake_box {
    struct fake_message kept[FAKE_KEPT];
    size_t count;
};

struct fake_line {
    rpc_log_level level;
    char text[FAKE_TOPIC];
};

/* The host's own options. */
struct fake_options {
    const char *place; /* NULL: not given; "nowhere" is an invalid value */
};

/* The host's part of a configuration: the lines of options begin with opt_, and $SYS and $share are reserved.
 */
extern const struct config_host fake_config_host;

struct fake_host {
    struct host host;         /* to be given to the engine */
    size_t handled;           /* messages with a mark that have been handled */
    const void *handled_mark; /* of the last one */

    /* For tests to set. */
    double wall;
    uint64_t monotonic;
    uint64_t step;                /* the monotonic clock advances by this at each reading */
    const char *property, *value; /* a user property of every message of MQTT 5; NULL: none */
    const rpc_property *more;     /* further ones, up to one without a name; NULL: none */
    bool drop;                    /* publish() fails */
    bool no_memory;               /* allocate() fails */

    /* For tests to read. */
    struct fake_box replies, events;
    struct fake_box letters; /* dead ones */
    struct fake_box others;  /* that modules have sent */
    struct fake_line lines[FAKE_KEPT];
    size_t line_count;

    size_t watchers;   /* instances that want a sign of each message */
    size_t held;       /* payloads that the engine owns at the moment */
    const char *fault; /* the first broken rule; NULL: none */
    sem_t woken;       /* how often the engine has called wake() */
};

void fake_host_open(struct fake_host *fake);

/* Clears replies, events and log lines. */
void fake_host_forget(struct fake_host *fake);

/* Frees all. Returns the first broken rule, in words that follow "the engine gave its host", also if the
 * engine still owns a payload; NULL: none was broken. */
const char *fake_host_close(struct fake_host *fake);

/* Waits until the engine calls wake(). Returns false after `milliseconds` without a call. */
bool fake_host_wait(struct fake_host *fake, unsigned milliseconds);

/* Whether a log line contains this text. */
bool fake_host_logged(const struct fake_host *fake, const char *text);

#endif

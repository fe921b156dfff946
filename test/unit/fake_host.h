// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A host (core/host.h) on arrays: it keeps what the engine sends, for tests to look at. Some things hold for
 * everything that any test makes the engine say, and are checked here: each payload is handed over or taken
 * back exactly once and is JSON unless it says otherwise, log lines are printable ASCII, what has to be given
 * is given.
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
    bool subscribed; /* the message goes to all who have subscribed */
    bool has_client;
    const void *connection;  /* of the client; only ever compared */
    char client[FAKE_BYTES]; /* its id */
    char status[FAKE_BYTES + 1];
    char content_type[FAKE_BYTES]; /* "": none */
    char response_topic[FAKE_TOPIC];
    bool has_correlation;
    char correlation[FAKE_BYTES];
    size_t correlation_size;
    uint32_t expiry;
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
    const char *place; /* NULL: not given; "nowhere" is refused */
};

/* Its part of a configuration: options are named opt_…, and $SYS and $share are reserved. */
extern const struct config_host fake_config_host;

struct fake_host {
    struct host host; /* to be given to the engine */

    /* For tests to set. */
    double wall;
    uint64_t monotonic;
    uint64_t step;                /* what the monotonic clock moves with each look at it */
    const char *property, *value; /* the only user property of every message; NULL: none */
    bool drop;                    /* publish() takes nothing */
    bool no_memory;               /* allocate() has none */

    /* For tests to read. */
    struct fake_box replies, events;
    struct fake_box others; /* that modules have sent */
    struct fake_line lines[FAKE_KEPT];
    size_t line_count;

    size_t held;       /* payloads that are the engine's at the moment */
    const char *fault; /* the first thing that no host should see; NULL: none */
    sem_t woken;       /* how often the engine wanted to be called */
};

void fake_host_open(struct fake_host *fake);

/* Forgets what was sent and logged. */
void fake_host_forget(struct fake_host *fake);

/* Fails the test if something was wrong so far, or if the engine still holds a payload. Forgets all. */
void fake_host_close(struct fake_host *fake);

/* Waits until the engine wants to be called, at most so long. Returns whether it does. */
bool fake_host_wait(struct fake_host *fake, unsigned milliseconds);

/* Whether a line holds this text. */
bool fake_host_logged(const struct fake_host *fake, const char *text);

#endif

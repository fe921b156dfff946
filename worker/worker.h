// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The program mosquitto_rpc_worker: one service, one connection to a broker, and the mode in which the two
 * work together. A mode is a file with a struct worker_mode, which main.c chooses.
 *
 * Threads: one, on which everything runs but the work of the engines' own threads.
 *
 * Ownership: struct worker owns all parts.
 *
 * Failure: functions that return false have said why, in the log or in `why`.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "client_host.h"
#include "settings.h"

struct worker;

/* How a worker gets its calls. Functions may be NULL, but for connected() and message(). */
struct worker_mode {
    const char *word;  /* for the log */
    bool knows_caller; /* of each call, and `dispatched`: see struct host */
    bool dispatched;
    bool forgets; /* what the broker has not acknowledged when the connection is lost is not sent again */

    /* Before the service starts and the connection is made; may set worker->will. Returns false with why. */
    bool (*init)(struct worker *worker, char why[SERVICE_WHY]);
    void (*fini)(struct worker *worker);

    void (*connected)(struct worker *worker);
    void (*lost)(struct worker *worker);
    void (*message)(struct worker *worker, const struct mosquitto_message *message,
                    const mosquitto_property *properties);
    void (*subscribed)(struct worker *worker, int mid, int reason); /* see struct connection_events */

    /* See struct host. Without them, a message is published at its topic, and a property is that of MQTT. */
    bool (*publish)(struct worker *worker, const struct host_publication *publication);
    bool (*user_property)(void *worker, const struct host_message *message, const char *name, char *value,
                          size_t size);

    void (*handled)(struct worker *worker, const void *mark); /* likewise; NULL: messages have no marks */

    void (*tick)(struct worker *worker, uint64_t now); /* in each round */
    uint64_t (*due)(const struct worker *worker);      /* when tick() is to be called at the latest */

    void (*drain)(struct worker *worker);         /* from now on no calls are wanted */
    bool (*is_idle)(const struct worker *worker); /* draining: the mode waits for nothing any more */
};

enum worker_state {
    WORKER_RUNS,
    WORKER_DRAINS, /* until its calls have ended */
    WORKER_LEAVES, /* until the connection is over */
    WORKER_OVER
};

struct worker {
    struct settings settings;
    const struct worker_options *options; /* of the settings at start */
    char name[WORKER_NAME_MAX + 1];
    char client_id[256 + 1];
    const struct worker_mode *mode;
    void *mode_state; /* the mode's own */
    const char *will; /* see struct connection_settings */
    struct host host; /* as the service has it */
    struct client_host client;
    struct connection connection;
    struct service *service;
    int signals; /* a signalfd */
    enum worker_state state;
    bool is_ready;       /* and the service manager knows */
    uint64_t drained_at; /* when draining is over at the latest, nanoseconds */
    int code;            /* the program's exit code */
};

/* Makes everything of a worker of which settings, client.wake (-1) and signals (-1) are set, and begins to
 * connect. Returns false with why. To be ended with worker_stop() in any case. */
bool worker_start(struct worker *worker, const struct worker_mode *mode, char why[SERVICE_WHY]);

/* Works until the end. Returns the program's exit code. */
int worker_run(struct worker *worker);

/* Ends and frees everything, the settings included. */
void worker_stop(struct worker *worker);

/* Has the engine whose topic it is handle a message. Returns false: it is of none, or has left it alone. */
bool worker_receive(struct worker *worker, const struct host_message *message);

/* The mode gets calls from now on: the service manager is told, once. */
void worker_ready(struct worker *worker);

/* Ends the worker in order: drain, then leave. code: the program's exit code. */
void worker_drain(struct worker *worker, int code);

/* Ends the worker because it can do nothing any more, which has been logged. */
void worker_fail(struct worker *worker);

/* Writes a line to the log. */
void worker_log(rpc_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

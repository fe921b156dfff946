// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The RPC engine of one prefix, as its host sees it. Several live side by side; nothing is shared between
 * them but code. All functions belong on the broker's thread.
 */
#ifndef CORE_ENGINE_H
#define CORE_ENGINE_H

#include "host.h"

#include <mosquitto_rpc.h>

/* The counters: X(member, last level of its topic, what it counts). */
#define ENGINE_COUNTERS(X)                                                         \
    X(calls, "calls", "calls of registered methods")                               \
    X(errors, "errors", "calls of registered methods that ended with an error")    \
    X(unknown, "unknown", "calls of methods that nobody registered")               \
    X(replies, "replies", "replies sent")                                          \
    X(events, "events", "events announced, those of errors included")              \
    X(duplicates, "duplicates", "calls that came again and were not run again")    \
    X(limited, "limited", "messages of clients that call too often")               \
    X(suppressed, "suppressed", "errors that were not announced, being too many")  \
    X(refused, "refused", "forged events and replies that were refused")           \
    X(dropped, "dropped", "replies and events that could not be sent")             \
    X(timeouts, "timeouts", "calls whose deadline passed")                         \
    X(cancelled, "cancelled", "calls that were given up, their caller being gone") \
    X(overloaded, "overloaded", "calls for which there was no place to wait")      \
    X(late, "late", "results of work that nobody waited for any more")             \
    X(slow, "slow", "calls that took longer than slow_call")

struct engine_counters {
#define COUNTER(member, level, text) uint64_t member;
    ENGINE_COUNTERS(COUNTER)
#undef COUNTER
};

/* How an engine is to behave. What pointers point at outlives the engine. */
struct engine_options {
    const char *prefix;
    int qos;                           /* 0..2: highest of replies, that of events */
    size_t max_payload, max_reply;     /* bytes, at least 1 */
    uint32_t reply_expiry;             /* seconds; 0: never */
    bool forward_calls;                /* calls are delivered to subscribers as well */
    bool forward_unknown;              /* unknown methods are somebody else's */
    const char *response_topic_filter; /* a topic filter */
    bool guard_events;
    const char *event_publishers; /* user names, separated by spaces */
    bool bridge_calls;
    int max_batch;                             /* calls in a batch, at least 1 */
    const char *jsonrpc_methods;               /* names, separated by spaces; "*" is all */
    bool reply_to_subscribers;                 /* replies go to whoever has subscribed to their topic */
    uint64_t duplicate_window;                 /* nanoseconds; 0: duplicates are not looked for */
    size_t duplicate_entries, duplicate_bytes; /* at least 1 */
    uint64_t redelivery_guard;                 /* nanoseconds; 0: there is none */
    uint32_t rate_limit, rate_burst;           /* calls a second of one client, calls at once; 0: no limit */
    uint32_t error_rate;                       /* announced errors a second; 0: no limit */
    unsigned workers;                          /* threads for work, at least 1 */
    size_t max_pending;                        /* calls that wait, at least 1 */
    uint32_t timeout, timeout_max;             /* ms, at least 1; the most is what a caller may ask for */
    uint64_t slow_call;                        /* nanoseconds; 0: no handler is too slow */
    uint64_t sys_interval;                     /* nanoseconds; 0: no counters */
};

/* What becomes of the message. */
enum engine_verdict {
    ENGINE_PASS,    /* not ours: leave it as it is */
    ENGINE_CONSUME, /* handled: deliver and store it nowhere */
    ENGINE_FORWARD, /* handled: deliver it, but do not store it */
    ENGINE_REFUSE   /* forged: deliver and store it nowhere, tell the client where MQTT can */
};

enum { ENGINE_WHY = 640 };

struct engine;

/*
 * Makes an engine without methods. options and host are copied. Returns NULL when there is no memory.
 */
struct engine *engine_create(const struct engine_options *options, const struct host *host);

/*
 * Adds a module and starts it. module_options is a struct of its options shape, NULL if it has none, and
 * outlives the engine. Returns false, with why in one line, if its tables are wrong or its init failed; all
 * that is left to do with the engine then is to destroy it.
 */
bool engine_add_module(struct engine *engine, const rpc_module *module, const void *module_options,
                       char why[ENGINE_WHY]);

/*
 * Opens the methods of options->jsonrpc_methods at {prefix}/jsonrpc; to be called when all modules are there.
 * Returns false, with why in one line, if one of them does not exist.
 */
bool engine_open_methods(struct engine *engine, char why[ENGINE_WHY]);

/*
 * Begins to end: from now on nothing leaves, calls that wait are cancelled, and work that runs is told that
 * it is not wanted any more. Several engines are all told before the first one is destroyed, so that they end
 * at the same time. Accepts NULL.
 */
void engine_stop(struct engine *engine);

/*
 * Ends all modules and frees the engine, which is stopped first if it was not; accepts NULL. Waits at most
 * `patience` nanoseconds for work that runs. Returns true: no thread is left; false: some work has not
 * returned, and its threads go on, with what they use. The code they run must never be unloaded then.
 */
bool engine_destroy(struct engine *engine, uint64_t patience);

/* Whether a topic is the engine's business, a cheap question to ask of every message. */
bool engine_serves(const struct engine *engine, const char *topic);

/* Handles a message whose topic the engine serves. Replies and events leave before it returns. */
enum engine_verdict engine_receive(struct engine *engine, const struct host_message *message);

/*
 * A client's connection has ended; it need not be one that ever called. Its calls are cancelled, which may
 * send replies to its session and whatever the modules announce.
 */
void engine_client_ended(struct engine *engine, const struct host_ending *ending);

/*
 * To be called soon after host->wake(), at engine_due(), and now and then: ends calls whose work has come to
 * its end or whose deadline has passed, runs timers, publishes the counters that have changed, and forgets
 * what is too old to matter.
 */
void engine_tick(struct engine *engine);

/* The monotonic time at which engine_tick() is to be called next, nanoseconds; UINT64_MAX: at no certain one.
 * It may have changed after any call of the engine. */
uint64_t engine_due(const struct engine *engine);

const struct engine_counters *engine_counters(const struct engine *engine);

/* Calls visit for every registered method, in the order of registration. */
void engine_each_method(const struct engine *engine, void (*visit)(const rpc_method *method, void *context),
                        void *context);

#endif

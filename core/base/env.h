// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What all rooms of one engine share: its options, its host, its counters and its log. Everything that a
 * client can cause a log line for passes a limit, so that no client can fill a disk.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: an env is embedded in its engine. What the pointers of its options and its host point at
 * outlives the engine.
 *
 * Failure: none of these functions can fail.
 */
#ifndef CORE_BASE_ENV_H
#define CORE_BASE_ENV_H

#include "base/bucket.h"
#include "host.h"

#include <mosquitto_rpc.h>

/* How an engine is to behave. */
struct engine_options {
    const char *prefix;
    int qos;                           /* 0..2: highest of replies, that of events */
    size_t max_payload, max_reply;     /* bytes, at least 1 */
    uint32_t reply_expiry;             /* seconds; 0: never */
    bool forward_calls;                /* calls are delivered to subscribers as well */
    bool forward_unknown;              /* calls of unknown methods are left to other servers */
    const char *response_topic_filter; /* a topic filter */
    bool guard_events;
    const char *event_publishers; /* user names, separated by spaces */
    bool bridge_calls;
    int max_batch;               /* calls in a batch, at least 1 */
    const char *jsonrpc_methods; /* names, separated by spaces; "*" is all */
    bool reply_to_subscribers;   /* replies go to all clients that have subscribed to their topic */
    uint64_t duplicate_window;   /* nanoseconds; 0: duplicates are not looked for */
    size_t duplicate_entries, duplicate_bytes; /* at least 1 */
    uint64_t redelivery_guard;                 /* nanoseconds; 0: none */
    uint32_t rate_limit, rate_burst;           /* calls a second of one client, calls at once; 0: no limit */
    uint32_t error_rate;                       /* announced errors a second; 0: no limit */
    unsigned workers;                          /* worker threads, at least 1 */
    size_t max_pending;                        /* pending calls, at least 1 */
    uint32_t timeout, timeout_max;             /* ms, at least 1; a caller may ask for timeout_max at most */
    uint64_t slow_call;                        /* nanoseconds; 0: no handler is too slow */
    uint64_t sys_interval;                     /* nanoseconds; 0: no counters */
};

/* The counters: X(member, last level of its topic, what it counts). */
#define ENGINE_COUNTERS(X)                                                                  \
    X(calls, "calls", "calls of registered methods")                                        \
    X(errors, "errors", "calls of registered methods that ended with an error")             \
    X(unknown, "unknown", "calls of methods that no module registered")                     \
    X(replies, "replies", "replies sent")                                                   \
    X(events, "events", "events announced, those of errors included")                       \
    X(duplicates, "duplicates", "calls that came again and were not run again")             \
    X(limited, "limited", "messages of clients that call too often")                        \
    X(suppressed, "suppressed", "errors that error_rate kept from being announced")         \
    X(refused, "refused", "forged events, replies and inbox messages that were refused")    \
    X(dropped, "dropped", "replies and events that could not be sent")                      \
    X(timeouts, "timeouts", "calls whose deadline passed")                                  \
    X(cancelled, "cancelled", "calls that ended because their caller's connection did")     \
    X(overloaded, "overloaded", "calls refused or evicted because max_pending was reached") \
    X(late, "late", "results of work that came after their caller had been answered")       \
    X(slow, "slow", "calls that took longer than slow_call")

struct engine_counters {
#define COUNTER(member, level, text) uint64_t member;
    ENGINE_COUNTERS(COUNTER)
#undef COUNTER
};

/* A limit of log lines: for each level ten at once, and one a second on average. All zero: nothing was
 * logged. */
struct log_limit {
    struct {
        struct bucket bucket;
        uint64_t held; /* lines that were held back since one got through */
    } levels[RPC_LOG_ERROR + 1];
};

struct env {
    struct engine_options options;
    struct host host;
    struct engine_counters counters;
    struct log_limit log_limit; /* of the engine's own lines */
    bool stopping;              /* nothing is sent any more */
};

/* The time of the host's clock that never goes back, nanoseconds. */
uint64_t env_now(const struct env *env);

/* Unix time, seconds and their fraction. */
double env_wall_time(const struct env *env);

/*
 * Writes a log line with the prefix before it, if the limit lets it through: bytes that are not printable
 * ASCII become \xNN, and the text is cut at 512 bytes. A line that gets through after others were held back
 * is preceded by one that tells how many. env_log() takes the engine's own limit, env_log_limited() another
 * one.
 */
void env_log(struct env *env, rpc_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void env_log_limited(struct env *env, struct log_limit *limit, rpc_log_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * Counts and logs a function of a module that began at `start` (env_now()) if it has taken longer than
 * slow_call. what says which function, name whose it is.
 */
void env_check_time(struct env *env, const char *what, const char *name, uint64_t start);

#endif

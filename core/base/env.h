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

/* What becomes of calls of methods that no module registered: the choices of unknown_methods. */
enum { UNKNOWN_REJECT, UNKNOWN_FORWARD };

/* What becomes of members that a method does not declare: the choices of undeclared. */
enum { UNDECLARED_IGNORE, UNDECLARED_REFUSE };

/* Where replies go: the choices of reply_delivery. */
enum { DELIVERY_CLIENT, DELIVERY_SUBSCRIBED };

/* The limits of the options timeout and timeout_max, ms, and of max_pending, and of the same of a method. */
enum { ENV_TIMEOUT_MAX = 86400000, ENV_PENDING_MAX = 100000 };

/*
 * The options of an engine. Each member is the target of one row of the table of options, which says what
 * the option is, its unit, its range and its default; the members have the types of that table. NULL: a text
 * was not given. What is 0 in a duration or a limit is off.
 */
struct engine_options {
    const char *prefix; /* of this engine; as read, those of all engines, separated by spaces */
    int32_t qos;
    const char *modules; /* names, separated by spaces; NULL: all */
    bool forward_calls;
    int unknown_methods;
    int undeclared;
    const char *response_topic_filter;
    bool guard_events;
    const char *event_publishers; /* user names, separated by spaces */
    bool bridge_calls;
    const char *bridge_clients;         /* client ids, separated by spaces; NULL: none */
    const char *bridge_response_topics; /* filters, separated by spaces; NULL: the trees of replies */
    int32_t max_payload, max_reply;     /* bytes */
    int32_t reply_expiry;               /* seconds */
    int reply_delivery;
    int32_t max_batch;
    const char *jsonrpc_methods; /* names, separated by spaces; "*" is all; NULL: none */
    const char *methods_off;     /* names, separated by spaces; NULL: none */
    const char *placements;      /* names, each followed by its placement; NULL: none */
    int64_t duplicate_window;    /* ms */
    int32_t duplicate_entries;
    int32_t duplicate_bytes;
    int64_t redelivery_guard; /* ms */
    int32_t rate_limit, rate_burst;
    bool has_rate_burst; /* rate_burst was given */
    int32_t rate_bytes;
    int rate_limit_by; /* enum accounts_by of dedup/accounts.h */
    int32_t error_rate;
    bool dead_letters, dead_payload;
    int32_t workers;
    int32_t max_pending, max_pending_bytes;
    int32_t timeout, timeout_max; /* ms */
    int64_t sys_interval;         /* ms */
    int64_t slow_call;            /* ms */
    bool log_calls;
    bool recorder_payloads;
};

/* A duration of the options, ms, as the engine's clocks count it, nanoseconds. */
static inline uint64_t env_nanoseconds(int64_t milliseconds)
{
    return (uint64_t)milliseconds * 1000000;
}

/* The counters: X(member, last level of its topic, what it counts). */
#define ENGINE_COUNTERS(X)                                                                            \
    X(calls, "calls", "calls of registered methods")                                                  \
    X(errors, "errors", "calls of registered methods that ended with an error")                       \
    X(unknown, "unknown", "calls of methods that no module registered")                               \
    X(replies, "replies", "replies sent, interim replies included")                                   \
    X(events, "events", "events announced, those of errors included")                                 \
    X(duplicates, "duplicates", "redelivered and repeated calls that were not run again")             \
    X(limited, "limited", "messages refused because their client was over rate_limit or rate_bytes")  \
    X(suppressed, "suppressed", "errors not announced because error_rate was reached")                \
    X(refused, "refused", "forged events, replies and inbox messages that were refused")              \
    X(dropped, "dropped", "replies and events that could not be sent")                                \
    X(dead, "dead", "dead letters")                                                                   \
    X(timeouts, "timeouts", "calls whose deadline passed")                                            \
    X(cancelled, "cancelled", "calls that ended because their caller's connection did")               \
    X(overloaded, "overloaded",                                                                       \
      "calls refused or evicted because max_pending or max_pending_bytes was reached")                \
    X(late, "late", "results of work that were discarded because their call had already ended")       \
    X(slow, "slow", "functions of modules that took longer than slow_call")                           \
    X(dispatched, "dispatched", "calls handed to workers, those that are handed over again included") \
    X(redispatched, "redispatched",                                                                   \
      "calls handed to another worker because theirs had gone or refused them")                       \
    X(lost, "lost", "calls that a worker had not answered a minute after their deadline")             \
    X(untraced, "untraced", "spans that were not published: over 100 a second, over max_reply, or no memory")

struct counters {
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

/* Something that goes wrong at single moments. rpc.health tells of it until ENV_RECENT after the last of
 * them. All zero: it has never happened. */
struct env_incident {
    double since;  /* when it began, Unix seconds */
    uint64_t last; /* when it was last, monotonic nanoseconds; 0: never */
};

#define ENV_RECENT UINT64_C(60000000000) /* nanoseconds */

enum { ENV_RELOAD_WHY = 704 }; /* bytes that hold why a config_file was not taken */

/* What is known of the config_file, from which settings are read again while the broker runs. */
struct env_reload {
    const char *file;         /* its path */
    double read_at;           /* Unix time of the last attempt to read it */
    bool ok;                  /* whether its settings were taken then; else those before are in force */
    unsigned settings;        /* lines with a setting in the file whose settings are in force */
    char why[ENV_RELOAD_WHY]; /* why they were not taken, in one line; "" if they were */
};

struct env {
    struct engine_options options;   /* some change while the broker runs: those whose rows have .reloads */
    unsigned reloads;                /* how often they have changed */
    const struct env_reload *reload; /* of the service's owner; NULL: there is no config_file */
    struct host host;
    struct counters counters;
    struct log_limit log_limit; /* of the engine's own lines */
    struct env_incident late;   /* something was done more than a second after it was due */
    struct env_incident lost;   /* something was dropped for want of memory */
    bool health_is_stale;       /* something has happened that may have changed what rpc.health tells */
    bool stopping;              /* nothing is sent any more */
};

/* The time of the host's clock that never goes back, nanoseconds. */
static inline uint64_t env_now(const struct env *env)
{
    return env->host.monotonic_clock(env->host.context);
}

/* Unix time, seconds and their fraction. */
static inline double env_wall_time(const struct env *env)
{
    return env->host.wall_clock(env->host.context);
}

/* Whether an incident is told of at `now`, by the monotonic clock. */
static inline bool env_is_recent(const struct env_incident *incident, uint64_t now)
{
    return incident->last && now - incident->last < ENV_RECENT;
}

/* Notes that one of the env's incidents has happened. */
void env_note_incident(struct env *env, struct env_incident *incident);

/*
 * Writes a log line with the prefix before it, if the limit lets it through: bytes that are not printable
 * ASCII become \xNN, and the text is cut at 512 bytes. A line that gets through after others were held back
 * is preceded by one that tells how many. env_log() takes the engine's own limit, env_log_limited() another
 * one.
 */
void env_log(struct env *env, rpc_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Likewise, past every limit: for lines that somebody has asked for. */
void env_log_always(struct env *env, rpc_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void env_log_limited(struct env *env, struct log_limit *limit, rpc_log_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * Counts and logs a function of a module that began at `start` (env_now()) if it has taken longer than
 * slow_call. what says which function, name whose it is. Returns env_now().
 */
uint64_t env_check_time(struct env *env, const char *what, const char *name, uint64_t start);

#endif

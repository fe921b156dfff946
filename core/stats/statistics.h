// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What is counted of the calls of one method: how many there were, how they ended, how long they took.
 * Counting a call allocates nothing.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: statistics are embedded in what they count. statistics_fini() frees the counters of a method's
 * own errors. Codes are constants of the method's table and of RPC_STATUS_MAP; messages are copied.
 *
 * Failure: statistics_init() can fail for want of memory; nothing else can fail.
 */
#ifndef CORE_STATS_STATISTICS_H
#define CORE_STATS_STATISTICS_H

#include <mosquitto_rpc.h>

enum {
    STATISTICS_BUCKETS = 17,  /* the last one has no upper bound */
    STATISTICS_MESSAGE = 160, /* bytes of the last error's message that are kept, with the NUL */
};

/* The upper bounds of all buckets but the last, which belong to them: seconds. */
extern const double statistics_bounds[STATISTICS_BUCKETS - 1];

/* The last call that failed. */
struct statistics_error {
    const char *code; /* NULL: no call has failed */
    char message[STATISTICS_MESSAGE];
    double at; /* Unix time, seconds */
};

/* Calls without an outcome, and those whose work runs although they have one. */
struct statistics_open {
    size_t running, waiting;
};

/* All zero: no call was counted. Durations are nanoseconds from a call's arrival to its outcome. */
struct statistics {
    uint64_t calls;                       /* those with an outcome */
    uint64_t buckets[STATISTICS_BUCKETS]; /* how many took longer than the bound before, and not longer than
                                             this one */
    uint64_t sum, max;
    uint64_t
        statuses[RPC_STATUS_COUNT_]; /* by outcome; of RPC_RAISED all errors of the method's own together */
    uint64_t *raised;                /* those by row of the method's table of errors; NULL: it has none */
    struct statistics_error last;
    bool changed;                     /* since the owner has cleared this */
    struct statistics_open open;      /* as the owner has counted them last */
    struct statistics_open published; /* as the owner has published them last */
};

/* Makes room for the errors of a method, which are so many rows. Returns false: no memory. */
bool statistics_init(struct statistics *statistics, size_t errors);

/* Accepts what was not initialised but is all zero. */
void statistics_fini(struct statistics *statistics);

/* The duration that this share of the calls did not exceed, in seconds, as far as the buckets tell; 0: none
 * was counted. share: 0 to 1. */
double statistics_quantile(const struct statistics *statistics, double share);

/* Counts a call and its duration. */
void statistics_count(struct statistics *statistics, rpc_status status, uint64_t nanoseconds);

/*
 * Notes why a call failed, that was counted. code is its code on the wire; rows are the method's table of
 * errors, and code the very text of one of them if the method raised it.
 */
void statistics_note_error(struct statistics *statistics, const rpc_method *method, const char *code,
                           const char *message, double at);

#endif

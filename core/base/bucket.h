// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A token bucket, kept as one moment: that at which it is full again.
 *
 * Threads: a bucket belongs to the thread of its owner.
 *
 * Ownership: a bucket is embedded by its owner.
 *
 * Failure: cannot fail.
 */
#ifndef CORE_BASE_BUCKET_H
#define CORE_BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: full. */
struct bucket {
    uint64_t full_at; /* monotonic nanoseconds */
};

/* Takes tokens from a bucket that gets `rate` of them a second, whether it has them or owes them. */
static inline void bucket_owe(struct bucket *bucket, uint64_t now, uint32_t rate, uint32_t tokens)
{
    const uint64_t since = bucket->full_at > now ? bucket->full_at : now;
    bucket->full_at = since + tokens * UINT64_C(1000000000) / rate;
}

/*
 * Takes tokens from a bucket that holds `burst` tokens and gets `rate` of them a second, if it has at least
 * one; it may owe the rest, so that what comes as a whole is let in without letting more through on average.
 * now: monotonic nanoseconds. Returns false: the bucket is empty, and nothing was taken.
 */
static inline bool bucket_take(struct bucket *bucket, uint64_t now, uint32_t rate, uint32_t burst,
                               uint32_t tokens)
{
    const uint64_t each = UINT64_C(1000000000) / rate; /* nanoseconds that a token takes to come back */
    const uint64_t cost = each ? each : 1;
    const uint64_t since = bucket->full_at > now ? bucket->full_at : now;
    if (since + cost > now + burst * cost)
        return false;
    bucket_owe(bucket, now, rate, tokens);
    return true;
}

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Token buckets: see bucket.h. */
#include "base/bucket.h"

bool bucket_take(struct bucket *bucket, uint64_t now, uint32_t rate, uint32_t burst, uint32_t tokens)
{
    const uint64_t cost = UINT64_C(1000000000) / rate; /* nanoseconds that a token takes to come back */
    const uint64_t since = bucket->full_at > now ? bucket->full_at : now;
    if (since + cost > now + burst * cost)
        return false;
    bucket->full_at = since + tokens * cost;
    return true;
}

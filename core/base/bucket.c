// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Token buckets: see gate.h. */
#include "base/bucket.h"

static const uint64_t second = 1000000000;

bool bucket_take(uint64_t *full_at, uint64_t now, uint32_t rate, uint32_t burst, uint32_t tokens)
{
    const uint64_t cost = second / rate;
    const uint64_t since = *full_at > now ? *full_at : now;
    if (since + cost > now + burst * cost)
        return false;
    *full_at = since + tokens * cost;
    return true;
}

bool gate_passes(struct gate *gate, uint64_t now)
{
    if (bucket_take(&gate->full_at, now, GATE_PER_SECOND, GATE_BURST, 1))
        return true;
    gate->held++;
    return false;
}

uint64_t gate_take_held(struct gate *gate)
{
    const uint64_t held = gate->held;
    gate->held = 0;
    return held;
}

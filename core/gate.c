// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A token bucket kept as one moment, the one at which it would be full: see gate.h. */
#include "gate.h"

static const uint64_t second = 1000000000;

bool gate_passes(struct gate *gate, uint64_t now)
{
    const uint64_t cost = second / GATE_PER_SECOND;
    const uint64_t full_at = gate->full_at > now ? gate->full_at : now;
    if (full_at + cost > now + GATE_BURST * cost) {
        gate->held++;
        return false;
    }
    gate->full_at = full_at + cost;
    return true;
}

uint64_t gate_take_held(struct gate *gate)
{
    const uint64_t held = gate->held;
    gate->held = 0;
    return held;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Lets a burst of events through and then one for each second: whatever callers can cause a log line for
 * passes one, so that they cannot fill a disk. What was held back is counted and told with the next one.
 *
 * A gate belongs to the thread of whoever keeps it; there are none but on the broker's.
 */
#ifndef CORE_GATE_H
#define CORE_GATE_H

#include <stdbool.h>
#include <stdint.h>

enum { GATE_BURST = 10, GATE_PER_SECOND = 1 };

/*
 * A token bucket is kept as one moment, *full_at, at which it is full again; 0: it is full. It holds `burst`
 * tokens and gets `rate` of them a second. Takes some, if it has at least one, and may owe the rest, which
 * lets in what comes as a whole without letting more through on average. Returns whether it had one.
 */
bool bucket_take(uint64_t *full_at, uint64_t now, uint32_t rate, uint32_t burst, uint32_t tokens);

/* All zero: nothing has passed yet. */
struct gate {
    uint64_t full_at; /* monotonic nanoseconds; when the whole burst is free again */
    uint64_t held;    /* how many were held back since one passed */
};

/* Whether one more may pass at `now` (monotonic nanoseconds); if not, it is counted. */
bool gate_passes(struct gate *gate, uint64_t now);

/* How many were held back since the last call of this function. */
uint64_t gate_take_held(struct gate *gate);

#endif

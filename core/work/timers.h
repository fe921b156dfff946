// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The timers of modules: rpc_every(), rpc_after() and rpc_timer_cancel(), whose contracts stand in
 * mosquitto_rpc.h, and what the engine needs to run them.
 *
 * Threads: the broker's thread only. Handlers run in timers_run().
 *
 * Ownership: a timer belongs to the table of its engine. It is freed when it is cancelled, before it runs for
 * the only time, and by timers_fini(). Modules have its name, by which the table finds it as long as it
 * exists.
 *
 * Failure: starting a timer needs memory; running, moving and cancelling one does not.
 */
#ifndef CORE_WORK_TIMERS_H
#define CORE_WORK_TIMERS_H

#include "base/heap.h"

#include <mosquitto_rpc.h>

struct timer;

enum { TIMERS_MAX = 200000 };

/* All zero: no timer is set. */
struct timers {
    struct heap due;   /* keys are monotonic nanoseconds */
    uintptr_t *slots;  /* each has a timer or, odd, is free and twice the next free one's number, plus 1 */
    size_t used, room; /* slots that were ever used, and that there is memory for */
    size_t spare;      /* the number of the first free slot, from 1 on; 0: none */
    uint64_t last;     /* timers that were ever set: so ids are never used again */
};

/* When the next timer is due, monotonic nanoseconds; UINT64_MAX: none is set. */
static inline uint64_t timers_due(const struct timers *timers)
{
    const struct heap_node *first = heap_first(&timers->due);
    return first ? first->key : UINT64_MAX;
}

/* Runs the handlers of all timers that are due at `now`. Runs none once the engine is stopping. */
void timers_run(struct timers *timers, uint64_t now);

/* Frees all timers without running them. The table is empty afterwards. */
void timers_fini(struct timers *timers);

#endif

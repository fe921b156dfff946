// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Timers of modules on a heap of moments: see timers.h. */
#include "work/timers.h"

#include "base/instance.h"

#include <stdlib.h>

enum { TIMERS_MAX = 10000, NANOSECONDS = 1000000 /* in a millisecond */ };

struct rpc_timer {
    struct heap_node
        node; /* the first member: the heap's nodes are these; not set while it runs for the last time */
    rpc_instance *instance;
    rpc_timer_handler handler;
    void *data;
    uint64_t interval; /* nanoseconds; 0: once */
    bool cancelled;    /* by its own handler */
};

static rpc_timer *timers_start(rpc_instance *instance, uint64_t after, uint64_t interval,
                               rpc_timer_handler handler, void *data)
{
    struct timers *timers = instance->timers;
    if (instance->env->stopping || timers->due.count >= TIMERS_MAX)
        return NULL;
    rpc_timer *timer = calloc(1, sizeof *timer);
    if (!timer)
        return NULL;
    *timer = (rpc_timer){.instance = instance, .handler = handler, .data = data, .interval = interval};
    /* A timer that is started by a timer is not due in the same round, or the round could go on for ever. */
    if (heap_set(&timers->due, &timer->node, env_now(instance->env) + after + 1))
        return timer;
    free(timer);
    return NULL;
}

rpc_timer *rpc_every(rpc_instance *instance, uint32_t milliseconds, rpc_timer_handler handler, void *data)
{
    const uint64_t interval = (uint64_t)(milliseconds ? milliseconds : 1) * NANOSECONDS;
    return timers_start(instance, interval, interval, handler, data);
}

rpc_timer *rpc_after(rpc_instance *instance, uint32_t milliseconds, rpc_timer_handler handler, void *data)
{
    return timers_start(instance, (uint64_t)milliseconds * NANOSECONDS, 0, handler, data);
}

void rpc_timer_cancel(rpc_timer *timer)
{
    if (!timer)
        return;
    struct timers *timers = timer->instance->timers;
    timer->cancelled = true;
    if (timers->running == timer)
        return; /* its handler still runs */
    heap_remove(&timers->due, &timer->node);
    free(timer);
}

/* A repeated timer is moved before it runs: moving always works, while setting it afterwards could lack
 * memory. */
static void timers_run_one(struct timers *timers, rpc_timer *timer, uint64_t now)
{
    rpc_instance *instance = timer->instance;
    const bool is_timed = instance->env->options.slow_call > 0;
    const uint64_t start = is_timed ? env_now(instance->env) : 0;
    if (timer->interval) {
        const uint64_t missed = (now - timer->node.key) / timer->interval;
        heap_set(&timers->due, &timer->node, timer->node.key + (missed + 1) * timer->interval);
    } else {
        heap_remove(&timers->due, &timer->node);
    }
    timers->running = timer;
    timer->handler(instance, instance->state, timer->data);
    timers->running = NULL;
    if (is_timed)
        env_check_time(instance->env, "a timer of", instance->module->name, start);
    if (timer->interval && !timer->cancelled)
        return;
    heap_remove(&timers->due, &timer->node);
    free(timer);
}

/* When the engine stops, timers do not run any more but still exist: done and fini may cancel them. */
void timers_run(struct timers *timers, uint64_t now)
{
    struct heap_node *first;
    while ((first = heap_first(&timers->due)) && first->key <= now) {
        rpc_timer *timer = (rpc_timer *)first;
        if (timer->instance->env->stopping)
            return;
        timers_run_one(timers, timer, now);
    }
}

void timers_fini(struct timers *timers)
{
    struct heap_node *first;
    while ((first = heap_first(&timers->due))) {
        heap_remove(&timers->due, first);
        free(first);
    }
    heap_fini(&timers->due);
}

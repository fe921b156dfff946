// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Timers of modules on a heap of moments: see timers.h. */
#define HASH_NONFATAL_OOM 1

#include "work/timers.h"

#include "base/instance.h"

#include <stdlib.h>
#include <uthash.h>

enum { TIMERS_MAX = 200000, NANOSECONDS = 1000000 /* in a millisecond */ };

struct timer {
    struct heap_node node; /* the first member: the heap's nodes are these */
    UT_hash_handle hh;
    uint64_t id;
    rpc_instance *instance;
    rpc_timer_handler handler;
    void *data;
    uint64_t interval; /* nanoseconds; 0: once */
};

static void timers_free(struct timers *timers, struct timer *timer)
{
    heap_remove(&timers->due, &timer->node);
    if (timer->hh.tbl)
        HASH_DEL(timers->by_id, timer);
    free(timer);
}

static rpc_timer timers_start(rpc_instance *instance, uint64_t after, uint64_t interval,
                              rpc_timer_handler handler, void *data)
{
    struct timers *timers = instance->timers;
    const rpc_timer none = {.id = 0};
    if (!handler)
        env_log(instance->env, RPC_LOG_ERROR, "module %s starts a timer without a handler",
                instance->module->name);
    if (!handler || instance->env->stopping || timers->due.count >= TIMERS_MAX)
        return none;
    struct timer *timer = calloc(1, sizeof *timer);
    if (!timer)
        return none;
    *timer = (struct timer){.id = ++timers->last_id,
                            .instance = instance,
                            .handler = handler,
                            .data = data,
                            .interval = interval};
    HASH_ADD(hh, timers->by_id, id, sizeof timer->id, timer);
    /* A timer that is started by a timer is not due in the same round, or the round could go on for ever. */
    if (timer->hh.tbl && heap_set(&timers->due, &timer->node, env_now(instance->env) + after + 1))
        return (rpc_timer){instance, timer->id};
    timers_free(timers, timer);
    return none;
}

rpc_timer rpc_every(rpc_instance *instance, uint32_t milliseconds, rpc_timer_handler handler, void *data)
{
    const uint64_t interval = (uint64_t)(milliseconds ? milliseconds : 1) * NANOSECONDS;
    return timers_start(instance, interval, interval, handler, data);
}

rpc_timer rpc_after(rpc_instance *instance, uint32_t milliseconds, rpc_timer_handler handler, void *data)
{
    return timers_start(instance, (uint64_t)milliseconds * NANOSECONDS, 0, handler, data);
}

/* timer.instance is only compared, since the instance of another prefix may be gone. */
bool rpc_timer_cancel(rpc_instance *instance, rpc_timer timer)
{
    if (!timer.id)
        return false;
    if (timer.instance != instance) {
        env_log(instance->env, RPC_LOG_ERROR, "module %s cancels a timer of another instance",
                instance->module->name);
        return false;
    }
    struct timer *found;
    HASH_FIND(hh, instance->timers->by_id, &timer.id, sizeof timer.id, found);
    if (found)
        timers_free(instance->timers, found);
    return found != NULL;
}

/*
 * The handler may cancel the timer, so that nothing reads it afterwards. A repeated timer is moved before it
 * runs: moving always works, while setting it afterwards could lack memory.
 */
static void timers_run_one(struct timers *timers, struct timer *timer, uint64_t now)
{
    const struct timer due = *timer;
    rpc_instance *instance = due.instance;
    const bool is_timed = instance->env->options.slow_call > 0;
    const uint64_t start = is_timed ? env_now(instance->env) : 0;
    if (due.interval) {
        const uint64_t missed = (now - due.node.key) / due.interval;
        heap_set(&timers->due, &timer->node, due.node.key + (missed + 1) * due.interval);
    } else {
        timers_free(timers, timer);
    }
    due.handler(instance, instance->state, due.data);
    if (is_timed)
        env_check_time(instance->env, "a timer of", instance->module->name, start);
}

/* When the engine stops, timers do not run any more but still exist: done and fini may cancel them. */
void timers_run(struct timers *timers, uint64_t now)
{
    struct heap_node *first;
    while ((first = heap_first(&timers->due)) && first->key <= now) {
        struct timer *timer = (struct timer *)first;
        if (timer->instance->env->stopping)
            return;
        timers_run_one(timers, timer, now);
    }
}

void timers_fini(struct timers *timers)
{
    struct heap_node *first;
    while ((first = heap_first(&timers->due)))
        timers_free(timers, (struct timer *)first);
    heap_fini(&timers->due);
}

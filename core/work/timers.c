// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The timers of modules: rpc_every(), rpc_after(). Their contracts stand in mosquitto_rpc.h. They run in
 * engine_tick(), for which the host is told the moment (engine_due()).
 */
#include "call/engine_private.h"

#include <stdlib.h>

enum { TIMERS_MAX = 10000, NANOSECONDS = 1000000 /* in a millisecond */ };

struct rpc_timer {
    struct heap_node
        timer; /* the first member: the heap's entries are these; unset while it runs for the last time */
    rpc_instance *instance;
    rpc_timer_handler handler;
    void *data;
    uint64_t interval; /* nanoseconds; 0: once */
    bool cancelled;    /* by its own handler */
};

static rpc_timer *start(rpc_instance *instance, uint64_t after, uint64_t interval, rpc_timer_handler handler,
                        void *data)
{
    struct engine *engine = instance->engine;
    if (engine->env.stopping || engine->alarms.count >= TIMERS_MAX)
        return NULL;
    rpc_timer *timer = calloc(1, sizeof *timer);
    if (!timer)
        return NULL;
    timer->instance = instance;
    timer->handler = handler;
    timer->data = data;
    timer->interval = interval;
    /* One that is started by a timer is not due in the same round, or it could go on for ever. */
    if (heap_set(&engine->alarms, &timer->timer, env_now(&engine->env) + after + 1))
        return timer;
    free(timer);
    return NULL;
}

rpc_timer *rpc_every(rpc_instance *instance, uint32_t milliseconds, rpc_timer_handler handler, void *data)
{
    const uint64_t interval = (uint64_t)(milliseconds ? milliseconds : 1) * NANOSECONDS;
    return start(instance, interval, interval, handler, data);
}

rpc_timer *rpc_after(rpc_instance *instance, uint32_t milliseconds, rpc_timer_handler handler, void *data)
{
    return start(instance, (uint64_t)milliseconds * NANOSECONDS, 0, handler, data);
}

void rpc_timer_cancel(rpc_timer *timer)
{
    if (!timer)
        return;
    struct engine *engine = timer->instance->engine;
    timer->cancelled = true;
    if (engine->running == timer)
        return; /* its handler still runs */
    heap_remove(&engine->alarms, &timer->timer);
    free(timer);
}

/* The next moment of a timer that was due at `due`, later than now. */
static uint64_t next_moment(const rpc_timer *timer, uint64_t due, uint64_t now)
{
    const uint64_t missed = (now - due) / timer->interval;
    return due + (missed + 1) * timer->interval;
}

/* Moved before it runs: that always works, while setting it afterwards could want for memory. */
static void run(struct engine *engine, rpc_timer *timer, uint64_t now)
{
    const uint64_t start_time = engine->env.options.slow_call ? env_now(&engine->env) : 0;
    if (timer->interval)
        heap_set(&engine->alarms, &timer->timer, next_moment(timer, timer->timer.key, now));
    else
        heap_remove(&engine->alarms, &timer->timer);
    engine->running = timer;
    timer->handler(timer->instance, timer->instance->state, timer->data);
    engine->running = NULL;
    if (engine->env.options.slow_call)
        env_check_time(&engine->env, "a timer of", timer->instance->module->name, start_time);
    if (timer->interval && !timer->cancelled)
        return;
    heap_remove(&engine->alarms, &timer->timer);
    free(timer);
}

/* When the engine stops timers do not run any more, but are still there: done and fini may cancel them. */
void timers_run(struct engine *engine, uint64_t now)
{
    struct heap_node *first;
    while (!engine->env.stopping && (first = heap_first(&engine->alarms)) && first->key <= now)
        run(engine, (rpc_timer *)first, now);
}

void timers_fini(struct engine *engine)
{
    struct heap_node *first;
    while ((first = heap_first(&engine->alarms))) {
        heap_remove(&engine->alarms, first);
        free(first);
    }
    heap_fini(&engine->alarms);
}

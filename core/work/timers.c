// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Timers of modules on a heap of moments: see timers.h. */
#include "work/timers.h"

#include "base/instance.h"

#include <stdlib.h>

enum {
    TIMERS_MIN_ROOM = 16,
    SLOT_BITS = 18,       /* of an id: the timer's slot; the others make it unlike all ids before it */
    NANOSECONDS = 1000000 /* in a millisecond */
};

_Static_assert(TIMERS_MAX <= 1 << SLOT_BITS, "an id has room for each slot");

struct timer {
    struct heap_node node; /* the first member: the heap's nodes are these */
    uint64_t id;
    rpc_instance *instance;
    rpc_timer_handler handler;
    void *data;
    uint64_t interval; /* nanoseconds; 0: once */
};

static size_t timers_slot(uint64_t id)
{
    return id & ((1U << SLOT_BITS) - 1);
}

static struct timer *timers_find(const struct timers *timers, uint64_t id)
{
    const size_t slot = timers_slot(id);
    if (slot >= timers->used || timers->slots[slot] % 2)
        return NULL;
    struct timer *timer = (struct timer *)timers->slots[slot];
    return timer->id == id ? timer : NULL;
}

/* Gives a timer a slot and an id. Returns false if there is no memory. */
static bool timers_enter(struct timers *timers, struct timer *timer)
{
    if (!timers->spare && timers->used == timers->room) {
        const size_t room = timers->room ? 2 * timers->room : TIMERS_MIN_ROOM;
        uintptr_t *slots = realloc(timers->slots, room * sizeof *slots);
        if (!slots)
            return false;
        timers->slots = slots;
        timers->room = room;
    }
    const size_t slot = timers->spare ? timers->spare - 1 : timers->used++;
    if (timers->spare)
        timers->spare = timers->slots[slot] / 2;
    timers->slots[slot] = (uintptr_t)timer;
    timer->id = ++timers->last << SLOT_BITS | slot;
    return true;
}

static void timers_free(struct timers *timers, struct timer *timer)
{
    const size_t slot = timers_slot(timer->id);
    heap_remove(&timers->due, &timer->node);
    timers->slots[slot] = 2 * timers->spare + 1;
    timers->spare = slot + 1;
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
    if (!timer || !timers_enter(timers, timer)) {
        free(timer);
        return none;
    }
    timer->instance = instance;
    timer->handler = handler;
    timer->data = data;
    timer->interval = interval;
    /* A timer that is started by a timer is not due in the same round, or the round could go on for ever. */
    if (heap_set(&timers->due, &timer->node, env_now(instance->env) + after + 1))
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
    struct timer *found = timers_find(instance->timers, timer.id);
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
    free(timers->slots);
    *timers = (struct timers){.last = timers->last};
}

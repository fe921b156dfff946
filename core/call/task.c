// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What is not finished when its handler returns: calls that are kept open, for work or for something else to
 * happen, and work without a call. The functions of mosquitto_rpc.h for it are here; their contracts stand
 * there. A task ends exactly once, with its done: when its work has come back, when it is resumed, when its
 * deadline has passed, when its caller has gone, when it has to make room, when the engine stops.
 *
 * While work runs nothing of its task may go. So a caller that must be told before, is: the exchange is
 * concluded then, and call, memory and done wait until the work has returned.
 */
#include "call/engine_private.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { BACKGROUNDS_MAX = 256 };

static struct engine *engine_of(const struct task *task)
{
    return task->instance->engine;
}

/* ---- The beginning ---- */

static rpc_status fault(const rpc_call *call, const char *what)
{
    engine_log(call->engine, RPC_LOG_ERROR, "method %s %s", call->name, what);
    return RPC_INTERNAL_ERROR;
}

static bool is_full(const struct rpc_method *declared, const struct registry_method *method)
{
    return declared->max_pending && method->open >= declared->max_pending;
}

static rpc_status find_refusal(rpc_call *call)
{
    const rpc_method *declared = call->method->declared;
    if (!declared->done)
        return fault(call, "keeps its call open, and has no done to end it");
    if (call->task)
        return fault(call, "keeps its call open twice");
    if (call->over || call->engine->stopping)
        return RPC_CANCELLED;
    if (is_full(declared, call->method))
        return call_fail(call, RPC_OVERLOADED, "%u calls of the method are open, and that is the most",
                         (unsigned)declared->max_pending);
    return RPC_OK;
}

/* Notes that the engine and not the handler is to blame for what the handler returns now. */
static rpc_status refuse(rpc_call *call, rpc_status status)
{
    call->engine->counters.overloaded += status == RPC_OVERLOADED;
    call->refusal = status;
    return status;
}

/* What the caller has set comes first, then what the method has, then what is configured. */
static uint64_t deadline_of(const rpc_call *call)
{
    const struct exchange *exchange = call->exchange;
    const uint32_t own = call->method->declared->timeout;
    const uint32_t usual = own ? own : call->engine->options.timeout;
    return exchange->now + (exchange->timeout ? exchange->timeout : usual) * UINT64_C(1000000);
}

static void enter(struct task *task)
{
    struct engine *engine = engine_of(task);
    rpc_call *call = task->call;
    DL_APPEND(engine->tasks, task);
    if (!call) {
        engine->backgrounds++;
        return;
    }
    call->task = task;
    call->method->open++;
    DL_APPEND2(call->exchange->tasks, task, item_before, item_after);
    call->exchange->holds++;
    call->exchange->unknown++;
}

/* Its place and its deadline, as far as it has them. */
static void give_back(struct task *task)
{
    struct engine *engine = engine_of(task);
    heap_remove(&engine->deadlines, &task->deadline);
    slots_leave(&engine->places, &task->slot);
}

/* The task of a call that may be kept open. NULL: no memory. */
static struct task *make_task(rpc_call *call, const struct digest *owner, void *data)
{
    struct engine *engine = call->engine;
    struct task *task = arena_alloc(&call->arena, sizeof *task);
    if (!task)
        return NULL;
    task->instance = call->method->instance;
    task->call = call;
    task->done = call->method->declared->done;
    task->job.data = data;
    task->job.owner = *owner;
    if (slots_enter(&engine->places, &task->slot, owner) &&
        heap_set(&engine->deadlines, &task->deadline, deadline_of(call)))
        return task;
    give_back(task);
    return NULL;
}

static struct digest digest_of_text(const struct engine *engine, const void *scope, const char *text)
{
    const struct digest_part parts[] = {{&scope, sizeof scope}, {text, strlen(text)}};
    return digest_of(engine->seed, parts, 2);
}

/* ---- Places ---- */

/* What has lost its place ends when the handler that got it has returned: done never runs inside a handler.
 */
static void condemn(struct task *task, rpc_status outcome)
{
    struct engine *engine = engine_of(task);
    give_back(task);
    DL_DELETE(engine->tasks, task);
    DL_APPEND(engine->condemned, task);
    task->condemned = true;
    task->outcome = outcome;
}

/* What a worker has begun does not wait any more. */
static void free_places(struct engine *engine)
{
    for (rpc_job *job = pool_take_begun(engine->pool); job; job = job->begun)
        slots_leave(&engine->places, &((struct task *)job)->slot);
}

static bool is_crowded(const struct engine *engine)
{
    return engine->places.count >= engine->options.max_pending;
}

/* Whoever has most of the places gives one to whoever has fewer. */
static bool make_place(struct engine *engine, const struct digest *owner)
{
    struct slot *slot = slots_find_evictable(&engine->places, owner);
    if (!slot)
        return false;
    struct task *task = (struct task *)(void *)((char *)slot - offsetof(struct task, slot));
    if (!task->working || pool_withdraw(engine->pool, &task->job))
        condemn(task, RPC_OVERLOADED);
    else
        slots_leave(&engine->places, slot); /* it has begun just now */
    return true;
}

/* What has begun is only looked for where it matters: it makes the count smaller, never larger. */
static bool has_place(struct engine *engine, const struct digest *owner)
{
    if (!is_crowded(engine))
        return true;
    free_places(engine);
    return !is_crowded(engine) || make_place(engine, owner);
}

/* ---- Starting ---- */

static rpc_status start(struct task *task, const char *lane)
{
    struct engine *engine = engine_of(task);
    const struct digest key = lane ? digest_of_text(engine, task->instance, lane) : (struct digest){{0}};
    task->working = true;
    if (!pool_submit(engine->pool, &task->job, lane ? &key : NULL))
        return RPC_INTERNAL_ERROR;
    enter(task);
    return RPC_PENDING;
}

/* The task of a call that has found a place. Returns RPC_OK, or why there is none. */
static rpc_status keep_open(rpc_call *call, void *data, struct task **task)
{
    struct engine *engine = call->engine;
    const rpc_status status = find_refusal(call);
    if (status != RPC_OK)
        return status;
    const struct digest owner = digest_of_text(engine, NULL, rpc_caller_id(call));
    if (!has_place(engine, &owner))
        return call_fail(call, RPC_OVERLOADED, "%zu calls wait, and that is the most",
                         engine->options.max_pending);
    *task = make_task(call, &owner, data);
    return *task ? RPC_OK : RPC_INTERNAL_ERROR;
}

rpc_status rpc_start(rpc_call *call, const char *lane, void *data)
{
    const rpc_method *declared = call->method->declared;
    struct task *task;
    if (!declared->work)
        return fault(call, "starts work, and has none");
    rpc_status status = keep_open(call, data, &task);
    if (status != RPC_OK)
        return refuse(call, status);
    task->job.work = declared->work;
    task->job.priority = declared->priority;
    status = start(task, lane);
    if (status == RPC_PENDING)
        return status;
    give_back(task);
    return refuse(call, status);
}

rpc_status rpc_defer(rpc_call *call, void *data)
{
    struct task *task;
    const rpc_status status = keep_open(call, data, &task);
    if (status != RPC_OK)
        return refuse(call, status);
    enter(task);
    return RPC_PENDING;
}

/* It takes no place of a call, and has a limit of its own. */
rpc_status rpc_background(rpc_instance *instance, const char *lane, rpc_work work, rpc_done done, void *data)
{
    struct engine *engine = instance->engine;
    if (engine->stopping)
        return RPC_CANCELLED;
    if (engine->backgrounds >= BACKGROUNDS_MAX)
        return RPC_OVERLOADED;
    struct task *task = calloc(1, sizeof *task);
    if (!task)
        return RPC_INTERNAL_ERROR;
    task->instance = instance;
    task->done = done;
    task->job.data = data;
    task->job.work = work;
    task->job.priority = RPC_PRIORITY_LOW;
    const rpc_status status = start(task, lane);
    if (status != RPC_PENDING)
        free(task);
    return status;
}

/* ---- The end ---- */

/* How often a status that the engine itself gives was given. */
static void count(struct engine *engine, rpc_status outcome)
{
    struct engine_counters *counters = &engine->counters;
    counters->timeouts += outcome == RPC_TIMEOUT;
    counters->cancelled += outcome == RPC_CANCELLED;
    counters->overloaded += outcome == RPC_OVERLOADED;
}

static void leave(struct task *task)
{
    struct engine *engine = engine_of(task);
    give_back(task);
    if (task->condemned)
        DL_DELETE(engine->condemned, task);
    else
        DL_DELETE(engine->tasks, task);
    if (!task->call) {
        engine->backgrounds--;
        return;
    }
    task->call->method->open--;
    DL_DELETE2(task->call->exchange->tasks, task, item_before, item_after);
}

static void set_busy(rpc_call *call, bool busy)
{
    if (call)
        call->busy = busy;
}

static rpc_status run_done(const struct task *task, rpc_status outcome)
{
    struct engine *engine = engine_of(task);
    rpc_call *call = task->call;
    const uint64_t start_time = engine->options.slow_call ? engine_now(engine) : 0;
    set_busy(call, true);
    const rpc_status status =
        task->done(call, task->instance->state, task->job.data, outcome, call ? call->result : NULL);
    set_busy(call, false);
    if (engine->options.slow_call)
        call_check_time(engine, "done of", call ? call->name : task->instance->module->name, start_time);
    return status;
}

/* The call is told what its done came to, unless that has kept it open again. */
static void conclude(rpc_call *call, rpc_status outcome, rpc_status status)
{
    if (call_stays_open(call, status))
        call->exchange->unknown--; /* the new task counts */
    else
        exchange_conclude(call, outcome == RPC_OK ? call_check_outcome(call, status) : outcome);
}

static void end_call(struct task *task, rpc_status outcome)
{
    rpc_call *call = task->call;
    struct exchange *exchange = call->exchange;
    const bool told = task->told;
    call->task = NULL;
    call->begun |= outcome == RPC_OK;
    call->over = outcome != RPC_OK;
    const rpc_status status = run_done(task, outcome);
    if (!told) {
        count(call->engine, outcome);
        conclude(call, outcome, status);
    }
    if (call->own_memory && !call->task)
        call_end(call);
    exchange_release(exchange);
}

/* Its done runs now, and it is gone afterwards. */
static void end(struct task *task, rpc_status outcome)
{
    leave(task);
    if (task->call) {
        end_call(task, outcome);
        return;
    }
    run_done(task, outcome);
    free(task);
}

/* One that has lost its place, but has not been told so yet, has come to its end in time all the same. */
void rpc_resume(rpc_call *call)
{
    struct task *task = call->task;
    if (!task || task->working)
        fault(call, "resumes a call that it has not deferred");
    else if (call->busy)
        fault(call, "resumes a call whose handler has not returned");
    else
        end(task, RPC_OK);
}

/* ---- Before the end ---- */

/*
 * For those who ask whether it may run again: its work never begins, and it would have been the call's first.
 * What a call waits for that was deferred may have been begun by its handler.
 */
static void note_unbegun(const struct task *task)
{
    const rpc_call *call = task->call;
    if (call)
        call->exchange->unbegun = task->working && !call->exchange->batch && !call->begun;
}

/* The caller is told now, whether or not its work can be kept from running. */
static void give_up(struct task *task, rpc_status outcome)
{
    struct engine *engine = engine_of(task);
    rpc_call *call = task->call;
    if (!task->working || pool_withdraw(engine->pool, &task->job)) {
        note_unbegun(task);
        end(task, outcome);
        return;
    }
    pool_disown(&task->job);
    task->hangs = engine->hanging = true;
    heap_remove(&engine->deadlines, &task->deadline);
    task->outcome = outcome;
    task->told = true;
    if (!call)
        return;
    call->over = true;
    count(engine, outcome);
    exchange_conclude(call, outcome);
}

/*
 * Other threads take the places of those that are still at work for nobody. Not before all are given up that
 * are to be: else those threads might begin what is given up next.
 */
static void replace_hanging(struct engine *engine)
{
    struct task *task;
    if (!engine->hanging)
        return;
    engine->hanging = false;
    DL_FOREACH(engine->tasks, task)
    {
        if (task->hangs)
            pool_replace(engine->pool, &task->job);
        task->hangs = false;
    }
}

void task_expire(struct engine *engine, uint64_t now)
{
    struct heap_node *first;
    while ((first = heap_first(&engine->deadlines)) && first->key <= now)
        give_up((struct task *)(void *)((char *)first - offsetof(struct task, deadline)), RPC_TIMEOUT);
    replace_hanging(engine);
}

void task_end_condemned(struct engine *engine)
{
    struct task *task;
    while ((task = engine->condemned)) {
        note_unbegun(task);
        task->call->exchange->begun = !task->call->exchange->unbegun;
        end(task, task->outcome);
    }
}

static bool goes_with_its_caller(const struct task *task)
{
    return !task->told && !task->condemned && !task->call->method->declared->must_finish;
}

static struct task *find_item(const struct exchange *exchange)
{
    struct task *task = exchange->gone ? exchange->tasks : NULL;
    while (task && !goes_with_its_caller(task))
        task = task->item_after;
    return task;
}

static struct task *find_gone(const struct engine *engine, const void *id)
{
    const struct connection *connection = connections_find(&engine->connections, id);
    struct task *found = NULL;
    for (struct exchange *exchange = connection ? connection->exchanges : NULL; exchange && !found;
         exchange = exchange->next)
        found = find_item(exchange);
    return found;
}

/* Any done may end other tasks: so one is looked for at a time. */
void task_cancel_gone(struct engine *engine, const void *id)
{
    struct task *task;
    while ((task = find_gone(engine, id)))
        give_up(task, RPC_CANCELLED);
    replace_hanging(engine);
}

void task_collect(struct engine *engine)
{
    rpc_job *job = pool_collect(engine->pool), *next;
    if (job)
        free_places(engine);
    for (; job; job = next) {
        next = job->next;
        struct task *task = (struct task *)job;
        engine->counters.late += task->told && task->call;
        end(task, task->told ? task->outcome : engine->stopping ? RPC_CANCELLED : RPC_OK);
    }
}

/* ---- The end of all ---- */

static bool must_finish(const struct task *task)
{
    return task->working && task->call && task->call->method->declared->must_finish;
}

static struct task *find_stoppable(const struct engine *engine)
{
    struct task *task;
    DL_FOREACH(engine->tasks, task)
    {
        if (!task->told && !must_finish(task))
            return task;
    }
    return NULL;
}

/* Work that must finish goes on as long as the engine waits; all other work is given up. */
void task_stop(struct engine *engine)
{
    struct task *task;
    task_end_condemned(engine);
    while ((task = find_stoppable(engine)))
        give_up(task, RPC_CANCELLED);
    replace_hanging(engine);
}

/*
 * What is left now has not begun and never will, or has not returned. What has not returned goes on with its
 * memory and its module's, which are left to it.
 */
bool task_finish(struct engine *engine, uint64_t patience)
{
    const bool ended = !engine->pool || pool_stop(engine->pool, patience);
    struct task *task, *next;
    if (engine->pool)
        task_collect(engine);
    DL_FOREACH_SAFE(engine->tasks, task, next)
    {
        if (pool_withdraw(engine->pool, &task->job))
            end(task, RPC_CANCELLED);
        else
            task->instance->abandoned = true;
    }
    heap_fini(&engine->deadlines);
    slots_fini(&engine->places);
    if (ended)
        pool_destroy(engine->pool);
    else
        engine_log(engine, RPC_LOG_WARNING, "some work has not returned, and is left behind");
    return ended;
}

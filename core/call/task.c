// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Pending calls and background work: see task.h. */
#include "call/task.h"

#include "base/instance.h"
#include "base/text.h"
#include "call/connections.h"
#include "call/copies.h"
#include "call/dispatch.h"
#include "call/engine_parts.h"
#include "call/exchange.h"
#include "call/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct tasks *tasks_create(const struct env *env)
{
    struct tasks *tasks = calloc(1, sizeof *tasks);
    if (!tasks)
        return NULL;
    tasks->pool = pool_create((unsigned)env->options.workers, env->host.wake, env->host.context);
    if (tasks->pool)
        return tasks;
    free(tasks);
    return NULL;
}

/* ---- Whether a call may become pending ---- */

static rpc_status task_fault(const rpc_call *call, const char *what)
{
    env_log(&call->engine->env, RPC_LOG_ERROR, "method %s %s", call->name, what);
    return RPC_INTERNAL_ERROR;
}

static rpc_status task_check(rpc_call *call)
{
    const rpc_method *declared = call->method->declared;
    if (call->task)
        return task_fault(call, "makes its call pending twice");
    if (call->state >= CALL_ENDING || call->engine->env.stopping)
        return RPC_CANCELLED;
    if (declared->max_pending && call->method->open >= declared->max_pending)
        return call_fail(call, RPC_OVERLOADED, "%u calls of the method are pending, and it allows no more",
                         (unsigned)declared->max_pending);
    return RPC_OK;
}

/* ---- Slots ---- */

/* Gives back the task's slot, its deadline and the bytes of its call, as far as it has them. */
static void task_give_back(struct task *task)
{
    struct engine *engine = task->instance->engine;
    heap_remove(&engine->tasks->deadlines, &task->deadline);
    slots_leave(&engine->slots, &task->slot);
    if (task->call)
        slots_let_go(&engine->slots, &task->call->held);
}

void tasks_note_begun(struct engine *engine)
{
    for (rpc_job *job = pool_take_begun(engine->tasks->pool); job; job = job->begun) {
        struct task *task = (struct task *)job;
        task->begun = true;
        slots_leave(&engine->slots, &task->slot);
    }
}

/*
 * Evicts the call that has a slot, unless its work has begun just now: then only the slot is free. The call
 * is answered with this text after the handler that evicted it returns: done never runs inside a handler.
 * What it holds counts as free at once, and so does its exchange, with the copies that wait for it, if
 * nothing else is pending there.
 */
static void tasks_evict(struct engine *engine, struct slot *slot, const char *why)
{
    struct tasks *tasks = engine->tasks;
    struct task *task = (struct task *)(void *)((char *)slot - offsetof(struct task, slot));
    if (task->has_work && !pool_withdraw(tasks->pool, &task->job)) {
        slots_leave(&engine->slots, slot);
        return;
    }
    task_give_back(task);
    struct exchange *exchange = task->call->exchange;
    if (++exchange->pending.evicted == exchange->pending.holds) {
        slots_let_go(&engine->slots, &exchange->pending.held);
        copies_let_go(engine, exchange);
    }
    DL_DELETE(tasks->pending, task);
    DL_APPEND(tasks->evicted, task);
    task->state = TASK_EVICTED;
    task->outcome = RPC_OVERLOADED;
    task->evicted = why;
}

/*
 * Makes sure that a slot is free for this client. Work that has begun needs its slot no more, which is looked
 * at only when the table is full. Returns false: the table is full, and no client has so many slots that it
 * loses one, or it has more than it may have since max_pending has become smaller.
 */
static bool tasks_make_slot(struct engine *engine, const struct digest *client)
{
    const size_t max = (size_t)engine->env.options.max_pending;
    if (engine->slots.count >= max)
        tasks_note_begun(engine);
    struct slot *slot = engine->slots.count == max ? slots_find_evictable(&engine->slots, client) : NULL;
    if (slot)
        tasks_evict(engine, slot, "too many calls are waiting: see max_pending");
    return engine->slots.count < max;
}

/* Makes sure that this client may hold so many bytes more. Returns false: it may not, and no client that has
 * slots holds so much that it loses them, or no eviction would help. */
static bool tasks_make_room(struct engine *engine, const struct digest *client, size_t bytes)
{
    const size_t max = (size_t)engine->env.options.max_pending_bytes;
    struct slot *slot = NULL;
    while (bytes <= max && engine->slots.bytes + bytes > max &&
           (slot = slots_find_largest(&engine->slots, client, bytes)))
        tasks_evict(engine, slot, "the calls that wait hold too many bytes: see max_pending_bytes");
    return engine->slots.bytes + bytes <= max;
}

/* ---- The beginning ---- */

struct digest task_lane_key(const rpc_instance *instance, const char *lane)
{
    const struct digest_part parts[] = {{&instance, sizeof instance}, {lane, strlen(lane)}};
    return digest_of(instance->engine->dedup.seed, parts, 2);
}

static void task_set_lane(struct task *task, const char *lane)
{
    size_t characters;
    task->has_lane = true;
    task->lane_key = task_lane_key(task->instance, lane);
    if (text_is_utf8(lane, &characters))
        snprintf(task->lane, sizeof task->lane, "%.*s", (int)text_cut(lane, sizeof task->lane - 1), lane);
    else
        text_printable(lane, task->lane, sizeof task->lane);
}

static uint32_t task_usual_timeout(const rpc_call *call)
{
    const uint32_t own = call->method->declared->timeout;
    return own ? own : (uint32_t)call->engine->env.options.timeout;
}

/* The deadline that the caller has set comes first, then the handler's, the method's, the configured one. */
static uint64_t task_deadline(const rpc_call *call)
{
    const struct exchange *exchange = call->exchange;
    const uint32_t usual = call->timeout ? call->timeout : task_usual_timeout(call);
    const uint32_t timeout = exchange->pending.timeout ? exchange->pending.timeout : usual;
    return exchange->now + timeout * UINT64_C(1000000);
}

void rpc_call_set_timeout(rpc_call *call, uint32_t milliseconds)
{
    call->timeout = milliseconds;
}

uint32_t rpc_call_left(const rpc_call *call)
{
    const uint64_t deadline = call->method->may_pend ? task_deadline(call) : 0;
    const uint64_t now = env_now(&call->engine->env);
    const uint64_t millisecond = env_nanoseconds(1);
    return deadline > now ? (uint32_t)((deadline - now + millisecond - 1) / millisecond) : 0;
}

/* Takes what the task needs in the name of its client; waits: also a slot. Returns RPC_OK, or why it cannot.
 */
static rpc_status task_take(struct task *task, const struct digest *client, bool waits)
{
    rpc_call *call = task->call;
    struct engine *engine = call->engine;
    struct exchange *exchange = call->exchange;
    const size_t own = call_bytes(call), shared = exchange_bytes(exchange);
    if (waits && !tasks_make_slot(engine, client))
        return call_fail(call, RPC_OVERLOADED, "%d calls wait, and max_pending allows no more",
                         engine->env.options.max_pending);
    if (!tasks_make_room(engine, client, own + shared - exchange->pending.held.bytes))
        return call_fail(call, RPC_OVERLOADED,
                         "the calls that wait hold as many bytes as max_pending_bytes allows, which is %d",
                         engine->env.options.max_pending_bytes);
    if (!call->timeout) /* the option may change while the call is pending, and its deadline does not */
        call->timeout = task_usual_timeout(call);
    return slots_hold(&engine->slots, &exchange->pending.held, client, shared) &&
                   slots_hold(&engine->slots, &call->held, client, own) &&
                   (!waits || slots_enter(&engine->slots, &task->slot, client)) &&
                   heap_set(&engine->tasks->deadlines, &task->deadline, task_deadline(call))
               ? RPC_OK
               : RPC_INTERNAL_ERROR;
}

/* The call, its exchange and the trace do not change while the work runs, and are not freed. */
bool rpc_job_trace(const rpc_job *job, rpc_trace *trace)
{
    const rpc_call *call = ((const struct task *)job)->call;
    return call && rpc_call_trace(call, trace);
}

/* Makes the task of a call, with all that it needs. Returns RPC_OK, or why there is none. */
static rpc_status task_make(rpc_call *call, rpc_done done, void *data, bool waits, struct task **made)
{
    const rpc_status status = task_check(call);
    if (status != RPC_OK)
        return status;
    const struct digest client = accounts_key(&call->engine->accounts, call->exchange->message->client);
    struct task *task = *made = arena_alloc(&call->arena, sizeof *task);
    if (!task)
        return RPC_INTERNAL_ERROR;
    task->instance = call->method->instance;
    task->call = call;
    task->done = done;
    task->job.data = data;
    task->job.owner = client;
    return task_take(task, &client, waits);
}

static void task_enter(struct task *task)
{
    struct tasks *tasks = task->instance->engine->tasks;
    rpc_call *call = task->call;
    DL_APPEND(tasks->pending, task);
    task->id = ++tasks->last_id;
    if (!call) {
        tasks->background++;
        return;
    }
    tasks->has_news = true;
    call->task = task;
    call->method->open++;
    DL_APPEND2(call->exchange->pending.tasks, task, item_prev, item_next);
    call->exchange->pending.holds++;
    call->exchange->pending.unknown++;
}

static bool task_submit(struct task *task, rpc_work work, rpc_priority priority, const char *lane)
{
    struct engine *engine = task->instance->engine;
    if (lane)
        task_set_lane(task, lane);
    task->has_work = true;
    task->job.work = work;
    task->job.priority = priority;
    return pool_submit(engine->tasks->pool, &task->job, lane ? &task->lane_key : NULL);
}

/* Makes a call pending, with work or without. Where that fails, the engine, and not the handler, is to blame
 * for what the handler returns now. */
static rpc_status task_begin(rpc_call *call, rpc_done done, rpc_work work, const char *lane, void *data,
                             bool waits)
{
    struct task *task = NULL;
    if (!done)
        return task_fault(call, "makes its call pending, and has no done to end it");
    rpc_status status = task_make(call, done, data, waits, &task);
    if (status == RPC_OK && work && !task_submit(task, work, call->method->declared->priority, lane))
        status = RPC_INTERNAL_ERROR;
    if (status == RPC_OK) {
        task_enter(task);
        return RPC_PENDING;
    }
    if (task)
        task_give_back(task);
    call->engine->env.counters.overloaded += status == RPC_OVERLOADED;
    call->refusal = status;
    return status;
}

/* The lane of a call whose parameters name it, which is what the worker that gets the next one goes by. */
static const char *task_check_lane(const rpc_call *call, const char *given, char number[FIELDS_KEY])
{
    const rpc_method *declared = call->method->declared;
    const char *lane = fields_key(fields_find(declared->params, declared->lane), call->decoded, number);
    if (!given || strcmp(given, lane) != 0)
        env_log(&call->engine->env, RPC_LOG_ERROR,
                "method %s starts work in %s%.64s, and not in the lane that its parameter %.64s names: %.64s",
                call->name, given ? "lane " : "no lane", given ? given : "", declared->lane, lane);
    return lane;
}

rpc_status rpc_start(rpc_call *call, const char *lane, void *data)
{
    const rpc_method *declared = call->method->declared;
    char number[FIELDS_KEY];
    if (declared->lane)
        lane = task_check_lane(call, lane, number);
    return declared->work ? task_begin(call, declared->done, declared->work, lane, data, true)
                          : task_fault(call, "starts work, and has none");
}

rpc_status rpc_defer(rpc_call *call, void *data)
{
    return task_begin(call, call->method->declared->done, NULL, NULL, data, true);
}

rpc_status task_await(rpc_call *call, rpc_done done, struct dispatch *dispatch, bool waits)
{
    const rpc_status status = task_begin(call, done, NULL, NULL, dispatch, waits);
    if (status == RPC_PENDING)
        call->task->dispatch = dispatch;
    return status;
}

void task_note_sent(struct task *task)
{
    struct engine *engine = task->instance->engine;
    task->begun = engine->tasks->has_news = true;
    slots_leave(&engine->slots, &task->slot);
}

/* Background work takes no slot of a call, and has a limit of its own. */
rpc_status rpc_background(rpc_instance *instance, const char *lane, rpc_work work, rpc_done done, void *data)
{
    if (!work || !done) {
        env_log(instance->env, RPC_LOG_ERROR, "module %s starts background work without work or without done",
                instance->module->name);
        return RPC_INTERNAL_ERROR;
    }
    if (instance->env->stopping)
        return RPC_CANCELLED;
    if (instance->engine->tasks->background >= TASKS_BACKGROUND_MAX)
        return RPC_OVERLOADED;
    struct task *task = calloc(1, sizeof *task);
    if (!task)
        return RPC_INTERNAL_ERROR;
    task->instance = instance;
    task->done = done;
    task->job.data = data;
    if (task_submit(task, work, RPC_PRIORITY_LOW, lane)) {
        task_enter(task);
        return RPC_PENDING;
    }
    free(task);
    return RPC_INTERNAL_ERROR;
}

/* ---- The end ---- */

static void task_leave(struct task *task)
{
    struct tasks *tasks = task->instance->engine->tasks;
    task_give_back(task);
    tasks->hanging -= task->state == TASK_HANGING || task->state == TASK_LEFT;
    if (task->state == TASK_EVICTED) {
        DL_DELETE(tasks->evicted, task);
        task->call->exchange->pending.evicted--;
    } else {
        DL_DELETE(tasks->pending, task);
    }
    if (!task->call) {
        tasks->background--;
        return;
    }
    task->call->method->open--;
    DL_DELETE2(task->call->exchange->pending.tasks, task, item_prev, item_next);
}

static rpc_status task_run_done(const struct task *task, rpc_status outcome)
{
    struct env *env = task->instance->env;
    rpc_call *call = task->call;
    const bool is_timed = env->options.slow_call > 0;
    const uint64_t start = is_timed ? env_now(env) : 0;
    const rpc_status status =
        task->done(call, task->instance->state, task->job.data, outcome, call ? call->result : NULL);
    if (is_timed)
        env_check_time(env, "done of", call ? call->name : task->instance->module->name, start);
    return status;
}

/* Counts an outcome that the engine itself gives. */
static void task_count(struct engine *engine, rpc_status outcome)
{
    struct counters *counters = &engine->env.counters;
    counters->timeouts += outcome == RPC_TIMEOUT;
    counters->cancelled += outcome == RPC_CANCELLED;
    counters->overloaded += outcome == RPC_OVERLOADED;
}

/* Settles the task's call with what its done returned, unless done has made it pending again. */
static void task_end_call(struct task *task, rpc_status outcome)
{
    rpc_call *call = task->call;
    struct exchange *exchange = call->exchange;
    const bool is_settled = task->state == TASK_HANGING || task->state == TASK_LEFT;
    const bool decides = outcome == RPC_OK || (outcome == RPC_TIMEOUT && !task->has_work &&
                                               call->method->declared->decides_timeout);
    call->task = NULL;
    if (task->has_work && !is_settled)
        call->queued += task->job.waited;
    call->has_worked |= outcome == RPC_OK || (task->dispatch && task->begun);
    call->state = outcome == RPC_OK ? CALL_RUNNING : CALL_ENDING;
    const rpc_status returned = task_run_done(task, outcome);
    call->state = outcome == RPC_OK ? CALL_IDLE : CALL_OVER;
    if (!is_settled)
        task_count(call->engine, outcome);
    if (task->state == TASK_EVICTED && outcome == RPC_OVERLOADED && call->failure.status != outcome)
        call_fail(call, outcome, "%s", task->evicted);
    if (call->task) {
        run_check_pending(call, returned);
        call_recount(call);
        exchange->pending.unknown--; /* the new task counts */
    } else if (!is_settled) {
        dispatch_settle(call, decides ? run_check_outcome(call, returned) : outcome);
    }
    if (call->own_memory && !call->task)
        call_fini(call);
    exchange_release(exchange);
}

/* Runs the task's done. The task is gone afterwards. */
static void task_end(struct task *task, rpc_status outcome)
{
    task_leave(task);
    if (task->call) {
        task_end_call(task, outcome);
        return;
    }
    task_run_done(task, outcome);
    free(task);
}

/* A call that has been evicted, but not ended yet, is resumed in time all the same. */
void rpc_resume(rpc_call *call)
{
    struct task *task = call->task;
    if (!task || task->has_work)
        task_fault(call, "resumes a call that it has not deferred");
    else if (call->state == CALL_RUNNING)
        task_fault(call, "resumes a call whose handler has not returned");
    else
        task_end(task, RPC_OK);
}

/* ---- The end before the end ---- */

/*
 * Notes whether the task's message may run again when it comes again: it may if its work never begins, and it
 * would have been the call's first. What a deferred call waits for may have been begun by its handler.
 */
static void task_note_ran(const struct task *task)
{
    const rpc_call *call = task->call;
    if (!call)
        return;
    const bool has_work = task->has_work || (task->dispatch && !task->begun);
    const bool is_unbegun = has_work && !call->exchange->batch && !call->has_worked;
    call->exchange->pending.ran = is_unbegun ? EXCHANGE_NOT_RUN : EXCHANGE_RAN;
}

/* Answers the task's caller now, whether or not its work can be kept from running. */
static void task_give_up(struct task *task, rpc_status outcome)
{
    struct engine *engine = task->instance->engine;
    rpc_call *call = task->call;
    if (!task->has_work || pool_withdraw(engine->tasks->pool, &task->job)) {
        task_note_ran(task);
        task_end(task, outcome);
        return;
    }
    pool_disown(&task->job);
    heap_remove(&engine->tasks->deadlines, &task->deadline);
    task->state = TASK_HANGING;
    task->outcome = outcome;
    task->answered = env_now(&engine->env);
    task->answered_at = env_wall_time(&engine->env);
    engine->tasks->has_hanging = engine->env.health_is_stale = true;
    engine->tasks->hanging++;
    if (!call)
        return;
    task_count(engine, outcome);
    call->queued += task->job.waited;
    dispatch_settle(call, outcome);
}

/*
 * Lets other threads take the places of those that work for no caller any more. To be called after all tasks
 * are given up that are to be: otherwise those threads might begin what is given up next.
 */
static void tasks_replace_hanging(struct tasks *tasks)
{
    struct task *task;
    if (!tasks->has_hanging)
        return;
    tasks->has_hanging = false;
    DL_FOREACH(tasks->pending, task)
    {
        if (task->state != TASK_HANGING)
            continue;
        pool_replace(tasks->pool, &task->job);
        task->state = TASK_LEFT;
    }
}

void tasks_expire(struct engine *engine, uint64_t now)
{
    struct heap_node *first;
    while ((first = heap_first(&engine->tasks->deadlines)) && first->key <= now)
        task_give_up((struct task *)(void *)((char *)first - offsetof(struct task, deadline)), RPC_TIMEOUT);
    tasks_replace_hanging(engine->tasks);
}

void tasks_end_evicted(struct engine *engine)
{
    struct task *task;
    while ((task = engine->tasks->evicted)) {
        task_note_ran(task);
        task_end(task, task->outcome);
    }
}

/*
 * The newest task of a connection that has ended, whose method need not finish. NULL: there is none. The
 * newest one comes first, since work that is not wanted any more may return at once, and the next one of its
 * lane would begin.
 */
static struct task *tasks_find_gone(const struct engine *engine, const void *id)
{
    const struct connection *connection = connections_find(&engine->connections, id);
    struct exchange *const first = connection ? connection->exchanges : NULL;
    struct exchange *exchange = first ? first->prev : NULL;
    for (; exchange; exchange = exchange == first ? NULL : exchange->prev) {
        struct task *const oldest = exchange->to.ended ? exchange->pending.tasks : NULL;
        struct task *task = oldest ? oldest->item_prev : NULL;
        for (; task; task = task == oldest ? NULL : task->item_prev) {
            if (task->state == TASK_PENDING && !task->call->method->declared->must_finish)
                return task;
        }
    }
    return NULL;
}

/* Any done may end other tasks: so one is looked for at a time. */
void tasks_connection_ended(struct engine *engine, const void *id)
{
    struct task *task;
    while ((task = tasks_find_gone(engine, id)))
        task_give_up(task, RPC_CANCELLED);
    tasks_replace_hanging(engine->tasks);
}

void tasks_collect(struct engine *engine)
{
    rpc_job *job = pool_collect(engine->tasks->pool), *next;
    if (job)
        tasks_note_begun(engine);
    for (; job; job = next) {
        next = job->next;
        struct task *task = (struct task *)job;
        const bool is_late = task->state != TASK_PENDING;
        engine->env.counters.late += is_late && task->call;
        task_end(task, is_late ? task->outcome : engine->env.stopping ? RPC_CANCELLED : RPC_OK);
    }
}

/* ---- The end of all ---- */

/* The newest task that ends when the engine stops, likewise. NULL: there is none. */
static struct task *tasks_find_stopping(const struct engine *engine)
{
    struct task *const oldest = engine->tasks->pending;
    struct task *task = oldest ? oldest->prev : NULL;
    for (; task; task = task == oldest ? NULL : task->prev) {
        const bool is_call_with_work = task->has_work && task->call;
        if (task->state == TASK_PENDING && !(is_call_with_work && task->call->method->declared->must_finish))
            return task;
    }
    return NULL;
}

/* Any done may end other tasks: so one is looked for at a time. */
void tasks_stop(struct engine *engine)
{
    struct task *task;
    tasks_end_evicted(engine);
    while ((task = tasks_find_stopping(engine)))
        task_give_up(task, RPC_CANCELLED);
    tasks_replace_hanging(engine->tasks);
}

bool tasks_destroy(struct engine *engine, uint64_t patience)
{
    struct tasks *tasks = engine->tasks;
    if (!tasks)
        return true;
    const bool is_over = pool_stop(tasks->pool, patience);
    struct task *task, *next;
    tasks_collect(engine);
    DL_FOREACH_SAFE(tasks->pending, task, next)
    {
        if (pool_withdraw(tasks->pool, &task->job))
            task_end(task, RPC_CANCELLED);
        else
            task->instance->abandoned = true;
    }
    heap_fini(&tasks->deadlines);
    if (is_over)
        pool_destroy(tasks->pool);
    else
        env_log(&engine->env, RPC_LOG_WARNING, "some work has not returned, and is left behind");
    free(tasks);
    engine->tasks = NULL;
    return is_over;
}

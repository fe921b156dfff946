// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Calls that workers carry out: see remote.h. */
#include "call/remote.h"

#include "call/answer.h"
#include "call/foreign.h"
#include "call/remote_event.h"
#include "call/remote_params.h"
#include "call/remote_shapes.h"
#include "call/task.h"
#include "call/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Nanoseconds until what could not be sent for want of memory is tried again. */
#define REMOTE_AGAIN UINT64_C(100000000)

struct remote *remote_create(uint64_t seed)
{
    struct remote *remote = calloc(1, sizeof *remote);
    if (!remote)
        return NULL;
    crew_init(&remote->crew, seed);
    snprintf(remote->run, sizeof remote->run, "%016" PRIx64, digest_seed());
    remote->wait = UINT64_C(5000000000);
    return remote;
}

/* What is left are dispatches whose callers do not wait any more: each has its alarm. */
void remote_destroy(struct engine *engine)
{
    struct remote *remote = engine->remote;
    struct registry_method *method = engine->registry.methods;
    struct heap_node *first;
    if (!remote)
        return;
    for (; method; method = method->hh.next)
        remote_forget(method);
    crew_fini(&remote->crew); /* which still has their jobs */
    while ((first = heap_first(&remote->alarms))) {
        heap_remove(&remote->alarms, first);
        free((char *)first - offsetof(struct dispatch, alarm));
    }
    former_fini(&remote->former);
    heap_fini(&remote->alarms);
    free(remote);
}

/* The method of a dispatch. */
static struct registry_method *remote_method(const struct dispatch *dispatch)
{
    return (struct registry_method *)(uintptr_t)dispatch->job.method;
}

static void remote_free(struct engine *engine, struct dispatch *dispatch)
{
    remote_method(dispatch)->dispatches--;
    heap_remove(&engine->remote->alarms, &dispatch->alarm);
    engine->remote->late -= !dispatch->call;
    free(dispatch);
}

/* A node that is in the heap can be moved without memory. */
static void remote_set_alarm(struct engine *engine, struct dispatch *dispatch, uint64_t time)
{
    heap_set(&engine->remote->alarms, &dispatch->alarm, time);
}

/* ---- To a worker ---- */

/* The worker has the call: from now on only the end of the call, or of the worker, ends its wait. */
static void remote_send(struct engine *engine, struct dispatch *dispatch)
{
    const uint64_t now = env_now(&engine->env);
    if (!remote_message_send(&engine->env, engine->remote->run, dispatch, now)) {
        remote_set_alarm(engine, dispatch, now + REMOTE_AGAIN);
        return;
    }
    engine->env.counters.dispatched++;
    engine->env.counters.redispatched += dispatch->attempts || dispatch->refusals;
    dispatch->attempts++;
    dispatch->sent = now;
    dispatch->call->queued += now - dispatch->submitted;
    task_note_sent(dispatch->call->task);
    remote_set_alarm(engine, dispatch, dispatch->deadline + REMOTE_LOST);
}

/*
 * Hands out what can go, but for a dispatch whose call is not pending yet. One that is evicted, or whose
 * deadline has passed, ends soon, and is not in the crew any more.
 */
static void remote_hand_out(struct engine *engine, const struct dispatch *own)
{
    struct crew *crew = &engine->remote->crew;
    struct crew_job *job;
    if (engine->env.stopping)
        return;
    while ((job = crew_take_next(crew))) {
        struct dispatch *dispatch = (struct dispatch *)job;
        if (dispatch == own)
            continue;
        if (dispatch->call->task->state == TASK_EVICTED || dispatch->deadline <= env_now(&engine->env))
            crew_end(crew, job);
        else
            remote_send(engine, dispatch);
    }
}

void remote_pump(struct engine *engine)
{
    remote_hand_out(engine, NULL);
}

/* ---- The beginning ---- */

/* Notes which worker had the call. Without memory it is not noted. */
static void remote_note_worker(rpc_call *call, const char *name)
{
    call->worker = call->exchange->pending.worker = arena_copy(&call->exchange->arena, name, strlen(name));
}

/* The deadline of a call has passed that no worker has got. */
static rpc_status remote_fail_waiting(rpc_call *call)
{
    if (!crew_is_offered(&call->engine->remote->crew, call->method))
        return call_fail(call, RPC_TIMEOUT, "the deadline passed, and no worker offers %s",
                         call->method->declared->name);
    return call_fail(call, RPC_TIMEOUT, "the deadline passed before a worker could take the call");
}

/* Ends a call, or takes over the outcome that its worker has given. The last use of its dispatch. */
static rpc_status remote_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct engine *engine = call->engine;
    struct dispatch *dispatch = data;
    const rpc_status status = dispatch->status;
    const void *params = dispatch->params;
    if (outcome == RPC_OK) {
        const bool runs_here = dispatch->runs_here;
        remote_free(engine, dispatch);
        return runs_here ? call->method->declared->run(call, state, params, result) : status;
    }
    dispatch->call = NULL;
    engine->remote->late++;
    if (dispatch->job.worker && dispatch->sent) {
        remote_note_worker(call, dispatch->job.worker->name);
        if (!engine->env.stopping)
            remote_message_cancel(&engine->env, engine->remote->run, dispatch);
        return outcome;
    }
    crew_end(&engine->remote->crew, &dispatch->job);
    crew_withdraw(&engine->remote->crew, &dispatch->job);
    remote_free(engine, dispatch);
    return outcome == RPC_TIMEOUT ? remote_fail_waiting(call) : outcome;
}

static rpc_status remote_fail(rpc_call *call, struct dispatch *dispatch, rpc_status status)
{
    struct remote *remote = call->engine->remote;
    if (dispatch) {
        crew_end(&remote->crew, &dispatch->job);
        crew_withdraw(&remote->crew, &dispatch->job);
        remote_free(call->engine, dispatch);
    }
    return call->refusal = status;
}

/* Gives the call to the crew. One that can go at once needs no slot. */
static rpc_status remote_begin(rpc_call *call, const void *params, const struct crew_job *job)
{
    struct engine *engine = call->engine;
    struct remote *remote = engine->remote;
    struct dispatch *dispatch = calloc(1, sizeof *dispatch);
    if (!dispatch)
        return remote_fail(call, NULL, RPC_INTERNAL_ERROR);
    dispatch->job = *job;
    dispatch->job.owner = accounts_key(&engine->accounts, call->exchange->message->client);
    dispatch->call = call;
    call->method->dispatches++;
    dispatch->number = ++remote->last;
    dispatch->submitted = env_now(&engine->env);
    dispatch->params = params;
    if (!remote_params_take_payload(call, dispatch) ||
        !heap_set(&remote->alarms, &dispatch->alarm, dispatch->submitted + remote->wait) ||
        !crew_submit(&remote->crew, &dispatch->job))
        return remote_fail(call, dispatch, RPC_INTERNAL_ERROR);
    remote_hand_out(engine, dispatch);
    const rpc_status status = task_await(call, remote_done, dispatch, !dispatch->job.worker);
    if (status != RPC_PENDING)
        return remote_fail(call, dispatch, status);
    dispatch->deadline = task_deadline_of(call->task);
    if (dispatch->job.worker)
        remote_send(engine, dispatch);
    engine->env.health_is_stale |= !dispatch->job.worker;
    return status;
}

/* ---- Where a call runs ---- */

/* Whether a call of RPC_PLACEMENT_SPILL runs here. */
static bool remote_runs_here(const rpc_call *call, const struct crew_job *job)
{
    const struct engine *engine = call->engine;
    const struct crew *crew = &engine->remote->crew;
    if (job->has_lane && crew_has_lane(crew, &job->lane))
        return false;
    if (!crew_has_credit(crew, job->method) ||
        (job->has_lane && pool_has_lane(engine->tasks->pool, &job->lane)))
        return true;
    const uint64_t left = env_nanoseconds(rpc_call_left(call));
    return engine->slots.count < (size_t)engine->env.options.max_pending &&
           pool_expected_wait(engine->tasks->pool) <= left / 2;
}

/* The handler of methods that are not local. */
static rpc_status remote_run(rpc_call *call, void *state, const void *params, void *result)
{
    const struct registry_method *method = call->method;
    struct crew_job job = {.method = method};
    remote_params_take_lane(call, params, &job);
    if (method->placement == RPC_PLACEMENT_SPILL && remote_runs_here(call, &job))
        return method->declared->run(call, state, params, result);
    return remote_begin(call, params, &job);
}

bool remote_place(struct engine *engine, struct registry_method *method)
{
    /* A worker has no workers, and a host that is told of no endings would wait for those that are gone. */
    if (engine->env.host.dispatched || !engine->env.host.tells_endings)
        method->placement = RPC_PLACEMENT_LOCAL;
    if (method->placement == RPC_PLACEMENT_LOCAL) {
        method->run = method->declared->run;
        method->may_pend = method->params.copies = method->declared->done;
        return true;
    }
    if (!method->remote)
        method->remote = remote_shapes_create(method->declared);
    if (!method->remote)
        return false;
    method->remote->unoffered = crew_is_offered(&engine->remote->crew, method) ? 0 : env_now(&engine->env);
    method->remote->unoffered_at = env_wall_time(&engine->env);
    method->run = remote_run;
    method->may_pend = method->params.copies = true;
    return true;
}

void remote_forget(struct registry_method *method)
{
    remote_shapes_destroy(method->remote);
    method->remote = NULL;
}

/* ---- Answers ---- */

/* Ends the call of a dispatch that is not in the crew any more. */
static void remote_end(struct engine *engine, struct dispatch *dispatch, const struct crew_worker *worker,
                       rpc_status status)
{
    rpc_call *call = dispatch->call;
    if (!call) {
        remote_free(engine, dispatch);
        return;
    }
    dispatch->status = status;
    if (worker)
        remote_note_worker(call, worker->name);
    rpc_resume(call);
}

/* Likewise with an error that is the engine's own, and not the handler's. */
static void remote_end_by(struct engine *engine, struct dispatch *dispatch, const struct crew_worker *worker,
                          rpc_status status)
{
    if (dispatch->call)
        dispatch->call->refusal = status;
    remote_end(engine, dispatch, worker, status);
}

static void remote_log_wrong(struct engine *engine, const struct crew_worker *worker, const char *what,
                             const char *of, const char *why)
{
    env_log_limited(&engine->env, &engine->remote->log_limit, RPC_LOG_ERROR, "worker %s: %s %.128s: %.300s",
                    worker->name, what, of, why);
}

/* Whether a call that waits for a worker is to run here instead. */
static bool remote_comes_home(const struct engine *engine, const struct dispatch *dispatch)
{
    const struct registry_method *method = dispatch->call->method;
    return method->placement != RPC_PLACEMENT_REMOTE && !crew_is_offered(&engine->remote->crew, method);
}

/* Waits for a worker once more. Returns false: no memory. */
static bool remote_submit_again(struct engine *engine, struct dispatch *dispatch, uint64_t now)
{
    struct remote *remote = engine->remote;
    dispatch->submitted = now;
    dispatch->sent = 0;
    if (!crew_submit_again(&remote->crew, &dispatch->job))
        return false;
    remote_set_alarm(engine, dispatch, remote_comes_home(engine, dispatch) ? now : now + remote->wait);
    return true;
}

/* The worker has not begun the call, and will not. */
static void remote_take_refusal(struct engine *engine, struct crew_worker *worker, struct dispatch *dispatch)
{
    rpc_call *call = dispatch->call;
    worker->counts.refused++;
    dispatch->attempts--;
    dispatch->job.avoid = worker->number;
    if (!call) {
        remote_free(engine, dispatch);
        return;
    }
    call->task->begun = dispatch->attempts > 0;
    if (++dispatch->refusals >= REMOTE_REFUSALS)
        remote_end_by(
            engine, dispatch, NULL,
            call_fail(call, RPC_OVERLOADED, "workers have refused the call %u times", dispatch->refusals));
    else if (!remote_submit_again(engine, dispatch, env_now(&engine->env)))
        remote_end_by(engine, dispatch, NULL, RPC_INTERNAL_ERROR);
}

/* Whether the worker says that its success changes nothing. */
static bool remote_is_unchanged(const struct engine *engine, const struct host_message *message)
{
    const struct host *host = &engine->env.host;
    char value[3];
    return host->user_property(host->context, message, "unchanged", value, sizeof value) &&
           strcmp(value, "1") == 0;
}

/* What the worker's answer comes to. *is_own: it is the engine's, and not the handler's. */
static rpc_status remote_read_outcome(struct engine *engine, const struct crew_worker *worker, rpc_call *call,
                                      const char *code, const struct host_message *message, bool *is_own)
{
    char why[FIELDS_WHY];
    const bool is_ok = strcmp(code, "ok") == 0;
    const rpc_status status = is_ok ? remote_take_result(call, message->payload, message->size, why)
                                    : remote_take_error(call, code, message->payload, message->size, why);
    *is_own = false;
    if (is_ok == (status == RPC_OK)) {
        if (is_ok && remote_is_unchanged(engine, message))
            rpc_call_set_unchanged(call);
        *is_own = status != RPC_RAISED && status != RPC_INVALID_PARAMS && status != RPC_INTERNAL_ERROR &&
                  !is_ok && !registry_find_error(call->method->declared, code);
        return status;
    }
    *is_own = true;
    if (is_ok && status == RPC_REPLY_TOO_LARGE)
        return call_fail(call, status, "the result is over max_reply, %d bytes",
                         (int)engine->env.options.max_reply);
    if (!is_ok || status == RPC_INVALID_PARAMS)
        remote_log_wrong(engine, worker, is_ok ? "the result of" : "the error of", call->name, why);
    return RPC_INTERNAL_ERROR;
}

static void remote_take_outcome(struct engine *engine, struct crew_worker *worker, struct dispatch *dispatch,
                                const char *code, const struct host_message *message)
{
    rpc_call *call = dispatch->call;
    const uint64_t elapsed = env_now(&engine->env) - dispatch->sent;
    bool is_own = false;
    rpc_status status = strcmp(code, "ok") == 0 ? RPC_OK : RPC_RAISED;
    if (call)
        status = remote_read_outcome(engine, worker, call, code, message, &is_own);
    else
        engine->env.counters.late++;
    statistics_count(&worker->statistics, status, elapsed);
    if (is_own)
        remote_end_by(engine, dispatch, worker, status);
    else
        remote_end(engine, dispatch, worker, status);
}

static void remote_show_progress(struct engine *engine, const struct crew_worker *worker, rpc_call *call,
                                 const struct host_message *message)
{
    char why[FIELDS_WHY] = "";
    if (!call)
        return;
    const rpc_status status = remote_take_progress(call, message->payload, message->size, why);
    if (status == RPC_INVALID_PARAMS || status == RPC_REPLY_TOO_LARGE)
        remote_log_wrong(engine, worker, "an interim reply of", call->name, why);
}

/* The dispatch of this id that the worker has. NULL: it has none. */
static struct dispatch *remote_find(const struct engine *engine, const struct crew_worker *worker,
                                    const struct host_message *message)
{
    const uint64_t number =
        remote_message_read_id(engine->remote->run, message->correlation, message->correlation_size);
    struct crew_job *job;
    DL_FOREACH(worker->jobs, job)
    {
        struct dispatch *dispatch = (struct dispatch *)job;
        if (dispatch->number == number && dispatch->sent)
            return dispatch;
    }
    return NULL;
}

static void remote_take_answer(struct engine *engine, struct crew_worker *worker,
                               const struct host_message *message)
{
    const struct host *host = &engine->env.host;
    struct dispatch *dispatch = remote_find(engine, worker, message);
    char code[72];
    if (!dispatch) {
        env_log_limited(&engine->env, &engine->remote->log_limit, RPC_LOG_DEBUG,
                        "worker %s answers a call that it does not have", worker->name);
        return;
    }
    if (!host->user_property(host->context, message, "status", code, sizeof code))
        *code = '\0';
    if (strcmp(code, "progress") == 0) {
        remote_show_progress(engine, worker, dispatch->call, message);
        return;
    }
    crew_end(&engine->remote->crew, &dispatch->job);
    if (strcmp(code, "refused") == 0)
        remote_take_refusal(engine, worker, dispatch);
    else
        remote_take_outcome(engine, worker, dispatch, code, message);
    remote_pump(engine);
}

/* ---- Messages ---- */

enum engine_verdict remote_receive(struct engine *engine, const struct host_message *message,
                                   const char *below)
{
    const struct host_client *client = message->client;
    struct crew_worker *worker = crew_find_connection(&engine->remote->crew, client->connection);
    char why[FIELDS_WHY];
    const char *rest =
        worker && strcmp(worker->client, client->id) == 0 ? topic_below(worker->name, below) : NULL;
    if (engine->env.stopping)
        return ENGINE_CONSUME;
    if (rest && strcmp(rest, "done") == 0) {
        remote_take_answer(engine, worker, message);
        return ENGINE_CONSUME;
    }
    const char *event = rest ? topic_below("event", rest) : NULL;
    if (event && remote_event_take(engine, worker, event, message, why)) {
        if (*why)
            remote_log_wrong(engine, worker, "the data of event", event, why);
        return ENGINE_CONSUME;
    }
    return client->bridge ? ENGINE_PASS : ENGINE_REFUSE;
}

/* ---- Workers that come and go ---- */

/* Notes since when methods have no worker. */
static void remote_note_offers(struct engine *engine)
{
    const uint64_t now = env_now(&engine->env);
    for (struct registry_method *method = engine->registry.methods; method; method = method->hh.next) {
        struct remote_shapes *shapes = method->remote;
        if (!shapes)
            continue;
        if (crew_is_offered(&engine->remote->crew, method)) {
            shapes->unoffered = 0;
        } else if (!shapes->unoffered) {
            shapes->unoffered = now;
            shapes->unoffered_at = env_wall_time(&engine->env);
        }
    }
    engine->env.health_is_stale = true;
}

/* Whether a call may run a second time elsewhere. */
static bool remote_may_repeat(const struct dispatch *dispatch, uint64_t now)
{
    const rpc_method *declared = dispatch->call->method->declared;
    return (declared->read_only || declared->idempotent) && dispatch->attempts < REMOTE_ATTEMPTS &&
           now < dispatch->deadline;
}

/*
 * Takes over what a worker that is gone has had. What is sent again waits in the crew before any other call
 * can take its place in its lane.
 */
static void remote_take_over(struct engine *engine, const char *name, struct crew_job *job,
                             struct crew_counts *counts)
{
    const uint64_t now = env_now(&engine->env);
    struct crew_job *ending = NULL, *next;
    size_t again = 0, unknown = 0;
    for (; job; job = next) {
        struct dispatch *dispatch = (struct dispatch *)job;
        next = job->next;
        const bool goes_on = dispatch->call && (!dispatch->sent || remote_may_repeat(dispatch, now)) &&
                             remote_submit_again(engine, dispatch, now);
        again += goes_on;
        if (goes_on)
            continue;
        unknown += dispatch->call != NULL;
        LL_APPEND(ending, job);
    }
    counts->again += again;
    counts->unknown += unknown;
    if (again || unknown)
        env_log(&engine->env, RPC_LOG_WARNING,
                "worker %s has gone: %zu of its calls go to another one, %zu have an unknown outcome", name,
                again, unknown);
    for (job = ending; job; job = next) {
        struct dispatch *dispatch = (struct dispatch *)job;
        next = job->next;
        if (dispatch->call) {
            remote_note_worker(dispatch->call, name);
            call_fail(dispatch->call, RPC_OUTCOME_UNKNOWN,
                      "worker %s has gone while it had the call: it may have been carried out", name);
        }
        remote_end_by(engine, dispatch, NULL, RPC_OUTCOME_UNKNOWN);
    }
}

static void remote_remove(struct engine *engine, struct crew_worker *worker)
{
    struct crew_worker gone = {.counts = worker->counts};
    memcpy(gone.name, worker->name, sizeof gone.name);
    foreign_forget(engine, worker->connection);
    struct crew_job *jobs = crew_remove(&engine->remote->crew, worker);
    remote_note_offers(engine);
    remote_take_over(engine, gone.name, jobs, &gone.counts);
    former_keep(&engine->remote->former, gone.name, &gone.counts);
    remote_pump(engine);
}

void remote_connection_ended(struct engine *engine, const struct host_ending *ending)
{
    struct crew_worker *worker = crew_find_connection(&engine->remote->crew, ending->connection);
    if (worker && strcmp(worker->client, ending->id) == 0)
        remote_remove(engine, worker);
}

/* Notes where the worker is reached, and what it offers. One that is new and cannot offer it is removed. */
static enum crew_answer remote_enter(struct engine *engine, struct crew_worker *worker,
                                     const struct host_client *client, const void *const *methods,
                                     size_t count)
{
    struct crew *crew = &engine->remote->crew;
    const bool is_new = !worker->to.id;
    worker->to = *client;
    worker->to.id = worker->client;
    worker->to.user = worker->user;
    worker->to.address = worker->address;
    if (is_new)
        former_resume(&engine->remote->former, worker->name, &worker->counts);
    const enum crew_answer answer = crew_offer(crew, worker, methods, count);
    if (answer != CREW_OK && is_new)
        crew_remove(crew, worker);
    return answer;
}

enum crew_answer remote_attach(struct engine *engine, const struct crew_card *card,
                               const struct host_client *client, const void *const *methods, size_t count,
                               struct crew_worker **worker)
{
    struct crew *crew = &engine->remote->crew;
    enum crew_answer answer = crew_attach(crew, card, worker);
    if (answer == CREW_NAME_IS_OLD) {
        remote_remove(engine, *worker);
        answer = crew_attach(crew, card, worker);
    }
    if (answer == CREW_OK)
        answer = remote_enter(engine, *worker, client, methods, count);
    struct crew_worker *own = answer == CREW_NO_MEMORY ? crew_find_connection(crew, card->connection) : NULL;
    if (own) /* what it has offered before may have been its own, and goes if it does not declare it now */
        crew_offer(crew, own, NULL, 0);
    remote_note_offers(engine);
    remote_pump(engine);
    return answer;
}

void remote_detach(struct engine *engine, struct crew_worker *worker)
{
    crew_detach(&engine->remote->crew, worker);
    remote_note_offers(engine);
    remote_pump(engine);
}

/* ---- Time ---- */

/* A call has waited for a worker as long as it may if none offers its method. */
static void remote_look_for_worker(struct engine *engine, struct dispatch *dispatch, uint64_t now)
{
    struct remote *remote = engine->remote;
    rpc_call *call = dispatch->call;
    const uint64_t unoffered = call->method->remote->unoffered;
    const uint64_t since = dispatch->submitted > unoffered ? dispatch->submitted : unoffered;
    const bool is_offered = crew_is_offered(&remote->crew, call->method);
    if (remote_comes_home(engine, dispatch)) {
        crew_withdraw(&remote->crew, &dispatch->job);
        dispatch->runs_here = true;
        remote_end(engine, dispatch, NULL, RPC_OK);
        return;
    }
    if (is_offered || since + remote->wait > now) {
        remote_set_alarm(engine, dispatch,
                         is_offered ? now + REMOTE_AGAIN + remote->wait : since + remote->wait);
        return;
    }
    crew_withdraw(&remote->crew, &dispatch->job);
    engine->env.counters.overloaded++;
    remote_end_by(engine, dispatch, NULL,
                  call_fail(call, RPC_OVERLOADED, "no worker offers %s", call->method->declared->name));
}

static void remote_wake(struct engine *engine, struct dispatch *dispatch, uint64_t now)
{
    struct crew_worker *worker = dispatch->job.worker;
    if (!worker) {
        remote_look_for_worker(engine, dispatch, now);
    } else if (!dispatch->sent) {
        remote_send(engine, dispatch);
    } else if (dispatch->call) {
        remote_set_alarm(engine, dispatch, now + REMOTE_LOST); /* its deadline is about to be noticed */
    } else {
        engine->env.counters.lost++;
        worker->counts.lost++;
        env_log_limited(&engine->env, &engine->remote->log_limit, RPC_LOG_WARNING,
                        "worker %s has not answered a call a minute after its deadline", worker->name);
        crew_end(&engine->remote->crew, &dispatch->job);
        remote_free(engine, dispatch);
    }
}

void remote_tick(struct engine *engine, uint64_t now)
{
    struct remote *remote = engine->remote;
    struct heap_node *first;
    if (!remote->alarms.count)
        return;
    while ((first = heap_first(&remote->alarms)) && first->key <= now)
        remote_wake(engine, (struct dispatch *)(void *)((char *)first - offsetof(struct dispatch, alarm)),
                    now);
    remote_pump(engine);
}

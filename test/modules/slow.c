// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * slow.c: a module for tests, of methods that take time. They sleep, or wait for each other. The module
 * counts the work that has begun and ended, and the dones, of which each call must have exactly one.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "mosquitto_rpc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAP_MAX = 3600000, NAME_MAX_LENGTH = 64 };

/* Counters that work increments on its threads. */
struct counts {
    atomic_int begun, finished, order;
};

/* A deferred call, which slow.tell ends. */
struct waiting {
    rpc_call *call;
    const char *name, *text_of_tell;
    struct waiting *next;
};

struct slow {
    rpc_instance *instance;
    struct counts counts;
    struct waiting *waiting;
    rpc_timer ticking;
    int32_t started, dones, in_time, ticks, backgrounds;
};

static void nap(int32_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    while (ms && nanosleep(&left, &left))
        continue;
}

/* ---- Sleeping ---- */

struct sleep_params {
    int32_t ms;
    const char *lane;
    bool polite, fail;
};

static const rpc_field sleep_params_fields[] = {
    RPC_INT32(struct sleep_params, ms, .doc = "How long", .unit = "ms", .default_json = "0",
              .range = {0, NAP_MAX}),
    RPC_STRING(struct sleep_params, lane, .doc = "In which lane", .optional = true,
               .length = {1, NAME_MAX_LENGTH}),
    RPC_BOOL(struct sleep_params, polite, .doc = "Stops sleeping when the call has ended",
             .default_json = "false"),
    RPC_BOOL(struct sleep_params, fail, .doc = "Fails in the end", .default_json = "false"),
};
static const rpc_shape sleep_params_shape = RPC_OBJECT_SHAPE(struct sleep_params, sleep_params_fields);

struct slept {
    int32_t order, group;
    bool wanted;
};

static const rpc_field slept_fields[] = {
    RPC_INT32(struct slept, order, .doc = "The position of the job among all that have begun"),
    RPC_INT32(struct slept, group, .doc = "How many jobs slept together"),
    RPC_BOOL(struct slept, wanted, .doc = "Whether the call was still pending at the end"),
};
static const rpc_shape slept_shape = RPC_OBJECT_SHAPE(struct slept, slept_fields);

static const rpc_error sleep_errors[] = {{.code = "bad_dream", .doc = "The parameter fail was true"}};

struct sleep_job {
    struct counts *counts;
    const struct sleep_params *params;
    struct slept slept;
};

static void fall_asleep(struct sleep_job *job)
{
    atomic_fetch_add(&job->counts->begun, 1);
    job->slept = (struct slept){atomic_fetch_add(&job->counts->order, 1) + 1, 1, true};
}

static void wake_up(rpc_job *job, struct sleep_job *data)
{
    data->slept.wanted = rpc_is_wanted(job);
    atomic_fetch_add(&data->counts->finished, 1);
}

static void sleep_work(rpc_job *job, void *data)
{
    struct sleep_job *own = data;
    fall_asleep(own);
    for (int32_t slept = 0; own->params->polite && slept < own->params->ms && rpc_is_wanted(job); slept++)
        nap(1);
    if (!own->params->polite)
        nap(own->params->ms);
    wake_up(job, own);
}

/* Takes all waiting jobs, and sleeps once, as long as the first. */
static void group_work(rpc_job *job, void *data)
{
    struct sleep_job *first = data, *members[100];
    int32_t count = 0;
    for (struct sleep_job *next = first; next; next = count < 100 ? rpc_job_take_next(job) : NULL) {
        fall_asleep(next);
        members[count++] = next;
    }
    nap(first->params->ms);
    for (int32_t i = 0; i < count; i++) {
        members[i]->slept.group = count;
        wake_up(job, members[i]);
    }
}

static rpc_status sleep_run(rpc_call *call, void *state, const void *params, void *result)
{
    struct slow *slow = state;
    const struct sleep_params *given = params;
    (void)result;
    struct sleep_job *job = rpc_alloc(call, sizeof *job);
    if (!job)
        return RPC_INTERNAL_ERROR;
    *job = (struct sleep_job){.counts = &slow->counts, .params = given};
    const rpc_status status = rpc_start(call, given->lane, job);
    slow->started += status == RPC_PENDING;
    return status;
}

static rpc_status sleep_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct slow *slow = state;
    const struct sleep_job *job = data;
    slow->dones++;
    slow->in_time += outcome == RPC_OK;
    *(struct slept *)result = job->slept;
    if (job->params->fail)
        return rpc_raise(call, "bad_dream", "it slept %d ms and had a bad dream", (int)job->params->ms);
    return RPC_OK;
}

/* Never returns, so that the engine leaves the thread behind. */
static void forever_work(rpc_job *job, void *data)
{
    struct sleep_job *own = data;
    (void)job;
    fall_asleep(own);
    for (;;)
        nap(NAP_MAX);
}

static rpc_status forever_run(rpc_call *call, void *state, const void *params, void *result)
{
    const struct sleep_params *given = params;
    if (!given->lane || strcmp(given->lane, "ever") != 0)
        return rpc_raise(call, "bad_dream", "only the lane ever is so slow");
    return sleep_run(call, state, params, result);
}

/* ---- Two jobs, one after the other ---- */

static rpc_status twice_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct slow *slow = state;
    struct sleep_job *job = data;
    if (outcome != RPC_OK || job->slept.group == 2)
        return sleep_done(call, state, data, outcome, result);
    slow->dones++;
    job->slept.group = 2;
    const rpc_status status = rpc_start(call, NULL, job);
    slow->started += status == RPC_PENDING;
    return status;
}

static void twice_work(rpc_job *job, void *data)
{
    struct sleep_job *own = data;
    const int32_t group = own->slept.group;
    fall_asleep(own);
    own->slept.group = group;
    nap(own->params->ms);
    wake_up(job, own);
}

/* ---- Raw bytes ---- */

struct sum {
    const rpc_bytes *bytes;
    int32_t total;
};

static const rpc_field sum_fields[] = {RPC_INT32(struct sum, total, .doc = "The bytes, added up")};
static const rpc_shape sum_shape = RPC_OBJECT_SHAPE(struct sum, sum_fields);
static const rpc_shape bytes_shape = RPC_BYTES_SHAPE;

static void sum_work(rpc_job *job, void *data)
{
    struct sum *sum = data;
    const unsigned char *bytes = sum->bytes->data;
    (void)job;
    nap(20);
    for (size_t i = 0; i < sum->bytes->size; i++)
        sum->total += bytes[i];
}

static rpc_status sum_run(rpc_call *call, void *state, const void *params, void *result)
{
    struct slow *slow = state;
    struct sum *sum = result;
    sum->bytes = params;
    const rpc_status status = rpc_start(call, NULL, sum);
    slow->started += status == RPC_PENDING;
    return status;
}

static rpc_status sum_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)call, (void)data, (void)outcome, (void)result;
    ((struct slow *)state)->dones++;
    return RPC_OK;
}

/* ---- Calls that wait for others ---- */

struct name {
    const char *name;
};

static const rpc_field name_fields[] = {
    RPC_STRING(struct name, name, .doc = "The name to wait under", .length = {1, NAME_MAX_LENGTH})};
static const rpc_shape name_shape = RPC_OBJECT_SHAPE(struct name, name_fields);

struct message {
    const char *name, *text;
};

static const rpc_field message_fields[] = {
    RPC_STRING(struct message, name, .doc = "The name of the waiting calls", .length = {1, NAME_MAX_LENGTH}),
    RPC_STRING(struct message, text, .doc = "The text for their results", .length = {1, 1000}),
};
static const rpc_shape message_shape = RPC_OBJECT_SHAPE(struct message, message_fields);

struct text_of_tell {
    const char *text;
};

static const rpc_field told_fields[] = {
    RPC_STRING(struct text_of_tell, text, .doc = "The text of slow.tell", .length = {1, 1000})};
static const rpc_shape told_shape = RPC_OBJECT_SHAPE(struct text_of_tell, told_fields);

struct number {
    int32_t n;
};

static const rpc_field number_fields[] = {RPC_INT32(struct number, n, .doc = "How many")};
static const rpc_shape number_shape = RPC_OBJECT_SHAPE(struct number, number_fields);

static rpc_status wait_run(rpc_call *call, void *state, const void *params, void *result)
{
    struct slow *slow = state;
    (void)result;
    struct waiting *waiting = rpc_alloc(call, sizeof *waiting);
    const rpc_status status = waiting ? rpc_defer(call, waiting) : RPC_INTERNAL_ERROR;
    if (status != RPC_PENDING)
        return status;
    *waiting = (struct waiting){call, ((const struct name *)params)->name, NULL, slow->waiting};
    slow->waiting = waiting;
    slow->started++;
    return status;
}

static void forget(struct slow *slow, const struct waiting *waiting)
{
    struct waiting **link = &slow->waiting;
    while (*link && *link != waiting)
        link = &(*link)->next;
    if (*link)
        *link = waiting->next;
}

static rpc_status wait_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct slow *slow = state;
    const struct waiting *waiting = data;
    slow->dones++;
    slow->in_time += outcome == RPC_OK;
    forget(slow, waiting);
    if (outcome != RPC_OK)
        return outcome;
    ((struct text_of_tell *)result)->text = rpc_printf(call, "%s", waiting->text_of_tell);
    return RPC_OK;
}

static struct waiting *find(const struct slow *slow, const char *name)
{
    struct waiting *waiting = slow->waiting;
    while (waiting && strcmp(waiting->name, name) != 0)
        waiting = waiting->next;
    return waiting;
}

static rpc_status tell_run(rpc_call *call, void *state, const void *params, void *result)
{
    struct slow *slow = state;
    const struct message *message = params;
    struct number *number = result;
    (void)call;
    for (struct waiting *waiting = find(slow, message->name); waiting; waiting = find(slow, message->name)) {
        waiting->text_of_tell = message->text;
        rpc_resume(waiting->call);
        number->n++;
    }
    return RPC_OK;
}

/* ---- Calls that wait for a timer ---- */

static void ring(rpc_instance *instance, void *state, void *data)
{
    struct waiting *waiting = data;
    (void)instance, (void)state;
    waiting->text_of_tell = "it rang";
    rpc_resume(waiting->call);
}

struct alarm {
    struct waiting waiting;
    rpc_timer timer;
};

static rpc_status alarm_run(rpc_call *call, void *state, const void *params, void *result)
{
    struct slow *slow = state;
    const struct sleep_params *given = params;
    (void)result;
    struct alarm *alarm = rpc_alloc(call, sizeof *alarm);
    const rpc_status status = alarm ? rpc_defer(call, alarm) : RPC_INTERNAL_ERROR;
    if (status != RPC_PENDING)
        return status;
    slow->started++;
    alarm->waiting.call = call;
    alarm->timer = rpc_after(slow->instance, (uint32_t)given->ms, ring, &alarm->waiting);
    return status;
}

static rpc_status alarm_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct alarm *alarm = data;
    rpc_timer_cancel(rpc_call_instance(call), alarm->timer);
    return wait_done(call, state, &alarm->waiting, outcome, result);
}

/* ---- Timers and work without a call ---- */

static void tick(rpc_instance *instance, void *state, void *data)
{
    (void)instance, (void)data;
    ((struct slow *)state)->ticks++;
}

static rpc_status tick_run(rpc_call *call, void *state, const void *params, void *result)
{
    struct slow *slow = state;
    const struct sleep_params *given = params;
    (void)call, (void)result;
    rpc_timer_cancel(slow->instance, slow->ticking);
    slow->ticking =
        given->ms ? rpc_every(slow->instance, (uint32_t)given->ms, tick, NULL) : (rpc_timer){.id = 0};
    return RPC_OK;
}

static void background_work(rpc_job *job, void *data)
{
    (void)job;
    nap(*(const int32_t *)data);
}

static rpc_status background_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)outcome;
    ((struct slow *)state)->backgrounds += !call && !result;
    free(data);
    return RPC_OK;
}

static rpc_status background_run(rpc_call *call, void *state, const void *params, void *result)
{
    struct slow *slow = state;
    const struct sleep_params *given = params;
    (void)call, (void)result;
    int32_t *ms = malloc(sizeof *ms);
    if (!ms)
        return RPC_INTERNAL_ERROR;
    *ms = given->ms;
    const rpc_status status =
        rpc_background(slow->instance, given->lane, background_work, background_done, ms);
    if (status == RPC_PENDING)
        return RPC_OK;
    free(ms);
    return status;
}

/* ---- Statistics ---- */

struct stats {
    int32_t started, begun, finished, dones, in_time, ticks, backgrounds;
};

static const rpc_field stats_fields[] = {
    RPC_INT32(struct stats, started, .doc = "Calls that became pending"),
    RPC_INT32(struct stats, begun, .doc = "Jobs that have begun"),
    RPC_INT32(struct stats, finished, .doc = "Jobs that have returned"),
    RPC_INT32(struct stats, dones, .doc = "How often done has run"),
    RPC_INT32(struct stats, in_time, .doc = "How often done ran with the outcome RPC_OK"),
    RPC_INT32(struct stats, ticks, .doc = "How often the timer ran"),
    RPC_INT32(struct stats, backgrounds, .doc = "Jobs without a call that are done"),
};
static const rpc_shape stats_shape = RPC_OBJECT_SHAPE(struct stats, stats_fields);

static rpc_status stats_run(rpc_call *call, void *state, const void *params, void *result)
{
    const struct slow *slow = state;
    (void)call, (void)params;
    *(struct stats *)result = (struct stats){
        slow->started,
        atomic_load(&slow->counts.begun),
        atomic_load(&slow->counts.finished),
        slow->dones,
        slow->in_time,
        slow->ticks,
        slow->backgrounds,
    };
    return RPC_OK;
}

/* ---- The module ---- */

static const rpc_event events[] = {
    {.name = "slept", .doc = "A call has slept"},
    {.name = "sleptBadly", .doc = "A call failed, and its caller asked for no reply"},
};

#define SLEEPS                                                                                \
    .params = &sleep_params_shape, .result = &slept_shape, .errors = RPC_TABLE(sleep_errors), \
    .run = sleep_run, .done = sleep_done

static const rpc_method methods[] = {
    {.name = "slow.sleep",
     .doc = "Sleeps",
     .event = "slept",
     .error_event = "sleptBadly",
     .work = sleep_work,
     SLEEPS},
    {.name = "slow.group",
     .doc = "Sleeps together with all waiting calls of its lane",
     .work = group_work,
     SLEEPS},
    {.name = "slow.high",
     .doc = "Sleeps before others",
     .priority = RPC_PRIORITY_HIGH,
     .work = sleep_work,
     SLEEPS},
    {.name = "slow.low",
     .doc = "Sleeps after others",
     .priority = RPC_PRIORITY_LOW,
     .work = sleep_work,
     SLEEPS},
    {.name = "slow.brief", .doc = "Has 200 ms to sleep", .timeout = 200, .work = sleep_work, SLEEPS},
    {.name = "slow.single", .doc = "Sleeps alone", .max_pending = 1, .work = sleep_work, SLEEPS},
    {.name = "slow.firm", .doc = "Sleeps to the end", .must_finish = true, .work = sleep_work, SLEEPS},
    {.name = "slow.twice",
     .doc = "Sleeps twice",
     .params = &sleep_params_shape,
     .result = &slept_shape,
     .errors = RPC_TABLE(sleep_errors),
     .run = sleep_run,
     .work = twice_work,
     .done = twice_done},
    {.name = "slow.forever",
     .doc = "Never returns, in the lane ever",
     .params = &sleep_params_shape,
     .result = &slept_shape,
     .errors = RPC_TABLE(sleep_errors),
     .run = forever_run,
     .work = forever_work,
     .done = sleep_done},
    {.name = "slow.sum",
     .doc = "Adds up any bytes",
     .params = &bytes_shape,
     .result = &sum_shape,
     .run = sum_run,
     .work = sum_work,
     .done = sum_done},
    {.name = "slow.wait",
     .doc = "Waits for slow.tell",
     .params = &name_shape,
     .result = &told_shape,
     .run = wait_run,
     .defers = true,
     .done = wait_done},
    {.name = "slow.tell",
     .doc = "Resumes all calls that wait under a name",
     .params = &message_shape,
     .result = &number_shape,
     .run = tell_run},
    {.name = "slow.alarm",
     .doc = "Answers after some time, without a thread",
     .params = &sleep_params_shape,
     .result = &told_shape,
     .run = alarm_run,
     .defers = true,
     .done = alarm_done},
    {.name = "slow.tick",
     .doc = "Starts a timer; 0 ms: ends it",
     .params = &sleep_params_shape,
     .run = tick_run},
    {.name = "slow.background",
     .doc = "Starts a job without a call, which sleeps",
     .params = &sleep_params_shape,
     .run = background_run},
    {.name = "slow.stats",
     .doc = "Returns the counters",
     .read_only = true,
     .result = &stats_shape,
     .run = stats_run},
};

static rpc_status init(rpc_instance *instance, void *state, const void *options)
{
    (void)options;
    ((struct slow *)state)->instance = instance;
    return RPC_OK;
}

RPC_MODULE(slow, .doc = "Methods that take time, for tests", .state_size = sizeof(struct slow),
           .methods = RPC_TABLE(methods), .events = RPC_TABLE(events), .init = init);

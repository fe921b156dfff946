// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * tally.c: a module for tests, whose methods write down each of their runs, so that a test can count the runs
 * of every call over all processes. A run is two lines that are appended to one file: `begin` and `end`, each
 * followed by the time in nanoseconds of the clock that all processes of a machine share, the name of the
 * process that runs it, the method, the identity of the call and its lane or `-`.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "mosquitto_rpc.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { NAP_MAX = 3600000, SPIN_MAX = 10000000, TEXT_MAX = 64, LINE_BYTES = 512, NANOSECONDS = 1000000000 };

struct tally_options {
    const char *file, *name;
};

static const rpc_field options_fields[] = {
    RPC_STRING(struct tally_options, file, .doc = "Where runs are written down", .unit = "path",
               .optional = true, .length = {1, 1000}),
    RPC_STRING(struct tally_options, name, .doc = "What this process is called there",
               .default_json = "\"here\"", .length = {1, TEXT_MAX}),
};
static const rpc_shape options_shape = RPC_OBJECT_SHAPE(struct tally_options, options_fields);

struct tally {
    rpc_instance *instance;
    const char *name;
    int file; /* -1: nothing is written down */
};

struct tally_params {
    const char *id, *lane;
    int32_t ms, us;
    bool fail;
};

#define PARAMS                                                                                             \
    RPC_STRING(struct tally_params, id, .doc = "The identity of the call", .default_json = "\"none\"",     \
               .length = {1, TEXT_MAX}),                                                                   \
        RPC_INT32(struct tally_params, ms, .doc = "How long it sleeps", .unit = "ms", .default_json = "0", \
                  .range = {0, NAP_MAX}),                                                                  \
        RPC_INT32(struct tally_params, us, .doc = "How much of a processor it takes then", .unit = "us",   \
                  .default_json = "0", .range = {0, SPIN_MAX}),                                            \
        RPC_BOOL(struct tally_params, fail, .doc = "Fails in the end", .default_json = "false")

static const rpc_field params_fields[] = {PARAMS};
static const rpc_shape params_shape = RPC_OBJECT_SHAPE(struct tally_params, params_fields);
static const rpc_field lane_params_fields[] = {
    PARAMS,
    RPC_STRING(struct tally_params, lane, .doc = "In which lane", .length = {1, TEXT_MAX}),
};
static const rpc_shape lane_params_shape = RPC_OBJECT_SHAPE(struct tally_params, lane_params_fields);

struct tallied {
    const char *id, *by;
};

static const rpc_field tallied_fields[] = {
    RPC_STRING(struct tallied, id, .doc = "The identity of the call", .length = {1, TEXT_MAX}),
    RPC_STRING(struct tallied, by, .doc = "The process that ran it", .length = {1, TEXT_MAX}),
};
static const rpc_shape tallied_shape = RPC_OBJECT_SHAPE(struct tallied, tallied_fields);

static const rpc_error errors[] = {{.code = "miscounted", .doc = "The parameter fail was true"}};
static const rpc_event events[] = {{.name = "tallied", .doc = "A call of tally.told has ended well"}};

/* ---- Runs ---- */

/* One run: memory of its call. */
struct run {
    const struct tally_params *params;
    const char *name, *method;
    rpc_call *call;  /* of tally.steps, which has no work */
    rpc_timer timer; /* likewise */
    bool halfway;    /* likewise */
    int file;
};

static int64_t now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * NANOSECONDS + time.tv_nsec;
}

/* One write() at the end of a file is one line, whoever else writes to it. */
static void write_down(const struct run *run, const char *what)
{
    char line[LINE_BYTES];
    const int size =
        snprintf(line, sizeof line, "%s %lld %s %s %s %s\n", what, (long long)now(CLOCK_MONOTONIC), run->name,
                 run->method, run->params->id, run->params->lane ? run->params->lane : "-");
    if (run->file >= 0 && write(run->file, line, (size_t)size) != size)
        dprintf(STDERR_FILENO, "tally: a run could not be written down: %s", line);
}

static struct run *new_run(rpc_call *call, const struct tally *tally, const struct tally_params *params)
{
    struct run *run = rpc_alloc(call, sizeof *run);
    if (run)
        *run = (struct run){.params = params,
                            .name = tally->name,
                            .method = rpc_call_method(call),
                            .call = call,
                            .file = tally->file};
    return run;
}

static void nap(int32_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    while (ms && nanosleep(&left, &left))
        continue;
}

static void spin(int32_t us)
{
    const int64_t until = now(CLOCK_THREAD_CPUTIME_ID) + (int64_t)us * 1000;
    while (us && now(CLOCK_THREAD_CPUTIME_ID) < until)
        continue;
}

static rpc_status give(rpc_call *call, const struct run *run, struct tallied *tallied)
{
    if (run->params->fail)
        return rpc_raise(call, "miscounted", "%s was to fail", run->params->id);
    *tallied = (struct tallied){run->params->id, run->name};
    return RPC_OK;
}

/* ---- On the broker's thread ---- */

static rpc_status here_run(rpc_call *call, void *state, const void *params, void *result)
{
    const struct run *run = new_run(call, state, params);
    if (!run)
        return RPC_INTERNAL_ERROR;
    write_down(run, "begin");
    write_down(run, "end");
    return give(call, run, result);
}

/* ---- On a worker thread ---- */

static rpc_status work_run(rpc_call *call, void *state, const void *params, void *result)
{
    struct run *run = new_run(call, state, params);
    (void)result;
    return run ? rpc_start(call, run->params->lane, run) : RPC_INTERNAL_ERROR;
}

static void work(rpc_job *job, void *data)
{
    const struct run *run = data;
    (void)job;
    write_down(run, "begin");
    nap(run->params->ms);
    spin(run->params->us);
    write_down(run, "end");
}

static rpc_status work_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)state;
    return outcome == RPC_OK ? give(call, data, result) : outcome;
}

/* ---- With an interim reply, and without a thread ---- */

static const rpc_field step_fields[] = {
    RPC_STRING(struct tallied, id, .doc = "The identity of the call", .length = {1, TEXT_MAX})};
static const rpc_shape step_shape = RPC_OBJECT_SHAPE(struct tallied, step_fields);

static void step(rpc_instance *instance, void *state, void *data)
{
    struct run *run = data;
    (void)state;
    if (run->halfway) {
        run->timer = (rpc_timer){0};
        rpc_resume(run->call);
        return;
    }
    run->halfway = true;
    run->timer = rpc_after(instance, (uint32_t)run->params->ms / 2, step, run);
    const struct tallied tallied = {.id = run->params->id};
    if (rpc_progress(run->call, &tallied) != RPC_OK)
        rpc_log(instance, RPC_LOG_ERROR, "no interim reply");
}

static rpc_status steps_run(rpc_call *call, void *state, const void *params, void *result)
{
    struct run *run = new_run(call, state, params);
    (void)result;
    if (!run)
        return RPC_INTERNAL_ERROR;
    const rpc_status status = rpc_defer(call, run);
    if (status != RPC_PENDING)
        return status;
    write_down(run, "begin");
    run->timer = rpc_after(rpc_call_instance(call), (uint32_t)run->params->ms / 2, step, run);
    return status;
}

static rpc_status steps_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct run *run = data;
    (void)state;
    rpc_timer_cancel(rpc_call_instance(call), run->timer);
    write_down(run, "end");
    return outcome == RPC_OK ? give(call, run, result) : outcome;
}

/* ---- The module ---- */

#define OUTCOME .result = &tallied_shape, .errors = RPC_TABLE(errors)
#define WORKS .params = &params_shape, OUTCOME, .run = work_run, .work = work, .done = work_done

static const rpc_method methods[] = {
    {.name = "tally.here",
     .doc = "Runs on the broker's thread",
     .params = &params_shape,
     OUTCOME,
     .run = here_run},
    {.name = "tally.read", .doc = "Changes nothing", .read_only = true, WORKS},
    {.name = "tally.same", .doc = "May run twice", .idempotent = true, WORKS},
    {.name = "tally.once", .doc = "May not run twice", WORKS},
    {.name = "tally.told", .doc = "Announces its result", .event = "tallied", WORKS},
    {.name = "tally.lane",
     .doc = "May not run twice, and runs in a lane",
     .params = &lane_params_shape,
     OUTCOME,
     .lane = "lane",
     .run = work_run,
     .work = work,
     .done = work_done},
    {.name = "tally.steps",
     .doc = "Sends an interim reply halfway",
     .params = &params_shape,
     OUTCOME,
     .run = steps_run,
     .defers = true,
     .progress = &step_shape,
     .done = steps_done},
};

static rpc_status init(rpc_instance *instance, void *state, const void *options)
{
    struct tally *tally = state;
    const struct tally_options *given = options;
    *tally = (struct tally){instance, given->name, -1};
    if (!given->file)
        return RPC_OK;
    tally->file = open(given->file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (tally->file >= 0)
        return RPC_OK;
    rpc_log(instance, RPC_LOG_ERROR, "%s cannot be written to", given->file);
    return RPC_INTERNAL_ERROR;
}

static void fini(void *state)
{
    const struct tally *tally = state;
    if (tally->instance && tally->file >= 0)
        close(tally->file);
}

RPC_MODULE(tally, .doc = "Methods that write down their runs, for tests", .state_size = sizeof(struct tally),
           .options = &options_shape, .methods = RPC_TABLE(methods), .events = RPC_TABLE(events),
           .init = init, .fini = fini);

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * errand.c: a module for the benchmark, whose methods take as long as their callers say: on the broker's
 * thread, or wherever the work of a method is carried out.
 */
#include "mosquitto_rpc.h"

#include <time.h>

struct errand {
    int32_t ms, us;
};

static const rpc_field errand_fields[] = {
    RPC_INT32(struct errand, ms, .doc = "how long to sleep", .unit = "ms", .default_json = "0",
              .range = {0, 10000}),
    RPC_INT32(struct errand, us, .doc = "how much of a processor to take then", .unit = "us",
              .default_json = "0", .range = {0, 1000000}),
};
static const rpc_shape errand_shape = RPC_OBJECT_SHAPE(struct errand, errand_fields);

struct done {
    bool ok;
};

static const rpc_field done_fields[] = {RPC_BOOL(struct done, ok, .doc = "always true")};
static const rpc_shape done_shape = RPC_OBJECT_SHAPE(struct done, done_fields);

static rpc_status at_once(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params;
    ((struct done *)result)->ok = true;
    return RPC_OK;
}

static void spin(int32_t us)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    const int64_t until = time.tv_sec * INT64_C(1000000000) + time.tv_nsec + us * INT64_C(1000);
    while (time.tv_sec * INT64_C(1000000000) + time.tv_nsec < until)
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
}

static void run_errand(rpc_job *job, void *data)
{
    const struct errand *errand = *(const struct errand **)data;
    const struct timespec nap = {errand->ms / 1000, errand->ms % 1000 * 1000000L};
    (void)job;
    if (errand->ms)
        nanosleep(&nap, NULL);
    if (errand->us)
        spin(errand->us);
}

static rpc_status by_worker(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)result;
    const struct errand **errand = rpc_alloc(call, sizeof *errand);
    if (!errand)
        return RPC_INTERNAL_ERROR;
    *errand = params;
    return rpc_start(call, NULL, errand);
}

static rpc_status errand_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)call, (void)state, (void)data, (void)outcome;
    ((struct done *)result)->ok = true;
    return RPC_OK;
}

/* ---- The module ---- */

static const rpc_method methods[] = {
    {.name = "at.once",
     .doc = "Answers at once.",
     .params = &errand_shape,
     .result = &done_shape,
     .run = at_once},
    {.name = "by.worker",
     .doc = "Answers when a worker has returned.",
     .params = &errand_shape,
     .result = &done_shape,
     .run = by_worker,
     .work = run_errand,
     .done = errand_done},
};

RPC_MODULE(errand, .doc = "Methods that take some time.", .methods = RPC_TABLE(methods));

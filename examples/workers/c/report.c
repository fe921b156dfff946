// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The module `report`: reports that take a while to make, and are therefore made by workers. */
#include <mosquitto_rpc.h>

#include <time.h>
#include <unistd.h>

struct options {
    int32_t takes;
};

static const rpc_field option_fields[] = {
    RPC_INT32(struct options, takes, .doc = "how long it takes to make a report", .unit = "ms",
              .default_json = "50", .range = {1, 10000}),
};

static const rpc_shape options_shape = RPC_OBJECT_SHAPE(struct options, option_fields);

struct reports {
    int32_t takes;
};

struct params {
    int32_t number;
};

static const rpc_field params_fields[] = {
    RPC_INT32(struct params, number, .doc = "which report"),
};

static const rpc_shape params_shape = RPC_OBJECT_SHAPE(struct params, params_fields);

struct result {
    int32_t number;
    int32_t process;
};

static const rpc_field result_fields[] = {
    RPC_INT32(struct result, number, .doc = "the report that was made"),
    RPC_INT32(struct result, process, .doc = "the id of the process that made it"),
};

static const rpc_shape result_shape = RPC_OBJECT_SHAPE(struct result, result_fields);

/* What run gives to work. */
struct job {
    int32_t number;
    int32_t takes;
};

static void make_report(rpc_job *job, void *data)
{
    const struct job *mine = data;
    const struct timespec pause = {mine->takes / 1000, mine->takes % 1000 * 1000000L};
    (void)job;
    nanosleep(&pause, NULL); /* stands for a database, a camera or another service that one waits for */
}

static rpc_status start_report(rpc_call *call, void *state, const void *params, void *result)
{
    struct job *job = rpc_alloc(call, sizeof *job);
    (void)result;
    if (!job)
        return RPC_INTERNAL_ERROR;
    *job = (struct job){((const struct params *)params)->number, ((const struct reports *)state)->takes};
    return rpc_start(call, NULL, job);
}

static rpc_status end_report(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)call;
    (void)state;
    if (outcome == RPC_OK)
        *(struct result *)result = (struct result){((const struct job *)data)->number, (int32_t)getpid()};
    return outcome;
}

static rpc_status init(rpc_instance *instance, void *state, const void *options)
{
    (void)instance;
    ((struct reports *)state)->takes = ((const struct options *)options)->takes;
    return RPC_OK;
}

static const rpc_method methods[] = {
    {
        .name = "makeReport",
        .doc = "Makes a report.",
        .idempotent = true, /* a worker that dies loses no call: another one makes the report */
        .placement = RPC_PLACEMENT_REMOTE,
        .params = &params_shape,
        .result = &result_shape,
        .run = start_report,
        .work = make_report,
        .done = end_report,
    },
};

RPC_MODULE(report, .doc = "Reports that workers make.", .state_size = sizeof(struct reports),
           .options = &options_shape, .methods = RPC_TABLE(methods), .init = init);

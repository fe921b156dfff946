// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The module `valve`: the valve of a garden's water, which is open for some seconds. */
#include <mosquitto_rpc.h>

enum { SECONDS_MAX = 3600 };

struct valve {
    rpc_timer closing; /* no timer: the valve is closed */
    int32_t longest;   /* seconds */
};

struct options {
    int32_t longest;
};

static const rpc_field option_fields[] = {
    RPC_INT32(struct options, longest, .doc = "the longest time that the valve may be open", .unit = "s",
              .default_json = "600", .range = {1, SECONDS_MAX}),
};

static const rpc_shape options_shape = RPC_OBJECT_SHAPE(struct options, option_fields);

struct open_params {
    int32_t seconds;
};

static const rpc_field open_params_fields[] = {
    RPC_INT32(struct open_params, seconds, .doc = "for how long", .unit = "s", .default_json = "60",
              .range = {1, SECONDS_MAX}),
};

static const rpc_shape open_params_shape = RPC_OBJECT_SHAPE(struct open_params, open_params_fields);

struct opened {
    double until;
};

static const rpc_field opened_fields[] = {
    RPC_DOUBLE(struct opened, until, .doc = "when the valve closes, Unix time", .unit = "s"),
};

static const rpc_shape opened_shape = RPC_OBJECT_SHAPE(struct opened, opened_fields);

struct closed {
    double time;
};

static const rpc_field closed_fields[] = {
    RPC_DOUBLE(struct closed, time, .doc = "when the valve closed, Unix time", .unit = "s"),
};

static const rpc_shape closed_shape = RPC_OBJECT_SHAPE(struct closed, closed_fields);

static const rpc_error open_errors[] = {
    {.code = "too_long", .doc = "the valve may not be open for so long"},
};

static void close_valve(rpc_instance *instance, void *state, void *data)
{
    struct valve *valve = state;
    (void)data;
    valve->closing = (rpc_timer){.id = 0};
    rpc_announce(instance, NULL, "valveClosed", &(struct closed){rpc_time(instance)});
}

static rpc_status open_valve(rpc_call *call, void *state, const void *params, void *result)
{
    struct valve *valve = state;
    const struct open_params *given = params;
    struct opened *opened = result;
    rpc_instance *instance = rpc_call_instance(call);
    if (given->seconds > valve->longest)
        return rpc_raise(call, "too_long", "the valve is open for at most %d s", (int)valve->longest);
    const rpc_timer closing = rpc_after(instance, (uint32_t)given->seconds * 1000, close_valve, NULL);
    if (!closing.id)
        return RPC_INTERNAL_ERROR;
    rpc_timer_cancel(instance, valve->closing);
    valve->closing = closing;
    opened->until = rpc_call_time(call) + given->seconds;
    return RPC_OK;
}

static rpc_status init(rpc_instance *instance, void *state, const void *options)
{
    (void)instance;
    ((struct valve *)state)->longest = ((const struct options *)options)->longest;
    return RPC_OK;
}

static const rpc_event events[] = {
    {.name = "valveOpened", .doc = "a client opened the valve"},
    {.name = "valveClosed", .doc = "the valve has closed", .data = &closed_shape},
};

static const rpc_method methods[] = {
    {
        .name = "openValve",
        .doc = "Opens the valve for some seconds.",
        .params = &open_params_shape,
        .result = &opened_shape,
        .errors = RPC_TABLE(open_errors),
        .event = "valveOpened",
        .run = open_valve,
    },
};

RPC_MODULE(valve, .doc = "The valve of a garden's water.", .state_size = sizeof(struct valve),
           .options = &options_shape, .methods = RPC_TABLE(methods), .events = RPC_TABLE(events),
           .init = init);

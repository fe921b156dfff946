// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * gate.c: a module that only tests load. Its events are keyed by the name of a gate, which is any text:
 * `gate` is retained, `gateFailed` is not. A gate whose name begins with "stuck" does not move.
 */
#include "mosquitto_rpc.h"

#include <string.h>

enum { NAME_MAX_CHARACTERS = 200 };

struct gate {
    const char *gate;
    bool open;
};

static const rpc_field gate_fields[] = {
    RPC_STRING(struct gate, gate, .doc = "The name of the gate", .length = {0, NAME_MAX_CHARACTERS}),
    RPC_BOOL(struct gate, open, .doc = "Whether it is open"),
};
static const rpc_shape gate_shape = RPC_OBJECT_SHAPE(struct gate, gate_fields);

struct gate_name {
    const char *gate;
};

static const rpc_field name_fields[] = {
    RPC_STRING(struct gate_name, gate, .doc = "The name of the gate", .length = {0, NAME_MAX_CHARACTERS}),
};
static const rpc_shape name_shape = RPC_OBJECT_SHAPE(struct gate_name, name_fields);

static const rpc_error gate_errors[] = {
    {.code = "gate_stuck", .doc = "The gate does not move", .data = &name_shape},
};

static rpc_status move(rpc_call *call, const struct gate *wanted, struct gate *gate)
{
    const struct gate_name name = {wanted->gate};
    if (strncmp(wanted->gate, "stuck", strlen("stuck")) == 0)
        return rpc_raise_with(call, "gate_stuck", &name, "it does not move");
    *gate = *wanted;
    return RPC_OK;
}

static rpc_status gate_set(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state;
    return move(call, params, result);
}

static void resume(rpc_instance *instance, void *state, void *data)
{
    (void)instance, (void)state;
    rpc_resume(data);
}

struct moving {
    const struct gate *wanted;
    rpc_timer timer;
};

static rpc_status gate_move(rpc_call *call, void *state, const void *params, void *result)
{
    struct moving *moving = rpc_alloc(call, sizeof *moving);
    (void)state, (void)result;
    if (!moving)
        return RPC_INTERNAL_ERROR;
    moving->wanted = params;
    moving->timer = rpc_after(rpc_call_instance(call), 10, resume, call);
    if (!moving->timer.id)
        return RPC_INTERNAL_ERROR;
    const rpc_status status = rpc_defer(call, moving);
    if (status != RPC_PENDING)
        rpc_timer_cancel(rpc_call_instance(call), moving->timer);
    return status;
}

static rpc_status gate_moved(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    const struct moving *moving = data;
    (void)state;
    if (outcome == RPC_OK)
        return move(call, moving->wanted, result);
    rpc_timer_cancel(rpc_call_instance(call), moving->timer);
    return outcome;
}

static rpc_status gate_show(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)result;
    return rpc_announce(rpc_call_instance(call), NULL, "gate", params);
}

static rpc_status gate_remove(rpc_call *call, void *state, const void *params, void *result)
{
    const struct gate_name *name = params;
    (void)state, (void)result;
    return rpc_retract(rpc_call_instance(call), call, "gate", name->gate);
}

static const rpc_event events[] = {
    {
        .name = "gate",
        .doc = "The state of a gate",
        .data = &gate_shape,
        .retained = true,
        .key = "gate",
    },
    {
        .name = "gateFailed",
        .doc = "A gate did not move",
        .key = "gate",
    },
};

static const rpc_method methods[] = {
    {
        .name = "setGate",
        .doc = "Opens or closes a gate.",
        .idempotent = true,
        .params = &gate_shape,
        .result = &gate_shape,
        .errors = RPC_TABLE(gate_errors),
        .event = "gate",
        .error_event = "gateFailed",
        .run = gate_set,
    },
    {
        .name = "moveGate",
        .doc = "Does so, and takes its time.",
        .idempotent = true,
        .params = &gate_shape,
        .result = &gate_shape,
        .errors = RPC_TABLE(gate_errors),
        .event = "gate",
        .error_event = "gateFailed",
        .run = gate_move,
        .done = gate_moved,
        .defers = true,
    },
    {
        .name = "showGate",
        .doc = "Announces the state of a gate, as if no call were the cause.",
        .params = &gate_shape,
        .run = gate_show,
    },
    {
        .name = "removeGate",
        .doc = "Makes the broker forget a gate.",
        .idempotent = true,
        .params = &name_shape,
        .run = gate_remove,
    },
};

RPC_MODULE(gate, .doc = "Tests of keyed events.", .methods = RPC_TABLE(methods), .events = RPC_TABLE(events));

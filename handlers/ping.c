// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* ping tests the connection. The smallest module that announces an event. */
#include <mosquitto_rpc.h>

struct pong {
    bool ok;
    double time;
};

static const rpc_field pong_fields[] = {
    RPC_BOOL(struct pong, ok, .doc = "always true"),
    RPC_DOUBLE(struct pong, time, .doc = "the broker's Unix time, with fractions of a second", .unit = "s"),
};

static const rpc_shape pong_shape = RPC_OBJECT_SHAPE(struct pong, pong_fields);

static rpc_status ping(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    struct pong *pong = result;
    pong->ok = true;
    pong->time = rpc_call_time(call);
    return RPC_OK;
}

static const rpc_event events[] = {
    {.name = "pong", .doc = "ping was called, and its caller asked for no reply"},
};

static const rpc_method methods[] = {
    {
        .name = "ping",
        .doc = "Returns the time, so that a client can test that calls and replies get through.",
        .read_only = true,
        .result = &pong_shape,
        .event = "pong",
        .announce = RPC_ANNOUNCE_UNANSWERED,
        .run = ping,
    },
};

RPC_MODULE(ping, .doc = "A test of the connection.", .methods = RPC_TABLE(methods),
           .events = RPC_TABLE(events));

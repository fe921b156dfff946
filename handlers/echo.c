// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* echo returns its parameters, to test clients and their JSON. */
#include <mosquitto_rpc.h>

struct anything {
    rpc_json value;
};

static const rpc_field anything_fields[] = {
    RPC_JSON(struct anything, value, .doc = "any JSON value"),
};

static const rpc_shape anything_shape = RPC_VALUE_SHAPE(struct anything, anything_fields);

static rpc_status echo(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state;
    const struct anything *given = params;
    struct anything *back = result;
    back->value = given->value;
    return RPC_OK;
}

static const rpc_method methods[] = {
    {
        .name = "echo",
        .doc = "Returns its parameters, which may be any JSON value.",
        .read_only = true,
        .params = &anything_shape,
        .result = &anything_shape,
        .run = echo,
    },
};

RPC_MODULE(echo, .doc = "Returns its parameters.", .methods = RPC_TABLE(methods));

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Can be built, but has a row without a name. */
#include <mosquitto_rpc.h>

static rpc_status run(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params, (void)result;
    return RPC_OK;
}

static const rpc_method methods[] = {{.name = "fine", .doc = "Is fine.", .run = run}, {.name = NULL}};

RPC_MODULE(nameless, .doc = "Is not.", .methods = RPC_TABLE(methods));

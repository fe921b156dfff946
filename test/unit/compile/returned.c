// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What decides the outcome of a call is returned by its handler. WRONG=n drops it, which is a warning.
 * Says: unused-result
 */
#include <mosquitto_rpc.h>

extern rpc_handler handler;

static rpc_status run(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
#if WRONG == 1
    rpc_raise(call, "dark", "no light");
#elif WRONG == 2
    rpc_raise_with(call, "dark", NULL, "no light");
#elif WRONG == 3
    rpc_start(call, NULL, NULL);
#elif WRONG == 4
    rpc_defer(call, NULL);
#endif
    return rpc_start(call, NULL, NULL);
}

rpc_handler handler = run;

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The outcome of a call: see settle.h. */
#include "call/settle.h"

#include "call/answer.h"
#include "call/engine_parts.h"

/* Time is looked at only if there are modules that observe calls. */
void call_settle(rpc_call *call, rpc_status status)
{
    struct engine *engine = call->engine;
    call->state = CALL_OVER;
    status = answer_call(call, status);
    if (!call->method)
        return;
    engine->env.counters.calls++;
    engine->env.counters.errors += status != RPC_OK;
    rpc_instance *instance = engine->registry.observers;
    const rpc_observation observation = {
        .method = call->method->declared,
        .status = status,
        .elapsed = instance ? env_now(&engine->env) - exchange_now(call->exchange) : 0,
    };
    for (; instance; instance = instance->next_observer)
        instance->module->observe(instance, instance->state, &observation);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The outcome of a call: see settle.h. */
#include "call/settle.h"

#include "call/answer.h"
#include "call/engine_parts.h"

/* Tells the modules that observe calls. Time is looked at only if there are any. */
static void settle_observe(rpc_call *call, rpc_status status)
{
    struct engine *engine = call->engine;
    rpc_instance *instance = engine->registry.observers;
    if (!instance)
        return;
    const rpc_observation observation = {
        .method = call->method->declared,
        .status = status,
        .elapsed = env_now(&engine->env) - exchange_now(call->exchange),
    };
    for (; instance; instance = instance->next_observer)
        instance->module->observe(instance, instance->state, &observation);
}

void call_settle(rpc_call *call, rpc_status status)
{
    struct engine_counters *counters = &call->engine->env.counters;
    call->state = CALL_OVER;
    status = answer_call(call, status);
    if (!call->method)
        return;
    counters->calls++;
    counters->errors += status != RPC_OK;
    settle_observe(call, status);
}

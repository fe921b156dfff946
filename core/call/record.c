// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What is noted of calls: see record.h. */
#include "call/record.h"

#include "base/status.h"
#include "call/engine_parts.h"

/* Out of line, for the sake of calls that succeed. */
__attribute__((noinline)) static void record_error(const rpc_call *call, rpc_status status)
{
    struct env *env = &call->engine->env;
    const struct failure *failure = &call->failure;
    const bool is_said = failure->status == status;
    env->counters.errors++;
    statistics_note_error(
        &call->method->statistics, call->method->declared, is_said ? failure->code : status_name(status),
        is_said && failure->message ? failure->message : status_text(status), env_wall_time(env));
}

/* The clock is read only where the call has not been timed. */
void record_call(const rpc_call *call, rpc_status status)
{
    struct engine *engine = call->engine;
    struct registry_method *method = call->method;
    const uint64_t ended = call->ended ? call->ended : env_now(&engine->env);
    const uint64_t elapsed = ended - call->exchange->now;
    engine->env.counters.calls++;
    statistics_count(&method->statistics, status, elapsed);
    if (status != RPC_OK)
        record_error(call, status);
    rpc_instance *instance = engine->registry.observers;
    if (!instance)
        return;
    const rpc_observation observation = {.method = method->declared, .status = status, .elapsed = elapsed};
    for (; instance; instance = instance->next_observer)
        instance->module->observe(instance, instance->state, &observation);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What is noted of calls: see record.h. */
#include "call/record.h"

#include "base/status.h"
#include "base/text.h"
#include "call/engine_parts.h"
#include "stats/recorder.h"

#include <inttypes.h>

/* The code of an outcome on the wire. */
static const char *record_code(const rpc_call *call, rpc_status status)
{
    return call->failure.status == status && status != RPC_OK ? call->failure.code : status_name(status);
}

/* What a method was called that is not registered: where the caller named none, the topic says it. */
static const char *record_name(const rpc_call *call)
{
    return *call->name ? call->name : call->exchange->message->topic;
}

/* The operator has asked for each of these lines, so that no limit holds for them. */
__attribute__((noinline)) static void record_log(const rpc_call *call, const struct record *record)
{
    env_log_always(&call->engine->env, RPC_LOG_INFO,
                   "client %.64s called %.128s: %s, waited %" PRIu64 " us, ran %" PRIu64 " us",
                   call->exchange->message->client->id, record_name(call), record->code,
                   record->waited / 1000, record->ran / 1000);
}

/* Out of line, for the sake of calls that need none of it. */
__attribute__((noinline)) static void record_add_details(const rpc_call *call, struct record *record)
{
    const struct exchange *exchange = call->exchange;
    char safe[RECORDER_NAME + 1];
    if (!call->method)
        record_keep_name(record, text_printable(record_name(call), safe, sizeof safe));
    else if (call->method->is_family)
        record_keep_name(record, call->name);
    if (call->worker)
        record_keep_worker(record, call->worker);
    if (record->payload)
        record_keep_payload(record, exchange->message->payload, exchange_payload_size(exchange));
    if (call->engine->env.options.log_calls)
        record_log(call, record);
}

/* What a call waited for is the calls before it in a batch, and a thread. The pool has a clock of its own. */
static void record_in_ring(const rpc_call *call, rpc_status status, uint64_t elapsed)
{
    struct engine *engine = call->engine;
    const struct exchange *exchange = call->exchange;
    struct record *record = recorder_begin(engine->recorder);
    const uint64_t waited = call->begun ? call->begun - exchange->now + call->queued : elapsed;
    record->method = call->method ? call->method->declared : NULL;
    record->code = record_code(call, status);
    record->arrived = exchange->now;
    record->waited = waited < elapsed ? waited : elapsed;
    record->ran = elapsed - record->waited;
    record->size = exchange->message->size;
    record->name[0] = record->worker[0] = '\0';
    record_keep_trace(record, exchange->to.trace);
    record_keep_caller(record, exchange->message->client->id);
    if (engine->env.options.log_calls || record->payload || !call->method || call->method->is_family ||
        call->worker)
        record_add_details(call, record);
}

/* Out of line, for the sake of calls that succeed. */
__attribute__((noinline)) static void record_error(const rpc_call *call, rpc_status status)
{
    struct env *env = &call->engine->env;
    const struct failure *failure = &call->failure;
    const bool is_said = failure->status == status;
    env->counters.errors++;
    statistics_note_error(&call->method->statistics, call->method->declared, record_code(call, status),
                          is_said && failure->message ? failure->message : status_text(status),
                          env_wall_time(env));
}

/* The clock is read only where the call has not been timed. */
void record_call(const rpc_call *call, rpc_status status)
{
    struct engine *engine = call->engine;
    struct registry_method *method = call->method;
    const uint64_t ended = call->ended ? call->ended : env_now(&engine->env);
    const uint64_t elapsed = ended - call->exchange->now;
    record_in_ring(call, status, elapsed);
    if (!method)
        return;
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

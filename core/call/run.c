// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Parameters and handlers: see run.h. */
#include "call/run.h"

#include "base/text.h"
#include "call/answer.h"
#include "call/engine_parts.h"
#include "call/exchange.h"

/* What stands for parameters that were left out. */
static const cJSON run_no_params = {.type = cJSON_Object};

/* ---- Parameters ---- */

/* A fault in one item of a batch concerns that item alone, as far as the item at fault is known. */
static rpc_status run_check_wanted(rpc_call *call)
{
    const struct json_error *parsed = &call->exchange->payload.parsed;
    struct json_error error;
    const char *why = NULL;
    if (parsed->fault != JSON_UNWANTED)
        return RPC_OK;
    if (!call->item)
        why = parsed->why;
    else if (!json_is_wanted(call->item, &error))
        why = error.why;
    else if (parsed->nul)
        why = "the payload has a string with U+0000";
    // cppcheck-suppress uninitvar ; json_is_wanted() sets it
    if (call->item && error.fault == JSON_NO_MEMORY)
        return RPC_INTERNAL_ERROR;
    return why ? call_fail(call, RPC_INVALID_PARAMS, "%s", why) : RPC_OK;
}

/* The parameters of a method that takes none, or of one that workers declare, which takes any object. */
static rpc_status run_check_no_params(rpc_call *call)
{
    const cJSON *value = call->params;
    const bool is_object = !value || cJSON_IsObject(value);
    if (!is_object && (!call->exchange->jsonrpc || call->method->foreign))
        return call_fail(call, RPC_INVALID_PARAMS, "the parameters must be a JSON object");
    if (is_object && value && value->child && call->method->params.strict)
        return call_fail(call, RPC_INVALID_PARAMS, "%.*s is not declared: the method takes no parameters",
                         (int)text_cut(value->child->string, 64), value->child->string);
    return is_object || !value->child ? RPC_OK
                                      : call_fail(call, RPC_INVALID_PARAMS, "the method takes no parameters");
}

static rpc_status run_decode(rpc_call *call, void **params)
{
    const struct fields *fields = &call->method->params;
    const cJSON *value = call->params ? call->params : &run_no_params;
    const bool is_jsonrpc = call->exchange->jsonrpc;
    char why[FIELDS_WHY];
    const rpc_status status = is_jsonrpc && cJSON_IsArray(value)
                                  ? fields_decode_positional(fields, value, &call->arena, params, why)
                                  : fields_decode(fields, value, &call->arena, params, why);
    return status == RPC_INVALID_PARAMS ? call_fail(call, status, "%s", why) : status;
}

static rpc_status run_take_params(rpc_call *call, void **params)
{
    const rpc_shape *shape = call->method->params.shape;
    const rpc_status status = run_check_wanted(call);
    if (status != RPC_OK)
        return status;
    if (!shape)
        return run_check_no_params(call);
    if (shape->form != RPC_FORM_BYTES)
        return run_decode(call, params);
    if (call->exchange->payload.tree)
        return call_fail(call, RPC_INVALID_PARAMS, "the method takes raw bytes, which only a plain call has");
    rpc_bytes *bytes = *params = arena_alloc(&call->arena, sizeof *bytes);
    if (!bytes)
        return RPC_INTERNAL_ERROR;
    *bytes = (rpc_bytes){call->exchange->message->payload, call->exchange->message->size};
    return RPC_OK;
}

/* ---- The handler ---- */

/* RPC_RAISED without a raised error is a fault, and so is RPC_PENDING of a call that nothing keeps pending.
 */
rpc_status run_check_outcome(rpc_call *call, rpc_status returned)
{
    call->by_handler = returned != RPC_OK && returned != call->refusal;
    const bool is_known = (int)returned >= RPC_OK && (int)returned < RPC_STATUS_COUNT_;
    if (is_known && (returned != RPC_RAISED || call->failure.status == RPC_RAISED))
        return returned;
    env_log(&call->engine->env, RPC_LOG_ERROR, "method %s returned %d without raising an error", call->name,
            (int)returned);
    return RPC_INTERNAL_ERROR;
}

void run_check_pending(const rpc_call *call, rpc_status returned)
{
    if (returned != RPC_PENDING)
        env_log(&call->engine->env, RPC_LOG_ERROR,
                "method %s made its call pending and returned %d: the call is pending", call->name,
                (int)returned);
}

/* Returns RPC_PENDING if the call is pending now. */
static rpc_status run_handler(rpc_call *call, const void *params)
{
    struct env *env = &call->engine->env;
    const struct registry_method *method = call->method;
    const rpc_shape *shape = method->declared->result;
    call->result = shape ? arena_alloc(&call->arena, shape->size) : NULL;
    if (shape && !call->result)
        return RPC_INTERNAL_ERROR;
    uint64_t ended = 0;
    call->begun = call->item ? env_now(env) : call->exchange->now;
    if (method->declared->lane)
        call->decoded = params;
    call->state = CALL_RUNNING;
    rpc_status status = method->run(call, method->instance->state, params, call->result);
    call->state = CALL_IDLE;
    if (call->task) {
        run_check_pending(call, status);
        call_recount(call);
        status = RPC_PENDING;
    } else {
        status = run_check_outcome(call, status);
    }
    if (env->options.slow_call > 0)
        ended = env_check_time(env, "method", call->name, call->begun);
    call->ended = call->task ? 0 : ended;
    return status;
}

/* Says which method is not there, and which one could be meant. At the endpoint only those count that are
 * open. Out of line, so that other calls need no room for the name. */
__attribute__((noinline)) static rpc_status run_fail_unknown(rpc_call *call)
{
    const struct engine *engine = call->engine;
    const bool is_endpoint = call->exchange->kind == TOPIC_JSONRPC;
    const char *near = registry_find_near(&engine->registry, call->name, is_endpoint);
    const char *ask = near ? ", did you mean " : "", *mark = near ? "?" : "";
    char safe[TOPIC_NAME_MAX + 1];
    text_printable(call->name, safe, sizeof safe);
    near = near ? near : "";
    if (is_endpoint)
        return call_fail(call, RPC_METHOD_NOT_FOUND,
                         "%s is not open at %s/jsonrpc: the option jsonrpc_methods opens methods there%s%s%s",
                         safe, engine->env.options.prefix, ask, near, mark);
    return call_fail(call, RPC_METHOD_NOT_FOUND, "there is no method %s%s%s%s", safe, ask, near, mark);
}

/* Nothing was run: when the method is on again, the same message is a new attempt. Out of line likewise. */
__attribute__((noinline)) static rpc_status run_fail_off(rpc_call *call)
{
    struct exchange *exchange = call->exchange;
    if (!exchange->batch || !exchange->jsonrpc)
        exchange->pending.ran = EXCHANGE_NOT_RUN;
    return call_fail(call, RPC_METHOD_NOT_FOUND, "method %s is switched off: see methods_off",
                     call->method->declared->name);
}

void run_call(rpc_call *call)
{
    void *params = NULL;
    rpc_status status = RPC_OK;
    if (!call->method) {
        call->engine->env.counters.unknown++;
        status = run_fail_unknown(call);
    } else if (call->method->off) {
        status = run_fail_off(call);
    } else if (call->method->may_pend) {
        status = exchange_keep(call);
    }
    if (status == RPC_OK)
        status = run_take_params(call, &params);
    if (status == RPC_OK)
        status = run_handler(call, params);
    if (status != RPC_PENDING)
        call_settle(call, status);
}

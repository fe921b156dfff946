// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Parameters and handlers: see run.h. */
#include "call/run.h"

#include "call/engine_parts.h"
#include "call/exchange.h"
#include "call/settle.h"

/* What stands for parameters that were left out. */
static const cJSON no_params = {.type = cJSON_Object};

/* ---- Parameters ---- */

static rpc_status run_unwanted(rpc_call *call, const char *why)
{
    return call_fail(call, RPC_INVALID_PARAMS, "%s", why);
}

/* A fault in one item of a batch concerns that item alone, as far as the item at fault is known. */
static rpc_status run_check_wanted(rpc_call *call)
{
    const struct json_error *parsed = &call->exchange->payload.parsed;
    struct json_error error;
    if (parsed->fault != JSON_UNWANTED)
        return RPC_OK;
    if (!call->item)
        return run_unwanted(call, parsed->why);
    if (!json_is_wanted(call->item, &error))
        return error.fault == JSON_NO_MEMORY ? RPC_INTERNAL_ERROR : run_unwanted(call, error.why);
    return parsed->nul ? run_unwanted(call, "the payload has a string with U+0000") : RPC_OK;
}

static rpc_status run_check_undeclared(rpc_call *call, const cJSON *value)
{
    if (cJSON_IsObject(value))
        return RPC_OK;
    if (!call->exchange->jsonrpc)
        return call_fail(call, RPC_INVALID_PARAMS, "the parameters must be a JSON object");
    return value->child ? call_fail(call, RPC_INVALID_PARAMS, "the method takes no parameters") : RPC_OK;
}

static rpc_status run_decode(rpc_call *call, void **params)
{
    const struct fields *fields = &call->method->params;
    const cJSON *value = call->params ? call->params : &no_params;
    char why[FIELDS_WHY];
    if (!fields->shape)
        return run_check_undeclared(call, value);
    const bool positional = call->exchange->jsonrpc && cJSON_IsArray(value);
    const rpc_status status =
        (positional ? fields_decode_positional : fields_decode)(fields, value, &call->arena, params, why);
    return status == RPC_INVALID_PARAMS ? call_fail(call, status, "%s", why) : status;
}

static rpc_status run_take_bytes(rpc_call *call, void **params)
{
    if (call->exchange->payload.tree)
        return call_fail(call, RPC_INVALID_PARAMS, "the method takes raw bytes, which only a plain call has");
    rpc_bytes *bytes = arena_alloc(&call->arena, sizeof *bytes);
    if (!bytes)
        return RPC_INTERNAL_ERROR;
    *bytes = (rpc_bytes){call->exchange->message->payload, call->exchange->message->size};
    *params = bytes;
    return RPC_OK;
}

static rpc_status run_take_params(rpc_call *call, void **params)
{
    const rpc_shape *shape = call->method->params.shape;
    const rpc_status status = run_check_wanted(call);
    if (status != RPC_OK)
        return status;
    return shape && shape->form == RPC_FORM_BYTES ? run_take_bytes(call, params) : run_decode(call, params);
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
    const bool is_timed = env->options.slow_call > 0;
    const uint64_t start = !is_timed ? 0 : call->item ? env_now(env) : exchange_now(call->exchange);
    call->state = CALL_RUNNING;
    rpc_status status = method->declared->run(call, method->instance->state, params, call->result);
    call->state = CALL_IDLE;
    if (call->task) {
        run_check_pending(call, status);
        status = RPC_PENDING;
    } else {
        status = run_check_outcome(call, status);
    }
    if (is_timed)
        env_check_time(env, "method", call->name, start);
    return status;
}

static rpc_status run_prepare(rpc_call *call, void **params)
{
    struct env *env = &call->engine->env;
    if (!call->method) {
        env->counters.unknown++;
        env_log(env, RPC_LOG_WARNING, "client %.100s called %.150s, which is no method",
                call->exchange->message->client->id, call->name);
        return RPC_METHOD_NOT_FOUND;
    }
    const rpc_status status = call->method->declared->done ? exchange_keep(call) : RPC_OK;
    return status == RPC_OK ? run_take_params(call, params) : status;
}

void run_call(rpc_call *call)
{
    void *params = NULL;
    rpc_status status = run_prepare(call, &params);
    if (status == RPC_OK)
        status = run_handler(call, params);
    if (status != RPC_PENDING)
        call_settle(call, status);
}

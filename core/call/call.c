// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * One call: its parameters, the handler, the outcome. It is all of a message or one item of a batch; where
 * the reply goes and whether it may be carried out has been decided before (exchange.c).
 */
#include "call/engine_private.h"

#include "base/status.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What stands for parameters that were left out. */
static const cJSON no_params = {.type = cJSON_Object};

rpc_call *call_begin(struct exchange *exchange, struct registry_method *method, const char *name)
{
    rpc_call *call = &exchange->call;
    memset(call, 0, offsetof(rpc_call, arena));
    arena_fini(&call->arena);
    call->engine = exchange->engine;
    call->exchange = exchange;
    call->method = method;
    call->name = name;
    call->asked = exchange->to.topic != NULL;
    return call;
}

rpc_call *call_move(struct exchange *exchange)
{
    rpc_call *moved = malloc(sizeof *moved);
    if (!moved)
        return NULL;
    memcpy(moved, &exchange->call, offsetof(rpc_call, arena));
    arena_init(&moved->arena);
    moved->own_memory = true;
    return moved;
}

void call_end(rpc_call *call)
{
    arena_fini(&call->arena);
    if (call->own_memory)
        free(call);
}

rpc_status call_fail(rpc_call *call, rpc_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *message = arena_vprintf(&call->arena, format, arguments);
    va_end(arguments);
    call->failure = (struct failure){status, status_name(status), message, NULL};
    return status;
}

/* ---- What the parameters are ---- */

static rpc_status unwanted(rpc_call *call, const char *why)
{
    return call_fail(call, RPC_INVALID_PARAMS, "%s", why);
}

/* What is wrong with one item of a batch is no matter for the others, as far as it is known whose it is. */
static rpc_status check_wanted(rpc_call *call)
{
    const struct json_error *parsed = &call->exchange->parsed;
    struct json_error error;
    if (parsed->fault != JSON_UNWANTED)
        return RPC_OK;
    if (!call->item)
        return unwanted(call, parsed->why);
    if (!json_is_wanted(call->item, &error))
        return error.fault == JSON_NO_MEMORY ? RPC_INTERNAL_ERROR : unwanted(call, error.why);
    return parsed->nul ? unwanted(call, "the payload has a string with U+0000") : RPC_OK;
}

static rpc_status check_undeclared(rpc_call *call, const cJSON *value)
{
    if (cJSON_IsObject(value))
        return RPC_OK;
    if (!call->exchange->jsonrpc)
        return call_fail(call, RPC_INVALID_PARAMS, "the parameters must be a JSON object");
    return value->child ? call_fail(call, RPC_INVALID_PARAMS, "the method takes no parameters") : RPC_OK;
}

static rpc_status decode(rpc_call *call, void **params)
{
    const struct fields *fields = &call->method->params;
    const cJSON *value = call->params ? call->params : &no_params;
    char why[FIELDS_WHY];
    if (!fields->shape)
        return check_undeclared(call, value);
    const bool positional = call->exchange->jsonrpc && cJSON_IsArray(value);
    const rpc_status status =
        (positional ? fields_decode_positional : fields_decode)(fields, value, &call->arena, params, why);
    return status == RPC_INVALID_PARAMS ? call_fail(call, status, "%s", why) : status;
}

static rpc_status take_bytes(rpc_call *call, void **params)
{
    if (call->exchange->tree)
        return call_fail(call, RPC_INVALID_PARAMS, "the method takes raw bytes, which only a plain call has");
    rpc_bytes *bytes = arena_alloc(&call->arena, sizeof *bytes);
    if (!bytes)
        return RPC_INTERNAL_ERROR;
    *bytes = (rpc_bytes){call->exchange->message->payload, call->exchange->message->size};
    *params = bytes;
    return RPC_OK;
}

static rpc_status take_params(rpc_call *call, void **params)
{
    const rpc_shape *shape = call->method->params.shape;
    const rpc_status status = check_wanted(call);
    if (status != RPC_OK)
        return status;
    return shape && shape->form == RPC_FORM_BYTES ? take_bytes(call, params) : decode(call, params);
}

/* ---- The handler ---- */

/* So is RPC_RAISED without anything raised, and RPC_PENDING of a call that nothing keeps open. */
rpc_status call_check_outcome(rpc_call *call, rpc_status status)
{
    call->by_handler = status != RPC_OK && status != call->refusal;
    const bool known = (int)status >= RPC_OK && (int)status < RPC_STATUS_COUNT_;
    if (known && (status != RPC_RAISED || call->failure.status == RPC_RAISED))
        return status;
    env_log(&call->engine->env, RPC_LOG_ERROR, "method %s returned %d without raising an error", call->name,
            (int)status);
    return RPC_INTERNAL_ERROR;
}

bool call_stays_open(const rpc_call *call, rpc_status returned)
{
    if (call->task && returned != RPC_PENDING)
        env_log(&call->engine->env, RPC_LOG_ERROR,
                "method %s kept its call open and returned %d: the call stays open", call->name,
                (int)returned);
    return call->task != NULL;
}

static rpc_status run(rpc_call *call, const void *params)
{
    const struct registry_method *method = call->method;
    const rpc_shape *shape = method->declared->result;
    call->result = shape ? arena_alloc(&call->arena, shape->size) : NULL;
    if (shape && !call->result)
        return RPC_INTERNAL_ERROR;
    call->busy = true;
    const rpc_status status = method->declared->run(call, method->instance->state, params, call->result);
    call->busy = false;
    return call_stays_open(call, status) ? RPC_PENDING : call_check_outcome(call, status);
}

static rpc_status run_timed(rpc_call *call, const void *params)
{
    struct engine *engine = call->engine;
    if (!engine->env.options.slow_call)
        return run(call, params);
    const uint64_t start = call->item ? env_now(&engine->env) : exchange_now(call->exchange);
    const rpc_status status = run(call, params);
    env_check_time(&engine->env, "method", call->name, start);
    return status;
}

/* ---- All together ---- */

static rpc_status warn_of_unknown(const rpc_call *call)
{
    struct engine *engine = call->engine;
    engine->env.counters.unknown++;
    env_log(&engine->env, RPC_LOG_WARNING, "client %.100s called %.150s, which is no method",
            call->exchange->message->client->id, call->name);
    return RPC_METHOD_NOT_FOUND;
}

void call_refuse(rpc_call *call, rpc_status status)
{
    if (call->method)
        call->engine->env.counters.calls++;
    answer_failure(call, status);
}

void call_finish(rpc_call *call, rpc_status status)
{
    call->over = true;
    if (status != RPC_OK) {
        call_refuse(call, status);
        return;
    }
    call->engine->env.counters.calls++;
    answer_success(call);
}

static rpc_status prepare(rpc_call *call, void **params)
{
    if (!call->method)
        return warn_of_unknown(call);
    const rpc_status status = call->method->declared->done ? exchange_keep(call) : RPC_OK;
    return status == RPC_OK ? take_params(call, params) : status;
}

void call_carry_out(rpc_call *call)
{
    void *params = NULL;
    rpc_status status = prepare(call, &params);
    if (status == RPC_OK)
        status = run_timed(call, params);
    if (status != RPC_PENDING)
        call_finish(call, status);
}

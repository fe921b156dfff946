// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The life of one call: where its reply goes, what its parameters are, the handler, the answer. The order
 * of the checks is the order in which a caller can be told: first where to reply, then what is wrong.
 */
#include "engine_private.h"

#include "status.h"
#include "text.h"
#include "topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Nearly always there is one call at a time, so the last one's memory serves the next: one allocation less,
 * of a size for which the C library would tidy up its free memory each time.
 */
static rpc_call *create(struct engine *engine, const struct host_message *message, const char *name)
{
    rpc_call *call = engine->spare ? engine->spare : malloc(sizeof *call);
    if (!call)
        return NULL;
    engine->spare = NULL;
    memset(call, 0, offsetof(rpc_call, arena));
    arena_init(&call->arena);
    call->engine = engine;
    call->message = message;
    call->name = name;
    call->time = engine->host.wall_clock(engine->host.context);
    return call;
}

static void destroy(rpc_call *call)
{
    struct engine *engine = call->engine;
    cJSON_Delete(call->params);
    arena_clear(&call->arena);
    free(engine->spare);
    engine->spare = call;
}

void call_free_spare(struct engine *engine)
{
    free(engine->spare);
    engine->spare = NULL;
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

/* ---- Where the reply goes ---- */

static rpc_status malformed_route(rpc_call *call, const char *what)
{
    call->route = (struct route){0};
    if (call->method) /* or it was logged as unknown */
        engine_log(call->engine, RPC_LOG_WARNING, "client %.100s called %.100s with %s",
                   call->message->client->id, call->name, what);
    return call_fail(call, RPC_INVALID_REQUEST, "the call has %s", what);
}

static bool is_allowed_response_topic(const struct engine *engine, const char *topic)
{
    return engine->host.topic_matches(engine->host.context, engine->options.response_topic_filter, topic);
}

static rpc_status route_by_response_topic(rpc_call *call, const char *topic)
{
    if (!*topic || *topic == '$' || strlen(topic) > TOPIC_REPLY_MAX || !text_is_topic(topic))
        return malformed_route(call, "a Response Topic that cannot be replied to");
    if (!is_allowed_response_topic(call->engine, topic))
        return malformed_route(call, "a Response Topic outside response_topic_filter");
    call->route.topic = topic;
    return RPC_OK;
}

/* The JSON text of a string, in memory of the call. NULL: no memory. */
static const char *print_string(rpc_call *call, const char *text)
{
    const size_t most = 6 * strlen(text) + 2; /* every byte an escape, and the quotes */
    char *out = arena_alloc(&call->arena, most + 1);
    if (!out)
        return NULL;
    struct writer writer = writer_make(out, most);
    writer_string(&writer, text);
    return out;
}

/* Takes request_id out of the parameters, for the rest of them is the method's. */
static rpc_status route_by_request_id(rpc_call *call)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(call->params, "request_id");
    if (!cJSON_IsString(member))
        return RPC_OK;
    const char *id = member->valuestring;
    if (strlen(id) > TOPIC_REPLY_MAX || !text_is_topic(id))
        return malformed_route(call, "a request_id that cannot be part of a topic");
    const char *topic =
        arena_printf(&call->arena, "%s/call/%s/response/%s", call->engine->options.prefix, call->name, id);
    const char *id_json = print_string(call, id);
    if (!topic || !id_json)
        return RPC_INTERNAL_ERROR;
    if (strlen(topic) > TOPIC_MAX)
        return malformed_route(call, "a request_id that makes the topic too long");
    call->route = (struct route){topic, id_json};
    cJSON_DeleteItemFromObjectCaseSensitive(call->params, "request_id");
    return RPC_OK;
}

/* ---- What the parameters are ---- */

static bool takes_bytes(const rpc_call *call)
{
    const struct fields *params = call->method ? &call->method->params : NULL;
    return params && params->shape && params->shape->form == RPC_FORM_BYTES;
}

/* Parses the payload; nothing at all stands for {}. */
static rpc_status parse(rpc_call *call, struct json_error *error)
{
    const struct host_message *message = call->message;
    *error = (struct json_error){.fault = JSON_FINE};
    call->params = message->size ? json_parse(message->payload, message->size, error) : cJSON_CreateObject();
    if (error->fault == JSON_BROKEN)
        return call_fail(call, RPC_PARSE_ERROR, "%s", error->why);
    return call->params ? RPC_OK : RPC_INTERNAL_ERROR;
}

static rpc_status decode(rpc_call *call, void **params)
{
    const struct fields *fields = &call->method->params;
    if (!fields->shape)
        return cJSON_IsObject(call->params)
                   ? RPC_OK
                   : call_fail(call, RPC_INVALID_PARAMS, "the parameters must be a JSON object");
    char why[FIELDS_WHY];
    const rpc_status status = fields_decode(fields, call->params, &call->arena, params, why);
    return status == RPC_INVALID_PARAMS ? call_fail(call, status, "%s", why) : status;
}

static rpc_status take_bytes(rpc_call *call, void **params)
{
    rpc_bytes *bytes = arena_alloc(&call->arena, sizeof *bytes);
    if (!bytes)
        return RPC_INTERNAL_ERROR;
    *bytes = (rpc_bytes){call->message->payload, call->message->size};
    *params = bytes;
    return RPC_OK;
}

static rpc_status take_json(rpc_call *call, void **params)
{
    struct json_error error;
    rpc_status status = parse(call, &error);
    if (status == RPC_OK && !call->route.topic)
        status = route_by_request_id(call);
    if (!call->method)
        return RPC_METHOD_NOT_FOUND;
    if (status != RPC_OK)
        return status;
    if (error.fault == JSON_UNWANTED)
        return call_fail(call, RPC_INVALID_PARAMS, "%s", error.why);
    return decode(call, params);
}

static rpc_status prepare(rpc_call *call, void **params)
{
    const struct host_message *message = call->message;
    if (message->response_topic) {
        const rpc_status status = route_by_response_topic(call, message->response_topic);
        if (status != RPC_OK)
            return status;
        if (!call->method)
            return RPC_METHOD_NOT_FOUND;
    }
    if (message->size > call->engine->options.max_payload)
        return call_fail(call, RPC_PAYLOAD_TOO_LARGE, "the payload has %zu bytes, the most is %zu",
                         message->size, call->engine->options.max_payload);
    return takes_bytes(call) ? take_bytes(call, params) : take_json(call, params);
}

/* ---- The handler ---- */

/* A status that no handler may return, or RPC_RAISED without anything raised, is the handler's fault. */
static rpc_status check_outcome(rpc_call *call, rpc_status status)
{
    const bool known = (int)status >= RPC_OK && (int)status < RPC_STATUS_COUNT_;
    if (known && (status != RPC_RAISED || call->failure.status == RPC_RAISED))
        return status;
    engine_log(call->engine, RPC_LOG_ERROR, "method %s returned %d without raising an error", call->name,
               (int)status);
    return RPC_INTERNAL_ERROR;
}

static rpc_status run(rpc_call *call, const void *params)
{
    const struct registry_method *method = call->method;
    const rpc_shape *shape = method->declared->result;
    call->result = shape ? arena_alloc(&call->arena, shape->size) : NULL;
    if (shape && !call->result)
        return RPC_INTERNAL_ERROR;
    const rpc_status status = method->declared->run(call, method->instance->state, params, call->result);
    call->by_handler = status != RPC_OK;
    return check_outcome(call, status);
}

static rpc_status run_timed(rpc_call *call, const void *params)
{
    struct engine *engine = call->engine;
    if (!engine->options.slow_call)
        return run(call, params);
    const uint64_t start = engine->host.monotonic_clock(engine->host.context);
    const rpc_status status = run(call, params);
    const uint64_t taken = engine->host.monotonic_clock(engine->host.context) - start;
    if (taken > engine->options.slow_call) {
        engine->counters.slow++;
        engine_log(engine, RPC_LOG_WARNING,
                   "method %s took %" PRIu64 " ms, and all clients of the broker waited for it", call->name,
                   taken / 1000000);
    }
    return status;
}

/* ---- All together ---- */

static void warn_of_unknown(struct engine *engine, const struct host_message *message, const char *name)
{
    engine->counters.unknown++;
    engine_log(engine, RPC_LOG_WARNING, "client %.100s called %.150s, which is no method",
               message->client->id, name);
}

static void carry_out(rpc_call *call)
{
    void *params = NULL;
    rpc_status status = prepare(call, &params);
    if (status == RPC_OK)
        status = run_timed(call, params);
    if (status == RPC_OK)
        answer_success(call);
    else
        answer_failure(call, status);
}

enum engine_verdict call_receive(struct engine *engine, const struct host_message *message, const char *name)
{
    const struct registry_method *method = registry_find_method(&engine->registry, name);
    if (!method && engine->options.forward_unknown)
        return ENGINE_PASS;
    if (method)
        engine->counters.calls++;
    else
        warn_of_unknown(engine, message, name);

    rpc_call *call = create(engine, message, name);
    if (!call) {
        engine->counters.dropped++;
        engine_log(engine, RPC_LOG_ERROR, "no memory for a call");
        return ENGINE_CONSUME;
    }
    call->method = method;
    carry_out(call);
    destroy(call);
    return method && engine->options.forward_calls ? ENGINE_FORWARD : ENGINE_CONSUME;
}

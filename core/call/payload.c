// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Payloads: see payload.h. */
#include "call/payload.h"

#include "call/engine_parts.h"
#include "call/route.h"
#include "shape/glance.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The id of JSON-RPC that has none, or none that can be read. */
static const cJSON payload_null = {.type = cJSON_NULL};

/*
 * Fails a malformed batch as a whole. Whether its caller meant it to be answered cannot be told, so it is
 * answered if it has a route, which JSON-RPC always has.
 */
static rpc_status payload_fail_batch(struct exchange *exchange, const char *why)
{
    if (exchange->jsonrpc)
        route_by_jsonrpc_id(exchange, &payload_null);
    exchange->call.asked = exchange->to.topic;
    return call_fail(&exchange->call, RPC_INVALID_REQUEST, "%s", why);
}

/* A batch that nothing is wrong with as a whole. */
static rpc_status payload_take_batch(struct exchange *exchange, const cJSON *calls)
{
    const int max = exchange->engine->env.options.max_batch;
    const int count = cJSON_GetArraySize(calls);
    char why[64];
    if (count > max) {
        snprintf(why, sizeof why, "the batch has %d calls, and max_batch is %d", count, max);
        return payload_fail_batch(exchange, why);
    }
    exchange->batch = true;
    exchange->payload.calls = calls;
    return RPC_OK;
}

/* ---- JSON-RPC ---- */

enum { PAYLOAD_ID_MAX = 256 }; /* bytes of an id that is a string */

/* One request; what it points at is part of the tree that it was read from. */
struct payload_request {
    const char *wrong;   /* why it is no request, in words that follow "the request"; NULL: it is one */
    const cJSON *id;     /* a string, a number or null; NULL: it has none */
    const char *method;  /* NULL: wrong */
    const cJSON *params; /* an object or an array; NULL: none */
};

static bool payload_is_version_2(const cJSON *item)
{
    const cJSON *version = json_member(item, "jsonrpc");
    return version && cJSON_IsString(version) && strcmp(version->valuestring, "2.0") == 0;
}

/* Whether a payload at a topic where parameters are expected is meant as JSON-RPC. */
static bool payload_is_jsonrpc(const cJSON *tree)
{
    if (cJSON_IsArray(tree))
        tree = tree->child;
    return payload_is_version_2(tree);
}

static bool payload_is_id(const cJSON *id)
{
    if (cJSON_IsString(id))
        return strlen(id->valuestring) <= PAYLOAD_ID_MAX;
    return (json_is_number(id) && isfinite(id->valuedouble)) || cJSON_IsNull(id);
}

/*
 * Takes a request apart by the rules of sections 4 to 6 of JSON-RPC's specification. What could be read of a
 * wrong one is there: its id above all.
 */
static struct payload_request payload_split_request(const cJSON *item)
{
    const cJSON *id = json_member(item, "id");
    const cJSON *method = json_member(item, "method");
    const cJSON *params = json_member(item, "params");
    const bool is_id = !id || payload_is_id(id);
    struct payload_request request = {.id = is_id ? id : NULL};
    if (!cJSON_IsObject(item)) {
        request.wrong = "is no object";
    } else if (!is_id) {
        request.wrong = "has an id that is too long, or no string, finite number or null";
    } else if (!payload_is_version_2(item)) {
        request.wrong = "has no member jsonrpc that is \"2.0\"";
    } else if (!cJSON_IsString(method)) {
        request.wrong = "has no member method that is a string";
    } else {
        request.method = method->valuestring;
        if (params && !cJSON_IsObject(params) && !cJSON_IsArray(params))
            request.wrong = "has params that are neither an object nor an array";
        else
            request.params = params;
    }
    return request;
}

/* JSON-RPC clients of MQTT name the method as it is called, or by the whole topic. */
static bool payload_names_method(const struct exchange *exchange, const char *method)
{
    const char *topic = exchange->message->topic;
    const size_t length = strlen(topic) - (exchange->kind == TOPIC_REQUEST ? strlen(TOPIC_REQUEST_LEVEL) : 0);
    return strcmp(method, exchange->name) == 0 || (strncmp(method, topic, length) == 0 && !method[length]);
}

static struct registry_method *payload_find_open(const struct exchange *exchange, const char *name)
{
    struct registry_method *method = registry_find_method(&exchange->engine->registry, name);
    return method && method->at_endpoint ? method : NULL;
}

/* An id with U+0000 cannot come back as it was: the tree has U+0001 in its place. */
static struct payload_request payload_read_request(const struct exchange *exchange, const cJSON *item)
{
    struct payload_request request = payload_split_request(item);
    if (!exchange->payload.parsed.nul || !cJSON_IsString(request.id) ||
        !strchr(request.id->valuestring, '\x01'))
        return request;
    request.id = NULL;
    request.wrong = "has an id with U+0000";
    return request;
}

/* A request that is wrong makes a call, too, which can be answered. */
rpc_status payload_take_request(struct exchange *exchange, const cJSON *item)
{
    const struct payload_request request = payload_read_request(exchange, item);
    const bool endpoint = exchange->kind == TOPIC_JSONRPC;
    const char *written = endpoint && request.method ? request.method : exchange->name;
    struct registry_method *method = endpoint ? payload_find_open(exchange, written) : exchange->method;
    const char *name = endpoint && method ? registry_call_name(method, written, &exchange->arena) : written;
    rpc_call *call = exchange_begin_call(exchange, name ? method : NULL, name ? name : written);
    call->item = exchange->batch ? item : NULL;
    call->asked = call->asked && (request.id || request.wrong);
    call->id = request.id;
    call->params = request.params;
    if (!name)
        return RPC_INTERNAL_ERROR;
    if (request.wrong)
        return call_fail(call, RPC_INVALID_REQUEST, "the request %s", request.wrong);
    if (endpoint || payload_names_method(exchange, request.method))
        return RPC_OK;
    return call_fail(call, RPC_INVALID_REQUEST, "the request's method is not the one that the topic names");
}

static rpc_status payload_take_single(struct exchange *exchange)
{
    const rpc_status taken = payload_take_request(exchange, exchange->payload.tree);
    const cJSON *id = exchange->call.id;
    if (!id && payload_read_request(exchange, exchange->payload.tree).wrong)
        id = &payload_null;
    if (!id)
        return taken;
    const rpc_status routed = route_by_jsonrpc_id(exchange, id);
    exchange->call.asked = exchange->to.topic != NULL;
    return routed == RPC_OK ? taken : routed;
}

/* The first id of a batch says where the reply goes, and has to do for its identity. */
static rpc_status payload_route_batch(struct exchange *exchange)
{
    const cJSON *first = NULL;
    bool answered = false;
    for (const cJSON *item = exchange->payload.tree->child; item; item = item->next) {
        const struct payload_request request = payload_read_request(exchange, item);
        first = first ? first : request.id;
        answered = answered || request.id || request.wrong;
    }
    if (!first && answered)
        first = &payload_null;
    const rpc_status status = first ? route_by_jsonrpc_id(exchange, first) : RPC_OK;
    exchange->call.asked = answered && exchange->to.topic;
    return status;
}

static rpc_status payload_take_jsonrpc(struct exchange *exchange)
{
    exchange->jsonrpc = true;
    json_keep_ids(exchange->payload.tree);
    if (!cJSON_IsArray(exchange->payload.tree))
        return payload_take_single(exchange);
    if (!exchange->payload.tree->child)
        return payload_fail_batch(exchange, "the batch is empty");
    const rpc_status status = payload_route_batch(exchange);
    return status == RPC_OK ? payload_take_batch(exchange, exchange->payload.tree) : status;
}

/* ---- Plain calls and batches ---- */

/* Takes a member, if there is one, out of the payload: the others are the method's. */
static cJSON *payload_detach(struct exchange *exchange, cJSON *member)
{
    if (member)
        cJSON_DetachItemViaPointer(exchange->payload.tree, member);
    return member;
}

/* Takes a member beside a request_id out of the payload, unless the method declares it. */
static const cJSON *payload_take_beside(struct exchange *exchange, const char *name)
{
    const bool is_call = exchange->kind == TOPIC_CALL && exchange->method;
    return is_call && fields_declare(&exchange->method->params, name)
               ? NULL
               : payload_detach(exchange, json_member(exchange->payload.tree, name));
}

/* Finds the route by a request_id, and takes it and what belongs to it out of the payload. */
static rpc_status payload_take_request_id(struct exchange *exchange)
{
    cJSON *tree = exchange->payload.tree, *id = json_member(tree, "request_id");
    if (!id)
        return RPC_OK;
    exchange->misrouted = !cJSON_IsString(id) && !(json_is_number(id) && isfinite(id->valuedouble));
    if (exchange->misrouted)
        return call_fail(&exchange->call, RPC_INVALID_REQUEST,
                         "request_id must be a string or a finite number");
    payload_detach(exchange, id);
    json_keep_ids(id);
    exchange->timeout = payload_take_beside(exchange, "timeout_ms");
    const cJSON *traceparent = payload_take_beside(exchange, "traceparent");
    if (cJSON_IsString(traceparent))
        exchange_take_trace(exchange, traceparent->valuestring);
    return route_by_request_id(exchange, id);
}

/* {"request_id":…,"calls":[…]}: what is wrong with the calls is their matter, with the members around them
 * not. */
static rpc_status payload_open_envelope(struct exchange *exchange, const cJSON **calls)
{
    struct json_error error;
    const bool fine = json_has_members_once(exchange->payload.tree, &error);
    const rpc_status status = payload_take_request_id(exchange);
    if (status != RPC_OK)
        return status;
    exchange->call.asked = exchange->to.topic != NULL;
    *calls = exchange->to.topic ? json_member(exchange->payload.tree, "calls") : NULL;
    if (error.fault == JSON_NO_MEMORY)
        return RPC_INTERNAL_ERROR;
    return fine ? RPC_OK : call_fail(&exchange->call, RPC_INVALID_PARAMS, "%s", error.why);
}

/* An array, or the object around one when there is no Response Topic. */
static rpc_status payload_take_plain_batch(struct exchange *exchange)
{
    const cJSON *calls = exchange->payload.tree;
    const bool enveloped = cJSON_IsObject(calls) && !exchange->to.topic;
    const rpc_status status = enveloped ? payload_open_envelope(exchange, &calls) : RPC_OK;
    if (status != RPC_OK)
        return status;
    if (!cJSON_IsArray(calls))
        return payload_fail_batch(exchange, "a batch is an array, or an object with request_id and calls");
    return payload_take_batch(exchange, calls);
}

rpc_status payload_parse(struct exchange *exchange)
{
    const struct host_message *message = exchange->message;
    const size_t max = (size_t)exchange->engine->env.options.max_payload;
    if (message->size > max)
        return call_fail(&exchange->call, RPC_PAYLOAD_TOO_LARGE,
                         "the payload has %zu bytes, and max_payload is %zu", message->size, max);
    if (exchange->payload.tree || (!message->size && !exchange->jsonrpc))
        return RPC_OK; /* it has been parsed, or is the same as {} */
    exchange->payload.tree = exchange->to.codec->parse(message->payload, message->size,
                                                       &exchange->payload.arena, &exchange->payload.parsed);
    if (exchange->payload.parsed.fault == JSON_BROKEN)
        return call_fail(&exchange->call, RPC_PARSE_ERROR, "%s", exchange->payload.parsed.why);
    return exchange->payload.tree ? RPC_OK : RPC_INTERNAL_ERROR;
}

/* Whether an id that was glanced at can be sent back. U+0001 may stand for U+0000. */
static bool payload_is_seen_id(const struct glance_member *seen)
{
    struct numeral numeral;
    if (seen->type == GLANCE_NUMBER)
        return number_scan(seen->text, &numeral) && isfinite(number_value(&numeral));
    return seen->type == GLANCE_STRING && !strchr(seen->text, '\x01');
}

/* A copy of an id that was glanced at. NULL: no memory. */
static const cJSON *payload_copy_id(struct arena *arena, const struct glance_member *seen)
{
    cJSON *id = arena_alloc(arena, sizeof *id);
    char *text = arena_copy(arena, seen->text, strlen(seen->text));
    if (!id || !text)
        return NULL;
    id->type = seen->type == GLANCE_STRING ? cJSON_String : cJSON_Raw;
    id->valuestring = text;
    return id;
}

rpc_status payload_glance(struct exchange *exchange, bool is_broken)
{
    struct glance glance;
    rpc_call *call = &exchange->call;
    const struct failure failure = call->failure;
    glance_at(&glance, exchange->message->payload, exchange->message->size);
    exchange->jsonrpc = exchange->jsonrpc ||
                        (exchange->kind == TOPIC_CALL && !exchange->adopted && glance_is_jsonrpc(&glance));
    const bool is_jsonrpc = exchange->jsonrpc, is_object = glance.outermost == '{';
    const struct glance_member *seen = is_jsonrpc ? &glance.id : &glance.request_id;
    const bool is_id = payload_is_seen_id(seen);
    const bool is_notification = is_jsonrpc && !is_broken && glance.notifies;
    const cJSON *id = is_id ? payload_copy_id(&exchange->arena, seen) : &payload_null;
    rpc_status status = id ? RPC_OK : RPC_INTERNAL_ERROR;
    if (id && is_jsonrpc && !is_notification) {
        /* Of a batch it is only the first one's. JSON-RPC has null for a text that is no JSON, but where the
         * id alone says whose reply it is, it comes back. */
        const bool is_null = !is_object || (failure.status == RPC_PARSE_ERROR && exchange->to.topic);
        call->id = is_null ? NULL : id;
        status = route_by_jsonrpc_id(exchange, id);
    } else if (id && !is_jsonrpc && is_id && is_object && !exchange->to.topic) {
        status = route_by_request_id(exchange, id);
    }
    call->asked = exchange->to.topic && !is_notification;
    call->failure = failure;
    exchange->misrouted = false; /* that the payload cannot be read comes first */
    return status == RPC_INTERNAL_ERROR ? status : RPC_OK;
}

/* Takes the payload apart, once it is known whether a Response Topic says where the reply goes. */
static rpc_status payload_take_body(struct exchange *exchange)
{
    const rpc_shape *shape = exchange->method ? exchange->method->params.shape : NULL;
    const bool is_bytes = exchange->kind == TOPIC_CALL && shape && shape->form == RPC_FORM_BYTES;
    if (is_bytes && exchange->message->size <= (size_t)exchange->engine->env.options.max_payload)
        return RPC_OK;
    rpc_status status = payload_parse(exchange);
    if (status != RPC_OK)
        return is_bytes || payload_glance(exchange, status != RPC_INTERNAL_ERROR) == RPC_OK
                   ? status
                   : RPC_INTERNAL_ERROR;
    if (exchange->kind == TOPIC_BATCH)
        return payload_take_plain_batch(exchange);
    if (exchange->jsonrpc || (!exchange->adopted && payload_is_jsonrpc(exchange->payload.tree)))
        return payload_take_jsonrpc(exchange);
    if (!exchange->to.topic)
        status = payload_take_request_id(exchange);
    exchange->call.params = exchange->payload.tree;
    exchange->call.asked = exchange->to.topic != NULL;
    return status;
}

rpc_status payload_take(struct exchange *exchange)
{
    const struct host_message *message = exchange->message;
    const rpc_status status = message->response_topic ? route_by_response_topic(exchange) : RPC_OK;
    if (message->correlation && !message->response_topic)
        env_log(&exchange->engine->env, RPC_LOG_DEBUG,
                "client %.100s called %.150s with Correlation Data and without a Response Topic",
                message->client->id, message->topic);
    exchange->call.asked = exchange->to.topic != NULL;
    return status == RPC_OK ? payload_take_body(exchange) : status;
}

/* ---- The methods that are named ---- */

bool payload_is_for_others(const struct exchange *exchange)
{
    const cJSON *tree = exchange->payload.tree;
    const bool is_batch = cJSON_IsArray(tree);
    if (!tree || exchange->payload.parsed.fault == JSON_BROKEN)
        return false;
    for (const cJSON *item = is_batch ? tree->child : tree; item; item = is_batch ? item->next : NULL) {
        const struct payload_request request = payload_split_request(item);
        if (request.wrong || payload_find_open(exchange, request.method))
            return false;
    }
    return !is_batch || tree->child;
}

bool payload_may_run_twice(const struct exchange *exchange)
{
    const struct registry_method *method =
        exchange->kind == TOPIC_JSONRPC ? exchange->call.method : exchange->method;
    if (exchange->kind != TOPIC_JSONRPC || !exchange->batch)
        return !method || method->may_run_twice;
    for (const cJSON *item = exchange->payload.calls->child; item; item = item->next) {
        const char *name = payload_split_request(item).method;
        method = name ? registry_find_method(&exchange->engine->registry, name) : NULL;
        if (method && !method->may_run_twice)
            return false;
    }
    return true;
}

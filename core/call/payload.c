// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What is in a message's payload, and so where its reply goes if its properties do not say: one call or a
 * batch of them, plain or as JSON-RPC. See engine_private.h.
 */
#include "call/engine_private.h"

#include <string.h>

/* Of what is malformed as a whole nobody can tell whether it was meant to be answered: so it is, if it can.
 */
static rpc_call *as_a_whole(struct exchange *exchange)
{
    exchange->call.asked = exchange->to.topic != NULL;
    return &exchange->call;
}

/* A batch that nothing is wrong with as a whole. */
static rpc_status take_batch(struct exchange *exchange, const cJSON *calls)
{
    const int max = exchange->engine->env.options.max_batch;
    const int count = cJSON_GetArraySize(calls);
    if (count > max)
        return call_fail(as_a_whole(exchange), RPC_INVALID_REQUEST, "the batch has %d calls, the most is %d",
                         count, max);
    exchange->batch = true;
    exchange->calls = calls;
    return RPC_OK;
}

/* ---- JSON-RPC ---- */

static bool is_topic_of_method(const struct exchange *exchange, const char *method)
{
    const char *topic = exchange->message->topic;
    const size_t length = strlen(topic) - (exchange->kind == TOPIC_REQUEST ? strlen(TOPIC_REQUEST_LEVEL) : 0);
    return strncmp(method, topic, length) == 0 && !method[length];
}

static struct registry_method *find_open(const struct exchange *exchange, const char *name)
{
    struct registry_method *method = registry_find_method(&exchange->engine->registry, name);
    return method && method->at_endpoint ? method : NULL;
}

/* An id with U+0000 cannot come back as it was: the tree has U+0001 in its place. */
static struct jsonrpc_request read_request(const struct exchange *exchange, const cJSON *item)
{
    struct jsonrpc_request request = jsonrpc_read(item);
    if (!exchange->parsed.nul || !cJSON_IsString(request.id) || !strchr(request.id->valuestring, '\x01'))
        return request;
    request.id = NULL;
    request.wrong = "has an id with U+0000";
    return request;
}

/* Makes the call that a request asks for, whatever may be wrong with it. */
static rpc_status make_call(struct exchange *exchange, const struct jsonrpc_request *request,
                            const cJSON *item)
{
    const bool endpoint = exchange->kind == TOPIC_JSONRPC;
    const char *written = endpoint && request->method ? request->method : exchange->name;
    struct registry_method *method = endpoint ? find_open(exchange, written) : exchange->method;
    const char *name = endpoint && method ? registry_call_name(method, written, &exchange->arena) : written;
    rpc_call *call = call_begin(exchange, name ? method : NULL, name ? name : written);
    const bool answered = request->id || request->wrong;
    call->item = exchange->batch ? item : NULL;
    call->asked = call->asked && answered;
    call->id_json = !answered ? NULL : request->id ? json_printed(request->id, &exchange->arena) : "null";
    call->params = request->params;
    if (answered && !call->id_json) {
        call->id_json = "null";
        return RPC_INTERNAL_ERROR;
    }
    if (!name)
        return RPC_INTERNAL_ERROR;
    if (request->wrong)
        return call_fail(call, RPC_INVALID_REQUEST, "the request %s", request->wrong);
    if (endpoint || strcmp(request->method, exchange->name) == 0 ||
        is_topic_of_method(exchange, request->method))
        return RPC_OK;
    return call_fail(call, RPC_INVALID_REQUEST, "the request's method is not the one that the topic names");
}

rpc_status payload_take_request(struct exchange *exchange, const cJSON *item)
{
    const struct jsonrpc_request request = read_request(exchange, item);
    return make_call(exchange, &request, item);
}

static rpc_status take_single(struct exchange *exchange)
{
    const struct jsonrpc_request request = read_request(exchange, exchange->tree);
    const rpc_status taken = make_call(exchange, &request, exchange->tree);
    if (!request.id)
        return taken;
    const rpc_status routed = route_by_jsonrpc_id(exchange, request.id);
    exchange->call.asked = exchange->to.topic != NULL;
    return routed == RPC_OK ? taken : routed;
}

/* The first id of a batch says where the reply goes, and has to do for its identity. */
static rpc_status route_batch(struct exchange *exchange)
{
    const cJSON *first = NULL;
    bool answered = false;
    for (const cJSON *item = exchange->tree->child; item; item = item->next) {
        const struct jsonrpc_request request = read_request(exchange, item);
        first = first ? first : request.id;
        answered = answered || request.id || request.wrong;
    }
    const rpc_status status = first ? route_by_jsonrpc_id(exchange, first) : RPC_OK;
    exchange->call.asked = answered && exchange->to.topic;
    return status;
}

static bool has_number_for_id(const cJSON *tree)
{
    if (!cJSON_IsArray(tree))
        return json_is_number(cJSON_GetObjectItemCaseSensitive(tree, "id"));
    for (const cJSON *item = tree->child; item; item = item->next) {
        if (json_is_number(cJSON_GetObjectItemCaseSensitive(item, "id")))
            return true;
    }
    return false;
}

static rpc_status take_jsonrpc(struct exchange *exchange)
{
    exchange->jsonrpc = true;
    exchange->call.id_json = "null";
    if (has_number_for_id(exchange->tree) && !json_keep_ids(exchange->tree, exchange->message->payload))
        return RPC_INTERNAL_ERROR;
    if (!cJSON_IsArray(exchange->tree))
        return take_single(exchange);
    if (!exchange->tree->child)
        return call_fail(as_a_whole(exchange), RPC_INVALID_REQUEST, "the batch is empty");
    const rpc_status status = route_batch(exchange);
    return status == RPC_OK ? take_batch(exchange, exchange->tree) : status;
}

/* ---- Plain calls and batches ---- */

static rpc_status take_plain(struct exchange *exchange)
{
    const rpc_status status = exchange->to.topic ? RPC_OK : route_by_request_id(exchange);
    exchange->call.params = exchange->tree;
    exchange->call.asked = exchange->to.topic != NULL;
    return status;
}

/* {"request_id":…,"calls":[…]}: what is wrong with the calls is their matter, with the members around them
 * not. */
static rpc_status open_envelope(struct exchange *exchange, const cJSON **calls)
{
    struct json_error error;
    const bool fine = json_has_members_once(exchange->tree, &error);
    const rpc_status status = route_by_request_id(exchange);
    if (status != RPC_OK)
        return status;
    exchange->call.asked = exchange->to.topic != NULL;
    *calls = exchange->to.topic ? cJSON_GetObjectItemCaseSensitive(exchange->tree, "calls") : NULL;
    if (error.fault == JSON_NO_MEMORY)
        return RPC_INTERNAL_ERROR;
    return fine ? RPC_OK : call_fail(&exchange->call, RPC_INVALID_PARAMS, "%s", error.why);
}

/* An array, or the object around one when there is no Response Topic. */
static rpc_status take_plain_batch(struct exchange *exchange)
{
    const cJSON *calls = exchange->tree;
    const bool enveloped = cJSON_IsObject(calls) && !exchange->to.topic;
    const rpc_status status = enveloped ? open_envelope(exchange, &calls) : RPC_OK;
    if (status != RPC_OK)
        return status;
    if (!cJSON_IsArray(calls))
        return call_fail(as_a_whole(exchange), RPC_INVALID_REQUEST,
                         "a batch is an array, or an object with request_id and calls");
    return take_batch(exchange, calls);
}

static rpc_status parse(struct exchange *exchange)
{
    const struct host_message *message = exchange->message;
    if (exchange->tree || (!message->size && !exchange->jsonrpc))
        return RPC_OK; /* it has been parsed, or is the same as {} */
    exchange->tree = json_parse(message->payload, message->size, &exchange->parsed);
    if (exchange->parsed.fault == JSON_BROKEN)
        return call_fail(&exchange->call, RPC_PARSE_ERROR, "%s", exchange->parsed.why);
    return exchange->tree ? RPC_OK : RPC_INTERNAL_ERROR;
}

static bool takes_bytes(const struct exchange *exchange)
{
    const rpc_shape *shape = exchange->method ? exchange->method->params.shape : NULL;
    return exchange->kind == TOPIC_CALL && shape && shape->form == RPC_FORM_BYTES;
}

static rpc_status take_payload(struct exchange *exchange)
{
    const size_t size = exchange->message->size;
    const size_t max = exchange->engine->env.options.max_payload;
    if (size > max)
        return call_fail(&exchange->call, RPC_PAYLOAD_TOO_LARGE, "the payload has %zu bytes, the most is %zu",
                         size, max);
    if (takes_bytes(exchange))
        return RPC_OK;
    const rpc_status status = parse(exchange);
    if (status != RPC_OK)
        return status;
    if (exchange->kind == TOPIC_BATCH)
        return take_plain_batch(exchange);
    return exchange->jsonrpc || jsonrpc_is_meant(exchange->tree) ? take_jsonrpc(exchange)
                                                                 : take_plain(exchange);
}

rpc_status payload_take(struct exchange *exchange)
{
    if (exchange->message->response_topic) {
        const rpc_status status = route_by_response_topic(exchange);
        if (status != RPC_OK)
            return status;
        exchange->call.asked = true;
    }
    return take_payload(exchange);
}

/* ---- Others ---- */

static bool is_for_another(const struct exchange *exchange, const cJSON *item)
{
    const struct jsonrpc_request request = jsonrpc_read(item);
    return !request.wrong && !find_open(exchange, request.method);
}

/* It is asked before anything else, since where others reply to is none of our business either. */
bool payload_is_for_others(struct exchange *exchange)
{
    const struct engine_options *options = &exchange->engine->env.options;
    if (!options->forward_unknown || exchange->kind != TOPIC_JSONRPC ||
        exchange->message->size > options->max_payload || parse(exchange) != RPC_OK)
        return false;
    if (!cJSON_IsArray(exchange->tree))
        return is_for_another(exchange, exchange->tree);
    for (const cJSON *item = exchange->tree->child; item; item = item->next) {
        if (!is_for_another(exchange, item))
            return false;
    }
    return exchange->tree->child != NULL;
}

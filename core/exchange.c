// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The life of a message that calls: where its reply goes, what is in it, whether it may be carried out, its
 * calls, the reply. The order of the checks is the order in which a caller can be told: first where to reply,
 * then what is wrong.
 */
#include "engine_private.h"

#include "status.h"

#include <stdlib.h>
#include <string.h>

/* ---- Memory ---- */

/*
 * Nearly always there is one exchange at a time, so the last one's memory serves the next: no allocation of a
 * size for which the C library would tidy up its free memory each time. A call that arrives while another one
 * is being carried out gets memory of its own.
 */
static char *take_reply_buffer(struct engine *engine)
{
    char *buffer = engine->spare_reply ? engine->spare_reply : malloc(engine->options.max_reply);
    engine->spare_reply = NULL;
    return buffer;
}

static void give_reply_buffer(struct engine *engine, char *buffer)
{
    free(engine->spare_reply);
    engine->spare_reply = buffer;
}

static struct exchange *allocate(struct engine *engine)
{
    struct exchange *exchange = engine->spare ? engine->spare : malloc(sizeof *exchange);
    char *buffer = exchange ? take_reply_buffer(engine) : NULL;
    engine->spare = NULL;
    if (!buffer) {
        free(exchange);
        return NULL;
    }
    memset(exchange, 0, offsetof(struct exchange, call));
    arena_init(&exchange->arena);
    arena_init(&exchange->call.arena);
    exchange->out = writer_make(buffer, engine->options.max_reply);
    return exchange;
}

static struct exchange *create(struct engine *engine, const struct host_message *message,
                               enum topic_kind kind, const char *name)
{
    struct exchange *exchange = allocate(engine);
    if (!exchange)
        return NULL;
    exchange->engine = engine;
    exchange->message = message;
    exchange->kind = kind;
    exchange->name = name;
    exchange->method = registry_find_method(&engine->registry, name);
    exchange->time = engine->host.wall_clock(engine->host.context);
    exchange->status = status_name(RPC_OK);
    exchange->to = (struct destination){.client = *message->client,
                                        .correlation = message->correlation,
                                        .correlation_size = message->correlation_size,
                                        .qos = message->qos};
    exchange->jsonrpc = kind == TOPIC_REQUEST || kind == TOPIC_JSONRPC;
    call_begin(exchange, exchange->method, name)->id_json = exchange->jsonrpc ? "null" : NULL;
    return exchange;
}

static void destroy(struct exchange *exchange)
{
    struct engine *engine = exchange->engine;
    cJSON_Delete(exchange->tree);
    arena_clear(&exchange->call.arena);
    arena_clear(&exchange->arena);
    give_reply_buffer(engine, exchange->out.out);
    free(engine->spare);
    engine->spare = exchange;
}

void exchange_free_spare(struct engine *engine)
{
    free(engine->spare);
    free(engine->spare_reply);
    engine->spare = NULL;
    engine->spare_reply = NULL;
}

/* ---- What is in the payload ---- */

static rpc_status malformed(struct exchange *exchange, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Of what is malformed as a whole nobody can tell whether it was meant to be answered: so it is, if it can.
 */
static rpc_status malformed(struct exchange *exchange, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *why = arena_vprintf(&exchange->arena, format, arguments);
    va_end(arguments);
    exchange->call.asked = exchange->to.topic != NULL;
    return call_fail(&exchange->call, RPC_INVALID_REQUEST, "%s", why ? why : "");
}

/* A batch that nothing is wrong with as a whole. */
static rpc_status take_batch(struct exchange *exchange, const cJSON *calls)
{
    const int most = exchange->engine->options.max_batch;
    const int count = cJSON_GetArraySize(calls);
    if (count > most)
        return malformed(exchange, "the batch has %d calls, the most is %d", count, most);
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

static const struct registry_method *find_open(const struct exchange *exchange, const char *name)
{
    const struct registry_method *method = registry_find_method(&exchange->engine->registry, name);
    return method && method->open ? method : NULL;
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
static rpc_status take_request(struct exchange *exchange, const struct jsonrpc_request *request,
                               const cJSON *item)
{
    const bool endpoint = exchange->kind == TOPIC_JSONRPC;
    const char *name = endpoint && request->method ? request->method : exchange->name;
    rpc_call *call = call_begin(exchange, endpoint ? find_open(exchange, name) : exchange->method, name);
    const bool answered = request->id || request->wrong;
    call->item = exchange->batch ? item : NULL;
    call->asked = call->asked && answered;
    call->id_json = !answered ? NULL : request->id ? route_print_id(&exchange->arena, request->id) : "null";
    call->params = request->params;
    if (answered && !call->id_json)
        return RPC_INTERNAL_ERROR;
    if (request->wrong)
        return call_fail(call, RPC_INVALID_REQUEST, "the request %s", request->wrong);
    if (endpoint || strcmp(request->method, exchange->name) == 0 ||
        is_topic_of_method(exchange, request->method))
        return RPC_OK;
    return call_fail(call, RPC_INVALID_REQUEST, "the request's method is not the one that the topic names");
}

static rpc_status take_single(struct exchange *exchange)
{
    const struct jsonrpc_request request = read_request(exchange, exchange->tree);
    const rpc_status taken = take_request(exchange, &request, exchange->tree);
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
    if (has_number_for_id(exchange->tree) && !json_keep_spelling(exchange->tree, exchange->message->payload))
        return RPC_INTERNAL_ERROR;
    if (!cJSON_IsArray(exchange->tree))
        return take_single(exchange);
    if (!exchange->tree->child)
        return malformed(exchange, "the batch is empty");
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

/* {"request_id":…,"calls":[…]}. What is wrong with the calls is their matter, with the members around them
 * not.
 */
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
        return malformed(exchange, "a batch is an array, or an object with request_id and calls");
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
    const size_t most = exchange->engine->options.max_payload;
    if (size > most)
        return call_fail(&exchange->call, RPC_PAYLOAD_TOO_LARGE, "the payload has %zu bytes, the most is %zu",
                         size, most);
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

static rpc_status take(struct exchange *exchange)
{
    if (exchange->message->response_topic) {
        const rpc_status status = route_by_response_topic(exchange);
        if (status != RPC_OK)
            return status;
        exchange->call.asked = true;
    }
    return take_payload(exchange);
}

/* ---- Whether it may be carried out ---- */

static bool is_for_another(const struct exchange *exchange, const cJSON *item)
{
    const struct jsonrpc_request request = jsonrpc_read(item);
    return !request.wrong && !find_open(exchange, request.method);
}

/*
 * Whether some other server is meant: nothing in it is ours, and that is left to others. It is asked before
 * anything else, since where they reply to is none of our business either.
 */
static bool is_for_others(struct exchange *exchange)
{
    const struct engine_options *options = &exchange->engine->options;
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

static uint32_t count_calls(const struct exchange *exchange)
{
    const int count = exchange->batch ? cJSON_GetArraySize(exchange->calls) : 1;
    return count > 0 ? (uint32_t)count : 1;
}

/*
 * A client over its rate is told so as often as it may call, and not at all beyond that: a reply to a client
 * that does not read it costs the broker memory for good.
 */
static bool is_told(struct exchange *exchange, uint64_t now)
{
    const struct engine_options *options = &exchange->engine->options;
    return gate_take(&exchange->client->refusals_full_at, now, options->rate_limit, options->rate_limit, 1);
}

static bool is_over_its_rate(struct exchange *exchange, bool *told)
{
    struct engine *engine = exchange->engine;
    const struct engine_options *options = &engine->options;
    if (!options->rate_limit)
        return false;
    const uint64_t now = engine_now(engine);
    exchange->client = clients_meet(&engine->clients, exchange->message->client, now);
    if (!exchange->client || gate_take(&exchange->client->calls_full_at, now, options->rate_limit,
                                       options->rate_burst, count_calls(exchange)))
        return false;
    engine->counters.limited++;
    engine_log(engine, RPC_LOG_WARNING, "client %.100s calls more often than rate_limit allows",
               exchange->message->client->id);
    *told = is_told(exchange, now);
    return true;
}

/* ---- Carrying it out ---- */

/* Whether nobody could tell that it was carried out: it changes nothing, and the reply has no room left. */
static bool is_in_vain(const rpc_call *call)
{
    const struct registry_method *method = call->method;
    return call->exchange->overflowed && method && method->declared->read_only && !method->event;
}

static void carry_out_item(struct exchange *exchange, const cJSON *item)
{
    rpc_status status = RPC_OK;
    if (exchange->jsonrpc) {
        const struct jsonrpc_request request = read_request(exchange, item);
        status = take_request(exchange, &request, item);
    } else {
        rpc_call *call = call_begin(exchange, exchange->method, exchange->name);
        call->item = call->params = item;
    }
    if (status != RPC_OK)
        call_refuse(&exchange->call, status);
    else if (!is_in_vain(&exchange->call))
        call_carry_out(&exchange->call);
}

static void carry_out_batch(struct exchange *exchange)
{
    answer_open_batch(exchange);
    for (const cJSON *item = exchange->calls->child; item; item = item->next)
        carry_out_item(exchange, item);
    call_begin(exchange, exchange->method, exchange->name)->id_json = "null";
    answer_close_batch(exchange);
}

static void carry_out(struct exchange *exchange)
{
    if (exchange->batch)
        carry_out_batch(exchange);
    else
        call_carry_out(&exchange->call);
}

/* What fails before any call is carried out fails as a whole. */
static void fail(struct exchange *exchange, rpc_status status)
{
    exchange->batch = false;
    if (exchange->method || exchange->kind == TOPIC_JSONRPC)
        call_refuse(&exchange->call, status);
    else
        call_carry_out(&exchange->call); /* which comes to method_not_found, whatever else is wrong */
}

static void answer(struct exchange *exchange, rpc_status status)
{
    const bool unknown_batch = exchange->batch && !exchange->jsonrpc && !exchange->method;
    if (status == RPC_OK && !unknown_batch)
        carry_out(exchange);
    else
        fail(exchange, status);
    if (exchange->to.topic && exchange->out.used)
        answer_send(exchange->engine, &exchange->to, exchange->status, exchange->out.out, exchange->out.used);
}

/*
 * A repetition is answered as the first was, also to a client over its rate; but no more often than it is
 * told anything then. Whatever becomes of a message after it has got its place in the client's order is the
 * end of it there, too.
 */
static void handle(struct exchange *exchange, rpc_status status)
{
    const bool sound = status == RPC_OK;
    bool told = true;
    if (once_is_sent_again(exchange, sound))
        return;
    const bool limited = is_over_its_rate(exchange, &told);
    const bool answered = told && sound && once_is_known(exchange);
    if (limited)
        status = RPC_RATE_LIMITED;
    else if (sound && !answered)
        status = once_promise(exchange);
    if (limited && !answered)
        exchange->status = status_name(status);
    if (told && !answered)
        answer(exchange, status);
    once_finish(exchange);
}

static enum engine_verdict verdict(const struct exchange *exchange)
{
    const bool known = exchange->method || exchange->kind == TOPIC_JSONRPC;
    return known && exchange->engine->options.forward_calls ? ENGINE_FORWARD : ENGINE_CONSUME;
}

static enum engine_verdict handle_named(struct engine *engine, const struct host_message *message,
                                        enum topic_kind kind, const char *name)
{
    if (kind != TOPIC_JSONRPC && engine->options.forward_unknown &&
        !registry_find_method(&engine->registry, name))
        return ENGINE_PASS;
    struct exchange *exchange = create(engine, message, kind, name);
    if (!exchange) {
        engine->counters.dropped++;
        engine_log(engine, RPC_LOG_ERROR, "no memory for a call");
        return ENGINE_CONSUME;
    }
    const bool passed = is_for_others(exchange);
    if (!passed)
        handle(exchange, take(exchange));
    const enum engine_verdict result = passed ? ENGINE_PASS : verdict(exchange);
    destroy(exchange);
    return result;
}

enum engine_verdict exchange_receive(struct engine *engine, const struct host_message *message,
                                     enum topic_kind kind, const char *name)
{
    char method[TOPIC_NAME_MAX + 1];
    if (kind == TOPIC_JSONRPC)
        return handle_named(engine, message, kind, "");
    if (kind != TOPIC_REQUEST)
        return handle_named(engine, message, kind, name);
    /* What is cut here is too long to be a method, and as unknown as the whole. */
    const size_t length = strlen(name) - strlen(TOPIC_REQUEST_LEVEL);
    if (length > TOPIC_NAME_MAX)
        return handle_named(engine, message, kind, name);
    memcpy(method, name, length);
    method[length] = '\0';
    return handle_named(engine, message, kind, method);
}

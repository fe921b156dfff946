// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* An exchange's memory, its clock and the copy that outlives its message: see exchange.h. */
#include "call/exchange.h"

#include "base/status.h"
#include "call/connections.h"
#include "call/engine_parts.h"
#include "shape/codec_json.h"
#include "stats/recorder.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* ---- Memory ---- */

void exchange_take_reply_buffer(struct exchange *exchange)
{
    struct engine *engine = exchange->engine;
    const size_t size = (size_t)engine->env.options.max_reply;
    if (exchange->reply.out.out)
        return;
    char *buffer = engine->spare_reply ? engine->spare_reply : malloc(size);
    engine->spare_reply = NULL;
    /* Member by member: a whole struct would be made elsewhere and copied. */
    struct writer *writer = &exchange->reply.out;
    writer->codec = exchange->to.codec;
    writer->out = buffer;
    writer->capacity = buffer ? size : 0;
    writer->used = 0;
    writer->full = false;
    writer->state = 0;
}

void exchange_give_reply_buffer(struct exchange *exchange)
{
    struct engine *engine = exchange->engine;
    if (!exchange->reply.out.out)
        return;
    if (engine->spare_reply)
        free(exchange->reply.out.out);
    else
        engine->spare_reply = exchange->reply.out.out;
    exchange->reply.out.out = NULL;
}

/* Memory for an exchange, with empty arenas and without a reply buffer. */
static struct exchange *exchange_allocate(struct engine *engine)
{
    struct exchange *exchange = engine->spare;
    engine->spare = NULL;
    if (exchange)
        return exchange;
    exchange = malloc(sizeof *exchange);
    if (!exchange)
        return NULL;
    arena_init(&exchange->arena);
    arena_init(&exchange->call.arena);
    arena_init(&exchange->payload.arena);
    exchange->reply.out.out = NULL;
    return exchange;
}

static rpc_call *exchange_set_call(struct exchange *exchange, struct registry_method *method,
                                   const char *name)
{
    rpc_call *call = &exchange->call;
    /* Up to 80 bytes the compiler sets at once; more take a loop. */
    _Static_assert(offsetof(rpc_call, result) - offsetof(rpc_call, item) <= 80, "a call takes longer");
    memset(&call->item, 0, offsetof(rpc_call, result) - offsetof(rpc_call, item));
    call->result = NULL;
    call->kept_params = call->worker = NULL;
    call->queued = call->begun = call->ended = 0;
    call->failure.status = RPC_OK;
    call->engine = exchange->engine;
    call->exchange = exchange;
    call->method = method;
    call->name = name;
    call->asked = exchange->to.topic;
    return call;
}

/* Without memory for it the name is NULL. */
static void exchange_take_name(struct exchange *exchange, const char *name)
{
    if (exchange->kind == TOPIC_JSONRPC)
        name = "";
    else if (exchange->kind == TOPIC_REQUEST)
        name = arena_copy(&exchange->arena, name, strlen(name) - strlen(TOPIC_REQUEST_LEVEL));
    exchange->method = name ? registry_find_method(&exchange->engine->registry, name) : NULL;
    exchange->name = exchange->method ? registry_call_name(exchange->method, name, &exchange->arena) : name;
}

struct exchange *exchange_create(struct engine *engine, const struct host_message *message,
                                 enum topic_kind kind, const char *name)
{
    struct exchange *exchange = exchange_allocate(engine);
    if (!exchange)
        return NULL;
    exchange->engine = engine;
    exchange->message = message;
    exchange->kind = kind;
    exchange->jsonrpc = kind == TOPIC_REQUEST || kind == TOPIC_JSONRPC;
    exchange->batch = false;
    exchange->adopted = engine->env.host.dispatched;
    exchange->request_id = exchange->timeout = NULL;
    exchange->misrouted = false;
    exchange->identity = 0;
    /* A host that tells the message's Content Type would choose the codec here. */
    exchange->to.codec = engine->codec;
    exchange->to.client = *message->client;
    exchange->to.ended = exchange->to.session_waits = false;
    exchange->to.repeated = exchange->to.errors_only = exchange->to.unchanged = false;
    exchange->to.topic = NULL;
    exchange->to.trace = NULL;
    exchange->to.correlation = message->correlation;
    exchange->to.correlation_size = message->correlation_size;
    exchange->to.qos = message->qos;
    memset(&exchange->reply.status, 0, sizeof exchange->reply - offsetof(struct exchange_reply, status));
    exchange->reply.code = status_name(RPC_OK);
    exchange->pending = (struct exchange_pending){.unknown = 1, .holds = 1};
    exchange->dedup = (struct dedup_record){.client = NULL};
    exchange->time = 0;
    exchange->now = env_now(&engine->env);
    exchange->payload.tree = NULL;
    exchange->payload.parsed.fault = JSON_FINE;
    exchange->payload.parsed.nul = false;
    exchange_take_reply_buffer(exchange);
    exchange_take_name(exchange, name);
    exchange_set_call(exchange, exchange->method, exchange->name);
    if (exchange->name && exchange->reply.out.out)
        return exchange;
    exchange_release(exchange);
    return NULL;
}

void exchange_release(struct exchange *exchange)
{
    struct engine *engine = exchange->engine;
    if (--exchange->pending.holds > 0)
        return;
    if (exchange->pending.kept) {
        DL_DELETE(exchange->pending.connection->exchanges, exchange);
        connections_release(exchange->pending.connection);
        slots_let_go(&engine->slots, &exchange->pending.held);
    }
    if (exchange->to.client.mark)
        engine->env.host.handled(engine->env.host.context, exchange->to.client.mark);
    arena_fini(&exchange->call.arena);
    arena_fini(&exchange->payload.arena);
    arena_fini(&exchange->arena);
    exchange_give_reply_buffer(exchange);
    if (engine->spare)
        free(exchange);
    else
        engine->spare = exchange;
}

void exchange_free_spares(struct engine *engine)
{
    free(engine->spare);
    free(engine->spare_reply);
    engine->spare = NULL;
    engine->spare_reply = NULL;
}

rpc_call *exchange_begin_call(struct exchange *exchange, struct registry_method *method, const char *name)
{
    arena_fini(&exchange->call.arena);
    return exchange_set_call(exchange, method, name);
}

void exchange_drop_payload(struct exchange *exchange)
{
    arena_fini(&exchange->payload.arena);
    exchange->payload.tree = NULL;
    exchange->payload.calls = NULL;
    exchange->pending.arrived = NULL;
}

/* ---- Calls ---- */

rpc_call *call_move(const rpc_call *call)
{
    rpc_call *moved = malloc(sizeof *moved);
    if (!moved)
        return NULL;
    memcpy(moved, call, offsetof(rpc_call, arena));
    arena_init(&moved->arena);
    moved->own_memory = true;
    return moved;
}

void call_fini(rpc_call *call)
{
    arena_fini(&call->arena);
    if (call->own_memory)
        free(call);
}

void call_recount(rpc_call *call)
{
    struct slots *slots = &call->engine->slots;
    slots_recount(slots, &call->held, call_bytes(call));
    slots_recount(slots, &call->exchange->pending.held, exchange_bytes(call->exchange));
}

rpc_status call_fail(rpc_call *call, rpc_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *message = arena_vprintf(&call->arena, format, arguments);
    va_end(arguments);
    call->failure = (struct failure){.status = status, .code = status_name(status), .message = message};
    return status;
}

/* ---- The clock ---- */

double exchange_time(struct exchange *exchange)
{
    if (exchange->time == 0)
        exchange->time = env_wall_time(&exchange->engine->env);
    return exchange->time;
}

/* ---- The trace ---- */

void exchange_take_trace(struct exchange *exchange, const char *traceparent)
{
    if (!exchange->to.trace && trace_read(&exchange->trace, traceparent, &exchange->engine->random))
        exchange->to.trace = &exchange->trace;
}

/* Without memory the tracestate is left out. */
__attribute__((noinline)) static void exchange_read_state(struct exchange *exchange, const char *traceparent)
{
    const struct host *host = &exchange->engine->env.host;
    char state[TRACE_STATE_READ];
    exchange_take_trace(exchange, traceparent);
    if (exchange->to.trace &&
        host->user_property(host->context, exchange->message, "tracestate", state, sizeof state) &&
        trace_is_state(state))
        exchange->trace.state = arena_copy(&exchange->arena, state, strlen(state));
}

void exchange_read_trace(struct exchange *exchange)
{
    const struct host *host = &exchange->engine->env.host;
    char text[TRACE_PARENT_READ];
    if (host->user_property(host->context, exchange->message, "traceparent", text, sizeof text))
        exchange_read_state(exchange, text);
}

/* ---- Parameters as text ---- */

const char *exchange_params_text(rpc_call *call)
{
    const struct host_message *message = call->exchange->message;
    if (call->kept_params)
        return call->kept_params;
    if (exchange_is_plain(call->exchange) && message->size)
        return message->payload;
    return call->params ? codec_json_text(call->params, &call->arena) : "{}";
}

bool exchange_has_params(const struct exchange *exchange)
{
    const struct engine_options *options = &exchange->engine->env.options;
    return exchange->pending.kept
               ? exchange->pending.keeps_params
               : options->dead_letters && options->dead_payload && !exchange->pending.replay;
}

/* ---- The copy ---- */

struct exchange_copy {
    struct host_message message;
    struct host_client client;
};

/* Copies a text into the arena; NULL stays NULL. Returns false: no memory. */
static bool exchange_copy_text(struct arena *arena, const char **text)
{
    if (!*text)
        return true;
    *text = arena_copy(arena, *text, strlen(*text));
    return *text != NULL;
}

/* Copies the message: of a payload that was parsed only what is asked for or sent on, or the beginning, if it
 * is recorded. NULL: no memory. */
static struct exchange_copy *exchange_copy_message(struct exchange *exchange)
{
    struct arena *arena = &exchange->arena;
    struct exchange_copy *copy = arena_alloc(arena, sizeof *copy);
    if (!copy)
        return NULL;
    struct host_message *message = &copy->message;
    struct host_client *client = &copy->client;
    *message = *exchange->message;
    *client = *exchange->message->client;
    message->client = client;
    message->properties = NULL;
    const bool is_plain = exchange_is_plain(exchange);
    const bool is_sent = is_plain && exchange->method && exchange->method->remote; /* to a worker */
    const bool is_asked_for = is_sent || (exchange_has_params(exchange) &&
                                          (is_plain || exchange->payload.parsed.fault != JSON_FINE));
    const size_t recorded = exchange->engine->recorder->payloads ? RECORDER_PAYLOAD : 0;
    const size_t max = exchange->payload.tree && !is_asked_for ? recorded : message->size;
    exchange->pending.payload = message->size < max ? message->size : max;
    message->payload = arena_copy(arena, message->payload, exchange->pending.payload);
    const bool has_correlation = message->correlation;
    if (has_correlation)
        message->correlation = arena_copy(arena, message->correlation, message->correlation_size);
    const bool is_whole =
        message->payload && (message->correlation || !has_correlation) &&
        exchange_copy_text(arena, &message->topic) && exchange_copy_text(arena, &message->response_topic) &&
        exchange_copy_text(arena, &client->id) && exchange_copy_text(arena, &client->user) &&
        exchange_copy_text(arena, &client->address);
    return is_whole ? copy : NULL;
}

/* Reads the caller's own deadline: of the user property digits and nothing else, and no more of them than are
 * looked at. */
static rpc_status exchange_read_timeout(rpc_call *call)
{
    struct env *env = &call->engine->env;
    struct exchange *exchange = call->exchange;
    const uint32_t max = (uint32_t)env->options.timeout_max;
    const bool is_member = exchange->timeout;
    double value = is_member && json_is_number(exchange->timeout) ? exchange->timeout->valuedouble : 0;
    char text[12];
    if (!is_member) {
        if (!env->host.user_property(env->host.context, exchange->message, "timeout-ms", text, sizeof text))
            return RPC_OK;
        const size_t digits = strspn(text, "0123456789");
        const bool is_whole = digits && !text[digits] && digits < sizeof text - 1;
        value = is_whole ? (double)strtoul(text, NULL, 10) : 0;
    }
    if (!(value >= 1 && value <= max) || value != (uint32_t)value)
        return call_fail(call, RPC_INVALID_REQUEST, "%s must be a whole number of 1 to %u (timeout_max)",
                         is_member ? "timeout_ms" : "the user property timeout-ms", max);
    exchange->pending.timeout = (uint32_t)value;
    return RPC_OK;
}

/* A copy of an id, which is no object and no array. NULL: no memory. */
static const cJSON *exchange_copy_id(struct arena *arena, const cJSON *id)
{
    cJSON *copy = arena_take(arena, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = (cJSON){.type = id->type, .valuedouble = id->valuedouble};
    if (id->valuestring)
        copy->valuestring = arena_copy(arena, id->valuestring, strlen(id->valuestring));
    return copy->valuestring || !id->valuestring ? copy : NULL;
}

/* Whether the caller asked for interim replies in a way in which it can get them: their payload has no place
 * for an id, or for the position in a batch. */
static bool exchange_wants_progress(const rpc_call *call)
{
    const struct exchange *exchange = call->exchange;
    const struct host *host = &call->engine->env.host;
    char text[3];
    return call->method->declared->progress && exchange->message->response_topic && !exchange->jsonrpc &&
           !exchange->batch && !exchange->to.errors_only &&
           host->user_property(host->context, exchange->message, "progress", text, sizeof text) &&
           strcmp(text, "1") == 0;
}

static rpc_status exchange_keep_message(rpc_call *call)
{
    struct exchange *exchange = call->exchange;
    const rpc_status status = exchange_read_timeout(call);
    if (status != RPC_OK)
        return status;
    exchange->pending.progress = exchange_wants_progress(call);
    exchange_time(exchange);
    const cJSON *request_id =
        exchange->request_id ? exchange_copy_id(&exchange->arena, exchange->request_id) : NULL;
    const bool is_whole = request_id || !exchange->request_id;
    const struct exchange_copy *copy = is_whole ? exchange_copy_message(exchange) : NULL;
    struct connection *connection =
        copy ? connections_get(&call->engine->connections, copy->client.connection) : NULL;
    if (!connection)
        return RPC_INTERNAL_ERROR;
    if (exchange->to.topic == exchange->message->response_topic)
        exchange->to.topic = copy->message.response_topic;
    exchange->to.client = copy->client;
    exchange->to.correlation = copy->message.correlation;
    exchange->pending.arrived = exchange->message;
    exchange->message = &copy->message;
    exchange->request_id = request_id;
    exchange->dedup.client = NULL;
    exchange->pending.keeps_params = exchange_has_params(exchange);
    exchange->pending.kept = true;
    exchange->pending.connection = connection;
    if (!exchange->pending.replay) /* which comes over no connection of its client's */
        clients_meet(&call->engine->dedup.clients, &copy->client, exchange->now);
    DL_APPEND(connection->exchanges, exchange);
    return RPC_OK;
}

/* Keeps the parameters of a call as text, where the message has more than these. Text is printed into more
 * memory than it takes. */
static rpc_status exchange_keep_params(rpc_call *call)
{
    struct arena arena;
    if (exchange_is_plain(call->exchange))
        return RPC_OK;
    arena_init(&arena);
    const char *text = call->params ? codec_json_text(call->params, &arena) : "{}";
    call->kept_params = text ? arena_copy(&call->arena, text, strlen(text)) : NULL;
    arena_fini(&arena);
    return call->kept_params ? RPC_OK : RPC_INTERNAL_ERROR;
}

rpc_status exchange_keep(rpc_call *call)
{
    const rpc_status status = call->exchange->pending.kept ? RPC_OK : exchange_keep_message(call);
    const cJSON *id = status == RPC_OK && call->id ? exchange_copy_id(&call->arena, call->id) : call->id;
    if (call->id && !id)
        return RPC_INTERNAL_ERROR;
    call->id = id;
    return status == RPC_OK && exchange_has_params(call->exchange) ? exchange_keep_params(call) : status;
}

/* ---- The end of its connection ---- */

/*
 * The end of a connection may be told twice: the second time tells that another connection has resumed its
 * session, or thrown it away. The reply must not go to that connection.
 */
void exchange_connection_ended(struct engine *engine, const struct host_ending *ending)
{
    const struct connection *connection = connections_find(&engine->connections, ending->connection);
    struct exchange *exchange;
    DL_FOREACH(connection ? connection->exchanges : NULL, exchange)
    {
        const struct host_client *client = exchange->message->client;
        if (strcmp(client->id, ending->id) != 0)
            continue;
        const bool is_mqtt_3_session = client->version < 5 && !client->clean_start && !ending->clean_start;
        struct destination *to = &exchange->to;
        to->session_waits = !to->ended && (ending->kind == HOST_END_SESSION_WAITS ||
                                           (ending->kind == HOST_END_UNKNOWN && is_mqtt_3_session));
        to->ended = true;
    }
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The life of a message that calls: what is in it (payload.c), whether it came before (once.c) and may be
 * carried out, its calls, the reply. Nearly always that life ends before engine_receive() returns; when one
 * of its calls is kept open (task.c), the exchange is kept with it.
 */
#include "call/engine_private.h"

#include "base/status.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* ---- Memory ---- */

/*
 * Nearly always there is one exchange at a time, so the last one's memory serves the next: no allocation of a
 * size for which the C library would tidy up its free memory each time. A call that arrives while another one
 * is being carried out gets memory of its own.
 */
static char *take_reply_buffer(struct engine *engine)
{
    char *buffer = engine->spare_reply ? engine->spare_reply : malloc(engine->env.options.max_reply);
    engine->spare_reply = NULL;
    return buffer;
}

static void give_reply_buffer(struct engine *engine, char *buffer)
{
    if (!buffer)
        return;
    free(engine->spare_reply);
    engine->spare_reply = buffer;
}

/* Whoever waits has no buffer. Without memory for one nothing fits into the reply. */
static void take_up_reply(struct exchange *exchange)
{
    if (exchange->out.out)
        return;
    char *buffer = take_reply_buffer(exchange->engine);
    exchange->out = writer_make(buffer, buffer ? exchange->engine->env.options.max_reply : 0);
}

static void put_down_reply(struct exchange *exchange)
{
    give_reply_buffer(exchange->engine, exchange->out.out);
    exchange->out = writer_make(NULL, 0);
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
    exchange->out = writer_make(buffer, engine->env.options.max_reply);
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
    exchange->method = registry_find_method(&engine->registry, name);
    if (exchange->method)
        name = registry_call_name(exchange->method, name, &exchange->arena);
    exchange->name = name;
    exchange->status = status_name(RPC_OK);
    exchange->to = (struct destination){.client = *message->client,
                                        .correlation = message->correlation,
                                        .correlation_size = message->correlation_size,
                                        .qos = message->qos};
    exchange->holds = exchange->unknown = 1;
    exchange->jsonrpc = kind == TOPIC_REQUEST || kind == TOPIC_JSONRPC;
    call_begin(exchange, exchange->method, name)->id_json = exchange->jsonrpc ? "null" : NULL;
    if (name)
        return exchange;
    exchange_release(exchange);
    return NULL;
}

static void leave_caller(struct exchange *exchange)
{
    DL_DELETE(exchange->connection->exchanges, exchange);
    connections_release(exchange->connection);
}

static void destroy(struct exchange *exchange)
{
    struct engine *engine = exchange->engine;
    if (exchange->kept)
        leave_caller(exchange);
    cJSON_Delete(exchange->tree);
    call_end(&exchange->call);
    arena_fini(&exchange->arena);
    give_reply_buffer(engine, exchange->out.out);
    free(engine->spare);
    engine->spare = exchange;
}

void exchange_release(struct exchange *exchange)
{
    if (--exchange->holds == 0)
        destroy(exchange);
}

uint64_t exchange_now(struct exchange *exchange)
{
    if (!exchange->now)
        exchange->now = env_now(&exchange->engine->env);
    return exchange->now;
}

double exchange_time(struct exchange *exchange)
{
    const struct host *host = &exchange->engine->env.host;
    if (exchange->time == 0)
        exchange->time = host->wall_clock(host->context);
    return exchange->time;
}

void exchange_free_spare(struct engine *engine)
{
    free(engine->spare);
    free(engine->spare_reply);
    engine->spare = NULL;
    engine->spare_reply = NULL;
}

/* ---- Keeping it ---- */

/* NULL stays what it is, and is what the copy becomes without memory. */
static void keep_text(struct arena *arena, const char **text)
{
    if (*text)
        *text = arena_copy(arena, *text, strlen(*text));
}

struct kept_message {
    struct host_message message;
    struct host_client client;
};

static bool copy_client(struct arena *arena, struct host_client *client)
{
    const bool user = client->user, address = client->address;
    keep_text(arena, &client->id);
    keep_text(arena, &client->user);
    keep_text(arena, &client->address);
    return client->id && (!user || client->user) && (!address || client->address);
}

/* The payload is in the tree, but for that of a method which takes raw bytes. */
static bool copy_payload(struct exchange *exchange, struct host_message *message)
{
    const bool needed = !exchange->tree && message->size;
    message->payload = needed ? arena_copy(&exchange->arena, message->payload, message->size) : "";
    return message->payload;
}

static bool copy_message(struct exchange *exchange, struct kept_message *kept)
{
    struct arena *arena = &exchange->arena;
    struct host_message *message = &kept->message;
    const bool has_response_topic = message->response_topic;
    const bool has_correlation = message->correlation;
    keep_text(arena, &message->topic);
    keep_text(arena, &message->response_topic);
    if (has_correlation)
        message->correlation = arena_copy(arena, message->correlation, message->correlation_size);
    message->properties = NULL;
    return copy_client(arena, &kept->client) && copy_payload(exchange, message) && message->topic &&
           (!has_response_topic || message->response_topic) && (!has_correlation || message->correlation);
}

/* From here on everything is looked for in the copy. */
static void use_copy(struct exchange *exchange, const struct kept_message *kept)
{
    if (exchange->to.topic == exchange->message->response_topic)
        exchange->to.topic = kept->message.response_topic;
    exchange->to.client = kept->client;
    exchange->to.correlation = kept->message.correlation;
    exchange->message = &kept->message;
    if (!exchange->method)
        exchange->name = "";
    exchange->client = NULL;
    exchange->kept = true;
    clients_meet(&exchange->engine->clients, &kept->client, exchange->now);
    DL_APPEND(exchange->connection->exchanges, exchange);
}

/* The caller's own deadline: digits and nothing else, and no more of them than are looked at. */
static rpc_status take_timeout(rpc_call *call)
{
    struct engine *engine = call->engine;
    struct exchange *exchange = call->exchange;
    const uint32_t max = engine->env.options.timeout_max;
    char text[12];
    if (!engine->env.host.user_property(engine->env.host.context, exchange->message, "timeout-ms", text,
                                        sizeof text))
        return RPC_OK;
    const size_t digits = strspn(text, "0123456789");
    const bool whole = digits && !text[digits] && digits < sizeof text - 1;
    const unsigned long value = whole ? strtoul(text, NULL, 10) : 0;
    if (!value || value > max)
        return call_fail(call, RPC_INVALID_REQUEST,
                         "the user property timeout-ms must be a whole number of 1 to %u", max);
    exchange->timeout = (uint32_t)value;
    return RPC_OK;
}

rpc_status exchange_keep(rpc_call *call)
{
    struct exchange *exchange = call->exchange;
    if (exchange->kept)
        return RPC_OK;
    const rpc_status status = take_timeout(call);
    if (status != RPC_OK)
        return status;
    exchange_now(exchange);
    exchange_time(exchange);
    struct kept_message *kept = arena_alloc(&exchange->arena, sizeof *kept);
    if (!kept)
        return RPC_INTERNAL_ERROR;
    kept->message = *exchange->message;
    kept->client = *exchange->message->client;
    kept->message.client = &kept->client;
    if (!copy_message(exchange, kept))
        return RPC_INTERNAL_ERROR;
    exchange->connection = connections_get(&call->engine->connections, kept->client.connection);
    if (!exchange->connection)
        return RPC_INTERNAL_ERROR;
    use_copy(exchange, kept);
    return RPC_OK;
}

/* ---- Whether it may be carried out ---- */

static uint32_t count_calls(const struct exchange *exchange)
{
    const int count = exchange->batch ? cJSON_GetArraySize(exchange->calls) : 1;
    return count > 0 ? (uint32_t)count : 1;
}

/*
 * A client over its rate is told so, which is cheap, but not without end: a reply to a client that does not
 * read it costs the broker memory for good.
 */
static bool is_told(struct exchange *exchange, uint64_t now)
{
    enum { LEAST = 100, TIMES = 10 };
    const uint32_t rate = TIMES * exchange->engine->env.options.rate_limit;
    const uint32_t max = rate > LEAST ? rate : LEAST;
    return bucket_take(&exchange->client->refusals, now, max, max, 1);
}

static bool is_over_its_rate(struct exchange *exchange, bool *told)
{
    struct engine *engine = exchange->engine;
    const struct engine_options *options = &engine->env.options;
    if (!options->rate_limit)
        return false;
    const uint64_t now = exchange_now(exchange);
    exchange->client = clients_meet(&engine->clients, exchange->message->client, now);
    if (!exchange->client || bucket_take(&exchange->client->calls, now, options->rate_limit,
                                         options->rate_burst, count_calls(exchange)))
        return false;
    engine->env.counters.limited++;
    env_log(&engine->env, RPC_LOG_WARNING, "client %.100s calls more often than rate_limit allows",
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

static rpc_status take_item(struct exchange *exchange, const cJSON *item)
{
    if (exchange->jsonrpc)
        return payload_take_request(exchange, item);
    rpc_call *call = call_begin(exchange, exchange->method, exchange->name);
    call->item = call->params = item;
    return RPC_OK;
}

static bool may_stay_open(const rpc_call *call)
{
    return call->method && call->method->declared->done;
}

/* The next items go on while one is open, in the order in which they stand. */
static void carry_out_item(struct exchange *exchange, const cJSON *item)
{
    rpc_call *call = &exchange->call;
    rpc_status status = take_item(exchange, item);
    if (status == RPC_OK && may_stay_open(call)) {
        rpc_call *moved = call_move(exchange);
        status = moved ? RPC_OK : RPC_INTERNAL_ERROR;
        call = moved ? moved : call;
    }
    if (exchange->fragments || call->own_memory)
        answer_set_aside(call);
    if (status != RPC_OK)
        call_refuse(call, status);
    else if (!is_in_vain(call))
        call_carry_out(call);
    if (call->own_memory && !call->task)
        call_end(call);
}

static void carry_out_batch(struct exchange *exchange)
{
    answer_open_batch(exchange);
    for (const cJSON *item = exchange->calls->child; item; item = item->next)
        carry_out_item(exchange, item);
}

static void close_batch(struct exchange *exchange)
{
    take_up_reply(exchange);
    if (exchange->fragments)
        answer_gather(exchange);
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
    if (exchange->method || exchange->kind == TOPIC_JSONRPC || status == RPC_RATE_LIMITED)
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
}

/* ---- The reply ---- */

/*
 * A caller whose connection has ended may have left a session, which takes what is not QoS 0. Without its
 * connection nobody can tell whose the client id is now, but that its session still waits; and what the
 * broker cannot put into a full session is never freed, so that only so many replies go there.
 */
static bool can_be_sent(const struct exchange *exchange)
{
    struct engine *engine = exchange->engine;
    const char *id = exchange->to.client.id;
    if (!exchange->kept)
        return true;
    if (clients_has_other(&engine->clients, id, exchange->gone ? NULL : exchange->connection->id))
        return false;
    return !exchange->gone ||
           (exchange->session_waits && exchange->to.qos > 0 && engine->env.options.qos > 0 &&
            clients_may_queue(&engine->clients, id, env_now(&engine->env)));
}

static void send_reply(const struct exchange *exchange)
{
    if (exchange->to.topic && exchange->out.used && can_be_sent(exchange))
        answer_send(exchange->engine, &exchange->to, exchange->status, exchange->out.out, exchange->out.used);
}

/* All outcomes are known. */
static void complete(struct exchange *exchange)
{
    if (exchange->batch)
        close_batch(exchange);
    send_reply(exchange);
    dedup_finish(exchange);
    put_down_reply(exchange);
}

/* One outcome more is known, or all calls have been begun. */
static void settle(struct exchange *exchange)
{
    if (--exchange->unknown == 0)
        complete(exchange);
    else
        put_down_reply(exchange);
}

void exchange_conclude(rpc_call *call, rpc_status status)
{
    struct exchange *exchange = call->exchange;
    if (!exchange->batch)
        take_up_reply(exchange);
    call_finish(call, status);
    settle(exchange);
}

/*
 * The end of a connection may be told twice: the second time tells that its session was taken up, or thrown
 * away, by another connection, which is none that the reply may go to.
 */
void exchange_caller_ended(struct engine *engine, const struct host_ending *ending)
{
    const struct connection *connection = connections_find(&engine->connections, ending->connection);
    struct exchange *exchange;
    DL_FOREACH(connection ? connection->exchanges : NULL, exchange)
    {
        const struct host_client *client = exchange->message->client;
        if (strcmp(client->id, ending->id) != 0)
            continue;
        exchange->session_waits =
            !exchange->gone && (ending->kind == HOST_END_SESSION_WAITS ||
                                (ending->kind == HOST_END_UNKNOWN && client->version < 5 &&
                                 !client->clean_start && !ending->clean_start));
        exchange->gone = true;
        exchange->to.client.connection = NULL;
    }
}

/* ---- All together ---- */

/* Whoever has a client's id now must not get replies to calls of a connection that had it before. */
static void note_connection(const struct exchange *exchange)
{
    struct engine *engine = exchange->engine;
    if (engine->connections)
        clients_meet_again(&engine->clients, exchange->message->client, env_now(&engine->env));
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
    note_connection(exchange);
    struct cached_reply *again = dedup_find_sent_again(exchange, sound);
    const bool limited = is_over_its_rate(exchange, &told);
    if (!again && sound && told)
        again = dedup_find_known(exchange);
    if (limited && !again)
        exchange->status = status_name(status = RPC_RATE_LIMITED);
    else if (sound && !again)
        status = dedup_promise(exchange);
    if (!told || again) {
        if (told)
            dedup_answer_again(exchange, again);
        dedup_finish(exchange);
        return;
    }
    answer(exchange, status);
    settle(exchange);
}

static enum engine_verdict verdict(const struct exchange *exchange)
{
    const bool known = exchange->method || exchange->kind == TOPIC_JSONRPC;
    return known && exchange->engine->env.options.forward_calls ? ENGINE_FORWARD : ENGINE_CONSUME;
}

static enum engine_verdict handle_named(struct engine *engine, const struct host_message *message,
                                        enum topic_kind kind, const char *name)
{
    if (kind != TOPIC_JSONRPC && engine->env.options.forward_unknown &&
        !registry_find_method(&engine->registry, name))
        return ENGINE_PASS;
    struct exchange *exchange = create(engine, message, kind, name);
    if (!exchange) {
        engine->env.counters.dropped++;
        env_log(&engine->env, RPC_LOG_ERROR, "no memory for a call");
        return ENGINE_CONSUME;
    }
    const bool passed = payload_is_for_others(exchange);
    if (!passed)
        handle(exchange, payload_take(exchange));
    const enum engine_verdict result = passed ? ENGINE_PASS : verdict(exchange);
    exchange_release(exchange);
    return result;
}

enum engine_verdict exchange_receive(struct engine *engine, const struct host_message *message,
                                     enum topic_kind kind, const char *name)
{
    char method[TOPIC_CALLED_MAX + 1];
    if (kind == TOPIC_JSONRPC)
        return handle_named(engine, message, kind, "");
    if (kind != TOPIC_REQUEST)
        return handle_named(engine, message, kind, name);
    /* What is cut here is too long to be a method, and as unknown as the whole. */
    const size_t length = strlen(name) - strlen(TOPIC_REQUEST_LEVEL);
    if (length > TOPIC_CALLED_MAX)
        return handle_named(engine, message, kind, name);
    memcpy(method, name, length);
    method[length] = '\0';
    return handle_named(engine, message, kind, method);
}

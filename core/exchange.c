// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The life of a message that calls: what is in it (payload.c), whether it came before (once.c) and may be
 * carried out, its calls, the reply.
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

uint64_t exchange_now(struct exchange *exchange)
{
    if (!exchange->now)
        exchange->now = engine_now(exchange->engine);
    return exchange->now;
}

void exchange_free_spare(struct engine *engine)
{
    free(engine->spare);
    free(engine->spare_reply);
    engine->spare = NULL;
    engine->spare_reply = NULL;
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
    const uint32_t rate = TIMES * exchange->engine->options.rate_limit;
    const uint32_t most = rate > LEAST ? rate : LEAST;
    return gate_take(&exchange->client->refusals_full_at, now, most, most, 1);
}

static bool is_over_its_rate(struct exchange *exchange, bool *told)
{
    struct engine *engine = exchange->engine;
    const struct engine_options *options = &engine->options;
    if (!options->rate_limit)
        return false;
    const uint64_t now = exchange_now(exchange);
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
        status = payload_take_request(exchange, item);
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
    struct recall *again = once_find_sent_again(exchange, sound);
    const bool limited = is_over_its_rate(exchange, &told);
    if (!again && sound && told)
        again = once_find_known(exchange);
    if (limited && !again)
        exchange->status = status_name(status = RPC_RATE_LIMITED);
    else if (sound && !again)
        status = once_promise(exchange);
    if (told && again)
        once_answer_again(exchange, again);
    else if (told)
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
    const bool passed = payload_is_for_others(exchange);
    if (!passed)
        handle(exchange, payload_take(exchange));
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

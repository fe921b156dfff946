// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Messages that come again (protocol, section 6, and the redelivery guard): see engine_private.h. There are
 * two ways to know one. A caller that wants to be sure gives its call an identity, and the same message
 * within the window is the same call. A call that was sent at QoS 2 is also known by its place in the
 * client's order: after its connection was cut a client sends again what was not acknowledged, in order and
 * before anything else, and the broker shows neither packet identifiers nor which messages are sent again.
 *
 * Calls at QoS 1, of methods that change nothing, and those that are malformed have their place in the order,
 * too; but when they come again they are carried out, or known by their identity.
 */
#include "call/engine_private.h"

#include "base/status.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    LASTING_IDENTITY = 16, /* bytes; a shorter one may be a counter that starts again */
    WAITERS_MAX = 16       /* copies of one call that wait; they are all the same client's */
};

/* A caller whose call was already being carried out. */
struct waiter {
    struct destination to; /* what it points at is in `memory` */
    struct cached_reply *entry;
    struct waiter *prev, *next; /* among those that wait for the same */
    struct connection *connection;
    struct waiter *connection_prev, *connection_next; /* among its caller's */
    char memory[];
};

/* ---- What a message is ---- */

static struct digest_part part_of(const char *text)
{
    return text ? (struct digest_part){text, strlen(text)} : (struct digest_part){NULL, 0};
}

/* The user is a part of it: a client id may be taken by somebody else, whom the reply does not concern. */
static struct digest digest_of_message(const struct exchange *exchange, bool in_order)
{
    const struct host_message *message = exchange->message;
    const struct digest_part parts[] = {
        part_of(message->client->id),
        part_of(message->client->user),
        part_of(message->topic),
        {message->correlation, message->correlation_size},
        {message->payload, message->size},
        /* What a client sends again is the same in all respects; what it repeats need not be. Where the host
           does not know the caller, the Response Topic stands for it. */
        part_of(message->response_topic),
        {&message->qos, sizeof message->qos},
    };
    enum { ALL = sizeof parts / sizeof parts[0] };
    _Static_assert((int)ALL <= (int)DIGEST_PARTS, "a digest has so many parts");
    const size_t identity = exchange->engine->env.host.knows_caller ? ALL - 2 : ALL - 1;
    return digest_of(exchange->engine->seed, parts, in_order ? ALL : identity);
}

static const struct registry_method *method_of_item(const struct exchange *exchange, const cJSON *item)
{
    const struct jsonrpc_request request = jsonrpc_read(item);
    return request.method ? registry_find_method(&exchange->engine->registry, request.method) : NULL;
}

static bool changes_nothing(const struct registry_method *method)
{
    return !method || method->declared->read_only;
}

/* Whether running it again does no harm. */
static bool may_run_again(const struct exchange *exchange)
{
    if (exchange->kind != TOPIC_JSONRPC)
        return changes_nothing(exchange->method);
    if (!exchange->batch)
        return changes_nothing(exchange->call.method);
    for (const cJSON *item = exchange->calls->child; item; item = item->next) {
        if (!changes_nothing(method_of_item(exchange, item)))
            return false;
    }
    return true;
}

static bool has_identity(const struct exchange *exchange)
{
    return exchange->engine->duplicates.window && exchange->call.asked && exchange->identity > 0;
}

/* ---- Answers from memory ---- */

static struct waiter *make_waiter(const struct destination *to)
{
    const size_t id = strlen(to->client.id) + 1;
    const size_t topic = strlen(to->topic) + 1;
    struct waiter *waiter = malloc(sizeof *waiter + id + topic + to->correlation_size);
    if (!waiter)
        return NULL;
    waiter->to = *to;
    waiter->to.client.user = waiter->to.client.address = NULL;
    waiter->to.client.id = memcpy(waiter->memory, to->client.id, id);
    waiter->to.topic = memcpy(waiter->memory + id, to->topic, topic);
    if (to->correlation)
        waiter->to.correlation = memcpy(waiter->memory + id + topic, to->correlation, to->correlation_size);
    return waiter;
}

static void enter_waiter(struct waiter *waiter, struct cached_reply *entry, struct connection *connection)
{
    struct waiter *waiting = entry->waiting;
    waiter->entry = entry;
    waiter->connection = connection;
    DL_APPEND(waiting, waiter);
    entry->waiting = waiting;
    DL_APPEND2(connection->waiters, waiter, connection_prev, connection_next);
}

static void free_waiter(struct waiter *waiter)
{
    struct waiter *waiting = waiter->entry->waiting;
    DL_DELETE(waiting, waiter);
    waiter->entry->waiting = waiting;
    DL_DELETE2(waiter->connection->waiters, waiter, connection_prev, connection_next);
    connections_release(waiter->connection);
    free(waiter);
}

/* Without memory, or behind too many others, it does not wait: it came again, and may come once more. */
static void wait_for(struct engine *engine, struct cached_reply *entry, const struct destination *to)
{
    struct waiter *waiting = entry->waiting, *waiter;
    int count;
    DL_COUNT(waiting, waiter, count);
    waiter = to->topic && count < WAITERS_MAX ? make_waiter(to) : NULL;
    struct connection *connection =
        waiter ? connections_get(&engine->connections, to->client.connection) : NULL;
    if (connection)
        enter_waiter(waiter, entry, connection);
    else
        free(waiter);
}

void dedup_answer_again(const struct exchange *exchange, struct cached_reply *entry)
{
    exchange->engine->env.counters.duplicates++;
    if (!entry->finished)
        wait_for(exchange->engine, entry, &exchange->to);
    else if (entry->reply && exchange->to.topic)
        answer_send(exchange->engine, &exchange->to, entry->status, entry->reply, entry->size);
}

/* ---- By identity ---- */

static bool is_bound(const struct exchange *exchange)
{
    return exchange->identity < LASTING_IDENTITY;
}

/*
 * A short identity belongs to the client's session, whose record is looked up first: what was bound to an
 * earlier one is forgotten by that.
 */
struct cached_reply *dedup_find_known(struct exchange *exchange)
{
    struct engine *engine = exchange->engine;
    if (!has_identity(exchange) || may_run_again(exchange))
        return NULL;
    const uint64_t now = exchange_now(exchange);
    exchange->identified = true;
    exchange->key = digest_of_message(exchange, false);
    if (is_bound(exchange))
        exchange->client = clients_meet(&engine->clients, exchange->message->client, now);
    return reply_cache_find(&engine->duplicates, &exchange->key, now);
}

static struct cached_reply *enter(struct exchange *exchange)
{
    struct engine *engine = exchange->engine;
    struct client *owner = is_bound(exchange) ? exchange->client : NULL;
    if (is_bound(exchange) && !owner)
        return NULL;
    return reply_cache_enter(&engine->duplicates, &exchange->key, true, owner, exchange_now(exchange));
}

rpc_status dedup_promise(struct exchange *exchange)
{
    if (!exchange->identified)
        return RPC_OK;
    exchange->entry = enter(exchange);
    return exchange->entry ? RPC_OK
                           : call_fail(&exchange->call, RPC_OVERLOADED,
                                       "there is no room to keep the call from being carried out twice");
}

/* ---- By its place in the client's order ---- */

/* A message at QoS 0 is never sent again: whoever sends one has nothing left to repeat. */
static void end_guard(struct engine *engine, const struct host_message *message, uint64_t now)
{
    struct client *client = clients_meet_again(&engine->clients, message->client, now);
    if (client)
        clients_end_guard(&engine->clients, client);
}

/* Calls that were refused for the moment were not carried out: their repetition is a new attempt. */
static bool is_refusal(const char *status)
{
    return status == status_name(RPC_OVERLOADED) || status == status_name(RPC_RATE_LIMITED);
}

/* Likewise those that were still waiting when their time was over; but not those that had begun before. */
static bool was_not_carried_out(const struct exchange *exchange)
{
    return exchange->unbegun || (!exchange->begun && is_refusal(exchange->status));
}

/* Its reply may be known by its identity only, where that was how it was answered. */
static bool lacks_reply(const struct exchange *exchange, const struct cached_reply *entry)
{
    return entry->finished && !entry->reply && has_identity(exchange);
}

static struct cached_reply *find_in_order(struct exchange *exchange, bool sound, uint64_t now)
{
    struct engine *engine = exchange->engine;
    struct client *client = clients_meet(&engine->clients, exchange->message->client, now);
    if (!client)
        return NULL;
    exchange->guarded = sound && exchange->message->qos == 2 && !may_run_again(exchange);
    const struct digest key = digest_of_message(exchange, true);
    struct cached_reply *entry = clients_sent_again(&engine->clients, client, &key, now);
    if (!entry) {
        exchange->noted = clients_note(&engine->clients, client, &key, now);
        return NULL;
    }
    if (!exchange->guarded || lacks_reply(exchange, entry))
        return NULL;
    if (!entry->finished || entry->status)
        return entry;
    reply_cache_reopen(&engine->ordered, entry);
    exchange->noted = entry;
    return NULL;
}

struct cached_reply *dedup_find_sent_again(struct exchange *exchange, bool sound)
{
    struct engine *engine = exchange->engine;
    if (!engine->env.options.redelivery_guard)
        return NULL;
    if (exchange->message->qos > 0)
        return find_in_order(exchange, sound, exchange_now(exchange));
    if (engine->ordered.count)
        end_guard(engine, exchange->message, exchange_now(exchange));
    return NULL;
}

/* ---- The end of the first ---- */

static void free_waiters(struct cached_reply *entry)
{
    while (entry->waiting)
        free_waiter(entry->waiting);
}

static void answer_waiters(const struct exchange *exchange, struct cached_reply *entry)
{
    const struct waiter *waiter;
    DL_FOREACH((const struct waiter *)entry->waiting, waiter)
    {
        if (exchange->out.used)
            answer_send(exchange->engine, &waiter->to, exchange->status, exchange->out.out,
                        exchange->out.used);
    }
    free_waiters(entry);
}

/* The reply as it is to be remembered; to a notification there is none. */
static const char *reply_of(const struct exchange *exchange)
{
    return exchange->to.topic && exchange->out.used ? exchange->out.out : NULL;
}

/* Without a status it was not carried out. */
static void finish(const struct exchange *exchange, struct reply_cache *cache, struct cached_reply *entry,
                   const char *reply)
{
    const char *status = was_not_carried_out(exchange) ? NULL : exchange->status;
    answer_waiters(exchange, entry);
    reply_cache_finish(cache, entry, status, reply, reply ? exchange->out.used : 0);
}

/* In the client's order a call keeps its place, or those behind it would not be known any more. */
void dedup_finish(struct exchange *exchange)
{
    struct engine *engine = exchange->engine;
    const bool refused = was_not_carried_out(exchange);
    if (exchange->entry && refused)
        reply_cache_forget(&engine->duplicates, exchange->entry);
    if (exchange->entry)
        finish(exchange, &engine->duplicates, exchange->entry, reply_of(exchange));
    if (exchange->noted)
        finish(exchange, &engine->ordered, exchange->noted,
               !refused && exchange->guarded ? reply_of(exchange) : NULL);
}

void dedup_drop_waiting(struct engine *engine, const void *id)
{
    const struct connection *connection;
    while ((connection = connections_find(&engine->connections, id)) && connection->waiters)
        free_waiter(connection->waiters);
}

static void clear(struct reply_cache *cache)
{
    struct cached_reply *entry;
    DL_FOREACH(cache->unfinished, entry)
    {
        free_waiters(entry);
    }
    reply_cache_fini(cache);
}

void dedup_fini(struct engine *engine)
{
    clear(&engine->duplicates);
    clear(&engine->ordered);
    clients_fini(&engine->clients);
}

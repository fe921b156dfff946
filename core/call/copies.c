// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Copies that wait for a reply: see copies.h. */
#include "call/copies.h"

#include "call/answer.h"
#include "call/connections.h"
#include "call/engine_parts.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { COPIES_MAX = 16 }; /* that wait for one message; they are all of the same client */

struct waiter {
    struct destination to; /* what it points at is in `memory`, but for the Correlation Data, which is the
                              exchange's: a message with other Correlation Data is no copy */
    struct cached_reply *entry;
    struct waiter *prev, *next; /* among those that wait for the same message */
    struct connection *connection;
    struct waiter *connection_prev, *connection_next; /* among its connection's */
    struct holding held;
    struct trace trace; /* what to.trace points at */
    char memory[];
};

/* Counts the copy's bytes beside those of pending calls; no call is evicted for it. */
static struct waiter *copies_make(struct engine *engine, const struct destination *to)
{
    const size_t id = strlen(to->client.id) + 1;
    const size_t topic = strlen(to->topic) + 1;
    const char *state = to->trace && to->trace->state ? to->trace->state : "";
    const size_t size = sizeof(struct waiter) + id + topic + strlen(state) + 1;
    const struct digest client = accounts_key(&engine->accounts, &to->client);
    struct waiter *waiter =
        engine->slots.bytes + size <= (size_t)engine->env.options.max_pending_bytes ? malloc(size) : NULL;
    if (!waiter)
        return NULL;
    waiter->held = (struct holding){.client = NULL};
    waiter->to = *to;
    waiter->to.repeated = true;
    waiter->to.client.user = waiter->to.client.address = NULL;
    waiter->to.client.id = memcpy(waiter->memory, to->client.id, id);
    waiter->to.topic = memcpy(waiter->memory + id, to->topic, topic);
    waiter->to.correlation = NULL;
    if (to->trace) {
        waiter->trace = *to->trace;
        waiter->trace.state = *state ? strcpy(waiter->memory + id + topic, state) : NULL;
        waiter->to.trace = &waiter->trace;
    }
    if (slots_hold(&engine->slots, &waiter->held, &client, size))
        return waiter;
    free(waiter);
    return NULL;
}

static void copies_free(struct engine *engine, struct waiter *waiter)
{
    struct waiter *waiting = waiter->entry->waiting;
    DL_DELETE(waiting, waiter);
    waiter->entry->waiting = waiting;
    DL_DELETE2(waiter->connection->waiters, waiter, connection_prev, connection_next);
    connections_release(waiter->connection);
    slots_let_go(&engine->slots, &waiter->held);
    free(waiter);
}

void copies_add(struct engine *engine, struct cached_reply *entry, const struct destination *to)
{
    struct waiter *waiting = entry->waiting, *waiter;
    int count;
    DL_COUNT(waiting, waiter, count);
    waiter = to->topic && count < COPIES_MAX ? copies_make(engine, to) : NULL;
    struct connection *connection =
        waiter ? connections_get(&engine->connections, to->client.connection) : NULL;
    /* Without a record of the client it would not be seen when another connection takes its id. */
    if (!connection || !clients_meet(&engine->dedup.clients, &to->client, env_now(&engine->env))) {
        if (connection)
            connections_release(connection);
        if (waiter)
            slots_let_go(&engine->slots, &waiter->held);
        free(waiter);
        return;
    }
    waiter->entry = entry;
    waiter->connection = connection;
    DL_APPEND(waiting, waiter);
    entry->waiting = waiting;
    DL_APPEND2(connection->waiters, waiter, connection_prev, connection_next);
}

void copies_serve(const struct exchange *exchange, struct cached_reply *entry)
{
    const struct exchange_reply *reply = &exchange->reply;
    struct waiter *waiter;
    while ((waiter = entry->waiting)) {
        waiter->to.correlation = exchange->to.correlation;
        if (reply->out.used)
            answer_send(exchange->engine, &waiter->to, reply->code, reply->out.out, reply->out.used);
        copies_free(exchange->engine, waiter);
    }
}

static void copies_let_go_of(struct engine *engine, const struct cached_reply *entry)
{
    struct waiter *waiter;
    DL_FOREACH(entry ? entry->waiting : NULL, waiter)
    {
        slots_let_go(&engine->slots, &waiter->held);
    }
}

void copies_let_go(struct engine *engine, const struct exchange *exchange)
{
    copies_let_go_of(engine, exchange->dedup.entry);
    copies_let_go_of(engine, exchange->dedup.ordered);
}

void copies_connection_ended(struct engine *engine, const struct host_ending *ending)
{
    const struct connection *connection = connections_find(&engine->connections, ending->connection);
    struct waiter *waiter, *next;
    DL_FOREACH_SAFE2(connection ? connection->waiters : NULL, waiter, next, connection_next)
    {
        if (strcmp(waiter->to.client.id, ending->id) == 0)
            copies_free(engine, waiter);
    }
}

void copies_clear(struct engine *engine)
{
    struct connection *connection, *next;
    struct waiter *waiter, *after;
    HASH_ITER(hh, engine->connections, connection, next)
    {
        DL_FOREACH_SAFE2(connection->waiters, waiter, after, connection_next)
        {
            copies_free(engine, waiter);
        }
    }
}

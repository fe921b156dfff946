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
    struct destination to; /* what it points at is in `memory` */
    struct cached_reply *entry;
    struct waiter *prev, *next; /* among those that wait for the same message */
    struct connection *connection;
    struct waiter *connection_prev, *connection_next; /* among its connection's */
    char memory[];
};

static struct waiter *copies_make(const struct destination *to)
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

static void copies_free(struct waiter *waiter)
{
    struct waiter *waiting = waiter->entry->waiting;
    DL_DELETE(waiting, waiter);
    waiter->entry->waiting = waiting;
    DL_DELETE2(waiter->connection->waiters, waiter, connection_prev, connection_next);
    connections_release(waiter->connection);
    free(waiter);
}

void copies_add(struct engine *engine, struct cached_reply *entry, const struct destination *to)
{
    struct waiter *waiting = entry->waiting, *waiter;
    int count;
    DL_COUNT(waiting, waiter, count);
    waiter = to->topic && count < COPIES_MAX ? copies_make(to) : NULL;
    struct connection *connection =
        waiter ? connections_get(&engine->connections, to->client.connection) : NULL;
    /* Without a record of the client it would not be seen when another connection takes its id. */
    if (!connection || !clients_meet(&engine->dedup.clients, &to->client, env_now(&engine->env))) {
        if (connection)
            connections_release(connection);
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
        if (reply->out.used)
            answer_send(exchange->engine, &waiter->to, reply->code, reply->out.out, reply->out.used);
        copies_free(waiter);
    }
}

void copies_connection_ended(struct engine *engine, const void *id)
{
    const struct connection *connection;
    while ((connection = connections_find(&engine->connections, id)) && connection->waiters)
        copies_free(connection->waiters);
}

void copies_clear(struct engine *engine)
{
    struct connection *connection, *next;
    HASH_ITER(hh, engine->connections, connection, next)
    {
        copies_connection_ended(engine, connection->id);
    }
}

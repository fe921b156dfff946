// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What holds between two steps of an engine: see sound.h. */
#include "sound.h"

#include "call/connections.h"
#include "call/engine_parts.h"
#include "call/exchange.h"
#include "call/task.h"

#include <check.h>
#include <utlist.h>

/* ---- What dedup remembers ---- */

/* Returns how many entries belong to no client any more, and wait only until their messages are answered. */
static size_t sound_cache(const struct reply_cache *cache)
{
    const struct cached_reply *entry;
    size_t finished = 0;
    size_t unfinished = 0;
    size_t abandoned = 0;
    size_t bytes = 0;
    DL_FOREACH(cache->finished, entry)
    {
        finished++;
        bytes += entry->size;
        ck_assert(entry->finished && !entry->waiting);
    }
    DL_FOREACH(cache->unfinished, entry)
    {
        unfinished++;
        abandoned += entry->abandoned;
        ck_assert(!entry->abandoned || (!entry->holder && !entry->found_by_key));
    }
    ck_assert_uint_eq(cache->count, finished + unfinished);
    ck_assert_uint_eq(cache->bytes, bytes);
    ck_assert_uint_le(cache->count, cache->max_entries);
    ck_assert_uint_le(cache->bytes, cache->max_bytes);
    return abandoned;
}

static size_t sound_client(const struct client *client)
{
    const struct cached_reply *entry;
    size_t order = 0;
    bool is_cursor_there = !client->held.cursor;
    for (entry = client->held.order; entry; entry = entry->holder_next, order++) {
        ck_assert_ptr_eq(entry->holder, &client->held);
        is_cursor_there |= entry == client->held.cursor;
    }
    for (entry = client->held.bound; entry; entry = entry->holder_next)
        ck_assert(entry->holder == &client->held && entry->found_by_key);
    ck_assert(is_cursor_there);
    ck_assert_uint_eq(order, client->held.order_count);
    return order;
}

void sound_tables(const struct engine *engine)
{
    const struct client *client;
    size_t offline = 0;
    size_t orders = sound_cache(&engine->dedup.ordered);
    sound_cache(&engine->dedup.duplicates);
    for (client = engine->dedup.clients.by_id; client; client = client->hh.next) {
        offline += !client->online;
        orders += sound_client(client);
    }
    ck_assert_uint_eq(offline, engine->dedup.clients.gone_count);
    ck_assert_uint_eq(orders, engine->dedup.ordered.count);
    DL_FOREACH(engine->dedup.clients.gone, client)
    {
        offline--;
        ck_assert(!client->online);
    }
    ck_assert_uint_eq(offline, 0);
}

/* ---- What is pending ---- */

static void sound_pending(const struct engine *engine)
{
    struct task *task;
    size_t placed = 0;
    size_t without_call = 0;
    size_t set = 0;
    DL_FOREACH(engine->tasks->pending, task)
    {
        placed += task->slot.client != NULL;
        ck_assert(task->has_work || task->slot.client);
        ck_assert(task->call || !task->slot.client);
        if (task->call && !task->slot.client) /* its work has begun */
            ck_assert(!pool_withdraw(engine->tasks->pool, &task->job));
        ck_assert(task->state != TASK_EVICTED);
        without_call += !task->call;
        set += task->deadline.position != 0;
        ck_assert(!task->call || (task->call->task == task && task->call->exchange->pending.kept));
        ck_assert_int_eq(task->deadline.position != 0, task->call && !(task->state >= TASK_HANGING));
    }
    ck_assert_ptr_null(engine->tasks->evicted);
    ck_assert_uint_eq(placed, engine->slots.count);
    ck_assert_uint_eq(without_call, engine->tasks->background);
    ck_assert_uint_eq(set, engine->tasks->deadlines.count);
}

static void sound_exchanges(const struct engine *engine)
{
    const struct connection *connection;
    const struct exchange *exchange;
    const struct task *task;
    size_t holds = 0, bytes = 0;
    bool has_waiters = false;
    DL_FOREACH(engine->tasks->pending, task)
    {
        holds += task->call != NULL;
        if (!task->call)
            continue;
        ck_assert_ptr_nonnull(task->call->held.client);
        ck_assert_uint_le(task->call->held.bytes, call_bytes(task->call));
        bytes += task->call->held.bytes;
    }
    for (connection = engine->connections; connection; connection = connection->hh.next) {
        ck_assert(connection->exchanges || connection->waiters);
        DL_FOREACH((const struct exchange *)connection->exchanges, exchange)
        {
            ck_assert_ptr_eq(exchange->pending.connection, connection);
            ck_assert_uint_gt(exchange->pending.holds, 0);
            ck_assert_uint_le(exchange->pending.unknown, exchange->pending.holds);
            ck_assert_ptr_null(exchange->reply.out.out);
            ck_assert_ptr_null(exchange->payload.tree);
            ck_assert_uint_eq(exchange->pending.held.bytes, exchange_bytes(exchange));
            holds -= exchange->pending.holds;
            bytes += exchange->pending.held.bytes;
        }
        has_waiters |= connection->waiters != NULL;
    }
    ck_assert_uint_eq(holds, 0);
    ck_assert_int_eq(engine->slots.bytes > bytes, has_waiters);
    ck_assert_uint_ge(engine->slots.bytes, bytes);
}

void sound_tasks(const struct engine *engine)
{
    sound_pending(engine);
    sound_exchanges(engine);
}

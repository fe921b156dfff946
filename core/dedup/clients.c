// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Callers and their sessions: see clients.h. */
#include "dedup/clients.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    ORDER_MAX = 128,  /* calls of one client in flight at once: MQTT clients seldom allow themselves more */
    GONE_MAX = 10000, /* records that are kept for nothing but their token buckets */
    EXPIRE_AT_ONCE = 1000 /* records that are looked at in one go */
};

static const uint64_t soon = 30 * UINT64_C(1000000000); /* nanoseconds */

/* ---- The table ---- */

static struct digest key_of(const struct clients *clients, const char *id)
{
    return digest_of(clients->seed, &(const struct digest_part){id, strlen(id)}, 1);
}

static struct client *find(const struct clients *clients, const struct digest *key)
{
    struct client *client;
    HASH_FIND(hh, clients->by_id, key, sizeof *key, client);
    return client;
}

static void join_gone(struct clients *clients, struct client *client)
{
    DL_APPEND(clients->gone, client);
    clients->gone_count++;
}

static struct client *create(struct clients *clients, const struct digest *key)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->key = *key;
    HASH_ADD(hh, clients->by_id, key, sizeof client->key, client);
    if (!client->hh.tbl) {
        free(client);
        return NULL;
    }
    if (clients->no_endings)
        join_gone(clients, client);
    return client;
}

static void leave_gone(struct clients *clients, struct client *client)
{
    DL_DELETE(clients->gone, client);
    clients->gone_count--;
}

static void destroy(struct clients *clients, struct client *client)
{
    if (!client->online || clients->no_endings)
        leave_gone(clients, client);
    HASH_DEL(clients->by_id, client);
    free(client);
}

/* ---- What a client's session holds ---- */

static void forget_bound(struct clients *clients, struct client *client)
{
    while (client->bound)
        reply_cache_forget(clients->duplicates, client->bound);
}

/* Forgets the order's calls that arrived before a moment. */
static void forget_order(struct clients *clients, struct client *client, uint64_t before)
{
    while (client->order && client->order->time < before)
        reply_cache_forget(clients->ordered, client->order);
}

static void end_session(struct clients *clients, struct client *client)
{
    client->session = CLIENTS_SESSION_OVER;
    forget_bound(clients, client);
    forget_order(clients, client, UINT64_MAX);
}

void clients_hold(struct client *client, struct cached_reply *entry)
{
    if (entry->found_by_key) {
        DL_APPEND2(client->bound, entry, owner_prev, owner_next);
        return;
    }
    DL_APPEND2(client->order, entry, owner_prev, owner_next);
    client->order_count++;
}

void clients_release(struct client *client, struct cached_reply *entry)
{
    if (entry->found_by_key) {
        DL_DELETE2(client->bound, entry, owner_prev, owner_next);
        return;
    }
    if (client->cursor == entry)
        client->cursor = entry->owner_next;
    DL_DELETE2(client->order, entry, owner_prev, owner_next);
    client->order_count--;
}

/* ---- Connections ---- */

static bool is_session_taken_up(const struct client *client, const struct host_client *connected)
{
    if (connected->clean_start || (client->version < 5 && client->clean_start))
        return false;
    return client->online || client->session == CLIENTS_SESSION_KEPT;
}

/*
 * Where the host does not tell a connection that was cut from one that was taken down, coming back soon has
 * to do: whoever reports every minute, and disconnects in between, must not be taken for one that repeats
 * itself.
 */
static bool was_cut(const struct client *client, uint64_t now)
{
    if (client->online)
        return true;
    return !client->in_order && (!client->unsure || now - client->ended <= soon);
}

static uint64_t guarded_since(const struct clients *clients, uint64_t ended)
{
    return ended > clients->redelivery_guard ? ended - clients->redelivery_guard : 0;
}

/*
 * What had not come again yet when a connection that did not last long was cut may still come, however old it
 * is. What has come again keeps its age: it would be known for ever otherwise, and so would every new call
 * that equals it.
 */
static void renew_rest(const struct client *client, uint64_t ended)
{
    if (ended - client->begun > soon)
        return;
    for (struct cached_reply *entry = client->cursor; entry; entry = entry->owner_next)
        entry->time = ended;
}

/*
 * Another connection has begun. Where the end of the last one has not been told yet, this one is taking over
 * from it: that end was now, and not in order.
 */
static void begin_connection(struct clients *clients, struct client *client,
                             const struct host_client *connected, uint64_t now)
{
    const bool taken_up = is_session_taken_up(client, connected);
    const uint64_t ended = client->online ? now : client->ended;
    if (!taken_up)
        forget_bound(clients, client);
    if (!client->online && !clients->no_endings)
        leave_gone(clients, client);
    renew_rest(client, ended);
    forget_order(clients, client,
                 taken_up && was_cut(client, now) ? guarded_since(clients, ended) : UINT64_MAX);
    client->cursor = client->order;
    client->begun = now;
}

static void connect(struct client *client, const struct host_client *connected)
{
    client->connection = connected->connection;
    client->version = connected->version;
    client->clean_start = connected->clean_start;
    client->online = true;
}

/* client is the record that there is already. */
static struct client *meet_again(struct clients *clients, struct client *client,
                                 const struct host_client *connected, uint64_t now)
{
    if (client->online && client->connection == connected->connection)
        return client;
    begin_connection(clients, client, connected, now);
    connect(client, connected);
    return client;
}

struct client *clients_meet(struct clients *clients, const struct host_client *connected, uint64_t now)
{
    const struct digest key = key_of(clients, connected->id);
    struct client *client = find(clients, &key);
    if (client)
        return meet_again(clients, client, connected, now);
    client = create(clients, &key);
    if (client)
        connect(client, connected);
    return client;
}

struct client *clients_meet_again(struct clients *clients, const struct host_client *connected, uint64_t now)
{
    const struct digest key = key_of(clients, connected->id);
    struct client *client = find(clients, &key);
    return client ? meet_again(clients, client, connected, now) : NULL;
}

/* ---- Sessions that replies go to ---- */

bool clients_has_other(const struct clients *clients, const char *id, const void *connection)
{
    const struct digest key = key_of(clients, id);
    const struct client *client = find(clients, &key);
    return client && client->online && client->connection != connection;
}

/* A client without a record gets one that is offline. */
static struct client *find_or_create_gone(struct clients *clients, const char *id)
{
    const struct digest key = key_of(clients, id);
    struct client *client = find(clients, &key);
    if (client)
        return client;
    client = create(clients, &key);
    if (client && !clients->no_endings)
        join_gone(clients, client);
    return client;
}

bool clients_may_queue(struct clients *clients, const char *id, uint64_t now)
{
    enum { RATE = 1, BURST = 100 };
    struct client *client = find_or_create_gone(clients, id);
    return client && bucket_take(&client->queued, now, RATE, BURST, 1);
}

/* ---- The ends of connections ---- */

/*
 * What a host means that does not know. Of an MQTT 3 client the session is what it asked for. A client of
 * MQTT 5 that had not asked for a new session, and is marked now as if it had, was taken over; one that had
 * asked for it may have been, and is believed to.
 */
static enum clients_session judge(const struct client *client, const struct host_ending *ending)
{
    if (client->version < 5)
        return client->clean_start ? CLIENTS_SESSION_OVER : CLIENTS_SESSION_KEPT;
    return ending->clean_start ? CLIENTS_SESSION_KEPT : CLIENTS_SESSION_WAITS;
}

static enum clients_session session_after(const struct client *client, const struct host_ending *ending)
{
    switch (ending->kind) {
    case HOST_END_SESSION_OVER:
        return CLIENTS_SESSION_OVER;
    case HOST_END_SESSION_WAITS:
        return CLIENTS_SESSION_WAITS;
    case HOST_END_TAKEN_OVER:
        return CLIENTS_SESSION_KEPT;
    case HOST_END_UNKNOWN:
        break;
    }
    return judge(client, ending);
}

/* Of a connection whose end was told before: whether its session has been taken up meanwhile. */
static bool tells_of_taking_up(const struct host_ending *ending)
{
    return ending->kind == HOST_END_TAKEN_OVER || (ending->kind == HOST_END_UNKNOWN && ending->clean_start);
}

/* Whether a connection that never called leaves behind the session that it took up, if it did. */
static bool leaves_session(const struct client *client, const struct host_ending *ending)
{
    return client->session == CLIENTS_SESSION_KEPT && ending->kind != HOST_END_SESSION_OVER &&
           (ending->kind == HOST_END_TAKEN_OVER || !ending->clean_start);
}

/*
 * Another connection under the same id, which never called, has come and gone; its address may be that of
 * the last one. Whether its session is taken up will be told of it.
 */
static void end_unseen(struct clients *clients, struct client *client, const struct host_ending *ending)
{
    client->connection = ending->connection;
    if (!leaves_session(client, ending))
        end_session(clients, client);
    else if (ending->kind == HOST_END_SESSION_WAITS ||
             (ending->kind == HOST_END_UNKNOWN && client->version >= 5 && !ending->clean_start))
        client->session = CLIENTS_SESSION_WAITS;
}

static void go_offline(struct clients *clients, struct client *client, const struct host_ending *ending,
                       uint64_t now)
{
    client->online = false;
    client->ended = now;
    client->in_order = ending->in_order;
    client->unsure = ending->kind == HOST_END_UNKNOWN;
    client->session = session_after(client, ending);
    if (!clients->no_endings)
        join_gone(clients, client);
    if (client->session == CLIENTS_SESSION_OVER)
        end_session(clients, client);
}

void clients_ended(struct clients *clients, const struct host_ending *ending, uint64_t now)
{
    const struct digest key = key_of(clients, ending->id);
    struct client *client = find(clients, &key);
    if (!client)
        return;
    const bool is_same = client->connection == ending->connection;
    if (client->online && is_same)
        go_offline(clients, client, ending, now);
    else if (!client->online && is_same && tells_of_taking_up(ending))
        client->session = CLIENTS_SESSION_KEPT;
    else if (!client->online)
        end_unseen(clients, client, ending);
}

/* ---- The redelivery guard ---- */

/* The cursor moves on as what it stands at is forgotten. */
static void forget_until(struct clients *clients, struct client *client, const struct cached_reply *end)
{
    while (client->cursor != end)
        reply_cache_forget(clients->ordered, client->cursor);
}

void clients_end_guard(struct clients *clients, struct client *client)
{
    forget_until(clients, client, NULL);
}

static bool equal(const struct digest *one, const struct digest *other)
{
    return one->halves[0] == other->halves[0] && one->halves[1] == other->halves[1];
}

/*
 * What comes again comes in order: what it leaves out had been acknowledged. What has come stays in its
 * place, before the rest, in case this connection is cut, too.
 */
struct cached_reply *clients_sent_again(struct clients *clients, struct client *client,
                                        const struct digest *key, uint64_t now)
{
    struct cached_reply *entry = now - client->begun <= soon ? client->cursor : NULL;
    while (entry && !equal(&entry->key, key))
        entry = entry->owner_next;
    forget_until(clients, client, entry);
    if (!entry)
        return NULL;
    client->cursor = entry->owner_next;
    return entry;
}

struct cached_reply *clients_note(struct clients *clients, struct client *client, const struct digest *key,
                                  uint64_t now)
{
    while (client->order && client->order->finished &&
           (client->order_count >= ORDER_MAX || now - client->order->time > clients->redelivery_guard))
        reply_cache_forget(clients->ordered, client->order);
    return client->order_count < ORDER_MAX ? reply_cache_enter(clients->ordered, key, false, client, now)
                                           : NULL;
}

/* ---- The end ---- */

static bool matters(const struct client *client, uint64_t now)
{
    return client->bound || client->order || client->calls.full_at > now || client->refusals.full_at > now ||
           client->queued.full_at > now;
}

void clients_expire(struct clients *clients, uint64_t now)
{
    for (int i = 0; i < EXPIRE_AT_ONCE && clients->gone; i++) {
        struct client *client = clients->gone;
        const bool is_one_too_many = clients->gone_count > GONE_MAX && !client->bound && !client->order;
        if (!matters(client, now) || is_one_too_many) {
            destroy(clients, client);
            continue;
        }
        DL_DELETE(clients->gone, client);
        DL_APPEND(clients->gone, client);
    }
}

void clients_fini(struct clients *clients)
{
    struct client *client, *next;
    HASH_ITER(hh, clients->by_id, client, next)
    {
        destroy(clients, client);
    }
}

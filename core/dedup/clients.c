// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Clients, their connections and sessions: see clients.h. A key is a digest: any part of it is a hash. */
#define HASH_FUNCTION(key, length, hash) \
    (hash) = (unsigned)((const struct digest *)(const void *)(key))->halves[0]

#include "dedup/clients.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    ORDER_MAX = 128,  /* calls of one client in flight at once: MQTT clients seldom allow themselves more */
    GONE_MAX = 10000, /* records of clients that are gone beyond which none is made for a bucket alone */
    EXPIRE_AT_ONCE = 1000 /* records that are looked at in one go */
};

static const uint64_t soon = 30 * UINT64_C(1000000000); /* nanoseconds */

/* ---- The table ---- */

static void clients_join_gone(struct clients *clients, struct client *client)
{
    DL_APPEND(clients->gone, client);
    clients->gone_count++;
}

static void clients_leave_gone(struct clients *clients, struct client *client)
{
    DL_DELETE(clients->gone, client);
    clients->gone_count--;
}

/* What is out of line here is not needed for the client of the last message. */
__attribute__((noinline)) static struct client *clients_look_up(const struct clients *clients, const char *id,
                                                                struct digest *key)
{
    struct client *client;
    *key = digest_of(clients->seed, &(const struct digest_part){id, strlen(id)}, 1);
    HASH_FIND(hh, clients->by_id, key, sizeof *key, client);
    return client;
}

/* Writes the key of an id that is not the one of the last message, too. */
static struct client *clients_find(const struct clients *clients, const char *id, struct digest *key)
{
    const bool is_last = clients->last && strcmp(clients->last_id, id) == 0;
    return is_last ? clients->last : clients_look_up(clients, id, key);
}

__attribute__((noinline)) static struct client *clients_create(struct clients *clients, struct digest key)
{
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->key = key;
    HASH_ADD(hh, clients->by_id, key, sizeof client->key, client);
    if (!client->hh.tbl) {
        free(client);
        return NULL;
    }
    clients_join_gone(clients, client);
    return client;
}

/* A client without a record gets one that is offline. */
static struct client *clients_find_or_create(struct clients *clients, const char *id)
{
    struct digest key;
    struct client *client = clients_find(clients, id, &key);
    return client ? client : clients_create(clients, key);
}

static void clients_destroy(struct clients *clients, struct client *client)
{
    if (!client->online || clients->no_endings)
        clients_leave_gone(clients, client);
    if (clients->last == client)
        clients->last = NULL;
    HASH_DEL(clients->by_id, client);
    free(client);
}

/* ---- What a client's session holds ---- */

static void clients_forget_bound(struct clients *clients, struct client *client)
{
    while (client->held.bound)
        reply_cache_forget(clients->duplicates, client->held.bound);
}

/* Forgets the order's calls that arrived before a moment. */
static void clients_forget_order(struct clients *clients, struct client *client, uint64_t before)
{
    while (client->held.order && client->held.order->time < before)
        reply_cache_forget(clients->ordered, client->held.order);
}

static void clients_end_session(struct clients *clients, struct client *client)
{
    client->session = CLIENTS_SESSION_OVER;
    clients_forget_bound(clients, client);
    clients_forget_order(clients, client, UINT64_MAX);
}

/* ---- Connections ---- */

/*
 * Where the host does not tell a connection that was cut from one that was taken down, coming back soon has
 * to do: a client that reports every minute, and disconnects in between, must not be taken for one that sends
 * its messages again.
 */
static bool clients_was_cut(const struct client *client, uint64_t now)
{
    if (client->online)
        return true;
    return !client->in_order && (!client->unsure || now - client->ended <= soon);
}

/*
 * What had not come again yet when a connection that did not last long was cut may still come, however old it
 * is. What has come again keeps its age: it would be known for ever otherwise, and so would every new call
 * that equals it.
 */
static void clients_renew_rest(const struct client *client, uint64_t ended)
{
    if (ended - client->begun > soon)
        return;
    for (struct cached_reply *entry = client->held.cursor; entry; entry = entry->holder_next)
        entry->time = ended;
}

/*
 * Another connection has begun. Where the end of the last one has not been told yet, this one is taking over
 * from it: that end was now, and not in order.
 */
__attribute__((noinline)) static void clients_begin_connection(struct clients *clients, struct client *client,
                                                               const struct host_client *connected,
                                                               uint64_t now)
{
    const bool is_new = connected->clean_start || (client->version < 5 && client->clean_start);
    const bool is_resumed = !is_new && (client->online || client->session == CLIENTS_SESSION_KEPT);
    const uint64_t ended = client->online ? now : client->ended;
    uint64_t guarded_since = UINT64_MAX;
    if (is_resumed && clients_was_cut(client, now))
        guarded_since = ended > clients->redelivery_guard ? ended - clients->redelivery_guard : 0;
    if (!is_resumed)
        clients_forget_bound(clients, client);
    if (!client->online && !clients->no_endings)
        clients_leave_gone(clients, client);
    clients_renew_rest(client, ended);
    clients_forget_order(clients, client, guarded_since);
    client->held.cursor = client->held.order;
    client->begun = now;
    client->connection = connected->connection;
    client->version = connected->version;
    client->clean_start = connected->clean_start;
    client->online = true;
}

/* client is the client's record, or NULL. */
static struct client *clients_meet_record(struct clients *clients, struct client *client,
                                          const struct host_client *connected, uint64_t now)
{
    if (client && !(client->online && client->connection == connected->connection))
        clients_begin_connection(clients, client, connected, now);
    if (client != clients->last) {
        const size_t size = strlen(connected->id) + 1;
        const bool is_short = size <= sizeof clients->last_id;
        clients->last = is_short ? client : NULL;
        memcpy(clients->last_id, connected->id, is_short ? size : 0);
    }
    return client;
}

struct client *clients_meet(struct clients *clients, const struct host_client *connected, uint64_t now)
{
    return clients_meet_record(clients, clients_find_or_create(clients, connected->id), connected, now);
}

struct client *clients_meet_again(struct clients *clients, const struct host_client *connected, uint64_t now)
{
    struct digest key;
    return clients_meet_record(clients, clients_find(clients, connected->id, &key), connected, now);
}

const void *clients_find_former(const struct clients *clients, const struct host_client *seen)
{
    struct digest key;
    const struct client *client = clients_find(clients, seen->id, &key);
    const bool is_current = client && client->online && client->connection == seen->connection;
    return client && !is_current ? client->connection : NULL;
}

/* ---- Sessions that replies go to ---- */

bool clients_take_queued(struct clients *clients, const char *id, uint64_t now)
{
    enum { RATE = 1, BURST = 100 };
    struct digest key;
    struct client *client = clients_find(clients, id, &key);
    if (!client && clients->gone_count < GONE_MAX)
        client = clients_find_or_create(clients, id);
    return client && bucket_take(&client->queued, now, RATE, BURST, 1);
}

/* ---- The ends of connections ---- */

/*
 * Where the host does not know: the session of an MQTT 3 client is what it asked for. A client of MQTT 5 that
 * had not asked for a new session, and is marked now as if it had, was taken over; one that had asked for it
 * may have been, and is believed to.
 */
static enum clients_session clients_session_after(const struct client *client,
                                                  const struct host_ending *ending)
{
    static const enum clients_session sessions[] = {
        [HOST_END_SESSION_OVER] = CLIENTS_SESSION_OVER,
        [HOST_END_SESSION_WAITS] = CLIENTS_SESSION_WAITS,
        [HOST_END_TAKEN_OVER] = CLIENTS_SESSION_KEPT,
    };
    if (ending->kind != HOST_END_UNKNOWN)
        return sessions[ending->kind];
    if (client->version < 5)
        return client->clean_start ? CLIENTS_SESSION_OVER : CLIENTS_SESSION_KEPT;
    return ending->clean_start ? CLIENTS_SESSION_KEPT : CLIENTS_SESSION_WAITS;
}

/*
 * Another connection under the same id, which never called, has come and gone; its address may be that of
 * the last one. It leaves behind the session that it resumed, if it did; whether that is resumed once more
 * the host may tell later.
 */
static void clients_end_unseen(struct clients *clients, struct client *client,
                               const struct host_ending *ending)
{
    const bool is_kept = client->session == CLIENTS_SESSION_KEPT && ending->kind != HOST_END_SESSION_OVER &&
                         (ending->kind == HOST_END_TAKEN_OVER || !ending->clean_start);
    client->connection = ending->connection;
    if (!is_kept)
        clients_end_session(clients, client);
    else if (ending->kind == HOST_END_SESSION_WAITS ||
             (ending->kind == HOST_END_UNKNOWN && client->version >= 5))
        client->session = CLIENTS_SESSION_WAITS;
}

static void clients_go_offline(struct clients *clients, struct client *client,
                               const struct host_ending *ending, uint64_t now)
{
    client->online = false;
    client->ended = now;
    client->in_order = ending->in_order;
    client->unsure = ending->kind == HOST_END_UNKNOWN;
    client->session = clients_session_after(client, ending);
    if (!clients->no_endings)
        clients_join_gone(clients, client);
    if (client->session == CLIENTS_SESSION_OVER)
        clients_end_session(clients, client);
}

/* A second end of the same connection tells that its session has been resumed. */
void clients_ended(struct clients *clients, const struct host_ending *ending, uint64_t now)
{
    struct digest key;
    struct client *client = clients_find(clients, ending->id, &key);
    if (!client)
        return;
    const bool is_same = client->connection == ending->connection;
    const bool is_resumed =
        ending->kind == HOST_END_TAKEN_OVER || (ending->kind == HOST_END_UNKNOWN && ending->clean_start);
    if (client->online && is_same)
        clients_go_offline(clients, client, ending, now);
    else if (!client->online && is_same && is_resumed)
        client->session = CLIENTS_SESSION_KEPT;
    else if (!client->online)
        clients_end_unseen(clients, client, ending);
}

/* ---- The redelivery guard ---- */

/* The cursor moves on as what it stands at is forgotten. */
static void clients_forget_until(struct clients *clients, struct client *client,
                                 const struct cached_reply *end)
{
    while (client->held.cursor != end)
        reply_cache_forget(clients->ordered, client->held.cursor);
}

void clients_end_guard(struct clients *clients, struct client *client)
{
    clients_forget_until(clients, client, NULL);
}

void clients_end_all_guards(struct clients *clients)
{
    for (struct client *client = clients->by_id; client; client = client->hh.next)
        clients_forget_order(clients, client, UINT64_MAX);
}

/*
 * What comes again comes in order: what it leaves out had been acknowledged. What has come stays in its
 * place, before the rest, in case this connection is cut, too.
 */
struct cached_reply *clients_find_redelivery(struct clients *clients, struct client *client,
                                             const struct digest *key, uint64_t now)
{
    struct cached_reply *entry = now - client->begun <= soon ? client->held.cursor : NULL;
    while (entry && memcmp(&entry->key, key, sizeof *key) != 0)
        entry = entry->holder_next;
    clients_forget_until(clients, client, entry);
    if (!entry)
        return NULL;
    client->held.cursor = entry->holder_next;
    return entry;
}

struct cached_reply *clients_note(struct clients *clients, struct client *client, const struct digest *key,
                                  uint64_t now)
{
    struct cached_holder *held = &client->held;
    while (held->order && held->order->finished &&
           (held->order_count >= ORDER_MAX || now - held->order->time > clients->redelivery_guard))
        reply_cache_forget(clients->ordered, held->order);
    return held->order_count < ORDER_MAX ? reply_cache_enter(clients->ordered, key, false, held, now) : NULL;
}

/* ---- The end ---- */

static bool clients_matters(const struct client *client, uint64_t now)
{
    return client->held.bound || client->held.order || client->queued.full_at > now;
}

void clients_expire(struct clients *clients, uint64_t now)
{
    for (int i = 0; i < EXPIRE_AT_ONCE && clients->gone; i++) {
        struct client *client = clients->gone;
        if (clients_matters(client, now)) {
            DL_DELETE(clients->gone, client);
            DL_APPEND(clients->gone, client);
        } else {
            clients_destroy(clients, client);
        }
    }
}

void clients_fini(struct clients *clients)
{
    struct client *client, *next;
    HASH_ITER(hh, clients->by_id, client, next)
    {
        clients_destroy(clients, client);
    }
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Duplicates and redeliveries: see dedup.h. */
#include "dedup/dedup.h"

#include <string.h>

/* Bytes. A shorter identity may be a counter that starts again with each connection. */
enum { LASTING_IDENTITY = 16 };

/* What is known by its place in an order is forgotten by its client, or to make room, but not by age. */
void dedup_reload(struct dedup *dedup, const struct engine_options *options)
{
    struct reply_cache *const tables[] = {&dedup->duplicates, &dedup->ordered};
    for (int i = 0; i < 2; i++) {
        tables[i]->max_entries = (size_t)options->duplicate_entries;
        tables[i]->max_bytes = (size_t)options->duplicate_bytes;
    }
    dedup->duplicates.window = env_nanoseconds(options->duplicate_window);
    dedup->ordered.window = UINT64_MAX;
    dedup->clients.redelivery_guard = env_nanoseconds(options->redelivery_guard);
    if (!options->redelivery_guard)
        clients_end_all_guards(&dedup->clients);
}

void dedup_init(struct dedup *dedup, const struct env *env)
{
    dedup->seed = digest_seed();
    dedup->knows_caller = env->host.knows_caller;
    dedup->clients = (struct clients){.seed = dedup->seed,
                                      .no_endings = !env->host.tells_endings,
                                      .duplicates = &dedup->duplicates,
                                      .ordered = &dedup->ordered};
    dedup_reload(dedup, &env->options);
}

void dedup_fini(struct dedup *dedup)
{
    reply_cache_fini(&dedup->duplicates);
    reply_cache_fini(&dedup->ordered);
    clients_fini(&dedup->clients);
}

static struct digest_part dedup_text_part(const char *text)
{
    return text ? (struct digest_part){text, strlen(text)} : (struct digest_part){NULL, 0};
}

/*
 * The user is a part of it: another user may take the client id over, and must not get the reply. An order is
 * that of one client, in which a redelivery is the same in all other respects; a duplicate need not be. A
 * caller that the host does not know is known by its Response Topic.
 */
static struct digest dedup_digest(const struct dedup *dedup, const struct host_message *message,
                                  bool in_order)
{
    const bool has_response_topic = in_order || !dedup->knows_caller;
    const struct digest_part parts[] = {
        dedup_text_part(message->client->id),
        dedup_text_part(message->client->user),
        dedup_text_part(message->topic),
        {message->correlation, message->correlation_size},
        {message->payload, message->size},
        dedup_text_part(has_response_topic ? message->response_topic : NULL),
    };
    enum { ALL = sizeof parts / sizeof parts[0] };
    _Static_assert((int)ALL <= (int)DIGEST_PARTS, "a digest has so many parts");
    return in_order ? digest_of(dedup->seed + (uint64_t)message->qos, parts + 1, ALL - 1)
                    : digest_of(dedup->seed, parts, ALL);
}

static bool dedup_has_identity(const struct dedup *dedup, const struct dedup_message *message)
{
    return dedup->duplicates.window && message->identity > 0;
}

/* ---- By identity ---- */

/*
 * A short identity belongs to the client's session, whose record is looked up first: the lookup forgets the
 * entries of an earlier session.
 */
struct cached_reply *dedup_find_duplicate(struct dedup *dedup, struct dedup_record *record,
                                          const struct dedup_message *message)
{
    if (!dedup_has_identity(dedup, message))
        return NULL;
    record->identified = true;
    record->bound = message->identity < LASTING_IDENTITY;
    record->key = dedup_digest(dedup, message->message, false);
    if (record->bound && !record->client)
        record->client = clients_meet(&dedup->clients, message->message->client, message->now);
    return reply_cache_find(&dedup->duplicates, &record->key, message->now);
}

bool dedup_enter(struct dedup *dedup, struct dedup_record *record, uint64_t now)
{
    if (!record->identified)
        return true;
    if (record->bound && !record->client)
        return false;
    record->entry = reply_cache_enter(&dedup->duplicates, &record->key, true,
                                      record->bound ? &record->client->held : NULL, now);
    return record->entry != NULL;
}

/* ---- By the place in the client's order ---- */

static struct cached_reply *dedup_find_in_order(struct dedup *dedup, struct dedup_record *record,
                                                const struct dedup_message *message)
{
    struct client *client = clients_meet(&dedup->clients, message->message->client, message->now);
    record->client = client;
    if (!client)
        return NULL;
    record->guarded = message->is_valid && message->message->qos == 2 && !message->may_run_twice;
    const struct digest key = dedup_digest(dedup, message->message, true);
    struct cached_reply *entry = clients_find_redelivery(&dedup->clients, client, &key, message->now);
    if (!entry) {
        record->ordered = clients_note(&dedup->clients, client, &key, message->now);
        return NULL;
    }
    /* The reply may be known by the identity only, where that was how the message was answered. */
    const bool lacks_reply = entry->finished && !entry->reply && dedup_has_identity(dedup, message);
    if (!record->guarded || lacks_reply)
        return NULL;
    if (!entry->finished || entry->status)
        return entry;
    reply_cache_reopen(&dedup->ordered, entry); /* it was not run then */
    record->ordered = entry;
    return NULL;
}

/* A client that sends at QoS 0, which is never delivered twice, has nothing left to send again. */
struct cached_reply *dedup_find_redelivery(struct dedup *dedup, struct dedup_record *record,
                                           const struct dedup_message *message)
{
    if (!dedup->clients.redelivery_guard)
        return NULL;
    if (message->message->qos > 0)
        return dedup_find_in_order(dedup, record, message);
    struct client *client = dedup->ordered.count
                                ? clients_meet_again(&dedup->clients, message->message->client, message->now)
                                : NULL;
    if (client)
        clients_end_guard(&dedup->clients, client);
    return NULL;
}

/* ---- The end ---- */

/* A message that was not run keeps its place in the order, or those behind it would not be known any more. */
void dedup_finish(struct dedup *dedup, const struct dedup_record *record, const struct dedup_end *end)
{
    const char *status = end->ran ? end->status : NULL;
    if (record->entry && !end->ran)
        reply_cache_forget(&dedup->duplicates, record->entry);
    if (record->entry)
        reply_cache_finish(&dedup->duplicates, record->entry, status, end->reply, end->reply ? end->size : 0);
    const char *reply = end->ran && record->guarded ? end->reply : NULL;
    if (record->ordered)
        reply_cache_finish(&dedup->ordered, record->ordered, status, reply, reply ? end->size : 0);
}

void dedup_connection_ended(struct dedup *dedup, const struct host_ending *ending, uint64_t now)
{
    clients_ended(&dedup->clients, ending, now);
}

void dedup_expire(struct dedup *dedup, uint64_t now)
{
    reply_cache_expire(&dedup->duplicates, now);
    reply_cache_expire(&dedup->ordered, now);
    clients_expire(&dedup->clients, now);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Calls that are remembered: see recall.h. */
#include "dedup/reply_cache.h"

#include "dedup/clients.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { EXPIRE_AT_ONCE = 1000 };

static bool is_too_old(const struct recalls *recalls, const struct recall *recall, uint64_t now)
{
    return recall->finished && now - recall->time > recalls->window;
}

struct recall *recalls_find(struct recalls *recalls, const struct digest *key, uint64_t now)
{
    struct recall *recall;
    HASH_FIND(hh, recalls->by_key, key, sizeof *key, recall);
    if (!recall || !is_too_old(recalls, recall, now))
        return recall;
    recalls_forget(recalls, recall);
    return NULL;
}

static void detach(struct recalls *recalls, struct recall *recall)
{
    if (recall->owner)
        clients_release(recall->owner, recall);
    if (recall->found_by_key)
        HASH_DEL(recalls->by_key, recall);
    recall->owner = NULL;
    recall->found_by_key = false;
}

static void drop_reply(struct recalls *recalls, struct recall *recall)
{
    recalls->bytes -= recall->size;
    if (recall->reply != recall->small)
        free(recall->reply);
    recall->reply = NULL;
    recall->size = 0;
}

static void erase(struct recalls *recalls, struct recall **list, struct recall *recall)
{
    detach(recalls, recall);
    DL_DELETE(*list, recall);
    recalls->count--;
    drop_reply(recalls, recall);
    free(recall);
}

void recalls_forget(struct recalls *recalls, struct recall *recall)
{
    if (recall->finished) {
        erase(recalls, &recalls->finished, recall);
        return;
    }
    detach(recalls, recall);
    recall->abandoned = true;
}

static bool make_room(struct recalls *recalls)
{
    if (recalls->count >= recalls->most && recalls->finished)
        recalls_forget(recalls, recalls->finished);
    return recalls->count < recalls->most;
}

static bool index_by_key(struct recalls *recalls, struct recall *recall)
{
    HASH_ADD(hh, recalls->by_key, key, sizeof recall->key, recall);
    return recall->hh.tbl != NULL;
}

struct recall *recalls_enter(struct recalls *recalls, const struct digest *key, bool by_key,
                             struct client *owner, uint64_t now)
{
    struct recall *recall = make_room(recalls) ? malloc(sizeof *recall) : NULL;
    if (!recall)
        return NULL;
    memset(recall, 0, offsetof(struct recall, small));
    recall->key = *key;
    recall->time = now;
    if (by_key && !index_by_key(recalls, recall)) {
        free(recall);
        return NULL;
    }
    recall->found_by_key = by_key;
    recall->owner = owner;
    DL_APPEND(recalls->unfinished, recall);
    recalls->count++;
    if (owner)
        clients_hold(owner, recall);
    return recall;
}

static bool keep_reply(struct recalls *recalls, struct recall *recall, const char *reply, size_t size)
{
    if (size > recalls->most_bytes)
        return false;
    while (recalls->bytes + size > recalls->most_bytes && recalls->finished)
        recalls_forget(recalls, recalls->finished);
    if (recalls->bytes + size > recalls->most_bytes)
        return false;
    recall->reply = size <= RECALL_SMALL ? recall->small : malloc(size);
    if (!recall->reply)
        return false;
    memcpy(recall->reply, reply, size);
    recall->size = size;
    recalls->bytes += size;
    return true;
}

/*
 * In a full table each call makes the oldest entry go, which nobody has looked at for thousands of calls: so
 * it and what is linked to it come from main memory, one after the other. They are sent for one call ahead.
 */
static void fetch_ahead(const struct recalls *recalls)
{
    enum { LINE = 64 };
    const struct recall *oldest = recalls->finished;
    if (recalls->count < recalls->most || !oldest->next)
        return;
    for (size_t i = 0; i < sizeof *oldest; i += LINE)
        __builtin_prefetch((const char *)oldest->next + i, 1);
    if (oldest->owner_next)
        __builtin_prefetch(&oldest->owner_next->owner_prev, 1);
    if (oldest->hh.hh_prev)
        __builtin_prefetch(oldest->hh.hh_prev, 1);
    if (oldest->found_by_key)
        __builtin_prefetch(&oldest->hh.tbl->buckets[oldest->hh.hashv & (oldest->hh.tbl->num_buckets - 1)], 1);
}

bool recalls_finish(struct recalls *recalls, struct recall *recall, const char *status, const char *reply,
                    size_t size)
{
    const bool kept = !reply || keep_reply(recalls, recall, reply, size);
    if (recall->abandoned || (!kept && recall->found_by_key)) {
        erase(recalls, &recalls->unfinished, recall);
        return false;
    }
    DL_DELETE(recalls->unfinished, recall);
    recall->finished = true;
    recall->status = status;
    DL_APPEND(recalls->finished, recall);
    fetch_ahead(recalls);
    return true;
}

void recalls_reopen(struct recalls *recalls, struct recall *recall)
{
    drop_reply(recalls, recall);
    recall->finished = false;
    DL_DELETE(recalls->finished, recall);
    DL_APPEND(recalls->unfinished, recall);
}

void recalls_expire(struct recalls *recalls, uint64_t now)
{
    for (int i = 0; i < EXPIRE_AT_ONCE; i++) {
        if (!recalls->finished || !is_too_old(recalls, recalls->finished, now))
            return;
        recalls_forget(recalls, recalls->finished);
    }
}

void recalls_clear(struct recalls *recalls)
{
    while (recalls->finished)
        recalls_forget(recalls, recalls->finished);
    while (recalls->unfinished)
        erase(recalls, &recalls->unfinished, recalls->unfinished);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Calls that are remembered: see entry.h. */
/* A key is a digest: any part of it is a hash. */
#define HASH_FUNCTION(key, length, hash) \
    (hash) = (unsigned)((const struct digest *)(const void *)(key))->halves[0]

#include "dedup/reply_cache.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { EXPIRE_AT_ONCE = 1000 };

static bool reply_cache_is_too_old(const struct reply_cache *cache, const struct cached_reply *entry,
                                   uint64_t now)
{
    return entry->finished && now - entry->time > cache->window;
}

struct cached_reply *reply_cache_find(struct reply_cache *cache, const struct digest *key, uint64_t now)
{
    struct cached_reply *entry;
    HASH_FIND(hh, cache->by_key, key, sizeof *key, entry);
    if (!entry || !reply_cache_is_too_old(cache, entry, now))
        return entry;
    reply_cache_forget(cache, entry);
    return NULL;
}

static void reply_cache_hold(struct cached_holder *holder, struct cached_reply *entry)
{
    entry->holder = holder;
    if (entry->found_by_key) {
        DL_APPEND2(holder->bound, entry, holder_prev, holder_next);
        return;
    }
    DL_APPEND2(holder->order, entry, holder_prev, holder_next);
    holder->order_count++;
}

static void reply_cache_release(struct cached_reply *entry)
{
    struct cached_holder *holder = entry->holder;
    entry->holder = NULL;
    if (entry->found_by_key) {
        DL_DELETE2(holder->bound, entry, holder_prev, holder_next);
        return;
    }
    if (holder->cursor == entry)
        holder->cursor = entry->holder_next;
    DL_DELETE2(holder->order, entry, holder_prev, holder_next);
    holder->order_count--;
}

/* Unlinks an entry from its holder, and keeps it from being found. */
static void reply_cache_detach(struct reply_cache *cache, struct cached_reply *entry)
{
    if (entry->holder)
        reply_cache_release(entry);
    if (entry->found_by_key)
        HASH_DEL(cache->by_key, entry);
    entry->found_by_key = false;
}

static void reply_cache_drop_reply(struct reply_cache *cache, struct cached_reply *entry)
{
    cache->bytes -= entry->size;
    if (entry->reply != entry->small)
        free(entry->reply);
    entry->reply = NULL;
    entry->size = 0;
}

static void reply_cache_erase(struct reply_cache *cache, struct cached_reply **list,
                              struct cached_reply *entry)
{
    reply_cache_detach(cache, entry);
    DL_DELETE(*list, entry);
    cache->count--;
    reply_cache_drop_reply(cache, entry);
    free(entry);
}

void reply_cache_forget(struct reply_cache *cache, struct cached_reply *entry)
{
    if (entry->finished) {
        reply_cache_erase(cache, &cache->finished, entry);
        return;
    }
    reply_cache_detach(cache, entry);
    entry->abandoned = true;
}

static bool reply_cache_make_room(struct reply_cache *cache)
{
    if (cache->count >= cache->max_entries && cache->finished)
        reply_cache_forget(cache, cache->finished);
    return cache->count < cache->max_entries;
}

static bool reply_cache_index(struct reply_cache *cache, struct cached_reply *entry)
{
    HASH_ADD(hh, cache->by_key, key, sizeof entry->key, entry);
    return entry->hh.tbl != NULL;
}

struct cached_reply *reply_cache_enter(struct reply_cache *cache, const struct digest *key, bool by_key,
                                       struct cached_holder *holder, uint64_t now)
{
    struct cached_reply *entry = reply_cache_make_room(cache) ? malloc(sizeof *entry) : NULL;
    if (!entry)
        return NULL;
    memset(entry, 0, offsetof(struct cached_reply, small));
    entry->key = *key;
    entry->time = now;
    if (by_key && !reply_cache_index(cache, entry)) {
        free(entry);
        return NULL;
    }
    entry->found_by_key = by_key;
    DL_APPEND(cache->unfinished, entry);
    cache->count++;
    if (holder)
        reply_cache_hold(holder, entry);
    return entry;
}

static bool reply_cache_keep_reply(struct reply_cache *cache, struct cached_reply *entry, const char *reply,
                                   size_t size)
{
    if (size > cache->max_bytes)
        return false;
    while (cache->bytes + size > cache->max_bytes && cache->finished)
        reply_cache_forget(cache, cache->finished);
    if (cache->bytes + size > cache->max_bytes)
        return false;
    entry->reply = size <= CACHED_REPLY_INLINE ? entry->small : malloc(size);
    if (!entry->reply)
        return false;
    memcpy(entry->reply, reply, size);
    entry->size = size;
    cache->bytes += size;
    return true;
}

/*
 * In a full table each call makes the oldest entry go, which nobody has looked at for thousands of calls: so
 * it and what is linked to it come from main memory, one after the other. They are sent for one call ahead.
 */
static void reply_cache_prefetch(const struct reply_cache *cache)
{
    enum { LINE = 64 };
    const struct cached_reply *oldest = cache->finished;
    if (cache->count < cache->max_entries || !oldest->next)
        return;
    for (size_t i = 0; i < sizeof *oldest; i += LINE)
        __builtin_prefetch((const char *)oldest->next + i, 1);
    if (oldest->holder_next)
        __builtin_prefetch(&oldest->holder_next->holder_prev, 1);
    if (oldest->hh.hh_prev)
        __builtin_prefetch(oldest->hh.hh_prev, 1);
    if (oldest->found_by_key)
        __builtin_prefetch(&oldest->hh.tbl->buckets[oldest->hh.hashv & (oldest->hh.tbl->num_buckets - 1)], 1);
}

bool reply_cache_finish(struct reply_cache *cache, struct cached_reply *entry, const char *status,
                        const char *reply, size_t size)
{
    const bool kept = !reply || reply_cache_keep_reply(cache, entry, reply, size);
    if (entry->abandoned || (!kept && entry->found_by_key)) {
        reply_cache_erase(cache, &cache->unfinished, entry);
        return false;
    }
    DL_DELETE(cache->unfinished, entry);
    entry->finished = true;
    entry->status = status;
    DL_APPEND(cache->finished, entry);
    reply_cache_prefetch(cache);
    return true;
}

void reply_cache_reopen(struct reply_cache *cache, struct cached_reply *entry)
{
    reply_cache_drop_reply(cache, entry);
    entry->finished = false;
    DL_DELETE(cache->finished, entry);
    DL_APPEND(cache->unfinished, entry);
}

void reply_cache_expire(struct reply_cache *cache, uint64_t now)
{
    for (int i = 0; i < EXPIRE_AT_ONCE; i++) {
        if (!cache->finished || !reply_cache_is_too_old(cache, cache->finished, now))
            return;
        reply_cache_forget(cache, cache->finished);
    }
}

void reply_cache_fini(struct reply_cache *cache)
{
    while (cache->finished)
        reply_cache_forget(cache, cache->finished);
    while (cache->unfinished)
        reply_cache_erase(cache, &cache->unfinished, cache->unfinished);
}

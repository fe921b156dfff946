// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Messages with their replies: see reply_cache.h. A key is a digest: any part of it is a hash. */
#define HASH_FUNCTION(key, length, hash) \
    (hash) = (unsigned)((const struct digest *)(const void *)(key))->halves[0]

#include "dedup/reply_cache.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { GO_AT_ONCE = 1000 }; /* entries that are forgotten in one go */

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

/* Keeps an entry from being found by its key. Out of line: only calls with an identity have one. */
__attribute__((noinline)) static void reply_cache_hide(struct reply_cache *cache, struct cached_reply *entry)
{
    HASH_DEL(cache->by_key, entry);
    entry->found_by_key = false;
}

/* Unlinks an entry from its holder, and keeps it from being found. */
static inline void reply_cache_detach(struct reply_cache *cache, struct cached_reply *entry)
{
    struct cached_holder *holder = entry->holder;
    entry->holder = NULL;
    if (holder && entry->found_by_key) {
        DL_DELETE2(holder->bound, entry, holder_prev, holder_next);
    } else if (holder) {
        if (holder->cursor == entry)
            holder->cursor = entry->holder_next;
        DL_DELETE2(holder->order, entry, holder_prev, holder_next);
        holder->order_count--;
    }
    if (entry->found_by_key)
        reply_cache_hide(cache, entry);
}

static void reply_cache_drop_reply(struct reply_cache *cache, struct cached_reply *entry)
{
    cache->bytes -= entry->size;
    if (entry->reply != entry->small)
        free(entry->reply);
    entry->reply = NULL;
    entry->size = 0;
}

static inline void reply_cache_erase(struct reply_cache *cache, struct cached_reply **list,
                                     struct cached_reply *entry)
{
    reply_cache_detach(cache, entry);
    DL_DELETE(*list, entry);
    cache->count--;
    reply_cache_drop_reply(cache, entry);
    free(cache->spare);
    cache->spare = entry;
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

/*
 * In a table that has its usual size each entry comes into the memory of the one that goes. For each entry
 * that comes into a table whose limit has become smaller two others go, until it has its size.
 */
static struct cached_reply *reply_cache_allocate(struct reply_cache *cache)
{
    enum { GO_FOR_ONE = 2 };
    int gone = 0;
    for (; gone < GO_FOR_ONE && cache->count >= cache->max_entries && cache->finished; gone++)
        reply_cache_forget(cache, cache->finished);
    if (!gone && cache->count >= cache->max_entries)
        return NULL;
    struct cached_reply *entry = cache->spare ? cache->spare : malloc(sizeof *entry);
    cache->spare = NULL;
    return entry;
}

struct cached_reply *reply_cache_enter(struct reply_cache *cache, const struct digest *key, bool by_key,
                                       struct cached_holder *holder, uint64_t now)
{
    struct cached_reply *entry = reply_cache_allocate(cache);
    if (!entry)
        return NULL;
    entry->key = *key;
    entry->time = now;
    entry->holder = holder;
    entry->found_by_key = by_key;
    entry->abandoned = entry->finished = false;
    entry->waiting = NULL;
    entry->status = entry->reply = NULL;
    entry->size = 0;
    entry->hh.tbl = NULL;
    if (by_key)
        HASH_ADD(hh, cache->by_key, key, sizeof entry->key, entry);
    if (by_key && !entry->hh.tbl) {
        free(entry);
        return NULL;
    }
    DL_APPEND(cache->unfinished, entry);
    cache->count++;
    if (holder && by_key) {
        DL_APPEND2(holder->bound, entry, holder_prev, holder_next);
    } else if (holder) {
        DL_APPEND2(holder->order, entry, holder_prev, holder_next);
        holder->order_count++;
    }
    return entry;
}

/* A table whose limit has become smaller keeps a reply if it shrinks all the same. Out of line: replies of
 * methods that only read are not kept. */
__attribute__((noinline)) static bool
reply_cache_keep_reply(struct reply_cache *cache, struct cached_reply *entry, const char *reply, size_t size)
{
    const size_t before = cache->bytes;
    for (int i = 0; size <= cache->max_bytes && cache->bytes + size > cache->max_bytes && cache->finished &&
                    (i < GO_AT_ONCE || cache->bytes + size > before);
         i++)
        reply_cache_forget(cache, cache->finished);
    if (size > cache->max_bytes || (cache->bytes + size > cache->max_bytes && cache->bytes + size > before))
        return false;
    entry->reply = size <= CACHED_REPLY_INLINE ? entry->small : malloc(size);
    if (!entry->reply)
        return false;
    memcpy(entry->reply, reply, size);
    entry->size = size;
    cache->bytes += size;
    return true;
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
    for (int i = 0; i < GO_AT_ONCE && cache->finished; i++) {
        if (!reply_cache_is_too_old(cache, cache->finished, now) && cache->count <= cache->max_entries &&
            cache->bytes <= cache->max_bytes)
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
    free(cache->spare);
    cache->spare = NULL;
}

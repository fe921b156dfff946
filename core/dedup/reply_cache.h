// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Calls that are remembered with their replies, so that the same call arriving again is answered without
 * being run again (protocol, section 6). A call is entered when it arrives and finished when it has been
 * answered; in between the same call waits for the first. The memory is bounded: the oldest finished entries
 * make room, unfinished ones never do, since that would break a promise already given.
 *
 * All of it runs on the broker's thread, in the engine to which the table belongs.
 */
#ifndef CORE_DEDUP_REPLY_CACHE_H
#define CORE_DEDUP_REPLY_CACHE_H

#define HASH_NONFATAL_OOM 1

#include "base/digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

struct client;

enum { CACHED_REPLY_INLINE = 64 }; /* bytes of a reply that its entry itself has room for */

struct cached_reply {
    struct digest key;
    uint64_t time;                    /* monotonic nanoseconds of its arrival */
    struct client *owner;             /* with whose session it is forgotten; NULL: with nobody's */
    struct cached_reply *prev, *next; /* in the table's list */
    struct cached_reply *owner_prev, *owner_next; /* in the owner's list */
    UT_hash_handle hh;
    bool found_by_key;
    bool abandoned; /* it was unfinished when it was to be forgotten: it goes when it is finished */
    bool finished;
    void *waiting;      /* callers that wait for the reply; the owner of the table hangs them here */
    const char *status; /* of the reply: "ok" or an error's code, of static storage; NULL: it was not
                           carried out, and may be when it comes again */
    size_t size;        /* of the reply, bytes */
    char *reply;        /* NULL: there was none */
    char small[CACHED_REPLY_INLINE]; /* where a reply is that fits; the last member: it is not zeroed */
};

struct reply_cache {
    /* Set by the owner of the table. */
    size_t max_entries, max_bytes; /* entries; bytes of replies */
    uint64_t window;               /* nanoseconds for which a call is remembered */

    struct cached_reply *by_key;
    struct cached_reply *unfinished, *finished; /* the oldest first */
    size_t count, bytes;
};

/* The call with this key that is still remembered, or NULL. */
struct cached_reply *reply_cache_find(struct reply_cache *cache, const struct digest *key, uint64_t now);

/*
 * Enters a call that has arrived; by_key tells whether reply_cache_find() is to find it. owner may be NULL.
 * Returns NULL when the table is full of unfinished calls, or there is no memory.
 */
struct cached_reply *reply_cache_enter(struct reply_cache *cache, const struct digest *key, bool by_key,
                                       struct client *owner, uint64_t now);

/*
 * A call has been answered. The reply is copied; NULL: there was none. Returns whether the entry is kept: a
 * reply that there is no room for takes its entry with it, but for one that has its place in an order, which
 * those behind it are known by.
 */
bool reply_cache_finish(struct reply_cache *cache, struct cached_reply *entry, const char *status,
                        const char *reply, size_t size);

/* A finished call is being carried out after all: it is unfinished again, and without its reply. */
void reply_cache_reopen(struct reply_cache *cache, struct cached_reply *entry);

/* Forgets an entry, an unfinished one when it is finished: until then it is only found no more. */
void reply_cache_forget(struct reply_cache *cache, struct cached_reply *entry);

/* Forgets finished calls that are too old, some of them at a time. */
void reply_cache_expire(struct reply_cache *cache, uint64_t now);

/* Forgets all. */
void reply_cache_fini(struct reply_cache *cache);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Messages with their replies, so that the same message arriving again is answered without being run again.
 * A message is entered when it arrives and finished when it has been answered; in
 * between copies of it wait. The table is bounded: the oldest finished entries make room, unfinished ones
 * never do, since that would break a promise already given.
 *
 * An entry is found by its key, or it has a place in a holder's order and is found by that alone.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: the table owns its entries and copies of their replies. A holder, embedded in the record of a
 * client, lists the entries that are forgotten with it; it is empty before it is freed. What `waiting` points
 * at belongs to the file that hangs it there.
 *
 * Failure: without memory reply_cache_enter() returns NULL and reply_cache_finish() forgets the reply.
 */
#ifndef CORE_DEDUP_REPLY_CACHE_H
#define CORE_DEDUP_REPLY_CACHE_H

#define HASH_NONFATAL_OOM 1

#include "base/digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

enum { CACHED_REPLY_INLINE = 64 }; /* bytes of a reply that its entry itself has room for */

struct cached_reply {
    struct digest key;
    uint64_t time;                                  /* monotonic nanoseconds of its arrival */
    struct cached_holder *holder;                   /* NULL: none */
    struct cached_reply *prev, *next;               /* in the table's list */
    struct cached_reply *holder_prev, *holder_next; /* in the holder's list */
    UT_hash_handle hh;
    bool found_by_key;
    bool abandoned; /* it was unfinished when it was to be forgotten: it goes when it is finished */
    bool finished;
    void *waiting;      /* copies that wait for the reply; of call/copies.c */
    const char *status; /* of the reply, of static storage; NULL: the message was not run, and may be when it
                           comes again */
    size_t size;        /* of the reply, bytes */
    char *reply;        /* NULL: there was none */
    char small[CACHED_REPLY_INLINE]; /* where a reply is that fits */
};

/* Entries that are forgotten together. All zero: none. */
struct cached_holder {
    struct cached_reply *bound; /* those that are found by key */
    struct cached_reply *order; /* those that have a place in the order, the oldest first */
    struct cached_reply
        *cursor; /* in the order; it moves on when its entry is forgotten; NULL: behind the last */
    size_t order_count;
};

struct reply_cache {
    /* Set by the owner of the table, who may change them. */
    size_t max_entries, max_bytes; /* bytes of replies */
    uint64_t window;               /* nanoseconds for which an entry is kept */

    struct cached_reply *by_key;
    struct cached_reply *unfinished, *finished; /* the oldest first */
    struct cached_reply *spare;                 /* memory for the next entry; NULL: none */
    size_t count, bytes;
};

/* Returns the entry with this key that is still kept. NULL: none. */
struct cached_reply *reply_cache_find(struct reply_cache *cache, const struct digest *key, uint64_t now);

/*
 * Enters a message that has arrived; by_key tells whether reply_cache_find() is to find it. holder may be
 * NULL. Returns NULL: the table is full of unfinished entries, or there is no memory.
 */
struct cached_reply *reply_cache_enter(struct reply_cache *cache, const struct digest *key, bool by_key,
                                       struct cached_holder *holder, uint64_t now);

/*
 * A message has been answered. The reply is copied; NULL: there was none. Returns whether the entry is kept:
 * a reply that there is no room for takes its entry with it, except an entry that has a place in an order.
 */
bool reply_cache_finish(struct reply_cache *cache, struct cached_reply *entry, const char *status,
                        const char *reply, size_t size);

/* A finished message is run after all: its entry is unfinished again, and without its reply. */
void reply_cache_reopen(struct reply_cache *cache, struct cached_reply *entry);

/* Forgets an entry. One that is unfinished is no longer found, and goes when it is finished. */
void reply_cache_forget(struct reply_cache *cache, struct cached_reply *entry);

/* Forgets finished entries that are too old or too many, at most 1000 at a time. */
void reply_cache_expire(struct reply_cache *cache, uint64_t now);

/* Forgets all entries. */
void reply_cache_fini(struct reply_cache *cache);

#endif

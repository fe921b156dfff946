// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The calls that a plugin has handed to this worker and that are not answered yet, by prefix and id.
 *
 * Threads: the worker's.
 *
 * Ownership: the table owns its entries.
 *
 * Failure: dispatched_add() returns NULL: no memory, or there are DISPATCHED_MAX.
 */
#ifndef WORKER_DISPATCHED_H
#define WORKER_DISPATCHED_H

#define HASH_NONFATAL_OOM 1

#include <stdbool.h>
#include <stddef.h>
#include <uthash.h>

enum {
    DISPATCHED_ID = 64,   /* bytes of an id */
    DISPATCHED_MAX = 1024 /* calls: 16 of each of 64 prefixes */
};

struct dispatched_key {
    unsigned char prefix, size;
    char id[DISPATCHED_ID];
};

/* A call. */
struct dispatched {
    struct dispatched_key key;
    const void *connection; /* of no other call of this process */
    char *caller;           /* its client id */
    UT_hash_handle hh;
};

/* All zero: empty. */
struct dispatched_table {
    struct dispatched *calls;
    size_t last; /* connection that was given out */
};

/* Returns false: no call has an id of this size. */
bool dispatched_make_key(struct dispatched_key *key, size_t prefix, const void *id, size_t size);

struct dispatched *dispatched_find(const struct dispatched_table *table, const struct dispatched_key *key);
struct dispatched *dispatched_add(struct dispatched_table *table, const struct dispatched_key *key,
                                  const char *caller);
void dispatched_remove(struct dispatched_table *table, struct dispatched *call);

/* Some call; NULL: there is none. */
static inline struct dispatched *dispatched_first(const struct dispatched_table *table)
{
    return table->calls;
}

#endif

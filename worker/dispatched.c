// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A hash table of calls: see dispatched.h. */
#include "dispatched.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool dispatched_make_key(struct dispatched_key *key, size_t prefix, const void *id, size_t size)
{
    *key = (struct dispatched_key){.prefix = (unsigned char)prefix, .size = (unsigned char)size};
    if (!id || !size || size > DISPATCHED_ID)
        return false;
    memcpy(key->id, id, size);
    return true;
}

struct dispatched *dispatched_find(const struct dispatched_table *table, const struct dispatched_key *key)
{
    struct dispatched *call;
    HASH_FIND(hh, table->calls, key, sizeof *key, call);
    return call;
}

struct dispatched *dispatched_add(struct dispatched_table *table, const struct dispatched_key *key,
                                  const char *caller)
{
    struct dispatched *call = HASH_COUNT(table->calls) < DISPATCHED_MAX ? calloc(1, sizeof *call) : NULL;
    if (!call)
        return NULL;
    call->key = *key;
    call->connection = (const void *)(uintptr_t)++table->last;
    call->caller = strdup(caller);
    if (call->caller)
        HASH_ADD(hh, table->calls, key, sizeof call->key, call);
    if (call->caller && call->hh.tbl)
        return call;
    free(call->caller);
    free(call);
    return NULL;
}

void dispatched_remove(struct dispatched_table *table, struct dispatched *call)
{
    HASH_DEL(table->calls, call);
    free(call->caller);
    free(call);
}

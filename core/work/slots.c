// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The table of pending slots: see slots.h. */
#define HASH_NONFATAL_OOM 1

#include "work/slots.h"

#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

/* A client that has slots. */
struct slots_client {
    struct digest key;
    struct slot *taken; /* the oldest first */
    size_t count;
    UT_hash_handle hh;
};

static struct slots_client *slots_find(const struct slots *slots, const struct digest *key)
{
    struct slots_client *client;
    HASH_FIND(hh, slots->clients, key, sizeof *key, client);
    return client;
}

bool slots_enter(struct slots *slots, struct slot *slot, const struct digest *client)
{
    struct slots_client *record = slots_find(slots, client);
    if (!record) {
        record = calloc(1, sizeof *record);
        if (!record)
            return false;
        record->key = *client;
        HASH_ADD(hh, slots->clients, key, sizeof record->key, record);
        if (!record->hh.tbl) {
            free(record);
            return false;
        }
    }
    slot->client = record;
    DL_APPEND2(record->taken, slot, older, newer);
    record->count++;
    slots->count++;
    return true;
}

void slots_leave(struct slots *slots, struct slot *slot)
{
    struct slots_client *client = slot->client;
    if (!client)
        return;
    slot->client = NULL;
    DL_DELETE2(client->taken, slot, older, newer);
    slots->count--;
    if (--client->count)
        return;
    HASH_DEL(slots->clients, client);
    free(client);
}

struct slot *slots_find_evictable(const struct slots *slots, const struct digest *client)
{
    const struct slots_client *own = slots_find(slots, client);
    const struct slots_client *most = slots->clients;
    for (const struct slots_client *other = most; other; other = other->hh.next)
        if (other->count > most->count)
            most = other;
    const size_t needed = (own ? own->count : 0) + 2;
    return most && most->count >= needed ? most->taken->older : NULL;
}

void slots_fini(struct slots *slots)
{
    struct slots_client *client, *next;
    HASH_ITER(hh, slots->clients, client, next)
    {
        HASH_DEL(slots->clients, client);
        free(client);
    }
    slots->count = 0;
}

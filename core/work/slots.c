// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The table of pending slots: see slots.h. */
#define HASH_NONFATAL_OOM 1

#include "work/slots.h"

#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

/* A client that has slots or holdings. */
struct slots_client {
    struct digest key;
    struct slot *taken; /* the oldest first */
    size_t count;
    size_t bytes; /* of its holdings */
    UT_hash_handle hh;
};

static struct slots_client *slots_find(const struct slots *slots, const struct digest *key)
{
    struct slots_client *client;
    HASH_FIND(hh, slots->clients, key, sizeof *key, client);
    return client;
}

/* NULL: no memory for a new one. */
static struct slots_client *slots_find_or_create(struct slots *slots, const struct digest *key)
{
    struct slots_client *client = slots_find(slots, key);
    if (client)
        return client;
    client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->key = *key;
    HASH_ADD(hh, slots->clients, key, sizeof client->key, client);
    if (client->hh.tbl)
        return client;
    free(client);
    return NULL;
}

/* Frees a record that has nothing any more. */
static void slots_release(struct slots *slots, struct slots_client *client)
{
    if (client->count || client->bytes)
        return;
    HASH_DEL(slots->clients, client);
    free(client);
}

/* ---- Slots ---- */

bool slots_enter(struct slots *slots, struct slot *slot, const struct digest *client)
{
    struct slots_client *record = slots_find_or_create(slots, client);
    if (!record)
        return false;
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
    client->count--;
    slots_release(slots, client);
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

/* ---- Bytes ---- */

bool slots_hold(struct slots *slots, struct holding *holding, const struct digest *client, size_t bytes)
{
    if (!holding->client)
        *holding = (struct holding){.client = slots_find_or_create(slots, client)};
    slots_recount(slots, holding, bytes);
    return holding->client;
}

void slots_recount(struct slots *slots, struct holding *holding, size_t bytes)
{
    if (!holding->client)
        return;
    slots->bytes += bytes - holding->bytes;
    holding->client->bytes += bytes - holding->bytes;
    holding->bytes = bytes;
}

void slots_let_go(struct slots *slots, struct holding *holding)
{
    struct slots_client *client = holding->client;
    if (!client)
        return;
    slots_recount(slots, holding, 0);
    holding->client = NULL;
    slots_release(slots, client);
}

struct slot *slots_find_largest(const struct slots *slots, const struct digest *client, size_t bytes)
{
    const struct slots_client *own = slots_find(slots, client), *largest = NULL;
    for (const struct slots_client *other = slots->clients; other; other = other->hh.next)
        if (other->count && (!largest || other->bytes > largest->bytes))
            largest = other;
    const size_t would = (own ? own->bytes : 0) + bytes;
    return largest && largest->bytes > would ? largest->taken->older : NULL;
}

/* ---- The end ---- */

void slots_fini(struct slots *slots)
{
    struct slots_client *client, *next;
    HASH_ITER(hh, slots->clients, client, next)
    {
        HASH_DEL(slots->clients, client);
        free(client);
    }
    slots->count = slots->bytes = 0;
}

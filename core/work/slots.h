// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The table of pending slots, and of the bytes that what is pending holds. A call that waits, for a thread or
 * for rpc_resume(), takes a slot in the name of its client. The engine has max_pending slots. When all are
 * taken, the client with most slots may lose one to a client with fewer: its newest call is evicted. Likewise
 * with bytes, of which the engine has max_pending_bytes: the client that holds most loses its newest call to
 * one that holds less. A call whose work has begun has no slot any more, but still holds its bytes.
 *
 * Threads: one thread, the broker's, uses a table.
 *
 * Ownership: the caller embeds struct slot and struct holding in what waits, and neither moves nor frees them
 * while they are in the table. The table owns one record per client that has any of them; slots_fini() frees
 * the records.
 *
 * Failure: slots_enter() and slots_hold() may fail for lack of memory, and then have changed nothing.
 * Everything else needs no memory. All take constant time, but the two that find a slot look at every client.
 */
#ifndef CORE_WORK_SLOTS_H
#define CORE_WORK_SLOTS_H

#include "base/digest.h"

#include <stdbool.h>
#include <stddef.h>

struct slots_client;

/* All zero: not in the table. */
struct slot {
    struct slots_client *client; /* NULL: not in the table */
    struct slot *older, *newer;  /* the client's other slots */
};

/* Bytes that are held in the name of a client. All zero: not in the table. */
struct holding {
    struct slots_client *client; /* NULL: not in the table */
    size_t bytes;                /* not 0 */
};

/* All zero: empty. */
struct slots {
    size_t count; /* slots that are taken */
    size_t bytes; /* of all holdings */
    struct slots_client *clients;
};

/* Enters a slot that is not in the table, for a client. Returns false when there is no memory. */
bool slots_enter(struct slots *slots, struct slot *slot, const struct digest *client);

/* Takes a slot out of the table. Does nothing if it is not in the table. */
void slots_leave(struct slots *slots, struct slot *slot);

/*
 * Finds the slot to evict in favour of a client: the newest slot of the client with most slots (of several,
 * the one that has had a slot for longest). Returns NULL if none has at least two slots more than this
 * client.
 */
struct slot *slots_find_evictable(const struct slots *slots, const struct digest *client);

/*
 * Enters a holding of so many bytes, which are not 0, for a client; of one that is in the table only the
 * bytes change. Returns false when there is no memory.
 */
bool slots_hold(struct slots *slots, struct holding *holding, const struct digest *client, size_t bytes);

/* Changes the bytes of a holding, to other than 0. Does nothing if it is not in the table. */
void slots_recount(struct slots *slots, struct holding *holding, size_t bytes);

/* Takes a holding out of the table. Does nothing if it is not in the table. */
void slots_let_go(struct slots *slots, struct holding *holding);

/*
 * Finds the slot to evict in favour of a client that needs so many bytes more: the newest slot of the client
 * that holds most bytes, of those that have slots. Returns NULL if none of them holds more than this client
 * would then.
 */
struct slot *slots_find_largest(const struct slots *slots, const struct digest *client, size_t bytes);

/* Frees all records. Slots and holdings that are still in the table must not be used any more. */
void slots_fini(struct slots *slots);

#endif

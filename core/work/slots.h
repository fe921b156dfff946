// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The table of pending slots. A call that waits, for a worker or for rpc_resume(), takes a slot in the name
 * of its client. The engine has max_pending slots. When all are taken, the client with most slots may lose
 * one to a client with fewer: its newest call is evicted.
 *
 * Threads: one thread, the broker's, uses a table.
 *
 * Ownership: the caller embeds struct slot in what waits, and neither moves nor frees it while it is in the
 * table. The table owns one record per client with slots; slots_fini() frees them.
 *
 * Failure: slots_enter() may fail for lack of memory, and then has changed nothing. Everything else needs no
 * memory. Entering and leaving take constant time; slots_find_evictable() looks at every client.
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

/* All zero: empty. */
struct slots {
    size_t count; /* slots that are taken */
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

/* Frees all records. Slots that are still in the table must not be used any more. */
void slots_fini(struct slots *slots);

#endif

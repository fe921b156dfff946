// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Replies that wait until what a call has changed is on the disk: what its caller was told outlives a crash.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: `struct confirms` is embedded in the module's state, and owns what it keeps for each such call.
 *
 * Failure: a change that could not be written is storage_failed. Without memory the reply does not wait.
 */
#ifndef DEVICE_CONFIRM_H
#define DEVICE_CONFIRM_H

#include "group.h"

struct confirm;

struct confirms {
    struct disk *disk;
    struct confirm *all;
};

/* For the run of a method that has made its result: RPC_OK if nothing waits to be written, else the call
 * waits, and gets a copy of the result. What the result points to must live as long as the call. */
rpc_status confirm_later(rpc_call *call, struct confirms *confirms, const void *result, size_t size);

/* The methods' done. */
rpc_status confirm_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result);

void confirms_fini(struct confirms *confirms);

#endif

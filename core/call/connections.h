// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The connections that have something pending: calls, and copies of calls that wait for the first one's
 * reply. When one of thousands of connections ends, the engine looks only at what belongs to that connection.
 *
 * A connection is known by the host's address of it, which is only ever compared. The host may reuse an
 * address while calls of its former connection are still pending, so users of this table compare the client
 * id, too.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: the table owns its records. A record exists as long as something hangs on it; exchanges and
 * copies belong to the files that link them.
 *
 * Failure: connections_get() alone can fail, for want of memory; nothing has changed then.
 */
#ifndef CORE_CALL_CONNECTIONS_H
#define CORE_CALL_CONNECTIONS_H

#define HASH_NONFATAL_OOM 1

#include <uthash.h>

struct exchange;
struct waiter;

struct connection {
    const void *id;             /* the host's address of the connection */
    struct exchange *exchanges; /* that are pending, linked by their prev and next */
    struct waiter *waiters;     /* copies that wait, linked by their connection_prev and connection_next */
    struct connection **table;
    UT_hash_handle hh;
};

/* Returns the record of a connection, a new one if there was none. NULL: no memory. */
struct connection *connections_get(struct connection **table, const void *id);

/* Returns the record of a connection. NULL: nothing of it is pending. */
struct connection *connections_find(struct connection *const *table, const void *id);

/* Frees the record if nothing hangs on it any more. To be called after an exchange or a copy was unlinked. */
void connections_release(struct connection *connection);

#endif

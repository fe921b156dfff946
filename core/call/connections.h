// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The connections for which something is open: calls that have not come to their end, and copies of calls
 * that wait for the first one's. When one of thousands of connections ends, only what is its own is looked
 * at.
 *
 * A connection is an address that is only ever compared. It may belong to another client while calls of the
 * one before are still open, so whoever asks compares the client's id as well. All of it runs on the broker's
 * thread, in the engine to which the table belongs.
 */
#ifndef CORE_CALLERS_H
#define CORE_CALLERS_H

#define HASH_NONFATAL_OOM 1

#include <uthash.h>

struct exchange;
struct waiter;

struct caller {
    const void *connection;
    struct exchange *exchanges; /* that are kept, linked by their prev and next */
    struct waiter *waiters;     /* linked by once.c */
    struct caller **table;
    UT_hash_handle hh;
};

/* The record of a connection; it is made if there is none. NULL: no memory. */
struct caller *callers_meet(struct caller **table, const void *connection);

/* NULL: nothing of it is open. */
struct caller *callers_find(struct caller *const *table, const void *connection);

/* Something of the caller's has come to its end: the record is freed if that was the last. */
void callers_settle(struct caller *caller);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Accounts: who is one client where limits are shared out, and what each has taken from its rates. The option
 * rate_limit_by chooses: a client id is an account, or a user name, or a network address without its port, of
 * IPv6 the first 64 bits, since one subscriber gets so many addresses. All clients without a user name, or
 * without an address as those of a Unix socket, are one account together; but a bridge that this broker
 * opened, which has no address, is one by its client id.
 *
 * The table is bounded. A record is freed only when all its buckets are full, since then it is the same as
 * a new one: no client gets rid of what it owes by making many ids. When the table is full of records that
 * owe, all clients without a record share one account, that of the rest.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: the table owns its records. A record must not be kept from one message to the next.
 *
 * Failure: without memory a client without a record takes from the account of the rest.
 */
#ifndef CORE_DEDUP_ACCOUNTS_H
#define CORE_DEDUP_ACCOUNTS_H

#define HASH_NONFATAL_OOM 1

#include "base/bucket.h"
#include "base/digest.h"
#include "host.h"

#include <stddef.h>
#include <uthash.h>

enum { ACCOUNTS_MAX = 50000 }; /* records */

/* The choices of rate_limit_by. */
enum accounts_by { ACCOUNTS_BY_CLIENT, ACCOUNTS_BY_USER, ACCOUNTS_BY_ADDRESS };

struct account {
    struct digest key;
    struct bucket calls, bytes, refusals; /* calls, their bytes, and refusals that were sent */
    struct bucket errors;                 /* announced errors */
    struct account *prev, *next;          /* in the order in which they are looked at next */
    UT_hash_handle hh;
};

struct accounts {
    /* Set by the owner of the table. */
    uint64_t seed;
    enum accounts_by by;

    struct account *by_key, *list;
    size_t count;
    struct account rest;
};

/* What tells the client's account from others. */
struct digest accounts_key(const struct accounts *accounts, const struct host_client *client);

/* Returns the client's account. */
struct account *accounts_meet(struct accounts *accounts, const struct host_client *client, uint64_t now);

/* To be called now and then: frees records that owe nothing, of at most 1000 that are looked at. */
void accounts_expire(struct accounts *accounts, uint64_t now);

/* Forgives all what they owe. */
void accounts_clear(struct accounts *accounts);

/* Frees all records. */
void accounts_fini(struct accounts *accounts);

#endif

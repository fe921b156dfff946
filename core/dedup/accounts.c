// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Who is one client where limits are shared out: see accounts.h. A key is a digest: any part of it is a hash.
 */
#define HASH_FUNCTION(key, length, hash) \
    (hash) = (unsigned)((const struct digest *)(const void *)(key))->halves[0]

#include "dedup/accounts.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    EXPIRE_AT_ONCE = 1000, /* records that are looked at in one go */
    EXPIRE_FOR_ONE = 8     /* likewise, to make room for one */
};

/* ---- Whose account it is ---- */

static struct digest accounts_digest(const struct accounts *accounts, const char *kind, const void *data,
                                     size_t size)
{
    const struct digest_part parts[] = {{kind, strlen(kind)}, {data, size}};
    return digest_of(accounts->seed, parts, 2);
}

/* An address of IPv4 that is written as one of IPv6 is that of IPv4. */
static struct digest accounts_address_key(const struct accounts *accounts, const char *address)
{
    enum { NETWORK = 8 }; /* bytes */
    static const char mapped[] = "::ffff:";
    struct in6_addr bytes;
    if (strncmp(address, mapped, strlen(mapped)) == 0 && strchr(address, '.'))
        address += strlen(mapped);
    if (strchr(address, ':') && inet_pton(AF_INET6, address, &bytes) == 1)
        return accounts_digest(accounts, "network", &bytes, NETWORK);
    return accounts_digest(accounts, "address", address, strlen(address));
}

struct digest accounts_key(const struct accounts *accounts, const struct host_client *client)
{
    if (accounts->by == ACCOUNTS_BY_USER && client->user)
        return accounts_digest(accounts, "user", client->user, strlen(client->user));
    if (accounts->by == ACCOUNTS_BY_ADDRESS && client->address)
        return accounts_address_key(accounts, client->address);
    if (accounts->by == ACCOUNTS_BY_CLIENT || client->bridge)
        return accounts_digest(accounts, "client", client->id, strlen(client->id));
    return accounts_digest(accounts, "nobody", NULL, 0);
}

/* ---- The table ---- */

static bool account_owes(const struct account *account, uint64_t now)
{
    return account->calls.full_at > now || account->bytes.full_at > now || account->refusals.full_at > now ||
           account->errors.full_at > now;
}

static void account_free(struct accounts *accounts, struct account *account)
{
    HASH_DEL(accounts->by_key, account);
    DL_DELETE(accounts->list, account);
    accounts->count--;
    free(account);
}

static void accounts_look(struct accounts *accounts, uint64_t now, int count)
{
    for (struct account *account; count && (account = accounts->list); count--) {
        if (!account_owes(account, now)) {
            account_free(accounts, account);
            continue;
        }
        DL_DELETE(accounts->list, account);
        DL_APPEND(accounts->list, account);
    }
}

struct account *accounts_meet(struct accounts *accounts, const struct host_client *client, uint64_t now)
{
    const struct digest key = accounts_key(accounts, client);
    struct account *account;
    HASH_FIND(hh, accounts->by_key, &key, sizeof key, account);
    if (account)
        return account;
    if (accounts->count >= ACCOUNTS_MAX)
        accounts_look(accounts, now, EXPIRE_FOR_ONE);
    account = accounts->count < ACCOUNTS_MAX ? calloc(1, sizeof *account) : NULL;
    if (!account)
        return &accounts->rest;
    account->key = key;
    HASH_ADD(hh, accounts->by_key, key, sizeof account->key, account);
    if (!account->hh.tbl) {
        free(account);
        return &accounts->rest;
    }
    DL_APPEND(accounts->list, account);
    accounts->count++;
    return account;
}

void accounts_expire(struct accounts *accounts, uint64_t now)
{
    accounts_look(accounts, now, EXPIRE_AT_ONCE);
}

void accounts_clear(struct accounts *accounts)
{
    accounts_fini(accounts);
    memset(&accounts->rest, 0, sizeof accounts->rest);
}

void accounts_fini(struct accounts *accounts)
{
    while (accounts->list)
        account_free(accounts, accounts->list);
}

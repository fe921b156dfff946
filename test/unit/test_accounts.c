// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/dedup/accounts.c: who is one client where limits are shared out, and that no client is forgotten that
 * owes. */
#include "unit.h"

#include "dedup/accounts.h"

#include <stdio.h>
#include <string.h>

enum { OTHERS = 3 * ACCOUNTS_MAX };

static const uint64_t second = 1000000000;
static struct accounts accounts;

static void open_table(void)
{
    memset(&accounts, 0, sizeof accounts);
    accounts.seed = 7;
}

static void close_table(void)
{
    accounts_fini(&accounts);
    ck_assert_ptr_null(accounts.by_key);
    ck_assert_uint_eq(accounts.count, 0);
}

/* ---- Whose account it is ---- */

static const struct pair {
    struct host_client one, other;
    bool same_client, same_user, same_address;
} pairs[] = {
    {{.id = "a", .user = "u", .address = "192.0.2.1"},
     {.id = "a", .user = "u", .address = "192.0.2.1"},
     true,
     true,
     true},
    {{.id = "a", .user = "u", .address = "192.0.2.1"},
     {.id = "b", .user = "u", .address = "192.0.2.1"},
     false,
     true,
     true},
    {{.id = "a", .user = "u", .address = "192.0.2.1"},
     {.id = "a", .user = "v", .address = "192.0.2.2"},
     true,
     false,
     false},
    {{.id = "a", .address = "192.0.2.1"}, {.id = "b", .address = "192.0.2.2"}, false, true, false},
    {{.id = "a", .address = "192.0.2.1"},
     {.id = "b", .user = "", .address = "192.0.2.1"},
     false,
     false,
     true},
    {{.id = "", .user = "a", .address = "a"}, {.id = "a", .user = "", .address = ""}, false, false, false},
    /* A network of IPv6, however it is written. */
    {{.id = "a", .address = "2001:db8::1"},
     {.id = "b", .address = "2001:db8:0:0:ffff::9"},
     false,
     true,
     true},
    {{.id = "a", .address = "2001:db8::1"}, {.id = "b", .address = "2001:db8:0:1::1"}, false, true, false},
    {{.id = "a", .address = "::ffff:192.0.2.1"}, {.id = "b", .address = "192.0.2.1"}, false, true, true},
    {{.id = "a", .address = "::ffff:192.0.2.1"},
     {.id = "b", .address = "::ffff:192.0.2.2"},
     false,
     true,
     false},
    {{.id = "a", .address = "fe80::1%eth0"}, {.id = "b", .address = "fe80::1%eth1"}, false, true, false},
    /* Without an address. */
    {{.id = "a"}, {.id = "b"}, false, true, true},
    {{.id = "a", .bridge = true}, {.id = "b", .bridge = true}, false, false, false},
    {{.id = "a", .user = "u", .bridge = true}, {.id = "b", .user = "u", .bridge = true}, false, true, false},
    {{.id = "a", .bridge = true}, {.id = "b"}, false, false, false},
    {{.id = "a", .bridge = true}, {.id = "a", .bridge = true}, true, true, true},
    {{.id = "a"}, {.id = "b", .address = "192.0.2.1"}, false, true, false},
};

START_TEST(who_is_one)
{
    const struct pair *row = &pairs[_i];
    const bool same[] = {[ACCOUNTS_BY_CLIENT] = row->same_client,
                         [ACCOUNTS_BY_USER] = row->same_user,
                         [ACCOUNTS_BY_ADDRESS] = row->same_address};
    for (int by = ACCOUNTS_BY_CLIENT; by <= ACCOUNTS_BY_ADDRESS; by++) {
        accounts.by = (enum accounts_by)by;
        const struct digest one = accounts_key(&accounts, &row->one),
                            other = accounts_key(&accounts, &row->other);
        ck_assert_msg((memcmp(&one, &other, sizeof one) == 0) == same[by], "rate_limit_by %d", by);
        const struct account *met = accounts_meet(&accounts, &row->one, 0);
        ck_assert_int_eq(accounts_meet(&accounts, &row->other, 0) == met, same[by]);
    }
}
END_TEST

/* ---- The table ---- */

static struct account *meet(int number, uint64_t now)
{
    char id[16];
    snprintf(id, sizeof id, "c%d", number);
    return accounts_meet(&accounts, &(const struct host_client){.id = id}, now);
}

/* No client gets rid of what it owes by making many ids; those beyond the bound share what is left. */
START_TEST(debts_are_not_forgotten)
{
    struct account *debtor = meet(0, second);
    bucket_owe(&debtor->calls, second, 1, 100);
    const uint64_t full_at = debtor->calls.full_at;
    for (int i = 1; i < OTHERS; i++) {
        struct account *other = meet(i, second);
        ck_assert_int_eq(other == &accounts.rest, i >= ACCOUNTS_MAX);
        if (i < ACCOUNTS_MAX)
            bucket_owe(&other->errors, second, 1, 50);
        ck_assert_uint_le(accounts.count, ACCOUNTS_MAX);
    }
    accounts_expire(&accounts, second);
    ck_assert_ptr_eq(meet(0, second), debtor);
    ck_assert_uint_eq(debtor->calls.full_at, full_at);
    /* When the others owe nothing any more, they make room. */
    ck_assert_ptr_ne(meet(OTHERS, 52 * second), &accounts.rest);
    for (int i = 0; i < OTHERS / 1000; i++)
        accounts_expire(&accounts, 52 * second);
    ck_assert_ptr_eq(meet(0, 52 * second), debtor);
    ck_assert_uint_eq(accounts.count, 1);
    for (int i = 0; i < 2; i++)
        accounts_expire(&accounts, 102 * second);
    ck_assert_uint_eq(accounts.count, 0);
}
END_TEST

/* Each bucket keeps its record. */
START_TEST(every_bucket_matters)
{
    struct account *account = meet(1, 0);
    struct bucket *const buckets[] = {&account->calls, &account->bytes, &account->refusals, &account->errors};
    for (int i = 0; i < UNIT_ROWS(buckets); i++) {
        bucket_owe(buckets[i], (uint64_t)i * second, 1, 1);
        accounts_expire(&accounts, (uint64_t)i * second);
        ck_assert_uint_eq(accounts.count, 1);
    }
    accounts_expire(&accounts, 10 * second);
    ck_assert_uint_eq(accounts.count, 0);
}
END_TEST

UNIT_MAIN("accounts", open_table, close_table, {who_is_one, UNIT_ROWS(pairs)}, {debts_are_not_forgotten, 0},
          {every_bucket_matters, 0})

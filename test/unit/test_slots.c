// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/work/slots.c: the number of slots that are taken, the bytes that are held, and which slot is evicted
 * for which client. */
#include "work/slots.h"
#include "unit.h"

#include <string.h>

enum { MANY = 300, CLIENTS = 7, ROUNDS = 20000 };

static struct slots slots;
static struct slot some[MANY];

static void open_slots(void)
{
    memset(&slots, 0, sizeof slots);
    memset(some, 0, sizeof some);
}

static void close_slots(void)
{
    slots_fini(&slots);
    ck_assert_uint_eq(slots.count, 0);
    ck_assert_ptr_null(slots.clients);
}

static struct digest key_of(int client)
{
    return (struct digest){{(uint64_t)client, 5}};
}

static void enter(int which, int client)
{
    const struct digest key = key_of(client);
    ck_assert(slots_enter(&slots, &some[which], &key));
    ck_assert_ptr_nonnull(some[which].client);
}

static void leave(int which)
{
    slots_leave(&slots, &some[which]);
    ck_assert_ptr_null(some[which].client);
}

static void expect(int client, int which)
{
    const struct digest key = key_of(client);
    ck_assert_ptr_eq(slots_find_evictable(&slots, &key), &some[which]);
}

static void expect_none(int client)
{
    const struct digest key = key_of(client);
    ck_assert_ptr_null(slots_find_evictable(&slots, &key));
}

START_TEST(empty_at_first)
{
    expect_none(1);
    leave(0);
    ck_assert_uint_eq(slots.count, 0);
}
END_TEST

START_TEST(two_more_than_the_other)
{
    enter(0, 1);
    expect_none(2);
    enter(1, 1);
    expect(2, 1);
    expect_none(1); /* no client evicts its own call */
    enter(2, 2);
    expect_none(2);
    expect(3, 1);
    enter(3, 1);
    expect(2, 3);
    expect_none(1);
}
END_TEST

START_TEST(the_newest_is_evicted)
{
    for (int i = 0; i < 6; i++)
        enter(i, 1);
    leave(5);
    leave(2);
    for (int i = 4; i > 0; i -= i == 3 ? 2 : 1) {
        expect(2, i);
        leave(i);
    }
    expect_none(2);
    enter(5, 1);
    enter(4, 1); /* a slot that enters again is the newest */
    expect(2, 4);
    leave(0);
    leave(5);
    leave(4);
    leave(4);
    expect_none(2);
    ck_assert_uint_eq(slots.count, 0);
    ck_assert_ptr_null(slots.clients);
}
END_TEST

/* Of clients with equally many slots, the one that has had any for longest. */
START_TEST(the_client_with_most)
{
    for (int i = 0; i < 9; i++)
        enter(i, i < 2 ? 1 : i < 6 ? 2 : 3);
    ck_assert_uint_eq(slots.count, 9);
    expect(4, 5);
    leave(2);
    expect(4, 5);
    leave(5);
    expect(4, 8);
    leave(8);
    expect(4, 1);
    expect_none(1);
    leave(0);
    expect(4, 4);
    leave(3);
    leave(4);
    enter(2, 2);
    enter(3, 2);
    expect(4, 7);
}
END_TEST

/* ---- Bytes ---- */

static struct holding holdings[4];

static void hold(int which, int client, size_t bytes)
{
    const struct digest key = key_of(client);
    ck_assert(slots_hold(&slots, &holdings[which], &key, bytes));
    ck_assert_uint_eq(holdings[which].bytes, bytes);
}

static void expect_largest(int client, size_t bytes, const struct slot *slot)
{
    const struct digest key = key_of(client);
    ck_assert_ptr_eq(slots_find_largest(&slots, &key, bytes), slot);
}

START_TEST(bytes_are_counted)
{
    memset(holdings, 0, sizeof holdings);
    slots_recount(&slots, &holdings[0], 10); /* not in the table */
    slots_let_go(&slots, &holdings[0]);
    ck_assert_uint_eq(slots.bytes, 0);
    hold(0, 1, 100);
    hold(1, 2, 50);
    hold(0, 1, 70);
    slots_recount(&slots, &holdings[1], 60);
    ck_assert_uint_eq(slots.bytes, 130);
    enter(0, 1);
    slots_let_go(&slots, &holdings[0]);
    slots_let_go(&slots, &holdings[0]);
    ck_assert_uint_eq(slots.bytes, 60);
    leave(0);
    slots_let_go(&slots, &holdings[1]);
    ck_assert_uint_eq(slots.bytes, 0);
    ck_assert_ptr_null(slots.clients);
}
END_TEST

/* A client loses its newest slot to one that holds less also with what it needs. */
START_TEST(the_client_with_most_bytes)
{
    memset(holdings, 0, sizeof holdings);
    hold(0, 1, 1000);
    expect_largest(2, 10, NULL); /* it has no slot */
    enter(0, 1);
    enter(1, 1);
    hold(1, 2, 900);
    enter(2, 2);
    enter(3, 2);
    enter(4, 2);
    expect_largest(3, 999, &some[1]);
    expect_largest(3, 1000, NULL);
    expect_largest(2, 99, &some[1]);
    expect_largest(2, 100, NULL);
    expect_largest(1, 1, NULL); /* no client evicts its own call */
    leave(0);
    leave(1);
    expect_largest(3, 10, &some[4]);
    slots_let_go(&slots, &holdings[0]);
    slots_let_go(&slots, &holdings[1]);
    expect_largest(3, 10, NULL);
    leave(2);
    leave(3);
    leave(4);
    ck_assert_ptr_null(slots.clients);
}
END_TEST

/* ---- Against a count that is made anew each time ---- */

static uint32_t state = 1;
static int clients[MANY]; /* 0: not in the table */

static int draw(int among)
{
    state = state * 1664525 + 1013904223;
    return (int)(state >> 8) % among;
}

static size_t count_of(int client)
{
    size_t count = 0;
    for (int i = 0; i < MANY; i++)
        count += clients[i] == client;
    return count;
}

static size_t count_most(void)
{
    size_t max = 0;
    for (int client = 1; client <= CLIENTS; client++)
        max = count_of(client) > max ? count_of(client) : max;
    return max;
}

static void check_evictable(int client)
{
    const struct digest key = key_of(client);
    const struct slot *slot = slots_find_evictable(&slots, &key);
    const size_t max = count_most();
    ck_assert_int_eq(slot != NULL, max >= count_of(client) + 2);
    if (slot)
        ck_assert_uint_eq(count_of(clients[slot - some]), max);
}

/* Some clients come more often than others. */
static void change(int which)
{
    if (clients[which]) {
        leave(which);
        clients[which] = 0;
        return;
    }
    clients[which] = 1 + draw(1 + draw(CLIENTS));
    enter(which, clients[which]);
}

START_TEST(many_that_enter_and_leave)
{
    for (int i = 0; i < ROUNDS; i++) {
        change(draw(MANY));
        check_evictable(1 + draw(CLIENTS));
    }
    ck_assert_uint_eq(slots.count, MANY - count_of(0));
}
END_TEST

UNIT_MAIN("slots", open_slots, close_slots, {empty_at_first, 0}, {two_more_than_the_other, 0},
          {the_newest_is_evicted, 0}, {the_client_with_most, 0}, {bytes_are_counted, 0},
          {the_client_with_most_bytes, 0}, {many_that_enter_and_leave, 0})

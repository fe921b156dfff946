// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/work/slots.c: who holds most places, and which task has to give one away. */
#include "work/slots.h"
#include "unit.h"

#include "call/engine_private.h"

#include <string.h>

enum { MANY = 300, OWNERS = 7, ROUNDS = 20000 };

static struct slots places;
static struct task tasks[MANY];

static void open_places(void)
{
    memset(&places, 0, sizeof places);
    memset(tasks, 0, sizeof tasks);
}

static void close_places(void)
{
    slots_fini(&places);
    ck_assert_uint_eq(places.count, 0);
    ck_assert_ptr_null(places.holders);
    ck_assert_ptr_null(heap_first(&places.ranks));
}

static struct digest key_of(int owner)
{
    return (struct digest){{(uint64_t)owner, 5}};
}

static void enter(int which, int owner)
{
    tasks[which].job.owner = key_of(owner);
    ck_assert(slots_enter(&places, &tasks[which]));
    ck_assert_ptr_nonnull(tasks[which].holder);
}

static void leave(int which)
{
    slots_leave(&places, &tasks[which]);
    ck_assert_ptr_null(tasks[which].holder);
}

static void expect(int owner, int which)
{
    const struct digest key = key_of(owner);
    const struct task *task = slots_greediest(&places, &key);
    ck_assert_ptr_nonnull(task);
    ck_assert_int_eq((int)(task - tasks), which);
}

static void expect_none(int owner)
{
    const struct digest key = key_of(owner);
    ck_assert_ptr_null(slots_greediest(&places, &key));
}

START_TEST(nobody_at_first)
{
    expect_none(1);
    leave(0);
    ck_assert_uint_eq(places.count, 0);
}
END_TEST

START_TEST(two_more_than_the_other)
{
    enter(0, 1);
    expect_none(2);
    enter(1, 1);
    expect(2, 1);
    expect_none(1); /* nobody gives a place to himself */
    enter(2, 2);
    expect_none(2);
    expect(3, 1);
    enter(3, 1);
    expect(2, 3);
    expect_none(1);
}
END_TEST

START_TEST(the_last_to_come_goes_first)
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
    enter(4, 1); /* what comes again is the last */
    expect(2, 4);
    leave(0);
    leave(5);
    leave(4);
    leave(4);
    expect_none(2);
    ck_assert_uint_eq(places.count, 0);
    ck_assert_ptr_null(places.holders);
}
END_TEST

START_TEST(who_has_most)
{
    for (int i = 0; i < 9; i++)
        enter(i, i < 2 ? 1 : i < 6 ? 2 : 3);
    ck_assert_uint_eq(places.count, 9);
    expect(4, 5);
    leave(2);
    expect(4, 8); /* of equals the one who has had as many for longer */
    leave(8);
    expect(4, 5);
    leave(3);
    leave(4);
    expect(4, 1);
    leave(5);
    leave(1);
    expect(4, 7);
    expect_none(1);
}
END_TEST

/* ---- Against a count that is made anew each time ---- */

static uint32_t state = 1;
static int owners[MANY]; /* 0: it has no place */

static int draw(int among)
{
    state = state * 1664525 + 1013904223;
    return (int)(state >> 8) % among;
}

static size_t count_of(const struct digest *owner)
{
    size_t count = 0;
    for (int i = 0; i < MANY; i++)
        count += owners[i] && memcmp(&tasks[i].job.owner, owner, sizeof *owner) == 0;
    return count;
}

static size_t count_most(void)
{
    size_t max = 0;
    for (int owner = 1; owner <= OWNERS; owner++) {
        const struct digest key = key_of(owner);
        const size_t count = count_of(&key);
        max = count > max ? count : max;
    }
    return max;
}

static void check_greediest(int owner)
{
    const struct digest key = key_of(owner);
    const struct task *task = slots_greediest(&places, &key);
    const size_t max = count_most();
    ck_assert_int_eq(task != NULL, max >= count_of(&key) + 2);
    if (task)
        ck_assert_uint_eq(count_of(&task->job.owner), max);
}

/* Some owners come more often than others. */
static void change(int which)
{
    if (owners[which]) {
        leave(which);
        owners[which] = 0;
        return;
    }
    owners[which] = 1 + draw(1 + draw(OWNERS));
    enter(which, owners[which]);
}

START_TEST(whatever_comes_and_goes)
{
    for (int i = 0; i < ROUNDS; i++) {
        change(draw(MANY));
        check_greediest(1 + draw(OWNERS));
    }
    size_t count = 0;
    for (int i = 0; i < MANY; i++)
        count += owners[i] != 0;
    ck_assert_uint_eq(places.count, count);
}
END_TEST

UNIT_MAIN("places", open_places, close_places, {nobody_at_first, 0}, {two_more_than_the_other, 0},
          {the_last_to_come_goes_first, 0}, {who_has_most, 0}, {whatever_comes_and_goes, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/base/heap.c: the heap gives what is key first, in every order of setting, moving and taking out. */
#include "base/heap.h"
#include "unit.h"

#include <string.h>

enum { MANY = 200, ROUNDS = 20000 };

static struct heap timers;
static struct heap_node some[MANY];

static void open_timers(void)
{
    memset(&timers, 0, sizeof timers);
    memset(some, 0, sizeof some);
}

static void close_timers(void)
{
    heap_fini(&timers);
    ck_assert_ptr_null(timers.nodes);
    ck_assert_ptr_null(heap_first(&timers));
}

static void set(int which, uint64_t key)
{
    ck_assert(heap_set(&timers, &some[which], key));
}

static void expect_next(int which)
{
    struct heap_node *first = heap_first(&timers);
    ck_assert_ptr_eq(first, &some[which]);
    heap_remove(&timers, first);
    ck_assert_uint_eq(first->place, 0);
}

static void expect_none(void)
{
    ck_assert_ptr_null(heap_first(&timers));
}

START_TEST(none_at_first)
{
    expect_none();
    heap_remove(&timers, &some[0]);
    expect_none();
}
END_TEST

START_TEST(the_smallest_due_comes_first)
{
    set(0, 30);
    set(1, 10);
    set(2, UINT64_MAX);
    set(3, 0);
    set(4, 20);
    ck_assert_uint_eq(heap_first(&timers)->key, 0);
    expect_next(3);
    expect_next(1);
    expect_next(4);
    expect_next(0);
    expect_next(2);
    expect_none();
}
END_TEST

START_TEST(equal_ones_come_as_they_were_set)
{
    for (int i = 0; i < MANY; i++)
        set((i * 7) % MANY, 5);
    for (int i = 0; i < MANY; i++)
        expect_next((i * 7) % MANY);
    expect_none();
}
END_TEST

START_TEST(one_that_is_set_moves)
{
    for (int i = 0; i < 10; i++)
        set(i, 10 + (uint64_t)i);
    set(9, 0);
    set(0, 100);
    set(5, 15);
    set(3, 14); /* behind the other one of this key */
    expect_next(9);
    expect_next(1);
    expect_next(2);
    expect_next(4);
    expect_next(3);
    heap_remove(&timers, &some[7]);
    heap_remove(&timers, &some[7]);
    expect_next(5);
    expect_next(6);
    expect_next(8);
    expect_next(0);
    expect_none();
}
END_TEST

/* What is left out of the middle leaves the others in order, whatever takes its place. */
START_TEST(any_can_be_taken_out)
{
    for (int out = 0; out < 30; out++) {
        for (int i = 0; i < 30; i++)
            set(i, (uint64_t)(i * 17 % 30)); /* 17 and 23 undo each other */
        heap_remove(&timers, &some[out]);
        for (int key = 0; key < 30; key++)
            if (key != out * 17 % 30)
                expect_next(key * 23 % 30);
        expect_none();
    }
}
END_TEST

/* The last one takes the place of the one that is taken out, below one that it comes before. */
START_TEST(what_takes_a_place_can_rise)
{
    static const uint64_t dues[] = {1, 100, 2, 110, 120, 3};
    for (int i = 0; i < 6; i++)
        set(i, dues[i]);
    heap_remove(&timers, &some[3]);
    set(6, 130);
    expect_next(0);
    expect_next(2);
    expect_next(5);
    expect_next(1);
    expect_next(4);
    expect_next(6);
    expect_none();
}
END_TEST

START_TEST(what_is_cleared_can_be_set_again)
{
    set(0, 1);
    set(1, 2);
    heap_fini(&timers);
    ck_assert_uint_eq(some[0].place, 0);
    ck_assert_uint_eq(some[1].place, 0);
    set(1, 2);
    expect_next(1);
    expect_none();
}
END_TEST

static uint32_t draw(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static const struct heap_node *first_by_search(void)
{
    const struct heap_node *first = NULL;
    for (int i = 0; i < MANY; i++) {
        const struct heap_node *timer = &some[i];
        if (timer->place &&
            (!first || timer->key < first->key || (timer->key == first->key && timer->order < first->order)))
            first = timer;
    }
    return first;
}

START_TEST(as_if_all_were_looked_at)
{
    uint32_t state = 1;
    for (int i = 0; i < ROUNDS; i++) {
        const int which = (int)(draw(&state) % MANY);
        if (draw(&state) % 3)
            set(which, draw(&state) % 100);
        else
            heap_remove(&timers, &some[which]);
        ck_assert_ptr_eq(heap_first(&timers), first_by_search());
    }
}
END_TEST

UNIT_MAIN("timers", open_timers, close_timers, {none_at_first, 0}, {the_smallest_due_comes_first, 0},
          {equal_ones_come_as_they_were_set, 0}, {one_that_is_set_moves, 0}, {any_can_be_taken_out, 0},
          {what_takes_a_place_can_rise, 0}, {what_is_cleared_can_be_set_again, 0},
          {as_if_all_were_looked_at, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/base/heap.c: the first node is the one with the smallest key, however nodes are set and removed. */
#include "base/heap.h"
#include "unit.h"

#include <string.h>

enum { MANY = 200, ROUNDS = 20000 };

static struct heap heap;
static struct heap_node some[MANY];

static void open_heap(void)
{
    memset(&heap, 0, sizeof heap);
    memset(some, 0, sizeof some);
}

static void close_heap(void)
{
    heap_fini(&heap);
    ck_assert_ptr_null(heap.nodes);
    ck_assert_ptr_null(heap_first(&heap));
}

static void set(int which, uint64_t key)
{
    ck_assert(heap_set(&heap, &some[which], key));
}

static void expect_next(int which)
{
    struct heap_node *first = heap_first(&heap);
    ck_assert_ptr_eq(first, &some[which]);
    heap_remove(&heap, first);
    ck_assert_uint_eq(first->position, 0);
}

static void expect_none(void)
{
    ck_assert_ptr_null(heap_first(&heap));
}

START_TEST(none_at_first)
{
    expect_none();
    heap_remove(&heap, &some[0]);
    expect_none();
}
END_TEST

START_TEST(the_smallest_key_comes_first)
{
    set(0, 30);
    set(1, 10);
    set(2, UINT64_MAX);
    set(3, 0);
    set(4, 20);
    ck_assert_uint_eq(heap_first(&heap)->key, 0);
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
    set(3, 14); /* behind the other node of this key */
    expect_next(9);
    expect_next(1);
    expect_next(2);
    expect_next(4);
    expect_next(3);
    heap_remove(&heap, &some[7]);
    heap_remove(&heap, &some[7]);
    expect_next(5);
    expect_next(6);
    expect_next(8);
    expect_next(0);
    expect_none();
}
END_TEST

/* The others stay in order when a node is removed from the middle. */
START_TEST(any_can_be_removed)
{
    for (int out = 0; out < 30; out++) {
        for (int i = 0; i < 30; i++)
            set(i, (uint64_t)(i * 17 % 30)); /* 17 and 23 undo each other */
        heap_remove(&heap, &some[out]);
        for (int key = 0; key < 30; key++)
            if (key != out * 17 % 30)
                expect_next(key * 23 % 30);
        expect_none();
    }
}
END_TEST

/* The last node replaces the one that is removed, and its new parent comes after it. */
START_TEST(the_replacement_can_rise)
{
    static const uint64_t keys[] = {1, 100, 2, 110, 120, 3};
    for (int i = 0; i < 6; i++)
        set(i, keys[i]);
    heap_remove(&heap, &some[3]);
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

START_TEST(a_node_can_be_set_again_after_fini)
{
    set(0, 1);
    set(1, 2);
    heap_fini(&heap);
    ck_assert_uint_eq(some[0].position, 0);
    ck_assert_uint_eq(some[1].position, 0);
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
        const struct heap_node *node = &some[i];
        if (node->position &&
            (!first || node->key < first->key || (node->key == first->key && node->order < first->order)))
            first = node;
    }
    return first;
}

START_TEST(as_a_search_of_all_nodes)
{
    uint32_t state = 1;
    for (int i = 0; i < ROUNDS; i++) {
        const int which = (int)(draw(&state) % MANY);
        if (draw(&state) % 3)
            set(which, draw(&state) % 100);
        else
            heap_remove(&heap, &some[which]);
        ck_assert_ptr_eq(heap_first(&heap), first_by_search());
    }
}
END_TEST

UNIT_MAIN("heap", open_heap, close_heap, {none_at_first, 0}, {the_smallest_key_comes_first, 0},
          {equal_ones_come_as_they_were_set, 0}, {one_that_is_set_moves, 0}, {any_can_be_removed, 0},
          {the_replacement_can_rise, 0}, {a_node_can_be_set_again_after_fini, 0},
          {as_a_search_of_all_nodes, 0})

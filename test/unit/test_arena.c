// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/base/arena.c: allocations are aligned, zeroed, do not overlap and are freed together. */
#include "unit.h"

#include "base/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static struct arena arena;

static void open_arena(void)
{
    memset(&arena, 0xAA, sizeof arena);
    arena_init(&arena);
}

static void close_arena(void)
{
    arena_fini(&arena);
    arena_fini(&arena); /* clearing an empty one does nothing */
}

static bool holds(const unsigned char *piece, size_t size, int with)
{
    for (size_t i = 0; i < size; i++) {
        if (piece[i] != with)
            return false;
    }
    return true;
}

/* Allocates memory, which must be zero and aligned, and fills it. */
static unsigned char *take(size_t size, int with)
{
    unsigned char *piece = arena_alloc(&arena, size);
    ck_assert_ptr_nonnull(piece);
    ck_assert_uint_eq((uintptr_t)piece % alignof(max_align_t), 0);
    ck_assert(holds(piece, size, 0));
    memset(piece, with, size);
    return piece;
}

static const size_t sizes[] = {0,    1,    7,    15,   16,   17,   100,  1000,
                               2047, 2048, 2049, 4095, 4096, 4097, 5000, 70000};

/* Allocations of one size do not overlap. */
START_TEST(keeps_pieces_apart)
{
    enum { PIECES = 100 };
    unsigned char *pieces[PIECES];
    for (int i = 0; i < PIECES; i++)
        pieces[i] = take(sizes[_i], i + 1);
    for (int i = 0; i < PIECES; i++)
        ck_assert(holds(pieces[i], sizes[_i], i + 1));
}
END_TEST

/* Allocations of all sizes in turn. */
START_TEST(mixes_sizes)
{
    unsigned char *pieces[10][UNIT_ROWS(sizes)];
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < UNIT_ROWS(sizes); i++)
            pieces[round][i] = take(sizes[i], 1 + round * UNIT_ROWS(sizes) + i);
    }
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < UNIT_ROWS(sizes); i++)
            ck_assert(holds(pieces[round][i], sizes[i], 1 + round * UNIT_ROWS(sizes) + i));
    }
}
END_TEST

START_TEST(empty_pieces_are_distinct)
{
    ck_assert_ptr_ne(take(0, 0), take(0, 0));
}
END_TEST

START_TEST(starts_without_the_heap)
{
    while (arena.end - arena.free >= 64) {
        const unsigned char *piece = take(64, 1);
        ck_assert(piece >= (unsigned char *)arena.first);
        ck_assert(piece < (unsigned char *)arena.first + ARENA_FIRST);
    }
    ck_assert_ptr_null(arena.blocks);
    take(128, 1);
    ck_assert_ptr_nonnull(arena.blocks);
}
END_TEST

/* A large allocation does not waste the rest of the current block. */
START_TEST(large_pieces_leave_the_block)
{
    const unsigned char *before = take(16, 1);
    take(100000, 2);
    ck_assert_ptr_eq(take(16, 3), before + 16);
}
END_TEST

START_TEST(refuses_what_cannot_be)
{
    /* Volatile: else the compiler warns that these cannot be. */
    static const volatile size_t impossible[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX / 2 + 1};
    for (size_t i = 0; i < sizeof impossible / sizeof impossible[0]; i++)
        ck_assert_ptr_null(arena_alloc(&arena, impossible[i]));
    take(16, 1);
}
END_TEST

START_TEST(copies_and_formats)
{
    ck_assert_str_eq(arena_copy(&arena, "abcdef", 3), "abc");
    ck_assert_str_eq(arena_copy(&arena, "", 0), "");
    ck_assert_str_eq(arena_copy(&arena, NULL, 0), "");
    ck_assert_mem_eq(arena_copy(&arena, "a\0b", 3), "a\0b", 4);
    ck_assert_str_eq(arena_printf(&arena, "%s-%d", "x", 5), "x-5");
    ck_assert_str_eq(arena_printf(&arena, "%s", ""), "");
    const char *wide = arena_printf(&arena, "%*d", 9000, 7);
    ck_assert_uint_eq(strlen(wide), 9000);
}
END_TEST

START_TEST(clears_and_starts_again)
{
    take(5000, 1);
    take(100, 1);
    arena_fini(&arena);
    ck_assert_ptr_null(arena.blocks);
    ck_assert_ptr_eq(take(100, 1), (unsigned char *)arena.first);
}
END_TEST

UNIT_MAIN("arena", open_arena, close_arena, {keeps_pieces_apart, UNIT_ROWS(sizes)}, {mixes_sizes, 0},
          {empty_pieces_are_distinct, 0}, {starts_without_the_heap, 0}, {large_pieces_leave_the_block, 0},
          {refuses_what_cannot_be, 0}, {copies_and_formats, 0}, {clears_and_starts_again, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Memory that is allocated piece by piece and freed as a whole, at the end of a call. The first block is
 * part of the arena, so that an ordinary call asks the C library for one piece of memory: itself.
 *
 * Threads: one thread at a time uses an arena.
 *
 * Ownership: the arena owns every piece until arena_fini(). An arena must not be moved in memory.
 *
 * Failure: NULL means that there is no memory. The arena is as it was before.
 *
 * In builds for fuzzing (RPC_TIGHT_ARENAS) each piece is asked of the C library, so that a sanitizer sees the
 * ends of all pieces, and any of them can fail.
 */
#ifndef CORE_BASE_ARENA_H
#define CORE_BASE_ARENA_H

#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>

enum {
    ARENA_UNIT = alignof(max_align_t), /* the size of each piece is a multiple of it */
#ifdef RPC_TIGHT_ARENAS
    ARENA_FIRST = ARENA_UNIT,
    ARENA_BLOCK = 0
#else
    ARENA_FIRST = 2048, /* bytes in the arena itself: more than a usual call needs */
    ARENA_BLOCK = 4096  /* bytes of further blocks; a larger piece gets one of its own */
#endif
};

struct arena_block;

struct arena {
    struct arena_block *blocks; /* the newest first */
    char *free, *end;           /* what is left of the newest */
    size_t bytes;               /* of all blocks */
    alignas(max_align_t) char first[ARENA_FIRST];
};

/* Makes an empty arena of uninitialised memory. */
void arena_init(struct arena *arena);

/* Frees all that was allocated. The arena is empty afterwards. */
void arena_fini(struct arena *arena);

/* Like arena_take(), out of a new block; size is not 0. */
void *arena_take_more(struct arena *arena, size_t size);

/* size bytes, not initialised, aligned for any type; 0 counts as 1. */
static inline void *arena_take(struct arena *arena, size_t size)
{
    char *memory = arena->free;
    size += !size;
    if (size > (size_t)(arena->end - memory))
        return arena_take_more(arena, size);
    arena->free += (size + ARENA_UNIT - 1) / ARENA_UNIT * ARENA_UNIT;
    return memory;
}

/* Likewise, zeroed. */
void *arena_alloc(struct arena *arena, size_t size);

/* A copy of size bytes with a NUL after them. */
char *arena_copy(struct arena *arena, const char *text, size_t size);

/* A formatted string. NULL also if the format failed. */
char *arena_vprintf(struct arena *arena, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

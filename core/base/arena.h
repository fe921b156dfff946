// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Memory that is allocated piece by piece and freed as a whole, at the end of a call. The first block is
 * part of the arena, so that an ordinary call asks the C library for one piece of memory: itself.
 */
#ifndef CORE_ARENA_H
#define CORE_ARENA_H

#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>

enum { ARENA_FIRST = 2048 }; /* bytes in the arena itself: more than a usual call needs */

struct arena_block;

struct arena {
    struct arena_block *blocks; /* the newest first */
    char *free, *end;           /* what is left of the newest */
    alignas(max_align_t) char first[ARENA_FIRST];
};

/* Makes an empty arena of uninitialised memory. */
void arena_init(struct arena *arena);

/* Frees all that was allocated. The arena is empty afterwards. */
void arena_fini(struct arena *arena);

/* size bytes, zeroed, aligned for any type; 0 counts as 1. NULL: no memory. */
void *arena_alloc(struct arena *arena, size_t size);

/* A copy of size bytes with a NUL after them. NULL: no memory. */
char *arena_copy(struct arena *arena, const char *text, size_t size);

/* A formatted string. NULL: no memory, or the format failed. */
char *arena_vprintf(struct arena *arena, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif

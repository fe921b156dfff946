// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* An arena: see arena.h. Small pieces share blocks; a piece larger than a block gets one of its own. */
#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
    struct arena_block *next;
    alignas(max_align_t) char memory[];
};

void arena_init(struct arena *arena)
{
    arena->blocks = NULL;
    arena->free = arena->first;
    arena->end = arena->first + sizeof arena->first;
    arena->bytes = 0;
}

void arena_fini(struct arena *arena)
{
    if (!arena->blocks) {
        arena->free = arena->first; /* nothing else has changed */
        return;
    }
    while (arena->blocks) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
    arena_init(arena);
}

void *arena_take_more(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    const size_t rounded = (size + ARENA_UNIT - 1) / ARENA_UNIT * ARENA_UNIT;
    const bool is_large = rounded > ARENA_BLOCK;
    const size_t room = sizeof(struct arena_block) + (is_large ? rounded : ARENA_BLOCK);
    struct arena_block *block = malloc(room);
    if (!block)
        return NULL;
    arena->bytes += room;
    block->next = arena->blocks;
    arena->blocks = block;
    if (!is_large) {
        arena->free = block->memory + rounded;
        arena->end = block->memory + ARENA_BLOCK;
    }
    return block->memory;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    void *memory = arena_take(arena, size);
    return memory ? memset(memory, 0, size) : NULL;
}

char *arena_copy(struct arena *arena, const char *text, size_t size)
{
    char *copy = arena_take(arena, size + 1);
    if (!copy)
        return NULL;
    if (size)
        memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

char *arena_vprintf(struct arena *arena, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    char *text = length < 0 ? NULL : arena_take(arena, (size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = arena_vprintf(arena, format, arguments);
    va_end(arguments);
    return text;
}

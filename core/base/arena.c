// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* An arena: see arena.h. Small pieces share blocks; a piece larger than a block gets one of its own. */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096 };

struct arena_block {
    struct arena_block *next;
    alignas(max_align_t) char memory[];
};

void arena_init(struct arena *arena)
{
    arena->blocks = NULL;
    arena->free = arena->first;
    arena->end = arena->first + sizeof arena->first;
}

void arena_fini(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
    arena_init(arena);
}

static void *take(struct arena *arena, size_t size)
{
    char *memory = arena->free;
    arena->free += size;
    return memset(memory, 0, size);
}

static struct arena_block *add_block(struct arena *arena, size_t size)
{
    struct arena_block *block = malloc(sizeof *block + size);
    if (!block)
        return NULL;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    const size_t unit = alignof(max_align_t);
    if (size > SIZE_MAX / 2)
        return NULL;
    size = size ? (size + unit - 1) / unit * unit : unit;
    if (size <= (size_t)(arena->end - arena->free))
        return take(arena, size);

    struct arena_block *block = add_block(arena, size > BLOCK ? size : BLOCK);
    if (!block)
        return NULL;
    if (size > BLOCK)
        return memset(block->memory, 0, size);
    arena->free = block->memory;
    arena->end = block->memory + BLOCK;
    return take(arena, size);
}

char *arena_copy(struct arena *arena, const char *text, size_t size)
{
    char *copy = arena_alloc(arena, size + 1);
    if (copy && size)
        memcpy(copy, text, size);
    return copy;
}

char *arena_vprintf(struct arena *arena, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    char *text = length < 0 ? NULL : arena_alloc(arena, (size_t)length + 1);
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

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A heap of heap: see heap.h. */
#include "base/heap.h"

#include <stdlib.h>

enum { FIRST_ROOM = 16 };

static struct heap_node **at(const struct heap *heap, size_t place)
{
    return &heap->nodes[place - 1];
}

static bool is_before(const struct heap_node *one, const struct heap_node *other)
{
    return one->key != other->key ? one->key < other->key : one->order < other->order;
}

static void put(struct heap *heap, size_t place, struct heap_node *node)
{
    *at(heap, place) = node;
    node->place = place;
}

static void rise(struct heap *heap, struct heap_node *node)
{
    size_t place = node->place;
    for (; place > 1 && is_before(node, *at(heap, place / 2)); place /= 2)
        put(heap, place, *at(heap, place / 2));
    put(heap, place, node);
}

/* The earlier one of the two below a place; 0: there is none below. */
static size_t earlier_below(const struct heap *heap, size_t place)
{
    const size_t left = 2 * place;
    if (left > heap->count)
        return 0;
    const bool is_right = left < heap->count && is_before(*at(heap, left + 1), *at(heap, left));
    return is_right ? left + 1 : left;
}

static void sink(struct heap *heap, struct heap_node *node)
{
    size_t place = node->place;
    size_t below = earlier_below(heap, place);
    while (below && is_before(*at(heap, below), node)) {
        put(heap, place, *at(heap, below));
        place = below;
        below = earlier_below(heap, place);
    }
    put(heap, place, node);
}

static bool make_room(struct heap *heap)
{
    if (heap->count < heap->room)
        return true;
    const size_t room = heap->room ? 2 * heap->room : FIRST_ROOM;
    struct heap_node **nodes = realloc(heap->nodes, room * sizeof *nodes);
    if (!nodes)
        return false;
    heap->nodes = nodes;
    heap->room = room;
    return true;
}

bool heap_set(struct heap *heap, struct heap_node *node, uint64_t key)
{
    if (!node->place && !make_room(heap))
        return false;
    if (!node->place)
        put(heap, ++heap->count, node);
    node->key = key;
    node->order = ++heap->sets;
    rise(heap, node);
    sink(heap, node);
    return true;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    const size_t place = node->place;
    if (!place)
        return;
    struct heap_node *last = *at(heap, heap->count--);
    node->place = 0;
    if (last == node)
        return;
    put(heap, place, last);
    rise(heap, last);
    sink(heap, last);
}

struct heap_node *heap_first(const struct heap *heap)
{
    return heap->count ? heap->nodes[0] : NULL;
}

void heap_fini(struct heap *heap)
{
    for (size_t i = 0; i < heap->count; i++)
        heap->nodes[i]->place = 0;
    free(heap->nodes);
    *heap = (struct heap){0};
}

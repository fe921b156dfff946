// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* An intrusive binary min-heap: see heap.h. */
#include "base/heap.h"

#include <stdlib.h>

enum { HEAP_MIN_ROOM = 16 };

static struct heap_node *heap_at(const struct heap *heap, size_t position)
{
    return heap->nodes[position - 1];
}

static bool heap_is_before(const struct heap_node *one, const struct heap_node *other)
{
    return one->key != other->key ? one->key < other->key : one->order < other->order;
}

static void heap_put(struct heap *heap, size_t position, struct heap_node *node)
{
    heap->nodes[position - 1] = node;
    node->position = position;
}

/* Moves a node up until its parent comes before it, then down until it comes before its children. */
static void heap_restore(struct heap *heap, struct heap_node *node)
{
    size_t position = node->position;
    for (; position > 1 && heap_is_before(node, heap_at(heap, position / 2)); position /= 2)
        heap_put(heap, position, heap_at(heap, position / 2));
    for (size_t child; (child = 2 * position) <= heap->count; position = child) {
        if (child < heap->count && heap_is_before(heap_at(heap, child + 1), heap_at(heap, child)))
            child++;
        if (!heap_is_before(heap_at(heap, child), node))
            break;
        heap_put(heap, position, heap_at(heap, child));
    }
    heap_put(heap, position, node);
}

bool heap_set(struct heap *heap, struct heap_node *node, uint64_t key)
{
    if (!node->position && heap->count == heap->room) {
        const size_t room = heap->room ? 2 * heap->room : HEAP_MIN_ROOM;
        struct heap_node **nodes = realloc(heap->nodes, room * sizeof *nodes);
        if (!nodes)
            return false;
        heap->nodes = nodes;
        heap->room = room;
    }
    if (!node->position)
        heap_put(heap, ++heap->count, node);
    node->key = key;
    node->order = ++heap->sets;
    heap_restore(heap, node);
    return true;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    const size_t position = node->position;
    if (!position)
        return;
    struct heap_node *last = heap_at(heap, heap->count--);
    node->position = 0;
    if (last == node)
        return;
    heap_put(heap, position, last);
    heap_restore(heap, last);
}

void heap_fini(struct heap *heap)
{
    for (size_t i = 0; i < heap->count; i++)
        heap->nodes[i]->position = 0;
    free(heap->nodes);
    *heap = (struct heap){0};
}

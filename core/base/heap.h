// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * An intrusive binary min-heap of 64-bit keys. Nodes of equal keys come in the order in which they were set.
 *
 * Threads: a heap has no lock: it belongs to one thread.
 *
 * Ownership: the caller embeds the nodes, and neither moves nor frees one that is set. The heap owns its
 * array of pointers to nodes; heap_fini() frees it.
 *
 * Failure: heap_set() may fail for lack of memory when it adds a node, and then has changed nothing.
 * Everything else needs no memory.
 */
#ifndef CORE_BASE_HEAP_H
#define CORE_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: not set. */
struct heap_node {
    uint64_t key;
    /* The heap's own. */
    uint64_t order;  /* nodes of equal keys are ordered by it */
    size_t position; /* in the heap, from 1; 0: not set */
};

/* All zero: empty. */
struct heap {
    struct heap_node **nodes;
    size_t count, room;
    uint64_t sets; /* calls of heap_set() that have succeeded */
};

/*
 * Adds a node, or gives a node that is set a new key. The node comes after all others of the same key.
 * Returns false when there is no memory to add it. A node that is set always gets its new key.
 */
bool heap_set(struct heap *heap, struct heap_node *node, uint64_t key);

/* Removes a node. Does nothing if it is not set. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* Returns the first node, which stays in the heap; NULL: the heap is empty. */
static inline struct heap_node *heap_first(const struct heap *heap)
{
    return heap->count ? heap->nodes[0] : NULL;
}

/* Removes all nodes and frees the array. The heap is empty afterwards and can be used again. */
void heap_fini(struct heap *heap);

#endif

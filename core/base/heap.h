// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Which of many moments comes first: a binary heap of heap that lie in the structs of their owners. It
 * knows no clock: a key is a number, and whoever keeps the heap compares it with what it likes.
 *
 * A heap and its heap belong to one thread, or to one lock.
 */
#ifndef CORE_BASE_HEAP_H
#define CORE_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded by its owner. All zero: not set. A node that is set must neither move nor be freed. */
struct heap_node {
    uint64_t key;
    /* The heap's own. */
    uint64_t order; /* among heap of the same key: that in which they were set */
    size_t place;   /* in the heap, from 1; 0: it is not set */
};

/* All zero: none is set. */
struct heap {
    struct heap_node **nodes;
    size_t count, room;
    uint64_t sets;
};

/*
 * Sets a node, or moves one that is set; it then comes behind all others of the same key. Returns false when
 * there is no memory: nothing has changed then. Moving always works.
 */
bool heap_set(struct heap *heap, struct heap_node *node, uint64_t key);

/* Takes a node out; one that is not set stays so. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* The node with the smallest key, which stays set; of equal ones the one that was set first. NULL: none. */
struct heap_node *heap_first(const struct heap *heap);

/* Frees the heap, which is empty afterwards; the heap in it are no longer set. */
void heap_fini(struct heap *heap);

#endif

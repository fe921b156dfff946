// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Who holds how many of the places in which calls wait, for a worker or for something to happen. There are
 * only so many; when all are taken, whoever holds most of them has to give one to whoever holds fewer, so
 * that no client can keep the others out.
 *
 * Each change costs as much as a look into a table and a move in a heap, however many hold places. All of it
 * runs on the broker's thread, in the engine to which the places belong.
 */
#ifndef CORE_PLACES_H
#define CORE_PLACES_H

#include "base/digest.h"
#include "base/heap.h"

#include <stdbool.h>
#include <stddef.h>

struct holder;
struct task;

/* All zero: none is taken. */
struct slots {
    size_t count; /* that are taken */
    struct holder *holders;
    struct heap ranks; /* of holders: the more they hold, the earlier due */
};

/* A task takes a place, in the name of its job's owner. Returns false: no memory, it has none. */
bool slots_enter(struct slots *places, struct task *task);

/* A task gives its place back; without one it stays so. */
void slots_leave(struct slots *places, struct task *task);

/*
 * The task that has to give its place to one of this owner's: the last to come of the holder who has most, of
 * equal ones of the one who has had so many for longest. NULL: nobody has at least two more than this owner.
 */
struct task *slots_greediest(const struct slots *places, const struct digest *owner);

/* Frees all records, also those of tasks that never give their places back. */
void slots_fini(struct slots *places);

#endif

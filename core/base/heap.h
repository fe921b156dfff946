// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Which of many moments comes first: a binary heap of timers that lie in the structs of their owners. It
 * knows no clock: a due is a number, and whoever keeps the heap compares it with what it likes.
 *
 * A heap and its timers belong to one thread, or to one lock.
 */
#ifndef CORE_TIMERS_H
#define CORE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded by its owner. All zero: not set. A timer that is set must neither move nor be freed. */
struct timer {
    uint64_t due;
    /* The heap's own. */
    uint64_t order; /* among timers of the same due: that in which they were set */
    size_t place;   /* in the heap, from 1; 0: it is not set */
};

/* All zero: none is set. */
struct timers {
    struct timer **heap;
    size_t count, room;
    uint64_t sets;
};

/*
 * Sets a timer, or moves one that is set; it then comes behind all others of the same due. Returns false when
 * there is no memory: nothing has changed then. Moving always works.
 */
bool timers_set(struct timers *timers, struct timer *timer, uint64_t due);

/* Takes a timer out; one that is not set stays so. */
void timers_unset(struct timers *timers, struct timer *timer);

/* The timer with the smallest due, which stays set; of equal ones the one that was set first. NULL: none. */
struct timer *timers_first(const struct timers *timers);

/* Frees the heap, which is empty afterwards; the timers in it are no longer set. */
void timers_clear(struct timers *timers);

#endif

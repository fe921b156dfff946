// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A heap of timers: see timers.h. */
#include "base/heap.h"

#include <stdlib.h>

enum { FIRST_ROOM = 16 };

static struct timer **at(const struct timers *timers, size_t place)
{
    return &timers->heap[place - 1];
}

static bool is_before(const struct timer *one, const struct timer *other)
{
    return one->due != other->due ? one->due < other->due : one->order < other->order;
}

static void put(struct timers *timers, size_t place, struct timer *timer)
{
    *at(timers, place) = timer;
    timer->place = place;
}

static void rise(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;
    for (; place > 1 && is_before(timer, *at(timers, place / 2)); place /= 2)
        put(timers, place, *at(timers, place / 2));
    put(timers, place, timer);
}

/* The earlier one of the two below a place; 0: there is none below. */
static size_t earlier_below(const struct timers *timers, size_t place)
{
    const size_t left = 2 * place;
    if (left > timers->count)
        return 0;
    const bool is_right = left < timers->count && is_before(*at(timers, left + 1), *at(timers, left));
    return is_right ? left + 1 : left;
}

static void sink(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;
    size_t below = earlier_below(timers, place);
    while (below && is_before(*at(timers, below), timer)) {
        put(timers, place, *at(timers, below));
        place = below;
        below = earlier_below(timers, place);
    }
    put(timers, place, timer);
}

static bool make_room(struct timers *timers)
{
    if (timers->count < timers->room)
        return true;
    const size_t room = timers->room ? 2 * timers->room : FIRST_ROOM;
    struct timer **heap = realloc(timers->heap, room * sizeof *heap);
    if (!heap)
        return false;
    timers->heap = heap;
    timers->room = room;
    return true;
}

bool timers_set(struct timers *timers, struct timer *timer, uint64_t due)
{
    if (!timer->place && !make_room(timers))
        return false;
    if (!timer->place)
        put(timers, ++timers->count, timer);
    timer->due = due;
    timer->order = ++timers->sets;
    rise(timers, timer);
    sink(timers, timer);
    return true;
}

void timers_unset(struct timers *timers, struct timer *timer)
{
    const size_t place = timer->place;
    if (!place)
        return;
    struct timer *last = *at(timers, timers->count--);
    timer->place = 0;
    if (last == timer)
        return;
    put(timers, place, last);
    rise(timers, last);
    sink(timers, last);
}

struct timer *timers_first(const struct timers *timers)
{
    return timers->count ? timers->heap[0] : NULL;
}

void timers_clear(struct timers *timers)
{
    for (size_t i = 0; i < timers->count; i++)
        timers->heap[i]->place = 0;
    free(timers->heap);
    *timers = (struct timers){0};
}

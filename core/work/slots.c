// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Who holds how many places: see places.h. */
#define HASH_NONFATAL_OOM 1

#include "work/slots.h"

#include "call/engine_private.h"

#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

/* An owner, while some of its tasks hold places. */
struct holder {
    struct digest key;
    struct task *tasks; /* the first to come first */
    size_t count;
    struct heap_node rank;
    UT_hash_handle hh;
};

static struct holder *find(const struct slots *places, const struct digest *owner)
{
    struct holder *holder;
    HASH_FIND(hh, places->holders, owner, sizeof *owner, holder);
    return holder;
}

static bool rank(struct slots *places, struct holder *holder)
{
    return heap_set(&places->ranks, &holder->rank, UINT64_MAX - holder->count);
}

static bool add(struct slots *places, struct holder *holder)
{
    if (!rank(places, holder))
        return false;
    HASH_ADD(hh, places->holders, key, sizeof holder->key, holder);
    if (holder->hh.tbl)
        return true;
    heap_remove(&places->ranks, &holder->rank);
    return false;
}

static struct holder *find_or_make(struct slots *places, const struct digest *owner)
{
    struct holder *holder = find(places, owner);
    if (holder)
        return holder;
    holder = calloc(1, sizeof *holder);
    if (!holder)
        return NULL;
    holder->key = *owner;
    if (add(places, holder))
        return holder;
    free(holder);
    return NULL;
}

static void end(struct slots *places, struct holder *holder)
{
    heap_remove(&places->ranks, &holder->rank);
    HASH_DEL(places->holders, holder);
    free(holder);
}

bool slots_enter(struct slots *places, struct task *task)
{
    struct holder *holder = find_or_make(places, &task->job.owner);
    if (!holder)
        return false;
    task->holder = holder;
    DL_APPEND2(holder->tasks, task, older, newer);
    places->count++;
    holder->count++;
    (void)rank(places, holder); /* moves it: needs no memory */
    return true;
}

void slots_leave(struct slots *places, struct task *task)
{
    struct holder *holder = task->holder;
    if (!holder)
        return;
    task->holder = NULL;
    DL_DELETE2(holder->tasks, task, older, newer);
    places->count--;
    if (--holder->count)
        (void)rank(places, holder); /* likewise */
    else
        end(places, holder);
}

static size_t count_of(const struct slots *places, const struct digest *owner)
{
    const struct holder *holder = find(places, owner);
    return holder ? holder->count : 0;
}

static struct holder *first(const struct slots *places)
{
    char *rank = (char *)heap_first(&places->ranks);
    return rank ? (struct holder *)(void *)(rank - offsetof(struct holder, rank)) : NULL;
}

struct task *slots_greediest(const struct slots *places, const struct digest *owner)
{
    const struct holder *holder = first(places);
    const bool is_greedy = holder && holder->count >= count_of(places, owner) + 2;
    return is_greedy ? holder->tasks->older : NULL;
}

void slots_fini(struct slots *places)
{
    struct holder *holder, *next;
    HASH_ITER(hh, places->holders, holder, next)
    {
        end(places, holder);
    }
    heap_fini(&places->ranks);
    places->count = 0;
}

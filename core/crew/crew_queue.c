// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Jobs that wait for a worker: see crew_queue.h. A key is a digest: any part of it is a hash. */
#define HASH_FUNCTION(key, length, hash) \
    (hash) = (unsigned)((const struct digest *)(const void *)(key))->halves[0]

#include "crew/crew_queue.h"

#include <stdlib.h>
#include <utlist.h>

/* ---- Owners ---- */

/* NULL: no memory. */
static struct crew_owner *queues_meet_owner(struct crew_queues *queues, const struct digest *key)
{
    struct crew_owner *owner;
    HASH_FIND(hh, queues->owners, key, sizeof *key, owner);
    if (owner)
        return owner;
    owner = calloc(1, sizeof *owner);
    if (!owner)
        return NULL;
    owner->key = *key;
    owner->turn = queues->turn;
    HASH_ADD(hh, queues->owners, key, sizeof owner->key, owner);
    if (owner->hh.tbl)
        return owner;
    free(owner);
    return NULL;
}

static void queues_free_owner(struct crew_queues *queues, struct crew_owner *owner)
{
    if (owner->jobs)
        return;
    HASH_DEL(queues->owners, owner);
    free(owner);
}

void queues_set_turn(struct crew_queues *queues, struct crew_queue *queue)
{
    struct crew_owner *owner = queue->jobs->payer;
    if (queue->payer == owner)
        return;
    const uint64_t last = owner->turn > queues->turn ? owner->turn : queues->turn;
    const uint64_t max = queues->turn + owner->jobs;
    owner->turn = last < max ? last + 1 : max;
    queue->payer = owner;
    queue->turn = owner->turn;
}

/* ---- Queues ---- */

struct crew_queue *queues_find(struct crew_queue *const *table, const struct digest *key)
{
    struct crew_queue *queue;
    HASH_FIND(hh, *table, key, sizeof *key, queue);
    return queue;
}

/* NULL: no memory. */
static struct crew_queue *queues_meet(struct crew_queue **table, const struct digest *key, bool is_lane)
{
    struct crew_queue *queue = queues_find(table, key);
    if (queue)
        return queue;
    queue = calloc(1, sizeof *queue);
    if (!queue)
        return NULL;
    queue->key = *key;
    queue->table = table;
    queue->is_lane = is_lane;
    HASH_ADD(hh, *table, key, sizeof queue->key, queue);
    if (queue->hh.tbl)
        return queue;
    free(queue);
    return NULL;
}

void queues_free(struct crew_queue *queue)
{
    if (queue->jobs || queue->out)
        return;
    HASH_DEL(*queue->table, queue);
    free(queue);
}

/* Finds what a job that comes again is to stand in front of. In a lane it passes only others that have come
 * again, which are no more than one worker had. NULL: it is the last one. */
static struct crew_job *queues_find_later(const struct crew_queue *queue, uint64_t number)
{
    struct crew_job *later = queue->jobs;
    while (queue->is_lane && later && later->number < number)
        later = later->next;
    return later;
}

bool queues_enter(struct crew_queues *queues, struct crew_queue **table, const struct digest *key,
                  struct crew_job *job, bool again)
{
    struct crew_owner *owner = queues_meet_owner(queues, &job->owner);
    if (!owner)
        return false;
    struct crew_queue *queue = queues_meet(table, key, job->has_lane);
    if (!queue) {
        queues_free_owner(queues, owner);
        return false;
    }
    struct crew_job *later = again ? queues_find_later(queue, job->number) : NULL;
    if (later)
        DL_PREPEND_ELEM(queue->jobs, later, job);
    else
        DL_APPEND(queue->jobs, job);
    job->queue = queue;
    job->payer = owner;
    owner->jobs++;
    queues->jobs++;
    return true;
}

void queues_leave(struct crew_queues *queues, struct crew_job *job)
{
    struct crew_queue *queue = job->queue;
    DL_DELETE(queue->jobs, job);
    queues->jobs--;
    job->payer->jobs--;
    if (!queue->jobs)
        queue->payer = NULL;
    queues_free_owner(queues, job->payer);
    job->payer = NULL;
}

void queues_take(struct crew_queues *queues, struct crew_queue *queue)
{
    if (queue->turn > queues->turn)
        queues->turn = queue->turn;
    queue->payer = NULL;
    queues_leave(queues, queue->jobs);
}

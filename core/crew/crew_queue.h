// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The jobs of a crew that wait for a worker, and whose turn it is. They wait in queues. A queue is a lane, or
 * has the jobs of one owner and one method that have no lane. Which worker a queue waits for is the business
 * of crew.c.
 *
 * Turns: a queue that waits has a turn, a number. Of the queues that can go, the one with the lowest turn is
 * next. The owner of the queue's first job pays for the turn: it comes after the owner's last one and after
 * the last turn that was taken, but by no more than the owner has jobs that wait. So owners go one after
 * another, however many methods and lanes each of them uses.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: the caller embeds jobs, and neither moves nor frees one that is in a crew. The tables own queues
 * and records of owners, which exist as long as a job needs them.
 *
 * Failure: queues_enter() needs memory, and changes nothing when there is none. Everything else needs none.
 */
#ifndef CORE_CREW_CREW_QUEUE_H
#define CORE_CREW_CREW_QUEUE_H

#define HASH_NONFATAL_OOM 1

#include "base/digest.h"
#include "base/heap.h"

#include <stdbool.h>
#include <uthash.h>

struct crew_offer;
struct crew_owner;
struct crew_queue;
struct crew_worker;

/* A call that a worker is to carry out. */
struct crew_job {
    /* Set by the caller before crew_submit(), and not changed while the job is in the crew. */
    const void *method;  /* which workers can offer; the crew only compares it */
    bool has_lane;       /* jobs of one lane go out in the order in which they were submitted */
    struct digest lane;  /* if it has one */
    struct digest owner; /* its client: owners take turns */
    uint64_t avoid;      /* the number of a worker that gets it only if no other one can; 0: none */

    struct crew_worker *worker; /* the one that has it; NULL: it waits, or is not in the crew */

    /* The crew's own. crew_submit() initialises them. */
    struct crew_job *prev, *next; /* in its queue while it waits, in its worker's jobs while it is out */
    struct crew_offer *offer;     /* of its method, while it is in the crew */
    struct crew_queue *queue;     /* while it waits; of a lane also while it is out */
    struct crew_owner *payer;     /* while it waits */
    uint64_t number;              /* jobs of a lane wait in the order of their numbers */
};

/* An owner of jobs that wait. */
struct crew_owner {
    struct digest key;
    size_t jobs;   /* that wait */
    uint64_t turn; /* the last one that it has paid for */
    UT_hash_handle hh;
};

/* It exists while it has jobs or, of a lane, while jobs of it are out. */
struct crew_queue {
    struct digest key;         /* of the lane, or of the owner */
    struct crew_queue **table; /* which it is in */
    struct crew_job *jobs;     /* that wait, the first one first */
    struct crew_owner *payer;  /* who has paid for the turn, the first job's owner; NULL: it is taken */
    uint64_t turn;
    bool is_lane;

    /* crew.c's own, all zero at first. */
    size_t out;                 /* of a lane: its jobs that a worker has */
    struct crew_worker *worker; /* which has them */
    struct crew_worker *at;     /* of a lane: the worker for whose credit it waits; NULL: none can get it */
    uint64_t score;             /* of that worker for this lane; 0: `worker` is the only one */
    struct heap *heap;          /* in which it waits; NULL: none */
    struct heap_node node;      /* there */
    struct crew_offer *offer;   /* of a lane: in whose list it is, its first job's */
    struct crew_queue *prev, *next; /* there */
    struct crew_queue *later;       /* in the list of those that wait for memory */
    bool is_late;                   /* it is there */
    UT_hash_handle hh;
};

/* All zero: empty. */
struct crew_queues {
    struct crew_owner *owners;
    uint64_t turn; /* the highest that was taken */
    size_t jobs;   /* that wait */
};

/*
 * Enters a job whose number is set into the queue of this key, which is made if there is none: behind the
 * others; or, with `again`, in front of them, in a lane in front of those of higher numbers. Returns false:
 * no memory.
 */
bool queues_enter(struct crew_queues *queues, struct crew_queue **table, const struct digest *key,
                  struct crew_job *job, bool again);

/* NULL: there is none. */
struct crew_queue *queues_find(struct crew_queue *const *table, const struct digest *key);

/* Takes the queue's first job: it leaves, and the turn is taken. */
void queues_take(struct crew_queues *queues, struct crew_queue *queue);

/* A job leaves its queue. job->queue stays set: queues_free() may free it. */
void queues_leave(struct crew_queues *queues, struct crew_job *job);

/* Makes the owner of the queue's first job pay for a turn, if it has not yet. */
void queues_set_turn(struct crew_queues *queues, struct crew_queue *queue);

/* Frees a queue in which nothing waits or is out; any other one stays. */
void queues_free(struct crew_queue *queue);

#endif

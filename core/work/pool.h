// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Worker threads, and the order in which they run jobs. A job is a function, its data, its owner and its
 * priority; the pool knows nothing of calls. An owner stands for a client.
 *
 * The order of jobs:
 *
 * - The jobs of a lane run one at a time, in the order in which they were submitted, whatever their
 *   priorities. A job is ready when it is the first of its lane, or has no lane. No thread waits for a lane.
 * - Of the jobs that are ready, those of the highest priority begin first. A lower priority has its turn
 *   after it was passed over 4 times (normal) or 16 times (low).
 * - Within a priority the owners take turns. The jobs of one owner and priority begin in the order in which
 *   they became ready.
 *
 * Threads: one thread, the broker's, calls everything here. Work runs on the pool's threads, and calls
 * rpc_is_wanted() and rpc_job_take_next(), which are implemented here. The pool's lock is held for moments,
 * and never while work runs or finished() is called.
 *
 * Ownership: the caller owns a job's memory. A job must neither move nor be freed between pool_submit() and
 * the pool_withdraw() that returns true or the pool_collect() that returns the job.
 *
 * Failure: pool_create() and pool_submit() may fail for lack of memory or threads, and then have changed
 * nothing. Everything else needs no memory.
 */
#ifndef CORE_WORK_POOL_H
#define CORE_WORK_POOL_H

#include "base/digest.h"

#include <mosquitto_rpc.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* At most so many threads replace threads whose work is not wanted any more. */
enum { POOL_SPARES = 16 };

enum pool_stage { POOL_IDLE, POOL_BEHIND, POOL_READY, POOL_RUNNING, POOL_ENDED };

struct pool;
struct pool_queue;

struct rpc_job {
    /* Set by the caller of pool_submit(). The pool only reads them. */
    rpc_work work;
    void *data;
    rpc_priority priority;
    struct digest owner;

    uint64_t waited; /* nanoseconds from pool_submit() until it began or was withdrawn; set by then */

    rpc_job *next;  /* the next one of those that pool_collect() returned */
    rpc_job *begun; /* the next one of those that pool_take_begun() returned */

    /* The pool's own. pool_submit() initialises them. */
    struct pool *pool;
    struct pool_queue *lane;         /* NULL: none */
    rpc_job *lane_prev, *lane_next;  /* in its lane, while it waits or runs */
    struct pool_queue *owners_queue; /* while it waits */
    rpc_job *prev;                   /* with next: in its owner's queue, its group, or the pool's `ended` */
    rpc_job *group;                  /* while it runs: itself and the jobs that its work has taken over */
    rpc_job *leader;                 /* the job in whose group it is */
    uint64_t submitted;              /* nanoseconds of CLOCK_MONOTONIC */
    bool replaced;                   /* its thread does not count as busy */
    enum pool_stage stage;           /* the lock's */
    atomic_bool unwanted;
};

/*
 * Creates a pool of at most so many threads, and POOL_SPARES more (see pool_replace()). Threads are started
 * when a job is ready and no thread is idle. finished() is called with the context after a job has ended: on
 * worker threads, without the lock, at the same time on several of them. It must not wait for the broker's
 * thread. Returns NULL when there is no memory.
 */
struct pool *pool_create(unsigned workers, void (*finished)(void *context), void *context);

/*
 * Submits a job to a lane, or to none (NULL). Returns false when there is no memory, when there is no thread
 * and none can be started, or when the pool has been stopped. The job was not submitted then.
 */
bool pool_submit(struct pool *pool, rpc_job *job, const struct digest *lane);

/*
 * Withdraws a job that was submitted and not collected. Returns true if the job had not begun: it never will.
 * Returns false if the job runs, was taken over, or has ended: it will be collected.
 */
bool pool_withdraw(struct pool *pool, rpc_job *job);

/* Makes rpc_is_wanted() return false to the work of a job that was submitted and not collected. */
void pool_disown(rpc_job *job);

/*
 * Lets another thread replace the thread of a job that runs, if neither the job nor any other of its group is
 * wanted. The replaced thread does not count among the pool's threads until its work returns. At most
 * POOL_SPARES threads are replaced at a time; further ones go on counting. Does nothing to any other job.
 */
void pool_replace(struct pool *pool, rpc_job *job);

/*
 * Takes all jobs that have ended since the last call, linked by next in the order in which they ended. Jobs
 * that were taken over follow the one that took them over. Returns NULL if there are none, without a lock.
 */
rpc_job *pool_collect(struct pool *pool);

/*
 * Takes all jobs that have begun or were taken over since the last call, linked by begun, the latest first.
 * Jobs that pool_collect() returned may be among them: they must stay in memory until this was called.
 */
rpc_job *pool_take_begun(struct pool *pool);

/* What the threads of a pool do. */
struct pool_use {
    unsigned workers;  /* so many may be busy, without those that are replaced */
    unsigned busy;     /* so many run work, */
    unsigned replaced; /* and so many of these are replaced */
};

void pool_look(struct pool *pool, struct pool_use *use);

/*
 * How long a job without a lane would wait if it were submitted now: nanoseconds; 0: a thread is free for it.
 * This is an estimate, by the average time of the work that ended last, and for work that runs longer already
 * by how long it runs. Priorities and owners do not count. Looks at each thread.
 */
uint64_t pool_expected_wait(struct pool *pool);

/* Whether jobs of the lane wait or run. */
bool pool_has_lane(struct pool *pool, const struct digest *lane);

/*
 * Stops the pool: no job can be submitted any more. Waits until no job waits or runs, at most so many
 * nanoseconds, and then ends the threads. Jobs that wait still begin in that time.
 *
 * Returns true if every thread has ended and was joined. Jobs that have ended can be collected. Jobs that
 * still wait, which is possible if the time was short, will never begin and have to be withdrawn.
 *
 * Returns false if some threads still run jobs: these threads are abandoned. Jobs that wait will never begin,
 * and can be withdrawn. The jobs that run, the pool and the code must stay in memory for ever, and
 * pool_destroy() must not be called. When the work of an abandoned thread returns, the thread touches only
 * its job and the pool, and ends. finished() is not called any more.
 *
 * A second call does nothing and returns the same.
 */
bool pool_stop(struct pool *pool, uint64_t nanoseconds);

/*
 * Frees a pool whose pool_stop() has returned true, or that has started no thread. No job may wait in it.
 * Accepts NULL.
 */
void pool_destroy(struct pool *pool);

#endif

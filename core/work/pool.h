// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Worker threads, and the order in which they take what waits. The pool knows nothing of calls: a job is a
 * function, its data, whose it is and how urgent; whoever starts it owns it, and collects it when it has run.
 *
 * Which one is next:
 *
 * - A lane's jobs run one at a time, in the order in which they were started, whatever their priorities.
 *   Only the first of a lane is ready, once the one before has finished: no thread ever waits for a lane.
 * - Of those that are ready the priority decides; one that is passed over too often has its turn all the
 *   same. One that others wait for in its lane is as urgent as the most urgent of them.
 * - Within a priority owners take turns, and each owner's jobs go in the order in which they were started.
 *
 * Thread: everything here is called by one thread, the broker's, but for what says otherwise. The lock is
 * held for moments only, never while work runs.
 */
#ifndef CORE_POOL_H
#define CORE_POOL_H

#include "base/digest.h"

#include <mosquitto_rpc.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pool_stage { POOL_BEHIND = 1, POOL_READY, POOL_RUNNING, POOL_ENDED };

struct pool;
struct lane;
struct share;

struct rpc_job {
    /* Set by whoever starts it; the pool only reads them. */
    rpc_work work;
    void *data;
    rpc_priority priority;
    struct digest owner; /* whose it is: owners take turns */

    /* Links it to the one that finished after it, in what pool_collect() returns. */
    rpc_job *next;

    /* Likewise to one that began before it, in what pool_take_begun() returns. */
    rpc_job *begun;

    /* The pool's own, set when it is started. */
    rpc_job *prev;   /* with next: in its lane behind the first, in its share, or taken over */
    rpc_job *taken;  /* by rpc_job_take_next(), in that order; touched by its thread alone while it runs */
    rpc_job *leader; /* while it runs: the one whose work does it; itself, or what has taken it over */
    bool replaced;   /* its thread does not count, since it is not known to come back */
    struct pool *pool;
    struct lane *lane;   /* NULL: none */
    struct share *share; /* its owner's; while it waits, and while its work runs */
    uint64_t number;     /* they are numbered as they are started */
    rpc_priority raised; /* its own priority, or that of one behind it */
    enum pool_stage stage;
    atomic_bool unwanted;
};

/*
 * A pool of at most so many threads. None is started before there is work, and then another one whenever work
 * is ready and no thread is idle. finished() is called with the context on worker threads, without a lock and
 * at the same time on several of them, after something was put among the finished; it must not wait for the
 * broker's thread. Returns NULL when there is no memory.
 */
struct pool *pool_create(unsigned workers, void (*finished)(void *context), void *context);

/*
 * Starts a job, whose own part need not be initialised. lane: whose it is the turn of, NULL: it needs none.
 * The job must stay where it is until it has been withdrawn or collected. Returns false: no memory, there is
 * no thread and none can be started, or the pool has been stopped. Nothing was started then.
 */
bool pool_submit(struct pool *pool, rpc_job *job, const struct digest *lane);

/*
 * Withdraws a job that was started and not collected. Returns true: it had not begun and never will, it is
 * the caller's again. False: it is running, was taken over, or has finished, and is still to be collected.
 */
bool pool_withdraw(struct pool *pool, rpc_job *job);

/* Nobody waits any longer for a job that was started and not collected: rpc_is_wanted() tells its work. */
void pool_disown(rpc_job *job);

/*
 * Nobody waits any longer for a job that runs, nor for any of those that it does with it: another thread
 * takes the place of its own, which does not count among the threads of the pool until it comes back. There
 * are at most POOL_SPARES more threads that way; what hangs beyond that keeps its place. An owner with such a
 * job has at most POOL_SHARE more threads at work than the pool usually has. A job that does not run, or is
 * wanted, is left as it is.
 */
enum { POOL_SPARES = 16, POOL_SHARE = 4 };
void pool_replace(struct pool *pool, rpc_job *job);

/*
 * Takes all that have finished since the last time, linked by next in the order in which they finished; those
 * that were taken over come behind the one that took them. They are the caller's again. NULL: none, which
 * costs next to nothing to find out.
 */
rpc_job *pool_collect(struct pool *pool);

/*
 * Takes all that have begun, or were taken over, since the last time, linked by begun. What pool_collect()
 * has returned must stay where it is until this has been called, since it is among them. NULL: none.
 */
rpc_job *pool_take_begun(struct pool *pool);

/* How many were started and have not begun. */
size_t pool_waiting(const struct pool *pool);

/*
 * Stops the pool: nothing can be started any more. What waits is still done, so whoever does not want that
 * withdraws it before. Waits until nothing waits or runs, at most so long; then ends the threads.
 * Returns true: every thread has ended and was joined. What has finished can be collected; if there was no
 * time at all, some may still wait, which will never begin and can be withdrawn.
 * False: some threads are still in work. What waited will never begin and can be withdrawn. But what runs,
 * the pool and the code itself must stay for ever: pool_destroy() must not be called. A thread whose work
 * returns later touches only its job and the pool, and ends by itself; finished() is not called any more.
 * Called again, it does nothing and returns the same.
 */
bool pool_stop(struct pool *pool, uint64_t nanoseconds);

/* Frees a pool that pool_stop() has returned true for, or that has never started anything. Accepts NULL. */
void pool_destroy(struct pool *pool);

#endif

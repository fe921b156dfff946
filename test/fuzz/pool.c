// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/work/pool.h without threads, so that an input always does the same: a job begins and ends when the
 * target says so, with the functions of pool.h here, and its work runs when it ends. Linked before the
 * engine, it takes the place of core/work/pool.c.
 */
#include "fuzz_pool.h"

#include "work/pool.h"

#include <stdlib.h>
#include <utlist.h>

/* In lists linked by prev and next; `begun` is linked as pool_take_begun() returns it. */
struct pool {
    unsigned workers, running_count;
    void (*finished)(void *context);
    void *context;
    rpc_job *waiting, *running, *ended, *begun;
    bool stopped;
};

static struct pool *fuzz_pool; /* of the only engine */
static bool at_once;

struct pool *pool_create(unsigned workers, void (*finished)(void *context), void *context)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->workers = workers;
    pool->finished = finished;
    pool->context = context;
    fuzz_pool = pool;
    return pool;
}

void pool_destroy(struct pool *pool)
{
    if (fuzz_pool == pool)
        fuzz_pool = NULL;
    free(pool);
}

/* ---- Lanes ---- */

/* The job's lane is noted in its `lane`, as a number that is no pointer to anything. */
static struct pool_queue *lane_of(const struct digest *lane)
{
    return lane ? (struct pool_queue *)(uintptr_t)(lane->halves[0] | 1) : NULL;
}

static bool is_lane_busy(const struct pool *pool, const rpc_job *job)
{
    const rpc_job *other;
    if (!job->lane)
        return false;
    DL_FOREACH(pool->running, other)
    {
        if (other->lane == job->lane)
            return true;
    }
    DL_FOREACH(pool->waiting, other)
    {
        if (other == job)
            return false;
        if (other->lane == job->lane)
            return true;
    }
    return false;
}

/* ---- Jobs ---- */

static void begin(struct pool *pool, rpc_job *job, rpc_job *leader)
{
    DL_DELETE(pool->waiting, job);
    DL_APPEND(pool->running, job);
    job->stage = POOL_RUNNING;
    job->leader = leader;
    job->begun = pool->begun;
    pool->begun = job;
    pool->running_count += leader == job;
}

/* The work of a job, and of those that it takes over. */
static void end(struct pool *pool, rpc_job *leader)
{
    rpc_job *job, *next;
    leader->work(leader, leader->data);
    DL_FOREACH_SAFE(pool->running, job, next)
    {
        if (job->leader != leader)
            continue;
        DL_DELETE(pool->running, job);
        DL_APPEND(pool->ended, job);
        job->stage = POOL_ENDED;
    }
    pool->running_count -= !leader->replaced;
    pool->finished(pool->context);
}

bool pool_submit(struct pool *pool, rpc_job *job, const struct digest *lane)
{
    if (pool->stopped)
        return false;
    job->pool = pool;
    job->lane = lane_of(lane);
    job->replaced = false;
    job->stage = POOL_READY;
    job->waited = 0;
    atomic_init(&job->unwanted, false);
    DL_APPEND(pool->waiting, job);
    if (at_once)
        fuzz_pool_run();
    return true;
}

bool pool_withdraw(struct pool *pool, rpc_job *job)
{
    if (job->stage != POOL_READY)
        return false;
    DL_DELETE(pool->waiting, job);
    job->stage = POOL_IDLE;
    return true;
}

void pool_disown(rpc_job *job)
{
    atomic_store(&job->unwanted, true);
}

bool rpc_is_wanted(const rpc_job *job)
{
    const rpc_job *other;
    DL_FOREACH(job->pool->running, other)
    {
        if (other->leader == job->leader && !atomic_load(&other->unwanted))
            return true;
    }
    return false;
}

void pool_replace(struct pool *pool, rpc_job *job)
{
    rpc_job *leader = job->leader;
    if (job->stage != POOL_RUNNING || leader->replaced || rpc_is_wanted(job))
        return;
    leader->replaced = true;
    pool->running_count--;
}

void *rpc_job_take_next(rpc_job *job)
{
    rpc_job *next;
    DL_FOREACH(job->pool->waiting, next)
    {
        if (job->lane && next->lane == job->lane)
            break;
    }
    if (!next || next->work != job->work)
        return NULL;
    begin(job->pool, next, job->leader);
    return next->data;
}

void pool_look(struct pool *pool, struct pool_use *use)
{
    const rpc_job *job;
    *use = (struct pool_use){.workers = pool->workers, .busy = pool->running_count};
    DL_FOREACH(pool->running, job)
    {
        use->replaced += job->leader == job && job->replaced;
    }
    use->busy += use->replaced;
}

/* A second for each job, where no thread is free. */
uint64_t pool_expected_wait(struct pool *pool)
{
    const rpc_job *job;
    uint64_t wait = 0;
    DL_FOREACH(pool->waiting, job)
    {
        wait += UINT64_C(1000000000);
    }
    return pool->running_count < pool->workers ? 0 : wait + UINT64_C(1000000000);
}

bool pool_has_lane(struct pool *pool, const struct digest *lane)
{
    const rpc_job *job;
    DL_FOREACH(pool->running, job)
    {
        if (job->lane == lane_of(lane))
            return true;
    }
    DL_FOREACH(pool->waiting, job)
    {
        if (job->lane == lane_of(lane))
            return true;
    }
    return false;
}

rpc_job *pool_collect(struct pool *pool)
{
    rpc_job *jobs = pool->ended;
    pool->ended = NULL;
    return jobs;
}

rpc_job *pool_take_begun(struct pool *pool)
{
    rpc_job *jobs = pool->begun;
    pool->begun = NULL;
    return jobs;
}

bool pool_stop(struct pool *pool, uint64_t nanoseconds)
{
    if (nanoseconds)
        fuzz_pool_run();
    pool->stopped = true;
    return !pool->running;
}

/* ---- For targets ---- */

void fuzz_pool_at_once(bool is_so)
{
    at_once = is_so;
}

bool fuzz_pool_begin(unsigned number)
{
    rpc_job *job, *last = NULL;
    if (!fuzz_pool || fuzz_pool->running_count >= fuzz_pool->workers)
        return false;
    DL_FOREACH(fuzz_pool->waiting, job)
    {
        if (is_lane_busy(fuzz_pool, job))
            continue;
        last = job;
        if (!number--)
            break;
    }
    if (last)
        begin(fuzz_pool, last, last);
    return last != NULL;
}

bool fuzz_pool_end(unsigned number)
{
    rpc_job *job, *last = NULL;
    DL_FOREACH((fuzz_pool ? fuzz_pool->running : NULL), job)
    {
        last = job;
        if (!number--)
            break;
    }
    if (last)
        end(fuzz_pool, last->leader);
    return last != NULL;
}

void fuzz_pool_run(void)
{
    while (fuzz_pool_end(0) || fuzz_pool_begin(0))
        continue;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Worker threads and the order of their jobs: see pool.h.
 *
 * Idle threads sleep on one semaphore. `idle` counts those that sleep and have not been called: the thread
 * that calls one lowers it, so that each call wakes one thread. Only pool_submit() and pool_replace() call,
 * since nothing else makes more jobs ready than there are threads awake: a job that ends, or is withdrawn,
 * makes at most the next one of its lane ready in its own place.
 */
#define HASH_NONFATAL_OOM 1

#include "work/pool.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <uthash.h>
#include <utlist.h>

enum { PRIORITIES = 3, SECOND = 1000000000 /* in nanoseconds */ };

/* The most urgent first, with how often each may be passed over while some of its jobs are ready. */
static const struct {
    rpc_priority priority;
    unsigned max_passed;
} urgency[PRIORITIES] = {{RPC_PRIORITY_HIGH, 0}, {RPC_PRIORITY_NORMAL, 4}, {RPC_PRIORITY_LOW, 16}};

/* A lane, or the queue of one owner and priority. It exists as long as jobs belong to it. */
struct pool_queue {
    struct digest key; /* of the lane, or of the owner */
    size_t count;      /* jobs that belong to it */
    rpc_job *jobs; /* lane: all of them, of which the first is ready or runs; owner: those that are ready */
    struct pool_queue *prev, *next; /* owner: in its level's `turns`, while any job is ready */
    UT_hash_handle hh;
};

/* The jobs of one priority. */
struct pool_level {
    struct pool_queue *owners; /* the queues of all owners of jobs that wait */
    struct pool_queue *turns;  /* the queues of those with jobs that are ready; the first one is next */
    unsigned passed;
};

struct pool_worker {
    struct pool *pool;
    pthread_t thread;
    rpc_job *job; /* the one that it runs; NULL: none */
};

struct pool {
    void (*finished)(void *context);
    void *context;

    unsigned threads; /* the broker's thread's */

    sem_t calls;
    atomic_bool any_ended; /* `ended` is not NULL */

    /* The lock's. */
    pthread_mutex_t lock;
    struct pool_queue *lanes;
    struct pool_level levels[PRIORITIES]; /* by rpc_priority */
    rpc_job *begun, *ended;
    unsigned idle;
    unsigned max_busy; /* busy threads without those that are replaced */
    unsigned busy, replaced;
    size_t waiting;   /* jobs */
    uint64_t average; /* nanoseconds that a job takes; 0: none has ended */
    bool over;        /* set by the broker's thread: no thread begins anything any more, those still busy are
                         abandoned */
    pthread_cond_t ended_some;

    struct pool_worker workers[];
};

static uint64_t pool_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* ---- Lanes, and the queues of owners ---- */

/* Counts one more job in the queue of a key, which is made if there is none. NULL: no memory. */
static struct pool_queue *pool_enter_queue(struct pool_queue **table, const struct digest *key)
{
    struct pool_queue *queue;
    HASH_FIND(hh, *table, key, sizeof *key, queue);
    if (!queue) {
        queue = calloc(1, sizeof *queue);
        if (!queue)
            return NULL;
        queue->key = *key;
        HASH_ADD(hh, *table, key, sizeof queue->key, queue);
        if (!queue->hh.tbl) {
            free(queue);
            return NULL;
        }
    }
    queue->count++;
    return queue;
}

/* Counts one job less. The last one frees the queue. */
static void pool_leave_queue(struct pool_queue **table, struct pool_queue *queue)
{
    if (--queue->count)
        return;
    HASH_DEL(*table, queue);
    free(queue);
}

static void pool_make_ready(struct pool *pool, rpc_job *job)
{
    if (!job->owners_queue->jobs)
        DL_APPEND(pool->levels[job->priority].turns, job->owners_queue);
    DL_APPEND(job->owners_queue->jobs, job);
    job->stage = POOL_READY;
}

static void pool_unmake_ready(struct pool *pool, rpc_job *job)
{
    DL_DELETE(job->owners_queue->jobs, job);
    if (!job->owners_queue->jobs)
        DL_DELETE(pool->levels[job->priority].turns, job->owners_queue);
}

/* If the job was the first of its lane, the next one becomes ready. */
static void pool_leave_lane(struct pool *pool, rpc_job *job)
{
    struct pool_queue *lane = job->lane;
    if (!lane)
        return;
    const bool was_first = lane->jobs == job;
    DL_DELETE2(lane->jobs, job, lane_prev, lane_next);
    if (was_first && lane->jobs)
        pool_make_ready(pool, lane->jobs);
    pool_leave_queue(&pool->lanes, lane);
}

/* ---- The next job ---- */

/* The least urgent level that was passed over too often, else the most urgent one. NULL: no job is ready. */
static struct pool_level *pool_next_level(struct pool *pool)
{
    struct pool_level *next = NULL;
    for (size_t i = 0; i < PRIORITIES; i++) {
        struct pool_level *level = &pool->levels[urgency[i].priority];
        if (level->turns && (!next || level->passed >= urgency[i].max_passed))
            next = level;
    }
    return next;
}

static unsigned pool_max_busy(const struct pool *pool)
{
    return pool->max_busy + (pool->replaced < POOL_SPARES ? pool->replaced : POOL_SPARES);
}

/* The job does not wait any more: it runs with the leader's work, which may be its own. */
static void pool_begin_job(struct pool *pool, rpc_job *job, rpc_job *leader)
{
    pool_leave_queue(&pool->levels[job->priority].owners, job->owners_queue);
    job->waited = pool_clock() - job->submitted;
    pool->waiting--;
    job->stage = POOL_RUNNING;
    job->leader = leader;
    DL_APPEND(leader->group, job);
    LL_PREPEND2(pool->begun, job, begun);
}

/* Begins the next job. NULL: none is ready, or enough threads are busy; those take jobs when theirs end. */
static rpc_job *pool_take_job(struct pool_worker *worker)
{
    struct pool *pool = worker->pool;
    struct pool_level *level = pool_next_level(pool);
    if (!level || pool->busy >= pool_max_busy(pool))
        return NULL;
    for (size_t i = 0; i < PRIORITIES; i++)
        pool->levels[i].passed += pool->levels[i].turns != NULL;
    level->passed = 0;
    struct pool_queue *queue = level->turns;
    rpc_job *job = queue->jobs;
    DL_DELETE(level->turns, queue);
    DL_APPEND(level->turns, queue);
    pool_unmake_ready(pool, job);
    pool_begin_job(pool, job, job);
    pool->busy++;
    worker->job = job;
    return job;
}

/* How long the job's work has run. */
static uint64_t pool_time(const rpc_job *job)
{
    return pool_clock() - job->submitted - job->waited;
}

static void pool_end_job(struct pool_worker *worker)
{
    enum { WEIGHT = 8 }; /* of the average so far is so much less one */
    struct pool *pool = worker->pool;
    rpc_job *job = worker->job, *one;
    unsigned jobs = 0;
    pool_leave_lane(pool, job);
    pool->replaced -= job->replaced;
    DL_FOREACH(job->group, one)
    {
        one->stage = POOL_ENDED;
        jobs++;
    }
    const uint64_t each = pool_time(job) / jobs;
    pool->average = pool->average ? (pool->average * (WEIGHT - 1) + each) / WEIGHT : each;
    DL_CONCAT(pool->ended, job->group);
    atomic_store(&pool->any_ended, true);
    pool->busy--;
    worker->job = NULL;
    pthread_cond_signal(&pool->ended_some);
}

/* ---- Threads ---- */

/* A thread whose job runs when the pool is over was abandoned. */
static void *pool_run_worker(void *argument)
{
    struct pool_worker *worker = argument;
    struct pool *pool = worker->pool;
    pthread_setname_np(pthread_self(), "rpc-worker");
    pthread_mutex_lock(&pool->lock);
    while (!pool->over) {
        rpc_job *job = pool_take_job(worker);
        if (!job)
            pool->idle++;
        pthread_mutex_unlock(&pool->lock);
        if (job)
            job->work(job, job->data);
        else
            while (sem_wait(&pool->calls) != 0)
                continue;
        pthread_mutex_lock(&pool->lock);
        if (!job || pool->over)
            continue;
        pool_end_job(worker);
        pthread_mutex_unlock(&pool->lock);
        pool->finished(pool->context);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/*
 * Unlocks. If a job is ready, calls an idle thread, or starts one if there is none and it may be busy. All
 * signals are blocked in the new thread: the broker's threads take them.
 */
static void pool_unlock_and_call(struct pool *pool, bool is_ready)
{
    const bool calls = is_ready && pool->idle;
    const bool starts = is_ready && !calls && pool->threads < pool_max_busy(pool);
    pool->idle -= calls;
    pthread_mutex_unlock(&pool->lock);
    if (calls)
        sem_post(&pool->calls);
    if (!starts)
        return;
    struct pool_worker *worker = &pool->workers[pool->threads];
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pool->threads += pthread_create(&worker->thread, NULL, pool_run_worker, worker) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- What the broker's thread does with jobs ---- */

/* Returns false when there is no memory: the job is linked nowhere then. */
static bool pool_enter_job(struct pool *pool, rpc_job *job, const struct digest *lane)
{
    struct pool_queue **owners = &pool->levels[job->priority].owners;
    job->pool = pool;
    job->group = job->leader = NULL;
    job->replaced = false;
    job->stage = POOL_IDLE;
    atomic_init(&job->unwanted, false);
    job->lane = NULL;
    job->owners_queue = pool_enter_queue(owners, &job->owner);
    if (!job->owners_queue)
        return false;
    if (lane && !(job->lane = pool_enter_queue(&pool->lanes, lane))) {
        pool_leave_queue(owners, job->owners_queue);
        return false;
    }
    if (lane)
        DL_APPEND2(job->lane->jobs, job, lane_prev, lane_next);
    if (lane && job->lane->jobs != job)
        job->stage = POOL_BEHIND;
    else
        pool_make_ready(pool, job);
    pool->waiting++;
    return true;
}

bool pool_submit(struct pool *pool, rpc_job *job, const struct digest *lane)
{
    if (pool->over)
        return false;
    job->submitted = pool_clock();
    pthread_mutex_lock(&pool->lock);
    const bool entered = pool_enter_job(pool, job, lane);
    pool_unlock_and_call(pool, entered && job->stage == POOL_READY);
    if (!entered || pool->threads)
        return entered;
    pool_withdraw(pool, job); /* no thread can begin it */
    return false;
}

bool pool_withdraw(struct pool *pool, rpc_job *job)
{
    pthread_mutex_lock(&pool->lock);
    const bool waits = job->stage == POOL_BEHIND || job->stage == POOL_READY;
    if (job->stage == POOL_READY)
        pool_unmake_ready(pool, job);
    if (waits) {
        pool_leave_lane(pool, job);
        pool_leave_queue(&pool->levels[job->priority].owners, job->owners_queue);
        job->waited = pool_clock() - job->submitted;
        pool->waiting--;
        job->stage = POOL_IDLE;
    }
    pthread_mutex_unlock(&pool->lock);
    return waits;
}

void pool_disown(rpc_job *job)
{
    atomic_store_explicit(&job->unwanted, true, memory_order_relaxed);
}

void pool_replace(struct pool *pool, rpc_job *job)
{
    pthread_mutex_lock(&pool->lock);
    rpc_job *leader = job->stage == POOL_RUNNING ? job->leader : NULL;
    const bool replaces = leader && !leader->replaced && !rpc_is_wanted(leader);
    if (replaces) {
        leader->replaced = true;
        pool->replaced++;
    }
    pool_unlock_and_call(pool, replaces && pool_next_level(pool));
}

rpc_job *pool_collect(struct pool *pool)
{
    if (!atomic_load_explicit(&pool->any_ended, memory_order_relaxed))
        return NULL;
    pthread_mutex_lock(&pool->lock);
    rpc_job *ended = pool->ended;
    pool->ended = NULL;
    atomic_store_explicit(&pool->any_ended, false, memory_order_relaxed);
    pthread_mutex_unlock(&pool->lock);
    return ended;
}

rpc_job *pool_take_begun(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    rpc_job *begun = pool->begun;
    pool->begun = NULL;
    pthread_mutex_unlock(&pool->lock);
    return begun;
}

void pool_look(struct pool *pool, struct pool_use *use)
{
    pthread_mutex_lock(&pool->lock);
    *use = (struct pool_use){pool->max_busy, pool->busy, pool->replaced};
    pthread_mutex_unlock(&pool->lock);
}

uint64_t pool_expected_wait(struct pool *pool)
{
    uint64_t wait = 0;
    pthread_mutex_lock(&pool->lock);
    const uint64_t average = pool->average;
    if (pool->busy + pool->waiting >= pool_max_busy(pool)) {
        wait = pool->waiting * average;
        for (unsigned i = 0; i < pool->threads; i++) {
            const rpc_job *job = pool->workers[i].job;
            if (!job || job->replaced)
                continue;
            const uint64_t time = pool_time(job);
            wait += time > average ? time : average;
        }
        wait /= pool->max_busy;
    }
    pthread_mutex_unlock(&pool->lock);
    return wait;
}

bool pool_has_lane(struct pool *pool, const struct digest *lane)
{
    struct pool_queue *queue;
    pthread_mutex_lock(&pool->lock);
    HASH_FIND(hh, pool->lanes, lane, sizeof *lane, queue);
    pthread_mutex_unlock(&pool->lock);
    return queue;
}

/* ---- What work calls ---- */

bool rpc_is_wanted(const rpc_job *job)
{
    const rpc_job *one;
    DL_FOREACH(job->group, one)
    {
        if (!atomic_load_explicit(&one->unwanted, memory_order_relaxed))
            return true;
    }
    return false;
}

void *rpc_job_take_next(rpc_job *job)
{
    struct pool *pool = job->pool;
    if (!job->lane)
        return NULL;
    pthread_mutex_lock(&pool->lock);
    rpc_job *next = pool->over ? NULL : job->lane_next;
    if (next && next->work != job->work)
        next = NULL;
    if (next) {
        pool_leave_lane(pool, next);
        pool_begin_job(pool, next, job);
    }
    pthread_mutex_unlock(&pool->lock);
    return next ? next->data : NULL;
}

/* ---- The pool's life ---- */

struct pool *pool_create(unsigned workers, void (*finished)(void *context), void *context)
{
    const unsigned max = workers + POOL_SPARES;
    struct pool *pool = calloc(1, sizeof *pool + max * sizeof pool->workers[0]);
    if (!pool)
        return NULL;
    pool->max_busy = workers;
    pool->finished = finished;
    pool->context = context;
    for (unsigned i = 0; i < max; i++)
        pool->workers[i].pool = pool;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->ended_some, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&pool->lock, NULL);
    sem_init(&pool->calls, 0, 0);
    return pool;
}

bool pool_stop(struct pool *pool, uint64_t nanoseconds)
{
    if (pool->over)
        return !pool->busy;
    struct timespec until;
    int result = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    nanoseconds += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(nanoseconds / SECOND);
    until.tv_nsec = (long)(nanoseconds % SECOND);
    pthread_mutex_lock(&pool->lock);
    while ((pool->busy || pool_next_level(pool)) && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&pool->ended_some, &pool->lock, &until);
    pool->over = true;
    for (; pool->idle; pool->idle--)
        sem_post(&pool->calls);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads; i++) {
        if (pool->workers[i].job) /* it does not change any more */
            pthread_detach(pool->workers[i].thread);
        else
            pthread_join(pool->workers[i].thread, NULL);
    }
    return !pool->busy;
}

void pool_destroy(struct pool *pool)
{
    if (!pool)
        return;
    sem_destroy(&pool->calls);
    pthread_cond_destroy(&pool->ended_some);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Worker threads: see pool.h.
 *
 * Idle threads sleep each on a semaphore of its own and lie on a stack, so that whoever has work for one
 * takes it off and calls that one, and nobody is called twice. Only starting a job, and replacing one that
 * hangs, can make more ready than there are threads awake: where one that ends, or is withdrawn, lets the
 * next of its lane be ready, that takes its place, and the thread that sees to it looks for work itself. So
 * only pool_submit() and pool_replace() call.
 */
#define HASH_NONFATAL_OOM 1

#include "work/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <uthash.h>
#include <utlist.h>

enum { PRIORITIES = 3 };

static const rpc_priority urgency[PRIORITIES] = {RPC_PRIORITY_HIGH, RPC_PRIORITY_NORMAL, RPC_PRIORITY_LOW};

static const int weight[PRIORITIES] = {
    [RPC_PRIORITY_LOW] = 0, [RPC_PRIORITY_NORMAL] = 1, [RPC_PRIORITY_HIGH] = 2};

/* How often those of a priority may be passed over while some of them are ready. */
static const unsigned patience[PRIORITIES] = {
    [RPC_PRIORITY_HIGH] = ~0U, [RPC_PRIORITY_NORMAL] = 4, [RPC_PRIORITY_LOW] = 16};

/* A lane, while one of its jobs is ready or runs: its first, which is not in the list. */
struct lane {
    struct digest key;
    rpc_job *first;
    rpc_job *behind;
    UT_hash_handle hh;
};

/* What is ready of one owner and one priority, in the order of starting. */
struct queue {
    struct share *share;
    rpc_job *ready;
    struct queue *prev, *next;
};

/* An owner, while some of its jobs wait or run. */
struct share {
    struct digest key;
    size_t waiting;
    unsigned busy,
        replaced; /* threads that are at work for it; those of them whose place others have taken */
    struct queue queues[PRIORITIES];
    UT_hash_handle hh;
};

struct class
{
    struct queue *turns; /* those that are not empty; the first one is next */
    unsigned passed;
};

struct worker {
    struct pool *pool;
    pthread_t thread;
    sem_t call;
    bool busy; /* it has a job, or is telling of one */
    bool left; /* by pool_stop(), which must not wait for it any longer */
    struct worker *next;
};

struct pool {
    void (*finished)(void *context);
    void *context;

    /* The broker's thread's. */
    unsigned threads;
    bool stopped, left;

    _Atomic(rpc_job *) begun, ended; /* the latest first */
    atomic_size_t waiting;
    atomic_uint telling; /* threads that are about to call finished(), or in it */

    /* The lock's. */
    pthread_mutex_t lock;
    struct lane *lanes;
    struct share *shares;
    struct class classes[PRIORITIES];
    uint64_t started;
    struct worker *idle;
    unsigned usual; /* threads that may be busy, but for those that are replaced */
    unsigned busy, replaced;
    bool stopping, over; /* over: no thread begins anything any more */
    pthread_cond_t quiet;

    struct worker workers[];
};

/* ---- What waits ---- */

static struct share *find_share(const struct pool *pool, const struct digest *owner)
{
    struct share *share;
    HASH_FIND(hh, pool->shares, owner, sizeof *owner, share);
    return share;
}

static void settle_share(struct pool *pool, struct share *share)
{
    if (share->waiting || share->busy)
        return;
    HASH_DEL(pool->shares, share);
    free(share);
}

static struct share *open_share(struct pool *pool, const struct digest *owner)
{
    struct share *share = find_share(pool, owner);
    if (share)
        return share;
    share = calloc(1, sizeof *share);
    if (!share)
        return NULL;
    share->key = *owner;
    for (size_t i = 0; i < PRIORITIES; i++)
        share->queues[i].share = share;
    HASH_ADD(hh, pool->shares, key, sizeof share->key, share);
    if (share->hh.tbl)
        return share;
    free(share);
    return NULL;
}

static void enter_share(struct pool *pool, struct share *share, rpc_job *job)
{
    job->share = share;
    share->waiting++;
    atomic_fetch_add_explicit(&pool->waiting, 1, memory_order_relaxed);
}

/* The job waits no longer. What is done for its owner from now on, or not at all, is the caller's matter. */
static void leave_share(struct pool *pool, rpc_job *job)
{
    atomic_fetch_sub_explicit(&pool->waiting, 1, memory_order_relaxed);
    job->share->waiting--;
}

/*
 * Most are the newest. One that its lane held back has its place before newer ones: it is looked for from the
 * front, since it was started not long after one that has run.
 */
static void insert_in_order(struct queue *queue, rpc_job *job)
{
    rpc_job *later = queue->ready;
    if (!later || later->prev->number < job->number) {
        DL_APPEND(queue->ready, job);
        return;
    }
    while (later->number < job->number)
        later = later->next;
    DL_PREPEND_ELEM(queue->ready, later, job);
}

static void make_ready(struct pool *pool, rpc_job *job)
{
    struct queue *queue = &job->share->queues[job->raised];
    if (!queue->ready)
        DL_APPEND(pool->classes[job->raised].turns, queue);
    insert_in_order(queue, job);
    job->stage = POOL_READY;
}

static void unmake_ready(struct pool *pool, rpc_job *job)
{
    struct queue *queue = &job->share->queues[job->raised];
    DL_DELETE(queue->ready, job);
    if (!queue->ready)
        DL_DELETE(pool->classes[job->raised].turns, queue);
}

/* ---- Lanes ---- */

static struct lane *find_lane(const struct pool *pool, const struct digest *key)
{
    struct lane *lane;
    HASH_FIND(hh, pool->lanes, key, sizeof *key, lane);
    return lane;
}

static struct lane *open_lane(struct pool *pool, const struct digest *key)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        return NULL;
    lane->key = *key;
    HASH_ADD(hh, pool->lanes, key, sizeof lane->key, lane);
    if (lane->hh.tbl)
        return lane;
    free(lane);
    return NULL;
}

/* The first one is through: the next one is ready, or the lane is at its end. */
static void advance(struct pool *pool, struct lane *lane)
{
    rpc_job *next = lane->behind;
    lane->first = next;
    if (next) {
        DL_DELETE(lane->behind, next);
        make_ready(pool, next);
        return;
    }
    HASH_DEL(pool->lanes, lane);
    free(lane);
}

/* Puts the job into its lane, which is made if there is none. Returns false when there is no memory. */
static bool enter_lane(struct pool *pool, rpc_job *job, const struct digest *key)
{
    struct lane *busy = key ? find_lane(pool, key) : NULL;
    job->lane = busy || !key ? busy : open_lane(pool, key);
    if (key && !job->lane)
        return false;
    job->stage = busy ? POOL_BEHIND : POOL_READY;
    if (key && !busy)
        job->lane->first = job;
    return true;
}

static bool raise_to(rpc_job *job, rpc_priority priority)
{
    if (weight[job->raised] >= weight[priority])
        return false;
    job->raised = priority;
    return true;
}

/*
 * Else what is urgent would wait as long as what is not. Whoever is urgent enough has raised those before it
 * already, so that each of them is looked at here but a few times in its life.
 */
static void raise_those_before(struct pool *pool, const rpc_job *job)
{
    rpc_job *first = job->lane->first;
    for (const rpc_job *at = job; at != job->lane->behind; at = at->prev)
        if (!raise_to(at->prev, job->raised))
            return;
    if (first->stage != POOL_READY || weight[first->raised] >= weight[job->raised])
        return;
    unmake_ready(pool, first);
    raise_to(first, job->raised);
    make_ready(pool, first);
}

/* ---- Whose turn it is ---- */

/*
 * Threads that take the places of hanging ones are for others, too: whoever has work that hangs gets a part
 * of them, or one burst of such work would have them all.
 */
static bool may_begin(const struct pool *pool, const struct share *share)
{
    return !share->replaced || share->busy < pool->usual + POOL_SHARE;
}

/* Whose turn it is within a priority. NULL: nobody's. */
static struct queue *next_turn(const struct pool *pool, rpc_priority priority)
{
    struct queue *queue;
    DL_FOREACH(pool->classes[priority].turns, queue)
    {
        if (may_begin(pool, queue->share))
            return queue;
    }
    return NULL;
}

static bool is_impatient(const struct pool *pool, rpc_priority priority)
{
    return pool->classes[priority].passed >= patience[priority];
}

/* The least urgent that was passed over too often, else the most urgent. NULL: nothing is ready. */
static struct queue *choose(const struct pool *pool, rpc_priority *priority)
{
    struct queue *queue = NULL;
    for (size_t i = PRIORITIES; i-- > 0 && !queue;) {
        *priority = urgency[i];
        queue = is_impatient(pool, urgency[i]) ? next_turn(pool, urgency[i]) : NULL;
    }
    for (size_t i = 0; i < PRIORITIES && !queue; i++) {
        *priority = urgency[i];
        queue = next_turn(pool, urgency[i]);
    }
    return queue;
}

static void pass_over_others(struct pool *pool, rpc_priority chosen)
{
    for (size_t i = 0; i < PRIORITIES; i++)
        if (pool->classes[i].turns)
            pool->classes[i].passed++;
    pool->classes[chosen].passed = 0;
}

static void end_turn(struct class *class, struct queue *queue)
{
    DL_DELETE(class->turns, queue);
    DL_APPEND(class->turns, queue);
}

static unsigned spares(const struct pool *pool)
{
    return pool->replaced < POOL_SPARES ? pool->replaced : POOL_SPARES;
}

/* Whoever finds no place need not be called later: those who are busy take what is ready when they end. */
static bool has_place(const struct worker *worker)
{
    const struct pool *pool = worker->pool;
    return pool->busy - (unsigned)worker->busy < pool->usual + spares(pool);
}

/* It waits no longer, and leader's work does it. The broker's thread may look at it from now on. */
static void begin(struct pool *pool, rpc_job *job, rpc_job *leader)
{
    leave_share(pool, job);
    job->stage = POOL_RUNNING;
    job->leader = leader;
    job->begun = atomic_load(&pool->begun);
    while (!atomic_compare_exchange_weak(&pool->begun, &job->begun, job))
        continue;
}

/* The job that runs next. NULL: none is ready, or enough threads are busy. */
static rpc_job *take(struct worker *worker)
{
    struct pool *pool = worker->pool;
    rpc_priority priority;
    struct queue *queue = pool->over || !has_place(worker) ? NULL : choose(pool, &priority);
    if (!queue)
        return NULL;
    pass_over_others(pool, priority);
    rpc_job *job = queue->ready;
    end_turn(&pool->classes[priority], queue);
    unmake_ready(pool, job);
    job->share->busy++;
    begin(pool, job, job);
    return job;
}

/* ---- The end of a job ---- */

/* They are the broker's thread's from the moment when they are among the ended. */
static void push_ended(struct pool *pool, rpc_job *first, rpc_job *last)
{
    rpc_job *before = atomic_load(&pool->ended);
    do
        first->next = before;
    while (!atomic_compare_exchange_weak(&pool->ended, &before, last));
}

static void end(struct pool *pool, rpc_job *job)
{
    rpc_job *last = job;
    rpc_job *taken = job->taken;
    if (job->lane)
        advance(pool, job->lane);
    pool->replaced -= job->replaced;
    job->share->replaced -= job->replaced;
    job->share->busy--;
    settle_share(pool, job->share);
    job->stage = POOL_ENDED;
    while (taken) {
        rpc_job *next = taken->next;
        taken->stage = POOL_ENDED;
        taken->next = last;
        last = taken;
        taken = next;
    }
    push_ended(pool, job, last);
}

rpc_job *pool_take_begun(struct pool *pool)
{
    return atomic_exchange(&pool->begun, NULL);
}

rpc_job *pool_collect(struct pool *pool)
{
    if (!atomic_load_explicit(&pool->ended, memory_order_relaxed))
        return NULL;
    rpc_job *first = NULL;
    rpc_job *job = atomic_exchange(&pool->ended, NULL);
    while (job) {
        rpc_job *before = job->next;
        job->next = first;
        first = job;
        job = before;
    }
    return first;
}

/* ---- Threads ---- */

static bool is_quiet(struct pool *pool)
{
    return !pool->busy && !atomic_load_explicit(&pool->waiting, memory_order_relaxed);
}

static void set_busy(struct worker *worker, bool busy)
{
    struct pool *pool = worker->pool;
    pool->busy += (unsigned)busy - (unsigned)worker->busy;
    worker->busy = busy;
    if (pool->stopping && is_quiet(pool))
        pthread_cond_signal(&pool->quiet);
}

static void sleep_until_called(struct worker *worker)
{
    struct pool *pool = worker->pool;
    LL_PREPEND(pool->idle, worker);
    pthread_mutex_unlock(&pool->lock);
    while (sem_wait(&worker->call) != 0)
        continue;
    pthread_mutex_lock(&pool->lock);
}

/* Takes one off the stack of idle threads, to be signalled. NULL: there is none. */
static struct worker *call_one(struct pool *pool)
{
    struct worker *worker = pool->idle;
    if (!worker)
        return NULL;
    LL_DELETE(pool->idle, worker);
    return worker;
}

/* Sleeps until there is a job. NULL: there will be none any more. */
static rpc_job *wait_for_job(struct worker *worker)
{
    struct pool *pool = worker->pool;
    rpc_job *job;
    pthread_mutex_lock(&pool->lock);
    while (!(job = take(worker)) && !pool->over)
        sleep_until_called(worker);
    set_busy(worker, job != NULL);
    pthread_mutex_unlock(&pool->lock);
    return job;
}

/* A job's work has returned. Takes the next one under the same lock, then tells. NULL: none is ready. */
static rpc_job *end_and_take(struct worker *worker, rpc_job *job)
{
    struct pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    if (pool->over) {
        pthread_mutex_unlock(&pool->lock);
        return NULL;
    }
    end(pool, job);
    rpc_job *next = take(worker);
    set_busy(worker, next != NULL);
    atomic_fetch_add(&pool->telling, 1);
    pthread_mutex_unlock(&pool->lock);
    pool->finished(pool->context);
    atomic_fetch_sub(&pool->telling, 1);
    return next;
}

static void *run(void *argument)
{
    struct worker *worker = argument;
    pthread_setname_np(pthread_self(), "rpc-worker");
    rpc_job *job = wait_for_job(worker);
    while (job) {
        job->work(job, job->data);
        job = end_and_take(worker, job);
        if (!job)
            job = wait_for_job(worker);
    }
    return NULL;
}

/* All signals stay with the threads that the broker has chosen for them. */
static bool create_thread(struct worker *worker)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const bool worked = pthread_create(&worker->thread, NULL, run, worker) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return worked;
}

static bool add_thread(struct pool *pool, unsigned max)
{
    if (pool->threads >= max || !create_thread(&pool->workers[pool->threads]))
        return false;
    pool->threads++;
    return true;
}

/* ---- Starting and withdrawing ---- */

/* Returns false when there is no memory: nothing is linked then. */
static bool enter(struct pool *pool, rpc_job *job, const struct digest *lane)
{
    struct share *share = open_share(pool, &job->owner);
    if (!share)
        return false;
    if (!enter_lane(pool, job, lane)) {
        settle_share(pool, share);
        return false;
    }
    enter_share(pool, share, job);
    job->number = ++pool->started;
    if (job->stage == POOL_READY) {
        make_ready(pool, job);
        return true;
    }
    DL_APPEND(job->lane->behind, job);
    raise_those_before(pool, job);
    return true;
}

static void prepare(struct pool *pool, rpc_job *job)
{
    job->pool = pool;
    job->next = job->prev = job->begun = job->taken = NULL;
    job->stage = 0;
    job->leader = NULL;
    job->replaced = false;
    job->raised = job->priority;
    atomic_init(&job->unwanted, false);
}

bool pool_submit(struct pool *pool, rpc_job *job, const struct digest *lane)
{
    if (pool->stopped)
        return false;
    prepare(pool, job);
    pthread_mutex_lock(&pool->lock);
    const bool entered = enter(pool, job, lane);
    const bool ready = entered && job->stage == POOL_READY;
    struct worker *called = ready ? call_one(pool) : NULL;
    const unsigned max = pool->usual + spares(pool);
    pthread_mutex_unlock(&pool->lock);
    if (called)
        sem_post(&called->call);
    if (!ready || called || add_thread(pool, max) || pool->threads)
        return entered;
    pool_withdraw(pool, job); /* there is no thread that could have begun it */
    return false;
}

static bool withdraw(struct pool *pool, rpc_job *job)
{
    if (job->stage != POOL_BEHIND && job->stage != POOL_READY)
        return false;
    if (job->stage == POOL_BEHIND)
        DL_DELETE(job->lane->behind, job);
    else
        unmake_ready(pool, job);
    if (job->stage == POOL_READY && job->lane)
        advance(pool, job->lane);
    leave_share(pool, job);
    settle_share(pool, job->share);
    job->stage = 0;
    return true;
}

bool pool_withdraw(struct pool *pool, rpc_job *job)
{
    pthread_mutex_lock(&pool->lock);
    const bool withdrawn = withdraw(pool, job);
    pthread_mutex_unlock(&pool->lock);
    return withdrawn;
}

/* Others may still want what a job does for them, whose work it has taken over. */
static bool replace(struct pool *pool, rpc_job *job)
{
    rpc_priority priority;
    if (job->stage != POOL_RUNNING || job->leader->replaced || rpc_is_wanted(job->leader))
        return false;
    job->leader->replaced = true;
    job->leader->share->replaced++;
    pool->replaced++;
    return choose(pool, &priority) != NULL;
}

void pool_replace(struct pool *pool, rpc_job *job)
{
    pthread_mutex_lock(&pool->lock);
    const bool waited_for = replace(pool, job);
    struct worker *called = waited_for ? call_one(pool) : NULL;
    const unsigned max = pool->usual + spares(pool);
    pthread_mutex_unlock(&pool->lock);
    if (called)
        sem_post(&called->call);
    else if (waited_for)
        add_thread(pool, max);
}

void pool_disown(rpc_job *job)
{
    atomic_store_explicit(&job->unwanted, true, memory_order_relaxed);
}

size_t pool_waiting(const struct pool *pool)
{
    return atomic_load_explicit(&pool->waiting, memory_order_relaxed);
}

/* ---- What work may ask ---- */

static bool is_wanted(const rpc_job *job)
{
    return !atomic_load_explicit(&job->unwanted, memory_order_relaxed);
}

bool rpc_is_wanted(const rpc_job *job)
{
    if (is_wanted(job))
        return true;
    for (const rpc_job *taken = job->taken; taken; taken = taken->next)
        if (is_wanted(taken))
            return true;
    return false;
}

static rpc_job *take_over(struct pool *pool, rpc_job *job)
{
    rpc_job *next = pool->over ? NULL : job->lane->behind;
    if (!next || next->work != job->work)
        return NULL;
    DL_DELETE(job->lane->behind, next);
    begin(pool, next, job);
    settle_share(pool, next->share);
    DL_APPEND(job->taken, next);
    return next;
}

void *rpc_job_take_next(rpc_job *job)
{
    if (!job->lane)
        return NULL;
    pthread_mutex_lock(&job->pool->lock);
    const rpc_job *next = take_over(job->pool, job);
    pthread_mutex_unlock(&job->pool->lock);
    return next ? next->data : NULL;
}

/* ---- The pool's life ---- */

static void init_quiet(struct pool *pool)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->quiet, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct pool *pool_create(unsigned workers, void (*finished)(void *context), void *context)
{
    const unsigned max = workers + POOL_SPARES;
    struct pool *pool = calloc(1, sizeof *pool + max * sizeof pool->workers[0]);
    if (!pool)
        return NULL;
    pool->usual = workers;
    pool->finished = finished;
    pool->context = context;
    pthread_mutex_init(&pool->lock, NULL);
    init_quiet(pool);
    for (unsigned i = 0; i < max; i++) {
        pool->workers[i].pool = pool;
        sem_init(&pool->workers[i].call, 0, 0);
    }
    return pool;
}

static struct timespec moment_in(uint64_t nanoseconds)
{
    static const uint64_t second = 1000000000;
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    const uint64_t fraction = (uint64_t)moment.tv_nsec + nanoseconds % second;
    moment.tv_sec += (time_t)(nanoseconds / second + fraction / second);
    moment.tv_nsec = (long)(fraction % second);
    return moment;
}

static void wait_until_quiet(struct pool *pool, const struct timespec *until)
{
    int result = 0;
    while (!is_quiet(pool) && result != ETIMEDOUT)
        result = pthread_cond_timedwait(&pool->quiet, &pool->lock, until);
}

/* Marks the threads that are still in work, and lets the others end. Returns whether there are any. */
static bool end_threads(struct pool *pool)
{
    const bool left = pool->busy > 0;
    pool->over = true;
    for (unsigned i = 0; i < pool->threads; i++)
        pool->workers[i].left = pool->workers[i].busy;
    for (struct worker *idle = call_one(pool); idle; idle = call_one(pool))
        sem_post(&idle->call);
    return left;
}

static void part_with_threads(struct pool *pool)
{
    for (unsigned i = 0; i < pool->threads; i++) {
        struct worker *worker = &pool->workers[i];
        if (worker->left)
            pthread_detach(worker->thread);
        else
            pthread_join(worker->thread, NULL);
    }
    while (atomic_load(&pool->telling)) /* those that are left have begun to tell before it was over */
        sched_yield();
}

bool pool_stop(struct pool *pool, uint64_t nanoseconds)
{
    if (pool->stopped)
        return !pool->left;
    const struct timespec until = moment_in(nanoseconds);
    pool->stopped = true;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    wait_until_quiet(pool, &until);
    pool->left = end_threads(pool);
    pthread_mutex_unlock(&pool->lock);
    part_with_threads(pool);
    return !pool->left;
}

static void free_records(struct pool *pool)
{
    struct lane *lane, *next_lane;
    struct share *share, *next_share;
    HASH_ITER(hh, pool->lanes, lane, next_lane)
    {
        HASH_DEL(pool->lanes, lane);
        free(lane);
    }
    HASH_ITER(hh, pool->shares, share, next_share)
    {
        share->waiting = share->busy = 0;
        settle_share(pool, share);
    }
}

void pool_destroy(struct pool *pool)
{
    if (!pool)
        return;
    free_records(pool);
    for (unsigned i = 0; i < pool->usual + POOL_SPARES; i++)
        sem_destroy(&pool->workers[i].call);
    pthread_cond_destroy(&pool->quiet);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

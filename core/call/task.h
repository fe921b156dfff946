// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Tasks: what is not finished when its handler returns. A task is a pending call, which waits for work, for
 * rpc_resume() or for a worker (remote.h), or work without a call. The functions of
 * mosquitto_rpc.h for it are here; their contracts stand there. A task ends exactly once, with its done: when
 * its work has come back, when it is resumed, when its deadline has passed, when its caller's connection has
 * ended, when it is evicted, when the engine stops.
 *
 * While work runs, nothing of its task may go. A caller that must be answered before that is answered: the
 * call is settled then, and call, memory and done wait until the work has returned.
 *
 * Threads: the broker's thread only, except the work itself, which runs in the pool (work/pool.h).
 *
 * Ownership: the task of a call is memory of the call, and holds the call's exchange; work without a call has
 * memory of its own. tasks_destroy() leaves work that does not return its memory and its module's.
 *
 * A task takes a slot and holds bytes, its own and its exchange's, in the name of its client (work/slots.h).
 *
 * Failure: starting a task may fail, and then nothing has started; what has started ends with its done.
 */
#ifndef CORE_CALL_TASK_H
#define CORE_CALL_TASK_H

#include "base/env.h"
#include "base/heap.h"
#include "work/pool.h"
#include "work/slots.h"

struct dispatch;
struct engine;

enum {
    TASKS_BACKGROUND_MAX = 256, /* tasks without a call */
    TASK_LANE_NAME = 64         /* bytes of a lane's name that are kept, with the NUL */
};

enum task_state {
    TASK_PENDING, /* nothing has happened to it */
    TASK_EVICTED, /* another client's call has taken its slot; it is ended when the running handler has
                     returned */
    TASK_HANGING, /* its caller has been answered, but its work runs; no other thread has taken over yet */
    TASK_LEFT     /* likewise, and another thread has taken its thread's place where that is allowed */
};

struct task {
    rpc_job job; /* the first member: a job that comes back is its task's; its data is what done gets */
    rpc_instance *instance;
    rpc_call *call; /* NULL: work without one */
    rpc_done done;
    bool has_work;             /* a thread of the pool has it or will have it */
    bool begun;                /* its work has begun, as far as tasks_note_begun() has seen, or a worker may
                                  have begun it */
    struct dispatch *dispatch; /* with which it waits for a worker, of remote.c; NULL: it does
                                  not. Without both it waits for rpc_resume() */
    bool has_lane;             /* the next two are set */
    struct digest lane_key;    /* of the lane, among those of all instances */
    char lane[TASK_LANE_NAME]; /* its name, or the beginning of it: well-formed UTF-8 */
    uint64_t id;               /* no other one of the engine's has it */
    enum task_state state;
    uint64_t answered;  /* TASK_HANGING and TASK_LEFT: when its caller was answered, monotonic nanoseconds, */
    double answered_at; /* and Unix seconds */
    rpc_status outcome; /* the outcome that done gets, unless the state is TASK_PENDING */
    const char *evicted;       /* what its caller is told if it is evicted */
    struct heap_node deadline; /* not set: it has none, or none any more */
    struct task *prev, *next;
    struct task *item_prev, *item_next; /* among its exchange's */
    struct slot slot;
};

/* One engine's part. */
struct tasks {
    struct pool *pool;
    struct task *pending; /* all but those that are evicted, in the order of their beginning */
    struct task *evicted;
    struct heap deadlines; /* monotonic nanoseconds */
    size_t background;     /* tasks without a call */
    bool has_hanging;      /* some task may be TASK_HANGING */
    size_t hanging;        /* tasks that are TASK_HANGING or TASK_LEFT */
    uint64_t last_id;      /* tasks that there ever were */
    bool has_news; /* since the last survey (observe/survey.h) some call may have become pending, or its
                      work may have begun */
};

/* Returns NULL: no memory. */
struct tasks *tasks_create(const struct env *env);

/* When the next deadline passes, monotonic nanoseconds; UINT64_MAX: there is none. */
static inline uint64_t tasks_due(const struct tasks *tasks)
{
    const struct heap_node *first = heap_first(&tasks->deadlines);
    return first ? first->key : UINT64_MAX;
}

/* Notes which tasks' work has begun, which gives back the slots of their calls. */
void tasks_note_begun(struct engine *engine);

/*
 * Makes a call pending for a worker, which is asked for with this dispatch: done, which
 * gets the dispatch as its data, ends it. waits: it takes a slot until the worker gets it. Returns what
 * rpc_defer() does.
 */
rpc_status task_await(rpc_call *call, rpc_done done, struct dispatch *dispatch, bool waits);

/* The key of an instance's lane, among those of all instances. */
struct digest task_lane_key(const rpc_instance *instance, const char *lane);

/* A worker has got the task's call: gives back its slot. */
void task_note_sent(struct task *task);

/* When the task's caller stops waiting, monotonic nanoseconds. */
static inline uint64_t task_deadline_of(const struct task *task)
{
    return task->deadline.key;
}

/* Ends tasks whose work has come back; that were evicted; whose deadline has passed; whose connection has
 * ended. */
void tasks_collect(struct engine *engine);
void tasks_end_evicted(struct engine *engine);
void tasks_expire(struct engine *engine, uint64_t now);
void tasks_connection_ended(struct engine *engine, const void *connection);

/* Ends all tasks but work that must finish. The engine is stopping: nothing is sent any more. */
void tasks_stop(struct engine *engine);

/*
 * Waits at most `patience` nanoseconds for work that runs, ends all tasks and frees the part; an engine
 * without one is accepted. Returns false: some work has not returned; its threads go on, with their tasks and
 * their instances, which are marked as abandoned.
 */
bool tasks_destroy(struct engine *engine, uint64_t patience);

#endif

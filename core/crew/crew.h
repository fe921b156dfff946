// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The crew of an engine: workers, which are programs that carry out calls for it; what each of them
 * offers, how much it may have at once, and the jobs that are out or wait. A job stands for a call. The crew
 * decides which job goes to which worker next; it knows no messages, and sends nothing.
 *
 * Which worker gets a job:
 *
 * - A worker has credit while it has fewer jobs than its window says. One that is leaving gets no job.
 * - A job without a lane goes to the worker with the fewest jobs, of those that offer its method and have
 *   credit. Several with equally many take turns.
 * - A lane is at one worker at a time: while a job of it is out, further ones go to the same worker, or wait
 *   until none is out if that worker is leaving or does not offer their method. Else the lane goes to the
 *   worker that is highest for it, by a hash of the worker's name and the lane, of those that offer the first
 *   job's method; it waits for that worker's credit, even if others have some. So a lane comes to the same
 *   worker each time, and few lanes move when a worker comes or goes.
 *
 * Which job goes next:
 *
 * - Jobs of a lane go in the order in which they were submitted, whatever their methods and owners.
 * - Owners take turns, see crew_queue.h. The jobs of one owner and method that have no lane go in the order
 * in which they were submitted.
 * - A job that cannot go, because no worker that may have it has credit, holds up none but its lane.
 *
 * Costs: w is the number of workers that offer a method, m of methods that a worker offers, q of queues that
 * wait: one for each lane, and one for each owner and method.
 *
 * - crew_submit(): log q, and w for the first job of a lane.
 * - crew_take_next(): a constant when no job can go, however many wait. Else w + log q, and the numbers of
 *   methods, and of workers with lanes, for which jobs can go.
 * - crew_end(), crew_withdraw(): log q, and w if the job was the first of a lane.
 * - Each time that a worker's last credit is taken, or its first one comes back: m more.
 * - crew_offer(): m, and the lanes that wait for these methods.
 * - crew_detach(), crew_remove(): m, and w for each lane that waits for this worker.
 * - What only looks something up: a constant.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: the crew owns its workers, which exist from crew_attach() to crew_remove() or crew_fini(); the
 * texts of a card are copied. The caller embeds jobs in memory of its own, and neither moves nor frees one
 * from crew_submit() until the job has left the crew: by crew_withdraw(), crew_end() or crew_remove().
 * Methods are addresses that the crew only compares; each has to stay that method's while a worker offers it
 * or a job of it is in the crew.
 *
 * Failure: crew_attach(), crew_offer(), crew_submit() and crew_submit_again() can fail, and then have changed
 * nothing. Nothing else can fail: a queue for which there is no memory in a heap gets its place at a later
 * crew_take_next().
 */
#ifndef CORE_CREW_CREW_H
#define CORE_CREW_CREW_H

#include "crew/crew_queue.h"
#include "host.h"
#include "stats/statistics.h"

#include <stddef.h>
#include <stdint.h>

enum {
    CREW_WORKERS_MAX = 1000, /* of a crew */
    CREW_METHODS_MAX = 1000, /* of a worker */
    CREW_TIES_MAX = 100000,  /* methods of all workers of a crew together: some 12 MB */
    CREW_WINDOW_MAX = 16,
    CREW_WINDOW = 8,    /* if a worker names none */
    CREW_NAME_MAX = 64, /* bytes of a worker's name */
    CREW_TEXT_MAX = 255 /* bytes of a version, of an address and of a user name; more are cut */
};

/* What a worker says of itself, and what the broker says of it. The crew copies it. */
struct crew_card {
    const char *name;       /* 1 to CREW_NAME_MAX bytes, which the caller has checked */
    const char *client;     /* the client id */
    const void *connection; /* of the client; not NULL */
    const char *version;    /* NULL: it names none */
    const char *address;    /* NULL: not known */
    const char *user;       /* NULL: anonymous */
    unsigned window;        /* 1 to CREW_WINDOW_MAX */
    uint64_t now;           /* monotonic nanoseconds */
};

/* A method that a worker offers. The members are for reading. */
struct crew_tie {
    const void *method;
    struct crew_worker *worker;

    /* The crew's own. */
    struct crew_offer *offer;
    struct crew_tie *prev, *next; /* in the offer's ties, the one whose turn it is first */
    bool is_new, is_named;        /* in crew_offer() */
    UT_hash_handle hh;
};

/* The members are for reading, but `statistics` and `counts`, which are the caller's. */
struct crew_worker {
    uint64_t number; /* of no other worker of this crew, before or after; not 0 */
    char name[CREW_NAME_MAX + 1];
    char *client; /* the client id */
    const void *connection;
    char *version, *address, *user; /* NULL: not known */
    unsigned window, outstanding;   /* it has more jobs than its window if that has become smaller */
    bool leaving;                   /* it gets no further job */
    uint64_t since;                 /* its first crew_attach(); monotonic nanoseconds */
    struct crew_job *jobs;          /* that it has, linked by next in the order in which it got them */
    struct crew_tie *ties;          /* what it offers, linked by hh.next in the order in which it began to */

    /* The caller's, all zero at first. */
    struct host_client to;        /* where it is reached */
    struct statistics statistics; /* of the calls that it has answered; without errors of methods' own */
    struct crew_counts {
        uint64_t refused; /* calls that it has given back */
        uint64_t lost;    /* calls that it has not answered long after their deadlines */
        uint64_t again;   /* calls that it had when it went, and that another one got */
        uint64_t unknown; /* calls that it had when it went, and that none could get */
    } counts;

    /* The crew's own. */
    struct heap lanes;               /* that wait for its credit */
    uint64_t key;                    /* hash of its name */
    bool has_credit;                 /* as its ties' offers have counted it */
    bool is_ready;                   /* it is in the crew's ready_workers */
    struct crew_worker *prev, *next; /* there */
    UT_hash_handle hh, by_connection;
};

/* All zero but for the seed: empty. */
struct crew {
    uint64_t seed;               /* of the service: digest_seed() */
    struct crew_worker *workers; /* by name; linked by hh.next in the order in which they were attached */
    size_t outstanding;          /* jobs that are out */
    size_t ties;                 /* methods of all workers together */
    struct crew_queues queues;   /* queues.jobs: jobs that wait */

    /* The crew's own. */
    struct crew_worker *by_connection;
    struct crew_offer *offers;         /* by method */
    struct crew_queue *lanes;          /* by lane */
    struct crew_offer *ready_offers;   /* those with jobs that have no lane, and workers with credit */
    struct crew_worker *ready_workers; /* those with lanes that wait for them, and credit */
    struct crew_queue *late;           /* queues for which there was no memory in a heap */
    uint64_t last_worker, last_job;    /* numbers */
};

void crew_init(struct crew *crew, uint64_t seed);

/* Frees everything but the jobs, which are in no crew any more. */
void crew_fini(struct crew *crew);

/* ---- Workers ---- */

enum crew_answer {
    CREW_OK,
    CREW_NAME_IN_USE, /* a worker of another client id has the name */
    CREW_NAME_IS_OLD, /* a worker of the same client id, but of another connection, has the name. That
                         connection is over, whether or not its end was told: remove the worker, and attach
                         again */
    CREW_OTHER_NAME,  /* the connection is attached by another name */
    CREW_FULL,        /* there are CREW_WORKERS_MAX workers, or CREW_METHODS_MAX methods of this worker or
                         CREW_TIES_MAX of all are not enough */
    CREW_NO_MEMORY
};

/*
 * Attaches a worker that offers nothing yet. Or takes over the card of one that is attached by this name on
 * this connection: it keeps its jobs, its counts and what it offers, and is not leaving any more. Sets
 * *worker to it, or, if the answer is CREW_NAME_IN_USE, CREW_NAME_IS_OLD or CREW_OTHER_NAME, to the worker
 * that is in the way, else to NULL.
 */
enum crew_answer crew_attach(struct crew *crew, const struct crew_card *card, struct crew_worker **worker);

/*
 * Makes the worker offer these methods and no other. One may be named twice. Jobs that the worker has stay.
 * Returns CREW_OK, CREW_FULL or CREW_NO_MEMORY; if not CREW_OK, the worker offers what it has offered before.
 */
enum crew_answer crew_offer(struct crew *crew, struct crew_worker *worker, const void *const *methods,
                            size_t count);

/* The worker gets no further job, and keeps those that it has. */
void crew_detach(struct crew *crew, struct crew_worker *worker);

/*
 * The worker is gone, and is freed. Returns the jobs that it had, linked by next in the order in which it got
 * them; NULL: none. They are not in the crew any more. Those that another worker is to get have to be
 * submitted again before the next crew_take_next(), since others of their lanes could go then.
 */
struct crew_job *crew_remove(struct crew *crew, struct crew_worker *worker);

/* Find a worker, also one that is leaving. NULL: there is none. */
struct crew_worker *crew_find(const struct crew *crew, const char *name);
struct crew_worker *crew_find_connection(const struct crew *crew, const void *connection);

/* ---- Methods ---- */

/* Whether there is room for a worker of this name, which may be attached already, with so many methods. */
bool crew_has_room(const struct crew *crew, const char *name, size_t methods);

/* Whether a worker that is not leaving offers the method. */
bool crew_is_offered(const struct crew *crew, const void *method);

/* Whether such a worker has credit. A job with a lane may have to wait for another worker nevertheless. */
bool crew_has_credit(const struct crew *crew, const void *method);

/* ---- Jobs ---- */

/*
 * Submits a job, which waits until crew_take_next() returns it, whether or not a worker offers its method.
 * Returns false: no memory.
 */
bool crew_submit(struct crew *crew, struct crew_job *job);

/*
 * Submits a job again that has left this crew by crew_remove(), or by crew_end() because its worker has
 * refused it. It waits in front of its owner's other jobs of the method, in a lane at the place that its
 * first submission gave it. Returns false: no memory.
 */
bool crew_submit_again(struct crew *crew, struct crew_job *job);

/*
 * Takes the next job, which job->worker gets now. NULL: none can go before something changes. To be called
 * until it returns NULL after jobs were submitted, withdrawn or ended, and after any change of workers.
 */
struct crew_job *crew_take_next(struct crew *crew);

/* Whether the job is in a crew, and waits there. */
static inline bool crew_is_waiting(const struct crew_job *job)
{
    return job->offer && !job->worker;
}

/* A job that waits leaves the crew. Does nothing to another one. */
void crew_withdraw(struct crew *crew, struct crew_job *job);

/* A job that a worker has leaves the crew: the worker has answered it. Does nothing to another one. */
void crew_end(struct crew *crew, struct crew_job *job);

/* ---- Lanes ---- */

/* Whether jobs of the lane wait or are out, so that one that did not go this way could overtake them. */
bool crew_has_lane(const struct crew *crew, const struct digest *lane);

/* The worker that has jobs of the lane. NULL: none has. */
struct crew_worker *crew_lane_worker(const struct crew *crew, const struct digest *lane);

#endif

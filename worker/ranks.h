// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Which of several workers runs a call that all of them have received: the workers that are there, their
 * ranks for a call, and the calls that others run, of which a copy is kept until they are answered. It knows
 * no MQTT.
 *
 * The ranks of a call are the digests of the workers' ids and the call's key, so that all workers agree
 * without a word. A worker that has just come does not know what was answered before, and the others do not
 * all learn of it at the same moment. So it is `joining` at first, and the workers that were there before it
 * decide: a call that is its by rank is passed to it by the first of them, and it runs no other. A worker
 * that leaves runs nothing new, and passes on what others still take for its own. Whoever is to run a call is
 * its `owner`; when the owner is gone, those that were there when the call came rank it again.
 *
 * Threads: one thread, the owner's, uses a struct ranks.
 *
 * Ownership: the caller embeds struct ranks_copy in the copies of calls. A copy is the table's from
 * ranks_keep() on, until one of the functions that return copies gives it back. Workers and calls are the
 * table's; a call that is returned may go with the next function that is called, unless ranks_begin() has
 * begun it.
 *
 * Failure: ranks_come() and ranks_find() may fail for lack of memory, and then have changed nothing.
 */
#ifndef WORKER_RANKS_H
#define WORKER_RANKS_H

#define HASH_NONFATAL_OOM 1

#include "base/digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

enum { RANKS_ID_MAX = 64, RANKS_WORKERS_MAX = 1000 };

enum ranks_state {
    RANKS_JOINING,  /* it has come, and runs what is passed to it */
    RANKS_SETTLING, /* it is first in rank like those that are here, and is still passed what it runs */
    RANKS_HERE,
    RANKS_LEAVING /* it runs what it has begun */
};

struct ranks_worker {
    char id[RANKS_ID_MAX + 1];
    enum ranks_state state;
    bool was_here;  /* it is, or was before it began to leave */
    uint64_t seen;  /* when it was first heard of */
    uint64_t heard; /* when it was last heard of */
    uint64_t every; /* how often it is to be heard of; 0: no matter how long it is silent */
    UT_hash_handle hh;
};

struct ranks_call {
    struct digest key;
    const struct ranks_worker *owner; /* who runs it, or has run it; NULL: nobody */
    unsigned open;                    /* how often it has been begun here, and not been finished */
    unsigned early;                   /* answers that were told of before their calls came */
    bool passed;                      /* its owner has been told to run it */
    bool is_answered;                 /* its owner has told that it has answered it */
    bool abandoned;                   /* it was begun before ranks_forget() */
    uint64_t time;                    /* of what was last heard of it */
    uint64_t assigned;                /* when its owner was found; 0: and told of it in doubt */
    struct ranks_copy *copies;        /* the oldest first */
    struct ranks_call *prev, *next;   /* by time */
    UT_hash_handle hh;
};

struct ranks_copy {
    size_t size;      /* bytes that it holds */
    uint64_t arrived; /* when */
    uint64_t due;     /* from when on it is of no use */
    /* The table's own. */
    struct ranks_call *call;
    struct ranks_copy *prev, *next;   /* of the same call; of those that are given back */
    struct ranks_copy *older, *newer; /* of all */
};

struct ranks {
    /* Set by the owner, who may change them. */
    size_t max_copies, max_bytes; /* of all copies */
    size_t max_calls;             /* that are remembered */
    uint64_t window;              /* for which a call that was answered is remembered, nanoseconds */
    uint64_t doubt;               /* in which all learn of a change */

    struct ranks_worker *workers, *self; /* self NULL: it has not been heard of yet */
    struct ranks_call *by_key, *calls;
    struct ranks_copy *copies; /* the oldest first */
    size_t call_count, copy_count, copy_bytes;
    uint64_t changed; /* when a worker came, went or changed last; 0: never */
    bool has_mine;    /* there may be copies that this worker is to run */
    bool takes;       /* this worker is settling, and all others know: it runs what is its by rank */
};

enum ranks_verdict {
    RANKS_RUN,  /* here */
    RANKS_KEEP, /* another worker runs it, or it is not clear yet who does: keep a copy */
    RANKS_PASS, /* likewise, and its owner has to be told */
    RANKS_DROP  /* another worker has answered it already */
};

/* Frees workers and calls. All copies must have been taken; nothing may have been begun and not finished. */
void ranks_fini(struct ranks *ranks);

/* ---- Workers ---- */

/*
 * A worker has been heard of; is_self: it is this one. Returns NULL: no memory, more than RANKS_WORKERS_MAX,
 * or the id is none.
 */
struct ranks_worker *ranks_come(struct ranks *ranks, const char *id, enum ranks_state state, bool is_self,
                                uint64_t now);

/* A worker is gone; does nothing if it is not known. What it was to run is another's then. */
void ranks_go(struct ranks *ranks, const char *id, uint64_t now);

/* All workers are gone, this one, too, and nothing is remembered but what has been begun here. Returns the
 * copies, linked by `next`. */
struct ranks_copy *ranks_forget(struct ranks *ranks);

/* Something has come that a worker has told: it is there. This one's own words count when they come back.
 * Returns NULL: it is not known. */
const struct ranks_worker *ranks_hear(struct ranks *ranks, const char *id, uint64_t now);

/* The id of a worker that has been silent for too long; NULL: none. this one's own silence does not count. */
const char *ranks_find_silent(const struct ranks *ranks, uint64_t now);

/* Whether this worker has been silent for so long that the others take it for gone, or are about to. They run
 * then what comes, and what it had. */
bool ranks_is_missed(const struct ranks *ranks, uint64_t now);

/* Whether this worker knows of none but itself. */
bool ranks_is_alone(const struct ranks *ranks);

/* Whether another worker is in this state. */
bool ranks_has_other(const struct ranks *ranks, enum ranks_state state);

/* ---- Calls ---- */

/* The digest of a call. Every worker makes the same of the same call, whatever its version. */
struct digest ranks_key(const struct digest_part *parts, size_t count);

/* The call with this key, which is entered if it is not known; NULL: no memory. */
struct ranks_call *ranks_find(struct ranks *ranks, const struct digest *key, uint64_t now);

/* A call has come: who runs it? It must be done as is said: ranks_begin(), ranks_keep() or nothing. */
enum ranks_verdict ranks_decide(struct ranks *ranks, struct ranks_call *call, uint64_t now);

/* It is run here. */
void ranks_begin(struct ranks *ranks, struct ranks_call *call, uint64_t now);

/* What was begun has been answered. The others have to be told, of each time that it was begun. */
void ranks_finish(struct ranks *ranks, struct ranks_call *call, uint64_t now);

/* Keeps a copy, of which size, arrived and due are set. */
void ranks_keep(struct ranks *ranks, struct ranks_call *call, struct ranks_copy *copy);

/* A worker has told that it has answered a call once. Returns the copy that is not needed any more; NULL:
 * none. */
struct ranks_copy *ranks_answered(struct ranks *ranks, const char *worker, const struct digest *key,
                                  uint64_t now);

/* A worker has passed a call to another one, or to this one; is_doubtful: see ranks_take_doubtful(). */
void ranks_passed(struct ranks *ranks, const char *from, const char *to, const struct digest *key,
                  bool is_doubtful, uint64_t now);

/*
 * A call of which a copy is kept here, and whose owner has to be told to run it: it was found so shortly
 * before or after a change that the owner may take another worker for it. Each is returned once, when all
 * have learned of the change; NULL: none.
 */
const struct ranks_call *ranks_take_doubtful(struct ranks *ranks, uint64_t now);

/* The copies that this worker has to run now, in the order in which they came, linked by `next`. */
struct ranks_copy *ranks_take_mine(struct ranks *ranks);

/* The oldest copy if it is too old or there are too many, or too many bytes; NULL: none. */
struct ranks_copy *ranks_take_excess(struct ranks *ranks, uint64_t now);

/* Forgets what was answered too long ago. */
void ranks_expire(struct ranks *ranks, uint64_t now);

#endif

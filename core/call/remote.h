// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Calls that workers carry out: from the moment at which the method's handler would run to the outcome. Such
 * a call is pending without work (task.h). A dispatch (remote_message.h) stands for it in the crew
 * (crew/crew.h), which says which worker gets it, and when. The worker gets the parameters on
 * {prefix}/work/{worker}, and answers on {prefix}/work/{worker}/done. The outcome is read by the method's
 * tables (remote_shapes.h), and settled as that of a call that has run here.
 *
 * The end of a call is not that of its dispatch. When a caller does not wait any more, the worker is told,
 * but its credit stays taken until it answers, or until REMOTE_LOST after the call's deadline.
 *
 * A call that waits for a worker when no worker offers its method any more runs here after all, if its
 * placement allows that.
 *
 * When a worker's connection ends, its calls are sent again to another one if their method is read_only or
 * idempotent, up to REMOTE_ATTEMPTS times in all; the others come to outcome_unknown. A dispatch keeps its id
 * then: a worker that has carried it out before answers it from its memory of calls.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a dispatch has memory of its own, and owns nothing; what is sent is memory of its call. The part
 * owns the crew.
 *
 * Failure: what cannot be sent for want of memory is tried again at the next tick. remote_place() and
 * remote_create() need memory.
 */
#ifndef CORE_CALL_REMOTE_H
#define CORE_CALL_REMOTE_H

#include "base/heap.h"
#include "call/engine_parts.h"
#include "call/remote_message.h"
#include "crew/crew.h"
#include "crew/former.h"

enum {
    REMOTE_ATTEMPTS = 3, /* of sending a call whose worker goes, the first one included */
    REMOTE_REFUSALS = 16 /* of a call by workers */
};

/* One engine's part. */
struct remote {
    struct crew crew;
    struct heap alarms;         /* of dispatches, monotonic nanoseconds */
    char run[REMOTE_RUN + 1];   /* what ids of this run begin with */
    uint64_t last;              /* number of the newest dispatch, which its id ends with */
    uint64_t wait;              /* nanoseconds that a call waits when no worker offers its method */
    size_t late;                /* dispatches whose callers do not wait any more */
    struct former *former;      /* what was counted of workers that have gone */
    struct log_limit log_limit; /* of lines about what workers send */
};

/* Returns NULL: no memory. remote_destroy() is for an engine without tasks. */
struct remote *remote_create(uint64_t seed);
void remote_destroy(struct engine *engine);

/* Makes a method's placement hold, which must be set. Returns false: no memory. */
bool remote_place(struct engine *engine, struct registry_method *method);

/* Frees what a method, which is about to end, has for its placement. */
void remote_forget(struct registry_method *method);

/* Where a message to a topic below {prefix}/work/ goes; below: what follows that. */
enum engine_verdict remote_receive(struct engine *engine, const struct host_message *message,
                                   const char *below);

/*
 * Attaches a worker, or one that is attached anew, with what it offers: methods of this engine, to which
 * placements other than local must hold. Returns CREW_OK and sets *worker; else *worker is set where
 * crew_attach() says so, and nothing has changed, but that a worker that was attached offers nothing any more
 * after CREW_NO_MEMORY.
 */
enum crew_answer remote_attach(struct engine *engine, const struct crew_card *card,
                               const struct host_client *client, const void *const *methods, size_t count,
                               struct crew_worker **worker);

/* The worker gets no further call. */
void remote_detach(struct engine *engine, struct crew_worker *worker);

/* A connection has ended, which need not be a worker's. */
void remote_connection_ended(struct engine *engine, const struct host_ending *ending);

/* Hands out what can go. To be called when a method may have workers that it did not have before. */
void remote_pump(struct engine *engine);

/* Ends what has waited too long. */
void remote_tick(struct engine *engine, uint64_t now);

/* When remote_tick() is to be called next; UINT64_MAX: at no certain time. */
static inline uint64_t remote_due(const struct remote *remote)
{
    const struct heap_node *first = heap_first(&remote->alarms);
    return first ? first->key : UINT64_MAX;
}

/* The worker that has a dispatch; NULL: it waits. */
static inline const struct crew_worker *remote_worker(const struct dispatch *dispatch)
{
    return dispatch->sent ? dispatch->job.worker : NULL;
}

#endif

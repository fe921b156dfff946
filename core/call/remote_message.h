// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A call's way to a worker, which is a dispatch, and the messages that a worker gets of it: the call itself
 * on {prefix}/work/{worker}, and {prefix}/work/{worker}/cancel. Their Correlation Data is the id of the
 * dispatch: REMOTE_RUN characters that are those of one run of the plugin, and the number of the dispatch.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a dispatch is memory of remote.c, and owns nothing; what is sent is memory of its call.
 *
 * Failure: the functions that send say when there is no memory.
 */
#ifndef CORE_CALL_REMOTE_MESSAGE_H
#define CORE_CALL_REMOTE_MESSAGE_H

#include "base/heap.h"
#include "call/exchange.h"
#include "crew/crew.h"

enum {
    REMOTE_ID = 32, /* characters of a dispatch's id */
    REMOTE_RUN = 16 /* so many of them are those of the run */
};

#define REMOTE_LOST UINT64_C(60000000000) /* nanoseconds after the deadline of a call */

/* A call and its way to a worker. */
struct dispatch {
    struct crew_job job; /* the first member: a job is its dispatch's */
    rpc_call *call;      /* NULL: its caller does not wait any more */
    uint64_t number;
    uint64_t submitted;  /* when it began to wait for a worker, for the last time; monotonic nanoseconds */
    uint64_t sent;       /* when its worker got it; 0: it has to be sent, when there is memory */
    uint64_t deadline;   /* of the call, likewise */
    const void *params;  /* decoded, memory of the call */
    const char *payload; /* likewise */
    size_t size;         /* bytes */
    unsigned attempts;   /* how often it was sent, without those that were refused */
    unsigned refusals;
    rpc_status status; /* the outcome, once the worker has answered */
    bool runs_here;    /* no worker is left for it, and its handler may run in this process */
    struct heap_node alarm;
};

/* Sends a dispatch to the worker that has it. Returns false: no memory. */
bool remote_message_send(const struct env *env, const char *run, const struct dispatch *dispatch,
                         uint64_t now);

/* Tells the worker that nobody waits for the result. It is advice: without memory the worker does not get it.
 */
void remote_message_cancel(const struct env *env, const char *run, const struct dispatch *dispatch);

/* The number of the dispatch that an id of this run names. 0: it is no such id. */
uint64_t remote_message_read_id(const char *run, const char *id, size_t size);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What an engine consists of: one part for each room or file that keeps state, defined there. The files of
 * call/ reach their neighbours' parts through it.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: engine.c makes and frees the whole; each part is set up and freed by the file that defines it.
 *
 * Failure: plain data.
 */
#ifndef CORE_CALL_ENGINE_PARTS_H
#define CORE_CALL_ENGINE_PARTS_H

#include "base/env.h"
#include "call/dead.h"
#include "call/registry.h"
#include "dedup/accounts.h"
#include "dedup/dedup.h"
#include "work/slots.h"
#include "work/timers.h"

struct answers;
struct connection;
struct exchange;
struct foreign;
struct health;
struct recorder;
struct remote;
struct tasks;

struct engine {
    struct env env;
    struct engine *next; /* of those that engine_join() has brought together, in a ring */
    struct registry registry;
    struct dedup dedup;
    struct accounts accounts;
    struct timers timers;
    struct slots slots; /* of pending calls, also of some whose work has just begun; and the bytes held */
    const struct codec *codec; /* of messages and replies */
    const struct codec *event_codec;
    struct tasks *tasks;            /* of call/task.c */
    struct foreign *foreign;        /* of call/foreign.c */
    struct remote *remote;          /* of call/remote.c */
    struct answers *answers;        /* of call/answer.c */
    struct recorder *recorder;      /* the last calls */
    struct health *health;          /* of observe/health.c */
    struct dead dead;               /* letters */
    struct connection *connections; /* that have something pending; of call/connections.c */
    struct exchange
        *spare;        /* memory for the next exchange, of call/exchange.c; NULL: in use, or never made */
    char *spare_reply; /* likewise, max_reply bytes for the next reply */

    uint64_t started;    /* monotonic nanoseconds */
    uint64_t random;     /* the state of the generator of ids of spans; never 0 */
    struct bucket spans; /* published ones */

    struct counters published;         /* the counters as they were last published */
    uint64_t counters_due, expire_due; /* monotonic nanoseconds */
    struct registry_method *to_report; /* the first of those whose documents are still to be looked at, of
                                          observe/report.c; NULL: none is until counters_due */
    uint64_t report_due;               /* when that goes on, monotonic nanoseconds */
};

#endif

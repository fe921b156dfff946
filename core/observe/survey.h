// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Surveys of what is open: calls and background work that run, that wait for a thread, or for something else.
 * They cost a look at each task, so nothing is counted when a task begins or ends.
 *
 * Threads: the broker's thread only. Work may begin or end at the same time: a survey tells how it was when
 * it began.
 *
 * Ownership: lanes are rows in the arena; the names in them belong to tasks, and stay as long as these.
 *
 * Failure: survey_lanes() needs memory.
 */
#ifndef CORE_OBSERVE_SURVEY_H
#define CORE_OBSERVE_SURVEY_H

#include "base/arena.h"
#include "call/task.h"

/* Numbers of tasks, without those of calls that workers carry out. */
struct survey {
    size_t
        running; /* their work runs on a thread, also that of calls that have been answered before it ended */
    size_t waiting;  /* they wait for a thread */
    size_t deferred; /* they wait for rpc_resume() */
};

/* Counts all tasks, and notes in the statistics of each method how many of its calls are open. */
void survey_tasks(struct engine *engine, struct survey *survey);

enum { SURVEY_LANES = 32 };

struct survey_lane {
    const char *name; /* as in struct task */
    const rpc_instance *instance;
    size_t waiting, running; /* tasks */
};

struct survey_lanes {
    struct survey_lane rows[SURVEY_LANES]; /* those with most tasks first */
    size_t count;
};

/* Finds the lanes with most tasks. Returns false: no memory. */
bool survey_lanes(struct engine *engine, struct survey_lanes *lanes);

#endif

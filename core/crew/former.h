// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What was counted of workers that have gone, by their names: a worker that comes under a name goes on
 * counting where the one before it has ended.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a table owns its rows, at most CREW_WORKERS_MAX. former_fini() frees them.
 *
 * Failure: without memory what was counted of a worker is forgotten.
 */
#ifndef CORE_CREW_FORMER_H
#define CORE_CREW_FORMER_H

#include "crew/crew.h"

/* A row; a table is a pointer to its first row. All zero is an empty table. */
struct former {
    char name[CREW_NAME_MAX + 1];
    struct crew_counts counts;
    UT_hash_handle hh;
};

/* Keeps what was counted of a worker that goes. Where the table is full, its oldest row makes room. */
void former_keep(struct former **table, const char *name, const struct crew_counts *counts);

/* Sets *counts to what was kept of this name, which is kept no longer. */
void former_resume(struct former **table, const char *name, struct crew_counts *counts);

void former_fini(struct former **table);

#endif

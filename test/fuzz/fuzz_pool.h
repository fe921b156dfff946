// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The pool of fuzz targets, which has no threads: a target lets jobs begin and end.
 *
 * Threads: one, on which work runs, too.
 *
 * Ownership: as work/pool.h says.
 *
 * Failure: what cannot begin or end does not, which the return value says.
 */
#ifndef FUZZ_POOL_H
#define FUZZ_POOL_H

#include <stdbool.h>

/* Whether each job runs as soon as it is submitted. At first none does. */
void fuzz_pool_at_once(bool is_so);

/* Begins the job of this number among those that could begin, or the last of them. */
bool fuzz_pool_begin(unsigned number);

/* Ends the job of this number among those that run, or the last of them: its work runs now. */
bool fuzz_pool_end(unsigned number);

/* Begins and ends all. */
void fuzz_pool_run(void);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The mode `share`: the calls of all prefixes by shared subscriptions, of which the broker gives each to one
 * of the group's members. Replies and events are ordinary publications.
 *
 * Threads: the worker's.
 *
 * Ownership: none of its own.
 *
 * Failure: a worker whose broker has no shared subscriptions, or refuses them, ends.
 */
#ifndef WORKER_SHARE_H
#define WORKER_SHARE_H

#include "worker.h"

extern const struct worker_mode share_mode;

#endif

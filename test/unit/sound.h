// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Whether the tables of an engine are sound and within their bounds, which holds between any two steps of it.
 *
 * Threads: the test's thread only.
 *
 * Ownership: the engine is borrowed.
 *
 * Failure: what is not sound fails the test.
 */
#ifndef SOUND_H
#define SOUND_H

struct engine;

/* The clients, the cached replies and the orders of messages. */
void sound_tables(const struct engine *engine);

/* The tasks, the exchanges that are pending, and the slots and bytes that they take. */
void sound_tasks(const struct engine *engine);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Whether all is well, and if not, what is wrong: rpc.health, and the same as a retained document below $SYS,
 * which is published when it has changed. What is wrong is looked for when somebody asks, and once a second
 * at most when the engine has something to do anyway.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: health_create() makes an engine's part, and health_destroy() frees it. A result is memory of its
 * call, or points at what outlives it.
 *
 * Failure: looking needs memory; without it a call ends with internal_error, and a document is tried again a
 * second later.
 */
#ifndef CORE_OBSERVE_HEALTH_H
#define CORE_OBSERVE_HEALTH_H

#include <mosquitto_rpc.h>

struct engine;
struct health;

#define HEALTH_LEVEL "health" /* the last level of its topic */
#define HEALTH_DOC "whether all is well, or what is wrong, published when it has changed"

extern const rpc_shape health_shape;

/* Returns NULL: no memory. */
struct health *health_create(void);

/* Accepts NULL. */
void health_destroy(struct health *health);

/* When health_publish() has to be called next, monotonic nanoseconds; UINT64_MAX: at no certain time. */
uint64_t health_due(const struct engine *engine);

/* Publishes the document if it has changed, unless it has been looked at less than a second before `now`. */
void health_publish(struct engine *engine, uint64_t now);

/* Looks. Returns whether nothing is wrong; without memory something is. */
bool health_check(const struct engine *engine);

rpc_status health_run(rpc_call *call, void *state, const void *params, void *result);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * rpc.stats: the statistics of methods and the state of the service in one document.
 *
 * Threads: the broker's thread, like all handlers.
 *
 * Ownership: the result is memory of its call, or points at what outlives it.
 *
 * Failure: without memory the call ends with internal_error.
 */
#ifndef CORE_OBSERVE_STATS_H
#define CORE_OBSERVE_STATS_H

#include <mosquitto_rpc.h>

extern const rpc_shape stats_params_shape, stats_shape;

/* Raises unknown_method. */
rpc_status stats_run(rpc_call *call, void *state, const void *params, void *result);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * rpc.recent: the last calls, out of the engine's ring (stats/recorder.h).
 *
 * Threads: the broker's thread, like all handlers.
 *
 * Ownership: the result is memory of its call, or points into the ring, which does not change until the call
 * has been answered.
 *
 * Failure: without memory the call ends with internal_error. What does not fit into max_reply is left out.
 */
#ifndef CORE_OBSERVE_RECENT_H
#define CORE_OBSERVE_RECENT_H

#include <mosquitto_rpc.h>

extern const rpc_shape recent_params_shape, recent_shape;

rpc_status recent_run(rpc_call *call, void *state, const void *params, void *result);

#endif

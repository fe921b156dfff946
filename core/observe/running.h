// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * rpc.running: the calls that are open, out of the engine's tasks: what hangs, and where.
 *
 * Threads: the broker's thread, like all handlers. Work may begin or end at the same time.
 *
 * Ownership: the result is memory of its call, or points at open calls, which do not end until it has been
 * answered.
 *
 * Failure: without memory the call ends with internal_error. What does not fit into max_reply is left out.
 */
#ifndef CORE_OBSERVE_RUNNING_H
#define CORE_OBSERVE_RUNNING_H

#include <mosquitto_rpc.h>

extern const rpc_shape running_params_shape, running_shape;

rpc_status running_run(rpc_call *call, void *state, const void *params, void *result);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * rpc.metrics: the statistics and the state of a prefix in the text format of Prometheus, version 0.0.4, in
 * pages that fit into replies. The pages one behind the other are one document: each begins where the one
 * before has ended, also if calls were counted in between.
 *
 * Threads: the broker's thread, like all handlers.
 *
 * Ownership: a page is memory of its call.
 *
 * Failure: without memory the call ends with internal_error. If max_reply is so small that one method's
 * samples do not fit into a page, the call ends with reply_too_large.
 */
#ifndef CORE_OBSERVE_METRICS_H
#define CORE_OBSERVE_METRICS_H

#include <mosquitto_rpc.h>

extern const rpc_shape metrics_params_shape, metrics_shape;

rpc_status metrics_run(rpc_call *call, void *state, const void *params, void *result);

#endif

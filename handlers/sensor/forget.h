// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The method forgetSensor: a sensor and its readings are deleted.
 *
 * Threads: the broker's thread only, but forget_work().
 *
 * Ownership: what a call has is memory of the call.
 *
 * Failure: the functions are of a method, and their status is its outcome.
 */
#ifndef SENSOR_FORGET_H
#define SENSOR_FORGET_H

#include <mosquitto_rpc.h>

extern const rpc_shape forget_result;

rpc_status forget_run(rpc_call *call, void *state, const void *params, void *result);
void forget_work(rpc_job *job, void *data);
rpc_status forget_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result);

#endif

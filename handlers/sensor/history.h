// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The method sensorHistory: the readings that the database has of a sensor.
 *
 * Threads: the broker's thread only, but history_work().
 *
 * Ownership: what a call has is memory of the call.
 *
 * Failure: the functions are of a method, and their status is its outcome.
 */
#ifndef SENSOR_HISTORY_H
#define SENSOR_HISTORY_H

#include <mosquitto_rpc.h>

extern const rpc_shape history_params, history_result;

rpc_status history_run(rpc_call *call, void *state, const void *params, void *result);
void history_work(rpc_job *job, void *data);
rpc_status history_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The method updateSensor: a reading comes, is written to the database, and becomes the sensor's last one.
 *
 * Threads: the broker's thread only, but report_work().
 *
 * Ownership: what a call has is memory of the call.
 *
 * Failure: the functions are of a method, and their status is its outcome.
 */
#ifndef SENSOR_REPORT_H
#define SENSOR_REPORT_H

#include <mosquitto_rpc.h>

extern const rpc_shape report_params, report_result;

rpc_status report_run(rpc_call *call, void *state, const void *params, void *result);

/* Stores all waiting readings in one transaction, since the disk takes as long for one as for many. */
void report_work(rpc_job *job, void *data);

rpc_status report_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result);

#endif

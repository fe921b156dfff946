// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The last readings as others see them: the methods getSensor and listSensors, and the average.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: what a call has is memory of the call.
 *
 * Failure: the functions are of a method, and their status is its outcome.
 */
#ifndef SENSOR_SHOW_H
#define SENSOR_SHOW_H

#include <mosquitto_rpc.h>

extern const rpc_shape show_list_params, show_list_shape, show_average_shape;

rpc_status show_get(rpc_call *call, void *state, const void *params, void *result);
rpc_status show_list(rpc_call *call, void *state, const void *params, void *result);

/* A timer's: announces the average. */
void show_average(rpc_instance *instance, void *state, void *data);

#endif

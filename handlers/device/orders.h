// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The methods for commands: device/{device}/{command} and device.call, which wait for the device's answer;
 * device.history, device.cancel and device.counts. An adopted message (adopt.h) is a call of the family, too.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: as handlers do.
 *
 * Failure: as handlers do. The errors that a command can come to are in orders_errors.
 */
#ifndef DEVICE_ORDERS_H
#define DEVICE_ORDERS_H

#include "module.h"

extern const rpc_shape orders_call_params;
extern const rpc_shape orders_history_params, orders_history_result;
extern const rpc_shape orders_cancel_params, orders_cancel_result;
extern const rpc_shape orders_counts_result;

/* The errors of commands, and of device.cancel. */
enum { ORDERS_ERRORS = 13 };
extern const rpc_error orders_errors[ORDERS_ERRORS];
extern const rpc_error orders_cancel_errors[2];

rpc_status orders_run(rpc_call *call, void *state, const void *params, void *result);
rpc_status orders_call(rpc_call *call, void *state, const void *params, void *result);
rpc_status orders_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result);
rpc_status orders_history(rpc_call *call, void *state, const void *params, void *result);
rpc_status orders_cancel(rpc_call *call, void *state, const void *params, void *result);
rpc_status orders_counts(rpc_call *call, void *state, const void *params, void *result);

#endif

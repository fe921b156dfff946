// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The methods that tell which devices there are, and forget one: device.list, device.status, device.forget.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: as handlers do.
 *
 * Failure: as handlers do; each method raises device_unknown.
 */
#ifndef DEVICE_ROSTER_H
#define DEVICE_ROSTER_H

#include "module.h"

extern const rpc_shape roster_list_params, roster_list_result;
extern const rpc_shape roster_device_params, roster_status_result, roster_forget_result;

rpc_status roster_list(rpc_call *call, void *state, const void *params, void *result);
rpc_status roster_status(rpc_call *call, void *state, const void *params, void *result);
rpc_status roster_forget(rpc_call *call, void *state, const void *params, void *result);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Looks RPC_STATUS_MAP up, which is in the public header.
 *
 * Threads: any. The table is constant.
 *
 * Ownership: all texts have static storage.
 *
 * Failure: a number that is no status counts as RPC_INTERNAL_ERROR.
 */
#ifndef CORE_BASE_STATUS_H
#define CORE_BASE_STATUS_H

#include <mosquitto_rpc.h>

/* The name on the wire, "internal_error" for a number that is no status. */
const char *status_name(rpc_status status);

/* The standard text for people. */
const char *status_text(rpc_status status);

/* The JSON-RPC 2.0 error code; 0 for RPC_OK. */
int status_code(rpc_status status);

/* The status with this name on the wire, RPC_OK and RPC_RAISED left out. RPC_RAISED: none has it. */
rpc_status status_find(const char *name);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Runs a call: its parameters are decoded and checked, its handler runs, and what that returns is settled
 * unless the call is pending now.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: parameters and result are memory of the call.
 *
 * Failure: every failure is an outcome of the call.
 */
#ifndef CORE_CALL_RUN_H
#define CORE_CALL_RUN_H

#include "call/exchange.h"

/* Runs a call, and settles it unless it has become pending. A call without a method comes to
 * method_not_found. */
void run_call(rpc_call *call);

/*
 * Checks what a handler or a done returned for a call that is not pending. What it may not return is its
 * fault: it is logged, and becomes internal_error.
 */
rpc_status run_check_outcome(rpc_call *call, rpc_status returned);

/* Logs a handler or a done that has made its call pending and returned something else than RPC_PENDING. */
void run_check_pending(const rpc_call *call, rpc_status returned);

#endif

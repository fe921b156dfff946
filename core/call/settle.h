// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The outcome of a call, settled once: its reply and event, the counters, and the modules that observe calls.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: takes nothing; the call is still its owner's.
 *
 * Failure: cannot fail. What cannot be told for want of memory is counted as dropped (answer.h).
 */
#ifndef CORE_CALL_SETTLE_H
#define CORE_CALL_SETTLE_H

#include "call/call.h"

/* Settles a call, with what its handler or its done returned, or with the reason why it did not run. */
void call_settle(rpc_call *call, rpc_status status);

#endif

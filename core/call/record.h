// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What is noted of each call whose outcome is known: it enters the ring of the last calls and, if its method
 * is registered, counters and statistics, and the modules that observe calls are told. With log_calls a line
 * of the log tells of it.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: everything that is noted is copied.
 *
 * Failure: none. Nothing is allocated.
 */
#ifndef CORE_CALL_RECORD_H
#define CORE_CALL_RECORD_H

#include "call/exchange.h"

/* Notes a call, once, when its outcome has been written. status is the outcome; of an error call->failure
 * says why. */
void record_call(const rpc_call *call, rpc_status status);

#endif

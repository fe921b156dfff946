// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Carries a message that calls from its arrival to its reply: whether it is admitted, its calls in order, the
 * reply when all outcomes are known.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: dispatch makes the message's exchange, and gives up its hold before it returns; pending calls
 * keep it.
 *
 * Failure: without memory for an exchange the message is dropped, counted and logged.
 */
#ifndef CORE_CALL_DISPATCH_H
#define CORE_CALL_DISPATCH_H

#include "call/exchange.h"
#include "call/place.h"

/*
 * Handles a message to a topic of calls, of which the place's name names the method, as topic_classify()
 * says. The payload of an adopted message is never JSON-RPC; it passes if there is no memory for it, or if no
 * reply may go to its Response Topic. A replay only runs; it passes if there is no memory for it.
 */
enum engine_verdict dispatch_message(struct engine *engine, const struct host_message *message,
                                     enum topic_kind kind, const struct engine_place *place);

/* The outcome of a pending call is known. The last one of its exchange sends the reply. */
void dispatch_settle(rpc_call *call, rpc_status status);

#endif

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

/* Handles a message to a topic of calls. name is the topic's part that names the method, as topic_classify()
 * says. */
enum engine_verdict dispatch_message(struct engine *engine, const struct host_message *message,
                                     enum topic_kind kind, const char *name);

/*
 * Carries out a message of an inbox as a call of the method `name`: the message is what its sender would have
 * published to the method's topic, but that its payload is never JSON-RPC. errors_only: its sender gets a
 * reply only if it is an error. Returns false: no memory, or the method is left to other servers, or no reply
 * may go to the message's Response Topic.
 */
bool dispatch_adopt(struct engine *engine, const struct host_message *message, const char *name,
                    bool errors_only);

/* The outcome of a pending call is known. The last one of its exchange sends the reply. */
void dispatch_settle(rpc_call *call, rpc_status status);

#endif

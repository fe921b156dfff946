// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What is in a message's payload, and so where its reply goes if its properties do not say: one call or a
 * batch of them, plain or as JSON-RPC.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: the tree is the exchange's; calls point into it.
 *
 * Failure: the status says why nothing of the payload can be run; the exchange's embedded call has the
 * message.
 */
#ifndef CORE_CALL_PAYLOAD_H
#define CORE_CALL_PAYLOAD_H

#include "call/exchange.h"

/*
 * Takes the payload apart, and finds the route of the reply. The order of the checks is the order in which a
 * caller can be answered: first where to, then what is wrong. Returns RPC_OK, or why nothing of it can be
 * run.
 */
rpc_status payload_take(struct exchange *exchange);

/* Makes the exchange's call out of one JSON-RPC request of a batch. Returns likewise. */
rpc_status payload_take_request(struct exchange *exchange, const cJSON *item);

/*
 * Parses the payload, unless that was done before; payload_take() does so where it needs to. Returns RPC_OK,
 * RPC_PAYLOAD_TOO_LARGE, RPC_PARSE_ERROR, or RPC_INTERNAL_ERROR: no memory.
 */
rpc_status payload_parse(struct exchange *exchange);

/*
 * Finds the route of a message whose payload is not parsed, because it is broken, too large or refused
 * before: by its ids as far as a glance can read them. is_broken: what may be a request is answered with the
 * id null if it has none that can be read; else JSON-RPC in which no id is seen is taken for a notification.
 * The call's failure stays as it is. Returns RPC_OK, or RPC_INTERNAL_ERROR: no memory. To be called after
 * route_by_response_topic() of a message that has one.
 */
rpc_status payload_glance(struct exchange *exchange, bool is_broken);

/* Whether a payload that was parsed calls methods of other servers, and none that is open here. */
bool payload_is_for_others(const struct exchange *exchange);

/* Whether running the message twice does no harm: its methods change nothing. */
bool payload_may_run_twice(const struct exchange *exchange);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Where the reply to a message goes: to its Response Topic, or to a topic made of its
 * request_id or its JSON-RPC id. A route that is found also gives the message its identity.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: routes are memory of the exchange, or of the host's message.
 *
 * Failure: each function returns RPC_OK; RPC_INVALID_REQUEST: there is a route but it is malformed, and the
 * exchange has none now, or that of an id null; RPC_INTERNAL_ERROR: no memory.
 */
#ifndef CORE_CALL_ROUTE_H
#define CORE_CALL_ROUTE_H

#include "call/exchange.h"

/* By the Response Topic, which the message has. */
rpc_status route_by_response_topic(struct exchange *exchange);

/* By a request_id, a string or a number, which the exchange then keeps to wrap the reply with. */
rpc_status route_by_request_id(struct exchange *exchange, const cJSON *id);

/*
 * By a JSON-RPC id, unless the message has a route; the id counts as identity in both cases. Also where it is
 * RPC_INVALID_REQUEST there is a route, …/response/null, unless the client's id makes none.
 */
rpc_status route_by_jsonrpc_id(struct exchange *exchange, const cJSON *id);

#endif

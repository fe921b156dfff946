// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What workers answer to calls of methods that they have declared themselves (foreign.h). Nothing describes
 * it but schemas, which are for readers: so it is passed on as it came.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: what is taken is memory of the call; of codes that of the engine.
 *
 * Failure: the functions say in one line what is wrong with an answer.
 */
#ifndef CORE_CALL_FOREIGN_ANSWER_H
#define CORE_CALL_FOREIGN_ANSWER_H

#include "call/exchange.h"
#include "call/foreign.h"

/*
 * Takes a result, which becomes that of the call, byte for byte; an empty payload is {}. A NUL follows its
 * size bytes. Returns RPC_OK; RPC_REPLY_TOO_LARGE; RPC_INVALID_PARAMS: it is not JSON, why says so;
 * RPC_INTERNAL_ERROR: no memory.
 */
rpc_status foreign_take_result(rpc_call *call, const char *payload, size_t size, char why[FIELDS_WHY]);

/* Sends an interim reply. Returns the same, and what rpc_progress() does. */
rpc_status foreign_take_progress(rpc_call *call, const char *payload, size_t size, char why[FIELDS_WHY]);

/*
 * Takes an error, which becomes that of the call, with its message and its members as they came; a payload
 * that is no JSON object has neither. Returns its status; RPC_OK: code is none that an error can have, or one
 * more than FOREIGN_ERRORS_MAX of the method or FOREIGN_CODES_MAX of all, why says so.
 */
rpc_status foreign_take_error(rpc_call *call, const char *code, const char *payload, size_t size,
                              char why[FIELDS_WHY]);

#endif

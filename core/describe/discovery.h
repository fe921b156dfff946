// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The built-in module `rpc`: the service describes itself. It stands first in every plugin's list of modules
 * and is a module like any other, except that it reads the registry, which other modules do not see.
 *
 * Threads: the broker's thread only, like all handlers.
 *
 * Ownership: documents are memory of the call; the whole document is kept in the module's state.
 *
 * Failure: a document that does not fit into max_reply is the error reply_too_large, which says what to call
 * instead.
 */
#ifndef CORE_DESCRIBE_DISCOVERY_H
#define CORE_DESCRIBE_DISCOVERY_H

#include <mosquitto_rpc.h>

extern const rpc_module rpc_module_rpc;

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The built-in module `rpc`, with which the service describes itself: rpc.discover, rpc.list, rpc.describe.
 * It stands first in every plugin's list of modules. Unlike other modules it reads the engine's registry.
 *
 * Threads: the broker's thread, like all handlers.
 *
 * Ownership: an instance keeps the OpenRPC document that it wrote last, until it ends or a module is added.
 *
 * Failure: a document over max_reply bytes is the error reply_too_large; without memory a call ends with
 * internal_error.
 */
#ifndef CORE_DESCRIBE_DISCOVERY_H
#define CORE_DESCRIBE_DISCOVERY_H

#include <mosquitto_rpc.h>

extern const rpc_module rpc_module_rpc;

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The built-in module `observe`, which tells what the service does: rpc.stats, rpc.metrics, rpc.recent,
 * rpc.running and rpc.health. It stands behind `rpc` in every plugin's list of modules. Unlike other modules
 * it reads the engine.
 *
 * Threads: the broker's thread, like all handlers.
 *
 * Ownership: results are memory of their calls, or point at what outlives them.
 *
 * Failure: without memory a call ends with internal_error; a result over max_reply is reply_too_large.
 */
#ifndef CORE_OBSERVE_OBSERVE_H
#define CORE_OBSERVE_OBSERVE_H

#include <mosquitto_rpc.h>

extern const rpc_module rpc_module_observe;

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The built-in module `dead`, which shows the dead letters and has them run again: dead.list, dead.get,
 * dead.replay, dead.drop. Unlike other modules it reads the engine's table of them (call/dead.h).
 *
 * Threads: the broker's thread, like all handlers.
 *
 * Ownership: the letters are the table's. What calls return are copies, in memory of the call.
 *
 * Failure: without memory a call ends with internal_error.
 */
#ifndef CORE_OBSERVE_LETTERS_H
#define CORE_OBSERVE_LETTERS_H

#include <mosquitto_rpc.h>

extern const rpc_module rpc_module_dead;

#endif

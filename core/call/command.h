// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The functions of mosquitto_rpc.h about the commands of devices, which find a command's row and check its
 * parts. Their contracts stand there. The rows themselves are in the registry (call/registry.h).
 *
 * Threads: the broker's thread only.
 *
 * Ownership: what rpc_command_check() stores is the caller's.
 *
 * Failure: a value that does not fit is explained; a module's mistake becomes internal_error and a line in
 * the log.
 */
#ifndef CORE_CALL_COMMAND_H
#define CORE_CALL_COMMAND_H

#include <mosquitto_rpc.h>

#endif

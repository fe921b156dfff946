// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The built-in module `workers`: rpc.attach and rpc.detach, by which workers come and go, and rpc.workers,
 * which lists them. What becomes of calls is call/remote.h.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: the module keeps nothing of a call; the crew copies what a worker says of itself.
 *
 * Failure: every failure is an error of the call.
 */
#ifndef CORE_WORKERS_WORKERS_H
#define CORE_WORKERS_WORKERS_H

#include <mosquitto_rpc.h>

extern const rpc_module rpc_module_workers;

#endif

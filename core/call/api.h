// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The functions of mosquitto_rpc.h that a handler calls, except those for work and deferred calls
 * (call/task.h) and for timers (work/timers.h). Their contracts stand there.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: what they return lives as long as the call.
 *
 * Failure: a handler's mistake becomes internal_error and a line in the log.
 */
#ifndef CORE_CALL_API_H
#define CORE_CALL_API_H

#include <mosquitto_rpc.h>

enum { API_MESSAGE_MAX = 512 }; /* bytes of an error's message, and of a log line of a module */

#endif

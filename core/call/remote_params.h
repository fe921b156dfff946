// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What a worker gets of a call's parameters, and the lane that they say.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: what is taken is memory of the call.
 *
 * Failure: remote_params_take_payload() returns false without memory.
 */
#ifndef CORE_CALL_REMOTE_PARAMS_H
#define CORE_CALL_REMOTE_PARAMS_H

#include "call/remote_message.h"

/* Sets what the worker gets: the payload as it came, where it is nothing but the parameters; else their JSON
 * text. Returns false: no memory. */
bool remote_params_take_payload(rpc_call *call, struct dispatch *dispatch);

/* Sets the job's lane, if the call has one. params: decoded; of a declared method NULL, or its JSON. */
void remote_params_take_lane(const rpc_call *call, const void *params, struct crew_job *job);

#endif

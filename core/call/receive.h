// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Who gets a message: the module whose inbox it is for, the calls, or nobody, because its sender may not
 * publish there. The function rpc_adopt() of mosquitto_rpc.h is here, too: it has a message of an inbox
 * received once more, as a call.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a message is borrowed from the host, or from who adopts it, until receive_message() returns.
 *
 * Failure: rpc_adopt() needs memory; without it the message is not adopted.
 */
#ifndef CORE_CALL_RECEIVE_H
#define CORE_CALL_RECEIVE_H

#include "base/env.h"
#include "call/dead.h"
#include "call/place.h"

struct engine;

/*
 * Runs the call of a dead letter again, as its caller's, which gets no reply: without user properties, rates
 * and the recognition of duplicates. dead_end_replay() ends the replay, before this returns or, if the call
 * becomes pending, later. The letter can be replayed, and no replay of it runs.
 */
void receive_replay(struct engine *engine, struct dead_letter *letter);

/*
 * Gives a message to whom it is for, and returns what the host is to do with it. Calls and adopted messages
 * come through here alone, so that the compiler can make one function of a call's way.
 */
enum engine_verdict receive_message(struct engine *engine, const struct host_message *message,
                                    const struct engine_place *place);

#endif

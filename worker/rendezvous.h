// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The mode `rendezvous`, for brokers and clusters without shared subscriptions: every worker gets all calls,
 * and each call is run by the one that all agree on (ranks.h). P is the first prefix:
 *
 *     P/worker/{id}       retained: the worker is there, as a JSON object; empty: it is gone. The will of the
 *                         worker's connection says so, too. It is sent again and again, since the nodes of a
 *                         cluster may go without publishing wills: who is silent for too long is gone.
 *     P/worker/{id}/done  the worker has answered the call whose key is the Correlation Data
 *     P/worker/{id}/pass  the worker whose id is the payload is to run that call
 *     P/worker/{id}/doubt likewise, unless it takes a third one for the one that does
 *
 * And the mode `auto`: `share` where the broker has shared subscriptions, else `rendezvous`.
 *
 * Threads: the worker's.
 *
 * Ownership: the mode's state is the worker's mode_state.
 *
 * Failure: a call that cannot be kept for want of memory, or because it is one of too many, is not run again
 * if the worker that has it goes; that is logged. A worker whose subscriptions are refused ends.
 */
#ifndef WORKER_RENDEZVOUS_H
#define WORKER_RENDEZVOUS_H

#include "worker.h"

extern const struct worker_mode rendezvous_mode, auto_mode;

#endif

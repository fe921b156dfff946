// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What the modes without the plugin share: the subscriptions to the calls of all prefixes, and the calls to
 * all workers, {prefix}/worker/all/{verb}, which each of them answers for itself: rpc.ping, rpc.list and
 * rpc.stats. Such a reply has the user property `worker`, the worker's name.
 *
 * Threads: the worker's.
 *
 * Ownership: none of its own.
 *
 * Failure: what cannot be subscribed is logged, and ends the worker, since one that gets no calls must not
 * look like one that does.
 */
#ifndef WORKER_CALLS_H
#define WORKER_CALLS_H

#include "worker.h"

/*
 * Subscribes to all calls, or ends that. group: of a shared subscription; NULL: this worker gets all of them.
 * Calls to all workers are in no group. Returns how many answers calls_subscribed() is to get.
 */
int calls_subscribe(struct worker *worker, const char *group);
void calls_unsubscribe(struct worker *worker, const char *group);

/* The broker has answered a subscription: see worker_mode. Returns false: it refuses, and the worker ends. */
bool calls_subscribed(struct worker *worker, int mid, int reason);

/* Whether a topic is one of replies: those that go below the call's own topic come back to who gets all
 * calls.
 */
bool calls_is_reply(const struct worker *worker, const char *topic);

/* Handles a message if it is a call to all workers. Returns false: it is none. */
bool calls_answer_all(struct worker *worker, const struct mosquitto_message *received,
                      const mosquitto_property *properties);

/* Publishes a message at its topic, a reply to such a call with the name of the worker: see worker_mode. A
 * reply to a topic below {prefix}/worker is dropped. */
bool calls_publish(struct worker *worker, const struct host_publication *publication);

/* Whether a mark (host.h) is that of calls to all workers. */
bool calls_is_to_all(const void *mark);

#endif

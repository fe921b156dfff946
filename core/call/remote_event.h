// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Events that workers publish: which of them a worker may, and what is announced of them.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: nothing is kept; all is borrowed during the call.
 *
 * Failure: remote_event_take() says why an event is not announced.
 */
#ifndef CORE_CALL_REMOTE_EVENT_H
#define CORE_CALL_REMOTE_EVENT_H

#include "call/engine_parts.h"
#include "crew/crew.h"

/*
 * Announces an event that a worker has published; name: what follows {prefix}/work/{worker}/event/. An empty
 * payload retracts the retained value of a key. Returns false: the worker may publish no event of that name.
 * why: why an event that it may publish is not announced; empty: it is, or there is no memory for it.
 */
bool remote_event_take(struct engine *engine, const struct crew_worker *worker, const char *name,
                       const struct host_message *message, char why[FIELDS_WHY]);

#endif

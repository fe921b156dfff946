// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Events that workers publish: see remote_event.h. */
#include "call/remote_event.h"

#include "call/answer.h"
#include "call/foreign.h"
#include "call/topic.h"

#include <stdio.h>
#include <string.h>

/* The event of this name, or the keyed one of it and a value behind it. NULL: there is none that workers may
 * publish the data of. */
static const struct registry_event *remote_event_find(const struct engine *engine, const char *name,
                                                      const char **key)
{
    const char *last = strrchr(name, '/');
    char head[TOPIC_NAME_MAX + 1];
    const struct registry_event *event = registry_find_event(&engine->registry, name);
    *key = NULL;
    if (!event && last && (size_t)(last - name) < sizeof head) {
        snprintf(head, sizeof head, "%.*s", (int)(last - name), name);
        event = registry_find_event(&engine->registry, head);
        event = event && event->declared->key ? event : NULL;
        *key = last + 1;
    }
    return event && event->declared->data ? event : NULL;
}

/* Whether the worker declares the event, or carries out a method of the event's module. */
static bool remote_event_is_of(const struct registry_event *event, const struct crew_worker *worker)
{
    const struct crew_tie *tie = worker->ties;
    if (event->foreign)
        return foreign_is_declared_by(event->foreign, worker->connection);
    for (; tie; tie = tie->hh.next) {
        const struct registry_method *method = tie->method;
        if (method->instance == event->instance && method->placement != RPC_PLACEMENT_LOCAL)
            return true;
    }
    return false;
}

/* Announces what fits the event's shape. why: as remote_event_take() says. */
static void remote_event_announce(struct engine *engine, const struct registry_event *event,
                                  const struct host_message *message, char why[FIELDS_WHY])
{
    const struct host *host = &engine->env.host;
    struct trace trace = {.state = NULL};
    struct answer_cause cause = {.client = NULL};
    struct json_error error;
    struct arena arena;
    void *data = NULL;
    char parent[TRACE_PARENT_READ];
    if (host->user_property(host->context, message, "traceparent", parent, sizeof parent) &&
        trace_read(&trace, parent, &engine->random)) {
        /* The span stays the worker's. */
        memcpy(trace.parent + (trace_span(&trace) - trace.parent), trace.caller, TRACE_SPAN);
        cause.trace = &trace;
    }
    arena_init(&arena);
    const cJSON *tree = json_parse(message->payload, message->size, &arena, &error);
    rpc_status status =
        error.fault == JSON_FINE ? fields_decode(&event->data, tree, &arena, &data, why) : RPC_INVALID_PARAMS;
    if (error.fault != JSON_FINE)
        snprintf(why, FIELDS_WHY, "%s", error.why);
    if (status == RPC_OK)
        status = answer_announce(engine, cause, event, data);
    if (status == RPC_REPLY_TOO_LARGE)
        snprintf(why, FIELDS_WHY, "it is over max_reply");
    if (status != RPC_INVALID_PARAMS && status != RPC_REPLY_TOO_LARGE)
        *why = '\0';
    arena_fini(&arena);
}

bool remote_event_take(struct engine *engine, const struct crew_worker *worker, const char *name,
                       const struct host_message *message, char why[FIELDS_WHY])
{
    const char *key;
    const struct registry_event *event = remote_event_find(engine, name, &key);
    *why = '\0';
    if (!event || !remote_event_is_of(event, worker))
        return false;
    if (!message->size && key && event->declared->retained)
        answer_retract(engine, answer_cause(NULL), event, key);
    else if (message->size > (size_t)engine->env.options.max_reply)
        snprintf(why, FIELDS_WHY, "it has %zu bytes, which is over max_reply, %d", message->size,
                 (int)engine->env.options.max_reply);
    else
        remote_event_announce(engine, event, message, why);
    return true;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What comes out of a call: a reply, an event, or both. Results are printed into the engine's scratch
 * buffer, whose size is the limit itself, and copied from there into payloads, which then belong to the
 * host; so nothing grows while something too large is printed.
 */
#include "engine_private.h"

#include "status.h"
#include "text.h"
#include "topic.h"

#include <stdio.h>
#include <string.h>

static int lower_qos(int one, int other)
{
    return one < other ? one : other;
}

static void count_dropped(struct engine *engine, const char *what, const char *topic)
{
    engine->counters.dropped++;
    engine_log_limited(engine, RPC_LOG_WARNING, "%s to %.200s was dropped: no memory", what, topic);
}

/* ---- Replies ---- */

/* Text before and after the body of a reply. */
struct wrapping {
    const char *head, *id, *middle, *tail;
};

static struct wrapping wrapping_of(const struct route *route, bool success)
{
    if (!route->id_json)
        return (struct wrapping){"", "", "", ""};
    return (struct wrapping){"{\"request_id\":", route->id_json,
                             success ? ",\"result\":" : ",\"error\":", "}"};
}

static size_t wrapped_size(const struct wrapping *wrapping, size_t size)
{
    return strlen(wrapping->head) + strlen(wrapping->id) + strlen(wrapping->middle) + size +
           strlen(wrapping->tail);
}

static char *put(char *out, const char *text, size_t size)
{
    memcpy(out, text, size);
    return out + size;
}

static void wrap(const struct wrapping *wrapping, const char *body, size_t size, char *out)
{
    out = put(out, wrapping->head, strlen(wrapping->head));
    out = put(out, wrapping->id, strlen(wrapping->id));
    out = put(out, wrapping->middle, strlen(wrapping->middle));
    out = put(out, body, size);
    put(out, wrapping->tail, strlen(wrapping->tail));
}

static bool hand_over_reply(rpc_call *call, const char *status, void *payload, size_t size)
{
    struct engine *engine = call->engine;
    const struct host_message *message = call->message;
    const struct host_reply reply = {
        .client = message->client,
        .topic = call->route.topic,
        .payload = payload,
        .size = size,
        .qos = lower_qos(message->qos, engine->options.qos),
        .status = status,
        .correlation = message->correlation,
        .correlation_size = message->correlation_size,
        .expiry = engine->options.reply_expiry,
    };
    return engine->host.reply(engine->host.context, &reply);
}

/* Sends what scratch holds. Returns false if that is over the limit, and true even if it was dropped. */
static bool reply(rpc_call *call, const char *status, bool success, size_t size)
{
    struct engine *engine = call->engine;
    const struct wrapping wrapping = wrapping_of(&call->route, success);
    const size_t whole = wrapped_size(&wrapping, size);
    if (whole > engine->options.max_reply)
        return false;
    char *payload = engine->host.allocate(engine->host.context, whole);
    if (payload)
        wrap(&wrapping, engine->scratch, size, payload);
    if (payload && hand_over_reply(call, status, payload, whole)) {
        engine->counters.replies++;
        return true;
    }
    engine->host.release(engine->host.context, payload);
    count_dropped(engine, "a reply", call->route.topic);
    return true;
}

/* ---- Events ---- */

/* Announces what scratch holds. */
static bool announce(struct engine *engine, const rpc_call *call, const char *topic, bool retain, size_t size)
{
    char *payload = engine->host.allocate(engine->host.context, size);
    if (payload)
        memcpy(payload, engine->scratch, size);
    const struct host_event event = {
        .client = call ? call->message->client : NULL,
        .topic = topic,
        .payload = payload,
        .size = size,
        .qos = engine->options.qos,
        .retain = retain,
    };
    if (payload && engine->host.announce(engine->host.context, &event)) {
        engine->counters.events++;
        return true;
    }
    engine->host.release(engine->host.context, payload);
    count_dropped(engine, "an event", topic);
    return false;
}

/* Prints into scratch. Returns the length, or 0: over the limit. */
static size_t print(struct engine *engine, const cJSON *tree)
{
    const size_t size = json_print(tree, engine->scratch, engine->scratch_size);
    return size <= engine->options.max_reply ? size : 0;
}

rpc_status answer_announce(struct engine *engine, const rpc_call *call, const struct registry_event *event,
                           const void *data, char why[FIELDS_WHY])
{
    cJSON *tree;
    const rpc_status status = fields_encode(event->declared->data, data, &tree, why);
    if (status != RPC_OK)
        return status;
    const size_t size = print(engine, tree);
    cJSON_Delete(tree);
    if (!size)
        return RPC_REPLY_TOO_LARGE;
    return announce(engine, call, event->topic, event->declared->retained, size) ? RPC_OK
                                                                                 : RPC_INTERNAL_ERROR;
}

/* ---- Failure ---- */

/* The call's name; that of an unknown method is text from the wire, of any length and sort. */
static bool add_method_name(const rpc_call *call, cJSON *object)
{
    char safe[TOPIC_NAME_MAX + 1];
    const char *name = call->method ? call->name : text_printable(call->name, safe, sizeof safe);
    return cJSON_AddStringToObject(object, "method", name) != NULL;
}

/* How much of an error is told: less and less, until it fits. */
enum detail { CODE_ONLY, WITH_MESSAGE, WITH_EXTRA };

static void add_extra(cJSON *object, cJSON *extra)
{
    while (extra && extra->child) {
        cJSON *member = cJSON_DetachItemViaPointer(extra, extra->child);
        cJSON_AddItemToObjectCS(object, member->string, member); /* the name is the field table's */
    }
}

static size_t print_error(rpc_call *call, const char *code, const char *message, enum detail detail)
{
    cJSON *object = cJSON_CreateObject();
    bool made = object && add_method_name(call, object) && cJSON_AddStringToObject(object, "err", code);
    if (made && detail >= WITH_MESSAGE)
        made = cJSON_AddStringToObject(object, "msg", message) != NULL;
    if (made && detail == WITH_EXTRA)
        add_extra(object, call->failure.extra);
    const size_t size = made ? print(call->engine, object) : 0;
    cJSON_Delete(object);
    return size;
}

static const char *failure_topic(const rpc_call *call, bool *retain)
{
    const struct registry_event *own = call->by_handler ? call->method->error_event : NULL;
    *retain = own && own->declared->retained;
    return own ? own->topic : call->engine->error_topic;
}

/* Tells a failure with as much detail as fits. Returns false if nothing did. */
static bool tell_failure(rpc_call *call, const char *code, const char *message, enum detail detail)
{
    const size_t size = print_error(call, code, message, detail);
    if (!size)
        return false;
    if (call->route.topic)
        return reply(call, code, false, size);
    bool retain;
    const char *topic = failure_topic(call, &retain);
    announce(call->engine, call, topic, retain, size);
    return true;
}

void answer_failure(rpc_call *call, rpc_status status)
{
    if (call->method)
        call->engine->counters.errors++;
    if (!call->route.topic && !call->method)
        return;
    const bool noted = call->failure.status == status;
    const char *code = noted ? call->failure.code : status_name(status);
    const char *message = noted && call->failure.message ? call->failure.message : status_text(status);
    for (int detail = WITH_EXTRA; detail >= CODE_ONLY; detail--) {
        if (detail == WITH_EXTRA && !(noted && call->failure.extra))
            continue;
        if (tell_failure(call, code, message, (enum detail)detail))
            return;
    }
    call->engine->counters.dropped++;
    engine_log_limited(call->engine, RPC_LOG_WARNING, "the error %s of %.100s does not fit into max_reply",
                       code, call->name);
}

/* ---- Success ---- */

static void result_too_large(rpc_call *call)
{
    answer_failure(call, call_fail(call, RPC_REPLY_TOO_LARGE, "the result is over %zu bytes",
                                   call->engine->options.max_reply));
}

/* A result that does not fit its own shape. */
static void result_unfit(rpc_call *call, rpc_status status, const char *why)
{
    if (status == RPC_INVALID_PARAMS)
        engine_log_limited(call->engine, RPC_LOG_ERROR, "method %s: its result does not fit its shape: %s",
                           call->name, why);
    answer_failure(call, RPC_INTERNAL_ERROR);
}

static rpc_status encode_result(const rpc_call *call, cJSON **tree, char *why)
{
    const rpc_shape *shape = call->method->declared->result;
    if (shape)
        return fields_encode(shape, call->result, tree, why);
    *tree = cJSON_CreateObject();
    return *tree ? RPC_OK : RPC_INTERNAL_ERROR;
}

static bool is_announced(const rpc_call *call)
{
    const struct registry_method *method = call->method;
    return method->event && (method->declared->announce == RPC_ALWAYS || !call->route.topic);
}

/*
 * The event goes out before the reply: it needs scratch as it is, and when the reply's wrapping makes it too
 * large, the error that takes its place is printed over it.
 */
static void publish_result(rpc_call *call, size_t size)
{
    const struct registry_event *event = call->method->event;
    if (is_announced(call))
        announce(call->engine, call, event->topic, event->declared->retained, size);
    if (call->route.topic && !reply(call, status_name(RPC_OK), true, size))
        result_too_large(call);
}

void answer_success(rpc_call *call)
{
    if (!call->route.topic && !is_announced(call))
        return;
    char why[FIELDS_WHY];
    cJSON *tree;
    const rpc_status status = encode_result(call, &tree, why);
    if (status != RPC_OK) {
        result_unfit(call, status, why);
        return;
    }
    const size_t size = print(call->engine, tree);
    cJSON_Delete(tree);
    if (size)
        publish_result(call, size);
    else
        result_too_large(call);
}

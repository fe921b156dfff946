// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What comes out of a call: a reply, an event, or both. It is written into the engine's scratch buffer, whose
 * size is the limit itself, and copied from there into payloads, which then belong to the host.
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
    engine_log(engine, RPC_LOG_WARNING, "%s to %.200s was dropped: no memory", what, topic);
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

struct writer answer_writer(struct engine *engine)
{
    return writer_make(engine->scratch, engine->options.max_reply);
}

rpc_status answer_announce(struct engine *engine, const rpc_call *call, const struct registry_event *event,
                           const void *data, char why[FIELDS_WHY])
{
    struct writer writer = answer_writer(engine);
    const rpc_status status = fields_encode(event->declared->data, data, &writer, why);
    if (status != RPC_OK)
        return status;
    if (writer.full)
        return RPC_REPLY_TOO_LARGE;
    return announce(engine, call, event->topic, event->declared->retained, writer.used) ? RPC_OK
                                                                                        : RPC_INTERNAL_ERROR;
}

/* ---- Failure ---- */

/* How much of an error is told: less and less, until it fits. */
enum detail { CODE_ONLY, WITH_MESSAGE, WITH_EXTRA };

static void write_member(struct writer *writer, const char *name, const char *text)
{
    writer_name(writer, name);
    writer_string(writer, text);
}

/* The name of an unknown method is text from the wire, of any length and sort. Returns 0: it does not fit. */
static size_t write_error(const rpc_call *call, const char *code, const char *message, enum detail detail)
{
    char safe[TOPIC_NAME_MAX + 1];
    struct writer writer = answer_writer(call->engine);
    writer_text(&writer, "{");
    write_member(&writer, "method",
                 call->method ? call->name : text_printable(call->name, safe, sizeof safe));
    write_member(&writer, "err", code);
    if (detail >= WITH_MESSAGE)
        write_member(&writer, "msg", message);
    if (detail == WITH_EXTRA) {
        writer_text(&writer, ",");
        writer_text(&writer, call->failure.extra);
    }
    writer_text(&writer, "}");
    return writer.full ? 0 : writer.used;
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
    const size_t size = write_error(call, code, message, detail);
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
    if (!call->route.topic && (!call->method || status == RPC_METHOD_NOT_FOUND))
        return;
    const bool noted = call->failure.status == status;
    const char *code = noted ? call->failure.code : status_name(status);
    const char *message = noted && call->failure.message ? call->failure.message : status_text(status);
    for (int detail = WITH_EXTRA; detail >= CODE_ONLY; detail--) {
        if (detail == WITH_EXTRA && !(noted && call->failure.extra && *call->failure.extra))
            continue;
        if (tell_failure(call, code, message, (enum detail)detail))
            return;
    }
    call->engine->counters.dropped++;
    engine_log(call->engine, RPC_LOG_WARNING, "the error %s of %.100s does not fit into max_reply", code,
               call->name);
}

/* ---- Success ---- */

static void result_too_large(rpc_call *call)
{
    answer_failure(call, call_fail(call, RPC_REPLY_TOO_LARGE, "the result is over %zu bytes",
                                   call->engine->options.max_reply));
}

/* A result that does not fit its own shape. */
static void result_unfit(rpc_call *call, const char *why)
{
    engine_log(call->engine, RPC_LOG_ERROR, "method %s: its result does not fit its shape: %s", call->name,
               why);
    answer_failure(call, RPC_INTERNAL_ERROR);
}

static rpc_status encode_result(const rpc_call *call, struct writer *writer, char *why)
{
    const rpc_shape *shape = call->method->declared->result;
    if (shape)
        return fields_encode(shape, call->result, writer, why);
    writer_text(writer, "{}");
    return RPC_OK;
}

static bool is_announced(const rpc_call *call)
{
    const struct registry_method *method = call->method;
    return method->event && (method->declared->announce == RPC_ALWAYS || !call->route.topic);
}

/*
 * The event goes out before the reply: it needs scratch as it is, and when the reply's wrapping makes it too
 * large, the error that takes its place is written over it.
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
    struct writer writer = answer_writer(call->engine);
    if (encode_result(call, &writer, why) != RPC_OK)
        result_unfit(call, why);
    else if (writer.full)
        result_too_large(call);
    else
        publish_result(call, writer.used);
}

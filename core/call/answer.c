// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What comes out of a call: a reply, an event, or both. The reply is written into the exchange's buffer,
 * whose size is the limit itself, one outcome after the other if there is a batch of them. The event of a
 * result is a part of it; what is only announced is written into the engine's scratch buffer. Both are copied
 * into payloads, which then belong to the host.
 */
#include "call/engine_private.h"

#include "base/status.h"
#include "base/text.h"
#include "call/topic.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

static int lower_qos(int one, int other)
{
    return one < other ? one : other;
}

static void count_dropped(struct engine *engine, const char *what, const char *topic)
{
    engine->env.counters.dropped++;
    env_log(&engine->env, RPC_LOG_WARNING, "%s to %.200s was dropped: no memory", what, topic);
}

/* ---- Replies ---- */

static char *copy_payload(struct engine *engine, const char *text, size_t size)
{
    char *payload = engine->env.host.allocate(engine->env.host.context, size);
    if (payload)
        memcpy(payload, text, size);
    return payload;
}

bool answer_publish(struct engine *engine, const struct host_publication *publication)
{
    const struct host *host = &engine->env.host;
    if (publication->payload && host->publish(host->context, publication))
        return true;
    host->release(host->context, publication->payload);
    return false;
}

void answer_send(struct engine *engine, const struct destination *to, const char *status, const char *text,
                 size_t size)
{
    if (engine->env.stopping)
        return;
    const struct host_publication reply = {
        .client = &to->client,
        .to_subscribers =
            engine->env.options.reply_delivery == DELIVERY_SUBSCRIBED || !engine->env.host.replies_to_caller,
        .topic = to->topic,
        .payload = copy_payload(engine, text, size),
        .size = size,
        .qos = lower_qos(to->qos, engine->env.options.qos),
        .expiry = (uint32_t)engine->env.options.reply_expiry,
        .content_type = "application/json",
        .status = status,
        .correlation = to->correlation,
        .correlation_size = to->correlation_size,
    };
    if (answer_publish(engine, &reply))
        engine->env.counters.replies++;
    else
        count_dropped(engine, "a reply", to->topic);
}

/* Whether what the call comes to is written into the reply. */
static bool is_written(const rpc_call *call)
{
    return call->asked && !call->exchange->overflowed;
}

static void write_separator(const rpc_call *call, struct writer *out)
{
    if (call->exchange->batch && call->exchange->written && !call->place)
        writer_text(out, ",");
}

/* What stands before a result or an error. */
static void open_outcome(const rpc_call *call, struct writer *out, bool success)
{
    const struct exchange *exchange = call->exchange;
    write_separator(call, out);
    if (exchange->jsonrpc) {
        writer_text(out, "{\"jsonrpc\":\"2.0\",\"id\":");
        writer_text(out, call->id_json);
    } else if (!exchange->batch && exchange->id_json) {
        writer_text(out, "{\"request_id\":");
        writer_text(out, exchange->id_json);
    } else if (exchange->batch) {
        writer_text(out, success ? "{\"result\":" : "{\"error\":");
        return;
    } else {
        return;
    }
    writer_text(out, success ? ",\"result\":" : ",\"error\":");
}

static void close_outcome(const rpc_call *call, struct writer *out)
{
    const struct exchange *exchange = call->exchange;
    if (exchange->jsonrpc || exchange->batch || exchange->id_json)
        writer_text(out, "}");
}

/* Where an outcome is written: behind what is in the reply, or into scratch, to be set aside. */
static struct writer outcome_writer(const rpc_call *call)
{
    return call->place ? answer_writer(call->engine) : call->exchange->out;
}

/* More than all of the reply is not set aside. Whether separators fit as well is seen when it is written. */
static bool keep_aside(struct exchange *exchange, struct fragment *place, const struct writer *out)
{
    if (exchange->fragments_size + out->used > (size_t)exchange->engine->env.options.max_reply)
        return false;
    place->text = arena_copy(&exchange->arena, out->out, out->used);
    place->size = place->text ? out->used : 0;
    exchange->fragments_size += place->size;
    return place->text;
}

/* Keeps an outcome that has been written, if it fits. The reply stays as it was if it does not. */
static bool keep_outcome(rpc_call *call, const struct writer *out)
{
    struct exchange *exchange = call->exchange;
    if (out->full)
        return false;
    if (call->place)
        return keep_aside(exchange, call->place, out);
    exchange->out = *out;
    exchange->written++;
    return true;
}

/* ---- Events ---- */

static bool announce(struct engine *engine, const rpc_call *call, const char *topic, bool retain,
                     const char *text, size_t size)
{
    if (engine->env.stopping)
        return false;
    const struct host_publication event = {
        .client = call ? call->exchange->message->client : NULL,
        .to_subscribers = true,
        .topic = topic,
        .payload = copy_payload(engine, text, size),
        .size = size,
        .qos = engine->env.options.qos,
        .retain = retain,
    };
    const bool sent = answer_publish(engine, &event);
    if (sent)
        engine->env.counters.events++;
    else
        count_dropped(engine, "an event", topic);
    return sent;
}

struct writer answer_writer(struct engine *engine)
{
    return writer_make(engine->scratch, (size_t)engine->env.options.max_reply);
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
    return announce(engine, call, event->topic, event->declared->retained, writer.out, writer.used)
               ? RPC_OK
               : RPC_INTERNAL_ERROR;
}

/* ---- Failure ---- */

/* How much of an error is told: less and less, until it fits. */
enum detail { CODE_ONLY, WITH_MESSAGE, WITH_EXTRA };

/* What is told of a failure. */
struct telling {
    const char *code, *message, *extra;
    int number; /* JSON-RPC's code */
    enum detail detail;
};

/* The name of an unknown method is text from the wire, of any length and sort. */
static void write_error(const rpc_call *call, struct writer *out, const struct telling *telling)
{
    char safe[TOPIC_NAME_MAX + 1];
    writer_text(out, "{");
    writer_member(out, "method", call->method ? call->name : text_printable(call->name, safe, sizeof safe));
    writer_member(out, "err", telling->code);
    if (telling->detail >= WITH_MESSAGE)
        writer_member(out, "msg", telling->message);
    if (telling->detail == WITH_EXTRA) {
        writer_text(out, ",");
        writer_text(out, telling->extra);
    }
    writer_text(out, "}");
}

static void write_jsonrpc_error(const rpc_call *call, struct writer *out, const struct telling *telling)
{
    writer_text(out, "{\"code\":");
    writer_integer(out, telling->number);
    writer_text(out, ",\"message\":");
    writer_string(out, telling->detail >= WITH_MESSAGE ? telling->message : telling->code);
    writer_text(out, ",\"data\":");
    write_error(call, out, telling);
    writer_text(out, "}");
}

/* Writes the failure into the reply. Returns whether it fits. */
static bool reply_failure(rpc_call *call, const struct telling *telling)
{
    struct writer out = outcome_writer(call);
    open_outcome(call, &out, false);
    if (call->exchange->jsonrpc)
        write_jsonrpc_error(call, &out, telling);
    else
        write_error(call, &out, telling);
    close_outcome(call, &out);
    return keep_outcome(call, &out);
}

static const struct registry_event *failure_event(const rpc_call *call)
{
    return call->by_handler ? call->method->error_event : NULL;
}

/* Announces the failure. Returns whether it fits. */
static bool announce_failure(rpc_call *call, const struct telling *telling)
{
    struct engine *engine = call->engine;
    const struct registry_event *own = failure_event(call);
    struct writer writer = answer_writer(engine);
    write_error(call, &writer, telling);
    if (writer.full)
        return false;
    announce(engine, call, own ? own->topic : engine->error_topic, own && own->declared->retained, writer.out,
             writer.used);
    return true;
}

/* Errors that nobody asked for are limited over all: whoever listens to them must not drown. */
static bool may_announce_error(struct engine *engine)
{
    const uint32_t rate = (uint32_t)engine->env.options.error_rate;
    if (!rate || bucket_take(&engine->errors, env_now(&engine->env), rate, rate, 1))
        return true;
    engine->env.counters.suppressed++;
    return false;
}

static bool is_anybodys_business(const rpc_call *call, rpc_status status)
{
    if (call->asked)
        return is_written(call);
    if (status == RPC_METHOD_NOT_FOUND || (!call->method && call->exchange->kind != TOPIC_JSONRPC))
        return false;
    return may_announce_error(call->engine);
}

static struct telling telling_of(const rpc_call *call, rpc_status status)
{
    const struct failure *failure = &call->failure;
    const bool noted = failure->status == status;
    return (struct telling){
        .code = noted ? failure->code : status_name(status),
        .message = noted && failure->message ? failure->message : status_text(status),
        .extra = noted && failure->extra && *failure->extra ? failure->extra : NULL,
        .number = status_code(status),
    };
}

static void does_not_fit(rpc_call *call, const char *code)
{
    call->exchange->overflowed = call->exchange->batch;
    if (call->exchange->overflowed)
        return;
    call->engine->env.counters.dropped++;
    env_log(&call->engine->env, RPC_LOG_WARNING, "the error %s of %.100s does not fit into max_reply", code,
            call->name);
}

/* Tells a failure with as much detail as fits. */
void answer_failure(rpc_call *call, rpc_status status)
{
    if (call->method)
        call->engine->env.counters.errors++;
    struct telling telling = telling_of(call, status);
    if (!call->exchange->batch)
        call->exchange->status = telling.code;
    if (!is_anybodys_business(call, status))
        return;
    for (int detail = telling.extra ? WITH_EXTRA : WITH_MESSAGE; detail >= CODE_ONLY; detail--) {
        telling.detail = (enum detail)detail;
        if (call->asked ? reply_failure(call, &telling) : announce_failure(call, &telling))
            return;
    }
    does_not_fit(call, telling.code);
}

/* ---- Success ---- */

static void result_too_large(rpc_call *call)
{
    answer_failure(call, call_fail(call, RPC_REPLY_TOO_LARGE, "the result is over %d bytes",
                                   call->engine->env.options.max_reply));
}

/* A result that does not fit its own shape. */
static void result_unfit(rpc_call *call, const char *why)
{
    env_log(&call->engine->env, RPC_LOG_ERROR, "method %s: its result does not fit its shape: %s", call->name,
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

static const struct registry_event *result_event(const rpc_call *call)
{
    const struct registry_method *method = call->method;
    return method->declared->announce == RPC_ANNOUNCE_ALWAYS || !call->asked ? method->event : NULL;
}

static void announce_result(rpc_call *call, const struct registry_event *event, const char *text, size_t size)
{
    if (event)
        announce(call->engine, call, event->topic, event->declared->retained, text, size);
}

/* The result is only announced: nobody asked for it, or it does not fit into the reply any more. */
static void announce_alone(rpc_call *call, const struct registry_event *event)
{
    char why[FIELDS_WHY];
    struct writer writer = answer_writer(call->engine);
    if (encode_result(call, &writer, why) != RPC_OK)
        result_unfit(call, why);
    else if (!writer.full)
        announce_result(call, event, writer.out, writer.used);
    else if (!call->asked)
        result_too_large(call);
}

/*
 * The event goes out before the reply does. When only the reply's wrapping makes the result too large, it is
 * still announced. In a batch there is no error that could take the place of a result that does not fit: the
 * next one would not fit either, and so the reply as a whole is replaced.
 */
static void does_not_fit_in_reply(rpc_call *call, const struct registry_event *event)
{
    if (event)
        announce_alone(call, event);
    if (call->exchange->batch)
        call->exchange->overflowed = true;
    else
        result_too_large(call);
}

static void reply_success(rpc_call *call, const struct registry_event *event)
{
    char why[FIELDS_WHY];
    struct writer out = outcome_writer(call);
    open_outcome(call, &out, true);
    const size_t start = out.used;
    if (encode_result(call, &out, why) != RPC_OK) {
        result_unfit(call, why);
        return;
    }
    const size_t end = out.used;
    close_outcome(call, &out);
    if (keep_outcome(call, &out))
        announce_result(call, event, out.out + start, end - start);
    else
        does_not_fit_in_reply(call, event);
}

void answer_success(rpc_call *call)
{
    const struct registry_event *event = result_event(call);
    if (is_written(call))
        reply_success(call, event);
    else if (event)
        announce_alone(call, event);
}

/* ---- Batches ---- */

void answer_open_batch(struct exchange *exchange)
{
    struct writer *out = &exchange->out;
    if (exchange->id_json) {
        writer_text(out, "{\"request_id\":");
        writer_text(out, exchange->id_json);
        writer_text(out, ",\"result\":");
    }
    writer_text(out, "[");
}

/* The first place takes what the reply has so far. */
static struct fragment *add_fragment(struct exchange *exchange)
{
    struct fragment *fragment = arena_alloc(&exchange->arena, sizeof *fragment);
    if (fragment)
        DL_APPEND(exchange->fragments, fragment);
    return fragment;
}

static bool set_head_aside(struct exchange *exchange)
{
    struct fragment *head = exchange->fragments ? NULL : add_fragment(exchange);
    return exchange->fragments && (!head || keep_aside(exchange, head, &exchange->out));
}

void answer_set_aside(rpc_call *call)
{
    call->place = set_head_aside(call->exchange) ? add_fragment(call->exchange) : NULL;
    if (!call->place)
        call->exchange->overflowed = true;
}

void answer_gather(struct exchange *exchange)
{
    struct writer *out = &exchange->out;
    const struct fragment *head = exchange->fragments, *fragment;
    *out = writer_make(out->out, out->capacity);
    for (fragment = head; fragment; fragment = fragment->next) {
        if (!fragment->text)
            continue;
        if (fragment != head && exchange->written++)
            writer_text(out, ",");
        writer_bytes(out, fragment->text, fragment->size);
    }
}

/* JSON-RPC has no reply to a batch of notifications; a plain batch is as long as it was. */
void answer_close_batch(struct exchange *exchange)
{
    struct writer *out = &exchange->out;
    writer_text(out, exchange->id_json ? "]}" : "]");
    if (!exchange->overflowed && !out->full) {
        if (exchange->jsonrpc && !exchange->written)
            out->used = 0;
        return;
    }
    *out = writer_make(out->out, out->capacity);
    exchange->batch = exchange->overflowed = false;
    if (exchange->call.asked)
        answer_failure(&exchange->call,
                       call_fail(&exchange->call, RPC_REPLY_TOO_LARGE, "the results are over %d bytes",
                                 exchange->engine->env.options.max_reply));
}

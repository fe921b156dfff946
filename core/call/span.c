// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Spans: see span.h. Their attributes have the names of OpenTelemetry's conventions for RPC. */
#include "call/span.h"

#include "base/text.h"
#include "call/answer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    SPAN_RATE = 100,     /* spans a second */
    SPAN_KIND = 2,       /* SPAN_KIND_SERVER of the protocol */
    SPAN_ERROR = 2,      /* STATUS_CODE_ERROR */
    SPAN_TEXT = 128 + 1, /* bytes of what a client chose, with the NUL */
};

static void span_write_attribute(struct writer *writer, const char *key, const char *value)
{
    writer_begin_object(writer);
    writer_member(writer, "key", key);
    writer_open_object(writer, "value");
    writer_member(writer, "stringValue", value);
    writer_end_object(writer);
    writer_end_object(writer);
}

static void span_write_hex(struct writer *writer, const char *name, const char *digits, int count)
{
    char text[TRACE_ID + 1];
    snprintf(text, sizeof text, "%.*s", count, digits);
    writer_member(writer, name, text);
}

/* The protocol has 64 bits as strings. */
static void span_write_time(struct writer *writer, const char *name, uint64_t nanoseconds)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, nanoseconds);
    writer_member(writer, name, text);
}

/* The method as it was called stands beside its name in the table where they differ. */
static void span_write_attributes(const struct exchange *exchange, const char *method, struct writer *writer)
{
    static const char *const versions[] = {[3] = "3.1", [4] = "3.1.1", [5] = "5.0"};
    const rpc_call *call = &exchange->call;
    const struct host_client *client = exchange->message->client;
    char safe[SPAN_TEXT];
    writer_open_array(writer, "attributes");
    span_write_attribute(writer, "rpc.system.name", exchange->jsonrpc ? "jsonrpc" : "mosquitto_rpc");
    span_write_attribute(writer, "rpc.method", method);
    if (*call->name && strcmp(call->name, method) != 0)
        span_write_attribute(writer, "rpc.method_original", text_printable(call->name, safe, sizeof safe));
    span_write_attribute(writer, "rpc.response.status_code", exchange->reply.code);
    if (exchange->reply.status != RPC_OK)
        span_write_attribute(writer, "error.type", exchange->reply.code);
    if (exchange->pending.worker)
        span_write_attribute(writer, "mosquitto_rpc.worker", exchange->pending.worker);
    span_write_attribute(writer, "messaging.client.id", text_printable(client->id, safe, sizeof safe));
    span_write_attribute(writer, "network.protocol.name", "mqtt");
    if (client->version >= 3 && client->version <= 5)
        span_write_attribute(writer, "network.protocol.version", versions[client->version]);
    writer_end_array(writer);
}

static void span_write(const struct exchange *exchange, const struct trace *trace, uint64_t elapsed,
                       struct writer *writer)
{
    const struct registry_method *found = exchange->call.method;
    const char *method = found ? found->declared->name : "_OTHER";
    /* OTLP has no times before 1970, at which a machine without a clock of its own may begin. */
    const double time = fmin(fmax(env_wall_time(&exchange->engine->env) * 1e9, 0), 0x1p63);
    const uint64_t end = (uint64_t)time;
    writer_begin_object(writer);
    span_write_hex(writer, "traceId", trace_id(trace), TRACE_ID);
    span_write_hex(writer, "spanId", trace_span(trace), TRACE_SPAN);
    if (*trace->caller)
        writer_member(writer, "parentSpanId", trace->caller);
    if (trace->state)
        writer_member(writer, "traceState", trace->state);
    writer_member(writer, "name", found ? method : "mosquitto_rpc");
    writer_member_integer(writer, "kind", SPAN_KIND);
    span_write_time(writer, "startTimeUnixNano", end > elapsed ? end - elapsed : 0);
    span_write_time(writer, "endTimeUnixNano", end);
    span_write_attributes(exchange, method, writer);
    writer_open_object(writer, "status");
    if (exchange->reply.status != RPC_OK) {
        writer_member_integer(writer, "code", SPAN_ERROR);
        writer_member(writer, "message", exchange->reply.code);
    }
    writer_end_object(writer);
    writer_end_object(writer);
}

void span_publish(struct exchange *exchange, uint64_t elapsed)
{
    struct engine *engine = exchange->engine;
    struct env *env = &engine->env;
    struct trace begun;
    const struct trace *trace = exchange->to.trace;
    if (env->stopping)
        return;
    if (!bucket_take(&engine->spans, exchange->now + elapsed, SPAN_RATE, SPAN_RATE, 1)) {
        env->counters.untraced++;
        return;
    }
    if (!trace) {
        trace_begin(&begun, &engine->random);
        trace = &begun;
    }
    struct writer writer = answer_writer(engine, engine->event_codec);
    span_write(exchange, trace, elapsed, &writer);
    if (writer.full || !answer_publish_counter(env, SPAN_LEVEL, false, NULL, writer.out, writer.used))
        env->counters.untraced++;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The OpenRPC document: see openrpc.h. */
#include "describe/openrpc.h"

#include "shape/fields.h"
#include "shape/schema.h"
#include "base/status.h"

/* ---- Parameters and result ---- */

/* A Content Descriptor. What the field means stands in its schema. */
static void write_param(const rpc_field *field, struct writer *writer)
{
    writer_begin_object(writer);
    writer_member(writer, "name", fields_name(field));
    writer_member_bool(writer, "required", !fields_may_miss(field));
    writer_name(writer, "schema");
    schema_write_field(field, writer);
    writer_end_object(writer);
}

static const char *structure_of(const rpc_shape *shape)
{
    bool may_miss = false;
    for (size_t i = 0; shape && i < shape->count; i++) {
        if (may_miss && !fields_may_miss(&shape->fields[i]))
            return "by-name";
        may_miss = may_miss || fields_may_miss(&shape->fields[i]);
    }
    return shape && shape->form == RPC_FORM_VALUE ? "by-position" : "either";
}

static void write_those(const rpc_shape *shape, bool may_miss, struct writer *writer)
{
    for (size_t i = 0; shape && i < shape->count; i++) {
        if (fields_may_miss(&shape->fields[i]) == may_miss)
            write_param(&shape->fields[i], writer);
    }
}

/* OpenRPC wants the required ones first. Where that is not their order, their places are not told. */
static void write_params(const rpc_shape *shape, struct writer *writer)
{
    writer_member(writer, "paramStructure", structure_of(shape));
    writer_open_array(writer, "params");
    write_those(shape, false, writer);
    write_those(shape, true, writer);
    writer_end_array(writer);
}

static void write_result(const rpc_shape *shape, struct writer *writer)
{
    writer_open_object(writer, "result");
    writer_member(writer, "name", "result");
    writer_name(writer, "schema");
    schema_write(shape, writer);
    writer_end_object(writer);
}

/* ---- Errors ---- */

static void write_code(rpc_status status, struct writer *writer)
{
    writer_member_integer(writer, "code", status_code(status));
    writer_member(writer, "message", status_text(status));
}

/* OpenRPC wants each code once, and every error of a method's own has the same. What they are is in x-errors:
 * `data` would be what an error carries, which is another thing with each. */
static void write_own_code(struct writer *writer)
{
    writer_open_array(writer, "errors");
    writer_begin_object(writer);
    write_code(RPC_RAISED, writer);
    writer_end_object(writer);
    writer_end_array(writer);
}

static void write_error_schemas(const rpc_error *error, struct writer *writer)
{
    writer_open_array(writer, "x-errors");
    for (; error->code; error++) {
        writer_begin_object(writer);
        writer_member(writer, "err", error->code);
        if (error->doc)
            writer_member(writer, "description", error->doc);
        writer_name(writer, "schema");
        schema_write_error(error, writer);
        writer_end_object(writer);
    }
    writer_end_array(writer);
}

static void write_errors(const rpc_error *errors, struct writer *writer)
{
    if (!errors || !errors->code)
        return;
    write_own_code(writer);
    write_error_schemas(errors, writer);
}

/* The engine's own errors, which any method can answer with; so they stand in the document once. */
static void write_engine_errors(struct writer *writer)
{
    writer_open_object(writer, "errors");
    for (int i = RPC_OK + 1; i < RPC_RAISED; i++) {
        writer_open_object(writer, status_name((rpc_status)i));
        write_code((rpc_status)i, writer);
        writer_end_object(writer);
    }
    writer_end_object(writer);
}

/* ---- Methods ---- */

static void write_announced(const struct catalogue *catalogue, const rpc_method *method,
                            struct writer *writer)
{
    if (method->event) {
        writer_open_object(writer, "announces");
        writer_member(writer, "event", method->event);
        catalogue_write_topic(catalogue, writer, "topic", "/event/", method->event);
        writer_member(writer, "when", method->announce == RPC_ANNOUNCE_ALWAYS ? "always" : "unanswered");
        writer_end_object(writer);
    }
    if (!method->error_event)
        return;
    writer_open_object(writer, "errorEvent");
    writer_member(writer, "event", method->error_event);
    catalogue_write_topic(catalogue, writer, "topic", "/event/", method->error_event);
    writer_end_object(writer);
}

static void write_mqtt(const struct catalogue *catalogue, const rpc_method *method, struct writer *writer)
{
    writer_open_object(writer, "x-mqtt");
    catalogue_write_topic(catalogue, writer, "topic", "/call/", method->name);
    if (!catalogue_takes_bytes(method))
        catalogue_write_topic(catalogue, writer, "batchTopic", "/batch/", method->name);
    if (catalogue_is_open(catalogue, method))
        catalogue_write_topic(catalogue, writer, "jsonrpcTopic", "/jsonrpc", "");
    writer_member(writer, "payload", catalogue_payload(method));
    writer_member_integer(writer, "maxQos", catalogue->options->qos);
    writer_member_bool(writer, "readOnly", method->read_only);
    if (method->done)
        writer_member_integer(writer, "timeoutMs",
                              method->timeout ? method->timeout : catalogue->options->timeout);
    write_announced(catalogue, method, writer);
    writer_end_object(writer);
}

void openrpc_write_method(const struct catalogue *catalogue, const rpc_module *module,
                          const rpc_method *method, struct writer *writer)
{
    writer_begin_object(writer);
    writer_member(writer, "name", method->name);
    if (method->doc)
        writer_member(writer, "summary", method->doc);
    writer_open_array(writer, "tags");
    writer_begin_object(writer);
    writer_member(writer, "name", module->name);
    writer_end_object(writer);
    writer_end_array(writer);
    write_params(method->params, writer);
    write_result(method->result, writer);
    write_errors(method->errors, writer);
    write_mqtt(catalogue, method, writer);
    writer_end_object(writer);
}

/* A document that is over its limit is written no further, so that a large one costs no more than that. */
static void write_methods(const struct catalogue *catalogue, struct writer *writer)
{
    writer_open_array(writer, "methods");
    for (const rpc_module *const *module = catalogue->modules; *module; module++) {
        for (const rpc_method *method = (*module)->methods; method && method->name && !writer->full;
             method++) {
            openrpc_write_method(catalogue, *module, method, writer);
        }
    }
    writer_end_array(writer);
}

/* ---- Events ---- */

static void open_event(const struct catalogue *catalogue, const char *name, const char *doc, bool retained,
                       struct writer *writer)
{
    writer_begin_object(writer);
    writer_member(writer, "name", name);
    catalogue_write_topic(catalogue, writer, "topic", "/event/", name);
    if (doc)
        writer_member(writer, "description", doc);
    writer_member_bool(writer, "retained", retained);
    writer_name(writer, "schema");
}

void openrpc_write_event(const struct catalogue *catalogue, const rpc_module *module, const rpc_event *event,
                         struct writer *writer)
{
    open_event(catalogue, event->name, event->doc, event->retained, writer);
    catalogue_write_event_schema(module, event, writer);
    writer_end_object(writer);
}

static void write_error_event(const struct catalogue *catalogue, struct writer *writer)
{
    open_event(catalogue, CATALOGUE_ERROR_EVENT, CATALOGUE_ERROR_DOC, false, writer);
    schema_write_any_error(writer);
    writer_end_object(writer);
}

static void write_events(const struct catalogue *catalogue, struct writer *writer)
{
    writer_open_array(writer, "x-events");
    write_error_event(catalogue, writer);
    for (const rpc_module *const *module = catalogue->modules; *module; module++) {
        for (const rpc_event *event = (*module)->events; event && event->name && !writer->full; event++)
            openrpc_write_event(catalogue, *module, event, writer);
    }
    writer_end_array(writer);
}

/* ---- The document ---- */

static void write_info(struct writer *writer)
{
    writer_open_object(writer, "info");
    writer_member(writer, "title", "mosquitto-rpc");
    writer_member(writer, "version", RPC_VERSION);
    writer_end_object(writer);
}

static void write_topics(const struct catalogue *catalogue, struct writer *writer)
{
    writer_open_object(writer, "x-topics");
#define TOPIC(word, rest, needs, text)           \
    if (catalogue_is_in_force(catalogue, needs)) \
        catalogue_write_topic(catalogue, writer, word, rest, "");
    CATALOGUE_TOPICS(TOPIC)
#undef TOPIC
    writer_end_object(writer);
}

static int64_t milliseconds(uint64_t nanoseconds)
{
    return (int64_t)(nanoseconds / 1000000);
}

/* A rate of 0 is no limit, a time of 0 switches off what it is for. */
static void write_limits(const struct catalogue *catalogue, struct writer *writer)
{
    const struct engine_options *options = catalogue->options;
    writer_open_object(writer, "x-limits");
    writer_member_integer(writer, "maxPayload", (int64_t)options->max_payload);
    writer_member_integer(writer, "maxReply", (int64_t)options->max_reply);
    writer_member_integer(writer, "maxBatch", catalogue->options->max_batch);
    writer_member_integer(writer, "maxDepth", JSON_DEPTH_MAX);
    writer_member_integer(writer, "maxNumber", JSON_NUMBER_MAX);
    writer_member_integer(writer, "maxQos", options->qos);
    writer_member_integer(writer, "timeoutMaxMs", options->timeout_max);
    writer_member_integer(writer, "maxPending", (int64_t)options->max_pending);
    writer_member_integer(writer, "rateLimit", options->rate_limit);
    writer_member_integer(writer, "rateBurst", options->rate_burst);
    writer_member_integer(writer, "duplicateWindowMs", milliseconds(options->duplicate_window));
    writer_member_integer(writer, "redeliveryGuardMs", milliseconds(options->redelivery_guard));
    writer_end_object(writer);
}

void openrpc_write(const struct catalogue *catalogue, struct writer *writer)
{
    writer_begin_object(writer);
    writer_member(writer, "openrpc", "1.3.2");
    write_info(writer);
    write_methods(catalogue, writer);
    writer_open_object(writer, "components");
    write_engine_errors(writer);
    writer_end_object(writer);
    write_events(catalogue, writer);
    write_topics(catalogue, writer);
    write_limits(catalogue, writer);
    writer_end_object(writer);
}

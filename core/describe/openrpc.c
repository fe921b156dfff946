// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The OpenRPC document: see openrpc.h. */
#include "describe/openrpc.h"

#include "base/status.h"
#include "base/text.h"
#include "call/registry.h"
#include "call/topic.h"
#include "shape/fields.h"
#include "shape/schema.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

/* ---- Parameters ---- */

static const char *openrpc_structure_of(const rpc_shape *shape)
{
    bool may_miss = false;
    for (size_t i = 0; shape && i < shape->count; i++) {
        if (may_miss && !fields_may_miss(&shape->fields[i]))
            return "by-name";
        may_miss = may_miss || fields_may_miss(&shape->fields[i]);
    }
    return shape && shape->form == RPC_FORM_VALUE ? "by-position" : "either";
}

/* Content Descriptors of those that may be missing, or of the others. The schema says what a field means. */
static void openrpc_write_params(const rpc_shape *shape, bool may_miss, bool strict,
                                 const struct schema_name *schema, struct writer *writer)
{
    for (size_t i = 0; shape && i < shape->count; i++) {
        const rpc_field *field = &shape->fields[i];
        if (fields_may_miss(field) != may_miss)
            continue;
        writer_begin_object(writer);
        writer_member(writer, "name", fields_name(field));
        writer_member_bool(writer, "required", !may_miss);
        writer_name(writer, "schema");
        schema_write_field(field, strict, schema, writer);
        writer_end_object(writer);
    }
}

/* ---- Errors ---- */

static void openrpc_write_code(rpc_status status, struct writer *writer)
{
    writer_member_integer(writer, "code", status_code(status));
    writer_member(writer, "message", status_text(status));
}

static void openrpc_open_error(const rpc_error *error, struct writer *writer)
{
    writer_begin_object(writer);
    writer_member(writer, "err", error->code);
    if (error->doc)
        writer_member(writer, "description", error->doc);
    writer_name(writer, "schema");
}

/*
 * All errors of a method's own share one JSON-RPC code, and OpenRPC wants each code once. x-errors has the
 * errors themselves, since `data` differs from one to the other.
 */
static void openrpc_write_errors(const struct catalogue *catalogue, const rpc_module *module,
                                 const rpc_method *method, struct writer *writer)
{
    if (!method->errors.count)
        return;
    bool is_raised_written = false;
    writer_open_array(writer, "errors");
    for (const rpc_error *error = method->errors.rows; RPC_HAS_ROW(method->errors, error); error++) {
        const rpc_status status = status_find(error->code);
        if (status == RPC_RAISED && is_raised_written)
            continue;
        is_raised_written = is_raised_written || status == RPC_RAISED;
        writer_begin_object(writer);
        openrpc_write_code(status, writer);
        writer_end_object(writer);
    }
    writer_end_array(writer);
    writer_open_array(writer, "x-errors");
    for (const rpc_error *error = method->errors.rows; RPC_HAS_ROW(method->errors, error); error++) {
        openrpc_open_error(error, writer);
        catalogue_write_error(catalogue, module, error, writer);
        writer_end_object(writer);
    }
    writer_end_array(writer);
}

/* ---- Methods ---- */

static void openrpc_write_announced(const struct catalogue *catalogue, const rpc_module *module,
                                    const rpc_method *method, struct writer *writer)
{
    if (method->event) {
        writer_open_object(writer, "announces");
        writer_member(writer, "event", method->event);
        catalogue_write_event_topics(catalogue, catalogue_find_event(module, method->event), writer);
        writer_member(writer, "when", method->announce == RPC_ANNOUNCE_ALWAYS ? "always" : "unanswered");
        writer_end_object(writer);
    }
    if (!method->error_event)
        return;
    writer_open_object(writer, "errorEvent");
    writer_member(writer, "event", method->error_event);
    catalogue_write_event_topics(catalogue, catalogue_find_event(module, method->error_event), writer);
    writer_end_object(writer);
}

/* The names of the levels in braces, in their order. */
static void openrpc_write_levels(const char *name, struct writer *writer)
{
    const char *level = topic_find_wild(name);
    if (!level)
        return;
    writer_open_array(writer, "levels");
    for (; level; level = topic_find_wild(level + 1)) {
        char word[TOPIC_NAME_MAX + 1];
        snprintf(word, sizeof word, "%.*s", (int)strcspn(level + 1, "}"), level + 1);
        writer_string(writer, word);
    }
    writer_end_array(writer);
}

/* Whether a list of methods has a method. It has commands by the name of their family. */
static bool openrpc_is_named(const char *list, const char *name)
{
    const bool is_command = strncmp(name, CATALOGUE_DEVICE, strlen(CATALOGUE_DEVICE)) == 0;
    return text_has_word(list, name) || (is_command && text_has_word(list, CATALOGUE_DEVICE "{command}"));
}

/* Whether the option opens a method at the endpoint. */
static bool openrpc_is_open(const char *open, const char *name)
{
    return text_has_word(open, "*") || openrpc_is_named(open, name);
}

static void openrpc_write_mqtt(const struct catalogue *catalogue, const rpc_module *module,
                               const rpc_method *method, bool strict, struct writer *writer)
{
    static const char *const payloads[] = {
        [RPC_FORM_OBJECT] = "object", [RPC_FORM_VALUE] = "value", [RPC_FORM_BYTES] = "bytes"};
    const struct engine_options *options = catalogue->options;
    const bool takes_bytes = catalogue_takes_bytes(method);
    writer_open_object(writer, "x-mqtt");
    catalogue_write_topic(catalogue, writer, "topic", "/call/", method->name);
    if (!takes_bytes)
        catalogue_write_topic(catalogue, writer, "batchTopic", "/batch/", method->name);
    if (!takes_bytes && openrpc_is_open(options->jsonrpc_methods, method->name))
        catalogue_write_topic(catalogue, writer, "jsonrpcTopic", "/jsonrpc", "");
    openrpc_write_levels(method->name, writer);
    writer_member(writer, "payload", payloads[method->params ? method->params->form : RPC_FORM_OBJECT]);
    writer_member_integer(writer, "maxQos", options->qos);
    if (strict)
        writer_member_bool(writer, "strict", true);
    if (openrpc_is_named(options->methods_off, method->name))
        writer_member_bool(writer, "off", true);
    const rpc_placement placement = registry_placement_of(options->placements, method);
    if (placement != RPC_PLACEMENT_LOCAL)
        writer_member(writer, "placement", registry_placements[placement]);
    writer_member_bool(writer, "readOnly", method->read_only);
    writer_member_bool(writer, "idempotent", method->idempotent || method->read_only);
    if (catalogue_takes_time(method))
        writer_member_integer(writer, "timeoutMs",
                              method->timeout ? method->timeout : (uint32_t)options->timeout);
    openrpc_write_announced(catalogue, module, method, writer);
    writer_end_object(writer);
}

/* A Content Descriptor of what has a shape. role: of its schema. */
static void openrpc_write_descriptor(const struct catalogue *catalogue, const rpc_module *module,
                                     const rpc_shape *shape, const char *name, const char *what,
                                     const char *role, struct writer *writer)
{
    const struct schema_name schema = catalogue_name(catalogue, module, what, role);
    writer_begin_object(writer);
    writer_member(writer, "name", name);
    writer_name(writer, "schema");
    schema_write(shape, false, &schema, writer);
    writer_end_object(writer);
}

/* The first members of a Method Object, in an object that is open. */
static void openrpc_write_head(const char *name, const char *doc, const rpc_module *module,
                               struct writer *writer)
{
    writer_member(writer, "name", name);
    if (doc)
        writer_member(writer, "summary", doc);
    writer_open_array(writer, "tags");
    writer_begin_object(writer);
    writer_member(writer, "name", module->name);
    writer_end_object(writer);
    writer_end_array(writer);
}

/* The members of a Method Object, in an object that is open. what: the name in titles. */
static void openrpc_write_members(const struct catalogue *catalogue, const rpc_module *module,
                                  const rpc_method *method, const char *what, struct writer *writer)
{
    openrpc_write_head(method->name, method->doc, module, writer);
    /* OpenRPC wants the required parameters first; paramStructure allows positions only where that is their
       order. */
    writer_member(writer, "paramStructure", openrpc_structure_of(method->params));
    writer_open_array(writer, "params");
    const bool strict = catalogue_is_strict(catalogue, method);
    const struct schema_name schema = catalogue_name(catalogue, module, what, "Params");
    openrpc_write_params(method->params, false, strict, &schema, writer);
    openrpc_write_params(method->params, true, strict, &schema, writer);
    writer_end_array(writer);
    writer_name(writer, "result");
    openrpc_write_descriptor(catalogue, module, method->result, "result", what, "Result", writer);
    if (method->progress) {
        writer_name(writer, "x-progress");
        openrpc_write_descriptor(catalogue, module, method->progress, "progress", what, "Progress", writer);
    }
    openrpc_write_errors(catalogue, module, method, writer);
    openrpc_write_mqtt(catalogue, module, method, strict, writer);
}

void openrpc_write_method(const struct catalogue *catalogue, const rpc_module *module,
                          const rpc_method *method, struct writer *writer)
{
    writer_begin_object(writer);
    openrpc_write_members(catalogue, module, method, method->name, writer);
    writer_end_object(writer);
}

/* ---- What workers declare ---- */

static void openrpc_write_workers(const struct foreign_row *row, struct writer *writer)
{
    const struct foreign_claim *claim;
    writer_open_array(writer, "x-workers");
    DL_FOREACH(row->claims, claim)
    {
        writer_string(writer, claim->declarer->name);
    }
    writer_end_array(writer);
}

/* A schema as it was declared; NULL: the one that says nothing. */
static void openrpc_write_schema(const char *schema, struct writer *writer)
{
    writer_json(writer, schema ? schema : "{}");
}

static bool openrpc_is_required(const cJSON *schema, const char *name)
{
    const cJSON *word = json_member(schema, "required");
    for (word = cJSON_IsArray(word) ? word->child : NULL; word; word = word->next) {
        if (cJSON_IsString(word) && strcmp(word->valuestring, name) == 0)
            return true;
    }
    return false;
}

/* Content Descriptors of the properties of a schema that are required, or of the others. */
static void openrpc_write_properties(const cJSON *schema, bool required, struct writer *writer)
{
    const cJSON *properties = json_member(schema, "properties");
    const cJSON *property = cJSON_IsObject(properties) ? properties->child : NULL;
    for (; property && !writer->full; property = property->next) {
        if (openrpc_is_required(schema, property->string) != required)
            continue;
        writer_begin_object(writer);
        writer_member(writer, "name", property->string);
        writer_member_bool(writer, "required", required);
        writer_name(writer, "schema");
        writer_tree(writer, property);
        writer_end_object(writer);
    }
}

/* Without memory for reading the schema there are none, and x-params has it all the same. */
static void openrpc_write_declared_params(const struct foreign_row *row, struct writer *writer)
{
    const char *text = row->content->params;
    struct json_error error;
    struct arena arena;
    arena_init(&arena);
    const cJSON *schema = text ? json_parse(text, strlen(text), &arena, &error) : NULL;
    writer_member(writer, "paramStructure", "by-name");
    writer_open_array(writer, "params");
    openrpc_write_properties(schema, true, writer);
    openrpc_write_properties(schema, false, writer);
    writer_end_array(writer);
    arena_fini(&arena);
    writer_name(writer, "x-params");
    openrpc_write_schema(text, writer);
}

void openrpc_write_declared_method(const struct catalogue *catalogue, const struct foreign_row *row,
                                   struct writer *writer)
{
    const struct foreign_content *content = row->content;
    const rpc_module *declared = row->method.instance->module;
    /* A module with the one event that the method names. */
    const rpc_module module = {
        .name = declared->name,
        .events = {content->event ? 1 : 0, content->event ? &content->event->as_event : NULL}};
    writer_begin_object(writer);
    openrpc_write_head(row->name, content->doc, declared, writer);
    openrpc_write_declared_params(row, writer);
    writer_open_object(writer, "result");
    writer_member(writer, "name", "result");
    writer_name(writer, "schema");
    openrpc_write_schema(content->result, writer);
    writer_end_object(writer);
    openrpc_write_mqtt(catalogue, &module, &row->as_method, false, writer);
    openrpc_write_workers(row, writer);
    writer_end_object(writer);
}

/* The schemas of the results with which methods announce an event, as elements of an array that is open. */
static void openrpc_write_results(const struct foreign *foreign, const struct foreign_row *event,
                                  struct writer *writer)
{
    const struct foreign_row *row;
    DL_FOREACH(foreign->rows, row)
    {
        if (!row->is_event && row->content->event == event)
            openrpc_write_schema(row->content->result, writer);
    }
}

static void openrpc_open_event(const struct catalogue *catalogue, const rpc_event *event,
                               struct writer *writer)
{
    writer_begin_object(writer);
    writer_member(writer, "name", event->name);
    catalogue_write_event_topics(catalogue, event, writer);
    if (event->doc)
        writer_member(writer, "description", event->doc);
    writer_member_bool(writer, "retained", event->retained);
    writer_name(writer, "schema");
}

void openrpc_write_declared_event(const struct catalogue *catalogue, const struct foreign_row *row,
                                  struct writer *writer)
{
    openrpc_open_event(catalogue, &row->as_event, writer);
    if (row->content->result) {
        openrpc_write_schema(row->content->result, writer);
    } else {
        writer_begin_object(writer);
        writer_open_array(writer, "anyOf");
        openrpc_write_results(catalogue->foreign, row, writer);
        writer_end_array(writer);
        writer_end_object(writer);
    }
    openrpc_write_workers(row, writer);
    writer_end_object(writer);
}

/* Writing stops where the document is over its limit, so that a larger one costs no more. */
static void openrpc_write_declared(const struct catalogue *catalogue, bool events, struct writer *writer)
{
    const struct foreign_row *row;
    if (!catalogue->foreign)
        return;
    DL_FOREACH(catalogue->foreign->rows, row)
    {
        if (writer->full || row->is_event != events)
            continue;
        if (events)
            openrpc_write_declared_event(catalogue, row, writer);
        else
            openrpc_write_declared_method(catalogue, row, writer);
    }
}

/* Likewise. */
static void openrpc_write_methods(const struct catalogue *catalogue, struct writer *writer)
{
    writer_open_array(writer, "methods");
    for (const rpc_module *const *module = catalogue->modules; *module; module++) {
        for (const rpc_method *method = (*module)->methods.rows;
             RPC_HAS_ROW((*module)->methods, method) && !writer->full; method++) {
            openrpc_write_method(catalogue, *module, method, writer);
        }
    }
    openrpc_write_declared(catalogue, false, writer);
    writer_end_array(writer);
}

/* ---- Devices ---- */

void openrpc_write_command(const struct catalogue *catalogue, const rpc_module *module,
                           const rpc_command *command, struct writer *writer)
{
    char name[CATALOGUE_NAME];
    const rpc_method method = catalogue_make_method(command, name);
    char what[CATALOGUE_NAME];
    writer_begin_object(writer);
    openrpc_write_members(catalogue, module, &method, catalogue_name_command(module, command, what), writer);
    if (command->errors.count)
        writer_open_array(writer, "x-causes");
    for (const rpc_error *error = command->errors.rows; RPC_HAS_ROW(command->errors, error); error++) {
        const struct schema_name schema = catalogue_name(catalogue, module, error->code, "Cause");
        openrpc_open_error(error, writer);
        schema_write_error(error, SCHEMA_DEVICE, NULL, &schema, writer);
        writer_end_object(writer);
    }
    if (command->errors.count)
        writer_end_array(writer);
    writer_end_object(writer);
}

static void openrpc_write_devices(const struct catalogue *catalogue, struct writer *writer)
{
    writer_open_object(writer, "x-devices");
    for (const rpc_module *const *entry = catalogue->modules; *entry; entry++) {
        const rpc_module *module = *entry;
        if (!module->commands.count)
            continue;
        writer_open_object(writer, module->name);
        if (module->doc)
            writer_member(writer, "description", module->doc);
        writer_open_array(writer, "commands");
        for (const rpc_command *command = module->commands.rows;
             RPC_HAS_ROW(module->commands, command) && !writer->full; command++)
            openrpc_write_command(catalogue, module, command, writer);
        writer_end_array(writer);
        writer_end_object(writer);
    }
    writer_end_object(writer);
}

/* ---- Events ---- */

void openrpc_write_event(const struct catalogue *catalogue, const rpc_module *module, const rpc_event *event,
                         struct writer *writer)
{
    openrpc_open_event(catalogue, event, writer);
    catalogue_write_event_schema(catalogue, module, event, writer);
    writer_end_object(writer);
}

static void openrpc_write_events(const struct catalogue *catalogue, struct writer *writer)
{
    static const rpc_event error = {.name = TOPIC_ERROR_EVENT, .doc = TOPIC_ERROR_DOC};
    const struct schema_name name = catalogue_name(catalogue, NULL, TOPIC_ERROR_EVENT, "Event");
    writer_open_array(writer, "x-events");
    openrpc_open_event(catalogue, &error, writer);
    schema_write_error(NULL, SCHEMA_ANY, NULL, &name, writer);
    writer_end_object(writer);
    for (const rpc_module *const *module = catalogue->modules; *module; module++) {
        for (const rpc_event *event = (*module)->events.rows;
             RPC_HAS_ROW((*module)->events, event) && !writer->full; event++)
            openrpc_write_event(catalogue, *module, event, writer);
    }
    openrpc_write_declared(catalogue, true, writer);
    writer_end_array(writer);
}

/* ---- The document ---- */

static void openrpc_write_topics(const struct catalogue *catalogue, struct writer *writer)
{
    writer_open_object(writer, "x-topics");
    for (const struct topic_tree *tree = topic_trees; tree->word; tree++) {
        if (topic_is_in_force(catalogue->options, tree->shown))
            catalogue_write_topic(catalogue, writer, tree->word, "/", tree->pattern);
    }
    writer_end_object(writer);
}

/* A rate of 0 means no limit; a time of 0 switches its feature off. */
static void openrpc_write_limits(const struct catalogue *catalogue, struct writer *writer)
{
    const struct engine_options *options = catalogue->options;
    writer_open_object(writer, "x-limits");
    writer_member_integer(writer, "maxPayload", options->max_payload);
    writer_member_integer(writer, "maxReply", options->max_reply);
    writer_member_integer(writer, "maxBatch", options->max_batch);
    writer_member_integer(writer, "maxDepth", JSON_DEPTH_MAX);
    writer_member_integer(writer, "maxNumber", JSON_NUMBER_MAX);
    writer_member_integer(writer, "maxQos", options->qos);
    writer_member_integer(writer, "timeoutMaxMs", options->timeout_max);
    writer_member_integer(writer, "maxPending", options->max_pending);
    writer_member_integer(writer, "maxPendingBytes", options->max_pending_bytes);
    writer_member_integer(writer, "rateLimit", options->rate_limit);
    writer_member_integer(writer, "rateBurst", options->rate_burst);
    writer_member_integer(writer, "rateBytes", options->rate_bytes);
    writer_member_integer(writer, "duplicateWindowMs", options->duplicate_window);
    writer_member_integer(writer, "redeliveryGuardMs", options->redelivery_guard);
    writer_end_object(writer);
}

void openrpc_write(const struct catalogue *given, struct writer *writer)
{
    struct catalogue sharing = *given;
    const struct catalogue *catalogue = &sharing;
    sharing.shares = true;
    writer_begin_object(writer);
    writer_member(writer, "openrpc", "1.3.2");
    writer_open_object(writer, "info");
    writer_member(writer, "title", "mosquitto-rpc");
    writer_member(writer, "version", RPC_VERSION);
    writer_end_object(writer);
    openrpc_write_methods(catalogue, writer);
    writer_open_object(writer, "components");
    writer_open_object(writer, "errors"); /* those that any method can answer with */
    for (int i = RPC_OK + 1; i < RPC_RAISED; i++) {
        writer_open_object(writer, status_name((rpc_status)i));
        openrpc_write_code((rpc_status)i, writer);
        writer_end_object(writer);
    }
    writer_end_object(writer);
    writer_open_object(writer, "schemas");
    catalogue_write_shared(catalogue, writer);
    writer_end_object(writer);
    writer_end_object(writer);
    openrpc_write_events(catalogue, writer);
    openrpc_write_devices(catalogue, writer);
    openrpc_write_topics(catalogue, writer);
    openrpc_write_limits(catalogue, writer);
    writer_end_object(writer);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What the documents of a service have in common: see catalogue.h. */
#include "describe/catalogue.h"

#include "base/text.h"
#include "shape/schema.h"

#include <stdio.h>
#include <string.h>

/* Where a document that shares has schemas, by their titles. */
#define CATALOGUE_SCHEMAS "#/components/schemas/"

enum {
    CATALOGUE_REFERENCE = sizeof CATALOGUE_SCHEMAS + TITLES_MAX
}; /* bytes that hold any reference to one */

rpc_method catalogue_make_method(const rpc_command *command, char name[CATALOGUE_NAME])
{
    snprintf(name, CATALOGUE_NAME, "%s%s", CATALOGUE_DEVICE, command->name);
    return (rpc_method){
        .name = name,
        .doc = command->doc,
        .read_only = command->read_only,
        .idempotent = command->idempotent,
        .strict = command->strict,
        .params = command->params,
        .result = command->result ? command->result : &registry_any_shape,
        .progress = command->progress,
        .defers = true,
        .timeout = command->timeout,
    };
}

const char *catalogue_name_command(const rpc_module *module, const rpc_command *command,
                                   char name[CATALOGUE_NAME])
{
    snprintf(name, CATALOGUE_NAME, "%.*s/%s", TOPIC_NAME_MAX, module->name, command->name);
    return name;
}

bool catalogue_takes_time(const rpc_method *method)
{
    return method->work || method->defers;
}

bool catalogue_takes_bytes(const rpc_method *method)
{
    return method->params && method->params->form == RPC_FORM_BYTES;
}

struct schema_name catalogue_name(const struct catalogue *catalogue, const rpc_module *module,
                                  const char *what, const char *role)
{
    return (struct schema_name){
        .titles = catalogue->titles, .module = module ? module->name : "", .what = what, .role = role};
}

static const char *catalogue_refer(const char *title, char reference[CATALOGUE_REFERENCE])
{
    snprintf(reference, CATALOGUE_REFERENCE, CATALOGUE_SCHEMAS "%s", title);
    return reference;
}

/* Whether several errors of the module's methods add the members of this shape to their error objects. */
static bool catalogue_shares(const rpc_module *module, const rpc_shape *data)
{
    unsigned count = 0;
    for (const rpc_method *method = module->methods.rows; RPC_HAS_ROW(module->methods, method); method++) {
        for (const rpc_error *error = method->errors.rows; RPC_HAS_ROW(method->errors, error); error++) {
            if (error->data == data && ++count > 1)
                return true;
        }
    }
    return false;
}

void catalogue_write_error(const struct catalogue *catalogue, const rpc_module *module,
                           const rpc_error *error, struct writer *writer)
{
    const struct schema_name name = catalogue_name(catalogue, module, error->code, "Error");
    const char *title = catalogue->shares ? schema_title_error(error, SCHEMA_METHOD, &name) : NULL;
    char reference[CATALOGUE_REFERENCE];
    if (!title) {
        schema_write_error(error, SCHEMA_METHOD, NULL, &name, writer);
        return;
    }
    writer_begin_object(writer);
    writer_member(writer, "$ref", catalogue_refer(title, reference));
    writer_end_object(writer);
}

/* The schema of an error, and of what it adds if others add the same, unless they have been written. */
static void catalogue_write_shared_error(const struct catalogue *catalogue, const rpc_module *module,
                                         const rpc_error *error, struct writer *writer)
{
    const struct schema_name name = catalogue_name(catalogue, module, error->code, "Error");
    const char *title = schema_title_error(error, SCHEMA_METHOD, &name);
    const bool shares = error->data && catalogue_shares(module, error->data);
    const char *data = shares ? schema_title_added(error->data, &name) : NULL;
    char reference[CATALOGUE_REFERENCE];
    if (data && titles_take_first(catalogue->titles, data)) {
        writer_name(writer, data);
        schema_write_added(error->data, &name, writer);
    }
    if (title && titles_take_first(catalogue->titles, title)) {
        writer_name(writer, title);
        schema_write_error(error, SCHEMA_METHOD, data ? catalogue_refer(data, reference) : NULL, &name,
                           writer);
    }
}

void catalogue_write_shared(const struct catalogue *catalogue, struct writer *writer)
{
    for (const rpc_module *const *module = catalogue->modules; *module; module++) {
        for (const rpc_method *method = (*module)->methods.rows;
             RPC_HAS_ROW((*module)->methods, method) && !writer->full; method++) {
            for (const rpc_error *error = method->errors.rows; RPC_HAS_ROW(method->errors, error); error++)
                catalogue_write_shared_error(catalogue, *module, error, writer);
        }
    }
}

/*
 * Counts the schemas of what an event can carry, and writes them as elements unless writer is NULL: its own
 * data, unless that is the result of a method that announces it; the results of the methods that announce it;
 * and the errors that the handlers can raise whose error event it is, their own and the engine's.
 */
static size_t catalogue_list_schemas(const struct catalogue *catalogue, const rpc_module *module,
                                     const rpc_event *event, struct writer *writer)
{
    const rpc_shape *data = event->data;
    const struct schema_name name = catalogue_name(catalogue, module, event->name, "Event");
    size_t count = 0;
    for (const rpc_method *method = module->methods.rows; RPC_HAS_ROW(module->methods, method); method++) {
        if (text_is(method->event, event->name) && method->result == data)
            data = NULL;
    }
    count += data != NULL;
    if (data && writer)
        schema_write(data, false, &name, writer);
    for (const rpc_method *method = module->methods.rows; RPC_HAS_ROW(module->methods, method); method++) {
        const bool announces = text_is(method->event, event->name);
        const bool fails = text_is(method->error_event, event->name);
        const struct schema_name result = catalogue_name(catalogue, module, method->name, "Result");
        count += announces;
        if (announces && writer)
            schema_write(method->result, false, &result, writer);
        for (const rpc_error *error = fails ? method->errors.rows : NULL; RPC_HAS_ROW(method->errors, error);
             error++) {
            count++;
            if (writer)
                catalogue_write_error(catalogue, module, error, writer);
        }
        count += fails;
        if (fails && writer)
            schema_write_error(NULL, SCHEMA_ENGINE, NULL, &name, writer);
    }
    return count;
}

bool catalogue_is_strict(const struct catalogue *catalogue, const rpc_method *method)
{
    return method->strict || catalogue->options->undeclared == UNDECLARED_REFUSE;
}

void catalogue_write_event_schema(const struct catalogue *catalogue, const rpc_module *module,
                                  const rpc_event *event, struct writer *writer)
{
    const size_t count = catalogue_list_schemas(catalogue, module, event, NULL);
    if (count == 1) {
        catalogue_list_schemas(catalogue, module, event, writer);
        return;
    }
    writer_begin_object(writer);
    if (count) {
        writer_open_array(writer, "anyOf");
        catalogue_list_schemas(catalogue, module, event, writer);
        writer_end_array(writer);
    }
    writer_end_object(writer);
}

const rpc_event *catalogue_find_event(const rpc_module *module, const char *name)
{
    const rpc_event *event = module->events.rows;
    while (RPC_HAS_ROW(module->events, event) && strcmp(event->name, name) != 0)
        event++;
    return RPC_HAS_ROW(module->events, event) ? event : NULL;
}

void catalogue_write_event_topics(const struct catalogue *catalogue, const rpc_event *event,
                                  struct writer *writer)
{
    char keyed[TOPIC_NAME_MAX + sizeof CATALOGUE_KEY];
    catalogue_write_topic(catalogue, writer, "topic", "/event/", event->name);
    if (!event->key)
        return;
    snprintf(keyed, sizeof keyed, "%s" CATALOGUE_KEY, event->name);
    writer_member(writer, "key", event->key);
    catalogue_write_topic(catalogue, writer, "keyedTopic", "/event/", keyed);
}

void catalogue_write_topic(const struct catalogue *catalogue, struct writer *writer, const char *member,
                           const char *middle, const char *name)
{
    char topic[TOPIC_PREFIX_MAX + 64 + TOPIC_NAME_MAX];
    snprintf(topic, sizeof topic, "%s%s%s", catalogue->options->prefix, middle, name);
    writer_member(writer, member, topic);
}

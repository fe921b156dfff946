// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What the documents of a service have in common: see catalogue.h. */
#include "describe/catalogue.h"

#include "base/text.h"
#include "shape/schema.h"

#include <stdio.h>
#include <string.h>

/* The shape of a result that a command does not declare. */
struct any {
    rpc_json value;
};

static const rpc_field catalogue_any_fields[] = {RPC_JSON(struct any, value, .doc = "any JSON value")};
static const rpc_shape catalogue_any_shape = RPC_VALUE_SHAPE(struct any, catalogue_any_fields);

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
        .result = command->result ? command->result : &catalogue_any_shape,
        .progress = command->progress,
        .defers = true,
        .timeout = command->timeout,
    };
}

bool catalogue_takes_time(const rpc_method *method)
{
    return method->work || method->defers;
}

bool catalogue_takes_bytes(const rpc_method *method)
{
    return method->params && method->params->form == RPC_FORM_BYTES;
}

/*
 * Counts the schemas of what an event can carry, and writes them as elements unless writer is NULL: its own
 * data, unless that is the result of a method that announces it; the results of the methods that announce it;
 * and the errors that the handlers can raise whose error event it is, their own and the engine's.
 */
static size_t catalogue_list_schemas(const rpc_module *module, const rpc_event *event, struct writer *writer)
{
    const rpc_shape *data = event->data;
    size_t count = 0;
    for (const rpc_method *method = module->methods.rows; RPC_HAS_ROW(module->methods, method); method++) {
        if (text_is(method->event, event->name) && method->result == data)
            data = NULL;
    }
    count += data != NULL;
    if (data && writer)
        schema_write(data, false, writer);
    for (const rpc_method *method = module->methods.rows; RPC_HAS_ROW(module->methods, method); method++) {
        const bool announces = text_is(method->event, event->name);
        const bool fails = text_is(method->error_event, event->name);
        count += announces;
        if (announces && writer)
            schema_write(method->result, false, writer);
        for (const rpc_error *error = fails ? method->errors.rows : NULL; RPC_HAS_ROW(method->errors, error);
             error++) {
            count++;
            if (writer)
                schema_write_error(error, writer);
        }
        count += fails;
        if (fails && writer)
            schema_write_engine_error(writer);
    }
    return count;
}

bool catalogue_is_strict(const struct catalogue *catalogue, const rpc_method *method)
{
    return method->strict || catalogue->options->undeclared == UNDECLARED_REFUSE;
}

unsigned catalogue_find_shared(const rpc_module *module, const rpc_shape *shape)
{
    unsigned number = 0, first = 0;
    for (const rpc_method *method = module->methods.rows; RPC_HAS_ROW(module->methods, method); method++) {
        for (const rpc_error *error = method->errors.rows; RPC_HAS_ROW(method->errors, error); error++) {
            number++;
            if (error->data != shape)
                continue;
            if (first)
                return first;
            first = number;
        }
    }
    return 0;
}

void catalogue_write_event_schema(const rpc_module *module, const rpc_event *event, struct writer *writer)
{
    const size_t count = catalogue_list_schemas(module, event, NULL);
    if (count == 1) {
        catalogue_list_schemas(module, event, writer);
        return;
    }
    writer_begin_object(writer);
    if (count) {
        writer_open_array(writer, "anyOf");
        catalogue_list_schemas(module, event, writer);
        writer_end_array(writer);
    }
    writer_end_object(writer);
}

void catalogue_write_topic(const struct catalogue *catalogue, struct writer *writer, const char *member,
                           const char *middle, const char *name)
{
    char topic[TOPIC_PREFIX_MAX + 64 + TOPIC_NAME_MAX];
    snprintf(topic, sizeof topic, "%s%s%s", catalogue->options->prefix, middle, name);
    writer_member(writer, member, topic);
}

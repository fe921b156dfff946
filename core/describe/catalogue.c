// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What the documents of a service have in common: see catalogue.h. */
#include "describe/catalogue.h"

#include "shape/schema.h"
#include "base/text.h"
#include "call/topic.h"

#include <stdio.h>
#include <string.h>

bool catalogue_takes_bytes(const rpc_method *method)
{
    return method->params && method->params->form == RPC_FORM_BYTES;
}

bool catalogue_is_open(const struct catalogue *catalogue, const rpc_method *method)
{
    const char *open = catalogue->options->jsonrpc_methods;
    return !catalogue_takes_bytes(method) && (text_has_word(open, "*") || text_has_word(open, method->name));
}

bool catalogue_is_idempotent(const rpc_method *method)
{
    return method->idempotent || method->read_only;
}

const char *catalogue_payload(const rpc_method *method)
{
    static const char *const words[] = {
        [RPC_FORM_OBJECT] = "object", [RPC_FORM_VALUE] = "value", [RPC_FORM_BYTES] = "bytes"};
    return words[method->params ? method->params->form : RPC_FORM_OBJECT];
}

static bool catalogue_is_named(const rpc_event *event, const char *name)
{
    return name && strcmp(event->name, name) == 0;
}

static size_t catalogue_count_errors(const rpc_method *method)
{
    size_t count = 0;
    while (method->errors && method->errors[count].code)
        count++;
    return count;
}

/* The schemas of the errors that a handler can raise: those that it declares, and the engine's. */
static void catalogue_write_raised(const rpc_method *method, struct writer *writer)
{
    for (size_t i = 0; i < catalogue_count_errors(method); i++)
        schema_write_error(&method->errors[i], writer);
    schema_write_engine_error(writer);
}

/* The event's own data, unless it is the result of a method that announces it. NULL: there is none. */
static const rpc_shape *catalogue_find_own_data(const rpc_module *module, const rpc_event *event)
{
    for (const rpc_method *method = module->methods; method && method->name; method++) {
        if (catalogue_is_named(event, method->event) && method->result == event->data)
            return NULL;
    }
    return event->data;
}

static size_t catalogue_count_schemas(const rpc_module *module, const rpc_event *event)
{
    size_t count = catalogue_find_own_data(module, event) ? 1 : 0;
    for (const rpc_method *method = module->methods; method && method->name; method++) {
        count += catalogue_is_named(event, method->event);
        count += catalogue_is_named(event, method->error_event) ? catalogue_count_errors(method) + 1 : 0;
    }
    return count;
}

/* Writes as elements what catalogue_count_schemas() counts. */
static void catalogue_write_schemas(const rpc_module *module, const rpc_event *event, struct writer *writer)
{
    const rpc_shape *data = catalogue_find_own_data(module, event);
    if (data)
        schema_write(data, writer);
    for (const rpc_method *method = module->methods; method && method->name; method++) {
        if (catalogue_is_named(event, method->event))
            schema_write(method->result, writer);
        if (catalogue_is_named(event, method->error_event))
            catalogue_write_raised(method, writer);
    }
}

void catalogue_write_event_schema(const rpc_module *module, const rpc_event *event, struct writer *writer)
{
    const size_t count = catalogue_count_schemas(module, event);
    if (count == 1) {
        catalogue_write_schemas(module, event, writer);
        return;
    }
    writer_begin_object(writer);
    if (count) {
        writer_open_array(writer, "anyOf");
        catalogue_write_schemas(module, event, writer);
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

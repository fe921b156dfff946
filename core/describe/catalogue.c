// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What all documents have in common: see catalogue.h. */
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

bool catalogue_is_in_force(const struct catalogue *catalogue, unsigned needs)
{
    const struct engine_options *options = catalogue->options;
    unsigned given = options->reply_to_subscribers ? CATALOGUE_TO_SUBSCRIBERS : CATALOGUE_TO_CALLERS;
    if (options->jsonrpc_methods[strspn(options->jsonrpc_methods, " ")])
        given |= CATALOGUE_OPEN;
    return (needs & ~given) == 0;
}

const char *catalogue_payload(const rpc_method *method)
{
    static const char *const words[] = {
        [RPC_FORM_OBJECT] = "object", [RPC_FORM_VALUE] = "value", [RPC_FORM_BYTES] = "bytes"};
    return words[method->params ? method->params->form : RPC_FORM_OBJECT];
}

static bool is_named(const rpc_event *event, const char *name)
{
    return name && strcmp(event->name, name) == 0;
}

static size_t count_errors(const rpc_method *method)
{
    size_t count = 0;
    while (method->errors && method->errors[count].code)
        count++;
    return count;
}

/* What a handler raises is one of its own errors, or one of the engine's that it took for it. */
static void write_raised(const rpc_method *method, struct writer *writer)
{
    for (size_t i = 0; i < count_errors(method); i++)
        schema_write_error(&method->errors[i], writer);
    schema_write_engine_error(writer);
}

/* The data that is not the same as the result of a method that announces it. NULL: there is none. */
static const rpc_shape *find_own_data(const rpc_module *module, const rpc_event *event)
{
    for (const rpc_method *method = module->methods; method && method->name; method++) {
        if (is_named(event, method->event) && method->result == event->data)
            return NULL;
    }
    return event->data;
}

static size_t count_schemas(const rpc_module *module, const rpc_event *event)
{
    size_t count = find_own_data(module, event) ? 1 : 0;
    for (const rpc_method *method = module->methods; method && method->name; method++) {
        count += is_named(event, method->event);
        count += is_named(event, method->error_event) ? count_errors(method) + 1 : 0;
    }
    return count;
}

/* Writes all of them, as elements. */
static void write_schemas(const rpc_module *module, const rpc_event *event, struct writer *writer)
{
    const rpc_shape *data = find_own_data(module, event);
    if (data)
        schema_write(data, writer);
    for (const rpc_method *method = module->methods; method && method->name; method++) {
        if (is_named(event, method->event))
            schema_write(method->result, writer);
        if (is_named(event, method->error_event))
            write_raised(method, writer);
    }
}

void catalogue_write_event_schema(const rpc_module *module, const rpc_event *event, struct writer *writer)
{
    const size_t count = count_schemas(module, event);
    if (count == 1) {
        write_schemas(module, event, writer);
        return;
    }
    writer_begin_object(writer);
    if (count) {
        writer_open_array(writer, "anyOf");
        write_schemas(module, event, writer);
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

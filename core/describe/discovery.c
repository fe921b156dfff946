// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The built-in module `rpc`: the service describes itself. It stands first in every plugin's list of modules
 * and is a module like any other, but for where it lives: what it answers is in the registry, which is the
 * engine's and not for handlers to see. Like all handlers it runs on the broker's thread.
 */
#include "describe/discovery.h"

#include "call/answer.h"
#include "call/engine_parts.h"

#include "describe/openrpc.h"
#include "call/topic.h"
#include "shape/codec_json.h"

#include <stdlib.h>
#include <string.h>

/* ---- The catalogue of the caller's prefix ---- */

static size_t count_instances(const struct registry *registry)
{
    size_t count = 0;
    for (const rpc_instance *instance = registry->instances; instance; instance = instance->next)
        count++;
    return count;
}

/* The registry has the newest first. NULL: no memory. */
static const rpc_module *const *list_modules(rpc_call *call)
{
    const struct registry *registry = &call->engine->registry;
    size_t place = count_instances(registry);
    const rpc_module **modules = rpc_alloc(call, (place + 1) * sizeof *modules);
    for (const rpc_instance *instance = registry->instances; modules && instance; instance = instance->next)
        modules[--place] = instance->module;
    return modules;
}

static bool make_catalogue(rpc_call *call, struct catalogue *catalogue)
{
    *catalogue = (struct catalogue){list_modules(call), &call->engine->env.options};
    return catalogue->modules != NULL;
}

/* ---- Documents ---- */

/* JSON text of at most max_reply bytes, which is written into scratch and copied from there. */
struct document {
    rpc_json text;
};

static rpc_status raise_too_large(rpc_call *call)
{
    return rpc_raise(call, "reply_too_large",
                     "the document is over %zu bytes: rpc.list and rpc.describe tell the same in parts",
                     call->engine->env.options.max_reply);
}

static rpc_status copy_document(rpc_call *call, const struct writer *writer, struct document *document)
{
    if (writer->full)
        return raise_too_large(call);
    document->text.text = arena_copy(&call->arena, writer->out, writer->used);
    return document->text.text ? RPC_OK : RPC_INTERNAL_ERROR;
}

/* ---- rpc.discover ---- */

/*
 * The module's state: the document, from one call to the next. To write it takes far longer than to carry out
 * an ordinary call, and it stays the same until a module is added.
 */
struct kept {
    bool made;
    char *text;             /* NULL, if it was made: it is over max_reply */
    size_t methods, events; /* how many there were when it was made */
};

static bool is_current(const struct kept *kept, const struct registry *registry)
{
    return kept->made && kept->methods == HASH_COUNT(registry->methods) &&
           kept->events == HASH_COUNT(registry->events);
}

static void forget(void *state)
{
    struct kept *kept = state;
    free(kept->text);
    *kept = (struct kept){.made = false};
}

/* Without memory for it, nothing is kept. */
static void keep(struct kept *kept, const struct registry *registry, const struct writer *writer)
{
    forget(kept);
    char *text = writer->full ? NULL : malloc(writer->used + 1);
    if (!text && !writer->full)
        return;
    if (text) {
        memcpy(text, writer->out, writer->used);
        text[writer->used] = '\0';
    }
    *kept = (struct kept){true, text, HASH_COUNT(registry->methods), HASH_COUNT(registry->events)};
}

static const rpc_field openrpc_fields[] = {
    RPC_JSON(struct document, text, .doc = "an OpenRPC 1.3.2 document"),
};

static const rpc_shape openrpc_shape = RPC_VALUE_SHAPE(struct document, openrpc_fields);

static rpc_status make_document(rpc_call *call, struct kept *kept, struct document *document)
{
    struct catalogue catalogue;
    if (!make_catalogue(call, &catalogue))
        return RPC_INTERNAL_ERROR;
    struct writer writer = answer_writer(call->engine, &codec_json);
    openrpc_write(&catalogue, &writer);
    keep(kept, &call->engine->registry, &writer);
    return copy_document(call, &writer, document);
}

static rpc_status discover(rpc_call *call, void *state, const void *params, void *result)
{
    const struct kept *kept = state;
    (void)params;
    if (!is_current(kept, &call->engine->registry))
        return make_document(call, state, result);
    if (!kept->text)
        return raise_too_large(call);
    ((struct document *)result)->text.text = kept->text;
    return RPC_OK;
}

/* ---- rpc.list ---- */

struct entry {
    const char *name, *doc;
};

static const rpc_field entry_fields[] = {
    RPC_STRING(struct entry, name, .doc = "its name", .length = {1, TOPIC_NAME_MAX}),
    RPC_STRING(struct entry, doc, .doc = "what it is, in one line", .length = {0, 65535}),
};

static const rpc_shape entry_shape = RPC_OBJECT_SHAPE(struct entry, entry_fields);

struct list {
    const struct entry *methods, *events;
    size_t method_count, event_count;
};

enum { ENTRIES_MAX = 1000000 };

static const rpc_field list_fields[] = {
    RPC_OBJECT_ARRAY(struct list, methods, method_count, struct entry, .doc = "all methods",
                     .items = {0, ENTRIES_MAX}, .shape = &entry_shape),
    RPC_OBJECT_ARRAY(struct list, events, event_count, struct entry, .doc = "all events of modules",
                     .items = {0, ENTRIES_MAX}, .shape = &entry_shape),
};

static const rpc_shape list_shape = RPC_OBJECT_SHAPE(struct list, list_fields);

static struct entry make_entry(const char *name, const char *doc)
{
    return (struct entry){name, doc ? doc : ""};
}

static rpc_status list_all(rpc_call *call, void *state, const void *params, void *result)
{
    const struct registry *registry = &call->engine->registry;
    struct list *list = result;
    struct entry *methods = rpc_alloc(call, HASH_COUNT(registry->methods) * sizeof *methods);
    struct entry *events = rpc_alloc(call, HASH_COUNT(registry->events) * sizeof *events);
    (void)state, (void)params;
    if (!methods || !events)
        return RPC_INTERNAL_ERROR;
    for (const struct registry_method *method = registry->methods; method; method = method->hh.next)
        methods[list->method_count++] = make_entry(method->declared->name, method->declared->doc);
    for (const struct registry_event *event = registry->events; event; event = event->hh.next)
        events[list->event_count++] = make_entry(event->declared->name, event->declared->doc);
    list->methods = methods;
    list->events = events;
    return RPC_OK;
}

/* ---- rpc.describe ---- */

struct which {
    const char *method;
};

static const rpc_field which_fields[] = {
    RPC_STRING(struct which, method, .doc = "the name of a method", .length = {1, TOPIC_NAME_MAX}),
};

static const rpc_shape which_shape = RPC_OBJECT_SHAPE(struct which, which_fields);

static const rpc_field description_fields[] = {
    RPC_JSON(struct document, text,
             .doc = "its Method Object in `method`, and in `events` those that it announces, as rpc.discover "
                    "has them"),
};

static const rpc_shape description_shape = RPC_VALUE_SHAPE(struct document, description_fields);

static const rpc_error describe_errors[] = {
    {.code = "unknown_method", .doc = "there is no method of this name"},
    {.code = NULL},
};

static void write_event(const struct catalogue *catalogue, const struct registry_event *event,
                        struct writer *writer)
{
    if (event)
        openrpc_write_event(catalogue, event->instance->module, event->declared, writer);
}

static void write_description(const struct catalogue *catalogue, const struct registry_method *method,
                              struct writer *writer)
{
    writer_begin_object(writer);
    writer_name(writer, "method");
    openrpc_write_method(catalogue, method->instance->module, method->declared, writer);
    writer_open_array(writer, "events");
    write_event(catalogue, method->event, writer);
    if (method->error_event != method->event)
        write_event(catalogue, method->error_event, writer);
    writer_end_array(writer);
    writer_end_object(writer);
}

static rpc_status describe(rpc_call *call, void *state, const void *params, void *result)
{
    const struct which *given = params;
    const struct registry_method *method = registry_find_method(&call->engine->registry, given->method);
    struct catalogue catalogue;
    (void)state;
    if (!method)
        return rpc_raise(call, "unknown_method", "there is no method of this name");
    if (!make_catalogue(call, &catalogue))
        return RPC_INTERNAL_ERROR;
    struct writer writer = answer_writer(call->engine, &codec_json);
    write_description(&catalogue, method, &writer);
    return copy_document(call, &writer, result);
}

/* ---- The module ---- */

static const rpc_method methods[] = {
    {
        .name = "rpc.discover",
        .doc = "Describes all methods and events, as an OpenRPC document.",
        .read_only = true,
        .result = &openrpc_shape,
        .run = discover,
    },
    {
        .name = "rpc.list",
        .doc = "Lists the methods and events.",
        .read_only = true,
        .result = &list_shape,
        .run = list_all,
    },
    {
        .name = "rpc.describe",
        .doc = "Describes one method in full.",
        .read_only = true,
        .params = &which_shape,
        .result = &description_shape,
        .errors = describe_errors,
        .run = describe,
    },
    {.name = NULL},
};

RPC_MODULE(rpc, .doc = "The service describes itself.", .state_size = sizeof(struct kept), .methods = methods,
           .fini = forget);

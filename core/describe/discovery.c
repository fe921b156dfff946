// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The built-in module `rpc`: see discovery.h. */
#include "describe/discovery.h"

#include "call/answer.h"
#include "call/engine_parts.h"
#include "call/foreign.h"
#include "call/topic.h"
#include "describe/openrpc.h"
#include "shape/codec_json.h"

#include <stdlib.h>
#include <string.h>

/* ---- The catalogue of the caller's prefix ---- */

/* Returns false: no memory. The registry has the newest module first. */
static bool discovery_make_catalogue(rpc_call *call, struct catalogue *catalogue)
{
    const rpc_instance *const newest = call->engine->registry.instances;
    const rpc_instance *instance;
    size_t count = 0;
    for (instance = newest; instance; instance = instance->next)
        count++;
    const rpc_module **modules = rpc_alloc(call, (count + 1) * sizeof *modules);
    for (instance = newest; modules && instance; instance = instance->next)
        modules[--count] = instance->module;
    *catalogue = (struct catalogue){
        .modules = modules, .options = &call->engine->env.options, .foreign = call->engine->foreign};
    return modules;
}

/* ---- Documents ---- */

/* A result that is JSON text of at most max_reply bytes; it is written into scratch and copied from there. */
struct document {
    rpc_json text;
};

static rpc_status discovery_raise_too_large(rpc_call *call)
{
    return rpc_raise(call, "reply_too_large",
                     "the document is over %d bytes: rpc.list and rpc.describe tell the same in parts",
                     call->engine->env.options.max_reply);
}

static rpc_status discovery_copy_document(rpc_call *call, const struct writer *writer,
                                          struct document *document)
{
    if (writer->full)
        return discovery_raise_too_large(call);
    document->text.text = arena_copy(&call->arena, writer->out, writer->used);
    return document->text.text ? RPC_OK : RPC_INTERNAL_ERROR;
}

/* ---- rpc.discover ---- */

/*
 * The module's state: the OpenRPC document, from one call to the next. Writing it takes as long as all the
 * rest of the call, and it stays the same until a module is added, options have changed or workers declare
 * something else.
 */
struct discovery {
    const rpc_instance *newest; /* the newest module when the document was made; NULL: it was not made */
    unsigned reloads;           /* env->reloads then, */
    unsigned changes;           /* and foreign->changes */
    char *text;                 /* the document; NULL, if it was made: it is over max_reply */
    struct titles titles; /* of its schemas, if it was made; descriptions of single methods have them, too */
};

static void discovery_forget(void *state)
{
    struct discovery *discovery = state;
    if (!discovery->newest)
        return;
    free(discovery->text);
    titles_fini(&discovery->titles);
    discovery->newest = NULL;
}

/* Makes the document, if there is none of these modules. Returns false: no memory. */
static bool discovery_make(rpc_call *call, struct discovery *discovery, struct catalogue *catalogue)
{
    const rpc_instance *const newest = call->engine->registry.instances;
    if (!discovery_make_catalogue(call, catalogue))
        return false;
    catalogue->titles = &discovery->titles;
    const unsigned reloads = call->engine->env.reloads, changes = call->engine->foreign->changes;
    if (discovery->newest == newest && discovery->reloads == reloads && discovery->changes == changes)
        return true;
    discovery_forget(discovery);
    titles_init(&discovery->titles);
    discovery->newest = newest;
    discovery->reloads = reloads;
    discovery->changes = changes;
    struct writer writer = answer_writer(call->engine, &codec_json);
    openrpc_write(catalogue, &writer);
    discovery->text = writer.full ? NULL : malloc(writer.used + 1);
    if ((!discovery->text && !writer.full) || discovery->titles.failed) {
        discovery_forget(discovery);
        return false;
    }
    if (discovery->text) {
        memcpy(discovery->text, writer.out, writer.used);
        discovery->text[writer.used] = '\0';
    }
    return true;
}

static const rpc_field openrpc_fields[] = {
    RPC_JSON(struct document, text, .doc = "an OpenRPC 1.3.2 document"),
};

static const rpc_shape openrpc_shape = RPC_VALUE_SHAPE(struct document, openrpc_fields);

static rpc_status discovery_discover(rpc_call *call, void *state, const void *params, void *result)
{
    struct discovery *discovery = state;
    struct catalogue catalogue;
    (void)params;
    if (!discovery_make(call, discovery, &catalogue))
        return RPC_INTERNAL_ERROR;
    if (!discovery->text)
        return discovery_raise_too_large(call);
    ((struct document *)result)->text.text = discovery->text;
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

enum { ENTRIES_MAX = 1000000 };

struct event_entry {
    const char *name, *doc, *key;
};

static const rpc_field event_entry_fields[] = {
    RPC_STRING(struct event_entry, name, .doc = "its name", .length = {1, TOPIC_NAME_MAX}),
    RPC_STRING(struct event_entry, doc, .doc = "what it is, in one line", .length = {0, 65535}),
    RPC_STRING(struct event_entry, key, .doc = "of a keyed event, the member that is its key",
               .optional = true, .length = {1, 65535}),
};

static const rpc_shape event_entry_shape = RPC_OBJECT_SHAPE(struct event_entry, event_entry_fields);

/* A kind of devices. */
struct kind {
    const char *name, *doc;
    const struct entry *commands;
    size_t command_count;
};

static const rpc_field kind_fields[] = {
    RPC_STRING(struct kind, name, .doc = "its name, that of its module", .length = {1, 65535}),
    RPC_STRING(struct kind, doc, .doc = "what it is, in one line", .length = {0, 65535}),
    RPC_OBJECT_ARRAY(struct kind, commands, command_count, struct entry, .doc = "its commands",
                     .items = {1, ENTRIES_MAX}, .shape = &entry_shape),
};

static const rpc_shape kind_shape = RPC_OBJECT_SHAPE(struct kind, kind_fields);

struct list {
    const struct entry *methods;
    const struct event_entry *events;
    const struct kind *devices;
    size_t method_count, event_count, device_count;
    const char *version;
};

static const rpc_field list_fields[] = {
    RPC_OBJECT_ARRAY(struct list, methods, method_count, struct entry, .doc = "all methods",
                     .items = {0, ENTRIES_MAX}, .shape = &entry_shape),
    RPC_OBJECT_ARRAY(struct list, events, event_count, struct event_entry, .doc = "all events of modules",
                     .items = {0, ENTRIES_MAX}, .shape = &event_entry_shape),
    RPC_OBJECT_ARRAY(struct list, devices, device_count, struct kind,
                     .doc = "all kinds of devices that have commands", .items = {0, ENTRIES_MAX},
                     .shape = &kind_shape),
    RPC_STRING(struct list, version, .doc = "the version of mosquitto-rpc", .length = {1, 65535}),
};

static const rpc_shape list_shape = RPC_OBJECT_SHAPE(struct list, list_fields);

static struct entry discovery_make_entry(const char *name, const char *doc)
{
    return (struct entry){name, doc ? doc : ""};
}

/* Returns false: no memory. */
static bool discovery_add_kind(rpc_call *call, const rpc_module *module, struct kind *kind)
{
    struct entry *commands = rpc_alloc(call, module->commands.count * sizeof *commands);
    if (!commands)
        return false;
    for (size_t i = 0; i < module->commands.count; i++)
        commands[i] = discovery_make_entry(module->commands.rows[i].name, module->commands.rows[i].doc);
    *kind = (struct kind){module->name, module->doc ? module->doc : "", commands, module->commands.count};
    return true;
}

/* Returns false: no memory. */
static bool discovery_list_devices(rpc_call *call, struct list *list)
{
    struct catalogue catalogue;
    size_t count = 0;
    if (!discovery_make_catalogue(call, &catalogue))
        return false;
    while (catalogue.modules[count])
        count++;
    struct kind *devices = rpc_alloc(call, count * sizeof *devices);
    for (size_t i = 0; devices && i < count; i++) {
        if (catalogue.modules[i]->commands.count &&
            !discovery_add_kind(call, catalogue.modules[i], &devices[list->device_count++]))
            return false;
    }
    list->devices = devices;
    return devices;
}

static rpc_status discovery_list(rpc_call *call, void *state, const void *params, void *result)
{
    const struct registry *registry = &call->engine->registry;
    struct list *list = result;
    struct entry *methods = rpc_alloc(call, HASH_COUNT(registry->methods) * sizeof *methods);
    struct event_entry *events = rpc_alloc(call, HASH_COUNT(registry->events) * sizeof *events);
    (void)state, (void)params;
    if (!methods || !events || !discovery_list_devices(call, list))
        return RPC_INTERNAL_ERROR;
    for (const struct registry_method *method = registry->methods; method; method = method->hh.next)
        methods[list->method_count++] = discovery_make_entry(method->declared->name, method->declared->doc);
    for (const struct registry_event *event = registry->events; event; event = event->hh.next)
        events[list->event_count++] = (struct event_entry){
            event->declared->name, event->declared->doc ? event->declared->doc : "", event->declared->key};
    list->methods = methods;
    list->events = events;
    list->version = RPC_VERSION;
    return RPC_OK;
}

/* ---- rpc.describe ---- */

struct which {
    const char *method;
};

static const rpc_field which_fields[] = {
    RPC_STRING(struct which, method, .doc = "the name of a method, for example as it is called",
               .length = {1, TOPIC_CALLED_MAX}),
};

static const rpc_shape which_shape = RPC_OBJECT_SHAPE(struct which, which_fields);

static const rpc_field description_fields[] = {
    RPC_JSON(struct document, text,
             .doc =
                 "its Method Object in `method`, in `events` those that it announces, and in `commands` the "
                 "commands of devices that it calls, as rpc.discover has them"),
};

static const rpc_shape description_shape = RPC_VALUE_SHAPE(struct document, description_fields);

static const rpc_error describe_errors[] = {
    {.code = "unknown_method", .doc = "there is no method of this name"},
};

static void discovery_write_event(const struct catalogue *catalogue, const struct registry_event *event,
                                  struct writer *writer)
{
    if (event && event->foreign)
        openrpc_write_declared_event(catalogue, event->foreign, writer);
    else if (event)
        openrpc_write_event(catalogue, event->instance->module, event->declared, writer);
}

/* The commands that a call of this name is for, of all kinds of devices. */
static void discovery_write_commands(rpc_call *call, const struct catalogue *catalogue,
                                     const struct registry_method *method, const char *name,
                                     struct writer *writer)
{
    static const char *const families[] = {CATALOGUE_DEVICE "{command}", "devices/{group}/{command}"};
    const char *family = method->declared->name;
    if (strcmp(family, families[0]) != 0 && strcmp(family, families[1]) != 0)
        return;
    const struct registry_command *command =
        registry_find_first(&call->engine->registry, strrchr(name, '/') + 1);
    writer_open_array(writer, "commands");
    for (; command; command = command->next)
        openrpc_write_command(catalogue, command->instance->module, command->declared, writer);
    writer_end_array(writer);
}

static rpc_status discovery_describe(rpc_call *call, void *state, const void *params, void *result)
{
    const struct which *given = params;
    const struct registry_method *method = registry_find_method(&call->engine->registry, given->method);
    struct catalogue catalogue;
    if (!method)
        return rpc_raise(call, "unknown_method", "there is no method of this name");
    if (!discovery_make(call, state, &catalogue))
        return RPC_INTERNAL_ERROR;
    struct writer writer = answer_writer(call->engine, &codec_json);
    writer_begin_object(&writer);
    writer_name(&writer, "method");
    if (method->foreign)
        openrpc_write_declared_method(&catalogue, method->foreign, &writer);
    else
        openrpc_write_method(&catalogue, method->instance->module, method->declared, &writer);
    writer_open_array(&writer, "events");
    discovery_write_event(&catalogue, method->event, &writer);
    if (method->error_event != method->event)
        discovery_write_event(&catalogue, method->error_event, &writer);
    writer_end_array(&writer);
    discovery_write_commands(call, &catalogue, method, given->method, &writer);
    writer_end_object(&writer);
    if (catalogue.titles->failed) {
        discovery_forget(state);
        return RPC_INTERNAL_ERROR;
    }
    return discovery_copy_document(call, &writer, result);
}

/* ---- The module ---- */

static const rpc_method methods[] = {
    {
        .name = "rpc.discover",
        .doc = "Describes all methods and events, as an OpenRPC document.",
        .read_only = true,
        .result = &openrpc_shape,
        .run = discovery_discover,
    },
    {
        .name = "rpc.list",
        .doc = "Lists the methods, the events and the commands of devices.",
        .read_only = true,
        .result = &list_shape,
        .run = discovery_list,
    },
    {
        .name = "rpc.describe",
        .doc = "Describes one method in full.",
        .read_only = true,
        .params = &which_shape,
        .result = &description_shape,
        .errors = RPC_TABLE(describe_errors),
        .run = discovery_describe,
    },
};

RPC_MODULE(rpc, .doc = "The service describes itself.", .state_size = sizeof(struct discovery),
           .methods = RPC_TABLE(methods), .fini = discovery_forget);

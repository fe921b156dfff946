// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Modules, methods, events and inboxes: see registry.h. Everything that can be checked is checked here, so
 * that a wrong table stops the start of the broker and is not found by the first call.
 */
#include "call/registry.h"

#include "base/status.h"
#include "call/topic.h"
#include "shape/fields_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ERROR_CODE_MAX = 64 };

/* What is being checked, for the explanation of a fault. */
struct place {
    const char *module;
    const char *kind; /* "method", "event", … */
    const char *name;
    char *why;
};

static bool registry_fault(const struct place *place, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Explains; returns false, so that callers can return it. */
static bool registry_fault(const struct place *place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int used =
        snprintf(place->why, REGISTRY_WHY, "module %s: %s %s: ", place->module, place->kind, place->name);
    if (used > 0 && used < REGISTRY_WHY)
        vsnprintf(place->why + used, REGISTRY_WHY - (size_t)used, format, arguments);
    va_end(arguments);
    return false;
}

static bool registry_no_memory(const struct place *place)
{
    return registry_fault(place, "no memory");
}

/* Checks a shape that is only ever encoded. */
static bool registry_check_output(const struct place *place, const rpc_shape *shape, const char *role)
{
    char why[FIELDS_WHY];
    struct fields fields;
    if (shape && shape->form == RPC_FORM_BYTES)
        return registry_fault(place, "its %s cannot be raw bytes", role);
    const rpc_status status = fields_init(&fields, shape, why);
    fields_fini(&fields);
    if (status == RPC_INVALID_PARAMS)
        return registry_fault(place, "its %s: %s", role, why);
    return status == RPC_OK || registry_no_memory(place);
}

static bool registry_check_name(const struct place *place)
{
    return topic_is_name(place->name) ||
           registry_fault(
               place,
               "a name has levels of [A-Za-z0-9_.-]+, none of them \"response\" or \"request\", and at "
               "most %d bytes",
               TOPIC_NAME_MAX);
}

static bool registry_check_method_name(const struct place *place)
{
    if (!strpbrk(place->name, "{}"))
        return registry_check_name(place);
    return topic_is_family(place->name) ||
           registry_fault(
               place,
               "a name has levels of [A-Za-z0-9_.-]+, none of them \"response\" or \"request\", and at most "
               "%d of {[A-Za-z0-9_]+}, each a different one, and at most %d bytes",
               TOPIC_WILD_MAX, TOPIC_NAME_MAX);
}

/* ---- Errors ---- */

static bool registry_check_error_members(const struct place *place, const rpc_error *error)
{
    static const char *const taken[] = {"method", "err", "msg"};
    if (error->data->form != RPC_FORM_OBJECT)
        return registry_fault(place, "the data of error %s is no object", error->code);
    for (size_t i = 0; i < error->data->count; i++) {
        for (size_t j = 0; j < sizeof taken / sizeof taken[0]; j++) {
            if (strcmp(fields_name(&error->data->fields[i]), taken[j]) == 0)
                return registry_fault(place, "the data of error %s redefines the member %s", error->code,
                                      taken[j]);
        }
    }
    return true;
}

static bool registry_check_error(const struct place *place, const rpc_error *error)
{
    const char *code = error->code;
    const size_t length = strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789_");
    if (!length || code[length] || length > ERROR_CODE_MAX || strcmp(code, "ok") == 0 ||
        strcmp(code, "raised") == 0 || status_find(code) != RPC_RAISED)
        return registry_fault(place, "%s is no code for an error of its own", error->code);
    if (!error->data)
        return true;
    return registry_check_output(place, error->data, "error data") &&
           registry_check_error_members(place, error);
}

static bool registry_check_errors(const struct place *place, const rpc_method *method)
{
    for (const rpc_error *error = method->errors; error && error->code; error++) {
        if (!registry_check_error(place, error))
            return false;
        if (registry_find_error(method, error->code) != error)
            return registry_fault(place, "the error %s is declared twice", error->code);
    }
    return true;
}

const rpc_error *registry_find_error(const rpc_method *method, const char *code)
{
    for (const rpc_error *error = method->errors; error && error->code; error++) {
        if (strcmp(error->code, code) == 0)
            return error;
    }
    return NULL;
}

/* ---- Events ---- */

static void registry_free_event(struct registry_event *event)
{
    free(event->topic);
    free(event);
}

static bool registry_add_event(struct registry *registry, rpc_instance *instance, const char *prefix,
                               const rpc_event *declared, char *why)
{
    const struct place place = {instance->module->name, "event", declared->name, why};
    if (!registry_check_name(&place) || !registry_check_output(&place, declared->data, "data"))
        return false;
    if (strcmp(declared->name, TOPIC_ERROR_EVENT) == 0)
        return registry_fault(&place, "the name belongs to the engine");
    if (registry_find_event(registry, declared->name))
        return registry_fault(&place, "declared twice");

    struct registry_event *event = calloc(1, sizeof *event);
    if (!event)
        return registry_no_memory(&place);
    event->declared = declared;
    event->instance = instance;
    event->topic = topic_of_event(prefix, declared->name);
    if (event->topic)
        HASH_ADD_KEYPTR(hh, registry->events, declared->name, strlen(declared->name), event);
    if (event->hh.tbl)
        return true;
    registry_free_event(event);
    return registry_no_memory(&place);
}

const struct registry_event *registry_find_event(const struct registry *registry, const char *name)
{
    struct registry_event *event;
    HASH_FIND_STR(registry->events, name, event);
    return event;
}

/* ---- Methods ---- */

static void registry_free_method(struct registry_method *method)
{
    fields_fini(&method->params);
    free(method);
}

/* Finds the event that a method names; NULL is none. */
static bool registry_resolve_event(const struct registry *registry, const struct place *place,
                                   const rpc_instance *instance, const char *name,
                                   const struct registry_event **out)
{
    *out = name ? registry_find_event(registry, name) : NULL;
    if (!name || (*out && (*out)->instance == instance))
        return true;
    return registry_fault(place, "it announces %s, which the module does not declare", name);
}

static bool registry_fill_method(const struct registry *registry, const struct place *place,
                                 struct registry_method *method)
{
    const rpc_method *declared = method->declared;
    char why[FIELDS_WHY];
    const rpc_status status = fields_init(&method->params, declared->params, why);
    if (status == RPC_INVALID_PARAMS)
        return registry_fault(place, "its parameters: %s", why);
    if (status != RPC_OK)
        return registry_no_memory(place);
    return registry_resolve_event(registry, place, method->instance, declared->event, &method->event) &&
           registry_resolve_event(registry, place, method->instance, declared->error_event,
                                  &method->error_event);
}

/* Two families must not match the same name: which of them is called would be chance. */
static bool registry_check_ambiguity(const struct registry *registry, const struct place *place)
{
    for (const struct registry_method *other = registry->methods; other; other = other->hh.next) {
        if (other->is_family && topic_patterns_meet(place->name, other->declared->name))
            return registry_fault(place, "a call could also be one of %s, of module %s",
                                  other->declared->name, other->instance->module->name);
    }
    return true;
}

static struct registry_method *registry_find_head(const struct registry *registry, const char *head,
                                                  size_t length)
{
    struct registry_method *method;
    HASH_FIND(head_hh, registry->families, head, length, method);
    return method;
}

static bool registry_insert_family(struct registry *registry, struct registry_method *method)
{
    const char *name = method->declared->name;
    const size_t head = (size_t)(topic_find_wild(name) - name);
    struct registry_method *first = registry_find_head(registry, name, head);
    if (first) {
        method->same_head = first->same_head;
        first->same_head = method;
        return true;
    }
    HASH_ADD_KEYPTR(head_hh, registry->families, name, head, method);
    return method->head_hh.tbl != NULL;
}

/* A method that could not be inserted as a family is still one of the methods, and freed with them. */
static bool registry_insert_method(struct registry *registry, struct registry_method *method)
{
    const char *name = method->declared->name;
    HASH_ADD_KEYPTR(hh, registry->methods, name, strlen(name), method);
    if (!method->hh.tbl)
        registry_free_method(method);
    else if (!method->is_family || registry_insert_family(registry, method))
        return true;
    return false;
}

static struct registry_method *registry_find_exactly(const struct registry *registry, const char *name)
{
    struct registry_method *method;
    HASH_FIND_STR(registry->methods, name, method);
    return method;
}

static bool registry_add_method(struct registry *registry, rpc_instance *instance, const rpc_method *declared,
                                char *why)
{
    const struct place place = {instance->module->name, "method", declared->name, why};
    if (!registry_check_method_name(&place) || !registry_check_output(&place, declared->result, "result") ||
        !registry_check_errors(&place, declared))
        return false;
    if (!declared->run)
        return registry_fault(&place, "it has no handler");
    if (declared->work && !declared->done)
        return registry_fault(&place, "it has work, but no done to end it");
    struct registry_method *method = registry_find_exactly(registry, declared->name);
    const bool is_family = topic_find_wild(declared->name);
    if (method)
        return registry_fault(&place, "declared twice");
    if (is_family && !registry_check_ambiguity(registry, &place))
        return false;

    method = calloc(1, sizeof *method);
    if (!method)
        return registry_no_memory(&place);
    method->declared = declared;
    method->instance = instance;
    method->is_family = is_family;
    if (!registry_fill_method(registry, &place, method)) {
        registry_free_method(method);
        return false;
    }
    return registry_insert_method(registry, method) || registry_no_memory(&place);
}

/* Each head that the name can have is looked up: of a/b/c the empty one, "a/" and "a/b/". */
static struct registry_method *registry_find_family(const struct registry *registry, const char *name)
{
    for (const char *end = name; end - name <= TOPIC_NAME_MAX; end++) {
        struct registry_method *method = registry_find_head(registry, name, (size_t)(end - name));
        for (; method; method = method->same_head) {
            if (topic_matches(method->declared->name, name))
                return method;
        }
        end = strchr(end, '/');
        if (!end)
            break;
    }
    return NULL;
}

struct registry_method *registry_find_method(const struct registry *registry, const char *name)
{
    struct registry_method *method = registry_find_exactly(registry, name);
    return method || !registry->families ? method : registry_find_family(registry, name);
}

/* A family's name is followed by itself once more, with a NUL in place of each '/'. */
const char *registry_call_name(const struct registry_method *method, const char *name, struct arena *arena)
{
    if (!method->is_family)
        return method->declared->name;
    const size_t size = strlen(name) + 1;
    char *copy = arena_alloc(arena, 2 * size);
    if (!copy)
        return NULL;
    memcpy(copy, name, size);
    memcpy(copy + size, name, size);
    for (char *slash = copy + size; (slash = strchr(slash, '/')); slash++)
        *slash = '\0';
    return copy;
}

const char *registry_call_level(const struct registry_method *method, const char *call_name,
                                const char *level)
{
    const char *value = call_name + strlen(call_name) + 1;
    const char *rest = method->is_family ? method->declared->name : NULL;
    const size_t length = strlen(level);
    for (; rest; value += strlen(value) + 1) {
        if (*rest == '{' && strcspn(rest + 1, "}") == length && memcmp(rest + 1, level, length) == 0)
            return value;
        rest = strchr(rest, '/');
        rest = rest ? rest + 1 : NULL;
    }
    return NULL;
}

/* ---- Inboxes ---- */

static bool registry_check_inbox(const rpc_module *module, const rpc_inbox *inbox, char *why)
{
    const struct place place = {module->name, "inbox", inbox->topic, why};
    if (!topic_is_inbox(inbox->topic))
        return registry_fault(
            &place,
            "an inbox's topic has levels of [A-Za-z0-9_.-]+ and at most %d levels of +, and at most "
            "%d bytes",
            TOPIC_WILD_MAX, TOPIC_NAME_MAX);
    if (!inbox->receive)
        return registry_fault(&place, "it has no receive function");
    if (inbox->sender_level > topic_count_wild(inbox->topic))
        return registry_fault(&place, "its sender_level is %u, but it has not so many levels of +",
                              inbox->sender_level);
    for (const rpc_inbox *other = module->inboxes; other != inbox; other++) {
        if (topic_patterns_meet(other->topic, inbox->topic))
            return registry_fault(&place, "a message could also be one of %s", other->topic);
    }
    return true;
}

/* Checks the module's inboxes and gives the instance their usual root. */
static bool registry_add_inboxes(rpc_instance *instance, const char *prefix, char *why)
{
    const rpc_module *module = instance->module;
    const char *level = module->inbox_root;
    const struct place place = {module->name, "inbox root", level ? level : "NULL", why};
    if (!module->inboxes)
        return true;
    if (!level || !topic_is_name(level) || strchr(level, '/'))
        return registry_fault(&place,
                              "a module with inboxes has a root, which is one level of [A-Za-z0-9_.-]+");
    for (const rpc_inbox *inbox = module->inboxes; inbox->topic; inbox++) {
        if (!registry_check_inbox(module, inbox, why))
            return false;
    }
    instance->inbox_root = topic_of_root(prefix, level);
    return instance->inbox_root || registry_no_memory(&place);
}

/* ---- Instances ---- */

static rpc_instance *registry_add_instance(struct registry *registry, const rpc_module *module)
{
    rpc_instance *instance = calloc(1, sizeof *instance);
    if (!instance)
        return NULL;
    instance->state = module->state_size ? calloc(1, module->state_size) : NULL;
    if (module->state_size && !instance->state) {
        free(instance);
        return NULL;
    }
    instance->engine = registry->engine;
    instance->env = registry->env;
    instance->timers = registry->timers;
    instance->module = module;
    instance->next = registry->instances;
    registry->instances = instance;
    if (module->presence) {
        instance->next_watcher = registry->watchers;
        registry->watchers = instance;
    }
    if (module->observe) {
        instance->next_observer = registry->observers;
        registry->observers = instance;
    }
    return instance;
}

static bool registry_add_tables(struct registry *registry, rpc_instance *instance, const char *prefix,
                                char *why)
{
    const rpc_module *module = instance->module;
    for (const rpc_event *event = module->events; event && event->name; event++) {
        if (!registry_add_event(registry, instance, prefix, event, why))
            return false;
    }
    for (const rpc_method *method = module->methods; method && method->name; method++) {
        if (!registry_add_method(registry, instance, method, why))
            return false;
    }
    return registry_add_inboxes(instance, prefix, why);
}

bool registry_add(struct registry *registry, const char *prefix, const rpc_module *module,
                  const void *options, char why[REGISTRY_WHY])
{
    const struct place place = {module->name, "prefix", prefix, why};
    const char *name = module->name;
    if (*name < 'a' || *name > 'z' || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789")])
        return registry_fault(&place, "a module's name is [a-z][a-z0-9]*");
    rpc_instance *instance = registry_add_instance(registry, module);
    if (!instance)
        return registry_no_memory(&place);
    if (!registry_add_tables(registry, instance, prefix, why))
        return false;
    instance->started = true;
    if (module->init && module->init(instance, instance->state, options) != RPC_OK)
        return registry_fault(&place, "it could not be started");
    instance->ready = true;
    if (!instance->inbox_root)
        return true;
    instance->next_inboxes = registry->inboxes;
    registry->inboxes = instance;
    return true;
}

static void registry_free_instance(rpc_instance *instance)
{
    if (instance->abandoned)
        return;
    if (instance->started && instance->module->fini)
        instance->module->fini(instance->state);
    free(instance->inbox_root);
    free(instance->state);
    free(instance);
}

void registry_fini(struct registry *registry)
{
    registry->inboxes = NULL;
    HASH_CLEAR(head_hh, registry->families);
    while (registry->instances) {
        rpc_instance *instance = registry->instances;
        registry->instances = instance->next;
        registry_free_instance(instance);
    }
    struct registry_method *method, *next_method;
    HASH_ITER(hh, registry->methods, method, next_method)
    {
        HASH_DEL(registry->methods, method);
        registry_free_method(method);
    }
    struct registry_event *event, *next_event;
    HASH_ITER(hh, registry->events, event, next_event)
    {
        HASH_DEL(registry->events, event);
        registry_free_event(event);
    }
}

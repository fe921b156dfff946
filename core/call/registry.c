// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Modules, methods, events, commands and inboxes: see registry.h. Everything that can be checked is checked
 * here, so that a wrong table stops the start of the broker and is not found by the first call.
 */
/* Names of methods and events are short, and are not chosen by those who call: uthash's cheapest hash does.
 */
#define HASH_FUNCTION(key, length, hash) HASH_FNV(key, length, hash)

#include "call/registry.h"

#include "base/status.h"
#include "base/text.h"
#include "call/topic.h"
#include "shape/fields_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { ERROR_CODE_MAX = 64 };

static const rpc_field registry_any_fields[] = {
    RPC_JSON(struct registry_any, value, .doc = "any JSON value")};

const rpc_shape registry_any_shape = RPC_VALUE_SHAPE(struct registry_any, registry_any_fields);

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
    return status == RPC_OK || registry_fault(place, "no memory");
}

/*
 * Checks that a table was made by RPC_TABLE() and that each row has a name, which is the first member of
 * every row. what says whose names they are; member is how modules write that.
 */
static bool registry_check_rows(const struct place *place, const char *what, const char *member,
                                unsigned count, const void *rows, size_t size)
{
    if (!rows != !count)
        return registry_fault(
            place, "its table of %s is to be passed with RPC_TABLE(), which counts the rows", what);
    for (unsigned i = 0; i < count; i++) {
        const void *row = (const char *)rows + i * size;
        if (!*(const char *const *)row)
            return registry_fault(place,
                                  "row %u of %u of its table of %s has no .%s; RPC_TABLE() counts the rows, "
                                  "and no empty one ends them",
                                  i + 1, count, what, member);
    }
    return true;
}

#define REGISTRY_CHECK_ROWS(place, what, member, table) \
    registry_check_rows(place, what, member, (table).count, (table).rows, sizeof *(table).rows)

static bool registry_check_name(const struct place *place)
{
    return topic_is_name(place->name) ||
           registry_fault(place,
                          "a name has levels of [A-Za-z0-9_.-]+, none of them \"response\" or \"request\", "
                          "and at most %d bytes",
                          TOPIC_NAME_MAX);
}

/* ---- Errors ---- */

static bool registry_check_error(const struct place *place, const rpc_error *error)
{
    const char *code = error->code;
    const size_t length = strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789_");
    if (!length || code[length] || length > ERROR_CODE_MAX || text_has_word("ok raised progress", code))
        return registry_fault(place, "%s is no code for an error of its own", code);
    const bool is_engines = status_find(code) != RPC_RAISED;
    if (is_engines && !error->data)
        return registry_fault(place,
                              "%s is an error of the engine's own, which a method declares only to add "
                              "members to it: it needs .data",
                              code);
    if (error->data && !registry_check_output(place, error->data, "error data"))
        return false;
    if (error->data && error->data->form != RPC_FORM_OBJECT)
        return registry_fault(place, "the data of error %s is no object", code);
    for (size_t i = 0; error->data && i < error->data->count; i++) {
        const char *name = fields_name(&error->data->fields[i]);
        if (strcmp(name, "method") == 0 || strcmp(name, "err") == 0 || strcmp(name, "msg") == 0 ||
            (is_engines && strcmp(name, "client") == 0))
            return registry_fault(place, "the data of error %s redefines the member %s", code, name);
    }
    return true;
}

static bool registry_check_errors(const struct place *place, unsigned count, const rpc_error *errors)
{
    if (!registry_check_rows(place, "errors", "code", count, errors, sizeof *errors))
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (!registry_check_error(place, &errors[i]))
            return false;
        for (unsigned earlier = 0; earlier < i; earlier++) {
            if (strcmp(errors[earlier].code, errors[i].code) == 0)
                return registry_fault(place, "the error %s is declared twice", errors[i].code);
        }
    }
    return true;
}

const rpc_error *registry_find_error(const rpc_method *method, const char *code)
{
    for (const rpc_error *error = method->errors.rows; RPC_HAS_ROW(method->errors, error); error++) {
        if (strcmp(error->code, code) == 0)
            return error;
    }
    return NULL;
}

/* ---- Placement ---- */

const char *const registry_placements[] = {
    [RPC_PLACEMENT_LOCAL] = "local", [RPC_PLACEMENT_SPILL] = "spill", [RPC_PLACEMENT_REMOTE] = "remote"};

int registry_find_placement(const char *name, size_t length)
{
    int placement = RPC_PLACEMENT_REMOTE;
    while (placement >= 0 && (strncmp(registry_placements[placement], name, length) != 0 ||
                              registry_placements[placement][length]))
        placement--;
    return placement;
}

rpc_placement registry_placement_of(const char *placements, const rpc_method *declared)
{
    const size_t length = strlen(declared->name);
    for (const char *rest = placements; rest && *rest; rest += *rest == ' ') {
        const size_t size = strcspn(rest, " ");
        const char *placement = rest + size + 1;
        const size_t placement_size = strcspn(placement, " ");
        if (size == length && memcmp(rest, declared->name, length) == 0)
            return (rpc_placement)registry_find_placement(placement, placement_size);
        rest = placement + placement_size;
    }
    return declared->placement;
}

static bool registry_awaits_devices(const rpc_module *module)
{
    const rpc_method *method = module->methods.rows;
    while (RPC_HAS_ROW(module->methods, method) && !method->awaits_device)
        method++;
    return RPC_HAS_ROW(module->methods, method);
}

const char *registry_check_placement(const rpc_module *module, const rpc_method *method,
                                     rpc_placement placement)
{
    if (placement == RPC_PLACEMENT_LOCAL)
        return NULL;
    if (text_has_word(RPC_BUILT_IN_MODULES, module->name))
        return "the method tells of the plugin itself, so that it runs there";
    if (method->must_finish || method->decides_timeout || method->awaits_device)
        return "the method has .must_finish, .decides_timeout or .awaits_device, which hold in the plugin "
               "alone";
    if (registry_awaits_devices(module))
        return "the method's module commands devices, which the plugin alone can reach, so that it runs "
               "there";
    if (placement == RPC_PLACEMENT_SPILL && !method->work)
        return "only a method with .work can wait for a thread of the plugin, and spill";
    return NULL;
}

bool registry_may_move(const struct registry_method *method)
{
    return method->placement != RPC_PLACEMENT_LOCAL ||
           !registry_check_placement(method->instance->module, method->declared, RPC_PLACEMENT_REMOTE);
}

/* ---- Events ---- */

const struct registry_event *registry_find_overlap(const struct registry *registry, const rpc_event *declared)
{
    const char *last = strrchr(declared->name, '/');
    const struct registry_event *outer = NULL;
    if (last)
        HASH_FIND(hh, registry->events, declared->name, (size_t)(last - declared->name), outer);
    if (outer && outer->declared->key)
        return outer;
    for (const struct registry_event *event = declared->key ? registry->events : NULL; event;
         event = event->hh.next) {
        const char *below = topic_below(declared->name, event->declared->name);
        if (below && !strchr(below, '/'))
            return event;
    }
    return NULL;
}

/* Checks that the values of keyed events, which are levels behind their names, are no events. */
static bool registry_check_values(const struct registry *registry, const struct place *place,
                                  const rpc_event *declared)
{
    const struct registry_event *other = registry_find_overlap(registry, declared);
    if (!other)
        return true;
    if (topic_below(declared->name, other->declared->name))
        return registry_fault(place, "it is keyed, and the event %s of module %s lies where its values lie",
                              other->declared->name, other->instance->module->name);
    return registry_fault(place, "it lies where values of the keyed event %s of module %s lie",
                          other->declared->name, other->instance->module->name);
}

bool registry_link_event(struct registry *registry, struct registry_event *event)
{
    const char *name = event->declared->name;
    HASH_ADD_KEYPTR(hh, registry->events, name, strlen(name), event);
    return event->hh.tbl;
}

void registry_unlink_event(struct registry *registry, struct registry_event *event)
{
    HASH_DEL(registry->events, event);
}

static void registry_free_event(struct registry_event *event)
{
    fields_fini(&event->data);
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
    if (!registry_check_values(registry, &place, declared))
        return false;

    struct registry_event *event = calloc(1, sizeof *event);
    if (!event)
        return registry_fault(&place, "no memory");
    char fault[FIELDS_WHY];
    event->declared = declared;
    event->instance = instance;
    event->topic = topic_of_event(prefix, declared->name);
    if (event->topic && fields_init(&event->data, declared->data, fault) == RPC_OK &&
        registry_link_event(registry, event))
        return true; // cppcheck-suppress memleak ; the table has it
    registry_free_event(event);
    return registry_fault(&place, "no memory");
}

struct registry_method *registry_find_exactly(const struct registry *registry, const char *name,
                                              size_t length)
{
    struct registry_method *method;
    HASH_FIND(hh, registry->methods, name, length, method);
    return method;
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
    statistics_fini(&method->statistics);
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

const struct registry_method *registry_find_meeting(const struct registry *registry, const char *name)
{
    const struct registry_method *other = registry->families;
    while (other && !topic_patterns_meet(name, other->declared->name))
        other = other->next_family;
    return other;
}

/* Two families must not match the same name: which of them is called would be chance. */
static bool registry_check_family(const struct registry *registry, const struct place *place)
{
    if (!topic_is_family(place->name))
        return registry_fault(
            place,
            "a name has levels of [A-Za-z0-9_.-]+, none of them \"response\" or \"request\", and at most "
            "%d of {[A-Za-z0-9_]+}, each a different one, and at most %d bytes",
            TOPIC_WILD_MAX, TOPIC_NAME_MAX);
    const struct registry_method *other = registry_find_meeting(registry, place->name);
    return !other || registry_fault(place, "a call could also be one of %s, of module %s",
                                    other->declared->name, other->instance->module->name);
}

/* What is wrong with the functions of a method, or with what belongs to some of them only; NULL: nothing. */
static const char *registry_find_fault(const rpc_method *method)
{
    const bool is_pending = method->work || method->defers;
    if (!method->run)
        return "it has no .run, which handles its calls";
    if (is_pending && !method->done)
        return "it has .work or .defers: it also needs .done, which ends its pending calls";
    if (method->done && !is_pending)
        return "it has .done: it also needs .work, which rpc_start() begins, or .defers = true, if it calls "
               "rpc_defer()";
    if (!method->done && (method->timeout || method->max_pending || method->must_finish || method->progress))
        return "it has .timeout, .max_pending, .must_finish or .progress, which are for pending calls: it "
               "also needs .done, and .work or .defers";
    if (!method->work && method->priority != RPC_PRIORITY_NORMAL)
        return "it has .priority, which is that of its work: it also needs .work";
    if (method->awaits_device && !method->defers)
        return "it has .awaits_device, which is for deferred calls: it also needs .defers = true";
    if (method->decides_timeout && !method->defers)
        return "it has .decides_timeout, which is for deferred calls: it also needs .defers = true";
    if (method->read_only && method->must_finish)
        return "it is .read_only, so that nobody depends on its effect, and .must_finish: it needs one of "
               "them";
    if ((int)method->priority < 0 || method->priority > RPC_PRIORITY_LOW)
        return "its .priority is no rpc_priority";
    if (method->timeout > ENV_TIMEOUT_MAX)
        return "its .timeout, in milliseconds, is longer than 24 hours";
    if (method->max_pending > ENV_PENDING_MAX)
        return "its .max_pending is larger than the option max_pending can be, 100000";
    if ((int)method->announce < 0 || method->announce > RPC_ANNOUNCE_UNANSWERED)
        return "its .announce is no rpc_announcement";
    if (method->announce != RPC_ANNOUNCE_ALWAYS && !method->event)
        return "it has .announce, which is for a result event: it also needs .event";
    if ((int)method->placement < 0 || method->placement > RPC_PLACEMENT_REMOTE)
        return "its .placement is no rpc_placement";
    return NULL;
}

/* Checks where a method's calls are carried out, and its lane. */
static bool registry_check_place(const struct place *place, const rpc_module *module,
                                 const rpc_method *declared)
{
    const char *fault = registry_check_placement(module, declared, declared->placement);
    const rpc_field *lane = declared->lane ? fields_find(declared->params, declared->lane) : NULL;
    if (fault)
        return registry_fault(place, "its .placement is no good: %s", fault);
    if (declared->lane && !lane)
        return registry_fault(place, "its .lane is %.64s, but its parameters have no such member",
                              declared->lane);
    return !lane || fields_can_be_key(lane) ||
           registry_fault(place,
                          "its .lane is %.64s, but that is no string, choice or integer that is always there",
                          declared->lane);
}

/* Checks a method's row, without what it refers to. */
static bool registry_check_method(const struct registry *registry, const struct place *place,
                                  const rpc_module *module, const rpc_method *declared)
{
    if ((!strpbrk(declared->name, "{}") && !registry_check_name(place)) ||
        !registry_check_output(place, declared->result, "result") ||
        !registry_check_output(place, declared->progress, "progress") ||
        !registry_check_errors(place, declared->errors.count, declared->errors.rows))
        return false;
    const char *fault = registry_find_fault(declared);
    if (fault)
        return registry_fault(place, "%s", fault);
    if (!registry_check_place(place, module, declared))
        return false;
    if (registry_find_exactly(registry, declared->name, strlen(declared->name)))
        return registry_fault(place, "declared twice");
    return !strpbrk(declared->name, "{}") || registry_check_family(registry, place);
}

bool registry_link_method(struct registry *registry, struct registry_method *method)
{
    const char *name = method->declared->name;
    HASH_ADD_KEYPTR(hh, registry->methods, name, strlen(name), method);
    if (method->hh.tbl && method->is_family)
        LL_PREPEND2(registry->families, method, next_family);
    return method->hh.tbl;
}

void registry_unlink_method(struct registry *registry, struct registry_method *method)
{
    HASH_DEL(registry->methods, method);
    if (method->is_family)
        LL_DELETE2(registry->families, method, next_family);
    if (registry->last == method)
        registry->last = NULL;
}

/* Prepares what the row refers to, and enters the method by its name. */
static bool registry_fill_method(struct registry *registry, const struct place *place,
                                 struct registry_method *method)
{
    const rpc_method *declared = method->declared;
    char why[FIELDS_WHY];
    const rpc_status status = fields_init(&method->params, declared->params, why);
    if (status == RPC_INVALID_PARAMS)
        return registry_fault(place, "its parameters: %s", why);
    if (status != RPC_OK)
        return registry_fault(place, "no memory");
    method->run = declared->run;
    method->may_run_twice = declared->read_only;
    method->placement = (unsigned char)declared->placement;
    method->may_pend = method->params.copies = declared->done != NULL;
    if (declared->strict || registry->strict)
        fields_set_strict(&method->params);
    if (!registry_resolve_event(registry, place, method->instance, declared->event, &method->event) ||
        !registry_resolve_event(registry, place, method->instance, declared->error_event,
                                &method->error_event))
        return false;
    return registry_link_method(registry, method) || registry_fault(place, "no memory");
}

static bool registry_add_method(struct registry *registry, rpc_instance *instance, const rpc_method *declared,
                                char *why)
{
    const struct place place = {instance->module->name, "method", declared->name, why};
    if (!registry_check_method(registry, &place, instance->module, declared))
        return false;
    struct registry_method *method = calloc(1, sizeof *method);
    if (!method)
        return registry_fault(&place, "no memory");
    if (!statistics_init(&method->statistics, declared->errors.count)) {
        free(method);
        return registry_fault(&place, "no memory");
    }
    method->declared = declared;
    method->instance = instance;
    method->is_family = strchr(declared->name, '{');
    if (!registry_fill_method(registry, &place, method)) {
        registry_free_method(method);
        return false;
    }
    return true;
}

struct registry_method *registry_find_method(struct registry *registry, const char *name)
{
    struct registry_method *method = registry->last;
    if (method && strcmp(method->declared->name, name) == 0)
        return method;
    method = registry_find_exactly(registry, name, strlen(name));
    if (method)
        return registry->last = method;
    method = registry->families;
    while (method && !topic_matches(method->declared->name, name))
        method = method->next_family;
    return method;
}

const char *registry_find_near(const struct registry *registry, const char *name, bool at_endpoint)
{
    enum { LOOKED_AT_MAX = 256 };
    struct text_near near = text_near_to(name);
    int count = 0;
    for (const struct registry_method *method = registry->methods; method && count < LOOKED_AT_MAX;
         method = method->hh.next, count++) {
        if (!method->is_family && !method->off && (method->at_endpoint || !at_endpoint))
            text_near_try(&near, method->declared->name);
    }
    return near.best;
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

static bool registry_is_published(const rpc_module *module, const rpc_event *event)
{
    for (const rpc_method *method = module->methods.rows; RPC_HAS_ROW(module->methods, method); method++) {
        if (text_is(method->event, event->name) || text_is(method->error_event, event->name))
            return true;
    }
    return event->data;
}

/* Checks that what an event carries has the event's key. what and whose say what it is. */
static bool registry_check_key(const struct place *place, const char *key, const rpc_shape *shape,
                               const char *what, const char *whose)
{
    const rpc_field *field = fields_find(shape, key);
    if (!field)
        return registry_fault(place, "its .key is %.64s, but %s%s has no such member", key, what, whose);
    return fields_can_be_key(field) ||
           registry_fault(
               place,
               "its .key is %.64s, but in %s%s that is no string, choice or integer that is always "
               "there",
               key, what, whose);
}

/* Checks that all that a keyed event carries has its key. */
static bool registry_check_keys(const rpc_module *module, const rpc_event *event, const struct place *place)
{
    if (event->data && !registry_check_key(place, event->key, event->data, "its data", ""))
        return false;
    for (const rpc_method *method = module->methods.rows; RPC_HAS_ROW(module->methods, method); method++) {
        if (text_is(method->event, event->name) &&
            !registry_check_key(place, event->key, method->result, "the result of ", method->name))
            return false;
        if (!text_is(method->error_event, event->name))
            continue;
        if (!method->errors.count)
            return registry_fault(place, "it has a .key, but %s declares no errors, which would have it",
                                  method->name);
        for (const rpc_error *error = method->errors.rows; RPC_HAS_ROW(method->errors, error); error++) {
            if (!registry_check_key(place, event->key, error->data, "the data of error ", error->code))
                return false;
        }
    }
    return true;
}

/* Checks that each event can be published. */
static bool registry_check_events(const rpc_module *module, char *why)
{
    for (const rpc_event *event = module->events.rows; RPC_HAS_ROW(module->events, event); event++) {
        const struct place place = {module->name, "event", event->name, why};
        if (!registry_is_published(module, event))
            return registry_fault(&place,
                                  "nothing publishes it: it needs .data, for rpc_announce(), or a method "
                                  "with it as .event or .error_event");
        if (event->key && !registry_check_keys(module, event, &place))
            return false;
    }
    return true;
}

/* ---- Commands ---- */

static void registry_free_command(struct registry_command *command)
{
    for (int part = 0; part <= RPC_COMMAND_PROGRESS; part++)
        fields_fini(&command->parts[part]);
    free(command);
}

struct registry_command *registry_find_first(const struct registry *registry, const char *name)
{
    struct registry_command *command;
    HASH_FIND_STR(registry->commands, name, command);
    return command;
}

const struct registry_command *registry_find_command(const struct registry *registry, const char *kind,
                                                     const char *name)
{
    const struct registry_command *command = registry_find_first(registry, name);
    if (!kind)
        return command && !command->next ? command : NULL;
    while (command && strcmp(command->instance->module->name, kind) != 0)
        command = command->next;
    return command;
}

const struct registry_command *registry_find_declared(const struct registry *registry,
                                                      const rpc_command *declared)
{
    const struct registry_command *command = registry_find_first(registry, declared->name);
    while (command && command->declared != declared)
        command = command->next;
    return command;
}

/* Checks a command's row, without its shapes. */
static bool registry_check_command(const struct registry *registry, const struct place *place,
                                   const rpc_command *declared)
{
    if (!topic_is_name(declared->name) || strchr(declared->name, '/'))
        return registry_fault(place,
                              "a command's name is one level of [A-Za-z0-9_.-]+, not \"response\" or "
                              "\"request\", and at most %d bytes",
                              TOPIC_NAME_MAX);
    if (registry_find_command(registry, place->module, declared->name))
        return registry_fault(place, "declared twice");
    if (declared->timeout > ENV_TIMEOUT_MAX)
        return registry_fault(place, "its .timeout, in milliseconds, is longer than 24 hours");
    return registry_check_errors(place, declared->errors.count, declared->errors.rows);
}

/* Prepares the shapes of a command's parts. */
static bool registry_fill_command(const struct registry *registry, const struct place *place,
                                  struct registry_command *command)
{
    static const char *const roles[] = {"parameters", "result", "progress"};
    const rpc_command *declared = command->declared;
    const rpc_shape *const shapes[] = {declared->params, declared->result, declared->progress};
    for (int part = 0; part <= RPC_COMMAND_PROGRESS; part++) {
        char why[FIELDS_WHY];
        if (shapes[part] && shapes[part]->form == RPC_FORM_BYTES)
            return registry_fault(place, "its %s cannot be raw bytes", roles[part]);
        const rpc_status status = fields_init(&command->parts[part], shapes[part], why);
        if (status == RPC_INVALID_PARAMS)
            return registry_fault(place, "its %s: %s", roles[part], why);
        if (status != RPC_OK)
            return registry_fault(place, "no memory");
    }
    if (declared->strict || registry->strict)
        fields_set_strict(&command->parts[RPC_COMMAND_PARAMS]);
    return true;
}

static bool registry_add_command(struct registry *registry, const rpc_instance *instance,
                                 const rpc_command *declared, char *why)
{
    const struct place place = {instance->module->name, "command", declared->name, why};
    if (!registry_check_command(registry, &place, declared))
        return false;
    struct registry_command *command = calloc(1, sizeof *command);
    if (!command)
        return registry_fault(&place, "no memory");
    command->declared = declared;
    command->instance = instance;
    bool is_in = registry_fill_command(registry, &place, command);
    struct registry_command *first = registry_find_first(registry, declared->name);
    if (is_in && first) {
        LL_APPEND(first, command);
    } else if (is_in) {
        HASH_ADD_KEYPTR(hh, registry->commands, declared->name, strlen(declared->name), command);
        is_in = command->hh.tbl || registry_fault(&place, "no memory");
    }
    if (!is_in)
        registry_free_command(command);
    return is_in;
}

static void registry_free_commands(struct registry *registry)
{
    struct registry_command *first, *next_first, *command, *next;
    HASH_ITER(hh, registry->commands, first, next_first)
    {
        HASH_DEL(registry->commands, first);
        LL_FOREACH_SAFE(first, command, next)
        {
            registry_free_command(command);
        }
    }
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
    if (inbox->shape && inbox->shape->form != RPC_FORM_OBJECT)
        return registry_fault(&place, "its .shape is not of RPC_FORM_OBJECT");
    for (const rpc_inbox *other = module->inboxes.rows; other != inbox; other++) {
        if (topic_patterns_meet(other->topic, inbox->topic))
            return registry_fault(&place, "a message could also be one of %s", other->topic);
    }
    return true;
}

/* Prepares the shape of an inbox's payload. */
static bool registry_fill_inbox(const rpc_module *module, const rpc_inbox *inbox, struct fields *payload,
                                char *why)
{
    const struct place place = {module->name, "inbox", inbox->topic, why};
    char fault[FIELDS_WHY];
    const rpc_status status = fields_init(payload, inbox->shape, fault);
    if (status == RPC_INVALID_PARAMS)
        return registry_fault(&place, "its shape: %s", fault);
    return status == RPC_OK || registry_fault(&place, "no memory");
}

/* Checks the module's inboxes, prepares their shapes and gives the instance their usual root. */
static bool registry_add_inboxes(rpc_instance *instance, const char *prefix, char *why)
{
    const rpc_module *module = instance->module;
    const char *level = module->inbox_root;
    const struct place place = {module->name, "inbox root", level ? level : "NULL", why};
    if (!module->inboxes.count)
        return !level || registry_fault(&place, "it also needs .inboxes, which receive the messages");
    if (!level || !topic_is_name(level) || strchr(level, '/'))
        return registry_fault(&place,
                              "a module with inboxes has a root, which is one level of [A-Za-z0-9_.-]+");
    if (module->inbox_option && !fields_find(module->options, module->inbox_option))
        return registry_fault(&place, "its inbox_option, %s, is no field of its .options",
                              module->inbox_option);
    instance->inbox_payloads = calloc(module->inboxes.count, sizeof *instance->inbox_payloads);
    if (!instance->inbox_payloads)
        return registry_fault(&place, "no memory");
    for (unsigned i = 0; i < module->inboxes.count; i++) {
        const rpc_inbox *inbox = &module->inboxes.rows[i];
        if (!registry_check_inbox(module, inbox, why) ||
            !registry_fill_inbox(module, inbox, &instance->inbox_payloads[i], why))
            return false;
    }
    instance->inbox_root = topic_of_root(prefix, level);
    return instance->inbox_root || registry_fault(&place, "no memory");
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
    LL_PREPEND(registry->instances, instance);
    if (module->presence)
        LL_PREPEND2(registry->watchers, instance, next_watcher);
    if (module->observe)
        LL_PREPEND2(registry->observers, instance, next_observer);
    return instance;
}

/* Checks a module's name, and that its tables have no row without one. */
static bool registry_check_module(const struct registry *registry, const struct place *place,
                                  const rpc_module *module)
{
    const char *name = module->name;
    if (*name < 'a' || *name > 'z' || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789")])
        return registry_fault(place, "a module's name is [a-z][a-z0-9]*");
    for (const rpc_instance *other = registry->instances; other; other = other->next) {
        if (strcmp(other->module->name, name) == 0)
            return registry_fault(place, "there are two modules of this name");
    }
    if (module->options && !module->init)
        return registry_fault(place, "it has .options: it also needs .init, which gets them");
    for (size_t i = 0; module->options && i < module->options->count && !module->reload; i++) {
        const rpc_field *option = &module->options->fields[i];
        if (option->reloads)
            return registry_fault(place, "its option %s has .reloads: it also needs .reload, which gets it",
                                  fields_name(option));
    }
    return REGISTRY_CHECK_ROWS(place, "methods", "name", module->methods) &&
           REGISTRY_CHECK_ROWS(place, "events", "name", module->events) &&
           REGISTRY_CHECK_ROWS(place, "commands", "name", module->commands) &&
           REGISTRY_CHECK_ROWS(place, "inboxes", "topic", module->inboxes) &&
           REGISTRY_CHECK_ROWS(place, "gauges", "name", module->gauges);
}

static bool registry_check_gauges(const rpc_module *module, char *why)
{
    for (const rpc_gauge *gauge = module->gauges.rows; RPC_HAS_ROW(module->gauges, gauge); gauge++) {
        const struct place place = {module->name, "gauge", gauge->name, why};
        const char *name = gauge->name;
        if (*name < 'a' || *name > 'z' || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")])
            return registry_fault(&place, "a gauge's name is [a-z][a-z0-9_]*");
        if (!gauge->look)
            return registry_fault(&place, "it has no .look");
        for (const rpc_gauge *other = module->gauges.rows; other != gauge; other++) {
            if (strcmp(other->name, name) == 0)
                return registry_fault(&place, "declared twice");
        }
    }
    return true;
}

rpc_instance *registry_enter(struct registry *registry, const char *prefix, const rpc_module *module,
                             char why[REGISTRY_WHY])
{
    const struct place place = {module->name, "prefix", prefix, why};
    if (!registry_check_module(registry, &place, module) || !registry_check_gauges(module, why))
        return NULL;
    rpc_instance *instance = registry_add_instance(registry, module);
    if (!instance) {
        registry_fault(&place, "no memory");
        return NULL;
    }
    for (const rpc_event *event = module->events.rows; RPC_HAS_ROW(module->events, event); event++) {
        if (!registry_add_event(registry, instance, prefix, event, why))
            return NULL;
    }
    for (const rpc_method *method = module->methods.rows; RPC_HAS_ROW(module->methods, method); method++) {
        if (!registry_add_method(registry, instance, method, why))
            return NULL;
    }
    for (const rpc_command *command = module->commands.rows; RPC_HAS_ROW(module->commands, command);
         command++) {
        if (!registry_add_command(registry, instance, command, why))
            return NULL;
    }
    return registry_check_events(module, why) && registry_add_inboxes(instance, prefix, why) ? instance
                                                                                             : NULL;
}

void rpc_presence_watch(rpc_instance *instance, bool seen)
{
    const struct host *host = &instance->env->host;
    if (!instance->module->presence)
        env_log(instance->env, RPC_LOG_ERROR, "module %s watches for clients, but has no .presence",
                instance->module->name);
    else if (seen != instance->sees_messages)
        host->watch_messages(host->context, instance->sees_messages = seen);
}

bool registry_start(struct registry *registry, const char *prefix, rpc_instance *instance,
                    const void *options, char why[REGISTRY_WHY])
{
    const rpc_module *module = instance->module;
    const struct place place = {module->name, "prefix", prefix, why};
    instance->started = true;
    if (module->presence)
        rpc_presence_watch(instance, true);
    if (module->init && module->init(instance, instance->state, options) != RPC_OK)
        return registry_fault(&place, "it could not be started");
    instance->ready = true;
    if (instance->inbox_root)
        LL_PREPEND2(registry->inboxes, instance, next_inboxes);
    return true;
}

bool registry_add(struct registry *registry, const char *prefix, const rpc_module *module,
                  const void *options, char why[REGISTRY_WHY])
{
    rpc_instance *instance = registry_enter(registry, prefix, module, why);
    return instance && registry_start(registry, prefix, instance, options, why);
}

void registry_fini(struct registry *registry)
{
    rpc_instance *instance, *next_instance;
    registry->inboxes = NULL;
    registry->families = registry->last = NULL;
    LL_FOREACH_SAFE(registry->instances, instance, next_instance)
    {
        if (instance->sees_messages)
            rpc_presence_watch(instance, false);
        if (instance->abandoned)
            continue;
        if (instance->started && instance->module->fini)
            instance->module->fini(instance->state);
        for (unsigned i = 0; instance->inbox_payloads && i < instance->module->inboxes.count; i++)
            fields_fini(&instance->inbox_payloads[i]);
        free(instance->inbox_payloads);
        free(instance->inbox_root);
        free(instance->state);
        free(instance);
    }
    registry->instances = NULL;
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
    registry_free_commands(registry);
}

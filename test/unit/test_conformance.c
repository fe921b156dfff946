// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Calls every method of every module with parameters that its own table allows and forbids, and checks every
 * command of devices, its parameters, its result and its progress, with such values. For each
 * parameter, each member of an object in it and one element of each array: left out, of each wrong JSON type,
 * below and above its range, too short and too long, none of its choices. A new method or command is tested
 * without a change here. A method, command or field without documentation is a fault, too.
 *
 * The walk collects faults instead of failing at the first, so that tests can check that it finds those of a
 * broken module.
 */
#include "rig.h"
#include "unit.h"

#include "shape/fields.h"
#include "base/status.h"
#include "modules.h"
#include "config.h"
#include "shape/fields_check.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
    struct rig rig;
    size_t methods, commands, params, cases;
    size_t faults;
    char first[1024];           /* the first fault, in words */
    const char *name;           /* of the method or the command */
    const rpc_command *command; /* NULL: a method is walked */
    rpc_command_part part;      /* of the command */
};

static void fault(struct walk *walk, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fault(struct walk *walk, const char *format, ...)
{
    va_list arguments;
    if (walk->faults++)
        return;
    va_start(arguments, format);
    vsnprintf(walk->first, sizeof walk->first, format, arguments);
    va_end(arguments);
}

static void expect_doc(struct walk *walk, const char *doc, const char *what, const char *name)
{
    if (!doc || !*doc || strchr(doc, '\n'))
        fault(walk, "%s %s has no line of documentation", what, name);
}

/* ---- Values for a field ---- */

static bool has_range(const rpc_field *field)
{
    return field->range.min < field->range.max;
}

static cJSON *make_text(size_t characters)
{
    char *text = malloc(characters + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', characters);
    text[characters] = '\0';
    cJSON *item = cJSON_CreateString(text);
    free(text);
    return item;
}

/* The smallest allowed number, if there is one. */
static double smallest(const rpc_field *field)
{
    if (!has_range(field))
        return 0;
    return isinf(field->range.min) ? fmin(0, field->range.max) : field->range.min;
}

static cJSON *make_object(const rpc_shape *shape, const rpc_field *skip);

/* A value of the field's kind that fits. */
static cJSON *make_one(const rpc_field *field)
{
    switch (field->kind) {
    case RPC_KIND_BOOL:
        return cJSON_CreateTrue();
    case RPC_KIND_INT32:
    case RPC_KIND_INT64:
    case RPC_KIND_DOUBLE:
        return cJSON_CreateNumber(smallest(field));
    case RPC_KIND_STRING:
        return make_text(field->length.min);
    case RPC_KIND_CHOICE:
        return cJSON_CreateString(field->choices.rows[0]);
    case RPC_KIND_OBJECT:
        return make_object(field->shape, NULL);
    case RPC_KIND_JSON:
        break;
    }
    return cJSON_CreateNumber(0);
}

static cJSON *make_array(const rpc_field *field, size_t count)
{
    cJSON *array = cJSON_CreateArray();
    while (count--)
        cJSON_AddItemToArray(array, make_one(field));
    return array;
}

/* A value that fits. */
static cJSON *make_valid(const rpc_field *field)
{
    return field->counter ? make_array(field, field->items.min) : make_one(field);
}

/* An object of a valid value for each field; without `skip`, NULL: with all. */
static cJSON *make_object(const rpc_shape *shape, const rpc_field *skip)
{
    cJSON *object = cJSON_CreateObject();
    for (size_t i = 0; i < shape->count; i++) {
        const rpc_field *field = &shape->fields[i];
        if (field != skip)
            cJSON_AddItemToObject(object, fields_name(field), make_valid(field));
    }
    return object;
}

/* The part of the parameters that a step of the walk varies: a field, or one element of its array. */
struct part {
    const struct part *outer; /* the object that it lies in; NULL: the parameters themselves */
    const rpc_shape *shape;
    const rpc_field *field;
    bool element; /* the last element of the shortest array that is allowed */
};

static size_t index_of(const rpc_field *field)
{
    return field->items.min ? field->items.min - 1 : 0;
}

/* Valid parameters but for one part, which is `value`; NULL: left out. */
static cJSON *make_call(const struct part *part, cJSON *value)
{
    if (part->element) {
        cJSON *array = make_array(part->field, index_of(part->field));
        cJSON_AddItemToArray(array, value);
        value = array;
    }
    if (part->shape->form == RPC_FORM_VALUE)
        return value;
    cJSON *object = make_object(part->shape, part->field);
    if (value)
        cJSON_AddItemToObject(object, fields_name(part->field), value);
    return part->outer ? make_call(part->outer, object) : object;
}

/* A call with everything. */
static cJSON *make_full_call(const rpc_shape *shape)
{
    return shape->form == RPC_FORM_VALUE ? make_valid(shape->fields) : make_object(shape, NULL);
}

/* ---- Calling ---- */

enum { STATUS_SIZE = 128, TEXT_SIZE = 1024 };

static void call_method(struct walk *walk, const char *payload, char *status, char *text)
{
    char called[256] = "";
    for (const char *at = walk->name; *at && strlen(called) < sizeof called - 1; at++) {
        if (*at != '{' && *at != '}') /* a level in braces is filled in with its own word */
            called[strlen(called)] = *at;
    }
    const struct fake_message *reply = rig_ask(&walk->rig, called, payload);
    cJSON *answer = cJSON_ParseWithLength(reply->payload, reply->size);
    const cJSON *msg = cJSON_GetObjectItemCaseSensitive(answer, "msg");
    snprintf(status, STATUS_SIZE, "%s", reply->status);
    snprintf(text, TEXT_SIZE, "%s", cJSON_IsString(msg) ? msg->valuestring : "");
    cJSON_Delete(answer);
}

/* What was checked fits when it is checked again. */
static void check_command(struct walk *walk, const char *payload, char *status, char *text)
{
    rpc_instance *instance = rig_instance(&walk->rig);
    char why[RPC_WHY_BYTES], *checked, *again;
    const rpc_status first = rpc_command_check(instance, walk->command, walk->part, payload, &checked, why);
    snprintf(status, STATUS_SIZE, "%s", status_name(first));
    snprintf(text, TEXT_SIZE, "%s", why);
    if (!checked)
        return;
    const rpc_status second = rpc_command_check(instance, walk->command, walk->part, checked, &again, why);
    if (second != RPC_OK || strcmp(again, checked) != 0)
        fault(walk, "%s: %s does not stay what it is: %s", walk->name, checked, why);
    free(again);
    free(checked);
}

/* Calls and forgets the tree. Returns the error's code ("ok": none) and, where there is one, its message. */
static const char *call(struct walk *walk, cJSON *tree, const char **message)
{
    static char status[STATUS_SIZE];
    static char text[TEXT_SIZE];
    char *payload = cJSON_PrintUnformatted(tree);
    (walk->command ? check_command : call_method)(walk, payload, status, text);
    *message = text;
    cJSON_free(payload);
    cJSON_Delete(tree);
    walk->cases++;
    return status;
}

/* The path of a part, as error messages print it. */
static char *print_path(const struct part *part, char *out, size_t capacity)
{
    char outer[256] = "";
    char index[32] = "";
    if (part->outer)
        print_path(part->outer, outer, sizeof outer);
    if (part->element)
        snprintf(index, sizeof index, "[%zu]", index_of(part->field));
    snprintf(out, capacity, "%s%s%s%s", outer, *outer ? "." : "", fields_name(part->field), index);
    return out;
}

/* Whether a message begins with the path. */
static bool is_about(const char *message, const char *path)
{
    const size_t length = strlen(path);
    return strncmp(message, path, length) == 0 && strchr(" :", message[length]);
}

static void expect_invalid(struct walk *walk, const struct part *part, cJSON *value, const char *what)
{
    const char *message;
    char path[512];
    const char *status = call(walk, make_call(part, value), &message);
    print_path(part, path, sizeof path);
    if (strcmp(status, "invalid_params") != 0 || !is_about(message, path))
        fault(walk, "%s: %s %s: %s: %s", walk->name, path, what, status, message);
}

static void expect_valid(struct walk *walk, cJSON *tree, const char *what)
{
    const char *message;
    const char *status = call(walk, tree, &message);
    if (strcmp(status, "invalid_params") == 0 || strcmp(status, "parse_error") == 0 ||
        strcmp(status, "method_not_found") == 0)
        fault(walk, "%s: %s: %s: %s", walk->name, what, status, message);
}

/* ---- One field ---- */

enum type {
    IS_BOOL = 1,
    IS_NUMBER = 2,
    IS_STRING = 4,
    IS_NULL = 8,
    IS_ARRAY = 16,
    IS_OBJECT = 32,
    IS_ANY = 63
};

static const struct {
    const char *json;
    enum type type;
} samples[] = {
    {"true", IS_BOOL},   {"1", IS_NUMBER},  {"1.5", IS_NUMBER}, {"12345678901234567890", IS_NUMBER},
    {"\"\"", IS_STRING}, {"null", IS_NULL}, {"[]", IS_ARRAY},   {"{}", IS_OBJECT}};

static int accepted_types(const struct part *part)
{
    static const int types[] = {
        [RPC_KIND_BOOL] = IS_BOOL,     [RPC_KIND_INT32] = IS_NUMBER,  [RPC_KIND_INT64] = IS_NUMBER,
        [RPC_KIND_DOUBLE] = IS_NUMBER, [RPC_KIND_STRING] = IS_STRING, [RPC_KIND_CHOICE] = IS_STRING,
        [RPC_KIND_JSON] = IS_ANY,      [RPC_KIND_OBJECT] = IS_OBJECT};
    const rpc_field *field = part->field;
    const bool whole = !part->element;
    return (whole && field->counter ? IS_ARRAY : types[field->kind]) |
           (whole && field->nullable ? IS_NULL : 0);
}

/* Tries a value of each JSON type; all that the field does not accept must be refused. */
static void mistype(struct walk *walk, const struct part *part)
{
    const int accepted = accepted_types(part);
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        cJSON *value = cJSON_CreateRaw(samples[i].json);
        if (!(accepted & (int)samples[i].type))
            expect_invalid(walk, part, value, samples[i].json);
        else if (accepted == IS_ANY || samples[i].type == IS_NULL)
            expect_valid(walk, make_call(part, value), samples[i].json);
        else
            cJSON_Delete(value);
    }
    if (!(accepted & IS_ARRAY) &&
        (part->field->kind == RPC_KIND_INT32 || part->field->kind == RPC_KIND_INT64))
        expect_invalid(walk, part, cJSON_CreateRaw("0.5"), "0.5");
}

static double step_of(const rpc_field *field, double number)
{
    return field->kind == RPC_KIND_DOUBLE ? fmax(fabs(number) * 1e-9, 1e-9) : 1;
}

static cJSON *make_number(double number)
{
    char text[64];
    snprintf(text, sizeof text, "%.17g", number);
    return cJSON_CreateRaw(text);
}

static void leave_range(struct walk *walk, const struct part *part)
{
    const rpc_field *field = part->field;
    const double min = field->range.min;
    const double max = field->range.max;
    if (!has_range(field))
        return;
    if (!isinf(min))
        expect_invalid(walk, part, make_number(min - step_of(field, min)), "below its range");
    if (!isinf(max))
        expect_invalid(walk, part, make_number(max + step_of(field, max)), "above its range");
}

static void leave_32_bits(struct walk *walk, const struct part *part)
{
    if (part->field->kind != RPC_KIND_INT32)
        return;
    expect_invalid(walk, part, cJSON_CreateRaw("2147483648"), "over 32 bits");
    expect_invalid(walk, part, cJSON_CreateRaw("-2147483649"), "over 32 bits");
}

/* max_payload of the walk's engine is far above this. */
enum { LENGTH_MAX = 100000 };

static void leave_length(struct walk *walk, const struct part *part)
{
    const rpc_field *field = part->field;
    if (field->kind != RPC_KIND_STRING)
        return;
    if (field->length.min)
        expect_invalid(walk, part, make_text(field->length.min - 1), "too short");
    if (field->length.max < LENGTH_MAX)
        expect_invalid(walk, part, make_text(field->length.max + 1), "too long");
}

static void leave_choices(struct walk *walk, const struct part *part)
{
    if (part->field->kind != RPC_KIND_CHOICE)
        return;
    char other[256];
    snprintf(other, sizeof other, "%.200s-not", part->field->choices.rows[0]);
    expect_invalid(walk, part, cJSON_CreateString(other), "not a choice");
}

static void leave_out(struct walk *walk, const struct part *part)
{
    if (part->shape->form != RPC_FORM_OBJECT)
        return;
    if (fields_may_miss(part->field))
        expect_valid(walk, make_call(part, NULL), "without what may miss");
    else
        expect_invalid(walk, part, NULL, "left out");
}

/* More elements than these make a payload that is too large. */
enum { ITEMS_MAX = 10000 };

static void leave_items(struct walk *walk, const struct part *part)
{
    const rpc_field *field = part->field;
    if (field->items.min)
        expect_invalid(walk, part, make_array(field, field->items.min - 1), "with too few elements");
    if (field->items.max < ITEMS_MAX)
        expect_invalid(walk, part, make_array(field, field->items.max + 1), "with too many elements");
}

/* ---- Valid values at the ends of ranges, without running the handler ---- */

static void expect_decoded(struct walk *walk, const struct part *part, cJSON *value, const char *what)
{
    char why[FIELDS_WHY];
    struct fields fields;
    struct arena arena;
    void *out;
    const struct part *outermost = part;
    while (outermost->outer)
        outermost = outermost->outer;
    cJSON *tree = make_call(part, value);
    arena_init(&arena);
    ck_assert_int_eq(fields_init(&fields, outermost->shape, why), RPC_OK);
    if (fields_decode(&fields, tree, &arena, &out, why) != RPC_OK)
        fault(walk, "%s: %s: %s", walk->name, what, why);
    arena_fini(&arena);
    fields_fini(&fields);
    cJSON_Delete(tree);
    walk->cases++;
}

static void reach_the_ends(struct walk *walk, const struct part *part)
{
    const rpc_field *field = part->field;
    if (has_range(field) && !isinf(field->range.max))
        expect_decoded(walk, part, cJSON_CreateNumber(field->range.max), "at the end of its range");
    if (has_range(field) && !isinf(field->range.min))
        expect_decoded(walk, part, cJSON_CreateNumber(field->range.min), "at the beginning of its range");
    if (field->kind == RPC_KIND_STRING && field->length.max < LENGTH_MAX)
        expect_decoded(walk, part, make_text(field->length.max), "at full length");
    for (unsigned i = 0; i < field->choices.count; i++)
        expect_decoded(walk, part, cJSON_CreateString(field->choices.rows[i]), "each choice");
}

static void fill_items(struct walk *walk, const struct part *part)
{
    const rpc_field *field = part->field;
    expect_decoded(walk, part, make_array(field, field->items.min), "with the fewest elements");
    if (field->items.max < ITEMS_MAX)
        expect_decoded(walk, part, make_array(field, field->items.max), "with the most elements");
}

static void walk_shape(struct walk *walk, const rpc_shape *shape, const struct part *outer);

/* One value: that of a field, or an element. */
static void walk_one(struct walk *walk, const struct part *part)
{
    mistype(walk, part);
    leave_range(walk, part);
    leave_32_bits(walk, part);
    leave_length(walk, part);
    leave_choices(walk, part);
    reach_the_ends(walk, part);
    if (part->field->shape)
        walk_shape(walk, part->field->shape, part);
}

static void walk_array(struct walk *walk, const struct part *part)
{
    struct part element = *part;
    element.element = true;
    mistype(walk, part);
    leave_items(walk, part);
    fill_items(walk, part);
    walk_one(walk, &element);
}

static void walk_shape(struct walk *walk, const rpc_shape *shape, const struct part *outer)
{
    for (size_t i = 0; i < shape->count; i++) {
        const struct part part = {outer, shape, &shape->fields[i], false};
        walk->params++;
        leave_out(walk, &part);
        if (part.field->counter)
            walk_array(walk, &part);
        else
            walk_one(walk, &part);
    }
}

/* ---- One method ---- */

static void walk_docs(struct walk *walk, const rpc_shape *shape)
{
    for (size_t i = 0; shape && i < shape->count; i++) {
        const rpc_field *field = &shape->fields[i];
        expect_doc(walk, field->doc, walk->name, fields_name(field));
        walk_docs(walk, field->shape);
    }
}

static void walk_params(struct walk *walk, const rpc_shape *shape)
{
    const size_t cases = walk->cases;
    walk_shape(walk, shape, NULL);
    expect_valid(walk, make_full_call(shape), "with everything");
    if (shape->count && walk->cases < cases + 2)
        fault(walk, "%s: nothing was tried", walk->name);
}

static void walk_errors(struct walk *walk, unsigned count, const rpc_error *errors)
{
    for (const rpc_error *error = errors; count; error++, count--) {
        expect_doc(walk, error->doc, "error", error->code);
        walk_docs(walk, error->data);
    }
}

static void walk_method(const rpc_method *method, void *context)
{
    struct walk *walk = context;
    walk->methods++;
    walk->name = method->name;
    expect_doc(walk, method->doc, "method", method->name);
    walk_docs(walk, method->params);
    walk_docs(walk, method->result);
    walk_docs(walk, method->progress);
    walk_errors(walk, method->errors.count, method->errors.rows);
    if (method->params)
        walk_params(walk, method->params);
    else
        expect_valid(walk, cJSON_CreateObject(), "without parameters");
}

/* ---- One command ---- */

static void walk_command(struct walk *walk, const rpc_command *command)
{
    const rpc_shape *const shapes[] = {command->params, command->result, command->progress};
    walk->commands++;
    walk->name = command->name;
    walk->command = command;
    expect_doc(walk, command->doc, "command", command->name);
    walk_errors(walk, command->errors.count, command->errors.rows);
    for (walk->part = RPC_COMMAND_PARAMS; walk->part <= RPC_COMMAND_PROGRESS; walk->part++) {
        walk_docs(walk, shapes[walk->part]);
        if (shapes[walk->part])
            walk_params(walk, shapes[walk->part]);
        else
            expect_valid(walk, cJSON_CreateObject(), "without a shape");
    }
    walk->command = NULL;
}

/* ---- One module ---- */

static void walk_module(struct walk *walk, const rpc_module *module, const void *options)
{
    rig_init(&walk->rig);
    walk->rig.impatient = true;
    walk->rig.options.max_payload = 1000000;
    walk->rig.options.max_reply = 1000000;
    walk->rig.options.timeout_max = 86400000;
    rig_start(&walk->rig);
    rig_add(&walk->rig, module, options);
    expect_doc(walk, module->doc, "module", module->name);
    for (const rpc_event *event = module->events.rows; RPC_HAS_ROW(module->events, event); event++) {
        expect_doc(walk, event->doc, "event", event->name);
        walk_docs(walk, event->data);
    }
    for (size_t i = 0; module->options && i < module->options->count; i++)
        expect_doc(walk, module->options->fields[i].doc, "option", fields_name(&module->options->fields[i]));
    rig_each_method(walk->rig.engine, walk_method, walk);
    for (const rpc_command *command = module->commands.rows; RPC_HAS_ROW(module->commands, command);
         command++)
        walk_command(walk, command);
    if (walk->methods != module->methods.count)
        fault(walk, "module %s: %zu methods were walked, it has %u", module->name, walk->methods,
              module->methods.count);
    if (!walk->methods && !walk->commands)
        fault(walk, "module %s has neither methods nor commands", module->name);
    rig_close(&walk->rig);
}

static struct walk *walk;

static void open_walk(void)
{
    walk = calloc(1, sizeof *walk);
    ck_assert_ptr_nonnull(walk);
    walk->name = "no method";
}

static void close_walk(void)
{
    free(walk);
}

/* What is closed or narrower unless an option says otherwise. */
static const struct option_line opened[] = {
    {.name = "device_call", .value = "true"},
    {.name = "device_ttl_max", .value = "8784h"},
};

START_TEST(modules_conform)
{
    struct config *config = rig_config(opened, sizeof opened / sizeof opened[0]);
    ck_assert_ptr_eq(config->modules[_i].module, rpc_modules[_i]);
    walk->name = rpc_modules[_i]->name;
    walk_module(walk, rpc_modules[_i], config->modules[_i].options);
    ck_assert_msg(!walk->faults, "%zu faults, the first: %s", walk->faults, walk->first);
    ck_assert_uint_ge(walk->cases, walk->methods + walk->commands);
    config_destroy(config);
}
END_TEST

/* The walk must visit at least these modules. */
START_TEST(the_modules_are_there)
{
    static const char *const names[] = {"bulb", "clock", "echo", "lamp", "ping", "probe", "sensor", "slow"};
    for (int i = 0; i < UNIT_ROWS(names); i++) {
        int found = 0;
        for (int j = 0; rpc_modules[j]; j++)
            found += strcmp(rpc_modules[j]->name, names[i]) == 0;
        ck_assert_msg(found == 1, "module %s is there %d times", names[i], found);
    }
}
END_TEST

/* ---- The walk itself ---- */

struct odd {
    int32_t n;
};

static const rpc_field odd_fields[] = {RPC_INT32(struct odd, n, .doc = "a number", .range = {0, 9})};
static const rpc_field silent_fields[] = {RPC_INT32(struct odd, n, .name = "n")};
static const rpc_shape odd_shape = RPC_OBJECT_SHAPE(struct odd, odd_fields);
static const rpc_shape silent_shape = RPC_OBJECT_SHAPE(struct odd, silent_fields);

struct box {
    const struct odd *items;
    size_t count;
};

static const rpc_field box_fields[] = {RPC_OBJECT_ARRAY(
    struct box, items, count, struct odd, .doc = "objects", .items = {1, 2}, .shape = &silent_shape)};
static const rpc_shape box_shape = RPC_OBJECT_SHAPE(struct box, box_fields);

static rpc_status return_ok(rpc_call *handled, void *state, const void *params, void *result)
{
    (void)handled, (void)state, (void)params, (void)result;
    return RPC_OK;
}

static rpc_status return_invalid_params(rpc_call *handled, void *state, const void *params, void *result)
{
    (void)handled, (void)state, (void)params, (void)result;
    return RPC_INVALID_PARAMS;
}

#define ONE_COMMAND(...) RPC_TABLE((const rpc_command[]){{__VA_ARGS__}})
#define ERROR(...) .errors = RPC_TABLE((const rpc_error[]){{__VA_ARGS__}})
#define ONE_METHOD(...) RPC_TABLE((const rpc_method[]){{__VA_ARGS__}})

static const struct broken {
    rpc_module module;
    const char *fault; /* NULL: it is fine */
} broken[] = {
    {{.name = "m",
      .doc = "d",
      .methods = ONE_METHOD(.name = "a", .doc = "d", .params = &odd_shape, .run = return_ok)},
     NULL},
    {{.name = "m", .methods = ONE_METHOD(.name = "a", .doc = "d", .run = return_ok)},
     "module m has no line of documentation"},
    {{.name = "m", .doc = "d"}, "module m has neither methods nor commands"},
    {{.name = "m", .doc = "d", .methods = ONE_METHOD(.name = "a", .run = return_ok)},
     "method a has no line of documentation"},
    {{.name = "m", .doc = "d", .methods = ONE_METHOD(.name = "a", .doc = "two\nlines", .run = return_ok)},
     "method a has no line of documentation"},
    {{.name = "m",
      .doc = "d",
      .methods = ONE_METHOD(.name = "a", .doc = "d", .params = &silent_shape, .run = return_ok)},
     "a n has no line of documentation"},
    {{.name = "m",
      .doc = "d",
      .methods = ONE_METHOD(.name = "a", .doc = "d", .result = &silent_shape, .run = return_ok)},
     "a n has no line of documentation"},
    {{.name = "m",
      .doc = "d",
      .methods = ONE_METHOD(.name = "a", .doc = "d", .params = &box_shape, .run = return_ok)},
     "a n has no line of documentation"},
    {{.name = "m",
      .doc = "d",
      .methods = ONE_METHOD(.name = "a", .doc = "d", .params = &odd_shape, .run = return_invalid_params)},
     "a: with everything: invalid_params: the parameters do not fit the method"},
    {{.name = "m", .doc = "d", .commands = ONE_COMMAND(.name = "a", .doc = "d", .result = &odd_shape)}, NULL},
    {{.name = "m", .doc = "d", .commands = ONE_COMMAND(.name = "a")},
     "command a has no line of documentation"},
    {{.name = "m", .doc = "d", .commands = ONE_COMMAND(.name = "a", .doc = "d", .progress = &silent_shape)},
     "a n has no line of documentation"},
    {{.name = "m", .doc = "d", .commands = ONE_COMMAND(.name = "a", .doc = "d", ERROR(.code = "e"))},
     "error e has no line of documentation"},
};

START_TEST(the_walk_finds_faults)
{
    walk_module(walk, &broken[_i].module, NULL);
    ck_assert_int_eq(walk->faults > 0, broken[_i].fault != NULL);
    if (broken[_i].fault)
        ck_assert_str_eq(walk->first, broken[_i].fault);
}
END_TEST

/* The checks find an engine that accepts parameters that it must refuse. */
START_TEST(the_walk_notices_what_gets_through)
{
    static const rpc_module module = {.name = "m"};
    rig_open(&walk->rig, &module);
    walk->name = "unknown";
    expect_invalid(walk, &(const struct part){.shape = &odd_shape, .field = odd_fields}, NULL, "left out");
    ck_assert_uint_eq(walk->faults, 1);
    expect_valid(walk, cJSON_CreateObject(), "empty");
    ck_assert_uint_eq(walk->faults, 2);
    rig_close(&walk->rig);
}
END_TEST

/* The walk visits each part: the array, its element, and the member of the element. */
START_TEST(the_walk_goes_all_the_way_down)
{
    static const rpc_module module = {.name = "m"};
    const struct part array = {.shape = &box_shape, .field = box_fields};
    const struct part element = {.shape = &box_shape, .field = box_fields, .element = true};
    const struct part member = {.outer = &element, .shape = &silent_shape, .field = silent_fields};
    char path[64];
    ck_assert_str_eq(print_path(&array, path, sizeof path), "items");
    ck_assert_str_eq(print_path(&element, path, sizeof path), "items[0]");
    ck_assert_str_eq(print_path(&member, path, sizeof path), "items[0].n");
    ck_assert(is_about("items[0].n is required", path) && !is_about("items[0].name is required", path));
    rig_open(&walk->rig, &module);
    walk->name = "unknown";
    walk_shape(walk, &box_shape, NULL);
    ck_assert_uint_eq(walk->params, 2);
    ck_assert_uint_ge(walk->faults, 20); /* no call is answered as it should be */
    rig_close(&walk->rig);
}
END_TEST

static int count_modules(void)
{
    int count = 0;
    while (rpc_modules[count])
        count++;
    return count;
}

UNIT_MAIN("conformance", open_walk, close_walk, {the_modules_are_there, 0},
          {modules_conform, count_modules()}, {the_walk_finds_faults, UNIT_ROWS(broken)},
          {the_walk_notices_what_gets_through, 0}, {the_walk_goes_all_the_way_down, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Checking and preparing field tables: see fields_check.h. */
#include "shape/fields_check.h"

#include <stdlib.h>
#include <string.h>

/* ---- One field ---- */

static bool check_lies_within(const rpc_shape *shape, size_t offset, size_t size)
{
    return offset <= shape->size && size <= shape->size - offset;
}

static bool check_is_member(const rpc_shape *shape, const rpc_field *field)
{
    const size_t value = field->kind == RPC_KIND_OBJECT ? field->size : fields_kinds[field->kind].size;
    if (field->owner && field->owner != shape->size)
        return false;
    if (field->flag && !check_lies_within(shape, field->flag - 1, sizeof(bool)))
        return false;
    if (!field->counter)
        return check_lies_within(shape, field->offset, value);
    return field->size == value && check_lies_within(shape, field->offset, sizeof(void *)) &&
           check_lies_within(shape, field->counter - 1, sizeof(size_t));
}

/* What is wrong with a field by itself; NULL: nothing. */
static const char *check_find_fault(const rpc_shape *shape, const rpc_field *field)
{
    const bool is_string = field->kind == RPC_KIND_STRING, is_object = field->kind == RPC_KIND_OBJECT;
    const bool is_number =
        field->kind == RPC_KIND_INT32 || field->kind == RPC_KIND_INT64 || field->kind == RPC_KIND_DOUBLE;
    if (!check_is_member(shape, field))
        return " is not a member of the shape's struct";
    if (is_string && (!field->length.max || field->length.min > field->length.max))
        return " needs a .length with a maximum";
    if ((field->kind == RPC_KIND_CHOICE) != (field->choices.count > 0))
        return ": .choices belongs to choices, and needs one at least";
    if (!field->choices.rows != !field->choices.count)
        return ": .choices is to be passed with RPC_TABLE(), which counts the rows";
    if ((field->range.min != 0 || field->range.max != 0) && !(is_number && fields_has_range(field)))
        return ": a .range has a minimum below its maximum and belongs to a number";
    if (!is_string && (field->length.min || field->length.max))
        return ": .length belongs to strings";
    if (!field->counter && (field->items.min || field->items.max))
        return ": .items belongs to arrays";
    if (field->counter && (!field->items.max || field->items.min > field->items.max))
        return " needs .items with a maximum";
    if (is_object != (field->shape != NULL))
        return ": .shape belongs to objects, and each needs one";
    if (is_object &&
        (field->shape->form != RPC_FORM_OBJECT || field->shape->size != field->size || !field->size))
        return ": .shape is not that of an object of the member's type";
    return NULL;
}

/* Checks that a handler can see, and say, that a value was not given. */
static rpc_status check_trace(const rpc_field *field, struct fields_walk *walk)
{
    if (field->flag || field->counter || fields_kinds[field->kind].absent_by_null)
        return RPC_OK;
    return fields_misfit(walk, " is %s and needs a .default_json or a .flag",
                         field->optional ? "optional" : "nullable");
}

/* Checks that each choice is a text of its own. */
static rpc_status check_choices(const rpc_field *field, struct fields_walk *walk)
{
    const char *const *rows = field->choices.rows;
    for (unsigned i = 0; i < field->choices.count; i++) {
        if (!rows[i])
            return fields_misfit(
                walk,
                ": row %u of %u of .choices has no text; RPC_TABLE() counts the rows, and no "
                "empty one ends them",
                i + 1, field->choices.count);
        for (unsigned other = 0; other < i; other++) {
            if (strcmp(rows[other], rows[i]) == 0)
                return fields_misfit(walk, ": the choice %s is declared twice", rows[i]);
        }
    }
    return RPC_OK;
}

/* ---- One shape ---- */

/* What is wrong with a shape, apart from its fields; NULL: nothing. */
static const char *check_find_form_fault(const rpc_shape *shape)
{
    if (shape->form == RPC_FORM_BYTES && (shape->size != sizeof(rpc_bytes) || shape->count))
        return "bytes have no fields";
    if (shape->form == RPC_FORM_VALUE && (shape->count != 1 || fields_may_miss(shape->fields)))
        return "a value has one field, which is required";
    for (size_t i = 0; i < shape->count; i++) {
        const rpc_field *field = &shape->fields[i];
        const char *name = fields_name(field);
        if ((int)field->kind < 0 || (int)field->kind >= FIELDS_KINDS || !name || !*name)
            return "a field was not made by one of the macros";
    }
    return NULL;
}

/* Parses one default, and decodes it once to see that it fits. One of null stands for no value at all. */
static rpc_status check_prepare_default(const rpc_field *field, size_t size, cJSON **out,
                                        struct fields_walk *walk)
{
    struct json_error error;
    *out = json_parse(field->default_json, strlen(field->default_json), walk->arena, &error);
    if (error.fault == JSON_NO_MEMORY)
        return RPC_INTERNAL_ERROR;
    if (error.fault != JSON_FINE)
        return fields_misfit(walk, ": its default: %s", error.why);
    if (field->nullable && cJSON_IsNull(*out)) {
        *out = NULL;
        return check_trace(field, walk);
    }
    char *trial = arena_alloc(walk->arena, size);
    return trial ? fields_decode_member(field, *out, NULL, trial, walk) : RPC_INTERNAL_ERROR;
}

static rpc_status check_prepare_shape(struct fields *fields, const rpc_shape *shape, int depth,
                                      struct fields_walk *walk);

/* Checks and prepares the field at which the walk is, the shape of its objects before its default. */
static rpc_status check_prepare_field(struct fields *fields, size_t i, int depth, struct fields_walk *walk)
{
    const rpc_shape *shape = fields->shape;
    const rpc_field *field = &shape->fields[i];
    const char *fault = check_find_fault(shape, field);
    if (fault)
        return fields_misfit(walk, "%s", fault);
    for (const rpc_field *other = shape->fields; other < field; other++) {
        if (strcmp(fields_name(other), fields_name(field)) == 0)
            return fields_misfit(walk, " is declared twice");
    }
    rpc_status status = check_choices(field, walk);
    if (status == RPC_OK && (field->optional || field->nullable) && !field->default_json)
        status = check_trace(field, walk);
    if (status == RPC_OK && field->shape)
        status = check_prepare_shape(&fields->nested[i], field->shape, depth + 1, walk);
    if (status == RPC_OK && field->default_json)
        status = check_prepare_default(field, shape->size, &fields->defaults[i], walk);
    return status;
}

static rpc_status check_prepare_shape(struct fields *fields, const rpc_shape *shape, int depth,
                                      struct fields_walk *walk)
{
    if (depth > FIELDS_DEPTH)
        return fields_misfit(walk, ": objects are nested deeper than %d levels", FIELDS_DEPTH);
    const char *fault = check_find_form_fault(shape);
    if (fault)
        return fields_misfit(walk, "%s%s", walk->step ? ": " : "", fault);
    fields->shape = shape;
    fields->defaults = arena_alloc(walk->arena, shape->count * sizeof(cJSON *));
    fields->nested = arena_alloc(walk->arena, shape->count * sizeof(struct fields));
    if (!fields->defaults || !fields->nested)
        return RPC_INTERNAL_ERROR;
    struct fields_step step = fields_enter(walk, fields);
    rpc_status status = RPC_OK;
    walk->step = &step;
    for (size_t i = 0; i < shape->count && status == RPC_OK; i++) {
        step.field = &shape->fields[i];
        status = check_prepare_field(fields, i, depth, walk);
    }
    walk->step = step.outer;
    return status;
}

rpc_status fields_init(struct fields *fields, const rpc_shape *shape, char why[FIELDS_WHY])
{
    *fields = (struct fields){.shape = NULL};
    if (!shape)
        return RPC_OK;
    fields->arena = malloc(sizeof *fields->arena);
    if (!fields->arena)
        return RPC_INTERNAL_ERROR;
    arena_init(fields->arena);
    struct fields_walk walk = {.arena = fields->arena, .why = why};
    const rpc_status status = check_prepare_shape(fields, shape, 1, &walk);
    if (status != RPC_OK)
        fields_fini(fields);
    return status;
}

void fields_fini(struct fields *fields)
{
    if (fields->arena)
        arena_fini(fields->arena);
    free(fields->arena);
    *fields = (struct fields){.shape = NULL};
}

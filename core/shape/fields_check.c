// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Checking and preparing field tables: see fields.h. A table that is wrong must be found when the broker
 * starts, so that those who read it later need not look for what cannot be.
 */
#include "shape/fields_check.h"

#include <stdlib.h>
#include <string.h>

/* ---- One field ---- */

/* Whether a handler can see, and say, that a value was not given. */
static bool check_leaves_trace(const rpc_field *field)
{
    return field->flag || field->counter || fields_kinds[field->kind].absent_by_null;
}

/* Whether .range is left out, or says something and of a number. */
static bool check_has_fitting_bounds(const rpc_field *field)
{
    const bool is_number =
        field->kind == RPC_KIND_INT32 || field->kind == RPC_KIND_INT64 || field->kind == RPC_KIND_DOUBLE;
    const bool left_out = field->range.min == 0 && field->range.max == 0;
    return left_out || (is_number && fields_has_range(field));
}

static bool check_lies_within(const rpc_shape *shape, size_t offset, size_t size)
{
    return offset <= shape->size && size <= shape->size - offset;
}

static bool check_is_member(const rpc_shape *shape, const rpc_field *field)
{
    const size_t value = field->kind == RPC_KIND_OBJECT ? field->size : fields_kinds[field->kind].size;
    if (field->flag && !check_lies_within(shape, field->flag - 1, sizeof(bool)))
        return false;
    if (!field->counter)
        return check_lies_within(shape, field->offset, value);
    return field->size == value && check_lies_within(shape, field->offset, sizeof(void *)) &&
           check_lies_within(shape, field->counter - 1, sizeof(size_t));
}

static rpc_status check_array(const rpc_field *field, struct fields_walk *walk)
{
    if (!field->counter && (field->items.min || field->items.max))
        return fields_misfit(walk, ": .items belongs to arrays");
    if (field->counter && (!field->items.max || field->items.min > field->items.max))
        return fields_misfit(walk, " needs .items with a maximum");
    return RPC_OK;
}

static rpc_status check_object(const rpc_field *field, struct fields_walk *walk)
{
    if ((field->kind == RPC_KIND_OBJECT) != (field->shape != NULL))
        return fields_misfit(walk, ": .shape belongs to objects, and each needs one");
    if (field->shape &&
        (field->shape->form != RPC_FORM_OBJECT || field->shape->size != field->size || !field->size))
        return fields_misfit(walk, ": .shape is not that of an object of the member's type");
    return RPC_OK;
}

static rpc_status check_bounds(const rpc_field *field, struct fields_walk *walk)
{
    if (field->kind == RPC_KIND_STRING && (!field->length.max || field->length.min > field->length.max))
        return fields_misfit(walk, " needs a .length with a maximum");
    if ((field->kind == RPC_KIND_CHOICE) != (field->choices && field->choices[0]))
        return fields_misfit(walk, ": .choices belongs to choices, and needs one at least");
    if (!check_has_fitting_bounds(field))
        return fields_misfit(walk, ": a .range has a minimum below its maximum and belongs to a number");
    if (field->kind != RPC_KIND_STRING && (field->length.min || field->length.max))
        return fields_misfit(walk, ": .length belongs to strings");
    const rpc_status status = check_array(field, walk);
    return status == RPC_OK ? check_object(field, walk) : status;
}

static rpc_status check_needs_trace(const rpc_field *field, struct fields_walk *walk)
{
    return fields_misfit(walk, " is %s and needs a .default_json or a .flag",
                         field->optional ? "optional" : "nullable");
}

static rpc_status check_field(const rpc_shape *shape, const rpc_field *field, struct fields_walk *walk)
{
    if (!check_is_member(shape, field))
        return fields_misfit(walk, " is not a member of the shape's struct");
    const rpc_status status = check_bounds(field, walk);
    if (status != RPC_OK)
        return status;
    if ((field->optional || field->nullable) && !field->default_json && !check_leaves_trace(field))
        return check_needs_trace(field, walk);
    for (const rpc_field *other = shape->fields; other < field; other++) {
        if (strcmp(fields_name(other), fields_name(field)) == 0)
            return fields_misfit(walk, " is declared twice");
    }
    return RPC_OK;
}

/* ---- One shape ---- */

/* Explains what is wrong with the shape of the field at which the walk is, or with the outermost one. */
static rpc_status check_shape_misfit(struct fields_walk *walk, const char *text)
{
    return fields_misfit(walk, "%s%s", walk->step ? ": " : "", text);
}

static bool check_is_made_by_macro(const rpc_field *field)
{
    const char *name = fields_name(field);
    return (int)field->kind >= 0 && (int)field->kind < FIELDS_KINDS && name && *name;
}

static rpc_status check_form(const rpc_shape *shape, struct fields_walk *walk)
{
    if (shape->form == RPC_FORM_BYTES && (shape->size != sizeof(rpc_bytes) || shape->count))
        return check_shape_misfit(walk, "bytes have no fields");
    if (shape->form == RPC_FORM_VALUE && (shape->count != 1 || fields_may_miss(shape->fields)))
        return check_shape_misfit(walk, "a value has one field, which is required");
    for (size_t i = 0; i < shape->count; i++) {
        if (!check_is_made_by_macro(&shape->fields[i]))
            return check_shape_misfit(walk, "a field was not made by one of the macros");
    }
    return RPC_OK;
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
        return check_leaves_trace(field) ? RPC_OK : check_needs_trace(field, walk);
    }
    char *trial = arena_alloc(walk->arena, size);
    return trial ? fields_decode_member(field, *out, NULL, trial, walk) : RPC_INTERNAL_ERROR;
}

static rpc_status check_prepare_shape(struct fields *fields, const rpc_shape *shape, int depth,
                                      struct fields_walk *walk);

/* Prepares the field at which the walk is, the shape of its objects before its default. */
static rpc_status check_prepare_field(struct fields *fields, size_t i, int depth, struct fields_walk *walk)
{
    const rpc_field *field = &fields->shape->fields[i];
    rpc_status status = check_field(fields->shape, field, walk);
    if (status == RPC_OK && field->shape)
        status = check_prepare_shape(&fields->nested[i], field->shape, depth + 1, walk);
    if (status == RPC_OK && field->default_json)
        status = check_prepare_default(field, fields->shape->size, &fields->defaults[i], walk);
    return status;
}

static bool check_allocate(struct fields *fields, struct arena *arena)
{
    const size_t count = fields->shape->count;
    bool has_objects = false;
    for (size_t i = 0; i < count; i++)
        has_objects = has_objects || fields->shape->fields[i].shape;
    fields->defaults = arena_alloc(arena, count * sizeof(cJSON *));
    fields->nested = has_objects ? arena_alloc(arena, count * sizeof(struct fields)) : NULL;
    return fields->defaults && (!has_objects || fields->nested);
}

static rpc_status check_prepare_fields(struct fields *fields, int depth, struct fields_walk *walk)
{
    struct fields_step step = fields_enter(walk, fields);
    rpc_status status = RPC_OK;
    walk->step = &step;
    for (size_t i = 0; i < fields->shape->count && status == RPC_OK; i++) {
        step.field = &fields->shape->fields[i];
        status = check_prepare_field(fields, i, depth, walk);
    }
    walk->step = step.outer;
    return status;
}

static rpc_status check_prepare_shape(struct fields *fields, const rpc_shape *shape, int depth,
                                      struct fields_walk *walk)
{
    if (depth > FIELDS_DEPTH)
        return fields_misfit(walk, ": objects are nested deeper than %d levels", FIELDS_DEPTH);
    const rpc_status status = check_form(shape, walk);
    if (status != RPC_OK)
        return status;
    fields->shape = shape;
    return check_allocate(fields, walk->arena) ? check_prepare_fields(fields, depth, walk)
                                               : RPC_INTERNAL_ERROR;
}

rpc_status fields_init(struct fields *fields, const rpc_shape *shape, char why[FIELDS_WHY])
{
    *fields = (struct fields){.shape = NULL};
    if (!shape)
        return RPC_OK;
    struct arena *arena = malloc(sizeof *arena);
    if (!arena)
        return RPC_INTERNAL_ERROR;
    arena_init(arena);
    fields->arena = arena;
    struct fields_walk walk = {.arena = arena, .why = why};
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

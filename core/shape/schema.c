// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Field tables as JSON Schema: see schema.h. For each kind there is one function in `schema_kinds`. */
#include "shape/schema.h"

#include "shape/fields.h"
#include "base/status.h"

#include <float.h>
#include <math.h>

static void schema_write_type(struct writer *writer, const char *type, bool nullable)
{
    if (!nullable) {
        writer_member(writer, "type", type);
        return;
    }
    writer_open_array(writer, "type");
    writer_string(writer, type);
    writer_string(writer, "null");
    writer_end_array(writer);
}

/* ---- The schema_kinds: what their values have to be, as members of an open object ---- */

static void schema_write_bool(const rpc_field *field, bool nullable, struct writer *writer)
{
    (void)field;
    schema_write_type(writer, "boolean", nullable);
}

static void schema_write_integer(const rpc_field *field, bool nullable, struct writer *writer)
{
    const struct fields_bounds bounds = fields_bounds(field);
    schema_write_type(writer, "integer", nullable);
    writer_member_integer(writer, "minimum", bounds.min);
    writer_member_integer(writer, "maximum", bounds.max);
}

/* JSON has numbers that no double holds, and a schema without bounds would accept them. */
static void schema_write_double(const rpc_field *field, bool nullable, struct writer *writer)
{
    schema_write_type(writer, "number", nullable);
    writer_name(writer, "minimum");
    writer_double(writer, fields_has_range(field) ? fmax(field->range.min, -DBL_MAX) : -DBL_MAX);
    writer_name(writer, "maximum");
    writer_double(writer, fields_has_range(field) ? fmin(field->range.max, DBL_MAX) : DBL_MAX);
}

static void schema_write_string(const rpc_field *field, bool nullable, struct writer *writer)
{
    schema_write_type(writer, "string", nullable);
    if (field->length.min)
        writer_member_integer(writer, "minLength", field->length.min);
    writer_member_integer(writer, "maxLength", field->length.max);
    writer_member(writer, "pattern", "^[^\\u0000]*$");
}

static void schema_write_choice(const rpc_field *field, bool nullable, struct writer *writer)
{
    schema_write_type(writer, "string", nullable);
    writer_open_array(writer, "enum");
    for (int i = 0; field->choices[i]; i++)
        writer_string(writer, field->choices[i]);
    if (nullable)
        writer_null(writer);
    writer_end_array(writer);
}

static void schema_write_json(const rpc_field *field, bool nullable, struct writer *writer)
{
    (void)field, (void)nullable, (void)writer;
}

static void schema_write_required(const rpc_shape *shape, struct writer *writer)
{
    bool any = false;
    for (size_t i = 0; i < shape->count; i++)
        any = any || !fields_may_miss(&shape->fields[i]);
    if (!any)
        return;
    writer_open_array(writer, "required");
    for (size_t i = 0; i < shape->count; i++) {
        if (!fields_may_miss(&shape->fields[i]))
            writer_string(writer, fields_name(&shape->fields[i]));
    }
    writer_end_array(writer);
}

static void schema_write_properties(const rpc_shape *shape, struct writer *writer)
{
    for (size_t i = 0; i < shape->count; i++) {
        writer_name(writer, fields_name(&shape->fields[i]));
        schema_write_field(&shape->fields[i], writer);
    }
}

static void schema_write_members(const rpc_shape *shape, struct writer *writer)
{
    writer_open_object(writer, "properties");
    schema_write_properties(shape, writer);
    writer_end_object(writer);
    schema_write_required(shape, writer);
}

static void schema_write_object(const rpc_field *field, bool nullable, struct writer *writer)
{
    schema_write_type(writer, "object", nullable);
    schema_write_members(field->shape, writer);
}

static void (*const schema_kinds[])(const rpc_field *field, bool nullable, struct writer *writer) = {
    [RPC_KIND_BOOL] = schema_write_bool,     [RPC_KIND_INT32] = schema_write_integer,
    [RPC_KIND_INT64] = schema_write_integer, [RPC_KIND_DOUBLE] = schema_write_double,
    [RPC_KIND_STRING] = schema_write_string, [RPC_KIND_CHOICE] = schema_write_choice,
    [RPC_KIND_JSON] = schema_write_json,     [RPC_KIND_OBJECT] = schema_write_object,
};

/* ---- Fields and shapes ---- */

static void schema_write_array(const rpc_field *field, struct writer *writer)
{
    schema_write_type(writer, "array", field->nullable);
    writer_open_object(writer, "items");
    schema_kinds[field->kind](field, false, writer);
    writer_end_object(writer);
    if (field->items.min)
        writer_member_integer(writer, "minItems", field->items.min);
    writer_member_integer(writer, "maxItems", field->items.max);
}

void schema_write_field(const rpc_field *field, struct writer *writer)
{
    writer_begin_object(writer);
    if (field->doc)
        writer_member(writer, "description", field->doc);
    if (field->counter)
        schema_write_array(field, writer);
    else
        schema_kinds[field->kind](field, field->nullable, writer);
    if (field->default_json)
        writer_member_json(writer, "default", field->default_json);
    if (field->unit)
        writer_member(writer, "x-unit", field->unit);
    writer_end_object(writer);
}

void schema_write(const rpc_shape *shape, struct writer *writer)
{
    if (shape && shape->form == RPC_FORM_VALUE) {
        schema_write_field(shape->fields, writer);
        return;
    }
    writer_begin_object(writer);
    if (!shape || shape->form == RPC_FORM_OBJECT)
        writer_member(writer, "type", "object");
    if (shape && shape->form == RPC_FORM_OBJECT)
        schema_write_members(shape, writer);
    writer_end_object(writer);
}

/* ---- Errors ---- */

/* Opens the schema of an error object as far as that of its code, err. */
static void schema_open_error(struct writer *writer)
{
    writer_begin_object(writer);
    writer_member(writer, "type", "object");
    writer_open_object(writer, "properties");
    writer_member_json(writer, "method", "{\"type\":\"string\"}");
    writer_open_object(writer, "err");
    writer_member(writer, "type", "string");
}

/* What does not fit into a reply is left out: first what the error adds, then its message. */
static void schema_close_error(const rpc_shape *data, struct writer *writer)
{
    writer_end_object(writer);
    writer_member_json(writer, "msg", "{\"type\":\"string\"}");
    if (data)
        schema_write_properties(data, writer);
    writer_end_object(writer);
    writer_member_json(writer, "required", "[\"method\",\"err\"]");
    writer_end_object(writer);
}

void schema_write_error(const rpc_error *error, struct writer *writer)
{
    schema_open_error(writer);
    writer_member(writer, "const", error->code);
    schema_close_error(error->data, writer);
}

void schema_write_engine_error(struct writer *writer)
{
    schema_open_error(writer);
    writer_open_array(writer, "enum");
    for (int i = RPC_OK + 1; i < RPC_RAISED; i++)
        writer_string(writer, status_name((rpc_status)i));
    writer_end_array(writer);
    schema_close_error(NULL, writer);
}

void schema_write_any_error(struct writer *writer)
{
    schema_open_error(writer);
    schema_close_error(NULL, writer);
}

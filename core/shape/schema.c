// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Field tables as JSON Schema: see schema.h. */
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

static void schema_write_properties(const rpc_shape *shape, bool strict, struct writer *writer)
{
    for (size_t i = 0; i < shape->count; i++) {
        writer_name(writer, fields_name(&shape->fields[i]));
        schema_write_field(&shape->fields[i], strict, writer);
    }
}

static void schema_write_members(const rpc_shape *shape, bool strict, struct writer *writer)
{
    bool is_open = false;
    writer_open_object(writer, "properties");
    schema_write_properties(shape, strict, writer);
    writer_end_object(writer);
    for (size_t i = 0; i < shape->count; i++) {
        if (fields_may_miss(&shape->fields[i]))
            continue;
        if (!is_open)
            writer_open_array(writer, "required");
        is_open = true;
        writer_string(writer, fields_name(&shape->fields[i]));
    }
    if (is_open)
        writer_end_array(writer);
    if (strict)
        writer_member_bool(writer, "additionalProperties", false);
}

/* What the values of a field have to be, as members of an open object. nullable: null will do, too. */
static void schema_write_values(const rpc_field *field, bool nullable, bool strict, struct writer *writer)
{
    const char *type = fields_kinds[field->kind].type;
    if (type)
        schema_write_type(writer, type, nullable);
    if (field->kind == RPC_KIND_INT32 || field->kind == RPC_KIND_INT64) {
        const struct fields_bounds bounds = fields_bounds(field);
        writer_member_integer(writer, "minimum", bounds.min);
        writer_member_integer(writer, "maximum", bounds.max);
    } else if (field->kind == RPC_KIND_DOUBLE) {
        /* JSON has numbers that no double holds, and a schema without bounds would accept them. */
        writer_name(writer, "minimum");
        writer_double(writer, fields_has_range(field) ? fmax(field->range.min, -DBL_MAX) : -DBL_MAX);
        writer_name(writer, "maximum");
        writer_double(writer, fields_has_range(field) ? fmin(field->range.max, DBL_MAX) : DBL_MAX);
    } else if (field->kind == RPC_KIND_STRING) {
        if (field->length.min)
            writer_member_integer(writer, "minLength", field->length.min);
        writer_member_integer(writer, "maxLength", field->length.max);
        writer_member(writer, "pattern", "^[^\\u0000]*$");
    } else if (field->kind == RPC_KIND_CHOICE) {
        writer_open_array(writer, "enum");
        for (unsigned i = 0; i < field->choices.count; i++)
            writer_string(writer, field->choices.rows[i]);
        if (nullable)
            writer_null(writer);
        writer_end_array(writer);
    } else if (field->kind == RPC_KIND_OBJECT) {
        schema_write_members(field->shape, strict, writer);
    }
}

void schema_write_field(const rpc_field *field, bool strict, struct writer *writer)
{
    writer_begin_object(writer);
    if (field->doc)
        writer_member(writer, "description", field->doc);
    if (field->counter) {
        schema_write_type(writer, "array", field->nullable);
        writer_open_object(writer, "items");
        schema_write_values(field, false, strict, writer);
        writer_end_object(writer);
        if (field->items.min)
            writer_member_integer(writer, "minItems", field->items.min);
        writer_member_integer(writer, "maxItems", field->items.max);
    } else {
        schema_write_values(field, field->nullable, strict, writer);
    }
    if (field->default_json)
        writer_member_json(writer, "default", field->default_json);
    if (field->unit)
        writer_member(writer, "x-unit", field->unit);
    writer_end_object(writer);
}

void schema_write(const rpc_shape *shape, bool strict, struct writer *writer)
{
    if (shape && shape->form == RPC_FORM_VALUE) {
        schema_write_field(shape->fields, strict, writer);
        return;
    }
    writer_begin_object(writer);
    if (!shape || shape->form == RPC_FORM_OBJECT)
        writer_member(writer, "type", "object");
    if (shape && shape->form == RPC_FORM_OBJECT)
        schema_write_members(shape, strict, writer);
    else if (!shape && strict)
        writer_member_bool(writer, "additionalProperties", false);
    writer_end_object(writer);
}

/* ---- Errors ---- */

/* Whose errors a schema is for. */
enum schema_source { SCHEMA_ANY, SCHEMA_METHOD, SCHEMA_ENGINE, SCHEMA_DEVICE };

/* error: NULL: it is not one that a table declares. What does not fit into a reply is left out: first what
 * the error adds, then its message. */
/* reference: of the schema of the error's data; NULL: it is written here. */
static void schema_write_error_object(const rpc_error *error, const char *reference,
                                      enum schema_source source, struct writer *writer)
{
    writer_begin_object(writer);
    writer_member(writer, "type", "object");
    writer_open_object(writer, "properties");
    if (source != SCHEMA_DEVICE)
        writer_member_json(writer, "method", "{\"type\":\"string\"}");
    writer_open_object(writer, "err");
    writer_member(writer, "type", "string");
    if (error)
        writer_member(writer, "const", error->code);
    if (source == SCHEMA_ENGINE) {
        writer_open_array(writer, "enum");
        for (int i = RPC_OK + 1; i < RPC_RAISED; i++)
            writer_string(writer, status_name((rpc_status)i));
        writer_end_array(writer);
    }
    writer_end_object(writer);
    writer_member_json(writer, "msg", "{\"type\":\"string\"}");
    if (error && error->data && !reference)
        schema_write_properties(error->data, false, writer);
    writer_end_object(writer);
    if (reference) {
        writer_open_array(writer, "allOf");
        writer_begin_object(writer);
        writer_member(writer, "$ref", reference);
        writer_end_object(writer);
        writer_end_array(writer);
    }
    writer_member_json(writer, "required", source == SCHEMA_DEVICE ? "[\"err\"]" : "[\"method\",\"err\"]");
    writer_end_object(writer);
}

void schema_write_error(const rpc_error *error, struct writer *writer)
{
    schema_write_error_object(error, NULL, SCHEMA_METHOD, writer);
}

void schema_write_error_with(const rpc_error *error, const char *reference, struct writer *writer)
{
    schema_write_error_object(error, reference, SCHEMA_METHOD, writer);
}

void schema_write_added(const rpc_shape *shape, struct writer *writer)
{
    writer_begin_object(writer);
    writer_open_object(writer, "properties");
    schema_write_properties(shape, false, writer);
    writer_end_object(writer);
    writer_end_object(writer);
}

void schema_write_device_error(const rpc_error *error, struct writer *writer)
{
    schema_write_error_object(error, NULL, SCHEMA_DEVICE, writer);
}

void schema_write_engine_error(struct writer *writer)
{
    schema_write_error_object(NULL, NULL, SCHEMA_ENGINE, writer);
}

void schema_write_any_error(struct writer *writer)
{
    schema_write_error_object(NULL, NULL, SCHEMA_ANY, writer);
}

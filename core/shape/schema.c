// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Field tables as JSON Schema: see schema.h. For each kind there is one function in `kinds`. */
#include "shape/schema.h"

#include "shape/fields.h"
#include "base/status.h"

#include <float.h>
#include <math.h>

static void write_type(struct writer *writer, const char *type, bool nullable)
{
    if (!nullable) {
        writer_member(writer, "type", type);
        return;
    }
    writer_open_array(writer, "type");
    writer_string(writer, type);
    writer_text(writer, ",\"null\"]");
}

/* ---- The kinds: what their values have to be, as members of an open object ---- */

static void write_bool(const rpc_field *field, bool nullable, struct writer *writer)
{
    (void)field;
    write_type(writer, "boolean", nullable);
}

static void write_integer(const rpc_field *field, bool nullable, struct writer *writer)
{
    const struct fields_bounds bounds = fields_bounds(field);
    write_type(writer, "integer", nullable);
    writer_member_integer(writer, "minimum", bounds.min);
    writer_member_integer(writer, "maximum", bounds.max);
}

/* JSON has numbers that no double holds, and a schema without bounds would accept them. */
static void write_double(const rpc_field *field, bool nullable, struct writer *writer)
{
    write_type(writer, "number", nullable);
    writer_name(writer, "minimum");
    writer_double(writer, fields_has_range(field) ? fmax(field->range.min, -DBL_MAX) : -DBL_MAX);
    writer_name(writer, "maximum");
    writer_double(writer, fields_has_range(field) ? fmin(field->range.max, DBL_MAX) : DBL_MAX);
}

static void write_string(const rpc_field *field, bool nullable, struct writer *writer)
{
    write_type(writer, "string", nullable);
    if (field->length.min)
        writer_member_integer(writer, "minLength", field->length.min);
    writer_member_integer(writer, "maxLength", field->length.max);
    writer_member(writer, "pattern", "^[^\\u0000]*$");
}

static void write_choice(const rpc_field *field, bool nullable, struct writer *writer)
{
    write_type(writer, "string", nullable);
    writer_open_array(writer, "enum");
    for (int i = 0; field->choices[i]; i++) {
        writer_element(writer);
        writer_string(writer, field->choices[i]);
    }
    writer_text(writer, nullable ? ",null]" : "]");
}

static void write_json(const rpc_field *field, bool nullable, struct writer *writer)
{
    (void)field, (void)nullable, (void)writer;
}

static void write_required(const rpc_shape *shape, struct writer *writer)
{
    bool any = false;
    for (size_t i = 0; i < shape->count; i++)
        any = any || !fields_may_miss(&shape->fields[i]);
    if (!any)
        return;
    writer_open_array(writer, "required");
    for (size_t i = 0; i < shape->count; i++) {
        if (fields_may_miss(&shape->fields[i]))
            continue;
        writer_element(writer);
        writer_string(writer, fields_name(&shape->fields[i]));
    }
    writer_text(writer, "]");
}

static void write_properties(const rpc_shape *shape, struct writer *writer)
{
    for (size_t i = 0; i < shape->count; i++) {
        writer_name(writer, fields_name(&shape->fields[i]));
        schema_write_field(&shape->fields[i], writer);
    }
}

static void write_members(const rpc_shape *shape, struct writer *writer)
{
    writer_open_object(writer, "properties");
    write_properties(shape, writer);
    writer_text(writer, "}");
    write_required(shape, writer);
}

static void write_object(const rpc_field *field, bool nullable, struct writer *writer)
{
    write_type(writer, "object", nullable);
    write_members(field->shape, writer);
}

static void (*const kinds[])(const rpc_field *field, bool nullable, struct writer *writer) = {
    [RPC_KIND_BOOL] = write_bool,     [RPC_KIND_INT32] = write_integer, [RPC_KIND_INT64] = write_integer,
    [RPC_KIND_DOUBLE] = write_double, [RPC_KIND_STRING] = write_string, [RPC_KIND_CHOICE] = write_choice,
    [RPC_KIND_JSON] = write_json,     [RPC_KIND_OBJECT] = write_object,
};

/* ---- Fields and shapes ---- */

static void write_array(const rpc_field *field, struct writer *writer)
{
    write_type(writer, "array", field->nullable);
    writer_open_object(writer, "items");
    kinds[field->kind](field, false, writer);
    writer_text(writer, "}");
    if (field->items.min)
        writer_member_integer(writer, "minItems", field->items.min);
    writer_member_integer(writer, "maxItems", field->items.max);
}

void schema_write_field(const rpc_field *field, struct writer *writer)
{
    writer_text(writer, "{");
    if (field->doc)
        writer_member(writer, "description", field->doc);
    if (field->counter)
        write_array(field, writer);
    else
        kinds[field->kind](field, field->nullable, writer);
    if (field->default_json) {
        writer_name(writer, "default");
        writer_text(writer, field->default_json);
    }
    if (field->unit)
        writer_member(writer, "x-unit", field->unit);
    writer_text(writer, "}");
}

void schema_write(const rpc_shape *shape, struct writer *writer)
{
    if (shape && shape->form == RPC_FORM_VALUE) {
        schema_write_field(shape->fields, writer);
        return;
    }
    writer_text(writer, "{");
    if (!shape || shape->form == RPC_FORM_OBJECT)
        writer_member(writer, "type", "object");
    if (shape && shape->form == RPC_FORM_OBJECT)
        write_members(shape, writer);
    writer_text(writer, "}");
}

/* ---- Errors ---- */

static void open_error(struct writer *writer)
{
    writer_text(writer, "{\"type\":\"object\",\"properties\":{\"method\":{\"type\":\"string\"},"
                        "\"err\":{\"type\":\"string\"");
}

/* What does not fit into a reply is left out: first what the error adds, then its message. */
static void close_error(const rpc_shape *data, struct writer *writer)
{
    writer_text(writer, "},\"msg\":{\"type\":\"string\"}");
    if (data)
        write_properties(data, writer);
    writer_text(writer, "},\"required\":[\"method\",\"err\"]}");
}

void schema_write_error(const rpc_error *error, struct writer *writer)
{
    open_error(writer);
    writer_member(writer, "const", error->code);
    close_error(error->data, writer);
}

void schema_write_engine_error(struct writer *writer)
{
    open_error(writer);
    writer_open_array(writer, "enum");
    for (int i = RPC_OK + 1; i < RPC_RAISED; i++) {
        writer_element(writer);
        writer_string(writer, status_name((rpc_status)i));
    }
    writer_text(writer, "]");
    close_error(NULL, writer);
}

void schema_write_any_error(struct writer *writer)
{
    open_error(writer);
    close_error(NULL, writer);
}

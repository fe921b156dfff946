// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Field tables as JSON Schema: see schema.h. */
#include "shape/schema.h"

#include "shape/fields.h"
#include "base/status.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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

/* ---- Titles ---- */

/* The title of the schema that key stands for, if it is new there: name, or one with the module's before it.
 */
static const char *schema_meet_title(const struct schema_name *place, const char *key, const char *name)
{
    char other[TITLES_NAME] = "";
    titles_append(other, place->module);
    titles_append(other, name);
    return titles_meet(place->titles, key, name, other);
}

static void schema_write_known_title(const char *title, struct writer *writer)
{
    if (title)
        writer_member(writer, "title", title);
}

void schema_write_title(const struct schema_name *name, struct writer *writer)
{
    char key[TITLES_NAME], title[TITLES_NAME] = "";
    if (!name)
        return;
    snprintf(key, sizeof key, "%s %s", name->role, name->what);
    titles_append(title, name->what);
    titles_append(title, name->role);
    schema_write_known_title(schema_meet_title(name, key, title), writer);
}

/* The title of an object that is named by its struct: {module}{struct}, with suffix. field: the one whose
 * value it is, for a shape that does not name its struct; or NULL. */
static const char *schema_title_struct(const rpc_shape *shape, const rpc_field *field, const char *key,
                                       const char *suffix, const struct schema_name *name)
{
    static const char tag[] = "struct ";
    const char *type = shape->type ? shape->type : field ? fields_name(field) : "";
    char module[TITLES_NAME] = "", title[TITLES_NAME] = "";
    titles_append(title, type + (strncmp(type, tag, sizeof tag - 1) == 0 ? sizeof tag - 1 : 0));
    titles_append(module, name->module);
    if (strncmp(title, module, strlen(module)) != 0) {
        titles_append(module, title);
        memcpy(title, module, sizeof title);
    }
    titles_append(title, suffix);
    return titles_meet(name->titles, key, title, title);
}

const char *schema_title_added(const rpc_shape *shape, const struct schema_name *name)
{
    char key[64];
    if (!name)
        return NULL;
    snprintf(key, sizeof key, "added %p", (const void *)shape);
    return schema_title_struct(shape, NULL, key, "Data", name);
}

/* The title of an object of a shape. field: the one whose value it is; NULL: the object is the outermost one.
 */
static void schema_title_shape(const rpc_shape *shape, const rpc_field *field, bool nullable, bool strict,
                               const struct schema_name *name, struct writer *writer)
{
    char key[64], title[TITLES_NAME] = "";
    if (!name)
        return;
    snprintf(key, sizeof key, "%p %d %d", (const void *)shape, nullable, strict);
    if (field) {
        schema_write_known_title(schema_title_struct(shape, field, key, nullable ? "OrNull" : "", name),
                                 writer);
        return;
    }
    titles_append(title, name->what);
    titles_append(title, name->role);
    schema_write_known_title(schema_meet_title(name, key, title), writer);
}

/* ---- Shapes ---- */

static void schema_write_properties(const rpc_shape *shape, bool strict, const struct schema_name *name,
                                    struct writer *writer)
{
    for (size_t i = 0; i < shape->count; i++) {
        writer_name(writer, fields_name(&shape->fields[i]));
        schema_write_field(&shape->fields[i], strict, name, writer);
    }
}

static void schema_write_members(const rpc_shape *shape, bool strict, const struct schema_name *name,
                                 struct writer *writer)
{
    bool is_open = false;
    writer_open_object(writer, "properties");
    schema_write_properties(shape, strict, name, writer);
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
static void schema_write_values(const rpc_field *field, bool nullable, bool strict,
                                const struct schema_name *name, struct writer *writer)
{
    const char *type = fields_kinds[field->kind].type;
    if (field->kind == RPC_KIND_OBJECT)
        schema_title_shape(field->shape, field, nullable, strict, name, writer);
    if (type)
        schema_write_type(writer, type, nullable);
    if (field->kind == RPC_KIND_INT32 || field->kind == RPC_KIND_INT64) {
        const struct fields_bounds bounds = fields_bounds(field);
        writer_member_integer(writer, "minimum", bounds.min);
        writer_member_integer(writer, "maximum", bounds.max);
    } else if (field->kind == RPC_KIND_DOUBLE) {
        if (fields_has_range(field) && isfinite(field->range.min)) {
            writer_name(writer, "minimum");
            writer_double(writer, field->range.min);
        }
        if (fields_has_range(field) && isfinite(field->range.max)) {
            writer_name(writer, "maximum");
            writer_double(writer, field->range.max);
        }
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
        schema_write_members(field->shape, strict, name, writer);
    }
}

void schema_write_field(const rpc_field *field, bool strict, const struct schema_name *name,
                        struct writer *writer)
{
    writer_begin_object(writer);
    if (field->doc)
        writer_member(writer, "description", field->doc);
    if (field->counter) {
        schema_write_type(writer, "array", field->nullable);
        writer_open_object(writer, "items");
        schema_write_values(field, false, strict, name, writer);
        writer_end_object(writer);
        if (field->items.min)
            writer_member_integer(writer, "minItems", field->items.min);
        writer_member_integer(writer, "maxItems", field->items.max);
    } else {
        schema_write_values(field, field->nullable, strict, name, writer);
    }
    if (field->default_json)
        writer_member_json(writer, "default", field->default_json);
    if (field->unit)
        writer_member(writer, "x-unit", field->unit);
    writer_end_object(writer);
}

/* An object of which nothing is known is the same one everywhere. */
static void schema_title_object(const rpc_shape *shape, bool strict, const struct schema_name *name,
                                struct writer *writer)
{
    const struct schema_name none = {.titles = name ? name->titles : NULL,
                                     .module = "",
                                     .what = strict ? "empty" : "any",
                                     .role = "Object"};
    if (shape)
        schema_title_shape(shape, NULL, false, strict, name, writer);
    else
        schema_write_title(name ? &none : NULL, writer);
}

void schema_write(const rpc_shape *shape, bool strict, const struct schema_name *name, struct writer *writer)
{
    if (shape && shape->form == RPC_FORM_VALUE) {
        schema_write_field(shape->fields, strict, name, writer);
        return;
    }
    const bool is_object = !shape || shape->form == RPC_FORM_OBJECT;
    writer_begin_object(writer);
    if (is_object) {
        schema_title_object(shape, strict, name, writer);
        writer_member(writer, "type", "object");
    }
    if (shape && is_object)
        schema_write_members(shape, strict, name, writer);
    else if (!shape && strict)
        writer_member_bool(writer, "additionalProperties", false);
    writer_end_object(writer);
}

/* ---- Errors ---- */

const char *schema_title_error(const rpc_error *error, enum schema_source source,
                               const struct schema_name *name)
{
    static const char *const roles[] = {[SCHEMA_METHOD] = "Error",
                                        [SCHEMA_DEVICE] = "Cause",
                                        [SCHEMA_ENGINE] = "EngineError",
                                        [SCHEMA_ANY] = "Error"};
    char key[TITLES_NAME], title[TITLES_NAME] = "";
    if (!name)
        return NULL;
    snprintf(key, sizeof key, "error %d %s %p", (int)source, error ? error->code : "",
             error ? (const void *)error->data : NULL);
    titles_append(title, error ? error->code : "");
    titles_append(title, roles[source]);
    return schema_meet_title(name, key, title);
}

void schema_write_added(const rpc_shape *shape, const struct schema_name *name, struct writer *writer)
{
    writer_begin_object(writer);
    schema_write_known_title(schema_title_added(shape, name), writer);
    writer_member(writer, "type", "object");
    writer_open_object(writer, "properties");
    schema_write_properties(shape, false, name, writer);
    writer_end_object(writer);
    writer_end_object(writer);
}

/* What does not fit into a reply is left out: first what the error adds, then its message. */
void schema_write_error(const rpc_error *error, enum schema_source source, const char *reference,
                        const struct schema_name *name, struct writer *writer)
{
    writer_begin_object(writer);
    schema_write_known_title(schema_title_error(error, source, name), writer);
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
        schema_write_properties(error->data, false, name, writer);
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

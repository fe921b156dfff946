// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A JSON Schema in words: see schema.h. */
#include "schema.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { SCHEMA_WHOLE_MAX = 1000000 /* no limit of a length that is worth telling is larger */ };

struct schema_text {
    char *out;
    size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void schema_add(struct schema_text *text, const char *format,
                                                             ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text->out + text->used, text->size - text->used, format, arguments);
    va_end(arguments);
    if (length > 0)
        text->used += (size_t)length < text->size - text->used ? (size_t)length : text->size - text->used - 1;
}

static const cJSON *schema_member(const cJSON *schema, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(schema, name);
}

static bool schema_number(const cJSON *schema, const char *name, double *number)
{
    const cJSON *member = schema_member(schema, name);
    *number = cJSON_IsNumber(member) ? member->valuedouble : 0;
    return cJSON_IsNumber(member) && fabs(*number) < 9e15;
}

static void schema_add_range(struct schema_text *text, const cJSON *schema, const char *low, const char *high,
                             double max, const char *what)
{
    double from, to;
    bool has_from = schema_number(schema, low, &from) && !(*what && from <= 0);
    bool has_to = schema_number(schema, high, &to) && to < max;
    if (has_from && has_to)
        schema_add(text, " %.15g to %.15g%s", from, to, what);
    else if (has_from)
        schema_add(text, " from %.15g%s", from, what);
    else if (has_to)
        schema_add(text, " up to %.15g%s", to, what);
}

static void schema_add_type(struct schema_text *text, const cJSON *schema, int depth)
{
    const cJSON *row, *type = schema_member(schema, "type"), *types = cJSON_IsArray(type) ? type : NULL,
                      *items = schema_member(schema, "items");
    if (cJSON_IsString(type))
        schema_add(text, "%s", type->valuestring);
    else if (!cJSON_IsArray(type))
        schema_add(text, "any JSON");
    cJSON_ArrayForEach(row, types)
    {
        if (cJSON_IsString(row))
            schema_add(text, "%s%s", row == type->child ? "" : " or ", row->valuestring);
    }
    const char *separator = " ";
    cJSON_ArrayForEach(row, schema_member(schema, "enum"))
    {
        if (cJSON_IsString(row))
            schema_add(text, "%s%s", separator, row->valuestring);
        separator = "|";
    }
    if (items && depth < 4) {
        schema_add(text, " of ");
        schema_add_type(text, items, depth + 1);
    }
    schema_add_range(text, schema, "minimum", "maximum", 9e15, "");
    schema_add_range(text, schema, "minLength", "maxLength", 65535, " characters");
    schema_add_range(text, schema, "minItems", "maxItems", SCHEMA_WHOLE_MAX, " items");
    row = schema_member(schema, "x-unit");
    if (cJSON_IsString(row))
        schema_add(text, ", in %s", row->valuestring);
}

void schema_type(char *out, size_t size, const cJSON *schema)
{
    struct schema_text text = {out, size, 0};
    out[0] = 0;
    schema_add_type(&text, schema, 0);
}

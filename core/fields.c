// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Readers of field tables: see fields.h. For each kind there is one row in `kinds`: how it is decoded,
 * encoded and described. A new kind is a new row.
 */
#include "fields.h"

#include "text.h"
#include "topic.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one walk over a table carries along. */
struct walk {
    struct arena *arena;   /* decoding */
    struct writer *writer; /* encoding */
    char *why;             /* FIELDS_WHY bytes */
};

struct kind {
    rpc_status (*decode)(const rpc_field *field, const cJSON *value, void *member, struct walk *walk);
    rpc_status (*encode)(const rpc_field *field, const void *member, struct walk *walk);
    const char *what;    /* a value of this kind, in words */
    size_t size;         /* of the C member */
    bool absent_by_null; /* the member itself can say that it was left out */
};

enum { KINDS = RPC_KIND_JSON + 1 };

static const struct kind kinds[KINDS];

const char *fields_name(const rpc_field *field)
{
    return field->name ? field->name : field->member;
}

bool fields_may_miss(const rpc_field *field)
{
    return field->optional || field->default_json;
}

static rpc_status misfit(struct walk *walk, const char *format, ...) __attribute__((format(printf, 2, 3)));

static rpc_status misfit(struct walk *walk, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(walk->why, FIELDS_WHY, format, arguments);
    va_end(arguments);
    return RPC_INVALID_PARAMS;
}

static rpc_status must_be(struct walk *walk, const rpc_field *field)
{
    char what[FIELDS_WHY - 100];
    return misfit(walk, "%s must be %s", fields_name(field), fields_describe(field, what, sizeof what));
}

/* ---- bool ---- */

static rpc_status decode_bool(const rpc_field *field, const cJSON *value, void *member, struct walk *walk)
{
    if (!cJSON_IsBool(value))
        return must_be(walk, field);
    *(bool *)member = cJSON_IsTrue(value);
    return RPC_OK;
}

static rpc_status encode_bool(const rpc_field *field, const void *member, struct walk *walk)
{
    (void)field;
    writer_text(walk->writer, *(const bool *)member ? "true" : "false");
    return RPC_OK;
}

/* ---- numbers ---- */

static bool has_range(const rpc_field *field)
{
    return field->range.min < field->range.max;
}

static bool in_range(const rpc_field *field, double number)
{
    return !has_range(field) || (number >= field->range.min && number <= field->range.max);
}

static rpc_status check_range(const rpc_field *field, double number, struct walk *walk)
{
    if (in_range(field, number))
        return RPC_OK;
    return misfit(walk, "%s: %.15g is outside %.15g..%.15g", fields_name(field), number, field->range.min,
                  field->range.max);
}

static rpc_status decode_double(const rpc_field *field, const cJSON *value, void *member, struct walk *walk)
{
    if (!json_is_number(value))
        return must_be(walk, field);
    *(double *)member = value->valuedouble;
    return check_range(field, value->valuedouble, walk);
}

static rpc_status encode_double(const rpc_field *field, const void *member, struct walk *walk)
{
    const double number = *(const double *)member;
    if (!isfinite(number))
        return misfit(walk, "%s is not finite", fields_name(field));
    const rpc_status status = check_range(field, number, walk);
    if (status == RPC_OK)
        writer_double(walk->writer, number);
    return status;
}

/* 2 to the power of 63: the first double that an int64_t does not hold. */
#define INT64_END 9223372036854775808.0

/* A number's digits without point and leading zeros, and where the point would stand: 0.digits * 10^point. */
struct decimal {
    char digits[JSON_NUMBER_MAX + 1];
    int count, point;
};

/* The exponent of a literal, 0 if it has none. Beyond three digits it does not matter how large it is. */
static int read_exponent(const char *literal)
{
    const char *mark = strpbrk(literal, "eE");
    const long exponent = mark ? strtol(mark + 1, NULL, 10) : 0;
    return exponent > 999 ? 999 : exponent < -999 ? -999 : (int)exponent;
}

static struct decimal read_decimal(const char *literal)
{
    struct decimal decimal = {.count = 0};
    bool behind_point = false;
    for (const char *c = literal + (*literal == '-'); *c == '.' || (*c >= '0' && *c <= '9'); c++) {
        if (*c == '.') {
            behind_point = true;
            continue;
        }
        if ((decimal.count || *c != '0') && decimal.count < JSON_NUMBER_MAX)
            decimal.digits[decimal.count++] = *c;
        decimal.point += decimal.count ? !behind_point : -behind_point;
    }
    while (decimal.count && decimal.digits[decimal.count - 1] == '0')
        decimal.count--;
    decimal.point += read_exponent(literal);
    return decimal;
}

/* Reads a long literal exactly: 9007199254740993.0 is an integer, 1.0…01 is none, 1234567890123456.7e1 is. */
static bool read_literal(const char *literal, int64_t *integer)
{
    enum { DIGITS = 19 }; /* of INT64_MAX */
    const struct decimal decimal = read_decimal(literal);
    char digits[DIGITS + 2] = "-";
    if (decimal.count && (decimal.point < decimal.count || decimal.point > DIGITS))
        return false;
    char *first = digits + (*literal == '-');
    for (int i = 0; decimal.count && i < decimal.point; i++)
        first[i] = i < decimal.count ? decimal.digits[i] : '0';
    errno = 0;
    *integer = strtoll(decimal.count ? digits : "0", NULL, 10);
    return errno == 0;
}

/* Whether a number is an integer of 64 bits. */
static bool read_integer(const cJSON *value, int64_t *integer)
{
    const double number = value->valuedouble;
    if (!json_is_number(value))
        return false;
    if (cJSON_IsRaw(value))
        return read_literal(value->valuestring, integer);
    if (!(number >= -INT64_END && number < INT64_END) || floor(number) != number)
        return false;
    *integer = (int64_t)number;
    return true;
}

static rpc_status decode_int64(const rpc_field *field, const cJSON *value, void *member, struct walk *walk)
{
    int64_t *integer = member;
    if (!read_integer(value, integer))
        return must_be(walk, field);
    return check_range(field, (double)*integer, walk);
}

static rpc_status encode_int64(const rpc_field *field, const void *member, struct walk *walk)
{
    const int64_t integer = *(const int64_t *)member;
    const rpc_status status = check_range(field, (double)integer, walk);
    if (status == RPC_OK)
        writer_integer(walk->writer, integer);
    return status;
}

static rpc_status decode_int32(const rpc_field *field, const cJSON *value, void *member, struct walk *walk)
{
    int64_t integer;
    if (!read_integer(value, &integer) || integer < INT32_MIN || integer > INT32_MAX)
        return must_be(walk, field);
    *(int32_t *)member = (int32_t)integer;
    return check_range(field, (double)integer, walk);
}

static rpc_status encode_int32(const rpc_field *field, const void *member, struct walk *walk)
{
    const int64_t integer = *(const int32_t *)member;
    return encode_int64(field, &integer, walk);
}

/* ---- strings ---- */

static rpc_status check_length(const rpc_field *field, const char *text, struct walk *walk)
{
    size_t characters;
    if (!text_is_utf8(text, &characters))
        return misfit(walk, "%s is not UTF-8", fields_name(field));
    if (characters >= field->length.min && characters <= field->length.max)
        return RPC_OK;
    return misfit(walk, "%s must have %u to %u characters, not %zu", fields_name(field), field->length.min,
                  field->length.max, characters);
}

static rpc_status decode_string(const rpc_field *field, const cJSON *value, void *member, struct walk *walk)
{
    if (!cJSON_IsString(value))
        return must_be(walk, field);
    *(const char **)member = value->valuestring;
    return check_length(field, value->valuestring, walk);
}

static rpc_status encode_string(const rpc_field *field, const void *member, struct walk *walk)
{
    const char *text = *(const char *const *)member;
    const rpc_status status = check_length(field, text, walk);
    if (status == RPC_OK)
        writer_string(walk->writer, text);
    return status;
}

static rpc_status decode_choice(const rpc_field *field, const cJSON *value, void *member, struct walk *walk)
{
    for (int i = 0; cJSON_IsString(value) && field->choices[i]; i++) {
        if (strcmp(field->choices[i], value->valuestring) == 0) {
            *(int *)member = i;
            return RPC_OK;
        }
    }
    return must_be(walk, field);
}

static rpc_status encode_choice(const rpc_field *field, const void *member, struct walk *walk)
{
    const int wanted = *(const int *)member;
    for (int i = 0; field->choices[i]; i++) {
        if (i == wanted) {
            writer_string(walk->writer, field->choices[i]);
            return RPC_OK;
        }
    }
    return must_be(walk, field);
}

/* ---- JSON as it is ---- */

static rpc_status decode_json(const rpc_field *field, const cJSON *value, void *member, struct walk *walk)
{
    (void)field;
    char *printed = cJSON_PrintUnformatted(value);
    rpc_json *json = member;
    json->text = printed ? arena_copy(walk->arena, printed, strlen(printed)) : NULL;
    cJSON_free(printed);
    return json->text ? RPC_OK : RPC_INTERNAL_ERROR;
}

static rpc_status encode_json(const rpc_field *field, const void *member, struct walk *walk)
{
    const char *text = ((const rpc_json *)member)->text;
    struct json_error error;
    if (!json_check(text, strlen(text), &error))
        return misfit(walk, "%s: %s", fields_name(field), error.why);
    writer_text(walk->writer, text);
    return RPC_OK;
}

static const struct kind kinds[KINDS] = {
    [RPC_KIND_BOOL] = {decode_bool, encode_bool, "true or false", sizeof(bool), false},
    [RPC_KIND_INT32] = {decode_int32, encode_int32, "a whole number of 32 bits", sizeof(int32_t), false},
    [RPC_KIND_INT64] = {decode_int64, encode_int64, "a whole number of 64 bits", sizeof(int64_t), false},
    [RPC_KIND_DOUBLE] = {decode_double, encode_double, "a number", sizeof(double), false},
    [RPC_KIND_STRING] = {decode_string, encode_string, "a string", sizeof(const char *), true},
    [RPC_KIND_CHOICE] = {decode_choice, encode_choice, "one of", sizeof(int), false},
    [RPC_KIND_JSON] = {decode_json, encode_json, "any JSON value", sizeof(rpc_json), true},
};

/* ---- Words ---- */

static void append(char *out, size_t capacity, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void append(char *out, size_t capacity, const char *format, ...)
{
    const size_t used = strlen(out);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out + used, capacity - used, format, arguments);
    va_end(arguments);
}

static void append_range(const rpc_field *field, char *out, size_t capacity)
{
    if (field->kind != RPC_KIND_DOUBLE)
        snprintf(out, capacity, "a whole number");
    if (isinf(field->range.max) && isinf(field->range.min))
        return;
    if (isinf(field->range.max))
        append(out, capacity, " of at least %.15g", field->range.min);
    else if (isinf(field->range.min))
        append(out, capacity, " of at most %.15g", field->range.max);
    else
        append(out, capacity, " from %.15g to %.15g", field->range.min, field->range.max);
}

const char *fields_describe(const rpc_field *field, char *out, size_t capacity)
{
    snprintf(out, capacity, "%s", kinds[field->kind].what);
    if (has_range(field))
        append_range(field, out, capacity);
    if (field->kind == RPC_KIND_STRING)
        append(out, capacity, " of %u to %u characters", field->length.min, field->length.max);
    for (int i = 0; field->choices && field->choices[i]; i++)
        append(out, capacity, "%s%s", i ? ", " : " ", field->choices[i]);
    return out;
}

/* ---- Checking a table ---- */

static bool is_scalar_without_trace(const rpc_field *field)
{
    return field->optional && !field->default_json && !field->flag && !kinds[field->kind].absent_by_null;
}

/* Whether .range is left out, or says something and of a number. */
static bool has_fitting_bounds(const rpc_field *field)
{
    const bool is_number =
        field->kind == RPC_KIND_INT32 || field->kind == RPC_KIND_INT64 || field->kind == RPC_KIND_DOUBLE;
    const bool left_out = field->range.min == 0 && field->range.max == 0;
    return left_out || (is_number && has_range(field));
}

static rpc_status check_field(const rpc_shape *shape, const rpc_field *field, struct walk *walk)
{
    const char *name = fields_name(field);
    if ((int)field->kind < 0 || (int)field->kind >= KINDS || !name || !*name)
        return misfit(walk, "a field was not made by one of the macros");
    if (field->offset + kinds[field->kind].size > shape->size || field->flag > shape->size)
        return misfit(walk, "%s is not a member of the shape's struct", name);
    if (field->kind == RPC_KIND_STRING && (!field->length.max || field->length.min > field->length.max))
        return misfit(walk, "%s needs a .length with a maximum", name);
    if ((field->kind == RPC_KIND_CHOICE) != (field->choices && field->choices[0]))
        return misfit(walk, "%s: .choices belongs to choices, and needs one at least", name);
    if (!has_fitting_bounds(field))
        return misfit(walk, "%s: a .range has a minimum below its maximum and belongs to a number", name);
    if (field->kind != RPC_KIND_STRING && (field->length.min || field->length.max))
        return misfit(walk, "%s: .length belongs to strings", name);
    if (is_scalar_without_trace(field))
        return misfit(walk, "%s is optional and needs a .default_json or a .flag", name);
    for (const rpc_field *other = shape->fields; other < field; other++) {
        if (strcmp(fields_name(other), name) == 0)
            return misfit(walk, "%s is declared twice", name);
    }
    return RPC_OK;
}

static rpc_status check_shape(const rpc_shape *shape, struct walk *walk)
{
    if (shape->form == RPC_FORM_BYTES)
        return shape->size == sizeof(rpc_bytes) && !shape->count ? RPC_OK
                                                                 : misfit(walk, "bytes have no fields");
    if (shape->form == RPC_FORM_VALUE && (shape->count != 1 || fields_may_miss(shape->fields)))
        return misfit(walk, "a value has one field, which is required");
    for (size_t i = 0; i < shape->count; i++) {
        const rpc_status status = check_field(shape, &shape->fields[i], walk);
        if (status != RPC_OK)
            return status;
    }
    return RPC_OK;
}

/* Parses one default, and decodes it once to see that it fits. */
static rpc_status prepare_default(const rpc_field *field, size_t size, cJSON **out, struct walk *walk)
{
    struct json_error error;
    *out = json_parse(field->default_json, strlen(field->default_json), &error);
    if (error.fault == JSON_NO_MEMORY)
        return RPC_INTERNAL_ERROR;
    if (error.fault != JSON_FINE)
        return misfit(walk, "the default of %s: %s", fields_name(field), error.why);
    char *trial = arena_alloc(walk->arena, size);
    return trial ? kinds[field->kind].decode(field, *out, trial + field->offset, walk) : RPC_INTERNAL_ERROR;
}

static rpc_status prepare_defaults(struct fields *fields, const rpc_shape *shape, struct walk *walk)
{
    if (!shape->count)
        return RPC_OK;
    fields->defaults = calloc(shape->count, sizeof *fields->defaults);
    if (!fields->defaults)
        return RPC_INTERNAL_ERROR;
    for (size_t i = 0; i < shape->count; i++) {
        if (!shape->fields[i].default_json)
            continue;
        const rpc_status status = prepare_default(&shape->fields[i], shape->size, &fields->defaults[i], walk);
        if (status != RPC_OK)
            return status;
    }
    return RPC_OK;
}

rpc_status fields_prepare(struct fields *fields, const rpc_shape *shape, char why[FIELDS_WHY])
{
    *fields = (struct fields){0};
    if (!shape)
        return RPC_OK;
    struct arena arena;
    arena_init(&arena);
    struct walk walk = {&arena, NULL, why};
    fields->shape = shape;
    rpc_status status = check_shape(shape, &walk);
    if (status == RPC_OK)
        status = prepare_defaults(fields, shape, &walk);
    arena_clear(&arena);
    if (status != RPC_OK)
        fields_release(fields);
    return status;
}

void fields_release(struct fields *fields)
{
    for (size_t i = 0; fields->defaults && i < fields->shape->count; i++)
        cJSON_Delete(fields->defaults[i]);
    free(fields->defaults);
    *fields = (struct fields){0};
}

/* ---- Decoding ---- */

static rpc_status decode_member(const rpc_field *field, const cJSON *value, const cJSON *fallback, char *out,
                                struct walk *walk)
{
    if (value && field->flag)
        *(bool *)(out + field->flag - 1) = true;
    if (!value)
        value = fallback;
    if (value)
        return kinds[field->kind].decode(field, value, out + field->offset, walk);
    return field->optional ? RPC_OK : misfit(walk, "%s is required", fields_name(field));
}

static rpc_status decode_object(const struct fields *fields, const cJSON *value, char *out, struct walk *walk)
{
    if (!cJSON_IsObject(value))
        return misfit(walk, "the parameters must be a JSON object");
    for (size_t i = 0; i < fields->shape->count; i++) {
        const rpc_field *field = &fields->shape->fields[i];
        const cJSON *member = cJSON_GetObjectItemCaseSensitive(value, fields_name(field));
        const rpc_status status = decode_member(field, member, fields->defaults[i], out, walk);
        if (status != RPC_OK)
            return status;
    }
    return RPC_OK;
}

rpc_status fields_decode(const struct fields *fields, const cJSON *value, struct arena *arena, void **out,
                         char why[FIELDS_WHY])
{
    struct walk walk = {arena, NULL, why};
    *out = arena_alloc(arena, fields->shape->size);
    if (!*out)
        return RPC_INTERNAL_ERROR;
    if (fields->shape->form == RPC_FORM_VALUE)
        return decode_member(fields->shape->fields, value, NULL, *out, &walk);
    return decode_object(fields, value, *out, &walk);
}

/* ---- Encoding ---- */

static bool is_left_out(const rpc_field *field, const char *in)
{
    if (field->flag && !*(const bool *)(in + field->flag - 1))
        return true;
    return kinds[field->kind].absent_by_null && !*(const char *const *)(const void *)(in + field->offset);
}

static rpc_status encode_members(const rpc_shape *shape, const char *in, struct walk *walk)
{
    for (size_t i = 0; i < shape->count; i++) {
        const rpc_field *field = &shape->fields[i];
        if (is_left_out(field, in)) {
            if (!fields_may_miss(field))
                return misfit(walk, "%s is missing", fields_name(field));
            continue;
        }
        writer_name(walk->writer, fields_name(field));
        const rpc_status status = kinds[field->kind].encode(field, in + field->offset, walk);
        if (status != RPC_OK)
            return status;
    }
    return RPC_OK;
}

rpc_status fields_encode_members(const rpc_shape *shape, const void *in, struct writer *writer,
                                 char why[FIELDS_WHY])
{
    struct walk walk = {NULL, writer, why};
    return encode_members(shape, in, &walk);
}

static rpc_status encode_value(const rpc_field *field, const char *in, struct walk *walk)
{
    if (is_left_out(field, in))
        return misfit(walk, "%s is missing", fields_name(field));
    return kinds[field->kind].encode(field, in + field->offset, walk);
}

rpc_status fields_encode(const rpc_shape *shape, const void *in, struct writer *writer, char why[FIELDS_WHY])
{
    struct walk walk = {NULL, writer, why};
    if (shape->form == RPC_FORM_VALUE)
        return encode_value(shape->fields, in, &walk);
    writer_text(writer, "{");
    const rpc_status status = encode_members(shape, in, &walk);
    writer_text(writer, "}");
    return status;
}

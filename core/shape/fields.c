// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Readers of field tables: see fields.h. For each kind there is one row in `fields_kinds`: how it is
 * decoded, encoded and described. Arrays are no kind: their elements are of one.
 */
#include "shape/fields.h"

#include "base/number.h"
#include "base/text.h"
#include "shape/codec_json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Words ---- */

/* Appends to a string, whose memory has `capacity` bytes: at most FIELDS_WHY. */
__attribute__((format(printf, 3, 4))) static void fields_append(char *out, size_t capacity,
                                                                const char *format, ...)
{
    char text[FIELDS_WHY + 1]; /* more than fits: text_cut() has to see what it cuts */
    const size_t used = strlen(out);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(out + used, capacity - used, "%.*s", (int)text_cut(text, capacity - used - 1), text);
}

/* Appends where a walk is: readings[3].value. An array of which no certain element is meant: readings[]. */
static void fields_append_path(char *out, const struct fields_step *step)
{
    enum { NAME_SHOWN = 40 }; /* bytes: eight of them, with indices, leave room for what is wrong */
    if (!step || !step->field)
        return;
    if (step->outer) {
        const bool any = step->outer->field->counter && step->outer->index == FIELDS_NO_INDEX;
        fields_append_path(out, step->outer);
        fields_append(out, FIELDS_WHY, any ? "[]." : ".");
    }
    const char *name = fields_name(step->field);
    fields_append(out, FIELDS_WHY, "%.*s", (int)text_cut(name, NAME_SHOWN), name);
    if (step->index != FIELDS_NO_INDEX)
        fields_append(out, FIELDS_WHY, "[%zu]", step->index);
}

rpc_status fields_misfit(struct fields_walk *walk, const char *format, ...)
{
    char text[FIELDS_WHY + 1];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    walk->why[0] = '\0';
    fields_append_path(walk->why, walk->step);
    fields_append(walk->why, FIELDS_WHY, "%s", text);
    return RPC_INVALID_PARAMS;
}

enum { FIELDS_NUMBER = 40 }; /* bytes that hold any number */

/* A written number as people write it: 1e9 for 1000000000, 1e-7 for 1e-07, 1e300 for 1e+300. */
static const char *fields_tidy(char number[FIELDS_NUMBER])
{
    enum { MANY_ZEROS = 9 };
    char *digits = number + (*number == '-');
    const size_t zeros = *digits ? strspn(digits + 1, "0") : 0;
    if (zeros >= MANY_ZEROS && !digits[1 + zeros])
        snprintf(digits + 1, FIELDS_NUMBER - 2, "e%zu", zeros);
    char *mark = strchr(number, 'e');
    if (!mark)
        return number;
    char *exponent = mark + 1 + (mark[1] == '-');
    const size_t needless = strspn(exponent, "+0");
    memmove(exponent, exponent + needless, strlen(exponent + needless) + 1);
    return number;
}

static const char *fields_print_number(double number, char out[FIELDS_NUMBER])
{
    if (isinf(number))
        return number < 0 ? "-inf" : "inf";
    out[number_print(number, out)] = '\0';
    return fields_tidy(out);
}

static void fields_append_range(const rpc_field *field, char *out, size_t capacity)
{
    char min[FIELDS_NUMBER], max[FIELDS_NUMBER];
    fields_print_number(field->range.min, min);
    fields_print_number(field->range.max, max);
    if (isfinite(field->range.min) && isfinite(field->range.max))
        fields_append(out, capacity, " from %s to %s", min, max);
    else if (isfinite(field->range.min))
        fields_append(out, capacity, " of at least %s", min);
    else if (isfinite(field->range.max))
        fields_append(out, capacity, " of at most %s", max);
}

/* A value of the field, or several. */
static void fields_append_values(const rpc_field *field, bool many, char *out, size_t capacity)
{
    const struct fields_kind *kind = &fields_kinds[field->kind];
    if (fields_has_range(field) && field->kind != RPC_KIND_DOUBLE)
        fields_append(out, capacity, many ? "whole numbers" : "a whole number");
    else
        fields_append(out, capacity, "%s", many ? kind->many : kind->one);
    if (fields_has_range(field))
        fields_append_range(field, out, capacity);
    if (field->kind == RPC_KIND_STRING)
        fields_append(out, capacity, " of %u to %u characters", field->length.min, field->length.max);
    for (unsigned i = 0; i < field->choices.count; i++)
        fields_append(out, capacity, "%s%s", i ? ", " : " ", field->choices.rows[i]);
}

const char *fields_describe(const rpc_field *field, char *out, size_t capacity)
{
    out[0] = '\0';
    if (field->counter)
        fields_append(out, capacity, "an array of %u to %u ", field->items.min, field->items.max);
    fields_append_values(field, field->counter != 0, out, capacity);
    if (field->nullable)
        fields_append(out, capacity, " or null");
    return out;
}

static rpc_status fields_must_be(struct fields_walk *walk, const rpc_field *field)
{
    char what[FIELDS_WHY] = "";
    if (walk->step->index == FIELDS_NO_INDEX)
        fields_describe(field, what, sizeof what);
    else
        fields_append_values(field, false, what, sizeof what);
    return fields_misfit(walk, " must be %s", what);
}

/* ---- bool ---- */

static rpc_status fields_decode_bool(const rpc_field *field, const cJSON *value, void *member,
                                     struct fields_walk *walk)
{
    if (!cJSON_IsBool(value))
        return fields_must_be(walk, field);
    *(bool *)member = cJSON_IsTrue(value);
    return RPC_OK;
}

static rpc_status fields_encode_bool(const rpc_field *field, const void *member, struct fields_walk *walk)
{
    (void)field;
    writer_bool(walk->writer, *(const bool *)member);
    return RPC_OK;
}

/* ---- numbers ---- */

static rpc_status fields_misfit_range(const rpc_field *field, const char *number, struct fields_walk *walk)
{
    char min[FIELDS_NUMBER], max[FIELDS_NUMBER];
    return fields_misfit(walk, ": %s is outside %s..%s", number, fields_print_number(field->range.min, min),
                         fields_print_number(field->range.max, max));
}

static rpc_status fields_check_double(const rpc_field *field, double number, struct fields_walk *walk)
{
    char text[FIELDS_NUMBER];
    if (!fields_has_range(field) || (number >= field->range.min && number <= field->range.max))
        return RPC_OK;
    return fields_misfit_range(field, fields_print_number(number, text), walk);
}

static rpc_status fields_decode_double(const rpc_field *field, const cJSON *value, void *member,
                                       struct fields_walk *walk)
{
    if (!json_is_number(value))
        return fields_must_be(walk, field);
    *(double *)member = value->valuedouble;
    return fields_check_double(field, value->valuedouble, walk);
}

static rpc_status fields_encode_double(const rpc_field *field, const void *member, struct fields_walk *walk)
{
    const double number = *(const double *)member;
    if (!isfinite(number))
        return fields_misfit(walk, " is not finite");
    writer_double(walk->writer, number);
    return fields_check_double(field, number, walk);
}

/* 2 to the power of 63: the first double that an int64_t does not hold. */
#define INT64_END 9223372036854775808.0

/* As integers: a double of one could be rounded onto the bound that it is beyond. */
struct fields_bounds fields_bounds(const rpc_field *field)
{
    struct fields_bounds bounds = {INT64_MIN, INT64_MAX};
    if (field->kind == RPC_KIND_INT32)
        bounds = (struct fields_bounds){INT32_MIN, INT32_MAX};
    if (!fields_has_range(field))
        return bounds;
    const double min = ceil(field->range.min), max = floor(field->range.max);
    if (min >= INT64_END || max < -INT64_END)
        return (struct fields_bounds){1, 0};
    if (min > (double)bounds.min)
        bounds.min = (int64_t)min;
    if (max < INT64_END && (int64_t)max < bounds.max)
        bounds.max = (int64_t)max;
    return bounds;
}

static rpc_status fields_check_integer(const rpc_field *field, int64_t integer, struct fields_walk *walk)
{
    char text[FIELDS_NUMBER];
    const struct fields_bounds bounds = fields_bounds(field);
    if (integer >= bounds.min && integer <= bounds.max)
        return RPC_OK;
    text[number_print_integer(integer, text)] = '\0';
    return fields_misfit_range(field, fields_tidy(text), walk);
}

/* Whether a number is an integer of 64 bits. A long literal is read exactly: 9007199254740993.0 is one. */
static bool fields_read_integer(const cJSON *value, int64_t *integer)
{
    const double number = value->valuedouble;
    struct numeral numeral;
    if (cJSON_IsRaw(value))
        return number_scan(value->valuestring, &numeral) && number_integer(&numeral, integer);
    if (!cJSON_IsNumber(value) || !(number >= -INT64_END && number < INT64_END) || floor(number) != number)
        return false;
    *integer = (int64_t)number;
    return true;
}

static rpc_status fields_decode_integer(const rpc_field *field, const cJSON *value, void *member,
                                        struct fields_walk *walk)
{
    const bool is_short = field->kind == RPC_KIND_INT32;
    int64_t integer;
    if (!fields_read_integer(value, &integer) || (is_short && integer != (int32_t)integer))
        return fields_must_be(walk, field);
    if (is_short)
        *(int32_t *)member = (int32_t)integer;
    else
        *(int64_t *)member = integer;
    return fields_check_integer(field, integer, walk);
}

static rpc_status fields_encode_integer(const rpc_field *field, const void *member, struct fields_walk *walk)
{
    const int64_t integer =
        field->kind == RPC_KIND_INT32 ? *(const int32_t *)member : *(const int64_t *)member;
    writer_integer(walk->writer, integer);
    return fields_check_integer(field, integer, walk);
}

/* ---- strings ---- */

/* what: the things that were counted, in words. */
static rpc_status fields_check_count(size_t count, uint32_t min, uint32_t max, const char *what,
                                     struct fields_walk *walk)
{
    if (count >= min && count <= max)
        return RPC_OK;
    return fields_misfit(walk, " must have %u to %u %s, not %zu", min, max, what, count);
}

static rpc_status fields_check_length(const rpc_field *field, const char *text, struct fields_walk *walk)
{
    size_t characters;
    if (!text_is_utf8(text, &characters))
        return fields_misfit(walk, " is not UTF-8");
    return fields_check_count(characters, field->length.min, field->length.max, "characters", walk);
}

static rpc_status fields_decode_string(const rpc_field *field, const cJSON *value, void *member,
                                       struct fields_walk *walk)
{
    if (!cJSON_IsString(value))
        return fields_must_be(walk, field);
    const char *text = value->valuestring;
    const rpc_status status = fields_check_length(field, text, walk);
    if (status == RPC_OK && walk->copies)
        text = arena_copy(walk->arena, text, strlen(text));
    *(const char **)member = text;
    return text ? status : RPC_INTERNAL_ERROR;
}

static rpc_status fields_encode_string(const rpc_field *field, const void *member, struct fields_walk *walk)
{
    const char *text = *(const char *const *)member;
    const rpc_status status = fields_check_length(field, text, walk);
    if (status == RPC_OK)
        writer_string(walk->writer, text);
    return status;
}

static rpc_status fields_decode_choice(const rpc_field *field, const cJSON *value, void *member,
                                       struct fields_walk *walk)
{
    for (unsigned i = 0; cJSON_IsString(value) && i < field->choices.count; i++) {
        if (strcmp(field->choices.rows[i], value->valuestring) == 0) {
            *(int *)member = (int)i;
            return RPC_OK;
        }
    }
    return fields_must_be(walk, field);
}

static rpc_status fields_encode_choice(const rpc_field *field, const void *member, struct fields_walk *walk)
{
    const int choice = *(const int *)member;
    if (choice < 0 || (unsigned)choice >= field->choices.count)
        return fields_must_be(walk, field);
    writer_string(walk->writer, field->choices.rows[choice]);
    return RPC_OK;
}

/* ---- JSON as it is ---- */

static rpc_status fields_decode_json(const rpc_field *field, const cJSON *value, void *member,
                                     struct fields_walk *walk)
{
    (void)field;
    rpc_json *json = member;
    json->text = codec_json_text(value, walk->arena);
    return json->text ? RPC_OK : RPC_INTERNAL_ERROR;
}

static rpc_status fields_encode_json(const rpc_field *field, const void *member, struct fields_walk *walk)
{
    (void)field;
    const char *text = ((const rpc_json *)member)->text;
    struct json_error error;
    if (!json_check(text, strlen(text), &error))
        return fields_misfit(walk, ": %s", error.why);
    writer_json(walk->writer, text);
    return RPC_OK;
}

/* ---- objects ---- */

static rpc_status fields_decode_shape(const struct fields *fields, const cJSON *value, char *out,
                                      struct fields_walk *walk);
static rpc_status fields_encode_shape(const rpc_shape *shape, const char *in, struct fields_walk *walk);

static rpc_status fields_decode_object(const rpc_field *field, const cJSON *value, void *member,
                                       struct fields_walk *walk)
{
    if (!cJSON_IsObject(value))
        return fields_must_be(walk, field);
    const struct fields *fields = walk->step->fields;
    return fields_decode_shape(&fields->nested[field - fields->shape->fields], value, member, walk);
}

static rpc_status fields_encode_object(const rpc_field *field, const void *member, struct fields_walk *walk)
{
    writer_begin_object(walk->writer);
    const rpc_status status = fields_encode_shape(field->shape, member, walk);
    writer_end_object(walk->writer);
    return status;
}

const struct fields_kind fields_kinds[FIELDS_KINDS] = {
    [RPC_KIND_BOOL] = {fields_decode_bool, fields_encode_bool, "boolean", "true or false",
                       "values, each true or false", sizeof(bool), false},
    [RPC_KIND_INT32] = {fields_decode_integer, fields_encode_integer, "integer", "a whole number of 32 bits",
                        "whole numbers of 32 bits", sizeof(int32_t), false},
    [RPC_KIND_INT64] = {fields_decode_integer, fields_encode_integer, "integer", "a whole number of 64 bits",
                        "whole numbers of 64 bits", sizeof(int64_t), false},
    [RPC_KIND_DOUBLE] = {fields_decode_double, fields_encode_double, "number", "a number", "numbers",
                         sizeof(double), false},
    [RPC_KIND_STRING] = {fields_decode_string, fields_encode_string, "string", "a string", "strings",
                         sizeof(const char *), true},
    [RPC_KIND_CHOICE] = {fields_decode_choice, fields_encode_choice, "string", "one of",
                         "values, each one of", sizeof(int), false},
    [RPC_KIND_JSON] = {fields_decode_json, fields_encode_json, NULL, "any JSON value",
                       "values, each any JSON value", sizeof(rpc_json), true},
    [RPC_KIND_OBJECT] = {fields_decode_object, fields_encode_object, "object", "an object", "objects", 0,
                         false},
};

/* ---- Members that are not declared ---- */

void fields_set_strict(struct fields *fields)
{
    fields->strict = true;
    for (size_t i = 0; fields->shape && i < fields->shape->count; i++) {
        if (fields->shape->fields[i].shape)
            fields_set_strict(&fields->nested[i]);
    }
}

const rpc_field *fields_find(const rpc_shape *shape, const char *name)
{
    const size_t count = shape && shape->form == RPC_FORM_OBJECT ? shape->count : 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(fields_name(&shape->fields[i]), name) == 0)
            return &shape->fields[i];
    }
    return NULL;
}

bool fields_declare(const struct fields *fields, const char *name)
{
    const rpc_shape *shape = fields->shape;
    if (shape && shape->form == RPC_FORM_VALUE)
        shape = shape->fields->shape;
    return fields_find(shape, name);
}

/* ---- Keys ---- */

bool fields_can_be_key(const rpc_field *field)
{
    const bool is_text = field->kind == RPC_KIND_STRING || field->kind == RPC_KIND_CHOICE;
    const bool is_integer = field->kind == RPC_KIND_INT32 || field->kind == RPC_KIND_INT64;
    return (is_text || is_integer) && !field->counter && !field->nullable && !fields_may_miss(field);
}

const char *fields_key(const rpc_field *field, const void *in, char number[FIELDS_KEY])
{
    const void *member = (const char *)in + field->offset;
    if (field->kind == RPC_KIND_STRING)
        return *(const char *const *)member;
    if (field->kind == RPC_KIND_CHOICE)
        return field->choices.rows[*(const int *)member];
    const int64_t integer =
        field->kind == RPC_KIND_INT32 ? *(const int32_t *)member : *(const int64_t *)member;
    number[number_print_integer(integer, number)] = '\0';
    return number;
}

const char *fields_key_of(const cJSON *item, char number[FIELDS_KEY])
{
    int64_t integer;
    if (cJSON_IsString(item))
        return item->valuestring;
    if (!item || !fields_read_integer(item, &integer))
        return NULL;
    number[number_print_integer(integer, number)] = '\0';
    return number;
}

/* Finds the first member that no field declares, and names the nearest field. The walk is still outside of
 * the object. */
static rpc_status fields_check_undeclared(const rpc_shape *shape, const cJSON *object,
                                          struct fields_walk *walk)
{
    enum { NAME_SHOWN = 64 }; /* bytes */
    const cJSON *member = object->child;
    while (member && fields_find(shape, member->string))
        member = member->next;
    if (!member)
        return RPC_OK;
    struct text_near near = text_near_to(member->string);
    for (size_t i = 0; i < shape->count; i++)
        text_near_try(&near, fields_name(&shape->fields[i]));
    return fields_misfit(walk, "%s%.*s is not declared%s%s%s", walk->step && walk->step->field ? "." : "",
                         (int)text_cut(member->string, NAME_SHOWN), member->string,
                         near.best ? ", did you mean " : "", near.best ? near.best : "",
                         near.best ? "?" : "");
}

/* ---- Decoding ---- */

static rpc_status fields_decode_array(const rpc_field *field, const cJSON *value, char *out,
                                      struct fields_walk *walk)
{
    if (!cJSON_IsArray(value))
        return fields_must_be(walk, field);
    size_t *index = &walk->step->index;
    const size_t count = (size_t)cJSON_GetArraySize(value);
    rpc_status status = fields_check_count(count, field->items.min, field->items.max, "elements", walk);
    if (status != RPC_OK)
        return status;
    char *elements = count > SIZE_MAX / field->size ? NULL : arena_alloc(walk->arena, count * field->size);
    if (!elements)
        return RPC_INTERNAL_ERROR;
    memcpy(out + field->offset, &elements, sizeof elements);
    memcpy(out + field->counter - 1, &count, sizeof count);
    *index = 0;
    for (const cJSON *item = value->child; item && status == RPC_OK; item = item->next, ++*index)
        status = fields_kinds[field->kind].decode(field, item, elements + *index * field->size, walk);
    *index = FIELDS_NO_INDEX;
    return status;
}

rpc_status fields_decode_member(const rpc_field *field, const cJSON *value, const cJSON *fallback, char *out,
                                struct fields_walk *walk)
{
    const bool null = value && field->nullable && cJSON_IsNull(value);
    if (null)
        value = NULL;
    if (value && field->flag)
        *(bool *)(out + field->flag - 1) = true;
    if (!value)
        value = fallback;
    if (!value)
        return null || fields_may_miss(field) ? RPC_OK : fields_misfit(walk, " is required");
    if (field->counter)
        return fields_decode_array(field, value, out, walk);
    return fields_kinds[field->kind].decode(field, value, out + field->offset, walk);
}

/* Decodes an object by its members' names, an array in the order of the fields, or the one value, which is
 * NULL if it is not there. */
static rpc_status fields_decode_shape(const struct fields *fields, const cJSON *value, char *out,
                                      struct fields_walk *walk)
{
    const rpc_shape *shape = fields->shape;
    const bool is_value = shape->form == RPC_FORM_VALUE, by_name = !is_value && cJSON_IsObject(value);
    const cJSON *element = is_value ? value : value->child;
    struct fields_step step = fields_enter(walk, fields);
    rpc_status status = fields->strict && by_name ? fields_check_undeclared(shape, value, walk) : RPC_OK;
    walk->step = &step;
    for (size_t i = 0; i < shape->count && status == RPC_OK; i++) {
        step.field = &shape->fields[i];
        const cJSON *member = by_name ? json_member(value, fields_name(step.field)) : element;
        element = element ? element->next : NULL;
        status = fields_decode_member(step.field, member, fields->defaults[i], out, walk);
    }
    walk->step = step.outer;
    return status;
}

rpc_status fields_decode(const struct fields *fields, const cJSON *value, struct arena *arena, void **out,
                         char why[FIELDS_WHY])
{
    struct fields_walk walk = {.arena = arena, .copies = fields->copies, .why = why};
    if (fields->shape->form == RPC_FORM_OBJECT && !cJSON_IsObject(value))
        return fields_misfit(&walk, "the parameters must be a JSON object");
    *out = arena_alloc(arena, fields->shape->size);
    return *out ? fields_decode_shape(fields, value, *out, &walk) : RPC_INTERNAL_ERROR;
}

rpc_status fields_decode_positional(const struct fields *fields, const cJSON *array, struct arena *arena,
                                    void **out, char why[FIELDS_WHY])
{
    struct fields_walk walk = {.arena = arena, .copies = fields->copies, .why = why};
    const size_t max = fields->shape->count;
    if ((size_t)cJSON_GetArraySize(array) > max)
        return fields_misfit(&walk, "there %s at most %zu parameter%s", max == 1 ? "is" : "are", max,
                             max == 1 ? "" : "s");
    const cJSON *value = fields->shape->form == RPC_FORM_VALUE ? array->child : array;
    *out = arena_alloc(arena, fields->shape->size);
    return *out ? fields_decode_shape(fields, value, *out, &walk) : RPC_INTERNAL_ERROR;
}

/* ---- Encoding ---- */

/* The elements that a struct points at, of any type. */
static const char *fields_elements_of(const rpc_field *field, const char *in, size_t *count)
{
    const char *elements;
    memcpy(&elements, in + field->offset, sizeof elements);
    memcpy(count, in + field->counter - 1, sizeof *count);
    return elements;
}

static bool fields_is_null(const rpc_field *field, const char *member)
{
    return fields_kinds[field->kind].absent_by_null && !*(const char *const *)(const void *)member;
}

static rpc_status fields_encode_array(const rpc_field *field, const char *in, struct fields_walk *walk)
{
    size_t count;
    const char *elements = fields_elements_of(field, in, &count);
    if (!elements && count)
        return fields_misfit(walk, " has a count and no elements");
    rpc_status status = fields_check_count(count, field->items.min, field->items.max, "elements", walk);
    writer_begin_array(walk->writer);
    for (size_t i = 0; i < count && status == RPC_OK; i++) {
        const char *element = elements + i * field->size;
        walk->step->index = i;
        status = fields_is_null(field, element) ? fields_misfit(walk, " is missing")
                                                : fields_kinds[field->kind].encode(field, element, walk);
    }
    walk->step->index = FIELDS_NO_INDEX;
    writer_end_array(walk->writer);
    return status;
}

static bool fields_is_left_out(const rpc_field *field, const char *in)
{
    if (field->flag && !*(const bool *)(in + field->flag - 1))
        return true;
    if (!field->counter)
        return fields_is_null(field, in + field->offset);
    size_t count;
    return !fields_elements_of(field, in, &count) && !count && (field->optional || field->nullable);
}

/* Encodes a field as a member of the open object, or alone, as the one value of its shape. */
static rpc_status fields_encode_field(const rpc_field *field, bool is_alone, const char *in,
                                      struct fields_walk *walk)
{
    const bool left_out = fields_is_left_out(field, in);
    if (left_out && (field->optional || (field->default_json && !field->nullable)))
        return RPC_OK;
    if (left_out && !field->nullable)
        return fields_misfit(walk, " is missing");
    if (!is_alone)
        writer_name(walk->writer, fields_name(field));
    if (left_out) {
        writer_null(walk->writer);
        return RPC_OK;
    }
    if (field->counter)
        return fields_encode_array(field, in, walk);
    return fields_kinds[field->kind].encode(field, in + field->offset, walk);
}

/* The members of an object without its braces, or the one value. */
static rpc_status fields_encode_shape(const rpc_shape *shape, const char *in, struct fields_walk *walk)
{
    struct fields_step step = fields_enter(walk, NULL);
    rpc_status status = RPC_OK;
    walk->step = &step;
    for (size_t i = 0; i < shape->count && status == RPC_OK; i++) {
        step.field = &shape->fields[i];
        status = fields_encode_field(step.field, shape->form == RPC_FORM_VALUE, in, walk);
    }
    walk->step = step.outer;
    return status;
}

rpc_status fields_encode_members(const rpc_shape *shape, const void *in, struct writer *writer,
                                 char why[FIELDS_WHY])
{
    struct fields_walk walk = {.writer = writer, .why = why};
    return fields_encode_shape(shape, in, &walk);
}

rpc_status fields_encode(const rpc_shape *shape, const void *in, struct writer *writer, char why[FIELDS_WHY])
{
    if (shape->form == RPC_FORM_VALUE)
        return fields_encode_members(shape, in, writer, why);
    writer_begin_object(writer);
    const rpc_status status = fields_encode_members(shape, in, writer, why);
    writer_end_object(writer);
    return status;
}

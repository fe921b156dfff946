// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/shape/schema.c: the text of the schema of each kind of field, and cases that no field of a real module
 * has. test/documents compares schemas with the engine.
 */
#include "shape/codec_json.h"
#include "shape/schema.h"
#include "unit.h"

#include <math.h>
#include <string.h>

static char out[4096];

static const char *schema_as(const rpc_shape *shape, bool strict)
{
    memset(out, 0, sizeof out);
    struct writer writer = writer_make(&codec_json, out, sizeof out - 1);
    schema_write(shape, strict, &writer);
    ck_assert(!writer.full);
    return out;
}

static const char *schema_of(const rpc_shape *shape)
{
    return schema_as(shape, false);
}

struct thing {
    bool truth;
    int32_t small;
    int64_t large;
    double number;
    const char *text;
    int choice;
    rpc_json json;
    bool has;
    const double *numbers;
    size_t count;
};

static const char *const words[] = {"a", "\"b\""};

#define SMALLEST "-9223372036854775808"
#define LARGEST "9223372036854775807"
#define LEAST "-1.7976931348623157e+308"
#define MOST "1.7976931348623157e+308"
#define FLAG .flag = RPC_FLAG(struct thing, has)

static const struct row {
    rpc_field field;
    const char *json;
} rows[] = {
    {RPC_BOOL(struct thing, truth, .doc = "d"), "{\"description\":\"d\",\"type\":\"boolean\"}"},
    {RPC_BOOL(struct thing, truth, .nullable = true, FLAG), "{\"type\":[\"boolean\",\"null\"]}"},
    {RPC_INT32(struct thing, small, .unit = "ms"),
     "{\"type\":\"integer\",\"minimum\":-2147483648,\"maximum\":2147483647,\"x-unit\":\"ms\"}"},
    {RPC_INT32(struct thing, small, .range = {0.5, 2.5}, .default_json = "1"),
     "{\"type\":\"integer\",\"minimum\":1,\"maximum\":2,\"default\":1}"},
    {RPC_INT32(struct thing, small, .range = {-1e12, 7}),
     "{\"type\":\"integer\",\"minimum\":-2147483648,\"maximum\":7}"},
    /* Limits beyond the range of the kind are not written. */
    {RPC_INT32(struct thing, small, .range = {3e9, 4e9}),
     "{\"type\":\"integer\",\"minimum\":3000000000,\"maximum\":2147483647}"},
    {RPC_INT32(struct thing, small, .range = {-4e9, -3e9}),
     "{\"type\":\"integer\",\"minimum\":-2147483648,\"maximum\":-3000000000}"},
    {RPC_INT64(struct thing, large, .range = {9223372036854775808.0, 1e30}),
     "{\"type\":\"integer\",\"minimum\":1,\"maximum\":0}"},
    {RPC_INT64(struct thing, large, .range = {-1e30, -1e29}),
     "{\"type\":\"integer\",\"minimum\":1,\"maximum\":0}"},
    {RPC_INT64(struct thing, large, .doc = NULL),
     "{\"type\":\"integer\",\"minimum\":" SMALLEST ",\"maximum\":" LARGEST "}"},
    {RPC_INT64(struct thing, large, .range = {-1e30, 1e30}),
     "{\"type\":\"integer\",\"minimum\":" SMALLEST ",\"maximum\":" LARGEST "}"},
    {RPC_INT64(struct thing, large, .range = {-9223372036854775808.0, 9223372036854775808.0}),
     "{\"type\":\"integer\",\"minimum\":" SMALLEST ",\"maximum\":" LARGEST "}"},
    {RPC_INT64(struct thing, large, .range = {0, INFINITY}),
     "{\"type\":\"integer\",\"minimum\":0,\"maximum\":" LARGEST "}"},
    {RPC_DOUBLE(struct thing, number, .doc = NULL),
     "{\"type\":\"number\",\"minimum\":" LEAST ",\"maximum\":" MOST "}"},
    {RPC_DOUBLE(struct thing, number, .range = {-INFINITY, 0.1}),
     "{\"type\":\"number\",\"minimum\":" LEAST ",\"maximum\":0.1}"},
    {RPC_DOUBLE(struct thing, number, .range = {-90, 60}, .nullable = true, FLAG),
     "{\"type\":[\"number\",\"null\"],\"minimum\":-90,\"maximum\":60}"},
    {RPC_STRING(struct thing, text, .length = {0, 9}),
     "{\"type\":\"string\",\"maxLength\":9,\"pattern\":\"^[^\\\\u0000]*$\"}"},
    {RPC_STRING(struct thing, text, .length = {1, 9}),
     "{\"type\":\"string\",\"minLength\":1,\"maxLength\":9,\"pattern\":\"^[^\\\\u0000]*$\"}"},
    {RPC_CHOICE(struct thing, choice, .choices = RPC_TABLE(words)),
     "{\"type\":\"string\",\"enum\":[\"a\",\"\\\"b\\\"\"]}"},
    {RPC_CHOICE(struct thing, choice, .choices = RPC_TABLE(words), .nullable = true, FLAG),
     "{\"type\":[\"string\",\"null\"],\"enum\":[\"a\",\"\\\"b\\\"\",null]}"},
    {RPC_JSON(struct thing, json, .doc = NULL), "{}"},
    {RPC_JSON(struct thing, json, .doc = "d", .nullable = true), "{\"description\":\"d\"}"},
    {RPC_DOUBLE_ARRAY(struct thing, numbers, count, .doc = "d", .items = {1, 3}, .range = {0, 1}),
     "{\"description\":\"d\",\"type\":\"array\",\"items\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1},"
     "\"minItems\":1,\"maxItems\":3}"},
    {RPC_DOUBLE_ARRAY(struct thing, numbers, count, .items = {0, 3}, .range = {0, 1}, .nullable = true,
                      .default_json = "[]", .unit = "V"),
     "{\"type\":[\"array\",\"null\"],\"items\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1},"
     "\"maxItems\":3,\"default\":[],\"x-unit\":\"V\"}"},
};

START_TEST(fields)
{
    const rpc_shape shape = {RPC_FORM_VALUE, sizeof(struct thing), &rows[_i].field, 1};
    ck_assert_str_eq(schema_of(&shape), rows[_i].json);
}
END_TEST

static const rpc_field inner_fields[] = {RPC_BOOL(struct thing, truth, .doc = NULL)};
static const rpc_shape inner_shape = RPC_OBJECT_SHAPE(struct thing, inner_fields);

#define INNER "\"properties\":{\"truth\":{\"type\":\"boolean\"}},\"required\":[\"truth\"]"

struct outer {
    struct thing one;
    bool has;
    const struct thing *many;
    size_t count;
};

static const rpc_field outer_fields[] = {
    RPC_OBJECT(struct outer, one, struct thing, .name = "the one", .shape = &inner_shape, .nullable = true,
               .flag = RPC_FLAG(struct outer, has)),
    RPC_OBJECT_ARRAY(struct outer, many, count, struct thing, .shape = &inner_shape, .optional = true,
                     .items = {0, 2}),
};
static const rpc_shape outer_shape = RPC_OBJECT_SHAPE(struct outer, outer_fields);

START_TEST(objects)
{
    ck_assert_str_eq(schema_of(&outer_shape),
                     "{\"type\":\"object\",\"properties\":{\"the one\":{\"type\":[\"object\",\"null\"]," INNER
                     "},\"many\":{\"type\":\"array\",\"items\":{\"type\":\"object\"," INNER
                     "},\"maxItems\":2}},\"required\":[\"the one\"]}");
}
END_TEST

START_TEST(other_shapes)
{
    static const rpc_shape bytes = RPC_BYTES_SHAPE;
    static const rpc_field optional_fields[] = {RPC_BOOL(struct thing, truth, .default_json = "true")};
    static const rpc_shape optional = RPC_OBJECT_SHAPE(struct thing, optional_fields);
    ck_assert_str_eq(schema_of(NULL), "{\"type\":\"object\"}");
    ck_assert_str_eq(schema_as(NULL, true), "{\"type\":\"object\",\"additionalProperties\":false}");
    ck_assert_str_eq(schema_as(&inner_shape, true),
                     "{\"type\":\"object\"," INNER ",\"additionalProperties\":false}");
    ck_assert_ptr_nonnull(strstr(schema_as(&outer_shape, true), INNER ",\"additionalProperties\":false}"));
    ck_assert_ptr_null(strstr(schema_of(&outer_shape), "additionalProperties"));
    ck_assert_str_eq(schema_of(&bytes), "{}");
    ck_assert_str_eq(
        schema_of(&optional),
        "{\"type\":\"object\",\"properties\":{\"truth\":{\"type\":\"boolean\",\"default\":true}}}");
}
END_TEST

START_TEST(errors)
{
    const rpc_error plain = {.code = "plain"};
    const rpc_error more = {.code = "more", .data = &inner_shape};
    struct writer writer = writer_make(&codec_json, out, sizeof out - 1);
    writer_begin_array(&writer);
    schema_write_error(&plain, &writer);
    schema_write_error(&more, &writer);
    schema_write_any_error(&writer);
    writer_end_array(&writer);
    out[writer.used] = '\0';
#define ERROR(code, data)                                                                      \
    "{\"type\":\"object\",\"properties\":{\"method\":{\"type\":\"string\"},\"err\":{\"type\":" \
    "\"string\"" code "},\"msg\":{\"type\":\"string\"}" data "},\"required\":[\"method\",\"err\"]}"
    ck_assert_str_eq(out,
                     "[" ERROR(",\"const\":\"plain\"", "") "," ERROR(
                         ",\"const\":\"more\"", ",\"truth\":{\"type\":\"boolean\"}") "," ERROR("", "") "]");
}
END_TEST

UNIT_MAIN("schema", NULL, NULL, {fields, UNIT_ROWS(rows)}, {objects, 0}, {other_shapes, 0}, {errors, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/shape/schema.c: the text of the schema of each kind of field, and cases that no field of a real module
 * has. test/documents compares schemas with the engine.
 */
#include "shape/codec_json.h"
#include "shape/schema.h"
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static char out[4096];

static const char *schema_named(const rpc_shape *shape, bool strict, const struct schema_name *name)
{
    memset(out, 0, sizeof out);
    struct writer writer = writer_make(&codec_json, out, sizeof out - 1);
    schema_write(shape, strict, name, &writer);
    ck_assert(!writer.full);
    return out;
}

static const char *schema_as(const rpc_shape *shape, bool strict)
{
    return schema_named(shape, strict, NULL);
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
    {RPC_DOUBLE(struct thing, number, .doc = NULL), "{\"type\":\"number\"}"},
    {RPC_DOUBLE(struct thing, number, .range = {-INFINITY, 0.1}), "{\"type\":\"number\",\"maximum\":0.1}"},
    {RPC_DOUBLE(struct thing, number, .range = {-7, INFINITY}), "{\"type\":\"number\",\"minimum\":-7}"},
    {RPC_DOUBLE(struct thing, number, .range = {-INFINITY, INFINITY}), "{\"type\":\"number\"}"},
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
    const rpc_shape shape = {RPC_FORM_VALUE, sizeof(struct thing), &rows[_i].field, 1, NULL};
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
    schema_write_error(&plain, SCHEMA_METHOD, NULL, NULL, &writer);
    schema_write_error(&more, SCHEMA_METHOD, NULL, NULL, &writer);
    schema_write_error(&more, SCHEMA_METHOD, "#/x", NULL, &writer);
    schema_write_added(&inner_shape, NULL, &writer);
    schema_write_error(NULL, SCHEMA_ANY, NULL, NULL, &writer);
    writer_end_array(&writer);
    out[writer.used] = '\0';
#define ERROR_AND(code, data, more)                                                            \
    "{\"type\":\"object\",\"properties\":{\"method\":{\"type\":\"string\"},\"err\":{\"type\":" \
    "\"string\"" code "},\"msg\":{\"type\":\"string\"}" data "}" more ",\"required\":[\"method\",\"err\"]}"
#define ERROR(code, data) ERROR_AND(code, data, "")
    ck_assert_str_eq(
        out, "[" ERROR(",\"const\":\"plain\"", "") "," ERROR(
                 ",\"const\":\"more\"",
                 ",\"truth\":{\"type\":"
                 "\"boolean\"}") "," ERROR_AND(",\"const\":\"more\"", "",
                                               ",\"allOf\":[{\"$ref\":\"#/x\"}]") ",{\"type\":\"object\","
                                                                                  "\"properties\":{\"truth\":"
                                                                                  "{\"type\":"
                                                                                  "\"boolean\"}}}," ERROR(
                                                                                      "", "") "]");
}
END_TEST

/* ---- Titles ---- */

static struct titles titles;

static const char *title_of(const rpc_shape *shape, bool strict, const char *what)
{
    static char title[TITLES_MAX];
    const struct schema_name name = {&titles, "house", what, "Params"};
    const char *schema = schema_named(shape, strict, &name);
    ck_assert_ptr_eq(strstr(schema, "{\"title\":\""), schema);
    snprintf(title, sizeof title, "%.*s", (int)strcspn(schema + 10, "\""), schema + 10);
    return title;
}

static void open_titles(void)
{
    titles_init(&titles);
}

static void close_titles(void)
{
    ck_assert(!titles.failed);
    titles_fini(&titles);
}

/* The outermost object is named by where it came first, those in it by their struct. */
START_TEST(objects_have_titles)
{
    const struct schema_name name = {&titles, "house", "open/the_Door", "Params"};
    const char *schema = schema_named(&outer_shape, false, &name);
    ck_assert_ptr_nonnull(strstr(schema, "{\"title\":\"OpenTheDoorParams\",\"type\":\"object\""));
    ck_assert_ptr_nonnull(
        strstr(schema, "\"the one\":{\"title\":\"HouseThingOrNull\",\"type\":[\"object\",\"null\"]"));
    ck_assert_ptr_nonnull(strstr(schema, "\"items\":{\"title\":\"HouseThing\",\"type\":\"object\""));
}
END_TEST

START_TEST(a_title_is_that_of_one_schema)
{
    static const rpc_field field[] = {RPC_BOOL(struct thing, truth, .doc = NULL)};
    static const rpc_shape one = RPC_OBJECT_SHAPE(struct thing, field),
                           two = RPC_OBJECT_SHAPE(struct thing, field);
    static const rpc_shape three = RPC_OBJECT_SHAPE(struct thing, field);
    ck_assert_str_eq(title_of(&one, false, "door"), "DoorParams");
    ck_assert_str_eq(title_of(&one, false, "window"), "DoorParams");
    ck_assert_str_eq(title_of(&two, false, "Door"), "HouseDoorParams");
    ck_assert_str_eq(title_of(&one, true, "door"), "HouseDoorParams2");
    ck_assert_str_eq(title_of(&three, false, "window"), "WindowParams");
    ck_assert_str_eq(title_of(&two, false, "window"), "HouseDoorParams");
    ck_assert_str_eq(title_of(NULL, false, "door"), "AnyObject");
    ck_assert_str_eq(title_of(NULL, false, "window"), "AnyObject");
    ck_assert_str_eq(title_of(NULL, true, "door"), "EmptyObject");
}
END_TEST

START_TEST(errors_have_titles)
{
    const struct schema_name name = {&titles, "house", NULL, NULL}, other = {&titles, "shed", NULL, NULL};
    const rpc_error stuck = {.code = "door_stuck"}, more = {.code = "door_stuck", .data = &inner_shape};
    ck_assert_str_eq(schema_title_error(&stuck, SCHEMA_METHOD, &name), "DoorStuckError");
    ck_assert_str_eq(schema_title_error(&stuck, SCHEMA_METHOD, &other), "DoorStuckError");
    ck_assert_str_eq(schema_title_error(&more, SCHEMA_METHOD, &other), "ShedDoorStuckError");
    ck_assert_str_eq(schema_title_error(&more, SCHEMA_DEVICE, &name), "DoorStuckCause");
    ck_assert_str_eq(schema_title_error(NULL, SCHEMA_ENGINE, &name), "EngineError");
    ck_assert_str_eq(schema_title_error(NULL, SCHEMA_ANY, &other), "Error");
    ck_assert_str_eq(schema_title_added(&inner_shape, &name), "HouseThingData");
    ck_assert_str_eq(schema_title_added(&inner_shape, &other), "HouseThingData");
}
END_TEST

/* Names of any length and of any characters. */
START_TEST(titles_are_bounded)
{
    char what[2001];
    memset(what, 'n', sizeof what - 1);
    what[sizeof what - 1] = '\0';
    for (int i = 0; i < 12; i++) {
        const rpc_shape shape = inner_shape;
        const char *title = title_of(&shape, i, what);
        ck_assert_uint_lt(strlen(title), TITLES_MAX);
        titles_take_first(&titles, title);
    }
    ck_assert_str_eq(title_of(&inner_shape, false, "{a}/\xC3\xA9-9.b_c"), "A9BCParams");
}
END_TEST

UNIT_MAIN("schema", open_titles, close_titles, {fields, UNIT_ROWS(rows)}, {objects, 0}, {other_shapes, 0},
          {errors, 0}, {objects_have_titles, 0}, {a_title_is_that_of_one_schema, 0}, {errors_have_titles, 0},
          {titles_are_bounded, 0})

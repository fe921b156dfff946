// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/shape/fields.c and core/shape/fields_check.c: objects in objects, arrays, null. Beside what is decoded
 * and encoded, each way of being wrong is compared letter by letter with its path, since callers read it.
 */
#include "unit.h"

#include "shape/codec_json.h"
#include "shape/fields.h"
#include "shape/options.h"
#include "base/text.h"
#include "shape/fields_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- One of each ---- */

static const char *const colours[] = {"red", "green", "blue"};

struct spot {
    double lat, lon;
    const char *label;
};

static const rpc_field spot_fields[] = {
    RPC_DOUBLE(struct spot, lat, .doc = "required", .range = {-90, 90}),
    RPC_DOUBLE(struct spot, lon, .doc = "with a default", .default_json = "7.5"),
    RPC_STRING(struct spot, label, .doc = "optional", .optional = true, .length = {1, 4}),
};
static const rpc_shape spot_shape = RPC_OBJECT_SHAPE(struct spot, spot_fields);

struct reading {
    double value;
    const int64_t *marks;
    size_t mark_count;
    struct spot at;
    bool has_at;
};

static const rpc_field reading_fields[] = {
    RPC_DOUBLE(struct reading, value, .doc = "a number", .range = {-273.15, 1000}),
    RPC_INT64_ARRAY(struct reading, marks, mark_count, .doc = "numbers", .optional = true, .items = {0, 2},
                    .range = {0, INFINITY}),
    RPC_OBJECT(struct reading, at, struct spot, .doc = "a spot", .optional = true, .shape = &spot_shape,
               .flag = RPC_FLAG(struct reading, has_at)),
};
static const rpc_shape reading_shape = RPC_OBJECT_SHAPE(struct reading, reading_fields);

struct report {
    struct spot place, home, spare;
    bool has_spare;
    const struct reading *readings;
    size_t reading_count;
    const char *const *tags;
    size_t tag_count;
    const bool *switches;
    size_t switch_count;
    const int *shades;
    size_t shade_count;
    const int32_t *steps;
    size_t step_count;
    const rpc_json *any;
    size_t any_count;
    double offset;
    bool has_offset;
    int32_t level;
    const char *note;
    int shade;
    bool has_shade;
    const double *limits;
    size_t limit_count;
};

static const rpc_field report_fields[] = {
    RPC_OBJECT(struct report, place, struct spot, .doc = "required", .shape = &spot_shape),
    RPC_OBJECT(struct report, home, struct spot, .doc = "with a default", .shape = &spot_shape,
               .default_json = "{\"lat\":1,\"label\":\"home\"}"),
    RPC_OBJECT(struct report, spare, struct spot, .doc = "optional or null", .optional = true,
               .nullable = true, .shape = &spot_shape, .flag = RPC_FLAG(struct report, has_spare)),
    RPC_OBJECT_ARRAY(struct report, readings, reading_count, struct reading, .doc = "objects",
                     .optional = true, .items = {1, 5}, .shape = &reading_shape),
    RPC_STRING_ARRAY(struct report, tags, tag_count, .doc = "texts", .optional = true, .items = {0, 3},
                     .length = {1, 8}),
    RPC_BOOL_ARRAY(struct report, switches, switch_count, .doc = "with a default", .items = {0, 2},
                   .default_json = "[true,false]"),
    RPC_CHOICE_ARRAY(struct report, shades, shade_count, .doc = "choices", .optional = true, .items = {2, 2},
                     .choices = RPC_TABLE(colours)),
    RPC_INT32_ARRAY(struct report, steps, step_count, .name = "class", .doc = "numbers", .optional = true,
                    .items = {1, 3}),
    RPC_JSON_ARRAY(struct report, any, any_count, .doc = "anything", .optional = true, .items = {0, 9}),
    RPC_DOUBLE(struct report, offset, .doc = "required, and may be null", .nullable = true,
               .range = {-90, 60}, .flag = RPC_FLAG(struct report, has_offset)),
    RPC_INT32(struct report, level, .doc = "null stands for its default", .nullable = true,
              .default_json = "3"),
    RPC_STRING(struct report, note, .doc = "null, if nothing is said", .nullable = true,
               .default_json = "null", .length = {1, 4}),
    RPC_CHOICE(struct report, shade, .doc = "likewise", .nullable = true, .default_json = "null",
               .choices = RPC_TABLE(colours), .flag = RPC_FLAG(struct report, has_shade)),
    RPC_DOUBLE_ARRAY(struct report, limits, limit_count, .doc = "an array or null", .optional = true,
                     .nullable = true, .items = {1, 100}, .range = {-90, 60}),
};
static const rpc_shape report_shape = RPC_OBJECT_SHAPE(struct report, report_fields);

#define LEAST "\"place\":{\"lat\":2},\"offset\":null"

static struct fields report;
static struct arena arena;
static char why[FIELDS_WHY];
static cJSON *tree;

static void open_report(void)
{
    arena_init(&arena);
    ck_assert_msg(fields_init(&report, &report_shape, why) == RPC_OK, "%s", why);
}

static void close_report(void)
{
    arena_fini(&arena);
    fields_fini(&report);
    ck_assert_ptr_null(report.nested);
    fields_fini(&report);
}

static void parse(const char *text)
{
    struct json_error error;
    tree = json_parse(text, strlen(text), &arena, &error);
    ck_assert_msg(error.fault == JSON_FINE, "%s: %s", text, error.why);
}

static const struct report *decode(const char *text)
{
    void *out;
    parse(text);
    const rpc_status status = fields_decode(&report, tree, &arena, &out, why);
    ck_assert_msg(status == RPC_OK, "%s: %s", text, why);
    return out;
}

static const char *encode_as(const rpc_shape *shape, const void *in, rpc_status expected)
{
    static char text[2048];
    struct writer writer = writer_make(&codec_json, text, sizeof text - 1);
    why[0] = '\0';
    const rpc_status status = fields_encode(shape, in, &writer, why);
    ck_assert_msg(status == expected, "%d: %s", status, why);
    ck_assert(!writer.full);
    text[writer.used] = '\0';
    return text;
}

/* ---- Members that no field declares ---- */

static const struct undeclared {
    const char *text, *why;
} undeclareds[] = {
    {"{" LEAST ",\"sapre\":1}", "sapre is not declared"},
    {"{" LEAST ",\"spares\":1}", "spares is not declared, did you mean spare?"},
    {"{\"\":1," LEAST "}", " is not declared"},
    {"{\"Place\":{\"lat\":1}}", "Place is not declared, did you mean place?"},
    {"{\"place\":{\"lat\":1,\"labels\":\"x\"}}", "place.labels is not declared, did you mean label?"},
    {"{\"place\":{\"lat\":1,\"zzz\":2}}", "place.zzz is not declared"},
    {"{" LEAST ",\"readings\":[{\"value\":1},{\"value\":1,\"at\":{\"lat\":1,\"LON\":1}}]}",
     "readings[1].at.LON is not declared, did you mean lon?"},
    {"{" LEAST ",\"readings\":[{\"valeu\":1}]}", "readings[0].valeu is not declared"},
};

START_TEST(undeclared_members_are_told)
{
    void *out;
    ck_assert_ptr_nonnull(decode("{" LEAST ",\"sapre\":1}")); /* they are ignored */
    fields_set_strict(&report);
    parse(undeclareds[_i].text);
    ck_assert_int_eq(fields_decode(&report, tree, &arena, &out, why), RPC_INVALID_PARAMS);
    ck_assert_str_eq(why, undeclareds[_i].why);
    ck_assert_ptr_nonnull(decode("{" LEAST "}"));
}
END_TEST

/* ---- Decoding what fits ---- */

START_TEST(defaults_stand_in)
{
    const struct report *out = decode("{" LEAST "}");
    ck_assert_double_eq(out->place.lat, 2);
    ck_assert_double_eq(out->place.lon, 7.5);
    ck_assert_ptr_null(out->place.label);
    ck_assert_double_eq(out->home.lat, 1);
    ck_assert_double_eq(out->home.lon, 7.5);
    ck_assert_str_eq(out->home.label, "home");
    ck_assert(!out->has_spare);
    ck_assert_ptr_null(out->readings);
    ck_assert_ptr_null(out->tags);
    ck_assert_uint_eq(out->switch_count, 2);
    ck_assert(out->switches[0] && !out->switches[1]);
    ck_assert_ptr_null(out->shades);
    ck_assert_uint_eq(out->shade_count, 0);
    ck_assert(!out->has_offset);
    ck_assert_double_eq(out->offset, 0);
    ck_assert_int_eq(out->level, 3);
    ck_assert_ptr_null(out->note);
    ck_assert(!out->has_shade);
    ck_assert_ptr_null(out->limits);
}
END_TEST

START_TEST(objects_lie_in_place)
{
    const struct report *out = decode("{\"place\":{\"lon\":-1,\"lat\":-90,\"label\":\"a\",\"more\":[{}]},"
                                      "\"home\":{\"lat\":90},\"spare\":{\"lat\":5},\"offset\":60}");
    ck_assert_double_eq(out->place.lat, -90);
    ck_assert_double_eq(out->place.lon, -1);
    ck_assert_str_eq(out->place.label, "a");
    ck_assert_double_eq(out->home.lat, 90);
    ck_assert_ptr_null(out->home.label);
    ck_assert(out->has_spare);
    ck_assert_double_eq(out->spare.lat, 5);
    ck_assert(out->has_offset);
    ck_assert_double_eq(out->offset, 60);
}
END_TEST

START_TEST(arrays_of_each_kind)
{
    const struct report *out =
        decode("{" LEAST ",\"tags\":[\"a\",\"12345678\"],\"switches\":[false],\"shades\":[\"blue\",\"red\"],"
               "\"class\":[-2147483648,0,2147483647],\"any\":[null,{\"a\":1},12345678901234567890],"
               "\"limits\":[-90,0.5,60]}");
    ck_assert_uint_eq(out->tag_count, 2);
    ck_assert_str_eq(out->tags[1], "12345678");
    ck_assert_uint_eq(out->switch_count, 1);
    ck_assert(!out->switches[0]);
    ck_assert_uint_eq(out->shade_count, 2);
    ck_assert_int_eq(out->shades[0], 2);
    ck_assert_int_eq(out->shades[1], 0);
    ck_assert_uint_eq(out->step_count, 3);
    ck_assert_int_eq(out->steps[0], INT32_MIN);
    ck_assert_int_eq(out->steps[2], INT32_MAX);
    ck_assert_uint_eq(out->any_count, 3);
    ck_assert_str_eq(out->any[0].text, "null");
    ck_assert_str_eq(out->any[2].text, "12345678901234567890");
    ck_assert_uint_eq(out->limit_count, 3);
    ck_assert_double_eq(out->limits[0], -90);
    ck_assert_double_eq(out->limits[2], 60);
}
END_TEST

START_TEST(arrays_of_objects)
{
    const struct report *out =
        decode("{" LEAST ",\"readings\":[{\"value\":1,\"marks\":[9007199254740993]},"
               "{\"value\":2,\"marks\":[],\"at\":{\"lat\":3,\"label\":\"x\"}},{\"value\":3}]}");
    ck_assert_uint_eq(out->reading_count, 3);
    ck_assert_double_eq(out->readings[0].value, 1);
    ck_assert_int_eq(out->readings[0].marks[0], 9007199254740993);
    ck_assert(!out->readings[0].has_at);
    ck_assert_ptr_nonnull(out->readings[1].marks);
    ck_assert_uint_eq(out->readings[1].mark_count, 0);
    ck_assert(out->readings[1].has_at);
    ck_assert_str_eq(out->readings[1].at.label, "x");
    ck_assert_double_eq(out->readings[1].at.lon, 7.5);
    ck_assert_ptr_null(out->readings[2].marks);
}
END_TEST

/* What is empty was given. What is null was not. */
START_TEST(empty_is_not_null)
{
    const struct report *out = decode("{" LEAST ",\"tags\":[],\"limits\":null,\"spare\":null,\"level\":null,"
                                      "\"note\":null,\"shade\":null}");
    ck_assert_ptr_nonnull(out->tags);
    ck_assert_uint_eq(out->tag_count, 0);
    ck_assert_ptr_null(out->limits);
    ck_assert(!out->has_spare);
    ck_assert_int_eq(out->level, 3);
    ck_assert_ptr_null(out->note);
    ck_assert(!out->has_shade);
    out = decode("{" LEAST ",\"note\":\"x\",\"shade\":\"red\",\"level\":0}");
    ck_assert_str_eq(out->note, "x");
    ck_assert(out->has_shade);
    ck_assert_int_eq(out->level, 0);
}
END_TEST

/* ---- What does not fit ---- */

#define READINGS(last) "{" LEAST ",\"readings\":[{\"value\":1},{\"value\":2},{\"value\":3}," last "]}"

static const struct misfit {
    const char *text, *why;
} misfits[] = {
    {"{}", "place is required"},
    {"{\"place\":null}", "place must be an object"},
    {"{\"place\":[]}", "place must be an object"},
    {"{\"place\":{}}", "place.lat is required"},
    {"{\"place\":{\"lat\":null}}", "place.lat must be a number from -90 to 90"},
    {"{\"place\":{\"lat\":90.5}}", "place.lat: 90.5 is outside -90..90"},
    {"{\"place\":{\"lat\":1,\"label\":\"\"}}", "place.label must have 1 to 4 characters, not 0"},
    {"{\"place\":{\"lat\":1}}", "offset is required"},
    {"{" LEAST ",\"home\":{}}", "home.lat is required"},
    {"{" LEAST ",\"home\":null}", "home must be an object"},
    {"{" LEAST ",\"spare\":{}}", "spare.lat is required"},
    {"{" LEAST ",\"spare\":1}", "spare must be an object or null"},
    {READINGS("{\"value\":1e9}"), "readings[3].value: 1e9 is outside -273.15..1000"},
    {READINGS("{\"value\":1001}"), "readings[3].value: 1001 is outside -273.15..1000"},
    {READINGS("{}"), "readings[3].value is required"},
    {READINGS("null"), "readings[3] must be an object"},
    {READINGS("[]"), "readings[3] must be an object"},
    {READINGS("{\"value\":1,\"marks\":[0,-1]}"), "readings[3].marks[1]: -1 is outside 0..inf"},
    {READINGS("{\"value\":1,\"marks\":[0,null]}"),
     "readings[3].marks[1] must be a whole number of at least 0"},
    {READINGS("{\"value\":1,\"marks\":[0,1,2]}"), "readings[3].marks must have 0 to 2 elements, not 3"},
    {READINGS("{\"value\":1,\"at\":{\"lat\":\"x\"}}"), "readings[3].at.lat must be a number from -90 to 90"},
    {READINGS("{\"value\":1},{\"value\":1},{\"value\":1}"), "readings must have 1 to 5 elements, not 6"},
    {"{" LEAST ",\"readings\":[]}", "readings must have 1 to 5 elements, not 0"},
    {"{" LEAST ",\"readings\":{\"value\":1}}", "readings must be an array of 1 to 5 objects"},
    {"{" LEAST ",\"readings\":null}", "readings must be an array of 1 to 5 objects"},
    {"{" LEAST ",\"tags\":[\"a\",\"b\",5]}", "tags[2] must be a string of 1 to 8 characters"},
    {"{" LEAST ",\"tags\":[\"\"]}", "tags[0] must have 1 to 8 characters, not 0"},
    {"{" LEAST ",\"tags\":[\"a\",null]}", "tags[1] must be a string of 1 to 8 characters"},
    {"{" LEAST ",\"tags\":\"a\"}", "tags must be an array of 0 to 3 strings of 1 to 8 characters"},
    {"{" LEAST ",\"tags\":[1,2,3,4]}", "tags must have 0 to 3 elements, not 4"},
    {"{" LEAST ",\"switches\":[true,1]}", "switches[1] must be true or false"},
    {"{" LEAST ",\"shades\":[\"red\"]}", "shades must have 2 to 2 elements, not 1"},
    {"{" LEAST ",\"shades\":[\"red\",\"pink\"]}", "shades[1] must be one of red, green, blue"},
    {"{" LEAST ",\"class\":[2147483648]}", "class[0] must be a whole number of 32 bits"},
    {"{" LEAST ",\"any\":{}}", "any must be an array of 0 to 9 values, each any JSON value"},
    {"{" LEAST ",\"level\":0.5}", "level must be a whole number of 32 bits or null"},
    {"{" LEAST ",\"note\":5}", "note must be a string of 1 to 4 characters or null"},
    {"{" LEAST ",\"note\":\"\"}", "note must have 1 to 4 characters, not 0"},
    {"{" LEAST ",\"shade\":\"pink\"}", "shade must be one of red, green, blue or null"},
    {"{" LEAST ",\"limits\":5}", "limits must be an array of 1 to 100 numbers from -90 to 60 or null"},
    {"{" LEAST ",\"limits\":[]}", "limits must have 1 to 100 elements, not 0"},
    {"{" LEAST ",\"limits\":[60,60.5]}", "limits[1]: 60.5 is outside -90..60"},
    {"{\"place\":{\"lat\":1},\"offset\":-91}", "offset: -91 is outside -90..60"},
};

START_TEST(misfits_are_told)
{
    void *out;
    parse(misfits[_i].text);
    ck_assert_int_eq(fields_decode(&report, tree, &arena, &out, why), RPC_INVALID_PARAMS);
    ck_assert_str_eq(why, misfits[_i].why);
}
END_TEST

/* ---- Numbers in words ---- */

static const struct number {
    const char *sent, *told;
} numbers[] = {
    {"1e9", "1e9"},
    {"-1e9", "-1e9"},
    {"2000000000", "2e9"},
    {"1e14", "1e14"},
    {"1e15", "1e15"},
    {"1e300", "1e300"},
    {"-1.5e300", "-1.5e300"},
    {"1e20", "1e20"},
    {"1.7976931348623157e308", "1.7976931348623157e308"},
    {"3", "3"},
    {"1000", "1000"},
    {"100000000", "100000000"},
    {"1700000000", "1700000000"},
    {"123456789012", "123456789012"},
    {"-0.1", "-0.1"},
    {"2.5", "2.5"},
    {"-1e-7", "-1e-7"},
    {"-0.30000000000000004", "-0.30000000000000004"},
    {"-1e-100", "-1e-100"},
    {"9007199254740991", "9007199254740991"},
};

struct one {
    double n;
};

static void expect_told(const rpc_field *field, size_t size, const char *sent, const char *told)
{
    const rpc_shape shape = {RPC_FORM_VALUE, size, field, 1, NULL};
    struct fields fields;
    char expected[128];
    void *out;
    ck_assert_int_eq(fields_init(&fields, &shape, why), RPC_OK);
    parse(sent);
    ck_assert_int_eq(fields_decode(&fields, tree, &arena, &out, why), RPC_INVALID_PARAMS);
    snprintf(expected, sizeof expected, "n: %s is outside 0..1", told);
    ck_assert_str_eq(why, expected);
    fields_fini(&fields);
}

START_TEST(numbers_are_told_as_sent)
{
    static const rpc_field field = RPC_DOUBLE(struct one, n, .doc = "d", .range = {0, 1});
    expect_told(&field, sizeof(struct one), numbers[_i].sent, numbers[_i].told);
}
END_TEST

struct one_integer {
    int64_t n;
};

START_TEST(integers_are_told_exactly)
{
    static const rpc_field field = RPC_INT64(struct one_integer, n, .doc = "d", .range = {0, 1});
    expect_told(&field, sizeof(struct one_integer), "9007199254740993", "9007199254740993");
    expect_told(&field, sizeof(struct one_integer), "-9223372036854775808", "-9223372036854775808");
    expect_told(&field, sizeof(struct one_integer), "-1000000000", "-1e9");
    expect_told(&field, sizeof(struct one_integer), "-100", "-100");
}
END_TEST

/* ---- By position ---- */

static rpc_status decode_positional(const struct fields *fields, const char *text, void **out)
{
    parse(text);
    return fields_decode_positional(fields, tree, &arena, out, why);
}

START_TEST(positions_are_the_order_of_the_table)
{
    struct fields fields;
    void *out;
    ck_assert_int_eq(fields_init(&fields, &spot_shape, why), RPC_OK);
    ck_assert_int_eq(decode_positional(&fields, "[1,2,\"x\"]", &out), RPC_OK);
    const struct spot *spot = out;
    ck_assert_double_eq(spot->lat, 1);
    ck_assert_double_eq(spot->lon, 2);
    ck_assert_str_eq(spot->label, "x");
    ck_assert_int_eq(decode_positional(&fields, "[1]", &out), RPC_OK);
    spot = out;
    ck_assert_double_eq(spot->lon, 7.5);
    ck_assert_ptr_null(spot->label);
    fields_fini(&fields);
}
END_TEST

static const struct positional {
    const char *text, *why;
} positionals[] = {
    {"[]", "lat is required"},
    {"[null]", "lat must be a number from -90 to 90"},
    {"[\"x\"]", "lat must be a number from -90 to 90"},
    {"[1,\"x\"]", "lon must be a number"},
    {"[1,2,3]", "label must be a string of 1 to 4 characters"},
    {"[1,2,\"x\",4]", "there are at most 3 parameters"},
    {"[91]", "lat: 91 is outside -90..90"},
};

START_TEST(positional_misfits_are_told)
{
    struct fields fields;
    void *out;
    ck_assert_int_eq(fields_init(&fields, &spot_shape, why), RPC_OK);
    ck_assert_int_eq(decode_positional(&fields, positionals[_i].text, &out), RPC_INVALID_PARAMS);
    ck_assert_str_eq(why, positionals[_i].why);
    fields_fini(&fields);
}
END_TEST

START_TEST(positional_objects_and_arrays)
{
    void *out;
    ck_assert_int_eq(decode_positional(&report, "[{\"lat\":4},{\"lat\":5},null,[{\"value\":6}]]", &out),
                     RPC_INVALID_PARAMS);
    ck_assert_str_eq(why, "offset is required");
    ck_assert_int_eq(decode_positional(&report, "[{\"lat\":4},{\"lat\":5},null,[{\"value\":1e9}]]", &out),
                     RPC_INVALID_PARAMS);
    ck_assert_str_eq(why, "readings[0].value: 1e9 is outside -273.15..1000");
    ck_assert_int_eq(
        decode_positional(&report,
                          "[{\"lat\":4},{\"lat\":5},null,[{\"value\":6}],[],[],[\"red\",\"red\"],"
                          "[1],[],7]",
                          &out),
        RPC_OK);
    const struct report *decoded = out;
    ck_assert_double_eq(decoded->home.lat, 5);
    ck_assert(!decoded->has_spare);
    ck_assert_double_eq(decoded->readings[0].value, 6);
    ck_assert_double_eq(decoded->offset, 7);
}
END_TEST

START_TEST(a_value_by_position_is_the_only_one)
{
    static const rpc_field field = RPC_DOUBLE(struct one, n, .doc = "d");
    static const rpc_shape shape = {RPC_FORM_VALUE, sizeof(struct one), &field, 1, NULL};
    struct fields fields;
    void *out;
    ck_assert_int_eq(fields_init(&fields, &shape, why), RPC_OK);
    ck_assert_int_eq(decode_positional(&fields, "[5]", &out), RPC_OK);
    ck_assert_double_eq(((struct one *)out)->n, 5);
    ck_assert_int_eq(decode_positional(&fields, "[]", &out), RPC_INVALID_PARAMS);
    ck_assert_str_eq(why, "n is required");
    ck_assert_int_eq(decode_positional(&fields, "[1,2]", &out), RPC_INVALID_PARAMS);
    ck_assert_str_eq(why, "there is at most 1 parameter");
    ck_assert_int_eq(decode_positional(&fields, "[\"x\"]", &out), RPC_INVALID_PARAMS);
    ck_assert_str_eq(why, "n must be a number");
    fields_fini(&fields);
}
END_TEST

START_TEST(nothing_by_position)
{
    const rpc_shape empty = {RPC_FORM_OBJECT, 1, NULL, 0, NULL};
    struct fields fields;
    void *out;
    ck_assert_int_eq(fields_init(&fields, &empty, why), RPC_OK);
    ck_assert_int_eq(decode_positional(&fields, "[]", &out), RPC_OK);
    ck_assert_int_eq(decode_positional(&fields, "[1]", &out), RPC_INVALID_PARAMS);
    ck_assert_str_eq(why, "there are at most 0 parameters");
    fields_fini(&fields);
}
END_TEST

/* ---- Encoding ---- */

static const struct spot here = {1, 2, NULL};

static struct report make_report(void)
{
    return (struct report){.place = here, .home = here};
}

/* Left out is what is optional, null what is nullable and not optional, empty an array that is neither. */
START_TEST(encodes_the_least)
{
    const struct report in = make_report();
    ck_assert_str_eq(encode_as(&report_shape, &in, RPC_OK),
                     "{\"place\":{\"lat\":1,\"lon\":2},\"home\":{\"lat\":1,\"lon\":2},\"switches\":[],"
                     "\"offset\":null,\"level\":0,\"note\":null,\"shade\":null}");
}
END_TEST

/* What was decoded and encoded again is the same. */
START_TEST(comes_round)
{
    static const char text[] =
        "{\"place\":{\"lat\":2,\"lon\":7.5,\"label\":\"a\\\"\"},\"home\":{\"lat\":1,\"lon\":0},"
        "\"spare\":{\"lat\":-90,\"lon\":0},"
        "\"readings\":[{\"value\":1,\"marks\":[1,9007199254740993]},{\"value\":2,\"marks\":[]},"
        "{\"value\":-273.15,\"at\":{\"lat\":90,\"lon\":1e+300,\"label\":\"x\"}}],\"tags\":[\"{\",\"}\"],"
        "\"switches\":[true,false],\"shades\":[\"blue\",\"blue\"],\"class\":[-1],\"any\":[null,{\"a\":[]}],"
        "\"offset\":60,\"level\":-1,\"note\":\"x\",\"shade\":\"red\",\"limits\":[0.5,-90,60]}";
    ck_assert_str_eq(encode_as(&report_shape, decode(text), RPC_OK), text);
}
END_TEST

static const struct reading bad_readings[] = {{.value = 1}, {.value = 1e9}};
static const struct reading odd_spot[] = {{.value = 1, .at = {.lat = 91}, .has_at = true}};
static const char *const bad_tags[] = {"a", NULL};
static const char *const long_tags[] = {"a", "b", "123456789"};
static const int bad_shades[] = {0, 3};
static const double bad_limits[101] = {0, (double)NAN};
static const rpc_json bad_json[] = {{"1"}, {"{"}, {NULL}};

static void break_object(struct report *in)
{
    in->place.lat = -91;
}

static void break_flagged_object(struct report *in)
{
    in->has_spare = true;
    in->spare.label = "12345";
}

static void break_reading(struct report *in)
{
    in->readings = bad_readings;
    in->reading_count = 2;
}

static void break_spot(struct report *in)
{
    in->readings = odd_spot;
    in->reading_count = 1;
}

static void break_few(struct report *in)
{
    in->readings = bad_readings;
}

static void break_many(struct report *in)
{
    in->limits = bad_limits;
    in->limit_count = 101;
}

static void break_nan(struct report *in)
{
    in->limits = bad_limits;
    in->limit_count = 100;
}

static void break_null_text(struct report *in)
{
    in->tags = bad_tags;
    in->tag_count = 2;
}

static void break_long_text(struct report *in)
{
    in->tags = long_tags;
    in->tag_count = 3;
}

static void break_choice(struct report *in)
{
    in->shades = bad_shades;
    in->shade_count = 2;
}

static void break_count(struct report *in)
{
    in->tag_count = 1;
}

static void break_json(struct report *in)
{
    in->any = bad_json;
    in->any_count = 2;
}

static void break_null_json(struct report *in)
{
    in->any = bad_json + 2;
    in->any_count = 1;
}

static const struct broken {
    void (*break_it)(struct report *in);
    const char *why;
} broken[] = {
    {break_object, "place.lat: -91 is outside -90..90"},
    {break_flagged_object, "spare.label must have 1 to 4 characters, not 5"},
    {break_reading, "readings[1].value: 1e9 is outside -273.15..1000"},
    {break_spot, "readings[0].at.lat: 91 is outside -90..90"},
    {break_few, "readings must have 1 to 5 elements, not 0"},
    {break_many, "limits must have 1 to 100 elements, not 101"},
    {break_nan, "limits[1] is not finite"},
    {break_null_text, "tags[1] is missing"},
    {break_long_text, "tags[2] must have 1 to 8 characters, not 9"},
    {break_choice, "shades[1] must be one of red, green, blue"},
    {break_count, "tags has a count and no elements"},
    {break_json,
     "any[1]: the payload is not JSON: expected a name in double quotes at line 1, column 2, where it ends"},
    {break_null_json, "any[0] is missing"},
};

START_TEST(unfit_structs_are_told)
{
    struct report in = make_report();
    broken[_i].break_it(&in);
    encode_as(&report_shape, &in, RPC_INVALID_PARAMS);
    ck_assert_str_eq(why, broken[_i].why);
}
END_TEST

/* An array that is neither optional nor nullable is empty where it is NULL, and its bounds hold for that. */
START_TEST(empty_arrays_have_bounds)
{
    static const rpc_field fields[] = {
        RPC_DOUBLE_ARRAY(struct report, limits, limit_count, .doc = "d", .items = {1, 2})};
    static const rpc_shape shape = RPC_OBJECT_SHAPE(struct report, fields);
    const struct report in = make_report();
    encode_as(&shape, &in, RPC_INVALID_PARAMS);
    ck_assert_str_eq(why, "limits must have 1 to 2 elements, not 0");
}
END_TEST

/* A flag tells of arrays as well. */
START_TEST(flags_of_arrays)
{
    static const rpc_field fields[] = {RPC_STRING_ARRAY(struct report, tags, tag_count, .doc = "d",
                                                        .optional = true, .items = {0, 2}, .length = {1, 8},
                                                        .flag = RPC_FLAG(struct report, has_spare))};
    static const rpc_shape shape = RPC_OBJECT_SHAPE(struct report, fields);
    struct report in = {.tags = bad_tags, .tag_count = 1};
    ck_assert_str_eq(encode_as(&shape, &in, RPC_OK), "{}");
    in.has_spare = true;
    ck_assert_str_eq(encode_as(&shape, &in, RPC_OK), "{\"tags\":[\"a\"]}");
}
END_TEST

/* A full writer is no fault, wherever it fills up. */
START_TEST(full_writers_are_not_overrun)
{
    const struct report *in =
        decode("{" LEAST ",\"readings\":[{\"value\":1,\"marks\":[1,2]}],\"tags\":[\"a\"]}");
    const size_t whole = strlen(encode_as(&report_shape, in, RPC_OK));
    for (size_t capacity = 0; capacity < whole; capacity++) {
        char *text = malloc(capacity + 1);
        ck_assert_ptr_nonnull(text);
        struct writer writer = writer_make(&codec_json, text, capacity);
        ck_assert_int_eq(fields_encode(&report_shape, in, &writer, why), RPC_OK);
        ck_assert(writer.full);
        free(text);
    }
}
END_TEST

/* ---- One value that is an array, or an object ---- */

struct list {
    const struct spot *spots;
    size_t count;
};

static const rpc_field list_fields[] = {RPC_OBJECT_ARRAY(struct list, spots, count, struct spot, .doc = "d",
                                                         .items = {1, 2}, .shape = &spot_shape)};
static const rpc_shape list_shape = RPC_VALUE_SHAPE(struct list, list_fields);

struct holder {
    struct spot spot;
    bool there;
};

static const rpc_field holder_fields[] = {RPC_OBJECT(struct holder, spot, struct spot, .doc = "d",
                                                     .nullable = true, .shape = &spot_shape,
                                                     .flag = RPC_FLAG(struct holder, there))};
static const rpc_shape holder_shape = RPC_VALUE_SHAPE(struct holder, holder_fields);

static const struct value {
    const rpc_shape *shape;
    const char *text, *why; /* why NULL: it comes round */
} values[] = {
    {&list_shape, "[{\"lat\":1,\"lon\":2},{\"lat\":3,\"lon\":4}]", NULL},
    {&list_shape, "[]", "spots must have 1 to 2 elements, not 0"},
    {&list_shape, "{}", "spots must be an array of 1 to 2 objects"},
    {&list_shape, "null", "spots must be an array of 1 to 2 objects"},
    {&list_shape, "[{\"lat\":1},{}]", "spots[1].lat is required"},
    {&holder_shape, "{\"lat\":1,\"lon\":2}", NULL},
    {&holder_shape, "null", NULL},
    {&holder_shape, "[]", "spot must be an object or null"},
    {&holder_shape, "{}", "spot.lat is required"},
};

START_TEST(values_are_arrays_and_objects)
{
    const struct value *row = &values[_i];
    struct fields fields;
    void *out;
    ck_assert_msg(fields_init(&fields, row->shape, why) == RPC_OK, "%s", why);
    parse(row->text);
    const rpc_status status = fields_decode(&fields, tree, &arena, &out, why);
    ck_assert_int_eq(status, row->why ? RPC_INVALID_PARAMS : RPC_OK);
    if (row->why)
        ck_assert_str_eq(why, row->why);
    else
        ck_assert_str_eq(encode_as(row->shape, out, RPC_OK), row->text);
    fields_fini(&fields);
}
END_TEST

/* ---- Words ---- */

static const struct described {
    rpc_field field;
    const char *words;
} described[] = {
    {{.kind = RPC_KIND_OBJECT}, "an object"},
    {{.kind = RPC_KIND_OBJECT, .nullable = true}, "an object or null"},
    {{.kind = RPC_KIND_STRING, .nullable = true, .length = {1, 4}}, "a string of 1 to 4 characters or null"},
    {{.kind = RPC_KIND_DOUBLE, .counter = 1, .items = {1, 100}, .range = {-90, 60}},
     "an array of 1 to 100 numbers from -90 to 60"},
    {{.kind = RPC_KIND_DOUBLE, .counter = 1, .items = {0, 2}, .nullable = true},
     "an array of 0 to 2 numbers or null"},
    {{.kind = RPC_KIND_INT32, .counter = 1, .items = {0, 2}}, "an array of 0 to 2 whole numbers of 32 bits"},
    {{.kind = RPC_KIND_INT64, .counter = 1, .items = {0, 2}, .range = {0, INFINITY}},
     "an array of 0 to 2 whole numbers of at least 0"},
    {{.kind = RPC_KIND_BOOL, .counter = 1, .items = {0, 2}}, "an array of 0 to 2 values, each true or false"},
    {{.kind = RPC_KIND_STRING, .counter = 1, .items = {0, 2}, .length = {1, 4}},
     "an array of 0 to 2 strings of 1 to 4 characters"},
    {{.kind = RPC_KIND_CHOICE, .counter = 1, .items = {0, 2}, .choices = RPC_TABLE(colours)},
     "an array of 0 to 2 values, each one of red, green, blue"},
    {{.kind = RPC_KIND_JSON, .counter = 1, .items = {0, 2}},
     "an array of 0 to 2 values, each any JSON value"},
    {{.kind = RPC_KIND_OBJECT, .counter = 1, .items = {0, 2}}, "an array of 0 to 2 objects"},
};

START_TEST(describes)
{
    char out[FIELDS_WHY];
    fields_describe(&described[_i].field, out, sizeof out);
    ck_assert_str_eq(out, described[_i].words);
}
END_TEST

/* ---- Wrong tables ---- */

static const rpc_shape value_spot = {RPC_FORM_VALUE, sizeof(struct spot), spot_fields, 1, NULL};
static const rpc_shape large_spot = {RPC_FORM_OBJECT, sizeof(struct spot) + 8, spot_fields, 3, NULL};
static const rpc_shape no_spot = {RPC_FORM_OBJECT, 0, NULL, 0, NULL};

#define COUNTER (1 + offsetof(struct report, tag_count))
#define END sizeof(struct report)

static const struct wrong_field {
    rpc_field field;
    const char *why;
} wrong_fields[] = {
    {{.member = "m", .kind = RPC_KIND_OBJECT, .size = sizeof(struct spot)},
     "m: .shape belongs to objects, and each needs one"},
    {{.member = "m", .kind = RPC_KIND_DOUBLE, .size = sizeof(double), .shape = &spot_shape},
     "m: .shape belongs to objects, and each needs one"},
    {{.member = "m", .kind = RPC_KIND_OBJECT, .size = sizeof(struct spot), .shape = &value_spot},
     "m: .shape is not that of an object of the member's type"},
    {{.member = "m", .kind = RPC_KIND_OBJECT, .size = sizeof(struct spot), .shape = &large_spot},
     "m: .shape is not that of an object of the member's type"},
    {{.member = "m", .kind = RPC_KIND_OBJECT, .shape = &no_spot},
     "m: .shape is not that of an object of the member's type"},
    {{.member = "m",
      .kind = RPC_KIND_OBJECT,
      .size = sizeof(struct spot),
      .shape = &spot_shape,
      .offset = END - sizeof(struct spot) + 1},
     "m is not a member of the shape's struct"},
    {{.member = "m", .kind = RPC_KIND_DOUBLE, .size = 8, .counter = COUNTER},
     "m needs .items with a maximum"},
    {{.member = "m", .kind = RPC_KIND_DOUBLE, .size = 8, .counter = COUNTER, .items = {2, 1}},
     "m needs .items with a maximum"},
    {{.member = "m", .kind = RPC_KIND_DOUBLE, .size = 8, .items = {0, 1}}, "m: .items belongs to arrays"},
    {{.member = "m", .kind = RPC_KIND_DOUBLE, .size = 8, .counter = 1 + END, .items = {0, 1}},
     "m is not a member of the shape's struct"},
    {{.member = "m", .kind = RPC_KIND_DOUBLE, .size = 8, .counter = END - 6, .items = {0, 1}},
     "m is not a member of the shape's struct"},
    {{.member = "m",
      .kind = RPC_KIND_DOUBLE,
      .size = 8,
      .counter = COUNTER,
      .items = {0, 1},
      .offset = END - 7},
     "m is not a member of the shape's struct"},
    {{.member = "m", .kind = RPC_KIND_DOUBLE, .size = 4, .counter = COUNTER, .items = {0, 1}},
     "m is not a member of the shape's struct"},
    {{.member = "m", .kind = RPC_KIND_STRING, .size = sizeof(char *), .counter = COUNTER, .items = {0, 1}},
     "m needs a .length with a maximum"},
    {{.member = "m",
      .kind = RPC_KIND_OBJECT,
      .size = sizeof(struct spot),
      .shape = &spot_shape,
      .optional = true},
     "m is optional and needs a .default_json or a .flag"},
    {{.member = "m",
      .kind = RPC_KIND_OBJECT,
      .size = sizeof(struct spot),
      .shape = &spot_shape,
      .nullable = true},
     "m is nullable and needs a .default_json or a .flag"},
    {{.member = "m", .kind = RPC_KIND_DOUBLE, .nullable = true},
     "m is nullable and needs a .default_json or a .flag"},
    {{.member = "m", .kind = RPC_KIND_DOUBLE, .nullable = true, .default_json = "null"},
     "m is nullable and needs a .default_json or a .flag"},
    {{.member = "m", .kind = RPC_KIND_DOUBLE, .default_json = "null"}, "m must be a number"},
    {{.member = "m",
      .kind = RPC_KIND_OBJECT,
      .size = sizeof(struct spot),
      .shape = &spot_shape,
      .default_json = "{}"},
     "m.lat is required"},
    {{.member = "m",
      .kind = RPC_KIND_OBJECT,
      .size = sizeof(struct spot),
      .shape = &spot_shape,
      .default_json = "{\"lat\":91}"},
     "m.lat: 91 is outside -90..90"},
    {{.member = "m",
      .kind = RPC_KIND_DOUBLE,
      .size = 8,
      .counter = COUNTER,
      .items = {1, 2},
      .default_json = "[]"},
     "m must have 1 to 2 elements, not 0"},
    {{.member = "m",
      .kind = RPC_KIND_DOUBLE,
      .size = 8,
      .counter = COUNTER,
      .items = {1, 2},
      .default_json = "[1,\"\"]"},
     "m[1] must be a number"},
};

static void expect_wrong(const rpc_shape *shape, const char *expected)
{
    struct fields fields;
    memset(&fields, 0xAA, sizeof fields);
    ck_assert_int_eq(fields_init(&fields, shape, why), RPC_INVALID_PARAMS);
    ck_assert_str_eq(why, expected);
    ck_assert_ptr_null(fields.shape);
    ck_assert_ptr_null(fields.defaults);
    ck_assert_ptr_null(fields.nested);
}

START_TEST(wrong_fields_are_refused)
{
    const rpc_shape shape = {RPC_FORM_OBJECT, sizeof(struct report), &wrong_fields[_i].field, 1, NULL};
    expect_wrong(&shape, wrong_fields[_i].why);
}
END_TEST

/* Behind right ones with defaults that are freed, and in the shape of an array's objects. */
START_TEST(wrong_fields_are_found_in_objects)
{
    const rpc_field inner[] = {report_fields[1], wrong_fields[_i].field};
    const rpc_shape inner_shape = RPC_OBJECT_SHAPE(struct report, inner);
    const rpc_field object = {
        .member = "o", .kind = RPC_KIND_OBJECT, .size = sizeof(struct report), .shape = &inner_shape};
    rpc_field array = object;
    const rpc_shape shape = {RPC_FORM_OBJECT, sizeof(struct report), &object, 1, NULL};
    const rpc_shape array_shape = {RPC_FORM_OBJECT, sizeof(struct report), &array, 1, NULL};
    char expected[256];
    array.counter = COUNTER;
    array.items.max = 1;
    snprintf(expected, sizeof expected, "o.%s", wrong_fields[_i].why);
    expect_wrong(&shape, expected);
    snprintf(expected, sizeof expected, "o[].%s", wrong_fields[_i].why);
    expect_wrong(&array_shape, expected);
}
END_TEST

START_TEST(nameless_fields_are_found_in_objects)
{
    static const rpc_field nameless = {.kind = RPC_KIND_BOOL};
    static const rpc_shape inner_shape = {RPC_FORM_OBJECT, 1, &nameless, 1, NULL};
    static const rpc_field object = {
        .member = "o", .kind = RPC_KIND_OBJECT, .size = 1, .shape = &inner_shape};
    static const rpc_shape shape = {RPC_FORM_OBJECT, 1, &object, 1, NULL};
    expect_wrong(&shape, "o: a field was not made by one of the macros");
}
END_TEST

/* A chain of shapes, each in the one before it. */
static rpc_field chain_fields[FIELDS_DEPTH + 1];
static rpc_shape chain[FIELDS_DEPTH + 1];

static void make_chain(int levels, const char *name)
{
    for (int i = 0; i < levels; i++) {
        const bool last = i == levels - 1;
        chain_fields[i] = (rpc_field){.member = name,
                                      .kind = last ? RPC_KIND_BOOL : RPC_KIND_OBJECT,
                                      .size = 1,
                                      .shape = last ? NULL : &chain[i + 1]};
        chain[i] = (rpc_shape){RPC_FORM_OBJECT, 1, &chain_fields[i], 1, NULL};
    }
}

START_TEST(nesting_has_a_limit)
{
    struct fields fields;
    make_chain(FIELDS_DEPTH, "a");
    ck_assert_int_eq(fields_init(&fields, chain, why), RPC_OK);
    fields_fini(&fields);
    make_chain(FIELDS_DEPTH + 1, "a");
    expect_wrong(chain, "a.a.a.a.a.a.a.a: objects are nested deeper than 8 levels");
}
END_TEST

START_TEST(no_shape_is_nested_in_itself)
{
    rpc_shape shape;
    const rpc_field field = {.member = "a", .kind = RPC_KIND_OBJECT, .size = 1, .shape = &shape};
    shape = (rpc_shape){RPC_FORM_OBJECT, 1, &field, 1, NULL};
    expect_wrong(&shape, "a.a.a.a.a.a.a.a: objects are nested deeper than 8 levels");
}
END_TEST

/* A call that goes down all levels of the chain to a value that is none of a bool. */
static void make_deep_call(const char *name, char *text, size_t capacity)
{
    size_t used = 0;
    for (int i = 0; i < FIELDS_DEPTH; i++)
        used += (size_t)snprintf(text + used, capacity - used, "{\"%s\":", name);
    used += (size_t)snprintf(text + used, capacity - used, "1");
    for (int i = 0; i < FIELDS_DEPTH; i++)
        used += (size_t)snprintf(text + used, capacity - used, "}");
}

/* However long the names are, what is wrong is told, and no character is cut in two. */
START_TEST(long_names_are_cut)
{
    char name[256] = "x";
    char text[2048];
    struct fields fields;
    void *out;
    size_t characters;
    for (int i = 0; i < 100; i++)
        strcat(name, "\xC3\xA4");
    make_chain(FIELDS_DEPTH, name);
    make_deep_call(name, text, sizeof text);
    ck_assert_int_eq(fields_init(&fields, chain, why), RPC_OK);
    parse(text);
    ck_assert_int_eq(fields_decode(&fields, tree, &arena, &out, why), RPC_INVALID_PARAMS);
    ck_assert_uint_eq(strlen(why), 8 * 39 + 7 + strlen(" must be true or false"));
    ck_assert_ptr_nonnull(strstr(why, " must be true or false"));
    ck_assert(text_is_utf8(why, &characters));
    fields_fini(&fields);
}
END_TEST

static const char *long_choices[100];
static char long_words[100][16];

/* An explanation that is cut is cut between characters, wherever its end falls. */
START_TEST(explanations_are_cut_between_characters)
{
    rpc_field field = RPC_CHOICE(struct report, shade, .doc = "d", .choices = RPC_TABLE(long_choices));
    const rpc_shape shape = {RPC_FORM_VALUE, sizeof(struct report), &field, 1, NULL};
    static const char *const names[] = {"a", "aa", "aaa", "aaaa"};
    struct fields fields;
    void *out;
    size_t characters;
    for (int i = 0; i < 100; i++) { /* each a different one of two characters */
        snprintf(long_words[i], sizeof long_words[i], "\xF0\x9F\x98\x80\xF0\x9F\x98%c", 0x80 + i % 64);
        long_words[i][3] = (char)(0x80 + i / 64);
        long_choices[i] = long_words[i];
    }
    field.member = names[_i];
    ck_assert_int_eq(fields_init(&fields, &shape, why), RPC_OK);
    parse("1");
    ck_assert_int_eq(fields_decode(&fields, tree, &arena, &out, why), RPC_INVALID_PARAMS);
    ck_assert_uint_gt(strlen(why), FIELDS_WHY - 10);
    ck_assert(text_is_utf8(why, &characters));
    fields_fini(&fields);
}
END_TEST

/* ---- Options ---- */

START_TEST(options_are_flat)
{
    for (size_t i = 0; i < report_shape.count; i++) {
        const rpc_shape shape = {RPC_FORM_OBJECT, sizeof(struct report), &report_fields[i], 1, NULL};
        ck_assert_msg(options_check_shape(&shape), "%s", report_fields[i].member);
    }
    const char *const nested = "an option cannot be an object or an array";
    ck_assert_str_eq(options_check_shape(&(rpc_shape){RPC_FORM_OBJECT, END, report_fields + 1, 1, NULL}),
                     nested);
    ck_assert_str_eq(options_check_shape(&(rpc_shape){RPC_FORM_OBJECT, END, report_fields + 5, 1, NULL}),
                     nested);
    ck_assert_str_eq(options_check_shape(&(rpc_shape){RPC_FORM_OBJECT, END, report_fields + 10, 1, NULL}),
                     "an option cannot be null");
}
END_TEST

UNIT_MAIN("nested", open_report, close_report, {defaults_stand_in, 0}, {objects_lie_in_place, 0},
          {arrays_of_each_kind, 0}, {arrays_of_objects, 0}, {empty_is_not_null, 0},
          {undeclared_members_are_told, UNIT_ROWS(undeclareds)}, {misfits_are_told, UNIT_ROWS(misfits)},
          {numbers_are_told_as_sent, UNIT_ROWS(numbers)}, {integers_are_told_exactly, 0},
          {positions_are_the_order_of_the_table, 0}, {positional_misfits_are_told, UNIT_ROWS(positionals)},
          {positional_objects_and_arrays, 0}, {a_value_by_position_is_the_only_one, 0},
          {nothing_by_position, 0}, {encodes_the_least, 0}, {comes_round, 0},
          {unfit_structs_are_told, UNIT_ROWS(broken)}, {empty_arrays_have_bounds, 0}, {flags_of_arrays, 0},
          {full_writers_are_not_overrun, 0}, {values_are_arrays_and_objects, UNIT_ROWS(values)},
          {describes, UNIT_ROWS(described)}, {wrong_fields_are_refused, UNIT_ROWS(wrong_fields)},
          {wrong_fields_are_found_in_objects, UNIT_ROWS(wrong_fields)},
          {nameless_fields_are_found_in_objects, 0}, {nesting_has_a_limit, 0},
          {no_shape_is_nested_in_itself, 0}, {long_names_are_cut, 0},
          {explanations_are_cut_between_characters, 4}, {options_are_flat, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/shape/fields.c: one struct with a member of every kind is decoded, encoded and described; whatever
 * does not fit is told in words that are compared letter by letter, since callers read them. Then tables that
 * are wrong.
 */
#include "unit.h"

#include "shape/codec_json.h"
#include "shape/fields.h"
#include "shape/json.h"
#include "shape/fields_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- One of each ---- */

static const char *const units[] = {"C", "F", "K"};

struct sample {
    bool on;
    int32_t small, ranged;
    int64_t large;
    double ratio, celsius;
    const char *name, *note;
    int unit, mode;
    rpc_json any;
    int32_t maybe;
    bool has_maybe, has_mode;
};

static const rpc_field sample_fields[] = {
    RPC_BOOL(struct sample, on, .doc = "a switch", .default_json = "true"),
    RPC_INT32(struct sample, small, .doc = "a small number", .default_json = "-3"),
    RPC_INT32(struct sample, ranged, .doc = "a percentage", .default_json = "50", .range = {0, 100}),
    RPC_INT64(struct sample, large, .doc = "a large number", .default_json = "9223372036854775807"),
    RPC_DOUBLE(struct sample, ratio, .doc = "a ratio", .default_json = "0.5"),
    RPC_DOUBLE(struct sample, celsius, .doc = "a temperature", .default_json = "20",
               .range = {-273.15, INFINITY}),
    RPC_STRING(struct sample, name, .doc = "the only one that is required", .length = {1, 4}),
    RPC_STRING(struct sample, note, .doc = "a text", .optional = true, .length = {0, 3}),
    RPC_CHOICE(struct sample, unit, .doc = "a unit", .choices = RPC_TABLE(units), .default_json = "\"K\""),
    RPC_CHOICE(struct sample, mode, .name = "class", .doc = "another", .choices = RPC_TABLE(units),
               .optional = true, .flag = RPC_FLAG(struct sample, has_mode)),
    RPC_JSON(struct sample, any, .doc = "anything", .optional = true),
    RPC_INT32(struct sample, maybe, .doc = "perhaps a number", .optional = true,
              .flag = RPC_FLAG(struct sample, has_maybe)),
};

static const rpc_shape sample_shape = RPC_OBJECT_SHAPE(struct sample, sample_fields);

static struct fields sample;
static struct arena arena, trees; /* of what is decoded, and of what it is decoded from */
static char why[FIELDS_WHY];

static void open_sample(void)
{
    arena_init(&arena);
    arena_init(&trees);
    ck_assert_int_eq(fields_init(&sample, &sample_shape, why), RPC_OK);
}

static void close_sample(void)
{
    arena_fini(&arena);
    arena_fini(&trees);
    fields_fini(&sample);
    ck_assert_ptr_null(sample.shape);
    fields_fini(&sample);
}

static cJSON *parse(const char *text)
{
    struct json_error error;
    cJSON *tree = json_parse(text, strlen(text), &trees, &error);
    ck_assert_msg(error.fault == JSON_FINE, "%s: %s", text, error.why);
    return tree;
}

static const struct sample *decode(const char *text)
{
    void *out;
    const rpc_status status = fields_decode(&sample, parse(text), &arena, &out, why);
    ck_assert_msg(status == RPC_OK, "%s: %s", text, why);
    return out;
}

/* ---- Decoding what fits ---- */

START_TEST(defaults_stand_in)
{
    const struct sample *out = decode("{\"name\":\"x\"}");
    ck_assert_int_eq(out->on, true);
    ck_assert_int_eq(out->small, -3);
    ck_assert_int_eq(out->ranged, 50);
    ck_assert_int_eq(out->large, INT64_MAX);
    ck_assert_double_eq(out->ratio, 0.5);
    ck_assert_double_eq(out->celsius, 20);
    ck_assert_str_eq(out->name, "x");
    ck_assert_ptr_null(out->note);
    ck_assert_int_eq(out->unit, 2);
    ck_assert_int_eq(out->mode, 0);
    ck_assert(!out->has_mode);
    ck_assert_ptr_null(out->any.text);
    ck_assert_int_eq(out->maybe, 0);
    ck_assert(!out->has_maybe);
}
END_TEST

START_TEST(given_members_win)
{
    const struct sample *out = decode(
        "{\"on\":false,\"small\":7,\"ranged\":0,\"large\":-9223372036854775808,\"ratio\":-1e-3,"
        "\"celsius\":-273.15,\"name\":\"\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\","
        "\"note\":\"\",\"unit\":\"C\",\"class\":\"F\",\"any\":{\"a\":[1,null]},\"maybe\":0,"
        "\"more\":{\"is\":\"ignored\"},\"ON\":5}");
    ck_assert_int_eq(out->on, false);
    ck_assert_int_eq(out->small, 7);
    ck_assert_int_eq(out->ranged, 0);
    ck_assert_int_eq(out->large, INT64_MIN);
    ck_assert_double_eq(out->ratio, -1e-3);
    ck_assert_double_eq(out->celsius, -273.15);
    ck_assert_uint_eq(strlen(out->name), 16);
    ck_assert_str_eq(out->note, "");
    ck_assert_int_eq(out->unit, 0);
    ck_assert_int_eq(out->mode, 1);
    ck_assert(out->has_mode);
    ck_assert_str_eq(out->any.text, "{\"a\":[1,null]}");
    ck_assert_int_eq(out->maybe, 0);
    ck_assert(out->has_maybe);
}
END_TEST

/* Raw JSON outlives the tree that it was decoded from, and null is a value like any other. */
START_TEST(raw_json_is_kept)
{
    static const char *const texts[] = {"null",      "0", "\"\"", "[]", "{}", "12345678901234567890",
                                        "[[[true]]]"};
    for (int i = 0; i < UNIT_ROWS(texts); i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"name\":\"x\",\"any\":%s}", texts[i]);
        const struct sample *out = decode(text);
        arena_fini(&trees);
        ck_assert_str_eq(out->any.text, texts[i]);
    }
}
END_TEST

/* ---- Whole numbers ---- */

static const struct integer {
    const char *text;
    int64_t value;
    bool small; /* also one of 32 bits */
    bool fits;
} integers[] = {
    {"0", 0, true, true},
    {"-0", 0, true, true},
    {"1.0", 1, true, true},
    {"1e3", 1000, true, true},
    {"5.000000000000000e-4294967296", 0, false, false},
    {"5.000000000000000e-99999999999999999999", 0, false, false},
    {"0.0000000000000000e-2147483648", 0, true, true},
    {"0.0000000000000000e2147483648", 0, true, true},
    {"1000000000000000000e-18", 1, true, true},
    {"1.5e1", 15, true, true},
    {"100e-2", 1, true, true},
    {"2147483647", INT32_MAX, true, true},
    {"-2147483648", INT32_MIN, true, true},
    {"2147483648", 2147483648, false, true},
    {"-2147483649", -2147483649, false, true},
    {"9007199254740991", 9007199254740991, false, true},
    {"9007199254740993", 9007199254740993, false, true},
    {"-9007199254740993", -9007199254740993, false, true},
    {"9223372036854775806", INT64_MAX - 1, false, true},
    {"9223372036854775807", INT64_MAX, false, true},
    {"-9223372036854775808", INT64_MIN, false, true},
    {"-9223372036854775808.0", INT64_MIN, false, true},
    {"9223372036854775808", 0, false, false},
    {"-9223372036854775809", 0, false, false},
    {"99999999999999999999999", 0, false, false},
    {"9.3e18", 0, false, false},
    {"-9.3e18", 0, false, false},
    {"1e300", 0, false, false},
    {"0.5", 0, false, false},
    {"-1.0000001", 0, false, false},
    {"1e-1", 0, false, false},
    {"\"1\"", 0, false, false},
    {"true", 0, false, false},
    {"null", 0, false, false},
    {"[1]", 0, false, false},
    {"{}", 0, false, false},
    /* With a point they are exact, too. */
    {"9007199254740993.0", 9007199254740993, false, true},
    {"9223372036854775807.0", INT64_MAX, false, true},
    {"1.00000000000000000000001", 0, false, false},
    {"-0.00000000000000000", 0, true, true},
    {"-9223372036854775808.00", INT64_MIN, false, true},
    {"-9223372036854775809.0", 0, false, false},
    {"9007199254740993e0", 9007199254740993, false, true},
};

static rpc_status decode_one(const rpc_shape *shape, const char *text, void **out)
{
    struct fields fields;
    cJSON *tree = parse(text);
    ck_assert_int_eq(fields_init(&fields, shape, why), RPC_OK);
    const rpc_status status = fields_decode(&fields, tree, &arena, out, why);
    fields_fini(&fields);
    return status;
}

struct long_value {
    int64_t n;
};

static const rpc_field long_fields[] = {RPC_INT64(struct long_value, n, .doc = "a number")};
static const rpc_shape long_shape = RPC_VALUE_SHAPE(struct long_value, long_fields);

struct int_value {
    int32_t n;
};

static const rpc_field int_fields[] = {RPC_INT32(struct int_value, n, .doc = "a number")};
static const rpc_shape int_shape = RPC_VALUE_SHAPE(struct int_value, int_fields);

START_TEST(integers_of_64_bits)
{
    const struct integer *row = &integers[_i];
    void *out;
    ck_assert_int_eq(decode_one(&long_shape, row->text, &out), row->fits ? RPC_OK : RPC_INVALID_PARAMS);
    if (row->fits)
        ck_assert_int_eq(((struct long_value *)out)->n, row->value);
    else
        ck_assert_str_eq(why, "n must be a whole number of 64 bits");
}
END_TEST

START_TEST(integers_of_32_bits)
{
    const struct integer *row = &integers[_i];
    void *out;
    ck_assert_int_eq(decode_one(&int_shape, row->text, &out), row->small ? RPC_OK : RPC_INVALID_PARAMS);
    if (row->small)
        ck_assert_int_eq(((struct int_value *)out)->n, row->value);
    else
        ck_assert_str_eq(why, "n must be a whole number of 32 bits");
}
END_TEST

/* Their doubles are the bounds themselves, or lie on the other side of them. */
static const rpc_field wide_fields[] = {RPC_INT64(struct long_value, n, .doc = "a number",
                                                  .range = {-9007199254740992.0, 9223372036854774784.0})};
static const rpc_shape wide_shape = RPC_VALUE_SHAPE(struct long_value, wide_fields);

static const struct wide {
    const char *text;
    rpc_status status;
} wides[] = {
    {"-9007199254740993", RPC_INVALID_PARAMS},    {"-9007199254740992", RPC_OK},
    {"-9223372036854775808", RPC_INVALID_PARAMS}, {"9223372036854774784", RPC_OK},
    {"9223372036854774785", RPC_INVALID_PARAMS},  {"9223372036854775807", RPC_INVALID_PARAMS},
};

START_TEST(ranges_that_doubles_cannot_tell)
{
    void *out;
    ck_assert_int_eq(decode_one(&wide_shape, wides[_i].text, &out), wides[_i].status);
}
END_TEST

static rpc_status encode_shape(const rpc_shape *shape, const void *in, char text[512])
{
    struct writer writer = writer_make(&codec_json, text, 511);
    const rpc_status status = fields_encode(shape, in, &writer, why);
    ck_assert(!writer.full);
    text[writer.used] = '\0';
    return status;
}

START_TEST(integers_come_out_exactly)
{
    const struct integer *row = &integers[_i];
    const struct long_value value = {row->value};
    char text[512];
    char digits[32];
    ck_assert_int_eq(encode_shape(&long_shape, &value, text), RPC_OK);
    snprintf(digits, sizeof digits, "%lld", (long long)row->value);
    ck_assert_str_eq(text, digits);
}
END_TEST

/* ---- Doubles ---- */

struct double_value {
    double x;
};

static const rpc_field double_fields[] = {RPC_DOUBLE(struct double_value, x, .doc = "a number")};
static const rpc_shape double_shape = RPC_VALUE_SHAPE(struct double_value, double_fields);

/* The last digits count: 2^53 - 1 must not become ...990, nor the largest one infinite. */
static const double doubles[] = {
    0,
    -0.0,
    1,
    0.1,
    25.5,
    -273.15,
    1e300,
    1e-300,
    1700000000.123456,
    9007199254740991.0,
    3.141592653589793,
    1.7976931348623157e308,
    2.2250738585072014e-308,
    5e-324,
    0.30000000000000004,
    1.0000000000000002,
};

START_TEST(doubles_come_back)
{
    const struct double_value value = {doubles[_i]};
    char text[512];
    void *out;
    ck_assert_int_eq(encode_shape(&double_shape, &value, text), RPC_OK);
    ck_assert_int_eq(decode_one(&double_shape, text, &out), RPC_OK);
    ck_assert_double_eq(((struct double_value *)out)->x, doubles[_i]);
}
END_TEST

/* ---- What does not fit ---- */

static const struct misfit {
    const char *text, *why;
} misfits[] = {
    {"[]", "the parameters must be a JSON object"},
    {"null", "the parameters must be a JSON object"},
    {"\"name\"", "the parameters must be a JSON object"},
    {"1", "the parameters must be a JSON object"},
    {"{}", "name is required"},
    {"{\"Name\":\"x\"}", "name is required"},
    {"{\"name\":null}", "name must be a string of 1 to 4 characters"},
    {"{\"name\":1}", "name must be a string of 1 to 4 characters"},
    {"{\"name\":12345678901234567890}", "name must be a string of 1 to 4 characters"},
    {"{\"name\":true}", "name must be a string of 1 to 4 characters"},
    {"{\"name\":[\"x\"]}", "name must be a string of 1 to 4 characters"},
    {"{\"name\":\"\"}", "name must have 1 to 4 characters, not 0"},
    {"{\"name\":\"abcde\"}", "name must have 1 to 4 characters, not 5"},
    {"{\"name\":\"\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\"}", "name must have 1 to 4 characters, not 5"},
    {"{\"name\":\"x\",\"note\":\"abcd\"}", "note must have 0 to 3 characters, not 4"},
    {"{\"name\":\"x\",\"note\":null}", "note must be a string of 0 to 3 characters"},
    {"{\"on\":1}", "on must be true or false"},
    {"{\"on\":\"true\"}", "on must be true or false"},
    {"{\"on\":null}", "on must be true or false"},
    {"{\"small\":\"7\"}", "small must be a whole number of 32 bits"},
    {"{\"small\":1.5}", "small must be a whole number of 32 bits"},
    {"{\"small\":2147483648}", "small must be a whole number of 32 bits"},
    {"{\"ranged\":-1}", "ranged: -1 is outside 0..100"},
    {"{\"ranged\":101}", "ranged: 101 is outside 0..100"},
    {"{\"ranged\":\"x\"}", "ranged must be a whole number from 0 to 100"},
    {"{\"ranged\":0.5}", "ranged must be a whole number from 0 to 100"},
    {"{\"large\":false}", "large must be a whole number of 64 bits"},
    {"{\"ratio\":\"0.5\"}", "ratio must be a number"},
    {"{\"ratio\":true}", "ratio must be a number"},
    {"{\"celsius\":-273.16}", "celsius: -273.16 is outside -273.15..inf"},
    {"{\"celsius\":{}}", "celsius must be a number of at least -273.15"},
    {"{\"name\":\"x\",\"unit\":\"c\"}", "unit must be one of C, F, K"},
    {"{\"name\":\"x\",\"unit\":\"\"}", "unit must be one of C, F, K"},
    {"{\"name\":\"x\",\"unit\":0}", "unit must be one of C, F, K"},
    {"{\"name\":\"x\",\"class\":\"X\"}", "class must be one of C, F, K"},
    {"{\"name\":\"x\",\"maybe\":null}", "maybe must be a whole number of 32 bits"},
    {"{\"name\":5,\"on\":5}", "on must be true or false"}, /* the first in the table's order */
};

START_TEST(misfits_are_told)
{
    cJSON *tree = parse(misfits[_i].text);
    void *out;
    ck_assert_int_eq(fields_decode(&sample, tree, &arena, &out, why), RPC_INVALID_PARAMS);
    ck_assert_str_eq(why, misfits[_i].why);
}
END_TEST

/* ---- Encoding ---- */

static const struct sample plain = {.on = true,
                                    .small = 1,
                                    .ranged = 2,
                                    .large = 3,
                                    .ratio = 0.25,
                                    .celsius = 4,
                                    .name = "x",
                                    .unit = 1,
                                    .mode = 99,
                                    .maybe = 5};

static rpc_status encode(const struct sample *in, char text[512])
{
    return encode_shape(&sample_shape, in, text);
}

START_TEST(encodes_what_is_there)
{
    char text[512];
    ck_assert_int_eq(encode(&plain, text), RPC_OK);
    ck_assert_str_eq(text, "{\"on\":true,\"small\":1,\"ranged\":2,\"large\":3,\"ratio\":0.25,\"celsius\":4,"
                           "\"name\":\"x\",\"unit\":\"F\"}");
}
END_TEST

START_TEST(encodes_flagged_members)
{
    struct sample in = plain;
    char text[512];
    in.has_maybe = in.has_mode = true;
    in.mode = 2;
    in.note = "\"\n\xC3\xA4";
    in.any.text = " [1, {\"a\" : 12345678901234567890}] ";
    ck_assert_int_eq(encode(&in, text), RPC_OK);
    ck_assert_str_eq(text, "{\"on\":true,\"small\":1,\"ranged\":2,\"large\":3,\"ratio\":0.25,\"celsius\":4,"
                           "\"name\":\"x\",\"note\":\"\\\"\\n\xC3\xA4\",\"unit\":\"F\",\"class\":\"K\","
                           "\"any\": [1, {\"a\" : 12345678901234567890}] ,\"maybe\":5}");
}
END_TEST

static void break_name_missing(struct sample *in)
{
    in->name = NULL;
}

static void break_name_empty(struct sample *in)
{
    in->name = "";
}

static void break_name_long(struct sample *in)
{
    in->name = "abcde";
}

static void break_name_utf8(struct sample *in)
{
    in->name = "\xFF";
}

static void break_range(struct sample *in)
{
    in->ranged = 101;
}

static void break_infinite(struct sample *in)
{
    in->ratio = INFINITY;
}

static void break_nan(struct sample *in)
{
    in->celsius = (double)NAN;
}

static void break_below(struct sample *in)
{
    in->celsius = -300;
}

static void break_choice(struct sample *in)
{
    in->unit = 3;
}

static void break_negative_choice(struct sample *in)
{
    in->unit = -1;
}

static void break_json(struct sample *in)
{
    in->any.text = "{";
}

static void break_json_end(struct sample *in)
{
    in->any.text = "1 2";
}

static const struct broken {
    void (*break_it)(struct sample *in);
    const char *why;
} broken[] = {
    {break_name_missing, "name is missing"},
    {break_name_empty, "name must have 1 to 4 characters, not 0"},
    {break_name_long, "name must have 1 to 4 characters, not 5"},
    {break_name_utf8, "name is not UTF-8"},
    {break_range, "ranged: 101 is outside 0..100"},
    {break_infinite, "ratio is not finite"},
    {break_nan, "celsius is not finite"},
    {break_below, "celsius: -300 is outside -273.15..inf"},
    {break_choice, "unit must be one of C, F, K"},
    {break_negative_choice, "unit must be one of C, F, K"},
    {break_json,
     "any: the payload is not JSON: expected a name in double quotes at line 1, column 2, where it "
     "ends"},
    {break_json_end, "any: the payload goes on behind its JSON value at line 1, column 3"},
};

START_TEST(unfit_structs_are_told)
{
    struct sample in = plain;
    char text[512];
    broken[_i].break_it(&in);
    ck_assert_int_eq(encode(&in, text), RPC_INVALID_PARAMS);
    ck_assert_str_eq(why, broken[_i].why);
}
END_TEST

struct flagged {
    const char *text;
    bool has_text;
};

/* A flag says that a string is there, and there is none: that is a slip of the handler and no more. */
START_TEST(flags_do_not_hide_null)
{
    static const rpc_field fields[] = {RPC_STRING(struct flagged, text, .doc = "d", .optional = true,
                                                  .length = {0, 9},
                                                  .flag = RPC_FLAG(struct flagged, has_text))};
    static const rpc_shape shape = RPC_OBJECT_SHAPE(struct flagged, fields);
    const struct flagged in = {NULL, true};
    char text[512];
    ck_assert_int_eq(encode_shape(&shape, &in, text), RPC_OK);
    ck_assert_str_eq(text, "{}");
}
END_TEST

/* What was decoded and encoded again is the same value. */
START_TEST(comes_round)
{
    static const char text[] =
        "{\"on\":false,\"small\":-2147483648,\"ranged\":100,\"large\":-9223372036854775808,\"ratio\":-0.125,"
        "\"celsius\":1e+100,\"name\":\"a\\\\b\",\"note\":\"\",\"unit\":\"C\",\"class\":\"K\",\"any\":null,"
        "\"maybe\":1}";
    char again[512];
    const struct sample *in = decode(text);
    ck_assert_int_eq(encode(in, again), RPC_OK);
    ck_assert_str_eq(again, text);
}
END_TEST

/* A value that is no object: nothing around it, and it cannot be left out. */
START_TEST(values_stand_alone)
{
    static const rpc_field fields[] = {RPC_STRING(struct sample, name, .doc = "it", .length = {1, 3})};
    static const rpc_shape shape = RPC_VALUE_SHAPE(struct sample, fields);
    void *out;
    ck_assert_int_eq(decode_one(&shape, "{\"name\":\"x\"}", &out), RPC_INVALID_PARAMS);
    ck_assert_str_eq(why, "name must be a string of 1 to 3 characters");
    struct sample in = plain;
    char text[512];
    ck_assert_int_eq(encode_shape(&shape, &in, text), RPC_OK);
    ck_assert_str_eq(text, "\"x\"");
    in.name = NULL;
    ck_assert_int_eq(encode_shape(&shape, &in, text), RPC_INVALID_PARAMS);
    ck_assert_str_eq(why, "name is missing");
}
END_TEST

/* ---- Words ---- */

static const struct described {
    rpc_field field;
    const char *words;
} described[] = {
    {{.kind = RPC_KIND_BOOL}, "true or false"},
    {{.kind = RPC_KIND_INT32}, "a whole number of 32 bits"},
    {{.kind = RPC_KIND_INT32, .range = {1, 10}}, "a whole number from 1 to 10"},
    {{.kind = RPC_KIND_INT64}, "a whole number of 64 bits"},
    {{.kind = RPC_KIND_INT64, .range = {0, INFINITY}}, "a whole number of at least 0"},
    {{.kind = RPC_KIND_INT64, .range = {-INFINITY, 5}}, "a whole number of at most 5"},
    {{.kind = RPC_KIND_DOUBLE}, "a number"},
    {{.kind = RPC_KIND_DOUBLE, .range = {-90, 60.5}}, "a number from -90 to 60.5"},
    {{.kind = RPC_KIND_DOUBLE, .range = {0, INFINITY}}, "a number of at least 0"},
    {{.kind = RPC_KIND_DOUBLE, .range = {-INFINITY, 0}}, "a number of at most 0"},
    {{.kind = RPC_KIND_DOUBLE, .range = {5, 5}}, "a number"}, /* no range unless min < max */
    {{.kind = RPC_KIND_DOUBLE, .range = {5, 1}}, "a number"},
    {{.kind = RPC_KIND_STRING, .length = {1, 64}}, "a string of 1 to 64 characters"},
    {{.kind = RPC_KIND_CHOICE, .choices = RPC_TABLE(units)}, "one of C, F, K"},
    {{.kind = RPC_KIND_CHOICE, .choices = {1, units + 2}}, "one of K"},
    {{.kind = RPC_KIND_JSON}, "any JSON value"},
    {{.kind = RPC_KIND_DOUBLE, .range = {-INFINITY, INFINITY}}, "a number"},
};

START_TEST(describes)
{
    char out[FIELDS_WHY];
    ck_assert_ptr_eq(fields_describe(&described[_i].field, out, sizeof out), out);
    ck_assert_str_eq(out, described[_i].words);
}
END_TEST

START_TEST(describes_in_what_there_is)
{
    const struct described *row = &described[_i];
    for (size_t capacity = 1; capacity < 40; capacity++) {
        char *out = malloc(capacity);
        ck_assert_ptr_nonnull(out);
        fields_describe(&row->field, out, capacity);
        ck_assert_uint_lt(strlen(out), capacity);
        free(out);
    }
}
END_TEST

START_TEST(names_and_what_may_miss)
{
    const rpc_field plain_field = {.member = "m"};
    const rpc_field named = {.member = "m", .name = "n", .optional = true};
    const rpc_field with_default = {.member = "m", .default_json = "1"};
    ck_assert_str_eq(fields_name(&plain_field), "m");
    ck_assert_str_eq(fields_name(&named), "n");
    ck_assert(!fields_may_miss(&plain_field));
    ck_assert(fields_may_miss(&named));
    ck_assert(fields_may_miss(&with_default));
}
END_TEST

/* A choice among a hundred words does not run over the explanation. */
START_TEST(long_explanations_are_cut)
{
    static const char *many[100];
    static char words[100][32];
    for (int i = 0; i < 100; i++) {
        snprintf(words[i], sizeof words[i], "a-word-of-a-list-%d", i);
        many[i] = words[i];
    }
    const rpc_field field = {.member = "n", .kind = RPC_KIND_CHOICE, .choices = RPC_TABLE(many)};
    const rpc_shape shape = {RPC_FORM_VALUE, sizeof(int), &field, 1, NULL};
    void *out;
    ck_assert_int_eq(decode_one(&shape, "\"x\"", &out), RPC_INVALID_PARAMS);
    ck_assert_uint_lt(strlen(why), FIELDS_WHY);
    ck_assert_int_eq(strncmp(why, "n must be one of a-word-of-a-list-0, ", 37), 0);
}
END_TEST

/* ---- Wrong tables ---- */

static const char *const nothing[] = {NULL}, *const ended[] = {"C", "F", NULL},
                         *const twice[] = {"C", "F", "C"};
#define NO_TEXT "of .choices has no text; RPC_TABLE() counts the rows, and no empty one ends them"

/* Its members lie within struct sample, too. */
struct stranger {
    const int32_t *all;
    size_t count;
    bool is_one;
};

static const struct wrong_field {
    rpc_field field;
    const char *why;
} wrong_fields[] = {
    {RPC_BOOL(struct stranger, is_one, .name = "m"), "m is not a member of the shape's struct"},
    {RPC_INT32_ARRAY(struct stranger, all, count, .name = "m", .items = {0, 2}),
     "m is not a member of the shape's struct"},
    {{.kind = RPC_KIND_BOOL}, "a field was not made by one of the macros"},
    {{.member = "", .kind = RPC_KIND_BOOL}, "a field was not made by one of the macros"},
    {{.member = "m", .name = "", .kind = RPC_KIND_BOOL}, "a field was not made by one of the macros"},
    {{.member = "m", .kind = (rpc_kind)(RPC_KIND_OBJECT + 1)}, "a field was not made by one of the macros"},
    {{.member = "m", .kind = (rpc_kind)-1}, "a field was not made by one of the macros"},
    {{.member = "m", .kind = RPC_KIND_DOUBLE, .offset = sizeof(struct sample)},
     "m is not a member of the shape's struct"},
    {{.member = "m", .kind = RPC_KIND_DOUBLE, .offset = sizeof(struct sample) - 7},
     "m is not a member of the shape's struct"},
    {{.member = "m", .kind = RPC_KIND_INT32, .flag = sizeof(struct sample) + 1},
     "m is not a member of the shape's struct"},
    {{.member = "m", .kind = RPC_KIND_STRING}, "m needs a .length with a maximum"},
    {{.member = "m", .kind = RPC_KIND_INT32, .range = {100, 0}},
     "m: a .range has a minimum below its maximum and belongs to a number"},
    {{.member = "m", .kind = RPC_KIND_INT32, .range = {5, 5}},
     "m: a .range has a minimum below its maximum and belongs to a number"},
    {{.member = "m", .kind = RPC_KIND_DOUBLE, .range = {NAN, 5}},
     "m: a .range has a minimum below its maximum and belongs to a number"},
    {{.member = "m", .kind = RPC_KIND_STRING, .length = {0, 4}, .range = {0, 4}},
     "m: a .range has a minimum below its maximum and belongs to a number"},
    {{.member = "m", .kind = RPC_KIND_INT32, .length = {0, 4}}, "m: .length belongs to strings"},
    {{.member = "m", .kind = RPC_KIND_STRING, .length = {5, 4}}, "m needs a .length with a maximum"},
    {{.member = "m", .kind = RPC_KIND_CHOICE}, "m: .choices belongs to choices, and needs one at least"},
    {{.member = "m", .kind = RPC_KIND_CHOICE, .choices = RPC_TABLE(nothing)}, "m: row 1 of 1 " NO_TEXT},
    {{.member = "m", .kind = RPC_KIND_CHOICE, .choices = RPC_TABLE(ended)}, "m: row 3 of 3 " NO_TEXT},
    {{.member = "m", .kind = RPC_KIND_CHOICE, .choices = RPC_TABLE(twice)},
     "m: the choice C is declared twice"},
    {{.member = "m", .kind = RPC_KIND_CHOICE, .choices = {.count = 1}},
     "m: .choices is to be passed with RPC_TABLE(), which counts the rows"},
    {{.member = "m", .kind = RPC_KIND_CHOICE, .choices = {.rows = units}},
     "m: .choices belongs to choices, and needs one at least"},
    {{.member = "m", .kind = RPC_KIND_INT32, .choices = RPC_TABLE(units)},
     "m: .choices belongs to choices, and needs one at least"},
    {{.member = "m", .kind = RPC_KIND_BOOL, .optional = true},
     "m is optional and needs a .default_json or a .flag"},
    {{.member = "m", .kind = RPC_KIND_INT32, .optional = true},
     "m is optional and needs a .default_json or a .flag"},
    {{.member = "m", .kind = RPC_KIND_INT64, .optional = true},
     "m is optional and needs a .default_json or a .flag"},
    {{.member = "m", .kind = RPC_KIND_DOUBLE, .optional = true},
     "m is optional and needs a .default_json or a .flag"},
    {{.member = "m", .kind = RPC_KIND_CHOICE, .choices = RPC_TABLE(units), .optional = true},
     "m is optional and needs a .default_json or a .flag"},
    {{.member = "m", .kind = RPC_KIND_INT32, .default_json = ""},
     "m: its default: the payload is not JSON: expected a value at line 1, column 1, where it ends"},
    {{.member = "m", .kind = RPC_KIND_INT32, .default_json = "1 2"},
     "m: its default: the payload goes on behind its JSON value at line 1, column 3"},
    {{.member = "m", .kind = RPC_KIND_DOUBLE, .default_json = "1e999"},
     "m: its default: the payload has a number that is too large"},
    {{.member = "m", .kind = RPC_KIND_INT32, .default_json = "\"1\""}, "m must be a whole number of 32 bits"},
    {{.member = "m", .kind = RPC_KIND_INT32, .default_json = "0.5"}, "m must be a whole number of 32 bits"},
    {{.member = "m", .kind = RPC_KIND_INT32, .default_json = "11", .range = {0, 10}},
     "m: 11 is outside 0..10"},
    {{.member = "m", .kind = RPC_KIND_BOOL, .default_json = "0"}, "m must be true or false"},
    {{.member = "m", .kind = RPC_KIND_STRING, .default_json = "\"abc\"", .length = {0, 2}},
     "m must have 0 to 2 characters, not 3"},
    {{.member = "m", .kind = RPC_KIND_STRING, .default_json = "abc", .length = {0, 3}},
     "m: its default: the payload is not JSON: expected a value at line 1, column 1"},
    {{.member = "m", .kind = RPC_KIND_CHOICE, .default_json = "\"X\"", .choices = RPC_TABLE(units)},
     "m must be one of C, F, K"},
};

static void expect_wrong(const rpc_shape *shape, const char *expected)
{
    struct fields fields;
    memset(&fields, 0xAA, sizeof fields);
    ck_assert_int_eq(fields_init(&fields, shape, why), RPC_INVALID_PARAMS);
    ck_assert_str_eq(why, expected);
    ck_assert_ptr_null(fields.shape);
    ck_assert_ptr_null(fields.defaults);
}

START_TEST(wrong_fields_are_refused)
{
    const rpc_shape shape = {RPC_FORM_OBJECT, sizeof(struct sample), &wrong_fields[_i].field, 1, NULL};
    expect_wrong(&shape, wrong_fields[_i].why);
}
END_TEST

/* Behind right ones with defaults, too, which are freed. */
START_TEST(wrong_fields_are_found_everywhere)
{
    rpc_field fields[] = {
        RPC_STRING(struct sample, name, .default_json = "\"x\"", .length = {1, 4}),
        RPC_JSON(struct sample, any, .default_json = "{\"a\":[1,2,3]}"),
        wrong_fields[_i].field,
    };
    const rpc_shape shape = RPC_OBJECT_SHAPE(struct sample, fields);
    expect_wrong(&shape, wrong_fields[_i].why);
}
END_TEST

START_TEST(names_are_unique)
{
    static const rpc_field fields[] = {
        RPC_BOOL(struct sample, on, .doc = "d"),
        RPC_INT32(struct sample, small, .doc = "d"),
        RPC_INT32(struct sample, ranged, .name = "on"),
    };
    static const rpc_shape shape = RPC_OBJECT_SHAPE(struct sample, fields);
    expect_wrong(&shape, "on is declared twice");
}
END_TEST

START_TEST(forms_are_checked)
{
    static const rpc_field two[] = {RPC_BOOL(struct sample, on, .doc = "d"),
                                    RPC_INT32(struct sample, small, .doc = NULL)};
    static const rpc_field optional[] = {RPC_STRING(struct sample, note, .optional = true, .length = {0, 3})};
    static const rpc_field with_default[] = {RPC_BOOL(struct sample, on, .default_json = "true")};
    const char *const value = "a value has one field, which is required";
    expect_wrong(&(rpc_shape)RPC_VALUE_SHAPE(struct sample, two), value);
    expect_wrong(&(rpc_shape)RPC_VALUE_SHAPE(struct sample, optional), value);
    expect_wrong(&(rpc_shape)RPC_VALUE_SHAPE(struct sample, with_default), value);
    expect_wrong(&(rpc_shape){RPC_FORM_VALUE, sizeof(struct sample), two, 0, NULL}, value);
    expect_wrong(&(rpc_shape){RPC_FORM_BYTES, sizeof(rpc_bytes), two, 1, NULL}, "bytes have no fields");
    expect_wrong(&(rpc_shape){RPC_FORM_BYTES, sizeof(rpc_bytes) + 1, NULL, 0, NULL}, "bytes have no fields");
}
END_TEST

START_TEST(no_shape_and_empty_shapes_are_fine)
{
    struct fields fields;
    const rpc_shape bytes = RPC_BYTES_SHAPE;
    const rpc_shape empty = {RPC_FORM_OBJECT, 1, NULL, 0, NULL};
    void *out;
    ck_assert_int_eq(fields_init(&fields, NULL, why), RPC_OK);
    ck_assert_ptr_null(fields.shape);
    ck_assert_int_eq(fields_init(&fields, &bytes, why), RPC_OK);
    fields_fini(&fields);
    ck_assert_int_eq(decode_one(&empty, "{\"a\":1}", &out), RPC_OK);
}
END_TEST

UNIT_MAIN("fields", open_sample, close_sample, {defaults_stand_in, 0}, {given_members_win, 0},
          {raw_json_is_kept, 0}, {integers_of_64_bits, UNIT_ROWS(integers)},
          {integers_of_32_bits, UNIT_ROWS(integers)}, {ranges_that_doubles_cannot_tell, UNIT_ROWS(wides)},
          {integers_come_out_exactly, UNIT_ROWS(integers)}, {doubles_come_back, UNIT_ROWS(doubles)},
          {misfits_are_told, UNIT_ROWS(misfits)}, {encodes_what_is_there, 0}, {encodes_flagged_members, 0},
          {unfit_structs_are_told, UNIT_ROWS(broken)}, {flags_do_not_hide_null, 0}, {comes_round, 0},
          {values_stand_alone, 0}, {describes, UNIT_ROWS(described)},
          {describes_in_what_there_is, UNIT_ROWS(described)}, {names_and_what_may_miss, 0},
          {long_explanations_are_cut, 0}, {wrong_fields_are_refused, UNIT_ROWS(wrong_fields)},
          {wrong_fields_are_found_everywhere, UNIT_ROWS(wrong_fields)}, {names_are_unique, 0},
          {forms_are_checked, 0}, {no_shape_and_empty_shapes_are_fine, 0})

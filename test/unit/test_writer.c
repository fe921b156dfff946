// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* JSON into a buffer of fixed size: what is written, and that nothing is written behind its end. */
#include "shape/codec_json.h"
#include "shape/json.h"
#include "unit.h"
#include "shape/writer.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char out[256];

static struct writer fresh(void)
{
    memset(out, 0, sizeof out);
    return writer_make(&codec_json, out, sizeof out - 1);
}

static const struct string {
    const char *text, *json;
} strings[] = {
    {"", "\"\""},
    {"plain", "\"plain\""},
    {"\"\\/", "\"\\\"\\\\/\""},
    {"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
    {"\x01\x1F", "\"\\u0001\\u001f\""},
    {"\x7F\xC3\xA4\xF0\x9F\x98\x80", "\"\x7F\xC3\xA4\xF0\x9F\x98\x80\""},
};

START_TEST(strings_are_escaped)
{
    struct writer writer = fresh();
    struct json_error error;
    struct arena arena;
    arena_init(&arena);
    writer_string(&writer, strings[_i].text);
    ck_assert_str_eq(out, strings[_i].json);
    cJSON *tree = json_parse(out, writer.used, &arena, &error);
    ck_assert_ptr_nonnull(tree);
    ck_assert_str_eq(tree->valuestring, strings[_i].text);
    arena_fini(&arena);
}
END_TEST

static const struct number {
    double number;
    const char *json;
} numbers[] = {
    {0, "0"},
    {-0.0, "-0"},
    {25.5, "25.5"},
    {-273.15, "-273.15"},
    {1e14, "100000000000000"},
    {1e15, "1e+15"},
    {0.1, "0.1"},
    {5e-324, "4.94065645841247e-324"},
    {DBL_MAX, "1.7976931348623157e+308"},
    {9007199254740991.0, "9007199254740991"},
    {0.30000000000000004, "0.30000000000000004"},
};

START_TEST(doubles_are_short_and_exact)
{
    struct writer writer = fresh();
    writer_double(&writer, numbers[_i].number);
    ck_assert_str_eq(out, numbers[_i].json);
    ck_assert(strtod(out, NULL) == numbers[_i].number);
}
END_TEST

static const struct integer {
    int64_t number;
    const char *json;
} integers[] = {{0, "0"},
                {7, "7"},
                {-10, "-10"},
                {INT64_MAX, "9223372036854775807"},
                {INT64_MIN, "-9223372036854775808"}};

START_TEST(integers_are_exact)
{
    struct writer writer = fresh();
    writer_integer(&writer, integers[_i].number);
    ck_assert_str_eq(out, integers[_i].json);
}
END_TEST

static void write_sample(struct writer *writer)
{
    writer_begin_object(writer);
    writer_name(writer, "a");
    writer_integer(writer, 1);
    writer_name(writer, "b");
    writer_begin_object(writer);
    writer_name(writer, "c");
    writer_string(writer, "\n{");
    writer_name(writer, "d");
    writer_double(writer, 0.5);
    writer_end_object(writer);
    writer_end_object(writer);
}

static const char sample[] = "{\"a\":1,\"b\":{\"c\":\"\\n{\",\"d\":0.5}}";

START_TEST(members_have_commas)
{
    struct writer writer = fresh();
    write_sample(&writer);
    ck_assert_str_eq(out, sample);
    ck_assert(!writer.full);
}
END_TEST

/* With each size that is too small the writer says so and stays inside, which the sanitizer checks, too. */
START_TEST(what_does_not_fit_is_noticed)
{
    for (size_t capacity = 0; capacity < sizeof sample; capacity++) {
        char *small = malloc(capacity + 1);
        ck_assert_ptr_nonnull(small);
        small[capacity] = '#';
        struct writer writer = writer_make(&codec_json, small, capacity);
        write_sample(&writer);
        ck_assert_int_eq(writer.full, capacity < sizeof sample - 1);
        ck_assert_uint_le(writer.used, capacity);
        ck_assert_int_eq(small[capacity], '#');
        free(small);
    }
}
END_TEST

/* Numbers of up to eight decimals come out as the C library's shortest text that reads back. */
START_TEST(decimals_are_the_shortest)
{
    uint64_t random = 1;
    for (int i = 0; i < 100000; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        const int64_t digits = (int64_t)(random >> 24) % 2000000000 - 1000000000;
        const double number = (double)digits / pow(10, (double)(random >> 60) / 2);
        char usual[40] = "";
        for (int precision = 15; precision <= 17 && strtod(usual, NULL) != number; precision++)
            snprintf(usual, sizeof usual, "%.*g", precision, number);
        struct writer writer = fresh();
        writer_double(&writer, number);
        ck_assert_str_eq(out, usual);
    }
}
END_TEST

START_TEST(values_have_commas)
{
    struct writer writer = fresh();
    writer_begin_object(&writer);
    writer_open_array(&writer, "[");
    writer_string(&writer, "[");
    writer_begin_array(&writer);
    writer_end_array(&writer);
    writer_begin_object(&writer);
    writer_end_object(&writer);
    writer_null(&writer);
    writer_bool(&writer, false);
    writer_double(&writer, 0.5);
    writer_json(&writer, "{}");
    writer_end_array(&writer);
    writer_open_object(&writer, "o");
    writer_member(&writer, "s", "{");
    writer_member_bool(&writer, "b", true);
    writer_member_integer(&writer, "i", -1);
    writer_member_json(&writer, "j", "[1]");
    writer_end_object(&writer);
    writer_end_object(&writer);
    ck_assert_str_eq(
        out, "{\"[\":[\"[\",[],{},null,false,0.5,{}],\"o\":{\"s\":\"{\",\"b\":true,\"i\":-1,\"j\":[1]}}");
}
END_TEST

/* Elements and members that were written before stand between others, and none of them is nothing. */
START_TEST(what_was_written_before_is_spliced)
{
    struct writer writer = fresh();
    writer_begin_array(&writer);
    writer_splice(&writer, "", 0);
    writer_splice(&writer, "1,2", 3);
    writer_splice(&writer, "", 0);
    writer_splice(&writer, "3", 1);
    writer_begin_object(&writer);
    writer_member_integer(&writer, "a", 4);
    writer_splice(&writer, "\"b\":5", 5);
    writer_end_object(&writer);
    writer_end_array(&writer);
    ck_assert_str_eq(out, "[1,2,3,{\"a\":4,\"b\":5}]");
}
END_TEST

UNIT_MAIN("writer", NULL, NULL, {strings_are_escaped, UNIT_ROWS(strings)},
          {doubles_are_short_and_exact, UNIT_ROWS(numbers)}, {decimals_are_the_shortest, 0},
          {integers_are_exact, UNIT_ROWS(integers)}, {members_have_commas, 0}, {values_have_commas, 0},
          {what_was_written_before_is_spliced, 0}, {what_does_not_fit_is_noticed, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/shape/options.c: configuration lines that are read through a field table, and the messages about
 * wrong ones. */
#include "unit.h"

#include "base/text.h"
#include "shape/options.h"
#include "shape/fields_check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const colours[] = {"red", "green"};

struct sample {
    bool on;
    int32_t small, seconds, bytes;
    int64_t large, period, room, any_period;
    double ratio;
    const char *word, *note, *words;
    int colour;
};

static const rpc_field sample_fields[] = {
    RPC_BOOL(struct sample, on, .doc = "a switch", .default_json = "true"),
    RPC_INT32(struct sample, small, .doc = "a number", .default_json = "3", .range = {-5, 5}),
    RPC_INT32(struct sample, seconds, .doc = "a duration", .unit = "s", .default_json = "60",
              .range = {0, 86400}),
    RPC_INT32(struct sample, bytes, .doc = "a size", .unit = "bytes", .default_json = "65536",
              .range = {64, 16777216}),
    RPC_INT64(struct sample, large, .doc = "a large number", .default_json = "0"),
    RPC_INT64(struct sample, period, .doc = "a duration", .unit = "ms", .default_json = "1500",
              .range = {10, 3600000}),
    RPC_INT64(struct sample, room, .doc = "a size", .unit = "bytes", .default_json = "1000",
              .range = {0, INFINITY}),
    RPC_INT64(struct sample, any_period, .doc = "a duration", .unit = "ms", .default_json = "0"),
    RPC_DOUBLE(struct sample, ratio, .doc = "a ratio", .default_json = "0.5", .range = {0, 1}),
    RPC_STRING(struct sample, word, .doc = "a word", .default_json = "\"none\"", .length = {1, 8}),
    RPC_STRING(struct sample, note, .doc = "a text", .optional = true, .length = {1, 100}),
    RPC_STRING(struct sample, words, .doc = "a list", .unit = "words", .optional = true, .length = {1, 100}),
    RPC_CHOICE(struct sample, colour, .doc = "a colour", .default_json = "\"green\"",
               .choices = RPC_TABLE(colours)),
};

static const rpc_shape sample_shape = RPC_OBJECT_SHAPE(struct sample, sample_fields);

static struct fields fields;
static struct arena arena;
static char why[OPTIONS_WHY];

static void open_fields(void)
{
    arena_init(&arena);
    ck_assert_int_eq(fields_init(&fields, &sample_shape, why), RPC_OK);
}

static void close_fields(void)
{
    arena_fini(&arena);
    fields_fini(&fields);
}

/* Reads one line. NULL: it was refused. */
static const struct sample *read_line(const char *owner, const char *name, const char *value)
{
    struct option_line line = {.name = name, .value = value};
    struct option_lines lines = {.prefix = "opt_", .lines = &line, .count = 1};
    const void *out = NULL;
    const bool fine = options_read(owner, &fields, &lines, &arena, &out, why);
    ck_assert(line.used);
    return fine ? out : NULL;
}

/* ---- What is accepted ---- */

START_TEST(defaults_stand_in)
{
    struct option_lines none = {.prefix = "opt_"};
    const void *out;
    ck_assert(options_read("", &fields, &none, &arena, &out, why));
    const struct sample *sample = out;
    ck_assert(sample->on);
    ck_assert_int_eq(sample->small, 3);
    ck_assert_int_eq(sample->seconds, 60);
    ck_assert_int_eq(sample->bytes, 65536);
    ck_assert_int_eq(sample->period, 1500);
    ck_assert_double_eq(sample->ratio, 0.5);
    ck_assert_str_eq(sample->word, "none");
    ck_assert_ptr_null(sample->note);
    ck_assert_int_eq(sample->colour, 1);
}
END_TEST

#define MEMBER(m) offsetof(struct sample, m)

/* Whole numbers, whose member is found by its offset. */
static const struct number {
    const char *name, *value;
    size_t member;
    bool is_long;
    int64_t number;
} numbers[] = {
    {"small", "-5", MEMBER(small), false, -5},
    {"small", "5", MEMBER(small), false, 5},
    {"small", "5 ", MEMBER(small), false, 5}, /* the broker leaves blanks behind values */
    {"small", "5 \t ", MEMBER(small), false, 5},
    {"small", "1e0", MEMBER(small), false, 1},
    {"large", "9223372036854775807", MEMBER(large), true, INT64_MAX},
    {"large", "-9223372036854775808", MEMBER(large), true, INT64_MIN},
    {"seconds", "0", MEMBER(seconds), false, 0},
    {"seconds", "0s", MEMBER(seconds), false, 0},
    {"seconds", "90s", MEMBER(seconds), false, 90},
    {"seconds", "5m", MEMBER(seconds), false, 300},
    {"seconds", "24h", MEMBER(seconds), false, 86400},
    {"seconds", "2000ms", MEMBER(seconds), false, 2},
    {"seconds", "007s", MEMBER(seconds), false, 7},
    {"period", "10ms", MEMBER(period), true, 10},
    {"period", "10s", MEMBER(period), true, 10000},
    {"period", "1h", MEMBER(period), true, 3600000},
    {"period", "1h  ", MEMBER(period), true, 3600000},
    {"any_period", "0", MEMBER(any_period), true, 0},
    {"any_period", "1000h", MEMBER(any_period), true, 3600000000},
    {"bytes", "64", MEMBER(bytes), false, 64},
    {"bytes", "1500", MEMBER(bytes), false, 1500},
    {"bytes", "64k", MEMBER(bytes), false, 65536},
    {"bytes", "16m", MEMBER(bytes), false, 16777216},
    {"room", "0", MEMBER(room), true, 0},
    {"room", "1000000m", MEMBER(room), true, 1048576000000},
};

START_TEST(reads_numbers)
{
    const struct number *row = &numbers[_i];
    const struct sample *sample = read_line("", row->name, row->value);
    ck_assert_msg(sample, "%s", why);
    const char *member = (const char *)sample + row->member;
    int64_t number;
    int32_t small;
    memcpy(&number, member, sizeof number);
    memcpy(&small, member, sizeof small);
    ck_assert_int_eq(row->is_long ? number : small, row->number);
}
END_TEST

START_TEST(reads_the_other_kinds)
{
    ck_assert(read_line("", "on", "true")->on);
    ck_assert(!read_line("", "on", "false ")->on);
    ck_assert_double_eq(read_line("", "ratio", "0.25")->ratio, 0.25);
    ck_assert_double_eq(read_line("", "ratio", "1")->ratio, 1);
    ck_assert_double_eq(read_line("", "ratio", "1e-3")->ratio, 1e-3);
    ck_assert_str_eq(read_line("", "word", "a b")->word, "a b");
    ck_assert_str_eq(read_line("", "word", "a \t ")->word, "a");
    ck_assert_str_eq(read_line("", "word", "x\"y")->word, "x\"y");
    ck_assert_str_eq(read_line("", "words", " a  b-c_d.e/f ")->words, " a  b-c_d.e/f");
    ck_assert_str_eq(read_line("", "words", "o'neil bob \t")->words, "o'neil bob");
    ck_assert_str_eq(read_line("", "words", "o’neil bäb")->words, "o’neil bäb");
    ck_assert_str_eq(read_line("", "note", "a, b; 'c' d")->note, "a, b; 'c' d");
    ck_assert_str_eq(read_line("", "word", "5")->word, "5");
    ck_assert_str_eq(read_line("", "note", "\xC3\xA4")->note, "\xC3\xA4");
    ck_assert_int_eq(read_line("", "colour", "red")->colour, 0);
    ck_assert_int_eq(read_line("", "colour", "green ")->colour, 1);
}
END_TEST

/* ---- What is not ---- */

#define PERIOD "a duration from 10ms to 1h, such as 500ms, 10s, 5m, 1h"
#define SIZE "a size in bytes from 64 to 16m, such as 1500, 64k, 16m"

#define TEXT "the text itself, without quotation marks around it"
#define WORDS "words that are separated by spaces, without quotation marks, commas and semicolons"

static const struct refused {
    const char *name, *value, *takes;
} refused[] = {
    {"on", "yes", "true or false"},
    {"on", "1", "true or false"},
    {"on", "TRUE", "true or false"},
    {"on", "", "true or false"},
    {"on", "   ", "true or false"},
    {"small", "6", "a whole number from -5 to 5"},
    {"small", "-6", "a whole number from -5 to 5"},
    {"small", "1.5", "a whole number from -5 to 5"},
    {"small", "x", "a whole number from -5 to 5"},
    {"small", "+1", "a whole number from -5 to 5"},
    {"small", "0x1", "a whole number from -5 to 5"},
    {"small", "1 2", "a whole number from -5 to 5"},
    {"small", "\"1\"", "a whole number from -5 to 5"},
    {"small", "null", "a whole number from -5 to 5"},
    {"small", "{}", "a whole number from -5 to 5"},
    {"large", "9223372036854775808", "a whole number of 64 bits"},
    {"ratio", "1.01", "a number from 0 to 1"},
    {"ratio", "1e999", "a number from 0 to 1"},
    {"ratio", "nan", "a number from 0 to 1"},
    {"ratio", "0,5", "a number from 0 to 1"},
    {"word", "", "a string of 1 to 8 characters"},
    {"word", " \t", "a string of 1 to 8 characters"},
    {"word", "123456789", "a string of 1 to 8 characters"},
    {"word", "\"x\"", TEXT},
    {"word", "\"x", TEXT},
    {"word", "x\"", TEXT},
    {"word", "'x'", TEXT},
    {"note", "\"a b\" ", TEXT},
    {"words", "\"a\"", WORDS},
    {"words", "a,b", WORDS},
    {"words", "a, b", WORDS},
    {"words", "a;b", WORDS},
    {"words", "a b,", WORDS},
    {"words", "a\tb", WORDS},
    {"words", "a 'b' c", WORDS},
    {"words", "a b\"c d", WORDS},
    /* copied from a page */
    {"word", "“x”", TEXT},
    {"word", "‘x’", TEXT},
    {"note", "« x »", TEXT},
    {"words", "“a”", WORDS},
    {"words", "a „b“", WORDS},
    {"words", "a ‘b’ c", WORDS},
    {"words", "a，b", WORDS},
    {"words", "a、b", WORDS},
    {"words", "a；b", WORDS},
    {"words", "a\u00A0b", WORDS},
    {"words", "a\u3000b", WORDS},
    {"colour", "Red", "one of red, green"},
    {"colour", "blue", "one of red, green"},
    {"colour", "red green", "one of red, green"},
    {"period", "10", PERIOD}, /* a number without a unit */
    {"period", "0", PERIOD},
    {"period", "9ms", PERIOD},
    {"period", "61m", PERIOD},
    {"period", "1d", PERIOD},
    {"period", "s", PERIOD},
    {"period", "", PERIOD},
    {"period", "-10s", PERIOD},
    {"period", "1.5s", PERIOD},
    {"period", "10 s", PERIOD},
    {"period", "10S", PERIOD},
    {"period", "10ss", PERIOD},
    {"period", "9999999999999999s", PERIOD},
    {"bytes", "63", SIZE},
    {"bytes", "17m", SIZE},
    {"bytes", "1g", SIZE},
    {"bytes", "64K", SIZE},
    {"bytes", "64kb", SIZE},
    {"bytes", "k", SIZE},
    {"bytes", "10s", SIZE},
    {"bytes", "1.5k", SIZE},
    {"any_period", "x", "a duration, such as 500ms, 10s, 5m, 1h"},
};

START_TEST(refuses_and_says_why)
{
    const struct refused *row = &refused[_i];
    char expected[OPTIONS_WHY], safe[128];
    ck_assert_ptr_null(read_line("", row->name, row->value));
    snprintf(expected, sizeof expected, "opt_%s: '%s' is not accepted, it takes %s", row->name,
             text_printable(row->value, safe, sizeof safe), row->takes);
    ck_assert_str_eq(why, expected);
}
END_TEST

/* The message about an open range has no number for the open end, and the values that it suggests are
 * accepted. */
START_TEST(messages_are_true)
{
    char out[200];
    for (size_t i = 0; i < sample_shape.count; i++) {
        const char *words = options_describe(&sample_fields[i], out, sizeof out);
        ck_assert_msg(!strstr(words, "inf"), "%s: %s", sample_fields[i].member, words);
        const char *suggested = strstr(words, "such as 500ms");
        if (suggested)
            ck_assert_msg(read_line("", fields_name(&sample_fields[i]), "500ms") != NULL, "%s", why);
    }
}
END_TEST

START_TEST(hostile_values_are_made_printable)
{
    char value[1000];
    memset(value, 'x', sizeof value);
    value[sizeof value - 1] = '\0';
    ck_assert_ptr_null(read_line("", "note", value));
    ck_assert_uint_lt(strlen(why), OPTIONS_WHY);
    ck_assert_ptr_nonnull(strstr(why, "opt_note: 'xxx"));
    ck_assert_ptr_nonnull(strstr(why, "a string of 1 to 100 characters"));
    ck_assert_ptr_null(read_line("", "note", "a\xFF\x1B"));
    ck_assert_ptr_nonnull(strstr(why, "'a\\xFF\\x1B'"));
}
END_TEST

/* ---- Lines ---- */

START_TEST(given_twice)
{
    struct option_line given[] = {
        {.name = "word", .value = "a"}, {.name = "other", .value = "b"}, {.name = "word", .value = "a"}};
    struct option_lines lines = {.prefix = "opt_", .lines = given, .count = 3};
    const void *out;
    ck_assert(!options_read("", &fields, &lines, &arena, &out, why));
    ck_assert_str_eq(why, "opt_word: 'a' is not accepted, the option is given twice");
    ck_assert(given[0].used);
    ck_assert(given[2].used);
    ck_assert(!given[1].used);
}
END_TEST

START_TEST(owners_have_their_own_lines)
{
    struct option_line given[] = {
        {.name = "word", .value = "plain"},     {.name = "sensor_word", .value = "owned"},
        {.name = "sensorword", .value = "x"},   {.name = "sensor_", .value = "x"},
        {.name = "sensor", .value = "x"},       {.name = "sens_word", .value = "x"},
        {.name = "sensor_word_", .value = "x"}, {.name = "Sensor_word", .value = "x"}};
    struct option_lines lines = {.prefix = "opt_", .lines = given, .count = 8};
    const void *out;
    ck_assert(options_read("sensor", &fields, &lines, &arena, &out, why));
    ck_assert_str_eq(((const struct sample *)out)->word, "owned");
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(given[i].used, i == 1);
    ck_assert(options_read("", &fields, &lines, &arena, &out, why));
    ck_assert_str_eq(((const struct sample *)out)->word, "plain");
    ck_assert_ptr_null(read_line("sensor", "sensor_word", ""));
    ck_assert_str_eq(why, "opt_sensor_word: '' is not accepted, it takes a string of 1 to 8 characters");
}
END_TEST

/* ---- Words ---- */

static const struct words {
    rpc_field field;
    const char *described, *printed;
} words[] = {
    {{.kind = RPC_KIND_BOOL, .default_json = "true"}, "true or false", "true"},
    {{.kind = RPC_KIND_INT32, .default_json = "2", .range = {0, 2}}, "a whole number from 0 to 2", "2"},
    {{.kind = RPC_KIND_STRING, .default_json = "\"rpc\"", .length = {1, 9}},
     "a string of 1 to 9 characters",
     "rpc"},
    {{.kind = RPC_KIND_STRING, .default_json = "\"#\"", .length = {1, 9}},
     "a string of 1 to 9 characters",
     "#"},
    {{.kind = RPC_KIND_STRING, .optional = true, .length = {1, 9}}, "a string of 1 to 9 characters", ""},
    {{.kind = RPC_KIND_CHOICE, .default_json = "\"red\"", .choices = RPC_TABLE(colours)},
     "one of red, green",
     "red"},
    {{.kind = RPC_KIND_INT32, .unit = "s", .default_json = "60", .range = {0, 86400}}, NULL, "1m"},
    {{.kind = RPC_KIND_INT32, .unit = "ms", .default_json = "50", .range = {0, 3600000}},
     "a duration from 0 to 1h, such as 500ms, 10s, 5m, 1h",
     "50ms"},
    {{.kind = RPC_KIND_INT32, .unit = "ms", .default_json = "1500", .range = {1, 90000}},
     "a duration from 1ms to 90s, such as 500ms, 10s, 5m, 1h",
     "1500ms"},
    {{.kind = RPC_KIND_INT32, .unit = "ms", .default_json = "0", .range = {0, 86400000}},
     "a duration from 0 to 24h, such as 500ms, 10s, 5m, 1h",
     "0"},
    {{.kind = RPC_KIND_INT32, .unit = "bytes", .default_json = "65536", .range = {64, 16777216}},
     SIZE,
     "64k"},
    {{.kind = RPC_KIND_INT32, .unit = "bytes", .default_json = "1000", .range = {1, 1025}},
     "a size in bytes from 1 to 1025, such as 1500, 64k, 16m",
     "1000"},
    {{.kind = RPC_KIND_INT32, .unit = "Celsius", .default_json = "7", .range = {0, 9}},
     "a whole number from 0 to 9",
     "7"},
};

START_TEST(words_and_defaults)
{
    char out[200];
    if (words[_i].described)
        ck_assert_str_eq(options_describe(&words[_i].field, out, sizeof out), words[_i].described);
    ck_assert_str_eq(options_print_default(&words[_i].field, out, sizeof out), words[_i].printed);
}
END_TEST

/* A default as it is printed is accepted as a value. */
START_TEST(defaults_can_be_written)
{
    for (size_t i = 0; i < sample_shape.count; i++) {
        char text[64];
        const rpc_field *field = &sample_fields[i];
        options_print_default(field, text, sizeof text);
        if (field->default_json)
            ck_assert_msg(read_line("", fields_name(field), text) != NULL, "%s", why);
    }
}
END_TEST

UNIT_MAIN("options", open_fields, close_fields, {defaults_stand_in, 0}, {reads_numbers, UNIT_ROWS(numbers)},
          {reads_the_other_kinds, 0}, {refuses_and_says_why, UNIT_ROWS(refused)}, {messages_are_true, 0},
          {hostile_values_are_made_printable, 0}, {given_twice, 0}, {owners_have_their_own_lines, 0},
          {words_and_defaults, UNIT_ROWS(words)}, {defaults_can_be_written, 0})

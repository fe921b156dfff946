// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/base/number.c: what is a number, and that reading and printing are exact, beside the C library's. */
#include "unit.h"

#include "base/number.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static double of_bits(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static bool is_same(double one, double other)
{
    return memcmp(&one, &other, sizeof one) == 0;
}

/* ---- What is a number ---- */

static const struct scanned {
    const char *text;
    size_t length; /* 0: it is no number */
    size_t digits;
} scanned[] = {
    {"0", 1, 1},     {"-0", 2, 1},   {"0.0", 3, 2},        {"10", 2, 2},
    {"1.50,", 4, 3}, {"1e5]", 3, 1}, {"-12.5E-07}", 9, 3}, {"1e+0", 4, 1},
    {"0e0", 3, 1},   {"1 ", 1, 1},   {"1-", 1, 1},         {"1.5.5", 3, 2},
    {"1x", 1, 1},    {"", 0, 0},     {"-", 0, 0},          {"+1", 0, 0},
    {".5", 0, 0},    {"-.5", 0, 0},  {"01", 0, 0},         {"-00", 0, 0},
    {"1.", 0, 0},    {"1.e1", 0, 0}, {"1e", 0, 0},         {"1e+", 0, 0},
    {"1e-x", 0, 0},  {"inf", 0, 0},  {"nan", 0, 0},        {"0x10", 1, 1},
    {"--1", 0, 0},   {" 1", 0, 0},   {"1,5", 1, 1},        {"1234567890123456789012345", 25, 25},
};

START_TEST(numbers_are_scanned)
{
    struct numeral numeral;
    const struct scanned *row = &scanned[_i];
    ck_assert_int_eq(number_scan(row->text, &numeral), row->length > 0);
    if (!row->length)
        return;
    ck_assert_ptr_eq(numeral.text, row->text);
    ck_assert_uint_eq(numeral.length, row->length);
    ck_assert_uint_eq(numeral.digits, row->digits);
}
END_TEST

/* ---- Reading ---- */

/* An assertion of Check that holds costs a write to a file: it would take most of the time here. */
static void expect_read(const char *text, double wanted)
{
    struct numeral numeral;
    const bool is_number = number_scan(text, &numeral) && numeral.length == strlen(text);
    const double value = is_number ? number_value(&numeral) : NAN;
    if (!is_same(value, wanted))
        ck_abort_msg("%s is read as %a, not %a", text, value, wanted);
}

static const struct value {
    const char *text;
    double value;
} values[] = {
    {"0", 0.0},
    {"-0", -0.0},
    {"-0.000e99", -0.0},
    {"25.5", 25.5},
    {"-273.15", -273.15},
    {"1e22", 1e22},
    {"1e23", 0x1.52d02c7e14af6p+76},          /* the first power of ten that is no double */
    {"9007199254740993", 9007199254740992.0}, /* between two doubles */
    {"9007199254740995", 9007199254740996.0}, /* likewise */
    {"9007199254740993.0000000000000001", 0x1.0000000000001p+53}, /* a little more than between them */
    {"9223372036854775807", 0x1p+63},
    {"18446744073709551615", 0x1p+64},
    {"99999999999999999999", 1e20},
    {"1e308", 1e308},
    {"1.7976931348623157e308", DBL_MAX},
    {"1.7976931348623159e308", INFINITY},
    {"-1e309", -INFINITY},
    {"1e99999999999999999999999999", INFINITY},
    {"1e-99999999999999999999999999", 0.0},
    {"0e99999999999999999999999999", 0.0},
    {"1e00000000000000000000000000005", 1e5},
    {"2.2250738585072014e-308", DBL_MIN},
    {"2.2250738585072011e-308", 0x0.fffffffffffffp-1022}, /* the largest of the subnormal ones */
    {"5e-324", 0x1p-1074},
    {"2e-324", 0.0},
    {"100000000000000000000000000000000000000000000000000000000000000", 1e62},
    {"0.000000000000000000000000000000000000000000000000000000000000e62", 0.0},
    {"0.0000000000000000000000000000000000000000000000000000000001e58", 1.0},
};

START_TEST(values_are_read)
{
    expect_read(values[_i].text, values[_i].value);
}
END_TEST

static const struct whole {
    const char *text;
    bool is_integer;
    int64_t value;
} wholes[] = {
    {"0", true, 0},
    {"-0.000e99", true, 0},
    {"0e-99999999999999999999", true, 0},
    {"12.50e1", true, 125},
    {"1000000000000000000000e-21", true, 1},
    {"0.00000000000000000000000007e26", true, 7},
    {"9223372036854775807.000", true, INT64_MAX},
    {"-9223372036854775808", true, INT64_MIN},
    {"92233720368547758.07e2", true, INT64_MAX},
    {"9223372036854775808", false, 0},
    {"-9223372036854775809", false, 0},
    {"922337203685477581e1", false, 0},
    {"18446744073709551617", false, 0}, /* 2^64 + 1 */
    {"1e19", false, 0},
    {"1e99999999999999999999", false, 0},
    {"1.00000000000000000000000001", false, 0},
    {"0.5", false, 0},
    {"1e-99999999999999999999", false, 0},
};

START_TEST(integers_are_read)
{
    const struct whole *row = &wholes[_i];
    struct numeral numeral;
    int64_t value = 0;
    ck_assert(number_scan(row->text, &numeral));
    ck_assert_int_eq(number_integer(&numeral, &value), row->is_integer);
    ck_assert_int_eq(value, row->value);
}
END_TEST

/* Up to 25 digits with a point anywhere, or none, and exponents that are mostly small. */
static void make_literal(uint64_t *random, char *out)
{
    const int digits = 1 + (int)(next(random) % 25);
    const int point = (int)(next(random) % 25);
    const int range = next(random) % 4 ? 30 : 330;
    out += sprintf(out, "%s%d", next(random) % 2 ? "-" : "", (int)(1 + next(random) % 9));
    for (int i = 1; i < digits; i++)
        out += sprintf(out, "%s%d", i == point ? "." : "", (int)(next(random) % 10));
    if (next(random) % 2)
        sprintf(out, "e%d", (int)(next(random) % (unsigned)(2 * range)) - range);
}

START_TEST(literals_are_read_as_the_library_reads_them)
{
    uint64_t random = 1;
    for (int i = 0; i < 200000; i++) {
        char text[64];
        make_literal(&random, text);
        expect_read(text, strtod(text, NULL));
    }
}
END_TEST

/* ---- Printing ---- */

static void print(double number, char text[NUMBER_PRINTED_MAX + 1])
{
    const size_t length = number_print(number, text);
    if (length > NUMBER_PRINTED_MAX)
        ck_abort_msg("%a takes %zu characters", number, length);
    text[length] = '\0';
}

static const struct printed {
    double number;
    const char *text;
} printed[] = {
    {0.0, "0"},
    {-0.0, "-0"},
    {25.5, "25.5"},
    {-0.1, "-0.1"},
    {0.30000000000000004, "0.30000000000000004"},
    {1790000000.1234567, "1790000000.1234567"},
    {999999999999999, "999999999999999"},
    {1e15, "1e+15"},
    {9007199254740991, "9007199254740991"},
    {123456789012345680, "1.2345678901234568e+17"},
    {0.0001, "0.0001"},
    {0.00001, "1e-05"},
    {1e23, "1e+23"},
    {DBL_MAX, "1.7976931348623157e+308"},
    {-DBL_MIN, "-2.2250738585072014e-308"},
    {-1.2345678901234567e-308, "-1.2345678901234567e-308"},
    {DBL_TRUE_MIN, "4.94065645841247e-324"},
};

START_TEST(numbers_are_printed)
{
    char text[NUMBER_PRINTED_MAX + 1];
    print(printed[_i].number, text);
    ck_assert_str_eq(text, printed[_i].text);
}
END_TEST

/* What the C library takes several attempts for. */
static void print_by_library(double number, char out[40])
{
    if (fabs(number) < 1e15 && number == trunc(number)) {
        snprintf(out, 40, "%.0f", number);
        return;
    }
    for (int precision = DBL_DIG; precision <= DBL_DECIMAL_DIG; precision++) {
        snprintf(out, 40, "%.*g", precision, number);
        if (strtod(out, NULL) == number)
            break;
    }
}

static void expect_printed(double number)
{
    char text[NUMBER_PRINTED_MAX + 1], usual[40];
    if (!isfinite(number))
        return;
    print(number, text);
    print_by_library(number, usual);
    if (strcmp(text, usual) != 0)
        ck_abort_msg("%a is printed as %s, not %s", number, text, usual);
    expect_read(text, number);
}

static void expect_neighbours_printed(double number)
{
    expect_printed(number);
    expect_printed(nextafter(number, INFINITY));
    expect_printed(-nextafter(number, -INFINITY));
}

START_TEST(any_doubles_are_printed_as_by_the_library)
{
    uint64_t random = 1;
    for (int i = 0; i < 100000; i++) {
        expect_printed(of_bits(next(&random)));
        expect_printed((double)(int64_t)next(&random) / pow(10, (double)(next(&random) % 25)));
    }
}
END_TEST

START_TEST(usual_numbers_are_printed_as_by_the_library)
{
    uint64_t random = 1;
    for (int i = 0; i < 50000; i++) {
        const double whole = (double)(int64_t)(next(&random) >> (next(&random) % 64));
        expect_printed(whole);
        expect_printed(whole / 2);
        expect_printed((double)(next(&random) % 100000000) / pow(10, (double)(next(&random) % 9)));
        expect_printed(1.79e9 + (double)(next(&random) % 1000000000) / 1e3);    /* times in milliseconds */
        expect_printed(1.79e9 + (double)(next(&random) % 1000000000000) / 1e6); /* in microseconds */
        expect_printed(of_bits(next(&random) >> 12));                           /* subnormal */
    }
}
END_TEST

START_TEST(powers_and_their_neighbours_are_printed_as_by_the_library)
{
    char text[16];
    for (int exponent = -1074; exponent < DBL_MAX_EXP; exponent++)
        expect_neighbours_printed(ldexp(1, exponent));
    for (int exponent = -323; exponent <= DBL_MAX_10_EXP; exponent++) {
        sprintf(text, "1e%d", exponent);
        expect_neighbours_printed(strtod(text, NULL));
    }
    expect_neighbours_printed(0);
    expect_neighbours_printed(DBL_MAX);
}
END_TEST

static const struct integer {
    int64_t number;
    const char *text;
} integers[] = {{0, "0"},
                {-1, "-1"},
                {1000, "1000"},
                {INT64_MAX, "9223372036854775807"},
                {INT64_MIN, "-9223372036854775808"}};

START_TEST(integers_are_printed)
{
    char text[NUMBER_PRINTED_MAX + 1] = "";
    text[number_print_integer(integers[_i].number, text)] = '\0';
    ck_assert_str_eq(text, integers[_i].text);
}
END_TEST

/* ---- In any locale ---- */

static bool is_comma_locale(const char *name)
{
    return setlocale(LC_NUMERIC, name) && strcmp(localeconv()->decimal_point, ",") == 0;
}

/* Takes a locale whose decimal point is a comma, and makes one if none is installed. */
static bool take_comma_locale(void)
{
    char folder[] = "/tmp/rpc_locale_XXXXXX", command[200];
    if (is_comma_locale("de_DE.UTF-8") || is_comma_locale("fr_FR.UTF-8"))
        return true;
    if (!mkdtemp(folder))
        return false;
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >%s/log 2>&1", folder,
             folder);
    const bool made = system(command) == 0 && setenv("LOCPATH", folder, 1) == 0;
    const bool taken = made && is_comma_locale("de_DE.UTF-8");
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) == 0 && taken;
}

START_TEST(a_decimal_comma_changes_nothing)
{
    enum { COUNT = 10000 };
    static char texts[COUNT][NUMBER_PRINTED_MAX + 1];
    static double numbers[COUNT];
    uint64_t random = 1;
    for (int i = 0; i < COUNT; i++) {
        const uint64_t bits = next(&random);
        numbers[i] = of_bits(i % 2 ? bits >> 12 : bits & ~(UINT64_C(1) << 62)); /* half of them subnormal */
        print(numbers[i], texts[i]);
    }
    if (!take_comma_locale()) {
        puts("Not tested: numbers in a locale with a decimal comma. There is none, and localedef made none.");
        return;
    }
    for (int i = 0; i < COUNT; i++) {
        char text[NUMBER_PRINTED_MAX + 1];
        print(numbers[i], text);
        ck_assert_str_eq(text, texts[i]);
        expect_read(text, numbers[i]);
    }
    expect_read("9007199254740993.0000000000000001", 0x1.0000000000001p+53);
    setlocale(LC_NUMERIC, "C");
}
END_TEST

UNIT_MAIN("number", NULL, NULL, {numbers_are_scanned, UNIT_ROWS(scanned)},
          {values_are_read, UNIT_ROWS(values)}, {integers_are_read, UNIT_ROWS(wholes)},
          {literals_are_read_as_the_library_reads_them, 0}, {numbers_are_printed, UNIT_ROWS(printed)},
          {any_doubles_are_printed_as_by_the_library, 0}, {usual_numbers_are_printed_as_by_the_library, 0},
          {powers_and_their_neighbours_are_printed_as_by_the_library, 0},
          {integers_are_printed, UNIT_ROWS(integers)}, {a_decimal_comma_changes_nothing, 0})

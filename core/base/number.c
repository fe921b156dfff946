// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Numbers of JSON as text: see number.h. Most of them take a few integer operations of 64 bits, whose error
 * is bounded. Where the error could change the result, which is rare, the C library does the work.
 */
#include "base/number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MANTISSA_DIGITS = 19, /* decimal digits that any uint64_t has room for */
    POWER_MIN = -308, /* exponents that number_power_of_ten() takes: those of normal doubles, and some more */
    POWER_MAX = 335,
    POWER_STEP = 28,
    ERROR_MAX = 5 /* by which the bits of a number * number_power_of_ten() are wrong, at most */
};

/* ---- Scaling ---- */

/* bits * 2^exponent; the highest bit is set. */
struct scaled {
    uint64_t bits;
    int exponent;
};

static struct scaled scaled_make(uint64_t bits, int exponent)
{
    const int shift = __builtin_clzll(bits);
    return (struct scaled){bits << shift, exponent - shift};
}

/* The product, cut off after 64 bits. */
static struct scaled scaled_multiply(struct scaled one, struct scaled other)
{
    const uint64_t one_low = one.bits & UINT32_MAX, one_high = one.bits >> 32;
    const uint64_t other_low = other.bits & UINT32_MAX, other_high = other.bits >> 32;
    const uint64_t left = one_high * other_low + (one_low * other_low >> 32);
    const uint64_t right = one_low * other_high + (left & UINT32_MAX);
    const uint64_t high = one_high * other_high + (left >> 32) + (right >> 32);
    const int exponent = one.exponent + other.exponent + 64;
    if (high >> 63)
        return (struct scaled){high, exponent};
    return (struct scaled){high << 1 | one.bits * other.bits >> 63, exponent - 1};
}

/*
 * 10^power. Powers in steps of 28 are in the table, rounded to the nearest bit; the factor between is exact.
 * The bits of the result are too large by less than 1 or too small by less than 2. Multiplied by an exact
 * number, they become too large by less than 2 or, since the product is cut off, too small by less than 5.
 */
static struct scaled number_power_of_ten(int power)
{
    static const uint64_t steps[] = {
        0xe61acf033d1a45df, 0xe858ad248f5c22ca, 0xea9c227723ee8bcb, 0xece53cec4a314ebe, 0xef340a98172aace5,
        0xf18899b1bc3f8ca2, 0xf3e2f893dec3f126, 0xf64335bcf065d37d, 0xf8a95fcf88747d94, 0xfb158592be068d2f,
        0xfd87b5f28300ca0e, 0x8000000000000000, 0x813f3978f8940984, 0x82818f1281ed44a0, 0x83c7088e1aab65db,
        0x850fadc09923329e, 0x865b86925b9bc5c2, 0x87aa9aff79042287, 0x88fcf317f22241e2, 0x8a5296ffe33cc930,
        0x8bab8eefb6409c1a, 0x8d07e33455637eb3, 0x8e679c2f5e44ff8f,
    };
    const int step = (power - POWER_MIN) / POWER_STEP;
    const int stepped = step * POWER_STEP + POWER_MIN;
    const int bits = (stepped * 1741647) >> 19; /* stepped * log2(10), rounded down */
    uint64_t five = 1;
    for (int i = stepped; i < power; i++)
        five *= 5;
    return scaled_multiply((struct scaled){steps[step], bits - 63}, scaled_make(five, power - stepped));
}

/* ---- Reading ---- */

static bool number_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *number_scan_digits(const char *at, struct numeral *numeral)
{
    for (; number_is_digit(*at); at++) {
        if (numeral->digits++ < MANTISSA_DIGITS)
            numeral->mantissa = numeral->mantissa * 10 + (uint64_t)(*at - '0');
    }
    return at;
}

/* Beyond some digits it does not matter how large an exponent is. */
static const char *number_scan_exponent(const char *at, struct numeral *numeral)
{
    enum { LARGE = 100000 };
    const bool negative = *at == '-';
    int exponent = 0;
    if (*at == '+' || *at == '-')
        at++;
    if (!number_is_digit(*at))
        return NULL;
    for (; number_is_digit(*at); at++) {
        if (exponent < LARGE)
            exponent = exponent * 10 + (*at - '0');
    }
    numeral->exponent += negative ? -exponent : exponent;
    return at;
}

bool number_scan(const char *text, struct numeral *numeral)
{
    *numeral = (struct numeral){.text = text};
    const char *whole = text + (*text == '-');
    const char *at = number_scan_digits(whole, numeral);
    if (at == whole || (*whole == '0' && numeral->digits > 1))
        return false;
    if (*at == '.') {
        const char *fraction = at + 1;
        at = number_scan_digits(fraction, numeral);
        if (at == fraction)
            return false;
        numeral->exponent = (int)(fraction - at);
    }
    if (*at == 'e' || *at == 'E')
        at = number_scan_exponent(at + 1, numeral);
    if (at)
        numeral->length = (size_t)(at - text);
    return at;
}

/* One exact operation on two exact doubles, which is rounded to the nearest double (IEEE 754, section 4.3).
 */
static bool number_read_short(const struct numeral *numeral, double *value)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const int count = sizeof tens / sizeof tens[0];
    if (FLT_EVAL_METHOD != 0 || numeral->mantissa >> DBL_MANT_DIG || abs(numeral->exponent) >= count)
        return false;
    const double mantissa = (double)numeral->mantissa;
    const double power = tens[abs(numeral->exponent)];
    *value = numeral->exponent < 0 ? mantissa / power : mantissa * power;
    return true;
}

/* Returns false where it is not certain which double is the nearest, and for doubles that are not normal. */
static bool number_read_scaled(const struct numeral *numeral, double *value)
{
    enum { CUT = 64 - DBL_MANT_DIG, HALF = 1 << (CUT - 1) };
    if (!numeral->mantissa || numeral->exponent < POWER_MIN || numeral->exponent > POWER_MAX)
        return false;
    const struct scaled product =
        scaled_multiply(scaled_make(numeral->mantissa, 0), number_power_of_ten(numeral->exponent));
    const int cut = (int)(product.bits & ((1 << CUT) - 1));
    const int exponent = product.exponent + 64; /* of a fraction, as C counts DBL_MIN_EXP */
    if (abs(cut - HALF) <= ERROR_MAX || exponent < DBL_MIN_EXP || exponent >= DBL_MAX_EXP)
        return false;
    *value = ldexp((double)((product.bits >> CUT) + (cut > HALF)), product.exponent + CUT);
    return true;
}

/* The C library wants the decimal point of its locale, so the number gets none. */
static double number_read_by_library(const struct numeral *numeral)
{
    char text[NUMBER_LITERAL_MAX + 16]; /* digits and an exponent */
    size_t used = 0;
    for (const char *at = numeral->text + (*numeral->text == '-'); used < numeral->digits; at++) {
        if (number_is_digit(*at))
            text[used++] = *at;
    }
    snprintf(text + used, sizeof text - used, "e%d", numeral->exponent);
    return strtod(text, NULL);
}

double number_value(const struct numeral *numeral)
{
    double value;
    const bool whole = numeral->digits <= MANTISSA_DIGITS;
    if (!(whole && (number_read_short(numeral, &value) || number_read_scaled(numeral, &value))))
        value = number_read_by_library(numeral);
    return *numeral->text == '-' ? -value : value;
}

bool number_integer(const struct numeral *numeral, int64_t *integer)
{
    const bool negative = *numeral->text == '-';
    const int digits = (int)numeral->digits, whole = digits + numeral->exponent; /* those before the point */
    const uint64_t max = (uint64_t)INT64_MAX + negative;
    uint64_t value = 0;
    int place = 0;
    for (const char *at = numeral->text + negative; place < digits; at++) {
        const uint64_t digit = (uint64_t)(*at - '0');
        if (*at == '.')
            continue;
        if (place++ < whole ? value > (max - digit) / 10 : digit > 0)
            return false;
        if (place <= whole)
            value = value * 10 + digit;
    }
    for (; value && place < whole; place++, value *= 10) {
        if (value > max / 10)
            return false;
    }
    *integer = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* ---- Printing ---- */

/* mantissa * 10^exponent, to be printed as "%.*g" does with this precision. */
struct decimal {
    uint64_t mantissa;
    int exponent, precision;
};

/* The parts of a positive double, which is (DOUBLE_LOWEST + mantissa) * 2^(exponent - DOUBLE_BIAS) if it is
 * normal. */
#define DOUBLE_LOWEST (UINT64_C(1) << (DBL_MANT_DIG - 1))
enum { DOUBLE_BIAS = 1075 };

static uint64_t number_bits(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

/* Scales a double to a whole part of 17 digits. *power gets the exponent of ten, *half half the gap above. */
static struct scaled number_scale(struct scaled number, int *power, uint64_t *half)
{
    const uint64_t limit = UINT64_C(100000000000000000);
    *power = 16 - (((number.exponent + 63) * 1262611) >> 22); /* 16 - log10(number), which is rounded down */
    struct scaled factor = number_power_of_ten(*power);
    struct scaled product = scaled_multiply(number, factor);
    if (product.bits >> -product.exponent >= limit) {
        factor = number_power_of_ten(--*power);
        product = scaled_multiply(number, factor);
    }
    /* The last bit of a double is 2^11 of number.bits. */
    *half = factor.bits >> (product.exponent - factor.exponent - number.exponent - 10);
    return product;
}

/*
 * Finds the decimal of the least precision from 15 to 17 digits that reads back as the number, which is
 * positive. Returns false where it is not certain which one that is, and for numbers that are not normal.
 */
static bool number_find_decimal(double number, struct decimal *decimal)
{
    const uint64_t bits = number_bits(number), mantissa = bits % DOUBLE_LOWEST;
    uint64_t half;
    int power;
    if (bits < DOUBLE_LOWEST)
        return false;
    const struct scaled scaled = number_scale(
        scaled_make(mantissa | DOUBLE_LOWEST, (int)(bits / DOUBLE_LOWEST) - DOUBLE_BIAS), &power, &half);
    const uint64_t half_below = mantissa ? half : half / 2; /* doubles are closer below a power of two */
    uint64_t unit = UINT64_C(100) << -scaled.exponent;
    for (int digits = DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++, unit /= 10) {
        const uint64_t rest = scaled.bits % unit;
        const bool up = rest > unit / 2;
        const uint64_t distance = up ? unit - rest : rest;
        const bool last = digits == DBL_DECIMAL_DIG; /* reads back always */
        if (!last && distance > half + ERROR_MAX)
            continue;
        if (unit / 2 - distance <= ERROR_MAX || (!last && distance + ERROR_MAX >= half_below))
            return false;
        *decimal = (struct decimal){scaled.bits / unit + up, DBL_DECIMAL_DIG - digits - power, digits};
        return true;
    }
    return false;
}

static struct decimal number_find_by_library(double number)
{
    char text[40];
    struct decimal decimal = {.precision = DBL_DIG};
    for (; decimal.precision <= DBL_DECIMAL_DIG; decimal.precision++) {
        snprintf(text, sizeof text, "%.*e", decimal.precision - 1, number);
        if (strtod(text, NULL) == number)
            break;
    }
    const char *at = text;
    for (; *at != 'e'; at++) {
        if (number_is_digit(*at)) /* and not the decimal point of the locale */
            decimal.mantissa = decimal.mantissa * 10 + (uint64_t)(*at - '0');
    }
    decimal.exponent = (int)strtol(at + 1, NULL, 10) - (decimal.precision - 1);
    return decimal;
}

static size_t number_print_digits(uint64_t number, char *out)
{
    char digits[20];
    char *first = digits + sizeof digits;
    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    const size_t count = (size_t)(digits + sizeof digits - first);
    memcpy(out, first, count);
    return count;
}

/* One digit, the others behind a point, and an exponent of two digits at least. */
static size_t number_print_scientific(const char *digits, size_t count, int exponent, char *out)
{
    char *at = out;
    *at++ = digits[0];
    if (count > 1) {
        *at++ = '.';
        memcpy(at, digits + 1, count - 1);
        at += count - 1;
    }
    *at++ = 'e';
    *at++ = exponent < 0 ? '-' : '+';
    if (abs(exponent) < 10)
        *at++ = '0';
    at += number_print_digits((uint64_t)abs(exponent), at);
    return (size_t)(at - out);
}

/* The number is 0.digits * 10^point. */
static size_t number_print_fixed(const char *digits, size_t count, int point, char *out)
{
    const size_t zeros = point < 0 ? (size_t)-point : 0;
    const size_t whole = point > 0 ? (size_t)point : 0;
    if (count <= whole) {
        memcpy(out, digits, count);
        memset(out + count, '0', whole - count);
        return whole;
    }
    char *at = out;
    memcpy(at, digits, whole);
    at += whole;
    if (!whole)
        *at++ = '0';
    *at++ = '.';
    memset(at, '0', zeros);
    memcpy(at + zeros, digits + whole, count - whole);
    return (size_t)(at - out) + zeros + count - whole;
}

static size_t number_print_decimal(struct decimal decimal, char *out)
{
    char digits[20];
    while (decimal.mantissa % 10 == 0) {
        decimal.mantissa /= 10;
        decimal.exponent++;
    }
    const size_t count = number_print_digits(decimal.mantissa, digits);
    const int point = decimal.exponent + (int)count;
    if (point < -3 || point > decimal.precision)
        return number_print_scientific(digits, count, point - 1, out);
    return number_print_fixed(digits, count, point, out);
}

size_t number_print_integer(int64_t number, char out[NUMBER_PRINTED_MAX])
{
    const bool negative = number < 0;
    *out = '-';
    return negative + number_print_digits(negative ? 0 - (uint64_t)number : (uint64_t)number, out + negative);
}

/*
 * Prints a number with a fraction, from 2^-6 to below 2^52, by the free-format algorithm of Steele and White:
 * it prints digits behind the point until the rest is less than half the gap to the next double. All of it is
 * exact in 64 bits: the fraction, which has at most 58 bits, is counted in quarters of its last bit. The gap
 * below a power of two is smaller, but the only ones here, 1/2 to 1/64, end with a rest of 0. A number from
 * 1e15 on has more than 15 digits, so that its precision is 17 and it gets no exponent either.
 */
static size_t number_print_fraction(double number, char *out)
{
    const uint64_t bits = number_bits(number), mantissa = bits % DOUBLE_LOWEST | DOUBLE_LOWEST;
    const int point = DOUBLE_BIAS - (int)(bits / DOUBLE_LOWEST), shift = point + 2;
    const uint64_t one = UINT64_C(1) << shift;
    const uint64_t even = !(mantissa & 1); /* then what is half a gap away reads back, too */
    uint64_t rest = (mantissa << 2) & (one - 1), half = 2;
    char *at = out + number_print_digits(mantissa >> point, out);
    bool low, high;
    *at++ = '.';
    do {
        rest *= 10;
        half *= 10;
        *at++ = (char)('0' + (rest >> shift));
        rest &= one - 1;
        low = rest < half + even;
        high = rest + half + even > one;
    } while (!low && !high);
    const bool is_up = high && (!low || rest + (at[-1] & 1) > one / 2); /* a tie goes to the even digit */
    at[-1] = (char)(at[-1] + is_up);
    return (size_t)(at - out);
}

size_t number_print(double number, char out[NUMBER_PRINTED_MAX])
{
    const bool negative = signbit(number);
    const double size = fabs(number);
    *out = '-';
    const bool is_whole = size >= 0x1p52 || (double)(uint64_t)size == size;
    if (is_whole && size < 1e15)
        return negative + number_print_digits((uint64_t)size, out + negative);
    if (!is_whole && size >= 0x1p-6)
        return negative + number_print_fraction(size, out + negative);
    struct decimal decimal;
    if (!number_find_decimal(size, &decimal))
        decimal = number_find_by_library(size);
    return negative + number_print_decimal(decimal, out + negative);
}

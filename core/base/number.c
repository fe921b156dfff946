// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Numbers of JSON as text: see number.h. Integers and usual fractions take a few exact operations; the C
 * library does the rest, and its decimal point, which depends on the locale, is kept out.
 */
#include "base/number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANTISSA_DIGITS = 19 }; /* decimal digits that any uint64_t has room for */

/* ---- Reading ---- */

static bool number_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *number_scan_digits(const char *at, uint64_t *mantissa)
{
    uint64_t value = *mantissa;
    for (; number_is_digit(*at); at++)
        value = value * 10 + (uint64_t)(*at - '0');
    *mantissa = value;
    return at;
}

/* Beyond some digits it does not matter how large an exponent is. */
static const char *number_scan_exponent(const char *at, int *sum)
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
    *sum += negative ? -exponent : exponent;
    return at;
}

bool number_scan(const char *text, struct numeral *numeral)
{
    const char *whole = text + (*text == '-');
    uint64_t mantissa = 0;
    int exponent = 0;
    const char *at = number_scan_digits(whole, &mantissa);
    size_t digits = (size_t)(at - whole);
    if (!digits || (*whole == '0' && digits > 1))
        return false;
    if (*at == '.') {
        const char *fraction = at + 1;
        at = number_scan_digits(fraction, &mantissa);
        if (at == fraction)
            return false;
        digits += (size_t)(at - fraction);
        exponent = (int)(fraction - at);
    }
    if (*at == 'e' || *at == 'E')
        at = number_scan_exponent(at + 1, &exponent);
    if (!at)
        return false;
    *numeral = (struct numeral){text, (size_t)(at - text), digits, mantissa, exponent};
    return true;
}

/* As digits without a point, which depends on the locale, and an exponent. */
__attribute__((noinline)) static double number_value_by_library(const struct numeral *numeral)
{
    char text[NUMBER_LITERAL_MAX + NUMBER_PRINTED_MAX + 2]; /* digits, 'e' and an exponent */
    size_t used = 0;
    for (const char *at = numeral->text; used < numeral->digits; at++) {
        if (number_is_digit(*at))
            text[used++] = *at;
    }
    text[used++] = 'e';
    used += number_print_integer(numeral->exponent, text + used);
    text[used] = '\0';
    return strtod(text, NULL);
}

/*
 * A short number is one exact operation on two exact doubles, which is rounded to the nearest double (IEEE
 * 754, section 4.3). The C library reads the others.
 */
double number_value(const struct numeral *numeral)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const int power = abs(numeral->exponent);
    double value = (double)numeral->mantissa;
    if (FLT_EVAL_METHOD != 0 || numeral->digits > MANTISSA_DIGITS || numeral->mantissa >> DBL_MANT_DIG ||
        power >= (int)(sizeof tens / sizeof tens[0]))
        value = number_value_by_library(numeral);
    else
        value = numeral->exponent < 0 ? value / tens[power] : value * tens[power];
    return *numeral->text == '-' ? -value : value;
}

bool number_integer(const struct numeral *numeral, int64_t *integer)
{
    const bool negative = *numeral->text == '-';
    const int digits = (int)numeral->digits, whole = digits + numeral->exponent; /* those before the point */
    const uint64_t max = (uint64_t)INT64_MAX + negative;
    const char *at = numeral->text + negative;
    uint64_t value = 0;
    for (int place = 0; place < digits || (value && place < whole); place++) {
        uint64_t digit = 0; /* behind the last one, too */
        if (place < digits) {
            at += *at == '.';
            digit = (uint64_t)(*at++ - '0');
        }
        if (place < whole ? value > (max - digit) / 10 : digit > 0)
            return false;
        if (place < whole)
            value = value * 10 + digit;
    }
    *integer = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* ---- Printing ---- */

/* Writes 20 bytes, which is faster than writing only those that count. */
static size_t number_print_digits(uint64_t number, char *out)
{
    static const char pairs[] =
        "0001020304050607080910111213141516171819202122232425262728293031323334353637383940"
        "4142434445464748495051525354555657585960616263646566676869707172737475767778798081"
        "828384858687888990919293949596979899";
    char digits[40];
    char *const end = digits + 20, *first = end;
    for (; number > UINT32_MAX; number /= 100)
        memcpy(first -= 2, pairs + number % 100 * 2, 2);
    uint32_t rest = (uint32_t)number; /* whose divisions are faster */
    for (; rest >= 100; rest /= 100)
        memcpy(first -= 2, pairs + rest % 100 * 2, 2);
    if (rest >= 10)
        memcpy(first -= 2, pairs + rest * 2, 2);
    else
        *--first = (char)('0' + rest);
    memcpy(out, first, 20);
    return (size_t)(end - first);
}

size_t number_print_integer(int64_t number, char out[NUMBER_PRINTED_MAX])
{
    const bool negative = number < 0;
    *out = '-';
    return negative + number_print_digits(negative ? 0 - (uint64_t)number : (uint64_t)number, out + negative);
}

/*
 * Prints a number with a fraction, from 2^-6 to below 2^52: as many digits behind the point as it takes until
 * a number of so many digits is less than half the gap to the next double away, and the nearest such number.
 * The digits are those of the upper end of this range, until what is left of it is less than the range. All
 * of it is exact in 64 bits: the fraction, which has at most 58 bits, is counted in halves of its last bit.
 * No such number is at an end of the range, which has one binary digit more than `number` behind the point.
 * The gap below a power of two is smaller, but the only ones here, 1/2 to 1/64, come out exactly. A number
 * from 1e15 on has more than 15 digits, so that its precision is 17 and it gets no exponent either.
 */
static size_t number_print_fraction(double number, char *out)
{
    uint64_t bits; /* of IEEE 754: 11 of the exponent, then 52 of the mantissa, whose highest is not stored */
    memcpy(&bits, &number, sizeof bits);
    const uint64_t lowest = UINT64_C(1) << 52, mantissa = bits % lowest + lowest;
    const int point = 1075 - (int)(bits / lowest), shift = point + 1;
    const uint64_t one = UINT64_C(1) << shift;
    uint64_t rest = ((mantissa << 1) & (one - 1)) + 1, range = 2, digit;
    char *at = out + number_print_digits(mantissa >> point, out);
    *at++ = '.';
    for (;;) {
        rest *= 10;
        range *= 10;
        digit = rest >> shift;
        rest &= one - 1;
        if (rest <= range)
            break;
        *at++ = (char)('0' + digit);
    }
    const uint64_t above = range / 2 - rest + one / 2; /* the last digit is so much too high, rounded up */
    digit -= above >> shift;
    digit += !(above & (one - 1)) && digit % 2; /* a tie goes to the even digit */
    *at++ = (char)('0' + digit);
    return (size_t)(at - out);
}

/* The first of 15, 16 and 17 digits that reads back, as the library prints it; 17 always do. */
__attribute__((noinline)) static size_t number_print_by_library(double number, char *out)
{
    char text[40];
    size_t used = 0;
    for (int precision = DBL_DIG; precision <= DBL_DECIMAL_DIG; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, number);
        if (strtod(text, NULL) == number)
            break;
    }
    for (const char *at = text; *at; at++) {
        if (number_is_digit(*at) || *at == '-' || *at == '+' || *at == 'e')
            out[used++] = *at;
        else if (out[used - 1] != '.')
            out[used++] = '.'; /* the decimal point of the locale, of one byte or more */
    }
    return used;
}

size_t number_print(double number, char out[NUMBER_PRINTED_MAX])
{
    const bool negative = signbit(number);
    const double size = fabs(number);
    *out = '-';
    const bool is_whole = size >= 0x1p52 || (double)(int64_t)size == size;
    if (is_whole && size < 1e15)
        return negative + number_print_digits((uint64_t)size, out + negative);
    if (!is_whole && size >= 0x1p-6)
        return negative + number_print_fraction(size, out + negative);
    return number_print_by_library(number, out);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Numbers of JSON as text (RFC 8259, section 6): exact in both directions, and the same in any locale.
 *
 * Threads: any. These functions touch nothing but their arguments.
 *
 * Ownership: a struct numeral points into the text that it was scanned from. Nothing is allocated.
 *
 * Failure: number_scan() returns false for a text that is no number, number_integer() for what is no such
 * integer. Nothing else fails.
 */
#ifndef CORE_BASE_NUMBER_H
#define CORE_BASE_NUMBER_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NUMBER_PRINTED_MAX = 24, /* characters of a printed number: -1.2345678901234567e-308 */
    NUMBER_LITERAL_MAX = 63  /* characters of the longest number that number_value() reads */
};

/* The text of a number. */
struct numeral {
    const char *text;
    size_t length;     /* characters */
    size_t digits;     /* how many stand before the exponent */
    uint64_t mantissa; /* all digits, if there are at most 19 */
    int exponent;      /* the value is mantissa * 10^exponent then */
};

/* Scans the number at the start of a text; the text may go on, and ends with a NUL. */
bool number_scan(const char *text, struct numeral *numeral);

/*
 * The double that is nearest to a scanned number, infinite if the number is too large for a double.
 * numeral->length is at most NUMBER_LITERAL_MAX.
 */
double number_value(const struct numeral *numeral);

/* Whether a scanned number is an integer of 64 bits, whatever its digits and its exponent are, and which one.
 */
bool number_integer(const struct numeral *numeral, int64_t *integer);

/*
 * Prints a finite number as the shortest text of 15 digits that reads back as the same double, else of 16
 * or 17, in the format of "%.15g", but for subnormal numbers, which get 15 digits where fewer would do. A
 * whole number below 1e15 has no exponent. No NUL is written, but the rest of out may be overwritten. Returns
 * the number of characters.
 */
size_t number_print(double number, char out[NUMBER_PRINTED_MAX]);
size_t number_print_integer(int64_t number, char out[NUMBER_PRINTED_MAX]);

/* Whether number_print() needs the C library for this number, which takes some fifty times as long. */
static inline bool number_prints_slowly(double number)
{
    const double size = fabs(number);
    return size != 0 && !(size >= 0x1p-6 && size < 1e15);
}

#endif

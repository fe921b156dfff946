// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* JSON into a buffer: see writer.h. */
#include "shape/writer.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct writer writer_make(char *out, size_t capacity)
{
    return (struct writer){.out = out, .capacity = capacity};
}

void writer_bytes(struct writer *writer, const char *bytes, size_t size)
{
    if (size > writer->capacity - writer->used) {
        writer->full = true;
        return;
    }
    memcpy(writer->out + writer->used, bytes, size);
    writer->used += size;
}

void writer_text(struct writer *writer, const char *text)
{
    writer_bytes(writer, text, strlen(text));
}

static bool is_escaped(char c)
{
    return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

static void write_escape(struct writer *writer, char c)
{
    static const char letters[] = "\"\\bfnrt";
    static const char meanings[] = "\"\\\b\f\n\r\t";
    const char *meaning = strchr(meanings, c);
    char escape[8];
    if (meaning && c)
        snprintf(escape, sizeof escape, "\\%c", letters[meaning - meanings]);
    else
        snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)c);
    writer_text(writer, escape);
}

void writer_string(struct writer *writer, const char *text)
{
    writer_text(writer, "\"");
    while (*text) {
        size_t plain = 0;
        while (text[plain] && !is_escaped(text[plain]))
            plain++;
        writer_bytes(writer, text, plain);
        text += plain;
        if (*text)
            write_escape(writer, *text++);
    }
    writer_text(writer, "\"");
}

void writer_name(struct writer *writer, const char *name)
{
    if (writer->used && writer->out[writer->used - 1] != '{')
        writer_text(writer, ",");
    writer_string(writer, name);
    writer_text(writer, ":");
}

void writer_member(struct writer *writer, const char *name, const char *text)
{
    writer_name(writer, name);
    writer_string(writer, text);
}

void writer_member_bool(struct writer *writer, const char *name, bool value)
{
    writer_name(writer, name);
    writer_text(writer, value ? "true" : "false");
}

void writer_member_integer(struct writer *writer, const char *name, int64_t number)
{
    writer_name(writer, name);
    writer_integer(writer, number);
}

void writer_open_object(struct writer *writer, const char *name)
{
    writer_name(writer, name);
    writer_text(writer, "{");
}

void writer_open_array(struct writer *writer, const char *name)
{
    writer_name(writer, name);
    writer_text(writer, "[");
}

void writer_element(struct writer *writer)
{
    const char last = writer->used ? writer->out[writer->used - 1] : '[';
    if (last != '[' && last != ':')
        writer_text(writer, ",");
}

void writer_integer(struct writer *writer, int64_t number)
{
    char digits[24];
    char *first = digits + sizeof digits;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        *--first = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (number < 0)
        *--first = '-';
    writer_bytes(writer, first, (size_t)(digits + sizeof digits - first));
}

/* The C library may write a decimal comma; JSON has none. */
static void write_digits(struct writer *writer, double number)
{
    char text[32];
    for (int digits = DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    char *comma = strchr(text, ',');
    if (comma)
        *comma = '.';
    writer_text(writer, text);
}

/* Writes a whole number with a point before its last digits; there is at least one digit before the point. */
static void write_scaled(struct writer *writer, int64_t scaled, int decimals)
{
    char text[24];
    char *first = text + sizeof text;
    uint64_t rest = scaled < 0 ? 0 - (uint64_t)scaled : (uint64_t)scaled;
    for (int place = 0; place <= decimals || rest; place++) {
        if (place == decimals)
            *--first = '.';
        *--first = (char)('0' + rest % 10);
        rest /= 10;
    }
    if (scaled < 0)
        *--first = '-';
    writer_bytes(writer, first, (size_t)(text + sizeof text - first));
}

/*
 * Writes a number of few decimals, as measured values are, without the C library's detour over all digits: if
 * dividing a whole number by a power of ten gives the number exactly, the quotient's decimals read back as
 * it, since both roundings are to the nearest double (IEEE 754, section 4.3). Returns false if it has more.
 */
static bool write_decimal(struct writer *writer, double number)
{
    enum { DECIMALS = 6 };
    double power = 1;
    for (int decimals = 1; decimals <= DECIMALS; decimals++) {
        power *= 10;
        const double scaled = nearbyint(number * power);
        if (fabs(scaled) >= 1e15)
            return false;
        if (scaled / power == number) {
            write_scaled(writer, (int64_t)scaled, decimals);
            return true;
        }
    }
    return false;
}

void writer_double(struct writer *writer, double number)
{
    if (fabs(number) < 1e15 && number == trunc(number) && !(number == 0 && signbit(number)))
        writer_integer(writer, (int64_t)number);
    else if (fabs(number) < 1e-3 || !write_decimal(writer, number))
        write_digits(writer, number);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* JSON into a buffer: see writer.h. */
#include "shape/writer.h"

#include "base/number.h"

#include <stdio.h>
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
    char text[NUMBER_PRINTED_MAX];
    writer_bytes(writer, text, number_print_integer(number, text));
}

void writer_double(struct writer *writer, double number)
{
    char text[NUMBER_PRINTED_MAX];
    writer_bytes(writer, text, number_print(number, text));
}

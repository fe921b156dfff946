// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Writes JSON into a buffer of fixed size. What goes out is never built as a tree first: so a result takes
 * no memory but the buffer, cannot fail for want of any, and one that is too large stops where the limit is.
 */
#ifndef CORE_WRITER_H
#define CORE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct writer {
    char *out;
    size_t used, capacity; /* bytes; no NUL is written */
    bool full;             /* something did not fit: what is in the buffer is of no use */
};

struct writer writer_make(char *out, size_t capacity);

/* Text as it is: punctuation, literals, JSON that was made before. */
void writer_text(struct writer *writer, const char *text);
void writer_bytes(struct writer *writer, const char *bytes, size_t size);

/* A JSON string out of well-formed UTF-8. */
void writer_string(struct writer *writer, const char *text);

/* A member's name and its colon, with a comma before it unless an object has just been opened. */
void writer_name(struct writer *writer, const char *name);

/* Members with their values: a string out of well-formed UTF-8, true or false, a number. */
void writer_member(struct writer *writer, const char *name, const char *text);
void writer_member_bool(struct writer *writer, const char *name, bool value);
void writer_member_integer(struct writer *writer, const char *name, int64_t number);

/* Members whose values are opened, to be closed with writer_text(). */
void writer_open_object(struct writer *writer, const char *name);
void writer_open_array(struct writer *writer, const char *name);

/* The comma before an element of an array, unless the array or a member has just been opened. */
void writer_element(struct writer *writer);

/* A number, as the shortest text that reads back as the same one. It must be finite. */
void writer_double(struct writer *writer, double number);
void writer_integer(struct writer *writer, int64_t number);

#endif

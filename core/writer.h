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

/* A number, as the shortest text that reads back as the same one. It must be finite. */
void writer_double(struct writer *writer, double number);
void writer_integer(struct writer *writer, int64_t number);

#endif

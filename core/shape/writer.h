// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Writes values into a buffer of fixed size, by the operations of a codec. What goes out is never built as a
 * tree first: so a result takes no memory but the buffer, cannot fail for want of any, and one that is too
 * large stops where the limit is.
 *
 * Threads: any. A writer is used by one thread at a time.
 *
 * Ownership: the buffer is the caller's. A copy of a writer goes on where the original was, in the same
 * buffer.
 *
 * Failure: what does not fit sets `full`; what is in the buffer is then of no use.
 */
#ifndef CORE_SHAPE_WRITER_H
#define CORE_SHAPE_WRITER_H

#include "shape/codec.h"

#include <string.h>

struct writer {
    const struct codec *codec;
    char *out;
    size_t used, capacity; /* bytes; no NUL is written */
    bool full;             /* something did not fit */
    unsigned state;        /* the codec's own, 0 at first */
};

static inline struct writer writer_make(const struct codec *codec, char *out, size_t capacity)
{
    return (struct writer){.codec = codec, .out = out, .capacity = capacity};
}

/* For codecs: bytes as they are. */
static inline void writer_bytes(struct writer *writer, const char *bytes, size_t size)
{
    if (size > writer->capacity - writer->used) {
        writer->full = true;
        return;
    }
    memcpy(writer->out + writer->used, bytes, size);
    writer->used += size;
}

/* ---- Values: alone, as an element of an open array, or behind the name of a member ---- */

static inline void writer_begin_object(struct writer *writer)
{
    writer->codec->begin(writer, true);
}

static inline void writer_end_object(struct writer *writer)
{
    writer->codec->end(writer, true);
}

static inline void writer_begin_array(struct writer *writer)
{
    writer->codec->begin(writer, false);
}

static inline void writer_end_array(struct writer *writer)
{
    writer->codec->end(writer, false);
}

/* The name of the member whose value comes next: well-formed UTF-8. */
static inline void writer_name(struct writer *writer, const char *name)
{
    writer->codec->name(writer, name);
}

/* Well-formed UTF-8. */
static inline void writer_string(struct writer *writer, const char *text)
{
    writer->codec->string(writer, text);
}

static inline void writer_integer(struct writer *writer, int64_t number)
{
    writer->codec->integer(writer, number);
}

/* A finite number, as the shortest text that reads back as the same one, where the codec has text. */
static inline void writer_double(struct writer *writer, double number)
{
    writer->codec->floating(writer, number);
}

static inline void writer_bool(struct writer *writer, bool value)
{
    writer->codec->boolean(writer, value);
}

static inline void writer_null(struct writer *writer)
{
    writer->codec->null(writer);
}

/* A value that is there as JSON text, which json_check() has accepted. A codec of another format converts it.
 */
static inline void writer_json(struct writer *writer, const char *text)
{
    writer->codec->json(writer, text);
}

/*
 * What another writer with the same codec has written: a value, or any number of elements or members of the
 * array or object that is open here.
 */
static inline void writer_splice(struct writer *writer, const char *bytes, size_t size)
{
    if (size)
        writer->codec->splice(writer, bytes, size);
}

/* A tree. */
void writer_tree(struct writer *writer, const cJSON *item);

/* ---- Members, with their names ---- */

static inline void writer_member(struct writer *writer, const char *name, const char *text)
{
    writer_name(writer, name);
    writer_string(writer, text);
}

static inline void writer_member_bool(struct writer *writer, const char *name, bool value)
{
    writer_name(writer, name);
    writer_bool(writer, value);
}

static inline void writer_member_integer(struct writer *writer, const char *name, int64_t number)
{
    writer_name(writer, name);
    writer_integer(writer, number);
}

static inline void writer_member_json(struct writer *writer, const char *name, const char *text)
{
    writer_name(writer, name);
    writer_json(writer, text);
}

static inline void writer_open_object(struct writer *writer, const char *name)
{
    writer_name(writer, name);
    writer_begin_object(writer);
}

static inline void writer_open_array(struct writer *writer, const char *name)
{
    writer_name(writer, name);
    writer_begin_array(writer);
}

#endif

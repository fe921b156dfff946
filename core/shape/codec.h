// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A codec: how values stand in payloads, read and written. A reader makes a tree of cJSON nodes, whatever the
 * payload's format is. A writer gets a value as a sequence of operations, in the order in which JSON has its
 * parts; between the beginning and the end of an object each value follows its name. So neither handlers nor
 * field tables know the format. Each message has one codec, for its payload and for its reply, and the
 * engine's events have one.
 *
 * Threads: as json.h says of trees. Writing touches nothing but its arguments.
 *
 * Ownership: a codec has static storage.
 *
 * Failure: parse() says what is wrong with a payload. An operation that does not fit sets writer->full.
 */
#ifndef CORE_SHAPE_CODEC_H
#define CORE_SHAPE_CODEC_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct json_error;
struct writer;

struct codec {
    const char *content_type; /* of replies */

    /* What json_parse() says. */
    cJSON *(*parse)(const char *bytes, size_t size, struct arena *arena, struct json_error *error);

    /* The writer's operations: writer.h says what each one writes. */
    void (*begin)(struct writer *writer, bool is_object);
    void (*end)(struct writer *writer, bool is_object);
    void (*name)(struct writer *writer, const char *name);
    void (*string)(struct writer *writer, const char *text);
    void (*integer)(struct writer *writer, int64_t number);
    void (*floating)(struct writer *writer, double number);
    void (*boolean)(struct writer *writer, bool value);
    void (*null)(struct writer *writer);
    void (*json)(struct writer *writer, const char *text);
    void (*splice)(struct writer *writer, const char *bytes, size_t size); /* size is not 0 */
};

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Values into a buffer: see writer.h. */
#include "shape/writer.h"

#include <string.h>

struct writer writer_make(const struct codec *codec, char *out, size_t capacity)
{
    return (struct writer){.codec = codec, .out = out, .capacity = capacity};
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

void writer_tree(struct writer *writer, const cJSON *item)
{
    if (cJSON_IsString(item)) {
        writer_string(writer, item->valuestring);
    } else if (cJSON_IsRaw(item)) {
        writer_json(writer, item->valuestring);
    } else if (cJSON_IsNumber(item)) {
        writer_double(writer, item->valuedouble);
    } else if (cJSON_IsArray(item) || cJSON_IsObject(item)) {
        const bool is_object = cJSON_IsObject(item);
        writer->codec->begin(writer, is_object);
        for (const cJSON *child = item->child; child; child = child->next) {
            if (is_object)
                writer_name(writer, child->string);
            writer_tree(writer, child);
        }
        writer->codec->end(writer, is_object);
    } else if (cJSON_IsBool(item)) {
        writer_bool(writer, cJSON_IsTrue(item));
    } else {
        writer_null(writer);
    }
}

void writer_member(struct writer *writer, const char *name, const char *text)
{
    writer_name(writer, name);
    writer_string(writer, text);
}

void writer_member_bool(struct writer *writer, const char *name, bool value)
{
    writer_name(writer, name);
    writer_bool(writer, value);
}

void writer_member_integer(struct writer *writer, const char *name, int64_t number)
{
    writer_name(writer, name);
    writer_integer(writer, number);
}

void writer_member_json(struct writer *writer, const char *name, const char *text)
{
    writer_name(writer, name);
    writer_json(writer, text);
}

void writer_open_object(struct writer *writer, const char *name)
{
    writer_name(writer, name);
    writer_begin_object(writer);
}

void writer_open_array(struct writer *writer, const char *name)
{
    writer_name(writer, name);
    writer_begin_array(writer);
}

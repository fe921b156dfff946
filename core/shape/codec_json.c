// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* JSON as a codec: see codec_json.h. */
#include "shape/codec_json.h"

#include "base/number.h"
#include "shape/json.h"
#include "shape/writer.h"

#include <string.h>

/* The writer's state: how many commas are due before what comes next. */
enum { CODEC_JSON_FIRST = 0, CODEC_JSON_NEXT = 1 };

static void codec_json_byte(struct writer *writer, char byte)
{
    if (writer->used < writer->capacity)
        writer->out[writer->used++] = byte;
    else
        writer->full = true;
}

/* What a value, or a name, has before it. */
static void codec_json_comma(struct writer *writer)
{
    if (writer->state == CODEC_JSON_NEXT)
        codec_json_byte(writer, ',');
    writer->state = CODEC_JSON_NEXT;
}

static void codec_json_begin(struct writer *writer, bool is_object)
{
    codec_json_comma(writer);
    codec_json_byte(writer, is_object ? '{' : '[');
    writer->state = CODEC_JSON_FIRST;
}

static void codec_json_end(struct writer *writer, bool is_object)
{
    codec_json_byte(writer, is_object ? '}' : ']');
    writer->state = CODEC_JSON_NEXT;
}

/* Whether a byte of a string stands for itself, and is not its end. */
static bool codec_json_is_plain(char c)
{
    return (unsigned char)c > '\\' || ((unsigned char)c >= ' ' && c != '"' && c != '\\');
}

static void codec_json_escape(struct writer *writer, char c)
{
    static const char meanings[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt", digits[] = "0123456789abcdef";
    const char *meaning = strchr(meanings, c);
    const char escape[] = {
        '\\', meaning ? letters[meaning - meanings] : 'u', '0', '0', digits[c >> 4 & 15], digits[c & 15]};
    writer_bytes(writer, escape, meaning ? 2 : sizeof escape);
}

/* Writes the rest of a string, from its first byte that is not plain or does not fit, and what closes it. */
__attribute__((noinline)) static void codec_json_quote_rest(struct writer *writer, const char *text,
                                                            bool is_name)
{
    for (; *text; text++) {
        if (codec_json_is_plain(*text))
            codec_json_byte(writer, *text);
        else
            codec_json_escape(writer, *text);
    }
    writer_bytes(writer, "\":", 1U + is_name);
}

/* A string, or the name of a member. Most are plain and fit. */
static void codec_json_quote(struct writer *writer, const char *text, bool is_name)
{
    const size_t comma = writer->state, behind = 1U + is_name;
    const size_t room = writer->capacity - writer->used, marks = comma + 1 + behind;
    size_t size = 0; /* of the text, as far as it is plain and fits */
    if (room < marks) {
        writer->full = true;
        return;
    }
    char *out = writer->out + writer->used;
    *out = ',';
    out += comma;
    *out++ = '"';
    for (; size < room - marks && codec_json_is_plain(text[size]); size++)
        out[size] = text[size];
    const bool is_done = !text[size];
    out += size;
    if (is_done) {
        *out++ = '"';
        if (is_name)
            *out++ = ':';
    }
    writer->used = (size_t)(out - writer->out);
    writer->state = is_name ? CODEC_JSON_FIRST : CODEC_JSON_NEXT;
    if (!is_done)
        codec_json_quote_rest(writer, text + size, is_name);
}

static void codec_json_name(struct writer *writer, const char *name)
{
    codec_json_quote(writer, name, true);
}

static void codec_json_string(struct writer *writer, const char *text)
{
    codec_json_quote(writer, text, false);
}

static void codec_json_splice(struct writer *writer, const char *bytes, size_t size)
{
    codec_json_comma(writer);
    writer_bytes(writer, bytes, size);
}

static void codec_json_integer(struct writer *writer, int64_t number)
{
    char text[NUMBER_PRINTED_MAX];
    codec_json_splice(writer, text, number_print_integer(number, text));
}

static void codec_json_double(struct writer *writer, double number)
{
    char text[NUMBER_PRINTED_MAX];
    codec_json_splice(writer, text, number_print(number, text));
}

static void codec_json_raw(struct writer *writer, const char *text)
{
    codec_json_splice(writer, text, strlen(text));
}

static void codec_json_bool(struct writer *writer, bool value)
{
    if (value)
        codec_json_raw(writer, "true");
    else
        codec_json_raw(writer, "false");
}

static void codec_json_null(struct writer *writer)
{
    codec_json_raw(writer, "null");
}

const struct codec codec_json = {
    .content_type = "application/json",
    .parse = json_parse,
    .begin = codec_json_begin,
    .end = codec_json_end,
    .name = codec_json_name,
    .string = codec_json_string,
    .integer = codec_json_integer,
    .floating = codec_json_double,
    .boolean = codec_json_bool,
    .null = codec_json_null,
    .json = codec_json_raw,
    .splice = codec_json_splice,
};

/* ---- Trees as text ---- */

/* How many bytes a tree takes at most. */
static size_t codec_json_max(const cJSON *item)
{
    if (cJSON_IsString(item))
        return 6 * strlen(item->valuestring) + 2; /* every byte an escape, and the quotes */
    if (cJSON_IsRaw(item))
        return strlen(item->valuestring);
    if (!item->child)
        return NUMBER_PRINTED_MAX; /* more than a literal or an empty array takes */
    size_t max = 2;
    for (const cJSON *child = item->child; child; child = child->next)
        max += codec_json_max(child) + 1 + (child->string ? 6 * strlen(child->string) + 3 : 0);
    return max;
}

const char *codec_json_text(const cJSON *item, struct arena *arena)
{
    const size_t max = codec_json_max(item);
    char *text = arena_take(arena, max + 1);
    if (!text)
        return NULL;
    struct writer writer = writer_make(&codec_json, text, max);
    writer_tree(&writer, item);
    text[writer.used] = '\0';
    return text;
}

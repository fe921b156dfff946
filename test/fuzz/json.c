// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Readers of JSON on any bytes, and whether they agree: the parser, the checker, cJSON's own parser, which
 * accepts more, the glance, numbers, and what the writer makes of a tree.
 */
#include "fuzz.h"

#include "base/number.h"
#include "base/text.h"
#include "shape/codec_json.h"
#include "shape/glance.h"
#include "shape/json.h"
#include "shape/writer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GROWTH = 8 }; /* times as many bytes as its text: what a tree is written as has at most so many */

/* Writes a tree; the caller frees the text. */
static char *write_tree(const cJSON *tree, size_t capacity, size_t *size)
{
    char *text = malloc(capacity + 1);
    FUZZ_EXPECT(text);
    struct writer writer = writer_make(&codec_json, text, capacity);
    writer_tree(&writer, tree);
    FUZZ_EXPECT(!writer.full);
    text[writer.used] = '\0';
    *size = writer.used;
    return text;
}

/* What was written is JSON, and is written the same when it is read. */
static void check_writing(const cJSON *tree, size_t size)
{
    size_t first_size, second_size;
    struct arena arena;
    struct json_error error;
    char *first = write_tree(tree, size * GROWTH + 64, &first_size);
    arena_init(&arena);
    cJSON *again = json_parse(first, first_size, &arena, &error);
    FUZZ_EXPECT(again && error.fault == JSON_FINE);
    json_keep_ids(again);
    char *second = write_tree(again, first_size * GROWTH + 64, &second_size);
    FUZZ_EXPECT(first_size == second_size && memcmp(first, second, first_size) == 0);
    arena_fini(&arena);
    free(first);
    free(second);
}

static void check_glanced(const struct glance_member *seen, const cJSON *item)
{
    if (!item) {
        FUZZ_EXPECT(seen->type == GLANCE_NONE);
    } else if (cJSON_IsString(item)) {
        const bool is_long = strlen(item->valuestring) > GLANCE_TEXT_MAX;
        FUZZ_EXPECT(seen->type == (is_long ? GLANCE_TOO_LONG : GLANCE_STRING));
        FUZZ_EXPECT(is_long || strcmp(seen->text, item->valuestring) == 0);
    } else if (json_is_number(item)) {
        FUZZ_EXPECT(seen->type == GLANCE_NUMBER || seen->type == GLANCE_TOO_LONG);
    } else {
        FUZZ_EXPECT(seen->type == (cJSON_IsNull(item) ? GLANCE_NULL : GLANCE_OTHER));
    }
}

/* Of a text that the parser accepts and a glance reads to its end, both see the same. */
static void check_glance(const char *text, size_t size, const cJSON *tree, const struct json_error *error)
{
    static struct glance glance;
    char *exact = malloc(size ? size : 1); /* without a NUL, so that nothing behind it is read */
    FUZZ_EXPECT(exact);
    memcpy(exact, text, size);
    glance_at(&glance, exact, size);
    free(exact);
    if (error->fault != JSON_FINE || size > GLANCE_MAX)
        return;
    FUZZ_EXPECT(glance.outermost == (cJSON_IsObject(tree) ? '{' : cJSON_IsArray(tree) ? '[' : '\0'));
    if (!cJSON_IsObject(tree))
        return;
    check_glanced(&glance.id, json_member(tree, "id"));
    check_glanced(&glance.request_id, json_member(tree, "request_id"));
    FUZZ_EXPECT(glance.notifies == !json_member(tree, "id"));
}

/* Numbers are read as the C library reads them, and come back as they were. */
static void check_number(const char *text)
{
    struct numeral numeral;
    char printed[NUMBER_PRINTED_MAX + 1];
    int64_t integer;
    if (!number_scan(text, &numeral) || numeral.length > NUMBER_LITERAL_MAX)
        return;
    char *copy = fuzz_text((const uint8_t *)text, numeral.length);
    const double value = number_value(&numeral);
    const double expected = strtod(copy, NULL);
    FUZZ_EXPECT(memcmp(&value, &expected, sizeof value) == 0);
    free(copy);
    if (!isfinite(value))
        return;
    printed[number_print(value, printed)] = '\0';
    FUZZ_EXPECT(strtod(printed, NULL) == value);
    if (!number_integer(&numeral, &integer))
        return;
    FUZZ_EXPECT((double)integer == value);
    printed[number_print_integer(integer, printed)] = '\0';
    FUZZ_EXPECT(strtoll(printed, NULL, 10) == integer);
}

static void check_string(const char *text, size_t size)
{
    char *literal = fuzz_text((const uint8_t *)text, size);
    const char *decoded = size >= 2 && text[0] == '"' ? json_decode_string(literal, size) : NULL;
    size_t characters;
    FUZZ_EXPECT(!decoded || text_is_utf8(decoded, &characters));
    free(literal);
}

static bool cjson_accepts(const char *text, size_t size)
{
    cJSON *tree = cJSON_ParseWithLengthOpts(text, size + 1, NULL, true);
    cJSON_Delete(tree);
    return tree != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct json_error error, checked;
    char *text = fuzz_text(data, size);
    arena_init(&arena);
    cJSON *tree = json_parse(text, size, &arena, &error);
    FUZZ_EXPECT((tree != NULL) == (error.fault == JSON_FINE || error.fault == JSON_UNWANTED));
    FUZZ_EXPECT((error.fault == JSON_FINE) == (error.why[0] == '\0'));
    FUZZ_EXPECT(json_check(text, size, &checked) == (tree != NULL));
    check_string(text, size);
    check_number(text);
    check_glance(text, size, tree, &error);
    if (error.fault == JSON_FINE) {
        FUZZ_EXPECT(memchr(text, '\0', size) || cjson_accepts(text, size));
        json_keep_ids(tree);
        FUZZ_EXPECT(json_is_wanted(tree, &checked));
        check_writing(tree, size);
    }
    arena_fini(&arena);
    free(text);
    return 0;
}

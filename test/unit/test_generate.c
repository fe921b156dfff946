// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* tool/generate: identifiers, texts in code, and clients that are made where memory fails. */
#include "failing_malloc.h"
#include "unit.h"

#include "base/arena.h"
#include "generate/generate.h"
#include "generate/names.h"
#include "generate/write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Identifiers ---- */

static const struct {
    const char *name, *snake, *camel, *pascal, *upper;
} idents[] = {
    {"updateSensor", "update_sensor", "updateSensor", "UpdateSensor", "UPDATE_SENSOR"},
    {"getHTTPStatus", "get_http_status", "getHttpStatus", "GetHttpStatus", "GET_HTTP_STATUS"},
    {"ttl-ms", "ttl_ms", "ttlMs", "TtlMs", "TTL_MS"},
    {"device.group.set", "device_group_set", "deviceGroupSet", "DeviceGroupSet", "DEVICE_GROUP_SET"},
    {"__ping__", "ping", "ping", "Ping", "PING"},
    {"1st", "n1st", "n1st", "N1st", "N1ST"},
    {"class", "class_", "class_", "Class", "CLASS"},
    {"", "n", "n", "N", "N"},
    {"\xc3\xa9", "n", "n", "N", "N"},
    {"a\nb\"c", "a_b_c", "aBC", "ABC", "A_B_C"},
};

static void expect_ident(const char *name, enum names_style style, const char *expected)
{
    struct arena arena;
    struct names names;
    arena_init(&arena);
    names_init(&names, &arena, " class ");
    ck_assert_str_eq(names_give(&names, "", style, name), expected);
    names_fini(&names);
    arena_fini(&arena);
}

START_TEST(styles)
{
    expect_ident(idents[_i].name, NAMES_SNAKE, idents[_i].snake);
    expect_ident(idents[_i].name, NAMES_CAMEL, idents[_i].camel);
    expect_ident(idents[_i].name, NAMES_PASCAL, idents[_i].pascal);
    expect_ident(idents[_i].name, NAMES_UPPER, idents[_i].upper);
}
END_TEST

START_TEST(names_that_look_alike)
{
    static const char *const given[] = {"a-b", "a_b", "aB", "a_b2", "x1", "x1", "class", "class_"};
    static const char *const expected[] = {"a_b", "a_b2", "a_b3",   "a_b2_2",
                                           "x1",  "x1_2", "class_", "class_2"};
    struct arena arena;
    struct names names;
    arena_init(&arena);
    names_init(&names, &arena, " class ");
    for (int i = 0; i < UNIT_ROWS(given); i++)
        ck_assert_str_eq(names_give(&names, "", NAMES_SNAKE, given[i]), expected[i]);
    ck_assert(names_is_plain(&names, "free") && names_is_plain(&names, "_x1"));
    ck_assert(!names_is_plain(&names, "a_b") && !names_is_plain(&names, "class") &&
              !names_is_plain(&names, "1"));
    ck_assert(!names_is_plain(&names, "a b") && !names_is_plain(&names, ""));
    names_fini(&names);
    arena_fini(&arena);
}
END_TEST

/* ---- Texts ---- */

static const struct {
    enum write_language language;
    const char *text, *expected;
} literals[] = {
    {WRITE_PYTHON, "a\"b\\c\n'", "\"a\\\"b\\\\c\\u000a'\""},
    {WRITE_PYTHON, "\xc3\xa9\xf0\x9f\x98\x80", "\"\\u00e9\\U0001f600\""},
    {WRITE_PYTHON, "\xff", "\"\\ufffd\""},
    {WRITE_TYPESCRIPT, "\xf0\x9f\x98\x80\xe2\x80\xa8", "\"\\ud83d\\ude00\\u2028\""},
    {WRITE_C,
     "\xc3\xa9"
     "9?\?/\"\\\x7f",
     "\"\\303\\2519\\?\\?/\\\"\\\\\\177\""},
};

START_TEST(literals_of_texts)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    write_literal(out, literals[_i].language, literals[_i].text);
    fclose(out);
    ck_assert_str_eq(text, literals[_i].expected);
    free(text);
}
END_TEST

static const struct {
    enum write_language language;
    const char *text, *expected;
} comments[] = {
    {WRITE_C, "a */ b /* c", "/* a * / b / * c */\n"},
    {WRITE_C, "*/", "/* * / */\n"},
    {WRITE_C, "a?\?/\n*", "/* a? ?/ * */\n"},
    {WRITE_C, "a\xff\xff/", "/* a? ?/ */\n"},
    {WRITE_C, "  two\t\n words ", "/* two words */\n"},
    {WRITE_TYPESCRIPT, "@ts-ignore", "/** @ ts-ignore */\n"},
    {WRITE_TYPESCRIPT, "\xe2\x80\xae\xc3\xa9\xe2\x80\xa8\x01", "/** ?\xc3\xa9? ? */\n"},
    {WRITE_PYTHON, "a\r\nb \"\\", "#: a b \"\\\n"},
};

START_TEST(comments_of_texts)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    write_comment(out, comments[_i].language, 0, comments[_i].text, NULL);
    fclose(out);
    ck_assert_str_eq(text, comments[_i].expected);
    free(text);
}
END_TEST

/* ---- Weight ---- */

/* Objects of levels: each has `refs` members that are the object of the level below it, and `plain` strings.
 */
static const struct {
    unsigned levels, refs, plain;
    size_t objects, heaviest;
} weights[] = {
    {1, 0, 10, 2, 12},               /* far from the limit: the parameters weigh one more */
    {12, 8, 1, 13, 3581},            /* without a limit, 8^11 values */
    {1, 0, 5000, 2, API_WEIGHT_MAX}, /* one object with too many members */
    {2, 1, 4000, 3, API_WEIGHT_MAX}, /* members that no longer fit beside a heavy one */
    {2, 2, 2100, 3, API_WEIGHT_MAX}, /* the second one does not fit and counts as one value */
};

static cJSON *heavy_document(unsigned levels, unsigned refs, unsigned plain)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fprintf(out,
            "{\"openrpc\":\"1.3.2\",\"methods\":[{\"name\":\"heavy\",\"params\":[{\"name\":\"p\",\"schema\":"
            "{\"$ref\":\"#/components/schemas/L%u\"}}]}],\"components\":{\"schemas\":{",
            levels - 1);
    for (unsigned level = 0; level < levels; level++) {
        fprintf(out, "%s\"L%u\":{\"title\":\"L%u\",\"type\":\"object\",\"properties\":{", level ? "," : "",
                level, level);
        for (unsigned i = 0; level && i < refs; i++)
            fprintf(out, "\"r%u\":{\"$ref\":\"#/components/schemas/L%u\"},", i, level - 1);
        for (unsigned i = 0; i < plain; i++)
            fprintf(out, "%s\"s%u\":{\"type\":\"string\"}", i ? "," : "", i);
        fputs("}}", out);
    }
    fputs("}}}", out);
    fclose(out);
    cJSON *document = cJSON_Parse(text);
    free(text);
    ck_assert_ptr_nonnull(document);
    return document;
}

/* Counts the values in an object, but not far beyond the limit. */
static size_t count_values(const struct api_object *object)
{
    size_t count = 1;
    for (size_t i = 0; i < object->count && count <= API_WEIGHT_MAX; i++) {
        const struct api_type *type = &object->members[i].type;
        count += type->kind == API_OBJECT ? count_values(type->object) : 1;
    }
    return count;
}

/* In C an object holds those in it, so that what it weighs has to be bounded. */
START_TEST(heavy_objects)
{
    cJSON *document = heavy_document(weights[_i].levels, weights[_i].refs, weights[_i].plain);
    struct api api;
    size_t objects = 0, heaviest = 0;
    ck_assert(api_read(&api, document));
    for (const struct api_object *object = api.objects; object; object = object->next, objects++) {
        const size_t count = count_values(object);
        ck_assert_uint_eq(object->weight, count);
        heaviest = count > heaviest ? count : heaviest;
    }
    ck_assert_uint_eq(objects, weights[_i].objects);
    ck_assert_uint_eq(heaviest, weights[_i].heaviest);
    api_fini(&api);
    cJSON_Delete(document);
}
END_TEST

/* ---- Memory ---- */

static cJSON *read_document(void)
{
    static char text[1 << 20];
    FILE *file = fopen(DOCUMENT, "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    cJSON *document = cJSON_Parse(text);
    ck_assert_ptr_nonnull(document);
    return document;
}

/* A client of a part of the document, so that each of its allocations can fail in turn. */
START_TEST(memory_that_fails)
{
    cJSON *document = read_document(), *methods = cJSON_GetObjectItem(document, "methods");
    while (cJSON_GetArraySize(methods) > 6)
        cJSON_DeleteItemFromArray(methods, _i % 2 ? 0 : 6);
    const struct generate_language *language = &generate_languages[_i / 2];
    FILE *out = fopen("/dev/null", "w");
    const struct generate_files files = {out, out, "service.h"};
    bool has_failed = true;
    size_t n = 0;
    for (; has_failed; n++) {
        failing_arm(FAILING_ONCE, n);
        const char *fault = generate_write(document, language, "service", &files);
        has_failed = failing_disarm();
        ck_assert_uint_eq(failing_live(), 0);
        ck_assert(!fault == !has_failed);
        ck_assert(!fault || strcmp(fault, "there is no memory") == 0);
    }
    ck_assert_uint_gt(n, 20);
    fclose(out);
    cJSON_Delete(document);
}
END_TEST

START_TEST(languages)
{
    ck_assert_ptr_eq(generate_find("python"), &generate_languages[0]);
    ck_assert_ptr_null(generate_find("cobol"));
    ck_assert_ptr_null(generate_find(""));
}
END_TEST

static void set_up(void)
{
    failing_install();
}

UNIT_MAIN("generate", set_up, NULL, {styles, UNIT_ROWS(idents)}, {names_that_look_alike, 0},
          {literals_of_texts, UNIT_ROWS(literals)}, {comments_of_texts, UNIT_ROWS(comments)},
          {heavy_objects, UNIT_ROWS(weights)}, {memory_that_fails, 6}, {languages, 0})

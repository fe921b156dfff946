// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/shape/glance.c: ids of texts that are whole, broken, cut off and huge, and agreement with
 * json_parse(). */
#include "unit.h"

#include "shape/glance.h"
#include "shape/json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Glances at a copy that ends where it says it ends, so that the sanitizer sees a look behind it. */
static struct glance glance_bytes(const char *text, size_t size)
{
    struct glance glance;
    char *copy = malloc(size ? size : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, size);
    memset(&glance, 0xA5, sizeof glance);
    glance_at(&glance, copy, size);
    free(copy);
    return glance;
}

/* ---- Texts ---- */

#define EIGHT "01234567"
#define SIXTY_FOUR EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT
#define LONGEST SIXTY_FOUR SIXTY_FOUR SIXTY_FOUR SIXTY_FOUR

static const struct row {
    const char *text;
    char outermost;
    enum glance_type type; /* of request_id */
    const char *token;
} rows[] = {
    {"{\"request_id\":\"a\"}", '{', GLANCE_STRING, "a"},
    {" \t\r\n{ \"request_id\" : \"a\" } ", '{', GLANCE_STRING, "a"},
    {"{\"request_id\":\"\"}", '{', GLANCE_STRING, ""},
    {"{\"request_id\":\"a\\n\\u00e4\\ud83d\\ude00\\\"\\\\\"}", '{', GLANCE_STRING, "a\nä😀\"\\"},
    {"{\"request_id\":\"a\\u0000b\"}", '{', GLANCE_STRING, "a\001b"},
    {"{\"request_id\":\"ä\"}", '{', GLANCE_STRING, "ä"},
    {"{\"request_id\":\"" LONGEST "\"}", '{', GLANCE_STRING, LONGEST},
    {"{\"request_id\":\"" LONGEST "8\"}", '{', GLANCE_TOO_LONG, ""},
    {"{\"request_id\":\"" LONGEST LONGEST LONGEST LONGEST LONGEST LONGEST LONGEST "\"}", '{', GLANCE_TOO_LONG,
     ""},
    {"{\"request_id\":7}", '{', GLANCE_NUMBER, "7"},
    {"{\"request_id\":-0 }", '{', GLANCE_NUMBER, "-0"},
    {"{\"request_id\":1.50e+3,\"a\":1}", '{', GLANCE_NUMBER, "1.50e+3"},
    {"{\"request_id\":12345678901234567890}", '{', GLANCE_NUMBER, "12345678901234567890"},
    {"{\"request_id\":null}", '{', GLANCE_NULL, ""},
    {"{\"request_id\":true}", '{', GLANCE_OTHER, ""},
    {"{\"request_id\":{\"request_id\":1}}", '{', GLANCE_OTHER, ""},
    {"{\"request_id\":[1]}", '{', GLANCE_OTHER, ""},
    {"{\"a\":{\"request_id\":1},\"b\":[{\"request_id\":2}],\"c\":\"\\\"request_id\\\":3\"}", '{', GLANCE_NONE,
     ""},
    {"{\"a\":\"}\",\"b\":\"]\\\\\",\"request_id\":\"x\"}", '{', GLANCE_STRING, "x"},
    {"{\"request_id\":1,\"request_id\":2}", '{', GLANCE_NUMBER, "1"},
    {"[{\"request_id\":\"a\"},{\"request_id\":\"b\"}]", '[', GLANCE_STRING, "a"},
    {"[ ]", '[', GLANCE_NONE, ""},
    {"[1,{\"request_id\":\"a\"}]", '[', GLANCE_NONE, ""},
    {"[[{\"request_id\":\"a\"}]]", '[', GLANCE_NONE, ""},
    /* broken behind it, or before it */
    {"{\"request_id\":\"a\",\"b\":}", '{', GLANCE_STRING, "a"},
    {"{\"request_id\":\"a\"", '{', GLANCE_STRING, "a"},
    {"{\"request_id\":\"a\"}}", '{', GLANCE_STRING, "a"},
    {"{\"request_id\":\"a\" \"b\":1}", '{', GLANCE_STRING, "a"},
    {"{\"b\":tru,\"request_id\":\"a\"}", '{', GLANCE_STRING, "a"},
    {"{\"b\":01,,\"request_id\":\"a\"}", '{', GLANCE_STRING, "a"},
    {"{b:1,'c':2,\"request_id\":\"a\"}", '{', GLANCE_STRING, "a"},
    {"{\"b\":\"\xFF\x01\",\"request_id\":\"a\"}", '{', GLANCE_STRING, "a"},
    {"{\"b\":[1,2,\"request_id\":\"a\"}", '{', GLANCE_NONE, ""},
    /* broken itself */
    {"{\"request_id\":\"a", '{', GLANCE_BROKEN, ""},
    {"{\"request_id\":\"a\\", '{', GLANCE_BROKEN, ""},
    {"{\"request_id\":\"a\\x\"}", '{', GLANCE_BROKEN, ""},
    {"{\"request_id\":\"\\ud800\"}", '{', GLANCE_BROKEN, ""},
    {"{\"request_id\":\"\xC3\"}", '{', GLANCE_BROKEN, ""},
    {"{\"request_id\":\"\t\"}", '{', GLANCE_BROKEN, ""},
    {"{\"request_id\":12", '{', GLANCE_BROKEN, ""},
    {"{\"request_id\":01}", '{', GLANCE_BROKEN, ""},
    {"{\"request_id\":nul}", '{', GLANCE_BROKEN, ""},
    {"{\"request_id\":" SIXTY_FOUR "}", '{', GLANCE_BROKEN, ""},
    {"{\"request_id\":}", '{', GLANCE_BROKEN, ""},
    {"{\"request_id\":", '{', GLANCE_BROKEN, ""},
    {"{\"request_id\"", '{', GLANCE_NONE, ""},
    {"{\"request_id\"}", '{', GLANCE_NONE, ""},
    /* neither object nor array */
    {"", '\0', GLANCE_NONE, ""},
    {" ", '\0', GLANCE_NONE, ""},
    {"7", '\0', GLANCE_NONE, ""},
    {"\"request_id\":\"a\"", '\0', GLANCE_NONE, ""},
    {"request_id", '\0', GLANCE_NONE, ""},
};

START_TEST(test_text)
{
    const struct row *row = &rows[_i];
    const struct glance glance = glance_bytes(row->text, strlen(row->text));
    ck_assert_int_eq(glance.outermost, row->outermost);
    ck_assert_msg(glance.request_id.type == row->type, "%s: %d", row->text, (int)glance.request_id.type);
    ck_assert_str_eq(glance.request_id.text, row->token);
}
END_TEST

START_TEST(test_all_members)
{
    static const char text[] = "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":\"a:b\",\"request_id\":9}";
    const struct glance glance = glance_bytes(text, sizeof text - 1);
    ck_assert(glance_is_jsonrpc(&glance));
    ck_assert_int_eq(glance.id.type, GLANCE_STRING);
    ck_assert_str_eq(glance.id.text, "a:b");
    ck_assert_str_eq(glance.request_id.text, "9");
    ck_assert(!glance.notifies);
    const struct glance other = glance_bytes("{\"jsonrpc\":2.0}", 15);
    ck_assert(!glance_is_jsonrpc(&other));
}
END_TEST

/* No NUL of the text ends it. */
START_TEST(test_nul)
{
    static const char inside[] = "{\"a\":\0,\"b\":\"\0\",\"request_id\":\"x\"}\0\0";
    static const char within[] = "{\"request_id\":\"x\0y\"}";
    const struct glance glance = glance_bytes(inside, sizeof inside - 1);
    ck_assert_str_eq(glance.request_id.text, "x");
    const struct glance other = glance_bytes(within, sizeof within - 1);
    ck_assert_int_eq(other.request_id.type, GLANCE_BROKEN);
}
END_TEST

/* A text that is cut off anywhere has the whole id or none. */
START_TEST(test_cut_off)
{
    static const char text[] = "{\"a\":[{\"b\":\"\\\"\"}],\"id\":1234,\"request_id\":\"w\\u00e4x\",\"c\":{}}";
    for (size_t size = 0; size < sizeof text; size++) {
        const struct glance glance = glance_bytes(text, size);
        ck_assert(glance.id.type == GLANCE_NUMBER ? strcmp(glance.id.text, "1234") == 0 : !*glance.id.text);
        ck_assert(glance.request_id.type == GLANCE_STRING ? strcmp(glance.request_id.text, "wäx") == 0
                                                          : !*glance.request_id.text);
    }
}
END_TEST

/* ---- JSON-RPC ---- */

/* Which id a text has, and whether it asks for no reply. */
static const struct request {
    const char *text;
    enum glance_type type; /* of id */
    const char *token;
    bool notifies;
} requests[] = {
    {"{\"method\":\"a\"}", GLANCE_NONE, "", true},
    {"{}", GLANCE_NONE, "", true},
    {"{\"id\":null}", GLANCE_NULL, "", false},
    {"{\"id\":true}", GLANCE_OTHER, "", false},
    {"{\"method\":\"a\"", GLANCE_NONE, "", false},
    {"[{\"id\":1},{\"id\":2}]", GLANCE_NUMBER, "1", false},
    {"[{\"method\":\"a\"} , {\"id\":\"b\"},{\"id\":3}]", GLANCE_STRING, "b", false},
    {"[1,[{\"id\":2}],\"{\\\"id\\\":3}\",{\"a\":{\"id\":4}},{\"id\":5}]", GLANCE_NUMBER, "5", false},
    {"[{\"id\":true},{\"method\":\"a\"},{\"id\":2}]", GLANCE_NUMBER, "2", false},
    {"[{\"id\":true},{\"method\":\"a\"}]", GLANCE_OTHER, "", false},
    {"[{\"method\":\"a\"},{}]", GLANCE_NONE, "", true},
    {"[{\"method\":\"a\"},{}", GLANCE_NONE, "", false},
    {"[{\"method\":\"a\"},", GLANCE_NONE, "", false},
    {"[{\"method\":\"a\"},7]", GLANCE_NONE, "", false},
    {"[]", GLANCE_NONE, "", false},
    {"[", GLANCE_NONE, "", false},
    {"[1]", GLANCE_NONE, "", false},
    {"7", GLANCE_NONE, "", false},
    {"", GLANCE_NONE, "", false},
};

START_TEST(test_requests)
{
    const struct request *row = &requests[_i];
    const struct glance glance = glance_bytes(row->text, strlen(row->text));
    ck_assert_msg(glance.id.type == row->type, "%s: %d", row->text, (int)glance.id.type);
    ck_assert_str_eq(glance.id.text, row->token);
    ck_assert_msg(glance.notifies == row->notifies, "%s", row->text);
}
END_TEST

/* ---- Huge texts ---- */

static const struct huge {
    const char *head, *fill, *tail;
    enum glance_type type; /* of id */
    const char *token;
} huge[] = {
    {"{\"id\":1,\"a\":\"", "x", "\"}", GLANCE_NUMBER, "1"},
    {"{\"id\":1,\"a\":", "[", "", GLANCE_NUMBER, "1"},
    {"", "[", "", GLANCE_NONE, ""},
    {"", "{\"a\":", "", GLANCE_NONE, ""},
    {"{\"a\":\"", "x", "\",\"id\":7}", GLANCE_NUMBER, "7"},
    {"{\"a\":\"", "\\\\", "\" , \"id\" : \"\\\"\\\\\" } \n", GLANCE_STRING, "\"\\"},
    {"{\"a\":\"", "x", "\",\"id\":\"\"}", GLANCE_STRING, ""},
    {"{\"a\":\"", "x", "\",\"id\":null}", GLANCE_NULL, ""},
    {"{\"a\":\"", "x", "\",\"id\":7x}", GLANCE_BROKEN, ""},
    {"{\"a\":\"", "x", "\",\"b\":{\"id\":7}}", GLANCE_NONE, ""},
    {"{\"a\":\"", "x", "\",\"b\":[7]}", GLANCE_NONE, ""},
    {"{\"a\":\"", "x", "\",\"b\":\",\\\"id\\\":7\"}", GLANCE_NONE, ""},
    {"{\"a\":\"", "x", "\",\"id\":7", GLANCE_NONE, ""},
    {"{\"a\":\"", "x", "\",\"id\":7,\"b\":1}", GLANCE_NONE, ""}, /* neither at the beginning nor last */
    {"{\"a\":\"", "\"", "}", GLANCE_NONE, ""},
    {"{\"a\":", " ", "}", GLANCE_NONE, ""},
    {"{\"a\":", "1", "}", GLANCE_NONE, ""},
    {"{", "\\", "\"}", GLANCE_NONE, ""},
    {"[{\"a\":\"", "x", "\",\"id\":7}", GLANCE_NONE, ""},
    {"[", "{\"a\":1},", "{}]", GLANCE_NONE, ""},
    {"[{},{\"id\":7},", "{\"a\":1},", "{}]", GLANCE_NUMBER, "7"},
    {"", " ", "{\"id\":7}", GLANCE_NONE, ""},
    {"", "\x80", "{\"id\":7}", GLANCE_NONE, ""},
};

START_TEST(test_huge)
{
    enum { FILLS = 1000000 };
    const struct huge *row = &huge[_i];
    const size_t head = strlen(row->head), fill = strlen(row->fill), tail = strlen(row->tail);
    const size_t size = head + FILLS * fill + tail;
    char *text = malloc(size);
    ck_assert_ptr_nonnull(text);
    memcpy(text, row->head, head);
    for (size_t i = 0; i < FILLS; i++)
        memcpy(text + head + i * fill, row->fill, fill);
    memcpy(text + size - tail, row->tail, tail);
    const struct glance glance = glance_bytes(text, size);
    free(text);
    ck_assert_int_eq(glance.id.type, row->type);
    ck_assert_str_eq(glance.id.text, row->token);
    ck_assert(!glance.notifies); /* what was not read may be an id */
}
END_TEST

/* ---- Agreement ---- */

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static void check_agreement(const struct glance_member *member, const cJSON *parsed)
{
    if (!parsed)
        ck_assert_int_eq(member->type, GLANCE_NONE);
    else if (cJSON_IsString(parsed))
        ck_assert_str_eq(member->text, parsed->valuestring);
    else if (json_is_number(parsed))
        ck_assert_int_eq(member->type, GLANCE_NUMBER);
    else
        ck_assert_int_eq(member->type, cJSON_IsNull(parsed) ? GLANCE_NULL : GLANCE_OTHER);
}

/* Of a text that is JSON a glance says what the parser says; of any text it reads no byte too many. */
START_TEST(test_agreement)
{
    static const char *const pieces[] = {
        "{",  "}", "[",       "]",    ",",    ":", "\"id\"",   "\"a\"",       "\"\\\"",  "\"",
        "\\", "1", "-2.5e+3", "null", "true", " ", "\xC3\xA4", "\"jsonrpc\"", "\"id\":", ",\"request_id\":"};
    uint32_t state = (uint32_t)_i;
    int valid = 0;
    for (int round = 0; round < 20000; round++) {
        char text[512] = "{\"id\":";
        size_t size = strlen(text);
        for (unsigned i = next_random(&state) % 12; i; i--) {
            const char *piece = pieces[next_random(&state) % (sizeof pieces / sizeof *pieces)];
            memcpy(text + size, piece, strlen(piece) + 1);
            size += strlen(piece);
        }
        text[size++] = '}';
        text[size] = '\0';
        struct arena arena;
        struct json_error error;
        arena_init(&arena);
        const cJSON *tree = json_parse(text, size, &arena, &error);
        const struct glance glance = glance_bytes(text, size);
        if (tree) {
            valid++;
            check_agreement(&glance.id, json_member(tree, "id"));
            check_agreement(&glance.request_id, json_member(tree, "request_id"));
            check_agreement(&glance.jsonrpc, json_member(tree, "jsonrpc"));
        }
        arena_fini(&arena);
    }
    ck_assert_int_gt(valid, 100);
}
END_TEST

UNIT_MAIN("glance", NULL, NULL, {test_text, UNIT_ROWS(rows)}, {test_all_members, 0}, {test_nul, 0},
          {test_cut_off, 0}, {test_requests, UNIT_ROWS(requests)}, {test_huge, UNIT_ROWS(huge)},
          {test_agreement, 4})

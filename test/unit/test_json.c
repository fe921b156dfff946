// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/shape/json.c: what RFC 8259 and the wire contract let in, what they do not, and numbers that stay
 * exact. */
#include "unit.h"

#include "shape/codec_json.h"
#include "shape/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena; /* of all trees */

static void open_arena(void)
{
    arena_init(&arena);
}

static void close_arena(void)
{
    arena_fini(&arena);
}

/* Parses a copy that ends where it says it ends, so that the sanitizer sees a look behind it. */
static cJSON *parse_bytes(const char *text, size_t size, struct json_error *error)
{
    char *copy = malloc(size + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, size);
    copy[size] = '\0';
    cJSON *tree = json_parse(copy, size, &arena, error);
    free(copy);
    ck_assert_int_eq(error->fault == JSON_FINE, !*error->why);
    ck_assert_int_eq(error->fault == JSON_FINE || error->fault == JSON_UNWANTED, tree != NULL);
    return tree;
}

static cJSON *parse(const char *text, struct json_error *error)
{
    return parse_bytes(text, strlen(text), error);
}

static enum json_fault fault_of(const char *text)
{
    struct json_error error;
    parse(text, &error);
    return error.fault;
}

/* ---- What is JSON ---- */

static const struct valid {
    const char *text, *printed; /* NULL: printed as it was */
} valid[] = {
    {"{}", NULL},
    {"[]", NULL},
    {"null", NULL},
    {"true", NULL},
    {"false", NULL},
    {"0", NULL},
    {"-0", NULL},
    {"1", NULL},
    {"-1", NULL},
    {"123456789012345", NULL},
    {"1.5", NULL},
    {"-0.25", NULL},
    {"0.1", NULL},
    {"1e2", "100"},
    {"1E2", "100"},
    {"1e+2", "100"},
    {"1e-2", NULL}, /* what takes long to print comes out as it went in */
    {"0.001", NULL},
    {"-25E-4", NULL},
    {"1e15", NULL},
    {"2e14", "200000000000000"},
    {"0e99", "0"},
    {"1.0", "1"},
    {"0e0", "0"},
    {"\"\"", NULL},
    {"\"abc\"", NULL},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\""},
    {"\"\\u0041\\u00e4\\u20AC\"", "\"A\xC3\xA4\xE2\x82\xAC\""},
    {"\"\\ud83d\\ude00\"", "\"\xF0\x9F\x98\x80\""},
    {"\"\\uD83D\\uDE00\"", "\"\xF0\x9F\x98\x80\""},
    {"\"\\uffff\"", "\"\xEF\xBF\xBF\""},
    {"\"\\u0001\"", NULL},
    {"\"\x7F\"", NULL},
    {"\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\"", NULL},
    {"\"\\\\u0000\"", NULL}, /* a backslash and letters, not U+0000 */
    {" \t\r\n1 \t\r\n", "1"},
    {" [ 1 , 2 ] ", "[1,2]"},
    {"{ \"a\" : 1 , \"b\" : { } }", "{\"a\":1,\"b\":{}}"},
    {"[[],{},[{}],\"\",null,true,false,0]", NULL},
    {"{\"\":1}", NULL},
    {"{\"a\":1,\"A\":2}", NULL},
    {"{\"a\":{\"a\":{\"a\":1}}}", NULL},
    {"[{\"a\":1},{\"a\":1}]", NULL},
    {"{\"\xC3\xA4\":1}", NULL},
    {"1e308", NULL},
    {"1e-400", "0"}, /* too small is zero, not an error */
};

START_TEST(takes_json)
{
    const struct valid *row = &valid[_i];
    struct json_error error;
    cJSON *tree = parse(row->text, &error);
    ck_assert_msg(error.fault == JSON_FINE, "%s", error.why);
    ck_assert_pstr_eq(codec_json_text(tree, &arena), row->printed ? row->printed : row->text);
}
END_TEST

/* ---- What is not ---- */

static const char *const broken[] = {
    "",
    " ",
    "\n",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "{]",
    "[}",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[,]",
    "[1 2]",
    "[1,,2]",
    "{,}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{\"a\":1",
    "{\"a\" 1}",
    "{a:1}",
    "{'a':1}",
    "{1:1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1;\"b\":2}",
    "{\"a\":1}}",
    "{}{}",
    "[][]",
    "1 2",
    "1,",
    "{} x",
    "null null",
    "nul",
    "nulll",
    "NULL",
    "True",
    "tru",
    "truefalse",
    "False",
    "undefined",
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "inf",
    "-",
    "+1",
    "--1",
    "01",
    "-01",
    "00",
    "1.",
    ".5",
    "-.5",
    "1.e1",
    "1e",
    "1e+",
    "1e-",
    "1e1.5",
    "1.2.3",
    "0x10",
    "1_000",
    "1a",
    "1 a",
    "- 1",
    "// comment\n1",
    "/* c */1",
    "1//",
    "#",
    "\xEF\xBB\xBF{}", /* a byte order mark */
    ("\xC2\xA0"
     "1"), /* a blank that is none in JSON */
    "\v1",
    "\f1",
    "\x01",
    "\x7F",
    "'a'",
    "\"a",
    "\"\\\"",
    "\"\\",
    "\"\\x41\"",
    "\"\\'\"",
    "\"\\a\"",
    "\"\\U0041\"",
    "\"\\u\"",
    "\"\\u004\"",
    "\"\\u004",
    "\"\\u004g\"",
    "\"\\u-041\"",
    "\"\\u 041\"",
    "\"\\u+041\"",
    "\"\\u0x41\"",
    "\"\n\"", /* control characters belong into escapes */
    "\"\t\"",
    "\"\x01\"",
    "\"\x1F\"",
    "{\"\n\":1}",
    "\"\\ud800\"", /* lone surrogates */
    "\"\\udbff\"",
    "\"\\udc00\"",
    "\"\\udfff\"",
    "\"\\ud800x\"",
    "\"\\ud800\\n\"",
    "\"\\ud800\\u0041\"",
    "\"\\ud800\\ud800\"",
    "\"\\ude00\\ud83d\"",
    "\"\\ud800\\u",
    "\"\\ud800\\",
    "{\"\\ud800\":1}",
    "\"\x80\"", /* bad UTF-8 */
    "\"\xC0\x80\"",
    "\"\xC3\"",
    "\"\xC3",
    "\"\xE2\x82\"",
    "\"\xED\xA0\x80\"",
    "\"\xF4\x90\x80\x80\"",
    "\"\xFF\"",
    "{\"\xFF\":1}",
};

START_TEST(refuses_what_is_no_json)
{
    ck_assert_int_eq(fault_of(broken[_i]), JSON_BROKEN);
}
END_TEST

/* Every beginning of a value is no value: whatever cJSON or the scanner would read behind the end. */
START_TEST(refuses_every_beginning)
{
    static const char whole[] = "{\"a\":[1.5e+3,\"\\ud83d\\ude00\xC3\xA4\",true,null],\"b\":{\"c\":false}}";
    struct json_error error;
    for (size_t size = 0; size < sizeof whole - 1; size++) {
        ck_assert_ptr_null(parse_bytes(whole, size, &error));
        ck_assert_int_eq(error.fault, JSON_BROKEN);
    }
    parse(whole, &error);
    ck_assert_int_eq(error.fault, JSON_FINE);
}
END_TEST

static const struct bytes {
    const char *text;
    size_t size;
} with_nul[] = {{"\0", 1},       {"1\0", 2},         {"{}\0", 3},         {"\0{}", 3},   {"[1\0,2]", 6},
                {"\"a\0b\"", 5}, {"{\"a\0\":1}", 8}, {"{\"a\":1}\0x", 9}, {"tr\0ue", 5}, {"\"\\\0n\"", 5}};

START_TEST(refuses_nul_bytes)
{
    struct json_error error;
    ck_assert_ptr_null(parse_bytes(with_nul[_i].text, with_nul[_i].size, &error));
    ck_assert_int_eq(error.fault, JSON_BROKEN);
}
END_TEST

static const struct explained {
    const char *text;
    enum json_fault fault;
    const char *why;
} explained[] = {
    {"{]", JSON_BROKEN, "the payload is not JSON: expected a name in double quotes at line 1, column 2"},
    {"", JSON_BROKEN, "the payload is not JSON: expected a value at line 1, column 1, where it ends"},
    {"{\"a\" 1}", JSON_BROKEN, "the payload is not JSON: expected a colon behind a name at line 1, column 6"},
    {"{\"Ã¤\":1\n,\r\n  \"b\":2 \"c\":3}", JSON_BROKEN,
     "the payload is not JSON: expected a comma or } at line 3, column 9"},
    {"[\"Ã¤\",\"\\u00e4\",[1 2]]", JSON_BROKEN,
     "the payload is not JSON: expected a comma or ] at line 1, column 19"},
    {"{\"a\":tru}", JSON_BROKEN, "the payload is not JSON: expected a value at line 1, column 6"},
    {"{\"a\":1", JSON_BROKEN,
     "the payload is not JSON: expected a comma or } at line 1, column 7, where it ends"},
    {"{}\n\n\x01", JSON_BROKEN, "the payload goes on behind its JSON value at line 3, column 1"},
    {"{}x", JSON_BROKEN, "the payload goes on behind its JSON value at line 1, column 3"},
    {"01", JSON_BROKEN, "the payload has a malformed number at line 1, column 1"},
    {"\"\xFF\"", JSON_BROKEN,
     "the payload has a malformed string (a control character, an escape or UTF-8) at line 1, column 2"},
    {"\"a\tb\"", JSON_BROKEN,
     "the payload has a malformed string (a control character, an escape or UTF-8) at line 1, column 3"},
    {"{\"a\":1,\"a\":1}", JSON_UNWANTED, "a is given twice"},
    {"{\"a\":1,\"\\u0061\":1}", JSON_UNWANTED, "a is given twice"},
    {"[{\"x\":{\"b\":1,\"a\":1,\"b\":2}}]", JSON_UNWANTED, "b is given twice"},
    {"1e999", JSON_UNWANTED, "the payload has a number that is too large"},
    {"-1e999", JSON_UNWANTED, "the payload has a number that is too large"},
    {"{\"a\":[1,1e309]}", JSON_UNWANTED, "the payload has a number that is too large"},
    {"[12345678901234567890e400]", JSON_UNWANTED, "the payload has a number that is too large"},
    {"\"\\u0000\"", JSON_UNWANTED, "the payload has a string with U+0000"},
    {"{\"a\\u0000b\":1}", JSON_UNWANTED, "the payload has a string with U+0000"},
    {"[\"\\\\\\u0000\"]", JSON_UNWANTED, "the payload has a string with U+0000"},
};

START_TEST(explains)
{
    struct json_error error;
    parse(explained[_i].text, &error);
    ck_assert_int_eq(error.fault, explained[_i].fault);
    ck_assert_str_eq(error.why, explained[_i].why);
}
END_TEST

/* A name in an explanation is cut between characters. */
START_TEST(cuts_long_names)
{
    char name[301] = "";
    char text[700];
    for (int i = 0; i < 100; i++)
        strcat(name, "\xE2\x82\xAC");
    snprintf(text, sizeof text, "{\"%s\":1,\"%s\":2}", name, name);
    struct json_error error;
    parse(text, &error);
    ck_assert_int_eq(error.fault, JSON_UNWANTED);
    ck_assert_uint_eq(strlen(error.why), 63 + strlen(" is given twice"));
}
END_TEST

START_TEST(reads_u0000_as_u0001)
{
    struct json_error error;
    cJSON *tree = parse("{\"a\":\"x\\u0000y\",\"b\":\"\\\\u0000\"}", &error);
    ck_assert_str_eq(cJSON_GetObjectItem(tree, "a")->valuestring, "x\x01y");
    ck_assert_str_eq(cJSON_GetObjectItem(tree, "b")->valuestring, "\\u0000");
}
END_TEST

/* ---- Depth ---- */

static const struct nest {
    const char *open, *inner, *close;
    int level; /* how deep one is */
} nests[] = {
    {"[", "", "]", 1},           {"[", "1", "]", 1},    {"{\"a\":", "1", "}", 1},
    {"[{\"a\":", "[]", "}]", 2}, {" [ ", "", " ] ", 1},
};

static enum json_fault fault_of_depth(const struct nest *nest, int times)
{
    char text[4096] = "";
    for (int i = 0; i < times; i++)
        strcat(text, nest->open);
    strcat(text, nest->inner);
    for (int i = 0; i < times; i++)
        strcat(text, nest->close);
    return fault_of(text);
}

START_TEST(bounds_the_depth)
{
    const struct nest *nest = &nests[_i];
    const int inner = nest->inner[0] == '[';
    const int max = (JSON_DEPTH_MAX - inner) / nest->level;
    ck_assert_int_eq(fault_of_depth(nest, max), JSON_FINE);
    ck_assert_int_eq(fault_of_depth(nest, max + 1), JSON_BROKEN);
}
END_TEST

START_TEST(depth_32_but_not_33)
{
    const struct nest plain = {"[", "", "]", 1};
    ck_assert_int_eq(fault_of_depth(&plain, 32), JSON_FINE);
    ck_assert_int_eq(fault_of_depth(&plain, 33), JSON_BROKEN);
}
END_TEST

/* Neighbours are no deeper for each other, and a million brackets do not use up the stack. */
START_TEST(depth_is_not_breadth)
{
    enum { MANY = 1000000 };
    ck_assert_int_eq(fault_of("[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
                              "[],[],[],[],[],[],[],[],[],[],[],[]]"),
                     JSON_FINE);
    char *text = malloc(MANY + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, '[', MANY);
    text[MANY] = '\0';
    ck_assert_int_eq(fault_of(text), JSON_BROKEN);
    free(text);
}
END_TEST

/* ---- Numbers ---- */

static const char *const exact[] = {
    "9223372036854775807",
    "-9223372036854775808",
    "9007199254740993",
    "1234567890123456",
    "0.1234567890123456789",
    "123456789012345678901234567890",
    "3.14159265358979323846264338327950288",
    "-1.2345678901234567e-100",
    "[1,1234567890123456789,\"-12\",2]",
    "{\"a1\":1,\"b\\\"2\":1234567890123456789,\"c\":[3,[9876543210987654321]],\"d\":\"4\"}",
    "[true,1234567890123456789,false,null,\"1\\\\\",2345678901234567891]",
    "100000000000000000000000000000000000000000000000000000000000000", /* 63 characters */
};

START_TEST(keeps_long_numbers)
{
    struct json_error error;
    cJSON *tree = parse(exact[_i], &error);
    ck_assert_int_eq(error.fault, JSON_FINE);
    ck_assert_pstr_eq(codec_json_text(tree, &arena), exact[_i]);
}
END_TEST

START_TEST(long_numbers_are_numbers)
{
    struct json_error error;
    cJSON *tree = parse("[1,1234567890123456789,\"1\",null,true,[],{}]", &error);
    static const bool numbers[] = {true, true, false, false, false, false, false};
    for (int i = 0; i < UNIT_ROWS(numbers); i++)
        ck_assert_int_eq(json_is_number(cJSON_GetArrayItem(tree, i)), numbers[i]);
    const cJSON *raw = cJSON_GetArrayItem(tree, 1);
    ck_assert(cJSON_IsRaw(raw));
    ck_assert_str_eq(raw->valuestring, "1234567890123456789");
    ck_assert_double_eq(raw->valuedouble, 1234567890123456789.0);
}
END_TEST

START_TEST(refuses_endless_numbers)
{
    char digits[65];
    memset(digits, '1', 64);
    digits[64] = '\0';
    ck_assert_int_eq(fault_of(digits), JSON_BROKEN);
    digits[63] = '\0';
    ck_assert_int_eq(fault_of(digits), JSON_FINE);
}
END_TEST

/* ---- Members ---- */

/* An object of `count` members, whose member number `changed` has the name of number `to`. */
static char *make_object(int count, int changed, int to)
{
    char *text = malloc((size_t)count * 32 + 3);
    ck_assert_ptr_nonnull(text);
    char *at = text + sprintf(text, "{");
    for (int i = 0; i < count; i++)
        at += sprintf(at, "%s\"member%d\":%d", i ? "," : "", i == changed ? to : i, i);
    sprintf(at, "}");
    return text;
}

static const int counts[] = {1, 2, 15, 16, 17, 18, 100, 5000};

START_TEST(takes_many_members)
{
    char *text = make_object(counts[_i], -1, 0);
    ck_assert_int_eq(fault_of(text), JSON_FINE);
    free(text);
}
END_TEST

static void expect_duplicate(int count, int changed, int to)
{
    char *text = make_object(count, changed, to);
    char why[64];
    snprintf(why, sizeof why, "member%d is given twice", to);
    struct json_error error;
    parse(text, &error);
    ck_assert_int_eq(error.fault, JSON_UNWANTED);
    ck_assert_str_eq(error.why, why);
    free(text);
}

START_TEST(finds_a_duplicate_among_many)
{
    const int count = counts[_i];
    if (count < 2)
        return;
    expect_duplicate(count, count - 1, 0);
    expect_duplicate(count, 0, count - 1);
    expect_duplicate(count, count / 2, count / 2 - 1);
}
END_TEST

/* What is wrong with one part is no matter of the others, and of the members alone it is their names. */
static const struct part {
    const char *text; /* an object with a member "part" */
    bool wanted, once, part_wanted;
} parts[] = {
    {"{\"part\":{}}", true, true, true},
    {"{\"part\":{\"a\":1,\"a\":2}}", false, true, false},
    {"{\"part\":[{\"b\":{\"a\":1,\"a\":2}}]}", false, true, false},
    {"{\"part\":1,\"x\":1,\"x\":2}", false, false, true},
    {"{\"part\":1e999}", false, true, false},
    {"{\"part\":1,\"other\":1e999}", false, true, true},
};

START_TEST(parts_are_wanted_by_themselves)
{
    const struct part *row = &parts[_i];
    struct json_error error;
    cJSON *tree = json_parse(row->text, strlen(row->text), &arena, &error);
    ck_assert_ptr_nonnull(tree);
    ck_assert_int_eq(error.fault == JSON_FINE, row->wanted);
    ck_assert_int_eq(json_is_wanted(tree, &error), row->wanted);
    ck_assert_int_eq(json_has_members_once(tree, &error), row->once);
    ck_assert_int_eq(error.fault, row->once ? JSON_FINE : JSON_UNWANTED);
    ck_assert_int_eq(json_is_wanted(cJSON_GetObjectItemCaseSensitive(tree, "part"), &error),
                     row->part_wanted);
    ck_assert_int_eq(error.fault, row->part_wanted ? JSON_FINE : JSON_UNWANTED);
    ck_assert_int_eq(error.why[0] == '\0', row->part_wanted);
}
END_TEST

/* What is printed: as cJSON would, but for the literals that are kept. */
static const char *const printed[] = {
    "null",
    "true",
    "[]",
    "{}",
    "[[],{},[{}]]",
    "[0,-1,25.5,1e+300,-1.2345678901234567e-308,0.1]",
    "[9007199254740993,123456789012345678901234567890]",
    "{\"a\":[1,{\"b\":false}],\"\\u0001\\n\":\"\\u0002\\\"\\\\\"}",
    "\"\xC3\xA4/\x7F\"",
};

START_TEST(trees_are_printed)
{
    struct json_error error;
    cJSON *tree = json_parse(printed[_i], strlen(printed[_i]), &arena, &error);
    ck_assert_int_eq(error.fault, JSON_FINE);
    const char *text = codec_json_text(tree, &arena);
    ck_assert_ptr_nonnull(text);
    ck_assert_str_eq(text, printed[_i]);
}
END_TEST

UNIT_MAIN("json", open_arena, close_arena, {trees_are_printed, UNIT_ROWS(printed)},
          {takes_json, UNIT_ROWS(valid)}, {refuses_what_is_no_json, UNIT_ROWS(broken)},
          {refuses_every_beginning, 0}, {refuses_nul_bytes, UNIT_ROWS(with_nul)},
          {explains, UNIT_ROWS(explained)}, {cuts_long_names, 0}, {reads_u0000_as_u0001, 0},
          {bounds_the_depth, UNIT_ROWS(nests)}, {depth_32_but_not_33, 0}, {depth_is_not_breadth, 0},
          {keeps_long_numbers, UNIT_ROWS(exact)}, {long_numbers_are_numbers, 0}, {refuses_endless_numbers, 0},
          {takes_many_members, UNIT_ROWS(counts)}, {finds_a_duplicate_among_many, UNIT_ROWS(counts)},
          {parts_are_wanted_by_themselves, UNIT_ROWS(parts)})

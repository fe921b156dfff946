// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/base/text.c: UTF-8, topics, cutting, text for logs, lists of words, misspelt words. */
#include "unit.h"

#include "base/status.h"
#include "base/text.h"

#include <string.h>

/* ---- UTF-8 ---- */

static const struct character {
    const char *bytes;
    size_t length; /* 0: not well-formed */
    uint32_t value;
} characters[] = {
    {"A", 1, 'A'},
    {"\x7F", 1, 0x7F},
    {"\xC2\x80", 2, 0x80},
    {"\xDF\xBF", 2, 0x7FF},
    {"\xE0\xA0\x80", 3, 0x800},
    {"\xED\x9F\xBF", 3, 0xD7FF},
    {"\xEE\x80\x80", 3, 0xE000},
    {"\xEF\xBF\xBF", 3, 0xFFFF},
    {"\xF0\x90\x80\x80", 4, 0x10000},
    {"\xF4\x8F\xBF\xBF", 4, 0x10FFFF},
    {"AB", 1, 'A'},
    {"\xC3\xA4z", 2, 0xE4},
    {"\x80", 0, 0},             /* a continuation byte alone */
    {"\xBF", 0, 0},             /* likewise */
    {"\xC0\x80", 0, 0},         /* overlong NUL */
    {"\xC1\xBF", 0, 0},         /* overlong, two bytes */
    {"\xE0\x9F\xBF", 0, 0},     /* overlong, three */
    {"\xF0\x8F\xBF\xBF", 0, 0}, /* overlong, four */
    {"\xED\xA0\x80", 0, 0},     /* the first surrogate */
    {"\xED\xBF\xBF", 0, 0},     /* the last */
    {"\xF4\x90\x80\x80", 0, 0}, /* beyond U+10FFFF */
    {"\xF5\x80\x80\x80", 0, 0}, /* no such first byte */
    {"\xFE", 0, 0},
    {"\xFF", 0, 0},
    {"\xC3", 0, 0}, /* cut off */
    {"\xE2\x82", 0, 0},
    {"\xF0\x9F\x98", 0, 0},
    {"\xC3Z", 0, 0}, /* no continuation byte */
    {"\xE2\x82Z", 0, 0},
    {"\xE2Z\x82", 0, 0},
    {"", 0, 0},
};

START_TEST(decodes_a_character)
{
    const struct character *row = &characters[_i];
    uint32_t value = 0;
    ck_assert_uint_eq(text_decode(row->bytes, strlen(row->bytes), &value), row->length);
    if (row->length)
        ck_assert_uint_eq(value, row->value);
}
END_TEST

/* Every prefix of a character is refused, whichever bytes follow behind the size. */
START_TEST(decodes_within_the_size)
{
    const struct character *row = &characters[_i];
    uint32_t value;
    for (size_t size = 0; size < row->length; size++)
        ck_assert_uint_eq(text_decode(row->bytes, size, &value), 0);
}
END_TEST

static const struct counted {
    const char *text;
    bool fine;
    size_t characters;
} counted[] = {
    {"", true, 0},         {"abc", true, 3},           {"a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", true, 4},
    {"abc\x80", false, 0}, {"\xED\xA0\x80", false, 0}, {"a\xE2\x82", false, 0},
};

START_TEST(counts_characters)
{
    const struct counted *row = &counted[_i];
    size_t count;
    ck_assert_int_eq(text_is_utf8(row->text, &count), row->fine);
    if (row->fine)
        ck_assert_uint_eq(count, row->characters);
}
END_TEST

/* ---- Topics ---- */

static const struct topic {
    const char *text;
    bool fine;
} topics[] = {
    {"a/b/c", true},
    {"", true},
    {"with space/$dollar", true},
    {"\xC3\xA4/\xF0\x9F\x98\x80", true},
    {"a/+", false},
    {"a+b", false},
    {"#", false},
    {"a#", false},
    {"\x01", false},
    {"a\x1F", false},
    {"a\n", false},
    {"\x7F", false},
    {"\xC2\x80", false}, /* C1 controls */
    {"\xC2\x9F", false},
    {"\xC2\xA0", true},
    {"\xEF\xB7\x8F", true},      /* U+FDCF */
    {"\xEF\xB7\x90", false},     /* U+FDD0, the first non-character of that block */
    {"\xEF\xB7\xAF", false},     /* U+FDEF, the last */
    {"\xEF\xB7\xB0", true},      /* U+FDF0 */
    {"\xEF\xBF\xBD", true},      /* U+FFFD */
    {"\xEF\xBF\xBE", false},     /* U+FFFE */
    {"\xEF\xBF\xBF", false},     /* U+FFFF */
    {"\xF0\x9F\xBF\xBE", false}, /* U+1FFFE */
    {"\xF4\x8F\xBF\xBF", false}, /* U+10FFFF */
    {"a\xFF", false},
};

START_TEST(knows_what_can_be_published_to)
{
    ck_assert_int_eq(text_is_topic(topics[_i].text), topics[_i].fine);
    ck_assert_int_eq(text_is_mqtt(topics[_i].text),
                     topics[_i].fine || strpbrk(topics[_i].text, "+#") != NULL);
}
END_TEST

/* ---- Cutting ---- */

static const struct cut {
    const char *text;
    size_t limit, length;
} cuts[] = {
    {"abc", 10, 3},
    {"abc", 3, 3},
    {"abc", 2, 2},
    {"abc", 0, 0},
    {"", 0, 0},
    {"a\xC3\xA4"
     "b",
     2, 1},
    {"a\xC3\xA4"
     "b",
     3, 3},
    {"\xE2\x82\xAC", 2, 0},
    {"\xE2\x82\xAC\xE2\x82\xAC", 5, 3},
    {"\xF0\x9F\x98\x80", 3, 0},
    {"\xF0\x9F\x98\x80", 4, 4},
};

START_TEST(cuts_between_characters)
{
    ck_assert_uint_eq(text_cut(cuts[_i].text, cuts[_i].limit), cuts[_i].length);
}
END_TEST

/* ---- Text for logs ---- */

static const struct printed {
    const char *text;
    size_t capacity;
    const char *printed;
} printed[] = {
    {"", 8, ""},
    {"plain", 64, "plain"},
    {"~ !\"'%s%n", 64, "~ !\"'%s%n"},
    {"a\nb", 64, "a\\x0Ab"},
    {"\x1B[31m", 64, "\\x1B[31m"},
    {"\x7F\x80\xFF", 64, "\\x7F\\x80\\xFF"},
    {"\xC3\xA4", 64, "\\xC3\\xA4"},
    {"a\\b", 64, "a\\x5Cb"}, /* or "\x0A" would be taken for a newline */
    {"abcdefghijkl", 8, "abcd..."},
    {"\x01\x02\x03", 8, "\\x01..."},
    {"abcd\x01\x02", 12, "abcd\\x01..."},
    /* Just fitting, with the NUL. */
    {"abcdefg", 8, "abcdefg"},
    {"\x01", 8, "\\x01"},
    {"abcd\x01", 9, "abcd\\x01"},
};

START_TEST(makes_text_printable)
{
    const struct printed *row = &printed[_i];
    char out[64];
    memset(out, 'X', sizeof out);
    ck_assert_ptr_eq(text_printable(row->text, out, row->capacity), out);
    ck_assert_str_eq(out, row->printed);
    for (size_t i = row->capacity; i < sizeof out; i++)
        ck_assert_int_eq(out[i], 'X');
}
END_TEST

/* ---- Words ---- */

static const struct listed {
    const char *list, *word;
    bool there;
} listed[] = {
    {"a b c", "a", true},  {"a b c", "b", true},  {"a b c", "c", true}, {"  a   b ", "b", true},
    {"abc", "abc", true},  {"abc", "ab", false},  {"abc", "bc", false}, {"ab abc", "abcd", false},
    {"abc", "", false},    {"", "a", false},      {"", "", false},      {"   ", "", false},
    {"a b", "a b", false}, {"Bob", "bob", false},
};

START_TEST(finds_words)
{
    ck_assert_int_eq(text_has_word(listed[_i].list, listed[_i].word), listed[_i].there);
}
END_TEST

/* ---- core/base/status.c ---- */

START_TEST(looks_statuses_up)
{
#define LOOK_UP(enumerator, name, code, text)        \
    ck_assert_str_eq(status_name(enumerator), name); \
    ck_assert_str_eq(status_text(enumerator), text); \
    ck_assert_int_eq(status_code(enumerator), code); \
    ck_assert_int_eq(status_find(name), enumerator == RPC_OK ? RPC_RAISED : enumerator);
    RPC_STATUS_MAP(LOOK_UP)
#undef LOOK_UP
    ck_assert_int_eq(status_find("nobody_knows"), RPC_RAISED);
    ck_assert_str_eq(status_name((rpc_status)99), "internal_error");
    ck_assert_str_eq(status_name((rpc_status)-1), "internal_error");
}
END_TEST

/* ---- Misspelt words ---- */

static const struct near {
    const char *word, *nearest; /* of: ping, echo, sensor_id, updateSensor, value, rpc.describe */
} nears[] = {
    {"pign", NULL}, /* two differences of four */
    {"pin", "ping"},
    {"pong", "ping"},
    {"PING", "ping"},
    {"ping", "ping"},
    {"Echoe", "echo"},
    {"sensorid", "sensor_id"},
    {"sensor-id", "sensor_id"},
    {"sensorId", "sensor_id"},
    {"sensor", NULL},
    {"updatesensor", "updateSensor"},
    {"updateSensr", "updateSensor"},
    {"updtaeSensro", NULL}, /* four differences */
    {"updtaeSensor", "updateSensor"},
    {"update", NULL},
    {"vlaue", NULL},
    {"val", NULL},
    {"values", "value"},
    {"describe", NULL},
    {"rpc.descibe", "rpc.describe"},
    {"", NULL},
    {"x", NULL},
    {"id", NULL},
    {"\xFF\xFE\xFD", NULL},
};

START_TEST(finds_the_nearest)
{
    static const char *const words[] = {"ping", "echo", "sensor_id", "updateSensor", "value", "rpc.describe"};
    struct text_near near = text_near_to(nears[_i].word);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        text_near_try(&near, words[i]);
    if (nears[_i].nearest)
        ck_assert_str_eq(near.best, nears[_i].nearest);
    else
        ck_assert_ptr_null(near.best);
}
END_TEST

/* The first of several that are as near, and the nearer of two, in both orders. */
START_TEST(prefers_the_nearer)
{
    struct text_near near = text_near_to("sensor_ib");
    text_near_try(&near, "sensor");
    text_near_try(&near, "sensor_ic");
    text_near_try(&near, "sensor_id");
    text_near_try(&near, "sensors");
    ck_assert_str_eq(near.best, "sensor_ic");
    text_near_try(&near, "Sensor_IB");
    ck_assert_str_eq(near.best, "Sensor_IB");
}
END_TEST

/* Long words are compared behind what is equal, up to a limit. */
START_TEST(near_words_may_be_long)
{
    static char word[60000], other[60000];
    memset(word, 'a', sizeof word - 1);
    memset(other, 'a', sizeof other - 1);
    other[59990] = 'b';
    struct text_near near = text_near_to(word);
    text_near_try(&near, other);
    ck_assert_ptr_eq(near.best, other);
    other[100] = 'b';
    near = text_near_to(word);
    text_near_try(&near, other);
    ck_assert_ptr_null(near.best);
}
END_TEST

/* The examples of RFC 4648, section 10, and bytes that no text has. */
START_TEST(base64)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
    } rows[] = {
        {"", 0, ""},
        {"f", 1, "Zg=="},
        {"fo", 2, "Zm8="},
        {"foo", 3, "Zm9v"},
        {"foob", 4, "Zm9vYg=="},
        {"fooba", 5, "Zm9vYmE="},
        {"foobar", 6, "Zm9vYmFy"},
        {"\xFB\xFF\x00", 3, "+/8A"},
        {"\x00\x10\x83\x10\x51\x87", 6, "ABCDEFGH"},
    };
    char out[32];
    for (int i = 0; i < UNIT_ROWS(rows); i++) {
        ck_assert_str_eq(text_base64(rows[i].bytes, rows[i].size, out), rows[i].text);
        ck_assert_uint_eq(strlen(out) + 1, TEXT_BASE64(rows[i].size));
    }
}
END_TEST

UNIT_MAIN("text", NULL, NULL, {decodes_a_character, UNIT_ROWS(characters)},
          {decodes_within_the_size, UNIT_ROWS(characters)}, {counts_characters, UNIT_ROWS(counted)},
          {knows_what_can_be_published_to, UNIT_ROWS(topics)}, {cuts_between_characters, UNIT_ROWS(cuts)},
          {makes_text_printable, UNIT_ROWS(printed)}, {finds_words, UNIT_ROWS(listed)},
          {finds_the_nearest, UNIT_ROWS(nears)}, {prefers_the_nearer, 0}, {near_words_may_be_long, 0},
          {looks_statuses_up, 0}, {base64, 0})

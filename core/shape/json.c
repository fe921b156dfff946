// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Strict JSON: see json.h. The text is read once: the scanner checks it against RFC 8259 and builds the tree,
 * if one is wanted. The tree is then checked for what is JSON but unwanted.
 */
#include "shape/json.h"

#include "base/number.h"
#include "base/text.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEW_MEMBERS = 16 }; /* up to here comparing all pairs is cheaper than sorting */

struct scan {
    const char *at, *end;
    unsigned depth;
    struct arena *arena; /* of the tree and of the text, in which its strings stay; NULL: none is wanted */
    cJSON *tree;         /* its root; NULL: none yet */
    bool nul;            /* an escaped U+0000 was seen */
    bool doubtful;       /* the tree may have what json_is_wanted() finds */
    struct json_error *error;
};

/* Returns false, so that callers can return it. */
__attribute__((format(printf, 3, 4))) static bool json_fail(struct json_error *error, enum json_fault fault,
                                                            const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error->fault = fault;
    vsnprintf(error->why, sizeof error->why, format, arguments);
    va_end(arguments);
    return false;
}

static bool json_expected(struct scan *scan, const char *what)
{
    return json_fail(scan->error, JSON_BROKEN, "the payload is not JSON: expected %s", what);
}

/* Nothing is wrong so far. */
static void json_begin(struct json_error *error)
{
    error->fault = JSON_FINE;
    error->nul = false;
    error->why[0] = '\0';
}

/* Whether the text goes on as `word`, which is then behind. The NUL behind the text stops the comparison. */
static bool json_take(struct scan *scan, const char *word)
{
    const size_t length = strlen(word);
    if (strncmp(scan->at, word, length) != 0)
        return false;
    scan->at += length;
    return true;
}

/* The four digits of a \u escape; -1: they are not there. */
static int32_t json_scan_hex(struct scan *scan)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    int32_t unit = 0;
    for (size_t i = 0; i < 4; i++, scan->at++) {
        const char *found = *scan->at ? strchr(digits, *scan->at) : NULL;
        if (!found)
            return -1;
        const int32_t value = (int32_t)(found - digits);
        unit = unit * 16 + (value < 16 ? value : value - 6);
    }
    return unit;
}

/* A \u escape, both halves where it is a surrogate pair. */
static bool json_scan_unicode(struct scan *scan, uint32_t *character)
{
    const int32_t unit = json_scan_hex(scan);
    *character = (uint32_t)unit;
    if (unit == 0)
        scan->nul = true;
    if (unit < 0xD800 || unit > 0xDFFF)
        return unit >= 0;
    if (unit > 0xDBFF || !json_take(scan, "\\u"))
        return false;
    const int32_t low = json_scan_hex(scan);
    *character = 0x10000 + ((uint32_t)(unit - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
    return low >= 0xDC00 && low <= 0xDFFF;
}

static bool json_scan_character(struct scan *scan, uint32_t *character)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (json_take(scan, "\\u"))
        return json_scan_unicode(scan, character);
    if (*scan->at == '\\') {
        const char letter = scan->at[1];
        const char *found = letter ? strchr(letters, letter) : NULL;
        if (!found)
            return false;
        *character = (uint32_t)meanings[found - letters];
        scan->at += 2;
        return true;
    }
    const size_t length = text_decode(scan->at, (size_t)(scan->end - scan->at), character);
    if (!length || *character < 0x20)
        return false;
    scan->at += length;
    return true;
}

static size_t json_encode(uint32_t character, char *out)
{
    static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    const size_t length = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i; i--) {
        out[i] = (char)(0x80 | (character & 0x3F));
        character >>= 6;
    }
    out[0] = (char)(marks[length] | character);
    return length;
}

/* Skips bytes of a string that are characters by themselves: ASCII that needs no escape, mostly lower-case.
 */
static const char *json_skip_plain(const char *at)
{
    while (((unsigned char)*at > '\\' && (unsigned char)*at < 0x80) ||
           ((unsigned char)*at >= ' ' && (unsigned char)*at < '\\' && *at != '"'))
        at++;
    return at;
}

/* The rest of a string, from its first character that is not plain: see json_scan_string(). */
__attribute__((noinline)) static bool json_scan_special(struct scan *scan)
{
    char *out = (char *)scan->at;
    scan->doubtful = true; /* a name can be written in several ways */
    while (*scan->at != '"') {
        uint32_t character;
        if (!json_scan_character(scan, &character))
            return json_fail(scan->error, JSON_BROKEN,
                             "the payload has a malformed string (a control character, an escape or UTF-8)");
        const char *from = scan->at;
        scan->at = json_skip_plain(from);
        if (scan->arena) {
            out += json_encode(character ? character : 1, out);
            memmove(out, from, (size_t)(scan->at - from));
            out += scan->at - from;
        }
    }
    if (scan->arena)
        *out = '\0';
    return true;
}

/*
 * Scans a string. If a tree is built, the string is decoded in its place, where it never gets longer, and has
 * a NUL behind it; U+0000 becomes U+0001. Returns the first character; NULL: the string is malformed.
 */
static char *json_scan_string(struct scan *scan)
{
    const char *start = scan->at + 1;
    scan->at = json_skip_plain(start);
    if (*scan->at != '"' && !json_scan_special(scan))
        return NULL;
    if (scan->arena)
        *(char *)scan->at = '\0';
    scan->at++;
    return (char *)start;
}

/* ---- Values; the node, or the parent, is NULL if no tree is built ---- */

static cJSON *json_add_node(struct scan *scan, cJSON *parent, char *name)
{
    cJSON *node = arena_take(scan->arena, sizeof *node);
    if (!node)
        return NULL;
    *node = (cJSON){.type = cJSON_StringIsConst, .string = name};
    if (!parent) {
        scan->tree = node;
    } else if (!parent->child) {
        parent->child = node->prev = node;
    } else {
        node->prev = parent->child->prev;
        node->prev->next = node;
        parent->child->prev = node;
    }
    return node;
}

/* Names mostly differ in their first bytes. */
static bool json_is_same(const char *name, const char *other)
{
    return *name == *other && strcmp(name, other) == 0;
}

/* Whether a member of this name is an id; NULL: it is no member. */
static bool json_is_id(const char *name)
{
    return name && (json_is_same(name, "id") || json_is_same(name, "request_id"));
}

/* Keeps the literal of a number that is long or takes long to print and, for json_keep_ids(), of an id that
 * is not spelt as a whole number. */
static bool json_scan_number(struct scan *scan, cJSON *node)
{
    struct numeral numeral;
    if (!number_scan(scan->at, &numeral))
        return json_fail(scan->error, JSON_BROKEN, "the payload has a malformed number");
    if (numeral.length > JSON_NUMBER_MAX)
        return json_fail(scan->error, JSON_BROKEN, "the payload has a number of more than %d characters",
                         JSON_NUMBER_MAX);
    scan->at += numeral.length;
    if (!node)
        return true;
    const bool is_whole = numeral.length == numeral.digits + (*numeral.text == '-');
    node->valuedouble = number_value(&numeral);
    const bool is_slow = number_prints_slowly(node->valuedouble);
    const bool is_long = is_slow || numeral.digits > DBL_DIG; /* that survive the way through a double */
    node->type |= is_long ? cJSON_Raw : cJSON_Number;
    if (is_slow && !isfinite(node->valuedouble))
        scan->doubtful = true;
    if (!is_long && (is_whole || !json_is_id(node->string)))
        return true;
    node->valuestring = arena_copy(scan->arena, numeral.text, numeral.length);
    return node->valuestring || json_fail(scan->error, JSON_NO_MEMORY, "no memory");
}

static bool json_scan_literal(struct scan *scan, cJSON *node)
{
    const int type = json_take(scan, "true")    ? cJSON_True
                     : json_take(scan, "false") ? cJSON_False
                     : json_take(scan, "null")  ? cJSON_NULL
                                                : cJSON_Invalid;
    if (node)
        node->type |= type;
    return type != cJSON_Invalid || json_expected(scan, "a value");
}

static const char *json_skip_space(const char *at)
{
    while (*at <= ' ' && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

static bool json_skip(struct scan *scan, char wanted)
{
    const char *at = json_skip_space(scan->at);
    if (*at != wanted) {
        scan->at = at;
        return false;
    }
    scan->at = at + 1;
    return true;
}

static inline bool json_scan_value(struct scan *scan, cJSON *parent, char *name);

/* The name of a member, and the colon behind it. names: one bit for each length and first byte that the names
 * before have had. Returns NULL: something else stands there. */
static char *json_scan_name(struct scan *scan, uint32_t *names)
{
    scan->at = json_skip_space(scan->at);
    const bool is_string = *scan->at == '"';
    char *name = is_string ? json_scan_string(scan) : NULL;
    if (!is_string)
        json_expected(scan, "a name in double quotes");
    if (!name)
        return NULL;
    const uint32_t bit = UINT32_C(1) << ((size_t)(scan->at - name) + (unsigned char)*name) % 32;
    scan->doubtful = scan->doubtful || *names & bit;
    *names |= bit;
    if (json_skip(scan, ':'))
        return name;
    json_expected(scan, "a colon behind a name");
    return NULL;
}

/* What stands between the brackets of an object or an array, and the closing one. It is the one function that
 * calls itself: json_scan_value() is a part of it. */
__attribute__((noinline)) static bool json_scan_items(struct scan *scan, cJSON *node, char closing)
{
    const bool is_object = closing == '}';
    uint32_t names = 0;
    if (++scan->depth > JSON_DEPTH_MAX)
        return json_fail(scan->error, JSON_BROKEN, "the payload is nested deeper than %d levels",
                         JSON_DEPTH_MAX);
    scan->at++;
    if (node)
        node->type |= is_object ? cJSON_Object : cJSON_Array;
    if (!json_skip(scan, closing)) {
        do {
            char *name = is_object ? json_scan_name(scan, &names) : NULL;
            if ((is_object && !name) || !json_scan_value(scan, node, name))
                return false;
        } while (json_skip(scan, ','));
        if (!json_skip(scan, closing))
            return json_expected(scan, is_object ? "a comma or }" : "a comma or ]");
    }
    scan->depth--;
    return true;
}

static inline bool json_scan_value(struct scan *scan, cJSON *parent, char *name)
{
    cJSON *node = scan->arena ? json_add_node(scan, parent, name) : NULL;
    if (scan->arena && !node)
        return json_fail(scan->error, JSON_NO_MEMORY, "no memory");
    scan->at = json_skip_space(scan->at);
    if (*scan->at == '"') {
        char *string = json_scan_string(scan);
        if (node) {
            node->type |= cJSON_String;
            node->valuestring = string;
        }
        return string;
    }
    if (*scan->at == '{')
        return json_scan_items(scan, node, '}');
    if (*scan->at == '[')
        return json_scan_items(scan, node, ']');
    const bool is_number = *scan->at == '-' || (*scan->at >= '0' && *scan->at <= '9');
    return is_number ? json_scan_number(scan, node) : json_scan_literal(scan, node);
}

/* Adds to an explanation where the text is broken, which is offset bytes behind its beginning. Out of line:
 * nearly every text is fine. */
__attribute__((noinline)) static bool json_explain_place(struct json_error *error, const char *text,
                                                         size_t size, size_t offset)
{
    const char *at = text, *place = text + offset, *next;
    size_t line = 1, column = 1;
    for (; (next = memchr(at, '\n', (size_t)(place - at))); at = next + 1)
        line++;
    for (; at < place; at++)
        column += ((unsigned char)*at & 0xC0) != 0x80; /* a character's further bytes */
    const size_t used = strlen(error->why);
    snprintf(error->why + used, sizeof error->why - used, " at line %zu, column %zu%s", line, column,
             offset == size ? ", where it ends" : "");
    return false;
}

static inline bool json_scan_whole(struct scan *scan, const char *text, size_t size)
{
    char *copy = scan->arena ? arena_take(scan->arena, size + 1) : NULL;
    json_begin(scan->error);
    if (scan->arena && !copy)
        return json_fail(scan->error, JSON_NO_MEMORY, "no memory");
    const char *start = scan->at = copy ? memcpy(copy, text, size + 1) : text;
    scan->end = start + size;
    const bool is_value = json_scan_value(scan, NULL, NULL);
    if (is_value)
        scan->at = json_skip_space(scan->at);
    if (is_value && scan->at == scan->end)
        return true;
    if (is_value)
        json_fail(scan->error, JSON_BROKEN, "the payload goes on behind its JSON value%s",
                  *scan->at ? "" : ", with a NUL,");
    return scan->error->fault == JSON_BROKEN &&
           json_explain_place(scan->error, text, size, (size_t)(scan->at - start));
}

void json_keep_ids(cJSON *tree)
{
    for (cJSON *item = tree; item; item = item->next) {
        if (cJSON_IsNumber(item) && item->valuestring)
            item->type ^= cJSON_Number ^ cJSON_Raw;
        json_keep_ids(item->child);
    }
}

static bool json_report_twice(const char *name, struct json_error *error)
{
    return json_fail(error, JSON_UNWANTED, "%.*s is given twice", (int)text_cut(name, 64), name);
}

static int json_compare_names(const void *one, const void *other)
{
    return strcmp((*(const cJSON *const *)one)->string, (*(const cJSON *const *)other)->string);
}

/* Many members are sorted: comparing all pairs would let one payload stop the broker for a second. */
static bool json_check_many_members(const cJSON *object, struct json_error *error)
{
    const size_t count = (size_t)cJSON_GetArraySize(object);
    const cJSON **sorted = malloc(count * sizeof(cJSON *));
    if (!sorted)
        return json_fail(error, JSON_NO_MEMORY, "no memory");
    size_t used = 0;
    for (const cJSON *member = object->child; member; member = member->next)
        sorted[used++] = member;
    qsort(sorted, count, sizeof *sorted, json_compare_names);
    bool fine = true;
    for (size_t i = 1; fine && i < count; i++) {
        if (json_compare_names(&sorted[i - 1], &sorted[i]) == 0)
            fine = json_report_twice(sorted[i]->string, error);
    }
    free(sorted);
    return fine;
}

static bool json_check_members(const cJSON *object, struct json_error *error)
{
    int count = 0;
    for (const cJSON *member = object->child; member; member = member->next) {
        if (++count > FEW_MEMBERS)
            return json_check_many_members(object, error);
        for (const cJSON *other = object->child; other != member; other = other->next) {
            if (json_is_same(member->string, other->string))
                return json_report_twice(member->string, error);
        }
    }
    return true;
}

static bool json_check_value(const cJSON *item, struct json_error *error)
{
    if (json_is_number(item) && !isfinite(item->valuedouble))
        return json_fail(error, JSON_UNWANTED, "the payload has a number that is too large");
    if (item->type & cJSON_Object && !json_check_members(item, error))
        return false;
    for (const cJSON *child = item->child; child; child = child->next) {
        if (!json_check_value(child, error))
            return false;
    }
    return true;
}

bool json_is_wanted(const cJSON *item, struct json_error *error)
{
    json_begin(error);
    return json_check_value(item, error);
}

bool json_has_members_once(const cJSON *object, struct json_error *error)
{
    json_begin(error);
    return json_check_members(object, error);
}

bool json_check(const char *text, size_t size, struct json_error *error)
{
    struct scan scan = {.error = error};
    return json_scan_whole(&scan, text, size);
}

char *json_decode_string(char *literal, size_t size)
{
    struct arena unused; /* a scanner with an arena decodes strings in their place */
    struct json_error error;
    struct scan scan = {.at = literal, .end = literal + size, .arena = &unused, .error = &error};
    arena_init(&unused);
    json_begin(&error);
    char *text = *literal == '"' ? json_scan_string(&scan) : NULL;
    return scan.at == scan.end ? text : NULL;
}

cJSON *json_parse(const char *text, size_t size, struct arena *arena, struct json_error *error)
{
    struct scan scan = {.arena = arena, .error = error};
    const bool wanted =
        json_scan_whole(&scan, text, size) && (!scan.doubtful || json_check_value(scan.tree, error));
    if (error->fault == JSON_BROKEN || error->fault == JSON_NO_MEMORY)
        return NULL;
    error->nul = scan.nul;
    if (wanted && scan.nul)
        json_fail(error, JSON_UNWANTED, "the payload has a string with U+0000");
    return scan.tree;
}

cJSON *json_member(const cJSON *object, const char *name)
{
    cJSON *member = cJSON_IsObject(object) ? object->child : NULL;
    while (member && !json_is_same(member->string, name))
        member = member->next;
    return member;
}

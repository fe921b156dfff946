// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Strict JSON on cJSON: see json.h. A scanner checks the text against RFC 8259 first, without making
 * anything of it; cJSON then only builds the tree, so that when it fails, memory is what is missing.
 */
#include "shape/json.h"

#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXACT_DIGITS = 15, /* decimal digits that survive the way through a double: DBL_DIG */
    FEW_MEMBERS = 16   /* up to here comparing all pairs is cheaper than sorting */
};

struct scan {
    const char *at, *end;
    unsigned depth;
    bool long_numbers; /* a number has more than EXACT_DIGITS digits */
    bool nul;          /* an escaped U+0000 was seen */
    struct json_error *error;
};

static bool fail(struct json_error *error, enum json_fault fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Returns false, so that callers can return it. */
static bool fail(struct json_error *error, enum json_fault fault, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error->fault = fault;
    vsnprintf(error->why, sizeof error->why, format, arguments);
    va_end(arguments);
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Whether the text goes on as `word`. The NUL behind the text stops the comparison at its end. */
static bool goes_on(const struct scan *scan, const char *word)
{
    return strncmp(scan->at, word, strlen(word)) == 0;
}

static size_t skip_digits(struct scan *scan)
{
    const char *start = scan->at;
    while (is_digit(*scan->at))
        scan->at++;
    return (size_t)(scan->at - start);
}

/* RFC 8259, section 6. *digits gets how many digits stand before an exponent. */
static bool skip_number(struct scan *scan, size_t *digits)
{
    if (*scan->at == '-')
        scan->at++;
    const bool zero = *scan->at == '0';
    *digits = skip_digits(scan);
    if (!*digits || (zero && *digits > 1))
        return false;
    if (*scan->at == '.') {
        scan->at++;
        const size_t fraction = skip_digits(scan);
        if (!fraction)
            return false;
        *digits += fraction;
    }
    if (*scan->at != 'e' && *scan->at != 'E')
        return true;
    scan->at++;
    if (*scan->at == '+' || *scan->at == '-')
        scan->at++;
    return skip_digits(scan) > 0;
}

static bool scan_number(struct scan *scan)
{
    const char *start = scan->at;
    size_t digits;
    if (!skip_number(scan, &digits))
        return fail(scan->error, JSON_BROKEN, "the payload has a malformed number");
    if (scan->at - start > JSON_NUMBER_MAX)
        return fail(scan->error, JSON_BROKEN, "the payload has a number of more than %d characters",
                    JSON_NUMBER_MAX);
    if (digits > EXACT_DIGITS)
        scan->long_numbers = true;
    return true;
}

/* The four digits of a \u escape; -1: they are not there. */
static int32_t scan_hex(struct scan *scan)
{
    char digits[5] = "";
    for (size_t i = 0; i < 4; i++) {
        if (!is_hex(scan->at[i]))
            return -1;
        digits[i] = scan->at[i];
    }
    scan->at += 4;
    return (int32_t)strtol(digits, NULL, 16);
}

/* A \u escape, both halves where it is a surrogate pair. */
static bool scan_unicode(struct scan *scan)
{
    const int32_t unit = scan_hex(scan);
    if (unit == 0)
        scan->nul = true;
    if (unit < 0xD800 || unit > 0xDFFF)
        return unit >= 0;
    if (unit > 0xDBFF || !goes_on(scan, "\\u"))
        return false;
    scan->at += 2;
    const int32_t low = scan_hex(scan);
    return low >= 0xDC00 && low <= 0xDFFF;
}

static bool scan_escape(struct scan *scan)
{
    scan->at++;
    const char letter = *scan->at;
    if (!letter || !strchr("\"\\/bfnrtu", letter))
        return false;
    scan->at++;
    return letter != 'u' || scan_unicode(scan);
}

static bool scan_character(struct scan *scan)
{
    if (*scan->at == '\\')
        return scan_escape(scan);
    uint32_t character;
    const size_t length = text_decode(scan->at, (size_t)(scan->end - scan->at), &character);
    if (!length || character < 0x20)
        return false;
    scan->at += length;
    return true;
}

static bool scan_string(struct scan *scan)
{
    scan->at++;
    while (*scan->at != '"') {
        if (!scan_character(scan))
            return fail(scan->error, JSON_BROKEN,
                        "the payload has a malformed string (a control character, an escape or UTF-8)");
    }
    scan->at++;
    return true;
}

static bool scan_literal(struct scan *scan)
{
    static const char *const literals[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++) {
        if (goes_on(scan, literals[i])) {
            scan->at += strlen(literals[i]);
            return true;
        }
    }
    return fail(scan->error, JSON_BROKEN, "the payload is not JSON");
}

static void skip_space(struct scan *scan)
{
    scan->at += strspn(scan->at, " \t\n\r");
}

static bool skip(struct scan *scan, char wanted)
{
    skip_space(scan);
    if (*scan->at != wanted)
        return false;
    scan->at++;
    return true;
}

static bool scan_value(struct scan *scan);

static bool scan_member(struct scan *scan)
{
    skip_space(scan);
    if (*scan->at != '"')
        return fail(scan->error, JSON_BROKEN, "the payload is not JSON");
    if (!scan_string(scan))
        return false;
    if (!skip(scan, ':'))
        return fail(scan->error, JSON_BROKEN, "the payload is not JSON");
    return scan_value(scan);
}

/* What stands between the brackets of an object or an array, and the closing one. */
static bool scan_items(struct scan *scan, bool (*scan_item)(struct scan *), char closing)
{
    if (++scan->depth > JSON_DEPTH_MAX)
        return fail(scan->error, JSON_BROKEN, "the payload is nested deeper than %d levels", JSON_DEPTH_MAX);
    scan->at++;
    if (!skip(scan, closing)) {
        do {
            if (!scan_item(scan))
                return false;
        } while (skip(scan, ','));
        if (!skip(scan, closing))
            return fail(scan->error, JSON_BROKEN, "the payload is not JSON");
    }
    scan->depth--;
    return true;
}

static bool scan_value(struct scan *scan)
{
    skip_space(scan);
    if (*scan->at == '{')
        return scan_items(scan, scan_member, '}');
    if (*scan->at == '[')
        return scan_items(scan, scan_value, ']');
    if (*scan->at == '"')
        return scan_string(scan);
    return *scan->at == '-' || is_digit(*scan->at) ? scan_number(scan) : scan_literal(scan);
}

static bool scan_text(struct scan *scan)
{
    if (!scan_value(scan))
        return false;
    skip_space(scan);
    return scan->at == scan->end ||
           fail(scan->error, JSON_BROKEN, "the payload goes on behind its JSON value");
}

/* The next number of a text that was scanned before; its length goes to *length. */
static const char *next_number(const char *at, size_t *length)
{
    bool in_string = false;
    for (;; at++) {
        if (*at == '"')
            in_string = !in_string;
        else if (in_string && *at == '\\')
            at++;
        else if (!in_string && (*at == '-' || is_digit(*at)))
            break;
    }
    *length = strspn(at, "+-.eE0123456789");
    return at;
}

static bool keep_literal(cJSON *item, const char *literal, size_t length)
{
    item->valuestring = cJSON_malloc(length + 1);
    if (!item->valuestring)
        return false;
    memcpy(item->valuestring, literal, length);
    item->valuestring[length] = '\0';
    item->type = (item->type & ~0xFF) | cJSON_Raw;
    return true;
}

/* A literal is kept where it is long or, of an id whose spelling matters, has more than digits. */
static bool is_kept(const cJSON *item, const char *literal, size_t length, bool ids)
{
    const bool is_id = ids && item->string && strcmp(item->string, "id") == 0;
    return length > EXACT_DIGITS || (is_id && strcspn(literal, ".eE") < length);
}

/* Gives the nodes of such numbers their literals: nodes and text are in the same order. */
static bool keep_literals(cJSON *item, const char **text, bool ids)
{
    for (; item; item = item->next) {
        if (json_is_number(item)) {
            size_t length;
            const char *literal = next_number(*text, &length);
            *text = literal + length;
            if (cJSON_IsNumber(item) && is_kept(item, literal, length, ids) &&
                !keep_literal(item, literal, length))
                return false;
        }
        if (!keep_literals(item->child, text, ids))
            return false;
    }
    return true;
}

bool json_keep_ids(cJSON *tree, const char *text)
{
    return keep_literals(tree, &text, true);
}

static bool is_twice(const char *name, struct json_error *error)
{
    const int shown = (int)text_cut(name, 64);
    return fail(error, JSON_UNWANTED, "%.*s is given twice", shown, name);
}

static int compare_names(const void *one, const void *other)
{
    return strcmp((*(const cJSON *const *)one)->string, (*(const cJSON *const *)other)->string);
}

/* Many members are sorted: comparing all pairs would let one payload stop the broker for a second. */
static bool check_many_members(const cJSON *object, size_t count, struct json_error *error)
{
    const cJSON **sorted = malloc(count * sizeof(cJSON *));
    if (!sorted)
        return fail(error, JSON_NO_MEMORY, "no memory");
    size_t used = 0;
    for (const cJSON *member = object->child; member; member = member->next)
        sorted[used++] = member;
    qsort(sorted, count, sizeof *sorted, compare_names);
    bool fine = true;
    for (size_t i = 1; fine && i < count; i++) {
        if (compare_names(&sorted[i - 1], &sorted[i]) == 0)
            fine = is_twice(sorted[i]->string, error);
    }
    free(sorted);
    return fine;
}

static bool check_few_members(const cJSON *object, struct json_error *error)
{
    for (const cJSON *member = object->child; member; member = member->next) {
        for (const cJSON *other = member->next; other; other = other->next) {
            if (strcmp(member->string, other->string) == 0)
                return is_twice(other->string, error);
        }
    }
    return true;
}

static bool check_members(const cJSON *object, struct json_error *error)
{
    const size_t count = (size_t)cJSON_GetArraySize(object);
    return count > FEW_MEMBERS ? check_many_members(object, count, error) : check_few_members(object, error);
}

static bool check_children(const cJSON *item, struct json_error *error);

static bool check_value(const cJSON *item, struct json_error *error)
{
    if (json_is_number(item) && !isfinite(item->valuedouble))
        return fail(error, JSON_UNWANTED, "the payload has a number that is too large");
    if (cJSON_IsObject(item) && !check_members(item, error))
        return false;
    return check_children(item, error);
}

static bool check_children(const cJSON *item, struct json_error *error)
{
    for (const cJSON *child = item->child; child; child = child->next) {
        if (!check_value(child, error))
            return false;
    }
    return true;
}

bool json_is_wanted(const cJSON *item, struct json_error *error)
{
    *error = (struct json_error){.fault = JSON_FINE};
    return check_value(item, error);
}

bool json_has_members_once(const cJSON *object, struct json_error *error)
{
    *error = (struct json_error){.fault = JSON_FINE};
    return check_members(object, error);
}

/* Parses a text with escaped U+0000, at which cJSON would end a string: it reads U+0001 instead. */
static cJSON *parse_without_nul(const char *text, size_t size)
{
    char *copy = malloc(size + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, size + 1);
    for (char *at = copy; *at; at++) {
        if (*at != '\\')
            continue;
        at++;
        if (strncmp(at, "u0000", 5) == 0)
            at[4] = '1';
    }
    cJSON *tree = cJSON_ParseWithLengthOpts(copy, size + 1, NULL, true);
    free(copy);
    return tree;
}

static cJSON *discard(cJSON *tree)
{
    cJSON_Delete(tree);
    return NULL;
}

/* Scans the whole text; scan is made from it. */
static bool scan_whole(struct scan *scan, const char *text, size_t size, struct json_error *error)
{
    *scan = (struct scan){.at = text, .end = text + size, .error = error};
    *error = (struct json_error){.fault = JSON_FINE};
    return scan_text(scan);
}

bool json_check(const char *text, size_t size, struct json_error *error)
{
    struct scan scan;
    return scan_whole(&scan, text, size, error);
}

cJSON *json_parse(const char *text, size_t size, struct json_error *error)
{
    struct scan scan;
    if (!scan_whole(&scan, text, size, error))
        return NULL;

    cJSON *tree =
        scan.nul ? parse_without_nul(text, size) : cJSON_ParseWithLengthOpts(text, size + 1, NULL, true);
    const char *numbers = text;
    if (!tree || (scan.long_numbers && !keep_literals(tree, &numbers, false))) {
        fail(error, JSON_NO_MEMORY, "no memory");
        return discard(tree);
    }
    const bool wanted = check_value(tree, error);
    if (error->fault == JSON_NO_MEMORY)
        return discard(tree);
    error->nul = scan.nul;
    if (wanted && scan.nul)
        fail(error, JSON_UNWANTED, "the payload has a string with U+0000");
    return tree;
}

bool json_is_number(const cJSON *item)
{
    return cJSON_IsNumber(item) || cJSON_IsRaw(item);
}

/* ---- Printing ---- */

/* Bytes that the members or elements, and the punctuation around them, take at most. */
static size_t most_of_children(const cJSON *item)
{
    size_t max = 2;
    for (const cJSON *child = item->child; child; child = child->next) {
        max += json_printed_most(child) + 1;
        if (child->string)
            max += 6 * strlen(child->string) + 3;
    }
    return max;
}

size_t json_printed_most(const cJSON *item)
{
    enum { NUMBER_MOST = 24 }; /* -1.2345678901234567e-308 */
    if (cJSON_IsArray(item) || cJSON_IsObject(item))
        return most_of_children(item);
    if (cJSON_IsString(item))
        return 6 * strlen(item->valuestring) + 2; /* every byte an escape, and the quotes */
    return cJSON_IsRaw(item) ? strlen(item->valuestring) : NUMBER_MOST;
}

static void print_children(const cJSON *item, struct writer *writer)
{
    for (const cJSON *child = item->child; child; child = child->next) {
        if (child != item->child)
            writer_text(writer, ",");
        if (cJSON_IsObject(item)) {
            writer_string(writer, child->string);
            writer_text(writer, ":");
        }
        json_print(child, writer);
    }
}

void json_print(const cJSON *item, struct writer *writer)
{
    if (cJSON_IsString(item)) {
        writer_string(writer, item->valuestring);
    } else if (cJSON_IsRaw(item)) {
        writer_text(writer, item->valuestring);
    } else if (cJSON_IsNumber(item)) {
        writer_double(writer, item->valuedouble);
    } else if (cJSON_IsArray(item) || cJSON_IsObject(item)) {
        writer_text(writer, cJSON_IsArray(item) ? "[" : "{");
        print_children(item, writer);
        writer_text(writer, cJSON_IsArray(item) ? "]" : "}");
    } else {
        writer_text(writer, cJSON_IsBool(item) ? cJSON_IsTrue(item) ? "true" : "false" : "null");
    }
}

const char *json_printed(const cJSON *item, struct arena *arena)
{
    const size_t max = json_printed_most(item);
    char *text = arena_alloc(arena, max + 1);
    if (!text)
        return NULL;
    struct writer writer = writer_make(text, max);
    json_print(item, &writer);
    return text;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Glances at JSON: see glance.h. The text is cut into tokens, most of which are skipped unchecked. */
#include "shape/glance.h"

#include "base/number.h"
#include "shape/json.h"

#include <ctype.h>
#include <string.h>

enum { GLANCE_LITERAL_MAX = 6 * GLANCE_TEXT_MAX + 2 }; /* each byte an escape, and the quotes */

static bool glance_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *glance_skip_space(const char *at, const char *end)
{
    while (at < end && glance_is_space(*at))
        at++;
    return at;
}

/* Skips the string that begins here. NULL: it is cut off. */
static const char *glance_skip_string(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        if (*at == '"')
            return at + 1;
        at += *at == '\\' && end - at > 1;
    }
    return NULL;
}

/* Skips all before the next comma or closing bracket on this level. NULL: there is none. */
static const char *glance_skip_value(const char *at, const char *end)
{
    size_t depth = 0;
    while (at && at < end) {
        const bool is_closing = *at == '}' || *at == ']';
        if (!depth && (is_closing || *at == ','))
            return at;
        depth += *at == '{' || *at == '[';
        depth -= is_closing;
        at = *at == '"' ? glance_skip_string(at, end) : at + 1;
    }
    return NULL;
}

/* ---- Members ---- */

static enum glance_type glance_read_string(char *out, const char *at, const char *end)
{
    char literal[GLANCE_LITERAL_MAX + 1];
    const char *behind = glance_skip_string(at, end);
    if (!behind)
        return GLANCE_BROKEN;
    const size_t size = (size_t)(behind - at);
    if (size >= sizeof literal)
        return GLANCE_TOO_LONG;
    memcpy(literal, at, size);
    literal[size] = '\0';
    const char *text = json_decode_string(literal, size);
    if (!text)
        return GLANCE_BROKEN;
    if (strlen(text) > GLANCE_TEXT_MAX)
        return GLANCE_TOO_LONG;
    memcpy(out, text, strlen(text) + 1);
    return GLANCE_STRING;
}

/* A number or a literal, which something must follow: it would go on if it were cut off. */
static enum glance_type glance_read_word(char *out, const char *at, const char *end)
{
    char word[NUMBER_LITERAL_MAX + 1];
    struct numeral numeral;
    size_t size = 0;
    while (at + size < end && !glance_is_space(at[size]) && at[size] != ',' && at[size] != '}' &&
           at[size] != ']')
        size++;
    if (at + size == end || size >= sizeof word)
        return GLANCE_BROKEN;
    memcpy(word, at, size);
    word[size] = '\0';
    if (strcmp(word, "null") == 0)
        return GLANCE_NULL;
    if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0)
        return GLANCE_OTHER;
    if (!number_scan(word, &numeral) || numeral.length != size)
        return GLANCE_BROKEN;
    memcpy(out, word, size + 1);
    return GLANCE_NUMBER;
}

/* Notes the value at `at` if it is that of a member that is looked for. */
static void glance_keep(struct glance *glance, const char *name, size_t length, const char *at,
                        const char *end)
{
    const struct {
        const char *name;
        struct glance_member *member;
    } wanted[] = {
        {"\"jsonrpc\"", &glance->jsonrpc}, {"\"id\"", &glance->id}, {"\"request_id\"", &glance->request_id}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        struct glance_member *member = wanted[i].member;
        if (strlen(wanted[i].name) != length || memcmp(wanted[i].name, name, length) != 0 ||
            member->type != GLANCE_NONE)
            continue;
        if (at == end)
            member->type = GLANCE_BROKEN;
        else if (*at == '{' || *at == '[')
            member->type = GLANCE_OTHER;
        else
            member->type = *at == '"' ? glance_read_string(member->text, at, end)
                                      : glance_read_word(member->text, at, end);
    }
}

/* Reads the members of an object, from behind its bracket. Returns where it ends; NULL: it does not. */
static const char *glance_read_members(struct glance *glance, const char *at, const char *end)
{
    while (at && at < end) {
        const char *name = at = glance_skip_space(at, end);
        if (at < end && *at == '"') {
            const char *behind = glance_skip_string(name, end);
            at = glance_skip_space(behind ? behind : end, end);
            if (at < end && *at == ':') {
                at = glance_skip_space(at + 1, end);
                glance_keep(glance, name, (size_t)(behind - name), at, end);
            }
        }
        at = glance_skip_value(at, end);
        if (at && *at != ',')
            return at + 1;
        at = at ? at + 1 : NULL;
    }
    return NULL;
}

/* ---- The end of a long object ---- */

static const char *glance_skip_space_back(const char *from, const char *at)
{
    while (at > from && glance_is_space(at[-1]))
        at--;
    return at;
}

/* The beginning of the string that ends here, with a quote; NULL: it is not in sight. */
static const char *glance_skip_string_back(const char *from, const char *at)
{
    for (at--; at > from; at--) {
        const char *slash = at - 1;
        if (*slash != '"')
            continue;
        while (slash > from && slash[-1] == '\\')
            slash--;
        if ((at - 1 - slash) % 2 == 0)
            return at - 1;
    }
    return NULL;
}

/* The last member of an object that ends at the end of the text, if its value is no array and no object. JSON
 * can be read backwards so far without doubt. */
static void glance_read_last(struct glance *glance, const char *from, const char *end)
{
    while (end > from && (glance_is_space(end[-1]) || !end[-1]))
        end--;
    if (end == from || end[-1] != '}')
        return;
    const char *value = glance_skip_space_back(from, end - 1);
    if (value > from && value[-1] == '"')
        value = glance_skip_string_back(from, value);
    else
        while (value > from && (value[-1] == '+' || value[-1] == '-' || value[-1] == '.' ||
                                isalnum((unsigned char)value[-1])))
            value--;
    const char *at = value ? glance_skip_space_back(from, value) : from;
    if (at == from || at[-1] != ':')
        return;
    const char *behind = glance_skip_space_back(from, at - 1);
    const char *name = behind > from && behind[-1] == '"' ? glance_skip_string_back(from, behind) : NULL;
    at = name ? glance_skip_space_back(from, name) : from;
    if (at > from && (at[-1] == ',' || at[-1] == '{'))
        glance_keep(glance, name, (size_t)(behind - name), value, end);
}

/* ---- All together ---- */

static void glance_clear(struct glance *glance)
{
    glance->outermost = '\0';
    glance->notifies = false;
    glance->jsonrpc.type = glance->id.type = glance->request_id.type = GLANCE_NONE;
    glance->jsonrpc.text[0] = glance->id.text[0] = glance->request_id.text[0] = '\0';
}

static bool glance_is_id(const struct glance_member *id)
{
    return id->type == GLANCE_STRING || id->type == GLANCE_NUMBER || id->type == GLANCE_NULL;
}

/* Reads the elements of an array, from behind its bracket, up to the first one with an id. */
static void glance_read_elements(struct glance *glance, const char *at, const char *end)
{
    bool are_silent = true;
    for (bool is_first = true; at; is_first = false) {
        struct glance element;
        glance_clear(&element);
        at = glance_skip_space(at, end);
        const bool is_object = at < end && *at == '{';
        at = is_object ? glance_read_members(&element, at + 1, end) : at;
        if (is_first) {
            glance->jsonrpc = element.jsonrpc;
            glance->request_id = element.request_id;
        }
        if (glance->id.type == GLANCE_NONE || glance_is_id(&element.id))
            glance->id = element.id;
        if (glance_is_id(&glance->id))
            return;
        are_silent = are_silent && is_object && element.id.type == GLANCE_NONE;
        at = glance_skip_value(at, end);
        glance->notifies = at && *at != ',' && are_silent;
        at = at && *at == ',' ? at + 1 : NULL;
    }
}

void glance_at(struct glance *glance, const char *text, size_t size)
{
    const char *end = text + (size < GLANCE_MAX ? size : GLANCE_MAX);
    const char *at = glance_skip_space(text, end);
    glance_clear(glance);
    glance->outermost = at < end && (*at == '{' || *at == '[') ? *at : '\0';
    if (glance->outermost == '[')
        glance_read_elements(glance, at + 1, end);
    if (glance->outermost != '{')
        return;
    if (glance_read_members(glance, at + 1, end))
        glance->notifies = glance->id.type == GLANCE_NONE;
    else if (size > GLANCE_MAX)
        glance_read_last(glance, text + size - GLANCE_TAIL_MAX, text + size);
}

bool glance_is_jsonrpc(const struct glance *glance)
{
    return glance->jsonrpc.type == GLANCE_STRING && strcmp(glance->jsonrpc.text, "2.0") == 0;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Paths and explanations: see fields_walk.h. */
#include "shape/fields_walk.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Ends a text that may have been cut within a character before that character. */
static void walk_end_at_character(char *text)
{
    const size_t length = strlen(text);
    size_t last = length;
    uint32_t character;
    while (last && ((unsigned char)text[last - 1] & 0xC0) == 0x80)
        last--;
    if (last && !text_decode(text + last - 1, length - last + 1, &character))
        text[last - 1] = '\0';
}

static void walk_append_all(char *out, size_t capacity, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void walk_append_all(char *out, size_t capacity, const char *format, va_list arguments)
{
    const size_t used = strlen(out);
    const int needed = vsnprintf(out + used, capacity - used, format, arguments);
    if (needed >= 0 && (size_t)needed >= capacity - used)
        walk_end_at_character(out);
}

void fields_append(char *out, size_t capacity, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    walk_append_all(out, capacity, format, arguments);
    va_end(arguments);
}

/* Appends where a walk is: readings[3].value. An array of which no certain element is meant: readings[]. */
static void walk_append_path(char *out, const struct fields_step *step)
{
    enum { NAME_SHOWN = 40 }; /* bytes: eight of them, with indices, leave room for what is wrong */
    if (!step || !step->field)
        return;
    if (step->outer) {
        const bool any = step->outer->field->counter && step->outer->index == FIELDS_NO_INDEX;
        walk_append_path(out, step->outer);
        fields_append(out, FIELDS_WHY, any ? "[]." : ".");
    }
    const char *name = fields_name(step->field);
    fields_append(out, FIELDS_WHY, "%.*s", (int)text_cut(name, NAME_SHOWN), name);
    if (step->index != FIELDS_NO_INDEX)
        fields_append(out, FIELDS_WHY, "[%zu]", step->index);
}

rpc_status fields_misfit(struct fields_walk *walk, const char *format, ...)
{
    va_list arguments;
    walk->why[0] = '\0';
    walk_append_path(walk->why, walk->step);
    va_start(arguments, format);
    walk_append_all(walk->why, FIELDS_WHY, format, arguments);
    va_end(arguments);
    return RPC_INVALID_PARAMS;
}

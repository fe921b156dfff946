// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The text of a config_file: see config_file.h. */
#include "config_file.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char blanks[] = " \t\r";

int config_file_refuse(const char *file, unsigned line, char why[OPTIONS_WHY], const char *format, ...)
{
    char safe[200], wrong[200], place[32] = "";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(wrong, sizeof wrong, format, arguments);
    va_end(arguments);
    if (line)
        snprintf(place, sizeof place, ", line %u", line);
    snprintf(why, OPTIONS_WHY, "config_file %s%s: %s", text_printable(file, safe, sizeof safe), place, wrong);
    return -1;
}

/* Takes a line apart, which ends with a NUL. Returns false: it has no setting. */
static bool config_file_cut(char *text, const char *prefix, struct option_line *line)
{
    text += strspn(text, blanks);
    size_t length = strlen(text);
    while (length && strchr(blanks, text[length - 1]))
        length--;
    text[length] = '\0';
    if (!length || *text == '#')
        return false;
    char *value = text + strcspn(text, blanks);
    if (*value)
        *value++ = '\0';
    const size_t skipped = strlen(prefix);
    line->name = strncmp(text, prefix, skipped) == 0 ? text + skipped : text;
    line->value = value + strspn(value, blanks);
    return true;
}

static int config_file_read(struct option_lines *merged, char *text, size_t size, char why[OPTIONS_WHY])
{
    const char *const nul = memchr(text, '\0', size);
    int settings = 0;
    unsigned number = 0;
    text[size] = '\0';
    for (char *rest = text, *line = rest; rest; line = rest) {
        struct option_line setting = {.number = number + 1};
        number++;
        rest = strchr(line, '\n');
        if (rest)
            *rest++ = '\0';
        if (nul && (!rest || nul < rest))
            return config_file_refuse(merged->file, number, why, "it has a NUL byte");
        if (!config_file_cut(line, merged->prefix, &setting))
            continue;
        if (!*setting.value)
            return config_file_refuse(merged->file, number, why,
                                      "a line is the name of an option, a space and its value, and this one "
                                      "has no value");
        if (settings == CONFIG_FILE_SETTINGS)
            return config_file_refuse(merged->file, number, why, "a file has at most %d settings",
                                      CONFIG_FILE_SETTINGS);
        merged->lines[settings++] = setting;
    }
    merged->count = (size_t)settings;
    return settings;
}

static bool config_file_has(const struct option_lines *lines, const char *name)
{
    for (size_t i = 0; i < lines->count; i++) {
        if (strcmp(lines->lines[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Leaves out the lines of the file whose options are given. */
static void config_file_leave_out(struct option_lines *merged, const struct option_lines *given)
{
    size_t kept = 0;
    for (size_t i = 0; i < merged->count; i++) {
        if (!config_file_has(given, merged->lines[i].name))
            merged->lines[kept++] = merged->lines[i];
    }
    merged->count = kept;
}

int config_file_merge(struct option_lines *merged, const struct option_lines *given, const char *file,
                      char *text, size_t size, char why[OPTIONS_WHY])
{
    *merged = (struct option_lines){
        .prefix = given->prefix,
        .file = file,
        .is_whole = given->is_whole,
        .lines = calloc(given->count + CONFIG_FILE_SETTINGS, sizeof *merged->lines),
    };
    if (!merged->lines)
        return config_file_refuse(file, 0, why, "no memory to read it");
    const int settings = config_file_read(merged, text, size, why);
    if (settings >= 0 && merged->is_whole)
        config_file_leave_out(merged, given);
    const struct option_lines own = *merged;
    for (size_t i = 0; settings >= 0 && i < given->count; i++) {
        if (!config_file_has(&own, given->lines[i].name))
            merged->lines[merged->count++] = given->lines[i];
    }
    return settings;
}

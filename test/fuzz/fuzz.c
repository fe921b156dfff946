// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Reading scripts: see fuzz.h. The functions of test/unit state what must hold with Check's macros. Check
 * itself is not linked, since it wants to run its tests: here are the two functions that the macros call.
 */
#include "fuzz.h"

#include "base/text.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, what);
    abort();
}

void _mark_point(const char *file, int line)
{
    (void)file, (void)line;
}

void _ck_assert_failed(const char *file, int line, const char *expression, const char *message, ...)
{
    va_list arguments;
    va_start(arguments, message);
    fprintf(stderr, "%s:%d: %s: ", file, line, expression);
    if (message)
        vfprintf(stderr, message, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}

void fuzz_check_line(const char *line, size_t capacity)
{
    FUZZ_EXPECT(*line && strlen(line) < capacity);
    for (; *line; line++)
        FUZZ_EXPECT(*line >= ' ' && *line <= '~');
}

char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

static char *fuzz_cut(char **at, char separator)
{
    char *begin = *at, *end = strchr(begin, separator);
    if (!end) {
        *at += strlen(begin);
        return begin;
    }
    *end = '\0';
    *at = end + 1;
    return begin;
}

char *fuzz_line(char **at)
{
    return **at ? fuzz_cut(at, '\n') : NULL;
}

char *fuzz_word(char **at)
{
    return fuzz_cut(at, ' ');
}

unsigned fuzz_number(char **at, unsigned limit)
{
    return (unsigned)(strtoul(fuzz_word(at), NULL, 10) % limit);
}

char *fuzz_optional(char **at)
{
    char *word = fuzz_word(at);
    return strcmp(word, "-") == 0 ? NULL : word;
}

bool fuzz_is_mqtt(const char *topic, const char *response_topic, const char *client)
{
    return *topic && text_is_topic(topic) && (!response_topic || text_is_mqtt(response_topic)) &&
           text_is_mqtt(client);
}

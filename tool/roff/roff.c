// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Text for manual pages: see roff.h. */
#include "roff/roff.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum {
    ROFF_WIDTH = 78, /* of a line, in bytes */
    ROFF_NAME = 16   /* of a character, as roff writes it, with a NUL */
};

/* A character beyond ASCII as roff names it. text is well-formed UTF-8. Returns how many bytes it takes. */
static size_t roff_name_character(const char *text, char name[ROFF_NAME])
{
    uint32_t character = 0;
    const size_t size = text_decode(text, strlen(text), &character);
    snprintf(name, ROFF_NAME, "\\[u%04X]", (unsigned)character);
    return size ? size : 1;
}

/* The first character of text so that roff takes it for nothing of its own. Returns how many bytes it takes.
 */
static size_t roff_name(const char *text, char name[ROFF_NAME])
{
    static const struct {
        char character;
        const char *name;
    } names[] = {{'\\', "\\e"},  {'-', "\\-"},   {'\'', "\\(aq"}, {'`', "\\(ga"},
                 {'^', "\\(ha"}, {'~', "\\(ti"}, {'"', "\\(dq"}};
    if ((unsigned char)*text >= 0x80)
        return roff_name_character(text, name);
    snprintf(name, ROFF_NAME, "%c", *text);
    for (size_t at = 0; at < sizeof names / sizeof *names; at++)
        if (names[at].character == *text)
            snprintf(name, ROFF_NAME, "%s", names[at].name);
    return 1;
}

/* How many bytes the word at the beginning of text becomes. */
static size_t roff_word_width(const char *text)
{
    char name[ROFF_NAME];
    size_t width = 0;
    while (*text && *text != ' ' && *text != '\n') {
        text += roff_name(text, name);
        width += strlen(name);
    }
    return width;
}

void roff_print(const char *text)
{
    size_t column = 0;
    while (*text) {
        char name[ROFF_NAME];
        const bool ends =
            *text == '\n' || (*text == ' ' && column + 1 + roff_word_width(text + 1) > ROFF_WIDTH);
        if (column == 0 && *text == '.')
            fputs("\\&", stdout);
        text += roff_name(text, name);
        fputs(ends ? "\n" : name, stdout);
        column = ends ? 0 : column + strlen(name);
    }
}

void roff_print_sentence(const char *text)
{
    roff_print((char[]){(char)toupper((unsigned char)text[0]), 0});
    roff_print(text + 1);
    puts(".");
}

void roff_print_paragraphs(const char *text)
{
    for (const char *at = text; *at;) {
        const char *const end = strstr(at, "\n\n");
        char paragraph[4096];
        snprintf(paragraph, sizeof paragraph, "%.*s", end ? (int)(end - at) : (int)strlen(at), at);
        for (char *line = strchr(paragraph, '\n'); line; line = strchr(line, '\n'))
            *line = ' ';
        printf("%s", at == text ? "" : ".PP\n");
        roff_print(paragraph);
        putchar('\n');
        at = end ? end + 2 : at + strlen(at);
    }
}

void roff_print_option(char letter, const char *name, const char *argument, const char *doc)
{
    printf(".TP\n");
    if (letter)
        printf("\\fB\\-%c\\fR, ", letter);
    printf("\\fB\\-\\-");
    roff_print(name);
    printf("\\fR");
    if (argument) {
        printf(" \\fI");
        roff_print(argument);
        printf("\\fR");
    }
    putchar('\n');
    roff_print_sentence(doc);
}

void roff_print_sections(const struct roff_section *sections, size_t count)
{
    for (size_t at = 0; at < count; at++)
        printf(".SH %s\n%s", sections[at].name, sections[at].text);
}

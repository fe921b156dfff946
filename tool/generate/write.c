// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Texts from the wire in source code: see write.h. */
#include "generate/write.h"

#include "base/text.h"

#include <string.h>

enum { WRITE_WIDTH = 110, WRITE_REPLACED = 0xFFFD };

/* Decodes a character and moves on; bytes that are no UTF-8 become U+FFFD. */
static uint32_t write_next(const char **text)
{
    uint32_t character;
    const size_t size = text_decode(*text, strlen(*text), &character);
    *text += size ? size : 1;
    return size ? character : WRITE_REPLACED;
}

/* ---- Literals ---- */

static void write_escaped(FILE *out, enum write_language language, uint32_t character)
{
    if (character <= 0xFFFF)
        fprintf(out, "\\u%04x", (unsigned)character);
    else if (language == WRITE_PYTHON)
        fprintf(out, "\\U%08x", (unsigned)character);
    else
        fprintf(out, "\\u%04x\\u%04x", 0xD800u + (unsigned)((character - 0x10000) >> 10),
                0xDC00u + (unsigned)((character - 0x10000) & 0x3FF));
}

/* Three digits always, so that none of the text can be taken for a fourth; \? keeps trigraphs away. */
static void write_c_literal(FILE *out, const char *text)
{
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\' || c == '?')
            fprintf(out, "\\%c", c);
        else if (c < ' ' || c > '~')
            fprintf(out, "\\%03o", c);
        else
            fputc(c, out);
    }
}

void write_literal(FILE *out, enum write_language language, const char *text)
{
    fputc('"', out);
    if (language == WRITE_C)
        write_c_literal(out, text);
    while (language != WRITE_C && *text) {
        const uint32_t character = write_next(&text);
        if (character == '"' || character == '\\')
            fprintf(out, "\\%c", (int)character);
        else if (character < ' ' || character > '~')
            write_escaped(out, language, character);
        else
            fputc((int)character, out);
    }
    fputc('"', out);
}

/* ---- Comments ---- */

/* Whether a reader would not see the character, or would see others in another order because of it. */
static bool write_is_unseen(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {{0, 0x1F},        {0x7F, 0x9F},       {0xAD, 0xAD},     {0x61C, 0x61C},   {0x115F, 0x1160},
                  {0x17B4, 0x17B5}, {0x180B, 0x180F},   {0x200B, 0x200F}, {0x2028, 0x202E}, {0x2060, 0x206F},
                  {0x3164, 0x3164}, {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF}, {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFFC},
                  {0xFFFE, 0xFFFF}, {0xE0000, 0x10FFFF}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    }
    return false;
}

/*
 * What is put between two characters of a comment: a space where the two would begin or end a comment, be
 * half of a trigraph, or where an @ would begin an order to a compiler.
 */
static bool write_is_apart(enum write_language language, uint32_t before, uint32_t c)
{
    if (language == WRITE_PYTHON || language == WRITE_DOCSTRING)
        return false;
    return (before == '*' && c == '/') || (before == '/' && c == '*') || (before == '?' && c == '?') ||
           before == '@';
}

static bool write_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

int write_text(FILE *out, enum write_language language, const char *margin, int column, const char *text)
{
    uint32_t before = ' ';
    bool begins = false;
    while (*text) {
        if (write_is_space(*text)) {
            text++;
            begins = true;
            before = ' ';
            continue;
        }
        const int width = (int)strcspn(text, " \t\r\n");
        if (begins && column + width > WRITE_WIDTH && column > (int)strlen(margin)) {
            fprintf(out, "\n%s", margin);
            column = (int)strlen(margin);
        } else if (begins && column > (int)strlen(margin)) {
            column += fprintf(out, " ");
        }
        begins = false;
        const char *from = text;
        uint32_t c = write_next(&text);
        if (c == WRITE_REPLACED || write_is_unseen(c)) {
            from = "?";
            c = '?';
        }
        if (write_is_apart(language, before, c))
            column += fprintf(out, " ");
        if (language == WRITE_DOCSTRING && (c == '"' || c == '\\'))
            fputc('\\', out);
        fwrite(from, 1, c == '?' ? 1 : (size_t)(text - from), out);
        before = c;
        column++;
    }
    return column;
}

void write_member(FILE *out, enum write_language language, const char *margin, int column,
                  const struct api_member *member)
{
    const char *space = "";
    if (member->doc && *member->doc) {
        column = write_text(out, language, margin, column, member->doc);
        space = " ";
    }
    if (member->unit) {
        column += fprintf(out, "%s[", space);
        column = 1 + write_text(out, language, margin, column, member->unit);
        fputs("]", out);
        space = " ";
    }
    if (member->fallback) {
        column += fprintf(out, "%s(default ", space);
        write_text(out, language, margin, column, member->fallback);
        fputs(")", out);
    }
}

void write_comment(FILE *out, enum write_language language, int indent, const char *text,
                   const struct api_member *member)
{
    static const char *const openings[] = {
        [WRITE_PYTHON] = "#: ", [WRITE_TYPESCRIPT] = "/** ", [WRITE_C] = "/* "};
    static const char *const marks[] = {
        [WRITE_PYTHON] = "#: ", [WRITE_TYPESCRIPT] = " * ", [WRITE_C] = " * "};
    char margin[64];
    if (member ? !member->doc && !member->unit && !member->fallback : !text)
        return;
    snprintf(margin, sizeof margin, "%*s%s", indent, "", marks[language]);
    fprintf(out, "%*s%s", indent, "", openings[language]);
    if (member)
        write_member(out, language, margin, (int)strlen(margin), member);
    else
        write_text(out, language, margin, (int)strlen(margin), text);
    fputs(language == WRITE_PYTHON ? "\n" : " */\n", out);
}

void write_head(FILE *out, enum write_language language, const char *margin, const struct api *api)
{
    char line[400];
    snprintf(line, sizeof line, "%s%.100s %.100s", "Made by `mosquitto_rpc generate` of the description of ",
             api->title ? api->title : "a service", api->version ? api->version : "");
    fputs(margin, out);
    write_text(out, language, margin, (int)strlen(margin), line);
    fprintf(out, "\n%sDo not edit it: make it again when the service has changed.\n", margin);
}

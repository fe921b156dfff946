// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Text, JSON and tables, made printable: see output.h. */
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/text.h"

enum { OUTPUT_WIDTH = 100, OUTPUT_INDENT = 2 };

bool output_is_json(const struct tool *tool)
{
    return tool->options.json || (!tool->options.plain && !isatty(STDOUT_FILENO));
}

static bool output_has_colours(FILE *file)
{
    const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return !(none && *none) && terminal && strcmp(terminal, "dumb") != 0 && isatty(fileno(file));
}

static void output_style(FILE *file, enum output_style style)
{
    static const char *const codes[] = {"0", "1", "2", "31", "32", "33", "36"};
    if (output_has_colours(file))
        fprintf(file, "\033[%sm", codes[style]);
}

/* ---- Text from the wire ---- */

/* Whether a terminal might do something else with it than to print it: control it, or change the order of
 * text. */
static bool output_is_unsafe(unsigned code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xad || code == 0x61c || code == 0x180e ||
           (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2060 && code <= 0x206f) || code == 0xfeff || (code >= 0xfff0 && code <= 0xfffb) ||
           (code >= 0xe0000 && code <= 0xe0fff) || (code & 0xfffe) == 0xfffe;
}

/* The escape of a character in text; in JSON one that JSON has. Returns its length. */
static int output_escape(char out[16], unsigned code, bool is_byte, bool is_json)
{
    if (is_json && is_byte)
        return snprintf(out, 16, "\\ufffd");
    if (is_json && code >= 0x10000)
        return snprintf(out, 16, "\\u%04x\\u%04x", 0xd7c0 + (code >> 10), 0xdc00 + (code & 0x3ff));
    if (is_json)
        return snprintf(out, 16, "\\u%04x", code);
    if (code == '\n' || code == '\t' || code == '\r')
        return snprintf(out, 16, "\\%c", code == '\n' ? 'n' : code == '\t' ? 't' : 'r');
    return is_byte || code < 0x100 ? snprintf(out, 16, "\\x%02x", code) : snprintf(out, 16, "\\u{%x}", code);
}

/* Prints text made printable to file, if it is not NULL. Returns its columns. */
static size_t output_put(FILE *file, const char *text, size_t size, bool is_json)
{
    size_t columns = 0;
    for (size_t at = 0; at < size;) {
        uint32_t code = (unsigned char)text[at];
        char escape[16];
        size_t bytes = text_decode(text + at, size - at, &code);
        if (bytes == 0 || output_is_unsafe(code)) {
            columns += (size_t)output_escape(escape, code, bytes == 0, is_json);
            if (file)
                fputs(escape, file);
        } else {
            int width = bytes == 1 ? 1 : wcwidth((wchar_t)code);
            columns += width > 0 ? (size_t)width : bytes > 1 && width < 0 ? 1 : 0;
            if (file)
                fwrite(text + at, 1, bytes, file);
        }
        at += bytes ? bytes : 1;
    }
    return columns;
}

void output_text(FILE *file, const char *text, size_t size)
{
    output_put(file, text, size, false);
}

size_t output_width(const char *text, size_t size)
{
    return output_put(NULL, text, size, false);
}

void output_styled(FILE *file, enum output_style style, const char *text)
{
    if (!text)
        return;
    if (style != OUTPUT_PLAIN)
        output_style(file, style);
    output_text(file, text, strlen(text));
    if (style != OUTPUT_PLAIN)
        output_style(file, OUTPUT_PLAIN);
}

/* ---- JSON ---- */

static bool output_is_one_of(const char *set, char character)
{
    return character && strchr(set, character);
}

/* Where the string that begins at text[at] ends. */
static size_t output_string_end(const char *text, size_t size, size_t at)
{
    for (at++; at < size && text[at] != '"'; at++)
        if (text[at] == '\\')
            at++;
    return at < size ? at + 1 : size;
}

static void output_new_line(bool is_pretty, size_t depth)
{
    if (!is_pretty)
        return;
    putchar('\n');
    for (size_t at = 0; at < depth * OUTPUT_INDENT; at++)
        putchar(' ');
}

static size_t output_skip(const char *text, size_t size, size_t at)
{
    while (at < size && output_is_one_of(" \t\r\n", text[at]))
        at++;
    return at;
}

/* Prints a string, number or word, in the colour of its kind. Returns where it ends. */
static size_t output_atom(const char *text, size_t size, size_t at, bool is_pretty)
{
    bool is_string = text[at] == '"';
    size_t end = is_string ? output_string_end(text, size, at) : at + 1;
    while (!is_string && end < size && !output_is_one_of(" \t\r\n,:[]{}\"", text[end]))
        end++;
    size_t next = output_skip(text, size, end);
    bool is_name = is_string && next < size && text[next] == ':';
    enum output_style style = is_name ? OUTPUT_CYAN : is_string ? OUTPUT_GREEN : OUTPUT_YELLOW;
    if (is_pretty)
        output_style(stdout, style);
    output_put(stdout, text + at, end - at, true);
    if (is_pretty)
        output_style(stdout, OUTPUT_PLAIN);
    return end;
}

void output_json_text(const struct tool *tool, const char *text, size_t size)
{
    bool is_pretty = !output_is_json(tool);
    size_t depth = 0;
    for (size_t at = output_skip(text, size, 0); at < size; at = output_skip(text, size, at)) {
        char token = text[at];
        if (!output_is_one_of("{}[],:", token)) {
            at = output_atom(text, size, at, is_pretty);
            continue;
        }
        size_t next = output_skip(text, size, ++at);
        bool is_empty =
            (token == '{' || token == '[') && next < size && (text[next] == '}' || text[next] == ']');
        if (token == '}' || token == ']')
            output_new_line(is_pretty, depth = depth ? depth - 1 : 0);
        putchar(token);
        if (is_empty) {
            putchar(text[next]);
            at = next + 1;
        } else if (token == '{' || token == '[')
            output_new_line(is_pretty, ++depth);
        else if (token == ',')
            output_new_line(is_pretty, depth);
        else if (token == ':' && is_pretty)
            putchar(' ');
    }
    putchar('\n');
}

void output_json(const struct tool *tool, const cJSON *value)
{
    char *text = cJSON_PrintUnformatted(value);
    if (!text) {
        tool_fail(tool, TOOL_FAILED, "there is no memory");
        return;
    }
    output_json_text(tool, text, strlen(text));
    cJSON_free(text);
}

void output_result(const struct tool *tool, const struct rpc_client_reply *reply)
{
    if (reply->data)
        output_json_text(tool, reply->text, reply->size);
    else if (isatty(STDOUT_FILENO)) {
        output_text(stdout, reply->text, reply->size);
        putchar('\n');
    } else
        fwrite(reply->text, 1, reply->size, stdout);
}

/* ---- Tables ---- */

void output_table_init(struct output_table *table, size_t columns, const char *const *headings)
{
    *table = (struct output_table){.columns = columns};
    table->styles[0] = OUTPUT_BOLD;
    for (size_t at = 0; headings && at < columns; at++)
        output_table_add(table, headings[at]);
    table->has_headings = headings != NULL;
}

void output_table_add(struct output_table *table, const char *text)
{
    if (table->count == table->room) {
        size_t room = table->room ? 2 * table->room : 64;
        char **cells = realloc(table->cells, room * sizeof *cells);
        if (!cells) {
            table->failed = true;
            return;
        }
        table->cells = cells;
        table->room = room;
    }
    table->cells[table->count] = strdup(text ? text : "");
    if (table->cells[table->count])
        table->count++;
    else
        table->failed = true;
}

void output_table_set(struct output_table *table, size_t at, const char *text)
{
    char *copy = strdup(text);
    if (!copy) {
        table->failed = true;
        return;
    }
    free(table->cells[at]);
    table->cells[at] = copy;
}

static size_t output_terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20)
        return size.ws_col;
    return OUTPUT_WIDTH;
}

/* Prints the last cell of a row, wrapped between words, its lines below each other. */
static void output_last_cell(enum output_style style, const char *text, size_t from)
{
    size_t width = output_terminal_width(), room = width > from + 20 ? width - from : 20, used = 0;
    while (*text) {
        size_t word = strcspn(text, " "), columns = output_width(text, word);
        if (used && used + 1 + columns > room) {
            printf("\n%*s", (int)from, "");
            used = 0;
        } else if (used) {
            putchar(' ');
            used++;
        }
        if (style)
            output_style(stdout, style);
        output_text(stdout, text, word);
        if (style)
            output_style(stdout, OUTPUT_PLAIN);
        used += columns;
        text += word + strspn(text + word, " ");
    }
    putchar('\n');
}

static void output_table_row(const struct output_table *table, const size_t *widths, size_t first,
                             bool is_heading)
{
    size_t from = 0, columns = table->columns;
    while (columns > 1 && !*table->cells[first + columns - 1])
        columns--;
    for (size_t at = 0; at < columns; at++) {
        const char *text = table->cells[first + at];
        enum output_style style = is_heading ? OUTPUT_DIM : table->styles[at];
        if (at + 1 == columns) {
            output_last_cell(style, text, from);
            return;
        }
        output_styled(stdout, style, text);
        printf("%*s", (int)(widths[at] + 2 - output_width(text, strlen(text))), "");
        from += widths[at] + 2;
    }
}

enum tool_exit output_table_print(const struct tool *tool, struct output_table *table)
{
    size_t widths[OUTPUT_COLUMNS] = {0};
    bool failed = table->failed;
    for (size_t at = 0; at < table->count && !failed; at++) {
        size_t width = output_width(table->cells[at], strlen(table->cells[at]));
        if (width > widths[at % table->columns])
            widths[at % table->columns] = width;
    }
    for (size_t row = 0; !failed && row + table->columns <= table->count; row += table->columns)
        output_table_row(table, widths, row, row == 0 && table->has_headings);
    for (size_t at = 0; at < table->count; at++)
        free(table->cells[at]);
    free(table->cells);
    *table = (struct output_table){.columns = table->columns};
    return failed ? tool_fail(tool, TOOL_FAILED, "there is no memory") : TOOL_OK;
}

enum tool_exit output_flush(const struct tool *tool)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return TOOL_OK;
    const int why = errno;
    clearerr(stdout); /* what is wrong is told once */
    if (why == EPIPE)
        return TOOL_FAILED; /* its reader has read enough, as head does */
    return tool_fail(tool, TOOL_FAILED, "standard output: %s", strerror(why));
}

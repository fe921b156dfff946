// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What the tool prints: for people on a terminal, JSON otherwise. What comes from the wire may hold anything;
 * nothing of it reaches a terminal that could command it: control characters, invalid UTF-8 and characters
 * that reorder text are printed as escapes, also in JSON, where they are escapes of JSON.
 *
 * Threads: the tool has one.
 *
 * Ownership: a table owns copies of its cells until it is printed; all else is borrowed.
 *
 * Failure: a write that fails shows in output_flush().
 */
#ifndef TOOL_OUTPUT_H
#define TOOL_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "tool.h"

/* Colours of people's output. They are printed only on a terminal, and not if NO_COLOR is set. */
enum output_style {
    OUTPUT_PLAIN,
    OUTPUT_BOLD,
    OUTPUT_DIM,
    OUTPUT_RED,
    OUTPUT_GREEN,
    OUTPUT_YELLOW,
    OUTPUT_CYAN
};

/* Whether to print JSON: it was asked for, or standard output is no terminal. */
bool output_is_json(const struct tool *tool);

/* Prints text from the wire, made printable. */
void output_text(FILE *file, const char *text, size_t size);

/* The same for text that ends with a 0, with a style. NULL counts as "". */
void output_styled(FILE *file, enum output_style style, const char *text);

/* How many columns output_text() takes for this text. */
size_t output_width(const char *text, size_t size);

/* Prints a value and an end of line: JSON in one line, for people with indentation and colours. */
void output_json_text(const struct tool *tool, const char *text, size_t size);
void output_json(const struct tool *tool, const cJSON *value);

/* Prints the result of a call, which may be bytes that are no JSON. */
void output_result(const struct tool *tool, const struct rpc_client_reply *reply);

enum { OUTPUT_COLUMNS = 12 }; /* the most columns of a table */

/*
 * A table for people: rows of cells, each a string made printable; the columns are aligned when it is
 * printed. The last column is not padded, and is wrapped to the width of the terminal.
 */
struct output_table {
    size_t columns, count, room;
    char **cells; /* row by row */
    enum output_style
        styles[OUTPUT_COLUMNS]; /* of the columns: bold for the first one, others as the user sets */
    bool has_headings;
    bool failed; /* there was no memory */
};

/* Begins a table whose first row are these headings, columns of them; NULL: it has none. */
void output_table_init(struct output_table *table, size_t columns, const char *const *headings);

/* Adds a cell, row by row. text NULL counts as "". */
void output_table_add(struct output_table *table, const char *text);

/* Replaces a cell that was added: its number, row by row. */
void output_table_set(struct output_table *table, size_t at, const char *text);

/* Prints the table and frees it. Returns TOOL_OK, or TOOL_FAILED: there was no memory. */
enum tool_exit output_table_print(const struct tool *tool, struct output_table *table);

/* Writes out what was printed. Returns TOOL_OK; TOOL_FAILED: it could not be written, which has been said
 * once, and not at all if the reader of a pipe has gone. */
enum tool_exit output_flush(const struct tool *tool);

#endif

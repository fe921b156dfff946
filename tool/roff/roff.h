// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Manual pages, printed in roff's language: the page of the tool, and that of the worker, which docs/ prints.
 *
 * Threads: any, one at a time, since all print to stdout. Ownership: nothing is allocated. Failure: shows on
 * stdout.
 */
#ifndef TOOL_ROFF_H
#define TOOL_ROFF_H

#include <stddef.h>

/* Prints text, which is well-formed UTF-8, so that roff takes nothing of it for its own, in lines of some 70
 * characters. */
void roff_print(const char *text);

/* Prints one line of a table as a sentence, which begins with a capital letter and ends with a full stop. */
void roff_print_sentence(const char *text);

/* Prints paragraphs, between which there are empty lines. The ends of lines in them are those of the table.
 */
void roff_print_paragraphs(const char *text);

/* Prints an option. letter: 0: it has none; argument: NULL: it takes none. */
void roff_print_option(char letter, const char *name, const char *argument, const char *doc);

/* A part of a page that no table has; text is roff already. */
struct roff_section {
    const char *name, *text;
};

void roff_print_sections(const struct roff_section *sections, size_t count);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What all writers of languages write: texts from the wire as literals and as comments. These two functions
 * are the only ones through which such a text may go, and nothing in a text ends the literal or the comment:
 * what could is escaped, or is replaced in a comment. So are characters that reorder a line for its reader.
 *
 * Threads: any. Ownership: nothing is allocated. Failure: shows in ferror() of the file.
 */
#ifndef TOOL_GENERATE_WRITE_H
#define TOOL_GENERATE_WRITE_H

#include "generate/api.h"

#include <stdio.h>

enum write_language {
    WRITE_PYTHON,
    WRITE_TYPESCRIPT,
    WRITE_C,
    WRITE_DOCSTRING /* for write_text() alone: Python within quotation marks */
};

/* Writes a text as a literal, with its quotation marks. Bytes that are no UTF-8 become U+FFFD, in C they
 * stay. */
void write_literal(FILE *out, enum write_language language, const char *text);

/*
 * Writes a text as the inside of a comment or docstring, wrapped. margin is what each further line begins
 * with: the indentation and, in most languages, the mark of the comment. Returns in which column the last
 * line ends.
 */
int write_text(FILE *out, enum write_language language, const char *margin, int column, const char *text);

/* Writes what the documentation says of a member, its unit and its default, likewise. */
void write_member(FILE *out, enum write_language language, const char *margin, int column,
                  const struct api_member *member);

/* Writes a text, or if member is not NULL what is said of this, as a comment of its own, if there is any. */
void write_comment(FILE *out, enum write_language language, int indent, const char *text,
                   const struct api_member *member);

/* Says in a comment what made the file. margin: what begins each line of it. */
void write_head(FILE *out, enum write_language language, const char *margin, const struct api *api);

#endif

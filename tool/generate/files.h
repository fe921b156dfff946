// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Where a client is written to.
 *
 * Threads: one thread at a time uses a file. Ownership: the files belong to the caller, and are open for
 * writing. Failure: shows in ferror() of a file.
 */
#ifndef TOOL_GENERATE_FILES_H
#define TOOL_GENERATE_FILES_H

#include <stdio.h>

/* The files of a client. */
struct generate_files {
    FILE *code;              /* all of it, but in C */
    FILE *header;            /* in C: the header */
    const char *header_name; /* in C: what the code includes: letters, digits, and . _ - */
};

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What a test lends to the engine for the time of one call: copies of exactly its size, which are overwritten
 * and freed afterwards, so that a sanitizer, or the next look at it, finds who reads it for too long or too
 * far.
 *
 * Threads: the test's thread only.
 *
 * Ownership: the loans own the copies until they are taken back.
 *
 * Failure: without memory, and with too many copies, the process ends.
 */
#ifndef LOANS_H
#define LOANS_H

#include <stddef.h>

enum { LOANS_MAX = 8 };

/* All zero: nothing is lent. */
struct loans {
    char *memory[LOANS_MAX];
    size_t sizes[LOANS_MAX];
    int count;
};

/* A copy of size bytes with a NUL behind them. NULL: text is NULL. */
void *loans_lend(struct loans *loans, const void *text, size_t size);
char *loans_lend_text(struct loans *loans, const char *text);

void loans_take_back(struct loans *loans);

#endif

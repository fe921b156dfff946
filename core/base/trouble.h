// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Troubles: what a module says is wrong with what it depends on, such as a database, until it says that it is
 * over.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: troubles are embedded in their module's instance. Texts are copied, and cut to what there is
 * room for.
 *
 * Failure: there is room for TROUBLES_MAX troubles at a time; nothing is allocated.
 */
#ifndef CORE_BASE_TROUBLE_H
#define CORE_BASE_TROUBLE_H

#include <stdbool.h>

/* How many troubles an instance can have, and how many bytes their texts, with the NULs. */
enum { TROUBLES_MAX = 4, TROUBLE_WHAT = 33, TROUBLE_TEXT = 201 };

struct troubles_row {
    char what[TROUBLE_WHAT]; /* "": there is none */
    char text[TROUBLE_TEXT]; /* well-formed UTF-8 */
    double since;            /* Unix time, seconds */
};

/* All zero: there is none. */
struct troubles {
    struct troubles_row rows[TROUBLES_MAX];
};

/* Whether `what` can name a trouble: [a-z0-9_]+, shorter than TROUBLE_WHAT. */
bool trouble_is_name(const char *what);

/* Notes a trouble that begins at `now`, or goes on with another text. Returns false: there is no room. */
bool trouble_begin(struct troubles *troubles, const char *what, const char *text, double now);

/* Ends a trouble. Returns false: there is none of the name. */
bool trouble_end(struct troubles *troubles, const char *what);

#endif

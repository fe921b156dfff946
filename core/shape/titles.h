// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The titles of the schemas of one document, of which generators make the names of types: no two schemas have
 * the same one, and a schema has the same one wherever it stands. A schema has the title that it got where it
 * came first.
 *
 * Threads: one at a time.
 *
 * Ownership: titles own what they return, until titles_fini().
 *
 * Failure: without memory a schema gets no title, and `failed` is set.
 */
#ifndef CORE_SHAPE_TITLES_H
#define CORE_SHAPE_TITLES_H

#include "base/arena.h"

#include <stdbool.h>

enum {
    TITLES_NAME = 400,            /* bytes that hold any title before it has a number; a longer one is cut */
    TITLES_MAX = TITLES_NAME + 16 /* bytes that hold any title */
};

struct title;

struct titles {
    struct arena arena;
    struct title *known; /* by key, and by title */
    bool failed;
};

void titles_init(struct titles *titles);
void titles_fini(struct titles *titles);

/*
 * The title of the schema that `key` stands for: the one that it has, else name, else other, if another
 * schema has that, else other with a number. NULL: no memory.
 */
const char *titles_meet(struct titles *titles, const char *key, const char *name, const char *other);

/* Whether it is the first time that this is asked for a title that titles_meet() has returned; it acts. */
bool titles_take_first(struct titles *titles, const char *title);

/* Appends a name to out, which holds TITLES_NAME bytes: letters and digits, each word with a capital. */
void titles_append(char *out, const char *name);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Identifiers for names from the wire. An identifier has ASCII letters, digits and underscores in it, begins
 * with a letter, is no reserved word of its language, and is given once in its scope: a name that would get
 * the identifier of another one gets it with a number behind. So the identifiers of a document depend on its
 * order alone.
 *
 * Threads: one thread at a time uses a scope and its arena.
 *
 * Ownership: identifiers live in the arena; a scope is freed by names_fini().
 *
 * Failure: names_give() returns "" if there is no memory, and the scope is failed.
 */
#ifndef TOOL_GENERATE_NAMES_H
#define TOOL_GENERATE_NAMES_H

#include "base/arena.h"

#include <stdbool.h>

enum names_style {
    NAMES_SNAKE,  /* update_sensor */
    NAMES_CAMEL,  /* updateSensor */
    NAMES_PASCAL, /* UpdateSensor */
    NAMES_UPPER   /* UPDATE_SENSOR */
};

struct name;

struct names {
    struct arena *arena;
    const char *reserved; /* words with spaces between them, and around the whole */
    struct name *known;
    bool failed;
};

/* Makes an empty scope. reserved must live as long. */
void names_init(struct names *names, struct arena *arena, const char *reserved);
void names_fini(struct names *names);

/* The identifier for a name: prefix, which is an identifier's beginning or "", and the name's words in a
 * style. */
const char *names_give(struct names *names, const char *prefix, enum names_style style, const char *name);

/* Whether a name is an identifier as it stands, no reserved word, and none that the scope has given. */
bool names_is_plain(const struct names *names, const char *name);

#endif

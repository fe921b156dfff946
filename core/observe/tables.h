// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The bounded tables of an engine, and how full they are: what rpc.stats, rpc.metrics and rpc.health tell of
 * them. A new table of the engine gets a row in tables.c.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: nothing is allocated; texts have static storage.
 *
 * Failure: none.
 */
#ifndef CORE_OBSERVE_TABLES_H
#define CORE_OBSERVE_TABLES_H

#include <stddef.h>

struct engine;

/* How full a table is. What is 0 in a maximum has none. A table is full when no more fits beside what it
 * holds for good: the rest makes room for what comes. */
struct tables_use {
    size_t entries, max;
    size_t bytes, bytes_max;
    size_t held;       /* those of the entries that cannot make room for others, */
    size_t held_bytes; /* and of the bytes */
};

struct tables_row {
    const char *name, *doc;
    const char *option;       /* that sets the largest number of entries; NULL: none does */
    const char *bytes_option; /* that sets the largest number of bytes; NULL: none does */
    void (*look)(const struct engine *engine, struct tables_use *use);
};

enum { TABLES = 6 };

extern const struct tables_row tables[TABLES];

#endif

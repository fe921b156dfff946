// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The bounded tables of an engine, and how full they are: what rpc.stats, rpc.metrics and rpc.health tell of
 * them. A new table of the engine gets a row in tables.c. Modules have gauges, see rpc_gauge.
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

enum { TABLES = 10 };

extern const struct tables_row tables[TABLES];

/* One of the tables above, or a gauge of a module's. */
struct tables_shown {
    const char *module; /* whose gauge it is, which stands before the name; NULL: the engine's table */
    const char *name;
    struct tables_use use;
};

/* How many there are, which does not change once all modules have been added. */
size_t tables_count(const struct engine *engine);

/* Looks at the i-th of them. */
void tables_look(const struct engine *engine, size_t i, struct tables_shown *shown);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What was counted of workers that have gone: see former.h. */
#include "crew/former.h"

#include <stdio.h>
#include <stdlib.h>

static void former_drop(struct former **table, struct former *former)
{
    HASH_DEL(*table, former);
    free(former);
}

void former_keep(struct former **table, const char *name, const struct crew_counts *counts)
{
    struct former *former = calloc(1, sizeof *former);
    if (!former)
        return;
    if (HASH_COUNT(*table) >= CREW_WORKERS_MAX)
        former_drop(table, *table);
    snprintf(former->name, sizeof former->name, "%s", name);
    former->counts = *counts;
    HASH_ADD_STR(*table, name, former);
    if (!former->hh.tbl)
        free(former);
}

void former_resume(struct former **table, const char *name, struct crew_counts *counts)
{
    struct former *former;
    HASH_FIND_STR(*table, name, former);
    if (!former)
        return;
    *counts = former->counts;
    former_drop(table, former);
}

void former_fini(struct former **table)
{
    while (*table)
        former_drop(table, *table);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Connections with something open: see callers.h. */
#include "call/connections.h"

#include <stdlib.h>

struct caller *callers_find(struct caller *const *table, const void *connection)
{
    struct caller *caller;
    HASH_FIND_PTR(*table, &connection, caller);
    return caller;
}

struct caller *callers_meet(struct caller **table, const void *connection)
{
    struct caller *caller = callers_find(table, connection);
    if (caller)
        return caller;
    caller = calloc(1, sizeof *caller);
    if (!caller)
        return NULL;
    caller->connection = connection;
    caller->table = table;
    HASH_ADD_PTR(*table, connection, caller);
    if (caller->hh.tbl)
        return caller;
    free(caller);
    return NULL;
}

void callers_settle(struct caller *caller)
{
    if (caller->exchanges || caller->waiters)
        return;
    HASH_DEL(*caller->table, caller);
    free(caller);
}

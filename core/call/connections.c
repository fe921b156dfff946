// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A hash table of connections: see connections.h. */
#include "call/connections.h"

#include <stdlib.h>

struct connection *connections_find(struct connection *const *table, const void *id)
{
    struct connection *connection;
    HASH_FIND_PTR(*table, &id, connection);
    return connection;
}

struct connection *connections_get(struct connection **table, const void *id)
{
    struct connection *connection = connections_find(table, id);
    if (connection)
        return connection;
    connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    connection->id = id;
    connection->table = table;
    HASH_ADD_PTR(*table, id, connection);
    if (connection->hh.tbl)
        return connection;
    free(connection);
    return NULL;
}

void connections_release(struct connection *connection)
{
    if (connection->exchanges || connection->waiters)
        return;
    HASH_DEL(*connection->table, connection);
    free(connection);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A hash table of connections: see bridges.h. */
#define HASH_NONFATAL_OOM 1

#include "bridges.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct bridge {
    const void *connection;
    UT_hash_handle hh;
};

static struct bridge *bridges_find(const struct bridges *bridges, const void *connection)
{
    struct bridge *bridge;
    HASH_FIND_PTR(bridges->table, &connection, bridge);
    return bridge;
}

bool bridges_note(struct bridges *bridges, const void *connection, const char *topic)
{
    static const char head[] = "$SYS/broker/connection/", tail[] = "/state";
    const size_t length = strlen(topic);
    if (length < sizeof head + sizeof tail - 2 || strncmp(topic, head, sizeof head - 1) != 0 ||
        strcmp(topic + length - (sizeof tail - 1), tail) != 0 || bridges_find(bridges, connection))
        return true;
    struct bridge *bridge = calloc(1, sizeof *bridge);
    if (!bridge)
        return false;
    bridge->connection = connection;
    HASH_ADD_PTR(bridges->table, connection, bridge);
    if (bridge->hh.tbl)
        return true;
    free(bridge);
    return false;
}

bool bridges_has(const struct bridges *bridges, const void *connection)
{
    return bridges->table && bridges_find(bridges, connection);
}

void bridges_forget(struct bridges *bridges, const void *connection)
{
    struct bridge *bridge = bridges->table ? bridges_find(bridges, connection) : NULL;
    if (!bridge)
        return;
    HASH_DEL(bridges->table, bridge);
    free(bridge);
}

void bridges_fini(struct bridges *bridges)
{
    struct bridge *bridge, *next;
    HASH_ITER(hh, bridges->table, bridge, next)
    {
        HASH_DEL(bridges->table, bridge);
        free(bridge);
    }
}

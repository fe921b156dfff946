// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The devices that are known: see table.h. */
#include <stddef.h>

static unsigned devices_hash(const void *key, size_t length);

/* The sender of each message is looked up here. */
#define HASH_FUNCTION(key, length, hash) ((hash) = devices_hash((key), (length)))
#define HASH_BKT_CAPACITY_THRESH 4U

#include "table.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

const char *const device_state_names[DEVICE_STATES] = {
    [DEVICE_UNKNOWN] = "unknown",   [DEVICE_ONLINE] = "online", [DEVICE_READY] = "ready",
    [DEVICE_SLEEPING] = "sleeping", [DEVICE_SILENT] = "silent", [DEVICE_OFFLINE] = "offline"};

static uint64_t devices_mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 32;
}

/* Takes eight bytes at a time. Clients choose their names, so that the hash depends on where the program lies
 * in memory, which they do not know. */
static unsigned devices_hash(const void *key, size_t length)
{
    const char *bytes = key;
    uint64_t hash = devices_mix((uintptr_t)device_state_names, length), word = 0;
    for (size_t i = 0; i + sizeof word < length; i += sizeof word) {
        memcpy(&word, bytes + i, sizeof word);
        hash = devices_mix(hash, word);
    }
    if (length >= sizeof word) {
        memcpy(&word, bytes + length - sizeof word, sizeof word);
    } else {
        word = 0;
        for (size_t i = 0; i < length; i++)
            word = word << 8 | (unsigned char)bytes[i];
    }
    return (unsigned)(devices_mix(devices_mix(hash, word), 0) >> 16);
}

struct device *devices_find(const struct devices *devices, const char *name)
{
    struct device *device;
    HASH_FIND_STR(devices->all, name, device);
    return device;
}

static struct connection *devices_find_connection(const struct devices *devices, const void *key)
{
    struct connection *connection;
    HASH_FIND_PTR(devices->shared, &key, connection);
    return connection;
}

struct device *devices_of_connection(const struct devices *devices, const void *key, const char *client)
{
    struct device *own = devices_find(devices, client);
    if (own && device_is_on(own, key) && !own->shared)
        return own;
    const struct connection *connection = devices_find_connection(devices, key);
    return connection ? connection->devices : NULL;
}

/* ---- Devices come and go ---- */

bool devices_are_full(const struct devices *devices)
{
    return HASH_COUNT(devices->all) >= devices->max;
}

struct device *devices_find_leaver(const struct devices *devices)
{
    struct device *device = devices->away;
    while (device && device_has_live_commands(device))
        device = device->next;
    return device;
}

struct device *devices_add(struct devices *devices, const char *name, double now)
{
    const size_t size = strlen(name) + 1;
    struct device *device = devices_are_full(devices) ? NULL : calloc(1, sizeof *device + size);
    if (!device)
        return NULL;
    memcpy(device->name, name, size);
    HASH_ADD_STR(devices->all, name, device);
    if (!device->hh.tbl) {
        free(device);
        return NULL;
    }
    memset(devices->strangers, 0, sizeof devices->strangers);
    device_set_state(device, DEVICE_UNKNOWN, "start", now);
    DL_APPEND(devices->away, device);
    return device;
}

void devices_remove(struct devices *devices, struct device *device)
{
    devices_disconnect(devices, device);
    DL_DELETE(devices->away, device);
    HASH_DEL(devices->all, device);
    free(device->client);
    free(device->kind);
    free(device->commands);
    free(device);
}

void devices_clear(struct devices *devices)
{
    while (devices->all)
        devices_remove(devices, devices->all);
}

/* ---- Connections ---- */

static struct connection *devices_get_connection(struct devices *devices, const void *key)
{
    struct connection *connection = devices_find_connection(devices, key);
    if (connection || !(connection = calloc(1, sizeof *connection)))
        return connection;
    connection->key = key;
    HASH_ADD_PTR(devices->shared, key, connection);
    if (connection->hh.tbl)
        return connection;
    free(connection);
    return NULL;
}

static void devices_drop_connection(struct devices *devices, struct connection *connection)
{
    if (connection->devices)
        return;
    HASH_DEL(devices->shared, connection);
    free(connection);
}

bool devices_connect(struct devices *devices, struct device *device, const void *key, const char *client)
{
    const char *other = strcmp(client, device->name) == 0 ? NULL : client;
    if (other && strlen(other) > DEVICE_CLIENT_MAX)
        return false;
    struct connection *shared = other ? devices_get_connection(devices, key) : NULL;
    if (other && !shared)
        return false;
    if (!device_set_text(&device->client, other)) {
        devices_drop_connection(devices, shared); /* there is no text to set else */
        return false;
    }
    if (device_is_on(device, key) && device->shared == shared)
        return true;
    devices_forget_stranger(devices, key);
    devices_disconnect(devices, device);
    DL_DELETE(devices->away, device);
    if (shared)
        DL_APPEND(shared->devices, device);
    device->connected = true;
    device->connection = key;
    device->shared = shared;
    return true;
}

void devices_disconnect(struct devices *devices, struct device *device)
{
    struct connection *shared = device->shared;
    if (!device->connected)
        return;
    if (shared) {
        DL_DELETE(shared->devices, device);
        devices_drop_connection(devices, shared);
    }
    device->connected = false;
    device->shared = NULL;
    DL_APPEND(devices->away, device);
}

/* ---- What is known of one ---- */

bool device_is_present(const struct device *device)
{
    return device->state != DEVICE_SLEEPING && device->state != DEVICE_OFFLINE;
}

bool device_is_deliverable(const struct device *device)
{
    return device_is_present(device) && !device->leaving && !device->settling;
}

void device_set_state(struct device *device, enum device_state state, const char *why, double now)
{
    device->state = state;
    device->why = why;
    device->since = now;
}

bool device_set_text(char **text, const char *value)
{
    if (*text == value || (*text && value && strcmp(*text, value) == 0))
        return true;
    const size_t size = value ? strlen(value) + 1 : 0;
    char *copy = value ? malloc(size) : NULL;
    if (value && !copy)
        return false;
    if (copy)
        memcpy(copy, value, size);
    free(*text);
    *text = copy;
    return true;
}

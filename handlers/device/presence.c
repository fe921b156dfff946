// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Which devices are there: see presence.h. */
#include "presence.h"

#include "names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SETTLE_MS = 1000,        /* from a device's return until commands are sent to it, if it says nothing */
    PUBLISH_ROWS = 500,      /* statuses that are published at once when many are to be */
    PUBLISH_PAUSE_MS = 100,  /* between two such times */
    PUBLISH_RETRY_MS = 1000, /* likewise, after one that could not be published */
    SEEN_S = 60,             /* the database knows when a device was seen, within so many seconds */
    TOPIC_BYTES = 65536
};

/* ---- Shapes ---- */

static const rpc_field hello_fields[] = {
    RPC_INT32(struct hello, ttd,
              .doc = "for how long the device listens from now on; without it, as long as it is connected",
              .unit = "s", .optional = true, .range = {1, 86400}, .flag = RPC_FLAG(struct hello, has_ttd)),
    RPC_BOOL(struct hello, once,
             .doc = "the device carries out a command that it gets twice only once: it is sent again when no "
                    "answer comes",
             .optional = true, .flag = RPC_FLAG(struct hello, has_once)),
    RPC_STRING(struct hello, kind, .doc = "the module whose declared commands the device takes",
               .optional = true, .length = {1, 128}),
    RPC_STRING_ARRAY(struct hello, commands, command_count,
                     .doc = "the commands that the device takes; without it, any", .optional = true,
                     .items = {0, 1000}, .length = {1, 128}),
};

const rpc_shape hello_shape = RPC_OBJECT_SHAPE(struct hello, hello_fields);

static const rpc_field status_fields[] = {
    RPC_STRING(struct status, device, .doc = "the name of the device", .length = {1, NAME_MAX_BYTES}),
    RPC_CHOICE(struct status, state, .doc = "whether it is there",
               .choices = {DEVICE_STATES, device_state_names}),
    RPC_DOUBLE(struct status, since, .doc = "when it came into this state, Unix time", .unit = "s"),
    RPC_DOUBLE(struct status, seen, .doc = "when it sent something last, Unix time", .unit = "s",
               .optional = true, .flag = RPC_FLAG(struct status, has_seen)),
    RPC_STRING(struct status, why, .doc = "what brought it into this state", .length = {1, 32}),
};

const rpc_shape status_shape = RPC_OBJECT_SHAPE(struct status, status_fields);

/* ---- The retained status ---- */

struct status presence_status(const struct device *device)
{
    return (struct status){device->name, device->state, device->since,
                           device->seen, device->seen > 0, device->why};
}

/* Publishes a device's status, or an empty one, which removes the retained one. */
static bool presence_send(struct presence *presence, const struct device *device, bool remove)
{
    (void)presence, (void)device, (void)remove;
    return true;
}

static void presence_publish_some(rpc_instance *instance, void *state, void *data)
{
    struct presence *presence = data;
    (void)instance, (void)state;
    uint32_t pause = 0;
    int count = 0;
    presence->publishing.id = 0;
    for (struct device *device = presence->table->all; device && !pause; device = device->hh.next) {
        if (!device->unpublished)
            continue;
        device->unpublished = !presence_send(presence, device, false);
        pause = device->unpublished ? PUBLISH_RETRY_MS : ++count == PUBLISH_ROWS ? PUBLISH_PAUSE_MS : 0;
    }
    if (pause)
        presence->publishing =
            rpc_after(presence->instance, pause, presence_publish_some, presence);
}

static void presence_publish_later(struct presence *presence, struct device *device)
{
    device->unpublished = true;
    if (!presence->publishing.id)
        presence->publishing = rpc_after(presence->instance, 0, presence_publish_some, presence);
}

static void presence_publish(struct presence *presence, struct device *device)
{
    if (!device->managed || device->unpublished || presence_send(presence, device, false))
        return;
    presence_publish_later(presence, device);
}

/* ---- States ---- */

static void presence_enter(struct presence *presence, struct device *device, enum device_state state,
                           const char *why)
{
    if (device->state == state)
        return;
    device_set_state(device, state, why, rpc_time(presence->instance));
    disk_touch_device(presence->disk, device);
    presence_publish(presence, device);
}

static void presence_disarm(struct presence *presence, struct device *device)
{
    rpc_timer_cancel(presence->instance, device->timer);
    device->timer = (rpc_timer){.id = 0};
}

/* A device has one timer at a time. Without one, what it is to end ends at once. */
static void presence_arm(struct presence *presence, struct device *device, double milliseconds)
{
    presence_disarm(presence, device);
    device->timer = rpc_after(presence->instance, (uint32_t)milliseconds, presence->due, device);
    if (!device->timer.id)
        presence_due(presence, device);
}

/* The longest time between two messages of a device that is not silent, ms; 0: that is not watched. */
static double presence_patience(const struct presence *presence)
{
    return 2.5 * presence->options->heartbeat;
}

/* Sets the timer for what a device that is there is to do next. */
static void presence_arm_next(struct presence *presence, struct device *device)
{
    if (device->leaving || device->state == DEVICE_OFFLINE)
        return;
    if (device->settling)
        presence_arm(presence, device, SETTLE_MS);
    else if (device->ttd && device->state == DEVICE_READY)
        presence_arm(presence, device, 1000.0 * device->ttd);
    else if (device->connection && presence_patience(presence) > 0 &&
             (device->state == DEVICE_ONLINE || device->state == DEVICE_READY))
        presence_arm(presence, device, presence_patience(presence));
    else
        presence_disarm(presence, device);
}

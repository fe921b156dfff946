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
    COMMANDS_BYTES = 2048,   /* of the names of commands that a hello names, together */
    COMMANDS_MAX = 100,      /* that a hello names */
    SEEN_S = 60,             /* the database knows when a device was seen, within so many seconds */
    ROOT_BYTES = 130         /* of the inbox root, at most: a prefix whose last level has become `cmd` */
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
                     .items = {0, COMMANDS_MAX}, .length = {1, 128}),
};

const rpc_shape hello_shape = RPC_OBJECT_SHAPE(struct hello, hello_fields);

static const rpc_field status_fields[] = {
    RPC_STRING(struct status, device, .doc = "the name of the device", .length = {1, NAME_MAX_BYTES}),
    RPC_CHOICE(struct status, state, .doc = "whether it is there", .choices = RPC_TABLE(device_state_names)),
    RPC_DOUBLE(struct status, since, .doc = "when it came into this state, Unix time", .unit = "s"),
    RPC_DOUBLE(struct status, seen, .doc = "when it sent something last, Unix time", .unit = "s",
               .optional = true, .flag = RPC_FLAG(struct status, has_seen)),
    RPC_STRING(struct status, why, .doc = "what brought it into this state", .length = {1, 32}),
};

const rpc_shape status_shape = RPC_OBJECT_SHAPE(struct status, status_fields);

/* ---- The retained status ---- */

struct status presence_status(const struct device *device)
{
    return (struct status){device->name, device->state,    device->since,
                           device->seen, device->seen > 0, device->why};
}

/* Publishes a device's status or, to remove the retained one, nothing. Returns false if it is to be tried
 * again. */
static bool presence_send(struct presence *presence, const struct device *device, bool remove)
{
    char topic[ROOT_BYTES + NAME_MAX_BYTES + sizeof "//status"];
    const char *root = rpc_inbox_root(presence->instance);
    const struct status status = presence_status(device);
    rpc_publication publication = {.topic = topic, .qos = 1, .retain = true};
    if (!root)
        return true;
    snprintf(topic, sizeof topic, "%s/%s/status", root, device->name);
    if (!remove) {
        publication.shape = &status_shape;
        publication.data = &status;
    }
    return rpc_send(presence->instance, &publication) != RPC_INTERNAL_ERROR;
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
        presence->publishing = rpc_after(presence->instance, pause, presence_publish_some, presence);
}

static void presence_publish_later(struct presence *presence, struct device *device)
{
    device->unpublished = true;
    if (!presence->publishing.id)
        presence->publishing = rpc_after(presence->instance, 0, presence_publish_some, presence);
}

static void presence_publish(struct presence *presence, struct device *device)
{
    if (device->managed && (device->unpublished || !presence_send(presence, device, false)))
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
    rpc_timer_cancel(presence->instance, (rpc_timer){presence->instance, device->timer});
    device->timer = 0;
}

/* A device has one timer at a time. Returns false if there can be none. */
static bool presence_arm(struct presence *presence, struct device *device, double milliseconds)
{
    presence_disarm(presence, device);
    device->timer = rpc_after(presence->instance, (uint32_t)milliseconds, presence->due, device).id;
    return device->timer;
}

/* How long a device may send nothing until it is silent, ms; 0: that is not watched. */
static double presence_patience(const struct presence *presence, const struct device *device)
{
    const bool is_watched = device->connected && !device->ttd &&
                            (device->state == DEVICE_ONLINE || device->state == DEVICE_READY);
    return is_watched ? 2.5 * presence->options->heartbeat : 0;
}

/* Sets the timer of a device that is there. */
static void presence_arm_next(struct presence *presence, struct device *device)
{
    const double patience = presence_patience(presence, device);
    if (device->settling && !presence_arm(presence, device, SETTLE_MS))
        device->settling = false;
    if (device->settling)
        return;
    if (device->ttd && device->state == DEVICE_READY)
        presence_arm(presence, device, 1000.0 * device->ttd);
    else if (patience > 0)
        presence_arm(presence, device, patience);
    else
        presence_disarm(presence, device);
}

static void presence_end_grace(struct presence *presence, struct device *device)
{
    device->leaving = device->listening = false;
    presence_enter(presence, device, DEVICE_OFFLINE, "disconnected");
    commands_device_gone(presence->commands, device);
}

/* The timer does not move with each message: when it is due, it is set for what is left. */
static void presence_check_silence(struct presence *presence, struct device *device)
{
    const double patience = presence_patience(presence, device);
    const double now = rpc_time(presence->instance);
    if (device->seen > now) /* the clock was set back: its silence is counted from here */
        device->seen = now;
    const double silence = 1000 * (now - device->seen);
    if (patience > 0 && silence < patience)
        presence_arm(presence, device, patience - silence);
    else if (patience > 0)
        presence_enter(presence, device, DEVICE_SILENT, "heartbeat");
}

void presence_due(struct presence *presence, struct device *device)
{
    device->timer = 0;
    if (device->leaving) {
        presence_end_grace(presence, device);
    } else if (device->settling) {
        device->settling = false;
        presence_arm_next(presence, device);
        commands_device_there(presence->commands, device);
    } else if (device->ttd && device->state == DEVICE_READY) {
        presence_enter(presence, device, DEVICE_SLEEPING, "ttd");
        commands_device_asleep(presence->commands, device);
    } else {
        presence_check_silence(presence, device);
    }
}

/* ---- Signs ---- */

/* A connection that takes the device over leaves its state as it is. Returns false if it is not taken: there
 * is no memory, or the client id of a gateway is too long. */
static bool presence_connect(struct presence *presence, struct device *device, const void *connection,
                             const char *client)
{
    if (device_is_on(device, connection))
        return true;
    if (!devices_connect(presence->table, device, connection, client)) {
        if (strlen(client) > DEVICE_CLIENT_MAX)
            rpc_log(presence->instance, RPC_LOG_WARNING,
                    "device %s is not present over a client whose id has more than %d bytes", device->name,
                    DEVICE_CLIENT_MAX);
        return false;
    }
    if (!device->leaving)
        return true;
    device->leaving = false;
    presence_arm_next(presence, device);
    if (device_is_deliverable(device))
        commands_device_there(presence->commands, device);
    return true;
}

/*
 * Whether a connection of the device's user stands beside the one that the device is present over, such as a
 * tool's with the same account: the device stays where it is, unless it says hello or subscribes there. With
 * one client id, or over a gateway, it is the device that has moved.
 */
static bool presence_is_beside(const struct presence *presence, const struct device *device, const char *user,
                               const char *client, const void *connection)
{
    return presence->options->identity == IDENTITY_USER && device->connected &&
           !device_is_on(device, connection) && user && strcmp(user, device->name) == 0 &&
           strcmp(client, device_client(device)) != 0;
}

/* It has sent something. */
static void presence_see(struct presence *presence, struct device *device, const char *why)
{
    device->seen = rpc_time(presence->instance);
    if (device->seen - device->written > (double)SEEN_S || device->seen < device->written)
        disk_touch_device(presence->disk, device);
    if (device->state == DEVICE_SILENT) {
        presence_enter(presence, device, device->listening ? DEVICE_READY : DEVICE_ONLINE, why);
    } else if (device->state == DEVICE_UNKNOWN || device->state == DEVICE_OFFLINE) {
        device->settling = true;
        presence_enter(presence, device, DEVICE_ONLINE, why);
    } else {
        return;
    }
    presence_arm_next(presence, device);
}

/* It listens for commands. */
static void presence_listen(struct presence *presence, struct device *device, const char *why)
{
    device->listening = true;
    device->settling = false;
    presence_enter(presence, device, DEVICE_READY, why);
    presence_arm_next(presence, device);
    commands_device_there(presence->commands, device);
}

/* Its connection has ended. */
static void presence_leave(struct presence *presence, struct device *device)
{
    devices_disconnect(presence->table, device);
    device->settling = false;
    device->leaving = true;
    if (!presence_arm(presence, device, presence->options->grace))
        presence_end_grace(presence, device);
}

/* Whether a topic filter means the requests of one device, and of no other. */
static bool presence_is_request_filter(const struct presence *presence, const char *filter, const char *name)
{
    const char *root = rpc_inbox_root(presence->instance);
    const size_t length = root ? strlen(root) : 0, size = strlen(name);
    if (!root || strncmp(filter, root, length) != 0 || filter[length] != '/')
        return false;
    filter += length + 1;
    if (strncmp(filter, name, size) != 0 || filter[size] != '/')
        return false;
    filter += size + 1;
    return strcmp(filter, "req") == 0 || strcmp(filter, "+") == 0 || strcmp(filter, "#") == 0;
}

static void presence_end_connection(struct presence *presence, const void *connection, const char *client)
{
    struct device *gone;
    devices_forget_stranger(presence->table, connection);
    while ((gone = devices_of_connection(presence->table, connection, client)))
        presence_leave(presence, gone);
}

void presence_sign(struct presence *presence, const rpc_presence *sign)
{
    const char *name = presence->options->identity == IDENTITY_USER ? sign->user : sign->client;
    if (sign->sign == RPC_SIGN_GONE) {
        presence_end_connection(presence, sign->connection, sign->client);
        return;
    }
    struct stranger *stranger = devices_stranger(presence->table, sign->connection);
    if (sign->sign == RPC_SIGN_SEEN && stranger->key == sign->connection && stranger->name == name)
        return;
    struct device *device = name ? devices_find(presence->table, name) : NULL;
    if (!device && sign->sign == RPC_SIGN_SEEN)
        *stranger = (struct stranger){sign->connection, name};
    if (!name)
        return;
    const bool listens = sign->sign == RPC_SIGN_SUBSCRIBED && name_is_device(name) &&
                         presence_is_request_filter(presence, sign->filter, name);
    if (!device && listens)
        device = presence_meet(presence, name);
    if (!device)
        return;
    if (!listens && presence_is_beside(presence, device, sign->user, sign->client, sign->connection))
        return;
    if (!presence_connect(presence, device, sign->connection, sign->client))
        return;
    presence_see(presence, device, sign->sign == RPC_SIGN_SEEN ? "published" : "connected");
    if (listens && device->state != DEVICE_SLEEPING)
        presence_listen(presence, device, "subscribed");
}

/* ---- Messages of devices ---- */

bool presence_is_own(const struct presence *presence, const char *name, const rpc_message *message)
{
    const char *user = message->sender_user;
    if (user && name_is_listed(presence->options->gateways, user))
        return true;
    const char *sender = presence->options->identity == IDENTITY_USER ? user : message->sender_id;
    return !message->bridge && sender && strcmp(sender, name) == 0;
}

void presence_heard(struct presence *presence, struct device *device, const rpc_message *message)
{
    const char *client = message->sender_id;
    if (presence_is_beside(presence, device, message->sender_user, client, message->connection) ||
        presence_connect(presence, device, message->connection, client))
        presence_see(presence, device, "published");
}

static size_t presence_count_bytes(const struct hello *hello)
{
    size_t bytes = 1;
    for (size_t i = 0; i < hello->command_count; i++)
        bytes += strlen(hello->commands[i]) + 1;
    return bytes;
}

/* The names of commands as words. Those that are no names cannot be called, and are left out. NULL: no
 * memory. */
static char *presence_join_commands(const struct hello *hello)
{
    char *words = malloc(presence_count_bytes(hello)), *end = words;
    for (size_t i = 0; words && i < hello->command_count; i++) {
        if (name_is_command(hello->commands[i]))
            end += sprintf(end, "%s%s", end == words ? "" : " ", hello->commands[i]);
    }
    if (words)
        *end = '\0';
    return words;
}

/* The name of a module, or NULL: it is none. */
static const char *presence_kind(const char *kind)
{
    return kind && name_is_command(kind) ? kind : NULL;
}

/* Takes over what a hello says. Returns false if there is no memory. */
static bool presence_take_hello(struct device *device, const struct hello *hello)
{
    char *words = hello->commands ? presence_join_commands(hello) : NULL;
    const bool fine = (words || !hello->commands) &&
                      device_set_text(&device->kind, presence_kind(hello->kind)) &&
                      device_set_text(&device->commands, words);
    free(words);
    if (!fine)
        return false;
    device->ttd = (uint32_t)hello->ttd;
    device->once = hello->once;
    return true;
}

void presence_hello(struct presence *presence, const char *name, const rpc_message *message)
{
    static const struct hello silent = {.ttd = 0};
    const struct hello *hello = message->data ? message->data : &silent;
    if (presence_count_bytes(hello) > COMMANDS_BYTES) {
        rpc_log(presence->instance, RPC_LOG_NOTICE,
                "the hello of device %s is not taken: its commands have more than %d bytes", name,
                COMMANDS_BYTES);
        return;
    }
    struct device *device = presence_meet(presence, name);
    if (!device || !presence_take_hello(device, hello) ||
        !presence_connect(presence, device, message->connection, message->sender_id))
        return;
    device->seen = rpc_time(presence->instance);
    presence_listen(presence, device, "hello");
    presence_manage(presence, device);
    disk_touch_device(presence->disk, device);
}

/* ---- Devices come and go ---- */

static void presence_watch(struct presence *presence)
{
    const bool watching = presence->table->all != NULL;
    if (watching != presence->watching)
        rpc_presence_watch(presence->instance, watching);
    presence->watching = watching;
}

/* Whether the option names a device. It may name ten thousands: only for devices that are met. */
static bool presence_is_listed(const struct presence *presence, const char *name)
{
    const char *managed = presence->options->managed;
    return managed && (strcmp(managed, "*") == 0 || name_is_listed(managed, name));
}

struct device *presence_meet(struct presence *presence, const char *name)
{
    struct devices *table = presence->table;
    struct device *device = devices_find(table, name);
    if (device)
        return device;
    struct device *leaver = presence->started && devices_are_full(table) ? devices_find_leaver(table) : NULL;
    if (leaver)
        presence_forget(presence, leaver);
    device = devices_add(table, name, rpc_time(presence->instance));
    if (!device) {
        rpc_log(presence->instance, RPC_LOG_NOTICE, "device %s is passed over: %s", name,
                devices_are_full(table) ? "device_max devices are known, and none of them can be forgotten"
                                        : "out of memory");
        return NULL;
    }
    device->managed = presence_is_listed(presence, name);
    presence_watch(presence);
    return device;
}

void presence_manage(struct presence *presence, struct device *device)
{
    if (device->managed)
        return;
    device->managed = true;
    disk_touch_device(presence->disk, device);
    presence_publish(presence, device);
}

bool presence_is_managed(const struct presence *presence, const char *name)
{
    const struct device *device = devices_find(presence->table, name);
    return device ? device->managed : presence_is_listed(presence, name);
}

void presence_forget(struct presence *presence, struct device *device)
{
    commands_forget_device(presence->commands, device);
    presence_disarm(presence, device);
    if (device->managed)
        presence_send(presence, device, true);
    disk_drop_device(presence->disk, device);
    devices_remove(presence->table, device);
    presence_watch(presence);
}

/* ---- Start and stop ---- */

/* A device that was loaded late may be known already: what it has said since is newer. */
void presence_load(struct presence *presence, const struct ledger_device *row)
{
    struct device *device = name_is_device(row->name) ? devices_find(presence->table, row->name) : NULL;
    if (!device && name_is_device(row->name)) {
        device = devices_add(presence->table, row->name, rpc_time(presence->instance));
        if (!device)
            rpc_log(presence->instance, RPC_LOG_WARNING,
                    "there is no room for device %s of the database: see device_max", row->name);
    }
    if (!device)
        return;
    if (device->seen <= 0 || device->seen < row->seen) {
        device_set_text(&device->kind, presence_kind(row->kind));
        device_set_text(&device->commands, row->commands);
        device->once = row->once;
        device->seen = device->written = row->seen;
    }
    device->seq = device->seq < row->seq ? row->seq : device->seq;
    device->stored = true;
    device->managed = device->managed || row->managed;
    presence_watch(presence);
}

/* Meets the devices that the option names. */
static bool presence_meet_managed(struct presence *presence)
{
    const char *list = presence->options->managed;
    char name[NAME_MAX_BYTES + 1];
    size_t length;
    for (const char *word; (word = name_next(&list, &length));) {
        snprintf(name, sizeof name, "%.*s", (int)length, word);
        if (length == 1 && *word == '*')
            continue;
        if (length > NAME_MAX_BYTES || !name_is_device(name)) {
            rpc_log(presence->instance, RPC_LOG_ERROR, "device_managed: %s is no name of a device", name);
            return false;
        }
        struct device *device = devices_find(presence->table, name);
        if (!device && !(device = devices_add(presence->table, name, rpc_time(presence->instance)))) {
            rpc_log(presence->instance, RPC_LOG_ERROR, "device_managed: there is no room for %s", name);
            return false;
        }
        device->managed = true;
    }
    presence_watch(presence);
    return true;
}

bool presence_init(struct presence *presence)
{
    rpc_presence_watch(presence->instance, false);
    return presence_meet_managed(presence);
}

void presence_start(struct presence *presence)
{
    presence->started = true;
    for (struct device *device = presence->table->all; device; device = device->hh.next) {
        device->managed = device->managed || presence_is_listed(presence, device->name);
        if (device->managed)
            presence_publish_later(presence, device);
        if (device->state != DEVICE_UNKNOWN && device_is_deliverable(device))
            commands_device_there(presence->commands, device);
    }
}

void presence_fini(struct presence *presence)
{
    if (!presence->instance)
        return;
    rpc_timer_cancel(presence->instance, presence->publishing);
    for (struct device *device = presence->table->all; device; device = device->hh.next)
        presence_disarm(presence, device);
}

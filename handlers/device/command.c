// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Commands: see command.h. */
#include "command.h"

#include "names.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { LOADED_TIMEOUT_MS = 10000 }; /* for the answer to a command of a former run that declares none */

/* ---- The beginning ---- */

/* Why a device takes no command of this order; NULL: it does. */
static const char *command_check_device(const struct commands *commands, const struct order *order,
                                        const char **msg)
{
    const struct device *device = order->device;
    if (!rpc_inbox_root(commands->instance)) {
        *msg = "the topics of devices are switched off: see device_topic";
        return "device_unknown";
    }
    if (!order->payload && device->commands && !name_is_listed(device->commands, order->name)) {
        *msg = "the device has not named this command in its hello";
        return "device_rejected";
    }
    if (order->offline != OFFLINE_FAIL || device_is_present(device))
        return NULL;
    *msg = device->state == DEVICE_SLEEPING ? "the device sleeps until its next hello"
                                            : "the device is not connected";
    return "device_offline";
}

/* Why there is no room for another command; NULL: there is. */
static const char *command_check_room(const struct commands *commands, const struct order *order)
{
    const struct device_options *options = commands->options;
    const struct device *device = order->device;
    if (commands->live >= (size_t)options->commands_max)
        return "too many commands have not ended: see device_commands_max";
    const bool goes = !device->waiting && device->flying_count < (uint32_t)options->window &&
                      lane_is_open(commands, device, order->offline, false);
    return goes || device->waiting_count < (uint32_t)options->queue
               ? NULL
               : "too many commands of the device wait: see device_queue";
}

/* Why its message is too large; NULL: it is not. What an application sent to its device itself, the device
 * takes. */
static const char *command_check_size(const struct commands *commands, const struct command *command)
{
    const size_t size = lane_message_size(command);
    if (!command->adopted && size > (size_t)commands->options->max_payload)
        return "the message to the device would be over device_max_payload";
    return size > rpc_max_reply(commands->instance) ? "the message to the device would be over max_reply"
                                                    : NULL;
}

struct command *command_prepare(struct commands *commands, const struct order *order, struct verdict *why)
{
    *why = (struct verdict){.state = COMMAND_CANCELLED,
                            .device = order->device->name,
                            .seen = order->device->seen,
                            .id = order->id};
    why->err = command_check_device(commands, order, &why->msg);
    if (why->err)
        return NULL;
    why->msg = command_check_room(commands, order);
    if (why->msg) {
        why->err = "device_busy";
        return NULL;
    }
    struct command *command = life_create(commands, order);
    why->err = "internal_error";
    why->msg = "there is no memory for the command";
    if (!command)
        return NULL;
    const char *too_large = command_check_size(commands, command);
    if (too_large) {
        why->err = "payload_too_large";
        why->msg = too_large;
    } else if (commands->bytes > LIFE_BYTES_MAX) {
        why->err = "device_busy";
        why->msg = "the commands that have not ended are too large together";
    } else if (lane_arm(command)) {
        return command;
    }
    life_discard(commands, command);
    return NULL;
}

void command_start(struct commands *commands, struct command *command)
{
    lane_enter(commands, command);
}

void command_discard(struct commands *commands, struct command *command)
{
    life_discard(commands, command);
}

/* ---- The end ---- */

void command_abandon(struct commands *commands, struct command *command)
{
    struct live *live = command->live;
    live->ended = NULL;
    live->progress = NULL;
    if (command->state != COMMAND_QUEUED || command->stored)
        return;
    if (live->ticket) {
        live->abandoned = true;
        return;
    }
    const struct verdict verdict =
        life_verdict(command, COMMAND_CANCELLED, "cancelled", "its caller went away");
    lane_end(commands, command, &verdict);
}

void command_expire(struct commands *commands, struct command *command)
{
    if (command->live->ticket || command->stored)
        command_abandon(commands, command);
    else
        lane_give_up(commands, command);
}

bool command_cancel(struct commands *commands, struct command *command)
{
    if (command->state != COMMAND_QUEUED || command->live->ticket)
        return false;
    const struct verdict verdict =
        life_verdict(command, COMMAND_CANCELLED, "cancelled", "the command was cancelled before it was sent");
    lane_end(commands, command, &verdict);
    return true;
}

/* ---- Devices ---- */

void commands_device_there(struct commands *commands, struct device *device)
{
    lane_open(commands, device);
}

void commands_device_asleep(struct commands *commands, struct device *device)
{
    lane_pause(commands, device);
}

void commands_device_gone(struct commands *commands, struct device *device)
{
    lane_close(commands, device);
}

static void command_end_forgotten(struct commands *commands, struct command *command)
{
    const struct verdict verdict =
        command->state == COMMAND_QUEUED
            ? life_verdict(command, COMMAND_CANCELLED, "cancelled", "the device was forgotten")
            : life_verdict(command, COMMAND_UNKNOWN, "outcome_unknown",
                           "the device was forgotten before it answered");
    command->stored = false;
    life_end(commands, command, &verdict);
}

void commands_forget_device(struct commands *commands, struct device *device)
{
    while (device->waiting)
        command_end_forgotten(commands, device->waiting);
    while (device->flying)
        command_end_forgotten(commands, device->flying);
    while (device->ended)
        life_forget(commands, device->ended);
}

/* ---- A former run ---- */

/* The constant of a code that was read; NULL: it is none of the module's. */
static const char *command_err(const char *read)
{
    static const char *const codes[] = {
        "device_offline",  "device_timeout", "device_failed", "device_rejected", "expired",
        "outcome_unknown", "out_of_order",   "cancelled",     "storage_failed",
    };
    for (size_t i = 0; read && i < sizeof codes / sizeof codes[0]; i++) {
        if (strcmp(codes[i], read) == 0)
            return codes[i];
    }
    return NULL;
}

/* Milliseconds until a time of a former run; a year at most. */
static uint64_t command_until(double end, double now)
{
    const double left = (end - now) * 1000, max = 366.0 * 86400 * 1000;
    return left < 1 ? 0 : left < max ? (uint64_t)left : (uint64_t)max;
}

/* Another program may have written the row. */
static bool command_is_proper(const struct ledger_command *row)
{
    return name_is_command(row->id) && name_is_command(row->name) &&
           (!row->params || rpc_is_json(row->params, strlen(row->params)));
}

static struct command *command_make_loaded(struct commands *commands, const struct ledger_command *row,
                                           struct device *device)
{
    const double now = rpc_time(commands->instance);
    const rpc_command *declared = rpc_command_find(commands->instance, device->kind, row->name);
    const uint32_t timeout = declared && declared->timeout ? declared->timeout : LOADED_TIMEOUT_MS;
    const struct order order = {
        .device = device,
        .name = row->name,
        .params = row->params,
        .id = row->id,
        .declared = declared,
        .offline = OFFLINE_QUEUE,
        .timeout = timeout,
        .loaded = true,
        .caller = {.id = row->caller, .user = row->user, .mounted = row->mounted},
    };
    struct command *command = life_create(commands, &order);
    if (!command)
        return NULL;
    struct live *live = command->live;
    const uint64_t clock = rpc_clock(commands->instance);
    live->queued = live->arrived = row->queued;
    live->expires = row->expires;
    live->stale_time = row->stale;
    live->deadline = clock + command_until(row->expires, now);
    live->stale = row->stale > 0 ? clock + command_until(row->stale, now) : 0;
    live->idempotent = row->idempotent;
    command->stored = true;
    command->seq = row->seq;
    command->attempt = row->attempt;
    command->time = row->queued;
    command->changed = clock;
    return command;
}

/*
 * What becomes of a command that had not ended: it waits on, is sent again when its device is back, or ends
 * in a moment. If the clock is behind the time at which it was queued, its age is unknown.
 */
static void command_resume(struct commands *commands, struct command *command, enum command_state state)
{
    struct live *live = command->live;
    const uint64_t now = rpc_clock(commands->instance);
    if (rpc_time(commands->instance) < live->queued)
        live->deadline = now;
    const bool is_over = life_is_over(command, now) || life_is_stale(command, now);
    command->state = state == COMMAND_RUNNING ? COMMAND_SENT : state; /* what it has reported is over */
    life_move(command, state == COMMAND_QUEUED ? PLACE_WAITING : PLACE_FLYING, false);
    if (command->place == PLACE_FLYING) {
        live->again = !is_over && (live->idempotent || command->device->once);
        live->lost = !live->again;
    }
    lane_arm(command);
}

/* The row of a command is written at once, that of its device a moment later: it may be missing. */
static struct device *command_meet_loaded(struct commands *commands, const char *name)
{
    struct device *device = devices_find(commands->table, name);
    if (!device && name_is_device(name))
        device = devices_add(commands->table, name, rpc_time(commands->instance));
    if (device)
        disk_keep_device(commands->disk, device);
    return device;
}

void commands_load(struct commands *commands, const struct ledger_command *row)
{
    struct device *device = command_is_proper(row) ? command_meet_loaded(commands, row->device) : NULL;
    struct command *command =
        device && !life_find(commands, row->id) ? command_make_loaded(commands, row, device) : NULL;
    if (!command)
        return;
    if (row->seq > device->seq)
        device->seq = row->seq;
    if (row->state < COMMAND_SUCCEEDED) {
        command_resume(commands, command, row->state);
        return;
    }
    command->state = row->state;
    command->err = command_err(row->err);
    command->time = row->ended;
    life_remember(commands, command);
}

static void command_renew(struct commands *commands, struct command *first)
{
    for (struct command *command = first; command; command = command->next) {
        if (command->stored && !command->live->ticket)
            life_store(commands, command, command->state, NULL);
    }
}

void commands_renew(struct commands *commands)
{
    for (struct device *device = commands->table->all; device; device = device->hh.next) {
        command_renew(commands, device->waiting);
        command_renew(commands, device->flying);
    }
}

void commands_stop(struct commands *commands)
{
    for (struct device *device = commands->table ? commands->table->all : NULL; device;
         device = device->hh.next) {
        struct command *command;
        DL_FOREACH(device->flying, command)
        {
            if (command->state != COMMAND_QUEUED)
                continue;
            lane_give_number_back(commands, command);
            life_store(commands, command, COMMAND_QUEUED, NULL);
        }
    }
}

void commands_fini(struct commands *commands)
{
    for (struct device *device = commands->table ? commands->table->all : NULL; device;
         device = device->hh.next) {
        while (device->waiting)
            life_discard(commands, device->waiting);
        while (device->flying)
            life_discard(commands, device->flying);
        while (device->ended)
            life_forget(commands, device->ended);
    }
    while (commands->tickets)
        life_take_ticket(commands->tickets);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The lane of a device: see lane.h. */
#include "lane.h"

#include "names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    RETRY_FIRST_MS =
        1000,             /* the longest wait for an answer before the first repetition; then twice as long */
    RETRY_MAX_MS = 30000, /* the longest wait before any */
    HOLD_MS = 1000        /* until something is tried again that could not be done */
};

/* ---- Time ---- */

static uint64_t lane_first(uint64_t a, uint64_t b)
{
    return b && b < a ? b : a;
}

/* When something is to be done about it. */
static uint64_t lane_due(const struct command *command)
{
    const struct live *live = command->live;
    if (live->lost)
        return 0;
    if (command->place == PLACE_FLYING)
        return live->again ? live->deadline : lane_first(live->answer, live->retry);
    return lane_first(lane_first(live->deadline, live->stale), live->hold);
}

static void lane_on_timer(rpc_instance *instance, void *state, void *data);

bool lane_arm(struct command *command)
{
    struct live *live = command->live;
    rpc_instance *instance = live->commands->instance;
    const uint64_t now = rpc_clock(instance), due = lane_due(command);
    const uint64_t left = due > now ? due - now : 0;
    rpc_timer_cancel(instance, live->timer);
    live->timer =
        rpc_after(instance, left < UINT32_MAX ? (uint32_t)left : UINT32_MAX, lane_on_timer, command);
    return live->timer.id;
}

/* What is written to the database is waited for, without a timer. */
static void lane_disarm(struct command *command)
{
    rpc_timer_cancel(command->live->commands->instance, command->live->timer);
    command->live->timer = (rpc_timer){.id = 0};
}

static void lane_plan_retry(struct commands *commands, struct command *command)
{
    struct live *live = command->live;
    live->retry = 0;
    if (!(live->idempotent || command->device->once) || command->attempt > commands->options->retries)
        return;
    const int doublings = command->attempt < 6 ? command->attempt - 1 : 5;
    const uint32_t doubled = (uint32_t)RETRY_FIRST_MS << doublings;
    const uint32_t longest = doubled < RETRY_MAX_MS ? doubled : RETRY_MAX_MS;
    live->retry =
        rpc_clock(commands->instance) + longest / 2 + 1 + life_random(commands, longest - longest / 2);
}

/* ---- Sending ---- */

/*
 * A device of which nothing was seen since the start is commanded. But one that was there before has
 * something to say when it comes back; and one that was never seen need not exist. Commands that may wait
 * wait for those.
 */
bool lane_is_open(const struct commands *commands, const struct device *device, enum offline_policy offline,
                  bool loaded)
{
    if (!device_is_deliverable(device))
        return false;
    if (device->state != DEVICE_UNKNOWN || offline == OFFLINE_FAIL)
        return true;
    return !loaded && device->seen <= 0 && (device->managed || !commands->options->known_only);
}

static const char lane_form[] = "{\"id\":\"%s\",\"cmd\":\"%s\",\"params\":%s}";

size_t lane_message_size(const struct command *command)
{
    const struct live *live = command->live;
    enum { PLACEHOLDERS = 6 };
    return command->adopted ? live->body_size
                            : sizeof lane_form - 1 - PLACEHOLDERS + strlen(command->id) +
                                  strlen(command->name) + live->body_size;
}

/* The message to the device, from malloc(). Ids and names have nothing that JSON escapes. */
static char *lane_print(const struct command *command)
{
    const size_t size = lane_message_size(command);
    char *text = malloc(size + 1);
    if (text && command->adopted)
        memcpy(text, command->live->body, size);
    else if (text)
        snprintf(text, size + 1, lane_form, command->id, command->name, command->live->body);
    return text;
}

/* Whole seconds until it must not be carried out any more, rounded up. */
static uint32_t lane_expiry(const struct command *command, uint64_t now)
{
    const uint64_t end = lane_first(command->live->answer, command->live->stale);
    return end > now ? (uint32_t)((end - now + 999) / 1000) : 1;
}

static bool lane_publish_text(const struct commands *commands, const struct command *command,
                              const char *text)
{
    const struct live *live = command->live;
    const struct device *device = command->device;
    const char *root = rpc_inbox_root(commands->instance);
    char topic[2 * NAME_MAX_BYTES + 16], response[2 * NAME_MAX_BYTES + 16], seq[24];
    if (!root)
        return false;
    snprintf(topic, sizeof topic, "%s/%s/req", root, device->name);
    snprintf(response, sizeof response, "%s/%s/resp", root, device->name);
    snprintf(seq, sizeof seq, "%" PRId64, command->seq);
    rpc_property properties[3] = {{"seq", seq}};
    unsigned count = 1;
    if (live->trace)
        properties[count++] = (rpc_property){"traceparent", live->trace->parent};
    if (live->trace && live->trace->state)
        properties[count++] = (rpc_property){"tracestate", live->trace->state};
    const bool is_own = !command->adopted;
    const rpc_publication publication = {
        .client = commands->options->delivery == DELIVER_TO_CLIENT ? device_client(device) : NULL,
        .topic = topic,
        .payload = text,
        .size = lane_message_size(command),
        .qos = 1,
        .expiry = lane_expiry(command, rpc_clock(commands->instance)),
        .content_type = is_own ? "application/json" : NULL,
        .response_topic = response,
        .correlation = live->correlation ? live->correlation : command->id,
        .correlation_size = live->correlation ? live->correlation_size : strlen(command->id),
        .properties = properties,
        .property_count = count,
    };
    return rpc_send(commands->instance, &publication) == RPC_OK;
}

/* A command that waited on the disk has not used up the time for its answer. */
static void lane_await_answer(const struct commands *commands, struct command *command)
{
    struct live *live = command->live;
    live->again = false;
    live->answer = command->stored ? rpc_clock(commands->instance) + live->timeout : live->deadline;
}

/* Sends it, for the first time or again. */
static bool lane_publish(struct commands *commands, struct command *command)
{
    char *text = lane_print(command);
    lane_await_answer(commands, command);
    const bool sent = text && lane_publish_text(commands, command, text);
    free(text);
    if (!sent)
        return false;
    command->attempt++;
    lane_plan_retry(commands, command);
    lane_arm(command);
    life_change(commands, command, COMMAND_SENT, NULL);
    return true;
}

void lane_give_number_back(struct commands *commands, struct command *command)
{
    struct device *device = command->device;
    if (!command->seq || command->seq != device->seq)
        return;
    device->seq--;
    command->seq = 0;
    disk_touch_device(commands->disk, device);
}

/* It was not sent: it is the first that waits, and is not tried again before `milliseconds` have passed. */
static void lane_hold(struct commands *commands, struct command *command, uint32_t milliseconds)
{
    lane_give_number_back(commands, command);
    command->live->hold = milliseconds ? rpc_clock(commands->instance) + milliseconds : 0;
    life_move(command, PLACE_WAITING, true);
    lane_arm(command);
}

/* ---- Commands whose time is over ---- */

static bool lane_has_expired(const struct command *command, uint64_t now)
{
    return life_is_over(command, now) || life_is_stale(command, now);
}

static void lane_end_overdue(struct commands *commands, struct command *command)
{
    struct verdict verdict =
        life_verdict(command, COMMAND_TIMEOUT, "device_timeout", "the device has not answered in time");
    if (command->state == COMMAND_QUEUED) {
        const bool is_stale = life_is_stale(command, rpc_clock(commands->instance));
        verdict.state = COMMAND_EXPIRED;
        verdict.err = "expired";
        verdict.msg = is_stale ? "it was not sent before stale-ms had passed"
                      : device_is_deliverable(command->device)
                          ? "it was not sent in time: other commands of the device came first"
                          : "it was not sent in time: the device was not there";
    }
    life_end(commands, command, &verdict);
}

void lane_give_up(struct commands *commands, struct command *command)
{
    struct device *device = command->device;
    lane_end_overdue(commands, command);
    lane_flush(commands, device);
}

/* ---- Commands on the disk ---- */

/* Its row says that it was sent, or could not be made to say so. */
static void lane_written_sent(void *context, const struct store_failure *failure)
{
    struct ticket *ticket = context;
    struct commands *commands = ticket->commands;
    struct command *command = life_take_ticket(ticket);
    if (!command)
        return;
    struct device *device = command->device;
    const bool is_there = device_is_deliverable(device);
    if (lane_has_expired(command, rpc_clock(commands->instance))) {
        lane_give_number_back(commands, command);
        lane_give_up(commands, command);
        return;
    }
    if (!failure && is_there && lane_publish(commands, command))
        return;
    lane_hold(commands, command, failure || is_there ? HOLD_MS : 0);
    if (!failure)
        life_store(commands, command, COMMAND_QUEUED, NULL);
    if (is_there)
        lane_flush(commands, device);
}

/* The database has failed: the texts are gone when this returns. */
static void lane_end_unstored(struct commands *commands, struct command *command,
                              const struct store_failure *failure)
{
    char msg[STORE_WHY_BYTES + 48], cause[40];
    snprintf(msg, sizeof msg, "the command could not be queued (device_db): %s", failure->why);
    snprintf(cause, sizeof cause, "\"%s\"", store_cause_names[failure->cause]);
    struct verdict verdict = life_verdict(command, COMMAND_EXPIRED, "storage_failed", msg);
    verdict.cause = cause;
    lane_end(commands, command, &verdict);
}

/* Its row is there, or could not be made. */
static void lane_written_queued(void *context, const struct store_failure *failure)
{
    struct ticket *ticket = context;
    struct commands *commands = ticket->commands;
    struct command *command = life_take_ticket(ticket);
    if (!command)
        return;
    if (failure) {
        lane_end_unstored(commands, command, failure);
        return;
    }
    struct live *live = command->live;
    command->stored = true;
    if (live->abandoned) {
        const struct verdict verdict =
            life_verdict(command, COMMAND_CANCELLED, "cancelled", "its caller went away");
        lane_end(commands, command, &verdict);
        return;
    }
    struct verdict verdict = life_verdict(command, COMMAND_QUEUED, NULL, NULL);
    const command_ended ended = live->ended;
    verdict.queued = true;
    live->ended = NULL;
    live->progress = NULL;
    lane_arm(command);
    if (ended)
        ended(live->context, &verdict);
    lane_flush(commands, command->device);
}

/* Writes a command that is to wait for its device. */
static void lane_queue(struct commands *commands, struct command *command)
{
    struct live *live = command->live;
    live->hold = 0;
    live->deadline = rpc_clock(commands->instance) + live->ttl;
    live->expires = rpc_time(commands->instance) + (double)live->ttl / 1000;
    disk_keep_device(commands->disk, command->device);
    lane_disarm(command);
    if (life_store(commands, command, COMMAND_QUEUED, lane_written_queued))
        return;
    live->hold = UINT64_MAX; /* it fails in a moment: `ended` is not called before the command was begun */
    live->timer = rpc_after(commands->instance, 0, lane_on_timer, command);
}

/* ---- Order ---- */

/* An application has chosen its id, and another command of that id is in flight: the answers could not be
 * told apart. */
static bool lane_has_twin(const struct command *command)
{
    const struct command *other;
    if (command->own_id)
        return false;
    DL_FOREACH(command->device->flying, other)
    {
        if (strcmp(other->id, command->id) == 0)
            return true;
    }
    return false;
}

/* The command that is to be sent next; NULL: none may be now. Those of the disk are passed over while they
 * are held: the database has failed. */
static struct command *lane_find_next(const struct commands *commands, const struct device *device,
                                      uint64_t now)
{
    struct command *command;
    DL_FOREACH(device->waiting, command)
    {
        const struct live *live = command->live;
        const bool is_held = live->hold > now;
        if (live->ticket || lane_has_twin(command) || (is_held && !command->stored))
            return NULL;
        if (!is_held && lane_is_open(commands, device, live->offline, live->loaded))
            return command;
    }
    return NULL;
}

static void lane_send(struct commands *commands, struct command *command)
{
    struct device *device = command->device;
    if (!command->seq) {
        command->seq = ++device->seq;
        disk_touch_device(commands->disk, device);
    }
    life_move(command, PLACE_FLYING, false);
    if (!command->stored) {
        if (!lane_publish(commands, command))
            lane_hold(commands, command, HOLD_MS);
        return;
    }
    lane_disarm(command);
    if (!life_store(commands, command, COMMAND_SENT, lane_written_sent))
        lane_hold(commands, command, HOLD_MS);
}

/* Sends what may be sent, and ends those before it whose time was over at the time `now`. */
static void lane_flush_at(struct commands *commands, struct device *device, uint64_t now)
{
    struct command *next;
    while (device->flying_count < (uint32_t)commands->options->window &&
           (next = lane_find_next(commands, device, now))) {
        if (lane_has_expired(next, now))
            lane_end_overdue(commands, next);
        else
            lane_send(commands, next);
    }
}

void lane_flush(struct commands *commands, struct device *device)
{
    lane_flush_at(commands, device, rpc_clock(commands->instance));
}

void lane_end(struct commands *commands, struct command *command, const struct verdict *verdict)
{
    struct device *device = command->device;
    life_end(commands, command, verdict);
    lane_flush(commands, device);
}

void lane_enter(struct commands *commands, struct command *command)
{
    const struct live *live = command->live;
    const uint64_t now = rpc_clock(commands->instance);
    life_move(command, PLACE_WAITING, false);
    life_change(commands, command, COMMAND_QUEUED, NULL);
    if (live->offline == OFFLINE_QUEUE &&
        !lane_is_open(commands, command->device, live->offline, live->loaded))
        lane_queue(commands, command);
    else if (!lane_has_expired(command, now)) /* else its timer ends it, once it was begun */
        lane_flush_at(commands, command->device, now);
}

/* ---- When its time comes ---- */

/* Sends it again, now or when the device is back. */
static void lane_repeat(struct commands *commands, struct command *command)
{
    struct live *live = command->live;
    live->retry = 0;
    live->again = !device_is_deliverable(command->device);
    if (!live->again && !life_is_stale(command, rpc_clock(commands->instance))) {
        if (lane_publish(commands, command))
            return;
        lane_plan_retry(commands, command);
    }
    lane_arm(command);
}

static void lane_on_timer(rpc_instance *instance, void *state, void *data)
{
    struct command *command = data;
    struct live *live = command->live;
    struct commands *commands = live->commands;
    (void)state;
    live->timer = (rpc_timer){.id = 0};
    const uint64_t now = rpc_clock(instance);
    if (live->lost) {
        const struct verdict verdict = life_verdict(command, COMMAND_UNKNOWN, "outcome_unknown",
                                                    "the broker was stopped before the device answered");
        lane_end(commands, command, &verdict);
        return;
    }
    if (command->place == PLACE_FLYING) {
        if (now >= (live->again ? live->deadline : live->answer))
            lane_give_up(commands, command);
        else
            lane_repeat(commands, command);
        return;
    }
    if (live->hold == UINT64_MAX) {
        lane_end_unstored(commands, command, &commands->disk->failure);
        return;
    }
    if (lane_has_expired(command, now)) {
        lane_give_up(commands, command);
        return;
    }
    live->hold = 0;
    lane_arm(command);
    lane_flush(commands, command->device);
}

void lane_note_progress(struct commands *commands, struct command *command, const char *progress)
{
    command->live->retry = 0;
    lane_arm(command);
    life_change(commands, command, COMMAND_RUNNING, progress);
}

/* ---- Devices that come and go ---- */

void lane_open(struct commands *commands, struct device *device)
{
    struct command *command, *next;
    DL_FOREACH_SAFE(device->flying, command, next)
    {
        if (!command->live->again)
            continue;
        lane_await_answer(commands, command);
        if (command->attempt <= commands->options->retries)
            lane_repeat(commands, command);
        else
            lane_arm(command);
    }
    lane_flush(commands, device);
}

/* The first command that does not outlive its device's absence; NULL: there is none. */
static struct command *lane_find_lost(const struct device *device)
{
    struct command *command;
    DL_FOREACH(device->flying, command)
    {
        if (command->state != COMMAND_QUEUED && !command->live->idempotent && !device->once)
            return command;
    }
    return NULL;
}

/* The first command that does not wait for its device; NULL: there is none. */
static struct command *lane_find_impatient(const struct device *device)
{
    struct command *command;
    DL_FOREACH(device->waiting, command)
    {
        if (command->live->offline == OFFLINE_FAIL)
            return command;
    }
    return NULL;
}

void lane_pause(struct commands *commands, struct device *device)
{
    struct command *command, *next;
    while ((command = lane_find_impatient(device))) {
        const struct verdict verdict = life_verdict(command, COMMAND_EXPIRED, "device_offline",
                                                    device->state == DEVICE_SLEEPING
                                                        ? "the device sleeps until its next hello"
                                                        : "the device went away before the command was sent");
        life_end(commands, command, &verdict);
    }
    DL_FOREACH_SAFE(device->waiting, command, next)
    {
        if (command->live->offline == OFFLINE_QUEUE && !command->stored && !command->live->ticket)
            lane_queue(commands, command);
    }
}

void lane_close(struct commands *commands, struct device *device)
{
    struct command *command;
    while ((command = lane_find_lost(device))) {
        const struct verdict verdict = life_verdict(command, COMMAND_UNKNOWN, "outcome_unknown",
                                                    "the device went away before it answered");
        life_end(commands, command, &verdict);
    }
    DL_FOREACH(device->flying, command)
    {
        if (command->state == COMMAND_QUEUED)
            continue;
        command->live->again = true;
        command->live->retry = 0;
        lane_arm(command);
    }
    lane_pause(commands, device);
}

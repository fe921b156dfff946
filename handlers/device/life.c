// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The life of a command: see life.h. */
#include "life.h"

#include "names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <utlist.h>

/* ---- The event ---- */

struct change {
    const char *device, *command, *id;
    int64_t seq;
    enum command_state state;
    const char *err;
    int32_t attempt;
    double time;
    bool late, has_late;
    rpc_json progress;
};

static const rpc_field change_fields[] = {
    RPC_STRING(struct change, device, .doc = "the name of the device", .length = {1, 128}),
    RPC_STRING(struct change, command, .doc = "the name of the command", .length = {1, 128}),
    RPC_STRING(struct change, id, .doc = "the id of the command", .length = {1, 128}),
    RPC_INT64(struct change, seq,
              .doc = "its number among the commands of the device, from 1 on; 0: it was not sent yet"),
    RPC_CHOICE(struct change, state, .doc = "the state that it is in now",
               .choices = {(enum rpc_count_by_RPC_TABLE)COMMAND_STATES, command_state_names}),
    RPC_STRING(struct change, err, .doc = "why it has not succeeded", .optional = true, .length = {1, 64}),
    RPC_INT32(struct change, attempt, .doc = "how often it was sent"),
    RPC_DOUBLE(struct change, time, .doc = "when that was, Unix time", .unit = "s"),
    RPC_BOOL(struct change, late, .doc = "its answer came after its deadline", .optional = true,
             .flag = RPC_FLAG(struct change, has_late)),
    RPC_JSON(struct change, progress, .doc = "what the device reported", .optional = true),
};

const rpc_shape command_event_shape = RPC_OBJECT_SHAPE(struct change, change_fields);

static void life_announce(const struct commands *commands, const struct command *command,
                          const char *progress)
{
    const struct change change = {
        .device = command->device->name,
        .command = command->name,
        .id = command->id,
        .seq = command->seq,
        .state = command->state,
        .err = command->err,
        .attempt = command->attempt,
        .time = command->time,
        .late = command->late,
        .has_late = command->late,
        .progress = {progress},
    };
    const rpc_trace *trace = command->live ? command->live->trace : NULL;
    (void)!rpc_announce_for(commands->instance, trace, COMMAND_EVENT, &change);
}

/* ---- Making and freeing ---- */

uint32_t life_random(struct commands *commands, uint32_t below)
{
    if (!commands->random && getrandom(&commands->random, sizeof commands->random, GRND_NONBLOCK) <= 0)
        commands->random = rpc_clock(commands->instance) ^ (uint64_t)(uintptr_t)commands;
    uint64_t mixed = commands->random += UINT64_C(0x9E3779B97F4A7C15); /* splitmix64 */
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94D049BB133111EB);
    return (uint32_t)((mixed ^ mixed >> 31) >> 32) % below;
}

struct command *life_find(const struct commands *commands, const char *id)
{
    struct command *command;
    HASH_FIND(hh, commands->by_id, id, strlen(id), command);
    return command;
}

static void life_choose_id(struct commands *commands, char id[LIFE_ID_BYTES])
{
    static const char characters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    do {
        for (int i = 0; i < LIFE_ID_BYTES - 1; i++)
            id[i] = characters[life_random(commands, sizeof characters - 1)];
        id[LIFE_ID_BYTES - 1] = '\0';
    } while (life_find(commands, id));
}

static bool life_copy(void **copy, const void *data, size_t size)
{
    if (!data)
        return true;
    char *made = malloc(size + 1);
    if (!made)
        return false;
    memcpy(made, data, size);
    made[size] = '\0';
    *copy = made;
    return true;
}

static size_t life_trace_size(const rpc_trace *trace)
{
    return trace ? sizeof *trace + (trace->state ? strlen(trace->state) + 1 : 0) : 0;
}

static bool life_copy_trace(rpc_trace **copy, const rpc_trace *trace)
{
    if (!trace)
        return true;
    rpc_trace *made = malloc(life_trace_size(trace));
    if (!made)
        return false;
    *made = *trace;
    if (trace->state)
        made->state = strcpy((char *)(made + 1), trace->state);
    *copy = made;
    return true;
}

static void life_free_live(struct live *live)
{
    free(live->trace);
    free(live->body);
    free(live->correlation);
    free(live->whose);
    free(live);
}

static size_t life_text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static size_t life_caller_size(const rpc_caller *caller)
{
    return life_text_size(caller->id) + life_text_size(caller->user) + life_text_size(caller->address);
}

/* Copies a caller, with its texts in one piece of memory. Returns false: no memory. */
static bool life_copy_caller(struct live *live, const rpc_caller *caller)
{
    live->caller = *caller;
    const char **const texts[] = {&live->caller.id, &live->caller.user, &live->caller.address};
    const size_t size = life_caller_size(caller);
    char *end = live->whose = size ? malloc(size) : NULL;
    for (size_t i = 0; end && i < sizeof texts / sizeof *texts; i++) {
        const size_t bytes = life_text_size(*texts[i]);
        *texts[i] = bytes ? memcpy(end, *texts[i], bytes) : NULL;
        end += bytes;
    }
    return end || !size;
}

/* Notes whose command it is. Returns false: no memory. */
static bool life_note_call(struct live *live, const struct order *order)
{
    rpc_call *call = order->call;
    if (!call)
        return life_copy_caller(live, &order->caller);
    const rpc_caller caller = rpc_call_caller(call);
    live->call = order->is_member ? NULL : call;
    live->is_member = order->is_member;
    live->is_replay = rpc_call_is_replay(call);
    live->arrived = rpc_call_time(call);
    return life_copy_caller(live, &caller);
}

static struct live *life_create_live(struct commands *commands, const struct order *order)
{
    struct live *live = calloc(1, sizeof *live);
    if (!live)
        return NULL;
    const char *params = order->params ? order->params : "{}";
    const void *body = order->payload ? order->payload : params;
    void *copy = NULL;
    live->body_size = order->payload ? order->payload_size : strlen(params);
    live->correlation_size = order->correlation_size;
    const bool fine = life_copy(&copy, body, live->body_size) &&
                      life_copy(&live->correlation, order->correlation, order->correlation_size) &&
                      life_copy_trace(&live->trace, order->trace) && life_note_call(live, order);
    live->body = copy;
    if (!fine) {
        life_free_live(live);
        return NULL;
    }
    live->commands = commands;
    live->declared = order->declared;
    live->timeout = order->timeout;
    live->ttl = order->ttl;
    live->offline = order->offline;
    live->loaded = order->loaded;
    live->idempotent = order->declared && (order->declared->idempotent || order->declared->read_only);
    live->ended = order->ended;
    live->progress = order->progress;
    live->context = order->context;
    return live;
}

static size_t life_bytes(const struct live *live)
{
    return live->body_size + live->correlation_size + life_trace_size(live->trace) +
           life_caller_size(&live->caller);
}

/* Notes when it ends and when it is stale, by both clocks. */
static void life_set_times(const struct commands *commands, const struct order *order, struct live *live)
{
    const uint64_t now = rpc_clock(commands->instance);
    live->queued = rpc_time(commands->instance);
    live->deadline = now + order->timeout;
    live->expires = live->queued + (double)order->ttl / 1000;
    live->stale = order->stale ? now + order->stale : 0;
    live->stale_time = order->stale ? live->queued + order->stale / 1000.0 : 0;
}

struct command *life_create(struct commands *commands, const struct order *order)
{
    char own[LIFE_ID_BYTES];
    if (!order->id)
        life_choose_id(commands, own);
    const char *id = order->id ? order->id : own;
    const size_t id_size = strlen(id) + 1, name_size = strlen(order->name) + 1;
    struct command *command = calloc(1, sizeof *command + id_size + name_size);
    struct live *live = command ? life_create_live(commands, order) : NULL;
    if (!live) {
        free(command);
        return NULL;
    }
    life_set_times(commands, order, live);
    memcpy(command->id, id, id_size);
    memcpy(command->id + id_size, order->name, name_size);
    command->name = command->id + id_size;
    command->device = order->device;
    command->live = live;
    command->timeout = order->timeout;
    command->own_id = !order->id || order->loaded;
    command->adopted = order->payload;
    commands->live++;
    commands->bytes += life_bytes(live);
    if (!command->own_id)
        return command;
    HASH_ADD(hh, commands->by_id, id[0], strlen(command->id), command);
    if (command->hh.tbl)
        return command;
    command->own_id = false;
    life_discard(commands, command);
    return NULL;
}

static void life_free(struct commands *commands, struct command *command)
{
    if (command->own_id)
        HASH_DEL(commands->by_id, command);
    free(command);
}

/* Frees what only a live command needs. */
static void life_drop_live(struct commands *commands, struct command *command)
{
    struct live *live = command->live;
    rpc_timer_cancel(commands->instance, live->timer);
    if (live->ticket)
        live->ticket->command = NULL;
    commands->bytes -= life_bytes(live);
    life_free_live(live);
    command->live = NULL;
    commands->live--;
}

void life_discard(struct commands *commands, struct command *command)
{
    life_move(command, PLACE_NONE, false);
    life_drop_live(commands, command);
    life_free(commands, command);
}

/* ---- States ---- */

bool life_is_over(const struct command *command, uint64_t now)
{
    return now >= command->live->deadline;
}

bool life_is_stale(const struct command *command, uint64_t now)
{
    return command->live->stale && now >= command->live->stale;
}

/* One of the lists of a device; both NULL: none. */
struct life_list {
    struct command **first;
    uint32_t *count;
};

static struct life_list life_list(struct device *device, enum command_place place)
{
    switch (place) {
    case PLACE_WAITING:
        return (struct life_list){&device->waiting, &device->waiting_count};
    case PLACE_FLYING:
        return (struct life_list){&device->flying, &device->flying_count};
    case PLACE_ENDED:
        return (struct life_list){&device->ended, &device->ended_count};
    case PLACE_NONE:
        break;
    }
    return (struct life_list){NULL, NULL};
}

void life_move(struct command *command, enum command_place place, bool first)
{
    struct life_list list = life_list(command->device, command->place);
    if (list.first) {
        DL_DELETE(*list.first, command);
        --*list.count;
    }
    command->place = place;
    list = life_list(command->device, place);
    if (!list.first)
        return;
    if (first)
        DL_PREPEND(*list.first, command);
    else
        DL_APPEND(*list.first, command);
    ++*list.count;
}

static void life_set(struct commands *commands, struct command *command, enum command_state state)
{
    command->state = state;
    command->time = rpc_time(commands->instance);
    command->changed = rpc_clock(commands->instance);
    commands->counts[state]++;
}

void life_change(struct commands *commands, struct command *command, enum command_state state,
                 const char *progress)
{
    life_set(commands, command, state);
    life_announce(commands, command, progress);
}

struct verdict life_verdict(const struct command *command, enum command_state state, const char *err,
                            const char *msg)
{
    return (struct verdict){
        .state = state,
        .err = err,
        .msg = msg,
        .device = command->device->name,
        .seen = command->device->seen,
        .id = command->id,
    };
}

/* ---- The end and the history ---- */

void life_forget(struct commands *commands, struct command *command)
{
    life_move(command, PLACE_NONE, false);
    DL_DELETE2(commands->ended, command, older, newer);
    commands->history--;
    life_free(commands, command);
}

void life_remember(struct commands *commands, struct command *command)
{
    struct device *device = command->device;
    life_drop_live(commands, command);
    life_move(command, PLACE_ENDED, false);
    DL_APPEND2(commands->ended, command, older, newer);
    commands->history++;
    if (device->ended_count > LIFE_HISTORY)
        life_forget(commands, device->ended);
    if (commands->history > LIFE_HISTORY_ALL)
        life_forget(commands, commands->ended);
}

/* Makes a dead letter of a command that has ended, if it is to become one. */
static void life_bury(const struct commands *commands, const struct command *command,
                      const struct verdict *verdict)
{
    const struct live *live = command->live;
    char method[2 * NAME_MAX_BYTES + sizeof "device//"];
    if ((verdict->state != COMMAND_EXPIRED && verdict->state != COMMAND_UNKNOWN) || live->is_replay ||
        (live->is_member && live->ended))
        return;
    snprintf(method, sizeof method, "device/%s/%s", command->device->name, command->name);
    const rpc_letter letter = {
        .method = method,
        .params = command->adopted ? NULL : live->body,
        .payload = command->adopted ? live->body : NULL,
        .size = command->adopted ? live->body_size : 0,
        .caller = live->caller,
        .arrived = live->arrived,
        .err = verdict->err,
        .msg = verdict->msg,
        .trace = live->trace ? live->trace->parent : NULL,
        .call = live->ended ? live->call : NULL,
    };
    rpc_dead_letter(commands->instance, &letter);
}

/* The verdict's id stays valid: the newest command of a history is the last one to be forgotten. */
void life_end(struct commands *commands, struct command *command, const struct verdict *verdict)
{
    const struct live *live = command->live;
    const command_ended ended = live->ended;
    void *context = live->context;
    command->err = verdict->err ? verdict->err : command->err;
    life_set(commands, command, verdict->state);
    life_announce(commands, command, NULL);
    if (command->stored)
        life_store(commands, command, verdict->state, NULL);
    life_bury(commands, command, verdict);
    life_remember(commands, command);
    if (ended)
        ended(context, verdict);
}

void life_end_late(struct commands *commands, struct command *command, enum command_state state,
                   const char *err)
{
    command->late = true;
    command->err = err;
    life_change(commands, command, state, NULL);
    if (command->stored)
        life_store(commands, command, state, NULL);
}

/* ---- The database ---- */

static struct ticket *life_give_ticket(struct commands *commands, struct command *command)
{
    struct ticket *ticket = calloc(1, sizeof *ticket);
    if (!ticket)
        return NULL;
    ticket->commands = commands;
    ticket->command = command;
    command->live->ticket = ticket;
    DL_APPEND(commands->tickets, ticket);
    return ticket;
}

struct command *life_take_ticket(struct ticket *ticket)
{
    struct command *command = ticket->command;
    if (command)
        command->live->ticket = NULL;
    DL_DELETE(ticket->commands->tickets, ticket);
    free(ticket);
    return command;
}

bool life_store(struct commands *commands, struct command *command, enum command_state state, disk_done done)
{
    const struct live *live = command->live;
    const bool is_open = live && state < COMMAND_SUCCEEDED;
    const struct ledger_command row = {
        .id = command->id,
        .device = command->device->name,
        .name = command->name,
        .params = is_open ? live->body : NULL,
        .caller = is_open ? live->caller.id : NULL,
        .user = is_open ? live->caller.user : NULL,
        .mounted = is_open && live->caller.mounted,
        .state = state,
        .seq = command->seq,
        .attempt = command->attempt + (state == COMMAND_SENT), /* its row says so before it is sent */
        .queued = live ? live->queued : 0,
        .expires = live ? live->expires : 0,
        .stale = live ? live->stale_time : 0,
        .idempotent = live && live->idempotent,
        .err = command->err,
        .ended = state < COMMAND_SUCCEEDED ? 0 : command->time,
    };
    struct ticket *ticket = done ? life_give_ticket(commands, command) : NULL;
    if (done && !ticket) {
        disk_refuse(commands->disk, "out of memory");
        return false;
    }
    if (disk_put_command(commands->disk, &row, done, ticket))
        return true;
    if (ticket)
        life_take_ticket(ticket);
    return false;
}

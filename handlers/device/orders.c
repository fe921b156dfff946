// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The methods for commands: see orders.h. */
#include "orders.h"

#include "adopt.h"
#include "wishes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { HISTORY_SHOWN = 1000, TIMEOUT_MAX_MS = 86400000 };

#define TTL_MAX_MS 31622400000.0 /* 366 days */

/* ---- Shapes ---- */

struct called {
    const char *device, *command;
    rpc_json params;
    enum offline_policy offline;
    int64_t ttl, stale, timeout;
    bool has_offline, has_ttl, has_stale, has_timeout;
};

static const rpc_field called_fields[] = {
    DEVICE_NAME_FIELD(struct called),
    RPC_STRING(struct called, command, .doc = "the name of the command", .length = {1, NAME_MAX_BYTES}),
    RPC_JSON(struct called, params, .doc = "its parameters", .default_json = "{}"),
    RPC_CHOICE(struct called, offline, .doc = "what becomes of it if the device is not there",
               .choices = RPC_TABLE(offline_policy_names), .optional = true,
               .flag = RPC_FLAG(struct called, has_offline)),
    RPC_INT64(struct called, ttl, .name = "ttl-ms",
              .doc = "with `queue`: how long it waits for the device; at most device_ttl_max", .unit = "ms",
              .optional = true, .flag = RPC_FLAG(struct called, has_ttl), .range = {1, TTL_MAX_MS}),
    RPC_INT64(struct called, stale, .name = "stale-ms", .doc = "how old it may be when it is sent",
              .unit = "ms", .optional = true, .flag = RPC_FLAG(struct called, has_stale),
              .range = {1, UINT32_MAX}),
    RPC_INT64(struct called, timeout, .name = "timeout-ms",
              .doc = "the time until the answer must be there; at most timeout_max", .unit = "ms",
              .optional = true, .flag = RPC_FLAG(struct called, has_timeout), .range = {1, TIMEOUT_MAX_MS}),
};

const rpc_shape orders_call_params = RPC_OBJECT_SHAPE(struct called, called_fields);

#define TROUBLE(error_code, text)                               \
    {                                                           \
        .code = error_code, .doc = text, .data = &trouble_shape \
    }

const rpc_error orders_errors[] = {
    TROUBLE("device_unknown", "no device of this name has been seen"),
    TROUBLE("device_offline", "the device is not connected, or sleeps"),
    TROUBLE("device_busy", "too many commands of the device wait, or of all devices; or too many are known"),
    TROUBLE("device_timeout", "the device has not answered in time; it may have carried the command out"),
    TROUBLE("device_failed", "the device reports an error, or its result does not fit the command"),
    TROUBLE("device_rejected", "the device does not take the command"),
    TROUBLE("expired", "the command was not sent in time, and is not carried out"),
    TROUBLE("out_of_order", "the device has missed a command, and did not carry this one out"),
    TROUBLE("storage_failed", "the command could not be queued; `cause` says why"),
    TROUBLE("outcome_unknown", "the device went away before it answered"),
    TROUBLE("cancelled", "the command was cancelled before it was sent"),
    TROUBLE("payload_too_large", "the message to the device would be over device_max_payload"),
    TROUBLE("method_not_found",
            "no command can have this name; or no module declares it, and device_undeclared is false"),
};
_Static_assert(sizeof orders_errors / sizeof orders_errors[0] == ORDERS_ERRORS,
               "the header has their number");

/* ---- What a caller wishes ---- */

/* Reads the members of device.call, which come before the user properties. */
static rpc_status orders_read_members(rpc_call *call, const struct device_module *module,
                                      const struct called *called, struct wishes *wishes)
{
    const uint32_t timeout_max = rpc_timeout_max(module->instance);
    if (called->has_ttl && (uint64_t)called->ttl > wishes_ttl_max(module->options))
        return wishes_raise_range(call, "ttl-ms", wishes_ttl_max(module->options), " (device_ttl_max)");
    if (called->has_timeout && called->timeout > timeout_max)
        return wishes_raise_range(call, "timeout-ms", timeout_max, " (timeout_max)");
    wishes->offline = called->has_offline ? called->offline : wishes->offline;
    wishes->ttl = called->has_ttl ? (uint64_t)called->ttl : wishes->ttl;
    wishes->stale = called->has_stale ? (uint32_t)called->stale : wishes->stale;
    return RPC_OK;
}

/* ---- The outcome ---- */

/* A call that waits for its command. Memory of the call. */
struct waiter {
    struct device_module *module;
    rpc_call *call;
    struct command *command; /* NULL: it has ended */
    struct any *result;
    const struct verdict *verdict; /* while the call is resumed */
    bool deciding;                 /* its deadline has passed: the verdict is asked for now */
    rpc_status status;
    rpc_trace trace; /* of the call, if it has one */
};

static rpc_status orders_raise(rpc_call *call, const struct verdict *verdict)
{
    const bool is_ours =
        strcmp(verdict->err, "internal_error") != 0 && strcmp(verdict->err, "invalid_params") != 0;
    const struct trouble trouble = {
        .device = verdict->device,
        .id = verdict->id,
        .seen = verdict->seen,
        .has_seen = verdict->seen > 0,
        .cause = {verdict->cause},
        .expected = verdict->expected,
        .has_expected = verdict->expected > 0,
    };
    return rpc_raise_with(call, verdict->err, is_ours ? &trouble : NULL, "%s", verdict->msg);
}

static rpc_status orders_conclude(const struct waiter *waiter, const struct verdict *verdict)
{
    if (verdict->err)
        return orders_raise(waiter->call, verdict);
    waiter->result->value.text =
        verdict->queued ? rpc_printf(waiter->call, "{\"queued\":true,\"id\":\"%s\"}", verdict->id)
                        : verdict->result;
    return waiter->result->value.text ? RPC_OK : RPC_INTERNAL_ERROR;
}

static void orders_on_ended(void *context, const struct verdict *verdict)
{
    struct waiter *waiter = context;
    waiter->command = NULL;
    waiter->verdict = verdict;
    if (waiter->deciding)
        waiter->status = orders_conclude(waiter, verdict);
    else
        rpc_resume(waiter->call);
}

static void orders_on_progress(void *context, const char *progress)
{
    const struct any any = {{progress}};
    (void)!rpc_progress(((const struct waiter *)context)->call, &any);
}

rpc_status orders_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct waiter *waiter = data;
    (void)call, (void)state;
    waiter->result = result;
    if (outcome == RPC_OK)
        return orders_conclude(waiter, waiter->verdict);
    waiter->deciding = true;
    waiter->status = outcome;
    if (waiter->command && outcome == RPC_TIMEOUT)
        command_expire(&waiter->module->commands, waiter->command);
    else if (waiter->command)
        command_abandon(&waiter->module->commands, waiter->command);
    return waiter->status;
}

/* ---- The call ---- */

/* Checks the parameters. *checked is NULL, or to be freed with free(). */
static rpc_status orders_check(rpc_call *call, struct device_module *module, const struct order *order,
                               char **checked)
{
    char why[RPC_WHY_BYTES];
    const struct verdict verdict = {
        .device = order->device->name,
        .err = wishes_check(module->instance, module->options, order->declared, order->params, checked, why),
        .msg = why,
    };
    return verdict.err ? orders_raise(call, &verdict) : RPC_OK;
}

/* Makes the command, and the call pending. */
static rpc_status orders_begin(rpc_call *call, struct device_module *module, struct order *order)
{
    struct verdict why;
    struct waiter *waiter = rpc_alloc(call, sizeof *waiter);
    if (!waiter)
        return RPC_INTERNAL_ERROR;
    order->trace = rpc_call_trace(call, &waiter->trace) ? &waiter->trace : NULL;
    order->timeout = rpc_call_left(call);
    order->ended = orders_on_ended;
    order->progress = orders_on_progress;
    order->context = waiter;
    waiter->module = module;
    waiter->call = call;
    waiter->command = command_prepare(&module->commands, order, &why);
    if (!waiter->command)
        return orders_raise(call, &why);
    const rpc_status status = rpc_defer(call, waiter);
    if (status == RPC_PENDING)
        command_start(&module->commands, waiter->command);
    else
        command_discard(&module->commands, waiter->command);
    return status;
}

/* A call with these parameters, or of the message that is adopted. */
static rpc_status orders_order(rpc_call *call, struct device_module *module, struct order *order,
                               const char *device, const struct wishes *wishes)
{
    const struct adopted *adopted = module->adopting;
    struct verdict why;
    char *checked = NULL;
    if (!name_is_command(order->name)) {
        const struct verdict none = {.err = "method_not_found", .msg = wishes_no_command, .device = device};
        return orders_raise(call, &none);
    }
    if (!name_is_device(device))
        return rpc_raise(call, "invalid_params", "device: it is no name of a device");
    order->device = wishes_find_device(&module->presence, device, wishes->offline, &why);
    if (!order->device)
        return orders_raise(call, &why);
    order->declared = rpc_command_find(module->instance, order->device->kind, order->name);
    if (order->declared && order->declared->timeout && !order->timeout)
        rpc_call_set_timeout(call, order->declared->timeout);
    const rpc_status status = adopted ? RPC_OK : orders_check(call, module, order, &checked);
    if (status != RPC_OK)
        return status;
    order->params = checked ? checked : order->params;
    order->offline = wishes->offline;
    order->ttl = wishes->ttl;
    order->stale = wishes->stale;
    const rpc_status begun = orders_begin(call, module, order);
    free(checked);
    return begun;
}

rpc_status orders_run(rpc_call *call, void *state, const void *params, void *result)
{
    struct device_module *module = state;
    const struct adopted *adopted = module->adopting;
    struct wishes wishes = wishes_usual(module->options);
    struct order order = {.name = rpc_call_level(call, "command"),
                          .params = ((const struct any *)params)->value.text};
    (void)result;
    if (adopted) {
        order.id = adopted->id;
        order.payload = adopted->message->payload;
        order.payload_size = adopted->message->size;
        order.correlation = adopted->message->correlation;
        order.correlation_size = adopted->message->correlation_size;
    }
    rpc_status status = wishes_read(call, module->options, &wishes);
    if (status == RPC_OK && adopted && wishes.offline == OFFLINE_QUEUE)
        status = rpc_raise(call, "invalid_params",
                           "the user property offline: a message to the topic of a device cannot be queued; "
                           "call device/{device}/{command}");
    return status == RPC_OK ? orders_order(call, module, &order, rpc_call_level(call, "device"), &wishes)
                            : status;
}

rpc_status orders_call(rpc_call *call, void *state, const void *params, void *result)
{
    struct device_module *module = state;
    const struct called *called = params;
    struct wishes wishes = wishes_usual(module->options);
    struct order order = {.name = called->command, .params = called->params.text};
    (void)result;
    if (!module->options->call)
        return rpc_raise(call, "method_not_found", "device.call is closed: see device_call");
    rpc_status status = wishes_read(call, module->options, &wishes);
    if (status == RPC_OK)
        status = orders_read_members(call, module, called, &wishes);
    if (status != RPC_OK)
        return status;
    if (called->has_timeout) {
        order.timeout = (uint32_t)called->timeout;
        rpc_call_set_timeout(call, order.timeout);
    }
    return orders_order(call, module, &order, called->device, &wishes);
}

/* ---- The history ---- */

struct asked {
    const char *device;
    int32_t limit;
};

static const rpc_field asked_fields[] = {
    DEVICE_NAME_FIELD(struct asked),
    RPC_INT32(struct asked, limit,
              .doc = "largest number of commands; there are fewer if they do not fit into a reply",
              .default_json = "16", .range = {1, HISTORY_SHOWN}),
};

const rpc_shape orders_history_params = RPC_OBJECT_SHAPE(struct asked, asked_fields);

struct entry {
    const char *id, *command;
    int64_t seq;
    enum command_state state;
    const char *err;
    int32_t attempt;
    double time;
    bool late, has_late;
};

static const rpc_field entry_fields[] = {
    RPC_STRING(struct entry, id, .doc = "the id of the command", .length = {1, NAME_MAX_BYTES}),
    RPC_STRING(struct entry, command, .doc = "its name", .length = {1, NAME_MAX_BYTES}),
    RPC_INT64(struct entry, seq, .doc = "its number among the commands of the device; 0: it was not sent"),
    RPC_CHOICE(struct entry, state, .doc = "its state",
               .choices = {(enum rpc_count_by_RPC_TABLE)COMMAND_STATES, command_state_names}),
    RPC_STRING(struct entry, err, .doc = "why it has not succeeded", .optional = true, .length = {1, 64}),
    RPC_INT32(struct entry, attempt, .doc = "how often it was sent"),
    RPC_DOUBLE(struct entry, time, .doc = "when it came into its state, Unix time", .unit = "s"),
    RPC_BOOL(struct entry, late, .doc = "its answer came after its deadline", .optional = true,
             .flag = RPC_FLAG(struct entry, has_late)),
};

static const rpc_shape entry_shape = RPC_OBJECT_SHAPE(struct entry, entry_fields);

struct told {
    const struct entry *commands;
    size_t count;
};

static const rpc_field told_fields[] = {
    RPC_OBJECT_ARRAY(struct told, commands, count, struct entry, .doc = "the commands, the newest first",
                     .items = {0, HISTORY_SHOWN}, .shape = &entry_shape),
};

const rpc_shape orders_history_result = RPC_OBJECT_SHAPE(struct told, told_fields);

static struct entry orders_entry(const struct command *command)
{
    return (struct entry){command->id,      command->name, command->seq,  command->state, command->err,
                          command->attempt, command->time, command->late, command->late};
}

/* Adds the commands of a list, the newest first. */
static size_t orders_add(struct entry *entries, size_t count, size_t max, const struct command *first)
{
    const struct command *command = first ? first->prev : NULL; /* the last one */
    for (; command && count < max; command = command->prev) {
        entries[count++] = orders_entry(command);
        if (command == first)
            break;
    }
    return count;
}

rpc_status orders_history(rpc_call *call, void *state, const void *params, void *result)
{
    const struct device_module *module = state;
    const struct asked *asked = params;
    struct told *told = result;
    const struct device *device = devices_find(&module->table, asked->device);
    if (!device)
        return module_raise_unknown(call, asked->device);
    const size_t all = (size_t)device->waiting_count + device->flying_count + device->ended_count;
    const size_t max = all < (size_t)asked->limit ? all : (size_t)asked->limit;
    struct entry *entries = rpc_alloc(call, max * sizeof *entries);
    if (!entries)
        return RPC_INTERNAL_ERROR;
    size_t count = orders_add(entries, 0, max, device->waiting);
    count = orders_add(entries, count, max, device->flying);
    told->count = orders_add(entries, count, max, device->ended);
    told->commands = entries;
    while (told->count > 1 && !module_fits_reply(call, &orders_history_result, told))
        told->count /= 2;
    return RPC_OK;
}

/* ---- Cancelling ---- */

struct unwanted {
    const char *id, *device;
};

static const rpc_field unwanted_fields[] = {
    RPC_STRING(struct unwanted, id, .doc = "the id of the command", .length = {1, NAME_MAX_BYTES}),
    RPC_STRING(struct unwanted, device,
               .doc = "the name of the device; only of a command whose id an application has chosen",
               .optional = true, .length = {1, NAME_MAX_BYTES}),
};

const rpc_shape orders_cancel_params = RPC_OBJECT_SHAPE(struct unwanted, unwanted_fields);

struct cancelled {
    bool cancelled;
    enum command_state state;
};

static const rpc_field cancelled_fields[] = {
    RPC_BOOL(struct cancelled, cancelled, .doc = "it was cancelled; false: it had been sent, or had ended"),
    RPC_CHOICE(struct cancelled, state, .doc = "the state that it is in now",
               .choices = {(enum rpc_count_by_RPC_TABLE)COMMAND_STATES, command_state_names}),
};

const rpc_shape orders_cancel_result = RPC_OBJECT_SHAPE(struct cancelled, cancelled_fields);

const rpc_error orders_cancel_errors[2] = {
    {.code = "command_unknown", .doc = "no command of this id waits, is in flight, or is in the history"},
    {.code = "storage_failed",
     .doc = "it is cancelled, but the database could not be used: after a crash it may be queued again",
     .data = &group_failed_shape},
};

static struct command *orders_find_in(struct command *list, const char *id)
{
    struct command *command;
    DL_FOREACH(list, command)
    {
        if (strcmp(command->id, id) == 0)
            return command;
    }
    return NULL;
}

static struct command *orders_find(const struct device_module *module, const struct unwanted *unwanted)
{
    const struct device *device = unwanted->device ? devices_find(&module->table, unwanted->device) : NULL;
    if (!device)
        return unwanted->device ? NULL : life_find(&module->commands, unwanted->id);
    struct command *command = orders_find_in(device->waiting, unwanted->id);
    if (!command)
        command = orders_find_in(device->flying, unwanted->id);
    return command ? command : orders_find_in(device->ended, unwanted->id);
}

rpc_status orders_cancel(rpc_call *call, void *state, const void *params, void *result)
{
    struct device_module *module = state;
    const struct unwanted *unwanted = params;
    struct cancelled *cancelled = result;
    struct command *command = orders_find(module, unwanted);
    if (!command)
        return rpc_raise(call, "command_unknown", "there is no command of this id");
    cancelled->cancelled = command->live && command_cancel(&module->commands, command);
    cancelled->state = cancelled->cancelled ? COMMAND_CANCELLED : command->state;
    return cancelled->cancelled ? confirm_later(call, &module->confirms, cancelled, sizeof *cancelled)
                                : RPC_OK;
}

/* ---- Counts ---- */

struct counts {
    int64_t live, queued, sent, running, succeeded, failed, rejected, expired, timeout, cancelled, unknown;
};

#define COUNT(state) \
    RPC_INT64(struct counts, state, .doc = "how often a command has come into this state since the start")

static const rpc_field counts_fields[] = {
    RPC_INT64(struct counts, live, .doc = "commands that have not ended"),
    COUNT(queued),
    COUNT(sent),
    COUNT(running),
    COUNT(succeeded),
    COUNT(failed),
    COUNT(rejected),
    COUNT(expired),
    COUNT(timeout),
    COUNT(cancelled),
    COUNT(unknown),
};

const rpc_shape orders_counts_result = RPC_OBJECT_SHAPE(struct counts, counts_fields);

rpc_status orders_counts(rpc_call *call, void *state, const void *params, void *result)
{
    const struct commands *commands = &((const struct device_module *)state)->commands;
    const int64_t *counts = commands->counts;
    (void)call, (void)params;
    *(struct counts *)result = (struct counts){
        .live = (int64_t)commands->live,
        .queued = counts[COMMAND_QUEUED],
        .sent = counts[COMMAND_SENT],
        .running = counts[COMMAND_RUNNING],
        .succeeded = counts[COMMAND_SUCCEEDED],
        .failed = counts[COMMAND_FAILED],
        .rejected = counts[COMMAND_REJECTED],
        .expired = counts[COMMAND_EXPIRED],
        .timeout = counts[COMMAND_TIMEOUT],
        .cancelled = counts[COMMAND_CANCELLED],
        .unknown = counts[COMMAND_UNKNOWN],
    };
    return RPC_OK;
}

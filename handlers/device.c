// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Devices: clients that carry out commands. Applications call `device/{device}/{command}`, and the module
 * takes the call to the device and its answer back; it also tells which devices are there. This file has the
 * tables and what connects the parts; device/ has the parts.
 */
#include "device/adopt.h"
#include "device/module.h"
#include "device/orders.h"
#include "device/roster.h"
#include "device/wishes.h"

#include <mosquitto_rpc.h>
#include <string.h>

/* A device and a command have a timer each, and a prefix has at most 200000. */
enum { DAY = 86400, DEVICES_MAX = 100000, COMMANDS_MAX = 90000 };

/* ---- Options ---- */

static const char *const identities[] = {[IDENTITY_CLIENT] = "client", [IDENTITY_USER] = "user"};
static const char *const deliveries[] = {
    [DELIVER_TO_SUBSCRIBERS] = "subscribed", [DELIVER_TO_CLIENT] = "client"};

static const rpc_field option_fields[] = {
    RPC_STRING(struct device_options, topic,
               .doc = "root of the topics of devices; without it, the prefix with `cmd` in place of its last "
                      "level; `none`: there are no such topics",
               .optional = true, .length = {1, 128}),
    RPC_CHOICE(struct device_options, identity,
               .doc = "what must be a device's name: the client id of its connection, or the user name",
               .choices = RPC_TABLE(identities), .default_json = "\"client\""),
    RPC_STRING(struct device_options, gateways,
               .doc = "users that may answer, say hello and be present for any device, separated by spaces",
               .unit = "words", .optional = true, .length = {1, 65535}),
    RPC_STRING(struct device_options, managed,
               .doc = "devices that are managed before their first hello, separated by spaces; `*`: all",
               .unit = "words", .optional = true, .length = {1, 1048576}),
    RPC_BOOL(struct device_options, guard_requests,
             .doc = "clients may not publish to the `req` topics of managed devices themselves",
             .default_json = "false", .reloads = true),
    RPC_BOOL(struct device_options, call, .doc = "the method device.call is open", .default_json = "false"),
    RPC_BOOL(struct device_options, undeclared,
             .doc = "commands that no module declares are passed on as they are", .default_json = "true"),
    RPC_BOOL(struct device_options, known_only,
             .doc = "a device that has never been seen gets no commands: device_unknown",
             .default_json = "true"),
    RPC_BOOL(struct device_options, adopt,
             .doc = "messages with an identity that clients publish to the `req` topics of managed devices "
                    "are calls",
             .default_json = "true"),
    RPC_CHOICE(struct device_options, delivery,
               .doc = "who gets commands: the subscribers of the device's `req` topic, or the device's "
                      "connection alone, whether or not it has subscribed",
               .choices = RPC_TABLE(deliveries), .default_json = "\"subscribed\""),
    RPC_INT32(struct device_options, window,
              .doc = "largest number of commands of one device that are sent and not answered",
              .default_json = "1", .range = {1, 1000}),
    RPC_INT32(struct device_options, max_payload, .doc = "largest message to a device", .unit = "bytes",
              .default_json = "200", .range = {64, 16777216}),
    RPC_INT32(struct device_options, retries,
              .doc = "how often an unanswered command is sent again, if it may be carried out twice",
              .default_json = "3", .range = {0, 100}),
    RPC_INT32(struct device_options, queue, .doc = "largest number of waiting commands of one device",
              .default_json = "32", .range = {1, 10000}),
    RPC_INT32(struct device_options, commands_max,
              .doc = "largest number of commands of all devices that have not ended", .default_json = "10000",
              .range = {1, COMMANDS_MAX}),
    RPC_INT64(struct device_options, ttl, .doc = "how long a queued command waits, unless its caller says so",
              .unit = "s", .default_json = "3600", .range = {1, 366 * DAY}),
    RPC_INT64(struct device_options, ttl_max, .doc = "the longest that a caller may ask for", .unit = "s",
              .default_json = "2592000", .range = {1, 366 * DAY}),
    RPC_INT32(struct device_options, max,
              .doc = "largest number of known devices; a new one takes the place of the one that has been "
                     "offline longest and has no open command",
              .default_json = "10000", .range = {1, DEVICES_MAX}),
    RPC_INT32(struct device_options, fanout_rate,
              .doc = "largest number of commands that calls of groups send in a second",
              .default_json = "100", .range = {1, 100000}),
    RPC_INT32(struct device_options, heartbeat,
              .doc =
                  "time between two messages of a device; after 2.5 times as much it is silent; 0: that is "
                  "not watched",
              .unit = "ms", .default_json = "0", .range = {0, DAY * 1000}),
    RPC_INT32(struct device_options, grace,
              .doc = "time from the end of a device's connection until it is offline, unless it is back",
              .unit = "ms", .default_json = "2000", .range = {0, 3600000}),
    RPC_STRING(struct device_options, groups,
               .doc = "groups of devices: `name=device,device`, separated by spaces", .optional = true,
               .length = {1, 1048576}, .reloads = true),
    RPC_STRING(struct device_options, db,
               .doc = "file of the SQLite database with managed devices, groups and queued commands; each "
                      "further prefix that uses it gets a file of its own beside it; `:memory:`: a database "
                      "in memory, which ends with the broker",
               .unit = "path", .default_json = "\"devices.db\"", .length = {1, 4096}),
};

static const rpc_shape options_shape = RPC_OBJECT_SHAPE(struct device_options, option_fields);

/* ---- Inboxes ---- */

enum { INBOX_DEVICE = 1 }; /* the level of the device */

static rpc_inbox_verdict device_receive_request(rpc_instance *instance, void *state,
                                                const rpc_message *message)
{
    struct device_module *module = state;
    const char *name = rpc_message_level(message, INBOX_DEVICE);
    (void)instance;
    if (!presence_is_managed(&module->presence, name))
        return RPC_INBOX_PASS;
    if (module->guards_requests && !message->bridge)
        return RPC_INBOX_REFUSE;
    return adopt_request(module, name, message) ? RPC_INBOX_CONSUME : RPC_INBOX_PASS;
}

/* What others publish to topics of devices that are not managed passes untouched, and so does what bridges
 * bring. */
static rpc_inbox_verdict device_guard(const struct device_module *module, const rpc_message *message)
{
    const bool is_managed = presence_is_managed(&module->presence, rpc_message_level(message, INBOX_DEVICE));
    return is_managed && !message->bridge ? RPC_INBOX_REFUSE : RPC_INBOX_PASS;
}

static rpc_inbox_verdict device_receive_answer(rpc_instance *instance, void *state,
                                               const rpc_message *message)
{
    struct device_module *module = state;
    const char *name = rpc_message_level(message, INBOX_DEVICE);
    (void)instance;
    if (!presence_is_own(&module->presence, name, message))
        return device_guard(module, message);
    struct device *device = presence_meet(&module->presence, name);
    if (!device)
        return RPC_INBOX_PASS;
    presence_heard(&module->presence, device, message);
    commands_answer(&module->commands, device, message);
    return RPC_INBOX_PASS;
}

static rpc_inbox_verdict device_receive_hello(rpc_instance *instance, void *state, const rpc_message *message)
{
    struct device_module *module = state;
    const char *name = rpc_message_level(message, INBOX_DEVICE);
    if (!presence_is_own(&module->presence, name, message))
        return message->bridge ? RPC_INBOX_PASS : RPC_INBOX_REFUSE;
    if (message->why)
        rpc_log(instance, RPC_LOG_NOTICE, "the hello of device %s is not taken: %s", name, message->why);
    else
        presence_hello(&module->presence, name, message);
    return RPC_INBOX_CONSUME;
}

/* The device's status is the plugin's alone. */
static rpc_inbox_verdict device_receive_status(rpc_instance *instance, void *state,
                                               const rpc_message *message)
{
    (void)instance;
    return device_guard(state, message);
}

static const rpc_inbox inboxes[] = {
    {.topic = "+/req",
     .doc = "commands to a device: its subscription. What an application publishes there itself, with an "
            "identity, is adopted as a call if the device is managed",
     .shape = &adopt_shape,
     .receive = device_receive_request},
    {.topic = "+/resp",
     .doc =
         "a device's answers to commands; with Correlation Data and without an id, the payload is the bare "
         "result",
     .shape = &answer_shape,
     .receive = device_receive_answer},
    {.topic = "+/hello",
     .doc = "a device is there and listens for commands; the payload may be empty",
     .shape = &hello_shape,
     .receive = device_receive_hello},
    {.topic = "+/status",
     .doc = "the retained state of a managed device, which the plugin alone publishes",
     .shape = &status_shape,
     .receive = device_receive_status},
};

/* ---- Groups ---- */

static rpc_status device_set_group(rpc_call *call, void *state, const void *params, void *result)
{
    (void)result;
    return group_set(call, &((struct device_module *)state)->groups, params);
}

static rpc_status device_list_groups(rpc_call *call, void *state, const void *params, void *result)
{
    (void)params;
    return group_list(call, &((struct device_module *)state)->groups, result);
}

static rpc_status device_delete_group(rpc_call *call, void *state, const void *params, void *result)
{
    (void)result;
    return group_delete(call, &((struct device_module *)state)->groups, params);
}

static rpc_status device_call_group(rpc_call *call, void *state, const void *params, void *result)
{
    (void)result;
    return gather_run(call, &((struct device_module *)state)->gathers,
                      ((const struct any *)params)->value.text);
}

/* ---- Methods ---- */

static const rpc_error unknown_errors[] = {
    {.code = "device_unknown", .doc = "no device of this name has been seen", .data = &trouble_shape},
};

static const rpc_error gather_errors[] = {
    {.code = "not_a_member", .doc = "there is no such group", .data = &gather_group_shape},
};

static const rpc_error forget_errors[] = {
    {.code = "storage_failed",
     .doc = "it is forgotten, but the database could not be used: after a crash it may be known again",
     .data = &group_failed_shape},
};

static const rpc_error group_errors[] = {
    {.code = "storage_failed", .doc = "the database could not be used", .data = &group_failed_shape},
    {.code = "not_a_member", .doc = "a name can be no device's, or no group's"},
    {.code = "group_configured", .doc = "the option device_groups makes the group, and no call changes it"},
};

#define WAITS                                                                                         \
    .result = &any_shape, .progress = &any_shape, .errors = RPC_TABLE(orders_errors), .defers = true, \
    .decides_timeout = true, .awaits_device = true, .done = orders_done

static const rpc_method methods[] = {
    {
        .name = "device/{device}/{command}",
        .doc = "Has a device carry out a command, and returns its result. User properties of an MQTT 5 call: "
               "`offline` says what becomes of it if the device is not there: `fail` (the usual), `wait`, or "
               "`queue`, whose reply is `{\"queued\":true,\"id\":…}`; `ttl-ms` how long it is queued; "
               "`stale-ms` how old it may be when it is sent.",
        .params = &any_shape,
        .run = orders_run,
        WAITS,
    },
    {
        .name = "devices/{group}/{command}",
        .doc =
            "Has each member of a group carry out a command, and returns a verdict for each; the group `*` "
            "has all known devices. User properties of an MQTT 5 call: `want` says what is waited for: "
            "`present` (the usual), not for members that are known to be gone; `all`, for those, too; or a "
            "number of members that have succeeded; `stall-ms`: the call ends when no verdict has come for "
            "so long; `abort`: no more commands are sent when so many percent of at least five verdicts "
            "are failures; `offline`, `ttl-ms` and `stale-ms` as for the command of one device.",
        .params = &any_shape,
        .result = &gather_result_shape,
        .progress = &gather_progress_shape,
        .errors = RPC_TABLE(gather_errors),
        .run = device_call_group,
        .defers = true,
        .decides_timeout = true,
        .awaits_device = true,
        .done = gather_done,
    },
    {
        .name = "device.call",
        .doc = "The same for callers who cannot put the device and the command into the topic. Closed unless "
               "the option device_call opens it: a caller of this method may command every device.",
        .params = &orders_call_params,
        .run = orders_call,
        WAITS,
    },
    {
        .name = "device.history",
        .doc = "Returns the last commands of a device with their states, those that have not ended first.",
        .read_only = true,
        .params = &orders_history_params,
        .result = &orders_history_result,
        .errors = RPC_TABLE(unknown_errors),
        .run = orders_history,
    },
    {
        .name = "device.cancel",
        .doc = "Cancels a command that was not sent yet.",
        .idempotent = true,
        .params = &orders_cancel_params,
        .result = &orders_cancel_result,
        .errors = RPC_TABLE(orders_cancel_errors),
        .run = orders_cancel,
        .defers = true,
        .done = confirm_done,
    },
    {
        .name = "device.counts",
        .doc = "Returns how often commands have come into each state since the broker started.",
        .read_only = true,
        .result = &orders_counts_result,
        .run = orders_counts,
    },
    {
        .name = "device.list",
        .doc = "Returns the known devices in the order in which they were met, page by page.",
        .read_only = true,
        .params = &roster_list_params,
        .result = &roster_list_result,
        .errors = RPC_TABLE(unknown_errors),
        .run = roster_list,
    },
    {
        .name = "device.status",
        .doc = "Returns what is known of one device.",
        .read_only = true,
        .params = &roster_device_params,
        .result = &roster_status_result,
        .errors = RPC_TABLE(unknown_errors),
        .run = roster_status,
    },
    {
        .name = "device.forget",
        .doc = "Forgets a device, with its commands and its retained status. It is met again when it says "
               "hello.",
        .idempotent = true,
        .params = &roster_device_params,
        .result = &roster_forget_result,
        .errors = RPC_TABLE(forget_errors),
        .run = roster_forget,
        .defers = true,
        .done = confirm_done,
    },
    {
        .name = "device.group.set",
        .doc = "Makes a group of devices, or gives it other members.",
        .idempotent = true,
        .params = &group_shape,
        .result = &group_shape,
        .errors = RPC_TABLE(group_errors),
        .run = device_set_group,
        .defers = true,
        .done = group_end_change,
    },
    {
        .name = "device.group.list",
        .doc = "Returns all groups with their members.",
        .read_only = true,
        .result = &group_list_shape,
        .run = device_list_groups,
    },
    {
        .name = "device.group.delete",
        .doc = "Deletes a group. Its devices stay.",
        .idempotent = true,
        .params = &group_which_shape,
        .result = &group_deleted_shape,
        .errors = RPC_TABLE(group_errors),
        .run = device_delete_group,
        .defers = true,
        .done = group_end_change,
    },
};

/* ---- Events ---- */

static const rpc_event events[] = {
    {.name = COMMAND_EVENT,
     .doc = "a command has come into another state, was sent again, or has reported progress",
     .data = &command_event_shape},
};

/* ---- The module ---- */

static bool device_set_topic(struct device_module *module)
{
    const char *topic = module->options->topic;
    if (!topic)
        return true;
    const rpc_status status = rpc_inbox_set_root(module->instance, strcmp(topic, "none") == 0 ? NULL : topic);
    if (status == RPC_INVALID_PARAMS)
        rpc_log(module->instance, RPC_LOG_ERROR, "device_topic: %s is no topic", topic);
    return status == RPC_OK;
}

static void device_load_device(void *context, const struct ledger_device *device)
{
    presence_load(&((struct device_module *)context)->presence, device);
}

static void device_load_group(void *context, const char *name, const char *devices)
{
    groups_load(&((struct device_module *)context)->groups, name, devices);
}

static void device_load_command(void *context, const struct ledger_command *command)
{
    commands_load(&((struct device_module *)context)->commands, command);
}

/* What was read late may be of devices that are there already. */
static void device_loaded(void *context)
{
    struct device_module *module = context;
    groups_meet(&module->groups);
    if (module->presence.started)
        presence_start(&module->presence);
}

static void device_renew(void *context)
{
    struct device_module *module = context;
    groups_renew(&module->groups);
    commands_renew(&module->commands);
}

static const struct disk_loading loading = {
    .device = device_load_device,
    .group = device_load_group,
    .command = device_load_command,
    .loaded = device_loaded,
    .renewed = device_renew,
};

static void device_due(rpc_instance *instance, void *state, void *data)
{
    (void)instance;
    presence_due(&((struct device_module *)state)->presence, data);
}

static void device_connect_parts(struct device_module *module)
{
    module->table.max = (size_t)module->options->max;
    module->disk = (struct disk){
        .instance = module->instance,
        .options = module->options,
        .table = &module->table,
        .loading = loading,
    };
    module->disk.loading.context = module;
    module->commands = (struct commands){
        .instance = module->instance,
        .options = module->options,
        .table = &module->table,
        .disk = &module->disk,
    };
    module->presence = (struct presence){
        .instance = module->instance,
        .options = module->options,
        .table = &module->table,
        .commands = &module->commands,
        .disk = &module->disk,
        .due = device_due,
    };
    module->groups = (struct groups){
        .instance = module->instance,
        .options = module->options,
        .presence = &module->presence,
        .disk = &module->disk,
    };
    module->gathers = (struct gathers){
        .instance = module->instance,
        .options = module->options,
        .table = &module->table,
        .commands = &module->commands,
        .presence = &module->presence,
        .groups = &module->groups,
    };
    module->confirms = (struct confirms){.disk = &module->disk};
}

static rpc_status device_init(rpc_instance *instance, void *state, const void *options)
{
    struct device_module *module = state;
    module->instance = instance;
    module->options = options;
    module->guards_requests = module->options->guard_requests;
    device_connect_parts(module);
    if (!device_set_topic(module) || !groups_configure(&module->groups) ||
        !presence_init(&module->presence) || !disk_load(&module->disk))
        return RPC_INTERNAL_ERROR;
    groups_meet(&module->groups);
    presence_start(&module->presence);
    return RPC_OK;
}

static rpc_status device_prepare(rpc_instance *instance, void *state, const void *options,
                                 rpc_refusal *refusal)
{
    const struct device_options *given = options;
    (void)instance;
    refusal->option = "groups";
    return groups_prepare(&((struct device_module *)state)->groups, given->groups, refusal->why)
               ? RPC_OK
               : RPC_INVALID_PARAMS;
}

static void device_reload(rpc_instance *instance, void *state, const void *options)
{
    struct device_module *module = state;
    (void)instance;
    module->guards_requests = ((const struct device_options *)options)->guard_requests;
    groups_reload(&module->groups);
}

static void device_fini(void *state)
{
    struct device_module *module = state;
    presence_fini(&module->presence);
    commands_stop(&module->commands);
    disk_fini(&module->disk);
    commands_fini(&module->commands);
    groups_fini(&module->groups);
    confirms_fini(&module->confirms);
    devices_clear(&module->table);
}

static void device_notice(rpc_instance *instance, void *state, const rpc_presence *sign)
{
    (void)instance;
    presence_sign(&((struct device_module *)state)->presence, sign);
}

static void device_look_at_devices(const void *state, rpc_use *use)
{
    const struct device_module *module = state;
    use->entries = HASH_COUNT(module->table.all);
    use->max = module->table.max;
}

static void device_look_at_commands(const void *state, rpc_use *use)
{
    const struct device_module *module = state;
    *use = (rpc_use){module->commands.live, (size_t)module->options->commands_max, module->commands.bytes,
                     LIFE_BYTES_MAX};
}

static const rpc_gauge gauges[] = {
    {"devices", "devices that are known: the option max", device_look_at_devices},
    {"commands", "commands that have not ended: the option commands_max", device_look_at_commands},
};

RPC_MODULE(device,
           .doc = "Devices: their commands, which the plugin takes to them, and which of them are there.",
           .state_size = sizeof(struct device_module), .options = &options_shape,
           .methods = RPC_TABLE(methods), .events = RPC_TABLE(events), .inboxes = RPC_TABLE(inboxes),
           .gauges = RPC_TABLE(gauges), .inbox_root = "cmd", .inbox_option = "topic", .init = device_init,
           .prepare = device_prepare, .reload = device_reload, .fini = device_fini,
           .presence = device_notice);

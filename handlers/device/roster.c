// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The methods that tell which devices there are: see roster.h. */
#include "roster.h"

#include <string.h>

enum { LIST_MAX = 1000, CLIENT_SHOWN = 1024 };

/* ---- Shapes ---- */

struct list_params {
    const char *after, *group;
    enum device_state state;
    bool has_state;
    int32_t limit;
};

static const rpc_field list_params_fields[] = {
    RPC_CHOICE(struct list_params, state, .doc = "only devices in this state",
               .choices = RPC_TABLE(device_state_names), .optional = true,
               .flag = RPC_FLAG(struct list_params, has_state)),
    RPC_STRING(struct list_params, group, .doc = "only devices of this group", .optional = true,
               .length = {1, NAME_MAX_BYTES}),
    RPC_INT32(struct list_params, limit,
              .doc =
                  "largest number of devices in the result; there are fewer if they do not fit into a reply",
              .default_json = "100", .range = {1, LIST_MAX}),
    RPC_STRING(struct list_params, after,
               .doc = "only devices behind this one: `next` of the former page; without it, from the "
                      "beginning",
               .optional = true, .length = {1, NAME_MAX_BYTES}),
};

const rpc_shape roster_list_params = RPC_OBJECT_SHAPE(struct list_params, list_params_fields);

/* One device of a list. Its texts are short, so that no device can make lists too large. */
struct item {
    struct status status;
    bool managed;
    const char *kind;
    int32_t waiting, flying;
};

#define STATUS_FIELDS(type)                                                                               \
    RPC_STRING(type, status.device, .name = "device", .doc = "the name of the device",                    \
               .length = {1, NAME_MAX_BYTES}),                                                            \
        RPC_CHOICE(type, status.state, .name = "state", .doc = "whether it is there",                     \
                   .choices = RPC_TABLE(device_state_names)),                                             \
        RPC_DOUBLE(type, status.since, .name = "since", .doc = "when it came into this state, Unix time", \
                   .unit = "s"),                                                                          \
        RPC_DOUBLE(type, status.seen, .name = "seen", .doc = "when it sent something last, Unix time",    \
                   .unit = "s", .optional = true, .flag = RPC_FLAG(type, status.has_seen)),               \
        RPC_STRING(type, status.why, .name = "why", .doc = "what brought it into this state",             \
                   .length = {1, 32}),                                                                    \
        RPC_BOOL(type, managed, .doc = "whether the plugin guards its topics and publishes its status"),  \
        RPC_STRING(type, kind, .doc = "the module whose declared commands it takes, as its hello said",   \
                   .optional = true, .length = {1, NAME_MAX_BYTES}),                                      \
        RPC_INT32(type, waiting, .doc = "the number of its commands that wait"),                          \
        RPC_INT32(type, flying, .doc = "the number of its commands that are sent and not answered")

static const rpc_field item_fields[] = {STATUS_FIELDS(struct item)};

static const rpc_shape item_shape = RPC_OBJECT_SHAPE(struct item, item_fields);

struct known {
    struct status status;
    bool managed, once;
    const char *kind;
    int32_t waiting, flying;
    const char *client;
    const char *const *commands;
    size_t command_count;
    int64_t seq;
};

static const rpc_field known_fields[] = {
    STATUS_FIELDS(struct known),
    RPC_BOOL(struct known, once, .doc = "whether it carries out a command that it gets twice only once"),
    RPC_STRING_ARRAY(struct known, commands, command_count,
                     .doc = "the commands that it takes, as its hello said; without it, any",
                     .optional = true, .items = {0, 1000}, .length = {1, NAME_MAX_BYTES}),
    RPC_STRING(struct known, client,
               .doc = "the client id that it was present with last, if that is not its name",
               .optional = true, .length = {1, CLIENT_SHOWN}),
    RPC_INT64(struct known, seq, .doc = "the seq of its last command"),
};

const rpc_shape roster_status_result = RPC_OBJECT_SHAPE(struct known, known_fields);

struct list_result {
    const struct item *devices;
    size_t count;
    const char *next;
    int32_t total;
};

static const rpc_field list_result_fields[] = {
    RPC_OBJECT_ARRAY(struct list_result, devices, count, struct item, .doc = "what is known of each device",
                     .items = {0, LIST_MAX}, .shape = &item_shape),
    RPC_STRING(struct list_result, next, .doc = "there may be more devices: those `after` this one",
               .optional = true, .length = {1, NAME_MAX_BYTES}),
    RPC_INT32(struct list_result, total, .doc = "the number of all known devices"),
};

const rpc_shape roster_list_result = RPC_OBJECT_SHAPE(struct list_result, list_result_fields);

struct which {
    const char *device;
};

static const rpc_field which_fields[] = {DEVICE_NAME_FIELD(struct which)};

const rpc_shape roster_device_params = RPC_OBJECT_SHAPE(struct which, which_fields);

struct forgotten {
    const char *device;
    bool forgotten;
};

static const rpc_field forgotten_fields[] = {
    DEVICE_NAME_FIELD(struct forgotten),
    RPC_BOOL(struct forgotten, forgotten, .doc = "whether there was such a device"),
};

const rpc_shape roster_forget_result = RPC_OBJECT_SHAPE(struct forgotten, forgotten_fields);

/* ---- Methods ---- */

/* The words of a list, in the call's memory. Returns false if there is no memory. */
static bool roster_split(rpc_call *call, const char *list, struct known *known)
{
    size_t count = 0, length;
    const char *at = list;
    while (name_next(&at, &length))
        count++;
    const char **words = rpc_alloc(call, (count + 1) * sizeof *words);
    at = list;
    for (const char *word; words && (word = name_next(&at, &length));) {
        char *copy = rpc_printf(call, "%.*s", (int)length, word);
        if (!copy)
            return false;
        words[known->command_count++] = copy;
    }
    known->commands = words;
    return words;
}

rpc_status roster_status(rpc_call *call, void *state, const void *params, void *result)
{
    const struct device_module *module = state;
    const struct which *which = params;
    const struct device *device = devices_find(&module->table, which->device);
    if (!device)
        return module_raise_unknown(call, which->device);
    struct known *known = result;
    *known = (struct known){
        .status = presence_status(device),
        .managed = device->managed,
        .once = device->once,
        .kind = device->kind,
        .waiting = (int32_t)device->waiting_count,
        .flying = (int32_t)device->flying_count,
        .client = device->client && strlen(device->client) <= CLIENT_SHOWN ? device->client : NULL,
        .seq = device->seq,
    };
    return !device->commands || roster_split(call, device->commands, known) ? RPC_OK : RPC_INTERNAL_ERROR;
}

static bool roster_is_wanted(const struct device_module *module, const struct list_params *wanted,
                             const struct device *device)
{
    return (!wanted->has_state || device->state == wanted->state) &&
           (!wanted->group || groups_have(&module->groups, wanted->group, device->name));
}

/* A page that does not fit into a reply is shorter. */
static void roster_shorten(rpc_call *call, struct list_result *list)
{
    while (list->count > 1 && !module_fits_reply(call, &roster_list_result, list)) {
        list->count /= 2;
        list->next = list->devices[list->count - 1].status.device;
    }
}

rpc_status roster_list(rpc_call *call, void *state, const void *params, void *result)
{
    const struct device_module *module = state;
    const struct list_params *wanted = params;
    struct list_result *list = result;
    const struct device *last = wanted->after ? devices_find(&module->table, wanted->after) : NULL;
    if (wanted->after && !last)
        return module_raise_unknown(call, wanted->after);
    const struct device *device = last ? last->hh.next : module->table.all;
    struct item *items = rpc_alloc(call, (size_t)wanted->limit * sizeof *items);
    if (!items)
        return RPC_INTERNAL_ERROR;
    list->devices = items;
    list->total = (int32_t)HASH_COUNT(module->table.all);
    for (; device && list->count < (size_t)wanted->limit; device = device->hh.next) {
        last = device;
        if (!roster_is_wanted(module, wanted, device))
            continue;
        items[list->count++] = (struct item){
            .status = presence_status(device),
            .managed = device->managed,
            .kind = device->kind,
            .waiting = (int32_t)device->waiting_count,
            .flying = (int32_t)device->flying_count,
        };
    }
    list->next = device ? last->name : NULL;
    roster_shorten(call, list);
    return RPC_OK;
}

rpc_status roster_forget(rpc_call *call, void *state, const void *params, void *result)
{
    struct device_module *module = state;
    const struct which *which = params;
    struct forgotten *forgotten = result;
    struct device *device = devices_find(&module->table, which->device);
    forgotten->device = which->device;
    forgotten->forgotten = device != NULL;
    if (!device)
        return RPC_OK;
    presence_forget(&module->presence, device);
    return confirm_later(call, &module->confirms, forgotten, sizeof *forgotten);
}

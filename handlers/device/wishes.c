// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What callers of commands wish, and what is checked for all of them: see wishes.h. */
#include "wishes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const rpc_field any_fields[] = {
    RPC_JSON(struct any, value, .doc = "what the device takes or returns: any JSON value"),
};

const rpc_shape any_shape = RPC_VALUE_SHAPE(struct any, any_fields);

const char *const offline_policy_names[OFFLINE_POLICIES] = {
    [OFFLINE_FAIL] = "fail", [OFFLINE_WAIT] = "wait", [OFFLINE_QUEUE] = "queue"};

const char wishes_no_command[] = "no command has such a name: it has other characters than A-Z, a-z, 0-9, "
                                 "'_', '.' and '-', or is too long";

/* ---- Wishes ---- */

uint64_t wishes_ttl_max(const struct device_options *options)
{
    return (uint64_t)options->ttl_max * 1000;
}

struct wishes wishes_usual(const struct device_options *options)
{
    const uint64_t ttl = (uint64_t)options->ttl * 1000, max = wishes_ttl_max(options);
    return (struct wishes){.offline = OFFLINE_FAIL, .ttl = ttl < max ? ttl : max};
}

rpc_status wishes_raise_range(rpc_call *call, const char *what, uint64_t max, const char *option)
{
    return rpc_raise(call, "invalid_params", "%s must be a whole number of 1 to %" PRIu64 "%s", what, max,
                     option);
}

rpc_status wishes_read_number(rpc_call *call, const char *name, uint64_t max, const char *option,
                              uint64_t *value)
{
    char text[24], what[48];
    if (!rpc_caller_property(call, name, text, sizeof text))
        return RPC_OK;
    const size_t digits = strspn(text, "0123456789");
    const uint64_t number = digits && digits < 20 && !text[digits] ? strtoull(text, NULL, 10) : 0;
    snprintf(what, sizeof what, "the user property %s", name);
    if (!number || number > max)
        return wishes_raise_range(call, what, max, option);
    *value = number;
    return RPC_OK;
}

static rpc_status wishes_read_offline(rpc_call *call, struct wishes *wishes)
{
    char text[16];
    if (!rpc_caller_property(call, "offline", text, sizeof text))
        return RPC_OK;
    wishes->has_offline = true;
    for (unsigned i = 0; i < OFFLINE_POLICIES; i++) {
        if (strcmp(text, offline_policy_names[i]) == 0) {
            wishes->offline = (enum offline_policy)i;
            return RPC_OK;
        }
    }
    return rpc_raise(call, "invalid_params", "the user property offline must be fail, wait or queue");
}

rpc_status wishes_read(rpc_call *call, const struct device_options *options, struct wishes *wishes)
{
    char progress[8];
    uint64_t stale = wishes->stale;
    rpc_status status = wishes_read_offline(call, wishes);
    if (status == RPC_OK)
        status =
            wishes_read_number(call, "ttl-ms", wishes_ttl_max(options), " (device_ttl_max)", &wishes->ttl);
    if (status == RPC_OK)
        status = wishes_read_number(call, "stale-ms", UINT32_MAX, "", &stale);
    if (status != RPC_OK)
        return status;
    wishes->stale = (uint32_t)stale;
    if (!rpc_caller_property(call, "progress", progress, sizeof progress) || strcmp(progress, "1") == 0 ||
        strcmp(progress, "0") == 0)
        return RPC_OK;
    return rpc_raise(call, "invalid_params", "the user property progress must be 1 or 0");
}

/* ---- Checks ---- */

struct device *wishes_find_device(struct presence *presence, const char *name, enum offline_policy offline,
                                  struct verdict *why)
{
    struct device *device = devices_find(presence->table, name);
    *why = (struct verdict){.state = COMMAND_CANCELLED, .device = name};
    if (device)
        return device;
    if (offline == OFFLINE_FAIL && presence->options->known_only) {
        why->err = "device_unknown";
        why->msg = "no device of this name has been seen";
        return NULL;
    }
    why->err = "device_busy";
    why->msg = "too many devices are known: see device_max";
    return presence_meet(presence, name);
}

const char *wishes_check(rpc_instance *instance, const struct device_options *options,
                         const rpc_command *declared, const char *params, char **checked,
                         char why[RPC_WHY_BYTES])
{
    *checked = NULL;
    if (!declared && options->undeclared)
        return NULL;
    if (!declared) {
        snprintf(why, RPC_WHY_BYTES, "no module declares the command, and device_undeclared is false");
        return "method_not_found";
    }
    switch (rpc_command_check(instance, declared, RPC_COMMAND_PARAMS, params, checked, why)) {
    case RPC_OK:
        return NULL;
    case RPC_INVALID_PARAMS:
    case RPC_PARSE_ERROR:
        return "invalid_params";
    default:
        snprintf(why, RPC_WHY_BYTES, "there is no memory to check the parameters");
        return "internal_error";
    }
}

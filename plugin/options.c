// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The broker's part of the configuration: see options.h. */
#include "options.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config.h"

static const rpc_field plugin_option_fields[] = {
    RPC_STRING(struct plugin_options, mount_point,
               .doc = "the listener's mount_point, for calls of its clients and the replies to them",
               .optional = true, .length = {1, 1024}),
    RPC_BOOL(struct plugin_options, safe_point,
             .doc = "where the broker sends plugins no TICK (before 2.0.15 with `per_listener_settings "
                    "true`), run what a TICK runs inside the signal that wakes the broker's loop, while the "
                    "loop waits; false: results of work and deadlines wait there for the next message",
             .default_json = "true"),
    RPC_STRING(struct plugin_options, config_file,
               .doc =
                   "a file with settings that may change while the broker runs, which is read at start and "
                   "at each SIGHUP; a line is an option without `plugin_opt_` and its value",
               .optional = true, .length = {1, 4096}, .unit = "path"),
};

static const rpc_shape plugin_options_shape = RPC_OBJECT_SHAPE(struct plugin_options, plugin_option_fields);

static const char *const plugin_reserved_levels[] = {"$SYS", "$share", "$queue", "$CONTROL", NULL};

/* Whether the topics of a prefix, which are below `{prefix}/`, begin with a mount point. */
static bool plugin_begins_with(const char *prefix, const char *mount_point)
{
    const size_t length = strlen(prefix);
    return strncmp(prefix, mount_point, strlen(mount_point)) == 0 ||
           (strncmp(prefix, mount_point, length) == 0 && strcmp(mount_point + length, "/") == 0);
}

static bool plugin_check_options(const struct config *config, const struct option_lines *lines,
                                 char why[OPTIONS_WHY])
{
    char accepted[OPTIONS_WHY];
    const char *mount_point = ((const struct plugin_options *)config->host_options)->mount_point;
    if (mount_point && !text_is_topic(mount_point))
        return options_refuse(lines, "mount_point", mount_point,
                              "it takes the beginning of a topic, without wildcards", why);
    for (size_t i = 0; mount_point && i < config->prefix_count; i++) {
        if (!plugin_begins_with(config->prefixes[i], mount_point))
            continue;
        snprintf(accepted, sizeof accepted,
                 "the topics of the prefix %s begin with it, so that calls of all clients would count as "
                 "those of its listener: choose another plugin_opt_prefix or mount_point",
                 config->prefixes[i]);
        return options_refuse(lines, "mount_point", mount_point, accepted, why);
    }
    return true;
}

const struct config_host rpc_host = {
    .option_prefix = "plugin_opt_",
    .counters_topic = "$SYS/broker/rpc",
    .reserved = plugin_reserved_levels,
    .options = &plugin_options_shape,
    .file_option = "config_file",
    .check = plugin_check_options,
};

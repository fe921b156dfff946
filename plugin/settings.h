// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The plugin's options (protocol, section 10) and those of its modules, read from the lines of the broker's
 * configuration. Knows nothing of the broker, so that the reference can be printed from the same table.
 */
#ifndef PLUGIN_SETTINGS_H
#define PLUGIN_SETTINGS_H

#include "engine.h"
#include "shape/options.h"

#include <mosquitto_rpc.h>

enum { SETTINGS_PREFIXES = 64 }; /* every message of the broker is compared with each prefix */

/* One module that is to be started. */
struct settings_module {
    const rpc_module *module;
    struct fields fields; /* of its options; all zero: it has none */
    const void *options;
};

/* The options of the plugin itself. */
struct plugin_options {
    const char *mount_point; /* NULL: none */
};

struct settings {
    struct engine_options engine; /* for every prefix; its member prefix is the list of all */
    struct plugin_options plugin;
    const char *prefixes[SETTINGS_PREFIXES];
    size_t prefix_count;
    struct settings_module *modules;
    size_t module_count;
    struct fields fields, plugin_fields; /* of the engine's and the plugin's options */
    struct arena arena;                  /* holds all of the above */
};

/* The options of an engine, and those of the plugin itself. */
extern const rpc_shape settings_shape;
extern const rpc_shape settings_plugin_shape;

/*
 * Reads the lines. modules ends with NULL. Returns NULL if something is not accepted, with why in one line
 * that names the option, the value and what is accepted. The result outlives every engine made from it;
 * it is to be freed with settings_destroy().
 */
struct settings *settings_create(struct option_lines *lines, const rpc_module *const *modules,
                                 char why[OPTIONS_WHY]);

/* Accepts NULL. */
void settings_destroy(struct settings *settings);

#endif

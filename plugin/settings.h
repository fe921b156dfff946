// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The plugin's configuration, of which a part may change while the broker runs: the broker keeps the lines of
 * its own configuration for ever, so the settings that may change are in a file of their own, which
 * plugin_opt_config_file names. It is read at start and at each SIGHUP.
 *
 * Threads: the broker's. settings_reload() reads a file there, as the broker does with its own files at the
 * same moment: a regular one, of at most 1 MB.
 *
 * Ownership: settings are embedded in the plugin, and own copies of the broker's lines and the configurations
 * that are made of them.
 *
 * Failure: settings_start() returns false and says why in one line; settings_reload() logs such a line, and
 * then nothing has changed.
 */
#ifndef PLUGIN_SETTINGS_H
#define PLUGIN_SETTINGS_H

#include "compat/mosquitto_headers.h"
#include "service.h"

struct settings {
    struct option_lines given;      /* of the broker's configuration */
    struct config *first, *current; /* with which the service was started, and whose settings are in force */
    struct env_reload status;       /* its file is NULL: there is no config_file */
    struct arena arena;             /* has the texts of `given`, and the file's path */
};

/* Reads the configuration. All zero before. Must be ended with settings_fini() in any case. */
bool settings_start(struct settings *settings, const struct mosquitto_opt *options, int count,
                    char why[OPTIONS_WHY]);

/* Logs that the file was read. changes: settings that have changed. There is a file. */
void settings_log(const struct settings *settings, size_t changes);

/* Reads the config_file again, if there is one, and has the service take over what has changed. */
void settings_reload(struct settings *settings, struct service *service);

/* Frees the configurations, unless something goes on with them, and the rest. */
void settings_fini(struct settings *settings, bool is_over);

#endif

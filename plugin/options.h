// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The plugin's own options, and what else the broker adds to the configuration of a service: options.c
 * defines rpc_host of core/config.h.
 *
 * Threads: any; all is constant.
 *
 * Ownership: the configuration that the options are part of owns their texts.
 *
 * Failure: see core/config.h.
 */
#ifndef PLUGIN_OPTIONS_H
#define PLUGIN_OPTIONS_H

#include <stdbool.h>

/* The plugin's own options: host_options of struct config. */
struct plugin_options {
    const char *mount_point; /* NULL: none */
    bool safe_point;
    const char *config_file; /* NULL: none */
};

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The plugin's own options, and what else the broker adds to the configuration of a service: rpc_host of
 * core/config.h.
 *
 * Threads: any; all is constant.
 */
#ifndef PLUGIN_OPTIONS_H
#define PLUGIN_OPTIONS_H

/* Of struct config: host_options. */
struct plugin_options {
    const char *mount_point; /* NULL: none */
};

#endif

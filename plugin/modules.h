// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The modules that were linked into this plugin: the build writes the array, from the files' names. */
#ifndef PLUGIN_MODULES_H
#define PLUGIN_MODULES_H

#include <mosquitto_rpc.h>

/* The built-in module first, then the others in alphabetical order, ending with NULL. */
extern const rpc_module *const plugin_modules[];

#endif

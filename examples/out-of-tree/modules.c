// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The modules of a plugin that is built without CMake, which writes this list itself. The first four are in
 * every plugin. */
#include <mosquitto_rpc.h>

extern const rpc_module rpc_module_rpc, rpc_module_observe, rpc_module_dead, rpc_module_workers,
    rpc_module_valve;
extern const rpc_module *const rpc_modules[];

const rpc_module *const rpc_modules[] = {
    &rpc_module_rpc, &rpc_module_observe, &rpc_module_dead, &rpc_module_workers, &rpc_module_valve, NULL,
};

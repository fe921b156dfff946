// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Until the engine has it. */
#include <mosquitto_rpc.h>

void __attribute__((weak)) rpc_presence_watch(rpc_instance *instance, bool seen);

void __attribute__((weak)) rpc_presence_watch(rpc_instance *instance, bool seen)
{
    (void)instance, (void)seen;
}

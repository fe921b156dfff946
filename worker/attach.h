// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The mode `attach`: the worker tells the plugin of each prefix what it offers (rpc.attach), gets calls at
 * {prefix}/work/{name}, and answers them at {prefix}/work/{name}/done. What the plugin hands out becomes an
 * ordinary message to {prefix}/call/{method} in the name of its caller, on a connection of its own, whose end
 * cancels the call.
 *
 * Threads: the worker's.
 *
 * Ownership: the mode owns its state, which hangs off its worker.
 *
 * Failure: what the plugin refuses is logged, and tried again with a delay that grows from half a second to
 * 30. A call for which there is no memory or no room is refused, and goes to another worker.
 */
#ifndef WORKER_ATTACH_H
#define WORKER_ATTACH_H

#include "worker.h"

extern const struct worker_mode attach_mode;

#endif

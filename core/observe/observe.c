// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The built-in module `observe`: see observe.h. */
#include "observe/observe.h"

#include "observe/stats.h"

static const rpc_error stats_errors[] = {
    {.code = "unknown_method", .doc = "there is no method of this name"},
};

static const rpc_method methods[] = {
    {
        .name = "rpc.stats",
        .doc = "Counts calls, errors and durations, of all methods or one, and what the service holds.",
        .read_only = true,
        .params = &stats_params_shape,
        .result = &stats_shape,
        .errors = RPC_TABLE(stats_errors),
        .run = stats_run,
    },
};

RPC_MODULE(observe, .doc = "What the service does.", .methods = RPC_TABLE(methods));

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The built-in module `observe`: see observe.h. */
#include "observe/observe.h"

#include "observe/health.h"
#include "observe/metrics.h"
#include "observe/recent.h"
#include "observe/running.h"
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
    {
        .name = "rpc.metrics",
        .doc = "Tells the same in the text format of Prometheus, page by page.",
        .read_only = true,
        .params = &metrics_params_shape,
        .result = &metrics_shape,
        .run = metrics_run,
    },
    {
        .name = "rpc.recent",
        .doc = "Lists the last calls with their callers, outcomes and times, the newest first.",
        .read_only = true,
        .params = &recent_params_shape,
        .result = &recent_shape,
        .run = recent_run,
    },
    {
        .name = "rpc.running",
        .doc = "Lists the calls that are open, the oldest first: what they wait for, and how long.",
        .read_only = true,
        .params = &running_params_shape,
        .result = &running_shape,
        .run = running_run,
    },
    {
        .name = "rpc.health",
        .doc = "Tells whether all is well, or what is wrong.",
        .read_only = true,
        .result = &health_shape,
        .run = health_run,
    },
};

RPC_MODULE(observe, .doc = "What the service does.", .methods = RPC_TABLE(methods));

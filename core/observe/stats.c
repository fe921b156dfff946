// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* rpc.stats: see stats.h. */
#include "observe/stats.h"

#include "call/engine_parts.h"
#include "call/exchange.h"
#include "call/topic.h"
#include "observe/report.h"
#include "observe/survey.h"
#include "observe/tables.h"

enum { ROWS_MAX = 1000000 };

/* ---- Parameters ---- */

struct stats_params {
    const char *method;
};

static const rpc_field params_fields[] = {
    RPC_STRING(struct stats_params, method,
               .doc = "the name of a method, for example as it is called: the others are left out",
               .optional = true, .length = {1, TOPIC_CALLED_MAX}),
};

const rpc_shape stats_params_shape = RPC_OBJECT_SHAPE(struct stats_params, params_fields);

/* ---- Counters ---- */

struct stats_counters {
#define COUNTER(member, level, text) int64_t member;
    ENGINE_COUNTERS(COUNTER)
#undef COUNTER
};

static const rpc_field counters_fields[] = {
#define COUNTER(member, level, text) RPC_INT64(struct stats_counters, member, .name = level, .doc = text),
    ENGINE_COUNTERS(COUNTER)
#undef COUNTER
};

static const rpc_shape counters_shape = RPC_OBJECT_SHAPE(struct stats_counters, counters_fields);

static struct stats_counters stats_count(const struct counters *counters)
{
    return (struct stats_counters){
#define COUNTER(member, level, text) .member = (int64_t)counters->member,
        ENGINE_COUNTERS(COUNTER)
#undef COUNTER
    };
}

/* ---- Workers and lanes ---- */

struct stats_pool {
    int64_t workers, busy, replaced, waiting;
};

static const rpc_field pool_fields[] = {
    RPC_INT64(struct stats_pool, workers, .doc = "worker threads that may be busy: the option workers"),
    RPC_INT64(struct stats_pool, busy, .doc = "worker threads that run work"),
    RPC_INT64(struct stats_pool, replaced,
              .doc = "those of them that run work for which no caller waits, and do not count"),
    RPC_INT64(struct stats_pool, waiting, .doc = "pieces of work that wait for a thread"),
};

static const rpc_shape pool_shape = RPC_OBJECT_SHAPE(struct stats_pool, pool_fields);

struct stats_lane {
    const char *name, *module;
    int64_t waiting, running;
};

static const rpc_field lane_fields[] = {
    RPC_STRING(struct stats_lane, name, .doc = "its name, or the beginning of it",
               .length = {0, TASK_LANE_NAME}),
    RPC_STRING(struct stats_lane, module, .doc = "whose it is", .length = {1, 65535}),
    RPC_INT64(struct stats_lane, waiting, .doc = "pieces of work that wait in it"),
    RPC_INT64(struct stats_lane, running, .doc = "pieces of work that run together: one, or several at once"),
};

static const rpc_shape lane_shape = RPC_OBJECT_SHAPE(struct stats_lane, lane_fields);

/* Returns false: no memory. */
static bool stats_make_lanes(rpc_call *call, const struct survey_lanes *lanes, const struct stats_lane **made)
{
    struct stats_lane *rows = rpc_alloc(call, lanes->count * sizeof *rows);
    *made = rows;
    for (size_t i = 0; rows && i < lanes->count; i++) {
        const struct survey_lane *lane = &lanes->rows[i];
        rows[i] = (struct stats_lane){lane->name, lane->instance->module->name, (int64_t)lane->waiting,
                                      (int64_t)lane->running};
    }
    return rows;
}

/* ---- Tables ---- */

struct stats_table {
    const char *name;
    int64_t entries, max, bytes, bytes_max;
    bool has_max, has_bytes;
};

static const rpc_field table_fields[] = {
    RPC_STRING(struct stats_table, name, .doc = "which table", .length = {1, 65535}),
    RPC_INT64(struct stats_table, entries, .doc = "what is in it"),
    RPC_INT64(struct stats_table, max, .doc = "how much fits", .optional = true,
              .flag = RPC_FLAG(struct stats_table, has_max)),
    RPC_INT64(struct stats_table, bytes, .doc = "the bytes that it holds", .optional = true,
              .flag = RPC_FLAG(struct stats_table, has_bytes)),
    RPC_INT64(struct stats_table, bytes_max, .doc = "how many it may hold", .optional = true,
              .flag = RPC_FLAG(struct stats_table, has_bytes)),
};

static const rpc_shape table_shape = RPC_OBJECT_SHAPE(struct stats_table, table_fields);

/* Returns false: no memory. */
static bool stats_look_at_table(rpc_call *call, size_t i, struct stats_table *table)
{
    struct tables_shown shown;
    tables_look(call->engine, i, &shown);
    *table = (struct stats_table){
        .name = shown.module ? rpc_printf(call, "%s.%s", shown.module, shown.name) : shown.name,
        .entries = (int64_t)shown.use.entries,
        .max = (int64_t)shown.use.max,
        .has_max = shown.use.max,
        .bytes = (int64_t)shown.use.bytes,
        .bytes_max = (int64_t)shown.use.bytes_max,
        .has_bytes = shown.use.bytes_max,
    };
    return table->name;
}

/* ---- The whole ---- */

struct stats {
    const char *version, *broker, *prefix;
    const char **prefixes;
    size_t prefix_count;
    double since, uptime_s;
    struct stats_counters counters;
    struct stats_pool pool;
    const struct stats_lane *lanes;
    size_t lane_count;
    struct stats_table *tables;
    size_t table_count;
    struct report *methods;
    size_t method_count;
};

static const rpc_field stats_fields[] = {
    RPC_STRING(struct stats, version, .doc = "the version of mosquitto-rpc", .length = {1, 65535}),
    RPC_STRING(struct stats, broker, .doc = "the broker and its version, if they are known", .optional = true,
               .length = {1, 65535}),
    RPC_STRING(struct stats, prefix, .doc = "the prefix that the other members describe",
               .length = {1, 65535}),
    RPC_STRING_ARRAY(struct stats, prefixes, prefix_count, .doc = "all prefixes of the service",
                     .length = {1, 65535}, .items = {1, ROWS_MAX}),
    RPC_DOUBLE(struct stats, since, .doc = "when the counting began: Unix time", .unit = "s"),
    RPC_DOUBLE(struct stats, uptime_s, .doc = "how long ago that is", .unit = "s"),
    RPC_OBJECT(struct stats, counters, struct stats_counters, .doc = "the counters of the prefix",
               .shape = &counters_shape),
    RPC_OBJECT(struct stats, pool, struct stats_pool, .doc = "the worker threads of the prefix",
               .shape = &pool_shape),
    RPC_OBJECT_ARRAY(struct stats, lanes, lane_count, struct stats_lane,
                     .doc = "the lanes with most work, the fullest first", .items = {0, SURVEY_LANES},
                     .shape = &lane_shape),
    RPC_OBJECT_ARRAY(struct stats, tables, table_count, struct stats_table, .doc = "how full the tables are",
                     .items = {0, ROWS_MAX}, .shape = &table_shape),
    RPC_OBJECT_ARRAY(struct stats, methods, method_count, struct report,
                     .doc = "the methods that have been called, or the one that was asked for",
                     .items = {0, ROWS_MAX}, .shape = &report_shape),
};

const rpc_shape stats_shape = RPC_OBJECT_SHAPE(struct stats, stats_fields);

/* Returns false: no memory. */
static bool stats_list_prefixes(rpc_call *call, struct stats *stats)
{
    const struct engine *engine = call->engine;
    size_t count = 0;
    do
        count++;
    while ((engine = engine->next) != call->engine);
    stats->prefixes = rpc_alloc(call, count * sizeof *stats->prefixes);
    for (; stats->prefixes && stats->prefix_count < count; engine = engine->next)
        stats->prefixes[stats->prefix_count++] = engine->env.options.prefix;
    return stats->prefixes;
}

/* Returns false: no memory. */
static bool stats_list_tables(rpc_call *call, struct stats *stats)
{
    const size_t count = tables_count(call->engine);
    stats->tables = rpc_alloc(call, count * sizeof *stats->tables);
    if (!stats->tables)
        return false;
    while (stats->table_count < count) {
        const size_t i = stats->table_count++;
        if (!stats_look_at_table(call, i, &stats->tables[i]))
            return false;
    }
    return true;
}

/* The methods that have been called, or the one. Returns false: no memory. */
static bool stats_list_methods(rpc_call *call, const struct registry_method *only, struct stats *stats)
{
    const struct registry_method *method = call->engine->registry.methods;
    stats->methods = rpc_alloc(call, (only ? 1 : HASH_COUNT(method)) * sizeof *stats->methods);
    if (!stats->methods)
        return false;
    if (only)
        return report_make(only, &call->arena, &stats->methods[stats->method_count++]);
    for (; method; method = method->hh.next) {
        if (report_is_due(method) &&
            !report_make(method, &call->arena, &stats->methods[stats->method_count++]))
            return false;
    }
    return true;
}

/* Returns false: no memory. */
static bool stats_look_at_work(rpc_call *call, struct stats *stats)
{
    struct survey survey;
    struct survey_lanes lanes;
    struct pool_use use;
    survey_tasks(call->engine, &survey);
    pool_look(call->engine->tasks->pool, &use);
    stats->pool = (struct stats_pool){use.workers, use.busy, use.replaced, (int64_t)survey.waiting};
    if (!survey_lanes(call->engine, &lanes))
        return false;
    stats->lane_count = lanes.count;
    return stats_make_lanes(call, &lanes, &stats->lanes);
}

rpc_status stats_run(rpc_call *call, void *state, const void *params, void *result)
{
    const struct stats_params *given = params;
    const struct env *env = &call->engine->env;
    struct stats *stats = result;
    struct registry_method *only = NULL;
    (void)state;
    if (given->method && !(only = registry_find_method(&call->engine->registry, given->method)))
        return rpc_raise(call, "unknown_method", "there is no method of this name");
    stats->version = RPC_VERSION;
    stats->broker = env->host.broker;
    stats->prefix = env->options.prefix;
    stats->since = report_since(call->engine);
    stats->uptime_s = (double)(env_now(env) - call->engine->started) / 1e9;
    stats->counters = stats_count(&env->counters);
    return stats_list_prefixes(call, stats) && stats_list_tables(call, stats) &&
                   stats_look_at_work(call, stats) && stats_list_methods(call, only, stats)
               ? RPC_OK
               : RPC_INTERNAL_ERROR;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What is wrong: see health.h. */
#include "observe/health.h"

#include "base/status.h"
#include "call/answer.h"
#include "call/engine_parts.h"
#include "call/exchange.h"
#include "call/remote.h"
#include "call/remote_shapes.h"
#include "call/task.h"
#include "observe/tables.h"
#include "observe/wire.h"
#include "shape/codec_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* At most so many problems are told of, and of stuck threads so many one by one: the others are counted. */
enum { PROBLEMS_MAX = 64, STUCK_MAX = 16 };

/* Nanoseconds: between two looks, and for which work may run on before it counts as stuck. */
static const uint64_t health_interval = 1000000000, health_patience = 1000000000;

struct health {
    uint64_t due;                 /* of the next look, monotonic nanoseconds */
    bool was_published;           /* the next one is set: */
    struct digest published;      /* of the document */
    double full_since[TABLES][2]; /* Unix time at which a table was first seen to be full, of its entries
                                     and of its bytes; 0: it is not full */
};

struct health *health_create(void)
{
    return calloc(1, sizeof(struct health));
}

void health_destroy(struct health *health)
{
    free(health);
}

/* ---- The document ---- */

struct health_problem {
    const char *what, *text;
    double since;
};

static const rpc_field problem_fields[] = {
    RPC_STRING(struct health_problem, what,
               .doc = "the kind: `stuck_worker`, `no_worker`, `busy_workers`, `late_ticks`, `full_table`, "
                      "`memory`, or what a module has told of, for example `database`",
               .length = {1, 64}),
    RPC_STRING(struct health_problem, text, .doc = "what is wrong, for people", .length = {1, 65535}),
    RPC_DOUBLE(struct health_problem, since, .doc = "since when: Unix time", .unit = "s"),
};

static const rpc_shape problem_shape = RPC_OBJECT_SHAPE(struct health_problem, problem_fields);

/* The file of settings that may change. */
struct health_config {
    const char *file, *error;
    double read_at;
    int64_t settings;
    bool ok;
};

static const rpc_field config_fields[] = {
    RPC_STRING(struct health_config, file, .doc = "the file", .length = {0, 65535}),
    RPC_DOUBLE(struct health_config, read_at, .doc = "when it was last read, or tried: Unix time",
               .unit = "s"),
    RPC_BOOL(struct health_config, ok, .doc = "its settings were taken; else those before are in force"),
    RPC_INT64(struct health_config, settings, .doc = "how many of its settings are in force"),
    RPC_STRING(struct health_config, error, .doc = "why its settings were not taken", .optional = true,
               .length = {0, 65535}),
};

static const rpc_shape config_shape = RPC_OBJECT_SHAPE(struct health_config, config_fields);

struct health_report {
    bool ok;
    struct health_problem *problems;
    size_t count;
    struct health_config config;
    bool has_config;
};

static const rpc_field report_fields[] = {
    RPC_BOOL(struct health_report, ok, .doc = "nothing is wrong"),
    RPC_OBJECT_ARRAY(struct health_report, problems, count, struct health_problem, .doc = "what is wrong",
                     .items = {0, PROBLEMS_MAX}, .shape = &problem_shape),
    RPC_OBJECT(struct health_report, config, struct health_config,
               .doc = "the last reading of config_file; null: there is none", .nullable = true,
               .flag = RPC_FLAG(struct health_report, has_config), .shape = &config_shape),
};

const rpc_shape health_shape = RPC_OBJECT_SHAPE(struct health_report, report_fields);

/* ---- Looking ---- */

/* One look at an engine. */
struct health_look {
    const struct engine *engine;
    struct arena *arena;
    struct health_report *report;
    bool passes; /* some of it may pass without anything that tells of it */
    bool no_memory;
};

/* text: memory of the arena, or what outlives it. */
static void health_add(struct health_look *look, const char *what, const char *text, double since)
{
    look->no_memory |= !text;
    if (text && look->report->count < PROBLEMS_MAX)
        look->report->problems[look->report->count++] = (struct health_problem){what, text, since};
}

static void health_look_at_modules(struct health_look *look)
{
    const rpc_instance *instance = look->engine->registry.instances;
    for (; instance; instance = instance->next) {
        for (size_t i = 0; i < TROUBLES_MAX; i++) {
            const struct troubles_row *trouble = &instance->troubles.rows[i];
            if (*trouble->what)
                health_add(look, arena_printf(look->arena, "%s", trouble->what),
                           arena_printf(look->arena, "%s: %s", instance->module->name, trouble->text),
                           trouble->since);
        }
    }
}

/* Work that has not noticed for a moment that nobody wants it is not stuck. */
static void health_look_at_threads(struct health_look *look)
{
    const uint64_t now = env_now(&look->engine->env);
    const struct task *task;
    double since = 0; /* of the first one that is only counted */
    size_t count = 0;
    look->passes |= look->engine->tasks->hanging > 0;
    if (!look->engine->tasks->hanging)
        return;
    DL_FOREACH(look->engine->tasks->pending, task)
    {
        const bool is_hanging = task->state == TASK_HANGING || task->state == TASK_LEFT;
        if (!is_hanging || !task->call || now - task->answered <= health_patience)
            continue;
        if (++count > STUCK_MAX) {
            since = since == 0 ? task->answered_at : since;
            continue;
        }
        const char *name = wire_text(look->arena, task->call->name);
        health_add(look, "stuck_worker",
                   name ? arena_printf(look->arena, "the work of %s runs on, though its caller got %s", name,
                                       status_name(task->outcome))
                        : NULL,
                   task->answered_at);
    }
    if (count > STUCK_MAX)
        health_add(
            look, "stuck_worker",
            arena_printf(look->arena, "%zu more pieces of work run on: see rpc.running", count - STUCK_MAX),
            since);
}

/* Methods that no worker offers, though workers alone carry them out, for longer than their calls wait. */
static void health_look_at_offers(struct health_look *look)
{
    const struct engine *engine = look->engine;
    const uint64_t now = env_now(&engine->env), wait = engine->remote->wait;
    const struct registry_method *method = engine->registry.methods;
    double since = 0; /* of the first one that is only counted */
    size_t count = 0;
    for (; method; method = method->hh.next) {
        const struct remote_shapes *shapes = method->remote;
        if (!shapes || !shapes->unoffered || method->placement != RPC_PLACEMENT_REMOTE || method->off)
            continue;
        look->passes |= now - shapes->unoffered <= wait;
        if (now - shapes->unoffered <= wait)
            continue;
        if (++count <= STUCK_MAX)
            health_add(look, "no_worker",
                       arena_printf(look->arena, "no worker offers %s", method->declared->name),
                       shapes->unoffered_at);
        else
            since = since == 0 ? shapes->unoffered_at : since;
    }
    if (count > STUCK_MAX)
        health_add(look, "no_worker",
                   arena_printf(look->arena, "no worker offers %zu more methods", count - STUCK_MAX), since);
}

/* Calls that wait until a worker has an end with others. */
static void health_look_at_crew(struct health_look *look)
{
    const struct engine *engine = look->engine;
    const uint64_t now = env_now(&engine->env);
    const struct task *task;
    if (!engine->remote->crew.queues.jobs)
        return;
    look->passes = true;
    DL_FOREACH(engine->tasks->pending, task)
    {
        if (!task->dispatch || remote_worker(task->dispatch))
            continue;
        const uint64_t submitted = task->dispatch->submitted;
        if (now - submitted <= health_patience || !crew_is_offered(&engine->remote->crew, task->call->method))
            continue;
        health_add(look, "busy_workers",
                   "calls have waited for more than a second until a worker can take them: see rpc.workers",
                   env_wall_time(&engine->env) - (double)(now - submitted) / 1e9);
        return;
    }
}

static void health_look_at_incidents(struct health_look *look)
{
    const struct env *env = &look->engine->env;
    const uint64_t now = env_now(env);
    if (env_is_recent(&env->late, now))
        health_add(
            look, "late_ticks",
            "deadlines and timers were more than a second late within the last minute: something keeps "
            "the broker's thread busy",
            env->late.since);
    if (env_is_recent(&env->lost, now))
        health_add(look, "memory",
                   "calls, replies or events were dropped within the last minute: no memory, or too many "
                   "messages were on their way",
                   env->lost.since);
    look->passes |= env_is_recent(&env->late, now) || env_is_recent(&env->lost, now);
}

/* The text has no numbers that change: else it would be published again and again. */
static void health_look_at_table(struct health_look *look, const struct tables_row *row, const char *option,
                                 const char *of, bool is_full, double *since)
{
    if (!is_full) {
        *since = 0;
        return;
    }
    if (*since == 0)
        *since = env_wall_time(&look->engine->env);
    look->passes = true;
    health_add(look, "full_table",
               option ? arena_printf(look->arena, "%s: 90 %% of the %s that %s allows are in use", row->name,
                                     of, option)
                      : arena_printf(look->arena, "%s: 90 %% of the %s that there is room for are in use",
                                     row->name, of),
               *since);
}

static bool health_is_full(size_t held, size_t max)
{
    return max && held >= max - max / 10;
}

static void health_look_at_tables(struct health_look *look)
{
    for (size_t i = 0; i < TABLES; i++) {
        const struct tables_row *row = &tables[i];
        double *since = look->engine->health->full_since[i];
        struct tables_use use = {0};
        row->look(look->engine, &use);
        health_look_at_table(look, row, row->option, "entries", health_is_full(use.held, use.max), since);
        health_look_at_table(look, row, row->bytes_option, "bytes",
                             health_is_full(use.held_bytes, use.bytes_max), since + 1);
    }
}

/* A reading of the file that failed is told of here, and is no problem: the settings before are in force. */
static void health_look_at_config(struct health_look *look)
{
    const struct env_reload *reload = look->engine->env.reload;
    struct health_config *config = &look->report->config;
    if (!reload)
        return;
    look->report->has_config = true;
    *config = (struct health_config){.file = wire_text(look->arena, reload->file),
                                     .error = reload->ok ? NULL : wire_text(look->arena, reload->why),
                                     .read_at = reload->read_at,
                                     .settings = reload->settings,
                                     .ok = reload->ok};
    look->no_memory |= !config->file || (!config->error && !reload->ok);
}

/* Returns false: no memory. *passes gets whether it may be over without anything that tells of it. */
static bool health_look(const struct engine *engine, struct arena *arena, struct health_report *report,
                        bool *passes)
{
    struct health_look look = {.engine = engine, .arena = arena, .report = report};
    *report = (struct health_report){.problems = arena_alloc(arena, PROBLEMS_MAX * sizeof *report->problems)};
    if (!report->problems)
        return false;
    health_look_at_modules(&look);
    health_look_at_threads(&look);
    health_look_at_offers(&look);
    health_look_at_crew(&look);
    health_look_at_incidents(&look);
    health_look_at_tables(&look);
    health_look_at_config(&look);
    report->ok = !report->count;
    *passes = look.passes;
    return !look.no_memory;
}

/* ---- Publishing ---- */

uint64_t health_due(const struct engine *engine)
{
    const struct env *env = &engine->env;
    return env->options.sys_interval && env->health_is_stale && !env->stopping ? engine->health->due
                                                                               : UINT64_MAX;
}

/* Writes as much of the document as fits into max_reply: that all is not well fits in any case. Returns
 * false: no memory. */
static bool health_write(const struct health_report *report, struct writer *writer)
{
    const struct writer empty = *writer;
    struct health_report shown = *report;
    char why[FIELDS_WHY];
    while (fields_encode(&health_shape, &shown, writer, why) == RPC_OK) {
        if (!writer->full || (!shown.count && !shown.has_config))
            return !writer->full;
        shown.count = shown.has_config ? shown.count : shown.count / 2;
        shown.has_config = false;
        *writer = empty;
    }
    return false;
}

/* Publishes the document if it is not the last one. Returns whether the broker has it. */
static bool health_send(struct engine *engine, const struct health_report *report)
{
    struct health *health = engine->health;
    struct writer writer = answer_writer(engine, &codec_json);
    if (!health_write(report, &writer))
        return false;
    const struct digest digest =
        digest_of(engine->dedup.seed, &(struct digest_part){writer.out, writer.used}, 1);
    if (health->was_published && memcmp(&digest, &health->published, sizeof digest) == 0)
        return true;
    if (!answer_publish_counter(&engine->env, HEALTH_LEVEL, true, codec_json.content_type, writer.out,
                                writer.used))
        return false;
    health->was_published = true;
    health->published = digest;
    return true;
}

void health_publish(struct engine *engine, uint64_t now)
{
    struct env *env = &engine->env;
    struct health_report report;
    struct arena arena;
    bool passes = false;
    if (!env->options.sys_interval || now < engine->health->due)
        return;
    engine->health->due = now + health_interval;
    arena_init(&arena);
    env->health_is_stale =
        !health_look(engine, &arena, &report, &passes) || !health_send(engine, &report) || passes;
    arena_fini(&arena);
}

/* ---- rpc.health ---- */

bool health_check(const struct engine *engine)
{
    struct health_report report;
    struct arena arena;
    bool passes;
    arena_init(&arena);
    const bool is_well = health_look(engine, &arena, &report, &passes) && report.ok;
    arena_fini(&arena);
    return is_well;
}

rpc_status health_run(rpc_call *call, void *state, const void *params, void *result)
{
    bool passes;
    (void)state, (void)params;
    return health_look(call->engine, &call->arena, result, &passes) ? RPC_OK : RPC_INTERNAL_ERROR;
}

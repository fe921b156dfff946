// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The tables of an engine: see tables.h. */
#include "observe/tables.h"

#include "base/instance.h"
#include "call/connections.h"
#include "call/engine_parts.h"
#include "call/foreign.h"
#include "call/remote.h"
#include "call/task.h"

#include <utlist.h>

static void tables_look_pending(const struct engine *engine, struct tables_use *use)
{
    const struct engine_options *options = &engine->env.options;
    *use = (struct tables_use){.entries = engine->slots.count,
                               .max = (size_t)options->max_pending,
                               .bytes = engine->slots.bytes,
                               .bytes_max = (size_t)options->max_pending_bytes,
                               .held = engine->slots.count,
                               .held_bytes = engine->slots.bytes};
}

static void tables_look_replies(const struct engine *engine, struct tables_use *use)
{
    const struct reply_cache *cache = &engine->dedup.duplicates;
    const struct cached_reply *entry;
    *use = (struct tables_use){.entries = cache->count,
                               .max = cache->max_entries,
                               .bytes = cache->bytes,
                               .bytes_max = cache->max_bytes};
    DL_COUNT(cache->unfinished, entry, use->held);
}

static void tables_look_connections(const struct engine *engine, struct tables_use *use)
{
    use->entries = HASH_COUNT(engine->connections);
}

static void tables_look_accounts(const struct engine *engine, struct tables_use *use)
{
    use->entries = engine->accounts.count;
    use->max = ACCOUNTS_MAX;
}

static void tables_look_timers(const struct engine *engine, struct tables_use *use)
{
    use->entries = use->held = engine->timers.due.count;
    use->max = TIMERS_MAX;
}

static void tables_look_background(const struct engine *engine, struct tables_use *use)
{
    use->entries = use->held = engine->tasks->background;
    use->max = TASKS_BACKGROUND_MAX;
}

static void tables_look_letters(const struct engine *engine, struct tables_use *use)
{
    *use = (struct tables_use){.entries = engine->dead.count,
                               .max = DEAD_MAX,
                               .bytes = engine->dead.bytes,
                               .bytes_max = DEAD_BYTES_MAX};
}

static void tables_look_declared(const struct engine *engine, struct tables_use *use)
{
    const struct foreign *foreign = engine->foreign;
    const size_t count = foreign->methods + foreign->events;
    *use = (struct tables_use){.entries = count,
                               .max = FOREIGN_METHODS_MAX + FOREIGN_EVENTS_MAX,
                               .bytes = foreign->bytes,
                               .bytes_max = FOREIGN_BYTES_MAX,
                               .held = count,
                               .held_bytes = foreign->bytes};
}

static void tables_look_workers(const struct engine *engine, struct tables_use *use)
{
    use->entries = use->held = HASH_COUNT(engine->remote->crew.workers);
    use->max = CREW_WORKERS_MAX;
}

static void tables_look_worker_calls(const struct engine *engine, struct tables_use *use)
{
    const struct crew *crew = &engine->remote->crew;
    use->entries = use->held = crew->outstanding + crew->queues.jobs;
}

const struct tables_row tables[TABLES] = {
    {"pending_calls", "calls that wait for a thread or for something else", "max_pending",
     "max_pending_bytes", tables_look_pending},
    {"cached_replies", "calls whose duplicates would get the same reply", "duplicate_entries",
     "duplicate_bytes", tables_look_replies},
    {"connections", "connections of clients that wait for something", NULL, NULL, tables_look_connections},
    {"accounts", "clients that owe something of their rates", NULL, NULL, tables_look_accounts},
    {"timers", "timers of modules", NULL, NULL, tables_look_timers},
    {"background_work", "work without a call", NULL, NULL, tables_look_background},
    {"dead_letters", "calls that failed with nobody to tell", NULL, NULL, tables_look_letters},
    {"declared", "methods and events that workers declare", NULL, NULL, tables_look_declared},
    {"workers", "workers that are attached", NULL, NULL, tables_look_workers},
    {"worker_calls", "calls that workers have or are to get", NULL, NULL, tables_look_worker_calls},
};

size_t tables_count(const struct engine *engine)
{
    size_t count = TABLES;
    for (const rpc_instance *instance = engine->registry.instances; instance; instance = instance->next)
        count += instance->module->gauges.count;
    return count;
}

static void tables_look_gauge(const rpc_instance *instance, const rpc_gauge *gauge,
                              struct tables_shown *shown)
{
    rpc_use use = {0};
    gauge->look(instance->state, &use);
    *shown = (struct tables_shown){
        .module = instance->module->name,
        .name = gauge->name,
        .use = {.entries = use.entries, .max = use.max, .bytes = use.bytes, .bytes_max = use.bytes_max}};
}

void tables_look(const struct engine *engine, size_t i, struct tables_shown *shown)
{
    *shown = (struct tables_shown){.name = ""};
    if (i < TABLES) {
        shown->name = tables[i].name;
        tables[i].look(engine, &shown->use);
        return;
    }
    const rpc_instance *instance = engine->registry.instances;
    for (i -= TABLES; instance && i >= instance->module->gauges.count; instance = instance->next)
        i -= instance->module->gauges.count;
    if (instance)
        tables_look_gauge(instance, &instance->module->gauges.rows[i], shown);
}

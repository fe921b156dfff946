// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What is open: see survey.h. */
#define HASH_NONFATAL_OOM 1

#include "observe/survey.h"

#include "call/engine_parts.h"
#include "call/exchange.h"

#include <stdlib.h>
#include <utlist.h>

/* As long as work waits for a thread, it may begin without the broker's thread being told: that is news. */
void survey_tasks(struct engine *engine, struct survey *survey)
{
    const struct task *task;
    *survey = (struct survey){0};
    tasks_note_begun(engine);
    for (struct registry_method *method = engine->registry.methods; method; method = method->hh.next)
        method->statistics.open = (struct statistics_open){0};
    DL_FOREACH(engine->tasks->pending, task)
    {
        survey->running += task->begun && !task->dispatch;
        survey->waiting += task->has_work && !task->begun;
        survey->deferred += !task->has_work && !task->dispatch;
        if (!task->call)
            continue;
        struct statistics_open *open = &task->call->method->statistics.open;
        open->running += task->begun;
        open->waiting += !task->begun;
    }
    engine->tasks->has_news = survey->waiting > 0;
}

/* ---- Lanes ---- */

struct survey_entry {
    struct digest key; /* as in struct task */
    struct survey_lane lane;
    UT_hash_handle hh;
};

/* Counts a task in its lane. Returns false: no memory. */
static bool survey_enter(struct survey_entry **entries, const struct task *task)
{
    struct survey_entry *entry;
    HASH_FIND(hh, *entries, &task->lane_key, sizeof task->lane_key, entry);
    if (!entry) {
        entry = calloc(1, sizeof *entry);
        if (!entry)
            return false;
        entry->key = task->lane_key;
        entry->lane.name = task->lane;
        entry->lane.instance = task->instance;
        HASH_ADD(hh, *entries, key, sizeof entry->key, entry);
        if (!entry->hh.tbl) {
            free(entry);
            return false;
        }
    }
    entry->lane.running += task->begun;
    entry->lane.waiting += !task->begun;
    return true;
}

static int survey_compare(const struct survey_entry *one, const struct survey_entry *other)
{
    const size_t count = one->lane.waiting + one->lane.running;
    const size_t against = other->lane.waiting + other->lane.running;
    return count > against ? -1 : count < against;
}

bool survey_lanes(struct engine *engine, struct survey_lanes *lanes)
{
    struct survey_entry *entries = NULL, *entry, *next;
    const struct task *task;
    bool is_whole = true;
    lanes->count = 0;
    DL_FOREACH(engine->tasks->pending, task)
    {
        if (task->has_lane)
            is_whole = survey_enter(&entries, task) && is_whole;
    }
    HASH_SORT(entries, survey_compare);
    HASH_ITER(hh, entries, entry, next)
    {
        if (lanes->count < SURVEY_LANES)
            lanes->rows[lanes->count++] = entry->lane;
        HASH_DEL(entries, entry);
        free(entry);
    }
    return is_whole;
}

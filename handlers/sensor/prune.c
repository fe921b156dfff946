// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Deleting old readings: see prune.h. */
#include "prune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PRUNE_S = 60,   /* time between two prunings; a tenth of keep_age if that is less */
    NOTICE_S = 3600 /* a clock that is further ahead than this is worth a line in the log */
};

static bool prune_note_removed(void *data, const char *sensor, size_t size)
{
    struct pruning *pruning = data;
    char *removed = realloc(pruning->removed, pruning->size + size + 1);
    if (!removed)
        return false;
    pruning->removed = removed;
    memcpy(removed + pruning->size, sensor, size);
    pruning->size += size + 1;
    removed[pruning->size - 1] = '\0';
    return true;
}

static void prune_work(rpc_job *job, void *data)
{
    struct pruning *pruning = data;
    (void)job;
    pruning->size = 0;
    pruning->pruned = store_prune(pruning->store, &pruning->limits, &pruning->more, &pruning->failure);
}

static rpc_status prune_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result);

static void prune_start(struct sensors *sensors)
{
    sensors->pruning_runs = rpc_background(sensors->instance, "writing", prune_work, prune_done,
                                           &sensors->pruning) == RPC_PENDING;
}

/* Starts a new job for the rest, so that other jobs of the lane can run in between. */
static rpc_status prune_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct sensors *sensors = state;
    struct pruning *pruning = data;
    (void)call, (void)result;
    sensors->pruning_runs = false;
    for (size_t at = 0; pruning->pruned && at < pruning->size; at += strlen(pruning->removed + at) + 1) {
        table_forget(&sensors->table, pruning->removed + at);
        sensors_retract(sensors, pruning->removed + at);
    }
    free(pruning->removed);
    pruning->removed = NULL;
    pruning->size = 0;
    if (outcome != RPC_OK)
        return outcome;
    if (!pruning->pruned)
        sensors_note_failure(sensors, &pruning->failure, "old readings could not be deleted");
    else
        sensors_note_success(sensors);
    if (pruning->pruned && pruning->more)
        prune_start(sensors);
    return RPC_OK;
}

uint32_t prune_seconds(const struct sensors *sensors)
{
    const int64_t tenth = sensors->options->keep_age / 10;
    const int64_t seconds = tenth == 0 && sensors->options->keep_age ? 1 : tenth;
    return (uint32_t)(seconds && seconds < PRUNE_S ? seconds : PRUNE_S);
}

void prune_begin(rpc_instance *instance, void *state, void *data)
{
    struct sensors *sensors = state;
    const int64_t age = sensors->options->keep_age;
    const double clock = rpc_time(instance);
    (void)data;
    const bool is_ahead = age_tick(&sensors->age, clock, prune_seconds(sensors));
    const double now = age_now(&sensors->age, clock);
    if (is_ahead && clock - now > (double)NOTICE_S)
        rpc_log(instance, RPC_LOG_NOTICE,
                "the clock is %.0f s ahead of the last reading and of the time since: until it has run "
                "evenly for "
                "%.0f s, nothing is too old by it",
                clock - now, sensors->age.patience);
    if (sensors->pruning_runs || !sensors->loaded)
        return;
    sensors->pruning.limits = (struct store_limits){
        .oldest = age ? now - (double)age : -INFINITY,
        .now = now,
        .keep = sensors->options->keep_count,
        .rows = SENSORS_ROWS,
        .removed = prune_note_removed,
        .data = &sensors->pruning,
    };
    prune_start(sensors);
}

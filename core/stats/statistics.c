// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Counting calls: see statistics.h. */
#include "stats/statistics.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

/* The bounds: X(seconds, nanoseconds). */
#define STATISTICS_BOUNDS(X) \
    X(0.0001, 100000)        \
    X(0.00025, 250000)       \
    X(0.0005, 500000)        \
    X(0.001, 1000000)        \
    X(0.0025, 2500000)       \
    X(0.005, 5000000)        \
    X(0.01, 10000000)        \
    X(0.025, 25000000)       \
    X(0.05, 50000000)        \
    X(0.1, 100000000)        \
    X(0.25, 250000000)       \
    X(0.5, 500000000)        \
    X(1, 1000000000)         \
    X(2.5, 2500000000)       \
    X(5, 5000000000)         \
    X(10, 10000000000)

#define SECONDS(seconds, nanoseconds) seconds,
const double statistics_bounds[] = {STATISTICS_BOUNDS(SECONDS)};
#undef SECONDS

#define NANOSECONDS(seconds, nanoseconds) UINT64_C(nanoseconds),
static const uint64_t statistics_limits[] = {STATISTICS_BOUNDS(NANOSECONDS) UINT64_MAX};
#undef NANOSECONDS

bool statistics_init(struct statistics *statistics, size_t errors)
{
    statistics->raised = errors ? calloc(errors, sizeof *statistics->raised) : NULL;
    return statistics->raised || !errors;
}

void statistics_fini(struct statistics *statistics)
{
    free(statistics->raised);
}

void statistics_count(struct statistics *statistics, rpc_status status, uint64_t nanoseconds)
{
    size_t bucket = 0;
    while (nanoseconds > statistics_limits[bucket])
        bucket++;
    statistics->calls++;
    statistics->statuses[status]++;
    statistics->buckets[bucket]++;
    statistics->sum += nanoseconds;
    if (nanoseconds > statistics->max)
        statistics->max = nanoseconds;
    statistics->changed = true;
}

void statistics_note_error(struct statistics *statistics, const rpc_method *method, const char *code,
                           const char *message, double at)
{
    for (size_t i = 0; i < method->errors.count; i++)
        statistics->raised[i] += method->errors.rows[i].code == code;
    statistics->last.code = code;
    statistics->last.at = at;
    snprintf(statistics->last.message, sizeof statistics->last.message, "%.*s",
             (int)text_cut(message, STATISTICS_MESSAGE - 1), message);
}

double statistics_quantile(const struct statistics *statistics, double share)
{
    const double max = (double)statistics->max / 1e9;
    double wanted = share * (double)statistics->calls, low = 0;
    for (int i = 0; i < STATISTICS_BUCKETS && wanted > 0; i++) {
        const double count = (double)statistics->buckets[i];
        double high = i < STATISTICS_BUCKETS - 1 ? statistics_bounds[i] : max;
        high = high > max ? max : high;
        if (count >= wanted)
            return low + (high - low) * wanted / count;
        wanted -= count;
        low = high;
    }
    return low;
}

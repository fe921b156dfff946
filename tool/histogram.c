// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Buckets that grow with the durations that they count: linear within each power of two. */
#include "histogram.h"

enum { HISTOGRAM_BITS = 7 }; /* of HISTOGRAM_STEPS */

/* Durations below 2 * HISTOGRAM_STEPS have a bucket each; of larger ones the first 8 bits say which bucket.
 */
static unsigned histogram_bucket(uint64_t ns)
{
    unsigned power = 0;
    if (ns >> HISTOGRAM_POWERS)
        return HISTOGRAM_BUCKETS - 1;
    while (ns >> (power + HISTOGRAM_BITS + 1))
        power++;
    return power * HISTOGRAM_STEPS + (unsigned)(ns >> power);
}

/* The largest duration of a bucket. */
static uint64_t histogram_top(unsigned bucket)
{
    if (bucket == HISTOGRAM_BUCKETS - 1)
        return UINT64_MAX;
    const unsigned power = bucket < 2 * HISTOGRAM_STEPS ? 0 : bucket / HISTOGRAM_STEPS - 1;
    return ((uint64_t)(bucket - power * HISTOGRAM_STEPS) + 1) * (UINT64_C(1) << power) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
    if (histogram->count++ == 0 || ns < histogram->min)
        histogram->min = ns;
    if (ns > histogram->max)
        histogram->max = ns;
    histogram->sum += (double)ns;
    histogram->buckets[histogram_bucket(ns)]++;
}

uint64_t histogram_percentile(const struct histogram *histogram, double share)
{
    const double wanted = share * (double)histogram->count;
    uint64_t counted = 0;
    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        counted += histogram->buckets[bucket];
        if (counted > 0 && (double)counted >= wanted)
            return histogram_top(bucket) < histogram->max ? histogram_top(bucket) : histogram->max;
    }
    return histogram->max;
}

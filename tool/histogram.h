// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Durations of many calls in a fixed amount of memory: how many there were, the largest and the smallest,
 * their mean, and their percentiles, which are never too small, and too large by less than 1 %.
 *
 * Threads: one at a time.
 *
 * Ownership: a plain struct of 37 kB. A zeroed one is empty. Nothing is allocated.
 *
 * Failure: nothing can fail.
 */
#ifndef TOOL_HISTOGRAM_H
#define TOOL_HISTOGRAM_H

#include <stdint.h>

/* Each power of two has so many buckets. All durations of more than 2^HISTOGRAM_POWERS ns, an hour, have one.
 */
enum {
    HISTOGRAM_STEPS = 128,
    HISTOGRAM_POWERS = 42,
    HISTOGRAM_BUCKETS = (HISTOGRAM_POWERS - 6) * HISTOGRAM_STEPS
};

struct histogram {
    uint64_t count, min, max; /* nanoseconds */
    double sum;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t ns);

/* The duration in nanoseconds that this share of all, from 0 to 1, did not exceed; 0 if the histogram is
 * empty. */
uint64_t histogram_percentile(const struct histogram *histogram, double share);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The time by which readings and sensors grow old, so that a wrong clock destroys none.
 *
 * A computer without a battery starts with any time until the network corrects it. Readings that are deleted
 * meanwhile are gone for good, but readings that are deleted late do no harm. So the believed time follows
 * the clock only as far as time has passed by the timers, which no one can set, since the last reading was
 * stored. When the clock differs from that time:
 *
 * - ahead, as after a longer stop: it is believed when it has run evenly for `patience`. By then, whatever
 *   was younger than that before has grown as old by itself.
 * - behind: nothing grows old by it. When it has run evenly for an hour, the next steps start from it.
 *
 * Threads: one at a time. Ownership: the struct is embedded and holds nothing. Failure: none.
 */
#ifndef SENSOR_AGE_H
#define SENSOR_AGE_H

#include <stdbool.h>

/* Times are Unix times, and all are in seconds. */
struct age {
    double limit;    /* the believed time is not later than this */
    double clock;    /* the clock at the last tick */
    double apart;    /* for how long the clock has run evenly, apart from the limit */
    double patience; /* for how long a clock that is ahead must do so */
};

/* Starts. `last` is when something was stored last; NAN: never. */
void age_start(struct age *age, double clock, double last, double patience);

/* Must be called from time to time, `passed` after the last call. Returns whether the clock has begun to be
 * ahead, so that it is not believed. */
bool age_tick(struct age *age, double clock, double passed);

/* The believed time. */
double age_now(const struct age *age, double clock);

#endif

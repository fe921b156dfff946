// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The time by which readings and sensors grow old: see age.h. */
#include "age.h"

#include <math.h>

enum { BEHIND_S = 3600 }; /* how long a clock that is behind must run evenly */

void age_start(struct age *age, double clock, double last, double patience)
{
    *age = (struct age){isnan(last) ? clock : last, clock, 0, patience};
}

/* A tick may come late, and the clock is adjusted in small steps: up to one tick apart is even. */
bool age_tick(struct age *age, double clock, double passed)
{
    const bool is_even = fabs(clock - age->clock - passed) <= passed;
    const bool was_apart = age->apart > 0;
    age->clock = clock;
    age->limit += passed;
    if (fabs(clock - age->limit) > passed) {
        age->apart = is_even ? age->apart + passed : passed;
        if (age->apart <= (clock > age->limit ? age->patience : (double)BEHIND_S))
            return clock > age->limit && !was_apart;
    }
    age->limit = clock;
    age->apart = 0;
    return false;
}

double age_now(const struct age *age, double clock)
{
    return fmin(clock, age->limit);
}

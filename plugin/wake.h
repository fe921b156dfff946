// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Wakes the broker's loop. Brokers before 2.1 serve WebSockets clients only after their loop has waited
 * once more, 100 ms on an idle one; a reply to such a client needs a wake-up behind it.
 *
 * A POSIX timer sends the thread of the loop a signal whose handler does nothing but count: it interrupts
 * the wait, and the loop goes round. It is sent again until the loop has been seen to go round, since a
 * signal that arrives just before the wait interrupts nothing, and a number of times at most, since the
 * loop of some configurations tells nobody that it goes round (TICK before 2.0.15 with
 * per_listener_settings).
 */
#ifndef PLUGIN_WAKE_H
#define PLUGIN_WAKE_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

/* All zero: nothing is set up yet. Its address must not change once it was used. */
struct wake {
    bool made, unavailable;
    timer_t timer;
    int signal;
    struct sigaction before;
    unsigned ticks;  /* how often the loop still has to go round */
    atomic_int left; /* signals that may still be sent; the handler counts them down */
};

/* Makes the loop go round soon; on the loop's thread only. Sets itself up when first used. */
void wake_request(struct wake *wake);

/* The loop has gone round. */
void wake_tick(struct wake *wake);

/* Puts back what was set up; accepts all zero. */
void wake_clear(struct wake *wake);

#endif

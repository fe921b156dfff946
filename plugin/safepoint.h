// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Whether a signal has interrupted the broker's thread in the wait of its main loop.
 *
 * Brokers before 2.0.15 never send TICK with per_listener_settings, and nothing else that their loop calls
 * each round reaches a plugin. What is left is the signal that wakes the loop: its handler runs on the
 * loop's own thread, and if it came during the wait, then that thread is inside one system call. It holds no
 * lock there, neither of the C library nor of anything else, and every structure of the broker is as whole
 * as it is when TICK is sent, for the broker waits between two rounds and not within one. What is safe in a
 * TICK is safe there; in any other place next to nothing is.
 *
 * That it is this wait is read from the processor's registers as the kernel left them for the handler. The
 * thread stands behind a system call that has just failed with EINTR; a handler installed with SA_RESTART
 * leaves few calls that do. The call's arguments are still in their registers, and they are those of the
 * loop's epoll_wait(): an array inside the program's own data, 1000 entries of it, 100 ms. No library and
 * no other plugin waits with that array. All this is the kernel's interface and the text of broker versions
 * that change no more. Where in the C library the call is does not matter, which differs between C
 * libraries, between versions of one, and with libraries preloaded in front of it.
 *
 * Processors other than x86-64, AArch64 and ARM with Thumb-2 have no such point here.
 */
#ifndef PLUGIN_SAFEPOINT_H
#define PLUGIN_SAFEPOINT_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: never reached. */
struct safepoint {
    uintptr_t begin, end; /* the program's data */
};

/* Finds the program's data. Stays all zero where there is no safe point. */
void safepoint_find(struct safepoint *safepoint);

/* Whether what the handler interrupted is the wait. context: the handler's third argument. Async-signal-safe.
 */
bool safepoint_reached(const struct safepoint *safepoint, const void *context);

#endif

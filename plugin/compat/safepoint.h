// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The safe point: tells a signal handler whether it has interrupted the broker's thread in the wait of the
 * broker's main loop.
 *
 * Needed by Mosquitto 2.0.0 to 2.0.14 (Debian 12 has 2.0.11) with per_listener_settings: these never send
 * TICK, and nothing else that their loop calls each round reaches a plugin. To be deleted when the plugin no
 * longer supports brokers before 2.0.15, with the option safe_point and the uses of it in wake.c.
 *
 * What is left there is the signal that wakes the loop. Its handler runs on the loop's own thread. If the
 * signal came during the wait, the thread is inside one system call: it holds no lock, neither of the C
 * library nor of anything else, and every structure of the broker is as whole as it is when TICK is sent, for
 * the broker waits between two rounds and not within one. What is safe in a TICK is safe there; in any other
 * place hardly anything is.
 *
 * That it is this wait is read from the processor's registers as the kernel left them for the handler. The
 * thread stands behind a system call that has just failed with EINTR; a handler installed with SA_RESTART
 * leaves few calls that do. The call's arguments are still in their registers, and they are those of the
 * loop's epoll_wait(): an array inside the program's own data, 1000 entries of it, 100 ms. No library and
 * no other plugin waits with that array. All this is the kernel's interface and the text of broker versions
 * that change no more. Where in the C library the call is does not matter, which differs between C
 * libraries, between versions of one, and with libraries preloaded in front of it.
 *
 * Processors other than x86-64, AArch64 and 32-bit ARM have no safe point here.
 *
 * Threads: safepoint_find() on the broker's thread; safepoint_reached() in a signal handler on that thread.
 *
 * Ownership: struct safepoint is plain data.
 *
 * Failure: none; where there is no safe point, it is never reached.
 */
#ifndef PLUGIN_COMPAT_SAFEPOINT_H
#define PLUGIN_COMPAT_SAFEPOINT_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: never reached. */
struct safepoint {
    uintptr_t begin, end; /* the program's data */
};

/* Finds the program's data. */
void safepoint_find(struct safepoint *safepoint);

/* Whether the handler has interrupted the wait. context: its third argument. Async-signal-safe. */
bool safepoint_reached(const struct safepoint *safepoint, const void *context);

#endif

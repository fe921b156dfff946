// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Makes the broker's loop go round when there is something to collect, or when it is time.
 *
 * The loop waits in epoll_wait() for up to 100 ms, or 24 hours, and all that a plugin can do about it is to
 * interrupt the wait by a signal to the loop's thread. A signal that arrives just before the wait interrupts
 * nothing, so it has to come again until the loop has been seen to go round. It has to go round twice:
 * from 2.1 on TICK comes after what plugins published was handed over and before the wait, so that what is
 * published in a TICK needs the next round, and brokers of 2.0 serve WebSockets only after the next wait.
 *
 * What sends the signals is the kernel: POSIX timers that are directed at the loop's thread. A thread of
 * our own could do the same, but it would have to be woken before it wakes (two switches of context instead
 * of none), sleep between its signals, be told of each new deadline and be joined at the end; it can be
 * starved by the very load that makes wake-ups late; and signals that it sends pile up when the loop is
 * busy, while one timer never has more than one on its way. Arming a timer is one system call from any
 * thread, also from a signal handler, and a timer that is not armed costs nothing.
 *
 * How no wake-up gets lost:
 *
 * - Whoever has something to collect first stores it and then sets `requested`; the loop clears `requested`
 *   in wake_tick() and collects afterwards. So what is not collected now finds `requested` cleared, sets it,
 *   and sees to it that signals come.
 * - They come while `armed`. Only the loop disarms, in a round in which nothing was requested, and not before
 *   a whole period has passed without requests (`lull`), so that many of them do not start and stop the timer
 *   each time: it clears `armed`, stops the timer, and then looks at `requested` once more. The requester
 * does it the other way round: `requested`, then `armed`. One of the two sees what the other has done; if
 * both do, the timer is started twice, which does no harm, and a start that was undone by the stop is made up
 * for by the loop.
 * - The alarm's signal makes a request like any other. It may come between any two instructions of the
 *   loop's thread: see wake_at() in wake.c.
 * - If the loop does not go round for long, the timer becomes slower, so that a busy loop is not drowned.
 *
 * For brokers that send no TICK the signal's handler does what a TICK would, if it has interrupted the wait
 * (safepoint.h); only for as long as no TICK was ever seen.
 */
#ifndef PLUGIN_WAKE_H
#define PLUGIN_WAKE_H

#include "safepoint.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct wake;

struct wake_timer {
    timer_t timer;
    struct wake *wake; /* the signal carries the address of this structure */
};

/* All zero: closed, and nothing wakes anybody. */
struct wake {
    bool open;
    int signal;
    pid_t process, thread;
    pthread_t loop;
    struct sigaction before;
    struct wake_timer kick, alarm;
    atomic_bool requested, armed;
    atomic_bool lull;          /* a whole period has passed since the last request */
    atomic_bool ticked;        /* a TICK was seen */
    atomic_uint signals;       /* since the loop was last seen to go round */
    _Atomic uint64_t alarm_at; /* when the alarm's signal comes at the latest */
    struct safepoint safepoint;
    bool met;     /* the loop was interrupted in its wait, by which it can do without TICK */
    bool resting; /* and when that last happened, nothing was requested */
    void (*collect)(void *context);
    void *context;
};

/*
 * On the loop's thread. collect(context) does what is done in a TICK; it is called from a signal handler
 * where the broker sends none. Returns false if there is no free signal or no timer: the structure is closed
 * then. Its address must not change while it is open.
 */
bool wake_start(struct wake *wake, void (*collect)(void *context), void *context);

/* Makes the loop go round soon, twice. From any thread and from signal handlers. */
void wake_request(struct wake *wake);

/*
 * On the loop's thread: it is to go round at this time of CLOCK_MONOTONIC, in nanoseconds; 0 and UINT64_MAX:
 * at no time. Each call replaces the time of the one before. An alarm that is earlier than it need be stays
 * as it is and may wake the loop once for nothing, so that postponing it, as every finished call does, is
 * free; the time is then to be told anew.
 */
void wake_at(struct wake *wake, uint64_t when);

/* A TICK has come. To be called before results are collected. Returns whether anybody has asked for it. */
bool wake_tick(struct wake *wake);

/* Puts back what was set up; no other thread may make requests any more. Accepts a closed one. */
void wake_stop(struct wake *wake);

#endif

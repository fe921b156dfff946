// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Wakes the broker's loop when there is something to collect, or at a given time.
 *
 * The loop waits in epoll_wait() for up to 100 ms, or 24 hours, and all that a plugin can do about it is to
 * interrupt the wait by a signal to the loop's thread. A signal that arrives just before the wait interrupts
 * nothing, so it is repeated until the loop has been seen to go round. The loop has to go round twice: from
 * 2.1 on TICK comes after what plugins published was handed over and before the wait, so that what is
 * published in a TICK needs the next round, and brokers of 2.0 serve WebSockets only after the next wait.
 *
 * Many brokers of 2.0, Debian 12's among them, write no more than 4 kB of a message to a WebSockets client in
 * a round, and wait before each: a large message takes many rounds, which wake_go_on() asks for. Nothing
 * tells whether the client takes them up. So they come at four paces, each four times as slow as the one
 * before and with as many rounds as the messages take: the first is enough for a client that is near, the
 * others are for what a network holds back. After the last pace the loop goes round in its own time, even if
 * the client has not taken up all.
 *
 * The signals come from POSIX timers that are directed at the loop's thread. A thread of our own would have
 * to be woken before it wakes, the load that makes wake-ups late could starve it, and its signals would pile
 * up while the loop is busy; one timer never has more than one on its way. Arming a timer is one system call
 * from any thread, also from a signal handler, and a timer that is not armed costs nothing.
 *
 * Why no wake-up gets lost:
 *
 * - A thread that has something to collect first stores it and then sets `requested`; the loop clears
 *   `requested` in wake_tick() and collects afterwards. So a thread whose work is not collected now finds
 *   `requested` cleared, sets it, and arms the timer.
 * - Signals come while `armed`. Only the loop disarms, in a round in which nothing was requested, and not
 *   before a whole period has passed without requests (`lull`), so that many requests do not start and stop
 *   the timer each time: it clears `armed`, stops the timer, and then looks at `requested` once more. The
 *   requester does it the other way round: `requested`, then `armed`. One of the two sees what the other has
 *   done; if both do, the timer is started twice, which does no harm, and the loop makes up for a start that
 *   was undone by the stop.
 * - The slower paces of large messages are no arming: while they last, `armed` is WAKE_PACED, in the place of
 *   WAKE_STOPPED, and the timer has their period, in the place of none. All else is as above.
 * - The alarm's signal makes a request like any other. It may come between any two instructions of the
 *   loop's thread: see wake_at() in wake.c.
 * - If the loop does not go round for long, the timer becomes slower, so that signals do not flood a busy
 *   loop.
 *
 * For brokers that send no TICK the signal's handler does what a TICK would, if it has interrupted the wait
 * (compat/safepoint.h), and only until the first TICK.
 *
 * Any process of the same user can send the signal, too, with whatever it likes in it. So nothing that comes
 * with it is believed: the handler finds the wakes in a list of its own, which is the plugin's only mutable
 * static variable, since a handler has no user data.
 *
 * Threads: wake_request() may be called on any thread and in signal handlers, the other functions on the
 * loop's thread. collect() runs on the loop's thread, in the signal's handler.
 *
 * Ownership: a wake is embedded where its address does not change while it runs. It owns one real-time
 * signal of the process and two timers.
 *
 * Failure: wake_start() returns false where no signal or no timer is free; the other functions do nothing
 * then, and the loop goes round in its own time.
 */
#ifndef PLUGIN_WAKE_H
#define PLUGIN_WAKE_H

#include "compat/safepoint.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum { WAKE_ROUNDS_MAX = 1024 };

enum {
    WAKE_STOPPED, /* no signals come */
    WAKE_PACED,   /* they come at one of the slower paces of large messages */
    WAKE_ARMED
};

/* All zero: stopped. */
struct wake {
    bool running;
    int signal;
    pid_t process, thread;
    pthread_t loop;
    struct sigaction before;
    timer_t kick, alarm;
    atomic_bool requested;
    atomic_int armed;          /* one of the above */
    atomic_bool lull;          /* a whole period has passed since the last request */
    atomic_bool ticked;        /* a TICK was seen */
    atomic_uint signals;       /* since the loop was last seen to go round */
    _Atomic uint64_t alarm_at; /* when the alarm's signal comes at the latest */
    unsigned rounds, stride;   /* for large messages: how many are to come, and how many at each pace */
    struct safepoint safepoint;
    bool met;     /* the safe point was reached: the loop needs no TICK */
    bool resting; /* and when it was last reached, nothing was requested */
    void (*collect)(void *context);
    void *context;
};

/*
 * Starts. collect(context) does what is done in a TICK; it is called at the safe point where the broker sends
 * none, if `safe_point`. Returns false if there is no free signal or no timer: the wake is stopped then.
 */
bool wake_start(struct wake *wake, bool safe_point, void (*collect)(void *context), void *context);

/* Puts back what was set up; no other thread may make requests any more. Accepts a stopped one. */
void wake_stop(struct wake *wake);

/* The loop is to go round soon, twice. */
void wake_request(struct wake *wake);

/*
 * The loop is to go round soon, and then so many times more at each pace, for a large message; with 0 it is
 * the same as wake_request(). The rounds of several messages add up, to WAKE_ROUNDS_MAX.
 */
void wake_go_on(struct wake *wake, unsigned rounds);

/*
 * The loop is to go round at this time of CLOCK_MONOTONIC, in nanoseconds; 0 and UINT64_MAX: at no time. Each
 * call replaces the time of the one before. An alarm that is earlier than it need be stays as it is and may
 * wake the loop once for nothing, so that postponing it, as every finished call does, is free; the time has
 * to be set anew then.
 */
void wake_at(struct wake *wake, uint64_t when);

/* Whether the safe point can be reached: requests are met where the broker sends no TICK, too. */
bool wake_has_safe_point(const struct wake *wake);

/* A TICK has come. To be called before results are collected. Returns whether there was a request. */
bool wake_tick(struct wake *wake);

#endif

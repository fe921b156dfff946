// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Waking the loop by timers' signals: see wake.h. */
#include "wake.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id /* older C libraries leave the name to the kernel's headers */
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
    SECOND = 1000000000,
    AGAIN_NS = 40000,   /* from a TICK to the next wait, with some replies to write in between */
    PERIOD_NS = 300000, /* short beside 100 ms, long beside the broker's own work of a round */
    PATIENCE = 128,     /* signals in a row; from then on they become rarer */
    PACES = 4,          /* of the rounds for large messages: 0.3, 1.2, 4.8 and 19.2 ms */
    WAKES = 64,         /* of one process */
    UNTICKED_NS = 1000000
};

#define NO_ALARM UINT64_MAX

static struct timespec wake_timespec(uint64_t nanoseconds)
{
    return (struct timespec){(time_t)(nanoseconds / SECOND), (long)(nanoseconds % SECOND)};
}

/* The first signal and the time between two of them, nanoseconds; 0: no more signals come. */
static void wake_kick(struct wake *wake, uint64_t first, uint64_t period)
{
    const struct itimerspec times = {wake_timespec(period), wake_timespec(first)};
    timer_settime(wake->kick, 0, &times, NULL);
}

/* ---- Requests ---- */

/* The loop has to reach its wait before a signal is of use. */
static void wake_request_on_loop(struct wake *wake)
{
    atomic_store(&wake->armed, WAKE_ARMED);
    wake_kick(wake, AGAIN_NS, PERIOD_NS);
}

/* A signal has come or is on its way: those of the timer are for the case that it interrupts nothing. */
static void wake_arm(struct wake *wake)
{
    if (atomic_exchange(&wake->armed, WAKE_ARMED) != WAKE_ARMED)
        wake_kick(wake, PERIOD_NS, PERIOD_NS);
}

/*
 * Another thread sends a signal at once, which reaches the loop sooner than the timer's first. There is never
 * more than one on its way: the next one is sent after the loop has run, which takes the signal first.
 */
void wake_request(struct wake *wake)
{
    if (!wake->running || atomic_exchange(&wake->requested, true))
        return;
    atomic_store(&wake->lull, false);
    if (pthread_equal(pthread_self(), wake->loop)) {
        wake_request_on_loop(wake);
        return;
    }
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_code = SI_QUEUE;
    info.si_pid = wake->process;
    syscall(SYS_rt_tgsigqueueinfo, wake->process, wake->thread, wake->signal, &info);
    wake_arm(wake);
}

/* The rounds that are left for earlier messages are spread over all paces anew. */
void wake_go_on(struct wake *wake, unsigned rounds)
{
    if (rounds) {
        rounds = rounds < WAKE_ROUNDS_MAX ? rounds : WAKE_ROUNDS_MAX;
        rounds += wake->rounds / PACES;
        wake->stride = rounds < WAKE_ROUNDS_MAX ? rounds : WAKE_ROUNDS_MAX;
        wake->rounds = PACES * wake->stride;
    }
    wake_request(wake);
}

/*
 * The time is stored before the timer is set: the handler clears it, and a timer that expires at once would
 * else leave the time of an alarm that is over. If the alarm before this one goes off in between, the time is
 * lost, and the timer is set once more than it need be.
 */
void wake_at(struct wake *wake, uint64_t when)
{
    if (!wake->running || when == 0 || when >= atomic_load(&wake->alarm_at))
        return;
    atomic_store(&wake->alarm_at, when);
    const struct itimerspec times = {{0, 0}, wake_timespec(when)};
    timer_settime(wake->alarm, TIMER_ABSTIME, &times, NULL);
}

/* ---- Rounds ---- */

static void wake_disarm(struct wake *wake)
{
    uint64_t period = 0;
    if (wake->rounds)
        period = (uint64_t)PERIOD_NS << 2 * (PACES - 1 - (wake->rounds - 1) / wake->stride);
    atomic_store(&wake->armed, period ? WAKE_PACED : WAKE_STOPPED);
    wake_kick(wake, period, period);
    if (atomic_load(&wake->requested))
        wake_request_on_loop(wake);
}

/* The first pace of large messages is that of requests, and arms as they do. */
__attribute__((noinline)) static void wake_keep_or_disarm(struct wake *wake, bool requested, bool is_slow)
{
    const bool pace_ends = wake->rounds && --wake->rounds % wake->stride == 0;
    const bool goes_on = requested || wake->rounds > (PACES - 1) * wake->stride;
    if (goes_on && is_slow)
        wake_kick(wake, AGAIN_NS, PERIOD_NS);
    if (atomic_load(&wake->armed) == WAKE_PACED ? pace_ends : !goes_on && atomic_load(&wake->lull))
        wake_disarm(wake);
}

static void wake_go_round(struct wake *wake, bool requested)
{
    const bool is_slow = atomic_exchange(&wake->signals, 0) >= PATIENCE;
    if (atomic_load(&wake->armed))
        wake_keep_or_disarm(wake, requested, is_slow);
}

bool wake_has_safe_point(const struct wake *wake)
{
    return wake->running && wake->safepoint.end;
}

bool wake_tick(struct wake *wake)
{
    atomic_store(&wake->ticked, true);
    if (!wake->running)
        return false;
    const bool requested = atomic_exchange(&wake->requested, false);
    wake_go_round(wake, requested);
    return requested;
}

/* ---- The signal ---- */

/*
 * At 128 signals the period becomes 10 ms, at 256 it becomes 20 ms, and so on. Without TICK that they were in
 * vain may also mean that the loop had no need to wait; once the safe point was reached, they stay frequent
 * enough to reach it again.
 */
static void wake_slow_down(struct wake *wake)
{
    const unsigned signals = atomic_fetch_add(&wake->signals, 1) + 1;
    if (signals < PATIENCE || (signals & (signals - 1)) || atomic_load(&wake->armed) != WAKE_ARMED)
        return;
    uint64_t period = (uint64_t)PERIOD_NS * signals / 4;
    if (wake->met && !atomic_load(&wake->ticked))
        period = UNTICKED_NS;
    wake_kick(wake, period, period);
}

/*
 * At the safe point, in place of a TICK. Two signals may come in one and the same wait; so the loop counts as
 * gone round only at the second in a row that finds nothing requested.
 */
static void wake_meet(struct wake *wake)
{
    const bool requested = atomic_exchange(&wake->requested, false);
    const bool rest = !requested && wake->resting;
    wake->met = true;
    wake->resting = !requested;
    wake_go_round(wake, !rest);
    wake->collect(wake->context);
}

/*
 * The wakes that run: a signal's handler has no user data, and must not believe what the signal says. Only
 * the threads of the loops change their entries.
 */
static _Atomic(struct wake *) wakes_running[WAKES];

static bool wake_enter(struct wake *wake)
{
    for (size_t i = 0; i < WAKES; i++) {
        struct wake *none = NULL;
        if (atomic_compare_exchange_strong(&wakes_running[i], &none, wake))
            return true;
    }
    return false;
}

static void wake_leave(struct wake *wake)
{
    for (size_t i = 0; i < WAKES; i++) {
        struct wake *own = wake;
        atomic_compare_exchange_strong(&wakes_running[i], &own, NULL);
    }
}

static uint64_t wake_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/*
 * Which timer has sent the signal shows the clock. An alarm needs no signal at once: its own has interrupted
 * what there is to interrupt. A forged signal may at most end the signals a little early, or make the loop go
 * round once more.
 */
static void wake_take_signal(struct wake *wake, int code, const void *context)
{
    if (atomic_load(&wake->alarm_at) <= wake_now()) {
        atomic_store(&wake->alarm_at, NO_ALARM);
        atomic_store(&wake->requested, true);
        wake_arm(wake);
    } else if (code == SI_TIMER) {
        atomic_store(&wake->lull, true);
    }
    if (!atomic_load(&wake->ticked) && safepoint_reached(&wake->safepoint, context))
        wake_meet(wake);
    else
        wake_slow_down(wake);
}

/* Async-signal-safe but for what it does at the safe point. */
static void wake_handle(int number, siginfo_t *info, void *context)
{
    const int error = errno;
    for (size_t i = 0; i < WAKES; i++) {
        struct wake *wake = atomic_load(&wakes_running[i]);
        if (wake && wake->signal == number && pthread_equal(pthread_self(), wake->loop))
            wake_take_signal(wake, info->si_code, context);
    }
    errno = error;
}

/* ---- Beginning and end ---- */

static bool wake_make_timer(const struct wake *wake, timer_t *timer)
{
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = wake->signal;
    event.sigev_notify_thread_id = wake->thread;
    return timer_create(CLOCK_MONOTONIC, &event, timer) == 0;
}

/*
 * Chooses a real-time signal that is not in use, and makes the first timer with it: the broker owns the
 * lowest from 2.1 on, and emulators accept handlers of signals that they cannot send. Returns false if there
 * is none.
 */
static bool wake_choose_signal(struct wake *wake)
{
    for (wake->signal = SIGRTMAX; wake->signal > SIGRTMIN; wake->signal--) {
        struct sigaction now;
        if (sigaction(wake->signal, NULL, &now) == 0 && now.sa_handler == SIG_DFL &&
            wake_make_timer(wake, &wake->kick))
            return true;
    }
    return false;
}

/* Ignoring the signal drops one that is on its way; after that the old disposition cannot kill us. */
static void wake_restore_signal(struct wake *wake)
{
    struct sigaction ignore;
    memset(&ignore, 0, sizeof ignore);
    ignore.sa_handler = SIG_IGN;
    sigaction(wake->signal, &ignore, NULL);
    sigaction(wake->signal, &wake->before, NULL);
    wake_leave(wake);
}

bool wake_start(struct wake *wake, bool safe_point, void (*collect)(void *context), void *context)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = wake_handle;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    memset(wake, 0, sizeof *wake);
    wake->process = getpid();
    wake->thread = (pid_t)syscall(SYS_gettid);
    wake->loop = pthread_self();
    wake->collect = collect;
    wake->context = context;
    atomic_init(&wake->alarm_at, NO_ALARM);
    if (safe_point)
        safepoint_find(&wake->safepoint);
    if (!wake_choose_signal(wake))
        return false;
    const bool has_handler = wake_enter(wake) && sigaction(wake->signal, &action, &wake->before) == 0;
    wake->running = has_handler && wake_make_timer(wake, &wake->alarm);
    if (wake->running)
        return true;
    timer_delete(wake->kick);
    if (has_handler)
        wake_restore_signal(wake);
    else
        wake_leave(wake);
    return false;
}

void wake_stop(struct wake *wake)
{
    if (!wake->running)
        return;
    wake->running = false;
    timer_delete(wake->kick);
    timer_delete(wake->alarm);
    wake_restore_signal(wake);
}

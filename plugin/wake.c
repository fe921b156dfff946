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
    UNTICKED_NS = 1000000
};

#define NO_ALARM UINT64_MAX

/* ---- Timers ---- */

static struct timespec as_time(uint64_t nanoseconds)
{
    return (struct timespec){(time_t)(nanoseconds / SECOND), (long)(nanoseconds % SECOND)};
}

static void start_kicking(struct wake *wake, uint64_t first, uint64_t period)
{
    const struct itimerspec times = {as_time(period), as_time(first)};
    timer_settime(wake->kick.timer, 0, &times, NULL);
}

static void stop_kicking(struct wake *wake)
{
    start_kicking(wake, 0, 0);
}

/* ---- Requests ---- */

static bool on_loop(const struct wake *wake)
{
    return pthread_equal(pthread_self(), wake->loop);
}

/*
 * A signal at once, which reaches the loop sooner than the timer's first. There is never more than one on
 * its way: the next one is sent after the loop has run, which takes the signal first.
 */
static void kick_now(struct wake *wake)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_code = SI_QUEUE;
    info.si_pid = wake->process;
    info.si_value.sival_ptr = &wake->kick;
    syscall(SYS_rt_tgsigqueueinfo, wake->process, wake->thread, wake->signal, &info);
}

static void request_elsewhere(struct wake *wake)
{
    kick_now(wake);
    if (!atomic_exchange(&wake->armed, true))
        start_kicking(wake, PERIOD_NS, PERIOD_NS);
}

/* The loop has to reach its wait before a signal is of use. */
static void request_on_loop(struct wake *wake)
{
    atomic_store(&wake->armed, true);
    start_kicking(wake, AGAIN_NS, PERIOD_NS);
}

void wake_request(struct wake *wake)
{
    if (!wake->open || atomic_exchange(&wake->requested, true))
        return;
    atomic_store(&wake->lull, false);
    if (on_loop(wake))
        request_on_loop(wake);
    else
        request_elsewhere(wake);
}

/*
 * The time is noted before the timer is set: the handler takes the note away, and a timer that expires at
 * once would else leave one behind of an alarm that is over. If the alarm before this one goes off in
 * between, the note is lost, and all that comes of it is that the timer is set once more.
 */
void wake_at(struct wake *wake, uint64_t when)
{
    if (!wake->open || when == 0 || when >= atomic_load(&wake->alarm_at))
        return;
    atomic_store(&wake->alarm_at, when);
    const struct itimerspec times = {{0, 0}, as_time(when)};
    timer_settime(wake->alarm.timer, TIMER_ABSTIME, &times, NULL);
}

/* ---- Rounds ---- */

static void disarm(struct wake *wake)
{
    atomic_store(&wake->armed, false);
    stop_kicking(wake);
    if (atomic_load(&wake->requested))
        request_on_loop(wake);
}

static void go_round(struct wake *wake, bool requested)
{
    const bool patient = atomic_exchange(&wake->signals, 0) >= PATIENCE;
    if (!atomic_load(&wake->armed))
        return;
    if (!requested && atomic_load(&wake->lull))
        disarm(wake);
    else if (requested && patient)
        start_kicking(wake, AGAIN_NS, PERIOD_NS);
}

bool wake_tick(struct wake *wake)
{
    if (!wake->open)
        return false;
    atomic_store(&wake->ticked, true);
    const bool requested = atomic_exchange(&wake->requested, false);
    go_round(wake, requested);
    return requested;
}

/* ---- The signal ---- */

/* The second signal on its way would be one too many: this one has interrupted what there is to interrupt. */
static void ring(struct wake *wake)
{
    atomic_store(&wake->alarm_at, NO_ALARM);
    atomic_store(&wake->requested, true);
    if (!atomic_exchange(&wake->armed, true))
        start_kicking(wake, PERIOD_NS, PERIOD_NS);
}

/*
 * At 128 signals the period becomes 10 ms, at 256 it becomes 20 ms, and so on. Without TICK that they were in
 * vain may also mean that the loop had no need to wait; there they stay frequent enough to meet it in a wait,
 * once it is known to be of the kind that can be met.
 */
static void slow_down(struct wake *wake)
{
    const unsigned signals = atomic_fetch_add(&wake->signals, 1) + 1;
    if (signals < PATIENCE || (signals & (signals - 1)) || !atomic_load(&wake->armed))
        return;
    uint64_t period = (uint64_t)PERIOD_NS * signals / 4;
    if (wake->met && !atomic_load(&wake->ticked))
        period = UNTICKED_NS;
    start_kicking(wake, period, period);
}

/*
 * In place of a TICK. Two signals may come in one and the same wait; so that the loop has gone round is only
 * believed of the second in a row that finds nothing requested.
 */
static void meet(struct wake *wake)
{
    const bool requested = atomic_exchange(&wake->requested, false);
    const bool rest = !requested && wake->resting;
    wake->met = true;
    wake->resting = !requested;
    go_round(wake, !rest);
    wake->collect(wake->context);
}

static void take_signal(struct wake *wake, const void *context)
{
    if (!atomic_load(&wake->ticked) && safepoint_reached(&wake->safepoint, context))
        meet(wake);
    else
        slow_down(wake);
}

/* Async-signal-safe but for what it does at the safe point. */
static void handle(int number, siginfo_t *info, void *context)
{
    (void)number;
    const int error = errno;
    struct wake_timer *timer = info->si_value.sival_ptr;
    if (info->si_code == SI_TIMER || (info->si_code == SI_QUEUE && info->si_pid == getpid())) {
        if (timer == &timer->wake->alarm)
            ring(timer->wake);
        else if (info->si_code == SI_TIMER)
            atomic_store(&timer->wake->lull, true);
        take_signal(timer->wake, context);
    }
    errno = error;
}

/* ---- Beginning and end ---- */

/* A real-time signal that nobody uses: the broker owns the lowest from 2.1 on. 0: there is none. */
static int find_free_signal(void)
{
    for (int number = SIGRTMAX; number > SIGRTMIN; number--) {
        struct sigaction now;
        if (sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
            return number;
    }
    return 0;
}

static bool make_timer(struct wake *wake, struct wake_timer *timer)
{
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = wake->signal;
    event.sigev_value.sival_ptr = timer;
    event.sigev_notify_thread_id = wake->thread;
    timer->wake = wake;
    return timer_create(CLOCK_MONOTONIC, &event, &timer->timer) == 0;
}

static bool make_timers(struct wake *wake)
{
    if (!make_timer(wake, &wake->kick))
        return false;
    if (make_timer(wake, &wake->alarm))
        return true;
    timer_delete(wake->kick.timer);
    return false;
}

/* Ignoring the signal drops one that is on its way; after that the old disposition cannot kill us. */
static void restore_signal(const struct wake *wake)
{
    struct sigaction ignore;
    memset(&ignore, 0, sizeof ignore);
    ignore.sa_handler = SIG_IGN;
    sigaction(wake->signal, &ignore, NULL);
    sigaction(wake->signal, &wake->before, NULL);
}

static bool take_over_signal(struct wake *wake)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    wake->signal = find_free_signal();
    return wake->signal && sigaction(wake->signal, &action, &wake->before) == 0;
}

bool wake_start(struct wake *wake, void (*collect)(void *context), void *context)
{
    memset(wake, 0, sizeof *wake);
    wake->process = getpid();
    wake->thread = (pid_t)syscall(SYS_gettid);
    wake->loop = pthread_self();
    wake->collect = collect;
    wake->context = context;
    atomic_init(&wake->alarm_at, NO_ALARM);
    safepoint_find(&wake->safepoint);
    if (!take_over_signal(wake))
        return false;
    wake->open = make_timers(wake);
    if (!wake->open)
        restore_signal(wake);
    return wake->open;
}

void wake_stop(struct wake *wake)
{
    if (!wake->open)
        return;
    wake->open = false;
    timer_delete(wake->kick.timer);
    timer_delete(wake->alarm.timer);
    restore_signal(wake);
}

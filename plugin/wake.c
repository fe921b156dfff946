// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Waking the loop by a timer's signal: see wake.h. */
#include "wake.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id /* older C libraries leave the name to the kernel's headers */
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
    TICKS = 2,         /* one round hands the reply over, the next one writes it */
    SIGNALS = 10,      /* for one request: 3 ms */
    PERIOD_NS = 300000 /* short beside 100 ms, long beside the broker's own work of a round */
};

static void set_timer(timer_t timer, long nanoseconds)
{
    const struct itimerspec period = {{0, nanoseconds}, {0, nanoseconds}};
    timer_settime(timer, 0, &period, NULL);
}

/* Only counts; what interrupts the loop is that there is a handler. Async-signal-safe. */
static void handle(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    struct wake *wake = info->si_value.sival_ptr;
    if (info->si_code == SI_TIMER && atomic_fetch_sub(&wake->left, 1) <= 1)
        set_timer(wake->timer, 0);
}

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

static bool make_timer(struct wake *wake)
{
    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = wake->signal;
    event.sigev_value.sival_ptr = wake;
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    return timer_create(CLOCK_MONOTONIC, &event, &wake->timer) == 0;
}

static bool make(struct wake *wake)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    wake->signal = find_free_signal();
    if (!wake->signal || sigaction(wake->signal, &action, &wake->before) != 0)
        return false;
    if (make_timer(wake))
        return true;
    sigaction(wake->signal, &wake->before, NULL);
    return false;
}

void wake_request(struct wake *wake)
{
    if (!wake->made && !wake->unavailable) {
        wake->made = make(wake);
        wake->unavailable = !wake->made;
    }
    if (!wake->made)
        return;
    wake->ticks = TICKS;
    atomic_store(&wake->left, SIGNALS);
    set_timer(wake->timer, PERIOD_NS);
}

void wake_tick(struct wake *wake)
{
    if (wake->ticks && --wake->ticks == 0)
        set_timer(wake->timer, 0);
}

void wake_clear(struct wake *wake)
{
    if (!wake->made)
        return;
    timer_delete(wake->timer);
    /* Ignoring the signal drops one that is on its way; after that the old disposition cannot kill us. */
    struct sigaction ignore;
    memset(&ignore, 0, sizeof ignore);
    ignore.sa_handler = SIG_IGN;
    sigaction(wake->signal, &ignore, NULL);
    sigaction(wake->signal, &wake->before, NULL);
    wake->made = false;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Signals are blocked and looked for, which takes no handler and no global variable. */
#include "until.h"

#include <signal.h>
#include <time.h>

enum { UNTIL_STEP = 100 }; /* ms that a signal may wait */

uint64_t until_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void until_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGTERM);
}

struct until until_start(int ms)
{
    return (struct until){.end = ms ? until_now() + (uint64_t)ms * 1000000 : UINT64_MAX};
}

void until_hold_signals(void)
{
    sigset_t signals;
    until_signals(&signals);
    sigprocmask(SIG_BLOCK, &signals, NULL);
}

int until_left(const struct until *until)
{
    sigset_t pending;
    const uint64_t now = until_now();
    sigpending(&pending);
    if (now >= until->end || sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM))
        return 0;
    const uint64_t left = (until->end - now) / 1000000 + 1;
    return left < UNTIL_STEP ? (int)left : UNTIL_STEP;
}

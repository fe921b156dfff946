// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * plugin/wake.c and plugin/compat/safepoint.c with a loop like the brokers': it waits for descriptors, and
 * ticks before the wait, after it, or never. test/broker/test_wake.py wakes real brokers; here races are more
 * likely to show, also under the sanitizers.
 */
#include "unit.h"

#include "wake.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVENTS = 1000, WAIT_MS = 100, TRIES = 20, THREADS = 3, RESULTS = 3000, MS = 1000000 };

enum kind { TICK_BEFORE, TICK_AFTER, NO_TICK, KINDS };

static struct epoll_event events[EVENTS]; /* in the program's data, as that of the broker */
static struct epoll_event others[EVENTS];
static struct wake wake;
static int descriptor, timeouts;
static bool was_armed;    /* signals were to come in the last wait */
static bool is_suspended; /* the next wait ends by itself before they do */
static unsigned collections;
static atomic_uint made, threads_running;
static unsigned collected;

static void (*before_slowing)(void);

typedef int set_function(timer_t timer, int flags, const struct itimerspec *times, struct itimerspec *before);

/* Replaces the C library's function. Calls before_slowing() once before a timer stops, or comes to a slow
 * pace. */
int timer_settime(timer_t timer, int flags, const struct itimerspec *times, struct itimerspec *before)
{
    const bool is_wide = sizeof(time_t) > sizeof(long); /* 64-bit times on a 32-bit system */
    set_function *next;
    *(void **)&next = dlsym(RTLD_NEXT, is_wide ? "__timer_settime64" : "timer_settime");
    void (*const first)(void) = before_slowing;
    const bool is_quick = times->it_value.tv_nsec > 0 && times->it_value.tv_nsec < MS;
    if (first && !times->it_value.tv_sec && !is_quick) {
        before_slowing = NULL;
        first();
    }
    return next(timer, flags, times, before);
}

static int refused; /* the lowest signal with which no timer can be made; 0: there is none */

typedef int create_function(clockid_t clock, struct sigevent *event, timer_t *timer);

/* Replaces the C library's function. */
int timer_create(clockid_t clock, struct sigevent *event, timer_t *timer)
{
    create_function *next;
    *(void **)&next = dlsym(RTLD_NEXT, "timer_create");
    if (refused && event && event->sigev_signo >= refused) {
        errno = EINVAL;
        return -1;
    }
    return next(clock, event, timer);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

/* May be called by the signal's handler. */
static void collect(void *context)
{
    if (context != &wake)
        abort();
    collections++;
    collected = atomic_load(&made);
}

static void open_wake(void)
{
    descriptor = epoll_create1(0);
    ck_assert(wake_start(&wake, true, collect, &wake));
}

static void close_wake(void)
{
    wake_stop(&wake);
    wake_stop(&wake);
    close(descriptor);
}

static void tick(void)
{
    wake_tick(&wake);
    collect(&wake);
}

/* Signals that come in a wait are taken after it, as if the process were suspended until its end. */
static int wait_suspended(int timeout)
{
    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, wake.signal);
    sigprocmask(SIG_BLOCK, &signals, &before);
    const int count = epoll_wait(descriptor, events, EVENTS, timeout);
    sigprocmask(SIG_SETMASK, &before, NULL);
    is_suspended = false;
    return count;
}

/* Returns whether the wait ended by itself. */
static bool go_round(enum kind kind, int timeout)
{
    if (kind == TICK_BEFORE)
        tick();
    was_armed = atomic_load(&wake.armed);
    const int count =
        is_suspended ? wait_suspended(timeout) : epoll_wait(descriptor, events, EVENTS, timeout);
    const int error = errno;
    ck_assert(count == 0 || (count == -1 && error == EINTR));
    if (kind == TICK_AFTER)
        tick();
    return count == 0;
}

/* Whether a wait is cut short. One that has come to its end as well, because the process was suspended for so
 * long, tells nothing: the next one does. */
static bool cut_short(enum kind kind)
{
    for (int i = 0; i < TRIES; i++) {
        if (!go_round(kind, WAIT_MS))
            return true;
    }
    return false;
}

/* Runs f(context) on another thread, where all signals are blocked. */
static pthread_t start(void *(*f)(void *context), void *context)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ck_assert_int_eq(pthread_create(&thread, NULL, f, context), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return thread;
}

static void *request_once(void *context)
{
    (void)context;
    atomic_fetch_add(&made, 1);
    wake_request(&wake);
    return NULL;
}

static void request_elsewhere(void)
{
    pthread_join(start(request_once, NULL), NULL);
}

static void *request_often(void *context)
{
    unsigned seed = (unsigned)(uintptr_t)context;
    for (int i = 0; i < RESULTS; i++) {
        request_once(NULL);
        const struct timespec pause = {0, rand_r(&seed) % 200000};
        nanosleep(&pause, NULL);
    }
    atomic_fetch_sub(&threads_running, 1);
    return NULL;
}

/* A wait that ends by itself while there is a result was not woken. A thread may be suspended between having
   a result and requesting a wake; that is rare. */
START_TEST(no_request_is_lost)
{
    const enum kind kind = (enum kind)_i;
    pthread_t threads[THREADS];
    atomic_store(&threads_running, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        threads[i] = start(request_often, (void *)i);
    while (atomic_load(&threads_running) || collected != atomic_load(&made)) {
        const bool ended = go_round(kind, WAIT_MS);
        timeouts += ended && collected != atomic_load(&made);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(collected, THREADS * RESULTS);
    ck_assert_int_lt(timeouts, THREADS * RESULTS / 100);
}
END_TEST

/* Makes a request, and returns how many waits are cut short until one is not. *told: none of them came to its
 * end as well although signals were to come, because the process was suspended for so long. */
static int count_cut_short(enum kind kind, bool *told)
{
    int rounds = 0, late = 0;
    request_elsewhere();
    for (bool ended; !(ended = go_round(kind, WAIT_MS)) || was_armed;) {
        rounds += !ended;
        late += ended;
        ck_assert_int_lt(rounds + late, 100);
    }
    *told = late == 0;
    return rounds;
}

/* A request cuts the current or next wait short, and one more wait after that. Then no wait is cut short. */
START_TEST(a_request_cuts_two_waits_short)
{
    const enum kind kind = (enum kind)(_i % KINDS);
    bool told = false;
    int rounds = 0;
    go_round(kind, 0);
    is_suspended = _i >= KINDS;
    for (int i = 0; i < TRIES && !told; i++) {
        rounds = count_cut_short(kind, &told);
        ck_assert_uint_eq(collected, atomic_load(&made));
    }
    ck_assert(told);
    ck_assert_int_ge(rounds, kind == TICK_BEFORE ? 1 : 2);
}
END_TEST

/* The requester starts the timer, and then the loop stops it. */
START_TEST(a_request_while_the_loop_comes_to_rest)
{
    request_elsewhere();
    tick();
    go_round(NO_TICK, WAIT_MS); /* a period without requests */
    before_slowing = request_elsewhere;
    tick();
    ck_assert(!before_slowing);
    ck_assert(cut_short(TICK_AFTER));
}
END_TEST

/* ---- Large messages ---- */

enum { PACES = 4, LARGE = 5 }; /* LARGE: the rounds of a message */

/* Whether signals come as often as after a request. */
static bool is_quick(void)
{
    struct itimerspec times;
    timer_gettime(wake.kick, &times);
    return atomic_load(&wake.armed) == WAKE_ARMED && times.it_interval.tv_nsec < MS;
}

/* Each round that a large message takes is cut short, then no more. Without TICK two signals may come in one
 * round. */
START_TEST(a_large_message_cuts_many_waits_short)
{
    const enum kind kind = (enum kind)_i;
    int rounds = 0, late = 0;
    go_round(kind, 0);
    wake_go_on(&wake, LARGE);
    for (; atomic_load(&wake.armed); rounds++) {
        late += go_round(kind, WAIT_MS);
        ck_assert_int_lt(rounds, 100);
    }
    ck_assert_int_ge(rounds, kind == NO_TICK ? 2 * LARGE : PACES * LARGE);
    ck_assert_int_lt(late, LARGE);
    ck_assert_uint_eq(wake.rounds, 0);
}
END_TEST

START_TEST(large_messages_add_up_to_a_limit)
{
    wake_go_on(&wake, LARGE);
    ck_assert_uint_eq(wake.rounds, PACES * LARGE);
    wake_go_on(&wake, 0);
    ck_assert_uint_eq(wake.rounds, PACES * LARGE);
    wake_go_on(&wake, LARGE);
    ck_assert_uint_eq(wake.rounds, PACES * 2 * LARGE);
    for (int i = 0; i < 3; i++)
        wake_go_on(&wake, UINT_MAX);
    ck_assert_uint_eq(wake.rounds, PACES * WAKE_ROUNDS_MAX);
    for (int i = 0; i < PACES * WAKE_ROUNDS_MAX; i++)
        tick();
    for (int i = 0; atomic_load(&wake.armed); i++) {
        go_round(TICK_AFTER, WAIT_MS);
        ck_assert_int_lt(i, 100);
    }
}
END_TEST

/* Another thread's results do not wait for a slow pace, nor for one that begins at that moment. */
START_TEST(a_request_at_a_slow_pace_is_quick)
{
    wake_go_on(&wake, LARGE);
    before_slowing = _i ? request_elsewhere : NULL;
    while (_i ? before_slowing != NULL : atomic_load(&wake.armed) != WAKE_PACED)
        go_round(TICK_AFTER, WAIT_MS);
    ck_assert(_i || !is_quick());
    if (!_i)
        request_elsewhere();
    ck_assert(is_quick());
    ck_assert(cut_short(TICK_AFTER));
    ck_assert_uint_eq(collected, atomic_load(&made));
}
END_TEST

/* A loop that is busy for long gets few signals for large messages, too. */
START_TEST(a_busy_loop_gets_few_signals_for_large_messages)
{
    go_round(TICK_AFTER, 0);
    wake_go_on(&wake, WAKE_ROUNDS_MAX);
    const uint64_t end = now() + 500 * MS;
    while (now() < end)
        continue;
    ck_assert_uint_lt(atomic_load(&wake.signals), 400);
    tick();
    ck_assert(is_quick());
}
END_TEST

START_TEST(the_loop_itself_can_ask)
{
    const enum kind kind = (enum kind)_i;
    go_round(kind, 0);
    wake_request(&wake);
    ck_assert(cut_short(kind));
    while (!go_round(kind, WAIT_MS))
        continue;
}
END_TEST

START_TEST(an_alarm_is_a_request)
{
    const enum kind kind = (enum kind)_i;
    go_round(kind, 0);
    const uint64_t when = now() + 20 * MS;
    wake_at(&wake, when);
    const unsigned before = collections;
    while (collections == before || now() < when)
        ck_assert(cut_short(kind));
    ck_assert_uint_ge(now(), when);
    while (!go_round(kind, WAIT_MS))
        continue;
    ck_assert(atomic_load(&wake.alarm_at) == UINT64_MAX);
}
END_TEST

START_TEST(alarms_of_the_past_go_off_at_once)
{
    go_round(TICK_AFTER, 0);
    wake_at(&wake, 1);
    ck_assert(atomic_load(&wake.requested));
    ck_assert(cut_short(TICK_AFTER));
}
END_TEST

/* Setting the same or a later alarm needs no system call. */
START_TEST(only_an_earlier_alarm_is_set)
{
    const uint64_t hour = UINT64_C(3600) * 1000 * MS;
    const uint64_t when = now() + hour;
    wake_at(&wake, 0);
    wake_at(&wake, UINT64_MAX);
    ck_assert(atomic_load(&wake.alarm_at) == UINT64_MAX);
    wake_at(&wake, when);
    wake_at(&wake, when + hour);
    wake_at(&wake, 0);
    wake_at(&wake, UINT64_MAX);
    ck_assert(atomic_load(&wake.alarm_at) == when);
    struct itimerspec left;
    timer_gettime(wake.alarm, &left);
    ck_assert_int_le(left.it_value.tv_sec, 3600);
    wake_at(&wake, when - hour / 2);
    timer_gettime(wake.alarm, &left);
    ck_assert_int_le(left.it_value.tv_sec, 1800);
}
END_TEST

/* At 300 us each there would be 1600 of them. */
START_TEST(a_busy_loop_gets_few_signals)
{
    go_round(TICK_AFTER, 0);
    const uint64_t end = now() + 500 * MS;
    request_elsewhere();
    while (now() < end)
        continue;
    ck_assert_uint_gt(atomic_load(&wake.signals), 1);
    ck_assert_uint_lt(atomic_load(&wake.signals), 400);
    tick();
    ck_assert_uint_lt(atomic_load(&wake.signals), 100);
    ck_assert(cut_short(TICK_AFTER));
}
END_TEST

START_TEST(errno_is_kept)
{
    const uint64_t end = now() + 10000 * (uint64_t)MS;
    request_elsewhere();
    errno = ENOTTY;
    while (atomic_load(&wake.signals) < 3 && now() < end)
        ck_assert_int_eq(errno, ENOTTY);
    ck_assert_uint_ge(atomic_load(&wake.signals), 3);
}
END_TEST

/* ---- The safe point ---- */

static void wait_elsewhere(struct epoll_event *array, int count, int timeout)
{
    request_elsewhere();
    for (int i = 0; i < 5; i++)
        epoll_wait(descriptor, array, count, timeout);
}

START_TEST(only_the_wait_of_the_loop_is_safe)
{
    struct epoll_event *far = calloc(EVENTS, sizeof *far);
    wait_elsewhere(events, EVENTS - 1, WAIT_MS);
    wait_elsewhere(events, EVENTS, WAIT_MS + 1);
    wait_elsewhere(far, EVENTS, WAIT_MS);
    const struct timespec pause = {0, 5 * MS};
    nanosleep(&pause, NULL);
    ck_assert_uint_eq(collections, 0);
    wait_elsewhere(others, EVENTS, WAIT_MS); /* any array of the program counts as the loop's */
    ck_assert_uint_gt(collections, 0);
    free(far);
}
END_TEST

START_TEST(no_safe_point_once_there_was_a_tick)
{
    go_round(TICK_AFTER, 0);
    const unsigned before = collections;
    wait_elsewhere(events, EVENTS, WAIT_MS);
    ck_assert_uint_eq(collections, before);
}
END_TEST

START_TEST(no_safe_point_where_it_is_off)
{
    wake_stop(&wake);
    ck_assert(wake_start(&wake, false, collect, &wake));
    wait_elsewhere(events, EVENTS, WAIT_MS);
    ck_assert_uint_eq(collections, 0);
}
END_TEST

/* ---- Beginning and end ---- */

static void *handler_of(int number)
{
    struct sigaction action;
    ck_assert_int_eq(sigaction(number, NULL, &action), 0);
    return (void *)(uintptr_t)action.sa_handler;
}

START_TEST(the_signal_is_restored)
{
    const int number = wake.signal;
    ck_assert_int_ge(number, SIGRTMAX - 2); /* emulators cannot send the highest two */
    ck_assert_ptr_ne(handler_of(number), (void *)(uintptr_t)SIG_DFL);
    request_elsewhere();
    wake_stop(&wake);
    ck_assert_ptr_eq(handler_of(number), (void *)(uintptr_t)SIG_DFL);
    const struct timespec pause = {0, 5 * MS};
    nanosleep(&pause, NULL); /* a late signal would end the process */
}
END_TEST

/* Another process of the same user sends the signal, with what it likes in it. */
static void forge(pid_t to, int code, void *pointer)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = wake.signal;
    info.si_code = code;
    info.si_pid = to;
    info.si_value.sival_ptr = pointer;
    if (syscall(SYS_rt_sigqueueinfo, to, wake.signal, &info) != 0)
        _exit(1);
}

START_TEST(what_a_signal_carries_is_not_believed)
{
    static const int codes[] = {SI_TIMER, SI_QUEUE, SI_MESGQ, SI_ASYNCIO};
    const pid_t own = getpid(), child = fork();
    ck_assert_int_ge(child, 0);
    for (size_t i = 0; child == 0 && i < sizeof codes / sizeof codes[0]; i++) {
        forge(own, codes[i], NULL);
        forge(own, codes[i], (void *)16);
        forge(own, codes[i], (void *)(uintptr_t)-1);
        forge(own, codes[i], &wake);
    }
    if (child == 0)
        _exit(0);
    int status = -1;
    while (waitpid(child, &status, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(status, 0);
    sigqueue(own, wake.signal, (union sigval){.sival_ptr = (void *)16});
    ck_assert_int_eq(collections, 0);
    wake_request(&wake);
    ck_assert(wake_tick(&wake));
}
END_TEST

START_TEST(two_take_different_signals)
{
    struct wake second;
    ck_assert(wake_start(&second, true, collect, &wake));
    ck_assert_int_ne(second.signal, wake.signal);
    wake_stop(&second);
}
END_TEST

START_TEST(without_a_free_signal_there_is_none)
{
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        if (number != wake.signal)
            signal(number, SIG_IGN);
    struct wake second;
    ck_assert(!wake_start(&second, true, collect, &wake));
    wake_request(&second);
    wake_at(&second, 1);
    ck_assert(!wake_tick(&second));
    wake_stop(&second);
}
END_TEST

/* Some emulators accept handlers of the highest signals, but cannot send them. */
START_TEST(a_signal_without_timers_is_passed_over)
{
    struct wake second;
    refused = SIGRTMIN + 3;
    ck_assert(wake_start(&second, true, collect, &wake));
    ck_assert_int_eq(second.signal, SIGRTMIN + 2);
    wake_stop(&second);
    refused = SIGRTMIN;
    ck_assert(!wake_start(&second, true, collect, &wake));
    wake_stop(&second);
}
END_TEST

START_TEST(all_zero_is_closed)
{
    struct wake closed;
    memset(&closed, 0, sizeof closed);
    wake_request(&closed);
    wake_at(&closed, 1);
    wake_go_on(&closed, 1);
    ck_assert(!wake_tick(&closed));
    wake_stop(&closed);
}
END_TEST

UNIT_MAIN("wake", open_wake, close_wake, {no_request_is_lost, KINDS},
          {a_request_cuts_two_waits_short, 2 * KINDS}, {a_request_while_the_loop_comes_to_rest, 0},
          {a_large_message_cuts_many_waits_short, KINDS}, {large_messages_add_up_to_a_limit, 0},
          {a_request_at_a_slow_pace_is_quick, 2}, {a_busy_loop_gets_few_signals_for_large_messages, 0},
          {the_loop_itself_can_ask, KINDS}, {an_alarm_is_a_request, KINDS},
          {alarms_of_the_past_go_off_at_once, 0}, {only_an_earlier_alarm_is_set, 0},
          {a_busy_loop_gets_few_signals, 0}, {errno_is_kept, 0}, {only_the_wait_of_the_loop_is_safe, 0},
          {no_safe_point_once_there_was_a_tick, 0}, {no_safe_point_where_it_is_off, 0},
          {the_signal_is_restored, 0}, {what_a_signal_carries_is_not_believed, 0},
          {two_take_different_signals, 0}, {without_a_free_signal_there_is_none, 0},
          {a_signal_without_timers_is_passed_over, 0}, {all_zero_is_closed, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * bench_clock.so: a wall clock that gives the same times in every run.
 *
 * The result of ping holds the time, and printing it takes more or fewer instructions according to its
 * digits. instructions.py preloads this library into the brokers whose instructions it counts. Every reading
 * of the wall clock is 100.003 microseconds later than the one before, so that all digits occur. All other
 * clocks are the kernel's: threads wait by them.
 */
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { START_S = 1700000000, STEP_NS = 100003, SECOND_NS = 1000000000 };

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *time)
{
    static atomic_long readings;
    if (clock != CLOCK_REALTIME)
        return (int)syscall(SYS_clock_gettime, clock, time);
    const long passed = atomic_fetch_add(&readings, 1) * STEP_NS;
    *time = (struct timespec){START_S + passed / SECOND_NS, passed % SECOND_NS};
    return 0;
}

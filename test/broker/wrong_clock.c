// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * libwrong_clock.so: a wall clock that a test sets while the broker runs. It is preloaded, and adds the
 * number of seconds in the file RPC_CLOCK_FILE to the kernel's time, whichever function is asked for it. All
 * other clocks are the kernel's.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* That of the C library's struct timespec, which is wider than a long on 32-bit systems with 64-bit times. */
#ifdef SYS_clock_gettime64
enum { CALL = sizeof(time_t) > sizeof(long) ? SYS_clock_gettime64 : SYS_clock_gettime };
#else
enum { CALL = SYS_clock_gettime };
#endif

static long wrong_seconds(void)
{
    char text[32] = "0";
    const char *path = getenv("RPC_CLOCK_FILE");
    const int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return 0;
    const ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    return size > 0 ? strtol(text, NULL, 10) : 0;
}

#define REPLACES __attribute__((visibility("default")))

REPLACES int clock_gettime(clockid_t clock, struct timespec *time)
{
    const int result = (int)syscall(CALL, clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        time->tv_sec += wrong_seconds();
    return result;
}

REPLACES time_t time(time_t *result)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result)
        *result = now.tv_sec;
    return now.tv_sec;
}

REPLACES int gettimeofday(struct timeval *restrict result, void *restrict zone)
{
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *result = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = (suseconds_t)(now.tv_nsec / 1000)};
    return 0;
}

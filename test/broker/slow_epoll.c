// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * slow_epoll.c: a library to preload into a broker, which widens the gap that wake-ups get lost in: between
 * the moment at which the loop has looked for work and the one at which a signal interrupts its wait there
 * are 0.5 ms.
 */
#include <dlfcn.h>
#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

typedef int wait_function(int epfd, struct epoll_event *events, int maxevents, int timeout);

static void pause_a_bit(void)
{
    struct timespec left = {0, 500000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

__attribute__((visibility("default"))) int epoll_wait(int epfd, struct epoll_event *events, int maxevents,
                                                      int timeout)
{
    static wait_function *next;
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "epoll_wait");
    pause_a_bit();
    return next(epfd, events, maxevents, timeout);
}

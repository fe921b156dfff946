// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The end of commands that run on: after a time, or at SIGINT or SIGTERM, which then end the command in
 * order, so that it disconnects and prints what it has found.
 *
 * Threads: the tool has one. Ownership: nothing is allocated. Failure: nothing can fail.
 */
#ifndef TOOL_UNTIL_H
#define TOOL_UNTIL_H

#include <stdint.h>

struct until {
    uint64_t end; /* monotonic nanoseconds */
};

/* The monotonic clock in nanoseconds. */
uint64_t until_now(void);

/* Begins such a time; 0 ms: one without end. */
struct until until_start(int ms);

/* From now on SIGINT and SIGTERM do not end the process, but each time that until_left() is asked about. */
void until_hold_signals(void);

/* How many milliseconds the command may wait before it asks again; 0: it has to end. */
int until_left(const struct until *until);

#endif

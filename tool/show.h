// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Numbers and times as people read them, and what is asked of JSON documents for that.
 *
 * Threads: any. Ownership: nothing is allocated. Failure: nothing can fail; a member that a document does not
 * have is 0 or "".
 */
#ifndef TOOL_SHOW_H
#define TOOL_SHOW_H

#include <cjson/cJSON.h>

/* A short text that a function of this file makes. */
struct shown {
    char text[32];
};

/* A duration with three digits: 12.3 us, 1.23 ms, 45.6 s, 3 h 20 min, 12 days. */
struct shown show_duration(double seconds);

/* The time since a moment of Unix time; "-" for 0. */
struct shown show_age(double unix_time);

/* A whole number. */
struct shown show_count(double count);

/* Members of an object; object may be NULL. */
double show_number(const cJSON *object, const char *name);
const char *show_string(const cJSON *object, const char *name);

#endif

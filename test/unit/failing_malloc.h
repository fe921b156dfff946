// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * An allocator that fails on request. The linker puts it in the place of malloc() and its relatives for the
 * objects of this tree, and cJSON is told to use it. Check is linked statically and comes here, too: nothing
 * of Check may be called between failing_arm() and failing_disarm(), and only what is allocated in between,
 * on the same thread, fails or counts.
 */
#ifndef FAILING_MALLOC_H
#define FAILING_MALLOC_H

#include <stdbool.h>
#include <stddef.h>

enum failing_mode {
    FAILING_ONCE, /* the n-th allocation from now fails, and no other */
    FAILING_FROM  /* the n-th and all that follow */
};

/* Makes cJSON allocate here. To be called before anything allocates. */
void failing_install(void);

/* Lets n allocations succeed from now on. */
void failing_arm(enum failing_mode mode, size_t n);

/* Lets all succeed again. Returns whether one has failed. */
bool failing_disarm(void);

/* How many pieces of memory that were allocated while it was armed have not been freed yet. */
size_t failing_live(void);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * An allocator that fails on request. The linker replaces malloc() and its relatives with it for the objects
 * of this tree, and cJSON is set to use it. Check is linked statically and uses it, too: a test must not call
 * Check between failing_arm() and failing_disarm(). Only allocations in between, on the same thread, fail and
 * count.
 */
#ifndef FAILING_MALLOC_H
#define FAILING_MALLOC_H

#include <stdbool.h>
#include <stddef.h>

enum failing_mode {
    FAILING_ONCE, /* the n-th allocation from now fails, and no other */
    FAILING_FROM  /* the n-th and all that follow */
};

/* Sets the allocator of cJSON. Must be called before the first allocation. */
void failing_install(void);

/* Lets n allocations succeed from now on. */
void failing_arm(enum failing_mode mode, size_t n);

/* Lets all allocations succeed again. Returns whether one has failed. */
bool failing_disarm(void);

/* The number of blocks that were allocated between arming and disarming and have not been freed yet. */
size_t failing_live(void);

#endif

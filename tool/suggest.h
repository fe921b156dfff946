// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Which of several names a person may have meant.
 *
 * Threads: any. Ownership: it borrows the word and the names. Failure: nothing can fail.
 */
#ifndef TOOL_SUGGEST_H
#define TOOL_SUGGEST_H

#include "base/text.h"

/* Begins with a word; text_near_try() considers names. The name may differ in one character more than in what
 * the service suggests, so that sensor_id is suggested for sensor. */
static inline struct text_near suggest_for(const char *word)
{
    struct text_near near = text_near_to(word);
    near.max++;
    return near;
}

#endif

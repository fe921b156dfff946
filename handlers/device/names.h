// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Names of devices, and lists of words.
 *
 * Threads: any. These functions touch nothing but their arguments.
 *
 * Ownership: nothing is allocated.
 *
 * Failure: none.
 */
#ifndef DEVICE_NAMES_H
#define DEVICE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

enum { NAME_MAX_BYTES = 128 }; /* of a device's name, without its NUL */

/* Whether text is one topic level that a device may be named: 1 to 128 bytes of UTF-8 without wildcards and
 * without control and non-characters. */
bool name_is_device(const char *text);

/* Whether text may be the name of a command: 1 to 128 bytes of [A-Za-z0-9_.-]. */
bool name_is_command(const char *text);

/* Whether word is one of the words of a list with spaces between them; NULL: a list without words. */
bool name_is_listed(const char *list, const char *word);

/* The next word of a list from *at on, and its length; *at moves behind it. NULL: there is none. */
const char *name_next(const char **at, size_t *length);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The codes of errors of declared methods. Statistics and letters point at a code for as long as the engine
 * exists, so a code stays when its method goes.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a table, which is a pointer that is NULL at first, owns its codes.
 *
 * Failure: foreign_codes_take() returns NULL when the table is full, or without memory.
 */
#ifndef CORE_CALL_FOREIGN_CODES_H
#define CORE_CALL_FOREIGN_CODES_H

#define HASH_NONFATAL_OOM 1

#include <uthash.h>

enum { FOREIGN_CODES_MAX = 1000 }; /* of all methods that there ever were */

struct foreign_code;

/* The text of a code, which exists until foreign_codes_fini(). NULL: it is one too many, or no memory. */
const char *foreign_codes_take(struct foreign_code **codes, const char *text);

void foreign_codes_fini(struct foreign_code **codes);

#endif

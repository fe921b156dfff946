// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A message as 128 bits, by which a copy of it is recognised. The hash is XXH3 (Debian: libxxhash-dev),
 * seeded at random for each engine, so that a client can neither make a message with another's digest nor
 * fill one bucket of a table.
 *
 * Threads: any. These functions touch nothing but their arguments.
 *
 * Ownership: nothing is allocated.
 *
 * Failure: nothing fails. Where the system has no random numbers yet, the seed is made of the clock.
 */
#ifndef CORE_BASE_DIGEST_H
#define CORE_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

struct digest {
    uint64_t halves[2];
};

struct digest_part {
    const void *data; /* may be NULL if size is 0 */
    size_t size;      /* bytes */
};

enum { DIGEST_PARTS = 8 };

/* A random seed. */
uint64_t digest_seed(void);

/* The digest of at most DIGEST_PARTS parts; where one ends and the next begins counts, too. */
struct digest digest_of(uint64_t seed, const struct digest_part *parts, size_t count);

#endif

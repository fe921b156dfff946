// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A message as 128 bits, by which it is recognised when it comes again. The hash is XXH3 (Debian:
 * libxxhash-dev), seeded at random for each engine, so that nobody outside can aim at what another
 * client's message comes to, or at one bucket of a table.
 *
 * Any thread may call it: it touches nothing but its arguments.
 */
#ifndef CORE_DIGEST_H
#define CORE_DIGEST_H

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

/* A seed that nobody can guess. */
uint64_t digest_seed(void);

/* The digest of at most DIGEST_PARTS parts; where one ends and the next begins counts, too. */
struct digest digest_of(uint64_t seed, const struct digest_part *parts, size_t count);

#endif

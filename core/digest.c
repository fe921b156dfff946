// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Digests of messages: see digest.h. The parts are digested one by one, and then their digests. */
#include "digest.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t digest_seed(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == (ssize_t)sizeof seed)
        return seed;
    /* A machine that has only just been switched on: the clock has to do. */
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return XXH3_64bits(&now, sizeof now);
}

struct digest digest_of(uint64_t seed, const struct digest_part *parts, size_t count)
{
    struct {
        XXH128_hash_t hash;
        uint64_t size;
        uint64_t unused;
    } inner[DIGEST_PARTS];
    memset(inner, 0, sizeof inner);
    for (size_t i = 0; i < count; i++) {
        inner[i].hash = XXH3_128bits_withSeed(parts[i].data, parts[i].size, seed);
        inner[i].size = parts[i].size;
    }
    const XXH128_hash_t whole = XXH3_128bits_withSeed(inner, count * sizeof inner[0], seed);
    return (struct digest){{whole.low64, whole.high64}};
}

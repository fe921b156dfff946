// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Digests of messages: see digest.h. */
#include "base/digest.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { FEW_BYTES = 480 };

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

/* Each part has its size before it. */
static XXH128_hash_t digest_hash_pieces(uint64_t seed, const struct digest_part *parts, size_t count)
{
    XXH3_state_t state = {.seed = 0};
    XXH3_128bits_reset_withSeed(&state, seed);
    for (size_t i = 0; i < count; i++) {
        const uint32_t size = (uint32_t)parts[i].size;
        XXH3_128bits_update(&state, &size, sizeof size);
        if (size)
            XXH3_128bits_update(&state, parts[i].data, size);
    }
    return XXH3_128bits_digest(&state);
}

/* Few bytes are laid side by side and hashed at once, which is faster and comes to the same. */
struct digest digest_of(uint64_t seed, const struct digest_part *parts, size_t count)
{
    char few[FEW_BYTES + DIGEST_PARTS * sizeof(uint32_t)];
    size_t i, used = 0;
    for (i = 0; i < count && used + sizeof(uint32_t) + parts[i].size <= sizeof few; i++) {
        const uint32_t size = (uint32_t)parts[i].size;
        memcpy(few + used, &size, sizeof size);
        used += sizeof size;
        if (size)
            memcpy(few + used, parts[i].data, size);
        used += size;
    }
    const XXH128_hash_t hash =
        i == count ? XXH3_128bits_withSeed(few, used, seed) : digest_hash_pieces(seed, parts, count);
    return (struct digest){{hash.low64, hash.high64}};
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/base/bucket.h: how many tokens a bucket gives at once and over time. The log's limit is in
 * test_engine.c. */
#include "unit.h"

#include "base/bucket.h"

static const uint64_t second = 1000000000;
static const uint64_t starts[] = {0, 1, 999999999, 86400000000000, UINT64_MAX / 2};

/* How many of `tries` get `tokens` each at one moment. */
static int take(struct bucket *bucket, uint64_t now, uint32_t rate, uint32_t burst, uint32_t tokens,
                int tries)
{
    int taken = 0;
    for (int i = 0; i < tries; i++)
        taken += bucket_take(bucket, now, rate, burst, tokens);
    return taken;
}

START_TEST(buckets_of_any_size)
{
    static const uint32_t rates[] = {1, 3, 7, 1000, 999999, 1000000};
    for (int i = 0; i < UNIT_ROWS(rates); i++) {
        const uint64_t start = starts[_i];
        struct bucket bucket = {0};
        ck_assert_int_eq(take(&bucket, start, rates[i], 5, 1, 20), 5);
        ck_assert_int_eq(take(&bucket, start + second / rates[i] - 1, rates[i], 5, 1, 20), 0);
        ck_assert_int_eq(take(&bucket, start + 2 * (second / rates[i]), rates[i], 5, 1, 20), 2);
        ck_assert_int_eq(take(&bucket, start + 100 * second, rates[i], 5, 1, 20), 5);
    }
}
END_TEST

START_TEST(a_slow_trickle_always_passes)
{
    struct bucket bucket = {0};
    for (uint64_t i = 0; i < 1000; i++)
        ck_assert(bucket_take(&bucket, starts[_i] + i * second, 1, 10, 1));
}
END_TEST

/* Taking more tokens than are left leaves a debt. */
START_TEST(debts)
{
    struct bucket bucket = {0};
    ck_assert(bucket_take(&bucket, second, 10, 5, 4));
    ck_assert(bucket_take(&bucket, second, 10, 5, 21));
    ck_assert(!bucket_take(&bucket, second, 10, 5, 1));
    ck_assert(!bucket_take(&bucket, 3 * second, 10, 5, 1));
    ck_assert(bucket_take(&bucket, 3 * second + second / 10, 10, 5, 1));
    ck_assert(!bucket_take(&bucket, 3 * second + second / 10, 10, 5, 1));
    /* The largest debt of one message. */
    bucket = (struct bucket){0};
    ck_assert(bucket_take(&bucket, second, 1, 2, 10000));
    ck_assert(!bucket_take(&bucket, 9999 * second, 1, 2, 1));
    ck_assert(bucket_take(&bucket, 10001 * second, 1, 2, 1));
}
END_TEST

UNIT_MAIN("bucket", NULL, NULL, {a_slow_trickle_always_passes, UNIT_ROWS(starts)},
          {buckets_of_any_size, UNIT_ROWS(starts)}, {debts, 0})

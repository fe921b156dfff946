// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/base/bucket.c: a burst, then one for each second. */
#include "unit.h"

#include "base/bucket.h"

static const uint64_t second = 1000000000;

/* How many of `tries` pass at one moment. */
static int pass(struct gate *gate, uint64_t now, int tries)
{
    int passed = 0;
    for (int i = 0; i < tries; i++)
        passed += gate_passes(gate, now);
    return passed;
}

static const uint64_t starts[] = {0, 1, 999999999, 86400000000000, UINT64_MAX / 2};

START_TEST(lets_a_burst_through)
{
    struct gate gate = {0};
    ck_assert_int_eq(pass(&gate, starts[_i], 1000), GATE_BURST);
    ck_assert_uint_eq(gate_take_held(&gate), 1000 - GATE_BURST);
    ck_assert_uint_eq(gate_take_held(&gate), 0);
}
END_TEST

START_TEST(then_one_a_second)
{
    struct gate gate = {0};
    const uint64_t start = starts[_i];
    pass(&gate, start, 100);
    for (uint64_t i = 1; i <= 20; i++) {
        ck_assert_int_eq(pass(&gate, start + i * second - 1, 5), 0);
        ck_assert_int_eq(pass(&gate, start + i * second, 5), GATE_PER_SECOND);
    }
}
END_TEST

START_TEST(saves_no_more_than_a_burst)
{
    struct gate gate = {0};
    pass(&gate, 0, 100);
    ck_assert_int_eq(pass(&gate, 3 * second, 100), 3);
    ck_assert_int_eq(pass(&gate, 1000 * second, 100), GATE_BURST);
}
END_TEST

START_TEST(a_slow_trickle_always_passes)
{
    struct gate gate = {0};
    for (uint64_t i = 0; i < 1000; i++)
        ck_assert(gate_passes(&gate, i * second));
    ck_assert_uint_eq(gate_take_held(&gate), 0);
}
END_TEST

/* How many of `tries` get `tokens` each at one moment. */
static int take(uint64_t *full_at, uint64_t now, uint32_t rate, uint32_t burst, uint32_t tokens, int tries)
{
    int taken = 0;
    for (int i = 0; i < tries; i++)
        taken += bucket_take(full_at, now, rate, burst, tokens);
    return taken;
}

START_TEST(buckets_of_any_size)
{
    static const uint32_t rates[] = {1, 3, 7, 1000, 999999, 1000000};
    for (int i = 0; i < UNIT_ROWS(rates); i++) {
        const uint64_t start = starts[_i];
        uint64_t full_at = 0;
        ck_assert_int_eq(take(&full_at, start, rates[i], 5, 1, 20), 5);
        ck_assert_int_eq(take(&full_at, start + second / rates[i] - 1, rates[i], 5, 1, 20), 0);
        ck_assert_int_eq(take(&full_at, start + 2 * (second / rates[i]), rates[i], 5, 1, 20), 2);
        ck_assert_int_eq(take(&full_at, start + 100 * second, rates[i], 5, 1, 20), 5);
    }
}
END_TEST

/* Who takes more than there is left owes it. */
START_TEST(debts)
{
    uint64_t full_at = 0;
    ck_assert(bucket_take(&full_at, second, 10, 5, 4));
    ck_assert(bucket_take(&full_at, second, 10, 5, 21));
    ck_assert(!bucket_take(&full_at, second, 10, 5, 1));
    ck_assert(!bucket_take(&full_at, 3 * second, 10, 5, 1));
    ck_assert(bucket_take(&full_at, 3 * second + second / 10, 10, 5, 1));
    ck_assert(!bucket_take(&full_at, 3 * second + second / 10, 10, 5, 1));
    /* The most that one message can owe. */
    full_at = 0;
    ck_assert(bucket_take(&full_at, second, 1, 2, 10000));
    ck_assert(!bucket_take(&full_at, 9999 * second, 1, 2, 1));
    ck_assert(bucket_take(&full_at, 10001 * second, 1, 2, 1));
}
END_TEST

UNIT_MAIN("gate", NULL, NULL, {lets_a_burst_through, UNIT_ROWS(starts)},
          {then_one_a_second, UNIT_ROWS(starts)}, {saves_no_more_than_a_burst, 0},
          {a_slow_trickle_always_passes, 0}, {buckets_of_any_size, UNIT_ROWS(starts)}, {debts, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* tool/histogram.h: percentiles of durations. */
#include "unit.h"

#include "histogram.h"

static struct histogram histogram;

static void setup(void)
{
    histogram = (struct histogram){0};
}

/* A single duration is every percentile, whatever its bucket is. */
START_TEST(one_duration)
{
    for (uint64_t ns = 1; ns < UINT64_C(1) << 50; ns += ns / 7 + 1) {
        histogram = (struct histogram){0};
        histogram_add(&histogram, ns);
        ck_assert_uint_eq(histogram_percentile(&histogram, 0), ns);
        ck_assert_uint_eq(histogram_percentile(&histogram, 0.5), ns);
        ck_assert_uint_eq(histogram_percentile(&histogram, 1), ns);
        ck_assert(histogram.min == ns && histogram.max == ns && histogram.count == 1);
    }
}
END_TEST

/* A percentile is never too small, and too large by less than 1 %, however small or large the durations are.
 */
START_TEST(percentiles)
{
    const double shares[] = {0.01, 0.5, 0.9, 0.99, 0.999, 1};
    for (uint64_t step = 1; step < 1000000000; step *= 10) {
        histogram = (struct histogram){0};
        for (uint64_t at = 1000; at > 0; at--)
            histogram_add(&histogram, at * step);
        for (size_t at = 0; at < sizeof shares / sizeof *shares; at++) {
            const double exact = shares[at] * 1000 * (double)step;
            const double found = (double)histogram_percentile(&histogram, shares[at]);
            ck_assert_msg(found >= exact - 0.5 && found <= exact * 1.01, "%g of step %g: %g, not %g",
                          shares[at], (double)step, found, exact);
        }
        ck_assert_double_eq(histogram.sum, 500500.0 * (double)step);
    }
}
END_TEST

START_TEST(an_empty_one)
{
    ck_assert_uint_eq(histogram_percentile(&histogram, 0.5), 0);
}
END_TEST

UNIT_MAIN("histogram", setup, NULL, {one_duration, 0}, {percentiles, 0}, {an_empty_one, 0})

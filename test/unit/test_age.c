// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* handlers/sensor/age.c: clocks that are right, ahead, behind, and set. */
#include "sensor/age.h"
#include "unit.h"

#include <math.h>

enum { TICK = 60, DAY = 86400, PATIENCE = 30 * DAY };

static const double start = 1700000000;

static struct age age;
static double now, clock_error; /* the true time, and by how much the clock is wrong */
static int warnings;

static void begin(double last)
{
    now = start;
    warnings = 0;
    age_start(&age, now + clock_error, last, PATIENCE);
}

static void pass(double seconds)
{
    for (const double end = now + seconds; now < end;) {
        now += (double)TICK;
        warnings += age_tick(&age, now + clock_error, TICK);
    }
}

static double believed(void)
{
    return age_now(&age, now + clock_error);
}

static void reset(void)
{
    clock_error = 0;
    begin(NAN);
}

static void nothing(void)
{
}

START_TEST(right_clocks_are_believed)
{
    ck_assert(believed() == start);
    pass(2 * DAY);
    ck_assert(believed() == now);
    begin(start - 5);
    pass(TICK);
    ck_assert(believed() == now);
    ck_assert_int_eq(warnings, 0);
}
END_TEST

/* The network adjusts a clock bit by bit. */
START_TEST(slow_clocks_are_followed)
{
    for (int i = 0; i < 10000; i++) {
        clock_error += i % 2000 < 1000 ? 0.5 : -0.5;
        pass(TICK);
        ck_assert(fabs(believed() - now - clock_error) < 1);
    }
    ck_assert_int_eq(warnings, 0);
}
END_TEST

static const double jumps[] = {3600, DAY, 365.0 * (double)DAY, 1e10};

START_TEST(clocks_that_are_ahead_for_a_while)
{
    pass(3600);
    clock_error = jumps[_i];
    ck_assert(fabs(believed() - now) < 1);
    pass(PATIENCE - TICK);
    ck_assert(fabs(believed() - now) < 1);
    ck_assert_int_eq(warnings, 1);
    clock_error = 0;
    pass(TICK);
    ck_assert(believed() == now);
}
END_TEST

/* What was stored before it went ahead has grown old by itself by then. */
START_TEST(clocks_that_stay_ahead)
{
    clock_error = jumps[_i];
    pass(PATIENCE + 2 * TICK);
    ck_assert(believed() == now + clock_error);
    ck_assert_int_eq(warnings, 1);
}
END_TEST

START_TEST(clocks_that_jump_again_and_again)
{
    for (int i = 1; i < 100; i++) {
        clock_error = i * DAY;
        pass(DAY);
        ck_assert(believed() < now + 1);
    }
}
END_TEST

START_TEST(clocks_that_are_ahead_at_the_start)
{
    clock_error = jumps[_i];
    begin(start - 100);
    ck_assert(believed() == start - 100);
    pass(600);
    ck_assert(believed() < now);
    clock_error = 0;
    ck_assert(believed() <= now);
    pass(TICK);
    ck_assert(fabs(believed() - now) <= 100);
}
END_TEST

/* A reading from the future has been stored last. */
START_TEST(clocks_that_were_ahead_before_the_start)
{
    begin(start + jumps[_i]);
    pass(600);
    ck_assert(believed() == now);
    pass(3600);
    clock_error = jumps[_i];
    ck_assert(fabs(believed() - now) < 1);
}
END_TEST

/* Without a battery and before the network corrects it. */
START_TEST(clocks_that_begin_at_1970)
{
    clock_error = -start;
    begin(start - 100);
    ck_assert(believed() == 0);
    pass(600);
    ck_assert(believed() == 600);
    clock_error = 0;
    ck_assert(believed() == now - 100);
    pass(DAY);
    ck_assert(believed() == now - 100);
}
END_TEST

START_TEST(clocks_that_are_behind_for_long)
{
    clock_error = -DAY;
    pass(7200);
    ck_assert(believed() == now - (double)DAY);
    clock_error = 0;
    ck_assert(believed() == now - (double)DAY);
    pass(PATIENCE + 2 * TICK);
    ck_assert(believed() == now);
}
END_TEST

UNIT_MAIN("age", reset, nothing, {right_clocks_are_believed, 0}, {slow_clocks_are_followed, 0},
          {clocks_that_are_ahead_for_a_while, UNIT_ROWS(jumps)}, {clocks_that_stay_ahead, UNIT_ROWS(jumps)},
          {clocks_that_jump_again_and_again, 0}, {clocks_that_are_ahead_at_the_start, UNIT_ROWS(jumps)},
          {clocks_that_were_ahead_before_the_start, UNIT_ROWS(jumps)}, {clocks_that_begin_at_1970, 0},
          {clocks_that_are_behind_for_long, 0})

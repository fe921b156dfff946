// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/work/timers.c in an engine: the timers of modules. */
#include "unit.h"
#include "works.h"

#include "call/engine_parts.h"

#include <string.h>

enum { MOST = 200000 };

static struct rig rig;
static rpc_instance *instance;
static int beats, others;
static rpc_timer timer, other;

static void open_rig(void)
{
    works_init(&rig);
}

static void close_rig(void)
{
    works_close(&rig);
}

static void open_works(void)
{
    works_open(&rig);
    instance = rig.engine->registry.instances;
}

static void beat(rpc_instance *given, void *state, void *data)
{
    ck_assert_ptr_eq(given, instance);
    ck_assert(!state && data == &rig);
    beats++;
}

static void count_other(rpc_instance *given, void *state, void *data)
{
    (void)given, (void)state, (void)data;
    others++;
}

/* ---- When ---- */

START_TEST(every_so_often)
{
    open_works();
    const uint64_t start = rig.host.monotonic;
    timer = rpc_every(instance, 100, beat, &rig);
    ck_assert_uint_ne(timer.id, 0);
    const uint64_t first = engine_due(rig.engine);
    ck_assert_uint_ge(first, start + 100 * UINT64_C(1000000));
    ck_assert_uint_le(first, start + 100 * UINT64_C(1000000) + 1000);
    for (int i = 0; i < 1000; i++) {
        ck_assert_uint_eq(engine_due(rig.engine), first + (uint64_t)i * 100 * UINT64_C(1000000));
        rig.host.monotonic = engine_due(rig.engine) + (uint64_t)i % 100 * 1000000; /* the tick is late */
        engine_tick(rig.engine);
        ck_assert_int_eq(beats, i + 1);
        engine_tick(rig.engine);
        ck_assert_int_eq(beats, i + 1);
    }
    rpc_timer_cancel(instance, timer);
    ck_assert_uint_eq(engine_due(rig.engine), UINT64_MAX);
    works_pass(&rig, 1000);
    ck_assert_int_eq(beats, 1000);
}
END_TEST

START_TEST(missed_times_are_skipped)
{
    open_works();
    timer = rpc_every(instance, 100, beat, &rig);
    const uint64_t first = engine_due(rig.engine);
    works_pass(&rig, 100000);
    ck_assert_int_eq(beats, 1);
    ck_assert_uint_gt(engine_due(rig.engine), rig.host.monotonic);
    ck_assert_uint_eq((engine_due(rig.engine) - first) % 100000000, 0);
    ck_assert_uint_le(engine_due(rig.engine), rig.host.monotonic + 100000000);
}
END_TEST

START_TEST(no_time_is_a_millisecond)
{
    open_works();
    timer = rpc_every(instance, 0, beat, &rig);
    engine_tick(rig.engine);
    ck_assert_int_eq(beats, 0);
    works_pass(&rig, 2);
    ck_assert_int_eq(beats, 1);
}
END_TEST

START_TEST(after_some_time)
{
    static const uint32_t times[] = {0, 1, 1000, UINT32_MAX};
    open_works();
    const uint64_t due = rig.host.monotonic + times[_i] * UINT64_C(1000000);
    ck_assert_uint_ne(rpc_after(instance, times[_i], beat, &rig).id, 0);
    ck_assert_uint_ge(engine_due(rig.engine), due);
    rig.host.monotonic = due - (due > rig.host.monotonic);
    engine_tick(rig.engine);
    ck_assert_int_eq(beats, 0);
    rig.host.monotonic = engine_due(rig.engine);
    engine_tick(rig.engine);
    ck_assert_int_eq(beats, 1);
    ck_assert_uint_eq(engine_due(rig.engine), UINT64_MAX);
    works_pass(&rig, UINT32_MAX);
    ck_assert_int_eq(beats, 1);
}
END_TEST

static char order[8];

static void note(rpc_instance *given, void *state, void *data)
{
    (void)given, (void)state;
    strcat(order, data);
}

START_TEST(the_earlier_one_first)
{
    static char names[][2] = {"a", "b", "c", "d"};
    open_works();
    rpc_after(instance, 30, note, names[0]);
    rpc_after(instance, 10, note, names[1]);
    rpc_after(instance, 20, note, names[2]);
    rpc_after(instance, 10, note, names[3]);
    works_pass(&rig, 100);
    ck_assert_str_eq(order, "bdca");
}
END_TEST

/* ---- Timers that start and cancel timers ---- */

static void cancel_itself(rpc_instance *given, void *state, void *data)
{
    beat(given, state, data);
    rpc_timer_cancel(instance, timer);
}

START_TEST(a_timer_may_cancel_itself)
{
    open_works();
    timer = _i ? rpc_after(instance, 10, cancel_itself, &rig) : rpc_every(instance, 10, cancel_itself, &rig);
    works_pass(&rig, 100);
    works_pass(&rig, 100);
    ck_assert_int_eq(beats, 1);
    ck_assert_uint_eq(engine_due(rig.engine), UINT64_MAX);
}
END_TEST

static void cancel_other(rpc_instance *given, void *state, void *data)
{
    beat(given, state, data);
    ck_assert(rpc_timer_cancel(instance, other));
}

/* Even a timer that is due in the same tick. */
START_TEST(a_timer_may_cancel_another)
{
    open_works();
    timer = rpc_after(instance, 10, cancel_other, &rig);
    other = _i ? rpc_after(instance, 10, count_other, NULL) : rpc_every(instance, 11, count_other, NULL);
    works_pass(&rig, 100);
    ck_assert_int_eq(beats, 1);
    ck_assert_int_eq(others, 0);
    ck_assert_uint_eq(engine_due(rig.engine), UINT64_MAX);
}
END_TEST

static void start_anew(rpc_instance *given, void *state, void *data)
{
    beat(given, state, data);
    timer = rpc_after(given, 0, start_anew, data);
}

/* It runs once in each tick, so that the other timers run, too. */
START_TEST(a_timer_that_starts_itself_anew)
{
    open_works();
    rig.host.step = _i ? 1000 : 0; /* the clock moves, or it stands still */
    timer = rpc_after(instance, 0, start_anew, &rig);
    for (int i = 1; i <= 5; i++) {
        works_pass(&rig, 1);
        ck_assert_int_eq(beats, i);
    }
    rpc_timer_cancel(instance, timer);
}
END_TEST

static void cancel_and_start(rpc_instance *given, void *state, void *data)
{
    cancel_itself(given, state, data);
    timer = rpc_every(given, 50, beat, data);
}

START_TEST(a_timer_that_replaces_itself)
{
    open_works();
    timer = rpc_every(instance, 10, cancel_and_start, &rig);
    works_pass(&rig, 11);
    ck_assert_int_eq(beats, 1);
    works_pass(&rig, 49);
    ck_assert_int_eq(beats, 1);
    works_pass(&rig, 2);
    ck_assert_int_eq(beats, 2);
    rpc_timer_cancel(instance, timer);
}
END_TEST

START_TEST(nothing_may_be_cancelled)
{
    open_works();
    const rpc_timer none = {.id = 0};
    ck_assert(!rpc_timer_cancel(instance, none));
    ck_assert(!rpc_timer_cancel(NULL, none));
    ck_assert_uint_eq(engine_due(rig.engine), UINT64_MAX);
}
END_TEST

/* ---- Timers that are no more ---- */

/* A name that a module has kept too long names nothing, and never a timer that was started later. */
START_TEST(a_timer_that_has_run_is_not_cancelled)
{
    open_works();
    timer = rpc_after(instance, 10, beat, &rig);
    works_pass(&rig, 100);
    ck_assert_int_eq(beats, 1);
    ck_assert(!rpc_timer_cancel(instance, timer));
    other = rpc_after(instance, 10, count_other, NULL);
    ck_assert(!rpc_timer_cancel(instance, timer));
    works_pass(&rig, 100);
    ck_assert_int_eq(others, 1);
    ck_assert(!rpc_timer_cancel(instance, other));
}
END_TEST

START_TEST(a_timer_is_cancelled_once)
{
    open_works();
    timer = _i ? rpc_after(instance, 10, beat, &rig) : rpc_every(instance, 10, beat, &rig);
    ck_assert(rpc_timer_cancel(instance, timer));
    ck_assert(!rpc_timer_cancel(instance, timer));
    other = rpc_every(instance, 10, count_other, NULL);
    ck_assert(!rpc_timer_cancel(instance, timer));
    works_pass(&rig, 11);
    ck_assert_int_eq(others, 1);
    ck_assert_int_eq(beats, 0);
}
END_TEST

static void cancel_itself_twice(rpc_instance *given, void *state, void *data)
{
    beat(given, state, data);
    ck_assert_int_eq(rpc_timer_cancel(given, timer), others == 0); /* others: it runs but once */
    ck_assert(!rpc_timer_cancel(given, timer));
    rpc_after(given, 1000, count_other, NULL); /* takes the memory that is free */
    ck_assert(!rpc_timer_cancel(given, timer));
}

START_TEST(a_timer_cancels_itself_once)
{
    open_works();
    others = _i;
    timer = _i ? rpc_after(instance, 10, cancel_itself_twice, &rig)
               : rpc_every(instance, 10, cancel_itself_twice, &rig);
    works_pass(&rig, 100);
    works_pass(&rig, 100);
    ck_assert_int_eq(beats, 1);
    ck_assert(!rpc_timer_cancel(instance, timer));
}
END_TEST

static void stop_ticking(rpc_instance *given, void *state, void *data)
{
    beat(given, state, data);
    if (beats == 3)
        ck_assert(rpc_timer_cancel(given, timer));
}

/* Many timers, cancelled in another order than they were started in: each name finds its own. */
START_TEST(each_name_finds_its_timer)
{
    enum { COUNT = 500 };
    rpc_timer all[COUNT];
    open_works();
    for (int i = 0; i < COUNT; i++)
        all[i] = rpc_every(instance, 10, i % 3 ? beat : count_other, &rig);
    for (int i = 0; i < COUNT; i++) {
        if (i % 3)
            ck_assert(rpc_timer_cancel(instance, all[i]));
    }
    timer = rpc_every(instance, 10, stop_ticking, &rig);
    for (int i = 0; i < 10; i++)
        works_pass(&rig, 10);
    ck_assert_int_eq(beats, 3);
    ck_assert_int_gt(others, COUNT / 3);
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(rpc_timer_cancel(instance, all[i]), i % 3 == 0);
    ck_assert_uint_eq(engine_due(rig.engine), UINT64_MAX);
}
END_TEST

static const rpc_module neighbour = {.name = "neighbour"};

/* Of the same prefix and of another one, whose timers have the same numbers. */
START_TEST(a_timer_of_another_instance)
{
    struct rig far;
    open_works();
    rig_add(&rig, &neighbour, NULL);
    rpc_instance *near = rig.engine->registry.instances;
    ck_assert_ptr_ne(near, instance);
    rig_init(&far);
    rig_start(&far);
    rig_add(&far, &neighbour, NULL);
    rpc_instance *strange = far.engine->registry.instances;
    timer = rpc_after(instance, 10, beat, &rig);
    other = rpc_after(strange, 10, count_other, NULL);
    ck_assert_uint_eq(timer.id, other.id);
    ck_assert(!rpc_timer_cancel(near, timer));
    ck_assert(fake_host_logged(&rig.host, "module neighbour cancels a timer of another instance"));
    ck_assert(!rpc_timer_cancel(instance, other));
    ck_assert(fake_host_logged(&rig.host, "module works cancels a timer of another instance"));
    rig_close(&far);
    ck_assert(!rpc_timer_cancel(instance, other));
    works_pass(&rig, 100);
    ck_assert_int_eq(beats, 1);
    ck_assert_int_eq(others, 0);
}
END_TEST

START_TEST(a_timer_without_a_handler)
{
    open_works();
    ck_assert_uint_eq(rpc_every(instance, 10, NULL, &rig).id, 0);
    ck_assert_uint_eq(rpc_after(instance, 10, NULL, &rig).id, 0);
    ck_assert(fake_host_logged(&rig.host, "module works starts a timer without a handler"));
    ck_assert_uint_eq(engine_due(rig.engine), UINT64_MAX);
}
END_TEST

/* ---- Beginning and end ---- */

static rpc_status start_in_init(rpc_instance *given, void *state, const void *options)
{
    (void)state, (void)options;
    instance = given;
    timer = rpc_every(given, 100, beat, &rig);
    return timer.id ? RPC_OK : RPC_INTERNAL_ERROR;
}

/* Timers end with their instance. */
START_TEST(timers_of_init)
{
    static const rpc_module early = {.name = "early", .init = start_in_init};
    rig_start(&rig);
    rig_add(&rig, &early, NULL);
    works_pass(&rig, 101);
    ck_assert_int_eq(beats, 1);
    engine_stop(rig.engine);
    ck_assert_uint_eq(engine_due(rig.engine), UINT64_MAX);
    works_pass(&rig, 1000);
    ck_assert_int_eq(beats, 1);
    ck_assert_uint_eq(rpc_after(instance, 0, beat, &rig).id, 0);
}
END_TEST

static rpc_status start_and_fail(rpc_instance *given, void *state, const void *options)
{
    start_in_init(given, state, options);
    return RPC_INTERNAL_ERROR;
}

START_TEST(timers_of_an_init_that_failed)
{
    static const rpc_module early = {.name = "early", .init = start_and_fail};
    char why[ENGINE_WHY];
    rig_start(&rig);
    ck_assert(!engine_add_module(rig.engine, &early, NULL, why));
}
END_TEST

static void cancel_in_fini(void *state)
{
    (void)state;
    rpc_timer_cancel(instance, timer);
}

/* A done and a fini may cancel timers although all timers end anyway. */
START_TEST(fini_may_cancel)
{
    static const rpc_module late = {.name = "late", .init = start_in_init, .fini = cancel_in_fini};
    rig_start(&rig);
    rig_add(&rig, &late, NULL);
}
END_TEST

static void resume(rpc_instance *given, void *state, void *data)
{
    (void)given, (void)state;
    rpc_resume(data);
}

static rpc_status wait_for_timer(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    const rpc_status status = rpc_defer(call, NULL);
    timer = rpc_after(rpc_call_instance(call), 1000, resume, call);
    return status;
}

static rpc_status cancel_timer(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)state, (void)data, (void)result;
    beats++;
    if (outcome != RPC_OK)
        ck_assert(rpc_timer_cancel(rpc_call_instance(call), timer));
    return outcome;
}

START_TEST(done_may_cancel)
{
    works_hooks = (struct works_hooks){.run = wait_for_timer, .done = cancel_timer};
    works_open(&rig);
    works_call(&rig, "half", 0);
    if (_i == 0)
        engine_stop(rig.engine);
    else if (_i == 1)
        works_end_client(&rig, HOST_END_SESSION_OVER);
    else
        works_pass(&rig, 10000); /* both are due: the deadline comes first */
    ck_assert_int_eq(beats, 1);
    ck_assert_uint_eq(engine_due(rig.engine), UINT64_MAX);
}
END_TEST

START_TEST(timers_are_bounded)
{
    static rpc_timer all[MOST];
    open_works();
    for (int i = 0; i < MOST; i++) {
        all[i] = i % 2 ? rpc_every(instance, 1000, beat, &rig) : rpc_after(instance, 1000, beat, &rig);
        ck_assert_uint_ne(all[i].id, 0);
    }
    ck_assert_uint_eq(rpc_after(instance, 0, beat, &rig).id, 0);
    ck_assert_uint_eq(rpc_every(instance, 1, beat, &rig).id, 0);
    ck_assert(rpc_timer_cancel(instance, all[1]));
    ck_assert_uint_ne(rpc_after(instance, 0, beat, &rig).id, 0);
    ck_assert_uint_eq(rpc_after(instance, 0, beat, &rig).id, 0);
    works_pass(&rig, 1001);
    ck_assert_int_eq(beats, MOST);
    for (int i = 0; i < MOST / 2 + 1; i++)
        ck_assert_uint_ne(rpc_after(instance, 1000, beat, &rig).id, 0);
    ck_assert_uint_eq(rpc_after(instance, 0, beat, &rig).id, 0);
}
END_TEST

static rpc_status take_a_second(void)
{
    rig.host.monotonic += RIG_SECOND;
    return RPC_OK;
}

static void beat_slowly(rpc_instance *given, void *state, void *data)
{
    beat(given, state, data);
    take_a_second();
}

START_TEST(slow_timers_are_logged)
{
    rig.options.slow_call = 500;
    open_works();
    timer = rpc_every(instance, 100, beat_slowly, &rig);
    works_pass(&rig, 101);
    ck_assert_int_eq(beats, 1);
    ck_assert(fake_host_logged(&rig.host, "a timer of works took 1000 ms"));
    ck_assert_uint_eq(engine_counters(rig.engine)->slow, 1);
}
END_TEST

UNIT_MAIN("schedule", open_rig, close_rig, {every_so_often, 0}, {missed_times_are_skipped, 0},
          {no_time_is_a_millisecond, 0}, {after_some_time, 4}, {the_earlier_one_first, 0},
          {a_timer_may_cancel_itself, 2}, {a_timer_may_cancel_another, 2},
          {a_timer_that_starts_itself_anew, 2}, {a_timer_that_replaces_itself, 0},
          {nothing_may_be_cancelled, 0}, {a_timer_that_has_run_is_not_cancelled, 0},
          {a_timer_is_cancelled_once, 2}, {a_timer_cancels_itself_once, 2}, {each_name_finds_its_timer, 0},
          {a_timer_of_another_instance, 0}, {a_timer_without_a_handler, 0}, {timers_of_init, 0},
          {timers_of_an_init_that_failed, 0}, {fini_may_cancel, 0}, {done_may_cancel, 3},
          {timers_are_bounded, 0}, {slow_timers_are_logged, 0})

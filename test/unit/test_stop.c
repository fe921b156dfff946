// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The end of an engine with pending calls: every done runs once, the engine sends nothing any more, and work
 * that does not return is left behind with all memory that it uses. That is a leak by design, and the leak
 * sanitizer is switched off for it.
 */
#include "unit.h"
#include "works.h"

#include "call/engine_parts.h"

#include <string.h>

enum { SOON = 50 * 1000000 /* nanoseconds */ };

static struct rig rig;
static struct works_slot *const slots = works_slots;
static int finis, dones;
static rpc_module ending, plain;

static void count_fini(void *state)
{
    ck_assert_ptr_nonnull(state);
    finis++;
}

static void open_rig(void)
{
    works_init(&rig);
    rig.options.workers = 1;
    rig.options.duplicate_window = 60000;
    ending = works;
    ending.state_size = 100;
    ending.fini = count_fini;
    plain = (rpc_module){.name = "plain", .state_size = 1, .fini = count_fini};
}

static void open_ending(void)
{
    rig_start(&rig);
    rig_add(&rig, &ending, NULL);
    rig_add(&rig, &plain, NULL);
}

/* The end of a test, after destroy(). */
static void close_rig(void)
{
    ck_assert_ptr_null(rig.engine);
    for (int n = 0; n < WORKS_SLOTS; n++)
        ck_assert_int_eq(slots[n].pending, slots[n].dones);
    rig_close_host(&rig.host);
}

static void destroy(void)
{
    ck_assert(engine_destroy(rig.engine, 20 * RIG_SECOND));
    rig.engine = NULL;
    ck_assert_int_eq(finis, 2);
}

static void expect_silence(void)
{
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(rig.host.events.count, 0);
}

static void expect_over(int n)
{
    ck_assert_int_eq(slots[n].dones, 1);
    ck_assert_int_eq(slots[n].outcome, RPC_CANCELLED);
}

static void expect_cancelled(int n, int returned)
{
    expect_over(n);
    ck_assert_int_eq(atomic_load(&slots[n].works), returned);
}

/* ---- In every state ---- */

static void open_everything(void)
{
    open_ending();
    works_begin(&rig, "work", 0);
    works_call(&rig, "work", 1);
    works_call(&rig, "wait", 2);
    works_call(&rig, "work.firm", 3);
    works_call(&rig, "wait.firm", 4);
    works_send(&rig, "rpc/call/work", "{\"n\":5}", NULL, NULL);
    works_send(&rig, "rpc/batch/work", "[{\"n\":6},{\"n\":7}]", "r", NULL);
    works_send(&rig, "rpc/call/work", "{\"n\":8}", "r", "sixteen-bytes-id");
    works_send(&rig, "rpc/call/work", "{\"n\":8}", "r", "sixteen-bytes-id"); /* waits for the first */
}

/* Results are collected by a tick before the end, or at the end. */
START_TEST(everything_at_once)
{
    open_everything();
    engine_stop(rig.engine);
    for (int n = 1; n <= 8; n++)
        ck_assert_int_eq(slots[n].dones, n != 3);
    ck_assert_int_eq(slots[0].dones, 0);
    sem_post(&slots[0].go);
    if (_i)
        works_wait_done(&rig, 0, 1);
    destroy();
    for (int n = 0; n <= 8; n++)
        expect_cancelled(n, n == 3 || n == 0);
    expect_silence();
}
END_TEST

/* The threads decide how much of the work is still done; the engine sends nothing of it. */
START_TEST(everything_without_a_warning)
{
    open_everything();
    sem_post(&slots[0].go);
    destroy();
    for (int n = 0; n <= 8; n++)
        expect_over(n);
    expect_silence();
}
END_TEST

START_TEST(replies_before_the_end)
{
    open_ending();
    works_begin(&rig, "work", 0);
    works_pass(&rig, 10000);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    engine_stop(rig.engine);
    sem_post(&slots[0].go);
    destroy();
    ck_assert_int_eq(slots[0].outcome, RPC_TIMEOUT);
    ck_assert_uint_eq(rig.host.replies.count, 1);
}
END_TEST

START_TEST(running_work_is_not_wanted)
{
    open_ending();
    works_begin(&rig, "work", 0);
    engine_stop(rig.engine);
    sem_post(&slots[0].go);
    destroy();
    expect_cancelled(0, 1);
    ck_assert(!atomic_load(&slots[0].wanted));
    expect_silence();
}
END_TEST

START_TEST(must_finish_finishes)
{
    open_ending();
    works_begin(&rig, "work.firm", 0);
    works_call(&rig, "work.firm", 1);
    engine_stop(rig.engine);
    ck_assert_int_eq(slots[0].dones + slots[1].dones, 0);
    sem_post(&slots[0].go);
    destroy();
    expect_cancelled(0, 1);
    expect_cancelled(1, 1);
    ck_assert(atomic_load(&slots[0].wanted) && atomic_load(&slots[1].wanted));
    expect_silence();
}
END_TEST

START_TEST(twice_and_afterwards)
{
    open_ending();
    works_begin(&rig, "work", 0);
    engine_stop(rig.engine);
    engine_stop(rig.engine);
    works_call(&rig, "work", 1);
    works_call(&rig, "wait", 1);
    works_call(&rig, "now", 1);
    works_end_client(&rig, HOST_END_SESSION_OVER);
    works_pass(&rig, 10000);
    ck_assert_int_eq(slots[1].pending, 0);
    ck_assert_uint_eq(engine_due(rig.engine), UINT64_MAX);
    works_let_go(&rig, 0);
    destroy();
    expect_silence();
}
END_TEST

START_TEST(an_engine_without_calls)
{
    engine_stop(NULL);
    ck_assert(engine_destroy(NULL, 0));
    open_ending();
    ck_assert(engine_destroy(rig.engine, 0));
    rig.engine = NULL;
    ck_assert_int_eq(finis, 2);
}
END_TEST

/* ---- Dones that do what they may not do at the end ---- */

static rpc_call *waiting;

static rpc_status defers(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    rpc_call *before = waiting;
    waiting = call;
    return rpc_defer(call, before);
}

static void never(rpc_instance *instance, void *state, void *data)
{
    (void)instance, (void)state, (void)data;
    ck_abort_msg("a timer ran");
}

static void nothing(rpc_job *job, void *data)
{
    (void)job, (void)data;
}

static rpc_status tries_all(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    const struct works_result event = {.n = 1};
    rpc_instance *instance = rpc_call_instance(call);
    (void)state, (void)data, (void)result;
    dones++;
    ck_assert_int_eq(outcome, RPC_CANCELLED);
    ck_assert_int_eq(rpc_start(call, NULL, NULL), RPC_CANCELLED);
    ck_assert_int_eq(rpc_defer(call, NULL), RPC_CANCELLED);
    ck_assert_int_eq(rpc_background(instance, NULL, nothing, tries_all, NULL), RPC_CANCELLED);
    ck_assert_int_eq(rpc_announce(instance, call, "worked", &event), RPC_CANCELLED);
    ck_assert_uint_eq(rpc_after(instance, 0, never, NULL).id, 0);
    ck_assert_uint_eq(rpc_every(instance, 1, never, NULL).id, 0);
    ck_assert_ptr_nonnull(rpc_printf(call, "%d", 1));
    return RPC_PENDING;
}

START_TEST(dones_that_try_all)
{
    works_hooks = (struct works_hooks){.run = defers, .done = tries_all};
    open_ending();
    works_call(&rig, "act", 0);
    works_send(&rig, "rpc/batch/act", "[{},{}]", NULL, NULL);
    destroy();
    ck_assert_int_eq(dones, 3);
    expect_silence();
}
END_TEST

/* The done that runs first ends the other call. */
static rpc_call *first, *second;

static rpc_status defers_pair(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    *(first ? &second : &first) = call;
    return rpc_defer(call, NULL);
}

static rpc_status ends_the_second(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    rpc_call *other = call == first ? second : first;
    (void)state, (void)data, (void)outcome, (void)result;
    dones++;
    first = second = NULL;
    if (other)
        rpc_resume(other);
    return RPC_OK;
}

START_TEST(dones_that_end_others)
{
    works_hooks = (struct works_hooks){.run = defers_pair, .done = ends_the_second};
    open_ending();
    works_call(&rig, "half", 0);
    works_call(&rig, "half", 1);
    if (_i == 0)
        works_end_client(&rig, HOST_END_SESSION_OVER);
    else if (_i == 1)
        works_pass(&rig, 10000);
    destroy();
    ck_assert_int_eq(dones, 2);
}
END_TEST

/* ---- Work without a call ---- */

static sem_t begun, go;
static rpc_status background_outcome;

static void wait_to_go(rpc_job *job, void *data)
{
    (void)job, (void)data;
    sem_post(&begun);
    sem_wait(&go);
}

static rpc_status background_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)state, (void)data;
    ck_assert(!call && !result);
    dones++;
    background_outcome = outcome;
    return RPC_OK;
}

static rpc_status background_in_init(rpc_instance *instance, void *state, const void *options)
{
    (void)state, (void)options;
    ck_assert_int_eq(rpc_background(instance, "a", wait_to_go, background_done, NULL), RPC_PENDING);
    ck_assert_int_eq(rpc_background(instance, "a", wait_to_go, background_done, NULL), RPC_PENDING);
    return dones < 0 ? RPC_INTERNAL_ERROR : RPC_OK;
}

START_TEST(background_of_init)
{
    char why[ENGINE_WHY];
    const int before = _i ? -10 : 0; /* then init fails */
    sem_init(&begun, 0, 0);
    sem_init(&go, 0, 0);
    plain.init = background_in_init;
    dones = before;
    rig_start(&rig);
    ck_assert_int_eq(engine_add_module(rig.engine, &plain, NULL, why), !_i);
    sem_wait(&begun);
    engine_stop(rig.engine);
    ck_assert_int_eq(dones, before + 1);
    sem_post(&go);
    ck_assert(engine_destroy(rig.engine, 20 * RIG_SECOND));
    rig.engine = NULL;
    ck_assert_int_eq(dones, before + 2);
    ck_assert_int_eq(background_outcome, RPC_CANCELLED);
    ck_assert_int_eq(finis, 1);
}
END_TEST

/* ---- Work that does not return ---- */

/* The instance of that work is left behind, others are freed. A call that waits behind it and must finish is
 * ended. */
START_TEST(work_that_is_left_behind)
{
    static const char *const methods[] = {"work", "work.firm", "work"};
    unit_ignore_leaks();
    open_ending();
    works_begin(&rig, methods[_i], 0);
    works_call(&rig, "work.firm", 1);
    works_call(&rig, "wait", 2);
    if (_i == 2)
        works_pass(&rig, 10000);
    ck_assert(!engine_destroy(rig.engine, SOON));
    rig.engine = NULL;
    ck_assert_int_eq(finis, 1);
    ck_assert_int_eq(slots[0].dones, 0);
    ck_assert_int_eq(slots[1].dones, 1);
    ck_assert_int_eq(slots[2].dones, 1);
    ck_assert(fake_host_logged(&rig.host, "some work has not returned"));
    while (fake_host_wait(&rig.host, 0))
        continue;
    sem_post(&slots[0].go);
    ck_assert(!fake_host_wait(&rig.host, 200)); /* the host is not woken any more */
    ck_assert_int_eq(atomic_load(&slots[0].works), 1);
    slots[0].dones = slots[0].pending;
}
END_TEST

static void group(rpc_job *job, void *data)
{
    (void)data;
    while (rpc_job_take_next(job))
        continue;
    sem_post(&begun);
    sem_wait(&go);
    (void)rpc_is_wanted(job);
    (void)rpc_job_take_next(job);
    sem_post(&begun);
}

static rpc_status starts_in_lane(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)result;
    return rpc_start(call, ((const struct works_params *)params)->lane, &go);
}

static rpc_status counts(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)call, (void)state, (void)data, (void)outcome, (void)result;
    dones++;
    return RPC_OK;
}

/* Jobs that the work has taken are left behind with it, and its calls of rpc_ functions still return. */
START_TEST(groups_that_are_left_behind)
{
    unit_ignore_leaks();
    sem_init(&begun, 0, 0);
    sem_init(&go, 0, 0);
    works_hooks = (struct works_hooks){.run = starts_in_lane, .work = group, .done = counts};
    open_ending();
    works_begin(&rig, "work", 0);
    for (int i = 0; i < 3; i++)
        works_send(&rig, "rpc/call/act", "{\"lane\":\"a\"}", "r", NULL);
    works_let_go(&rig, 0);
    sem_wait(&begun);
    ck_assert(!engine_destroy(rig.engine, SOON));
    rig.engine = NULL;
    ck_assert_int_eq(dones, 0);
    ck_assert_int_eq(finis, 1);
    sem_post(&go);
    sem_wait(&begun);
}
END_TEST

UNIT_MAIN("stop", open_rig, close_rig, {everything_at_once, 2}, {everything_without_a_warning, 0},
          {replies_before_the_end, 0}, {running_work_is_not_wanted, 0}, {must_finish_finishes, 0},
          {twice_and_afterwards, 0}, {an_engine_without_calls, 0}, {dones_that_try_all, 0},
          {dones_that_end_others, 3}, {background_of_init, 2}, {work_that_is_left_behind, 3},
          {groups_that_are_left_behind, 0})

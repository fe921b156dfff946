// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Calls at workers when memory is short: whatever allocation fails, nothing leaks, each call has one outcome,
 * and the credit of workers comes back.
 */
#include "far.h"

#include "call/engine_parts.h"
#include "failing_malloc.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static const enum failing_mode modes[] = {FAILING_ONCE, FAILING_FROM};

static struct rig rig;

static void expect_nothing_left(void)
{
    ck_assert_uint_eq(failing_live(), 0);
}

#define BOTH "\"methods\":[\"far.add\",\"far.read\",\"far.lane\",\"far.steps\"]"

/* The job that was sent last, without the checks of far_last(), which allocate. */
static struct fake_message last_job(void)
{
    return rig.host.others.kept[rig.host.others.count - 1];
}

static struct far_worker attach(const char *name)
{
    struct far_worker worker = far_make(name);
    far_attach(&rig, &worker, BOTH);
    return worker;
}

/* Nothing waits and nothing is out, as soon as all that can happen has happened. */
static void close_rig(void)
{
    far_pass(&rig, 20000);
    far_pass(&rig, 100000);
    ck_assert_uint_eq(rig.engine->remote->crew.outstanding, 0);
    ck_assert_uint_eq(rig.engine->remote->crew.queues.jobs, 0);
    ck_assert_uint_eq(rig.engine->remote->late, 0);
    ck_assert_uint_eq(rig.engine->slots.count, 0);
    ck_assert_uint_eq(rig.engine->slots.bytes, 0);
    rig_close(&rig);
    expect_nothing_left();
}

static const struct {
    const char *topic, *payload;
} calls[] = {
    {"rpc/call/far.add", "{\"a\":1}"},
    {"rpc/call/far.lane", "{\"lane\":\"a\"}"},
    {"rpc/call/far.add", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"far.add\",\"params\":[1,2]}"},
    {"rpc/batch/far.add", "[{\"a\":1},{\"a\":2}]"},
};

/* A call arrives, with a worker and without. */
START_TEST(calling)
{
    const int call = _i / 4;
    const bool has_worker = _i % 2;
    bool failed = true;
    size_t sent = 0;
    for (size_t n = 0; failed; n++) {
        far_open(&rig);
        struct far_worker worker = far_make("w1");
        if (has_worker)
            worker = attach("w1");
        failing_arm(modes[_i / 2 % 2], n);
        rig_send(&rig, calls[call].topic, calls[call].payload, "r", NULL);
        failed = failing_disarm();
        far_pass(&rig, 100); /* what could not be sent is sent now */
        sent += rig.host.others.count;
        for (size_t i = 0; i < rig.host.others.count; i++)
            far_answer(&rig, &worker, far_sent(&rig, i), "ok", call == 1 ? "{}" : "{\"sum\":1}");
        far_pass(&rig, 5000);
        ck_assert_uint_le(rig.host.replies.count, 1);
        ck_assert(rig.host.replies.count || rig.engine->env.counters.dropped);
        close_rig();
    }
    ck_assert(sent || !has_worker);
}
END_TEST

/* A worker answers. */
START_TEST(answering)
{
    static const struct {
        const char *method, *payload, *status, *answer;
    } answers[] = {
        {"far.add", "{\"a\":1}", "ok", "{\"sum\":1,\"text\":\"x\"}"},
        {"far.add", "{\"a\":1}", "far_large", "{\"msg\":\"x\",\"limit\":3}"},
        {"far.add", "{\"a\":1}", "refused", ""},
        {"far.steps", "", "progress", "{\"step\":1}"},
    };
    const int row = _i / 2;
    bool failed = true;
    size_t answered = 0;
    for (size_t n = 0; failed; n++) {
        far_open(&rig);
        const struct far_worker worker = attach("w1");
        rig.host.property = "progress";
        rig.host.value = "1";
        far_call(&rig, answers[row].method, answers[row].payload);
        rig.host.property = NULL;
        const struct fake_message job = last_job();
        failing_arm(modes[_i % 2], n);
        far_publish(&rig, &worker, worker.done, job.correlation, 32, answers[row].status,
                    answers[row].answer);
        failed = failing_disarm();
        answered += rig.host.replies.count;
        far_pass(&rig, 100);
        if (rig.engine->remote->crew.outstanding)
            far_answer(&rig, &worker, &job, "ok", "{\"sum\":1}");
        close_rig();
    }
    ck_assert(answered || row == 2);
}
END_TEST

/* A worker goes, of whose calls one may run twice; and another one is there. */
START_TEST(going)
{
    bool failed = true;
    size_t moved = 0;
    for (size_t n = 0; failed; n++) {
        far_open(&rig);
        const struct far_worker one = attach("w1");
        far_call(&rig, "far.add", "{\"a\":1}");
        far_call(&rig, "far.read", "{\"a\":1}");
        const struct far_worker other = attach("w2");
        const struct host_ending ending = {
            .id = "w1", .connection = one.client.connection, .kind = HOST_END_SESSION_OVER};
        failing_arm(modes[_i], n);
        engine_client_ended(rig.engine, &ending);
        failed = failing_disarm();
        far_pass(&rig, 100);
        if (rig.host.others.count == 3) {
            moved++;
            far_answer(&rig, &other, far_last(&rig), "ok", "{\"sum\":1}");
        }
        ck_assert_uint_eq(rig.host.replies.count + rig.engine->env.counters.dropped, 2);
        close_rig();
    }
    ck_assert_uint_ge(moved, 1);
}
END_TEST

/* A worker comes, or comes anew, and calls wait for it. */
START_TEST(attaching)
{
    const bool is_anew = _i / 2;
    bool failed = true;
    size_t attached = 0;
    for (size_t n = 0; failed; n++) {
        far_open(&rig);
        struct far_worker worker = far_make("w1");
        if (is_anew)
            far_attach(&rig, &worker, "\"methods\":[\"far.read\"]");
        far_call(&rig, "far.add", "{\"a\":1}");
        const struct host_client own = rig.client;
        rig.client = worker.client;
        failing_arm(modes[_i % 2], n);
        rig_send(&rig, "rpc/call/rpc.attach", "{\"worker\":\"w1\"," BOTH "}", "w", NULL);
        failed = failing_disarm();
        rig.client = own;
        far_pass(&rig, 100);
        if (rig.host.others.count) {
            attached++;
            far_answer(&rig, &worker, far_last(&rig), "ok", "{\"sum\":1}");
        }
        close_rig();
    }
    ck_assert_uint_ge(attached, 1);
}
END_TEST

/* Whether all methods that a worker offers are there. */
static bool offers_what_is_there(const struct crew_worker *worker)
{
    for (const struct crew_tie *tie = worker->ties; tie; tie = tie->hh.next) {
        const struct registry_method *method = rig.engine->registry.methods;
        while (method && method != tie->method)
            method = method->hh.next;
        if (!method)
            return false;
    }
    return true;
}

/* A worker attaches anew without the method that it has declared, which goes after a while. */
START_TEST(declaring_less)
{
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        far_open(&rig);
        struct far_worker worker = far_make("w1");
        far_attach(&rig, &worker, "\"declares\":[{\"name\":\"old\"}]");
        const struct host_client own = rig.client;
        rig.client = worker.client;
        failing_arm(modes[_i], n);
        rig_send(&rig, "rpc/call/rpc.attach", "{\"worker\":\"w1\"," BOTH "}", "w", NULL);
        failed = failing_disarm();
        rig.client = own;
        far_pass(&rig, 61000);
        far_pass(&rig, 61000);
        ck_assert(offers_what_is_there(crew_find(&rig.engine->remote->crew, "w1")));
        close_rig();
    }
}
END_TEST

static const char *const shown[] = {"rpc/call/rpc.workers", "rpc/work/w1/event/far.kept"};

START_TEST(showing)
{
    bool failed = true;
    size_t done = 0;
    for (size_t n = 0; failed; n++) {
        far_open(&rig);
        const struct far_worker worker = attach("w1");
        failing_arm(modes[_i % 2], n);
        if (_i / 2 == 0)
            rig_send(&rig, shown[0], "", "r", NULL);
        else
            far_publish(&rig, &worker, shown[1], NULL, 0, NULL, "{\"lane\":\"a\"}");
        failed = failing_disarm();
        done += _i / 2 ? rig.host.events.count : rig.host.replies.count;
        close_rig();
    }
    ck_assert_uint_ge(done, 1);
}
END_TEST

/* An engine with methods that are not local, and the module `workers`. */
START_TEST(starting)
{
    bool failed = true;
    char why[ENGINE_WHY];
    for (size_t n = 0; failed; n++) {
        far_init(&rig);
        failing_arm(modes[_i], n);
        rig.engine = engine_create(&rig.options, &rig.host.host);
        if (rig.engine)
            engine_add_module(rig.engine, &far, NULL, why);
        failed = failing_disarm();
        rig_close(&rig);
        expect_nothing_left();
    }
}
END_TEST

static void install(void)
{
    failing_install();
}

UNIT_MAIN("remote_memory", install, NULL, {calling, 4 * UNIT_ROWS(calls)}, {answering, 8}, {going, 2},
          {attaching, 4}, {declaring_less, 2}, {showing, 4}, {starting, 2})

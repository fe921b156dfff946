// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/dedup/dedup.c and calls that take time: duplicates that arrive while the first call is pending, or
 * after it has ended without a result. Work that has begun never runs twice; a call whose work has not begun
 * may.
 */
#include "unit.h"
#include "works.h"

#include "call/engine_parts.h"

#include <string.h>

#define LONG_ID "sixteen-bytes-id" /* long enough to be valid beyond its session */
#define N1 "{\"n\":1}"

static struct rig rig;
static struct works_slot *const slots = works_slots;
static char contexts[3]; /* their addresses stand for connections */

static void open_rig(void)
{
    works_init(&rig);
    rig.client.connection = &contexts[0];
    rig.options.workers = 1;
    rig.options.duplicate_window = 60000;
    rig.options.redelivery_guard = 10000;
}

static void close_rig(void)
{
    works_close(&rig);
}

static uint64_t duplicates(void)
{
    return engine_counters(rig.engine)->duplicates;
}

static void send(const char *method)
{
    works_send(&rig, method, N1, "r", LONG_ID);
}

static void be_other(void)
{
    rig.client = (struct host_client){
        .id = "other", .user = "u", .address = "a", .version = 5, .connection = &contexts[2]};
}

static void be_tester(void)
{
    rig.client = (struct host_client){
        .id = "tester", .user = "bob", .address = "a", .version = 5, .connection = &contexts[0]};
}

/* The only worker runs another client's job until the test lets it go. */
static void open_busy(void)
{
    works_open(&rig);
    be_other();
    rig.host.property = "timeout-ms";
    rig.host.value = "60000";
    works_begin(&rig, "work", 0);
    rig.host.property = NULL;
    be_tester();
}

/* Another call of the client is pending, so that the next one takes the last pending slot. */
static void take_a_slot(void)
{
    rig.engine->env.options.max_pending = 2;
    works_call(&rig, "wait", 3);
}

/* The connection is cut, and a new one takes up the session. */
static void reconnect(void)
{
    works_end_client(&rig, HOST_END_SESSION_WAITS);
    works_end_client(&rig, HOST_END_TAKEN_OVER);
    rig.client.connection = rig.client.connection == &contexts[0] ? &contexts[1] : &contexts[0];
}

/* ---- While the first call is pending ---- */

static const char *const ways[] = {"rpc/call/work", "rpc/call/wait"};

static void end_first(int way)
{
    if (way == 0)
        works_let_go(&rig, 1);
    else
        rpc_resume(slots[1].call);
}

START_TEST(duplicates_wait)
{
    works_open(&rig);
    slots[1].shut = true;
    send(ways[_i]);
    works_send(&rig, ways[_i], N1, "second", LONG_ID);
    rig.qos = 0;
    works_send(&rig, ways[_i], N1, "third", LONG_ID);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(duplicates(), 2);
    end_first(_i);
    ck_assert_uint_eq(rig.host.replies.count, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_eq(rig.host.replies.kept[i].text, rig.host.replies.kept[0].text);
        ck_assert_str_eq(rig.host.replies.kept[i].status, "ok");
        ck_assert_mem_eq(rig.host.replies.kept[i].correlation, LONG_ID, 16);
        ck_assert_str_eq(rig.host.replies.kept[i].client, "tester");
        ck_assert_int_eq(rig.host.replies.kept[i].repeated, i > 0);
    }
    ck_assert_str_eq(rig.host.replies.kept[1].topic, "second");
    ck_assert_str_eq(rig.host.replies.kept[2].topic, "third");
    ck_assert_int_eq(rig.host.replies.kept[2].qos, 0);
    send(ways[_i]);
    ck_assert_uint_eq(rig.host.replies.count, 4);
    ck_assert_int_eq(slots[1].runs, 1);
}
END_TEST

/* An error is a reply like any other. */
START_TEST(failures_are_repeated)
{
    works_open(&rig);
    slots[1].shut = true;
    works_send(&rig, "rpc/call/work", "{\"n\":1,\"fail\":true}", "r", LONG_ID);
    works_send(&rig, "rpc/call/work", "{\"n\":1,\"fail\":true}", "s", LONG_ID);
    works_let_go(&rig, 1);
    works_expect(&rig, 2, "plain", WORKS_ERROR("work", "plain", "slot 1"));
    ck_assert_str_eq(rig.host.replies.kept[0].text, rig.host.replies.kept[1].text);
}
END_TEST

/* A duplicate whose connection ends gets no reply. */
START_TEST(duplicates_whose_connection_ends)
{
    works_open(&rig);
    works_send(&rig, "rpc/call/wait.firm", N1, "r", LONG_ID);
    works_send(&rig, "rpc/call/wait.firm", N1, "s", LONG_ID);
    works_end_client(&rig, HOST_END_SESSION_OVER);
    rpc_resume(slots[1].call);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    rig.client.connection = &contexts[1];
    works_send(&rig, "rpc/call/wait.firm", N1, "s", LONG_ID);
    works_expect(&rig, 1, "ok", "{\"n\":1,\"by\":\"done\"}");
    ck_assert_int_eq(slots[1].runs, 1);
}
END_TEST

/* The client reconnects before its call has ended, and sends it again. */
START_TEST(duplicates_of_a_new_connection)
{
    works_open(&rig);
    works_send(&rig, "rpc/call/wait.firm", N1, "r", LONG_ID);
    reconnect();
    works_send(&rig, "rpc/call/wait.firm", N1, "s", LONG_ID);
    rpc_resume(slots[1].call);
    works_expect(&rig, 1, "ok", "{\"n\":1,\"by\":\"done\"}");
    ck_assert_str_eq(rig.host.replies.kept[0].topic, "s");
    ck_assert_ptr_eq(rig.host.replies.kept[0].connection, &contexts[1]);
}
END_TEST

/* Another client, whose ended connection had the address of this one, comes back on a connection of its own.
 */
START_TEST(duplicates_on_a_reused_address)
{
    works_open(&rig);
    be_other();
    works_call(&rig, "wait", 4);
    works_end_client(&rig, HOST_END_SESSION_WAITS);
    be_tester();
    rig.client.connection = &contexts[2];
    works_send(&rig, "rpc/call/wait", N1, "r", LONG_ID);
    works_send(&rig, "rpc/call/wait", N1, "s", LONG_ID);
    be_other();
    rig.client.connection = &contexts[1];
    works_send(&rig, "rpc/call/now", "", NULL, NULL);
    fake_host_forget(&rig.host);
    rpc_resume(slots[1].call);
    ck_assert_uint_eq(rig.host.replies.count, 2);
    ck_assert_str_eq(rig.host.replies.kept[0].topic, "r");
    ck_assert_str_eq(rig.host.replies.kept[1].topic, "s");
}
END_TEST

/* A short identity is valid within its session; in the next session the same call is another one. */
START_TEST(short_identities_of_pending_calls)
{
    works_open(&rig);
    works_send(&rig, "rpc/call/wait.firm", N1, "r", "1");
    rpc_call *first = slots[1].call;
    works_end_client(&rig, HOST_END_SESSION_OVER);
    rig.client.connection = &contexts[1];
    rig.client.clean_start = true;
    works_send(&rig, "rpc/call/wait.firm", N1, "s", "1");
    ck_assert_int_eq(slots[1].runs, 2);
    rpc_call *second = slots[1].call;
    rpc_resume(first);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    rpc_resume(second);
    works_expect(&rig, 1, "ok", "{\"n\":1,\"by\":\"done\"}");
    ck_assert_str_eq(rig.host.replies.kept[0].topic, "s");
}
END_TEST

/* ---- After the first call has ended without a result ---- */

/* How the call ends: its deadline, the end of its connection, eviction by another client's call. */
enum { BY_DEADLINE, BY_CALLER, BY_ANOTHER, CAUSES };

/* Another client's call evicts the newest one, and ends itself. */
static void be_evicted(void)
{
    be_other();
    works_call(&rig, "wait", 4);
    works_end_client(&rig, HOST_END_SESSION_OVER);
    be_tester();
}

static void end_pending(int cause)
{
    if (cause == BY_DEADLINE)
        works_pass(&rig, 10000);
    else if (cause == BY_CALLER)
        reconnect();
    else
        be_evicted();
}

#define CAUSE_TEXTS(method)                                                                            \
    {"timeout", WORKS_TIMEOUT(method)}, {"cancelled", WORKS_CANCELLED(method)},                        \
    {                                                                                                  \
        "overloaded", WORKS_ERROR(method, "overloaded", "too many calls are waiting: see max_pending") \
    }

START_TEST(duplicates_run_if_no_work_began)
{
    open_busy();
    take_a_slot();
    send("rpc/call/work");
    end_pending(_i);
    ck_assert_int_eq(slots[1].dones, 1);
    send("rpc/call/work");
    ck_assert_int_eq(slots[1].runs, 2);
    works_let_go(&rig, 0);
    works_wait_done(&rig, 1, 2);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok");
    ck_assert_int_eq(atomic_load(&slots[1].works), 1);
}
END_TEST

/* A call whose work has begun is not evicted. */
START_TEST(duplicates_do_not_run_if_work_began)
{
    works_open(&rig);
    slots[1].shut = true;
    send("rpc/call/work");
    works_wait_begun(1);
    end_pending(_i);
    send("rpc/call/work");
    works_expect(&rig, 2, _i == BY_DEADLINE ? "timeout" : "cancelled",
                 _i == BY_DEADLINE ? WORKS_TIMEOUT("work") : WORKS_CANCELLED("work"));
    works_let_go(&rig, 1);
    send("rpc/call/work");
    ck_assert_int_eq(slots[1].runs, 1);
}
END_TEST

/* The handler of a deferred call may have begun something. */
START_TEST(duplicates_of_deferred_calls_do_not_run)
{
    static const char *const because[CAUSES][2] = {CAUSE_TEXTS("wait")};
    works_open(&rig);
    take_a_slot();
    send("rpc/call/wait");
    end_pending(_i);
    fake_host_forget(&rig.host);
    send("rpc/call/wait");
    works_expect(&rig, 1, because[_i][0], because[_i][1]);
    ck_assert_int_eq(slots[1].runs, 1);
    ck_assert_int_eq(slots[1].dones, 1);
}
END_TEST

/* ---- One job after the other ---- */

static int runs, stages;

static rpc_status start_first(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    runs++;
    stages = 0;
    return rpc_start(call, NULL, NULL);
}

static rpc_status start_second(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)state, (void)data, (void)result;
    return outcome == RPC_OK && stages++ == 0 ? rpc_start(call, NULL, NULL) : outcome;
}

/* The second job never began, but the first did. */
START_TEST(duplicates_do_not_run_between_two_jobs)
{
    static const char *const because[CAUSES][2] = {CAUSE_TEXTS("act")};
    works_hooks = (struct works_hooks){.run = start_first, .done = start_second};
    works_open(&rig);
    take_a_slot();
    send("rpc/call/act");
    ck_assert(fake_host_wait(&rig.host, WORKS_PATIENCE)); /* the first job is done, but not collected */
    be_other();
    works_begin(&rig, "work.firm", 2);
    be_tester();
    engine_tick(rig.engine);
    ck_assert_int_eq(stages, 1);
    end_pending(_i);
    fake_host_forget(&rig.host);
    send("rpc/call/act");
    works_expect(&rig, 1, because[_i][0], because[_i][1]);
    ck_assert_int_eq(runs, 1);
}
END_TEST

/* ---- The redelivery guard ---- */

static void send_without_identity(const char *method)
{
    rig.qos = 2;
    works_send(&rig, method, N1, "r", NULL);
}

START_TEST(redelivered_while_pending)
{
    works_open(&rig);
    send_without_identity("rpc/call/wait.firm");
    reconnect();
    send_without_identity("rpc/call/wait.firm");
    ck_assert_uint_eq(duplicates(), 1);
    rpc_resume(slots[1].call);
    works_expect(&rig, 1, "ok", "{\"n\":1,\"by\":\"done\"}");
    ck_assert_ptr_eq(rig.host.replies.kept[0].connection, &contexts[1]);
    ck_assert_int_eq(slots[1].runs, 1);
}
END_TEST

START_TEST(redelivered_after_work_began)
{
    works_open(&rig);
    slots[1].shut = true;
    send_without_identity("rpc/call/work");
    works_wait_begun(1);
    reconnect();
    send_without_identity("rpc/call/work");
    works_expect(&rig, 2, "cancelled", WORKS_CANCELLED("work")); /* the first reply went to the session */
    ck_assert_int_eq(slots[1].runs, 1);
}
END_TEST

/* The call must run here: the client has seen it acknowledged and will not send it again. */
START_TEST(redelivered_before_work_began)
{
    open_busy();
    send_without_identity("rpc/call/work");
    reconnect();
    ck_assert_int_eq(slots[1].outcome, RPC_CANCELLED);
    send_without_identity("rpc/call/work");
    ck_assert_int_eq(slots[1].runs, 2);
    works_let_go(&rig, 0);
    works_wait_done(&rig, 1, 2);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok");
    reconnect();
    send_without_identity("rpc/call/work"); /* a third time, which is no redelivery */
    ck_assert_int_eq(slots[1].runs, 2);
}
END_TEST

/* ---- Batches ---- */

START_TEST(duplicate_batches)
{
    works_open(&rig);
    slots[1].shut = true;
    works_send(&rig, "rpc/batch/work", "[{\"n\":1},{\"n\":2}]", "r", LONG_ID);
    works_send(&rig, "rpc/batch/work", "[{\"n\":1},{\"n\":2}]", "s", LONG_ID);
    works_let_go(&rig, 1);
    works_wait_done(&rig, 2, 1);
    works_expect(&rig, 2, "ok",
                 "[{\"result\":{\"n\":1,\"by\":\"work\"}},{\"result\":{\"n\":2,\"by\":\"work\"}}]");
    ck_assert_str_eq(rig.host.replies.kept[0].text, rig.host.replies.kept[1].text);
    works_send(&rig, "rpc/batch/work", "[{\"n\":1},{\"n\":2}]", "t", LONG_ID);
    ck_assert_str_eq(rig.host.replies.kept[0].text, rig.host.replies.kept[2].text);
    ck_assert_int_eq(slots[1].runs + slots[2].runs, 2);
}
END_TEST

/* Some calls of the batch may have run. */
START_TEST(duplicates_of_cancelled_batches)
{
    open_busy();
    take_a_slot();
    works_send(&rig, "rpc/batch/work", "[{\"n\":1}]", "r", LONG_ID);
    end_pending(_i);
    fake_host_forget(&rig.host);
    works_send(&rig, "rpc/batch/work", "[{\"n\":1}]", "r", LONG_ID);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_int_eq(slots[1].runs, 1);
}
END_TEST

UNIT_MAIN("open_once", open_rig, close_rig, {duplicates_wait, UNIT_ROWS(ways)}, {failures_are_repeated, 0},
          {duplicates_whose_connection_ends, 0}, {duplicates_of_a_new_connection, 0},
          {duplicates_on_a_reused_address, 0}, {short_identities_of_pending_calls, 0},
          {duplicates_run_if_no_work_began, CAUSES}, {duplicates_do_not_run_if_work_began, BY_ANOTHER},
          {duplicates_of_deferred_calls_do_not_run, CAUSES}, {duplicates_do_not_run_between_two_jobs, CAUSES},
          {redelivered_while_pending, 0}, {redelivered_after_work_began, 0},
          {redelivered_before_work_began, 0}, {duplicate_batches, 0},
          {duplicates_of_cancelled_batches, CAUSES})

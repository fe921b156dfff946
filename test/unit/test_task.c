// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/call/task.c in an engine: pending calls, one at a time. Their outcomes, their deadlines, connections
 * that end, max_pending and eviction, and data that must outlive the messages of the calls.
 */
#include "unit.h"
#include "works.h"

#include "call/engine_parts.h"
#include "call/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rig rig;
static struct works_slot *const slots = works_slots;
static char contexts[4]; /* their addresses stand for connections */

static void open_rig(void)
{
    works_init(&rig);
    rig.client.connection = &contexts[0];
}

static void close_rig(void)
{
    works_close(&rig);
}

static const struct counters *counters(void)
{
    return engine_counters(rig.engine);
}

static void set_timeout(const char *value)
{
    rig.host.property = "timeout-ms";
    rig.host.value = value;
}

static void be_client(const char *id, const void *connection)
{
    rig.client.id = id;
    rig.client.connection = connection;
}

/* One worker, which runs the work of slot 0 until the test lets it go. */
static void open_busy(void)
{
    rig.options.workers = 1;
    works_open(&rig);
    works_begin(&rig, "work.firm", 0);
}

/* ---- Outcomes ---- */

static const struct outcome {
    const char *topic, *payload, *status, *text;
} outcomes[] = {
    {"work", "{\"n\":3}", "ok", "{\"n\":3,\"by\":\"work\"}"},
    {"work", "{\"n\":3,\"lane\":\"a\"}", "ok", "{\"n\":3,\"by\":\"work\"}"},
    {"work", "{\"n\":3,\"fail\":true}", "plain", WORKS_ERROR("work", "plain", "slot 3")},
    {"work", "{\"n\":99}", "invalid_params", WORKS_ERROR("work", "invalid_params", "n: 99 is outside 0..63")},
    {"work/request", "{\"jsonrpc\":\"2.0\",\"method\":\"work\",\"id\":7,\"params\":[3,\"lane\"]}", "ok",
     "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"n\":3,\"by\":\"work\"}}"},
    {"work", "{\"jsonrpc\":\"2.0\",\"method\":\"rpc/call/work\",\"id\":\"a:7\",\"params\":{\"fail\":true}}",
     "plain",
     "{\"jsonrpc\":\"2.0\",\"id\":\"a:7\",\"error\":{\"code\":-32010,\"message\":\"slot "
     "0\",\"data\":" WORKS_ERROR("work", "plain", "slot 0") "}}"},
    {"bytes", "abc", "ok", "{\"n\":294}"},
    {"bytes", "", "ok", "{\"n\":0}"},
};

START_TEST(outcomes_of_work)
{
    char topic[64];
    const struct outcome *row = &outcomes[_i];
    snprintf(topic, sizeof topic, "rpc/call/%s", row->topic);
    works_open(&rig);
    works_send(&rig, topic, row->payload, "r/s", "cc");
    rig_wait(&rig, 1);
    works_expect(&rig, 1, row->status, row->text);
    const struct fake_message *reply = rig_last(&rig.host.replies);
    ck_assert_str_eq(reply->topic, "r/s");
    ck_assert_str_eq(reply->client, "tester");
    ck_assert_ptr_eq(reply->connection, &contexts[0]);
    ck_assert_uint_eq(reply->correlation_size, 2);
    ck_assert_mem_eq(reply->correlation, "cc", 2);
    ck_assert_uint_eq(counters()->calls, 1);
    ck_assert_uint_eq(counters()->replies, 1);
}
END_TEST

START_TEST(the_reply_by_request_id)
{
    rig.client.version = 4;
    works_open(&rig);
    works_send(&rig, "rpc/call/work", "{\"n\":1,\"request_id\":\"x\"}", NULL, NULL);
    rig_wait(&rig, 1);
    works_expect(&rig, 1, "ok", "{\"request_id\":\"x\",\"result\":{\"n\":1,\"by\":\"work\"}}");
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, "rpc/call/work/response/x");
}
END_TEST

START_TEST(the_reply_by_jsonrpc_id)
{
    rig.client.version = 3;
    works_open(&rig);
    works_send(&rig, "rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"method\":\"work\",\"id\":\"x:1\"}", NULL, NULL);
    rig_wait(&rig, 1);
    works_expect(&rig, 1, "ok", "{\"jsonrpc\":\"2.0\",\"id\":\"x:1\",\"result\":{\"n\":0,\"by\":\"work\"}}");
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, "rpc/jsonrpc/response/x");
}
END_TEST

START_TEST(replies_to_subscribers)
{
    rig.options.reply_delivery = DELIVERY_SUBSCRIBED;
    works_open(&rig);
    works_send(&rig, "rpc/call/work", "{\"request_id\":\"x\"}", NULL, NULL);
    rig_wait(&rig, 1);
    works_expect(&rig, 1, "ok", "{\"request_id\":\"x\",\"result\":{\"n\":0,\"by\":\"work\"}}");
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, "rpc/reply/tester/x");
    ck_assert(rig_last(&rig.host.replies)->subscribed);
    works_send(&rig, "rpc/call/work", "{\"n\":1}", "rpc/reply/tester/y", NULL);
    rig_wait(&rig, 2);
    works_expect(&rig, 2, "ok", "{\"n\":1,\"by\":\"work\"}");
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, "rpc/reply/tester/y");
}
END_TEST

START_TEST(what_is_announced)
{
    works_open(&rig);
    works_send(&rig, "rpc/call/work", "{\"n\":1}", NULL, NULL);
    works_wait_done(&rig, 1, 1);
    ck_assert_uint_eq(rig.host.events.count, 1);
    rig_expect_event(&rig, "rpc/event/worked", "{\"n\":1,\"by\":\"work\"}");
    ck_assert_str_eq(rig.host.events.kept[0].client, "tester");
    works_send(&rig, "rpc/call/work", "{\"n\":1,\"fail\":true}", NULL, NULL);
    works_wait_done(&rig, 1, 2);
    ck_assert_uint_eq(rig.host.events.count, 2);
    rig_expect_event(&rig, "rpc/event/workFailed", WORKS_ERROR("work", "plain", "slot 1"));
    works_begin(&rig, "work", 1);
    works_send(&rig, "rpc/call/work", "{\"n\":1}", NULL, NULL);
    works_pass(&rig, 10000); /* one error is announced, the other one is a reply */
    ck_assert_uint_eq(rig.host.events.count, 3);
    rig_expect_error(&rig, WORKS_TIMEOUT("work"));
    ck_assert_uint_eq(rig.host.replies.count, 1);
}
END_TEST

START_TEST(other_calls_do_not_wait)
{
    rig.options.workers = 3;
    works_open(&rig);
    works_begin(&rig, "work", 1);
    works_begin(&rig, "work", 2);
    works_call(&rig, "now", 3);
    works_expect(&rig, 1, "ok", "{\"n\":3,\"by\":\"now\"}");
    works_let_go(&rig, 2);
    works_expect(&rig, 2, "ok", "{\"n\":2,\"by\":\"work\"}");
    works_let_go(&rig, 1);
    works_expect(&rig, 3, "ok", "{\"n\":1,\"by\":\"work\"}");
}
END_TEST

/* ---- What handlers and dones may do, and what they may not ---- */

static rpc_status starts(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    ((struct works_result *)result)->by = "run";
    return rpc_start(call, NULL, NULL);
}

static rpc_status defers(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    works_slots[0].call = call;
    return rpc_defer(call, call);
}

static int dones;
static rpc_status last_outcome, answer;

static rpc_status done_with(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)call, (void)state, (void)data, (void)result;
    dones++;
    last_outcome = outcome;
    return answer;
}

static void open_with(rpc_handler run, rpc_done done)
{
    works_hooks = (struct works_hooks){.run = run, .done = done};
    works_open(&rig);
}

static void wait_for_dones(int count)
{
    while (dones < count) {
        ck_assert(fake_host_wait(&rig.host, WORKS_PATIENCE));
        engine_tick(rig.engine);
    }
}

START_TEST(run_fills_the_result)
{
    open_with(starts, done_with);
    works_call(&rig, "act", 0);
    rig_wait(&rig, 1);
    works_expect(&rig, 1, "ok", "{\"n\":0,\"by\":\"run\"}");
}
END_TEST

static const struct nonsense {
    int answer;
    const char *status;
    bool logged;
} nonsense[] = {{RPC_PENDING, "internal_error", true},
                {RPC_RAISED, "internal_error", true},
                {-1, "internal_error", true},
                {4711, "internal_error", true},
                {RPC_TIMEOUT, "timeout", false},
                {RPC_OVERLOADED, "overloaded", false},
                {RPC_INTERNAL_ERROR, "internal_error", 0}};

START_TEST(done_returns_anything)
{
    answer = (rpc_status)nonsense[_i].answer;
    open_with(starts, done_with);
    works_call(&rig, "act", 0);
    rig_wait(&rig, 1);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, nonsense[_i].status);
    ck_assert_int_eq(fake_host_logged(&rig.host, "without raising an error"), nonsense[_i].logged);
    ck_assert_int_eq(dones, 1);
}
END_TEST

static rpc_status starts_and_says_ok(rpc_call *call, void *state, const void *params, void *result)
{
    starts(call, state, params, result);
    return RPC_OK;
}

static rpc_status starts_twice(rpc_call *call, void *state, const void *params, void *result)
{
    starts(call, state, params, result);
    ck_assert_int_eq(rpc_defer(call, NULL), RPC_INTERNAL_ERROR);
    return starts(call, state, params, result);
}

/* A call that was started is pending, and the status that its handler returns is ignored. */
START_TEST(run_returns_something_else)
{
    open_with(_i ? starts_twice : starts_and_says_ok, done_with);
    works_call(&rig, "act", 0);
    ck_assert(fake_host_logged(&rig.host, "the call is pending"));
    ck_assert_int_eq(fake_host_logged(&rig.host, "makes its call pending twice"), _i);
    rig_wait(&rig, 1);
    works_expect(&rig, 1, "ok", "{\"n\":0,\"by\":\"run\"}");
    ck_assert_int_eq(dones, 1);
}
END_TEST

static rpc_status says_pending(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params, (void)result;
    return RPC_PENDING;
}

START_TEST(run_returns_pending_alone)
{
    static const char *const methods[] = {"act", "half", "bare"};
    open_with(says_pending, done_with);
    works_call(&rig, methods[_i], 0);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "internal_error");
    ck_assert(fake_host_logged(&rig.host, "without raising an error"));
    ck_assert_int_eq(dones, 0);
}
END_TEST

static const struct incapable {
    const char *method;
    rpc_handler run;
    const char *line;
} incapables[] = {
    {"bare", starts, "method bare starts work, and has none"},
    {"half", starts, "method half starts work, and has none"},
    {"bare", defers, "method bare makes its call pending, and has no done to end it"},
};

START_TEST(methods_that_cannot)
{
    open_with(incapables[_i].run, done_with);
    works_call(&rig, incapables[_i].method, 0);
    works_slots[0].call = NULL;
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "internal_error");
    ck_assert(fake_host_logged(&rig.host, incapables[_i].line));
}
END_TEST

/* ---- One job after the other ---- */

static int links; /* jobs that are still to be started */
static bool links_defer;

static rpc_status done_goes_on(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    dones++;
    last_outcome = outcome;
    if (!links)
        return done_with(call, state, data, outcome, result);
    links--;
    works_slots[0].call = call;
    return links_defer ? rpc_defer(call, NULL) : rpc_start(call, "lane", NULL);
}

START_TEST(done_goes_on_with_work)
{
    links = 3;
    open_with(starts, done_goes_on);
    works_call(&rig, "act", 0);
    rig_wait(&rig, 1);
    works_slots[0].call = NULL;
    works_expect(&rig, 1, "ok", "{\"n\":0,\"by\":\"run\"}");
    ck_assert_int_eq(dones, 5); /* one is counted twice */
    ck_assert_uint_eq(counters()->calls, 1);
}
END_TEST

/* The deadline is that of the call, even if it has several jobs. */
START_TEST(the_deadline_is_the_calls)
{
    links = 1;
    links_defer = true;
    open_with(starts, done_goes_on);
    const uint64_t due = rig.host.monotonic + 10 * RIG_SECOND;
    works_call(&rig, "act", 0);
    rig.host.monotonic += 9 * RIG_SECOND;
    wait_for_dones(1);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(engine_due(rig.engine), due);
    works_slots[0].call = NULL;
    works_pass(&rig, 1000);
    works_expect(&rig, 1, "timeout", WORKS_TIMEOUT("act"));
    ck_assert_int_eq(last_outcome, RPC_TIMEOUT);
}
END_TEST

static const struct judged {
    rpc_status answer;
    const char *status;
    int logged;
} judged[] = {{RPC_OK, "ok", 0},
              {RPC_OVERLOADED, "overloaded", 0},
              {RPC_TIMEOUT, "timeout", 0},
              {RPC_PENDING, "internal_error", 1}};

/* A method that decides gives the outcome at the deadline of a deferred call; no other method does. */
START_TEST(done_decides_about_a_timeout)
{
    answer = judged[_i].answer;
    open_with(defers, done_with);
    works_call(&rig, "half", 0);
    works_call(&rig, "judge", 1);
    works_pass(&rig, 10000);
    works_slots[0].call = NULL;
    ck_assert_int_eq(dones, 2);
    ck_assert_int_eq(last_outcome, RPC_TIMEOUT);
    ck_assert_uint_eq(rig.host.replies.count, 2);
    ck_assert_str_eq(rig.host.replies.kept[0].status, "timeout");
    ck_assert_str_eq(rig.host.replies.kept[1].status, judged[_i].status);
    ck_assert_int_eq(fake_host_logged(&rig.host, "without raising an error"), judged[_i].logged);
    ck_assert_uint_eq(engine_counters(rig.engine)->timeouts, 2);
}
END_TEST

/* A done whose outcome is not RPC_OK cannot start another job. */
START_TEST(done_cannot_go_on_after_the_end)
{
    links = 1;
    links_defer = _i;
    open_with(defers, done_goes_on);
    works_call(&rig, _i ? "half" : "act", 0);
    works_slots[0].call = NULL;
    works_pass(&rig, 10000);
    works_slots[0].call = NULL;
    works_expect(&rig, 1, "timeout", _i ? WORKS_TIMEOUT("half") : WORKS_TIMEOUT("act"));
    ck_assert_int_eq(dones, 1);
}
END_TEST

/* ---- Deferred calls ---- */

START_TEST(another_call_resumes)
{
    works_open(&rig);
    works_call(&rig, "wait", 1);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    works_call(&rig, "tell", 1);
    ck_assert_uint_eq(rig.host.replies.count, 2);
    ck_assert_str_eq(rig.host.replies.kept[0].text, "{\"n\":1,\"by\":\"done\"}");
    ck_assert_str_eq(rig.host.replies.kept[1].text, "{\"n\":1,\"by\":\"tell\"}");
    ck_assert_int_eq(slots[1].dones, 1);
}
END_TEST

static void resume_later(rpc_instance *instance, void *state, void *data)
{
    (void)instance, (void)state;
    rpc_resume(data);
}

static rpc_status defers_with_timer(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    const rpc_status status = rpc_defer(call, call);
    if (status == RPC_PENDING)
        rpc_after(rpc_call_instance(call), 50, resume_later, call);
    return status;
}

START_TEST(a_timer_resumes)
{
    open_with(defers_with_timer, done_with);
    works_call(&rig, "half", 0);
    works_pass(&rig, 49);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    works_pass(&rig, 2);
    works_expect(&rig, 1, "ok", "{\"n\":0}");
    ck_assert_int_eq(last_outcome, RPC_OK);
}
END_TEST

START_TEST(calls_with_work_cannot_be_resumed)
{
    works_open(&rig);
    works_begin(&rig, "work", 1);
    works_call(&rig, "tell", 1);
    ck_assert(fake_host_logged(&rig.host, "method work resumes a call that it has not deferred"));
    ck_assert_int_eq(slots[1].dones, 0);
    works_let_go(&rig, 1);
    works_expect(&rig, 2, "ok", "{\"n\":1,\"by\":\"work\"}");
}
END_TEST

static rpc_status resumes_itself(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    const rpc_status status = rpc_defer(call, NULL);
    rpc_resume(call);
    return status;
}

static rpc_status done_resumes_itself(rpc_call *call, void *state, void *data, rpc_status outcome,
                                      void *result)
{
    done_with(call, state, data, outcome, result);
    if (outcome != RPC_OK)
        return outcome;
    const rpc_status status = rpc_defer(call, NULL);
    rpc_resume(call);
    return status;
}

/* Its done would run inside the handler, and would free the call that the handler still uses. */
START_TEST(a_call_cannot_resume_itself)
{
    open_with(_i % 2 ? defers : resumes_itself, _i % 2 ? done_resumes_itself : done_with);
    if (_i < 2)
        works_call(&rig, "half", 0);
    else
        works_send(&rig, "rpc/batch/half", "[{}]", "r", NULL);
    if (_i % 2)
        rpc_resume(works_slots[0].call);
    works_slots[0].call = NULL;
    ck_assert(fake_host_logged(&rig.host, "resumes a call whose handler has not returned"));
    ck_assert_uint_eq(rig.host.replies.count, 0);
    works_pass(&rig, 10000);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_ptr_nonnull(strstr(rig_last(&rig.host.replies)->text, WORKS_TIMEOUT("half")));
    ck_assert_int_eq(last_outcome, RPC_TIMEOUT);
}
END_TEST

/* ---- Deadlines ---- */

static const struct deadline {
    const char *method, *own;
    uint64_t ms;
} deadlines[] = {
    {"work", NULL, 10000},      {"work.brief", NULL, 200}, {"work", "1", 1},   {"work", "60000", 60000},
    {"work.brief", "300", 300}, {"wait", NULL, 10000},     {"wait", "007", 7},
};

START_TEST(when_the_deadline_is)
{
    const struct deadline *row = &deadlines[_i];
    works_open(&rig);
    set_timeout(row->own);
    rig.host.property = row->own ? rig.host.property : NULL;
    slots[1].shut = true;
    const uint64_t start = rig.host.monotonic;
    ck_assert_uint_eq(engine_due(rig.engine), UINT64_MAX);
    works_call(&rig, row->method, 1);
    ck_assert_uint_eq(engine_due(rig.engine), start + row->ms * 1000000);
    rig.host.monotonic = engine_due(rig.engine) - 1;
    engine_tick(rig.engine);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    rig.host.monotonic++;
    engine_tick(rig.engine);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "timeout");
    ck_assert_uint_eq(engine_due(rig.engine), UINT64_MAX);
    ck_assert_uint_eq(counters()->timeouts, 1);
}
END_TEST

static rpc_status defers_for_a_while(rpc_call *call, void *state, const void *params, void *result)
{
    rpc_call_set_timeout(call, 300);
    return defers(call, state, params, result);
}

/* The handler's deadline comes before the configured one, and after the caller's. */
START_TEST(a_handler_sets_the_deadline)
{
    open_with(defers_for_a_while, done_with);
    const uint64_t start = rig.host.monotonic;
    ck_assert_uint_eq(rpc_clock(rig_instance(&rig)), start / 1000000);
    ck_assert_uint_eq(rpc_timeout_max(rig_instance(&rig)), 60000);
    ck_assert_uint_eq(rpc_max_reply(rig_instance(&rig)), (size_t)rig.options.max_reply);
    works_call(&rig, "half", 0);
    ck_assert_uint_eq(engine_due(rig.engine), start + UINT64_C(300000000));
    works_pass(&rig, 300);
    works_slots[0].call = NULL;
    set_timeout("200");
    works_call(&rig, "half", 0);
    ck_assert_uint_eq(engine_due(rig.engine), start + UINT64_C(500000000));
    works_pass(&rig, 200);
    works_slots[0].call = NULL;
    ck_assert_uint_eq(rig.host.replies.count, 2);
}
END_TEST

static const char *const malformed[] = {"0",
                                        "-1",
                                        "abc",
                                        "60001",
                                        "",
                                        "1 ",
                                        " 1",
                                        "1.0",
                                        "+5",
                                        "1e3",
                                        "99999999999999999",
                                        "0x10",
                                        "000000000015000",
                                        "4294967297",
                                        "00000000000"};

START_TEST(deadlines_that_are_none)
{
    works_open(&rig);
    set_timeout(malformed[_i]);
    works_call(&rig, "work", 1);
    works_expect(
        &rig, 1, "invalid_request",
        WORKS_ERROR("work", "invalid_request",
                    "the user property timeout-ms must be a whole number of 1 to 60000 (timeout_max)"));
    ck_assert_int_eq(slots[1].runs, 0);
    works_call(&rig, "now", 1);
    works_expect(&rig, 2, "ok", "{\"n\":1,\"by\":\"now\"}");
}
END_TEST

START_TEST(other_properties_do_not_matter)
{
    works_open(&rig);
    rig.host.property = "timeout";
    rig.host.value = "5";
    slots[1].shut = true;
    works_call(&rig, "work", 1);
    ck_assert_uint_eq(engine_due(rig.engine), rig.host.monotonic + 10 * RIG_SECOND);
}
END_TEST

/* Work that has not begun by the deadline does not run. */
START_TEST(a_deadline_while_waiting)
{
    open_busy();
    works_call(&rig, "work", 1);
    works_pass(&rig, 10000);
    ck_assert_uint_eq(rig.host.replies.count, 2);
    works_expect(&rig, 2, "timeout", WORKS_TIMEOUT("work"));
    ck_assert_int_eq(slots[1].dones, 1);
    ck_assert_int_eq(slots[1].outcome, RPC_TIMEOUT);
    ck_assert_int_eq(slots[0].dones, 0); /* it still runs */
    works_let_go(&rig, 0);
    works_finish(&rig);
    ck_assert_int_eq(atomic_load(&slots[1].works), 0);
    ck_assert_uint_eq(counters()->late, 1);
    ck_assert_uint_eq(counters()->timeouts, 2);
}
END_TEST

START_TEST(a_deadline_while_running)
{
    works_open(&rig);
    works_begin(&rig, "work", 1);
    works_pass(&rig, 10000);
    works_expect(&rig, 1, "timeout", WORKS_TIMEOUT("work"));
    ck_assert_int_eq(slots[1].dones, 0);
    ck_assert_uint_eq(counters()->late, 0);
    works_let_go(&rig, 1);
    ck_assert_int_eq(slots[1].outcome, RPC_TIMEOUT);
    ck_assert(!atomic_load(&slots[1].wanted));
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_uint_eq(rig.host.events.count, 0);
    ck_assert_uint_eq(counters()->late, 1);
    ck_assert_uint_eq(counters()->calls, 1);
    ck_assert_uint_eq(counters()->errors, 1);
}
END_TEST

/* After its call has ended, work that hangs does not keep other calls from a worker. */
START_TEST(work_that_hangs_does_not_block)
{
    rig.options.workers = 1;
    works_open(&rig);
    works_begin(&rig, "work.brief", 1);
    works_pass(&rig, 201);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "timeout");
    works_call(&rig, "work", 2);
    works_wait_done(&rig, 2, 1);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok");
    ck_assert_int_eq(slots[1].dones, 0);
    works_let_go(&rig, 1);
    works_wait_done(&rig, 1, 1);
}
END_TEST

/* A result that the tick finds is the outcome, even if the deadline has passed. */
START_TEST(a_result_in_the_same_tick)
{
    works_open(&rig);
    works_begin(&rig, "work", 1);
    sem_post(&slots[1].go);
    ck_assert(fake_host_wait(&rig.host, WORKS_PATIENCE));
    works_pass(&rig, 10000);
    works_expect(&rig, 1, "ok", "{\"n\":1,\"by\":\"work\"}");
    ck_assert_int_eq(slots[1].outcome, RPC_OK);
    ck_assert_uint_eq(counters()->timeouts + counters()->late, 0);
}
END_TEST

START_TEST(the_next_deadline_is_due)
{
    works_open(&rig);
    const uint64_t start = rig.host.monotonic;
    works_call(&rig, "wait", 1);
    works_pass(&rig, 9000);
    set_timeout("100");
    works_call(&rig, "wait", 2);
    ck_assert_uint_eq(engine_due(rig.engine), start + 9100 * UINT64_C(1000000));
    works_call(&rig, "tell", 2);
    ck_assert_uint_eq(engine_due(rig.engine), start + 10 * RIG_SECOND);
    works_call(&rig, "tell", 1);
    ck_assert_uint_eq(engine_due(rig.engine), UINT64_MAX);
}
END_TEST

/* ---- Connections that end ---- */

static const enum host_end ends[] = {HOST_END_UNKNOWN, HOST_END_SESSION_OVER, HOST_END_SESSION_WAITS,
                                     HOST_END_TAKEN_OVER};

START_TEST(ended_while_waiting)
{
    open_busy();
    works_call(&rig, "work", 1);
    works_end_client(&rig, ends[_i]);
    ck_assert_int_eq(slots[1].dones, 1);
    ck_assert_int_eq(slots[1].outcome, RPC_CANCELLED);
    ck_assert_uint_eq(counters()->cancelled, 1);
    works_let_go(&rig, 0);
    works_finish(&rig);
    ck_assert_int_eq(atomic_load(&slots[1].works), 0);
}
END_TEST

START_TEST(ended_while_running)
{
    works_open(&rig);
    works_begin(&rig, "work", 1);
    works_end_client(&rig, ends[_i]);
    ck_assert_int_eq(slots[1].dones, 0);
    ck_assert_uint_eq(counters()->cancelled, 1);
    works_let_go(&rig, 1);
    ck_assert_int_eq(slots[1].outcome, RPC_CANCELLED);
    ck_assert(!atomic_load(&slots[1].wanted));
    ck_assert_uint_eq(counters()->late, 1);
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

START_TEST(ended_while_deferred)
{
    works_open(&rig);
    works_call(&rig, "wait", 1);
    works_end_client(&rig, ends[_i]);
    ck_assert_int_eq(slots[1].dones, 1);
    ck_assert_int_eq(slots[1].outcome, RPC_CANCELLED);
    ck_assert_uint_eq(counters()->cancelled, 1);
    works_call(&rig, "tell", 1); /* no call is deferred any more */
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "plain");
}
END_TEST

/* The end of another connection does not matter. */
START_TEST(other_connections_that_end)
{
    works_open(&rig);
    works_begin(&rig, "work", 1);
    works_call(&rig, "wait", 2);
    be_client("tester", &contexts[1]);
    works_end_client(&rig, HOST_END_SESSION_OVER);
    be_client("other", &contexts[0]);
    works_end_client(&rig, HOST_END_SESSION_OVER);
    ck_assert_int_eq(slots[1].dones + slots[2].dones, 0);
    works_let_go(&rig, 1);
    works_expect(&rig, 1, "ok", "{\"n\":1,\"by\":\"work\"}");
    be_client("tester", &contexts[0]);
    works_end_client(&rig, HOST_END_SESSION_OVER);
    ck_assert_int_eq(slots[2].dones, 1);
}
END_TEST

START_TEST(must_finish_goes_on)
{
    open_busy();
    works_call(&rig, "work.firm", 1);
    works_call(&rig, "wait.firm", 2);
    works_end_client(&rig, HOST_END_SESSION_OVER);
    ck_assert_int_eq(slots[0].dones + slots[1].dones + slots[2].dones, 0);
    works_let_go(&rig, 0);
    works_wait_done(&rig, 1, 1);
    ck_assert(atomic_load(&slots[0].wanted) && atomic_load(&slots[1].wanted));
    ck_assert_int_eq(slots[1].outcome, RPC_OK);
    works_call(&rig, "tell", 2);
    ck_assert_int_eq(slots[2].outcome, RPC_OK);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_uint_eq(counters()->cancelled, 0);
}
END_TEST

/* ---- Replies to sessions whose connection has ended ---- */

static const struct gone {
    enum host_end kind;
    int version;
    bool clean_start;
    int qos;
    bool sent;
} gones[] = {
    {HOST_END_SESSION_WAITS, 5, false, 1, true},  {HOST_END_SESSION_WAITS, 5, false, 2, true},
    {HOST_END_SESSION_WAITS, 5, false, 0, false}, {HOST_END_SESSION_OVER, 5, false, 1, false},
    {HOST_END_TAKEN_OVER, 5, false, 1, false},    {HOST_END_UNKNOWN, 5, false, 1, false},
    {HOST_END_UNKNOWN, 4, false, 1, true},        {HOST_END_UNKNOWN, 4, true, 1, false},
    {HOST_END_UNKNOWN, 4, false, 0, false},
};

START_TEST(replies_to_waiting_sessions)
{
    const struct gone *row = &gones[_i];
    rig.client.version = row->version;
    rig.client.clean_start = row->clean_start;
    rig.qos = row->qos;
    works_open(&rig);
    works_call(&rig, "wait.firm", 1);
    works_end_client(&rig, row->kind);
    rpc_resume(slots[1].call);
    ck_assert_uint_eq(rig.host.replies.count, row->sent);
    if (!row->sent)
        return;
    works_expect(&rig, 1, "ok", "{\"n\":1,\"by\":\"done\"}");
    ck_assert(rig.host.replies.kept[0].to_session);
    ck_assert_str_eq(rig.host.replies.kept[0].client, "tester");
}
END_TEST

START_TEST(no_replies_at_qos_0)
{
    rig.options.qos = 0;
    works_open(&rig);
    works_call(&rig, "wait.firm", 1);
    works_end_client(&rig, HOST_END_SESSION_WAITS);
    rpc_resume(slots[1].call);
    ck_assert_uint_eq(rig.host.replies.count, 0);
}
END_TEST

/* The second end means that another connection has taken up the session. */
START_TEST(sessions_that_are_taken_up)
{
    works_open(&rig);
    works_call(&rig, "wait.firm", 1);
    works_end_client(&rig, HOST_END_SESSION_WAITS);
    works_end_client(&rig, ends[_i]);
    rpc_resume(slots[1].call);
    ck_assert_uint_eq(rig.host.replies.count, 0);
}
END_TEST

/* Another connection calls under the id, before or after the end of the first has been reported. */
START_TEST(ids_that_are_taken_over)
{
    works_open(&rig);
    works_call(&rig, "wait.firm", 1);
    if (_i > 0)
        works_end_client(&rig, HOST_END_SESSION_WAITS);
    be_client("tester", _i > 1 ? &contexts[0] : &contexts[1]); /* an address may be that of the last one */
    rig.qos = 0;
    works_send(&rig, "rpc/call/now", "", "r", NULL);
    rpc_resume(slots[1].call);
    works_expect(&rig, 1, "ok", "{\"n\":0,\"by\":\"now\"}");
}
END_TEST

/* A bucket lets a hundred through at once, and then one a second. */
START_TEST(replies_to_sessions_are_bounded)
{
    rig.options.max_pending = 200;
    rig.options.timeout = 50000;
    works_open(&rig);
    rpc_call *calls[105];
    for (int i = 0; i < 105; i++) {
        works_call(&rig, "wait.firm", 1);
        calls[i] = slots[1].call;
    }
    works_end_client(&rig, HOST_END_SESSION_WAITS);
    for (int i = 0; i < 102; i++)
        rpc_resume(calls[i]);
    ck_assert_uint_eq(rig.host.replies.count, 100);
    works_pass(&rig, 1000);
    rpc_resume(calls[102]);
    rpc_resume(calls[103]);
    ck_assert_uint_eq(rig.host.replies.count, 101);
    works_pass(&rig, 20000);
    rpc_resume(calls[104]);
    ck_assert_uint_eq(rig.host.replies.count, 102);
}
END_TEST

/* ---- max_pending and eviction ---- */

START_TEST(the_maximum_of_a_method)
{
    works_open(&rig);
    works_begin(&rig, "work.single", 1);
    works_begin(&rig, "work.single", 2);
    works_call(&rig, "work.single", 3);
    works_expect(
        &rig, 1, "overloaded",
        WORKS_ERROR("work.single", "overloaded", "2 calls of the method are pending, and it allows no more"));
    ck_assert_int_eq(slots[3].pending, 0);
    ck_assert_uint_eq(counters()->overloaded, 1);
    works_pass(&rig, 10000); /* the calls have ended, but their work still runs */
    works_call(&rig, "work.single", 3);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "overloaded");
    works_let_go(&rig, 1);
    works_call(&rig, "work.single", 3);
    works_wait_done(&rig, 3, 1);
    ck_assert_int_eq(slots[3].outcome, RPC_OK);
}
END_TEST

START_TEST(max_pending_is_reached)
{
    rig.options.max_pending = 3;
    open_busy();
    works_call(&rig, "work", 1);
    works_call(&rig, "wait", 2);
    works_call(&rig, "work", 3);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    works_call(&rig, "work", 4);
    works_expect(&rig, 1, "overloaded",
                 WORKS_ERROR("work", "overloaded", "3 calls wait, and max_pending allows no more"));
    works_call(&rig, "wait", 4);
    works_expect(&rig, 2, "overloaded",
                 WORKS_ERROR("wait", "overloaded", "3 calls wait, and max_pending allows no more"));
    ck_assert_uint_eq(counters()->overloaded, 2);
    works_call(&rig, "tell", 2);
    works_call(&rig, "work", 4);
    ck_assert_int_eq(slots[4].pending, 1);
    works_let_go(&rig, 0);
    works_wait_done(&rig, 4, 1);
    ck_assert_int_eq(slots[1].outcome, RPC_OK);
}
END_TEST

/* The newest call of the client with most pending calls is evicted, and answered. */
START_TEST(the_newest_of_most_is_evicted)
{
    rig.options.max_pending = 3;
    open_busy();
    for (int n = 1; n <= 3; n++)
        works_call(&rig, "work", n);
    be_client("other", &contexts[1]);
    works_call(&rig, "work", 11);
    works_expect(&rig, 1, "overloaded",
                 WORKS_ERROR("work", "overloaded", "too many calls are waiting: see max_pending"));
    ck_assert_str_eq(rig_last(&rig.host.replies)->client, "tester");
    ck_assert_int_eq(slots[3].outcome, RPC_OVERLOADED);
    works_call(&rig, "work", 12); /* both clients have as many now, but for the odd one */
    ck_assert_str_eq(rig_last(&rig.host.replies)->client, "other");
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "overloaded");
    ck_assert_uint_eq(counters()->overloaded, 2);
    works_let_go(&rig, 0);
    works_finish(&rig);
    ck_assert_int_eq(slots[1].outcome, RPC_OK);
    ck_assert_int_eq(slots[11].outcome, RPC_OK);
    ck_assert_int_eq(atomic_load(&slots[3].works), 0);
}
END_TEST

/* A call that becomes pending in a done, and not in its handler, evicts another one. */
START_TEST(a_done_evicts)
{
    rig.options.max_pending = 4;
    links = 1;
    works_hooks = (struct works_hooks){.run = defers, .done = done_goes_on};
    open_busy();
    be_client("other", &contexts[1]);
    works_call(&rig, "act", 0);
    rpc_call *waiting = slots[0].call;
    be_client("tester", &contexts[0]);
    for (int n = 1; n <= 3; n++)
        works_call(&rig, "work", n);
    be_client("third", &contexts[2]);
    works_call(&rig, "wait", 20);
    ck_assert_int_eq(slots[3].outcome, RPC_OVERLOADED);
    rpc_resume(waiting);
    engine_tick(rig.engine);
    ck_assert_int_eq(slots[2].dones, 0);
    slots[0].call = NULL;
    works_call(&rig, "tell", 20);
}
END_TEST

/* Deferred calls, which no worker has, are evicted, too. */
START_TEST(deferred_calls_are_evicted)
{
    rig.options.max_pending = 6;
    open_busy();
    for (int n = 1; n <= 6; n++) /* no other client needs a slot yet */
        works_call(&rig, "wait", n);
    works_call(&rig, "wait", 7);
    works_expect(&rig, 1, "overloaded",
                 WORKS_ERROR("wait", "overloaded", "6 calls wait, and max_pending allows no more"));
    be_client("other", &contexts[1]);
    static const char *const methods[] = {"wait", "work", "wait"};
    for (int i = 0; i < 3; i++) {
        works_call(&rig, methods[i], 11 + i);
        works_expect(&rig, 2 + (size_t)i, "overloaded",
                     WORKS_ERROR("wait", "overloaded", "too many calls are waiting: see max_pending"));
        ck_assert_str_eq(rig_last(&rig.host.replies)->client, "tester");
        ck_assert_int_eq(slots[6 - i].outcome, RPC_OVERLOADED);
        ck_assert_int_eq(slots[6 - i].dones, 1);
    }
    works_call(&rig, "work", 14); /* both clients have as many now */
    ck_assert_str_eq(rig_last(&rig.host.replies)->client, "other");
    ck_assert_uint_eq(counters()->overloaded, 5);
    for (int n = 1; n <= 3; n++)
        ck_assert_ptr_nonnull(slots[n].call);
    works_let_go(&rig, 0);
    works_wait_done(&rig, 12, 1);
    ck_assert_int_eq(slots[12].outcome, RPC_OK);
}
END_TEST

/* The newest call is evicted first, whether it is deferred or waits for a thread. */
START_TEST(all_kinds_are_evicted)
{
    static const char *const methods[] = {"wait", "work", "wait", "work", "wait.firm", "work.firm"};
    rig.options.max_pending = 6;
    open_busy();
    for (int n = 1; n <= 6; n++)
        works_call(&rig, methods[n - 1], n);
    be_client("other", &contexts[1]);
    for (int n = 6; n > 3; n--) {
        works_call(&rig, n % 2 ? "work" : "wait", 10 + n);
        ck_assert_int_eq(slots[n].outcome, RPC_OVERLOADED);
        ck_assert_int_eq(slots[n].dones, 1);
        ck_assert_int_eq(slots[n - 1].dones, 0);
    }
    ck_assert_uint_eq(rig.engine->slots.count, 6);
    works_let_go(&rig, 0);
    works_finish(&rig);
    ck_assert_int_eq(atomic_load(&slots[4].works) + atomic_load(&slots[6].works), 0);
}
END_TEST

START_TEST(equals_are_not_evicted)
{
    rig.options.max_pending = 4;
    works_open(&rig);
    for (int n = 1; n <= 4; n++) {
        be_client(n % 2 ? "tester" : "other", &contexts[n % 2]);
        works_call(&rig, "wait", n);
    }
    for (int n = 5; n <= 6; n++) {
        be_client(n % 2 ? "tester" : "other", &contexts[n % 2]);
        works_call(&rig, "wait", n);
        works_expect(&rig, (size_t)n - 4, "overloaded",
                     WORKS_ERROR("wait", "overloaded", "4 calls wait, and max_pending allows no more"));
    }
    for (int n = 1; n <= 4; n++)
        ck_assert_int_eq(slots[n].dones, 0);
    be_client("third", &contexts[2]);
    works_call(&rig, "wait", 7); /* a client without a slot gets one from a client that has two, */
    works_call(&rig, "wait", 8); /* but no second one */
    ck_assert_int_eq(slots[7].pending, 1);
    ck_assert_int_eq(slots[8].pending, 0);
}
END_TEST

/* A call whose work runs takes no slot, neither of max_pending nor of its client; nor does an evicted one. */
START_TEST(running_calls_take_no_slot)
{
    rig.options.max_pending = 2;
    rig.options.workers = 3;
    works_open(&rig);
    for (int n = 0; n < 3; n++)
        works_begin(&rig, "work", n);
    be_client("other", &contexts[1]);
    works_call(&rig, "wait", 11);
    works_call(&rig, "wait", 12);
    be_client("tester", &contexts[0]);
    works_call(&rig, "work", 4);
    ck_assert_int_eq(slots[12].outcome, RPC_OVERLOADED);
    works_pass(&rig, 10000); /* all calls have ended, but three jobs still run */
    works_call(&rig, "wait", 5);
    works_call(&rig, "wait", 6);
    ck_assert_int_eq(slots[5].pending + slots[6].pending, 2);
}
END_TEST

static rpc_call *victim;

static rpc_status evicts_and_resumes(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    const rpc_status status = rpc_defer(call, call);
    ck_assert_int_eq(slots[2].dones, 0); /* it is evicted, but its done has not run yet */
    rpc_resume(victim);
    ck_assert_int_eq(slots[2].dones, 1);
    return status;
}

/* An evicted call can be resumed until its done runs. */
START_TEST(an_evicted_call_is_resumed)
{
    rig.options.max_pending = 2;
    open_with(evicts_and_resumes, done_with);
    works_call(&rig, "wait", 1);
    works_call(&rig, "wait", 2);
    victim = slots[2].call;
    be_client("other", &contexts[1]);
    works_call(&rig, "half", 0);
    works_expect(&rig, 1, "ok", "{\"n\":2,\"by\":\"done\"}");
    ck_assert_int_eq(slots[2].outcome, RPC_OK);
    ck_assert_int_eq(slots[1].dones, 0);
    ck_assert_uint_eq(counters()->overloaded, 0);
    ck_assert_uint_eq(rig.engine->slots.count, 2);
    works_pass(&rig, 10000);
    ck_assert_int_eq(dones, 1);
}
END_TEST

/* The deadline of a call has passed when it is evicted, but no tick has seen that. */
START_TEST(evicted_at_its_deadline)
{
    rig.options.max_pending = 3;
    links = 1;
    links_defer = true;
    open_with(starts, done_goes_on);
    be_client("other", &contexts[1]);
    set_timeout("60000");
    works_call(&rig, "act", 0);
    ck_assert(fake_host_wait(&rig.host, WORKS_PATIENCE)); /* the work is done, but not collected */
    be_client("tester", &contexts[0]);
    set_timeout("5000");
    for (int n = 1; n <= 3; n++)
        works_call(&rig, "wait", n);
    works_pass(&rig, 5000);
    slots[0].call = NULL;
    ck_assert_int_eq(slots[3].outcome, RPC_OVERLOADED);
    ck_assert_int_eq(slots[2].outcome, RPC_TIMEOUT);
    ck_assert_int_eq(slots[1].outcome, RPC_TIMEOUT);
    ck_assert_uint_eq(rig.host.replies.count, 3);
    ck_assert_uint_eq(rig.engine->slots.count, 1);
    works_pass(&rig, 55000);
    ck_assert_int_eq(dones, 3); /* one is counted twice */
}
END_TEST

/* ---- Work without a call ---- */

static rpc_instance *instance_of_works(void)
{
    rpc_instance *instance = rig.engine->registry.instances;
    while (instance->module != &works)
        instance = instance->next;
    return instance;
}

static sem_t posted;

static void wait_for_post(rpc_job *job, void *data)
{
    (void)job, (void)data;
    sem_wait(&posted);
}

static rpc_status count_background(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    ck_assert(!call && !state && !result && data == &posted);
    return done_with(call, state, data, outcome, result);
}

START_TEST(background_is_bounded)
{
    works_open(&rig);
    sem_init(&posted, 0, 0);
    rpc_instance *instance = instance_of_works();
    for (int i = 0; i < 256; i++)
        ck_assert_int_eq(rpc_background(instance, NULL, wait_for_post, count_background, &posted),
                         RPC_PENDING);
    ck_assert_int_eq(rpc_background(instance, NULL, wait_for_post, count_background, &posted),
                     RPC_OVERLOADED);
    sem_post(&posted);
    wait_for_dones(1);
    ck_assert_int_eq(last_outcome, RPC_OK);
    ck_assert_int_eq(rpc_background(instance, "lane", wait_for_post, count_background, &posted), RPC_PENDING);
    ck_assert_uint_eq(engine_due(rig.engine), UINT64_MAX);
    for (int i = 0; i < 256; i++)
        sem_post(&posted);
    wait_for_dones(257);
}
END_TEST

/* A job without a call takes no slot of a call, and a call takes none of such a job. */
START_TEST(background_has_both_functions)
{
    works_open(&rig);
    rpc_instance *instance = instance_of_works();
    ck_assert_int_eq(rpc_background(instance, NULL, NULL, count_background, NULL), RPC_INTERNAL_ERROR);
    ck_assert_int_eq(rpc_background(instance, NULL, wait_for_post, NULL, NULL), RPC_INTERNAL_ERROR);
    ck_assert(
        fake_host_logged(&rig.host, "module works starts background work without work or without done"));
}
END_TEST

START_TEST(background_takes_no_slot)
{
    sem_init(&posted, 0, 0);
    rig.options.max_pending = 1;
    open_busy();
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(rpc_background(instance_of_works(), "a", wait_for_post, count_background, &posted),
                         RPC_PENDING);
    works_call(&rig, "work", 1);
    ck_assert_int_eq(slots[1].pending, 1);
    works_call(&rig, "work", 2);
    works_expect(&rig, 1, "overloaded",
                 WORKS_ERROR("work", "overloaded", "1 calls wait, and max_pending allows no more"));
    ck_assert_int_eq(dones, 0);
    for (int i = 0; i < 5; i++)
        sem_post(&posted);
    works_let_go(&rig, 0);
    wait_for_dones(5);
    ck_assert_int_eq(last_outcome, RPC_OK);
}
END_TEST

/* ---- Lanes ---- */

START_TEST(one_lane_one_at_a_time)
{
    rig.options.workers = 4;
    works_open(&rig);
    slots[1].shut = true;
    works_send(&rig, "rpc/call/work", "{\"n\":1,\"lane\":\"a\"}", "r", NULL);
    works_wait_begun(1);
    works_send(&rig, "rpc/call/work", "{\"n\":2,\"lane\":\"a\"}", "r", NULL);
    works_send(&rig, "rpc/call/work", "{\"n\":3,\"lane\":\"b\"}", "r", NULL);
    rig_wait(&rig, 1);
    works_expect(&rig, 1, "ok", "{\"n\":3,\"by\":\"work\"}");
    ck_assert_int_eq(atomic_load(&slots[2].works), 0);
    works_let_go(&rig, 1);
    works_wait_done(&rig, 2, 1);
    works_expect(&rig, 3, "ok", "{\"n\":2,\"by\":\"work\"}");
}
END_TEST

/* Each instance has its own lanes, since the instance of another prefix has another state. */
START_TEST(lanes_are_an_instances)
{
    struct rig other;
    works_open(&rig);
    rig_init(&other);
    other.options.workers = 1;
    other.options.prefix = "dev";
    other.client = rig.client;
    rig_start(&other);
    rig_add(&other, &works, NULL);
    slots[1].shut = slots[2].shut = true;
    works_send(&rig, "rpc/call/work", "{\"n\":1,\"lane\":\"a\"}", "r", NULL);
    works_send(&other, "dev/call/work", "{\"n\":2,\"lane\":\"a\"}", "r", NULL);
    works_wait_begun(1);
    works_wait_begun(2);
    works_let_go(&rig, 1);
    works_let_go(&other, 2);
    ck_assert_uint_eq(other.host.replies.count, 1);
    rig_close(&other);
}
END_TEST

/* Two modules that differ only in their names. */
START_TEST(lanes_of_two_modules)
{
    rpc_module second = works;
    rpc_method method = works.methods.rows[0];
    second.name = "second";
    method.name = "work.other";
    method.event = method.error_event = NULL;
    second.methods.rows = &method;
    second.methods.count = 1;
    second.events.rows = NULL;
    second.events.count = 0;
    works_open(&rig);
    rig_add(&rig, &second, NULL);
    slots[1].shut = slots[2].shut = true;
    works_send(&rig, "rpc/call/work", "{\"n\":1,\"lane\":\"a\"}", "r", NULL);
    works_send(&rig, "rpc/call/work.other", "{\"n\":2,\"lane\":\"a\"}", "r", NULL);
    works_wait_begun(1);
    works_wait_begun(2);
    works_let_go(&rig, 1);
    works_let_go(&rig, 2);
    rig_close(&rig); /* while the tables are still there */
    works_init(&rig);
    works_open(&rig);
}
END_TEST

UNIT_MAIN("task", open_rig, close_rig, {outcomes_of_work, UNIT_ROWS(outcomes)}, {the_reply_by_request_id, 0},
          {the_reply_by_jsonrpc_id, 0}, {replies_to_subscribers, 0}, {what_is_announced, 0},
          {other_calls_do_not_wait, 0}, {run_fills_the_result, 0},
          {done_returns_anything, UNIT_ROWS(nonsense)}, {run_returns_something_else, 2},
          {run_returns_pending_alone, 3}, {methods_that_cannot, UNIT_ROWS(incapables)},
          {done_decides_about_a_timeout, UNIT_ROWS(judged)}, {done_goes_on_with_work, 0},
          {the_deadline_is_the_calls, 0}, {done_cannot_go_on_after_the_end, 2}, {another_call_resumes, 0},
          {a_timer_resumes, 0}, {calls_with_work_cannot_be_resumed, 0}, {a_call_cannot_resume_itself, 4},
          {when_the_deadline_is, UNIT_ROWS(deadlines)}, {a_handler_sets_the_deadline, 0},
          {deadlines_that_are_none, UNIT_ROWS(malformed)}, {other_properties_do_not_matter, 0},
          {a_deadline_while_waiting, 0}, {a_deadline_while_running, 0}, {work_that_hangs_does_not_block, 0},
          {a_result_in_the_same_tick, 0}, {the_next_deadline_is_due, 0},
          {ended_while_waiting, UNIT_ROWS(ends)}, {ended_while_running, UNIT_ROWS(ends)},
          {ended_while_deferred, UNIT_ROWS(ends)}, {other_connections_that_end, 0}, {must_finish_goes_on, 0},
          {replies_to_waiting_sessions, UNIT_ROWS(gones)}, {no_replies_at_qos_0, 0},
          {sessions_that_are_taken_up, UNIT_ROWS(ends)}, {ids_that_are_taken_over, 3},
          {replies_to_sessions_are_bounded, 0}, {the_maximum_of_a_method, 0}, {max_pending_is_reached, 0},
          {the_newest_of_most_is_evicted, 0}, {a_done_evicts, 0}, {deferred_calls_are_evicted, 0},
          {all_kinds_are_evicted, 0}, {equals_are_not_evicted, 0}, {running_calls_take_no_slot, 0},
          {an_evicted_call_is_resumed, 0}, {evicted_at_its_deadline, 0}, {background_is_bounded, 0},
          {background_has_both_functions, 0}, {background_takes_no_slot, 0}, {one_lane_one_at_a_time, 0},
          {lanes_are_an_instances, 0}, {lanes_of_two_modules, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/stats/recorder.h: the ring and what it cuts; what the engine records of calls of every kind, and logs.
 */
#include "lab.h"
#include "unit.h"
#include "works.h"

#include "call/engine_parts.h"
#include "stats/recorder.h"

#include <stdio.h>
#include <string.h>

enum { WAIT = 3000000 /* ns */ };

static struct recorder *recorder;
static struct rig rig;
static struct lab_options options;

/* ---- The ring ---- */

static void add_call(const char *caller)
{
    struct record *record = recorder_begin(recorder);
    record->code = "ok";
    record_keep_caller(record, caller);
}

START_TEST(the_newest_take_the_places_of_the_oldest)
{
    char caller[24];
    recorder = recorder_create(false);
    ck_assert_ptr_nonnull(recorder);
    ck_assert_ptr_null(recorder_find(recorder, 0));
    for (unsigned i = 0; i < RECORDER_CALLS + 3; i++) {
        snprintf(caller, sizeof caller, "c%u", i);
        add_call(caller);
        ck_assert_str_eq(recorder_find(recorder, 0)->caller, caller);
        ck_assert_ptr_null(recorder_find(recorder, i + 1));
    }
    ck_assert_str_eq(recorder_find(recorder, RECORDER_CALLS - 1)->caller, "c3");
    ck_assert_ptr_null(recorder_find(recorder, RECORDER_CALLS));
    recorder_destroy(recorder);
}
END_TEST

/* What has as many bytes as there is room for is whole; longer text loses its last characters, and no half of
 * one stays. */
START_TEST(texts_are_cut)
{
    static const struct {
        const char *unit;
        size_t units, kept;
    } rows[] = {
        {"a", RECORDER_CALLER - 1, RECORDER_CALLER - 1},      {"a", RECORDER_CALLER, RECORDER_CALLER},
        {"a", RECORDER_CALLER + 1, RECORDER_CALLER},          {"\u00e9", RECORDER_CALLER, RECORDER_CALLER},
        {"\u20ac", RECORDER_CALLER, RECORDER_CALLER / 3 * 3}, {"", 0, 0}};
    recorder = recorder_create(false);
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        char text[4 * RECORDER_CALLER] = "";
        for (size_t i = 0; i < rows[row].units; i++)
            strcat(text, rows[row].unit);
        add_call(text);
        const char *caller = recorder_find(recorder, 0)->caller;
        ck_assert_uint_eq(strlen(caller), rows[row].kept);
        ck_assert_int_eq(strncmp(caller, text, rows[row].kept), 0);
    }
    recorder_destroy(recorder);
}
END_TEST

START_TEST(payloads_are_kept_only_if_wanted)
{
    char large[RECORDER_PAYLOAD + 10];
    memset(large, 'x', sizeof large);
    recorder = recorder_create(false);
    ck_assert_ptr_null(recorder_begin(recorder)->payload);
    recorder_destroy(recorder);
    recorder = recorder_create(true);
    for (int i = 0; i < 2 * RECORDER_CALLS; i++) {
        struct record *record = recorder_begin(recorder);
        record_keep_payload(record, large, sizeof large);
        ck_assert_uint_eq(record->kept, RECORDER_PAYLOAD);
        record_keep_payload(record, "{}", 2);
        ck_assert_uint_eq(record->kept, 2);
    }
    recorder_destroy(recorder);
}
END_TEST

/* ---- In an engine ---- */

static rpc_status wait_and_fail(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    rig.host.monotonic += WAIT;
    return rpc_raise(call, "plain", "no");
}

static const struct record *last_record(void)
{
    const struct record *record = recorder_find(rig.engine->recorder, 0);
    ck_assert_ptr_nonnull(record);
    return record;
}

static void expect_last(const char *method, const char *name, const char *code)
{
    const struct record *record = last_record();
    ck_assert_str_eq(record->method ? record->method->name : "", method);
    ck_assert_str_eq(record->name, name);
    ck_assert_str_eq(record->code, code);
    ck_assert_str_eq(record->caller, "tester");
}

START_TEST(calls_of_all_kinds)
{
    rig_init(&rig);
    lab_start(&rig, &options, wait_and_fail);
    rig_send(&rig, "rpc/call/act", "{}", RIG_REPLY, NULL);
    expect_last("act", "", "plain");
    ck_assert_uint_eq(last_record()->waited, 0);
    ck_assert_uint_eq(last_record()->ran, WAIT);
    ck_assert_uint_eq(last_record()->size, 2);
    rig_tell(&rig, "count", "{}");
    expect_last("count", "", "ok");
    rig_tell(&rig, "count", "{\"a\"");
    expect_last("count", "", "parse_error");
    ck_assert_uint_eq(last_record()->size, 4);
    rig_tell(&rig, "no\u20ac", "{}");
    expect_last("", "no\\xE2\\x82\\xAC", "method_not_found");
    rig_publish(&rig, "rpc/jsonrpc", "7");
    expect_last("", "rpc/jsonrpc", "invalid_request");
    const struct record *before = rig.engine->recorder->next;
    rig_send(&rig, "rpc/batch/act", "[{},{},{}]", RIG_REPLY, NULL);
    ck_assert_ptr_eq(rig.engine->recorder->next, before + 3);
    ck_assert_uint_eq(last_record()->waited, 2 * WAIT);
    ck_assert_uint_eq(last_record()->ran, WAIT);
    rig_close(&rig);
}
END_TEST

/* A name of any length is cut, and nothing behind the ring is written. */
START_TEST(a_long_unknown_name)
{
    char topic[3 * RECORDER_NAME] = "rpc/call/";
    rig_init(&rig);
    lab_start(&rig, &options, NULL);
    memset(topic + strlen(topic), 'n', sizeof topic - strlen(topic) - 1);
    topic[sizeof topic - 1] = '\0';
    for (int i = 0; i <= RECORDER_CALLS; i++)
        rig_publish(&rig, topic, "{}");
    ck_assert_uint_le(strlen(last_record()->name), RECORDER_NAME);
    ck_assert_int_eq(strncmp(last_record()->name, "nnnn", 4), 0);
    rig_close(&rig);
}
END_TEST

/* The work waits for the only worker, which is busy; what it waits for is not what it runs. */
START_TEST(calls_with_work)
{
    works_init(&rig);
    rig.options.workers = 1;
    rig.options.recorder_payloads = true;
    rig_start(&rig);
    rig_add(&rig, &works, NULL);
    works_begin(&rig, "work", 1);
    works_call(&rig, "work", 2);
    rig.host.monotonic += 10 * WAIT;
    works_let_go(&rig, 1);
    works_wait_done(&rig, 2, 1);
    ck_assert_uint_eq(recorder_find(rig.engine->recorder, 1)->ran +
                          recorder_find(rig.engine->recorder, 1)->waited,
                      10 * WAIT);
    expect_last("work", "", "ok");
    ck_assert_uint_gt(last_record()->waited, 0);
    ck_assert_uint_eq(last_record()->waited + last_record()->ran, 10 * WAIT);
    ck_assert_uint_eq(last_record()->kept, strlen("{\"n\":2}"));
    ck_assert_int_eq(memcmp(last_record()->payload, "{\"n\":2}", last_record()->kept), 0);
    works_close(&rig);
}
END_TEST

/* The caller is answered while the work runs: the call is recorded then, and once. */
START_TEST(a_call_whose_work_runs_on)
{
    works_init(&rig);
    works_open(&rig);
    works_begin(&rig, "work.brief", 1);
    works_pass(&rig, 300);
    expect_last("work.brief", "", "timeout");
    const struct record *next = rig.engine->recorder->next;
    works_let_go(&rig, 1);
    ck_assert_ptr_eq(rig.engine->recorder->next, next);
    works_close(&rig);
}
END_TEST

/* The payload of a call that waits is recorded when it ends, though the host's message is gone by then. */
START_TEST(payloads_of_calls_that_wait)
{
    char large[2 * RECORDER_PAYLOAD + 32] = "{\"n\":1,\"lane\":\"";
    const size_t start = strlen(large);
    memset(large + start, 'l', sizeof large - start);
    memcpy(large + sizeof large - 3, "\"}", 3);
    works_init(&rig);
    rig.options.recorder_payloads = true;
    works_open(&rig);
    works_send(&rig, "rpc/call/wait", "{\"n\":1}", "r", NULL);
    works_send(&rig, "rpc/call/tell", "{\"n\":1}", "r", NULL);
    const struct record *record = recorder_find(rig.engine->recorder, 1);
    ck_assert_str_eq(record->method->name, "wait");
    ck_assert_uint_eq(record->kept, 7);
    ck_assert_int_eq(memcmp(record->payload, "{\"n\":1}", 7), 0);
    works_send(&rig, "rpc/call/wait", large, "r", NULL);
    works_pass(&rig, 100000);
    record = last_record();
    ck_assert_str_eq(record->method->name, "wait");
    ck_assert_uint_eq(record->size, strlen(large));
    ck_assert_int_eq(memcmp(record->payload, large, record->kept), 0);
    works_send(&rig, "rpc/call/bytes", "\x01\x02", "r", NULL);
    works_wait_done(&rig, WORKS_BYTES, 1);
    ck_assert_uint_eq(last_record()->kept, 2);
    works_close(&rig);
}
END_TEST

/* ---- log_calls ---- */

static bool is_logged(const char *text)
{
    return fake_host_logged(&rig.host, text);
}

/* No limit holds back a line that the operator has asked for. */
START_TEST(each_call_is_logged)
{
    rig_init(&rig);
    rig.options.log_calls = true;
    rig.client.id = "t\u00e9ster";
    lab_start(&rig, &options, wait_and_fail);
    rig_tell(&rig, "count", "{}");
    ck_assert(is_logged("rpc: client t\\xC3\\xA9ster called count: ok, waited 0 us, ran 0 us"));
    rig_send(&rig, "rpc/batch/act", "[{},{}]", RIG_REPLY, NULL);
    ck_assert(is_logged("called act: plain, waited 0 us, ran 3000 us"));
    ck_assert(is_logged("called act: plain, waited 3000 us, ran 3000 us"));
    rig_tell(&rig, "none", "{}");
    ck_assert(is_logged("called none: method_not_found, waited"));
    fake_host_forget(&rig.host);
    for (int i = 0; i < 1000; i++)
        rig_tell(&rig, "count", "{}");
    ck_assert_uint_eq(rig.host.line_count, 1000);
    for (size_t i = 0; i < FAKE_KEPT; i++)
        ck_assert_int_eq(rig.host.lines[i].level, RPC_LOG_INFO);
    rig_close(&rig);
}
END_TEST

START_TEST(calls_are_not_logged_by_default)
{
    rig_init(&rig);
    lab_start(&rig, &options, wait_and_fail);
    rig_tell(&rig, "count", "{}");
    rig_tell(&rig, "act", "{}");
    ck_assert_uint_eq(rig.host.line_count, 0);
    rig_close(&rig);
}
END_TEST

UNIT_MAIN("recorder", NULL, NULL, {the_newest_take_the_places_of_the_oldest, 0}, {texts_are_cut, 0},
          {payloads_are_kept_only_if_wanted, 0}, {calls_of_all_kinds, 0}, {a_long_unknown_name, 0},
          {calls_with_work, 0}, {a_call_whose_work_runs_on, 0}, {payloads_of_calls_that_wait, 0},
          {each_call_is_logged, 0}, {calls_are_not_logged_by_default, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* rpc.recent and rpc.running: what they list, in which order, what they leave out, and what clients may have
 * written into it. */
#include "lab.h"
#include "unit.h"
#include "works.h"

#include "call/engine_parts.h"
#include "observe/observe.h"
#include "stats/recorder.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

enum { STEP = 5000000 /* ns */ };

static struct rig rig;
static struct lab_options options;
static cJSON *answer;

static rpc_status act(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    rig.host.monotonic += STEP;
    return rpc_raise(call, "plain", "because");
}

static void open_rig(void)
{
    works_init(&rig);
}

static void start_lab(void)
{
    lab_start(&rig, &options, act);
    rig_add(&rig, &rpc_module_observe, NULL);
}

static void start_works(void)
{
    rig_start(&rig);
    rig_add(&rig, &works, NULL);
    rig_add(&rig, &rpc_module_observe, NULL);
}

/* ---- Asking ---- */

/* Returns how many calls the answer lists. */
static int ask(const char *method, const char *params)
{
    const struct fake_message *reply = rig_ask(&rig, method, params);
    ck_assert_msg(strcmp(reply->status, "ok") == 0, "%s", reply->text);
    ck_assert_uint_le(reply->size, (size_t)rig.options.max_reply);
    cJSON_Delete(answer);
    answer = cJSON_ParseWithLength(reply->payload, reply->size);
    ck_assert_ptr_nonnull(answer);
    return cJSON_GetArraySize(cJSON_GetObjectItem(answer, "calls"));
}

static const cJSON *member(int place, const char *name)
{
    return cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "calls"), place), name);
}

static const char *text(int place, const char *name)
{
    return cJSON_GetStringValue(member(place, name));
}

static double number(int place, const char *name)
{
    return cJSON_GetNumberValue(member(place, name));
}

static bool has_more(void)
{
    return cJSON_IsTrue(cJSON_GetObjectItem(answer, "more"));
}

static int total(void)
{
    return cJSON_GetObjectItem(answer, "count")->valueint;
}

/* ---- rpc.recent ---- */

START_TEST(the_newest_come_first)
{
    start_lab();
    ck_assert_int_eq(ask("rpc.recent", ""), 0);
    ck_assert(!has_more());
    rig_tell(&rig, "act", "{}");
    rig.client.id = "other";
    rig_tell(&rig, "count", "{ }");
    rig_tell(&rig, "none", "{}");
    rig.host.monotonic += 2 * RIG_SECOND;
    rig.host.wall += 2;
    ck_assert_int_eq(ask("rpc.recent", ""), 4);
    ck_assert_str_eq(text(0, "method"), "none");
    ck_assert_str_eq(text(0, "status"), "method_not_found");
    ck_assert_str_eq(text(1, "method"), "count");
    ck_assert_str_eq(text(1, "caller"), "other");
    ck_assert_str_eq(text(1, "status"), "ok");
    ck_assert_double_eq(number(1, "bytes"), 3);
    ck_assert_double_eq_tol(number(1, "at"), rig.host.wall - 2, 1e-6);
    ck_assert_str_eq(text(2, "caller"), "tester");
    ck_assert_str_eq(text(2, "status"), "plain");
    ck_assert_double_eq_tol(number(2, "at"), rig.host.wall - 2.005, 1e-6);
    ck_assert_double_eq(number(2, "waited_s"), 0);
    ck_assert_double_eq_tol(number(2, "ran_s"), 0.005, 1e-9);
    ck_assert_ptr_null(member(2, "trace"));
    ck_assert_ptr_null(member(2, "payload"));
    ck_assert_str_eq(text(3, "method"), "rpc.recent");
    rig_close(&rig);
}
END_TEST

START_TEST(filters)
{
    static const struct {
        const char *params;
        int count;
    } rows[] = {
        {"{\"method\":\"act\"}", 2},
        {"{\"method\":\"ac\"}", 0},
        {"{\"method\":\"none\"}", 1},
        {"{\"caller\":\"tester\"}", 3},
        {"{\"caller\":\"test\"}", 0},
        {"{\"caller\":\"tester2\"}", 0},
        {"{\"caller\":\"\"}", 1},
        {"{\"err\":\"plain\"}", 2},
        {"{\"err\":\"ok\"}", 1},
        {"{\"err\":\"*\"}", 3},
        {"{\"err\":\"timeout\"}", 0},
        {"{\"slower_than\":0}", 2},
        {"{\"slower_than\":0.004}", 2},
        {"{\"slower_than\":0.006}", 0},
        {"{\"slower_than\":0.004,\"caller\":\"tester\",\"err\":\"plain\",\"method\":\"act\"}", 1},
        {"{\"limit\":3}", 3},
        {"{\"limit\":4}", 4},
    };
    start_lab();
    rig_tell(&rig, "act", "{}");
    rig_tell(&rig, "count", "{}");
    rig_tell(&rig, "none", "{}");
    rig.client.id = "";
    rig_tell(&rig, "act", "{}");
    rig.client.id = "asks";
    /* Each row asks a ring that has these four calls alone: later ones are taken back. */
    struct record *const next = rig.engine->recorder->next;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rig.engine->recorder->next = next;
        next->code = NULL;
        const int count = ask("rpc.recent", rows[i].params);
        ck_assert_msg(count == rows[i].count, "%s: %d", rows[i].params, count);
        ck_assert_int_eq(has_more(), strstr(rows[i].params, "limit\":3") != NULL);
    }
    rig_close(&rig);
}
END_TEST

/* Client ids and names of methods are text from the wire; long ones are found by what is kept of them. */
START_TEST(texts_of_clients)
{
    char id[3 * RECORDER_CALLER] = "", params[FAKE_TEXT];
    start_lab();
    rig.client.id = "\"q\\\u00e9\u20ac";
    rig_tell(&rig, "a\"\\b", "{}");
    ask("rpc.recent", "");
    ck_assert_str_eq(text(0, "caller"), "\"q\\\u00e9\u20ac");
    ck_assert_str_eq(text(0, "method"), "a\"\\x5Cb");
    for (size_t i = 0; i + 3 < sizeof id; i += 3)
        strcat(id, "\u20ac");
    rig.client.id = id;
    rig_tell(&rig, "count", "{}");
    rig.client.id = "tester";
    snprintf(params, sizeof params, "{\"caller\":\"%s\",\"limit\":1}", id);
    ck_assert_int_eq(ask("rpc.recent", params), 1);
    ck_assert_int_eq(strncmp(text(0, "caller"), id, 63), 0);
    ck_assert_uint_eq(strlen(text(0, "caller")), 63);
    /* A host that checks nothing. */
    rig.client.id = "\xff\xfe";
    rig_tell(&rig, "count", "{}");
    rig.client.id = "tester";
    ask("rpc.recent", "{\"limit\":1}");
    ck_assert_str_eq(text(0, "caller"), "\\xFF\\xFE");
    rig_close(&rig);
}
END_TEST

START_TEST(payloads)
{
    char large[3 * RECORDER_PAYLOAD + 1] = "";
    rig.options.recorder_payloads = true;
    start_lab();
    rig_tell(&rig, "count", "{\"a\":\"\\n\u20ac\"}");
    ask("rpc.recent", "");
    ck_assert_str_eq(text(0, "payload"), "{\"a\":\"\\n\u20ac\"}");
    rig_tell(&rig, "bytes", "\x01\xff\\z");
    ask("rpc.recent", "");
    ck_assert_str_eq(text(0, "payload"), "\\x01\\xFF\\x5Cz");
    /* The last character that fits is whole, and no error of a client. */
    for (size_t i = 0; i < RECORDER_PAYLOAD; i++)
        strcat(large, "\u20ac");
    rig_tell(&rig, "bytes", large);
    ask("rpc.recent", "");
    ck_assert_uint_eq(strlen(text(0, "payload")), RECORDER_PAYLOAD / 3 * 3);
    ck_assert_int_eq(strncmp(text(0, "payload"), large, RECORDER_PAYLOAD / 3 * 3), 0);
    rig_tell(&rig, "count", "");
    ask("rpc.recent", "");
    ck_assert_str_eq(text(0, "payload"), "");
    rig_close(&rig);
}
END_TEST

/* What does not fit is left out and said to be, whatever the reply is. */
START_TEST(rows_that_do_not_fit)
{
    static const int32_t sizes[] = {64, 200, 600, 1000, 5000, 20000, 131072};
    char control[RECORDER_PAYLOAD];
    memset(control, '\x01', sizeof control - 1);
    control[sizeof control - 1] = '\0';
    rig.options.max_reply = sizes[_i];
    rig.options.recorder_payloads = true;
    start_lab();
    for (int i = 0; i < RECORDER_CALLS; i++)
        rig_tell(&rig, i % 2 ? "bytes" : "count", i % 4 ? "\"\\\n" : control);
    const int count = ask("rpc.recent", "{\"limit\":256}");
    ck_assert(has_more() || count == RECORDER_CALLS);
    if (sizes[_i] >= 5000)
        ck_assert_int_gt(count, 0);
    if (sizes[_i] == 64)
        ck_assert_int_eq(count, 0);
    rig_close(&rig);
}
END_TEST

/* ---- rpc.running ---- */

START_TEST(where_calls_are)
{
    rig.options.workers = 1;
    start_works();
    ck_assert_int_eq(ask("rpc.running", ""), 0);
    ck_assert_int_eq(total(), 0);
    works_slots[1].shut = works_slots[2].shut = true;
    works_send(&rig, "rpc/call/work", "{\"n\":1,\"lane\":\"east\"}", "r", NULL);
    works_wait_begun(1);
    rig.host.monotonic += RIG_SECOND;
    works_call(&rig, "work", 2);
    rig.host.monotonic += RIG_SECOND;
    works_call(&rig, "wait", 3);
    ck_assert_int_eq(ask("rpc.running", ""), 3);
    ck_assert_int_eq(total(), 3);
    ck_assert_str_eq(text(0, "state"), "worker");
    ck_assert_str_eq(text(0, "lane"), "east");
    ck_assert_str_eq(text(0, "method"), "work");
    ck_assert_str_eq(text(0, "caller"), "tester");
    ck_assert_double_eq_tol(number(0, "age_s"), 2, 1e-6);
    ck_assert_double_eq_tol(number(0, "deadline_s"), 8, 1e-6);
    ck_assert_ptr_null(member(0, "answered"));
    ck_assert_str_eq(text(1, "state"), "waiting");
    ck_assert_ptr_null(member(1, "lane"));
    ck_assert_double_eq_tol(number(1, "age_s"), 1, 1e-6);
    ck_assert_str_eq(text(2, "state"), "deferred");
    ck_assert_double_ne(number(0, "id"), number(1, "id"));
    const double id = number(2, "id");
    ck_assert_int_eq(ask("rpc.running", "{\"method\":\"wait\"}"), 1);
    ck_assert_double_eq(number(0, "id"), id);
    ck_assert_int_eq(ask("rpc.running", "{\"caller\":\"nobody\"}"), 0);
    ck_assert_int_eq(ask("rpc.running", "{\"caller\":\"tester\",\"limit\":2}"), 2);
    ck_assert_int_eq(total(), 3);
    ck_assert_str_eq(text(1, "state"), "waiting");
    works_close(&rig);
}
END_TEST

/* A call whose caller has its error is what hangs: it is shown until its work returns. */
START_TEST(work_that_runs_on)
{
    start_works();
    works_begin(&rig, "work.brief", 1);
    works_pass(&rig, 300);
    ck_assert_int_eq(ask("rpc.running", ""), 1);
    ck_assert_str_eq(text(0, "answered"), "timeout");
    ck_assert_str_eq(text(0, "state"), "worker");
    ck_assert_ptr_null(member(0, "deadline_s"));
    works_let_go(&rig, 1);
    ck_assert_int_eq(ask("rpc.running", ""), 0);
    works_close(&rig);
}
END_TEST

/* The oldest are listed, however many there are, and in whatever order they became pending. */
START_TEST(many_open_calls)
{
    enum { OPEN = 60 };
    start_works();
    for (int i = 0; i < OPEN; i++) {
        rig.host.monotonic += i == OPEN / 2 ? 0 : 1000000;
        works_call(&rig, "wait", 1 + i);
    }
    const double first = (ask("rpc.running", "{\"limit\":60}"), number(0, "id"));
    ck_assert_int_eq(ask("rpc.running", "{\"limit\":7}"), 7);
    ck_assert_int_eq(total(), OPEN);
    ck_assert_double_eq(number(0, "id"), first);
    for (int i = 1; i < 7; i++)
        ck_assert_double_ge(number(i - 1, "age_s"), number(i, "age_s"));
    works_close(&rig);
}
END_TEST

static rpc_call *first_call;

static rpc_status defer(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    first_call = call;
    return rpc_defer(call, NULL);
}

static rpc_status defer_again(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)state, (void)data, (void)result;
    return outcome == RPC_OK ? rpc_defer(call, NULL) : outcome;
}

/* A call that its module makes pending again is as old as it was. */
START_TEST(the_age_of_calls_that_wait_again)
{
    works_hooks = (struct works_hooks){.run = defer, .done = defer_again};
    start_works();
    works_send(&rig, "rpc/call/half", "", "r", NULL);
    rig.host.monotonic += RIG_SECOND;
    works_call(&rig, "wait", 1);
    rpc_resume(first_call);
    ck_assert_int_eq(ask("rpc.running", ""), 2);
    ck_assert_str_eq(text(0, "method"), "half");
    ck_assert_str_eq(text(1, "method"), "wait");
    ck_assert_int_eq(ask("rpc.running", "{\"limit\":1}"), 1);
    ck_assert_str_eq(text(0, "method"), "half");
    rig_close(&rig);
}
END_TEST

START_TEST(few_open_calls_fit)
{
    rig.options.max_reply = 1500;
    start_works();
    for (int i = 1; i <= 20; i++)
        works_call(&rig, "wait", i);
    const int count = ask("rpc.running", "");
    ck_assert_int_gt(count, 0);
    ck_assert_int_lt(count, 20);
    ck_assert_int_eq(total(), 20);
    works_close(&rig);
}
END_TEST

static rpc_status end_nothing(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)call, (void)state, (void)data, (void)result;
    return outcome;
}

static void do_nothing(rpc_job *job, void *data)
{
    (void)job, (void)data;
}

/* Nor is rpc.running itself open. */
START_TEST(background_work_is_no_call)
{
    start_works();
    ck_assert_int_eq(rpc_background(rig_instance(&rig), NULL, do_nothing, end_nothing, NULL), RPC_PENDING);
    ck_assert_int_eq(ask("rpc.running", ""), 0);
    ck_assert_int_eq(total(), 0);
    works_finish(&rig);
    rig_settle(&rig);
    rig_close(&rig);
}
END_TEST

UNIT_MAIN("recent", open_rig, NULL, {the_newest_come_first, 0}, {filters, 0}, {texts_of_clients, 0},
          {payloads, 0}, {rows_that_do_not_fit, 7}, {where_calls_are, 0}, {work_that_runs_on, 0},
          {many_open_calls, 0}, {the_age_of_calls_that_wait_again, 0}, {few_open_calls_fit, 0},
          {background_work_is_no_call, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/observe/: what rpc.stats and the retained documents of methods say, and when a document is published.
 * test_metrics.c is for rpc.metrics.
 */
#include "lab.h"
#include "unit.h"
#include "works.h"

#include "call/engine_parts.h"
#include "call/task.h"
#include "observe/observe.h"
#include "observe/survey.h"
#include "observe/tables.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

enum { INTERVAL = 10000 /* ms */ };

static struct rig rig;
static struct lab_options options;
static cJSON *shown; /* what was asked for last */

static void open_rig(void)
{
    works_init(&rig);
    rig.options.sys_interval = INTERVAL;
}

static void close_rig(void)
{
    cJSON_Delete(shown);
    shown = NULL;
}

/* ---- Asking ---- */

static double number(const cJSON *object, const char *name)
{
    ck_assert(cJSON_IsNumber(rig_member(object, name)));
    return rig_member(object, name)->valuedouble;
}

static const cJSON *stats(const char *payload)
{
    const struct fake_message *reply = rig_ask(&rig, "rpc.stats", payload);
    ck_assert_str_eq(reply->status, "ok");
    cJSON_Delete(shown);
    shown = cJSON_ParseWithLength(reply->payload, reply->size);
    ck_assert_ptr_nonnull(shown);
    return shown;
}

/* The row of a list that has this text; NULL: none. */
static const cJSON *find(const cJSON *rows, const char *member, const char *text)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        if (strcmp(rig_member(row, member)->valuestring, text) == 0)
            return row;
    }
    return NULL;
}

static const cJSON *report_of(const char *method)
{
    const cJSON *report = find(rig_member(stats(""), "methods"), "method", method);
    ck_assert_msg(report, "no report of %s", method);
    return report;
}

static const cJSON *table_of(const char *name)
{
    const cJSON *row = find(rig_member(stats(""), "tables"), "name", name);
    ck_assert_msg(row, "no table %s", name);
    return row;
}

static void expect_open(const char *method, int running, int waiting)
{
    const cJSON *report = report_of(method);
    ck_assert_double_eq(number(report, "running"), running);
    ck_assert_double_eq(number(report, "waiting"), waiting);
}

/* ---- Methods ---- */

static void open_lab(void)
{
    lab_start(&rig, &options, lab_fail_slowly);
    rig_add(&rig, &rpc_module_observe, NULL);
}

START_TEST(reports_of_methods)
{
    open_lab();
    for (int i = 0; i < 5; i++)
        rig_tell(&rig, "count", "");
    rig_tell(&rig, "act", "");
    rig_tell(&rig, "act", "{");
    rig_tell(&rig, "never", "");
    const cJSON *report = report_of("act");
    ck_assert_double_eq(number(report, "calls"), 2);
    ck_assert_double_eq(number(rig_member(report, "errors"), "plain"), 1);
    ck_assert_double_eq(number(rig_member(report, "errors"), "parse_error"), 1);
    ck_assert_int_eq(cJSON_GetArraySize(rig_member(report, "errors")), 2);
    ck_assert_double_eq(number(report, "sum_s"), 0.003);
    ck_assert_double_eq(number(report, "max_s"), 0.003);
    ck_assert_int_eq(cJSON_GetArraySize(rig_member(report, "buckets")), STATISTICS_BUCKETS);
    ck_assert_int_eq(cJSON_GetArrayItem(rig_member(report, "buckets"), 0)->valueint, 1);
    ck_assert_int_eq(cJSON_GetArrayItem(rig_member(report, "buckets"), 5)->valueint, 1);
    ck_assert_str_eq(rig_member(rig_member(report, "last_error"), "err")->valuestring, "parse_error");
    ck_assert_double_eq(number(rig_member(report, "last_error"), "at"), rig.host.wall);
    report = report_of("count");
    ck_assert_double_eq(number(report, "calls"), 5);
    ck_assert(cJSON_IsNull(rig_member(report, "last_error")));
    ck_assert_int_eq(cJSON_GetArraySize(rig_member(report, "errors")), 0);
    ck_assert_ptr_null(find(rig_member(shown, "methods"), "method", "look"));
    ck_assert_ptr_null(find(rig_member(shown, "methods"), "method", "never"));
    rig_close(&rig);
}
END_TEST

START_TEST(one_method)
{
    open_lab();
    rig_tell(&rig, "count", "");
    const cJSON *methods = rig_member(stats("{\"method\":\"look\"}"), "methods");
    ck_assert_int_eq(cJSON_GetArraySize(methods), 1);
    ck_assert_str_eq(rig_member(methods->child, "method")->valuestring, "look");
    ck_assert_double_eq(number(methods->child, "calls"), 0);
    rig_expect(&rig, "rpc.stats", "{\"method\":\"never\"}", "unknown_method",
               "{\"method\":\"rpc.stats\",\"err\":\"unknown_method\",\"msg\":\"there is no method of this "
               "name\"}");
    rig_close(&rig);
}
END_TEST

struct lateness {
    int32_t by;
};

static const rpc_field lateness_fields[] = {RPC_INT32(struct lateness, by, .doc = "how much")};
static const rpc_shape lateness_shape = RPC_OBJECT_SHAPE(struct lateness, lateness_fields);

static rpc_status raise_timeout(rpc_call *call, void *state, const void *params, void *result)
{
    const struct lateness lateness = {7};
    (void)state, (void)params, (void)result;
    return rpc_raise_with(call, "timeout", &lateness, "too late");
}

static const rpc_error own_errors[] = {
    {.code = "timeout", .doc = "it took too long", .data = &lateness_shape},
    {.code = "broken", .doc = "it is broken"}};
static const rpc_method own_methods[] = {
    {.name = "box/{box}", .errors = RPC_TABLE(own_errors), .run = raise_timeout}};
static const rpc_module own = {.name = "own", .methods = RPC_TABLE(own_methods)};

/* An error of the engine's own that a method declares counts once; a family has one report, by its own name,
 * whatever the callers write. */
START_TEST(families_and_the_engines_errors)
{
    rig_start(&rig);
    rig_add(&rig, &own, NULL);
    rig_add(&rig, &rpc_module_observe, NULL);
    rig_tell(&rig, "box/a", "");
    rig_tell(&rig, "box/b", "");
    const cJSON *report = report_of("box/{box}");
    ck_assert_double_eq(number(report, "calls"), 2);
    ck_assert_double_eq(number(rig_member(report, "errors"), "timeout"), 2);
    ck_assert_int_eq(cJSON_GetArraySize(rig_member(report, "errors")), 1);
    ck_assert_int_eq(cJSON_GetArraySize(rig_member(shown, "methods")), 1);
    ck_assert_str_eq(
        rig_member(rig_member(stats("{\"method\":\"box/c\"}"), "methods")->child, "method")->valuestring,
        "box/{box}");
    rig_close(&rig);
}
END_TEST

/* ---- The service ---- */

START_TEST(the_service)
{
    rig.host.host.broker = "a broker 1";
    open_lab();
    struct engine_options second = rig.options;
    second.prefix = "second";
    struct engine *other = engine_create(&second, &rig.host.host);
    engine_join(other, rig.engine);
    const double began = rig.host.wall;
    rig.host.monotonic += 5 * RIG_SECOND;
    rig.host.wall += 5 + 3600; /* somebody has set the clock */
    rig_tell(&rig, "count", "");
    const cJSON *whole = stats("");
    ck_assert_str_eq(rig_member(whole, "version")->valuestring, RPC_VERSION);
    ck_assert_str_eq(rig_member(whole, "broker")->valuestring, "a broker 1");
    ck_assert_str_eq(rig_member(whole, "prefix")->valuestring, "rpc");
    ck_assert_int_eq(cJSON_GetArraySize(rig_member(whole, "prefixes")), 2);
    ck_assert_str_eq(cJSON_GetArrayItem(rig_member(whole, "prefixes"), 1)->valuestring, "second");
    ck_assert_double_eq(number(whole, "uptime_s"), 5);
    ck_assert_double_eq_tol(number(whole, "since"), began + 3600, 0.001);
    ck_assert_double_eq(number(rig_member(whole, "counters"), "calls"), 1);
    ck_assert_double_eq(number(rig_member(whole, "counters"), "events"),
                        (double)engine_counters(rig.engine)->events);
    engine_destroy(other, 0);
    rig_close(&rig);
}
END_TEST

START_TEST(an_unknown_broker_is_left_out)
{
    open_lab();
    ck_assert_ptr_null(cJSON_GetObjectItemCaseSensitive(stats(""), "broker"));
    rig_close(&rig);
}
END_TEST

START_TEST(tables_have_their_limits)
{
    rig.options.duplicate_window = 60000;
    rig.options.max_pending = 7;
    open_lab();
    rig_send(&rig, "rpc/call/count", "", RIG_REPLY, "0123456789abcdef");
    const cJSON *row = table_of("cached_replies");
    ck_assert_double_eq(number(row, "entries"), 1);
    ck_assert_double_eq(number(row, "max"), rig.options.duplicate_entries);
    ck_assert_double_eq(number(row, "bytes_max"), rig.options.duplicate_bytes);
    ck_assert_double_eq(number(table_of("pending_calls"), "max"), 7);
    ck_assert_double_eq(number(table_of("timers"), "entries"), 0);
    ck_assert_ptr_null(cJSON_GetObjectItemCaseSensitive(table_of("timers"), "bytes"));
    ck_assert_ptr_null(cJSON_GetObjectItemCaseSensitive(table_of("connections"), "max"));
    for (size_t i = 0; i < TABLES; i++)
        ck_assert_ptr_nonnull(table_of(tables[i].name));
    rig_close(&rig);
}
END_TEST

static void look_at_boxes(const void *state, rpc_use *use)
{
    *use = (rpc_use){*(const size_t *)state, 9, 10, 1000};
}

static void look_at_lids(const void *state, rpc_use *use)
{
    (void)state;
    use->entries = 3;
}

static const rpc_gauge gauges[] = {{"boxes", "boxes", look_at_boxes}, {"lids_2", "lids", look_at_lids}};

static rpc_status count_boxes(rpc_instance *instance, void *state, const void *module_options)
{
    (void)instance, (void)module_options;
    *(size_t *)state = 7;
    return RPC_OK;
}

static const rpc_module gauged = {
    .name = "gauged", .state_size = sizeof(size_t), .gauges = RPC_TABLE(gauges), .init = count_boxes};

START_TEST(gauges_of_modules)
{
    rig_start(&rig);
    rig_add(&rig, &own, NULL);
    rig_add(&rig, &gauged, NULL);
    rig_add(&rig, &rpc_module_observe, NULL);
    const cJSON *row = table_of("gauged.boxes");
    ck_assert_double_eq(number(row, "entries"), 7);
    ck_assert_double_eq(number(row, "max"), 9);
    ck_assert_double_eq(number(row, "bytes"), 10);
    ck_assert_double_eq(number(row, "bytes_max"), 1000);
    row = table_of("gauged.lids_2");
    ck_assert_double_eq(number(row, "entries"), 3);
    ck_assert_int_eq(cJSON_GetArraySize(row), 2);
    ck_assert_int_eq(cJSON_GetArraySize(rig_member(shown, "tables")), TABLES + 2);
    rig_close(&rig);
}
END_TEST

static const rpc_gauge wrong_gauges[][2] = {
    {{"Boxes", "", look_at_lids}, {"a", "", look_at_lids}},
    {{"a", "", look_at_lids}, {"a", "", look_at_lids}},
    {{"a", "", look_at_lids}, {"b", "", NULL}},
    {{"a", "", look_at_lids}, {NULL, "", look_at_lids}},
    {{"a.b", "", look_at_lids}, {"a", "", look_at_lids}},
};

static const char *const wrong_whys[] = {
    "module gauged: gauge Boxes: a gauge's name is [a-z][a-z0-9_]*", "module gauged: gauge a: declared twice",
    "module gauged: gauge b: it has no .look",
    "module gauged: ", "module gauged: gauge a.b: a gauge's name is [a-z][a-z0-9_]*"};

START_TEST(gauges_that_are_wrong)
{
    const rpc_module module = {.name = "gauged", .gauges = {2, wrong_gauges[_i]}};
    char why[ENGINE_WHY] = "";
    rig_start(&rig);
    ck_assert(!engine_add_module(rig.engine, &module, NULL, why));
    ck_assert_msg(strncmp(why, wrong_whys[_i], strlen(wrong_whys[_i])) == 0, "%s", why);
    rig_close(&rig);
}
END_TEST

/* ---- Open calls ---- */

static void open_works(int workers)
{
    rig.options.workers = workers;
    works_open(&rig);
    rig_add(&rig, &rpc_module_observe, NULL);
}

static void send_work(const char *payload)
{
    works_send(&rig, "rpc/call/work", payload, "r", NULL);
}

START_TEST(running_and_waiting)
{
    open_works(1);
    works_begin(&rig, "work", 1);
    works_call(&rig, "work", 2);
    works_call(&rig, "work.firm", 3);
    works_call(&rig, "wait", 4);
    expect_open("work", 1, 1);
    expect_open("work.firm", 0, 1);
    expect_open("wait", 0, 1);
    const cJSON *pool = rig_member(shown, "pool");
    ck_assert_double_eq(number(pool, "workers"), 1);
    ck_assert_double_eq(number(pool, "busy"), 1);
    ck_assert_double_eq(number(pool, "replaced"), 0);
    ck_assert_double_eq(number(pool, "waiting"), 2);
    ck_assert_double_eq(number(table_of("connections"), "entries"), 1);
    ck_assert_double_ge(number(table_of("pending_calls"), "entries"), 3);
    ck_assert_double_gt(number(table_of("pending_calls"), "bytes"), 0);
    works_finish(&rig);
    expect_open("work", 0, 0);
    expect_open("wait", 0, 0);
    ck_assert_double_eq(number(table_of("pending_calls"), "entries"), 0);
    works_close(&rig);
}
END_TEST

/* Its caller has been answered, and its work goes on. */
START_TEST(work_that_nobody_waits_for)
{
    open_works(1);
    works_begin(&rig, "work.brief", 1);
    works_pass(&rig, 300);
    expect_open("work.brief", 1, 0);
    ck_assert_double_eq(number(report_of("work.brief"), "calls"), 1);
    ck_assert_double_eq(number(rig_member(shown, "pool"), "replaced"), 1);
    works_let_go(&rig, 1);
    expect_open("work.brief", 0, 0);
    works_close(&rig);
}
END_TEST

/* ---- Lanes ---- */

START_TEST(lanes_with_most_work_come_first)
{
    char payload[64];
    open_works(2);
    works_slots[1].shut = true;
    send_work("{\"n\":1,\"lane\":\"a\"}");
    works_wait_begun(1);
    for (int i = 0; i < 3; i++)
        send_work("{\"n\":1,\"lane\":\"b\"}");
    works_wait_begun(1);
    send_work("{\"n\":1}");
    for (int i = 0; i < 2 * SURVEY_LANES; i++) {
        snprintf(payload, sizeof payload, "{\"n\":1,\"lane\":\"many%d\"}", i);
        send_work(payload);
    }
    const cJSON *lanes = rig_member(stats(""), "lanes");
    ck_assert_int_eq(cJSON_GetArraySize(lanes), SURVEY_LANES);
    ck_assert_str_eq(rig_member(lanes->child, "name")->valuestring, "b");
    ck_assert_str_eq(rig_member(lanes->child, "module")->valuestring, "works");
    ck_assert_double_eq(number(lanes->child, "running"), 1);
    ck_assert_double_eq(number(lanes->child, "waiting"), 2);
    works_finish(&rig);
    ck_assert_int_eq(cJSON_GetArraySize(rig_member(stats(""), "lanes")), 0);
    works_close(&rig);
}
END_TEST

static const char *lane_piece;
static sem_t lane_go;

static rpc_status start_in_lane(rpc_call *call, void *state, const void *params, void *result)
{
    char lane[2 * TASK_LANE_NAME + 1];
    (void)state, (void)params, (void)result;
    for (size_t i = 0; i + 2 < sizeof lane; i += 2)
        memcpy(lane + i, lane_piece, 3);
    return rpc_start(call, lane, call);
}

static void wait_for_go(rpc_job *job, void *data)
{
    (void)job, (void)data;
    sem_wait(&lane_go);
}

/* Names are cut between characters, and what is no UTF-8 is shown as log lines show it. */
START_TEST(names_of_lanes)
{
    static const char *const pieces[] = {"\xC3\xA4", "\xC3x"};
    static const char *const shown_names[] = {"\xC3\xA4\xC3\xA4", "\\xC3x\\xC3x"};
    sem_init(&lane_go, 0, 0);
    lane_piece = pieces[_i];
    works_hooks = (struct works_hooks){.run = start_in_lane, .work = wait_for_go, .done = rig_end};
    open_works(1);
    works_call(&rig, "act", 1);
    const char *name = rig_member(rig_member(stats(""), "lanes")->child, "name")->valuestring;
    ck_assert_int_eq(strncmp(name, shown_names[_i], strlen(shown_names[_i])), 0);
    ck_assert_uint_ge(strlen(name), TASK_LANE_NAME - 4);
    ck_assert_uint_lt(strlen(name), TASK_LANE_NAME);
    sem_post(&lane_go);
    works_close(&rig);
}
END_TEST

/* ---- Documents ---- */

static size_t documents; /* that were published */

/* Ticks the engine an interval later, and counts the documents that it publishes. */
static void pass_interval(void)
{
    fake_host_forget(&rig.host);
    works_pass(&rig, INTERVAL);
    documents = 0;
    for (size_t i = 0; i < rig.host.events.count && i < FAKE_KEPT; i++)
        documents += strncmp(rig.host.events.kept[i].topic, "$SYS/broker/rpc/rpc/method/", 27) == 0;
}

/* The document of a method that was published last. */
static const cJSON *document_of(const char *method)
{
    char topic[256];
    snprintf(topic, sizeof topic, "$SYS/broker/rpc/rpc/method/%s", method);
    for (size_t i = 0; i < rig.host.events.count; i++) {
        const struct fake_message *event = &rig.host.events.kept[i];
        if (strcmp(event->topic, topic) != 0)
            continue;
        ck_assert(event->retain && event->subscribed && event->qos == 0);
        ck_assert_str_eq(event->content_type, "application/json");
        cJSON_Delete(shown);
        return shown = cJSON_ParseWithLength(event->payload, event->size);
    }
    ck_abort_msg("no document of %s", method);
    return NULL;
}

START_TEST(documents_of_methods)
{
    open_lab();
    rig_tell(&rig, "act", "");
    rig_tell(&rig, "count", "");
    pass_interval();
    ck_assert_uint_eq(documents, 2);
    const cJSON *document = document_of("act");
    ck_assert_double_eq(number(document, "calls"), 1);
    ck_assert_str_eq(rig_member(rig_member(document, "last_error"), "msg")->valuestring, "because");
    ck_assert_ptr_null(cJSON_GetObjectItemCaseSensitive(document, "method"));
    pass_interval();
    ck_assert_uint_eq(documents, 0);
    rig_tell(&rig, "count", "");
    rig_tell(&rig, "count", "");
    pass_interval();
    ck_assert_uint_eq(documents, 1);
    ck_assert_double_eq(number(document_of("count"), "calls"), 3);
    rig_close(&rig);
}
END_TEST

/* A document that could not be published is published later. */
START_TEST(documents_are_tried_again)
{
    bool *const failures[] = {&rig.host.drop, &rig.host.no_memory};
    open_lab();
    rig_tell(&rig, "count", "");
    *failures[_i] = true;
    pass_interval();
    ck_assert_uint_eq(documents, 0);
    *failures[_i] = false;
    pass_interval();
    ck_assert_uint_eq(documents, 1);
    rig_close(&rig);
}
END_TEST

START_TEST(documents_can_be_off)
{
    rig.options.sys_interval = 0;
    open_works(1);
    works_begin(&rig, "work", 1);
    pass_interval();
    ck_assert_uint_eq(documents, 0);
    works_close(&rig);
}
END_TEST

static uint64_t now_and(uint64_t milliseconds)
{
    return rig.host.monotonic + milliseconds * (RIG_SECOND / 1000);
}

/* What is open is published when it changes, without a call that ends; the engine wakes for it as long as it
 * can change by itself, and not else. */
START_TEST(open_calls_are_news)
{
    rig.options.timeout = 24 * 3600 * 1000;
    open_works(1);
    pass_interval();
    ck_assert_uint_eq(engine_due(rig.engine), UINT64_MAX);
    works_call(&rig, "wait", 4);
    ck_assert_uint_eq(engine_due(rig.engine), now_and(INTERVAL));
    pass_interval();
    ck_assert_uint_eq(documents, 1);
    ck_assert_double_eq(number(document_of("wait"), "calls"), 0);
    ck_assert_double_eq(number(document_of("wait"), "waiting"), 1);
    ck_assert_uint_gt(engine_due(rig.engine), now_and(INTERVAL));
    works_begin(&rig, "work", 1);
    works_call(&rig, "work", 2);
    pass_interval();
    ck_assert_double_eq(number(document_of("work"), "waiting"), 1);
    ck_assert_uint_eq(engine_due(rig.engine), now_and(INTERVAL)); /* one that waits may begin */
    works_slots[2].shut = true;
    works_let_go(&rig, 1);
    works_wait_begun(2);
    pass_interval();
    ck_assert_double_eq(number(document_of("work"), "running"), 1);
    ck_assert_double_eq(number(document_of("work"), "waiting"), 0);
    ck_assert_uint_gt(engine_due(rig.engine), now_and(INTERVAL));
    pass_interval();
    ck_assert_uint_eq(documents, 0);
    works_finish(&rig);
    pass_interval();
    ck_assert_double_eq(number(document_of("work"), "running"), 0);
    ck_assert_double_eq(number(document_of("wait"), "waiting"), 0);
    works_close(&rig);
}
END_TEST

enum { MANY = 250 };

/* The documents of many methods leave in several rounds of the broker's loop, each one once, also if calls
 * are made meanwhile. */
START_TEST(many_documents)
{
    static char names[MANY][8];
    static rpc_method methods[MANY];
    const rpc_module many = {.name = "many", .methods = RPC_TABLE(methods)};
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "m%d", i);
        methods[i] = (rpc_method){.name = names[i], .run = rig_do_nothing};
    }
    rig_start(&rig);
    rig_add(&rig, &many, NULL);
    engine_tick(rig.engine);
    for (int i = 0; i < MANY; i++)
        rig_tell(&rig, names[i], "");
    size_t rounds = 0, published = 0;
    rig.host.monotonic += INTERVAL * (RIG_SECOND / 1000);
    do {
        fake_host_forget(&rig.host);
        rig.host.monotonic += RIG_SECOND / 100;
        engine_tick(rig.engine);
        rig_tell(&rig, "m0", "");
        published += rig.host.events.count;
        rounds++;
    } while (engine_due(rig.engine) <= rig.host.monotonic + RIG_SECOND / 100);
    ck_assert_uint_eq(rounds, 3);
    ck_assert_uint_eq(published, MANY + 1); /* and the counter of calls */
    rig_close(&rig);
}
END_TEST

UNIT_MAIN("observe", open_rig, close_rig, {reports_of_methods, 0}, {one_method, 0},
          {families_and_the_engines_errors, 0}, {the_service, 0}, {an_unknown_broker_is_left_out, 0},
          {tables_have_their_limits, 0}, {gauges_of_modules, 0},
          {gauges_that_are_wrong, UNIT_ROWS(wrong_gauges)}, {running_and_waiting, 0},
          {work_that_nobody_waits_for, 0}, {lanes_with_most_work_come_first, 0}, {names_of_lanes, 2},
          {documents_of_methods, 0}, {documents_are_tried_again, 2}, {documents_can_be_off, 0},
          {open_calls_are_news, 0}, {many_documents, 0})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* rpc.health, its document below $SYS and rpc_trouble(): each problem is brought about, and passes. */
#include "lab.h"
#include "unit.h"
#include "works.h"

#include "base/instance.h"
#include "call/engine_parts.h"
#include "observe/observe.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#define TOPIC "$SYS/broker/rpc/rpc/health"
#define WELL "{\"ok\":true,\"problems\":[],\"config\":null}"

static struct rig rig;

static void start(void)
{
    rig_start(&rig);
    rig_add(&rig, &works, NULL);
    rig_add(&rig, &rpc_module_observe, NULL);
}

static void open_rig(void)
{
    works_init(&rig);
    rig.options.sys_interval = 3600000;
}

/* ---- Asking ---- */

static cJSON *health;

/* Asks rpc.health. Returns how many problems there are. */
static int ask(void)
{
    const struct fake_message *reply = rig_ask(&rig, "rpc.health", "");
    ck_assert_str_eq(reply->status, "ok");
    cJSON_Delete(health);
    health = cJSON_ParseWithLength(reply->payload, reply->size);
    const int count = cJSON_GetArraySize(cJSON_GetObjectItem(health, "problems"));
    ck_assert_int_eq(cJSON_IsTrue(cJSON_GetObjectItem(health, "ok")), count == 0);
    return count;
}

static void expect_problem(int place, const char *what, const char *text, double since)
{
    const cJSON *problem = cJSON_GetArrayItem(cJSON_GetObjectItem(health, "problems"), place);
    ck_assert_str_eq(cJSON_GetObjectItem(problem, "what")->valuestring, what);
    ck_assert_str_eq(cJSON_GetObjectItem(problem, "text")->valuestring, text);
    ck_assert_double_eq(cJSON_GetObjectItem(problem, "since")->valuedouble, since);
}

static void expect_only(const char *what, const char *text, double since)
{
    ck_assert_int_eq(ask(), 1);
    expect_problem(0, what, text, since);
}

static void expect_well(void)
{
    rig_expect(&rig, "rpc.health", "", "ok", WELL);
}

/* The monotonic clock and the wall clock go on together. */
static void pass(uint64_t milliseconds)
{
    rig.host.wall += (double)milliseconds / 1000;
    works_pass(&rig, milliseconds);
}

/* ---- The document ---- */

/* How often it was published since fake_host_forget(). */
static size_t count_published(void)
{
    size_t count = 0;
    ck_assert_uint_le(rig.host.events.count, FAKE_KEPT);
    for (size_t i = 0; i < rig.host.events.count; i++) {
        const struct fake_message *event = &rig.host.events.kept[i];
        if (strcmp(event->topic, TOPIC) != 0)
            continue;
        ck_assert(event->retain && event->subscribed && event->qos == 0);
        count++;
    }
    return count;
}

static const char *published_text(void)
{
    for (size_t i = rig.host.events.count; i-- > 0;) {
        if (strcmp(rig.host.events.kept[i].topic, TOPIC) == 0)
            return rig.host.events.kept[i].text;
    }
    return "";
}

START_TEST(it_is_published_at_the_start_and_when_it_changes)
{
    start();
    ck_assert_uint_le(engine_due(rig.engine), rig.host.monotonic);
    engine_tick(rig.engine);
    ck_assert_uint_eq(count_published(), 1);
    ck_assert_str_eq(published_text(), WELL);
    for (int i = 0; i < 100; i++)
        pass(1000);
    ck_assert_uint_eq(count_published(), 1);
    rpc_trouble(rig_instance(&rig), "database", "it is full");
    ck_assert_uint_le(engine_due(rig.engine), rig.host.monotonic + RIG_SECOND);
    pass(1000);
    ck_assert_uint_eq(count_published(), 2);
    ck_assert_ptr_nonnull(strstr(published_text(), "\"ok\":false"));
    ck_assert_ptr_nonnull(strstr(published_text(), "it is full"));
    for (int i = 0; i < 100; i++)
        pass(1000);
    ck_assert_uint_eq(count_published(), 2);
    rpc_trouble(rig_instance(&rig), "database", NULL);
    pass(1000);
    ck_assert_uint_eq(count_published(), 3);
    ck_assert_str_eq(published_text(), WELL);
    rig_close(&rig);
}
END_TEST

/* What comes and goes within a second is not published, and what changes often once a second at most. */
START_TEST(it_is_published_once_a_second_at_most)
{
    start();
    engine_tick(rig.engine);
    for (int i = 0; i < 10; i++) {
        rpc_trouble(rig_instance(&rig), "database", i % 2 ? NULL : "it is full");
        pass(90);
    }
    ck_assert_uint_eq(count_published(), 1);
    rpc_trouble(rig_instance(&rig), "database", "it is full");
    pass(200);
    ck_assert_uint_eq(count_published(), 2);
    rig_close(&rig);
}
END_TEST

/* An engine in which nothing happens needs no tick for its health, whether it is well or a module is in
 * trouble. */
START_TEST(an_idle_engine_sleeps)
{
    start();
    rig.options.sys_interval = 3600000;
    engine_tick(rig.engine);
    ck_assert_uint_ge(engine_due(rig.engine), 3600 * RIG_SECOND);
    rpc_trouble(rig_instance(&rig), "database", "it is full");
    pass(1000);
    ck_assert_uint_ge(engine_due(rig.engine), 3600 * RIG_SECOND);
    rpc_trouble(rig_instance(&rig), "other", NULL);
    ck_assert_uint_ge(engine_due(rig.engine), 3600 * RIG_SECOND);
    rig_close(&rig);
}
END_TEST

START_TEST(what_was_not_published_is_tried_again)
{
    start();
    rig.host.no_memory = _i == 0;
    rig.host.drop = _i == 1;
    engine_tick(rig.engine);
    ck_assert_uint_eq(count_published(), 0);
    rig.host.no_memory = rig.host.drop = false;
    ck_assert_uint_le(engine_due(rig.engine), rig.host.monotonic + RIG_SECOND);
    pass(1000);
    ck_assert_uint_eq(count_published(), 1);
    rig_close(&rig);
}
END_TEST

/* What does not fit is left out, but not that something is wrong. */
START_TEST(it_fits_into_the_smallest_reply)
{
    static const int32_t sizes[] = {64, 200, 131072};
    struct env_reload reload = {.file = "/etc/mosquitto/settings.conf", .read_at = 1, .ok = true};
    rig.options.max_reply = sizes[_i];
    start();
    engine_show_reload(rig.engine, &reload);
    engine_tick(rig.engine);
    ck_assert_uint_eq(count_published(), 1);
    rpc_trouble(rig_instance(&rig), "one", "a text of some length, which takes its place");
    rpc_trouble(rig_instance(&rig), "two", "a text of some length, which takes its place");
    pass(1000);
    ck_assert_uint_eq(count_published(), 2);
    ck_assert_ptr_nonnull(strstr(published_text(), "\"ok\":false"));
    ck_assert_int_eq(strstr(published_text(), "\"what\":\"one\"") != NULL, sizes[_i] >= 200);
    ck_assert_int_eq(strstr(published_text(), "\"what\":\"two\"") != NULL, sizes[_i] > 200);
    pass(5000);
    ck_assert_uint_eq(count_published(), 2);
    rig_close(&rig);
}
END_TEST

START_TEST(it_is_not_published_without_counters)
{
    rig.options.sys_interval = 0;
    start();
    rpc_trouble(rig_instance(&rig), "database", "it is full");
    for (int i = 0; i < 10; i++)
        pass(1000);
    ck_assert_uint_eq(rig.host.events.count, 0);
    ck_assert_uint_eq(engine_due(rig.engine), UINT64_MAX);
    ck_assert_int_eq(ask(), 1);
    rig_close(&rig);
}
END_TEST

/* ---- Troubles of modules ---- */

START_TEST(a_trouble_lasts_until_it_is_over)
{
    start();
    rpc_instance *instance = rig_instance(&rig);
    const double began = rig.host.wall;
    expect_well();
    rpc_trouble(instance, "database", "it is full");
    expect_only("database", "observe: it is full", began);
    pass(5000);
    rpc_trouble(instance, "database", "it is broken");
    expect_only("database", "observe: it is broken", began);
    rpc_trouble(instance, "network", "it is down");
    ck_assert_int_eq(ask(), 2);
    expect_problem(1, "network", "observe: it is down", began + 5);
    rpc_trouble(instance, "database", NULL);
    rpc_trouble(instance, "database", NULL);
    expect_only("network", "observe: it is down", began + 5);
    rpc_trouble(instance, "network", NULL);
    expect_well();
    rpc_trouble(instance, "database", "again");
    expect_only("database", "observe: again", began + 5);
    ck_assert_uint_eq(rig.host.line_count, 0);
    rig_close(&rig);
}
END_TEST

START_TEST(troubles_are_bounded)
{
    static const char *const wrong[] = {"",          "Database", "data base",
                                        "data/base", "d\u00e9",  "a23456789012345678901234567890123"};
    char name[8];
    start();
    rpc_instance *instance = rig_instance(&rig);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        fake_host_forget(&rig.host);
        rpc_trouble(instance, wrong[i], "text");
        ck_assert(fake_host_logged(&rig.host, "has a trouble that cannot be named so"));
    }
    expect_well();
    rpc_trouble(instance, "a2345678901234567890123456789012", "text");
    ck_assert_int_eq(ask(), 1);
    for (int i = 1; i < TROUBLES_MAX; i++) {
        snprintf(name, sizeof name, "t%d", i);
        rpc_trouble(instance, name, "text");
    }
    ck_assert_int_eq(ask(), TROUBLES_MAX);
    rpc_trouble(instance, "more", "text");
    ck_assert(fake_host_logged(&rig.host, "module observe has more than 4 troubles at once: more"));
    ck_assert_int_eq(ask(), TROUBLES_MAX);
    rpc_trouble(instance, "t1", NULL);
    rpc_trouble(instance, "more", "text");
    ck_assert_int_eq(ask(), TROUBLES_MAX);
    rig_close(&rig);
}
END_TEST

/* A text is cut where no character is, and what is no UTF-8 is made printable. */
START_TEST(texts_of_troubles)
{
    char text[2 * TROUBLE_TEXT] = "", expected[3 * TROUBLE_TEXT];
    start();
    for (size_t i = 0; i + 3 < sizeof text; i += 3)
        strcat(text, "\u20ac");
    rpc_trouble(rig_instance(&rig), "database", text);
    snprintf(expected, sizeof expected, "observe: %.*s", (TROUBLE_TEXT - 1) / 3 * 3, text);
    expect_only("database", expected, rig.host.wall);
    rpc_trouble(rig_instance(&rig), "database", "\xff\x01!");
    expect_only("database", "observe: \\xFF\\x01!", rig.host.wall);
    rpc_trouble(rig_instance(&rig), "database", "");
    expect_only("database", "observe: ", rig.host.wall);
    rig_close(&rig);
}
END_TEST

/* ---- The file of settings ---- */

/* What was read last is shown; that it failed is no problem, since the settings before are in force. */
START_TEST(the_config_file)
{
    struct env_reload reload = {.file = "/etc/r\xff.conf", .read_at = 12.5, .ok = true, .settings = 3};
    start();
    engine_tick(rig.engine);
    engine_show_reload(rig.engine, &reload);
    rig_expect(&rig, "rpc.health", "", "ok",
               "{\"ok\":true,\"problems\":[],\"config\":{\"file\":\"/etc/r\\\\xFF.conf\",\"read_at\":12.5,"
               "\"ok\":true,\"settings\":3}}");
    pass(1000);
    ck_assert_ptr_nonnull(strstr(published_text(), "\"settings\":3"));
    reload = (struct env_reload){.file = "f", .read_at = 13, .settings = 3, .why = "line 1: no"};
    rig_expect(&rig, "rpc.health", "", "ok",
               "{\"ok\":true,\"problems\":[],\"config\":{\"file\":\"f\",\"read_at\":13,\"ok\":false,"
               "\"settings\":3,\"error\":\"line 1: no\"}}");
    rig_close(&rig);
}
END_TEST

/* ---- The engine's own problems ---- */

START_TEST(work_that_runs_on)
{
    start();
    works_begin(&rig, "work.brief", 1);
    pass(500);
    const double answered = rig.host.wall;
    expect_well(); /* for a moment it may */
    pass(1100);
    expect_only("stuck_worker", "the work of work.brief runs on, though its caller got timeout", answered);
    works_let_go(&rig, 1);
    expect_well();
    rig_close(&rig);
}
END_TEST

/* That it has become stuck is published, though nothing else happens; and that it has come back. */
START_TEST(stuck_work_is_published)
{
    start();
    engine_tick(rig.engine);
    works_begin(&rig, "work.brief", 1);
    pass(300);
    for (int i = 0; count_published() < 2; i++) {
        ck_assert_int_lt(i, 10);
        ck_assert_uint_le(engine_due(rig.engine), rig.host.monotonic + RIG_SECOND);
        pass(1000);
    }
    ck_assert_ptr_nonnull(strstr(published_text(), "stuck_worker"));
    works_let_go(&rig, 1);
    for (int i = 0; count_published() < 3; i++) {
        ck_assert_int_lt(i, 10);
        pass(1000);
    }
    ck_assert_str_eq(published_text(), WELL);
    rig_close(&rig);
}
END_TEST

/* So many pieces of stuck work are named; the others are counted. */
START_TEST(much_work_that_runs_on)
{
    enum { WORKS = 19 };
    rig.options.workers = 32;
    start();
    for (int i = 1; i <= WORKS; i++)
        works_begin(&rig, "work.brief", i);
    pass(300);
    const double answered = rig.host.wall;
    pass(2000);
    ck_assert_int_eq(ask(), 17);
    expect_problem(16, "stuck_worker", "3 more pieces of work run on: see rpc.running", answered);
    for (int i = 1; i <= WORKS; i++)
        works_let_go(&rig, i);
    expect_well();
    rig_close(&rig);
}
END_TEST

/* A deadline that is looked at too late. */
START_TEST(ticks_that_are_late)
{
    start();
    engine_tick(rig.engine);
    works_call(&rig, "wait", 1);
    pass(10900); /* its deadline is after ten seconds */
    expect_well();
    works_call(&rig, "wait", 1);
    pass(11100);
    const double late = rig.host.wall;
    expect_only(
        "late_ticks",
        "deadlines and timers were more than a second late within the last minute: something keeps the "
        "broker's thread busy",
        late);
    pass(40000);
    ck_assert_int_eq(ask(), 1);
    works_call(&rig, "wait", 1);
    pass(12000);
    pass(59900);
    ck_assert_int_eq(ask(), 1);
    expect_problem(
        0, "late_ticks",
        "deadlines and timers were more than a second late within the last minute: something keeps "
        "the broker's thread busy",
        late);
    ck_assert_uint_le(engine_due(rig.engine), rig.host.monotonic + RIG_SECOND);
    pass(1000);
    expect_well();
    rig_close(&rig);
}
END_TEST

/* Neither the reply can be sent. */
START_TEST(what_is_dropped)
{
    start();
    engine_tick(rig.engine);
    rig.host.no_memory = _i == 0;
    rig.host.drop = _i == 1;
    rig_send(&rig, "rpc/call/rpc.health", "", RIG_REPLY, NULL);
    rig.host.no_memory = rig.host.drop = false;
    expect_only(
        "memory",
        "calls, replies or events were dropped within the last minute: no memory, or too many messages "
        "were on their way",
        rig.host.wall);
    pass(1000);
    ck_assert_ptr_nonnull(strstr(published_text(), "\"what\":\"memory\""));
    pass(58000);
    ck_assert_int_eq(ask(), 1);
    ck_assert_uint_le(engine_due(rig.engine), rig.host.monotonic + RIG_SECOND);
    pass(1000);
    ck_assert_str_eq(published_text(), WELL);
    expect_well();
    rig_close(&rig);
}
END_TEST

/* ---- Full tables ---- */

START_TEST(pending_slots)
{
    rig.options.max_pending = 10;
    start();
    engine_tick(rig.engine);
    for (int i = 1; i <= 8; i++)
        works_call(&rig, "wait", i);
    expect_well();
    works_call(&rig, "wait", 9);
    pass(1000);
    const double since = rig.host.wall; /* that is seen only now */
    pass(1000);
    expect_only("full_table", "pending_calls: 90 % of the entries that max_pending allows are in use", since);
    works_call(&rig, "tell", 9);
    expect_well();
    works_close(&rig);
}
END_TEST

START_TEST(pending_bytes)
{
    rig.options.max_pending_bytes = 65536;
    start();
    for (int i = 1; i < WORKS_SLOTS && rig.engine->slots.bytes < 65536 * 9 / 10; i++)
        works_call(&rig, "wait", i);
    ck_assert_uint_ge(rig.engine->slots.bytes, 65536 * 9 / 10);
    expect_only("full_table", "pending_calls: 90 % of the bytes that max_pending_bytes allows are in use",
                rig.host.wall);
    works_finish(&rig);
    rig_close(&rig);
}
END_TEST

/* Cached replies make room for others, and are no problem; calls that are open do not. */
START_TEST(cached_replies)
{
    char correlation[32];
    rig.options.duplicate_window = 60000;
    rig.options.duplicate_entries = 10;
    start();
    for (int i = 0; i < 20; i++) {
        snprintf(correlation, sizeof correlation, "correlation-%08d", i);
        works_send(&rig, "rpc/call/tell", "{\"n\":1}", "r", correlation);
    }
    ck_assert_uint_eq(rig.engine->dedup.duplicates.count, 10);
    expect_well();
    for (int i = 1; i <= 9; i++) {
        snprintf(correlation, sizeof correlation, "waits-%014d", i);
        char payload[32];
        snprintf(payload, sizeof payload, "{\"n\":%d}", i);
        works_send(&rig, "rpc/call/wait", payload, "r", correlation);
    }
    expect_only("full_table", "cached_replies: 90 % of the entries that duplicate_entries allows are in use",
                rig.host.wall);
    works_close(&rig);
}
END_TEST

static void never(rpc_instance *instance, void *state, void *data)
{
    (void)instance, (void)state, (void)data;
}

START_TEST(timers)
{
    enum { ALMOST = 180000 };
    start();
    for (int i = 1; i < ALMOST; i++)
        rpc_after(rig_instance(&rig), 86400000, never, NULL);
    expect_well();
    const rpc_timer last = rpc_after(rig_instance(&rig), 86400000, never, NULL);
    expect_only("full_table", "timers: 90 % of the entries that there is room for are in use", rig.host.wall);
    rpc_timer_cancel(rig_instance(&rig), last);
    expect_well();
    rig_close(&rig);
}
END_TEST

UNIT_MAIN("health", open_rig, NULL, {it_is_published_at_the_start_and_when_it_changes, 0},
          {it_is_published_once_a_second_at_most, 0}, {an_idle_engine_sleeps, 0},
          {what_was_not_published_is_tried_again, 2}, {it_fits_into_the_smallest_reply, 3},
          {it_is_not_published_without_counters, 0}, {a_trouble_lasts_until_it_is_over, 0},
          {troubles_are_bounded, 0}, {texts_of_troubles, 0}, {the_config_file, 0}, {work_that_runs_on, 0},
          {stuck_work_is_published, 0}, {much_work_that_runs_on, 0}, {ticks_that_are_late, 0},
          {what_is_dropped, 2}, {pending_slots, 0}, {pending_bytes, 0}, {cached_replies, 0}, {timers, 0})

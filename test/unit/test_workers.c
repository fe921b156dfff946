// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The module `workers`, and what others tell of workers. */
#include "far.h"

#include "call/engine_parts.h"
#include "call/remote_shapes.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

extern const rpc_module rpc_module_observe;

static struct rig rig;

static void open_rig(void)
{
    far_open(&rig);
}

static void close_rig(void)
{
    rig_close(&rig);
}

static struct far_worker attach(const char *name, const char *params)
{
    struct far_worker worker = far_make(name);
    far_attach(&rig, &worker, params);
    return worker;
}

static cJSON *parse(const struct fake_message *message)
{
    return cJSON_ParseWithLength(message->payload, message->size);
}

#define ADDS "\"methods\":[\"far.add\"]"

/* ---- Attaching ---- */

START_TEST(what_attaching_tells)
{
    struct far_worker worker = far_make("w.1-A_b");
    const struct fake_message *reply = far_ask(
        &rig, &worker, "rpc.attach",
        "{\"worker\":\"w.1-A_b\",\"version\":\"1.4\",\"window\":3,\"methods\":[\"far.add\",\"far.here\","
        "\"far.none\",\"far/{door}/open\",\"far/front/open\",\"far.add\"]}");
    ck_assert_str_eq(reply->text,
                     "{\"work\":\"rpc/work/w.1-A_b\",\"window\":3,\"max_payload\":65536,"
                     "\"max_reply\":131072,\"ignored\":[\"far.here\",\"far.none\",\"far/front/open\"]}");
    cJSON *seen = far_look(&rig, "w.1-A_b");
    char *text = cJSON_PrintUnformatted(seen);
    ck_assert_str_eq(
        text, "{\"id\":\"w.1-A_b\",\"client\":\"w.1-A_b\",\"address\":\"192.0.2.8\",\"user\":\"crew\","
              "\"version\":\"1.4\",\"methods\":[\"far.add\",\"far/{door}/open\"],\"window\":3,"
              "\"outstanding\":0,\"calls\":0,\"errors\":0,\"refused\":0,\"lost\":0,\"again\":0,\"unknown\":0,"
              "\"leaving\":false,\"since\":2000}");
    cJSON_free(text);
    cJSON_Delete(seen);
}
END_TEST

static const struct refusal {
    const char *user;
    int version;
    bool bridge, far_bridge;
    const char *payload, *status, *msg;
} refusals[] = {
    {NULL, 5, false, false, "{\"worker\":\"w\"}", "not_allowed",
     "an anonymous client is not in the option workers_users"},
    {"bob", 5, false, false, "{\"worker\":\"w\"}", "not_allowed",
     "user bob is not in the option workers_users"},
    {"cre", 5, false, false, "{\"worker\":\"w\"}", "not_allowed",
     "user cre is not in the option workers_users"},
    {"crew", 4, false, false, "{\"worker\":\"w\",\"request_id\":\"x\"}", "not_allowed",
     "a worker needs MQTT 5"},
    {"crew", 5, false, true, "{\"worker\":\"w\"}", "not_allowed",
     "a worker connects to this broker itself, and not over a bridge"},
    {"crew", 5, false, false, "{}", "invalid_params", "worker is required"},
    {"crew", 5, false, false, "{\"worker\":\"\"}", "invalid_params", NULL},
    {"crew", 5, false, false, "{\"worker\":\"a/b\"}", "invalid_params",
     "worker must be a level of [A-Za-z0-9_.-]+"},
    {"crew", 5, false, false, "{\"worker\":\"a+\"}", "invalid_params",
     "worker must be a level of [A-Za-z0-9_.-]+"},
    {"crew", 5, false, false, "{\"worker\":\"w\",\"window\":0}", "invalid_params", NULL},
    {"crew", 5, false, false, "{\"worker\":\"w\",\"window\":17}", "invalid_params", NULL},
    {"crew", 5, false, false,
     "{\"worker\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}", "invalid_params",
     NULL},
};

START_TEST(who_may_not_attach)
{
    const struct refusal *row = &refusals[_i];
    struct far_worker worker = far_make("w");
    worker.client.user = row->user;
    worker.client.version = row->version;
    worker.client.bridge = row->bridge;
    worker.client.far_bridge = row->far_bridge;
    rig.engine->env.options.bridge_response_topics = "#";
    rig.client = worker.client;
    rig_send(&rig, "rpc/call/rpc.attach", row->payload, row->version == 5 ? "w" : NULL, NULL);
    const char *text = rig_last(&rig.host.replies)->text;
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, row->status);
    if (row->msg)
        ck_assert_msg(strstr(text, row->msg), "%s", text);
    ck_assert_uint_eq(HASH_COUNT(rig.engine->remote->crew.workers), 0);
}
END_TEST

/* A level that no method may have is a worker's name like any other: worker_is_name() takes it, too. */
START_TEST(a_worker_may_have_any_level)
{
    const struct far_worker worker = attach("response", ADDS);
    far_call(&rig, "far.add", "{\"a\":1,\"b\":2}");
    far_answer(&rig, &worker, far_last(&rig), "ok", "{\"sum\":3}");
    far_expect(&rig, 1, "ok", "{\"sum\":3}");
}
END_TEST

START_TEST(one_name_one_worker)
{
    const struct far_worker worker = attach("w1", ADDS);
    struct far_worker other = far_make("w1");
    other.client.id = "another client";
    const struct fake_message *reply = far_ask(&rig, &other, "rpc.attach", "{\"worker\":\"w1\"}");
    ck_assert_str_eq(reply->status, "name_in_use");
    ck_assert_ptr_nonnull(strstr(reply->text, "client w1 is attached by this name"));
    reply = far_ask(&rig, &worker, "rpc.attach", "{\"worker\":\"w2\"}");
    ck_assert_str_eq(reply->status, "name_in_use");
    ck_assert_ptr_nonnull(strstr(reply->text, "this connection is attached as w1"));
    far_end(&rig, &worker);
    far_attach(&rig, &other, ADDS);
}
END_TEST

/* A worker that is attached anew keeps its calls, and offers what it says now. */
START_TEST(attaching_anew)
{
    struct far_worker worker = attach("w1", ADDS ",\"window\":1");
    far_call(&rig, "far.add", "{\"a\":1}");
    far_call(&rig, "far.read", "{\"a\":2}");
    far_attach(&rig, &worker, "\"methods\":[\"far.read\"],\"window\":2");
    ck_assert_uint_eq(far_count(&rig), 2);
    ck_assert_str_eq(far_last(&rig)->text, "{\"a\":2}");
    far_answer(&rig, &worker, far_sent(&rig, 0), "ok", "{\"sum\":1}");
    far_answer(&rig, &worker, far_sent(&rig, 1), "ok", "{\"sum\":2}");
    ck_assert_uint_eq(rig.host.replies.count, 2);
    far_ask(&rig, &worker, "rpc.detach", "{\"worker\":\"w1\"}");
    far_attach(&rig, &worker, ADDS);
    far_call(&rig, "far.add", "{\"a\":3}");
    ck_assert_uint_eq(far_count(&rig), 3);
    far_answer(&rig, &worker, far_last(&rig), "ok", "{\"sum\":2}");
}
END_TEST

/* The broker may tell the end of the former connection late, or never. */
START_TEST(a_worker_comes_back_on_another_connection)
{
    const struct far_worker former = attach("w1", "\"methods\":[\"far.add\",\"far.read\"]");
    far_call(&rig, "far.add", "{\"a\":1}");
    far_call(&rig, "far.read", "{\"a\":2}");
    struct far_worker worker = far_make("w1");
    far_attach(&rig, &worker, "\"methods\":[\"far.add\",\"far.read\"]");
    ck_assert_uint_eq(far_count(&rig), 3);
    ck_assert_ptr_eq(far_last(&rig)->connection, worker.client.connection);
    ck_assert_str_eq(far_last(&rig)->text, "{\"a\":2}");
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "outcome_unknown");
    far_end(&rig, &former); /* which is told late */
    far_answer(&rig, &worker, far_last(&rig), "ok", "{\"sum\":2}");
    far_expect(&rig, 2, "ok", "{\"sum\":2}");
}
END_TEST

/* What was counted of it outlasts a restart: which one keeps crashing is what operators look for. */
START_TEST(counts_outlast_a_worker)
{
    for (int i = 0; i < 3; i++) {
        const struct far_worker worker = attach("w1", "\"methods\":[\"far.add\",\"far.read\"]");
        cJSON *seen = far_look(&rig, "w1");
        ck_assert_int_eq(rig_member(seen, "unknown")->valueint, i);
        ck_assert_int_eq(rig_member(seen, "again")->valueint, 2 * i);
        cJSON_Delete(seen);
        far_call(&rig, "far.add", "{\"a\":1}");
        far_call(&rig, "far.read", "{\"a\":2}");
        far_call(&rig, "far.read", "{\"a\":3}");
        far_end(&rig, &worker);
        ck_assert_uint_eq(rig.host.replies.count, 1);
        const struct far_worker other = attach("w2", "\"methods\":[\"far.read\"]");
        for (size_t sent = far_count(&rig), job = sent - 2; job < sent; job++)
            far_answer(&rig, &other, far_sent(&rig, job), "ok", "{\"sum\":1}");
        far_end(&rig, &other);
        fake_host_forget(&rig.host);
    }
}
END_TEST

/* Names that never come back do not fill the memory. */
START_TEST(former_workers_are_bounded)
{
    struct far_worker worker = far_make("w");
    for (int i = 0; i < CREW_WORKERS_MAX + 10; i++) {
        char payload[64];
        snprintf(payload, sizeof payload, "{\"worker\":\"w%d\"}", i);
        ck_assert_str_eq(far_ask(&rig, &worker, "rpc.attach", payload)->status, "ok");
        far_end(&rig, &worker);
        fake_host_forget(&rig.host);
    }
    ck_assert_uint_eq(HASH_COUNT(rig.engine->remote->former), CREW_WORKERS_MAX);
}
END_TEST

/* What it has done ends with the connection: so a repetition of the very same message attaches again. */
START_TEST(attaching_is_never_a_duplicate)
{
    rig_close(&rig);
    far_init(&rig);
    rig.options.duplicate_window = 60000;
    far_start(&rig, 5000);
    struct far_worker worker = far_make("w1");
    for (int i = 0; i < 2; i++) {
        rig.client = worker.client;
        rig_send(&rig, "rpc/call/rpc.attach", "{\"worker\":\"w1\"," ADDS "}", "w", "0123456789abcdef");
        ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok");
        ck_assert_uint_eq(HASH_COUNT(rig.engine->remote->crew.workers), 1);
        far_end(&rig, &worker);
        ck_assert_uint_eq(HASH_COUNT(rig.engine->remote->crew.workers), 0);
    }
}
END_TEST

START_TEST(there_are_not_too_many)
{
    static char ids[CREW_WORKERS_MAX + 1][16];
    struct far_worker worker = far_make("w");
    for (int i = 0; i <= CREW_WORKERS_MAX; i++) {
        char payload[64];
        snprintf(ids[i], sizeof ids[i], "w%d", i);
        worker.client.id = worker.client.connection = ids[i];
        snprintf(payload, sizeof payload, "{\"worker\":\"w%d\"}", i);
        fake_host_forget(&rig.host);
        const struct fake_message *reply = far_ask(&rig, &worker, "rpc.attach", payload);
        ck_assert_str_eq(reply->status, i < CREW_WORKERS_MAX ? "ok" : "overloaded");
    }
    fake_host_forget(&rig.host);
    far_call(&rig, "rpc.workers", "");
    cJSON *all = parse(rig_last(&rig.host.replies));
    ck_assert_int_eq(rig_member(all, "count")->valueint, CREW_WORKERS_MAX);
    ck_assert_int_eq(cJSON_GetArraySize(rig_member(all, "workers")), 50);
    cJSON_Delete(all);
    far_call(&rig, "rpc.workers", "{\"limit\":1000}");
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok"); /* as many as fit into max_reply */
}
END_TEST

/* What is one too many for the crew replaces nothing of what the worker has declared and offered before. */
START_TEST(no_room_changes_nothing)
{
    static char params[30000];
    const char *all =
        "\"methods\":[\"far.add\",\"far.read\",\"far.keep\",\"far.lane\",\"far.steps\",\"far.bytes\","
        "\"far.value\",\"far.spill\"]";
    const struct far_worker worker =
        attach("w1", "\"methods\":[\"far.read\"],\"window\":3,\"declares\":[{\"name\":\"mine\"}]");
    size_t used =
        (size_t)snprintf(params, sizeof params, "{\"worker\":\"w1\",\"window\":5,%s,\"declares\":[", all);
    for (int i = 0; i < 995; i++)
        used +=
            (size_t)snprintf(params + used, sizeof params - used, "%s{\"name\":\"d%d\"}", i ? "," : "", i);
    snprintf(params + used, sizeof params - used, "]}");
    ck_assert_str_eq(far_ask(&rig, &worker, "rpc.attach", params)->status, "overloaded");
    far_call(&rig, "mine", "{}");
    far_call(&rig, "far.read", "{\"a\":1}");
    ck_assert_uint_eq(far_count(&rig), 2);
    far_call(&rig, "d0", "");
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "method_not_found");
    cJSON *seen = far_look(&rig, "w1");
    ck_assert_int_eq(rig_member(seen, "window")->valueint, 3);
    ck_assert_int_eq(cJSON_GetArraySize(rig_member(seen, "methods")), 2);
    cJSON_Delete(seen);
}
END_TEST

/* A list that names a method twice, or one that it also declares, is no longer for that. */
START_TEST(names_that_come_twice)
{
    const struct far_worker worker = attach("w1", "\"declares\":[{\"name\":\"mine\"}]");
    const struct fake_message *reply =
        far_ask(&rig, &worker, "rpc.attach",
                "{\"worker\":\"w1\",\"methods\":[\"mine\",\"new\",\"far.add\",\"far.add\",\"mine\"],"
                "\"declares\":[{\"name\":\"mine\"},{\"name\":\"new\"}]}");
    ck_assert_ptr_nonnull(strstr(reply->text, "\"ignored\":[]"));
    cJSON *seen = far_look(&rig, "w1");
    ck_assert_int_eq(cJSON_GetArraySize(rig_member(seen, "methods")), 3);
    cJSON_Delete(seen);
}
END_TEST

/* ---- Methods that move ---- */

static void place(const char *placements)
{
    struct engine_options options = rig.options;
    options.placements = placements;
    engine_reload(rig.engine, &options);
}

static bool is_unoffered(const char *name)
{
    return registry_find_exactly(&rig.engine->registry, name, strlen(name))->remote->unoffered != 0;
}

/* A worker that has named the method when it was the plugin's gets its calls when it is not any more, and
 * need not attach again. Until then the method gives it no rights. */
START_TEST(a_reload_moves_methods)
{
    const struct far_worker worker = attach("w1", "\"methods\":[\"far.here\",\"rpc.list\"]");
    char topic[96];
    snprintf(topic, sizeof topic, "%s/event/far.told", worker.topic);
    ck_assert_int_eq(far_publish(&rig, &worker, topic, NULL, 0, NULL, "{\"step\":1}"), ENGINE_REFUSE);
    cJSON *seen = far_look(&rig, "w1");
    ck_assert_int_eq(cJSON_GetArraySize(rig_member(seen, "methods")), 0);
    cJSON_Delete(seen);
    far_call(&rig, "far.here", "");
    ck_assert_uint_eq(far_count(&rig), 0);
    for (int i = 0; i < 2; i++) {
        place("far.here remote");
        ck_assert(!is_unoffered("far.here"));
        ck_assert(is_unoffered("far.add"));
        far_call(&rig, "far.here", "");
        ck_assert_uint_eq(far_count(&rig), (size_t)i + 1);
        far_answer(&rig, &worker, far_last(&rig), "ok", "");
        ck_assert_int_eq(far_publish(&rig, &worker, topic, NULL, 0, NULL, "{\"step\":1}"), ENGINE_CONSUME);
        seen = far_look(&rig, "w1");
        ck_assert_str_eq(rig_member(seen, "methods")->child->valuestring, "far.here");
        cJSON_Delete(seen);
        place("");
        far_call(&rig, "far.here", "");
        ck_assert_uint_eq(far_count(&rig), (size_t)i + 1);
    }
}
END_TEST

/* ---- Detaching ---- */

START_TEST(who_may_detach)
{
    const struct far_worker worker = attach("w1", ADDS);
    struct far_worker other = far_make("x");
    ck_assert_str_eq(far_ask(&rig, &other, "rpc.detach", "{\"worker\":\"w2\"}")->status, "unknown_worker");
    other.client.user = "bob";
    ck_assert_str_eq(far_ask(&rig, &other, "rpc.detach", "{\"worker\":\"w1\"}")->status, "not_allowed");
    ck_assert_str_eq(far_ask(&rig, &other, "rpc.detach", "{\"worker\":\"w2\"}")->status, "not_allowed");
    other.client.user = "crew";
    ck_assert_str_eq(far_ask(&rig, &other, "rpc.detach", "{\"worker\":\"w1\"}")->status, "ok");
    cJSON *seen = far_look(&rig, "w1");
    ck_assert(cJSON_IsTrue(rig_member(seen, "leaving")));
    cJSON_Delete(seen);
    far_end(&rig, &worker);
    ck_assert_ptr_null(far_look(&rig, "w1"));
}
END_TEST

/* ---- What others tell ---- */

START_TEST(times_of_a_worker)
{
    const struct far_worker worker = attach("w1", ADDS);
    for (int i = 0; i < 10; i++) {
        far_call(&rig, "far.add", "{\"a\":1}");
        rig.host.monotonic += 40000000;
        far_answer(&rig, &worker, far_last(&rig), "ok", "{\"sum\":1}");
    }
    cJSON *seen = far_look(&rig, "w1");
    ck_assert_int_eq(rig_member(seen, "calls")->valueint, 10);
    const double p50 = rig_member(seen, "p50_s")->valuedouble, p99 = rig_member(seen, "p99_s")->valuedouble;
    ck_assert(p50 > 0.025 && p50 <= p99 && p99 <= 0.04);
    cJSON_Delete(seen);
}
END_TEST

START_TEST(open_calls_say_where_they_are)
{
    rig_add(&rig, &rpc_module_observe, NULL);
    const struct far_worker worker = attach("w1", ADDS ",\"window\":1");
    far_call(&rig, "far.add", "{\"a\":1}");
    far_call(&rig, "far.add", "{\"a\":2}");
    const struct fake_message *reply = rig_ask(&rig, "rpc.running", "");
    ck_assert_ptr_nonnull(strstr(reply->text, "\"state\":\"remote\""));
    ck_assert_ptr_nonnull(strstr(reply->text, "\"worker\":\"w1\""));
    ck_assert_ptr_nonnull(strstr(reply->text, "\"state\":\"waiting\""));
    cJSON *stats = parse(rig_ask(&rig, "rpc.stats", ""));
    const cJSON *table, *pool = rig_member(stats, "pool");
    int found = 0;
    cJSON_ArrayForEach(table, rig_member(stats, "tables"))
    {
        const char *name = rig_member(table, "name")->valuestring;
        const int entries = rig_member(table, "entries")->valueint;
        found += strcmp(name, "workers") == 0 && entries == 1;
        found += strcmp(name, "worker_calls") == 0 && entries == 2;
        found += strcmp(name, "pending_calls") == 0 && entries == 1;
    }
    ck_assert_int_eq(found, 3);
    ck_assert_int_eq(rig_member(pool, "busy")->valueint, 0);
    ck_assert_int_eq(rig_member(pool, "waiting")->valueint, 0);
    ck_assert_int_eq(rig_member(rig_member(stats, "counters"), "dispatched")->valueint, 1);
    cJSON_Delete(stats);
    far_end(&rig, &worker);
    far_pass(&rig, 5000);
}
END_TEST

static bool is_told(const char *what)
{
    return strstr(rig_ask(&rig, "rpc.health", "")->text, what);
}

START_TEST(health)
{
    rig_add(&rig, &rpc_module_observe, NULL);
    ck_assert(!is_told("no_worker"));
    far_pass(&rig, 5001);
    ck_assert(is_told("{\"what\":\"no_worker\",\"text\":\"no worker offers far.add\",\"since\":2000}"));
    ck_assert(!is_told("far.spill") && !is_told("far.here"));
    struct far_worker worker = attach("w1", ADDS ",\"window\":1");
    ck_assert(!is_told("far.add") && is_told("far.read"));
    far_attach(&rig, &worker,
               "\"window\":1,\"methods\":[\"far.add\",\"far.read\",\"far.keep\",\"far.lane\","
               "\"far/{door}/open\",\"far.steps\",\"far.bytes\",\"far.value\"]");
    ck_assert(is_told("{\"ok\":true"));
    far_call(&rig, "far.add", "{\"a\":1}");
    far_call(&rig, "far.add", "{\"a\":2}");
    far_pass(&rig, 1000);
    ck_assert(!is_told("busy_workers"));
    far_pass(&rig, 1);
    ck_assert(is_told("busy_workers"));
    fake_host_forget(&rig.host);
    rig.engine->env.options.methods_off = "far.read";
    engine_reload(rig.engine, &rig.engine->env.options);
    far_end(&rig, &worker);
    far_pass(&rig, 5001);
    ck_assert(is_told("no worker offers far.add") && !is_told("far.read"));
}
END_TEST

UNIT_MAIN("workers", open_rig, close_rig, {what_attaching_tells, 0},
          {who_may_not_attach, UNIT_ROWS(refusals)}, {a_worker_may_have_any_level, 0},
          {one_name_one_worker, 0}, {attaching_anew, 0}, {a_worker_comes_back_on_another_connection, 0},
          {counts_outlast_a_worker, 0}, {former_workers_are_bounded, 0}, {attaching_is_never_a_duplicate, 0},
          {there_are_not_too_many, 0}, {no_room_changes_nothing, 0}, {names_that_come_twice, 0},
          {a_reload_moves_methods, 0}, {who_may_detach, 0}, {times_of_a_worker, 0},
          {open_calls_say_where_they_are, 0}, {health, 0})

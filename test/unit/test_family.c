// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Method families: which calls reach them, in every form that a call has; what their handlers read; which
 * tables are refused. The module is test/modules/post.c.
 */
#include "rig.h"
#include "unit.h"

#include "call/registry.h"
#include "call/topic.h"

#include <stdio.h>
#include <string.h>

extern const rpc_module rpc_module_post;
extern const rpc_module rpc_module_rpc;

struct post_options {
    const char *root;
};

static const struct post_options no_inboxes = {"none"};
static struct rig rig;
static char why[ENGINE_WHY];

static void open_post(void)
{
    rig_init(&rig);
    rig.options.jsonrpc_methods = "box/{box}/{action} later/{box}";
    rig.options.duplicate_window = 60 * RIG_SECOND;
    rig.impatient = true;
    rig_start(&rig);
    rig_add(&rig, &rpc_module_post, &no_inboxes);
    rig_open_methods(&rig);
}

static void close_post(void)
{
    rig_close(&rig);
}

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define FAMILY(box, action) \
    "{\"method\":\"box/{box}/{action}\",\"box\":\"" box "\",\"action\":\"" action "\"}"

static const struct call {
    const char *method, *status, *text;
} calls[] = {
    {"box/a/open", "ok", FAMILY("a", "open")},
    {"box/{box}/{action}", "ok", FAMILY("{box}", "{action}")},
    {"box/1/op.en-2 $", "ok", FAMILY("1", "op.en-2 $")},
    {"box/b\xC3\xA4r/open", "ok", FAMILY("b\xC3\xA4r", "open")},
    {"box/" X64 X64 "/" X64 X64, "ok", FAMILY(X64 X64, X64 X64)},
    {"box/main/open", "ok", "{\"method\":\"box/main/open\"}"},
    {"box/main/close", "ok", FAMILY("main", "close")},
    {"box/a/shut", "box_shut",
     "{\"method\":\"box/a/shut\",\"err\":\"box_shut\",\"msg\":\"the box a is shut\"}"},
    {"cellar/box/7/size", "ok", "{\"bytes\":2,\"box\":\"7\"}"},
    {"later/a", "ok", "{\"method\":\"later/{box}\",\"box\":\"a\"}"},
    {"box/a", "method_not_found",
     "{\"method\":\"box/a\",\"err\":\"method_not_found\",\"msg\":\"there is no method box/a\"}"},
    {"box/a/", "method_not_found",
     "{\"method\":\"box/a/\",\"err\":\"method_not_found\",\"msg\":\"there is no method box/a/\"}"},
    {"box//open", "method_not_found",
     "{\"method\":\"box//open\",\"err\":\"method_not_found\",\"msg\":\"there is no method box//open\"}"},
    {"box/a/open/now", "method_not_found",
     "{\"method\":\"box/a/open/now\",\"err\":\"method_not_found\",\"msg\":\"there is no method "
     "box/a/open/now\"}"},
    {"cellar/bax/7/size", "method_not_found",
     "{\"method\":\"cellar/bax/7/size\",\"err\":\"method_not_found\",\"msg\":\"there is no method "
     "cellar/bax/7/size\"}"},
    {"box/a\x01/open", "method_not_found",
     "{\"method\":\"box/a\\\\x01/open\",\"err\":\"method_not_found\",\"msg\":\"there is no method "
     "box/a\\\\x01/open, did you mean box/main/open?\"}"},
};

START_TEST(plain_calls)
{
    const struct call *row = &calls[_i];
    rig_expect(&rig, row->method, "{}", row->status, row->text);
}
END_TEST

START_TEST(a_level_that_is_too_long)
{
    rig_ask(&rig, "box/" X64 X64 "x/open", "");
    ck_assert_str_eq(rig.host.replies.kept[0].status, "method_not_found");
}
END_TEST

/* A topic of so many levels that looking each of them up would take long is looked up no further than a name
   can be long. */
START_TEST(a_topic_of_many_levels)
{
    static char topic[TOPIC_MAX];
    size_t used = (size_t)snprintf(topic, sizeof topic, "rpc/call/");
    while (used < sizeof topic - 3)
        used += (size_t)snprintf(topic + used, sizeof topic - used, "a/");
    topic[used] = '\0';
    for (int i = 0; i < 30; i++)
        rig_send(&rig, topic, "", RIG_REPLY, NULL);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "method_not_found");
}
END_TEST

static void expect_reply(const char *topic, const char *payload, const char *reply_topic, const char *text)
{
    const size_t seen = rig.host.replies.count;
    ck_assert_int_eq(rig_publish(&rig, topic, payload), ENGINE_CONSUME);
    rig_wait(&rig, seen + 1);
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, reply_topic);
    ck_assert_str_eq(rig_last(&rig.host.replies)->text, text);
}

START_TEST(replies_by_request_id)
{
    expect_reply("rpc/call/box/a/open", "{\"request_id\":\"7\"}", "rpc/call/box/a/open/response/7",
                 "{\"request_id\":\"7\",\"result\":" FAMILY("a", "open") "}");
    expect_reply("rpc/call/later/a", "{\"request_id\":\"8\"}", "rpc/call/later/a/response/8",
                 "{\"request_id\":\"8\",\"result\":{\"method\":\"later/{box}\",\"box\":\"a\"}}");
}
END_TEST

START_TEST(requests)
{
    expect_reply("rpc/call/box/a/open/request",
                 "{\"jsonrpc\":\"2.0\",\"method\":\"box/a/open\",\"id\":\"t:1\"}",
                 "rpc/call/box/a/open/response/t",
                 "{\"jsonrpc\":\"2.0\",\"id\":\"t:1\",\"result\":" FAMILY("a", "open") "}");
    expect_reply("rpc/call/box/a/open/request",
                 "{\"jsonrpc\":\"2.0\",\"method\":\"rpc/call/box/a/open\",\"id\":\"t:2\"}",
                 "rpc/call/box/a/open/response/t",
                 "{\"jsonrpc\":\"2.0\",\"id\":\"t:2\",\"result\":" FAMILY("a", "open") "}");
    expect_reply("rpc/call/box/" X64 X64 "/open/request",
                 "{\"jsonrpc\":\"2.0\",\"method\":\"box/" X64 X64 "/open\",\"id\":\"t:3\"}",
                 "rpc/call/box/" X64 X64 "/open/response/t",
                 "{\"jsonrpc\":\"2.0\",\"id\":\"t:3\",\"result\":" FAMILY(X64 X64, "open") "}");
    expect_reply(
        "rpc/call/box/a/open/request", "{\"jsonrpc\":\"2.0\",\"method\":\"box/b/open\",\"id\":\"t:4\"}",
        "rpc/call/box/a/open/response/t",
        "{\"jsonrpc\":\"2.0\",\"id\":\"t:4\",\"error\":{\"code\":-32600,\"message\":\"the request's "
        "method is not the one that the topic names\",\"data\":{\"method\":\"box/a/open\",\"err\":"
        "\"invalid_request\",\"msg\":\"the request's method is not the one that the topic names\"}}}");
}
END_TEST

START_TEST(batches)
{
    rig_send(&rig, "rpc/batch/box/a/open", "[{},1]", RIG_REPLY, NULL);
    ck_assert_str_eq(
        rig_last(&rig.host.replies)->text,
        "[{\"result\":" FAMILY(
            "a", "open") "},{\"error\":{\"method\":\"box/a/open\",\"err\":"
                         "\"invalid_params\",\"msg\":\"the parameters must be a JSON object\"}}]");
    rig_send(&rig, "rpc/batch/later/b", "[{},{}]", RIG_REPLY, NULL);
    rig_wait(&rig, 2);
    ck_assert_str_eq(
        rig_last(&rig.host.replies)->text,
        "[{\"result\":{\"method\":\"later/{box}\",\"box\":\"b\"}},{\"result\":{\"method\":\"later/"
        "{box}\",\"box\":\"b\"}}]");
}
END_TEST

#define REQUEST(id, method) "{\"jsonrpc\":\"2.0\",\"method\":\"" method "\",\"id\":" id "}"
#define RESULT(id, result) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":" result "}"

START_TEST(the_endpoint)
{
    rig_send(&rig, "rpc/jsonrpc", "[" REQUEST("1", "later/a") "," REQUEST("2", "box/b/open") "]", RIG_REPLY,
             NULL);
    rig_wait(&rig, 1);
    ck_assert_str_eq(rig_last(&rig.host.replies)->text,
                     "[" RESULT("1", "{\"method\":\"later/{box}\",\"box\":\"a\"}") "," RESULT(
                         "2", FAMILY("b", "open")) "]");
    rig_send(&rig, "rpc/jsonrpc", REQUEST("3", "box/main/open"), RIG_REPLY, NULL);
    ck_assert_ptr_nonnull(strstr(rig_last(&rig.host.replies)->text, "-32601"));
    rig_send(&rig, "rpc/jsonrpc", REQUEST("4", "cellar/box/7/size"), RIG_REPLY, NULL);
    ck_assert_ptr_nonnull(strstr(rig_last(&rig.host.replies)->text, "-32601"));
}
END_TEST

/* The topic is a part of what a call is told from others by. */
START_TEST(duplicates)
{
    rig_send(&rig, "rpc/call/box/a/open", "{}", RIG_REPLY, "0123456789abcdef");
    rig_send(&rig, "rpc/call/box/a/open", "{}", RIG_REPLY, "0123456789abcdef");
    ck_assert_uint_eq(engine_counters(rig.engine)->duplicates, 1);
    ck_assert_uint_eq(engine_counters(rig.engine)->calls, 1);
    rig_send(&rig, "rpc/call/box/b/open", "{}", RIG_REPLY, "0123456789abcdef");
    ck_assert_uint_eq(engine_counters(rig.engine)->calls, 2);
    ck_assert_str_eq(rig_last(&rig.host.replies)->text, FAMILY("b", "open"));
}
END_TEST

/* A call that is pending when its message has gone, with all memory that the message had. */
START_TEST(pending_calls_keep_their_names)
{
    char topic[] = "rpc/call/later/a";
    char payload[] = "{}";
    rig_send(&rig, topic, payload, RIG_REPLY, NULL);
    memset(topic, 'x', sizeof topic - 1);
    rig_wait(&rig, 1);
    ck_assert_str_eq(rig_last(&rig.host.replies)->text, "{\"method\":\"later/{box}\",\"box\":\"a\"}");
}
END_TEST

START_TEST(logs_are_printable)
{
    rig.options.response_topic_filter = "#";
    rig_send(&rig, "rpc/call/box/\xC3\xA4/open", "{}", "a/+", NULL);
    ck_assert(fake_host_logged(&rig.host,
                               "client tester called box/\\xC3\\xA4/open: invalid_request: the call has a"));
}
END_TEST

/* ---- Discovery ---- */

START_TEST(discovery)
{
    rig_add(&rig, &rpc_module_rpc, NULL);
    const struct fake_message *reply = rig_ask(&rig, "rpc.describe", "{\"method\":\"box/a/open\"}");
    ck_assert_ptr_nonnull(strstr(reply->text, "\"name\":\"box/{box}/{action}\""));
    ck_assert_ptr_nonnull(strstr(
        reply->text, "\"x-mqtt\":{\"topic\":\"rpc/call/box/{box}/{action}\",\"batchTopic\":\"rpc/batch/"
                     "box/{box}/{action}\",\"jsonrpcTopic\":\"rpc/jsonrpc\",\"levels\":[\"box\","
                     "\"action\"],\"payload\":\"object\",\"maxQos\":2,\"readOnly\":false,"
                     "\"idempotent\":true}"));
    reply = rig_ask(&rig, "rpc.describe", "{\"method\":\"later/{box}\"}");
    ck_assert_ptr_nonnull(strstr(reply->text, "\"readOnly\":true,\"idempotent\":true"));
    reply = rig_ask(&rig, "rpc.describe", "{\"method\":\"box/main/open\"}");
    ck_assert_ptr_nonnull(strstr(reply->text, "\"readOnly\":false,\"idempotent\":false"));
    ck_assert_ptr_null(strstr(reply->text, "levels"));
}
END_TEST

/* ---- Tables ---- */

static rpc_status run(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params, (void)result;
    return RPC_OK;
}

#define BAD_FAMILY                                                                                      \
    "a name has levels of [A-Za-z0-9_.-]+, none of them \"response\" or \"request\", and at most 8 of " \
    "{[A-Za-z0-9_]+}, each a different one, and at most 128 bytes"

static const struct wrong {
    const char *one, *two; /* two methods of a module */
    const char *why;
} wrong[] = {
    {"f", "a/{b", "module m: method a/{b: " BAD_FAMILY},
    {"f", "a}", "module m: method a}: " BAD_FAMILY},
    {"f", "a/{b}/{b}", "module m: method a/{b}/{b}: " BAD_FAMILY},
    {"f", "a/{b}/request", "module m: method a/{b}/request: " BAD_FAMILY},
    {"f", "{a}/" X64 X64, "module m: method {a}/" X64 X64 ": " BAD_FAMILY},
    {"a/{b}", "a/{b}", "module m: method a/{b}: declared twice"},
    {"a/{b}", "a/{c}", "module m: method a/{c}: a call could also be one of a/{b}, of module m"},
    {"a/{b}/c/d/e", "{f}/g/{h}/d/e",
     "module m: method {f}/g/{h}/d/e: a call could also be one of a/{b}/c/d/e, of module m"},
    {"a/{b}/c", "a/d/{e}", "module m: method a/d/{e}: a call could also be one of a/{b}/c, of module m"},
    {"f", "box/{b}/open",
     "module m: method box/{b}/open: a call could also be one of box/{box}/{action}, of module post"},
};

START_TEST(wrong_tables)
{
    const rpc_method methods[] = {{.name = wrong[_i].one, .run = run}, {.name = wrong[_i].two, .run = run}};
    const rpc_module module = {.name = "m", .methods = RPC_TABLE(methods)};
    ck_assert(!engine_add_module(rig.engine, &module, NULL, why));
    ck_assert_str_eq(why, wrong[_i].why);
}
END_TEST

/* ---- Many ---- */

enum { MANY = 2000 };

/* Families that have their heads in common, and others; each is found by a name that only it matches. */
START_TEST(finds_each_of_many)
{
    static char names[2 * MANY][32];
    static rpc_method methods[2 * MANY];
    for (int i = 0; i < 2 * MANY; i++) {
        snprintf(names[i], sizeof names[i], i < MANY ? "a/{b}/c%d" : "d%d/{e}", i);
        methods[i] = (rpc_method){.name = names[i], .run = run};
    }
    const rpc_module module = {.name = "many", .methods = RPC_TABLE(methods)};
    struct registry registry = {.methods = NULL};
    ck_assert_msg(registry_add(&registry, "rpc", &module, NULL, why), "%s", why);
    for (int i = 0; i < 2 * MANY; i++) {
        char name[64];
        snprintf(name, sizeof name, i < MANY ? "a/x/c%d" : "d%d/x", i);
        ck_assert_ptr_eq(registry_find_method(&registry, name)->declared, &methods[i]);
    }
    ck_assert_ptr_null(registry_find_method(&registry, "a/x/c"));
    ck_assert_ptr_null(registry_find_method(&registry, "d2000/x/y"));
    ck_assert_ptr_null(registry_find_method(&registry, ""));
    registry_fini(&registry);
    ck_assert_ptr_null(registry_find_method(&registry, "a/x/c1"));
}
END_TEST

START_TEST(reads_levels)
{
    const rpc_method methods[] = {{.name = "{a}/b/{ab}/{c}", .run = run}, {.name = "plain", .run = run}};
    const rpc_module module = {.name = "m", .methods = RPC_TABLE(methods)};
    struct registry registry = {.methods = NULL};
    struct arena arena;
    arena_init(&arena);
    ck_assert_msg(registry_add(&registry, "rpc", &module, NULL, why), "%s", why);
    const struct registry_method *method = registry_find_method(&registry, "1/b/2/3");
    const char *name = registry_call_name(method, "1/b/2/3", &arena);
    ck_assert_str_eq(name, "1/b/2/3");
    ck_assert_str_eq(registry_call_level(method, name, "a"), "1");
    ck_assert_str_eq(registry_call_level(method, name, "ab"), "2");
    ck_assert_str_eq(registry_call_level(method, name, "c"), "3");
    ck_assert_ptr_null(registry_call_level(method, name, "b"));
    ck_assert_ptr_null(registry_call_level(method, name, ""));
    ck_assert_ptr_null(registry_call_level(method, name, "a}/b/{ab"));
    method = registry_find_method(&registry, "plain");
    ck_assert_ptr_eq(registry_call_name(method, "plain", &arena), methods[1].name);
    ck_assert_ptr_null(registry_call_level(method, methods[1].name, "plain"));
    registry_fini(&registry);
    arena_fini(&arena);
}
END_TEST

UNIT_MAIN("family", open_post, close_post, {plain_calls, UNIT_ROWS(calls)}, {a_level_that_is_too_long, 0},
          {a_topic_of_many_levels, 0}, {replies_by_request_id, 0}, {requests, 0}, {batches, 0},
          {the_endpoint, 0}, {duplicates, 0}, {pending_calls_keep_their_names, 0}, {logs_are_printable, 0},
          {discovery, 0}, {wrong_tables, UNIT_ROWS(wrong)}, {finds_each_of_many, 0}, {reads_levels, 0})

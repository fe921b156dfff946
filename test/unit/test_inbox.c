// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/call/inbox.c: which messages an inbox receives, what it sees and decides, which tables and roots are
 * refused. The module is test/modules/post.c.
 */
#include "call/engine_parts.h"
#include "call/inbox.h"
#include "rig.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

extern const rpc_module rpc_module_post;

struct post_options {
    const char *root;
};

static const struct post_options usual = {"prefix"};
static struct rig rig;
static char why[ENGINE_WHY];

static void open_rig(void)
{
    rig_init(&rig);
    rig.options.prefix = "prod/rpc";
    rig_start(&rig);
    why[0] = '\0';
}

static void close_rig(void)
{
    rig_close(&rig);
}

/* ---- Messages ---- */

static const struct topic {
    const char *topic;
    bool serves;
    enum engine_verdict verdict; /* of the client `tester` */
    bool received;               /* with an event that tells of it */
} topics[] = {
    {"prod/post/tester/in", true, ENGINE_CONSUME, true},
    {"prod/post/other/in", true, ENGINE_REFUSE, false},
    {"prod/post/a/to/b", true, ENGINE_CONSUME, true},
    {"prod/post/response/to/request", true, ENGINE_CONSUME, true},
    {"prod/post/a/watch", true, ENGINE_PASS, false},
    {"prod/post/closed", true, ENGINE_REFUSE, false},
    {"prod/post/closed/", false, ENGINE_PASS, false},
    {"prod/post/tester/in/x", false, ENGINE_PASS, false},
    {"prod/post/tester", false, ENGINE_PASS, false},
    {"prod/post//in", false, ENGINE_PASS, false},
    {"prod/post/a/to/", false, ENGINE_PASS, false},
    {"prod/post/a\x01/to/b", false, ENGINE_PASS, false},
    {"prod/post", false, ENGINE_PASS, false},
    {"prod/posts/tester/in", false, ENGINE_PASS, false},
    {"post/tester/in", false, ENGINE_PASS, false},
    {"prod/rpc/post/tester/in", false, ENGINE_PASS, false},
    {"", false, ENGINE_PASS, false},
};

START_TEST(messages)
{
    const struct topic *row = &topics[_i];
    rig_add(&rig, &rpc_module_post, &usual);
    ck_assert_int_eq(rig_serves(rig.engine, row->topic), row->serves);
    ck_assert_int_eq(rig_publish(&rig, row->topic, "x"), row->verdict);
    ck_assert_uint_eq(rig.host.events.count, row->received);
    ck_assert_uint_eq(engine_counters(rig.engine)->refused, row->verdict == ENGINE_REFUSE);
    ck_assert_uint_eq(engine_counters(rig.engine)->calls, 0);
}
END_TEST

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

START_TEST(what_is_seen)
{
    rig_add(&rig, &rpc_module_post, &usual);
    struct host_message message = rig_message(&rig, "prod/post/" X64 X64 "/to/b c", "hello");
    message.response_topic = "a/b";
    message.correlation = "12";
    message.correlation_size = 2;
    ck_assert_int_eq(rig_receive(rig.engine, &message), ENGINE_CONSUME);
    rig_expect_event(&rig, "prod/rpc/event/post/received",
                     "{\"inbox\":\"+/to/+\",\"topic\":\"prod/post/" X64 X64 "/to/b c\",\"first\":\"" X64 X64
                     "\",\"second\":\"b c\",\"text\":\"hello\",\"sender\":\"tester\",\"user\":\"bob\","
                     "\"response_topic\":\"a/b\",\"correlation\":\"12\",\"version\":5,\"qos\":1,\"bridge\":"
                     "false}");
    ck_assert_int_eq(rig_publish(&rig, "prod/post/" X64 X64 "x/to/b", "hello"), ENGINE_PASS);
}
END_TEST

START_TEST(an_empty_message_of_an_anonymous_client)
{
    rig_add(&rig, &rpc_module_post, &usual);
    rig.client = (struct host_client){.id = "", .version = 4};
    rig.qos = 0;
    ck_assert_int_eq(rig_publish(&rig, "prod/post/a/in", ""), ENGINE_REFUSE);
    ck_assert_int_eq(rig_publish(&rig, "prod/post/a/to/b", ""), ENGINE_CONSUME);
    rig_expect_event(&rig, "prod/rpc/event/post/received",
                     "{\"inbox\":\"+/to/+\",\"topic\":\"prod/post/a/to/b\",\"first\":\"a\",\"second\":\"b\","
                     "\"text\":\"\",\"sender\":\"\",\"version\":4,\"qos\":0,\"bridge\":false}");
}
END_TEST

/* A bridge is asked about under its own client id, and never refused. */
START_TEST(bridges)
{
    rig_add(&rig, &rpc_module_post, &usual);
    rig.client = (struct host_client){.id = "bridge", .version = 4, .bridge = true};
    ck_assert_int_eq(rig_publish(&rig, "prod/post/tester/in", "x"), ENGINE_PASS);
    ck_assert_int_eq(rig_publish(&rig, "prod/post/closed", "x"), ENGINE_CONSUME);
    ck_assert_uint_eq(rig.host.events.count, 0);
    ck_assert_int_eq(rig_publish(&rig, "prod/post/bridge/in", "x"), ENGINE_CONSUME);
    ck_assert_ptr_nonnull(strstr(rig_last(&rig.host.events)->text, "\"bridge\":true"));
    ck_assert_uint_eq(engine_counters(rig.engine)->refused, 0);
}
END_TEST

START_TEST(nothing_is_received_after_the_stop)
{
    rig_add(&rig, &rpc_module_post, &usual);
    engine_stop(rig.engine);
    ck_assert_int_eq(rig_publish(&rig, "prod/post/tester/in", "x"), ENGINE_PASS);
    ck_assert_int_eq(rig_publish(&rig, "prod/post/closed", "x"), ENGINE_PASS);
}
END_TEST

/* The clock moves by a second with each look at it. */
START_TEST(slow_inboxes_are_logged)
{
    rig_close(&rig);
    rig_init(&rig);
    rig.options.slow_call = 500;
    rig_start(&rig);
    rig_add(&rig, &rpc_module_post, &usual);
    rig.host.step = RIG_SECOND;
    rig_publish(&rig, "post/a/watch", "x");
    ck_assert_uint_eq(engine_counters(rig.engine)->slow, 1);
    ck_assert(fake_host_logged(&rig.host, "inbox +/watch"));
}
END_TEST

/* ---- Typed payloads ---- */

#define LONGEST "9223372036854775807"
#define MANY_DIGITS "0.10000000000000000000000000000000000000001"

static const struct form {
    const char *payload, *event;
} forms[] = {
    {"{\"number\":" LONGEST "}", "{\"is_there\":true,\"number\":" LONGEST ",\"word\":\"none\"}"},
    {"{\"number\":9007199254740993.0,\"x\":[{}],\"word\":\"b\xC3\xA4r\"}",
     "{\"is_there\":true,\"number\":9007199254740993,\"word\":\"b\xC3\xA4r\"}"},
    {"{\"number\":1,\"id\":1.0,\"value\":{\"a\":[" LONGEST ",-" LONGEST "9," MANY_DIGITS
     ",0.1,1e300],\"request_id\":1.50}}",
     "{\"is_there\":true,\"id\":1.0,\"value\":{\"a\":[" LONGEST ",-" LONGEST "9," MANY_DIGITS
     ",0.1,1e300],\"request_id\":1.50},\"number\":1,\"word\":\"none\"}"},
    {"", "{\"is_there\":false}"},
    {"{", "{\"is_there\":false,\"why\":\"the payload is not JSON: expected a name in double quotes at line "
          "1, column 2, where it ends\"}"},
    {"{\"number\":1}x",
     "{\"is_there\":false,\"why\":\"the payload goes on behind its JSON value at line 1, column 13\"}"},
    {"[]", "{\"is_there\":false,\"why\":\"the payload must be a JSON object\"}"},
    {"null", "{\"is_there\":false,\"why\":\"the payload must be a JSON object\"}"},
    {"{}", "{\"is_there\":false,\"why\":\"number is required\"}"},
    {"{\"number\":-1}", "{\"is_there\":false,\"why\":\"number: -1 is outside 0..inf\"}"},
    {"{\"number\":1,\"number\":2}", "{\"is_there\":false,\"why\":\"number is given twice\"}"},
    {"{\"number\":1,\"word\":\"\\u0000\"}",
     "{\"is_there\":false,\"why\":\"the payload has a string with U+0000\"}"},
    {"{\"number\":1,\"value\":1e999}",
     "{\"is_there\":false,\"why\":\"the payload has a number that is too large\"}"},
};

START_TEST(payloads_are_decoded)
{
    rig_add(&rig, &rpc_module_post, &usual);
    ck_assert_int_eq(rig_publish(&rig, "prod/post/form", forms[_i].payload), ENGINE_CONSUME);
    rig_expect_event(&rig, "prod/rpc/event/post/filled", forms[_i].event);
}
END_TEST

/* The option concerns the parameters of calls. */
START_TEST(members_that_are_not_declared_are_ignored)
{
    rig_close(&rig);
    rig_init(&rig);
    rig.options.undeclared = UNDECLARED_REFUSE;
    rig_start(&rig);
    rig_add(&rig, &rpc_module_post, &usual);
    rig_publish(&rig, "post/form", "{\"numbre\":0,\"number\":7}");
    rig_expect_event(&rig, "rpc/event/post/filled", "{\"is_there\":true,\"number\":7,\"word\":\"none\"}");
}
END_TEST

/* Each row: by how much a payload is larger than max_payload. */
START_TEST(what_is_too_large_is_not_parsed)
{
    enum { MAX = 100 };
    char payload[MAX + 2];
    rig_close(&rig);
    rig_init(&rig);
    rig.options.max_payload = MAX;
    rig_start(&rig);
    rig_add(&rig, &rpc_module_post, &usual);
    snprintf(payload, sizeof payload, "{\"number\":7%*s", MAX + _i - 11, "}");
    rig_publish(&rig, "post/form", payload);
    rig_expect_event(
        &rig, "rpc/event/post/filled",
        _i ? "{\"is_there\":false,\"why\":\"the payload has 101 bytes, which is over max_payload, 100\"}"
           : "{\"is_there\":true,\"number\":7,\"word\":\"none\"}");
}
END_TEST

/* ---- Roots ---- */

static const struct root {
    const char *root, *topic;
    bool serves;
} roots[] = {
    {"none", "prod/post/tester/in", false},           {"plant/7", "prod/post/tester/in", false},
    {"plant/7", "plant/7/tester/in", true},           {"plant/7", "plant/7/tester/on", false},
    {"prod/rpc/post", "prod/rpc/post/a/watch", true},
};

START_TEST(other_roots)
{
    const struct post_options options = {roots[_i].root};
    rig_add(&rig, &rpc_module_post, &options);
    ck_assert(inbox_check(&rig.engine, 1, why));
    ck_assert_int_eq(rig_serves(rig.engine, roots[_i].topic), roots[_i].serves);
}
END_TEST

static const char *const bad_roots[] = {"a/+", "//a", "/", "a/", "a//b", "$SYS/a", "#"};

START_TEST(roots_that_are_no_topics)
{
    const struct post_options options = {bad_roots[_i]};
    ck_assert(!engine_add_module(rig.engine, &rpc_module_post, &options, why));
    ck_assert_str_eq(why, "module post: prefix prod/rpc: it could not be started");
    ck_assert(fake_host_logged(&rig.host, "is no topic"));
}
END_TEST

static rpc_instance *kept;
static rpc_status status;

static rpc_inbox_verdict take(rpc_instance *instance, void *state, const rpc_message *message)
{
    (void)instance, (void)state;
    ck_assert_ptr_null(rpc_message_level(message, 0));
    ck_assert_ptr_null(rpc_message_level(message, 1));
    return RPC_INBOX_CONSUME;
}

static const rpc_inbox one_inbox[] = {{.topic = "in", .doc = "d", .receive = take}};

static rpc_status keep_instance(rpc_instance *instance, void *state, const void *options)
{
    (void)state, (void)options;
    kept = instance;
    status = rpc_inbox_set_root(instance, "else/where");
    return RPC_OK;
}

START_TEST(the_root_is_set_by_init_alone)
{
    static const rpc_module module = {
        .name = "m", .inboxes = RPC_TABLE(one_inbox), .inbox_root = "m", .init = keep_instance};
    rig_add(&rig, &module, NULL);
    ck_assert_int_eq(status, RPC_OK);
    ck_assert_str_eq(rpc_inbox_root(kept), "else/where");
    ck_assert_int_eq(rig_publish(&rig, "else/where/in", ""), ENGINE_CONSUME);
    ck_assert_int_eq(rpc_inbox_set_root(kept, "too/late"), RPC_INTERNAL_ERROR);
    ck_assert_str_eq(rpc_inbox_root(kept), "else/where");
    ck_assert(fake_host_logged(&rig.host, "module m sets its inbox root"));
}
END_TEST

START_TEST(without_inboxes_there_is_no_root)
{
    static const rpc_module module = {.name = "m", .init = keep_instance};
    rig_add(&rig, &module, NULL);
    ck_assert_int_eq(status, RPC_INTERNAL_ERROR);
    ck_assert_ptr_null(rpc_inbox_root(kept));
}
END_TEST

/*
 * Two engines side by side, of which the one with the other root is the older one, and roots that init has
 * set in the way of each other.
 */
static const struct clash {
    const char *prefix, *root, *other_prefix, *other_root;
    const char *why; /* NULL: nothing is in the way */
} clashes[] = {
    {"a/rpc", "prefix", "b/rpc", "prefix", NULL},
    {"rpc", "prefix", "rpc2", "none", NULL},
    {"rpc", "plant", "rpc2", "plant2", NULL},
    {"rpc", "prefix", "rpc2", "post",
     "module post: its inbox root post overlaps the inbox root post of module post, prefix rpc2"},
    {"rpc", "post/a", "rpc2", "prefix",
     "module post: its inbox root post/a overlaps the inbox root post of module post, prefix rpc2"},
    {"rpc", "plant", "rpc2", "plant",
     "module post: its inbox root plant overlaps the inbox root plant of module post, prefix rpc2"},
    {"rpc", "plant", "rpc2", "plant/a",
     "module post: its inbox root plant overlaps the inbox root plant/a of module post, prefix rpc2"},
    {"rpc", "rpc", "rpc2", "none", "module post: its inbox root rpc overlaps the topics of the prefix rpc"},
    {"rpc", "rpc/event", "rpc2", "none",
     "module post: its inbox root rpc/event overlaps the topics of the prefix rpc"},
    {"rpc", "rpc2/dead/x", "rpc2", "none",
     "module post: its inbox root rpc2/dead/x overlaps the topics of the prefix rpc2"},
    {"a/rpc", "none", "b/rpc", "a", "module post: its inbox root a overlaps the topics of the prefix a/rpc"},
};

static struct engine *other;

static void start_two(const char *prefix, const char *root, const char *other_prefix, const char *other_root)
{
    const struct post_options one = {root}, two = {other_root};
    rig_close(&rig);
    rig_init(&rig);
    rig.options.prefix = other_prefix;
    other = engine_create(&rig.options, &rig.host.host);
    rig.options.prefix = prefix;
    rig_start(&rig);
    engine_join(rig.engine, other);
    ck_assert(engine_add_module(other, &rpc_module_post, &two, why));
    rig_add(&rig, &rpc_module_post, &one);
}

START_TEST(roots_that_overlap)
{
    const struct clash *row = &clashes[_i];
    start_two(row->prefix, row->root, row->other_prefix, row->other_root);
    struct engine *const engines[] = {rig.engine, other};
    ck_assert_int_eq(inbox_check(engines, 2, why), !row->why);
    if (row->why)
        ck_assert_str_eq(why, row->why);
    ck_assert_uint_eq(rig.host.line_count, 0);
    engine_destroy(other, RIG_SECOND);
}
END_TEST

/* Likewise, of usual roots: the inboxes of one of the engines are off. */
static const struct way {
    const char *prefix, *other_prefix;
    bool is_on, is_other_on;
    const char *line; /* of the log; NULL: none */
} ways[] = {
    {"a/rpc", "b/rpc", true, true, NULL},
    {"rpc", "rpc2", false, true,
     "module post: its inbox root post overlaps the inbox root post of module post, prefix rpc2"},
    {"rpc", "post", false, false, "module post: its inbox root post overlaps the topics of the prefix post"},
    {"post", "rpc", false, false, "module post: its inbox root post overlaps the topics of the prefix post"},
    {"rpc", "post/event", false, true,
     "module post: its inbox root post overlaps the topics of the prefix post/event"},
    {"rpc", "a/b/rpc", true, true, NULL},
    {"post/rpc", "rpc", true, false,
     "module post: its inbox root post overlaps the topics of the prefix post/rpc"},
};

START_TEST(usual_roots_give_way)
{
    const struct way *row = &ways[_i];
    char line[400];
    start_two(row->prefix, "prefix", row->other_prefix, "prefix");
    struct engine *const engines[] = {rig.engine, other};
    ck_assert(inbox_check(engines, 2, why));
    ck_assert_int_eq(rpc_inbox_root(rig.engine->registry.instances) != NULL, row->is_on);
    ck_assert_int_eq(rpc_inbox_root(other->registry.instances) != NULL, row->is_other_on);
    ck_assert_uint_eq(rig.host.line_count, (size_t)(2 - row->is_on - row->is_other_on));
    snprintf(line, sizeof line, "%s: its inboxes are off here; the option post_root would set another root",
             row->line);
    if (row->line) {
        ck_assert(fake_host_logged(&rig.host, line));
        ck_assert_int_eq(rig.host.lines[0].level, RPC_LOG_NOTICE);
    }
    engine_destroy(other, RIG_SECOND);
}
END_TEST

/* The root that an init sets is in nobody's way before that. */
START_TEST(a_root_that_is_not_used_is_free)
{
    start_two("rpc", "prefix", "rpc2", "none");
    ck_assert_str_eq(rpc_inbox_root(rig.engine->registry.instances), "post");
    ck_assert_uint_eq(rig.host.line_count, 0);
    engine_destroy(other, RIG_SECOND);
    start_two("rpc", "none", "rpc2", "prefix");
    ck_assert_ptr_null(rpc_inbox_root(rig.engine->registry.instances));
    ck_assert_uint_eq(rig.host.line_count, 0);
    engine_destroy(other, RIG_SECOND);
}
END_TEST

static rpc_status note_root(rpc_instance *instance, void *state, const void *options)
{
    (void)state, (void)options;
    ck_assert_ptr_null(rpc_inbox_root(instance));
    kept = instance;
    return RPC_OK;
}

START_TEST(two_modules_with_one_root)
{
    static const rpc_module module = {
        .name = "m", .inboxes = RPC_TABLE(one_inbox), .inbox_root = "post", .init = note_root};
    rig_add(&rig, &rpc_module_post, &usual);
    rig_add(&rig, &module, NULL);
    ck_assert_ptr_eq(kept->module, &module);
    ck_assert(inbox_check(&rig.engine, 1, why));
    ck_assert(fake_host_logged(
        &rig.host, "module m: its inbox root prod/post overlaps the inbox root prod/post of module post, "
                   "prefix prod/rpc: its inboxes are off here"));
    ck_assert(!fake_host_logged(&rig.host, "the option"));
    ck_assert_int_eq(rig_publish(&rig, "prod/post/in", "x"), ENGINE_PASS);
}
END_TEST

/* ---- Tables ---- */

#define INBOXES(...)                                                                                   \
    {                                                                                                  \
        .name = "m", .inbox_root = "cmd",                                                              \
        .inboxes = RPC_TABLE((const rpc_inbox[]){{.topic = "+/fine", .receive = take}, {__VA_ARGS__}}) \
    }
#define BAD_TOPIC \
    "an inbox's topic has levels of [A-Za-z0-9_.-]+ and at most 8 levels of +, and at most 128 bytes"
#define COUNTED "RPC_TABLE() counts the rows, and no empty one ends them"
#define BAD_ROOT "a module with inboxes has a root, which is one level of [A-Za-z0-9_.-]+"

static const rpc_shape bytes = RPC_BYTES_SHAPE;

struct traceless {
    int32_t n;
};
static const rpc_field traceless_fields[] = {RPC_INT32(struct traceless, n, .doc = "d", .optional = true)};
static const rpc_shape wrong_shape = RPC_OBJECT_SHAPE(struct traceless, traceless_fields);

static const struct wrong {
    rpc_module module;
    const char *why;
} wrong[] = {
    {INBOXES(.topic = "", .receive = take), "module m: inbox : " BAD_TOPIC},
    {INBOXES(.topic = "a/#", .receive = take), "module m: inbox a/#: " BAD_TOPIC},
    {INBOXES(.topic = "a+/b", .receive = take), "module m: inbox a+/b: " BAD_TOPIC},
    {INBOXES(.topic = "{a}", .receive = take), "module m: inbox {a}: " BAD_TOPIC},
    {INBOXES(.topic = "a//b", .receive = take), "module m: inbox a//b: " BAD_TOPIC},
    {INBOXES(.topic = X64 X64 "x", .receive = take), "module m: inbox " X64 X64 "x: " BAD_TOPIC},
    {INBOXES(.topic = "a"), "module m: inbox a: it has no receive function"},
    {INBOXES(.topic = "a", .shape = &bytes, .receive = take),
     "module m: inbox a: its .shape is not of RPC_FORM_OBJECT"},
    {INBOXES(.topic = "a", .shape = &wrong_shape, .receive = take),
     "module m: inbox a: its shape: n is optional and needs a .default_json or a .flag"},
    {INBOXES(.topic = "+/a/+", .sender_level = 3, .receive = take),
     "module m: inbox +/a/+: its sender_level is 3, but it has not so many levels of +"},
    {INBOXES(.topic = "a", .sender_level = 1, .receive = take),
     "module m: inbox a: its sender_level is 1, but it has not so many levels of +"},
    {INBOXES(.topic = "a/+", .receive = take), "module m: inbox a/+: a message could also be one of +/fine"},
    {INBOXES(.topic = "+/fine", .receive = take),
     "module m: inbox +/fine: a message could also be one of +/fine"},
    {INBOXES(.receive = take),
     "module m: prefix prod/rpc: row 2 of 2 of its table of inboxes has no .topic; " COUNTED},
    {{.name = "m", .inbox_root = "m", .inboxes = {.rows = one_inbox}},
     "module m: prefix prod/rpc: its table of inboxes is to be passed with RPC_TABLE(), which counts the "
     "rows"},
    {{.name = "m", .inbox_root = "m"},
     "module m: inbox root m: it also needs .inboxes, which receive the messages"},
    {{.name = "m", .inboxes = RPC_TABLE(one_inbox)}, "module m: inbox root NULL: " BAD_ROOT},
    {{.name = "m", .inboxes = RPC_TABLE(one_inbox), .inbox_root = "a/b"},
     "module m: inbox root a/b: " BAD_ROOT},
    {{.name = "m", .inboxes = RPC_TABLE(one_inbox), .inbox_root = "+"}, "module m: inbox root +: " BAD_ROOT},
    {{.name = "m", .inboxes = RPC_TABLE(one_inbox), .inbox_root = "m", .inbox_option = "root"},
     "module m: inbox root m: its inbox_option, root, is no field of its .options"},
    {{.name = "m", .inboxes = RPC_TABLE(one_inbox), .inbox_root = ""}, "module m: inbox root : " BAD_ROOT},
};

START_TEST(wrong_tables)
{
    ck_assert(!engine_add_module(rig.engine, &wrong[_i].module, NULL, why));
    ck_assert_str_eq(why, wrong[_i].why);
}
END_TEST

UNIT_MAIN("inbox", open_rig, close_rig, {messages, UNIT_ROWS(topics)}, {what_is_seen, 0},
          {an_empty_message_of_an_anonymous_client, 0}, {bridges, 0}, {nothing_is_received_after_the_stop, 0},
          {slow_inboxes_are_logged, 0}, {payloads_are_decoded, UNIT_ROWS(forms)},
          {members_that_are_not_declared_are_ignored, 0}, {what_is_too_large_is_not_parsed, 2},
          {other_roots, UNIT_ROWS(roots)}, {roots_that_are_no_topics, UNIT_ROWS(bad_roots)},
          {the_root_is_set_by_init_alone, 0}, {without_inboxes_there_is_no_root, 0},
          {roots_that_overlap, UNIT_ROWS(clashes)}, {usual_roots_give_way, UNIT_ROWS(ways)},
          {a_root_that_is_not_used_is_free, 0}, {two_modules_with_one_root, 0},
          {wrong_tables, UNIT_ROWS(wrong)})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/call/topic.c: which tree a topic belongs to, which names, patterns and prefixes can be, what a pattern
 * matches, which prefixes and inbox roots can live together.
 */
#include "unit.h"

#include "call/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOREIGN = -1 };

static const struct classified {
    const char *prefix, *topic;
    int kind; /* an enum topic_kind, or FOREIGN */
    const char *method;
} classified[] = {
    {"rpc", "rpc/call/ping", TOPIC_CALL, "ping"},
    {"rpc", "rpc/call/a/b.c", TOPIC_CALL, "a/b.c"},
    {"rpc", "rpc/call/", TOPIC_CALL, ""},
    {"rpc", "rpc/call//", TOPIC_CALL, "/"},
    {"rpc", "rpc/call/ping/request", TOPIC_REQUEST, "ping/request"},
    {"rpc", "rpc/call/responses", TOPIC_CALL, "responses"},
    {"rpc", "rpc/call/ping/response/x", TOPIC_RESPONSE, NULL},
    {"rpc", "rpc/call/ping/response", TOPIC_RESPONSE, NULL},
    {"rpc", "rpc/call/ping/response/", TOPIC_RESPONSE, NULL},
    {"rpc", "rpc/call/a/b/response/x/y", TOPIC_RESPONSE, NULL},
    {"rpc", "rpc/call/response", TOPIC_RESPONSE, NULL},
    {"rpc", "rpc/call/response/x", TOPIC_RESPONSE, NULL},
    {"rpc", "rpc/jsonrpc/response", TOPIC_RESPONSE, NULL},
    {"rpc", "rpc/jsonrpc/response/x", TOPIC_RESPONSE, NULL},
    {"rpc", "rpc/jsonrpc/responses", FOREIGN, NULL},
    {"rpc", "rpc/jsonrpc", TOPIC_JSONRPC, NULL},
    {"rpc", "rpc/jsonrpc/", FOREIGN, NULL},
    {"rpc", "rpc/jsonrpc/x", FOREIGN, NULL},
    {"rpc", "rpc/jsonrpc/x/response", FOREIGN, NULL},
    {"rpc", "rpc/call//request", TOPIC_CALL, "/request"},
    {"rpc", "rpc/call/request", TOPIC_CALL, "request"},
    {"rpc", "rpc/call/ping/requests", TOPIC_CALL, "ping/requests"},
    {"rpc", "rpc/event/error", TOPIC_EVENT, NULL},
    {"rpc", "rpc/event/errors", TOPIC_EVENT, NULL},
    {"rpc", "rpc/dead", TOPIC_RESERVED, NULL},
    {"rpc", "rpc/dead/x", TOPIC_RESERVED, NULL},
    {"rpc", "rpc/batch/ping", TOPIC_BATCH, "ping"},
    {"rpc", "rpc/batch/a/b", TOPIC_BATCH, "a/b"},
    {"rpc", "rpc/batch/", TOPIC_BATCH, ""},
    {"rpc", "rpc/batch", FOREIGN, NULL},
    {"rpc", "rpc/batches/ping", FOREIGN, NULL},
    {"rpc", "rpc/reply", TOPIC_REPLY, NULL},
    {"rpc", "rpc/reply/me/x", TOPIC_REPLY, NULL},
    {"rpc", "rpc/replies/me", FOREIGN, NULL},
    {"rpc", "rpc/event/pong", TOPIC_EVENT, NULL},
    {"rpc", "rpc/event/", TOPIC_EVENT, NULL},
    {"rpc", "rpc/event", TOPIC_EVENT, NULL},
    {"rpc", "rpc/events/pong", FOREIGN, NULL},
    {"rpc", "rpc/call", FOREIGN, NULL},
    {"rpc", "rpc/calls/ping", FOREIGN, NULL},
    {"rpc", "rpc", FOREIGN, NULL},
    {"rpc", "rpc/", FOREIGN, NULL},
    {"rpc", "rpcs/call/ping", FOREIGN, NULL},
    {"rpc", "rp", FOREIGN, NULL},
    {"rpc", "", FOREIGN, NULL},
    {"rpc", "/rpc/call/ping", FOREIGN, NULL},
    {"/rpc", "/rpc/call/ping", TOPIC_CALL, "ping"},
    {"/rpc", "rpc/call/ping", FOREIGN, NULL},
    {"rpc", "RPC/call/ping", FOREIGN, NULL},
    {"rpc", "x/rpc/call/ping", FOREIGN, NULL},
    {"rpc", "rpc//call/ping", FOREIGN, NULL},
    {"a/b", "a/b/call/ping", TOPIC_CALL, "ping"},
    {"a/b", "a/call/ping", FOREIGN, NULL},
    {"a", "a/b/call/ping", FOREIGN, NULL},
};

START_TEST(classifies)
{
    const struct classified *row = &classified[_i];
    const char *method = NULL;
    const struct topic_tree *tree = topic_classify(row->prefix, row->topic, &method);
    ck_assert_int_eq(tree ? (int)tree->kind : FOREIGN, row->kind);
    if (row->method)
        ck_assert_str_eq(method, row->method);
}
END_TEST

/* What a row says holds for its own pattern. */
START_TEST(rows_are_found_by_their_patterns)
{
    char topic[256];
    const char *method;
    const struct topic_tree *tree = topic_trees;
    for (; tree->word; tree++) {
        snprintf(topic, sizeof topic, "a/b/%s", tree->pattern);
        const struct topic_tree *found = topic_classify("a/b", topic, &method);
        ck_assert_int_eq(found->kind, tree->kind);
        ck_assert_int_eq(found->sender, tree->sender);
        ck_assert_uint_eq(found->served, tree->served);
        if (tree->level)
            ck_assert_int_eq(strncmp(tree->pattern, tree->level, strlen(tree->level)), 0);
        ck_assert_uint_gt(strlen(tree->doc), 0);
    }
    ck_assert_int_ge(tree - topic_trees, 10);
}
END_TEST

static const struct force {
    bool to_subscribers;
    const char *open;
    unsigned needs;
    bool is_in_force;
} forces[] = {
    {false, "", TOPIC_ALWAYS, true},
    {false, "", TOPIC_TO_CALLERS, true},
    {true, "", TOPIC_TO_CALLERS, false},
    {true, "", TOPIC_TO_SUBSCRIBERS, true},
    {false, "", TOPIC_TO_SUBSCRIBERS, false},
    {false, "", TOPIC_OPEN, false},
    {false, "  ", TOPIC_OPEN, false},
    {false, " a", TOPIC_OPEN, true},
    {false, "*", TOPIC_OPEN | TOPIC_TO_CALLERS, true},
    {true, "*", TOPIC_OPEN | TOPIC_TO_CALLERS, false},
    {false, "*", TOPIC_NEVER, false},
};

START_TEST(knows_what_is_in_force)
{
    const struct force *row = &forces[_i];
    const struct engine_options options = {.reply_delivery =
                                               row->to_subscribers ? DELIVERY_SUBSCRIBED : DELIVERY_CLIENT,
                                           .jsonrpc_methods = row->open};
    ck_assert_int_eq(topic_is_in_force(&options, row->needs), row->is_in_force);
}
END_TEST

static const struct name {
    const char *name;
    bool fine;
} names[] = {
    {"ping", true},        {"a/b/c", true},       {"A-Z_0.9", true},      {".", true},
    {"responses", true},   {"my-response", true}, {"a/requested", true},  {"", false},
    {"/", false},          {"/a", false},         {"a/", false},          {"a//b", false},
    {"a b", false},        {"a+", false},         {"#", false},           {"a$", false},
    {"\xC3\xA4", false},   {"a\n", false},        {"response", false},    {"a/response", false},
    {"response/a", false}, {"request", false},    {"a/request/b", false}, {"a/{b}", false},
    {"{b}", false},        {"a/+", false},
};

START_TEST(knows_names)
{
    ck_assert_int_eq(topic_is_name(names[_i].name), names[_i].fine);
}
END_TEST

static const struct prefix {
    const char *prefix;
    bool fine;
} prefixes[] = {
    {"rpc", true},      {"prod/rpc", true}, {"a b", true}, /* the list of the configuration cannot say
                                                              it, but MQTT can */
    {"\xC3\xA4", true}, {"$mine", true},    {"call", true},   {"", false},      {"/", false},
    {"/rpc", true},     {"//rpc", false},   {"/rpc/", false}, {"rpc/", false},  {"a//b", false},
    {"a/+", false},     {"#", false},       {"a\x01", false}, {"a\xFF", false}, {"$SYSTEM", true},
};

static const struct name families[] = {
    {"{a}", true},
    {"a/{b}", true},
    {"{a}/b", true},
    {"a/{b}/{c}/d", true},
    {"{A_9}", true},
    {"{response}", true},
    {"{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}", true},
    {"a", false},
    {"", false},
    {"{}", false},
    {"{a", false},
    {"a}", false},
    {"{a}b", false},
    {"b{a}", false},
    {"{a}{b}", false},
    {"{a-b}", false},
    {"{a.b}", false},
    {"{{a}}", false},
    {"{a}/{a}", false},
    {"{a}/b/{a}", false},
    {"/{a}", false},
    {"{a}/", false},
    {"a//{b}", false},
    {"{a}/response", false},
    {"request/{a}", false},
    {"{a}/+", false},
    {"{a}/#", false},
    {"{a}/b c", false},
    {"{a}/{ab}", true},
    {"{ab}/{a}", true},
    {"{a/b}", false},
    {"{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", false},
};

START_TEST(knows_families)
{
    ck_assert_int_eq(topic_is_family(families[_i].name), families[_i].fine);
}
END_TEST

static const struct name inboxes[] = {
    {"a", true},
    {"+", true},
    {"+/resp", true},
    {"a/+/b/+", true},
    {"response", true},
    {"", false},
    {"#", false},
    {"a/#", false},
    {"++", false},
    {"+a", false},
    {"a+", false},
    {"/a", false},
    {"a/", false},
    {"a//b", false},
    {"{a}", false},
    {"$SYS", false},
    {"a b", false},
    {"+/+/+/+/+/+/+/+", true},
    {"+/+/+/+/+/+/+/+/+", false},
};

START_TEST(knows_inboxes)
{
    ck_assert_int_eq(topic_is_inbox(inboxes[_i].name), inboxes[_i].fine);
}
END_TEST

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct match {
    const char *pattern, *topic;
    bool matches;
} matches[] = {
    {"device/{d}/{c}", "device/lamp/on", true},
    {"device/{d}/{c}", "device/{d}/{c}", true},
    {"device/{d}/{c}", "device/l\xC3\xA4mp 1/$on.-", true},
    {"device/{d}/{c}", "device/lamp", false},
    {"device/{d}/{c}", "device/lamp/", false},
    {"device/{d}/{c}", "device//on", false},
    {"device/{d}/{c}", "device/lamp/on/now", false},
    {"device/{d}/{c}", "device/lamp/on/", false},
    {"device/{d}/{c}", "devices/lamp/on", false},
    {"device/{d}/{c}", "devic/lamp/on", false},
    {"device/{d}/{c}", "Device/lamp/on", false},
    {"device/{d}/{c}", "", false},
    {"device/{d}/{c}", "device/response/on", false},
    {"device/{d}/{c}", "device/lamp/request", false},
    {"device/{d}/{c}", "device/responses/requested", true},
    {"device/{d}/{c}", "device/la\x01mp/on", false},
    {"device/{d}/{c}", "device/la\x7Fmp/on", false},
    {"device/{d}/{c}", "device/la\xFFmp/on", false},
    {"device/{d}/{c}", "device/+/on", false},
    {"device/{d}/{c}", "device/lamp/#", false},
    {"{d}/on", "lamp/on", true},
    {"{d}/on", "lamp/off", false},
    {"{d}/on", "lamp/one", false},
    {"{d}", X64 X64, true},
    {"{d}", X64 X64 "x", false},
    {"a/b", "a/b", true},
    {"a/b", "a/bc", false},
    {"a/bc", "a/b", false},
    {"+/resp", "lamp/resp", true},
    {"+/resp", "response/resp", true},
    {"+/resp", "/resp", false},
    {"+/resp", "lamp/resp/x", false},
    {"+/resp", "lamp", false},
    {"+/+", "request/response", true},
};

START_TEST(matches_patterns)
{
    const struct match *row = &matches[_i];
    ck_assert_int_eq(topic_matches(row->pattern, row->topic), row->matches);
}
END_TEST

static const struct match meetings[] = {
    {"a/{b}", "a/{c}", true},
    {"a/{b}", "a/c", true},
    {"a/{b}", "{c}/d", true},
    {"a/{b}/c", "a/d/{e}", true},
    {"a/{b}/c", "a/{b}/d", false},
    {"a/{b}", "c/{b}", false},
    {"a/{b}", "a/{b}/c", false},
    {"a/{b}", "a", false},
    {"{a}", "{a}/{b}", false},
    {"a", "a", true},
    {"a", "ab", false},
    {"+/in", "lamp/+", true},
    {"+/in", "+/out", false},
};

START_TEST(finds_ambiguous_patterns)
{
    const struct match *row = &meetings[_i];
    ck_assert_int_eq(topic_patterns_meet(row->pattern, row->topic), row->matches);
    ck_assert_int_eq(topic_patterns_meet(row->topic, row->pattern), row->matches);
}
END_TEST

START_TEST(knows_prefixes)
{
    ck_assert_int_eq(topic_is_prefix(prefixes[_i].prefix), prefixes[_i].fine);
}
END_TEST

START_TEST(bounds_names_and_prefixes)
{
    char text[256];
    memset(text, 'x', sizeof text);
    text[TOPIC_NAME_MAX] = '\0';
    ck_assert(topic_is_name(text));
    ck_assert(topic_is_prefix(text));
    text[TOPIC_NAME_MAX] = 'x';
    text[TOPIC_NAME_MAX + 1] = '\0';
    ck_assert(!topic_is_name(text));
    ck_assert(!topic_is_prefix(text));
}
END_TEST

static const struct pair {
    const char *one, *other;
    bool clash;
} pairs[] = {
    {"rpc", "rpc", true},
    {"rpc", "rpc2", false},
    {"prod/rpc", "dev/rpc", false},
    {"rpc", "rpc/other", false},
    {"rpc", "rpc/call", true},
    {"rpc", "rpc/call/x", true},
    {"rpc", "rpc/event/x/y", true},
    {"rpc", "rpc/batch", true},
    {"rpc", "rpc/jsonrpc", true},
    {"rpc", "rpc/dead", true},
    {"rpc", "rpc/calls", false},
    {"rpc", "rpc/x/call", false},
    {"a/b", "a", false},
    {"rpc", "rpc/method", true},
    {"rpc", "rpc/method/x", true},
    {"rpc", "rpc/methods", false},
    {"rpc", "rpc/x/method", false},
    {"a/b", "a/method", false},
    {"a", "a/b/method", false},
};

START_TEST(finds_clashes)
{
    const struct pair *row = &pairs[_i];
    ck_assert_int_eq(topic_prefixes_clash(row->one, row->other), row->clash);
    ck_assert_int_eq(topic_prefixes_clash(row->other, row->one), row->clash);
}
END_TEST

static const struct pair root_pairs[] = {
    {"cmd", "rpc", false},         {"rpc", "rpc", true},       {"rpc/call", "rpc", true},
    {"rpc/event/x", "rpc", true},  {"rpc/dead", "rpc", true},  {"rpc/cmd", "rpc", false},
    {"rpc/calls", "rpc", false},   {"prod", "prod/rpc", true}, {"prod/cmd", "prod/rpc", false},
    {"prod/rpc/x", "prod", false}, {"pro", "prod/rpc", false},
};

START_TEST(finds_roots_among_prefixes)
{
    const struct pair *row = &root_pairs[_i];
    ck_assert_int_eq(topic_root_clashes(row->one, row->other), row->clash);
}
END_TEST

START_TEST(finds_roots_among_roots)
{
    ck_assert(topic_roots_clash("cmd", "cmd"));
    ck_assert(topic_roots_clash("cmd", "cmd/x"));
    ck_assert(topic_roots_clash("cmd/x/y", "cmd"));
    ck_assert(!topic_roots_clash("cmd", "cmds"));
    ck_assert(!topic_roots_clash("a/cmd", "b/cmd"));
}
END_TEST

static const struct root {
    const char *prefix, *level, *root;
} roots[] = {
    {"rpc", "cmd", "cmd"}, {"prod/rpc", "cmd", "prod/cmd"}, {"a/b/c", "d", "a/b/d"}, {"", "a/b", "a/b"}};

START_TEST(makes_roots)
{
    char *root = topic_of_root(roots[_i].prefix, roots[_i].level);
    ck_assert_str_eq(root, roots[_i].root);
    free(root);
}
END_TEST

START_TEST(finds_what_is_below)
{
    ck_assert_str_eq(topic_below("a/b", "a/b/c/d"), "c/d");
    ck_assert_str_eq(topic_below("a", "a/"), "");
    ck_assert_ptr_null(topic_below("a", "a"));
    ck_assert_ptr_null(topic_below("a", "ab/c"));
}
END_TEST

START_TEST(finds_the_name_in_a_replys_topic)
{
    static const struct {
        const char *topic;
        size_t length;
    } rows[] = {{"m/response/t", 1},
                {"m/response", 1},
                {"a/b/response/c/response/d", 3},
                {"response/t", 0},
                {"response", 0},
                {"m/responses/response/t", 11},
                {"m/x.response/t", 14},
                {"responsex/response/t", 9},
                {"", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_uint_eq(topic_replied_length(rows[i].topic), rows[i].length);
}
END_TEST

UNIT_MAIN("topic", NULL, NULL, {classifies, UNIT_ROWS(classified)}, {rows_are_found_by_their_patterns, 0},
          {knows_what_is_in_force, UNIT_ROWS(forces)}, {knows_families, UNIT_ROWS(families)},
          {knows_inboxes, UNIT_ROWS(inboxes)}, {matches_patterns, UNIT_ROWS(matches)},
          {finds_ambiguous_patterns, UNIT_ROWS(meetings)},
          {finds_roots_among_prefixes, UNIT_ROWS(root_pairs)}, {finds_roots_among_roots, 0},
          {makes_roots, UNIT_ROWS(roots)}, {finds_what_is_below, 0}, {finds_the_name_in_a_replys_topic, 0},
          {knows_names, UNIT_ROWS(names)}, {knows_prefixes, UNIT_ROWS(prefixes)},
          {bounds_names_and_prefixes, 0}, {finds_clashes, UNIT_ROWS(pairs)})

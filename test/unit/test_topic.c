// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/call/topic.c: whose a topic is, which names and prefixes can be, which prefixes can live together. */
#include "unit.h"

#include "call/topic.h"

#include <string.h>

static const struct classified {
    const char *prefix, *topic;
    enum topic_kind kind;
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
    {"rpc", "rpc/jsonrpc/responses", TOPIC_FOREIGN, NULL},
    {"rpc", "rpc/jsonrpc", TOPIC_JSONRPC, NULL},
    {"rpc", "rpc/jsonrpc/", TOPIC_FOREIGN, NULL},
    {"rpc", "rpc/jsonrpc/x", TOPIC_FOREIGN, NULL},
    {"rpc", "rpc/batch/ping", TOPIC_BATCH, "ping"},
    {"rpc", "rpc/batch/a/b", TOPIC_BATCH, "a/b"},
    {"rpc", "rpc/batch/", TOPIC_BATCH, ""},
    {"rpc", "rpc/batch", TOPIC_FOREIGN, NULL},
    {"rpc", "rpc/batches/ping", TOPIC_FOREIGN, NULL},
    {"rpc", "rpc/reply", TOPIC_REPLY, NULL},
    {"rpc", "rpc/reply/me/x", TOPIC_REPLY, NULL},
    {"rpc", "rpc/replies/me", TOPIC_FOREIGN, NULL},
    {"rpc", "rpc/event/pong", TOPIC_EVENT, NULL},
    {"rpc", "rpc/event/", TOPIC_EVENT, NULL},
    {"rpc", "rpc/event", TOPIC_EVENT, NULL},
    {"rpc", "rpc/events/pong", TOPIC_FOREIGN, NULL},
    {"rpc", "rpc/call", TOPIC_FOREIGN, NULL},
    {"rpc", "rpc/calls/ping", TOPIC_FOREIGN, NULL},
    {"rpc", "rpc", TOPIC_FOREIGN, NULL},
    {"rpc", "rpc/", TOPIC_FOREIGN, NULL},
    {"rpc", "rpcs/call/ping", TOPIC_FOREIGN, NULL},
    {"rpc", "rp", TOPIC_FOREIGN, NULL},
    {"rpc", "", TOPIC_FOREIGN, NULL},
    {"rpc", "/rpc/call/ping", TOPIC_FOREIGN, NULL},
    {"rpc", "RPC/call/ping", TOPIC_FOREIGN, NULL},
    {"rpc", "x/rpc/call/ping", TOPIC_FOREIGN, NULL},
    {"rpc", "rpc//call/ping", TOPIC_FOREIGN, NULL},
    {"a/b", "a/b/call/ping", TOPIC_CALL, "ping"},
    {"a/b", "a/call/ping", TOPIC_FOREIGN, NULL},
    {"a", "a/b/call/ping", TOPIC_FOREIGN, NULL},
};

START_TEST(classifies)
{
    const struct classified *row = &classified[_i];
    const char *method = NULL;
    ck_assert_int_eq(topic_classify(row->prefix, row->topic, &method), row->kind);
    if (row->method)
        ck_assert_str_eq(method, row->method);
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
    {"response/a", false}, {"request", false},    {"a/request/b", false},
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
    {"\xC3\xA4", true}, {"$mine", true},    {"call", true},    {"", false},    {"/", false},
    {"/rpc", false},    {"rpc/", false},    {"a//b", false},   {"a/+", false}, {"#", false},
    {"a\x01", false},   {"a\xFF", false},   {"$SYSTEM", true},
};

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
};

START_TEST(finds_clashes)
{
    const struct pair *row = &pairs[_i];
    ck_assert_int_eq(topic_prefixes_clash(row->one, row->other), row->clash);
    ck_assert_int_eq(topic_prefixes_clash(row->other, row->one), row->clash);
}
END_TEST

UNIT_MAIN("topic", NULL, NULL, {classifies, UNIT_ROWS(classified)}, {knows_names, UNIT_ROWS(names)},
          {knows_prefixes, UNIT_ROWS(prefixes)}, {bounds_names_and_prefixes, 0},
          {finds_clashes, UNIT_ROWS(pairs)})

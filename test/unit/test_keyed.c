// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Keyed events: each value of the key has a topic of its own, where the broker retains its last event,
 * whatever kind the key has and whatever publishes the event. A value that is no level of a topic has none,
 * and nothing of it is retained. rpc_retract() removes what is.
 */
#include "rig.h"
#include "unit.h"

#include "modules.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;

static void open_rig(void)
{
    rig_init(&rig);
}

static void close_rig(void)
{
    rig_close(&rig);
}

static void start_with(const rpc_module *module)
{
    rig_start(&rig);
    rig_add(&rig, module, NULL);
}

static const rpc_module *find_module(const char *name)
{
    const rpc_module *const *module = rpc_modules;
    while (*module && strcmp((*module)->name, name) != 0)
        module++;
    ck_assert_ptr_nonnull(*module);
    return *module;
}

static void start_gates(void)
{
    start_with(find_module("gate"));
}

/* ---- Values ---- */

#define X16 "xxxxxxxxxxxxxxxx"
#define X128 X16 X16 X16 X16 X16 X16 X16 X16
#define E_ACUTE "\xC3\xA9"

static const struct value {
    const char *json, *level; /* NULL: it is no level of a topic */
} values[] = {
    {"front", "front"},
    {"a b", "a b"},
    {"$SYS", "$SYS"},
    {"response", "response"},
    {E_ACUTE "\xF0\x9F\x9A\xAA", E_ACUTE "\xF0\x9F\x9A\xAA"},
    {"\\u0041\\\\\\\"", "A\\\""},
    {"%s%n", "%s%n"},
    {X128, X128},
    {"", NULL},
    {"a/b", NULL},
    {"/", NULL},
    {"+", NULL},
    {"a+", NULL},
    {"#", NULL},
    {"a#", NULL},
    {"a\\n", NULL},
    {"\\u0001", NULL},
    {"\\u007f", NULL},
    {"\\u0085", NULL},
    {"\\uffff", NULL},
    {X128 "x", NULL},
    {X16 X16 X16 X16 X16 X16 X16 "xxxxxxxxxxxxxxx" E_ACUTE, NULL}, /* 128 characters, 129 bytes */
};

/* The newest event is that of a gate: at the topic of its name, or else at that of all, and not retained. */
static void expect_gate(const char *event, const char *level, bool retained)
{
    char topic[FAKE_TOPIC];
    snprintf(topic, sizeof topic, "rpc/event/%s%s%s", event, level ? "/" : "", level ? level : "");
    ck_assert_str_eq(rig_last(&rig.host.events)->topic, topic);
    ck_assert_int_eq(rig_last(&rig.host.events)->retain, level && retained);
    ck_assert(rig_last(&rig.host.events)->subscribed);
}

START_TEST(values_are_levels)
{
    const struct value *value = &values[_i];
    char payload[FAKE_TOPIC];
    start_gates();
    snprintf(payload, sizeof payload, "{\"gate\":\"%s\",\"open\":true}", value->json);
    ck_assert_str_eq(rig_ask(&rig, "setGate", payload)->status, "ok");
    ck_assert_uint_eq(rig.host.events.count, 1);
    expect_gate("gate", value->level, true);
    ck_assert_str_eq(rig_last(&rig.host.events)->text, rig_last(&rig.host.replies)->text);
    ck_assert_str_eq(rig_ask(&rig, "showGate", payload)->status, "ok");
    ck_assert_uint_eq(rig.host.events.count, 1);
    expect_gate("gate", value->level, true);
    ck_assert(!rig_last(&rig.host.events)->has_client);
    /* What was never retained need not be removed. */
    snprintf(payload, sizeof payload, "{\"gate\":\"%s\"}", value->json);
    rig_expect(&rig, "removeGate", payload, "ok", "{}");
    ck_assert_uint_eq(rig.host.events.count, value->level ? 1 : 0);
    if (!value->level)
        return;
    expect_gate("gate", value->level, true);
    ck_assert_uint_eq(rig_last(&rig.host.events)->size, 0);
    ck_assert_str_eq(rig_last(&rig.host.events)->client, "tester");
}
END_TEST

START_TEST(values_of_errors)
{
    const struct value *value = &values[_i];
    char payload[FAKE_TOPIC], level[FAKE_TOPIC];
    const bool fits = value->level && strlen(value->level) + strlen("stuck") <= 128;
    if (!*value->json)
        return;
    start_gates();
    snprintf(payload, sizeof payload, "{\"gate\":\"stuck%s\",\"open\":true}", value->json);
    snprintf(level, sizeof level, "stuck%s", fits ? value->level : "");
    rig_tell(&rig, "setGate", payload);
    ck_assert_uint_eq(rig.host.events.count, 1);
    expect_gate("gateFailed", fits ? level : NULL, false);
    ck_assert_ptr_nonnull(strstr(rig.host.events.kept[0].text, "\"err\":\"gate_stuck\""));
}
END_TEST

/* ---- Kinds of keys ---- */

enum colour { RED, GREEN };

struct thing {
    const char *word;
    int32_t small;
    int64_t large;
    enum colour colour;
};

static const char *const colours[] = {"red", "green"};

static const rpc_field thing_fields[] = {
    RPC_STRING(struct thing, word, .name = "Word", .doc = "a word", .length = {0, 9}),
    RPC_INT32(struct thing, small, .doc = "a number", .range = {-5, 5}),
    RPC_INT64(struct thing, large, .doc = "a large number"),
    RPC_CHOICE(struct thing, colour, .doc = "a colour", .choices = RPC_TABLE(colours)),
};
static const rpc_shape thing_shape = RPC_OBJECT_SHAPE(struct thing, thing_fields);

static const rpc_event thing_events[] = {
    {.name = "word", .data = &thing_shape, .key = "Word", .retained = true},
    {.name = "small", .data = &thing_shape, .key = "small", .retained = true},
    {.name = "large/deep", .data = &thing_shape, .key = "large"},
    {.name = "colour", .data = &thing_shape, .key = "colour", .retained = true},
    {.name = "plain", .data = &thing_shape, .retained = true},
};

static const struct kind {
    const char *event, *topic;
    struct thing thing;
    bool retain;
} kinds[] = {
    {"word", "rpc/event/word/a", {.word = "a"}, true},
    {"small", "rpc/event/small/-5", {.word = "a", .small = -5}, true},
    {"small", "rpc/event/small/0", {.word = "a"}, true},
    {"large/deep", "rpc/event/large/deep/-9223372036854775808", {.word = "", .large = INT64_MIN}, false},
    {"large/deep", "rpc/event/large/deep/9223372036854775807", {.word = "", .large = INT64_MAX}, false},
    {"colour", "rpc/event/colour/green", {.word = "", .colour = GREEN}, true},
    {"plain", "rpc/event/plain", {.word = "a"}, true},
};

static const rpc_module things = {.name = "things", .events = RPC_TABLE(thing_events)};

START_TEST(kinds_of_keys)
{
    start_with(&things);
    ck_assert_int_eq(rpc_announce(rig_instance(&rig), NULL, kinds[_i].event, &kinds[_i].thing), RPC_OK);
    ck_assert_uint_eq(rig.host.events.count, 1);
    ck_assert_str_eq(rig.host.events.kept[0].topic, kinds[_i].topic);
    ck_assert_int_eq(rig.host.events.kept[0].retain, kinds[_i].retain);
}
END_TEST

/* What does not fit its shape is published nowhere. */
static const struct thing unfit[] = {
    {.word = NULL},
    {.word = "\xFF"},
    {.word = "far too long"},
    {.word = "a", .small = 6},
    {.word = "a", .colour = (enum colour)2},
};

START_TEST(data_that_does_not_fit)
{
    start_with(&things);
    for (size_t i = 0; i < sizeof thing_events / sizeof *thing_events; i++)
        ck_assert_int_eq(rpc_announce(rig_instance(&rig), NULL, thing_events[i].name, &unfit[_i]),
                         RPC_INTERNAL_ERROR);
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

START_TEST(data_that_is_too_large)
{
    static const struct thing thing = {.word = "a"};
    rig.options.max_reply = 60;
    start_with(&things);
    ck_assert_int_eq(rpc_announce(rig_instance(&rig), NULL, "word", &thing), RPC_OK);
    rig_close(&rig);
    open_rig();
    rig.options.max_reply = 20;
    start_with(&things);
    ck_assert_int_eq(rpc_announce(rig_instance(&rig), NULL, "word", &thing), RPC_REPLY_TOO_LARGE);
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

/* The longest topic that there is. */
START_TEST(the_longest_topic)
{
    static const rpc_event events[] = {
        {.name = X128, .data = &thing_shape, .key = "Word", .retained = true},
    };
    static const rpc_module module = {.name = "m", .events = RPC_TABLE(events)};
    rig.options.prefix = X128;
    rig_start(&rig);
    rig_add(&rig, &module, NULL);
    ck_assert_int_eq(rpc_retract(rig_instance(&rig), NULL, X128, X128), RPC_OK);
    ck_assert_str_eq(rig_last(&rig.host.events)->topic, X128 "/event/" X128 "/" X128);
}
END_TEST

/* ---- Ways to call ---- */

#define FRONT "{\"gate\":\"front\",\"open\":true}"
#define BACK "{\"gate\":\"back\",\"open\":false}"
#define STUCK "{\"gate\":\"stuck1\",\"open\":false}"
#define SLASH "{\"gate\":\"a/b\",\"open\":true}"
#define JSONRPC(id) "{\"jsonrpc\":\"2.0\"," id "\"method\":\"setGate\",\"params\":" FRONT "}"

static const struct way {
    const char *topic, *payload;
    bool asks;
} ways[] = {
    {"rpc/call/setGate", FRONT, false},
    {"rpc/call/setGate", FRONT, true},
    {"rpc/call/moveGate", FRONT, false},
    {"rpc/call/moveGate", FRONT, true},
    {"rpc/call/setGate", "{\"request_id\":\"x\",\"gate\":\"front\",\"open\":true}", false},
    {"rpc/call/setGate", JSONRPC("\"id\":1,"), false},
    {"rpc/call/setGate", JSONRPC(""), false},
    {"rpc/batch/setGate", "[" FRONT "]", false},
};

static void wait_for_end(void)
{
    rig.host.monotonic += RIG_SECOND;
    engine_tick(rig.engine);
}

START_TEST(results_of_every_way_to_call)
{
    const struct way *way = &ways[_i];
    start_gates();
    rig_send(&rig, way->topic, way->payload, way->asks ? "r" : NULL, NULL);
    wait_for_end();
    ck_assert_uint_eq(rig.host.events.count, 1);
    expect_gate("gate", "front", true);
    ck_assert_str_eq(rig.host.events.kept[0].text, FRONT);
    ck_assert_str_eq(rig.host.events.kept[0].client, "tester");
}
END_TEST

/* _i: the method whose handler raises, and the one whose done does. */
START_TEST(errors_of_every_way_to_fail)
{
    static const char *const methods[] = {"setGate", "moveGate"};
    start_gates();
    rig_tell(&rig, methods[_i], STUCK);
    wait_for_end();
    ck_assert_uint_eq(rig.host.events.count, 1);
    expect_gate("gateFailed", "stuck1", false);
    fake_host_forget(&rig.host);
    /* An error of the engine's own is not the event's. */
    rig_tell(&rig, methods[_i], "{}");
    ck_assert_str_eq(rig_last(&rig.host.events)->topic, "rpc/event/error");
    fake_host_forget(&rig.host);
    /* Who asked gets the error alone. */
    rig_send(&rig, "rpc/call/setGate", STUCK, "r", NULL);
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

/* _i: whether the items are pending; with and without a reply. */
START_TEST(items_of_batches)
{
    static const char *const topics[] = {"rpc/batch/setGate", "rpc/batch/moveGate"};
    start_gates();
    rig_send(&rig, topics[_i % 2], "[" FRONT "," BACK "," SLASH "," FRONT "]", _i / 2 ? "r" : NULL, NULL);
    wait_for_end();
    ck_assert_uint_eq(rig.host.events.count, 4);
    const struct fake_message *kept = rig.host.events.kept;
    ck_assert_str_eq(kept[0].topic, "rpc/event/gate/front");
    ck_assert_str_eq(kept[1].topic, "rpc/event/gate/back");
    ck_assert_str_eq(kept[2].topic, "rpc/event/gate");
    ck_assert_str_eq(kept[3].topic, "rpc/event/gate/front");
    ck_assert(kept[0].retain && kept[1].retain && !kept[2].retain && kept[3].retain);
    ck_assert_str_eq(kept[1].text, BACK);
}
END_TEST

/* A result that does not fit into the reply with its wrapping is announced all the same. */
START_TEST(results_that_fit_alone)
{
    rig.options.max_reply = 80;
    start_gates();
    rig_send(&rig, "rpc/batch/setGate", "[" FRONT "," BACK "," FRONT "]", "r", NULL);
    ck_assert_uint_eq(rig.host.events.count, 3);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "reply_too_large");
    ck_assert_str_eq(rig.host.events.kept[1].topic, "rpc/event/gate/back");
    expect_gate("gate", "front", true);
}
END_TEST

/* An error that shrinks until it fits keeps its topic. */
START_TEST(errors_that_shrink)
{
    rig.options.max_reply = 48;
    start_gates();
    rig_tell(&rig, "setGate", STUCK);
    ck_assert_uint_eq(rig.host.events.count, 1);
    ck_assert_ptr_null(strstr(rig.host.events.kept[0].text, "stuck1"));
    expect_gate("gateFailed", "stuck1", false);
}
END_TEST

/* ---- Errors without their key ---- */

static rpc_status raise_something(rpc_call *call, void *state, const void *params, void *result)
{
    static const struct thing thing = {.word = "w"}, bad = {.word = NULL};
    const bool *with = params;
    (void)state, (void)result;
    return *with ? rpc_raise_with(call, "odd", &bad, "data that does not fit")
                 : rpc_raise(call, "odd", "no data but %s", thing.word);
}

struct flag {
    bool with;
};

static const rpc_field flag_fields[] = {RPC_BOOL(struct flag, with, .doc = "with data")};
static const rpc_shape flag_shape = RPC_OBJECT_SHAPE(struct flag, flag_fields);
static const rpc_error odd_errors[] = {{.code = "odd", .data = &thing_shape}};
static const rpc_module odd = {
    .name = "odd",
    .events = RPC_TABLE((const rpc_event[]){{.name = "oddity", .key = "Word", .retained = true}}),
    .methods = RPC_TABLE((const rpc_method[]){{.name = "odd",
                                               .params = &flag_shape,
                                               .errors = RPC_TABLE(odd_errors),
                                               .error_event = "oddity",
                                               .run = raise_something}}),
};

START_TEST(errors_without_their_key)
{
    start_with(&odd);
    rig_tell(&rig, "odd", _i ? "{\"with\":true}" : "{\"with\":false}");
    ck_assert_uint_eq(rig.host.events.count, 1);
    expect_gate("oddity", NULL, true);
}
END_TEST

/* ---- rpc_retract() ---- */

static const struct retraction {
    const char *event;
    rpc_status status;
    const char *line;
} retractions[] = {
    {"word", RPC_OK, NULL},
    {"large/deep", RPC_INTERNAL_ERROR,
     "rpc: module things retracts large/deep, which it does not declare as retained and keyed"},
    {"plain", RPC_INTERNAL_ERROR,
     "rpc: module things retracts plain, which it does not declare as retained and keyed"},
    {"gate", RPC_INTERNAL_ERROR,
     "rpc: module things retracts gate, which it does not declare as retained and keyed"},
    {"un\nknown", RPC_INTERNAL_ERROR,
     "rpc: module things retracts un\\x0Aknown, which it does not declare as retained and keyed"},
};

START_TEST(retracting)
{
    start_gates();
    rig_add(&rig, &things, NULL);
    rig.options.qos = 1;
    ck_assert_int_eq(rpc_retract(rig_instance(&rig), NULL, retractions[_i].event, "a"),
                     retractions[_i].status);
    ck_assert_uint_eq(rig.host.line_count, retractions[_i].line ? 1 : 0);
    if (retractions[_i].line)
        ck_assert_str_eq(rig.host.lines[0].text, retractions[_i].line);
    ck_assert_uint_eq(rig.host.events.count, retractions[_i].status == RPC_OK ? 1 : 0);
    if (retractions[_i].status != RPC_OK)
        return;
    expect_gate("word", "a", true);
    ck_assert_uint_eq(rig.host.events.kept[0].size, 0);
    ck_assert_str_eq(rig.host.events.kept[0].content_type, "");
    ck_assert(!rig.host.events.kept[0].has_client);
}
END_TEST

/* _i: the host has no memory, or drops what it gets. */
START_TEST(what_cannot_be_published)
{
    static const struct thing thing = {.word = "a"};
    start_with(&things);
    rig.host.no_memory = _i == 0;
    rig.host.drop = _i == 1;
    ck_assert_int_eq(rpc_announce(rig_instance(&rig), NULL, "word", &thing), RPC_INTERNAL_ERROR);
    ck_assert_int_eq(rpc_retract(rig_instance(&rig), NULL, "word", "a"), RPC_INTERNAL_ERROR);
    ck_assert_int_eq(rpc_retract(rig_instance(&rig), NULL, "word", "a/b"), RPC_OK);
    ck_assert_uint_eq(rig.host.events.count, 0);
    ck_assert_uint_eq(rig.host.line_count, 2);
    ck_assert_str_eq(
        rig.host.lines[1].text,
        "rpc: an event to rpc/event/word/a was dropped: no memory, or too many messages are on their way");
}
END_TEST

static rpc_status retracted_at_stop;

static rpc_status wait(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    return rpc_defer(call, NULL);
}

static rpc_status end_waiting(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)state, (void)data, (void)result;
    retracted_at_stop = rpc_retract(rpc_call_instance(call), call, "word", "a");
    return outcome;
}

static const rpc_module waiting = {
    .name = "waiting",
    .events = RPC_TABLE(thing_events),
    .methods =
        RPC_TABLE((const rpc_method[]){{.name = "wait", .run = wait, .done = end_waiting, .defers = true}}),
};

START_TEST(nothing_is_retracted_when_the_service_stops)
{
    start_with(&waiting);
    rig_tell(&rig, "wait", "");
    retracted_at_stop = RPC_OK;
    engine_stop(rig.engine);
    ck_assert_int_eq(retracted_at_stop, RPC_CANCELLED);
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

/* ---- Guards ---- */

/* The topics of values are guarded as all topics of events are. */
START_TEST(values_are_guarded)
{
    static const char *const topics[] = {"rpc/event/gate/front", "rpc/event/gate/", "rpc/event/gate/a/b",
                                         "rpc/event/gate"};
    start_gates();
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
        ck_assert_int_eq(rig_publish(&rig, topics[i], FRONT), ENGINE_REFUSE);
    ck_assert_uint_eq(engine_counters(rig.engine)->refused, 4);
}
END_TEST

UNIT_MAIN("keyed", open_rig, close_rig, {values_are_levels, UNIT_ROWS(values)},
          {values_of_errors, UNIT_ROWS(values)}, {kinds_of_keys, UNIT_ROWS(kinds)},
          {data_that_does_not_fit, UNIT_ROWS(unfit)}, {data_that_is_too_large, 0}, {the_longest_topic, 0},
          {results_of_every_way_to_call, UNIT_ROWS(ways)}, {errors_of_every_way_to_fail, 2},
          {items_of_batches, 4}, {results_that_fit_alone, 0}, {errors_that_shrink, 0},
          {errors_without_their_key, 2}, {retracting, UNIT_ROWS(retractions)}, {what_cannot_be_published, 2},
          {nothing_is_retracted_when_the_service_stops, 0}, {values_are_guarded, 0})

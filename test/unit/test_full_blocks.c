// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Failing allocations in calls that fill the first blocks of their arenas to any degree. A block has room for
 * most calls, so that test_memory.c, which lets each allocation of the C library fail, does not reach most of
 * what takes memory of an arena. Here a member that nobody declares fills the message's block more and more,
 * or an array of numbers that of the call, so that each piece is in turn the first one that does not fit. A
 * call must come to what it comes to with memory, or to internal_error or overloaded; and nothing leaks.
 */
#include "unit.h"
#include "works.h"

#include "base/arena.h"
#include "failing_malloc.h"

#include <stdio.h>
#include <string.h>

/* Sanitizers make it ten times as long. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STEP = 8 * ARENA_UNIT };
#else
enum { STEP = 2 * ARENA_UNIT };
#endif

enum { PAD_MAX = ARENA_FIRST, NUMBERS_MAX = 2 * PAD_MAX, PLENTY = 1000 };

extern const rpc_module rpc_module_rpc, rpc_module_gate, rpc_module_shapes, rpc_module_watch;

/* ---- A method whose parameters take as much memory of a call as its caller wants ---- */

struct brim {
    const int64_t *numbers;
    size_t count;
    bool fail;
};

static const rpc_field brim_fields[] = {
    RPC_INT64_ARRAY(struct brim, numbers, count, .doc = "so many", .items = {0, NUMBERS_MAX}),
    RPC_BOOL(struct brim, fail, .doc = "whether it fails", .default_json = "false")};
static const rpc_shape brim_shape = RPC_OBJECT_SHAPE(struct brim, brim_fields);

struct level {
    int32_t count;
    const char *text;
};

static const rpc_field level_fields[] = {
    RPC_INT32(struct level, count, .doc = "how many"),
    RPC_STRING(struct level, text, .doc = "likewise", .optional = true, .length = {0, 100})};
static const rpc_shape level_shape = RPC_OBJECT_SHAPE(struct level, level_fields);

static rpc_status answer(rpc_call *call, const struct brim *brim, struct level *level)
{
    *level = (struct level){.count = (int32_t)brim->count, .text = rpc_printf(call, "%zu", brim->count)};
    if (!level->text)
        return RPC_INTERNAL_ERROR;
    return brim->fail ? rpc_raise_with(call, "full", level, "%zu is \xFF", brim->count) : RPC_OK;
}

static rpc_status run(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state;
    return answer(call, params, result);
}

static rpc_status run_slowly(rpc_call *call, void *state, const void *params, void *result)
{
    struct brim *copy = rpc_alloc(call, sizeof *copy);
    (void)state, (void)result;
    if (!copy)
        return RPC_INTERNAL_ERROR;
    *copy = *(const struct brim *)params;
    return rpc_start(call, "lane", copy);
}

static void work(rpc_job *job, void *data)
{
    (void)job, (void)data;
}

static rpc_status done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)state, (void)outcome;
    return answer(call, data, result);
}

static const rpc_error errors[] = {{.code = "full", .doc = "as asked for", .data = &level_shape}};
static const rpc_event events[] = {{.name = "brimmed", .doc = "it has run", .data = &level_shape}};
static const rpc_method methods[] = {{.name = "brim",
                                      .params = &brim_shape,
                                      .result = &level_shape,
                                      .errors = RPC_TABLE(errors),
                                      .event = "brimmed",
                                      .run = run},
                                     {.name = "brim.work",
                                      .params = &brim_shape,
                                      .result = &level_shape,
                                      .errors = RPC_TABLE(errors),
                                      .run = run_slowly,
                                      .work = work,
                                      .done = done}};
static const rpc_module brims = {
    .name = "brims", .doc = "fills", .methods = RPC_TABLE(methods), .events = RPC_TABLE(events)};

/* ---- Payloads, whose %s is filled with xxx or with 0,0,0, ---- */

#define NUMBERS "\"numbers\":[%s0]"

static const struct filling {
    const char *topic, *payload, *response_topic;
} fillings[] = {
    {"rpc/call/now", "{\"n\":1,\"pad\":\"%s\"}", "r"},
    {"rpc/call/now", "{\"n\":1,\"pad\":\"%s\"}", NULL},
    {"rpc/call/now", "{\"n\":1,\"fail\":true,\"pad\":\"%s\"}", "r"},
    {"rpc/call/now", "{\"n\":1,\"pad\":\"%s\",\"request_id\":7.5}", NULL},
    {"rpc/call/now", "{\"n\":1,\"request_id\":\"x%s\"}", NULL},
    {"rpc/call/now", "{\"jsonrpc\":\"2.0\",\"method\":\"now\",\"id\":1,\"params\":{\"n\":1,\"pad\":\"%s\"}}",
     NULL},
    {"rpc/call/now", "{\"jsonrpc\":\"2.0\",\"method\":\"now\",\"id\":1e+7,\"params\":[1],\"pad\":\"%s\"}",
     NULL},
    {"rpc/call/now", "{\"jsonrpc\":\"2.0\",\"method\":\"now\",\"id\":\"+\",\"params\":[1],\"pad\":\"%s\"}",
     NULL},
    {"rpc/call/work", "{\"n\":1,\"pad\":\"%s\"}", "r"},
    {"rpc/call/work",
     "{\"jsonrpc\":\"2.0\",\"method\":\"work\",\"id\":\"a:1\",\"params\":[1],\"pad\":\"%s\"}", NULL},
    {"rpc/batch/now", "[{\"n\":1,\"pad\":\"%s\"},{\"n\":2},{\"n\":1,\"n\":1}]", "r"},
    {"rpc/batch/work", "[{\"n\":1},{\"n\":2,\"pad\":\"%s\"}]", "r"},
    {"rpc/batch/now", "{\"request_id\":\"1\",\"pad\":\"%s\",\"calls\":[{\"n\":1}]}", NULL},
    {"rpc/call/now", "{\"request_id\":7,\"pad\":\"%s\",", NULL},
    {"rpc/call/bytes", "%s", "r"},
    {"rpc/call/bytes", "%s", NULL},
    {"rpc/call/shapes/null",
     "{\"pad\":\"%s\",\"list\":[\"small\"],\"inners\":[{},{\"number\":1}],\"any\":[1]}", "r"},
    {"rpc/call/setGate", "{\"pad\":\"%s\",\"gate\":\"a\",\"open\":true}", NULL},
    {"rpc/call/setGate", "{\"pad\":\"%s\",\"gate\":\"stuck\",\"open\":true}", "r"},
    {"rpc/call/rpc.list", "{\"pad\":\"%s\"}", "r"},
    {"rpc/call/rpc.describe", "{\"method\":\"now\",\"pad\":\"%s\"}", "r"},
    {"rpc/call/rpc.discover", "{\"pad\":\"%s\"}", "r"},
    {"rpc/call/nope", "{\"request_id\":\"1\",\"pad\":\"%s\"}", NULL},
    {"rpc/call/brim", "{" NUMBERS "}", "r"},
    {"rpc/call/brim", "{" NUMBERS "}", NULL},
    {"rpc/call/brim", "{" NUMBERS ",\"fail\":true}", "r"},
    {"rpc/call/brim", "{" NUMBERS ",\"fail\":true,\"request_id\":\"1\"}", NULL},
    {"rpc/call/brim.work", "{" NUMBERS "}", "r"},
    {"rpc/call/brim.work", "{" NUMBERS ",\"fail\":true}", "r"},
    {"rpc/call/brim.work",
     "{\"jsonrpc\":\"2.0\",\"method\":\"brim.work\",\"id\":\"a:1\",\"params\":{" NUMBERS "}}", NULL},
    {"rpc/batch/brim.work", "[{" NUMBERS "},{" NUMBERS "}]", "r"},
};

static struct rig rig;
static char payload[2 * NUMBERS_MAX];

static size_t append(size_t used, const char *text, size_t size)
{
    ck_assert_uint_lt(used + size, sizeof payload);
    memcpy(payload + used, text, size);
    payload[used + size] = '\0';
    return used + size;
}

/* Takes this many bytes: of the tree, or of the parameters as numbers. */
static void fill(const struct filling *filling, size_t bytes)
{
    const bool is_numbers = strstr(filling->payload, NUMBERS) != NULL;
    const char *unit = is_numbers ? "0," : "x", *at = filling->payload, *hole;
    size_t used = 0;
    for (; (hole = strstr(at, "%s")); at = hole + 2) {
        used = append(used, at, (size_t)(hole - at));
        for (size_t i = 0; i < (is_numbers ? bytes / sizeof(int64_t) : bytes); i++)
            used = append(used, unit, strlen(unit));
    }
    append(used, at, strlen(at));
}

static void open_rig(void)
{
    works_init(&rig);
    rig.options.max_reply = 1 << 18;
    works_open(&rig);
    rig_add(&rig, &brims, NULL);
    rig_add(&rig, &rpc_module_rpc, NULL);
    rig_add(&rig, &rpc_module_gate, NULL);
    rig_add(&rig, &rpc_module_shapes, NULL);
    rig_add(&rig, &rpc_module_watch, NULL);
}

/* What may be said without memory: that there is none, or an error without its members. */
static bool is_excuse(const char *text, const char *usual)
{
    static const char full[] = "\"err\":\"full\"";
    return strstr(text, "internal_error") || strstr(text, "\"err\":\"overloaded\"") ||
           (strstr(text, full) && strstr(usual, full));
}

static void check_replies(const char *usual, size_t bytes, size_t n)
{
    const struct fake_box *replies = &rig.host.replies;
    ck_assert_uint_le(replies->count, 1);
    if (replies->count && !is_excuse(replies->kept[0].text, usual))
        ck_assert_msg(strcmp(replies->kept[0].text, usual) == 0,
                      "%zu bytes, allocation %zu failed: %s, not %s", bytes, n, replies->kept[0].text, usual);
}

static void finish(void)
{
    if (engine_has_pending(rig.engine))
        works_finish(&rig);
}

static void keep_usual(const struct filling *filling, char usual[FAKE_TEXT])
{
    rig_send(&rig, filling->topic, payload, filling->response_topic, NULL);
    finish();
    snprintf(usual, FAKE_TEXT, "%s", rig.host.replies.count ? rig.host.replies.kept[0].text : "");
    fake_host_forget(&rig.host);
}

/* The n-th allocation fails, or all from it on, for each n. */
static void send_without(const struct filling *filling, enum failing_mode mode, size_t bytes,
                         const char *usual)
{
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        ck_assert_uint_lt(n, PLENTY);
        failing_arm(mode, n);
        const enum engine_verdict verdict =
            rig_send(&rig, filling->topic, payload, filling->response_topic, NULL);
        failed = failing_disarm();
        ck_assert_int_eq(verdict, ENGINE_CONSUME);
        finish();
        check_replies(usual, bytes, n);
        fake_host_forget(&rig.host);
    }
}

START_TEST(fills)
{
    const struct filling *filling = &fillings[_i];
    open_rig();
    for (size_t bytes = 0; bytes <= PAD_MAX; bytes += STEP) {
        char usual[FAKE_TEXT];
        fill(filling, bytes);
        keep_usual(filling, usual);
        send_without(filling, FAILING_ONCE, bytes, usual);
        send_without(filling, FAILING_FROM, bytes, usual);
    }
    works_close(&rig);
    ck_assert_uint_eq(failing_live(), 0);
}
END_TEST

UNIT_MAIN("full_blocks", failing_install, NULL, {fills, UNIT_ROWS(fillings)})

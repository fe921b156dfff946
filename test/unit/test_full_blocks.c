// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Failing allocations in calls that fill the first block of their arena to any degree. A block has room for
 * most calls, so that test_memory.c, which lets each allocation of the C library fail, does not reach what
 * takes memory of an arena. Here a member that nobody declares fills the block more and more, so that each
 * piece is in turn the first one that does not fit. A call must come to what it comes to with memory, or to
 * internal_error or overloaded; and nothing leaks.
 */
#include "unit.h"
#include "works.h"

#include "base/arena.h"
#include "failing_malloc.h"

#include <stdio.h>
#include <string.h>

enum { STEP = ARENA_UNIT, PAD_MAX = ARENA_FIRST, PLENTY = 1000, PAYLOAD_MAX = PAD_MAX + 400 };

extern const rpc_module rpc_module_rpc, rpc_module_gate, rpc_module_shapes, rpc_module_watch;

/* Payloads, whose %s is filled. */
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
    {"rpc/call/watch.decode", "{\"text\":\"{\\\"word\\\":\\\"a\\\"}\",\"pad\":\"%s\"}", "r"},
    {"rpc/call/nope", "{\"request_id\":\"1\",\"pad\":\"%s\"}", NULL},
};

static struct rig rig;
static char payload[PAYLOAD_MAX];

static void fill(const struct filling *filling, size_t size)
{
    char pad[PAD_MAX + 1];
    memset(pad, 'x', size);
    pad[size] = '\0';
    const char *at = strstr(filling->payload, "%s");
    snprintf(payload, sizeof payload, "%.*s%s%s", (int)(at - filling->payload), filling->payload, pad,
             at + 2);
}

static void open_rig(void)
{
    works_init(&rig);
    rig.options.max_reply = 1 << 18;
    works_open(&rig);
    rig_add(&rig, &rpc_module_rpc, NULL);
    rig_add(&rig, &rpc_module_gate, NULL);
    rig_add(&rig, &rpc_module_shapes, NULL);
    rig_add(&rig, &rpc_module_watch, NULL);
}

/* What is said without memory. */
static bool is_excuse(const char *text)
{
    return strstr(text, "internal_error") || strstr(text, "\"err\":\"overloaded\"");
}

static void check_replies(const char *usual, size_t pad, size_t n)
{
    const struct fake_box *replies = &rig.host.replies;
    ck_assert_uint_le(replies->count, 1);
    if (replies->count && !is_excuse(replies->kept[0].text))
        ck_assert_msg(strcmp(replies->kept[0].text, usual) == 0,
                      "%zu bytes, allocation %zu failed: %s, not %s", pad, n, replies->kept[0].text, usual);
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

/* All allocations fail from the n-th on, for each n. */
static void send_without(const struct filling *filling, size_t pad, const char *usual)
{
    bool failed = true;
    for (size_t n = 0; failed; n++) {
        ck_assert_uint_lt(n, PLENTY);
        failing_arm(FAILING_FROM, n);
        const enum engine_verdict verdict =
            rig_send(&rig, filling->topic, payload, filling->response_topic, NULL);
        failed = failing_disarm();
        ck_assert_int_eq(verdict, ENGINE_CONSUME);
        finish();
        check_replies(usual, pad, n);
        fake_host_forget(&rig.host);
    }
}

START_TEST(fills)
{
    const struct filling *filling = &fillings[_i];
    open_rig();
    for (size_t pad = 0; pad <= PAD_MAX; pad += STEP) {
        char usual[FAKE_TEXT];
        fill(filling, pad);
        keep_usual(filling, usual);
        send_without(filling, pad, usual);
    }
    works_close(&rig);
    ck_assert_uint_eq(failing_live(), 0);
}
END_TEST

UNIT_MAIN("full_blocks", failing_install, NULL, {fills, UNIT_ROWS(fillings)})

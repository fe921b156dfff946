// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What pending calls hold: nothing that they do not need; max_pending_bytes, and whose call is evicted for
 * it. */
#include "sound.h"
#include "unit.h"
#include "works.h"

#include "call/engine_parts.h"
#include "call/exchange.h"
#include "call/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALL = 12000, /* more bytes than a call with few parameters holds */ LARGE = 60000 };

static struct rig rig;
static struct works_slot *const slots = works_slots;
static char contexts[4]; /* their addresses stand for connections */
static char large[LARGE + 200];

static void open_rig(void)
{
    works_init(&rig);
    rig.client.connection = &contexts[0];
}

static void close_rig(void)
{
    works_finish(&rig);
    ck_assert_uint_eq(rig.engine->slots.bytes, 0);
    ck_assert_uint_eq(rig.engine->slots.count, 0);
    works_close(&rig);
}

static size_t held(void)
{
    return rig.engine->slots.bytes;
}

static void be_client(const char *id, const void *connection)
{
    rig.client.id = id;
    rig.client.connection = connection;
}

static const char *overloaded(void)
{
    const struct fake_message *reply = rig_last(&rig.host.replies);
    ck_assert_str_eq(reply->status, "overloaded");
    return reply->client;
}

/* A text that begins and ends as it is said, with as many of these values between as fit. */
static const char *make_large(const char *head, const char *value, const char *tail)
{
    size_t used = (size_t)snprintf(large, sizeof large, "%s%s", head, value);
    while (used < LARGE)
        used += (size_t)snprintf(large + used, sizeof large - used, ",%s", value);
    snprintf(large + used, sizeof large - used, "%s", tail);
    return large;
}

/* ---- What is not needed is not held ---- */

static const struct style {
    const char *topic, *head, *value, *tail, *response_topic, *text;
} styles[] = {
    {"rpc/call/wait", "{\"n\":1,\"lane\":\"a\",\"j\":[", "0", "]}", "r", "{\"n\":1,\"by\":\"done\"}"},
    {"rpc/call/wait", "{\"n\":1,\"request_id\":\"x\",\"j\":[", "\"\"", "]}", NULL,
     "{\"request_id\":\"x\",\"result\":{\"n\":1,\"by\":\"done\"}}"},
    {"rpc/call/wait", "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":{\"n\":1},\"id\":\"x:y\",\"j\":[",
     "[]", "]}", NULL, "{\"jsonrpc\":\"2.0\",\"id\":\"x:y\",\"result\":{\"n\":1,\"by\":\"done\"}}"},
    {"rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":{\"n\":1},\"id\":1.5,\"j\":[", "{}",
     "]}", NULL, "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"result\":{\"n\":1,\"by\":\"done\"}}"},
    {"rpc/jsonrpc",
     "[{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":{\"n\":1},\"id\":12345678901234567890,\"j\":[",
     "1", "]}]", NULL,
     "[{\"jsonrpc\":\"2.0\",\"id\":12345678901234567890,\"result\":{\"n\":1,\"by\":\"done\"}}]"},
    {"rpc/batch/wait", "[{\"n\":1,\"j\":[", "true", "]}]", "r", "[{\"result\":{\"n\":1,\"by\":\"done\"}}]"},
    {"rpc/batch/wait", "{\"request_id\":\"x\",\"calls\":[{\"n\":1,\"j\":[", "null", "]}]}", NULL,
     "{\"request_id\":\"x\",\"result\":[{\"result\":{\"n\":1,\"by\":\"done\"}}]}"},
};

START_TEST(the_tree_is_not_held)
{
    const struct style *row = &styles[_i];
    rig.options.dead_payload = false;
    works_open(&rig);
    works_send(&rig, row->topic, make_large(row->head, row->value, row->tail), row->response_topic, NULL);
    ck_assert_int_eq(slots[1].pending, 1);
    ck_assert_ptr_null(slots[1].call->exchange->payload.tree);
    ck_assert_uint_eq(slots[1].call->exchange->payload.arena.bytes, 0);
    ck_assert_uint_ge(held(), sizeof(struct exchange));
    ck_assert_uint_lt(held(), CALL);
    works_call(&rig, "tell", 1);
    ck_assert_str_eq(rig.host.replies.kept[0].text, row->text);
    ck_assert_uint_eq(held(), 0);
}
END_TEST

/* For a dead letter the parameters are held as text, once, and count. */
START_TEST(the_text_is_held_for_a_letter)
{
    const struct style *row = &styles[_i];
    const char *payload = make_large(row->head, row->value, row->tail);
    works_open(&rig);
    works_send(&rig, row->topic, payload, row->response_topic, NULL);
    ck_assert_int_eq(slots[1].pending, 1);
    ck_assert_ptr_null(slots[1].call->exchange->payload.tree);
    ck_assert_uint_lt(held(), CALL + strlen(payload));
    works_call(&rig, "tell", 1);
    ck_assert_str_eq(rig.host.replies.kept[0].text, row->text);
    ck_assert_uint_eq(held(), 0);
}
END_TEST

/* Strings that were decoded are the call's own. */
START_TEST(the_parameters_are_held)
{
    char payload[300];
    works_open(&rig);
    snprintf(payload, sizeof payload, "{\"n\":1,\"lane\":\"\\u00e4%.*d\"}", 30, 0);
    works_send(&rig, "rpc/call/wait", payload, "r", NULL);
    works_call(&rig, "tell", 1); /* done compares the lane */
    ck_assert_str_eq(rig.host.replies.kept[0].text, "{\"n\":1,\"by\":\"done\"}");
    works_send(&rig, "rpc/call/bytes", make_large("", "x", ""), "r", NULL);
    rig_wait(&rig, 3);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok");
}
END_TEST

START_TEST(raw_bytes_are_held)
{
    slots[WORKS_BYTES].shut = true;
    works_open(&rig);
    works_send(&rig, "rpc/call/bytes", make_large("", "x", ""), "r", NULL);
    ck_assert_uint_ge(held(), LARGE);
    ck_assert_uint_lt(held(), LARGE + CALL);
    works_let_go(&rig, WORKS_BYTES);
    ck_assert_uint_eq(held(), 0);
}
END_TEST

/* ---- The limit ---- */

static void send_large(const char *method, const char *head)
{
    char topic[64];
    snprintf(topic, sizeof topic, "rpc/call/%s", method);
    works_send(&rig, topic, make_large(head, "x", ""), "r", NULL);
}

/* As many calls with large Correlation Data as fit. Returns how many were not refused. */
static int fill(const char *id, void *connection, int n)
{
    char payload[32];
    const size_t before = rig.host.replies.count;
    be_client(id, connection);
    const char *correlation = make_large("", "c", "");
    int sent = 0;
    for (; rig.host.replies.count == before; sent++) {
        snprintf(payload, sizeof payload, "{\"n\":%d}", n + sent);
        works_send(&rig, "rpc/call/wait", payload, "r", correlation);
    }
    return sent - 1;
}

START_TEST(the_limit_is_reached)
{
    rig.options.max_pending_bytes = 5 * (LARGE + CALL);
    works_open(&rig);
    ck_assert_int_eq(fill("tester", &contexts[0], 1), 5);
    works_expect(
        &rig, 1, "overloaded",
        WORKS_ERROR("wait", "overloaded",
                    "the calls that wait hold as many bytes as max_pending_bytes allows, which is 360000"));
    ck_assert_int_eq(slots[6].pending, 0);
    ck_assert_uint_eq(engine_counters(rig.engine)->overloaded, 1);
    ck_assert_uint_le(held(), 5 * (LARGE + CALL));
    works_call(&rig, "tell", 1);
    ck_assert_int_eq(fill("tester", &contexts[0], 7), 1);
}
END_TEST

/* A call that is larger than all may be is refused, and nothing is evicted for it. */
START_TEST(too_large_for_all)
{
    rig.options.max_pending_bytes = LARGE;
    works_open(&rig);
    for (int n = 1; n <= 3; n++)
        works_call(&rig, "wait", n);
    be_client("other", &contexts[1]);
    send_large("bytes", "");
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_str_eq(overloaded(), "other");
    for (int n = 1; n <= 3; n++)
        ck_assert_int_eq(slots[n].dones, 0);
}
END_TEST

/* One client that holds all does not lock out others: it loses its newest calls to who holds less. */
START_TEST(the_largest_is_evicted)
{
    rig.options.max_pending_bytes = 5 * (LARGE + CALL);
    works_open(&rig);
    ck_assert_int_eq(fill("tester", &contexts[0], 1), 5);
    const size_t before = rig.host.replies.count;
    be_client("other", &contexts[1]);
    for (int n = 11; n <= 14; n++)
        works_call(&rig, "wait", n);
    ck_assert_uint_eq(rig.host.replies.count, before + 1);
    ck_assert_str_eq(overloaded(), "tester");
    ck_assert_str_eq(
        rig_last(&rig.host.replies)->text,
        WORKS_ERROR("wait", "overloaded", "the calls that wait hold too many bytes: see max_pending_bytes"));
    ck_assert_int_eq(slots[5].outcome, RPC_OVERLOADED);
    for (int n = 11; n <= 14; n++)
        ck_assert_int_eq(slots[n].pending, 1);
    /* Who has as much as the other gets no more. */
    fill("other", &contexts[1], 15);
    const int first = slots[3].dones;
    ck_assert_int_eq(slots[1].dones + slots[2].dones, 0);
    fill("tester", &contexts[0], 21);
    ck_assert_int_eq(slots[3].dones, first);
    for (int n = 11; n <= 14; n++)
        ck_assert_int_eq(slots[n].dones, 0);
}
END_TEST

/* What a handler allocates is counted when it has returned. */
static rpc_status allocates(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    const rpc_status status = rpc_defer(call, NULL);
    return rpc_alloc(call, LARGE) ? status : RPC_INTERNAL_ERROR;
}

static rpc_status ends(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)call, (void)state, (void)data, (void)result;
    return outcome;
}

START_TEST(handlers_memory_counts)
{
    works_hooks = (struct works_hooks){.run = allocates, .done = ends};
    rig.options.max_pending_bytes = 2 * LARGE;
    works_open(&rig);
    works_call(&rig, "half", 1);
    ck_assert_uint_ge(held(), LARGE);
    works_call(&rig, "half", 2);
    ck_assert_uint_ge(held(), 2 * LARGE);
    works_call(&rig, "half", 3);
    ck_assert_str_eq(overloaded(), "tester");
    works_pass(&rig, 10000);
}
END_TEST

/* Of a batch each item that is pending counts, and what is set aside. */
START_TEST(batches_count)
{
    works_open(&rig);
    works_send(&rig, "rpc/batch/wait", "[{\"n\":1},{\"n\":2},{\"n\":3}]", "r", NULL);
    ck_assert_uint_ge(held(), sizeof(struct exchange) + 2 * sizeof(rpc_call));
    const size_t before = held();
    works_send(&rig, "rpc/batch/wait", make_large("[{\"n\":4},{\"n\":\"", "x", "\"}]"), "r", NULL);
    ck_assert_uint_gt(held(), before);
    works_call(&rig, "tell", 4);
    ck_assert_uint_eq(held(), before);
    for (int n = 1; n <= 2; n++)
        works_call(&rig, "tell", n);
    ck_assert_uint_ge(held(), sizeof(struct exchange));
    works_call(&rig, "tell", 3);
    ck_assert_uint_eq(held(), 0);
}
END_TEST

/* ---- Copies ---- */

/* Sixteen copies of a call share its Correlation Data, and each gets it back. */
START_TEST(copies_share)
{
    enum { COPIES = 16 };
    rig.options.duplicate_window = 60000;
    works_open(&rig);
    const char *correlation = make_large("", "c", "");
    for (int i = 0; i <= COPIES; i++)
        works_send(&rig, "rpc/call/wait", "{\"n\":1}", "r", correlation);
    ck_assert_int_eq(slots[1].pending, 1);
    ck_assert_uint_gt(held(), LARGE + COPIES * sizeof(struct destination));
    ck_assert_uint_lt(held(), LARGE + CALL + COPIES * 1000);
    works_call(&rig, "tell", 1);
    ck_assert_uint_eq(rig.host.replies.count, COPIES + 2);
    for (int i = 0; i <= COPIES; i++)
        ck_assert_uint_eq(rig.host.replies.kept[i].correlation_size, strlen(correlation));
    ck_assert_uint_eq(held(), 0);
}
END_TEST

/* A copy holds more than its destination: fewer than COPIES fit. */
START_TEST(copies_count)
{
    enum { COPIES = 16, MAX = sizeof(struct exchange) + COPIES * sizeof(struct destination) };
    rig.options.duplicate_window = 60000;
    rig.options.max_pending_bytes = MAX;
    works_open(&rig);
    for (int i = 0; i <= COPIES; i++)
        works_send(&rig, "rpc/call/wait", "{\"n\":1}", "r", "sixteen-bytes-id");
    ck_assert_int_eq(slots[1].pending, 1);
    ck_assert_uint_le(held(), MAX);
    works_call(&rig, "tell", 1);
    ck_assert_uint_gt(rig.host.replies.count, 2);
    ck_assert_uint_lt(rig.host.replies.count, COPIES + 1);
}
END_TEST

/* Nor is what the items of a batch share. */
START_TEST(batches_leave_as_a_whole)
{
    rig.options.max_pending_bytes = 9 * LARGE;
    works_open(&rig);
    be_client("quiet", &contexts[1]);
    for (int n = 1; n <= 3; n++) {
        char payload[32];
        snprintf(payload, sizeof payload, "{\"n\":%d}", n);
        works_send(&rig, "rpc/call/wait", payload, "r", make_large("", "c", ""));
    }
    be_client("tester", &contexts[0]);
    for (int n = 11; n <= 14; n++) {
        char payload[64];
        snprintf(payload, sizeof payload, "[{\"n\":%d},{\"n\":%d}]", n, 10 + n);
        works_send(&rig, "rpc/batch/wait", payload, "r", make_large("", "c", ""));
    }
    be_client("other", &contexts[3]);
    slots[WORKS_BYTES].shut = true;
    const char *bytes = make_large("", "c", "");
    works_send(&rig, "rpc/call/bytes", bytes, "r", bytes);
    ck_assert_int_eq(slots[WORKS_BYTES].pending, 1);
    for (int n = 1; n <= 3; n++)
        ck_assert_int_eq(slots[n].dones, 0);
    ck_assert_int_eq(slots[11].dones, 0);
}
END_TEST

/* The copies of a call are no burden for others: they leave with it, and no call of another client has to. */
START_TEST(copies_leave_with_their_call)
{
    static char name[LARGE / 3];
    memset(name, 'i', sizeof name - 1);
    rig.options.duplicate_window = 60000;
    rig.options.max_pending_bytes = 19 * (LARGE / 2);
    works_open(&rig);
    be_client("quiet", &contexts[1]);
    for (int n = 1; n <= 3; n++) {
        char payload[32];
        snprintf(payload, sizeof payload, "{\"n\":%d}", n);
        works_send(&rig, "rpc/call/wait", payload, "r", make_large("", "c", ""));
    }
    be_client(name, &contexts[2]);
    for (int i = 0; i <= 16; i++)
        works_send(&rig, "rpc/call/wait", "{\"n\":11}", "r", "sixteen-bytes-id");
    ck_assert_uint_gt(held(), 9 * LARGE);
    be_client("other", &contexts[3]);
    slots[WORKS_BYTES].shut = true;
    const char *bytes = make_large("", "c", "");
    works_send(&rig, "rpc/call/bytes", bytes, "r", bytes);
    ck_assert_int_eq(slots[11].outcome, RPC_OVERLOADED);
    ck_assert_int_eq(slots[WORKS_BYTES].pending, 1);
    for (int n = 1; n <= 3; n++)
        ck_assert_int_eq(slots[n].dones, 0);
}
END_TEST

/* ---- Work that hangs keeps its exchange ---- */

static rpc_status start_slowly(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)result;
    if (((const struct works_params *)params)->n == 1)
        rpc_call_set_timeout(call, 50);
    return rpc_start(call, NULL, (void *)(uintptr_t)params);
}

static void wait_for_go(rpc_job *job, void *data)
{
    struct works_slot *slot = &works_slots[((const struct works_params *)data)->n];
    (void)job;
    sem_post(&slot->begun);
    while (sem_wait(&slot->go) != 0)
        continue;
}

static rpc_status return_much(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)state, (void)outcome;
    *(struct works_result *)result =
        (struct works_result){((const struct works_params *)data)->n, rpc_printf(call, "%0*d", CALL, 0)};
    return RPC_OK;
}

/* The outcomes of a batch are counted as long as they are there, also when the last one is known. */
START_TEST(the_last_outcome_counts)
{
    works_hooks = (struct works_hooks){start_slowly, wait_for_go, return_much};
    works_open(&rig);
    works_send(&rig, "rpc/batch/act", "[{\"n\":1},{\"n\":2}]", "r", NULL);
    works_wait_begun(1);
    works_wait_begun(2);
    works_pass(&rig, 60);
    sem_post(&slots[2].go);
    rig_wait(&rig, 1);
    ck_assert_uint_ge(held(), CALL);
    sound_tasks(rig.engine);
    sem_post(&slots[1].go);
    rig_settle(&rig);
}
END_TEST

UNIT_MAIN("pending_bytes", open_rig, close_rig, {the_tree_is_not_held, UNIT_ROWS(styles)},
          {the_text_is_held_for_a_letter, UNIT_ROWS(styles)}, {the_parameters_are_held, 0},
          {raw_bytes_are_held, 0}, {the_limit_is_reached, 0}, {too_large_for_all, 0},
          {the_largest_is_evicted, 0}, {handlers_memory_counts, 0}, {batches_count, 0}, {copies_share, 0},
          {copies_count, 0}, {batches_leave_as_a_whole, 0}, {copies_leave_with_their_call, 0},
          {the_last_outcome_counts, 0})

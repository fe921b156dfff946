// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/call/task.c: the lane of a method that names the parameter whose value it is. */
#include "rig.h"
#include "unit.h"

#include "call/engine_parts.h"
#include "call/task.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;
static bool again; /* done starts work once more */

/* ---- A module ---- */

struct params {
    const char *text;
    int32_t small;
    int64_t large;
    int choice;
    const char *says; /* the lane that it gives rpc_start(); NULL: none */
};

static const char *const choices[] = {"red", "green"};

static const rpc_field fields[] = {
    RPC_STRING(struct params, text, .name = "name", .doc = "a lane", .length = {0, 200}),
    RPC_INT32(struct params, small, .doc = "a lane"),
    RPC_INT64(struct params, large, .doc = "a lane"),
    RPC_CHOICE(struct params, choice, .doc = "a lane", .choices = RPC_TABLE(choices)),
    RPC_STRING(struct params, says, .doc = "what run says", .optional = true, .length = {0, 200}),
};
static const rpc_shape shape = RPC_OBJECT_SHAPE(struct params, fields);

/* Notes the lane that the engine has taken. */
static char taken[256];

static void work(rpc_job *job, void *data)
{
    (void)data;
    const struct task *task = (const struct task *)(void *)job;
    snprintf(taken, sizeof taken, "%s", task->has_lane ? task->lane : "none");
}

static rpc_status run(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)result;
    const struct params *given = params;
    return rpc_start(call, given->says, (void *)(uintptr_t)given->says);
}

static rpc_status end(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)state, (void)result;
    const bool starts = again;
    again = false;
    return starts ? rpc_start(call, data, data) : outcome;
}

#define METHOD(lane_)                                                                               \
    {                                                                                               \
        .name = "by_" lane_, .params = &shape, .lane = lane_, .run = run, .work = work, .done = end \
    }
static const rpc_method methods[] = {
    METHOD("name"),
    METHOD("small"),
    METHOD("large"),
    METHOD("choice"),
    {.name = "free", .params = &shape, .run = run, .work = work, .done = end}};
static const rpc_module module = {.name = "lanes", .methods = RPC_TABLE(methods)};

static void open_rig(void)
{
    rig_open(&rig, &module);
    again = false;
}

static void close_rig(void)
{
    rig_close(&rig);
}

/* ---- The tests ---- */

static const struct lane {
    const char *method, *says;
    const char *taken;
    const char *fault; /* what the log says; NULL: nothing */
} lanes[] = {
    {"by_name", "\"door\"", "door", NULL},
    {"by_small", "\"-7\"", "-7", NULL},
    {"by_large", "\"9007199254740993\"", "9007199254740993", NULL},
    {"by_choice", "\"green\"", "green", NULL},
    {"free", "\"any\"", "any", NULL},
    {"free", NULL, "none", NULL},
    {"by_name", "\"gate\"", "door",
     "method by_name starts work in lane gate, and not in the lane that its parameter name names: door"},
    {"by_name", "\"doo\"", "door",
     "method by_name starts work in lane doo, and not in the lane that its parameter name names: door"},
    {"by_small", "\"7\"", "-7",
     "method by_small starts work in lane 7, and not in the lane that its parameter small names: -7"},
    {"by_choice", NULL, "green",
     "method by_choice starts work in no lane, and not in the lane that its parameter choice names: green"},
};

static void call(const struct lane *row)
{
    char payload[256];
    snprintf(payload, sizeof payload,
             "{\"name\":\"door\",\"small\":-7,\"large\":9007199254740993,\"choice\":\"green\"%s%s}",
             row->says ? ",\"says\":" : "", row->says ? row->says : "");
    char topic[64];
    snprintf(topic, sizeof topic, "rpc/call/%s", row->method);
    rig_send(&rig, topic, payload, RIG_REPLY, NULL);
    rig_settle(&rig);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok");
}

START_TEST(the_parameter_is_the_lane)
{
    const struct lane *row = &lanes[_i];
    call(row);
    ck_assert_str_eq(taken, row->taken);
    ck_assert_uint_eq(rig.host.line_count, row->fault != NULL);
    if (row->fault)
        ck_assert(fake_host_logged(&rig.host, row->fault));
}
END_TEST

/* Work that done starts is in the same lane: the parameters are still there. */
START_TEST(also_when_work_follows_work)
{
    again = true;
    call(&lanes[_i]);
    ck_assert_str_eq(taken, lanes[_i].taken);
    ck_assert_uint_eq(rig.host.line_count, lanes[_i].fault ? 2 : 0);
}
END_TEST

/* What a caller sends does not come into the log as it is. */
START_TEST(nothing_unprintable_is_logged)
{
    rig_send(&rig, "rpc/call/by_name",
             "{\"name\":\"a\\nb\",\"small\":1,\"large\":1,\"choice\":\"red\",\"says\":\"c\\u001bd\"}",
             RIG_REPLY, NULL);
    rig_settle(&rig);
    ck_assert_uint_eq(rig.host.line_count, 1);
    ck_assert(fake_host_logged(&rig.host, "starts work in lane c\\x1Bd, and not in the lane that its "
                                          "parameter name names: a\\x0Ab"));
}
END_TEST

UNIT_MAIN("lane", open_rig, close_rig, {the_parameter_is_the_lane, UNIT_ROWS(lanes)},
          {also_when_work_follows_work, UNIT_ROWS(lanes)}, {nothing_unprintable_is_logged, 0})

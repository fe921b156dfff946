// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * handlers/device/lane.c where it is hard: many commands that end at once, commands whose time is over when
 * they begin, messages that cannot be published, and the bytes that all commands may hold.
 */
#include "device/module.h"
#include "call/engine_parts.h"
#include "plant.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MANY = 10000, STACK_BYTES = 1 << 20 };

#define OPEN "device/gate/open"

static struct commands *commands(void)
{
    return &((struct device_module *)plant.engine->registry.instances->state)->commands;
}

static struct device *find(const char *name)
{
    return devices_find(commands()->table, name);
}

static struct command *begin(const struct order *order, struct verdict *why)
{
    struct command *command = command_prepare(commands(), order, why);
    if (command)
        command_start(commands(), command);
    return command;
}

/* ---- Many at once ---- */

static size_t ended, unsent;

static void note_end(void *context, const struct verdict *verdict)
{
    (void)context;
    ended++;
    unsent += verdict->state == COMMAND_EXPIRED;
}

static void limit_stack(void)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_STACK, &limit), 0);
    limit.rlim_cur = STACK_BYTES;
    ck_assert_int_eq(setrlimit(RLIMIT_STACK, &limit), 0);
}

/* A mute device has as many commands as may wait, and all are over in one moment. */
START_TEST(a_long_lane_is_over_at_once)
{
    struct verdict why;
    plant_open_with("device_queue", "10000");
    plant_hello("gate", "");
    const struct order order = {.device = find("gate"), .name = "open", .timeout = 1000, .ended = note_end};
    for (int i = 0; i < MANY; i++)
        ck_assert_ptr_nonnull(begin(&order, &why));
    limit_stack();
    plant_pass(1100);
    ck_assert_uint_eq(ended, MANY);
    ck_assert_uint_eq(unsent, MANY - 1);
    ck_assert_uint_eq(commands()->live, 0);
}
END_TEST

/* ---- No time at all ---- */

static const char *const short_times[] = {"timeout-ms", "stale-ms"};

/* Time passes while the handler runs: the command must not end before its call waits for it. */
START_TEST(over_when_it_begins)
{
    plant_hello("gate", "");
    plant_forget();
    plant.host.step = RIG_SECOND / 1000;
    plant_property(short_times[_i], "1");
    plant_call(OPEN, "", "c1");
    plant.host.step = 0;
    plant_pass(100);
    ck_assert_uint_eq(plant.host.line_count, 0);
    ck_assert_uint_eq(plant.host.replies.count, 1);
    ck_assert_uint_eq(commands()->live, 0);
    ck_assert_int_eq(memcmp(plant.host.replies.kept[0].text, "{\"method\"", 9), 0);
}
END_TEST

/* ---- What cannot be published ---- */

/* It is the first all the same, and its number is the first, too. */
START_TEST(it_keeps_its_place)
{
    plant_hello("gate", "");
    plant_forget();
    plant.host.no_memory = true;
    plant_call("device/gate/first", "", "c1");
    plant.host.no_memory = false;
    plant_call("device/gate/second", "", "c2");
    ck_assert_uint_eq(plant_requests(), 0);
    plant_pass(1100);
    ck_assert_uint_eq(plant_requests(), 1);
    ck_assert_ptr_nonnull(strstr(plant_request()->text, "first"));
    ck_assert_str_eq(plant_request()->properties, "seq=1;");
    plant_answer("gate", "\"result\":1}");
    ck_assert_ptr_nonnull(strstr(plant_request()->text, "second"));
    ck_assert_str_eq(plant_request()->properties, "seq=2;");
}
END_TEST

static const char *const large[] = {"rpc/call/" OPEN, "cmd/gate/req"};

/* The engine publishes nothing over max_reply: the caller is told at once, and the lane is free. */
START_TEST(it_is_over_max_reply)
{
    enum { SIZE = 190 };
    char payload[SIZE + 1];
    plant_open_with("device_max_payload", "1000");
    plant_hello("gate", "");
    plant.engine->env.options.max_reply = SIZE - 1;
    plant_forget();
    snprintf(payload, sizeof payload, "{\"id\":\"a%0*d\"}", SIZE - 10, 1);
    plant_publish(large[_i], payload, RIG_REPLY, "c1");
    plant_expect_reply("payload_too_large", "max_reply");
    ck_assert_uint_eq(commands()->live, 0);
}
END_TEST

/* ---- Bytes ---- */

START_TEST(too_many_bytes)
{
    enum { SIZE = 16777000, FIT = LIFE_BYTES_MAX / SIZE };
    struct verdict why;
    char *params = malloc(SIZE + 1);
    ck_assert_ptr_nonnull(params);
    memset(params, '1', SIZE);
    params[SIZE] = '\0';
    plant_open_with("device_max_payload", "16777216");
    plant.engine->env.options.max_reply = 16777216;
    plant_hello("gate", "");
    const struct order order = {
        .device = find("gate"), .name = "open", .timeout = 1000, .params = params, .offline = OFFLINE_WAIT};
    find("gate")->leaving = true; /* none is sent */
    for (int i = 0; i < FIT; i++)
        ck_assert_ptr_nonnull(begin(&order, &why));
    ck_assert_ptr_null(begin(&order, &why));
    ck_assert_str_eq(why.err, "device_busy");
    plant_pass(1100);
    ck_assert_uint_eq(commands()->bytes, 0);
    ck_assert_ptr_nonnull(begin(&order, &why));
    free(params);
}
END_TEST

UNIT_MAIN("device_lane", plant_open, plant_close, {a_long_lane_is_over_at_once, 0},
          {over_when_it_begins, UNIT_ROWS(short_times)}, {it_keeps_its_place, 0},
          {it_is_over_max_reply, UNIT_ROWS(large)}, {too_many_bytes, 0})

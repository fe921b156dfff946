// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Commands of devices without memory: each allocation fails once, and then all from one on. Nothing is lost
 * for good: every command ends, and the next one is carried out. */
#include "base/instance.h"
#include "device/module.h"
#include "failing_malloc.h"
#include "plant.h"
#include "unit.h"
#include <stdio.h>

/* Of the next call, which would be taken for a copy otherwise; and an adopted message with its answer. */
static char identity[24], request[60], answer[60];

enum { ALLOCATIONS_MAX = 2000 };

static void open_without_failures(void)
{
    failing_install();
    plant_open();
    plant_hello("gate", "{\"once\":true}");
    plant_hello("lamp1", "");
    plant_leave("lamp1");
}

/* Functions of Check need memory, so that none is called while allocations fail. */
static void receive(const char *client, const char *to, const char *text, const char *response)
{
    const struct host_client app = plant.client;
    plant.client = (struct host_client){.id = client, .user = "bob", .version = 5};
    rig_send(&plant, to, text, response, response ? identity : NULL);
    plant.client = app;
}

static void call(void)
{
    receive("tester", "rpc/call/device/gate/open", "{\"a\":1}", RIG_REPLY);
}

static void declared(void)
{
    receive("tester", "rpc/call/device/lamp1/light", "{\"on\":true}", RIG_REPLY);
}

static void call_and_answer(void)
{
    call();
    receive("gate", "cmd/gate/resp", "{\"result\":{\"b\":2}}", NULL);
}

static void call_with_a_trace(void)
{
    static const rpc_property context[] = {
        {"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
        {"tracestate", "a=b"},
        {NULL, NULL},
    };
    plant.host.more = context;
    call_and_answer();
    plant.host.more = NULL;
}

static void call_and_fail(void)
{
    call();
    receive("gate", "cmd/gate/resp", "{\"error\":{\"err\":\"jam\",\"msg\":\"stuck\"}}", NULL);
}

static void call_and_repeat(void)
{
    call();
    for (int i = 0; i < 30; i++) {
        plant.host.monotonic += RIG_SECOND / 10;
        engine_tick(plant.engine);
    }
}

static void adopt(void)
{
    receive("tester", "cmd/gate/req", request, NULL);
    receive("gate", "cmd/gate/resp", answer, NULL);
}

static void look(void)
{
    receive("tester", "rpc/call/device.history", "{\"device\":\"gate\"}", RIG_REPLY);
    receive("tester", "rpc/call/device.cancel", "{\"id\":\"nothing1\"}", RIG_REPLY);
    receive("tester", "rpc/call/device.counts", "", RIG_REPLY);
}

/* Fake hosts keep the clock, so that commands of groups leave when it is moved. */
static void call_all(void)
{
    receive("tester", "rpc/call/devices/*/open", "{\"a\":1}", RIG_REPLY);
    plant.host.monotonic += RIG_SECOND / 10;
    engine_tick(plant.engine);
    receive("gate", "cmd/gate/resp", "{\"result\":{\"b\":2}}", NULL);
    plant.host.monotonic += RIG_SECOND / 10;
    engine_tick(plant.engine);
}

static void call_all_declared(void)
{
    receive("tester", "rpc/call/devices/*/light", "{\"on\":true}", RIG_REPLY);
}

static void regroup(void)
{
    receive("tester", "rpc/call/device.group.set", "{\"group\":\"g\",\"devices\":[\"gate\",\"a\"]}",
            RIG_REPLY);
    receive("tester", "rpc/call/device.group.list", "", RIG_REPLY);
}

static void ungroup(void)
{
    receive("tester", "rpc/call/device.group.delete", "{\"group\":\"g\"}", RIG_REPLY);
}

static void (*const acts[])(void) = {call_and_answer,  call_and_fail, call_and_repeat,   adopt,   look,
                                     declared,         call_all,      call_all_declared, regroup, ungroup,
                                     call_with_a_trace};

static void next_identity(void)
{
    static int count;
    snprintf(identity, sizeof identity, "identity %d", ++count);
    snprintf(request, sizeof request, "{\"id\":\"a%d\",\"cmd\":\"open\"}", count);
    snprintf(answer, sizeof answer, "{\"id\":\"a%d\",\"result\":1}", count);
}

/* After all this, the device is commanded as before. */
static void expect_health(void)
{
    plant_pass(15000);
    plant_forget();
    plant_call("device.counts", "", NULL);
    plant_expect_reply("ok", "{\"live\":0,");
    plant_hello("gate", "{\"once\":true}");
    next_identity();
    plant_call("device/gate/open", "", identity);
    plant_answer("gate", "\"result\":1}");
    plant_expect_reply("ok", "1");
    plant_forget();
}

START_TEST(every_allocation_fails)
{
    const enum failing_mode mode = _i % 2 ? FAILING_FROM : FAILING_ONCE;
    size_t n = 0;
    for (bool failed = true; failed; n++) {
        ck_assert_uint_lt(n, ALLOCATIONS_MAX);
        next_identity();
        failing_arm(mode, n);
        acts[_i / 2]();
        failed = failing_disarm();
        expect_health();
    }
    ck_assert_uint_gt(n, 1);
}
END_TEST

/* Other groups come as a whole or not at all, and those before are there until then. */
START_TEST(other_groups)
{
    extern const rpc_module rpc_module_device;
    const enum failing_mode mode = _i ? FAILING_FROM : FAILING_ONCE;
    struct device_module *module = rig_instance(&plant)->state;
    struct device_options options = *module->options;
    rpc_refusal refusal;
    size_t n = 0;
    options.groups = "hall=l1,l2 cellar=l3";
    for (bool failed = true; failed; n++) {
        failing_arm(mode, n);
        const bool worked = engine_prepare_module(plant.engine, &rpc_module_device, &options, &refusal);
        failed = failing_disarm();
        ck_assert_int_eq(worked, !failed);
        ck_assert(worked || strstr(refusal.why, "out of memory"));
        ck_assert_ptr_null(groups_find(&module->groups, "hall"));
    }
    ck_assert_uint_gt(n, 5);
    /* What was prepared is taken without memory. */
    failing_arm(mode, 0);
    engine_reload_module(plant.engine, &rpc_module_device, &options);
    failing_disarm();
    ck_assert(groups_have(&module->groups, "hall", "l2") && groups_have(&module->groups, "cellar", "l3"));
    expect_health();
}
END_TEST

UNIT_MAIN("device_memory", open_without_failures, plant_close, {every_allocation_fails, 2 * UNIT_ROWS(acts)},
          {other_groups, 2})

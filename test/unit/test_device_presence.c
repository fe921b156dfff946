// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * handlers/device/presence.c: who is a device, in which state it is, what is published of it, and who may
 * publish to its topics. The test sets the clock.
 */
#include "base/instance.h"
#include "call/engine_parts.h"
#include "device/module.h"
#include "failing_malloc.h"
#include "rig.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined __GLIBC__ && __GLIBC_PREREQ(2, 33) && !defined __SANITIZE_ADDRESS__ && \
    !defined __SANITIZE_THREAD__
#include <malloc.h>
#define COUNTS_MEMORY 1
#endif

extern const rpc_module rpc_module_device;

enum { LINES = 7, MANY = 1000 };

static struct rig rig;
static struct config *config;
static struct option_line lines[LINES];
static size_t line_count;
static int first, second, third; /* connections */

/* ---- The module ---- */

static void set_option(const char *name, const char *value)
{
    ck_assert_uint_lt(line_count, LINES);
    lines[line_count++] = (struct option_line){.name = name, .value = value};
}

static const void *options_of_module(void)
{
    for (size_t i = 0; i < config->module_count; i++) {
        if (config->modules[i].module == &rpc_module_device)
            return config->modules[i].options;
    }
    ck_abort_msg("the module is not there");
}

static void open_rig(void)
{
    failing_install();
    config = rig_config(lines, line_count);
    rig_init(&rig);
    rig_start(&rig);
    rig_add(&rig, &rpc_module_device, options_of_module());
    rig.host.monotonic++; /* timers are due after their time */
}

static void close_rig(void)
{
    rig_close(&rig);
    config_destroy(config);
}

/* Opens the rig anew with the options that are set. */
static void reopen_rig(void)
{
    close_rig();
    open_rig();
}

static void reopen_with(const char *name, const char *value)
{
    set_option(name, value);
    reopen_rig();
}

static struct device_module *module(void)
{
    return rig.engine->registry.instances->state;
}

static struct device *find(const char *name)
{
    return devices_find(&module()->table, name);
}

/* ---- Signs, messages and time ---- */

static void sign(rpc_sign which, const char *id, const void *connection, const char *filter)
{
    const struct host_client client = {.id = id, .version = 5, .connection = connection};
    engine_presence(rig.engine, &(const struct host_presence){which, &client, filter});
}

static void gone(const char *id, const void *connection)
{
    engine_client_ended(rig.engine, &(const struct host_ending){.id = id, .connection = connection});
}

static void subscribe(const char *id, const void *connection, const char *filter)
{
    sign(RPC_SIGN_CONNECTED, id, connection, NULL);
    sign(RPC_SIGN_SUBSCRIBED, id, connection, filter);
}

/* A client publishes, and the host tells of it first. */
static enum engine_verdict say_as(const char *id, const char *user, const void *connection, const char *topic,
                                  const char *payload)
{
    rig.client = (struct host_client){.id = id, .user = user, .version = 4, .connection = connection};
    engine_presence(rig.engine, &(const struct host_presence){RPC_SIGN_SEEN, &rig.client, NULL});
    return rig_publish(&rig, topic, payload);
}

static enum engine_verdict say(const char *id, const void *connection, const char *topic, const char *payload)
{
    return say_as(id, NULL, connection, topic, payload);
}

static void hello(const char *id, const void *connection)
{
    char topic[200];
    snprintf(topic, sizeof topic, "cmd/%s/hello", id);
    ck_assert_int_eq(say(id, connection, topic, ""), ENGINE_CONSUME);
}

/* Time passes in steps, with a tick after each. */
static void pass(unsigned milliseconds)
{
    for (unsigned left = milliseconds, step; left; left -= step) {
        step = left < 100 ? left : 100;
        rig.host.monotonic += step * (RIG_SECOND / 1000);
        rig.host.wall += step / 1000.0;
        engine_tick(rig.engine);
    }
}

static void expect_state(const char *name, const char *state)
{
    const struct device *device = find(name);
    ck_assert_ptr_nonnull(device);
    ck_assert_str_eq(device_state_names[device->state], state);
}

/* So many statuses were published, the last one with this state. */
static void expect_statuses(size_t count, const char *state)
{
    char text[64];
    ck_assert_uint_eq(rig.host.others.count, count);
    snprintf(text, sizeof text, "\"state\":\"%s\"", state);
    if (count)
        ck_assert_ptr_nonnull(strstr(rig_last(&rig.host.others)->text, text));
    fake_host_forget(&rig.host);
}

/* ---- Hello ---- */

START_TEST(a_hello_makes_a_device)
{
    ck_assert_ptr_null(find("lamp1"));
    hello("lamp1", &first);
    ck_assert_uint_eq(rig.host.others.count, 1);
    const struct fake_message *status = rig_last(&rig.host.others);
    ck_assert_str_eq(status->topic, "cmd/lamp1/status");
    ck_assert_str_eq(status->text, "{\"device\":\"lamp1\",\"state\":\"ready\",\"since\":1700000000.25,"
                                   "\"seen\":1700000000.25,\"why\":\"hello\"}");
    ck_assert(status->retain && status->subscribed && status->qos == 1);
    ck_assert(find("lamp1")->managed && device_is_deliverable(find("lamp1")));
    hello("lamp1", &first);
    ck_assert_uint_eq(rig.host.others.count, 1);
}
END_TEST

/* Versions and QoS make no difference, nor do unknown members. */
static const struct said {
    const char *payload;
    bool once;
    uint32_t ttd;
    const char *kind, *commands;
} hellos[] = {
    {"", false, 0, NULL, NULL},
    {"{}", false, 0, NULL, NULL},
    {"{\"ttd\":30,\"once\":true,\"commands\":[\"light\",\"blink\"],\"kind\":\"lamp\"}", true, 30, "lamp",
     "light blink"},
    {"{\"once\":false,\"commands\":[],\"fw\":{\"v\":[1]}}", false, 0, NULL, ""},
    {"{\"commands\":[\"a b\",\"ok\",\"\\u00e4\"]}", false, 0, NULL, "ok"},
};

START_TEST(what_a_hello_says)
{
    const struct said *row = &hellos[_i];
    for (int version = 3; version <= 5; version++) {
        rig.qos = version - 3;
        rig.client = (struct host_client){.id = "l", .version = version, .connection = &first};
        ck_assert_int_eq(rig_publish(&rig, "cmd/l/hello", row->payload), ENGINE_CONSUME);
        const struct device *device = find("l");
        ck_assert_ptr_nonnull(device);
        ck_assert_int_eq(device->once, row->once);
        ck_assert_uint_eq(device->ttd, row->ttd);
        ck_assert_int_eq(!device->kind, !row->kind);
        ck_assert_int_eq(!device->commands, !row->commands);
        ck_assert(!row->kind || strcmp(device->kind, row->kind) == 0);
        ck_assert(!row->commands || strcmp(device->commands, row->commands) == 0);
    }
}
END_TEST

/* The last hello counts, whatever one before it said. */
START_TEST(a_hello_replaces_the_one_before)
{
    say("l", &first, "cmd/l/hello", hellos[2].payload);
    say("l", &first, "cmd/l/hello", "");
    const struct device *device = find("l");
    ck_assert(!device->once && !device->ttd && !device->kind && !device->commands);
}
END_TEST

static const char *const bad_hellos[] = {
    "{",
    "[]",
    "1",
    "null",
    "{\"ttd\":-1}",
    "{\"ttd\":\"x\"}",
    "{\"ttd\":0}",
    "{\"ttd\":86401}",
    "{\"once\":1}",
    "{\"commands\":\"light\"}",
    "{\"commands\":[1]}",
    "{\"kind\":\"\"}",
    "\xFF",
    "{\"once\":true,\"once\":true}",
};

START_TEST(hellos_that_are_none)
{
    ck_assert_int_eq(say("l", &first, "cmd/l/hello", bad_hellos[_i]), ENGINE_CONSUME);
    ck_assert_ptr_null(find("l"));
    ck_assert(fake_host_logged(&rig.host, "the hello of device l is not taken: "));
    ck_assert_uint_eq(rig.host.others.count, 0);
    hello("l", &first);
    ck_assert_int_eq(say("l", &first, "cmd/l/hello", bad_hellos[_i]), ENGINE_CONSUME);
    expect_state("l", "ready");
}
END_TEST

/* Each name is short enough, and there are not too many. */
START_TEST(a_hello_with_long_commands)
{
    char payload[4000] = "{\"commands\":[";
    for (int i = 0; i < 20; i++)
        snprintf(payload + strlen(payload), sizeof payload - strlen(payload), "%s\"%0120d\"", i ? "," : "",
                 i);
    strcat(payload, "]}");
    ck_assert_int_eq(say("l", &first, "cmd/l/hello", payload), ENGINE_CONSUME);
    ck_assert_ptr_null(find("l"));
    ck_assert(fake_host_logged(&rig.host, "its commands have more than 2048 bytes"));
}
END_TEST

START_TEST(a_hello_of_somebody_else)
{
    ck_assert_int_eq(say("m", &first, "cmd/l/hello", ""), ENGINE_REFUSE);
    ck_assert_int_eq(say("", &first, "cmd/l/hello", ""), ENGINE_REFUSE);
    ck_assert_ptr_null(find("l"));
    ck_assert_uint_eq(engine_counters(rig.engine)->refused, 2);
}
END_TEST

/* ---- Signs ---- */

START_TEST(others_are_no_devices)
{
    ck_assert(!module()->presence.watching);
    sign(RPC_SIGN_CONNECTED, "app", &first, NULL);
    sign(RPC_SIGN_SEEN, "app", &first, NULL);
    sign(RPC_SIGN_SUBSCRIBED, "app", &first, "cmd/+/resp");
    say("app", &first, "any/topic", "x");
    ck_assert_int_eq(say("app", &first, "cmd/lamp1/req", "x"), ENGINE_PASS);
    gone("app", &first);
    ck_assert_ptr_null(module()->table.all);
    ck_assert_uint_eq(rig.host.others.count, 0);
}
END_TEST

/* Each message costs, so that they are asked for only while there is a device. */
START_TEST(messages_are_watched_while_there_are_devices)
{
    ck_assert(!rig.engine->registry.instances->sees_messages);
    hello("l", &first);
    ck_assert(rig.engine->registry.instances->sees_messages);
    presence_forget(&module()->presence, find("l"));
    ck_assert(!rig.engine->registry.instances->sees_messages);
}
END_TEST

START_TEST(an_answer_makes_a_device_that_is_not_managed)
{
    ck_assert_int_eq(say("l", &first, "cmd/l/resp", "{}"), ENGINE_PASS);
    expect_state("l", "online");
    ck_assert(!find("l")->managed && !find("l")->stored);
    ck_assert_uint_eq(rig.host.others.count, 0);
    ck_assert_int_eq(say("m", &second, "cmd/l/resp", "{}"), ENGINE_PASS);
    ck_assert_ptr_null(find("m"));
    hello("l", &first);
    expect_statuses(1, "ready");
}
END_TEST

static const struct filter {
    const char *filter;
    bool listens;
} filters[] = {
    {"cmd/l/req", true},           {"cmd/l/+", true},     {"cmd/l/#", true},
    {"cmd/+/req", false},          {"cmd/#", false},      {"#", false},
    {"cmd/l/resp", false},         {"cmd/l", false},      {"cmd/l/req/x", false},
    {"cmd/m/req", false},          {"cmd/ll/req", false}, {"cmds/l/req", false},
    {"$share/g/cmd/l/req", false},
};

START_TEST(subscriptions)
{
    subscribe("l", &first, filters[_i].filter);
    ck_assert_int_eq(find("l") != NULL, filters[_i].listens);
    if (!filters[_i].listens)
        return;
    expect_state("l", "ready");
    ck_assert(!find("l")->managed);
    hello("l", &first);
    expect_statuses(1, "ready");
}
END_TEST

/* A device that is back may not have subscribed yet, so that commands wait for a moment. */
START_TEST(a_device_that_comes_back_settles)
{
    hello("l", &first);
    gone("l", &first);
    pass(2100);
    expect_statuses(2, "offline");
    sign(RPC_SIGN_CONNECTED, "l", &second, NULL);
    expect_statuses(1, "online");
    ck_assert(find("l")->settling && !device_is_deliverable(find("l")) && device_is_present(find("l")));
    pass(500);
    sign(RPC_SIGN_SEEN, "l", &second, NULL);
    ck_assert(find("l")->settling);
    pass(600);
    ck_assert(device_is_deliverable(find("l")));
    expect_state("l", "online");
    expect_statuses(0, "");
    subscribe("l", &second, "cmd/l/req");
    expect_statuses(1, "ready");
}
END_TEST

START_TEST(a_device_that_listens_need_not_settle)
{
    hello("l", &first);
    gone("l", &first);
    pass(2100);
    sign(RPC_SIGN_CONNECTED, "l", &second, NULL);
    if (_i)
        sign(RPC_SIGN_SUBSCRIBED, "l", &second, "cmd/l/req");
    else
        hello("l", &second);
    ck_assert(device_is_deliverable(find("l")));
    expect_statuses(4, "ready");
    pass(5000);
    expect_statuses(0, "");
}
END_TEST

/* ---- The end of connections ---- */

START_TEST(offline_after_the_grace)
{
    hello("l", &first);
    fake_host_forget(&rig.host);
    gone("l", &first);
    pass(1900);
    expect_state("l", "ready");
    ck_assert(find("l")->leaving && !device_is_deliverable(find("l")) && device_is_present(find("l")));
    expect_statuses(0, "");
    pass(200);
    expect_state("l", "offline");
    ck_assert_str_eq(find("l")->why, "disconnected");
    expect_statuses(1, "offline");
    gone("l", &first);
    pass(5000);
    expect_statuses(0, "");
}
END_TEST

/* The end of the old connection and the signs of the new one come in any order, and more than once: nothing
 * is published. g: the end of the first connection; c, s: signs of the second one; p: half a second passes.
 */
static const char *const takeovers[] = {
    "cg", "gc", "cgg", "gcg", "ggc", "sg", "gs", "gpc", "gps", "gpcg", "cpg", "cpgpsg", "gpppc", "scgg",
};

START_TEST(a_takeover_is_no_event)
{
    hello("l", &first);
    fake_host_forget(&rig.host);
    for (const char *step = takeovers[_i]; *step; step++) {
        if (*step == 'g')
            gone("l", &first);
        else if (*step == 'p')
            pass(500);
        else
            sign(*step == 'c' ? RPC_SIGN_CONNECTED : RPC_SIGN_SEEN, "l", &second, NULL);
    }
    pass(10000);
    expect_state("l", "ready");
    ck_assert(device_is_on(find("l"), &second) && !find("l")->leaving);
    ck_assert(device_is_deliverable(find("l")));
    expect_statuses(0, "");
    gone("l", &second);
    pass(2100);
    expect_statuses(1, "offline");
}
END_TEST

/* The broker may use the memory of a connection again. */
START_TEST(the_connection_of_another_one)
{
    hello("l", &first);
    gone("l", &first);
    hello("m", &first);
    fake_host_forget(&rig.host);
    pass(3000);
    expect_statuses(1, "offline");
    expect_state("l", "offline");
    expect_state("m", "ready");
    gone("m", &first);
    pass(3000);
    expect_state("m", "offline");
}
END_TEST

START_TEST(without_grace)
{
    reopen_with("device_grace", "0");
    hello("l", &first);
    gone("l", &first);
    pass(1);
    expect_statuses(2, "offline");
}
END_TEST

START_TEST(many_leave_at_once)
{
    static char connections[MANY];
    char name[16];
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "d%d", i);
        hello(name, &connections[i]);
    }
    ck_assert_uint_eq(rig.host.others.count, MANY);
    fake_host_forget(&rig.host);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "d%d", i);
        gone(name, &connections[i]);
        if (i % 10 == 0)
            sign(RPC_SIGN_CONNECTED, name, &connections[i], NULL);
    }
    pass(2100);
    ck_assert_uint_eq(rig.host.others.count, MANY - MANY / 10);
    for (const struct device *device = module()->table.all; device; device = device->hh.next) {
        const bool stays = strtol(device->name + 1, NULL, 10) % 10 == 0;
        ck_assert_int_eq(device->state, stays ? DEVICE_READY : DEVICE_OFFLINE);
    }
}
END_TEST

/* ---- Windows and silence ---- */

START_TEST(a_device_that_sleeps)
{
    say("l", &first, "cmd/l/hello", "{\"ttd\":30}");
    pass(29000);
    expect_statuses(1, "ready");
    pass(1100);
    expect_statuses(1, "sleeping");
    ck_assert_str_eq(find("l")->why, "ttd");
    ck_assert(!device_is_present(find("l")));
    say("l", &first, "any", "x");
    sign(RPC_SIGN_SUBSCRIBED, "l", &first, "cmd/l/req");
    expect_state("l", "sleeping");
    say("l", &first, "cmd/l/hello", "{\"ttd\":30}");
    expect_statuses(1, "ready");
    pass(20000);
    say("l", &first, "cmd/l/hello", "{\"ttd\":30}");
    pass(20000);
    expect_state("l", "ready");
    pass(10100);
    expect_statuses(1, "sleeping");
    gone("l", &first);
    pass(2100);
    expect_statuses(1, "offline");
}
END_TEST

/* The window of a device that is taken over goes on. */
START_TEST(a_window_over_two_connections)
{
    say("l", &first, "cmd/l/hello", "{\"ttd\":10}");
    gone("l", &first);
    pass(1000);
    sign(RPC_SIGN_CONNECTED, "l", &second, NULL);
    expect_state("l", "ready");
    pass(10100);
    expect_state("l", "sleeping");
}
END_TEST

START_TEST(silence)
{
    reopen_with("device_heartbeat", "10s");
    hello("l", &first);
    pass(20000);
    say("l", &first, "any/topic", "x");
    pass(24900);
    expect_statuses(1, "ready");
    pass(200);
    expect_statuses(1, "silent");
    ck_assert_str_eq(find("l")->why, "heartbeat");
    ck_assert(device_is_deliverable(find("l")));
    pass(100000);
    expect_statuses(0, "");
    say("l", &first, "any/topic", "x");
    expect_statuses(1, "ready");
    pass(25100);
    expect_statuses(1, "silent");
    gone("l", &first);
    pass(2100);
    expect_statuses(1, "offline");
    pass(100000);
    sign(RPC_SIGN_SEEN, "l", &second, NULL);
    expect_statuses(1, "online");
    pass(27000);
    expect_statuses(1, "silent");
    sign(RPC_SIGN_SEEN, "l", &second, NULL);
    expect_statuses(1, "online");
}
END_TEST

/* What is sent to a device, and what others send, is no sign of it. */
START_TEST(only_its_own_messages_count)
{
    reopen_with("device_heartbeat", "10s");
    hello("l", &first);
    for (int i = 0; i < 26; i++) {
        say("app", &second, "cmd/l/req", "x");
        pass(1000);
    }
    expect_state("l", "silent");
}
END_TEST

/* A clock that is set does not make devices silent for longer than they are. */
START_TEST(a_clock_that_is_set_back)
{
    reopen_with("device_heartbeat", "1s");
    hello("l", &first);
    rig.host.wall -= 1000000;
    pass(2600);
    expect_state("l", "ready");
    pass(2600);
    sign(RPC_SIGN_SEEN, "l", &first, NULL);
    pass(2600);
    expect_state("l", "silent");
}
END_TEST

/* Nor longer: one that sends nothing at all is silent one patience after the check that has found out. */
START_TEST(a_clock_that_is_set_back_behind_a_mute_device)
{
    reopen_with("device_heartbeat", "1s");
    hello("l", &first);
    rig.host.wall -= 1000000;
    pass(5200);
    expect_state("l", "silent");
}
END_TEST

START_TEST(a_sleeper_is_not_silent)
{
    reopen_with("device_heartbeat", "1s");
    say("l", &first, "cmd/l/hello", "{\"ttd\":30}");
    pass(20000);
    expect_state("l", "ready");
}
END_TEST

/* ---- Guards ---- */

/* What others get who publish to topics of a managed device, of one that is not, and of an unknown one. */
static const struct guard {
    const char *topic;
    enum engine_verdict of_managed, of_known, of_unknown;
} guards[] = {
    {"cmd/%s/resp", ENGINE_REFUSE, ENGINE_PASS, ENGINE_PASS},
    {"cmd/%s/hello", ENGINE_REFUSE, ENGINE_REFUSE, ENGINE_REFUSE},
    {"cmd/%s/status", ENGINE_REFUSE, ENGINE_PASS, ENGINE_PASS},
    {"cmd/%s/req", ENGINE_PASS, ENGINE_PASS, ENGINE_PASS},
    {"cmd/%s/other", ENGINE_PASS, ENGINE_PASS, ENGINE_PASS},
};

static enum engine_verdict intrude(const char *pattern, const char *name)
{
    char topic[100];
    snprintf(topic, sizeof topic, pattern, name);
    return say("app", &third, topic, "on");
}

START_TEST(topics_are_guarded)
{
    hello("managed", &first);
    say("known", &second, "cmd/known/resp", "x");
    ck_assert_int_eq(intrude(guards[_i].topic, "managed"), guards[_i].of_managed);
    ck_assert_int_eq(intrude(guards[_i].topic, "known"), guards[_i].of_known);
    ck_assert_int_eq(intrude(guards[_i].topic, "unknown"), guards[_i].of_unknown);
    rig.client = (struct host_client){.id = "bridge", .version = 4, .bridge = true};
    char topic[100];
    snprintf(topic, sizeof topic, guards[_i].topic, "managed");
    ck_assert_int_eq(rig_publish(&rig, topic, "x"), ENGINE_PASS);
}
END_TEST

START_TEST(the_device_may_not_write_its_status)
{
    hello("l", &first);
    ck_assert_int_eq(say("l", &first, "cmd/l/status", "{}"), ENGINE_REFUSE);
    ck_assert_int_eq(say("l", &first, "cmd/l/resp", "{}"), ENGINE_PASS);
}
END_TEST

START_TEST(requests_are_guarded_if_asked_for)
{
    reopen_with("device_guard_requests", "true");
    hello("l", &first);
    ck_assert_int_eq(intrude("cmd/%s/req", "l"), ENGINE_REFUSE);
    ck_assert_int_eq(intrude("cmd/%s/req", "m"), ENGINE_PASS);
}
END_TEST

START_TEST(all_devices_are_managed)
{
    reopen_with("device_managed", "*");
    ck_assert_int_eq(intrude("cmd/%s/resp", "any"), ENGINE_REFUSE);
    say("known", &second, "cmd/known/resp", "x");
    ck_assert(find("known")->managed);
    expect_statuses(1, "online");
}
END_TEST

START_TEST(named_devices_are_managed)
{
    reopen_with("device_managed", "a  l\xC3\xA4mp");
    ck_assert(find("a")->managed && find("l\xC3\xA4mp")->managed);
    pass(1);
    expect_statuses(2, "unknown");
    ck_assert_int_eq(intrude("cmd/%s/resp", "a"), ENGINE_REFUSE);
    ck_assert_int_eq(intrude("cmd/%s/resp", "b"), ENGINE_PASS);
    sign(RPC_SIGN_SEEN, "a", &first, NULL);
    expect_statuses(1, "online");
}
END_TEST

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const char *const bad_names[] = {"a a/b", "+", "#", "\xFF", X64 X64 "x"};

START_TEST(names_that_no_device_has)
{
    char why[ENGINE_WHY];
    struct device_options options = *(const struct device_options *)options_of_module();
    rig_close(&rig);
    rig_init(&rig);
    rig_start(&rig);
    options.managed = bad_names[_i];
    ck_assert(!engine_add_module(rig.engine, &rpc_module_device, &options, why));
    ck_assert(fake_host_logged(&rig.host, "device_managed: "));
}
END_TEST

/* ---- Gateways and users ---- */

START_TEST(a_gateway_speaks_for_others)
{
    reopen_with("device_gateways", "gate other");
    ck_assert_int_eq(say_as("g", "gate", &first, "cmd/a/hello", ""), ENGINE_CONSUME);
    ck_assert_int_eq(say_as("g", "gate", &first, "cmd/b/hello", ""), ENGINE_CONSUME);
    ck_assert_int_eq(say_as("g", "gate", &first, "cmd/a/resp", "x"), ENGINE_PASS);
    ck_assert_int_eq(say_as("a", "gat", &second, "cmd/b/resp", "x"), ENGINE_REFUSE);
    ck_assert_int_eq(say_as("g", "gate", &first, "cmd/a/status", "x"), ENGINE_REFUSE);
    expect_state("a", "ready");
    ck_assert_str_eq(device_client(find("a")), "a");
    ck_assert_str_eq(device_client(find("b")), "g");
    fake_host_forget(&rig.host);
    gone("g", &first);
    pass(2100);
    expect_state("b", "offline");
    expect_state("a", "ready"); /* it has published itself since */
    expect_statuses(1, "offline");
}
END_TEST

START_TEST(a_bridge_can_be_a_gateway)
{
    reopen_with("device_gateways", "far");
    rig.client = (struct host_client){
        .id = "bridge", .user = "far", .version = 4, .bridge = true, .connection = &first};
    ck_assert_int_eq(rig_publish(&rig, "cmd/a/hello", ""), ENGINE_CONSUME);
    expect_state("a", "ready");
    rig.client.user = NULL;
    rig.client.id = "b";
    ck_assert_int_eq(rig_publish(&rig, "cmd/b/hello", ""), ENGINE_PASS);
    ck_assert_ptr_null(find("b"));
}
END_TEST

START_TEST(devices_by_user_name)
{
    reopen_with("device_identity", "user");
    ck_assert_int_eq(say_as("c1", "l", &first, "cmd/l/hello", ""), ENGINE_CONSUME);
    ck_assert_int_eq(say_as("l", "m", &second, "cmd/l/hello", ""), ENGINE_REFUSE);
    ck_assert_int_eq(say_as("l", NULL, &second, "cmd/l/hello", ""), ENGINE_REFUSE);
    ck_assert_str_eq(device_client(find("l")), "c1");
    gone("c1", &first);
    say_as("c2", "l", &second, "any", "x");
    pass(5000);
    expect_state("l", "ready");
    ck_assert_str_eq(device_client(find("l")), "c2");
}
END_TEST

/* What publishes with the device's account, and has another client id, is a tool: the device is where it was.
 */
START_TEST(a_tool_with_the_account_of_a_device)
{
    reopen_with("device_identity", "user");
    say_as("c1", "l", &first, "cmd/l/hello", "");
    say_as("tool", "l", &second, "any", "x");
    say_as("tool", "l", &second, "cmd/l/resp", "x");
    ck_assert_str_eq(device_client(find("l")), "c1");
    gone("tool", &second);
    pass(5000);
    expect_state("l", "ready");
    say_as("c2", "l", &second, "cmd/l/hello", ""); /* it has moved */
    ck_assert_str_eq(device_client(find("l")), "c2");
    gone("c1", &first);
    pass(5000);
    expect_state("l", "ready");
    gone("c2", &second);
    pass(5000);
    expect_state("l", "offline");
}
END_TEST

/* A client that was found to be no device is looked up again when it can be one. */
START_TEST(strangers_become_devices)
{
    set_option("device_gateways", "gate");
    reopen_rig();
    hello("d", &third); /* from now on messages are watched */
    say("l", &first, "any", "x");
    say("l", &first, "any", "x");
    ck_assert_int_eq(say_as("g", "gate", &second, "cmd/l/hello", ""), ENGINE_CONSUME);
    gone("g", &second);
    pass(5000);
    expect_state("l", "offline");
    say("l", &first, "any", "x");
    expect_state("l", "online");
    gone("l", &first);
    pass(5000);
    expect_state("l", "offline");
}
END_TEST

/* The broker may use the address of a connection that has ended for another one, of a client whose id may
 * have the former one's place in memory. */
START_TEST(the_connection_of_a_stranger_is_used_again)
{
    char id[8] = "other";
    hello("l", &first);
    say(id, &second, "any", "x");
    gone("l", &first);
    pass(5000);
    gone(id, &second);
    strcpy(id, "l");
    say(id, &second, "any", "x");
    expect_state("l", "online");
}
END_TEST

#ifdef COUNTS_MEMORY

/* docs/devices.md says how much it is. */
START_TEST(a_known_device_takes_little_memory)
{
    enum { DEVICES = 10000, MOST = 400 };
    static const char connections[DEVICES];
    char name[24], topic[40];
    set_option("device_heartbeat", _i ? "10000s" : "0s");
    reopen_rig();
    say("l", &first, "cmd/l/resp", "{}");
    const size_t before = mallinfo2().uordblks;
    for (int i = 0; i < DEVICES - 1; i++) {
        snprintf(name, sizeof name, "device-%04d", i);
        snprintf(topic, sizeof topic, "cmd/%s/resp", name);
        say(name, &connections[i], topic, "{}");
    }
    pass(5000);
    const size_t each = (mallinfo2().uordblks - before) / (DEVICES - 1);
    expect_state("device-0000", "online");
    ck_assert_uint_eq(rig.engine->timers.due.count, _i ? DEVICES : 0);
    printf("a known device takes %zu bytes%s\n", each, _i ? ", with a timer for its heartbeat" : "");
    ck_assert_uint_lt(each, MOST);
}
END_TEST

#define MEMORY_TESTS                          \
    ,                                         \
    {                                         \
        a_known_device_takes_little_memory, 2 \
    }
#else
#define MEMORY_TESTS
#endif

/* ---- Methods ---- */

START_TEST(lists_of_devices)
{
    char name[16];
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "d%d", i);
        hello(name, &lines[i]);
    }
    gone("d1", &lines[1]);
    pass(2100);
    rig_expect(&rig, "device.list", "{\"limit\":1}", "ok",
               "{\"devices\":[{\"device\":\"d0\",\"state\":\"ready\",\"since\":1700000000.25,\"seen\":"
               "1700000000.25,\"why\":\"hello\",\"managed\":true,\"waiting\":0,\"flying\":0}],\"next\":"
               "\"d0\",\"total\":5}");
    const struct fake_message *reply = rig_ask(&rig, "device.list", "{\"after\":\"d3\"}");
    ck_assert(strstr(reply->text, "\"d4\"") && !strstr(reply->text, "\"d3\"") &&
              !strstr(reply->text, "next"));
    reply = rig_ask(&rig, "device.list", "{\"state\":\"offline\"}");
    ck_assert(strstr(reply->text, "\"d1\"") && !strstr(reply->text, "\"d0\""));
    rig_expect(&rig, "device.list", "{\"after\":\"d4\"}", "ok", "{\"devices\":[],\"total\":5}");
    ck_assert_str_eq(rig_ask(&rig, "device.list", "{\"after\":\"none\"}")->status, "device_unknown");
}
END_TEST

START_TEST(the_status_of_a_device)
{
    rig_expect(&rig, "device.status", "{\"device\":\"l\"}", "device_unknown",
               "{\"method\":\"device.status\",\"err\":\"device_unknown\",\"msg\":\"no device of this name "
               "has been seen\",\"device\":\"l\"}");
    say("l", &first, "cmd/l/hello", hellos[2].payload);
    rig_expect(
        &rig, "device.status", "{\"device\":\"l\"}", "ok",
        "{\"device\":\"l\",\"state\":\"ready\",\"since\":1700000000.25,\"seen\":1700000000.25,"
        "\"why\":\"hello\",\"managed\":true,\"kind\":\"lamp\",\"waiting\":0,\"flying\":0,\"once\":true,"
        "\"commands\":[\"light\",\"blink\"],\"seq\":0}");
}
END_TEST

START_TEST(a_device_is_forgotten)
{
    hello("l", &first);
    fake_host_forget(&rig.host);
    rig_tell(&rig, "device.forget", "{\"device\":\"l\"}");
    ck_assert_uint_eq(rig.host.others.count, 1);
    const struct fake_message *status = rig_last(&rig.host.others);
    ck_assert_str_eq(status->topic, "cmd/l/status");
    ck_assert(status->retain && status->size == 0);
    ck_assert_ptr_null(find("l"));
    ck_assert_int_eq(intrude("cmd/%s/resp", "l"), ENGINE_PASS);
    rig_expect(&rig, "device.forget", "{\"device\":\"l\"}", "ok", "{\"device\":\"l\",\"forgotten\":false}");
    gone("l", &first);
    pass(5000);
    hello("l", &second);
    expect_statuses(1, "ready");
}
END_TEST

/* ---- Bounds ---- */

START_TEST(the_longest_offline_makes_room)
{
    reopen_with("device_max", "2");
    hello("a", &first);
    hello("b", &second);
    ck_assert_int_eq(say("c", &third, "cmd/c/hello", ""), ENGINE_CONSUME);
    ck_assert_ptr_null(find("c"));
    ck_assert(fake_host_logged(&rig.host, "device_max"));
    gone("b", &second);
    pass(3000);
    gone("a", &first);
    pass(3000);
    fake_host_forget(&rig.host);
    hello("c", &third);
    ck_assert(find("a") && find("c") && !find("b"));
    ck_assert_uint_eq(rig.host.others.count, 2);
    ck_assert_str_eq(rig.host.others.kept[0].topic, "cmd/b/status");
    ck_assert_uint_eq(rig.host.others.kept[0].size, 0);
}
END_TEST

/* A host that has no room for a status gets it later, with what is true then. */
START_TEST(a_status_that_could_not_be_published)
{
    rig.host.drop = true;
    hello("l", &first);
    gone("l", &first);
    pass(2500);
    rig.host.drop = false;
    ck_assert_uint_eq(rig.host.others.count, 0);
    pass(1100);
    expect_statuses(1, "offline");
    pass(5000);
    expect_statuses(0, "");
}
END_TEST

START_TEST(another_root)
{
    reopen_with("device_topic", "plant/devices");
    ck_assert_int_eq(say("l", &first, "plant/devices/l/hello", ""), ENGINE_CONSUME);
    ck_assert_str_eq(rig_last(&rig.host.others)->topic, "plant/devices/l/status");
    ck_assert_int_eq(say("m", &second, "cmd/m/hello", ""), ENGINE_PASS);
}
END_TEST

START_TEST(no_topics)
{
    reopen_with("device_topic", "none");
    ck_assert_int_eq(say("l", &first, "cmd/l/hello", ""), ENGINE_PASS);
    subscribe("l", &first, "cmd/l/req");
    ck_assert_ptr_null(find("l"));
}
END_TEST

/* ---- Without memory ---- */

static void live(void)
{
    static const char payload[] = "{\"ttd\":5,\"once\":true,\"commands\":[\"a\",\"b\"],\"kind\":\"lamp\"}";
    say("l", &first, "cmd/l/hello", payload);
    say("l", &second, "any", "x");
    gone("l", &first);
    gone("l", &second);
    pass(3000);
    say("l", &third, "cmd/l/resp", "x");
    pass(2000);
}

START_TEST(without_memory)
{
    const enum failing_mode mode = _i ? FAILING_FROM : FAILING_ONCE;
    for (size_t n = 0;; n++) {
        failing_arm(mode, n);
        live();
        const bool failed = failing_disarm();
        hello("l", &first);
        expect_state("l", "ready");
        presence_forget(&module()->presence, find("l"));
        ck_assert_ptr_null(module()->table.shared);
        fake_host_forget(&rig.host);
        if (!failed)
            return;
    }
}
END_TEST

UNIT_MAIN("device_presence", open_rig, close_rig, {a_hello_makes_a_device, 0},
          {what_a_hello_says, UNIT_ROWS(hellos)}, {a_hello_replaces_the_one_before, 0},
          {hellos_that_are_none, UNIT_ROWS(bad_hellos)}, {a_hello_with_long_commands, 0},
          {a_hello_of_somebody_else, 0}, {others_are_no_devices, 0},
          {messages_are_watched_while_there_are_devices, 0},
          {an_answer_makes_a_device_that_is_not_managed, 0}, {subscriptions, UNIT_ROWS(filters)},
          {a_device_that_comes_back_settles, 0}, {a_device_that_listens_need_not_settle, 2},
          {offline_after_the_grace, 0}, {a_takeover_is_no_event, UNIT_ROWS(takeovers)},
          {the_connection_of_another_one, 0}, {without_grace, 0}, {many_leave_at_once, 0},
          {a_device_that_sleeps, 0}, {a_window_over_two_connections, 0}, {silence, 0},
          {only_its_own_messages_count, 0}, {a_clock_that_is_set_back, 0},
          {a_clock_that_is_set_back_behind_a_mute_device, 0}, {a_sleeper_is_not_silent, 0},
          {topics_are_guarded, UNIT_ROWS(guards)}, {the_device_may_not_write_its_status, 0},
          {requests_are_guarded_if_asked_for, 0}, {all_devices_are_managed, 0},
          {named_devices_are_managed, 0}, {names_that_no_device_has, UNIT_ROWS(bad_names)},
          {a_gateway_speaks_for_others, 0}, {a_bridge_can_be_a_gateway, 0}, {devices_by_user_name, 0},
          {a_tool_with_the_account_of_a_device, 0}, {strangers_become_devices, 0},
          {the_connection_of_a_stranger_is_used_again, 0}, {lists_of_devices, 0}, {the_status_of_a_device, 0},
          {a_device_is_forgotten, 0}, {the_longest_offline_makes_room, 0},
          {a_status_that_could_not_be_published, 0}, {another_root, 0}, {no_topics, 0},
          {without_memory, 2} MEMORY_TESTS)

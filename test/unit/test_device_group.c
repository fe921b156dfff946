// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * handlers/device/group.c: groups of the configuration and of callers, their limits, and changes on their way
 * to the database. What is written is tested in test_device_disk.c, running out of memory in
 * test_device_memory.c.
 */
#include "device/module.h"
#include "plant.h"
#include "unit.h"

#include "base/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct groups *groups(void)
{
    return &((struct device_module *)rig_instance(&plant)->state)->groups;
}

static size_t group_count(void)
{
    return HASH_COUNT(groups()->configured.by_name) + HASH_COUNT(groups()->stored.by_name);
}

/* Of all groups. */
static size_t members(void)
{
    return groups()->configured.members + groups()->stored.members;
}

static const struct devices *table(void)
{
    return groups()->presence->table;
}

static void open_plant(void)
{
    plant_set("device_groups", "hall=l2,l1,l2 cellar=l3");
    plant_open();
}

/* A JSON array of so many names. Free it with free(). */
static char *make_names(const char *letter, size_t count)
{
    char *list = malloc(count * 16 + 3), *end = list;
    ck_assert_ptr_nonnull(list);
    *end++ = '[';
    for (size_t i = 0; i < count; i++)
        end += sprintf(end, "%s\"%s%zu\"", i ? "," : "", letter, i);
    memcpy(end, "]", 2);
    return list;
}

static void load(const char *name, const char *letter, size_t count)
{
    char *list = make_names(letter, count);
    groups_load(groups(), name, list);
    free(list);
}

/* ---- The configuration ---- */

static const struct line {
    const char *text, *why; /* why: NULL if it is fine */
} lines[] = {
    {"a=x", NULL},
    {"a=x,y b=x", NULL},
    {"a=x,,y,", NULL},
    {"a b=x", "'a': it takes name=device"},
    {"a=", "'a': it takes name=device"},
    {"a=x,y/z", "'a': it takes name=device"},
    {"a=x,#", "'a': it takes name=device"},
    {"=x", "'': its name"},
    {"*=x", "'*': its name"},
    {"a/b=x", "'a/b': its name"},
    {"a=x b=y a=z", "'a': another group has the same name"},
};

START_TEST(the_option)
{
    const struct device_options options = {.groups = lines[_i].text};
    struct groups made = {
        .instance = rig_instance(&plant), .options = &options, .presence = groups()->presence};
    ck_assert_int_eq(groups_configure(&made), !lines[_i].why);
    ck_assert(!lines[_i].why || fake_host_logged(&plant.host, lines[_i].why));
    groups_fini(&made);
}
END_TEST

static bool configure(const char *text)
{
    const struct device_options options = {.groups = text};
    struct groups made = {
        .instance = rig_instance(&plant), .options = &options, .presence = groups()->presence};
    const bool is_fine = groups_configure(&made);
    groups_fini(&made);
    return is_fine;
}

START_TEST(the_limits_of_the_option)
{
    char *text = malloc(GROUP_MEMBERS_MAX * 2 + 16), *end = text;
    ck_assert_ptr_nonnull(text);
    end += sprintf(end, "a=x");
    for (int i = 1; i < GROUP_MEMBERS_MAX; i++)
        end += sprintf(end, ",x");
    ck_assert(configure(text));
    sprintf(end, ",x");
    ck_assert(!configure(text));
    ck_assert(fake_host_logged(&plant.host, "at most 10000 members"));
    end = text;
    for (int i = 0; i < GROUPS_MAX; i++)
        end += sprintf(end, "g%d=x ", i);
    ck_assert(configure(text));
    sprintf(end, "more=x");
    ck_assert(!configure(text));
    ck_assert(fake_host_logged(&plant.host, "at most 1000 groups"));
    free(text);
}
END_TEST

/* ---- The methods ---- */

START_TEST(members_have_an_order_and_are_there_once)
{
    plant_call("device.group.set", "{\"group\":\"room\",\"devices\":[\"b\",\"a\",\"b\",\"a\",\"c\"]}", "c1");
    plant_expect_reply("ok", "{\"group\":\"room\",\"devices\":[\"a\",\"b\",\"c\"]}");
    plant_call("device.group.list", "", NULL);
    plant_expect_reply("ok",
                       "{\"groups\":[{\"group\":\"hall\",\"devices\":[\"l1\",\"l2\"],\"configured\":true},"
                       "{\"group\":\"cellar\",\"devices\":[\"l3\"],\"configured\":true},"
                       "{\"group\":\"room\",\"devices\":[\"a\",\"b\",\"c\"],\"configured\":false}]}");
    plant_call("device.list", "{\"group\":\"room\"}", NULL);
    plant_expect_reply("ok", "\"total\":6");
    ck_assert(groups_have(groups(), "room", "b") && !groups_have(groups(), "room", "l1"));
    ck_assert(groups_have(groups(), "*", "l1") && !groups_have(groups(), "none", "l1"));
}
END_TEST

START_TEST(a_group_gets_other_members)
{
    plant_call("device.group.set", "{\"group\":\"room\",\"devices\":[\"a\",\"b\"]}", "c1");
    plant_expect_reply("ok", "room");
    plant_call("device.group.set", "{\"group\":\"room\",\"devices\":[\"c\"]}", "c2");
    plant_expect_reply("ok", "[\"c\"]");
    ck_assert_uint_eq(members(), 4);
    plant_call("device.group.delete", "{\"group\":\"room\"}", "c3");
    plant_expect_reply("ok", "{\"group\":\"room\",\"deleted\":true}");
    plant_call("device.group.delete", "{\"group\":\"room\"}", "c4");
    plant_expect_reply("ok", "{\"group\":\"room\",\"deleted\":false}");
    ck_assert_uint_eq(members(), 3);
    ck_assert_uint_eq(groups()->coming + groups()->coming_members, 0);
}
END_TEST

static const struct refusal {
    const char *method, *payload, *status, *text;
} refusals[] = {
    {"device.group.set", "{\"group\":\"*\",\"devices\":[\"a\"]}", "not_a_member", "group"},
    {"device.group.set", "{\"group\":\"a/b\",\"devices\":[\"a\"]}", "not_a_member", "group"},
    {"device.group.set", "{\"group\":\"g\",\"devices\":[]}", "invalid_params", "devices"},
    {"device.group.set", "{\"group\":\"g\",\"devices\":[\"a\",\"b/c\"]}", "not_a_member", "devices[1]"},
    {"device.group.set", "{\"group\":\"hall\",\"devices\":[\"a\"]}", "group_configured", "device_groups"},
    {"device.group.delete", "{\"group\":\"hall\"}", "group_configured", "device_groups"},
};

START_TEST(refusals_change_nothing)
{
    const struct refusal *row = &refusals[_i];
    plant_call(row->method, row->payload, "c1");
    plant_expect_reply(row->status, row->text);
    ck_assert_uint_eq(group_count(), 2);
    ck_assert_ptr_null(groups()->changes);
}
END_TEST

/* ---- Limits ---- */

START_TEST(so_many_groups)
{
    char name[16];
    for (int i = 2; i < GROUPS_MAX; i++) {
        snprintf(name, sizeof name, "g%d", i);
        load(name, "x", 1);
    }
    load("left", "x", 1);
    ck_assert_ptr_null(groups_find(groups(), "left"));
    ck_assert(
        fake_host_logged(&plant.host, "the group left of the database is left out: there are too many"));
    plant_call("device.group.set", "{\"group\":\"room\",\"devices\":[\"a\"]}", "c1");
    plant_expect_reply("overloaded", "device.group.delete");
    plant_call("device.group.set", "{\"group\":\"g2\",\"devices\":[\"a\",\"b\"]}", "c2");
    plant_expect_reply("ok", "g2");
}
END_TEST

/* Those that are on their way to the database count. */
START_TEST(so_many_groups_at_once)
{
    char name[16];
    for (int i = 2; i < GROUPS_MAX - 1; i++) {
        snprintf(name, sizeof name, "g%d", i);
        load(name, "x", 1);
    }
    rig_send(&plant, "rpc/call/device.group.set", "{\"group\":\"a\",\"devices\":[\"x\"]}", RIG_REPLY, "c1");
    rig_send(&plant, "rpc/call/device.group.set", "{\"group\":\"b\",\"devices\":[\"x\"]}", RIG_REPLY, "c2");
    plant_expect_reply("overloaded", "device.group.delete");
    plant_settle();
    plant_expect_reply("ok", "\"a\"");
    ck_assert_uint_eq(group_count(), GROUPS_MAX);
}
END_TEST

/* Also the cost: each of these groups is sorted, and one of them is searched for each device. */
START_TEST(so_many_members)
{
    char name[32];
    const size_t room = GROUPS_MEMBERS_MAX - members();
    load("g0", "x", GROUP_MEMBERS_MAX + 1); /* cut */
    ck_assert_uint_eq(groups_find(groups(), "g0")->count, GROUP_MEMBERS_MAX);
    for (size_t i = 1; i < room / GROUP_MEMBERS_MAX; i++) {
        snprintf(name, sizeof name, "g%zu", i);
        load(name, "x", GROUP_MEMBERS_MAX);
    }
    load("left", "x", GROUP_MEMBERS_MAX);
    ck_assert_ptr_null(groups_find(groups(), "left"));
    load("rest", "y", room % GROUP_MEMBERS_MAX);
    ck_assert_uint_eq(members(), GROUPS_MEMBERS_MAX);
    groups_meet(groups());
    ck_assert(devices_are_full(table()));
    for (const struct device *device = table()->all; device; device = device->hh.next)
        ck_assert(groups_have(groups(), "g0", device->name) == (device->name[0] == 'x'));
    plant_call("device.group.set", "{\"group\":\"room\",\"devices\":[\"a\"]}", "c1");
    plant_expect_reply("overloaded", "100000 members");
    plant_call("device.group.set", "{\"group\":\"rest\",\"devices\":[\"a\"]}", "c2");
    plant_expect_reply("ok", "rest");
}
END_TEST

/* Names alone push no device out that is known. */
START_TEST(a_full_table)
{
    plant_close();
    plant_set("device_max", "2");
    plant_open();
    plant_hello("l1", "");
    plant_leave("l1");
    plant_call("device.group.set", "{\"group\":\"room\",\"devices\":[\"a\",\"b\",\"c\"]}", "c1");
    plant_expect_reply("ok", "room");
    ck_assert_ptr_nonnull(devices_find(table(), "l1"));
    ck_assert_uint_eq(HASH_COUNT(table()->all), 2);
    plant_call("devices/room/go", "", "c2");
    plant_pass(100);
    ck_assert_str_eq(plant_request()->topic, "cmd/a/req");
    plant_answer("a", "\"result\":1}");
    plant_pass(100);
    plant_expect_reply("ok", "{\"device\":\"b\",\"status\":\"not_sent\",\"err\":\"device_unknown\"");
}
END_TEST

/* ---- Changes on their way ---- */

START_TEST(changes_follow_each_other)
{
    rig_send(&plant, "rpc/call/device.group.set", "{\"group\":\"g\",\"devices\":[\"a\"]}", RIG_REPLY, "c1");
    rig_send(&plant, "rpc/call/device.group.set", "{\"group\":\"g\",\"devices\":[\"b\"]}", RIG_REPLY, "c2");
    rig_send(&plant, "rpc/call/device.group.delete", "{\"group\":\"g\"}", RIG_REPLY, "c3");
    ck_assert_ptr_null(groups_find(groups(), "g"));
    plant_expect_no_reply();
    while (groups()->changes)
        plant_settle();
    ck_assert_uint_eq(plant.host.replies.count, 3);
    ck_assert_str_eq(plant.host.replies.kept[0].text, "{\"group\":\"g\",\"devices\":[\"a\"]}");
    ck_assert_str_eq(plant.host.replies.kept[1].text, "{\"group\":\"g\",\"devices\":[\"b\"]}");
    ck_assert_str_eq(plant.host.replies.kept[2].text, "{\"group\":\"g\",\"deleted\":true}");
    ck_assert_ptr_null(groups_find(groups(), "g"));
}
END_TEST

/* The change is made all the same. */
START_TEST(the_caller_goes)
{
    rig_send(&plant, "rpc/call/device.group.set", "{\"group\":\"g\",\"devices\":[\"a\"]}", RIG_REPLY, "c1");
    plant_hang_up();
    while (groups()->changes)
        plant_settle();
    plant_expect_no_reply();
    ck_assert_ptr_nonnull(groups_find(groups(), "g"));
}
END_TEST

START_TEST(the_engine_stops)
{
    rig_send(&plant, "rpc/call/device.group.set", "{\"group\":\"g\",\"devices\":[\"a\"]}", RIG_REPLY, "c1");
    ck_assert_ptr_nonnull(groups()->changes);
}
END_TEST

/* A group of the configuration hides one of the database, which comes back without it. */
START_TEST(the_configuration_comes_first)
{
    load("hall", "x", 3);
    ck_assert(groups_have(groups(), "hall", "l1") && !groups_have(groups(), "hall", "x1"));
    groups_load(groups(), "odd", "[1,\"a\",\"b/c\",null]");
    ck_assert_uint_eq(groups_find(groups(), "odd")->count, 1);
    groups_load(groups(), "bad", "[");
    groups_load(groups(), "none", "[1]");
    groups_load(groups(), "a/b", "[\"a\"]");
    ck_assert_uint_eq(group_count(), 4);
}
END_TEST

/* ---- Other options while the broker runs ---- */

extern const rpc_module rpc_module_device;

static rpc_refusal refusal;

static bool change_options(const struct device_options *options)
{
    if (!engine_prepare_module(plant.engine, &rpc_module_device, options, &refusal))
        return false;
    engine_reload_module(plant.engine, &rpc_module_device, options);
    return true;
}

/* text goes when it was read. */
static bool change_groups(const char *text)
{
    struct device_options options = *groups()->options;
    char *lent = text ? strdup(text) : NULL;
    options.groups = lent;
    const bool worked = change_options(&options);
    if (lent)
        memset(lent, 'X', strlen(lent));
    free(lent);
    return worked;
}

START_TEST(other_groups)
{
    ck_assert(change_groups("hall=l2,l9 roof=r1"));
    plant_call("device.group.list", "", NULL);
    plant_expect_reply("ok",
                       "{\"groups\":[{\"group\":\"hall\",\"devices\":[\"l2\",\"l9\"],\"configured\":true},"
                       "{\"group\":\"roof\",\"devices\":[\"r1\"],\"configured\":true}]}");
    ck_assert_uint_eq(members(), 3);
    plant_call("device.list", "{\"group\":\"roof\"}", NULL);
    plant_expect_reply("ok", "\"r1\"");
    plant_call("device.status", "{\"device\":\"l3\"}", NULL); /* it is known as before */
    plant_expect_reply("ok", "l3");
    ck_assert(change_groups(NULL));
    plant_call("device.group.list", "", NULL);
    plant_expect_reply("ok", "{\"groups\":[]}");
}
END_TEST

START_TEST(options_that_are_refused)
{
    const bool is_fine = change_groups(lines[_i].text);
    ck_assert_int_eq(is_fine, !lines[_i].why);
    if (is_fine)
        return;
    ck_assert_str_eq(refusal.option, "groups");
    ck_assert_ptr_nonnull(strstr(refusal.why, lines[_i].why));
    ck_assert(groups_have(groups(), "hall", "l1") && groups_have(groups(), "cellar", "l3"));
    ck_assert(!groups_have(groups(), "a", "x"));
    ck_assert_uint_eq(group_count(), 2);
}
END_TEST

/* What is prepared may be left, and be followed by something else. */
START_TEST(preparing_changes_nothing)
{
    struct device_options options = *groups()->options;
    options.groups = "other=o1";
    options.guard_requests = true;
    for (int i = 0; i < 3; i++)
        ck_assert(engine_prepare_module(plant.engine, &rpc_module_device, &options, &refusal));
    ck_assert(groups_have(groups(), "hall", "l1") && !groups_find(groups(), "other"));
    plant_hello("l1", "");
    ck_assert_int_eq(plant_publish("cmd/l1/req", "{}", NULL, NULL), ENGINE_PASS);
    ck_assert(change_groups("last=l1"));
    ck_assert(!groups_find(groups(), "other") && groups_find(groups(), "last"));
    ck_assert(engine_prepare_module(plant.engine, &rpc_module_device, &options, &refusal));
}
END_TEST

/* A stored group is hidden, and seen again; also one that is made just now. */
START_TEST(stored_groups_are_hidden)
{
    plant_call("device.group.set", "{\"group\":\"room\",\"devices\":[\"a\"]}", "c1");
    plant_expect_reply("ok", "room");
    rig_send(&plant, "rpc/call/device.group.set", "{\"group\":\"late\",\"devices\":[\"b\"]}", RIG_REPLY,
             "c2");
    ck_assert_ptr_nonnull(groups()->changes);
    ck_assert(change_groups("room=x late=y"));
    while (groups()->changes)
        plant_settle();
    plant_expect_reply("ok", "{\"group\":\"late\",\"devices\":[\"b\"]}");
    ck_assert(groups_have(groups(), "room", "x") && !groups_have(groups(), "room", "a"));
    ck_assert(groups_have(groups(), "late", "y") && !groups_have(groups(), "late", "b"));
    plant_call("device.group.list", "", NULL);
    plant_expect_reply("ok", "{\"groups\":[{\"group\":\"room\",\"devices\":[\"x\"],\"configured\":true},"
                             "{\"group\":\"late\",\"devices\":[\"y\"],\"configured\":true}]}");
    plant_call("device.group.delete", "{\"group\":\"room\"}", "c3");
    plant_expect_reply("group_configured", "device_groups");
    ck_assert(change_groups(NULL));
    ck_assert(groups_have(groups(), "room", "a") && groups_have(groups(), "late", "b"));
    plant_call("device.group.delete", "{\"group\":\"room\"}", "c4");
    plant_expect_reply("ok", "true");
}
END_TEST

static void expect_known(const char *device, bool is_known)
{
    char payload[64];
    snprintf(payload, sizeof payload, "{\"device\":\"%s\"}", device);
    plant_call("device.status", payload, NULL);
    plant_expect_reply(is_known ? "ok" : "device_unknown", device);
}

/* The members of a group that is seen are known devices, but not one that was forgotten since. */
START_TEST(members_are_known)
{
    load("hall", "x", 1);
    groups_meet(groups());
    expect_known("x0", false);
    plant_call("device.group.set", "{\"group\":\"room\",\"devices\":[\"a\"]}", "c1");
    plant_expect_reply("ok", "room");
    plant_call("device.forget", "{\"device\":\"a\"}", "c2");
    plant_settle();
    plant_forget();
    ck_assert(change_groups("hall=l1,l7"));
    expect_known("x0", false);
    expect_known("l7", true);
    expect_known("a", false);
    ck_assert(change_groups("cellar=l3"));
    expect_known("x0", true);
    expect_known("a", false);
}
END_TEST

/* All groups together have a limit. */
START_TEST(no_room_for_more_groups)
{
    char name[16];
    for (int i = 0; i < GROUPS_MAX - 2; i++) {
        snprintf(name, sizeof name, "s%d", i);
        groups_load(groups(), name, "[\"a\"]");
    }
    ck_assert(!change_groups("a=x b=x c=x"));
    ck_assert_ptr_nonnull(strstr(refusal.why, "'c': there are at most 1000 groups"));
    ck_assert(groups_find(groups(), "hall") != NULL);
    ck_assert(change_groups("a=x b=x"));
    ck_assert_uint_eq(group_count(), GROUPS_MAX);
}
END_TEST

START_TEST(no_room_for_more_members)
{
    char *text = malloc(GROUP_MEMBERS_MAX * 12 + 16), *end = text;
    ck_assert_ptr_nonnull(text);
    for (int i = 0; i < 10; i++) {
        char name[] = {'s', (char)('0' + i), '\0'};
        load(name, "m", i < 9 ? GROUP_MEMBERS_MAX : GROUP_MEMBERS_MAX - 5);
    }
    ck_assert_uint_eq(members(), GROUPS_MEMBERS_MAX - 5 + 3);
    ck_assert(change_groups("a=1,2,3,4,5"));
    ck_assert(!change_groups("a=1,2,3 b=4,5,6"));
    ck_assert_ptr_nonnull(strstr(refusal.why, "'b': a group has at most 10000 members, and all groups"));
    ck_assert(groups_have(groups(), "a", "5"));
    ck_assert(change_groups(NULL));
    end += sprintf(end, "a=x");
    for (int i = 1; i <= GROUP_MEMBERS_MAX; i++)
        end += sprintf(end, ",x");
    ck_assert(!change_groups(text));
    free(text);
}
END_TEST

/* A call of a group goes on with the members that it had. */
START_TEST(a_call_of_a_group_that_goes)
{
    plant_hello("l1", "");
    plant_hello("l2", "");
    plant_call("devices/hall/go", "{}", "c1");
    plant_pass(100);
    ck_assert_uint_eq(plant_requests(), 2);
    ck_assert(change_groups(NULL));
    plant_say("l1", "resp", "{\"result\":1}");
    plant_say("l2", "resp", "{\"result\":2}");
    plant_pass(100);
    plant_expect_reply("ok", "\"l2\"");
    plant_call("devices/hall/go", "{}", "c2");
    plant_expect_reply("not_a_member", "hall");
}
END_TEST

START_TEST(the_guard_of_requests)
{
    struct device_options options = *groups()->options;
    plant_hello("l1", "");
    ck_assert_int_eq(plant_publish("cmd/l1/req", "{}", NULL, NULL), ENGINE_PASS);
    options.guard_requests = true;
    ck_assert(change_options(&options));
    ck_assert_int_eq(plant_publish("cmd/l1/req", "{}", NULL, NULL), ENGINE_REFUSE);
    options.guard_requests = false;
    ck_assert(change_options(&options));
    ck_assert_int_eq(plant_publish("cmd/l1/req", "{}", NULL, NULL), ENGINE_PASS);
}
END_TEST

UNIT_MAIN("device_group", open_plant, plant_close, {the_option, UNIT_ROWS(lines)},
          {the_limits_of_the_option, 0}, {members_have_an_order_and_are_there_once, 0},
          {a_group_gets_other_members, 0}, {refusals_change_nothing, UNIT_ROWS(refusals)},
          {so_many_groups, 0}, {so_many_groups_at_once, 0}, {so_many_members, 0}, {a_full_table, 0},
          {changes_follow_each_other, 0}, {the_caller_goes, 0}, {the_engine_stops, 0},
          {the_configuration_comes_first, 0}, {other_groups, 0}, {options_that_are_refused, UNIT_ROWS(lines)},
          {preparing_changes_nothing, 0}, {stored_groups_are_hidden, 0}, {members_are_known, 0},
          {no_room_for_more_groups, 0}, {no_room_for_more_members, 0}, {a_call_of_a_group_that_goes, 0},
          {the_guard_of_requests, 0})

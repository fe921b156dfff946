// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * handlers/device/disk.c: what is in the database after a stop, what a start finds there, how often it is
 * written, and databases that cannot be used. test_ledger.c tests the files.
 */
#include "base/instance.h"
#include "call/engine_parts.h"
#include "device/module.h"
#include "disk.h"
#include "rig.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern const rpc_module rpc_module_device;

enum { PATH = 128, LINES = 6, MANY = 500 };

static char folder[PATH / 2], path[PATH];
static struct rig rig;
static struct config *config;
static struct option_line lines[LINES];
static size_t line_count;
static int first, second; /* connections */

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

static void start(void)
{
    config = rig_config(lines, line_count);
    rig_init(&rig);
    rig_start(&rig);
    rig_add(&rig, &rpc_module_device, options_of_module());
    rig.host.monotonic++; /* timers are due after their time */
}

static void stop(void)
{
    rig_close(&rig);
    config_destroy(config);
}

static void restart(void)
{
    stop();
    start();
}

static void open_rig(void)
{
    snprintf(folder, sizeof folder, "/tmp/rpc-device-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/devices.db", folder);
    line_count = 0;
    set_option("device_db", path);
    start();
}

static void close_rig(void)
{
    stop();
    disk_remove(folder);
}

static struct device_module *module(void)
{
    return rig.engine->registry.instances->state;
}

static struct device *find(const char *name)
{
    return devices_find(&module()->table, name);
}

/* ---- Messages, work and time ---- */

static void say(const char *id, const void *connection, const char *topic, const char *payload)
{
    rig.client = (struct host_client){.id = id, .version = 4, .connection = connection};
    engine_presence(rig.engine, &(const struct host_presence){RPC_SIGN_SEEN, &rig.client, NULL});
    rig_publish(&rig, topic, payload);
}

static void hello(const char *id, const void *connection, const char *payload)
{
    char topic[200];
    snprintf(topic, sizeof topic, "cmd/%s/hello", id);
    say(id, connection, topic, payload);
}

/* Waits until no job runs. */
static void settle(void)
{
    while (module()->disk.running) {
        ck_assert_msg(fake_host_wait(&rig.host, RIG_PATIENCE), "no work came to its end");
        engine_tick(rig.engine);
    }
}

static void pass(unsigned milliseconds)
{
    for (unsigned left = milliseconds, step; left; left -= step) {
        step = left < 100 ? left : 100;
        rig.host.monotonic += step * (RIG_SECOND / 1000);
        rig.host.wall += step / 1000.0;
        engine_tick(rig.engine);
        settle();
    }
}

/* An attempt to open a database may be left out for some seconds after one that took long. Those are real
 * seconds. */
static void pass_until_it_works(void)
{
    const struct disk *disk = &module()->disk;
    for (int i = 0; i < 200 && (disk->unloaded || disk->failed || disk->dirty || disk->pending); i++) {
        pass(5000);
        usleep(100000);
    }
    ck_assert(!disk->unloaded && !disk->failed);
}

static int outcomes;
static struct store_failure last;

static void note(void *context, const struct store_failure *failure)
{
    (void)context;
    outcomes++;
    last = failure ? *failure : (struct store_failure){.cause = STORE_CAUSES};
}

static const struct ledger_command command;

static void note_and_write(void *context, const struct store_failure *failure)
{
    note(context, failure);
    ck_assert(disk_put_command(context, &command, note, NULL));
}

static const struct ledger_command command = {.id = "abc",
                                              .device = "l",
                                              .name = "light",
                                              .params = "{}",
                                              .state = COMMAND_QUEUED,
                                              .seq = 7,
                                              .queued = 1700000000,
                                              .expires = 1800000000};

/* ---- What survives ---- */

START_TEST(nothing_is_written_for_nothing)
{
    say("app", &first, "any", "x");
    say("l", &first, "cmd/l/resp", "x");
    pass(3000);
    ck_assert_ptr_nonnull(find("l"));
    ck_assert_int_ne(access(path, F_OK), 0);
    restart();
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(managed_devices_are_remembered)
{
    hello("l", &first, "{\"once\":true,\"kind\":\"lamp\",\"commands\":[\"light\",\"blink\"],\"ttd\":5}");
    hello("m", &second, "{\"commands\":[]}");
    find("l")->seq = 12;
    if (_i)
        pass(1100);
    restart();
    ck_assert_int_eq(HASH_COUNT(module()->table.all), 2);
    const struct device *l = find("l"), *m = find("m");
    ck_assert(l->managed && l->once && l->state == DEVICE_UNKNOWN && l->seq == (_i ? l->seq : 12));
    ck_assert_str_eq(l->kind, "lamp");
    ck_assert_str_eq(l->commands, "light blink");
    ck_assert_double_eq(l->seen, 1700000000.25);
    ck_assert(m->managed && !m->once && !m->kind);
    ck_assert_str_eq(m->commands, "");
    ck_assert_uint_eq(rig.host.others.count, 0);
    pass(1);
    ck_assert_uint_eq(rig.host.others.count, 2);
    ck_assert_str_eq(rig.host.others.kept[0].text,
                     "{\"device\":\"l\",\"state\":\"unknown\",\"since\":1700000000.25,\"seen\":1700000000.25,"
                     "\"why\":\"start\"}");
    ck_assert(rig.host.others.kept[0].retain);
    rig.client = (struct host_client){.id = "app", .version = 4, .connection = &first};
    ck_assert_int_eq(rig_publish(&rig, "cmd/l/resp", "x"), ENGINE_REFUSE);
}
END_TEST

START_TEST(forgotten_devices_are_not)
{
    hello("l", &first, "");
    hello("m", &second, "");
    if (_i)
        pass(1100);
    rig_tell(&rig, "device.forget", "{\"device\":\"l\"}");
    if (_i)
        pass(1100);
    restart();
    ck_assert(!find("l") && find("m"));
}
END_TEST

START_TEST(one_that_makes_room_is_forgotten)
{
    set_option("device_max", "1");
    restart();
    hello("l", &first, "");
    engine_client_ended(rig.engine, &(const struct host_ending){.id = "l", .connection = &first});
    pass(3000);
    hello("m", &second, "");
    restart();
    ck_assert(!find("l") && find("m"));
}
END_TEST

/* With fewer places than before, those that were met first stay, and nothing is deleted. */
START_TEST(more_devices_than_there_is_room_for)
{
    hello("l", &first, "");
    hello("m", &second, "");
    set_option("device_max", "1");
    restart();
    ck_assert(find("l") && !find("m"));
    ck_assert(fake_host_logged(&rig.host, "no room for device m"));
    line_count--;
    restart();
    ck_assert(find("l") && find("m"));
}
END_TEST

/* A write is of all that came together, and devices are written at most once a second. */
START_TEST(devices_are_written_once_a_second)
{
    static char connections[MANY];
    char name[16];
    const struct disk *disk = &module()->disk;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "d%d", i);
        hello(name, &connections[i], "");
    }
    ck_assert(!disk->running && !disk->pending);
    pass(1);
    ck_assert_str_eq(asked_at(path, "SELECT count(*) FROM devices"), "500");
    hello("d1", &first, "{\"once\":true}");
    disk_touch_device(&module()->disk, find("d1"));
    pass(900);
    ck_assert_str_eq(asked_at(path, "SELECT count(*) FROM devices WHERE once"), "0");
    pass(200);
    ck_assert_str_eq(asked_at(path, "SELECT count(*) FROM devices WHERE once"), "1");
}
END_TEST

/* Every message is a sign, but not every one is worth a write. */
START_TEST(messages_are_written_once_a_minute)
{
    hello("l", &first, "");
    pass(2000);
    say("l", &first, "any", "x");
    ck_assert_ptr_null(module()->disk.dirty);
    pass(60000);
    say("l", &first, "any", "x");
    ck_assert_ptr_nonnull(module()->disk.dirty);
    pass(1100);
    ck_assert_ptr_null(module()->disk.dirty);
}
END_TEST

/* ---- Commands and groups ---- */

START_TEST(commands_are_told_when_they_are_stored)
{
    hello("l", &first, "");
    ck_assert(disk_put_command(&module()->disk, &command, note, NULL));
    ck_assert(disk_put_command(&module()->disk, &command, note, NULL));
    ck_assert_int_eq(outcomes, 0);
    settle();
    ck_assert_int_eq(outcomes, 2);
    ck_assert_int_eq(last.cause, STORE_CAUSES);
    ck_assert_str_eq(asked_at(path, "SELECT count(*) FROM commands"), "1");
    ck_assert_uint_eq(module()->disk.bytes, 0);
}
END_TEST

/* A device and its first command are on the disk together. */
START_TEST(the_device_of_a_command_is_stored_with_it)
{
    hello("m", &second, "");
    pass(1);
    hello("l", &first, "{\"once\":true}");
    find("l")->seq = 7;
    ck_assert(disk_put_command(&module()->disk, &command, note, NULL));
    settle();
    ck_assert_int_eq(outcomes, 1);
    ck_assert_str_eq(asked_at(path, "SELECT seq FROM devices WHERE name='l' AND once"), "7");
    hello("l", &first, "{\"kind\":\"lamp\"}");
    ck_assert(disk_put_command(&module()->disk, &command, note, NULL));
    settle();
    ck_assert_str_eq(asked_at(path, "SELECT kind FROM devices WHERE name='l' AND NOT once"), "lamp");
}
END_TEST

/* Whoever is told of a write asks for the next one: that is no other file, into which all is written again.
 */
START_TEST(a_write_leads_to_another)
{
    struct disk *disk = &module()->disk;
    hello("l", &first, "");
    pass(1100);
    ck_assert(disk_put_command(disk, &command, note_and_write, disk));
    settle();
    ck_assert_int_eq(outcomes, 2);
    ck_assert_int_eq(disk->connections, 1);
    ck_assert_ptr_null(disk->dirty);
    ck_assert_uint_eq(disk->bytes, 0);
}
END_TEST

/* One that is not managed gets a row for its command. */
START_TEST(a_device_that_is_not_managed)
{
    say("l", &first, "cmd/l/resp", "x");
    ck_assert(disk_put_command(&module()->disk, &command, note, NULL));
    restart();
    ck_assert(find("l") && !find("l")->managed && find("l")->stored);
}
END_TEST

START_TEST(groups_are_remembered)
{
    rig_expect(&rig, "device.group.set", "{\"group\":\"g\",\"devices\":[\"a\",\"b\"]}", "ok",
               "{\"group\":\"g\",\"devices\":[\"a\",\"b\"]}");
    restart();
    ck_assert(groups_have(&module()->groups, "g", "a") && groups_have(&module()->groups, "g", "b"));
    rig_ask(&rig, "device.group.delete", "{\"group\":\"g\"}");
    restart();
    ck_assert(!groups_find(&module()->groups, "g"));
}
END_TEST

/* What waits when the module stops is written, and nobody is told. */
START_TEST(the_rest_is_written_at_the_stop)
{
    hello("l", &first, "");
    settle();
    for (int i = 0; i < 100; i++)
        ck_assert(disk_put_group(&module()->disk, i % 2 ? "g" : "h", "[\"a\"]", note, NULL));
    const int told = outcomes;
    restart();
    ck_assert_int_eq(outcomes, told);
    ck_assert(groups_have(&module()->groups, "g", "a") && groups_have(&module()->groups, "h", "a"));
}
END_TEST

/* Also if there was no room for it behind what waited. */
START_TEST(the_rest_of_the_rest_is_written_at_the_stop)
{
    static char text[16777216 - 1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ck_assert(disk_put_group(&module()->disk, "g", "[\"a\"]", NULL, NULL));
    ck_assert(module()->disk.running);
    ck_assert(disk_put_group(&module()->disk, "large", text, NULL, NULL));
    while (disk_put_group(&module()->disk, "g", "[\"a\"]", NULL, NULL))
        ;
    hello("l", &first, "");
    restart();
    ck_assert(find("l") && groups_find(&module()->groups, "g"));
}
END_TEST

START_TEST(what_waits_is_bounded)
{
    enum { SIZE = 4 << 20 };
    char *text = malloc(SIZE);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', SIZE - 1);
    text[SIZE - 1] = '\0';
    int taken = 0;
    while (taken < 100 && disk_put_group(&module()->disk, "g", text, note, NULL))
        taken++;
    ck_assert_int_eq(taken, 3);
    ck_assert_str_eq(module()->disk.failure.why, "too much waits to be written");
    settle();
    ck_assert_int_eq(outcomes, 3);
    ck_assert(disk_put_group(&module()->disk, "g", text, note, NULL));
    settle();
    free(text);
}
END_TEST

/* ---- Trouble ---- */

/* What the module says is wrong with its database; "": nothing is. */
static const char *trouble(void)
{
    const struct troubles_row *row = &rig.engine->registry.instances->troubles.rows[0];
    ck_assert(!*row->what || strcmp(row->what, "database") == 0);
    return row->text;
}

/* The folder is not there at first. */
START_TEST(a_database_that_cannot_be_used)
{
    char none[PATH + 16];
    stop();
    snprintf(none, sizeof none, "%s/none/devices.db", folder);
    lines[0].value = none;
    start();
    hello("l", &first, "");
    pass(5000);
    ck_assert_uint_eq(rig.host.line_count, 1);
    ck_assert(fake_host_logged(&rig.host, "devices and their commands could not be written in "));
    ck_assert_ptr_nonnull(strstr(trouble(), "devices and their commands could not be written (device_db): "));
    ck_assert_ptr_null(strstr(trouble(), folder));
    ck_assert(disk_put_command(&module()->disk, &command, note, NULL));
    settle();
    ck_assert(outcomes == 1 && last.cause == STORE_CANNOT_OPEN);
    ck_assert_uint_eq(rig.host.line_count, 1);
    ck_assert(find("l")->managed);

    snprintf(path, sizeof path, "%s/none", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    pass_until_it_works();
    ck_assert(fake_host_logged(&rig.host, "can be used again"));
    ck_assert_str_eq(trouble(), "");
    ck_assert_str_eq(asked_at(none, "SELECT count(*) FROM devices"), "1");
    stop();
    disk_remove(path);
    lines[0].value = ":memory:";
    start();
}
END_TEST

/* A file that cannot be read at the start is read when it can; nothing is written before. */
START_TEST(a_database_that_is_read_late)
{
    static const char garbage[] = "This is no database, and has been written by nobody in particular.";
    char saved[PATH + 8];
    hello("l", &first, "{\"kind\":\"lamp\"}");
    find("l")->seq = 40;
    stop();
    snprintf(saved, sizeof saved, "%s.saved", path);
    ck_assert_int_eq(rename(path, saved), 0);
    write_file(path, garbage, sizeof garbage);
    start();
    ck_assert(fake_host_logged(&rig.host, "the devices could not be read in "));
    ck_assert_ptr_nonnull(strstr(trouble(), "the devices could not be read (device_db): "));
    ck_assert_ptr_null(find("l"));
    ck_assert(!disk_put_command(&module()->disk, &command, note, NULL));
    ck_assert_int_eq(module()->disk.failure.cause, STORE_CORRUPT);
    hello("m", &second, "");
    hello("l", &first, "{\"once\":true}");
    pass(11000);
    ck_assert(module()->disk.unloaded);
    ck_assert_int_eq(rename(saved, path), 0);
    pass_until_it_works();
    ck_assert_str_eq(trouble(), "");
    pass(1100);
    ck_assert(find("l")->seq == 40 && find("l")->once && !find("l")->kind);
    ck_assert_str_eq(asked_at(path, "SELECT count(*) FROM devices"), "2");
    ck_assert_int_eq(outcomes, 0);
}
END_TEST

static bool was_sent(const char *topic)
{
    const struct fake_box *others = &rig.host.others;
    for (size_t i = 0; i < others->count; i++) {
        if (strcmp(others->kept[i].topic, topic) == 0)
            return true;
    }
    return false;
}

/* Its devices may be there by then, with _i; and the option may name them. */
START_TEST(a_queue_that_is_read_late)
{
    static const char garbage[] = "This is no database, and has been written by nobody in particular.";
    char saved[PATH + 8];
    hello("l", &first, "");
    ck_assert(disk_put_command(&module()->disk, &command, note, NULL));
    stop();
    by_other(path, "UPDATE devices SET managed = 0");
    snprintf(saved, sizeof saved, "%s.saved", path);
    ck_assert_int_eq(rename(path, saved), 0);
    write_file(path, garbage, sizeof garbage);
    set_option("device_managed", "*");
    start();
    if (_i)
        hello("l", &first, "");
    ck_assert_int_eq(rename(saved, path), 0);
    pass_until_it_works();
    pass(1100);
    ck_assert(find("l")->managed);
    ck_assert(was_sent("cmd/l/status") && was_sent("cmd/l/req") == (_i == 1));
}
END_TEST

/* Old commands cannot be deleted just now: what is new is on the disk all the same. */
START_TEST(a_database_that_cannot_be_pruned)
{
    struct ledger_command old = command;
    char id[8];
    old.state = COMMAND_SUCCEEDED;
    old.id = id;
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof id, "old%d", i);
        old.ended = 1700000000 + i;
        ck_assert(disk_put_command(&module()->disk, &old, NULL, NULL));
    }
    settle();
    by_other(path, "CREATE TRIGGER keep BEFORE DELETE ON commands BEGIN SELECT RAISE(ABORT, 'no'); END");
    module()->disk.prune_due = true;
    ck_assert(disk_put_command(&module()->disk, &command, note, NULL));
    settle();
    ck_assert(outcomes == 1 && last.cause == STORE_CAUSES);
    ck_assert_str_eq(asked_at(path, "SELECT count(*) FROM commands"), "21");
    by_other(path, "DROP TRIGGER keep");
    pass(61000);
    ck_assert_str_eq(asked_at(path, "SELECT count(*) FROM commands WHERE ending IS NOT NULL"), "16");
}
END_TEST

/* What is known is written again into a file that took the place of a deleted one. */
START_TEST(a_database_that_is_deleted)
{
    hello("l", &first, "");
    rig_ask(&rig, "device.group.set", "{\"group\":\"g\",\"devices\":[\"l\"]}");
    engine_client_ended(rig.engine, &(const struct host_ending){.id = "l", .connection = &first});
    pass(3000);
    rig.host.property = "offline";
    rig.host.value = "queue";
    rig.client.version = 5;
    ck_assert_str_eq(rig_ask(&rig, "device/l/light", "{\"on\":true}")->status, "ok");
    rig.host.property = NULL;
    unlink(path);
    hello("m", &second, "");
    pass(1100);
    pass_until_it_works();
    pass(1100);
    ck_assert_str_eq(asked_at(path, "SELECT count(*) FROM devices"), "2");
    ck_assert_str_eq(asked_at(path, "SELECT count(*) FROM device_groups"), "1");
    ck_assert_str_eq(asked_at(path, "SELECT count(*) FROM commands WHERE state = 'queued'"), "1");
}
END_TEST

/* A change that is on its way when the module stops: its caller is gone, the change is not. */
START_TEST(a_group_that_is_on_its_way_at_the_stop)
{
    hello("l", &first, "");
    rig_tell(&rig, "device.group.set", "{\"group\":\"g\",\"devices\":[\"l\"]}");
    rig_tell(&rig, "device.group.set", "{\"group\":\"h\",\"devices\":[\"l\"]}");
    restart();
    ck_assert(groups_find(&module()->groups, "g") && groups_find(&module()->groups, "h"));
}
END_TEST

static const char *const bad_rows[] = {
    "UPDATE devices SET name='a/b'",          "UPDATE devices SET name=''",
    "UPDATE devices SET commands='nonsense'", "UPDATE devices SET commands='[\"a b\",\"'",
    "UPDATE devices SET kind=x'ff'",
};

START_TEST(rows_of_another_program)
{
    hello("l", &first, "{\"commands\":[\"a\"],\"kind\":\"lamp\"}");
    stop();
    by_other(path, bad_rows[_i]);
    start();
    pass(1100);
    rig_ask(&rig, "device.list", "{}");
    if (find("l"))
        rig_ask(&rig, "device.status", "{\"device\":\"l\"}");
}
END_TEST

UNIT_MAIN("device_disk", open_rig, close_rig, {nothing_is_written_for_nothing, 0},
          {managed_devices_are_remembered, 2}, {forgotten_devices_are_not, 2},
          {one_that_makes_room_is_forgotten, 0}, {more_devices_than_there_is_room_for, 0},
          {devices_are_written_once_a_second, 0}, {messages_are_written_once_a_minute, 0},
          {commands_are_told_when_they_are_stored, 0}, {the_device_of_a_command_is_stored_with_it, 0},
          {a_write_leads_to_another, 0}, {a_device_that_is_not_managed, 0}, {groups_are_remembered, 0},
          {the_rest_is_written_at_the_stop, 0}, {the_rest_of_the_rest_is_written_at_the_stop, 0},
          {what_waits_is_bounded, 0}, {a_database_that_cannot_be_used, 0}, {a_database_that_is_read_late, 0},
          {a_queue_that_is_read_late, 2}, {a_database_that_cannot_be_pruned, 0},
          {a_database_that_is_deleted, 0}, {a_group_that_is_on_its_way_at_the_stop, 0},
          {rows_of_another_program, UNIT_ROWS(bad_rows)})

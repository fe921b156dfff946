// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * handlers/device/ledger.c: devices, groups and commands in a database, and databases that are locked, full,
 * damaged, replaced or another's. Each test has a folder of its own. A second connection to the database, or
 * a change of the file itself, plays the part of another program.
 */
#include "device/ledger.h"
#include "disk.h"
#include "failing_malloc.h"
#include "sensor/store.h"
#include "unit.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH = 128, BUSY_MS = 50, ALL = 1000000 };

static char folder[PATH / 2], path[PATH], wal[PATH], shared[PATH];
static struct ledger *ledger;
static struct store_failure failure;

static char *in_folder(char *out, const char *name)
{
    snprintf(out, PATH, "%s/%s", folder, name);
    return out;
}

static void make_folder_in(const char *parent)
{
    snprintf(folder, sizeof folder, "%s/rpc-ledger-XXXXXX", parent);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    in_folder(path, "devices.db");
    in_folder(wal, "devices.db-wal");
    in_folder(shared, "devices.db-shm");
    ledger = ledger_new(path, "rpc", BUSY_MS);
    ck_assert_ptr_nonnull(ledger);
}

static void make_folder(void)
{
    make_folder_in("/tmp");
}

static void remove_folder(void)
{
    ledger_close(ledger);
    disk_remove(folder);
}

static void reopen(void)
{
    ledger_close(ledger);
    ledger = ledger_new(path, "rpc", BUSY_MS);
}

static const char *asked(const char *sql)
{
    return asked_at(path, sql);
}

/* ---- Devices, groups and commands ---- */

static void succeed(bool ok)
{
    if (!ok)
        ck_abort_msg("%s: %s", store_cause_names[failure.cause], failure.why);
}

#define CHECK_FAILED(call, expected)                                                     \
    do {                                                                                 \
        memset(&failure, 0, sizeof failure);                                             \
        ck_assert(!(call));                                                              \
        ck_assert_str_eq(store_cause_names[failure.cause], store_cause_names[expected]); \
        ck_assert_uint_gt(strlen(failure.why), 0);                                       \
    } while (0)

static bool put_device(struct ledger *to, const char *name, int64_t seq)
{
    const struct ledger_device device = {.name = name, .seq = seq};
    return ledger_put_device(to, &device, &failure);
}

static bool put_command(struct ledger *to, const char *device, const char *id, enum command_state state,
                        double ended)
{
    const struct ledger_command command = {
        .device = device, .id = id, .name = "light", .state = state, .ended = ended};
    return ledger_put_command(to, &command, &failure);
}

static bool save_device(struct ledger *to, const char *name, int64_t seq)
{
    return ledger_begin(to, &failure) && put_device(to, name, seq) && ledger_commit(to, &failure);
}

static bool save_command(struct ledger *to, const char *device, const char *id, enum command_state state,
                         double ended)
{
    return ledger_begin(to, &failure) && put_command(to, device, id, state, ended) &&
           ledger_commit(to, &failure);
}

/* Commands with the ids first, first + 1, ..., all of which have ended at the time of their number. */
static void save_ended(const char *device, int first, int count)
{
    char id[16];
    succeed(ledger_begin(ledger, &failure));
    for (int i = first; i < first + count; i++) {
        snprintf(id, sizeof id, "%d", i);
        succeed(put_command(ledger, device, id, COMMAND_SUCCEEDED, i));
    }
    succeed(ledger_commit(ledger, &failure));
}

struct seen {
    char text[8192];
    int max;
    bool whole; /* all members of commands and devices, and not only their names */
};

static const char *or_none(const char *text)
{
    return text ? text : "-";
}

static bool see(struct seen *seen, const char *text)
{
    const size_t used = strlen(seen->text);
    snprintf(seen->text + used, sizeof seen->text - used, "%s ", text);
    return --seen->max != 0;
}

static bool see_device(void *data, const struct ledger_device *device)
{
    struct seen *seen = data;
    char text[512];
    if (seen->whole)
        snprintf(text, sizeof text, "%s|%s|%s|%d%d|%lld|%.2f", device->name, or_none(device->kind),
                 or_none(device->commands), device->managed, device->once, (long long)device->seq,
                 device->seen);
    else
        snprintf(text, sizeof text, "%s", device->name);
    return see(seen, text);
}

static bool see_group(void *data, const char *name, const char *devices)
{
    char text[512];
    snprintf(text, sizeof text, "%s=%s", name, devices);
    return see(data, text);
}

static bool see_command(void *data, const struct ledger_command *command)
{
    struct seen *seen = data;
    char text[512];
    if (seen->whole)
        snprintf(text, sizeof text, "%s/%s|%s|%s|%s|%lld|%d|%.2f|%.2f|%.2f|%d|%s|%.2f|%s|%s|%d",
                 command->device, command->id, command->name, or_none(command->params),
                 command_state_names[command->state], (long long)command->seq, command->attempt,
                 command->queued, command->expires, command->stale, command->idempotent,
                 or_none(command->err), command->ended, or_none(command->caller), or_none(command->user),
                 command->mounted);
    else
        snprintf(text, sizeof text, "%s/%s:%s", command->device, command->id,
                 command_state_names[command->state]);
    return see(seen, text);
}

static const char *loaded_with(struct ledger *from, int64_t ended, bool whole, int max)
{
    static struct seen seen;
    seen = (struct seen){.max = max, .whole = whole};
    const struct ledger_visit visit = {see_device, see_group, see_command, &seen};
    succeed(ledger_load(from, &visit, ended, &failure));
    return seen.text;
}

static const char *loaded(struct ledger *from)
{
    return loaded_with(from, ALL, false, ALL);
}

static bool load_fails(struct ledger *from)
{
    struct seen seen = {.max = ALL};
    const struct ledger_visit visit = {see_device, see_group, see_command, &seen};
    return ledger_load(from, &visit, ALL, &failure);
}

/* Opens the database as soon as it is tried again. */
static void recover(void)
{
    for (int tries = 0; tries < 600 && !ledger_open(ledger, &failure); tries++)
        usleep(100000);
    succeed(ledger_open(ledger, &failure));
}

/* ---- What is stored ---- */

static const struct ledger_device whole_device = {
    .name = "lamp1",
    .kind = "lamp",
    .commands = "[\"light\",\"blink\"]",
    .managed = true,
    .seq = INT64_C(9007199254740993),
    .seen = 1795253475.25,
};

static const struct ledger_command whole_command = {
    .id = "k7f3aaaa",
    .device = "lamp1",
    .name = "light",
    .params = "{\"on\":true}",
    .state = COMMAND_SENT,
    .seq = INT64_C(9007199254740993),
    .attempt = 3,
    .queued = 1795253475.25,
    .expires = 1795257075.5,
    .stale = 1795253485.75,
    .idempotent = true,
    .err = "device_failed",
    .ended = 1795253476.5,
    .caller = "shop",
    .user = "ann",
    .mounted = true,
};

START_TEST(all_is_loaded)
{
    static const char expected[] =
        "lamp1|lamp|[\"light\",\"blink\"]|10|9007199254740993|1795253475.25 bare|-|-|00|0|0.00 "
        "hall=[\"lamp1\"] "
        "lamp1/k7f3aaaa|light|{\"on\":true}|sent|9007199254740993|3|1795253475.25|1795257075.50|1795253485.75"
        "|1|device_failed|1795253476.50|shop|ann|1 "
        "bare/1|light|-|queued|0|0|0.00|0.00|0.00|0|-|0.00|-|-|0 ";
    succeed(ledger_open(ledger, &failure));
    ck_assert_str_eq(loaded(ledger), "");
    succeed(ledger_begin(ledger, &failure) && ledger_put_device(ledger, &whole_device, &failure) &&
            put_device(ledger, "bare", 0) && ledger_put_command(ledger, &whole_command, &failure) &&
            put_command(ledger, "bare", "1", COMMAND_QUEUED, 0) &&
            ledger_put_group(ledger, "hall", "[\"lamp1\"]", &failure) && ledger_commit(ledger, &failure));
    ck_assert_str_eq(loaded_with(ledger, ALL, true, ALL), expected);
    reopen();
    ck_assert_str_eq(loaded_with(ledger, ALL, true, ALL), expected);
}
END_TEST

/* A change replaces all members, and keeps the place in the order. */
START_TEST(changes)
{
    succeed(ledger_begin(ledger, &failure) && ledger_put_device(ledger, &whole_device, &failure) &&
            put_device(ledger, "b", 1) && ledger_put_command(ledger, &whole_command, &failure) &&
            put_command(ledger, "lamp1", "2", COMMAND_QUEUED, 0) &&
            ledger_put_group(ledger, "hall", "[]", &failure) &&
            ledger_put_group(ledger, "attic", "[]", &failure) && ledger_commit(ledger, &failure));
    struct ledger_command bare = {.device = "lamp1", .id = "k7f3aaaa", .name = "blink"};
    succeed(ledger_begin(ledger, &failure) && put_device(ledger, "lamp1", 7) &&
            ledger_put_command(ledger, &bare, &failure) &&
            ledger_put_group(ledger, "hall", "[\"b\"]", &failure) && ledger_commit(ledger, &failure));
    ck_assert_str_eq(loaded_with(ledger, ALL, true, ALL),
                     "lamp1|-|-|00|7|0.00 b|-|-|00|1|0.00 hall=[\"b\"] attic=[] "
                     "lamp1/k7f3aaaa|blink|-|queued|0|0|0.00|0.00|0.00|0|-|0.00|-|-|0 "
                     "lamp1/2|light|-|queued|0|0|0.00|0.00|0.00|0|-|0.00|-|-|0 ");
}
END_TEST

START_TEST(dropping)
{
    succeed(ledger_begin(ledger, &failure) && put_device(ledger, "a", 0) && put_device(ledger, "b", 0) &&
            put_command(ledger, "a", "1", COMMAND_QUEUED, 0) &&
            put_command(ledger, "a", "2", COMMAND_FAILED, 5) &&
            put_command(ledger, "b", "1", COMMAND_QUEUED, 0) &&
            put_command(ledger, "b", "2", COMMAND_QUEUED, 0) &&
            put_command(ledger, "nobody", "1", COMMAND_QUEUED, 0) &&
            ledger_put_group(ledger, "a", "[]", &failure) && ledger_put_group(ledger, "b", "[]", &failure) &&
            ledger_commit(ledger, &failure));
    succeed(ledger_begin(ledger, &failure) && ledger_drop_device(ledger, "a", &failure) &&
            ledger_drop_command(ledger, "b", "1", &failure) && ledger_drop_group(ledger, "b", &failure) &&
            ledger_commit(ledger, &failure));
    ck_assert_str_eq(loaded(ledger), "b a=[] b/2:queued nobody/1:queued ");
    succeed(ledger_begin(ledger, &failure) && ledger_drop_device(ledger, "nobody", &failure) &&
            ledger_drop_device(ledger, "none", &failure) &&
            ledger_drop_command(ledger, "b", "none", &failure) &&
            ledger_drop_group(ledger, "none", &failure) && ledger_commit(ledger, &failure));
    ck_assert_str_eq(loaded(ledger), "b a=[] b/2:queued ");
}
END_TEST

/* Names and ids are what clients chose. */
static const char *const odd_names[] = {
    "'; DROP TABLE devices; --",
    "\xc3\xa4",
    "\xff\xfe",
    "",
    "%s%n",
    "a b\t\"",
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
    "nnnn"
    "nnnnnnnnnnnnnnnn",
};

START_TEST(names_may_be_any_text)
{
    const char *name = odd_names[_i];
    char expected[1024];
    succeed(save_device(ledger, "other", 1) && save_device(ledger, name, 1));
    succeed(save_command(ledger, name, name, COMMAND_QUEUED, 0));
    succeed(save_command(ledger, name, name, COMMAND_SENT, 0));
    succeed(ledger_begin(ledger, &failure) && ledger_put_group(ledger, name, name, &failure) &&
            ledger_commit(ledger, &failure));
    snprintf(expected, sizeof expected, "other %s %s=%s %s/%s:sent ", name, name, name, name, name);
    ck_assert_str_eq(loaded(ledger), expected);
    succeed(ledger_begin(ledger, &failure) && ledger_drop_device(ledger, name, &failure) &&
            ledger_drop_group(ledger, name, &failure) && ledger_commit(ledger, &failure));
    ck_assert_str_eq(loaded(ledger), "other ");
}
END_TEST

START_TEST(states_are_stored_by_name)
{
    char expected[64];
    succeed(save_command(ledger, "a", "1", (enum command_state)_i, 0));
    ck_assert_str_eq(asked("SELECT state FROM commands"), command_state_names[_i]);
    snprintf(expected, sizeof expected, "a/1:%s ", command_state_names[_i]);
    ck_assert_str_eq(loaded(ledger), expected);
    ck_assert_int_eq(command_state_of(command_state_names[_i]), _i);
}
END_TEST

START_TEST(states_that_do_not_exist)
{
    ck_assert_int_eq(command_state_of("delivered"), COMMAND_UNKNOWN);
    ck_assert_int_eq(command_state_of(""), COMMAND_UNKNOWN);
    ck_assert_int_eq(command_state_of(NULL), COMMAND_UNKNOWN);
}
END_TEST

/* Live commands come in the order in which they were added, ended ones in the order in which they ended,
 * whatever the clock said; and of these the last ones of each device. */
START_TEST(order)
{
    static const char *const ids[] = {"1", "2", "3", "4", "5"};
    for (int i = 0; i < 5; i++)
        succeed(save_command(ledger, "a", ids[i], COMMAND_QUEUED, 0) &&
                save_command(ledger, "b", ids[i], COMMAND_QUEUED, 0));
    succeed(save_command(ledger, "a", "4", COMMAND_CANCELLED, 900));
    succeed(save_command(ledger, "b", "1", COMMAND_TIMEOUT, 800));
    succeed(save_command(ledger, "a", "1", COMMAND_SUCCEEDED, 700));
    succeed(save_command(ledger, "a", "2", COMMAND_FAILED, 600));
    succeed(save_command(ledger, "b", "1", COMMAND_SUCCEEDED, 500)); /* late: it keeps its place */
    succeed(save_command(ledger, "a", "5", COMMAND_SENT, 0));
    ck_assert_str_eq(loaded(ledger), "a/4:cancelled b/1:succeeded a/1:succeeded a/2:failed "
                                     "b/2:queued a/3:queued b/3:queued b/4:queued a/5:sent b/5:queued ");
    ck_assert_str_eq(loaded_with(ledger, 2, false, ALL),
                     "b/1:succeeded a/1:succeeded a/2:failed "
                     "b/2:queued a/3:queued b/3:queued b/4:queued a/5:sent b/5:queued ");
    ck_assert_str_eq(loaded_with(ledger, 0, false, 1), "b/2:queued ");
}
END_TEST

START_TEST(visits_may_stop_and_be_left_out)
{
    succeed(ledger_begin(ledger, &failure) && put_device(ledger, "a", 0) && put_device(ledger, "b", 0) &&
            ledger_put_group(ledger, "g", "[]", &failure) && ledger_put_group(ledger, "h", "[]", &failure) &&
            put_command(ledger, "a", "1", COMMAND_QUEUED, 0) &&
            put_command(ledger, "a", "2", COMMAND_QUEUED, 0) && ledger_commit(ledger, &failure));
    static const char *const shown[] = {"a ", "b ", "g=[] ", "h=[] ", "a/1:queued ", "a/2:queued "};
    char expected[64] = "";
    for (int i = 0; i < 6; i++) {
        strcat(expected, shown[i]);
        ck_assert_str_eq(loaded_with(ledger, ALL, false, i + 1), expected);
    }
    struct seen seen = {.max = ALL};
    const struct ledger_visit groups = {.group = see_group, .data = &seen}, none = {.data = NULL};
    succeed(ledger_load(ledger, &groups, ALL, &failure) && ledger_load(ledger, &none, ALL, &failure));
    ck_assert_str_eq(seen.text, "g=[] h=[] ");
    succeed(save_device(ledger, "c", 0)); /* nothing keeps a lock */
}
END_TEST

/* What another program has written. */
START_TEST(rows_of_others)
{
    succeed(save_device(ledger, "a", 0) && save_command(ledger, "a", "1", COMMAND_QUEUED, 0));
    by_other(path, "INSERT INTO devices SELECT NULL, CAST(x'620063' AS TEXT), kind, commands, managed, once,"
                   " seq, seen FROM devices;"
                   "INSERT INTO devices SELECT NULL, 'd', CAST(x'00' AS TEXT), x'ff', 'x', x'', 'y', 1e300"
                   " FROM devices WHERE name = 'a';"
                   "INSERT INTO devices SELECT NULL, 12, 1.5, NULL, 99, -1, 1e300, 'z' FROM devices"
                   " WHERE name = 'a';"
                   "INSERT INTO device_groups (name, devices) VALUES (CAST(x'00' AS TEXT), '[]');"
                   "UPDATE commands SET state = 'delivered', attempt = 1e300, params = x'00'");
    ck_assert_str_eq(loaded(ledger), "a 12 ");
    by_other(path, "UPDATE commands SET params = NULL");
    ck_assert_str_eq(loaded(ledger), "a 12 a/1:unknown ");
    succeed(save_command(ledger, "a", "1", COMMAND_QUEUED, 0));
    ck_assert_str_eq(loaded(ledger), "a 12 a/1:queued ");
}
END_TEST

START_TEST(the_file_is_ours_and_has_a_log)
{
    struct stat file;
    succeed(save_device(ledger, "a", 1));
    ck_assert_str_eq(asked("PRAGMA journal_mode"), "wal");
    ck_assert_str_eq(asked("PRAGMA application_id"), "1919968100");
    ck_assert_str_eq(asked("PRAGMA user_version"), "2");
    ck_assert_str_eq(asked("SELECT prefix FROM home"), "rpc");
    ck_assert_str_eq(ledger_path(ledger), path);
    ck_assert_int_eq(ledger_exposure(ledger), 0);
    ck_assert_int_eq(stat(path, &file), 0);
    ck_assert_uint_eq(file.st_mode & 07777, 0600);
}
END_TEST

/* Version 1 of the format. It must not change with the code. */
static const char version_1[] =
    "PRAGMA application_id = 1919968100; PRAGMA user_version = 1;"
    "CREATE TABLE home (prefix TEXT NOT NULL);"
    "CREATE TABLE devices (key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT, commands TEXT,"
    " managed INTEGER NOT NULL, once INTEGER NOT NULL, seq INTEGER NOT NULL, seen REAL NOT NULL);"
    "CREATE TABLE device_groups (key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, devices TEXT NOT NULL);"
    "CREATE TABLE commands (key INTEGER PRIMARY KEY, device TEXT NOT NULL, id TEXT NOT NULL,"
    " name TEXT NOT NULL, params TEXT, state TEXT NOT NULL, seq INTEGER NOT NULL, attempt INTEGER NOT NULL,"
    " queued REAL NOT NULL, expires REAL NOT NULL, stale REAL NOT NULL, idempotent INTEGER NOT NULL,"
    " err TEXT, ended REAL NOT NULL, ending INTEGER, UNIQUE (device, id));"
    "CREATE INDEX commands_ended ON commands (ending) WHERE ending IS NOT NULL;"
    "CREATE INDEX commands_ended_of_device ON commands (device, ending) WHERE ending IS NOT NULL;"
    "INSERT INTO home VALUES ('rpc');"
    "INSERT INTO devices VALUES (1, 'a', 'lamp', NULL, 1, 0, 7, 1.5);"
    "INSERT INTO device_groups VALUES (1, 'g', '[]');"
    "INSERT INTO commands VALUES (1, 'a', '1', 'light', '{}', 'queued', 0, 0, 1, 2, 3, 1, NULL, 0, NULL),"
    " (2, 'a', '2', 'light', NULL, 'failed', 6, 1, 1, 2, 0, 0, 'busy', 4, 1);";

START_TEST(version_1_is_brought_up_to_date)
{
    static const char shape[] = "SELECT hex(sum(length(sql))) FROM (SELECT replace(sql, ' ', '') AS sql FROM "
                                "sqlite_master ORDER BY name)";
    char fresh[64];
    succeed(ledger_open(ledger, &failure));
    snprintf(fresh, sizeof fresh, "%s", asked(shape));
    ledger_close(ledger);
    unlink(path);
    by_other(path, version_1);
    ledger = ledger_new(path, "rpc", BUSY_MS);
    ck_assert_str_eq(loaded_with(ledger, ALL, true, ALL),
                     "a|lamp|-|10|7|1.50 g=[] a/2|light|-|failed|6|1|1.00|2.00|0.00|0|busy|4.00|-|-|0 "
                     "a/1|light|{}|queued|0|0|1.00|2.00|3.00|1|-|0.00|-|-|0 ");
    succeed(save_command(ledger, "a", "1", COMMAND_EXPIRED, 3));
    ck_assert_str_eq(loaded(ledger), "a g=[] a/2:failed a/1:expired ");
    ck_assert_str_eq(asked("PRAGMA user_version"), "2");
    ck_assert_str_eq(asked(shape), fresh);
}
END_TEST

START_TEST(closing)
{
    ledger_close(NULL);
    ledger_close(ledger_new(path, "rpc", 0)); /* never opened */
    ck_assert(!ledger_file_exists(path, "rpc"));

    struct ledger *nowhere = ledger_new("/nowhere/at/all.db", "rpc", 0);
    ck_assert(!ledger_file_exists("/nowhere/at/all.db", "rpc"));
    CHECK_FAILED(ledger_open(nowhere, &failure), STORE_CANNOT_OPEN);
    ck_assert_ptr_nonnull(strstr(failure.why, "No such file"));
    ck_assert_str_eq(failure.path, "/nowhere/at/all.db");
    ck_assert(!ledger_open(nowhere, NULL));
    ledger_close(nowhere);

    struct ledger *half = ledger_new(path, "rpc", 0);
    succeed(ledger_begin(half, &failure) && put_device(half, "a", 1));
    ledger_close(half);
    ck_assert_str_eq(loaded(ledger), "");
}
END_TEST

START_TEST(in_memory)
{
    ck_assert(!ledger_file_exists(":memory:", "rpc"));
    struct ledger *first = ledger_new(":memory:", "rpc", BUSY_MS);
    struct ledger *second = ledger_new(":memory:", "rpc", BUSY_MS);
    succeed(save_device(first, "a", 1));
    ck_assert_str_eq(loaded(first), "a ");
    ck_assert_str_eq(loaded(second), "");
    ledger_close(first);
    ledger_close(second);
}
END_TEST

/* ---- Groups of changes ---- */

START_TEST(groups_are_whole)
{
    succeed(ledger_begin(ledger, &failure) && put_device(ledger, "a", 1));
    ledger_rollback(ledger);
    ck_assert_str_eq(loaded(ledger), "");
    ledger_rollback(ledger);

    succeed(ledger_begin(ledger, &failure) && put_device(ledger, "a", 3));
    succeed(ledger_begin(ledger, &failure) && put_device(ledger, "b", 4));
    succeed(ledger_commit(ledger, &failure));
    ck_assert_str_eq(loaded(ledger), "b ");
    succeed(ledger_begin(ledger, &failure) && ledger_commit(ledger, &failure));
}
END_TEST

static bool put_a_device(void)
{
    return put_device(ledger, "bad", 1);
}

static bool drop_a_device(void)
{
    return ledger_drop_device(ledger, "bad", &failure);
}

static bool put_a_command(void)
{
    return put_command(ledger, "bad", "1", COMMAND_QUEUED, 0);
}

static bool drop_a_command(void)
{
    return ledger_drop_command(ledger, "bad", "1", &failure);
}

static bool put_a_group(void)
{
    return ledger_put_group(ledger, "bad", "[]", &failure);
}

static bool drop_a_group(void)
{
    return ledger_drop_group(ledger, "bad", &failure);
}

static const struct change {
    bool (*make)(void);
    const char *refused; /* by a trigger for this */
} all_changes[] = {
    {put_a_device, "INSERT ON devices WHEN new.name = 'bad'"},
    {drop_a_device, "DELETE ON devices WHEN old.name = 'bad'"},
    {drop_a_device, "DELETE ON commands WHEN old.device = 'bad'"},
    {put_a_command, "INSERT ON commands WHEN new.device = 'bad'"},
    {drop_a_command, "DELETE ON commands WHEN old.device = 'bad'"},
    {put_a_group, "INSERT ON device_groups WHEN new.name = 'bad'"},
    {drop_a_group, "DELETE ON device_groups WHEN old.name = 'bad'"},
};

START_TEST(changes_need_a_group)
{
    CHECK_FAILED(all_changes[_i].make(), STORE_FAILED);
    CHECK_FAILED(ledger_commit(ledger, &failure), STORE_FAILED);
    ck_assert_str_eq(failure.why, "no group has begun");
    ck_assert_str_eq(loaded(ledger), "");
}
END_TEST

/* If one change cannot be made, none of the group is, and all functions fail for the same reason. */
START_TEST(one_failure_fails_the_group)
{
    char sql[200];
    if (strncmp(all_changes[_i].refused, "DELETE", 6) == 0)
        succeed(ledger_begin(ledger, &failure) && put_device(ledger, "bad", 1) &&
                put_command(ledger, "bad", "1", COMMAND_QUEUED, 0) &&
                ledger_put_group(ledger, "bad", "[]", &failure) && ledger_commit(ledger, &failure));
    else
        succeed(save_device(ledger, "good", 1));
    char *before = strdup(loaded(ledger));
    ck_assert_ptr_nonnull(before);
    snprintf(sql, sizeof sql, "CREATE TRIGGER no BEFORE %s BEGIN SELECT raise(ABORT, 'not this one'); END",
             all_changes[_i].refused);
    by_other(path, sql);
    succeed(ledger_begin(ledger, &failure) && put_device(ledger, "new", 2));
    CHECK_FAILED(all_changes[_i].make(), STORE_FAILED);
    ck_assert_str_eq(failure.why, "not this one");
    by_other(path, "BEGIN IMMEDIATE"); /* a failed group does not wait for a lock */
    for (size_t i = 0; i < sizeof all_changes / sizeof all_changes[0]; i++) {
        CHECK_FAILED(all_changes[i].make(), STORE_FAILED);
        ck_assert_str_eq(failure.why, "not this one");
    }
    CHECK_FAILED(ledger_commit(ledger, &failure), STORE_FAILED);
    ck_assert_str_eq(failure.why, "not this one");
    ck_assert_str_eq(loaded(ledger), before);
    free(before);
    by_other(path, "DROP TRIGGER no");
    succeed(ledger_begin(ledger, &failure) && all_changes[_i].make() && ledger_commit(ledger, &failure));
}
END_TEST

START_TEST(no_number_is_nan)
{
    const struct ledger_device device = {.name = "a", .seen = NAN};
    succeed(ledger_begin(ledger, &failure));
    CHECK_FAILED(ledger_put_device(ledger, &device, &failure), STORE_FAILED);
    succeed(ledger_begin(ledger, &failure));
    CHECK_FAILED(put_command(ledger, "a", "1", COMMAND_FAILED, NAN), STORE_FAILED);
    CHECK_FAILED(ledger_commit(ledger, &failure), STORE_FAILED);
    ck_assert_str_eq(loaded(ledger), "");
}
END_TEST

/* ---- Ends of the process ---- */

static const enum command_state life[] = {COMMAND_QUEUED, COMMAND_SENT, COMMAND_RUNNING, COMMAND_SUCCEEDED};

enum { LIFE = sizeof life / sizeof life[0] };

/* Brings commands through their lives, writes a byte for each stored state, and goes on until it is killed.
 */
static void live_until_killed(int pipe_end)
{
    struct ledger *own = ledger_new(path, "rpc", 10000);
    char id[16];
    for (int i = 0;; i++) {
        snprintf(id, sizeof id, "%d", i / LIFE);
        const int step = i % LIFE;
        if (!ledger_begin(own, NULL) || !put_device(own, "a", i) ||
            !put_command(own, "a", id, life[step], step == LIFE - 1 ? i : 0) || !ledger_commit(own, NULL) ||
            write(pipe_end, "", 1) != 1)
            _exit(1);
    }
}

static int kill_after(int answers)
{
    int ends[2], count = 0;
    char byte;
    ck_assert_int_eq(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0)
        live_until_killed(ends[1]);
    close(ends[1]);
    while (count < answers && read(ends[0], &byte, 1) == 1)
        count++;
    kill(child, SIGKILL);
    while (read(ends[0], &byte, 1) == 1)
        count++;
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert_int_ge(count, answers);
    return count;
}

/* The file has each stored state, and at most one more; a device and its command are of the same group. */
START_TEST(stored_states_survive_a_kill)
{
    for (int round = 1; round <= 20; round++) {
        reopen();
        succeed(ledger_begin(ledger, &failure) && ledger_drop_device(ledger, "a", &failure) &&
                ledger_commit(ledger, &failure));
        ledger_close(ledger);
        ledger = NULL;
        const int count = kill_after(round);
        reopen();
        succeed(ledger_open(ledger, &failure));
        const int last = atoi(asked("SELECT seq FROM devices")), ended = (last + 1) / LIFE;
        ck_assert_int_ge(last, count - 1);
        ck_assert_int_le(last, count);
        ck_assert_int_eq(atoi(asked("SELECT count(*) FROM commands WHERE state = 'succeeded'")), ended);
        ck_assert_int_eq(atoi(asked("SELECT count(*) FROM commands")), last / LIFE + 1);
        const char *state = asked("SELECT state FROM commands ORDER BY key DESC LIMIT 1");
        ck_assert_str_eq(state, command_state_names[life[last % LIFE]]);
    }
    ck_assert_str_eq(asked("PRAGMA integrity_check"), "ok");
}
END_TEST

/* Killed within a group, after so many changes: nothing of it is stored, and what was before is. */
START_TEST(killed_within_a_group)
{
    succeed(save_command(ledger, "a", "1", COMMAND_QUEUED, 0));
    reopen();
    const pid_t child = fork();
    if (child == 0) {
        if (!ledger_begin(ledger, NULL))
            _exit(1);
        for (int i = 0; i < _i * 1000; i++) {
            char id[16];
            snprintf(id, sizeof id, "%d", i);
            put_command(ledger, "a", id, COMMAND_SENT, 0);
        }
        raise(SIGKILL);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    ck_assert_str_eq(loaded(ledger), "a/1:queued ");
    ck_assert_str_eq(asked("PRAGMA integrity_check"), "ok");
    succeed(save_command(ledger, "a", "1", COMMAND_SENT, 0));
}
END_TEST

/* ---- Pruning ---- */

/* Prunes until there is no more to do. Returns the number of calls. */
static int prune(int64_t keep_per_device, int64_t keep, double oldest, int64_t rows)
{
    const struct ledger_limits limits = {keep_per_device, keep, oldest, rows};
    bool more = true;
    int calls = 0;
    for (; more; calls++) {
        const int before = atoi(asked("SELECT count(*) FROM commands"));
        succeed(ledger_prune(ledger, &limits, &more, &failure));
        ck_assert_int_le(before - atoi(asked("SELECT count(*) FROM commands")), rows);
        ck_assert_int_lt(calls, 1000);
    }
    return calls;
}

static const int64_t bounds[] = {1, 2, 3, 7, 1000};

START_TEST(pruning)
{
    save_ended("a", 1, 5);
    save_ended("b", 11, 3);
    succeed(save_command(ledger, "a", "live", COMMAND_SENT, 0));
    succeed(save_device(ledger, "a", 1));
    ck_assert_int_eq(prune(INT64_MAX, INT64_MAX, -INFINITY, bounds[_i]), 1);
    ck_assert_str_eq(asked("SELECT count(*) FROM commands"), "9");
    prune(INT64_MAX, INT64_MAX, 3, bounds[_i]);
    ck_assert_str_eq(loaded(ledger), "a a/3:succeeded a/4:succeeded a/5:succeeded b/11:succeeded "
                                     "b/12:succeeded b/13:succeeded a/live:sent ");
    prune(2, INT64_MAX, -INFINITY, bounds[_i]);
    ck_assert_str_eq(loaded(ledger), "a a/4:succeeded a/5:succeeded b/12:succeeded b/13:succeeded "
                                     "a/live:sent ");
    prune(INT64_MAX, 3, -INFINITY, bounds[_i]);
    ck_assert_str_eq(loaded(ledger), "a a/5:succeeded b/12:succeeded b/13:succeeded a/live:sent ");
    prune(0, 0, INFINITY, bounds[_i]);
    ck_assert_str_eq(loaded(ledger), "a a/live:sent ");
}
END_TEST

/* What ended last stays, also if it was added first, or the clock was wrong. */
START_TEST(pruning_goes_by_order)
{
    succeed(save_command(ledger, "a", "1", COMMAND_QUEUED, 0));
    save_ended("a", 100, 3);
    save_ended("b", 200, 3);
    succeed(save_command(ledger, "a", "1", COMMAND_EXPIRED, 5));
    prune(2, INT64_MAX, -INFINITY, 100);
    ck_assert_str_eq(loaded(ledger), "a/102:succeeded b/201:succeeded b/202:succeeded a/1:expired ");
    prune(2, 1, -INFINITY, 100);
    ck_assert_str_eq(loaded(ledger), "a/1:expired ");
    succeed(save_command(ledger, "a", "2", COMMAND_EXPIRED, 4));
    prune(1, INT64_MAX, -INFINITY, 100);
    ck_assert_str_eq(loaded(ledger), "a/2:expired ");
}
END_TEST

static bool prune_fails(void)
{
    bool more = true;
    const struct ledger_limits limits = {1, 1, 3, 100};
    const bool ok = ledger_prune(ledger, &limits, &more, &failure);
    ck_assert(!more);
    return ok;
}

/* If one command cannot be deleted, none is. */
START_TEST(pruning_fails_whole)
{
    save_ended("a", 1, 3);
    save_ended("b", 11, 3);
    by_other(path, "CREATE TRIGGER no BEFORE DELETE ON commands WHEN old.id = '12'"
                   " BEGIN SELECT raise(ABORT, 'not this one'); END");
    CHECK_FAILED(prune_fails(), STORE_FAILED);
    ck_assert_str_eq(failure.why, "not this one");
    ck_assert_str_eq(asked("SELECT count(*) FROM commands"), "6");
    by_other(path, "DROP TRIGGER no");
    prune(1, 1, -INFINITY, 100);
    ck_assert_str_eq(loaded(ledger), "b/13:succeeded ");
}
END_TEST

/* ---- Two prefixes ---- */

START_TEST(prefixes_share_nothing)
{
    struct ledger *second = ledger_new(path, "prod/rpc", BUSY_MS);
    succeed(save_device(ledger, "a", 1));
    ck_assert(ledger_file_exists(path, "prod/rpc")); /* it may be the prefix's */
    succeed(save_device(second, "b", 2) && save_command(second, "a", "1", COMMAND_QUEUED, 0));
    ck_assert_str_eq(loaded(ledger), "a ");
    ck_assert_str_eq(loaded(second), "b a/1:queued ");
    ck_assert_str_ne(ledger_path(second), ledger_path(ledger));

    sqlite3 *holder = other(path, "BEGIN IMMEDIATE");
    succeed(save_device(second, "b", 3));
    CHECK_FAILED(save_device(ledger, "a", 4), STORE_LOCKED);
    ck_assert_str_eq(failure.path, path);
    sqlite3_close(holder);

    ledger_close(second);
    ledger_close(ledger);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert(ledger_file_exists(path, "prod/rpc"));
    ck_assert(!ledger_file_exists(path, "rpc"));
    second = ledger_new(path, "prod/rpc", BUSY_MS);
    ck_assert_str_eq(loaded(second), "b a/1:queued ");
    ck_assert_int_ne(access(path, F_OK), 0);
    ledger = ledger_new(path, "rpc", BUSY_MS);
    ck_assert_str_eq(loaded(ledger), "");
    ledger_close(second);
}
END_TEST

static void *save_hundred(void *data)
{
    struct ledger *own = ledger_new(path, data, 60000);
    intptr_t stored = 0;
    for (int i = 0; i < 100; i++) {
        const struct ledger_device device = {.name = "a", .seq = i};
        stored +=
            ledger_begin(own, NULL) && ledger_put_device(own, &device, NULL) && ledger_commit(own, NULL);
    }
    ledger_close(own);
    return (void *)stored;
}

static char beside_names[][4][4] = {{"p0", "p1", "p2", "p3"}, {"rpc", "rpc", "rpc", "rpc"}};

START_TEST(side_by_side)
{
    pthread_t threads[4];
    void *stored;
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, save_hundred, beside_names[_i][i]), 0);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], &stored), 0);
        ck_assert_int_eq((intptr_t)stored, 100);
    }
}
END_TEST

/* ---- Databases that are locked, full, damaged or read-only ---- */

START_TEST(locked)
{
    succeed(save_device(ledger, "a", 1));
    sqlite3 *holder = other(path, "BEGIN IMMEDIATE");
    CHECK_FAILED(ledger_begin(ledger, &failure), STORE_LOCKED);
    CHECK_FAILED(put_device(ledger, "a", 2), STORE_LOCKED);
    CHECK_FAILED(ledger_commit(ledger, &failure), STORE_LOCKED);
    ck_assert_str_eq(failure.why, "database is locked");
    CHECK_FAILED(prune_fails(), STORE_LOCKED);
    ck_assert_str_eq(loaded(ledger), "a "); /* reading does not wait for the lock */
    sqlite3_close(holder);
    succeed(save_device(ledger, "b", 3));
    ck_assert_str_eq(loaded(ledger), "a b ");
}
END_TEST

/* After an attempt to open that took some time, the ledger does not try again at once. */
START_TEST(locked_when_it_is_opened)
{
    succeed(save_device(ledger, "a", 1));
    ledger_close(ledger);
    sqlite3 *holder = other(path, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    ledger = ledger_new(path, "rpc", 300);
    CHECK_FAILED(ledger_open(ledger, &failure), STORE_LOCKED);
    sqlite3_close(holder);
    CHECK_FAILED(ledger_begin(ledger, &failure), STORE_LOCKED);
    CHECK_FAILED(ledger_commit(ledger, &failure), STORE_LOCKED);
    CHECK_FAILED(load_fails(ledger), STORE_LOCKED);
    recover();
    ck_assert_str_eq(loaded(ledger), "a ");
}
END_TEST

/* Stores a group that needs more room than the existing log has. */
static bool save_too_many(void)
{
    char id[16];
    bool ok = ledger_begin(ledger, &failure);
    for (int i = 0; ok && i < 10000; i++) {
        snprintf(id, sizeof id, "%d", i);
        ok = put_command(ledger, "a", id, COMMAND_QUEUED, 0);
    }
    return ledger_commit(ledger, &failure) && ok;
}

/* A limit of the size of files stands for a full disk. */
START_TEST(full)
{
    signal(SIGXFSZ, SIG_IGN);
    succeed(save_device(ledger, "a", 1));
    struct stat file;
    ck_assert_int_eq(stat(wal, &file), 0);
    limit_files((rlim_t)file.st_size);
    CHECK_FAILED(save_too_many(), STORE_FULL);
    CHECK_FAILED(save_too_many(), STORE_FULL);
    ck_assert_str_eq(loaded(ledger), "a ");
    limit_files(RLIM_INFINITY);
    recover();
    ck_assert_str_eq(loaded(ledger), "a ");
    succeed(save_device(ledger, "b", 1));
    reopen();
    ck_assert_str_eq(loaded(ledger), "a b ");
}
END_TEST

START_TEST(full_when_it_is_made)
{
    signal(SIGXFSZ, SIG_IGN);
    limit_files(1000);
    CHECK_FAILED(ledger_open(ledger, &failure), STORE_FULL);
    limit_files(RLIM_INFINITY);
    recover();
    succeed(save_device(ledger, "a", 1));
}
END_TEST

/* The first byte that is overwritten: in the header; or behind the first page, which has the schema. */
static const size_t damages[] = {0, 4096};

START_TEST(corrupt)
{
    static struct contents whole, damaged;
    save_ended("a", 1, 1000);
    reopen();
    read_file(path, &whole);
    ck_assert_uint_gt(whole.size, 5 * 4096);
    damaged = whole;
    memset(damaged.bytes + damages[_i], 0xa5, damages[_i] ? damaged.size - damages[_i] : 100);
    write_file(path, damaged.bytes, damaged.size);
    CHECK_FAILED(load_fails(ledger), STORE_CORRUPT);
    CHECK_FAILED(save_command(ledger, "a", "new", COMMAND_QUEUED, 0), STORE_CORRUPT);
    CHECK_FAILED(prune_fails(), STORE_CORRUPT);
    check_unchanged(path, &damaged);

    write_file(path, whole.bytes, whole.size); /* in place: only a new connection sees it */
    recover();
    succeed(save_command(ledger, "a", "new", COMMAND_QUEUED, 0));
    ck_assert_str_eq(loaded_with(ledger, 1, false, ALL), "a/1000:succeeded a/new:queued ");
}
END_TEST

START_TEST(read_only)
{
    succeed(save_device(ledger, "a", 1));
    reopen();
    ck_assert_int_eq(chmod(folder, 0777), 0);
    ck_assert_int_eq(chmod(path, 0444), 0);
    if (!give_up_root()) {
        printf("read_only is left out: root cannot become anybody else here\n");
        return;
    }
    ck_assert_str_eq(loaded(ledger), "a ");
    CHECK_FAILED(ledger_begin(ledger, &failure), STORE_READ_ONLY);
    CHECK_FAILED(put_device(ledger, "b", 1), STORE_READ_ONLY);
    CHECK_FAILED(ledger_commit(ledger, &failure), STORE_READ_ONLY);
    be_root_again();
    ck_assert_int_eq(chmod(folder, 0700), 0);
    ck_assert_int_eq(chmod(path, 0600), 0);
    unlink(wal); /* a log without its database */
    unlink(shared);
    recover();
    succeed(save_device(ledger, "b", 2));
}
END_TEST

START_TEST(no_database)
{
    static const char *const texts[] = {"xy", "# devices\nlamp1 = on\n"};
    static struct contents before;
    memset(before.bytes, 'x', before.size = 10000);
    memcpy(before.bytes, texts[_i % 2], strlen(texts[_i % 2]));
    if (_i < 2)
        before.size = strlen(texts[_i]);
    write_file(path, before.bytes, before.size);
    ck_assert(ledger_file_exists(path, "rpc"));
    CHECK_FAILED(ledger_open(ledger, &failure), STORE_CORRUPT);
    CHECK_FAILED(save_device(ledger, "a", 1), STORE_CORRUPT);
    check_unchanged(path, &before);
}
END_TEST

START_TEST(an_empty_file_is_filled)
{
    write_file(path, "", 0);
    succeed(save_device(ledger, "a", 1));
    ck_assert_str_eq(loaded(ledger), "a ");
}
END_TEST

static const struct {
    const char *sql;
    enum store_cause cause;
} foreign_files[] = {
    {"CREATE TABLE devices (id)", STORE_FOREIGN},
    {"CREATE TABLE t (id); PRAGMA user_version = 1", STORE_FOREIGN},
    {"PRAGMA application_id = 1", STORE_FOREIGN},
    {"PRAGMA application_id = 1919968115; PRAGMA user_version = 3", STORE_FOREIGN},
    {"PRAGMA application_id = 1919968100; PRAGMA user_version = 3", STORE_NEWER},
    {"PRAGMA application_id = 1919968100; PRAGMA user_version = -1", STORE_CORRUPT},
    {"PRAGMA application_id = 1919968100; PRAGMA user_version = 1000; CREATE TABLE t (id)", STORE_NEWER},
};

START_TEST(foreign_and_newer_files)
{
    static struct contents before;
    by_other(path, foreign_files[_i].sql);
    read_file(path, &before);
    CHECK_FAILED(ledger_open(ledger, &failure), foreign_files[_i].cause);
    CHECK_FAILED(load_fails(ledger), foreign_files[_i].cause);
    CHECK_FAILED(save_device(ledger, "a", 1), foreign_files[_i].cause);
    check_unchanged(path, &before);
    ck_assert_int_ne(access(wal, F_OK), 0);
}
END_TEST

/* The option of one module names the file of the other one. */
START_TEST(sensors_and_devices_do_not_share_a_file)
{
    static struct contents before;
    struct store *store = store_new(path, "rpc", BUSY_MS);
    succeed(store_open(store, &failure));
    store_close(store);
    read_file(path, &before);
    CHECK_FAILED(save_device(ledger, "a", 1), STORE_FOREIGN);
    check_unchanged(path, &before);
    unlink(path);

    reopen(); /* the old one rests for a while after its failure */
    succeed(save_device(ledger, "a", 1));
    reopen();
    read_file(path, &before);
    store = store_new(path, "rpc", BUSY_MS);
    CHECK_FAILED(store_open(store, &failure), STORE_FOREIGN);
    store_close(store);
    store = store_new(path, "x", BUSY_MS);
    CHECK_FAILED(store_open(store, &failure), STORE_FOREIGN);
    store_close(store);
    check_unchanged(path, &before);
}
END_TEST

/* ---- Files that are moved, replaced or deleted ---- */

static void unlink_it(void)
{
    ck_assert_int_eq(unlink(path), 0);
}

static void move_it_away(void)
{
    char away[PATH];
    ck_assert_int_eq(rename(path, in_folder(away, "away.db")), 0);
}

static void unlink_all(void)
{
    unlink(wal);
    unlink(shared);
    unlink_it();
}

static void put_another_there(void)
{
    char another[PATH];
    struct ledger *made = ledger_new(in_folder(another, "another.db"), "rpc", BUSY_MS);
    succeed(save_device(made, "new", 1));
    ledger_close(made);
    ck_assert_int_eq(rename(another, path), 0);
}

static const struct {
    void (*happens)(void);
    const char *loaded;
} replacements[] = {{unlink_it, ""}, {move_it_away, ""}, {unlink_all, ""}, {put_another_there, "new "}};

/* The ledger uses the new file, and tells that it has opened one. */
START_TEST(replaced)
{
    char expected[32];
    ck_assert_int_eq(ledger_connections(ledger), 0);
    succeed(save_device(ledger, "a", 1) && save_device(ledger, "b", 1));
    ck_assert_int_eq(ledger_connections(ledger), 1);
    replacements[_i].happens();
    ck_assert_str_eq(loaded(ledger), replacements[_i].loaded);
    ck_assert_int_eq(ledger_connections(ledger), 2);
    succeed(save_device(ledger, "c", 1));
    reopen();
    snprintf(expected, sizeof expected, "%sc ", replacements[_i].loaded);
    ck_assert_str_eq(loaded(ledger), expected);
    ck_assert_str_eq(asked("PRAGMA integrity_check"), "ok");
}
END_TEST

/* A database that was moved has all that was stored in it. */
START_TEST(moved_away_whole)
{
    succeed(save_device(ledger, "a", 1) && save_command(ledger, "a", "1", COMMAND_SENT, 0));
    move_it_away();
    succeed(save_device(ledger, "b", 1));
    char away[PATH];
    struct ledger *old = ledger_new(in_folder(away, "away.db"), "rpc", BUSY_MS);
    ck_assert_str_eq(loaded(old), "a a/1:sent ");
    ledger_close(old);
}
END_TEST

START_TEST(replaced_within_a_group)
{
    succeed(save_device(ledger, "a", 1));
    succeed(ledger_begin(ledger, &failure) && put_device(ledger, "b", 2));
    unlink_it();
    CHECK_FAILED(ledger_commit(ledger, &failure), STORE_REPLACED);
    succeed(save_device(ledger, "c", 3));
    reopen();
    ck_assert_str_eq(loaded(ledger), "c ");
}
END_TEST

/* ---- No memory ---- */

/* SQLite's allocator, on the one that fails on request: each block begins with its size. */
enum { HEAD = 16 };

static void *lite_malloc(int size)
{
    char *block = malloc((size_t)size + HEAD);
    if (!block)
        return NULL;
    memcpy(block, &size, sizeof size);
    return block + HEAD;
}

static void lite_free(void *memory)
{
    if (memory)
        free((char *)memory - HEAD);
}

static void *lite_realloc(void *memory, int size)
{
    char *block = realloc((char *)memory - HEAD, (size_t)size + HEAD);
    if (!block)
        return NULL;
    memcpy(block, &size, sizeof size);
    return block + HEAD;
}

static int lite_size(void *memory)
{
    int size = 0;
    if (memory)
        memcpy(&size, (char *)memory - HEAD, sizeof size);
    return size;
}

static int lite_roundup(int size)
{
    return (size + 7) & ~7;
}

static int lite_init(void *data)
{
    (void)data;
    return SQLITE_OK;
}

static void lite_shutdown(void *data)
{
    (void)data;
}

static void use_failing_allocator(void)
{
    static const sqlite3_mem_methods methods = {lite_malloc,  lite_free, lite_realloc,  lite_size,
                                                lite_roundup, lite_init, lite_shutdown, NULL};
    ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
    ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0), SQLITE_OK);
    ck_assert_int_eq(sqlite3_initialize(), SQLITE_OK);
}

/* How far a use of a ledger came. */
struct use {
    bool made, loaded, stored, pruned;
    int rows; /* that were loaded */
    struct store_failure why_not_loaded, why_not_stored, why_not_pruned;
};

static bool count_device(void *count, const struct ledger_device *device)
{
    return ++*(int *)count && device->name;
}

static bool count_group(void *count, const char *name, const char *devices)
{
    return ++*(int *)count && name && devices;
}

static bool count_command(void *count, const struct ledger_command *command)
{
    return ++*(int *)count && command->device && command->id && command->name;
}

static struct use use_it(void)
{
    struct use use = {.made = false};
    const struct ledger_visit visit = {count_device, count_group, count_command, &use.rows};
    const struct ledger_limits limits = {1, 1, 5, 10};
    bool more;
    struct ledger *own = ledger_new(path, "rpc", 0);
    use.made = own != NULL;
    if (!own)
        return use;
    use.loaded = ledger_load(own, &visit, 10, &use.why_not_loaded);
    ledger_begin(own, NULL);
    ledger_put_device(own, &whole_device, NULL);
    ledger_put_command(own, &whole_command, NULL);
    ledger_put_group(own, "hall", "[]", NULL);
    ledger_drop_command(own, "a", "1", NULL);
    use.stored = ledger_commit(own, &use.why_not_stored);
    use.pruned = ledger_prune(own, &limits, &more, &use.why_not_pruned);
    ledger_close(own);
    return use;
}

static void check_use(const struct use *use, bool exists)
{
    ck_assert(!use->loaded || use->rows == (exists ? 4 : 0));
    ck_assert(use->loaded || use->why_not_loaded.cause == STORE_NO_MEMORY);
    ck_assert(use->stored || use->why_not_stored.cause == STORE_NO_MEMORY);
    ck_assert(use->pruned || use->why_not_pruned.cause == STORE_NO_MEMORY);
}

/*
 * The n-th allocation fails, or all from there on, for each n, in a new file or in one that exists. Each
 * function fails for this reason or succeeds, what was not stored is not there, nothing leaks, and the file
 * can be used afterwards.
 */
static void without_memory(enum failing_mode mode, bool exists)
{
    static struct contents existing;
    bool failed = true;
    size_t n = 0;
    if (exists) {
        by_other(path, version_1);
        by_other(path, "UPDATE commands SET params = x'7b7d'"); /* to be made a text takes memory */
        read_file(path, &existing);
    }
    for (; failed; n++) {
        ck_assert_uint_lt(n, 100000);
        unlink(wal);
        unlink(shared);
        unlink(path);
        if (exists)
            write_file(path, existing.bytes, existing.size);
        failing_arm(mode, n);
        const struct use use = use_it();
        failed = failing_disarm();
        ck_assert_uint_eq(failing_live(), 0);
        if (use.made)
            check_use(&use, exists);
        reopen();
        const char *text = loaded(ledger);
        ck_assert_int_eq(strstr(text, "lamp1 ") != NULL, use.stored);
        ck_assert_int_eq(strstr(text, "lamp1/k7f3aaaa:sent") != NULL, use.stored);
        ck_assert_int_eq(strstr(text, "hall=[]") != NULL, use.stored);
        ck_assert_int_eq(strstr(text, "a/1:queued") != NULL, exists && !use.stored);
        ledger_close(ledger);
        ledger = NULL;
    }
    ck_assert_uint_gt(n, 50);
}

/* It has one thread, where the thread sanitizer finds nothing, and takes minutes. */
#ifdef __SANITIZE_THREAD__
enum { NO_MEMORY_WAYS = 1 };
#else
enum { NO_MEMORY_WAYS = 4 };
#endif

START_TEST(no_memory)
{
    remove_folder();
    make_folder_in(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"); /* thousands of commits */
    use_failing_allocator();
    without_memory(_i % 2 ? FAILING_FROM : FAILING_ONCE, _i / 2);
}
END_TEST

UNIT_MAIN("ledger", make_folder, remove_folder, {all_is_loaded, 0}, {changes, 0}, {dropping, 0},
          {names_may_be_any_text, UNIT_ROWS(odd_names)}, {states_are_stored_by_name, COMMAND_STATES},
          {states_that_do_not_exist, 0}, {order, 0}, {visits_may_stop_and_be_left_out, 0},
          {rows_of_others, 0}, {the_file_is_ours_and_has_a_log, 0}, {version_1_is_brought_up_to_date, 0},
          {closing, 0}, {in_memory, 0}, {groups_are_whole, 0}, {changes_need_a_group, UNIT_ROWS(all_changes)},
          {one_failure_fails_the_group, UNIT_ROWS(all_changes)}, {no_number_is_nan, 0},
          {stored_states_survive_a_kill, 0}, {killed_within_a_group, 6}, {pruning, UNIT_ROWS(bounds)},
          {pruning_goes_by_order, 0}, {pruning_fails_whole, 0}, {prefixes_share_nothing, 0},
          {side_by_side, UNIT_ROWS(beside_names)}, {locked, 0}, {locked_when_it_is_opened, 0}, {full, 0},
          {full_when_it_is_made, 0}, {corrupt, UNIT_ROWS(damages)}, {read_only, 0}, {no_database, 3},
          {an_empty_file_is_filled, 0}, {foreign_and_newer_files, UNIT_ROWS(foreign_files)},
          {sensors_and_devices_do_not_share_a_file, 0}, {replaced, UNIT_ROWS(replacements)},
          {moved_away_whole, 0}, {replaced_within_a_group, 0}, {no_memory, NO_MEMORY_WAYS})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Devices, groups and commands in an SQLite database: see ledger.h.
 *
 * The file belongs to one prefix. Its rows have keys, which grow in the order in which the rows were added. A
 * command that has ended also has a number in `ending`, which grows in the order in which commands ended,
 * also while the clock is wrong. `home` names the prefix whose file it is. store/database.h has what all
 * databases need.
 */
#include "ledger.h"

#include "store/database.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { APPLICATION = 0x72706364 }; /* "rpcd", the application id in the file's header */

/* Existing files were made by these steps: see store/database.h. */
static const char *const steps[] = {
    "CREATE TABLE home (prefix TEXT NOT NULL);"
    "CREATE TABLE devices ("
    " key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind TEXT, commands TEXT,"
    " managed INTEGER NOT NULL, once INTEGER NOT NULL, seq INTEGER NOT NULL, seen REAL NOT NULL);"
    "CREATE TABLE device_groups ("
    " key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, devices TEXT NOT NULL);"
    "CREATE TABLE commands ("
    " key INTEGER PRIMARY KEY, device TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, params TEXT,"
    " state TEXT NOT NULL, seq INTEGER NOT NULL, attempt INTEGER NOT NULL, queued REAL NOT NULL,"
    " expires REAL NOT NULL, stale REAL NOT NULL, idempotent INTEGER NOT NULL, err TEXT,"
    " ended REAL NOT NULL, ending INTEGER, UNIQUE (device, id));"
    "CREATE INDEX commands_ended ON commands (ending) WHERE ending IS NOT NULL;"
    "CREATE INDEX commands_ended_of_device ON commands (device, ending) WHERE ending IS NOT NULL;",

    "ALTER TABLE commands ADD COLUMN caller TEXT;"
    "ALTER TABLE commands ADD COLUMN user TEXT;"
    "ALTER TABLE commands ADD COLUMN mounted INTEGER NOT NULL DEFAULT 0;",
};

enum statement {
    PUT_DEVICE,
    DROP_DEVICE,
    DROP_COMMANDS,
    PUT_GROUP,
    DROP_GROUP,
    PUT_COMMAND,
    DROP_COMMAND,
    LOAD_DEVICES,
    LOAD_GROUPS,
    LOAD_COMMANDS,
    DELETE_OLD,
    DELETE_BEYOND_DEVICE,
    DELETE_BEYOND_ALL,
    STATEMENTS
};

/* The keys of the ended commands beyond the last ?1 of their device, or up to those. */
#define KEYS_BY_PLACE(comparison)                                                                        \
    "SELECT key FROM (SELECT key, row_number() OVER (PARTITION BY device ORDER BY ending DESC) AS place" \
    " FROM commands WHERE ending IS NOT NULL) WHERE place " comparison " ?1"

static const char *const statements[STATEMENTS] = {
    [PUT_DEVICE] = "INSERT INTO devices (name, kind, commands, managed, once, seq, seen)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (name) DO UPDATE SET"
                   " kind = ?2, commands = ?3, managed = ?4, once = ?5, seq = ?6, seen = ?7",
    [DROP_DEVICE] = "DELETE FROM devices WHERE name = ?1",
    [DROP_COMMANDS] = "DELETE FROM commands WHERE device = ?1",
    [PUT_GROUP] = "INSERT INTO device_groups (name, devices) VALUES (?1, ?2)"
                  " ON CONFLICT (name) DO UPDATE SET devices = ?2",
    [DROP_GROUP] = "DELETE FROM device_groups WHERE name = ?1",
    [PUT_COMMAND] =
        "INSERT INTO commands (device, id, name, params, state, seq, attempt, queued, expires, stale,"
        " idempotent, err, ended, caller, user, mounted, ending)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, CASE WHEN ?13 <> 0"
        " THEN (SELECT ifnull(max(ending), 0) + 1 FROM commands WHERE ending IS NOT NULL) END)"
        " ON CONFLICT (device, id) DO UPDATE SET"
        " name = ?3, params = ?4, state = ?5, seq = ?6, attempt = ?7, queued = ?8, expires = ?9, stale = ?10,"
        " idempotent = ?11, err = ?12, ended = ?13, caller = ?14, user = ?15, mounted = ?16,"
        " ending = CASE WHEN ?13 <> 0 THEN ifnull(ending, excluded.ending) END",
    [DROP_COMMAND] = "DELETE FROM commands WHERE device = ?1 AND id = ?2",
    [LOAD_DEVICES] = "SELECT name, kind, commands, managed, once, seq, seen FROM devices ORDER BY key",
    [LOAD_GROUPS] = "SELECT name, devices FROM device_groups ORDER BY key",
    [LOAD_COMMANDS] =
        "SELECT device, id, name, params, state, seq, attempt, queued, expires, stale,"
        " idempotent, err, ended, caller, user, mounted FROM commands"
        " WHERE ending IS NULL OR key IN (" KEYS_BY_PLACE("<=") ")"
                                                                " ORDER BY ending IS NULL, ending, key",
    [DELETE_OLD] = "DELETE FROM commands WHERE key IN"
                   " (SELECT key FROM commands WHERE ending IS NOT NULL AND ended < ?1 LIMIT ?2)",
    [DELETE_BEYOND_DEVICE] = "DELETE FROM commands WHERE key IN (" KEYS_BY_PLACE(">") " LIMIT ?2)",
    [DELETE_BEYOND_ALL] = "DELETE FROM commands WHERE key IN (SELECT key FROM commands"
                          " WHERE ending IS NOT NULL ORDER BY ending DESC LIMIT ?2 OFFSET ?1)",
};

static const struct database_format format = {
    .application = APPLICATION,
    .steps = steps,
    .version = sizeof steps / sizeof steps[0],
    .statements = statements,
    .statement_count = STATEMENTS,
};

struct ledger {
    struct database *database;
};

struct ledger *ledger_new(const char *path, const char *prefix, int busy_ms)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (!ledger)
        return NULL;
    ledger->database = database_new(&format, path, prefix, busy_ms);
    if (ledger->database)
        return ledger;
    free(ledger);
    return NULL;
}

bool ledger_file_exists(const char *path, const char *prefix)
{
    return database_file_exists(path, prefix);
}

bool ledger_open(struct ledger *ledger, struct store_failure *failure)
{
    return database_conclude(ledger->database, database_ready(ledger->database), failure);
}

int64_t ledger_connections(const struct ledger *ledger)
{
    return database_connections(ledger->database);
}

const char *ledger_path(const struct ledger *ledger)
{
    return database_path(ledger->database);
}

int ledger_exposure(const struct ledger *ledger)
{
    return database_exposure(ledger->database);
}

void ledger_close(struct ledger *ledger)
{
    if (!ledger)
        return;
    database_close(ledger->database);
    free(ledger);
}

/* ---- Groups of changes ---- */

bool ledger_begin(struct ledger *ledger, struct store_failure *failure)
{
    return database_begin(ledger->database, failure);
}

bool ledger_commit(struct ledger *ledger, struct store_failure *failure)
{
    return database_commit(ledger->database, failure);
}

void ledger_rollback(struct ledger *ledger)
{
    database_rollback(ledger->database);
}

/* Binds a text, which may be NULL. */
static void ledger_bind(sqlite3_stmt *statement, int parameter, const char *text)
{
    database_bind_text(statement, parameter, text, text ? strlen(text) : 0);
}

/* A change whose parameters are one or two texts. */
static bool ledger_change(struct ledger *ledger, enum statement which, const char *first, const char *second,
                          struct store_failure *failure)
{
    bool ok = database_check_group(ledger->database);
    if (ok) {
        sqlite3_stmt *statement = database_statement(ledger->database, which);
        ledger_bind(statement, 1, first);
        if (second)
            ledger_bind(statement, 2, second);
        ok = database_run(ledger->database, which);
    }
    return database_conclude_change(ledger->database, ok, failure);
}

static bool ledger_save_device(struct ledger *ledger, const struct ledger_device *device)
{
    sqlite3_stmt *statement = database_statement(ledger->database, PUT_DEVICE);
    ledger_bind(statement, 1, device->name);
    ledger_bind(statement, 2, device->kind);
    ledger_bind(statement, 3, device->commands);
    sqlite3_bind_int(statement, 4, device->managed);
    sqlite3_bind_int(statement, 5, device->once);
    sqlite3_bind_int64(statement, 6, device->seq);
    sqlite3_bind_double(statement, 7, device->seen);
    return database_run(ledger->database, PUT_DEVICE);
}

bool ledger_put_device(struct ledger *ledger, const struct ledger_device *device,
                       struct store_failure *failure)
{
    const bool ok = database_check_group(ledger->database) && ledger_save_device(ledger, device);
    return database_conclude_change(ledger->database, ok, failure);
}

bool ledger_drop_device(struct ledger *ledger, const char *name, struct store_failure *failure)
{
    return ledger_change(ledger, DROP_COMMANDS, name, NULL, failure) &&
           ledger_change(ledger, DROP_DEVICE, name, NULL, failure);
}

static bool ledger_save_command(struct ledger *ledger, const struct ledger_command *command)
{
    sqlite3_stmt *statement = database_statement(ledger->database, PUT_COMMAND);
    ledger_bind(statement, 1, command->device);
    ledger_bind(statement, 2, command->id);
    ledger_bind(statement, 3, command->name);
    ledger_bind(statement, 4, command->params);
    ledger_bind(statement, 5, command_state_names[command->state]);
    sqlite3_bind_int64(statement, 6, command->seq);
    sqlite3_bind_int(statement, 7, command->attempt);
    sqlite3_bind_double(statement, 8, command->queued);
    sqlite3_bind_double(statement, 9, command->expires);
    sqlite3_bind_double(statement, 10, command->stale);
    sqlite3_bind_int(statement, 11, command->idempotent);
    ledger_bind(statement, 12, command->err);
    sqlite3_bind_double(statement, 13, command->ended);
    ledger_bind(statement, 14, command->caller);
    ledger_bind(statement, 15, command->user);
    sqlite3_bind_int(statement, 16, command->mounted);
    return database_run(ledger->database, PUT_COMMAND);
}

bool ledger_put_command(struct ledger *ledger, const struct ledger_command *command,
                        struct store_failure *failure)
{
    const bool ok = database_check_group(ledger->database) && ledger_save_command(ledger, command);
    return database_conclude_change(ledger->database, ok, failure);
}

bool ledger_drop_command(struct ledger *ledger, const char *device, const char *id,
                         struct store_failure *failure)
{
    return ledger_change(ledger, DROP_COMMAND, device, id, failure);
}

bool ledger_put_group(struct ledger *ledger, const char *name, const char *devices,
                      struct store_failure *failure)
{
    return ledger_change(ledger, PUT_GROUP, name, devices, failure);
}

bool ledger_drop_group(struct ledger *ledger, const char *name, struct store_failure *failure)
{
    return ledger_change(ledger, DROP_GROUP, name, NULL, failure);
}

/* ---- Loading ---- */

/* A row of a statement that loads. */
struct row {
    sqlite3_stmt *statement;
    bool unusable; /* the ledger has not made it, or there is no memory */
    bool no_memory;
};

/* A text of a row; NULL: there is none. */
static const char *ledger_text(struct row *row, int column)
{
    if (sqlite3_column_type(row->statement, column) == SQLITE_NULL)
        return NULL;
    const char *text = (const char *)sqlite3_column_text(row->statement, column);
    row->no_memory = row->no_memory || !text;
    row->unusable =
        row->unusable || !text || strlen(text) != (size_t)sqlite3_column_bytes(row->statement, column);
    return text;
}

/* A text that is not NULL in a usable row. */
static const char *ledger_needed_text(struct row *row, int column)
{
    const char *text = ledger_text(row, column);
    row->unusable = row->unusable || !text;
    return text;
}

/* Shows a row. Returns false to stop. */
typedef bool (*ledger_show)(struct row *row, const struct ledger_visit *visit);

static bool ledger_show_device(struct row *row, const struct ledger_visit *visit)
{
    const struct ledger_device device = {
        .name = ledger_needed_text(row, 0),
        .kind = ledger_text(row, 1),
        .commands = ledger_text(row, 2),
        .managed = sqlite3_column_int(row->statement, 3),
        .once = sqlite3_column_int(row->statement, 4),
        .seq = sqlite3_column_int64(row->statement, 5),
        .seen = sqlite3_column_double(row->statement, 6),
    };
    return row->unusable || visit->device(visit->data, &device);
}

static bool ledger_show_group(struct row *row, const struct ledger_visit *visit)
{
    const char *name = ledger_needed_text(row, 0), *devices = ledger_needed_text(row, 1);
    return row->unusable || visit->group(visit->data, name, devices);
}

static bool ledger_show_command(struct row *row, const struct ledger_visit *visit)
{
    const struct ledger_command command = {
        .device = ledger_needed_text(row, 0),
        .id = ledger_needed_text(row, 1),
        .name = ledger_needed_text(row, 2),
        .params = ledger_text(row, 3),
        .state = command_state_of(ledger_text(row, 4)),
        .seq = sqlite3_column_int64(row->statement, 5),
        .attempt = sqlite3_column_int(row->statement, 6),
        .queued = sqlite3_column_double(row->statement, 7),
        .expires = sqlite3_column_double(row->statement, 8),
        .stale = sqlite3_column_double(row->statement, 9),
        .idempotent = sqlite3_column_int(row->statement, 10),
        .err = ledger_text(row, 11),
        .ended = sqlite3_column_double(row->statement, 12),
        .caller = ledger_text(row, 13),
        .user = ledger_text(row, 14),
        .mounted = sqlite3_column_int(row->statement, 15),
    };
    return row->unusable || visit->command(visit->data, &command);
}

/* Shows all rows of a statement until one is not wanted; then *go_on is false. */
static bool ledger_show_rows(struct ledger *ledger, enum statement which, ledger_show show,
                             const struct ledger_visit *visit, bool *go_on)
{
    sqlite3_stmt *statement = database_statement(ledger->database, which);
    int code = SQLITE_ROW;
    while (*go_on && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct row row = {.statement = statement};
        *go_on = show(&row, visit);
        if (row.no_memory) {
            code = SQLITE_NOMEM;
            break;
        }
    }
    return database_finish(ledger->database, statement, code);
}

bool ledger_load(struct ledger *ledger, const struct ledger_visit *visit, int64_t ended,
                 struct store_failure *failure)
{
    bool go_on = true;
    bool ok = database_ready(ledger->database);
    if (ok && visit->device)
        ok = ledger_show_rows(ledger, LOAD_DEVICES, ledger_show_device, visit, &go_on);
    if (ok && visit->group)
        ok = ledger_show_rows(ledger, LOAD_GROUPS, ledger_show_group, visit, &go_on);
    if (ok && visit->command) {
        sqlite3_bind_int64(database_statement(ledger->database, LOAD_COMMANDS), 1, ended);
        ok = ledger_show_rows(ledger, LOAD_COMMANDS, ledger_show_command, visit, &go_on);
    }
    return database_conclude(ledger->database, ok, failure);
}

/* ---- Pruning ---- */

/* Runs a statement that deletes at most *left commands, and takes their number from *left. */
static bool ledger_delete(struct ledger *ledger, enum statement which, int64_t *left)
{
    sqlite3_bind_int64(database_statement(ledger->database, which), 2, *left);
    const bool ok = database_run(ledger->database, which);
    *left -= ok ? database_changes(ledger->database) : 0;
    return ok;
}

static bool ledger_delete_ended(struct ledger *ledger, const struct ledger_limits *limits, int64_t *left)
{
    sqlite3_bind_double(database_statement(ledger->database, DELETE_OLD), 1, limits->oldest);
    sqlite3_bind_int64(database_statement(ledger->database, DELETE_BEYOND_DEVICE), 1,
                       limits->keep_per_device);
    sqlite3_bind_int64(database_statement(ledger->database, DELETE_BEYOND_ALL), 1, limits->keep);
    return ledger_delete(ledger, DELETE_OLD, left) && ledger_delete(ledger, DELETE_BEYOND_DEVICE, left) &&
           ledger_delete(ledger, DELETE_BEYOND_ALL, left);
}

bool ledger_prune(struct ledger *ledger, const struct ledger_limits *limits, bool *more,
                  struct store_failure *failure)
{
    int64_t left = limits->rows;
    *more = false;
    if (ledger_begin(ledger, NULL) && !ledger_delete_ended(ledger, limits, &left))
        database_conclude_change(ledger->database, false, NULL);
    if (!ledger_commit(ledger, failure))
        return false;
    *more = left <= 0;
    return true;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Readings in an SQLite database: see store.h.
 *
 * The file has two tables. `readings` holds the history. `sensors` holds the last reading of each sensor, so
 * that finding it needs no search of the history, and in `kept` the number of the sensor's rows in
 * `readings`. Triggers count these, so that the number also holds when another program deletes rows. SQLite
 * never assigns the key of a deleted sensor again (AUTOINCREMENT). Keys grow in the order in which rows were
 * stored, also while the clock is wrong. A sensor that was forgotten has the prefix '' and its key as name,
 * until its last reading is deleted. `home` names the prefix whose file it is, once one has taken it.
 *
 * A reading that has a time of its own also has in `stored` when it came; of any other, `time` says so.
 * `heard` is the same for a sensor's last reading to come, which need not be its last one. `taken` has the
 * readings with a time of their own by this time. It is a table and no index of `readings`, since making an
 * index reads the whole table: so a large file is brought up to date at once.
 *
 * store/database.h has what all databases need.
 */
#include "store.h"

#include "store/database.h"

#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { APPLICATION = 0x72706373 }; /* "rpcs", the application id in the file's header */

/* Since when there has been this program, Unix time, and how many readings are looked at for steps of the
 * clock, so that a start does not take long. */
enum { EPOCH = 1577836800, TIMES_MAX = 500000 };

/* Existing files were made by these steps: see database.h. */
static const char *const steps[] = {
    "CREATE TABLE sensors ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, prefix TEXT NOT NULL, name TEXT NOT NULL,"
    " value REAL NOT NULL, unit INTEGER NOT NULL, time REAL NOT NULL,"
    " kept INTEGER NOT NULL DEFAULT 0, UNIQUE (prefix, name));"
    "CREATE TABLE readings ("
    " id INTEGER PRIMARY KEY, sensor INTEGER NOT NULL, time REAL NOT NULL,"
    " value REAL NOT NULL, unit INTEGER NOT NULL);"
    "CREATE TRIGGER reading_came AFTER INSERT ON readings BEGIN"
    " UPDATE sensors SET kept = kept + 1 WHERE id = new.sensor; END;"
    "CREATE TRIGGER reading_went AFTER DELETE ON readings BEGIN"
    " UPDATE sensors SET kept = kept - 1 WHERE id = old.sensor; END;",

    "CREATE INDEX readings_by_time ON readings (sensor, time);",

    /* The index has the time, so that looking for a range of time in the order of the keys reads only it. */
    "DROP INDEX readings_by_time;"
    "CREATE INDEX readings_in_order ON readings (sensor, id, time);"
    "ALTER TABLE sensors ADD COLUMN owner TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE home (prefix TEXT NOT NULL);",

    /* No step may take longer for a file with many readings. */
    "ALTER TABLE sensors ADD COLUMN heard REAL;"
    "ALTER TABLE readings ADD COLUMN stored REAL;"
    "CREATE TABLE taken ("
    " sensor INTEGER NOT NULL, time REAL NOT NULL, reading INTEGER NOT NULL,"
    " PRIMARY KEY (sensor, time)) WITHOUT ROWID;"
    "CREATE TRIGGER taken_came AFTER INSERT ON readings WHEN new.stored IS NOT NULL BEGIN"
    " INSERT OR REPLACE INTO taken (sensor, time, reading) VALUES (new.sensor, new.time, new.id); END;"
    "CREATE TRIGGER taken_went AFTER DELETE ON readings WHEN old.stored IS NOT NULL BEGIN"
    " DELETE FROM taken WHERE sensor = old.sensor AND time = old.time AND reading = old.id; END;",
};

enum statement {
    FIND_TAKEN,
    SAVE_LAST,
    SAVE_READING,
    LOAD,
    TIMES,
    HISTORY,
    FORGET,
    FIRST_KEPT,
    NEXT_SENSOR,
    DELETE_OLD,
    DELETE_FIRST,
    DELETE_SENSOR,
    STATEMENTS
};

#define TEXT_OF(number) #number
#define TEXT(macro) TEXT_OF(macro)

/* Whether the new reading takes the place of the last one: see store_add(). */
#define IS_LAST "?7 IS NULL OR ?5 >= time OR time > ?7 + " TEXT(STORE_AHEAD_S)

/* When a reading came. */
#define CAME "coalesce(stored, time)"

static const char *const statements[STATEMENTS] = {
    [FIND_TAKEN] = "SELECT s.time, s.value, s.unit, r.value, r.unit FROM sensors s"
                   " CROSS JOIN taken t ON t.sensor = s.id AND t.time = ?5"
                   " CROSS JOIN readings r ON r.id = t.reading WHERE s.prefix = ?1 AND s.name = ?2",
    [SAVE_LAST] = "INSERT INTO sensors (prefix, name, value, unit, time, owner, heard)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
                  " ON CONFLICT (prefix, name) DO UPDATE SET value = iif(" IS_LAST ", ?3, value),"
                  " unit = iif(" IS_LAST ", ?4, unit), time = iif(" IS_LAST ", ?5, time), heard = ?7"
                  " RETURNING time, value, unit, id",
    [SAVE_READING] = "INSERT INTO readings (sensor, value, unit, time, stored) VALUES (?1, ?3, ?4, ?5, ?7)",
    [LOAD] = "SELECT name, value, unit, time, owner, coalesce(heard, time) FROM sensors WHERE prefix = ?1"
             " ORDER BY id",
    [TIMES] = "SELECT " CAME " FROM readings NOT INDEXED WHERE " CAME " > ?1 ORDER BY id DESC LIMIT ?2",
    [HISTORY] = "SELECT time, value, unit, id FROM readings INDEXED BY readings_in_order"
                " WHERE sensor = (SELECT id FROM sensors WHERE prefix = ?1 AND name = ?2)"
                " AND id < ?6 AND time BETWEEN ?3 AND ?4 ORDER BY id DESC LIMIT ?5",
    [FORGET] = "UPDATE sensors SET prefix = '', name = id, owner = '' WHERE prefix = ?1 AND name = ?2"
               " RETURNING id",
    [FIRST_KEPT] = "SELECT id FROM readings NOT INDEXED WHERE " CAME " BETWEEN ?1 AND ?2 ORDER BY id LIMIT 1",
    /* NOT INDEXED reads the table in the order of its keys. The index would need a sort at each call. */
    [NEXT_SENSOR] = "SELECT id, kept, prefix = '' FROM sensors NOT INDEXED"
                    " WHERE id > ?2 AND prefix IN (?1, '') ORDER BY id LIMIT 1",
    /* The first condition on the time is the index's, and holds if the second does, but for a minute. */
    [DELETE_OLD] = "DELETE FROM readings WHERE id IN"
                   " (SELECT id FROM readings INDEXED BY readings_in_order"
                   " WHERE sensor = ?1 AND id < ?2 AND time < ?4 AND " CAME " < ?4"
                   " ORDER BY id LIMIT ?3)",
    [DELETE_FIRST] = "DELETE FROM readings WHERE id IN"
                     " (SELECT id FROM readings INDEXED BY readings_in_order"
                     " WHERE sensor = ?1 ORDER BY id LIMIT ?3)",
    [DELETE_SENSOR] = "DELETE FROM sensors WHERE id = ?1 AND (prefix = '' OR coalesce(heard, time) < ?2)"
                      " RETURNING prefix, name",
};

/* Until version 2, all prefixes were in one file. The owners of their sensors are not known. */
static const char *const copy_shared[] = {
    "INSERT INTO sensors (prefix, name, value, unit, time)"
    " SELECT prefix, name, value, unit, time FROM shared.sensors WHERE prefix = ?1 ORDER BY id",
    "INSERT INTO readings (sensor, time, value, unit)"
    " SELECT own.id, r.time, r.value, r.unit FROM shared.readings r"
    " JOIN shared.sensors s ON s.id = r.sensor"
    " JOIN main.sensors own ON own.prefix = s.prefix AND own.name = s.name"
    " WHERE s.prefix = ?1 ORDER BY r.id",
    NULL,
};

static const struct database_format format = {
    .application = APPLICATION,
    .steps = steps,
    .version = sizeof steps / sizeof steps[0],
    .statements = statements,
    .statement_count = STATEMENTS,
    .copy_shared = copy_shared,
    /* The prefix whose file it is deletes the readings bit by bit. */
    .forget_shared = "UPDATE shared.sensors SET prefix = '', name = id WHERE prefix = ?1",
};

struct store {
    struct database *database;
    int64_t connection; /* the one in which the following keys are valid */
    int64_t pruned;     /* the key of the last sensor that store_prune() has finished */
    int64_t
        first_kept; /* the key of the first reading that is not too old, until store_prune() begins anew */
};

struct store *store_new(const char *path, const char *prefix, int busy_ms)
{
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    store->database = database_new(&format, path, prefix, busy_ms);
    if (store->database)
        return store;
    free(store);
    return NULL;
}

bool store_open(struct store *store, struct store_failure *failure)
{
    return database_conclude(store->database, database_ready(store->database), failure);
}

const char *store_path(const struct store *store)
{
    return database_path(store->database);
}

int store_exposure(const struct store *store)
{
    return database_exposure(store->database);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    database_close(store->database);
    free(store);
}

/* ---- Groups ---- */

bool store_begin(struct store *store, struct store_failure *failure)
{
    return database_begin(store->database, failure);
}

/* Binds the name of a reading's sensor, which has the same parameters in FIND_TAKEN and SAVE_LAST. */
static void store_bind_sensor(const struct store *store, sqlite3_stmt *statement,
                              const struct store_reading *reading)
{
    database_bind_prefix(store->database, statement, 1);
    database_bind_text(statement, 2, reading->sensor, reading->size);
}

/* Binds the columns of a reading, which have the same parameters in SAVE_LAST and SAVE_READING. */
static void store_bind_reading(sqlite3_stmt *statement, const struct store_reading *reading)
{
    sqlite3_bind_double(statement, 3, reading->value);
    sqlite3_bind_int(statement, 4, reading->unit);
    sqlite3_bind_double(statement, 5, reading->time);
    if (reading->stored != 0)
        sqlite3_bind_double(statement, 7, reading->stored);
    else
        sqlite3_bind_null(statement, 7);
}

/* The first three columns of a row are a reading. */
static struct store_point store_point_of(sqlite3_stmt *row)
{
    return (struct store_point){sqlite3_column_double(row, 0), sqlite3_column_double(row, 1),
                                sqlite3_column_int(row, 2)};
}

/* Looks for a reading of the same sensor and of the same time, which is both readings' own. */
static bool store_find_taken(struct store *store, const struct store_reading *reading,
                             struct store_added *added)
{
    sqlite3_stmt *row = database_statement(store->database, FIND_TAKEN);
    store_bind_sensor(store, row, reading);
    sqlite3_bind_double(row, 5, reading->time);
    const int code = sqlite3_step(row);
    if (code == SQLITE_ROW) {
        added->last = store_point_of(row);
        added->stored.value = sqlite3_column_double(row, 3);
        added->stored.unit = sqlite3_column_int(row, 4);
        const bool is_same = added->stored.value == reading->value && added->stored.unit == reading->unit;
        added->outcome = is_same ? STORE_REPEATED : STORE_CONFLICT;
    }
    return database_finish(store->database, row, code);
}

static bool store_save(struct store *store, const struct store_reading *reading, struct store_added *added)
{
    sqlite3_stmt *statement = database_statement(store->database, SAVE_LAST);
    store_bind_sensor(store, statement, reading);
    store_bind_reading(statement, reading);
    database_bind_text(statement, 6, reading->owner ? reading->owner : "",
                       reading->owner ? strlen(reading->owner) : 0);
    const int code = sqlite3_step(statement);
    const int64_t sensor = code == SQLITE_ROW ? sqlite3_column_int64(statement, 3) : 0;
    if (code == SQLITE_ROW)
        added->last = store_point_of(statement);
    if (!database_finish(store->database, statement, code))
        return false;
    statement = database_statement(store->database, SAVE_READING);
    sqlite3_bind_int64(statement, 1, sensor);
    store_bind_reading(statement, reading);
    return database_run(store->database, SAVE_READING);
}

bool store_add(struct store *store, const struct store_reading *reading, struct store_added *added,
               struct store_failure *failure)
{
    *added = (struct store_added){STORE_ADDED, {reading->time, reading->value, reading->unit}, {0, 0, 0}};
    const bool ok = database_check_group(store->database) &&
                    (reading->stored == 0 || store_find_taken(store, reading, added)) &&
                    (added->outcome != STORE_ADDED || store_save(store, reading, added));
    return database_conclude_change(store->database, ok, failure);
}

/* The key of the sensor that was forgotten; 0: there was none. The name is free at once, and a sensor that
 * gets it later has no readings of this one. */
static bool store_hide(struct store *store, const char *sensor, size_t size, int64_t *key)
{
    sqlite3_stmt *statement = database_statement(store->database, FORGET);
    database_bind_prefix(store->database, statement, 1);
    database_bind_text(statement, 2, sensor, size);
    const int code = sqlite3_step(statement);
    *key = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    return database_finish(store->database, statement, code);
}

bool store_drop(struct store *store, const char *sensor, size_t size, struct store_failure *failure)
{
    int64_t key;
    const bool ok = database_check_group(store->database) && store_hide(store, sensor, size, &key);
    return database_conclude_change(store->database, ok, failure);
}

bool store_commit(struct store *store, struct store_failure *failure)
{
    return database_commit(store->database, failure);
}

void store_rollback(struct store *store)
{
    database_rollback(store->database);
}

/* ---- Reading ---- */

bool store_load(struct store *store, store_visit visit, void *data, struct store_failure *failure)
{
    if (!database_ready(store->database))
        return database_conclude(store->database, false, failure);
    sqlite3_stmt *row = database_statement(store->database, LOAD);
    database_bind_prefix(store->database, row, 1);
    bool go_on = true;
    int code = SQLITE_ROW;
    while (go_on && (code = sqlite3_step(row)) == SQLITE_ROW) {
        const struct store_reading last = {
            .sensor = (const char *)sqlite3_column_text(row, 0), /* NULL: no memory */
            .size = (size_t)sqlite3_column_bytes(row, 0),
            .value = sqlite3_column_double(row, 1),
            .unit = sqlite3_column_int(row, 2),
            .time = sqlite3_column_double(row, 3),
            .owner = (const char *)sqlite3_column_text(row, 4),
            .stored = sqlite3_column_double(row, 5),
        };
        if (!last.sensor || !last.owner) {
            code = SQLITE_NOMEM;
            break;
        }
        go_on = visit(data, &last);
    }
    return database_conclude(store->database, database_finish(store->database, row, code), failure);
}

bool store_last_time(struct store *store, double max_step, double *time, struct store_failure *failure)
{
    *time = NAN;
    if (!database_ready(store->database))
        return database_conclude(store->database, false, failure);
    sqlite3_stmt *row = database_statement(store->database, TIMES);
    sqlite3_bind_int64(row, 1, EPOCH);
    sqlite3_bind_int64(row, 2, TIMES_MAX);
    double later = NAN; /* the time of the reading that was stored next */
    int code;
    while ((code = sqlite3_step(row)) == SQLITE_ROW) {
        const double earlier = sqlite3_column_double(row, 0);
        if (isnan(later))
            *time = earlier;
        else if (fabs(later - earlier) > max_step)
            *time -= later - earlier;
        later = earlier;
    }
    return database_conclude(store->database, database_finish(store->database, row, code), failure);
}

static void store_reverse(struct store_point *points, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        const struct store_point point = points[i];
        points[i] = points[count - 1 - i];
        points[count - 1 - i] = point;
    }
}

static bool store_look_up(struct store *store, const struct store_query *query, struct store_answer *answer)
{
    sqlite3_stmt *statement = database_statement(store->database, HISTORY);
    database_bind_prefix(store->database, statement, 1);
    database_bind_text(statement, 2, query->sensor, query->size);
    sqlite3_bind_double(statement, 3, query->from);
    sqlite3_bind_double(statement, 4, query->to);
    sqlite3_bind_int64(statement, 5,
                       (int64_t)query->limit + 1); /* one beyond the limit, to set answer->more */
    sqlite3_bind_int64(statement, 6, query->before ? query->before : INT64_MAX);
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        answer->more = answer->count == query->limit;
        if (answer->more)
            break;
        answer->points[answer->count++] = store_point_of(statement);
        answer->first = sqlite3_column_int64(statement, 3);
    }
    store_reverse(answer->points, answer->count);
    return database_finish(store->database, statement, code);
}

bool store_history(struct store *store, const struct store_query *query, struct store_answer *answer,
                   struct store_failure *failure)
{
    answer->count = 0;
    answer->first = 0;
    answer->more = false;
    const bool ok = database_ready(store->database) && store_look_up(store, query, answer);
    if (!ok) {
        answer->count = 0;
        answer->first = 0;
        answer->more = false;
    }
    return database_conclude(store->database, ok, failure);
}

/* ---- Forgetting and pruning ---- */

struct pruning {
    const struct store_limits *limits;
    int64_t looked_at, deleted; /* sensors, and readings */
    int64_t sensor;             /* the key of the current one; 0: there is none left */
    int64_t kept;               /* how many readings it has */
    bool forgotten;             /* it was forgotten */
    int64_t done;               /* the key of the last sensor that is within the limits */
};

/* Deletes the first readings of a sensor, at most max; *deleted is their number. */
static bool store_delete_first(struct store *store, int64_t sensor, int64_t max, int64_t *deleted)
{
    sqlite3_stmt *statement = database_statement(store->database, DELETE_FIRST);
    sqlite3_bind_int64(statement, 1, sensor);
    sqlite3_bind_int64(statement, 3, max);
    const bool ok = database_run(store->database, DELETE_FIRST);
    *deleted = ok ? database_changes(store->database) : 0;
    return ok;
}

/* Deletes a sensor without readings: one that was forgotten, or whose last reading is from before `oldest`.
 */
static bool store_delete_sensor(struct store *store, int64_t sensor, double oldest,
                                const struct store_limits *limits)
{
    sqlite3_stmt *statement = database_statement(store->database, DELETE_SENSOR);
    sqlite3_bind_int64(statement, 1, sensor);
    sqlite3_bind_double(statement, 2, oldest);
    const int code = sqlite3_step(statement);
    const char *prefix = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    const char *name = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 1) : NULL;
    const bool is_taken = !limits || !limits->removed || !prefix || !*prefix || !name ||
                          limits->removed(limits->data, name, (size_t)sqlite3_column_bytes(statement, 1)) ||
                          database_refuse(store->database, STORE_NO_MEMORY, "out of memory");
    return database_finish(store->database, statement, code) && is_taken;
}

/* One step of forgetting, within a group. */
static bool store_forget_some(struct store *store, struct store_forgetting *forgetting)
{
    int64_t deleted;
    if (!forgetting->key && !store_hide(store, forgetting->sensor, forgetting->size, &forgetting->key))
        return false;
    forgetting->found = forgetting->key != 0;
    if (!forgetting->found)
        return true;
    if (!store_delete_first(store, forgetting->key, forgetting->rows, &deleted))
        return false;
    forgetting->more = deleted == forgetting->rows;
    return forgetting->more || store_delete_sensor(store, forgetting->key, INFINITY, NULL);
}

bool store_forget(struct store *store, struct store_forgetting *forgetting, struct store_failure *failure)
{
    const int64_t key = forgetting->key;
    forgetting->more = false;
    if (store_begin(store, NULL) && !store_forget_some(store, forgetting))
        database_conclude_change(store->database, false, NULL);
    if (!store_commit(store, failure)) {
        forgetting->key = key;
        forgetting->more = false;
        return false;
    }
    if (forgetting->found && !forgetting->more)
        database_clean_log(store->database);
    return true;
}

static bool store_next_sensor(struct store *store, struct pruning *pruning)
{
    sqlite3_stmt *statement = database_statement(store->database, NEXT_SENSOR);
    database_bind_prefix(store->database, statement, 1);
    sqlite3_bind_int64(statement, 2, pruning->done);
    const int code = sqlite3_step(statement);
    pruning->sensor = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    pruning->kept = code == SQLITE_ROW ? sqlite3_column_int64(statement, 1) : 0;
    pruning->forgotten = code == SQLITE_ROW && sqlite3_column_int(statement, 2);
    pruning->looked_at++;
    return database_finish(store->database, statement, code);
}

/* Finds the first reading that is not too old. Later ones were stored after it, and are no older than it,
 * whatever the clock said. */
static bool store_find_kept(struct store *store, const struct store_limits *limits)
{
    sqlite3_stmt *statement = database_statement(store->database, FIRST_KEPT);
    sqlite3_bind_double(statement, 1, limits->oldest);
    sqlite3_bind_double(statement, 2, limits->now);
    const int code = sqlite3_step(statement);
    store->first_kept = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : INT64_MAX;
    return database_finish(store->database, statement, code);
}

static void store_count_deleted(struct pruning *pruning, int64_t deleted)
{
    pruning->deleted += deleted;
    pruning->kept -= deleted;
}

/* Deletes the sensor's old readings, no more than limits->rows leave. */
static bool store_delete_old(struct store *store, struct pruning *pruning)
{
    sqlite3_stmt *statement = database_statement(store->database, DELETE_OLD);
    sqlite3_bind_int64(statement, 1, pruning->sensor);
    sqlite3_bind_int64(statement, 2, store->first_kept);
    sqlite3_bind_int64(statement, 3, pruning->limits->rows - pruning->deleted);
    sqlite3_bind_double(statement, 4, pruning->limits->oldest);
    if (!database_run(store->database, DELETE_OLD))
        return false;
    store_count_deleted(pruning, database_changes(store->database));
    return true;
}

static bool store_prune_sensor(struct store *store, struct pruning *pruning)
{
    const struct store_limits *limits = pruning->limits;
    if (!pruning->forgotten && !store_delete_old(store, pruning))
        return false;
    const int64_t excess = pruning->kept - (pruning->forgotten ? 0 : limits->keep);
    const int64_t allowed = limits->rows - pruning->deleted;
    int64_t deleted = 0;
    if (excess > 0 &&
        !store_delete_first(store, pruning->sensor, excess < allowed ? excess : allowed, &deleted))
        return false;
    store_count_deleted(pruning, deleted);
    if (pruning->deleted == limits->rows)
        return true; /* the sensor may have more readings to delete */
    pruning->done = pruning->sensor;
    return pruning->kept > 0 || store_delete_sensor(store, pruning->sensor, limits->oldest, limits);
}

bool store_prune(struct store *store, const struct store_limits *limits, bool *more,
                 struct store_failure *failure)
{
    *more = false;
    if (!store_begin(store, failure)) {
        store_rollback(store);
        return false;
    }
    if (store->connection != database_connections(store->database))
        store->pruned = 0;
    store->connection = database_connections(store->database);
    struct pruning pruning = {.limits = limits, .done = store->pruned};
    bool ok = store->pruned || store_find_kept(store, limits);
    while (ok) {
        ok = store_next_sensor(store, &pruning) && (!pruning.sensor || store_prune_sensor(store, &pruning));
        if (!pruning.sensor || pruning.looked_at >= limits->rows || pruning.deleted >= limits->rows)
            break;
    }
    if (!ok)
        database_conclude_change(store->database, false, NULL);
    if (!store_commit(store, failure))
        return false;
    *more = pruning.sensor != 0;
    store->pruned = *more ? pruning.done : 0;
    return true;
}

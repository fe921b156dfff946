// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Readings in an SQLite database: see store.h.
 *
 * The file has two tables. `readings` holds the history. `sensors` holds the last reading of each sensor, so
 * that finding it needs no search of the history, and in `kept` the number of the sensor's rows in
 * `readings`. Triggers count these, so that the number also holds when another program deletes rows. SQLite
 * never assigns the key of a deleted sensor again (AUTOINCREMENT).
 *
 * A static function that fails writes the reason to store->failure. store_conclude() copies it for the
 * caller, at the end of each public function.
 */
#include "store.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { APPLICATION = 0x72706373 }; /* "rpcs", the application id in the file's header */

/* An attempt to open the database that failed after t ms is followed by a rest of REST_TIMES * t ms. */
enum { REST_TIMES = 10, REST_MAX_MS = 5000 };

enum { WAL_MAX_BYTES = 4 << 20 }; /* SQLite truncates a longer log after a checkpoint */

/* Step n turns version n of the database into version n + 1. Steps may be added but not changed, since
 * existing files were made by them. */
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
};

enum { VERSION = sizeof steps / sizeof steps[0] };

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    SAVE_LAST,
    SAVE_READING,
    LOAD,
    HISTORY,
    NEXT_SENSOR,
    DELETE_OLD,
    DELETE_EXCESS,
    DELETE_SENSOR,
    STATEMENTS
};

static const char *const statements[STATEMENTS] = {
    /* IMMEDIATE takes the write lock here; otherwise the first INSERT would take it, and could fail. */
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [SAVE_LAST] = "INSERT INTO sensors (prefix, name, value, unit, time) VALUES (?1, ?2, ?3, ?4, ?5)"
                  " ON CONFLICT (prefix, name) DO UPDATE SET value = ?3, unit = ?4, time = ?5 RETURNING id",
    [SAVE_READING] = "INSERT INTO readings (sensor, value, unit, time) VALUES (?1, ?3, ?4, ?5)",
    [LOAD] = "SELECT name, value, unit, time FROM sensors WHERE prefix = ?1 ORDER BY id",
    [HISTORY] = "SELECT time, value, unit FROM readings"
                " WHERE sensor = (SELECT id FROM sensors WHERE prefix = ?1 AND name = ?2)"
                " AND time BETWEEN ?3 AND ?4 ORDER BY time DESC, id DESC LIMIT ?5",
    /* NOT INDEXED reads the table in the order of its keys. The index would need a sort at each call. */
    [NEXT_SENSOR] =
        "SELECT id, kept FROM sensors NOT INDEXED WHERE id > ?2 AND prefix = ?1 ORDER BY id LIMIT 1",
    [DELETE_OLD] = "DELETE FROM readings WHERE id IN"
                   " (SELECT id FROM readings WHERE sensor = ?1 AND time < ?2 ORDER BY time, id LIMIT ?3)",
    [DELETE_EXCESS] = "DELETE FROM readings WHERE id IN"
                      " (SELECT id FROM readings WHERE sensor = ?1 ORDER BY time, id LIMIT ?3)",
    [DELETE_SENSOR] = "DELETE FROM sensors WHERE id = ?1 AND time < ?2",
};

/* The identity of a file. */
struct mark {
    bool exists;
    dev_t device;
    ino_t inode;
};

enum group { NONE, OPEN, SPOILT };

struct store {
    char *path, *prefix;
    int busy_ms;
    bool in_memory;

    sqlite3 *database; /* NULL: closed */
    sqlite3_stmt *prepared[STATEMENTS];
    char *wal_path, *shared_path; /* the log and its index, which SQLite keeps beside an open database */
    struct mark wal, shared;      /* their identities when the database was opened */
    bool unusable;                /* store_conclude() is to close the connection */

    enum group group;
    int64_t pruned; /* the key of the last sensor that store_prune() has finished */

    struct store_failure failure;         /* the last failure, or the first of the group */
    struct store_failure opening_failure; /* why the last attempt to open the database failed */
    int64_t closed_until;                 /* monotonic ms: the database is not opened before this time */
};

/* ---- Failures ---- */

const char *const store_cause_names[STORE_CAUSES] = {
    [STORE_LOCKED] = "locked",
    [STORE_FULL] = "full",
    [STORE_CORRUPT] = "corrupt",
    [STORE_READ_ONLY] = "read_only",
    [STORE_CANNOT_OPEN] = "cannot_open",
    [STORE_FOREIGN] = "foreign",
    [STORE_NEWER] = "newer",
    [STORE_REPLACED] = "replaced",
    [STORE_IO] = "io",
    [STORE_NO_MEMORY] = "no_memory",
    [STORE_FAILED] = "failed",
};

/* SQLite's messages may quote names out of the file, which may contain any bytes. */
static void store_make_printable(char *text)
{
    for (; *text; text++) {
        if (*text < ' ' || *text > '~')
            *text = '?';
    }
}

/* Records a failure that is not an error of SQLite. Returns false. */
static bool store_refuse(struct store *store, enum store_cause cause, const char *why)
{
    store->failure.cause = cause;
    snprintf(store->failure.why, sizeof store->failure.why, "%s", why);
    return false;
}

/* The errno of the last failed operation on a file of the database; 0: none failed. */
static int store_file_error(sqlite3 *database, int which)
{
    sqlite3_file *file = NULL;
    int error = 0;
    sqlite3_file_control(database, "main", which, &file);
    if (file && file->pMethods)
        file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error);
    return error;
}

/*
 * The errno behind an error of SQLite; 0: not known. SQLite reports a full disk as an I/O error unless errno
 * is ENOSPC. It keeps errno for the connection or, where that has been overwritten, for the file. The store
 * closes the connection after such errors, so that errno cannot belong to an earlier one.
 */
static int store_system_error(sqlite3 *database, int code)
{
    if (code != SQLITE_IOERR && code != SQLITE_CANTOPEN)
        return 0;
    int error = sqlite3_system_errno(database);
    if (!error)
        error = store_file_error(database, SQLITE_FCNTL_FILE_POINTER);
    return error ? error : store_file_error(database, SQLITE_FCNTL_JOURNAL_POINTER);
}

static enum store_cause store_cause_of(int code, int error)
{
    switch (code) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return STORE_LOCKED;
    case SQLITE_FULL:
        return STORE_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return STORE_CORRUPT;
    case SQLITE_READONLY:
        return STORE_READ_ONLY;
    case SQLITE_CANTOPEN:
        return STORE_CANNOT_OPEN;
    case SQLITE_IOERR:
        if (error == ENOSPC || error == EDQUOT || error == EFBIG)
            return STORE_FULL;
        return error == EROFS ? STORE_READ_ONLY : STORE_IO;
    case SQLITE_NOMEM:
        return STORE_NO_MEMORY;
    default:
        return STORE_FAILED;
    }
}

/* Records the failure of the last call of SQLite. Returns false. */
static bool store_fail(struct store *store)
{
    struct store_failure *failure = &store->failure;
    const int code = sqlite3_errcode(store->database) & 0xff;
    const int error = store_system_error(store->database, code);
    char buffer[64];
    failure->cause = store_cause_of(code, error);
    if (error)
        snprintf(failure->why, sizeof failure->why, "%s (%s)", sqlite3_errmsg(store->database),
                 strerror_r(error, buffer, sizeof buffer));
    else
        snprintf(failure->why, sizeof failure->why, "%s", sqlite3_errmsg(store->database));
    store_make_printable(failure->why);
    const bool is_fatal = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_IOERR ||
                          code == SQLITE_CANTOPEN || code == SQLITE_READONLY;
    if (is_fatal && !store->in_memory) /* closing a database in memory would lose it */
        store->unusable = true;
    return false;
}

/* ---- Statements ---- */

static bool store_execute(struct store *store, const char *sql)
{
    return sqlite3_exec(store->database, sql, NULL, NULL, NULL) == SQLITE_OK || store_fail(store);
}

/* Runs a statement whose result is one number. */
static bool store_ask(struct store *store, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    const bool has_row = sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL) == SQLITE_OK &&
                         sqlite3_step(statement) == SQLITE_ROW;
    if (has_row)
        *number = sqlite3_column_int64(statement, 0);
    else
        store_fail(store);
    sqlite3_finalize(statement);
    return has_row;
}

/* Binds a text without copying it: the text must be valid until store_finish(). */
static void store_bind_text(sqlite3_stmt *statement, int parameter, const char *text, size_t size)
{
    sqlite3_bind_text64(statement, parameter, text, size, SQLITE_STATIC, SQLITE_UTF8);
}

/* Resets a statement. code is what its last sqlite3_step() returned; returns whether that was a success. */
static bool store_finish(struct store *store, sqlite3_stmt *statement, int code)
{
    const bool ok = code == SQLITE_DONE || code == SQLITE_ROW || store_fail(store);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return ok;
}

/* Runs a statement whose parameters are bound. */
static bool store_run(struct store *store, enum statement which)
{
    sqlite3_stmt *statement = store->prepared[which];
    return store_finish(store, statement, sqlite3_step(statement));
}

/* ---- The file ---- */

/* The identity of the file at path; NULL: of none. */
static struct mark store_mark_of(const char *path)
{
    struct stat file;
    if (!path || stat(path, &file) != 0)
        return (struct mark){.exists = false};
    return (struct mark){true, file.st_dev, file.st_ino};
}

/* Whether path still leads to the marked file. True if there was no file to mark. */
static bool store_is_in_place(const struct mark *mark, const char *path)
{
    const struct mark now = store_mark_of(path);
    return !mark->exists || (now.exists && now.device == mark->device && now.inode == mark->inode);
}

/* Whether the open database was deleted, or is no longer the file at its path. */
static bool store_is_replaced(struct store *store)
{
    int moved = 0;
    if (!store->in_memory)
        sqlite3_file_control(store->database, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return moved;
}

/* Closes the connection, if there is one. */
static void store_disconnect(struct store *store)
{
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(store->prepared[i]);
        store->prepared[i] = NULL;
    }
    sqlite3_close(store->database);
    free(store->wal_path);
    free(store->shared_path);
    store->database = NULL;
    store->wal_path = store->shared_path = NULL;
    store->unusable = false;
    store->pruned = 0;
}

/* Deletes the file at path if it is the marked one. */
static void store_remove_own(const struct mark *mark, const char *path)
{
    if (mark->exists && store_is_in_place(mark, path))
        unlink(path);
}

/*
 * Closes a database that is no longer the file at its path. A checkpoint first moves the contents of its log
 * into it, wherever it is now. Its log and index are still at their paths, where another database would take
 * them for its own. They are deleted here and not by SQLite, which would also delete those of a new database.
 */
static void store_leave(struct store *store)
{
    sqlite3_wal_checkpoint_v2(store->database, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_db_config(store->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    store_remove_own(&store->wal, store->wal_path);
    store_remove_own(&store->shared, store->shared_path);
    store_disconnect(store);
}

/* ---- Opening ---- */

/* Checks that the file is one of ours, or empty, and that this version can read it. Reads its version. */
static bool store_identify(struct store *store, int64_t *version)
{
    int64_t application, tables;
    if (!store_ask(store, "PRAGMA application_id", &application) ||
        !store_ask(store, "PRAGMA user_version", version) ||
        !store_ask(store, "SELECT count(*) FROM sqlite_master", &tables))
        return false;
    if (application != APPLICATION && (application || tables))
        return store_refuse(store, STORE_FOREIGN, "the file is a database of something else");
    if (*version < 0)
        return store_refuse(store, STORE_CORRUPT, "the version of the file's format is negative");
    if (*version <= VERSION)
        return true;
    snprintf(store->failure.why, sizeof store->failure.why,
             "the file was made by a newer version: its format is %lld, and up to %d is known",
             (long long)*version, (int)VERSION);
    store->failure.cause = STORE_NEWER;
    return false;
}

/*
 * Brings the database from the version that it has to the next one, and writes that to *version. Another
 * process may have taken steps since *version was read; then there may be nothing left to do.
 */
static bool store_step(struct store *store, int64_t *version)
{
    char sql[80];
    if (!store_execute(store, "BEGIN IMMEDIATE"))
        return false;
    bool ok = store_identify(store, version);
    if (ok && *version < VERSION) {
        snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d", (int)APPLICATION,
                 (int)*version + 1);
        ok = store_execute(store, steps[(*version)++]) && store_execute(store, sql);
    }
    ok = ok && store_execute(store, "COMMIT");
    if (!ok)
        sqlite3_exec(store->database, "ROLLBACK", NULL, NULL, NULL);
    return ok;
}

static bool store_prepare(struct store *store)
{
    for (int i = 0; i < STATEMENTS; i++) {
        if (sqlite3_prepare_v3(store->database, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &store->prepared[i], NULL) != SQLITE_OK)
            return store_fail(store);
    }
    return true;
}

/*
 * Where WAL is not available, as on some network file systems, SQLite uses a rollback journal, which is
 * slower. For such a journal EXTRA also syncs the folder after its deletion; with WAL it is the same as FULL.
 */
static bool store_configure(struct store *store)
{
    if (!store_execute(store, "PRAGMA synchronous = EXTRA"))
        return false;
    if (store->in_memory || sqlite3_db_readonly(store->database, "main") == 1)
        return true;
    char sql[60];
    snprintf(sql, sizeof sql, "PRAGMA journal_size_limit = %d", (int)WAL_MAX_BYTES);
    return store_execute(store, "PRAGMA journal_mode = WAL") && store_execute(store, sql);
}

/* Remembers which files the log and its index are. */
static bool store_mark_files(struct store *store)
{
    if (store->in_memory)
        return true;
    const char *path = sqlite3_db_filename(store->database, "main");
    if (asprintf(&store->wal_path, "%s-wal", path) < 0)
        store->wal_path = NULL;
    if (asprintf(&store->shared_path, "%s-shm", path) < 0)
        store->shared_path = NULL;
    if (!store->wal_path || !store->shared_path)
        return store_refuse(store, STORE_NO_MEMORY, "out of memory");
    store->wal = store_mark_of(store->wal_path);
    store->shared = store_mark_of(store->shared_path);
    return true;
}

/*
 * NOMUTEX: one thread at a time uses a connection, so that it needs no lock of its own. SQLite must still
 * have been built with threads, since the process may have other connections, those of other stores among
 * them.
 */
static bool store_connect(struct store *store)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (!sqlite3_threadsafe())
        return store_refuse(store, STORE_FAILED, "SQLite was built without threads");
    if (sqlite3_open_v2(store->path, &store->database, flags, NULL) != SQLITE_OK)
        return store_fail(store);
    sqlite3_busy_timeout(store->database, store->busy_ms);
    int64_t version;
    if (!store_identify(store, &version) || !store_configure(store))
        return false;
    while (version < VERSION) {
        if (!store_step(store, &version))
            return false;
    }
    return store_prepare(store) && store_mark_files(store);
}

static int64_t store_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Opens the database if it is not open, or is not the file at its path. Every use of the store begins here.
 */
static bool store_ready(struct store *store)
{
    if (store->database && store_is_replaced(store))
        store_leave(store);
    if (store->database)
        return true;
    const int64_t began = store_now_ms();
    if (began < store->closed_until) {
        store->failure = store->opening_failure;
        return false;
    }
    if (store_connect(store))
        return true;
    store_disconnect(store);
    const int64_t ended = store_now_ms();
    const int64_t rest = (ended - began) * REST_TIMES;
    store->opening_failure = store->failure;
    store->closed_until = ended + (rest < REST_MAX_MS ? rest : REST_MAX_MS);
    return false;
}

/* Closes an unusable connection, and tells the caller why a function failed. Every use of the store ends
 * here. */
static bool store_conclude(struct store *store, bool ok, struct store_failure *failure)
{
    if (store->unusable)
        store_disconnect(store);
    if (!ok && failure)
        *failure = store->failure;
    return ok;
}

struct store *store_new(const char *path, const char *prefix, int busy_ms)
{
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    store->busy_ms = busy_ms;
    store->in_memory = strcmp(path, ":memory:") == 0;
    store->prefix = strdup(prefix);
    /* "./", since SQLite does not take an empty path, or one that begins with "file:" or ":", for a file's.
     */
    if (asprintf(&store->path, "%s%s", *path == '/' || store->in_memory ? "" : "./", path) < 0)
        store->path = NULL;
    if (store->path && store->prefix)
        return store;
    store_close(store);
    return NULL;
}

bool store_open(struct store *store, struct store_failure *failure)
{
    return store_conclude(store, store_ready(store), failure);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    store_rollback(store);
    if (store->database && store_is_replaced(store))
        store_leave(store);
    store_disconnect(store);
    free(store->path);
    free(store->prefix);
    free(store);
}

/* ---- Groups ---- */

/* Rolls back the transaction, unless the failure has already ended it. Keeps store->failure. */
static void store_abandon(struct store *store)
{
    const struct store_failure first = store->failure;
    if (store->database && !sqlite3_get_autocommit(store->database))
        store_run(store, ROLLBACK);
    store->failure = first;
}

/* Ends a group at its first failure. The group's later functions fail for the same reason. Returns false. */
static bool store_spoil(struct store *store)
{
    store_abandon(store);
    store->group = SPOILT;
    return false;
}

void store_rollback(struct store *store)
{
    store_abandon(store);
    store->group = NONE;
    store_conclude(store, true, NULL);
}

/* BEGIN IMMEDIATE succeeds in a file that can only be read, so that this is checked on its own. */
static bool store_check_writable(struct store *store)
{
    if (sqlite3_db_readonly(store->database, "main") != 1)
        return true;
    store->unusable = true;
    return store_refuse(store, STORE_READ_ONLY, "the file may only be read");
}

bool store_begin(struct store *store, struct store_failure *failure)
{
    store_rollback(store);
    if (!store_ready(store) || !store_check_writable(store) || !store_run(store, BEGIN))
        return store_conclude(store, store_spoil(store), failure);
    store->group = OPEN;
    return true;
}

static bool store_check_group(struct store *store)
{
    if (store->group == NONE)
        return store_refuse(store, STORE_FAILED, "no group has begun");
    return store->group == OPEN;
}

/* Binds the columns of a reading, which have the same parameters in SAVE_LAST and SAVE_READING. */
static void store_bind_reading(sqlite3_stmt *statement, const struct store_reading *reading)
{
    sqlite3_bind_double(statement, 3, reading->value);
    sqlite3_bind_int(statement, 4, reading->unit);
    sqlite3_bind_double(statement, 5, reading->time);
}

static bool store_save(struct store *store, const struct store_reading *reading)
{
    sqlite3_stmt *statement = store->prepared[SAVE_LAST];
    store_bind_text(statement, 1, store->prefix, strlen(store->prefix));
    store_bind_text(statement, 2, reading->sensor, reading->size);
    store_bind_reading(statement, reading);
    const int code = sqlite3_step(statement);
    const int64_t sensor = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    if (!store_finish(store, statement, code))
        return false;
    statement = store->prepared[SAVE_READING];
    sqlite3_bind_int64(statement, 1, sensor);
    store_bind_reading(statement, reading);
    return store_run(store, SAVE_READING);
}

bool store_add(struct store *store, const struct store_reading *reading, struct store_failure *failure)
{
    if (!store_check_group(store))
        return store_conclude(store, false, failure);
    return store_save(store, reading) || store_conclude(store, store_spoil(store), failure);
}

/*
 * Checks after a commit that the database at the path has the group. If the log was deleted while it was in
 * use, the group is in a file without a name, from where a checkpoint moves it into the database.
 */
static bool store_check_kept(struct store *store)
{
    if (store_is_replaced(store))
        return store_refuse(store, STORE_REPLACED, "the file was moved or deleted while it was written to");
    if (store->in_memory || store_is_in_place(&store->wal, store->wal_path))
        return true;
    return sqlite3_wal_checkpoint_v2(store->database, NULL, SQLITE_CHECKPOINT_FULL, NULL, NULL) ==
               SQLITE_OK ||
           store_refuse(store, STORE_REPLACED, "the file's log was moved or deleted while it was written to");
}

bool store_commit(struct store *store, struct store_failure *failure)
{
    const bool kept = store_check_group(store) && store_run(store, COMMIT) && store_check_kept(store);
    if (!kept)
        store_abandon(store);
    store->group = NONE;
    return store_conclude(store, kept, failure);
}

/* ---- Reading ---- */

bool store_load(struct store *store, store_visit visit, void *data, struct store_failure *failure)
{
    if (!store_ready(store))
        return store_conclude(store, false, failure);
    sqlite3_stmt *row = store->prepared[LOAD];
    store_bind_text(row, 1, store->prefix, strlen(store->prefix));
    bool go_on = true;
    int code = SQLITE_ROW;
    while (go_on && (code = sqlite3_step(row)) == SQLITE_ROW) {
        const struct store_reading last = {
            .sensor = (const char *)sqlite3_column_text(row, 0), /* NULL: no memory */
            .size = (size_t)sqlite3_column_bytes(row, 0),
            .value = sqlite3_column_double(row, 1),
            .unit = sqlite3_column_int(row, 2),
            .time = sqlite3_column_double(row, 3),
        };
        if (!last.sensor) {
            code = SQLITE_NOMEM;
            break;
        }
        go_on = visit(data, &last);
    }
    return store_conclude(store, store_finish(store, row, code), failure);
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
    sqlite3_stmt *statement = store->prepared[HISTORY];
    store_bind_text(statement, 1, store->prefix, strlen(store->prefix));
    store_bind_text(statement, 2, query->sensor, query->size);
    sqlite3_bind_double(statement, 3, query->from);
    sqlite3_bind_double(statement, 4, query->to);
    sqlite3_bind_int64(statement, 5,
                       (int64_t)query->limit + 1); /* one beyond the limit, to set answer->more */
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        answer->more = answer->count == query->limit;
        if (answer->more)
            break;
        answer->points[answer->count++] =
            (struct store_point){sqlite3_column_double(statement, 0), sqlite3_column_double(statement, 1),
                                 sqlite3_column_int(statement, 2)};
    }
    store_reverse(answer->points, answer->count);
    return store_finish(store, statement, code);
}

bool store_history(struct store *store, const struct store_query *query, struct store_answer *answer,
                   struct store_failure *failure)
{
    answer->count = 0;
    answer->more = false;
    const bool ok = store_ready(store) && store_look_up(store, query, answer);
    if (!ok) {
        answer->count = 0;
        answer->more = false;
    }
    return store_conclude(store, ok, failure);
}

/* ---- Pruning ---- */

struct pruning {
    const struct store_limits *limits;
    int64_t looked_at, deleted; /* sensors, and readings */
    int64_t sensor;             /* the key of the current one; 0: there is none left */
    int64_t kept;               /* how many readings it has */
    int64_t done;               /* the key of the last sensor that is within the limits */
};

static bool store_next_sensor(struct store *store, struct pruning *pruning)
{
    sqlite3_stmt *statement = store->prepared[NEXT_SENSOR];
    store_bind_text(statement, 1, store->prefix, strlen(store->prefix));
    sqlite3_bind_int64(statement, 2, pruning->done);
    const int code = sqlite3_step(statement);
    pruning->sensor = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    pruning->kept = code == SQLITE_ROW ? sqlite3_column_int64(statement, 1) : 0;
    pruning->looked_at++;
    return store_finish(store, statement, code);
}

/* Deletes at most max readings of the current sensor, and no more than limits->rows leave. */
static bool store_delete_readings(struct store *store, struct pruning *pruning, enum statement which,
                                  int64_t max)
{
    const int64_t allowed = pruning->limits->rows - pruning->deleted;
    sqlite3_stmt *statement = store->prepared[which];
    sqlite3_bind_int64(statement, 1, pruning->sensor);
    if (which == DELETE_OLD)
        sqlite3_bind_double(statement, 2, pruning->limits->oldest);
    sqlite3_bind_int64(statement, 3, max < allowed ? max : allowed);
    if (!store_run(store, which))
        return false;
    const int64_t deleted = sqlite3_changes(store->database);
    pruning->deleted += deleted;
    pruning->kept -= deleted;
    return true;
}

static bool store_prune_sensor(struct store *store, struct pruning *pruning)
{
    if (!store_delete_readings(store, pruning, DELETE_OLD, INT64_MAX))
        return false;
    const int64_t excess = pruning->kept - pruning->limits->keep;
    if (excess > 0 && !store_delete_readings(store, pruning, DELETE_EXCESS, excess))
        return false;
    if (pruning->deleted == pruning->limits->rows)
        return true; /* the sensor may have more readings to delete */
    pruning->done = pruning->sensor;
    if (pruning->kept > 0)
        return true;
    sqlite3_stmt *statement = store->prepared[DELETE_SENSOR];
    sqlite3_bind_int64(statement, 1, pruning->sensor);
    sqlite3_bind_double(statement, 2, pruning->limits->oldest);
    return store_run(store, DELETE_SENSOR);
}

bool store_prune(struct store *store, const struct store_limits *limits, bool *more,
                 struct store_failure *failure)
{
    *more = false;
    if (!store_begin(store, failure)) {
        store_rollback(store);
        return false;
    }
    struct pruning pruning = {.limits = limits, .done = store->pruned};
    bool ok;
    do
        ok = store_next_sensor(store, &pruning) && (!pruning.sensor || store_prune_sensor(store, &pruning));
    while (ok && pruning.sensor && pruning.looked_at < limits->rows && pruning.deleted < limits->rows);
    if (!ok)
        store_spoil(store);
    if (!store_commit(store, failure))
        return false;
    *more = pruning.sensor != 0;
    store->pruned = *more ? pruning.done : 0;
    return true;
}

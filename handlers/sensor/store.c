// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Readings in an SQLite database: see store.h. The file has two tables. Of each sensor `sensors` has the last
 * reading, so that nobody searches the history for it, and how many there are in `readings`, which triggers
 * count, so that it is right whoever deletes some. Sensors' keys are never given out twice.
 *
 * A failing function leaves the reason in the store, from where it is copied for the caller when the
 * connection has been put in order.
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

enum { APPLICATION = 0x72706373 }; /* "rpcs": what the file is, in its header */

/* After opening has failed for a while, for how much longer it is not tried again. */
enum { REST_TIMES = 10, REST_MOST_MS = 5000 };

enum { WAL_MOST_BYTES = 4 << 20 }; /* what a burst has made longer is cut again */

/* Step n makes version n + 1 of the database out of version n. Steps are added, never changed: the files out
 * there were made by them. */
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
    /* IMMEDIATE: who may not write learns of it here, and not when half of the group has been written. */
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
    /* In the order of keys, which is that of the table; an index would have to be sorted at each call. */
    [NEXT_SENSOR] =
        "SELECT id, kept FROM sensors NOT INDEXED WHERE id > ?2 AND prefix = ?1 ORDER BY id LIMIT 1",
    [DELETE_OLD] = "DELETE FROM readings WHERE id IN"
                   " (SELECT id FROM readings WHERE sensor = ?1 AND time < ?2 ORDER BY time, id LIMIT ?3)",
    [DELETE_EXCESS] = "DELETE FROM readings WHERE id IN"
                      " (SELECT id FROM readings WHERE sensor = ?1 ORDER BY time, id LIMIT ?3)",
    [DELETE_SENSOR] = "DELETE FROM sensors WHERE id = ?1 AND time < ?2",
};

/* Which file it was. */
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
    char *wal_path, *shared_path; /* of the files that SQLite keeps beside an open database */
    struct mark wal, shared;      /* as they were when it was opened */
    bool unusable;                /* the connection is to be closed */

    enum group group;
    int64_t pruned; /* the key of the last sensor that store_prune() is done with */

    struct store_failure failure;         /* the last one, or that of the group */
    struct store_failure opening_failure; /* why the database is closed */
    int64_t closed_until;                 /* monotonic milliseconds: not opened again before */
};

/* ---- Failures ---- */

const char *const store_cause_names[STORE_CAUSES + 1] = {
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

/* SQLite quotes names out of the file, which may be anything. */
static void make_printable(char *text)
{
    for (; *text; text++) {
        if (*text < ' ' || *text > '~')
            *text = '?';
    }
}

static bool refuse(struct store *store, enum store_cause cause, const char *why)
{
    store->failure.cause = cause;
    snprintf(store->failure.why, sizeof store->failure.why, "%s", why);
    return false;
}

/* The error number that a file of the database has met with, 0: none. */
static int file_error(sqlite3 *database, int which)
{
    sqlite3_file *file = NULL;
    int error = 0;
    sqlite3_file_control(database, "main", which, &file);
    if (file && file->pMethods)
        file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error);
    return error;
}

/*
 * What the system said, 0 if that is not known. SQLite takes no room for an I/O error, but for ENOSPC, and
 * remembers the number for the connection or, where that has been lost, for the file. As the connection is
 * closed after such errors, it is not an earlier one's.
 */
static int system_error(sqlite3 *database, int code)
{
    if (code != SQLITE_IOERR && code != SQLITE_CANTOPEN)
        return 0;
    int error = sqlite3_system_errno(database);
    if (!error)
        error = file_error(database, SQLITE_FCNTL_FILE_POINTER);
    return error ? error : file_error(database, SQLITE_FCNTL_JOURNAL_POINTER);
}

static bool is_no_room(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

static enum store_cause cause_of(int code, int error)
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
        return is_no_room(error) ? STORE_FULL : error == EROFS ? STORE_READ_ONLY : STORE_IO;
    case SQLITE_NOMEM:
        return STORE_NO_MEMORY;
    default:
        return STORE_FAILED;
    }
}

/* After which the connection is not used again. */
static bool is_fatal(int code)
{
    return code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_IOERR ||
           code == SQLITE_CANTOPEN || code == SQLITE_READONLY;
}

/* The last call of SQLite failed. Returns false. */
static bool fail(struct store *store)
{
    struct store_failure *failure = &store->failure;
    const int code = sqlite3_errcode(store->database) & 0xff;
    const int error = system_error(store->database, code);
    char buffer[64];
    failure->cause = cause_of(code, error);
    if (error)
        snprintf(failure->why, sizeof failure->why, "%s (%s)", sqlite3_errmsg(store->database),
                 strerror_r(error, buffer, sizeof buffer));
    else
        snprintf(failure->why, sizeof failure->why, "%s", sqlite3_errmsg(store->database));
    make_printable(failure->why);
    if (is_fatal(code) && !store->in_memory) /* closing would lose what is in memory */
        store->unusable = true;
    return false;
}

/* ---- Statements ---- */

static bool execute(struct store *store, const char *sql)
{
    return sqlite3_exec(store->database, sql, NULL, NULL, NULL) == SQLITE_OK || fail(store);
}

/* The one number that a statement tells. */
static bool ask(struct store *store, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    const bool has_row = sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL) == SQLITE_OK &&
                         sqlite3_step(statement) == SQLITE_ROW;
    if (has_row)
        *number = sqlite3_column_int64(statement, 0);
    else
        fail(store);
    sqlite3_finalize(statement);
    return has_row;
}

static sqlite3_stmt *statement_of(struct store *store, enum statement which)
{
    return store->prepared[which];
}

/* Text is bound by its size, and not copied: finish() comes before its owner has it back. */
static void bind_text(sqlite3_stmt *statement, int place, const char *text, size_t size)
{
    sqlite3_bind_text64(statement, place, text, size, SQLITE_STATIC, SQLITE_UTF8);
}

/* A statement was stepped to its end, or as far as one wished; code is what its last step returned. */
static bool finish(struct store *store, sqlite3_stmt *statement, int code)
{
    const bool ok = code == SQLITE_DONE || code == SQLITE_ROW || fail(store);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return ok;
}

/* Runs a statement whose parameters are bound. */
static bool run(struct store *store, enum statement which)
{
    sqlite3_stmt *statement = statement_of(store, which);
    return finish(store, statement, sqlite3_step(statement));
}

/* ---- The file ---- */

static struct mark mark_of(const char *path)
{
    struct stat file;
    if (!path || stat(path, &file) != 0)
        return (struct mark){.exists = false};
    return (struct mark){true, file.st_dev, file.st_ino};
}

/* Whether the file is still the one that it was; one that was not there is no matter. */
static bool is_in_place(const struct mark *mark, const char *path)
{
    const struct mark now = mark_of(path);
    return !mark->exists || (now.exists && now.device == mark->device && now.inode == mark->inode);
}

static bool is_replaced(struct store *store)
{
    int moved = 0;
    if (!store->in_memory)
        sqlite3_file_control(store->database, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return moved;
}

static void release(struct store *store)
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

static void remove_ours(const struct mark *mark, const char *path)
{
    if (mark->exists && is_in_place(mark, path))
        unlink(path);
}

/*
 * Leaves a database that does not lie at its path any more. What it had in its log goes into it, wherever it
 * is now. The log and its index lie where they were, and the database that lies there now, or will, would
 * take them for its own, so they go; but not by SQLite, which would remove those that came with a new one.
 */
static void leave(struct store *store)
{
    sqlite3_wal_checkpoint_v2(store->database, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_db_config(store->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    remove_ours(&store->wal, store->wal_path);
    remove_ours(&store->shared, store->shared_path);
    release(store);
}

/* ---- Opening ---- */

/* Whose file it is. A file without anything is ours to fill. */
static bool identify(struct store *store, int64_t *version)
{
    int64_t application, tables;
    if (!ask(store, "PRAGMA application_id", &application) || !ask(store, "PRAGMA user_version", version) ||
        !ask(store, "SELECT count(*) FROM sqlite_master", &tables))
        return false;
    if (application != APPLICATION && (application || tables))
        return refuse(store, STORE_FOREIGN, "the file is a database of something else");
    if (*version <= VERSION)
        return true;
    snprintf(store->failure.why, sizeof store->failure.why,
             "the file was made by a newer version: its format is %lld, and up to %d is known",
             (long long)*version, (int)VERSION);
    store->failure.cause = STORE_NEWER;
    return false;
}

static bool advance(struct store *store, int64_t version)
{
    char sql[80];
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d", (int)APPLICATION,
             (int)version + 1);
    return execute(store, steps[version]) && execute(store, sql);
}

/* One step, or none if somebody else has just taken it. */
static bool step(struct store *store, int64_t *version)
{
    if (!execute(store, "BEGIN IMMEDIATE"))
        return false;
    const bool done = identify(store, version) && (*version == VERSION || advance(store, *version)) &&
                      execute(store, "COMMIT");
    if (!done)
        sqlite3_exec(store->database, "ROLLBACK", NULL, NULL, NULL);
    return done;
}

static bool migrate(struct store *store, int64_t version)
{
    while (version < VERSION) {
        if (!step(store, &version))
            return false;
        version++;
    }
    return true;
}

static bool prepare(struct store *store)
{
    for (int i = 0; i < STATEMENTS; i++) {
        if (sqlite3_prepare_v3(store->database, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &store->prepared[i], NULL) != SQLITE_OK)
            return fail(store);
    }
    return true;
}

/*
 * Where there is no WAL, as on some network file systems, a journal does the same more slowly. EXTRA is FULL,
 * but also keeps the end of such a journal on the disk; with WAL there is no difference.
 */
static bool configure(struct store *store)
{
    if (!execute(store, "PRAGMA synchronous = EXTRA"))
        return false;
    if (store->in_memory || sqlite3_db_readonly(store->database, "main") == 1)
        return true;
    char sql[60];
    snprintf(sql, sizeof sql, "PRAGMA journal_size_limit = %d", (int)WAL_MOST_BYTES);
    return execute(store, "PRAGMA journal_mode = WAL") && execute(store, sql);
}

static bool remember_files(struct store *store)
{
    if (store->in_memory)
        return true;
    const char *path = sqlite3_db_filename(store->database, "main");
    if (asprintf(&store->wal_path, "%s-wal", path) < 0)
        store->wal_path = NULL;
    if (asprintf(&store->shared_path, "%s-shm", path) < 0)
        store->shared_path = NULL;
    if (!store->wal_path || !store->shared_path)
        return refuse(store, STORE_NO_MEMORY, "out of memory");
    store->wal = mark_of(store->wal_path);
    store->shared = mark_of(store->shared_path);
    return true;
}

/*
 * NOMUTEX: a connection is used by one thread at a time, so that it needs no lock of its own. SQLite has to
 * have been built for threads all the same, since others may be in the same process, as are other stores.
 */
static bool connect_to(struct store *store)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (!sqlite3_threadsafe())
        return refuse(store, STORE_FAILED, "SQLite was built without threads");
    if (sqlite3_open_v2(store->path, &store->database, flags, NULL) != SQLITE_OK)
        return fail(store);
    sqlite3_busy_timeout(store->database, store->busy_ms);
    int64_t version;
    return identify(store, &version) && configure(store) && migrate(store, version) && prepare(store) &&
           remember_files(store);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool open_database(struct store *store)
{
    const int64_t began = now_ms();
    if (began < store->closed_until) {
        store->failure = store->opening_failure;
        return false;
    }
    if (connect_to(store))
        return true;
    release(store);
    const int64_t ended = now_ms();
    const int64_t rest = (ended - began) * REST_TIMES;
    store->opening_failure = store->failure;
    store->closed_until = ended + (rest < REST_MOST_MS ? rest : REST_MOST_MS);
    return false;
}

/* Every use begins with it. */
static bool ready(struct store *store)
{
    if (store->database && is_replaced(store))
        leave(store);
    return store->database || open_database(store);
}

/* And ends with it. */
static bool conclude(struct store *store, bool ok, struct store_failure *failure)
{
    if (store->unusable)
        release(store);
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
    /* An empty path and one that begins with "file:" or ":" would be more than names to SQLite. */
    if (asprintf(&store->path, "%s%s", *path == '/' || store->in_memory ? "" : "./", path) < 0)
        store->path = NULL;
    if (store->path && store->prefix)
        return store;
    store_close(store);
    return NULL;
}

bool store_open(struct store *store, struct store_failure *failure)
{
    return conclude(store, ready(store), failure);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    store_rollback(store);
    if (store->database && is_replaced(store))
        leave(store);
    release(store);
    free(store->path);
    free(store->prefix);
    free(store);
}

/* ---- Groups ---- */

/* Some failures have ended the transaction themselves. */
static void abandon(struct store *store)
{
    const struct store_failure first = store->failure;
    if (store->database && !sqlite3_get_autocommit(store->database))
        run(store, ROLLBACK);
    store->failure = first;
}

/* The first failure of a group ends its transaction; what follows only says why. */
static bool spoil(struct store *store)
{
    abandon(store);
    store->group = SPOILT;
    return false;
}

void store_rollback(struct store *store)
{
    abandon(store);
    store->group = NONE;
    conclude(store, true, NULL);
}

/* To SQLite, BEGIN IMMEDIATE is fine where nothing can be written. */
static bool is_writable(struct store *store)
{
    if (sqlite3_db_readonly(store->database, "main") != 1)
        return true;
    store->unusable = true;
    return refuse(store, STORE_READ_ONLY, "the file may only be read");
}

bool store_begin(struct store *store, struct store_failure *failure)
{
    store_rollback(store);
    if (!ready(store) || !is_writable(store) || !run(store, BEGIN))
        return conclude(store, spoil(store), failure);
    store->group = OPEN;
    return true;
}

static bool is_in_group(struct store *store)
{
    if (store->group == NONE)
        return refuse(store, STORE_FAILED, "no group has begun");
    return store->group == OPEN;
}

/* The columns of a reading, which are the same parameters in both statements. */
static void bind_reading(sqlite3_stmt *statement, const struct store_reading *reading)
{
    sqlite3_bind_double(statement, 3, reading->value);
    sqlite3_bind_int(statement, 4, reading->unit);
    sqlite3_bind_double(statement, 5, reading->time);
}

static bool save_last(struct store *store, const struct store_reading *reading, int64_t *sensor)
{
    sqlite3_stmt *statement = statement_of(store, SAVE_LAST);
    bind_text(statement, 1, store->prefix, strlen(store->prefix));
    bind_text(statement, 2, reading->sensor, reading->size);
    bind_reading(statement, reading);
    const int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *sensor = sqlite3_column_int64(statement, 0);
    return finish(store, statement, code);
}

static bool save_reading(struct store *store, const struct store_reading *reading, int64_t sensor)
{
    sqlite3_stmt *statement = statement_of(store, SAVE_READING);
    sqlite3_bind_int64(statement, 1, sensor);
    bind_reading(statement, reading);
    return run(store, SAVE_READING);
}

bool store_add(struct store *store, const struct store_reading *reading, struct store_failure *failure)
{
    int64_t sensor = 0;
    if (!is_in_group(store))
        return conclude(store, false, failure);
    if (!save_last(store, reading, &sensor) || !save_reading(store, reading, sensor))
        return conclude(store, spoil(store), failure);
    return true;
}

/*
 * Whether what was committed will be found. If somebody has deleted the log while it was in use, the
 * transaction is in a file without a name until it is carried over into the database.
 */
static bool is_kept(struct store *store)
{
    if (is_replaced(store))
        return refuse(store, STORE_REPLACED, "the file was moved or deleted while it was written to");
    if (store->in_memory || is_in_place(&store->wal, store->wal_path))
        return true;
    return sqlite3_wal_checkpoint_v2(store->database, NULL, SQLITE_CHECKPOINT_FULL, NULL, NULL) ==
               SQLITE_OK ||
           refuse(store, STORE_REPLACED, "the file's log was moved or deleted while it was written to");
}

bool store_commit(struct store *store, struct store_failure *failure)
{
    const bool kept = is_in_group(store) && run(store, COMMIT) && is_kept(store);
    if (!kept)
        abandon(store);
    store->group = NONE;
    return conclude(store, kept, failure);
}

/* ---- Reading ---- */

static struct store_reading last_reading(sqlite3_stmt *row)
{
    return (struct store_reading){
        .sensor = (const char *)sqlite3_column_text(row, 0), /* NULL: no memory */
        .size = (size_t)sqlite3_column_bytes(row, 0),
        .value = sqlite3_column_double(row, 1),
        .unit = sqlite3_column_int(row, 2),
        .time = sqlite3_column_double(row, 3),
    };
}

static bool load(struct store *store, store_visit visit, void *data)
{
    sqlite3_stmt *statement = statement_of(store, LOAD);
    bind_text(statement, 1, store->prefix, strlen(store->prefix));
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        const struct store_reading last = last_reading(statement);
        if (!last.sensor)
            return finish(store, statement, SQLITE_NOMEM);
        if (!visit(data, &last))
            break;
    }
    return finish(store, statement, code);
}

bool store_load(struct store *store, store_visit visit, void *data, struct store_failure *failure)
{
    return conclude(store, ready(store) && load(store, visit, data), failure);
}

static void bind_query(struct store *store, sqlite3_stmt *statement, const struct store_query *query)
{
    bind_text(statement, 1, store->prefix, strlen(store->prefix));
    bind_text(statement, 2, query->sensor, query->size);
    sqlite3_bind_double(statement, 3, query->from);
    sqlite3_bind_double(statement, 4, query->to);
    sqlite3_bind_int64(statement, 5, (int64_t)query->limit + 1); /* the one beyond tells that there is more */
}

static void turn_round(struct store_point *points, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        const struct store_point point = points[i];
        points[i] = points[count - 1 - i];
        points[count - 1 - i] = point;
    }
}

static bool look_up(struct store *store, const struct store_query *query, struct store_answer *answer)
{
    sqlite3_stmt *statement = statement_of(store, HISTORY);
    bind_query(store, statement, query);
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        answer->more = answer->count == query->limit;
        if (answer->more)
            break;
        answer->points[answer->count++] =
            (struct store_point){sqlite3_column_double(statement, 0), sqlite3_column_double(statement, 1),
                                 sqlite3_column_int(statement, 2)};
    }
    turn_round(answer->points, answer->count);
    return finish(store, statement, code);
}

bool store_history(struct store *store, const struct store_query *query, struct store_answer *answer,
                   struct store_failure *failure)
{
    answer->count = 0;
    answer->more = false;
    const bool ok = ready(store) && look_up(store, query, answer);
    if (!ok) {
        answer->count = 0;
        answer->more = false;
    }
    return conclude(store, ok, failure);
}

/* ---- Pruning ---- */

struct pruning {
    const struct store_limits *limits;
    int64_t looked_at, deleted;
    int64_t sensor; /* 0: there is none left */
    int64_t kept;   /* its readings */
    int64_t done;   /* the last sensor of which nothing more is to be deleted */
};

static bool next_sensor(struct store *store, struct pruning *pruning)
{
    sqlite3_stmt *statement = statement_of(store, NEXT_SENSOR);
    bind_text(statement, 1, store->prefix, strlen(store->prefix));
    sqlite3_bind_int64(statement, 2, pruning->done);
    const int code = sqlite3_step(statement);
    pruning->sensor = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    pruning->kept = code == SQLITE_ROW ? sqlite3_column_int64(statement, 1) : 0;
    pruning->looked_at++;
    return finish(store, statement, code);
}

/* Deletes readings of the sensor, as many as are still allowed, but no more than most. */
static bool delete_readings(struct store *store, struct pruning *pruning, enum statement which, int64_t max)
{
    const int64_t allowed = pruning->limits->rows - pruning->deleted;
    sqlite3_stmt *statement = statement_of(store, which);
    sqlite3_bind_int64(statement, 1, pruning->sensor);
    if (which == DELETE_OLD)
        sqlite3_bind_double(statement, 2, pruning->limits->oldest);
    sqlite3_bind_int64(statement, 3, max < allowed ? max : allowed);
    if (!run(store, which))
        return false;
    const int64_t deleted = sqlite3_changes(store->database);
    pruning->deleted += deleted;
    pruning->kept -= deleted;
    return true;
}

static bool delete_sensor(struct store *store, const struct pruning *pruning)
{
    sqlite3_stmt *statement = statement_of(store, DELETE_SENSOR);
    sqlite3_bind_int64(statement, 1, pruning->sensor);
    sqlite3_bind_double(statement, 2, pruning->limits->oldest);
    return run(store, DELETE_SENSOR);
}

static bool prune_sensor(struct store *store, struct pruning *pruning)
{
    if (!delete_readings(store, pruning, DELETE_OLD, INT64_MAX))
        return false;
    const int64_t excess = pruning->kept - pruning->limits->keep;
    if (excess > 0 && !delete_readings(store, pruning, DELETE_EXCESS, excess))
        return false;
    if (pruning->deleted == pruning->limits->rows)
        return true; /* there may be more of it */
    pruning->done = pruning->sensor;
    return pruning->kept > 0 || delete_sensor(store, pruning);
}

static bool prune(struct store *store, struct pruning *pruning)
{
    const int64_t rows = pruning->limits->rows;
    do {
        if (!next_sensor(store, pruning))
            return false;
        if (pruning->sensor && !prune_sensor(store, pruning))
            return false;
    } while (pruning->sensor && pruning->looked_at < rows && pruning->deleted < rows);
    return true;
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
    if (!prune(store, &pruning))
        spoil(store);
    if (!store_commit(store, failure))
        return false;
    *more = pruning.sensor != 0;
    store->pruned = *more ? pruning.done : 0;
    return true;
}

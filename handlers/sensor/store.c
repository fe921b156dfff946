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
 * A static function that fails writes the reason to store->failure. store_conclude() copies it for the
 * caller, at the end of each public function.
 */
#include "store.h"

#include "../store/place.h"

#include <errno.h>
#include <math.h>
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

/* Since when there has been this program, Unix time, and how many readings are looked at for steps of the
 * clock, so that a start does not take long. */
enum { EPOCH = 1577836800, TIMES_MAX = 500000 };

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

    /* The index has the time, so that looking for a range of time in the order of the keys reads only it. */
    "DROP INDEX readings_by_time;"
    "CREATE INDEX readings_in_order ON readings (sensor, id, time);"
    "ALTER TABLE sensors ADD COLUMN owner TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE home (prefix TEXT NOT NULL);",
};

enum { VERSION = sizeof steps / sizeof steps[0] };

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
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

static const char *const statements[STATEMENTS] = {
    /* IMMEDIATE takes the write lock here; otherwise the first INSERT would take it, and could fail. */
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [SAVE_LAST] =
        "INSERT INTO sensors (prefix, name, value, unit, time, owner) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        " ON CONFLICT (prefix, name) DO UPDATE SET value = ?3, unit = ?4, time = ?5 RETURNING id",
    [SAVE_READING] = "INSERT INTO readings (sensor, value, unit, time) VALUES (?1, ?3, ?4, ?5)",
    [LOAD] = "SELECT name, value, unit, time, owner FROM sensors WHERE prefix = ?1 ORDER BY id",
    [TIMES] = "SELECT time FROM readings NOT INDEXED WHERE time > ?1 ORDER BY id DESC LIMIT ?2",
    [HISTORY] = "SELECT time, value, unit FROM readings INDEXED BY readings_in_order"
                " WHERE sensor = (SELECT id FROM sensors WHERE prefix = ?1 AND name = ?2)"
                " AND time BETWEEN ?3 AND ?4 ORDER BY id DESC LIMIT ?5",
    [FORGET] = "UPDATE sensors SET prefix = '', name = id, owner = '' WHERE prefix = ?1 AND name = ?2"
               " RETURNING id",
    [FIRST_KEPT] = "SELECT id FROM readings NOT INDEXED WHERE time BETWEEN ?1 AND ?2 ORDER BY id LIMIT 1",
    /* NOT INDEXED reads the table in the order of its keys. The index would need a sort at each call. */
    [NEXT_SENSOR] = "SELECT id, kept, prefix = '' FROM sensors NOT INDEXED"
                    " WHERE id > ?2 AND prefix IN (?1, '') ORDER BY id LIMIT 1",
    [DELETE_OLD] = "DELETE FROM readings WHERE id IN"
                   " (SELECT id FROM readings INDEXED BY readings_in_order"
                   " WHERE sensor = ?1 AND id < ?2 AND time < ?4 ORDER BY id LIMIT ?3)",
    [DELETE_FIRST] = "DELETE FROM readings WHERE id IN"
                     " (SELECT id FROM readings INDEXED BY readings_in_order"
                     " WHERE sensor = ?1 ORDER BY id LIMIT ?3)",
    [DELETE_SENSOR] = "DELETE FROM sensors WHERE id = ?1 AND (prefix = '' OR time < ?2)"
                      " RETURNING prefix, name",
};

/* The identity of a file. */
struct mark {
    bool exists;
    dev_t device;
    ino_t inode;
};

enum group { NONE, OPEN, SPOILT };

struct store {
    char *prefix;
    char *path, *beside; /* the file that was asked for, and the prefix's own one beside it */
    const char *file;    /* the one of both that is in use, or could not be used */
    int busy_ms;
    bool in_memory;
    int creation; /* the errno for which the file could not be created; 0: it exists */
    int exposure; /* see store_exposure() */

    sqlite3 *database; /* NULL: closed */
    sqlite3_stmt *prepared[STATEMENTS];
    char *wal_path, *shared_path; /* the log and its index, which SQLite keeps beside an open database */
    struct mark wal, shared;      /* their identities when the database was opened */
    bool unusable;                /* store_conclude() is to close the connection */

    enum group group;
    int64_t pruned; /* the key of the last sensor that store_prune() has finished */
    int64_t
        first_kept; /* the key of the first reading that is not too old, until store_prune() begins anew */

    struct store_failure failure;         /* the last failure, or the first of the group */
    struct store_failure opening_failure; /* why the last attempt to open the database failed */
    int64_t closed_until;                 /* monotonic ms: the database is not opened before this time */
};

/* ---- Failures ---- */

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
    store->failure.path = store->file;
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
 * is ENOSPC, which it does not keep. It keeps other ones errno for the connection or, where that has been
 * overwritten, for the file. The store closes the connection after such errors, so that errno cannot belong
 * to an earlier one.
 */
static int store_system_error(sqlite3 *database, int code)
{
    if (code == SQLITE_FULL)
        return ENOSPC;
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
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
        if (error == ENOSPC || error == EDQUOT || error == EFBIG)
            return STORE_FULL;
        if (error == EROFS)
            return STORE_READ_ONLY;
        return code == SQLITE_IOERR ? STORE_IO : STORE_CANNOT_OPEN;
    case SQLITE_NOMEM:
        return STORE_NO_MEMORY;
    default:
        return STORE_FAILED;
    }
}

/*
 * Records the failure of the last call of SQLite. Returns false. SQLite tries several ways to open a file,
 * and has the errno of the last one only, so that the file system is asked first.
 */
static bool store_fail(struct store *store)
{
    struct store_failure *failure = &store->failure;
    const int code = sqlite3_errcode(store->database) & 0xff;
    const bool is_not_there = code == SQLITE_CANTOPEN && store->creation;
    const int error = is_not_there ? store->creation : store_system_error(store->database, code);
    const bool is_denied =
        code == SQLITE_CANTOPEN || code == SQLITE_READONLY || code == SQLITE_PERM || code == SQLITE_IOERR;
    char buffer[64];
    failure->cause = store_cause_of(code, error);
    failure->path = store->file;
    if (is_denied && !store->in_memory && place_explain(store->file, failure->why, sizeof failure->why))
        ; /* the reason is written */
    else if (error)
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

/* Checks that the file is one of ours, or empty, and that this version can read it. Reads its version. Must
 * be called in a transaction, since another process may make the file ours at the same time. */
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
    char why[STORE_WHY_BYTES];
    snprintf(why, sizeof why,
             "the file was made by a newer version: its format is %lld, and up to %d is known",
             (long long)*version, (int)VERSION);
    return store_refuse(store, STORE_NEWER, why);
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
    if (!store_execute(store, "PRAGMA synchronous = EXTRA; PRAGMA secure_delete = ON"))
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
 * Opens the file, and brings it up to date. NOMUTEX: one thread at a time uses a connection, so that it needs
 * no lock of its own. SQLite must still have been built with threads, since the process may have other
 * connections, those of other stores among them. SQLite creates the target of a symbolic link. The rights of
 * others are taken before anything is written, and only from a file that is ours: the path of another
 * program's file may have been given by mistake.
 */
static bool store_open_file(struct store *store, const char *file)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int64_t version;
    store->file = file;
    store->creation = store->in_memory ? 0 : place_create(file);
    store->exposure = 0;
    if (sqlite3_open_v2(file, &store->database, flags, NULL) != SQLITE_OK)
        return store_fail(store);
    sqlite3_busy_timeout(store->database, store->busy_ms);
    if (!store_execute(store, "BEGIN") || !store_identify(store, &version) || !store_execute(store, "COMMIT"))
        return false;
    store->exposure = store->in_memory ? 0 : place_secure(file);
    if (!store_configure(store))
        return false;
    while (version < VERSION) {
        if (!store_step(store, &version))
            return false;
    }
    return true;
}

/* ---- The file of a prefix ---- */

enum home { HOME_FREE, HOME_OWN, HOME_OTHERS, HOME_UNKNOWN };

/* Runs a statement with the store's prefix as ?1. *number is the first column of its row, if it has one. */
static bool store_run_for_prefix(struct store *store, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    bool ok = sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL) == SQLITE_OK;
    if (ok) {
        store_bind_text(statement, 1, store->prefix, strlen(store->prefix));
        const int code = sqlite3_step(statement);
        if (code == SQLITE_ROW && number)
            *number = sqlite3_column_int64(statement, 0);
        ok = code == SQLITE_ROW || code == SQLITE_DONE;
    }
    if (!ok)
        store_fail(store);
    sqlite3_finalize(statement);
    return ok;
}

/* Whose file it is. */
static enum home store_ask_home(struct store *store)
{
    int64_t home = HOME_FREE;
    static const char sql[] = "SELECT CASE prefix WHEN ?1 THEN 1 ELSE 2 END FROM home";
    return store_run_for_prefix(store, sql, &home) ? (enum home)home : HOME_UNKNOWN;
}

/*
 * Copies what the prefix has in the file at store->path, where all prefixes were in one file until version 2.
 * The owners of its sensors are not known. There may be no such file, or one of another program.
 */
static bool store_copy_shared(struct store *store)
{
    int64_t application = 0;
    if (!store_ask(store, "PRAGMA shared.application_id", &application))
        return false;
    return application != APPLICATION ||
           (store_run_for_prefix(store,
                                 "INSERT INTO sensors (prefix, name, value, unit, time)"
                                 " SELECT prefix, name, value, unit, time FROM shared.sensors"
                                 " WHERE prefix = ?1 ORDER BY id",
                                 NULL) &&
            store_run_for_prefix(store,
                                 "INSERT INTO readings (sensor, time, value, unit)"
                                 " SELECT own.id, r.time, r.value, r.unit FROM shared.readings r"
                                 " JOIN shared.sensors s ON s.id = r.sensor"
                                 " JOIN main.sensors own ON own.prefix = s.prefix AND own.name = s.name"
                                 " WHERE s.prefix = ?1 ORDER BY r.id",
                                 NULL));
}

/* Makes a file that no prefix has taken the prefix's, unless another process was faster. */
static enum home store_take_home(struct store *store, bool copies)
{
    if (!store_execute(store, "BEGIN IMMEDIATE"))
        return HOME_UNKNOWN;
    enum home home = store_ask_home(store);
    if (home == HOME_FREE)
        home = (!copies || store_copy_shared(store)) &&
                       store_run_for_prefix(store, "INSERT INTO home (prefix) VALUES (?1)", NULL) &&
                       store_execute(store, "COMMIT")
                   ? HOME_OWN
                   : HOME_UNKNOWN;
    if (!sqlite3_get_autocommit(store->database))
        sqlite3_exec(store->database, "ROLLBACK", NULL, NULL, NULL);
    return home;
}

/*
 * Takes the file beside the shared one, with what the prefix has in that. Then the shared file's rows are
 * forgotten, and the prefix whose file it is deletes them bit by bit. If that fails they are only in the way.
 */
static enum home store_take_beside(struct store *store)
{
    if (!store_mark_of(store->path).exists)
        return store_take_home(store, false);
    char *attach = sqlite3_mprintf("ATTACH %Q AS shared", store->path);
    const bool attached = attach && store_execute(store, attach);
    sqlite3_free(attach);
    if (!attached)
        return HOME_UNKNOWN;
    const enum home home = store_take_home(store, true);
    if (home == HOME_OWN)
        store_run_for_prefix(store, "UPDATE shared.sensors SET prefix = '', name = id WHERE prefix = ?1",
                             NULL);
    const struct store_failure failure = store->failure;
    if (!store_execute(store, "DETACH shared"))
        return HOME_UNKNOWN;
    store->failure = failure;
    store->unusable = false; /* if the shared file could not be written */
    return home;
}

/* Opens one of both files, and takes it if it is free. Returns whose file it is. */
static enum home store_settle(struct store *store, const char *file)
{
    if (!store_open_file(store, file))
        return HOME_UNKNOWN;
    const enum home home = store_ask_home(store);
    const bool is_free = home == HOME_FREE && sqlite3_db_readonly(store->database, "main") != 1;
    if (!is_free)
        return home;
    return file == store->beside ? store_take_beside(store) : store_take_home(store, false);
}

/*
 * Each prefix has a file of its own, so that none waits for the locks of another one. The first prefix that
 * uses a file takes it; any other one uses a file beside it. Once there is a file beside it, the prefix looks
 * at no other.
 */
static bool store_connect(struct store *store)
{
    if (!sqlite3_threadsafe())
        return store_refuse(store, STORE_FAILED, "SQLite was built without threads");
    const bool is_beside = !store->in_memory && store_mark_of(store->beside).exists;
    enum home home = store_settle(store, is_beside ? store->beside : store->path);
    if (home == HOME_OTHERS && !is_beside) {
        store_disconnect(store);
        home = store_settle(store, store->beside);
    }
    if (home == HOME_OTHERS)
        return store_refuse(store, STORE_FOREIGN, "the file belongs to another prefix with a similar name");
    return home != HOME_UNKNOWN && store_prepare(store) && store_mark_files(store);
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
    store->path = store->in_memory ? strdup(path) : place_of(path);
    store->beside = store->path ? place_beside(store->path, prefix) : NULL;
    store->file = store->path;
    if (store->path && store->beside && store->prefix)
        return store;
    store_close(store);
    return NULL;
}

const char *store_path(const struct store *store)
{
    return store->file;
}

int store_exposure(const struct store *store)
{
    return store->exposure;
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
    free(store->beside);
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
    char why[STORE_WHY_BYTES] = "the file may only be read";
    store->unusable = true;
    place_explain(store->file, why, sizeof why);
    return store_refuse(store, STORE_READ_ONLY, why);
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
    store_bind_text(statement, 6, reading->owner ? reading->owner : "",
                    reading->owner ? strlen(reading->owner) : 0);
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

/* The key of the sensor that was forgotten; 0: there was none. The name is free at once, and a sensor that
 * gets it later has no readings of this one. */
static bool store_hide(struct store *store, const char *sensor, size_t size, int64_t *key)
{
    sqlite3_stmt *statement = store->prepared[FORGET];
    store_bind_text(statement, 1, store->prefix, strlen(store->prefix));
    store_bind_text(statement, 2, sensor, size);
    const int code = sqlite3_step(statement);
    *key = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    return store_finish(store, statement, code);
}

bool store_drop(struct store *store, const char *sensor, size_t size, struct store_failure *failure)
{
    int64_t key;
    if (!store_check_group(store))
        return store_conclude(store, false, failure);
    return store_hide(store, sensor, size, &key) || store_conclude(store, store_spoil(store), failure);
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
            .owner = (const char *)sqlite3_column_text(row, 4),
        };
        if (!last.sensor || !last.owner) {
            code = SQLITE_NOMEM;
            break;
        }
        go_on = visit(data, &last);
    }
    return store_conclude(store, store_finish(store, row, code), failure);
}

bool store_last_time(struct store *store, double max_step, double *time, struct store_failure *failure)
{
    *time = NAN;
    if (!store_ready(store))
        return store_conclude(store, false, failure);
    sqlite3_stmt *row = store->prepared[TIMES];
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
    sqlite3_stmt *statement = store->prepared[DELETE_FIRST];
    sqlite3_bind_int64(statement, 1, sensor);
    sqlite3_bind_int64(statement, 3, max);
    const bool ok = store_run(store, DELETE_FIRST);
    *deleted = ok ? sqlite3_changes(store->database) : 0;
    return ok;
}

/* Deletes a sensor without readings: one that was forgotten, or whose last reading is from before `oldest`.
 */
static bool store_delete_sensor(struct store *store, int64_t sensor, double oldest,
                                const struct store_limits *limits)
{
    sqlite3_stmt *statement = store->prepared[DELETE_SENSOR];
    sqlite3_bind_int64(statement, 1, sensor);
    sqlite3_bind_double(statement, 2, oldest);
    const int code = sqlite3_step(statement);
    const char *prefix = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    const char *name = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 1) : NULL;
    const bool is_taken = !limits || !limits->removed || !prefix || !*prefix || !name ||
                          limits->removed(limits->data, name, (size_t)sqlite3_column_bytes(statement, 1)) ||
                          store_refuse(store, STORE_NO_MEMORY, "out of memory");
    return store_finish(store, statement, code) && is_taken;
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

/* Moves what was deleted out of the log, unless somebody reads it just now. */
static void store_clean_log(struct store *store)
{
    sqlite3_busy_timeout(store->database, 0);
    sqlite3_wal_checkpoint_v2(store->database, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(store->database, store->busy_ms);
}

bool store_forget(struct store *store, struct store_forgetting *forgetting, struct store_failure *failure)
{
    const int64_t key = forgetting->key;
    forgetting->more = false;
    if (store_begin(store, NULL) && !store_forget_some(store, forgetting))
        store_spoil(store);
    if (!store_commit(store, failure)) {
        forgetting->key = key;
        forgetting->more = false;
        return false;
    }
    if (forgetting->found && !forgetting->more && store->database && !store->in_memory)
        store_clean_log(store);
    return true;
}

static bool store_next_sensor(struct store *store, struct pruning *pruning)
{
    sqlite3_stmt *statement = store->prepared[NEXT_SENSOR];
    store_bind_text(statement, 1, store->prefix, strlen(store->prefix));
    sqlite3_bind_int64(statement, 2, pruning->done);
    const int code = sqlite3_step(statement);
    pruning->sensor = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    pruning->kept = code == SQLITE_ROW ? sqlite3_column_int64(statement, 1) : 0;
    pruning->forgotten = code == SQLITE_ROW && sqlite3_column_int(statement, 2);
    pruning->looked_at++;
    return store_finish(store, statement, code);
}

/* Finds the first reading that is not too old. Later ones were stored after it, and are no older than it,
 * whatever their times say. */
static bool store_find_kept(struct store *store, const struct store_limits *limits)
{
    sqlite3_stmt *statement = store->prepared[FIRST_KEPT];
    sqlite3_bind_double(statement, 1, limits->oldest);
    sqlite3_bind_double(statement, 2, limits->now);
    const int code = sqlite3_step(statement);
    store->first_kept = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : INT64_MAX;
    return store_finish(store, statement, code);
}

static void store_count_deleted(struct pruning *pruning, int64_t deleted)
{
    pruning->deleted += deleted;
    pruning->kept -= deleted;
}

/* Deletes the sensor's old readings, no more than limits->rows leave. */
static bool store_delete_old(struct store *store, struct pruning *pruning)
{
    sqlite3_stmt *statement = store->prepared[DELETE_OLD];
    sqlite3_bind_int64(statement, 1, pruning->sensor);
    sqlite3_bind_int64(statement, 2, store->first_kept);
    sqlite3_bind_int64(statement, 3, pruning->limits->rows - pruning->deleted);
    sqlite3_bind_double(statement, 4, pruning->limits->oldest);
    if (!store_run(store, DELETE_OLD))
        return false;
    store_count_deleted(pruning, sqlite3_changes(store->database));
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
    struct pruning pruning = {.limits = limits, .done = store->pruned};
    bool ok = store->pruned || store_find_kept(store, limits);
    while (ok) {
        ok = store_next_sensor(store, &pruning) && (!pruning.sensor || store_prune_sensor(store, &pruning));
        if (!pruning.sensor || pruning.looked_at >= limits->rows || pruning.deleted >= limits->rows)
            break;
    }
    if (!ok)
        store_spoil(store);
    if (!store_commit(store, failure))
        return false;
    *more = pruning.sensor != 0;
    store->pruned = *more ? pruning.done : 0;
    return true;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Databases in SQLite files: see database.h. A static function that fails writes the reason to
 * database->failure. database_conclude() copies it for the caller.
 */
#include "database.h"

#include "place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* An attempt to open the database that failed after t ms is followed by a rest of REST_TIMES * t ms. */
enum { REST_TIMES = 10, REST_MAX_MS = 5000 };

enum { WAL_MAX_BYTES = 4 << 20 }; /* SQLite truncates a longer log after a checkpoint */
enum { WAL_RETRY_US = 2000 };

enum own_statement { BEGIN, COMMIT, ROLLBACK, OWN_STATEMENTS };

static const char *const own_statements[OWN_STATEMENTS] = {
    /* IMMEDIATE takes the write lock here; otherwise the first INSERT would take it, and could fail. */
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
};

/* The identity of a file. */
struct mark {
    bool exists;
    dev_t device;
    ino_t inode;
};

enum group { NONE, OPEN, SPOILT };

struct database {
    const struct database_format *format;
    char *prefix;
    char *path, *beside; /* the file that was asked for, and the prefix's own one beside it */
    const char *file;    /* the one of both that is in use, or could not be used */
    int busy_ms;
    bool in_memory;
    int creation; /* the errno for which the file could not be created; 0: it exists */
    int exposure; /* see database_exposure() */

    sqlite3 *connection;          /* NULL: closed */
    int64_t connections;          /* see database_connections() */
    char *wal_path, *shared_path; /* the log and its index, which SQLite keeps beside an open database */
    struct mark wal, shared;      /* their identities when the database was opened */
    bool unusable;                /* database_conclude() is to close the connection */
    enum group group;

    struct store_failure failure;         /* the last failure, or the first of the group */
    struct store_failure opening_failure; /* why the last attempt to open the database failed */
    int64_t closed_until;                 /* monotonic ms: the database is not opened before this time */

    sqlite3_stmt *prepared[]; /* the own statements, then those of the format */
};

/* ---- Failures ---- */

/* SQLite's messages may quote names out of the file, which may contain any bytes. */
static void database_make_printable(char *text)
{
    for (; *text; text++) {
        if (*text < ' ' || *text > '~')
            *text = '?';
    }
}

bool database_refuse(struct database *database, enum store_cause cause, const char *why)
{
    database->failure.cause = cause;
    database->failure.path = database->file;
    snprintf(database->failure.why, sizeof database->failure.why, "%s", why);
    return false;
}

/* The errno of the last failed operation on a file of the database; 0: none failed. */
static int database_file_error(sqlite3 *connection, int which)
{
    sqlite3_file *file = NULL;
    int error = 0;
    sqlite3_file_control(connection, "main", which, &file);
    if (file && file->pMethods)
        file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error);
    return error;
}

/*
 * The errno behind an error of SQLite; 0: not known. SQLite reports a full disk as an I/O error unless errno
 * is ENOSPC, which it does not keep. It keeps other ones errno for the connection or, where that has been
 * overwritten, for the file. The connection is closed after such errors, so that errno cannot belong
 * to an earlier one.
 */
static int database_system_error(sqlite3 *connection, int code)
{
    if (code == SQLITE_FULL)
        return ENOSPC;
    if (code != SQLITE_IOERR && code != SQLITE_CANTOPEN)
        return 0;
    int error = sqlite3_system_errno(connection);
    if (!error)
        error = database_file_error(connection, SQLITE_FCNTL_FILE_POINTER);
    return error ? error : database_file_error(connection, SQLITE_FCNTL_JOURNAL_POINTER);
}

static enum store_cause database_cause_of(int code, int error)
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
static bool database_fail(struct database *database)
{
    struct store_failure *failure = &database->failure;
    const int code = sqlite3_errcode(database->connection) & 0xff;
    const bool is_not_there = code == SQLITE_CANTOPEN && database->creation;
    const int error = is_not_there ? database->creation : database_system_error(database->connection, code);
    const bool is_denied =
        code == SQLITE_CANTOPEN || code == SQLITE_READONLY || code == SQLITE_PERM || code == SQLITE_IOERR;
    char buffer[64];
    failure->cause = database_cause_of(code, error);
    failure->path = database->file;
    if (is_denied && !database->in_memory && place_explain(database->file, failure->why, sizeof failure->why))
        ; /* the reason is written */
    else if (error)
        snprintf(failure->why, sizeof failure->why, "%s (%s)", sqlite3_errmsg(database->connection),
                 strerror_r(error, buffer, sizeof buffer));
    else
        snprintf(failure->why, sizeof failure->why, "%s", sqlite3_errmsg(database->connection));
    database_make_printable(failure->why);
    const bool is_fatal = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_IOERR ||
                          code == SQLITE_CANTOPEN || code == SQLITE_READONLY;
    if (is_fatal && !database->in_memory) /* closing a database in memory would lose it */
        database->unusable = true;
    return false;
}

/* ---- Statements ---- */

static bool database_execute(struct database *database, const char *sql)
{
    return sqlite3_exec(database->connection, sql, NULL, NULL, NULL) == SQLITE_OK || database_fail(database);
}

/* Runs a statement whose result is one number. */
static bool database_ask(struct database *database, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    const bool has_row = sqlite3_prepare_v2(database->connection, sql, -1, &statement, NULL) == SQLITE_OK &&
                         sqlite3_step(statement) == SQLITE_ROW;
    if (has_row)
        *number = sqlite3_column_int64(statement, 0);
    else
        database_fail(database);
    sqlite3_finalize(statement);
    return has_row;
}

void database_bind_text(sqlite3_stmt *statement, int parameter, const char *text, size_t size)
{
    sqlite3_bind_text64(statement, parameter, text, size, SQLITE_STATIC, SQLITE_UTF8);
}

void database_bind_prefix(const struct database *database, sqlite3_stmt *statement, int parameter)
{
    database_bind_text(statement, parameter, database->prefix, strlen(database->prefix));
}

sqlite3_stmt *database_statement(const struct database *database, unsigned which)
{
    return database->prepared[OWN_STATEMENTS + which];
}

bool database_finish(struct database *database, sqlite3_stmt *statement, int code)
{
    const bool ok = code == SQLITE_DONE || code == SQLITE_ROW || database_fail(database);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return ok;
}

static bool database_run_own(struct database *database, enum own_statement which)
{
    sqlite3_stmt *statement = database->prepared[which];
    return database_finish(database, statement, sqlite3_step(statement));
}

bool database_run(struct database *database, unsigned which)
{
    sqlite3_stmt *statement = database_statement(database, which);
    return database_finish(database, statement, sqlite3_step(statement));
}

int database_changes(const struct database *database)
{
    return sqlite3_changes(database->connection);
}

void database_clean_log(struct database *database)
{
    if (!database->connection || database->in_memory)
        return;
    sqlite3_busy_timeout(database->connection, 0);
    sqlite3_wal_checkpoint_v2(database->connection, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(database->connection, database->busy_ms);
}

/* ---- The file ---- */

/* The identity of the file at path; NULL: of none. */
static struct mark database_mark_of(const char *path)
{
    struct stat file;
    if (!path || stat(path, &file) != 0)
        return (struct mark){.exists = false};
    return (struct mark){true, file.st_dev, file.st_ino};
}

/* Whether path still leads to the marked file. True if there was no file to mark. */
static bool database_is_in_place(const struct mark *mark, const char *path)
{
    const struct mark now = database_mark_of(path);
    return !mark->exists || (now.exists && now.device == mark->device && now.inode == mark->inode);
}

/* Whether the open database was deleted, or is no longer the file at its path. */
static bool database_is_replaced(struct database *database)
{
    int moved = 0;
    if (!database->in_memory)
        sqlite3_file_control(database->connection, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return moved;
}

static int database_statement_count(const struct database *database)
{
    return OWN_STATEMENTS + database->format->statement_count;
}

/* Closes the connection, if there is one. */
static void database_disconnect(struct database *database)
{
    for (int i = 0; i < database_statement_count(database); i++) {
        sqlite3_finalize(database->prepared[i]);
        database->prepared[i] = NULL;
    }
    sqlite3_close(database->connection);
    free(database->wal_path);
    free(database->shared_path);
    database->connection = NULL;
    database->wal_path = database->shared_path = NULL;
    database->unusable = false;
}

/* Deletes the file at path if it is the marked one. */
static void database_remove_own(const struct mark *mark, const char *path)
{
    if (mark->exists && database_is_in_place(mark, path))
        unlink(path);
}

/*
 * Closes a database that is no longer the file at its path. A checkpoint first moves the contents of its log
 * into it, wherever it is now. Its log and index are still at their paths, where another database would take
 * them for its own. They are deleted here and not by SQLite, which would also delete those of a new database.
 */
static void database_leave(struct database *database)
{
    sqlite3_wal_checkpoint_v2(database->connection, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_db_config(database->connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    database_remove_own(&database->wal, database->wal_path);
    database_remove_own(&database->shared, database->shared_path);
    database_disconnect(database);
}

/* ---- Opening ---- */

/* Checks that the file is one of ours, or empty, and that this version can read it. Reads its version. Must
 * be called in a transaction, since another process may make the file ours at the same time. */
static bool database_identify(struct database *database, int64_t *version)
{
    int64_t application, tables;
    if (!database_ask(database, "PRAGMA application_id", &application) ||
        !database_ask(database, "PRAGMA user_version", version) ||
        !database_ask(database, "SELECT count(*) FROM sqlite_master", &tables))
        return false;
    if (application != database->format->application && (application || tables))
        return database_refuse(database, STORE_FOREIGN, "the file is a database of something else");
    if (*version < 0)
        return database_refuse(database, STORE_CORRUPT, "the version of the file's format is negative");
    if (*version <= database->format->version)
        return true;
    char why[STORE_WHY_BYTES];
    snprintf(why, sizeof why,
             "the file was made by a newer version: its format is %lld, and up to %d is known",
             (long long)*version, database->format->version);
    return database_refuse(database, STORE_NEWER, why);
}

/*
 * Brings the database from the version that it has to the next one, and writes that to *version. Another
 * process may have taken steps since *version was read; then there may be nothing left to do.
 */
static bool database_step(struct database *database, int64_t *version)
{
    char sql[80];
    if (!database_execute(database, "BEGIN IMMEDIATE"))
        return false;
    bool ok = database_identify(database, version);
    if (ok && *version < database->format->version) {
        snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d",
                 database->format->application, (int)*version + 1);
        ok = database_execute(database, database->format->steps[(*version)++]) &&
             database_execute(database, sql);
    }
    ok = ok && database_execute(database, "COMMIT");
    if (!ok)
        sqlite3_exec(database->connection, "ROLLBACK", NULL, NULL, NULL);
    return ok;
}

static bool database_prepare(struct database *database)
{
    for (int i = 0; i < database_statement_count(database); i++) {
        const char *sql =
            i < OWN_STATEMENTS ? own_statements[i] : database->format->statements[i - OWN_STATEMENTS];
        if (sqlite3_prepare_v3(database->connection, sql, -1, SQLITE_PREPARE_PERSISTENT,
                               &database->prepared[i], NULL) != SQLITE_OK)
            return database_fail(database);
    }
    return true;
}

static int64_t database_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Switches to WAL. SQLite does not wait for the locks of other connections for it, as it does elsewhere. */
static bool database_start_log(struct database *database)
{
    static const char sql[] = "PRAGMA journal_mode = WAL";
    const int64_t end = database_now_ms() + database->busy_ms;
    while (sqlite3_exec(database->connection, sql, NULL, NULL, NULL) != SQLITE_OK) {
        if ((sqlite3_errcode(database->connection) & 0xff) != SQLITE_BUSY || database_now_ms() >= end)
            return database_fail(database);
        usleep(WAL_RETRY_US);
    }
    return true;
}

/*
 * Where WAL is not available, as on some network file systems, SQLite uses a rollback journal, which is
 * slower. For such a journal EXTRA also syncs the folder after its deletion; with WAL it is the same as FULL.
 */
static bool database_configure(struct database *database)
{
    if (!database_execute(database, "PRAGMA synchronous = EXTRA; PRAGMA secure_delete = ON"))
        return false;
    if (database->in_memory || sqlite3_db_readonly(database->connection, "main") == 1)
        return true;
    char sql[60];
    snprintf(sql, sizeof sql, "PRAGMA journal_size_limit = %d", (int)WAL_MAX_BYTES);
    return database_start_log(database) && database_execute(database, sql);
}

/* Remembers which files the log and its index are. */
static bool database_mark_files(struct database *database)
{
    if (database->in_memory)
        return true;
    const char *path = sqlite3_db_filename(database->connection, "main");
    if (asprintf(&database->wal_path, "%s-wal", path) < 0)
        database->wal_path = NULL;
    if (asprintf(&database->shared_path, "%s-shm", path) < 0)
        database->shared_path = NULL;
    if (!database->wal_path || !database->shared_path)
        return database_refuse(database, STORE_NO_MEMORY, "out of memory");
    database->wal = database_mark_of(database->wal_path);
    database->shared = database_mark_of(database->shared_path);
    return true;
}

/*
 * Opens the file, and brings it up to date. NOMUTEX: one thread at a time uses a connection, so that it needs
 * no lock of its own. SQLite must still have been built with threads, since the process may have other
 * connections, those of other databases among them. SQLite creates the target of a symbolic link. The rights
 * of others are taken before anything is written, and only from a file that is ours: the path of another
 * program's file may have been given by mistake.
 */
static bool database_open_file(struct database *database, const char *file)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int64_t version;
    database->file = file;
    database->creation = database->in_memory ? 0 : place_create(file);
    database->exposure = 0;
    if (sqlite3_open_v2(file, &database->connection, flags, NULL) != SQLITE_OK)
        return database_fail(database);
    sqlite3_busy_timeout(database->connection, database->busy_ms);
    if (!database_execute(database, "BEGIN") || !database_identify(database, &version) ||
        !database_execute(database, "COMMIT"))
        return false;
    database->exposure = database->in_memory ? 0 : place_secure(file);
    if (!database_configure(database))
        return false;
    while (version < database->format->version) {
        if (!database_step(database, &version))
            return false;
    }
    return true;
}

/* ---- The file of a prefix ---- */

enum home { HOME_FREE, HOME_OWN, HOME_OTHERS, HOME_UNKNOWN };

/* Runs a statement with the database's prefix as ?1. *number is the first column of its row, if it has one.
 */
static bool database_run_for_prefix(struct database *database, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement = NULL;
    bool ok = sqlite3_prepare_v2(database->connection, sql, -1, &statement, NULL) == SQLITE_OK;
    if (ok) {
        database_bind_prefix(database, statement, 1);
        const int code = sqlite3_step(statement);
        if (code == SQLITE_ROW && number)
            *number = sqlite3_column_int64(statement, 0);
        ok = code == SQLITE_ROW || code == SQLITE_DONE;
    }
    if (!ok)
        database_fail(database);
    sqlite3_finalize(statement);
    return ok;
}

/* Whose file it is. */
static enum home database_ask_home(struct database *database)
{
    int64_t home = HOME_FREE;
    static const char sql[] = "SELECT CASE prefix WHEN ?1 THEN 1 ELSE 2 END FROM home";
    return database_run_for_prefix(database, sql, &home) ? (enum home)home : HOME_UNKNOWN;
}

/*
 * Copies what the prefix has in the file at database->path, where an earlier version kept all prefixes. There
 * may be no such file, or one of another program.
 */
static bool database_copy_shared(struct database *database)
{
    int64_t application = 0;
    if (!database_ask(database, "PRAGMA shared.application_id", &application))
        return false;
    if (application != database->format->application)
        return true;
    for (const char *const *sql = database->format->copy_shared; *sql; sql++) {
        if (!database_run_for_prefix(database, *sql, NULL))
            return false;
    }
    return true;
}

/* Makes a file that no prefix has taken the prefix's, unless another process was faster. */
static enum home database_take_home(struct database *database, bool copies)
{
    if (!database_execute(database, "BEGIN IMMEDIATE"))
        return HOME_UNKNOWN;
    enum home home = database_ask_home(database);
    if (home == HOME_FREE)
        home = (!copies || database_copy_shared(database)) &&
                       database_run_for_prefix(database, "INSERT INTO home (prefix) VALUES (?1)", NULL) &&
                       database_execute(database, "COMMIT")
                   ? HOME_OWN
                   : HOME_UNKNOWN;
    if (!sqlite3_get_autocommit(database->connection))
        sqlite3_exec(database->connection, "ROLLBACK", NULL, NULL, NULL);
    return home;
}

/*
 * Takes the file beside the shared one, with what the prefix has in that. Then the shared file's rows are
 * forgotten. If that fails they are only in the way.
 */
static enum home database_take_beside(struct database *database)
{
    if (!database->format->copy_shared || !database_mark_of(database->path).exists)
        return database_take_home(database, false);
    char *attach = sqlite3_mprintf("ATTACH %Q AS shared", database->path);
    const bool attached = attach && database_execute(database, attach);
    sqlite3_free(attach);
    if (!attached)
        return HOME_UNKNOWN;
    const enum home home = database_take_home(database, true);
    if (home == HOME_OWN)
        database_run_for_prefix(database, database->format->forget_shared, NULL);
    const struct store_failure failure = database->failure;
    if (!database_execute(database, "DETACH shared"))
        return HOME_UNKNOWN;
    database->failure = failure;
    database->unusable = false; /* if the shared file could not be written */
    return home;
}

/* Opens one of both files, and takes it if it is free. Returns whose file it is. */
static enum home database_settle(struct database *database, const char *file)
{
    if (!database_open_file(database, file))
        return HOME_UNKNOWN;
    const enum home home = database_ask_home(database);
    const bool is_free = home == HOME_FREE && sqlite3_db_readonly(database->connection, "main") != 1;
    if (!is_free)
        return home;
    return file == database->beside ? database_take_beside(database) : database_take_home(database, false);
}

/*
 * Each prefix has a file of its own, so that none waits for the locks of another one. The first prefix that
 * uses a file takes it; any other one uses a file beside it. Once there is a file beside it, the prefix looks
 * at no other.
 */
static bool database_connect(struct database *database)
{
    if (!sqlite3_threadsafe())
        return database_refuse(database, STORE_FAILED, "SQLite was built without threads");
    const bool is_beside = !database->in_memory && database_mark_of(database->beside).exists;
    enum home home = database_settle(database, is_beside ? database->beside : database->path);
    if (home == HOME_OTHERS && !is_beside) {
        database_disconnect(database);
        home = database_settle(database, database->beside);
    }
    if (home == HOME_OTHERS)
        return database_refuse(database, STORE_FOREIGN,
                               "the file belongs to another prefix with a similar name");
    return home != HOME_UNKNOWN && database_prepare(database) && database_mark_files(database);
}

bool database_ready(struct database *database)
{
    if (database->connection && database_is_replaced(database))
        database_leave(database);
    if (database->connection)
        return true;
    const int64_t began = database_now_ms();
    if (began < database->closed_until) {
        database->failure = database->opening_failure;
        return false;
    }
    if (database_connect(database)) {
        database->connections++;
        return true;
    }
    database_disconnect(database);
    const int64_t ended = database_now_ms();
    const int64_t rest = (ended - began) * REST_TIMES;
    database->opening_failure = database->failure;
    database->closed_until = ended + (rest < REST_MAX_MS ? rest : REST_MAX_MS);
    return false;
}

bool database_conclude(struct database *database, bool ok, struct store_failure *failure)
{
    if (database->unusable)
        database_disconnect(database);
    if (!ok && failure)
        *failure = database->failure;
    return ok;
}

struct database *database_new(const struct database_format *format, const char *path, const char *prefix,
                              int busy_ms)
{
    const size_t statements = OWN_STATEMENTS + (size_t)format->statement_count;
    struct database *database = calloc(1, sizeof *database + statements * sizeof(sqlite3_stmt *));
    if (!database)
        return NULL;
    database->format = format;
    database->busy_ms = busy_ms;
    database->in_memory = strcmp(path, ":memory:") == 0;
    database->prefix = strdup(prefix);
    database->path = database->in_memory ? strdup(path) : place_of(path);
    database->beside = database->path ? place_beside(database->path, prefix) : NULL;
    database->file = database->path;
    if (database->path && database->beside && database->prefix)
        return database;
    database_close(database);
    return NULL;
}

bool database_file_exists(const char *path, const char *prefix)
{
    if (strcmp(path, ":memory:") == 0)
        return false;
    char *whole = place_of(path), *beside = whole ? place_beside(whole, prefix) : NULL;
    const bool exists = database_mark_of(whole).exists || database_mark_of(beside).exists;
    free(whole);
    free(beside);
    return exists;
}

const char *database_path(const struct database *database)
{
    return database->file;
}

int database_exposure(const struct database *database)
{
    return database->exposure;
}

int64_t database_connections(const struct database *database)
{
    return database->connections;
}

void database_close(struct database *database)
{
    if (!database)
        return;
    database_rollback(database);
    if (database->connection && database_is_replaced(database))
        database_leave(database);
    database_disconnect(database);
    free(database->path);
    free(database->beside);
    free(database->prefix);
    free(database);
}

/* ---- Groups ---- */

/* Rolls back the transaction, unless the failure has already ended it. Keeps database->failure. */
static void database_abandon(struct database *database)
{
    const struct store_failure first = database->failure;
    if (database->connection && !sqlite3_get_autocommit(database->connection))
        database_run_own(database, ROLLBACK);
    database->failure = first;
}

/* Ends a group at its first failure. The group's later functions fail for the same reason. Returns false. */
static bool database_spoil(struct database *database)
{
    database_abandon(database);
    database->group = SPOILT;
    return false;
}

void database_rollback(struct database *database)
{
    database_abandon(database);
    database->group = NONE;
    database_conclude(database, true, NULL);
}

/* BEGIN IMMEDIATE succeeds in a file that can only be read, so that this is checked on its own. */
static bool database_check_writable(struct database *database)
{
    if (sqlite3_db_readonly(database->connection, "main") != 1)
        return true;
    char why[STORE_WHY_BYTES] = "the file may only be read";
    database->unusable = true;
    place_explain(database->file, why, sizeof why);
    return database_refuse(database, STORE_READ_ONLY, why);
}

bool database_begin(struct database *database, struct store_failure *failure)
{
    database_rollback(database);
    if (!database_ready(database) || !database_check_writable(database) || !database_run_own(database, BEGIN))
        return database_conclude(database, database_spoil(database), failure);
    database->group = OPEN;
    return true;
}

bool database_check_group(struct database *database)
{
    if (database->group == NONE)
        return database_refuse(database, STORE_FAILED, "no group has begun");
    return database->group == OPEN;
}

bool database_conclude_change(struct database *database, bool ok, struct store_failure *failure)
{
    if (!ok && database->group == OPEN)
        database_spoil(database);
    return database_conclude(database, ok, failure);
}

/*
 * Checks after a commit that the database at the path has the group. If the log was deleted while it was in
 * use, the group is in a file without a name, from where a checkpoint moves it into the database.
 */
static bool database_check_kept(struct database *database)
{
    if (database_is_replaced(database))
        return database_refuse(database, STORE_REPLACED,
                               "the file was moved or deleted while it was written to");
    if (database->in_memory || database_is_in_place(&database->wal, database->wal_path))
        return true;
    return sqlite3_wal_checkpoint_v2(database->connection, NULL, SQLITE_CHECKPOINT_FULL, NULL, NULL) ==
               SQLITE_OK ||
           database_refuse(database, STORE_REPLACED,
                           "the file's log was moved or deleted while it was written to");
}

bool database_commit(struct database *database, struct store_failure *failure)
{
    const bool kept =
        database_check_group(database) && database_run_own(database, COMMIT) && database_check_kept(database);
    if (!kept)
        database_abandon(database);
    database->group = NONE;
    return database_conclude(database, kept, failure);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A database of one prefix in an SQLite file: opening, formats and their versions, statements, groups of
 * changes, and the causes of failures. What is in its tables is the business of its user, which is a file of
 * a module's folder: sensor/store.c, device/ledger.c.
 *
 * A public function of a user that reads has this form:
 *
 *     const bool ok = database_ready(database) && ...;
 *     return database_conclude(database, ok, failure);
 *
 * and one that changes something within a group has this form:
 *
 *     const bool ok = database_check_group(database) && ...;
 *     return database_conclude_change(database, ok, failure);
 *
 * Threads: several threads may use a database one after the other, but never two at once. Two databases share
 * nothing, even if they use the same file. Every function but database_new() and those that only return
 * something may block: for the disk, and for up to busy_ms while another connection has the database locked.
 *
 * Ownership: a database copies path and prefix, and keeps a pointer to its format. The path in a failure is
 * the database's, and valid until database_close().
 *
 * Failure: a function that can fail returns whether it succeeded. If it has a parameter failure, which may be
 * NULL, it writes the reason there on failure only. If it has none, the database remembers the reason until
 * database_conclude() tells it.
 */
#ifndef STORE_DATABASE_H
#define STORE_DATABASE_H

#include "failure.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct database;

/* What a database looks like. */
struct database_format {
    int application; /* the application id in the file's header, by which its user knows its files */

    /*
     * Step n turns version n of the database into version n + 1; version 0 has no tables. Steps may be added
     * but not changed, since existing files were made by them. The last version has the table
     * home (prefix TEXT NOT NULL), whose row names the prefix whose file it is, once one has taken it.
     */
    const char *const *steps;
    int version; /* the number of steps */

    const char *const *statements; /* prepared when the database is opened */
    int statement_count;

    /*
     * For formats of which an earlier version kept all prefixes in one file: statements that copy what the
     * prefix ?1 has from the tables of the database `shared` to those of `main`, then NULL; and one that
     * forgets it in `shared`. NULL: there is no such version.
     */
    const char *const *copy_shared;
    const char *forget_shared;
};

/*
 * Creates a database for one prefix, in the file at path, or in memory if path is ":memory:". If another
 * prefix has taken the file, the database uses the one that place_beside() names. Only the owner of the files
 * may read and write them (see place.h).
 *
 * Does not touch the disk yet, and does not block. busy_ms, in milliseconds, is how long a function waits for
 * another connection's lock. Returns NULL if there is no memory; else the caller owns the database and ends
 * it with database_close().
 */
struct database *database_new(const struct database_format *format, const char *path, const char *prefix,
                              int busy_ms);

/* Whether there is a file at path or, for this prefix, beside it. Neither opens nor creates one. False for
 * ":memory:", and if there is no memory. */
bool database_file_exists(const char *path, const char *prefix);

/*
 * Opens the database if it is not open, or is no longer the file at its path; creates it if there is none,
 * and brings an older one up to date. When opening has failed after some time (because of a lock, or a slow
 * disk), it fails at once with the same reason for ten times as long, but at most five seconds, so that calls
 * that wait for the database are not delayed by each attempt.
 */
bool database_ready(struct database *database);

/*
 * Ends a use of the database: closes the connection if it may be damaged, unless the database is in memory,
 * and writes the reason to *failure if ok is false. Returns ok.
 */
bool database_conclude(struct database *database, bool ok, struct store_failure *failure);

/* The path of the file that the database has used last. */
const char *database_path(const struct database *database);

/* The errno for which other users kept their rights to the files when they were opened; 0: they have none. */
int database_exposure(const struct database *database);

/* How often the database has been opened. What was read from it before may be from another file. */
int64_t database_connections(const struct database *database);

/* Rolls back a group that has not been committed, closes the database and frees it. It may be NULL, and need
 * not have been opened. */
void database_close(struct database *database);

/* ---- Statements of an open database ---- */

/* Records a failure that is not an error of SQLite. Returns false. */
bool database_refuse(struct database *database, enum store_cause cause, const char *why);

/* The statement of the format, to bind parameters and to step. */
sqlite3_stmt *database_statement(const struct database *database, unsigned which);

/* Binds a text without copying it: the text must be valid until the statement is finished. NULL binds NULL.
 */
void database_bind_text(sqlite3_stmt *statement, int parameter, const char *text, size_t size);

/* Binds the database's prefix. */
void database_bind_prefix(const struct database *database, sqlite3_stmt *statement, int parameter);

/* Resets a statement. code is what its last sqlite3_step() returned; returns whether that was a success. */
bool database_finish(struct database *database, sqlite3_stmt *statement, int code);

/* Runs a statement whose parameters are bound, and finishes it. */
bool database_run(struct database *database, unsigned which);

/* The number of rows that the last statement has inserted, changed or deleted. */
int database_changes(const struct database *database);

/* Moves what was deleted out of the file's log, unless somebody reads it just now. Without an open file it
 * does nothing. */
void database_clean_log(struct database *database);

/* ---- Groups ---- */

/*
 * A group of changes is stored as a whole or not at all. After its first failure, that of database_begin()
 * included, all changes up to database_commit() do nothing and fail for the same reason.
 *
 * database_begin() rolls back an unfinished group. It fails if the file may only be read.
 */
bool database_begin(struct database *database, struct store_failure *failure);

/* Whether a group has begun and not failed. If there is none, this is recorded as a failure. */
bool database_check_group(struct database *database);

/* Ends a change within a group as database_conclude() does; the first failure ends the group, too. */
bool database_conclude_change(struct database *database, bool ok, struct store_failure *failure);

/*
 * Ends a group. When this returns true, the changes of the group are on the disk, in the file at the path:
 * they survive the end of the process and a loss of power. When it returns false, none of them are; but after
 * an error of the disk, or STORE_REPLACED, that is not certain.
 */
bool database_commit(struct database *database, struct store_failure *failure);

/* Abandons a group. Without a group it does nothing. */
void database_rollback(struct database *database);

#endif

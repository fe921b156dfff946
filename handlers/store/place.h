// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Where a database is, who may use its files, and why they cannot be used.
 *
 * Threads: any. The functions ask the file system and may block, except place_of() and place_beside().
 *
 * Ownership: the caller frees the paths that functions return.
 *
 * Failure: a function that returns a path returns NULL if there is no memory.
 */
#ifndef STORE_PLACE_H
#define STORE_PLACE_H

#include <stdbool.h>
#include <stddef.h>

/* The absolute path of a database. SQLite takes no path that begins with '/' for anything else. */
char *place_of(const char *path);

/*
 * The path beside path of the database of one prefix: sensors.db.dev%2Frpc. Other bytes than letters, digits
 * and '_' appear as %XX, so that two prefixes have two names, and none is that of a file which SQLite keeps
 * beside a database (sensors.db-wal). A name that is too long for a file ends with ~ and a hash; two of these
 * might be the same.
 */
char *place_beside(const char *path, const char *prefix);

/* Creates an empty database file at path, which nobody else may use, if there is none. Returns 0, or the
 * errno of the failure. Does not open the file, since closing it would release SQLite's locks. */
int place_create(const char *path);

/*
 * Takes the rights of all users but the owner from the file at path, and from those which SQLite keeps beside
 * it, but not through links in the place of those: SQLite makes none. Files that SQLite makes later get the
 * rights of the database. Opens none of them either. Returns 0, or the errno for which other users kept their
 * rights.
 */
int place_secure(const char *path);

/* Finds out why the user of the process cannot use the database at path. Writes the reason with its errno to
 * why, in printable ASCII. Returns false, and writes nothing, if the files look usable. */
bool place_explain(const char *path, char *why, size_t size);

#endif

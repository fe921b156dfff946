// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Files of databases as tests see them: whole contents, other programs that use a database, full disks, and a
 * user without root's rights. A function that fails ends the test.
 */
#ifndef DISK_H
#define DISK_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>

/* Deletes a folder and the files in it. */
void disk_remove(const char *folder);

/* A whole file, for comparison and for repair. */
struct contents {
    char bytes[1 << 18];
    size_t size;
};

void read_file(const char *name, struct contents *contents);
void write_file(const char *name, const void *bytes, size_t size);
void check_unchanged(const char *name, const struct contents *before);

/* Another program's connection to a database, on which sql was run. */
sqlite3 *other(const char *name, const char *sql);

/* Another program runs sql. */
void by_other(const char *name, const char *sql);

/* The number or word that a query returns, valid until the next one. */
const char *asked_at(const char *name, const char *sql);

/* Limits the size of files: so it stands for a full disk. The test ignores SIGXFSZ. */
void limit_files(rlim_t bytes);

/* root may write files of any mode, so that a test drops its privileges for a while. False: it cannot. */
bool give_up_root(void);
void be_root_again(void);

#endif

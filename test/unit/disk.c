// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Files of databases as tests see them: see disk.h. */
#include "disk.h"

#include "unit.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

void disk_remove(const char *folder)
{
    DIR *entries = opendir(folder);
    ck_assert_ptr_nonnull(entries);
    char name[512];
    for (const struct dirent *entry; (entry = readdir(entries));) {
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        unlink(name);
    }
    closedir(entries);
    ck_assert_int_eq(rmdir(folder), 0);
}

void read_file(const char *name, struct contents *contents)
{
    FILE *file = fopen(name, "rb");
    ck_assert_ptr_nonnull(file);
    contents->size = fread(contents->bytes, 1, sizeof contents->bytes, file);
    ck_assert_uint_lt(contents->size, sizeof contents->bytes);
    fclose(file);
}

void write_file(const char *name, const void *bytes, size_t size)
{
    FILE *file = fopen(name, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

void check_unchanged(const char *name, const struct contents *before)
{
    static struct contents now;
    read_file(name, &now);
    ck_assert_uint_eq(now.size, before->size);
    ck_assert_mem_eq(now.bytes, before->bytes, now.size);
}

sqlite3 *other(const char *name, const char *sql)
{
    sqlite3 *database;
    ck_assert_int_eq(sqlite3_open(name, &database), SQLITE_OK);
    sqlite3_busy_timeout(database, 10000);
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
        ck_abort_msg("%s: %s", sql, sqlite3_errmsg(database));
    return database;
}

void by_other(const char *name, const char *sql)
{
    ck_assert_int_eq(sqlite3_close(other(name, sql)), SQLITE_OK);
}

const char *asked_at(const char *name, const char *sql)
{
    static char answer[64];
    sqlite3 *database = other(name, "");
    sqlite3_stmt *statement;
    ck_assert_int_eq(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    snprintf(answer, sizeof answer, "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return answer;
}

void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

bool give_up_root(void)
{
    if (geteuid() != 0)
        return true;
    if (seteuid(65534) != 0)
        return false;
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* the leak sanitizer needs it at the end */
    return true;
}

void be_root_again(void)
{
    if (getuid() == 0)
        ck_assert_int_eq(seteuid(0), 0);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

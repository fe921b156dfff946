// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Why a database could not be used: the causes, which clients know by name, and the failure that a function
 * of a database reports.
 *
 * Threads: any.
 *
 * Ownership: the path in a failure belongs to the database that reports it, and is valid until that is
 * closed.
 *
 * Failure: none.
 */
#ifndef STORE_FAILURE_H
#define STORE_FAILURE_H

/* The reason of a failure. */
enum store_cause {
    STORE_LOCKED,      /* another connection held the lock of the database for longer than busy_ms */
    STORE_FULL,        /* there is no room on the disk, in the quota, or in the database */
    STORE_CORRUPT,     /* the file is damaged, or not a database */
    STORE_READ_ONLY,   /* the file, its folder or its file system may not be written */
    STORE_CANNOT_OPEN, /* the file or its folder does not exist, or may not be opened */
    STORE_FOREIGN,     /* the file is a database of another program or prefix; it is not changed */
    STORE_NEWER,       /* the file was made by a later version of the program; it is not changed */
    STORE_REPLACED,    /* the file was moved or deleted while it was written to */
    STORE_IO,          /* reading or writing failed for another reason */
    STORE_NO_MEMORY,
    STORE_FAILED, /* any other reason, a defect of the program included */
    STORE_CAUSES
};

/* The causes' names, "locked", "read_only" and so on, in this order. Clients know them, so that they must not
 * change. */
extern const char *const store_cause_names[STORE_CAUSES];

enum { STORE_WHY_BYTES = 160 };

struct store_failure {
    enum store_cause cause;
    const char *path;          /* the absolute path of the file; ":memory:" */
    char why[STORE_WHY_BYTES]; /* in printable ASCII: "database is locked". Names no path and no user */
};

#endif

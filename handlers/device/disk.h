// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What the module writes to its database (ledger.h), without waiting for it. Writes are collected and written
 * by one job at a time, each job all that has come together, in one transaction. What comes while a job runs
 * goes into the next one. Devices are written at most once a second; commands and groups at once.
 *
 * The file is made by the first write. When the module starts, disk_load() reads what a former run has left.
 *
 * Threads: the broker's thread only; the job uses the ledger on a worker thread.
 *
 * Ownership: a disk is embedded in the module's state. Writes are copied.
 *
 * Failure: a write that fails is logged, and told to its `done`, with the cause. Without `done`, it is tried
 * again.
 */
#ifndef DEVICE_DISK_H
#define DEVICE_DISK_H

#include "ledger.h"
#include "options.h"
#include "table.h"

struct disk_write;

/* What a former run has left is shown to these; each may be NULL. Texts are valid until they return. */
struct disk_loading {
    void *context;
    /* Its `commands` are words, as in struct device. */
    void (*device)(void *context, const struct ledger_device *device);
    void (*group)(void *context, const char *name, const char *devices);
    void (*command)(void *context, const struct ledger_command *command);
    void (*loaded)(void *context); /* that was all */

    /* The file may be another one, and empty: whatever is still known is to be written again. disk.h sees to
     * devices itself. May be NULL, too. */
    void (*renewed)(void *context);
};

/* What one job does. While it runs, it is the worker thread's. */
struct disk_job {
    struct disk *disk;
    struct ledger *ledger;
    struct disk_write *writes; /* to be written, or of a load: what was read */
    bool loads;                /* it reads instead */
    bool prunes;               /* it also deletes old commands, */
    bool more;                 /* and has left some */
    bool fine, ran;            /* its writes are on the disk, or all was read; it has run at all */
    int64_t connections;       /* of the ledger, when it had run */
    struct store_failure failure;
};

/* All zero but for instance, options, table and loading: nothing is open. */
struct disk {
    rpc_instance *instance;
    const struct device_options *options;
    struct devices *table;
    struct disk_loading loading;
    struct ledger *ledger;
    struct disk_write *pending; /* in the order in which they came */
    size_t bytes;               /* of these and those of the job */
    struct device *dirty;       /* devices that are to be written */
    rpc_timer timer;            /* for the dirty devices, or for another attempt to load */
    uint64_t next;              /* when devices may be written again, rpc_clock() */
    rpc_timer pruning;
    struct disk_job job;
    bool running;                 /* the job is */
    bool unloaded;                /* the file could not be read yet; nothing is written until then */
    bool failed;                  /* the last job has */
    bool prune_due;               /* the next job deletes old commands */
    int64_t connections;          /* as in the last job */
    struct store_failure failure; /* the last one */
};

/* Told when a write is on the disk (failure: NULL) or could not be written. */
typedef void (*disk_done)(void *context, const struct store_failure *failure);

/* Opens the database if its file exists, and shows what is in it. May wait: for the module's init. If it
 * cannot be read, which is logged, the module goes on, and it is tried again later. Returns false if there is
 * no memory. */
bool disk_load(struct disk *disk);

/* Notes that a device is to be written soon, if it is managed or disk_keep_device() was called for it. */
void disk_touch_device(struct disk *disk, struct device *device);

/* Likewise, and the device gets a row in the database even if it is not managed: a command is queued for it.
 */
void disk_keep_device(struct disk *disk, struct device *device);

/* Write, and tell done, which may be NULL. Return false, and done is not called: the file could not be read
 * yet, or there is no memory, or too much waits to be written; `failure` says which. disk_put_command() also
 * writes the row of the command's device, if it is not as it should be. */
bool disk_put_command(struct disk *disk, const struct ledger_command *command, disk_done done, void *context);
bool disk_put_group(struct disk *disk, const char *name, const char *devices, disk_done done, void *context);
bool disk_drop_group(struct disk *disk, const char *name, disk_done done, void *context);

/* Tells done when all that was given before is on the disk, or could not be written. Returns false, and done
 * is not called: nothing is waited for, or there is no memory. */
bool disk_await(struct disk *disk, disk_done done, void *context);

/* Notes in `failure` why a write cannot be asked for: for want of memory. */
void disk_refuse(struct disk *disk, const char *why);

/* Deletes a device with its commands, and takes it off the list of those that are to be written. To be called
 * before it is removed from the table. */
bool disk_drop_device(struct disk *disk, struct device *device);

/* Writes what is still to be written, without telling anybody, and closes the database. May wait: for the
 * module's fini. */
void disk_fini(struct disk *disk);

#endif

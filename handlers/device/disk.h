// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What the module writes to its database (ledger.h), without waiting for it. Writes are collected and written
 * by one job at a time, each job all that has come together, in one transaction. What comes while a job runs
 * goes into the next one. Devices are written at most once a second; commands and groups at once.
 *
 * The file is made by the first write. When the module starts, disk_load() reads what a former run has left.
 *
 * Threads: the broker's thread only; the job uses the ledger on a worker.
 *
 * Ownership: a disk is embedded in the module's state. Writes are copied.
 *
 * Failure: a write that fails is told to its `done`, with the cause, and logged. Devices are tried again.
 */
#ifndef DEVICE_DISK_H
#define DEVICE_DISK_H

#include "ledger.h"
#include "options.h"
#include "table.h"

struct disk_write;

/* All zero: nothing is open. */
struct disk {
    rpc_instance *instance;
    const struct device_options *options;
    struct ledger *ledger;
    struct disk_write *pending, *writing; /* in the order in which they came */
    size_t bytes;                         /* of the pending ones */
    struct device *dirty;                 /* devices that are to be written */
    rpc_timer timer;                      /* for the dirty devices */
};

/* Told when a write is on the disk (failure: NULL) or could not be written. */
typedef void (*disk_done)(void *context, const struct store_failure *failure);

/* What a former run has left is shown to these; NULL accepts nothing. */
struct disk_loading {
    void *context;
    void (*device)(void *context, const struct ledger_device *device);
    void (*command)(void *context, const struct ledger_command *command);
    void (*group)(void *context, const char *name, const char *devices);
};

/* Opens the database if its file exists. May wait: for the module's init. Returns false if it could not be
 * read, which is logged; the module goes on without what was there. */
bool disk_load(struct disk *disk, const struct disk_loading *loading);

/* Notes that a device is to be written soon. */
void disk_touch_device(struct disk *disk, struct device *device);

/* Write, and tell done, which may be NULL. Return false: no memory, or too much waits to be written; done is
 * not called then. */
bool disk_put_command(struct disk *disk, const struct ledger_command *command, disk_done done, void *context);
bool disk_put_group(struct disk *disk, const char *name, const char *devices, disk_done done, void *context);
bool disk_drop_group(struct disk *disk, const char *name, disk_done done, void *context);
/* The device with its commands. It must not be dirty any more (disk_forget_device()). */
bool disk_drop_device(struct disk *disk, const char *name, disk_done done, void *context);

/* Takes a device off the list of those that are to be written: it is about to be freed. */
void disk_forget_device(struct disk *disk, struct device *device);

/* Writes what is still to be written and closes the database. May wait: for the module's fini. */
void disk_fini(struct disk *disk);

#endif

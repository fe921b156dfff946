// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What the module writes to its database: see disk.h. */
#include "disk.h"

#include "names.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    BUSY_MS = 2000,          /* max wait for another connection's lock of the database */
    BYTES_MAX = 16777216,    /* of writes that wait */
    DEVICES_MS = 1000,       /* between two times at which devices are written */
    RELOAD_MS = 5000,        /* between two attempts to load */
    PRUNE_MS = 60000,        /* between two prunings */
    PRUNE_ROWS = 2000,       /* max commands that one job deletes */
    HISTORY_MAX = 16,        /* ended commands of each device that are kept */
    HISTORY_MAX_ALL = 10000, /* likewise, of all devices */
};

enum disk_kind {
    DISK_PUT_DEVICE,
    DISK_DROP_DEVICE,
    DISK_PUT_GROUP,
    DISK_DROP_GROUP,
    DISK_PUT_COMMAND,
    DISK_AWAIT
};

/* One write, or one row that was read. Its texts follow it. */
struct disk_write {
    struct disk_write *prev, *next;
    enum disk_kind kind;
    union {
        struct ledger_device device;
        struct ledger_command command;
        struct {
            const char *name, *devices;
        } group;
    } row;
    disk_done done;
    void *context;
    size_t bytes;
    char texts[];
};

/* ---- Copies ---- */

/* Copies the texts of a row behind it, and points it to the copies. NULL texts stay. Returns NULL if there is
 * no memory. */
static struct disk_write *disk_copy(const struct disk_write *row, const char **const texts[], size_t count)
{
    size_t bytes = sizeof *row;
    for (size_t i = 0; i < count; i++)
        bytes += *texts[i] ? strlen(*texts[i]) + 1 : 0;
    struct disk_write *copy = malloc(bytes);
    if (!copy)
        return NULL;
    *copy = *row;
    copy->bytes = bytes;
    char *end = copy->texts;
    for (size_t i = 0; i < count; i++) {
        /* the same member of the copy */
        const char **member =
            (const char **)(void *)((char *)copy + ((const char *)texts[i] - (const char *)row));
        if (!*member)
            continue;
        const size_t size = strlen(*member) + 1;
        *member = memcpy(end, *member, size);
        end += size;
    }
    return copy;
}

static struct disk_write *disk_copy_device(enum disk_kind kind, const struct ledger_device *device)
{
    struct disk_write row = {.kind = kind, .row.device = *device};
    const char **const texts[] = {&row.row.device.name, &row.row.device.kind, &row.row.device.commands};
    return disk_copy(&row, texts, sizeof texts / sizeof *texts);
}

static struct disk_write *disk_copy_command(const struct ledger_command *command)
{
    struct disk_write row = {.kind = DISK_PUT_COMMAND, .row.command = *command};
    const char **const texts[] = {&row.row.command.id,     &row.row.command.device, &row.row.command.name,
                                  &row.row.command.params, &row.row.command.err,    &row.row.command.caller,
                                  &row.row.command.user};
    return disk_copy(&row, texts, sizeof texts / sizeof *texts);
}

static struct disk_write *disk_copy_group(enum disk_kind kind, const char *name, const char *devices)
{
    struct disk_write row = {.kind = kind, .row.group = {name, devices}};
    const char **const texts[] = {&row.row.group.name, &row.row.group.devices};
    return disk_copy(&row, texts, sizeof texts / sizeof *texts);
}

static void disk_free_all(struct disk_write **writes)
{
    struct disk_write *write, *next;
    DL_FOREACH_SAFE(*writes, write, next)
    free(write);
    *writes = NULL;
}

/* ---- Lists of commands: words here, JSON in the database ---- */

/* Names of commands need no escapes. NULL: no memory. */
static char *disk_words_to_json(const char *words)
{
    size_t length;
    char *json = malloc(3 * strlen(words) + 3), *end = json;
    if (!json)
        return NULL;
    *end++ = '[';
    for (const char *word; (word = name_next(&words, &length));)
        end += sprintf(end, "%s\"%.*s\"", end[-1] == '"' ? "," : "", (int)length, word);
    memcpy(end, "]", sizeof "]");
    return json;
}

/* In place, since words are shorter. Another program may have written it: what is no name is left out. */
static void disk_json_to_words(char *json)
{
    char *end = json, *at = strchr(json, '"'), *quote;
    for (; at && (quote = strchr(at + 1, '"')); at = strchr(quote + 1, '"')) {
        *quote = '\0';
        if (!name_is_command(at + 1))
            continue;
        if (end != json)
            *end++ = ' ';
        memmove(end, at + 1, (size_t)(quote - at - 1));
        end += quote - at - 1;
    }
    *end = '\0';
}

/* ---- The job ---- */

static bool disk_collect(struct disk_job *job, struct disk_write *row)
{
    if (row)
        DL_APPEND(job->writes, row);
    else
        job->failure = (struct store_failure){STORE_NO_MEMORY, ledger_path(job->ledger), "out of memory"};
    job->fine = row;
    return row;
}

static bool disk_collect_device(void *data, const struct ledger_device *device)
{
    return disk_collect(data, disk_copy_device(DISK_PUT_DEVICE, device));
}

static bool disk_collect_group(void *data, const char *name, const char *devices)
{
    return disk_collect(data, disk_copy_group(DISK_PUT_GROUP, name, devices));
}

static bool disk_collect_command(void *data, const struct ledger_command *command)
{
    return disk_collect(data, disk_copy_command(command));
}

static void disk_read(struct disk_job *job)
{
    const struct ledger_visit visit = {disk_collect_device, disk_collect_group, disk_collect_command, job};
    job->fine = true;
    job->fine = ledger_load(job->ledger, &visit, HISTORY_MAX, &job->failure) && job->fine;
}

static bool disk_write_one(struct ledger *ledger, const struct disk_write *write,
                           struct store_failure *failure)
{
    switch (write->kind) {
    case DISK_PUT_DEVICE:
        return ledger_put_device(ledger, &write->row.device, failure);
    case DISK_DROP_DEVICE:
        return ledger_drop_device(ledger, write->row.device.name, failure);
    case DISK_PUT_GROUP:
        return ledger_put_group(ledger, write->row.group.name, write->row.group.devices, failure);
    case DISK_DROP_GROUP:
        return ledger_drop_group(ledger, write->row.group.name, failure);
    case DISK_AWAIT:
        return true;
    case DISK_PUT_COMMAND:
        break;
    }
    return ledger_put_command(ledger, &write->row.command, failure);
}

static void disk_write_all(struct disk_job *job)
{
    const struct disk_write *write;
    ledger_begin(job->ledger, &job->failure);
    DL_FOREACH(job->writes, write)
    disk_write_one(job->ledger, write, &job->failure);
    job->fine = ledger_commit(job->ledger, &job->failure);
}

/* What cannot be pruned now is pruned with a later command: the writes before it are on the disk anyway. */
static void disk_prune(struct disk_job *job)
{
    const struct ledger_limits limits = {HISTORY_MAX, HISTORY_MAX_ALL, -INFINITY, PRUNE_ROWS};
    ledger_prune(job->ledger, &limits, &job->more, NULL);
}

static void disk_work(rpc_job *job, void *data)
{
    struct disk_job *work = data;
    (void)job;
    work->ran = true;
    if (work->loads)
        disk_read(work);
    else
        disk_write_all(work);
    if (work->prunes && work->fine)
        disk_prune(work);
    work->connections = ledger_connections(work->ledger);
}

/* ---- Starting it ---- */

static void disk_start_later(rpc_instance *instance, void *state, void *data);

static void disk_prune_later(rpc_instance *instance, void *state, void *data);

static rpc_status disk_end(rpc_call *call, void *state, void *data, rpc_status outcome, void *result);

static void disk_arm(struct disk *disk, uint32_t milliseconds)
{
    if (!disk->timer.id)
        disk->timer = rpc_after(disk->instance, milliseconds, disk_start_later, disk);
}

static bool disk_open(struct disk *disk)
{
    if (!disk->ledger)
        disk->ledger = ledger_new(disk->options->db, rpc_prefix(disk->instance), BUSY_MS);
    return disk->ledger;
}

static void disk_take_back(struct disk *disk)
{
    DL_CONCAT(disk->job.writes, disk->pending);
    disk->pending = disk->job.writes;
    disk->job.writes = NULL;
}

/* Starts a job for what waits, unless one runs. */
static void disk_start(struct disk *disk)
{
    const bool loads = disk->unloaded;
    if (disk->running || (!disk->pending && !loads && !disk->prune_due))
        return;
    if (!disk_open(disk)) {
        disk_arm(disk, DEVICES_MS);
        return;
    }
    disk->job = (struct disk_job){.disk = disk, .ledger = disk->ledger, .loads = loads};
    if (!loads) {
        disk->job.writes = disk->pending;
        disk->job.prunes = disk->prune_due;
        disk->pending = NULL;
    }
    disk->running = rpc_background(disk->instance, "disk", disk_work, disk_end, &disk->job) == RPC_PENDING;
    if (disk->running)
        return;
    disk_take_back(disk);
    disk_arm(disk, DEVICES_MS);
}

/* ---- What has come of it ---- */

/* A failure is logged when it comes, and not again as long as it stays the same. */
static void disk_note_failure(struct disk *disk, const char *what)
{
    const struct store_failure *failure = &disk->job.failure;
    const bool is_known = disk->failed && failure->cause == disk->failure.cause;
    char text[2 * STORE_WHY_BYTES];
    disk->failed = true;
    disk->failure = *failure;
    if (is_known)
        return;
    snprintf(text, sizeof text, "%s (device_db): %s", what, failure->why);
    rpc_trouble(disk->instance, "database", text);
    rpc_log(disk->instance, RPC_LOG_ERROR, "%s in %s: %s (device_db)", what,
            failure->path ? failure->path : disk->options->db, failure->why);
}

static void disk_note_success(struct disk *disk)
{
    if (disk->failed)
        rpc_log(disk->instance, RPC_LOG_NOTICE, "%s can be used again (device_db)",
                ledger_path(disk->ledger));
    disk->failed = false;
    rpc_trouble(disk->instance, "database", NULL);
}

/* Shows what was read. */
static void disk_show(struct disk *disk, const struct disk_write *row)
{
    const struct disk_loading *loading = &disk->loading;
    if (row->kind == DISK_PUT_DEVICE) {
        if (row->row.device.commands)
            disk_json_to_words((char *)(uintptr_t)row->row.device.commands);
        if (loading->device)
            loading->device(loading->context, &row->row.device);
    } else if (row->kind == DISK_PUT_GROUP && loading->group) {
        loading->group(loading->context, row->row.group.name, row->row.group.devices);
    } else if (row->kind == DISK_PUT_COMMAND && loading->command) {
        loading->command(loading->context, &row->row.command);
    }
}

static void disk_log_exposure(const struct disk *disk)
{
    char buffer[64];
    const int exposure = ledger_exposure(disk->ledger);
    if (exposure)
        rpc_log(disk->instance, RPC_LOG_WARNING,
                "other users may read or write %s or the files beside it, and their rights cannot be taken: "
                "%s",
                ledger_path(disk->ledger), strerror_r(exposure, buffer, sizeof buffer));
}

static void disk_end_load(struct disk *disk)
{
    struct disk_write *rows = disk->job.writes, *row;
    disk->job.writes = NULL;
    disk->unloaded = !disk->job.fine;
    if (disk->unloaded) {
        disk_note_failure(disk, "the devices could not be read");
        disk_arm(disk, RELOAD_MS);
    } else {
        disk_note_success(disk);
        disk_log_exposure(disk);
        disk->connections = disk->job.connections;
        DL_FOREACH(rows, row)
        disk_show(disk, row);
        if (disk->loading.loaded)
            disk->loading.loaded(disk->loading.context);
    }
    disk_free_all(&rows);
}

/* A write that nobody is told of is tried again, a device's with what is known of it by then. */
static void disk_end_write(struct disk *disk, struct disk_write *write, bool fine, struct disk_write **again)
{
    if (fine || write->done || write->kind == DISK_PUT_DEVICE) {
        struct device *device =
            fine || write->kind != DISK_PUT_DEVICE ? NULL : devices_find(disk->table, write->row.device.name);
        if (device)
            disk_touch_device(disk, device);
        if (write->done)
            write->done(write->context, fine ? NULL : &disk->job.failure);
        disk->bytes -= write->bytes;
        free(write);
        return;
    }
    DL_APPEND(*again, write);
}

/* A file that was replaced is empty: what is known is written again. */
static void disk_check_connections(struct disk *disk)
{
    if (disk->connections && disk->job.connections != disk->connections) {
        for (struct device *device = disk->table->all; device; device = device->hh.next) {
            if (device->stored)
                disk_touch_device(disk, device);
        }
        if (disk->loading.renewed)
            disk->loading.renewed(disk->loading.context);
    }
    if (disk->job.connections != disk->connections)
        disk_log_exposure(disk);
    disk->connections = disk->job.connections;
}

static void disk_end_writes(struct disk *disk)
{
    struct disk_write *writes = disk->job.writes, *write, *next, *again = NULL;
    const bool fine = disk->job.fine;
    disk->job.writes = NULL;
    if (fine)
        disk_note_success(disk);
    else
        disk_note_failure(disk, "devices and their commands could not be written");
    disk->prune_due = disk->job.prunes && fine ? disk->job.more : disk->prune_due;
    DL_FOREACH_SAFE(writes, write, next)
    {
        DL_DELETE(writes, write);
        disk_end_write(disk, write, fine, &again);
    }
    DL_CONCAT(again, disk->pending);
    disk->pending = again;
    if (fine)
        disk_check_connections(disk);
}

/* The engine stops: disk_fini() writes what was not written. */
static void disk_end_cancelled(struct disk *disk)
{
    if (!disk->job.ran || (!disk->job.loads && !disk->job.fine))
        disk_take_back(disk);
    disk_free_all(&disk->job.writes);
}

/* Whoever is told of a write may ask for another one, which the next job does: this one is needed until all
 * have been told. */
static rpc_status disk_end(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct disk *disk = ((struct disk_job *)data)->disk;
    (void)call, (void)state, (void)result;
    if (outcome != RPC_OK || !disk->job.ran)
        disk_end_cancelled(disk);
    else if (disk->job.loads)
        disk_end_load(disk);
    else
        disk_end_writes(disk);
    disk->running = false;
    if (disk->job.fine)
        disk_start(disk);
    else if (!disk->job.loads)
        disk_arm(disk, DEVICES_MS);
    return RPC_OK;
}

/* ---- Writes ---- */

void disk_refuse(struct disk *disk, const char *why)
{
    disk->failure = (struct store_failure){.cause = STORE_NO_MEMORY, .path = disk->options->db};
    snprintf(disk->failure.why, sizeof disk->failure.why, "%s", why);
}

static bool disk_put(struct disk *disk, struct disk_write *write, disk_done done, void *context)
{
    const bool has_room = write && disk->bytes + write->bytes <= BYTES_MAX;
    if (disk->unloaded || !has_room) {
        if (!disk->unloaded)
            disk_refuse(disk, write ? "too much waits to be written" : "out of memory");
        free(write);
        return false;
    }
    write->done = done;
    write->context = context;
    disk->bytes += write->bytes;
    DL_APPEND(disk->pending, write);
    return true;
}

static bool disk_put_now(struct disk *disk, struct disk_write *write, disk_done done, void *context)
{
    const bool is_taken = disk_put(disk, write, done, context);
    if (is_taken)
        disk_start(disk);
    return is_taken;
}

bool disk_put_group(struct disk *disk, const char *name, const char *devices, disk_done done, void *context)
{
    return disk_put_now(disk, disk_copy_group(DISK_PUT_GROUP, name, devices), done, context);
}

bool disk_drop_group(struct disk *disk, const char *name, disk_done done, void *context)
{
    return disk_put_now(disk, disk_copy_group(DISK_DROP_GROUP, name, NULL), done, context);
}

bool disk_await(struct disk *disk, disk_done done, void *context)
{
    const struct disk_write row = {.kind = DISK_AWAIT};
    return (disk->pending || disk->running) && disk_put_now(disk, disk_copy(&row, NULL, 0), done, context);
}

/* ---- Devices ---- */

void disk_touch_device(struct disk *disk, struct device *device)
{
    if (device->managed || device->stored)
        disk_keep_device(disk, device);
}

void disk_keep_device(struct disk *disk, struct device *device)
{
    device->stored = true;
    if (!device->dirty)
        DL_APPEND2(disk->dirty, device, dirty_prev, dirty_next);
    device->dirty = true;
    if (disk->timer.id)
        return;
    const uint64_t now = rpc_clock(disk->instance);
    disk_arm(disk, now < disk->next ? (uint32_t)(disk->next - now) : 0);
}

static void disk_clean_device(struct disk *disk, struct device *device)
{
    if (device->dirty)
        DL_DELETE2(disk->dirty, device, dirty_prev, dirty_next);
    device->dirty = false;
}

bool disk_drop_device(struct disk *disk, struct device *device)
{
    const struct ledger_device row = {.name = device->name};
    disk_clean_device(disk, device);
    return !device->stored || disk_put_now(disk, disk_copy_device(DISK_DROP_DEVICE, &row), NULL, NULL);
}

static bool disk_put_device(struct disk *disk, struct device *device)
{
    char *json = device->commands ? disk_words_to_json(device->commands) : NULL;
    const struct ledger_device row = {
        .name = device->name,
        .kind = device->kind,
        .commands = json,
        .managed = device->managed,
        .once = device->once,
        .seq = device->seq,
        .seen = device->seen,
    };
    const bool has_memory = json || !device->commands;
    const bool is_taken = has_memory && disk_put(disk, disk_copy_device(DISK_PUT_DEVICE, &row), NULL, NULL);
    free(json);
    if (is_taken)
        device->written = device->seen;
    return is_taken;
}

/* What the device has said of itself decides what becomes of the command after a start: its row goes first.
 */
bool disk_put_command(struct disk *disk, const struct ledger_command *command, disk_done done, void *context)
{
    struct device *device = devices_find(disk->table, command->device);
    if (!disk->pruning.id)
        disk->pruning = rpc_after(disk->instance, PRUNE_MS, disk_prune_later, disk);
    if (device && (device->dirty || !device->stored)) {
        disk_keep_device(disk, device);
        if (disk_put_device(disk, device))
            disk_clean_device(disk, device);
    }
    return disk_put_now(disk, disk_copy_command(command), done, context);
}

/* Makes writes of the dirty devices, as far as there is memory. */
static void disk_put_devices(struct disk *disk)
{
    while (disk->dirty && disk_put_device(disk, disk->dirty))
        disk_clean_device(disk, disk->dirty);
}

static void disk_start_later(rpc_instance *instance, void *state, void *data)
{
    struct disk *disk = data;
    (void)state;
    disk->timer = (rpc_timer){.id = 0};
    if (!disk->running && !disk->unloaded && disk->dirty) {
        disk->next = rpc_clock(instance) + DEVICES_MS;
        disk_put_devices(disk);
    }
    disk_start(disk);
    if (disk->dirty)
        disk_arm(disk, DEVICES_MS);
}

static void disk_prune_later(rpc_instance *instance, void *state, void *data)
{
    struct disk *disk = data;
    (void)instance, (void)state;
    disk->pruning = (rpc_timer){.id = 0};
    disk->prune_due = true;
    disk_start(disk);
}

/* ---- Start and stop ---- */

bool disk_load(struct disk *disk)
{
    if (!ledger_file_exists(disk->options->db, rpc_prefix(disk->instance)))
        return true;
    if (!disk_open(disk))
        return false;
    disk->job = (struct disk_job){.disk = disk, .ledger = disk->ledger, .loads = true};
    disk_work(NULL, &disk->job);
    disk_end_load(disk);
    return true;
}

/* Writes what waits. Returns false: it could not be written. */
static bool disk_write_last(struct disk *disk)
{
    disk->job = (struct disk_job){.disk = disk, .ledger = disk->ledger, .writes = disk->pending};
    if (disk_open(disk)) {
        disk->job.ledger = disk->ledger;
        disk_write_all(&disk->job);
        if (!disk->job.fine)
            disk_note_failure(disk, "the last changes of devices could not be written");
    }
    disk_free_all(&disk->pending);
    disk->bytes = 0;
    return disk->job.fine;
}

void disk_fini(struct disk *disk)
{
    if (!disk->instance)
        return;
    rpc_timer_cancel(disk->instance, disk->timer);
    rpc_timer_cancel(disk->instance, disk->pruning);
    if (!disk->unloaded)
        disk_put_devices(disk);
    while (disk->pending && disk_write_last(disk))
        disk_put_devices(disk); /* those for which there was no room */
    ledger_close(disk->ledger);
    disk->ledger = NULL;
}

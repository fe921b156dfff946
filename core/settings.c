// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The configuration, and the settings that change: see settings.h. */
#include "settings.h"

#include "base/text.h"
#include "config_file.h"
#include "modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- The file ---- */

/* Returns the number of bytes, or -1. */
static ssize_t settings_read_all(int file, char *text, size_t size)
{
    size_t used = 0;
    ssize_t got;
    while ((got = read(file, text + used, size - used)) != 0 && used < size) {
        if (got < 0 && errno != EINTR)
            return -1;
        used += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)used;
}

/* Reads an open file into memory with room for a NUL. Returns NULL with why. */
static char *settings_read_file(const char *path, int file, size_t *size, char why[OPTIONS_WHY])
{
    struct stat stat;
    if (fstat(file, &stat) != 0 || !S_ISREG(stat.st_mode)) {
        config_file_refuse(path, 0, why, "it is no regular file");
        return NULL;
    }
    char *text = malloc(CONFIG_FILE_BYTES + 2); /* one byte more than it may have, and the NUL */
    const ssize_t got = text ? settings_read_all(file, text, CONFIG_FILE_BYTES + 1) : 0;
    if (text && got >= 0 && got <= CONFIG_FILE_BYTES) {
        *size = (size_t)got;
        return text;
    }
    if (!text)
        config_file_refuse(path, 0, why, "no memory to read it");
    else if (got < 0)
        config_file_refuse(path, 0, why, "%s", strerror(errno));
    else
        config_file_refuse(path, 0, why, "it has more than %d bytes", CONFIG_FILE_BYTES);
    free(text);
    return NULL;
}

/* O_NONBLOCK: a pipe without a writer must not keep the broker waiting. */
static char *settings_load(const char *path, size_t *size, char why[OPTIONS_WHY])
{
    const int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) {
        config_file_refuse(path, 0, why, "%s", strerror(errno));
        return NULL;
    }
    char *text = settings_read_file(path, file, size, why);
    close(file);
    return text;
}

/* ---- The configuration ---- */

/* Makes a configuration of the lines that were given and the file's, and counts these. Returns NULL with
 * why. */
static struct config *settings_read(struct settings *settings, unsigned *count, char why[OPTIONS_WHY])
{
    const char *path = settings->status.file;
    struct option_lines merged = {.lines = NULL};
    size_t size;
    char *text = settings_load(path, &size, why);
    const int found = text ? config_file_merge(&merged, &settings->given, path, text, size, why) : -1;
    struct config *config = found < 0 ? NULL : config_create(&merged, &rpc_host, rpc_modules, why);
    free(merged.lines);
    free(text);
    *count = found < 0 ? 0 : (unsigned)found;
    return config;
}

static double settings_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Whether it worked is noted, and why not. */
static void settings_note(struct settings *settings, bool ok, unsigned count, const char *why)
{
    struct env_reload *status = &settings->status;
    status->read_at = settings_now();
    status->ok = ok;
    if (ok)
        status->settings = count;
    snprintf(status->why, sizeof status->why, "%s", ok ? "" : why);
}

static bool settings_copy_lines(struct settings *settings, const struct option_line *lines, size_t count)
{
    struct option_lines *given = &settings->given;
    given->prefix = rpc_host.option_prefix;
    given->is_whole = rpc_host.file_is_whole;
    given->lines = arena_alloc(&settings->arena, count * sizeof *given->lines);
    for (size_t i = 0; given->lines && i < count; i++) {
        const char *name = arena_copy(&settings->arena, lines[i].name, strlen(lines[i].name));
        const char *value = arena_copy(&settings->arena, lines[i].value, strlen(lines[i].value));
        if (!name || !value)
            return false;
        given->lines[given->count++] = (struct option_line){.name = name, .value = value};
    }
    return given->lines;
}

/* The line that names the file; NULL: none does. */
static const struct option_line *settings_find_file(const struct settings *settings)
{
    for (size_t i = 0; rpc_host.file_option && i < settings->given.count; i++) {
        if (strcmp(settings->given.lines[i].name, rpc_host.file_option) == 0)
            return &settings->given.lines[i];
    }
    return NULL;
}

static bool settings_read_start(struct settings *settings, const char *path, char why[OPTIONS_WHY])
{
    unsigned found = 0;
    size_t length = strlen(path);
    while (length && (path[length - 1] == ' ' || path[length - 1] == '\t'))
        length--; /* the broker leaves blanks behind a value */
    settings->status.file = arena_copy(&settings->arena, path, length);
    settings->first = settings->status.file ? settings_read(settings, &found, why) : NULL;
    settings_note(settings, settings->first, found, why);
    return settings->first;
}

/* The lines that were given must be right without a file that replaces some of them, too: its settings may
 * leave it again. */
bool settings_start(struct settings *settings, const struct option_line *lines, size_t count,
                    char why[OPTIONS_WHY])
{
    snprintf(why, OPTIONS_WHY, "no memory for the options");
    arena_init(&settings->arena);
    if (!settings_copy_lines(settings, lines, count))
        return false;
    const struct option_line *file = settings_find_file(settings);
    if (!file || !rpc_host.file_is_whole)
        settings->first = config_create(&settings->given, &rpc_host, rpc_modules, why);
    if (file && (settings->first || rpc_host.file_is_whole)) {
        config_destroy(settings->first);
        settings_read_start(settings, file->value, why);
    }
    settings->current = settings->first;
    return settings->first;
}

void settings_log(const struct settings *settings, const struct host *host, size_t changes)
{
    char changed[48] = "", line[SETTINGS_LINE], safe[SETTINGS_LINE];
    if (changes)
        snprintf(changed, sizeof changed, ", %zu changed", changes);
    snprintf(line, sizeof line, "config_file %.600s read: %u settings%s", settings->status.file,
             settings->status.settings, changed);
    host->log(host->context, RPC_LOG_NOTICE, text_printable(line, safe, sizeof safe));
}

/* What a service cannot take over while it runs must be what it was. */
static bool settings_check_fixed(const struct settings *settings, struct config *config,
                                 char why[OPTIONS_WHY])
{
    const char *name = rpc_host.file_is_whole ? config_find_fixed_change(settings->first, config) : NULL;
    if (!name)
        return true;
    char place[400];
    snprintf(why, OPTIONS_WHY, "%s has changed, which takes a new start",
             options_place(&config->lines, name, place, sizeof place));
    return false;
}

bool settings_reload(struct settings *settings, struct service *service, const struct host *host)
{
    char why[SERVICE_WHY], line[SETTINGS_LINE];
    unsigned found;
    if (!settings->status.file)
        return true;
    struct config *config = settings_read(settings, &found, why);
    const bool ok =
        config && settings_check_fixed(settings, config, why) && service_reload(service, config, why);
    settings_note(settings, ok, found, why);
    if (!ok) {
        snprintf(line, sizeof line, "%s; all settings stay as they were", why);
        host->log(host->context, RPC_LOG_ERROR, line);
        config_destroy(config);
        return false;
    }
    const size_t changes = config_count_changes(settings->current, config);
    if (settings->current != settings->first)
        config_destroy(settings->current);
    settings->current = config;
    settings_log(settings, host, changes);
    return true;
}

void settings_fini(struct settings *settings, bool is_over)
{
    if (is_over && settings->current != settings->first)
        config_destroy(settings->current);
    if (is_over)
        config_destroy(settings->first);
    arena_fini(&settings->arena);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The configuration, and the settings that change: see settings.h. */
#include "settings.h"

#include "config_file.h"
#include "modules.h"
#include "options.h"

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

/* Makes a configuration of the broker's lines and the file's, and counts these. Returns NULL with why. */
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

static bool settings_copy_lines(struct settings *settings, const struct mosquitto_opt *options, int count)
{
    struct option_lines *given = &settings->given;
    given->prefix = rpc_host.option_prefix;
    given->lines = arena_alloc(&settings->arena, (size_t)count * sizeof *given->lines);
    for (int i = 0; given->lines && i < count; i++) {
        const char *name = arena_copy(&settings->arena, options[i].key, strlen(options[i].key));
        const char *value = arena_copy(&settings->arena, options[i].value, strlen(options[i].value));
        if (!name || !value)
            return false;
        given->lines[given->count++] = (struct option_line){.name = name, .value = value};
    }
    return given->lines;
}

/* The broker's own lines must be right without the file, too: its settings may leave it again. */
bool settings_start(struct settings *settings, const struct mosquitto_opt *options, int count,
                    char why[OPTIONS_WHY])
{
    unsigned found = 0;
    snprintf(why, OPTIONS_WHY, "no memory for the options");
    arena_init(&settings->arena);
    if (!settings_copy_lines(settings, options, count))
        return false;
    settings->first = config_create(&settings->given, &rpc_host, rpc_modules, why);
    const struct plugin_options *own = settings->first ? settings->first->host_options : NULL;
    if (own && own->config_file) {
        settings->status.file = arena_copy(&settings->arena, own->config_file, strlen(own->config_file));
        config_destroy(settings->first);
        settings->first = settings->status.file ? settings_read(settings, &found, why) : NULL;
    }
    settings->current = settings->first;
    settings_note(settings, settings->first, found, why);
    return settings->first;
}

void settings_log(const struct settings *settings, size_t changes)
{
    char changed[48] = "";
    if (changes)
        snprintf(changed, sizeof changed, ", %zu changed", changes);
    mosquitto_log_printf(MOSQ_LOG_NOTICE, "mosquitto-rpc: config_file %s read: %u settings%s",
                         settings->status.file, settings->status.settings, changed);
}

void settings_reload(struct settings *settings, struct service *service)
{
    char why[SERVICE_WHY];
    unsigned found;
    if (!settings->status.file)
        return;
    struct config *config = settings_read(settings, &found, why);
    const bool ok = config && service_reload(service, config, why);
    settings_note(settings, ok, found, why);
    if (!ok) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "mosquitto-rpc: %s; all settings stay as they were", why);
        config_destroy(config);
        return;
    }
    const size_t changes = config_count_changes(settings->current, config);
    if (settings->current != settings->first)
        config_destroy(settings->current);
    settings->current = config;
    settings_log(settings, changes);
}

void settings_fini(struct settings *settings, bool is_over)
{
    if (is_over && settings->current != settings->first)
        config_destroy(settings->current);
    if (is_over)
        config_destroy(settings->first);
    arena_fini(&settings->arena);
}

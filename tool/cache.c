// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A file is its key, a newline, and the text. It is written under another name and then renamed. */
#include "cache.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The folder, with a slash behind; makes it if it is not there. */
static bool cache_folder(char folder[PATH_MAX])
{
    const char *const cache = getenv("XDG_CACHE_HOME");
    const char *const home = getenv("HOME");
    int length;
    if (cache && cache[0] == '/')
        length = snprintf(folder, PATH_MAX, "%s/mosquitto_rpc/", cache);
    else if (home && home[0] == '/')
        length = snprintf(folder, PATH_MAX, "%s/.cache/mosquitto_rpc/", home);
    else
        return false;
    if (length < 0 || length >= PATH_MAX)
        return false;
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(folder, 0700); /* what fails here is seen when the file is opened */
        *slash = '/';
    }
    return true;
}

static bool cache_path(const char *key, char path[PATH_MAX])
{
    unsigned hash = 2166136261U; /* FNV-1a */
    for (const char *at = key; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619U;
    if (!cache_folder(path))
        return false;
    const size_t length = strlen(path);
    const int written = snprintf(path + length, PATH_MAX - length, "%u", hash % CACHE_PLACES);
    return written > 0 && (size_t)written < PATH_MAX - length;
}

/* Whether the file is the user's own, and was written within so many seconds. */
static bool cache_is_fresh(FILE *file, int seconds)
{
    struct stat status;
    const time_t now = time(NULL);
    return fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
           status.st_size <= CACHE_SIZE && status.st_mtime <= now && now - status.st_mtime < seconds;
}

char *cache_get(const char *key, int seconds)
{
    char path[PATH_MAX];
    FILE *const file = cache_path(key, path) ? fopen(path, "re") : NULL;
    char *const text = file && cache_is_fresh(file, seconds) ? malloc(CACHE_SIZE + 1) : NULL;
    const size_t size = text ? fread(text, 1, CACHE_SIZE, file) : 0;
    const size_t length = strlen(key);
    if (file)
        fclose(file);
    if (size <= length || strncmp(text, key, length) != 0 || text[length] != '\n') {
        free(text);
        return NULL;
    }
    text[size] = '\0';
    memmove(text, text + length + 1, size - length);
    return text;
}

void cache_put(const char *key, const char *text)
{
    char path[PATH_MAX];
    char fresh[PATH_MAX];
    if (strlen(key) + 1 + strlen(text) > CACHE_SIZE || !cache_path(key, path))
        return;
    const int length = snprintf(fresh, sizeof fresh, "%s.XXXXXX", path);
    const int made = length > 0 && (size_t)length < sizeof fresh ? mkstemp(fresh) : -1;
    FILE *const file = made < 0 ? NULL : fdopen(made, "w");
    if (!file)
        return;
    const bool written = fprintf(file, "%s\n%s", key, text) > 0;
    if (fclose(file) != 0 || !written || rename(fresh, path) != 0)
        unlink(fresh);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The files of databases: their paths, their rights, and why they cannot be used: see place.h. */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_BYTES = 240 }; /* a file's name, without "-journal" */

/* What a database consists of: the file, and those which SQLite keeps beside it. */
static const struct part {
    const char *suffix, *noun;
} parts[] = {
    {"", "the database file"},
    {"-wal", "the database's log"},
    {"-shm", "the index of the database's log"},
    {"-journal", "the database's journal"},
};

enum { PARTS = sizeof parts / sizeof parts[0] };

/* ---- Paths ---- */

char *place_of(const char *path)
{
    char *folder = *path == '/' ? NULL : getcwd(NULL, 0);
    char *whole;
    if (asprintf(&whole, "%s%s%s", folder ? folder : "", *path == '/' ? "" : folder ? "/" : "./", path) < 0)
        whole = NULL;
    free(folder);
    return whole;
}

/* FNV-1a. */
static uint64_t place_hash(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash;
}

static bool place_is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Escapes as much of the prefix as fits into room bytes, and the NUL. Returns whether all of it did. */
static bool place_escape(char *out, size_t room, const char *prefix)
{
    char *const end = out + room;
    for (; *prefix && end - out >= 3; prefix++)
        out += sprintf(out, place_is_plain(*prefix) ? "%c" : "%%%02X", (unsigned char)*prefix);
    *out = '\0';
    return !*prefix;
}

char *place_beside(const char *path, const char *prefix)
{
    enum { HASH_CHARACTERS = 17 };
    const char *slash = strrchr(path, '/');
    const size_t used = strlen(slash ? slash + 1 : path) + 1 + HASH_CHARACTERS;
    char word[NAME_BYTES + 1], *beside;
    const bool is_whole = place_escape(word, used < NAME_BYTES ? NAME_BYTES - used : 0, prefix);
    const int size =
        is_whole ? asprintf(&beside, "%s.%s", path, word)
                 : asprintf(&beside, "%s.%s~%016llx", path, word, (unsigned long long)place_hash(prefix));
    return size < 0 ? NULL : beside;
}

/* ---- Rights ---- */

int place_create(const char *path)
{
    if (mknod(path, S_IFREG | 0600, 0) != 0)
        return errno == EEXIST ? 0 : errno;
    return chmod(path, 0600) == 0 ? 0 : errno; /* the umask may have taken the owner's rights */
}

int place_secure(const char *path)
{
    char *part;
    int error = 0;
    for (int i = 0; i < PARTS; i++) {
        struct stat file;
        if (asprintf(&part, "%s%s", path, parts[i].suffix) < 0)
            return ENOMEM;
        const bool is_known = (i == 0 ? stat(part, &file) : lstat(part, &file)) == 0;
        const bool is_wide = is_known && S_ISREG(file.st_mode) && file.st_mode & 077;
        if (is_wide && chmod(part, file.st_mode & 0700) != 0)
            error = errno;
        free(part);
    }
    return error;
}

/* ---- Reasons ---- */

static bool place_say(char *why, size_t size, const char *what, int error)
{
    char buffer[64];
    snprintf(why, size, "%s (%s)", what, strerror_r(error, buffer, sizeof buffer));
    return true;
}

/* Whether the process, with its effective user, lacks the rights; sets errno. */
static bool place_lacks(const char *path, int rights)
{
    return faccessat(AT_FDCWD, path, rights, AT_EACCESS) != 0;
}

/* The folder and those above it, as far as reaching the file needs them. */
static bool place_explain_folder(const char *folder, char *why, size_t size)
{
    struct stat file;
    if (stat(folder, &file) != 0)
        return place_say(why, size,
                         errno == ENOENT   ? "the database's folder does not exist"
                         : errno == EACCES ? "the database's folder may not be searched"
                                           : "the database's folder cannot be reached",
                         errno);
    if (!S_ISDIR(file.st_mode))
        return place_say(why, size, "the database's folder is a file", ENOTDIR);
    return place_lacks(folder, X_OK) &&
           place_say(why, size, "the database's folder may not be searched", errno);
}

static bool place_explain_part(const char *path, const char *noun, char *why, size_t size)
{
    char what[100];
    struct stat file;
    if (stat(path, &file) != 0) {
        const int error = errno;
        const bool is_link = error == ENOENT && lstat(path, &file) == 0;
        snprintf(what, sizeof what, "%s %s", noun,
                 is_link ? "is a link to a file that cannot be created" : "cannot be reached");
        return (error != ENOENT || is_link) && place_say(why, size, what, error);
    }
    const bool is_folder = S_ISDIR(file.st_mode);
    if (!S_ISREG(file.st_mode)) {
        snprintf(what, sizeof what, "%s is %s", noun, is_folder ? "a folder" : "no regular file");
        return place_say(why, size, what, is_folder ? EISDIR : EINVAL);
    }
    const char *lacked = place_lacks(path, R_OK) ? "read" : place_lacks(path, W_OK) ? "written" : NULL;
    const int error = errno;
    if (!lacked)
        return false;
    if (file.st_uid == geteuid())
        snprintf(what, sizeof what, "%s may not be %s", noun, lacked);
    else
        snprintf(what, sizeof what, "%s belongs to uid %lu and may not be %s", noun,
                 (unsigned long)file.st_uid, lacked);
    return place_say(why, size, what, error);
}

bool place_explain(const char *path, char *why, size_t size)
{
    char *folder = strdup(path), *slash = folder ? strrchr(folder, '/') : NULL;
    bool explained = false;
    if (slash) {
        slash[slash == folder] = '\0';
        explained = place_explain_folder(folder, why, size);
    }
    for (int i = 0; !explained && i < PARTS; i++) {
        char *part;
        if (asprintf(&part, "%s%s", path, parts[i].suffix) < 0)
            break;
        explained = place_explain_part(part, parts[i].noun, why, size);
        free(part);
    }
    if (!explained && slash && place_lacks(folder, W_OK))
        explained = place_say(why, size, "the database's folder may not be written", errno);
    free(folder);
    return explained;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * libmade_files.so: it is preloaded into a broker, and writes a line "mode path" to the file RPC_MADE_FILES
 * for each file or folder that the process is about to make. It must see files that live for a moment only,
 * such as journals.
 */
/* Or open() would be another name of open64(). */
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REPLACES __attribute__((visibility("default")))

static void note(const char *path, mode_t mode)
{
    char line[4200];
    const char *list = getenv("RPC_MADE_FILES");
    const int file =
        list && access(path, F_OK) != 0
            ? (int)syscall(SYS_openat, AT_FDCWD, list, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600)
            : -1;
    if (file < 0)
        return;
    const int size = snprintf(line, sizeof line, "%04o %s\n", (unsigned)mode & 07777, path);
    if (size <= 0 || (size_t)size >= sizeof line || write(file, line, (size_t)size) != size)
        abort();
    close(file);
}

static int open_noted(const char *path, int flags, va_list arguments)
{
    const mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    if (flags & O_CREAT)
        note(path, mode);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

REPLACES int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const int file = open_noted(path, flags, arguments);
    va_end(arguments);
    return file;
}

REPLACES int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const int file = open_noted(path, flags, arguments);
    va_end(arguments);
    return file;
}

REPLACES int mknod(const char *path, mode_t mode, dev_t device)
{
    note(path, mode);
    return (int)syscall(SYS_mknodat, AT_FDCWD, path, mode, (unsigned)device);
}

REPLACES int mkdir(const char *path, mode_t mode)
{
    note(path, mode);
    return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The configuration of a service, of which a part may change while it runs: the lines that its host was given
 * at start, and a file that one of them names, which is read at start and when the host asks for it, as at
 * SIGHUP. Inside a broker, which keeps the lines of its own configuration for ever, the file has nothing but
 * the settings that may change; a program may have all its options in the file (file_is_whole of struct
 * config_host).
 *
 * Threads: the host's. settings_reload() reads a file there: a regular one, of at most 1 MB.
 *
 * Ownership: settings are embedded in the host, and own copies of the lines and the configurations that are
 * made of them.
 *
 * Failure: settings_start() returns false and says why in one line; settings_reload() logs such a line, and
 * then nothing has changed.
 */
#ifndef CORE_SETTINGS_H
#define CORE_SETTINGS_H

#include "service.h"

enum { SETTINGS_LINE = SERVICE_WHY + 64 };

struct settings {
    struct option_lines given;      /* at start */
    struct config *first, *current; /* with which the service was started, and whose settings are in force */
    struct env_reload status;       /* its file is NULL: there is no file */
    struct arena arena;             /* has the texts of `given`, and the file's path */
};

/* Reads the configuration: the name and the value of each line. All zero before. Must be ended with
 * settings_fini() in any case. */
bool settings_start(struct settings *settings, const struct option_line *lines, size_t count,
                    char why[OPTIONS_WHY]);

/* Logs that the file was read. changes: settings that have changed. There is a file. */
void settings_log(const struct settings *settings, const struct host *host, size_t changes);

/* Reads the file again, if there is one, and has the service take over what has changed. Returns false if
 * that failed. */
bool settings_reload(struct settings *settings, struct service *service, const struct host *host);

/* Frees the configurations, unless something goes on with them, and the rest. */
void settings_fini(struct settings *settings, bool is_over);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The config_file: a text with the settings that may change while the broker runs. A line is the name of an
 * option, blanks and its value, as in the configuration of the broker, whose prefix the name may have. Empty
 * lines, and lines whose first character that is no blank is `#`, are left out. The settings of the file
 * replace those of the configuration that have the same name; or, where the file is the whole configuration
 * of a program, the other way round.
 *
 * Threads: any. These functions touch nothing but their arguments.
 *
 * Ownership: the lines that are made point into the text and into the lines of the configuration.
 *
 * Failure: config_file_merge() says in one line what is wrong and where.
 */
#ifndef CORE_CONFIG_FILE_H
#define CORE_CONFIG_FILE_H

#include "shape/options.h"

enum {
    CONFIG_FILE_BYTES = 1048576, /* of a file */
    CONFIG_FILE_SETTINGS = 1000  /* in a file */
};

/*
 * Makes one list of the lines of the configuration and those of the file, for config_create(). text has size
 * bytes and one byte behind them; it is changed. given->prefix is set. Returns the number of settings in the
 * file, or -1: why says what is wrong. The caller frees merged->lines with free() in both cases.
 */
int config_file_merge(struct option_lines *merged, const struct option_lines *given, const char *file,
                      char *text, size_t size, char why[OPTIONS_WHY]);

/* Writes what is wrong with a config_file as a whole, or with one of its lines if `line` is not 0. Returns
 * -1, to be returned. */
int config_file_refuse(const char *file, unsigned line, char why[OPTIONS_WHY], const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The command line: --NAME VALUE or --NAME=VALUE for every option of the worker, its engines and its modules.
 * An option that is true or false may stand alone and is true then; `-` stands for `_` in names. --help and
 * --version are printed from the same tables.
 *
 * Threads: the worker's.
 *
 * Ownership: a command_line owns its lines, which point into the arguments.
 *
 * Failure: command_line_read() says in one line what is wrong.
 */
#ifndef WORKER_COMMAND_LINE_H
#define WORKER_COMMAND_LINE_H

#include "shape/options.h"

enum command_line_result {
    COMMAND_LINE_RUN,  /* the lines are those of a configuration */
    COMMAND_LINE_DONE, /* help or the version was printed */
    COMMAND_LINE_WRONG
};

struct command_line {
    struct option_line *lines;
    size_t count;
};

/* Reads the command line, whose names it changes. To be ended with command_line_fini() in any case. */
enum command_line_result command_line_read(struct command_line *line, int count, char **arguments,
                                           char why[OPTIONS_WHY]);
void command_line_fini(struct command_line *line);

#endif

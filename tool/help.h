// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What --help and --version print, out of the tables of commands and options.
 *
 * Threads: the tool has one. Ownership: nothing is allocated. Failure: shows in output_flush().
 */
#ifndef TOOL_HELP_H
#define TOOL_HELP_H

#include "commands.h"

/* Prints how the tool is used; of a command, if it is not NULL. Returns TOOL_OK. */
enum tool_exit help_print(const struct command *command);

enum tool_exit help_print_version(void);

#endif

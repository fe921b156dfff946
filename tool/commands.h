// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The table of the tool's commands, out of which --help, the man page and the completion are made. A command
 * is a function in a file of its own, command_NAME.c, and a row in commands.c.
 *
 * Threads: the tool has one. Ownership: the tables are constants; a command borrows its words.
 *
 * Failure: a command returns its exit status, and has said what is wrong: see tool.h.
 */
#ifndef TOOL_COMMANDS_H
#define TOOL_COMMANDS_H

#include "tool.h"

/* Carries a command out. words are its arguments without its name and without options, count of them, NULL
 * behind. */
typedef enum tool_exit command_run(struct tool *tool, int count, char **words);

struct command {
    const char *name;
    const char *arguments; /* as the synopsis shows them, such as METHOD [NAME=VALUE …]; "": none */
    const char *doc;       /* one line */
    const char *details;   /* paragraphs for the man page and for `help COMMAND`; NULL: none */
    int min, max;          /* how many words it takes; max -1: any number */
    bool is_hidden;        /* it stands in no list: it serves the completion */
    command_run *run;
};

struct exit_row {
    enum tool_exit status;
    const char *doc;
};

extern const struct command commands[];
extern const size_t command_count;
extern const struct exit_row exits[];
extern const size_t exit_count;

/* The command of this name; NULL: there is none. */
const struct command *commands_find(const char *name);

command_run command_list_run, command_describe_run, command_call_run;
command_run command_events_run, command_stats_run, command_devices_run, command_workers_run,
    command_command_run, command_bench_run, command_generate_run;
command_run command_complete_run, command_man_run;

#endif

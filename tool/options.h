// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The tool's options: one table, out of which the command line, the config file, --help, the man page and the
 * completion are made. To add an option is to add a member of struct tool_options and a row of the table.
 *
 * Threads: the tool has one.
 *
 * Ownership: texts belong to struct tool_options until options_fini().
 *
 * Failure: options_read() returns -1, and says why in one line.
 */
#ifndef TOOL_OPTIONS_H
#define TOOL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include <mosquitto_rpc_client.h>

enum { OPTION_ROWS_MAX = 96, OPTIONS_WHY = 5000 };

struct tool_options {
    struct rpc_client_options client;
    bool has_timeout; /* -W was given */
    bool help, version, json, plain, quiet;
    bool batch, progress;
    const char *params; /* JSON text, or - */
    const char *traceparent;
    const char *language, *from, *output, *name; /* of generate */
    int count, duration_ms, interval_ms;         /* 0: none; interval_ms always has a value */
    bool no_retained, watch;
    const char *state, *group;
    const char *offline, *ttl_ms, *stale_ms, *want, *stall_ms, *abort_percent; /* user properties of a call */
    int concurrency, rate, warmup_ms; /* 0: not given; warmup_ms -1: not given */
    char **owned;                     /* texts that options_fini() frees */
    size_t owned_count;
    bool is_given[OPTION_ROWS_MAX]; /* on the command line, row by row */
    char why[80];                   /* what is wrong with a number, for options_read() */
};

enum option_kind {
    OPTION_FLAG,    /* bool */
    OPTION_TEXT,    /* const char * */
    OPTION_UNIX,    /* const char *: a path, and port 0 */
    OPTION_SIZE,    /* size_t, from min to max */
    OPTION_NUMBER,  /* int, from min to max */
    OPTION_SECONDS, /* int, in milliseconds; given in seconds, which may have a fraction; min and max in ms */
    OPTION_PROTOCOL, /* int: 5 or 311, as mosquitto's clients write it */
    OPTION_URL,      /* host, port, user name and password at once */
    OPTION_SECRET    /* const char *: the first line of the file that is given */
};

struct option_row {
    char letter;          /* 0: none */
    const char *name;     /* without -- */
    const char *argument; /* what --help calls it; NULL: it takes none */
    const char *doc;      /* one line */
    const char *command;  /* the commands that it belongs to, separated by spaces; NULL: all */
    enum option_kind kind;
    size_t offset; /* of the member in struct tool_options */
    int min, max;
};

extern const struct option_row option_rows[];
extern const size_t option_row_count;

/* Sets all options to their defaults. */
void options_init(struct tool_options *options);
void options_fini(struct tool_options *options);

/*
 * Reads the config file, if there is one, and then the command line, which wins. Moves what is no option to
 * the end of words and returns the index of the first of these; -1: something is wrong, which why says.
 */
int options_read(struct tool_options *options, int count, char **words, char why[OPTIONS_WHY]);

/* Whether the option may be given with this command. */
bool option_is_of(const struct option_row *row, const char *command);

#endif

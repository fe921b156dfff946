// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What all commands of the tool mosquitto_rpc share: the options that were given, the client, and how they
 * end.
 *
 * Threads: the tool has one.
 *
 * Ownership: the struct is main()'s; a command borrows it.
 *
 * Failure: a command returns an enum tool_exit, which is the tool's exit status, and has said what is wrong
 * on standard error by tool_fail().
 */
#ifndef TOOL_TOOL_H
#define TOOL_TOOL_H

#include <mosquitto_rpc_client.h>

#include "options.h"
#include "until.h"

/* The exit status, for scripts. The table exits in commands.c says what each means. */
enum tool_exit {
    TOOL_OK = 0,
    TOOL_ERROR = 1,
    TOOL_USAGE = 2,
    TOOL_DISCONNECTED = 3,
    TOOL_TIMEOUT = 4,
    TOOL_REFUSED = 5,
    TOOL_FAILED = 6
};

struct tool {
    struct tool_options options;
    struct rpc_client *client; /* NULL until tool_connect() */
    struct until patience;     /* for the connection and the next reply */
};

/* The command may wait again for as long as --timeout says: it begins, or a reply has come. */
void tool_wait_anew(struct tool *tool);

/* How many milliseconds it may still wait, at least 1. */
int tool_left(const struct tool *tool);

/* Prints a message to standard error, made printable, as `mosquitto_rpc: …`, and returns status. */
__attribute__((format(printf, 3, 4))) enum tool_exit tool_fail(const struct tool *tool, enum tool_exit status,
                                                               const char *format, ...);

/* Connects, if that has not been done. Returns TOOL_OK, or what the command has to return; it has been said
 * then. */
enum tool_exit tool_connect(struct tool *tool);

/* The exit status for what a function of the client has returned. */
enum tool_exit tool_exit_of(enum rpc_client_status status);

/* Says on standard error what a reply without a result tells, and returns the exit status for it. */
enum tool_exit tool_fail_reply(const struct tool *tool, const char *method,
                               const struct rpc_client_reply *reply);

/* rpc_client_call(), which waits no longer than the command may, unless the request has a timeout of its own.
 */
enum rpc_client_status tool_ask(struct tool *tool, const struct rpc_client_request *request,
                                struct rpc_client_reply *reply);

/*
 * Calls a method with parameters as JSON text (NULL: none), connecting first if need be. On TOOL_OK the
 * caller frees the reply with rpc_client_reply_clear(); else the failure has been said.
 */
enum tool_exit tool_call(struct tool *tool, const char *method, const char *params,
                         struct rpc_client_reply *reply);

/*
 * Calls a method with these parameters, which it frees, and returns the result, which the caller frees. NULL:
 * *outcome says why, as it was said. NULL as params: there was no memory for them.
 */
cJSON *tool_fetch(struct tool *tool, const char *method, cJSON *params, enum tool_exit *outcome);

#endif

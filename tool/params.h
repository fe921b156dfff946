// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Parameters of a call out of the command line: NAME=VALUE with the types that the service tells, JSON, or
 * bytes.
 *
 * Threads: the tool has one.
 *
 * Ownership: the caller frees what functions give; see each.
 *
 * Failure: functions return an enum tool_exit, and have said what is wrong.
 */
#ifndef TOOL_PARAMS_H
#define TOOL_PARAMS_H

#include "tool.h"

/* A text that may hold any bytes, with a 0 behind them. The caller frees bytes. NULL: there is none. */
struct params_text {
    char *bytes;
    size_t size;
};

/*
 * Asks the service to describe a method. *description is its answer, which the caller deletes. It is NULL,
 * and the result TOOL_OK, if the service does not describe methods, or not to this client, or not this one;
 * the types of parameters are guessed then.
 */
enum tool_exit params_describe(struct tool *tool, const char *method, cJSON **description);

/* What describes the call: the method, or of the commands of devices the one that these words fit best. NULL:
 * nothing. */
const cJSON *params_method(const cJSON *description, int count, char **words);

/* The member payload of its x-mqtt: object, value or bytes. NULL: unknown. */
const char *params_payload(const cJSON *method);

/*
 * Makes the payload of words and of base, which is JSON text or bytes that were given as a whole, or has no
 * bytes. It is made by the description of params_method(), or NULL. Words go before the members of base.
 */
enum tool_exit params_make(const struct tool *tool, const cJSON *method, int count, char **words,
                           const struct params_text *base, struct params_text *made);

/* Makes the payload of a batch of JSON text: an array, or values one behind the other. */
enum tool_exit params_make_batch(const struct tool *tool, const struct params_text *base,
                                 struct params_text *made);

/* Reads standard input to its end, or the file of this name. */
enum tool_exit params_read(const struct tool *tool, const char *path, struct params_text *read);

/* Reads what the option --params gives: a copy of the text; of -, standard input; of NULL, no bytes. */
enum tool_exit params_read_given(const struct tool *tool, const char *given, struct params_text *read);

/* Whether the method takes a parameter that must be given. */
bool params_are_required(const cJSON *method);

#endif

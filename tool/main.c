// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The command-line tool mosquitto_rpc: reads the options, and runs the command. */
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "help.h"
#include "output.h"

enum { TOOL_MESSAGE = 2000 };

enum tool_exit tool_fail(const struct tool *tool, enum tool_exit status, const char *format, ...)
{
    char text[TOOL_MESSAGE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (tool && tool->options.quiet)
        return status;
    fflush(stdout);
    fputs("mosquitto_rpc: ", stderr);
    output_text(stderr, text, strlen(text));
    fputc('\n', stderr);
    return status;
}

void tool_wait_anew(struct tool *tool)
{
    tool->patience = until_start(tool->options.client.timeout_ms);
}

int tool_left(const struct tool *tool)
{
    const uint64_t now = until_now();
    return now < tool->patience.end ? (int)((tool->patience.end - now) / 1000000) + 1 : 1;
}

enum tool_exit tool_exit_of(enum rpc_client_status status)
{
    switch (status) {
    case RPC_CLIENT_OK:
        return TOOL_OK;
    case RPC_CLIENT_ERROR:
    case RPC_CLIENT_TOO_LARGE:
        return TOOL_ERROR;
    case RPC_CLIENT_TIMEOUT:
        return TOOL_TIMEOUT;
    case RPC_CLIENT_INVALID:
        return TOOL_USAGE;
    case RPC_CLIENT_DISCONNECTED:
        return TOOL_DISCONNECTED;
    case RPC_CLIENT_REFUSED:
        return TOOL_REFUSED;
    case RPC_CLIENT_CLOSED:
    case RPC_CLIENT_OVERLOADED:
    case RPC_CLIENT_NO_MEMORY:
    case RPC_CLIENT_BAD_REPLY:
        break;
    }
    return TOOL_FAILED;
}

/* Says why no client can be made of the options, where rpc_client_check() sees nothing wrong. */
static enum tool_exit tool_fail_options(const struct tool *tool, enum rpc_client_status status)
{
    const struct rpc_client_options *options = &tool->options.client;
    const char *files[] = {options->cafile, options->capath, options->certfile, options->keyfile};
    if (status == RPC_CLIENT_NO_MEMORY)
        return tool_fail(tool, TOOL_FAILED, "there is no memory");
    for (size_t at = 0; at < sizeof files / sizeof *files; at++)
        if (files[at] && access(files[at], R_OK) != 0)
            return tool_fail(tool, TOOL_USAGE, "%s cannot be read", files[at]);
    return tool_fail(
        tool, TOOL_USAGE,
        "the options of TLS are wrong: a version, cipher or key that the library does not know, or "
        "files that hold something else");
}

enum tool_exit tool_connect(struct tool *tool)
{
    struct rpc_client_options *options = &tool->options.client;
    if (!tool->client) {
        const char *wrong = rpc_client_check(options);
        if (wrong)
            return tool_fail(tool, TOOL_USAGE, "%s", wrong);
        enum rpc_client_status status = rpc_client_create(&tool->client, options);
        if (status)
            return tool_fail_options(tool, status);
    }
    if (rpc_client_is_connected(tool->client))
        return TOOL_OK;
    enum rpc_client_status status = rpc_client_connect(tool->client, tool_left(tool));
    if (!status)
        return TOOL_OK;
    return tool_fail(tool, status == RPC_CLIENT_REFUSED ? TOOL_REFUSED : TOOL_DISCONNECTED, "%s",
                     rpc_client_why(tool->client));
}

/* The members of an error object that a method adds, as one line of JSON behind the message. */
static void tool_print_details(const struct tool *tool, const cJSON *error)
{
    static const char *const told[] = {"method", "err", "msg"};
    cJSON *rest = cJSON_Duplicate(error, true);
    for (size_t at = 0; at < sizeof told / sizeof *told; at++)
        cJSON_DeleteItemFromObjectCaseSensitive(rest, told[at]);
    char *text = cJSON_GetArraySize(rest) > 0 && !tool->options.quiet ? cJSON_PrintUnformatted(rest) : NULL;
    if (text) {
        output_text(stderr, text, strlen(text));
        fputc('\n', stderr);
    }
    cJSON_free(text);
    cJSON_Delete(rest);
}

static bool tool_is_of_devices(const char *method)
{
    static const char *const beginnings[] = {"device.", "device/", "devices/"};
    for (size_t at = 0; at < sizeof beginnings / sizeof *beginnings; at++)
        if (strncmp(method, beginnings[at], strlen(beginnings[at])) == 0)
            return true;
    return false;
}

/* A method of devices is not there: says so if the reason is that the whole module is not. */
static void tool_blame_module(const struct tool *tool)
{
    struct rpc_client_reply list;
    const cJSON *method;
    bool is_missing = rpc_client_call(tool->client, &(struct rpc_client_request){.method = "rpc.list"},
                                      &list) == RPC_CLIENT_OK;
    cJSON_ArrayForEach(method, cJSON_GetObjectItemCaseSensitive(list.data, "methods"))
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(method, "name"));
        is_missing = is_missing && !(name && strcmp(name, "device.list") == 0);
    }
    if (is_missing)
        tool_fail(tool, TOOL_ERROR,
                  "the service has no devices: the module device is not loaded, see plugin_opt_modules");
    rpc_client_reply_clear(&list);
}

enum tool_exit tool_fail_reply(const struct tool *tool, const char *method,
                               const struct rpc_client_reply *reply)
{
    const char *prefix = tool->options.client.prefix ? tool->options.client.prefix : "rpc";
    if (reply->status == RPC_CLIENT_TIMEOUT && rpc_client_is_connected(tool->client))
        tool_fail(tool, TOOL_TIMEOUT,
                  "%s: no reply within %g s. Does the broker have the plugin, with the prefix %s? May this "
                  "client publish to %s/call/%s?",
                  method, tool->options.client.timeout_ms / 1000.0, prefix, prefix, method);
    else if (reply->status == RPC_CLIENT_ERROR && tool->options.json && !tool->options.quiet) {
        output_text(stderr, reply->text, reply->size);
        fputc('\n', stderr);
    } else {
        tool_fail(tool, TOOL_ERROR, "%s: %s%s%s", method, reply->err, reply->msg && *reply->msg ? ": " : "",
                  reply->msg ? reply->msg : "");
        tool_print_details(tool, reply->data);
        if (strcmp(reply->err, "method_not_found") == 0 && tool_is_of_devices(method) && !tool->options.quiet)
            tool_blame_module(tool);
    }
    if (reply->status == RPC_CLIENT_ERROR && strcmp(reply->err, "timeout") == 0)
        return TOOL_TIMEOUT;
    return tool_exit_of(reply->status);
}

enum rpc_client_status tool_ask(struct tool *tool, const struct rpc_client_request *request,
                                struct rpc_client_reply *reply)
{
    struct rpc_client_request patient = *request;
    if (!patient.timeout_ms)
        patient.timeout_ms = tool_left(tool);
    const enum rpc_client_status status = rpc_client_call(tool->client, &patient, reply);
    if (status != RPC_CLIENT_TIMEOUT)
        tool_wait_anew(tool);
    return status;
}

enum tool_exit tool_call(struct tool *tool, const char *method, const char *params,
                         struct rpc_client_reply *reply)
{
    enum tool_exit failed = tool_connect(tool);
    if (failed)
        return failed;
    struct rpc_client_request request = {.method = method, .payload = params};
    if (tool_ask(tool, &request, reply) == RPC_CLIENT_OK)
        return TOOL_OK;
    failed = reply->status == RPC_CLIENT_INVALID
                 ? tool_fail(tool, TOOL_USAGE, "%s cannot be called: %s", method, reply->msg)
                 : tool_fail_reply(tool, method, reply);
    rpc_client_reply_clear(reply);
    return failed;
}

cJSON *tool_fetch(struct tool *tool, const char *method, cJSON *params, enum tool_exit *outcome)
{
    struct rpc_client_reply reply;
    char *const text = cJSON_PrintUnformatted(params);
    cJSON_Delete(params);
    *outcome =
        text ? tool_call(tool, method, text, &reply) : tool_fail(tool, TOOL_FAILED, "there is no memory");
    cJSON_free(text);
    if (*outcome != TOOL_OK)
        return NULL;
    cJSON *const result = cJSON_Duplicate(reply.data, true);
    rpc_client_reply_clear(&reply);
    if (!result)
        *outcome = tool_fail(tool, TOOL_FAILED, "%s: there is no memory, or no result", method);
    return result;
}

static const struct option_row *tool_find_misplaced(const struct tool_options *options, const char *command)
{
    for (size_t at = 0; at < option_row_count; at++)
        if (options->is_given[at] && !option_is_of(&option_rows[at], command))
            return &option_rows[at];
    return NULL;
}

static enum tool_exit tool_run(struct tool *tool, int count, char **words)
{
    if (tool->options.version)
        return help_print_version();
    if (count == 0)
        return tool->options.help
                   ? help_print(NULL)
                   : tool_fail(tool, TOOL_USAGE, "no command was given; see mosquitto_rpc --help");
    const struct command *command = commands_find(words[0]);
    if (!command)
        return tool_fail(tool, TOOL_USAGE, "there is no command %s; see mosquitto_rpc --help", words[0]);
    if (tool->options.help)
        return help_print(command);
    const struct option_row *misplaced = tool_find_misplaced(&tool->options, command->name);
    if (misplaced)
        return tool_fail(tool, TOOL_USAGE, "the option --%s is none of %s", misplaced->name, command->name);
    if (count - 1 < command->min || (command->max >= 0 && count - 1 > command->max))
        return tool_fail(tool, TOOL_USAGE, "usage: mosquitto_rpc [options] %s %s", command->name,
                         command->arguments);
    tool_wait_anew(tool);
    return command->run(tool, count - 1, words + 1);
}

/*
 * Opens those of the standard streams that are closed, so that no connection and no file gets the number of
 * one, and what is printed to it. What is read from them or written to them fails as before.
 */
static bool tool_open_streams(void)
{
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++)
        if (fcntl(stream, F_GETFD) < 0 &&
            open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY) != stream)
            return false;
    return true;
}

int main(int count, char **words)
{
    struct tool tool = {.client = NULL};
    if (!tool_open_streams())
        return TOOL_FAILED;
    /* A reader that has gone is an error of a write, whether libmosquitto ignores the signal or not. */
    signal(SIGPIPE, SIG_IGN);
    setlocale(LC_CTYPE, "");
    options_init(&tool.options);
    char why[OPTIONS_WHY];
    int first = options_read(&tool.options, count, words, why);
    enum tool_exit status =
        first < 0 ? tool_fail(NULL, TOOL_USAGE, "%s", why) : tool_run(&tool, count - first, words + first);
    enum tool_exit flushed = output_flush(&tool);
    rpc_client_destroy(tool.client);
    options_fini(&tool.options);
    return status ? (int)status : (int)flushed;
}

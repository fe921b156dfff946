// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* mosquitto_rpc call: calls a method, or a batch of calls. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "output.h"
#include "params.h"

/* Whether standard input is a file or a pipe, from which somebody may have wanted parameters to be read. */
static bool call_has_input(void)
{
    struct stat status;
    return !isatty(STDIN_FILENO) && fstat(STDIN_FILENO, &status) == 0 &&
           (S_ISFIFO(status.st_mode) || S_ISREG(status.st_mode) || S_ISSOCK(status.st_mode));
}

/* Reads the parameters that are given as a whole, if there are any. */
static enum tool_exit call_read_base(const struct tool *tool, const cJSON *method, int count,
                                     struct params_text *base)
{
    const char *params = tool->options.params;
    if (!params &&
        (tool->options.batch || (count == 0 && method && params_are_required(method) && call_has_input())))
        params = "-";
    return params_read_given(tool, params, base);
}

/* The time that the method takes by itself, if that is longer than the usual one, and no other was asked for.
 */
static int call_timeout(const struct tool *tool, const cJSON *method)
{
    const cJSON *timeout =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(method, "x-mqtt"), "timeoutMs");
    if (tool->options.has_timeout || !cJSON_IsNumber(timeout) ||
        timeout->valuedouble <= tool->options.client.timeout_ms || timeout->valuedouble > 86400000)
        return 0;
    return (int)timeout->valuedouble;
}

static void call_show_progress(void *user, const struct rpc_client_reply *reply)
{
    (void)user;
    fflush(stdout);
    output_text(stderr, reply->text, reply->size);
    fputc('\n', stderr);
}

/* Of a batch: whether a call of it has failed. */
static bool call_has_error(const cJSON *results)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, results)
    {
        if (cJSON_GetObjectItemCaseSensitive(row, "error"))
            return true;
    }
    return false;
}

enum { CALL_PROPERTIES = 6 };

/* The user properties that options of the tool are. Returns how many there are. */
static size_t call_read_properties(const struct tool_options *options,
                                   struct rpc_client_property properties[CALL_PROPERTIES])
{
    const struct rpc_client_property all[CALL_PROPERTIES] = {
        {"offline", options->offline}, {"ttl-ms", options->ttl_ms},     {"stale-ms", options->stale_ms},
        {"want", options->want},       {"stall-ms", options->stall_ms}, {"abort", options->abort_percent},
    };
    size_t count = 0;
    for (size_t at = 0; at < CALL_PROPERTIES; at++)
        if (all[at].value)
            properties[count++] = all[at];
    return count;
}

/* Of a call of a group: whether a device has not carried the command out. */
static bool call_has_failed_member(const char *name, const cJSON *result)
{
    const cJSON *total = cJSON_GetObjectItemCaseSensitive(result, "total");
    const cJSON *ok = cJSON_GetObjectItemCaseSensitive(result, "ok");
    return strncmp(name, "devices/", strlen("devices/")) == 0 && cJSON_IsNumber(total) &&
           cJSON_IsNumber(ok) && ok->valuedouble < total->valuedouble;
}

static enum tool_exit call_make(struct tool *tool, const char *name, const cJSON *method,
                                const struct params_text *payload)
{
    struct rpc_client_reply reply;
    struct rpc_client_property properties[CALL_PROPERTIES];
    struct rpc_client_request request = {.method = name,
                                         .properties = properties,
                                         .property_count = call_read_properties(&tool->options, properties),
                                         .is_batch = tool->options.batch,
                                         .payload = payload->bytes,
                                         .size = payload->size,
                                         .timeout_ms = call_timeout(tool, method),
                                         .keeps_deadline = call_timeout(tool, method) > 0,
                                         .traceparent = tool->options.traceparent,
                                         .on_progress = tool->options.progress ? call_show_progress : NULL};
    enum rpc_client_status status = tool_ask(tool, &request, &reply);
    enum tool_exit failed = TOOL_OK;
    if (status == RPC_CLIENT_INVALID)
        failed = tool_fail(tool, TOOL_USAGE, "%s cannot be called: %s", *name ? name : "\"\"", reply.msg);
    else if (status)
        failed = tool_fail_reply(tool, name, &reply);
    else {
        output_result(tool, &reply);
        bool has_failure =
            tool->options.batch ? call_has_error(reply.data) : call_has_failed_member(name, reply.data);
        failed = has_failure ? TOOL_ERROR : TOOL_OK;
    }
    rpc_client_reply_clear(&reply);
    return failed;
}

enum tool_exit command_call_run(struct tool *tool, int count, char **words)
{
    cJSON *description;
    struct params_text base = {NULL, 0}, payload = {NULL, 0};
    const char *name = words[0];
    words++;
    count--;
    if (count > 0 && !tool->options.params && strcmp(words[count - 1], "-") == 0) {
        tool->options.params = "-";
        count--;
    }
    if (count == 1 && !tool->options.params && words[0][0] == '{') {
        tool->options.params = words[0];
        count = 0;
    }
    if (tool->options.batch && count > 0)
        return tool_fail(tool, TOOL_USAGE, "--batch takes its parameters from --params or standard input");
    enum tool_exit failed = params_describe(tool, name, &description);
    if (failed)
        return failed;
    const cJSON *method = params_method(description, count, words);
    failed = call_read_base(tool, method, count, &base);
    if (!failed)
        failed = tool->options.batch ? params_make_batch(tool, &base, &payload)
                                     : params_make(tool, method, count, words, &base, &payload);
    if (!failed)
        failed = call_make(tool, name, method, &payload);
    free(base.bytes);
    free(payload.bytes);
    cJSON_Delete(description);
    return failed;
}

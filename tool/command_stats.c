// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The command stats: what rpc.stats tells, once or again and again. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "commands.h"
#include "output.h"
#include "show.h"
#include "until.h"

/* Upper bounds in seconds of the buckets that rpc.stats counts durations in; the last bucket has none. */
static const double stats_bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                      0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};
enum { STATS_BOUNDS = sizeof stats_bounds / sizeof *stats_bounds };

/* The bound that this share of a method's calls did not exceed; the longest call is never exceeded. */
static double stats_percentile(const cJSON *method, double share)
{
    const cJSON *const buckets = cJSON_GetObjectItemCaseSensitive(method, "buckets");
    const double max = show_number(method, "max_s");
    const double wanted = share * show_number(method, "calls");
    double counted = 0;
    size_t at = 0;
    const cJSON *bucket;
    cJSON_ArrayForEach(bucket, buckets)
    {
        counted += cJSON_IsNumber(bucket) ? bucket->valuedouble : 0;
        if (counted >= wanted)
            return at < STATS_BOUNDS && stats_bounds[at] < max ? stats_bounds[at] : max;
        at++;
    }
    return max;
}

static double stats_errors(const cJSON *method)
{
    double errors = 0;
    const cJSON *error;
    cJSON_ArrayForEach(error, cJSON_GetObjectItemCaseSensitive(method, "errors"))
    {
        errors += cJSON_IsNumber(error) ? error->valuedouble : 0;
    }
    return errors;
}

/* The method of this name in a document; NULL: it has none. */
static const cJSON *stats_find(const cJSON *document, const char *name)
{
    const cJSON *method;
    cJSON_ArrayForEach(method, cJSON_GetObjectItemCaseSensitive(document, "methods"))
    {
        if (strcmp(show_string(method, "method"), name) == 0)
            return method;
    }
    return NULL;
}

/* Calls a second since the former document. */
static double stats_rate(const cJSON *document, const cJSON *former, const cJSON *now, const cJSON *then)
{
    const double seconds = show_number(document, "uptime_s") - show_number(former, "uptime_s");
    const double calls = show_number(now, "calls") - show_number(then, "calls");
    return seconds > 0 && calls > 0 ? calls / seconds : 0;
}

/* Counters that are 0 are left out, but for calls and errors. */
static void stats_print_head(const cJSON *document)
{
    const cJSON *const pool = cJSON_GetObjectItemCaseSensitive(document, "pool");
    const cJSON *counter;
    output_styled(stdout, OUTPUT_BOLD, "mosquitto-rpc ");
    output_styled(stdout, OUTPUT_BOLD, show_string(document, "version"));
    printf(" in ");
    output_styled(stdout, OUTPUT_PLAIN, show_string(document, "broker"));
    printf(", prefix ");
    output_styled(stdout, OUTPUT_PLAIN, show_string(document, "prefix"));
    printf(", up %s\n", show_duration(show_number(document, "uptime_s")).text);
    cJSON_ArrayForEach(counter, cJSON_GetObjectItemCaseSensitive(document, "counters"))
    {
        if (!cJSON_IsNumber(counter) || (counter->valuedouble == 0 && strcmp(counter->string, "calls") != 0 &&
                                         strcmp(counter->string, "errors") != 0))
            continue;
        output_styled(stdout, OUTPUT_DIM, counter->string);
        printf(" %s  ", show_count(counter->valuedouble).text);
    }
    printf("\nworkers %s, busy %s, replaced %s; calls that wait for one %s\n",
           show_count(show_number(pool, "workers")).text, show_count(show_number(pool, "busy")).text,
           show_count(show_number(pool, "replaced")).text, show_count(show_number(pool, "waiting")).text);
}

/* The bounded tables that have something in them. */
static enum tool_exit stats_print_tables(const struct tool *tool, const cJSON *document)
{
    static const char *const headings[] = {"TABLE", "ENTRIES", "OF", "BYTES", "OF"};
    struct output_table table;
    const cJSON *row;
    output_table_init(&table, 5, headings);
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(document, "tables"))
    {
        if (show_number(row, "entries") == 0)
            continue;
        static const char *const members[] = {"entries", "max", "bytes", "bytes_max"};
        output_table_add(&table, show_string(row, "name"));
        for (size_t at = 0; at < sizeof members / sizeof *members; at++)
            output_table_add(&table, cJSON_HasObjectItem(row, members[at])
                                         ? show_count(show_number(row, members[at])).text
                                         : "");
    }
    return output_table_print(tool, &table);
}

static void stats_add_method(struct output_table *table, const cJSON *method, double rate)
{
    const double calls = show_number(method, "calls");
    const cJSON *const error = cJSON_GetObjectItemCaseSensitive(method, "last_error");
    char last[200] = "";
    if (cJSON_IsObject(error))
        snprintf(last, sizeof last, "%s %s ago", show_string(error, "err"),
                 show_age(show_number(error, "at")).text);
    output_table_add(table, show_string(method, "method"));
    output_table_add(table, show_count(calls).text);
    if (rate >= 0)
        output_table_add(table, show_count(rate).text);
    output_table_add(table, show_count(stats_errors(method)).text);
    output_table_add(table, show_count(show_number(method, "running")).text);
    output_table_add(table, show_count(show_number(method, "waiting")).text);
    output_table_add(table, show_duration(calls > 0 ? show_number(method, "sum_s") / calls : 0).text);
    output_table_add(table, show_duration(stats_percentile(method, 0.5)).text);
    output_table_add(table, show_duration(stats_percentile(method, 0.99)).text);
    output_table_add(table, show_duration(show_number(method, "max_s")).text);
    output_table_add(table, last);
}

enum { STATS_RESERVED = 12 }; /* lines of the screen that are not for methods */

/* How many methods a screen has room for; there is no limit where the output is not drawn again. */
static int stats_room(const struct tool *tool)
{
    struct winsize size;
    if (!tool->options.watch || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0)
        return INT_MAX;
    return size.ws_row > STATS_RESERVED ? size.ws_row - STATS_RESERVED : 1;
}

/* former: the document before, for calls a second; NULL: there is none. */
static enum tool_exit stats_print_methods(const struct tool *tool, const cJSON *document, const cJSON *former)
{
    static const char *const headings[] = {"METHOD", "CALLS", "ERRORS", "RUNNING", "WAITING",
                                           "MEAN",   "P50",   "P99",    "MAX",     "LAST ERROR"};
    static const char *const with_rate[] = {"METHOD", "CALLS", "A SECOND", "ERRORS", "RUNNING",   "WAITING",
                                            "MEAN",   "P50",   "P99",      "MAX",    "LAST ERROR"};
    struct output_table table;
    const cJSON *method;
    int room = stats_room(tool);
    if (former)
        output_table_init(&table, sizeof with_rate / sizeof *with_rate, with_rate);
    else
        output_table_init(&table, sizeof headings / sizeof *headings, headings);
    cJSON_ArrayForEach(method, cJSON_GetObjectItemCaseSensitive(document, "methods"))
    {
        const cJSON *const then = stats_find(former, show_string(method, "method"));
        if (room-- > 0)
            stats_add_method(&table, method, former ? stats_rate(document, former, method, then) : -1);
    }
    return output_table_print(tool, &table);
}

/* Of one method alone, if it is not NULL. */
static enum tool_exit stats_print(const struct tool *tool, const char *method, const cJSON *document,
                                  const cJSON *former)
{
    enum tool_exit outcome = TOOL_OK;
    if (output_is_json(tool)) {
        output_json(tool, document);
        return output_flush(tool);
    }
    if (tool->options.watch)
        printf("\033[H\033[J"); /* the screen is drawn again */
    if (!method) {
        stats_print_head(document);
        putchar('\n');
        outcome = stats_print_tables(tool, document);
        putchar('\n');
    }
    if (outcome == TOOL_OK)
        outcome = stats_print_methods(tool, document, former);
    return outcome == TOOL_OK ? output_flush(tool) : outcome;
}

static enum tool_exit stats_read(struct tool *tool, const char *method, cJSON **document);

/* Moves the methods of a document to those of another one, and frees the rest of it. */
static void stats_merge(cJSON **whole, cJSON *part)
{
    if (!*whole) {
        *whole = part;
        return;
    }
    cJSON *const methods = cJSON_GetObjectItemCaseSensitive(*whole, "methods");
    for (cJSON *method;
         (method = cJSON_DetachItemFromArray(cJSON_GetObjectItemCaseSensitive(part, "methods"), 0));)
        if (!cJSON_AddItemToArray(methods, method))
            cJSON_Delete(method);
    cJSON_Delete(part);
}

/* The document of a service whose methods do not fit into one reply. */
static enum tool_exit stats_read_each(struct tool *tool, cJSON **document)
{
    struct rpc_client_reply list;
    enum tool_exit outcome = tool_call(tool, "rpc.list", NULL, &list);
    if (outcome != TOOL_OK)
        return outcome;
    const cJSON *method;
    cJSON_ArrayForEach(method, cJSON_GetObjectItemCaseSensitive(list.data, "methods"))
    {
        cJSON *part = NULL;
        if (outcome == TOOL_OK)
            outcome = stats_read(tool, show_string(method, "name"), &part);
        if (part)
            stats_merge(document, part);
    }
    rpc_client_reply_clear(&list);
    return outcome;
}

/* What rpc.stats tells of a method; NULL: of all. The caller frees *document, also after a failure. */
static enum tool_exit stats_read(struct tool *tool, const char *method, cJSON **document)
{
    struct rpc_client_reply reply;
    cJSON *const params = cJSON_CreateObject();
    if (method)
        cJSON_AddStringToObject(params, "method", method);
    const struct rpc_client_request request = {.method = "rpc.stats", .params = params};
    const enum rpc_client_status status = tool_ask(tool, &request, &reply);
    cJSON_Delete(params);
    enum tool_exit outcome = TOOL_OK;
    if (status == RPC_CLIENT_OK)
        *document = cJSON_Duplicate(reply.data, true);
    else if (!method && status == RPC_CLIENT_ERROR && strcmp(reply.err, "reply_too_large") == 0)
        outcome = stats_read_each(tool, document);
    else
        outcome = tool_fail_reply(tool, "rpc.stats", &reply);
    rpc_client_reply_clear(&reply);
    if (outcome == TOOL_OK && !*document)
        outcome = tool_fail(tool, TOOL_FAILED, "there is no memory for the statistics");
    return outcome;
}

/* Again and again. What fails is tried again, once it has succeeded. */
static enum tool_exit stats_watch(struct tool *tool, const char *method)
{
    const struct until until = until_start(tool->options.duration_ms);
    enum tool_exit outcome = TOOL_OK;
    enum tool_exit printed = TOOL_OK;
    cJSON *former = NULL;
    while (until_left(&until) > 0 && printed == TOOL_OK && (outcome == TOOL_OK || former)) {
        const struct until next = until_start(tool->options.interval_ms);
        cJSON *document = NULL;
        tool_wait_anew(tool);
        outcome = stats_read(tool, method, &document);
        if (outcome == TOOL_OK) {
            printed = stats_print(tool, method, document, former);
            cJSON_Delete(former);
            former = document;
        } else
            cJSON_Delete(document);
        for (int ms; until_left(&until) > 0 && (ms = until_left(&next)) > 0;)
            rpc_client_run(tool->client, ms);
    }
    cJSON_Delete(former);
    return printed == TOOL_OK ? outcome : printed;
}

enum tool_exit command_stats_run(struct tool *tool, int count, char **words)
{
    cJSON *document = NULL;
    enum tool_exit outcome = tool_connect(tool);
    if (outcome != TOOL_OK)
        return outcome;
    if (tool->options.watch)
        return stats_watch(tool, count ? words[0] : NULL);
    outcome = stats_read(tool, count ? words[0] : NULL, &document);
    if (outcome == TOOL_OK)
        outcome = stats_print(tool, count ? words[0] : NULL, document, NULL);
    cJSON_Delete(document);
    return outcome;
}

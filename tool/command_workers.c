// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The command workers: the workers that are attached, or one of them with the methods that it offers. */
#include <string.h>

#include "commands.h"
#include "output.h"
#include "show.h"

/* Calls rpc.workers, for all workers or for one. Returns NULL: *outcome says why, as it was said. */
static cJSON *workers_read(struct tool *tool, const char *name, enum tool_exit *outcome)
{
    cJSON *const params = cJSON_CreateObject();
    cJSON_AddNumberToObject(params, "limit", 1000);
    if (name)
        cJSON_AddStringToObject(params, "worker", name);
    return tool_fetch(tool, "rpc.workers", params, outcome);
}

/* A duration of the worker's calls; "": it has answered none. */
static const char *workers_duration(struct shown *shown, const cJSON *worker, const char *name)
{
    *shown = show_duration(show_number(worker, name));
    return cJSON_HasObjectItem(worker, name) ? shown->text : "";
}

static void workers_add(struct output_table *table, const cJSON *worker)
{
    static const char *const counts[] = {"calls", "errors", "refused", "lost"};
    struct shown p50, p99;
    char load[70];
    const bool is_leaving = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(worker, "leaving"));
    snprintf(load, sizeof load, "%s of %s", show_count(show_number(worker, "outstanding")).text,
             show_count(show_number(worker, "window")).text);
    output_table_add(table, show_string(worker, "id"));
    output_table_add(table, is_leaving ? "leaving" : "here");
    output_table_add(table, show_age(show_number(worker, "since")).text);
    output_table_add(table, load);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        output_table_add(table, show_count(show_number(worker, counts[i])).text);
    output_table_add(table, workers_duration(&p50, worker, "p50_s"));
    output_table_add(table, workers_duration(&p99, worker, "p99_s"));
    output_table_add(table, show_string(worker, "version"));
    output_table_add(table, show_string(worker, "address"));
}

static enum tool_exit workers_print(const struct tool *tool, const cJSON *document)
{
    static const char *const headings[] = {"WORKER",  "STATE", "FOR", "BUSY", "CALLS",   "ERRORS",
                                           "REFUSED", "LOST",  "P50", "P99",  "VERSION", "ADDRESS"};
    struct output_table table;
    const cJSON *const workers = cJSON_GetObjectItemCaseSensitive(document, "workers"), *worker;
    const double more = show_number(document, "count") - cJSON_GetArraySize(workers);
    output_table_init(&table, sizeof headings / sizeof *headings, headings);
    cJSON_ArrayForEach(worker, workers) workers_add(&table, worker);
    const enum tool_exit outcome = output_table_print(tool, &table);
    if (more > 0)
        printf("%s more are attached; the reply had no room for them.\n", show_count(more).text);
    return outcome;
}

/* The methods that a worker offers, one in a line. */
static enum tool_exit workers_print_methods(const struct tool *tool, const cJSON *worker)
{
    static const char *const headings[] = {"METHOD"};
    struct output_table table;
    const cJSON *method;
    output_table_init(&table, sizeof headings / sizeof *headings, headings);
    cJSON_ArrayForEach(method, cJSON_GetObjectItemCaseSensitive(worker, "methods"))
        output_table_add(&table, cJSON_GetStringValue(method));
    putchar('\n');
    return output_table_print(tool, &table);
}

enum tool_exit command_workers_run(struct tool *tool, int count, char **words)
{
    const char *const name = count ? words[0] : NULL;
    enum tool_exit outcome;
    cJSON *const document = workers_read(tool, name, &outcome);
    if (!document)
        return outcome;
    const cJSON *const workers = cJSON_GetObjectItemCaseSensitive(document, "workers");
    if (name && cJSON_GetArraySize(workers) == 0)
        outcome = tool_fail(tool, TOOL_ERROR, "no worker %s is attached", name);
    else if (output_is_json(tool))
        output_json(tool, document);
    else
        outcome = workers_print(tool, document);
    if (name && outcome == TOOL_OK && !output_is_json(tool))
        outcome = workers_print_methods(tool, cJSON_GetArrayItem(workers, 0));
    cJSON_Delete(document);
    return outcome;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* mosquitto_rpc list: methods, events and commands of devices. */
#include <string.h>

#include "commands.h"
#include "output.h"
#include "show.h"

static bool list_matches(const cJSON *row, const char *word)
{
    return !word || strcasestr(show_string(row, "name"), word) || strcasestr(show_string(row, "doc"), word);
}

/* Removes the rows of an array that do not match the word. A kind of devices stays while it has commands. */
static void list_filter(cJSON *rows, const char *word)
{
    for (cJSON *next, *row = rows ? rows->child : NULL; row; row = next) {
        next = row->next;
        cJSON *inner = cJSON_GetObjectItemCaseSensitive(row, "commands");
        if (list_matches(row, word))
            continue;
        list_filter(inner, word);
        if (!cJSON_GetArraySize(inner))
            cJSON_Delete(cJSON_DetachItemViaPointer(rows, row));
    }
}

static enum tool_exit list_print_part(const struct tool *tool, const char *heading, const char *before,
                                      const cJSON *rows, bool *is_first)
{
    struct output_table table;
    const cJSON *row;
    if (!cJSON_GetArraySize(rows))
        return TOOL_OK;
    if (!*is_first)
        putchar('\n');
    *is_first = false;
    output_styled(stdout, OUTPUT_DIM, heading);
    putchar('\n');
    output_table_init(&table, 2, NULL);
    cJSON_ArrayForEach(row, rows)
    {
        char name[300];
        const char *key = show_string(row, "key");
        snprintf(name, sizeof name, "%s%.140s%s%.100s%s", before, show_string(row, "name"), *key ? "/{" : "",
                 key, *key ? "}" : "");
        output_table_add(&table, name);
        output_table_add(&table, show_string(row, "doc"));
    }
    return output_table_print(tool, &table);
}

static enum tool_exit list_print(const struct tool *tool, const cJSON *list)
{
    bool is_first = true;
    const cJSON *kind;
    enum tool_exit failed =
        list_print_part(tool, "Methods", "", cJSON_GetObjectItemCaseSensitive(list, "methods"), &is_first);
    if (!failed)
        failed =
            list_print_part(tool, "Events", "", cJSON_GetObjectItemCaseSensitive(list, "events"), &is_first);
    cJSON_ArrayForEach(kind, cJSON_GetObjectItemCaseSensitive(list, "devices"))
    {
        char heading[300];
        snprintf(heading, sizeof heading, "Commands of devices: %.100s. %.150s", show_string(kind, "name"),
                 show_string(kind, "doc"));
        if (!failed)
            failed = list_print_part(tool, heading, "device/{device}/",
                                     cJSON_GetObjectItemCaseSensitive(kind, "commands"), &is_first);
    }
    return failed;
}

enum tool_exit command_list_run(struct tool *tool, int count, char **words)
{
    struct rpc_client_reply reply;
    enum tool_exit failed = tool_call(tool, "rpc.list", NULL, &reply);
    if (failed)
        return failed;
    cJSON *list = cJSON_Duplicate(reply.data, true), *rows;
    rpc_client_reply_clear(&reply);
    if (!list)
        return tool_fail(tool, TOOL_FAILED, "there is no memory");
    cJSON_ArrayForEach(rows, list)
    {
        list_filter(rows, count > 0 ? words[0] : NULL);
    }
    if (output_is_json(tool))
        output_json(tool, list);
    else
        failed = list_print(tool, list);
    cJSON_Delete(list);
    return failed;
}

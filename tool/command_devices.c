// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The command devices: the devices that the service knows, or one of them with its last commands. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "output.h"
#include "show.h"

static cJSON *devices_params(const struct tool_options *options, const char *after)
{
    cJSON *const params = cJSON_CreateObject();
    cJSON_AddNumberToObject(params, "limit", 1000);
    if (options->state)
        cJSON_AddStringToObject(params, "state", options->state);
    if (options->group)
        cJSON_AddStringToObject(params, "group", options->group);
    if (after)
        cJSON_AddStringToObject(params, "after", after);
    return params;
}

enum { DEVICES_PAGES = 10000 }; /* a service that has more of them would go on for ever */

/* Moves the devices of a page to those of all, and frees the page. Returns false: it has none. */
static bool devices_add_page(cJSON *all, cJSON *page)
{
    cJSON *const devices = cJSON_GetObjectItemCaseSensitive(all, "devices");
    cJSON *const added = cJSON_GetObjectItemCaseSensitive(page, "devices");
    const bool has_some = cJSON_IsArray(devices) && cJSON_GetArraySize(added) > 0;
    for (cJSON *device; has_some && (device = cJSON_DetachItemFromArray(added, 0));)
        cJSON_AddItemToArray(devices, device);
    if (cJSON_HasObjectItem(page, "next"))
        cJSON_AddItemToObject(all, "next", cJSON_DetachItemFromObjectCaseSensitive(page, "next"));
    cJSON_Delete(page);
    return has_some;
}

/* All pages of device.list in one document; NULL: *outcome says why. */
static cJSON *devices_read(struct tool *tool, enum tool_exit *outcome)
{
    cJSON *const all = tool_fetch(tool, "device.list", devices_params(&tool->options, NULL), outcome);
    cJSON *next;
    for (int pages = 1; all && (next = cJSON_DetachItemFromObjectCaseSensitive(all, "next")); pages++) {
        cJSON *const params = devices_params(&tool->options, cJSON_GetStringValue(next));
        cJSON *const page = tool_fetch(tool, "device.list", params, outcome);
        cJSON_Delete(next);
        if (page && devices_add_page(all, page) && pages < DEVICES_PAGES)
            continue;
        if (page)
            *outcome = tool_fail(tool, TOOL_FAILED, "device.list goes on without end, or without devices");
        cJSON_Delete(all);
        return NULL;
    }
    return all;
}

static enum tool_exit devices_print_all(const struct tool *tool, const cJSON *all)
{
    static const char *const headings[] = {"DEVICE", "STATE",   "FOR",  "SEEN",
                                           "KIND",   "WAITING", "SENT", "MANAGED"};
    struct output_table table;
    const cJSON *device;
    output_table_init(&table, sizeof headings / sizeof *headings, headings);
    cJSON_ArrayForEach(device, cJSON_GetObjectItemCaseSensitive(all, "devices"))
    {
        output_table_add(&table, show_string(device, "device"));
        output_table_add(&table, show_string(device, "state"));
        output_table_add(&table, show_age(show_number(device, "since")).text);
        output_table_add(&table, show_age(show_number(device, "seen")).text);
        output_table_add(&table, show_string(device, "kind"));
        output_table_add(&table, show_count(show_number(device, "waiting")).text);
        output_table_add(&table, show_count(show_number(device, "flying")).text);
        output_table_add(&table,
                         cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(device, "managed")) ? "yes" : "no");
    }
    return output_table_print(tool, &table);
}

static enum tool_exit devices_print_one(const struct tool *tool, const cJSON *device)
{
    static const char *const headings[] = {"ID", "COMMAND", "STATE", "AGE", "ATTEMPTS", "ERROR"};
    struct output_table table;
    const cJSON *command;
    output_styled(stdout, OUTPUT_BOLD, show_string(device, "device"));
    printf(": ");
    output_styled(stdout, OUTPUT_PLAIN, show_string(device, "state"));
    printf(" for %s", show_age(show_number(device, "since")).text);
    if (show_number(device, "seen") > 0)
        printf(", seen %s ago", show_age(show_number(device, "seen")).text);
    if (*show_string(device, "kind")) {
        printf(", kind ");
        output_styled(stdout, OUTPUT_PLAIN, show_string(device, "kind"));
    }
    putchar('\n');
    output_table_init(&table, sizeof headings / sizeof *headings, headings);
    cJSON_ArrayForEach(command, cJSON_GetObjectItemCaseSensitive(device, "history"))
    {
        output_table_add(&table, show_string(command, "id"));
        output_table_add(&table, show_string(command, "command"));
        output_table_add(&table, show_string(command, "state"));
        output_table_add(&table, show_age(show_number(command, "time")).text);
        output_table_add(&table, show_count(show_number(command, "attempt")).text);
        output_table_add(&table, show_string(command, "err"));
    }
    return output_table_print(tool, &table);
}

/* What is known of one device, with its last commands in `history`. */
static cJSON *devices_read_one(struct tool *tool, const char *name, enum tool_exit *outcome)
{
    cJSON *const asked = cJSON_CreateObject();
    cJSON_AddStringToObject(asked, "device", name);
    cJSON *const again = cJSON_Duplicate(asked, true);
    cJSON *const device = tool_fetch(tool, "device.status", asked, outcome);
    cJSON *const history = device ? tool_fetch(tool, "device.history", again, outcome) : NULL;
    if (!device)
        cJSON_Delete(again);
    if (device && !history) {
        cJSON_Delete(device);
        return NULL;
    }
    cJSON *const last = cJSON_DetachItemFromObjectCaseSensitive(history, "commands");
    if (last)
        cJSON_AddItemToObject(device, "history", last);
    cJSON_Delete(history);
    return device;
}

enum tool_exit command_devices_run(struct tool *tool, int count, char **words)
{
    enum tool_exit outcome;
    cJSON *const document = count ? devices_read_one(tool, words[0], &outcome) : devices_read(tool, &outcome);
    if (!document)
        return outcome;
    if (output_is_json(tool))
        output_json(tool, document);
    else
        outcome = count ? devices_print_one(tool, document) : devices_print_all(tool, document);
    cJSON_Delete(document);
    return outcome;
}

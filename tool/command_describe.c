// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* mosquitto_rpc describe: what a method takes and gives. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "output.h"
#include "schema.h"
#include "show.h"
#include "suggest.h"

enum { DESCRIBE_TYPE = 400, DESCRIBE_NAME = 300, DESCRIBE_DEPTH = 8 };

static const cJSON *describe_member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static void describe_heading(const char *text)
{
    putchar('\n');
    output_styled(stdout, OUTPUT_DIM, text);
    putchar('\n');
}

static void describe_add_members(struct output_table *table, const cJSON *schema, const char *before,
                                 int depth);

/* A row of a value: its name, its type, whether it must be given or what it is otherwise, what it means. */
static void describe_add_value(struct output_table *table, const char *name, const cJSON *schema,
                               bool is_required, int depth)
{
    char type[DESCRIBE_TYPE], remark[DESCRIBE_TYPE] = "";
    schema_type(type, sizeof type, schema);
    const cJSON *usual = describe_member(schema, "default");
    if (usual) {
        char text[DESCRIBE_TYPE] = "{...}";
        cJSON_PrintPreallocated((cJSON *)usual, text, sizeof text, 0);
        snprintf(remark, sizeof remark, "default %.100s", text);
    }
    output_table_add(table, name);
    output_table_add(table, type);
    output_table_add(table, is_required ? "required" : remark);
    output_table_add(table, show_string(schema, "description"));
    describe_add_members(table, schema, name, depth + 1);
    const cJSON *items = describe_member(schema, "items");
    if (describe_member(items, "properties")) {
        char inner[DESCRIBE_NAME];
        snprintf(inner, sizeof inner, "%.250s[]", name);
        describe_add_members(table, items, inner, depth + 1);
    }
}

static bool describe_is_required(const cJSON *schema, const char *name)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, describe_member(schema, "required"))
    {
        if (cJSON_IsString(row) && strcmp(row->valuestring, name) == 0)
            return true;
    }
    return false;
}

static void describe_add_members(struct output_table *table, const cJSON *schema, const char *before,
                                 int depth)
{
    const cJSON *row, *properties = depth < DESCRIBE_DEPTH ? describe_member(schema, "properties") : NULL;
    cJSON_ArrayForEach(row, properties)
    {
        char name[DESCRIBE_NAME];
        snprintf(name, sizeof name, "%.140s.%.140s", before, row->string ? row->string : "");
        describe_add_value(table, name, row, describe_is_required(schema, row->string ? row->string : ""),
                           depth);
    }
}

static enum tool_exit describe_params(const struct tool *tool, const cJSON *method)
{
    struct output_table table;
    const cJSON *row, *params = describe_member(method, "params");
    const char *payload = show_string(describe_member(method, "x-mqtt"), "payload");
    if (strcmp(payload, "bytes") == 0) {
        describe_heading("Payload: any bytes");
        return TOOL_OK;
    }
    describe_heading(!cJSON_GetArraySize(params)     ? "No parameters"
                     : strcmp(payload, "value") == 0 ? "Parameters: one value"
                                                     : "Parameters");
    output_table_init(&table, 4, NULL);
    cJSON_ArrayForEach(row, params)
    {
        describe_add_value(&table, show_string(row, "name"), describe_member(row, "schema"),
                           cJSON_IsTrue(describe_member(row, "required")), 0);
    }
    return output_table_print(tool, &table);
}

/* A part of a method that is one value: its result, or its interim replies. */
static enum tool_exit describe_value(const struct tool *tool, const char *heading, const cJSON *descriptor)
{
    struct output_table table;
    const cJSON *row, *schema = describe_member(descriptor, "schema"),
                      *properties = describe_member(schema, "properties");
    if (!schema)
        return TOOL_OK;
    describe_heading(heading);
    output_table_init(&table, 4, NULL);
    if (!properties)
        describe_add_value(&table, "", schema, false, 0);
    cJSON_ArrayForEach(row, properties)
    {
        describe_add_value(&table, row->string ? row->string : "", row, false, 0);
    }
    /* What a result may lack is told the other way round: most members are always there. */
    for (size_t at = 0; at + 3 < table.count; at += 4)
        if (properties && !strchr(table.cells[at], '.') && !describe_is_required(schema, table.cells[at]))
            output_table_set(&table, at + 2, "optional");
    return output_table_print(tool, &table);
}

/* A table of what has a name and a description: errors, causes, events. */
static enum tool_exit describe_names(const struct tool *tool, const char *heading, const cJSON *rows,
                                     const char *name, const char *text)
{
    struct output_table table;
    const cJSON *row;
    if (!cJSON_GetArraySize(rows))
        return TOOL_OK;
    describe_heading(heading);
    output_table_init(&table, 2, NULL);
    cJSON_ArrayForEach(row, rows)
    {
        output_table_add(&table, show_string(row, name));
        output_table_add(&table, show_string(row, text));
    }
    return output_table_print(tool, &table);
}

static void describe_print_facts(const cJSON *method)
{
    const cJSON *mqtt = describe_member(method, "x-mqtt"), *timeout = describe_member(mqtt, "timeoutMs");
    const char *placement = show_string(mqtt, "placement");
    output_styled(stdout, OUTPUT_BOLD, show_string(method, "name"));
    putchar('\n');
    output_styled(stdout, OUTPUT_PLAIN, show_string(method, "summary"));
    putchar('\n');
    output_styled(stdout, OUTPUT_DIM, "Topic: ");
    output_styled(stdout, OUTPUT_PLAIN, show_string(mqtt, "topic"));
    if (cJSON_IsTrue(describe_member(mqtt, "off")))
        output_styled(stdout, OUTPUT_RED, ". It is switched off");
    fputs(cJSON_IsTrue(describe_member(mqtt, "readOnly"))     ? ". It is read-only"
          : cJSON_IsTrue(describe_member(mqtt, "idempotent")) ? ". It is idempotent"
                                                              : "",
          stdout);
    if (strcmp(placement, "remote") == 0)
        fputs(". Workers carry it out", stdout);
    if (strcmp(placement, "spill") == 0)
        fputs(". Workers carry it out when the plugin is busy", stdout);
    if (cJSON_IsNumber(timeout))
        printf(". It may take %g s", timeout->valuedouble / 1000);
    fputs(cJSON_IsTrue(describe_member(mqtt, "strict")) ? ". It refuses undeclared parameters.\n" : ".\n",
          stdout);
}

static enum tool_exit describe_print(const struct tool *tool, const cJSON *method, const cJSON *events)
{
    describe_print_facts(method);
    enum tool_exit failed = describe_params(tool, method);
    if (!failed)
        failed = describe_value(tool, "Result", describe_member(method, "result"));
    if (!failed)
        failed = describe_value(tool, "Interim replies", describe_member(method, "x-progress"));
    if (!failed)
        failed = describe_names(tool, "Errors", describe_member(method, "x-errors"), "err", "description");
    if (!failed)
        failed = describe_names(tool, "Errors that the device reports", describe_member(method, "x-causes"),
                                "err", "description");
    if (!failed)
        failed = describe_names(tool, "Events", events, "name", "description");
    return failed;
}

/* There is no such method: names the nearest one. */
static enum tool_exit describe_suggest(struct tool *tool, const char *name)
{
    struct rpc_client_reply reply;
    struct text_near near = suggest_for(name);
    const cJSON *row;
    if (tool_ask(tool, &(struct rpc_client_request){.method = "rpc.list"}, &reply) == RPC_CLIENT_OK) {
        cJSON_ArrayForEach(row, describe_member(reply.data, "methods"))
        {
            text_near_try(&near, show_string(row, "name"));
        }
    }
    tool_fail(tool, TOOL_ERROR, "there is no method %s%s%s%s", name, near.best ? ", did you mean " : "",
              near.best ? near.best : "", near.best ? "?" : "; see mosquitto_rpc list");
    rpc_client_reply_clear(&reply);
    return TOOL_ERROR;
}

static enum tool_exit describe_show(struct tool *tool, const struct rpc_client_reply *reply)
{
    const cJSON *row, *kinds = describe_member(reply->data, "commands");
    enum tool_exit failed = TOOL_OK;
    if (output_is_json(tool)) {
        output_json_text(tool, reply->text, reply->size);
        return TOOL_OK;
    }
    if (!cJSON_GetArraySize(kinds))
        return describe_print(tool, describe_member(reply->data, "method"),
                              describe_member(reply->data, "events"));
    cJSON_ArrayForEach(row, kinds)
    {
        if (row != kinds->child)
            putchar('\n');
        if (!failed)
            failed = describe_print(tool, row, NULL);
    }
    return failed;
}

enum tool_exit command_describe_run(struct tool *tool, int count, char **words)
{
    struct rpc_client_reply reply;
    (void)count;
    enum tool_exit failed = tool_connect(tool);
    if (failed)
        return failed;
    cJSON *params = cJSON_CreateObject();
    if (!cJSON_AddStringToObject(params, "method", words[0])) {
        cJSON_Delete(params);
        return tool_fail(tool, TOOL_FAILED, "there is no memory");
    }
    struct rpc_client_request request = {.method = "rpc.describe", .params = params};
    enum rpc_client_status status = tool_ask(tool, &request, &reply);
    cJSON_Delete(params);
    if (status == RPC_CLIENT_OK)
        failed = describe_show(tool, &reply);
    else if (status == RPC_CLIENT_ERROR && strcmp(reply.err, "unknown_method") == 0)
        failed = describe_suggest(tool, words[0]);
    else
        failed = tool_fail_reply(tool, "rpc.describe", &reply);
    rpc_client_reply_clear(&reply);
    return failed;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The reference as Markdown: topics, options, errors, counters, and the methods, commands and events of each
 * module.
 */
#include "reference.h"

#include "shape/fields.h"
#include "shape/options.h"
#include "config.h"
#include "base/status.h"
#include "call/span.h"
#include "call/topic.h"
#include "observe/health.h"
#include "observe/report.h"

#include <stdio.h>
#include <string.h>

/* ---- Options ---- */

static void print_option(const char *owner, const rpc_field *field)
{
    char takes[FIELDS_WHY];
    char fallback[128];
    options_print_default(field, fallback, sizeof fallback);
    printf("| `%s%s%s%s` | %s | %s%s%s | %s%s |\n", rpc_host.option_prefix, owner, *owner ? "_" : "",
           fields_name(field), options_describe(config_line_field(field), takes, sizeof takes),
           *fallback ? "`" : "", *fallback ? fallback : "none", *fallback ? "`" : "", field->doc,
           field->reloads ? " (*reloads*)" : "");
}

static void print_options(const char *owner, const rpc_shape *shape)
{
    for (size_t i = 0; i < shape->count; i++)
        print_option(owner, &shape->fields[i]);
}

static void print_option_head(void)
{
    printf("| option | takes | default | meaning |\n|---|---|---|---|\n");
}

void markdown_print_options(const char *owner, const rpc_shape *shape)
{
    print_option_head();
    print_options(owner, shape);
}

/* ---- Shapes ---- */

/* The path of a member: place.lat, sensors[].value. An element's index is left out. */
struct path {
    const struct path *outer; /* NULL: a member of the outermost object */
    const rpc_field *field;
};

static void print_path(const struct path *path)
{
    if (path->outer) {
        print_path(path->outer);
        printf("%s", path->outer->field->counter ? "[]." : ".");
    }
    printf("%s", fields_name(path->field));
}

static void print_member(const rpc_shape *shape, const struct path *path)
{
    if (shape->form == RPC_FORM_VALUE && !path->outer) {
        printf("the value itself");
        return;
    }
    printf("`");
    print_path(path);
    printf("`");
}

static void print_field(const rpc_shape *shape, const struct path *path)
{
    char takes[FIELDS_WHY];
    const rpc_field *field = path->field;
    const char *unit = field->unit ? field->unit : "";
    printf("| ");
    print_member(shape, path);
    printf(" | %s%s%s | %s", fields_describe(field, takes, sizeof takes), *unit ? ", in " : "", unit,
           fields_may_miss(field) ? "no" : "yes");
    if (field->default_json)
        printf(", `%s`", field->default_json);
    printf(" | %s |\n", field->doc ? field->doc : "");
}

/* The fields of a shape. The members of an object, or of an array of objects, follow the object's row. */
static void print_fields(const rpc_shape *outermost, const rpc_shape *shape, const struct path *outer)
{
    for (size_t i = 0; i < shape->count; i++) {
        const struct path path = {outer, &shape->fields[i]};
        print_field(outermost, &path);
        if (path.field->shape)
            print_fields(outermost, path.field->shape, &path);
    }
}

static void print_shape(const char *title, const rpc_shape *shape)
{
    if (!shape)
        return;
    printf("\n%s:\n\n", title);
    if (shape->form == RPC_FORM_BYTES) {
        printf("The payload is any bytes.\n");
        return;
    }
    printf("| member | type | required | meaning |\n|---|---|---|---|\n");
    print_fields(shape, shape, NULL);
}

/* ---- Modules ---- */

static void print_errors(const char *title, unsigned count, const rpc_error *errors)
{
    if (!count)
        return;
    printf("\n%s:\n\n| err | when | further members |\n|---|---|---|\n", title);
    for (const rpc_error *error = errors; error < errors + count; error++) {
        printf("| `%s` | %s | ", error->code, error->doc);
        for (size_t i = 0; error->data && i < error->data->count; i++)
            printf("%s`%s`", i ? ", " : "", fields_name(&error->data->fields[i]));
        printf(" |\n");
    }
}

static void print_deadline(const rpc_method *method)
{
    if (!catalogue_takes_time(method))
        return;
    if (method->timeout)
        printf("\nTakes time. The deadline is %u ms", (unsigned)method->timeout);
    else
        printf("\nTakes time. The deadline is the option `timeout`");
    printf("%s.\n", method->must_finish
                        ? ". The plugin does not cancel the call when the caller's connection ends"
                        : "");
}

static const char *describe_repetition(const rpc_method *method)
{
    if (method->read_only)
        return ". Read-only: a call that is sent again runs again.";
    return method->idempotent ? ". Idempotent: a call may be sent again when its outcome is unknown." : "";
}

/* What methods and commands have in common. */
static void print_called(const rpc_method *method)
{
    printf("\n### %s\n\n%s\n\nTopic: `{prefix}/call/%s`%s\n", method->name, method->doc, method->name,
           describe_repetition(method));
    if (topic_find_wild(method->name))
        printf("\nEach level in braces is one level of the topic, of at most %d bytes.\n", TOPIC_LEVEL_MAX);
    print_deadline(method);
    print_shape("Parameters", method->params);
    print_shape("Result", method->result);
    print_shape("Interim replies, to an MQTT 5 caller that asks for them", method->progress);
}

/* The level of a key's value is written as its member in braces. */
static void print_event_topic(const rpc_event *event)
{
    printf("`{prefix}/event/%s%s%s%s`", event->name, event->key ? "/{" : "", event->key ? event->key : "",
           event->key ? "}" : "");
}

static void print_method(const rpc_module *module, const rpc_method *method)
{
    print_called(method);
    print_errors("Errors that the method declares", method->errors.count, method->errors.rows);
    const rpc_event *event = method->event ? catalogue_find_event(module, method->event) : NULL;
    if (event) {
        printf("\nThe plugin publishes the result to ");
        print_event_topic(event);
        printf("%s.\n",
               method->announce == RPC_ANNOUNCE_ALWAYS ? "" : ", but only if the caller asked for no reply");
    }
    event = method->error_event ? catalogue_find_event(module, method->error_event) : NULL;
    if (event) {
        printf("\nThe plugin publishes an error of the handler to ");
        print_event_topic(event);
        printf(" if the caller asked for no reply.\n");
    }
}

static void print_commands(const rpc_module *module)
{
    if (module->commands.count)
        printf("\nDevices of the kind `%s` carry out these commands:\n", module->name);
    for (const rpc_command *command = module->commands.rows; RPC_HAS_ROW(module->commands, command);
         command++) {
        char name[CATALOGUE_NAME];
        const rpc_method method = catalogue_make_method(command, name);
        print_called(&method);
        print_errors("Errors that the device may report", command->errors.count, command->errors.rows);
    }
}

static void print_events(const rpc_module *module)
{
    if (!module->events.count)
        return;
    printf("\n### Events\n\n| topic | when | retained |\n|---|---|---|\n");
    for (const rpc_event *event = module->events.rows; RPC_HAS_ROW(module->events, event); event++) {
        printf("| ");
        print_event_topic(event);
        printf(" | %s | %s |\n", event->doc, event->retained ? "yes" : "no");
    }
    for (const rpc_event *event = module->events.rows; RPC_HAS_ROW(module->events, event); event++) {
        char title[160];
        snprintf(title, sizeof title, "Payload of `%s`", event->name);
        print_shape(title, event->data);
    }
}

static void print_inboxes(const rpc_module *module)
{
    if (!module->inboxes.count)
        return;
    printf("\n### Inboxes\n\nThe topics of messages that the module receives. They lie below the prefix with "
           "its last level replaced by `%s`",
           module->inbox_root);
    if (module->inbox_option)
        printf(", unless `%s%s_%s` says otherwise", rpc_host.option_prefix, module->name,
               module->inbox_option);
    printf(".\n\n| topic | meaning | sender |\n|---|---|---|\n");
    for (const rpc_inbox *inbox = module->inboxes.rows; RPC_HAS_ROW(module->inboxes, inbox); inbox++) {
        printf("| `%s` | %s | ", inbox->topic, inbox->doc);
        if (inbox->sender_level)
            printf("its client id is the level `+` number %u |\n", inbox->sender_level);
        else
            printf("any |\n");
    }
    for (const rpc_inbox *inbox = module->inboxes.rows; RPC_HAS_ROW(module->inboxes, inbox); inbox++) {
        char title[160];
        snprintf(title, sizeof title, "Payload of `%s`", inbox->topic);
        print_shape(title, inbox->shape);
    }
}

static void print_gauges(const rpc_module *module)
{
    if (!module->gauges.count)
        return;
    printf("\n### Tables\n\nHow full they are is in `tables` of [rpc.stats](#rpcstats).\n\n| table | what is "
           "in it |\n|---|---|\n");
    for (const rpc_gauge *gauge = module->gauges.rows; RPC_HAS_ROW(module->gauges, gauge); gauge++)
        printf("| `%s.%s` | %s |\n", module->name, gauge->name, gauge->doc);
}

static void print_module(const rpc_module *module)
{
    printf("\n## Module %s\n\n%s\n", module->name, module->doc);
    if (module->options) {
        printf("\n");
        markdown_print_options(module->name, module->options);
    }
    for (const rpc_method *method = module->methods.rows; RPC_HAS_ROW(module->methods, method); method++)
        print_method(module, method);
    print_commands(module);
    print_events(module);
    print_inboxes(module);
    print_gauges(module);
}

/* ---- Errors, counters, topics ---- */

static void print_statuses(void)
{
    printf("\n## Errors\n\nAn error is an object with the members `method`, `err` and `msg`. A method may "
           "declare further members.\n\n| err | meaning | JSON-RPC code |\n|---|---|---|\n");
    for (int i = RPC_OK + 1; i < RPC_STATUS_COUNT_; i++) {
        const rpc_status status = (rpc_status)i;
        if (status == RPC_RAISED)
            printf("| any other | %s | %d |\n", status_text(status), status_code(status));
        else
            printf("| `%s` | %s | %d |\n", status_name(status), status_text(status), status_code(status));
    }
}

static void print_counters(void)
{
    printf("\n## Counters\n\nThe plugin publishes the counters as retained messages below "
           "`%s/{prefix}/`.\n\n| topic | counts |\n|---|---|\n",
           rpc_host.counters_topic);
#define PRINT(member, level, text) printf("| `%s` | %s |\n", level, text);
    ENGINE_COUNTERS(PRINT)
#undef PRINT
    printf("\nBeside them, `method/{method}` is a JSON document: " REPORT_DOC
           ". Its members are those of the "
           "rows `methods[]` of [rpc.stats](#rpcstats) without `method`.\n");
    printf("\n## Health\n\nThe topic `%s/{prefix}/" HEALTH_LEVEL "` has, retained, " HEALTH_DOC
           ". It is the result of `rpc.health`.\n",
           rpc_host.counters_topic);
    printf("\n## Spans\n\nThe topic `%s/{prefix}/" SPAN_LEVEL "` gets, not retained, " SPAN_DOC ".\n",
           rpc_host.counters_topic);
}

static void print_topics(void)
{
    printf("## Topics\n\n| topic | meaning |\n|---|---|\n");
    for (const struct topic_tree *tree = topic_trees; tree->word; tree++)
        printf("| `{prefix}/%s` | %s |\n", tree->pattern, tree->doc);
}

void markdown_print(const struct catalogue *catalogue)
{
    printf("# Reference\n\n`docs/markdown.c` prints this page from the plugin's tables; do not edit it.\n\n");
    print_topics();
    printf(
        "\n## Options\n\nAn option is a line `%sNAME value` after the `plugin` line, in the same file. An "
        "option "
        "that *reloads* may stand in the file that `%sconfig_file` names instead, and then changes while the "
        "broker runs.\n\n",
        rpc_host.option_prefix, rpc_host.option_prefix);
    print_option_head();
    print_options("", &config_engine_shape);
    print_options("", rpc_host.options);
    print_statuses();
    print_counters();
    for (const rpc_module *const *module = catalogue->modules; *module; module++)
        print_module(*module);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The reference as Markdown, see reference.h: topics, options, errors, counters, and what each module has. */
#include "reference.h"

#include "shape/fields.h"
#include "shape/options.h"
#include "config.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

/* ---- Options ---- */

static void print_option(const char *owner, const rpc_field *field)
{
    char takes[FIELDS_WHY];
    char fallback[128];
    options_print_default(field, fallback, sizeof fallback);
    printf("| `%s%s%s%s` | %s | %s%s%s | %s |\n", rpc_host.option_prefix, owner, *owner ? "_" : "",
           fields_name(field), options_describe(field, takes, sizeof takes), *fallback ? "`" : "",
           *fallback ? fallback : "none", *fallback ? "`" : "", field->doc);
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

/* ---- Shapes ---- */

/* Where a member is: place.lat, sensors[].value. An element has its index left open. */
struct path {
    const struct path *outer; /* NULL: the member is one of the outermost */
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

/* The fields of a shape, and behind an object or an array of them its members. */
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
        printf("The payload as it is: any bytes.\n");
        return;
    }
    printf("| member | is | required | meaning |\n|---|---|---|---|\n");
    print_fields(shape, shape, NULL);
}

/* ---- Modules ---- */

static void print_errors(const rpc_error *errors)
{
    if (!errors || !errors->code)
        return;
    printf("\nErrors of its own:\n\n| err | when | further members |\n|---|---|---|\n");
    for (; errors->code; errors++) {
        printf("| `%s` | %s | ", errors->code, errors->doc);
        for (size_t i = 0; errors->data && i < errors->data->count; i++)
            printf("%s`%s`", i ? ", " : "", fields_name(&errors->data->fields[i]));
        printf(" |\n");
    }
}

static void print_deadline(const rpc_method *method)
{
    if (!method->done)
        return;
    if (method->timeout)
        printf("\nTakes time; the deadline is %u ms", (unsigned)method->timeout);
    else
        printf("\nTakes time; the deadline is the option `timeout`");
    printf("%s.\n", method->must_finish ? ", and it goes on when its caller has gone" : "");
}

static void print_method(const rpc_method *method)
{
    printf("\n### %s\n\n%s\n\nTopic: `{prefix}/call/%s`%s\n", method->name, method->doc, method->name,
           method->read_only ? ". Read-only: a call that comes again runs again." : "");
    print_deadline(method);
    print_shape("Parameters", method->params);
    print_shape("Result", method->result);
    print_errors(method->errors);
    if (method->event)
        printf("\nAnnounced as `{prefix}/event/%s`, %s.\n", method->event,
               method->announce == RPC_ANNOUNCE_ALWAYS ? "always" : "when the caller asked for no reply");
    if (method->error_event)
        printf("\nErrors of its own go to `{prefix}/event/%s` when the caller asked for no reply.\n",
               method->error_event);
}

static void print_events(const rpc_event *events)
{
    if (!events || !events->name)
        return;
    printf("\n### Events\n\n| topic | when | retained |\n|---|---|---|\n");
    for (const rpc_event *event = events; event->name; event++)
        printf("| `{prefix}/event/%s` | %s | %s |\n", event->name, event->doc,
               event->retained ? "yes" : "no");
    for (const rpc_event *event = events; event->name; event++) {
        char title[160];
        snprintf(title, sizeof title, "Payload of `%s`", event->name);
        print_shape(title, event->data);
    }
}

static void print_module(const rpc_module *module)
{
    printf("\n## Module %s\n\n%s\n", module->name, module->doc);
    if (module->options) {
        printf("\n");
        print_option_head();
        print_options(module->name, module->options);
    }
    for (const rpc_method *method = module->methods; method && method->name; method++)
        print_method(method);
    print_events(module->events);
}

/* ---- The rest ---- */

static void print_statuses(void)
{
    printf("\n## Errors\n\nAn error is an object with the members `method`, `err` and `msg`, and those "
           "that the method adds.\n\n| err | meaning | JSON-RPC code |\n|---|---|---|\n");
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
    printf("\n## Counters\n\nRetained, below `%s/{prefix}/`.\n\n| topic | counts |\n|---|---|\n",
           rpc_host.counters_topic);
#define PRINT(member, level, text) printf("| `%s` | %s |\n", level, text);
    ENGINE_COUNTERS(PRINT)
#undef PRINT
}

static void print_topics(void)
{
    printf("## Topics\n\n| topic | meaning |\n|---|---|\n");
#define TOPIC(word, rest, needs, text) printf("| `{prefix}%s` | %s |\n", rest, text);
    CATALOGUE_TOPICS(TOPIC)
#undef TOPIC
}

void markdown_print(const struct catalogue *catalogue)
{
    printf("# Reference\n\nPrinted from the plugin's own tables by `docs/markdown.c`; do not edit.\n\n");
    print_topics();
    printf("\n## Options\n\nEach is one line `%sNAME value` behind the `plugin` line, in the same file.\n\n",
           rpc_host.option_prefix);
    print_option_head();
    print_options("", &config_engine_shape);
    print_options("", rpc_host.options);
    print_statuses();
    print_counters();
    for (const rpc_module *const *module = catalogue->modules; *module; module++)
        print_module(*module);
}

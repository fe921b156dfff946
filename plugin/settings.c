// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The options: see settings.h. The table below is the only place where they are listed. */
#include "settings.h"

#include "base/text.h"
#include "call/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const unknown_methods[] = {"reject", "forward", NULL};

static const char *const deliveries[] = {"client", "subscribed", NULL};

static const rpc_field option_fields[] = {
    RPC_STRING(struct engine_options, prefix, .doc = "topic prefixes to serve, separated by spaces",
               .default_json = "\"rpc\"", .length = {1, 4096}),
    RPC_INT32(struct engine_options, qos, .doc = "highest QoS of replies, and the QoS of events",
              .default_json = "2", .range = {0, 2}),
    RPC_STRING(struct engine_options, modules,
               .doc = "names of the handler modules to start; without it, all", .optional = true,
               .length = {1, 4096}),
    RPC_BOOL(struct engine_options, forward_calls,
             .doc = "deliver calls to subscribers of the call topics as well", .default_json = "false"),
    RPC_CHOICE(
        struct engine_options, unknown_methods,
        .doc = "what becomes of calls of methods that nobody registered: answered, or left to other servers",
        .choices = unknown_methods, .default_json = "\"reject\""),
    RPC_STRING(struct engine_options, response_topic_filter,
               .doc = "topic filter that every Response Topic must match", .default_json = "\"#\"",
               .length = {1, 1024}),
    RPC_BOOL(struct engine_options, guard_events, .doc = "refuse events that clients publish",
             .default_json = "true"),
    RPC_STRING(struct engine_options, event_publishers,
               .doc = "user names whose clients may publish events, separated by spaces; without it, none",
               .optional = true, .length = {1, 4096}),
    RPC_BOOL(struct engine_options, bridge_calls,
             .doc = "answer calls that arrive over a bridge of this broker, which no ACL has checked",
             .default_json = "false"),
    RPC_INT32(struct engine_options, max_payload, .doc = "largest payload of a call", .unit = "bytes",
              .default_json = "65536", .range = {1, 16777216}),
    RPC_INT32(struct engine_options, max_reply, .doc = "largest payload of a reply or an event",
              .unit = "bytes", .default_json = "65536", .range = {64, 16777216}),
    RPC_INT32(struct engine_options, reply_expiry,
              .doc = "Message Expiry Interval of replies; 0: they never expire", .unit = "s",
              .default_json = "60", .range = {0, 86400}),
    RPC_CHOICE(struct engine_options, reply_delivery,
               .doc =
                   "whom replies go to: the client alone, whether or not it has subscribed, or whoever has "
                   "subscribed to topics below `{prefix}/reply/{client id}/`, for an ACL to restrict",
               .choices = deliveries, .default_json = "\"client\""),
    RPC_INT32(struct engine_options, max_batch, .doc = "most calls in a batch", .default_json = "100",
              .range = {1, 10000}),
    RPC_STRING(struct engine_options, jsonrpc_methods,
               .doc =
                   "methods that are open at `{prefix}/jsonrpc`, separated by spaces; `*`: all; without it, "
                   "none",
               .optional = true, .length = {1, 65535}),
    RPC_INT64(struct engine_options, duplicate_window,
              .doc =
                  "how long a call with an identity is remembered, so that it is not carried out twice; 0: "
                  "not at all",
              .unit = "ms", .default_json = "60000", .range = {0, 86400000}),
    RPC_INT32(struct engine_options, duplicate_entries, .doc = "most calls that are remembered",
              .default_json = "10000", .range = {1, 10000000}),
    RPC_INT32(struct engine_options, duplicate_bytes,
              .doc = "most memory for the replies to them; a call with a larger reply is not remembered",
              .unit = "bytes", .default_json = "16777216", .range = {1, 1073741824}),
    RPC_INT64(struct engine_options, redelivery_guard,
              .doc = "how long before the end of a connection a QoS 2 call without an identity may have been "
                     "made to be recognised when the client's session sends it again; 0: none is",
              .unit = "ms", .default_json = "10000", .range = {0, 3600000}),
    RPC_INT32(struct engine_options, rate_limit, .doc = "calls a second for each client; 0: no limit",
              .default_json = "0", .range = {0, 1000000}),
    RPC_INT32(struct engine_options, rate_burst,
              .doc = "calls at once for each client; without it, twice rate_limit", .optional = true,
              .range = {1, 2000000}, .flag = RPC_FLAG(struct engine_options, has_rate_burst)),
    RPC_INT32(struct engine_options, error_rate, .doc = "announced errors a second, over all; 0: no limit",
              .default_json = "20", .range = {0, 1000000}),
    RPC_INT32(struct engine_options, workers, .doc = "threads for methods that take time",
              .default_json = "2", .range = {1, 256}),
    RPC_INT32(struct engine_options, max_pending,
              .doc = "most calls that wait, for a worker or for something to happen", .default_json = "1024",
              .range = {1, 100000}),
    RPC_INT32(struct engine_options, timeout,
              .doc = "deadline of a call that takes time, where neither method nor caller sets one",
              .unit = "ms", .default_json = "10000", .range = {1, 86400000}),
    RPC_INT32(struct engine_options, timeout_max,
              .doc = "longest deadline that a caller may set, in the MQTT 5 user property `timeout-ms`",
              .unit = "ms", .default_json = "60000", .range = {1, 86400000}),
    RPC_INT64(struct engine_options, sys_interval,
              .doc = "time between two publications of the counters; 0: none", .unit = "ms",
              .default_json = "10000", .range = {0, 86400000}),
    RPC_INT64(struct engine_options, slow_call, .doc = "a handler that takes longer is logged; 0: none is",
              .unit = "ms", .default_json = "50", .range = {0, 3600000}),
};

const rpc_shape settings_shape = RPC_OBJECT_SHAPE(struct engine_options, option_fields);

static const rpc_field plugin_fields[] = {
    RPC_STRING(struct plugin_options, mount_point,
               .doc = "the listener's mount_point, for calls of its clients and the replies to them",
               .optional = true, .length = {1, 1024})};

const rpc_shape settings_plugin_shape = RPC_OBJECT_SHAPE(struct plugin_options, plugin_fields);

static bool no_memory(char *why)
{
    snprintf(why, OPTIONS_WHY, "no memory for the options");
    return false;
}

/* Copies the next word of a list into the arena and moves *list behind it. NULL: the list has ended. */
static char *next_word(const char **list, struct arena *arena, bool *failed)
{
    const char *start = *list + strspn(*list, " ");
    const size_t length = strcspn(start, " ");
    *list = start + length;
    if (!length)
        return NULL;
    char *word = arena_copy(arena, start, length);
    *failed = !word;
    return word;
}

/* ---- Prefixes ---- */

static bool add_prefix(struct settings *settings, const char *prefix, char *why)
{
    if (!topic_is_prefix(prefix))
        return options_refuse(
            why, "prefix", prefix,
            "a prefix is a topic of at most 128 bytes without wildcards, empty levels and $SYS");
    if (settings->prefix_count == SETTINGS_PREFIXES)
        return options_refuse(why, "prefix", prefix, "there are at most 64 prefixes");
    for (size_t i = 0; i < settings->prefix_count; i++) {
        if (topic_prefixes_clash(settings->prefixes[i], prefix))
            return options_refuse(why, "prefix", prefix, "its topics must not be those of another prefix");
    }
    settings->prefixes[settings->prefix_count++] = prefix;
    return true;
}

static bool read_prefixes(struct settings *settings, const char *list, char *why)
{
    bool failed = false;
    const char *prefix;
    while ((prefix = next_word(&list, &settings->arena, &failed)) && !failed) {
        if (!add_prefix(settings, prefix, why))
            return false;
    }
    if (failed)
        return no_memory(why);
    return settings->prefix_count || options_refuse(why, "prefix", list, "it takes at least one prefix");
}

/* ---- Modules ---- */

static bool is_module(const rpc_module *const *modules, const char *name)
{
    while (*modules && strcmp((*modules)->name, name) != 0)
        modules++;
    return *modules != NULL;
}

static bool refuse_module(char *why, const char *name, const rpc_module *const *modules)
{
    char accepted[256] = "the modules are";
    for (; *modules; modules++) {
        const size_t used = strlen(accepted);
        snprintf(accepted + used, sizeof accepted - used, " %s", (*modules)->name);
    }
    return options_refuse(why, "modules", name, accepted);
}

/* Every name of the list must be that of a module. */
static bool check_names(struct settings *settings, const char *list, const rpc_module *const *modules,
                        char *why)
{
    bool failed = false;
    const char *name;
    while (list && (name = next_word(&list, &settings->arena, &failed))) {
        if (!is_module(modules, name))
            return refuse_module(why, name, modules);
    }
    return !failed || no_memory(why);
}

static bool has_field(const rpc_shape *shape, const char *name)
{
    for (size_t i = 0; i < shape->count; i++) {
        if (strcmp(fields_name(&shape->fields[i]), name) == 0)
            return true;
    }
    return false;
}

/* A module "max" with an option "payload" would take plugin_opt_max_payload for its own. */
static bool check_own_names(const rpc_module *module, char *why)
{
    for (size_t i = 0; module->options && i < module->options->count; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s_%s", module->name, fields_name(&module->options->fields[i]));
        if (has_field(&settings_shape, name) || has_field(&settings_plugin_shape, name)) {
            snprintf(why, OPTIONS_WHY, "module %s: plugin_opt_%s is an option of the plugin itself",
                     module->name, name);
            return false;
        }
    }
    return true;
}

static bool wrong_table(char *why, const rpc_module *module, const char *what)
{
    snprintf(why, OPTIONS_WHY, "module %s: its options: %s", module->name, what);
    return false;
}

static bool read_module(struct settings *settings, const rpc_module *module, struct option_lines *lines,
                        struct settings_module *out, char *why)
{
    char wrong[FIELDS_WHY];
    out->module = module;
    const char *unfit = module->options ? options_check_shape(module->options) : NULL;
    if (unfit)
        return wrong_table(why, module, unfit);
    const rpc_status status = fields_init(&out->fields, module->options, wrong);
    if (status != RPC_OK)
        return status == RPC_INVALID_PARAMS ? wrong_table(why, module, wrong) : no_memory(why);
    void *options = NULL;
    if (!check_own_names(module, why))
        return false;
    if (module->options && !options_read(module->name, &out->fields, lines, &settings->arena, &options, why))
        return false;
    out->options = options;
    return true;
}

/* The options of modules that are not started are read as well: a switched-off module is no reason to refuse
   the lines that are meant for it. */
static bool read_modules(struct settings *settings, const char *wanted, const rpc_module *const *modules,
                         struct option_lines *lines, char *why)
{
    size_t count = 0;
    while (modules[count])
        count++;
    settings->modules = arena_alloc(&settings->arena, (count + 1) * sizeof *settings->modules);
    if (!settings->modules)
        return no_memory(why);
    if (!check_names(settings, wanted, modules, why))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct settings_module *module = &settings->modules[settings->module_count];
        const bool fine = read_module(settings, modules[i], lines, module, why);
        if (fine && wanted && !text_has_word(wanted, modules[i]->name)) {
            fields_fini(&module->fields);
            continue;
        }
        settings->module_count++;
        if (!fine)
            return false;
    }
    return true;
}

/* ---- All together ---- */

/* Checks what no row can say, and sets the default that depends on another option. */
static bool complete_options(struct engine_options *options, char *why)
{
    char burst[16];
    snprintf(burst, sizeof burst, "%d", (int)options->rate_burst);
    if (!topic_is_filter(options->response_topic_filter))
        return options_refuse(why, "response_topic_filter", options->response_topic_filter,
                              "it takes a topic filter, in which + is a whole level and # the last one");
    if (options->has_rate_burst && !options->rate_limit)
        return options_refuse(why, "rate_burst", burst, "it needs a rate_limit");
    if (!options->has_rate_burst)
        options->rate_burst = 2 * options->rate_limit;
    return true;
}

static bool check_plugin_options(const struct plugin_options *options, char *why)
{
    return !options->mount_point || text_is_topic(options->mount_point) ||
           options_refuse(why, "mount_point", options->mount_point,
                          "it takes the beginning of a topic, without wildcards");
}

static bool check_unused(const struct option_lines *lines, char *why)
{
    for (size_t i = 0; i < lines->count; i++) {
        const struct option_line *line = &lines->lines[i];
        if (!line->used)
            return options_refuse(why, line->name, line->value,
                                  "there is no such option; the manual lists them in docs/reference.md");
    }
    return true;
}

static bool read_shape(struct settings *settings, const rpc_shape *shape, struct fields *fields,
                       struct option_lines *lines, void **out, char *why)
{
    char wrong[FIELDS_WHY];
    if (fields_init(fields, shape, wrong) != RPC_OK)
        return no_memory(why);
    return options_read("", fields, lines, &settings->arena, out, why);
}

static bool read_all(struct settings *settings, struct option_lines *lines, const rpc_module *const *modules,
                     char *why)
{
    void *engine = NULL;
    void *plugin = NULL;
    if (!read_shape(settings, &settings_shape, &settings->fields, lines, &engine, why) ||
        !read_shape(settings, &settings_plugin_shape, &settings->plugin_fields, lines, &plugin, why))
        return false;
    settings->engine = *(const struct engine_options *)engine;
    settings->plugin = *(const struct plugin_options *)plugin;
    return complete_options(&settings->engine, why) && check_plugin_options(&settings->plugin, why) &&
           read_prefixes(settings, settings->engine.prefix, why) &&
           read_modules(settings, settings->engine.modules, modules, lines, why) && check_unused(lines, why);
}

struct settings *settings_create(struct option_lines *lines, const rpc_module *const *modules,
                                 char why[OPTIONS_WHY])
{
    struct settings *settings = calloc(1, sizeof *settings);
    if (!settings) {
        no_memory(why);
        return NULL;
    }
    arena_init(&settings->arena);
    if (read_all(settings, lines, modules, why))
        return settings;
    settings_destroy(settings);
    return NULL;
}

void settings_destroy(struct settings *settings)
{
    if (!settings)
        return;
    for (size_t i = 0; i < settings->module_count; i++)
        fields_fini(&settings->modules[i].fields);
    fields_fini(&settings->fields);
    fields_fini(&settings->plugin_fields);
    arena_fini(&settings->arena);
    free(settings);
}

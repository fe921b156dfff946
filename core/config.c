// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The configuration of a service: see config.h. The table of an engine's options is the only list of them. */
#include "config.h"

#include "base/text.h"
#include "call/registry.h"
#include "call/topic.h"
#include "dedup/accounts.h"
#include "shape/fields_check.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- The options of an engine ---- */

static const char *const config_unknown_methods[] = {"reject", "forward"};

static const char *const config_accounts[] = {
    [ACCOUNTS_BY_CLIENT] = "client",
    [ACCOUNTS_BY_USER] = "user",
    [ACCOUNTS_BY_ADDRESS] = "address",
};

static const char *const config_undeclared[] = {"ignore", "refuse"};

static const char *const config_deliveries[] = {"client", "subscribed"};

static const char config_placement[] = "placement_"; /* what the method's name stands behind */

static const rpc_field config_fields[] = {
    RPC_STRING(struct engine_options, prefix, .doc = "topic prefixes to serve, separated by spaces",
               .unit = "words", .default_json = "\"rpc\"", .length = {1, 4096}),
    RPC_INT32(struct engine_options, qos, .doc = "highest QoS of replies, and the QoS of events",
              .default_json = "2", .range = {0, 2}),
    RPC_STRING(struct engine_options, modules,
               .doc = "names of the handler modules to start, separated by spaces; without it, all",
               .unit = "words", .optional = true, .length = {1, 4096}),
    RPC_BOOL(struct engine_options, forward_calls,
             .doc = "deliver calls to subscribers of the call topics as well", .default_json = "false"),
    RPC_CHOICE(struct engine_options, unknown_methods,
               .doc = "what becomes of calls of methods that no module registered: answered with an error, "
                      "or left to other servers",
               .choices = RPC_TABLE(config_unknown_methods), .default_json = "\"reject\""),
    RPC_CHOICE(struct engine_options, undeclared,
               .doc = "what becomes of members of parameters that the method does not declare: ignored, or "
                      "the call is refused, which finds misspelt names",
               .choices = RPC_TABLE(config_undeclared), .default_json = "\"ignore\""),
    RPC_STRING(struct engine_options, response_topic_filter,
               .doc = "topic filter that every Response Topic must match", .default_json = "\"#\"",
               .length = {1, 1024}, .reloads = true),
    RPC_BOOL(struct engine_options, guard_events, .doc = "refuse events that clients publish",
             .default_json = "true", .reloads = true),
    RPC_STRING(struct engine_options, event_publishers,
               .doc = "user names whose clients may publish events, separated by spaces; without it, none",
               .unit = "words", .optional = true, .length = {1, 4096}, .reloads = true),
    RPC_BOOL(struct engine_options, bridge_calls,
             .doc = "answer calls that arrive over a bridge of this broker, which no ACL has checked",
             .default_json = "false", .reloads = true),
    RPC_STRING(
        struct engine_options, bridge_clients,
        .doc = "client ids of bridges that other brokers open to this one, separated by spaces; bridges of "
               "Mosquitto that tell their state (`notifications`) are known without",
        .unit = "words", .optional = true, .length = {1, 4096}, .reloads = true),
    RPC_STRING(
        struct engine_options, bridge_response_topics,
        .doc = "topic filters, separated by spaces; replies to calls that come over a bridge of either side "
               "go to topics that match one of them; without it, the topics of replies of the prefix "
               "itself",
        .unit = "words", .optional = true, .length = {1, 4096}, .reloads = true),
    RPC_INT32(struct engine_options, max_payload, .doc = "largest payload of a call", .unit = "bytes",
              .default_json = "65536", .range = {1, 16777216}, .reloads = true),
    RPC_INT32(struct engine_options, max_reply, .doc = "largest payload of a reply or an event",
              .unit = "bytes", .default_json = "131072", .range = {64, 16777216}),
    RPC_INT32(struct engine_options, reply_expiry,
              .doc = "Message Expiry Interval of replies; 0: they never expire", .unit = "s",
              .default_json = "60", .range = {0, 86400}, .reloads = true),
    RPC_CHOICE(
        struct engine_options, reply_delivery,
        .doc = "who gets replies: the calling client alone, whether or not it has subscribed, or all clients "
               "that "
               "have subscribed to topics below `{prefix}/reply/{client id}/`, which an ACL should restrict",
        .choices = RPC_TABLE(config_deliveries), .default_json = "\"client\""),
    RPC_INT32(struct engine_options, max_batch, .doc = "largest number of calls in a batch",
              .default_json = "100", .range = {1, 10000}, .reloads = true),
    RPC_STRING(
        struct engine_options, jsonrpc_methods,
        .doc = "methods that are open at `{prefix}/jsonrpc`, separated by spaces; `*`: all; without it, none",
        .unit = "words", .optional = true, .length = {1, 65535}),
    RPC_STRING(struct engine_options, methods_off,
               .doc = "methods that are switched off, separated by spaces: their calls are answered "
                      "`method_not_found`; families by their names with braces",
               .unit = "words", .optional = true, .length = {1, 65535}, .reloads = true),
    RPC_STRING(struct engine_options, placements, .name = "placement_METHOD",
               .doc =
                   "where calls of the method METHOD are carried out, for example "
                   "`placement_door/{door}/open`: by the plugin (`local`), by workers that are attached to "
                   "it (`remote`), or by those when they would wait too long for a thread of the plugin "
                   "(`spill`, for methods with work); without it, as the method's row says",
               .unit = "words", .optional = true, .length = {1, 65535}, .reloads = true),
    RPC_INT64(struct engine_options, duplicate_window,
              .doc = "how long the reply to a call with an identity is cached, so that the same call is not "
                     "run again; 0: not at all",
              .unit = "ms", .default_json = "60000", .range = {0, 86400000}, .reloads = true),
    RPC_INT32(struct engine_options, duplicate_entries,
              .doc = "largest number of calls whose replies are cached", .default_json = "10000",
              .range = {1, 10000000}, .reloads = true),
    RPC_INT32(struct engine_options, duplicate_bytes,
              .doc = "largest memory of the cached replies; a larger reply is not cached", .unit = "bytes",
              .default_json = "16777216", .range = {1, 1073741824}, .reloads = true),
    RPC_INT64(
        struct engine_options, redelivery_guard,
        .doc = "a QoS 2 call without an identity is not run again when the client's session sends it again, "
               "if it was made at most so long before the end of the connection; 0: it is run again",
        .unit = "ms", .default_json = "10000", .range = {0, 3600000}, .reloads = true),
    RPC_INT32(struct engine_options, rate_limit, .doc = "calls a second for each client; 0: no limit",
              .default_json = "0", .range = {0, 1000000}, .reloads = true),
    RPC_INT32(struct engine_options, rate_burst,
              .doc = "calls at once for each client; without it, twice rate_limit", .optional = true,
              .range = {1, 2000000}, .flag = RPC_FLAG(struct engine_options, has_rate_burst),
              .reloads = true),
    RPC_INT32(struct engine_options, rate_bytes,
              .doc =
                  "bytes of calls a second for each client, and twice as many at once; a larger call is let "
                  "in whole, and the client owes the rest; 0: no limit",
              .unit = "bytes", .default_json = "0", .range = {0, 1073741824}, .reloads = true),
    RPC_CHOICE(
        struct engine_options, rate_limit_by,
        .doc = "who counts as one client in rate_limit, rate_bytes and error_rate, and where pending "
               "calls are shared out: each client id; each user name, and all anonymous clients together; "
               "or each network address",
        .choices = RPC_TABLE(config_accounts), .default_json = "\"client\"", .reloads = true),
    RPC_INT32(struct engine_options, error_rate,
              .doc = "announced errors a second, of all clients together; one client gets at most half of "
                     "them, and three "
                     "quarters at once; 0: no limit",
              .default_json = "20", .range = {0, 1000000}, .reloads = true),
    RPC_BOOL(struct engine_options, dead_letters,
             .doc = "keep calls that failed with nobody to tell, the last 1000 of them, for dead.list, and "
                    "publish them at `{prefix}/dead/{method}`",
             .default_json = "true", .reloads = true),
    RPC_BOOL(struct engine_options, dead_payload,
             .doc = "keep and publish their parameters, too; without them no dead letter can be replayed",
             .default_json = "true", .reloads = true),
    RPC_INT32(struct engine_options, workers, .doc = "threads that do the work of methods that take time",
              .default_json = "2", .range = {1, 256}),
    RPC_INT32(struct engine_options, max_pending,
              .doc = "largest number of pending calls: those that wait for a thread or for their module",
              .default_json = "1024", .range = {1, ENV_PENDING_MAX}, .reloads = true),
    RPC_INT32(struct engine_options, max_pending_bytes, .doc = "largest memory of all pending calls",
              .unit = "bytes", .default_json = "67108864", .range = {65536, 1073741824}, .reloads = true),
    RPC_INT32(struct engine_options, timeout,
              .doc = "deadline of a call that takes time, unless its method or its caller sets another",
              .unit = "ms", .default_json = "10000", .range = {1, ENV_TIMEOUT_MAX}, .reloads = true),
    RPC_INT32(struct engine_options, timeout_max,
              .doc = "longest deadline that a caller may set, in the MQTT 5 user property `timeout-ms` or in "
                     "`timeout_ms` beside its request_id",
              .unit = "ms", .default_json = "60000", .range = {1, ENV_TIMEOUT_MAX}, .reloads = true),
    RPC_INT64(
        struct engine_options, sys_interval,
        .doc = "time between two publications of the counters; 0: neither counters nor spans, and no health",
        .unit = "ms", .default_json = "10000", .range = {0, 86400000}, .reloads = true),
    RPC_INT64(struct engine_options, slow_call,
              .doc = "a handler that takes longer than this is logged, and a call that does leaves a span; "
                     "0: none does",
              .unit = "ms", .default_json = "50", .range = {0, 3600000}, .reloads = true),
    RPC_BOOL(struct engine_options, log_calls,
             .doc = "log each call: its client, its method, its outcome, and the microseconds that it waited "
                    "and ran",
             .default_json = "false", .reloads = true),
    RPC_BOOL(struct engine_options, recorder_payloads,
             .doc = "keep the first 1024 bytes of the payloads of the last 256 calls, which rpc.recent shows",
             .default_json = "false"),
};

const rpc_shape config_engine_shape = RPC_OBJECT_SHAPE(struct engine_options, config_fields);

/* ---- Reading ---- */

/* One reading of a configuration: its result, the lines, and where to say what is wrong. */
struct reading {
    struct config *config;
    struct option_lines *lines;
    char *why;
};

static bool config_no_memory(const struct reading *reading)
{
    snprintf(reading->why, OPTIONS_WHY, "no memory for the options");
    return false;
}

static bool config_refuse(const struct reading *reading, const char *name, const char *value,
                          const char *accepted)
{
    return options_refuse(reading->lines, name, value, accepted, reading->why);
}

/* Copies the next word of a list into the arena and moves *list behind it. NULL: the list has ended. */
static char *config_next_word(const struct reading *reading, const char **list, bool *failed)
{
    const char *start = *list + strspn(*list, " ");
    const size_t length = strcspn(start, " ");
    *list = start + length;
    if (!length)
        return NULL;
    char *word = arena_copy(&reading->config->arena, start, length);
    *failed = !word;
    return word;
}

/* ---- Placements ---- */

/* One line of them. */
struct config_placement {
    int placement;
};

static const rpc_field config_placement_field =
    RPC_CHOICE(struct config_placement, placement, .choices = RPC_TABLE(registry_placements));

const rpc_field *config_line_field(const rpc_field *option)
{
    return strncmp(fields_name(option), config_placement, strlen(config_placement)) == 0
               ? &config_placement_field
               : option;
}

const char *config_placed_method(const struct option_line *line)
{
    const size_t length = strlen(config_placement);
    return strncmp(line->name, config_placement, length) == 0 && line->name[length] ? line->name + length
                                                                                    : NULL;
}

/* Adds what a line says to the text, which has room for it. */
static bool config_add_placement(const struct reading *reading, const struct option_line *line, char *text,
                                 size_t size)
{
    const size_t used = strlen(text);
    char what[FIELDS_WHY], accepted[FIELDS_WHY + 16];
    const size_t length = strcspn(line->value, " \t");
    const int placement = registry_find_placement(line->value, length);
    for (const struct option_line *other = reading->lines->lines; other != line; other++) {
        if (strcmp(other->name, line->name) == 0)
            return config_refuse(reading, line->name, line->value, "the option is given twice");
    }
    if (placement < 0 || line->value[length + strspn(line->value + length, " \t")]) {
        snprintf(accepted, sizeof accepted, "it takes %s",
                 options_describe(&config_placement_field, what, sizeof what));
        return config_refuse(reading, line->name, line->value, accepted);
    }
    snprintf(text + used, size - used, "%s%s %s", *text ? " " : "", config_placed_method(line),
             registry_placements[placement]);
    return true;
}

/* Makes one text of all lines placement_METHOD. The service finds out whether there are such methods. */
static bool config_read_placements(const struct reading *reading)
{
    const struct option_lines *lines = reading->lines;
    size_t size = 0;
    for (size_t i = 0; i < lines->count; i++) {
        if (config_placed_method(&lines->lines[i]))
            size += strlen(lines->lines[i].name) + strlen(lines->lines[i].value) + 2;
    }
    if (!size)
        return true;
    char *text = arena_alloc(&reading->config->arena, size);
    if (!text)
        return config_no_memory(reading);
    reading->config->engine.placements = text;
    for (size_t i = 0; i < lines->count; i++) {
        struct option_line *line = &lines->lines[i];
        line->used |= config_placed_method(line) != NULL;
        if (config_placed_method(line) && !config_add_placement(reading, line, text, size))
            return false;
    }
    return true;
}

/* ---- Prefixes ---- */

static bool config_add_prefix(const struct reading *reading, const char *prefix)
{
    struct config *config = reading->config;
    const size_t length = strcspn(prefix, "/");
    char accepted[96];
    if (!topic_is_prefix(prefix))
        return config_refuse(
            reading, "prefix", prefix,
            "a prefix is a topic of at most 128 bytes without wildcards and empty levels, which may "
            "begin with a slash");
    for (const char *const *level = config->host->reserved; *level; level++) {
        if (strlen(*level) != length || strncmp(prefix, *level, length) != 0)
            continue;
        snprintf(accepted, sizeof accepted, "the first level of a prefix must not be %s", *level);
        return config_refuse(reading, "prefix", prefix, accepted);
    }
    if (config->prefix_count == CONFIG_PREFIXES)
        return config_refuse(reading, "prefix", prefix, "there are at most 64 prefixes");
    for (size_t i = 0; i < config->prefix_count; i++) {
        if (topic_prefixes_clash(config->prefixes[i], prefix))
            return config_refuse(reading, "prefix", prefix, "its topics must not be those of another prefix");
    }
    config->prefixes[config->prefix_count++] = prefix;
    return true;
}

static bool config_read_prefixes(const struct reading *reading)
{
    struct config *config = reading->config;
    const char *list = config->engine.prefix;
    const char *prefix;
    bool failed = false;
    while ((prefix = config_next_word(reading, &list, &failed))) {
        if (!config_add_prefix(reading, prefix))
            return false;
    }
    if (failed)
        return config_no_memory(reading);
    if (!config->prefix_count)
        return config_refuse(reading, "prefix", list, "it takes at least one prefix");
    config->engine.prefix = config->prefixes[0];
    return true;
}

/* ---- Modules ---- */

/* Every name of the list must be that of a module. */
static bool config_check_wanted(const struct reading *reading, const rpc_module *const *modules)
{
    const char *list = reading->config->engine.modules, *left_out = reading->config->host->left_out;
    const char *name;
    bool failed = false;
    while (list && (name = config_next_word(reading, &list, &failed))) {
        if (left_out && text_has_word(left_out, name))
            return config_refuse(reading, "modules", name, "this module works in the broker's plugin alone");
        const rpc_module *const *module = modules;
        while (*module && strcmp((*module)->name, name) != 0)
            module++;
        if (*module)
            continue;
        char accepted[256] = "the modules are";
        for (module = modules; *module; module++) {
            const size_t used = strlen(accepted);
            snprintf(accepted + used, sizeof accepted - used, " %s", (*module)->name);
        }
        return config_refuse(reading, "modules", name, accepted);
    }
    return !failed || config_no_memory(reading);
}

/* A module "max" with an option "payload" would take the lines of the engine's option max_payload. */
static bool config_check_names(const struct reading *reading, const rpc_module *module)
{
    for (size_t i = 0; module->options && i < module->options->count; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s_%s", module->name, fields_name(&module->options->fields[i]));
        if (!fields_find(&config_engine_shape, name) && !fields_find(reading->config->host->options, name) &&
            strncmp(name, config_placement, strlen(config_placement)) != 0)
            continue;
        snprintf(reading->why, OPTIONS_WHY, "module %s: %s%s is an option of the service itself",
                 module->name, reading->lines->prefix, name);
        return false;
    }
    return true;
}

static bool config_read_module(const struct reading *reading, const rpc_module *module,
                               struct config_module *out)
{
    char wrong[FIELDS_WHY];
    *out = (struct config_module){.module = module};
    if (!module->options)
        return true;
    const char *unfit = options_check_shape(module->options);
    const rpc_status status = unfit ? RPC_INVALID_PARAMS : fields_init(&out->fields, module->options, wrong);
    if (status == RPC_INVALID_PARAMS) {
        snprintf(reading->why, OPTIONS_WHY, "module %s: its options: %s", module->name,
                 unfit ? unfit : wrong);
        return false;
    }
    if (status != RPC_OK)
        return config_no_memory(reading);
    return config_check_names(reading, module) &&
           options_read(module->name, &out->fields, reading->lines, &reading->config->arena, &out->options,
                        reading->why);
}

/* The options of modules that are not started are read as well: that a module is switched off is no reason to
   refuse its lines. */
static bool config_read_modules(const struct reading *reading, const rpc_module *const *modules)
{
    struct config *config = reading->config;
    size_t count = 0;
    while (modules[count])
        count++;
    config->modules = arena_alloc(&config->arena, (count + 1) * sizeof *config->modules);
    if (!config->modules)
        return config_no_memory(reading);
    if (!config_check_wanted(reading, modules))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct config_module *module = &config->modules[config->module_count];
        const bool fine = config_read_module(reading, modules[i], module);
        const char *name = modules[i]->name, *wanted = config->engine.modules;
        const char *left_out = config->host->left_out;
        if (fine &&
            ((left_out && text_has_word(left_out, name)) || (wanted && !text_has_word(wanted, name)))) {
            fields_fini(&module->fields);
            continue;
        }
        config->module_count++;
        if (!fine)
            return false;
    }
    return true;
}

/* ---- All together ---- */

static bool config_read_own(const struct reading *reading, const rpc_shape *shape, struct fields *fields,
                            const void **out)
{
    char wrong[FIELDS_WHY];
    if (fields_init(fields, shape, wrong) != RPC_OK)
        return config_no_memory(reading);
    return options_read("", fields, reading->lines, &reading->config->arena, out, reading->why);
}

static bool config_check_filters(const struct reading *reading)
{
    const char *list = reading->config->engine.bridge_response_topics;
    const char *filter;
    bool failed = false;
    while (list && (filter = config_next_word(reading, &list, &failed))) {
        if (!topic_is_filter(filter))
            return config_refuse(reading, "bridge_response_topics", filter,
                                 "it takes topic filters, in which + is a whole level and # the last one");
    }
    return !failed || config_no_memory(reading);
}

/* Checks what no row can say, and sets the default that depends on another option. */
static bool config_complete(const struct reading *reading)
{
    struct engine_options *options = &reading->config->engine;
    char burst[16];
    snprintf(burst, sizeof burst, "%d", (int)options->rate_burst);
    if (!topic_is_filter(options->response_topic_filter))
        return config_refuse(reading, "response_topic_filter", options->response_topic_filter,
                             "it takes a topic filter, in which + is a whole level and # the last one");
    if (!config_check_filters(reading))
        return false;
    if (options->has_rate_burst && !options->rate_limit)
        return config_refuse(reading, "rate_burst", burst, "it needs a rate_limit");
    if (!options->has_rate_burst)
        options->rate_burst = 2 * options->rate_limit;
    return true;
}

/* Keeps what options_refuse() needs of the lines, which are the caller's. */
static bool config_keep_lines(const struct reading *reading)
{
    enum { SHOWN = 256 }; /* bytes of a value: a message has fewer */
    struct config *config = reading->config;
    const struct option_lines *lines = reading->lines;
    struct option_line *kept = arena_alloc(&config->arena, lines->count * sizeof *kept);
    config->lines = (struct option_lines){.prefix = lines->prefix, .lines = kept};
    if (!kept ||
        (lines->file && !(config->lines.file = arena_copy(&config->arena, lines->file, strlen(lines->file)))))
        return config_no_memory(reading);
    for (size_t i = 0; i < lines->count; i++) {
        const struct option_line *line = &lines->lines[i];
        kept[i] = *line;
        kept[i].name = arena_copy(&config->arena, line->name, strlen(line->name));
        kept[i].value = arena_copy(&config->arena, line->value, strnlen(line->value, SHOWN));
        if (!kept[i].name || !kept[i].value)
            return config_no_memory(reading);
    }
    config->lines.count = lines->count;
    return true;
}

static void config_try_near(struct text_near *near, const rpc_shape *shape)
{
    for (size_t i = 0; shape && i < shape->count; i++)
        text_near_try(near, fields_name(&shape->fields[i]));
}

/* Names the nearest option, which is one of a module if the name begins with the module's. */
static bool config_refuse_unknown(const struct reading *reading, const struct option_line *line,
                                  const rpc_module *const *modules)
{
    char accepted[256] = "there is no such option; the manual lists them in docs/reference.md";
    const char *owner = "", *mark = "";
    struct text_near near = text_near_to(line->name);
    config_try_near(&near, &config_engine_shape);
    config_try_near(&near, reading->config->host->options);
    for (; *modules && !near.best; modules++) {
        const size_t length = strlen((*modules)->name);
        if (strncmp(line->name, (*modules)->name, length) != 0 || line->name[length] != '_')
            continue;
        owner = (*modules)->name;
        mark = "_";
        near = text_near_to(line->name + length + 1);
        config_try_near(&near, (*modules)->options);
    }
    if (near.best)
        snprintf(accepted, sizeof accepted, "there is no such option, did you mean %s%s%s?", owner, mark,
                 near.best);
    return config_refuse(reading, line->name, line->value, accepted);
}

static bool config_read(const struct reading *reading, const rpc_module *const *modules)
{
    struct config *config = reading->config;
    const void *engine = NULL;
    if (!config_read_own(reading, &config_engine_shape, &config->engine_fields, &engine) ||
        !config_read_own(reading, config->host->options, &config->host_fields, &config->host_options))
        return false;
    config->engine = *(const struct engine_options *)engine;
    if (!config_complete(reading) || !config_read_placements(reading) || !config_read_prefixes(reading) ||
        !config->host->check(config, reading->lines, reading->why) || !config_read_modules(reading, modules))
        return false;
    for (size_t i = 0; i < reading->lines->count; i++) {
        if (!reading->lines->lines[i].used)
            return config_refuse_unknown(reading, &reading->lines->lines[i], modules);
    }
    return config_keep_lines(reading);
}

struct config *config_create(struct option_lines *lines, const struct config_host *host,
                             const rpc_module *const *modules, char why[OPTIONS_WHY])
{
    struct config *config = calloc(1, sizeof *config);
    const struct reading reading = {config, lines, why};
    if (!config) {
        config_no_memory(&reading);
        return NULL;
    }
    lines->prefix = host->option_prefix;
    config->host = host;
    arena_init(&config->arena);
    if (config_read(&reading, modules))
        return config;
    config_destroy(config);
    return NULL;
}

/* ---- In words ---- */

/* A relative path is one from the folder in which the broker was started, which is not known for long. */
static void config_write_path(FILE *line, const char *path)
{
    char folder[PATH_MAX];
    const bool is_file = *path != '/' && strcmp(path, ":memory:") != 0;
    if (is_file && getcwd(folder, sizeof folder))
        fprintf(line, "%s/", folder);
    fputs(path, line);
}

static void config_write_files(FILE *line, const struct config_module *module)
{
    const rpc_shape *shape = module->module->options;
    for (size_t i = 0; shape && i < shape->count; i++) {
        const rpc_field *field = &shape->fields[i];
        const char *path;
        if (!field->unit || strcmp(field->unit, "path") != 0)
            continue;
        memcpy(&path, (const char *)module->options + field->offset, sizeof path);
        if (!path)
            continue;
        fprintf(line, "; %s_%s ", module->module->name, fields_name(field));
        config_write_path(line, path);
    }
}

/* The prefixes come last: the broker cuts long lines. */
static void config_write(FILE *line, const struct config *config)
{
    size_t methods = 0;
    for (size_t i = 0; i < config->module_count; i++)
        methods += config->modules[i].module->methods.count;
    fprintf(line, "%zu modules, %zu methods", config->module_count, methods);
    for (size_t i = 0; i < config->module_count; i++)
        config_write_files(line, &config->modules[i]);
    fputs(config->prefix_count == 1 ? "; prefix" : "; prefixes", line);
    for (size_t i = 0; i < config->prefix_count; i++)
        fprintf(line, " %s", config->prefixes[i]);
}

char *config_describe(const struct config *config)
{
    char *text = NULL;
    size_t size;
    FILE *line = open_memstream(&text, &size);
    if (!line)
        return NULL;
    config_write(line, config);
    if (fclose(line) == 0)
        return text;
    free(text);
    return NULL;
}

/* ---- Changes ---- */

size_t config_count_module_changes(const struct config *one, const struct config *other, size_t index)
{
    const struct config_module *module = &one->modules[index];
    return module->options ? options_count_changes(module->module->options, module->options,
                                                   other->modules[index].options)
                           : 0;
}

size_t config_count_changes(const struct config *one, const struct config *other)
{
    size_t changes = options_count_changes(&config_engine_shape, &one->engine, &other->engine);
    for (size_t i = 0; i < one->module_count; i++)
        changes += config_count_module_changes(one, other, i);
    return changes;
}

const char *config_find_fixed_change(const struct config *one, struct config *other)
{
    const rpc_field *field = options_find_fixed_change(&config_engine_shape, &one->engine, &other->engine);
    if (!field)
        field = options_find_fixed_change(one->host->options, one->host_options, other->host_options);
    if (field)
        return fields_name(field);
    bool is_same = one->prefix_count == other->prefix_count; /* that of struct engine_options is the first */
    for (size_t i = 0; is_same && i < one->prefix_count; i++)
        is_same = strcmp(one->prefixes[i], other->prefixes[i]) == 0;
    if (!is_same)
        return "prefix";
    for (size_t i = 0; i < one->module_count; i++) {
        const struct config_module *module = &one->modules[i];
        if (module->options)
            field = options_find_fixed_change(module->module->options, module->options,
                                              other->modules[i].options);
        if (!field)
            continue;
        char name[128];
        snprintf(name, sizeof name, "%s_%s", module->module->name, fields_name(field));
        const char *kept = arena_copy(&other->arena, name, strlen(name));
        return kept ? kept : fields_name(field);
    }
    return NULL;
}

void config_destroy(struct config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->module_count; i++)
        fields_fini(&config->modules[i].fields);
    fields_fini(&config->engine_fields);
    fields_fini(&config->host_fields);
    arena_fini(&config->arena);
    free(config);
}

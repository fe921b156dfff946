// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The engines of one configuration: see service.h. */
#include "service.h"

#include "base/text.h"
#include "call/inbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct service {
    const struct config *config; /* whose settings are in force */
    const struct env_reload *reload;
    struct host host;
    struct engine *engines[CONFIG_PREFIXES];
    size_t count;
};

struct service *service_create(const struct config *config, const struct host *host)
{
    struct service *service = calloc(1, sizeof *service);
    if (!service)
        return NULL;
    service->config = config;
    service->host = *host;
    return service;
}

void service_destroy(struct service *service)
{
    free(service);
}

/* Makes the engine of one prefix. It is the service's from the moment it is made, so that a stop ends it. */
static bool service_make_engine(struct service *service, const char *prefix, char why[SERVICE_WHY])
{
    struct engine_options options = service->config->engine;
    options.prefix = prefix;
    struct engine *engine = engine_create(&options, &service->host);
    if (!engine) {
        snprintf(why, SERVICE_WHY, "no memory for an engine");
        return false;
    }
    engine_show_reload(engine, service->reload);
    if (service->count)
        engine_join(engine, service->engines[0]);
    service->engines[service->count++] = engine;
    return true;
}

/* Adds the modules to an engine. */
static bool service_start_engine(const struct service *service, struct engine *engine, char why[SERVICE_WHY])
{
    const struct config *config = service->config;
    char wrong[ENGINE_WHY];
    for (size_t i = 0; i < config->module_count; i++) {
        const struct config_module *module = &config->modules[i];
        if (!engine_add_module(engine, module->module, module->options, why))
            return false;
    }
    if (engine_open_methods(engine, wrong))
        return true;
    snprintf(why, SERVICE_WHY, "%s%s", config->host->option_prefix, wrong);
    return false;
}

/* All engines have the same methods. */
static bool service_check_methods(const struct service *service, const struct config *config,
                                  char why[SERVICE_WHY])
{
    char word[ENGINE_WORD], wrong[ENGINE_WHY];
    for (size_t i = 0; i < config->lines.count; i++) {
        const struct option_line *line = &config->lines.lines[i];
        const char *method = config_placed_method(line);
        if (method && !engine_check_placement(service->engines[0], method, line->value, wrong))
            return options_refuse(&config->lines, line->name, line->value, wrong, why);
    }
    return engine_has_methods(service->engines[0], config->engine.methods_off, word) ||
           options_refuse(&config->lines, "methods_off", word,
                          "it takes names of methods, separated by spaces; no module has this one", why);
}

bool service_start(struct service *service, char why[SERVICE_WHY])
{
    for (size_t i = 0; i < service->config->prefix_count; i++) {
        if (!service_make_engine(service, service->config->prefixes[i], why))
            return false;
    }
    for (size_t i = 0; i < service->count; i++) {
        if (!service_start_engine(service, service->engines[i], why))
            return false;
    }
    if (!service_check_methods(service, service->config, why))
        return false;
    for (size_t i = 0; i < service->count; i++)
        engine_reload(service->engines[i], &service->config->engine);
    return inbox_check(service->engines, service->count, why);
}

/* ---- Options that change ---- */

void service_show_reload(struct service *service, const struct env_reload *reload)
{
    service->reload = reload;
}

/* Writes why a module has refused: its option, with the value that stands in the configuration. */
static bool service_refuse_module(const struct config *config, const rpc_module *module,
                                  const rpc_refusal *refusal, char why[SERVICE_WHY])
{
    char name[128], safe[RPC_WHY_BYTES];
    const char *value = "";
    snprintf(name, sizeof name, "%s_%s", module->name, refusal->option);
    for (size_t i = 0; i < config->lines.count; i++) {
        if (strcmp(config->lines.lines[i].name, name) == 0)
            value = config->lines.lines[i].value;
    }
    return options_refuse(&config->lines, name, value, text_printable(refusal->why, safe, sizeof safe), why);
}

static bool service_prepare(const struct service *service, const struct config *config, char why[SERVICE_WHY])
{
    rpc_refusal refusal;
    for (size_t i = 0; i < config->module_count; i++) {
        const struct config_module *module = &config->modules[i];
        if (!config_count_module_changes(service->config, config, i))
            continue;
        for (size_t j = 0; j < service->count; j++) {
            if (!engine_prepare_module(service->engines[j], module->module, module->options, &refusal))
                return service_refuse_module(config, module->module, &refusal, why);
        }
    }
    return true;
}

bool service_reload(struct service *service, const struct config *config, char why[SERVICE_WHY])
{
    if (!service_check_methods(service, config, why) || !service_prepare(service, config, why))
        return false;
    for (size_t j = 0; j < service->count; j++) {
        engine_reload(service->engines[j], &config->engine);
        for (size_t i = 0; i < config->module_count; i++) {
            if (config_count_module_changes(service->config, config, i))
                engine_reload_module(service->engines[j], config->modules[i].module,
                                     config->modules[i].options);
        }
    }
    service->config = config;
    return true;
}

/* All engines are stopped before the first one is destroyed, so that their work ends at the same time. */
bool service_stop(struct service *service, uint64_t patience)
{
    const struct host *host = &service->host;
    const uint64_t until = host->monotonic_clock(host->context) + patience;
    bool ended = true;
    for (size_t i = 0; i < service->count; i++)
        engine_stop(service->engines[i]);
    for (size_t i = 0; i < service->count; i++) {
        const uint64_t now = host->monotonic_clock(host->context);
        ended = engine_destroy(service->engines[i], now < until ? until - now : 0) && ended;
    }
    service->count = 0;
    return ended;
}

struct engine *service_find(const struct service *service, const char *topic, struct engine_place *place)
{
    for (size_t i = 0; i < service->count; i++) {
        if (engine_serves(service->engines[i], topic, place))
            return service->engines[i];
    }
    return NULL;
}

void service_tick(struct service *service)
{
    for (size_t i = 0; i < service->count; i++)
        engine_tick(service->engines[i]);
}

uint64_t service_due(const struct service *service)
{
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < service->count; i++) {
        const uint64_t due = engine_due(service->engines[i]);
        first = due < first ? due : first;
    }
    return first;
}

bool service_has_pending(const struct service *service)
{
    for (size_t i = 0; i < service->count; i++) {
        if (engine_has_pending(service->engines[i]))
            return true;
    }
    return false;
}

void service_client_seen(struct service *service, const struct host_client *client)
{
    for (size_t i = 0; i < service->count; i++)
        engine_client_seen(service->engines[i], client);
}

bool service_wants_presence(const struct service *service)
{
    for (size_t i = 0; i < service->count; i++) {
        if (engine_wants_presence(service->engines[i]))
            return true;
    }
    return false;
}

void service_presence(struct service *service, const struct host_presence *presence)
{
    for (size_t i = 0; i < service->count; i++)
        engine_presence(service->engines[i], presence);
}

void service_client_ended(struct service *service, const struct host_ending *ending)
{
    for (size_t i = 0; i < service->count; i++)
        engine_client_ended(service->engines[i], ending);
}

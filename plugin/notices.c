// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What the log tells once: see notices.h. */
#include "notices.h"

#include "base/text.h"
#include "compat/mosquitto_headers.h"
#include "sockets.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A relative path is one from the folder in which the broker was started, which is not known for long. */
static void notices_write_path(FILE *line, const char *path)
{
    char folder[PATH_MAX];
    const bool is_file = *path != '/' && strcmp(path, ":memory:") != 0;
    if (is_file && getcwd(folder, sizeof folder))
        fprintf(line, "%s/", folder);
    fputs(path, line);
}

static void notices_write_files(FILE *line, const struct config_module *module)
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
        notices_write_path(line, path);
    }
}

/* The prefixes come last: the broker cuts long lines. */
static void notices_write(FILE *line, const struct config *config)
{
    size_t methods = 0;
    for (size_t i = 0; i < config->module_count; i++)
        methods += config->modules[i].module->methods.count;
    fprintf(line, "mosquitto-rpc " RPC_VERSION ": %zu modules, %zu methods", config->module_count, methods);
    for (size_t i = 0; i < config->module_count; i++)
        notices_write_files(line, &config->modules[i]);
    fputs(config->prefix_count == 1 ? "; prefix" : "; prefixes", line);
    for (size_t i = 0; i < config->prefix_count; i++)
        fprintf(line, " %s", config->prefixes[i]);
}

void notices_log_start(const struct config *config)
{
    char *text = NULL;
    size_t size;
    FILE *line = open_memstream(&text, &size);
    if (!line)
        return;
    notices_write(line, config);
    if (fclose(line) == 0)
        mosquitto_log_printf(MOSQ_LOG_NOTICE, "%s", text);
    free(text);
}

void notices_log_reply(struct notices *notices, const char *client, const char *topic)
{
    enum { SHOWN = 100 };
    char safe_client[SHOWN], safe_topic[SHOWN];
    const struct digest digest = digest_of(0, &(const struct digest_part){client, strlen(client)}, 1);
    for (unsigned i = 0; i < notices->client_count; i++) {
        if (memcmp(&notices->clients[i], &digest, sizeof digest) == 0)
            return;
    }
    notices->clients[notices->client_count++] = digest;
    mosquitto_log_printf(
        MOSQ_LOG_NOTICE,
        "mosquitto-rpc: reply to %s only: replies go to the client that called, whether or not "
        "it has subscribed, and to no other subscriber of %s%s",
        text_printable(client, safe_client, sizeof safe_client),
        text_printable(topic, safe_topic, sizeof safe_topic),
        notices->client_count < NOTICES_CLIENTS ? "" : "; this is not logged of further clients");
}

void notices_log_delay(struct notices *notices, const struct mosquitto *client)
{
    const char *address = mosquitto_client_address(client);
    if (!address || mosquitto_client_protocol(client) != mp_mqtt)
        return;
    notices->asked_delay = true;
    if (sockets_delay(address))
        mosquitto_log_printf(MOSQ_LOG_NOTICE,
                             "mosquitto-rpc: TCP may delay replies by 40 ms or more, since the broker's "
                             "configuration does not have the line set_tcp_nodelay true");
}

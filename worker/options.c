// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The worker's part of the configuration: see options.h. */
#include "options.h"

#include "base/text.h"
#include "call/topic.h"
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_PLAIN = 1883, PORT_TLS = 8883 };

static const rpc_field worker_option_fields[] = {
    RPC_STRING(struct worker_options, config,
               .doc = "a file of options, a line being the name of an option and its value; it is read at "
                      "start and, for the options that may change, at each SIGHUP; options of the command "
                      "line come before those of the file",
               .optional = true, .length = {1, 4096}, .unit = "path"),
    RPC_STRING(struct worker_options, broker,
               .doc = "the broker: HOST, HOST:PORT, [IPv6 address]:PORT or unix:PATH; the port is 1883, or "
                      "8883 with TLS, unless it is given",
               .default_json = "\"localhost\"", .length = {1, 300}),
    RPC_STRING(struct worker_options, user, .doc = "the user name", .optional = true, .length = {1, 1024}),
    RPC_STRING(struct worker_options, password_file,
               .doc = "a file whose first line is the password; it is read at each connection",
               .optional = true, .length = {1, 4096}, .unit = "path"),
    RPC_STRING(struct worker_options, cafile, .doc = "certificates to trust, for TLS", .optional = true,
               .length = {1, 4096}, .unit = "path"),
    RPC_STRING(struct worker_options, capath, .doc = "a folder of certificates to trust, for TLS",
               .optional = true, .length = {1, 4096}, .unit = "path"),
    RPC_BOOL(struct worker_options, system_certs, .doc = "trust the system's certificates, for TLS",
             .default_json = "false"),
    RPC_STRING(struct worker_options, cert, .doc = "the worker's certificate, for TLS", .optional = true,
               .length = {1, 4096}, .unit = "path"),
    RPC_STRING(struct worker_options, key, .doc = "the private key of that certificate", .optional = true,
               .length = {1, 4096}, .unit = "path"),
    RPC_BOOL(struct worker_options, insecure,
             .doc = "do not compare the broker's name with its certificate: not for production",
             .default_json = "false"),
    RPC_STRING(struct worker_options, client_id,
               .doc =
                   "the client id, without `+`, `#` and control characters; without it, the name and random "
                   "digits, so that no two workers throw each other off the broker",
               .optional = true, .length = {1, 256}),
    RPC_STRING(struct worker_options, name,
               .doc = "the worker's name: one level of letters, digits, `_`, `.` and `-`; without it, the "
                      "machine's name and the process's id",
               .optional = true, .length = {1, WORKER_NAME_MAX}),
    RPC_INT32(struct worker_options, keepalive,
              .doc = "the keep alive: the broker notices a worker that is gone after one and a half times "
                     "this",
              .unit = "s", .default_json = "5", .range = {5, 65535}),
    RPC_INT64(struct worker_options, drain,
              .doc = "how long the worker waits for its calls to end when it is told to stop", .unit = "ms",
              .default_json = "30000", .range = {0, 86400000}, .reloads = true),
    RPC_BOOL(struct worker_options, attach,
             .doc = "attach to the broker's plugin, which then sends calls to this worker",
             .default_json = "false"),
    RPC_STRING(struct worker_options, share,
               .doc = "share the calls with the other workers of this group, by a shared subscription of any "
                      "MQTT 5 broker",
               .optional = true, .length = {1, 128}),
    RPC_BOOL(struct worker_options, rendezvous,
             .doc = "share the calls with all other workers without shared subscriptions: each call is run "
                    "by the one that all of them agree on",
             .default_json = "false"),
    RPC_BOOL(struct worker_options, automatic, .name = "auto",
             .doc = "share, in the group `rpc`, if the broker has shared subscriptions, else rendezvous; "
                    "this is so if no other mode is given",
             .default_json = "false"),
    RPC_INT32(struct worker_options, window,
              .doc = "with attach: how many calls the plugin sends before the first of them is answered",
              .default_json = "8", .range = {1, 16}),
    RPC_STRING(struct worker_options, methods,
               .doc = "with attach: the methods that this worker offers, separated by spaces; without it, "
                      "all methods of its modules",
               .unit = "words", .optional = true, .length = {1, 65535}),
};

static const rpc_shape worker_options_shape = RPC_OBJECT_SHAPE(struct worker_options, worker_option_fields);

static const char *const worker_reserved_levels[] = {"$SYS", "$share", "$queue", "$CONTROL", NULL};

bool worker_options_have_tls(const struct worker_options *options)
{
    return options->cafile || options->capath || options->system_certs;
}

bool worker_is_name(const char *text)
{
    return topic_is_plain_level(text) && strlen(text) <= WORKER_NAME_MAX;
}

/* Reads what stands behind a host: nothing, or a colon and a port. */
static bool broker_address_read_port(const char *text, struct broker_address *address)
{
    char *end;
    if (!*text)
        return true;
    if (*text != ':' || text[1] < '0' || text[1] > '9')
        return false;
    const long port = strtol(text + 1, &end, 10);
    address->port = (int)port;
    return !*end && port >= 1 && port <= 65535;
}

bool broker_address_read(const char *text, bool tls, struct broker_address *address)
{
    static const char unix_word[] = "unix:";
    *address = (struct broker_address){.port = tls ? PORT_TLS : PORT_PLAIN};
    size_t length = strcspn(text, ":");
    if (strncmp(text, unix_word, sizeof unix_word - 1) == 0) {
        text += sizeof unix_word - 1;
        length = strlen(text);
        address->port = 0;
    } else if (*text == '[') {
        text++;
        length = strcspn(text, "]");
        if (!text[length] || !broker_address_read_port(text + length + 1, address))
            return false;
    } else if (!broker_address_read_port(text + length, address)) {
        return false;
    }
    if (!length || length >= sizeof address->host)
        return false;
    memcpy(address->host, text, length);
    return true;
}

static bool worker_check_modes(const struct worker_options *options, const struct option_lines *lines,
                               char why[OPTIONS_WHY])
{
    const int modes = options->attach + (options->share != NULL) + options->rendezvous + options->automatic;
    if (modes > 1)
        return options_refuse(lines,
                              options->share    ? "share"
                              : options->attach ? "attach"
                                                : "rendezvous",
                              options->share ? options->share : "true",
                              "a worker has one of the modes attach, share, rendezvous and auto", why);
    if (options->share && !worker_is_name(options->share))
        return options_refuse(lines, "share", options->share,
                              "a group is one level of letters, digits, `_`, `.` and `-`", why);
    return true;
}

static bool worker_check_options(const struct config *config, const struct option_lines *lines,
                                 char why[OPTIONS_WHY])
{
    const struct worker_options *options = config->host_options;
    struct broker_address address;
    if (!broker_address_read(options->broker, false, &address))
        return options_refuse(lines, "broker", options->broker,
                              "it takes HOST, HOST:PORT, [IPv6 address]:PORT or unix:PATH", why);
    if (options->client_id && !text_is_topic(options->client_id))
        return options_refuse(lines, "client_id", options->client_id,
                              "a client id has no +, # and control characters", why);
    if (options->name && !worker_is_name(options->name))
        return options_refuse(lines, "name", options->name,
                              "a name is one level of letters, digits, `_`, `.` and `-`", why);
    if (!options->cert != !options->key)
        return options_refuse(lines, options->cert ? "cert" : "key",
                              options->cert ? options->cert : options->key,
                              "a certificate and its key are given together", why);
    if (options->cert && !worker_options_have_tls(options))
        return options_refuse(lines, "cert", options->cert, "it needs cafile, capath or system_certs", why);
    if (options->password_file && !options->user)
        return options_refuse(lines, "password_file", options->password_file, "it needs a user", why);
    return worker_check_modes(options, lines, why);
}

const struct config_host rpc_host = {
    .option_prefix = "--",
    .reserved = worker_reserved_levels,
    .options = &worker_options_shape,
    .left_out = "device", /* it needs to know which clients are there */
    .file_option = "config",
    .file_is_whole = true,
    .check = worker_check_options,
};

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The configuration of a service (docs/reference.md): the options of its engines, of its host and of its
 * modules, read from the lines of a configuration file. The table of the engines' options is in config.c,
 * that of the host's options is the host's, those of the modules' options are the modules'.
 *
 * Threads: any, but a configuration is not changed once it is made. Where settings change while the service
 * runs, that is another configuration: see service_reload().
 *
 * Ownership: a configuration owns all that it points at, except the modules and the host's tables, which are
 * constant. It must outlive every engine that was made from it.
 *
 * Failure: config_create() returns NULL and says why in one line that names the option, its value and what is
 * accepted.
 */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include "base/env.h"
#include "shape/options.h"

#include <mosquitto_rpc.h>

enum { CONFIG_PREFIXES = 64 }; /* every message of the host is compared with each prefix */

struct config;

/* What a host adds to the configuration, and what it says of itself to those who describe the service. */
struct config_host {
    const char *option_prefix;   /* stands before the name of each option in the configuration */
    const char *counters_topic;  /* as in struct host */
    const char *const *reserved; /* first levels that a prefix may not have, ending with NULL */
    const rpc_shape *options;    /* the host's own options; all may be left out */
    const char
        *file_option; /* of these, the one that names a file of settings: see core/settings.h; NULL: none */
    const char *left_out; /* names of modules that do not work in the host; NULL: all do */
    bool file_is_whole;   /* the file may have every option, and options that were given beside it
                             replace those of the file, not the other way round */

    /*
     * Checks what the table cannot say. The configuration has its host_options, a struct of that shape, and
     * its prefixes. Returns false with why, which options_refuse() writes.
     */
    bool (*check)(const struct config *config, const struct option_lines *lines, char why[OPTIONS_WHY]);
};

/* The host that a plugin or a program is linked with. The host defines it. */
extern const struct config_host rpc_host;

/* A module that is to be started. */
struct config_module {
    const rpc_module *module;
    struct fields fields; /* of its options; all zero: it has none */
    const void *options;  /* a struct of the module's options; NULL: it has none */
};

struct config {
    const struct config_host *host;
    struct engine_options engine; /* of all engines; prefix is the first one's */
    const void *host_options;     /* a struct of host->options */
    const char *prefixes[CONFIG_PREFIXES];
    size_t prefix_count;
    struct config_module *modules; /* in the order in which they are started */
    size_t module_count;
    struct fields engine_fields, host_fields;
    struct option_lines lines; /* the beginning of each, for options_refuse() */
    struct arena arena;        /* holds what the others point at */
};

/* The options of an engine: a shape of struct engine_options. */
extern const rpc_shape config_engine_shape;

/* The row by which the lines of an option are read, which is the option's own, but for placement_METHOD,
 * which stands for options of several names. */
const rpc_field *config_line_field(const rpc_field *option);

/* The method of a line placement_METHOD; NULL: it is another line. */
const char *config_placed_method(const struct option_line *line);

/*
 * Reads the lines, whose prefix it sets. modules ends with NULL. Returns NULL if an option is not accepted or
 * there is no memory. The caller destroys the configuration with config_destroy().
 */
struct config *config_create(struct option_lines *lines, const struct config_host *host,
                             const rpc_module *const *modules, char why[OPTIONS_WHY]);

/* Says in one line what a configuration starts: its modules, their files and the prefixes. Returns memory
 * that the caller frees with free(); NULL: no memory. */
char *config_describe(const struct config *config);

/* How many options differ in two configurations that have the same lines but for a config_file. */
size_t config_count_changes(const struct config *one, const struct config *other);

/* Likewise, of one module. index: in config->modules. */
size_t config_count_module_changes(const struct config *one, const struct config *other, size_t index);

/* The name of an option that differs in two configurations although it does not change while the service
 * runs; NULL: there is none. The name exists as long as `other` does. */
const char *config_find_fixed_change(const struct config *one, struct config *other);

/* Accepts NULL. */
void config_destroy(struct config *config);

#endif

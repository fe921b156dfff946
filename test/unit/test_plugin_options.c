// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* plugin/options.c: the plugin's own options, and what else the broker adds to a configuration. */
#include "unit.h"

#include "config.h"
#include "options.h"

#include <stdio.h>

static struct config *config;
static char why[OPTIONS_WHY];

static void close_config(void)
{
    config_destroy(config);
}

/* Reads one line, or none: name is NULL. Returns the plugin's options; NULL: the line was refused. */
static const struct plugin_options *read_line(const char *name, const char *value)
{
    struct option_line line = {.name = name, .value = value};
    struct option_lines lines = {.lines = &line, .count = name != NULL};
    config_destroy(config);
    config = config_create(&lines, &rpc_host, &(const rpc_module *const){NULL}, why);
    return config ? config->host_options : NULL;
}

START_TEST(defaults)
{
    const struct plugin_options *options = read_line(NULL, NULL);
    ck_assert_ptr_nonnull(options);
    ck_assert_ptr_null(options->mount_point);
    ck_assert(options->safe_point);
    ck_assert_ptr_null(options->config_file);
}
END_TEST

START_TEST(each_option_is_read)
{
    ck_assert_str_eq(read_line("mount_point", "device/")->mount_point, "device/");
    ck_assert(!read_line("safe_point", "false")->safe_point);
    ck_assert_str_eq(read_line("config_file", "/etc/some file")->config_file, "/etc/some file");
}
END_TEST

#define BEGINS(prefix)                                                      \
    "the topics of the prefix " prefix                                      \
    " begin with it, so that calls of all clients would count as those of " \
    "its listener: choose another plugin_opt_prefix or mount_point"

static const struct taken {
    const char *prefix, *mount_point, *because; /* NULL: they are accepted */
} taken[] = {
    {"site1/rpc", "site1/", BEGINS("site1/rpc")},
    {"rpc site1/rpc", "site1/", BEGINS("site1/rpc")},
    {"rpc", "rpc/", BEGINS("rpc")},
    {"rpc", "rpc", BEGINS("rpc")},
    {"rpc", "r", BEGINS("rpc")},
    {"a/b/c", "a/b/c/", BEGINS("a/b/c")},
    {"rpc", "site1/", NULL},
    {"site10/rpc", "site1/", NULL},
    {"rpc", "rpc2/", NULL},
    {"rpc", "rpc/site1/", NULL},
    {"a/site1/rpc", "site1/", NULL},
};

/* The plugin cuts the mount point off each topic that begins with it. */
START_TEST(a_prefix_does_not_begin_with_the_mount_point)
{
    const struct taken *row = &taken[_i];
    struct option_line pair[] = {{.name = "prefix", .value = row->prefix},
                                 {.name = "mount_point", .value = row->mount_point}};
    struct option_lines lines = {.lines = pair, .count = 2};
    char expected[OPTIONS_WHY] = "";
    config_destroy(config);
    config = config_create(&lines, &rpc_host, &(const rpc_module *const){NULL}, why);
    ck_assert_int_eq(config == NULL, row->because != NULL);
    if (row->because)
        snprintf(expected, sizeof expected, "plugin_opt_mount_point: '%s' is not accepted, %s",
                 row->mount_point, row->because);
    if (row->because)
        ck_assert_str_eq(why, expected);
}
END_TEST

static const struct refused {
    const char *name, *value, *because;
} refused[] = {
    {"mount_point", "a/#", "it takes the beginning of a topic, without wildcards"},
    {"mount_point", "+", "it takes the beginning of a topic, without wildcards"},
    {"prefix", "$SYS/rpc", "the first level of a prefix must not be $SYS"},
    {"prefix", "$share/a", "the first level of a prefix must not be $share"},
    {"prefix", "$queue", "the first level of a prefix must not be $queue"},
    {"prefix", "$CONTROL/x", "the first level of a prefix must not be $CONTROL"},
};

START_TEST(refuses_and_says_why)
{
    const struct refused *row = &refused[_i];
    char expected[OPTIONS_WHY];
    ck_assert_ptr_null(read_line(row->name, row->value));
    snprintf(expected, sizeof expected, "plugin_opt_%s: '%s' is not accepted, %s", row->name, row->value,
             row->because);
    ck_assert_str_eq(why, expected);
}
END_TEST

UNIT_MAIN("plugin_options", NULL, close_config, {defaults, 0}, {each_option_is_read, 0},
          {refuses_and_says_why, UNIT_ROWS(refused)},
          {a_prefix_does_not_begin_with_the_mount_point, UNIT_ROWS(taken)})

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
          {refuses_and_says_why, UNIT_ROWS(refused)})

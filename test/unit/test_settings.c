// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/settings.c on real files, with the options of the plugin: what is read at start and later, what is
 * noted and logged, and files that are none.
 */
#include "rig.h"
#include "unit.h"

#include "settings.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char folder[] = "/tmp/rpc-settings-XXXXXX";
static char path[64], why[SERVICE_WHY], logged[1024];
static int logged_as, log_lines;
static struct fake_host host; /* of the service */
static struct settings settings;
static struct service *service;

/* The host's. */
static void note_log(void *context, rpc_log_level level, const char *line)
{
    (void)context;
    snprintf(logged, sizeof logged, "%s", line);
    logged_as = (int)level;
    log_lines++;
}

static const struct host logging = {.log = note_log};

static void write_bytes(const char *text, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static void write_file(const char *text)
{
    write_bytes(text, strlen(text));
}

static void make_folder(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/settings", folder);
    fake_host_open(&host);
}

static void remove_folder(void)
{
    if (service)
        ck_assert(service_stop(service, 1000000000));
    service_destroy(service);
    settings_fini(&settings, true);
    rig_close_host(&host);
    remove(path);
    ck_assert_int_eq(rmdir(folder), 0);
}

/* The lines of the broker are overwritten when they have been read. */
static bool read_start(const char *name, const char *value)
{
    char *key = strdup(name), *text = strdup(value), prefix[] = "prefix", word[] = "x";
    char modules[] = "modules", module[] = "rpc";
    const struct option_line options[] = {
        {.name = key, .value = text}, {.name = prefix, .value = word}, {.name = modules, .value = module}};
    const bool worked = settings_start(&settings, options, 3, why);
    memset(text, 'X', strlen(text));
    prefix[0] = word[0] = 'X';
    free(key);
    free(text);
    return worked;
}

static void start(const char *text)
{
    write_file(text);
    ck_assert_msg(read_start("config_file", path), "%s", why);
    const struct host functions = host.host;
    service = service_create(settings.first, &functions);
    ck_assert_ptr_nonnull(service);
    ck_assert_msg(service_start(service, why), "%s", why);
}

static void reload(const char *text)
{
    if (text)
        write_file(text);
    log_lines = 0;
    settings_reload(&settings, service, &logging);
}

static void expect_log(int level, const char *format)
{
    char expected[1024];
    snprintf(expected, sizeof expected, format, path);
    ck_assert_str_eq(logged, expected);
    ck_assert_int_eq(logged_as, level);
    ck_assert_int_eq(log_lines, 1);
}

static int max_batch(void)
{
    return settings.current->engine.max_batch;
}

/* ---- Start ---- */

START_TEST(without_a_file)
{
    ck_assert(read_start("max_batch", "7"));
    ck_assert_int_eq(max_batch(), 7);
    ck_assert_ptr_null(settings.status.file);
    settings_reload(&settings, NULL, &logging);
    ck_assert_int_eq(log_lines, 0);
}
END_TEST

START_TEST(a_faulty_line_of_the_broker)
{
    ck_assert(!read_start("max_batch", "none"));
    ck_assert_msg(strstr(why, "plugin_opt_max_batch: 'none'") == why, "%s", why);
}
END_TEST

START_TEST(the_file_is_read_at_start)
{
    start("max_batch 9\n");
    ck_assert_int_eq(max_batch(), 9);
    ck_assert_str_eq(settings.current->prefixes[0], "x");
    ck_assert_str_eq(settings.status.file, path);
    ck_assert(settings.status.ok);
    ck_assert_str_eq(settings.status.why, "");
    ck_assert_uint_eq(settings.status.settings, 1);
    ck_assert(settings.status.read_at > 1.5e9);
}
END_TEST

START_TEST(a_fault_stops_the_start)
{
    char expected[OPTIONS_WHY];
    write_file("max_batch 9\nqos 2\n");
    ck_assert(!read_start("config_file", path));
    snprintf(expected, sizeof expected, "config_file %s, line 2: qos: '2' is not accepted, ", path);
    ck_assert_msg(strstr(why, expected) == why, "%s", why);
    ck_assert(!settings.status.ok);
}
END_TEST

/* ---- Later ---- */

START_TEST(changes_and_no_changes)
{
    start("max_batch 9\n");
    reload(NULL);
    expect_log(RPC_LOG_NOTICE, "config_file %s read: 1 settings");
    reload("max_batch 8\nslow_call 1s\n# and\nrate_limit 0\n");
    expect_log(RPC_LOG_NOTICE, "config_file %s read: 3 settings, 2 changed");
    ck_assert_int_eq(max_batch(), 8);
    ck_assert_uint_eq(settings.status.settings, 3);
    reload("");
    expect_log(RPC_LOG_NOTICE, "config_file %s read: 0 settings, 2 changed");
    ck_assert_int_eq(max_batch(), 100);
}
END_TEST

START_TEST(a_fault_changes_nothing)
{
    start("max_batch 9\n");
    settings.status.read_at = 0;
    reload("max_batch 8\nslow_call soon\n");
    expect_log(RPC_LOG_ERROR,
               "config_file %s, line 2: slow_call: 'soon' is not accepted, it takes a duration "
               "from 0 to 1h, such as 500ms, 10s, 5m, 1h; all settings stay as they were");
    ck_assert_int_eq(max_batch(), 9);
    ck_assert(!settings.status.ok);
    ck_assert_ptr_nonnull(strstr(settings.status.why, "line 2: slow_call: 'soon' is not accepted"));
    ck_assert_uint_eq(settings.status.settings, 1);
    ck_assert(settings.status.read_at > 1.5e9);
    reload("methods_off nope");
    ck_assert_msg(strstr(logged, "line 1: methods_off: 'nope' is not accepted"), "%s", logged);
    reload("max_batch 9\n");
    expect_log(RPC_LOG_NOTICE, "config_file %s read: 1 settings");
    ck_assert(settings.status.ok);
    ck_assert_str_eq(settings.status.why, "");
}
END_TEST

/* ---- Files that are none ---- */

static void make_nothing(void)
{
}

static void make_pipe(void)
{
    ck_assert_int_eq(mkfifo(path, 0600), 0);
}

static void make_directory(void)
{
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void make_large(void)
{
    write_file("");
    ck_assert_int_eq(truncate(path, 1048577), 0);
}

static void make_loop(void)
{
    ck_assert_int_eq(symlink(path, path), 0);
}

static void make_device(void)
{
    ck_assert_int_eq(symlink("/dev/zero", path), 0);
}

static const struct strange {
    void (*make)(void);
    const char *why;
} strange[] = {
    {make_nothing, "No such file or directory"},      {make_pipe, "it is no regular file"},
    {make_directory, "it is no regular file"},        {make_large, "it has more than 1048576 bytes"},
    {make_loop, "Too many levels of symbolic links"}, {make_device, "it is no regular file"},
};

/* Neither at start nor later does one of them keep the broker waiting. */
START_TEST(strange_files_at_start)
{
    char expected[OPTIONS_WHY];
    strange[_i].make();
    ck_assert(!read_start("config_file", path));
    snprintf(expected, sizeof expected, "config_file %s: %s", path, strange[_i].why);
    ck_assert_str_eq(why, expected);
}
END_TEST

START_TEST(strange_files_later)
{
    char expected[OPTIONS_WHY];
    start("max_batch 9\n");
    remove(path);
    strange[_i].make();
    reload(NULL);
    snprintf(expected, sizeof expected, "config_file %s: %s; all settings stay as they were", "%s",
             strange[_i].why);
    expect_log(RPC_LOG_ERROR, expected);
    ck_assert_int_eq(max_batch(), 9);
    remove(path);
    reload("max_batch 3\n");
    ck_assert_int_eq(max_batch(), 3);
}
END_TEST

/* As large as it may be. */
START_TEST(a_large_file)
{
    char *text = malloc(1048576);
    ck_assert_ptr_nonnull(text);
    memset(text, '\n', 1048576);
    start("max_batch 9\n");
    memcpy(text + 1048576 - 11, "max_batch 3", 11);
    write_bytes(text, 1048576);
    reload(NULL);
    ck_assert_int_eq(max_batch(), 3);
    free(text);
}
END_TEST

/* No descriptor stays open. */
START_TEST(descriptors)
{
    start("max_batch 9\n");
    const int before = dup(0);
    close(before);
    for (int i = 0; i < 10; i++)
        reload(i % 2 ? "max_batch 9" : "nonsense");
    const int after = dup(0);
    close(after);
    ck_assert_int_eq(before, after);
}
END_TEST

UNIT_MAIN("settings", make_folder, remove_folder, {without_a_file, 0}, {a_faulty_line_of_the_broker, 0},
          {the_file_is_read_at_start, 0}, {a_fault_stops_the_start, 0}, {changes_and_no_changes, 0},
          {a_fault_changes_nothing, 0}, {strange_files_at_start, UNIT_ROWS(strange)},
          {strange_files_later, UNIT_ROWS(strange)}, {a_large_file, 0}, {descriptors, 0})

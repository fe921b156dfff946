// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The config_file, beside a configuration of the broker's own: what is refused is explained in one printable
 * line, with the line of the file; of what is accepted, the broker's own settings have changed only where
 * they may.
 */
#include "fuzz.h"

#include "config.h"
#include "config_file.h"
#include "modules.h"

#include <stdlib.h>
#include <string.h>

static void check_config(struct option_lines *lines)
{
    char why[OPTIONS_WHY] = "";
    struct config *config = config_create(lines, &rpc_host, rpc_modules, why);
    if (config) {
        FUZZ_EXPECT(config->engine.qos == 1 && config->engine.workers == 3);
        FUZZ_EXPECT(config->prefix_count == 1 && strcmp(config->prefixes[0], "a/b") == 0);
    } else {
        fuzz_check_line(why, OPTIONS_WHY);
    }
    config_destroy(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct option_line own[] = {{.name = "prefix", .value = "a/b"},
                                {.name = "qos", .value = "1"},
                                {.name = "workers", .value = "3"},
                                {.name = "rate_limit", .value = "10"},
                                {.name = "device_groups", .value = "hall=a,b"}};
    const struct option_lines given = {
        .prefix = rpc_host.option_prefix, .lines = own, .count = sizeof own / sizeof own[0]};
    struct option_lines merged = {.lines = NULL};
    char why[OPTIONS_WHY] = "";
    char *text = fuzz_text(data, size);
    const int settings = config_file_merge(&merged, &given, "settings", text, size, why);
    FUZZ_EXPECT(settings <= CONFIG_FILE_SETTINGS);
    if (settings < 0)
        fuzz_check_line(why, OPTIONS_WHY);
    else
        check_config(&merged);
    free(merged.lines);
    free(text);
    return 0;
}

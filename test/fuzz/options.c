// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The configuration: lines of names and values, as they stand behind plugin_opt_, for all modules. What is
 * refused is explained in one printable line; what is accepted keeps its bounds.
 */
#include "fuzz.h"

#include "config.h"
#include "modules.h"

#include <stdlib.h>
#include <string.h>

enum { LINES = 32 };

static void check_config(const struct config *config)
{
    const struct engine_options *engine = &config->engine;
    FUZZ_EXPECT(config->prefix_count >= 1 && config->prefix_count <= CONFIG_PREFIXES);
    FUZZ_EXPECT(strcmp(config->prefixes[0], engine->prefix) == 0);
    FUZZ_EXPECT(engine->qos >= 0 && engine->qos <= 2);
    FUZZ_EXPECT(engine->max_payload > 0 && engine->max_reply > 0 && engine->max_pending > 0 &&
                engine->workers > 0);
    FUZZ_EXPECT(engine->timeout > 0 && engine->timeout_max > 0);
}

/* What an option is described as fits any buffer. */
static void check_descriptions(const struct config *config, unsigned capacity)
{
    char *out = malloc(capacity);
    FUZZ_EXPECT(out);
    for (size_t i = 0; i < config->engine_fields.shape->count; i++) {
        const rpc_field *field = &config->engine_fields.shape->fields[i];
        FUZZ_EXPECT(strlen(options_describe(field, out, capacity)) < capacity);
        FUZZ_EXPECT(strlen(options_print_default(field, out, capacity)) < capacity);
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[OPTIONS_WHY] = "";
    struct option_line given[LINES];
    struct option_lines lines = {.lines = given, .count = 0};
    char *text = fuzz_text(data, size), *rest = text, *line;
    while (lines.count < LINES && (line = fuzz_line(&rest))) {
        const char *name = fuzz_word(&line);
        given[lines.count++] = (struct option_line){.name = name, .value = line};
    }
    struct config *config = config_create(&lines, &rpc_host, rpc_modules, why);
    if (config) {
        check_config(config);
        check_descriptions(config, 1 + (unsigned)(size % FIELDS_WHY));
    } else {
        fuzz_check_line(why, OPTIONS_WHY);
    }
    config_destroy(config);
    free(text);
    return 0;
}

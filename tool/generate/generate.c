// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Typed clients: see generate.h. */
#include "generate/generate.h"

#include "generate/languages.h"

#include <string.h>

const struct generate_language generate_languages[] = {
    {"python", ".py", NULL, python_write},
    {"typescript", ".ts", NULL, typescript_write},
    {"c", ".c", ".h", c_write},
};
const size_t generate_language_count = sizeof generate_languages / sizeof *generate_languages;

const struct generate_language *generate_find(const char *name)
{
    for (size_t i = 0; i < generate_language_count; i++) {
        if (strcmp(generate_languages[i].name, name) == 0)
            return &generate_languages[i];
    }
    return NULL;
}

const char *generate_write(const cJSON *document, const struct generate_language *language, const char *name,
                           const struct generate_files *files)
{
    struct api api;
    const char *fault = api_read(&api, document) ? NULL : api.fault;
    if (!fault && !language->write(&api, name, files))
        fault = "there is no memory";
    api_fini(&api);
    return fault;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * print_reference markdown | openrpc | asyncapi [PREFIX]
 *
 * Prints the reference of a plugin's modules from the same tables that the plugin uses, with the default
 * values of the options. It starts no module. The build uses it for the manual's documents;
 * mosquitto_rpc_add_reference() builds one for another plugin.
 */
#include "reference.h"

#include "call/registry.h"
#include "config.h"
#include "describe/openrpc.h"
#include "modules.h"
#include "shape/codec_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Indented JSON: one member or element in each line ---- */

static void print_line(int depth)
{
    printf("\n%*s", 2 * depth, "");
}

/* Prints the string at text. Returns the text after it. */
static const char *print_string(const char *text)
{
    const char *end = text + 1;
    while (*end != '"')
        end += *end == '\\' ? 2 : 1;
    printf("%.*s", (int)(end + 1 - text), text);
    return end + 1;
}

static const char *print_mark(const char *text, int *depth)
{
    const char mark = *text;
    if (mark == '{' || mark == '[') {
        putchar(mark);
        if (text[1] == mark + 2) { /* the closing bracket: it is empty */
            putchar(text[1]);
            return text + 2;
        }
        print_line(++*depth);
        return text + 1;
    }
    if (mark == '}' || mark == ']')
        print_line(--*depth);
    putchar(mark);
    if (mark == ',')
        print_line(*depth);
    if (mark == ':')
        putchar(' ');
    return text + 1;
}

static void print_json(const char *text)
{
    int depth = 0;
    while (*text)
        text = *text == '"' ? print_string(text) : print_mark(text, &depth);
    putchar('\n');
}

/* ---- Documents ---- */

typedef void (*document)(const struct catalogue *catalogue, struct writer *writer);

/* Doubles the memory until the document fits. Returns a string that the caller frees; NULL: no memory. */
static char *write_document(document write, const struct catalogue *catalogue)
{
    for (size_t capacity = 1 << 16;; capacity *= 2) {
        char *text = calloc(1, capacity + 1);
        struct writer writer = writer_make(&codec_json, text, capacity);
        struct titles titles;
        struct catalogue titled = *catalogue;
        if (!text)
            return NULL;
        titles_init(&titles);
        titled.titles = &titles;
        write(&titled, &writer);
        const bool is_whole = !titles.failed;
        titles_fini(&titles);
        if (is_whole && !writer.full)
            return text;
        free(text);
        if (!is_whole)
            return NULL;
    }
}

static int print_document(document write, const struct catalogue *catalogue)
{
    char *text = write_document(write, catalogue);
    if (!text)
        return EXIT_FAILURE;
    print_json(text);
    free(text);
    return EXIT_SUCCESS;
}

static int print(const char *what, const struct catalogue *catalogue)
{
    if (strcmp(what, "openrpc") == 0)
        return print_document(openrpc_write, catalogue);
    if (strcmp(what, "asyncapi") == 0)
        return print_document(asyncapi_write, catalogue);
    if (strcmp(what, "markdown") != 0)
        return EXIT_FAILURE;
    markdown_print(catalogue);
    return EXIT_SUCCESS;
}

/* Checks the modules' tables as a start of the broker does, and says on stderr what is wrong. */
static bool check_modules(const char *prefix)
{
    struct registry registry = {.methods = NULL};
    char why[REGISTRY_WHY];
    bool is_fine = true;
    for (const rpc_module *const *module = rpc_modules; is_fine && *module; module++)
        is_fine = registry_enter(&registry, prefix, *module, why);
    if (!is_fine)
        fprintf(stderr, "%s\n", why);
    registry_fini(&registry);
    return is_fine;
}

int main(int count, char **arguments)
{
    char why[OPTIONS_WHY];
    struct option_line prefix = {.name = "prefix", .value = count > 2 ? arguments[2] : "rpc"};
    struct option_lines lines = {.lines = &prefix, .count = 1};
    if (count < 2 || count > 3) {
        fprintf(stderr, "usage: %s markdown | openrpc | asyncapi [PREFIX]\n", arguments[0]);
        return EXIT_FAILURE;
    }
    struct config *config = config_create(&lines, &rpc_host, rpc_modules, why);
    if (!config) {
        fprintf(stderr, "%s\n", why);
        return EXIT_FAILURE;
    }
    const struct catalogue catalogue = {.modules = rpc_modules, .options = &config->engine};
    const int code = check_modules(config->engine.prefix) ? print(arguments[1], &catalogue) : EXIT_FAILURE;
    config_destroy(config);
    return code;
}

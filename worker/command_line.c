// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The command line: see command_line.h. */
#include "command_line.h"

#include "base/text.h"
#include "config.h"
#include "modules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Help ---- */

/* Prints the words of a text in lines of at most 79 characters. */
static void command_line_print_words(const char *text)
{
    enum { INDENT = 10, WIDTH = 79 };
    int column = 0;
    for (const char *word = text; *word; word += strspn(word, " ")) {
        const int length = (int)strcspn(word, " ");
        if (column + 1 + length > WIDTH || !column) {
            printf("%s%*s", column ? "\n" : "", INDENT, "");
            column = INDENT;
        } else {
            putchar(' ');
            column++;
        }
        printf("%.*s", length, word);
        column += length;
        word += length;
    }
    putchar('\n');
}

static void command_line_print_shape(const char *owner, const rpc_shape *shape)
{
    for (size_t i = 0; shape && i < shape->count; i++) {
        const rpc_field *field = &shape->fields[i];
        char takes[256], standard[256], text[1024];
        options_describe(field, takes, sizeof takes);
        options_print_default(field, standard, sizeof standard);
        printf("  --%s%s%s\n", owner, *owner ? "_" : "", fields_name(field));
        snprintf(text, sizeof text, "%s; %s%s%s", field->doc ? field->doc : "", takes,
                 *standard ? "; default " : "", standard);
        command_line_print_words(text);
    }
}

static void command_line_print_help(void)
{
    puts("mosquitto_rpc_worker [--config FILE] [--NAME VALUE ...]\n\n"
         "Runs the modules of mosquitto-rpc as a client of an MQTT 5 broker.\n\nThe worker:");
    command_line_print_shape("", rpc_host.options);
    puts("\nThe service:");
    command_line_print_shape("", &config_engine_shape);
    for (const rpc_module *const *module = rpc_modules; *module; module++) {
        if (!(*module)->options || (rpc_host.left_out && text_has_word(rpc_host.left_out, (*module)->name)))
            continue;
        printf("\nThe module %s:\n", (*module)->name);
        command_line_print_shape((*module)->name, (*module)->options);
    }
}

/* ---- Reading ---- */

/* Whether an option of this name is true or false, and may stand alone. */
static bool command_line_is_switch(const char *name)
{
    const rpc_field *field = fields_find(rpc_host.options, name);
    if (!field)
        field = fields_find(&config_engine_shape, name);
    for (const rpc_module *const *module = rpc_modules; *module && !field; module++) {
        const size_t length = strlen((*module)->name);
        if ((*module)->options && strncmp(name, (*module)->name, length) == 0 && name[length] == '_')
            field = fields_find((*module)->options, name + length + 1);
    }
    return field && field->kind == RPC_KIND_BOOL;
}

/* Takes one option. Returns how many arguments it has; 0: it is wrong. */
static int command_line_take(struct command_line *line, int left, char **arguments, char why[OPTIONS_WHY])
{
    char *name = arguments[0] + 2, *value = strchr(arguments[0], '=');
    if (strncmp(arguments[0], "--", 2) != 0 || !*name) {
        snprintf(why, OPTIONS_WHY, "'%.100s' is no option; options are --NAME VALUE, see --help",
                 arguments[0]);
        return 0;
    }
    const bool is_joined = value;
    if (value)
        *value++ = '\0';
    for (char *at = name; *at; at++)
        *at = *at == '-' ? '_' : *at;
    const bool has_next = left > 1 && strncmp(arguments[1], "--", 2) != 0;
    if (!is_joined && has_next &&
        !(command_line_is_switch(name) && strcmp(arguments[1], "true") != 0 &&
          strcmp(arguments[1], "false") != 0))
        value = arguments[1];
    else if (!is_joined && command_line_is_switch(name))
        value = NULL;
    else if (!is_joined) {
        snprintf(why, OPTIONS_WHY, "--%.100s has no value; see --help", name);
        return 0;
    }
    line->lines[line->count++] = (struct option_line){.name = name, .value = value ? value : "true"};
    return value && !is_joined ? 2 : 1;
}

enum command_line_result command_line_read(struct command_line *line, int count, char **arguments,
                                           char why[OPTIONS_WHY])
{
    *line = (struct command_line){.lines = calloc((size_t)count + 1, sizeof *line->lines)};
    if (!line->lines) {
        snprintf(why, OPTIONS_WHY, "no memory for the options");
        return COMMAND_LINE_WRONG;
    }
    for (int i = 1; i < count;) {
        if (strcmp(arguments[i], "--help") == 0) {
            command_line_print_help();
            return COMMAND_LINE_DONE;
        }
        if (strcmp(arguments[i], "--version") == 0) {
            puts("mosquitto_rpc_worker " RPC_VERSION);
            return COMMAND_LINE_DONE;
        }
        const int taken = command_line_take(line, count - i, arguments + i, why);
        if (!taken)
            return COMMAND_LINE_WRONG;
        i += taken;
    }
    return COMMAND_LINE_RUN;
}

void command_line_fini(struct command_line *line)
{
    free(line->lines);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What --help and --version print: see help.h. */
#include "help.h"

#include <mosquitto.h>
#include <stdio.h>
#include <string.h>

enum { HELP_COLUMN = 28 };

static void help_print_option(const struct option_row *row)
{
    char head[80], letter[8] = "    ";
    if (row->letter)
        snprintf(letter, sizeof letter, "-%c, ", row->letter);
    snprintf(head, sizeof head, "  %s--%s%s%s", letter, row->name, row->argument ? " " : "",
             row->argument ? row->argument : "");
    if (strlen(head) < HELP_COLUMN)
        printf("%-*s%s\n", HELP_COLUMN, head, row->doc);
    else
        printf("%s\n%*s%s\n", head, HELP_COLUMN, "", row->doc);
}

/* Prints the options of a command; NULL: those of all commands. */
static void help_print_options(const struct command *command)
{
    for (size_t at = 0; at < option_row_count; at++)
        if (command ? option_rows[at].command && option_is_of(&option_rows[at], command->name)
                    : !option_rows[at].command)
            help_print_option(&option_rows[at]);
}

static enum tool_exit help_print_command(const struct command *command)
{
    printf("Usage: mosquitto_rpc [options] %s%s%s\n\n%s\n", command->name, *command->arguments ? " " : "",
           command->arguments, command->doc);
    if (command->details)
        printf("\n%s\n", command->details);
    puts("\nOptions (mosquitto_rpc --help shows those of all commands):");
    help_print_options(command);
    return TOOL_OK;
}

enum tool_exit help_print(const struct command *command)
{
    if (command)
        return help_print_command(command);
    puts(
        "Usage: mosquitto_rpc [options] COMMAND [arguments]\n\n"
        "Calls methods of the RPC service of an MQTT broker that has the plugin mosquitto-rpc.\n\nCommands:");
    for (size_t at = 0; at < command_count; at++)
        if (!commands[at].is_hidden)
            printf("  %-*s%s\n", HELP_COLUMN - 2, commands[at].name, commands[at].doc);
    puts("\nmosquitto_rpc COMMAND --help describes one of them.\n\nOptions:");
    help_print_options(NULL);
    puts("\nOptions may also stand in ~/.config/mosquitto_rpc, one in a line. The exit status:");
    for (size_t at = 0; at < exit_count; at++)
        printf("  %d  %s\n", (int)exits[at].status, exits[at].doc);
    return TOOL_OK;
}

enum tool_exit help_print_version(void)
{
    int major = 0, minor = 0, revision = 0;
    mosquitto_lib_version(&major, &minor, &revision);
    printf("mosquitto_rpc %s, libmosquitto %d.%d.%d\n", RPC_VERSION, major, minor, revision);
    return TOOL_OK;
}

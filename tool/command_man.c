// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The hidden command man: prints the manual page, made of the tables of commands, options and exit statuses.
 * The build target `reference` writes it to docs/mosquitto_rpc.1.
 */
#include <stdio.h>

#include "commands.h"
#include "roff/roff.h"

static void man_print_option(const struct option_row *row)
{
    roff_print_option(row->letter, row->name, row->argument, row->doc);
}

static void man_print_command(const struct command *command)
{
    printf(".SS ");
    roff_print(command->name);
    putchar(' ');
    roff_print(command->arguments);
    putchar('\n');
    roff_print_sentence(command->doc);
    if (command->details) {
        printf(".PP\n");
        roff_print_paragraphs(command->details);
    }
    for (size_t at = 0; at < option_row_count; at++)
        if (option_rows[at].command && option_is_of(&option_rows[at], command->name))
            man_print_option(&option_rows[at]);
}

static const struct roff_section man_before[] = {
    {"DESCRIPTION", "mosquitto_rpc calls methods of the service that the plugin mosquitto\\-rpc\n"
                    "offers in an MQTT broker, shows its events and what it counts, and commands\n"
                    "devices. It asks the service itself what methods and parameters there are.\n"
                    ".PP\n"
                    "On a terminal it prints for people, else JSON, one line for each answer. What\n"
                    "comes from the broker is made printable, so that it cannot control the\n"
                    "terminal.\n"},
};

static const struct roff_section man_after[] = {
    {"FILES", ".TP\n.I $XDG_CONFIG_HOME/mosquitto_rpc\n.TQ\n.I ~/.config/mosquitto_rpc\n"
              "Options, one in a line, such as \\fB\\-h broker.example\\fR. Those of the command\n"
              "line win. Lines that begin with # are comments.\n"
              ".TP\n.I $XDG_CACHE_HOME/mosquitto_rpc/\n.TQ\n.I ~/.cache/mosquitto_rpc/\n"
              "What the completion has asked the broker within the last ten seconds; at most\n"
              "64 files.\n"},
    {"ENVIRONMENT", ".TP\n.B NO_COLOR\nIf it is set and not empty, nothing is printed in colours.\n"},
    {"EXAMPLES",
     ".TP\n.B mosquitto_rpc list\nWhat there is to call.\n"
     ".TP\n.B mosquitto_rpc call updateSensor sensor_id=roof value=21.5\nA call with parameters.\n"
     ".TP\n.B mosquitto_rpc command lamp1 light on=true\nA command of a device.\n"
     ".TP\n.B mosquitto_rpc events sensor\nThe state of each sensor, and each change.\n"
     ".TP\n.B mosquitto_rpc stats \\-\\-watch\nWhat the service does, every two seconds.\n"
     ".TP\n.B mosquitto_rpc bench ping \\-\\-concurrency 20\nHow many calls a second there can be.\n"},
    {"SEE ALSO",
     ".BR mosquitto_rr (1),\n.BR mosquitto_pub (1),\n.BR mosquitto_sub (1),\n.BR mosquitto (8)\n"},
};

enum tool_exit command_man_run(struct tool *tool, int count, char **words)
{
    (void)tool;
    (void)count;
    (void)words;
    printf(".\\\" SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause\n"
           ".\\\" Printed by `mosquitto_rpc man`: change the tables of the tool, not this file.\n"
           ".TH MOSQUITTO_RPC 1 \"\" \"mosquitto\\-rpc\" \"User commands\"\n"
           ".SH NAME\nmosquitto_rpc \\- call methods of the RPC service in an MQTT broker\n"
           ".SH SYNOPSIS\n.B mosquitto_rpc\n.RI [ options ]\n.I COMMAND\n.RI [ arguments ]\n");
    roff_print_sections(man_before, sizeof man_before / sizeof *man_before);
    printf(".SH COMMANDS\n");
    for (size_t at = 0; at < command_count; at++)
        if (!commands[at].is_hidden)
            man_print_command(&commands[at]);
    printf(".SH OPTIONS\nThese options may stand before or behind any command.\n");
    for (size_t at = 0; at < option_row_count; at++)
        if (!option_rows[at].command)
            man_print_option(&option_rows[at]);
    printf(".SH EXIT STATUS\n");
    for (size_t at = 0; at < exit_count; at++) {
        printf(".TP\n.B %d\n", (int)exits[at].status);
        roff_print_sentence(exits[at].doc);
    }
    roff_print_sections(man_after, sizeof man_after / sizeof *man_after);
    return TOOL_OK;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * worker_page man | markdown
 *
 * Prints what the manual has of the program mosquitto_rpc_worker, from the tables that it reads its options
 * by: its manual page, or the part of the reference about its own options. The build writes the manual's
 * documents with it. It is linked with the worker's options, where the plugin's reference is with the
 * plugin's.
 */
#include "reference.h"

#include "base/text.h"
#include "config.h"
#include "modules.h"
#include "roff/roff.h"
#include "shape/fields.h"
#include "shape/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The manual page ---- */

static const struct roff_section page_before[] = {
    {"DESCRIPTION", "mosquitto_rpc_worker connects to an MQTT broker as a client, and carries out\n"
                    "calls with the handler modules that the plugin mosquitto\\-rpc has, too.\n"
                    "Several workers, on one machine or on many, serve one service.\n"
                    ".PP\n"
                    "With\n.B \\-\\-attach\n"
                    "it works for a broker that has the plugin: the plugin hands out the calls,\n"
                    "and answers the callers. With\n"
                    ".BR \\-\\-share ,\n.B \\-\\-rendezvous\nor\n.B \\-\\-auto\n"
                    "it serves callers of any MQTT 5 broker or cluster by itself, which promises\n"
                    "less.\n"
                    ".PP\n"
                    "When the connection is lost, it connects again, after a time between half a\n"
                    "second and 30 seconds. It writes its log to the standard error.\n"},
};

static const struct roff_section page_after[] = {
    {"SIGNALS", ".TP\n.BR SIGTERM ,\\  SIGINT\n"
                "Take no further call, finish those that run, for at most\n.BR \\-\\-drain ,\n"
                "and end. The second of these signals ends the worker at once.\n"
                ".TP\n.B SIGHUP\n"
                "Read the file of\n.B \\-\\-config\n"
                "again, and take over the options that reload. If something else in it has\n"
                "changed, or is wrong, nothing changes, and the log says why.\n"},
    {"EXIT STATUS", ".TP\n.B 0\nThe worker was told to end, and has.\n"
                    ".TP\n.B 1\nA module does not start, or the broker has refused the first connection for\n"
                    "good, such as for a wrong password.\n"
                    ".TP\n.B 2\nAn option is not accepted.\n"},
    {"ENVIRONMENT",
     ".TP\n.B NOTIFY_SOCKET\nWhere to tell systemd that the worker is ready, and that it stops.\n"},
    {"FILES", ".TP\n.I /etc/mosquitto\\-rpc/worker\\-NAME.conf\n"
              "The configuration of the unit mosquitto\\-rpc\\-worker@NAME of systemd, in\n"
              "Debian\\(aqs package.\n"},
    {"EXAMPLES", ".TP\n.B mosquitto_rpc_worker \\-\\-attach \\-\\-broker broker.example \\-\\-user worker\n"
                 "A worker of a broker with the plugin.\n"
                 ".TP\n.B mosquitto_rpc_worker \\-\\-share cellar \\-\\-broker broker.example\n"
                 "A worker of a broker without it, which has shared subscriptions.\n"
                 ".TP\n.B mosquitto_rpc_worker \\-\\-config /etc/mosquitto\\-rpc/worker\\-one.conf\n"
                 "The options of a file.\n"},
    {"SEE ALSO", ".BR mosquitto_rpc (1),\n.BR mosquitto (8),\n.BR systemd.service (5)\n"},
};

/* An option, with the name of its module before its own. */
static void page_print_option(const char *owner, const rpc_field *field)
{
    char name[128], takes[FIELDS_WHY], fallback[128], doc[4096];
    options_print_default(field, fallback, sizeof fallback);
    snprintf(name, sizeof name, "%s%s%s", owner, *owner ? "_" : "", fields_name(field));
    snprintf(doc, sizeof doc, "%s. Takes %s%s%s%s", field->doc, options_describe(field, takes, sizeof takes),
             *fallback ? "; default: " : "", fallback, field->reloads ? ". It reloads" : "");
    roff_print_option(0, name, field->kind == RPC_KIND_BOOL ? "[VALUE]" : "VALUE", doc);
}

static void page_print_options(const char *owner, const rpc_shape *shape)
{
    for (size_t i = 0; i < shape->count; i++)
        page_print_option(owner, &shape->fields[i]);
}

static void page_print_module(const rpc_module *module)
{
    if (!module->options || (rpc_host.left_out && text_has_word(rpc_host.left_out, module->name)))
        return;
    printf(".SS Of the module ");
    roff_print(module->name);
    printf("\n");
    page_print_options(module->name, module->options);
}

static int page_print(void)
{
    printf(".\\\" SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause\n"
           ".\\\" Printed by docs/worker_page.c: change the tables of options, not this file.\n"
           ".TH MOSQUITTO_RPC_WORKER 1 \"\" \"mosquitto\\-rpc\" \"User commands\"\n"
           ".SH NAME\nmosquitto_rpc_worker \\- carry out calls as a client of an MQTT broker\n"
           ".SH SYNOPSIS\n.B mosquitto_rpc_worker\n[\n.B \\-\\-config\n.I FILE\n] [\n"
           ".BI \\-\\- NAME\n.RI [ VALUE ]\n]...\n");
    roff_print_sections(page_before, sizeof page_before / sizeof *page_before);
    printf(".SH OPTIONS\nIn the file of\n.B \\-\\-config\n"
           "a line is an option without its dashes, and its value. Options that\n.I reload\n"
           "may change in that file while the worker runs.\n.SS Of the worker itself\n");
    page_print_options("", rpc_host.options);
    printf(".SS Of the service\nThe plugin has these, too. What concerns callers, such as rates, is its\n"
           "business with\n.BR \\-\\-attach .\n");
    page_print_options("", &config_engine_shape);
    for (const rpc_module *const *module = rpc_modules; *module; module++)
        page_print_module(*module);
    roff_print_sections(page_after, sizeof page_after / sizeof *page_after);
    return EXIT_SUCCESS;
}

/* ---- The part of the reference ---- */

static int page_print_reference(void)
{
    printf("\n## Options of a worker\n\nThese are options of the program `mosquitto_rpc_worker` alone, "
           "beside those "
           "above and those of the modules, which it takes by the same names: `%sNAME value` on its command "
           "line, or a line `NAME value` in the file that `%s%s` names. See [workers.md](workers.md).\n\n",
           rpc_host.option_prefix, rpc_host.option_prefix, rpc_host.file_option);
    markdown_print_options("", rpc_host.options);
    return EXIT_SUCCESS;
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "man") == 0)
        return page_print();
    if (count == 2 && strcmp(arguments[1], "markdown") == 0)
        return page_print_reference();
    fprintf(stderr, "usage: %s man | markdown\n", arguments[0]);
    return EXIT_FAILURE;
}

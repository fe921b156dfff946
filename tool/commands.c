// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The tables of commands and exit statuses: see commands.h. */
#include "commands.h"

#include <string.h>

const struct command commands[] = {
    {"list", "[WORD]", "list methods, events and commands of devices",
     "With a WORD, only those whose name or description has it.", 0, 1, false, command_list_run},
    {"describe", "METHOD", "show the parameters, the result, the errors and the events of a method", NULL, 1,
     1, false, command_describe_run},
    {"call", "METHOD [NAME=VALUE …]", "call a method and print its result",
     "The types of the parameters come from the service: value=25.5 is a number where the method takes\n"
     "a number, and a string where it takes a string. Objects and arrays are JSON: ids=[1,2].\n"
     "NAME:=JSON is always JSON. A NAME with dots is a member of an object: place.room=3. A value that\n"
     "begins with @ is read from the file that it names; @@ is an @.\n"
     "\n"
     "Parameters may also be given as JSON with --params, or on standard input with --params -;\n"
     "members on the command line are added to those, and none may be given twice. With --batch the "
     "parameters of all calls\n"
     "come from standard input or --params, as one JSON array, or as JSON values one behind the other.",
     1, -1, false, command_call_run},
    {"events", "[EVENT …]", "print events as they come, until it is interrupted",
     "An EVENT is the name of an event, which stands for all of its keys, too, or a filter of MQTT\n"
     "topics below {prefix}/event/, such as sensor/+. Without one, all events are printed. As JSON,\n"
     "each event is one line, an object with time, event, retained, and data; what is no JSON is in\n"
     "text.",
     0, -1, false, command_events_run},
    {"stats", "[METHOD]", "show what the service has counted: calls, errors, durations, what its tables hold",
     "P50 and P99 say how long the fastest half, and 99 %, of the calls took at most, as far as the\n"
     "service counts that. With --watch the terminal is drawn again every two seconds, and A SECOND\n"
     "has the calls of that time.",
     0, 1, false, command_stats_run},
    {"devices", "[DEVICE]", "list the devices, or show one of them with its last commands", NULL, 0, 1, false,
     command_devices_run},
    {"workers", "[WORKER]", "list the attached workers, or show one of them with its methods",
     "BUSY has how many calls a worker has, of how many it takes at once; LOST are calls that it had not\n"
     "answered a minute after their deadline. P50 and P99 are those of stats.",
     0, 1, false, command_workers_run},
    {"command", "DEVICE|@GROUP COMMAND [NAME=VALUE …]",
     "have a device, or each device of a group, carry out a command",
     "The parameters are given as those of call. The command of a group prints what became of each\n"
     "device; it is an error if one has not carried it out.",
     2, -1, false, command_command_run},
    {"bench", "METHOD [NAME=VALUE …]", "call a method many times, and tell how long that takes",
     "All calls go over one connection, and have the same parameters. They are real calls: each of\n"
     "them is carried out. Without --rate a reply is followed by the next call, so that a slow service\n"
     "is asked less often. With --rate the duration of a call counts from the time at which it was\n"
     "due. Percentiles are of calls that had a result, and are exact to 1 %. It is an error if a call\n"
     "has failed.",
     1, -1, false, command_bench_run},
    {"generate", "--language LANGUAGE", "write a typed client in Python, TypeScript or C",
     "The client has a type for the parameters, the result and the errors of each method, and for each\n"
     "event; it stands on the client library of its language. The same service gives the same code. In\n"
     "C it is two files, NAME.h and NAME.c, so that --output is needed.",
     0, 0, false, command_generate_run},
    {"complete", "LINE [PART]", "print what can follow on a command line, for mosquitto_rpc.bash", NULL, 1, 2,
     true, command_complete_run},
    {"man", "", "print the manual page", NULL, 0, 0, true, command_man_run},
};
const size_t command_count = sizeof commands / sizeof *commands;

const struct exit_row exits[] = {
    {TOOL_OK, "all went well"},
    {TOOL_ERROR, "the method has answered with an error; of a batch or a group, at least one call"},
    {TOOL_USAGE, "the command line or the parameters are wrong; nothing was called"},
    {TOOL_DISCONNECTED, "there is no connection to the broker"},
    {TOOL_TIMEOUT, "no reply has come in time, or the service has answered `timeout`"},
    {TOOL_REFUSED, "the broker's access control has refused the connection, the call or the subscription"},
    {TOOL_FAILED, "anything else, such as a reply that cannot be read, or output that cannot be written"},
};
const size_t exit_count = sizeof exits / sizeof *exits;

const struct command *commands_find(const char *name)
{
    for (size_t at = 0; at < command_count; at++)
        if (strcmp(commands[at].name, name) == 0)
            return &commands[at];
    return NULL;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The command command: calls the method of a command of devices, as call does. */
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"

enum tool_exit command_command_run(struct tool *tool, int count, char **words)
{
    char *method;
    const bool is_group = words[0][0] == '@';
    if (asprintf(&method, is_group ? "devices/%s/%s" : "device/%s/%s", words[0] + is_group, words[1]) < 0)
        return tool_fail(tool, TOOL_FAILED, "there is no memory");
    words[1] = method;
    const enum tool_exit outcome = command_call_run(tool, count - 1, words + 1);
    free(method);
    return outcome;
}

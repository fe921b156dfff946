// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The names of the states: see state.h. */
#include "state.h"

#include <string.h>

const char *const command_state_names[COMMAND_STATES] = {
    [COMMAND_QUEUED] = "queued",       [COMMAND_SENT] = "sent",       [COMMAND_RUNNING] = "running",
    [COMMAND_SUCCEEDED] = "succeeded", [COMMAND_FAILED] = "failed",   [COMMAND_REJECTED] = "rejected",
    [COMMAND_EXPIRED] = "expired",     [COMMAND_TIMEOUT] = "timeout", [COMMAND_CANCELLED] = "cancelled",
    [COMMAND_UNKNOWN] = "unknown",
};

enum command_state command_state_of(const char *name)
{
    for (int state = 0; name && state < COMMAND_STATES; state++) {
        if (strcmp(name, command_state_names[state]) == 0)
            return (enum command_state)state;
    }
    return COMMAND_UNKNOWN;
}

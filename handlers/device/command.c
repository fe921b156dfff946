// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Commands: see command.h. Nothing is here yet. */
#include "command.h"

struct command *command_begin(struct commands *commands, const struct order *order, struct verdict *why)
{
    (void)commands, (void)order;
    *why = (struct verdict){.state = COMMAND_CANCELLED, .err = "device_offline", .msg = "not yet"};
    return NULL;
}

void command_abandon(struct commands *commands, struct command *command)
{
    (void)commands, (void)command;
}

void commands_device_there(struct commands *commands, struct device *device)
{
    (void)commands, (void)device;
}

void commands_device_gone(struct commands *commands, struct device *device)
{
    (void)commands, (void)device;
}

void commands_answer(struct commands *commands, struct device *device, const rpc_message *message)
{
    (void)commands, (void)device, (void)message;
}

void commands_forget_device(struct commands *commands, struct device *device)
{
    (void)commands, (void)device;
}

void commands_load(struct commands *commands, const struct ledger_command *command)
{
    (void)commands, (void)command;
}

void commands_fini(struct commands *commands)
{
    (void)commands;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Commands: what devices are to do, from the call to the verdict.
 *
 *     queued → sent → (running) → succeeded | failed | rejected
 *     or: expired (never sent), timeout (sent, no answer), cancelled, unknown (sent, and its outcome is
 * unknown)
 *
 * Each device has a lane (lane.h): device_window commands are in flight, the others wait in the order in
 * which they came. Every change of a state is announced. A command that has ended stays in its device's
 * history for a while; an answer that comes after its deadline is still taken there (answer.h). What all of
 * them know of a command is in life.h.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a command belongs to `struct commands`, from command_prepare() on. Its `ended` is called exactly
 * once, unless it is abandoned or discarded, and then its context is the caller's again.
 *
 * Failure: command_prepare() says why a command is refused; everything later is an outcome.
 */
#ifndef DEVICE_COMMAND_H
#define DEVICE_COMMAND_H

#include "answer.h"
#include "lane.h"

/* Makes a command, without any effect: command_start() or command_discard() is next. Returns NULL and why it
 * is refused: err, which may be a code of the engine's own, and the rest as far as known. */
struct command *command_prepare(struct commands *commands, const struct order *order, struct verdict *why);
void command_start(struct commands *commands, struct command *command);
void command_discard(struct commands *commands, struct command *command);

/* Its caller does not wait for it any more: if it was not sent, it ends as cancelled; else it goes on.
 * `ended` is not called any more. */
void command_abandon(struct commands *commands, struct command *command);

/* Its caller's deadline has passed, which may come a moment before its own. `ended` gets its verdict now, if
 * the command has not been queued; else it is abandoned. */
void command_expire(struct commands *commands, struct command *command);

/* Ends a live command as cancelled, if it was not sent. Returns false: it was. */
bool command_cancel(struct commands *commands, struct command *command);

/* What presence.h tells: commands may be sent to a device; it sleeps; its connection has ended and did not
 * come back. */
void commands_device_there(struct commands *commands, struct device *device);
void commands_device_asleep(struct commands *commands, struct device *device);
void commands_device_gone(struct commands *commands, struct device *device);

/* Ends and frees all commands of a device, which is forgotten, with its rows. */
void commands_forget_device(struct commands *commands, struct device *device);

/* Takes over a command of a former run, and meets its device. */
void commands_load(struct commands *commands, const struct ledger_command *command);

/* Writes the commands that have rows and have not ended to the database again, which is another one. */
void commands_renew(struct commands *commands);

/* The module stops: commands whose rows may say that they were sent, and that were not, wait on. To be called
 * before the disk ends. */
void commands_stop(struct commands *commands);

/* Frees all commands, without telling anybody. The disk has ended. */
void commands_fini(struct commands *commands);

#endif

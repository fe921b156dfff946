// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The lane of a device: its commands in the order in which they came, of which device_window are in flight.
 * Commands are sent, sent again, and given up here.
 *
 * A command that was queued on the disk is sent only when its row says so; and it is queued only when it has
 * a row. When the database fails, such commands are passed over for a moment, and all others go on.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: that of life.h.
 *
 * Failure: what cannot be sent is tried again, until its time is over.
 */
#ifndef DEVICE_LANE_H
#define DEVICE_LANE_H

#include "life.h"

/* Whether a command of this policy may be sent to the device now, unless others come first. */
bool lane_is_open(const struct commands *commands, const struct device *device, enum offline_policy offline,
                  bool loaded);

/* Sets its timer to what comes next. Returns false: no memory. */
bool lane_arm(struct command *command);

/* Takes a new command in: it waits, or is sent at once. */
void lane_enter(struct commands *commands, struct command *command);

/* Sends what may be sent. */
void lane_flush(struct commands *commands, struct device *device);

/* Ends a command, and sends what waited behind it. */
void lane_end(struct commands *commands, struct command *command, const struct verdict *verdict);

/* Ends a command whose time is over: as expired if it was never sent, else as timed out. */
void lane_give_up(struct commands *commands, struct command *command);

/* A command has got its number, and was not sent: the next one that is sent gets it. */
void lane_give_number_back(struct commands *commands, struct command *command);

/* The device has reported progress: it is not sent again. */
void lane_note_progress(struct commands *commands, struct command *command, const char *progress);

/* Commands may be sent to a device; it sleeps, and may still answer; its connection has ended, and it did not
 * come back. */
void lane_open(struct commands *commands, struct device *device);
void lane_pause(struct commands *commands, struct device *device);
void lane_close(struct commands *commands, struct device *device);

/* The bytes of the message to the device. */
size_t lane_message_size(const struct command *command);

#endif

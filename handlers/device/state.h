// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The states of a command's life, and their names, which clients and the database know.
 *
 * Threads: any.
 *
 * Ownership: the names are constants.
 *
 * Failure: none.
 */
#ifndef DEVICE_STATE_H
#define DEVICE_STATE_H

enum command_state {
    COMMAND_QUEUED,    /* not sent yet */
    COMMAND_SENT,      /* sent, and not answered */
    COMMAND_RUNNING,   /* the device has reported progress */
    COMMAND_SUCCEEDED, /* this one and the following ones are ends */
    COMMAND_FAILED,
    COMMAND_REJECTED,
    COMMAND_EXPIRED,   /* never sent */
    COMMAND_TIMEOUT,   /* sent, and not answered in time; an answer may still come */
    COMMAND_CANCELLED, /* never sent */
    COMMAND_UNKNOWN,   /* sent, and its outcome is unknown */
    COMMAND_STATES
};

/* "queued", "sent" and so on, in this order. Clients and files contain them, so that they must not change. */
extern const char *const command_state_names[COMMAND_STATES];

/* The state of that name; COMMAND_UNKNOWN: there is none. name may be NULL. */
enum command_state command_state_of(const char *name);

#endif

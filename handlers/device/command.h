// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Commands: what devices are to do, from the call to the verdict.
 *
 *     queued → sent → (running) → succeeded | failed | rejected
 *     or: expired (never sent), timeout (sent, no answer), cancelled, unknown (sent, and nobody can know)
 *
 * Each device has a lane: device_window commands are in flight, the others wait in the order in which they
 * came. Every change of a state is announced. A command that has ended stays in its device's history for a
 * while; an answer that comes after its deadline is still taken there.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a command belongs to `struct commands`, from command_begin() on. Its `ended` is called exactly
 * once, and then its context is the caller's again.
 *
 * Failure: command_begin() says why a command is refused; everything later is an outcome.
 */
#ifndef DEVICE_COMMAND_H
#define DEVICE_COMMAND_H

#include "disk.h"
#include "options.h"
#include "state.h"
#include "table.h"

enum offline_policy { OFFLINE_FAIL, OFFLINE_WAIT, OFFLINE_QUEUE };

/* The outcome of a command, or why there is none. The texts are valid while `ended` or `progress` runs, or
 * until command_begin()'s caller returns. */
struct verdict {
    enum command_state state;
    const char *err;    /* code of section 9; NULL: it has succeeded, or was queued */
    const char *msg;    /* for people */
    const char *id;     /* of the command; NULL: it has none */
    const char *result; /* JSON text */
    const char *cause;  /* JSON text: the device's own error object; NULL: none */
    int64_t expected;   /* of out_of_order */
    bool queued;        /* it is on the disk, and nothing more is known: the caller's answer */
};

typedef void (*command_ended)(void *context, const struct verdict *verdict);
typedef void (*command_progress)(void *context, const char *progress);

/* What a caller wants. Texts are copied. */
struct order {
    struct device *device;
    const char *name;
    const char *params;  /* JSON text, checked */
    const char *id;      /* NULL: a new one; else an application's own, of an adopted command */
    const void *payload; /* of an adopted command: the message as it came, sent on as it is; else NULL */
    size_t payload_size;
    const void *correlation; /* likewise */
    size_t correlation_size;
    const rpc_command *declared; /* NULL: nobody has declared it */
    enum offline_policy offline;
    uint32_t timeout;    /* ms until it ends, at least 1; with OFFLINE_QUEUE its time to live */
    uint32_t stale;      /* ms after which it is not sent any more; 0: never */
    bool unpaced;        /* a group sends it when it is its turn: command_send_next() is not called for it */
    command_ended ended; /* called once; never before command_begin() has returned */
    command_progress progress; /* may be NULL */
    void *context;
};

struct commands {
    rpc_instance *instance;
    const struct device_options *options;
    struct devices *table;
    struct disk *disk;
    struct command *by_id; /* live and ended ones */
    struct command *ended; /* all that have ended, the oldest first */
    size_t live, history;
};

/* Begins a command. Returns NULL and why it is refused: err and msg, id and seen as far as known. */
struct command *command_begin(struct commands *commands, const struct order *order, struct verdict *why);

/* Nobody waits for it any more: if it was not sent, it ends as cancelled; else it goes on. `ended` is not
 * called any more. */
void command_abandon(struct commands *commands, struct command *command);

/* What presence.h tells: commands may be sent to a device; its connection has ended and did not come back. */
void commands_device_there(struct commands *commands, struct device *device);
void commands_device_gone(struct commands *commands, struct device *device);

/* An answer on cmd/{device}/resp from the device itself or a gateway. */
void commands_answer(struct commands *commands, struct device *device, const rpc_message *message);

/* Ends and frees all commands of a device, which is forgotten. */
void commands_forget_device(struct commands *commands, struct device *device);

/* Takes over a command of a former run. */
void commands_load(struct commands *commands, const struct ledger_command *command);

void commands_fini(struct commands *commands);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The life of a command: its states, which it announces and counts; its place in its device's lists; its row
 * in the database; its history. When and how it is sent is the business of lane.h, what the device says of it
 * that of answer.h.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a command belongs to `struct commands`, and hangs on its device. What only a command needs that
 * has not ended is in its `struct live`, which goes with the end.
 *
 * Failure: life_create() returns NULL without memory. An event or a row that cannot be written is lost.
 */
#ifndef DEVICE_LIFE_H
#define DEVICE_LIFE_H

#include "disk.h"
#include "options.h"
#include "state.h"
#include "table.h"

enum { LIFE_ID_BYTES = 9, LIFE_HISTORY = 16, LIFE_HISTORY_ALL = 10000 };

enum { LIFE_BYTES_MAX = 67108864 }; /* of what all live commands send */

/* What becomes of a command for a device that is not there. */
enum offline_policy { OFFLINE_FAIL, OFFLINE_WAIT, OFFLINE_QUEUE };

/* The outcome of a command, or why there is none. Texts are valid until the function that gets it returns. */
struct verdict {
    enum command_state state;
    const char *err;    /* a constant: a code of section 9; NULL: it has succeeded, or was queued */
    const char *msg;    /* for people */
    const char *device; /* its name */
    double seen;        /* when the device sent something last, Unix time; 0: never */
    const char *id;     /* of the command; NULL: it has none */
    const char *result; /* JSON text; NULL: none */
    const char *cause;  /* JSON text: the device's own error, or why the database failed; NULL: none */
    int64_t expected;   /* of out_of_order: the seq that the device expects; 0: it did not say */
    bool queued;        /* it is on the disk, and nothing more is known: the caller's answer */
};

typedef void (*command_ended)(void *context, const struct verdict *verdict);
typedef void (*command_progress)(void *context, const char *progress);

/* What a caller wants. Texts are copied. */
struct order {
    struct device *device;
    const char *name;
    const char *params;  /* JSON text, checked; NULL: {} */
    const char *id;      /* NULL: a new one; else an application's own, of an adopted command */
    const void *payload; /* of an adopted command: the message as it came, sent on as it is; else NULL */
    size_t payload_size;
    const void *correlation; /* likewise; NULL: none */
    size_t correlation_size;
    const rpc_trace *trace;      /* of the call; NULL: none. It is kept in memory, and in no database */
    const rpc_command *declared; /* NULL: no module declares it */
    enum offline_policy offline;
    uint32_t timeout;    /* ms until its caller wants to know, at least 1; of a command that was queued: from
                            when it is sent until its answer is overdue */
    uint64_t ttl;        /* with OFFLINE_QUEUE: ms that it waits for a device that is not there, at least 1 */
    uint32_t stale;      /* ms after which it is not sent any more; 0: never */
    bool loaded;         /* it comes from a former run: its id is the plugin's own */
    rpc_call *call;      /* that wants it, for a dead letter; NULL: it is of a former run, and: */
    rpc_caller caller;   /* who has called then, as far as it is known */
    bool is_member;      /* of a call to a group, which says in its result what has become of it */
    command_ended ended; /* called once, never before the command was begun; NULL: it is not called */
    command_progress progress; /* may be NULL */
    void *context;
};

/* In which list of its device a command is. */
enum command_place { PLACE_NONE, PLACE_WAITING, PLACE_FLYING, PLACE_ENDED };

/* What is written to the database for a command, and not done yet. */
struct ticket {
    struct commands *commands;
    struct command *command; /* NULL: it is gone */
    struct ticket *prev, *next;
};

/* Times are those of rpc_clock(). */
struct live {
    struct commands *commands;
    const rpc_command *declared;
    char *body; /* its parameters as JSON text, or the adopted message */
    size_t body_size;
    void *correlation; /* of an adopted one */
    size_t correlation_size;
    rpc_trace *trace;  /* NULL: none; its state lies behind it */
    uint64_t deadline; /* when it ends, unless it was queued and is in flight */
    uint64_t answer;   /* in flight: when its answer is overdue */
    uint64_t stale;    /* when it is not sent any more; 0: never */
    uint64_t retry;    /* in flight: when it is sent again; 0: that is not planned */
    uint64_t hold;     /* waiting: before this it is not tried again */
    uint64_t reports;  /* when as many reports of progress as it made would have come at their rate */
    uint32_t timeout;
    uint64_t ttl;
    double queued, expires, stale_time; /* Unix time, for the database; stale_time 0: never */
    rpc_timer timer;
    struct ticket *ticket; /* it is being written to the database; NULL: it is not */
    enum offline_policy offline;
    bool idempotent;
    bool loaded;    /* it comes from a former run */
    bool again;     /* in flight: it is sent again when its device is back */
    bool lost;      /* in flight: its outcome is unknown; it ends in a moment */
    bool abandoned; /* its caller does not wait for it any more, and it is being written */
    /* For a dead letter. */
    rpc_caller caller; /* who has called; its texts are in `whose` */
    char *whose;
    double arrived; /* Unix time */
    rpc_call *call; /* as long as `ended` is to be called; NULL: it is of a group, or of a former run */
    bool is_member, is_replay;
    command_ended ended;
    command_progress progress;
    void *context;
};

struct command {
    struct device *device;
    struct live *live;             /* NULL: it has ended */
    struct command *prev, *next;   /* in its device's list */
    struct command *older, *newer; /* among all that have ended */
    UT_hash_handle hh;             /* by id, unless an application chose it */
    double time;                   /* when it came into its state, Unix time */
    uint64_t changed;              /* likewise, rpc_clock() */
    int64_t seq;                   /* 0: it was never to be sent */
    const char *err;               /* a constant; NULL: none */
    uint32_t timeout;              /* ms that its answer had */
    int attempt;                   /* how often it was sent */
    enum command_state state;
    enum command_place place;
    bool stored;  /* it has a row in the database */
    bool late;    /* its answer came after its deadline */
    bool own_id;  /* the plugin chose the id */
    bool adopted; /* its message is an application's own */
    const char *name;
    char id[]; /* and behind it the name */
};

struct commands {
    rpc_instance *instance;
    const struct device_options *options;
    struct devices *table;
    struct disk *disk;
    struct command *by_id;          /* live and ended ones, with ids of the plugin's own */
    struct command *ended;          /* all that have ended, the oldest first */
    struct ticket *tickets;         /* writes that are not done */
    size_t live, history;           /* how many there are */
    size_t bytes;                   /* of what the live ones send */
    uint64_t random;                /* the state of a generator; 0: it was not used yet */
    int64_t counts[COMMAND_STATES]; /* how often a command came into each state */
};

/* The event `device/command`. */
#define COMMAND_EVENT "device/command"
extern const rpc_shape command_event_shape;

/* Random number below `below`. */
uint32_t life_random(struct commands *commands, uint32_t below);

/* Makes a command that has not begun: PLACE_NONE, not announced. NULL: no memory. */
struct command *life_create(struct commands *commands, const struct order *order);

/* Frees a command that was made and not begun. */
void life_discard(struct commands *commands, struct command *command);

/* The live or ended command of this id that the plugin chose; NULL: there is none. */
struct command *life_find(const struct commands *commands, const char *id);

/* The time until which it may be sent at all has come. */
bool life_is_over(const struct command *command, uint64_t now);
bool life_is_stale(const struct command *command, uint64_t now);

/* Moves it to another list of its device, to the beginning or to the end. */
void life_move(struct command *command, enum command_place place, bool first);

/* Notes a state and announces it. progress: JSON text; NULL: none. */
void life_change(struct commands *commands, struct command *command, enum command_state state,
                 const char *progress);

/* A verdict on a command, without what only some have. */
struct verdict life_verdict(const struct command *command, enum command_state state, const char *err,
                            const char *msg);

/*
 * Ends a command: announces it, writes it down if it has a row, tells its caller, keeps it in the history. If
 * it has expired or its outcome is unknown, it becomes a dead letter; but not if the result of a call to a
 * group says so, nor if a dead letter was replayed to make it.
 */
void life_end(struct commands *commands, struct command *command, const struct verdict *verdict);

/* An answer has come after the deadline: state COMMAND_TIMEOUT, as a command of the history, becomes another.
 */
void life_end_late(struct commands *commands, struct command *command, enum command_state state,
                   const char *err);

/* Puts a command that has ended into the history. */
void life_remember(struct commands *commands, struct command *command);

/* Removes a command from the history. */
void life_forget(struct commands *commands, struct command *command);

/* Writes its row as it is now, with this state. done may be NULL; else the command gets a ticket, which is
 * done's context. Returns false: it could not be begun, see disk.h. */
bool life_store(struct commands *commands, struct command *command, enum command_state state, disk_done done);

/* Ends a ticket, and returns its command; NULL: it is gone. */
struct command *life_take_ticket(struct ticket *ticket);

#endif

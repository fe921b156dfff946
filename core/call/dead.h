// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Dead letters: what failed with nobody to tell, kept so that people can look at it and have it run again.
 * This is the table. Which failures get into it, and what is published of them, is the business of answer.h;
 * running one again that of dispatch.h; the methods of the module `dead` show the table.
 *
 * The table is bounded, in letters and in bytes: the oldest letter goes. A call that is too large for it
 * leaves a letter without its parameters.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: the table owns its letters, and a letter has copies of all that it says. A letter whose replay
 * runs outlives its place in the table until dead_end_replay().
 *
 * Failure: without memory there is no letter, or it has no message. Names that are no names of MQTT's, since
 * they are too long or no UTF-8, make no letter, or are left out.
 */
#ifndef CORE_CALL_DEAD_H
#define CORE_CALL_DEAD_H

#include "base/arena.h"
#include "host.h"

#include <mosquitto_rpc.h>

enum {
    DEAD_MAX = 1000,          /* letters */
    DEAD_BYTES_MAX = 4194304, /* of all letters */
    DEAD_ID = 32,             /* bytes that hold any id */
    DEAD_ERR = 65,            /* bytes that hold any error's code */
    DEAD_MSG_MAX = 1024       /* bytes that hold an error's message, which is cut there */
};

/* What a letter has of its call. Only the first two can be run again. */
enum dead_content {
    DEAD_PARAMS,  /* its parameters as JSON text */
    DEAD_BYTES,   /* the payload of a method that takes raw bytes */
    DEAD_MESSAGE, /* a payload from which no call could be made */
    DEAD_NOTHING  /* nothing: it is over a limit, or dead_payload is false */
};

/* What a letter says, and what it is made of: texts are copied. */
struct dead_report {
    const char *method;        /* as it was called */
    struct host_client client; /* the caller; its id is NULL: unknown */
    double arrived;            /* Unix time */
    const char *trace;         /* the traceparent under which its events and its reply left; NULL: none */
    enum dead_content content;
    bool positional;  /* the parameters are JSON-RPC's, an array in the order of the declared ones */
    const char *text; /* of `size` bytes, and a NUL behind them */
    size_t size;
};

struct dead_letter {
    struct dead_report report;
    char id[DEAD_ID];
    uint64_t number; /* letters of one engine count up */
    char err[DEAD_ERR];
    char *msg;       /* NULL: no memory */
    int32_t replays; /* how often it was run again, in vain */
    size_t bytes;

    bool is_replayed; /* its replay runs; the others belong to that: */
    bool is_removed;  /* it has lost its place in the table meanwhile */
    void (*replayed)(void *context, const struct dead_letter *letter); /* NULL: nobody waits for it */
    void *context;

    struct dead_letter *prev, *next;
    char memory[];
};

/* One engine's table. */
struct dead {
    struct dead_letter *letters; /* the oldest first */
    size_t count, bytes;
    uint64_t number;            /* of the newest letter */
    uint32_t run;               /* tells ids of this run from those of another one */
    const rpc_instance *reader; /* the instance whose methods show the table: none of its calls becomes a
                                   letter, or a client that replays every letter would go on for ever */
};

/* The shape of struct dead_view, in which letters are shown and published. */
extern const rpc_shape dead_shape;

struct dead_view {
    const char *id, *method;
    rpc_json params;
    const char *payload, *caller, *user;
    double arrived;
    const char *err, *msg, *trace;
    int32_t replays;
    bool left_out; /* params and payload are */
    bool has_replays, has_left_out;
};

/* An empty table. seed: random bits. */
void dead_init(struct dead *dead, uint64_t seed);

/* Removes all letters. */
void dead_clear(struct dead *dead);

/* Writes the id of the letter of this number. */
void dead_write_id(const struct dead *dead, uint64_t number, char id[DEAD_ID]);

/* Adds a letter. Older ones go as far as they have to. Returns NULL: no memory. */
struct dead_letter *dead_add(struct dead *dead, const struct dead_report *report, const char *err,
                             const char *msg);

/* NULL: there is no letter of this id. */
struct dead_letter *dead_find(const struct dead *dead, const char *id);

/* Takes a letter out of the table. It is freed, unless its replay runs. */
void dead_remove(struct dead *dead, struct dead_letter *letter);

/* Whether a letter has what it takes to run its call again. */
static inline bool dead_can_be_replayed(const struct dead_letter *letter)
{
    return letter->report.content <= DEAD_BYTES;
}

/*
 * The replay of a letter has ended: a success removes the letter, a failure is what it says from now on.
 * Tells who waits for it, before the letter may be freed.
 */
void dead_end_replay(struct dead *dead, struct dead_letter *letter, rpc_status status, const char *err,
                     const char *msg);

/* Leaves out what makes a letter too large for whoever is to see it, and says so. */
static inline void dead_leave_out(struct dead_view *view)
{
    view->params.text = view->payload = NULL;
    view->left_out = view->has_left_out = true;
}

/* What a letter shows. Its texts are the letter's, or memory of the arena. Returns false: no memory. */
bool dead_show(const struct dead_letter *letter, struct arena *arena, struct dead_view *view);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Methods and events that workers declare when they attach, and that no module has. Each is a row that is
 * made while the service runs, and that the registry finds like a module's. Several workers may declare the
 * same row: what was declared last holds. A row goes FOREIGN_LINGER after the last worker that declares it,
 * unless a call of it is pending, so that callers of a worker that starts again are not told that there is no
 * such method.
 *
 * The parameters of such a method are any JSON object, and its result is any JSON value. The schemas are for
 * discovery, which shows them as they are.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: the part owns its rows with their texts. The name of a row and the code of an error exist as
 * long as the engine has them: a name until its row goes, a code until the end. Other texts are replaced when
 * the row is declared anew. A worker is a pointer that is only ever compared; its name is copied.
 *
 * Failure: foreign_declare() does all of a declaration or nothing, and says in one line what is wrong.
 */
#ifndef CORE_CALL_FOREIGN_H
#define CORE_CALL_FOREIGN_H

#include "base/instance.h"
#include "call/foreign_card.h"
#include "call/foreign_codes.h"
#include "call/registry.h"

enum {
    FOREIGN_METHODS_MAX = 1000,
    FOREIGN_FAMILIES_MAX =
        100, /* those of them that are families: a name that is unknown is compared with all */
    FOREIGN_EVENTS_MAX = 250,
    FOREIGN_BYTES_MAX = 8 << 20,
    FOREIGN_ERRORS_MAX = 32, /* those of one method */
    FOREIGN_LINGER = 60000,  /* ms */
    FOREIGN_RETRY = 5000,    /* ms, after which a row that was used is looked at again */
    FOREIGN_WHY = RPC_WHY_BYTES
};

/* ---- What workers declare ---- */

/* All that one worker declares, and the methods that it offers: those that workers declare are kept for it,
 * too, and the others do not matter here. */
struct foreign_cards {
    const struct foreign_method_card *methods;
    const struct foreign_event_card *events;
    const void *const *offered; /* struct registry_method * */
    size_t method_count, event_count, offered_count;
};

/* ---- Rows ---- */

/* What was declared last of a row. The texts lie behind it. */
struct foreign_content {
    size_t bytes;                    /* with the texts */
    const char *doc;                 /* NULL: none, and so on */
    const char *params, *result;     /* schemas; of an event `result` is that of its data */
    const char *lane, *key;          /* of a method; of an event */
    const struct foreign_row *event; /* of a method */
    bool read_only, idempotent, retained;
    uint32_t timeout;
    rpc_announcement announce;
};

/* That a worker declares a row, or offers it. */
struct foreign_claim {
    struct foreign_row *row;
    struct foreign_declarer *declarer;
    struct foreign_claim *prev, *next;    /* of the same row */
    struct foreign_claim *next_of_worker; /* of the same worker */
};

struct foreign_row {
    bool is_event;
    bool is_used; /* while rows go: something refers to it */
    char *name;
    struct registry_method method; /* unless is_event */
    struct registry_event event;   /* if is_event */
    rpc_method as_method;          /* likewise; what `declared` of the two points at */
    rpc_event as_event;
    struct foreign_content *content; /* NULL: its first declaration is being checked */
    struct foreign_content *staged;  /* what takes its place if all of a declaration is right */
    unsigned turn;                   /* of the declaration that has staged it */
    struct foreign_claim *claims;
    struct foreign_claim *mine;           /* while a declaration is checked: its worker's, from before */
    rpc_error errors[FOREIGN_ERRORS_MAX]; /* the codes with which its calls have failed */
    uint64_t left; /* when the last worker that declares it has gone, monotonic nanoseconds; else not set */
    struct foreign_row *prev, *next;
};

struct foreign_declarer {
    const void *worker;
    char *name;
    struct foreign_claim *claims;
    struct foreign_declarer *prev, *next;
};

/* What remote.h does for the rows of methods. */
struct foreign_ways {
    bool (*place)(struct engine *engine, struct registry_method *method);
    void (*forget)(struct registry_method *method);
};

/* One engine's part. */
struct foreign {
    struct foreign_ways ways;
    rpc_instance instance;    /* of which the rows are */
    struct foreign_row *rows; /* in the order of their first declaration */
    struct foreign_declarer *declarers;
    struct foreign_code *codes;
    size_t methods, families, events, bytes;
    unsigned turn;    /* declarations that there were */
    unsigned changes; /* how often what discovery tells has changed */
    rpc_timer timer;  /* rows are looked at when it is due */
};

/* Returns NULL: no memory. */
struct foreign *foreign_create(struct engine *engine, const struct foreign_ways *ways);

/* Frees everything; an engine without one is accepted. No call of a row is pending any more, and the registry
 * is still there. */
void foreign_destroy(struct engine *engine);

/*
 * Declares all that a worker declares, in place of what it has declared before. name is the worker's, for
 * discovery. Returns RPC_OK; RPC_INVALID_PARAMS: something of it is wrong; RPC_OVERLOADED: it does not fit
 * beside what others declare; RPC_INTERNAL_ERROR: no memory. Unless it returns RPC_OK nothing has changed.
 */
rpc_status foreign_declare(struct engine *engine, const void *worker, const char *name,
                           const struct foreign_cards *cards, char why[FOREIGN_WHY]);

/* A worker is gone; it need not have declared anything. */
void foreign_forget(struct engine *engine, const void *worker);

/* Whether a worker declares a row, or offers it. */
bool foreign_is_declared_by(const struct foreign_row *row, const void *worker);

/*
 * The text of the code of an error of a method's own, which exists until the engine ends, and which the
 * statistics of the method count. NULL: it is one more than FOREIGN_ERRORS_MAX of the method or
 * FOREIGN_CODES_MAX of all; or no memory.
 */
const char *foreign_take_code(struct foreign *foreign, struct foreign_row *row, const char *text);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * An exchange: one message that calls, and what becomes of it. Nearly always its life ends before
 * engine_receive() returns. When one of its calls becomes pending, the exchange stays until the last of them
 * has ended. A call is what rpc_call of mosquitto_rpc.h is: all of a message, or one item of a batch.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: exchange_create() makes an exchange with one hold; each task adds one, and exchange_release() of
 * the last one frees the exchange with its calls. Until exchange_keep() the exchange borrows the host's
 * message; afterwards it has a copy. The reply's buffer is the engine's spare one, held only while something
 * is written. A call is embedded in its exchange, or has memory of its own where an item of a batch may
 * become pending. A task, while there is one, points at its call; the call points back.
 *
 * Failure: exchange_create(), exchange_keep() and call_move() need memory. Without memory for a reply buffer
 * nothing fits into the reply, and call_fail() leaves the status without a message.
 */
#ifndef CORE_CALL_EXCHANGE_H
#define CORE_CALL_EXCHANGE_H

#include "base/arena.h"
#include "base/trace.h"
#include "call/dead.h"
#include "call/topic.h"
#include "dedup/dedup.h"
#include "host.h"
#include "shape/json.h"
#include "shape/writer.h"
#include "work/slots.h"

struct connection;
struct engine;
struct registry_method;
struct task;

/* Where a reply goes. */
struct destination {
    struct host_client client;
    bool ended;         /* its connection has ended, or another one has taken over its id */
    bool session_waits; /* and a session waits for the reply */
    bool repeated;      /* the reply is that of an earlier copy of the message */
    bool errors_only;   /* the caller gets a reply only if it is an error */
    bool unchanged;     /* the call was dispatched to this host, and its success changes nothing */
    const char *topic;  /* NULL: the caller wants no reply */
    const void *correlation;
    size_t correlation_size; /* bytes */
    int qos;
    const struct codec *codec; /* of the reply, and of the message */
    const struct trace *trace; /* that the reply belongs to; NULL: none */
};

/* The outcome of an item of a batch, as long as the outcome of an item before it is not known. */
struct fragment {
    const char *text; /* memory of the exchange; NULL: none so far */
    size_t size;      /* bytes */
    struct fragment *prev, *next;
};

/* A failed item of a batch, which becomes a dead letter if the batch's reply reaches nobody. Memory of the
 * exchange. */
struct draft {
    struct dead_report report;
    const char *err, *msg;
    struct draft *prev, *next;
};

/* What the caller sent. */
struct exchange_payload {
    cJSON *tree;              /* NULL: raw bytes, nothing, not parsed yet, or not needed any more */
    const cJSON *calls;       /* of a batch: the array */
    struct json_error parsed; /* what is wrong with it; its text is not set before it is parsed */
    struct arena arena;       /* has the tree */
};

/* What the caller gets. */
struct exchange_reply {
    struct writer out;          /* as far as it is written */
    rpc_status status;          /* of the reply as a whole */
    const char *code;           /* likewise, as it is on the wire */
    bool overflowed;            /* a batch's reply does not fit: no further outcome is written */
    bool logged;                /* an error of an item of a batch has been logged: no further one is */
    size_t opened;              /* bytes of a batch's reply before the first item */
    size_t written;             /* items of a batch that are in the reply */
    size_t successes;           /* those of them that are results */
    struct fragment *fragments; /* of a batch: outcomes that are set aside, in order; NULL: none is */
    size_t fragments_size;      /* bytes */
    struct draft *drafts;       /* of a batch: those of its items */
};

enum call_state {
    CALL_IDLE,    /* none of its functions runs */
    CALL_RUNNING, /* its handler or its done runs, and may make the call pending */
    CALL_ENDING,  /* its done runs after the outcome was known: the call cannot become pending again */
    CALL_OVER     /* its outcome is known */
};

/* Why a call failed, when there is more to say than the status. */
struct failure {
    rpc_status status;   /* the status that it belongs to: with any other status it is void */
    const char *code;    /* on the wire */
    const char *message; /* memory of the call, or NULL */
    const char *extra;   /* more members of the error object, in memory of the call, as the codec of the
                            call's outcome writes them; NULL: none */
    size_t extra_size;   /* bytes */
    const char *key;     /* the value of the key of the method's error event, likewise; NULL: none */
};

struct rpc_call {
    struct engine *engine;
    struct exchange *exchange;
    const char *name;               /* of the method, or what the caller wrote in its place */
    struct registry_method *method; /* NULL: no module has registered it */
    const cJSON *item;   /* the part of the payload that is this call, until it is pending; NULL: all of it */
    const cJSON *params; /* likewise: a value, or an array of JSON-RPC's positional parameters */
    const cJSON *id;     /* JSON-RPC: a part of the payload, or memory of the call once the exchange is kept;
                            NULL: none, which a reply has as null */
    bool asked;          /* the caller wants a reply */
    bool by_handler;     /* the failure is the handler's own */
    bool own_memory;     /* the call is not the exchange's embedded one */
    bool has_worked;     /* work or a wait of it has ended well before */
    bool unchanged;      /* its success changes nothing, so that it is not announced */
    bool is_refused;     /* no call could be made of its part of the message */
    bool is_buried;      /* its module has made a dead letter of its failure */
    uint32_t timeout;    /* ms from its arrival to its deadline, as its handler has set it; 0: it has not */
    enum call_state state;
    rpc_status refusal;  /* why it could not become pending; RPC_OK: its handler did not ask, or it could */
    struct task *task;   /* what keeps it pending; NULL: nothing */
    struct holding held; /* call_bytes(), while it is pending */
    struct fragment
        *place;          /* where its outcome is set aside; NULL: the outcome goes into the reply at once */
    void *result;        /* a struct of the method's result shape; NULL: none */
    const void *decoded; /* the parameters, of a method with .lane whose run was called; else not set */
    const char *kept_params; /* exchange_params_text(), of a call that was kept, if its message does not have
                                it; else NULL */
    const char *worker; /* that carried it out, or had it at the end; memory of the exchange; NULL: none */
    uint64_t queued;    /* nanoseconds that its work has waited for a thread, or itself for a worker */
    uint64_t begun;     /* when its handler began, monotonic nanoseconds; 0: it did not */
    uint64_t ended;     /* when that was over, if its return was the outcome; 0: that was not looked at */
    struct failure failure; /* exchange_begin_call() zeroes nothing behind its status */
    struct arena arena;
};

/* Whether a message was run, where the reply's status alone does not tell. */
enum exchange_ran { EXCHANGE_RAN_BY_STATUS, EXCHANGE_RAN, EXCHANGE_NOT_RUN };

/* What a message needs while calls of it are pending. */
struct exchange_pending {
    bool kept;                     /* it has outlived the message's arrival; else the next two are not set */
    struct connection *connection; /* also when the connection has ended */
    struct task *tasks;            /* of its pending calls */
    struct holding held;           /* exchange_bytes(), while a call of it is pending */
    enum exchange_ran ran;
    bool keeps_params;                  /* if it is kept: exchange_params_text() goes on to work */
    struct dead_letter *replay;         /* the dead letter whose call runs again here; NULL: none */
    bool progress;                      /* its caller asked for interim replies, and can get them */
    const struct host_message *arrived; /* the host's message, for its user properties; NULL: all calls have
                                           been begun, and the host has it back */
    size_t payload;                     /* bytes of the payload that the copy of the message has */
    uint32_t timeout;                   /* ms; 0: the caller has set none */
    unsigned unknown;   /* outcomes that are not known yet, one more while its calls are begun */
    unsigned holds;     /* tasks that need the exchange, one more while its message is received */
    unsigned evicted;   /* those of them that are evicted, and will end soon */
    const char *worker; /* the name of the one that has answered the last of its calls that were sent to one;
                           memory of the exchange; NULL: none has */
};

struct exchange {
    struct engine *engine;
    const struct host_message *message; /* the host's; a copy of it once the exchange is kept */
    enum topic_kind kind;
    const char *name; /* of the method that the topic names, as it was called; "" if it names none */
    struct registry_method *method; /* NULL: the topic names none that is registered */

    struct destination to;
    bool jsonrpc; /* the payload is JSON-RPC, and so is the reply */
    bool batch;   /* it is an array of calls, and so is the reply */
    bool adopted; /* of a message of an inbox, or dispatched: its payload is parameters and never JSON-RPC */
    const cJSON *request_id; /* a string or a number, to wrap the reply with; a part of the payload, or memory
                                of the exchange once it is kept; NULL: no wrapping */
    const cJSON *timeout;    /* the member timeout_ms that stood beside it; NULL: none did */
    bool misrouted;          /* what says where the reply goes is malformed */
    struct trace trace;      /* what to.trace points at; else nothing of it is set */
    size_t identity;         /* bytes of what tells this call from the caller's others; 0: nothing does */

    struct exchange_reply reply;
    struct exchange_pending pending;
    struct exchange *prev, *next; /* among its connection's, once it is kept */
    struct dedup_record dedup;
    double time;  /* of its arrival, Unix seconds; 0: not looked at yet */
    uint64_t now; /* likewise, monotonic nanoseconds; always set */

    struct exchange_payload payload;
    rpc_call call; /* the only call, or the item of a batch that is run now */
    struct arena arena;
};

/*
 * Frees the memory that is kept for the next exchange: nearly always there is one at a time, and the C
 * library would tidy up its free memory at each allocation of this size.
 */
void exchange_free_spares(struct engine *engine);

/*
 * Returns an exchange for a message, with its embedded call begun. name is the topic's part that names the
 * method. NULL: no memory.
 */
struct exchange *exchange_create(struct engine *engine, const struct host_message *message,
                                 enum topic_kind kind, const char *name);

/* Bytes that an exchange without its calls, or a call, holds while it is pending. */
static inline size_t exchange_bytes(const struct exchange *exchange)
{
    return sizeof *exchange - sizeof exchange->call + exchange->arena.bytes;
}

static inline size_t call_bytes(const rpc_call *call)
{
    return sizeof *call + call->arena.bytes;
}

/* Counts anew what a pending call and its exchange hold. To be called when they may have allocated more. */
void call_recount(rpc_call *call);

/* Gives up one hold. */
void exchange_release(struct exchange *exchange);

/* Makes the exchange's embedded call ready for a method, or for none. Returns that call. */
rpc_call *exchange_begin_call(struct exchange *exchange, struct registry_method *method, const char *name);

/* Moves a call into memory of its own, where it may become pending. Returns NULL: no memory, nothing has
 * changed. */
rpc_call *call_move(const rpc_call *call);

/* Frees what the call holds, and the call itself if it has memory of its own. */
void call_fini(rpc_call *call);

/* Notes why a call fails, and returns status. */
rpc_status call_fail(rpc_call *call, rpc_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Frees the parsed payload and forgets the host's message. To be called when all calls have been begun: those
 * that are pending need nothing of it. */
void exchange_drop_payload(struct exchange *exchange);

/* Gets a buffer for the reply if there is none; gives it back, with what is written in it. */
void exchange_take_reply_buffer(struct exchange *exchange);
void exchange_give_reply_buffer(struct exchange *exchange);

/* The host's message, which has the user properties. NULL: it is the host's no more. */
static inline const struct host_message *exchange_arrived(const struct exchange *exchange)
{
    return exchange->pending.kept ? exchange->pending.arrived : exchange->message;
}

/* Bytes of the payload that message->payload has: of a copy, no more than is needed. */
static inline size_t exchange_payload_size(const struct exchange *exchange)
{
    return exchange->pending.kept ? exchange->pending.payload : exchange->message->size;
}

/*
 * Reads the Trace Context of a message that has properties, from its user properties. What is malformed is
 * as if it were not there.
 */
void exchange_read_trace(struct exchange *exchange);

/* Reads a traceparent, unless the exchange has a trace, likewise. */
void exchange_take_trace(struct exchange *exchange, const char *traceparent);

/* Whether the parameters are all of the payload. */
static inline bool exchange_is_plain(const struct exchange *exchange)
{
    return !exchange->jsonrpc && !exchange->batch && !exchange->request_id;
}

/* Whether dead letters of its calls get what the message has of them. */
bool exchange_has_params(const struct exchange *exchange);

/*
 * The parameters of a call as JSON text, with a NUL behind it: as they came, or memory of the call. NULL: no
 * memory. For exchanges that exchange_has_params(), and not for raw bytes.
 */
const char *exchange_params_text(rpc_call *call);

/* When the message arrived, Unix seconds. The clock is looked at once, at the first call. */
double exchange_time(struct exchange *exchange);

/*
 * To be called before a handler runs that may make its call pending: from now on the exchange borrows nothing
 * of the host, and what the reply needs is no part of the parsed payload. Returns RPC_OK;
 * RPC_INVALID_REQUEST: the deadline that the caller has set is malformed; RPC_INTERNAL_ERROR: no memory.
 */
rpc_status exchange_keep(rpc_call *call);

/* A connection has ended: notes what that means to the exchanges of its pending calls. */
void exchange_connection_ended(struct engine *engine, const struct host_ending *ending);

#endif

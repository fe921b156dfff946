// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What the engine's own files share. A message that calls is an exchange (exchange.c): its payload
 * (payload.c) is one call or a batch of them, it has a route for the reply (route.c), may be a repetition
 * (once.c), and its calls (call.c) come to outcomes, which become the reply and events (answer.c). What is
 * not finished when its handler returns is a task (task.c), which needs a place while it waits (places.c);
 * schedule.c knows what is due when. handler.c is what handlers see of their call, discovery.c a module that
 * tells what there is to call.
 */
#ifndef CORE_ENGINE_PRIVATE_H
#define CORE_ENGINE_PRIVATE_H

#include "base/arena.h"
#include "call/connections.h"
#include "dedup/clients.h"
#include "engine.h"
#include "base/env.h"
#include "call/jsonrpc.h"
#include "work/slots.h"
#include "work/pool.h"
#include "call/registry.h"
#include "base/heap.h"
#include "call/topic.h"

struct engine {
    struct env env;
    struct registry registry;
    char *error_topic; /* {prefix}/event/error */

    struct bucket errors; /* announced errors */

    uint64_t seed;                          /* of digests */
    struct reply_cache duplicates, ordered; /* by identity; by their place in a client's order */
    struct clients clients;

    struct pool *pool;
    struct task *tasks;             /* what has not ended, in the order of its beginning */
    struct task *condemned;         /* what has been thrown out, but not been told yet */
    struct slots places;            /* of calls that wait; what a worker has begun may still be among them */
    size_t backgrounds;             /* tasks without a call */
    bool hanging;                   /* some task hangs */
    struct connection *connections; /* the connections for which something is open */
    struct heap deadlines;          /* of tasks */
    struct heap alarms;             /* of modules */
    struct rpc_timer *running;      /* the one whose handler runs now; NULL: none */

    char *scratch;          /* max_reply bytes, where an event is written before it becomes a payload */
    char *spare_reply;      /* likewise for the next reply; NULL: in use */
    struct exchange *spare; /* the memory of the last exchange, for the next one; or NULL */

    struct engine_counters published; /* as last published */
    uint64_t sys_due, expire_due;     /* monotonic nanoseconds */
};

/* Where a reply goes. */
struct destination {
    struct host_client client;
    const char *topic; /* NULL: nobody asked for one */
    const void *correlation;
    size_t correlation_size;
    int qos;
};

/* Why a call failed, when there is more to say than the status. */
struct failure {
    rpc_status status; /* what was returned with it: a failure left behind on the way to another is void */
    const char *code;
    const char *message; /* memory of the call, or NULL */
    const char *extra;   /* more members of the error object, as JSON text in memory of the call; or NULL */
};

/* What an item of a batch came to, as long as some item before it is not known. */
struct fragment {
    const char *text; /* memory of the exchange; NULL: nothing, so far */
    size_t size;
    struct fragment *prev, *next;
};

/* What is not finished when its handler returns: a call that is kept open, or work without a call. */
struct task {
    rpc_job job; /* the first member: a job that comes back is its task's; its data is what done gets */
    rpc_instance *instance;
    rpc_call *call; /* NULL: work without one */
    rpc_done done;
    bool working;              /* a worker has it or will have it; else it waits for rpc_resume() */
    bool hangs;                /* its work goes on for nobody, and nobody has taken its thread's place yet */
    bool told;                 /* the caller knows already what has become of its call, which is `outcome` */
    rpc_status outcome;        /* RPC_OK: nothing has happened to it */
    bool condemned;            /* it has lost its place, and is among engine->condemned */
    struct heap_node deadline; /* not set: it has none */
    struct task *prev, *next;
    struct task *item_before, *item_after; /* among its exchange's */

    /* places.c's own: */
    struct holder *holder;      /* NULL: it has no place */
    struct task *older, *newer; /* among its holder's */
};

/* One call: all of a message, or one item of a batch. */
struct rpc_call {
    struct engine *engine;
    struct exchange *exchange;
    const char *name;               /* of the method, as it was called: registry_call_name(); or what was
                                       written in its place */
    struct registry_method *method; /* NULL: nobody registered it */
    const cJSON *item;              /* the part of the payload that is this call; NULL: all of it */
    const cJSON *params;            /* a value, or an array of JSON-RPC's positional parameters */
    const char *id_json;            /* JSON-RPC: the id as JSON text; NULL: a notification */
    bool asked;                     /* the caller wants to know what it comes to */
    bool by_handler;                /* the failure is the handler's own */
    bool own_memory;                /* it is not the exchange's own one */
    bool begun;                     /* something of it has been done outside its handler */
    bool over;                      /* its outcome is known: it cannot be kept open any more */
    bool busy;                      /* its handler or its done runs: it must not end below that */
    rpc_status refusal;     /* why it could not be kept open; RPC_OK: nobody has wanted that in vain */
    struct task *task;      /* what keeps it open; NULL: nothing */
    struct fragment *place; /* where its outcome goes; NULL: into the reply at once */
    struct failure failure;
    void *result;
    struct arena arena; /* the last member: it is not zeroed */
};

/* One message that calls. */
struct exchange {
    struct engine *engine;
    const struct host_message *message; /* the host's; a copy of it once the exchange is kept */
    enum topic_kind kind;
    const char *name;               /* of the method that the topic names, as it was called; "" if the topic
                                       names none */
    struct registry_method *method; /* NULL: the topic names none that is registered */

    struct destination to;
    bool jsonrpc;        /* the payload is JSON-RPC, and so is the reply */
    bool batch;          /* it is an array of calls, and so is the reply */
    const char *id_json; /* the request_id as JSON text, to wrap the reply with; NULL: no wrapping */
    size_t identity;     /* bytes of what the caller tells this call from its others by; 0: nothing does */

    cJSON *tree;              /* the payload's, or NULL */
    struct json_error parsed; /* what is wrong with it */
    const cJSON *calls;       /* of a batch: the array */

    struct writer out;  /* the reply, as far as it is written */
    const char *status; /* of the reply */
    bool overflowed;    /* the reply does not fit: what else becomes of the batch is not written any more */
    size_t written;     /* items of a batch that are in the reply */

    /* What may take time: */
    bool kept;                     /* it outlives the message's arrival, in which case it is one of these: */
    struct connection *connection; /* its connection's, also when that has ended */
    struct exchange *prev, *next;  /* among its caller's */
    struct task *tasks;            /* its calls that are open */
    bool gone;                     /* the caller's connection has ended; */
    bool session_waits;            /* a session waits for the reply */
    bool unbegun;                  /* nothing of it has been carried out; */
    bool begun;                    /* something has, though it was refused afterwards */
    uint32_t timeout;              /* ms; 0: the caller has set none */
    unsigned unknown;              /* outcomes that are not known yet, one while calls are begun included */
    unsigned holds;                /* tasks that need it, one while its message is being received included */
    struct fragment *fragments;    /* of a batch: what it has come to, in order; NULL: it is in the reply */
    size_t fragments_size;         /* bytes */

    struct client *client; /* the caller's record; NULL: not needed so far, or not any more */
    bool identified;       /* it has an identity that counts: */
    struct digest key;     /* what it is known by then */
    bool guarded;          /* by its place in the client's order it is kept from running twice */
    struct cached_reply *entry,
        *noted;   /* its entries among the duplicates and in the client's order; or NULL */
    double time;  /* of its arrival, Unix seconds; 0: nobody has asked yet */
    uint64_t now; /* likewise, monotonic nanoseconds */

    rpc_call call;      /* the one that is being carried out */
    struct arena arena; /* the last member: it is not zeroed */
};

/* exchange.c: carries a message out. name is the topic's part that names the method. */
enum engine_verdict exchange_receive(struct engine *engine, const struct host_message *message,
                                     enum topic_kind kind, const char *name);

/* When the message arrived, as near as matters: each look at a clock costs as much as a small piece of
 * memory. */
uint64_t exchange_now(struct exchange *exchange);

/* Likewise, Unix time in seconds. */
double exchange_time(struct exchange *exchange);

/* Frees the memory that is kept for the next exchange. */
void exchange_free_spare(struct engine *engine);

/*
 * To be called before a handler runs that may keep its call open: from now on the call's exchange borrows
 * nothing of the host. Returns RPC_OK; RPC_INVALID_REQUEST: the caller's timeout-ms is malformed;
 * RPC_INTERNAL_ERROR: no memory.
 */
rpc_status exchange_keep(rpc_call *call);

/* The outcome of a call that was kept open is known. The last one of its exchange sends the reply. */
void exchange_conclude(rpc_call *call, rpc_status status);

/* A task needs the exchange no more. The last one frees it, calls included. */
void exchange_release(struct exchange *exchange);

/* A connection has ended: notes what that means to the exchanges of its calls that are open. */
void exchange_caller_ended(struct engine *engine, const struct host_ending *ending);

/*
 * task.c: ends what is over, each with its done: tasks whose work has come back, those that were thrown out,
 * those whose deadline has passed, those whose callers have gone; and at the end all.
 */
void task_collect(struct engine *engine);
void task_end_condemned(struct engine *engine);
void task_expire(struct engine *engine, uint64_t now);
void task_cancel_gone(struct engine *engine, const void *connection);
void task_stop(struct engine *engine);
bool task_finish(struct engine *engine, uint64_t patience);

/* schedule.c: runs the handlers of timers that are due; frees them all. */
void timers_run(struct engine *engine, uint64_t now);
void timers_fini(struct engine *engine);

/*
 * payload.c: takes the payload apart, and finds the route of the reply. The order of the checks is the order
 * in which a caller can be told: first where to reply, then what is wrong. Returns RPC_OK, or why nothing of
 * it can be carried out, which is noted in the exchange's call.
 */
rpc_status payload_take(struct exchange *exchange);

/* Makes the exchange's call out of one JSON-RPC request of a batch. Returns RPC_OK, or likewise why not. */
rpc_status payload_take_request(struct exchange *exchange, const cJSON *item);

/* Whether some other server is meant, since nothing in it is ours and that is left to others. */
bool payload_is_for_others(struct exchange *exchange);

/*
 * route.c: where the reply goes, in the order in which the contract looks for it. Each returns RPC_OK;
 * RPC_INVALID_REQUEST: there is a route but it is malformed, which is logged, and there is none now; or
 * RPC_INTERNAL_ERROR: no memory.
 */
rpc_status route_by_response_topic(struct exchange *exchange);
rpc_status route_by_request_id(struct exchange *exchange);
rpc_status route_by_jsonrpc_id(struct exchange *exchange, const cJSON *id);

/*
 * once.c: the message as it was carried out before, or is being carried out; NULL: it was not. It is looked
 * for by its place in the client's order before anything else, since also what is refused has one; sound
 * tells that there is nothing wrong with it so far. Then it is looked for by its identity, if it is sound.
 */
struct cached_reply *dedup_find_sent_again(struct exchange *exchange, bool sound);
struct cached_reply *dedup_find_known(struct exchange *exchange);

/* Answers it as it was then, or will be. */
void dedup_answer_again(const struct exchange *exchange, struct cached_reply *entry);

/*
 * Enters a message that was not known by its identity, if it has one. Returns RPC_OK: it may be carried out;
 * RPC_OVERLOADED: there is no room to promise that it will be only once.
 */
rpc_status dedup_promise(struct exchange *exchange);

/* The exchange has been answered, or refused in silence: repetitions that waited get the same. */
void dedup_finish(struct exchange *exchange);

/* A connection has ended: nobody waits on it any more. */
void dedup_drop_waiting(struct engine *engine, const void *connection);

void dedup_fini(struct engine *engine);

/*
 * call.c: makes the exchange's call ready for a method, or for none; what the last one allocated is freed.
 * The name of a method is one of registry_call_name().
 * Then it is carried out and answered, or only answered.
 */
rpc_call *call_begin(struct exchange *exchange, struct registry_method *method, const char *name);
void call_carry_out(rpc_call *call);
void call_refuse(rpc_call *call, rpc_status status);

/* Answers a call that was kept open, with what its done returned or what has become of it. */
void call_finish(rpc_call *call, rpc_status status);

/* Moves the exchange's call into memory of its own, where it may stay. NULL: there is none. */
rpc_call *call_move(struct exchange *exchange);

/* Frees what the call holds, and itself if it has memory of its own. */
void call_end(rpc_call *call);

/* Whether the call has been kept open, which a handler or done that returned anything else is blamed for. */
bool call_stays_open(const rpc_call *call, rpc_status returned);

/* What a handler or done returned. What it may not return is its fault, and becomes internal_error. */
rpc_status call_check_outcome(rpc_call *call, rpc_status status);

/* Notes why a call fails and returns status. message may be NULL: no memory for one. */
rpc_status call_fail(rpc_call *call, rpc_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* answer.c: tells the caller and the subscribers what a call came to. */
void answer_success(rpc_call *call);
void answer_failure(rpc_call *call, rpc_status status);

/* The reply to a batch, around those to its calls. */
void answer_open_batch(struct exchange *exchange);
void answer_close_batch(struct exchange *exchange);

/*
 * Gives the call a place of its own among the outcomes of its batch; answer_gather() writes all of them into
 * the reply. Without memory for it, what becomes of the batch from now on is not written any more.
 */
void answer_set_aside(rpc_call *call);
void answer_gather(struct exchange *exchange);

/* Publishes. Whether or not that works, the payload is not the caller's any more; NULL stands for no memory.
 */
bool answer_publish(struct engine *engine, const struct host_publication *publication);

/* Sends a reply, a copy of text. */
void answer_send(struct engine *engine, const struct destination *to, const char *status, const char *text,
                 size_t size);

/* A writer into scratch, which is everybody's: what it writes must be copied before anything else is called.
 */
struct writer answer_writer(struct engine *engine);

/*
 * Encodes and announces. call is the one that caused it, or NULL. Returns RPC_OK, RPC_INVALID_PARAMS: data
 * does not fit (why says how), RPC_REPLY_TOO_LARGE, RPC_INTERNAL_ERROR: no memory.
 */
rpc_status answer_announce(struct engine *engine, const rpc_call *call, const struct registry_event *event,
                           const void *data, char why[FIELDS_WHY]);

#endif

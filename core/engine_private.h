// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What the engine's own files share. A message that calls is an exchange (exchange.c): its payload
 * (payload.c) is one call or a batch of them, it has a route for the reply (route.c), may be a repetition
 * (once.c), and its calls (call.c) come to outcomes, which become the reply and events (answer.c). handler.c
 * is what handlers see of their call, discovery.c a module that tells what there is to call.
 */
#ifndef CORE_ENGINE_PRIVATE_H
#define CORE_ENGINE_PRIVATE_H

#include "arena.h"
#include "clients.h"
#include "engine.h"
#include "gate.h"
#include "jsonrpc.h"
#include "registry.h"
#include "topic.h"

struct engine {
    struct engine_options options;
    struct host host;
    struct registry registry;
    char *error_topic; /* {prefix}/event/error */

    struct gate gates[RPC_LOG_ERROR + 1]; /* for its own log lines, by level */
    uint64_t errors_full_at;              /* the token bucket of announced errors */

    uint64_t seed;                      /* of digests */
    struct recalls duplicates, ordered; /* by identity; by their place in a client's order */
    struct clients clients;

    char *scratch;          /* max_reply bytes, where an event is written before it becomes a payload */
    char *spare_reply;      /* likewise for the next reply; NULL: in use */
    struct exchange *spare; /* the memory of the last exchange, for the next one; or NULL */

    struct engine_counters counters, published; /* published: as the $SYS topics last said */
    uint64_t sys_due, expire_due;               /* monotonic nanoseconds */
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

/* One call: all of a message, or one item of a batch. */
struct rpc_call {
    struct engine *engine;
    struct exchange *exchange;
    const struct host_message *message;
    const char *name;                     /* of the method, as it was written */
    const struct registry_method *method; /* NULL: nobody registered it */
    const cJSON *item;                    /* the part of the payload that is this call; NULL: all of it */
    const cJSON *params;                  /* a value, or an array of JSON-RPC's positional parameters */
    const char *id_json;                  /* JSON-RPC: the id as JSON text; NULL: a notification */
    bool asked;                           /* the caller wants to know what it comes to */
    bool by_handler;                      /* the failure is the handler's own */
    struct failure failure;
    void *result;
    struct arena arena; /* the last member: it is not zeroed */
};

/* One message that calls. */
struct exchange {
    struct engine *engine;
    const struct host_message *message;
    enum topic_kind kind;
    const char *name;                     /* of the method that the topic names; "" if it names none */
    const struct registry_method *method; /* NULL: the topic names none that is registered */

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

    struct client *client;         /* the caller's record; NULL: not needed so far */
    bool identified;               /* it has an identity that counts: */
    struct digest key;             /* what it is known by then */
    bool guarded;                  /* by its place in the client's order it is kept from running twice */
    struct recall *recall, *noted; /* its entries among the duplicates and in the client's order; or NULL */
    double time;                   /* of its arrival, Unix seconds; 0: nobody has asked yet */
    uint64_t now;                  /* likewise, monotonic nanoseconds */

    rpc_call call;      /* the one that is being carried out */
    struct arena arena; /* the last member: it is not zeroed */
};

/* exchange.c: carries a message out. name is the topic's part that names the method. */
enum engine_verdict exchange_receive(struct engine *engine, const struct host_message *message,
                                     enum topic_kind kind, const char *name);

/* When the message arrived, as near as matters: each look at a clock costs as much as a small piece of
 * memory. */
uint64_t exchange_now(struct exchange *exchange);

/* Frees the memory that is kept for the next exchange. */
void exchange_free_spare(struct engine *engine);

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
struct recall *once_find_sent_again(struct exchange *exchange, bool sound);
struct recall *once_find_known(struct exchange *exchange);

/* Answers it as it was then, or will be. */
void once_answer_again(const struct exchange *exchange, struct recall *recall);

/*
 * Enters a message that was not known by its identity, if it has one. Returns RPC_OK: it may be carried out;
 * RPC_OVERLOADED: there is no room to promise that it will be only once.
 */
rpc_status once_promise(struct exchange *exchange);

/* The exchange has been answered, or refused in silence: repetitions that waited get the same. */
void once_finish(struct exchange *exchange);

/* A connection has ended: nobody waits on it any more. */
void once_drop_waiting(struct engine *engine, const void *connection);

void once_clear(struct engine *engine);

/*
 * call.c: makes the exchange's call ready for a method, or for none; what the last one allocated is freed.
 * Then it is carried out and answered, or only answered.
 */
rpc_call *call_begin(struct exchange *exchange, const struct registry_method *method, const char *name);
void call_carry_out(rpc_call *call);
void call_refuse(rpc_call *call, rpc_status status);

/* Notes why a call fails and returns status. message may be NULL: no memory for one. */
rpc_status call_fail(rpc_call *call, rpc_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* answer.c: tells the caller and the subscribers what a call came to. */
void answer_success(rpc_call *call);
void answer_failure(rpc_call *call, rpc_status status);

/* The reply to a batch, around those to its calls. */
void answer_open_batch(struct exchange *exchange);
void answer_close_batch(struct exchange *exchange);

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

/*
 * engine.c: log lines, whose text may be hostile. Every line that a caller can cause passes a gate: the
 * engine's own, or that of the module whose handler writes it.
 */
void engine_log(struct engine *engine, rpc_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void engine_log_through(struct engine *engine, struct gate *gates, rpc_log_level level, const char *format,
                        ...) __attribute__((format(printf, 4, 5)));

/* The time of the host's clock that never goes back, nanoseconds. */
uint64_t engine_now(const struct engine *engine);

#endif

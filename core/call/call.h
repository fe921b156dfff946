// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * One call: all of a message, or one item of a batch. What rpc_call of mosquitto_rpc.h is, with its memory
 * and the reason of its failure. run.h runs it, answer.h
 * settles its outcome.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a call is embedded in its exchange, or has memory of its own where an item of a batch may become
 * pending (call_move()). What its arena holds is freed by call_fini(). A task, while there is one, points at
 * its call; the call points back.
 *
 * Failure: call_move() needs memory. call_fail() works without: the status then stands without a message.
 */
#ifndef CORE_CALL_CALL_H
#define CORE_CALL_CALL_H

#include "base/arena.h"

#include <cjson/cJSON.h>
#include <mosquitto_rpc.h>

struct engine;
struct exchange;
struct fragment;
struct registry_method;
struct task;

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
    const char *extra;   /* more members of the error object, written by the codec of the call's outcome in
                            memory   of the call; or NULL */
    size_t extra_size;   /* bytes */
};

struct rpc_call {
    struct engine *engine;
    struct exchange *exchange;
    const char *name;               /* of the method, or what the caller wrote in its place */
    struct registry_method *method; /* NULL: no module has registered it */
    const cJSON *item;              /* the part of the payload that is this call; NULL: all of it */
    const cJSON *params;            /* a value, or an array of JSON-RPC's positional parameters */
    const cJSON *id; /* JSON-RPC: a part of the payload; NULL: none, which a reply has as null */
    bool asked;      /* the caller wants a reply */
    bool by_handler; /* the failure is the handler's own */
    bool own_memory; /* the call is not the exchange's embedded one */
    bool has_worked; /* work or a wait of it has ended well before */
    enum call_state state;
    rpc_status refusal; /* why it could not become pending; RPC_OK: its handler did not ask, or it could */
    struct task *task;  /* what keeps it pending; NULL: nothing */
    struct fragment
        *place;   /* where its outcome is set aside; NULL: the outcome goes into the reply at once */
    void *result; /* a struct of the method's result shape; NULL: none */
    struct failure failure; /* exchange_begin_call() zeroes nothing behind its status */
    struct arena arena;
};

/* Moves a call into memory of its own, where it may become pending. Returns NULL: no memory, nothing has
 * changed. */
rpc_call *call_move(const rpc_call *call);

/* Frees what the call holds, and the call itself if it has memory of its own. */
void call_fini(rpc_call *call);

/* Notes why a call fails, and returns status. */
rpc_status call_fail(rpc_call *call, rpc_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

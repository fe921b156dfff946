// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What the engine's own files share: engine.c, call.c, answer.c and handler.c. */
#ifndef CORE_ENGINE_PRIVATE_H
#define CORE_ENGINE_PRIVATE_H

#include "arena.h"
#include "engine.h"
#include "gate.h"
#include "registry.h"

struct engine {
    struct engine_options options;
    struct host host;
    struct registry registry;
    char *error_topic; /* {prefix}/event/error */

    struct gate gates[RPC_LOG_ERROR + 1]; /* for its own log lines, by level */

    char *scratch;   /* max_reply bytes, where what goes out is written before it becomes a payload */
    rpc_call *spare; /* the memory of the last call, for the next one; or NULL */

    struct engine_counters counters, published; /* published: as the $SYS topics last said */
    uint64_t sys_due;                           /* monotonic nanoseconds */
};

/* Where a caller wants its reply. */
struct route {
    const char *topic;   /* NULL: it wants none */
    const char *id_json; /* the request_id as JSON text, to wrap the reply with; NULL: no wrapping */
};

/* Why a call failed, when there is more to say than the status. */
struct failure {
    rpc_status status; /* what was returned with it: a failure left behind on the way to another is void */
    const char *code;
    const char *message; /* memory of the call, or NULL */
    const char *extra;   /* more members of the error object, as JSON text in memory of the call; or NULL */
};

struct rpc_call {
    struct engine *engine;
    const struct host_message *message;
    const char *name;                     /* of the method, as the topic has it */
    const struct registry_method *method; /* NULL: nobody registered it */
    struct route route;
    struct failure failure;
    bool by_handler; /* the failure is the handler's own */
    double time;     /* of its arrival, Unix seconds */
    cJSON *params;   /* the payload's tree, or NULL */
    void *result;
    struct arena arena; /* the last member: it is not zeroed */
};

/* call.c: runs a call from its arrival to its end. name is the topic's part behind call/. */
enum engine_verdict call_receive(struct engine *engine, const struct host_message *message, const char *name);

/* Notes why a call fails and returns status. message may be NULL: no memory for one. */
rpc_status call_fail(rpc_call *call, rpc_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Frees the memory that is kept for the next call. */
void call_free_spare(struct engine *engine);

/* answer.c: tells the caller and the subscribers what a call came to. */
void answer_success(rpc_call *call);
void answer_failure(rpc_call *call, rpc_status status);

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

#endif

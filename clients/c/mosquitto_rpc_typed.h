// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Calls whose parameters and results are C structs. What `mosquitto_rpc generate --language c` writes is
 * tables for the functions of this header, and functions of one line that name them.
 *
 * Threads: as for the client, see mosquitto_rpc_client.h. Tables are constant and may be used by all threads.
 *
 * Ownership: what a struct that was read points to belongs to a struct rpc_typed_memory or rpc_typed_reply,
 * and partly to the JSON that it was read from. The functions say which.
 *
 * Failure: JSON that does not fit its table is a bad reply and never a crash: numbers that do not fit,
 * members of another type, required members that are missing. Members that the table does not have are
 * ignored, so that newer services can be called.
 */
#ifndef MOSQUITTO_RPC_TYPED_H
#define MOSQUITTO_RPC_TYPED_H

#include <mosquitto_rpc_client.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    RPC_TYPED_MEMORY_MAX = 64 << 20 /* bytes that a value takes besides its struct; more is a bad reply */
};

enum rpc_typed_kind {
    RPC_TYPED_JSON,    /* const cJSON *; NULL: it is missing */
    RPC_TYPED_BOOL,    /* bool */
    RPC_TYPED_INTEGER, /* int64_t. Beyond 2^53 a number that was read is the nearest one that a double holds.
                        */
    RPC_TYPED_NUMBER,  /* double */
    RPC_TYPED_STRING,  /* const char *; NULL: it is missing */
    RPC_TYPED_CHOICE,  /* int: 0 is missing or unknown, else the number of the string in choices, from 1 on */
    RPC_TYPED_OBJECT   /* a struct; where it may be missing, a pointer to it or NULL */
};

struct rpc_typed_shape;

/* A member of a struct. */
struct rpc_typed_member {
    const char *name; /* on the wire; NULL: the struct's only member, which is the whole value */
    enum rpc_typed_kind kind;
    bool is_array; /* a pointer to items: NULL is missing; beside is the offset of a size_t, their number */
    bool is_required; /* on the wire */
    bool is_nullable; /* null is a value on the wire, and is written for what is missing if it is required */
    bool has_flag;    /* beside is the offset of a bool: false is missing */
    size_t offset, beside;
    const struct rpc_typed_shape *shape; /* of RPC_TYPED_OBJECT */
    const char *const *choices;          /* of RPC_TYPED_CHOICE */
    int choice_count;
};

/* A struct. */
struct rpc_typed_shape {
    const struct rpc_typed_member *members;
    size_t count;
    size_t size; /* of the struct */
};

struct rpc_typed_method {
    const char *name;                     /* with {levels} that the caller gives */
    const struct rpc_typed_shape *params; /* NULL: none */
    const struct rpc_typed_shape *result;
};

/* What a value that was read points to. Begin with {0}. */
struct rpc_typed_memory {
    void *pieces;
    size_t bytes;
    char fault[120]; /* why reading failed, printable */
};

/* What a typed call has come to. */
struct rpc_typed_reply {
    struct rpc_client_reply reply; /* status, err, msg, data, …, as rpc_client_call() gives them */
    struct rpc_typed_memory memory;
};

/*
 * Reads JSON into a struct. What the struct points to is partly in json, which must live as long, and partly
 * in memory, which the caller frees with rpc_typed_free() in every case. Returns false: it does not fit, or
 * there is no memory; memory->fault says which, and the struct holds zeroes.
 */
bool rpc_typed_read(const struct rpc_typed_shape *shape, const cJSON *json, void *value,
                    struct rpc_typed_memory *memory);
void rpc_typed_free(struct rpc_typed_memory *memory);

/* A struct as JSON, which the caller frees with cJSON_Delete(). NULL: there is no memory. */
cJSON *rpc_typed_write(const struct rpc_typed_shape *shape, const void *value);

/* What is to be called. */
struct rpc_typed_call {
    const struct rpc_typed_method *method;
    const char *const *levels; /* the values of the levels in braces, in their order; NULL: there are none */
    const void *params;        /* the struct; NULL: none */
    const void *bytes;         /* instead of params, a payload as it is */
    size_t size;               /* of bytes */
};

/*
 * Calls a method and waits for its result. options: NULL, or a request whose timeout_ms, traceparent,
 * on_progress and user are taken. result gets the result, or zeroes; what it points to is valid until
 * rpc_typed_clear(), which the caller calls in every case.
 *
 * Returns reply->reply.status: what rpc_client_call() does; RPC_CLIENT_INVALID also if a level is empty or
 * has a `/` in it; RPC_CLIENT_BAD_REPLY also if the result does not fit.
 */
enum rpc_client_status rpc_typed_call(struct rpc_client *client, const struct rpc_typed_call *call,
                                      const struct rpc_client_request *options, void *result,
                                      struct rpc_typed_reply *reply);
void rpc_typed_clear(struct rpc_typed_reply *reply);

/*
 * Sends a call, as rpc_client_send() does: on_reply of the options is told, and reads the result with
 * rpc_typed_read().
 */
enum rpc_client_status rpc_typed_send(struct rpc_client *client, const struct rpc_typed_call *call,
                                      const struct rpc_client_request *options, char id[RPC_CLIENT_ID_SIZE]);

/*
 * Subscribes to an event; of a keyed one to that of a key, or with NULL to those of all keys. Returns what
 * rpc_client_subscribe() does; RPC_CLIENT_INVALID also if the key can be no level of a topic.
 */
enum rpc_client_status rpc_typed_subscribe(struct rpc_client *client, const char *event, bool is_keyed,
                                           const char *key, rpc_client_event_fn *on_event, void *user,
                                           unsigned long *id);

#ifdef __cplusplus
}
#endif

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What workers answer, read by the tables of the called method: its result, its interim
 * replies, and its errors with their members. So a wrong answer is found here, and what a caller gets is
 * written as that of a call that has run here.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: remote_shapes_create() returns memory that remote_shapes_destroy() frees. What is read is memory
 * of the call.
 *
 * Failure: remote_shapes_create() returns NULL without memory. The functions that read say in one line what
 * is wrong with an answer.
 */
#ifndef CORE_CALL_REMOTE_SHAPES_H
#define CORE_CALL_REMOTE_SHAPES_H

#include "call/exchange.h"
#include "call/registry.h"

/* The prepared tables of one method, whose calls workers may carry out. */
struct remote_shapes {
    struct fields result, progress; /* all zero: none is declared */
    uint64_t unoffered;     /* since when no worker offers the method, monotonic nanoseconds; 0: one does,
                               or it has not been looked at */
    double unoffered_at;    /* likewise, Unix seconds */
    size_t error_count;     /* rows of errors when it was created: those of declared methods come later */
    struct fields errors[]; /* those of the rows of the method's errors; all zero: no data */
};

/* The tables are checked. Returns NULL: no memory. */
struct remote_shapes *remote_shapes_create(const rpc_method *declared);

/* Accepts NULL. */
void remote_shapes_destroy(struct remote_shapes *shapes);

/*
 * Takes a result, which becomes that of the call. Returns RPC_OK; RPC_REPLY_TOO_LARGE; RPC_INVALID_PARAMS: it
 * does not fit the method's shape, why says how; RPC_INTERNAL_ERROR: no memory.
 */
rpc_status remote_take_result(rpc_call *call, const char *payload, size_t size, char why[FIELDS_WHY]);

/*
 * Takes an error, which is raised for the call: code is its code. Returns its status; RPC_OK: it is no error
 * that the method may end with, why says so.
 */
rpc_status remote_take_error(rpc_call *call, const char *code, const char *payload, size_t size,
                             char why[FIELDS_WHY]);

/* Sends an interim reply. Returns as remote_take_result() does. */
rpc_status remote_take_progress(rpc_call *call, const char *payload, size_t size, char why[FIELDS_WHY]);

#endif

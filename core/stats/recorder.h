// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The last calls of an engine: a ring of RECORDER_CALLS records, the newest of which takes the place of the
 * oldest. Recording a call allocates nothing.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: recorder_create() makes the ring, and recorder_destroy() frees it. Methods and codes are
 * constants of the methods' tables and of RPC_STATUS_MAP, or exist until recorder_forget() and the engine's
 * end; texts and payloads are copied. A record is valid until the next one is begun.
 *
 * Failure: recorder_create() can fail for want of memory; nothing else can fail.
 */
#ifndef CORE_STATS_RECORDER_H
#define CORE_STATS_RECORDER_H

#include "base/trace.h"

#include <string.h>

/* How many calls are kept, and how many bytes of their texts, without the NULs. */
enum {
    RECORDER_CALLS = 256,
    RECORDER_CALLER = 64,
    RECORDER_WORKER = 64,
    RECORDER_NAME = 128,
    RECORDER_PAYLOAD = 1024
};

/* One call whose outcome is known. */
struct record {
    const rpc_method *method; /* NULL: no module has registered the method */
    const char *code;         /* the outcome, as it is on the wire; NULL: the record is empty */
    uint64_t arrived;         /* monotonic nanoseconds */
    uint64_t waited, ran;     /* nanoseconds, which together are the time from its arrival to its outcome */
    size_t size;              /* bytes of its message's payload */
    size_t kept;              /* those of them that are kept in `payload` */
    char *payload;            /* RECORDER_PAYLOAD bytes; NULL: payloads are not kept */
    char trace[TRACE_ID + 1]; /* the id of its trace; "": it has none */
    char caller[RECORDER_CALLER + 1];
    char worker[RECORDER_WORKER + 1]; /* which has answered it, or had it; "": none */
    char name[RECORDER_NAME + 1];     /* as it was called, of a method family and of a method that is not
                                         registered; else "" */
};

struct recorder {
    struct record *next; /* the place of the next one */
    char *payloads;      /* NULL: they are not kept */
    struct record records[RECORDER_CALLS];
};

/* Returns NULL: no memory. */
struct recorder *recorder_create(bool keeps_payloads);

/* Accepts NULL. */
void recorder_destroy(struct recorder *recorder);

/* Begins the next record, of which the caller sets all but `payload` and `kept`. */
static inline struct record *recorder_begin(struct recorder *recorder)
{
    struct record *record = recorder->next++;
    if (recorder->next == recorder->records + RECORDER_CALLS)
        recorder->next = recorder->records;
    return record;
}

/* Keeps the id of a trace; NULL: there is none. */
static inline void record_keep_trace(struct record *record, const struct trace *trace)
{
    if (trace)
        memcpy(record->trace, trace_id(trace), TRACE_ID);
    record->trace[trace ? TRACE_ID : 0] = '\0';
}

/* Keep who called, which worker had the call, what was called and what was sent, cut to what there is room
 * for; texts are not cut within a character. */
void record_keep_caller(struct record *record, const char *caller);
void record_keep_worker(struct record *record, const char *worker);
void record_keep_name(struct record *record, const char *name);
void record_keep_payload(struct record *record, const char *payload, size_t size);

/* The method goes: its records name it, and refer to it no more. */
void recorder_forget(struct recorder *recorder, const rpc_method *method);

/* The record that so many others have followed. NULL: there is none, or none any more. */
const struct record *recorder_find(const struct recorder *recorder, size_t followers);

#endif

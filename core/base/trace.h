// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * W3C Trace Context (https://www.w3.org/TR/trace-context/): a traceparent is read, and one with an id of our
 * own takes its place in all that is sent on.
 *
 * Threads: any; a trace does not change once it was read.
 *
 * Ownership: a trace is embedded where it is needed; its state belongs to who sets it.
 *
 * Failure: what is malformed is no trace.
 */
#ifndef CORE_BASE_TRACE_H
#define CORE_BASE_TRACE_H

#include <mosquitto_rpc.h>

enum {
    TRACE_PARENT = RPC_TRACEPARENT_BYTES - 1, /* bytes of a traceparent of version 00 */
    TRACE_SPAN = 16,                          /* characters of the id of a span */
    TRACE_ID = 32,                            /* characters of the id of a trace */
    TRACE_STATE_MAX = 512,                    /* bytes of a tracestate */
    TRACE_PROPERTIES = 2                      /* user properties that a trace makes, at most */
};

/* What is read of a message's context: no more than shows whether a traceparent or a tracestate is too long.
 */
enum { TRACE_PARENT_READ = TRACE_PARENT + 2, TRACE_STATE_READ = TRACE_STATE_MAX + 2 };

struct trace {
    char parent[TRACE_PARENT + 1]; /* what is sent on: 00-{trace}-{our span}-{flags}; "": there is none, and
                                      nothing else is set */
    char caller[TRACE_SPAN + 1];   /* the span of the caller, the parent of ours; "": there is none */
    const char *state;             /* tracestate; NULL: none */
};

/*
 * Makes a trace of a traceparent, of which TRACE_PARENT_READ - 1 bytes suffice. random is the state of a
 * generator, not 0, from which the id of our span is taken: anybody can tell the next one from one of them.
 * Of a version above 00 the first four fields are read. Flags that version 00 does not define become 0, as it
 * wants it. Returns false: it is malformed, and the trace is none.
 */
bool trace_read(struct trace *trace, const char *text, uint64_t *random);

/* Begins a trace that no caller has begun, and that is not sampled. random as above. */
void trace_begin(struct trace *trace, uint64_t *random);

/* Whether a tracestate may be sent on: 1 to TRACE_STATE_MAX bytes of printable ASCII. */
bool trace_is_state(const char *text);

/* The caller wants to see what has become of the call. */
static inline bool trace_is_sampled(const struct trace *trace)
{
    return trace->parent[TRACE_PARENT - 1] & 1; /* a hexadecimal digit in ASCII */
}

/* Where the ids of a trace, and of our span in it, are in its parent: TRACE_ID and TRACE_SPAN characters. */
static inline const char *trace_id(const struct trace *trace)
{
    return trace->parent + 3;
}

static inline const char *trace_span(const struct trace *trace)
{
    return trace->parent + 3 + TRACE_ID + 1;
}

/* The user properties that a trace is sent on with. NULL: there is no trace. Returns how many there are. */
size_t trace_properties(const struct trace *trace, rpc_property properties[TRACE_PROPERTIES]);

#endif

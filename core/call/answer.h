// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The outcomes of calls: writes and sends replies and events. The reply is written into the exchange's
 * buffer, whose size is max_reply, one outcome after the other if there is a batch of them. The event of a
 * result is a part of the reply where both have the same codec; otherwise the event is written into the
 * engine's scratch buffer.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: what is sent is copied into payloads, which then are the host's.
 *
 * Failure: what cannot be sent for want of memory is dropped, counted and logged. A result that does not fit
 * becomes an error, and an error is written with less detail until it fits.
 */
#ifndef CORE_CALL_ANSWER_H
#define CORE_CALL_ANSWER_H

#include "call/exchange.h"
#include "call/registry.h"

struct answers;

/* One engine's part. Returns NULL: no memory. answers_destroy() accepts NULL. */
struct answers *answers_create(const struct engine_options *options);
void answers_destroy(struct answers *answers);

/* Forgets how many errors were announced, since error_rate has changed. */
void answers_forgive(struct answers *answers);

/*
 * Settles a call, once, with what its handler or its done returned, or with the reason why it did not run:
 * writes its reply, announces its event, counts it, and tells the modules that observe calls. A result that
 * does not fit its shape or the reply is an error.
 */
void call_settle(rpc_call *call, rpc_status status);

/*
 * Logs why a call failed, with client, method and error, if it is an error of the engine's own; of a batch
 * only the first. call_settle() does so; this is for calls that are dropped. The caller's leaving is no more
 * than debug.
 */
void answer_log_failure(const rpc_call *call);

/* Write the beginning and the end of a batch's reply, around its outcomes. */
void answer_open_batch(struct exchange *exchange);
void answer_close_batch(struct exchange *exchange);

/*
 * Gives the call a place of its own among the outcomes of its batch; answer_gather() writes all of them into
 * the reply. Without memory for it, no further outcome of the batch is written.
 */
void answer_set_aside(rpc_call *call);
void answer_gather(struct exchange *exchange);

/*
 * Sends a reply, a copy of text, the one way for all replies: to the connection that called, or, once that
 * has ended, at QoS 1 and 2 to the session that it left behind. Nothing is sent if neither is there any more,
 * or if the caller wants errors only and this is none. code: "ok", an error's code, or "progress" for an
 * interim reply. Returns false: somebody should have got it and cannot.
 */
bool answer_send(struct engine *engine, const struct destination *to, const char *code, const char *text,
                 size_t size);

/* The reply of an exchange has reached nobody: its failed calls become dead letters. */
void answer_undelivered(struct exchange *exchange);

/* Takes an error that is announced, or a dead letter that is published, from error_rate; client NULL: it is
 * nobody's. Returns false, and counts it: the rate is used up. */
bool answer_take_error(struct engine *engine, const struct host_client *client);

/* Adds a dead letter, and publishes it, as far as the options dead_letters and dead_payload want it. */
void answer_add_letter(struct engine *engine, const struct dead_report *report, const char *err,
                       const char *msg, bool is_published);

/*
 * Sends an interim reply of a pending call to the connection that called, or nothing if that has ended or its
 * client did not ask for it. data is a struct of the method's progress shape. Returns RPC_OK;
 * RPC_REPLY_TOO_LARGE; RPC_INTERNAL_ERROR: data does not fit its shape, which is logged.
 */
rpc_status answer_progress(rpc_call *call, const void *data);

/* Publishes a copy of bytes; the publication's payload and size are set here. Returns false: no memory. */
bool answer_publish(const struct env *env, struct host_publication *publication, const void *bytes,
                    size_t size);

/*
 * Publishes a copy of bytes to all subscribers of {counters_topic}/{prefix}/{level}, where the service tells
 * of itself, at QoS 0. The host has a counters_topic. content_type may be NULL. Returns false: no memory.
 */
bool answer_publish_counter(const struct env *env, const char *level, bool retain, const char *content_type,
                            const void *bytes, size_t size);

/* A writer into scratch, which all files share: what it writes must be copied before another one is asked
 * for. */
struct writer answer_writer(struct engine *engine, const struct codec *codec);

/* The codec of what the call comes to: that of its reply if it is asked for one, else that of events. */
const struct codec *answer_codec(const rpc_call *call);

/* What an event is published for. All zero: nothing that is known. */
struct answer_cause {
    const struct host_client *client; /* who called; NULL: no call is running */
    const struct trace *trace;        /* that the event belongs to; NULL: none */
};

/* The cause that a call is. call may be NULL. */
static inline struct answer_cause answer_cause(const rpc_call *call)
{
    return call ? (struct answer_cause){call->exchange->message->client, call->exchange->to.trace}
                : (struct answer_cause){NULL, NULL};
}

/*
 * Encodes and announces an event. Returns RPC_OK;
 * RPC_REPLY_TOO_LARGE; RPC_INTERNAL_ERROR: data does not fit its shape, which is logged, or no memory.
 */
rpc_status answer_announce(struct engine *engine, struct answer_cause cause,
                           const struct registry_event *event, const void *data);

/*
 * Removes the retained message of one value of an event that is retained and keyed. Returns RPC_OK, also if
 * the value has no topic; RPC_INTERNAL_ERROR: no memory.
 */
rpc_status answer_retract(struct engine *engine, struct answer_cause cause,
                          const struct registry_event *event, const char *key);

#endif

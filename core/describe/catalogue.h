// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What there is to describe: the modules of one prefix and the limits under which they answer. Everything
 * that describes the service reads this and the tables behind it: rpc.discover inside the broker, and the
 * program that prints the manual's reference, which starts no module.
 *
 * Thread: any. These functions touch nothing but their arguments.
 */
#ifndef CORE_CATALOGUE_H
#define CORE_CATALOGUE_H

#include "base/env.h"
#include "shape/writer.h"

struct catalogue {
    const rpc_module *const *modules; /* in the order of their start, ending with NULL */
    const struct engine_options *options;
};

/* The name of the event that errors go to when nothing else is declared for them. */
#define CATALOGUE_ERROR_EVENT "error"
#define CATALOGUE_ERROR_DOC "an error that has no event of its own, of a call that asked for no reply"

/* What the options have to say for a topic to be in force; several at once are all needed. */
enum {
    CATALOGUE_ALWAYS = 0,
    CATALOGUE_TO_CALLERS = 1,     /* replies go to the caller alone */
    CATALOGUE_TO_SUBSCRIBERS = 2, /* `reply_delivery subscribed` */
    CATALOGUE_OPEN = 4            /* some method is open at {prefix}/jsonrpc */
};

/*
 * The topics of every method and event: X(word, what stands behind the prefix, what must be so for it, what
 * it is for).
 */
#define CATALOGUE_TOPICS(X)                                                                  \
    X("call", "/call/{method}", CATALOGUE_ALWAYS,                                            \
      "call a method; the payload is its parameters, nothing around them")                   \
    X("request", "/call/{method}/request", CATALOGUE_ALWAYS,                                 \
      "the same for clients of JSON-RPC 2.0 that add the last level")                        \
    X("response", "/call/{method}/response/{token}", CATALOGUE_TO_CALLERS,                   \
      "the reply to a call without a Response Topic; it reaches the caller alone")           \
    X("batch", "/batch/{method}", CATALOGUE_ALWAYS,                                          \
      "call one method many times; the payload is an array of parameters, in order")         \
    X("jsonrpc", "/jsonrpc", CATALOGUE_OPEN,                                                 \
      "JSON-RPC 2.0 for the methods that the option `jsonrpc_methods` opens")                \
    X("jsonrpcResponse", "/jsonrpc/response/{token}", CATALOGUE_TO_CALLERS | CATALOGUE_OPEN, \
      "the reply to a call there without a Response Topic; it reaches the caller alone")     \
    X("reply", "/reply/{client id}/…", CATALOGUE_TO_SUBSCRIBERS,                             \
      "all replies, with `reply_delivery subscribed`")                                       \
    X("event", "/event/{event}", CATALOGUE_ALWAYS,                                           \
      "an announcement; the payload is its data, nothing around it")                         \
    X("error", "/event/" CATALOGUE_ERROR_EVENT, CATALOGUE_ALWAYS, CATALOGUE_ERROR_DOC)

/* Whether a topic of CATALOGUE_TOPICS is in force, needs being what must be so for it. */
bool catalogue_is_in_force(const struct catalogue *catalogue, unsigned needs);

/* Whether the method can be called at {prefix}/jsonrpc. */
bool catalogue_is_open(const struct catalogue *catalogue, const rpc_method *method);

/* Whether the payload of its calls is no JSON. */
bool catalogue_takes_bytes(const rpc_method *method);

/* What the payload of its calls is: "object", "value" or "bytes". */
const char *catalogue_payload(const rpc_method *method);

/*
 * The schema of what an event carries: its data, or the results and errors of the methods that announce it.
 * It is the value of a member that has just been named.
 */
void catalogue_write_event_schema(const rpc_module *module, const rpc_event *event, struct writer *writer);

/* A member that is the topic {prefix}{middle}{name}. */
void catalogue_write_topic(const struct catalogue *catalogue, struct writer *writer, const char *member,
                           const char *middle, const char *name);

#endif

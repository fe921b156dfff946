// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Spans: what a message that called has come to, as collectors of traces take it: an object Span of
 * OpenTelemetry's protocol in JSON, on {counters_topic}/{prefix}/span. A message leaves one if its caller has
 * set the flag sampled, and if its reply took longer than slow_call. A batch is one message.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: nothing is kept.
 *
 * Failure: a span that cannot be published, or of which there are more than 100 a second, is counted.
 */
#ifndef CORE_CALL_SPAN_H
#define CORE_CALL_SPAN_H

#include "call/engine_parts.h"
#include "call/exchange.h"

#define SPAN_LEVEL "span"
#define SPAN_DOC                                                                                      \
    "what has become of a message whose caller has set the flag sampled of its traceparent, or that " \
    "took longer than slow_call: an object Span of OpenTelemetry's protocol in JSON"

/* Publishes the span of an exchange whose outcome is known, and took so many nanoseconds. */
void span_publish(struct exchange *exchange, uint64_t elapsed);

/* All outcomes of the exchange are known: publishes its span, if it leaves one. The clock is read only where
 * the handler's end does not tell the time. */
static inline void span_end(struct exchange *exchange)
{
    const struct env *env = &exchange->engine->env;
    const struct engine_options *options = &env->options;
    const bool is_sampled = exchange->to.trace && trace_is_sampled(exchange->to.trace);
    if (!options->sys_interval || (!is_sampled && !options->slow_call))
        return;
    const uint64_t ended = exchange->call.ended ? exchange->call.ended : env_now(env);
    const uint64_t elapsed = ended - exchange->now;
    if (is_sampled || elapsed > env_nanoseconds(options->slow_call))
        span_publish(exchange, elapsed);
}

#endif

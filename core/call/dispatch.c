// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* From a message to its reply: see dispatch.h. */
#include "call/dispatch.h"

#include "base/status.h"
#include "call/answer.h"
#include "call/connections.h"
#include "call/copies.h"
#include "call/engine_parts.h"
#include "call/payload.h"
#include "call/route.h"
#include "call/run.h"
#include "call/span.h"

#include <string.h>

/* ---- Rates ---- */

/* Fails a message whose client is over a rate. Returns false, so that callers can return it. */
static bool dispatch_fail_rate(struct exchange *exchange, const char *what, const char *option, int32_t rate)
{
    struct engine *engine = exchange->engine;
    engine->env.counters.limited++;
    call_fail(&exchange->call, RPC_RATE_LIMITED, "more %s than %s allows, which is %d a second", what, option,
              (int)rate);
    return false;
}

/*
 * Takes a message from its client's rates, before anything of it is read: one call, and its bytes. Returns
 * false: the client is over one of them.
 */
static bool dispatch_take_rate(struct exchange *exchange)
{
    struct engine *engine = exchange->engine;
    const struct engine_options *options = &engine->env.options;
    const struct host_message *message = exchange->message;
    const uint64_t now = exchange->now;
    if (!options->rate_limit && !options->rate_bytes)
        return true;
    struct account *account = accounts_meet(&engine->accounts, message->client, now);
    const uint32_t calls = (uint32_t)options->rate_limit, bytes = (uint32_t)options->rate_bytes;
    const size_t size = message->size + message->correlation_size;
    if (calls && !bucket_take(&account->calls, now, calls, (uint32_t)options->rate_burst, 1))
        return dispatch_fail_rate(exchange, "calls", "rate_limit", options->rate_limit);
    if (bytes && !bucket_take(&account->bytes, now, bytes, 2 * bytes, (uint32_t)size))
        return dispatch_fail_rate(exchange, "bytes of calls", "rate_bytes", options->rate_bytes);
    return true;
}

/* The calls of a batch behind its first one, which was let in, are owed. */
static void dispatch_owe_batch(struct exchange *exchange)
{
    struct engine *engine = exchange->engine;
    const uint32_t rate = (uint32_t)engine->env.options.rate_limit;
    const int calls = cJSON_GetArraySize(exchange->payload.calls);
    if (!rate || calls < 2)
        return;
    struct account *account = accounts_meet(&engine->accounts, exchange->message->client, exchange->now);
    bucket_owe(&account->calls, exchange->now, rate, (uint32_t)calls - 1);
}

/*
 * Whether a client over its rate is told so once more: errors are cheap, but not without end, since a reply
 * to a client that does not read it costs the broker memory for good.
 */
static bool dispatch_take_refusal(struct exchange *exchange)
{
    enum { TOLD_AT_LEAST = 100, TOLD_TIMES = 10 }; /* refusals a second; times rate_limit */
    struct engine *engine = exchange->engine;
    struct account *account = accounts_meet(&engine->accounts, exchange->message->client, exchange->now);
    const uint32_t told = TOLD_TIMES * (uint32_t)engine->env.options.rate_limit;
    const uint32_t max = told > TOLD_AT_LEAST ? told : TOLD_AT_LEAST;
    return bucket_take(&account->refusals, exchange->now, max, max, 1);
}

/* ---- Admission ---- */

enum admission {
    ADMIT_RUN,
    ADMIT_REPLAY, /* it was answered before: the same reply is sent again */
    ADMIT_WAIT,   /* it is being run: this copy waits for the reply */
    ADMIT_REFUSE, /* it is answered with an error */
    ADMIT_DROP    /* not even that: its client has been told often enough */
};

/*
 * Takes what is to be known of a message beyond its client's rates: where its reply goes, as far as a glance
 * can tell. Returns RPC_OK, or why nothing of it could be run. It is out of line for the sake of other calls.
 */
__attribute__((noinline)) static rpc_status dispatch_glance(struct exchange *exchange)
{
    const rpc_shape *shape = exchange->method ? exchange->method->params.shape : NULL;
    const bool is_bytes = exchange->kind == TOPIC_CALL && shape && shape->form == RPC_FORM_BYTES;
    rpc_status status = RPC_OK;
    const struct failure over = exchange->call.failure;
    if (exchange->message->response_topic)
        status = route_by_response_topic(exchange);
    exchange->call.failure = over; /* a route that is malformed, too, comes second */
    exchange->call.asked = exchange->to.topic != NULL;
    if (status == RPC_OK && !is_bytes)
        status = payload_glance(exchange, false);
    if (exchange->message->size > (size_t)exchange->engine->env.options.max_payload)
        status = RPC_PAYLOAD_TOO_LARGE;
    return status;
}

/* Takes what is to be known of a message before it is admitted. Returns RPC_OK, or why nothing of it can be
 * run. */
static rpc_status dispatch_take_payload(struct exchange *exchange, bool is_within)
{
    if (!is_within)
        return dispatch_glance(exchange);
    const rpc_status status = payload_take(exchange);
    if (exchange->batch && status == RPC_OK)
        dispatch_owe_batch(exchange);
    return status;
}

/*
 * Whether the message may run again when it comes again. What calls a method is known to be an earlier call
 * by its bytes alone: so of one that was not read it does no harm to look.
 */
static bool dispatch_may_run_twice(const struct exchange *exchange, bool is_within)
{
    const bool is_unknown = !is_within && exchange->kind == TOPIC_JSONRPC;
    return !is_unknown && payload_may_run_twice(exchange);
}

/*
 * Decides what becomes of a message. *status is RPC_OK or why it is invalid, and gets why it is refused. A
 * copy of a message is answered as the first was, also to a client over its rate; but no more often than that
 * client gets errors. Neither takes a reading of the payload.
 */
static enum admission dispatch_admit(struct exchange *exchange, bool is_within, rpc_status *status,
                                     struct cached_reply **entry)
{
    struct dedup *dedup = &exchange->engine->dedup;
    const bool is_valid = *status == RPC_OK;
    struct dedup_message message = {
        .message = exchange->message,
        .identity = exchange->call.asked ? exchange->identity : 0,
        .is_valid = is_valid,
        .may_run_twice = !is_valid || dispatch_may_run_twice(exchange, is_within),
        .now = exchange->now,
    };
    *entry = dedup_find_redelivery(dedup, &exchange->dedup, &message);
    const bool is_told = is_within || dispatch_take_refusal(exchange);
    if (!*entry && !message.may_run_twice && is_told)
        *entry = dedup_find_duplicate(dedup, &exchange->dedup, &message);
    if (!is_within && !*entry) {
        *status = exchange->reply.status = RPC_RATE_LIMITED;
        exchange->reply.code = status_name(RPC_RATE_LIMITED);
    }
    if (!is_told)
        return ADMIT_DROP;
    if (*entry)
        return (*entry)->finished ? ADMIT_REPLAY : ADMIT_WAIT;
    if (*status != RPC_OK)
        return ADMIT_REFUSE;
    if (dedup_enter(dedup, &exchange->dedup, message.now))
        return ADMIT_RUN;
    *status = call_fail(
        &exchange->call, RPC_OVERLOADED,
        "no room (see duplicate_entries) or no memory to keep the call from being carried out twice");
    return ADMIT_REFUSE;
}

/* ---- Running ---- */

/* Whether running the call would have no effect: it changes nothing, and the reply has no room left. */
static bool dispatch_is_in_vain(const rpc_call *call)
{
    const struct registry_method *method = call->method;
    return call->exchange->reply.overflowed && method && method->declared->read_only && !method->event;
}

/* The next items go on while one is pending, in the order in which they stand. */
static void dispatch_run_item(struct exchange *exchange, const cJSON *item)
{
    rpc_call *call = &exchange->call;
    rpc_status status = RPC_OK;
    if (exchange->jsonrpc) {
        status = payload_take_request(exchange, item);
    } else {
        exchange_begin_call(exchange, exchange->method, exchange->name);
        call->item = call->params = item;
    }
    if (status == RPC_OK && call->method && call->method->may_pend) {
        rpc_call *moved = call_move(call);
        status = moved ? RPC_OK : RPC_INTERNAL_ERROR;
        call = moved ? moved : call;
    }
    if (exchange->reply.fragments || call->own_memory)
        answer_set_aside(call);
    call->is_refused = status != RPC_OK;
    if (status != RPC_OK)
        call_settle(call, status);
    else if (!dispatch_is_in_vain(call))
        run_call(call);
    if (call->own_memory && !call->task)
        call_fini(call);
}

static void dispatch_run(struct exchange *exchange)
{
    /* A batch of an unknown method is one failure. */
    exchange->batch = exchange->batch && (exchange->jsonrpc || exchange->method);
    if (!exchange->batch) {
        run_call(&exchange->call);
        return;
    }
    answer_open_batch(exchange);
    for (const cJSON *item = exchange->payload.calls->child; item; item = item->next)
        dispatch_run_item(exchange, item);
}

/* ---- The reply ---- */

/*
 * Serves the copies that wait, and notes the reply for those to come. A message without a route has no reply.
 * A call that was refused for the moment was not run: its repetition is a new attempt. Returns whether a copy
 * got the reply.
 */
static bool dispatch_note_reply(const struct exchange *exchange)
{
    const struct exchange_reply *reply = &exchange->reply;
    const bool was_refused = reply->status == RPC_OVERLOADED || reply->status == RPC_RATE_LIMITED;
    const struct dedup_end end = {
        .ran = exchange->pending.ran == EXCHANGE_RAN ||
               (exchange->pending.ran == EXCHANGE_RAN_BY_STATUS && !was_refused),
        .status = reply->code,
        .reply = exchange->to.topic && reply->out.used ? reply->out.out : NULL,
        .size = reply->out.used,
    };
    bool is_sent = exchange->dedup.entry && copies_serve(exchange, exchange->dedup.entry);
    if (exchange->dedup.ordered)
        is_sent |= copies_serve(exchange, exchange->dedup.ordered);
    dedup_finish(&exchange->engine->dedup, &exchange->dedup, &end);
    return is_sent;
}

static bool dispatch_remember(const struct exchange *exchange)
{
    return (exchange->dedup.entry || exchange->dedup.ordered) && dispatch_note_reply(exchange);
}

/* Makes one reply of all outcomes of a batch; out of line for the sake of other calls. */
__attribute__((noinline)) static void dispatch_close_batch(struct exchange *exchange)
{
    exchange_take_reply_buffer(exchange);
    if (exchange->reply.fragments)
        answer_gather(exchange);
    exchange_begin_call(exchange, exchange->method, exchange->name);
    answer_close_batch(exchange);
    /* Work that has not returned keeps the exchange, and the last outcome has taken memory of it. */
    slots_recount(&exchange->engine->slots, &exchange->pending.held, exchange_bytes(exchange));
}

/* The caller gets no reply, but a copy of its message may. Out of line for the sake of other calls. */
__attribute__((noinline)) static void dispatch_lose(struct exchange *exchange)
{
    if (!dispatch_remember(exchange))
        answer_undelivered(exchange);
    span_end(exchange);
    exchange_give_reply_buffer(exchange);
}

/* One more outcome is known, or all calls have been begun. When all outcomes are known, the reply leaves. */
static void dispatch_count_down(struct exchange *exchange)
{
    const struct exchange_reply *reply = &exchange->reply;
    if (--exchange->pending.unknown > 0) {
        exchange_give_reply_buffer(exchange);
        slots_recount(&exchange->engine->slots, &exchange->pending.held, exchange_bytes(exchange));
        return;
    }
    if (exchange->batch)
        dispatch_close_batch(exchange);
    if (exchange->to.topic && !(reply->out.used && answer_send(exchange->engine, &exchange->to, reply->code,
                                                               reply->out.out, reply->out.used))) {
        dispatch_lose(exchange);
        return;
    }
    dispatch_remember(exchange);
    span_end(exchange);
    exchange_give_reply_buffer(exchange);
}

/* The outcome is known, and nothing more is said of the exchange, whose message may be the letter's memory.
 */
static void dispatch_end_replay(rpc_call *call)
{
    const struct exchange *exchange = call->exchange;
    const rpc_status status = exchange->reply.status;
    dead_end_replay(&call->engine->dead, exchange->pending.replay, status, exchange->reply.code,
                    status == RPC_OK ? NULL : call->failure.message);
}

void dispatch_settle(rpc_call *call, rpc_status status)
{
    struct exchange *exchange = call->exchange;
    if (!exchange->batch)
        exchange_take_reply_buffer(exchange);
    call_settle(call, status);
    dispatch_count_down(exchange);
    if (exchange->pending.replay)
        dispatch_end_replay(call);
}

/* ---- Replays ---- */

/* Runs the call of a letter, with its parameters, and without a way for a reply. */
static void dispatch_run_letter(struct exchange *exchange, struct dead_letter *letter)
{
    rpc_call *call = &exchange->call;
    exchange->pending.replay = letter;
    if (letter->report.trace)
        exchange_take_trace(exchange, letter->report.trace);
    exchange->jsonrpc = letter->report.positional;
    const rpc_status status = letter->report.content == DEAD_BYTES ? RPC_OK : payload_parse(exchange);
    call->params = exchange->payload.tree;
    if (status == RPC_OK)
        run_call(call);
    else
        call_settle(call, status);
    if (exchange->pending.unknown > 1)
        exchange_drop_payload(exchange);
    dispatch_count_down(exchange);
    if (call->state == CALL_OVER)
        dispatch_end_replay(call);
}

/* ---- All together ---- */

static void dispatch_handle(struct exchange *exchange, bool is_within)
{
    struct engine *engine = exchange->engine;
    struct cached_reply *entry;
    if (exchange->message->properties)
        exchange_read_trace(exchange);
    rpc_status status = dispatch_take_payload(exchange, is_within);
    switch (dispatch_admit(exchange, is_within, &status, &entry)) {
    case ADMIT_RUN:
        dispatch_run(exchange);
        if (exchange->pending.unknown > 1)
            exchange_drop_payload(exchange);
        dispatch_count_down(exchange);
        return;
    case ADMIT_REFUSE:
        /* What fails before any call is run fails as a whole. run_call() says so of a method that is
         * unknown or switched off, also if something else is wrong, but for a route that cannot be answered
         * on. */
        exchange->call.is_refused = exchange->batch || status != RPC_OVERLOADED;
        exchange->batch = false;
        if ((exchange->method && !exchange->method->off) || exchange->kind == TOPIC_JSONRPC ||
            status == RPC_RATE_LIMITED || exchange->misrouted)
            call_settle(&exchange->call, status);
        else
            run_call(&exchange->call);
        dispatch_count_down(exchange);
        return;
    case ADMIT_REPLAY:
        engine->env.counters.duplicates++;
        exchange->to.repeated = true;
        if (entry->reply && exchange->to.topic)
            answer_send(engine, &exchange->to, entry->status, entry->reply, entry->size);
        break;
    case ADMIT_WAIT:
        engine->env.counters.duplicates++;
        copies_add(engine, entry, &exchange->to);
        break;
    case ADMIT_DROP:
        answer_log_failure(&exchange->call);
        break;
    }
    dispatch_remember(exchange);
}

/*
 * At the endpoint the payload has to be read to know whether a message is for other servers: so it takes from
 * the client's rates first, and beyond them it is refused, whomever it is for.
 */
static enum engine_verdict dispatch_receive(struct exchange *exchange)
{
    const struct engine_options *options = &exchange->engine->env.options;
    const bool is_forwarding = options->unknown_methods == UNKNOWN_FORWARD;
    const bool is_endpoint = exchange->kind == TOPIC_JSONRPC, is_known = exchange->method || is_endpoint;
    if (is_forwarding && !is_known)
        return ENGINE_PASS;
    const bool is_within = dispatch_take_rate(exchange);
    if (is_within && is_forwarding && is_endpoint && payload_parse(exchange) == RPC_OK &&
        payload_is_for_others(exchange))
        return ENGINE_PASS;
    dispatch_handle(exchange, is_within);
    return is_known && options->forward_calls ? ENGINE_FORWARD : ENGINE_CONSUME;
}

/*
 * Takes what an adopted message has beside its place, or runs a replay. Returns whether it is to be received
 * as any other; else *verdict is set.
 */
__attribute__((noinline)) static bool
dispatch_adopt(struct exchange *exchange, const struct engine_place *place, enum engine_verdict *verdict)
{
    if (place->replay) {
        dispatch_run_letter(exchange, place->replay);
        *verdict = ENGINE_CONSUME;
        return false;
    }
    exchange->adopted = true;
    exchange->to.errors_only = place->adoption->errors_only;
    *verdict = ENGINE_PASS;
    return route_by_response_topic(exchange) == RPC_OK;
}

enum engine_verdict dispatch_message(struct engine *engine, const struct host_message *message,
                                     enum topic_kind kind, const struct engine_place *place)
{
    const rpc_adoption *adoption = place->adoption;
    struct exchange *exchange = exchange_create(engine, message, kind, place->name);
    if (!exchange && adoption)
        return ENGINE_PASS;
    if (!exchange) {
        engine->env.counters.dropped++;
        env_note_incident(&engine->env, &engine->env.lost);
        env_log(&engine->env, RPC_LOG_ERROR, "no memory for a call");
        return ENGINE_CONSUME;
    }
    enum engine_verdict verdict;
    if (!adoption || dispatch_adopt(exchange, place, &verdict))
        verdict = dispatch_receive(exchange);
    exchange_release(exchange);
    return verdict;
}

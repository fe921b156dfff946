// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* rpc.recent: see recent.h. */
#include "observe/recent.h"

#include "base/status.h"
#include "base/text.h"
#include "call/engine_parts.h"
#include "call/exchange.h"
#include "observe/wire.h"
#include "stats/recorder.h"

/* ---- Parameters ---- */

struct recent_params {
    const char *method, *caller, *err;
    double slower_than;
    bool has_slower_than;
    int32_t limit;
};

static const rpc_field params_fields[] = {
    WIRE_CALL_FIELDS(struct recent_params),
    RPC_STRING(struct recent_params, err,
               .doc = "only calls with this outcome: an error's code, or `ok`; `*` is any error",
               .optional = true, .length = {1, 64}),
    RPC_DOUBLE(struct recent_params, slower_than,
               .doc = "only calls that took longer, from arrival to outcome", .unit = "s", .optional = true,
               .range = {0, 1e9}, .flag = RPC_FLAG(struct recent_params, has_slower_than)),
    RPC_INT32(struct recent_params, limit, .doc = "at most so many calls", .default_json = "50",
              .range = {1, RECORDER_CALLS}),
};

const rpc_shape recent_params_shape = RPC_OBJECT_SHAPE(struct recent_params, params_fields);

/* ---- Result ---- */

struct recent_call {
    double at;
    const char *method, *caller;
    const char *status;
    int64_t bytes;
    double waited_s, ran_s;
    const char *worker, *trace, *payload;
};

static const rpc_field call_fields[] = {
    RPC_DOUBLE(struct recent_call, at, .doc = "when it arrived: Unix time", .unit = "s"),
    RPC_STRING(struct recent_call, method, .doc = "the method as it was called, registered or not",
               .length = {0, 4 * RECORDER_NAME}),
    RPC_STRING(struct recent_call, caller, .doc = "the caller's client id, or its first 64 bytes",
               .length = {0, 4 * RECORDER_CALLER}),
    RPC_STRING(struct recent_call, status, .doc = "`ok`, or the error's code", .length = {1, 65535}),
    RPC_INT64(struct recent_call, bytes, .doc = "the size of its message's payload", .unit = "bytes"),
    RPC_DOUBLE(struct recent_call, waited_s,
               .doc = "how long it waited until its handler began, and for a thread", .unit = "s"),
    RPC_DOUBLE(struct recent_call, ran_s, .doc = "the rest of the time from its arrival to its outcome",
               .unit = "s"),
    RPC_STRING(struct recent_call, worker,
               .doc = "the worker that carried it out, or had it when its outcome was known",
               .optional = true, .length = {1, RECORDER_WORKER}),
    RPC_STRING(struct recent_call, trace, .doc = "the id of its trace", .optional = true,
               .length = {0, TRACE_ID}),
    RPC_STRING(struct recent_call, payload,
               .doc =
                   "the beginning of its message's payload; bytes that are no text as \\xNN. Only with the "
                   "option recorder_payloads",
               .optional = true, .length = {0, 4 * RECORDER_PAYLOAD}),
};

static const rpc_shape call_shape = RPC_OBJECT_SHAPE(struct recent_call, call_fields);

struct recent {
    struct recent_call *calls;
    size_t count;
    bool more;
};

static const rpc_field recent_fields[] = {
    RPC_OBJECT_ARRAY(struct recent, calls, count, struct recent_call,
                     .doc = "calls whose outcome is known, the latest outcome first",
                     .items = {0, RECORDER_CALLS}, .shape = &call_shape),
    RPC_BOOL(struct recent, more,
             .doc = "there are more such calls, but for the limit, or for max_reply, into which no more fit"),
};

const rpc_shape recent_shape = RPC_OBJECT_SHAPE(struct recent, recent_fields);

/* ---- Looking them up ---- */

/* What the method was called. */
static const char *recent_name(const struct record *record)
{
    return *record->name || !record->method ? record->name : record->method->name;
}

/* Whether text is what is kept of `wanted`. */
static bool recent_is(const char *text, const char *wanted, size_t max)
{
    const size_t kept = text_cut(wanted, max);
    return strncmp(text, wanted, kept) == 0 && !text[kept];
}

static bool recent_is_wanted(const struct record *record, const struct recent_params *wanted)
{
    const bool failed = strcmp(record->code, status_name(RPC_OK)) != 0;
    if (wanted->method && !recent_is(recent_name(record), wanted->method, RECORDER_NAME) &&
        !(record->method && strcmp(wanted->method, record->method->name) == 0))
        return false;
    if (wanted->caller && !recent_is(record->caller, wanted->caller, RECORDER_CALLER))
        return false;
    if (wanted->err && strcmp(wanted->err, record->code) != 0 && !(failed && strcmp(wanted->err, "*") == 0))
        return false;
    return !wanted->has_slower_than || (double)(record->waited + record->ran) / 1e9 > wanted->slower_than;
}

/* Returns false: no memory. */
static bool recent_make(rpc_call *call, const struct record *record, struct recent_call *made)
{
    const struct env *env = &call->engine->env;
    /* What an item of this call's batch has run may have arrived after it. */
    const double ago = (double)(int64_t)(call->exchange->now - record->arrived) / 1e9;
    *made = (struct recent_call){
        .at = exchange_time(call->exchange) - ago,
        .method = wire_text(&call->arena, recent_name(record)),
        .caller = wire_text(&call->arena, record->caller),
        .status = record->code,
        .bytes = (int64_t)record->size,
        .waited_s = (double)record->waited / 1e9,
        .ran_s = (double)record->ran / 1e9,
        .worker = *record->worker ? record->worker : NULL,
        .trace = *record->trace ? record->trace : NULL,
    };
    if (env->options.recorder_payloads)
        made->payload = wire_bytes(&call->arena, record->payload, record->kept, record->kept < record->size);
    return made->method && made->caller && (made->payload || !env->options.recorder_payloads);
}

/* Returns whether a row fits into the reply. A first row that does not goes without its payload, so that no
 * client can hide the calls before its own. */
static bool recent_fits(struct wire_room *room, struct recent_call *made, bool is_first)
{
    const char *texts[] = {made->payload, made->method, made->caller,
                           made->status,  made->trace,  made->worker};
    const size_t count = sizeof texts / sizeof *texts;
    if (wire_take_room(room, texts, count))
        return true;
    made->payload = is_first ? NULL : made->payload;
    return is_first && wire_take_room(room, texts + 1, count - 1);
}

rpc_status recent_run(rpc_call *call, void *state, const void *params, void *result)
{
    const struct recent_params *wanted = params;
    const struct record *record;
    struct recent *recent = result;
    struct wire_room room = wire_room_of(call->method->instance);
    (void)state;
    recent->calls = rpc_alloc(call, (size_t)wanted->limit * sizeof *recent->calls);
    if (!recent->calls)
        return RPC_INTERNAL_ERROR;
    for (size_t i = 0; !recent->more && (record = recorder_find(call->engine->recorder, i)); i++) {
        if (!recent_is_wanted(record, wanted))
            continue;
        recent->more = recent->count == (size_t)wanted->limit;
        if (recent->more)
            break;
        struct recent_call *made = &recent->calls[recent->count];
        if (!recent_make(call, record, made))
            return RPC_INTERNAL_ERROR;
        recent->more = !recent_fits(&room, made, !recent->count);
        recent->count += !recent->more;
    }
    return RPC_OK;
}

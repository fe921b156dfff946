// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A module for tests of the engine: see lab.h. */
#include "lab.h"

#include "call/engine_parts.h"
#include "call/exchange.h"

#include <string.h>

struct state {
    const struct lab_options *options;
    int32_t runs, looks;
};

struct terms {
    int32_t minuend, subtrahend;
};

struct number {
    int32_t n;
};

static const rpc_field number_fields[] = {RPC_INT32(struct number, n, .doc = "a number")};
static const rpc_field digit_fields[] = {RPC_INT32(struct number, n, .doc = "a digit", .range = {0, 9})};
static const rpc_shape number_shape = RPC_OBJECT_SHAPE(struct number, number_fields);
static const rpc_shape digit_shape = RPC_VALUE_SHAPE(struct number, digit_fields);
static const rpc_shape difference_shape = RPC_VALUE_SHAPE(struct number, number_fields);
static const rpc_field terms_fields[] = {
    RPC_INT32(struct terms, minuend, .doc = "what to subtract from", .range = {-1000, 1000}),
    RPC_INT32(struct terms, subtrahend, .doc = "what to subtract", .range = {-1000, 1000})};
static const rpc_shape terms_shape = RPC_OBJECT_SHAPE(struct terms, terms_fields);
static const rpc_shape bytes_shape = RPC_BYTES_SHAPE;

static const rpc_field text_fields[] = {
    RPC_STRING(struct lab_text, text, .doc = "a text", .optional = true, .length = {0, 100000})};
static const rpc_shape text_shape = RPC_OBJECT_SHAPE(struct lab_text, text_fields);

static const rpc_field id_fields[] = {RPC_STRING(struct lab_text, text, .name = "request_id", .doc = "an id",
                                                 .optional = true, .length = {0, 1000})};
static const rpc_shape id_shape = RPC_OBJECT_SHAPE(struct lab_text, id_fields);

static const rpc_field trouble_fields[] = {
    RPC_STRING(struct lab_trouble, what, .doc = "what is wrong", .length = {0, 8}),
    RPC_INT32(struct lab_trouble, size, .doc = "how wrong it is")};
static const rpc_shape trouble_shape = RPC_OBJECT_SHAPE(struct lab_trouble, trouble_fields);

static rpc_status act(rpc_call *call, void *state, const void *params, void *result)
{
    const struct state *own = state;
    return own->options->act(call, state, params, result);
}

static rpc_status count(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)params;
    ((struct number *)result)->n = ++((struct state *)state)->runs;
    return RPC_OK;
}

static rpc_status look(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)params;
    ((struct number *)result)->n = ++((struct state *)state)->looks;
    return RPC_OK;
}

static rpc_status subtract(rpc_call *call, void *state, const void *params, void *result)
{
    const struct terms *terms = params;
    (void)call, (void)state;
    ((struct number *)result)->n = terms->minuend - terms->subtrahend;
    return RPC_OK;
}

static rpc_status get(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)params;
    ((struct number *)result)->n = ((const struct state *)state)->runs;
    return RPC_OK;
}

static rpc_status nothing(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state;
    return params || result ? RPC_INTERNAL_ERROR : RPC_OK;
}

static rpc_status give_back(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state;
    *(struct lab_text *)result = *(const struct lab_text *)params;
    return RPC_OK;
}

static rpc_status value(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state;
    *(struct number *)result = *(const struct number *)params;
    return RPC_OK;
}

/* Checks that the payload is followed by a NUL, and that it was not parsed. */
static rpc_status size(rpc_call *call, void *state, const void *params, void *result)
{
    const rpc_bytes *given = params;
    (void)call, (void)state;
    if (!given->data || ((const char *)given->data)[given->size] != '\0')
        return RPC_INTERNAL_ERROR;
    ((struct number *)result)->n = (int32_t)given->size;
    return RPC_OK;
}

static rpc_status init(rpc_instance *instance, void *state, const void *options)
{
    (void)instance;
    ((struct state *)state)->options = options;
    return RPC_OK;
}

static const rpc_event events[] = {
    {.name = "actFailed", .doc = "act has failed", .retained = true},
    {.name = "acted", .doc = "act.told or act.alone has run"},
    {.name = "counted", .doc = "count has run"},
    {.name = "got", .doc = "get has run"},
    {.name = "noted", .doc = "a note", .data = &text_shape},
    {.name = "kept", .doc = "a retained note", .data = &text_shape, .retained = true},
};

static const rpc_error errors[] = {
    {.code = "plain", .doc = "an error"},
    {.code = "trouble", .doc = "an error with more to say", .data = &trouble_shape},
};

static const rpc_method methods[] = {
    {.name = "act",
     .result = &text_shape,
     .errors = RPC_TABLE(errors),
     .error_event = "actFailed",
     .run = act},
    {.name = "act.common", .result = &text_shape, .run = act},
    {.name = "act.told", .result = &text_shape, .event = "acted", .run = act},
    {.name = "act.alone",
     .result = &text_shape,
     .event = "acted",
     .announce = RPC_ANNOUNCE_UNANSWERED,
     .run = act},
    {.name = "count",
     .result = &number_shape,
     .event = "counted",
     .announce = RPC_ANNOUNCE_ALWAYS,
     .run = count},
    {.name = "look", .read_only = true, .result = &number_shape, .run = look},
    {.name = "subtract", .params = &terms_shape, .result = &difference_shape, .run = subtract},
    {.name = "get", .result = &number_shape, .event = "got", .announce = RPC_ANNOUNCE_UNANSWERED, .run = get},
    {.name = "nothing", .run = nothing},
    {.name = "id", .idempotent = true, .params = &id_shape, .result = &id_shape, .run = give_back},
    {.name = "value", .params = &digit_shape, .result = &digit_shape, .run = value},
    {.name = "bytes", .params = &bytes_shape, .result = &number_shape, .run = size},
};

const rpc_module lab = {
    .name = "lab",
    .doc = "what tests of the engine need",
    .state_size = sizeof(struct state),
    .methods = RPC_TABLE(methods),
    .events = RPC_TABLE(events),
    .init = init,
};

rpc_status lab_fail_slowly(rpc_call *call, void *state, const void *params, void *result)
{
    struct fake_host *host = call->engine->env.host.context;
    (void)state, (void)params, (void)result;
    host->monotonic += 3000000;
    return rpc_raise(call, "plain", "because");
}

void lab_start(struct rig *rig, struct lab_options *options, rpc_handler run)
{
    options->act = run ? run : nothing;
    rig_start(rig);
    rig_add(rig, &lab, options);
}

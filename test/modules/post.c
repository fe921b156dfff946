// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* post.c: a module that only tests load. It has method families, which give back how they were called. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "mosquitto_rpc.h"

#include <string.h>

enum { LEVEL_MAX = 128 };

/* ---- Families ------------------------------------------------------------------------------ */

struct post_called {
    const char *method, *box, *action;
};

static const rpc_field called_fields[] = {
    RPC_STRING(struct post_called, method, .doc = "The method's declared name", .length = {0, LEVEL_MAX}),
    RPC_STRING(struct post_called, box, .doc = "The level {box}", .optional = true, .length = {1, LEVEL_MAX}),
    RPC_STRING(struct post_called, action, .doc = "The level {action}", .optional = true,
               .length = {1, LEVEL_MAX}),
};
static const rpc_shape called_shape = RPC_OBJECT_SHAPE(struct post_called, called_fields);

static const rpc_error box_errors[] = {
    {.code = "box_shut", .doc = "The action was shut"},
    {.code = NULL},
};

static struct post_called read_call(const rpc_call *call)
{
    return (struct post_called){.method = rpc_call_method(call),
                                .box = rpc_call_level(call, "box"),
                                .action = rpc_call_level(call, "action")};
}

static rpc_status post_act(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    *(struct post_called *)result = read_call(call);
    const char *action = rpc_call_level(call, "action");
    if (action && strcmp(action, "shut") == 0)
        return rpc_raise(call, "box_shut", "the box %s is shut", rpc_call_level(call, "box"));
    return RPC_OK;
}

struct post_size {
    int64_t bytes;
    const char *box;
};

static const rpc_field size_fields[] = {
    RPC_INT64(struct post_size, bytes, .doc = "The size of the payload", .unit = "bytes"),
    RPC_STRING(struct post_size, box, .doc = "The level {box}", .length = {1, LEVEL_MAX}),
};
static const rpc_shape size_shape = RPC_OBJECT_SHAPE(struct post_size, size_fields);
static const rpc_shape bytes_shape = RPC_BYTES_SHAPE;

static rpc_status post_size(rpc_call *call, void *state, const void *params, void *result)
{
    const rpc_bytes *given = params;
    (void)state;
    *(struct post_size *)result = (struct post_size){(int64_t)given->size, rpc_call_level(call, "box")};
    return RPC_OK;
}

static void resume(rpc_instance *instance, void *state, void *data)
{
    (void)instance, (void)state;
    rpc_resume(data);
}

static rpc_status post_later(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    if (!rpc_after(rpc_call_instance(call), 10, resume, call))
        return RPC_INTERNAL_ERROR;
    return rpc_defer(call, call);
}

static rpc_status end_later(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)state, (void)data;
    if (outcome == RPC_OK)
        *(struct post_called *)result = read_call(call);
    return outcome;
}

static const rpc_method methods[] = {
    {
        .name = "box/{box}/{action}",
        .doc = "Gives back how it was called; the action shut fails.",
        .idempotent = true,
        .result = &called_shape,
        .errors = box_errors,
        .run = post_act,
    },
    {
        .name = "box/main/open",
        .doc = "Gives back how it was called; it comes before the family.",
        .result = &called_shape,
        .run = post_act,
    },
    {
        .name = "{room}/box/{box}/size",
        .doc = "Tells how many bytes the payload has.",
        .read_only = true,
        .params = &bytes_shape,
        .result = &size_shape,
        .run = post_size,
    },
    {
        .name = "later/{box}",
        .doc = "Gives back how it was called, after a while.",
        .read_only = true,
        .result = &called_shape,
        .run = post_later,
        .done = end_later,
    },
    {.name = NULL},
};

RPC_MODULE(post, .doc = "Method families, for tests.", .methods = methods);

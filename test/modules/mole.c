// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * mole.c: the methods that mole-rpc-autotester, a test suite for transports of the npm package mole-rpc,
 * expects its server to have. They do what the suite's own functions do. The suite checks the last result of
 * each method, so that each announces its results.
 *
 * What differs: a method that fails raises `overloaded`, which has the number -32002. That is the only error
 * but -32601 that the client of mole-rpc knows; it calls it an execution error.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "mosquitto_rpc.h"

#include <time.h>

enum { ARGUMENTS = 2 };

/* 0 by default, for tests that call every method. */
struct mole_options {
    int32_t pause;
};

static const rpc_field options_fields[] = {
    RPC_INT32(struct mole_options, pause, .doc = "How long asyncFunctionLongRunning takes", .unit = "ms",
              .default_json = "0", .range = {0, 10000}),
};
static const rpc_shape options_shape = RPC_OBJECT_SHAPE(struct mole_options, options_fields);

struct mole {
    const struct mole_options *options;
};

struct mole_args {
    const char *arg1;
    int32_t arg2;
};

static const rpc_field args_fields[] = {
    RPC_STRING(struct mole_args, arg1, .doc = "Any text", .default_json = "\"\"", .length = {0, 64}),
    RPC_INT32(struct mole_args, arg2, .doc = "Any number", .default_json = "0"),
};
static const rpc_shape args_shape = RPC_OBJECT_SHAPE(struct mole_args, args_fields);

struct mole_any {
    rpc_json arg1, arg2;
};

static const rpc_field any_fields[] = {
    RPC_JSON(struct mole_any, arg1, .doc = "Any value"),
    RPC_JSON(struct mole_any, arg2, .doc = "Any value"),
};
static const rpc_shape any_shape = RPC_OBJECT_SHAPE(struct mole_any, any_fields);

struct mole_text {
    const char *text;
};

static const rpc_field text_fields[] = {
    RPC_STRING(struct mole_text, text, .doc = "The text made of the arguments", .nullable = true,
               .length = {0, 256}),
};
static const rpc_shape text_shape = RPC_VALUE_SHAPE(struct mole_text, text_fields);

struct mole_complex {
    const char *from;
    rpc_json *args;
    size_t count;
};

static const rpc_field complex_fields[] = {
    RPC_STRING(struct mole_complex, from, .doc = "The method", .length = {0, 128}),
    RPC_JSON_ARRAY(struct mole_complex, args, count, .doc = "The arguments", .items = {0, ARGUMENTS}),
};
static const rpc_shape complex_shape = RPC_OBJECT_SHAPE(struct mole_complex, complex_fields);

static rpc_status primitive(rpc_call *call, void *state, const void *params, void *result)
{
    const struct mole_args *args = params;
    struct mole_text *text = result;
    (void)state;
    text->text =
        rpc_printf(call, "args data \"%s %d\" from %s", args->arg1, (int)args->arg2, rpc_call_method(call));
    return text->text ? RPC_OK : RPC_INTERNAL_ERROR;
}

static rpc_status primitive_later(rpc_call *call, void *state, const void *params, void *result)
{
    const struct mole *mole = state;
    const long ms = mole->options->pause;
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    while (nanosleep(&left, &left))
        continue;
    return primitive(call, state, params, result);
}

static rpc_status without_arguments(rpc_call *call, void *state, const void *params, void *result)
{
    struct mole_text *text = result;
    (void)state;
    (void)params;
    text->text = rpc_printf(call, "return from %s", rpc_call_method(call));
    return text->text ? RPC_OK : RPC_INTERNAL_ERROR;
}

static rpc_status nothing(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call;
    (void)state;
    (void)params;
    (void)result;
    return RPC_OK;
}

static rpc_status complex(rpc_call *call, void *state, const void *params, void *result)
{
    const struct mole_any *any = params;
    struct mole_complex *made = result;
    (void)state;
    made->args = rpc_alloc(call, ARGUMENTS * sizeof *made->args);
    if (!made->args)
        return RPC_INTERNAL_ERROR;
    made->from = rpc_call_method(call);
    made->args[made->count++] = any->arg1;
    made->args[made->count++] = any->arg2;
    return RPC_OK;
}

static rpc_status failing(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call;
    (void)state;
    (void)params;
    (void)result;
    return RPC_OVERLOADED;
}

static rpc_status pong(rpc_call *call, void *state, const void *params, void *result)
{
    struct mole_text *text = result;
    (void)call;
    (void)state;
    (void)params;
    text->text = "pong";
    return RPC_OK;
}

/* ---- The module ---------------------------------------------------------------------------- */

static const rpc_event events[] = {
    {.name = "syncFunctionPrimitiveDataNoArgs", .doc = "Its last result"},
    {.name = "syncFunctionPrimitiveData", .doc = "Its last result"},
    {.name = "functionReturnsUndefined", .doc = "Its last result"},
    {.name = "syncFunctionComplexData", .doc = "Its last result"},
    {.name = "asyncFunctionPrimitiveData", .doc = "Its last result"},
    {.name = "asyncFunctionComplexData", .doc = "Its last result"},
};

static const rpc_method methods[] = {
    {.name = "syncFunctionPrimitiveDataNoArgs",
     .doc = "Says where the text is from",
     .result = &text_shape,
     .event = "syncFunctionPrimitiveDataNoArgs",
     .run = without_arguments},
    {.name = "syncFunctionPrimitiveData",
     .doc = "Makes a text of its arguments",
     .params = &args_shape,
     .result = &text_shape,
     .event = "syncFunctionPrimitiveData",
     .run = primitive},
    {.name = "functionReturnsUndefined",
     .doc = "Returns null",
     .result = &text_shape,
     .event = "functionReturnsUndefined",
     .run = nothing},
    {.name = "syncFunctionComplexData",
     .doc = "Returns its arguments",
     .params = &any_shape,
     .result = &complex_shape,
     .event = "syncFunctionComplexData",
     .run = complex},
    {.name = "asyncFunctionPrimitiveData",
     .doc = "Makes a text of its arguments",
     .params = &args_shape,
     .result = &text_shape,
     .event = "asyncFunctionPrimitiveData",
     .run = primitive},
    {.name = "asyncFunctionComplexData",
     .doc = "Returns its arguments",
     .params = &any_shape,
     .result = &complex_shape,
     .event = "asyncFunctionComplexData",
     .run = complex},
    {.name = "asyncFunctionLongRunning",
     .doc = "Takes as long as the option pause says",
     .params = &args_shape,
     .result = &text_shape,
     .run = primitive_later},
    {.name = "asyncFunctionRejectsWithPrimitiveData", .doc = "Fails", .params = &args_shape, .run = failing},
    {.name = "asyncFunctionRejectsWithComplexData", .doc = "Fails", .params = &any_shape, .run = failing},
    {.name = "asyncFunctionThrowsError", .doc = "Fails", .params = &args_shape, .run = failing},
    {.name = "asyncFunctionThrowsString", .doc = "Fails", .params = &args_shape, .run = failing},
    {.name = "__ping__",
     .doc = "What a client's ping() calls",
     .params = &args_shape,
     .result = &text_shape,
     .run = pong},
};

static rpc_status init(rpc_instance *instance, void *state, const void *options)
{
    struct mole *mole = state;
    (void)instance;
    mole->options = options;
    return RPC_OK;
}

RPC_MODULE(mole, .doc = "What mole-rpc-autotester calls.", .state_size = sizeof(struct mole),
           .options = &options_shape, .methods = RPC_TABLE(methods), .events = RPC_TABLE(events),
           .init = init);

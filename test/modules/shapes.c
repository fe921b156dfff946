// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * shapes.c: a module for tests. Its methods return their parameters, and together have every kind of field
 * with every option of a table, for the tests that compare the schemas of discovery with the fields.
 */
#include "mosquitto_rpc.h"

#include <math.h>

static const char *const sizes[] = {"small", "large", "\"huge\""};

/* ---- Null, or nothing at all --------------------------------------------------------------- */

struct inner {
    int32_t number;
};

static const rpc_field inner_fields[] = {
    RPC_INT32(struct inner, number, .doc = "A number or null", .nullable = true, .optional = true,
              .default_json = "5"),
};
static const rpc_shape inner_shape = RPC_OBJECT_SHAPE(struct inner, inner_fields);

struct nulls {
    bool truth, has_truth;
    int32_t small;
    bool has_small;
    int64_t large;
    bool has_large;
    double number;
    bool has_number;
    const char *text;
    int size;
    bool has_size;
    unsigned other;
    rpc_json any;
    struct inner inner;
    bool has_inner;
    const int *list;
    size_t list_count;
    const struct inner *inners;
    size_t inner_count;
};

static const rpc_field null_fields[] = {
    RPC_BOOL(struct nulls, truth, .doc = "A truth or null", .nullable = true,
             .flag = RPC_FLAG(struct nulls, has_truth)),
    RPC_INT32(struct nulls, small, .doc = "A small number or null", .nullable = true,
              .flag = RPC_FLAG(struct nulls, has_small), .range = {-3, 3}),
    RPC_INT64(struct nulls, large, .doc = "A large number or null", .nullable = true,
              .flag = RPC_FLAG(struct nulls, has_large)),
    RPC_DOUBLE(struct nulls, number, .doc = "A number or null", .nullable = true, .optional = true,
               .flag = RPC_FLAG(struct nulls, has_number)),
    RPC_STRING(struct nulls, text, .doc = "A text or null", .nullable = true, .length = {2, 3}),
    RPC_CHOICE(struct nulls, size, .doc = "A choice or null", .nullable = true, .choices = RPC_TABLE(sizes),
               .flag = RPC_FLAG(struct nulls, has_size)),
    RPC_CHOICE(struct nulls, other, .doc = "A choice, null or its default", .nullable = true,
               .choices = RPC_TABLE(sizes), .default_json = "\"large\""),
    RPC_JSON(struct nulls, any, .doc = "Anything", .nullable = true),
    RPC_OBJECT(struct nulls, inner, struct inner, .doc = "An object or null", .nullable = true,
               .shape = &inner_shape, .flag = RPC_FLAG(struct nulls, has_inner)),
    RPC_CHOICE_ARRAY(struct nulls, list, list_count, .doc = "Choices or null", .nullable = true,
                     .choices = RPC_TABLE(sizes), .items = {1, 2}),
    RPC_OBJECT_ARRAY(struct nulls, inners, inner_count, struct inner, .doc = "Objects, null or nothing",
                     .nullable = true, .optional = true, .shape = &inner_shape, .items = {0, 3}),
};
static const rpc_shape null_shape = RPC_OBJECT_SHAPE(struct nulls, null_fields);

static rpc_status give_nulls(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state;
    *(struct nulls *)result = *(const struct nulls *)params;
    return RPC_OK;
}

/* ---- Bounds -------------------------------------------------------------------------------- */

struct bounds {
    int32_t between, up;
    int64_t down, wide;
    double open, tight;
    const char *none;
    const bool *truths;
    size_t truth_count;
    const int64_t *numbers;
    size_t number_count;
    const rpc_json *things;
    size_t thing_count;
};

static const rpc_field bound_fields[] = {
    RPC_INT32(struct bounds, between, .doc = "One or two", .range = {1, 2}),
    RPC_INT32(struct bounds, up, .doc = "Open above", .range = {-1, INFINITY}),
    RPC_INT64(struct bounds, down, .doc = "Open below", .range = {-INFINITY, 10}),
    RPC_INT64(struct bounds, wide, .doc = "Open at both ends", .range = {-INFINITY, INFINITY}),
    RPC_DOUBLE(struct bounds, open, .doc = "Open above", .range = {0, INFINITY}),
    RPC_DOUBLE(struct bounds, tight, .doc = "Next to nothing", .range = {0.1, 0.2}),
    RPC_STRING(struct bounds, none, .doc = "Nearly empty", .length = {0, 1}),
    RPC_BOOL_ARRAY(struct bounds, truths, truth_count, .doc = "Just two", .items = {2, 2}),
    RPC_INT64_ARRAY(struct bounds, numbers, number_count, .doc = "Numbers", .items = {0, 5}),
    RPC_JSON_ARRAY(struct bounds, things, thing_count, .doc = "Anything", .items = {0, 3}, .optional = true),
};
static const rpc_shape bound_shape = RPC_OBJECT_SHAPE(struct bounds, bound_fields);

static rpc_status give_bounds(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state;
    *(struct bounds *)result = *(const struct bounds *)params;
    return RPC_OK;
}

/* ---- One value ----------------------------------------------------------------------------- */

struct inners {
    const struct inner *inners;
    size_t count;
};

static const rpc_field value_fields[] = {
    RPC_OBJECT_ARRAY(struct inners, inners, count, struct inner, .doc = "The payload itself",
                     .shape = &inner_shape, .items = {1, 4}),
};
static const rpc_shape value_shape = RPC_VALUE_SHAPE(struct inners, value_fields);

static rpc_status give_value(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state;
    *(struct inners *)result = *(const struct inners *)params;
    return RPC_OK;
}

static const rpc_method methods[] = {
    {.name = "shapes/null",
     .doc = "Returns its parameters, which may be null",
     .params = &null_shape,
     .result = &null_shape,
     .run = give_nulls},
    {.name = "shapes/bound-s",
     .doc = "Returns its parameters, which have bounds",
     .params = &bound_shape,
     .result = &bound_shape,
     .run = give_bounds},
    {.name = "shapes/value",
     .doc = "Returns an array of objects",
     .params = &value_shape,
     .result = &value_shape,
     .run = give_value},
};

RPC_MODULE(shapes, .doc = "Every kind of field in every way", .methods = RPC_TABLE(methods));

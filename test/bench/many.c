// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * many.c: a module of RPC_MANY methods (10, 1000 or 10000), many.00000 and upwards.
 *
 * It exists to measure whether the number of registered methods matters. The preprocessor writes the
 * table; every method answers {"n":…} with the number in its name, so that a wrong one would be seen.
 */
#include <mosquitto_rpc.h>
#include <stdlib.h>

struct many_result {
    int32_t n;
};

static const rpc_field result_fields[] = {
    RPC_INT32(struct many_result, n, .doc = "the number in the method's name"),
};

static const rpc_shape result_shape = RPC_OBJECT_SHAPE(struct many_result, result_fields);

static rpc_status run(rpc_call *call, void *state, const void *params, void *result)
{
    struct many_result *many = result;
    (void)state;
    (void)params;
    many->n = (int32_t)strtol(rpc_call_method(call) + sizeof("many.") - 1, NULL, 10);
    return RPC_OK;
}

/* Each step appends one digit to a number: 10 entries, 100, 1,000, 10,000. */
#define ENTRY(n)                                                                              \
    {                                                                                         \
        .name = "many." #n, .doc = "Answers its number.", .result = &result_shape, .run = run \
    }
#define TO_10(n)                                                                                            \
    ENTRY(n##0), ENTRY(n##1), ENTRY(n##2), ENTRY(n##3), ENTRY(n##4), ENTRY(n##5), ENTRY(n##6), ENTRY(n##7), \
        ENTRY(n##8), ENTRY(n##9)
#define TO_100(n)                                                                                           \
    TO_10(n##0), TO_10(n##1), TO_10(n##2), TO_10(n##3), TO_10(n##4), TO_10(n##5), TO_10(n##6), TO_10(n##7), \
        TO_10(n##8), TO_10(n##9)
#define TO_1000(n)                                                                                    \
    TO_100(n##0), TO_100(n##1), TO_100(n##2), TO_100(n##3), TO_100(n##4), TO_100(n##5), TO_100(n##6), \
        TO_100(n##7), TO_100(n##8), TO_100(n##9)
#define TO_10000(n)                                                                                          \
    TO_1000(n##0), TO_1000(n##1), TO_1000(n##2), TO_1000(n##3), TO_1000(n##4), TO_1000(n##5), TO_1000(n##6), \
        TO_1000(n##7), TO_1000(n##8), TO_1000(n##9)

static const rpc_method methods[] = {
#if RPC_MANY == 10
    TO_10(0000),
#elif RPC_MANY == 1000
    TO_1000(00),
#elif RPC_MANY == 10000
    TO_10000(0),
#else
#error "define RPC_MANY as 10, 1000 or 10000"
#endif
};

RPC_MODULE(many, .doc = "Methods by the thousand, for the benchmark.", .methods = RPC_TABLE(methods));

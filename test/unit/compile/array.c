// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Arrays: a pointer to elements, const or not, and a size_t that counts them. WRONG=n has another type.
 * Says: RPC_DOUBLE_ARRAY: the member values of struct sample must be a pointer to double
 * Says: the count of an array: the member count of struct sample must be a size_t
 */
#include <mosquitto_rpc.h>

enum colour { RED, GREEN };

#if !defined(WRONG)
typedef const double *member;
#elif WRONG == 1
typedef double member;
#elif WRONG == 2
typedef const float *member;
#elif WRONG == 3
typedef double member[4];
#elif WRONG == 4
typedef const double **member;
#elif WRONG == 5
typedef const double *member;
typedef int tally;
#elif WRONG == 6
typedef const double *member;
typedef int64_t tally;
#elif WRONG == 7
typedef const double *member;
typedef size_t *tally;
#endif
#if !defined(WRONG) || WRONG < 5
typedef size_t tally;
#endif

struct sample {
    member values;
    tally count;
    bool *switches;
    const int32_t *small;
    int64_t *large;
    const char **names;
    const char *const *words;
    const enum colour *colours;
    int *numbers;
    const rpc_json *any;
};

static const char *const colours[] = {"red", "green"};

extern const rpc_field fields[9];
const rpc_field fields[] = {
    RPC_DOUBLE_ARRAY(struct sample, values, count, .doc = "numbers", .items = {1, 4}),
    RPC_BOOL_ARRAY(struct sample, switches, count, .doc = "switches", .items = {1, 4}),
    RPC_INT32_ARRAY(struct sample, small, count, .doc = "numbers", .items = {1, 4}),
    RPC_INT64_ARRAY(struct sample, large, count, .doc = "numbers", .items = {1, 4}),
    RPC_STRING_ARRAY(struct sample, names, count, .doc = "names", .items = {1, 4}, .length = {1, 8}),
    RPC_STRING_ARRAY(struct sample, words, count, .doc = "words", .items = {1, 4}, .length = {1, 8}),
    RPC_CHOICE_ARRAY(struct sample, colours, count, .doc = "colours", .items = {1, 4},
                     .choices = RPC_TABLE(colours)),
    RPC_CHOICE_ARRAY(struct sample, numbers, count, .doc = "colours", .items = {1, 4},
                     .choices = RPC_TABLE(colours)),
    RPC_JSON_ARRAY(struct sample, any, count, .doc = "anything", .items = {1, 4}),
};

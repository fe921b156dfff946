// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * An array of texts that are not the handler's to change. WRONG=n has another type.
 * Says: RPC_STRING_ARRAY: the member values of struct sample must be a pointer to const char *
 */
#include <mosquitto_rpc.h>

#if !defined(WRONG)
typedef const char *const *member;
#elif WRONG == 1
typedef char *const *member;
#elif WRONG == 2
typedef const char *member;
#elif WRONG == 3
typedef char **member;
#elif WRONG == 4
typedef const rpc_json *member;
#elif WRONG == 5
typedef const char *member[4];
#endif

struct sample {
    member values;
    size_t count;
};

extern const rpc_field fields[1];
const rpc_field fields[] = {
    RPC_STRING_ARRAY(struct sample, values, count, .doc = "names", .items = {1, 4}, .length = {1, 8}),
};

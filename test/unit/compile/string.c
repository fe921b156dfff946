// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A text field: the member points at text that is not the handler's to change. WRONG=n has another type.
 * Says: RPC_STRING: the member value of struct sample must be a const char *
 */
#include <mosquitto_rpc.h>

#if !defined(WRONG)
typedef const char *member;
#elif WRONG == 1
typedef char member[16];
#elif WRONG == 2
typedef char *member;
#elif WRONG == 3
typedef const unsigned char *member;
#elif WRONG == 4
typedef char member;
#elif WRONG == 5
typedef rpc_json member;
#endif

struct sample {
    member value;
};

extern const rpc_field fields[1];
const rpc_field fields[] = {RPC_STRING(struct sample, value, .doc = "a name", .length = {1, 16})};

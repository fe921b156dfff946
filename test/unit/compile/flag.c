// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The flag of an optional member is a bool. WRONG=n has another type.
 * Says: RPC_FLAG: the member has_value of struct sample must be a bool
 */
#include <mosquitto_rpc.h>

#if !defined(WRONG)
typedef bool member;
#elif WRONG == 1
typedef int member;
#elif WRONG == 2
typedef char member;
#elif WRONG == 3
typedef const char *member;
#endif

struct sample {
    double value;
    member has_value;
};

extern const rpc_field fields[1];
const rpc_field fields[] = {
    RPC_DOUBLE(struct sample, value, .doc = "a number", .optional = true,
               .flag = RPC_FLAG(struct sample, has_value)),
};

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A 32-bit integer field. WRONG=n has another type.
 * Says: RPC_INT32: the member value of struct sample must be an int32_t
 */
#include <mosquitto_rpc.h>

#if !defined(WRONG)
typedef int32_t member;
#elif WRONG == 1
typedef int64_t member;
#elif WRONG == 2
typedef short member;
#elif WRONG == 3
typedef uint32_t member;
#elif WRONG == 4
typedef double member;
#elif WRONG == 5
typedef bool member;
#endif

struct sample {
    member value;
};

extern const rpc_field fields[1];
const rpc_field fields[] = {RPC_INT32(struct sample, value, .doc = "a count", .range = {0, 10})};

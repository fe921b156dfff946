// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A 64-bit integer field. WRONG=n has another type.
 * Says: RPC_INT64: the member value of struct sample must be an int64_t
 */
#include <mosquitto_rpc.h>

#if !defined(WRONG)
typedef int64_t member;
#elif WRONG == 1
typedef int member;
#elif WRONG == 2
typedef uint64_t member;
#elif WRONG == 3
typedef double member;
#endif

struct sample {
    member value;
};

extern const rpc_field fields[1];
const rpc_field fields[] = {RPC_INT64(struct sample, value, .doc = "a size", .unit = "bytes")};

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A number field. WRONG=n has another type.
 * Says: RPC_DOUBLE: the member value of struct sample must be a double
 */
#include <mosquitto_rpc.h>

#if !defined(WRONG)
typedef double member;
#elif WRONG == 1
typedef float member;
#elif WRONG == 2
typedef long double member;
#elif WRONG == 3
typedef int member;
#elif WRONG == 4
typedef int64_t member;
#endif

struct sample {
    member value;
};

extern const rpc_field fields[1];
const rpc_field fields[] = {RPC_DOUBLE(struct sample, value, .doc = "a temperature")};

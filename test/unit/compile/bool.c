// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A bool field: its member must be a bool. WRONG=n has another type.
 * Says: RPC_BOOL: the member value of struct sample must be a bool
 */
#include <mosquitto_rpc.h>

#if !defined(WRONG)
typedef bool member;
#elif WRONG == 1
typedef int member;
#elif WRONG == 2
typedef char member;
#elif WRONG == 3
typedef bool *member;
#endif

struct sample {
    member value;
};

extern const rpc_field fields[1];
const rpc_field fields[] = {RPC_BOOL(struct sample, value, .doc = "a switch")};

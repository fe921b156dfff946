// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Any JSON value: the member is an rpc_json, which no text is mistaken for. WRONG=n has another type.
 * Says: RPC_JSON: the member value of struct sample must be an rpc_json
 */
#include <mosquitto_rpc.h>

#if !defined(WRONG)
typedef rpc_json member;
#elif WRONG == 1
typedef const char *member;
#elif WRONG == 2
typedef rpc_bytes member;
#elif WRONG == 3
typedef rpc_json *member;
#endif

struct sample {
    member value;
};

extern const rpc_field fields[1];
const rpc_field fields[] = {RPC_JSON(struct sample, value, .doc = "anything")};

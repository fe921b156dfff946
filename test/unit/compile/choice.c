// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A choice: the member is an int or an enum. WRONG=n has another type.
 * Says: RPC_CHOICE: the member value of struct sample must be an int or an enum
 */
#include <mosquitto_rpc.h>

enum colour { RED, GREEN };

#if !defined(WRONG)
typedef enum colour member;
#elif WRONG == 1
typedef const char *member;
#elif WRONG == 2
typedef char member;
#elif WRONG == 3
typedef int64_t member;
#elif WRONG == 4
typedef bool member;
#endif

struct sample {
    member value;
    int plain;
};

static const char *const colours[] = {"red", "green"};

extern const rpc_field fields[2];
const rpc_field fields[] = {
    RPC_CHOICE(struct sample, value, .doc = "a colour", .choices = RPC_TABLE(colours)),
    RPC_CHOICE(struct sample, plain, .doc = "a colour", .choices = RPC_TABLE(colours)),
};

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * An array of choices: the elements are int, unsigned or an enum. WRONG=n has another type.
 * Says: RPC_CHOICE_ARRAY: the member values of struct sample must be a pointer to int or to an enum
 */
#include <mosquitto_rpc.h>

enum colour { RED, GREEN };

#if !defined(WRONG)
typedef const enum colour *member;
#elif WRONG == 1
typedef enum colour member;
#elif WRONG == 2
typedef const char *const *member;
#elif WRONG == 3
typedef const bool *member;
#elif WRONG == 4
typedef int64_t *member;
#elif WRONG == 5
typedef const short *member;
#elif WRONG == 6
typedef enum colour member[4];
#elif WRONG == 7
typedef const unsigned char *member;
#endif

struct sample {
    member values;
    size_t count;
};

static const char *const colours[] = {"red", "green"};

extern const rpc_field fields[1];
const rpc_field fields[] = {
    RPC_CHOICE_ARRAY(struct sample, values, count, .doc = "colours", .items = {1, 4},
                     .choices = RPC_TABLE(colours)),
};

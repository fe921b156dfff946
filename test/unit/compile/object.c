// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * An object in an object: the member is a struct of the type that is named. WRONG=n has another type.
 * Says: RPC_OBJECT: the member value of struct sample must be a struct point
 */
#include <mosquitto_rpc.h>

struct point {
    double x;
};

struct other {
    double x;
};

static const rpc_field point_fields[] = {RPC_DOUBLE(struct point, x, .doc = "a number")};
static const rpc_shape point_shape = RPC_OBJECT_SHAPE(struct point, point_fields);

#if !defined(WRONG)
typedef struct point member;
#elif WRONG == 1
typedef struct other member;
#elif WRONG == 2
typedef struct point *member;
#elif WRONG == 3
typedef double member;
#elif WRONG == 4
typedef struct point member[2];
#endif

struct sample {
    member value;
};

extern const rpc_field fields[1];
const rpc_field fields[] = {
    RPC_OBJECT(struct sample, value, struct point, .doc = "a point", .shape = &point_shape),
};

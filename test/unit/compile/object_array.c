// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * An array of objects: the member points at structs of the type that is named. WRONG=n has another type.
 * Says: RPC_OBJECT_ARRAY: the member values of struct sample must be a pointer to struct point
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
typedef const struct point *member;
#elif WRONG == 1
typedef const struct other *member;
#elif WRONG == 2
typedef struct point member;
#elif WRONG == 3
typedef const struct point *const *member;
#elif WRONG == 4
typedef const void *member;
#elif WRONG == 5
typedef struct point member[2];
#endif

struct sample {
    member values;
    size_t count;
};

extern const rpc_field fields[1];
const rpc_field fields[] = {
    RPC_OBJECT_ARRAY(struct sample, values, count, struct point, .doc = "points", .items = {1, 4},
                     .shape = &point_shape),
};

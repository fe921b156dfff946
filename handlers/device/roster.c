// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The methods that tell which devices there are: see roster.h. */
#include "roster.h"

enum { LIST_MAX = 1000 };

/* ---- Shapes ---- */

struct list_params {
    const char *after, *group;
    enum device_state state;
    bool has_state;
    int32_t limit;
};

static const rpc_field list_params_fields[] = {
    RPC_CHOICE(struct list_params, state, .doc = "only devices in this state",
               .choices = {DEVICE_STATES, device_state_names}, .optional = true,
               .flag = RPC_FLAG(struct list_params, has_state)),
    RPC_STRING(struct list_params, group, .doc = "only devices of this group", .optional = true,
               .length = {1, NAME_MAX_BYTES}),
    RPC_INT32(struct list_params, limit, .doc = "largest number of devices in the result",
              .default_json = "100", .range = {1, LIST_MAX}),
    RPC_STRING(struct list_params, after,
               .doc = "only devices behind this one: `next` of the former page; without it, from the "
                      "beginning",
               .optional = true, .length = {1, NAME_MAX_BYTES}),
};

const rpc_shape roster_list_params = RPC_OBJECT_SHAPE(struct list_params, list_params_fields);

struct list_item {
    struct status status;
    bool managed;
    const char *kind;
    int32_t waiting, flying;
};

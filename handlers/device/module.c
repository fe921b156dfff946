// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What the methods of the module device share: see module.h. */
#include "module.h"

#include <string.h>

static const rpc_field trouble_fields[] = {
    DEVICE_NAME_FIELD(struct trouble),
    RPC_STRING(struct trouble, id, .doc = "the id of the command", .optional = true, .length = {1, 65535}),
    RPC_DOUBLE(struct trouble, seen, .doc = "when the device sent something last, Unix time", .unit = "s",
               .optional = true, .flag = RPC_FLAG(struct trouble, has_seen)),
    RPC_JSON(struct trouble, cause, .doc = "the device's own error", .optional = true),
    RPC_INT64(struct trouble, expected, .doc = "the seq that the device expects", .optional = true,
              .flag = RPC_FLAG(struct trouble, has_expected)),
};

const rpc_shape trouble_shape = RPC_OBJECT_SHAPE(struct trouble, trouble_fields);

bool module_fits_reply(rpc_call *call, const rpc_shape *shape, const void *result)
{
    enum { AROUND = 1024 };
    const char *text = rpc_encode(call, shape, result);
    return text && strlen(text) + AROUND <= rpc_max_reply(rpc_call_instance(call));
}

rpc_status module_raise_unknown(rpc_call *call, const char *name)
{
    const struct trouble trouble = {.device = name};
    return rpc_raise_with(call, "device_unknown", &trouble, "no device of this name has been seen");
}

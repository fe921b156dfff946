// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The state of the module device in one prefix, for the files that handle its methods, and what these share.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: the engine owns the state; each member belongs to its own header.
 *
 * Failure: module_raise() returns a status; nothing else can fail.
 */
#ifndef DEVICE_MODULE_H
#define DEVICE_MODULE_H

#include "confirm.h"
#include "gather.h"
#include "names.h"

struct adopted;

struct device_module {
    rpc_instance *instance;
    const struct device_options *options; /* as the module was started with them */
    bool guards_requests;                 /* the option guard_requests, as it is now */
    struct devices table;
    struct disk disk;
    struct commands commands;
    struct presence presence;
    struct groups groups;
    struct gathers gathers;
    struct confirms confirms;
    const struct adopted *adopting; /* the message whose call runs just now; NULL: none */
};

#define DEVICE_NAME_FIELD(type) \
    RPC_STRING(type, device, .doc = "the name of the device", .length = {1, NAME_MAX_BYTES})

/* What every error of the module says beside err and msg; its shape is trouble_shape. */
struct trouble {
    const char *device;
    const char *id; /* of the command; NULL: none */
    double seen;    /* Unix time */
    bool has_seen;
    rpc_json cause;   /* of device_failed: the device's own error object */
    int64_t expected; /* of out_of_order */
    bool has_expected;
};

extern const rpc_shape trouble_shape;

/* Whether a result fits into a reply, with what may be around it there. */
bool module_fits_reply(rpc_call *call, const rpc_shape *shape, const void *result);

/* Raises device_unknown. */
rpc_status module_raise_unknown(rpc_call *call, const char *name);

#endif

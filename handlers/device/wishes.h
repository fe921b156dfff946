// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What callers of commands wish beyond the command itself, and what is looked at before a device gets one:
 * the same for the command of one device and for those of a group.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: nothing is kept. A checked text is the caller's.
 *
 * Failure: what is wrong with a call is raised; what is wrong with the command of one device is a verdict.
 */
#ifndef DEVICE_WISHES_H
#define DEVICE_WISHES_H

#include "presence.h"

/* One JSON value: the parameters of a command, its result, its progress. */
struct any {
    rpc_json value;
};

extern const rpc_shape any_shape;

/* "fail", "wait", "queue": the order is that of enum offline_policy. */
enum { OFFLINE_POLICIES = OFFLINE_QUEUE + 1 };
extern const char *const offline_policy_names[OFFLINE_POLICIES];

/* What is said of a name that no command can have. */
extern const char wishes_no_command[];

struct wishes {
    enum offline_policy offline;
    bool has_offline; /* the caller has named it */
    uint64_t ttl;     /* ms */
    uint32_t stale;   /* ms; 0: never */
};

/* Those of a caller who says nothing. */
struct wishes wishes_usual(const struct device_options *options);

/* The largest ttl that a caller may ask for, ms. */
uint64_t wishes_ttl_max(const struct device_options *options);

/* Raises that a number is outside of its range. option: " (name of the option)" or "". */
rpc_status wishes_raise_range(rpc_call *call, const char *what, uint64_t max, const char *option);

/* Reads a number of a user property, from 1 to max; *value stays if it is not given. Returns RPC_OK, or
 * raises what is wrong with it. */
rpc_status wishes_read_number(rpc_call *call, const char *name, uint64_t max, const char *option,
                              uint64_t *value);

/* Reads the user properties offline, ttl-ms and stale-ms, and checks progress, likewise. */
rpc_status wishes_read(rpc_call *call, const struct device_options *options, struct wishes *wishes);

/* Finds a device, or meets it if it may be commanded before it was ever seen. NULL: *why is the verdict. */
struct device *wishes_find_device(struct presence *presence, const char *name, enum offline_policy offline,
                                  struct verdict *why);

/*
 * Checks the parameters of a command. declared: NULL if no module declares it, or not for this kind of
 * device. *checked is the text for the device, to be freed with free(); NULL: the parameters as they are.
 * Returns NULL, or the code of an error and its text in why.
 */
const char *wishes_check(rpc_instance *instance, const struct device_options *options,
                         const rpc_command *declared, const char *params, char **checked,
                         char why[RPC_WHY_BYTES]);

#endif

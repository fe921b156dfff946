// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Groups of devices: names that stand for several. They come from the option device_groups, which no
 * call can change, and from the method device.group.set, whose groups are in the database. A group of the
 * option hides a stored one of its name, which is seen again when the option has it no more. A member is a
 * known device from then on, if there is room for it: no other device is forgotten for one that was only
 * named. No device says itself that it is a member.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: groups are embedded in the module's state and own the names of their members.
 *
 * Failure: a group that cannot be stored is not changed, and its caller is told why.
 */
#ifndef DEVICE_GROUP_H
#define DEVICE_GROUP_H

#include "presence.h"

enum { GROUPS_MAX = 1000, GROUPS_MEMBERS_MAX = 100000 /* of all groups */, GROUP_MEMBERS_MAX = 10000 };

struct group {
    size_t count;
    const char **members; /* in the order of strcmp(), each once; one piece of memory, with their texts */
    UT_hash_handle hh;
    char name[];
};

/* Groups of one origin. All zero: none. */
struct group_table {
    struct group *by_name;
    size_t members; /* of all of them */
};

struct change;

struct groups {
    rpc_instance *instance;
    const struct device_options *options;
    struct presence *presence;
    struct disk *disk;
    struct group_table configured, stored; /* by the option, and in the database; both may have a name */
    struct group_table prepared;           /* what is to become `configured`, if all agree */
    struct change *changes;                /* those that are not on the disk yet, */
    size_t coming;                         /* how many of them make groups, perhaps new ones, */
    size_t coming_members;                 /* and the members of these */
};

/* Reads device_groups. Returns false, after it has logged why, if that is malformed. For the module's init,
 * before what a former run has left is loaded. */
bool groups_configure(struct groups *groups);

/* Reads another device_groups, NULL: none, which groups_reload() puts in the place of the first. Returns
 * false with why, and then nothing has changed. */
bool groups_prepare(struct groups *groups, const char *text, char why[RPC_WHY_BYTES]);

/* Puts what was prepared into force. */
void groups_reload(struct groups *groups);

/* Takes over a group of a former run: a JSON array of names. */
void groups_load(struct groups *groups, const char *name, const char *devices);

/* Makes the members of all groups known devices, after the devices of a former run are known. */
void groups_meet(struct groups *groups);

/* Writes all groups to the database again, which is another one. */
void groups_renew(struct groups *groups);

/* Whether a device is a member of a group; every device is one of `*`. */
bool groups_have(const struct groups *groups, const char *group, const char *device);

/* NULL: there is none of this name. */
const struct group *groups_find(const struct groups *groups, const char *name);

void groups_fini(struct groups *groups);

/* ---- device.group.set, .list, .delete ---- */

extern const rpc_shape group_shape, group_list_shape, group_which_shape, group_deleted_shape;
extern const rpc_shape group_failed_shape; /* of storage_failed */

/* Raises storage_failed. */
rpc_status group_raise_failure(rpc_call *call, const struct store_failure *failure);

rpc_status group_set(rpc_call *call, struct groups *groups, const void *params);
rpc_status group_list(rpc_call *call, const struct groups *groups, void *result);
rpc_status group_delete(rpc_call *call, struct groups *groups, const void *params);

/* The done of group_set() and group_delete(). */
rpc_status group_end_change(rpc_call *call, void *state, void *data, rpc_status outcome, void *result);

#endif

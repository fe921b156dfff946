// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Groups of devices, and calls that go to all devices of a group.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: groups are embedded in the module's state.
 *
 * Failure: none yet.
 */
#ifndef DEVICE_GROUP_H
#define DEVICE_GROUP_H

#include "presence.h"

struct groups {
    struct presence *presence;
};

bool groups_exist(const struct groups *groups, const char *group);

/* Whether a device is a member of a group; every device is one of "*". */
bool groups_have(const struct groups *groups, const char *group, const char *device);

#endif

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Groups of devices: see group.h. */
#include "group.h"

#include <string.h>

bool groups_exist(const struct groups *groups, const char *group)
{
    (void)groups;
    return strcmp(group, "*") == 0;
}

bool groups_have(const struct groups *groups, const char *group, const char *device)
{
    (void)device;
    return groups_exist(groups, group);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* handlers/device/disk.c: see below. */
#include "device/module.h"
#include "unit.h"

START_TEST(nothing)
{
    ck_assert_uint_lt(sizeof(struct device), 400);
}
END_TEST

UNIT_MAIN("device_disk", NULL, NULL, {nothing, 0})

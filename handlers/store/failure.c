// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The names of the causes: see failure.h. */
#include "failure.h"

const char *const store_cause_names[STORE_CAUSES] = {
    [STORE_LOCKED] = "locked",
    [STORE_FULL] = "full",
    [STORE_CORRUPT] = "corrupt",
    [STORE_READ_ONLY] = "read_only",
    [STORE_CANNOT_OPEN] = "cannot_open",
    [STORE_FOREIGN] = "foreign",
    [STORE_NEWER] = "newer",
    [STORE_REPLACED] = "replaced",
    [STORE_IO] = "io",
    [STORE_NO_MEMORY] = "no_memory",
    [STORE_FAILED] = "failed",
};

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* RPC_STATUS_MAP, looked up: see status.h. */
#include "base/status.h"

#include <string.h>

struct status_row {
    const char *name;
    int code;
    const char *text;
};

static const struct status_row status_rows[] = {
#define ROW(enumerator, name, code, text) {name, code, text},
    RPC_STATUS_MAP(ROW)
#undef ROW
};

_Static_assert((int)RPC_RAISED == (int)RPC_STATUS_COUNT_ - 1,
               "the statuses before RPC_RAISED are those that have a name of their own");

static const struct status_row *status_row_of(rpc_status status)
{
    const int index = (int)status;
    return &status_rows[index >= 0 && index < RPC_STATUS_COUNT_ ? index : RPC_INTERNAL_ERROR];
}

const char *status_name(rpc_status status)
{
    return status_row_of(status)->name;
}

const char *status_text(rpc_status status)
{
    return status_row_of(status)->text;
}

int status_code(rpc_status status)
{
    return status_row_of(status)->code;
}

rpc_status status_find(const char *name)
{
    for (int i = RPC_OK + 1; i < RPC_RAISED; i++) {
        if (strcmp(status_rows[i].name, name) == 0)
            return (rpc_status)i;
    }
    return RPC_RAISED;
}

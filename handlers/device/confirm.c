// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Replies that wait for the disk: see confirm.h. */
#include "confirm.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* It outlives its call, if that ends before. */
struct confirm {
    struct confirm *prev, *next;
    struct confirms *confirms;
    rpc_call *call; /* NULL: it has ended */
    bool is_over, fails;
    struct store_failure failure;
    size_t size;
    char result[];
};

static void confirm_free(struct confirm *confirm)
{
    DL_DELETE(confirm->confirms->all, confirm);
    free(confirm);
}

static void confirm_written(void *context, const struct store_failure *failure)
{
    struct confirm *confirm = context;
    confirm->is_over = true;
    confirm->fails = failure;
    if (failure)
        confirm->failure = *failure;
    if (confirm->call)
        rpc_resume(confirm->call);
    else
        confirm_free(confirm);
}

rpc_status confirm_later(rpc_call *call, struct confirms *confirms, const void *result, size_t size)
{
    struct confirm *confirm = calloc(1, sizeof *confirm + size);
    if (!confirm)
        return RPC_OK;
    confirm->confirms = confirms;
    confirm->size = size;
    memcpy(confirm->result, result, size);
    DL_APPEND(confirms->all, confirm);
    if (!disk_await(confirms->disk, confirm_written, confirm)) {
        confirm_free(confirm);
        return RPC_OK;
    }
    if (rpc_defer(call, confirm) != RPC_PENDING)
        return RPC_OK;
    confirm->call = call;
    return RPC_PENDING;
}

rpc_status confirm_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct confirm *confirm = data;
    (void)state;
    confirm->call = NULL;
    if (!confirm->is_over)
        return outcome;
    const rpc_status status = confirm->fails ? group_raise_failure(call, &confirm->failure) : RPC_OK;
    if (status == RPC_OK)
        memcpy(result, confirm->result, confirm->size);
    confirm_free(confirm);
    return status;
}

void confirms_fini(struct confirms *confirms)
{
    while (confirms->all)
        confirm_free(confirms->all);
}

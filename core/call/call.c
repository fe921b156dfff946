// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A call's memory and the reason of its failure: see call.h. */
#include "call/call.h"

#include "base/status.h"

#include <stdlib.h>
#include <string.h>

rpc_call *call_move(const rpc_call *call)
{
    rpc_call *moved = malloc(sizeof *moved);
    if (!moved)
        return NULL;
    memcpy(moved, call, offsetof(rpc_call, arena));
    arena_init(&moved->arena);
    moved->own_memory = true;
    return moved;
}

void call_fini(rpc_call *call)
{
    arena_fini(&call->arena);
    if (call->own_memory)
        free(call);
}

rpc_status call_fail(rpc_call *call, rpc_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *message = arena_vprintf(&call->arena, format, arguments);
    va_end(arguments);
    call->failure = (struct failure){status, status_name(status), message, NULL, 0};
    return status;
}

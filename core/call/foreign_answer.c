// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Answers to calls of declared methods: see foreign_answer.h. */
#include "call/foreign_answer.h"

#include "base/status.h"
#include "base/text.h"
#include "call/engine_parts.h"
#include "shape/codec_json.h"

#include <stdio.h>
#include <string.h>

/* Takes JSON text, byte for byte, into memory of the call. Returns as foreign_take_result(). */
static rpc_status foreign_take_json(rpc_call *call, const char *payload, size_t size, rpc_json *json,
                                    char *why)
{
    const size_t max = (size_t)call->engine->env.options.max_reply;
    struct json_error error = {.why = ""};
    if (size > max) {
        snprintf(why, FIELDS_WHY, "it has %zu bytes, which is over max_reply, %zu", size, max);
        return RPC_REPLY_TOO_LARGE;
    }
    if (size && !json_check(payload, size, &error)) {
        snprintf(why, FIELDS_WHY, "%s", error.why);
        return error.fault == JSON_NO_MEMORY ? RPC_INTERNAL_ERROR : RPC_INVALID_PARAMS;
    }
    json->text = size ? arena_copy(&call->arena, payload, size) : "{}";
    return json->text ? RPC_OK : RPC_INTERNAL_ERROR;
}

rpc_status foreign_take_result(rpc_call *call, const char *payload, size_t size, char why[FIELDS_WHY])
{
    return foreign_take_json(call, payload, size, &((struct registry_any *)call->result)->value, why);
}

rpc_status foreign_take_progress(rpc_call *call, const char *payload, size_t size, char why[FIELDS_WHY])
{
    struct registry_any any;
    const rpc_status status = foreign_take_json(call, payload, size, &any.value, why);
    return status == RPC_OK ? rpc_progress(call, &any) : status;
}

/* Notes the message of an error object, and its members beside those that the plugin writes itself. */
static void foreign_keep_members(rpc_call *call, cJSON *object)
{
    static const char *const own[] = {"method", "err", "msg", "client"};
    enum { MESSAGE_MAX = 1023 };
    struct failure *failure = &call->failure;
    const cJSON *msg = json_member(object, "msg");
    if (cJSON_IsString(msg) && *msg->valuestring)
        failure->message =
            arena_copy(&call->arena, msg->valuestring, text_cut(msg->valuestring, MESSAGE_MAX));
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        cJSON *member = json_member(object, own[i]);
        if (member && (strcmp(own[i], "client") != 0 || failure->status != RPC_RAISED))
            cJSON_DetachItemViaPointer(object, member);
    }
    const char *text = object->child ? codec_json_text(object, &call->arena) : NULL;
    if (text) { /* without its braces */
        failure->extra = text + 1;
        failure->extra_size = strlen(text) - 2;
    }
}

rpc_status foreign_take_error(rpc_call *call, const char *code, const char *payload, size_t size,
                              char why[FIELDS_WHY])
{
    struct engine *engine = call->engine;
    const rpc_status status = status_find(code);
    const size_t length = strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789_");
    struct arena arena;
    struct json_error error;
    snprintf(why, FIELDS_WHY,
             "the code of an error is [a-z0-9_]+, at most 64 bytes, and not ok, raised or progress");
    if (!length || code[length] || length > 64 || text_has_word("ok raised progress", code))
        return RPC_OK;
    const char *kept = status == RPC_RAISED ? foreign_take_code(engine->foreign, call->method->foreign, code)
                                            : status_name(status);
    snprintf(why, FIELDS_WHY, "the error %s is one too many: %d of a method and %d of all are told apart",
             code, FOREIGN_ERRORS_MAX, FOREIGN_CODES_MAX);
    if (!kept)
        return RPC_OK;
    call->failure = (struct failure){.status = status, .code = kept};
    if (size > (size_t)engine->env.options.max_reply)
        return status;
    arena_init(&arena);
    cJSON *object = json_parse(payload, size, &arena, &error);
    if (error.fault == JSON_FINE && cJSON_IsObject(object))
        foreign_keep_members(call, object);
    arena_fini(&arena);
    return status;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What a worker gets of a call's parameters: see remote_params.h. */
#include "call/remote_params.h"

#include "call/engine_parts.h"
#include "call/task.h"
#include "shape/codec_json.h"

#include <string.h>

/* The parameters of JSON-RPC by position, as the object that the method declares. NULL: no memory. */
static const char *remote_params_by_name(rpc_call *call)
{
    const rpc_shape *shape = call->method->params.shape;
    const cJSON *value = call->params->child;
    cJSON object = {.type = cJSON_Object}, *last = NULL;
    if (shape && shape->form == RPC_FORM_VALUE)
        return value ? codec_json_text(value, &call->arena) : "";
    for (size_t i = 0; value && shape && i < shape->count; i++, value = value->next) {
        cJSON *named = arena_take(&call->arena, sizeof *named);
        if (!named)
            return NULL;
        *named = *value;
        named->string = (char *)(uintptr_t)fields_name(&shape->fields[i]);
        named->next = NULL;
        named->prev = last;
        if (last)
            last->next = named;
        else
            object.child = named;
        last = named;
    }
    return codec_json_text(&object, &call->arena);
}

bool remote_params_take_payload(rpc_call *call, struct dispatch *dispatch)
{
    const struct exchange *exchange = call->exchange;
    const bool is_positional = exchange->jsonrpc && call->params && cJSON_IsArray(call->params);
    if (exchange_is_plain(exchange)) {
        dispatch->payload = exchange->message->payload;
        dispatch->size = exchange->message->size;
        return true;
    }
    dispatch->payload = is_positional ? remote_params_by_name(call) : exchange_params_text(call);
    dispatch->size = dispatch->payload ? strlen(dispatch->payload) : 0;
    return dispatch->payload;
}

/* The value of the member that is the lane of the call, as text. NULL: there is none. */
static const char *remote_params_lane(const rpc_call *call, const void *params, char number[FIELDS_KEY])
{
    const rpc_method *declared = call->method->declared;
    const rpc_field *field = declared->lane ? fields_find(declared->params, declared->lane) : NULL;
    if (field)
        return fields_key(field, params, number);
    return declared->lane ? fields_key_of(json_member(call->params, declared->lane), number) : NULL;
}

/* Methods that workers declare share the lanes of members of the same name. */
static struct digest remote_params_lane_key(const rpc_call *call, const char *lane)
{
    const struct registry_method *method = call->method;
    const char *member = method->declared->lane;
    if (!method->foreign)
        return task_lane_key(method->instance, lane);
    const struct digest_part parts[] = {{member, strlen(member)}, {lane, strlen(lane)}};
    return digest_of(call->engine->dedup.seed, parts, 2);
}

void remote_params_take_lane(const rpc_call *call, const void *params, struct crew_job *job)
{
    char number[FIELDS_KEY];
    const char *lane = remote_params_lane(call, params, number);
    job->has_lane = lane;
    if (lane)
        job->lane = remote_params_lane_key(call, lane);
}

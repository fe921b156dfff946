// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Answers of workers, read by a method's tables: see remote_shapes.h. */
#include "call/remote_shapes.h"

#include "base/status.h"
#include "base/text.h"
#include "call/answer.h"
#include "call/engine_parts.h"
#include "call/foreign_answer.h"
#include "shape/fields_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The tables ---- */

/* What is decoded outlives the payload. Returns false: no memory. */
static bool remote_prepare(struct fields *fields, const rpc_shape *shape)
{
    char why[FIELDS_WHY];
    const rpc_status status = fields_init(fields, shape, why);
    fields->copies = true;
    return status == RPC_OK;
}

struct remote_shapes *remote_shapes_create(const rpc_method *declared)
{
    const size_t count = declared->errors.count;
    struct remote_shapes *shapes = calloc(1, sizeof *shapes + count * sizeof shapes->errors[0]);
    bool is_whole = shapes && remote_prepare(&shapes->result, declared->result) &&
                    remote_prepare(&shapes->progress, declared->progress);
    if (shapes)
        shapes->error_count = count;
    for (size_t i = 0; is_whole && i < count; i++)
        is_whole = remote_prepare(&shapes->errors[i], declared->errors.rows[i].data);
    if (is_whole)
        return shapes;
    remote_shapes_destroy(shapes);
    return NULL;
}

void remote_shapes_destroy(struct remote_shapes *shapes)
{
    if (!shapes)
        return;
    fields_fini(&shapes->result);
    fields_fini(&shapes->progress);
    for (size_t i = 0; i < shapes->error_count; i++)
        fields_fini(&shapes->errors[i]);
    free(shapes);
}

/* ---- Reading ---- */

/* An empty payload is {}. NULL: no tree, and *status says why not. */
static cJSON *remote_parse(const rpc_call *call, const char *payload, size_t size, struct arena *arena,
                           rpc_status *status, char *why)
{
    struct json_error error;
    if (size > (size_t)call->engine->env.options.max_reply) {
        snprintf(why, FIELDS_WHY, "it has %zu bytes, which is over max_reply, %d", size,
                 (int)call->engine->env.options.max_reply);
        *status = RPC_REPLY_TOO_LARGE;
        return NULL;
    }
    cJSON *tree = size ? json_parse(payload, size, arena, &error) : json_parse("{}", 2, arena, &error);
    *status = error.fault == JSON_NO_MEMORY ? RPC_INTERNAL_ERROR
              : error.fault == JSON_FINE    ? RPC_OK
                                            : RPC_INVALID_PARAMS;
    snprintf(why, FIELDS_WHY, "%s", error.why);
    return *status == RPC_OK ? tree : NULL;
}

/* Decodes a payload into a struct of the shape, in memory of the call. Returns as remote_take_result(). */
static rpc_status remote_decode(rpc_call *call, const struct fields *fields, const char *payload, size_t size,
                                void **out, char *why)
{
    struct arena arena;
    rpc_status status;
    arena_init(&arena);
    const cJSON *tree = remote_parse(call, payload, size, &arena, &status, why);
    if (tree && fields->shape)
        status = fields_decode(fields, tree, &call->arena, out, why);
    arena_fini(&arena);
    return status;
}

rpc_status remote_take_result(rpc_call *call, const char *payload, size_t size, char why[FIELDS_WHY])
{
    return call->method->foreign
               ? foreign_take_result(call, payload, size, why)
               : remote_decode(call, &call->method->remote->result, payload, size, &call->result, why);
}

rpc_status remote_take_progress(rpc_call *call, const char *payload, size_t size, char why[FIELDS_WHY])
{
    if (call->method->foreign)
        return foreign_take_progress(call, payload, size, why);
    const struct fields *fields = &call->method->remote->progress;
    void *data = NULL;
    if (!fields->shape) {
        snprintf(why, FIELDS_WHY, "the method declares none");
        return RPC_INVALID_PARAMS;
    }
    const rpc_status status = remote_decode(call, fields, payload, size, &data, why);
    return status == RPC_OK ? rpc_progress(call, data) : status;
}

/* ---- Errors ---- */

/* The members that an error adds, in memory of the call. NULL: it declares none, or what the worker sent does
 * not fit. */
static const void *remote_take_members(rpc_call *call, const rpc_error *declared, const cJSON *tree)
{
    const rpc_method *method = call->method->declared;
    char why[FIELDS_WHY];
    void *data = NULL;
    if (!declared || !declared->data || !tree)
        return NULL;
    const struct fields *fields = &call->method->remote->errors[declared - method->errors.rows];
    return fields_decode(fields, tree, &call->arena, &data, why) == RPC_OK ? data : NULL;
}

static rpc_status remote_raise(rpc_call *call, const char *code, const rpc_error *declared, const cJSON *tree)
{
    const cJSON *msg = json_member(tree, "msg");
    const char *text = cJSON_IsString(msg) && *msg->valuestring ? msg->valuestring : NULL;
    const void *data = remote_take_members(call, declared, tree);
    text = text ? text : declared ? declared->doc : status_text(status_find(code));
    return data ? rpc_raise_with(call, code, data, "%s", text) : rpc_raise(call, code, "%s", text);
}

rpc_status remote_take_error(rpc_call *call, const char *code, const char *payload, size_t size,
                             char why[FIELDS_WHY])
{
    if (call->method->foreign)
        return foreign_take_error(call, code, payload, size, why);
    const rpc_error *declared = registry_find_error(call->method->declared, code);
    struct arena arena;
    rpc_status parsed;
    if (status_find(code) == RPC_RAISED && !declared) {
        snprintf(why, FIELDS_WHY, "the method declares no error %.64s", code);
        return RPC_OK;
    }
    arena_init(&arena);
    const cJSON *tree = remote_parse(call, payload, size, &arena, &parsed, why);
    const rpc_status status = remote_raise(call, code, declared, tree);
    arena_fini(&arena);
    return status;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Commands of devices, found and checked: see command.h. */
#include "call/command.h"

#include "base/text.h"
#include "call/answer.h"
#include "call/engine_parts.h"
#include "shape/codec_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const rpc_command *rpc_command_find(const rpc_instance *instance, const char *kind, const char *name)
{
    const struct registry_command *command = registry_find_command(&instance->engine->registry, kind, name);
    return command ? command->declared : NULL;
}

/* Checks a value. *decoded is the struct that it was decoded into; NULL: its part has no shape. */
static rpc_status command_decode(const struct fields *fields, rpc_command_part part, const cJSON *value,
                                 struct arena *arena, void **decoded, char *why)
{
    static const char *const words[] = {"parameters", "result", "progress"};
    const rpc_shape *shape = fields->shape;
    const bool is_nothing = !shape && part == RPC_COMMAND_PARAMS;
    *decoded = NULL;
    if ((is_nothing || (shape && shape->form == RPC_FORM_OBJECT)) && !cJSON_IsObject(value))
        snprintf(why, RPC_WHY_BYTES, "the %s must be a JSON object", words[part]);
    else if (shape)
        return fields_decode(fields, value, arena, decoded, why);
    else if (is_nothing && value->child && fields->strict)
        snprintf(why, RPC_WHY_BYTES, "%.*s is not declared: the command takes no parameters",
                 (int)text_cut(value->child->string, 64), value->child->string);
    return *why ? RPC_INVALID_PARAMS : RPC_OK;
}

/* Checks a value, and writes the text that the caller gets. */
static rpc_status command_check_value(const struct fields *fields, rpc_command_part part, const cJSON *value,
                                      struct arena *arena, struct writer *writer, char *why)
{
    void *decoded;
    rpc_status status = command_decode(fields, part, value, arena, &decoded, why);
    if (status != RPC_OK)
        return status;
    if (part != RPC_COMMAND_PARAMS)
        writer_tree(writer, value);
    else if (decoded)
        status = fields_encode(fields->shape, decoded, writer, why);
    else
        writer_json(writer, "{}");
    if (!writer->full)
        return status;
    snprintf(why, RPC_WHY_BYTES, "the value is larger than max_reply, %zu bytes", writer->capacity);
    return RPC_INVALID_PARAMS;
}

/* Parses a value and checks it. What was written is in the writer. */
static rpc_status command_check_text(const struct fields *fields, rpc_command_part part, const char *json,
                                     struct writer *writer, char *why)
{
    struct arena arena;
    struct json_error error;
    arena_init(&arena);
    const cJSON *tree = json_parse(json, strlen(json), &arena, &error);
    rpc_status status = RPC_INTERNAL_ERROR;
    if (error.fault == JSON_FINE)
        status = command_check_value(fields, part, tree, &arena, writer, why);
    else if (error.fault != JSON_NO_MEMORY)
        status = error.fault == JSON_BROKEN ? RPC_PARSE_ERROR : RPC_INVALID_PARAMS;
    if (error.fault == JSON_BROKEN || error.fault == JSON_UNWANTED)
        snprintf(why, RPC_WHY_BYTES, "%s", error.why);
    arena_fini(&arena);
    return status;
}

rpc_status rpc_command_check(rpc_instance *instance, const rpc_command *command, rpc_command_part part,
                             const char *json, char **checked, char why[RPC_WHY_BYTES])
{
    struct engine *engine = instance->engine;
    const struct registry_command *found = registry_find_declared(&engine->registry, command);
    *checked = NULL;
    *why = '\0';
    if (!found || (int)part < 0 || part > RPC_COMMAND_PROGRESS) {
        env_log(&engine->env, RPC_LOG_ERROR,
                "module %s checks a command that no module declares, or no part of it",
                instance->module->name);
        return RPC_INTERNAL_ERROR;
    }
    struct writer writer = answer_writer(engine, &codec_json);
    const rpc_status status = command_check_text(&found->parts[part], part, json ? json : "{}", &writer, why);
    if (status != RPC_OK)
        return status;
    char *text = malloc(writer.used + 1);
    if (!text)
        return RPC_INTERNAL_ERROR;
    memcpy(text, writer.out, writer.used);
    text[writer.used] = '\0';
    *checked = text;
    return RPC_OK;
}

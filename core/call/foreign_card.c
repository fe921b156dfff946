// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What a worker says of a method or an event: see foreign_card.h. */
#include "call/foreign_card.h"

#include "base/env.h"
#include "base/text.h"
#include "call/topic.h"
#include "shape/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- The shapes ---- */

static const char *const foreign_card_announcements[] = {"always", "unanswered"};

static const rpc_field foreign_card_method_fields[] = {
    RPC_STRING(struct foreign_method_card, name,
               .doc = "its name, like a module's; of a method family the first level is no `{word}`",
               .length = {1, TOPIC_NAME_MAX}),
    RPC_STRING(struct foreign_method_card, doc, .doc = "what it is, in one line", .optional = true,
               .length = {0, FOREIGN_DOC_MAX}),
    RPC_JSON(struct foreign_method_card, params,
             .doc = "the JSON Schema of its parameters, which are an object; for discovery",
             .optional = true),
    RPC_JSON(struct foreign_method_card, result, .doc = "the JSON Schema of its result; likewise",
             .optional = true),
    RPC_BOOL(struct foreign_method_card, read_only, .doc = "it changes nothing", .default_json = "false"),
    RPC_BOOL(
        struct foreign_method_card, idempotent,
        .doc = "running it twice has the effect of running it once: a call whose worker has gone is given to "
               "another one",
        .default_json = "false"),
    RPC_STRING(struct foreign_method_card, lane,
               .doc = "the member of its parameters that is the lane: of one value, calls run one after the "
                      "other",
               .optional = true, .length = {1, TOPIC_NAME_MAX}),
    RPC_INT32(struct foreign_method_card, timeout, .name = "timeout_ms",
              .doc = "from the arrival of a call to its deadline; 0: the option timeout", .unit = "ms",
              .default_json = "0", .range = {0, ENV_TIMEOUT_MAX}),
    RPC_STRING(struct foreign_method_card, event,
               .doc = "its result event, which is declared in `events` beside it", .optional = true,
               .length = {1, TOPIC_NAME_MAX}),
    RPC_CHOICE(
        struct foreign_method_card, announce,
        .doc = "when its result event follows a success: always, or only if the caller asked for no reply",
        .default_json = "\"always\"", .choices = RPC_TABLE(foreign_card_announcements)),
};

const rpc_shape foreign_method_shape =
    RPC_OBJECT_SHAPE(struct foreign_method_card, foreign_card_method_fields);

static const rpc_field foreign_card_event_fields[] = {
    RPC_STRING(struct foreign_event_card, name, .doc = "its name, like a module's",
               .length = {1, TOPIC_NAME_MAX}),
    RPC_STRING(struct foreign_event_card, doc, .doc = "what it is, in one line", .optional = true,
               .length = {0, FOREIGN_DOC_MAX}),
    RPC_JSON(struct foreign_event_card, data, .doc = "the JSON Schema of what it carries; for discovery",
             .optional = true),
    RPC_BOOL(struct foreign_event_card, retained, .doc = "the broker retains the last one",
             .default_json = "false"),
    RPC_STRING(struct foreign_event_card, key,
               .doc = "the member whose value is the last level of its topic: a string or an integer",
               .optional = true, .length = {1, TOPIC_NAME_MAX}),
};

const rpc_shape foreign_event_shape = RPC_OBJECT_SHAPE(struct foreign_event_card, foreign_card_event_fields);

/* ---- Checks ---- */

bool foreign_card_is_line(const char *text)
{
    uint32_t character = 0;
    for (size_t left = text ? strlen(text) : 0; left;) {
        const size_t size = text_decode(text, left, &character);
        if (!size || character < 0x20 || (character >= 0x7F && character < 0xA0) || character == 0x2028 ||
            character == 0x2029)
            return false;
        text += size;
        left -= size;
    }
    return true;
}

static rpc_status foreign_card_fault(char why[FOREIGN_CARD_WHY], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static rpc_status foreign_card_fault(char why[FOREIGN_CARD_WHY], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, FOREIGN_CARD_WHY, format, arguments);
    va_end(arguments);
    return RPC_INVALID_PARAMS;
}

static size_t foreign_card_depth(const char *json)
{
    size_t depth = 0, deepest = 0;
    bool is_string = false;
    for (; *json; json++) {
        if (is_string && *json == '\\')
            json++;
        else if (*json == '"')
            is_string = !is_string;
        else if (!is_string && (*json == '{' || *json == '['))
            deepest = ++depth > deepest ? depth : deepest;
        else if (!is_string && (*json == '}' || *json == ']'))
            depth--;
    }
    return deepest;
}

rpc_status foreign_card_check_schema(const char *text, const char *role, const char *member,
                                     char why[FOREIGN_CARD_WHY])
{
    struct arena arena;
    struct json_error error;
    rpc_status status = RPC_OK;
    if (!text)
        return RPC_OK;
    const size_t size = strlen(text);
    if (*text != '{')
        return foreign_card_fault(why, "its %s is a JSON Schema, which is an object", role);
    if (size > FOREIGN_SCHEMA_MAX)
        return foreign_card_fault(why, "its %s has %zu bytes: at most %d", role, size, FOREIGN_SCHEMA_MAX);
    if (foreign_card_depth(text) > FOREIGN_DEPTH_MAX)
        return foreign_card_fault(why, "its %s has over %d levels of arrays and objects", role,
                                  FOREIGN_DEPTH_MAX);
    arena_init(&arena);
    const cJSON *schema = json_parse(text, size, &arena, &error);
    const cJSON *type = json_member(schema, "type"), *properties = json_member(schema, "properties");
    if (!schema)
        status = RPC_INTERNAL_ERROR;
    else if (strcmp(role, "params") == 0 && type &&
             !(cJSON_IsString(type) && strcmp(type->valuestring, "object") == 0))
        status = foreign_card_fault(why, "its params are an object: the type of their schema is \"object\"");
    else if (member && cJSON_IsObject(properties) && !json_member(properties, member))
        status = foreign_card_fault(why, "its %s have no member %.64s: see their schema", role, member);
    arena_fini(&arena);
    return status;
}

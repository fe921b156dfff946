// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Messages that are adopted as calls: see adopt.h. */
#include "adopt.h"

#include "names.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
    struct answer_ids ids;
    rpc_json cmd, command, method;
};

static const rpc_field request_fields[] = {
    ANSWER_ID_FIELDS(struct request, ids),
    RPC_JSON(struct request, cmd, .doc = "the name of the command", .optional = true),
    RPC_JSON(struct request, command, .doc = "the same, by another name", .optional = true),
    RPC_JSON(struct request, method, .doc = "the same, by another name", .optional = true),
};

const rpc_shape adopt_shape = RPC_OBJECT_SHAPE(struct request, request_fields);

enum { TOPIC_BYTES = 2 * NAME_MAX_BYTES + ANSWER_ID_BYTES + 16 };

/* The name of the command in events and in the history: what the payload says, if that can be a name. */
static void adopt_name(const struct request *request, char name[NAME_MAX_BYTES + 1])
{
    const char *const all[] = {request ? request->cmd.text : NULL, request ? request->command.text : NULL,
                               request ? request->method.text : NULL};
    snprintf(name, NAME_MAX_BYTES + 1, "req");
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const size_t size = all[i] && all[i][0] == '"' ? strlen(all[i]) - 2 : 0;
        if (!size || size > NAME_MAX_BYTES)
            continue;
        char text[NAME_MAX_BYTES + 1];
        snprintf(text, size + 1, "%s", all[i] + 1);
        if (!name_is_command(text) || strcmp(text, "response") == 0 || strcmp(text, "request") == 0)
            continue;
        memcpy(name, text, size + 1);
        return;
    }
}

/* Where the caller gets its reply. Returns false: there is no such topic. */
static bool adopt_reply_topic(const struct device_module *module, const char *device,
                              const rpc_message *message, const char *id, char topic[TOPIC_BYTES])
{
    const char *root = rpc_inbox_root(module->instance);
    if (message->response_topic && message->response_topic[0])
        return true;
    const bool is_part = id && name_is_device(id);
    return is_part && root && snprintf(topic, TOPIC_BYTES, "%s/%s/resp/%s", root, device, id) < TOPIC_BYTES;
}

static bool adopt_answers_elsewhere(const struct device_module *module, const char *device,
                                    const rpc_message *message)
{
    char topic[TOPIC_BYTES];
    const char *root = rpc_inbox_root(module->instance);
    snprintf(topic, sizeof topic, "%s/%s/resp", root ? root : "", device);
    return message->response_topic && message->response_topic[0] &&
           strcmp(message->response_topic, topic) != 0;
}

/* A payload as a JSON string, if it is text. NULL: it is none, or there is no memory. */
static char *adopt_quote(const rpc_message *message)
{
    const bool has_nul = memchr(message->payload, '\0', message->size);
    cJSON *string = has_nul ? NULL : cJSON_CreateString(message->payload);
    char *text = string ? cJSON_PrintUnformatted(string) : NULL;
    cJSON_Delete(string);
    if (text && rpc_is_json(text, strlen(text)))
        return text;
    free(text);
    return NULL;
}

/* The size and a hash (FNV-1a) of a payload as a JSON string: who makes two that are alike only deceives
 * himself. NULL: no memory. */
static char *adopt_print_digest(const rpc_message *message)
{
    enum { DIGEST_BYTES = 48 };
    char *text = malloc(DIGEST_BYTES);
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < message->size; i++)
        hash = (hash ^ (unsigned char)message->payload[i]) * UINT64_C(0x100000001B3);
    if (text)
        snprintf(text, DIGEST_BYTES, "\"%zu %016" PRIx64 "\"", message->size, hash);
    return text;
}

/* The parameters of the call, so that a message that comes again is known by its payload: that itself, or as
 * a string if it is no JSON, or a digest if it is no text. NULL: no memory; free with free(). */
static char *adopt_params(const rpc_message *message)
{
    if (!message->size || rpc_is_json(message->payload, message->size))
        return strndup(message->size ? message->payload : "{}", message->size ? message->size : 2);
    char *text = adopt_quote(message);
    return text ? text : adopt_print_digest(message);
}

static bool adopt_with(struct device_module *module, const rpc_message *message, const char *id,
                       const rpc_adoption *adoption)
{
    const struct adopted adopted = {message, id};
    module->adopting = &adopted;
    const bool is_taken = rpc_adopt(module->instance, message, adoption);
    module->adopting = NULL;
    return is_taken;
}

bool adopt_request(struct device_module *module, const char *device, const rpc_message *message)
{
    char id[ANSWER_ID_BYTES], topic[TOPIC_BYTES], name[NAME_MAX_BYTES + 1], method[2 * NAME_MAX_BYTES + 16];
    const struct request *request = message->data;
    const bool has_id = request && answer_read_id(&request->ids, id);
    const bool has_topic = message->response_topic && message->response_topic[0];
    if (!module->options->adopt || (!has_id && !has_topic) ||
        !adopt_reply_topic(module, device, message, has_id ? id : NULL, topic))
        return false;
    char *params = adopt_params(message);
    if (!params)
        return false;
    adopt_name(request, name);
    snprintf(method, sizeof method, "device/%s/%s", device, name);
    const rpc_adoption adoption = {
        .method = method,
        .params = params,
        .params_size = strlen(params),
        .reply_topic = has_topic ? message->response_topic : topic,
        .correlation = message->correlation ? message->correlation
                       : has_id             ? id
                                            : NULL,
        .correlation_size = message->correlation ? message->correlation_size
                            : has_id             ? strlen(id)
                                                 : 0,
        .errors_only = !adopt_answers_elsewhere(module, device, message),
    };
    const bool is_taken = adopt_with(module, message, has_id ? id : NULL, &adoption);
    free(params);
    return is_taken;
}

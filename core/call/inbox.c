// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Inboxes: see inbox.h. */
#include "call/inbox.h"

#include "call/engine_parts.h"
#include "call/topic.h"
#include "shape/codec.h"
#include "shape/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Messages ---- */

const rpc_inbox *inbox_find(const struct engine *engine, const char *topic, rpc_instance **owner,
                            const char **below)
{
    for (*owner = engine->registry.inboxes; *owner; *owner = (*owner)->next_inboxes) {
        *below = topic_below((*owner)->inbox_root, topic);
        const rpc_module *module = (*owner)->module;
        const rpc_inbox *inbox = *below ? module->inboxes.rows : NULL;
        for (; RPC_HAS_ROW(module->inboxes, inbox); inbox++) {
            if (topic_matches(inbox->topic, *below))
                return inbox;
        }
    }
    return NULL;
}

/* Cuts a topic, which matches the inbox, into levels, and lists those that the levels `+` match, with NULL at
 * the end. */
static void inbox_read_levels(const char *inbox, char *topic, const char **levels)
{
    for (;; inbox++) {
        const size_t length = strcspn(topic, "/");
        topic[length] = '\0';
        if (*inbox == '+')
            *levels++ = topic;
        inbox += strcspn(inbox, "/");
        if (!*inbox)
            break;
        topic += length + 1;
    }
    *levels = NULL;
}

/* Decodes a payload into memory of the arena. NULL: why, of FIELDS_WHY bytes, says what is wrong with it. */
static const void *inbox_decode(const struct engine *engine, const struct fields *fields,
                                const struct host_message *message, struct arena *arena, char *why)
{
    const size_t max = (size_t)engine->env.options.max_payload;
    struct json_error error;
    void *decoded;
    if (message->size > max) {
        snprintf(why, FIELDS_WHY, "the payload has %zu bytes, which is over max_payload, %zu", message->size,
                 max);
        return NULL;
    }
    cJSON *tree = engine->codec->parse(message->payload, message->size, arena, &error);
    if (error.fault != JSON_FINE) {
        snprintf(why, FIELDS_WHY, "%s", error.why);
        return NULL;
    }
    if (!cJSON_IsObject(tree)) {
        snprintf(why, FIELDS_WHY, "the payload must be a JSON object");
        return NULL;
    }
    json_keep_ids(tree);
    const rpc_status status = fields_decode(fields, tree, arena, &decoded, why);
    if (status == RPC_INTERNAL_ERROR)
        snprintf(why, FIELDS_WHY, "no memory");
    return status == RPC_OK ? decoded : NULL;
}

/* Calls the receive function. */
static rpc_inbox_verdict inbox_call(rpc_instance *instance, const rpc_inbox *inbox,
                                    const rpc_message *message)
{
    struct env *env = instance->env;
    const bool timed = env->options.slow_call;
    const uint64_t start = timed ? env_now(env) : 0;
    const rpc_inbox_verdict verdict = inbox->receive(instance, instance->state, message);
    if (timed)
        env_check_time(env, "inbox", inbox->topic, start);
    return verdict;
}

enum engine_verdict inbox_receive(rpc_instance *instance, const rpc_inbox *inbox,
                                  const struct host_message *message, const char *below)
{
    const struct host_client *client = message->client;
    const struct fields *fields = &instance->inbox_payloads[inbox - instance->module->inboxes.rows];
    const char *levels[TOPIC_WILD_MAX + 1];
    char text[TOPIC_CALLED_MAX + 1], why[FIELDS_WHY];
    struct arena arena;
    if (instance->env->stopping)
        return ENGINE_PASS;
    inbox_read_levels(inbox->topic, memcpy(text, below, strlen(below) + 1), levels);
    if (inbox->sender_level && strcmp(levels[inbox->sender_level - 1], client->id) != 0)
        return client->bridge ? ENGINE_PASS : ENGINE_REFUSE;

    rpc_message given = {
        .topic = message->topic,
        .levels = levels,
        .payload = message->payload,
        .size = message->size,
        .qos = message->qos,
        .response_topic = message->response_topic,
        .correlation = message->correlation,
        .correlation_size = message->correlation_size,
        .connection = client->connection,
        .sender_id = client->id,
        .sender_user = client->user,
        .sender_version = client->version,
        .bridge = client->bridge,
    };
    arena_init(&arena);
    if (fields->shape && message->size) {
        given.data = inbox_decode(instance->engine, fields, message, &arena, why);
        given.why = given.data ? NULL : why;
    }
    instance->received = message;
    const rpc_inbox_verdict verdict = inbox_call(instance, inbox, &given);
    instance->received = NULL;
    arena_fini(&arena);
    if (verdict == RPC_INBOX_PASS)
        return ENGINE_PASS;
    return verdict == RPC_INBOX_CONSUME || client->bridge ? ENGINE_CONSUME : ENGINE_REFUSE;
}

const char *rpc_message_level(const rpc_message *message, unsigned level)
{
    for (const char *const *text = message->levels; level && *text; text++) {
        if (--level == 0)
            return *text;
    }
    return NULL;
}

/* ---- Roots ---- */

rpc_status rpc_inbox_set_root(rpc_instance *instance, const char *root)
{
    if (!instance->module->inboxes.count || instance->ready) {
        env_log(&instance->engine->env, RPC_LOG_ERROR,
                "module %s sets its inbox root, which only the init of a module with inboxes can",
                instance->module->name);
        return RPC_INTERNAL_ERROR;
    }
    if (root && (!topic_is_prefix(root) || *root == '$'))
        return RPC_INVALID_PARAMS;
    char *copy = root ? topic_of_root("", root) : NULL;
    if (root && !copy)
        return RPC_INTERNAL_ERROR;
    free(instance->inbox_root);
    instance->inbox_root = copy;
    instance->root_is_set = true;
    return RPC_OK;
}

const char *rpc_inbox_root(const rpc_instance *instance)
{
    return instance->inbox_root;
}

/* Whether nothing of an engine overlaps the root of an instance, which may be the engine's own one. usual: no
 * root that was set counts. */
static bool inbox_check_root(const rpc_instance *instance, const struct engine *engine, bool usual, char *why)
{
    const char *root = instance->inbox_root, *module = instance->module->name;
    const char *prefix = engine->env.options.prefix;
    if (topic_root_clashes(root, prefix)) {
        snprintf(why, REGISTRY_WHY, "module %s: its inbox root %s overlaps the topics of the prefix %s",
                 module, root, prefix);
        return false;
    }
    for (const rpc_instance *other = engine->registry.inboxes; other; other = other->next_inboxes) {
        if (other == instance || (usual && other->root_is_set) || !topic_roots_clash(root, other->inbox_root))
            continue;
        snprintf(why, REGISTRY_WHY,
                 "module %s: its inbox root %s overlaps the inbox root %s of module %s, prefix %s", module,
                 root, other->inbox_root, other->module->name, prefix);
        return false;
    }
    return true;
}

bool inbox_give_way(rpc_instance *instance, char overlap[REGISTRY_WHY])
{
    const struct engine *engine = instance->engine;
    if (!instance->inbox_root)
        return false;
    do {
        if (!inbox_check_root(instance, engine, true, overlap)) {
            free(instance->inbox_root);
            instance->inbox_root = NULL;
            return true;
        }
        engine = engine->next;
    } while (engine != instance->engine);
    return false;
}

void inbox_log_off(const rpc_instance *instance, const char *overlap)
{
    const rpc_module *module = instance->module;
    const char *option = module->inbox_option;
    env_log(instance->env, RPC_LOG_NOTICE, "%s: its inboxes are off here%s%s%s%s%s", overlap,
            option ? "; the option " : "", option ? module->name : "", option ? "_" : "",
            option ? option : "", option ? " would set another root" : "");
}

bool inbox_check(struct engine *const *engines, size_t count, char why[REGISTRY_WHY])
{
    for (size_t i = 0; i < count; i++) {
        for (const rpc_instance *own = engines[i]->registry.inboxes; own; own = own->next_inboxes) {
            for (size_t j = 0; j < count; j++) {
                if (!inbox_check_root(own, engines[j], false, why))
                    return false;
            }
        }
    }
    return true;
}

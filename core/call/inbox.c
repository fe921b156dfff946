// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Inboxes: see inbox.h. */
#include "call/inbox.h"

#include "call/engine_parts.h"
#include "call/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Messages ---- */

/* The levels of a topic that the levels `+` of an inbox match, each as a string; `all` ends with NULL. */
struct inbox_levels {
    const char *all[TOPIC_WILD_MAX + 1];
    char text[TOPIC_WILD_MAX][TOPIC_LEVEL_MAX + 1];
};

/* Returns the inbox that a topic belongs to and, in *owner and *below, whose it is and what stands behind the
 * root; NULL: none. */
static const rpc_inbox *inbox_find(const struct engine *engine, const char *topic, rpc_instance **owner,
                                   const char **below)
{
    for (*owner = engine->registry.inboxes; *owner; *owner = (*owner)->next_inboxes) {
        *below = topic_below((*owner)->inbox_root, topic);
        const rpc_inbox *inbox = *below ? (*owner)->module->inboxes : NULL;
        for (; inbox && inbox->topic; inbox++) {
            if (topic_matches(inbox->topic, *below))
                return inbox;
        }
    }
    return NULL;
}

bool inbox_serves(const struct engine *engine, const char *topic)
{
    rpc_instance *owner;
    const char *below;
    return inbox_find(engine, topic, &owner, &below);
}

/* The topic matches the inbox, so they have the same number of levels. */
static void inbox_read_levels(struct inbox_levels *levels, const char *inbox, const char *topic)
{
    size_t count = 0;
    for (;; inbox++) {
        const size_t length = strcspn(topic, "/");
        if (*inbox == '+') {
            char *text = memcpy(levels->text[count], topic, length);
            text[length] = '\0';
            levels->all[count++] = text;
        }
        inbox += strcspn(inbox, "/");
        topic += length + 1;
        if (!*inbox)
            break;
    }
    levels->all[count] = NULL;
}

rpc_inbox_verdict inbox_receive(struct engine *engine, const struct host_message *message)
{
    const struct host_client *client = message->client;
    rpc_instance *instance;
    const char *below;
    const rpc_inbox *inbox = inbox_find(engine, message->topic, &instance, &below);
    if (!inbox || engine->env.stopping)
        return RPC_INBOX_PASS;
    struct inbox_levels levels;
    inbox_read_levels(&levels, inbox->topic, below);
    if (inbox->sender_level && strcmp(levels.all[inbox->sender_level - 1], client->id) != 0)
        return client->bridge ? RPC_INBOX_PASS : RPC_INBOX_REFUSE;

    const rpc_message given = {
        .topic = message->topic,
        .levels = levels.all,
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
    const bool timed = engine->env.options.slow_call;
    const uint64_t start = timed ? env_now(&engine->env) : 0;
    const rpc_inbox_verdict verdict = inbox->receive(instance, instance->state, &given);
    if (timed)
        env_check_time(&engine->env, "inbox", inbox->topic, start);
    return verdict;
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
    if (!instance->module->inboxes || instance->ready) {
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
    return RPC_OK;
}

const char *rpc_inbox_root(const rpc_instance *instance)
{
    return instance->inbox_root;
}

static bool inbox_explain(const rpc_instance *instance, const char *what, const char *whose, char *why)
{
    snprintf(why, INBOX_WHY, "module %s: its inbox root %s overlaps %s %s", instance->module->name,
             instance->inbox_root, what, whose);
    return false;
}

/* Whether nothing of an engine overlaps the root of an instance, which may be the engine's own one. */
static bool inbox_check_root(const rpc_instance *instance, const struct engine *engine, char *why)
{
    const char *prefix = engine->env.options.prefix;
    if (topic_root_clashes(instance->inbox_root, prefix))
        return inbox_explain(instance, "the topics of the prefix", prefix, why);
    for (const rpc_instance *other = engine->registry.inboxes; other; other = other->next_inboxes) {
        if (other == instance || !topic_roots_clash(instance->inbox_root, other->inbox_root))
            continue;
        char whose[INBOX_WHY / 2];
        snprintf(whose, sizeof whose, "%s of module %s, prefix %s", other->inbox_root, other->module->name,
                 prefix);
        return inbox_explain(instance, "the inbox root", whose, why);
    }
    return true;
}

bool inbox_check(struct engine *const *engines, size_t count, char why[INBOX_WHY])
{
    for (size_t i = 0; i < count; i++) {
        for (const rpc_instance *own = engines[i]->registry.inboxes; own; own = own->next_inboxes) {
            for (size_t j = 0; j < count; j++) {
                if (!inbox_check_root(own, engines[j], why))
                    return false;
            }
        }
    }
    return true;
}

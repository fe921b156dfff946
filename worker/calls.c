// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Subscriptions to calls, and calls to all workers: see calls.h. */
#include "calls.h"

#include "call/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS_FILTER = TOPIC_PREFIX_MAX + 128 + 64 };

static const char *const calls_verbs[] = {"rpc.list", "rpc.stats"};
static const char calls_all[] = "/worker/all/";
static const char calls_mark; /* its address is what counts */

/* ---- Subscriptions ---- */

/* Returns how many answers there will be. */
static int calls_change(struct worker *worker, const char *filter, bool on)
{
    if (!on) {
        connection_unsubscribe(&worker->connection, filter);
        return 0;
    }
    if (connection_subscribe(&worker->connection, filter, 1, 0) >= 0)
        return 1;
    worker_log(RPC_LOG_ERROR, "the subscription to %s cannot be sent", filter);
    return 0;
}

static int calls_change_tree(struct worker *worker, const char *group, const char *prefix,
                             const struct topic_tree *tree, bool on)
{
    char filter[CALLS_FILTER];
    snprintf(filter, sizeof filter, "%s%s%s%s/%s%s", group ? "$share/" : "", group ? group : "",
             group ? "/" : "", prefix, tree->level, tree->extent == TOPIC_EXACTLY ? "" : "/#");
    return calls_change(worker, filter, on);
}

static int calls_change_all(struct worker *worker, const char *group, bool on)
{
    const struct config *config = worker->settings.first;
    char filter[CALLS_FILTER];
    int answers = 0;
    for (size_t i = 0; i < config->prefix_count; i++) {
        for (const struct topic_tree *tree = topic_trees; tree->word; tree++) {
            if (tree->sender == TOPIC_SENDER_CALLERS && tree->level &&
                topic_is_in_force(&config->engine, tree->served))
                answers += calls_change_tree(worker, group, config->prefixes[i], tree, on);
        }
        snprintf(filter, sizeof filter, "%s%s+", config->prefixes[i], calls_all);
        answers += calls_change(worker, filter, on);
    }
    return answers;
}

int calls_subscribe(struct worker *worker, const char *group)
{
    return calls_change_all(worker, group, true);
}

void calls_unsubscribe(struct worker *worker, const char *group)
{
    calls_change_all(worker, group, false);
}

bool calls_subscribed(struct worker *worker, int mid, int reason)
{
    (void)mid;
    if (reason < 0x80)
        return true;
    worker_log(RPC_LOG_ERROR, "broker %.300s: a subscription to calls was refused: %s",
               worker->options->broker, mosquitto_reason_string(reason));
    worker_fail(worker);
    return false;
}

bool calls_is_reply(const struct worker *worker, const char *topic)
{
    const struct config *config = worker->settings.first;
    for (size_t i = 0; i < config->prefix_count; i++) {
        const char *method;
        const struct topic_tree *tree = topic_classify(config->prefixes[i], topic, &method);
        if (tree)
            return tree->kind == TOPIC_RESPONSE;
    }
    return false;
}

/* Whether a topic is one at which workers tell each other what they do. */
static bool calls_is_of_workers(const struct worker *worker, const char *topic)
{
    static const char level[] = "/worker/";
    const struct config *config = worker->settings.first;
    for (size_t i = 0; i < config->prefix_count; i++) {
        const size_t prefix = strlen(config->prefixes[i]);
        if (strncmp(topic, config->prefixes[i], prefix) == 0 &&
            strncmp(topic + prefix, level, sizeof level - 1) == 0)
            return true;
    }
    return false;
}

/* ---- Calls to all ---- */

bool calls_is_to_all(const void *mark)
{
    return mark == &calls_mark;
}

/* The verb that a topic names, and the length of the prefix before it; NULL: it is none of a call to all. */
static const char *calls_find_verb(const struct worker *worker, const char *topic, size_t *prefix)
{
    const struct config *config = worker->settings.first;
    for (size_t i = 0; i < config->prefix_count; i++) {
        *prefix = strlen(config->prefixes[i]);
        if (strncmp(topic, config->prefixes[i], *prefix) == 0 &&
            strncmp(topic + *prefix, calls_all, sizeof calls_all - 1) == 0)
            return topic + *prefix + sizeof calls_all - 1;
    }
    return NULL;
}

/* rpc.ping is no method of the service, but answered all the same: who is there? */
static void calls_answer_ping(struct worker *worker, const struct host_message *message)
{
    static const struct host_client caller = {.id = "", .version = 5, .mark = &calls_mark};
    const char *filter = worker->settings.current->engine.response_topic_filter;
    char text[512];
    bool is_allowed = false;
    if (!message->response_topic || *message->response_topic == '$' ||
        mosquitto_topic_matches_sub(filter, message->response_topic, &is_allowed) || !is_allowed)
        return;
    const int size =
        snprintf(text, sizeof text, "{\"worker\":\"%s\",\"version\":\"%s\"}", worker->name, RPC_VERSION);
    void *payload = size > 0 && (size_t)size < sizeof text ? malloc((size_t)size) : NULL;
    const struct host_publication reply = {
        .client = &caller,
        .topic = message->response_topic,
        .payload = payload,
        .size = (size_t)size,
        .qos = message->qos,
        .content_type = "application/json",
        .status = "ok",
        .correlation = message->correlation,
        .correlation_size = message->correlation_size,
    };
    if (!payload)
        return;
    memcpy(payload, text, (size_t)size);
    if (!calls_publish(worker, &reply))
        free(payload);
}

bool calls_answer_all(struct worker *worker, const struct mosquitto_message *received,
                      const mosquitto_property *properties)
{
    char topic[TOPIC_PREFIX_MAX + TOPIC_NAME_MAX];
    struct client_message message;
    size_t prefix;
    const char *verb = calls_find_verb(worker, received->topic, &prefix);
    if (!verb)
        return false;
    client_message_init(&message, received, properties);
    message.client.mark = &calls_mark;
    if (strcmp(verb, "rpc.ping") == 0)
        calls_answer_ping(worker, &message.seen);
    for (size_t i = 0; i < sizeof calls_verbs / sizeof *calls_verbs; i++) {
        if (strcmp(verb, calls_verbs[i]) != 0)
            continue;
        snprintf(topic, sizeof topic, "%.*s/call/%s", (int)prefix, received->topic, verb);
        message.seen.topic = topic;
        worker_receive(worker, &message.seen);
    }
    client_message_fini(&message);
    return true;
}

bool calls_publish(struct worker *worker, const struct host_publication *publication)
{
    enum { MORE = 8 };
    /* A caller must not have a worker tell the others what the caller may not tell them. */
    if (publication->client && calls_is_of_workers(worker, publication->topic)) {
        free(publication->payload);
        return true;
    }
    const bool is_to_all =
        publication->status && publication->client && calls_is_to_all(publication->client->mark);
    if (!is_to_all || publication->property_count >= MORE)
        return client_host_publish(&worker->connection, publication);
    rpc_property properties[MORE];
    struct host_publication named = *publication;
    for (size_t i = 0; i < publication->property_count; i++)
        properties[i] = publication->properties[i];
    properties[named.property_count++] = (rpc_property){.name = "worker", .value = worker->name};
    named.properties = properties;
    return client_host_publish(&worker->connection, &named);
}

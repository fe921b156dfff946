// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The roof of one prefix: its parts' beginning and end, guards, counters. See engine.h. */
#include "engine.h"

#include "base/text.h"
#include "call/answer.h"
#include "call/copies.h"
#include "call/dispatch.h"
#include "call/engine_parts.h"
#include "call/inbox.h"
#include "call/task.h"
#include "call/topic.h"
#include "shape/codec_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXPIRE_INTERVAL = 100000000 }; /* nanoseconds between two looks at what is too old */

struct engine *engine_create(const struct engine_options *options, const struct host *host)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    engine->env.options = *options;
    engine->env.host = *host;
    if (!host->counters_topic)
        engine->env.options.sys_interval = 0;
    if (!host->knows_caller || !host->tells_endings)
        engine->env.options.redelivery_guard = 0;
    memset(&engine->published, 0xFF, sizeof engine->published); /* so that zeros are published as well */
    engine->registry = (struct registry){.engine = engine, .env = &engine->env, .timers = &engine->timers};
    dedup_init(&engine->dedup, &engine->env);
    engine->codec = engine->event_codec = &codec_json;
    engine->answers = answers_create(options);
    engine->tasks = tasks_create(&engine->env);
    if (engine->answers && engine->tasks)
        return engine;
    engine_destroy(engine, 0);
    return NULL;
}

bool engine_add_module(struct engine *engine, const rpc_module *module, const void *module_options,
                       char why[ENGINE_WHY])
{
    _Static_assert((int)ENGINE_WHY == (int)REGISTRY_WHY, "the registry explains into the engine's buffer");
    return registry_add(&engine->registry, engine->env.options.prefix, module, module_options, why);
}

/* Explains; returns false, so that callers can return it. */
static bool no_method(const char *name, size_t length, char why[ENGINE_WHY])
{
    char shown[64];
    char safe[64];
    snprintf(shown, sizeof shown, "%.*s", (int)length, name);
    snprintf(why, ENGINE_WHY,
             "jsonrpc_methods: '%s': it takes names of methods, separated by spaces, or *; no "
             "module has this one",
             text_printable(shown, safe, sizeof safe));
    return false;
}

static struct registry_method *find_word(const struct engine *engine, const char *word, size_t length)
{
    struct registry_method *method;
    HASH_FIND(hh, engine->registry.methods, word, length, method);
    return method;
}

bool engine_open_methods(struct engine *engine, char why[ENGINE_WHY])
{
    const char *word = engine->env.options.jsonrpc_methods ? engine->env.options.jsonrpc_methods : "";
    const bool all = text_has_word(word, "*");
    struct registry_method *method;
    for (method = engine->registry.methods; all && method; method = method->hh.next)
        method->at_endpoint = true;
    for (word += strspn(word, " "); *word; word += strspn(word, " ")) {
        const size_t length = strcspn(word, " ");
        method = find_word(engine, word, length);
        if (method)
            method->at_endpoint = true;
        else if (length != 1 || *word != '*')
            return no_method(word, length, why);
        word += length;
    }
    return true;
}

void engine_stop(struct engine *engine)
{
    if (!engine || engine->env.stopping)
        return;
    engine->env.stopping = true;
    tasks_stop(engine);
}

bool engine_destroy(struct engine *engine, uint64_t patience)
{
    if (!engine)
        return true;
    if (engine->tasks)
        engine_stop(engine);
    const bool is_over = tasks_destroy(engine, patience);
    registry_fini(&engine->registry);
    timers_fini(&engine->timers);
    copies_clear(engine);
    dedup_fini(&engine->dedup);
    exchange_free_spares(engine);
    answers_destroy(engine->answers);
    free(engine);
    return is_over;
}

const struct engine_counters *engine_counters(const struct engine *engine)
{
    return &engine->env.counters;
}

void engine_each_method(const struct engine *engine, void (*visit)(const rpc_method *method, void *context),
                        void *context)
{
    const struct registry_method *method = engine->registry.methods;
    for (; method; method = method->hh.next)
        visit(method->declared, context);
}

/* ---- Messages ---- */

/* The tree that a topic belongs to, if the engine looks at its messages. */
static const struct topic_tree *engine_find_tree(const struct engine *engine, const char *topic,
                                                 const char **name)
{
    const struct engine_options *options = &engine->env.options;
    const struct topic_tree *tree = topic_classify(options->prefix, topic, name);
    return tree && topic_is_in_force(options, tree->served) ? tree : NULL;
}

bool engine_serves(const struct engine *engine, const char *topic)
{
    const char *name;
    return engine_find_tree(engine, topic, &name) || inbox_serves(engine, topic);
}

static bool engine_may_announce(const struct engine *engine, const struct host_client *client)
{
    return !engine->env.options.guard_events ||
           (client->user && text_has_word(engine->env.options.event_publishers, client->user));
}

static enum engine_verdict engine_refuse(struct engine *engine, const struct host_message *message)
{
    engine->env.counters.refused++;
    env_log(&engine->env, RPC_LOG_DEBUG, "refused: client %.100s may not publish to %.200s",
            message->client->id, message->topic);
    return ENGINE_REFUSE;
}

/* Some brokers would end a bridge's connection when its message is refused. */
static enum engine_verdict engine_receive_other(struct engine *engine, const struct host_message *message)
{
    switch (inbox_receive(engine, message)) {
    case RPC_INBOX_PASS:
        return ENGINE_PASS;
    case RPC_INBOX_CONSUME:
        return ENGINE_CONSUME;
    case RPC_INBOX_REFUSE:
        break;
    }
    return message->client->bridge ? ENGINE_CONSUME : engine_refuse(engine, message);
}

static enum engine_verdict engine_receive_any(struct engine *engine, const struct host_message *message)
{
    const struct host_client *client = message->client;
    const char *name = NULL;
    const struct topic_tree *tree = engine_find_tree(engine, message->topic, &name);
    if (!tree)
        return engine_receive_other(engine, message);
    if (tree->sender == TOPIC_SENDER_CALLERS) {
        const bool may_call = !client->bridge || engine->env.options.bridge_calls;
        return may_call ? dispatch_message(engine, message, tree->kind, name) : ENGINE_PASS;
    }
    const bool may_publish =
        client->bridge || (tree->sender == TOPIC_SENDER_PUBLISHERS && engine_may_announce(engine, client));
    return may_publish ? ENGINE_PASS : engine_refuse(engine, message);
}

/* An evicted call is answered after the handler that evicted it returns. */
enum engine_verdict engine_receive(struct engine *engine, const struct host_message *message)
{
    const enum engine_verdict verdict = engine_receive_any(engine, message);
    tasks_end_evicted(engine);
    return verdict;
}

bool engine_wants_presence(const struct engine *engine)
{
    return engine->registry.watchers != NULL;
}

static void engine_tell_watchers(struct engine *engine, const rpc_presence *presence)
{
    rpc_instance *instance = engine->registry.watchers;
    for (; instance; instance = instance->next_watcher)
        instance->module->presence(instance, instance->state, presence);
    tasks_end_evicted(engine);
}

void engine_presence(struct engine *engine, const struct host_presence *presence)
{
    const struct host_client *client = presence->client;
    if (engine->registry.watchers)
        engine_tell_watchers(engine, &(const rpc_presence){.sign = presence->sign,
                                                           .client = client->id,
                                                           .user = client->user,
                                                           .filter = presence->filter,
                                                           .connection = client->connection});
}

void engine_client_ended(struct engine *engine, const struct host_ending *ending)
{
    copies_connection_ended(engine, ending->connection);
    dedup_connection_ended(&engine->dedup, ending, env_now(&engine->env));
    if (engine->connections) {
        exchange_connection_ended(engine, ending);
        tasks_connection_ended(engine, ending->connection);
        tasks_end_evicted(engine);
    }
    if (engine->registry.watchers)
        engine_tell_watchers(engine, &(const rpc_presence){.sign = RPC_SIGN_GONE,
                                                           .client = ending->id,
                                                           .connection = ending->connection});
}

/* ---- Counters ---- */

/* Returns whether it is on its way. */
static bool publish_counter(struct engine *engine, const char *level, uint64_t value)
{
    char topic[TOPIC_PREFIX_MAX + 128];
    char digits[24];
    snprintf(topic, sizeof topic, "%s/%s/%s", engine->env.host.counters_topic, engine->env.options.prefix,
             level);
    const int length = snprintf(digits, sizeof digits, "%" PRIu64, value);
    void *payload = engine->env.host.allocate(engine->env.host.context, (size_t)length);
    if (payload)
        memcpy(payload, digits, (size_t)length);
    return answer_publish(&engine->env, &(const struct host_publication){.to_subscribers = true,
                                                                         .topic = topic,
                                                                         .payload = payload,
                                                                         .size = (size_t)length,
                                                                         .retain = true});
}

static void publish_counters(struct engine *engine)
{
    const struct engine_counters *counters = &engine->env.counters;
    struct engine_counters *published = &engine->published;
#define PUBLISH(member, level, text)                                                               \
    if (counters->member != published->member && publish_counter(engine, level, counters->member)) \
        published->member = counters->member;
    ENGINE_COUNTERS(PUBLISH)
#undef PUBLISH
}

static uint64_t earlier(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

/* An engine in which nothing happens has no counters to publish. */
uint64_t engine_due(const struct engine *engine)
{
    const bool has_news = engine->env.options.sys_interval &&
                          memcmp(&engine->env.counters, &engine->published, sizeof engine->published) != 0;
    const uint64_t sys = has_news ? engine->counters_due : UINT64_MAX;
    const uint64_t timers = engine->env.stopping ? UINT64_MAX : timers_due(&engine->timers);
    return earlier(sys, earlier(tasks_due(engine->tasks), timers));
}

void engine_tick(struct engine *engine)
{
    const uint64_t now = env_now(&engine->env);
    tasks_collect(engine);
    tasks_expire(engine, now);
    timers_run(&engine->timers, now);
    tasks_end_evicted(engine);
    if (now >= engine->expire_due) {
        engine->expire_due = now + EXPIRE_INTERVAL;
        dedup_expire(&engine->dedup, now);
    }
    if (!engine->env.options.sys_interval || now < engine->counters_due)
        return;
    engine->counters_due = now + env_nanoseconds(engine->env.options.sys_interval);
    publish_counters(engine);
}

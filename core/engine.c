// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The engine's beginning and end, its guards, its log and its counters. What a message that calls goes
 * through begins in exchange.c, what handlers see is in handler.c.
 */
#include "call/engine_private.h"

#include "base/text.h"
#include "call/inbox.h"
#include "call/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXPIRE_INTERVAL = 100000000 }; /* nanoseconds between two looks at what is too old */

/* What is known by its place in an order is only forgotten by its client, or to make room. */
static void prepare_memory(struct engine *engine)
{
    const struct engine_options *options = &engine->env.options;
    engine->seed = digest_seed();
    engine->duplicates = (struct reply_cache){.max_entries = options->duplicate_entries,
                                              .max_bytes = options->duplicate_bytes,
                                              .window = options->duplicate_window};
    engine->ordered = engine->duplicates;
    engine->ordered.window = UINT64_MAX;
    engine->clients = (struct clients){.seed = engine->seed,
                                       .redelivery_guard = options->redelivery_guard,
                                       .duplicates = &engine->duplicates,
                                       .ordered = &engine->ordered};
}

struct engine *engine_create(const struct engine_options *options, const struct host *host)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    engine->env.options = *options;
    engine->env.host = *host;
    if (!host->counters_topic)
        engine->env.options.sys_interval = 0;
    engine->error_topic = topic_of_event(options->prefix, "error");
    engine->scratch = malloc(options->max_reply);
    engine->pool = pool_create(options->workers, host->wake, host->context);
    memset(&engine->published, 0xFF, sizeof engine->published); /* so that the zeros are published as well */
    prepare_memory(engine);
    if (engine->error_topic && engine->scratch && engine->pool)
        return engine;
    engine_destroy(engine, 0);
    return NULL;
}

bool engine_add_module(struct engine *engine, const rpc_module *module, const void *module_options,
                       char why[ENGINE_WHY])
{
    _Static_assert((int)ENGINE_WHY == (int)REGISTRY_WHY, "the registry explains into the engine's buffer");
    return registry_add(&engine->registry, engine, engine->env.options.prefix, module, module_options, why);
}

/* Explains; returns false, so that callers can return it. */
static bool no_method(const char *name, size_t length, char why[ENGINE_WHY])
{
    char shown[64];
    char safe[64];
    snprintf(shown, sizeof shown, "%.*s", (int)length, name);
    snprintf(why, ENGINE_WHY,
             "plugin_opt_jsonrpc_methods: '%s': it takes names of methods, separated by spaces, or *; no "
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
    const char *word = engine->env.options.jsonrpc_methods;
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
    task_stop(engine);
}

bool engine_destroy(struct engine *engine, uint64_t patience)
{
    if (!engine)
        return true;
    engine_stop(engine);
    const bool ended = task_finish(engine, patience);
    registry_fini(&engine->registry);
    timers_fini(engine);
    dedup_fini(engine);
    exchange_free_spare(engine);
    free(engine->error_topic);
    free(engine->scratch);
    free(engine);
    return ended;
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
        return may_call ? exchange_receive(engine, message, tree->kind, name) : ENGINE_PASS;
    }
    const bool may_publish =
        client->bridge || (tree->sender == TOPIC_SENDER_PUBLISHERS && engine_may_announce(engine, client));
    return may_publish ? ENGINE_PASS : engine_refuse(engine, message);
}

/* Whoever was thrown out is told when the handler that took its place has returned. */
enum engine_verdict engine_receive(struct engine *engine, const struct host_message *message)
{
    const enum engine_verdict verdict = engine_receive_any(engine, message);
    task_end_condemned(engine);
    return verdict;
}

void engine_client_ended(struct engine *engine, const struct host_ending *ending)
{
    dedup_drop_waiting(engine, ending->connection);
    clients_ended(&engine->clients, ending, env_now(&engine->env));
    if (!engine->connections)
        return;
    exchange_caller_ended(engine, ending);
    task_cancel_gone(engine, ending->connection);
    task_end_condemned(engine);
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
    return answer_publish(engine, &(const struct host_publication){.to_subscribers = true,
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

static uint64_t first_due(const struct heap *timers)
{
    const struct heap_node *first = heap_first(timers);
    return first ? first->key : UINT64_MAX;
}

/* An engine in which nothing happens has no counters to publish. */
uint64_t engine_due(const struct engine *engine)
{
    const bool changed = memcmp(&engine->env.counters, &engine->published, sizeof engine->env.counters) != 0;
    const uint64_t sys = changed && engine->env.options.sys_interval ? engine->sys_due : UINT64_MAX;
    const uint64_t alarm = engine->env.stopping ? UINT64_MAX : first_due(&engine->alarms);
    return earlier(sys, earlier(first_due(&engine->deadlines), alarm));
}

void engine_tick(struct engine *engine)
{
    const uint64_t now = env_now(&engine->env);
    task_collect(engine);
    task_expire(engine, now);
    timers_run(engine, now);
    task_end_condemned(engine);
    if (now >= engine->expire_due) {
        engine->expire_due = now + EXPIRE_INTERVAL;
        reply_cache_expire(&engine->duplicates, now);
        clients_expire(&engine->clients, now);
    }
    if (!engine->env.options.sys_interval || now < engine->sys_due)
        return;
    engine->sys_due = now + engine->env.options.sys_interval;
    publish_counters(engine);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The roof of one prefix: its parts' beginning and end, counters. See engine.h. */
#include "engine.h"

#include "base/text.h"
#include "call/answer.h"
#include "call/copies.h"
#include "call/engine_parts.h"
#include "call/foreign.h"
#include "call/inbox.h"
#include "call/receive.h"
#include "call/remote.h"
#include "call/task.h"
#include "call/topic.h"
#include "config.h"
#include "observe/health.h"
#include "observe/report.h"
#include "shape/codec_json.h"
#include "stats/recorder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nanoseconds between two looks at what is too old, and after which what is due is late. */
enum { EXPIRE_INTERVAL = 100000000, TICK_LATE = 1000000000 };

/* Switches off what the host is not made for. */
static void engine_fit_host(struct env *env)
{
    const struct host *host = &env->host;
    if (!host->counters_topic)
        env->options.sys_interval = 0;
    if (!host->knows_caller || !host->tells_endings)
        env->options.redelivery_guard = 0;
    if (!host->knows_caller)
        env->options.rate_limit = env->options.rate_bytes = 0;
    if (!host->replies_to_caller)
        env->options.reply_delivery = DELIVERY_CLIENT; /* there is no tree of a client's own */
    /* Replies go to who has handed out the call, and not where a caller wants. */
    if (host->dispatched) {
        env->options.response_topic_filter = "#";
        env->options.bridge_clients = NULL;
    }
}

struct engine *engine_create(const struct engine_options *options, const struct host *host)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return NULL;
    engine->next = engine;
    engine->env.options = *options;
    engine->env.host = *host;
    engine->started = env_now(&engine->env);
    engine_fit_host(&engine->env);
    memset(&engine->published, 0xFF, sizeof engine->published); /* so that zeros are published as well */
    engine->registry = (struct registry){.engine = engine,
                                         .env = &engine->env,
                                         .timers = &engine->timers,
                                         .strict = options->undeclared == UNDECLARED_REFUSE};
    dedup_init(&engine->dedup, &engine->env);
    dead_init(&engine->dead, engine->dedup.seed);
    engine->accounts.seed = engine->dedup.seed;
    engine->random = digest_seed() | 1; /* of its own, since the ids tell it */
    engine->accounts.by = (enum accounts_by)options->rate_limit_by;
    engine->codec = engine->event_codec = &codec_json;
    engine->answers = answers_create(options);
    engine->tasks = tasks_create(&engine->env);
    engine->foreign = foreign_create(engine, &(const struct foreign_ways){remote_place, remote_forget});
    engine->remote = remote_create(engine->dedup.seed);
    engine->recorder = recorder_create(options->recorder_payloads);
    engine->health = health_create();
    engine->env.health_is_stale = true;
    if (engine->answers && engine->tasks && engine->remote && engine->foreign && engine->recorder &&
        engine->health)
        return engine;
    engine_destroy(engine, 0);
    return NULL;
}

void engine_join(struct engine *engine, struct engine *other)
{
    struct engine *next = engine->next;
    engine->next = other->next;
    other->next = next;
}

static void engine_leave_ring(struct engine *engine)
{
    struct engine *before = engine;
    while (before->next != engine)
        before = before->next;
    before->next = engine->next;
}

/* Where the calls of an instance's methods are carried out. Returns false: no memory. */
static bool engine_place_methods(struct engine *engine, const rpc_instance *instance)
{
    struct registry_method *method = engine->registry.methods;
    for (; method; method = method->hh.next) {
        if (method->instance == instance && !remote_place(engine, method))
            return false;
    }
    return true;
}

bool engine_add_module(struct engine *engine, const rpc_module *module, const void *module_options,
                       char why[ENGINE_WHY])
{
    _Static_assert((int)ENGINE_WHY == (int)REGISTRY_WHY, "the registry explains into the engine's buffer");
    const char *prefix = engine->env.options.prefix;
    char overlap[REGISTRY_WHY];
    rpc_instance *instance = registry_enter(&engine->registry, prefix, module, why);
    if (!instance)
        return false;
    const bool gives_way = inbox_give_way(instance, overlap);
    if (!engine_place_methods(engine, instance)) {
        snprintf(why, ENGINE_WHY, "module %s: no memory", module->name);
        return false;
    }
    if (!registry_start(&engine->registry, prefix, instance, module_options, why))
        return false;
    if (gives_way && !instance->root_is_set)
        inbox_log_off(instance, overlap);
    return true;
}

/* Takes the next word of a list, and the method of a module that it names, or NULL. Returns false: the list
 * has ended. */
static bool engine_next_method(const struct engine *engine, const char **list, char word[ENGINE_WORD],
                               struct registry_method **method)
{
    const char *start = *list ? *list + strspn(*list, " ") : "";
    const size_t length = strcspn(start, " ");
    char shown[ENGINE_WORD];
    *list = start + length;
    *method = length ? registry_find_exactly(&engine->registry, start, length) : NULL;
    if (*method && (*method)->foreign)
        *method = NULL;
    snprintf(shown, sizeof shown, "%.*s", (int)length, start);
    text_printable(shown, word, ENGINE_WORD);
    return length > 0;
}

bool engine_open_methods(struct engine *engine, char why[ENGINE_WHY])
{
    const char *list = engine->env.options.jsonrpc_methods;
    struct registry_method *method;
    char word[ENGINE_WORD];
    const bool all = text_has_word(list, "*");
    for (method = engine->registry.methods; all && method; method = method->hh.next)
        method->at_endpoint = true;
    while (engine_next_method(engine, &list, word, &method)) {
        if (method) {
            method->at_endpoint = true;
        } else if (strcmp(word, "*") != 0) {
            snprintf(why, ENGINE_WHY,
                     "jsonrpc_methods: '%s': it takes names of methods, separated by spaces, or *; no "
                     "module has this one",
                     word);
            return false;
        }
    }
    return true;
}

/* ---- Options that change ---- */

bool engine_has_methods(const struct engine *engine, const char *names, char unknown[ENGINE_WORD])
{
    struct registry_method *method = NULL;
    while (engine_next_method(engine, &names, unknown, &method)) {
        if (!method)
            return false;
    }
    return true;
}

static void engine_switch_methods(struct engine *engine)
{
    const char *list = engine->env.options.methods_off;
    struct registry_method *method;
    char word[ENGINE_WORD];
    for (method = engine->registry.methods; method; method = method->hh.next)
        method->off = false;
    while (engine_next_method(engine, &list, word, &method)) {
        if (method) /* all have been found before */
            method->off = true;
    }
}

bool engine_check_placement(const struct engine *engine, const char *name, const char *placement,
                            char why[ENGINE_WHY])
{
    const struct registry *registry = &engine->registry;
    const struct registry_method *method = registry_find_exactly(registry, name, strlen(name));
    if (!method || method->foreign) {
        const char *near = method ? NULL : registry_find_near(registry, name, false);
        snprintf(why, ENGINE_WHY, "no module has a method of this name%s%.128s%s",
                 near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
        return false;
    }
    const int wanted = registry_find_placement(placement, strcspn(placement, " \t"));
    const char *fault =
        registry_check_placement(method->instance->module, method->declared, (rpc_placement)wanted);
    if (fault)
        snprintf(why, ENGINE_WHY, "%s", fault);
    return !fault;
}

/* Calls that are under way stay where they are. A method for which there is no memory stays where it was, and
 * so does one that workers declare. */
static void engine_move_methods(struct engine *engine)
{
    struct registry_method *method = engine->registry.methods;
    for (; method; method = method->hh.next) {
        const unsigned char former = method->placement;
        if (method->foreign)
            continue;
        method->placement =
            (unsigned char)registry_placement_of(engine->env.options.placements, method->declared);
        if (method->placement == former || remote_place(engine, method))
            continue;
        method->placement = former;
        env_log(&engine->env, RPC_LOG_ERROR, "no memory to change the placement of method %s",
                method->declared->name);
    }
}

/* What clients owe is counted in time, and would be too much or too little at other rates. */
static void engine_forgive(struct engine *engine)
{
    accounts_clear(&engine->accounts);
    answers_forgive(engine->answers);
}

void engine_reload(struct engine *engine, const struct engine_options *options)
{
    struct engine_options *own = &engine->env.options;
    const struct engine_options former = *own;
    options_take(&config_engine_shape, own, options);
    engine_fit_host(&engine->env);
    if (own->sys_interval != former.sys_interval)
        engine->counters_due = 0;
    if (own->rate_limit != former.rate_limit || own->rate_burst != former.rate_burst ||
        own->rate_bytes != former.rate_bytes || own->error_rate != former.error_rate ||
        own->rate_limit_by != former.rate_limit_by)
        engine_forgive(engine);
    engine->accounts.by = (enum accounts_by)own->rate_limit_by;
    dedup_reload(&engine->dedup, own);
    if (!own->dead_letters)
        dead_clear(&engine->dead);
    engine_switch_methods(engine);
    engine_move_methods(engine);
    engine->env.reloads++;
}

static rpc_instance *engine_find_instance(const struct engine *engine, const rpc_module *module)
{
    rpc_instance *instance = engine->registry.instances;
    while (instance->module != module)
        instance = instance->next;
    return instance;
}

bool engine_prepare_module(struct engine *engine, const rpc_module *module, const void *options,
                           rpc_refusal *refusal)
{
    rpc_instance *instance = engine_find_instance(engine, module);
    *refusal = (rpc_refusal){.option = "", .why = "the module does not take it, and does not say why"};
    return !module->prepare || module->prepare(instance, instance->state, options, refusal) == RPC_OK;
}

void engine_reload_module(struct engine *engine, const rpc_module *module, const void *options)
{
    rpc_instance *instance = engine_find_instance(engine, module);
    module->reload(instance, instance->state, options);
    if (engine->tasks->evicted)
        tasks_end_evicted(engine);
}

void engine_show_reload(struct engine *engine, const struct env_reload *reload)
{
    engine->env.reload = reload;
    engine->env.health_is_stale = true;
}

/* ---- The end ---- */

void engine_stop(struct engine *engine)
{
    if (!engine || engine->env.stopping)
        return;
    engine->env.stopping = true;
    engine->to_report = NULL;
    tasks_stop(engine);
}

bool engine_destroy(struct engine *engine, uint64_t patience)
{
    if (!engine)
        return true;
    if (engine->tasks)
        engine_stop(engine);
    const bool is_over = tasks_destroy(engine, patience);
    foreign_destroy(engine);
    remote_destroy(engine);
    registry_fini(&engine->registry);
    timers_fini(&engine->timers);
    copies_clear(engine);
    engine_leave_ring(engine);
    slots_fini(&engine->slots);
    dedup_fini(&engine->dedup);
    accounts_fini(&engine->accounts);
    dead_clear(&engine->dead);
    exchange_free_spares(engine);
    answers_destroy(engine->answers);
    recorder_destroy(engine->recorder);
    health_destroy(engine->health);
    free(engine);
    return is_over;
}

const struct counters *engine_counters(const struct engine *engine)
{
    return &engine->env.counters;
}

/* ---- Messages ---- */

bool engine_serves(const struct engine *engine, const char *topic, struct engine_place *place)
{
    const struct engine_options *options = &engine->env.options;
    place->inbox = NULL;
    place->adoption = NULL;
    place->tree = topic_classify(options->prefix, topic, &place->name);
    if (place->tree && topic_is_in_force(options, place->tree->served))
        return true;
    place->tree = NULL;
    place->inbox = inbox_find(engine, topic, &place->instance, &place->name);
    return place->inbox;
}

/* An evicted call is answered after the handler that evicted it returns. */
enum engine_verdict engine_receive(struct engine *engine, const struct host_message *message,
                                   const struct engine_place *place)
{
    const struct host_client *client = message->client;
    if (engine->connections)
        engine_client_seen(engine, client);
    const enum engine_verdict verdict = receive_message(engine, message, place);
    if (verdict == ENGINE_REFUSE) {
        engine->env.counters.refused++;
        env_log(&engine->env, RPC_LOG_DEBUG, "refused: client %.100s may not publish to %.200s", client->id,
                message->topic);
    }
    if (engine->tasks->evicted)
        tasks_end_evicted(engine);
    return verdict;
}

bool engine_wants_presence(const struct engine *engine)
{
    return engine->registry.watchers != NULL;
}

static void engine_tell_watchers(struct engine *engine, const rpc_presence *presence)
{
    for (rpc_instance *instance = engine->registry.watchers; instance; instance = instance->next_watcher) {
        if (instance->sees_messages || presence->sign != RPC_SIGN_SEEN)
            instance->module->presence(instance, instance->state, presence);
    }
    if (engine->tasks->evicted)
        tasks_end_evicted(engine);
}

void engine_presence(struct engine *engine, const struct host_presence *presence)
{
    const struct host_client *client = presence->client;
    engine_tell_watchers(engine, &(const rpc_presence){.sign = presence->sign,
                                                       .client = client->id,
                                                       .user = client->user,
                                                       .filter = presence->filter,
                                                       .connection = client->connection});
}

/* What a client has as a worker ends before its calls, so that none of them is cancelled at itself. */
static void engine_end_calls(struct engine *engine, const struct host_ending *ending)
{
    copies_connection_ended(engine, ending);
    exchange_connection_ended(engine, ending);
    remote_connection_ended(engine, ending);
    tasks_connection_ended(engine, ending->connection);
}

void engine_client_ended(struct engine *engine, const struct host_ending *ending)
{
    dedup_connection_ended(&engine->dedup, ending, env_now(&engine->env));
    engine_end_calls(engine, ending);
    engine_tell_watchers(
        engine,
        &(const rpc_presence){.sign = RPC_SIGN_GONE, .client = ending->id, .connection = ending->connection});
}

bool engine_has_pending(const struct engine *engine)
{
    return engine->connections != NULL;
}

void engine_client_seen(struct engine *engine, const struct host_client *client)
{
    const bool has_former = engine->connections && !engine->env.host.dispatched;
    const void *former = has_former ? clients_find_former(&engine->dedup.clients, client) : NULL;
    if (!former)
        return;
    clients_meet(&engine->dedup.clients, client, env_now(&engine->env));
    engine_end_calls(engine, &(const struct host_ending){.id = client->id,
                                                         .connection = former,
                                                         .kind = HOST_END_TAKEN_OVER,
                                                         .clean_start = client->clean_start});
}

/* ---- Counters ---- */

/* Returns whether it is on its way. */
static bool engine_publish_counter(struct engine *engine, const char *level, uint64_t value)
{
    char digits[24];
    const size_t length = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, value);
    return answer_publish_counter(&engine->env, level, true, NULL, digits, length);
}

/* When the next deadline passes or the next timer is due. */
static uint64_t engine_work_due(const struct engine *engine)
{
    const uint64_t tasks = tasks_due(engine->tasks);
    const uint64_t timers = engine->env.stopping ? UINT64_MAX : timers_due(&engine->timers);
    const uint64_t remote = remote_due(engine->remote);
    const uint64_t first = tasks < timers ? tasks : timers;
    return first < remote ? first : remote;
}

/* An engine in which nothing happens has nothing to publish: each call that ends is counted. */
uint64_t engine_due(const struct engine *engine)
{
    const uint64_t work = engine_work_due(engine), health = health_due(engine);
    const uint64_t reports = engine->to_report ? engine->report_due : UINT64_MAX;
    const uint64_t first = work < health ? work : health;
    const uint64_t due = reports < first ? reports : first;
    const bool has_news = engine->env.options.sys_interval && engine->counters_due < due &&
                          (engine->tasks->has_news ||
                           memcmp(&engine->env.counters, &engine->published, sizeof engine->published) != 0);
    return has_news ? engine->counters_due : due;
}

void engine_tick(struct engine *engine)
{
    const uint64_t now = env_now(&engine->env), due = engine_work_due(engine);
    if (due < now && now - due > TICK_LATE)
        env_note_incident(&engine->env, &engine->env.late);
    tasks_collect(engine);
    tasks_expire(engine, now);
    remote_tick(engine, now);
    timers_run(&engine->timers, now);
    tasks_end_evicted(engine);
    if (now >= engine->expire_due) {
        engine->expire_due = now + EXPIRE_INTERVAL;
        dedup_expire(&engine->dedup, now);
        accounts_expire(&engine->accounts, now);
    }
    health_publish(engine, now);
    report_publish(engine, now);
    if (!engine->env.options.sys_interval || now < engine->counters_due)
        return;
    engine->counters_due = now + env_nanoseconds(engine->env.options.sys_interval);
#define PUBLISH(member, level, text)                                        \
    if (engine->env.counters.member != engine->published.member &&          \
        engine_publish_counter(engine, level, engine->env.counters.member)) \
        engine->published.member = engine->env.counters.member;
    ENGINE_COUNTERS(PUBLISH)
#undef PUBLISH
    report_begin(engine, now);
}

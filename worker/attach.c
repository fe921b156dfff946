// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The mode `attach`: see attach.h. */
#include "attach.h"

#include "base/text.h"
#include "call/topic.h"
#include "dispatched.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)
#define ATTACH_PATIENCE (10 * SECOND) /* for a reply of the plugin */
#define ATTACH_DELAY_MIN (SECOND / 2)
#define ATTACH_DELAY_MAX (30 * SECOND)

/* Modules of which nothing is offered: they tell of the engine in which they are, or need a broker. */
static const char attach_own_modules[] = "rpc observe dead workers device";

enum attach_state {
    ATTACH_AWAY,    /* until `due` */
    ATTACH_ASKED,   /* the reply is waited for until `due` */
    ATTACH_THERE,   /* attached */
    ATTACH_LEAVING, /* the reply to rpc.detach is waited for until `due` */
    ATTACH_LEFT     /* nothing comes any more */
};

struct attach_prefix {
    const char *prefix;
    char *work, *done, *cancel; /* {prefix}/work/{name}, and below it */
    char *reply;                /* where replies of the plugin itself go */
    char token[64];             /* Correlation Data of the last request to the plugin */
    enum attach_state state;
    uint64_t due, delay; /* nanoseconds */
};

struct attach {
    struct attach_prefix prefixes[CONFIG_PREFIXES];
    size_t count;
    struct dispatched_table calls;
    unsigned long requests; /* made to plugins */
};

static struct attach *attach_of(const struct worker *worker)
{
    return worker->mode_state;
}

/* ---- What this worker offers ---- */

static bool attach_offers(const struct worker *worker, const rpc_module *module, const char *method)
{
    const char *named = worker->options->methods;
    return !text_has_word(attach_own_modules, module->name) && (!named || text_has_word(named, method));
}

/* A new array of the names of the methods; NULL: no memory. */
static cJSON *attach_list_methods(const struct worker *worker)
{
    const struct config *config = worker->settings.first;
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < config->module_count; i++) {
        const rpc_module *module = config->modules[i].module;
        for (size_t j = 0; j < module->methods.count; j++) {
            const char *name = module->methods.rows[j].name;
            if (attach_offers(worker, module, name))
                cJSON_AddItemToArray(list, cJSON_CreateString(name));
        }
    }
    return list;
}

/* Each word of the option must be a method that can be offered. */
static bool attach_check_methods(const struct worker *worker, char why[SERVICE_WHY])
{
    const struct config *config = worker->settings.first;
    const char *list = worker->options->methods;
    for (list += list ? strspn(list, " ") : 0; list && *list; list += strspn(list, " ")) {
        char word[TOPIC_NAME_MAX + 1];
        const size_t length = strcspn(list, " ");
        snprintf(word, sizeof word, "%.*s", (int)length, list);
        struct text_near near = text_near_to(word);
        bool is_known = false;
        for (size_t i = 0; i < config->module_count; i++) {
            const rpc_module *module = config->modules[i].module;
            for (size_t j = 0; j < module->methods.count; j++) {
                const char *name = module->methods.rows[j].name;
                if (text_has_word(attach_own_modules, module->name))
                    continue;
                is_known |= strcmp(name, word) == 0;
                text_near_try(&near, name);
            }
        }
        char accepted[TOPIC_NAME_MAX + 96];
        snprintf(accepted, sizeof accepted, "no module that is started has this method%s%s%s",
                 near.best ? ", did you mean " : "", near.best ? near.best : "", near.best ? "?" : "");
        if (!is_known)
            return options_refuse(&config->lines, "methods", word, accepted, why);
        list += length;
    }
    return true;
}

/* ---- Requests to the plugin ---- */

/* Calls a method of the plugin. Returns false: it cannot be sent. */
static bool attach_request(struct worker *worker, struct attach_prefix *prefix, const char *method,
                           const cJSON *params)
{
    char topic[TOPIC_PREFIX_MAX + 64];
    mosquitto_property *properties = NULL;
    char *text = params ? cJSON_PrintUnformatted(params) : NULL;
    snprintf(topic, sizeof topic, "%s/call/%s", prefix->prefix, method);
    snprintf(prefix->token, sizeof prefix->token, "%.32s-%lu",
             strrchr(worker->client_id, '-') ? strrchr(worker->client_id, '-') + 1 : "attach",
             ++attach_of(worker)->requests);
    const bool sent =
        text &&
        mosquitto_property_add_string(&properties, MQTT_PROP_RESPONSE_TOPIC, prefix->reply) ==
            MOSQ_ERR_SUCCESS &&
        mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA, prefix->token,
                                      (uint16_t)strlen(prefix->token)) == MOSQ_ERR_SUCCESS &&
        connection_publish(&worker->connection, topic, text, strlen(text), 1, false, properties);
    mosquitto_property_free_all(&properties);
    cJSON_free(text);
    return sent;
}

static void attach_try_later(struct attach_prefix *prefix)
{
    prefix->state = ATTACH_AWAY;
    prefix->due = client_host_now() + prefix->delay;
    prefix->delay = prefix->delay * 2 < ATTACH_DELAY_MAX ? prefix->delay * 2 : ATTACH_DELAY_MAX;
}

static void attach_ask(struct worker *worker, struct attach_prefix *prefix)
{
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "worker", worker->name);
    cJSON_AddStringToObject(params, "version", RPC_VERSION);
    cJSON_AddItemToObject(params, "methods", attach_list_methods(worker));
    cJSON_AddNumberToObject(params, "window", worker->options->window);
    const bool sent = attach_request(worker, prefix, "rpc.attach", params);
    cJSON_Delete(params);
    prefix->state = ATTACH_ASKED;
    prefix->due = client_host_now() + ATTACH_PATIENCE;
    if (!sent)
        attach_try_later(prefix);
}

static void attach_leave(struct worker *worker, struct attach_prefix *prefix)
{
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "worker", worker->name);
    const bool sent = attach_request(worker, prefix, "rpc.detach", params);
    cJSON_Delete(params);
    prefix->state = sent ? ATTACH_LEAVING : ATTACH_LEFT;
    prefix->due = client_host_now() + ATTACH_PATIENCE;
}

/* What the plugin wants and this worker cannot take is found here, not at some call. */
static void attach_log_result(const struct worker *worker, const struct attach_prefix *prefix,
                              const cJSON *result)
{
    const cJSON *window = cJSON_GetObjectItemCaseSensitive(result, "window"),
                *largest = cJSON_GetObjectItemCaseSensitive(result, "max_payload"),
                *ignored = cJSON_GetObjectItemCaseSensitive(result, "ignored"), *name;
    char list[300] = "", safe[100];
    cJSON_ArrayForEach(name, ignored)
    {
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", used ? " " : "",
                 cJSON_IsString(name) ? text_printable(name->valuestring, safe, sizeof safe) : "?");
    }
    worker_log(RPC_LOG_NOTICE, "%s: attached as %s, window %d%s%s", prefix->prefix, worker->name,
               cJSON_IsNumber(window) ? window->valueint : (int)worker->options->window,
               *list ? "; methods that the plugin runs itself or does not have: " : "", list);
    const int32_t own = worker->settings.current->engine.max_payload;
    if (cJSON_IsNumber(largest) && largest->valuedouble > own)
        worker_log(
            RPC_LOG_WARNING,
            "%s: the plugin's max_payload, %.15g bytes, is larger than this worker's, %d: larger calls "
            "will fail here",
            prefix->prefix, largest->valuedouble, (int)own);
}

static void attach_log_refusal(const struct attach_prefix *prefix, const char *status, const cJSON *error)
{
    const cJSON *msg = cJSON_GetObjectItemCaseSensitive(error, "msg");
    char safe[400], code[80];
    worker_log(RPC_LOG_WARNING, "%s: rpc.attach was refused: %s: %s; the next attempt is in %.1f s",
               prefix->prefix, text_printable(status, code, sizeof code),
               cJSON_IsString(msg) ? text_printable(msg->valuestring, safe, sizeof safe)
                                   : "no reason was given",
               (double)prefix->delay / (double)SECOND);
}

static bool attach_is_everywhere(const struct attach *attach)
{
    for (size_t i = 0; i < attach->count; i++) {
        if (attach->prefixes[i].state != ATTACH_THERE)
            return false;
    }
    return true;
}

/* A reply to the last request; replies to earlier ones are left out. */
static void attach_take_reply(struct worker *worker, struct attach_prefix *prefix,
                              const struct client_message *message)
{
    char status[80] = "";
    if (message->seen.correlation_size != strlen(prefix->token) ||
        memcmp(message->seen.correlation, prefix->token, strlen(prefix->token)) != 0)
        return;
    if (prefix->state == ATTACH_LEAVING)
        prefix->state = ATTACH_LEFT;
    if (prefix->state != ATTACH_ASKED)
        return;
    client_host_user_property(message->seen.properties, "status", status, sizeof status);
    cJSON *body = cJSON_ParseWithLength(message->seen.payload, message->seen.size);
    if (strcmp(status, "ok") == 0) {
        prefix->state = ATTACH_THERE;
        prefix->delay = ATTACH_DELAY_MIN;
        attach_log_result(worker, prefix, body);
        if (attach_is_everywhere(attach_of(worker)))
            worker_ready(worker);
    } else {
        attach_log_refusal(prefix, status, body);
        attach_try_later(prefix);
    }
    cJSON_Delete(body);
}

/* ---- Calls ---- */

/* Answers a call that no engine answers. */
static void attach_answer(struct worker *worker, const struct attach_prefix *prefix,
                          const struct dispatched_key *key, const char *status, const char *payload)
{
    const struct host_publication answer = {
        .topic = prefix->done,
        .payload = strdup(payload),
        .size = strlen(payload),
        .qos = 1,
        .correlation = key->id,
        .correlation_size = key->size,
        .status = status,
    };
    if (answer.payload && !client_host_publish(&worker->connection, &answer))
        free(answer.payload);
}

/* What a dispatch says of its call: memory of libmosquitto. NULL: it is not there. */
struct attach_words {
    char *method, *caller, *user, *version;
};

static void attach_read_words(const mosquitto_property *properties, struct attach_words *words)
{
    const struct {
        const char *name;
        char **word;
    } wanted[] = {{"method", &words->method},
                  {"caller", &words->caller},
                  {"caller-user", &words->user},
                  {"caller-version", &words->version}};
    *words = (struct attach_words){.method = NULL};
    for (bool skip = false; properties; skip = true) {
        char *name = NULL, *value = NULL;
        properties =
            mosquitto_property_read_string_pair(properties, MQTT_PROP_USER_PROPERTY, &name, &value, skip);
        for (size_t i = 0; properties && name && value && i < sizeof wanted / sizeof *wanted; i++) {
            if (strcmp(name, wanted[i].name) != 0 || *wanted[i].word)
                continue;
            *wanted[i].word = value;
            value = NULL;
        }
        free(name);
        free(value);
    }
}

static void attach_free_words(struct attach_words *words)
{
    free(words->method);
    free(words->caller);
    free(words->user);
    free(words->version);
}

/* Whether a topic is that of a call, so that the engine is going to answer it. */
static bool attach_is_call(const char *prefix, const char *topic)
{
    const char *method;
    const struct topic_tree *tree = topic_classify(prefix, topic, &method);
    return tree && tree->kind == TOPIC_CALL && text_is_topic(topic);
}

/* Has the engine carry out a call. Returns false: it cannot, and has not begun. */
static bool attach_carry_out(struct worker *worker, const struct attach_prefix *prefix,
                             const struct dispatched_key *key, const struct attach_words *words,
                             struct client_message *message)
{
    struct attach *attach = attach_of(worker);
    char *topic = NULL;
    if (!words->method || !words->caller || worker->state != WORKER_RUNS ||
        asprintf(&topic, "%s/call/%s", prefix->prefix, words->method) < 0)
        return false;
    const struct dispatched *call =
        attach_is_call(prefix->prefix, topic) ? dispatched_add(&attach->calls, key, words->caller) : NULL;
    bool is_taken = false;
    if (call) {
        message->client = (struct host_client){
            .id = words->caller,
            .user = words->user,
            .version = words->version && *words->version && strchr("345", *words->version)
                           ? *words->version - '0'
                           : 0,
            .clean_start = true,
            .connection = call->connection,
        };
        message->seen.topic = topic;
        message->seen.response_topic = prefix->done;
        is_taken = worker_receive(worker, &message->seen);
    }
    free(topic);
    return is_taken;
}

/* A call with an id that is being carried out is the same one, which came again. */
static void attach_take_call(struct worker *worker, const struct attach_prefix *prefix,
                             struct client_message *message)
{
    struct attach *attach = attach_of(worker);
    struct dispatched_key key;
    struct attach_words words;
    if (!dispatched_make_key(&key, (size_t)(prefix - attach->prefixes), message->seen.correlation,
                             message->seen.correlation_size) ||
        dispatched_find(&attach->calls, &key))
        return;
    attach_read_words(message->seen.properties, &words);
    if (!attach_carry_out(worker, prefix, &key, &words, message)) {
        struct dispatched *call = dispatched_find(&attach->calls, &key);
        if (call)
            dispatched_remove(&attach->calls, call);
        attach_answer(worker, prefix, &key, "refused", "");
    }
    attach_free_words(&words);
}

/* Ends a call's connection, so that nothing is sent for the call any more. */
static void attach_end_call(struct worker *worker, const struct dispatched *call)
{
    service_client_ended(worker->service, &(const struct host_ending){.id = call->caller,
                                                                      .connection = call->connection,
                                                                      .kind = HOST_END_SESSION_OVER,
                                                                      .clean_start = true});
}

static void attach_take_cancel(struct worker *worker, const struct attach_prefix *prefix,
                               const struct client_message *message)
{
    struct attach *attach = attach_of(worker);
    struct dispatched_key key;
    struct dispatched *call = dispatched_make_key(&key, (size_t)(prefix - attach->prefixes),
                                                  message->seen.correlation, message->seen.correlation_size)
                                  ? dispatched_find(&attach->calls, &key)
                                  : NULL;
    if (!call)
        return;
    attach_end_call(worker, call);
    dispatched_remove(&attach->calls, call);
    attach_answer(worker, prefix, &key, "cancelled",
                  "{\"err\":\"cancelled\",\"msg\":\"nobody waits for it any more\"}");
}

/* ---- Messages in ---- */

static void attach_message(struct worker *worker, const struct mosquitto_message *received,
                           const mosquitto_property *properties)
{
    struct attach *attach = attach_of(worker);
    struct client_message message;
    client_message_init(&message, received, properties);
    for (size_t i = 0; i < attach->count; i++) {
        struct attach_prefix *prefix = &attach->prefixes[i];
        if (strcmp(received->topic, prefix->work) == 0)
            attach_take_call(worker, prefix, &message);
        else if (strcmp(received->topic, prefix->cancel) == 0)
            attach_take_cancel(worker, prefix, &message);
        else if (strcmp(received->topic, prefix->reply) == 0)
            attach_take_reply(worker, prefix, &message);
    }
    client_message_fini(&message);
}

/* The deadline that the plugin has set is that of the caller. */
static bool attach_user_property(void *context, const struct host_message *message, const char *name,
                                 char *value, size_t size)
{
    const struct worker *worker = context;
    const bool is_deadline = strcmp(name, "timeout-ms") == 0;
    if (!client_host_user_property(message->properties, is_deadline ? "deadline-ms" : name, value, size))
        return false;
    const long long longest = worker->settings.current->engine.timeout_max;
    if (is_deadline && strtoll(value, NULL, 10) > longest)
        snprintf(value, size, "%lld", longest);
    return true;
}

/* ---- Messages out ---- */

static struct attach_prefix *attach_find_prefix(struct attach *attach, const char *done)
{
    for (size_t i = 0; i < attach->count; i++) {
        if (strcmp(attach->prefixes[i].done, done) == 0)
            return &attach->prefixes[i];
    }
    return NULL;
}

/* A reply that cannot be sent becomes an error that can: the caller would wait until its deadline. */
static bool attach_publish_reply(struct worker *worker, const struct host_publication *publication)
{
    static const char unsent[] =
        "{\"err\":\"internal_error\",\"msg\":\"the worker cannot send the reply: it is "
        "larger than the broker takes, or too many messages wait\"}";
    const bool is_last = strcmp(publication->status, "progress") != 0;
    struct attach *attach = attach_of(worker);
    const struct attach_prefix *prefix = attach_find_prefix(attach, publication->topic);
    struct dispatched_key key;
    struct dispatched *call =
        prefix && dispatched_make_key(&key, (size_t)(prefix - attach->prefixes), publication->correlation,
                                      publication->correlation_size)
            ? dispatched_find(&attach->calls, &key)
            : NULL;
    struct host_publication answer = *publication;
    answer.qos = 1;
    if (!call)
        return false;
    const bool is_sent = client_host_publish(&worker->connection, &answer);
    if (!is_sent && is_last)
        attach_answer(worker, prefix, &key, "internal_error", unsent);
    if (is_last)
        dispatched_remove(&attach->calls, call);
    return is_sent;
}

/* The plugin announces what the worker tells it below its own topic: the event's name, and its key if it has
 * one. */
static bool attach_publish_event(struct worker *worker, const struct attach_prefix *prefix, const char *event,
                                 const struct host_publication *publication)
{
    char *topic = NULL;
    if (prefix->state == ATTACH_AWAY || prefix->state == ATTACH_ASKED) { /* the plugin would refuse it */
        free(publication->payload);
        return true;
    }
    if (asprintf(&topic, "%s/event/%s", prefix->work, event) < 0)
        return false;
    struct host_publication told = *publication;
    told.topic = topic;
    told.qos = 1;
    told.retain = false;
    const bool sent = client_host_publish(&worker->connection, &told);
    free(topic);
    return sent;
}

static bool attach_publish(struct worker *worker, const struct host_publication *publication)
{
    struct attach *attach = attach_of(worker);
    if (publication->status)
        return attach_publish_reply(worker, publication);
    for (size_t i = 0; i < attach->count; i++) {
        const struct attach_prefix *prefix = &attach->prefixes[i];
        const char *method;
        const struct topic_tree *tree = topic_classify(prefix->prefix, publication->topic, &method);
        if (tree && tree->kind == TOPIC_EVENT)
            return attach_publish_event(worker, prefix,
                                        publication->topic + strlen(prefix->prefix) + sizeof "/event/" - 1,
                                        publication);
    }
    return client_host_publish(&worker->connection, publication);
}

/* ---- The connection ---- */

static void attach_connected(struct worker *worker)
{
    struct attach *attach = attach_of(worker);
    for (size_t i = 0; i < attach->count; i++) {
        /* A plugin with `reply_delivery client` would do without. */
        connection_subscribe(&worker->connection, attach->prefixes[i].reply, 1, 0);
        attach_ask(worker, &attach->prefixes[i]);
    }
}

/* The plugin knows that the calls are not answered any more. */
static void attach_lost(struct worker *worker)
{
    struct attach *attach = attach_of(worker);
    struct dispatched *call;
    while ((call = dispatched_first(&attach->calls))) {
        attach_end_call(worker, call);
        dispatched_remove(&attach->calls, call);
    }
    for (size_t i = 0; i < attach->count; i++) {
        struct attach_prefix *prefix = &attach->prefixes[i];
        prefix->state = prefix->state < ATTACH_LEAVING ? ATTACH_AWAY : ATTACH_LEFT;
        prefix->due = UINT64_MAX; /* attach_connected() */
    }
}

static void attach_tick(struct worker *worker, uint64_t now)
{
    struct attach *attach = attach_of(worker);
    for (size_t i = 0; i < attach->count; i++) {
        struct attach_prefix *prefix = &attach->prefixes[i];
        if (now < prefix->due || prefix->state == ATTACH_THERE || prefix->state == ATTACH_LEFT)
            continue;
        if (prefix->state == ATTACH_AWAY) {
            attach_ask(worker, prefix);
        } else if (prefix->state == ATTACH_LEAVING) {
            prefix->state = ATTACH_LEFT;
        } else {
            worker_log(RPC_LOG_WARNING,
                       "%s: rpc.attach is not answered: is the plugin loaded, and does it serve this prefix?",
                       prefix->prefix);
            attach_try_later(prefix);
        }
    }
}

static uint64_t attach_due(const struct worker *worker)
{
    const struct attach *attach = attach_of(worker);
    uint64_t due = UINT64_MAX;
    for (size_t i = 0; i < attach->count; i++) {
        const struct attach_prefix *prefix = &attach->prefixes[i];
        if (prefix->state != ATTACH_THERE && prefix->state != ATTACH_LEFT && prefix->due < due)
            due = prefix->due;
    }
    return due;
}

static void attach_drain(struct worker *worker)
{
    struct attach *attach = attach_of(worker);
    for (size_t i = 0; i < attach->count; i++) {
        struct attach_prefix *prefix = &attach->prefixes[i];
        if (prefix->state == ATTACH_AWAY)
            prefix->state = ATTACH_LEFT;
        else
            attach_leave(worker, prefix);
    }
}

static bool attach_is_idle(const struct worker *worker)
{
    const struct attach *attach = attach_of(worker);
    for (size_t i = 0; i < attach->count; i++) {
        if (attach->prefixes[i].state == ATTACH_LEAVING)
            return false;
    }
    return !dispatched_first(&attach->calls);
}

/* ---- Beginning and end ---- */

static bool attach_init_prefix(const struct worker *worker, struct attach_prefix *prefix, const char *word)
{
    *prefix = (struct attach_prefix){.prefix = word, .due = UINT64_MAX, .delay = ATTACH_DELAY_MIN};
    return asprintf(&prefix->work, "%s/work/%s", word, worker->name) >= 0 &&
           asprintf(&prefix->done, "%s/done", prefix->work) >= 0 &&
           asprintf(&prefix->cancel, "%s/cancel", prefix->work) >= 0 &&
           asprintf(&prefix->reply, "%s/reply/%s/attach", word, worker->client_id) >= 0;
}

static void attach_fini(struct worker *worker)
{
    struct attach *attach = attach_of(worker);
    struct dispatched *call;
    if (!attach)
        return;
    while ((call = dispatched_first(&attach->calls)))
        dispatched_remove(&attach->calls, call);
    for (size_t i = 0; i < attach->count; i++) {
        free(attach->prefixes[i].work);
        free(attach->prefixes[i].done);
        free(attach->prefixes[i].cancel);
        free(attach->prefixes[i].reply);
    }
    free(attach);
    worker->mode_state = NULL;
}

static bool attach_init(struct worker *worker, char why[SERVICE_WHY])
{
    const struct config *config = worker->settings.first;
    struct attach *attach = worker->mode_state = calloc(1, sizeof *attach);
    snprintf(why, SERVICE_WHY, "no memory to attach");
    bool is_fine = attach;
    for (size_t i = 0; is_fine && i < config->prefix_count; i++)
        is_fine = attach_init_prefix(worker, &attach->prefixes[attach->count++], config->prefixes[i]);
    return is_fine && attach_check_methods(worker, why);
}

const struct worker_mode attach_mode = {
    .word = "attach",
    .knows_caller = true,
    .dispatched = true,
    .forgets = true,
    .init = attach_init,
    .fini = attach_fini,
    .connected = attach_connected,
    .lost = attach_lost,
    .message = attach_message,
    .publish = attach_publish,
    .user_property = attach_user_property,
    .tick = attach_tick,
    .due = attach_due,
    .drain = attach_drain,
    .is_idle = attach_is_idle,
};

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What a handler may ask and do: see api.h. */
#include "call/api.h"

#include "base/status.h"
#include "base/text.h"
#include "call/answer.h"
#include "call/engine_parts.h"
#include "call/topic.h"
#include "shape/codec_json.h"

#include <stdio.h>
#include <string.h>

const char *rpc_call_method(const rpc_call *call)
{
    return call->method->declared->name;
}

const char *rpc_call_level(const rpc_call *call, const char *level)
{
    return registry_call_level(call->method, call->name, level);
}

double rpc_call_time(const rpc_call *call)
{
    return exchange_time(call->exchange);
}

const char *rpc_caller_id(const rpc_call *call)
{
    return call->engine->env.host.knows_caller ? call->exchange->message->client->id : NULL;
}

const char *rpc_caller_user(const rpc_call *call)
{
    return call->exchange->message->client->user;
}

const char *rpc_caller_address(const rpc_call *call)
{
    return call->exchange->message->client->address;
}

int rpc_caller_version(const rpc_call *call)
{
    return call->exchange->message->client->version;
}

rpc_caller rpc_call_caller(const rpc_call *call)
{
    const struct host_client *client = call->exchange->message->client;
    return (rpc_caller){rpc_caller_id(call), client->user, client->address, client->version, client->mounted};
}

bool rpc_caller_property(const rpc_call *call, const char *name, char *value, size_t size)
{
    const struct host *host = &call->engine->env.host;
    const struct host_message *message = exchange_arrived(call->exchange);
    return message && host->user_property(host->context, message, name, value, size);
}

bool rpc_call_trace(const rpc_call *call, rpc_trace *trace)
{
    const struct trace *own = call->exchange->to.trace;
    if (!own)
        return false;
    memcpy(trace->parent, own->parent, sizeof trace->parent);
    trace->state = own->state;
    return true;
}

void rpc_call_set_unchanged(rpc_call *call)
{
    call->unchanged = true;
    call->exchange->to.unchanged = call->engine->env.host.dispatched;
}

rpc_instance *rpc_call_instance(const rpc_call *call)
{
    return call->method->instance;
}

const char *rpc_prefix(const rpc_instance *instance)
{
    return instance->env->options.prefix;
}

double rpc_time(const rpc_instance *instance)
{
    return env_wall_time(instance->env);
}

uint64_t rpc_clock(const rpc_instance *instance)
{
    return env_now(instance->env) / env_nanoseconds(1);
}

bool rpc_is_json(const char *text, size_t size)
{
    struct json_error error;
    return json_check(text, size, &error);
}

uint32_t rpc_timeout_max(const rpc_instance *instance)
{
    return (uint32_t)instance->env->options.timeout_max;
}

size_t rpc_max_reply(const rpc_instance *instance)
{
    return (size_t)instance->env->options.max_reply;
}

void *rpc_alloc(rpc_call *call, size_t size)
{
    return arena_alloc(&call->arena, size);
}

char *rpc_printf(rpc_call *call, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = arena_vprintf(&call->arena, format, arguments);
    va_end(arguments);
    return text;
}

/* ---- Raising ---- */

typedef rpc_status (*api_encoder)(const rpc_shape *shape, const void *in, struct writer *writer,
                                  char why[FIELDS_WHY]);

/* What a codec writes, in memory of the call. NULL: data does not fit, is over the limit, or no memory. */
static const char *api_encode(rpc_call *call, const struct codec *codec, api_encoder encode_shape,
                              const rpc_shape *shape, const void *data, size_t *size)
{
    char why[FIELDS_WHY];
    struct writer writer = answer_writer(call->engine, codec);
    if (encode_shape(shape, data, &writer, why) == RPC_OK) {
        *size = writer.used;
        return writer.full ? NULL : arena_copy(&call->arena, writer.out, writer.used);
    }
    env_log(&call->engine->env, RPC_LOG_ERROR, "method %s: data does not fit its shape: %s", call->name, why);
    return NULL;
}

const char *rpc_encode(rpc_call *call, const rpc_shape *shape, const void *data)
{
    size_t size;
    return api_encode(call, &codec_json, fields_encode, shape, data, &size);
}

/* The prepared table of a shape that is the parameters of one of the module's methods. NULL: none has it. */
static const struct fields *api_find_fields(const rpc_call *call, const rpc_shape *shape)
{
    const rpc_module *module = call->method->instance->module;
    const rpc_method *method = module->methods.rows;
    while (RPC_HAS_ROW(module->methods, method) && method->params != shape)
        method++;
    return RPC_HAS_ROW(module->methods, method)
               ? &registry_find_exactly(&call->engine->registry, method->name, strlen(method->name))->params
               : NULL;
}

rpc_status rpc_decode(rpc_call *call, const rpc_shape *shape, const char *text, const void **data)
{
    const struct fields *found = api_find_fields(call, shape);
    struct json_error error;
    struct arena arena; /* of the tree */
    char why[FIELDS_WHY];
    void *decoded;
    if (!found) {
        env_log(&call->engine->env, RPC_LOG_ERROR, "method %s decodes a shape that is no method's parameters",
                call->name);
        return RPC_INTERNAL_ERROR;
    }
    struct fields fields = *found;
    fields.copies = true;
    arena_init(&arena);
    const cJSON *tree = json_parse(text, strlen(text), &arena, &error);
    const rpc_status status = error.fault == JSON_FINE
                                  ? fields_decode(&fields, tree, &call->arena, &decoded, why)
                              : error.fault == JSON_BROKEN   ? RPC_PARSE_ERROR
                              : error.fault == JSON_UNWANTED ? RPC_INVALID_PARAMS
                                                             : RPC_INTERNAL_ERROR;
    arena_fini(&arena);
    if (status == RPC_OK)
        *data = decoded;
    if (status == RPC_OK || status == RPC_INTERNAL_ERROR)
        return status;
    return call_fail(call, status, "%s", error.fault == JSON_FINE ? why : error.why);
}

/* The text of an error: not too long, and UTF-8 even if what the handler put into it is not. NULL: no memory.
 */
static const char *api_make_message(rpc_call *call, const char *format, va_list arguments)
{
    char *message = arena_vprintf(&call->arena, format, arguments);
    if (!message)
        return NULL;
    message[text_cut(message, API_MESSAGE_MAX)] = '\0';
    size_t characters;
    if (text_is_utf8(message, &characters))
        return message;
    char *safe = arena_alloc(&call->arena, API_MESSAGE_MAX);
    return safe ? text_printable(message, safe, API_MESSAGE_MAX) : NULL;
}

/* The value of the key of the method's error event, in memory of the call. NULL: the event is not keyed, or
 * no memory. */
static const char *api_copy_key(rpc_call *call, const rpc_shape *shape, const void *data)
{
    const struct registry_event *event = call->method->error_event;
    char number[FIELDS_KEY];
    if (!event || !event->declared->key)
        return NULL;
    const char *key = fields_key(fields_find(shape, event->declared->key), data, number);
    return arena_copy(&call->arena, key, strlen(key));
}

static rpc_status api_raise_error(rpc_call *call, const char *code, const void *data, const char *format,
                                  va_list arguments)
{
    const rpc_error *declared = registry_find_error(call->method->declared, code);
    const rpc_status status = status_find(code);
    const char *fault = NULL;
    if (status == RPC_RAISED && !declared)
        fault = "the method declares no such error";
    else if (data && (!declared || !declared->data))
        fault = "the error declares no data";
    if (fault) {
        env_log(&call->engine->env, RPC_LOG_ERROR, "method %s raised %.64s: %s", call->name, code, fault);
        return RPC_INTERNAL_ERROR;
    }
    const char *message = api_make_message(call, format, arguments);
    size_t size = 0;
    const char *extra =
        data ? api_encode(call, answer_codec(call), fields_encode_members, declared->data, data, &size)
             : NULL;
    const char *key = extra ? api_copy_key(call, declared->data, data) : NULL;
    call->failure =
        (struct failure){status, declared ? declared->code : status_name(status), message, extra, size, key};
    return status;
}

rpc_status rpc_raise(rpc_call *call, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const rpc_status status = api_raise_error(call, code, NULL, format, arguments);
    va_end(arguments);
    return status;
}

rpc_status rpc_raise_with(rpc_call *call, const char *code, const void *data, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const rpc_status status = api_raise_error(call, code, data, format, arguments);
    va_end(arguments);
    return status;
}

/* ---- Announcing ---- */

/* A call whose outcome is known still has its task while its work runs. */
rpc_status rpc_progress(rpc_call *call, const void *data)
{
    struct env *env = &call->engine->env;
    if (call->state >= CALL_ENDING || env->stopping)
        return RPC_CANCELLED;
    if (call->task && call->method->declared->progress)
        return answer_progress(call, data);
    env_log(env, RPC_LOG_ERROR, "method %s sends progress, but %s", call->name,
            call->task ? "declares none" : "its call is not pending");
    return RPC_INTERNAL_ERROR;
}

static rpc_status api_announce(rpc_instance *instance, struct answer_cause cause, const char *event,
                               const void *data)
{
    struct engine *engine = instance->engine;
    if (engine->env.stopping)
        return RPC_CANCELLED;
    const struct registry_event *found = registry_find_event(&engine->registry, event);
    if (!found || found->instance != instance || !found->declared->data) {
        env_log(&engine->env, RPC_LOG_ERROR,
                "module %s announced %.128s, which it does not declare with data", instance->module->name,
                event);
        return RPC_INTERNAL_ERROR;
    }
    return answer_announce(engine, cause, found, data);
}

rpc_status rpc_announce(rpc_instance *instance, rpc_call *call, const char *event, const void *data)
{
    return api_announce(instance, answer_cause(call), event, data);
}

rpc_status rpc_announce_for(rpc_instance *instance, const rpc_trace *trace, const char *event,
                            const void *data)
{
    struct trace own;
    if (!trace)
        return api_announce(instance, answer_cause(NULL), event, data);
    if (memchr(trace->parent, '\0', sizeof trace->parent) != trace->parent + TRACE_PARENT ||
        !trace_is_state(trace->parent) || (trace->state && !trace_is_state(trace->state))) {
        env_log(instance->env, RPC_LOG_ERROR, "module %s announced %.128s for what is no trace",
                instance->module->name, event);
        return RPC_INTERNAL_ERROR;
    }
    own = (struct trace){.state = trace->state};
    memcpy(own.parent, trace->parent, sizeof own.parent);
    return api_announce(instance, (struct answer_cause){.trace = &own}, event, data);
}

rpc_status rpc_retract(rpc_instance *instance, rpc_call *call, const char *event, const char *key)
{
    struct engine *engine = instance->engine;
    if (engine->env.stopping)
        return RPC_CANCELLED;
    const struct registry_event *found = registry_find_event(&engine->registry, event);
    if (!found || found->instance != instance || !found->declared->key || !found->declared->retained) {
        env_log(&engine->env, RPC_LOG_ERROR,
                "module %s retracts %.128s, which it does not declare as retained and keyed",
                instance->module->name, event);
        return RPC_INTERNAL_ERROR;
    }
    return answer_retract(engine, answer_cause(call), found, key);
}

/* ---- Sending ---- */

enum { API_PROPERTIES_MAX = 8 };

static bool api_is_topic(const char *topic)
{
    return topic && *topic && strlen(topic) <= TOPIC_MAX && text_is_topic(topic);
}

/* Whether a text fits into a property. */
static bool api_is_text(const char *text)
{
    return text && strlen(text) <= TOPIC_MAX && text_is_mqtt(text);
}

static bool api_has_proper_properties(const rpc_publication *publication)
{
    const rpc_property *property = publication->properties;
    if (publication->property_count > API_PROPERTIES_MAX || (publication->property_count && !property))
        return false;
    for (unsigned i = 0; i < publication->property_count; i++, property++) {
        if (!api_is_text(property->name) || !*property->name || !api_is_text(property->value))
            return false;
    }
    return !publication->content_type || api_is_text(publication->content_type);
}

/* Whether there is one payload, of bytes or of a shape. */
static bool api_has_proper_payload(const rpc_publication *publication)
{
    const rpc_shape *shape = publication->shape;
    if (shape)
        return publication->data && !publication->payload && !publication->size &&
               shape->form != RPC_FORM_BYTES;
    return !publication->data && (publication->payload || !publication->size);
}

static bool api_may_send(const rpc_instance *instance, const rpc_publication *publication)
{
    const char *topic = publication->topic, *answer = publication->response_topic, *name;
    return api_has_proper_payload(publication) && api_has_proper_properties(publication) &&
           (publication->correlation || !publication->correlation_size) && api_is_topic(topic) &&
           *topic != '$' && !topic_classify(instance->env->options.prefix, topic, &name) &&
           publication->qos >= 0 && publication->qos <= 2 && !(publication->client && publication->retain) &&
           publication->correlation_size <= TOPIC_MAX && (!answer || api_is_topic(answer));
}

/* The payload of a publication that may be sent. Returns what rpc_send() does. */
static rpc_status api_take_payload(const rpc_instance *instance, const rpc_publication *publication,
                                   const void **payload, size_t *size)
{
    struct engine *engine = instance->engine;
    char why[FIELDS_WHY];
    *payload = publication->payload;
    *size = publication->size;
    if (!publication->shape)
        return *size > (size_t)engine->env.options.max_reply ? RPC_REPLY_TOO_LARGE : RPC_OK;
    struct writer writer = answer_writer(engine, engine->event_codec);
    const rpc_status status = fields_encode(publication->shape, publication->data, &writer, why);
    if (status != RPC_OK)
        env_log(&engine->env, RPC_LOG_ERROR,
                "module %s sends data that does not fit its shape, to %.128s: %s", instance->module->name,
                publication->topic, why);
    *payload = writer.out;
    *size = writer.used;
    return status == RPC_OK && writer.full ? RPC_REPLY_TOO_LARGE : status;
}

rpc_status rpc_send(rpc_instance *instance, const rpc_publication *publication)
{
    struct env *env = instance->env;
    const void *payload;
    size_t size;
    if (env->stopping)
        return RPC_CANCELLED;
    if (!api_may_send(instance, publication)) {
        env_log(env, RPC_LOG_ERROR, "module %s sends a message that cannot be sent, to %.128s",
                instance->module->name, publication->topic ? publication->topic : "no topic");
        return RPC_INVALID_PARAMS;
    }
    const rpc_status status = api_take_payload(instance, publication, &payload, &size);
    if (status != RPC_OK)
        return status;
    if (publication->client && !env->host.replies_to_caller)
        return RPC_INTERNAL_ERROR;
    const struct host_client receiver = {.id = publication->client, .version = 5};
    struct host_publication sent = {
        .client = publication->client ? &receiver : NULL,
        .to_subscribers = !publication->client,
        .topic = publication->topic,
        .qos = publication->qos,
        .retain = publication->retain,
        .expiry = publication->expiry,
        .content_type = publication->content_type,
        .response_topic = publication->response_topic,
        .correlation = publication->correlation,
        .correlation_size = publication->correlation_size,
        .properties = publication->properties,
        .property_count = publication->property_count,
    };
    return answer_publish(env, &sent, payload, size) ? RPC_OK : RPC_INTERNAL_ERROR;
}

/* ---- Dead letters ---- */

bool rpc_call_is_replay(const rpc_call *call)
{
    return call->exchange->pending.replay;
}

/* What is wrong with a letter; NULL: nothing. */
static const char *api_find_letter_fault(struct engine *engine, const rpc_letter *letter)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    const struct registry_method *method =
        letter->method ? registry_find_method(&engine->registry, letter->method) : NULL;
    const size_t length = letter->err ? strlen(letter->err) : 0;
    struct json_error error;
    size_t characters;
    if (!method || method->instance == engine->dead.reader)
        return "of a method that cannot be run again";
    if (letter->msg && !text_is_utf8(letter->msg, &characters))
        return "whose message is no UTF-8";
    if (!length || length >= DEAD_ERR || strspn(letter->err, allowed) != length)
        return "without the code of an error";
    if (letter->trace && strlen(letter->trace) != TRACE_PARENT)
        return "whose trace is no traceparent";
    if (!letter->params)
        return letter->size && !letter->payload ? "whose payload is NULL" : NULL;
    return json_check(letter->params, strlen(letter->params), &error) ? NULL : "whose parameters are no JSON";
}

void rpc_dead_letter(rpc_instance *instance, const rpc_letter *letter)
{
    struct engine *engine = instance->engine;
    if (letter->call && letter->call->exchange->pending.replay)
        return;
    if (!engine->env.options.dead_letters || engine->env.stopping)
        return;
    const char *fault = api_find_letter_fault(engine, letter);
    if (fault) {
        env_log(&engine->env, RPC_LOG_ERROR, "module %s makes a dead letter %s", instance->module->name,
                fault);
        return;
    }
    const char *params = letter->params ? letter->params : "{}";
    const bool is_message = !letter->params && letter->payload;
    const rpc_caller *caller = &letter->caller;
    const struct dead_report report = {
        .method = letter->method,
        .client = {.id = caller->id,
                   .user = caller->user,
                   .address = caller->address,
                   .version = caller->version,
                   .bridge = !caller->address, /* or unknown: limits go by its id */
                   .mounted = caller->mounted},
        .arrived = letter->arrived,
        .trace = letter->trace,
        .content = is_message ? DEAD_MESSAGE : DEAD_PARAMS,
        .text = is_message ? letter->payload : params,
        .size = is_message ? letter->size : strlen(params),
    };
    if (letter->call)
        letter->call->is_buried = true;
    answer_add_letter(engine, &report, letter->err, letter->msg,
                      answer_take_error(engine, caller->id ? &report.client : NULL));
}

/* ---- Troubles ---- */

void rpc_trouble(rpc_instance *instance, const char *what, const char *text)
{
    struct env *env = instance->env;
    if (!trouble_is_name(what))
        env_log(env, RPC_LOG_ERROR, "module %s has a trouble that cannot be named so: %.64s",
                instance->module->name, what);
    else if (!text)
        env->health_is_stale |= trouble_end(&instance->troubles, what);
    else if (trouble_begin(&instance->troubles, what, text, env_wall_time(env)))
        env->health_is_stale = true;
    else
        env_log(env, RPC_LOG_ERROR, "module %s has more than %d troubles at once: %s is not shown",
                instance->module->name, TROUBLES_MAX, what);
}

/* ---- Logging ---- */

void rpc_log(rpc_instance *instance, rpc_log_level level, const char *format, ...)
{
    char text[API_MESSAGE_MAX];
    const bool is_level = (int)level >= 0 && level <= RPC_LOG_ERROR;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    env_log_limited(instance->env, &instance->log_limit, is_level ? level : RPC_LOG_ERROR, "%s: %s",
                    instance->module->name, text);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Replies and events: see answer.h. */
#include "call/answer.h"

#include "base/status.h"
#include "base/text.h"
#include "call/engine_parts.h"
#include "call/record.h"
#include "call/topic.h"
#include "shape/codec_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct answers {
    char *scratch;               /* max_reply bytes */
    struct registry_event error; /* {prefix}/event/error */
    struct bucket errors;        /* announced errors */
    struct log_limit failures;   /* of lines about failed calls, which must not keep back other lines */
};

static const rpc_event answer_error_event = {.name = TOPIC_ERROR_EVENT, .doc = TOPIC_ERROR_DOC};

struct answers *answers_create(const struct engine_options *options)
{
    struct answers *answers = calloc(1, sizeof *answers);
    if (!answers)
        return NULL;
    answers->error.declared = &answer_error_event;
    answers->error.topic = topic_of_event(options->prefix, TOPIC_ERROR_EVENT);
    answers->scratch = malloc((size_t)options->max_reply);
    if (answers->error.topic && answers->scratch)
        return answers;
    answers_destroy(answers);
    return NULL;
}

void answers_forgive(struct answers *answers)
{
    answers->errors = (struct bucket){0};
}

void answers_destroy(struct answers *answers)
{
    if (!answers)
        return;
    free(answers->error.topic);
    free(answers->scratch);
    free(answers);
}

static void answer_count_dropped(struct engine *engine, const char *what, const char *topic)
{
    engine->env.counters.dropped++;
    env_note_incident(&engine->env, &engine->env.lost);
    env_log(&engine->env, RPC_LOG_WARNING,
            "%s to %.200s was dropped: no memory, or too many messages are on their way", what, topic);
}

/* ---- Replies ---- */

bool answer_publish(const struct env *env, struct host_publication *publication, const void *bytes,
                    size_t size)
{
    const struct host *host = &env->host;
    publication->size = size;
    publication->payload = host->allocate(host->context, size ? size : 1);
    if (!publication->payload)
        return false;
    if (size)
        memcpy(publication->payload, bytes, size);
    if (host->publish(host->context, publication))
        return true;
    host->release(host->context, publication->payload);
    return false;
}

bool answer_publish_counter(const struct env *env, const char *level, bool retain, const char *content_type,
                            const void *bytes, size_t size)
{
    char topic[TOPIC_COUNTER_MAX + 1];
    snprintf(topic, sizeof topic, "%s/%s/%s", env->host.counters_topic, env->options.prefix, level);
    struct host_publication told = {
        .to_subscribers = true, .topic = topic, .retain = retain, .content_type = content_type};
    return answer_publish(env, &told, bytes, size);
}

/*
 * Whether a reply may leave, which takes from the replies that a waiting session may get. A caller whose
 * connection has ended may have left a session, which takes what is not QoS 0. What a broker cannot put into
 * a full session is never freed.
 */
static bool answer_take_delivery(struct engine *engine, const struct destination *to)
{
    if (!to->ended)
        return true;
    return to->session_waits && to->qos > 0 && engine->env.options.qos > 0 &&
           clients_take_queued(&engine->dedup.clients, to->client.id, env_now(&engine->env));
}

bool answer_send(struct engine *engine, const struct destination *to, const char *code, const char *text,
                 size_t size)
{
    const struct env *env = &engine->env;
    if (env->stopping || (to->errors_only && strcmp(code, status_name(RPC_OK)) == 0))
        return true;
    if (!answer_take_delivery(engine, to))
        return false;
    rpc_property properties[TRACE_PROPERTIES];
    struct host_publication reply = {
        .client = &to->client,
        .to_session = to->ended,
        .to_subscribers = env->options.reply_delivery == DELIVERY_SUBSCRIBED || !env->host.replies_to_caller,
        .topic = to->topic,
        .qos = to->qos < env->options.qos ? to->qos : env->options.qos,
        .expiry = (uint32_t)env->options.reply_expiry,
        .content_type = to->codec->content_type,
        .status = code,
        .repeated = to->repeated,
        .unchanged = to->unchanged,
        .correlation = to->correlation,
        .correlation_size = to->correlation_size,
        .properties = properties,
        .property_count = trace_properties(to->trace, properties),
    };
    const bool is_sent = answer_publish(env, &reply, text, size);
    if (is_sent)
        engine->env.counters.replies++;
    else
        answer_count_dropped(engine, "a reply", to->topic);
    return is_sent;
}

rpc_status answer_progress(rpc_call *call, const void *data)
{
    struct engine *engine = call->engine;
    const struct destination *to = &call->exchange->to;
    char why[FIELDS_WHY];
    if (!call->exchange->pending.progress || to->ended)
        return RPC_OK;
    struct writer writer = answer_writer(engine, to->codec);
    const rpc_status status = fields_encode(call->method->declared->progress, data, &writer, why);
    if (status == RPC_INVALID_PARAMS)
        env_log(&engine->env, RPC_LOG_ERROR, "method %s: its progress does not fit its shape: %s", call->name,
                why);
    if (status != RPC_OK)
        return RPC_INTERNAL_ERROR;
    if (writer.full)
        return RPC_REPLY_TOO_LARGE;
    answer_send(engine, to, "progress", writer.out, writer.used);
    return RPC_OK;
}

/* Whether an outcome is a member of an object, and not the whole reply. */
static bool answer_is_wrapped(const struct exchange *exchange)
{
    return exchange->jsonrpc || exchange->batch || exchange->request_id;
}

/* Writes what stands before a result or an error that is wrapped. */
static void answer_open_outcome(const rpc_call *call, struct writer *out, bool success)
{
    const struct exchange *exchange = call->exchange;
    writer_begin_object(out);
    if (exchange->jsonrpc) {
        writer_member(out, "jsonrpc", "2.0");
        writer_name(out, "id");
        if (call->id)
            writer_tree(out, call->id);
        else
            writer_null(out);
    } else if (!exchange->batch) {
        writer_name(out, "request_id");
        writer_tree(out, exchange->request_id);
    }
    writer_name(out, success ? "result" : "error");
}

/* Where an outcome is written: behind what is in the reply, or into scratch, to be set aside. */
static struct writer answer_outcome_writer(const rpc_call *call)
{
    return call->place ? answer_writer(call->engine, call->exchange->to.codec) : call->exchange->reply.out;
}

/* More than all of the reply is not set aside. Whether separators fit as well is seen when it is written. */
static bool answer_keep_aside(struct exchange *exchange, struct fragment *place, const char *text,
                              size_t size)
{
    if (exchange->reply.fragments_size + size > (size_t)exchange->engine->env.options.max_reply)
        return false;
    place->text = arena_copy(&exchange->arena, text, size);
    place->size = place->text ? size : 0;
    exchange->reply.fragments_size += place->size;
    return place->text;
}

/* Keeps an outcome that has been written, if it fits. The reply stays as it was if it does not. */
static bool answer_keep_outcome(rpc_call *call, const struct writer *out)
{
    struct exchange *exchange = call->exchange;
    if (out->full)
        return false;
    if (call->place)
        return answer_keep_aside(exchange, call->place, out->out, out->used);
    exchange->reply.out = *out;
    exchange->reply.written++;
    return true;
}

/* ---- Events ---- */

enum { ANSWER_KEY = TOPIC_LEVEL_MAX + 1 }; /* bytes that hold the value of any key that is a level */

/* The value of the key in JSON that a worker has made. NULL: it has none that can be a level; or no memory.
 */
static const char *answer_read_key(const char *text, const char *member, char room[ANSWER_KEY])
{
    struct arena arena;
    struct json_error error;
    char number[FIELDS_KEY];
    arena_init(&arena);
    const cJSON *tree = json_parse(text, strlen(text), &arena, &error);
    const char *key = fields_key_of(json_member(tree, member), number);
    const size_t size = key ? strlen(key) + 1 : 0;
    if (key && size <= ANSWER_KEY)
        memcpy(room, key, size);
    arena_fini(&arena);
    return key && size <= ANSWER_KEY ? room : NULL;
}

/* The value of the key in what a keyed event carries, a struct of a shape. NULL: the event is not keyed, or
 * has no such value. */
static const char *answer_find_key(const struct registry_event *event, const rpc_shape *shape,
                                   const void *data, char room[ANSWER_KEY])
{
    const char *member = event->declared->key;
    if (!member)
        return NULL;
    return event->foreign ? answer_read_key(((const struct registry_any *)data)->value.text, member, room)
                          : fields_key(fields_find(shape, member), data, room);
}

/* Publishes an event of size bytes at text. key: of a keyed event, the value, or NULL, if it has none.
 * Returns false: no memory, or the engine is stopping. */
static bool answer_publish_event(struct engine *engine, struct answer_cause cause,
                                 const struct registry_event *event, const char *key, const char *text,
                                 size_t size)
{
    char topic[TOPIC_KEYED_MAX];
    rpc_property properties[TRACE_PROPERTIES];
    if (engine->env.stopping)
        return false;
    struct host_publication sent = {
        .client = cause.client,
        .to_subscribers = true,
        .topic = event->topic,
        .qos = engine->env.options.qos,
        .retain = event->declared->retained,
        .properties = properties,
        .property_count = trace_properties(cause.trace, properties),
    };
    if (event->declared->key && key && topic_is_level(key)) {
        snprintf(topic, sizeof topic, "%s/%s", event->topic, key);
        sent.topic = topic;
    } else if (event->declared->key) {
        sent.retain = false;
    }
    const bool is_sent = answer_publish(&engine->env, &sent, text, size);
    if (is_sent)
        engine->env.counters.events++;
    else
        answer_count_dropped(engine, "an event", sent.topic);
    return is_sent;
}

struct writer answer_writer(struct engine *engine, const struct codec *codec)
{
    return writer_make(codec, engine->answers->scratch, (size_t)engine->env.options.max_reply);
}

const struct codec *answer_codec(const rpc_call *call)
{
    return call->asked ? call->exchange->to.codec : call->engine->event_codec;
}

rpc_status answer_announce(struct engine *engine, struct answer_cause cause,
                           const struct registry_event *event, const void *data)
{
    struct writer writer = answer_writer(engine, engine->event_codec);
    char why[FIELDS_WHY];
    const rpc_status status = fields_encode(event->declared->data, data, &writer, why);
    if (status == RPC_INVALID_PARAMS)
        env_log(&engine->env, RPC_LOG_ERROR, "module %s: the data of event %s does not fit its shape: %s",
                event->instance->module->name, event->declared->name, why);
    if (status != RPC_OK)
        return RPC_INTERNAL_ERROR;
    if (writer.full)
        return RPC_REPLY_TOO_LARGE;
    char room[ANSWER_KEY];
    const char *key = answer_find_key(event, event->declared->data, data, room);
    return answer_publish_event(engine, cause, event, key, writer.out, writer.used) ? RPC_OK
                                                                                    : RPC_INTERNAL_ERROR;
}

rpc_status answer_retract(struct engine *engine, struct answer_cause cause,
                          const struct registry_event *event, const char *key)
{
    if (!topic_is_level(key))
        return RPC_OK;
    return answer_publish_event(engine, cause, event, key, "", 0) ? RPC_OK : RPC_INTERNAL_ERROR;
}

/* ---- Dead letters ---- */

/*
 * Whether a failure that nobody is told of makes a dead letter. A client over its rate makes none, since that
 * would be a flood; nor does a call that is cancelled before it has done anything, since nobody wants it any
 * more. A replay changes the letter that there is.
 */
static bool answer_makes_letter(const rpc_call *call)
{
    const struct engine *engine = call->engine;
    const rpc_status status = call->failure.status;
    const bool has_begun = (call->task || call->has_worked) && !call->by_handler;
    return engine->env.options.dead_letters && !engine->env.host.dispatched && call->method &&
           !engine->env.stopping && !call->exchange->pending.replay && !call->is_buried &&
           call->method->instance != engine->dead.reader &&
           (status != RPC_RATE_LIMITED || call->by_handler) && (status != RPC_CANCELLED || has_begun);
}

/* The payload as it came, of a call whose parameters cannot be told as JSON. */
static void answer_report_payload(rpc_call *call, struct dead_report *report)
{
    const struct exchange *exchange = call->exchange;
    const struct host_message *message = exchange->message;
    report->text = call->item ? codec_json_text(call->item, &call->arena) : message->payload;
    report->size = !report->text ? 0 : call->item ? strlen(report->text) : message->size;
    if (report->size > (size_t)exchange->engine->env.options.max_payload)
        report->text = NULL;
}

/* What a letter says of the call. Texts are the message's, or memory of the call. */
static struct dead_report answer_report(rpc_call *call)
{
    struct exchange *exchange = call->exchange;
    const rpc_shape *shape = call->method->params.shape;
    const bool is_bytes = shape && shape->form == RPC_FORM_BYTES && !exchange->jsonrpc && !exchange->batch;
    const bool is_read = !call->is_refused && (exchange->payload.parsed.fault == JSON_FINE || call->begun);
    struct dead_report report = {
        .method = call->name,
        .client = *exchange->message->client,
        .arrived = exchange_time(exchange),
        .trace = exchange->to.trace ? exchange->to.trace->parent : NULL,
        .content = DEAD_MESSAGE,
    };
    if (!exchange_has_params(exchange))
        return report;
    if (is_bytes || !is_read || exchange->adopted) {
        report.content = is_bytes ? DEAD_BYTES : DEAD_MESSAGE;
        answer_report_payload(call, &report);
        return report;
    }
    report.content = DEAD_PARAMS;
    report.text = exchange_params_text(call);
    report.size = report.text ? strlen(report.text) : 0;
    report.positional = exchange->jsonrpc && report.text && *report.text == '[';
    return report;
}

/* What would be over max_reply goes without what the letter has of its call. The table has it in any case. */
static void answer_publish_letter(struct engine *engine, const struct dead_letter *letter)
{
    char topic[TOPIC_PREFIX_MAX + sizeof "/dead/" + TOPIC_CALLED_MAX], why[FIELDS_WHY];
    const struct dead_report *report = &letter->report;
    struct dead_view view;
    struct arena arena; /* of the payload in base64 */
    arena_init(&arena);
    dead_show(letter, &arena, &view);
    struct writer writer = answer_writer(engine, engine->event_codec);
    rpc_status status = fields_encode(&dead_shape, &view, &writer, why);
    if (writer.full) {
        dead_leave_out(&view);
        writer = answer_writer(engine, engine->event_codec);
        status = fields_encode(&dead_shape, &view, &writer, why);
    }
    arena_fini(&arena);
    snprintf(topic, sizeof topic, "%s/dead/%s", engine->env.options.prefix, report->method);
    struct host_publication sent = {
        .client = report->client.id ? &report->client : NULL,
        .to_subscribers = true,
        .topic = topic,
        .qos = 1,
    };
    if (status == RPC_OK && !writer.full && !answer_publish(&engine->env, &sent, writer.out, writer.used))
        answer_count_dropped(engine, "a dead letter", topic);
}

void answer_add_letter(struct engine *engine, const struct dead_report *report, const char *err,
                       const char *msg, bool is_published)
{
    const struct engine_options *options = &engine->env.options;
    struct dead_report kept = *report;
    if (!options->dead_payload)
        kept.text = NULL;
    const struct dead_letter *letter =
        options->dead_letters ? dead_add(&engine->dead, &kept, err, msg) : NULL;
    if (!letter)
        return;
    engine->env.counters.dead++;
    if (is_published)
        answer_publish_letter(engine, letter);
}

/* Makes a dead letter of a call that nobody is told of, if it is to become one. */
static void answer_bury(rpc_call *call, bool is_published)
{
    if (!answer_makes_letter(call))
        return;
    const struct dead_report report = answer_report(call);
    answer_add_letter(call->engine, &report, call->failure.code, call->failure.message, is_published);
}

/* Notes a failed item of a batch for the case that the reply reaches nobody. Without memory it is not noted.
 */
static void answer_draft(rpc_call *call)
{
    struct exchange *exchange = call->exchange;
    struct arena *arena = &exchange->arena;
    if (!answer_makes_letter(call))
        return;
    struct draft *draft = arena_alloc(arena, sizeof *draft);
    if (!draft)
        return;
    draft->report = answer_report(call);
    struct dead_report *report = &draft->report;
    report->text = report->text ? arena_copy(arena, report->text, report->size) : NULL;
    draft->err = call->failure.code;
    draft->msg = call->failure.message
                     ? arena_copy(arena, call->failure.message, strlen(call->failure.message))
                     : NULL;
    DL_APPEND(exchange->reply.drafts, draft);
}

/* ---- Failure ---- */

/* How much of an error is written: less and less, until it fits. */
enum detail { CODE_ONLY, WITH_MESSAGE, WITH_EXTRA };

/*
 * The name of an unknown method is text from the wire, of any length and sort. An error of the engine's own
 * says on the engine's event whose call it was.
 */
static void answer_write_error(const rpc_call *call, struct writer *out, enum detail detail, bool with_client)
{
    const struct failure *failure = &call->failure;
    char safe[TOPIC_NAME_MAX + 1];
    writer_begin_object(out);
    writer_member(out, "method", call->method ? call->name : text_printable(call->name, safe, sizeof safe));
    writer_member(out, "err", failure->code);
    if (detail >= WITH_MESSAGE)
        writer_member(out, "msg", failure->message);
    if (detail >= WITH_MESSAGE && with_client && failure->status != RPC_RAISED)
        writer_member(out, "client", text_printable(call->exchange->message->client->id, safe, sizeof safe));
    if (detail == WITH_EXTRA)
        writer_splice(out, failure->extra, failure->extra_size);
    writer_end_object(out);
}

/* Writes the failure into the reply. Returns whether it fits. */
static bool answer_reply_failure(rpc_call *call, enum detail detail)
{
    const struct failure *failure = &call->failure;
    struct writer out = answer_outcome_writer(call);
    const bool is_wrapped = answer_is_wrapped(call->exchange);
    if (is_wrapped)
        answer_open_outcome(call, &out, false);
    if (call->exchange->jsonrpc) {
        writer_begin_object(&out);
        writer_member_integer(&out, "code", status_code(failure->status));
        writer_member(&out, "message", detail >= WITH_MESSAGE ? failure->message : failure->code);
        writer_name(&out, "data");
    }
    answer_write_error(call, &out, detail, false);
    if (call->exchange->jsonrpc)
        writer_end_object(&out);
    if (is_wrapped)
        writer_end_object(&out);
    return answer_keep_outcome(call, &out);
}

/* Announces the failure; *is_told: on an event of its own. Returns whether it fits. */
static bool answer_announce_failure(rpc_call *call, enum detail detail, bool *is_told)
{
    struct engine *engine = call->engine;
    const struct registry_event *own = call->by_handler ? call->method->error_event : NULL;
    struct writer writer = answer_writer(engine, engine->event_codec);
    answer_write_error(call, &writer, detail, !own);
    if (!writer.full)
        *is_told = answer_publish_event(engine, answer_cause(call), own ? own : &engine->answers->error,
                                        call->failure.key, writer.out, writer.used) &&
                   own;
    return !writer.full;
}

/*
 * Takes an announced error from the rate of all. One client gets at most three quarters of what there is at
 * once, and half of the rate, since an error takes two tokens from its own bucket: so there is always at
 * least one left for others.
 */
bool answer_take_error(struct engine *engine, const struct host_client *client)
{
    const uint32_t rate = (uint32_t)engine->env.options.error_rate;
    const uint64_t now = env_now(&engine->env);
    const uint32_t burst = rate > 1 ? rate : 2, left = burst / 4 ? burst / 4 : 1;
    if (!rate)
        return true;
    struct account *account = client ? accounts_meet(&engine->accounts, client, now) : NULL;
    if ((!account || bucket_take(&account->errors, now, rate, 2 * (burst - left), 2)) &&
        bucket_take(&engine->answers->errors, now, rate, burst, 1))
        return true;
    engine->env.counters.suppressed++;
    return false;
}

/*
 * Decides whether a failure is written. One that is announced, since its client asked for no reply, takes
 * from the rate of announced errors. That a method is unknown is not announced.
 */
static bool answer_admit_failure(const rpc_call *call, rpc_status status)
{
    if (call->asked)
        return !call->exchange->reply.overflowed;
    return status != RPC_METHOD_NOT_FOUND && answer_take_error(call->engine, call->exchange->message->client);
}

/* What a client chose is cut so short that the error stands behind it, also if none of it is printable. */
void answer_log_failure(const rpc_call *call)
{
    struct engine *engine = call->engine;
    struct exchange *exchange = call->exchange;
    const struct failure *failure = &call->failure;
    if (failure->status == RPC_RAISED || (exchange->batch && exchange->reply.logged))
        return;
    exchange->reply.logged = exchange->batch;
    env_log_limited(&engine->env, &engine->answers->failures,
                    failure->status == RPC_CANCELLED ? RPC_LOG_DEBUG : RPC_LOG_WARNING,
                    "client %.64s called %.128s%s: %s: %.200s", exchange->message->client->id,
                    *call->name ? call->name : exchange->message->topic, exchange->batch ? " in a batch" : "",
                    failure->code, failure->message ? failure->message : status_text(failure->status));
}

/* Writes the failure where it belongs. Returns whether its caller is told, or an event of its own tells it.
 */
static bool answer_write_failure(rpc_call *call)
{
    struct exchange *exchange = call->exchange;
    bool is_told = call->asked;
    for (int detail = call->failure.extra ? WITH_EXTRA : WITH_MESSAGE; detail >= CODE_ONLY; detail--) {
        if (call->asked ? answer_reply_failure(call, (enum detail)detail)
                        : answer_announce_failure(call, (enum detail)detail, &is_told))
            return is_told;
    }
    exchange->reply.overflowed = exchange->batch;
    if (exchange->batch)
        return false;
    call->engine->env.counters.dropped++;
    env_log(&call->engine->env, RPC_LOG_WARNING, "the error %s of %.100s does not fit into max_reply",
            call->failure.code, call->name);
    return false;
}

static rpc_status answer_failure(rpc_call *call, rpc_status status)
{
    struct exchange *exchange = call->exchange;
    struct failure *failure = &call->failure;
    if (failure->status != status)
        *failure = (struct failure){.status = status, .code = status_name(status)};
    if (!failure->message)
        failure->message = status_text(status);
    answer_log_failure(call);
    if (!exchange->batch) {
        exchange->reply.status = status;
        exchange->reply.code = failure->code;
    }
    const bool is_admitted = answer_admit_failure(call, status);
    const bool is_told = is_admitted && answer_write_failure(call);
    /* That a method is switched off is not announced, and its letter takes from the rate on its own. */
    if (!call->asked && !is_told)
        answer_bury(call, is_admitted || (status == RPC_METHOD_NOT_FOUND && answer_makes_letter(call) &&
                                          answer_take_error(call->engine, exchange->message->client)));
    else if (exchange->batch)
        answer_draft(call);
    return status;
}

/* Of a batch the reply as a whole is not a call. */
void answer_undelivered(struct exchange *exchange)
{
    struct engine *engine = exchange->engine;
    const struct exchange_reply *reply = &exchange->reply;
    const struct host_client *client = exchange->message->client;
    struct draft *draft;
    if (engine->env.stopping)
        return;
    DL_FOREACH(reply->drafts, draft)
    {
        draft->report.client = *client; /* which may be a copy by now */
        answer_add_letter(engine, &draft->report, draft->err, draft->msg, answer_take_error(engine, client));
    }
    rpc_call *call = &exchange->call;
    if (!reply->opened && call->asked && reply->status != RPC_OK && answer_makes_letter(call))
        answer_bury(call, answer_take_error(engine, client));
}

/* ---- Success ---- */

static rpc_status answer_too_large(rpc_call *call)
{
    return answer_failure(call, call_fail(call, RPC_REPLY_TOO_LARGE, "the result is over max_reply, %d bytes",
                                          call->engine->env.options.max_reply));
}

/* Writes the result. Returns false: it does not fit its own shape, which is logged. */
static bool answer_encode(const rpc_call *call, struct writer *writer)
{
    const rpc_shape *shape = call->method->declared->result;
    char why[FIELDS_WHY];
    if (!shape) {
        writer_begin_object(writer);
        writer_end_object(writer);
        return true;
    }
    if (fields_encode(shape, call->result, writer, why) == RPC_OK)
        return true;
    env_log(&call->engine->env, RPC_LOG_ERROR, "method %s: its result does not fit its shape: %s", call->name,
            why);
    return false;
}

/*
 * Announces a result that is not in the reply: its caller asked for none, or it does not fit any more.
 * Returns what the call came to, as far as that matters to a caller who did not ask.
 */
static rpc_status answer_announce_alone(rpc_call *call, const struct registry_event *event)
{
    struct writer writer = answer_writer(call->engine, call->engine->event_codec);
    char room[ANSWER_KEY];
    if (!answer_encode(call, &writer))
        return answer_failure(call, RPC_INTERNAL_ERROR);
    const char *key = answer_find_key(event, call->method->declared->result, call->result, room);
    if (!writer.full)
        answer_publish_event(call->engine, answer_cause(call), event, key, writer.out, writer.used);
    else if (!call->asked)
        return answer_too_large(call);
    return RPC_OK;
}

/*
 * When only the reply's wrapping makes a result too large, the result is still announced. In a batch no error
 * could take the place of a result that does not fit, since the next outcome would not fit either: the reply
 * as a whole is replaced.
 */
static rpc_status answer_overflow(rpc_call *call, const struct registry_event *event)
{
    const rpc_status status = event ? answer_announce_alone(call, event) : RPC_OK;
    if (!call->exchange->batch)
        return status == RPC_OK ? answer_too_large(call) : status;
    call->exchange->reply.overflowed = true;
    return RPC_REPLY_TOO_LARGE;
}

/* The event goes out before the reply does. */
static rpc_status answer_success(rpc_call *call)
{
    const struct registry_method *method = call->method;
    const bool is_announced =
        (method->declared->announce == RPC_ANNOUNCE_ALWAYS || !call->asked) && !call->unchanged;
    const struct registry_event *event =
        is_announced && !call->engine->env.host.dispatched ? method->event : NULL;
    if (!call->asked)
        return event ? answer_announce_alone(call, event) : RPC_OK;
    if (call->exchange->reply.overflowed)
        return answer_overflow(call, event);
    struct writer out = answer_outcome_writer(call);
    const bool is_wrapped = answer_is_wrapped(call->exchange);
    if (is_wrapped)
        answer_open_outcome(call, &out, true);
    const size_t start = out.used;
    if (!answer_encode(call, &out))
        return answer_failure(call, RPC_INTERNAL_ERROR);
    const size_t size = out.used - start;
    if (is_wrapped)
        writer_end_object(&out);
    if (!answer_keep_outcome(call, &out))
        return answer_overflow(call, event);
    if (!event)
        return RPC_OK;
    if (out.codec != call->engine->event_codec)
        return answer_announce_alone(call, event);
    char room[ANSWER_KEY];
    const char *key = answer_find_key(event, call->method->declared->result, call->result, room);
    answer_publish_event(call->engine, answer_cause(call), event, key, out.out + start, size);
    return RPC_OK;
}

void call_settle(rpc_call *call, rpc_status status)
{
    call->state = CALL_OVER;
    status = status == RPC_OK ? answer_success(call) : answer_failure(call, status);
    call->exchange->reply.successes += status == RPC_OK && call->asked;
    record_call(call, status);
}

/* ---- Batches ---- */

void answer_open_batch(struct exchange *exchange)
{
    struct writer *out = &exchange->reply.out;
    if (exchange->request_id) {
        writer_begin_object(out);
        writer_name(out, "request_id");
        writer_tree(out, exchange->request_id);
        writer_name(out, "result");
    }
    writer_begin_array(out);
    exchange->reply.opened = out->used;
}

static struct fragment *answer_add_fragment(struct exchange *exchange)
{
    struct fragment *fragment = arena_alloc(&exchange->arena, sizeof *fragment);
    if (fragment)
        DL_APPEND(exchange->reply.fragments, fragment);
    return fragment;
}

/* The first fragment takes the items that are in the reply so far. */
void answer_set_aside(rpc_call *call)
{
    struct exchange *exchange = call->exchange;
    struct exchange_reply *reply = &exchange->reply;
    bool has_head = reply->fragments;
    if (!has_head) {
        struct fragment *head = answer_add_fragment(exchange);
        const size_t opened = reply->fragments_size = reply->opened;
        has_head =
            head && answer_keep_aside(exchange, head, reply->out.out + opened, reply->out.used - opened);
    }
    call->place = has_head ? answer_add_fragment(exchange) : NULL;
    reply->overflowed |= !call->place;
}

void answer_gather(struct exchange *exchange)
{
    struct writer *out = &exchange->reply.out;
    const struct fragment *head = exchange->reply.fragments, *fragment;
    *out = writer_make(out->codec, out->out, out->capacity);
    answer_open_batch(exchange);
    for (fragment = head; fragment; fragment = fragment->next) {
        exchange->reply.written += fragment != head && fragment->text;
        writer_splice(out, fragment->text, fragment->size);
    }
}

/* JSON-RPC has no reply to a batch of notifications; a plain batch is as long as it was. */
void answer_close_batch(struct exchange *exchange)
{
    struct writer *out = &exchange->reply.out;
    writer_end_array(out);
    if (exchange->request_id)
        writer_end_object(out);
    if (!exchange->reply.overflowed && !out->full) {
        if (exchange->jsonrpc && !exchange->reply.written)
            out->used = 0;
        return;
    }
    *out = writer_make(out->codec, out->out, out->capacity);
    exchange->batch = exchange->reply.overflowed = false;
    /* Their caller gets an error after all. */
    exchange->engine->env.counters.errors += exchange->reply.successes;
    if (exchange->call.asked)
        answer_failure(&exchange->call, call_fail(&exchange->call, RPC_REPLY_TOO_LARGE,
                                                  "the results are over max_reply, %d bytes",
                                                  exchange->engine->env.options.max_reply));
}

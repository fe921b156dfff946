// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What is sent to workers: see remote_message.h. */
#include "call/remote_message.h"

#include "call/answer.h"
#include "call/topic.h"
#include "shape/codec_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Bytes that hold {prefix}/work/{worker}/cancel with its NUL. */
enum { REMOTE_TOPIC = TOPIC_PREFIX_MAX + sizeof "/work//cancel" + CREW_NAME_MAX };

static void remote_message_write_id(const char *run, uint64_t number, char id[REMOTE_ID + 1])
{
    snprintf(id, REMOTE_ID + 1, "%s%016" PRIx64, run, number);
}

uint64_t remote_message_read_id(const char *run, const char *id, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t number = 0;
    if (size != REMOTE_ID || memcmp(id, run, REMOTE_RUN) != 0)
        return 0;
    for (size_t i = REMOTE_RUN; i < size; i++) {
        const char *digit = memchr(digits, id[i], sizeof digits - 1);
        if (!digit)
            return 0;
        number = number << 4 | (uint64_t)(digit - digits);
    }
    return number;
}

/* Publishes to a worker alone. level: what follows its topic. Returns false: no memory. */
static bool remote_message_publish(const struct env *env, const char *run, const struct dispatch *dispatch,
                                   const char *level, struct host_publication *sent, const char *payload,
                                   size_t size)
{
    const struct crew_worker *worker = dispatch->job.worker;
    char topic[REMOTE_TOPIC], id[REMOTE_ID + 1];
    snprintf(topic, sizeof topic, "%s/work/%s%s", env->options.prefix, worker->name, level);
    remote_message_write_id(run, dispatch->number, id);
    sent->client = &worker->to;
    sent->topic = topic;
    sent->qos = 1;
    sent->correlation = id;
    sent->correlation_size = REMOTE_ID;
    return answer_publish(env, sent, payload, size);
}

enum { REMOTE_PROPERTIES = 6 + TRACE_PROPERTIES };

/* What the worker is to know of the call. numbers: 2 texts of 24 bytes. Returns how many properties. */
static size_t remote_message_describe(const rpc_call *call, uint64_t left, char numbers[2][24],
                                      rpc_property properties[REMOTE_PROPERTIES])
{
    const struct host_client *client = call->exchange->message->client;
    size_t count = 0;
    snprintf(numbers[0], sizeof numbers[0], "%d", client->version);
    snprintf(numbers[1], sizeof numbers[1], "%" PRIu64, left);
    properties[count++] = (rpc_property){"method", call->name};
    properties[count++] = (rpc_property){"caller", client->id};
    if (client->user)
        properties[count++] = (rpc_property){"caller-user", client->user};
    properties[count++] = (rpc_property){"caller-version", numbers[0]};
    properties[count++] = (rpc_property){"deadline-ms", numbers[1]};
    if (call->exchange->pending.progress)
        properties[count++] = (rpc_property){"progress", "1"};
    return count + trace_properties(call->exchange->to.trace, properties + count);
}

bool remote_message_send(const struct env *env, const char *run, const struct dispatch *dispatch,
                         uint64_t now)
{
    const rpc_call *call = dispatch->call;
    const rpc_shape *shape = call->method->params.shape;
    const bool is_bytes = shape && shape->form == RPC_FORM_BYTES;
    const uint64_t millisecond = env_nanoseconds(1);
    const uint64_t until = dispatch->deadline > now ? dispatch->deadline : now + 1;
    const uint64_t left = (until - now + millisecond - 1) / millisecond;
    rpc_property properties[REMOTE_PROPERTIES];
    char numbers[2][24], done[REMOTE_TOPIC];
    snprintf(done, sizeof done, "%s/work/%s/done", env->options.prefix, dispatch->job.worker->name);
    struct host_publication sent = {.expiry = (uint32_t)((left + 999) / 1000),
                                    .content_type = is_bytes ? NULL : codec_json.content_type,
                                    .response_topic = done,
                                    .properties = properties};
    sent.property_count = remote_message_describe(call, left, numbers, properties);
    return remote_message_publish(env, run, dispatch, "", &sent, dispatch->payload, dispatch->size);
}

void remote_message_cancel(const struct env *env, const char *run, const struct dispatch *dispatch)
{
    struct host_publication sent = {.expiry = (uint32_t)(REMOTE_LOST / env_nanoseconds(1000))};
    remote_message_publish(env, run, dispatch, "/cancel", &sent, "", 0);
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Calls of the client: see client_calls.h. */
#include "client_calls.h"

#include <limits.h>
#include <mosquitto.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if LIBMOSQUITTO_VERSION_NUMBER < 2001000
#include <mqtt_protocol.h> /* from 2.1 on a part of mosquitto.h */
#endif

#include "client_wire.h"

/* ---- Ends of calls ---- */

const char *rpc_client_status_name(enum rpc_client_status status)
{
    static const char *const names[] = {
        [RPC_CLIENT_OK] = "ok",
        [RPC_CLIENT_ERROR] = "error",
        [RPC_CLIENT_TIMEOUT] = "timeout",
        [RPC_CLIENT_CLOSED] = "closed",
        [RPC_CLIENT_OVERLOADED] = "overloaded",
        [RPC_CLIENT_INVALID] = "invalid",
        [RPC_CLIENT_NO_MEMORY] = "no_memory",
        [RPC_CLIENT_DISCONNECTED] = "disconnected",
        [RPC_CLIENT_REFUSED] = "refused",
        [RPC_CLIENT_BAD_REPLY] = "bad_reply",
        [RPC_CLIENT_TOO_LARGE] = "payload_too_large",
    };
    return (size_t)status < sizeof names / sizeof *names ? names[status] : "unknown";
}

void rpc_client_reply_clear(struct rpc_client_reply *reply)
{
    struct client_memory *memory = reply->memory;
    if (memory) {
        cJSON_Delete(memory->data);
        cJSON_free(memory->printed);
        free(memory);
    }
    *reply = (struct rpc_client_reply){.status = reply->status};
}

/* Copies a text that the reply is to own to its memory. Returns NULL: no memory; the reply says so then. */
static struct client_memory *calls_keep_text(struct rpc_client_reply *reply, const char *text, size_t size)
{
    struct client_memory *memory = malloc(sizeof *memory + size + 1);
    if (!memory) {
        *reply = (struct rpc_client_reply){.status = RPC_CLIENT_NO_MEMORY,
                                           .err = rpc_client_status_name(RPC_CLIENT_NO_MEMORY),
                                           .msg = "there is no memory for the reply"};
        return NULL;
    }
    *memory = (struct client_memory){.data = NULL};
    if (size)
        memcpy(memory->text, text, size);
    memory->text[size] = 0;
    reply->memory = memory;
    return memory;
}

static void calls_call_back(struct rpc_client *client, rpc_client_reply_fn *function, void *user,
                            struct rpc_client_reply *reply)
{
    bool was_in_callback = client->is_in_callback;
    client->has_news = true;
    client->is_in_callback = true;
    if (function)
        function(user, reply);
    client->is_in_callback = was_in_callback;
    rpc_client_reply_clear(reply);
}

static void calls_forget(struct rpc_client *client, struct client_call *call)
{
    HASH_DEL(client->calls, call);
    client->pending_bytes -= call->bytes;
    free(call);
}

/* Ends a call, and takes the reply over. */
static void calls_end(struct rpc_client *client, struct client_call *call, struct rpc_client_reply *reply)
{
    rpc_client_reply_fn *on_reply = call->on_reply;
    struct client_wait *wait = call->wait;
    void *user = call->user;
    calls_forget(client, call);
    if (!wait) {
        calls_call_back(client, on_reply, user, reply);
        return;
    }
    client->has_news = true;
    *wait = (struct client_wait){.is_over = true, .reply = *reply};
}

void calls_fail(struct rpc_client *client, struct client_call *call, enum rpc_client_status status,
                const char *msg)
{
    struct rpc_client_reply reply = {.status = status, .err = rpc_client_status_name(status)};
    struct client_memory *memory = calls_keep_text(&reply, msg, strlen(msg));
    if (memory)
        reply.msg = memory->text;
    calls_end(client, call, &reply);
}

/* Has a call end at the next look. */
static void calls_doom(struct rpc_client *client, struct client_call *call, enum rpc_client_status failed,
                       const char *failure)
{
    call->failed = failed;
    call->failure = failure;
    call->deadline = 0;
    client->next_deadline = 0;
}

/* The first call whose time is over; NULL: none, and next_deadline is right. */
static struct client_call *calls_find_over(struct rpc_client *client, long long now)
{
    struct client_call *call, *next;
    client->next_deadline = LLONG_MAX;
    HASH_ITER(hh, client->calls, call, next)
    {
        if (call->deadline < client->next_deadline)
            client->next_deadline = call->deadline;
        if (call->deadline <= now)
            return call;
    }
    return NULL;
}

/* Callbacks may add and remove calls, so each look begins at the front. */
void calls_expire(struct rpc_client *client, long long now)
{
    char msg[CLIENT_WHY + 64];
    while (now >= client->next_deadline) {
        struct client_call *call = calls_find_over(client, now);
        if (!call)
            return;
        if (call->failure) {
            calls_fail(client, call, call->failed, call->failure);
            continue;
        }
        if (client->state == CLIENT_THERE)
            snprintf(msg, sizeof msg, "no reply has come in time");
        else
            snprintf(msg, sizeof msg, "there was no connection in time: %s", client->why);
        calls_fail(client, call, RPC_CLIENT_TIMEOUT, msg);
    }
}

/* ---- Sending ---- */

static int calls_add_properties(mosquitto_property **list, const struct rpc_client *client,
                                const struct client_call *call)
{
    int result = mosquitto_property_add_string(list, MQTT_PROP_RESPONSE_TOPIC, client->reply_topic);
    if (!result)
        result =
            mosquitto_property_add_binary(list, MQTT_PROP_CORRELATION_DATA, call->id, RPC_CLIENT_ID_SIZE - 1);
    if (!result && *call->timeout)
        result =
            mosquitto_property_add_string_pair(list, MQTT_PROP_USER_PROPERTY, "timeout-ms", call->timeout);
    if (!result && call->on_progress)
        result = mosquitto_property_add_string_pair(list, MQTT_PROP_USER_PROPERTY, "progress", "1");
    if (!result && *call->traceparent)
        result = mosquitto_property_add_string_pair(list, MQTT_PROP_USER_PROPERTY, "traceparent",
                                                    call->traceparent);
    const char *name = call->properties;
    for (size_t at = 0; !result && at < call->property_count; at++) {
        const char *value = name + strlen(name) + 1;
        result = mosquitto_property_add_string_pair(list, MQTT_PROP_USER_PROPERTY, name, value);
        name = value + strlen(value) + 1;
    }
    return result;
}

/* Hands a call to the library, which sends it, or keeps it until the broker has taken earlier ones. */
static void calls_publish(struct rpc_client *client, struct client_call *call)
{
    mosquitto_property *properties = NULL;
    int result =
        client->options.protocol == 5 ? calls_add_properties(&properties, client, call) : MOSQ_ERR_SUCCESS;
    int qos = client->options.qos;
    if (!result)
        do
            result = mosquitto_publish_v5(client->connection, &call->mid, call->topic, (int)call->size,
                                          call->payload, qos, false, properties);
        while (result == MOSQ_ERR_QOS_NOT_SUPPORTED && qos-- > 0);
    mosquitto_property_free_all(&properties);
    call->is_sent = result == MOSQ_ERR_SUCCESS;
    call->is_taken = false;
    call->sent = client_now();
    if (result == MOSQ_ERR_OVERSIZE_PACKET || result == MOSQ_ERR_PAYLOAD_SIZE)
        calls_doom(client, call, RPC_CLIENT_TOO_LARGE, "the call is larger than the broker takes");
    else if (result)
        client->has_unsent = true;
}

void calls_send_waiting(struct rpc_client *client, long long now)
{
    struct client_call *call, *next;
    client->has_unsent = false;
    HASH_ITER(hh, client->calls, call, next)
    {
        if (call->is_sent || call->failure || call->expires <= now)
            continue;
        calls_publish(client, call);
        if (client->has_unsent)
            return;
    }
}

/* How many bytes the further properties of a call take; *is_valid: whether they are texts that can be sent.
 */
static size_t calls_measure_properties(const struct rpc_client_request *request, bool *is_valid)
{
    size_t size = 0;
    *is_valid = true;
    for (size_t at = 0; at < request->property_count; at++) {
        const struct rpc_client_property *property = &request->properties[at];
        size_t name = strnlen(property->name, CLIENT_TEXT_MAX + 1),
               value = strnlen(property->value, CLIENT_TEXT_MAX + 1);
        *is_valid = *is_valid && name > 0 && name <= CLIENT_TEXT_MAX && value <= CLIENT_TEXT_MAX &&
                    mosquitto_validate_utf8(property->name, (int)name) == MOSQ_ERR_SUCCESS &&
                    mosquitto_validate_utf8(property->value, (int)value) == MOSQ_ERR_SUCCESS;
        size += name + value + 2;
    }
    return size;
}

/* What is wrong with a request; NULL: nothing. */
static const char *calls_find_wrong(const struct rpc_client *client, const struct rpc_client_request *request,
                                    size_t size, int timeout_ms)
{
    bool has_valid_properties;
    calls_measure_properties(request, &has_valid_properties);
    size_t topic = strlen(client->options.prefix) + strlen(request->method) + sizeof "/batch/";
    if (!wire_is_method(request->method))
        return "the name of a method is levels of a topic, as UTF-8: none is empty, response or request, "
               "and + and # are not allowed";
    if (topic >= CLIENT_TEXT_MAX)
        return "the name of the method is too long";
    if (timeout_ms < 1 || timeout_ms > CLIENT_TIMEOUT_MAX)
        return "the timeout is out of range";
    if (request->traceparent && !wire_is_traceparent(request->traceparent))
        return "the traceparent must be printable ASCII of at most 63 characters, without a space";
    if (request->property_count && client->options.protocol != 5)
        return "MQTT 3.1.1 has no user properties";
    if (!has_valid_properties)
        return "a user property is empty, too long or not UTF-8";
    return size > INT_MAX - CLIENT_TEXT_MAX ? "the payload is too large" : NULL;
}

/* Copies them behind topic and payload. */
static void calls_write_properties(struct client_call *call, const struct rpc_client_request *request)
{
    char *to = call->payload + call->size;
    call->properties = to;
    call->property_count = request->property_count;
    for (size_t at = 0; at < request->property_count; at++) {
        to = stpcpy(to, request->properties[at].name) + 1;
        to = stpcpy(to, request->properties[at].value) + 1;
    }
}

/* Writes topic and payload behind the call. Returns false: the payload cannot carry a request_id. */
static bool calls_write(const struct rpc_client *client, struct client_call *call,
                        const struct rpc_client_request *request, const char *payload, size_t size,
                        int timeout_ms)
{
    int sent_ms = request->keeps_deadline ? 0 : timeout_ms;
    call->topic = call->memory;
    int length = sprintf(call->topic, "%s/%s/%s", client->options.prefix,
                         request->is_batch ? "batch" : "call", request->method);
    call->payload = call->memory + length + 1;
    if (client->options.protocol != 5) {
        struct wire_members members = {call->id, sent_ms, request->traceparent, request->is_batch};
        call->size = wire_beside(call->payload, &members, payload, size);
        return call->size > 0;
    }
    if (size)
        memcpy(call->payload, payload, size);
    call->size = size;
    if (sent_ms)
        snprintf(call->timeout, sizeof call->timeout, "%d", sent_ms);
    if (request->traceparent)
        snprintf(call->traceparent, sizeof call->traceparent, "%s", request->traceparent);
    calls_write_properties(call, request);
    return true;
}

/* Makes the call of a request whose payload is known. *made is NULL if there is none. */
static enum rpc_client_status calls_make(struct rpc_client *client, const struct rpc_client_request *request,
                                         const char *payload, size_t size, struct client_call **made)
{
    int timeout_ms = request->timeout_ms ? request->timeout_ms : client->options.timeout_ms;
    bool has_valid_properties;
    *made = NULL;
    client->wrong = calls_find_wrong(client, request, size, timeout_ms);
    if (client->wrong)
        return RPC_CLIENT_INVALID;
    size_t properties = calls_measure_properties(request, &has_valid_properties);
    size_t room = strlen(client->options.prefix) + strlen(request->method) + sizeof "/batch/" + size +
                  WIRE_MEMBERS_MAX + properties;
    if (HASH_COUNT(client->calls) >= client->options.max_pending ||
        client->pending_bytes > client->options.max_pending_bytes ||
        room > client->options.max_pending_bytes - client->pending_bytes)
        return RPC_CLIENT_OVERLOADED;
    struct client_call *call = calloc(1, sizeof *call + room);
    if (!call)
        return RPC_CLIENT_NO_MEMORY;
    if (!wire_new_id(call->id) || !calls_write(client, call, request, payload, size, timeout_ms)) {
        client->wrong = !*call->id          ? "the system has no random numbers"
                        : request->is_batch ? "with MQTT 3.1.1 the parameters of a batch are an array"
                                            : "with MQTT 3.1.1 the parameters are an object";
        free(call);
        return RPC_CLIENT_INVALID;
    }
    call->bytes = room;
    call->on_reply = request->on_reply;
    call->on_progress = request->on_progress;
    call->user = request->user;
    call->expires = client_now() + timeout_ms;
    call->deadline = call->expires + CLIENT_GRACE_MS;
    *made = call;
    return RPC_CLIENT_OK;
}

static enum rpc_client_status calls_enter(struct rpc_client *client, struct client_call *call)
{
    HASH_ADD_STR(client->calls, id, call);
    if (call->is_not_added) {
        free(call);
        return RPC_CLIENT_NO_MEMORY;
    }
    client->pending_bytes += call->bytes;
    if (call->deadline < client->next_deadline)
        client->next_deadline = call->deadline;
    if (client->state == CLIENT_THERE && !client->has_unsent)
        calls_publish(client, call);
    else
        client->has_unsent = true;
    return RPC_CLIENT_OK;
}

enum rpc_client_status calls_add(struct rpc_client *client, const struct rpc_client_request *request,
                                 struct client_wait *wait, char id[RPC_CLIENT_ID_SIZE])
{
    struct client_call *call;
    if (client->is_closing)
        return RPC_CLIENT_CLOSED;
    char *printed = request->params ? cJSON_PrintUnformatted(request->params) : NULL;
    if (request->params && !printed)
        return RPC_CLIENT_NO_MEMORY;
    const char *payload = printed ? printed : request->payload;
    size_t size = !payload ? 0 : request->size && !printed ? request->size : strlen(payload);
    enum rpc_client_status status = calls_make(client, request, payload, size, &call);
    cJSON_free(printed);
    if (status)
        return status;
    call->wait = wait;
    if (id)
        memcpy(id, call->id, RPC_CLIENT_ID_SIZE);
    return calls_enter(client, call);
}

enum rpc_client_status rpc_client_send(struct rpc_client *client, const struct rpc_client_request *request,
                                       char id[RPC_CLIENT_ID_SIZE])
{
    return calls_add(client, request, NULL, id);
}

bool rpc_client_cancel(struct rpc_client *client, const char *id)
{
    struct client_call *call;
    HASH_FIND_STR(client->calls, id, call);
    if (!call || call->wait)
        return false;
    calls_forget(client, call);
    return true;
}

size_t rpc_client_pending(const struct rpc_client *client)
{
    return HASH_COUNT(client->calls);
}

/* ---- What comes ---- */

/* Makes of what has come a reply with memory of its own. Returns false: it is an interim reply. */
static bool calls_read_reply(const struct rpc_client *client, const struct client_call *call,
                             const struct mosquitto_message *message, const char *status, bool is_json,
                             struct rpc_client_reply *reply)
{
    struct wire_reply wire;
    size_t size = (size_t)message->payloadlen;
    *reply = (struct rpc_client_reply){.status = RPC_CLIENT_BAD_REPLY,
                                       .err = rpc_client_status_name(RPC_CLIENT_BAD_REPLY)};
    if (size > client->options.max_reply) {
        reply->msg = "the reply is larger than the client's max_reply";
        return true;
    }
    struct client_memory *memory = calls_keep_text(reply, message->payload, size);
    if (!memory)
        return true;
    if (client->options.protocol == 5)
        wire_read(&wire, memory->text, size, status, is_json);
    else
        wire_read_beside(&wire, memory->text, size, call->id);
    memory->data = wire.data;
    memory->printed = wire.printed;
    reply->data = wire.data;
    reply->text = wire.text;
    reply->size = wire.size;
    if (wire.kind == WIRE_BAD) {
        reply->msg = "what has come as the reply is not the JSON that it should be";
        return true;
    }
    reply->status = wire.kind == WIRE_ERROR ? RPC_CLIENT_ERROR : RPC_CLIENT_OK;
    reply->err = wire.kind == WIRE_ERROR ? wire_string(wire.data, "err", "") : NULL;
    reply->msg = wire.kind == WIRE_ERROR ? wire_string(wire.data, "msg", "") : NULL;
    return wire.kind != WIRE_PROGRESS;
}

/* The value of a user property, which the caller frees; NULL: there is none. */
static char *calls_user_property(const mosquitto_property *properties, const char *wanted)
{
    bool is_first = true;
    for (;; is_first = false) {
        char *name = NULL, *value = NULL;
        properties = mosquitto_property_read_string_pair(properties, MQTT_PROP_USER_PROPERTY, &name, &value,
                                                         !is_first);
        bool is_it = properties && name && value && strcmp(name, wanted) == 0;
        free(name);
        if (is_it || !properties) {
            if (!is_it)
                free(value);
            return is_it ? value : NULL;
        }
        free(value);
    }
}

static bool calls_is_json(const mosquitto_property *properties)
{
    char *type = NULL;
    mosquitto_property_read_string(properties, MQTT_PROP_CONTENT_TYPE, &type, false);
    bool is_json = type && strcmp(type, "application/json") == 0;
    free(type);
    return is_json;
}

struct client_call *calls_find(struct rpc_client *client, const char *topic,
                               const mosquitto_property *properties)
{
    struct client_call *call = NULL;
    char id[RPC_CLIENT_ID_SIZE] = "";
    if (client->options.protocol == 5) {
        void *data = NULL;
        uint16_t size = 0;
        mosquitto_property_read_binary(properties, MQTT_PROP_CORRELATION_DATA, &data, &size, false);
        if (data && wire_is_id(data, size))
            memcpy(id, data, size);
        free(data);
    } else {
        const char *level = strrchr(topic, '/');
        if (level && wire_is_id(level + 1, strlen(level + 1)))
            memcpy(id, level + 1, RPC_CLIENT_ID_SIZE - 1);
    }
    HASH_FIND_STR(client->calls, id, call);
    return call;
}

void calls_take_reply(struct rpc_client *client, struct client_call *call,
                      const struct mosquitto_message *message, const mosquitto_property *properties)
{
    struct rpc_client_reply reply;
    char *status = calls_user_property(properties, "status");
    char *repeated = calls_user_property(properties, "repeated");
    bool is_reply = calls_read_reply(client, call, message, status, calls_is_json(properties), &reply);
    reply.is_repeated = repeated != NULL;
    free(status);
    free(repeated);
    client->delay = CLIENT_DELAY_MIN;
    if (is_reply)
        calls_end(client, call, &reply);
    else
        calls_call_back(client, call->on_progress, call->user, &reply);
}

/*
 * With MQTT 3.1.1 a broker does not say that a call is too large: it ends the connection at it, and would do
 * so until the call's time is over. If one call is too large, then also the largest of those that it has not
 * taken.
 */
static void calls_suspect(struct rpc_client *client)
{
    struct client_call *call, *next, *largest = NULL;
    const long long since = client_now() - CLIENT_SUSPECT_MS;
    HASH_ITER(hh, client->calls, call, next)
    {
        if (call->is_sent && !call->is_taken && !call->failure && call->sent >= since &&
            (!largest || call->bytes > largest->bytes))
            largest = call;
    }
    if (largest && ++largest->losses == CLIENT_LOSSES)
        calls_doom(client, largest, RPC_CLIENT_TOO_LARGE,
                   "the broker has ended the connection at this call three times, as it does at one that is "
                   "larger than its max_packet_size");
}

void calls_forget_connection(struct rpc_client *client)
{
    struct client_call *call, *next;
    if (client->options.protocol != 5)
        calls_suspect(client);
    HASH_ITER(hh, client->calls, call, next)
    {
        call->is_sent = false;
    }
}

static struct client_call *calls_find_sent(struct rpc_client *client, int mid)
{
    struct client_call *call, *next;
    HASH_ITER(hh, client->calls, call, next)
    {
        if (call->is_sent && call->mid == mid)
            return call;
    }
    return NULL;
}

void calls_refuse(struct rpc_client *client, int mid, const char *why)
{
    struct client_call *call = calls_find_sent(client, mid);
    if (call)
        calls_doom(client, call, RPC_CLIENT_REFUSED, why);
}

void calls_note_taken(struct rpc_client *client, int mid)
{
    struct client_call *call =
        client->options.protocol != 5 && client->options.qos > 0 ? calls_find_sent(client, mid) : NULL;
    if (!call)
        return;
    call->is_taken = true;
    call->losses = 0;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The AsyncAPI 3.0.0 document: the service as a set of channels; see reference.h. It is written from the side
 * of the service, which receives calls and sends replies, events and counters.
 *
 * The reply to a call without a Response Topic goes to a topic that ends with the request_id, inside an
 * object with the request_id: that is a channel of its own, `response`, and two more operations on the
 * channels of calls and batches.
 *
 * Channels, operations and messages have keys of the form {what}.{name}. Keys of components may not hold a
 * '/', which names may: see make_key().
 */
#include "reference.h"

#include "config.h"

#include "shape/schema.h"
#include "call/topic.h"

#include <stdio.h>

/* ---- Keys and references ---- */

enum { KEY_MAX = 2 * TOPIC_NAME_MAX + 64 };

/* {what}.{name}, in which "-." stands for '/' and "--" for '-', so that no two names have the same key. */
static const char *make_key(const char *what, const char *name, char key[KEY_MAX])
{
    char *end = key + snprintf(key, KEY_MAX, "%s.", what);
    for (; *name && end < key + KEY_MAX - 3; name++) {
        if (*name == '/' || *name == '-')
            *end++ = '-';
        *end++ = *name == '/' ? '.' : *name;
    }
    *end = '\0';
    return key;
}

static void open_key(struct writer *writer, const char *what, const char *name)
{
    char key[KEY_MAX];
    writer_open_object(writer, make_key(what, name, key));
}

/* {"$ref":"{path}{what}.{name}{rest}"} */
static void write_ref(struct writer *writer, const char *path, const char *what, const char *name,
                      const char *rest)
{
    char key[KEY_MAX];
    char pointer[KEY_MAX + 64];
    snprintf(pointer, sizeof pointer, "%s%s%s", path, make_key(what, name, key), rest);
    writer_text(writer, "{");
    writer_member(writer, "$ref", pointer);
    writer_text(writer, "}");
}

static void write_message_ref(struct writer *writer, const char *member, const char *what, const char *name)
{
    writer_name(writer, member);
    write_ref(writer, "#/components/messages/", what, name, "");
}

static void close_objects(struct writer *writer, int count)
{
    while (count--)
        writer_text(writer, "}");
}

static void each_method(const struct catalogue *catalogue, struct writer *writer,
                        void (*write)(const struct catalogue *catalogue, const rpc_method *method,
                                      struct writer *writer))
{
    for (const rpc_module *const *module = catalogue->modules; *module; module++) {
        for (const rpc_method *method = (*module)->methods; method && method->name; method++)
            write(catalogue, method, writer);
    }
}

static void each_event(const struct catalogue *catalogue, struct writer *writer,
                       void (*write)(const struct catalogue *catalogue, const rpc_module *module,
                                     const rpc_event *event, struct writer *writer))
{
    for (const rpc_module *const *module = catalogue->modules; *module; module++) {
        for (const rpc_event *event = (*module)->events; event && event->name; event++)
            write(catalogue, *module, event, writer);
    }
}

/* Where a call without a Response Topic has the token of its reply topic. */
#define REQUEST_ID "$message.payload#/request_id"

/* ---- Channels ---- */

/* A channel at {prefix}{middle}{rest}. */
static void open_channel(const struct catalogue *catalogue, struct writer *writer, const char *what,
                         const char *middle, const char *rest, const char *name)
{
    open_key(writer, what, name);
    catalogue_write_topic(catalogue, writer, "address", middle, rest);
}

/* A channel whose messages are one, which has the channel's own key. */
static void write_channel(const struct catalogue *catalogue, struct writer *writer, const char *what,
                          const char *middle, const char *name)
{
    open_channel(catalogue, writer, what, middle, name, name);
    writer_open_object(writer, "messages");
    write_message_ref(writer, what, what, name);
    close_objects(writer, 2);
}

/* The topic of replies, which the caller chooses. */
static void open_reply_channel(struct writer *writer, const char *what, const char *name, const char *doc)
{
    open_key(writer, what, name);
    writer_name(writer, "address");
    writer_text(writer, "null");
    writer_member(writer, "description", doc);
    writer_open_object(writer, "messages");
}

/* The topic of replies to single calls and batches without a Response Topic. */
static void write_response_channel(const struct catalogue *catalogue, const char *name, struct writer *writer)
{
    char rest[TOPIC_NAME_MAX + 32];
    snprintf(rest, sizeof rest, "%s/response/{request_id}", name);
    open_channel(catalogue, writer, "response", "/call/", rest, name);
    writer_member(writer, "description", "without a Response Topic; it reaches the caller alone");
    writer_open_object(writer, "parameters");
    writer_open_object(writer, "request_id");
    writer_member(writer, "description", "that of the call or the batch");
    writer_member(writer, "location", REQUEST_ID);
    close_objects(writer, 2);
    writer_open_object(writer, "messages");
    write_message_ref(writer, "wrappedResult", "wrappedResult", name);
    write_message_ref(writer, "wrappedResults", "wrappedResults", name);
    write_message_ref(writer, "wrappedError", "wrappedError", name);
    close_objects(writer, 2);
}

static void write_method_channels(const struct catalogue *catalogue, const rpc_method *method,
                                  struct writer *writer)
{
    const char *name = method->name;
    write_channel(catalogue, writer, "call", "/call/", name);
    open_reply_channel(writer, "reply", name, "the Response Topic of the call");
    write_message_ref(writer, "result", "result", name);
    write_message_ref(writer, "error", "error", name);
    close_objects(writer, 2);
    if (catalogue_takes_bytes(method))
        return;
    write_channel(catalogue, writer, "batch", "/batch/", name);
    open_reply_channel(writer, "batchReply", name, "the Response Topic of the batch");
    write_message_ref(writer, "results", "results", name);
    write_message_ref(writer, "error", "error", name);
    close_objects(writer, 2);
    write_response_channel(catalogue, name, writer);
}

static void write_event_channel(const struct catalogue *catalogue, const rpc_module *module,
                                const rpc_event *event, struct writer *writer)
{
    (void)module;
    write_channel(catalogue, writer, "event", "/event/", event->name);
}

static void write_counter_channel(const struct catalogue *catalogue, struct writer *writer, const char *level)
{
    char topic[TOPIC_PREFIX_MAX + 64];
    snprintf(topic, sizeof topic, "%s/%s/%s", rpc_host.counters_topic, catalogue->options->prefix, level);
    open_key(writer, "counter", level);
    writer_member(writer, "address", topic);
    writer_open_object(writer, "messages");
    write_message_ref(writer, "counter", "counter", level);
    close_objects(writer, 2);
}

static void write_jsonrpc_channels(const struct catalogue *catalogue, struct writer *writer)
{
    write_channel(catalogue, writer, "jsonrpc", "/", "jsonrpc");
    open_reply_channel(writer, "jsonrpcReply", "jsonrpc",
                       "the Response Topic of the request, else {address of the request}/response/{token}, "
                       "where token is the id up to its last ':'");
    write_message_ref(writer, "response", "jsonrpcReply", "jsonrpc");
    close_objects(writer, 2);
    open_key(writer, "request", "method");
    catalogue_write_topic(catalogue, writer, "address", "/call/", "{method}/request");
    writer_member(writer, "description", "for clients of JSON-RPC 2.0 that add the last level");
    writer_open_object(writer, "parameters");
    writer_open_object(writer, "method");
    writer_member(writer, "description", "the method's name, which may have several levels");
    close_objects(writer, 2);
    writer_open_object(writer, "messages");
    write_message_ref(writer, "jsonrpc", "jsonrpc", "jsonrpc");
    close_objects(writer, 2);
}

static void write_channels(const struct catalogue *catalogue, struct writer *writer)
{
    writer_open_object(writer, "channels");
    each_method(catalogue, writer, write_method_channels);
    write_jsonrpc_channels(catalogue, writer);
    write_channel(catalogue, writer, "event", "/event/", CATALOGUE_ERROR_EVENT);
    each_event(catalogue, writer, write_event_channel);
#define COUNTER(member, level, text) write_counter_channel(catalogue, writer, level);
    ENGINE_COUNTERS(COUNTER)
#undef COUNTER
    writer_text(writer, "}");
}

/* ---- Operations ---- */

static void open_operation_at(struct writer *writer, const char *action, const char *what,
                              const char *channel, const char *name, const char *doc)
{
    open_key(writer, what, name);
    writer_member(writer, "action", action);
    writer_name(writer, "channel");
    write_ref(writer, "#/channels/", channel, name, "");
    if (doc)
        writer_member(writer, "summary", doc);
}

/* An operation on the channel of the same key. */
static void open_operation(struct writer *writer, const char *action, const char *what, const char *name,
                           const char *doc)
{
    open_operation_at(writer, action, what, what, name, doc);
}

static void write_reply(struct writer *writer, const char *what, const char *name)
{
    writer_open_object(writer, "reply");
    writer_open_object(writer, "address");
    writer_member(writer, "location", "$message.header#/responseTopic");
    writer_text(writer, "}");
    writer_name(writer, "channel");
    write_ref(writer, "#/channels/", what, name, "");
    writer_text(writer, "}");
}

/* The same without a Response Topic; result is what a success is answered with. */
static void write_operation_by_id(const rpc_method *method, struct writer *writer, const char *what,
                                  const char *channel, const char *result)
{
    char message[64];
    open_operation_at(writer, "receive", what, channel, method->name, method->doc);
    writer_open_object(writer, "reply");
    writer_name(writer, "channel");
    write_ref(writer, "#/channels/", "response", method->name, "");
    writer_open_array(writer, "messages");
    snprintf(message, sizeof message, "/messages/%s", result);
    write_ref(writer, "#/channels/", "response", method->name, message);
    writer_element(writer);
    write_ref(writer, "#/channels/", "response", method->name, "/messages/wrappedError");
    writer_text(writer, "]");
    close_objects(writer, 2);
}

static void write_method_operations(const struct catalogue *catalogue, const rpc_method *method,
                                    struct writer *writer)
{
    (void)catalogue;
    open_operation(writer, "receive", "call", method->name, method->doc);
    write_reply(writer, "reply", method->name);
    writer_member_bool(writer, "x-read-only", method->read_only);
    writer_text(writer, "}");
    if (catalogue_takes_bytes(method))
        return;
    open_operation(writer, "receive", "batch", method->name, method->doc);
    write_reply(writer, "batchReply", method->name);
    writer_text(writer, "}");
    write_operation_by_id(method, writer, "callById", "call", "wrappedResult");
    write_operation_by_id(method, writer, "batchById", "batch", "wrappedResults");
}

static void write_sent(struct writer *writer, const char *what, const char *name, const char *doc, int qos,
                       bool retained)
{
    open_operation(writer, "send", what, name, doc);
    writer_open_object(writer, "bindings");
    writer_open_object(writer, "mqtt");
    writer_member_integer(writer, "qos", qos);
    writer_member_bool(writer, "retain", retained);
    writer_member(writer, "bindingVersion", "0.2.0");
    close_objects(writer, 3);
}

static void write_event_operation(const struct catalogue *catalogue, const rpc_module *module,
                                  const rpc_event *event, struct writer *writer)
{
    (void)module;
    write_sent(writer, "event", event->name, event->doc, catalogue->options->qos, event->retained);
}

static void write_operations(const struct catalogue *catalogue, struct writer *writer)
{
    writer_open_object(writer, "operations");
    each_method(catalogue, writer, write_method_operations);
    open_operation(writer, "receive", "jsonrpc", "jsonrpc",
                   "JSON-RPC 2.0 for the methods that are open there");
    write_reply(writer, "jsonrpcReply", "jsonrpc");
    writer_text(writer, "}");
    open_operation(writer, "receive", "request", "method", "JSON-RPC 2.0 for the method of the topic");
    write_reply(writer, "jsonrpcReply", "jsonrpc");
    writer_text(writer, "}");
    write_sent(writer, "event", CATALOGUE_ERROR_EVENT, CATALOGUE_ERROR_DOC, catalogue->options->qos, false);
    each_event(catalogue, writer, write_event_operation);
#define COUNTER(member, level, text) write_sent(writer, "counter", level, text, 0, true);
    ENGINE_COUNTERS(COUNTER)
#undef COUNTER
    writer_text(writer, "}");
}

/* ---- Messages ---- */

static void open_message(struct writer *writer, const char *what, const char *name, const char *title,
                         const char *trait)
{
    open_key(writer, what, name);
    writer_member(writer, "title", title);
    if (!trait)
        return;
    writer_open_array(writer, "traits");
    writer_text(writer, "{");
    writer_member(writer, "$ref", trait);
    writer_text(writer, "}]");
}

#define CALL_TRAIT "#/components/messageTraits/call"
#define SUCCESS_TRAIT "#/components/messageTraits/success"
#define FAILURE_TRAIT "#/components/messageTraits/failure"

static void write_call_message(const rpc_method *method, struct writer *writer)
{
    open_message(writer, "call", method->name, "Parameters", CALL_TRAIT);
    if (catalogue_takes_bytes(method)) {
        writer_member(writer, "contentType", "application/octet-stream");
        writer_member(writer, "description", "any bytes");
    } else {
        writer_name(writer, "payload");
        schema_write(method->params, writer);
    }
    writer_text(writer, "}");
}

static void write_error_message(const rpc_method *method, struct writer *writer)
{
    open_message(writer, "error", method->name, "Error", FAILURE_TRAIT);
    writer_open_object(writer, "payload");
    writer_open_array(writer, "anyOf");
    for (const rpc_error *error = method->errors; error && error->code; error++) {
        writer_element(writer);
        schema_write_error(error, writer);
    }
    writer_element(writer);
    writer_text(writer, "{\"$ref\":\"#/components/schemas/engineError\"}]");
    close_objects(writer, 2);
}

/* The schema of an array of as many items as a batch may have, whose own schema the caller writes. */
static void open_batch(const struct catalogue *catalogue, struct writer *writer)
{
    writer_text(writer, "{");
    writer_member(writer, "type", "array");
    writer_member_integer(writer, "maxItems", catalogue->options->max_batch);
    writer_name(writer, "items");
}

static void write_calls(const struct catalogue *catalogue, const rpc_method *method, struct writer *writer)
{
    open_batch(catalogue, writer);
    write_ref(writer, "#/components/messages/", "call", method->name, "/payload");
    writer_text(writer, "}");
}

/* The schema of an object with a request_id and one more member, whose own schema the caller writes. */
static void open_wrapping(struct writer *writer, const char *member)
{
    writer_text(writer, "{\"type\":\"object\",\"required\":[\"request_id\",");
    writer_string(writer, member);
    writer_text(writer, "],\"properties\":{\"request_id\":{\"type\":\"string\"}");
    writer_name(writer, member);
}

/* Without a Response Topic. */
static void write_wrapped(struct writer *writer, const char *what, const char *name, const char *member,
                          const char *inner, const char *trait)
{
    open_message(writer, what, name, "What goes to a caller by its request_id", trait);
    writer_open_object(writer, "correlationId");
    writer_member(writer, "location", REQUEST_ID);
    writer_text(writer, "}");
    writer_name(writer, "payload");
    open_wrapping(writer, member);
    write_ref(writer, "#/components/messages/", inner, name, "/payload");
    close_objects(writer, 3);
}

static void write_wrapped_messages(const char *name, struct writer *writer)
{
    write_wrapped(writer, "wrappedResult", name, "result", "result", SUCCESS_TRAIT);
    write_wrapped(writer, "wrappedResults", name, "result", "results", SUCCESS_TRAIT);
    write_wrapped(writer, "wrappedError", name, "error", "error", FAILURE_TRAIT);
}

static void write_batch_messages(const struct catalogue *catalogue, const rpc_method *method,
                                 struct writer *writer)
{
    open_message(writer, "batch", method->name, "Many calls", CALL_TRAIT);
    writer_open_object(writer, "payload");
    writer_open_array(writer, "anyOf");
    write_calls(catalogue, method, writer);
    writer_text(writer, ",");
    open_wrapping(writer, "calls");
    write_calls(catalogue, method, writer);
    writer_text(writer, "}}]");
    close_objects(writer, 2);
    open_message(writer, "results", method->name, "Their results, in the same order", SUCCESS_TRAIT);
    writer_name(writer, "payload");
    open_batch(catalogue, writer);
    writer_text(writer, "{\"type\":\"object\",\"properties\":{\"result\":");
    write_ref(writer, "#/components/messages/", "result", method->name, "/payload");
    writer_text(writer, ",\"error\":");
    write_ref(writer, "#/components/messages/", "error", method->name, "/payload");
    writer_text(writer, "},\"minProperties\":1,\"maxProperties\":1}");
    close_objects(writer, 2);
}

static void write_method_messages(const struct catalogue *catalogue, const rpc_method *method,
                                  struct writer *writer)
{
    write_call_message(method, writer);
    open_message(writer, "result", method->name, "Result", SUCCESS_TRAIT);
    writer_name(writer, "payload");
    schema_write(method->result, writer);
    writer_text(writer, "}");
    write_error_message(method, writer);
    if (catalogue_takes_bytes(method))
        return;
    write_batch_messages(catalogue, method, writer);
    write_wrapped_messages(method->name, writer);
}

static void write_event_message(const struct catalogue *catalogue, const rpc_module *module,
                                const rpc_event *event, struct writer *writer)
{
    (void)catalogue;
    open_message(writer, "event", event->name, event->doc ? event->doc : "", NULL);
    writer_name(writer, "payload");
    catalogue_write_event_schema(module, event, writer);
    writer_text(writer, "}");
}

static void write_error_event_message(struct writer *writer)
{
    open_message(writer, "event", CATALOGUE_ERROR_EVENT, CATALOGUE_ERROR_DOC, NULL);
    writer_name(writer, "payload");
    schema_write_any_error(writer);
    writer_text(writer, "}");
}

static void write_counter_message(struct writer *writer, const char *level, const char *text)
{
    open_message(writer, "counter", level, text, NULL);
    writer_text(writer, ",\"contentType\":\"text/plain\",\"payload\":{\"type\":\"integer\",\"minimum\":0}}");
}

static void write_jsonrpc_messages(const struct catalogue *catalogue, struct writer *writer)
{
    open_message(writer, "jsonrpc", "jsonrpc", "JSON-RPC 2.0 request or batch", CALL_TRAIT);
    writer_open_object(writer, "payload");
    writer_text(writer,
                "\"oneOf\":[{\"$ref\":\"#/components/schemas/request\"},{\"type\":\"array\",\"items\":{"
                "\"$ref\":\"#/components/schemas/request\"},\"minItems\":1");
    writer_member_integer(writer, "maxItems", catalogue->options->max_batch);
    writer_text(writer, "}]}}");
    open_message(writer, "jsonrpcReply", "jsonrpc", "JSON-RPC 2.0 response or batch of them", NULL);
    writer_open_object(writer, "payload");
    writer_text(writer,
                "\"oneOf\":[{\"$ref\":\"#/components/schemas/response\"},{\"type\":\"array\",\"items\":{"
                "\"$ref\":\"#/components/schemas/response\"}}]}}");
}

static void write_messages(const struct catalogue *catalogue, struct writer *writer)
{
    writer_open_object(writer, "messages");
    each_method(catalogue, writer, write_method_messages);
    write_jsonrpc_messages(catalogue, writer);
    write_error_event_message(writer);
    each_event(catalogue, writer, write_event_message);
#define COUNTER(member, level, text) write_counter_message(writer, level, text);
    ENGINE_COUNTERS(COUNTER)
#undef COUNTER
    writer_text(writer, "}");
}

/* ---- What messages have in common ---- */

/*
 * What MQTT 5 keeps in properties stands as headers, which AsyncAPI's expressions can point at. The user
 * property `status` tells a result from an error.
 */
#define TRAIT(name, header)                                                                          \
    "\"" name "\":{\"headers\":{\"type\":\"object\",\"properties\":{" header                         \
    ",\"correlationData\":{\"type\":\"string\"}}},\"correlationId\":{\"location\":\"$message.header" \
    "#/correlationData\"}}"

static void write_traits(struct writer *writer)
{
    writer_open_object(writer, "messageTraits");
    writer_text(writer, TRAIT("call", "\"responseTopic\":{\"type\":\"string\"}"));
    writer_text(writer, "," TRAIT("success", "\"status\":{\"const\":\"ok\"}"));
    writer_text(writer, "," TRAIT("failure", "\"status\":{\"type\":\"string\",\"not\":{\"const\":\"ok\"}}"));
    writer_text(writer, "}");
}

#define JSONRPC_ID "\"id\":{\"type\":[\"string\",\"number\",\"null\"]}"

static void write_schemas(struct writer *writer)
{
    writer_open_object(writer, "schemas");
    writer_name(writer, "engineError");
    schema_write_engine_error(writer);
    writer_text(writer,
                ",\"request\":{\"type\":\"object\",\"properties\":{\"jsonrpc\":{\"const\":\"2.0\"},"
                "\"method\":{\"type\":\"string\"},\"params\":{\"type\":[\"object\",\"array\"]}," JSONRPC_ID
                "},\"required\":[\"jsonrpc\",\"method\"]}");
    writer_text(writer, ",\"response\":{\"type\":\"object\",\"properties\":{\"jsonrpc\":{\"const\":\"2.0\"},"
                        "\"result\":{},\"error\":{\"type\":\"object\",\"properties\":{\"code\":{\"type\":"
                        "\"integer\"},\"message\":{\"type\":\"string\"},\"data\":");
    schema_write_any_error(writer);
    writer_text(writer, "},\"required\":[\"code\",\"message\"]}," JSONRPC_ID "},"
                        "\"required\":[\"jsonrpc\",\"id\"]}}");
}

/* ---- The document ---- */

static void write_info(struct writer *writer)
{
    writer_open_object(writer, "info");
    writer_member(writer, "title", "mosquitto-rpc");
    writer_member(writer, "version", RPC_VERSION);
    writer_member(
        writer, "description",
        "Remote procedure calls over MQTT. A caller asks for a reply by a Response Topic (MQTT 5), or "
        "by a string member request_id beside its parameters: the reply is then "
        "{\"request_id\":…,\"result\":…} or {\"request_id\":…,\"error\":…}. A batch is asked for in the same "
        "two ways, the second one as {\"request_id\":…,\"calls\":[…]}.");
    writer_text(writer, "}");
}

void asyncapi_write(const struct catalogue *catalogue, struct writer *writer)
{
    writer_text(writer, "{");
    writer_member(writer, "asyncapi", "3.0.0");
    write_info(writer);
    writer_member(writer, "defaultContentType", "application/json");
    write_channels(catalogue, writer);
    write_operations(catalogue, writer);
    writer_open_object(writer, "components");
    write_messages(catalogue, writer);
    write_traits(writer);
    write_schemas(writer);
    close_objects(writer, 2);
}

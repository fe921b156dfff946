// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The AsyncAPI 3.0.0 document: the service as a set of channels. The document takes the side of the service,
 * which receives calls and sends replies, events and counters.
 *
 * The reply to a call without a Response Topic goes to a topic that ends with the request_id, and is wrapped
 * in an object. The document has a channel of its own for such replies, `response`, and two more operations
 * on the channels of calls and batches.
 *
 * Commands of devices have a channel for each name, with one message and one operation for each kind of
 * devices that declares a command of that name, since the kind of a device is no part of the topic.
 *
 * A keyed event has two channels: `keyedEvent`, whose parameter is the value of the key, and `event` for what
 * has no value that can be a level of a topic.
 *
 * Channels, operations and messages have keys of the form {what}.{name}. A name may contain a '/', but the
 * key of a component may not: see make_key().
 */
#include "reference.h"

#include "config.h"

#include "call/dead.h"
#include "call/span.h"
#include "call/topic.h"
#include "observe/health.h"
#include "observe/report.h"
#include "shape/schema.h"

#include <stdio.h>
#include <string.h>

/* ---- Keys and references ---- */

enum { KEY_MAX = 4 * TOPIC_NAME_MAX + 64 };

/*
 * {what}.{name}. The key has "-." for a '/', "--" for a '-' and "-_" for the braces around a level, so that
 * no two names have the same key.
 */
static const char *make_key(const char *what, const char *name, char key[KEY_MAX])
{
    char *end = key + snprintf(key, KEY_MAX, "%s.", what);
    for (; *name && end < key + KEY_MAX - 3; name++) {
        if (*name == '}')
            continue;
        if (*name == '/' || *name == '-' || *name == '{')
            *end++ = '-';
        *end++ = *name == '/' ? '.' : *name == '{' ? '_' : *name;
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
    writer_begin_object(writer);
    writer_member(writer, "$ref", pointer);
    writer_end_object(writer);
}

static void write_message_ref(struct writer *writer, const char *member, const char *what, const char *name)
{
    writer_name(writer, member);
    write_ref(writer, "#/components/messages/", what, name, "");
}

static void close_objects(struct writer *writer, int count)
{
    while (count--)
        writer_end_object(writer);
}

static void each_method(const struct catalogue *catalogue, struct writer *writer,
                        void (*write)(const struct catalogue *catalogue, const rpc_module *module,
                                      const rpc_method *method, struct writer *writer))
{
    for (const rpc_module *const *module = catalogue->modules; *module; module++) {
        for (const rpc_method *method = (*module)->methods.rows; RPC_HAS_ROW((*module)->methods, method);
             method++)
            write(catalogue, *module, method, writer);
    }
}

static void each_event(const struct catalogue *catalogue, struct writer *writer,
                       void (*write)(const struct catalogue *catalogue, const rpc_module *module,
                                     const rpc_event *event, struct writer *writer))
{
    for (const rpc_module *const *module = catalogue->modules; *module; module++) {
        for (const rpc_event *event = (*module)->events.rows; RPC_HAS_ROW((*module)->events, event); event++)
            write(catalogue, *module, event, writer);
    }
}

static const rpc_command *find_command(const rpc_module *module, const char *name)
{
    for (const rpc_command *command = module->commands.rows; RPC_HAS_ROW(module->commands, command);
         command++) {
        if (strcmp(command->name, name) == 0)
            return command;
    }
    return NULL;
}

/* method: how the command is called. name: as in keys. */
static void each_command(const struct catalogue *catalogue, struct writer *writer,
                         void (*write)(const struct catalogue *catalogue, const rpc_module *module,
                                       const rpc_command *command, const rpc_method *method, const char *name,
                                       struct writer *writer))
{
    char called[CATALOGUE_NAME], name[CATALOGUE_NAME];
    for (const rpc_module *const *module = catalogue->modules; *module; module++) {
        for (const rpc_command *command = (*module)->commands.rows; RPC_HAS_ROW((*module)->commands, command);
             command++) {
            const rpc_method method = catalogue_make_method(command, called);
            write(catalogue, *module, command, &method, catalogue_name_command(*module, command, name),
                  writer);
        }
    }
}

enum { INBOX_MAX = 2 * TOPIC_PREFIX_MAX + TOPIC_NAME_MAX + 16 * TOPIC_WILD_MAX };

/* The name of an inbox's channel: its topic with its usual root, in which {level1} stands for the first `+`.
 */
static const char *make_inbox_name(const rpc_module *module, const rpc_inbox *inbox, char name[INBOX_MAX])
{
    int level = 0;
    int used = snprintf(name, INBOX_MAX, "%s/", module->inbox_root);
    for (const char *c = inbox->topic; *c; c++) {
        if (*c == '+')
            used += snprintf(name + used, INBOX_MAX - (size_t)used, "{level%d}", ++level);
        else
            used += snprintf(name + used, INBOX_MAX - (size_t)used, "%c", *c);
    }
    return name;
}

static void each_inbox(const struct catalogue *catalogue, struct writer *writer,
                       void (*write)(const struct catalogue *catalogue, const rpc_module *module,
                                     const rpc_inbox *inbox, const char *name, struct writer *writer))
{
    char name[INBOX_MAX];
    for (const rpc_module *const *module = catalogue->modules; *module; module++) {
        for (const rpc_inbox *inbox = (*module)->inboxes.rows; RPC_HAS_ROW((*module)->inboxes, inbox);
             inbox++)
            write(catalogue, *module, inbox, make_inbox_name(*module, inbox, name), writer);
    }
}

/* The member of a call's payload that identifies its reply if the call has no Response Topic. */
#define REQUEST_ID "$message.payload#/request_id"

/* ---- Channels ---- */

/* A channel at {prefix}{middle}{rest}. */
static void open_channel(const struct catalogue *catalogue, struct writer *writer, const char *what,
                         const char *middle, const char *rest, const char *name)
{
    open_key(writer, what, name);
    catalogue_write_topic(catalogue, writer, "address", middle, rest);
}

static void write_parameter(struct writer *writer, const char *name, const char *doc)
{
    writer_open_object(writer, name);
    writer_member(writer, "description", doc);
    writer_end_object(writer);
}

/* The parameters of a channel that are the levels in braces of a method family. */
static void write_levels(struct writer *writer, const char *family)
{
    char word[TOPIC_NAME_MAX];
    for (const char *level = topic_find_wild(family); level; level = topic_find_wild(level + 1)) {
        snprintf(word, sizeof word, "%.*s", (int)strcspn(level + 1, "}"), level + 1);
        write_parameter(writer, word, "one level of the topic");
    }
}

/* A channel with a single message, which has the same key as the channel. */
static void write_channel(const struct catalogue *catalogue, struct writer *writer, const char *what,
                          const char *middle, const char *name)
{
    open_channel(catalogue, writer, what, middle, name, name);
    if (topic_find_wild(name)) {
        writer_open_object(writer, "parameters");
        write_levels(writer, name);
        writer_end_object(writer);
    }
    writer_open_object(writer, "messages");
    write_message_ref(writer, what, what, name);
    close_objects(writer, 2);
}

/* A channel without an address: the caller names the topic. */
static void open_reply_channel(struct writer *writer, const char *what, const char *name, const char *doc)
{
    open_key(writer, what, name);
    writer_name(writer, "address");
    writer_null(writer);
    writer_member(writer, "description", doc);
    writer_open_object(writer, "messages");
}

/* The channel of replies without a Response Topic, for single calls and batches. */
static void write_response_channel(const struct catalogue *catalogue, const char *name, struct writer *writer)
{
    char rest[TOPIC_NAME_MAX + 32];
    snprintf(rest, sizeof rest, "%s/response/{request_id}", name);
    open_channel(catalogue, writer, "response", "/call/", rest, name);
    writer_member(writer, "description",
                  "the reply to a call without a Response Topic; only the caller receives it");
    writer_open_object(writer, "parameters");
    write_levels(writer, name);
    writer_open_object(writer, "request_id");
    writer_member(writer, "description", "the request_id of the call or the batch");
    writer_member(writer, "location", REQUEST_ID);
    close_objects(writer, 2);
    writer_open_object(writer, "messages");
    write_message_ref(writer, "wrappedResult", "wrappedResult", name);
    write_message_ref(writer, "wrappedResults", "wrappedResults", name);
    write_message_ref(writer, "wrappedError", "wrappedError", name);
    close_objects(writer, 2);
}

static void write_method_channels(const struct catalogue *catalogue, const rpc_module *module,
                                  const rpc_method *method, struct writer *writer)
{
    (void)module;
    const char *name = method->name;
    write_channel(catalogue, writer, "call", "/call/", name);
    open_reply_channel(writer, "reply", name, "the Response Topic of the call");
    write_message_ref(writer, "result", "result", name);
    write_message_ref(writer, "error", "error", name);
    if (method->progress)
        write_message_ref(writer, "progress", "progress", name);
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

/* Says of the parameter of a channel that it is a member of the payload, whose name is escaped (RFC 6901). */
static void write_key(const char *member, struct writer *writer)
{
    char location[64 + 2 * TOPIC_NAME_MAX] = "$message.payload#/", *end = location + strlen(location);
    for (; *member && end < location + sizeof location - 3; member++) {
        if (*member == '~' || *member == '/')
            *end++ = '~';
        *end++ = *member == '~' ? '0' : *member == '/' ? '1' : *member;
    }
    *end = '\0';
    writer_member(writer, "description", "the value of the event's key");
    writer_member(writer, "location", location);
}

static void write_event_channel(const struct catalogue *catalogue, const rpc_module *module,
                                const rpc_event *event, struct writer *writer)
{
    (void)module;
    write_channel(catalogue, writer, "event", "/event/", event->name);
    if (!event->key)
        return;
    char rest[TOPIC_NAME_MAX + sizeof CATALOGUE_KEY];
    snprintf(rest, sizeof rest, "%s" CATALOGUE_KEY, event->name);
    open_channel(catalogue, writer, "keyedEvent", "/event/", rest, event->name);
    writer_open_object(writer, "parameters");
    writer_open_object(writer, "key");
    write_key(event->key, writer);
    close_objects(writer, 2);
    writer_open_object(writer, "messages");
    write_message_ref(writer, "event", "event", event->name);
    close_objects(writer, 2);
}

static void write_inbox_channel(const struct catalogue *catalogue, const rpc_module *module,
                                const rpc_inbox *inbox, const char *name, struct writer *writer)
{
    (void)module;
    const char *last = strrchr(catalogue->options->prefix, '/');
    const int head = last ? (int)(last + 1 - catalogue->options->prefix) : 0;
    char address[TOPIC_PREFIX_MAX + INBOX_MAX];
    snprintf(address, sizeof address, "%.*s%s", head, catalogue->options->prefix, name);
    open_key(writer, "inbox", name);
    writer_member(writer, "address", address);
    writer_open_object(writer, "parameters");
    for (unsigned level = 1; level <= topic_count_wild(inbox->topic); level++) {
        char word[16];
        snprintf(word, sizeof word, "level%u", level);
        write_parameter(writer, word,
                        level == inbox->sender_level ? "the sender's client id" : "one level of the topic");
    }
    writer_end_object(writer);
    writer_open_object(writer, "messages");
    write_message_ref(writer, "inbox", "inbox", name);
    close_objects(writer, 2);
}

/* The channel of all commands of a name, which is written with the first of them. */
static void write_command_channel(const struct catalogue *catalogue, const rpc_module *first,
                                  const rpc_command *command, const rpc_method *method, struct writer *writer)
{
    char name[CATALOGUE_NAME];
    const rpc_module *const *module = catalogue->modules;
    while (*module != first && !find_command(*module, command->name))
        module++;
    if (*module != first)
        return;
    open_channel(catalogue, writer, "command", "/call/", method->name, command->name);
    writer_open_object(writer, "parameters");
    write_levels(writer, method->name);
    writer_end_object(writer);
    writer_open_object(writer, "messages");
    for (; *module; module++) {
        const rpc_command *same = find_command(*module, command->name);
        if (same)
            write_message_ref(writer, (*module)->name, "command",
                              catalogue_name_command(*module, same, name));
    }
    close_objects(writer, 2);
}

static void write_command_channels(const struct catalogue *catalogue, const rpc_module *module,
                                   const rpc_command *command, const rpc_method *method, const char *name,
                                   struct writer *writer)
{
    write_command_channel(catalogue, module, command, method, writer);
    open_reply_channel(writer, "commandReply", name, "the Response Topic of the call");
    write_message_ref(writer, "result", "commandResult", name);
    write_message_ref(writer, "error", "commandError", name);
    if (command->progress)
        write_message_ref(writer, "progress", "commandProgress", name);
    close_objects(writer, 2);
}

/* A topic that is no part of the prefix; what: "counter", "health" or "span". */
static void write_counter_channel(const struct catalogue *catalogue, struct writer *writer, const char *what,
                                  const char *level)
{
    char topic[TOPIC_COUNTER_MAX + 1];
    snprintf(topic, sizeof topic, "%s/%s/%s", rpc_host.counters_topic, catalogue->options->prefix, level);
    open_key(writer, what, level);
    writer_member(writer, "address", topic);
    writer_open_object(writer, "messages");
    write_message_ref(writer, what, what, level);
    close_objects(writer, 2);
}

static void write_statistics_channel(const struct catalogue *catalogue, struct writer *writer)
{
    char topic[TOPIC_COUNTER_MAX + 1];
    snprintf(topic, sizeof topic, "%s/%s/" TOPIC_METHOD_LEVEL "/{method}", rpc_host.counters_topic,
             catalogue->options->prefix);
    open_key(writer, "statistics", "method");
    writer_member(writer, "address", topic);
    writer_open_object(writer, "parameters");
    write_parameter(writer, "method", "the method's declared name, which may have several levels");
    writer_end_object(writer);
    writer_open_object(writer, "messages");
    write_message_ref(writer, "statistics", "statistics", "method");
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
    writer_member(writer, "description",
                  "for JSON-RPC 2.0 clients that add /request to the topic of the method");
    writer_open_object(writer, "parameters");
    write_parameter(writer, "method", "the method's name, which may have several levels");
    writer_end_object(writer);
    writer_open_object(writer, "messages");
    write_message_ref(writer, "jsonrpc", "jsonrpc", "jsonrpc");
    close_objects(writer, 2);
}

static void write_letter_channel(const struct catalogue *catalogue, struct writer *writer)
{
    open_key(writer, "dead", "method");
    catalogue_write_topic(catalogue, writer, "address", "/dead/", "{method}");
    writer_open_object(writer, "parameters");
    write_parameter(writer, "method", "the method, as it was called; it may have several levels");
    writer_end_object(writer);
    writer_open_object(writer, "messages");
    write_message_ref(writer, "dead", "dead", "method");
    close_objects(writer, 2);
}

/* Between the plugin and its workers: the rows of the table of trees say it. */
static void write_work_channels(const struct catalogue *catalogue, struct writer *writer)
{
    for (const struct topic_tree *tree = topic_trees; tree->word; tree++) {
        if (tree->kind != TOPIC_WORK)
            continue;
        open_key(writer, tree->word, "worker");
        catalogue_write_topic(catalogue, writer, "address", "/", tree->pattern);
        writer_open_object(writer, "parameters");
        write_parameter(writer, "worker", "the worker's name, with which it has called rpc.attach");
        if (strstr(tree->pattern, "{event}"))
            write_parameter(writer, "event", "the event; it may have several levels");
        writer_end_object(writer);
        writer_open_object(writer, "messages");
        write_message_ref(writer, tree->word, tree->word, "worker");
        close_objects(writer, 2);
    }
}

static void write_channels(const struct catalogue *catalogue, struct writer *writer)
{
    writer_open_object(writer, "channels");
    each_method(catalogue, writer, write_method_channels);
    each_command(catalogue, writer, write_command_channels);
    write_jsonrpc_channels(catalogue, writer);
    write_channel(catalogue, writer, "event", "/event/", TOPIC_ERROR_EVENT);
    each_event(catalogue, writer, write_event_channel);
    write_letter_channel(catalogue, writer);
    write_work_channels(catalogue, writer);
    each_inbox(catalogue, writer, write_inbox_channel);
#define COUNTER(member, level, text) write_counter_channel(catalogue, writer, "counter", level);
    ENGINE_COUNTERS(COUNTER)
#undef COUNTER
    write_statistics_channel(catalogue, writer);
    write_counter_channel(catalogue, writer, "health", HEALTH_LEVEL);
    write_counter_channel(catalogue, writer, "span", SPAN_LEVEL);
    writer_end_object(writer);
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

/* An operation on the channel with the same key. */
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
    writer_end_object(writer);
    writer_name(writer, "channel");
    write_ref(writer, "#/channels/", what, name, "");
    writer_end_object(writer);
}

/* An operation without a Response Topic. result is the name of the message that answers a success. */
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
    write_ref(writer, "#/channels/", "response", method->name, "/messages/wrappedError");
    writer_end_array(writer);
    close_objects(writer, 2);
}

static void write_method_operations(const struct catalogue *catalogue, const rpc_module *module,
                                    const rpc_method *method, struct writer *writer)
{
    (void)catalogue, (void)module;
    open_operation(writer, "receive", "call", method->name, method->doc);
    write_reply(writer, "reply", method->name);
    writer_member_bool(writer, "x-read-only", method->read_only);
    writer_end_object(writer);
    if (catalogue_takes_bytes(method))
        return;
    open_operation(writer, "receive", "batch", method->name, method->doc);
    write_reply(writer, "batchReply", method->name);
    writer_end_object(writer);
    write_operation_by_id(method, writer, "callById", "call", "wrappedResult");
    write_operation_by_id(method, writer, "batchById", "batch", "wrappedResults");
}

static void write_command_operation(const struct catalogue *catalogue, const rpc_module *module,
                                    const rpc_command *command, const rpc_method *method, const char *name,
                                    struct writer *writer)
{
    char message[64 + TOPIC_NAME_MAX];
    (void)catalogue;
    snprintf(message, sizeof message, "/messages/%s", module->name);
    open_key(writer, "command", name);
    writer_member(writer, "action", "receive");
    writer_name(writer, "channel");
    write_ref(writer, "#/channels/", "command", command->name, "");
    if (command->doc)
        writer_member(writer, "summary", command->doc);
    writer_open_array(writer, "messages");
    write_ref(writer, "#/channels/", "command", command->name, message);
    writer_end_array(writer);
    write_reply(writer, "commandReply", name);
    writer_member_bool(writer, "x-read-only", method->read_only);
    writer_end_object(writer);
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
    write_sent(writer, "event", event->name, event->doc, catalogue->options->qos,
               event->retained && !event->key);
    if (event->key)
        write_sent(writer, "keyedEvent", event->name, event->doc, catalogue->options->qos, event->retained);
}

static void write_inbox_operation(const struct catalogue *catalogue, const rpc_module *module,
                                  const rpc_inbox *inbox, const char *name, struct writer *writer)
{
    (void)catalogue, (void)module;
    open_operation(writer, "receive", "inbox", name, inbox->doc);
    writer_end_object(writer);
}

static void write_work_operations(struct writer *writer)
{
    for (const struct topic_tree *tree = topic_trees; tree->word; tree++) {
        if (tree->kind != TOPIC_WORK)
            continue;
        open_operation(writer, tree->sender == TOPIC_SENDER_PLUGIN ? "send" : "receive", tree->word, "worker",
                       tree->doc);
        writer_end_object(writer);
    }
}

static void write_operations(const struct catalogue *catalogue, struct writer *writer)
{
    writer_open_object(writer, "operations");
    each_method(catalogue, writer, write_method_operations);
    each_command(catalogue, writer, write_command_operation);
    open_operation(writer, "receive", "jsonrpc", "jsonrpc",
                   "JSON-RPC 2.0 for the methods that the option jsonrpc_methods opens");
    write_reply(writer, "jsonrpcReply", "jsonrpc");
    writer_end_object(writer);
    open_operation(writer, "receive", "request", "method",
                   "JSON-RPC 2.0 for the method that the topic names");
    write_reply(writer, "jsonrpcReply", "jsonrpc");
    writer_end_object(writer);
    write_sent(writer, "event", TOPIC_ERROR_EVENT, TOPIC_ERROR_DOC, catalogue->options->qos, false);
    each_event(catalogue, writer, write_event_operation);
    write_sent(writer, "dead", "method", TOPIC_DEAD_DOC, 1, false);
    write_work_operations(writer);
    each_inbox(catalogue, writer, write_inbox_operation);
#define COUNTER(member, level, text) write_sent(writer, "counter", level, text, 0, true);
    ENGINE_COUNTERS(COUNTER)
#undef COUNTER
    write_sent(writer, "statistics", "method", REPORT_DOC, 0, true);
    write_sent(writer, "health", HEALTH_LEVEL, HEALTH_DOC, 0, true);
    write_sent(writer, "span", SPAN_LEVEL, SPAN_DOC, 0, false);
    writer_end_object(writer);
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
    writer_begin_object(writer);
    writer_member(writer, "$ref", trait);
    writer_end_object(writer);
    writer_end_array(writer);
}

#define CALL_TRAIT "#/components/messageTraits/call"
#define SUCCESS_TRAIT "#/components/messageTraits/success"
#define FAILURE_TRAIT "#/components/messageTraits/failure"
#define PROGRESS_TRAIT "#/components/messageTraits/progress"

static void write_call_message(const struct catalogue *catalogue, const rpc_module *module,
                               const rpc_method *method, const char *what, const char *name,
                               struct writer *writer)
{
    const struct schema_name schema = catalogue_name(catalogue, module, name, "Params");
    open_message(writer, what, name, "Parameters", CALL_TRAIT);
    if (catalogue_takes_bytes(method)) {
        writer_member(writer, "contentType", "application/octet-stream");
        writer_member(writer, "description", "any bytes");
    } else {
        writer_name(writer, "payload");
        schema_write(method->params, false, &schema, writer);
    }
    writer_end_object(writer);
}

/* A message whose payload has a shape. */
static void write_shaped_message(const struct schema_name *schema, const rpc_shape *shape, const char *what,
                                 const char *title, const char *trait, struct writer *writer)
{
    open_message(writer, what, schema->what, title, trait);
    writer_name(writer, "payload");
    schema_write(shape, false, schema, writer);
    writer_end_object(writer);
}

static void write_error_message(const struct catalogue *catalogue, const rpc_module *module,
                                const rpc_method *method, struct writer *writer)
{
    open_message(writer, "error", method->name, "Error", FAILURE_TRAIT);
    writer_open_object(writer, "payload");
    writer_open_array(writer, "anyOf");
    for (const rpc_error *error = method->errors.rows; RPC_HAS_ROW(method->errors, error); error++)
        catalogue_write_error(catalogue, module, error, writer);
    writer_json(writer, "{\"$ref\":\"#/components/schemas/engineError\"}");
    writer_end_array(writer);
    close_objects(writer, 2);
}

/* Begins the schema of an array with at most max_batch items. The caller writes the schema of an item. */
static void open_batch(const struct catalogue *catalogue, struct writer *writer)
{
    writer_begin_object(writer);
    writer_member(writer, "type", "array");
    writer_member_integer(writer, "maxItems", catalogue->options->max_batch);
    writer_name(writer, "items");
}

static void write_calls(const struct catalogue *catalogue, const rpc_method *method, struct writer *writer)
{
    open_batch(catalogue, writer);
    write_ref(writer, "#/components/messages/", "call", method->name, "/payload");
    writer_end_object(writer);
}

/* Begins the schema of an object with a request_id and one more member. The caller writes its schema. */
static void open_wrapping(const struct schema_name *schema, struct writer *writer, const char *member)
{
    writer_begin_object(writer);
    schema_write_title(schema, writer);
    writer_member(writer, "type", "object");
    writer_open_array(writer, "required");
    writer_string(writer, "request_id");
    writer_string(writer, member);
    writer_end_array(writer);
    writer_open_object(writer, "properties");
    writer_member_json(writer, "request_id", "{\"type\":[\"string\",\"number\"]}");
    writer_name(writer, member);
}

/* A reply without a Response Topic. */
static void write_wrapped(const struct schema_name *schema, struct writer *writer, const char *what,
                          const char *member, const char *inner, const char *trait)
{
    const char *name = schema->what;
    open_message(writer, what, name, "Reply to a call that has a request_id and no Response Topic", trait);
    writer_open_object(writer, "correlationId");
    writer_member(writer, "location", REQUEST_ID);
    writer_end_object(writer);
    writer_name(writer, "payload");
    open_wrapping(schema, writer, member);
    write_ref(writer, "#/components/messages/", inner, name, "/payload");
    close_objects(writer, 3);
}

static void write_wrapped_messages(const struct catalogue *catalogue, const rpc_module *module,
                                   const char *name, struct writer *writer)
{
    const struct schema_name result = catalogue_name(catalogue, module, name, "WrappedResult");
    const struct schema_name results = catalogue_name(catalogue, module, name, "WrappedResults");
    const struct schema_name error = catalogue_name(catalogue, module, name, "WrappedError");
    write_wrapped(&result, writer, "wrappedResult", "result", "result", SUCCESS_TRAIT);
    write_wrapped(&results, writer, "wrappedResults", "result", "results", SUCCESS_TRAIT);
    write_wrapped(&error, writer, "wrappedError", "error", "error", FAILURE_TRAIT);
}

static void write_batch_messages(const struct catalogue *catalogue, const rpc_module *module,
                                 const rpc_method *method, struct writer *writer)
{
    const struct schema_name batch = catalogue_name(catalogue, module, method->name, "Batch");
    const struct schema_name outcome = catalogue_name(catalogue, module, method->name, "Outcome");
    open_message(writer, "batch", method->name, "Batch of parameters", CALL_TRAIT);
    writer_open_object(writer, "payload");
    writer_open_array(writer, "anyOf");
    write_calls(catalogue, method, writer);
    open_wrapping(&batch, writer, "calls");
    write_calls(catalogue, method, writer);
    close_objects(writer, 2);
    writer_end_array(writer);
    close_objects(writer, 2);
    open_message(writer, "results", method->name, "Results of a batch, in the order of its calls",
                 SUCCESS_TRAIT);
    writer_name(writer, "payload");
    open_batch(catalogue, writer);
    writer_begin_object(writer);
    schema_write_title(&outcome, writer);
    writer_member(writer, "type", "object");
    writer_open_object(writer, "properties");
    writer_name(writer, "result");
    write_ref(writer, "#/components/messages/", "result", method->name, "/payload");
    writer_name(writer, "error");
    write_ref(writer, "#/components/messages/", "error", method->name, "/payload");
    writer_end_object(writer);
    writer_member_integer(writer, "minProperties", 1);
    writer_member_integer(writer, "maxProperties", 1);
    close_objects(writer, 3);
}

static void write_method_messages(const struct catalogue *catalogue, const rpc_module *module,
                                  const rpc_method *method, struct writer *writer)
{
    const struct schema_name result = catalogue_name(catalogue, module, method->name, "Result");
    const struct schema_name progress = catalogue_name(catalogue, module, method->name, "Progress");
    write_call_message(catalogue, module, method, "call", method->name, writer);
    write_shaped_message(&result, method->result, "result", "Result", SUCCESS_TRAIT, writer);
    write_error_message(catalogue, module, method, writer);
    if (method->progress)
        write_shaped_message(&progress, method->progress, "progress", "Interim reply", PROGRESS_TRAIT,
                             writer);
    if (catalogue_takes_bytes(method))
        return;
    write_batch_messages(catalogue, module, method, writer);
    write_wrapped_messages(catalogue, module, method->name, writer);
}

static void write_command_messages(const struct catalogue *catalogue, const rpc_module *module,
                                   const rpc_command *command, const rpc_method *method, const char *name,
                                   struct writer *writer)
{
    const struct schema_name result = catalogue_name(catalogue, module, name, "Result");
    const struct schema_name progress = catalogue_name(catalogue, module, name, "Progress");
    write_call_message(catalogue, module, method, "command", name, writer);
    write_shaped_message(&result, method->result, "commandResult", "Result", SUCCESS_TRAIT, writer);
    open_message(writer, "commandError", name, "Error", FAILURE_TRAIT);
    writer_name(writer, "payload");
    schema_write_error(NULL, SCHEMA_ANY, NULL, &result, writer);
    writer_end_object(writer);
    if (command->progress)
        write_shaped_message(&progress, command->progress, "commandProgress", "Interim reply", PROGRESS_TRAIT,
                             writer);
}

static void write_event_message(const struct catalogue *catalogue, const rpc_module *module,
                                const rpc_event *event, struct writer *writer)
{
    open_message(writer, "event", event->name, event->doc ? event->doc : "", NULL);
    writer_name(writer, "payload");
    catalogue_write_event_schema(catalogue, module, event, writer);
    writer_end_object(writer);
}

static void write_inbox_message(const struct catalogue *catalogue, const rpc_module *module,
                                const rpc_inbox *inbox, const char *name, struct writer *writer)
{
    const struct schema_name schema = catalogue_name(catalogue, module, name, "Message");
    open_message(writer, "inbox", name, inbox->doc, NULL);
    if (inbox->shape) {
        writer_name(writer, "payload");
        schema_write(inbox->shape, false, &schema, writer);
    } else {
        writer_member(writer, "contentType", "application/octet-stream");
    }
    writer_end_object(writer);
}

static void write_error_event_message(const struct catalogue *catalogue, struct writer *writer)
{
    const struct schema_name name = catalogue_name(catalogue, NULL, TOPIC_ERROR_EVENT, "Event");
    open_message(writer, "event", TOPIC_ERROR_EVENT, TOPIC_ERROR_DOC, NULL);
    writer_name(writer, "payload");
    schema_write_error(NULL, SCHEMA_ANY, NULL, &name, writer);
    writer_end_object(writer);
}

/* The members that are always there; the protocol has the whole. */
#define SPAN_SCHEMA                                                                                    \
    "{\"title\":\"Span\",\"type\":\"object\",\"required\":[\"traceId\",\"spanId\",\"name\",\"kind\","  \
    "\"startTimeUnixNano\",\"endTimeUnixNano\",\"attributes\",\"status\"],\"properties\":{"            \
    "\"traceId\":{\"type\":\"string\"},\"spanId\":{\"type\":\"string\"},"                              \
    "\"parentSpanId\":{\"type\":\"string\"},\"traceState\":{\"type\":\"string\"},"                     \
    "\"name\":{\"type\":\"string\"},\"kind\":{\"const\":2},"                                           \
    "\"startTimeUnixNano\":{\"type\":\"string\"},\"endTimeUnixNano\":{\"type\":\"string\"},"           \
    "\"attributes\":{\"type\":\"array\",\"items\":{\"title\":\"SpanAttribute\",\"type\":\"object\"}}," \
    "\"status\":{\"title\":\"SpanStatus\",\"type\":\"object\"}}}"

/* A JSON document that the engine publishes. */
static void write_document_message(struct writer *writer, const char *what, const char *level,
                                   const char *text, const rpc_shape *shape, struct schema_name name)
{
    open_message(writer, what, level, text, NULL);
    writer_name(writer, "payload");
    schema_write(shape, false, &name, writer);
    writer_end_object(writer);
}

static void write_counter_message(struct writer *writer, const char *level, const char *text)
{
    open_message(writer, "counter", level, text, NULL);
    writer_member(writer, "contentType", "text/plain");
    writer_member_json(writer, "payload", "{\"type\":\"integer\",\"minimum\":0}");
    writer_end_object(writer);
}

/* The payload is one item, or an array of them. The caller adds the bounds of the array. */
static void open_one_or_many(struct writer *writer, const char *item)
{
    writer_open_object(writer, "payload");
    writer_open_array(writer, "oneOf");
    writer_json(writer, item);
    writer_begin_object(writer);
    writer_member(writer, "type", "array");
    writer_member_json(writer, "items", item);
}

static void close_one_or_many(struct writer *writer)
{
    writer_end_object(writer);
    writer_end_array(writer);
    close_objects(writer, 2);
}

static void write_jsonrpc_messages(const struct catalogue *catalogue, struct writer *writer)
{
    open_message(writer, "jsonrpc", "jsonrpc", "JSON-RPC 2.0 request or batch", CALL_TRAIT);
    open_one_or_many(writer, "{\"$ref\":\"#/components/schemas/request\"}");
    writer_member_integer(writer, "minItems", 1);
    writer_member_integer(writer, "maxItems", catalogue->options->max_batch);
    close_one_or_many(writer);
    open_message(writer, "jsonrpcReply", "jsonrpc", "JSON-RPC 2.0 response or batch of them", NULL);
    open_one_or_many(writer, "{\"$ref\":\"#/components/schemas/response\"}");
    close_one_or_many(writer);
}

/* The user properties of a call for a worker, and of its answer. */
#define WORK_HEADERS                                                                                       \
    "{\"title\":\"WorkHeaders\",\"type\":\"object\",\"required\":[\"method\",\"caller\",\"deadline-ms\"]," \
    "\"properties\":{\"method\":{\"type\":\"string\"},\"caller\":{\"type\":\"string\"},"                   \
    "\"caller-user\":{\"type\":\"string\"},\"caller-version\":{\"type\":\"string\"},"                      \
    "\"deadline-ms\":{\"type\":\"string\"},\"progress\":{\"const\":\"1\"},"                                \
    "\"traceparent\":{\"type\":\"string\"},\"tracestate\":{\"type\":\"string\"},"                          \
    "\"correlationData\":{\"type\":\"string\"}}}"
#define DONE_HEADERS                                                                                    \
    "{\"title\":\"WorkDoneHeaders\",\"type\":\"object\",\"required\":[\"status\",\"correlationData\"]," \
    "\"properties\":{\"status\":{\"type\":\"string\"},\"correlationData\":{\"type\":\"string\"}}}"

static void write_work_messages(struct writer *writer)
{
    for (const struct topic_tree *tree = topic_trees; tree->word; tree++) {
        if (tree->kind != TOPIC_WORK)
            continue;
        open_message(writer, tree->word, "worker", tree->doc, NULL);
        if (strcmp(tree->word, "work") == 0)
            writer_member_json(writer, "headers", WORK_HEADERS);
        if (strcmp(tree->word, "workDone") == 0)
            writer_member_json(writer, "headers", DONE_HEADERS);
        writer_end_object(writer);
    }
}

static void write_messages(const struct catalogue *catalogue, struct writer *writer)
{
    writer_open_object(writer, "messages");
    each_method(catalogue, writer, write_method_messages);
    each_command(catalogue, writer, write_command_messages);
    write_jsonrpc_messages(catalogue, writer);
    write_error_event_message(catalogue, writer);
    each_event(catalogue, writer, write_event_message);
    write_document_message(writer, "dead", "method", TOPIC_DEAD_DOC, &dead_shape,
                           catalogue_name(catalogue, NULL, "dead", "Letter"));
    write_work_messages(writer);
    each_inbox(catalogue, writer, write_inbox_message);
#define COUNTER(member, level, text) write_counter_message(writer, level, text);
    ENGINE_COUNTERS(COUNTER)
#undef COUNTER
    write_document_message(writer, "statistics", "method", REPORT_DOC, &report_document_shape,
                           catalogue_name(catalogue, NULL, "method", "Statistics"));
    write_document_message(writer, "health", HEALTH_LEVEL, HEALTH_DOC, &health_shape,
                           catalogue_name(catalogue, NULL, HEALTH_LEVEL, "Health"));
    open_message(writer, "span", SPAN_LEVEL, SPAN_DOC, NULL);
    writer_member_json(writer, "payload", SPAN_SCHEMA);
    writer_end_object(writer);
    writer_end_object(writer);
}

/* ---- Traits and schemas ---- */

/*
 * The document shows MQTT 5 properties as headers, since AsyncAPI's expressions can point at headers. The
 * user property `status` distinguishes a result from an error.
 */
#define TRAIT(title, header)                                                                         \
    "{\"headers\":{\"title\":\"" title "\",\"type\":\"object\",\"properties\":{" header              \
    ",\"traceparent\":{\"type\":\"string\"},\"tracestate\":{\"type\":\"string\"}"                    \
    ",\"correlationData\":{\"type\":\"string\"}}},\"correlationId\":{\"location\":\"$message.header" \
    "#/correlationData\"}}"

/* A reply that was sent before has a mark of its own. */
#define REPLY_TRAIT(title, status) TRAIT(title, "\"status\":" status ",\"repeated\":{\"const\":\"1\"}")

static void write_traits(struct writer *writer)
{
    writer_open_object(writer, "messageTraits");
    writer_member_json(
        writer, "call",
        TRAIT("CallHeaders", "\"responseTopic\":{\"type\":\"string\"},\"progress\":{\"const\":\"1\"}"));
    writer_member_json(writer, "success", REPLY_TRAIT("SuccessHeaders", "{\"const\":\"ok\"}"));
    writer_member_json(
        writer, "failure",
        REPLY_TRAIT("FailureHeaders", "{\"type\":\"string\",\"not\":{\"enum\":[\"ok\",\"progress\"]}}"));
    writer_member_json(writer, "progress", TRAIT("ProgressHeaders", "\"status\":{\"const\":\"progress\"}"));
    writer_end_object(writer);
}

#define JSONRPC_ID "{\"type\":[\"string\",\"number\",\"null\"]}"

/* The schema of a JSON-RPC response as far as its error's data. */
static void open_response(struct writer *writer)
{
    writer_open_object(writer, "response");
    writer_member(writer, "title", "JsonRpcResponse");
    writer_member(writer, "type", "object");
    writer_open_object(writer, "properties");
    writer_member_json(writer, "jsonrpc", "{\"const\":\"2.0\"}");
    writer_member_json(writer, "result", "{}");
    writer_open_object(writer, "error");
    writer_member(writer, "title", "JsonRpcError");
    writer_member(writer, "type", "object");
    writer_open_object(writer, "properties");
    writer_member_json(writer, "code", "{\"type\":\"integer\"}");
    writer_member_json(writer, "message", "{\"type\":\"string\"}");
    writer_name(writer, "data");
}

static void write_schemas(const struct catalogue *catalogue, struct writer *writer)
{
    const struct schema_name name = catalogue_name(catalogue, NULL, "", "");
    writer_open_object(writer, "schemas");
    writer_name(writer, "engineError");
    schema_write_error(NULL, SCHEMA_ENGINE, NULL, &name, writer);
    writer_member_json(writer, "request",
                       "{\"title\":\"JsonRpcRequest\",\"type\":\"object\",\"properties\":{\"jsonrpc\":{"
                       "\"const\":\"2.0\"},\"method\":{\"type\":"
                       "\"string\"},\"params\":{\"title\":\"JsonRpcParams\",\"type\":[\"object\",\"array\"]},"
                       "\"id\":" JSONRPC_ID "},\"required\":[\"jsonrpc\",\"method\"]}");
    catalogue_write_shared(catalogue, writer);
    open_response(writer);
    schema_write_error(NULL, SCHEMA_ANY, NULL, &name, writer);
    writer_end_object(writer);
    writer_member_json(writer, "required", "[\"code\",\"message\"]");
    writer_end_object(writer);
    writer_member_json(writer, "id", JSONRPC_ID);
    writer_end_object(writer);
    writer_member_json(writer, "required", "[\"jsonrpc\",\"id\"]");
    close_objects(writer, 2);
}

/* ---- The document ---- */

static void write_info(struct writer *writer)
{
    writer_open_object(writer, "info");
    writer_member(writer, "title", "mosquitto-rpc");
    writer_member(writer, "version", RPC_VERSION);
    writer_member(
        writer, "description",
        "Remote procedure calls over MQTT. A caller asks for a reply with a Response Topic (MQTT 5), or "
        "with a member request_id, a string or a number, beside its parameters. In the second case the reply "
        "is "
        "{\"request_id\":…,\"result\":…} or {\"request_id\":…,\"error\":…}. The same two ways ask for the "
        "reply to a batch; the second one has the form {\"request_id\":…,\"calls\":[…]}.");
    writer_end_object(writer);
}

void asyncapi_write(const struct catalogue *given, struct writer *writer)
{
    struct catalogue sharing = *given;
    const struct catalogue *catalogue = &sharing;
    sharing.shares = true;
    writer_begin_object(writer);
    writer_member(writer, "asyncapi", "3.0.0");
    write_info(writer);
    writer_member(writer, "defaultContentType", "application/json");
    write_channels(catalogue, writer);
    write_operations(catalogue, writer);
    writer_open_object(writer, "components");
    write_messages(catalogue, writer);
    write_traits(writer);
    write_schemas(catalogue, writer);
    close_objects(writer, 2);
}

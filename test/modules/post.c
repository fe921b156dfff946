// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * post.c: a module that only tests load. It has method families, which give back how they were called, and
 * inboxes, which announce what they receive. Its inboxes are off unless the option post_root says where they
 * are: all single-level prefixes would otherwise share one root.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "mosquitto_rpc.h"

#include <math.h>
#include <string.h>

enum { TEXT_MAX = 256, LEVEL_MAX = 128 };

struct post {
    int32_t watched;
};

/* ---- Families ------------------------------------------------------------------------------ */

struct post_called {
    const char *method, *box, *action;
};

static const rpc_field called_fields[] = {
    RPC_STRING(struct post_called, method, .doc = "The method's declared name", .length = {0, LEVEL_MAX}),
    RPC_STRING(struct post_called, box, .doc = "The level {box}", .optional = true, .length = {1, LEVEL_MAX}),
    RPC_STRING(struct post_called, action, .doc = "The level {action}", .optional = true,
               .length = {1, LEVEL_MAX}),
};
static const rpc_shape called_shape = RPC_OBJECT_SHAPE(struct post_called, called_fields);

static const rpc_error box_errors[] = {
    {.code = "box_shut", .doc = "The action was shut"},
};

static struct post_called read_call(const rpc_call *call)
{
    return (struct post_called){.method = rpc_call_method(call),
                                .box = rpc_call_level(call, "box"),
                                .action = rpc_call_level(call, "action")};
}

static rpc_status post_act(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    *(struct post_called *)result = read_call(call);
    const char *action = rpc_call_level(call, "action");
    if (action && strcmp(action, "shut") == 0)
        return rpc_raise(call, "box_shut", "the box %s is shut", rpc_call_level(call, "box"));
    return RPC_OK;
}

struct post_size {
    int64_t bytes;
    const char *box;
};

static const rpc_field size_fields[] = {
    RPC_INT64(struct post_size, bytes, .doc = "The size of the payload", .unit = "bytes"),
    RPC_STRING(struct post_size, box, .doc = "The level {box}", .length = {1, LEVEL_MAX}),
};
static const rpc_shape size_shape = RPC_OBJECT_SHAPE(struct post_size, size_fields);
static const rpc_shape bytes_shape = RPC_BYTES_SHAPE;

static rpc_status post_size(rpc_call *call, void *state, const void *params, void *result)
{
    const rpc_bytes *given = params;
    (void)state;
    *(struct post_size *)result = (struct post_size){(int64_t)given->size, rpc_call_level(call, "box")};
    return RPC_OK;
}

static void resume(rpc_instance *instance, void *state, void *data)
{
    (void)instance, (void)state;
    rpc_resume(data);
}

static rpc_status post_later(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    if (!rpc_after(rpc_call_instance(call), 10, resume, call).id)
        return RPC_INTERNAL_ERROR;
    return rpc_defer(call, call);
}

static rpc_status end_later(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)state, (void)data;
    if (outcome == RPC_OK)
        *(struct post_called *)result = read_call(call);
    return outcome;
}

struct post_count {
    int32_t watched;
};

static const rpc_field count_fields[] = {
    RPC_INT32(struct post_count, watched, .doc = "Messages that the inbox +/watch has let pass"),
};
static const rpc_shape count_shape = RPC_OBJECT_SHAPE(struct post_count, count_fields);

static rpc_status post_count(rpc_call *call, void *state, const void *params, void *result)
{
    const struct post *post = state;
    (void)call, (void)params;
    ((struct post_count *)result)->watched = post->watched;
    return RPC_OK;
}

static const rpc_method methods[] = {
    {
        .name = "box/{box}/{action}",
        .doc = "Gives back how it was called; the action shut fails.",
        .idempotent = true,
        .result = &called_shape,
        .errors = RPC_TABLE(box_errors),
        .run = post_act,
    },
    {
        .name = "box/main/open",
        .doc = "Gives back how it was called; it comes before the family.",
        .result = &called_shape,
        .run = post_act,
    },
    {
        .name = "{room}/box/{box}/size",
        .doc = "Tells how many bytes the payload has.",
        .read_only = true,
        .params = &bytes_shape,
        .result = &size_shape,
        .run = post_size,
    },
    {
        .name = "later/{box}",
        .doc = "Gives back how it was called, after a while.",
        .read_only = true,
        .result = &called_shape,
        .run = post_later,
        .defers = true,
        .done = end_later,
    },
    {
        .name = "post.count",
        .doc = "Tells how many messages were watched.",
        .read_only = true,
        .result = &count_shape,
        .run = post_count,
    },
};

/* ---- Inboxes ------------------------------------------------------------------------------- */

struct post_received {
    const char *inbox, *topic, *first, *second, *text;
    const char *sender, *user, *response_topic, *correlation;
    int32_t version, qos;
    bool bridge;
};

static const rpc_field received_fields[] = {
    RPC_STRING(struct post_received, inbox, .doc = "Which inbox it was", .length = {1, LEVEL_MAX}),
    RPC_STRING(struct post_received, topic, .doc = "The topic", .length = {1, TEXT_MAX}),
    RPC_STRING(struct post_received, first, .doc = "The first level that is +", .length = {1, LEVEL_MAX}),
    RPC_STRING(struct post_received, second, .doc = "The second one", .optional = true,
               .length = {1, LEVEL_MAX}),
    RPC_STRING(struct post_received, text, .doc = "The payload", .length = {0, TEXT_MAX}),
    RPC_STRING(struct post_received, sender, .doc = "The sender's client id", .length = {0, TEXT_MAX}),
    RPC_STRING(struct post_received, user, .doc = "Its user name", .optional = true, .length = {0, TEXT_MAX}),
    RPC_STRING(struct post_received, response_topic, .doc = "The Response Topic", .optional = true,
               .length = {0, TEXT_MAX}),
    RPC_STRING(struct post_received, correlation, .doc = "The Correlation Data", .optional = true,
               .length = {0, TEXT_MAX}),
    RPC_INT32(struct post_received, version, .doc = "The version of its protocol"),
    RPC_INT32(struct post_received, qos, .doc = "The QoS"),
    RPC_BOOL(struct post_received, bridge, .doc = "Whether a bridge has brought it"),
};
static const rpc_shape received_shape = RPC_OBJECT_SHAPE(struct post_received, received_fields);

/* The payload of the inbox form, and the data of its event: what there was and what was wrong with it. */
struct post_form {
    rpc_json id, value;
    int64_t number;
    const char *word, *why;
    bool has_number, is_there;
};

static const rpc_field form_fields[] = {
    RPC_JSON(struct post_form, id, .doc = "Any value", .optional = true),
    RPC_JSON(struct post_form, value, .doc = "Any value", .optional = true),
    RPC_INT64(struct post_form, number, .doc = "A number", .range = {0, INFINITY}),
    RPC_STRING(struct post_form, word, .doc = "A word", .default_json = "\"none\"", .length = {1, 8}),
};
static const rpc_shape form_shape = RPC_OBJECT_SHAPE(struct post_form, form_fields);

static const rpc_field filled_fields[] = {
    RPC_BOOL(struct post_form, is_there, .doc = "Whether there was a form"),
    RPC_STRING(struct post_form, why, .doc = "What is wrong with it", .optional = true,
               .length = {1, TEXT_MAX}),
    RPC_JSON(struct post_form, id, .doc = "Its id", .optional = true),
    RPC_JSON(struct post_form, value, .doc = "Its value", .optional = true),
    RPC_INT64(struct post_form, number, .doc = "Its number", .optional = true,
              .flag = RPC_FLAG(struct post_form, has_number)),
    RPC_STRING(struct post_form, word, .doc = "Its word", .optional = true, .length = {1, 8}),
};
static const rpc_shape filled_shape = RPC_OBJECT_SHAPE(struct post_form, filled_fields);

static const rpc_event events[] = {
    {.name = "post/received", .doc = "An inbox has received a message", .data = &received_shape},
    {.name = "post/filled", .doc = "The inbox of forms has received a message", .data = &filled_shape},
};

static void announce(rpc_instance *instance, const char *inbox, const rpc_message *message)
{
    char correlation[TEXT_MAX] = "";
    if (message->correlation && message->correlation_size < sizeof correlation)
        memcpy(correlation, message->correlation, message->correlation_size);
    const struct post_received received = {
        .inbox = inbox,
        .topic = message->topic,
        .first = rpc_message_level(message, 1),
        .second = rpc_message_level(message, 2),
        .text = message->payload,
        .sender = message->sender_id,
        .user = message->sender_user,
        .response_topic = message->response_topic,
        .correlation = message->correlation ? correlation : NULL,
        .version = message->sender_version,
        .qos = message->qos,
        .bridge = message->bridge,
    };
    (void)rpc_announce(instance, NULL, "post/received", &received);
}

static rpc_inbox_verdict receive_own(rpc_instance *instance, void *state, const rpc_message *message)
{
    (void)state;
    announce(instance, "+/in", message);
    return RPC_INBOX_CONSUME;
}

static rpc_inbox_verdict receive_pair(rpc_instance *instance, void *state, const rpc_message *message)
{
    (void)state;
    announce(instance, "+/to/+", message);
    return RPC_INBOX_CONSUME;
}

static rpc_inbox_verdict watch(rpc_instance *instance, void *state, const rpc_message *message)
{
    struct post *post = state;
    (void)instance, (void)message;
    post->watched++;
    return RPC_INBOX_PASS;
}

static rpc_inbox_verdict receive_form(rpc_instance *instance, void *state, const rpc_message *message)
{
    const struct post_form *form = message->data;
    struct post_form filled = {.why = message->why};
    (void)state;
    if (form)
        filled = *form;
    filled.has_number = filled.is_there = form;
    (void)rpc_announce(instance, NULL, "post/filled", &filled);
    return RPC_INBOX_CONSUME;
}

static rpc_inbox_verdict refuse(rpc_instance *instance, void *state, const rpc_message *message)
{
    (void)instance, (void)state, (void)message;
    return RPC_INBOX_REFUSE;
}

static const rpc_inbox inboxes[] = {
    {.topic = "+/in",
     .doc = "Receives what a client says of itself",
     .sender_level = 1,
     .receive = receive_own},
    {.topic = "+/to/+", .doc = "Receives what anybody says", .receive = receive_pair},
    {.topic = "+/watch", .doc = "Counts messages and lets them pass", .receive = watch},
    {.topic = "form", .doc = "Receives forms", .shape = &form_shape, .receive = receive_form},
    {.topic = "closed", .doc = "Refuses everything", .receive = refuse},
};

struct post_options {
    const char *root;
};

static const rpc_field options_fields[] = {
    RPC_STRING(struct post_options, root, .doc = "The root of the inboxes, prefix for the usual one, or none",
               .default_json = "\"none\"", .length = {1, LEVEL_MAX}),
};
static const rpc_shape options_shape = RPC_OBJECT_SHAPE(struct post_options, options_fields);

static rpc_status post_init(rpc_instance *instance, void *state, const void *options)
{
    const char *root = ((const struct post_options *)options)->root;
    (void)state;
    if (strcmp(root, "prefix") == 0)
        return RPC_OK;
    if (rpc_inbox_set_root(instance, strcmp(root, "none") == 0 ? NULL : root) == RPC_OK)
        return RPC_OK;
    rpc_log(instance, RPC_LOG_ERROR, "plugin_opt_post_root: '%s' is no topic", root);
    return RPC_INVALID_PARAMS;
}

RPC_MODULE(post, .doc = "Method families and inboxes, for tests.", .state_size = sizeof(struct post),
           .options = &options_shape, .methods = RPC_TABLE(methods), .events = RPC_TABLE(events),
           .inboxes = RPC_TABLE(inboxes), .inbox_root = "post", .inbox_option = "root", .init = post_init);

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Who gets a message: see receive.h. */
#include "call/receive.h"

#include "base/status.h"
#include "base/text.h"
#include "call/dispatch.h"
#include "call/engine_parts.h"
#include "call/inbox.h"
#include "call/remote.h"
#include "call/topic.h"

#include <stdio.h>

/* ---- Messages ---- */

/*
 * Whether replies to these topics are another server's, to which calls of unknown methods are left: those of
 * methods that nobody registered here, and those of the endpoint where it is closed.
 */
static bool receive_leaves_replies(struct engine *engine, const struct engine_place *place)
{
    const struct engine_options *options = &engine->env.options;
    char name[TOPIC_CALLED_MAX + 1];
    if (options->unknown_methods != UNKNOWN_FORWARD || place->tree->kind != TOPIC_RESPONSE)
        return false;
    if (place->tree->extent != TOPIC_BELOW_WITH)
        return !topic_is_in_force(options, TOPIC_OPEN);
    const size_t length = topic_replied_length(place->name);
    if (length >= sizeof name)
        return true;
    snprintf(name, sizeof name, "%.*s", (int)length, place->name);
    return !registry_find_method(&engine->registry, name);
}

/* Whether the client may publish to a tree that is not one of calls. The guards do not hold for bridges. */
static bool receive_may_publish(struct engine *engine, const struct engine_place *place,
                                const struct host_client *client)
{
    const struct engine_options *options = &engine->env.options;
    if (client->bridge || place->tree->sender != TOPIC_SENDER_PUBLISHERS)
        return client->bridge || receive_leaves_replies(engine, place);
    return !options->guard_events || (client->user && text_has_word(options->event_publishers, client->user));
}

enum engine_verdict receive_message(struct engine *engine, const struct host_message *message,
                                    const struct engine_place *place)
{
    const struct host_client *client = message->client;
    const struct topic_tree *tree = place->tree;
    if (place->inbox)
        return inbox_receive(place->instance, place->inbox, message, place->name);
    if (!tree)
        return ENGINE_PASS;
    if (tree->kind == TOPIC_WORK)
        return remote_receive(engine, message, place->name);
    if (tree->sender != TOPIC_SENDER_CALLERS)
        return receive_may_publish(engine, place, client) ? ENGINE_PASS : ENGINE_REFUSE;
    if (client->bridge && !engine->env.options.bridge_calls)
        return ENGINE_PASS;
    return dispatch_message(engine, message, tree->kind, place);
}

/* ---- Replays ---- */

/* What its caller would have published; the connection is no client's, so that no end of one ends the replay.
 */
void receive_replay(struct engine *engine, struct dead_letter *letter)
{
    static const rpc_adoption adoption = {.method = ""};
    const struct dead_report *report = &letter->report;
    struct host_client client = report->client;
    client.id = client.id ? client.id : "";
    client.connection = letter;
    client.mark = NULL; /* of a message that has been handled */
    const struct host_message message = {
        .client = &client,
        .topic = report->method,
        .payload = report->text,
        .size = report->size,
    };
    const struct engine_place place = {
        .tree = &topic_trees[0], .name = report->method, .adoption = &adoption, .replay = letter};
    letter->is_replayed = true;
    if (dispatch_message(engine, &message, TOPIC_CALL, &place) == ENGINE_PASS)
        dead_end_replay(&engine->dead, letter, RPC_INTERNAL_ERROR, status_name(RPC_INTERNAL_ERROR), NULL);
}

/* ---- Adoption ---- */

/* What is wrong with an adoption; NULL: nothing. */
static const char *receive_find_fault(const rpc_instance *instance, const rpc_message *message,
                                      const rpc_adoption *adoption)
{
    if (!instance->received || instance->received->payload != message->payload)
        return "which it does not receive now";
    if (!adoption->method || !adoption->reply_topic)
        return "without a method or a topic for the reply";
    if ((adoption->params_size && !adoption->params) ||
        (adoption->correlation_size && !adoption->correlation))
        return "with parameters or Correlation Data that are NULL";
    return adoption->correlation_size > TOPIC_MAX ? "with Correlation Data over 65535 bytes" : NULL;
}

/* What the sender would have published: its topic is {prefix}/call/{method}. */
bool rpc_adopt(rpc_instance *instance, const rpc_message *message, const rpc_adoption *adoption)
{
    struct env *env = instance->env;
    const char *fault = receive_find_fault(instance, message, adoption);
    if (fault) {
        env_log(env, RPC_LOG_ERROR, "module %s adopts a message %s", instance->module->name, fault);
        return false;
    }
    if (message->bridge && !env->options.bridge_calls)
        return false;
    struct host_message call = *instance->received;
    struct arena arena;
    arena_init(&arena);
    call.topic = arena_printf(&arena, "%s/call/%s", env->options.prefix, adoption->method);
    call.payload = arena_copy(&arena, adoption->params_size ? adoption->params : "", adoption->params_size);
    call.size = adoption->params_size;
    call.response_topic = adoption->reply_topic;
    call.correlation = adoption->correlation;
    call.correlation_size = adoption->correlation_size;
    const struct engine_place place = {
        .tree = &topic_trees[0], .name = adoption->method, .adoption = adoption};
    const bool is_taken =
        call.topic && call.payload && receive_message(instance->engine, &call, &place) != ENGINE_PASS;
    arena_fini(&arena);
    return is_taken;
}

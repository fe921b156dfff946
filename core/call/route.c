// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Routes of replies: see route.h. */
#include "call/route.h"

#include "base/text.h"
#include "call/engine_parts.h"
#include "shape/codec_json.h"

#include <string.h>

static rpc_status route_fail(struct exchange *exchange, const char *what)
{
    exchange->to.topic = NULL;
    exchange->request_id = NULL;
    exchange->misrouted = true;
    return call_fail(&exchange->call, RPC_INVALID_REQUEST, "the call has %s", what);
}

/* ---- Response Topics ---- */

/*
 * {prefix}/reply/{client id}/, below which replies go with reply_delivery subscribed. The id has to be one
 * level of a topic, or one client's replies could lie below another's. Returns false: it is none.
 */
static bool route_find_own_tree(struct exchange *exchange, const char **tree)
{
    const char *id = exchange->message->client->id;
    if (!*id || strchr(id, '/') || !text_is_topic(id))
        return false;
    *tree = arena_printf(&exchange->arena, "%s/reply/%s/", exchange->engine->env.options.prefix, id);
    return true;
}

/*
 * A filter with the caller's client id for %c and its user name for %u. NULL: the caller has none that could
 * be a part of a topic, or there is no memory.
 */
static const char *route_expand_filter(struct exchange *exchange, const char *filter)
{
    const struct host_client *client = exchange->message->client;
    const char *percent, *rest = filter;
    const char *expanded = "";
    while (expanded && (percent = strchr(rest, '%'))) {
        const char *name = percent[1] == 'c' ? client->id : percent[1] == 'u' ? client->user : "%";
        const bool is_name = percent[1] == 'c' || percent[1] == 'u';
        if (!name || !*name || (is_name && (strchr(name, '/') || !text_is_topic(name))))
            return NULL;
        expanded = arena_printf(&exchange->arena, "%s%.*s%s", expanded, (int)(percent - rest), rest, name);
        rest = percent + 1 + is_name;
    }
    return expanded ? arena_printf(&exchange->arena, "%s%s", expanded, rest) : NULL;
}

static bool route_matches(struct exchange *exchange, const char *filter, const char *topic)
{
    const struct host *host = &exchange->engine->env.host;
    if (strchr(filter, '%'))
        filter = route_expand_filter(exchange, filter);
    return filter && host->topic_matches(host->context, filter, topic);
}

/*
 * What a bridge gets its broker publishes, to any topic, without asking an ACL: a client of that broker that
 * may call could have it publish anywhere.
 */
static bool route_is_for_bridges(struct exchange *exchange, const char *topic)
{
    const struct engine_options *options = &exchange->engine->env.options;
    const char *list = options->bridge_response_topics, *name;
    const struct topic_tree *tree = list ? NULL : topic_classify(options->prefix, topic, &name);
    if (!list)
        return tree && (tree->kind == TOPIC_RESPONSE || tree->kind == TOPIC_REPLY);
    for (list += strspn(list, " "); *list; list += strspn(list, " ")) {
        const size_t length = strcspn(list, " ");
        const char *filter = arena_copy(&exchange->arena, list, length);
        if (filter && route_matches(exchange, filter, topic))
            return true;
        list += length;
    }
    return false;
}

static bool route_is_over_bridge(const struct exchange *exchange)
{
    const struct host_client *client = exchange->message->client;
    const char *named = exchange->engine->env.options.bridge_clients;
    return client->bridge || client->far_bridge || (named && text_has_word(named, client->id));
}

/*
 * Where a reply is an ordinary publication, any caller chooses where it goes: it must not be an event, or
 * another call.
 */
static bool route_is_own(const struct exchange *exchange, const char *topic)
{
    const char *name;
    const struct topic_tree *tree = topic_classify(exchange->engine->env.options.prefix, topic, &name);
    return tree && tree->kind != TOPIC_RESPONSE && tree->kind != TOPIC_REPLY;
}

rpc_status route_by_response_topic(struct exchange *exchange)
{
    const struct host_message *message = exchange->message;
    const struct engine *engine = exchange->engine;
    const char *topic = message->response_topic;
    const char *filter = engine->env.options.response_topic_filter;
    if (!*topic || *topic == '$' || strlen(topic) > TOPIC_REPLY_MAX || !text_is_topic(topic))
        return route_fail(exchange, "a Response Topic that cannot be replied to (at most 256 bytes, no +, #, "
                                    "control characters, no $ first)");
    if (!engine->env.host.knows_caller && route_is_own(exchange, topic))
        return route_fail(exchange, "a Response Topic to which no client may publish");
    if (*filter != '#' && !route_matches(exchange, filter, topic))
        return route_fail(exchange, "a Response Topic outside response_topic_filter");
    if (route_is_over_bridge(exchange) && !route_is_for_bridges(exchange, topic))
        return route_fail(exchange,
                          "a Response Topic outside bridge_response_topics, and came over a bridge");
    const char *own = NULL; /* without memory no topic is known to be the client's own */
    if (engine->env.options.reply_delivery == DELIVERY_SUBSCRIBED &&
        !(route_find_own_tree(exchange, &own) && own && strncmp(topic, own, strlen(own)) == 0))
        return route_fail(exchange, "a Response Topic that is not below the client's own reply topic");
    exchange->to.topic = topic;
    exchange->identity = message->correlation_size;
    return RPC_OK;
}

/* ---- Tokens ---- */

/* To {prefix}/call/{method}/response/{token} and its likes. */
static rpc_status route_by_token(struct exchange *exchange, const char *token, size_t size, const char *what)
{
    const struct engine_options *options = &exchange->engine->env.options;
    const char *head;
    if (options->reply_delivery == DELIVERY_SUBSCRIBED) {
        if (!route_find_own_tree(exchange, &head))
            return route_fail(exchange, what);
    } else if (exchange->kind == TOPIC_JSONRPC) {
        head = arena_printf(&exchange->arena, "%s/jsonrpc/response/", options->prefix);
    } else {
        head = arena_printf(&exchange->arena, "%s/call/%s/response/", options->prefix, exchange->name);
    }
    const char *tail = arena_copy(&exchange->arena, token, size);
    if (!head || !tail)
        return RPC_INTERNAL_ERROR;
    if (size > TOPIC_REPLY_MAX || !text_is_topic(tail) || strlen(head) + size > TOPIC_MAX)
        return route_fail(exchange, what);
    exchange->to.topic = arena_printf(&exchange->arena, "%s%s", head, tail);
    return exchange->to.topic ? RPC_OK : RPC_INTERNAL_ERROR;
}

/* An id as text: a number as it is spelt. NULL: no memory. */
static const char *route_id_text(struct exchange *exchange, const cJSON *id)
{
    return cJSON_IsString(id) ? id->valuestring : codec_json_text(id, &exchange->arena);
}

/* A number as a part of a topic has no plus: 1e+21 is 1e21 there. NULL: no memory. */
static const char *route_without_plus(struct exchange *exchange, const char *number)
{
    const char *plus = strchr(number, '+');
    return plus ? arena_printf(&exchange->arena, "%.*s%s", (int)(plus - number), number, plus + 1) : number;
}

rpc_status route_by_request_id(struct exchange *exchange, const cJSON *id)
{
    const char *text = route_id_text(exchange, id);
    const char *token = text && !cJSON_IsString(id) ? route_without_plus(exchange, text) : text;
    if (!token)
        return RPC_INTERNAL_ERROR;
    const rpc_status status = route_by_token(
        exchange, token, strlen(token),
        "a request_id that cannot be part of a topic (at most 256 bytes, no +, #, control characters)");
    if (status != RPC_OK)
        return status;
    exchange->request_id = id;
    exchange->identity = strlen(text);
    return RPC_OK;
}

/* The reply to a request whose id makes no topic goes where that of an id null goes. */
rpc_status route_by_jsonrpc_id(struct exchange *exchange, const cJSON *id)
{
    static const char what[] = "a JSON-RPC id whose token cannot be part of a topic (at most 256 bytes, no "
                               "+, #, control characters)",
                      null[] = "null";
    const char *token = route_id_text(exchange, id);
    if (token && !cJSON_IsNull(id) && exchange->identity < strlen(token))
        exchange->identity = strlen(token);
    if (token && exchange->to.topic)
        return RPC_OK;
    if (token && !cJSON_IsString(id))
        token = route_without_plus(exchange, token);
    if (!token)
        return RPC_INTERNAL_ERROR;
    const char *colon = strrchr(token, ':');
    const size_t size = colon ? (size_t)(colon - token) : strlen(token);
    const rpc_status status = route_by_token(exchange, token, size, what);
    if (status == RPC_INVALID_REQUEST &&
        route_by_token(exchange, null, strlen(null), what) == RPC_INTERNAL_ERROR)
        return RPC_INTERNAL_ERROR;
    return status;
}

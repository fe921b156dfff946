// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Subscriptions of the client: see client_events.h. */
#include "client_events.h"

#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "client_wire.h"

static void events_tell(struct rpc_client *client, const struct client_subscription *subscription,
                        const struct rpc_client_event *event)
{
    bool was_in_callback = client->is_in_callback;
    client->has_news = true;
    client->is_in_callback = true;
    subscription->on_event(subscription->user, event);
    client->is_in_callback = was_in_callback;
}

void events_take(struct rpc_client *client, const struct mosquitto_message *message)
{
    size_t size = (size_t)message->payloadlen <= client->options.max_reply ? (size_t)message->payloadlen : 0;
    char *text = malloc(size + 1);
    if (!text)
        return;
    if (size)
        memcpy(text, message->payload, size);
    text[size] = 0;
    cJSON *data = size ? wire_parse(text, size) : NULL;
    struct rpc_client_event event = {.topic = message->topic,
                                     .name = message->topic + strlen(client->event_root),
                                     .data = data,
                                     .text = text,
                                     .size = size,
                                     .is_retained = message->retain};
    struct client_subscription *subscription;
    DL_FOREACH(client->subscriptions, subscription)
    {
        bool matches = false;
        if (!subscription->is_ended &&
            !mosquitto_topic_matches_sub(subscription->filter, event.topic, &matches) && matches)
            events_tell(client, subscription, &event);
    }
    cJSON_Delete(data);
    free(text);
}

/* ---- Events ---- */

/* The first subscription to this filter, which stands for all of them at the broker; NULL: there is none. */
static struct client_subscription *events_find_first(struct rpc_client *client, const char *filter)
{
    struct client_subscription *subscription;
    DL_FOREACH(client->subscriptions, subscription)
    {
        if (!subscription->is_ended && strcmp(subscription->filter, filter) == 0)
            return subscription;
    }
    return NULL;
}

/* Subscribes, unless that was done for the first subscription to the same filter. */
static void events_ask(struct rpc_client *client, struct client_subscription *subscription)
{
    const struct client_subscription *first = events_find_first(client, subscription->filter);
    if (first && first != subscription)
        subscription->mid = first->mid;
    else
        mosquitto_subscribe_v5(client->connection, &subscription->mid, subscription->filter,
                               client->options.qos, 0, NULL);
}

enum rpc_client_status rpc_client_subscribe(struct rpc_client *client, const char *filter,
                                            rpc_client_event_fn *on_event, void *user, unsigned long *id)
{
    if (!filter || !*filter || !on_event || strlen(filter) > CLIENT_TEXT_MAX - 1100 ||
        mosquitto_sub_topic_check(filter) != MOSQ_ERR_SUCCESS ||
        mosquitto_validate_utf8(filter, (int)strlen(filter)) != MOSQ_ERR_SUCCESS)
        return RPC_CLIENT_INVALID;
    if (client->subscription_count >= client->options.max_subscriptions)
        return RPC_CLIENT_OVERLOADED;
    size_t size = strlen(client->event_root) + strlen(filter) + 1;
    struct client_subscription *subscription = calloc(1, sizeof *subscription + size);
    if (!subscription)
        return RPC_CLIENT_NO_MEMORY;
    sprintf(subscription->filter, "%s%s", client->event_root, filter);
    subscription->on_event = on_event;
    subscription->user = user;
    subscription->id = ++client->last_subscription;
    if (client->state == CLIENT_THERE)
        events_ask(client, subscription);
    DL_APPEND(client->subscriptions, subscription);
    client->subscription_count++;
    if (id)
        *id = subscription->id;
    return RPC_CLIENT_OK;
}

void events_sweep(struct rpc_client *client)
{
    struct client_subscription *subscription, *next;
    if (!client->has_ended || client->is_in_callback)
        return;
    DL_FOREACH_SAFE(client->subscriptions, subscription, next)
    {
        if (!subscription->is_ended)
            continue;
        DL_DELETE(client->subscriptions, subscription);
        client->subscription_count--;
        free(subscription);
    }
    client->has_ended = false;
}

bool rpc_client_unsubscribe(struct rpc_client *client, unsigned long id)
{
    struct client_subscription *subscription;
    DL_FOREACH(client->subscriptions, subscription)
    {
        if (subscription->id == id && !subscription->is_ended)
            break;
    }
    if (!subscription)
        return false;
    subscription->is_ended = true;
    client->has_ended = true;
    if (client->state == CLIENT_THERE && !events_find_first(client, subscription->filter))
        mosquitto_unsubscribe(client->connection, NULL, subscription->filter);
    events_sweep(client);
    return true;
}

void events_refuse(struct rpc_client *client, int mid)
{
    struct client_subscription *subscription;
    DL_FOREACH(client->subscriptions, subscription)
    {
        struct rpc_client_event event = {.status = RPC_CLIENT_REFUSED,
                                         .topic = subscription->filter,
                                         .name = subscription->filter + strlen(client->event_root),
                                         .text = ""};
        if (subscription->mid == mid && !subscription->is_ended)
            events_tell(client, subscription, &event);
    }
}

void events_subscribe_all(struct rpc_client *client)
{
    struct client_subscription *subscription;
    DL_FOREACH(client->subscriptions, subscription)
    {
        if (!subscription->is_ended)
            events_ask(client, subscription);
    }
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The functions of mosquitto_rpc_client.h that are neither about calls nor about events. */
#include <limits.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "client_calls.h"
#include "client_events.h"
#include "client_link.h"
#include "client_wire.h"

/* ---- Making a client ---- */

static bool client_is_level(const char *text, bool may_have_slash)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++)
        if (*at < ' ' || *at == 127 || *at == '+' || *at == '#' || (*at == '/' && !may_have_slash))
            return false;
    return *text && strlen(text) <= 1024 &&
           mosquitto_validate_utf8(text, (int)strlen(text)) == MOSQ_ERR_SUCCESS;
}

/* Whether it can be a host: no URL, and no host:port. An IPv6 address has more colons than one. */
static bool client_is_host(const char *host)
{
    const char *colon = strchr(host, ':');
    return *host && !strpbrk(host, "/[") && (!colon || strchr(colon + 1, ':'));
}

const char *rpc_client_check(const struct rpc_client_options *options)
{
    if (options->port < -1 || options->port > 65535)
        return "port must be 0 to 65535, or -1";
    if (options->port == 0 && !options->host)
        return "port 0 takes the path of a unix domain socket as host";
    if (options->port && options->host && !client_is_host(options->host))
        return "the host must be a name or an address, without mqtt:// and without the port, which is an "
               "option of "
               "its own";
    if (options->keepalive < 5 || options->keepalive > 65535)
        return "keepalive must be 5 to 65535 seconds";
    if (options->protocol != 5 && options->protocol != 4 && options->protocol != 311)
        return "protocol must be 5, or 311";
    if (options->client_id && !client_is_level(options->client_id, false))
        return "the client id must be a level of a topic: without / + # and control characters";
    if (options->prefix && !client_is_level(options->prefix, true))
        return "prefix must be a topic: without + # and control characters";
    if (options->qos < 0 || options->qos > 2)
        return "qos must be 0, 1 or 2";
    if (options->timeout_ms < 1 || options->timeout_ms > CLIENT_TIMEOUT_MAX)
        return "timeout_ms must be 1 to 86400000";
    if (options->connect_timeout_ms < 1)
        return "connect_timeout_ms must be at least 1";
    if (!options->psk != !options->psk_identity)
        return "psk and psk_identity take each other";
    if (!options->certfile != !options->keyfile)
        return "certfile and keyfile take each other";
    if (options->password && !options->username)
        return "a password takes a username";
    if (options->max_reply < 1 || options->max_reply > INT_MAX)
        return "max_reply must be 1 to 2147483647";
    return NULL;
}

/* Copies a text to *to, which moves on; with to NULL, counts it in *size. */
static void client_place(const char **text, char **to, size_t *size)
{
    if (!*text)
        return;
    size_t length = strlen(*text) + 1;
    if (!to) {
        *size += length;
        return;
    }
    memcpy(*to, *text, length);
    *text = *to;
    *to += length;
}

static void client_place_all(struct rpc_client_options *options, char **to, size_t *size)
{
    const char **texts[] = {&options->host,        &options->bind_address, &options->client_id,
                            &options->username,    &options->password,     &options->cafile,
                            &options->capath,      &options->certfile,     &options->keyfile,
                            &options->tls_version, &options->ciphers,      &options->tls_alpn,
                            &options->psk,         &options->psk_identity, &options->prefix};
    for (size_t at = 0; at < sizeof texts / sizeof *texts; at++)
        client_place(texts[at], to, size);
}

/* Copies the options' texts into one piece of memory, with the topics that are made of them. */
static bool client_copy_options(struct rpc_client *client)
{
    struct rpc_client_options *options = &client->options;
    size_t size = 0;
    client_place_all(options, NULL, &size);
    size_t topic = strlen(options->prefix) + strlen(options->client_id) + sizeof "/reply//rpc";
    client->memory = malloc(size + 2 * topic + strlen(options->prefix) + sizeof "/event/");
    if (!client->memory)
        return false;
    char *to = client->memory;
    client_place_all(options, &to, &size);
    client->reply_topic = to;
    client->reply_filter = to + topic;
    client->event_root = to + 2 * topic;
    sprintf(client->reply_topic, "%s/reply/%s/rpc", options->prefix, options->client_id);
    sprintf(client->reply_filter, "%s/reply/%s/#", options->prefix, options->client_id);
    sprintf(client->event_root, "%s/event/", options->prefix);
    return true;
}

enum rpc_client_status rpc_client_create(struct rpc_client **made, const struct rpc_client_options *options)
{
    char id[RPC_CLIENT_ID_SIZE], client_id[32];
    *made = NULL;
    if (rpc_client_check(options) || !wire_new_id(id))
        return RPC_CLIENT_INVALID;
    struct rpc_client *client = calloc(1, sizeof *client);
    if (!client)
        return RPC_CLIENT_NO_MEMORY;
    snprintf(client_id, sizeof client_id, "rpc-%.16s", id);
    client->options = *options;
    if (!options->client_id)
        client->options.client_id = client_id;
    if (!options->host)
        client->options.host = "localhost";
    if (!options->prefix)
        client->options.prefix = "rpc";
    if (options->port == -1)
        client->options.port = link_has_tls(options) ? 8883 : 1883;
    client->next_deadline = LLONG_MAX;
    client->delay = CLIENT_DELAY_MIN;
    strcpy(client->why, "the client has not connected yet");
    if (!client_copy_options(client)) {
        free(client);
        return RPC_CLIENT_NO_MEMORY;
    }
    mosquitto_lib_init();
    int result = link_make(client);
    if (result) {
        mosquitto_lib_cleanup();
        free(client->memory);
        free(client);
        return result == MOSQ_ERR_NOMEM ? RPC_CLIENT_NO_MEMORY : RPC_CLIENT_INVALID;
    }
    *made = client;
    return RPC_CLIENT_OK;
}

const char *rpc_client_why(const struct rpc_client *client)
{
    return client->why;
}

const char *rpc_client_id(const struct rpc_client *client)
{
    return client->options.client_id;
}

bool rpc_client_is_connected(const struct rpc_client *client)
{
    return client->state == CLIENT_THERE;
}

/* Does what there is to do now, and waits until something comes, at most until the moment. */
static void client_step(struct rpc_client *client, long long until)
{
    long long now = client_now();
    if (client->state == CLIENT_AWAY && now >= client->retry)
        link_begin(client);
    if (client->state == CLIENT_THERE && client->has_unsent)
        calls_send_waiting(client, now);
    link_wait(client, now, until);
    now = client_now();
    if (client->state == CLIENT_THERE && client->has_unsent)
        calls_send_waiting(client, now);
    calls_expire(client, now);
    events_sweep(client);
}

enum rpc_client_status rpc_client_run(struct rpc_client *client, int timeout_ms)
{
    if (client->is_in_callback || timeout_ms < 0)
        return RPC_CLIENT_INVALID;
    long long until = client_now() + timeout_ms;
    client->has_news = false;
    do
        client_step(client, until);
    while (!client->has_news && client_now() < until);
    return client->state == CLIENT_THERE ? RPC_CLIENT_OK : RPC_CLIENT_DISCONNECTED;
}

enum rpc_client_status rpc_client_connect(struct rpc_client *client, int timeout_ms)
{
    if (client->is_in_callback || timeout_ms < 0)
        return RPC_CLIENT_INVALID;
    long long until = client_now() + timeout_ms;
    if (client->state == CLIENT_AWAY)
        client->retry = 0;
    do {
        client_step(client, until);
        if (client->state == CLIENT_THERE)
            return RPC_CLIENT_OK;
        if (client->state == CLIENT_AWAY && client->retry > client_now())
            return client->is_refused ? RPC_CLIENT_REFUSED : RPC_CLIENT_DISCONNECTED;
    } while (client_now() < until);
    if (client->state == CLIENT_CONNECTING)
        link_say(client, "it does not answer");
    return RPC_CLIENT_TIMEOUT;
}

enum rpc_client_status rpc_client_call(struct rpc_client *client, const struct rpc_client_request *request,
                                       struct rpc_client_reply *reply)
{
    struct client_wait wait = {.is_over = false};
    enum rpc_client_status status =
        client->is_in_callback ? RPC_CLIENT_INVALID : calls_add(client, request, &wait, NULL);
    *reply = (struct rpc_client_reply){
        .status = status, .err = rpc_client_status_name(status), .msg = "the call cannot be made"};
    if (status == RPC_CLIENT_INVALID)
        reply->msg = client->is_in_callback ? "a callback may not wait for a reply" : client->wrong;
    if (status)
        return status;
    while (!wait.is_over)
        client_step(client, LLONG_MAX);
    *reply = wait.reply;
    return reply->status;
}

void rpc_client_destroy(struct rpc_client *client)
{
    if (!client)
        return;
    client->is_closing = true;
    while (client->calls)
        calls_fail(client, client->calls, RPC_CLIENT_CLOSED, "the client was closed");
    if (client->state == CLIENT_THERE)
        mosquitto_disconnect(client->connection);
    mosquitto_destroy(client->connection);
    mosquitto_lib_cleanup();
    struct client_subscription *subscription, *next;
    DL_FOREACH_SAFE(client->subscriptions, subscription, next)
    {
        free(subscription);
    }
    free(client->memory);
    free(client);
}

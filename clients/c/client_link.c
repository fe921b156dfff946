// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The connection of the client: see client_link.h. */
#include "client_link.h"

#include <errno.h>
#include <limits.h>
#include <mosquitto.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#if LIBMOSQUITTO_VERSION_NUMBER < 2001000
#include <mqtt_protocol.h> /* from 2.1 on a part of mosquitto.h */
#endif

#include "client_calls.h"
#include "client_events.h"
#include "client_wire.h"

bool link_has_tls(const struct rpc_client_options *options)
{
    return options->cafile || options->capath || options->tls_os_certs || options->psk;
}

/*
 * OpenSSL writes to a connection that is no more with write(), and its SIGPIPE would end the program. Some
 * versions of libmosquitto ignore the signal themselves.
 */
static void link_ignore_sigpipe(void)
{
    struct sigaction action;
    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL) {
        action.sa_handler = SIG_IGN;
        sigaction(SIGPIPE, &action, NULL);
    }
}

static int link_set_tls(struct mosquitto *connection, const struct rpc_client_options *options)
{
    link_ignore_sigpipe();
    int result = MOSQ_ERR_SUCCESS;
    if (options->psk)
        result = mosquitto_tls_psk_set(connection, options->psk, options->psk_identity, options->ciphers);
    else {
        if (options->tls_os_certs)
            result = mosquitto_int_option(connection, MOSQ_OPT_TLS_USE_OS_CERTS, 1);
        if (!result)
            result = mosquitto_tls_set(connection, options->cafile, options->capath, options->certfile,
                                       options->keyfile, NULL);
        if (!result && options->tls_insecure)
            result = mosquitto_tls_insecure_set(connection, true);
    }
    if (!result && options->tls_alpn)
        result = mosquitto_string_option(connection, MOSQ_OPT_TLS_ALPN, options->tls_alpn);
    if (!result && (options->tls_version || options->ciphers))
        result = mosquitto_tls_opts_set(connection, 1, options->tls_version, options->ciphers);
    return result;
}

void link_say(struct rpc_client *client, const char *what)
{
    char text[CLIENT_WHY + 256];
    if (client->options.port)
        snprintf(text, sizeof text, "%.200s port %d: %s", client->options.host, client->options.port, what);
    else
        snprintf(text, sizeof text, "%.200s: %s", client->options.host, what);
    size_t size = strlen(text);
    if (text[size - 1] == '.') /* of a sentence of the library */
        text[size - 1] = 0;
    wire_print(client->why, sizeof client->why, text);
}

static void link_tell_connection(struct rpc_client *client, bool is_connected)
{
    client->has_news = true;
    if (!client->options.on_connection)
        return;
    bool was_in_callback = client->is_in_callback;
    client->is_in_callback = true;
    client->options.on_connection(client->options.user, is_connected, is_connected ? "" : client->why);
    client->is_in_callback = was_in_callback;
}

static void link_on_log(struct mosquitto *connection, void *user, int level, const char *text)
{
    (void)connection;
    struct rpc_client *client = user;
    if (level == MOSQ_LOG_ERR)
        wire_print(client->detail, sizeof client->detail, text);
}

/* Whether the broker would refuse the next attempt, too; otherwise it is busy, or not there. */
static bool link_is_final(const struct rpc_client *client, int reason)
{
    if (client->options.protocol != 5)
        return reason != 3;
    return reason != MQTT_RC_SERVER_UNAVAILABLE && reason != MQTT_RC_SERVER_BUSY &&
           reason != MQTT_RC_QUOTA_EXCEEDED && reason != MQTT_RC_CONNECTION_RATE_EXCEEDED;
}

static void link_on_connect(struct mosquitto *connection, void *user, int reason, int flags,
                            const mosquitto_property *properties)
{
    (void)flags, (void)properties;
    struct rpc_client *client = user;
    if (reason) {
        client->is_refused = link_is_final(client, reason);
        wire_print(client->detail, sizeof client->detail,
                   client->options.protocol == 5 ? mosquitto_reason_string(reason)
                                                 : mosquitto_connack_string(reason));
        return;
    }
    client->state = CLIENT_THERE;
    client->since = client_now();
    client->has_unsent = true;
    client->has_family = true;
    mosquitto_subscribe_v5(connection, NULL, client->reply_filter, 1, 0, NULL);
    events_subscribe_all(client);
    link_tell_connection(client, true);
}

/* The broker ends the connection, and says why, or it is lost, which the loop's result says. */
static void link_on_disconnect(struct mosquitto *connection, void *user, int reason,
                               const mosquitto_property *properties)
{
    (void)connection, (void)properties;
    struct rpc_client *client = user;
    if (reason >= 0x80)
        wire_print(client->detail, sizeof client->detail, mosquitto_reason_string(reason));
}

/* The broker has taken a call, or refused it, which MQTT 5 tells at QoS 1 and 2. */
static void link_on_publish(struct mosquitto *connection, void *user, int mid, int reason,
                            const mosquitto_property *properties)
{
    (void)connection, (void)properties;
    struct rpc_client *client = user;
    if (reason >= 0x80)
        calls_refuse(client, mid, mosquitto_reason_string(reason));
    else
        calls_note_taken(client, mid);
}

static void link_on_subscribe(struct mosquitto *connection, void *user, int mid, int count,
                              const int *granted, const mosquitto_property *properties)
{
    (void)connection, (void)properties;
    struct rpc_client *client = user;
    if (count > 0 && granted[0] >= 0x80)
        events_refuse(client, mid);
}

static void link_on_message(struct mosquitto *connection, void *user, const struct mosquitto_message *message,
                            const mosquitto_property *properties)
{
    (void)connection;
    struct rpc_client *client = user;
    if (strncmp(message->topic, client->event_root, strlen(client->event_root)) == 0) {
        events_take(client, message);
        return;
    }
    struct client_call *call = calls_find(client, message->topic, properties);
    if (call)
        calls_take_reply(client, call, message, properties);
}

int link_make(struct rpc_client *client)
{
    const struct rpc_client_options *options = &client->options;
    struct mosquitto *connection = mosquitto_new(options->client_id, true, client);
    if (!connection)
        return errno == ENOMEM ? MOSQ_ERR_NOMEM : MOSQ_ERR_INVAL;
    int result = mosquitto_int_option(connection, MOSQ_OPT_PROTOCOL_VERSION,
                                      options->protocol == 5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
    if (!result)
        result = mosquitto_int_option(connection, MOSQ_OPT_TCP_NODELAY, 1);
    if (!result && options->username)
        result = mosquitto_username_pw_set(connection, options->username, options->password);
    if (!result && link_has_tls(options))
        result = link_set_tls(connection, options);
    if (result) {
        mosquitto_destroy(connection);
        return result;
    }
    mosquitto_connect_v5_callback_set(connection, link_on_connect);
    mosquitto_disconnect_v5_callback_set(connection, link_on_disconnect);
    mosquitto_publish_v5_callback_set(connection, link_on_publish);
    mosquitto_subscribe_v5_callback_set(connection, link_on_subscribe);
    mosquitto_message_v5_callback_set(connection, link_on_message);
    mosquitto_log_callback_set(connection, link_on_log);
    client->connection = connection;
    return MOSQ_ERR_SUCCESS;
}

/* The connection, or an attempt to connect, has ended: decides when to try again. */
static void link_lose(struct rpc_client *client, const char *what)
{
    long long now = client_now();
    bool was_there = client->state == CLIENT_THERE;
    link_say(client, *client->detail ? client->detail : what);
    mosquitto_destroy(client->connection);
    client->connection = NULL;
    client->state = CLIENT_AWAY;
    calls_forget_connection(client);
    if (was_there && now - client->since >= CLIENT_STABLE_MS)
        client->delay = CLIENT_DELAY_MIN;
    /* The library takes the first address of a name only. Where it does not answer, that of IPv4 may. */
    bool has_other = !was_there && !client->has_family && !client->is_refused && !client->is_ipv4 &&
                     client->options.port && !client->options.bind_address;
    client->is_ipv4 = has_other || (client->is_ipv4 && client->has_family);
    client->retry = now;
    if (!has_other) {
        client->retry += 1 + (long)wire_random((unsigned)client->delay); /* many clients come at many times */
        client->delay = client->delay * 2 < CLIENT_DELAY_MAX ? client->delay * 2 : CLIENT_DELAY_MAX;
        client->has_family = was_there;
    }
    if (was_there)
        link_tell_connection(client, false);
}

static const char *link_error(int result, int error)
{
    return result == MOSQ_ERR_ERRNO && error ? strerror(error) : mosquitto_strerror(result);
}

void link_begin(struct rpc_client *client)
{
    const struct rpc_client_options *options = &client->options;
    client->is_refused = false;
    client->detail[0] = 0;
    client->since = client_now();
    if (!client->connection && link_make(client)) {
        link_lose(client, "there is no memory");
        return;
    }
    const char *bind_address = options->bind_address ? options->bind_address
                               : client->is_ipv4     ? "0.0.0.0"
                                                     : NULL;
    client->state = CLIENT_CONNECTING;
    errno = 0;
    int result = mosquitto_connect_bind_async(client->connection, options->host, options->port,
                                              options->keepalive, bind_address);
    if (result)
        link_lose(client, link_error(result, errno));
}

static void link_sleep(long long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/*
 * Why the attempt to connect has failed, which the library does not see with TLS; 0: it has not, or there is
 * something to read, which says more.
 */
static int link_socket_error(const struct rpc_client *client)
{
    struct pollfd state = {.fd = mosquitto_socket(client->connection)};
    socklen_t size = sizeof(int);
    int error = 0;
    char byte;
    if (poll(&state, 1, 0) != 1 || !(state.revents & (POLLERR | POLLHUP)))
        return 0;
    ssize_t got = recv(state.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got > 0)
        return 0;
    if (got < 0 && errno != EAGAIN && errno != ENOTCONN)
        return errno;
    getsockopt(state.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error ? error : ECONNREFUSED; /* the library has taken it from the socket, and says nothing */
}

/*
 * Has the system acknowledge at once what has come. A broker without set_tcp_nodelay sends its next packet
 * only then, and the system may take 40 ms for it. It forgets this again, so it is told each time.
 */
static void link_acknowledge(const struct rpc_client *client)
{
#ifdef TCP_QUICKACK
    int on = 1, socket = mosquitto_socket(client->connection);
    if (client->options.port && socket >= 0)
        setsockopt(socket, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
#else
    (void)client;
#endif
}

/*
 * Has the library read, and then write, what it answers included. Left alone, it writes each answer while it
 * reads, and where that fails, because the connection was lost meanwhile, it forgets a message of QoS 2 that
 * was just released, and its memory: all versions from 2.0.0 to 2.1.2 do, in handle__pubrel(). One that is
 * told of threads leaves the writing to mosquitto_loop_write().
 */
static int link_loop(struct mosquitto *connection, int ms)
{
    mosquitto_threaded_set(connection, true);
    int result = mosquitto_loop(connection, ms, 1);
    mosquitto_threaded_set(connection, false);
    return result ? result : mosquitto_loop_write(connection, 1);
}

void link_wait(struct rpc_client *client, long long now, long long until)
{
    if (until > client->next_deadline)
        until = client->next_deadline;
    if (client->state == CLIENT_AWAY && until > client->retry)
        until = client->retry;
    long long ms = until <= now ? 0 : until - now < 500 ? until - now : 500;
    if (client->state == CLIENT_AWAY) {
        link_sleep(ms);
        return;
    }
    int error = client->state == CLIENT_CONNECTING ? link_socket_error(client) : 0;
    if (error) {
        link_lose(client, strerror(error));
        return;
    }
    link_acknowledge(client);
    errno = 0;
    int result = link_loop(client->connection, (int)ms);
    if (result)
        link_lose(client, link_error(result, errno));
    else if (client->state == CLIENT_CONNECTING &&
             client_now() - client->since > client->options.connect_timeout_ms)
        link_lose(client, "it does not answer");
}

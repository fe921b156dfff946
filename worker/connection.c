// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The connection to the broker: see connection.h. */
#include "connection.h"

#include "base/text.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define SECOND UINT64_C(1000000000)
#define DELAY_MIN (SECOND / 2)
#define DELAY_MAX (30 * SECOND)
#define STABLE (10 * SECOND)           /* of a connection that has lasted so long the delay begins anew */
#define CONNECT_PATIENCE (10 * SECOND) /* for CONNACK */

enum { CONNECTION_ROUND = 64 /* packets that are read before anything else is done */ };

static void connection_say(struct connection *connection, const char *what)
{
    text_printable(what, connection->why, sizeof connection->why);
    const size_t size = strlen(connection->why);
    if (size && connection->why[size - 1] == '.') /* of a sentence of the library */
        connection->why[size - 1] = '\0';
}

/* ---- What waits to be written or acknowledged ---- */

static void connection_note_waiting(struct connection *connection, int mid, size_t size, bool transient)
{
    uint32_t *waiting = &connection->sizes[mid & (CONNECTION_MIDS - 1)];
    if (*waiting)
        return; /* 65535 messages later: this one is not counted */
    *waiting = (uint32_t)size + 1;
    connection->transient[mid & (CONNECTION_MIDS - 1)] = transient;
    connection->waiting++;
    connection->waiting_bytes += size;
}

static void connection_note_gone(struct connection *connection, int mid)
{
    uint32_t *waiting = &connection->sizes[mid & (CONNECTION_MIDS - 1)];
    if (!*waiting)
        return;
    connection->waiting--;
    connection->waiting_bytes -= *waiting - 1;
    *waiting = 0;
}

/* The connection is lost: libmosquitto forgets what it has not written at QoS 0. */
static void connection_forget(struct connection *connection, bool all)
{
    for (int mid = 0; connection->waiting && mid < CONNECTION_MIDS; mid++) {
        if (all || connection->transient[mid])
            connection_note_gone(connection, mid);
    }
}

/* ---- Callbacks of libmosquitto ---- */

static void connection_on_log(struct mosquitto *mosq, void *user, int level, const char *text)
{
    (void)mosq;
    if (level == MOSQ_LOG_ERR)
        connection_say(user, text);
}

/* Whether the broker would refuse the next attempt, too; otherwise it is busy, or not there. */
static bool connection_is_final(int reason)
{
    return reason != MQTT_RC_SERVER_UNAVAILABLE && reason != MQTT_RC_SERVER_BUSY &&
           reason != MQTT_RC_QUOTA_EXCEEDED && reason != MQTT_RC_CONNECTION_RATE_EXCEEDED &&
           reason != MQTT_RC_USE_ANOTHER_SERVER;
}

static void connection_on_connect(struct mosquitto *mosq, void *user, int reason, int flags,
                                  const mosquitto_property *properties)
{
    (void)mosq, (void)flags;
    struct connection *connection = user;
    uint8_t shared = 1;
    if (reason) {
        const bool is_old = reason == 1 || reason == MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION; /* 1: in MQTT 3 */
        connection->refused = connection_is_final(reason);
        connection_say(connection, is_old ? "it does not speak MQTT 5" : mosquitto_reason_string(reason));
        return;
    }
    mosquitto_property_read_byte(properties, MQTT_PROP_SHARED_SUB_AVAILABLE, &shared, false);
    connection->has_shared = shared;
    connection->refused = connection->refusal_is_told = false;
    connection->was_there = true;
    connection->state = CONNECTION_THERE;
    connection->events.connected(connection->events.context);
}

static void connection_on_disconnect(struct mosquitto *mosq, void *user, int reason,
                                     const mosquitto_property *properties)
{
    (void)mosq, (void)properties;
    if (reason >= 0x80) /* the broker's */
        connection_say(user, mosquitto_reason_string(reason));
}

static void connection_on_publish(struct mosquitto *mosq, void *user, int mid, int reason,
                                  const mosquitto_property *properties)
{
    (void)mosq, (void)properties;
    struct connection *connection = user;
    connection_note_gone(connection, mid);
    if (reason < 0x80 || connection->refusal_is_told)
        return;
    char line[300];
    snprintf(line, sizeof line, "broker %.150s: it refuses a message: %s; this is logged once a connection",
             connection->settings.options->broker, mosquitto_reason_string(reason));
    connection->events.log(connection->events.context, RPC_LOG_WARNING, line);
    connection->refusal_is_told = true;
}

static void connection_on_subscribe(struct mosquitto *mosq, void *user, int mid, int count,
                                    const int *granted, const mosquitto_property *properties)
{
    (void)mosq, (void)properties;
    const struct connection *connection = user;
    connection->events.subscribed(connection->events.context, mid, count > 0 ? granted[0] : 0x80);
}

static void connection_on_unsubscribe(struct mosquitto *mosq, void *user, int mid,
                                      const mosquitto_property *properties)
{
    (void)mosq, (void)mid, (void)properties;
    struct connection *connection = user;
    connection->unsubscribing -= connection->unsubscribing > 0;
}

static void connection_on_message(struct mosquitto *mosq, void *user, const struct mosquitto_message *message,
                                  const mosquitto_property *properties)
{
    (void)mosq;
    const struct connection *connection = user;
    if (!connection->is_stale)
        connection->events.message(connection->events.context, message, properties);
}

/* ---- Making a connection ---- */

/* libmosquitto does not say which file it cannot read. Returns false with why. */
static bool connection_has_files(struct connection *connection)
{
    const struct worker_options *options = connection->settings.options;
    const char *const files[][2] = {
        {"cafile", options->cafile}, {"cert", options->cert}, {"key", options->key}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        FILE *file = files[i][1] ? fopen(files[i][1], "re") : NULL;
        if (file) {
            fclose(file);
        } else if (files[i][1]) {
            char what[CONNECTION_WHY];
            snprintf(what, sizeof what, "%s %.150s: %s", files[i][0], files[i][1], strerror(errno));
            connection_say(connection, what);
            return false;
        }
    }
    return true;
}

static int connection_set_tls(struct connection *connection, struct mosquitto *mosq)
{
    const struct worker_options *options = connection->settings.options;
    int result = connection_has_files(connection) ? MOSQ_ERR_SUCCESS : MOSQ_ERR_INVAL;
    if (!result && options->system_certs)
        result = mosquitto_int_option(mosq, MOSQ_OPT_TLS_USE_OS_CERTS, 1);
    if (!result)
        result = mosquitto_tls_set(mosq, options->cafile, options->capath, options->cert, options->key, NULL);
    if (!result && options->insecure)
        result = mosquitto_tls_insecure_set(mosq, true);
    return result;
}

static int connection_set_options(struct connection *connection, struct mosquitto *mosq)
{
    const struct worker_options *options = connection->settings.options;
    int result = mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    if (!result)
        result = mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1);
    if (!result)
        result = mosquitto_int_option(mosq, MOSQ_OPT_SEND_MAXIMUM, CONNECTION_IN_FLIGHT);
    if (!result)
        result = mosquitto_threaded_set(mosq, true); /* nothing is written but in connection_step() */
    if (!result && connection->settings.will)
        result = mosquitto_will_set_v5(mosq, connection->settings.will, 0, NULL, 1, true, NULL);
    if (!result && worker_options_have_tls(options))
        result = connection_set_tls(connection, mosq);
    return result;
}

/* Makes the struct of libmosquitto, which is not connected yet. */
static int connection_make(struct connection *connection)
{
    struct mosquitto *mosq = mosquitto_new(connection->settings.client_id, true, connection);
    if (!mosq)
        return errno == ENOMEM ? MOSQ_ERR_NOMEM : MOSQ_ERR_INVAL;
    mosquitto_log_callback_set(mosq, connection_on_log);
    const int result = connection_set_options(connection, mosq);
    if (result) {
        mosquitto_destroy(mosq);
        return result;
    }
    mosquitto_connect_v5_callback_set(mosq, connection_on_connect);
    mosquitto_disconnect_v5_callback_set(mosq, connection_on_disconnect);
    mosquitto_publish_v5_callback_set(mosq, connection_on_publish);
    mosquitto_subscribe_v5_callback_set(mosq, connection_on_subscribe);
    mosquitto_unsubscribe_v5_callback_set(mosq, connection_on_unsubscribe);
    mosquitto_message_v5_callback_set(mosq, connection_on_message);
    connection->mosq = mosq;
    return MOSQ_ERR_SUCCESS;
}

/* Reads the password anew, which may have changed. Returns false with why. */
static bool connection_set_user(struct connection *connection)
{
    const struct worker_options *options = connection->settings.options;
    char line[1024] = "", what[CONNECTION_WHY];
    FILE *file = options->password_file ? fopen(options->password_file, "re") : NULL;
    const bool is_read = !options->password_file || (file && fgets(line, sizeof line, file));
    if (!is_read)
        snprintf(what, sizeof what, "password_file %.150s: %s", options->password_file,
                 file ? "it has no first line" : strerror(errno));
    if (file)
        fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    const int result =
        is_read && options->user
            ? mosquitto_username_pw_set(connection->mosq, options->user, options->password_file ? line : NULL)
            : MOSQ_ERR_SUCCESS;
    explicit_bzero(line, sizeof line);
    if (!is_read || result)
        connection_say(connection, is_read ? mosquitto_strerror(result) : what);
    return is_read && !result;
}

/*
 * Gives libmosquitto the properties of CONNECT, which it takes only from a function that waits for the
 * network: here it is told to connect to what is no socket, which fails at once.
 */
static int connection_set_properties(const struct connection *connection)
{
    mosquitto_property *properties = NULL;
    int result = mosquitto_property_add_int32(&properties, MQTT_PROP_MAXIMUM_PACKET_SIZE,
                                              connection->settings.max_packet);
    if (!result)
        result = mosquitto_connect_bind_v5(connection->mosq, "/dev/null", 0,
                                           connection->settings.options->keepalive, NULL, properties);
    mosquitto_property_free_all(&properties);
    return result == MOSQ_ERR_NOMEM ? result : MOSQ_ERR_SUCCESS;
}

static void connection_retry_later(struct connection *connection, uint64_t now)
{
    struct connection *c = connection;
    c->random = c->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    const uint64_t half = c->delay / 2;
    c->retry = now + half + (c->random >> 32) * half / UINT32_MAX;
    c->delay = c->delay * 2 < DELAY_MAX ? c->delay * 2 : DELAY_MAX;
    c->state = CONNECTION_AWAY;
    c->since = now;
}

static void connection_log_failure(const struct connection *connection, uint64_t now)
{
    char line[CONNECTION_WHY + 400];
    snprintf(line, sizeof line, "broker %.300s: %s; the next attempt is in %.1f s",
             connection->settings.options->broker, connection->why,
             (double)(connection->retry - now) / (double)SECOND);
    connection->events.log(connection->events.context, RPC_LOG_WARNING, line);
}

/* The connection, or an attempt to make it, has ended. */
static void connection_lose(struct connection *connection, const char *what, uint64_t now)
{
    const bool was_there = connection->state == CONNECTION_THERE;
    const bool is_over = connection->state == CONNECTION_LEAVING;
    if (!*connection->why)
        connection_say(connection, what);
    if (was_there && now - connection->since >= STABLE)
        connection->delay = DELAY_MIN;
    if (connection->settings.forgets || is_over) {
        mosquitto_destroy(connection->mosq);
        connection->mosq = NULL;
    }
    connection_forget(connection, !connection->mosq);
    connection->unsubscribing = 0;
    if (is_over) {
        connection->state = CONNECTION_OVER;
        return;
    }
    connection_retry_later(connection, now);
    if (!connection_is_refused(connection))
        connection_log_failure(connection, now);
    if (was_there)
        connection->events.lost(connection->events.context, connection->why);
}

static const char *connection_error(int result, int error)
{
    return result == MOSQ_ERR_ERRNO && error ? strerror(error) : mosquitto_strerror(result);
}

static void connection_begin(struct connection *connection, uint64_t now)
{
    connection->why[0] = '\0';
    connection->refused = false;
    connection->state = CONNECTION_BEGUN;
    connection->since = now;
    connection->tcp_is_up = false;
    int result = connection->mosq ? MOSQ_ERR_SUCCESS : connection_make(connection);
    if (!result && !connection_set_user(connection))
        result = MOSQ_ERR_INVAL; /* it has said why */
    if (!result)
        result = connection_set_properties(connection);
    connection->why[0] = result ? connection->why[0] : '\0';
    errno = 0;
    if (!result)
        result =
            mosquitto_connect_bind_async(connection->mosq, connection->address.host, connection->address.port,
                                         connection->settings.options->keepalive, NULL);
    if (result)
        connection_lose(connection, connection_error(result, errno), now);
}

/* A multiplicative hash of the clock and the process: workers that are started together try at other times.
 */
static uint64_t connection_seed(const struct connection *connection, uint64_t now)
{
    return (now ^ (uint64_t)(uintptr_t)connection) * UINT64_C(0x9E3779B97F4A7C15);
}

bool connection_open(struct connection *connection, const struct connection_settings *settings,
                     const struct connection_events *events, uint64_t now)
{
    *connection = (struct connection){.settings = *settings, .events = *events, .since = now, .retry = now};
    connection->delay = DELAY_MIN;
    connection->random = connection_seed(connection, now);
    connection->sizes = calloc(CONNECTION_MIDS, sizeof *connection->sizes);
    connection->transient = calloc(CONNECTION_MIDS, sizeof *connection->transient);
    if (!connection->sizes || !connection->transient) {
        connection_say(connection, "no memory");
        return false;
    }
    broker_address_read(settings->options->broker, worker_options_have_tls(settings->options),
                        &connection->address);
    const int result = connection_make(connection);
    if (result && !*connection->why)
        connection_say(connection, mosquitto_strerror(result));
    return !result;
}

void connection_close(struct connection *connection)
{
    if (connection->mosq)
        mosquitto_destroy(connection->mosq);
    free(connection->sizes);
    free(connection->transient);
    *connection = (struct connection){.mosq = NULL};
}

/* ---- Rounds ---- */

int connection_socket(const struct connection *connection)
{
    return connection->mosq && connection->state != CONNECTION_AWAY ? mosquitto_socket(connection->mosq) : -1;
}

bool connection_wants_write(const struct connection *connection)
{
    return (connection->state == CONNECTION_BEGUN && !connection->tcp_is_up) ||
           mosquitto_want_write(connection->mosq);
}

uint64_t connection_due(const struct connection *connection)
{
    switch (connection->state) {
    case CONNECTION_AWAY:
        return connection->retry;
    case CONNECTION_BEGUN:
        return connection->since + CONNECT_PATIENCE;
    case CONNECTION_THERE:
    case CONNECTION_LEAVING:
        return connection->kept + SECOND;
    case CONNECTION_OVER:
        break;
    }
    return UINT64_MAX;
}

/*
 * Why the attempt to connect has failed, which libmosquitto does not see with TLS; 0: it has not, or there is
 * something to read, which says more.
 */
static int connection_socket_error(const struct connection *connection, short revents)
{
    socklen_t size = sizeof(int);
    int error = 0;
    char byte;
    if (!(revents & (POLLERR | POLLHUP)))
        return 0;
    const int socket = mosquitto_socket(connection->mosq);
    const ssize_t got = recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got > 0)
        return 0;
    if (got < 0 && errno != EAGAIN && errno != ENOTCONN)
        return errno;
    getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
    return error ? error : ECONNREFUSED; /* libmosquitto has taken it from the socket, and says nothing */
}

/* Reads what is there, but not for ever. */
static int connection_read(const struct connection *connection)
{
    for (int packets = 0; packets < CONNECTION_ROUND; packets++) {
        int left = 0;
        const int result = mosquitto_loop_read(connection->mosq, 1);
        const int socket = mosquitto_socket(connection->mosq);
        if (result || socket < 0 || ioctl(socket, FIONREAD, &left) != 0 || left == 0)
            return result;
    }
    return MOSQ_ERR_SUCCESS;
}

static int connection_exchange(struct connection *connection, short revents, uint64_t now)
{
    int result = MOSQ_ERR_SUCCESS;
    errno = 0;
    /* With TLS reading is what begins the handshake, too. */
    const bool is_up = revents & POLLOUT && !connection->tcp_is_up;
    connection->tcp_is_up |= is_up;
    if (revents & (POLLIN | POLLERR | POLLHUP) ||
        (is_up && worker_options_have_tls(connection->settings.options)))
        result = connection_read(connection);
    /* That may be a CONNACK of MQTT 3, of which some versions of libmosquitto say no more, or any nonsense.
     */
    if (result == MOSQ_ERR_MALFORMED_PACKET && connection->state == CONNECTION_BEGUN && !*connection->why)
        connection_say(connection, "its answer is no CONNACK of MQTT 5: it may not speak MQTT 5");
    if (!result && now - connection->kept >= SECOND && connection->state != CONNECTION_BEGUN) {
        connection->kept = now;
        result = mosquitto_loop_misc(connection->mosq);
    }
    if (!result && mosquitto_want_write(connection->mosq))
        result = mosquitto_loop_write(connection->mosq, 1);
    return result;
}

void connection_step(struct connection *connection, short revents, uint64_t now)
{
    if (connection->state == CONNECTION_OVER ||
        (connection->state == CONNECTION_AWAY && now < connection->retry))
        return;
    if (connection->state == CONNECTION_AWAY) {
        connection_begin(connection, now);
        return;
    }
    const bool was_begun = connection->state == CONNECTION_BEGUN;
    connection->is_stale = connection->settings.forgets && revents & POLLRDHUP;
    const int error = was_begun ? connection_socket_error(connection, revents) : 0;
    if (error) {
        connection_lose(connection, strerror(error), now);
        return;
    }
    const int result = connection_exchange(connection, revents, now);
    if (result || mosquitto_socket(connection->mosq) < 0)
        connection_lose(connection, result ? connection_error(result, errno) : "the broker has ended it",
                        now);
    else if (was_begun && connection->state == CONNECTION_BEGUN &&
             now - connection->since >= CONNECT_PATIENCE)
        connection_lose(connection, "it does not answer", now);
    else if (was_begun && connection->state == CONNECTION_THERE)
        connection->since = now;
    else if (connection->state == CONNECTION_LEAVING && now - connection->since >= SECOND)
        connection_lose(connection, "it takes nothing any more", now);
}

/* ---- Use ---- */

int connection_subscribe(struct connection *connection, const char *filter, int qos, int options)
{
    int mid = -1;
    const int result = mosquitto_subscribe_v5(connection->mosq, &mid, filter, qos, options, NULL);
    return result ? -1 : mid;
}

void connection_unsubscribe(struct connection *connection, const char *filter)
{
    connection->unsubscribing +=
        mosquitto_unsubscribe_v5(connection->mosq, NULL, filter, NULL) == MOSQ_ERR_SUCCESS;
}

bool connection_publish(struct connection *connection, const char *topic, const void *payload, size_t size,
                        int qos, bool retain, const mosquitto_property *properties)
{
    int mid = 0;
    const bool is_full = connection->waiting >= CONNECTION_MESSAGES ||
                         connection->waiting_bytes + size > connection->settings.max_waiting;
    if (!connection->mosq || is_full || (qos == 0 && connection->state != CONNECTION_THERE))
        return false;
    const int result =
        mosquitto_publish_v5(connection->mosq, &mid, topic, (int)size, payload, qos, retain, properties);
    /* What is not QoS 0 waits for the next connection. */
    if (result && !(qos > 0 && (result == MOSQ_ERR_NO_CONN || result == MOSQ_ERR_CONN_LOST)))
        return false;
    connection_note_waiting(connection, mid, size, qos == 0);
    return true;
}

void connection_cut(struct connection *connection, const char *why, uint64_t now)
{
    if (connection->state != CONNECTION_THERE)
        return;
    connection->why[0] = '\0';
    connection_lose(connection, why, now);
}

void connection_leave(struct connection *connection, uint64_t now)
{
    const bool is_there =
        connection->state == CONNECTION_THERE &&
        mosquitto_disconnect_v5(connection->mosq, MQTT_RC_NORMAL_DISCONNECTION, NULL) == MOSQ_ERR_SUCCESS;
    connection->state = is_there ? CONNECTION_LEAVING : CONNECTION_OVER;
    connection->since = now;
}

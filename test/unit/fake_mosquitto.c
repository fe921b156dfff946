// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* libmosquitto without a network: see fake_mosquitto.h. */
#include "fake_mosquitto.h"

#include <errno.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if LIBMOSQUITTO_VERSION_NUMBER < 2001000
#include <mqtt_protocol.h>
#endif

enum { FAKE_MESSAGES = 32, FAKE_STEP = 50 };

struct fake_message {
    char topic[FAKE_TEXT], payload[FAKE_TEXT], id[64], status[32];
};

struct mosquitto {
    void *user;
    void (*on_connect)(struct mosquitto *, void *, int, int, const mosquitto_property *);
    void (*on_publish)(struct mosquitto *, void *, int, int, const mosquitto_property *);
    void (*on_subscribe)(struct mosquitto *, void *, int, int, const int *, const mosquitto_property *);
    void (*on_message)(struct mosquitto *, void *, const struct mosquitto_message *,
                       const mosquitto_property *);
};

struct fake_network fake;
static struct fake_message messages[FAKE_MESSAGES];
static size_t message_count;
static struct mosquitto *current;
static bool is_connecting, is_queueing;
static int last_mid;

/* Check allocates, which a test with failing allocations must not do. */
static void fake_need(bool condition)
{
    if (!condition)
        abort();
}

void fake_reset(void)
{
    fake = (struct fake_network){.now = 1000000};
    message_count = 0;
    current = NULL;
    is_connecting = false;
}

void fake_forget(void)
{
    fake.sent_count = fake.subscribed_count = fake.unsubscribed_count = 0;
}

void fake_deliver(const char *topic, const char *payload, const char *id, const char *status)
{
    struct fake_message *message = &messages[message_count++];
    fake_need(message_count <= FAKE_MESSAGES);
    snprintf(message->topic, sizeof message->topic, "%s", topic);
    snprintf(message->payload, sizeof message->payload, "%s", payload);
    snprintf(message->id, sizeof message->id, "%s", id ? id : "");
    snprintf(message->status, sizeof message->status, "%s", status ? status : "");
}

void fake_acknowledge(int mid, int reason)
{
    current->on_publish(current, current->user, mid, reason, NULL);
}

void fake_grant(int mid, int granted)
{
    current->on_subscribe(current, current->user, mid, 1, &granted, NULL);
}

/* ---- The clock ---- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock;
    *now = (struct timespec){.tv_sec = fake.now / 1000, .tv_nsec = fake.now % 1000 * 1000000};
    return 0;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    (void)left;
    fake.now += time->tv_sec * 1000 + time->tv_nsec / 1000000 + 1;
    return 0;
}

/* ---- What the client calls ---- */

struct mosquitto *mosquitto_new(const char *id, bool clean_session, void *user)
{
    fake_need(id && clean_session);
    struct mosquitto *made = calloc(1, sizeof *made);
    if (!made) {
        errno = ENOMEM;
        return NULL;
    }
    made->user = user;
    fake.live++;
    return made;
}

void mosquitto_destroy(struct mosquitto *connection)
{
    if (!connection)
        return;
    fake.live--;
    if (connection == current)
        current = NULL;
    free(connection);
}

int mosquitto_int_option(struct mosquitto *connection, enum mosq_opt_t option, int value)
{
    (void)connection, (void)option, (void)value;
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_username_pw_set(struct mosquitto *connection, const char *username, const char *password)
{
    (void)connection, (void)username, (void)password;
    return MOSQ_ERR_SUCCESS;
}

void mosquitto_connect_v5_callback_set(struct mosquitto *connection,
                                       void (*function)(struct mosquitto *, void *, int, int,
                                                        const mosquitto_property *))
{
    connection->on_connect = function;
}

void mosquitto_disconnect_v5_callback_set(struct mosquitto *connection,
                                          void (*function)(struct mosquitto *, void *, int,
                                                           const mosquitto_property *))
{
    (void)connection, (void)function;
}

void mosquitto_publish_v5_callback_set(struct mosquitto *connection,
                                       void (*function)(struct mosquitto *, void *, int, int,
                                                        const mosquitto_property *))
{
    connection->on_publish = function;
}

void mosquitto_subscribe_v5_callback_set(struct mosquitto *connection,
                                         void (*function)(struct mosquitto *, void *, int, int, const int *,
                                                          const mosquitto_property *))
{
    connection->on_subscribe = function;
}

void mosquitto_message_v5_callback_set(struct mosquitto *connection,
                                       void (*function)(struct mosquitto *, void *,
                                                        const struct mosquitto_message *,
                                                        const mosquitto_property *))
{
    connection->on_message = function;
}

void mosquitto_log_callback_set(struct mosquitto *connection,
                                void (*function)(struct mosquitto *, void *, int, const char *))
{
    (void)connection, (void)function;
}

int mosquitto_socket(struct mosquitto *connection)
{
    (void)connection;
    return -1;
}

int mosquitto_connect_bind_async(struct mosquitto *connection, const char *host, int port, int keepalive,
                                 const char *bind_address)
{
    (void)host, (void)port, (void)keepalive, (void)bind_address;
    errno = ECONNREFUSED;
    if (fake.accepts < 0)
        return MOSQ_ERR_ERRNO;
    current = connection;
    is_connecting = true;
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_disconnect(struct mosquitto *connection)
{
    (void)connection;
    fake.is_connected = false;
    return MOSQ_ERR_SUCCESS;
}

static void fake_note(struct fake_sent *list, size_t *count, const char *topic, int mid)
{
    fake_need(*count < FAKE_SENT);
    struct fake_sent *sent = &list[(*count)++];
    *sent = (struct fake_sent){.mid = mid};
    snprintf(sent->topic, sizeof sent->topic, "%s", topic);
}

static void fake_note_properties(struct fake_sent *sent, const mosquitto_property *properties)
{
    char *name = NULL, *value = NULL;
    size_t length = 0;
    const mosquitto_property *at =
        mosquitto_property_read_string_pair(properties, MQTT_PROP_USER_PROPERTY, &name, &value, false);
    for (; at; at = mosquitto_property_read_string_pair(at, MQTT_PROP_USER_PROPERTY, &name, &value, true)) {
        length += (size_t)snprintf(sent->properties + length, sizeof sent->properties - length, "%s=%s;",
                                   name, value);
        if (strcmp(name, "timeout-ms") == 0)
            snprintf(sent->timeout, sizeof sent->timeout, "%s", value);
        free(name);
        free(value);
        name = value = NULL;
    }
}

int mosquitto_publish_v5(struct mosquitto *connection, int *mid, const char *topic, int size,
                         const void *payload, int qos, bool retain, const mosquitto_property *properties)
{
    void *id = NULL;
    uint16_t id_size = 0;
    fake_need(connection == current && !retain);
    if (fake.refuse_publish)
        return fake.refuse_publish;
    *mid = ++last_mid;
    fake_note(fake.sent, &fake.sent_count, topic, *mid);
    struct fake_sent *sent = &fake.sent[fake.sent_count - 1];
    sent->qos = qos;
    snprintf(sent->payload, sizeof sent->payload, "%.*s", size, size ? (const char *)payload : "");
    mosquitto_property_read_binary(properties, MQTT_PROP_CORRELATION_DATA, &id, &id_size, false);
    snprintf(sent->id, sizeof sent->id, "%.*s", (int)id_size, id ? (const char *)id : "");
    free(id);
    fake_note_properties(sent, properties);
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_subscribe_v5(struct mosquitto *connection, int *mid, const char *filter, int qos, int options,
                           const mosquitto_property *properties)
{
    (void)qos, (void)options, (void)properties;
    fake_need(connection == current);
    fake_note(fake.subscribed, &fake.subscribed_count, filter, ++last_mid);
    if (mid)
        *mid = last_mid;
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_unsubscribe(struct mosquitto *connection, int *mid, const char *filter)
{
    (void)mid;
    fake_need(connection == current);
    fake_note(fake.unsubscribed, &fake.unsubscribed_count, filter, ++last_mid);
    return MOSQ_ERR_SUCCESS;
}

static int fake_accept(struct mosquitto *connection)
{
    is_connecting = false;
    fake.is_connected = fake.accepts == 0;
    fake.connections += fake.is_connected;
    connection->on_connect(connection, connection->user, fake.accepts, 0, NULL);
    return fake.is_connected ? MOSQ_ERR_SUCCESS : MOSQ_ERR_CONN_REFUSED;
}

static void fake_hand_out(struct mosquitto *connection)
{
    struct fake_message message = messages[0];
    mosquitto_property *properties = NULL;
    memmove(messages, messages + 1, --message_count * sizeof *messages);
    if (*message.id)
        mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA, message.id,
                                      (uint16_t)strlen(message.id));
    if (*message.status)
        mosquitto_property_add_string_pair(&properties, MQTT_PROP_USER_PROPERTY, "status", message.status);
    mosquitto_property_add_string(&properties, MQTT_PROP_CONTENT_TYPE, "application/json");
    struct mosquitto_message given = {
        .topic = message.topic, .payload = message.payload, .payloadlen = (int)strlen(message.payload)};
    connection->on_message(connection, connection->user, &given, properties);
    mosquitto_property_free_all(&properties);
}

int mosquitto_threaded_set(struct mosquitto *connection, bool threaded)
{
    fake_need(connection == current);
    is_queueing = threaded;
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_loop_write(struct mosquitto *connection, int max_packets)
{
    (void)max_packets;
    fake_need(connection == current && !is_queueing);
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_loop(struct mosquitto *connection, int timeout, int max_packets)
{
    (void)max_packets;
    fake_need(connection == current && is_queueing);
    if (is_connecting)
        return fake_accept(connection);
    if (fake.cuts) {
        fake.cuts = fake.is_connected = false;
        return MOSQ_ERR_CONN_LOST;
    }
    if (message_count)
        fake_hand_out(connection);
    else
        fake.now += timeout < FAKE_STEP ? timeout : FAKE_STEP;
    return MOSQ_ERR_SUCCESS;
}

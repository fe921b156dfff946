// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Mosquitto's functions on lists: see fake_broker.h. */
#include "fake_broker.h"

#include "compat/broker.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { EVENTS = 32, EVENT_CONNECT = 11, EVENT_MESSAGE_OUT = 27, EVENT_CLIENT_OFFLINE = 28, TAKEN_OVER = 142 };

/* What a plugin has published. */
struct published {
    char *id, *topic;
    void *payload;
    int size, qos;
    mosquitto_property *properties;
    struct published *prev, *next;
};

struct callback {
    MOSQ_FUNC_generic_callback function;
    void *user_data;
};

static struct {
    bool is_2_1, keeps_qos_0;
    struct callback callbacks[EVENTS];
    void *user_data;
    struct mosquitto *connections;
    struct published *published;
    unsigned round;
    size_t lost;
} broker;

static bool sends_no_tick;

static int fire(int event, void *data)
{
    const struct callback *callback = &broker.callbacks[event];
    return callback->function ? callback->function(event, data, callback->user_data) : MOSQ_ERR_SUCCESS;
}

/* ---- What the plugin calls ---- */

struct broker broker_detect(void)
{
    return (struct broker){
        .is_2_1 = broker.is_2_1, .cuts_mount_point = true, .free_read = free, .name = "fake 1"};
}

int broker_reload_result(const struct broker *detected)
{
    return detected->is_2_1 ? MOSQ_ERR_SUCCESS : MOSQ_ERR_PLUGIN_DEFER;
}

int mosquitto_callback_register(mosquitto_plugin_id_t *identifier, int event,
                                MOSQ_FUNC_generic_callback function, const void *data, void *user_data)
{
    (void)identifier, (void)data;
    if (event >= EVENTS || (broker.callbacks[event].function && (broker.is_2_1 || event < EVENT_CONNECT)))
        ck_abort_msg("event %d is none, or has been registered", event);
    if (!broker.is_2_1 && event >= EVENT_CONNECT)
        return MOSQ_ERR_NOT_SUPPORTED;
    broker.callbacks[event] = (struct callback){function, user_data};
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_callback_unregister(mosquitto_plugin_id_t *identifier, int event,
                                  MOSQ_FUNC_generic_callback function, const void *data)
{
    (void)identifier, (void)data;
    if (broker.callbacks[event].function == function)
        broker.callbacks[event].function = NULL;
    return MOSQ_ERR_SUCCESS;
}

void *mosquitto_malloc(size_t size)
{
    return malloc(size);
}

void mosquitto_free(void *memory)
{
    free(memory);
}

void mosquitto_log_printf(int level, const char *format, ...)
{
    (void)level, (void)format;
}

int mosquitto_broker_publish(const char *id, const char *topic, int size, void *payload, int qos, bool retain,
                             mosquitto_property *properties)
{
    (void)retain;
    struct published *message = calloc(1, sizeof *message);
    if (!message)
        return MOSQ_ERR_NOMEM;
    *message = (struct published){.id = id ? strdup(id) : NULL,
                                  .topic = strdup(topic),
                                  .payload = payload,
                                  .size = size,
                                  .qos = qos,
                                  .properties = properties};
    DL_APPEND(broker.published, message);
    return MOSQ_ERR_SUCCESS;
}

/* The plugin may look at a connection until its end has been told. Uses Check on failure only, since
 * allocations may fail. */
static const struct mosquitto *alive(const struct mosquitto *client)
{
    if (client->told)
        ck_abort_msg("the plugin looks at a connection that may have been freed");
    return client;
}

const char *mosquitto_client_id(const struct mosquitto *client)
{
    return alive(client)->id;
}

const char *mosquitto_client_username(const struct mosquitto *client)
{
    (void)alive(client);
    return NULL;
}

const char *mosquitto_client_address(const struct mosquitto *client)
{
    (void)alive(client);
    return "127.0.0.1";
}

int mosquitto_client_protocol(const struct mosquitto *client)
{
    return alive(client)->transport == FAKE_WEBSOCKETS ? mp_websockets : mp_mqtt;
}

int mosquitto_client_protocol_version(const struct mosquitto *client)
{
    return alive(client)->version;
}

bool mosquitto_client_clean_session(const struct mosquitto *client)
{
    return alive(client)->clean_start;
}

/* ---- Connections ---- */

static bool has_session(const struct mosquitto *client)
{
    return client->version == 5 ? client->v5_session : !client->asked_clean;
}

static struct mosquitto *find_owner(const char *id)
{
    struct mosquitto *client;
    DL_FOREACH(broker.connections, client)
    {
        const bool is_there = client->online || has_session(client);
        if (!client->replaced && is_there && strcmp(client->id, id) == 0)
            return client;
    }
    return NULL;
}

static void tell_end(struct mosquitto *client, int event, int reason)
{
    struct mosquitto_evt_disconnect data = {.client = client, .reason = broker.is_2_1 ? reason : -1};
    client->told = false; /* it is still there while it is told */
    fire(event, &data);
    client->told = true;
}

/* Another connection has the id now. An offline one is told of a second time. */
static void take_over(struct mosquitto *former, const struct fake_connect *how)
{
    former->replaced = true;
    former->replaced_in = broker.round;
    former->clean_start = true;
    former->telling = how->telling;
    if (broker.is_2_1 || former->transport == FAKE_TCP || !former->online)
        tell_end(former, MOSQ_EVT_DISCONNECT, TAKEN_OVER);
    former->online = false;
}

static bool is_written(struct mosquitto *client, const struct published *message)
{
    struct mosquitto_evt_message data = {.client = client,
                                         .topic = message->topic,
                                         .payload = message->payload,
                                         .payloadlen = (uint32_t)message->size,
                                         .qos = (uint8_t)message->qos};
    const bool is_allowed = fire(EVENT_MESSAGE_OUT, &data) == MOSQ_ERR_SUCCESS;
    client->received += is_allowed;
    return is_allowed;
}

static void free_message(struct published *message)
{
    mosquitto_property_free_all(&message->properties);
    free(message->payload);
    free(message->topic);
    free(message->id);
    free(message);
}

/* What a plugin does not let through was not acknowledged: it stays. */
static void write_queue(struct mosquitto *client)
{
    struct published *message, *next;
    DL_FOREACH_SAFE(client->queue, message, next)
    {
        if (!is_written(client, message))
            continue;
        DL_DELETE(client->queue, message);
        free_message(message);
    }
}

struct mosquitto *fake_broker_connect(const struct fake_connect *how)
{
    struct mosquitto *client = calloc(1, sizeof *client);
    struct mosquitto *former = find_owner(how->id);
    strncpy(client->id, how->id, sizeof client->id - 1);
    client->transport = how->transport;
    client->version = how->version;
    client->asked_clean = client->clean_start = how->clean_start;
    client->v5_session = how->v5_session;
    client->online = true;
    if (former && !how->clean_start && has_session(former)) {
        client->queue = former->queue;
        former->queue = NULL;
    }
    if (former)
        take_over(former, how);
    DL_APPEND(broker.connections, client);
    write_queue(client);
    if (broker.is_2_1) {
        struct {
            void *future;
            struct mosquitto *client;
            void *more[4];
        } data = {.client = client};
        fire(EVENT_CONNECT, &data);
    }
    return client;
}

void fake_broker_disconnect(struct mosquitto *client)
{
    if (!client->online)
        return;
    client->online = false;
    tell_end(client, broker.is_2_1 && has_session(client) ? EVENT_CLIENT_OFFLINE : MOSQ_EVT_DISCONNECT, 0);
}

/* Whether connections of WebSockets on 2.0 that were taken over are closed in this round. */
static bool is_closed_now(const struct mosquitto *client)
{
    return client->replaced && !client->told &&
           (client->telling == FAKE_TOLD_IN_ROUND ||
            (client->telling == FAKE_TOLD_NEXT_ROUND && client->replaced_in < broker.round));
}

void fake_broker_receive(struct mosquitto *client, const char *topic, const char *payload, int qos,
                         const char *response_topic, const char *correlation)
{
    struct mosquitto_evt_message data = {.client = client,
                                         .topic = strdup(topic),
                                         .payload = strdup(payload),
                                         .payloadlen = (uint32_t)strlen(payload),
                                         .qos = (uint8_t)qos};
    if (response_topic)
        mosquitto_property_add_string(&data.properties, MQTT_PROP_RESPONSE_TOPIC, response_topic);
    if (correlation)
        mosquitto_property_add_binary(&data.properties, MQTT_PROP_CORRELATION_DATA, correlation,
                                      (uint16_t)strlen(correlation));
    if (fire(MOSQ_EVT_MESSAGE, &data) != MOSQ_ERR_SUCCESS)
        ck_abort_msg("the plugin refuses a message");
    free(data.topic);
    free(data.payload);
    mosquitto_property_free_all(&data.properties);
}

/* ---- Rounds ---- */

/* Returns whether the owner's session has the message now. */
static bool deliver(struct mosquitto *owner, struct published *message)
{
    const bool is_kept = message->qos > 0 || (broker.keeps_qos_0 && !owner->online);
    broker.lost += !owner->online && !is_kept;
    if ((owner->online && is_written(owner, message)) || !is_kept)
        return false;
    DL_APPEND(owner->queue, message);
    return true;
}

static void hand_out(void)
{
    struct published *message, *next;
    DL_FOREACH_SAFE(broker.published, message, next)
    {
        struct mosquitto *owner = message->id ? find_owner(message->id) : NULL;
        DL_DELETE(broker.published, message);
        if (!owner || !deliver(owner, message))
            free_message(message);
    }
}

static void tick(void)
{
    if (sends_no_tick)
        return;
    struct mosquitto_evt_tick data = {.future = NULL};
    fire(MOSQ_EVT_TICK, &data);
}

void fake_broker_begin_round(void)
{
    broker.round++;
    hand_out();
    if (broker.is_2_1)
        tick();
}

void fake_broker_end_round(void)
{
    struct mosquitto *client;
    if (broker.is_2_1)
        return;
    DL_FOREACH(broker.connections, client)
    {
        if (is_closed_now(client))
            tell_end(client, MOSQ_EVT_DISCONNECT, TAKEN_OVER);
    }
    tick();
}

void fake_broker_send_no_tick(void)
{
    sends_no_tick = true;
}

void fake_broker_keep_qos_0(void)
{
    broker.keeps_qos_0 = true;
}

size_t fake_broker_lost(void)
{
    return broker.lost;
}

/* ---- Beginning and end ---- */

void fake_broker_start(bool is_2_1, const struct mosquitto_opt *options, int count)
{
    memset(&broker, 0, sizeof broker);
    broker.is_2_1 = is_2_1;
    struct mosquitto_opt own[8];
    memcpy(own, options, (size_t)count * sizeof *options);
    ck_assert_int_eq(mosquitto_plugin_init(NULL, &broker.user_data, own, count), MOSQ_ERR_SUCCESS);
    fake_broker_begin_round();
    fake_broker_end_round();
}

void fake_broker_stop(void)
{
    struct mosquitto *client, *next;
    struct published *message;
    mosquitto_plugin_cleanup(broker.user_data, NULL, 0);
    for (int event = 0; event < EVENTS; event++)
        ck_assert_msg(!broker.callbacks[event].function, "event %d is still registered", event);
    hand_out();
    DL_FOREACH_SAFE(broker.connections, client, next)
    {
        DL_DELETE(broker.connections, client);
        while ((message = client->queue)) {
            DL_DELETE(client->queue, message);
            free_message(message);
        }
        free(client);
    }
    sends_no_tick = false;
}

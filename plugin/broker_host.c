// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The broker as a host: see broker_host.h. Payloads are of mosquitto_malloc() and go out through
 * mosquitto_broker_publish(): with its _copy sibling, and with memory of malloc(), brokers of 2.0 count
 * memory down that they never counted up, and refuse clients in the end.
 */
#include "broker_host.h"

#include "config.h"
#include "mqtt/properties.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- Messages in ---- */

/* Before 2.1 a WebSockets connection that is taken over is closed, and its end told, in a later round. */
void broker_host_read_client(const struct broker_host *broker_host, const struct mosquitto *connection,
                             bool mounted, struct host_client *client)
{
    client->id = mosquitto_client_id(connection);
    client->user = mosquitto_client_username(connection);
    client->address = mosquitto_client_address(connection);
    client->version = mosquitto_client_protocol_version(connection);
    client->bridge = !client->address; /* every client that connected to a listener has one */
    client->far_bridge = bridges_has(&broker_host->bridges, connection);
    client->clean_start = mosquitto_client_clean_session(connection);
    client->mounted = mounted;
    client->served_late = mosquitto_client_protocol(connection) == mp_websockets;
    client->told_late = !broker_host->broker.is_2_1 && client->served_late;
    client->connection = connection;
    client->mark = NULL;
}

void broker_message_init(struct broker_message *message, const struct broker_host *broker_host,
                         const struct mosquitto_evt_message *event, const char *topic, bool mounted)
{
    broker_host_read_client(broker_host, event->client, mounted, &message->client);
    message->seen = (struct host_message){
        .client = &message->client,
        .topic = topic,
        .payload = event->payload ? event->payload : "",
        .size = event->payload ? event->payloadlen : 0,
        .qos = event->qos,
    };
    properties_read(&message->seen, event->properties, &message->response_topic, &message->correlation);
}

void broker_message_fini(struct broker_message *message, const struct broker_host *broker_host)
{
    broker_host->broker.free_read(message->response_topic);
    broker_host->broker.free_read(message->correlation);
}

static bool broker_host_read_user_property(void *context, const struct host_message *message,
                                           const char *name, char *value, size_t size)
{
    const struct broker_host *host = context;
    return properties_find(message->properties, name, value, size, host->broker.free_read);
}

/* ---- Messages out ---- */

/* Returns topic itself if no mount point is to be written before it, else memory of malloc(). NULL: none. */
static const char *broker_host_mounted_topic(const struct broker_host *host, bool mount, const char *topic)
{
    char *whole = NULL;
    if (!mount)
        return topic;
    return asprintf(&whole, "%s%s", host->mount_point, topic) < 0 ? NULL : whole;
}

/*
 * The expiry keeps stale messages out of sessions. Before 2.1 a QoS 0 message to an older client goes without
 * it: sessions keep such messages only with queue_qos0_messages, the client cannot see it, and brokers up
 * to 2.0.20 book 56 bytes for each property that they never book back. The others only an MQTT 5 client sees,
 * and MQTT 5 subscribers of an event, whoever has caused it.
 */
static int broker_host_add_properties(const struct broker_host *host, mosquitto_property **properties,
                                      const struct host_publication *message)
{
    const bool is_event = message->to_subscribers && !message->status;
    const bool is_v5 = is_event || !message->client || message->client->version == 5;
    int rc = MOSQ_ERR_SUCCESS;
    if (message->expiry && (is_v5 || message->qos > 0 || host->broker.is_2_1))
        rc = mosquitto_property_add_int32(properties, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, message->expiry);
    return is_v5 && rc == MOSQ_ERR_SUCCESS ? properties_add(properties, message) : rc;
}

/*
 * Whether the loop has to go round for what has just been published: on 2.1 if it was published in a TICK,
 * waits for one, or goes to a WebSockets client, which a broker that was built with libwebsockets serves as
 * 2.0 does; before 2.1 if it goes to a WebSockets client or waits for the safe point.
 */
static bool broker_host_needs_round(const struct broker_host *host, const struct host_client *client)
{
    switch (host->outbox.moment) {
    case OUTBOX_AT_ONCE:
        return host->ticking || host->outbox.waiting || (client && client->served_late);
    case OUTBOX_AT_WAIT:
        return host->outbox.waiting;
    case OUTBOX_AT_TICK:
    case OUTBOX_UNTOLD:
        break;
    }
    return client && client->told_late;
}

/*
 * How many further rounds a message takes: what brokers before 2.1 write to a WebSockets client is cut into
 * pieces, one for each round, and waits for some rounds in the outbox first.
 */
static unsigned broker_host_rounds(const struct host_publication *message)
{
    enum { PIECE = 4096, BEFORE = 4 };
    if (message->size <= PIECE || !message->client || !message->client->told_late)
        return 0;
    return (unsigned)(message->size / PIECE) + BEFORE;
}

/* When a letter was added matters only to outboxes that do not wait for TICK. */
static uint64_t broker_host_time(const struct broker_host *host)
{
    return host->outbox.moment == OUTBOX_AT_TICK ? 0 : broker_host_now();
}

/* A message to subscribers that a mounted client has caused goes below the mount point on every version. */
static bool broker_host_publish(void *context, const struct host_publication *message)
{
    struct broker_host *host = context;
    const bool is_private = message->status && message->client && !message->to_subscribers; /* a reply */
    mosquitto_property *properties = NULL;
    const bool mount = message->client && message->client->mounted && host->mount_point &&
                       (message->to_subscribers || host->broker.cuts_mount_point);
    const char *topic = broker_host_mounted_topic(host, mount, message->topic);
    const bool sent = topic && broker_host_add_properties(host, &properties, message) == MOSQ_ERR_SUCCESS &&
                      outbox_add(&host->outbox, message, topic, properties, broker_host_time(host));
    if (topic != message->topic)
        free((void *)(uintptr_t)topic);
    if (!sent)
        mosquitto_property_free_all(&properties);
    else if (broker_host_needs_round(host, message->client))
        wake_go_on(&host->wake, broker_host_rounds(message));
    if (sent && is_private && host->notices.client_count < NOTICES_CLIENTS)
        notices_log_reply(&host->notices, message->client->id, message->topic);
    return sent;
}

/* ---- The rest ---- */

static void *broker_host_allocate(void *context, size_t size)
{
    (void)context;
    return mosquitto_malloc(size);
}

static void broker_host_release(void *context, void *memory)
{
    (void)context;
    mosquitto_free(memory);
}

static void broker_host_write_log(void *context, rpc_log_level level, const char *line)
{
    static const int levels[] = {
        [RPC_LOG_DEBUG] = MOSQ_LOG_DEBUG,   [RPC_LOG_INFO] = MOSQ_LOG_INFO,
        [RPC_LOG_NOTICE] = MOSQ_LOG_NOTICE, [RPC_LOG_WARNING] = MOSQ_LOG_WARNING,
        [RPC_LOG_ERROR] = MOSQ_LOG_ERR,
    };
    (void)context;
    mosquitto_log_printf(levels[level], "mosquitto-rpc: %s", line);
}

static void broker_host_wake(void *context)
{
    struct broker_host *host = context;
    wake_request(&host->wake);
}

static void broker_host_watch_messages(void *context, bool more)
{
    struct broker_host *host = context;
    host->watchers += more ? 1 : (size_t)-1;
}

static bool broker_host_topic_matches(void *context, const char *filter, const char *topic)
{
    (void)context;
    bool result = false;
    return mosquitto_topic_matches_sub(filter, topic, &result) == MOSQ_ERR_SUCCESS && result;
}

static double broker_host_wall_clock(void *context)
{
    (void)context;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

uint64_t broker_host_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static uint64_t broker_host_monotonic_clock(void *context)
{
    (void)context;
    return broker_host_now();
}

struct host broker_host_functions(struct broker_host *broker_host)
{
    return (struct host){
        .context = broker_host,
        .knows_caller = true,
        .replies_to_caller = true,
        .tells_endings = true,
        .counters_topic = rpc_host.counters_topic,
        .broker = broker_host->broker.name,
        .allocate = broker_host_allocate,
        .release = broker_host_release,
        .publish = broker_host_publish,
        .log = broker_host_write_log,
        .user_property = broker_host_read_user_property,
        .wake = broker_host_wake,
        .watch_messages = broker_host_watch_messages,
        .topic_matches = broker_host_topic_matches,
        .wall_clock = broker_host_wall_clock,
        .monotonic_clock = broker_host_monotonic_clock,
    };
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A client of a broker as the host of a service: see client_host.h. */
#include "client_host.h"

#include "mqtt/properties.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

bool client_host_open(struct client_host *host)
{
    host->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return host->wake >= 0;
}

void client_host_close(struct client_host *host)
{
    if (host->wake >= 0)
        close(host->wake);
    host->wake = -1;
}

/* ---- Messages in ---- */

void client_message_init(struct client_message *message, const struct mosquitto_message *received,
                         const mosquitto_property *properties)
{
    *message = (struct client_message){.client = {.id = "", .address = "", .version = 5}};
    message->seen = (struct host_message){
        .client = &message->client,
        .topic = received->topic,
        .payload = received->payload ? received->payload : "",
        .size = (size_t)received->payloadlen,
        .qos = received->qos,
    };
    properties_read(&message->seen, properties, &message->response_topic, &message->correlation);
}

void client_message_fini(struct client_message *message)
{
    free(message->response_topic);
    free(message->correlation);
}

bool client_host_user_property(const mosquitto_property *properties, const char *name, char *value,
                               size_t size)
{
    return properties_find(properties, name, value, size, free);
}

static bool client_host_read_user_property(void *context, const struct host_message *message,
                                           const char *name, char *value, size_t size)
{
    const struct client_host *host = context;
    return host->user_property ? host->user_property(host->context, message, name, value, size)
                               : client_host_user_property(message->properties, name, value, size);
}

/* ---- Messages out ---- */

static int client_host_add_properties(mosquitto_property **properties, const struct host_publication *message)
{
    const int rc =
        message->expiry
            ? mosquitto_property_add_int32(properties, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, message->expiry)
            : MOSQ_ERR_SUCCESS;
    return rc == MOSQ_ERR_SUCCESS ? properties_add(properties, message) : rc;
}

bool client_host_publish(struct connection *connection, const struct host_publication *publication)
{
    mosquitto_property *properties = NULL;
    const bool sent =
        client_host_add_properties(&properties, publication) == MOSQ_ERR_SUCCESS &&
        connection_publish(connection, publication->topic, publication->payload, publication->size,
                           publication->qos, publication->retain, properties);
    mosquitto_property_free_all(&properties);
    if (sent)
        free(publication->payload);
    return sent;
}

static bool client_host_publish_as_set(void *context, const struct host_publication *publication)
{
    struct client_host *host = context;
    return host->publish ? host->publish(host->context, publication)
                         : client_host_publish(host->connection, publication);
}

/* ---- The rest ---- */

static void client_host_handled(void *context, const void *mark)
{
    const struct client_host *host = context;
    host->handled(host->context, mark);
}

static void *client_host_allocate(void *context, size_t size)
{
    (void)context;
    return malloc(size);
}

static void client_host_release(void *context, void *memory)
{
    (void)context;
    free(memory);
}

void client_host_log(rpc_log_level level, const char *line)
{
    static const char *const levels[] = {
        [RPC_LOG_DEBUG] = "debug",     [RPC_LOG_INFO] = "info",   [RPC_LOG_NOTICE] = "notice",
        [RPC_LOG_WARNING] = "warning", [RPC_LOG_ERROR] = "error",
    };
    char when[32];
    const time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
    fprintf(stderr, "%s %s: mosquitto-rpc: %s\n", when, levels[level], line);
}

static void client_host_write_log(void *context, rpc_log_level level, const char *line)
{
    (void)context;
    client_host_log(level, line);
}

static void client_host_wake(void *context)
{
    const struct client_host *host = context;
    const uint64_t one = 1;
    const ssize_t written = write(host->wake, &one, sizeof one);
    (void)written; /* it fails only if the loop is to be woken already */
}

static void client_host_watch_messages(void *context, bool more)
{
    (void)context, (void)more; /* a client is told of no other clients */
}

static bool client_host_topic_matches(void *context, const char *filter, const char *topic)
{
    (void)context;
    bool result = false;
    return mosquitto_topic_matches_sub(filter, topic, &result) == MOSQ_ERR_SUCCESS && result;
}

static double client_host_wall_clock(void *context)
{
    (void)context;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

uint64_t client_host_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static uint64_t client_host_monotonic_clock(void *context)
{
    (void)context;
    return client_host_now();
}

struct host client_host_functions(struct client_host *host)
{
    return (struct host){
        .context = host,
        .knows_caller = host->knows_caller,
        .dispatched = host->dispatched,
        .allocate = client_host_allocate,
        .release = client_host_release,
        .publish = client_host_publish_as_set,
        .handled = client_host_handled,
        .log = client_host_write_log,
        .user_property = client_host_read_user_property,
        .wake = client_host_wake,
        .watch_messages = client_host_watch_messages,
        .topic_matches = client_host_topic_matches,
        .wall_clock = client_host_wall_clock,
        .monotonic_clock = client_host_monotonic_clock,
    };
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * bench_bare.so: the least that a plugin can do to answer a call.
 *
 * It parses, prints and publishes, and has none of the product's features: no registry, no field
 * tables, no checks of topics, no limits, no guards, no other way to reply than the Response Topic.
 * The benchmark runs it beside the product, which tells what those features cost. Not for use.
 *
 * It answers two topics alike, but that it announces, as the product does, a call of report and not one of
 * ping.
 */
#include "work.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))
#define REPORT_TOPIC "rpc/call/report"
#define PING_TOPIC "rpc/call/ping"

/* Publishes a copy of text; client NULL: to whoever subscribed. The properties are consumed. */
static void publish(const char *client, const char *topic, const char *text, int qos,
                    mosquitto_property *properties)
{
    const size_t size = strlen(text);
    void *payload = mosquitto_malloc(size);
    if (payload) {
        memcpy(payload, text, size);
        if (!mosquitto_broker_publish(client, topic, (int)size, payload, qos, false, properties))
            return;
    }
    mosquitto_free(payload);
    mosquitto_property_free_all(&properties);
}

static void send_reply(const struct mosquitto_evt_message *call, const char *text)
{
    char *topic = NULL;
    if (!mosquitto_property_read_string(call->properties, MQTT_PROP_RESPONSE_TOPIC, &topic, false))
        return;
    publish(mosquitto_client_id(call->client), topic, text, call->qos, work_properties(call->properties));
    free(topic);
}

static int on_message(int event, void *event_data, void *userdata)
{
    struct mosquitto_evt_message *call = event_data;
    const int *qos = userdata;
    (void)event;
    const bool is_report = strcmp(call->topic, REPORT_TOPIC) == 0;
    if (!is_report && strcmp(call->topic, PING_TOPIC) != 0)
        return MOSQ_ERR_SUCCESS;
    char *text = work_answer(call->payload, call->payloadlen);
    if (text) {
        send_reply(call, text);
        if (is_report)
            publish(NULL, WORK_EVENT_TOPIC, text, *qos, NULL);
        cJSON_free(text);
    }
    memcpy(call->topic, "$\x01", 3);
    call->retain = false;
    return MOSQ_ERR_SUCCESS;
}

/* What is to be remembered until the end: the plugin's identifier, and the QoS of events. */
struct bare {
    mosquitto_plugin_id_t *id;
    int qos;
};

EXPORTED int mosquitto_plugin_version(int supported_version_count, const int *supported_versions)
{
    (void)supported_version_count;
    (void)supported_versions;
    return 5;
}

EXPORTED int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata,
                                   struct mosquitto_opt *options, int option_count)
{
    struct bare *bare = calloc(1, sizeof(*bare));
    if (!bare)
        return MOSQ_ERR_NOMEM;
    bare->id = identifier;
    bare->qos = 2;
    for (int i = 0; i < option_count; i++) {
        if (strcmp(options[i].key, "qos") == 0)
            bare->qos = atoi(options[i].value);
    }
    const int rc = mosquitto_callback_register(identifier, MOSQ_EVT_MESSAGE, on_message, NULL, &bare->qos);
    if (rc) {
        free(bare);
        return rc;
    }
    *userdata = bare;
    return MOSQ_ERR_SUCCESS;
}

EXPORTED int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count)
{
    struct bare *bare = userdata;
    (void)options;
    (void)option_count;
    if (bare)
        mosquitto_callback_unregister(bare->id, MOSQ_EVT_MESSAGE, on_message, NULL);
    free(bare);
    return MOSQ_ERR_SUCCESS;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The properties of MQTT 5: see properties.h. */
#include "properties.h"

#include <stdio.h>
#include <string.h>

/* Of an empty property 2.1.2 returns success without a value, 2.0 an allocated "". */
void properties_read(struct host_message *message, const mosquitto_property *properties,
                     char **response_topic, void **correlation)
{
    uint16_t size = 0;
    *response_topic = NULL;
    *correlation = NULL;
    message->properties =
        mosquitto_property_read_string_pair(properties, MQTT_PROP_USER_PROPERTY, NULL, NULL, false);
    if (mosquitto_property_read_string(properties, MQTT_PROP_RESPONSE_TOPIC, response_topic, false))
        message->response_topic = *response_topic ? *response_topic : "";
    if (mosquitto_property_read_binary(properties, MQTT_PROP_CORRELATION_DATA, correlation, &size, false)) {
        message->correlation = *correlation ? *correlation : "";
        message->correlation_size = *correlation ? size : 0;
    }
}

bool properties_find(const mosquitto_property *properties, const char *name, char *value, size_t size,
                     void (*release)(void *memory))
{
    const mosquitto_property *property = properties;
    bool taken = false;
    for (bool skip = false; property && !taken; skip = true) {
        char *key = NULL, *found = NULL;
        property = mosquitto_property_read_string_pair(property, MQTT_PROP_USER_PROPERTY, &key, &found, skip);
        taken = property && key && strcmp(key, name) == 0;
        if (taken)
            snprintf(value, size, "%s", found ? found : "");
        release(key);
        release(found);
    }
    return taken;
}

int properties_add(mosquitto_property **properties, const struct host_publication *message)
{
    int rc = MOSQ_ERR_SUCCESS;
    if (message->content_type)
        rc = mosquitto_property_add_byte(properties, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, 1);
    if (rc == MOSQ_ERR_SUCCESS && message->content_type)
        rc = mosquitto_property_add_string(properties, MQTT_PROP_CONTENT_TYPE, message->content_type);
    if (rc == MOSQ_ERR_SUCCESS && message->response_topic)
        rc = mosquitto_property_add_string(properties, MQTT_PROP_RESPONSE_TOPIC, message->response_topic);
    if (rc == MOSQ_ERR_SUCCESS && message->correlation)
        rc = mosquitto_property_add_binary(properties, MQTT_PROP_CORRELATION_DATA, message->correlation,
                                           (uint16_t)message->correlation_size);
    if (rc == MOSQ_ERR_SUCCESS && message->status)
        rc = mosquitto_property_add_string_pair(properties, MQTT_PROP_USER_PROPERTY, "status",
                                                message->status);
    if (rc == MOSQ_ERR_SUCCESS && message->repeated)
        rc = mosquitto_property_add_string_pair(properties, MQTT_PROP_USER_PROPERTY, "repeated", "1");
    if (rc == MOSQ_ERR_SUCCESS && message->unchanged)
        rc = mosquitto_property_add_string_pair(properties, MQTT_PROP_USER_PROPERTY, "unchanged", "1");
    for (size_t i = 0; rc == MOSQ_ERR_SUCCESS && i < message->property_count; i++)
        rc = mosquitto_property_add_string_pair(properties, MQTT_PROP_USER_PROPERTY,
                                                message->properties[i].name, message->properties[i].value);
    return rc;
}

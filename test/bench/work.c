// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* One call's worth of work, written the way cJSON's own documentation shows it: see work.h. */
#include "work.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

static cJSON *make_result(const char *sensor_id, double value)
{
    cJSON *result = cJSON_CreateObject();
    if (cJSON_AddStringToObject(result, "sensor_id", sensor_id) &&
        cJSON_AddNumberToObject(result, "value", value) && cJSON_AddTrueToObject(result, "ok"))
        return result;
    cJSON_Delete(result);
    return NULL;
}

static cJSON *handle(const cJSON *params)
{
    const cJSON *sensor_id = cJSON_GetObjectItemCaseSensitive(params, "sensor_id");
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(params, "value");
    if (!cJSON_IsString(sensor_id) || !cJSON_IsNumber(value))
        return NULL;
    return make_result(sensor_id->valuestring, value->valuedouble);
}

char *work_answer(const void *payload, size_t size)
{
    cJSON *params = size ? cJSON_ParseWithLength(payload, size) : NULL;
    cJSON *result = handle(params);
    char *text = result ? cJSON_PrintUnformatted(result) : NULL;
    cJSON_Delete(result);
    cJSON_Delete(params);
    return text;
}

mosquitto_property *work_properties(const mosquitto_property *call)
{
    mosquitto_property *reply = NULL;
    void *data = NULL;
    uint16_t size = 0;
    if (mosquitto_property_read_binary(call, MQTT_PROP_CORRELATION_DATA, &data, &size, false))
        mosquitto_property_add_binary(&reply, MQTT_PROP_CORRELATION_DATA, data, size);
    free(data);
    return reply;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What a program does with the generated client: every kind of call, error and event. PORT */
#include "home.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) ((condition) ? (void)0 : use_fail(__LINE__, #condition))

static void use_fail(int line, const char *condition)
{
    fprintf(stderr, "use.c:%d: %s\n", line, condition);
    exit(1);
}

/* ---- Sensors ---- */

static void use_on_sensor(void *user, const struct rpc_client_event *event)
{
    struct home_get_sensor_result reading;
    struct rpc_typed_memory memory;
    CHECK(event->status == RPC_CLIENT_OK);
    CHECK(home_get_sensor_result_read(event->data, &reading, &memory));
    CHECK(strcmp(reading.sensor_id, "roof") == 0 && reading.value == 21.5);
    CHECK(reading.unit == HOME_GET_SENSOR_RESULT_UNIT_C);
    rpc_typed_free(&memory);
    *(int *)user += 1;
}

static void use_update(struct rpc_client *client)
{
    const struct home_update_sensor_params params = {
        .sensor_id = "roof", .value = 21.5, .unit = HOME_UPDATE_SENSOR_PARAMS_UNIT_C};
    const struct rpc_client_request options = {.timeout_ms = 20000};
    struct home_update_sensor_result result;
    struct rpc_typed_reply reply;
    CHECK(home_update_sensor(client, &params, &options, &result, &reply) == RPC_CLIENT_OK);
    CHECK(result.ok && result.value == 21.5 && strcmp(result.sensor_id, "roof") == 0);
    rpc_typed_clear(&reply);
}

static void use_unknown_sensor(struct rpc_client *client)
{
    const struct home_get_sensor_params params = {.sensor_id = "cellar"};
    struct home_get_sensor_result result;
    struct home_unknown_sensor_error error;
    struct rpc_typed_memory memory;
    struct rpc_typed_reply reply;
    CHECK(home_get_sensor(client, &params, NULL, &result, &reply) == RPC_CLIENT_ERROR);
    CHECK(strcmp(reply.reply.err, "unknown_sensor") == 0 && !result.sensor_id);
    CHECK(home_unknown_sensor_error_read(reply.reply.data, &error, &memory));
    CHECK(strcmp(error.method, "getSensor") == 0);
    rpc_typed_free(&memory);
    rpc_typed_clear(&reply);
}

static void use_sensors(struct rpc_client *client)
{
    unsigned long id;
    int events = 0;
    CHECK(home_subscribe_sensor(client, "roof", use_on_sensor, &events, &id) == RPC_CLIENT_OK);
    CHECK(home_subscribe_sensor(client, "a/b", use_on_sensor, &events, &id) == RPC_CLIENT_INVALID);
    use_update(client);
    while (!events)
        rpc_client_run(client, 1000);
    use_unknown_sensor(client);
    struct home_list_sensors_result page;
    struct rpc_typed_reply reply;
    const struct home_list_sensors_params params = {.has_limit = true, .limit = 1};
    CHECK(home_list_sensors(client, &params, NULL, &page, &reply) == RPC_CLIENT_OK);
    CHECK(page.sensors_count == 1 && strcmp(page.sensors[0].sensor_id, "roof") == 0 && !page.next);
    rpc_typed_clear(&reply);
}

/* ---- A lamp ---- */

struct blinking {
    int64_t done, times;
    bool has_ended;
};

static void use_on_progress(void *user, const struct rpc_client_reply *reply)
{
    struct home_lamp_blink_progress progress;
    struct rpc_typed_memory memory;
    CHECK(home_lamp_blink_progress_read(reply->data, &progress, &memory));
    ((struct blinking *)user)->done = progress.done;
    rpc_typed_free(&memory);
}

static void use_on_blinked(void *user, const struct rpc_client_reply *reply)
{
    struct blinking *blinking = user;
    struct home_lamp_blink_result result;
    struct rpc_typed_memory memory;
    CHECK(reply->status == RPC_CLIENT_OK && home_lamp_blink_result_read(reply->data, &result, &memory));
    blinking->times = result.times;
    blinking->has_ended = true;
    rpc_typed_free(&memory);
}

static void use_lamp(struct rpc_client *client)
{
    struct blinking blinking = {0};
    const struct home_lamp_light_params light = {.on = true, .has_brightness = true, .brightness = 30};
    const struct home_lamp_blink_params blink = {.times = 2};
    const struct rpc_client_request options = {
        .on_reply = use_on_blinked, .on_progress = use_on_progress, .user = &blinking};
    struct home_lamp_light_result lit;
    struct rpc_typed_reply reply;
    char id[RPC_CLIENT_ID_SIZE];
    CHECK(home_lamp_light(client, "lamp1", &light, NULL, &lit, &reply) == RPC_CLIENT_OK);
    CHECK(lit.on && lit.brightness == 30);
    rpc_typed_clear(&reply);
    CHECK(home_lamp_blink_send(client, "lamp1", &blink, &options, id) == RPC_CLIENT_OK);
    while (!blinking.has_ended)
        rpc_client_run(client, 1000);
    CHECK(blinking.done == 1 && blinking.times == 2);
    CHECK(home_lamp_light(client, "nobody", &light, NULL, &lit, &reply) == RPC_CLIENT_ERROR);
    struct home_device_unknown_error error;
    struct rpc_typed_memory memory;
    CHECK(home_device_unknown_error_read(reply.reply.data, &error, &memory) &&
          strcmp(error.device, "nobody") == 0);
    rpc_typed_free(&memory);
    rpc_typed_clear(&reply);
}

/* ---- All shapes ---- */

static void use_nulls(struct rpc_client *client)
{
    const struct home_shapes_null_params nothing = {.has_truth = false};
    struct home_shapes_null_result result;
    struct rpc_typed_reply reply;
    CHECK(home_shapes_null(client, &nothing, NULL, &result, &reply) == RPC_CLIENT_OK);
    CHECK(!result.has_truth && !result.has_small && !result.text && !result.size && !result.inner &&
          !result.list);
    CHECK(cJSON_IsNull(result.any) && !result.has_number && !result.inners);
    rpc_typed_clear(&reply);
}

static void use_all(struct rpc_client *client)
{
    const struct home_shapes_inner inner = {.has_number = true, .number = 7};
    const enum home_shapes_null_params_list list[] = {HOME_SHAPES_NULL_PARAMS_LIST_LARGE,
                                                      HOME_SHAPES_NULL_PARAMS_LIST_HUGE};
    cJSON *any = cJSON_Parse("{\"a\":[1]}");
    const struct home_shapes_null_params params = {.has_truth = true,
                                                   .truth = true,
                                                   .has_small = true,
                                                   .small = -3,
                                                   .has_large = true,
                                                   .large = INT64_C(-4503599627370497),
                                                   .text = "abc",
                                                   .size = HOME_SHAPES_NULL_PARAMS_SIZE_HUGE,
                                                   .any = any,
                                                   .inner = &inner,
                                                   .list = list,
                                                   .list_count = 2,
                                                   .has_number = true,
                                                   .number = 0.5,
                                                   .inners = &inner,
                                                   .inners_count = 1};
    struct home_shapes_null_result result;
    struct rpc_typed_reply reply;
    CHECK(home_shapes_null(client, &params, NULL, &result, &reply) == RPC_CLIENT_OK);
    CHECK(result.has_truth && result.truth && result.small == -3 && result.large == params.large);
    CHECK(strcmp(result.text, "abc") == 0 && result.size == HOME_SHAPES_NULL_RESULT_SIZE_HUGE);
    CHECK(result.inner && result.inner->number == 7 && result.number == 0.5);
    CHECK(result.list_count == 2 && result.list[1] == HOME_SHAPES_NULL_RESULT_LIST_HUGE);
    CHECK(result.inners_count == 1 && result.inners[0].number == 7 && cJSON_Compare(result.any, any, true));
    rpc_typed_clear(&reply);
    cJSON_Delete(any);
}

static void use_values(struct rpc_client *client)
{
    const struct home_shapes_inner inners[] = {{.has_number = true, .number = 7}, {.has_number = false}};
    const struct home_shapes_value_params params = {.value = inners, .value_count = 2};
    struct home_shapes_value_result result;
    struct home_room_box_box_size_result size;
    struct home_probe_bytes_result bytes;
    struct rpc_typed_reply reply;
    CHECK(home_shapes_value(client, &params, NULL, &result, &reply) == RPC_CLIENT_OK);
    CHECK(result.value_count == 2 && result.value[0].number == 7);
    rpc_typed_clear(&reply);
    CHECK(home_probe_bytes(client, "\0\1\2", 3, NULL, &bytes, &reply) == RPC_CLIENT_OK && bytes.size == 3);
    rpc_typed_clear(&reply);
    CHECK(home_room_box_box_size(client, "attic", "b1", "12345", 5, NULL, &size, &reply) == RPC_CLIENT_OK);
    CHECK(size.bytes == 5 && strcmp(size.box, "b1") == 0);
    rpc_typed_clear(&reply);
    CHECK(home_room_box_box_size(client, "attic", "b/1", "", 0, NULL, &size, &reply) == RPC_CLIENT_INVALID);
    rpc_typed_clear(&reply);
}

int main(int count, char **words)
{
    struct rpc_client_options options = RPC_CLIENT_DEFAULTS;
    struct rpc_client *client = NULL;
    options.host = "127.0.0.1";
    options.port = count == 2 ? atoi(words[1]) : -1;
    CHECK(rpc_client_create(&client, &options) == RPC_CLIENT_OK);
    use_sensors(client);
    use_lamp(client);
    use_nulls(client);
    use_all(client);
    use_values(client);
    CHECK(rpc_client_pending(client) == 0);
    rpc_client_destroy(client);
    puts("all is well");
    return 0;
}

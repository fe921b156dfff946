// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * bench_responder: what people use today instead of a plugin.
 *
 * An ordinary client on libmosquitto that subscribes to the calls of report, answers each on its
 * Response Topic with its Correlation Data, and announces the result. It runs on the library's own
 * loop, as its documentation advises. It is given the same favours as the benchmark's client
 * (TCP_NODELAY, a receive maximum that never makes a call wait), so that it loses no time that is not
 * the design's own. Prints "ready" when its subscription stands; a signal ends it.
 *
 * With a name it is a device of that name: it subscribes to the topic of its commands, says hello, and
 * answers each command on its Response Topic. With the plugin that is the device's own topic, and else the
 * one that the application has chosen: it is the same device in both cases. It announces nothing.
 */
#include "work.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_INFLIGHT = 1000 };

#define RESULT "{\"ok\":true}"

struct responder {
    const char *topic;
    int qos;
    const char *device; /* its name; NULL: it is none */
    bool is_ready;      /* the device, which has said so */
};

static void say_ready(void)
{
    puts("ready");
    fflush(stdout);
}

static void on_connect(struct mosquitto *mosq, void *context, int reason)
{
    const struct responder *self = context;
    if (reason) {
        fprintf(stderr, "bench_responder: the broker refused with %d\n", reason);
        exit(EXIT_FAILURE);
    }
    mosquitto_subscribe(mosq, NULL, self->topic, self->qos);
}

static void on_subscribe(struct mosquitto *mosq, void *context, int mid, int count, const int *granted)
{
    const struct responder *self = context;
    (void)mosq;
    (void)mid;
    if (count != 1 || granted[0] != self->qos) {
        fprintf(stderr, "bench_responder: the subscription was refused\n");
        exit(EXIT_FAILURE);
    }
    if (!self->device) {
        say_ready();
        return;
    }
    char topic[128];
    snprintf(topic, sizeof(topic), "cmd/%s/hello", self->device);
    mosquitto_publish(mosq, NULL, topic, 0, NULL, 1, false);
}

/* The hello of a device has been received, or a reply. */
static void on_publish(struct mosquitto *mosq, void *context, int mid)
{
    struct responder *self = context;
    (void)mosq, (void)mid;
    if (!self->is_ready)
        say_ready();
    self->is_ready = true;
}

static void send_reply(struct mosquitto *mosq, const mosquitto_property *call, const char *text, int qos)
{
    char *topic = NULL;
    if (!mosquitto_property_read_string(call, MQTT_PROP_RESPONSE_TOPIC, &topic, false))
        return;
    mosquitto_property *properties = work_properties(call);
    mosquitto_publish_v5(mosq, NULL, topic, (int)strlen(text), text, qos, false, properties);
    mosquitto_property_free_all(&properties);
    free(topic);
}

static void on_message(struct mosquitto *mosq, void *context, const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
    const struct responder *self = context;
    if (self->device) {
        send_reply(mosq, properties, RESULT, message->qos);
        return;
    }
    char *text = work_answer(message->payload, (size_t)message->payloadlen);
    if (!text)
        return;
    send_reply(mosq, properties, text, message->qos);
    mosquitto_publish(mosq, NULL, WORK_EVENT_TOPIC, (int)strlen(text), text, self->qos, false);
    cJSON_free(text);
}

static struct mosquitto *make_client(struct responder *self)
{
    struct mosquitto *mosq = mosquitto_new(self->device ? self->device : "bench-responder", true, self);
    if (!mosq)
        return NULL;
    mosquitto_int_option(mosq, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_int_option(mosq, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_int_option(mosq, MOSQ_OPT_RECEIVE_MAXIMUM, MAX_INFLIGHT);
    mosquitto_int_option(mosq, MOSQ_OPT_SEND_MAXIMUM, MAX_INFLIGHT);
    mosquitto_connect_callback_set(mosq, on_connect);
    mosquitto_subscribe_callback_set(mosq, on_subscribe);
    mosquitto_message_v5_callback_set(mosq, on_message);
    if (self->device)
        mosquitto_publish_callback_set(mosq, on_publish);
    return mosq;
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5) {
        fprintf(stderr, "usage: bench_responder PORT TOPIC QOS [DEVICE]\n");
        return EXIT_FAILURE;
    }
    struct responder self = {.topic = argv[2], .qos = atoi(argv[3]), .device = argv[4]};
    mosquitto_lib_init();
    struct mosquitto *mosq = make_client(&self);
    int rc = mosq ? mosquitto_connect(mosq, "127.0.0.1", atoi(argv[1]), 60) : MOSQ_ERR_NOMEM;
    if (!rc)
        rc = mosquitto_loop_forever(mosq, -1, 1);
    fprintf(stderr, "bench_responder: %s\n", mosquitto_strerror(rc));
    mosquitto_destroy(mosq);
    mosquitto_lib_cleanup();
    return EXIT_FAILURE;
}

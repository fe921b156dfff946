// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// A lamp that carries out the commands light, blink and getStatus: libmosquitto and cJSON, one thread.
//
//     lamp [HOST [PORT [NAME [USER]]]]     the password is in the environment: MQTT_PASSWORD
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>
#include <mosquitto.h>

enum { HEARTBEAT = 2000, RETRY = 2000, PAUSE = 20 }; // ms

#define HELLO "{\"kind\":\"lamp\",\"once\":true,\"commands\":[\"light\",\"blink\",\"getStatus\"]}"

struct lamp {
    struct mosquitto *client;
    char requests[160], answers[160], hello[160], alive[160]; // topics
    bool on;
    int brightness, blinks, phase, interval; // blinks: how often it is to blink; phase: half blinks done
    long long next_phase, next_beat;
    char *last_id, *answer; // of the last command, as JSON: NULL if it has no id; what was last said about it
    bool connected;
};

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void publish(struct lamp *lamp, const char *topic, const char *text, bool retain)
{
    mosquitto_publish(lamp->client, NULL, topic, (int)strlen(text), text, 1, retain);
}

static void show(const struct lamp *lamp, bool lit)
{
    printf("lamp %d\n", lit ? lamp->brightness : 0);
}

// Answers the last command with {"id":…,member:json}, and remembers the answer. Without an id there is none.
static void respond(struct lamp *lamp, const char *member, const char *json)
{
    free(lamp->answer);
    lamp->answer = NULL;
    if (!lamp->last_id)
        return;
    size_t size = strlen(lamp->last_id) + strlen(member) + strlen(json) + sizeof "{\"id\":,\"\":}";
    lamp->answer = malloc(size);
    if (!lamp->answer)
        return;
    snprintf(lamp->answer, size, "{\"id\":%s,\"%s\":%s}", lamp->last_id, member, json);
    publish(lamp, lamp->answers, lamp->answer, false);
}

static void fail(struct lamp *lamp, const char *err, const char *msg)
{
    char json[128];
    snprintf(json, sizeof json, "{\"err\":\"%s\",\"msg\":\"%s\"}", err, msg);
    respond(lamp, "error", json);
}

static void report(struct lamp *lamp)
{
    char json[64];
    snprintf(json, sizeof json, "{\"on\":%s,\"brightness\":%d}", lamp->on ? "true" : "false",
             lamp->brightness);
    respond(lamp, "result", json);
}

// A parameter that is a whole number; -1: it is something else.
static int number(const cJSON *params, const char *name, int absent)
{
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(params, name);
    if (!given)
        return absent;
    bool is_whole = cJSON_IsNumber(given) && given->valuedouble >= 0 && given->valuedouble <= INT_MAX &&
                    given->valueint == given->valuedouble;
    return is_whole ? given->valueint : -1;
}

static void light(struct lamp *lamp, const cJSON *params)
{
    const cJSON *on = cJSON_GetObjectItemCaseSensitive(params, "on");
    int brightness = number(params, "brightness", 100);
    if (!cJSON_IsBool(on) || brightness < 0 || brightness > 100) {
        fail(lamp, "rejected", "light takes on (true or false) and brightness (0 to 100)");
        return;
    }
    lamp->on = cJSON_IsTrue(on);
    lamp->brightness = brightness;
    show(lamp, lamp->on);
    report(lamp);
}

static void blink(struct lamp *lamp, const cJSON *params)
{
    int times = number(params, "times", 0), interval = number(params, "interval", 500);
    if (times < 1 || times > 100 || interval < 20 || interval > 10000) {
        fail(lamp, "rejected", "blink takes times (1 to 100) and interval (20 to 10000 ms)");
        return;
    }
    lamp->blinks = times;
    lamp->interval = interval;
    lamp->phase = 0;
    lamp->next_phase = now_ms();
}

// One step of blinking: on, or off.
static void step(struct lamp *lamp)
{
    char json[64];
    if (lamp->blinks == 0 || now_ms() < lamp->next_phase)
        return;
    lamp->next_phase = now_ms() + lamp->interval / 2;
    show(lamp, ++lamp->phase % 2 == 1);
    if (lamp->phase % 2 == 1)
        return;
    if (lamp->phase < 2 * lamp->blinks) {
        snprintf(json, sizeof json, "{\"done\":%d,\"times\":%d}", lamp->phase / 2, lamp->blinks);
        respond(lamp, "progress", json);
        return;
    }
    snprintf(json, sizeof json, "{\"times\":%d}", lamp->blinks);
    lamp->blinks = 0;
    show(lamp, lamp->on);
    respond(lamp, "result", json);
}

// There is memory for the answer to one command, so a newer command ends the blinking.
static void stop_blinking(struct lamp *lamp)
{
    if (lamp->blinks == 0)
        return;
    lamp->blinks = 0;
    show(lamp, lamp->on);
    fail(lamp, "interrupted", "a newer command came");
}

static void carry_out(struct lamp *lamp, const char *command, const cJSON *params)
{
    if (command && strcmp(command, "light") == 0)
        light(lamp, params);
    else if (command && strcmp(command, "blink") == 0)
        blink(lamp, params);
    else if (command && strcmp(command, "getStatus") == 0)
        report(lamp);
    else
        fail(lamp, "rejected", "the commands are light, blink and getStatus");
}

static void on_message(struct mosquitto *client, void *data, const struct mosquitto_message *message)
{
    (void)client;
    struct lamp *lamp = data;
    cJSON *command = cJSON_ParseWithLength(message->payload, (size_t)message->payloadlen);
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(command, "id");
    char *id = given && !cJSON_IsNull(given) ? cJSON_PrintUnformatted(given) : NULL;
    if (id && lamp->last_id && strcmp(id, lamp->last_id) == 0) {
        if (lamp->answer)
            publish(lamp, lamp->answers, lamp->answer, false); // once more: the same answer
        free(id);
    } else if (command) {
        stop_blinking(lamp);
        free(lamp->last_id);
        free(lamp->answer);
        lamp->last_id = id;
        lamp->answer = NULL;
        carry_out(lamp, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(command, "cmd")),
                  cJSON_GetObjectItemCaseSensitive(command, "params"));
    }
    cJSON_Delete(command);
}

static void on_connect(struct mosquitto *client, void *data, int code)
{
    struct lamp *lamp = data;
    lamp->connected = code == 0;
    if (code != 0) {
        fprintf(stderr, "refused: %s\n", mosquitto_connack_string(code));
        return;
    }
    mosquitto_subscribe(client, NULL, lamp->requests, 1); // first: hello means that the lamp is listening
    publish(lamp, lamp->hello, HELLO, false);
    lamp->next_beat = 0;
}

static void on_disconnect(struct mosquitto *client, void *data, int code)
{
    (void)client;
    (void)code;
    ((struct lamp *)data)->connected = false;
}

static void beat(struct lamp *lamp)
{
    if (!lamp->connected || now_ms() < lamp->next_beat)
        return;
    lamp->next_beat = now_ms() + HEARTBEAT;
    publish(lamp, lamp->alive, "1", true);
}

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

// Runs for ever: a connection that was lost is tried again.
static void run(struct lamp *lamp, const char *host, int port)
{
    long long next_try = 0;
    for (;; step(lamp), beat(lamp)) {
        if (mosquitto_loop(lamp->client, PAUSE, 1) == MOSQ_ERR_SUCCESS)
            continue;
        if (now_ms() >= next_try) {
            mosquitto_connect(lamp->client, host, port, 15);
            next_try = now_ms() + RETRY;
        }
        pause_ms(PAUSE);
    }
}

static void name_topics(struct lamp *lamp, const char *name)
{
    snprintf(lamp->requests, sizeof lamp->requests, "cmd/%s/req", name);
    snprintf(lamp->answers, sizeof lamp->answers, "cmd/%s/resp", name);
    snprintf(lamp->hello, sizeof lamp->hello, "cmd/%s/hello", name);
    snprintf(lamp->alive, sizeof lamp->alive, "alive/%s", name);
}

int main(int argc, char **argv)
{
    const char *host = argc > 1 ? argv[1] : "localhost", *name = argc > 3 ? argv[3] : "lamp1";
    struct lamp lamp = {.brightness = 100};
    if (strlen(name) > 128) {
        fprintf(stderr, "a device's name has at most 128 bytes\n");
        return EXIT_FAILURE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    name_topics(&lamp, name);
    mosquitto_lib_init();
    lamp.client = mosquitto_new(name, true, &lamp);
    if (!lamp.client) {
        perror("mosquitto_new");
        return EXIT_FAILURE;
    }
    if (argc > 4)
        mosquitto_username_pw_set(lamp.client, argv[4], getenv("MQTT_PASSWORD"));
    mosquitto_connect_callback_set(lamp.client, on_connect);
    mosquitto_disconnect_callback_set(lamp.client, on_disconnect);
    mosquitto_message_callback_set(lamp.client, on_message);
    mosquitto_will_set(lamp.client, lamp.alive, 1, "0", 1, true);
    run(&lamp, host, argc > 2 ? atoi(argv[2]) : 1883);
}

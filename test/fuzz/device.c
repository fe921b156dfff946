// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The module device (test/unit/plant.h): what devices and gateways say, whatever it is, while an application
 * calls, and devices come and go. Each line of the input is a step:
 *
 *     o NUMBER                  an option of the table below; only before all other steps
 *     c METHOD ID PAYLOAD       the application calls a method, with this Correlation Data
 *     p TOPIC ID PAYLOAD        likewise, it publishes to a topic
 *     d DEVICE WHAT PAYLOAD     the device publishes to cmd/{DEVICE}/{WHAT}
 *     g CLIENT TOPIC PAYLOAD    a client publishes to any topic
 *     u NAME VALUE              a user property of the application's next message
 *     l DEVICE                  the device's connection ends
 *     h                         the application's connection ends
 *     t MS                      time passes
 *     m BITS                    the host has no memory for payloads (1), sends nothing (2)
 *     r                         the broker ends and starts again
 *
 * In a payload @ stands for the id of the command that was sent to the device last, or to any device. After
 * each step the commands of all devices are sound, and the fake host's rules hold.
 */
#include "fuzz.h"
#include "fuzz_pool.h"

#include "call/engine_parts.h"
#include "device/module.h"
#include "plant.h"
#include "sound.h"
#include "sound_devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 200, RESTARTS = 2, PAYLOAD = 4096, TOPIC = 300, NAME = 64, DEVICES = 8 };

static const char *const options[][2] = {{"device_queue", "2"},
                                         {"device_grace", "300ms"},
                                         {"device_window", "3"},
                                         {"device_gateways", "gw"},
                                         {"device_groups", "all=gate,lamp1,pump some=gate"},
                                         {"device_max", "2"},
                                         {"device_identity", "user"},
                                         {"device_managed", "*"},
                                         {"device_call", "true"},
                                         {"device_known_only", "false"},
                                         {"device_heartbeat", "1s"},
                                         {"device_delivery", "client"},
                                         {"device_undeclared", "false"},
                                         {"duplicate_window", "60s"},
                                         {"device_guard_requests", "true"}};

enum { GIVEN_MAX = 5 }; /* of them, in one input */

static char *at; /* the rest of the input */
static unsigned properties, restarts;

/* The last command of each device, the newest first. */
static struct sent {
    char device[NAME], id[PLANT_ID];
} sent[DEVICES];

static void learn_id(const struct fake_message *message)
{
    const size_t size = strlen(message->topic);
    const char *id = strstr(message->text, "\"id\":\""), *level = strchr(message->topic, '/');
    if (!id || !level || size < 4 || strcmp(message->topic + size - 4, "/req") != 0)
        return;
    memmove(&sent[1], &sent[0], sizeof sent - sizeof sent[0]);
    snprintf(sent[0].device, sizeof sent[0].device, "%.*s", (int)strcspn(level + 1, "/"), level + 1);
    snprintf(sent[0].id, sizeof sent[0].id, "%.*s", (int)strcspn(id + 6, "\""), id + 6);
}

static const char *find_id(const char *device)
{
    for (size_t i = 0; i < DEVICES; i++) {
        if (strcmp(sent[i].device, device) == 0)
            return sent[i].id;
    }
    return sent[0].id;
}

static void check(void)
{
    const struct fake_box *others = &plant.host.others;
    for (size_t i = 0; i < others->count && i < FAKE_KEPT; i++)
        learn_id(&others->kept[i]);
    plant_forget();
    if (plant.host.fault)
        fuzz_fail("the fake host", 0, plant.host.fault);
    sound_tables(plant.engine);
    sound_tasks(plant.engine);
    sound_devices(plant.engine->registry.instances->state);
}

/* The payload of a line, with the id of the device's last command in it. */
static const char *read_payload(const char *device)
{
    static char payload[PAYLOAD];
    size_t used = 0;
    for (; *at && used + PLANT_ID < sizeof payload; at++) {
        if (*at == '@')
            used += (size_t)snprintf(payload + used, sizeof payload - used, "%s", find_id(device));
        else
            payload[used++] = *at;
    }
    payload[used] = '\0';
    return payload;
}

static void publish(const char *topic)
{
    const char *identity = fuzz_optional(&at);
    if (!fuzz_is_mqtt(topic, NULL, ""))
        return;
    plant_publish(topic, read_payload(""), RIG_REPLY, identity);
    properties = 0;
}

static void call(void)
{
    char topic[TOPIC];
    snprintf(topic, sizeof topic, "rpc/call/%s", fuzz_word(&at));
    publish(topic);
}

static void say(void)
{
    const char *device = fuzz_word(&at), *what = fuzz_word(&at);
    if (!fuzz_is_mqtt(device, what, device))
        return;
    plant_say(device, what, read_payload(device));
    plant_settle();
}

static void say_anywhere(void)
{
    const struct host_client app = plant.client;
    char device[NAME] = "";
    const char *name = fuzz_word(&at), *topic = fuzz_word(&at);
    if (!fuzz_is_mqtt(topic, NULL, name))
        return;
    if (strncmp(topic, "cmd/", 4) == 0)
        snprintf(device, sizeof device, "%.*s", (int)strcspn(topic + 4, "/"), topic + 4);
    plant.client = (struct host_client){
        .id = name, .user = name, .address = "192.0.2.9", .version = 5, .connection = plant_connection(name)};
    plant_publish(topic, read_payload(device), NULL, NULL);
    plant.client = app;
}

static void set_property(void)
{
    const char *name = fuzz_word(&at);
    if (*name && properties < PLANT_PROPERTIES) {
        plant_property(name, at);
        properties++;
    }
}

static void trouble_host(void)
{
    const unsigned bits = fuzz_number(&at, 4);
    plant.host.no_memory = bits & 1;
    plant.host.drop = bits & 2;
}

static void restart(void)
{
    if (restarts++ >= RESTARTS)
        return;
    plant.host.no_memory = plant.host.drop = false;
    plant_restart();
}

static void run_step(char step)
{
    switch (step) {
    case 'c':
        call();
        break;
    case 'p':
        publish(fuzz_word(&at));
        break;
    case 'd':
        say();
        break;
    case 'g':
        say_anywhere();
        break;
    case 'u':
        set_property();
        break;
    case 'l':
        plant_drop(fuzz_word(&at));
        plant_settle();
        break;
    case 'h':
        plant_hang_up();
        break;
    case 't':
        plant_pass(fuzz_number(&at, 100000));
        break;
    case 'm':
        trouble_host();
        break;
    case 'r':
        restart();
        break;
    default:
        break;
    }
}

static void open_plant(char **text)
{
    unsigned given = 0;
    for (unsigned count = 0; count < GIVEN_MAX && strncmp(*text, "o ", 2) == 0; count++) {
        char *line = fuzz_line(text) + 2;
        const unsigned number = fuzz_number(&line, sizeof options / sizeof *options);
        if (!(given & 1U << number))
            plant_set(options[number][0], options[number][1]);
        given |= 1U << number;
    }
    plant_open();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *rest = text;
    properties = restarts = 0;
    memset(sent, 0, sizeof sent);
    fuzz_pool_at_once(true);
    open_plant(&rest);
    for (unsigned steps = 0; steps < STEPS && (at = fuzz_line(&rest)); steps++) {
        const char *word = fuzz_word(&at);
        run_step(*word);
        check();
    }
    plant.host.no_memory = plant.host.drop = false;
    plant_close();
    free(text);
    return 0;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A random but reproducible sequence of calls, adopted messages, answers, devices that come and go, ends of
 * connections, lacks of memory, and ends of the broker. The test checks what holds at any time: the lists of
 * each device are sound, and each command is waited for by something; and in the end each call has had one
 * reply, and no command is left.
 */
#include "call/engine_parts.h"
#include "device/module.h"
#include "plant.h"
#include "sound_devices.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

enum { STEPS = 1500, SEEDS = 8, NUMBERS = 8192 };

static const char *const names[] = {"gate", "lamp1", "pump"};
static uint64_t random_state;
static int outstanding;    /* calls that have had no reply */
static bool some_are_lost; /* replies, for want of memory */
static int identity;

/* What was sent with each number of a device. */
static char sent[UNIT_ROWS(names)][NUMBERS][16];
static long last_seq[UNIT_ROWS(names)];

static unsigned pick(unsigned among)
{
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(random_state >> 33) % among;
}

#define PICK(list) (list)[pick(UNIT_ROWS(list))]

static struct device_module *module(void)
{
    return plant.engine->registry.instances->state;
}

/* ---- What holds at any time ---- */

/* What is sent has the next number, or is sent again with its own. */
static void check_request(const struct fake_message *request)
{
    char id[16] = "";
    int device = 0;
    while (strncmp(request->topic + 4, names[device], strlen(names[device])) != 0)
        device++;
    const long seq = strtol(request->properties + 4, NULL, 10);
    snprintf(id, sizeof id, "%.*s", (int)request->correlation_size, request->correlation);
    ck_assert(seq > 0 && seq < NUMBERS && *id);
    if (seq > last_seq[device]) {
        ck_assert_int_eq(seq, last_seq[device] + 1);
        snprintf(sent[device][seq], sizeof sent[device][seq], "%s", id);
        last_seq[device] = seq;
    }
    ck_assert_str_eq(sent[device][seq], id);
}

static void check(void)
{
    sound_devices(module());
    ck_assert_uint_le(plant.host.others.count, FAKE_KEPT);
    for (size_t i = 0; i < plant.host.others.count; i++) {
        const struct fake_message *message = &plant.host.others.kept[i];
        if (strstr(message->topic, "/req"))
            check_request(message);
    }
    for (size_t i = 0; i < plant.host.line_count && i < FAKE_KEPT; i++)
        ck_assert_msg(plant.host.lines[i].level != RPC_LOG_ERROR || plant.host.no_memory || some_are_lost,
                      "%s", plant.host.lines[i].text);
    outstanding -= (int)plant.host.replies.count;
    ck_assert_int_ge(outstanding, 0);
    plant_forget();
}

/* ---- What happens ---- */

static void call(void)
{
    static const char *const commands[] = {"open", "getStatus", "close"};
    static const char *const policies[] = {"fail", "wait", "queue"};
    static const char *const times[] = {"1", "700", "3000", "20000"};
    char topic[80], correlation[16];
    snprintf(topic, sizeof topic, "rpc/call/device/%s/%s", PICK(names), PICK(commands));
    snprintf(correlation, sizeof correlation, "c%d", ++identity);
    plant_property("offline", PICK(policies));
    plant_property("timeout-ms", PICK(times));
    if (pick(3) == 0)
        plant_property(pick(2) ? "ttl-ms" : "stale-ms", PICK(times));
    outstanding++;
    plant_begin(topic, "{}", RIG_REPLY, correlation);
}

static void adopt(void)
{
    char topic[40], payload[40], correlation[16];
    snprintf(topic, sizeof topic, "cmd/%s/req", PICK(names));
    snprintf(payload, sizeof payload, "{\"id\":\"a%u\",\"cmd\":\"open\"}", pick(3));
    snprintf(correlation, sizeof correlation, "c%d", ++identity);
    if (plant_begin(topic, payload, RIG_REPLY, correlation) == ENGINE_CONSUME)
        outstanding++;
}

/* The device of the name says something of one of its commands in flight. */
static void answer(void)
{
    static const char *const rests[] = {"\"result\":1}", "\"error\":{\"err\":\"jam\"}}",
                                        "\"error\":\"rejected\"}", "\"progress\":1}", "\"result\":null}"};
    const char *name = PICK(names);
    const struct device *device = devices_find(&module()->table, name);
    const struct command *command = device ? device->flying : NULL;
    char payload[200];
    if (!command || pick(8) == 0)
        command = device ? device->ended : NULL;
    snprintf(payload, sizeof payload, "{\"id\":\"%s\",%s", command ? command->id : "nothing", PICK(rests));
    plant_say(name, "resp", pick(10) ? payload : "7");
}

static void hello(void)
{
    static const char *const hellos[] = {"", "", "{\"once\":true}", "{\"ttd\":3}", "{\"kind\":\"lamp\"}"};
    plant_say(PICK(names), "hello", PICK(hellos));
}

static void drop(void)
{
    plant_drop(PICK(names));
}

static void forget(void)
{
    char payload[40];
    const int device = (int)pick(UNIT_ROWS(names));
    if (pick(8))
        return;
    snprintf(payload, sizeof payload, "{\"device\":\"%s\"}", names[device]);
    outstanding++;
    plant_begin("rpc/call/device.forget", payload, RIG_REPLY, NULL);
    check();
    last_seq[device] = 0;
}

static void cancel(void)
{
    char payload[PLANT_ID + 40];
    const struct device *device = devices_find(&module()->table, PICK(names));
    const struct command *command = device ? pick(2) ? device->waiting : device->flying : NULL;
    if (!command)
        return;
    snprintf(payload, sizeof payload, "{\"id\":\"%s\",\"device\":\"%s\"}", command->id, device->name);
    outstanding++;
    plant_begin("rpc/call/device.cancel", payload, RIG_REPLY, NULL);
}

static void pass(void)
{
    static const unsigned steps[] = {1, 40, 1100, 2500};
    const unsigned milliseconds = PICK(steps);
    for (unsigned left = milliseconds; left; left -= left < 500 ? left : 500) {
        plant_pass(left < 500 ? left : 500);
        check();
    }
}

static void tick(void)
{
    plant.host.monotonic += RIG_SECOND / 100;
    engine_tick(plant.engine);
}

static void hang_up(void)
{
    if (pick(6))
        return;
    const struct host_ending ending = {.id = plant.client.id, .connection = plant.client.connection};
    engine_client_ended(plant.engine, &ending);
    check();
    outstanding = 0;
}

static void lack_memory(void)
{
    plant.host.no_memory = pick(6) == 0;
    some_are_lost = some_are_lost || plant.host.no_memory;
}

/* Numbers that were not written yet are given again; commands in flight keep theirs. */
static void learn_numbers(int which)
{
    const struct device *device = devices_find(&module()->table, names[which]);
    const struct command *command;
    memset(sent[which], 0, sizeof sent[which]);
    last_seq[which] = device ? (long)device->seq : 0;
    DL_FOREACH((device ? device->flying : NULL), command)
    {
        snprintf(sent[which][command->seq], sizeof sent[which][0], "%s", command->id);
    }
}

static void end_broker(void)
{
    if (pick(10))
        return;
    plant.host.no_memory = false;
    if (pick(2))
        plant_reopen();
    else
        plant_restart();
    for (int i = 0; i < UNIT_ROWS(names); i++)
        learn_numbers(i);
    outstanding = 0;
}

static void (*const acts[])(void) = {call,   call,    call,        call,         adopt,     answer, answer,
                                     answer, hello,   hello,       drop,         forget,    cancel, pass,
                                     tick,   hang_up, lack_memory, plant_settle, end_broker};

static void open_on_file(void)
{
    plant_set("device_db", plant_database());
    plant_set("device_queue", "5");
    plant_set("device_grace", "300ms");
    plant_open();
}

START_TEST(storm)
{
    random_state = 77 + (unsigned)_i;
    for (int i = 0; i < STEPS; i++) {
        PICK(acts)();
        check();
    }
    plant.host.no_memory = false;
    for (int i = 0; i < UNIT_ROWS(names); i++) {
        plant_say(names[i], "hello", "");
        check();
    }
    for (int i = 0; i < 240; i++) {
        plant_pass(500);
        check();
    }
    ck_assert(outstanding == 0 || some_are_lost);
}
END_TEST

UNIT_MAIN("device_storm", open_on_file, plant_close, {storm, SEEDS})

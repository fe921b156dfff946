// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The module device on a fake host: see plant.h. */
#include "plant.h"

#include "call/engine_parts.h"
#include "call/task.h"
#include "unit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const rpc_module rpc_module_device, rpc_module_lamp;

static const char state_event[] = "rpc/event/device/command";

struct rig plant;
static struct config *config;
static struct option_line options[PLANT_OPTIONS];
static size_t option_count;
static struct property {
    const char *name, *value;
} properties[PLANT_PROPERTIES];
static size_t property_count;
static char folder[64], path[128];
static size_t events_seen, replies_seen;

/* ---- The engine ---- */

void plant_set(const char *name, const char *value)
{
    ck_assert_uint_lt(option_count, PLANT_OPTIONS);
    options[option_count++] = (struct option_line){.name = name, .value = value};
}

static bool find_property(void *context, const struct host_message *message, const char *name, char *value,
                          size_t size)
{
    const struct fake_host *fake = context;
    (void)message;
    for (size_t i = 0; i < property_count; i++) {
        if (strcmp(properties[i].name, name) != 0)
            continue;
        snprintf(value, size, "%s", properties[i].value);
        return true;
    }
    for (const rpc_property *more = fake->more; more && more->name; more++) {
        if (strcmp(more->name, name) != 0)
            continue;
        snprintf(value, size, "%s", more->value);
        return true;
    }
    return false;
}

static const void *options_of(const rpc_module *module)
{
    for (size_t i = 0; i < config->module_count; i++) {
        if (config->modules[i].module == module)
            return config->modules[i].options;
    }
    return NULL;
}

void plant_forget(void)
{
    fake_host_forget(&plant.host);
    events_seen = replies_seen = 0;
}

static void start(double wall, uint64_t monotonic)
{
    config = rig_config(options, option_count);
    rig_init(&plant);
    plant.host.wall = wall;
    plant.host.monotonic = monotonic;
    plant.host.host.user_property = find_property;
    plant.options.duplicate_window = config->engine.duplicate_window;
    plant.options.max_payload = config->engine.max_payload;
    plant.options.max_reply = config->engine.max_reply;
    plant.options.timeout_max = config->engine.timeout_max;
    rig_start(&plant);
    rig_add(&plant, &rpc_module_lamp, NULL);
    rig_add(&plant, &rpc_module_device, options_of(&rpc_module_device));
    plant.host.monotonic++; /* timers are due after their time */
    plant_forget();
}

void plant_open(void)
{
    property_count = 0;
    start(1700000000, RIG_SECOND);
}

static void stop(void)
{
    rig_close(&plant);
    config_destroy(config);
}

/* Copies a file, if there is one; removes the copy if there is none. */
static void copy_file(const char *from, const char *to)
{
    char buffer[4096];
    FILE *in = fopen(from, "rb"), *out = NULL;
    unlink(to);
    if (!in)
        return;
    out = fopen(to, "wb");
    ck_assert_ptr_nonnull(out);
    for (size_t size; (size = fread(buffer, 1, sizeof buffer, in));)
        ck_assert_uint_eq(fwrite(buffer, 1, size, out), size);
    fclose(in);
    ck_assert_int_eq(fclose(out), 0);
}

/* What is in the files now is what the next engine finds: the database, and the log that SQLite replays. */
static void save_files(bool back)
{
    static const char *const ends[] = {"", "-wal"};
    for (size_t i = 0; path[0] && i < sizeof ends / sizeof ends[0]; i++) {
        char file[sizeof path + 8], copy[sizeof path + 16];
        snprintf(file, sizeof file, "%s%s", path, ends[i]);
        snprintf(copy, sizeof copy, "%s.copy%s", path, ends[i]);
        copy_file(back ? copy : file, back ? file : copy);
    }
}

void plant_reopen(void)
{
    const double wall = plant.host.wall;
    plant_settle();
    save_files(false);
    stop();
    save_files(true);
    start(wall, RIG_SECOND);
    engine_tick(plant.engine);
}

void plant_restart(void)
{
    const double wall = plant.host.wall;
    stop();
    start(wall, RIG_SECOND);
    engine_tick(plant.engine);
}

void plant_open_with(const char *name, const char *value)
{
    stop();
    plant_set(name, value);
    plant_open();
}

static void remove_folder(void)
{
    char name[sizeof folder + 256];
    DIR *entries = folder[0] ? opendir(folder) : NULL;
    if (!entries)
        return;
    for (const struct dirent *entry; (entry = readdir(entries));) {
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        unlink(name);
    }
    closedir(entries);
    rmdir(folder);
    folder[0] = path[0] = '\0';
}

void plant_close(void)
{
    stop();
    option_count = 0;
    remove_folder();
}

const char *plant_database(void)
{
    snprintf(folder, sizeof folder, "/tmp/rpc-device-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/devices.db", folder);
    return path;
}

/* ---- Time ---- */

void plant_settle(void)
{
    struct tasks *tasks = plant.engine->tasks;
    while (tasks->background) {
        ck_assert_msg(fake_host_wait(&plant.host, RIG_PATIENCE), "no work came to its end");
        engine_tick(plant.engine);
    }
}

void plant_pass(unsigned milliseconds)
{
    for (unsigned left = milliseconds, step; left; left -= step) {
        step = left < 50 ? left : left > 100000 ? left / 100 : 50;
        plant.host.monotonic += step * (RIG_SECOND / 1000);
        plant.host.wall += step / 1000.0;
        engine_tick(plant.engine);
        plant_settle();
    }
}

/* ---- Devices ---- */

const void *plant_connection(const char *device)
{
    static const char connections[64];
    unsigned hash = 5381;
    for (const char *at = device; *at; at++)
        hash = hash * 33 + (unsigned char)*at;
    return &connections[hash % sizeof connections];
}

enum engine_verdict plant_say(const char *device, const char *what, const char *payload)
{
    char topic[300];
    const struct host_client app = plant.client;
    plant.client = (struct host_client){.id = device, .version = 4, .connection = plant_connection(device)};
    engine_presence(plant.engine, &(const struct host_presence){RPC_SIGN_SEEN, &plant.client, NULL});
    snprintf(topic, sizeof topic, "cmd/%s/%s", device, what);
    const enum engine_verdict verdict = rig_publish(&plant, topic, payload);
    plant.client = app;
    return verdict;
}

void plant_hello(const char *device, const char *payload)
{
    ck_assert_int_eq(plant_say(device, "hello", payload), ENGINE_CONSUME);
    plant_settle();
}

void plant_drop(const char *device)
{
    const struct host_ending ending = {.id = device, .connection = plant_connection(device)};
    engine_client_ended(plant.engine, &ending);
}

void plant_leave(const char *device)
{
    plant_drop(device);
    plant_pass(2100);
}

/* ---- The application ---- */

void plant_property(const char *name, const char *value)
{
    ck_assert_uint_lt(property_count, PLANT_PROPERTIES);
    properties[property_count++] = (struct property){name, value};
}

enum engine_verdict plant_begin(const char *topic, const char *payload, const char *response,
                                const char *correlation)
{
    const enum engine_verdict verdict = rig_send(&plant, topic, payload, response, correlation);
    property_count = 0;
    return verdict;
}

enum engine_verdict plant_publish(const char *topic, const char *payload, const char *response,
                                  const char *correlation)
{
    const enum engine_verdict verdict = plant_begin(topic, payload, response, correlation);
    plant_settle();
    return verdict;
}

enum engine_verdict plant_call(const char *method, const char *payload, const char *correlation)
{
    char topic[300];
    snprintf(topic, sizeof topic, "rpc/call/%s", method);
    return plant_publish(topic, payload, RIG_REPLY, correlation);
}

void plant_hang_up(void)
{
    const struct host_ending ending = {.id = plant.client.id, .connection = plant.client.connection};
    engine_client_ended(plant.engine, &ending);
    plant_settle();
}

/* ---- What happens ---- */

static bool is_request(const struct fake_message *message)
{
    const size_t size = strlen(message->topic);
    return size > 4 && strcmp(message->topic + size - 4, "/req") == 0;
}

size_t plant_requests(void)
{
    size_t count = 0;
    ck_assert_uint_le(plant.host.others.count, FAKE_KEPT);
    for (size_t i = 0; i < plant.host.others.count; i++)
        count += is_request(&plant.host.others.kept[i]);
    return count;
}

const struct fake_message *plant_request(void)
{
    for (size_t i = plant.host.others.count; i-- > 0;) {
        if (is_request(&plant.host.others.kept[i]))
            return &plant.host.others.kept[i];
    }
    ck_abort_msg("no command was published");
}

const char *plant_id(void)
{
    static char id[PLANT_ID];
    const char *at = strstr(plant_request()->text, "\"id\":\"");
    ck_assert_ptr_nonnull(at);
    snprintf(id, sizeof id, "%.*s", (int)strcspn(at + 6, "\""), at + 6);
    return id;
}

void plant_answer(const char *device, const char *rest)
{
    char payload[1000];
    snprintf(payload, sizeof payload, "{\"id\":\"%s\",%s", plant_id(), rest);
    ck_assert_int_eq(plant_say(device, "resp", payload), ENGINE_PASS);
    plant_settle();
}

void plant_expect_states(const char *states)
{
    char found[1000] = "";
    ck_assert_uint_le(plant.host.events.count, FAKE_KEPT);
    for (; events_seen < plant.host.events.count; events_seen++) {
        const struct fake_message *event = &plant.host.events.kept[events_seen];
        if (strcmp(event->topic, state_event) != 0)
            continue;
        const char *at = strstr(event->text, "\"state\":\"");
        ck_assert_ptr_nonnull(at);
        const size_t size = strlen(found);
        snprintf(found + size, sizeof found - size, "%s%.*s", size ? " " : "", (int)strcspn(at + 9, "\""),
                 at + 9);
    }
    ck_assert_str_eq(found, states);
}

void plant_expect_reply(const char *status, const char *text)
{
    ck_assert_uint_eq(plant.host.replies.count, replies_seen + 1);
    const struct fake_message *reply = &plant.host.replies.kept[replies_seen++];
    if (strcmp(reply->status, status) != 0)
        ck_abort_msg("the status is %s, not %s: %s", reply->status, status, reply->text);
    ck_assert_msg(strstr(reply->text, text), "no %s in %s", text, reply->text);
}

void plant_expect_no_reply(void)
{
    ck_assert_uint_eq(plant.host.replies.count, replies_seen);
}

void plant_expect_event(const char *text)
{
    const struct fake_message *event = rig_last(&plant.host.events);
    ck_assert_msg(strstr(event->text, text), "no %s in %s", text, event->text);
}

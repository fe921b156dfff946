// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* An engine on a fake host: see rig.h. */
#include "rig.h"

#include "base/text.h"

#include "call/engine_parts.h"
#include "call/task.h"
#include "modules.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

void rig_init(struct rig *rig)
{
    char why[OPTIONS_WHY] = "";
    fake_host_open(&rig->host);
    rig->engine = NULL;
    rig->qos = 1;
    rig->impatient = false;
    rig->client = (struct host_client){.id = "tester", .user = "bob", .address = "192.0.2.7", .version = 5};
    rig->defaults = config_create(&(struct option_lines){.count = 0}, &fake_config_host,
                                  &(const rpc_module *const){NULL}, why);
    ck_assert_msg(rig->defaults, "%s", why);
    rig->options = rig->defaults->engine;
    rig->options.slow_call = rig->options.sys_interval = 0;
    rig->options.duplicate_window = rig->options.redelivery_guard = 0;
    rig->options.error_rate = 0;
}

void rig_start(struct rig *rig)
{
    rig->engine = engine_create(&rig->options, &rig->host.host);
    ck_assert_ptr_nonnull(rig->engine);
}

void rig_add(struct rig *rig, const rpc_module *module, const void *options)
{
    char why[ENGINE_WHY] = "";
    ck_assert_msg(engine_add_module(rig->engine, module, options, why), "%s", why);
}

void rig_open_methods(struct rig *rig)
{
    char why[ENGINE_WHY] = "";
    ck_assert_msg(engine_open_methods(rig->engine, why), "%s", why);
}

void rig_open(struct rig *rig, const rpc_module *module)
{
    rig_init(rig);
    rig_start(rig);
    rig_add(rig, module, NULL);
}

void rig_close(struct rig *rig)
{
    ck_assert(engine_destroy(rig->engine, 20 * RIG_SECOND));
    rig->engine = NULL;
    config_destroy(rig->defaults);
    rig->defaults = NULL;
    rig_close_host(&rig->host);
}

void rig_close_host(struct fake_host *host)
{
    const char *fault = fake_host_close(host);
    ck_assert_msg(!fault, "the engine gave its host %s", fault);
}

struct host_message rig_message(const struct rig *rig, const char *topic, const char *payload)
{
    return (struct host_message){
        .client = &rig->client,
        .topic = topic,
        .payload = payload,
        .size = strlen(payload),
        .qos = rig->qos,
        .properties = rig->client.version == 5 ? rig : NULL,
    };
}

rpc_instance *rig_instance(const struct rig *rig)
{
    return rig->engine->registry.instances;
}

void rig_each_method(const struct engine *engine, void (*visit)(const rpc_method *method, void *context),
                     void *context)
{
    const struct registry_method *method = engine->registry.methods;
    for (; method; method = method->hh.next)
        visit(method->declared, context);
}

bool rig_serves(const struct engine *engine, const char *topic)
{
    struct engine_place place;
    return engine_serves(engine, topic, &place);
}

enum engine_verdict rig_receive(struct engine *engine, const struct host_message *message)
{
    struct engine_place place;
    return engine_serves(engine, message->topic, &place) ? engine_receive(engine, message, &place)
                                                         : ENGINE_PASS;
}

enum engine_verdict rig_publish(struct rig *rig, const char *topic, const char *payload)
{
    const struct host_message message = rig_message(rig, topic, payload);
    return rig_receive(rig->engine, &message);
}

enum engine_verdict rig_send(struct rig *rig, const char *topic, const char *payload,
                             const char *response_topic, const char *correlation)
{
    struct host_message message = rig_message(rig, topic, payload);
    message.response_topic = response_topic;
    message.correlation = correlation;
    message.correlation_size = correlation ? strlen(correlation) : 0;
    return rig_receive(rig->engine, &message);
}

/* The modules' databases are in memory, unless a line sets another. */
static size_t add_databases(struct option_line *lines, size_t count)
{
    static const char *const names[] = {"sensor_db", "device_db"};
    const size_t given = count;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t j = 0;
        while (j < given && strcmp(lines[j].name, names[i]) != 0)
            j++;
        if (j == given)
            lines[count++] = (struct option_line){.name = names[i], .value = ":memory:"};
    }
    return count;
}

struct config *rig_config(const struct option_line *lines, size_t count)
{
    enum { LINES_MAX = 8 };
    char why[OPTIONS_WHY] = "";
    struct option_line all[LINES_MAX + 2] = {{.name = NULL}};
    ck_assert_uint_le(count, LINES_MAX);
    for (size_t i = 0; i < count; i++)
        all[i] = lines[i];
    struct option_lines read = {.lines = all, .count = add_databases(all, count)};
    struct config *config = config_create(&read, &fake_config_host, rpc_modules, why);
    ck_assert_msg(config, "%s", why);
    return config;
}

void rig_add_modules(struct rig *rig, const struct config *config)
{
    for (size_t i = 0; i < config->module_count; i++)
        rig_add(rig, config->modules[i].module, config->modules[i].options);
}

void rig_settle(struct rig *rig)
{
    while (rig->engine->tasks->pending) {
        ck_assert_msg(fake_host_wait(&rig->host, RIG_PATIENCE), "no work came to its end");
        engine_tick(rig->engine);
    }
}

void rig_wait(struct rig *rig, size_t replies)
{
    while (rig->host.replies.count < replies) {
        if (!fake_host_wait(&rig->host, rig->impatient ? 50 : RIG_PATIENCE)) {
            ck_assert_msg(rig->impatient, "no work came to its end");
            ck_assert_uint_ne(engine_due(rig->engine), UINT64_MAX);
            rig->host.monotonic = engine_due(rig->engine);
        }
        engine_tick(rig->engine);
    }
}

static const char *call_topic(const struct rig *rig, const char *method, char topic[FAKE_TOPIC])
{
    snprintf(topic, FAKE_TOPIC, "%s/call/%s", rig->options.prefix, method);
    return topic;
}

enum engine_verdict rig_tell(struct rig *rig, const char *method, const char *payload)
{
    char topic[FAKE_TOPIC];
    return rig_publish(rig, call_topic(rig, method, topic), payload);
}

const struct fake_message *rig_ask(struct rig *rig, const char *method, const char *payload)
{
    char topic[FAKE_TOPIC];
    struct host_message message = rig_message(rig, call_topic(rig, method, topic), payload);
    message.response_topic = RIG_REPLY;
    fake_host_forget(&rig->host);
    rig_receive(rig->engine, &message);
    rig_wait(rig, 1);
    ck_assert_uint_eq(rig->host.replies.count, 1);
    ck_assert_str_eq(rig->host.replies.kept[0].topic, RIG_REPLY);
    ck_assert_str_eq(rig->host.replies.kept[0].client, rig->client.id);
    return &rig->host.replies.kept[0];
}

void rig_expect(struct rig *rig, const char *method, const char *payload, const char *status,
                const char *text)
{
    const struct fake_message *reply = rig_ask(rig, method, payload);
    ck_assert_str_eq(reply->text, text);
    ck_assert_str_eq(reply->status, status);
}

const struct fake_message *rig_last(const struct fake_box *box)
{
    ck_assert_uint_gt(box->count, 0);
    ck_assert_uint_le(box->count, FAKE_KEPT);
    return &box->kept[box->count - 1];
}

void rig_expect_error(const struct rig *rig, const char *text)
{
    char expected[FAKE_TEXT], id[FAKE_BYTES];
    text_printable(rig->client.id, id, sizeof id);
    int used = snprintf(expected, sizeof expected, "%.*s,\"client\":\"", (int)strlen(text) - 1, text);
    for (const char *c = id; *c; c++)
        used += snprintf(expected + used, sizeof expected - (size_t)used, *c == '\\' ? "\\%c" : "%c", *c);
    snprintf(expected + used, sizeof expected - (size_t)used, "\"}");
    rig_expect_event(rig, "rpc/event/error", expected);
}

void rig_expect_event(const struct rig *rig, const char *topic, const char *text)
{
    const struct fake_message *event = rig_last(&rig->host.events);
    ck_assert_str_eq(event->topic, topic);
    ck_assert_str_eq(event->text, text);
}

/* ---- Dead letters ---- */

const struct dead_letter *rig_newest_letter(const struct rig *rig)
{
    const struct dead_letter *letters = rig->engine->dead.letters;
    ck_assert_ptr_nonnull(letters);
    return letters->prev;
}

const struct fake_message *rig_replay_newest(struct rig *rig)
{
    char params[64];
    snprintf(params, sizeof params, "{\"id\":\"%s\"}", rig_newest_letter(rig)->id);
    return rig_ask(rig, "dead.replay", params);
}

/* ---- What many tests need ---- */

const cJSON *rig_member(const cJSON *object, const char *name)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    ck_assert_msg(member, "no %s", name);
    return member;
}

rpc_status rig_do_nothing(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params, (void)result;
    return RPC_OK;
}

rpc_status rig_end(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)call, (void)state, (void)data, (void)result;
    return outcome;
}

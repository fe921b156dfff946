// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A service on a fake host, for tests of modules: see kit.h and include/mosquitto_rpc_testing.h. */
#include "kit.h"

#include "config_file.h"
#include "modules.h"
#include "observe/survey.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KIT_MILLISECOND UINT64_C(1000000) /* nanoseconds */
#define KIT_STOP (10000 * KIT_MILLISECOND)

void *kit_need(void *memory)
{
    if (memory)
        return memory;
    fputs("mosquitto_rpc_testing: no memory\n", stderr);
    abort();
}

/* ---- Reports ---- */

/* Shows warnings and errors of the log that no report has shown: often they say what is wrong. */
static void kit_show_log(rpc_test *test)
{
    for (; test->shown < test->host.line_count && test->shown < FAKE_KEPT; test->shown++) {
        const struct fake_line *line = &test->host.lines[test->shown];
        if (line->level >= RPC_LOG_WARNING)
            fprintf(stderr, "    the log: %s\n", line->text);
    }
}

bool kit_report(rpc_test *test, const struct kit_place *place, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "%s:%d: ", place->file, place->line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    if (test) {
        test->failed = true;
        kit_show_log(test);
    }
    return false;
}

/* ---- Options ---- */

/* Databases of shipped modules are in memory. A line of a module that is not there would be refused. */
static size_t kit_set_defaults(struct option_line lines[4])
{
    size_t count = 0;
    lines[count++] = (struct option_line){.name = "error_rate", .value = "0"};
    lines[count++] = (struct option_line){.name = "sys_interval", .value = "0"};
    for (const rpc_module *const *module = rpc_modules; *module; module++) {
        if (strcmp((*module)->name, "sensor") == 0)
            lines[count++] = (struct option_line){.name = "sensor_db", .value = ":memory:"};
        if (strcmp((*module)->name, "device") == 0)
            lines[count++] = (struct option_line){.name = "device_db", .value = ":memory:"};
    }
    return count;
}

/* Reads the options as a config_file is read, whose lines replace the defaults. */
static bool kit_read_options(rpc_test *test, const char *options, char why[OPTIONS_WHY])
{
    struct option_line defaults[4];
    const struct option_lines given = {
        .prefix = test->config_host.option_prefix, .lines = defaults, .count = kit_set_defaults(defaults)};
    test->text = kit_need(strdup(options ? options : ""));
    if (config_file_merge(&test->given, &given, "options of the test", test->text, strlen(test->text), why) <
        0)
        return false;
    for (size_t i = 0; i < test->given.count; i++)
        test->given.lines[i].number = 0; /* they may set options that do not reload, too */
    test->given.file = NULL;
    test->first = test->current = config_create(&test->given, &test->config_host, rpc_modules, why);
    return test->first;
}

bool rpc_test_reload_at(const char *file, int line, rpc_test *test, const char *settings, const char *refusal)
{
    const struct kit_place place = {file, line};
    struct option_lines merged = {.lines = NULL};
    char why[SERVICE_WHY] = "";
    if (!test)
        return false;
    char *text = kit_need(strdup(settings ? settings : ""));
    struct config *config = NULL;
    if (config_file_merge(&merged, &test->given, "settings", text, strlen(text), why) >= 0)
        config = config_create(&merged, &test->config_host, rpc_modules, why);
    const bool ok = config && service_reload(test->service, config, why);
    if (ok && test->current != test->first)
        config_destroy(test->current);
    if (ok)
        test->current = config;
    else
        config_destroy(config);
    free(merged.lines);
    free(text);
    if (ok && refusal)
        return kit_report(test, &place, "the settings were taken, and should be refused for: %s", refusal);
    if (!ok && !refusal)
        return kit_report(test, &place, "the settings were refused: %s", why);
    return ok || strstr(why, refusal) ||
           kit_report(test, &place, "the settings were refused: %s, and not for: %s", why, refusal);
}

/* ---- Beginning and end ---- */

static void kit_free(rpc_test *test)
{
    service_destroy(test->service);
    if (test->current != test->first)
        config_destroy(test->current);
    config_destroy(test->first);
    free(test->given.lines);
    free(test->text);
    free(test->payload);
    free(test);
}

/* Stops the service. Work that does not return keeps what it uses, as in a broker. */
static bool kit_stop(rpc_test *test)
{
    return !test->service || service_stop(test->service, KIT_STOP);
}

/* Starts the modules. Returns false with why; the test must be closed in any case. */
static bool kit_start(rpc_test *test, const char *options, char why[SERVICE_WHY])
{
    fake_host_open(&test->host);
    rpc_test_set_time(test, RPC_TEST_TIME);
    test->config_host = fake_config_host;
    test->config_host.option_prefix = "plugin_opt_";
    test->patience = 10000;
    rpc_test_set_client(test, NULL);
    if (!kit_read_options(test, options, why))
        return false;
    test->service = kit_need(service_create(test->first, &test->host.host));
    return service_start(test->service, why);
}

rpc_test *rpc_test_open_at(const char *file, int line, const char *options)
{
    const struct kit_place place = {file, line};
    char why[SERVICE_WHY] = "";
    rpc_test *test = kit_need(calloc(1, sizeof *test));
    if (kit_start(test, options, why))
        return test;
    kit_report(test, &place, "the modules do not start: %s", why);
    if (kit_stop(test)) {
        fake_host_close(&test->host);
        kit_free(test);
    }
    return NULL;
}

bool rpc_test_refuses_at(const char *file, int line, const char *options, const char *text)
{
    const struct kit_place place = {file, line};
    char why[SERVICE_WHY] = "";
    rpc_test *test = kit_need(calloc(1, sizeof *test));
    const bool starts = kit_start(test, options, why);
    const bool refuses = !starts && (strstr(why, text) || fake_host_logged(&test->host, text));
    if (starts)
        kit_report(test, &place, "the modules start, and should refuse to for: %s", text);
    else if (!refuses)
        kit_report(test, &place, "the modules do not start: %s, and not for: %s", why, text);
    if (kit_stop(test)) {
        fake_host_close(&test->host);
        kit_free(test);
    }
    return refuses;
}

int rpc_test_close(rpc_test *test)
{
    static const struct kit_place place = {"rpc_test_close", 0};
    if (!test)
        return 1;
    if (!kit_stop(test)) {
        kit_report(test, &place, "work has not returned within 10 seconds");
        return 1; /* it goes on with what it uses */
    }
    const char *fault = fake_host_close(&test->host);
    if (fault)
        kit_report(test, &place, "the engine gave its host %s", fault);
    const int result = test->failed ? 1 : 0;
    kit_free(test);
    return result;
}

/* ---- The client ---- */

void rpc_test_set_client(rpc_test *test, const rpc_test_client *client)
{
    static const rpc_test_client usual = {.qos = 1};
    if (!test)
        return;
    test->client = client ? *client : usual;
    if (!test->client.id)
        test->client.id = "tester";
    if (!test->client.address)
        test->client.address = "192.0.2.7";
    if (!test->client.version)
        test->client.version = 5;
    memset(test->properties, 0, sizeof test->properties);
    for (unsigned i = 0; i < test->client.property_count && i < KIT_PROPERTIES; i++)
        test->properties[i] = test->client.properties[i];
    test->host.more = test->properties;
}

/* The connection of a client: a hash of its id (FNV-1a), which is only compared. */
static const void *kit_connection(const char *id)
{
    uint32_t hash = 2166136261;
    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * 16777619;
    return (const void *)(uintptr_t)(hash | 1);
}

static struct host_client kit_client(const rpc_test *test)
{
    return (struct host_client){
        .id = test->client.id,
        .user = test->client.user,
        .address = test->client.address,
        .version = test->client.version,
        .clean_start = true,
        .connection = kit_connection(test->client.id),
    };
}

void rpc_test_sign(rpc_test *test, rpc_sign sign, const char *filter)
{
    if (!test)
        return;
    const struct host_client client = kit_client(test);
    if (sign == RPC_SIGN_GONE) {
        service_client_ended(test->service, &(struct host_ending){.id = client.id,
                                                                  .connection = client.connection,
                                                                  .kind = HOST_END_SESSION_OVER,
                                                                  .in_order = true,
                                                                  .clean_start = true});
        return;
    }
    if (service_has_pending(test->service))
        service_client_seen(test->service, &client);
    service_presence(test->service,
                     &(struct host_presence){.sign = sign, .client = &client, .filter = filter});
}

rpc_inbox_verdict rpc_test_publish_message(rpc_test *test, const rpc_publication *publication)
{
    if (!test)
        return RPC_INBOX_REFUSE;
    const struct host_client client = kit_client(test);
    char *payload = kit_need(calloc(1, publication->size + 1)); /* which a NUL follows */
    if (publication->size)
        memcpy(payload, publication->payload, publication->size);
    const bool is_5 = client.version == 5;
    const struct host_message message = {
        .client = &client,
        .topic = publication->topic,
        .payload = payload,
        .size = publication->size,
        .qos = test->client.qos,
        .response_topic = is_5 ? publication->response_topic : NULL,
        .correlation = is_5 ? publication->correlation : NULL,
        .correlation_size = is_5 ? publication->correlation_size : 0,
        .properties = is_5 && test->client.property_count ? test->properties : NULL,
    };
    if (service_has_pending(test->service))
        service_client_seen(test->service, &client);
    if (test->host.watchers)
        rpc_test_sign(test, RPC_SIGN_SEEN, NULL);
    struct engine_place place;
    struct engine *engine = service_find(test->service, message.topic, &place);
    const enum engine_verdict verdict = engine ? engine_receive(engine, &message, &place) : ENGINE_PASS;
    free(payload);
    if (verdict == ENGINE_REFUSE)
        return RPC_INBOX_REFUSE;
    return verdict == ENGINE_CONSUME ? RPC_INBOX_CONSUME : RPC_INBOX_PASS;
}

rpc_inbox_verdict rpc_test_publish(rpc_test *test, const char *topic, const char *payload)
{
    return rpc_test_publish_message(
        test, &(rpc_publication){.topic = topic, .payload = payload, .size = strlen(payload)});
}

void rpc_test_call(rpc_test *test, const char *method, const char *params)
{
    char topic[FAKE_TOPIC], response[FAKE_TOPIC], correlation[16];
    if (!test)
        return;
    const char *prefix = test->first->prefixes[0];
    snprintf(topic, sizeof topic, "%s/call/%s", prefix, method);
    snprintf(response, sizeof response, "%s/reply/test", prefix);
    snprintf(correlation, sizeof correlation, "%u", ++test->calls);
    rpc_test_publish_message(test, &(rpc_publication){.topic = topic,
                                                      .payload = params ? params : "{}",
                                                      .size = strlen(params ? params : "{}"),
                                                      .response_topic = response,
                                                      .correlation = correlation,
                                                      .correlation_size = strlen(correlation)});
}

/* ---- Time ---- */

/* Whether work runs or waits for a thread, in any engine. */
static bool kit_has_work(const rpc_test *test)
{
    for (size_t i = 0; i < test->first->prefix_count; i++) {
        char topic[FAKE_TOPIC];
        struct engine_place place;
        struct survey survey;
        snprintf(topic, sizeof topic, "%s/call/rpc.list", test->first->prefixes[i]);
        survey_tasks(service_find(test->service, topic, &place), &survey);
        if (survey.running || survey.waiting)
            return true;
    }
    return false;
}

static uint64_t kit_real_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / KIT_MILLISECOND;
}

bool kit_settle(rpc_test *test)
{
    const uint64_t until = kit_real_time() + test->patience;
    service_tick(test->service);
    while (kit_has_work(test)) {
        const uint64_t now = kit_real_time();
        if (now >= until)
            return false;
        fake_host_wait(&test->host, (unsigned)(until - now));
        service_tick(test->service);
    }
    return true;
}

/* The wall clock shows whole milliseconds, so that tests can foretell what it shows. */
static void kit_advance(rpc_test *test, uint64_t nanoseconds)
{
    test->host.monotonic += nanoseconds;
    const uint64_t milliseconds = (test->host.monotonic - test->set) / KIT_MILLISECOND;
    test->host.wall = test->wall + (double)milliseconds / 1e3;
}

/* A timer is due a nanosecond after its time, and one that it starts again one later. */
void rpc_test_pass(rpc_test *test, uint32_t milliseconds)
{
    if (!test)
        return;
    kit_settle(test);
    const uint64_t until = test->host.monotonic + milliseconds * KIT_MILLISECOND + 100;
    while (test->host.monotonic < until) {
        const uint64_t now = test->host.monotonic, due = service_due(test->service);
        const uint64_t next = due > now ? due : now + KIT_MILLISECOND;
        kit_advance(test, (next < until ? next : until) - now);
        kit_settle(test);
    }
}

void rpc_test_set_time(rpc_test *test, double time)
{
    if (!test)
        return;
    test->host.wall = test->wall = time;
    test->set = test->host.monotonic;
}

void rpc_test_set_patience(rpc_test *test, uint32_t milliseconds)
{
    if (test)
        test->patience = milliseconds;
}

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The plugin's entry points and the broker's events. One instance serves the prefixes of one `plugin` line;
 * all its state hangs off the user data, so that instances of several listeners live side by side.
 *
 * Nothing here frees what the broker owns, swaps a pointer of an event or answers an event with an error:
 * depending on the version each of these leaks, crashes or disconnects the client. A call is consumed by
 * overwriting its topic in place, with one that no client can subscribe to.
 */
#include "broker_host.h"
#include "claims.h"
#include "modules.h"
#include "settings.h"

#include <dlfcn.h>
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The events of 2.1 that its older headers lack. */
enum { EVENT_CLIENT_OFFLINE = 28, REASON_TAKEN_OVER = 142 };

struct plugin {
    mosquitto_plugin_id_t *identifier;
    struct settings *settings;
    struct broker_host host;
    struct engine *engines[SETTINGS_PREFIXES];
    size_t engine_count;
    bool ticks; /* the broker has sent a TICK */
};

/* ---- Messages ---- */

/*
 * Takes the message out of circulation. The topic's memory holds strlen + 1 bytes, and this one is never
 * longer than what it replaces: a served topic has at least five.
 * The byte 0x01 is refused in subscriptions, '$' keeps the topic from '#', and it is the same for every copy
 * of a message, by which the broker recognises a QoS 2 message that is sent again.
 */
static void consume(struct mosquitto_evt_message *event)
{
    memcpy(event->topic, "$\x01", sizeof "$\x01");
    event->retain = false;
}

/*
 * Only an MQTT 5 client at QoS 1 or 2 can be told; for the others a refusal is the same as being consumed,
 * without the risk that some brokers close the connection over it.
 */
static int refuse(const struct broker_message *message, struct mosquitto_evt_message *event)
{
    if (message->seen.qos > 0 && message->client.version == 5)
        return MOSQ_ERR_ACL_DENIED;
    consume(event);
    return MOSQ_ERR_SUCCESS;
}

/* The engines are called again when the first of them wants to be: TICK is no clock. */
static void set_alarm(struct plugin *plugin)
{
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < plugin->engine_count; i++) {
        const uint64_t due = engine_due(plugin->engines[i]);
        first = due < first ? due : first;
    }
    wake_at(&plugin->host.wake, first);
}

static int receive(struct plugin *plugin, struct engine *engine, struct mosquitto_evt_message *event,
                   const char *topic, bool mounted)
{
    struct broker_message message;
    int rc = MOSQ_ERR_SUCCESS;
    broker_message_init(&message, event, topic, mounted);
    switch (engine_receive(engine, &message.seen)) {
    case ENGINE_CONSUME:
        consume(event);
        break;
    case ENGINE_FORWARD:
        event->retain = false;
        break;
    case ENGINE_REFUSE:
        rc = refuse(&message, event);
        break;
    case ENGINE_PASS:
        break;
    }
    broker_message_fini(&message, &plugin->host);
    set_alarm(plugin);
    return rc;
}

static struct engine *find_engine(const struct plugin *plugin, const char *topic)
{
    for (size_t i = 0; i < plugin->engine_count; i++) {
        if (engine_serves(plugin->engines[i], topic))
            return plugin->engines[i];
    }
    return NULL;
}

static void tick_engines(struct plugin *plugin)
{
    for (size_t i = 0; i < plugin->engine_count; i++)
        engine_tick(plugin->engines[i]);
    set_alarm(plugin);
}

static int handle_message(struct plugin *plugin, struct mosquitto_evt_message *event)
{
    if (!event->client || !event->topic)
        return MOSQ_ERR_SUCCESS;
    bool mounted;
    const char *topic = broker_host_unmount(&plugin->host, event->topic, &mounted);
    struct engine *engine = find_engine(plugin, topic);
    if (!engine)
        return MOSQ_ERR_SUCCESS;
    if (!mosquitto_client_id(event->client)) {
        consume(
            event); /* a plugin before this one has thrown the client out: it has no id left to reply to */
        return MOSQ_ERR_SUCCESS;
    }
    return receive(plugin, engine, event, topic, mounted);
}

/* Before 2.0.15 there are no ticks with per_listener_settings; a loop that is too busy to be interrupted in
   its wait (safepoint.h) brings messages instead. */
static int on_message(int event_number, void *event_data, void *user_data)
{
    (void)event_number;
    struct plugin *plugin = user_data;
    const int rc = handle_message(plugin, event_data);
    if (!plugin->ticks)
        tick_engines(plugin);
    return rc;
}

/* ---- Other events ---- */

/* Where the broker sends no TICK, this is called instead when the loop was woken (wake.h). */
static void collect(void *context)
{
    tick_engines(context);
}

/*
 * Before 2.1 a tick ends each round of the loop, and what is published now leaves at the top of the next: so
 * what the engines have to say comes first, and the outbox sends it along with the replies of the round.
 * From 2.1 on the tick comes between that moment and the waiting; there the outbox is never open, and what
 * is published needs a round of its own.
 */
static int on_tick(int event_number, void *event_data, void *user_data)
{
    (void)event_number, (void)event_data;
    struct plugin *plugin = user_data;
    plugin->ticks = true;
    wake_tick(&plugin->host.wake);
    plugin->host.ticking = true;
    tick_engines(plugin);
    plugin->host.ticking = false;
    outbox_send(&plugin->host.outbox);
    plugin->host.outbox.open = !plugin->host.broker.is_2_1;
    return MOSQ_ERR_SUCCESS;
}

/*
 * A connection has ended: DISCONNECT, and from 2.1 on CLIENT_OFFLINE where a session stays behind. It may
 * come twice, late, and for connections without an id; so only its address counts, which belongs to no other
 * client at this moment. Brokers before 2.1 give no reason, and mark a client as having asked for a new
 * session when another connection takes it over.
 */
static enum host_end kind_of_end(const struct plugin *plugin, int event_number, int reason)
{
    if (!plugin->host.broker.is_2_1)
        return HOST_END_UNKNOWN;
    if (event_number == EVENT_CLIENT_OFFLINE)
        return HOST_END_SESSION_WAITS;
    return reason == REASON_TAKEN_OVER ? HOST_END_TAKEN_OVER : HOST_END_SESSION_OVER;
}

/* The broker may be in the middle of handing out what plugins have published, too late for more of it. */
static void tell_engines(struct plugin *plugin, const struct host_ending *ending)
{
    plugin->host.ticking = true;
    for (size_t i = 0; i < plugin->engine_count; i++)
        engine_client_ended(plugin->engines[i], ending);
    plugin->host.ticking = false;
    set_alarm(plugin);
}

static int on_disconnect(int event_number, void *event_data, void *user_data)
{
    const struct mosquitto_evt_disconnect *event = event_data;
    struct plugin *plugin = user_data;
    if (!event->client)
        return MOSQ_ERR_SUCCESS;
    outbox_drop(&plugin->host.outbox, event->client);
    const struct host_ending ending = {
        .id = mosquitto_client_id(event->client),
        .connection = event->client,
        .kind = kind_of_end(plugin, event_number, event->reason),
        .in_order = plugin->host.broker.is_2_1 && event->reason == MOSQ_ERR_SUCCESS,
        .clean_start = mosquitto_client_clean_session(event->client),
    };
    if (ending.id)
        tell_engines(plugin, &ending);
    return MOSQ_ERR_SUCCESS;
}

static int on_reload(int event_number, void *event_data, void *user_data)
{
    (void)event_number, (void)event_data;
    const struct plugin *plugin = user_data;
    return broker_reload_result(&plugin->host.broker);
}

/* ---- Registering ---- */

struct registration {
    int event;
    MOSQ_FUNC_generic_callback callback;
    bool may_lack; /* older brokers do not know the event */
};

static const struct registration registrations[] = {
    {MOSQ_EVT_MESSAGE, on_message, false},       {MOSQ_EVT_TICK, on_tick, false},
    {MOSQ_EVT_DISCONNECT, on_disconnect, false}, {EVENT_CLIENT_OFFLINE, on_disconnect, true},
    {MOSQ_EVT_RELOAD, on_reload, false},
};

enum { REGISTRATIONS = sizeof registrations / sizeof registrations[0] };

static void log_error(const char *text)
{
    mosquitto_log_printf(MOSQ_LOG_ERR, "mosquitto-rpc: %s", text);
}

static bool register_one(struct plugin *plugin, const struct registration *registration)
{
    const int rc = mosquitto_callback_register(plugin->identifier, registration->event,
                                               registration->callback, NULL, plugin);
    if (rc == MOSQ_ERR_ALREADY_EXISTS)
        log_error("the plugin is loaded twice; one plugin line serves several prefixes: "
                  "plugin_opt_prefix first second");
    else if (rc != MOSQ_ERR_SUCCESS && !(registration->may_lack && rc == MOSQ_ERR_NOT_SUPPORTED))
        log_error("the broker refused a callback");
    else
        return true;
    return false;
}

static void unregister(struct plugin *plugin, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mosquitto_callback_unregister(plugin->identifier, registrations[i].event, registrations[i].callback,
                                      NULL);
}

static bool register_all(struct plugin *plugin)
{
    for (size_t i = 0; i < REGISTRATIONS; i++) {
        if (!register_one(plugin, &registrations[i])) {
            unregister(plugin, i);
            return false;
        }
    }
    return true;
}

/* ---- Beginning and end ---- */

static bool open_methods(struct engine *engine)
{
    char why[ENGINE_WHY];
    if (engine_open_methods(engine, why))
        return true;
    log_error(why);
    return false;
}

static bool add_modules(struct plugin *plugin, struct engine *engine)
{
    for (size_t i = 0; i < plugin->settings->module_count; i++) {
        const struct settings_module *module = &plugin->settings->modules[i];
        char why[ENGINE_WHY];
        if (engine_add_module(engine, module->module, module->options, why))
            continue;
        log_error(why);
        return false;
    }
    return open_methods(engine);
}

static bool add_engine(struct plugin *plugin, const char *prefix)
{
    struct engine_options options = plugin->settings->engine;
    options.prefix = prefix;
    const struct host host = broker_host_functions(&plugin->host);
    struct engine *engine = engine_create(&options, &host);
    if (!engine) {
        log_error("no memory for an engine");
        return false;
    }
    plugin->engines[plugin->engine_count++] = engine;
    return add_modules(plugin, engine);
}

static bool add_engines(struct plugin *plugin)
{
    for (size_t i = 0; i < plugin->settings->prefix_count; i++) {
        if (!add_engine(plugin, plugin->settings->prefixes[i]))
            return false;
    }
    char why[ENGINE_WHY];
    if (engine_check_inboxes(plugin->engines, plugin->engine_count, why))
        return true;
    log_error(why);
    return false;
}

static bool read_settings(struct plugin *plugin, const struct mosquitto_opt *options, int count)
{
    char why[OPTIONS_WHY] = "no memory for the options";
    struct option_lines lines = {calloc((size_t)count + 1, sizeof *lines.lines), (size_t)count};
    for (size_t i = 0; lines.lines && i < lines.count; i++)
        lines.lines[i] = (struct option_line){options[i].key, options[i].value, false};
    plugin->settings = lines.lines ? settings_create(&lines, plugin_modules, why) : NULL;
    free(lines.lines);
    if (!plugin->settings)
        log_error(why);
    else
        plugin->host.mount_point = plugin->settings->mount_point;
    return plugin->settings != NULL;
}

/* What threads still run must never be unloaded. */
static void stay_loaded(void)
{
    Dl_info own;
    if (dladdr(registrations, &own))
        (void)dlopen(own.dli_fname, RTLD_NOW | RTLD_NODELETE | RTLD_NOLOAD);
}

/*
 * Work that does not return does not keep the broker from ending. Its threads go on with what they use, and
 * the options are among it.
 */
static bool destroy_engines(struct plugin *plugin)
{
    enum { PATIENCE = 5 }; /* seconds, for all of them */
    bool ended = true;
    const uint64_t until = broker_host_now() + PATIENCE * UINT64_C(1000000000);
    for (size_t i = 0; i < plugin->engine_count; i++)
        engine_stop(plugin->engines[i]);
    for (size_t i = 0; i < plugin->engine_count; i++) {
        const uint64_t now = broker_host_now();
        ended = engine_destroy(plugin->engines[i], now < until ? until - now : 0) && ended;
    }
    return ended;
}

/* Accepts a plugin that was not made to the end, except for its callbacks. */
static void destroy(struct plugin *plugin)
{
    const bool ended = destroy_engines(plugin);
    outbox_fini(&plugin->host.outbox);
    wake_stop(&plugin->host.wake);
    if (ended)
        settings_destroy(plugin->settings);
    else
        stay_loaded();
    free(plugin);
}

/* Two instances on one prefix are right where each belongs to a listener of its own, and a mistake elsewhere.
 */
static void log_start(const struct plugin *plugin)
{
    for (size_t i = 0; i < plugin->settings->prefix_count; i++) {
        const char *prefix = plugin->settings->prefixes[i];
        mosquitto_log_printf(MOSQ_LOG_NOTICE, "mosquitto-rpc: serving %s/call/#", prefix);
        if (!claims_add(prefix))
            mosquitto_log_printf(
                MOSQ_LOG_WARNING,
                "mosquitto-rpc: plugin_opt_prefix: '%s' is served by two plugin lines; only the "
                "first answers, unless per_listener_settings gives each its own listener",
                prefix);
    }
}

/* The broker offers its versions of the plugin interface; 5 is the one that this plugin speaks. */
__attribute__((visibility("default"))) int mosquitto_plugin_version(int supported_version_count,
                                                                    const int *supported_versions)
{
    for (int i = 0; i < supported_version_count; i++) {
        if (supported_versions[i] == 5)
            return 5;
    }
    return -1;
}

/* On failure everything is undone and no user data left: 2.1 calls the cleanup all the same, 2.0 does not. */
__attribute__((visibility("default"))) int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier,
                                                                 void **user_data,
                                                                 struct mosquitto_opt *options,
                                                                 int option_count)
{
    *user_data = NULL;
    struct plugin *plugin = calloc(1, sizeof *plugin);
    if (!plugin)
        return MOSQ_ERR_NOMEM;
    plugin->identifier = identifier;
    plugin->host.broker = broker_detect();
    if (!wake_start(&plugin->host.wake, collect, plugin))
        mosquitto_log_printf(MOSQ_LOG_WARNING, "mosquitto-rpc: no signal or timer is free to wake the broker "
                                               "with; late results wait for its next round");
    if (!read_settings(plugin, options, option_count) || !add_engines(plugin) || !register_all(plugin)) {
        destroy(plugin);
        return MOSQ_ERR_INVAL;
    }
    log_start(plugin);
    set_alarm(plugin);
    *user_data = plugin;
    return MOSQ_ERR_SUCCESS;
}

__attribute__((visibility("default"))) int
mosquitto_plugin_cleanup(void *user_data, struct mosquitto_opt *options, int option_count)
{
    (void)options, (void)option_count;
    struct plugin *plugin = user_data;
    if (!plugin)
        return MOSQ_ERR_SUCCESS;
    unregister(plugin, REGISTRATIONS);
    claims_clear();
    destroy(plugin);
    return MOSQ_ERR_SUCCESS;
}

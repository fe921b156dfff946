// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The plugin's entry points: registers callbacks, and translates the broker's events for the service. One
 * instance serves the prefixes of one `plugin` line; all its state hangs off the user data, so that instances
 * of several listeners live side by side.
 *
 * No callback frees what the broker owns, swaps a pointer of an event or answers an event with an error:
 * depending on the version each of these leaks, crashes or disconnects the client. A call is consumed by
 * overwriting its topic in place, with one that no client can subscribe to.
 */
#include "broker_host.h"
#include "claims.h"
#include "compat/mosquitto_headers.h"
#include "options.h"
#include "service.h"
#include "settings.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The events of 2.1 that its older headers lack. */
enum {
    EVENT_CONNECT = 11,
    EVENT_SUBSCRIBE = 12,
    EVENT_MESSAGE_OUT = 27,
    EVENT_CLIENT_OFFLINE = 28,
    REASON_TAKEN_OVER = 142
};

/* The data of EVENT_CONNECT, and of EVENT_SUBSCRIBE as far as it is read here. */
struct evt_client {
    void *future;
    struct mosquitto *client;
    char *subscriber, *topic_filter; /* of EVENT_SUBSCRIBE alone */
};

/* After so many TICKs for which nothing asked one runs engine_tick(), which forgets what is too old. */
enum { PLUGIN_IDLE_TICKS = 15 };

/* How long the work of all engines may take to return when the broker ends, nanoseconds. */
#define STOP_PATIENCE UINT64_C(5000000000)

struct plugin {
    mosquitto_plugin_id_t *identifier;
    struct settings settings;
    struct broker_host host;
    struct service *service;
    unsigned idle_ticks;  /* until engine_tick() runs without being asked for; at first it does at once */
    bool wants_presence;  /* some module watches for clients */
    bool sees_outgoing;   /* the broker asks before it writes a message to a client */
    bool goes_round;      /* the broker has sent a message: its loop has begun to go round */
    bool uses_safe_point; /* which has been logged */
};

static void plugin_log_error(const char *text)
{
    mosquitto_log_printf(MOSQ_LOG_ERR, "mosquitto-rpc: %s", text);
}

/* ---- Messages ---- */

/*
 * Takes the message out of circulation. The topic's memory holds strlen + 1 bytes, and the new topic is never
 * longer than the old one: a served topic has at least five bytes. The byte 0x01 is refused in subscriptions,
 * '$' keeps the topic from '#', and the topic is the same for every copy of a message, by which the broker
 * recognises a QoS 2 message that is sent again.
 */
static void plugin_consume(struct mosquitto_evt_message *event)
{
    memcpy(event->topic, "$\x01", sizeof "$\x01");
    event->retain = false;
}

/* The service is called again when the first of its engines is due: TICK is no clock. */
static inline void plugin_set_alarm(struct plugin *plugin)
{
    wake_at(&plugin->host.wake, service_due(plugin->service));
}

static void plugin_tick(struct plugin *plugin)
{
    plugin->idle_ticks = PLUGIN_IDLE_TICKS;
    service_tick(plugin->service);
    plugin_set_alarm(plugin);
}

/*
 * A refusal reaches MQTT 5 clients at QoS 1 and 2 only. For the others the message is consumed, which is the
 * same for them, without the risk that some brokers close the connection.
 */
static int plugin_act(struct mosquitto_evt_message *event, const struct broker_message *message,
                      enum engine_verdict verdict)
{
    switch (verdict) {
    case ENGINE_CONSUME:
        plugin_consume(event);
        break;
    case ENGINE_FORWARD:
        event->retain = false;
        break;
    case ENGINE_REFUSE:
        if (message->seen.qos > 0 && message->client.version == 5)
            return MOSQ_ERR_ACL_DENIED;
        plugin_consume(event);
        break;
    case ENGINE_PASS:
        break;
    }
    return MOSQ_ERR_SUCCESS;
}

/* The topic as the client has written it, behind the mount point of its listener. */
static const char *plugin_unmount(const struct plugin *plugin, const char *topic)
{
    const char *mount_point = plugin->host.mount_point;
    const size_t cut = mount_point ? strlen(mount_point) : 0;
    return cut && strncmp(topic, mount_point, cut) == 0 ? topic + cut : topic;
}

/* has_news: a module has got a sign of the message, and may have started timers. */
static int plugin_receive(struct plugin *plugin, struct mosquitto_evt_message *event, const char *topic,
                          bool has_news)
{
    struct engine_place place;
    struct engine *engine = service_find(plugin->service, topic, &place);
    if (!engine && has_news)
        plugin_set_alarm(plugin);
    if (!engine)
        return MOSQ_ERR_SUCCESS;
    if (!plugin->host.notices.asked_delay)
        notices_log_delay(&plugin->host.notices, event->client);
    struct broker_message message;
    broker_message_init(&message, &plugin->host, event, topic, topic != event->topic);
    /* Where a plugin before this one has closed the connection, there is no id left to reply to. */
    const int rc = plugin_act(
        event, &message, message.client.id ? engine_receive(engine, &message.seen, &place) : ENGINE_CONSUME);
    broker_message_fini(&message, &plugin->host);
    plugin_set_alarm(plugin);
    return rc;
}

/* ---- Connections ---- */

static int plugin_on_message_out(int event_number, void *event_data, void *user_data)
{
    (void)event_number;
    const struct plugin *plugin = user_data;
    return outbox_may_pass(&plugin->host.outbox, event_data) ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ACL_DENIED;
}

/* The broker is to ask only while there are withdrawn replies: it asks about each message to each client. */
static void plugin_see_outgoing(struct plugin *plugin)
{
    const bool wanted = plugin->host.outbox.withdrawn;
    if (wanted == plugin->sees_outgoing)
        return;
    if (wanted)
        mosquitto_callback_register(plugin->identifier, EVENT_MESSAGE_OUT, plugin_on_message_out, NULL,
                                    plugin);
    else
        mosquitto_callback_unregister(plugin->identifier, EVENT_MESSAGE_OUT, plugin_on_message_out, NULL);
    plugin->sees_outgoing = wanted;
}

/* Drops what must not reach a connection. Out of line: nearly always nothing is on its way. */
__attribute__((noinline)) static void
plugin_look_for_takeover(struct plugin *plugin, const struct mosquitto *client, bool has_pending)
{
    struct broker_host *host = &plugin->host;
    const char *id = mosquitto_client_id(client);
    if (!id)
        return;
    outbox_meet(&host->outbox, id, client);
    plugin_see_outgoing(plugin);
    if (!has_pending)
        return;
    struct host_client known;
    broker_host_read_client(host, client, false, &known);
    service_client_seen(plugin->service, &known);
}

/* A sign of life of a client: what is on its way to another connection with its id must not reach it. */
static void plugin_meet(struct plugin *plugin, const struct mosquitto *client)
{
    const bool has_pending = service_has_pending(plugin->service);
    if (client && (has_pending || plugin->host.outbox.count))
        plugin_look_for_takeover(plugin, client, has_pending);
}

/* ---- Presence ---- */

/* Returns whether the modules have been told. */
static bool plugin_tell_presence(const struct plugin *plugin, rpc_sign sign, const struct mosquitto *client,
                                 const char *filter)
{
    const char *id = client ? mosquitto_client_id(client) : NULL;
    if (!id)
        return false;
    const struct host_client known = {
        .id = id, .user = mosquitto_client_username(client), .connection = client};
    service_presence(plugin->service,
                     &(const struct host_presence){.sign = sign, .client = &known, .filter = filter});
    return true;
}

static int plugin_on_presence(int event_number, void *event_data, void *user_data)
{
    const struct evt_client *event = event_data;
    struct plugin *plugin = user_data;
    plugin->host.ticking = true; /* see plugin_on_disconnect() */
    plugin_meet(plugin, event->client);
    const bool subscribes = event_number == EVENT_SUBSCRIBE;
    if (plugin->wants_presence &&
        plugin_tell_presence(plugin, subscribes ? RPC_SIGN_SUBSCRIBED : RPC_SIGN_CONNECTED, event->client,
                             subscribes ? event->topic_filter : NULL))
        plugin_set_alarm(plugin);
    plugin->host.ticking = false;
    return MOSQ_ERR_SUCCESS;
}

/* ---- Rounds ---- */

/*
 * A round of the loop is over. What is sent now leaves with the next one: on 2.1 it comes after the wait,
 * before 2.1 there is none in between, but for WebSockets, which are served after the wait.
 */
static void plugin_send(struct plugin *plugin)
{
    struct broker_host *host = &plugin->host;
    const bool needs_round = host->broker.is_2_1 || host->outbox.late;
    if (host->outbox.waiting && (outbox_send(&host->outbox, 0) || needs_round))
        wake_request(&host->wake);
}

/* To be called if outbox_needs_rounds(), which is seldom: so it is out of line. */
__attribute__((noinline)) static void plugin_end_round(struct plugin *plugin)
{
    outbox_round(&plugin->host.outbox, broker_host_now());
    plugin_see_outgoing(plugin);
}

/* Where the broker sends no TICK, a loop that is too busy to reach the safe point brings messages instead. */
static int plugin_on_message(int event_number, void *event_data, void *user_data)
{
    (void)event_number;
    struct plugin *plugin = user_data;
    const struct mosquitto_evt_message *event = event_data;
    const char *topic = event->client && event->topic ? plugin_unmount(plugin, event->topic) : NULL;
    plugin_meet(plugin, event->client);
    if (topic && *topic == '$' && !bridges_note(&plugin->host.bridges, event->client, topic))
        plugin_log_error("no memory to remember that a client is a bridge");
    const bool has_news =
        plugin->host.watchers && plugin_tell_presence(plugin, RPC_SIGN_SEEN, event->client, NULL);
    const int rc = topic ? plugin_receive(plugin, event_data, topic, has_news) : MOSQ_ERR_SUCCESS;
    plugin->goes_round = true;
    if (!atomic_load(&plugin->host.wake.ticked)) {
        plugin_tick(plugin);
        if (plugin->host.outbox.waiting)
            outbox_send(&plugin->host.outbox, broker_host_now());
    }
    return rc;
}

/* ---- Other events ---- */

/*
 * Called at the safe point in place of a TICK. Every broker waits once before its first TICK; only after a
 * message, which comes between two waits, it is known that there was to be one.
 */
static void plugin_collect(void *context)
{
    struct plugin *plugin = context;
    if (plugin->goes_round && !plugin->uses_safe_point) {
        plugin->uses_safe_point = true;
        mosquitto_log_printf(
            MOSQ_LOG_NOTICE,
            "mosquitto-rpc: the safe point is in use: this broker sends plugins no TICK, so results "
            "and deadlines are handled in the signal that wakes its loop; "
            "plugin_opt_safe_point false switches that off");
    }
    if (outbox_needs_rounds(&plugin->host.outbox))
        plugin_end_round(plugin);
    plugin_tick(plugin);
    plugin_send(plugin);
}

/*
 * From 2.1 on the broker sends the next TICK in the first round after now_s + next_s, and compares that with
 * its wall clock: once this clock is set back, the broker would send no TICK until it has caught up. A time
 * in the past (1970) makes it send one in each round, as it does without next_s while the clock goes on.
 */
static void plugin_want_every_tick(struct mosquitto_evt_tick *tick)
{
    tick->next_s = -tick->now_s;
}

/*
 * Before 2.1 a tick ends each round of the loop, and what is published now leaves at the top of the next: so
 * what the engines have to say comes first, and the outbox sends it along with the replies of the round.
 * From 2.1 on the tick comes between that moment and the waiting, and what is published needs a round of its
 * own. Where the wake runs, all that has become due has made a request.
 */
static int plugin_on_tick(int event_number, void *event_data, void *user_data)
{
    (void)event_number;
    struct plugin *plugin = user_data;
    if (plugin->host.broker.is_2_1)
        plugin_want_every_tick(event_data);
    else
        plugin->host.outbox.moment = OUTBOX_AT_TICK;
    if (outbox_needs_rounds(&plugin->host.outbox))
        plugin_end_round(plugin);
    if (wake_tick(&plugin->host.wake) || !plugin->host.wake.running || plugin->idle_ticks-- == 0) {
        plugin->host.ticking = true;
        plugin_tick(plugin);
        plugin->host.ticking = false;
    }
    plugin_send(plugin);
    return MOSQ_ERR_SUCCESS;
}

/*
 * A connection has ended: DISCONNECT, and from 2.1 on CLIENT_OFFLINE where a session stays behind. It may
 * come twice, late, and for connections without an id; so only its address counts, which belongs to no other
 * client at this moment. Brokers before 2.1 give no reason, and mark a client as having asked for a new
 * session when another connection takes it over.
 */
static enum host_end plugin_kind_of_end(const struct plugin *plugin, int event_number, int reason)
{
    if (!plugin->host.broker.is_2_1)
        return HOST_END_UNKNOWN;
    if (event_number == EVENT_CLIENT_OFFLINE)
        return HOST_END_SESSION_WAITS;
    return reason == REASON_TAKEN_OVER ? HOST_END_TAKEN_OVER : HOST_END_SESSION_OVER;
}

static int plugin_on_disconnect(int event_number, void *event_data, void *user_data)
{
    const struct mosquitto_evt_disconnect *event = event_data;
    struct plugin *plugin = user_data;
    if (!event->client)
        return MOSQ_ERR_SUCCESS;
    bridges_forget(&plugin->host.bridges, event->client);
    const struct host_ending ending = {
        .id = mosquitto_client_id(event->client),
        .connection = event->client,
        .kind = plugin_kind_of_end(plugin, event_number, event->reason),
        .in_order = plugin->host.broker.is_2_1 && event->reason == MOSQ_ERR_SUCCESS,
        .clean_start = mosquitto_client_clean_session(event->client),
    };
    if (!ending.id)
        return MOSQ_ERR_SUCCESS;
    /* Before 2.1 a connection that was not taken over shows how it connected. Another one that is known under
     * its id has been taken over by it. */
    if (!plugin->host.broker.is_2_1 && !ending.clean_start)
        plugin_meet(plugin, event->client);
    const bool is_mqtt_3_session =
        mosquitto_client_protocol_version(event->client) != 5 && !ending.clean_start;
    outbox_end(&plugin->host.outbox, ending.id, event->client,
               ending.kind == HOST_END_SESSION_WAITS ||
                   (ending.kind == HOST_END_UNKNOWN && is_mqtt_3_session));
    plugin_see_outgoing(plugin);
    /* The broker may be in the middle of handing out what plugins have published, too late for more of it. */
    plugin->host.ticking = true;
    service_client_ended(plugin->service, &ending);
    plugin->host.ticking = false;
    plugin_set_alarm(plugin);
    return MOSQ_ERR_SUCCESS;
}

/*
 * SIGHUP: the broker reads its own files again at this moment, and the plugin its config_file. From 2.1 on
 * the event may come several times for one signal. It comes outside of all messages, too late for the round.
 */
static int plugin_on_reload(int event_number, void *event_data, void *user_data)
{
    (void)event_number, (void)event_data;
    struct plugin *plugin = user_data;
    plugin->host.ticking = true;
    const struct host host = broker_host_functions(&plugin->host);
    settings_reload(&plugin->settings, plugin->service, &host);
    plugin->host.ticking = false;
    plugin_set_alarm(plugin);
    return broker_reload_result(&plugin->host.broker);
}

/* ---- Registering ---- */

struct registration {
    int event;
    MOSQ_FUNC_generic_callback callback;
    bool may_lack; /* older brokers do not know the event */
};

static const struct registration plugin_registrations[] = {
    {MOSQ_EVT_MESSAGE, plugin_on_message, false},       {MOSQ_EVT_TICK, plugin_on_tick, false},
    {MOSQ_EVT_DISCONNECT, plugin_on_disconnect, false}, {EVENT_CLIENT_OFFLINE, plugin_on_disconnect, true},
    {MOSQ_EVT_RELOAD, plugin_on_reload, false},         {EVENT_CONNECT, plugin_on_presence, true},
    {EVENT_SUBSCRIBE, plugin_on_presence, true},
};

enum { REGISTRATIONS = sizeof plugin_registrations / sizeof plugin_registrations[0] };

static void plugin_unregister(struct plugin *plugin, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mosquitto_callback_unregister(plugin->identifier, plugin_registrations[i].event,
                                      plugin_registrations[i].callback, NULL);
    if (plugin->sees_outgoing)
        mosquitto_callback_unregister(plugin->identifier, EVENT_MESSAGE_OUT, plugin_on_message_out, NULL);
}

static bool plugin_register(struct plugin *plugin)
{
    for (size_t i = 0; i < REGISTRATIONS; i++) {
        const struct registration *registration = &plugin_registrations[i];
        const int rc = mosquitto_callback_register(plugin->identifier, registration->event,
                                                   registration->callback, NULL, plugin);
        if (rc == MOSQ_ERR_SUCCESS || (registration->may_lack && rc == MOSQ_ERR_NOT_SUPPORTED))
            continue;
        plugin_log_error(rc == MOSQ_ERR_ALREADY_EXISTS
                             ? "the plugin is loaded twice; one plugin line serves several prefixes: "
                               "plugin_opt_prefix first second"
                             : "the broker refused a callback");
        plugin_unregister(plugin, i);
        return false;
    }
    return true;
}

/* ---- Beginning and end ---- */

static bool plugin_read_config(struct plugin *plugin, const struct mosquitto_opt *options, int count)
{
    char why[OPTIONS_WHY] = "no memory for the options";
    struct option_line *lines = calloc((size_t)count + 1, sizeof *lines);
    for (int i = 0; lines && i < count; i++)
        lines[i] = (struct option_line){.name = options[i].key, .value = options[i].value};
    const bool is_fine = lines && settings_start(&plugin->settings, lines, (size_t)count, why);
    free(lines);
    if (!is_fine)
        plugin_log_error(why);
    return is_fine;
}

/* The wake comes first: engines wake the loop from their first moment on. */
static bool plugin_start(struct plugin *plugin)
{
    char why[SERVICE_WHY] = "no memory for the service";
    const struct plugin_options *options = plugin->settings.first->host_options;
    const struct host host = broker_host_functions(&plugin->host);
    plugin->host.mount_point = options->mount_point;
    if (!wake_start(&plugin->host.wake, options->safe_point, plugin_collect, plugin))
        mosquitto_log_printf(MOSQ_LOG_WARNING, "mosquitto-rpc: no signal or timer is free to wake the broker "
                                               "with; late results wait for its next round");
    if (plugin->host.broker.is_2_1)
        plugin->host.outbox.moment = OUTBOX_AT_ONCE;
    else if (wake_has_safe_point(&plugin->host.wake))
        plugin->host.outbox.moment = OUTBOX_AT_WAIT; /* until a TICK is seen */
    plugin->service = service_create(plugin->settings.first, &host);
    if (plugin->service && plugin->settings.status.file)
        service_show_reload(plugin->service, &plugin->settings.status);
    if (!plugin->service || !service_start(plugin->service, why)) {
        plugin_log_error(why);
        return false;
    }
    plugin->wants_presence = service_wants_presence(plugin->service);
    return plugin_register(plugin);
}

/*
 * Accepts a plugin that was not made to the end, except for its callbacks. Work that does not return does not
 * keep the broker from ending: its threads go on with what they use, the configuration included, and their
 * code is never unloaded.
 */
static void plugin_destroy(struct plugin *plugin)
{
    Dl_info own;
    const bool ended = !plugin->service || service_stop(plugin->service, STOP_PATIENCE);
    service_destroy(plugin->service);
    outbox_fini(&plugin->host.outbox);
    bridges_fini(&plugin->host.bridges);
    wake_stop(&plugin->host.wake);
    settings_fini(&plugin->settings, ended);
    if (!ended && dladdr(plugin_registrations, &own))
        (void)dlopen(own.dli_fname, RTLD_NOW | RTLD_NODELETE | RTLD_NOLOAD);
    free(plugin);
}

/* Two instances on one prefix are right where each belongs to a listener of its own, else a mistake. */
static void plugin_log_start(struct plugin *plugin)
{
    const struct config *config = plugin->settings.first;
    const struct host host = broker_host_functions(&plugin->host);
    char *text = config_describe(config);
    if (text)
        mosquitto_log_printf(MOSQ_LOG_NOTICE, "mosquitto-rpc " RPC_VERSION ": %s", text);
    free(text);
    if (plugin->settings.status.file)
        settings_log(&plugin->settings, &host, 0);
    for (size_t i = 0; i < config->prefix_count; i++) {
        const char *prefix = config->prefixes[i];
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
    if (!plugin_read_config(plugin, options, option_count) || !plugin_start(plugin)) {
        plugin_destroy(plugin);
        return MOSQ_ERR_INVAL;
    }
    plugin_log_start(plugin);
    plugin_set_alarm(plugin);
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
    plugin_unregister(plugin, REGISTRATIONS);
    claims_clear();
    plugin_destroy(plugin);
    return MOSQ_ERR_SUCCESS;
}

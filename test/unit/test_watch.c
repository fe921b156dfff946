// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What modules may do beside answering calls: rpc_send(), the presence feed, observing calls, rpc_decode().
 * The module is test/modules/watch.c.
 */
#include "rig.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

extern const rpc_module rpc_module_watch;
extern const rpc_module rpc_module_ping;

static struct rig rig;

static void open_rig(void)
{
    rig_open(&rig, &rpc_module_watch);
}

static void close_rig(void)
{
    rig_close(&rig);
}

/* ---- Sending ---- */

#define X100 X20 X20 X20 X20 X20
#define X20 "xxxxxxxxxxxxxxxxxxxx"
#define PAIR "{\"name\":\"a\",\"value\":\"1\"}"
#define EIGHT_PAIRS PAIR "," PAIR "," PAIR "," PAIR "," PAIR "," PAIR "," PAIR "," PAIR

START_TEST(sends_to_one_client)
{
    rig_expect(
        &rig, "watch.send",
        "{\"client\":\"lamp1\",\"topic\":\"cmd/lamp1/req\",\"text\":\"on\",\"qos\":1,\"expiry\":7,"
        "\"response_topic\":\"cmd/lamp1/resp\",\"correlation\":\"k7\",\"content_type\":\"text/plain\"}",
        "ok", "{}");
    ck_assert_uint_eq(rig.host.others.count, 1);
    const struct fake_message *sent = rig_last(&rig.host.others);
    ck_assert_str_eq(sent->topic, "cmd/lamp1/req");
    ck_assert_str_eq(sent->client, "lamp1");
    ck_assert_str_eq(sent->text, "on");
    ck_assert_str_eq(sent->response_topic, "cmd/lamp1/resp");
    ck_assert_str_eq(sent->content_type, "text/plain");
    ck_assert(sent->correlation_size == 2 && memcmp(sent->correlation, "k7", 2) == 0);
    ck_assert_int_eq(sent->qos, 1);
    ck_assert_uint_eq(sent->expiry, 7);
    ck_assert(!sent->retain && !sent->subscribed && !sent->connection);
}
END_TEST

START_TEST(sends_to_subscribers)
{
    rig_expect(&rig, "watch.send", "{\"topic\":\"a/b\",\"retain\":true}", "ok", "{}");
    const struct fake_message *sent = rig_last(&rig.host.others);
    ck_assert(sent->subscribed && sent->retain && !sent->has_client);
    ck_assert_uint_eq(sent->size, 0);
    ck_assert_str_eq(sent->status, "");
    ck_assert(!sent->has_correlation);
}
END_TEST

START_TEST(user_properties)
{
    rig_expect(&rig, "watch.send",
               "{\"topic\":\"a\",\"properties\":[{\"name\":\"seq\",\"value\":\"12\"},{\"name\":\"seq\","
               "\"value\":\"\"},"
               "{\"name\":\"#+ \xC3\xA4\",\"value\":\"/\"}]}",
               "ok", "{}");
    ck_assert_str_eq(rig_last(&rig.host.others)->properties, "seq=12;seq=;#+ \xC3\xA4=/;");
    rig_expect(&rig, "watch.send", "{\"topic\":\"a\",\"properties\":[" EIGHT_PAIRS "]}", "ok", "{}");
    ck_assert_uint_eq(rig_last(&rig.host.others)->property_count, 8);
}
END_TEST

/* Data that does not fit is explained in the log. */
static const struct typed {
    const char *params, *payload; /* NULL: it is not sent */
    rpc_status status;
} typed[] = {
    {"\"word\":\"on\"", "{\"word\":\"on\"}", RPC_OK},
    {"\"word\":\"\",\"any\":{\"n\":[9007199254740993,0.1]}",
     "{\"word\":\"\",\"any\":{\"n\":[9007199254740993,0.1]}}", RPC_OK},
    {"\"word\":\"lower\"", NULL, RPC_INVALID_PARAMS},
    {"\"word\":\"on\",\"text\":\"\"", NULL, RPC_INVALID_PARAMS},
    {"\"word\":\"on\",\"any\":\"" X100 X100 "\"", NULL, RPC_REPLY_TOO_LARGE},
};

START_TEST(typed_payloads)
{
    char params[400], reply[200];
    rig_close(&rig);
    rig_init(&rig);
    rig.options.max_reply = 200;
    rig_start(&rig);
    rig_add(&rig, &rpc_module_watch, NULL);
    snprintf(params, sizeof params, "{\"topic\":\"a\",%s}", typed[_i].params);
    snprintf(reply, sizeof reply,
             "{\"method\":\"watch.send\",\"err\":\"not_sent\",\"msg\":\"rpc_send() returned %d\"}",
             typed[_i].status);
    rig_expect(&rig, "watch.send", params, typed[_i].payload ? "ok" : "not_sent",
               typed[_i].payload ? "{}" : reply);
    ck_assert_uint_eq(rig.host.others.count, typed[_i].payload != NULL);
    if (typed[_i].payload)
        ck_assert_str_eq(rig_last(&rig.host.others)->text, typed[_i].payload);
    ck_assert_int_eq(fake_host_logged(&rig.host, "to a: word must have 0 to 4 characters, not 5"), _i == 2);
}
END_TEST

/* Each row: the host has no memory, or takes no more messages. */
START_TEST(what_the_host_does_not_take)
{
    const char *params[] = {"{\"topic\":\"a\",\"word\":\"on\",\"properties\":[" PAIR "]}",
                            "{\"topic\":\"a\"}"};
    rig_tell(&rig, "watch.send", params[_i % 2]);
    ck_assert_uint_eq(rig.host.others.count, 1);
    rig.host.no_memory = _i < 2;
    rig.host.drop = _i >= 2;
    rig_tell(&rig, "watch.send", params[_i % 2]);
    ck_assert_uint_eq(rig.host.others.count, 1);
    rig.host.no_memory = rig.host.drop = false;
    rig_tell(&rig, "watch.send", params[_i % 2]);
    ck_assert_uint_eq(rig.host.others.count, 2);
    ck_assert_str_eq(rig_last(&rig.host.others)->text, _i % 2 ? "" : "{\"word\":\"on\"}");
}
END_TEST

static const char *const unsendable[] = {
    "{\"topic\":\"a\",\"content_type\":\"\\u0001\"}",
    "{\"topic\":\"a\",\"properties\":[{\"name\":\"\",\"value\":\"1\"}]}",
    "{\"topic\":\"a\",\"properties\":[{\"name\":\"a\\n\",\"value\":\"1\"}]}",
    "{\"topic\":\"a\",\"properties\":[{\"name\":\"a\",\"value\":\"\\ufffe\"}]}",
    "{\"topic\":\"a\",\"properties\":[{\"name\":\"a\",\"value\":\"1\"}," EIGHT_PAIRS "]}",
    "{\"topic\":\"\"}",
    "{\"topic\":\"a/+\"}",
    "{\"topic\":\"a/#\"}",
    "{\"topic\":\"$SYS/a\"}",
    "{\"topic\":\"a\\u0001\"}",
    "{\"topic\":\"rpc/event/a\"}",
    "{\"topic\":\"rpc/call/ping\"}",
    "{\"topic\":\"rpc/reply/a\"}",
    "{\"topic\":\"a\",\"qos\":3}",
    "{\"topic\":\"a\",\"qos\":-1}",
    "{\"topic\":\"a\",\"client\":\"c\",\"retain\":true}",
    "{\"topic\":\"a\",\"response_topic\":\"\"}",
    "{\"topic\":\"a\",\"response_topic\":\"b/#\"}",
};

START_TEST(what_cannot_be_sent)
{
    char reply[200];
    snprintf(reply, sizeof reply,
             "{\"method\":\"watch.send\",\"err\":\"not_sent\",\"msg\":\"rpc_send() returned %d\"}",
             RPC_INVALID_PARAMS);
    rig_expect(&rig, "watch.send", unsendable[_i], "not_sent", reply);
    ck_assert_uint_eq(rig.host.others.count, 0);
    ck_assert(fake_host_logged(&rig.host, "module watch sends a message that cannot be sent"));
}
END_TEST

static rpc_status send_nothing(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    rpc_instance *instance = rpc_call_instance(call);
    const rpc_publication payload = {.topic = "a", .size = 1};
    const rpc_publication correlation = {.topic = "a", .correlation_size = 1};
    const rpc_publication properties = {.topic = "a", .property_count = 1};
    static char long_text[65537];
    memset(long_text, 'x', sizeof long_text - 1);
    const rpc_property unnamed = {NULL, "1"}, valueless = {"a", NULL}, longer = {"a", long_text};
    const rpc_publication too_long = {.topic = "a", .properties = &longer, .property_count = 1};
    const rpc_publication name = {.topic = "a", .properties = &unnamed, .property_count = 1};
    const rpc_publication value = {.topic = "a", .properties = &valueless, .property_count = 1};
    static const rpc_shape bytes = RPC_BYTES_SHAPE;
    const rpc_bytes some = {"x", 1};
    const rpc_publication shape = {.topic = "a", .shape = &bytes}, data = {.topic = "a", .data = &some};
    const rpc_publication raw = {.topic = "a", .shape = &bytes, .data = &some};
    const rpc_publication *all[] = {&payload, &correlation, &properties, &name,    &value,
                                    &shape,   &data,        &raw,        &too_long};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        ck_assert_int_eq(rpc_send(instance, all[i]), RPC_INVALID_PARAMS);
    return RPC_OK;
}

static const rpc_method sends[] = {{.name = "nothing", .doc = "d", .run = send_nothing}};
static const rpc_module sender = {.name = "sender", .doc = "d", .methods = RPC_TABLE(sends)};

START_TEST(what_is_not_there)
{
    rig_add(&rig, &sender, NULL);
    rig_expect(&rig, "nothing", "", "ok", "{}");
    ck_assert_uint_eq(rig.host.others.count, 0);
    ck_assert(fake_host_logged(&rig.host, "module sender sends a message that cannot be sent, to a"));
}
END_TEST

/* Each row: what the host or the engine lacks, and what rpc_send() returns then. */
START_TEST(what_is_in_the_way)
{
    static const rpc_status statuses[] = {RPC_REPLY_TOO_LARGE, RPC_INTERNAL_ERROR, RPC_OK};
    char reply[200];
    rig_close(&rig);
    rig_init(&rig);
    rig.options.max_reply = _i == 0 ? 200 : 65536;
    rig.host.host.replies_to_caller = _i != 1;
    rig_start(&rig);
    rig_add(&rig, &rpc_module_watch, NULL);
    snprintf(reply, sizeof reply,
             "{\"method\":\"watch.send\",\"err\":\"not_sent\",\"msg\":\"rpc_send() returned %d\"}",
             statuses[_i]);
    char params[400];
    snprintf(params, sizeof params, "{\"client\":\"c\",\"topic\":\"a\",\"text\":\"%0250d\"}", 0);
    rig_expect(&rig, "watch.send", params, statuses[_i] == RPC_OK ? "ok" : "not_sent",
               statuses[_i] == RPC_OK ? "{}" : reply);
    ck_assert_uint_eq(rig.host.others.count, statuses[_i] == RPC_OK);
}
END_TEST

/* ---- Presence ---- */

static int first, second; /* connections */

static void notice(rpc_sign sign, const char *id, const void *connection, const char *filter)
{
    const struct host_client client = {.id = id, .version = 5, .connection = connection};
    engine_presence(rig.engine, &(const struct host_presence){sign, &client, filter});
}

START_TEST(signs_of_clients)
{
    ck_assert(engine_wants_presence(rig.engine));
    notice(RPC_SIGN_CONNECTED, "lamp1", &first, NULL);
    notice(RPC_SIGN_SUBSCRIBED, "lamp1", &first, "cmd/lamp1/req");
    notice(RPC_SIGN_SEEN, "lamp1", &first, NULL);
    notice(RPC_SIGN_SEEN, "lamp2", &second, NULL);
    engine_client_ended(rig.engine, &(const struct host_ending){.id = "lamp1", .connection = &first});
    rig_expect(&rig, "watch.signs", "{}", "ok",
               "{\"signs\":[{\"sign\":\"connected\",\"client\":\"lamp1\"},"
               "{\"sign\":\"subscribed\",\"client\":\"lamp1\",\"filter\":\"cmd/lamp1/req\"},"
               "{\"sign\":\"seen\",\"client\":\"lamp1\"},{\"sign\":\"seen\",\"client\":\"lamp2\"},"
               "{\"sign\":\"gone\",\"client\":\"lamp1\"}]}");
}
END_TEST

static void look(bool at_messages)
{
    rig_expect(&rig, "watch.look", at_messages ? "{}" : "{\"at_messages\":false}", "ok", "{}");
    ck_assert_uint_eq(rig.host.watchers, at_messages);
}

START_TEST(only_messages_need_not_be_seen)
{
    ck_assert_uint_eq(rig.host.watchers, 1);
    look(false);
    look(false);
    ck_assert(engine_wants_presence(rig.engine));
    notice(RPC_SIGN_SEEN, "lamp1", &first, NULL);
    notice(RPC_SIGN_CONNECTED, "lamp1", &first, NULL);
    notice(RPC_SIGN_SUBSCRIBED, "lamp1", &first, "a");
    engine_client_ended(rig.engine, &(const struct host_ending){.id = "lamp1", .connection = &first});
    look(true);
    look(true);
    notice(RPC_SIGN_SEEN, "lamp2", &second, NULL);
    rig_expect(&rig, "watch.signs", "{}", "ok",
               "{\"signs\":[{\"sign\":\"connected\",\"client\":\"lamp1\"},"
               "{\"sign\":\"subscribed\",\"client\":\"lamp1\",\"filter\":\"a\"},"
               "{\"sign\":\"gone\",\"client\":\"lamp1\"},{\"sign\":\"seen\",\"client\":\"lamp2\"}]}");
}
END_TEST

static int noticed, blind_noticed;

/* Looks away after a message, until another sign comes. */
static void notice_and_look_away(rpc_instance *instance, void *state, const rpc_presence *presence)
{
    (void)state;
    noticed++;
    rpc_presence_watch(instance, presence->sign != RPC_SIGN_SEEN);
}

static void notice_blindly(rpc_instance *instance, void *state, const rpc_presence *presence)
{
    (void)instance, (void)state;
    ck_assert_int_ne(presence->sign, RPC_SIGN_SEEN);
    blind_noticed++;
}

static rpc_status look_away(rpc_instance *instance, void *state, const void *options)
{
    (void)state, (void)options;
    rpc_presence_watch(instance, false);
    return RPC_OK;
}

static rpc_status refuse_to_start(rpc_instance *instance, void *state, const void *options)
{
    (void)instance, (void)state, (void)options;
    return RPC_INTERNAL_ERROR;
}

START_TEST(each_instance_has_its_own_eyes)
{
    static const rpc_module other = {.name = "other", .doc = "d", .presence = notice_and_look_away};
    static const rpc_module blind = {
        .name = "blind", .doc = "d", .presence = notice_blindly, .init = look_away};
    rig_add(&rig, &other, NULL);
    rig_add(&rig, &blind, NULL);
    ck_assert_uint_eq(rig.host.watchers, 2);
    notice(RPC_SIGN_SEEN, "lamp1", &first, NULL);
    ck_assert_uint_eq(rig.host.watchers, 1);
    notice(RPC_SIGN_SEEN, "lamp1", &first, NULL);
    ck_assert(noticed == 1 && blind_noticed == 0);
    notice(RPC_SIGN_CONNECTED, "lamp1", &first, NULL);
    ck_assert_uint_eq(rig.host.watchers, 2);
    notice(RPC_SIGN_SEEN, "lamp1", &first, NULL);
    ck_assert(noticed == 3 && blind_noticed == 1);
}
END_TEST

/* rig_close() checks that the host is told of each end. */
START_TEST(a_module_that_does_not_start_sees_nothing_afterwards)
{
    static const rpc_module broken = {
        .name = "broken", .doc = "d", .presence = notice_and_look_away, .init = refuse_to_start};
    char why[ENGINE_WHY];
    ck_assert(!engine_add_module(rig.engine, &broken, NULL, why));
}
END_TEST

START_TEST(without_presence_there_is_nothing_to_watch)
{
    static const rpc_module sightless = {.name = "sightless", .doc = "d", .init = look_away};
    rig_add(&rig, &sightless, NULL);
    ck_assert_uint_eq(rig.host.watchers, 1);
    ck_assert(fake_host_logged(&rig.host, "module sightless watches for clients, but has no .presence"));
}
END_TEST

START_TEST(an_engine_without_watchers)
{
    rig_close(&rig);
    rig_open(&rig, &rpc_module_ping);
    ck_assert(!engine_wants_presence(rig.engine) && !rig.host.watchers);
    notice(RPC_SIGN_SEEN, "lamp1", &first, NULL);
    engine_client_ended(rig.engine, &(const struct host_ending){.id = "lamp1", .connection = &first});
}
END_TEST

/* ---- Observing ---- */

/* Calls of all modules count, each once; those of unknown methods do not. */
START_TEST(calls_are_observed)
{
    rig_add(&rig, &rpc_module_ping, NULL);
    rig.host.step = 1000;
    rig_ask(&rig, "ping", "{}");
    rig_ask(&rig, "ping", "broken");
    rig_ask(&rig, "none", "{}");
    rig_tell(&rig, "watch.part", "{\"number\":10}");
    rig_send(&rig, "rpc/batch/ping", "[{},{},1]", RIG_REPLY, NULL);
    const struct fake_message *reply = rig_ask(&rig, "watch.observed", "{}");
    ck_assert_ptr_nonnull(strstr(reply->text, "{\"calls\":6,\"errors\":3,\"own\":1,\"longest\":"));
    ck_assert_ptr_null(strstr(reply->text, "\"longest\":0"));
}
END_TEST

/* ---- Decoding ---- */

#define NO_PART(status) \
    "{\"method\":\"watch.decode\",\"err\":\"no_part\",\"msg\":\"rpc_decode() returned " status "\"}"

static const struct decoding {
    const char *params, *status, *reply;
} decodings[] = {
    {"{\"part\":{\"number\":7}}", "ok", "{\"number\":7,\"word\":\"none\"}"},
    {"{\"part\":{\"number\":9,\"word\":\"abc\"}}", "ok", "{\"number\":9,\"word\":\"abc\"}"},
    {"{\"part\":{\"number\":10}}", "no_part", NO_PART("4")},
    {"{\"part\":[]}", "no_part", NO_PART("4")},
    {"{\"part\":{\"number\":7},\"stray\":true}", "no_part", NO_PART("5")},
};

START_TEST(parts_are_decoded)
{
    ck_assert_int_eq(RPC_INVALID_PARAMS, 4);
    ck_assert_int_eq(RPC_INTERNAL_ERROR, 5);
    rig_expect(&rig, "watch.decode", decodings[_i].params, decodings[_i].status, decodings[_i].reply);
    ck_assert_int_eq(fake_host_logged(&rig.host, "decodes a shape that is no method's parameters"),
                     strstr(decodings[_i].params, "stray") != NULL);
}
END_TEST

UNIT_MAIN("watch", open_rig, close_rig, {sends_to_one_client, 0}, {sends_to_subscribers, 0},
          {user_properties, 0}, {what_the_host_does_not_take, 4}, {typed_payloads, UNIT_ROWS(typed)},
          {what_is_not_there, 0}, {what_cannot_be_sent, UNIT_ROWS(unsendable)}, {what_is_in_the_way, 3},
          {signs_of_clients, 0}, {only_messages_need_not_be_seen, 0}, {each_instance_has_its_own_eyes, 0},
          {a_module_that_does_not_start_sees_nothing_afterwards, 0},
          {without_presence_there_is_nothing_to_watch, 0}, {an_engine_without_watchers, 0},
          {calls_are_observed, 0}, {parts_are_decoded, UNIT_ROWS(decodings)})

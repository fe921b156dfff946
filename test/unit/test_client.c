// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* clients/c on a network that the test plays: what is sent, when it is sent again, how calls end, and that
 * nothing is lost when memory is short. */
#include "failing_malloc.h"
#include "fake_mosquitto.h"
#include "unit.h"

#include <mosquitto.h>
#include <stdio.h>
#include <string.h>

#include <mosquitto_rpc_client.h>

enum { ENDS = 64, PLENTY = 2000 };

static struct rpc_client *client;
static struct rpc_client_options options;
static enum rpc_client_status ends[ENDS];
static int end_count, event_count;
static char last_text[FAKE_TEXT], last_msg[FAKE_TEXT], reply_topic[FAKE_TEXT];

static void setup(void)
{
    fake_reset();
    options = (struct rpc_client_options)RPC_CLIENT_DEFAULTS;
    options.client_id = "me";
    end_count = event_count = 0;
    ck_assert_int_eq(rpc_client_create(&client, &options), RPC_CLIENT_OK);
    strcpy(reply_topic, "rpc/reply/me/rpc");
}

static void teardown(void)
{
    rpc_client_destroy(client);
    ck_assert_int_eq(fake.live, 0);
}

/* A client with other options in the place of the usual one. */
static void make_again(void)
{
    rpc_client_destroy(client);
    ck_assert_int_eq(rpc_client_create(&client, &options), RPC_CLIENT_OK);
}

static void note_end(void *user, const struct rpc_client_reply *reply)
{
    (void)user;
    ends[end_count++] = reply->status;
    snprintf(last_text, sizeof last_text, "%s", reply->text ? reply->text : "");
    snprintf(last_msg, sizeof last_msg, "%s", reply->msg ? reply->msg : "");
}

static void note_event(void *user, const struct rpc_client_event *event)
{
    (void)user;
    event_count += event->status == RPC_CLIENT_OK ? 1 : 100;
}

static enum rpc_client_status send_call(const char *payload, int timeout_ms, char *id)
{
    struct rpc_client_request request = {
        .method = "m", .payload = payload, .timeout_ms = timeout_ms, .on_reply = note_end};
    return rpc_client_send(client, &request, id);
}

static void run_for(int ms)
{
    for (long long until = fake.now + ms; fake.now < until;)
        rpc_client_run(client, (int)(until - fake.now));
}

static void reply(const struct fake_sent *call, const char *payload)
{
    fake_deliver(reply_topic, payload, call->id, "ok");
}

START_TEST(calls_are_sent_again_in_order_with_the_same_bytes)
{
    static const char *const payloads[] = {"{\"n\":0}", "{\"n\":1}", "{\"n\":2}", "{\"n\":3}"};
    struct fake_sent first[4];
    for (int at = 0; at < 4; at++)
        ck_assert_int_eq(send_call(payloads[at], 60000, NULL), RPC_CLIENT_OK);
    ck_assert_uint_eq(fake.sent_count, 0);
    run_for(100);
    ck_assert_uint_eq(fake.sent_count, 4);
    memcpy(first, fake.sent, sizeof first);
    for (int at = 0; at < 4; at++) {
        ck_assert_str_eq(first[at].topic, "rpc/call/m");
        ck_assert_str_eq(first[at].payload, payloads[at]);
        ck_assert_uint_eq(strlen(first[at].id), 32);
        ck_assert_str_eq(first[at].timeout, "60000");
        ck_assert_int_eq(first[at].qos, 1);
    }
    for (int round = 0; round < 5; round++) {
        fake_forget();
        fake.cuts = true;
        run_for(20000);
        ck_assert_uint_eq(fake.sent_count, (round < 3 ? 4u : 0u));
        for (size_t at = 0; at < fake.sent_count; at++) {
            ck_assert_str_eq(fake.sent[at].id, first[at].id);
            ck_assert_str_eq(fake.sent[at].payload, first[at].payload);
            ck_assert_str_eq(fake.sent[at].timeout, first[at].timeout);
        }
    }
    ck_assert_int_eq(fake.connections, 6);
    ck_assert_int_eq(end_count, 4);
    ck_assert_int_eq(ends[0], RPC_CLIENT_TIMEOUT);
}
END_TEST

START_TEST(what_was_answered_is_not_sent_again)
{
    for (int at = 0; at < 3; at++)
        send_call("{}", 0, NULL);
    run_for(100);
    struct fake_sent second = fake.sent[1], third = fake.sent[2];
    reply(&second, "{\"a\":1}");
    run_for(100);
    ck_assert_int_eq(end_count, 1);
    ck_assert_str_eq(last_text, "{\"a\":1}");
    fake_forget();
    fake.cuts = true;
    run_for(2000);
    ck_assert_uint_eq(fake.sent_count, 2);
    ck_assert_str_eq(fake.sent[1].id, third.id);
    reply(&second, "{\"late\":1}");
    run_for(100);
    ck_assert_int_eq(end_count, 1);
    ck_assert_uint_eq(rpc_client_pending(client), 2);
}
END_TEST

START_TEST(a_call_ends_a_second_after_its_time)
{
    send_call("{}", 500, NULL);
    run_for(1400);
    ck_assert_int_eq(end_count, 0);
    run_for(300);
    ck_assert_int_eq(end_count, 1);
    ck_assert_int_eq(ends[0], RPC_CLIENT_TIMEOUT);
    ck_assert_str_eq(last_msg, "no reply has come in time");
}
END_TEST

START_TEST(without_a_connection_calls_wait)
{
    fake.accepts = -1;
    send_call("{}", 60000, NULL);
    send_call("{}", 500, NULL);
    run_for(5000);
    ck_assert_int_eq(end_count, 1);
    ck_assert_str_eq(last_msg, "there was no connection in time: localhost port 1883: Connection refused");
    fake.accepts = 0;
    run_for(20000);
    ck_assert_uint_eq(fake.sent_count, 1);
    ck_assert_uint_eq(rpc_client_pending(client), 1);
}
END_TEST

START_TEST(a_client_tries_less_and_less_often)
{
    int tries = 0;
    fake.accepts = 137 /* Server Busy */;
    for (int at = 0; at < 6000; at++) {
        long long before = fake.now;
        rpc_client_run(client, 100);
        tries += fake.now == before;
    }
    ck_assert_int_le(tries, 200);
    ck_assert_int_eq(rpc_client_connect(client, 100), RPC_CLIENT_DISCONNECTED);
    fake.accepts = 135; /* Not Authorized */
    ck_assert_int_eq(rpc_client_connect(client, 100), RPC_CLIENT_REFUSED);
    ck_assert_int_eq(fake.live, 0);
    fake.accepts = 0;
    ck_assert_int_eq(rpc_client_connect(client, 100), RPC_CLIENT_OK);
}
END_TEST

START_TEST(running_ends_when_the_connection_comes_or_goes)
{
    long long begun = fake.now;
    ck_assert_int_eq(rpc_client_run(client, 10000), RPC_CLIENT_OK);
    fake.cuts = true;
    ck_assert_int_eq(rpc_client_run(client, 10000), RPC_CLIENT_DISCONNECTED);
    ck_assert_int_eq(rpc_client_run(client, 10000), RPC_CLIENT_OK);
    ck_assert_int_lt(fake.now - begun, 5000);
}
END_TEST

START_TEST(limits)
{
    options.max_pending = 2;
    options.max_pending_bytes = 1000;
    make_again();
    char large[900];
    memset(large, ' ', sizeof large);
    large[sizeof large - 1] = 0;
    ck_assert_int_eq(send_call(large, 0, NULL), RPC_CLIENT_OVERLOADED);
    ck_assert_int_eq(send_call("{}", 0, NULL), RPC_CLIENT_OK);
    ck_assert_int_eq(send_call("{}", 0, NULL), RPC_CLIENT_OK);
    ck_assert_int_eq(send_call("{}", 0, NULL), RPC_CLIENT_OVERLOADED);
    run_for(100);
    reply(&fake.sent[0], "{}");
    run_for(100);
    ck_assert_int_eq(send_call("{}", 0, NULL), RPC_CLIENT_OK);
}
END_TEST

START_TEST(cancelled_calls_are_forgotten)
{
    char id[RPC_CLIENT_ID_SIZE];
    send_call("{}", 0, id);
    run_for(100);
    ck_assert(rpc_client_cancel(client, id));
    ck_assert(!rpc_client_cancel(client, id));
    reply(&fake.sent[0], "{}");
    run_for(20000);
    ck_assert_int_eq(end_count, 0);
    ck_assert_uint_eq(rpc_client_pending(client), 0);
}
END_TEST

static char other_id[RPC_CLIENT_ID_SIZE];
static unsigned long subscription;

static void do_all(void *user, const struct rpc_client_reply *got)
{
    struct rpc_client_reply none;
    note_end(user, got);
    rpc_client_cancel(client, other_id);
    send_call("{}", 0, NULL);
    rpc_client_unsubscribe(client, subscription);
    ck_assert_int_eq(rpc_client_run(client, 0), RPC_CLIENT_INVALID);
    ck_assert_int_eq(rpc_client_connect(client, 0), RPC_CLIENT_INVALID);
    ck_assert_int_eq(rpc_client_call(client, &(struct rpc_client_request){.method = "m"}, &none),
                     RPC_CLIENT_INVALID);
    rpc_client_reply_clear(&none);
}

START_TEST(callbacks_may_do_all_but_wait)
{
    struct rpc_client_request request = {.method = "m", .timeout_ms = 500, .on_reply = do_all};
    rpc_client_subscribe(client, "e", note_event, NULL, &subscription);
    rpc_client_send(client, &request, NULL);
    rpc_client_send(client, &request, NULL);
    send_call("{}", 60000, other_id);
    run_for(100);
    reply(&fake.sent[0], "{}");
    run_for(100);
    ck_assert_int_eq(end_count, 1);
    ck_assert_uint_eq(fake.unsubscribed_count, 1);
    run_for(1500); /* the second one ends in its time, and sends another */
    ck_assert_int_eq(end_count, 2);
    ck_assert_uint_eq(rpc_client_pending(client), 2);
    ck_assert_uint_eq(fake.sent_count, 5);
}
END_TEST

static void send_another(void *user, const struct rpc_client_reply *got)
{
    note_end(user, got);
    ends[end_count++] = send_call("{}", 0, NULL);
}

START_TEST(a_client_that_is_destroyed_ends_its_calls)
{
    struct rpc_client_request request = {.method = "m", .on_reply = send_another};
    rpc_client_send(client, &request, NULL);
    rpc_client_destroy(client);
    ck_assert_int_eq(end_count, 2);
    ck_assert_int_eq(ends[0], RPC_CLIENT_CLOSED);
    ck_assert_int_eq(ends[1], RPC_CLIENT_CLOSED);
    ck_assert_int_eq(rpc_client_create(&client, &options), RPC_CLIENT_OK);
}
END_TEST

START_TEST(what_the_broker_refuses)
{
    send_call("{}", 0, NULL);
    run_for(100);
    fake_acknowledge(fake.sent[0].mid, 0x10);
    run_for(100);
    ck_assert_int_eq(end_count, 0);
    fake_acknowledge(fake.sent[0].mid, 0x87);
    run_for(100);
    ck_assert_int_eq(end_count, 1);
    ck_assert_int_eq(ends[0], RPC_CLIENT_REFUSED);
    fake.refuse_publish = MOSQ_ERR_OVERSIZE_PACKET;
    send_call("{}", 0, NULL);
    run_for(100);
    ck_assert_int_eq(ends[1], RPC_CLIENT_TOO_LARGE);
    fake.refuse_publish = MOSQ_ERR_NOMEM;
    send_call("{}", 0, NULL);
    run_for(100);
    ck_assert_int_eq(end_count, 2);
    fake.refuse_publish = 0;
    fake_forget();
    run_for(100);
    ck_assert_uint_eq(fake.sent_count, 1);
}
END_TEST

static void run_until_sent(void)
{
    while (!fake.sent_count)
        run_for(50);
}

static void cut_connection(void)
{
    fake_forget();
    fake.cuts = true;
    run_for(50);
}

static void begin_3_1_1(int qos)
{
    options.protocol = 311;
    options.qos = qos;
    make_again();
    send_call("{\"n\":1}", 600000, NULL);
    send_call("{\"large\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}", 600000, NULL);
    send_call("{\"n\":2}", 600000, NULL);
    run_for(100);
    ck_assert_uint_eq(fake.sent_count, 3);
}

/* With MQTT 3.1.1 the broker ends the connection, and the client finds out at which call. */
START_TEST(a_call_that_is_too_large_is_sent_three_times)
{
    begin_3_1_1(_i);
    for (int at = 0; at < 3; at++) {
        ck_assert_int_eq(end_count, 0);
        run_until_sent();
        ck_assert_uint_eq(fake.sent_count, 3);
        cut_connection();
    }
    ck_assert_int_eq(end_count, 1);
    ck_assert_int_eq(ends[0], RPC_CLIENT_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(last_msg, "max_packet_size"));
    run_until_sent();
    ck_assert_uint_eq(fake.sent_count, 2);
    ck_assert_uint_eq(rpc_client_pending(client), 2);
}
END_TEST

/* What the broker has taken, or what was sent long ago, is not the reason. With MQTT 5 the broker says so. */
START_TEST(other_losses_of_the_connection_end_no_call)
{
    begin_3_1_1(_i);
    for (int at = 0; at < 10; at++) {
        run_until_sent();
        for (size_t sent = 0; sent < fake.sent_count; sent++)
            fake_acknowledge(fake.sent[sent].mid, 0);
        run_for(_i ? 100 : 5000);
        cut_connection();
    }
    ck_assert_int_eq(end_count, 0);
    options.protocol = 5;
    make_again();
    end_count = 0;
    send_call("{}", 600000, NULL);
    for (int at = 0; at < 10; at++) {
        run_until_sent();
        cut_connection();
    }
    ck_assert_int_eq(end_count, 0);
}
END_TEST

START_TEST(events_share_subscriptions)
{
    unsigned long first, second;
    rpc_client_run(client, 10);
    ck_assert_str_eq(fake.subscribed[0].topic, "rpc/reply/me/#");
    fake_forget();
    ck_assert_int_eq(rpc_client_subscribe(client, "e/#", note_event, NULL, &first), RPC_CLIENT_OK);
    ck_assert_int_eq(rpc_client_subscribe(client, "e/#", note_event, NULL, &second), RPC_CLIENT_OK);
    ck_assert_int_eq(rpc_client_subscribe(client, "a/#/b", note_event, NULL, NULL), RPC_CLIENT_INVALID);
    ck_assert_int_eq(rpc_client_subscribe(client, "", note_event, NULL, NULL), RPC_CLIENT_INVALID);
    ck_assert_uint_eq(fake.subscribed_count, 1);
    fake_deliver("rpc/event/e/x", "{}", NULL, NULL);
    fake_deliver("rpc/event/f", "{}", NULL, NULL);
    fake_deliver("rpc/event/e", "", NULL, NULL);
    run_for(300);
    ck_assert_int_eq(event_count, 4);
    fake_grant(fake.subscribed[0].mid, 0x87);
    ck_assert_int_eq(event_count, 204);
    ck_assert(rpc_client_unsubscribe(client, first));
    ck_assert(!rpc_client_unsubscribe(client, first));
    ck_assert_uint_eq(fake.unsubscribed_count, 0);
    fake.cuts = true;
    fake_forget();
    run_for(2000);
    ck_assert_uint_eq(fake.subscribed_count, 2);
    ck_assert_str_eq(fake.subscribed[1].topic, "rpc/event/e/#");
    ck_assert(rpc_client_unsubscribe(client, second));
    ck_assert_uint_eq(fake.unsubscribed_count, 1);
}
END_TEST

/* Also those that were made before there was a connection, and after each new one: a broker sends what is
 * retained for each SUBSCRIBE, to all of them. */
START_TEST(one_subscribe_for_each_filter)
{
    unsigned long ids[3];
    for (int at = 0; at < 3; at++)
        ck_assert_int_eq(rpc_client_subscribe(client, at < 2 ? "e" : "f", note_event, NULL, &ids[at]),
                         RPC_CLIENT_OK);
    for (int round = 0; round < 3; round++) {
        fake_forget();
        fake.cuts = round > 0;
        run_for(2000);
        ck_assert_uint_eq(fake.subscribed_count, 3);
        ck_assert_str_eq(fake.subscribed[1].topic, "rpc/event/e");
        ck_assert_str_eq(fake.subscribed[2].topic, "rpc/event/f");
        if (round == 1) /* the second one stands for itself from now on */
            ck_assert(rpc_client_unsubscribe(client, ids[0]));
        event_count = 0;
        fake_grant(fake.subscribed[1].mid, 0x87);
        ck_assert_int_eq(event_count, round ? 100 : 200);
    }
    ck_assert_uint_eq(fake.unsubscribed_count, 0);
}
END_TEST

START_TEST(options_that_are_wrong)
{
    static const struct rpc_client_options base = RPC_CLIENT_DEFAULTS;
    struct rpc_client_options wrong[12];
    for (int at = 0; at < UNIT_ROWS(wrong); at++)
        wrong[at] = base;
    wrong[0].client_id = "a/b";
    wrong[1].client_id = "a+";
    wrong[2].prefix = "#";
    wrong[3].prefix = "";
    wrong[4].qos = 3;
    wrong[5].protocol = 3;
    wrong[6].timeout_ms = 0;
    wrong[7].password = "x";
    wrong[8].psk = "x";
    wrong[9].certfile = "x";
    wrong[10].max_reply = 0;
    wrong[11].client_id = "\xff";
    for (int at = 0; at < UNIT_ROWS(wrong); at++) {
        struct rpc_client *made;
        ck_assert_ptr_nonnull(rpc_client_check(&wrong[at]));
        ck_assert_int_eq(rpc_client_create(&made, &wrong[at]), RPC_CLIENT_INVALID);
        ck_assert_ptr_null(made);
    }
    ck_assert_ptr_null(rpc_client_check(&base));
}
END_TEST

/* ---- Memory ---- */

START_TEST(properties_are_sent_with_every_copy)
{
    static const struct rpc_client_property properties[] = {{"offline", "queue"}, {"ttl-ms", ""}};
    const struct rpc_client_request request = {.method = "device/lamp 1/light",
                                               .payload = "{}",
                                               .timeout_ms = 1000,
                                               .properties = properties,
                                               .property_count = 2};
    ck_assert_int_eq(rpc_client_send(client, &request, NULL), RPC_CLIENT_OK);
    run_for(100);
    fake.cuts = true;
    run_for(900);
    ck_assert_uint_eq(fake.sent_count, 2);
    for (size_t at = 0; at < 2; at++)
        ck_assert_str_eq(fake.sent[at].properties, "timeout-ms=1000;offline=queue;ttl-ms=;");
}
END_TEST

START_TEST(properties_that_cannot_be_sent)
{
    static char large[65540];
    const struct rpc_client_property bad[] = {
        {"", "x"}, {"a\xff", "x"}, {"a", "\xff"}, {large, "x"}, {"a", large}};
    memset(large, 'a', sizeof large - 1);
    struct rpc_client_request request = {.method = "m", .property_count = 1};
    for (size_t at = 0; at < sizeof bad / sizeof *bad; at++) {
        request.properties = &bad[at];
        ck_assert_int_eq(rpc_client_send(client, &request, NULL), RPC_CLIENT_INVALID);
    }
    options.protocol = 311;
    make_again();
    request.properties = &(struct rpc_client_property){"a", "b"};
    ck_assert_int_eq(rpc_client_send(client, &request, NULL), RPC_CLIENT_INVALID);
}
END_TEST

START_TEST(properties_count_as_bytes_that_wait)
{
    static char large[5000];
    memset(large, 'a', sizeof large - 1);
    const struct rpc_client_property property = {"a", large};
    const struct rpc_client_request request = {.method = "m", .properties = &property, .property_count = 1};
    options.max_pending_bytes = 4000;
    make_again();
    ck_assert_int_eq(rpc_client_send(client, &request, NULL), RPC_CLIENT_OVERLOADED);
}
END_TEST

START_TEST(a_methods_own_deadline_is_left_as_it_is)
{
    const struct rpc_client_request request = {
        .method = "m", .timeout_ms = 500, .keeps_deadline = true, .on_reply = note_end};
    for (int protocol = 5; protocol; protocol = protocol == 5 ? 311 : 0) {
        options.protocol = protocol;
        make_again();
        end_count = 0;
        fake_forget();
        ck_assert_int_eq(rpc_client_send(client, &request, NULL), RPC_CLIENT_OK);
        run_for(1400);
        ck_assert_uint_eq(fake.sent_count, 1);
        ck_assert_str_eq(fake.sent[0].timeout, "");
        ck_assert_ptr_null(strstr(fake.sent[0].payload, "timeout"));
        ck_assert_int_eq(end_count, 0);
        run_for(300);
        ck_assert_int_eq(end_count, 1);
    }
}
END_TEST

static int accepted, closed_count;

static void count_end(void *user, const struct rpc_client_reply *got)
{
    (void)user;
    ends[end_count++] = got->status;
    closed_count += got->status == RPC_CLIENT_CLOSED;
}

static void count_event(void *user, const struct rpc_client_event *event)
{
    (void)user, (void)event;
}

/* A life of a client that calls, loses its connection, and gets its replies, with as few checks as it can. */
static void live(void)
{
    struct rpc_client *made;
    struct rpc_client_request request = {.method = "m", .payload = "{\"a\":1}", .on_reply = count_end};
    struct rpc_client_reply got;
    fake_reset();
    end_count = accepted = closed_count = 0;
    if (rpc_client_create(&made, &options))
        return;
    for (int at = 0; at < 3; at++)
        accepted += rpc_client_send(made, &request, NULL) == RPC_CLIENT_OK;
    rpc_client_subscribe(made, "e/#", count_event, NULL, NULL);
    for (int at = 0; at < 40; at++)
        rpc_client_run(made, 50);
    if (fake.sent_count) {
        fake_deliver(reply_topic, "{\"b\":[1,2,{\"c\":3}]}", fake.sent[0].id, "ok");
        fake_deliver("rpc/event/e/x", "{\"d\":1}", NULL, NULL);
    }
    for (int at = 0; at < 10; at++)
        rpc_client_run(made, 50);
    fake.cuts = fake.is_connected;
    for (int at = 0; at < 40; at++)
        rpc_client_run(made, 50);
    if (fake.sent_count > 1)
        fake_deliver(reply_topic, "{\"err\":\"x\",\"msg\":\"y\"}", fake.sent[1].id, "x");
    request.timeout_ms = 100;
    rpc_client_call(made, &request, &got);
    rpc_client_reply_clear(&got);
    rpc_client_destroy(made);
}

START_TEST(nothing_is_lost_when_memory_is_short)
{
    const enum failing_mode mode = _i ? FAILING_FROM : FAILING_ONCE;
    size_t n = 0;
    rpc_client_destroy(client);
    client = NULL;
    for (bool failed = true; failed; n++) {
        ck_assert_uint_lt(n, PLENTY);
        failing_arm(mode, n);
        live();
        failed = failing_disarm();
        ck_assert_uint_eq(failing_live(), 0);
        ck_assert_int_eq(end_count, accepted);
        ck_assert_int_eq(fake.live, 0);
    }
    ck_assert_uint_gt(n, 10);
    ck_assert_int_eq(accepted, 3);
    ck_assert_int_eq(closed_count, 1);
}
END_TEST

UNIT_MAIN("client", setup, teardown, {calls_are_sent_again_in_order_with_the_same_bytes, 0},
          {what_was_answered_is_not_sent_again, 0}, {a_call_ends_a_second_after_its_time, 0},
          {without_a_connection_calls_wait, 0}, {a_client_tries_less_and_less_often, 0},
          {running_ends_when_the_connection_comes_or_goes, 0}, {limits, 0},
          {cancelled_calls_are_forgotten, 0}, {callbacks_may_do_all_but_wait, 0},
          {a_client_that_is_destroyed_ends_its_calls, 0}, {what_the_broker_refuses, 0},
          {a_call_that_is_too_large_is_sent_three_times, 3}, {other_losses_of_the_connection_end_no_call, 3},
          {events_share_subscriptions, 0}, {one_subscribe_for_each_filter, 0}, {options_that_are_wrong, 0},
          {properties_are_sent_with_every_copy, 0}, {properties_that_cannot_be_sent, 0},
          {properties_count_as_bytes_that_wait, 0}, {a_methods_own_deadline_is_left_as_it_is, 0},
          {nothing_is_lost_when_memory_is_short, 2})

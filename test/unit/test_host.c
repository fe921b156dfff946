// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/host.h: what the engine does on a host that cannot do everything. Each test runs with a host that can
 * and with one that lacks one of its capabilities. */
#include "lab.h"
#include "unit.h"
#include "works.h"

enum { CAN, LACKS };

static struct rig rig;
static struct lab_options options;
static char contexts[2]; /* their addresses stand for connections */

static void open_rig(void)
{
    rig_init(&rig);
    rig.client.connection = &contexts[0];
    rig.options.duplicate_window = 60000;
    rig.options.redelivery_guard = 10000;
}

static void close_rig(void)
{
    rig_close(&rig);
}

static uint64_t duplicates(void)
{
    return engine_counters(rig.engine)->duplicates;
}

/* Whether the newest reply went to the topic and holds the text. */
static void expect_reply(const char *topic, const char *text)
{
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, topic);
    ck_assert_str_eq(rig_last(&rig.host.replies)->text, text);
}

/* ---- knows_caller ---- */

/* Two clients that the host cannot distinguish, and that both count their calls from 1. */
START_TEST(clients_that_are_not_known)
{
    rig.host.host.knows_caller = _i == CAN;
    lab_start(&rig, &options, NULL);
    rig_send(&rig, "rpc/call/count", "", "client/a", "1");
    expect_reply("client/a", "{\"n\":1}");
    rig_send(&rig, "rpc/call/count", "", "client/b", "1");
    expect_reply("client/b", _i == CAN ? "{\"n\":1}" : "{\"n\":2}");
    ck_assert_uint_eq(duplicates(), _i == CAN);
    rig_send(&rig, "rpc/call/count", "", "client/a", "1");
    expect_reply("client/a", "{\"n\":1}");
    ck_assert_uint_eq(duplicates(), _i == CAN ? 2 : 1);
}
END_TEST

/* Sends a QoS 2 call, and the same again on a new connection of the same session. */
static void send_again(void)
{
    rig.qos = 2;
    lab_start(&rig, &options, NULL);
    rig_tell(&rig, "count", "");
    if (rig.host.host.tells_endings) {
        const struct host_ending ending = {
            .id = rig.client.id, .connection = &contexts[0], .kind = HOST_END_TAKEN_OVER};
        engine_client_ended(rig.engine, &ending);
    }
    rig.client.connection = &contexts[1];
    rig_tell(&rig, "count", "");
}

START_TEST(redelivery_from_clients_that_are_not_known)
{
    rig.host.host.knows_caller = _i == CAN;
    send_again();
    ck_assert_uint_eq(duplicates(), _i == CAN);
}
END_TEST

/* ---- replies_to_caller ---- */

START_TEST(replies_to_subscribers)
{
    rig.host.host.replies_to_caller = _i == CAN;
    lab_start(&rig, &options, NULL);
    rig_send(&rig, "rpc/call/nothing", "", "any/topic", NULL);
    expect_reply("any/topic", "{}");
    ck_assert_int_eq(rig_last(&rig.host.replies)->subscribed, _i == LACKS);
    rig_send(&rig, "rpc/call/nothing", "{\"request_id\":\"7\"}", NULL, NULL);
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, "rpc/call/nothing/response/7");
    ck_assert_int_eq(rig_last(&rig.host.replies)->subscribed, _i == LACKS);
}
END_TEST

/* A duplicate that waited for the reply, and a reply of a pending call. */
START_TEST(late_replies_to_subscribers)
{
    rig_close(&rig);
    works_init(&rig);
    rig.options.duplicate_window = 60000;
    rig.host.host.replies_to_caller = _i == CAN;
    works_open(&rig);
    works_begin(&rig, "work", 0);
    works_send(&rig, "rpc/call/work", "{\"n\":1}", "r", "sixteen-bytes-id");
    works_send(&rig, "rpc/call/work", "{\"n\":1}", "s", "sixteen-bytes-id");
    works_let_go(&rig, 0);
    rig_wait(&rig, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(rig.host.replies.kept[i].subscribed, _i == LACKS);
}
END_TEST

/* ---- tells_endings ---- */

START_TEST(redelivery_without_endings)
{
    rig.host.host.tells_endings = _i == CAN;
    send_again();
    ck_assert_uint_eq(duplicates(), _i == CAN);
}
END_TEST

UNIT_MAIN("host", open_rig, close_rig, {clients_that_are_not_known, 2},
          {redelivery_from_clients_that_are_not_known, 2}, {replies_to_subscribers, 2},
          {late_replies_to_subscribers, 2}, {redelivery_without_endings, 2})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/host.h: what the engine does on a host that cannot do everything. Each test runs with a host that can
 * and with one that lacks one of its capabilities. */
#include "lab.h"
#include "unit.h"
#include "works.h"

#include <string.h>

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

/* ---- Limits and replies of clients that are not known ---- */

/* They seem to be one client: a limit for each would be one for all. */
START_TEST(no_rate_of_clients_that_are_not_known)
{
    rig.host.host.knows_caller = _i == CAN;
    rig.options.rate_limit = 1;
    rig.options.rate_burst = 2;
    lab_start(&rig, &options, NULL);
    for (int i = 0; i < 5; i++)
        rig_send(&rig, "rpc/call/nothing", "", "any/topic", NULL);
    ck_assert_int_eq(engine_counters(rig.engine)->limited > 0, _i == CAN);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, _i == CAN ? "rate_limited" : "ok");
}
END_TEST

static const char *const own_topics[] = {"rpc/event/counted", "rpc/event/counted/key", "rpc/call/count",
                                         "rpc/batch/count", "rpc/dead/count"};

START_TEST(no_reply_into_the_topics_of_the_service)
{
    rig.host.host.knows_caller = false;
    lab_start(&rig, &options, NULL);
    rig_send(&rig, "rpc/call/count", "", own_topics[_i], NULL);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_ptr_nonnull(
        strstr(rig_last(&rig.host.events)->text, "a Response Topic to which no client may publish"));
    rig_send(&rig, "rpc/call/count", "", "rpc/call/count/response/1", NULL);
    expect_reply("rpc/call/count/response/1", "{\"n\":1}");
}
END_TEST

/* ---- dispatched ---- */

/* The engine that has handed out the call announces its result. */
START_TEST(results_of_dispatched_calls)
{
    rig.host.host.dispatched = _i == LACKS;
    lab_start(&rig, &options, NULL);
    rig_send(&rig, "rpc/call/count", "", "done", "1");
    expect_reply("done", "{\"n\":1}");
    ck_assert_uint_eq(rig.host.events.count, _i == CAN);
}
END_TEST

static rpc_status change_nothing(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    rpc_call_set_unchanged(call);
    return RPC_OK;
}

/* It is told of a success that changes nothing; the next call is another matter. */
START_TEST(dispatched_calls_that_change_nothing)
{
    rig.host.host.dispatched = _i == LACKS;
    lab_start(&rig, &options, change_nothing);
    rig_send(&rig, "rpc/call/act.told", "", "done", "1");
    ck_assert_int_eq(rig_last(&rig.host.replies)->unchanged, _i == LACKS);
    rig_send(&rig, "rpc/call/count", "", "done", "2");
    ck_assert(!rig_last(&rig.host.replies)->unchanged);
}
END_TEST

/* What looks like JSON-RPC is what the method gets. */
START_TEST(parameters_of_dispatched_calls)
{
    rig.host.host.dispatched = _i == LACKS;
    lab_start(&rig, &options, NULL);
    rig_send(&rig, "rpc/call/nothing", "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"other\"}", "done", "1");
    ck_assert_int_eq(strncmp(rig_last(&rig.host.replies)->text, "{\"jsonrpc\"", 10) == 0, _i == CAN);
    ck_assert_int_eq(strcmp(rig_last(&rig.host.replies)->status, "ok") == 0, _i == LACKS);
}
END_TEST

/* Two calls of one client, each on a connection of its own: only one of them ends. */
START_TEST(connections_of_dispatched_calls)
{
    rig_close(&rig);
    works_init(&rig);
    rig.host.host.dispatched = true;
    works_open(&rig);
    rig.client.connection = &contexts[0];
    works_send(&rig, "rpc/call/wait", "{\"n\":0}", "one", "1");
    rig.client.connection = &contexts[1];
    works_send(&rig, "rpc/call/wait", "{\"n\":1}", "other", "2");
    engine_client_ended(rig.engine, &(const struct host_ending){.id = rig.client.id,
                                                                .connection = &contexts[0],
                                                                .kind = HOST_END_SESSION_OVER});
    ck_assert_uint_eq(rig.host.replies.count, 0);
    works_finish(&rig);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_str_eq(rig_last(&rig.host.replies)->topic, "other");
}
END_TEST

/* Where replies of dispatched calls go is not the caller's choice: options about that are for other calls. */
START_TEST(replies_of_dispatched_calls)
{
    rig.host.host.dispatched = _i == LACKS;
    rig.options.response_topic_filter = "app/#";
    rig.options.bridge_clients = rig.client.id;
    lab_start(&rig, &options, NULL);
    rig_send(&rig, "rpc/call/count", "", "rpc/work/w1/done", "1");
    ck_assert_uint_eq(rig.host.replies.count, _i == LACKS);
    engine_reload(rig.engine, &rig.options);
    rig_send(&rig, "rpc/call/count", "", "rpc/work/w1/done", "2");
    ck_assert_uint_eq(rig.host.replies.count, _i == LACKS ? 2 : 0);
}
END_TEST

UNIT_MAIN("host", open_rig, close_rig, {clients_that_are_not_known, 2},
          {redelivery_from_clients_that_are_not_known, 2}, {replies_to_subscribers, 2},
          {late_replies_to_subscribers, 2}, {redelivery_without_endings, 2},
          {no_rate_of_clients_that_are_not_known, 2},
          {no_reply_into_the_topics_of_the_service, UNIT_ROWS(own_topics)}, {results_of_dispatched_calls, 2},
          {dispatched_calls_that_change_nothing, 2}, {parameters_of_dispatched_calls, 2},
          {connections_of_dispatched_calls, 0}, {replies_of_dispatched_calls, 2})

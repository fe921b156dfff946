// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The kit for tests without a broker (include/mosquitto_rpc_testing.h), with all modules that are shipped and
 * those of test/modules: what is as expected is taken, and everything that is not is reported.
 */
#include <mosquitto_rpc_testing.h>

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REPORT = 8192 };

static rpc_test *test;
static char report[REPORT]; /* what was written to stderr between listen() and hear() */
static FILE *heard;
static int real_stderr;

static void setup(void)
{
    test = rpc_test_open(NULL);
    ck_assert_ptr_nonnull(test);
}

static void listen(void)
{
    heard = tmpfile();
    ck_assert_ptr_nonnull(heard);
    fflush(stderr);
    real_stderr = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(fileno(heard), STDERR_FILENO), 0);
}

static const char *hear(void)
{
    fflush(stderr);
    ck_assert_int_ge(dup2(real_stderr, STDERR_FILENO), 0);
    close(real_stderr);
    rewind(heard);
    report[fread(report, 1, sizeof report - 1, heard)] = '\0';
    fclose(heard);
    return report;
}

/* What is reported has this file, and this text. */
static void expect_report(const char *text)
{
    hear();
    ck_assert_msg(strstr(report, "test_testing.c:"), "no place: %s", report);
    ck_assert_msg(strstr(report, text), "no '%s': %s", text, report);
}

static void expect_success(void)
{
    ck_assert_int_eq(rpc_test_close(test), 0);
}

static void expect_failure(void)
{
    ck_assert_int_eq(rpc_test_close(test), 1);
}

/* ---- Calls and events ---- */

START_TEST(calls)
{
    ck_assert(rpc_test_expect(test, "ping", NULL, "ok", "{\"time\":1700000000.25, \"ok\":true}"));
    ck_assert(rpc_test_expect(test, "ping", "[", "parse_error", NULL));
    ck_assert(rpc_test_expect(test, "nobody", "{}", "method_not_found", NULL));
    ck_assert(rpc_test_expect_no_reply(test));
    expect_success();
}
END_TEST

START_TEST(events)
{
    ck_assert(rpc_test_expect(test, "setGate", "{\"gate\":\"a\",\"open\":true}", "ok", NULL));
    ck_assert(rpc_test_expect_no_event(test, "gate/b"));
    ck_assert(rpc_test_expect_event(test, "gate/a", "{\"open\":true,\"gate\":\"a\"}"));
    ck_assert(rpc_test_expect_no_event(test, "gate/a"));
    rpc_test_call(test, "removeGate", "{\"gate\":\"a\"}");
    const rpc_test_message *removal = rpc_test_take_message(test, "rpc/event/gate/a");
    ck_assert_ptr_nonnull(removal);
    ck_assert(removal->retain && removal->size == 0 && !removal->client);
    ck_assert(rpc_test_expect_reply(test, "ok", "{}"));
    rpc_test_publish(test, "rpc/call/setGate", "{\"gate\":\"stuck\",\"open\":true}");
    ck_assert(rpc_test_expect_event(test, "gateFailed/stuck", NULL));
    expect_success();
}
END_TEST

START_TEST(messages)
{
    const char *params = "{\"topic\":\"t\",\"client\":\"c\",\"text\":\"no JSON\",\"qos\":2,\"expiry\":9,"
                         "\"response_topic\":\"r\",\"correlation\":\"x\",\"content_type\":\"text/plain\","
                         "\"properties\":[{\"name\":\"n\",\"value\":\"v\"}]}";
    ck_assert(rpc_test_expect(test, "watch.send", params, "ok", "{}"));
    const rpc_test_message *message = rpc_test_take_message(test, "t");
    ck_assert_ptr_nonnull(message);
    ck_assert_str_eq(message->client, "c");
    ck_assert_str_eq(message->payload, "no JSON");
    ck_assert_int_eq(message->qos, 2);
    ck_assert_uint_eq(message->expiry, 9);
    ck_assert_str_eq(message->response_topic, "r");
    ck_assert_str_eq(message->content_type, "text/plain");
    ck_assert_str_eq(message->properties, "n=v;");
    ck_assert_mem_eq(message->correlation, "x", 1);
    ck_assert(rpc_test_expect(test, "watch.send", params, "ok", "{}"));
    ck_assert(rpc_test_expect_message(test, "t", "no JSON"));
    ck_assert_ptr_null(rpc_test_take_message(test, "t"));
    ck_assert_ptr_null(rpc_test_take_reply(test));
    expect_success();
}
END_TEST

/* ---- The client ---- */

START_TEST(clients)
{
    const rpc_property properties[] = {{"p", "1"}, {"q", "2"}};
    rpc_test_set_client(
        test, &(rpc_test_client){
                  .id = "me", .user = "bob", .version = 5, .properties = properties, .property_count = 2});
    rpc_test_call(test, "probe.caller", NULL);
    const rpc_test_message *reply = rpc_test_take_reply(test);
    ck_assert_ptr_nonnull(reply);
    ck_assert_str_eq(reply->client, "me");
    ck_assert_int_eq(reply->qos, 0);
    ck_assert_ptr_nonnull(strstr(reply->payload, "\"bob\""));
    ck_assert_ptr_nonnull(strstr(reply->payload, "\"me\""));

    /* A client of MQTT 3.1.1 asks for a reply with a request_id. */
    rpc_test_set_client(test, &(rpc_test_client){.version = 4, .qos = 1});
    rpc_test_call(test, "ping", "{\"request_id\":\"7\"}");
    ck_assert(rpc_test_expect_reply(
        test, "ok", "{\"request_id\":\"7\",\"result\":{\"ok\":true,\"time\":1700000000.25}}"));
    expect_success();
}
END_TEST

START_TEST(presence)
{
    rpc_test_set_client(test, &(rpc_test_client){.id = "lamp1"});
    rpc_test_sign(test, RPC_SIGN_CONNECTED, NULL);
    rpc_test_sign(test, RPC_SIGN_SUBSCRIBED, "a/#");
    rpc_test_publish(test, "anything", "");
    rpc_test_sign(test, RPC_SIGN_GONE, NULL);
    rpc_test_set_client(test, NULL);
    rpc_test_call(test, "watch.signs", NULL);
    const rpc_test_message *reply = rpc_test_take_reply(test);
    ck_assert_ptr_nonnull(reply);
    ck_assert_ptr_nonnull(strstr(reply->payload, "\"a/#\""));
    ck_assert_ptr_nonnull(strstr(reply->payload, "gone"));
    expect_success();
}
END_TEST

START_TEST(interim_replies)
{
    const rpc_property progress = {"progress", "1"};
    rpc_test_set_client(test, &(rpc_test_client){.qos = 1, .properties = &progress, .property_count = 1});
    rpc_test_call(test, "relay/b/wait", NULL);
    rpc_test_call(test, "relay.step", "{\"box\":\"b\",\"done\":5}");
    ck_assert(rpc_test_expect_reply(test, "progress", "{\"box\":\"b\",\"done\":5}"));
    ck_assert(rpc_test_expect_reply(test, "ok", NULL));
    ck_assert(rpc_test_expect_no_reply(test));
    expect_success();
}
END_TEST

START_TEST(end_of_a_connection)
{
    rpc_test_call(test, "slow.wait", "{\"name\":\"a\"}");
    ck_assert(rpc_test_expect_no_reply(test));
    rpc_test_sign(test, RPC_SIGN_GONE, NULL);
    ck_assert(rpc_test_expect(test, "slow.tell", "{\"name\":\"a\",\"text\":\"b\"}", "ok", "{\"n\":0}"));
    expect_success();
}
END_TEST

START_TEST(inboxes)
{
    ck_assert_int_eq(rpc_test_publish(test, "elsewhere", ""), RPC_INBOX_PASS);
    ck_assert_int_eq(rpc_test_close(test), 0);
    test = rpc_test_open("# a comment\n\n  plugin_opt_post_root  boxes\n");
    ck_assert_int_eq(rpc_test_publish(test, "boxes/tester/in", "hello"), RPC_INBOX_CONSUME);
    ck_assert(rpc_test_expect_event(test, "post/received", NULL));
    ck_assert_int_eq(rpc_test_publish(test, "boxes/x/watch", ""), RPC_INBOX_PASS);
    ck_assert_int_eq(rpc_test_publish(test, "boxes/closed", ""), RPC_INBOX_REFUSE);
    ck_assert_int_eq(rpc_test_publish(test, "rpc/call/ping", ""), RPC_INBOX_CONSUME);
    const rpc_publication bytes = {.topic = "rpc/call/probe.bytes",
                                   .payload = "a\0b",
                                   .size = 3,
                                   .response_topic = "r",
                                   .correlation = "c",
                                   .correlation_size = 1};
    ck_assert_int_eq(rpc_test_publish_message(test, &bytes), RPC_INBOX_CONSUME);
    const rpc_test_message *reply = rpc_test_take_reply(test);
    ck_assert_ptr_nonnull(reply);
    ck_assert_str_eq(reply->topic, "r");
    ck_assert_str_eq(reply->status, "ok");
    expect_success();
}
END_TEST

/* ---- Time ---- */

START_TEST(timers_and_deadlines)
{
    rpc_test_call(test, "slow.alarm", "{\"ms\":60000}");
    rpc_test_call(test, "slow.wait", "{\"name\":\"a\"}");
    rpc_test_pass(test, 9999);
    ck_assert(rpc_test_expect_no_reply(test));
    rpc_test_pass(test, 1);
    ck_assert(rpc_test_expect_reply(test, "timeout", NULL));
    ck_assert(rpc_test_expect_reply(test, "timeout", NULL));
    rpc_test_call(test, "slow.alarm", "{\"ms\":5000}");
    rpc_test_pass(test, 4999);
    ck_assert(rpc_test_expect_no_reply(test));
    rpc_test_pass(test, 1);
    ck_assert(rpc_test_expect_reply(test, "ok", NULL));
    ck_assert(rpc_test_expect(test, "ping", NULL, "ok", "{\"ok\":true,\"time\":1700000015.25}"));
    rpc_test_set_time(test, 1800000000);
    rpc_test_pass(test, 86400000);
    ck_assert(rpc_test_expect(test, "ping", NULL, "ok", "{\"ok\":true,\"time\":1800086400}"));
    expect_success();
}
END_TEST

/* Timers that are started again and again do not fall behind the time that passes. */
START_TEST(many_short_times)
{
    rpc_test_call(test, "slow.tick", "{\"ms\":10}");
    for (int i = 0; i < 500; i++)
        rpc_test_pass(test, 10);
    rpc_test_call(test, "slow.stats", NULL);
    const rpc_test_message *reply = rpc_test_take_reply(test);
    for (; reply && !strstr(reply->payload, "\"ticks\""); reply = rpc_test_take_reply(test))
        continue;
    ck_assert_ptr_nonnull(reply);
    ck_assert_ptr_nonnull(strstr(reply->payload, "\"ticks\":500"));
    ck_assert(rpc_test_expect(test, "ping", NULL, "ok", "{\"ok\":true,\"time\":1700000005.25}"));
    expect_success();
}
END_TEST

START_TEST(work)
{
    ck_assert(rpc_test_expect(test, "slow.sleep", "{\"ms\":20}", "ok",
                              "{\"order\":1,\"group\":1,\"wanted\":true}"));
    rpc_test_publish(test, "rpc/call/slow.sleep", "{\"ms\":20}");
    ck_assert(rpc_test_expect_event(test, "slept", NULL));

    /* The time does not pass while work runs, unless the test says so. */
    rpc_test_call(test, "slow.sleep", "{\"ms\":20}");
    rpc_test_pass(test, 20000);
    ck_assert(rpc_test_expect_reply(test, "ok", NULL));
    rpc_test_set_patience(test, 0);
    rpc_test_call(test, "slow.sleep", "{\"ms\":1000000,\"polite\":true}");
    ck_assert(rpc_test_expect_no_reply(test));
    rpc_test_pass(test, 20000);
    ck_assert(rpc_test_expect_reply(test, "timeout", NULL));
    expect_success();
}
END_TEST

/* ---- Options ---- */

START_TEST(options)
{
    ck_assert(rpc_test_refuses("timeout never", "timeout"));
    ck_assert(rpc_test_refuses("no_such_option 1", "there is no such option"));
    ck_assert(rpc_test_refuses("post_root #", "is no topic")); /* in the log of the module's init */
    ck_assert_int_eq(rpc_test_close(test), 0);
    test = rpc_test_open("prefix a/rpc b/rpc\nmax_reply 1k");
    ck_assert(rpc_test_expect(test, "ping", NULL, "ok", NULL));
    ck_assert_int_eq(rpc_test_publish(test, "b/rpc/call/setGate", "{\"gate\":\"a\",\"open\":true}"),
                     RPC_INBOX_CONSUME);
    ck_assert(rpc_test_expect_message(test, "b/rpc/event/gate/a", NULL));
    expect_success();
}
END_TEST

START_TEST(reloads)
{
    ck_assert(rpc_test_expect(test, "ping", NULL, "ok", NULL));
    ck_assert(rpc_test_reload(test, "methods_off ping\n", NULL));
    ck_assert(!rpc_test_take_reply(test));
    rpc_test_call(test, "ping", NULL);
    const rpc_test_message *reply = rpc_test_take_reply(test);
    ck_assert_ptr_nonnull(reply);
    ck_assert_str_ne(reply->status, "ok");
    ck_assert(rpc_test_reload(test, "methods_off nobody", "no module has this one"));
    ck_assert(rpc_test_reload(test, "prefix x", "prefix"));
    ck_assert(rpc_test_reload(test, NULL, NULL));
    ck_assert(rpc_test_expect(test, "ping", NULL, "ok", NULL));
    expect_success();
}
END_TEST

START_TEST(log_lines)
{
    ck_assert(rpc_test_expect(test, "probe.log", "{\"text\":\"something to read\"}", "ok", NULL));
    ck_assert(rpc_test_expect_log(test, "something to read"));
    rpc_test_forget(test);
    listen();
    ck_assert(!rpc_test_expect_log(test, "something to read"));
    expect_report("no line of the log contains: something to read");
    expect_failure();
}
END_TEST

/* ---- What is not as expected ---- */

static bool other_status(void)
{
    return rpc_test_expect(test, "ping", "{}", "timeout", NULL);
}

static bool other_payload(void)
{
    return rpc_test_expect(test, "ping", "{}", "ok", "{\"ok\":true,\"time\":1700000000.5}");
}

static bool less_payload(void)
{
    return rpc_test_expect(test, "ping", "{}", "ok", "{\"ok\":true}");
}

static bool no_json(void)
{
    return rpc_test_expect(test, "ping", "{}", "ok", "ok");
}

static bool no_reply(void)
{
    return rpc_test_expect(test, "slow.wait", "{\"name\":\"a\"}", "ok", NULL);
}

static bool no_second_reply(void)
{
    rpc_test_call(test, "ping", NULL);
    return rpc_test_expect_reply(test, "ok", NULL) && rpc_test_expect_reply(test, "ok", NULL);
}

static bool a_reply(void)
{
    rpc_test_call(test, "ping", NULL);
    return rpc_test_expect_no_reply(test);
}

static bool no_event(void)
{
    rpc_test_expect(test, "setGate", "{\"gate\":\"a\",\"open\":true}", "ok", NULL);
    return rpc_test_expect_event(test, "gate/b", NULL);
}

static bool other_event(void)
{
    rpc_test_expect(test, "setGate", "{\"gate\":\"a\",\"open\":true}", "ok", NULL);
    return rpc_test_expect_event(test, "gate/a", "{\"gate\":\"a\",\"open\":false}");
}

static bool an_event(void)
{
    rpc_test_expect(test, "setGate", "{\"gate\":\"a\",\"open\":true}", "ok", NULL);
    return rpc_test_expect_no_event(test, "gate/a");
}

static bool work_that_runs(void)
{
    rpc_test_set_patience(test, 1);
    rpc_test_call(test, "slow.sleep", "{\"ms\":100000,\"polite\":true}");
    return rpc_test_expect_no_reply(test);
}

static bool modules_that_start(void)
{
    return rpc_test_check(test, rpc_test_refuses(NULL, "no reason"));
}

static bool another_reason(void)
{
    return rpc_test_check(test, rpc_test_refuses("timeout never", "the moon"));
}

static bool a_reload(void)
{
    return rpc_test_reload(test, "methods_off ping", "some reason");
}

static bool no_reload(void)
{
    return rpc_test_reload(test, "methods_off nobody", NULL);
}

static bool a_condition(void)
{
    return rpc_test_check(test, 1 + 1 == 3);
}

static bool a_faulty_module(void)
{
    return rpc_test_expect(test, "probe.bad_result", NULL, "ok", NULL);
}

static const struct failure {
    bool (*run)(void);
    const char *says;
} failures[] = {
    {other_status, "ping {}: the reply is ok {\"ok\":true,\"time\":1700000000.25}\n    expected:    timeout"},
    {other_payload, "expected:    ok {\"ok\":true,\"time\":1700000000.5}"},
    {less_payload, "expected:    ok {\"ok\":true}"},
    {no_json, "expected:    ok ok"},
    {no_reply, "slow.wait {\"name\":\"a\"}: there is no reply; a call is pending"},
    {no_second_reply, "there is no reply\n"},
    {a_reply, "there is a reply: rpc/reply/test ok {\"ok\":true"},
    {no_event, "there is no message to rpc/event/gate/b\n    published: rpc/event/gate/a {\"gate\":\"a\""},
    {other_event, "the message to rpc/event/gate/a is {\"gate\":\"a\",\"open\":true}\n    expected:    {"},
    {an_event, "there is a message: rpc/event/gate/a {\"gate\":\"a\",\"open\":true}"},
    {work_that_runs, "work still runs after 1 ms"},
    {modules_that_start, "the modules start, and should refuse to for: no reason"},
    {another_reason, "and not for: the moon"},
    {a_reload, "the settings were taken, and should be refused for: some reason"},
    {no_reload, "the settings were refused: "},
    {a_condition, "this does not hold: 1 + 1 == 3"},
    {a_faulty_module, "    the log: "},
};

START_TEST(failing)
{
    listen();
    ck_assert(!failures[_i].run());
    expect_report(failures[_i].says);
    expect_failure();
}
END_TEST

/* A test goes on after an expectation that was not met, and fails all the same. */
START_TEST(going_on)
{
    listen();
    ck_assert(!rpc_test_expect(test, "ping", NULL, "timeout", NULL));
    ck_assert(rpc_test_expect(test, "ping", NULL, "ok", NULL));
    hear();
    expect_failure();
}
END_TEST

/* A test that was not opened fails without a crash. */
START_TEST(without_modules)
{
    ck_assert_int_eq(rpc_test_close(test), 0);
    listen();
    test = rpc_test_open("timeout never");
    expect_report("the modules do not start: ");
    ck_assert_ptr_null(test);
    rpc_test_set_client(test, NULL);
    rpc_test_sign(test, RPC_SIGN_GONE, NULL);
    rpc_test_call(test, "ping", NULL);
    rpc_test_pass(test, 1);
    rpc_test_set_time(test, 1);
    rpc_test_set_patience(test, 1);
    rpc_test_forget(test);
    ck_assert_int_eq(rpc_test_publish(test, "a", ""), RPC_INBOX_REFUSE);
    ck_assert(!rpc_test_expect(test, "ping", NULL, "ok", NULL) && !rpc_test_expect_reply(test, "ok", NULL));
    ck_assert(!rpc_test_expect_no_reply(test) && !rpc_test_expect_event(test, "e", NULL));
    ck_assert(!rpc_test_expect_no_event(test, "e") && !rpc_test_expect_message(test, "t", NULL));
    ck_assert(!rpc_test_take_reply(test) && !rpc_test_take_message(test, "t"));
    ck_assert(!rpc_test_expect_log(test, "") && !rpc_test_reload(test, "", NULL));
    ck_assert(!rpc_test_check(test, true));
    ck_assert_int_eq(rpc_test_close(test), 1);
}
END_TEST

/* Messages that do not fit are lost, and nothing else is. */
START_TEST(many_messages)
{
    for (int i = 0; i < 200; i++)
        rpc_test_publish(test, "rpc/call/setGate", "{\"gate\":\"a\",\"open\":true}");
    for (int i = 0; i < 64; i++)
        ck_assert(rpc_test_expect_event(test, "gate/a", NULL));
    listen();
    ck_assert(!rpc_test_expect_event(test, "gate/a", NULL));
    expect_report("and 136 that were not kept");
    rpc_test_forget(test);
    rpc_test_publish(test, "rpc/call/setGate", "{\"gate\":\"a\",\"open\":true}");
    ck_assert(rpc_test_expect_event(test, "gate/a", NULL));
    expect_failure();
}
END_TEST

START_TEST(two_at_a_time)
{
    rpc_test *other = rpc_test_open(NULL);
    rpc_test_pass(other, 1000);
    ck_assert(rpc_test_expect(other, "ping", NULL, "ok", "{\"ok\":true,\"time\":1700000001.25}"));
    ck_assert(rpc_test_expect(test, "ping", NULL, "ok", "{\"ok\":true,\"time\":1700000000.25}"));
    ck_assert_int_eq(rpc_test_close(other), 0);
    expect_success();
}
END_TEST

UNIT_MAIN("testing", setup, NULL, {calls, 0}, {events, 0}, {messages, 0}, {clients, 0}, {presence, 0},
          {interim_replies, 0}, {end_of_a_connection, 0}, {inboxes, 0}, {timers_and_deadlines, 0},
          {many_short_times, 0}, {work, 0}, {options, 0}, {reloads, 0}, {log_lines, 0},
          {failing, UNIT_ROWS(failures)}, {going_on, 0}, {without_modules, 0}, {many_messages, 0},
          {two_at_a_time, 0})

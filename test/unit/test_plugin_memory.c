// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Failing allocations in the whole plugin on a fake broker. Each story runs with its n-th allocation failing,
 * for n = 0, 1, 2, … until none fails any more; once with only that one failing, once with all from it on.
 * Nothing may crash, leak, or reach a client that it is not for; and the next call is answered.
 */
#include "failing_malloc.h"
#include "fake_broker.h"
#include "unit.h"

#include <stdio.h>

enum { PLENTY = 2000, ROUNDS = 4 };

static const struct mosquitto_opt options[] = {{"modules", "echo slow watch"},
                                               {"sensor_db", "unused.db"},
                                               {"sys_interval", "0"},
                                               {"duplicate_window", "60s"}};

static struct mosquitto *caller, *other;
static unsigned number; /* of identities */

static struct mosquitto *connect_client(const char *id, int version, bool clean)
{
    return fake_broker_connect(&(const struct fake_connect){
        .id = id, .version = version, .clean_start = clean, .v5_session = !clean});
}

static void call(const char *topic, const char *payload, int qos)
{
    char identity[32];
    snprintf(identity, sizeof identity, "an-identity-%08u", ++number);
    fake_broker_receive(caller, topic, payload, qos, "r", identity);
}

/* ---- Stories: what happens while memory is short ---- */

static void ask(void)
{
    call("rpc/call/echo", "{\"a\":1}", 1);
}

static void ask_at_qos_0(void)
{
    call("rpc/call/echo", "{\"a\":1}", 0);
}

static void ask_without_a_topic(void)
{
    fake_broker_receive(caller, "rpc/call/echo", "{\"request_id\":\"1\"}", 1, NULL, NULL);
}

static void announce(void)
{
    fake_broker_receive(caller, "rpc/call/echo", "{", 1, NULL, NULL);
}

static void wait_for_another(void)
{
    call("rpc/call/slow.wait", "{\"name\":\"n\"}", 1);
    fake_broker_receive(other, "rpc/call/slow.tell", "{\"name\":\"n\",\"text\":\"x\"}", 0, NULL, NULL);
}

static void be_a_bridge(void)
{
    fake_broker_receive(caller, "$SYS/broker/connection/far.name/state", "1", 1, NULL, NULL);
}

static void leave(void)
{
    ask();
    fake_broker_disconnect(caller);
}

static void (*const stories[])(void) = {
    ask, ask_at_qos_0, ask_without_a_topic, announce, wait_for_another, be_a_bridge, leave};

enum { STORIES = UNIT_ROWS(stories), WAYS = 4 };

/* ---- All of them ---- */

static void pass_rounds(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        fake_broker_end_round();
        fake_broker_begin_round();
    }
}

/* The caller's id is another client's, which has called nothing. On 2.1 the broker has replies at once, and
 * one that is withdrawn cannot be kept in mind without memory (outbox.c). */
static void expect_nothing_for_a_stranger(bool may_be_told)
{
    struct mosquitto *stranger = connect_client("caller", 5, true);
    pass_rounds();
    ck_assert(stranger->received == 0 || may_be_told);
    fake_broker_disconnect(stranger);
    pass_rounds();
}

static void expect_an_answer(void)
{
    caller = connect_client("caller", 5, true);
    pass_rounds();
    const size_t before = caller->received;
    ask();
    pass_rounds();
    ck_assert_uint_eq(caller->received, before + 1);
    fake_broker_disconnect(caller);
    pass_rounds();
}

/* Returns whether an allocation has failed. */
static bool tell(void (*story)(void), enum failing_mode mode, size_t n, int way)
{
    caller = connect_client("caller", 5, true);
    failing_arm(mode, n);
    story();
    if (!(way & 2)) /* else the stranger comes at once */
        pass_rounds();
    const bool failed = failing_disarm();
    expect_nothing_for_a_stranger(failed && way & 1);
    expect_an_answer();
    return failed;
}

START_TEST(runs_short)
{
    const int way = _i / STORIES;
    void (*const story)(void) = stories[_i % STORIES];
    static const enum failing_mode modes[] = {FAILING_ONCE, FAILING_FROM};
    fake_broker_start(way & 1, options, UNIT_ROWS(options));
    fake_broker_begin_round();
    other = connect_client("other", 4, true);
    for (int mode = 0; mode < UNIT_ROWS(modes); mode++) {
        size_t n = 0;
        while (tell(story, modes[mode], n, way))
            ck_assert_uint_lt(++n, PLENTY);
    }
    fake_broker_end_round();
    fake_broker_stop();
    ck_assert_uint_eq(failing_live(), 0);
}
END_TEST

UNIT_MAIN("plugin_memory", failing_install, NULL, {runs_short, STORIES *WAYS})

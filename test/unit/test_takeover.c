// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Nobody but the connection that called gets its reply: the whole plugin on a fake broker, with every way in
 * which another client can take over the id of a caller. test/broker/test_takeover.py does some of it on real
 * brokers.
 */
#include "fake_broker.h"
#include "outbox.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct mosquitto_opt options[] = {
    {"modules", "echo slow"}, {"sensor_db", "unused.db"}, {"sys_interval", "0"}, {"duplicate_window", "60s"}};

enum { OPTIONS = sizeof options / sizeof options[0] };

/* ---- One takeover ---- */

enum kind { INLINE, BATCH, JSONRPC, OPEN, FIRM, DEFERRED, COPY, KINDS };

enum stranger { SILENT, CALLS, PUBLISHES, LEAVES, RETURNS, CALLS_AND_RETURNS, STRANGERS };

enum { MOMENTS = 4, TELLINGS = 3, VERSIONS = 3 };

static const int versions[VERSIONS] = {3, 4, 5};

struct takeover {
    bool is_2_1;
    enum fake_transport transport, stranger_transport;
    int version, qos;
    bool clean, stranger_clean;
    enum kind kind;
    int moment; /* rounds after that of the call in which the stranger connects */
    enum fake_telling telling;
    enum stranger stranger;
    bool round_is_long; /* that in which the stranger connects */
};

static unsigned number; /* of ids, identities and names */
static struct mosquitto *other;

static bool is_work(enum kind kind)
{
    return kind == OPEN || kind == FIRM;
}

static void send_call(struct mosquitto *client, const struct takeover *takeover, const char *topic,
                      const char *members, bool is_batch)
{
    char payload[512], identity[64];
    snprintf(identity, sizeof identity, "an-identity-that-lasts-%u", number);
    if (takeover->version == 5) {
        snprintf(payload, sizeof payload, is_batch ? "[{%s}]" : "{%s}", members);
        fake_broker_receive(client, topic, payload, takeover->qos, "secret", identity);
        return;
    }
    if (is_batch)
        snprintf(payload, sizeof payload, "{\"request_id\":\"%s\",\"calls\":[{%s}]}", identity, members);
    else
        snprintf(payload, sizeof payload, "{\"request_id\":\"%s\",%s}", identity, members);
    fake_broker_receive(client, topic, payload, takeover->qos, NULL, NULL);
}

static void send_jsonrpc(struct mosquitto *client, const struct takeover *takeover)
{
    char payload[256];
    snprintf(payload, sizeof payload,
             "{\"jsonrpc\":\"2.0\",\"id\":\"secret-%u:1\",\"method\":\"echo\",\"params\":{\"a\":1}}", number);
    fake_broker_receive(client, "rpc/call/echo", payload, takeover->qos, NULL, NULL);
}

static void call(struct mosquitto *client, const struct takeover *takeover)
{
    char members[128];
    snprintf(members, sizeof members, "\"name\":\"n%u\"", number);
    switch (takeover->kind) {
    case INLINE:
        send_call(client, takeover, "rpc/call/echo", "\"a\":1", false);
        break;
    case BATCH:
        send_call(client, takeover, "rpc/batch/echo", "\"a\":1", true);
        break;
    case JSONRPC:
        send_jsonrpc(client, takeover);
        break;
    case OPEN:
        send_call(client, takeover, "rpc/call/slow.sleep", "\"ms\":0", false);
        break;
    case FIRM:
        send_call(client, takeover, "rpc/call/slow.firm", "\"ms\":0", false);
        break;
    case COPY:
        send_call(client, takeover, "rpc/call/slow.wait", members, false);
        send_call(client, takeover, "rpc/call/slow.wait", members, false);
        break;
    case DEFERRED:
    case KINDS:
        send_call(client, takeover, "rpc/call/slow.wait", members, false);
        break;
    }
}

static void wait_us(long us)
{
    struct timespec left = {.tv_nsec = us * 1000};
    while (us && nanosleep(&left, &left))
        continue; /* a signal of the plugin's */
}

static void next_round(void)
{
    fake_broker_end_round();
    fake_broker_begin_round();
}

/* Another client lets the calls end that wait. */
static void resume(void)
{
    char payload[128];
    snprintf(payload, sizeof payload, "{\"name\":\"n%u\",\"text\":\"secret\"}", number);
    fake_broker_receive(other, "rpc/call/slow.tell", payload, 0, NULL, NULL);
}

static struct mosquitto *connect_stranger(const char *id, const struct takeover *takeover)
{
    return fake_broker_connect(&(const struct fake_connect){.id = id,
                                                            .transport = takeover->stranger_transport,
                                                            .version = takeover->version,
                                                            .clean_start = takeover->stranger_clean,
                                                            .v5_session = !takeover->stranger_clean,
                                                            .telling = takeover->telling});
}

/* The stranger takes the id, and does what it does. Returns its last connection. */
static struct mosquitto *take_id(const char *id, const struct takeover *takeover)
{
    struct mosquitto *stranger = connect_stranger(id, takeover);
    const enum stranger does = takeover->stranger;
    if (does == CALLS || does == CALLS_AND_RETURNS)
        fake_broker_receive(stranger, "rpc/call/echo", "{}", 0, NULL, NULL);
    if (does == PUBLISHES)
        fake_broker_receive(stranger, "elsewhere", "", 0, NULL, NULL);
    if (does == LEAVES || does == RETURNS || does == CALLS_AND_RETURNS)
        fake_broker_disconnect(stranger);
    if (does == RETURNS || does == CALLS_AND_RETURNS)
        stranger = connect_stranger(id, takeover);
    return stranger;
}

/* Returns how many messages reached the stranger. */
static size_t play(const struct takeover *takeover)
{
    enum { ROUNDS = 9 };
    char id[32];
    snprintf(id, sizeof id, "victim-%u", ++number);
    struct mosquitto *victim =
        fake_broker_connect(&(const struct fake_connect){.id = id,
                                                         .transport = takeover->transport,
                                                         .version = takeover->version,
                                                         .clean_start = takeover->clean,
                                                         .v5_session = !takeover->clean});
    struct mosquitto *stranger = NULL;
    for (int round = 0; round < ROUNDS; round++) {
        fake_broker_begin_round();
        if (round == 0)
            call(victim, takeover);
        if (round == takeover->moment)
            stranger = take_id(id, takeover);
        if (round == takeover->moment && takeover->round_is_long)
            wait_us(6000);
        if (round == 1 && (takeover->kind == DEFERRED || takeover->kind == COPY))
            resume();
        if (is_work(takeover->kind) && round == 1)
            wait_us(300);
        fake_broker_end_round();
    }
    fake_broker_disconnect(stranger);
    fake_broker_begin_round();
    fake_broker_end_round();
    return stranger->received;
}

/*
 * What nothing tells a plugin of 2.0: that a WebSockets connection that had asked for a new session is taken
 * over by a client that says nothing, as long as the end is not told. See "Who gets a reply" in the manual.
 */
static bool is_undetectable(const struct takeover *takeover)
{
    const bool is_silent = takeover->stranger == SILENT || takeover->stranger == RETURNS;
    if (takeover->is_2_1 || takeover->transport == FAKE_TCP || !takeover->clean || !is_silent)
        return false;
    return takeover->telling == FAKE_NEVER_TOLD ||
           (takeover->telling == FAKE_TOLD_NEXT_ROUND && !takeover->round_is_long);
}

/* ---- All of them ---- */

static const struct broker_kind {
    bool is_2_1;
    enum fake_transport transport;
    int tellings;
} kinds[] = {{false, FAKE_TCP, 1}, {true, FAKE_TCP, 1}, {false, FAKE_WEBSOCKETS, TELLINGS}};

static void start(bool is_2_1)
{
    fake_broker_start(is_2_1, options, OPTIONS);
    other =
        fake_broker_connect(&(const struct fake_connect){.id = "other", .version = 4, .clean_start = true});
}

/* What starts a thread takes long, so that every fifth way has to do: every one in some combination. The
 * thread sanitizer makes it ten times as long, and looks for other faults than those of single ways. */
static bool is_left_out(const struct takeover *takeover)
{
#ifdef __SANITIZE_THREAD__
    enum { OFTEN_ENOUGH = 50 };
#else
    enum { OFTEN_ENOUGH = 5 };
#endif
    static unsigned count;
    return is_work(takeover->kind) && ++count % OFTEN_ENOUGH != 0;
}

static void expect_nothing(const struct takeover *takeover)
{
    if (is_undetectable(takeover) || is_left_out(takeover))
        return;
    const size_t got = play(takeover);
    ck_assert_msg(got == 0,
                  "the stranger got %zu messages: broker %s, %s, MQTT %d, QoS %d, clean %d, stranger's clean "
                  "%d, kind %d, moment %d, telling %d, stranger %d, long round %d",
                  got, takeover->is_2_1 ? "2.1" : "2.0", takeover->transport ? "WebSockets" : "TCP",
                  takeover->version, takeover->qos, takeover->clean, takeover->stranger_clean, takeover->kind,
                  takeover->moment, takeover->telling, takeover->stranger, takeover->round_is_long);
}

static void vary_stranger(struct takeover *takeover)
{
    for (int stranger = 0; stranger < STRANGERS; stranger++) {
        for (int way = 0; way < 4; way++) {
            takeover->stranger = (enum stranger)stranger;
            takeover->stranger_clean = way & 1;
            takeover->stranger_transport = way & 2 ? FAKE_WEBSOCKETS : FAKE_TCP;
            expect_nothing(takeover);
        }
    }
}

static void vary_moment(struct takeover *takeover, int tellings)
{
    for (int moment = 0; moment < MOMENTS; moment++) {
        for (int telling = 0; telling < tellings; telling++) {
            takeover->moment = moment;
            takeover->telling = (enum fake_telling)telling;
            takeover->round_is_long =
                telling == FAKE_TOLD_NEXT_ROUND && takeover->qos == 1 && takeover->version == 4;
            vary_stranger(takeover);
        }
    }
}

/* On 2.1 a stranger that connects and leaves in the round of the call can leave a reply behind in the broker,
   whose session nothing tells to be gone. */
START_TEST(takeovers)
{
    const struct broker_kind *kind = &kinds[_i / KINDS];
    struct takeover takeover = {
        .is_2_1 = kind->is_2_1, .transport = kind->transport, .kind = (enum kind)(_i % KINDS)};
    start(kind->is_2_1);
    for (int way = 0; way < VERSIONS * 3 * 2; way++) {
        takeover.version = versions[way % VERSIONS];
        takeover.qos = way / VERSIONS % 3;
        takeover.clean = way / VERSIONS / 3;
        vary_moment(&takeover, kind->tellings);
    }
    if (!takeover.is_2_1)
        ck_assert_uint_eq(fake_broker_lost(), 0);
    fake_broker_stop();
}
END_TEST

/* Every broker, transport, version and kind of call. */
enum { WAYS = 2 * 2 * VERSIONS * KINDS };

static struct takeover nth_way(int way, int qos)
{
    return (struct takeover){.is_2_1 = way & 1,
                             .transport = way & 2 ? FAKE_WEBSOCKETS : FAKE_TCP,
                             .version = versions[way / 4 % VERSIONS],
                             .qos = qos,
                             .kind = (enum kind)(way / 4 / VERSIONS)};
}

/* A takeover that comes after all: the victim gets its replies, so the test above sees what it is to see. */
START_TEST(replies)
{
    for (int way = 0; way < WAYS; way++) {
        const struct takeover takeover = nth_way(way, _i);
        start(takeover.is_2_1);
        struct mosquitto *victim = fake_broker_connect(&(const struct fake_connect){
            .id = "victim", .transport = takeover.transport, .version = takeover.version});
        number++;
        const size_t expected = takeover.kind == COPY ? 2 : 1;
        for (int round = 0; round < 20000 && victim->received < expected; round++) {
            fake_broker_begin_round();
            if (round == 0)
                call(victim, &takeover);
            if (round == 1 && (takeover.kind == DEFERRED || takeover.kind == COPY))
                resume();
            if (is_work(takeover.kind))
                wait_us(300);
            fake_broker_end_round();
        }
        ck_assert_uint_eq(victim->received, expected);
        fake_broker_stop();
    }
}
END_TEST

/*
 * The call and the end of its connection come in one round, or the end, which needs no packet, in the next:
 * no reply is left behind in the broker for ever.
 */
START_TEST(callers_that_vanish)
{
    const bool is_next = _i & 1;
    for (int way = 0; way < (is_next ? OPEN : KINDS) * 2 * VERSIONS; way++) {
        struct takeover takeover = {.is_2_1 = way & 1,
                                    .version = versions[way / 2 % VERSIONS],
                                    .qos = _i / 2,
                                    .kind = (enum kind)(way / 2 / VERSIONS)};
        start(takeover.is_2_1);
        struct mosquitto *victim = fake_broker_connect(
            &(const struct fake_connect){.id = "victim", .version = takeover.version, .v5_session = true});
        number++;
        fake_broker_begin_round();
        call(victim, &takeover);
        if (is_next)
            next_round();
        fake_broker_disconnect(victim);
        fake_broker_end_round();
        for (int round = 0; round < 8; round++) {
            fake_broker_begin_round();
            wait_us(is_work(takeover.kind) && round < 2 ? 300 : 0);
            fake_broker_end_round();
        }
        ck_assert_uint_eq(fake_broker_lost(), 0);
        fake_broker_stop();
    }
}
END_TEST

/*
 * The victim's connection ends in the round of its call, and the stranger resumes its session in the same
 * round: the end of the victim's connection is told twice. What is on its way to the session stays out of it.
 */
START_TEST(sessions_that_are_resumed)
{
    for (int way = 0; way < WAYS; way++) {
        const struct takeover takeover = nth_way(way, _i);
        start(takeover.is_2_1);
        const struct fake_connect how = {
            .id = "victim", .transport = takeover.transport, .version = takeover.version, .v5_session = true};
        struct mosquitto *victim = fake_broker_connect(&how);
        number++;
        fake_broker_begin_round();
        call(victim, &takeover);
        fake_broker_disconnect(victim);
        struct mosquitto *stranger = fake_broker_connect(&how);
        fake_broker_end_round();
        for (int round = 0; round < 8; round++) {
            fake_broker_begin_round();
            if (round == 1 && (takeover.kind == DEFERRED || takeover.kind == COPY))
                resume();
            wait_us(is_work(takeover.kind) && round < 2 ? 300 : 0);
            fake_broker_end_round();
        }
        ck_assert_uint_eq(stranger->received, 0);
        ck_assert_uint_eq(fake_broker_lost(), 0);
        fake_broker_stop();
    }
}
END_TEST

/* ---- Floods ---- */

/* What is over the limit is dropped: nothing is sent before the end of the round. */
START_TEST(a_flood)
{
    enum { CALLS_OF_FLOOD = OUTBOX_MAX + 10 };
    start(false);
    const struct fake_connect victim = {.id = "victim", .version = 4, .clean_start = true};
    struct mosquitto *caller = fake_broker_connect(&victim);
    fake_broker_begin_round();
    for (int i = 0; i < CALLS_OF_FLOOD; i++)
        fake_broker_receive(other, "rpc/call/echo", "{\"request_id\":\"1\"}", 0, NULL, NULL);
    fake_broker_receive(caller, "rpc/call/echo", "{\"request_id\":\"1\"}", 0, NULL, NULL);
    struct mosquitto *stranger = fake_broker_connect(&victim);
    fake_broker_end_round();
    fake_broker_begin_round();
    fake_broker_receive(stranger, "rpc/call/echo", "{\"request_id\":\"2\"}", 0, NULL, NULL);
    fake_broker_end_round();
    fake_broker_begin_round();
    ck_assert_uint_eq(other->received, OUTBOX_MAX);
    ck_assert_uint_eq(caller->received, 0);
    ck_assert_uint_eq(stranger->received, 1);
    fake_broker_end_round();
    fake_broker_stop();
}
END_TEST

static struct mosquitto *connect_plainly(const char *id, bool clean)
{
    return fake_broker_connect(&(const struct fake_connect){.id = id, .version = 4, .clean_start = clean});
}

/*
 * Replies of 2.1 that are on their way, or in sessions, when another client takes the id of their caller:
 * more of them than the plugin ever keeps in mind.
 */
static void flood(int qos)
{
    struct takeover takeover = {.version = 4, .qos = qos};
    struct mosquitto *caller = connect_plainly("flood", false);
    for (int i = 0; i <= OUTBOX_WITHDRAWN_MAX; i++) {
        number++;
        call(caller, &takeover);
    }
    fake_broker_disconnect(connect_plainly("flood", true));
}

/* However many replies are withdrawn at once or later, those to a client that was taken over stay so. */
START_TEST(floods)
{
    const bool is_later = _i & 1, keeps_session = _i & 2;
    const int qos = _i >> 2;
    struct takeover takeover = {.version = 4, .qos = qos};
    start(true);
    struct mosquitto *victim = connect_plainly("victim", true);
    number++;
    fake_broker_begin_round();
    call(victim, &takeover);
    struct mosquitto *stranger = connect_plainly("victim", !keeps_session);
    if (is_later)
        next_round();
    flood(2);
    next_round();
    flood(0);
    next_round();
    fake_broker_disconnect(stranger);
    struct mosquitto *again = connect_plainly("victim", false);
    next_round();
    ck_assert_uint_eq(stranger->received + again->received, 0);
    struct mosquitto *caller = connect_plainly("caller", false);
    number++;
    call(caller, &(const struct takeover){.version = 4, .qos = 1});
    for (int round = 0; round < 3; round++)
        next_round();
    ck_assert_uint_eq(caller->received, 1);
    fake_broker_end_round();
    fake_broker_stop();
}
END_TEST

/* With queue_qos0_messages the stranger's session would keep what arrives after the stranger has left. */
START_TEST(sessions_that_keep_qos_0)
{
    const struct takeover takeover = {
        .is_2_1 = _i & 1, .version = 4, .qos = 0, .stranger = LEAVES, .kind = (enum kind)(_i / 2)};
    start(takeover.is_2_1);
    fake_broker_keep_qos_0();
    struct mosquitto *victim = connect_plainly("victim", true);
    number++;
    fake_broker_begin_round();
    call(victim, &takeover);
    take_id("victim", &takeover);
    for (int round = 0; round < 4; round++)
        next_round();
    struct mosquitto *again = connect_plainly("victim", false);
    next_round();
    ck_assert_uint_eq(again->received, 0);
    fake_broker_end_round();
    fake_broker_stop();
}
END_TEST

/* A loop that sends no TICK and is too busy to reach the safe point: messages are all that the plugin sees.
 */
START_TEST(busy_loops)
{
    const struct takeover takeover = {.transport = _i & 1 ? FAKE_WEBSOCKETS : FAKE_TCP,
                                      .version = versions[_i / 2 % VERSIONS],
                                      .clean = true,
                                      .telling = FAKE_TOLD_NEXT_ROUND};
    fake_broker_send_no_tick();
    start(false);
    struct mosquitto *victim = fake_broker_connect(&(const struct fake_connect){
        .id = "victim", .transport = takeover.transport, .version = takeover.version, .clean_start = true});
    struct mosquitto *caller = fake_broker_connect(&(const struct fake_connect){
        .id = "caller", .transport = takeover.transport, .version = takeover.version, .clean_start = true});
    number++;
    fake_broker_begin_round();
    call(victim, &takeover);
    call(caller, &takeover);
    next_round();
    struct mosquitto *stranger = take_id("victim", &takeover);
    wait_us(50000);
    for (int round = 0; round < 100 && caller->received == 0; round++) {
        fake_broker_receive(other, "elsewhere", "", 0, NULL, NULL);
        next_round();
        wait_us(50000);
    }
    ck_assert_uint_eq(stranger->received, 0);
    ck_assert_uint_eq(caller->received, 1);
    fake_broker_end_round();
    fake_broker_stop();
}
END_TEST

UNIT_MAIN("takeover", NULL, NULL, {a_flood, 0}, {takeovers, UNIT_ROWS(kinds) * KINDS}, {replies, 3},
          {callers_that_vanish, 6}, {sessions_that_are_resumed, 3}, {floods, 12},
          {sessions_that_keep_qos_0, KINDS * 2}, {busy_loops, 2 * VERSIONS})

// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/dedup/clients.c: which calls are still recorded when a client reconnects, in all the orders in which
 * brokers report connections and their ends; which calls are taken for redeliveries; and the memory that a
 * client takes.
 */
#include "dedup/clients.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static const uint64_t second = 1000000000;

static struct reply_cache duplicates, ordered;
static struct clients clients;
static uint64_t now;
static char contexts[10]; /* their addresses stand for connections */

static void open_table(void)
{
    duplicates = ordered =
        (struct reply_cache){.max_entries = 200000, .max_bytes = 1000, .window = 60 * second};
    clients = (struct clients){
        .seed = 1, .redelivery_guard = 10 * second, .duplicates = &duplicates, .ordered = &ordered};
    now = 1000 * second;
}

static void close_table(void)
{
    reply_cache_fini(&duplicates);
    reply_cache_fini(&ordered);
    clients_fini(&clients);
    ck_assert_uint_eq(clients.gone_count, 0);
    ck_assert_ptr_null(clients.gone);
    ck_assert_ptr_null(clients.by_id);
}

static struct client *meet(const char *id, const void *connection, int version, bool clean_start)
{
    const struct host_client connected = {
        .id = id, .connection = connection, .version = version, .clean_start = clean_start};
    struct client *client = clients_meet(&clients, &connected, now);
    ck_assert_ptr_nonnull(client);
    return client;
}

static void end(const char *id, const void *connection, enum host_end kind, bool clean_start, bool in_order)
{
    const struct host_ending ending = {
        .id = id, .connection = connection, .kind = kind, .clean_start = clean_start, .in_order = in_order};
    clients_ended(&clients, &ending, now);
}

static struct digest key_of(uint64_t number)
{
    return (struct digest){{number, number}};
}

static void finish(struct reply_cache *cache, struct cached_reply *entry)
{
    ck_assert_ptr_nonnull(entry);
    reply_cache_finish(cache, entry, "ok", NULL, 0);
}

/* Records a call with the client's session. */
static void bind_to(struct client *client, uint64_t number)
{
    const struct digest key = key_of(number);
    finish(&duplicates, reply_cache_enter(&duplicates, &key, true, &client->held, now));
}

static bool is_bound(uint64_t number)
{
    const struct digest key = key_of(number);
    return reply_cache_find(&duplicates, &key, now) != NULL;
}

/* A call at QoS 1 or 2. Returns whether it was taken for a redelivery. */
static bool arrive(struct client *client, uint64_t number)
{
    const struct digest key = key_of(number);
    if (clients_find_redelivery(&clients, client, &key, now))
        return true;
    finish(&ordered, clients_note(&clients, client, &key, now));
    return false;
}

/* ---- Connections and their ends ---- */

/*
 * What the host reports, in this order; the number is the connection, which is the address of its context.
 *
 *   M  it calls; m: and had asked for a new session. The first call is the recorded one
 *   U  it has ended, and more is not known (2.0); u: marked as having asked for a new session, as it had or
 *      was taken over, or its waiting session was taken up
 *   W  it has ended and its session waits (2.1: CLIENT_OFFLINE); w: and was taken down in order
 *   X  likewise, and it had asked for a new session when it began
 *   T  it was taken over, or its waiting session was taken up (2.1)
 *   O  it has ended with its session (2.1)
 */
static const struct story {
    int version;
    const char *reported;
    bool bound, guarded; /* whether the first call is still recognised on the last connection */
} stories[] = {
    /* A broker that knows, MQTT 5. */
    {5, "M1 W1 T1 M2", true, true},
    {5, "M1 w1 T1 M2", true, false},
    {5, "M1 W1 M2", false, false}, /* the session has expired meanwhile */
    {5, "M1 O1 M2", false, false},
    {5, "M1 O1 m2", false, false},
    {5, "M1 T1 M2", true, true},
    {5, "M1 M2 T1", true, true},
    {5, "M1 M2 T1 T1", true, true},
    {5, "M1 M2", true, true}, /* the end has not been reported yet */
    {5, "M1 m2 T1", false, false},
    {5, "M1 T1 m2", false, false},
    {5, "M1 W1 T1 m2", false, false},
    {5, "m1 T1 M2", true, true},
    {5, "m1 W1 T1 M2", true, true},
    {5, "m1 W1 T1 m2", false, false},
    {5, "M1 W1 T1 M2 W2 T2 M3", true, false},
    {5, "M1 W1 T1 M2 W2 M3", false, false},
    {5, "M1 W1 T1 M2 O2 M3", false, false},
    /* The second connection never calls. */
    {5, "M1 W1 T1 W2 T2 M3", true, true},
    {5, "M1 W1 T1 T2 M3", true, true},
    {5, "M1 T1 W2 T2 M3", true, true},
    {5, "M1 W1 T1 O2 M3", false, false},
    {5, "M1 W1 T1 W2 M3", false, false}, /* its session has expired */
    {5, "M1 W1 W2 T2 M3", false, false}, /* it began a new one */
    {5, "M1 W1 W2 M3", false, false},
    {5, "M1 W1 O2 M3", false, false},
    {5, "M1 W1 T1 X2 T2 M3", false, false},
    {5, "m1 X1 T1 M2", true, true},
    {5, "M1 W1 T2 M3", false, false},
    {5, "M1 O1 O2 M3", false, false},
    {5, "M1 O1 W2 T2 M3", false, false},
    /* A context at the address of an earlier one. */
    {5, "M1 O1 M1", false, false},
    {5, "M1 W1 M1", false, false},
    {5, "M1 W1 T1 M1", true, true},
    {5, "M1 W1 W1 M2", false, false},
    {5, "M1 W1 W1 T1 M2", false, false},
    {5, "M1 W1 O1 M2", false, false},
    {5, "M1 O1 W1 T1 M2", false, false},
    /* MQTT 3. */
    {4, "M1 W1 T1 M2", true, true},
    {4, "M1 T1 M2", true, true},
    {4, "M1 M2 T1", true, true},
    {4, "M1 W1 T1 m2", false, false},
    {4, "m1 O1 M2", false, false},
    {4, "m1 T1 M2", false, false},
    {4, "m1 M2 T1", false, false},
    {3, "M1 W1 T1 M2", true, true},
    /* A broker that does not know, MQTT 5. */
    {5, "M1 U1 u1 M2", true, true},
    {5, "M1 U1 M2", false, false}, /* the session has expired */
    {5, "M1 u1 M2", true, true},
    {5, "M1 M2 u1", true, true}, /* the old connection's end comes late */
    {5, "M1 u1 m2", false, false},
    {5, "M1 m2 u1", false, false},
    {5, "M1 U1 u1 m2", false, false},
    {5, "m1 u1 M2", true, true}, /* believed to have been taken over */
    {5, "m1 u1 u1 M2", true, true},
    {5, "m1 u1 m2", false, false},
    {5, "M1 U1 u1 U2 u2 M3", true, true},
    {5, "M1 U1 u1 U2 M3", false, false},
    {5, "M1 U1 U2 u2 M3", false, false},
    {5, "M1 U1 U2 M3", false, false},
    {5, "M1 U1 u2 M3", false, false},
    {5, "M1 U1 u1 M1", true, true},
    {5, "M1 U1 M1", false, false},
    {5, "M1 U1 U1 M2", false, false},
    {5, "M1 u1 M1", true, true},
    /* MQTT 3: the session is what the client asked for. */
    {4, "M1 U1 u1 M2", true, true},
    {4, "M1 U1 M2", true, true},
    {4, "M1 u1 M2", true, true},
    {4, "M1 M2 u1", true, true},
    {4, "M1 M2 u1 U2 u2 M3", true, false},
    {4, "M1 U1 m2", false, false},
    {4, "M1 m2 u1", false, false},
    {4, "m1 u1 M2", false, false},
    {4, "m1 u1 m2", false, false},
    {4, "m1 M2 u1", false, false},
    {4, "m1 m2 u1", false, false},
    {4, "M1 U1 u1 U2 u2 M3", true, true},
    {4, "M1 U1 u1 U2 M3", true, true},
    /* The second connection may have asked for a new session, or may have been taken over. */
    {4, "M1 U1 u1 u2 M3", false, false},
    {4, "M1 U1 u2 M3", false, false},
    {4, "m1 u1 u2 M3", false, false},
    {5, "M1 U1 u1 u2 M3", false, false},
    {5, "M1 U1 u1 U2 M3", false, false}, /* its session has expired */
    {5, "M1 U1 u1 U2 u2 M3", true, true},
    {3, "M1 U1 u1 M2", true, true},
    {3, "m1 u1 M2", false, false},
};

enum { THE_CALL = 7, ANOTHER = 8 };

static void report_end(char outcome, const void *connection)
{
    static const char letters[] = "UuWwXTO";
    static const enum host_end kinds[] = {
        HOST_END_UNKNOWN,       HOST_END_UNKNOWN,    HOST_END_SESSION_WAITS, HOST_END_SESSION_WAITS,
        HOST_END_SESSION_WAITS, HOST_END_TAKEN_OVER, HOST_END_SESSION_OVER};
    const char *letter = strchr(letters, outcome);
    ck_assert_ptr_nonnull(letter);
    end("c", connection, kinds[letter - letters], outcome == 'u' || outcome == 'X', outcome == 'w');
}

/* Connections in between make another call each, with which the guard ends; the last one makes none. */
static struct client *report(const struct story *story)
{
    struct client *client = NULL;
    for (const char *at = story->reported; *at; at += at[2] ? 3 : 2) {
        const void *connection = &contexts[at[1] - '0'];
        now += second / 10;
        if (*at != 'M' && *at != 'm') {
            report_end(*at, connection);
            continue;
        }
        const bool is_first = !client;
        client = meet("c", connection, story->version, *at == 'm');
        if (is_first)
            bind_to(client, THE_CALL);
        if (is_first || strchr(at + 1, 'M'))
            arrive(client, is_first ? THE_CALL : ANOTHER);
    }
    return client;
}

START_TEST(calls_of_a_session)
{
    const struct story *story = &stories[_i];
    struct client *client = report(story);
    ck_assert_msg(is_bound(THE_CALL) == story->bound, "%d, %s: bound", story->version, story->reported);
    ck_assert_msg(arrive(client, THE_CALL) == story->guarded, "%d, %s: guarded", story->version,
                  story->reported);
}
END_TEST

/* The records are consistent after each of these stories, and are freed when nothing in them matters. */
START_TEST(stories_leave_nothing)
{
    const struct story *story = &stories[_i];
    report(story);
    ck_assert_uint_eq(HASH_COUNT(clients.by_id), 1);
    for (int i = 1; i < 4; i++)
        report_end('O', &contexts[i]);
    ck_assert_uint_eq(clients.gone_count, 1);
    reply_cache_fini(&duplicates);
    reply_cache_fini(&ordered);
    clients_expire(&clients, now);
    ck_assert_uint_eq(HASH_COUNT(clients.by_id), 0);
    ck_assert_uint_eq(clients.gone_count, 0);
}
END_TEST

/* A host whose only connection has no address. */
START_TEST(connections_without_an_address)
{
    for (int i = 0; i < 3; i++) {
        meet("c", NULL, 5, false);
        end("c", NULL, HOST_END_SESSION_WAITS, false, false);
        ck_assert_uint_eq(clients.gone_count, 1);
    }
    meet("c", NULL, 5, false);
    ck_assert_uint_eq(clients.gone_count, 0);
}
END_TEST

START_TEST(clients_are_distinguished_by_their_ids)
{
    struct client *one = meet("one", &contexts[1], 5, false);
    struct client *two = meet("two", &contexts[2], 5, false);
    struct client *none = meet("", &contexts[3], 5, false);
    ck_assert_ptr_ne(one, two);
    ck_assert_ptr_ne(one, none);
    bind_to(one, 1);
    bind_to(two, 2);
    end("one", &contexts[2], HOST_END_SESSION_OVER, true, false); /* another one's context */
    end("three", &contexts[1], HOST_END_SESSION_OVER, true, false);
    end("two", &contexts[2], HOST_END_SESSION_OVER, true, false);
    ck_assert(is_bound(1));
    ck_assert(!is_bound(2));
    ck_assert_ptr_eq(meet("one", &contexts[1], 5, false), one);
}
END_TEST

/* ---- Redeliveries ---- */

/*
 * Each letter is a call, a capital one if it is taken for a redelivery.
 *
 *   |  the connection is cut and the session taken up; ~ likewise, an hour later
 *   /  it is taken down in order instead; !  a new session is asked for
 *   0  a call at QoS 0
 *   .  four seconds pass: a guard of ten holds for two of these
 */
static const char *const orders[] = {
    "abc|ABC",
    "abc|ABCabc",
    "abc|BC",
    "abc|C",
    "abc|AC",
    "abc|BCd",
    "abc|d",
    "abc~ABC",
    /* The first call that does not match ends the guard. */
    "abc|dabc",
    "abc|Adbc",
    "abc|Bac",
    "abc|Cab",
    "abc|ABCd|ABCD",
    "abc|0abc",
    "abc|A0bc",
    "abc|ABC0a",
    /* The same call several times. */
    "aab|AAB",
    "aab|AB",
    "aba|ABAa",
    "aaa|AAAa",
    "a|Aa",
    /* Cut twice: calls that the client has not sent again are still in flight. */
    "abc|A|ABC",
    "abc|A|BC",
    "abc|B|BC",
    "abc|B|C",
    "abc|AB|ABC",
    "abc|AB|C",
    "abc||ABC",
    "abc|ABC|ABC",
    "abc|A|A|A|ABC",
    "ab|ABc|ABC",
    "ab|ABc|BC",
    "ab|Bc|BC",
    "ab|Bc|C",
    "abc|Bd|BD",
    "abc|Bd|Bcd",
    "abc|B|a",
    "abc|d|D",
    "abc|da|DA",
    "abc|da|DAbc",
    /* A connection that ended with DISCONNECT, or a new session. */
    "abc/abc",
    "abc|A/abc",
    "abc!abc",
    "abc|A!abc",
    "abc/a|A",
    "abc!a|A",
    /* Too long before the end. */
    "a..|A",
    "a...|a",
    "a...b|B",
    "a...b|ab",
    "a.b..|B",
    "a.|.A.|.a", /* a redelivery does not renew the time of the call */
    "ab..|A.|ab",
    "ab.|A.|AB",
};

static void move_on(const char what, struct client **client, const void **connection)
{
    const bool in_order = what == '/';
    end("c", *connection, HOST_END_SESSION_WAITS, false, in_order);
    end("c", *connection, HOST_END_TAKEN_OVER, false, false);
    if (what == '~')
        now += 3600 * second;
    *connection = *connection == &contexts[1] ? &contexts[2] : &contexts[1];
    *client = meet("c", *connection, 5, what == '!');
}

START_TEST(redeliveries)
{
    const void *connection = &contexts[1];
    struct client *client = meet("c", connection, 5, false);
    for (const char *at = orders[_i]; *at; at++) {
        if (strchr("|~/!", *at)) {
            move_on(*at, &client, &connection);
        } else if (*at == '.') {
            now += 4 * second;
        } else if (*at == '0') {
            clients_end_guard(&clients, client);
        } else {
            const bool again = *at < 'a';
            ck_assert_msg(arrive(client, again ? (uint64_t)(*at - 'A' + 'a') : (uint64_t)*at) == again,
                          "%s: at %s", orders[_i], at);
        }
    }
}
END_TEST

/* An order that is longer than its bound keeps its newest calls. */
START_TEST(orders_are_bounded)
{
    struct client *client = meet("c", &contexts[1], 5, false);
    for (uint64_t i = 0; i < 1000; i++)
        arrive(client, i);
    ck_assert_uint_le(client->held.order_count, 128);
    ck_assert_uint_eq(ordered.count, client->held.order_count);
    end("c", &contexts[1], HOST_END_TAKEN_OVER, false, false);
    client = meet("c", &contexts[2], 5, false);
    for (uint64_t i = 900; i < 1000; i++)
        ck_assert(arrive(client, i));
    ck_assert(!arrive(client, 899));
}
END_TEST

/* When all calls of the order still run, the next call is not recorded, and runs. */
START_TEST(orders_full_of_unfinished_calls)
{
    struct cached_reply *entries[128];
    const struct digest key = key_of(1);
    struct client *client = meet("c", &contexts[1], 5, false);
    for (int i = 0; i < 128; i++) {
        entries[i] = clients_note(&clients, client, &key, now);
        ck_assert_ptr_nonnull(entries[i]);
    }
    ck_assert_ptr_null(clients_note(&clients, client, &key, now));
    for (int i = 0; i < 128; i++)
        finish(&ordered, entries[i]);
    ck_assert_ptr_nonnull(clients_note(&clients, client, &key, now));
}
END_TEST

/* The session ends while a call runs. */
START_TEST(unfinished_calls_of_an_ended_session)
{
    const struct digest key = key_of(1);
    struct client *client = meet("c", &contexts[1], 5, false);
    struct cached_reply *bound = reply_cache_enter(&duplicates, &key, true, &client->held, now);
    struct cached_reply *noted = clients_note(&clients, client, &key, now);
    end("c", &contexts[1], HOST_END_SESSION_OVER, false, false);
    clients_expire(&clients, now);
    ck_assert_uint_eq(HASH_COUNT(clients.by_id), 0);
    finish(&duplicates, bound);
    finish(&ordered, noted);
    ck_assert_uint_eq(duplicates.count + ordered.count, 0);
}
END_TEST

/* ---- Memory ---- */

enum { POPULATION = 100000 };

static void expire_all(void)
{
    for (int i = 0; i < 2 * POPULATION / 1000; i++)
        clients_expire(&clients, now);
}

static void name(char id[24], int number)
{
    snprintf(id, 24, "client-%d", number);
}

/* Each connected client takes a record of less than 256 bytes, and its share of the table's buckets. */
START_TEST(a_hundred_thousand_clients)
{
    char id[24];
    for (int i = 0; i < POPULATION; i++) {
        name(id, i);
        meet(id, &contexts[1], 5, false);
    }
    ck_assert_uint_eq(HASH_COUNT(clients.by_id), POPULATION);
    ck_assert_uint_lt(sizeof(struct client) + HASH_OVERHEAD(hh, clients.by_id) / POPULATION, 256);
    expire_all();
    ck_assert_uint_eq(HASH_COUNT(clients.by_id), POPULATION); /* they are there */
    for (int i = 0; i < POPULATION; i++) {
        name(id, i);
        end(id, &contexts[1], _i ? HOST_END_UNKNOWN : HOST_END_SESSION_OVER, false, false);
    }
    ck_assert_uint_eq(clients.gone_count, POPULATION);
    expire_all();
    ck_assert_uint_eq(HASH_COUNT(clients.by_id), 0);
}
END_TEST

/* The record of a client with an empty bucket is kept until the bucket would be full, however many others
 * there are: beyond a bound no other client gets a new bucket. */
START_TEST(clients_with_empty_buckets)
{
    char id[24];
    for (int i = 0; i < POPULATION; i++) {
        name(id, i);
        for (int taken = 0; taken < (i ? 2 : 100); taken++)
            ck_assert_int_eq(clients_take_queued(&clients, id, now), i < 10000);
    }
    expire_all();
    ck_assert_uint_eq(HASH_COUNT(clients.by_id), 10000);
    name(id, 0);
    ck_assert(!clients_take_queued(&clients, id, now));
    now += 101 * second;
    expire_all();
    ck_assert_uint_eq(HASH_COUNT(clients.by_id), 0);
}
END_TEST

/* Calls that are bound to a session keep its record, until the session ends. */
START_TEST(clients_with_sessions)
{
    struct client *client = meet("c", &contexts[1], 4, false);
    bind_to(client, 1);
    end("c", &contexts[1], HOST_END_UNKNOWN, false, false);
    clients_expire(&clients, now);
    ck_assert_uint_eq(HASH_COUNT(clients.by_id), 1);
    now += 61 * second;
    reply_cache_expire(&duplicates, now);
    clients_expire(&clients, now);
    ck_assert_uint_eq(HASH_COUNT(clients.by_id), 0);
}
END_TEST

/* ---- Hosts that do not report ends of connections ---- */

/* A record is freed when nothing in it matters, even if its client is still connected. */
START_TEST(records_without_endings)
{
    clients.no_endings = true;
    struct client *client = meet("bound", &contexts[1], 5, false);
    bind_to(client, 1);
    ck_assert(clients_take_queued(&clients, "busy", now));
    meet("idle", &contexts[3], 5, false);
    ck_assert(clients_take_queued(&clients, "queued", now));
    ck_assert_uint_eq(clients.gone_count, 4);
    clients_expire(&clients, now);
    ck_assert_uint_eq(clients.gone_count, 3);
    ck_assert_ptr_eq(meet("bound", &contexts[1], 5, false), client);
    ck_assert(is_bound(1));
    meet("bound", &contexts[4], 5, true); /* a new session, on a connection that began after another */
    ck_assert(!is_bound(1));
    now += 10 * second;
    clients_expire(&clients, now);
    ck_assert_uint_eq(clients.gone_count, 0);
    ck_assert_ptr_null(clients.by_id);
}
END_TEST

UNIT_MAIN("clients", open_table, close_table, {calls_of_a_session, UNIT_ROWS(stories)},
          {stories_leave_nothing, UNIT_ROWS(stories)}, {connections_without_an_address, 0},
          {clients_are_distinguished_by_their_ids, 0}, {redeliveries, UNIT_ROWS(orders)},
          {orders_are_bounded, 0}, {orders_full_of_unfinished_calls, 0},
          {unfinished_calls_of_an_ended_session, 0}, {a_hundred_thousand_clients, 2},
          {clients_with_empty_buckets, 0}, {clients_with_sessions, 0}, {records_without_endings, 0})
